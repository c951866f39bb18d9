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
    const struct sl_config *config; /* its limits and addresses; NULL: those of a gateway that says nothing of them */
    struct sl_policy *policy;
    uint64_t generation;
    /* Every form as every party, and in print what was examined (`sluice selftest`); else every form and every class,
     * not each with each, as the two parties that differ most: quick enough for a start. */
    bool whole;
};

/* What a test has shown, in the arena of its issues. */
struct sl_selftest_shown {
    struct sl_slice words;  /* "139 canaries of 50 classes, asked for 274 times …" */
    struct sl_slice table;  /* by class and form what was shown, asked for and released */
    struct sl_slice report; /* SHA-256, hex, of the table */
    double milliseconds;
};

/* SL_OK: all is as it should be. SL_FORBIDDEN: something came through, was not examined, or was answered as it should
 * not be; the issues say what. Else the test could not be run. Any thread; nothing is written anywhere else. */
SL_MUST_CHECK enum sl_status sl_selftest_run(
    const struct sl_selftest_options *options, struct sl_issues *issues, struct sl_selftest_shown *out);
/* The same; says on `out` what came of it, or on standard error what is not as it should be, and gives the exit status:
 * 0, or 1. */
int sl_selftest(const struct sl_selftest_options *options, struct sl_issues *issues, FILE *out);

/* Tests a generation before a gateway answers under it, tells on standard error what came of it, and puts that into the
 * ledger: at a start, and whenever another generation is taken up (gateway->examine). */
SL_MUST_CHECK enum sl_status sl_selftest_generation(
    struct sl_gateway *gateway, struct sl_policy *policy, uint64_t generation, struct sl_issues *issues);

#endif
