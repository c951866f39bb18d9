/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of what is served: see route.h. */
#include "route.h"

#include <stdio.h>
#include <strings.h>

#include "body.h"
#include "identify.h"
#include "operation.h"
#include "sluice/time_range.h"

#define MAX_SEGMENTS 4u
#define M(method) (1u << (method))
#define OPERATION (M(SL_GET) | M(SL_HEAD) | M(SL_POST))

/* Segments: a word stands for itself, "T" for a resource type, "C" for one with a compartment, "I" for an id;
 * none at all are the base itself. */
static const struct route {
    const char *segments[MAX_SEGMENTS];
    unsigned methods;
    enum sl_interaction_kind kind;
    bool compartment, form;
} routes[] = {
    {{NULL}, M(SL_POST), SL_BATCH, false, false},
    {{"metadata"}, M(SL_GET) | M(SL_HEAD), SL_METADATA, false, false},
    {{NULL}, M(SL_GET) | M(SL_HEAD), SL_SEARCH, false, false},
    {{"_search"}, M(SL_POST), SL_SEARCH, false, true},
    {{"T"}, M(SL_GET) | M(SL_HEAD), SL_SEARCH, false, false},
    {{"T", "_search"}, M(SL_POST), SL_SEARCH, false, true},
    {{"T"}, M(SL_POST), SL_CREATE, false, false},
    {{"T"}, M(SL_PUT), SL_UPDATE, false, false}, /* conditional, as all without an id */
    {{"T"}, M(SL_METHOD_PATCH), SL_PATCH, false, false},
    {{"T"}, M(SL_METHOD_DELETE), SL_DELETE, false, false},
    {{"T", "I"}, M(SL_PUT), SL_UPDATE, false, false},
    {{"T", "I"}, M(SL_METHOD_PATCH), SL_PATCH, false, false},
    {{"T", "I"}, M(SL_METHOD_DELETE), SL_DELETE, false, false},
    {{"T", "I"}, M(SL_GET) | M(SL_HEAD), SL_READ, false, false},
    {{"Patient", "I", "$everything"}, OPERATION, SL_EVERYTHING, false, false},
    {{"Encounter", "I", "$everything"}, OPERATION, SL_EVERYTHING, false, false},
    {{"Observation", "$lastn"}, OPERATION, SL_LASTN, false, false},
    {{"DocumentReference", "$docref"}, OPERATION, SL_DOCREF, false, false},
    {{"Patient", "$match"}, M(SL_POST), SL_MATCH, false, false},
    {{"T", "$validate"}, M(SL_POST), SL_VALIDATE, false, false},
    {{"T", "I", "$validate"}, OPERATION, SL_VALIDATE, false, false},
    {{"T", "I", "_history"}, M(SL_GET) | M(SL_HEAD), SL_HISTORY, false, false},
    {{"T", "I", "_history", "I"}, M(SL_GET) | M(SL_HEAD), SL_VREAD, false, false},
    {{"T", "_history"}, M(SL_GET) | M(SL_HEAD), SL_HISTORY, false, false},
    {{"_history"}, M(SL_GET) | M(SL_HEAD), SL_HISTORY, false, false},
    {{"C", "I", "T"}, M(SL_GET) | M(SL_HEAD), SL_SEARCH, true, false},
    {{"C", "I", "T", "_search"}, M(SL_POST), SL_SEARCH, true, true},
};

#define CHANGES (M(SL_UPDATE) | M(SL_PATCH) | M(SL_DELETE))
#define BODIES (M(SL_CREATE) | M(SL_UPDATE) | M(SL_PATCH) | M(SL_BATCH) | OPERATIONS) /* of a resource, or a patch */
#define OPERATIONS (M(SL_EVERYTHING) | M(SL_LASTN) | M(SL_DOCREF) | M(SL_MATCH) | M(SL_VALIDATE))

/* Headers that would change what a request means. Those not here (X-Forwarded-For, User-Agent, Prefer, Range, …) are
 * not acted upon: each may be ignored by RFC 9110 or RFC 7240 without changing the meaning of the answer. If-None-Match
 * and If-Modified-Since are asked where one resource is answered (view.c). */
