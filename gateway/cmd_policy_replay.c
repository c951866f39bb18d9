/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sluice policy replay, and policy diff --replay: the ledger's decisions made again, under the policies that made them
 * or under another. The policies come from the store's generations, or are given.
 */
#include "cmd_policy.h"

#include <stdlib.h>

#include "cli.h"
#include "sluice/generation.h"
#include "sluice/ledger.h"
#include "sluice/replay.h"

#define REPORT_LIMIT ((size_t)256 << 20)
#define POLICIES 256u
#define DAY 86400

/* Policies at hand, each by the digest of its sources. */
struct shelf {
    struct sl_store *store;
    struct {
        char digest[64];
        struct sl_policy *policy; /* NULL: looked for, and not there */
        bool ours;
    } found[POLICIES];
    size_t count;
};

static void put(struct shelf *shelf, struct sl_slice digest, struct sl_policy *policy, bool ours)
{
    if (shelf->count == POLICIES || digest.len != sizeof shelf->found[0].digest)
        return;
    memcpy(shelf->found[shelf->count].digest, digest.ptr, digest.len);
    shelf->found[shelf->count].ours = ours;
    shelf->found[shelf->count++].policy = policy;
}

static const struct sl_policy *policy_of(void *context, uint64_t generation, struct sl_slice digest)
{
    struct shelf *shelf = context;
    struct sl_policy *policy = NULL;
    for (size_t i = 0; i < shelf->count; i++)
        if (sl_slice_eq(digest, (struct sl_slice){shelf->found[i].digest, sizeof shelf->found[i].digest}))
            return shelf->found[i].policy;
    if (shelf->count == POLICIES)
        return NULL;
    /* A number alone is not enough: a store made anew counts from the beginning. */
    if (shelf->store && sl_policy_of_generation(shelf->store, generation, NULL, &policy) == SL_OK &&
        !sl_slice_eq(sl_policy_digest(policy), digest)) {
        sl_policy_unref(policy);
        policy = NULL;
    }
    put(shelf, digest, policy, true);
    return policy;
}

static void clear(struct shelf *shelf)
{
    for (size_t i = 0; i < shelf->count; i++)
        if (shelf->found[i].ours)
            sl_policy_unref(shelf->found[i].policy);
    sl_store_close(shelf->store);
}

struct reading {
    struct sl_replay *replay;
    enum sl_status status;
};

static bool take(void *context, uint64_t sequence, struct sl_slice record)
{
    struct reading *reading = context;
    reading->status = sl_replay_add(reading->replay, sequence, record);
    return reading->status == SL_OK;
}

static int print_report(struct sl_replay *replay, struct sl_replayed *result)
{
    struct sl_buffer text;
    sl_buffer_init(&text, REPORT_LIMIT);
    enum sl_status status = sl_replay_report(replay, &text, result);
    bool good = status == SL_OK && fwrite(text.ptr ? text.ptr : "", 1, text.len, stdout) == text.len;
    good = fflush(stdout) == 0 && good;
    sl_buffer_fini(&text);
    return good ? 0 : sl_cli_failed("the report", status == SL_OK ? SL_IO : status, NULL);
}

static int replay_with(
    struct shelf *shelf, const struct sl_cli *cli, const struct sl_replay_options *options, struct sl_issues *issues)
{
    struct sl_replayed result = {0};
    struct reading reading = {.replay = sl_replay_new(options)};
    const char *ledger = sl_cli_value(cli, "ledger"), *store = sl_cli_value(cli, "store");
    enum sl_status status = reading.replay ? SL_OK : SL_NO_MEMORY;
    if (status == SL_OK && store)
        status = sl_cli_policy_store(store, false, issues, &shelf->store);
    if (status == SL_OK)
        status = sl_ledger_read(ledger, 0, issues, take, &reading);
    if (status == SL_OK)
        status = reading.status;
    int failed = status == SL_OK ? print_report(reading.replay, &result) : sl_cli_failed(ledger, status, issues);
    sl_replay_free(reading.replay);
    if (result.disagreements)
        fprintf(stderr, "sluice: %zu decisions do not come out as the ledger records them\n", result.disagreements);
    return failed || result.disagreements;
}

static bool days_of(const char *text, uint64_t *out)
{
    char *end = NULL;
    *out = text ? strtoull(text, &end, 10) : 0;
    return !text || (*text && !*end && *out && *out < 100000);
}

int sl_policy_replay(const struct sl_cli *cli, const char *days, struct sl_policy *before, struct sl_policy *after,
    struct sl_issues *issues)
{
    uint64_t count;
    int64_t now = 0;
    struct shelf shelf = {.count = 0};
    if (!sl_cli_value(cli, "ledger") || !days_of(days, &count)) {
        fprintf(stderr,
            "sluice: this needs --ledger DIR, and days as a number (and --store DIR, for policies that were "
            "in force)\n");
        return 2;
    }
    if (!sl_cli_instant(NULL, &now))
        return sl_cli_failed("the clock", SL_IO, NULL);
    if (before)
        put(&shelf, sl_policy_digest(before), before, false);
    if (after)
        put(&shelf, sl_policy_digest(after), after, false);
    const struct sl_replay_options options = {.under = after,
        .policy_of = policy_of,
        .context = &shelf,
        .since = count ? now - (int64_t)count * DAY : 0,
        .list = sl_cli_given(cli, "list"),
        .json = !before && sl_cli_given(cli, "json")};
    int failed = replay_with(&shelf, cli, &options, issues);
    clear(&shelf);
    return failed;
}
