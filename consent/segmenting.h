/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside segmentation: what segment.c (decisions become cuts) and segment_label.c (the labels of what is left) share.
 */
#ifndef SLUICE_CONSENT_SEGMENTING_H
#define SLUICE_CONSENT_SEGMENTING_H

#include "sluice/segment.h"

#define SL_LABEL_CACHE_BITS 4u

/* Labels made for some classes: most items of a document are like one before. */
struct sl_label_cache {
    struct sl_label_cached {
        const struct sl_ruling *ruling;
        struct sl_classes classes;
        struct sl_slice program, custodian, received, security, mark;
    } kept[1u << SL_LABEL_CACHE_BITS];
};

/* Sets meta, security and mark of a released item whose cuts are known. */
SL_MUST_CHECK enum sl_status sl_segment_label(
    struct sl_label_cache *cache, struct sl_arena *arena, struct sl_item *item);
/* Puts them into the text. */
SL_MUST_CHECK enum sl_status sl_segment_edit_meta(
    const struct sl_item *item, struct sl_edits *edits, struct sl_arena *arena);

#endif
