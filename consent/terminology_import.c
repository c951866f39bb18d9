/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Value sets of a site's own: see sluice/terminology.h. What is read is somebody else's file, so every mistake in it is
 * named with its place, and nothing of a file with a mistake counts.
 */
#include <stdlib.h>

#include "csv.h"
#include "policy_model.h"
#include "sluice/buffer.h"
#include "sluice/r4.h"
#include "sluice/span.h"
#include "sluice/terminology.h"
#include "terminology.h"

#define SITE_BYTES ((size_t)64 << 20)
#define NEW_SYSTEMS 64u /* of one import */

struct reading {
    struct sl_arena *arena;
    struct sl_issues *issues;
    struct sl_slice file;
    const struct sl_value_set_defaults *defaults;
    const struct sl_doc *doc; /* of JSON */
    struct sl_value_set *set;
    size_t capacity;
};

static void complain(struct reading *r, size_t line, const char *code, const char *what, struct sl_slice value)
{
    struct sl_issue *issue = value.len && value.len <= 80
                                 ? sl_issue_add(r->issues, SL_GRADE_ERROR, code, "%s: \"%.*s\"", what, SL_FMT(value))
                                 : sl_issue_add(r->issues, SL_GRADE_ERROR, code, "%s", what);
    if (!issue)
        return;
    issue->file = r->file;
    issue->line = line;
}

static struct sl_slice or_else(struct sl_slice value, struct sl_slice fallback)
{
    return value.len ? value : fallback;
}

static void add_code(struct reading *r, const struct sl_value_set_code *code)
{
    struct sl_value_set *set = r->set;
    if (code->system.len == 0) {
        complain(r, code->line, "system", "a code without a code system: give --system", code->code);
    } else if (code->category.len == 0) {
        complain(r, code->line, "category", "a code without a category: give --category", code->code);
    } else if (set->count == SL_VALUE_SET_CODES) {
        complain(r, code->line, "too-many", "more codes than one value set may have", (struct sl_slice){NULL, 0});
    } else {
        if (set->count == r->capacity) {
            size_t capacity = r->capacity ? r->capacity * 2 : 256;
            struct sl_value_set_code *codes = sl_arena_raw(r->arena, capacity, sizeof *codes);
            if (!codes)
                return;
            if (set->count)
                memcpy(codes, set->codes, set->count * sizeof *codes);
            set->codes = codes;
            r->capacity = capacity;
        }
        set->codes[set->count++] = *code;
    }
}

/* ---- CSV ---- */

static void read_csv(struct reading *r, struct sl_slice text)
{
    static const char *const columns[] = {"code", "?system", "?category", "?evidence", "*", NULL};
    struct sl_csv csv;
    if (!sl_csv_open(&csv, r->file, text, columns, r->arena, r->issues))
        return;
    while (sl_csv_next(&csv)) {
        struct sl_slice evidence = csv.field[3];
        bool weak = sl_slice_eq(evidence, SL_LIT("weak"));
        if (csv.field[0].len == 0)
            complain(r, csv.line, "code", "the line has no code", evidence);
        else if (evidence.len && !weak && !sl_slice_eq(evidence, SL_LIT("strong")))
            complain(r, csv.line, "evidence", "evidence is strong or weak", evidence);
        else
            add_code(r, &(struct sl_value_set_code){.system = or_else(csv.field[1], r->defaults->system),
                            .code = csv.field[0],
                            .category = or_else(csv.field[2], r->defaults->category),
                            .weak = evidence.len ? weak : r->defaults->weak,
                            .line = csv.line});
    }
}

/* ---- FHIR ---- */

static struct sl_slice text_of(struct reading *r, uint32_t object, uint16_t name)
{
    uint32_t at = sl_span_member(r->doc, object, name);
    return at ? sl_span_string(r->doc, at, r->arena) : (struct sl_slice){NULL, 0};
}

static void add_concept(struct reading *r, uint32_t object, struct sl_slice system)
{
    struct sl_slice code = text_of(r, object, SL_NAME_code);
    if (code.len)
        add_code(r, &(struct sl_value_set_code){.system = or_else(system, r->defaults->system),
                        .code = code,
                        .category = r->defaults->category,
                        .weak = r->defaults->weak});
}

/* The objects of an array member, one after the other: *at is 0 before the first; false after the last. */
static bool next_object(const struct sl_doc *doc, uint32_t array, uint32_t *at)
{
    if (!array || doc->spans[array].type != SL_SPAN_ARRAY)
        return false;
    *at = *at ? doc->spans[*at].next : array + 1;
    while (*at < doc->spans[array].next && doc->spans[*at].type != SL_SPAN_OBJECT)
        *at = doc->spans[*at].next;
    return *at < doc->spans[array].next;
}

