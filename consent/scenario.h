/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios of the policy files: sl_policy_test (sluice/policy.h) runs them; this checks that they can be read. */
#ifndef SLUICE_CONSENT_SCENARIO_H
#define SLUICE_CONSENT_SCENARIO_H

#include "sluice/policy.h"

/* What is wrong in a scenario goes to the issues of its file, as for every other section. */
void sl_scenarios_check(const struct sl_policy *policy);

/* Runs them all. Each that does not come out as it says is told to `tell`, with what is wrong; `exercised`, by the
 * place of each rule, becomes true for those on which one turned. */
struct sl_scenario;
typedef void (*sl_scenario_told)(
    void *context, const struct sl_scenario *scenario, struct sl_slice title, struct sl_slice what);
SL_MUST_CHECK enum sl_status sl_scenarios_run(const struct sl_policy *policy, sl_scenario_told tell, void *context,
    bool *exercised, size_t *passed, size_t *failed);

#endif
