/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios of the policy files: sl_policy_test (sluice/policy.h) runs them; this checks that they can be read. */
#ifndef SLUICE_CONSENT_SCENARIO_H
#define SLUICE_CONSENT_SCENARIO_H

#include "sluice/policy.h"

/* What is wrong in a scenario goes to the issues of its file, as for every other section. */
void sl_scenarios_check(const struct sl_policy *policy);

#endif