/* Every entry of an expansion, however deep, in the order of the text; those that stand for a group alone are none. */
static void read_expansion(struct reading *r, uint32_t expansion)
{
    const struct sl_doc *doc = r->doc;
    uint32_t contains = sl_span_member(doc, expansion, SL_NAME_contains);
    uint32_t total = sl_span_member_key(doc, expansion, SL_LIT("total"));
    uint64_t listed = 0;
    if (!contains)
        return;
    for (uint32_t i = contains + 1; i < doc->spans[contains].next; i++) {
        if (doc->spans[i].type != SL_SPAN_OBJECT || doc->parents[i] == 0 ||
            doc->spans[doc->parents[i]].name != SL_NAME_contains)
            continue;
        uint32_t abstract = sl_span_member(doc, i, SL_NAME_abstract);
        listed++;
        if (!abstract || doc->spans[abstract].type != SL_SPAN_TRUE)
            add_concept(r, i, text_of(r, i, SL_NAME_system));
    }
    struct sl_slice said =
        total && doc->spans[total].type == SL_SPAN_NUMBER ? sl_span_text(doc, total) : (struct sl_slice){NULL, 0};
    uint64_t wanted = 0;
    for (size_t i = 0; i < said.len && said.ptr[i] >= '0' && said.ptr[i] <= '9' && i < 9; i++)
        wanted = wanted * 10 + (uint64_t)(said.ptr[i] - '0');
    if (listed < wanted)
        complain(r, 0, "expansion", "the expansion is a page of a longer one: it must be whole", said);
}

/* Must a terminology server say what is meant? */
static bool needs_expansion(const struct sl_doc *doc, uint32_t include)
{
    return sl_span_member(doc, include, SL_NAME_filter) || sl_span_member(doc, include, SL_NAME_valueSet) ||
           !sl_span_member(doc, include, SL_NAME_concept);
}

static void read_compose(struct reading *r, uint32_t compose)
{
    const struct sl_doc *doc = r->doc;
    if (sl_span_member(doc, compose, SL_NAME_exclude)) {
        complain(r, 0, "expansion", "the value set excludes codes: import its expansion", (struct sl_slice){NULL, 0});
        return;
    }
    for (uint32_t i = 0; next_object(doc, sl_span_member(doc, compose, SL_NAME_include), &i);) {
        struct sl_slice system = text_of(r, i, SL_NAME_system);
        uint32_t concepts = sl_span_member(doc, i, SL_NAME_concept);
        if (needs_expansion(doc, i))
            complain(r, 0, "expansion", "the value set names codes by a rule: import its expansion", system);
        for (uint32_t c = 0; next_object(doc, concepts, &c);)
            add_concept(r, c, system);
    }
}

static void read_value_set(struct reading *r, uint32_t root)
{
    struct sl_slice title = or_else(text_of(r, root, SL_NAME_title), text_of(r, root, SL_NAME_url));
    uint32_t expansion = sl_span_member(r->doc, root, SL_NAME_expansion);
    uint32_t compose = sl_span_member(r->doc, root, SL_NAME_compose);
    size_t before = r->set->count, errors = r->issues->errors;
    if (!r->set->title.len)
        r->set->title = title;
    if (expansion && sl_span_member(r->doc, expansion, SL_NAME_contains))
        read_expansion(r, expansion);
    else if (compose)
        read_compose(r, compose);
    if (r->set->count == before && r->issues->errors == errors)
        complain(r, 0, "empty", "the value set lists no code", title);
}

static bool is_type(const struct reading *r, uint32_t root, struct sl_slice type)
{
    if (r->doc->spans[root].type != SL_SPAN_OBJECT)
        return false;
    uint32_t at = sl_span_member(r->doc, root, SL_NAME_resourceType);
    return at && sl_span_is(r->doc, at, type);
}

static void read_json(struct reading *r)
{
    bool any = is_type(r, 0, SL_LIT("ValueSet"));
    if (any)
        read_value_set(r, 0);
    else if (is_type(r, 0, SL_LIT("Bundle")))
        for (uint32_t e = 0; next_object(r->doc, sl_span_member(r->doc, 0, SL_NAME_entry), &e);) {
            uint32_t resource = sl_span_member(r->doc, e, SL_NAME_resource);
            if (!resource || !is_type(r, resource, SL_LIT("ValueSet")))
                continue;
            read_value_set(r, resource);
            any = true;
        }
    if (!any)
        complain(r, 0, "resource", "the file holds no ValueSet", (struct sl_slice){NULL, 0});
}

