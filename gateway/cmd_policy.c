/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sluice policy: what a privacy officer does with a directory of policy files. Each verb is a row; the engines are in
 * consent/ and are the ones the gateway decides with.
 */
#include "cmd_policy.h"
#include "offline.h"

#include <stdlib.h>
#include <time.h>

#include "sluice/store.h"

struct policy_run {
    struct sl_arena *arena;
    struct sl_issues issues;
    struct sl_policy *policy;
    struct sl_store *store;
    const struct sl_cli *cli;
};

static int load(struct policy_run *run)
{
    const char *directory = run->cli->operands[1];
    enum sl_status status = sl_policy_load(directory, &run->issues, &run->policy);
    sl_cli_issues(stderr, &run->issues, SL_GRADE_NOTE);
    if (status != SL_OK) {
        fprintf(stderr, "%s: not in order: %zu error%s\n", directory, run->issues.errors,
            run->issues.errors == 1 ? "" : "s");
        return 1;
    }
    return 0;
}

static int open_store(struct policy_run *run, bool writable)
{
    const char *directory = sl_cli_value(run->cli, "store");
    if (!directory) {
        fprintf(stderr, "sluice: this needs --store DIR, the policy store\n");
        return 2;
    }
    enum sl_status status = sl_cli_policy_store(directory, writable, &run->issues, &run->store);
    return status == SL_OK ? 0 : sl_cli_failed(directory, status, &run->issues);
}

static int print_text(struct sl_buffer *text)
{
    bool good = !sl_buffer_failed(text) && fwrite(text->ptr ? text->ptr : "", 1, text->len, stdout) == text->len;
    return good && fflush(stdout) == 0 ? 0 : 1;
}

static int test(struct policy_run *run)
{
    const struct sl_test_options options = {.json = sl_cli_given(run->cli, "json"),
        .mutate = sl_cli_given(run->cli, "mutate"),
        .coverage = sl_cli_given(run->cli, "coverage")};
    struct sl_buffer text;
    struct sl_tested tested = {0};
    if (load(run))
        return 1;
    sl_buffer_init(&text, (size_t)64 << 20);
    enum sl_status status = sl_policy_trial(run->policy, &options, &text, &tested);
    int result = status == SL_OK ? print_text(&text) : sl_cli_failed("scenarios", status, &run->issues);
    sl_buffer_fini(&text);
    return result || tested.failed || !tested.passed || (options.mutate && tested.survivors);
}

static int matrix(struct policy_run *run)
{
    static const char *const forms[] = {
        [SL_MATRIX_TEXT] = "text", [SL_MATRIX_PAGE] = "html", [SL_MATRIX_JSON] = "json"};
    const char *word = sl_cli_value(run->cli, "form");
    enum sl_matrix_form form = SL_MATRIX_TEXT;
    struct sl_buffer text;
    while (word && strcmp(word, forms[form]) != 0)
        if (++form > SL_MATRIX_JSON)
            return sl_cli_failed("--form is text, html or json", SL_INVALID, &run->issues);
    if (load(run))
        return 1;
    sl_buffer_init(&text, (size_t)64 << 20);
    enum sl_status status = sl_policy_matrix(run->policy, form, sl_cli_given(run->cli, "every-purpose"), &text);
    int result = status == SL_OK ? print_text(&text) : sl_cli_failed("matrix", status, &run->issues);
    sl_buffer_fini(&text);
    return result;
}

static int schema(struct policy_run *run)
{
    struct sl_buffer text;
    sl_buffer_init(&text, (size_t)4 << 20);
    enum sl_status status = sl_policy_schema(&text);
    int result = status == SL_OK ? print_text(&text) : sl_cli_failed("schema", status, &run->issues);
    sl_buffer_fini(&text);
    return result;
}

static int render(struct policy_run *run)
{
    struct sl_buffer text;
    if (load(run))
        return 1;
    sl_buffer_init(&text, (size_t)16 << 20);
    enum sl_status status = sl_policy_render(run->policy, &text);
    int result = status == SL_OK ? print_text(&text) : sl_cli_failed("render", status, &run->issues);
    sl_buffer_fini(&text);
    return result;
}

