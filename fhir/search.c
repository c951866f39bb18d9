/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a search, strictly: its pairs, result parameters and includes. One parameter and its values are read in
 * search_param.c, what has to be found out first in search_step.c. Whatever is not known (a parameter, a modifier,
 * a prefix, a chain, an escape, a value of the wrong form) refuses the whole search: a dropped parameter is a wider
 * search. (http://hl7.org/fhir/R4/search.html; RFC 3986 2.1 and the form encoding's '+' for the text.)
 */
#include "search_read.h"

#define MAX_COUNT 1000000u

/* The name of a parameter is the client's text, but no record's. */
enum sl_status sl_search_refuse(const struct sl_search_reading *reading, struct sl_slice name, const char *why)
{
    if (name.len > 64)
        name.len = 64;
    sl_issue_add(reading->issues, SL_GRADE_ERROR, "bad-parameter", "The parameter '%.*s' %s.", SL_FMT(name), why);
    return SL_BAD_PARAMETER;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF; and no control characters. */
static bool clean_utf8(struct sl_slice text)
{
    const unsigned char *at = (const unsigned char *)text.ptr, *end = at + text.len;
    while (at < end) {
        unsigned char c = *at++;
        int more = c < 0x80                 ? 0
                   : c >= 0xc2 && c <= 0xdf ? 1
                   : c >= 0xe0 && c <= 0xef ? 2
                   : c >= 0xf0 && c <= 0xf4 ? 3
                                            : -1;
        if (c < 0x20 || c == 0x7f || more < 0 || end - at < more)
            return false;
        if ((c == 0xe0 && *at < 0xa0) || (c == 0xed && *at > 0x9f) || (c == 0xf0 && *at < 0x90) ||
            (c == 0xf4 && *at > 0x8f))
            return false;
        for (; more > 0; more--)
            if ((*at++ & 0xc0) != 0x80)
                return false;
    }
    return true;
}

static bool decode(struct sl_arena *arena, struct sl_slice text, struct sl_slice *out)
{
    char *to = sl_arena_raw(arena, text.len + 1, 1);
    size_t len = 0;
    if (!to)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = text.len - i > 2 ? hex(text.ptr[i + 1]) : -1, low = high >= 0 ? hex(text.ptr[i + 2]) : -1;
            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        to[len++] = c;
    }
    *out = (struct sl_slice){to, len};
    return clean_utf8(*out);
}

/* ---- Result parameters ---- */

static bool read_count(struct sl_search_reading *reading, struct sl_slice text)
{
    size_t value = 0;
    if (text.len == 0 || text.len > 7)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        value = value * 10 + (size_t)(text.ptr[i] - '0');
    }
    if (value == 0) /* "If _count has the value 0, this shall be treated the same as _summary=count" */
        reading->search->summary = SL_LIT("count");
    reading->search->count = value;
    return value <= MAX_COUNT;
}

static bool one_of(struct sl_slice text, const char *const *words)
{
    for (; *words; words++)
        if (sl_slice_eq(text, sl_slice_of(*words)))
            return true;
    return false;
}

static bool read_summary(struct sl_search_reading *reading, struct sl_slice text)
{
    static const char *const words[] = {"true", "text", "data", "count", "false", NULL};
    reading->search->summary = text;
    return one_of(text, words);
}

static bool read_total(struct sl_search_reading *reading, struct sl_slice text)
{
    static const char *const words[] = {"none", "estimate", "accurate", NULL};
    reading->search->total = text;
    return one_of(text, words);
}

static bool read_elements(struct sl_search_reading *reading, struct sl_slice text)
{
    reading->search->elements = text;
    for (struct sl_slice rest = text;;) {
        size_t len = sl_search_piece(rest, ',');
        if (!sl_name_find(rest.ptr, len))
            return false;
        if (len == rest.len)
            return true;
        rest = sl_slice_from(rest, len + 1);
    }
}

static bool read_cursor(struct sl_search_reading *reading, struct sl_slice text)
{
    reading->search->cursor = text;
    return text.len > 0 && text.len <= 1024;
}

static bool read_format(struct sl_search_reading *reading, struct sl_slice text)
{
    static const char *const words[] = {"json", "application/json", "application/fhir+json", NULL};
    (void)reading;
    return one_of(text, words);
}

static bool read_pretty(struct sl_search_reading *reading, struct sl_slice text)
{
    static const char *const words[] = {"true", "false", NULL};
    (void)reading;
    return one_of(text, words);
}

