/* SPDX-License-Identifier: Apache-2.0 */
/* sluice policy check: every mistake of a policy directory, for people, as JSON and as SARIF. */
#include <string.h>
#include <time.h>

#include "check_clients.h"
#include "check_report.h"
#include "cmd_policy.h"
#include "sluice/generation.h"

#define REPORT_LIMIT ((size_t)64 << 20)

struct check_run {
    const struct sl_cli *cli;
    struct sl_issues issues;
    struct sl_policy *policy;
    int64_t now;
};

static int write_out(struct sl_buffer *text, const char *path)
{
    FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    bool good = file && !sl_buffer_failed(text) && fwrite(text->ptr, 1, text->len, file) == text->len;
    good = file && fflush(file) == 0 && good;
    if (file && file != stdout)
        good = fclose(file) == 0 && good;
    if (!good)
        fprintf(stderr, "%s: cannot be written\n", path);
    return good ? 0 : 1;
}

static int report(
    const struct check_run *run, void (*make)(const struct sl_check_report *, struct sl_buffer *), const char *path)
{
    struct sl_check_report what = {run->cli->operands[0], &run->issues, run->policy};
    struct sl_buffer text;
    sl_buffer_init(&text, REPORT_LIMIT);
    make(&what, &text);
    int failed = write_out(&text, path);
    sl_buffer_fini(&text);
    return failed;
}

static void print_counts(const struct check_run *run)
{
    static const struct {
        enum sl_grade grade;
        const char *one, *many;
    } words[] = {{SL_GRADE_ERROR, "error", "errors"}, {SL_GRADE_WARNING, "warning", "warnings"},
        {SL_GRADE_ADVICE, "piece of advice", "pieces of advice"}, {SL_GRADE_NOTE, "note", "notes"}};
    const char *between = "; ";
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t count = sl_check_count(&run->issues, words[i].grade);
        if (!count)
            continue;
        printf("%s%zu %s", between, count, count == 1 ? words[i].one : words[i].many);
        between = ", ";
    }
    printf("\n");
}

static int print_text(const struct check_run *run)
{
    sl_cli_issues(stderr, &run->issues, SL_GRADE_NOTE);
    if (!run->policy) {
        printf("%s: not in order", run->cli->operands[0]);
    } else {
        size_t parties = 0;
        sl_policy_parties(run->policy, &parties);
        printf("%.*s: in order; %zu classes, %zu parties; digest %.*s", SL_FMT(sl_policy_title(run->policy)),
            sl_policy_class_count(run->policy), parties, SL_FMT(sl_policy_digest(run->policy)));
    }
    print_counts(run);
    return 0;
}

static int finish(const struct check_run *run)
{
    const char *sarif = sl_cli_value(run->cli, "sarif");
    bool json = sl_cli_given(run->cli, "json"), to_stdout = sarif && strcmp(sarif, "-") == 0;
    int failed = sarif ? report(run, sl_check_sarif, sarif) : 0;
    if (json)
        failed |= report(run, sl_check_json, "-");
    else if (!to_stdout)
        failed |= print_text(run);
    bool strict = sl_cli_given(run->cli, "strict") &&
                  (sl_check_count(&run->issues, SL_GRADE_WARNING) || sl_check_count(&run->issues, SL_GRADE_ADVICE));
    return failed || !run->policy || strict;
}

/* A pack that is not as shipped is a mistake like any other; a directory without packs is only told of. */
static enum sl_status check_packs(struct check_run *run)
{
    size_t errors = run->issues.errors;
    enum sl_status status = sl_policy_check_packs(run->policy, &run->issues);
    if (run->issues.errors == errors)
        return status == SL_INVALID ? SL_OK : status;
    sl_policy_unref(run->policy);
    run->policy = NULL;
    return status;
}

static int check(struct check_run *run)
{
    if (run->cli->operand_count != 1) {
        fprintf(stderr, "usage: sluice policy check DIR [--json] [--sarif FILE] [--strict] [--registry FILE]\n");
        return 2;
    }
    if (sl_cli_given(run->cli, "json") && sl_cli_value(run->cli, "sarif") &&
        strcmp(sl_cli_value(run->cli, "sarif"), "-") == 0) {
        fprintf(stderr, "sluice: --json and --sarif - both write to standard output\n");
        return 2;
    }
    if (!sl_cli_instant(sl_cli_value(run->cli, "at"), &run->now)) {
        fprintf(stderr, "sluice: --at is an instant, YYYY-MM-DDThh:mm:ssZ\n");
        return 2;
    }
    enum sl_status status = sl_policy_load(run->cli->operands[0], &run->issues, &run->policy);
    if (status == SL_OK)
        status = sl_policy_review(run->policy, run->now, &run->issues);
    const char *registry = status == SL_OK ? sl_cli_value(run->cli, "registry") : NULL;
    if (registry)
        status = sl_check_clients(run->policy, registry, run->now, &run->issues);
    if (registry && status != SL_OK) /* of the registry's own mistakes the reports know nothing */
        return sl_cli_failed(registry, status, &run->issues);
    if (status == SL_OK)
        status = check_packs(run);
    if (status != SL_OK && status != SL_INVALID)
        return sl_cli_failed(run->cli->operands[0], status, &run->issues);
    return finish(run);
}

int sl_cmd_policy_check(int argc, char **argv)
{
    static const struct sl_option options[] = {
        {"json", SL_OPTION_FLAG, NULL, "write JSON instead of text", false},
        {"sarif", SL_OPTION_ONE, "FILE", "write SARIF 2.1.0 as well; -: instead, to standard output", false},
        {"strict", SL_OPTION_FLAG, NULL, "fail on warnings and advice too", false},
        {"registry", SL_OPTION_ONE, "FILE", "hold the registry of clients against it, too", false},
        {"at", SL_OPTION_ONE, "INSTANT", "check as of this instant (YYYY-MM-DDThh:mm:ssZ)", false},
    };
    struct sl_cli cli;
    struct check_run run = {.cli = &cli, .issues = {.arena = sl_arena_new((size_t)256 << 20)}};
    int status = 1;
    if (!run.issues.arena)
        return 1;
    if (sl_cli_read(run.issues.arena, argc, argv, "policy check DIR [options]", options,
            sizeof options / sizeof *options, &cli, &status))
        status = check(&run);
    sl_policy_unref(run.policy);
    sl_arena_free(run.issues.arena);
    return status;
}
