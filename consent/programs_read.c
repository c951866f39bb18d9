/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program table as a privacy officer writes it: a strict YAML file (docs/programs.md). Every mistake becomes an
 * issue with its place, reading goes on, and a file with any is never used.
 */
#include <stdlib.h>

#include "directive_model.h"
#include "programs.h"
#include "sluice/yaml.h"

#define FILE_ARENA ((size_t)64 * 1024 * 1024)

struct reading {
    const struct sl_yaml_source *in;
    struct sl_programs *programs;
};

static const struct sl_slice holdings[] = {[SL_HOLDS_AS_PROGRAM] = {"program", 7},
    [SL_HOLDS_AS_LAWFUL_HOLDER] = {"lawful-holder", 13},
    [SL_HOLDS_UNDER_TPO] = {"covered-entity-under-tpo", 24},
    [SL_HOLDS_AS_INTERMEDIARY] = {"intermediary", 12}};
static const struct sl_slice sources[] = {
    [SL_SOURCE_UNKNOWN] = {"unknown", 7}, [SL_SOURCE_NOT] = {"not", 3}, [SL_SOURCE_PROGRAM] = {"program", 7}};

/* Which of the words stands there; `count`, with an issue, if none does. */
static size_t read_word(const struct reading *r, const struct sl_yaml *at, const struct sl_slice *words, size_t count)
{
    struct sl_slice text = sl_yaml_text(r->in, at);
    for (size_t i = 0; i < count; i++)
        if (sl_slice_eq(text, words[i]))
            return i;
    struct sl_issue *issue =
        text.len ? sl_yaml_issue(r->in, at, false, "unknown-word", "\"%.*s\" cannot stand here.", SL_FMT(text)) : NULL;
    struct sl_slice near = text.len ? sl_nearest_word(text, words, count) : (struct sl_slice){NULL, 0};
    if (issue && near.len)
        issue->fix = sl_arena_printf(r->in->arena, "Did you mean \"%.*s\"?", SL_FMT(near));
    return count;
}

/* A text, or a list of texts. */
static struct sl_slice *read_texts(const struct reading *r, const struct sl_yaml *at, size_t *count)
{
    *count = 0;
    if (!at || (at->kind != SL_YAML_SCALAR && !sl_yaml_list(r->in, at)))
        return NULL;
    struct sl_slice *texts = sl_arena_array(r->in->arena, at->count + 1, sizeof *texts);
    const struct sl_yaml *one = at->kind == SL_YAML_SCALAR ? at : at->first;
    for (; texts && one; one = one == at ? NULL : one->next) {
        texts[*count] = sl_yaml_text(r->in, one);
        *count += texts[*count].len > 0;
    }
    return texts;
}

/* NPI: ten digits, the last of which checks the others (CMS; ISO/IEC 7812 with the prefix 80840). */
static bool is_npi(struct sl_slice text)
{
    unsigned sum = 24; /* of the prefix */
    if (text.len != 10)
        return false;
    for (size_t i = 0; i < 10; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        unsigned digit = (unsigned)(text.ptr[i] - '0') * (i % 2 ? 1 : 2);
        sum += digit > 9 ? digit - 9 : digit;
    }
    return sum % 10 == 0;
}

static bool is_oid(struct sl_slice text)
{
    bool digit = false;
    for (size_t i = 0; i < text.len; i++) {
        bool dot = text.ptr[i] == '.';
        if (!dot && (text.ptr[i] < '0' || text.ptr[i] > '9'))
            return false;
        if (dot && !digit)
            return false;
        digit = !dot;
    }
    return digit && memchr(text.ptr, '.', text.len);
}

