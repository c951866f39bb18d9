/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sluice queue: what waits for the privacy officer: records that a rule holds, and what rules ask to be told or looked
 * at. It is read from the ledger; `done` is noted in the policy store, with who and why.
 */
#include "cli.h"

#include <stdlib.h>
#include <time.h>

#include "sluice/queue.h"

#define QUEUE_ARENA ((size_t)4 << 30)

struct queue_run {
    struct sl_arena *arena;
    struct sl_issues issues;
    struct sl_store *store;
    struct sl_queue queue;
    const struct sl_cli *cli;
    int64_t now;
};

static int load(struct queue_run *run, bool writable)
{
    const char *directory = sl_cli_value(run->cli, "store"), *ledger = sl_cli_value(run->cli, "ledger");
    enum sl_status status = sl_cli_policy_store(directory, writable, &run->issues, &run->store);
    if (status != SL_OK)
        return sl_cli_failed(directory, status, &run->issues);
    status = sl_queue_read(ledger, run->store, run->arena, &run->issues, &run->queue);
    return status == SL_OK ? 0 : sl_cli_failed(ledger, status, &run->issues);
}

/* ---- Printing ---- */

static void print_time(const char *lead, int64_t at, const char *end)
{
    char when[32];
    time_t seconds = (time_t)at;
    struct tm tm;
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
    printf("%s%s%s", lead, when, end);
}

static void print_day(const char *lead, int64_t at)
{
    char when[32];
    time_t seconds = (time_t)at;
    struct tm tm;
    strftime(when, sizeof when, "%Y-%m-%d", gmtime_r(&seconds, &tm));
    printf("%s%s", lead, when);
}

static bool is_overdue(const struct queue_run *run, const struct sl_queue_entry *e)
{
    return !e->done && e->due && run->now >= e->due;
}

static void print_asked(const struct sl_queue_entry *e)
{
    const char *between = "";
    if (e->held) {
        printf("held");
        between = ", ";
    }
    if (e->notify) {
        printf("%stold", between);
        between = ", ";
    }
    if (e->due)
        printf("%sto review", between);
}

static void print_line(const struct queue_run *run, const struct sl_queue_entry *e)
{
    printf("%c %llu.%u  ", e->done ? ' ' : '*', (unsigned long long)e->sequence, e->place);
    print_time("", e->first, "  ");
    print_asked(e);
    printf("  %.*s  %.*s  for %.*s%s%.*s", SL_FMT(e->rule), SL_FMT(e->item), SL_FMT(e->client), e->user.len ? "/" : "",
        SL_FMT(e->user));
    if (e->due)
        print_day("  due ", e->due);
    printf("%s%s\n", is_overdue(run, e) ? " OVERDUE" : "", e->done ? "  (done)" : "");
}

/* What is open; with --all, what has been done too. */
static int list(struct queue_run *run)
{
    int failed = load(run, false);
    bool all = sl_cli_given(run->cli, "all");
    size_t open = 0, overdue = 0;
    for (size_t i = 0; i < run->queue.count && !failed; i++) {
        const struct sl_queue_entry *e = &run->queue.entry[i];
        open += !e->done;
        overdue += is_overdue(run, e);
        if (all || !e->done)
            print_line(run, e);
    }
    if (!failed)
        printf("%zu open, %zu overdue\n", open, overdue);
    return failed;
}

static void print_text(const char *key, struct sl_slice text)
{
    if (text.len)
        printf("%s: %.*s\n", key, SL_FMT(text));
}

static struct sl_queue_entry *find(struct queue_run *run, int *failed)
{
    const char *number = run->cli->operands[1];
    struct sl_queue_entry *e = *failed ? NULL : sl_queue_find(&run->queue, sl_slice_of(number));
    if (!*failed && !e)
        *failed = sl_cli_failed(number, SL_MISSING, NULL);
    return e;
}

