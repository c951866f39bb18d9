/* SPDX-License-Identifier: Apache-2.0 */
/* The offline door: see offline.h. */
#include "offline.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "sluice/register.h"
#include "sluice/store.h"
#include "sluice/yaml.h"

#define INPUT_LIMIT ((size_t)2 << 30)
#define ARENA_LIMIT ((size_t)64 << 30)
#define LABEL_ROUNDS 8u
#define XML_LIMIT ((size_t)64 << 20)

static enum sl_status offline_init(struct sl_offline *offline)
{
    *offline = (struct sl_offline){.arena = sl_arena_new(ARENA_LIMIT)};
    offline->issues.arena = offline->arena;
    return offline->arena ? SL_OK : SL_NO_MEMORY;
}

static void offline_fini(struct sl_offline *offline)
{
    sl_programs_unref(offline->programs);
    sl_registered_unref(offline->registered);
    sl_policy_unref(offline->policy);
    sl_arena_free(offline->arena);
    *offline = (struct sl_offline){0};
}

/* ---- Reading JSON texts ---- */

typedef enum sl_status (*text_visitor)(struct sl_offline *offline, const struct sl_doc *doc, size_t line);

/* The document lives as long as the arena: items keep hold of it. */
static enum sl_status parse_one(
    struct sl_offline *offline, const char *path, struct sl_slice text, size_t line, const struct sl_doc **out)
{
    struct sl_doc *doc = sl_arena_alloc(offline->arena, sizeof *doc);
    if (!doc)
        return SL_NO_MEMORY;
    *out = doc;
    struct sl_doc_error error = {0};
    const struct sl_doc_limits limits = {
        .bytes = 0xfffffff0u, .spans = 0x7fffffffu, .depth = sl_doc_limits_default.depth};
    enum sl_status status = sl_doc_parse(offline->arena, text, &limits, doc, &error);
    if (status == SL_OK)
        return SL_OK;
    struct sl_issue *issue = sl_issue_add(&offline->issues, SL_GRADE_ERROR, "bad-json",
        "cannot be read: %s, %zu bytes in", error.why ? error.why : "no memory", error.offset);
    if (issue) {
        issue->file = sl_slice_of(path);
        issue->line = line;
        issue->column = error.offset + 1;
    }
    return status;
}

static bool blank(struct sl_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!strchr(" \t\r\n", text.ptr[i]))
            return false;
    return true;
}

static struct sl_slice first_line(struct sl_slice text)
{
    const char *end = text.len ? memchr(text.ptr, '\n', text.len) : NULL;
    return (struct sl_slice){text.ptr, end ? (size_t)(end - text.ptr) : text.len};
}

/* NDJSON is text whose first line is a JSON value by itself, with more behind it. */
static bool is_ndjson(struct sl_offline *offline, struct sl_slice text)
{
    struct sl_slice line = first_line(text);
    struct sl_doc doc;
    return line.len < text.len && !blank(sl_slice_from(text, line.len)) &&
           sl_doc_parse(offline->arena, line, NULL, &doc, NULL) == SL_OK;
}

static enum sl_status visit_lines(
    struct sl_offline *offline, const char *path, struct sl_slice text, text_visitor visit)
{
    for (size_t number = 1; text.len; number++) {
        struct sl_slice line = first_line(text);
        text = sl_slice_from(text, line.len + 1);
        const struct sl_doc *doc;
        if (blank(line))
            continue;
        SL_TRY(parse_one(offline, path, line, number, &doc));
        SL_TRY(visit(offline, doc, number));
    }
    return SL_OK;
}

/* ---- A document of XML: the attachment of a DocumentReference ---- */

static bool is_xml(struct sl_slice text)
{
    struct sl_slice mark = SL_LIT("\xef\xbb\xbf");
    if (sl_slice_starts(text, mark))
        text = sl_slice_from(text, mark.len);
    while (text.len && strchr(" \t\r\n", text.ptr[0]))
        text = sl_slice_from(text, 1);
    return text.len && text.ptr[0] == '<';
}

static void add_base64(struct sl_buffer *out, struct sl_slice bytes)
{
    size_t size = (bytes.len + 2) / 3 * 4;
    char *to = sl_buffer_reserve(out, size + 1);
    if (to)
        out->len += (size_t)EVP_EncodeBlock((unsigned char *)to, (const unsigned char *)bytes.ptr, (int)bytes.len);
}

