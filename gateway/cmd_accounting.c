/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sluice ledger accounting: the list of disclosures that a patient may ask for (42 CFR 2.25, 45 CFR 164.528), and that
 * of an intermediary (42 CFR 2.24). Rows are written as the ledger is read.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "registry.h"
#include "sluice/accounting.h"
#include "sluice/arena.h"
#include "sluice/buffer.h"

#define PATIENTS_LIMIT 64u
#define ROW_LIMIT ((size_t)64 << 20)
#define DAY 86400
#define DAYS_TO_ANSWER 30 /* 42 CFR 2.24(b) */

struct run {
    const struct sl_cli *cli;
    struct sl_issues issues;
    struct sl_registry *registry; /* NULL: not given */
    struct sl_slice patients[PATIENTS_LIMIT];
    struct sl_accounting_options options;
    int64_t due; /* 0: no day of a request was given */
    bool json, failed;
    struct sl_buffer row;
    uint64_t told;
};

/* ---- One row ---- */

static struct sl_slice day(char room[16], int64_t at)
{
    time_t seconds = (time_t)at;
    struct tm tm;
    size_t len = gmtime_r(&seconds, &tm) ? strftime(room, 16, "%Y-%m-%d", &tm) : 0;
    return (struct sl_slice){room, len};
}

/* What came with a token could end a line. */
static void plain(struct sl_buffer *out, struct sl_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        sl_buffer_add(out, c < ' ' || c == 0x7f ? SL_LIT(" ") : (struct sl_slice){text.ptr + i, 1});
    }
}

/* The entity: by name if one is known, from the ledger first, for it is what was so then. */
static struct sl_slice name_of(const struct sl_disclosure *d, const struct sl_registered_client *client)
{
    const struct sl_slice none = {NULL, 0};
    const struct sl_slice names[] = {d->organization_name, client ? client->organization_name : none,
        client ? client->title : none, d->organization};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].len)
            return names[i];
    return d->client;
}

static void member(struct sl_buffer *out, const char *name, struct sl_slice value)
{
    if (!value.len)
        return;
    sl_buffer_printf(out, ",\"%s\":", name);
    sl_buffer_json_string(out, value);
}

static void write_json(struct run *run, const struct sl_disclosure *d, const struct sl_registered_client *client)
{
    struct sl_buffer *out = &run->row;
    char room[16];
    sl_buffer_printf(out, "%s{\"entry\":%llu", run->told ? ",\n" : "", (unsigned long long)d->sequence);
    member(out, "date", day(room, d->time));
    member(out, "recipient", name_of(d, client));
    member(out, "organization", d->organization);
    member(out, "address", client ? client->address : (struct sl_slice){NULL, 0});
    if (!run->options.intermediary)
        member(out, "person", d->person);
    member(out, "client", d->client);
    member(out, "description", d->description);
    member(out, "purpose", d->purpose);
    member(out, "basis", d->basis);
    sl_buffer_printf(out, ",\"emergency\":%s}", d->emergency ? "true" : "false");
}

static void write_text(struct run *run, const struct sl_disclosure *d, const struct sl_registered_client *client)
{
    struct sl_buffer *out = &run->row;
    char room[16];
    sl_buffer_add(out, day(room, d->time));
    sl_buffer_add(out, SL_LIT("  "));
    plain(out, name_of(d, client));
    if (client && client->address.len) {
        sl_buffer_add(out, SL_LIT(", "));
        plain(out, client->address);
    }
    if (!run->options.intermediary && d->person.len) {
        sl_buffer_add(out, SL_LIT(" ("));
        plain(out, d->person);
        sl_buffer_add(out, SL_LIT(")"));
    }
    sl_buffer_printf(out, "  %.*s  for ", SL_FMT(d->description));
    plain(out, d->purpose.len ? d->purpose : SL_LIT("no purpose that it named"));
    if (d->basis.len) {
        sl_buffer_add(out, SL_LIT("  on "));
        plain(out, d->basis);
    }
    sl_buffer_printf(out, "  (entry %llu)\n", (unsigned long long)d->sequence);
}

