/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs of `sluice policy` that have files of their own; argv[0] is the verb. */
#ifndef SLUICE_GATEWAY_CMD_POLICY_H
#define SLUICE_GATEWAY_CMD_POLICY_H

#include "cli.h"

int sl_cmd_policy_check(int argc, char **argv);

#endif
