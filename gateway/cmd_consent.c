/* SPDX-License-Identifier: Apache-2.0 */
/* sluice consent: FHIR Consent R4 from files into the policy store by person, and what is stored for one. */
#include "cli.h"
#include "sluice/directive.h"
#include "sluice/span.h"
#include "sluice/store.h"

#include "sluice/r4.h"

struct importing {
    struct sl_arena *arena;
    struct sl_issues *issues;
    struct sl_store *store;
    const char *path;
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

static enum sl_status parse_and_import(struct importing *in, struct sl_slice text)
{
    struct sl_doc doc;
    SL_TRY(sl_doc_parse(in->arena, text, NULL, &doc, NULL));
    return import_doc(in, &doc);
}

/* One JSON text, or NDJSON where the whole is none. */
static enum sl_status import_file(struct importing *in, const char *path)
{
    struct sl_slice text;
    in->path = path;
    SL_TRY(sl_cli_read_file(in->arena, path, (size_t)1 << 30, &text));
    enum sl_status status = parse_and_import(in, text);
    if (status != SL_SYNTAX)
        return status;
    while (text.len) {
        const char *end = memchr(text.ptr, '\n', text.len);
        struct sl_slice line = {text.ptr, end ? (size_t)(end - text.ptr) : text.len};
        text = sl_slice_from(text, line.len + 1);
        if (strspn(line.ptr, " \t\r\n") < line.len)
            SL_TRY(parse_and_import(in, line));
    }
    return SL_OK;
}

static int import_files(struct importing *in, const struct sl_cli *cli)
{
    for (size_t i = 1; i < cli->operand_count; i++) {
        enum sl_status status = import_file(in, cli->operands[i]);
        if (status != SL_OK)
            return sl_cli_failed(cli->operands[i], status, in->issues);
    }
    sl_cli_issues(stderr, in->issues, SL_GRADE_WARNING);
    printf(
        "%zu consents imported, %zu refused, %zu other resources passed over\n", in->imported, in->refused, in->other);
    return in->refused ? 1 : 0;
}

static int show_person(struct importing *in, const char *patient)
{
    struct sl_directives directives = {0};
    enum sl_status status = sl_directives_of(in->store, sl_slice_of(patient), in->arena, &directives);
    if (status != SL_OK)
        return sl_cli_failed(patient, status, in->issues);
    for (const struct sl_directive *d = directives.first; d; d = sl_directive_next(d)) {
        struct sl_slice id = sl_directive_id(d), scope = sl_directive_scope(d, in->arena);
        printf("%.*s: %.*s\n", SL_FMT(id), SL_FMT(scope));
    }
    printf("%zu consents for %s\n", directives.count, patient);
    return 0;
}

int sl_cmd_consent(int argc, char **argv)
{
    static const struct sl_option options[] = {
        {"store", SL_OPTION_ONE, "DIR", "the policy store", true},
    };
    static const char usage[] = "consent import --store DIR FILE…  |  consent show --store DIR Patient/ID";
    struct importing in = {.arena = sl_arena_new((size_t)8 << 30)};
    struct sl_issues issues = {.arena = in.arena};
    struct sl_cli cli;
    int status = 1;
    in.issues = &issues;
    if (!in.arena || !sl_cli_read(in.arena, argc, argv, usage, options, 1, &cli, &status))
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
        status = import ? import_files(&in, &cli) : show_person(&in, cli.operands[1]);
out:
    sl_store_close(in.store);
    sl_arena_free(in.arena);
    return status;
}
