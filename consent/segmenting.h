/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside segmentation: what segment.c (decisions become cuts), segment_label.c (the labels of what is left) and
 * segment_inline.c (those that stand on elements) share.
 */
#ifndef SLUICE_CONSENT_SEGMENTING_H
#define SLUICE_CONSENT_SEGMENTING_H

#include "sluice/segment.h"

#define SL_LABEL_CACHE_BITS 4u

/* Labels made for some classes: most items of a document are like one before, and so are most elements. */
struct sl_label_cache {
    struct sl_label_cached {
        const struct sl_ruling *ruling;
        struct sl_classes classes;
        struct sl_slice program, custodian, received, security, mark;
        char level, confidentiality;
    } kept[1u << SL_LABEL_CACHE_BITS];
    struct sl_plain_part { /* an element that adds nothing to its whole */
        const struct sl_ruling *ruling;
        struct sl_classes whole, part;
        struct sl_slice program, named_program, custodian; /* of whoever's facts its release rests on */
    } plain[1u << SL_LABEL_CACHE_BITS];
    struct sl_release one, element; /* their room is used again */
    struct sl_coding *room;
};

/* Sets meta, security and mark of a released item whose cuts are known, and the inline labels of its elements. */
SL_MUST_CHECK enum sl_status sl_segment_label(
    struct sl_label_cache *cache, struct sl_arena *arena, struct sl_item *item);
/* Puts them into the text. */
SL_MUST_CHECK enum sl_status sl_segment_edit_meta(
    const struct sl_item *item, struct sl_edits *edits, struct sl_arena *arena);

/* ---- segment_inline.c ---- */

/* An element, what it goes out under, and what its whole says already. */
struct sl_inline_case {
    const struct sl_item *item;
    uint32_t span;
    const struct sl_release *release, *whole;
    char level; /* of the whole */
};
/* The inline labels that the element lacks, as Extensions with commas between; empty: none. *stands: false if a label
 * is lacking and cannot stand there. */
SL_MUST_CHECK enum sl_status sl_inline_write(
    const struct sl_inline_case *one, struct sl_arena *arena, struct sl_slice *out, bool *stands);
/* The highest confidentiality among the inline labels that are left of an item; 0: none. *any: is there one? */
char sl_inline_level(const struct sl_item *item, struct sl_arena *arena, bool *any);
/* Puts them into the text. */
SL_MUST_CHECK enum sl_status sl_inline_edit(const struct sl_item *item, struct sl_edits *edits, struct sl_arena *arena);

bool sl_release_has(const struct sl_release *release, struct sl_slice system, struct sl_slice code);
/* A Coding's member as a string, unescaped; empty if it has none. */
struct sl_slice sl_coding_member(const struct sl_doc *doc, uint32_t coding, sl_name name, struct sl_arena *arena);
bool sl_is_confidentiality(struct sl_slice system);

#endif