static int show(struct queue_run *run)
{
    int failed = load(run, false);
    const struct sl_queue_entry *e = find(run, &failed);
    if (!e)
        return failed;
    printf("entry: %llu.%u\nwhat: ", (unsigned long long)e->sequence, e->place);
    print_asked(e);
    printf("\n");
    print_text("rule", e->rule);
    print_text("record", e->item);
    print_text("patient", e->patient);
    print_text("client", e->client);
    print_text("user", e->user);
    print_text("name", e->name);
    print_text("purpose", e->purpose);
    print_time("first: ", e->first, "\n");
    print_time("last: ", e->last, "\n");
    printf("asked: %zu times\n", e->times);
    if (e->due)
        print_day("due: ", e->due);
    if (e->due)
        printf("%s\n", is_overdue(run, e) ? " OVERDUE" : "");
    if (e->done) {
        print_time("done: ", e->done_at, "\n");
        print_text("done-by", e->done_by);
        print_text("done-why", e->done_why);
    }
    return 0;
}

/* ---- Done ---- */

static int done(struct queue_run *run)
{
    const char *by = sl_cli_value(run->cli, "by");
    struct sl_slice who = sl_slice_of(by ? by : getenv("USER")), why = sl_slice_of(sl_cli_value(run->cli, "why"));
    if (!who.len || !why.len) {
        fprintf(stderr, "sluice: an entry is done by its number, with --why and --by\n");
        return 2;
    }
    int failed = load(run, true);
    const struct sl_queue_entry *e = find(run, &failed);
    if (!e)
        return failed;
    enum sl_status status = sl_queue_done(run->store, &run->queue, e, who, why, run->now);
    if (status == SL_EXISTS)
        return sl_cli_failed("not noted: it was done before", status, NULL);
    if (status != SL_OK)
        return sl_cli_failed("not noted", status, &run->issues);
    printf("entry %s is done, by %.*s\n", run->cli->operands[1], SL_FMT(who));
    return 0;
}

static const struct verb {
    const char *name;
    size_t operands; /* with the verb itself */
    int (*run)(struct queue_run *run);
} verbs[] = {{"list", 1, list}, {"show", 2, show}, {"done", 2, done}};

static const char usage[] = "queue list [--all]  |  queue show ENTRY  |  queue done ENTRY --why TEXT [--by NAME]\n"
                            "       (each with --store DIR --ledger DIR)";

static int run_verb(struct queue_run *run)
{
    const struct sl_cli *cli = run->cli;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (cli->operand_count == verbs[i].operands && strcmp(cli->operands[0], verbs[i].name) == 0)
            return verbs[i].run(run);
    fprintf(stderr, "usage: sluice %s\n", usage);
    return 2;
}

int sl_cmd_queue(int argc, char **argv)
{
    static const struct sl_option options[] = {
        {"store", SL_OPTION_ONE, "DIR", "the policy store", true},
        {"ledger", SL_OPTION_ONE, "DIR", "the ledger", true},
        {"all", SL_OPTION_FLAG, "", "list: also what has been done", false},
        {"at", SL_OPTION_ONE, "INSTANT", "as of another instant (YYYY-MM-DDThh:mm:ssZ)", false},
        {"by", SL_OPTION_ONE, "NAME", "done: who did it (the user's name)", false},
        {"why", SL_OPTION_ONE, "TEXT", "done: what was decided, and why", false},
    };
    struct queue_run run = {.arena = sl_arena_new(QUEUE_ARENA)};
    struct sl_cli cli;
    int status = 1;
    run.issues.arena = run.arena;
    run.cli = &cli;
    if (run.arena &&
        sl_cli_read(run.arena, argc, argv, usage, options, sizeof options / sizeof *options, &cli, &status)) {
        status = 2;
        if (sl_cli_instant(sl_cli_value(&cli, "at"), &run.now))
            status = run_verb(&run);
        else
            fprintf(stderr, "sluice: --at is no instant\n");
    }
    sl_store_close(run.store);
    sl_arena_free(run.arena);
    return status;
}
