/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs of `sluice policy` that have files of their own; argv[0] is the verb. */
#ifndef SLUICE_GATEWAY_CMD_POLICY_H
#define SLUICE_GATEWAY_CMD_POLICY_H

#include "cli.h"

int sl_cmd_policy_check(int argc, char **argv);
int sl_cmd_policy_explain(int argc, char **argv);

/* Decides the ledger's last days (NULL: all of it) again: under `after`, or (NULL) each under the policy that decided.
 * `before`: one more that may have decided; with it the report is text. Of the options: ledger, store, list, json. */
int sl_policy_replay(const struct sl_cli *cli, const char *days, struct sl_policy *before, struct sl_policy *after,
    struct sl_issues *issues);

/* activate, rollback, list, show, sign, keys; argv[1] is the verb. */
bool sl_policy_is_generation_verb(const char *word);
int sl_cmd_policy_generation(int argc, char **argv);

#endif