static bool is_json(struct sl_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!memchr(" \t\r\n", text.ptr[i], 4))
            return text.ptr[i] == '{';
    return false;
}

enum sl_status sl_value_set_read(struct sl_arena *arena, struct sl_slice file, struct sl_slice text,
    const struct sl_value_set_defaults *defaults, struct sl_issues *issues, struct sl_value_set *out)
{
    *out = (struct sl_value_set){0};
    struct sl_doc doc;
    struct sl_doc_error error = {0};
    struct reading r = {.arena = arena, .issues = issues, .file = file, .defaults = defaults, .doc = &doc, .set = out};
    size_t before = issues->errors;
    if (!is_json(text)) {
        read_csv(&r, text);
    } else if (sl_doc_parse(arena, text, NULL, &doc, &error) != SL_OK) {
        complain(&r, 0, "json", error.why ? error.why : "the file cannot be read", (struct sl_slice){NULL, 0});
    } else {
        read_json(&r);
    }
    if (sl_arena_failed(arena))
        return SL_NO_MEMORY;
    return issues->errors > before ? SL_INVALID : SL_OK;
}

/* ---- A site's files ---- */

static void add_field(struct sl_buffer *out, struct sl_slice field, char end)
{
    bool quoted = false;
    for (size_t i = 0; i < field.len; i++)
        quoted |= field.ptr[i] == ',' || field.ptr[i] == '"' || field.ptr[i] == '\n' || field.ptr[i] == '\r';
    if (quoted)
        sl_buffer_add(out, SL_LIT("\""));
    for (size_t i = 0; quoted && i < field.len; i++)
        sl_buffer_add(out, field.ptr[i] == '"' ? SL_LIT("\"\"") : (struct sl_slice){field.ptr + i, 1});
    sl_buffer_add(out, quoted ? SL_LIT("\"") : field);
    sl_buffer_add(out, (struct sl_slice){&end, 1});
}

/* Without the version and what else a Coding may add: the name of a system nobody knew. */
static struct sl_slice bare_system(struct sl_slice system)
{
    const char *bar = memchr(system.ptr, '|', system.len);
    return bar ? (struct sl_slice){system.ptr, (size_t)(bar - system.ptr)} : system;
}

struct making {
    const struct sl_terminology *terminology;
    struct sl_issues *issues;
    struct sl_buffer codes, systems;
    struct sl_slice new_systems[NEW_SYSTEMS];
    size_t new_count;
    struct sl_slice source;
    size_t there_already;
};

/* The name by which a row names the system; one that nobody knew is added, once. */
static struct sl_slice name_system(struct making *m, struct sl_slice written)
{
    sl_system number = sl_terminology_system(m->terminology, written);
    if (number > SL_SYSTEM_UNKNOWN)
        return sl_terminology_system_name(m->terminology, number);
    struct sl_slice name = bare_system(written);
    for (size_t i = 0; i < m->new_count; i++)
        if (sl_slice_eq(m->new_systems[i], name))
            return name;
    if (m->new_count == NEW_SYSTEMS) {
        sl_issue_add(m->issues, SL_GRADE_ERROR, "too-many", "One import may bring %u new code systems.", NEW_SYSTEMS);
        return name;
    }
    m->new_systems[m->new_count++] = name;
    if (!m->systems.len)
        sl_buffer_add(&m->systems, SL_LIT("name,uri,kind,form,family,aliases\n"));
    add_field(&m->systems, name, ',');
    add_field(&m->systems, name, ',');
    sl_buffer_add(&m->systems, SL_LIT("code,listed,,\n"));
    return name;
}

/* Do the lists say just so already, by an exact row or a prefix? */
static bool is_there(const struct making *m, const struct sl_value_set_code *code)
{
    struct sl_code_hit hits[SL_CODE_HITS];
    struct sl_code_row row;
    sl_system number = sl_terminology_system(m->terminology, code->system);
    if (sl_slice_eq(code->category, SL_LIT("none")))
        return sl_terminology_judged(m->terminology, number, code->code, &row);
    size_t count = sl_terminology_find_in(m->terminology, number, code->code, hits, SL_CODE_HITS);
    for (size_t i = 0; i < count; i++)
        if (hits[i].weak == code->weak &&
            sl_slice_eq(sl_terminology_category(m->terminology, hits[i].category)->id, code->category))
            return true;
    return false;
}

