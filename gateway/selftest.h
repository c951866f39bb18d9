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

struct sl_selftest_options {
    const struct sl_config *config; /* its limits and addresses */
    struct sl_policy *policy;
    uint64_t generation;
    /* Every form as every party, and in print what was examined (`sluice selftest`); else every form and every class,
     * not each with each, as the two parties that differ most: quick enough for a start. */
    bool whole;
};

/* Says on `out` what came of it, or on standard error what is not as it should be; gives the exit status: 0, all is;
 * 1, something came through, was not examined or was answered as it should not be, or the test could not be run. */
int sl_selftest(const struct sl_selftest_options *options, struct sl_issues *issues, FILE *out);

#endif