/* "-date,name". The order is made of what is left of each match, so only what can be read there orders. */
static bool read_sort(struct sl_search_reading *reading, struct sl_slice text)
{
    struct sl_search *search = reading->search;
    for (;;) {
        size_t len = sl_search_piece(text, ',');
        struct sl_slice name = {text.ptr, len};
        bool descending = sl_slice_starts(name, SL_LIT("-"));
        const struct sl_r4_param *param = sl_search_param_find(search->type, sl_slice_from(name, descending));
        if (!param || param->type == SL_PARAM_COMPOSITE || search->sort_count == SL_SEARCH_SORTS)
            return false;
        reading->sorts[search->sort_count++] = (struct sl_search_sort){param, descending};
        if (len == text.len)
            return true;
        text = sl_slice_from(text, len + 1);
    }
}

/* At type level it can say one thing only. */
static bool read_type(struct sl_search_reading *reading, struct sl_slice text)
{
    return reading->search->type && sl_slice_eq(text, sl_r4_node_name(reading->search->type));
}

static const struct {
    const char *name;
    bool (*read)(struct sl_search_reading *reading, struct sl_slice text);
} results[] = {
    {"_count", read_count},
    {"_summary", read_summary},
    {"_total", read_total},
    {"_sort", read_sort},
    {"_type", read_type},
    {"_elements", read_elements},
    {"_cursor", read_cursor},
    {"_format", read_format},
    {"_pretty", read_pretty},
};

/* The source, parameter and target of an include exist and fit each other. */
static bool is_possible(const struct sl_include *include)
{
    if (sl_slice_eq(include->param, SL_LIT("*")))
        return !include->reverse && sl_r4_resource(include->source) && !include->target.len;
    const struct sl_r4_param *param = sl_search_param_find(sl_r4_resource(include->source), include->param);
    return param && param->type == SL_PARAM_REFERENCE &&
           (!include->target.len || (sl_r4_resource(include->target) && sl_search_is_target(param, include->target)));
}

/* What is included hangs on what was searched, the source of _include, the target of _revinclude; with :iterate it may
 * hang on what was included as well. */
static bool hangs_on(const struct sl_include *include, struct sl_slice base)
{
    if (include->iterate)
        return true;
    if (!include->reverse)
        return sl_slice_eq(include->source, base);
    return (!include->target.len || sl_slice_eq(include->target, base)) &&
           sl_search_is_target(sl_search_param_find(sl_r4_resource(include->source), include->param), base);
}

/* "Source:param[:Target]", and "*" or "Source:*" for every reference of the source. */
static enum sl_status read_include(
    struct sl_search_reading *reading, struct sl_slice name, struct sl_slice modifier, struct sl_slice text)
{
    struct sl_slice base = sl_r4_node_name(reading->search->type);
    struct sl_include include = {
        .reverse = sl_slice_eq(name, SL_LIT("_revinclude")), .iterate = sl_slice_eq(modifier, SL_LIT("iterate"))};
    size_t colon = sl_search_piece(text, ':');
    struct sl_slice rest = sl_slice_from(text, colon + 1);
    include.source = (struct sl_slice){text.ptr, colon};
    colon = sl_search_piece(rest, ':');
    include.param = (struct sl_slice){rest.ptr, colon};
    include.target = sl_slice_from(rest, colon + 1);
    if (sl_slice_eq(text, SL_LIT("*"))) {
        include.source = base;
        include.param = text;
    }
    if ((modifier.len && !include.iterate) || (colon < rest.len && !include.target.len) || !is_possible(&include))
        return sl_search_refuse(reading, name, "is not supported in this form");
    if (!hangs_on(&include, base))
        return sl_search_refuse(reading, name, "does not fit the type that is searched");
    if (reading->search->include_count == SL_SEARCH_INCLUDES)
        return sl_search_refuse(reading, name, "is one too many");
    reading->includes[reading->search->include_count++] = include;
    return SL_OK;
}

/* ---- Pairs ---- */

/* What is searched for: a step that has to be taken first, or a parameter. */
static enum sl_status read_criterion(struct sl_search_reading *reading, struct sl_slice name, struct sl_slice value)
{
    bool taken;
    enum sl_status status = sl_search_read_step(reading, name, value, &taken);
    if (status != SL_OK || taken)
        return status;
    size_t colon = sl_search_piece(name, ':');
    struct sl_slice modifier = sl_slice_from(name, colon + 1);
    if (colon + 1 == name.len)
        return sl_search_refuse(reading, name, "has an empty modifier");
    name.len = colon;
    return sl_search_read_param(reading, name, modifier, value);
}

static enum sl_status read_pair(struct sl_search_reading *reading, struct sl_slice raw_name, struct sl_slice raw_value)
{
    struct sl_slice name, value;
    if (!decode(reading->arena, raw_name, &name) || !decode(reading->arena, raw_value, &value))
        return sl_arena_failed(reading->arena) ? SL_NO_MEMORY
                                               : sl_search_refuse(reading, SL_LIT("?"), "is badly encoded");
    if (value.len == 0)
        return sl_search_refuse(reading, name, "has no value");
    size_t colon = sl_search_piece(name, ':');
    struct sl_slice word = {name.ptr, colon}, modifier = sl_slice_from(name, colon + 1);
    if (sl_slice_eq(word, SL_LIT("_include")) || sl_slice_eq(word, SL_LIT("_revinclude")))
        return read_include(reading, word, modifier, value);
    for (unsigned i = 0; i < sizeof results / sizeof *results; i++) {
        if (!sl_slice_eq(word, sl_slice_of(results[i].name)))
            continue;
        if (colon < name.len || reading->seen >> i & 1 || !results[i].read(reading, value))
            return sl_search_refuse(reading, word, "is given twice or has a value that is not supported");
        reading->seen |= 1u << i;
        return SL_OK;
    }
    return read_criterion(reading, name, value);
}

