/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of clients held against a policy, for sluice policy check. */
#ifndef SLUICE_GATEWAY_CHECK_CLIENTS_H
#define SLUICE_GATEWAY_CHECK_CLIENTS_H

#include "sluice/policy.h"

/* Reads the registry and tells what sluice/clients.h finds. What is wrong with the file is an issue, too: SL_INVALID.
 */
SL_MUST_CHECK enum sl_status sl_check_clients(
    const struct sl_policy *policy, const char *path, int64_t now, struct sl_issues *issues);

#endif
