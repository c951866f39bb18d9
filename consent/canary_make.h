/* SPDX-License-Identifier: Apache-2.0 */
/* The records of the self-test: canary_make.c makes them, canary.c labels them. Inside the consent room only. */
#ifndef SLUICE_CONSENT_CANARY_MAKE_H
#define SLUICE_CONSENT_CANARY_MAKE_H

#include "policy_model.h"
#include "sluice/canary.h"

/* Everything but what each is labelled. SL_LIMIT: there are more than a test holds. */
SL_MUST_CHECK enum sl_status sl_canaries_plant(
    const struct sl_policy *policy, bool whole, struct sl_arena *arena, struct sl_canaries *out);

#endif
