/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a search, strictly, and writing it again in one normal form. Whatever is not known (a parameter, a modifier,
 * a prefix, a chain, an escape, a value of the wrong form) refuses the whole search: a dropped parameter is a wider
 * search. (http://hl7.org/fhir/R4/search.html; RFC 3986 2.1 and the form encoding's '+' for the text.)
 */
#include "sluice/search.h"

#include <stdlib.h>

#include "search_parts.h"
#include "sluice/buffer.h"

enum {
    MAX_PARAMS = 64,   /* of one search */
    MAX_VALUES = 1024, /* of one parameter: `_id` lists are long */
    MAX_INCLUDES = 32,
    MAX_QUERY = 256 * 1024, /* bytes of query and form together */
    MAX_COUNT = 1000000
};

/* ---- The parameters every resource has ---- */

static const char *const path_id[] = {"Resource.id", NULL}, *const path_updated[] = {"Resource.meta.lastUpdated", NULL},
                         *const path_tag[] = {"Resource.meta.tag", NULL},
                         *const path_security[] = {"Resource.meta.security", NULL},
                         *const path_profile[] = {"Resource.meta.profile", NULL},
                         *const path_source[] = {"Resource.meta.source", NULL};
static const struct sl_r4_param common[] = {
    {"_id", SL_PARAM_TOKEN, path_id, NULL, NULL},
    {"_lastUpdated", SL_PARAM_DATE, path_updated, NULL, NULL},
    {"_tag", SL_PARAM_TOKEN, path_tag, NULL, NULL},
    {"_security", SL_PARAM_TOKEN, path_security, NULL, NULL},
    {"_profile", SL_PARAM_URI, path_profile, NULL, NULL},
    {"_source", SL_PARAM_URI, path_source, NULL, NULL},
};

static const struct sl_r4_param *find_param(sl_r4_node type, struct sl_slice name)
{
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        if (sl_slice_eq(name, sl_slice_of(common[i].name)))
            return &common[i];
    const struct sl_r4_param *param = type ? sl_r4_param_find(type, name) : NULL;
    return param && sl_search_readable(param) ? param : NULL;
}

/* ---- A search being read ---- */

struct reading {
    struct sl_arena *arena;
    struct sl_issues *issues;
    struct sl_search *search;
    struct sl_search_param params[MAX_PARAMS];
    struct sl_include includes[MAX_INCLUDES];
    unsigned seen; /* a bit a result parameter: each may stand once */
};

/* The name of a parameter is the client's text, but no record's. */
static enum sl_status refuse(const struct reading *reading, struct sl_slice name, const char *why)
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

/* ---- Values ---- */

/* Ends at an unescaped `stop` (a comma, a bar), or at the end of the text. */
static size_t piece(struct sl_slice text, char stop)
{
    size_t i = 0;
    while (i < text.len && text.ptr[i] != stop)
        i += text.ptr[i] == '\\' && i + 1 < text.len ? 2 : 1;
    return i;
}

/* "\,", "\|", "\$" and "\\" stand for themselves; any other use of the backslash is refused. */
static bool unescape(struct sl_arena *arena, struct sl_slice text, struct sl_slice *out)
{
    if (text.len == 0 || !memchr(text.ptr, '\\', text.len)) {
        *out = text;
        return true;
    }
    char *to = sl_arena_raw(arena, text.len, 1);
    size_t len = 0;
    for (size_t i = 0; to && i < text.len; i++) {
        if (text.ptr[i] == '\\' && (++i == text.len || !memchr(",|$\\", text.ptr[i], 4)))
            return false;
        to[len++] = text.ptr[i];
    }
    *out = (struct sl_slice){to, len};
    return to != NULL;
}

static bool read_token(struct reading *reading, struct sl_slice raw, struct sl_search_value *value)
{
    size_t bar = piece(raw, '|');
    if (bar == raw.len)
        return unescape(reading->arena, raw, &value->text) && value->text.len > 0;
    struct sl_slice code = sl_slice_from(raw, bar + 1);
    value->has_system = true;
    value->text = raw;
    return piece(code, '|') == code.len && raw.len > 1 &&
           unescape(reading->arena, (struct sl_slice){raw.ptr, bar}, &value->system) &&
           unescape(reading->arena, code, &value->code);
}

static const char *const prefixes[] = {"eq", "ne", "lt", "le", "gt", "ge", "sa", "eb"};

/* Two letters before a digit or sign are a prefix; one that is not supported refuses the search. */
static bool read_prefix(struct sl_slice *raw, struct sl_search_value *value)
{
    bool letters = raw->len > 2 && (raw->ptr[0] | 0x20) >= 'a' && (raw->ptr[0] | 0x20) <= 'z';
    memcpy(value->prefix, "eq", 3);
    if (!letters)
        return true;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (memcmp(raw->ptr, prefixes[i], 2) == 0) {
            memcpy(value->prefix, prefixes[i], 3);
            *raw = sl_slice_from(*raw, 2);
            return true;
        }
    return false;
}

static bool read_date(struct reading *reading, struct sl_slice raw, struct sl_search_value *value)
{
    struct sl_time_range range;
    return read_prefix(&raw, value) && unescape(reading->arena, raw, &value->text) &&
           sl_time_range_read(value->text, &range);
}

/* "5.4", or for a quantity "5.4|system|code" with either part empty. */
static bool read_number(struct reading *reading, struct sl_slice raw, struct sl_search_value *value, bool quantity)
{
    struct sl_number number;
    if (!read_prefix(&raw, value))
        return false;
    size_t bar = piece(raw, '|');
    value->text = (struct sl_slice){raw.ptr, bar};
    if (!sl_number_read(value->text, &number))
        return false;
    if (bar == raw.len)
        return true;
    struct sl_slice rest = sl_slice_from(raw, bar + 1);
    bar = piece(rest, '|');
    struct sl_slice code = sl_slice_from(rest, bar + 1);
    value->has_system = true;
    return quantity && bar < rest.len && piece(code, '|') == code.len &&
           unescape(reading->arena, (struct sl_slice){rest.ptr, bar}, &value->system) &&
           unescape(reading->arena, code, &value->code);
}

static bool is_absolute(struct sl_slice text)
{
    return sl_slice_starts(text, SL_LIT("http://")) || sl_slice_starts(text, SL_LIT("https://")) ||
           sl_slice_starts(text, SL_LIT("urn:"));
}

static bool is_target(const struct sl_r4_param *param, struct sl_slice type)
{
    for (const char *const *target = param->targets; target && *target; target++)
        if (sl_slice_eq(type, sl_slice_of(*target)))
            return true;
    return !param->targets || !param->targets[0];
}

/* "x", "Patient/x", absolute; with the modifier a type name (subject:Patient=x). */
static bool read_reference(
    struct reading *reading, const struct sl_search_param *param, struct sl_slice raw, struct sl_search_value *value)
{
    if (!unescape(reading->arena, raw, &value->text) || value->text.len == 0)
        return false;
    if (is_absolute(value->text))
        return param->modifier.len == 0;
    if (sl_id_valid(value->text)) {
        value->code = value->text;
        value->system = param->modifier;
    } else {
        struct sl_reference_parts parts = sl_reference_split(value->text);
        if (parts.id.len == 0 || parts.type.len + 1 + parts.id.len != value->text.len)
            return false;
        value->system = parts.type;
        value->code = parts.id;
        if (param->modifier.len && !sl_slice_eq(param->modifier, parts.type))
            return false;
    }
    return value->system.len == 0 || is_target(param->param, value->system);
}

static bool read_text(struct reading *reading, struct sl_slice raw, struct sl_search_value *value)
{
    return unescape(reading->arena, raw, &value->text) && value->text.len > 0;
}

static bool read_value(
    struct reading *reading, const struct sl_search_param *param, struct sl_slice raw, struct sl_search_value *value)
{
    if (sl_slice_eq(param->modifier, SL_LIT("missing"))) {
        value->text = raw;
        return sl_slice_eq(raw, SL_LIT("true")) || sl_slice_eq(raw, SL_LIT("false"));
    }
    switch (param->param->type) {
    case SL_PARAM_TOKEN:
        return read_token(reading, raw, value);
    case SL_PARAM_REFERENCE:
        return read_reference(reading, param, raw, value);
    case SL_PARAM_DATE:
        return read_date(reading, raw, value);
    case SL_PARAM_NUMBER:
        return read_number(reading, raw, value, false);
    case SL_PARAM_QUANTITY:
        return read_number(reading, raw, value, true);
    case SL_PARAM_STRING:
    case SL_PARAM_URI:
        return read_text(reading, raw, value);
    case SL_PARAM_NONE:
    case SL_PARAM_COMPOSITE:
    case SL_PARAM_SPECIAL:
        return false;
    }
    return false;
}

/* `:not`, `:in`, `:text`, `:above`, `:below`, `:identifier` and the rest are refused. */
static bool known_modifier(const struct sl_search_param *param)
{
    if (param->modifier.len == 0 || sl_slice_eq(param->modifier, SL_LIT("missing")))
        return true;
    if (param->param->type == SL_PARAM_STRING)
        return sl_slice_eq(param->modifier, SL_LIT("exact")) || sl_slice_eq(param->modifier, SL_LIT("contains"));
    return param->param->type == SL_PARAM_REFERENCE && sl_r4_resource(param->modifier) &&
           is_target(param->param, param->modifier);
}

static enum sl_status read_values(struct reading *reading, struct sl_search_param *param, struct sl_slice text)
{
    size_t count = 1;
    for (size_t at = piece(text, ','); at < text.len; at += 1 + piece(sl_slice_from(text, at + 1), ','))
        count++;
    if (count > MAX_VALUES || (count > 1 && sl_slice_eq(param->modifier, SL_LIT("missing"))))
        return refuse(reading, param->name, "has too many values");
    struct sl_search_value *values = sl_arena_array(reading->arena, count, sizeof *values);
    if (!values)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        size_t len = piece(text, ',');
        if (!read_value(reading, param, (struct sl_slice){text.ptr, len}, &values[i]))
            return sl_arena_failed(reading->arena) ? SL_NO_MEMORY
                                                   : refuse(reading, param->name, "has a value that is not supported");
        text = sl_slice_from(text, len + 1);
    }
    param->values = values;
    param->value_count = count;
    return SL_OK;
}

