/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sluice register: what a privacy officer has entered about records and answers for. Nothing is ever erased: an entry
 * is added and, one day, ended. Options are made from the fields of sluice/register.def.
 */
#include "cli.h"

#include <stdlib.h>
#include <time.h>

#include "sluice/register.h"

struct register_run {
    struct sl_arena *arena;
    struct sl_issues issues;
    struct sl_store *store;
    const struct sl_cli *cli;
};

static int open_store(struct register_run *run, bool writable)
{
    const char *directory = sl_cli_value(run->cli, "store");
    enum sl_status status = sl_cli_policy_store(directory, writable, &run->issues, &run->store);
    return status == SL_OK ? 0 : sl_cli_failed(directory, status, &run->issues);
}

/* ---- Printing ---- */

static void print_instant(int64_t at)
{
    char when[32];
    time_t seconds = (time_t)at;
    struct tm tm;
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
    printf("%s", when);
}

static void print_values(const struct sl_register_entry *entry, enum sl_register_field field)
{
    for (size_t i = 0; i < entry->field[field].count; i++)
        printf(" %.*s", SL_FMT(entry->field[field].value[i]));
}

static void print_line(const struct sl_register_entry *entry)
{
    struct sl_slice kind = sl_register_kind_word(entry->kind);
    printf("%c %llu  ", entry->ended ? ' ' : '*', (unsigned long long)entry->number);
    print_instant(entry->entered);
    printf("  %.*s ", SL_FMT(kind));
    print_values(entry, SL_REGISTER_PATIENT);
    print_values(entry, SL_REGISTER_ITEMS);
    if (entry->ended)
        printf("  (ended)");
    else if (sl_register_lacks(entry))
        printf("  (nothing yet)");
    printf("\n");
}

/* What it lacks, and that somebody should have looked at it again: a hold does not end by that. */
static void print_standing(const struct sl_register_entry *entry)
{
    char today[32];
    time_t now = time(NULL);
    struct tm tm;
    struct sl_slice review = sl_register_value(entry, SL_REGISTER_REVIEW);
    size_t length = strftime(today, sizeof today, "%Y-%m-%d", gmtime_r(&now, &tm));
    const char *lacks = entry->ended ? NULL : sl_register_lacks(entry);
    if (lacks)
        printf("nothing yet: %s\n", lacks);
    if (!entry->ended && review.len >= length && memcmp(review.ptr, today, length) < 0)
        printf("look at it again: the day of its review has passed\n");
}

static void print_whole(const struct sl_register_entry *entry)
{
    struct sl_slice kind = sl_register_kind_word(entry->kind);
    printf("entry: %llu\nkind: %.*s\nentered: ", (unsigned long long)entry->number, SL_FMT(kind));
    print_instant(entry->entered);
    printf("\n");
    for (unsigned f = 0; f < SL_REGISTER_FIELDS; f++) {
        if (!entry->field[f].count)
            continue;
        printf("%s:", sl_register_field_key((enum sl_register_field)f));
        print_values(entry, (enum sl_register_field)f);
        printf("\n");
    }
    print_standing(entry);
    if (!entry->ended)
        return;
    printf("ended: ");
    print_instant(entry->ended_at);
    printf("\nended-by: %.*s\nended-why: %.*s\n", SL_FMT(entry->ended_by), SL_FMT(entry->ended_why));
}

static int load_list(struct register_run *run, struct sl_register_entries *out)
{
    int failed = open_store(run, false);
    if (failed)
        return failed;
    enum sl_status status = sl_register_list(run->store, run->arena, out);
    return status == SL_OK ? 0 : sl_cli_failed("the register", status, &run->issues);
}

static bool is_about(const struct sl_register_entry *entry, const char *what)
{
    static const enum sl_register_field names[] = {SL_REGISTER_PATIENT, SL_REGISTER_ITEMS};
    for (size_t f = 0; f < sizeof names / sizeof *names; f++)
        for (size_t i = 0; i < entry->field[names[f]].count; i++)
            if (sl_slice_eq(entry->field[names[f]].value[i], sl_slice_of(what)))
                return true;
    return false;
}

/* All entries, or those that name a patient or a record. */
static int list(struct register_run *run)
{
    struct sl_register_entries entries;
    const char *about = run->cli->operand_count > 1 ? run->cli->operands[1] : NULL;
    int failed = load_list(run, &entries);
    if (failed)
        return failed;
    for (size_t i = 0; i < entries.count; i++)
        if (!about || is_about(&entries.entry[i], about))
            print_line(&entries.entry[i]);
    return 0;
}

/* The number of an entry; 0: it is none. */
static uint64_t read_number(const char *text)
{
    char *end = NULL;
    uint64_t number = text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
    return end && *end == '\0' ? number : 0;
}

static int show(struct register_run *run)
{
    struct sl_register_entries entries;
    uint64_t number = read_number(run->cli->operands[1]);
    int failed = load_list(run, &entries);
    if (failed)
        return failed;
    for (size_t i = 0; i < entries.count; i++)
        if (entries.entry[i].number == number) {
            print_whole(&entries.entry[i]);
            return 0;
        }
    return sl_cli_failed(run->cli->operands[1], SL_MISSING, NULL);
}

/* ---- Adding ---- */

static struct sl_slice by(const struct register_run *run)
{
    const char *name = sl_cli_value(run->cli, "by");
    if (!name)
        name = getenv("USER");
    return sl_slice_of(name);
}

