/* SPDX-License-Identifier: Apache-2.0 */
/* sluice consent: FHIR Consent R4 from files into the policy store by person, and what is stored for one. */
#include "cli.h"
#include <time.h>

#include "sluice/directive.h"
#include "sluice/generation.h"
#include "sluice/span.h"
#include "sluice/store.h"

#include "sluice/r4.h"

struct text {
    const char *path;
    struct sl_doc doc;
    struct text *next;
};

struct importing {
    struct sl_arena *arena;
    struct sl_issues *issues;
    struct sl_store *store;
    struct text *first, *last;
    const char *path; /* of the file at hand */
    size_t imported, refused, other;
};

static bool is_type(const struct sl_doc *doc, uint32_t root, struct sl_slice type)
{
    uint32_t member = doc->spans[root].type == SL_SPAN_OBJECT ? sl_span_member(doc, root, SL_NAME_resourceType) : 0;
    return member && sl_span_is(doc, member, type);
}

static enum sl_status import_one(struct importing *in, const struct sl_doc *doc, uint32_t root)
{
    if (!is_type(doc, root, SL_LIT("Consent"))) {
        in->other++;
        return SL_OK;
    }
    struct sl_issue *last = in->issues->last;
    enum sl_status status = sl_directives_import(in->store, doc, root, in->issues);
    for (struct sl_issue *i = last ? last->next : in->issues->first; i; i = i->next)
        if (!i->file.len)
            i->file = sl_slice_of(in->path);
    in->imported += status == SL_OK;
    in->refused += status == SL_INVALID;
    return status == SL_INVALID ? SL_OK : status;
}

static enum sl_status import_doc(struct importing *in, const struct sl_doc *doc)
{
    if (!is_type(doc, 0, SL_LIT("Bundle")))
        return import_one(in, doc, 0);
    uint32_t entries = sl_span_member(doc, 0, SL_NAME_entry);
    for (uint32_t e = entries + 1; entries && e < doc->spans[entries].next; e = doc->spans[e].next) {
        uint32_t resource = doc->spans[e].type == SL_SPAN_OBJECT ? sl_span_member(doc, e, SL_NAME_resource) : 0;
        if (resource)
            SL_TRY(import_one(in, doc, resource));
    }
    return SL_OK;
}

/* ---- Reading: every file whole, before the first Consent is stored ---- */

static enum sl_status keep(struct importing *in, struct sl_slice json, struct sl_doc_error *error)
{
    struct text *text = sl_arena_alloc(in->arena, sizeof *text);
    if (!text)
        return SL_NO_MEMORY;
    *text = (struct text){.path = in->path};
    SL_TRY(sl_doc_parse(in->arena, json, NULL, &text->doc, error));
    if (in->last)
        in->last->next = text;
    else
        in->first = text;
    in->last = text;
    return SL_OK;
}

static void report(struct importing *in, struct sl_slice file, size_t offset, const char *why)
{
    struct sl_issue *issue =
        sl_issue_add(in->issues, SL_GRADE_ERROR, "bad-json", "cannot be read: %s", why ? why : "too large");
    if (!issue)
        return;
    issue->file = sl_slice_of(in->path);
    issue->line = issue->column = 1;
    for (size_t i = 0; i < offset && i < file.len; i++) {
        issue->column = file.ptr[i] == '\n' ? 1 : issue->column + 1;
        issue->line += file.ptr[i] == '\n';
    }
}

static struct sl_slice first_line(struct sl_slice text)
{
    const char *end = text.len ? memchr(text.ptr, '\n', text.len) : NULL;
    return (struct sl_slice){text.ptr, end ? (size_t)(end - text.ptr) : text.len};
}

static bool is_blank(struct sl_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!strchr(" \t\r\n", text.ptr[i]))
            return false;
    return true;
}

