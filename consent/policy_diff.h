/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the comparison of two policies: policy_diff.c (what each party may have) and policy_diff_words.c (what the
 * files say of parties, classes and consents). See sl_policy_diff in sluice/policy.h.
 */
#ifndef SLUICE_CONSENT_POLICY_DIFF_H
#define SLUICE_CONSENT_POLICY_DIFF_H

#include "policy_model.h"

/* Which way a change goes. A change of which nobody can say is counted as looser: two people look at it. */
enum sl_diff_way { SL_DIFF_TIGHTER, SL_DIFF_LOOSER, SL_DIFF_EITHER };

struct sl_diff_report {
    struct sl_arena *arena;
    struct sl_buffer *out;
    struct sl_policy_diff *result;
};

/* One line of the report, counted. */
void sl_diff_say(struct sl_diff_report *report, enum sl_diff_way way, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Parties, classes, consents and label sets as the files word them, the code lists, and what policy.yaml says. */
SL_MUST_CHECK enum sl_status sl_diff_words(
    struct sl_diff_report *report, const struct sl_policy *before, const struct sl_policy *after);
/* policy_diff_writes.c: who may write what, and who may search by words and by _filter. */
void sl_diff_writes(struct sl_diff_report *report, const struct sl_policy *before, const struct sl_policy *after);
void sl_diff_searches(struct sl_diff_report *report, const struct sl_policy *before, const struct sl_policy *after);
/* policy_diff_rest.c: what reads differently, and of which neither says anything. */
void sl_diff_rest(struct sl_diff_report *report, const struct sl_policy *before, const struct sl_policy *after);

#endif
