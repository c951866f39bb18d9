/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Versions: vread, the history of one record, of a type, of all; and whether what was deleted is gone or never was.
 * What is decided of a version is in docs/decisions/0024 and sluice/past.h.
 *
 * The history of one record goes through the rounds as a search does, the newest version first, all of it: what a later
 * version hands down holds for each earlier one, and a version is listed only if its view is another than that of the
 * one before it. A history of many takes from the upstream no more than which versions there are, in what order; each
 * record in it is looked at by itself, as its own history is (inner.c).
 */
#ifndef SLUICE_GATEWAY_HISTORY_H
#define SLUICE_GATEWAY_HISTORY_H

#include "exchange.h"

/* Is it a history of many? */
bool sl_history_is_wide(const struct sl_exchange *x);

/* ---- The steps of one record's history ---- */

/* Fetch the history of this record. SL_NOT_SUPPORTED: of what is reached by route there is none. */
SL_MUST_CHECK enum sl_status sl_history_plan(struct sl_exchange *x);
/* From a cursor in x->at: how much of it is still to be given. */
void sl_history_seek(struct sl_exchange *x);
/* Before its versions are added: what those of earlier rounds hand down. */
void sl_history_begin(struct sl_exchange *x, struct sl_round *round);
/* A version becomes an item of the pass; a deletion has none. SL_UPSTREAM: it stands behind an older one. */
SL_MUST_CHECK enum sl_status sl_history_add(
    struct sl_exchange *x, struct sl_round *round, struct sl_fetched *page, const struct sl_entry *entry);
/* Each version in its order, once it is decided: does it go, after all that comes later? */
bool sl_history_judge(struct sl_exchange *x, struct sl_found *found, bool goes);
/* A round has ended. *more: an earlier version may still go. */
SL_MUST_CHECK enum sl_status sl_history_end(struct sl_exchange *x, const struct sl_round *round, bool *more);

/* ---- The step `fetch` of a history of many ---- */

SL_MUST_CHECK enum sl_step_result sl_history_fetch(struct sl_exchange *x);
void sl_history_drop(struct sl_exchange *x);

/* ---- What is answered ---- */

/* A version that this recipient may know of. */
struct sl_listed {
    struct sl_exchange *of; /* whose pass it was decided in */
    struct sl_found *found; /* released; or a deletion */
    bool oldest;            /* nothing comes before it */
    bool made;              /* there was nothing of it before, or it had been deleted */
};

/* The versions on this page, the newest first; one more than x->wanted are not among them, but x->following is where
 * the next page begins, and *more says that there is one. */
SL_MUST_CHECK enum sl_status sl_history_page(
    struct sl_exchange *x, const struct sl_listed **list, size_t *count, bool *more);
/* Of a record's history, once its page has been made: is there anything in it at all? Of many there always may be. */
bool sl_history_is_known(const struct sl_exchange *x);
/* When a version was made, as the recipient is told; may be empty. */
struct sl_slice sl_history_updated(const struct sl_found *found);
/* The version that vread asks for; NULL: there is none that this recipient could know of. */
SL_MUST_CHECK enum sl_status sl_history_find(struct sl_exchange *x, struct sl_found **out);
/* Of a read that found a deletion: could this recipient have seen the record? */
SL_MUST_CHECK enum sl_status sl_history_gone(struct sl_exchange *x, bool *gone);

#endif