/* The same path for all: a C-CDA by itself is segmented as one in a record is. */
static enum sl_status wrap_xml(struct sl_offline *offline, struct sl_slice xml, struct sl_slice *out)
{
    struct sl_buffer json;
    if (xml.len > XML_LIMIT)
        return SL_LIMIT;
    sl_buffer_init(&json, xml.len * 2 + 4096);
    sl_buffer_add(&json, SL_LIT("{\"resourceType\":\"DocumentReference\",\"id\":\"document\",\"status\":\"current\""));
    if (offline->patient.len) {
        sl_buffer_add(&json, SL_LIT(",\"subject\":{\"reference\":"));
        sl_buffer_json_string(&json, offline->patient);
        sl_buffer_add(&json, SL_LIT("}"));
    }
    sl_buffer_add(&json, SL_LIT(",\"content\":[{\"attachment\":{\"contentType\":\"application/xml\",\"data\":\""));
    add_base64(&json, xml);
    sl_buffer_add(&json, SL_LIT("\"}}]}"));
    *out = sl_arena_copy(offline->arena, sl_buffer_slice(&json));
    bool failed = sl_buffer_failed(&json) || !out->ptr;
    sl_buffer_fini(&json);
    return failed ? SL_NO_MEMORY : SL_OK;
}

static enum sl_status visit_file(struct sl_offline *offline, const char *path, text_visitor visit, bool *ndjson)
{
    struct sl_slice text;
    enum sl_status status = sl_cli_read_file(offline->arena, path, INPUT_LIMIT, &text);
    if (status != SL_OK) {
        struct sl_issue *issue = sl_issue_add(&offline->issues, SL_GRADE_ERROR, "unreadable-file", "cannot be read");
        if (issue)
            issue->file = sl_slice_of(path);
        return status;
    }
    if (blank(text)) /* no lines: what is segmented to nothing can be segmented again */
        return SL_OK;
    offline->xml = is_xml(text);
    if (offline->xml)
        SL_TRY(wrap_xml(offline, text, &text));
    bool lines = !offline->xml && is_ndjson(offline, text);
    if (ndjson)
        *ndjson = lines;
    if (lines)
        return visit_lines(offline, path, text, visit);
    const struct sl_doc *doc;
    SL_TRY(parse_one(offline, path, text, 1, &doc));
    return visit(offline, doc, 1);
}

static bool is_type(const struct sl_doc *doc, uint32_t root, struct sl_slice type)
{
    if (doc->spans[root].type != SL_SPAN_OBJECT)
        return false;
    uint32_t member = sl_span_member(doc, root, SL_NAME_resourceType);
    return member && sl_span_is(doc, member, type);
}

/* Calls `each` for the resource of every entry. */
static enum sl_status visit_entries(struct sl_offline *offline, const struct sl_doc *doc,
    enum sl_status (*each)(
        struct sl_offline *offline, const struct sl_doc *doc, uint32_t resource, struct sl_slice full_url))
{
    uint32_t entries = sl_span_member(doc, 0, SL_NAME_entry);
    if (!entries)
        return SL_OK;
    for (uint32_t e = entries + 1; e < doc->spans[entries].next; e = doc->spans[e].next) {
        if (doc->spans[e].type != SL_SPAN_OBJECT)
            continue;
        uint32_t resource = sl_span_member(doc, e, SL_NAME_resource);
        uint32_t url = sl_span_member(doc, e, SL_NAME_fullUrl);
        struct sl_slice full_url = url ? sl_span_string(doc, url, offline->arena) : (struct sl_slice){NULL, 0};
        if (resource)
            SL_TRY(each(offline, doc, resource, full_url));
    }
    return SL_OK;
}

/* ---- Consents, context, statement ---- */

static enum sl_status add_consent(
    struct sl_offline *offline, const struct sl_doc *doc, uint32_t root, struct sl_slice url)
{
    (void)url;
    if (!is_type(doc, root, SL_LIT("Consent")))
        return SL_OK;
    enum sl_status status = sl_directive_read(offline->arena, doc, root, &offline->issues, &offline->directives);
    /* What is no consent permits nothing; it is reported, and the rest is read. */
    return status == SL_INVALID ? SL_OK : status;
}

static enum sl_status visit_consents(struct sl_offline *offline, const struct sl_doc *doc, size_t line)
{
    (void)line;
    if (is_type(doc, 0, SL_LIT("Bundle")))
        return visit_entries(offline, doc, add_consent);
    return add_consent(offline, doc, 0, (struct sl_slice){NULL, 0});
}