static const struct refused_header {
    struct sl_slice name;
    enum sl_status status;
    const char *why;
    unsigned but_for; /* kinds of interaction, as bits, that read it */
} refused_headers[] = {
    {{"x-http-method-override", 22}, SL_BAD_PARAMETER, "header-method-override",
        0}, /* another method than the one judged */
    {{"x-http-method", 13}, SL_BAD_PARAMETER, "header-method-override", 0},
    {{"x-method-override", 17}, SL_BAD_PARAMETER, "header-method-override", 0},
    {{"if-match", 8}, SL_BAD_PARAMETER, "header-if-match", CHANGES},
    {{"if-none-match", 13}, SL_BAD_PARAMETER, "header-if-none-match", ~(CHANGES | M(SL_CREATE))},
    {{"if-unmodified-since", 19}, SL_BAD_PARAMETER, "header-if-unmodified-since", 0},
    {{"if-none-exist", 13}, SL_BAD_PARAMETER, "header-if-none-exist", M(SL_CREATE)},
    {{"content-encoding", 16}, SL_MEDIA_TYPE, "header-content-encoding", BODIES},
};

static const struct interaction {
    struct sl_slice name;
    enum sl_interaction_class class;
    unsigned action;
} interactions[] = {
    {{"none", 4}, SL_FOR_NOTHING, 0},
#define SL_INTERACTION(name, word, class, action) {{word, sizeof word - 1}, class, action},
#include "interactions.def"
#undef SL_INTERACTION
};

struct sl_slice sl_interaction_name(enum sl_interaction_kind kind)
{
    return interactions[kind].name;
}

enum sl_interaction_class sl_interaction_class(enum sl_interaction_kind kind)
{
    return interactions[kind].class;
}

unsigned sl_interaction_action(enum sl_interaction_kind kind)
{
    return interactions[kind].action;
}

bool sl_is_id(struct sl_slice text)
{
    return sl_id_valid(text);
}

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Percent-decodes; ptr NULL if it is malformed. What it decodes to is judged by whoever asked. */
static struct sl_slice decode(struct sl_slice text, bool plus, struct sl_arena *arena)
{
    char *out = sl_arena_raw(arena, text.len + 1, 1);
    size_t len = 0;
    for (size_t i = 0; out && i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_of(text.ptr[i + 1]) : -1,
                low = i + 2 < text.len ? hex_of(text.ptr[i + 2]) : -1;
            if (high < 0 || low < 0)
                return (struct sl_slice){NULL, 0};
            c = (char)(high << 4 | low);
            i += 2;
        } else if (plus && c == '+') {
            c = ' ';
        }
        out[len++] = c;
    }
    return (struct sl_slice){out, len};
}

/* ---- The path ---- */

/* Everything after the base, split at slashes; no empty segment, none that needs encoding. False: not a path of ours.
 */
bool sl_path_is_under(struct sl_slice path, struct sl_slice base)
{
    return sl_slice_starts(path, base) && (path.len == base.len || path.ptr[base.len] == '/');
}

static bool split_path(
    struct sl_slice path, struct sl_slice base, struct sl_arena *arena, struct sl_slice *segments, size_t *count)
{
    *count = 0;
    if (!sl_slice_starts(path, base))
        return false;
    path = sl_slice_from(path, base.len);
    if (sl_slice_eq(path, SL_LIT("/")))
        return true; /* the base itself */
    while (path.len) {
        if (path.ptr[0] != '/' || *count == MAX_SEGMENTS)
            return false;
        path = sl_slice_from(path, 1);
        const char *slash = path.len ? memchr(path.ptr, '/', path.len) : NULL;
        struct sl_slice raw = {path.ptr, slash ? (size_t)(slash - path.ptr) : path.len};
        struct sl_slice segment = decode(raw, false, arena);
        bool special = segment.len && (segment.ptr[0] == '$' || segment.ptr[0] == '_');
        if (!sl_is_id(special ? sl_slice_from(segment, 1) : segment))
            return false; /* encoded slashes, "..", NUL and the like end here */
        segments[(*count)++] = segment;
        path = sl_slice_from(path, raw.len);
    }
    return true;
}

