/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations: $everything, $lastn, $docref, $match and $validate, by GET where their parameters are simple, and by POST
 * with a Parameters resource. What one gives is chosen among what is released, once everything has been: so nothing
 * that is withheld is counted, ordered or compared.
 */
#ifndef SLUICE_GATEWAY_OPERATION_H
#define SLUICE_GATEWAY_OPERATION_H

#include "exchange.h"
#include "match.h"

struct sl_operation {
    struct sl_slice query; /* name=value&…, of the query and of simple parameters in the body */
    struct sl_slice rest;  /* what of it is a search's */
    struct sl_doc body;
    uint32_t resource; /* in the body: what is compared or validated */
    bool has_resource;
    struct sl_slice start, end, since; /* dates; empty: not given */
    struct sl_slice mode, patient, type;
    size_t most;            /* max, count; 0: not given */
    bool certain;           /* onlyCertainMatches */
    struct sl_traits asked; /* of $match */
};

/* Which there are: constant, for whoever asks for another. */
extern const struct sl_slice sl_operations_served;

bool sl_is_operation(enum sl_interaction_kind kind);
/* Does it gather all that is released, to answer with some of it? */
bool sl_operation_gathers(enum sl_interaction_kind kind);

/* The step `read`: the parameters. SL_BAD_PARAMETER and the like, with the exchange's detail. */
SL_MUST_CHECK enum sl_status sl_operation_read(struct sl_exchange *x);
/* The errands of $lastn, $docref, $match and $validate. */
SL_MUST_CHECK enum sl_status sl_operation_plan(struct sl_exchange *x);
/* What is older than _since of $everything need not be asked for: a parameter of its searches, or empty. */
struct sl_slice sl_operation_since(struct sl_exchange *x);
/* Is a released resource within start, end and _since of $everything? By what is left in it; what has no date is. */
bool sl_operation_covers(const struct sl_exchange *x, const struct sl_found *found);

/* operation_choose.c: what of the released is answered with, in which order, into x->chosen. */
SL_MUST_CHECK enum sl_status sl_operation_choose(struct sl_exchange *x);
/* What $validate found, into the body. found: a stored resource, as it goes out; NULL: what was sent. */
SL_MUST_CHECK enum sl_status sl_operation_validate(struct sl_exchange *x, const struct sl_found *found);

#endif
