/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batch and transaction (http.html, 3.2.0.11): a Bundle whose entries are interactions of their own. Reading one is
 * batch_read.c, pure; answering it is batch.c.
 *
 * Each entry becomes a request in memory, judged like one that came by itself: by the same tables, with its own record
 * in the ledger. So there is nothing that a batch may do and a single request may not.
 */
#ifndef SLUICE_GATEWAY_BATCH_H
#define SLUICE_GATEWAY_BATCH_H

#include "exchange.h"

#define SL_BATCH_HEADERS 8u /* of one entry, at most */

struct sl_batch_entry {
    struct sl_request request;
    struct sl_header headers[SL_BATCH_HEADERS];
    struct sl_slice full_url; /* unescaped; may be empty */
    uint32_t resource;        /* span of the resource in the Bundle; 0: none */
};

struct sl_batch_bundle {
    bool transaction; /* else a batch */
    struct sl_batch_entry *entries;
    size_t count;
};

/* What the reading needs besides the Bundle. */
struct sl_batch_context {
    struct sl_slice base;   /* path of the endpoint: "/fhir" */
    struct sl_slice prefer; /* the outer request's Prefer header, which holds for every entry; may be empty */
    size_t limit;           /* entries, at most */
};

/* Makes the requests. What an entry's url or method is not fit for is left to the tables: then it has no path, or no
 * method, that is served. SL_BAD_SYNTAX: no Bundle of type batch or transaction, or an entry without request;
 * SL_TOO_LARGE: too many entries; SL_NO_MEMORY. */
SL_MUST_CHECK enum sl_status sl_batch_read(const struct sl_doc *doc, const struct sl_batch_context *context,
    struct sl_arena *arena, struct sl_batch_bundle *out);

/* The step `entries`. */
SL_MUST_CHECK enum sl_step_result sl_batch_step(struct sl_exchange *x);
/* The answer, once every entry has its own. */
SL_MUST_CHECK enum sl_status sl_batch_answer(struct sl_exchange *x);

#endif
