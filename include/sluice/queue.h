/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The officer's queue: what a rule held for the privacy officer to decide, and what rules relied on ask of the officer
 * (`notify`, `review-within`). It is derived from the ledger, where each held item and each such duty stands already:
 * so nothing waits for a write, and nothing can be in the queue that was not accounted for. What has been done is noted
 * in the `policy` store, in a log from which nothing is erased.
 *
 * An entry is one rule, one record and one recipient, however often it was asked, until it is done; what happens after
 * that begins another. Its number is the place of its first asking in the ledger: sequence, a full stop, and which of
 * that record's.
 */
#ifndef SLUICE_QUEUE_H
#define SLUICE_QUEUE_H

#include <stdint.h>

#include "sluice/issue.h"
#include "sluice/slice.h"
#include "sluice/store.h"

struct sl_queue_entry {
    uint64_t sequence;
    unsigned place; /* among those of that record of the ledger, from 1 */
    bool held, notify;
    unsigned review_days; /* 0: nobody need review it */
    struct sl_slice rule, item, patient;
    struct sl_slice issuer, client, user, name, purpose; /* the recipient, as the ledger has it */
    int64_t first, last;                                 /* when it was asked, first and last */
    size_t times;
    int64_t due; /* 0: on no day */
    bool done;   /* then: */
    int64_t done_at;
    struct sl_slice done_by, done_why;
};

struct sl_queue {
    struct sl_queue_entry *entry; /* by number */
    size_t count;
    uint64_t end; /* records of the ledger that were read */
};

/* Reads the ledger in a directory, and from the store what has been done. Arena-owned. */
SL_MUST_CHECK enum sl_status sl_queue_read(
    const char *ledger, struct sl_store *store, struct sl_arena *arena, struct sl_issues *issues, struct sl_queue *out);
/* The entry of a number ("17.2"); NULL if there is none. */
struct sl_queue_entry *sl_queue_find(const struct sl_queue *queue, struct sl_slice number);
/* Notes that an entry of this queue has been done; what the ledger had until it was read is done with it. SL_EXISTS: it
 * was done before. SL_INVALID: it is not said by whom or why. */
SL_MUST_CHECK enum sl_status sl_queue_done(struct sl_store *store, const struct sl_queue *queue,
    const struct sl_queue_entry *entry, struct sl_slice by, struct sl_slice why, int64_t now);

#endif