static size_t until(struct sl_slice text, char stop)
{
    size_t i = 0;
    while (i < text.len && text.ptr[i] != stop)
        i++;
    return i;
}

static enum sl_status read_pairs(struct sl_search_reading *reading, struct sl_slice text)
{
    while (text.len) {
        struct sl_slice pair = {text.ptr, until(text, '&')};
        text = sl_slice_from(text, pair.len + 1);
        if (pair.len == 0) /* "a=b&&c=d": nothing is said, nothing is dropped */
            continue;
        size_t len = until(pair, '=');
        SL_TRY(read_pair(reading, (struct sl_slice){pair.ptr, len}, sl_slice_from(pair, len + 1)));
    }
    return SL_OK;
}

/* A copy, as long as it is; NULL if it is empty, or memory ran out. */
static void *copy(struct sl_arena *arena, const void *list, size_t count, size_t size)
{
    void *out = count ? sl_arena_array(arena, count, size) : NULL;
    if (out)
        memcpy(out, list, count * size);
    return out;
}

static enum sl_status keep(struct sl_search_reading *reading)
{
    struct sl_search *search = reading->search;
    search->params = copy(reading->arena, reading->params, search->param_count, sizeof *reading->params);
    search->steps = copy(reading->arena, reading->steps, search->step_count, sizeof *reading->steps);
    search->includes = copy(reading->arena, reading->includes, search->include_count, sizeof *reading->includes);
    search->sorts = copy(reading->arena, reading->sorts, search->sort_count, sizeof *reading->sorts);
    return sl_arena_failed(reading->arena) ? SL_NO_MEMORY : SL_OK;
}

/* What each allows alone, and not together. */
static enum sl_status check_views(const struct sl_search_reading *reading)
{
    const struct sl_search *search = reading->search;
    bool summary = search->summary.len && !sl_slice_eq(search->summary, SL_LIT("false"));
    if (summary && search->elements.len)
        return sl_search_refuse(reading, SL_LIT("_elements"), "cannot be joined with _summary");
    if (search->include_count && sl_slice_eq(search->summary, SL_LIT("text")))
        return sl_search_refuse(reading, SL_LIT("_summary"), "cannot be 'text' where _include or _revinclude is given");
    return SL_OK;
}

static enum sl_status read_all(struct sl_search_reading *reading, struct sl_slice query, struct sl_slice form)
{
    if (query.len > SL_SEARCH_QUERY || form.len > SL_SEARCH_QUERY - query.len)
        return SL_URI_TOO_LONG;
    SL_TRY(read_pairs(reading, query));
    SL_TRY(read_pairs(reading, form));
    SL_TRY(check_views(reading));
    return keep(reading);
}

enum sl_status sl_search_read(struct sl_arena *arena, sl_r4_node type, struct sl_slice query, struct sl_slice form,
    struct sl_issues *issues, struct sl_search *out)
{
    unsigned inner = 0;
    memset(out, 0, sizeof *out);
    struct sl_search_reading *reading = sl_arena_alloc(arena, sizeof *reading);
    if (!reading)
        return SL_NO_MEMORY;
    reading->arena = arena;
    reading->issues = issues;
    reading->search = out;
    reading->inner = &inner;
    out->type = type;
    enum sl_status status = read_all(reading, query, form);
    if (status != SL_OK)
        memset(out, 0, sizeof *out); /* half a search is a wider search */
    return status;
}

enum sl_status sl_search_read_inner(struct sl_search_reading *outer, sl_r4_node type, struct sl_slice name,
    struct sl_slice text, struct sl_slice within, struct sl_search **out)
{
    struct sl_search_reading *reading = sl_arena_alloc(outer->arena, sizeof *reading);
    *out = sl_arena_alloc(outer->arena, sizeof **out);
    if (!reading || !*out)
        return SL_NO_MEMORY;
    reading->arena = outer->arena;
    reading->search = *out;
    reading->depth = outer->depth;
    reading->inner = outer->inner;
    reading->operator= outer->operator;
    (*out)->type = type;
    SL_TRY(read_criterion(reading, name, text));
    reading->operator= NULL;
    if (within.len)
        SL_TRY(sl_search_read_filter(reading, within));
    return keep(reading);
}
