/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accounting of disclosures: what of a patient's went out, to whom, when and for what, drawn from the ledger.
 *
 * Two lists. The accounting (42 CFR 2.25, 45 CFR 164.528): what went with the duty `account`, which rules put on a
 * release that rests on a Part 2 consent, and what a declared emergency let go. The intermediary's list (42 CFR 2.24):
 * the entities to which something went on a consent. One row is one exchange with one recipient.
 */
#ifndef SLUICE_ACCOUNTING_H
#define SLUICE_ACCOUNTING_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/issue.h"
#include "sluice/slice.h"
#include "sluice/status.h"

/* All borrowed until the visit returns. */
struct sl_disclosure {
    uint64_t sequence;                 /* its record in the ledger */
    int64_t time;                      /* seconds since 1970 */
    struct sl_slice issuer, client;    /* through which it asked */
    struct sl_slice organization;      /* "Organization/x"; may be empty, as all that follow */
    struct sl_slice organization_name; /* as the ledger has them */
    struct sl_slice person;            /* the user's name, or else reference */
    struct sl_slice purpose;           /* by its readable name, or else code */
    struct sl_slice description;       /* what went, brief: "2 Condition, 1 Observation" */
    struct sl_slice basis;             /* "Consent/x", several with a comma between them, "declared emergency", or "" */
    bool emergency;
};

struct sl_accounting_options {
    const struct sl_slice *patients; /* the person, by each reference that it is known by */
    size_t patient_count;
    int64_t since, until; /* from the first second, up to and with the second */
    bool intermediary;    /* 2.24: what went on a consent, and nothing else */
};

struct sl_accounted {
    uint64_t rows, records; /* disclosures told; records of the ledger looked at */
    int64_t first;          /* the time of the oldest record that is there; 0: there is none */
    bool pruned;            /* the ledger begins later than `since`, and with another record than its first */
};

/* Reads the ledger from its first record on, one at a time, and calls visit for each disclosure, oldest first, until it
 * gives false. Memory is that of one record. SL_MISSING, SL_CORRUPT, SL_IO as sl_ledger_read; SL_LIMIT for a record
 * that is larger than any this gateway writes. */
SL_MUST_CHECK enum sl_status sl_accounting(const char *directory, const struct sl_accounting_options *options,
    struct sl_issues *issues, bool (*visit)(void *context, const struct sl_disclosure *disclosure), void *context,
    struct sl_accounted *result);

/* The first second of the day that lies so many calendar years before the day of an instant (29 February: the 28th, so
 * that nothing is left out). */
int64_t sl_years_before(int64_t instant, unsigned years);

#endif