/* What putting the second directory in the place of the first would do. */
static int diff(struct policy_run *run)
{
    struct sl_policy *after = NULL;
    struct sl_policy_diff result;
    struct sl_buffer text;
    enum sl_status status = sl_policy_load(run->cli->operands[2], &run->issues, &after);
    if (status != SL_OK)
        return sl_cli_failed(run->cli->operands[2], status, &run->issues);
    if (load(run)) {
        sl_policy_unref(after);
        return 1;
    }
    sl_buffer_init(&text, (size_t)64 << 20);
    status = sl_policy_diff(run->policy, after, run->arena, &text, &result);
    int failed = status == SL_OK ? print_text(&text) : sl_cli_failed("diff", status, &run->issues);
    sl_buffer_fini(&text);
    const char *days = sl_cli_value(run->cli, "replay");
    if (!failed && days) {
        printf("\nOf what the ledger holds of the last %s days:\n", days);
        failed = sl_policy_replay(run->cli, days, run->policy, after, &run->issues);
    }
    sl_policy_unref(after);
    return failed;
}

static int replay(struct policy_run *run)
{
    if (run->cli->operand_count > 1 && load(run))
        return 1;
    return sl_policy_replay(run->cli, sl_cli_value(run->cli, "days"), NULL, run->policy, &run->issues);
}

static struct sl_slice author(const struct policy_run *run)
{
    const char *name = sl_cli_value(run->cli, "author");
    if (!name)
        name = getenv("USER");
    return sl_slice_of(name ? name : "unknown");
}

static int activate(struct policy_run *run)
{
    uint64_t generation = 0;
    if (load(run))
        return 1;
    int failed = open_store(run, true);
    if (failed)
        return failed;
    struct sl_slice note = sl_slice_of(sl_cli_value(run->cli, "note")), digest = sl_policy_digest(run->policy);
    enum sl_status status =
        sl_policy_activate(run->store, run->policy, author(run), note, (int64_t)time(NULL), &generation);
    if (status != SL_OK)
        return sl_cli_failed("not activated; the generation in force stays", status, &run->issues);
    printf("generation %llu is in force; digest %.*s\n", (unsigned long long)generation, SL_FMT(digest));
    return 0;
}

static int list(struct policy_run *run)
{
    struct sl_generation *generations = NULL;
    size_t count = 0;
    int failed = open_store(run, false);
    if (failed)
        return failed;
    enum sl_status status = sl_policy_generations(run->store, run->arena, &generations, &count);
    if (status != SL_OK)
        return sl_cli_failed("generations", status, &run->issues);
    for (size_t i = 0; i < count; i++) {
        char when[32];
        time_t at = (time_t)generations[i].activated;
        struct tm tm;
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &tm));
        printf("%c %llu  %s  %.*s  %.16s…  %.*s\n", generations[i].in_force ? '*' : ' ',
            (unsigned long long)generations[i].number, when, SL_FMT(generations[i].author), generations[i].digest.ptr,
            SL_FMT(generations[i].note));
    }
    return 0;
}

static int rollback(struct policy_run *run)
{
    uint64_t generation = 0;
    char *end = NULL;
    uint64_t to = strtoull(run->cli->operands[1], &end, 10);
    int failed = *end ? 2 : open_store(run, true);
    if (failed)
        return failed;
    enum sl_status status = sl_policy_rollback(run->store, to, author(run), (int64_t)time(NULL), &generation);
    if (status == SL_MISSING)
        return sl_cli_failed("not rolled back: there is no such generation (sluice policy list)", status, &run->issues);
    if (status != SL_OK)
        return sl_cli_failed("not rolled back; the generation in force stays", status, &run->issues);
    printf("generation %llu is in force, with the sources of %llu\n", (unsigned long long)generation,
        (unsigned long long)to);
    return 0;
}

