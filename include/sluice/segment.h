/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segmentation: decisions become edits on the text. Nothing visible happens because something was cut: what is put in
 * or dropped always goes by type, party, purpose and policy (docs/architecture.md).
 */
#ifndef SLUICE_SEGMENT_H
#define SLUICE_SEGMENT_H

#include "sluice/decide.h"
#include "sluice/edit.h"
#include "sluice/label.h"

/* One cut of an item, on the span where it ends up after required elements have taken their parents. */
struct sl_cut {
    uint32_t span;
    struct sl_cause cause;
    bool constant; /* of every such record, by type, party and policy alone: a narrative, a count, a signature */
    const struct sl_cut *next;
};

/* One value of an item that goes out with another text, as a rule's `change` says: JSON, in the place of the span. */
struct sl_changed {
    uint32_t span;
    struct sl_slice text;
    const struct sl_changed *next;
};

/* What was withheld, for reports and the ledger: ids, paths and rules, no content. */
struct sl_withheld {
    const struct sl_item *item;
    struct sl_slice path; /* "Condition.code.coding[1]"; empty: the whole resource */
    struct sl_cause cause;
    const struct sl_withheld *next;
};

struct sl_segment_report {
    const struct sl_withheld *first, *last;
    size_t resources_released, resources_withheld, elements_cut; /* what limits cut is counted, and not listed */
};

/* Decides every item of the labeller for its request (item->ruling must be set) and works out the cuts of each
 * released one. Items whose required elements would go are withheld in turn, until nothing changes. */
SL_MUST_CHECK enum sl_status sl_segment_decide(
    struct sl_labeller *labeller, struct sl_arena *arena, struct sl_segment_report *report);

/* Applies the cuts and adds the labels of one released item to the edits of its document. */
SL_MUST_CHECK enum sl_status sl_segment_edit(
    const struct sl_item *item, struct sl_edits *edits, struct sl_arena *arena);

#endif
