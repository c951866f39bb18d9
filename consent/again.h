/* SPDX-License-Identifier: Apache-2.0 */
/* One decision of the ledger, made again under a policy: for replay.c and explain_record.c. Inside the consent room
 * only. */
#ifndef SLUICE_CONSENT_AGAIN_H
#define SLUICE_CONSENT_AGAIN_H

#include "recorded.h"

#define SL_AGAIN_RULES 32u /* as many as the ledger has */

struct sl_again {
    struct sl_item item;
    const struct sl_ruling *ruling;
    struct sl_verdict verdict, *parts; /* of each part, where the whole goes */
    const struct sl_rule_view *rules[SL_AGAIN_RULES];
    size_t rule_count;
    struct sl_release release;
    struct sl_slice words; /* level, duties, labels, as sl_release_write has them */
    bool unsure;           /* it depends on what the ground does not tell */
    struct sl_slice unsure_of;
};

/* `by`: the policy that decided; NULL: not at hand. */
SL_MUST_CHECK enum sl_status sl_decide_again(struct sl_arena *arena, const struct sl_policy *policy,
    const struct sl_policy *by, const struct sl_record *record, const struct sl_recorded_item *item,
    struct sl_again *out);
/* How it differs from what is recorded, in words; empty: not at all. ptr NULL: no memory. */
struct sl_slice sl_again_differs(
    struct sl_arena *arena, const struct sl_recorded_item *item, const struct sl_again *again);
/* Was it withheld by policy and consent alone, and not because of another record or a search? */
bool sl_is_by_policy(const struct sl_recorded_item *item);

#endif