static bool flush(struct run *run)
{
    bool good = !sl_buffer_failed(&run->row) && fwrite(run->row.ptr, 1, run->row.len, stdout) == run->row.len;
    sl_buffer_clear(&run->row);
    run->failed |= !good;
    return good;
}

static bool print_row(void *context, const struct sl_disclosure *d)
{
    struct run *run = context;
    const struct sl_registered_client *client =
        run->registry ? sl_registry_client(run->registry, d->issuer, d->client) : NULL;
    (run->json ? write_json : write_text)(run, d, client);
    run->told++;
    return flush(run);
}

/* ---- The list ---- */

static void write_head(struct run *run)
{
    char from[16], to[16];
    struct sl_slice since = day(from, run->options.since), until = day(to, run->options.until);
    const char *lists[] = {"Accounting of disclosures (42 CFR 2.25, 45 CFR 164.528)",
        "Entities to which an intermediary disclosed (42 CFR 2.24)"};
    struct sl_buffer *out = &run->row;
    if (run->json)
        sl_buffer_add(out, run->options.intermediary ? SL_LIT("{\"list\":\"intermediary\",\"patients\":[")
                                                     : SL_LIT("{\"list\":\"accounting\",\"patients\":["));
    else
        sl_buffer_printf(out, "%s of ", lists[run->options.intermediary]);
    for (size_t i = 0; i < run->options.patient_count; i++) {
        sl_buffer_add(out, i ? (run->json ? SL_LIT(",") : SL_LIT(", ")) : SL_LIT(""));
        if (run->json)
            sl_buffer_json_string(out, run->patients[i]);
        else
            plain(out, run->patients[i]);
    }
    if (run->json)
        sl_buffer_printf(out, "],\"from\":\"%.*s\",\"to\":\"%.*s\",\"disclosures\":[\n", SL_FMT(since), SL_FMT(until));
    else
        sl_buffer_printf(out, ", %.*s to %.*s\n\n", SL_FMT(since), SL_FMT(until));
}

/* A list that lacks what was pruned must not look whole. */
static void write_end(struct run *run, const struct sl_accounted *result)
{
    char room[16];
    struct sl_buffer *out = &run->row;
    struct sl_slice first = result->pruned ? day(room, result->first) : (struct sl_slice){NULL, 0};
    if (run->json) {
        sl_buffer_printf(out, "],\"count\":%llu", (unsigned long long)result->rows);
        member(out, "ledger-begins", first);
        if (run->due)
            member(out, "answer-by", day(room, run->due));
        sl_buffer_add(out, SL_LIT("}\n"));
        return;
    }
    sl_buffer_printf(out, "%s%llu disclosure%s.\n", result->rows ? "\n" : "", (unsigned long long)result->rows,
        result->rows == 1 ? "" : "s");
    if (first.len)
        sl_buffer_printf(out, "The ledger begins on %.*s: what was before is not listed.\n", SL_FMT(first));
    if (run->due)
        sl_buffer_printf(out, "The answer is due by %.*s.\n", SL_FMT(day(room, run->due)));
}

static int list(struct run *run)
{
    const char *ledger = sl_cli_value(run->cli, "ledger");
    struct sl_accounted result;
    sl_buffer_init(&run->row, ROW_LIMIT);
    write_head(run);
    (void)flush(run);
    enum sl_status status =
        run->failed ? SL_IO : sl_accounting(ledger, &run->options, &run->issues, print_row, run, &result);
    if (status == SL_OK && !run->failed) {
        write_end(run, &result);
        (void)flush(run);
    }
    run->failed |= fflush(stdout) != 0;
    sl_buffer_fini(&run->row);
    if (status == SL_OK && run->failed)
        status = SL_IO;
    return status == SL_OK ? 0 : sl_cli_failed(ledger, status, &run->issues);
}

/* ---- What is asked ---- */

static int wrong(const char *why)
{
    fprintf(stderr, "sluice: %s\n", why);
    return 2;
}

static bool read_day(const char *text, int64_t *out)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%d", &tm);
    *out = (int64_t)timegm(&tm);
    return end && !*end;
}