static enum sl_status read_param(
    struct reading *reading, struct sl_slice name, struct sl_slice modifier, struct sl_slice text)
{
    struct sl_search_param param = {
        .param = find_param(reading->search->type, name), .name = name, .modifier = modifier};
    if (!param.param)
        return refuse(reading, name, "is not supported here");
    if (!known_modifier(&param))
        return refuse(reading, name, "has a modifier that is not supported");
    if (reading->search->param_count == MAX_PARAMS)
        return refuse(reading, name, "is one too many");
    SL_TRY(read_values(reading, &param, text));
    reading->params[reading->search->param_count++] = param;
    return SL_OK;
}

/* ---- Result parameters ---- */

static bool read_count(struct reading *reading, struct sl_slice text)
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

static bool read_summary(struct reading *reading, struct sl_slice text)
{
    static const char *const words[] = {"true", "text", "data", "count", "false", NULL};
    reading->search->summary = text;
    return one_of(text, words);
}

static bool read_total(struct reading *reading, struct sl_slice text)
{
    static const char *const words[] = {"none", "estimate", "accurate", NULL};
    reading->search->total = text;
    return one_of(text, words);
}

static bool read_elements(struct reading *reading, struct sl_slice text)
{
    reading->search->elements = text;
    for (struct sl_slice rest = text;;) {
        size_t len = piece(rest, ',');
        if (!sl_name_find(rest.ptr, len))
            return false;
        if (len == rest.len)
            return true;
        rest = sl_slice_from(rest, len + 1);
    }
}

