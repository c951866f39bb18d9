/* SPDX-License-Identifier: Apache-2.0 */
/* What edits are made of, shared by edit.c (which notes them) and edit_gather.c (which writes them out). Private to
 * them. */
#ifndef SLUICE_FHIR_EDIT_H
#define SLUICE_FHIR_EDIT_H

#include "sluice/edit.h"

/* What has become of a span, one byte each. Zero: nothing. */
enum sl_edit_state {
    SL_EDIT_CUT = 1,     /* cut, or within something cut or replaced */
    SL_EDIT_EMPTIED = 2, /* a container all of whose children are gone; an addition brings it back */
    SL_EDIT_NULLED = 3,  /* an emptied entry of a '_' array, which stays as null to keep the others in their places */
    SL_EDIT_REPLACED = 4 /* it stands, as something else */
};

struct sl_edit_piece {
    struct sl_slice text;
    struct sl_edit_piece *next;
};

/* What is known of a span that edits have touched; most spans have none. */
struct sl_edit_note {
    uint32_t span;
    uint32_t partner; /* the other half of an element and its '_' sibling; 0 if none */
    uint32_t left;    /* children still written, once counted */
    uint32_t values;  /* of these, in a '_' array, those that are not null */
    bool counted;
    bool paired;                        /* the partners of its members, and of their items, have been found */
    struct sl_edit_piece *first, *last; /* what was added */
    struct sl_slice replacement;
};

struct sl_edits {
    struct sl_arena *arena;
    const struct sl_doc *doc;
    uint8_t *states;
    bool failed;
    /* A hash table of notes by span: open addressing, a power of two in size, at most half full. */
    struct sl_edit_note **notes;
    uint32_t note_count, note_room;
    uint64_t *marks; /* a bit a span: the output differs from the input there; so they are always in order */
};

/* The note of a span; NULL if it has none. */
struct sl_edit_note *sl_edit_note(const struct sl_edits *edits, uint32_t span);

static inline bool sl_edit_is_gone(uint8_t state)
{
    return state != 0 && state != SL_EDIT_REPLACED;
}

/* Where the child's text begins: at its key if it has one. */
static inline const char *sl_edit_begin(const struct sl_doc *doc, uint32_t i)
{
    if (doc->spans[i].flags & SL_SPAN_MEMBER)
        return sl_span_key(doc, i).ptr - 1;
    return doc->text.ptr + doc->spans[i].begin;
}

#endif
