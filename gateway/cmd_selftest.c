/* SPDX-License-Identifier: Apache-2.0 */
/* sluice selftest: what `sluice serve` does before it listens, under the policy in force. It may run beside a gateway:
 * of the house it opens the policy store alone, and writes nothing. */
#include "cli.h"
#include "selftest.h"
#include "sluice/generation.h"

static enum sl_status open_policy(const struct sl_config *config, struct sl_issues *issues, struct sl_store **store,
    uint64_t *number, struct sl_policy **policy)
{
    SL_TRY(sl_cli_policy_store(config->policy_store.ptr, false, issues, store));
    SL_TRY(sl_policy_number_in_force(*store, number));
    return sl_policy_of_generation(*store, *number, issues, policy);
}

static int run(const char *path, struct sl_issues *issues)
{
    struct sl_config *config = NULL;
    struct sl_policy *policy = NULL;
    struct sl_store *store = NULL;
    uint64_t number = 0;
    enum sl_status status = sl_config_load(path, issues, &config);
    if (status != SL_OK)
        return sl_cli_failed(path, status, issues);
    status = open_policy(config, issues, &store, &number, &policy);
    const struct sl_selftest_options options = {
        .config = config, .policy = policy, .generation = number, .whole = true};
    int result =
        status == SL_OK ? sl_selftest(&options, issues, stdout) : sl_cli_failed("the policy in force", status, issues);
    sl_policy_unref(policy);
    if (store)
        sl_store_close(store);
    sl_config_free(config);
    return result;
}

int sl_cmd_selftest(int argc, char **argv)
{
    static const struct sl_option options[] = {
        {"config", SL_OPTION_ONE, "FILE", "the configuration, YAML", true},
    };
    struct sl_arena *arena = sl_arena_new((size_t)256 * 1024 * 1024);
    struct sl_issues issues = {.arena = arena};
    struct sl_cli cli;
    int status = 1;
    if (arena && sl_cli_read(arena, argc, argv, "selftest --config FILE", options, 1, &cli, &status))
        status = run(sl_cli_value(&cli, "config"), &issues);
    sl_arena_free(arena);
    return status;
}