static bool read_cursor(struct reading *reading, struct sl_slice text)
{
    reading->search->cursor = text;
    return text.len > 0 && text.len <= 1024;
}

static bool read_format(struct reading *reading, struct sl_slice text)
{
    static const char *const words[] = {"json", "application/json", "application/fhir+json", NULL};
    (void)reading;
    return one_of(text, words);
}

static bool read_pretty(struct reading *reading, struct sl_slice text)
{
    static const char *const words[] = {"true", "false", NULL};
    (void)reading;
    return one_of(text, words);
}

static const struct {
    const char *name;
    bool (*read)(struct reading *reading, struct sl_slice text);
} results[] = {
    {"_count", read_count},
    {"_summary", read_summary},
    {"_total", read_total},
    {"_elements", read_elements},
    {"_cursor", read_cursor},
    {"_format", read_format},
    {"_pretty", read_pretty},
};

/* "Source:param[:Target]". Wildcards and :iterate are refused. */
static enum sl_status read_include(
    struct reading *reading, struct sl_slice name, struct sl_slice modifier, struct sl_slice text)
{
    bool reverse = sl_slice_eq(name, SL_LIT("_revinclude"));
    struct sl_include include = {.reverse = reverse};
    size_t colon = piece(text, ':');
    include.source = (struct sl_slice){text.ptr, colon};
    struct sl_slice rest = sl_slice_from(text, colon + 1);
    colon = piece(rest, ':');
    include.param = (struct sl_slice){rest.ptr, colon};
    include.target = sl_slice_from(rest, colon + 1);
    const struct sl_r4_param *param = find_param(sl_r4_resource(include.source), include.param);
    if (modifier.len || !param || param->type != SL_PARAM_REFERENCE)
        return refuse(reading, name, "is not supported in this form");
    if (colon < rest.len && (!sl_r4_resource(include.target) || !is_target(param, include.target)))
        return refuse(reading, name, "names a type the parameter cannot refer to");
    /* What is included hangs on what was searched: the source of _include, the target of _revinclude. */
    struct sl_slice base = sl_r4_node_name(reading->search->type);
    if (reverse ? (include.target.len && !sl_slice_eq(include.target, base)) || !is_target(param, base)
                : !sl_slice_eq(include.source, base))
        return refuse(reading, name, "does not fit the type that is searched");
    if (reading->search->include_count == MAX_INCLUDES)
        return refuse(reading, name, "is one too many");
    reading->includes[reading->search->include_count++] = include;
    return SL_OK;
}

