/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edits on a parsed document: cuts, insertions and replacements, and the gathering of what is left into
 * blocks. What is not cut is given byte for byte. The result is valid JSON as the document was:
 *
 * - a cut takes the value, its key, and one comma with the white space beside it;
 * - an object or array that cuts have emptied goes with its key, up to but not including the gathered root;
 *   one that was empty from the start stays;
 * - an element and its '_' sibling are one element: cutting `given` cuts `_given`, and cutting given[1] cuts
 *   _given[1] where that exists.
 *
 * FHIR's rules (a required element takes its parent) are not known here; consent/segment.c applies them.
 */
#ifndef SLUICE_EDIT_H
#define SLUICE_EDIT_H

#include "sluice/span.h"

struct sl_edits; /* over one document, in one arena */

/* NULL if memory ran out. Cheap: nothing proportional to the document beyond a byte a span at most. */
struct sl_edits *sl_edits_new(struct sl_arena *arena, const struct sl_doc *doc);

/* Cuts the value at span index i (and its '_' sibling). Idempotent. Cutting a span within a cut one is fine. */
void sl_edit_cut(struct sl_edits *edits, uint32_t i);

/* Is span i gone: cut itself, within something cut, or emptied by cuts? */
bool sl_edit_is_cut(const struct sl_edits *edits, uint32_t i);

/* Puts `text` (valid JSON, borrowed until gathered) in the place of the value at i. */
void sl_edit_replace(struct sl_edits *edits, uint32_t i, struct sl_slice text);

/* Adds a member ("\"key\":value", without comma) as the last one of the object at i; several keep their order. */
void sl_edit_add_member(struct sl_edits *edits, uint32_t object, struct sl_slice member);
/* Adds an item as the last one of the array at i. An array that gets one is not emptied. */
void sl_edit_add_item(struct sl_edits *edits, uint32_t array, struct sl_slice item);

/* The output: bytes in blocks of 16 KiB or more (the last may be shorter), in an arena or heap of its own. */
struct sl_block {
    char *ptr;
    size_t len;
    struct sl_block *next;
    size_t capacity;
};
struct sl_blocks {
    struct sl_arena *arena; /* set before the first append */
    struct sl_block *first, *last;
    size_t total, limit;    /* bytes so far; the most there may be (0: no limit but the arena's) */
    bool failed;            /* sticky */
};
void sl_blocks_add(struct sl_blocks *blocks, struct sl_slice bytes);

/* Appends the value at span `root`, as edited, to the blocks. SL_OK, SL_NO_MEMORY, SL_LIMIT. A root that is itself
 * cut gives nothing. May be called for several roots of the same document. */
SL_MUST_CHECK enum sl_status sl_edit_gather(struct sl_edits *edits, uint32_t root, struct sl_blocks *out);

#endif
