/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The self-test: canaries of each class of the policy in force are planted in an embedded store of their own, and asked
 * for through the gateway's own path, in every interaction and format, as each party of the policy. It fails if one
 * comes through to whom its class does not go, and if one that must come through does not: what examined nothing has
 * shown nothing.
 *
 * Nothing of the house is touched: store and ledger of the test are in a folder of its own, in memory where the machine
 * has a file system in memory, and are gone afterwards.
 */
#ifndef SLUICE_GATEWAY_SELFTEST_H
#define SLUICE_GATEWAY_SELFTEST_H

#include <stdio.h>

#include "state.h"

struct sl_selftest_report {
    size_t parties, classes, canaries; /* asked as; of which canaries were made; made */
    size_t asked, let_through;         /* requests; marks that came through to whom they may */
    size_t unplanted;                  /* classes of which nothing could be made: entries of the register alone */
    double milliseconds;
};

/* Under a policy, which is the one in force in the store. whole: every form as every party (`sluice selftest`); else
 * every form as the two parties that differ most, and as each what gives most, which is quick enough for a start; every
 * canary is asked for either way. SL_OK: all is as it should be. SL_FORBIDDEN: it is not, and
 * the issues say what. Anything else: it could not be run. */
SL_MUST_CHECK enum sl_status sl_selftest_run(const struct sl_config *config, struct sl_store *store,
    struct sl_policy *policy, uint64_t generation, bool whole, struct sl_issues *issues,
    struct sl_selftest_report *report);
/* The same, and says on `out` or standard error what came of it; gives the exit status. */
int sl_selftest_tell(const struct sl_config *config, struct sl_store *store, struct sl_policy *policy,
    uint64_t generation, bool whole, struct sl_issues *issues, FILE *out);

#endif