/* ---- Pairs ---- */

static enum sl_status read_pair(struct reading *reading, struct sl_slice raw_name, struct sl_slice raw_value)
{
    struct sl_slice name, value;
    if (!decode(reading->arena, raw_name, &name) || !decode(reading->arena, raw_value, &value))
        return sl_arena_failed(reading->arena) ? SL_NO_MEMORY : refuse(reading, SL_LIT("?"), "is badly encoded");
    size_t colon = piece(name, ':');
    struct sl_slice modifier = sl_slice_from(name, colon + 1);
    if (colon + 1 == name.len)
        return refuse(reading, name, "has an empty modifier");
    name.len = colon;
    if (value.len == 0)
        return refuse(reading, name, "has no value");
    if (sl_slice_eq(name, SL_LIT("_include")) || sl_slice_eq(name, SL_LIT("_revinclude")))
        return read_include(reading, name, modifier, value);
    for (unsigned i = 0; i < sizeof results / sizeof *results; i++) {
        if (!sl_slice_eq(name, sl_slice_of(results[i].name)))
            continue;
        if (modifier.len || reading->seen >> i & 1 || !results[i].read(reading, value))
            return refuse(reading, name, "is given twice or has a value that is not supported");
        reading->seen |= 1u << i;
        return SL_OK;
    }
    return read_param(reading, name, modifier, value);
}

static size_t until(struct sl_slice text, char stop)
{
    size_t i = 0;
    while (i < text.len && text.ptr[i] != stop)
        i++;
    return i;
}

static enum sl_status read_pairs(struct reading *reading, struct sl_slice text)
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

