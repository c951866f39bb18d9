/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clients of a house held against its policy: who of them lacks an agreement that it needs, who can be no party,
 * and which parties nobody can be. Who a client is when it asks is decided by sluice/decide.h alone; here it is taken
 * for all that its entry lets it be.
 */
#ifndef SLUICE_CLIENTS_H
#define SLUICE_CLIENTS_H

#include "sluice/decide.h"

struct sl_client_agreement {
    struct sl_agreement what;
    int64_t until; /* 0: no end is said */
};

/* All borrowed. */
struct sl_client_view {
    struct sl_slice id, organization;
    struct sl_slice file; /* where its entry stands */
    size_t line;
    const struct sl_slice *roles; /* that it, its tokens or its users may have */
    size_t role_count;
    const struct sl_slice *kinds;
    size_t kind_count;
    const struct sl_slice *networks;
    size_t network_count;
    const struct sl_slice *exchange_purposes; /* canonical codes, with those below them; none: any */
    size_t exchange_purpose_count;
    const struct sl_client_agreement *agreements;
    size_t agreement_count;
};

/* As of an instant. Nothing it finds is an error: "client-lacks-agreement", "client-agreement-past",
 * "client-agreement-ends", "client-fits-no-party", "party-without-client". SL_NO_MEMORY is the only failure. */
SL_MUST_CHECK enum sl_status sl_policy_review_clients(const struct sl_policy *policy,
    const struct sl_client_view *clients, size_t count, int64_t now, struct sl_issues *issues);

#endif