/* {npi: …}, {oid: …} or {system: …, value: …}. */
static struct sl_identifier read_identifier(const struct reading *r, const struct sl_yaml *at)
{
    static const char *const keys[] = {"npi", "oid", "system", "value", NULL};
    struct sl_identifier none = {0};
    if (!sl_yaml_map(r->in, at) || !sl_yaml_check_keys(r->in, at, keys))
        return none;
    const struct sl_yaml *npi = sl_yaml_get(at, "npi"), *oid = sl_yaml_get(at, "oid");
    if (at->count == 1 && npi) {
        struct sl_slice text = sl_yaml_text(r->in, npi);
        if (text.len && !is_npi(text))
            sl_yaml_issue(r->in, npi, false, "bad-npi", "An NPI has ten digits, and the last one checks the others.");
        return (struct sl_identifier){SL_LIT("npi"), text};
    }
    if (at->count == 1 && oid) {
        struct sl_slice text = sl_yaml_text(r->in, oid);
        if (text.len && !is_oid(text))
            sl_yaml_issue(r->in, oid, false, "bad-oid", "An OID is numbers with dots between.");
        return (struct sl_identifier){SL_LIT("urn:ietf:rfc3986"), text};
    }
    if (npi || oid) {
        sl_yaml_issue(r->in, at, false, "bad-identifier",
            "An identifier is one of npi, oid, or a system and a value; write each on a line of its own.");
        return none;
    }
    return (struct sl_identifier){sl_yaml_text(r->in, sl_yaml_require(r->in, at, "system")),
        sl_yaml_text(r->in, sl_yaml_require(r->in, at, "value"))};
}

static void read_identifiers(const struct reading *r, const struct sl_yaml *at, struct sl_program_entry *entry)
{
    const struct sl_yaml *list = sl_yaml_list(r->in, at);
    struct sl_identifier *out = list ? sl_arena_array(r->in->arena, list->count + 1, sizeof *out) : NULL;
    for (const struct sl_yaml *one = out ? list->first : NULL; one; one = one->next) {
        out[entry->identifier_count] = read_identifier(r, one);
        entry->identifier_count += out[entry->identifier_count].value.len > 0;
    }
    entry->identifiers = out;
}

/* A day, month or year, as a whole; `fallback` where nothing stands there. */
static int64_t read_day(const struct reading *r, const struct sl_yaml *at, bool end, int64_t fallback)
{
    struct sl_moment day;
    struct sl_slice text = sl_yaml_text(r->in, at);
    if (!text.len)
        return fallback;
    if (!sl_moment_read(text, &day) || !day.whole_days) {
        sl_yaml_issue(r->in, at, false, "bad-date", "A date is YYYY-MM-DD, YYYY-MM or YYYY.");
        return fallback;
    }
    return end ? day.end : day.begin;
}

static struct sl_during read_when(const struct reading *r, const struct sl_yaml *node)
{
    const struct sl_yaml *until = sl_yaml_get(node, "until");
    struct sl_during when = {
        read_day(r, sl_yaml_get(node, "from"), false, INT64_MIN), read_day(r, until, true, INT64_MAX)};
    if (!sl_during_is(when))
        sl_yaml_issue(r->in, until ? until : node, false, "bad-date", "It ends before it begins.");
    return when;
}

/* What the entry says the source is, and as what this house holds its records. */
static bool read_what(const struct reading *r, const struct sl_yaml *node, struct sl_program_entry *entry)
{
    const struct sl_yaml *is = sl_yaml_require(r->in, node, "is"), *holds = sl_yaml_get(node, "holds-as");
    size_t what = is ? read_word(r, is, sources, 3) : 3, as = holds ? read_word(r, holds, holdings, 4) : 0;
    if (what == 3 || as == 4)
        return false;
    entry->source = (enum sl_source)what;
    entry->holding = (enum sl_holding)as;
    if (!holds || entry->source == SL_SOURCE_PROGRAM)
        return true;
    sl_yaml_issue(r->in, holds, true, "not-a-program", "Only of a program is it said as what its records are held.");
    return false;
}

static void read_type(const struct reading *r, const struct sl_yaml *node, struct sl_program_entry *entry)
{
    const struct sl_yaml *at = sl_yaml_get(node, "type");
    if (at && read_word(r, at, &SL_LIT("Practitioner"), 1) == 0)
        entry->person = true;
    if (at && !entry->identifier_count)
        sl_yaml_issue(r->in, at, true, "no-identifier", "The type says whose the identifiers are, and there are none.");
}

static void explain(const struct reading *r, const struct sl_yaml *node, enum sl_status status, struct sl_slice culprit)
{
    if (status == SL_EXISTS)
        sl_yaml_issue(r->in, node, false, "conflict",
            "\"%.*s\" is named twice, and what the entries say of one time differs.", SL_FMT(culprit));
    else
        sl_yaml_issue(r->in, node, false, "bad-source",
            "\"%.*s\" is no source: one is Organization/ID, Location/ID, HealthcareService/ID, PractitionerRole/ID, "
            "Endpoint/ID, an id of any of these, Practitioner/ID, or a URI; and a name (known-as) is of a program, and "
            "has at least four letters.",
            SL_FMT(culprit));
}