static enum sl_status keep(struct reading *reading)
{
    struct sl_search *search = reading->search;
    struct sl_search_param *params = sl_arena_array(reading->arena, search->param_count, sizeof *params);
    struct sl_include *includes = sl_arena_array(reading->arena, search->include_count, sizeof *includes);
    if (sl_arena_failed(reading->arena))
        return SL_NO_MEMORY;
    if (search->param_count)
        memcpy(params, reading->params, search->param_count * sizeof *params);
    if (search->include_count)
        memcpy(includes, reading->includes, search->include_count * sizeof *includes);
    search->params = params;
    search->includes = includes;
    return SL_OK;
}

enum sl_status sl_search_read(struct sl_arena *arena, sl_r4_node type, struct sl_slice query, struct sl_slice form,
    struct sl_issues *issues, struct sl_search *out)
{
    memset(out, 0, sizeof *out);
    struct reading *reading = sl_arena_alloc(arena, sizeof *reading);
    if (!reading)
        return SL_NO_MEMORY;
    reading->arena = arena;
    reading->issues = issues;
    reading->search = out;
    out->type = type;
    enum sl_status status = query.len > MAX_QUERY || form.len > MAX_QUERY - query.len ? SL_URI_TOO_LONG : SL_OK;
    if (status == SL_OK)
        status = read_pairs(reading, query);
    if (status == SL_OK)
        status = read_pairs(reading, form);
    if (status == SL_OK)
        status = keep(reading);
    if (status != SL_OK)
        memset(out, 0, sizeof *out); /* half a search is a wider search */
    return status;
}

/* ---- Writing ---- */

/* Percent-encodes all but the unreserved characters, ':' and '/' (RFC 3986 2.3, 3.4). */
static void put_encoded(struct sl_buffer *out, struct sl_slice text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/";
    for (size_t i = 0; i < text.len; i++) {
        if (memchr(plain, text.ptr[i], sizeof plain - 1))
            sl_buffer_add(out, (struct sl_slice){text.ptr + i, 1});
        else
            sl_buffer_printf(out, "%%%02X", (unsigned char)text.ptr[i]);
    }
}

/* The FHIR escapes, then the percent encoding. */
static void put_escaped(struct sl_buffer *out, struct sl_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (memchr(",|$\\", text.ptr[i], 4))
            sl_buffer_add(out, SL_LIT("%5C"));
        put_encoded(out, (struct sl_slice){text.ptr + i, 1});
    }
}

static void put_value(struct sl_buffer *out, const struct sl_search_param *param, const struct sl_search_value *value)
{
    if (value->prefix[0] && strcmp(value->prefix, "eq") != 0)
        sl_buffer_printf(out, "%s", value->prefix);
    if (param->param->type == SL_PARAM_REFERENCE && value->code.len) {
        if (value->system.len) {
            put_escaped(out, value->system);
            sl_buffer_add(out, SL_LIT("/"));
        }
        put_escaped(out, value->code);
    } else if (value->has_system) {
        if (param->param->type == SL_PARAM_QUANTITY) {
            put_escaped(out, value->text);
            sl_buffer_add(out, SL_LIT("%7C"));
        }
        put_escaped(out, value->system);
        sl_buffer_add(out, SL_LIT("%7C"));
        put_escaped(out, value->code);
    } else {
        put_escaped(out, value->text);
    }
}

/* Pieces of the query ("name=value"), to be sorted. */
struct pieces {
    struct sl_slice *list;
    size_t count;
};

