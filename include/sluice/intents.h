/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was to be written and of which nobody has recorded what came of it. Before anything is given to the upstream to
 * be written, an intent is durable in the ledger; the record of the exchange says afterwards what has become of it.
 * What has no such record, or one that says that the upstream did not tell or that a Consent is not in force, is open:
 * somebody must look.
 *
 * Records that are no exchange's: "intent" (of one write, or of all that a transaction writes) and "settled" (what was
 * found out later). See docs/ledger.md and docs/decisions/0035.
 */
#ifndef SLUICE_INTENTS_H
#define SLUICE_INTENTS_H

#include <stdint.h>

#include "sluice/issue.h"
#include "sluice/slice.h"
#include "sluice/status.h"

#define SL_INTENTS_OPEN 65536u /* that are told of; that there are more is said */

struct sl_intent {
    uint64_t sequence;                    /* of the intent's record */
    int64_t time;                         /* when it was written, seconds since the epoch */
    struct sl_slice whole;                /* the exchange that meant it; of a transaction, the transaction's */
    struct sl_slice exchange;             /* its own */
    struct sl_slice item;                 /* "Type/id"; "Type/?": the upstream was to draw the id */
    struct sl_slice change;               /* "create", "update", "delete" */
    struct sl_slice from, patient, grant; /* as the ledger's `written` has them; may be empty */
    struct sl_slice mark;                 /* of what was to be stored; empty: it has none */
    struct sl_slice recipient;            /* JSON, as it stands in the record */
};

struct sl_intents {
    struct sl_intent *open; /* in the order of the ledger */
    size_t count;
    bool more;    /* than are told of */
    uint64_t end; /* records of the ledger, up to the last one read */
};

/* Reads the ledger in a directory from record `first` on, also beside a gateway that writes: then what is open may just
 * be under way. Arena-owned. */
SL_MUST_CHECK enum sl_status sl_intents_read(
    const char *ledger, uint64_t first, struct sl_arena *arena, struct sl_issues *issues, struct sl_intents *out);

/* Is this record of the ledger an intent, or what was found out of one, and no exchange's? NULL: it is one's. */
const char *sl_intents_kind(struct sl_slice record);

#endif
