/* SPDX-License-Identifier: Apache-2.0 */
/* A Bundle at the offline door: which of them stand, and what of their own members goes. */
#ifndef SLUICE_GATEWAY_OFFLINE_BUNDLE_H
#define SLUICE_GATEWAY_OFFLINE_BUNDLE_H

#include "offline.h"

enum sl_bundle_fate {
    SL_BUNDLE_GOES,  /* what of it is released */
    SL_BUNDLE_WHOLE, /* a signed document of which nothing is cut: byte for byte, but for the labels of its own meta */
    SL_BUNDLE_STAYS  /* a signed document of which something is, or one without what must stand first in it */
};

/* Decided after the pass: what becomes of a Bundle as such. Where it stays, its resources are withheld, and `report`
 * counts them so. */
enum sl_bundle_fate sl_bundle_judge(
    struct sl_offline *offline, const struct sl_doc *doc, struct sl_segment_report *report);

/* Cuts what says something of the Bundle as it came, and not of what is released: its total, links, tags, its
 * identifier where R4 does not ask for one. */
void sl_bundle_cut_members(struct sl_edits *edits, const struct sl_doc *doc);
/* The same of an entry whose resource is released. */
void sl_bundle_cut_entry(struct sl_edits *edits, const struct sl_doc *doc, uint32_t entry, const struct sl_item *item,
    struct sl_arena *arena);

/* The item of the resource at `span`, sought from *from on, which then is that item; NULL: there is none. */
struct sl_item *sl_bundle_item(
    struct sl_offline *offline, const struct sl_doc *doc, uint32_t span, struct sl_item **from);

#endif