static int by_bytes(const void *a, const void *b)
{
    const struct sl_slice *x = a, *y = b;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = len ? memcmp(x->ptr, y->ptr, len) : 0;
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* Sorts, and drops what stands twice: both alternatives and parameters mean the same in any order. */
static void settle(struct pieces *pieces)
{
    size_t kept = 0;
    if (pieces->count > 1)
        qsort(pieces->list, pieces->count, sizeof *pieces->list, by_bytes);
    for (size_t i = 0; i < pieces->count; i++)
        if (i == 0 || !sl_slice_eq(pieces->list[i], pieces->list[kept - 1]))
            pieces->list[kept++] = pieces->list[i];
    pieces->count = kept;
}

/* Empties it; a failure stays: a piece that is lost would make another question of it, and be noticed by nobody. */
static void start_over(struct sl_buffer *scratch)
{
    scratch->len = 0;
}

static struct sl_slice join(
    struct sl_buffer *scratch, struct sl_arena *arena, struct sl_slice head, struct pieces *pieces, char between)
{
    start_over(scratch);
    sl_buffer_add(scratch, head);
    for (size_t i = 0; i < pieces->count; i++) {
        if (i)
            sl_buffer_add(scratch, (struct sl_slice){&between, 1});
        sl_buffer_add(scratch, pieces->list[i]);
    }
    return sl_arena_copy(arena, sl_buffer_slice(scratch));
}

static struct sl_slice write_param(
    const struct sl_search_param *param, struct sl_arena *arena, struct sl_buffer *scratch)
{
    struct pieces values = {sl_arena_array(arena, param->value_count, sizeof(struct sl_slice)), 0};
    for (size_t i = 0; values.list && i < param->value_count; i++) {
        start_over(scratch);
        put_value(scratch, param, &param->values[i]);
        values.list[values.count++] = sl_arena_copy(arena, sl_buffer_slice(scratch));
    }
    settle(&values);
    /* The type of subject:Patient=x has gone into its values. */
    bool typed = param->param->type == SL_PARAM_REFERENCE && !sl_slice_eq(param->modifier, SL_LIT("missing"));
    bool modified = param->modifier.len && !typed;
    struct sl_slice head = sl_arena_printf(arena, "%.*s%s%.*s=", SL_FMT(param->name), modified ? ":" : "",
        modified ? (int)param->modifier.len : 0, modified ? param->modifier.ptr : "");
    return join(scratch, arena, head, &values, ',');
}

static struct sl_slice write_include(const struct sl_include *include, struct sl_arena *arena)
{
    return sl_arena_printf(arena, "%s=%.*s:%.*s%s%.*s", include->reverse ? "_revinclude" : "_include",
        SL_FMT(include->source), SL_FMT(include->param), include->target.len ? ":" : "", SL_FMT(include->target));
}

static void add_result(
    struct pieces *pieces, struct sl_arena *arena, struct sl_buffer *scratch, const char *name, struct sl_slice value)
{
    if (value.len == 0)
        return;
    start_over(scratch);
    sl_buffer_printf(scratch, "%s=", name);
    put_encoded(scratch, value);
    pieces->list[pieces->count++] = sl_arena_copy(arena, sl_buffer_slice(scratch));
}

enum sl_status sl_search_write(const struct sl_search *search, struct sl_arena *arena, struct sl_slice *out)
{
    struct sl_buffer scratch;
    struct pieces pieces = {
        sl_arena_array(arena, search->param_count + search->include_count + 4, sizeof(struct sl_slice)), 0};
    *out = (struct sl_slice){NULL, 0};
    if (!pieces.list)
        return SL_NO_MEMORY;
    sl_buffer_init(&scratch, 4 * (size_t)MAX_QUERY);
    for (size_t i = 0; i < search->param_count; i++)
        pieces.list[pieces.count++] = write_param(&search->params[i], arena, &scratch);
    for (size_t i = 0; i < search->include_count; i++)
        pieces.list[pieces.count++] = write_include(&search->includes[i], arena);
    if (search->count)
        add_result(&pieces, arena, &scratch, "_count", sl_arena_printf(arena, "%zu", search->count));
    add_result(&pieces, arena, &scratch, "_elements", search->elements);
    add_result(&pieces, arena, &scratch, "_summary", search->summary);
    add_result(&pieces, arena, &scratch, "_total", search->total);
    settle(&pieces);
    struct sl_slice written = join(&scratch, arena, SL_LIT(""), &pieces, '&');
    bool failed = sl_buffer_failed(&scratch) || sl_arena_failed(arena);
    sl_buffer_fini(&scratch);
    if (failed)
        return SL_NO_MEMORY;
    *out = written;
    return SL_OK;
}