static enum sl_status fill(struct register_run *run, struct sl_register_entry *entry)
{
    for (unsigned f = 0; f < SL_REGISTER_FIELDS; f++) {
        size_t count = 0;
        const char *key = sl_register_field_key((enum sl_register_field)f);
        const char *const *given = sl_cli_values(run->cli, key, &count);
        if (f == SL_REGISTER_BY)
            count = by(run).len > 0;
        struct sl_slice *values = sl_arena_array(run->arena, count, sizeof *values);
        if (count && !values)
            return SL_NO_MEMORY;
        for (size_t i = 0; i < count; i++)
            values[i] = f == SL_REGISTER_BY ? by(run) : sl_slice_of(given[i]);
        entry->field[f] = (struct sl_register_values){values, count};
    }
    return SL_OK;
}

static int write(struct register_run *run, struct sl_register_entries *entries)
{
    int failed = open_store(run, true);
    if (failed)
        return failed;
    enum sl_status status = sl_register_add(run->store, entries->entry, entries->count, (int64_t)time(NULL));
    if (status == SL_LIMIT)
        return sl_cli_failed("nothing is entered: a file holds at most 999 entries", status, &run->issues);
    if (status != SL_OK)
        return sl_cli_failed("nothing is entered", status, &run->issues);
    for (size_t i = 0; i < entries->count; i++) {
        struct sl_slice who = sl_register_value(&entries->entry[i], SL_REGISTER_BY);
        printf("entry %llu is in the register, by %.*s\n", (unsigned long long)entries->entry[i].number, SL_FMT(who));
    }
    return 0;
}

static int add(struct register_run *run)
{
    struct sl_register_entry entry = {.kind = sl_register_kind_find(sl_slice_of(run->cli->operands[1]))};
    struct sl_register_entries one = {&entry, 1};
    enum sl_status status = fill(run, &entry);
    if (status == SL_OK)
        status = sl_register_check(&entry, &run->issues);
    return status == SL_OK ? write(run, &one) : sl_cli_failed("nothing is entered", status, &run->issues);
}

static int import(struct register_run *run)
{
    struct sl_register_entries entries;
    enum sl_status status =
        sl_register_load(run->cli->operands[1], by(run), (int64_t)time(NULL), &run->issues, &entries);
    return status == SL_OK ? write(run, &entries) : sl_cli_failed("nothing is entered", status, &run->issues);
}

static int end(struct register_run *run)
{
    uint64_t number = read_number(run->cli->operands[1]);
    struct sl_slice why = sl_slice_of(sl_cli_value(run->cli, "why"));
    if (!number || !why.len || !by(run).len) {
        fprintf(stderr, "sluice: an entry is ended by its number, with --why and --by\n");
        return 2;
    }
    int failed = open_store(run, true);
    if (failed)
        return failed;
    enum sl_status status = sl_register_end(run->store, number, by(run), why, (int64_t)time(NULL));
    if (status == SL_MISSING)
        return sl_cli_failed("not ended: there is no such entry", status, NULL);
    if (status == SL_EXISTS)
        return sl_cli_failed("not ended: it was ended before", status, NULL);
    if (status != SL_OK)
        return sl_cli_failed("not ended", status, &run->issues);
    printf("entry %llu is ended\n", (unsigned long long)number);
    return 0;
}

static const struct verb {
    const char *name;
    size_t least, most; /* operands, with the verb itself */
    int (*run)(struct register_run *run);
} verbs[] = {
    {"list", 1, 2, list},
    {"show", 2, 2, show},
    {"add", 2, 2, add},
    {"import", 2, 2, import},
    {"end", 2, 2, end},
};

static const char usage[] =
    "register list [Patient/ID | RECORD]  |  register show ENTRY  |  register add KIND --items RECORD… …\n"
    "       |  register import FILE.yaml  |  register end ENTRY --why TEXT   (each with --store DIR)";

static int run_verb(struct register_run *run)
{
    const struct sl_cli *cli = run->cli;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (cli->operand_count >= verbs[i].least && cli->operand_count <= verbs[i].most &&
            strcmp(cli->operands[0], verbs[i].name) == 0)
            return verbs[i].run(run);
    fprintf(stderr, "usage: sluice %s\nkinds:", usage);
    for (unsigned kind = 1; kind < SL_REGISTER_KINDS; kind++) {
        struct sl_slice word = sl_register_kind_word((enum sl_register_kind)kind);
        fprintf(stderr, " %.*s", SL_FMT(word));
    }
    fprintf(stderr, "\n");
    return 2;
}

int sl_cmd_register(int argc, char **argv)
{
    struct sl_option options[SL_REGISTER_FIELDS + 1] = {{"store", SL_OPTION_ONE, "DIR", "the policy store", true}};
    for (unsigned f = 0; f < SL_REGISTER_FIELDS; f++) {
        enum sl_register_field field = (enum sl_register_field)f;
        bool many = sl_register_field_many(field);
        options[f + 1] = (struct sl_option){sl_register_field_key(field), many ? SL_OPTION_MANY : SL_OPTION_ONE,
            many ? "VALUE…" : "VALUE", sl_register_field_help(field), false};
    }
    struct register_run run = {.arena = sl_arena_new((size_t)8 << 30)};
    struct sl_cli cli;
    int status = 1;
    run.issues.arena = run.arena;
    run.cli = &cli;
    if (run.arena &&
        sl_cli_read(run.arena, argc, argv, usage, options, sizeof options / sizeof *options, &cli, &status))
        status = run_verb(&run);
    sl_store_close(run.store);
    sl_arena_free(run.arena);
    return status;
}