static bool fits(const struct route *route, const struct sl_slice *segments, size_t count)
{
    for (size_t i = 0; i < MAX_SEGMENTS; i++) {
        const char *want = route->segments[i];
        if (!want || i >= count)
            return !want && i >= count;
        bool good = strcmp(want, "T") == 0   ? sl_r4_resource(segments[i]) != 0
                    : strcmp(want, "C") == 0 ? sl_r4_compartment_of(sl_r4_resource(segments[i]), 1) != NULL
                    : strcmp(want, "I") == 0 ? sl_is_id(segments[i])
                                             : sl_slice_eq(segments[i], sl_slice_of(want));
        if (!good)
            return false;
    }
    return count <= MAX_SEGMENTS;
}

static void fill(
    const struct route *route, const struct sl_slice *segments, struct sl_arena *arena, struct sl_interaction *out)
{
    out->kind = route->kind;
    out->form = route->form;
    if (!route->segments[0] || (!route->segments[1] && strcmp(route->segments[0], "T") != 0))
        return; /* it names no type */
    struct sl_slice type = segments[route->compartment ? 2 : 0];
    out->type = sl_r4_resource(type);
    out->type_name = sl_r4_node_name(out->type);
    if (route->compartment)
        out->compartment = sl_arena_printf(arena, "%.*s/%.*s", SL_FMT(segments[0]), SL_FMT(segments[1]));
    else if (route->segments[1] && strcmp(route->segments[1], "I") == 0)
        out->id = segments[1];
    if (route->kind == SL_VREAD)
        out->version = segments[3];
}

void sl_route_methods(const struct sl_config *config, const struct sl_request *request, char out[SL_ROUTE_METHODS])
{
    static const struct {
        const char *word;
        enum sl_method method;
    } methods[] = {{"GET", SL_GET}, {"HEAD", SL_HEAD}, {"POST", SL_POST}, {"PUT", SL_PUT}, {"PATCH", SL_METHOD_PATCH},
        {"DELETE", SL_METHOD_DELETE}};
    struct sl_slice segments[MAX_SEGMENTS];
    struct sl_arena *arena = sl_arena_new(request->path.len + 4096);
    size_t count, len = 0;
    unsigned known = 0;
    if (arena && split_path(request->path, config->base, arena, segments, &count))
        for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
            known |= fits(&routes[i], segments, count) ? routes[i].methods : 0;
    sl_arena_free(arena);
    out[0] = '\0';
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (known & M(methods[i].method))
            len += (size_t)snprintf(out + len, SL_ROUTE_METHODS - len, "%s%s", len ? ", " : "", methods[i].word);
}

/* A path may be known and the method not: that is told apart, since it says nothing about any record. */
static enum sl_status find_route(const struct sl_config *config, const struct sl_request *request,
    struct sl_arena *arena, struct sl_interaction *out, const char **why)
{
    struct sl_slice segments[MAX_SEGMENTS];
    size_t count;
    bool known = false;
    if (!split_path(request->path, config->base, arena, segments, &count)) {
        *why = "path-unknown";
        return SL_NOT_SUPPORTED;
    }
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (!fits(&routes[i], segments, count))
            continue;
        known = true;
        if (request->method < 32 && (routes[i].methods & M(request->method))) {
            fill(&routes[i], segments, arena, out);
            return SL_OK;
        }
    }
    *why = known ? "method" : "path-unknown";
    return known ? SL_METHOD : SL_NOT_SUPPORTED;
}

/* ---- Headers ---- */

