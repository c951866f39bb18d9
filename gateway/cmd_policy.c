/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sluice policy: what a privacy officer does with a directory of policy files. Each verb is a row; the engines are in
 * consent/ and are the ones the gateway decides with.
 */
#include "cmd_policy.h"

#include <stdlib.h>

#include "sluice/buffer.h"
#include "sluice/generation.h"

struct policy_run {
    struct sl_arena *arena;
    struct sl_issues issues;
    struct sl_policy *policy;
    const struct sl_cli *cli;
};

static enum sl_status load_generation(struct policy_run *run, const char *word, struct sl_policy **out)
{
    const char *directory = sl_cli_value(run->cli, "store");
    char *end = NULL;
    uint64_t number = strtoull(word, &end, 10);
    if (!directory || !*word || *end) {
        fprintf(
            stderr, "sluice: --generation takes numbers (sluice policy list), and --store DIR says of which store\n");
        return SL_INVALID;
    }
    struct sl_store *store =
        NULL; /* closed again: other verbs open it as well, and a process may do so once at a time */
    SL_TRY(sl_cli_policy_store(directory, false, &run->issues, &store));
    enum sl_status status = sl_policy_of_generation(store, number, &run->issues, out);
    sl_store_close(store);
    return status;
}

/* The policies that a verb works on: the generations of --generation, then directories. */
static int load_at(struct policy_run *run, size_t at, struct sl_policy **out)
{
    size_t count = 0;
    const char *const *numbers = sl_cli_values(run->cli, "generation", &count);
    const char *name = at < count ? numbers[at] : run->cli->operands[1 + at - count];
    enum sl_status status = at < count ? load_generation(run, name, out) : sl_policy_load(name, &run->issues, out);
    sl_cli_issues(stderr, &run->issues, SL_GRADE_NOTE);
    if (status == SL_OK)
        return 0;
    if (run->issues.errors)
        fprintf(
            stderr, "%s: not in order: %zu error%s\n", name, run->issues.errors, run->issues.errors == 1 ? "" : "s");
    else
        fprintf(stderr, "sluice: %s%s: %s\n", at < count ? "generation " : "", name, sl_status_name(status));
    return 1;
}

static int load(struct policy_run *run)
{
    return load_at(run, 0, &run->policy);
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
    if (load(run) || load_at(run, 1, &after))
        return 1;
    sl_buffer_init(&text, (size_t)64 << 20);
    enum sl_status status = sl_policy_diff(run->policy, after, run->arena, &text, &result);
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
    bool under = run->cli->operand_count > 1 || sl_cli_given(run->cli, "generation");
    if (under && load(run))
        return 1;
    return sl_policy_replay(run->cli, sl_cli_value(run->cli, "days"), NULL, run->policy, &run->issues);
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
};

static int run_verb(struct policy_run *run, const char *usage)
{
    size_t generations = 0;
    sl_cli_values(run->cli, "generation", &generations);
    for (size_t i = 0; run->cli->operand_count && i < sizeof verbs / sizeof *verbs; i++)
        if (run->cli->operand_count + generations == verbs[i].operands &&
            strcmp(run->cli->operands[0], verbs[i].name) == 0)
            return verbs[i].run(run);
    fprintf(stderr, "usage: sluice %s\n", usage);
    return 2;
}

int sl_cmd_policy(int argc, char **argv)
{
    static const struct sl_option options[] = {
        {"store", SL_OPTION_ONE, "DIR", "the policy store (replay, and for --generation)", false},
        {"generation", SL_OPTION_MANY, "N…", "a generation, in the place of a directory (all but check)", false},
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
    static const char usage[] =
        "policy VERB …\n"
        "  check DIR                  what is wrong in it, where, why, and what to do (check --help)\n"
        "  test DIR                   run its scenarios\n"
        "  matrix DIR                 who sees what\n"
        "  render DIR                 all of it in plain English: what is signed\n"
        "  diff DIR NEW               what NEW releases that DIR does not, and the other way round\n"
        "  explain                    why a record goes or stays, and what would alter it (explain --help)\n"
        "  replay [DIR]               decide the ledger again, under DIR or as it was\n"
        "  schema                     the language as a JSON Schema, for editors\n"
        "  activate, rollback, list, show, sign, keys\n"
        "                             put it in force, take it back, and who approves (activate --help)\n";
    if (argc > 1 && strcmp(argv[1], "explain") == 0)
        return sl_cmd_policy_explain(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "check") == 0)
        return sl_cmd_policy_check(argc - 1, argv + 1);
    if (argc > 1 && sl_policy_is_generation_verb(argv[1]))
        return sl_cmd_policy_generation(argc, argv);
    struct policy_run run = {.arena = sl_arena_new((size_t)256 << 20)};
    struct sl_cli cli;
    int status = 1;
    if (!run.arena)
        return 1;
    run.issues.arena = run.arena;
    run.cli = &cli;
    if (sl_cli_read(run.arena, argc, argv, usage, options, sizeof options / sizeof *options, &cli, &status))
        status = run_verb(&run, usage);
    sl_policy_unref(run.policy);
    sl_arena_free(run.arena);
    return status;
}
