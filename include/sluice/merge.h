/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A write as a difference. Who writes has seen a view of a record, and sends what is to stand in its place. What it
 * changed, added and took away is done to the whole record; what it never saw stays.
 *
 * There is no conflict: whatever is hidden, every difference between a view and what is sent can be applied, so that
 * what comes of it is a function of the view and of what was sent (docs/decisions/0025).
 *
 * - What is sent as it was seen stays in the record byte for byte, also where it was seen changed (a date as a year).
 * - Hidden entries of an array stay behind the nearest entry before them that is still there, first if there is none.
 * - What is hidden in a part that was taken away stays in what is left of that part, where R4 lets that stand; else it
 *   goes with it. What is sent where a single hidden value stands takes its place. Both are told as `displaced`.
 * - What is cut out of every such record, whatever it holds (a narrative, a count), goes with the part that it stands
 * in.
 * - Labels and tags that the writer may not set are as they were; what Sluice itself put in is never taken for the
 *   writer's. versionId and lastUpdated are the server's.
 *
 * Pure. Text that did not change keeps its bytes; an object or array that did is put together anew from such texts.
 */
#ifndef SLUICE_MERGE_H
#define SLUICE_MERGE_H

#include "sluice/edit.h"
#include "sluice/r4.h"
#include "sluice/segment.h"
#include "sluice/write.h"

/* A resource within a document. */
struct sl_place {
    const struct sl_doc *doc;
    uint32_t root;
};

/* What was hidden and could not stay: where, in the record as it was. No content. */
struct sl_displaced {
    struct sl_slice path; /* "Condition.onsetAge" */
    const struct sl_displaced *next;
};

struct sl_merge {
    struct sl_place record;        /* as the EHR has it */
    const struct sl_edits *edits;  /* over record.doc: what made the view of it */
    const struct sl_item *item;    /* the record as it was cut for the writer; NULL: no cut is of every such record */
    struct sl_place view;          /* what the writer has seen: sl_merge_view */
    struct sl_place sent;          /* what it wants in its place; sl_merge_check has found nothing wrong with it */
    struct sl_write_labels labels; /* that it may set */
    const uint8_t *sheds;          /* sl_merge_freed: parts that do not stay, and are displaced; NULL: none */
    bool sheds_all;                /* nothing hidden stays: all of it is displaced */
};

struct sl_merged {
    struct sl_slice text; /* the new record, in the arena */
    bool changed;         /* else it is the old one, byte for byte */
    const struct sl_displaced *displaced;
    size_t displaced_count;
};

/* The view that the edits make of a record, as a document of its own. SL_OK, SL_NO_MEMORY, SL_LIMIT; SL_MISSING: the
 * record is cut as a whole. */
SL_MUST_CHECK enum sl_status sl_merge_view(
    struct sl_edits *edits, uint32_t root, struct sl_arena *arena, struct sl_place *out);

/*
 * Is what is sent a record of R4's form, of that type and with that id (empty: whatever it says, or none)? Properties
 * that R4 does not have, arrays where there is one value, null, empty objects and the like are refused: SL_BAD_SYNTAX,
 * and *why a literal for the operator. By what is sent alone; what R4 requires is not asked for.
 */
SL_MUST_CHECK enum sl_status sl_merge_check(
    struct sl_place sent, sl_r4_node type, struct sl_slice id, const char **why);

/* SL_OK, SL_NO_MEMORY, SL_LIMIT (more than twice what record and sent are together); SL_UNPROCESSABLE: something is
 * taken away that the view has and R4 requires where it stands. */
SL_MUST_CHECK enum sl_status sl_merge(const struct sl_merge *merge, struct sl_arena *arena, struct sl_merged *out);

/* Does a record, made of what is sent and decided anew (`edits`), show its writer a value that is not in what it sent?
 * Then what was hidden beside it would be hidden no more. Equal values at like places count as many times as they
 * stand. */
SL_MUST_CHECK enum sl_status sl_merge_frees(
    struct sl_place made, const struct sl_edits *edits, struct sl_place sent, struct sl_arena *arena, bool *frees);

/*
 * Which hidden parts of a record would its writer see in what was made of it and decided anew? Marks them in
 * `sheds`, by span of the record less its root, beside what is marked there; *count: how many more are. A part that is
 * hidden and would be hidden still is none of them.
 */
SL_MUST_CHECK enum sl_status sl_merge_freed(struct sl_place record, const struct sl_edits *edits, struct sl_place made,
    const struct sl_edits *made_edits, struct sl_arena *arena, uint8_t *sheds, size_t *count);

/* What is sent to be made a new record: without what is the server's (id, versionId, lastUpdated) and the labels that
 * the writer may not set. `id` empty: it has none. */
SL_MUST_CHECK enum sl_status sl_merge_new(struct sl_place sent, const struct sl_write_labels *labels,
    struct sl_slice id, struct sl_arena *arena, struct sl_slice *out);

#endif