static enum sl_status check_headers(
    const struct sl_request *request, const struct sl_interaction *interaction, const char **why)
{
    for (size_t i = 0; i < sizeof refused_headers / sizeof *refused_headers; i++) {
        size_t count = 0;
        (void)sl_request_header(request, refused_headers[i].name, &count);
        *why = refused_headers[i].why;
        if (count && !(refused_headers[i].but_for & M(interaction->kind)))
            return refused_headers[i].status;
    }
    *why = "content-type";
    size_t count = 0;
    enum sl_body_form body;
    struct sl_slice type = sl_request_header(request, SL_LIT("content-type"), &count);
    bool content = request->has_body && (request->content_length || request->chunked);
    bool posted = request->method == SL_POST && content; /* an operation that is posted may have nothing to say */
    if (request->has_body && (BODIES & M(interaction->kind)) && (posted || !(OPERATIONS & M(interaction->kind))))
        return sl_body_form(request, interaction->kind == SL_PATCH, &body, why);
    if (interaction->form) {
        struct sl_slice media = sl_format_take(&type, ';');
        if (count != 1 || !sl_format_same(media, SL_LIT("application/x-www-form-urlencoded")))
            return SL_MEDIA_TYPE;
    } else if (content) {
        return SL_BAD_SYNTAX; /* RFC 9110, 9.3.1: content in a GET has no meaning, and may be somebody else's request */
    }
    return SL_OK;
}

/* ---- General parameters ---- */

/* The next name and value of a query, decoded; false: malformed. */
bool sl_query_take(
    struct sl_slice *query, struct sl_arena *arena, struct sl_slice *raw, struct sl_slice *name, struct sl_slice *value)
{
    const char *amp = memchr(query->ptr, '&', query->len);
    *raw = (struct sl_slice){query->ptr, amp ? (size_t)(amp - query->ptr) : query->len};
    *query = sl_slice_from(*query, raw->len + 1);
    const char *equals = raw->len ? memchr(raw->ptr, '=', raw->len) : NULL;
    *name = decode((struct sl_slice){raw->ptr, equals ? (size_t)(equals - raw->ptr) : raw->len}, true, arena);
    *value = equals ? decode(sl_slice_from(*raw, (size_t)(equals - raw->ptr) + 1), true, arena) : SL_LIT("");
    return name->ptr && value->ptr;
}

/* Takes _format and _pretty out of the query. The rest is the search's. `_pretty` is about white space alone: it is
 * accepted, and answers are compact. */
static enum sl_status take_general(
    struct sl_slice query, struct sl_arena *arena, struct sl_slice *rest, struct sl_slice *format)
{
    char *out = sl_arena_raw(arena, query.len + 1, 1);
    size_t len = 0;
    if (!out)
        return SL_NO_MEMORY;
    while (query.len) {
        struct sl_slice pair, name, value;
        if (!sl_query_take(&query, arena, &pair, &name, &value))
            return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_BAD_SYNTAX;
        if (sl_slice_eq(name, SL_LIT("_format"))) {
            if (format->ptr)
                return SL_BAD_PARAMETER;
            *format = value;
        } else if (!sl_slice_eq(name, SL_LIT("_pretty")) && pair.len) {
            if (len)
                out[len++] = '&';
            memcpy(out + len, pair.ptr, pair.len);
            len += pair.len;
        }
    }
    *rest = (struct sl_slice){out, len};
    return SL_OK;
}

bool sl_are_types(struct sl_slice text)
{
    do {
        const char *comma = memchr(text.ptr, ',', text.len);
        struct sl_slice one = {text.ptr, comma ? (size_t)(comma - text.ptr) : text.len};
        if (!sl_r4_resource(one) || (comma && one.len + 1 == text.len))
            return false;
        text = sl_slice_from(text, one.len + 1);
    } while (text.len);
    return true;
}

bool sl_interaction_wants(const struct sl_interaction *interaction, sl_r4_node type)
{
    struct sl_slice rest = interaction->types, name = sl_r4_node_name(type);
    while (rest.len) {
        const char *comma = memchr(rest.ptr, ',', rest.len);
        struct sl_slice one = {rest.ptr, comma ? (size_t)(comma - rest.ptr) : rest.len};
        if (sl_slice_eq(one, name))
            return true;
        rest = sl_slice_from(rest, one.len + 1);
    }
    return !interaction->types.len;
}