static enum sl_status add_context(
    struct sl_offline *offline, const struct sl_doc *doc, uint32_t root, struct sl_slice url)
{
    struct sl_item *item;
    return sl_pass_add(offline->pass, doc, root, url, true, &item);
}

static enum sl_status visit_context(struct sl_offline *offline, const struct sl_doc *doc, size_t line)
{
    (void)line;
    if (is_type(doc, 0, SL_LIT("Bundle")))
        return visit_entries(offline, doc, add_context);
    return add_context(offline, doc, 0, (struct sl_slice){NULL, 0});
}

static enum sl_status add_program_list(struct sl_offline *offline, struct sl_slice list)
{
    while (list.len) {
        const char *comma = memchr(list.ptr, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.ptr) : list.len;
        if (len)
            SL_TRY(sl_programs_add(offline->programs, (struct sl_slice){list.ptr, len}, SL_SOURCE_PROGRAM));
        list = sl_slice_from(list, len + 1);
    }
    return SL_OK;
}

static bool ends_with(const char *text, const char *end)
{
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

static enum sl_status load_programs(struct sl_offline *offline, const struct sl_cli *cli)
{
    size_t count = 0;
    const char *const *values = sl_cli_values(cli, "programs", &count);
    if (count == 1 && ends_with(values[0], ".yaml"))
        return sl_programs_load(values[0], &offline->issues, &offline->programs);
    offline->program_lists = values;
    offline->program_list_count = count;
    /* Who names the programs says that others are none; who names nothing knows nothing. */
    offline->programs = sl_programs_new(sl_cli_given(cli, "programs"));
    if (!offline->programs)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        SL_TRY(add_program_list(offline, sl_slice_of(values[i])));
    return SL_OK;
}

static enum sl_status load_statement(struct sl_offline *offline, const char *path)
{
    static const char *const words[] = {
        "clinician", "affiliation", "discloser", "nature", "consent-unobtainable", "made", NULL};
    struct sl_yaml_source source = {.arena = offline->arena, .issues = &offline->issues, .file = sl_slice_of(path)};
    const struct sl_yaml *root = NULL;
    SL_TRY(sl_yaml_load(&source, path, &root));
    if (!sl_yaml_check_keys(&source, root, words))
        return SL_INVALID;
    offline->emergency = (struct sl_emergency){
        .clinician = sl_yaml_text(&source, sl_yaml_get(root, "clinician")),
        .affiliation = sl_yaml_text(&source, sl_yaml_get(root, "affiliation")),
        .discloser = sl_yaml_text(&source, sl_yaml_get(root, "discloser")),
        .nature = sl_yaml_text(&source, sl_yaml_get(root, "nature")),
        .consent_unobtainable = sl_yaml_flag(&source, sl_yaml_get(root, "consent-unobtainable"), false),
    };
    struct sl_slice made = sl_yaml_text(&source, sl_yaml_get(root, "made"));
    if (made.len &&
        !sl_cli_instant(sl_arena_printf(offline->arena, "%.*s", SL_FMT(made)).ptr, &offline->emergency.made))
        return SL_INVALID;
    offline->recipient.emergency = &offline->emergency;
    return SL_OK;
}

/* ---- Setting up ---- */

static enum sl_status directives_of(
    void *context, struct sl_slice patient, struct sl_arena *arena, struct sl_directives *out)
{
    struct sl_offline *offline = context;
    return sl_directives_about(&offline->directives, patient, arena, out);
}

static int setup_recipient(struct sl_offline *offline, const struct sl_cli *cli)
{
    struct sl_recipient *r = &offline->recipient;
    r->party = sl_slice_of(sl_cli_value(cli, "as"));
    r->purpose = sl_purpose_find(sl_slice_of(sl_cli_value(cli, "for")));
    r->organization = sl_slice_of(sl_cli_value(cli, "organization"));
    r->user_reference = sl_slice_of(sl_cli_value(cli, "user"));
    if (!sl_policy_has_party(offline->policy, r->party)) {
        size_t count = 0;
        const struct sl_slice *parties = sl_policy_parties(offline->policy, &count);
        fprintf(stderr, "sluice: no such party in the policy: %.*s; there are:", SL_FMT(r->party));
        for (size_t i = 0; i < count; i++)
            fprintf(stderr, " %.*s", SL_FMT(parties[i]));
        fprintf(stderr, "\n");
        return 2;
    }
    if (!r->purpose.len) {
        fprintf(stderr, "sluice: unknown purpose: %s (a v3-ActReason code as TREAT, or its name as treatment)\n",
            sl_cli_value(cli, "for"));
        return 2;
    }
    if (!sl_cli_instant(sl_cli_value(cli, "at"), &offline->now)) {
        fprintf(stderr, "sluice: --at wants YYYY-MM-DDThh:mm:ssZ\n");
        return 2;
    }
    return 0;
}

static enum sl_status load_register(struct sl_offline *offline, const struct sl_cli *cli)
{
    const char *file = sl_cli_value(cli, "register"), *directory = sl_cli_value(cli, "store");
    struct sl_register_entries entries = {0}, more = {0};
    struct sl_store *store = NULL;
    if (!file && !directory)
        return SL_OK;
    if (directory) {
        SL_TRY(sl_cli_policy_store(directory, false, &offline->issues, &store));
        enum sl_status status = sl_register_list(store, offline->arena, &entries);
        sl_store_close(store);
        SL_TRY(status);
    }
    if (file)
        SL_TRY(sl_register_load(file, SL_LIT(""), offline->now, &offline->issues, &more));
    struct sl_register_entry *all = sl_arena_array(offline->arena, entries.count + more.count, sizeof *all);
    if (!all && entries.count + more.count)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < entries.count + more.count; i++)
        all[i] = i < entries.count ? entries.entry[i] : more.entry[i - entries.count];
    entries = (struct sl_register_entries){all, entries.count + more.count};
    return sl_registered_new(offline->policy, &entries, offline->now, &offline->issues, &offline->registered);
}