static const struct verb {
    const char *name;
    size_t operands; /* with the verb itself */
    int (*run)(struct policy_run *run);
} verbs[] = {
    {"test", 2, test},
    {"matrix", 2, matrix},
    {"render", 2, render},
    {"schema", 1, schema},
    {"diff", 3, diff},
    {"replay", 1, replay},
    {"replay", 2, replay},
    {"activate", 2, activate},
    {"list", 1, list},
    {"rollback", 2, rollback},
};

/* ---- explain: every rule considered for each resource of the input ---- */

static int explain_items(struct sl_offline *offline)
{
    struct sl_segment_report report;
    struct sl_buffer text;
    enum sl_status status = sl_pass_decide(offline->pass, &report);
    if (status != SL_OK)
        return sl_cli_failed("explain", status, &offline->issues);
    sl_buffer_init(&text, (size_t)256 << 20);
    for (const struct sl_item *item = sl_labeller_items(sl_pass_labeller(offline->pass)); item; item = item->next)
        if (!item->context)
            sl_explain(item->ruling, item, &text);
    int result = print_text(&text);
    sl_buffer_fini(&text);
    return result;
}

static int explain(int argc, char **argv)
{
    static const struct sl_option options[] = {SL_OFFLINE_LABEL_OPTIONS, SL_OFFLINE_DECIDE_OPTIONS};
    return sl_offline_run(argc, argv, "policy explain --policy DIR --as PARTY --for PURPOSE [options] < in", options,
        sizeof options / sizeof *options, explain_items);
}

static int run_verb(struct policy_run *run, const char *usage)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (run->cli->operand_count == verbs[i].operands && strcmp(run->cli->operands[0], verbs[i].name) == 0)
            return verbs[i].run(run);
    fprintf(stderr, "usage: sluice %s\n", usage);
    return 2;
}

int sl_cmd_policy(int argc, char **argv)
{
    static const struct sl_option options[] = {
        {"store", SL_OPTION_ONE, "DIR", "the policy store (activate, list, rollback, replay)", false},
        {"author", SL_OPTION_ONE, "NAME", "who does it (activate, rollback); otherwise $USER", false},
        {"note", SL_OPTION_ONE, "TEXT", "why (activate)", false},
        {"form", SL_OPTION_ONE, "FORM", "text, html (to print) or json (matrix)", false},
        {"every-purpose", SL_OPTION_FLAG, NULL, "a column for each purpose, not the usual one of a party (matrix)",
            false},
        {"json", SL_OPTION_FLAG, NULL, "write JSON instead of text (test, replay)", false},
        {"replay", SL_OPTION_ONE, "DAYS", "and decide the ledger's last days again (diff)", false},
        {"days", SL_OPTION_ONE, "DAYS", "of the last days alone (replay)", false},
        {"ledger", SL_OPTION_ONE, "DIR", "the ledger (replay, diff --replay)", false},
        {"list", SL_OPTION_FLAG, NULL, "each decision that changes, with patient and date (replay, diff --replay)",
            false},
        {"mutate", SL_OPTION_FLAG, NULL, "take each rule away in turn: does a scenario fail? (test)", false},
        {"coverage", SL_OPTION_FLAG, NULL, "how many scenarios turn on each rule, and name each class (test)", false},
    };
    static const char usage[] = "policy check|test|matrix|render|activate DIR  |  policy diff DIR NEW  |  policy "
                                "list|schema  |  policy rollback GENERATION"
                                "  |  policy replay [DIR] --ledger DIR  |  policy explain --help";
    if (argc > 1 && strcmp(argv[1], "explain") == 0)
        return explain(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "check") == 0)
        return sl_cmd_policy_check(argc - 1, argv + 1);
    struct policy_run run = {.arena = sl_arena_new((size_t)256 << 20)};
    struct sl_cli cli;
    int status = 1;
    if (!run.arena)
        return 1;
    run.issues.arena = run.arena;
    run.cli = &cli;
    if (sl_cli_read(run.arena, argc, argv, usage, options, sizeof options / sizeof *options, &cli, &status))
        status = run_verb(&run, usage);
    sl_store_close(run.store);
    sl_policy_unref(run.policy);
    sl_arena_free(run.arena);
    return status;
}