static void make_row(struct making *m, const struct sl_value_set_code *code)
{
    bool none = sl_slice_eq(code->category, SL_LIT("none"));
    if (is_there(m, code)) {
        m->there_already++;
        return;
    }
    add_field(&m->codes, name_system(m, code->system), ',');
    add_field(&m->codes, code->code, ',');
    add_field(&m->codes, code->category, ',');
    add_field(&m->codes, none ? SL_LIT("") : code->weak ? SL_LIT("weak") : SL_LIT("strong"), ',');
    add_field(&m->codes, m->source, '\n');
}

/* By system, code, category; of two that say the same, the stronger first. */
static int order(const void *a, const void *b)
{
    const struct sl_value_set_code *x = a, *y = b;
    const struct sl_slice left[] = {x->system, x->code, x->category}, right[] = {y->system, y->code, y->category};
    for (size_t i = 0; i < 3; i++) {
        size_t shorter = left[i].len < right[i].len ? left[i].len : right[i].len;
        int by_text = shorter ? memcmp(left[i].ptr, right[i].ptr, shorter) : 0;
        int by = by_text ? by_text : (left[i].len > right[i].len) - (left[i].len < right[i].len);
        if (by)
            return by;
    }
    return x->weak - y->weak;
}

static bool same_row(const struct sl_value_set_code *x, const struct sl_value_set_code *y)
{
    return sl_slice_eq(x->system, y->system) && sl_slice_eq(x->code, y->code) && sl_slice_eq(x->category, y->category);
}

static struct sl_slice take(struct sl_arena *arena, struct sl_buffer *buffer)
{
    return buffer->len ? sl_arena_copy(arena, (struct sl_slice){buffer->ptr, buffer->len}) : (struct sl_slice){NULL, 0};
}

enum sl_status sl_site_files_make(struct sl_arena *arena, const struct sl_policy *policy,
    const struct sl_value_set *set, struct sl_slice name, struct sl_slice source, struct sl_issues *issues,
    struct sl_site_files *out)
{
    *out = (struct sl_site_files){0};
    struct making m = {.terminology = sl_policy_earning(policy)->terminology, .issues = issues, .source = source};
    size_t before = issues->errors;
    struct sl_value_set_code *sorted = sl_arena_array(arena, set->count + 1, sizeof *sorted);
    if (!sorted)
        return SL_NO_MEMORY;
    if (set->count)
        memcpy(sorted, set->codes, set->count * sizeof *sorted);
    qsort(sorted, set->count, sizeof *sorted, order);
    sl_buffer_init(&m.codes, SITE_BYTES);
    sl_buffer_init(&m.systems, SITE_BYTES);
    sl_buffer_add(&m.codes, SL_LIT("system,code,category,evidence,source\n"));
    for (size_t i = 0; i < set->count; i++)
        if (i == 0 || !same_row(&sorted[i], &sorted[i - 1]))
            make_row(&m, &sorted[i]);
    bool failed = sl_buffer_failed(&m.codes) || sl_buffer_failed(&m.systems);
    out->there_already = m.there_already;
    out->codes.path = sl_arena_printf(arena, "terminology/codes-site-%.*s.csv", SL_FMT(name));
    out->systems.path = sl_arena_printf(arena, "terminology/systems-site-%.*s.csv", SL_FMT(name));
    out->codes.text = take(arena, &m.codes);
    out->systems.text = take(arena, &m.systems);
    sl_buffer_fini(&m.codes);
    sl_buffer_fini(&m.systems);
    return failed || sl_arena_failed(arena) ? SL_NO_MEMORY : issues->errors > before ? SL_INVALID : SL_OK;
}

enum sl_status sl_policy_with_files(const struct sl_policy *policy, const struct sl_policy_file *files, size_t count,
    struct sl_issues *issues, struct sl_policy **out)
{
    size_t old_count = 0, all = 0;
    const struct sl_policy_file *old = sl_policy_files(policy, &old_count);
    struct sl_policy_file *merged = sl_arena_array(issues->arena, old_count + count, sizeof *merged);
    *out = NULL;
    if (!merged)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < old_count; i++) {
        bool replaced = false;
        for (size_t k = 0; k < count; k++)
            replaced |= sl_slice_eq(old[i].path, files[k].path);
        if (!replaced)
            merged[all++] = old[i];
    }
    for (size_t k = 0; k < count; k++)
        if (files[k].text.len)
            merged[all++] = files[k];
    return sl_policy_load_files(merged, all, issues, out);
}