static enum sl_status make_pass(struct sl_offline *offline)
{
    struct sl_pass_options options = {.policy = offline->policy,
        .programs = offline->programs,
        .registered = offline->registered,
        .recipient = &offline->recipient,
        .now = offline->now,
        .directives = directives_of,
        .context = offline};
    offline->pass = sl_pass_new(offline->arena, &options);
    return offline->pass ? SL_OK : SL_NO_MEMORY;
}

static enum sl_status load_files(struct sl_offline *offline, const struct sl_cli *cli)
{
    size_t count = 0;
    offline->patient = sl_slice_of(sl_cli_value(cli, "patient"));
    SL_TRY(load_programs(offline, cli));
    SL_TRY(load_register(offline, cli));
    SL_TRY(make_pass(offline));
    const char *const *consents = sl_cli_values(cli, "consents", &count);
    for (size_t i = 0; i < count; i++)
        SL_TRY(visit_file(offline, consents[i], visit_consents, NULL));
    const char *const *context = sl_cli_values(cli, "context", &count);
    for (size_t i = 0; i < count; i++)
        SL_TRY(visit_file(offline, context[i], visit_context, NULL));
    if (sl_cli_given(cli, "declare"))
        SL_TRY(load_statement(offline, sl_cli_value(cli, "declare")));
    return SL_OK;
}

/* --policy, else $SLUICE_POLICY, else what was shipped with this executable. */
static const char *policy_directory(const struct sl_cli *cli)
{
    const char *directory = sl_cli_value(cli, "policy");
    if (!directory)
        directory = getenv("SLUICE_POLICY");
    return directory ? directory : SLUICE_POLICIES;
}

static int set_up(struct sl_offline *offline, const struct sl_cli *cli)
{
    const char *directory = policy_directory(cli);
    enum sl_status status = sl_policy_load(directory, &offline->issues, &offline->policy);
    if (status != SL_OK)
        return sl_cli_failed(directory, status, &offline->issues);
    if (!sl_cli_instant(NULL, &offline->now)) /* --at may say otherwise */
        return sl_cli_failed("the clock", SL_IO, NULL);
    if (sl_cli_given(cli, "as")) {
        int failed = setup_recipient(offline, cli);
        if (failed)
            return failed;
    }
    status = load_files(offline, cli);
    if (status != SL_OK)
        return sl_cli_failed("the files given", status, &offline->issues);
    sl_cli_issues(stderr, &offline->issues, SL_GRADE_WARNING);
    return 0;
}

/* ---- The input ---- */

static enum sl_status add_entry(
    struct sl_offline *offline, const struct sl_doc *doc, uint32_t root, struct sl_slice url)
{
    struct sl_item *item;
    return sl_pass_add(offline->pass, doc, root, url, false, &item);
}