static enum sl_status read_entry(const struct reading *r, const struct sl_yaml *node)
{
    static const char *const words[] = {
        "source", "is", "title", "identifiers", "type", "known-as", "from", "until", "holds-as", NULL};
    struct sl_program_entry entry = {.when = SL_ALWAYS};
    struct sl_slice culprit;
    if (!sl_yaml_check_keys(r->in, node, words))
        return SL_OK;
    size_t before = r->in->issues ? r->in->issues->errors : 0;
    (void)sl_yaml_text(r->in, sl_yaml_get(node, "title"));
    entry.sources = read_texts(r, sl_yaml_get(node, "source"), &entry.source_count);
    entry.words = read_texts(r, sl_yaml_get(node, "known-as"), &entry.word_count);
    if (sl_yaml_get(node, "identifiers"))
        read_identifiers(r, sl_yaml_get(node, "identifiers"), &entry);
    entry.when = read_when(r, node);
    read_type(r, node, &entry);
    if (!read_what(r, node, &entry) || (r->in->issues && r->in->issues->errors > before))
        return SL_OK; /* said already */
    if (!entry.source_count && !entry.identifier_count && !entry.word_count) {
        sl_yaml_issue(r->in, node, false, "missing-key", "An entry needs a source, identifiers, or a name (known-as).");
        return SL_OK;
    }
    enum sl_status status = sl_programs_put(r->programs, &entry, &culprit);
    if (status == SL_NO_MEMORY)
        return status;
    if (status != SL_OK)
        explain(r, sl_yaml_get(node, "source") ? sl_yaml_get(node, "source") : node, status, culprit);
    return SL_OK;
}

static enum sl_status read_servers(const struct reading *r, const struct sl_yaml *at)
{
    const struct sl_yaml *list = at ? sl_yaml_list(r->in, at) : NULL;
    for (const struct sl_yaml *one = list ? list->first : NULL; one; one = one->next) {
        struct sl_slice base = sl_yaml_text(r->in, one);
        enum sl_status status = base.len ? sl_programs_add_server(r->programs, base) : SL_OK;
        if (status == SL_NO_MEMORY)
            return status;
        if (status != SL_OK)
            sl_yaml_issue(r->in, one, false, "bad-server",
                "A server is the address in front of \"/Type/id\", as https://ehr.example.org/fhir.");
    }
    return SL_OK;
}

static enum sl_status read_file(const struct sl_yaml_source *in, const char *path, struct sl_programs **out)
{
    static const char *const words[] = {"programs", "others", "servers", NULL};
    const struct sl_yaml *root = NULL;
    SL_TRY(sl_yaml_load(in, path, &root));
    size_t before = in->issues->errors;
    if (!sl_yaml_check_keys(in, root, words))
        return SL_INVALID;
    const struct sl_yaml *others = sl_yaml_get(root, "others");
    struct reading r = {.in = in};
    bool closed = others && read_word(&r, others, sources, 2) == SL_SOURCE_NOT;
    *out = r.programs = sl_programs_new(closed);
    if (!*out)
        return SL_NO_MEMORY;
    SL_TRY(read_servers(&r, sl_yaml_get(root, "servers")));
    const struct sl_yaml *list = sl_yaml_list(in, sl_yaml_require(in, root, "programs"));
    for (const struct sl_yaml *node = list ? list->first : NULL; node; node = node->next)
        SL_TRY(read_entry(&r, node));
    if (sl_arena_failed(in->arena))
        return SL_NO_MEMORY;
    return in->issues->errors > before ? SL_INVALID : SL_OK;
}

enum sl_status sl_programs_load(const char *path, struct sl_issues *issues, struct sl_programs **out)
{
    struct sl_arena *arena = sl_arena_new(FILE_ARENA);
    if (!arena)
        return SL_NO_MEMORY;
    struct sl_issues uncounted = {.arena = arena};
    /* Where there are issues, they may quote the tree, and it lives as long as they do. */
    struct sl_yaml_source in = {
        .arena = issues ? issues->arena : arena, .issues = issues ? issues : &uncounted, .file = sl_slice_of(path)};
    *out = NULL;
    enum sl_status status = read_file(&in, path, out);
    if (status != SL_OK) {
        sl_programs_unref(*out);
        *out = NULL;
    }
    sl_arena_free(arena);
    return status;
}