/* One JSON text, or NDJSON: where the whole is none, but its first line is one. */
static enum sl_status read_file(struct importing *in, const char *path)
{
    struct sl_slice file;
    struct sl_doc_error error = {0};
    struct sl_doc first;
    in->path = path;
    enum sl_status status = sl_cli_read_file(in->arena, path, (size_t)1 << 30, &file);
    if (status != SL_OK) {
        report(in, SL_LIT(""), 0, "the file is not there, not readable, or too large");
        return status;
    }
    status = keep(in, file, &error);
    if (status == SL_OK)
        return SL_OK;
    struct sl_slice rest = file, line = first_line(file);
    if (status == SL_NO_MEMORY || sl_doc_parse(in->arena, line, NULL, &first, NULL) != SL_OK) {
        report(in, file, error.offset, error.why);
        return status;
    }
    for (; rest.len; rest = sl_slice_from(rest, line.len + 1)) {
        line = first_line(rest);
        status = is_blank(line) ? SL_OK : keep(in, line, &error);
        if (status == SL_OK)
            continue;
        report(in, file, (size_t)(line.ptr - file.ptr) + error.offset, error.why);
        return status;
    }
    return SL_OK;
}

static int import_files(struct importing *in, const struct sl_cli *cli)
{
    for (size_t i = 1; i < cli->operand_count; i++) {
        enum sl_status status = read_file(in, cli->operands[i]);
        if (status != SL_OK)
            return sl_cli_failed("nothing is imported", status, in->issues);
    }
    for (const struct text *text = in->first; text; text = text->next) {
        in->path = text->path;
        enum sl_status status = import_doc(in, &text->doc);
        if (status != SL_OK)
            return sl_cli_failed(text->path, status, in->issues);
    }
    sl_cli_issues(stderr, in->issues, SL_GRADE_WARNING);
    printf("%zu consent%s imported, %zu refused, %zu other resource%s passed over\n", in->imported,
        in->imported == 1 ? "" : "s", in->refused, in->other, in->other == 1 ? "" : "s");
    return in->refused ? 1 : 0;
}

/* ---- What each counts as ---- */

struct showing {
    const struct sl_policy *policy; /* NULL: none is in force, and nothing can be said of kinds */
    const struct sl_directives *all;
    int64_t now;
};

/* Does it permit anything now? What it counts as matters only then. */
static bool may_permit(const struct showing *s, const struct sl_directive *d)
{
    const struct sl_directive *by;
    return sl_directive_fate(s->all, d, s->now, &by) == SL_FATE_STANDS && sl_directive_permits_something(d);
}

static void show_fate(const struct showing *s, const struct sl_directive *d)
{
    static const char *const words[] = {[SL_FATE_NONE] = "nothing is known of it",
        [SL_FATE_STANDS] = "stands",
        [SL_FATE_DENIES_ONLY] = "permits nothing: not dated, not verified, or holding something not understood; denies",
        [SL_FATE_PERMIT_ENDED] = "permits nothing any more, and denies what it denied; ended by",
        [SL_FATE_SUPERSEDED] = "is replaced by",
        [SL_FATE_NOT_ACTIVE] = "is not active",
        [SL_FATE_OTHER_SCOPE] = "is not about privacy, by its scope",
        [SL_FATE_NOT_YET] = "is not in force yet: its date is in the future",
        [SL_FATE_OVER] = "is over: its period has ended"};
    const struct sl_directive *by;
    int64_t until;
    char day[32] = "";
    enum sl_consent_fate fate = sl_directive_fate(s->all, d, s->now, &by);
    struct sl_slice other = by ? sl_directive_id(by) : SL_LIT("");
    printf("  %s%s%.*s\n", words[fate], by ? " " : "", SL_FMT(other));
    if (sl_directive_until(d, &until)) {
        time_t last = (time_t)(until - 1);
        struct tm when;
        if (gmtime_r(&last, &when) && strftime(day, sizeof day, "%Y-%m-%d %H:%M:%S UTC", &when))
            printf("  holds until %s\n", day);
    } else {
        printf("  says no end\n");
    }
}