static enum sl_status visit_input(struct sl_offline *offline, const struct sl_doc *doc, size_t line)
{
    (void)line;
    struct sl_offline_text *text = sl_arena_alloc(offline->arena, sizeof *text);
    if (!text)
        return SL_NO_MEMORY;
    text->doc = doc;
    text->xml = offline->xml;
    text->bundle = is_type(doc, 0, SL_LIT("Bundle"));
    if (offline->last)
        offline->last->next = text;
    else
        offline->first = text;
    offline->last = text;
    if (text->bundle)
        return visit_entries(offline, doc, add_entry);
    return sl_pass_add(offline->pass, doc, 0, (struct sl_slice){NULL, 0}, false, &text->item);
}

static enum sl_status label_all(struct sl_offline *offline)
{
    struct sl_slice *missing = NULL;
    size_t count = 0;
    for (unsigned round = 0; round < LABEL_ROUNDS; round++) {
        SL_TRY(sl_pass_label(offline->pass, &missing, &count));
        if (!count)
            return SL_OK;
        for (size_t i = 0; i < count; i++)
            SL_TRY(sl_labeller_absent(sl_pass_labeller(offline->pass), missing[i], true));
    }
    return SL_OK;
}

/* ---- Programs that nothing names ---- */

/* "x" and "Organization/x" end "https://ehr/Organization/x"; "x" does not end "Organization/ax". */
static bool ends_in(struct sl_slice text, struct sl_slice end)
{
    if (text.len < end.len || !sl_slice_eq(sl_slice_from(text, text.len - end.len), end))
        return false;
    return text.len == end.len || text.ptr[text.len - end.len - 1] == '/';
}

static bool is_named_by(const struct sl_item *item, struct sl_slice program)
{
    struct sl_slice type = sl_r4_node_name(item->type);
    bool own =
        ends_in(program, item->id) && item->id.len && (program.len == item->id.len || sl_slice_starts(program, type));
    for (uint32_t i = 0; i < item->reference_count && !own; i++)
        own = ends_in(item->references[i].target, program);
    return own;
}

/* A slip of the pen in --programs would make a program's records ordinary ones, so it is said. */
static void warn_of_unnamed(struct sl_offline *offline, struct sl_slice list)
{
    while (list.len) {
        const char *comma = memchr(list.ptr, ',', list.len);
        struct sl_slice program = {list.ptr, comma ? (size_t)(comma - list.ptr) : list.len};
        const struct sl_item *item = sl_labeller_items(sl_pass_labeller(offline->pass));
        while (program.len && item && !is_named_by(item, program))
            item = item->next;
        if (program.len && !item)
            fprintf(stderr, "sluice: no record here names the program %.*s\n", SL_FMT(program));
        list = sl_slice_from(list, program.len + 1);
    }
}

static int read_input(struct sl_offline *offline, const char *path)
{
    enum sl_status status = visit_file(offline, path, visit_input, &offline->ndjson);
    if (status == SL_OK)
        status = label_all(offline);
    if (status != SL_OK)
        return sl_cli_failed("the input is refused whole, nothing is released", status, &offline->issues);
    for (size_t i = 0; i < offline->program_list_count; i++)
        warn_of_unnamed(offline, sl_slice_of(offline->program_lists[i]));
    return 0;
}

/* ---- A whole command ---- */

/* An emergency party without a complete statement gets nothing; the reason belongs on stderr, not in a guess. */
static void say_emergency(const struct sl_offline *offline)
{
    const struct sl_emergency *e = offline->recipient.emergency;
    if (e && !sl_emergency_complete(e))
        fprintf(stderr, "sluice: the emergency statement is incomplete (42 CFR 2.51) and counts as none\n");
}

int sl_offline_run(int argc, char **argv, const char *usage, const struct sl_option *options, size_t count,
    int (*finish)(struct sl_offline *offline))
{
    struct sl_offline offline;
    struct sl_cli cli;
    int status = 1;
    if (offline_init(&offline) != SL_OK)
        return 1;
    if (sl_cli_read(offline.arena, argc, argv, usage, options, count, &cli, &status)) {
        offline.cli = &cli;
        offline.out = sl_cli_value(&cli, "out");
        offline.manifest = sl_cli_value(&cli, "manifest");
        status = set_up(&offline, &cli);
        say_emergency(&offline);
        if (status == 0)
            status = read_input(&offline, cli.operand_count ? cli.operands[0] : "-");
        if (status == 0)
            status = finish(&offline);
    }
    offline_fini(&offline);
    return status;
}
