/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transaction that writes (http.html, 3.2.0.11.2). Each of its writes is an inner exchange like any entry of a batch.
 * When it has been decided, and all that is left is to give it to the upstream, it is parked; once all are, what they
 * would have sent goes there as one transaction, and each goes on as if it had been sent by itself.
 *
 * What one entry creates others may name by its fullUrl. Until it has an id of the upstream's it goes by one that is
 * drawn here, under which it is context to the decisions about those that name it.
 */
#ifndef SLUICE_GATEWAY_TRANSACTION_H
#define SLUICE_GATEWAY_TRANSACTION_H

#include "batch.h"

/* Of the outer exchange; sets x->transaction. SL_BAD_SYNTAX: two entries have the same fullUrl; SL_TOO_LARGE. */
SL_MUST_CHECK enum sl_status sl_transaction_begin(struct sl_exchange *x, const struct sl_batch_bundle *bundle);
/* All of it up to the writes' answers; may be entered again. */
SL_MUST_CHECK enum sl_step_result sl_transaction_step(struct sl_exchange *x);
/* Then: the exchange of an entry; NULL: it reads, and is asked for by itself. */
struct sl_exchange *sl_transaction_entry(const struct sl_exchange *x, size_t index);

/* How many entries it has. */
size_t sl_transaction_size(const struct sl_exchange *x);

/* ---- For its writes (write.c): x is such an inner exchange, or any other ---- */

bool sl_transaction_holds(const struct sl_exchange *x);
/* The id that what it creates goes by; empty: it is none of a transaction's. */
struct sl_slice sl_transaction_own_id(const struct sl_exchange *x);
/* Does it name what other entries create? */
bool sl_transaction_links(const struct sl_exchange *x);
/* Is this "Type/id" what another entry creates? */
bool sl_transaction_makes(const struct sl_exchange *x, struct sl_slice name);
/* What other entries create and this one names, as context to its last pass; and who names what is reached by route. */
SL_MUST_CHECK enum sl_status sl_transaction_context(struct sl_exchange *x, struct sl_round *round);
/* Whom what is reached by route alone is about: those whom the entries that name it are about. */
SL_MUST_CHECK enum sl_status sl_transaction_patients(
    const struct sl_exchange *x, const struct sl_found *found, struct sl_slice *out);

#endif
