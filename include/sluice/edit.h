/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edits on a parsed document: cuts, insertions and replacements, and the gathering of what is left into
 * blocks. What is not cut is given byte for byte. The result is valid JSON as the document was:
 *
 * - a cut takes the value, its key, and one comma with its white space: each value that stays keeps what stood between
 *   it and the value before it, and the first that stays stands where the first stood. White space before a closing
 *   bracket stays with the bracket. So `[1, 2,  3 ]` without 2 is `[1,  3 ]`, and without 1 is `[2,  3 ]`;
 * - an object or array that cuts have emptied goes with its key, up to but not including the gathered root;
 *   one that was empty from the start stays;
 * - an element and its '_' sibling are one element: cutting `given` cuts `_given`, and cutting given[1] cuts
 *   _given[1] where that exists. The other indexes stay aligned: a null that is there for its sibling's sake stays;
 *   an entry of `_given` that cuts have emptied becomes null if given[i] has a value, and takes given[i] along if that
 *   is null. A `_given` in which nothing but null is left goes; `given` does not go with it.
 *
 * The order of edits does not matter, but that what is cut stays cut: replacing it, or adding to it, does nothing.
 * Cost: a byte a span at birth; then each edit costs the nesting above it, once the number of children of each
 * container touched; gathering costs the edits and the copy.
 *
 * FHIR's rules (a required element takes its parent) are not known here; consent/segment.c applies them.
 */
#ifndef SLUICE_EDIT_H
#define SLUICE_EDIT_H

#include "sluice/span.h"

struct sl_edits; /* over one document, in one arena */

/* NULL if memory ran out. Cheap: a byte a span, and nothing else that grows with the document. The document outlives
 * it. If memory runs out later on, edits are lost, so sl_edit_gather fails from then on and everything counts as cut.
 */
struct sl_edits *sl_edits_new(struct sl_arena *arena, const struct sl_doc *doc);

/* Cuts the value at span index i (and its '_' sibling). Idempotent. Cutting a span within a cut one is fine. */
void sl_edit_cut(struct sl_edits *edits, uint32_t i);

/* Cuts the '_' half of an element alone; the value stays. */
void sl_edit_cut_half(struct sl_edits *edits, uint32_t i);

/* Is span i gone: cut itself, within something cut or replaced, or emptied by cuts? One look-up. */
bool sl_edit_is_cut(const struct sl_edits *edits, uint32_t i);

/* The first child of a container that is not cut, and the sibling after c that is not cut; 0 if there is none:
 *     for (uint32_t c = sl_edit_first(edits, i); c; c = sl_edit_next(edits, c)) … */
uint32_t sl_edit_first(const struct sl_edits *edits, uint32_t i);
uint32_t sl_edit_next(const struct sl_edits *edits, uint32_t c);

/* Puts `text` (valid JSON, borrowed until gathered) in the place of the value at i; the last one counts. */
void sl_edit_replace(struct sl_edits *edits, uint32_t i, struct sl_slice text);
/* What stands in the place of i; ptr NULL if it was not replaced. */
struct sl_slice sl_edit_replacement(const struct sl_edits *edits, uint32_t i);

/* Adds a member ("\"key\":value", without comma, borrowed until gathered) as the last one of the object at i; several
 * keep their order. The key must not be there already. An object that gets one is not emptied. */
void sl_edit_add_member(struct sl_edits *edits, uint32_t object, struct sl_slice member);
/* The member that was added to the object under a key, to be looked at or replaced by another text; NULL: none was. */
struct sl_slice *sl_edit_added(const struct sl_edits *edits, uint32_t object, struct sl_slice key);
/* Adds an item as the last one of the array at i. An array that gets one is not emptied. */
void sl_edit_add_item(struct sl_edits *edits, uint32_t array, struct sl_slice item);

/* The output: bytes in blocks of 16 KiB or more (the last may be shorter; all before it are full), in an arena. */
struct sl_block {
    char *ptr;
    size_t len;
    struct sl_block *next;
    size_t capacity;
};
struct sl_blocks {
    struct sl_arena *arena; /* set before the first append */
    struct sl_block *first, *last;
    size_t total, limit; /* bytes so far; the most there may be (0: no limit but the arena's) */
    bool failed;         /* sticky */
};
/* Copies the bytes to the end. */
void sl_blocks_add(struct sl_blocks *blocks, struct sl_slice bytes);
/* All of it as one run of bytes: the block itself where there is one alone, else a copy in the arena. SL_NO_MEMORY,
 * also where the blocks have failed. */
SL_MUST_CHECK enum sl_status sl_blocks_join(
    const struct sl_blocks *blocks, struct sl_arena *arena, struct sl_slice *out);

/* Appends the value at span `root`, as edited, to the blocks. SL_OK, SL_NO_MEMORY, SL_LIMIT. A root that is itself
 * cut gives nothing; one whose children are all cut gives `{}` or `[]`. May be called for several roots of the same
 * document, and again after more edits. */
SL_MUST_CHECK enum sl_status sl_edit_gather(struct sl_edits *edits, uint32_t root, struct sl_blocks *out);

/* A byte of the document, or of a text that was added or put in a value's place, and where in the blocks it came to
 * stand: bytes from their beginning; SL_EDIT_NOWHERE if it did not. */
struct sl_edit_place {
    const char *byte;
    size_t at;
};
#define SL_EDIT_NOWHERE SIZE_MAX
/* The same, and tells of some bytes where they went. */
SL_MUST_CHECK enum sl_status sl_edit_gather_places(
    struct sl_edits *edits, uint32_t root, struct sl_blocks *out, struct sl_edit_place *places, size_t count);

#endif