static void show_row(const struct showing *s, const struct sl_directive *d, const struct sl_consent_kind *row)
{
    unsigned lacks = sl_directive_lacks(d, s->policy, row, (struct sl_slice){NULL, 0}, s->now);
    if (lacks == SL_CONSENT_OF_ANOTHER_KIND)
        return;
    printf("  %s %.*s%s%.*s%s\n",
        row->refuses        ? "is a refusal,"
        : lacks             ? "is no"
        : !may_permit(s, d) ? "permits nothing now, and would count as"
                            : "counts as",
        SL_FMT(row->id), row->form.len ? " (form " : "", SL_FMT(row->form), row->form.len ? ")" : "");
    for (unsigned e = 0; e < SL_ELEMENTS && !row->refuses; e++)
        if (lacks >> e & 1)
            printf("    lacks %s\n", sl_consent_element_lacking((enum sl_consent_element)e));
}

static void show_one(const struct showing *s, const struct sl_directive *d, struct sl_arena *arena)
{
    struct sl_slice id = sl_directive_id(d), scope = sl_directive_scope(d, arena);
    size_t count = 0;
    const struct sl_consent_kind *rows = s->policy ? sl_policy_consent_kinds(s->policy, &count) : NULL;
    printf("%.*s: %.*s\n", SL_FMT(id), SL_FMT(scope));
    if (sl_directive_permits_something(d) && sl_directive_denies_something(d))
        printf("  denies a part of it, or all but a part\n");
    show_fate(s, d);
    for (size_t i = 0; i < count; i++)
        show_row(s, d, &rows[i]);
}

static int show_person(struct importing *in, const char *patient, const char *directory)
{
    struct sl_directives directives = {0};
    struct sl_policy *policy = NULL;
    uint64_t generation;
    struct showing showing = {.all = &directives};
    enum sl_status status = sl_directives_of(in->store, sl_slice_of(patient), in->arena, &directives);
    if (status == SL_OK)
        status = directory ? sl_policy_load(directory, in->issues, &policy)
                           : sl_policy_in_force(in->store, in->issues, &generation, &policy);
    if (status == SL_MISSING)
        fprintf(
            stderr, "sluice: no policy is in force: what a Consent counts as cannot be said; --policy DIR names one\n");
    else if (status != SL_OK)
        return sl_cli_failed(patient, status, in->issues);
    if (!sl_cli_instant(NULL, &showing.now)) {
        sl_policy_unref(policy);
        return sl_cli_failed("the clock", SL_IO, NULL);
    }
    showing.policy = policy;
    for (const struct sl_directive *d = directives.first; d; d = sl_directive_next(d))
        show_one(&showing, d, in->arena);
    printf("%zu consent%s for %s\n", directives.count, directives.count == 1 ? "" : "s", patient);
    if (policy)
        sl_policy_unref(policy);
    return 0;
}

int sl_cmd_consent(int argc, char **argv)
{
    static const struct sl_option options[] = {
        {"store", SL_OPTION_ONE, "DIR", "the policy store", true},
        {"policy", SL_OPTION_ONE, "DIR", "for show: this policy instead of the one in force", false},
    };
    static const char usage[] =
        "consent import --store DIR FILE…  |  consent show --store DIR [--policy DIR] Patient/ID";
    struct importing in = {.arena = sl_arena_new((size_t)8 << 30)};
    struct sl_issues issues = {.arena = in.arena};
    struct sl_cli cli;
    int status = 1;
    in.issues = &issues;
    if (!in.arena || !sl_cli_read(in.arena, argc, argv, usage, options, 2, &cli, &status))
        goto out;
    bool import = cli.operand_count >= 2 && strcmp(cli.operands[0], "import") == 0;
    if (!import && !(cli.operand_count == 2 && strcmp(cli.operands[0], "show") == 0)) {
        fprintf(stderr, "usage: sluice %s\n", usage);
        status = 2;
        goto out;
    }
    enum sl_status opened = sl_cli_policy_store(sl_cli_value(&cli, "store"), import, &issues, &in.store);
    if (opened != SL_OK)
        status = sl_cli_failed(sl_cli_value(&cli, "store"), opened, &issues);
    else
        status = import ? import_files(&in, &cli) : show_person(&in, cli.operands[1], sl_cli_value(&cli, "policy"));
out:
    sl_store_close(in.store);
    sl_arena_free(in.arena);
    return status;
}