static int read_patients(struct run *run)
{
    size_t count;
    const char *const *values = sl_cli_values(run->cli, "patient", &count);
    if (count > PATIENTS_LIMIT)
        return wrong("a person has at most 64 references here");
    for (size_t i = 0; i < count; i++) {
        run->patients[i] = sl_slice_of(values[i]);
        if (!sl_slice_starts(run->patients[i], SL_LIT("Patient/")) || run->patients[i].len == sizeof "Patient/" - 1)
            return wrong("--patient is a reference: Patient/x");
    }
    run->options.patients = run->patients;
    run->options.patient_count = count;
    return 0;
}

/* The years are those before the day of the request, or of --at; what the ledger has since then counts as well. */
static int read_period(struct run *run)
{
    const char *years = sl_cli_value(run->cli, "years"), *requested = sl_cli_value(run->cli, "requested");
    int64_t asked;
    if (years && strcmp(years, "3") != 0 && strcmp(years, "6") != 0)
        return wrong("--years is 3 or 6");
    if (run->options.intermediary && years && *years == '6')
        return wrong("an intermediary's list is of 3 years");
    if (requested && !run->options.intermediary)
        return wrong("--requested goes with --intermediary");
    if (!sl_cli_instant(sl_cli_value(run->cli, "at"), &run->options.until))
        return wrong("--at is an instant, YYYY-MM-DDThh:mm:ssZ");
    asked = run->options.until;
    if (requested && !read_day(requested, &asked))
        return wrong("--requested is a day, YYYY-MM-DD");
    if (requested && asked > run->options.until)
        return wrong("--requested is a day that is still to come");
    run->due = requested ? asked + (int64_t)DAYS_TO_ANSWER * DAY : 0;
    run->options.since = sl_years_before(asked, years && *years == '6' ? 6 : 3);
    return 0;
}

static int account(struct run *run)
{
    const char *registry = sl_cli_value(run->cli, "registry");
    run->json = sl_cli_given(run->cli, "json");
    run->options.intermediary = sl_cli_given(run->cli, "intermediary");
    int usage = read_patients(run);
    if (!usage)
        usage = read_period(run);
    if (usage)
        return usage;
    /* It serves names and addresses alone: whose clients they are was settled when they asked. */
    enum sl_status status = registry ? sl_registry_load(registry, true, &run->issues, &run->registry) : SL_OK;
    int failed = status == SL_OK ? list(run) : sl_cli_failed(registry, status, &run->issues);
    sl_registry_free(run->registry);
    return failed;
}

int sl_ledger_accounting(int argc, char **argv)
{
    static const struct sl_option options[] = {
        {"patient", SL_OPTION_MANY, "PATIENT", "Patient/x; each reference that the person is known by", true},
        {"ledger", SL_OPTION_ONE, "DIR", "the ledger", true},
        {"years", SL_OPTION_ONE, "N", "3 (42 CFR 2.25; if not said), or 6 (45 CFR 164.528)", false},
        {"intermediary", SL_OPTION_FLAG, NULL, "the entities to which something went on a consent (42 CFR 2.24)",
            false},
        {"requested", SL_OPTION_ONE, "DAY", "the day of the request: with --intermediary", false},
        {"registry", SL_OPTION_ONE, "FILE", "the registry of clients, for names and addresses", false},
        {"at", SL_OPTION_ONE, "INSTANT", "as of this instant (YYYY-MM-DDThh:mm:ssZ)", false},
        {"json", SL_OPTION_FLAG, NULL, "write JSON instead of text", false},
    };
    struct sl_cli cli;
    struct run run = {.cli = &cli, .issues = {.arena = sl_arena_new((size_t)256 << 20)}};
    int status = 1;
    if (!run.issues.arena)
        return 1;
    if (sl_cli_read(run.issues.arena, argc, argv, "ledger accounting --patient PATIENT --ledger DIR [options]", options,
            sizeof options / sizeof *options, &cli, &status))
        status = account(&run);
    sl_arena_free(run.issues.arena);
    return status;
}