static bool read_count(struct sl_slice text, size_t *out)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        count = count * 10 + (size_t)(text.ptr[i] - '0');
    }
    *out = count;
    return text.len < 8 && count > 0;
}

/* History: `_count`, `_since`, and the cursor of a page. `_at` and `_list` would be narrower, and are refused. */
static enum sl_status read_history(struct sl_arena *arena, struct sl_interaction *out)
{
    struct sl_slice query = out->query, raw, name, value;
    struct sl_time_range since;
    while (query.len) {
        if (!sl_query_take(&query, arena, &raw, &name, &value))
            return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_BAD_SYNTAX;
        if (sl_slice_eq(name, SL_LIT("_count")) && !out->search.count && read_count(value, &out->search.count))
            continue;
        if (sl_slice_eq(name, SL_LIT("_since")) && !out->since.len && sl_time_range_read(value, &since))
            out->since = value;
        else if (sl_slice_eq(name, SL_LIT("_cursor")) && !out->search.cursor.len && value.len)
            out->search.cursor = value;
        else
            return SL_BAD_PARAMETER;
    }
    return SL_OK;
}

/* `_route`: the record by which the client came to what it reads. */
static bool is_route(const struct sl_interaction *interaction, struct sl_slice value)
{
    const char *slash = value.len ? memchr(value.ptr, '/', value.len) : NULL;
    struct sl_slice type = {value.ptr, slash ? (size_t)(slash - value.ptr) : 0};
    return (sl_r4_facts(interaction->type) & SL_R4_BY_ROUTE) && !interaction->route.len && slash &&
           sl_r4_resource(type) && sl_is_id(sl_slice_from(value, type.len + 1));
}

/* Which part of a resource is asked for: `_summary` and `_elements`, as a search reads them. There is nothing to count.
 */
static enum sl_status read_part(
    struct sl_arena *arena, struct sl_slice name, struct sl_slice raw, struct sl_interaction *out)
{
    bool part = sl_slice_eq(name, SL_LIT("_summary")) || sl_slice_eq(name, SL_LIT("_elements"));
    if (!part || out->search.summary.len || out->search.elements.len)
        return SL_BAD_PARAMETER;
    SL_TRY(sl_search_read(arena, out->type, raw, (struct sl_slice){NULL, 0}, NULL, &out->search));
    return sl_slice_eq(out->search.summary, SL_LIT("count")) ? SL_BAD_PARAMETER : SL_OK;
}

/* A read has no parameters but these. */
static enum sl_status read_read(struct sl_arena *arena, struct sl_interaction *out)
{
    struct sl_slice query = out->query, raw, name, value;
    while (query.len) {
        if (!sl_query_take(&query, arena, &raw, &name, &value))
            return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_BAD_SYNTAX;
        if (!sl_slice_eq(name, SL_LIT("_route"))) {
            SL_TRY(read_part(arena, name, raw, out));
            continue;
        }
        if (!is_route(out, value))
            return SL_BAD_PARAMETER;
        out->route = value;
    }
    return SL_OK;
}

/* A write that names no record: whom it is about is told by a query. */
static bool is_conditional(const struct sl_interaction *interaction)
{
    return (CHANGES & M(interaction->kind)) && !interaction->id.len;
}

enum sl_status sl_route(const struct sl_config *config, const struct sl_request *request, struct sl_arena *arena,
    struct sl_interaction *out, const char **why)
{
    struct sl_slice format = {NULL, 0};
    *out = (struct sl_interaction){0};
    struct sl_interaction found = {0};
    SL_TRY(find_route(config, request, arena, &found, why));
    SL_TRY(check_headers(request, &found, why));
    *why = "parameter";
    SL_TRY(take_general(request->query, arena, &found.query, &format));
    *why = "format";
    found.format_named = format.ptr;
    SL_TRY(sl_format_find(request, format, found.kind == SL_READ && found.type == SL_R4_Binary, &found.format));
    *why = "parameter";
    if (found.kind == SL_HISTORY)
        SL_TRY(read_history(arena, &found));
    else if (found.kind == SL_READ)
        SL_TRY(read_read(arena, &found));
    else if (found.kind != SL_SEARCH && !sl_is_operation(found.kind) &&
             !is_conditional(&found) == (found.query.len > 0))
        return SL_BAD_PARAMETER;
    *out = found;
    *why = NULL;
    return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}

/* ---- The parameters of a search ---- */

/* Takes `_type` out of the query of a search of the system. */
static enum sl_status take_types(
    struct sl_slice query, struct sl_arena *arena, struct sl_slice *rest, struct sl_slice *types)
{
    char *out = sl_arena_raw(arena, query.len + 1, 1);
    size_t len = 0;
    if (!out)
        return SL_NO_MEMORY;
    while (query.len) {
        struct sl_slice pair, name, value;
        if (!sl_query_take(&query, arena, &pair, &name, &value))
            return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_BAD_SYNTAX;
        if (sl_slice_eq(name, SL_LIT("_type"))) {
            if (types->len || !value.len || !sl_are_types(value))
                return SL_BAD_PARAMETER;
            *types = value;
            continue;
        }
        if (len)
            out[len++] = '&';
        memcpy(out + len, pair.ptr, pair.len);
        len += pair.len;
    }
    *rest = (struct sl_slice){out, len};
    return SL_OK;
}

/* What is asked of several types at once is what each of them knows, and nothing that leads from one type to others. */
static bool is_common(const struct sl_search *search)
{
    for (size_t i = 0; i < search->sort_count; i++)
        if (strcmp(search->sorts[i].param->name, "_lastUpdated") != 0 &&
            strcmp(search->sorts[i].param->name, "_id") != 0)
            return false;
    return !search->step_count && !search->include_count;
}

static enum sl_status refuse(struct sl_issues *issues, const char *why)
{
    sl_issue_add(issues, SL_GRADE_ERROR, "unsupported-parameter", "%s", why);
    return SL_BAD_PARAMETER;
}

#define SYSTEM_TYPES 32u /* searched at once */

/* GET [base]?_type=A,B&…: each type's search with the same words. */
static enum sl_status read_system(
    struct sl_arena *arena, struct sl_issues *issues, struct sl_slice form, struct sl_interaction *out)
{
    struct sl_slice query, more, rest;
    SL_TRY(take_types(out->query, arena, &query, &out->types));
    SL_TRY(take_types(form, arena, &more, &out->types));
    if (!out->types.len)
        return refuse(
            issues, "A search of all types is not supported: _type says which, as in ?_type=Patient,Encounter.");
    struct sl_search *searches = sl_arena_array(arena, SYSTEM_TYPES, sizeof *searches);
    if (!searches)
        return SL_NO_MEMORY;
    for (rest = out->types; rest.len;) {
        const char *comma = memchr(rest.ptr, ',', rest.len);
        struct sl_slice one = {rest.ptr, comma ? (size_t)(comma - rest.ptr) : rest.len};
        if (out->search_count == SYSTEM_TYPES)
            return refuse(issues, "_type names too many types.");
        SL_TRY(sl_search_read(arena, sl_r4_resource(one), query, more, issues, &searches[out->search_count]));
        if (!is_common(&searches[out->search_count++]))
            return refuse(
                issues, "Chains, _has, _list, includes and sorting but by _id and _lastUpdated need one type.");
        rest = sl_slice_from(rest, one.len + 1);
    }
    out->searches = searches;
    out->search = searches[0];
    return SL_OK;
}

enum sl_status sl_route_query(const struct sl_request *request, struct sl_arena *arena, struct sl_issues *issues,
    struct sl_interaction *interaction)
{
    if (interaction->kind != SL_SEARCH)
        return SL_OK;
    struct sl_slice form = {NULL, 0}, format = {NULL, 0};
    if (interaction->form)
        SL_TRY(take_general(request->body, arena, &form, &format));
    if (format.ptr) {
        SL_TRY(sl_format_find(request, format, false, &interaction->format));
        interaction->format_named = true;
    }
    if (!interaction->type)
        return read_system(arena, issues, form, interaction);
    return sl_search_read(arena, interaction->type, interaction->query, form, issues, &interaction->search);
}
