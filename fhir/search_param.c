/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One parameter of a search and its values, read strictly: which modifiers go with which type of parameter, and how the
 * values of each are written (http://hl7.org/fhir/R4/search.html). What is not in the tables is refused.
 */
#include "search_read.h"

/* ---- The parameters every resource has ---- */

static const char *const path_id[] = {"Resource.id", NULL}, *const path_updated[] = {"Resource.meta.lastUpdated", NULL},
                         *const path_tag[] = {"Resource.meta.tag", NULL},
                         *const path_security[] = {"Resource.meta.security", NULL},
                         *const path_profile[] = {"Resource.meta.profile", NULL},
                         *const path_source[] = {"Resource.meta.source", NULL};
static const struct sl_r4_param common[] = {
    {"_id", SL_PARAM_TOKEN, path_id, NULL, NULL, NULL, NULL},
    {"_lastUpdated", SL_PARAM_DATE, path_updated, NULL, NULL, NULL, NULL},
    {"_tag", SL_PARAM_TOKEN, path_tag, NULL, NULL, NULL, NULL},
    {"_security", SL_PARAM_TOKEN, path_security, NULL, NULL, NULL, NULL},
    {"_profile", SL_PARAM_URI, path_profile, NULL, NULL, NULL, NULL},
    {"_source", SL_PARAM_URI, path_source, NULL, NULL, NULL, NULL},
};

const struct sl_r4_param *sl_search_param_find(sl_r4_node type, struct sl_slice name)
{
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        if (sl_slice_eq(name, sl_slice_of(common[i].name)))
            return &common[i];
    const struct sl_r4_param *param = type ? sl_r4_param_find(type, name) : NULL;
    return param && sl_search_readable(param) ? param : NULL;
}

bool sl_search_serves(const struct sl_r4_param *param)
{
    return sl_search_readable(param);
}

bool sl_search_is_target(const struct sl_r4_param *param, struct sl_slice type)
{
    for (const char *const *target = param->targets; target && *target; target++)
        if (sl_slice_eq(type, sl_slice_of(*target)))
            return true;
    return !param->targets || !param->targets[0];
}

/* ---- Modifiers ---- */

#define FOR(type) (1u << SL_PARAM_##type)
#define FOR_ALL (FOR(NUMBER) | FOR(DATE) | FOR(STRING) | FOR(TOKEN) | FOR(REFERENCE) | FOR(QUANTITY) | FOR(URI))

/* :in and :not-in need value sets, which are not at hand here. */
static const struct {
    const char *word;
    enum sl_search_modifier how;
    unsigned types;
} modifiers[] = {
    {"missing", SL_MODIFIER_MISSING, FOR_ALL},
    {"exact", SL_MODIFIER_EXACT, FOR(STRING)},
    {"contains", SL_MODIFIER_CONTAINS, FOR(STRING)},
    {"text", SL_MODIFIER_TEXT, FOR(TOKEN)},
    {"not", SL_MODIFIER_NOT, FOR(TOKEN)},
    {"above", SL_MODIFIER_ABOVE, FOR(URI) | FOR(TOKEN)},
    {"below", SL_MODIFIER_BELOW, FOR(URI) | FOR(TOKEN)},
    {"identifier", SL_MODIFIER_IDENTIFIER, FOR(REFERENCE)},
    {"of-type", SL_MODIFIER_OF_TYPE, FOR(TOKEN)},
};

static bool find_modifier(struct sl_search_param *param)
{
    if (param->modifier.len == 0)
        return true;
    for (size_t i = 0; i < sizeof modifiers / sizeof *modifiers; i++)
        if (sl_slice_eq(param->modifier, sl_slice_of(modifiers[i].word))) {
            param->how = modifiers[i].how;
            return modifiers[i].types >> param->param->type & 1;
        }
    param->how = SL_MODIFIER_TYPE;
    return param->param->type == SL_PARAM_REFERENCE && sl_r4_resource(param->modifier) &&
           sl_search_is_target(param->param, param->modifier);
}

/* ---- Values ---- */

size_t sl_search_piece(struct sl_slice text, char stop)
{
    size_t i = 0;
    while (i < text.len && text.ptr[i] != stop)
        i += text.ptr[i] == '\\' && i + 1 < text.len ? 2 : 1;
    return i < text.len ? i : text.len;
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

/* A code with the system that its element implies is that code alone: so it is read, asked upstream and written. */
static void leave_implied(const struct sl_r4_param *param, struct sl_search_value *value)
{
    if (value->code.len && sl_r4_param_implies(param, value->system, value->code))
        *value = (struct sl_search_value){.text = value->code};
}

static bool read_token(struct sl_search_reading *reading, struct sl_slice raw, struct sl_search_value *value)
{
    size_t bar = sl_search_piece(raw, '|');
    if (bar == raw.len)
        return unescape(reading->arena, raw, &value->text) && value->text.len > 0;
    struct sl_slice code = sl_slice_from(raw, bar + 1);
    value->has_system = true;
    value->text = raw;
    return sl_search_piece(code, '|') == code.len && raw.len > 1 &&
           unescape(reading->arena, (struct sl_slice){raw.ptr, bar}, &value->system) &&
           unescape(reading->arena, code, &value->code);
}

/* "system|code|value": the type of an identifier, and the identifier. */
static bool read_of_type(struct sl_search_reading *reading, struct sl_slice raw, struct sl_search_value *value)
{
    size_t bar = sl_search_piece(raw, '|');
    struct sl_slice rest = sl_slice_from(raw, bar + 1);
    size_t second = sl_search_piece(rest, '|');
    struct sl_slice number = sl_slice_from(rest, second + 1);
    value->text = raw;
    value->has_system = true;
    return bar > 0 && bar < raw.len && second > 0 && second < rest.len && number.len > 0 &&
           sl_search_piece(number, '|') == number.len &&
           unescape(reading->arena, (struct sl_slice){raw.ptr, bar}, &value->system) &&
           unescape(reading->arena, (struct sl_slice){rest.ptr, second}, &value->code) &&
           unescape(reading->arena, number, &value->number);
}

static const char *const prefixes[] = {"eq", "ne", "lt", "le", "gt", "ge", "sa", "eb", "ap"};

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

static bool read_date(struct sl_search_reading *reading, struct sl_slice raw, struct sl_search_value *value)
{
    struct sl_time_range range;
    return read_prefix(&raw, value) && unescape(reading->arena, raw, &value->text) &&
           sl_time_range_read(value->text, &range);
}

/* "5.4", or for a quantity "5.4|system|code" with either part empty. */
static bool read_number(
    struct sl_search_reading *reading, struct sl_slice raw, struct sl_search_value *value, bool quantity)
{
    struct sl_number number;
    if (!read_prefix(&raw, value))
        return false;
    size_t bar = sl_search_piece(raw, '|');
    value->text = (struct sl_slice){raw.ptr, bar};
    if (!sl_number_read(value->text, &number))
        return false;
    if (bar == raw.len)
        return true;
    struct sl_slice rest = sl_slice_from(raw, bar + 1);
    bar = sl_search_piece(rest, '|');
    struct sl_slice code = sl_slice_from(rest, bar + 1);
    value->has_system = true;
    return quantity && bar < rest.len && sl_search_piece(code, '|') == code.len &&
           unescape(reading->arena, (struct sl_slice){rest.ptr, bar}, &value->system) &&
           unescape(reading->arena, code, &value->code);
}

static bool is_absolute(struct sl_slice text)
{
    return sl_slice_starts(text, SL_LIT("http://")) || sl_slice_starts(text, SL_LIT("https://")) ||
           sl_slice_starts(text, SL_LIT("urn:"));
}

/* "x", "Patient/x", absolute; with the modifier a type name (subject:Patient=x). */
static bool read_reference(struct sl_search_reading *reading, const struct sl_search_param *param, struct sl_slice raw,
    struct sl_search_value *value)
{
    bool typed = param->how == SL_MODIFIER_TYPE;
    if (!unescape(reading->arena, raw, &value->text) || value->text.len == 0)
        return false;
    if (is_absolute(value->text))
        return !typed;
    if (sl_id_valid(value->text)) {
        value->code = value->text;
        value->system = typed ? param->modifier : (struct sl_slice){NULL, 0};
    } else {
        struct sl_reference_parts parts = sl_reference_split(value->text);
        if (parts.id.len == 0 || parts.type.len + 1 + parts.id.len != value->text.len)
            return false;
        value->system = parts.type;
        value->code = parts.id;
        if (typed && !sl_slice_eq(param->modifier, parts.type))
            return false;
    }
    return value->system.len == 0 || sl_search_is_target(param->param, value->system);
}

static bool read_text(struct sl_search_reading *reading, struct sl_slice raw, struct sl_search_value *value)
{
    return unescape(reading->arena, raw, &value->text) && value->text.len > 0;
}

static bool read_plain(struct sl_search_reading *reading, const struct sl_search_param *param, struct sl_slice raw,
    struct sl_search_value *value);

/* "a$b": one value for each component. */
static bool read_composite(struct sl_search_reading *reading, const struct sl_search_param *param, struct sl_slice raw,
    struct sl_search_value *value)
{
    size_t count = 0;
    while (param->param->components[count].type != SL_PARAM_NONE)
        count++;
    struct sl_search_value *parts = sl_arena_array(reading->arena, count, sizeof *parts);
    if (!parts)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct sl_search_param part = {.param = &param->param->components[i], .name = param->name};
        size_t len = sl_search_piece(raw, '$');
        bool last = i + 1 == count;
        if (last != (len == raw.len) || len == 0 ||
            !read_plain(reading, &part, (struct sl_slice){raw.ptr, len}, &parts[i]))
            return false;
        raw = sl_slice_from(raw, len + 1);
    }
    value->parts = parts;
    return true;
}

static bool read_plain(struct sl_search_reading *reading, const struct sl_search_param *param, struct sl_slice raw,
    struct sl_search_value *value)
{
    switch (param->param->type) {
    case SL_PARAM_TOKEN:
        if (!read_token(reading, raw, value))
            return false;
        leave_implied(param->param, value);
        return true;
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
    case SL_PARAM_COMPOSITE:
        return read_composite(reading, param, raw, value);
    case SL_PARAM_NONE:
    case SL_PARAM_SPECIAL:
        return false;
    }
    return false;
}

/* Code systems whose codes begin with those of what they belong to: F11.20 stands under F11.2 and F11. Three characters
 * are a category, and what is shorter is no code. */
static const char *const by_prefix[] = {"http://hl7.org/fhir/sid/icd-10-cm", "http://hl7.org/fhir/sid/icd-10",
    "http://hl7.org/fhir/sid/icd-9-cm", "http://hl7.org/fhir/sid/icd-10-de"};

/* :above and :below of a token need its code system. */
static bool is_in_hierarchy(const struct sl_search_param *param, const struct sl_search_value *value)
{
    if (param->param->type != SL_PARAM_TOKEN || (param->how != SL_MODIFIER_ABOVE && param->how != SL_MODIFIER_BELOW))
        return true;
    for (size_t i = 0; i < sizeof by_prefix / sizeof *by_prefix; i++)
        if (sl_slice_eq(value->system, sl_slice_of(by_prefix[i])))
            return value->code.len >= 3;
    return false;
}

static bool read_value(struct sl_search_reading *reading, const struct sl_search_param *param, struct sl_slice raw,
    struct sl_search_value *value)
{
    switch (param->how) {
    case SL_MODIFIER_MISSING:
        value->text = raw;
        return sl_slice_eq(raw, SL_LIT("true")) || sl_slice_eq(raw, SL_LIT("false"));
    case SL_MODIFIER_TEXT:
        return read_text(reading, raw, value);
    case SL_MODIFIER_IDENTIFIER:
        return read_token(reading, raw, value);
    case SL_MODIFIER_OF_TYPE:
        return read_of_type(reading, raw, value);
    case SL_MODIFIER_NONE:
    case SL_MODIFIER_EXACT:
    case SL_MODIFIER_CONTAINS:
    case SL_MODIFIER_NOT:
    case SL_MODIFIER_ABOVE:
    case SL_MODIFIER_BELOW:
    case SL_MODIFIER_TYPE:
    case SL_MODIFIER_EQUAL:
    case SL_MODIFIER_ENDS:
    case SL_MODIFIER_OTHER:
    case SL_MODIFIER_OVERLAPS:
        return read_plain(reading, param, raw, value) && is_in_hierarchy(param, value);
    case SL_MODIFIER_NARRATIVE:
    case SL_MODIFIER_CONTENT:
        break; /* search_words.c */
    }
    return false;
}

enum sl_status sl_search_read_values(
    struct sl_search_reading *reading, struct sl_search_param *param, struct sl_slice text)
{
    size_t count = 1;
    for (size_t at = sl_search_piece(text, ','); at < text.len;
         at += 1 + sl_search_piece(sl_slice_from(text, at + 1), ','))
        count++;
    if (count > SL_SEARCH_VALUES || (count > 1 && param->how == SL_MODIFIER_MISSING))
        return sl_search_refuse(reading, param->name, "has too many values");
    struct sl_search_value *values = sl_arena_array(reading->arena, count, sizeof *values);
    if (!values)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        size_t len = sl_search_piece(text, ',');
        if (!read_value(reading, param, (struct sl_slice){text.ptr, len}, &values[i]))
            return sl_arena_failed(reading->arena)
                       ? SL_NO_MEMORY
                       : sl_search_refuse(reading, param->name, "has a value that is not supported");
        text = sl_slice_from(text, len + 1);
    }
    param->values = values;
    param->value_count = count;
    return SL_OK;
}

/* ---- One parameter ---- */

/* What R4 has and is refused whoever asks, each in its own words. */
static const struct {
    const char *name, *why;
} unsupported[] = {
    {"_contained", "is not supported: contained resources are found in what holds them"},
    {"_containedType", "is not supported: contained resources are found in what holds them"},
    {"_query", "is not supported: there are no named queries"},
};

/* What says several things at once. */
static bool is_joined(struct sl_slice name)
{
    return sl_slice_eq(name, SL_LIT("_filter")) || sl_slice_eq(name, SL_LIT("_text")) ||
           sl_slice_eq(name, SL_LIT("_content"));
}

static enum sl_status read_joined(struct sl_search_reading *reading, struct sl_slice name, struct sl_slice text)
{
    if (!reading->search->type)
        return sl_search_refuse(reading, name, "needs one type to be searched");
    if (sl_slice_eq(name, SL_LIT("_filter")))
        return sl_search_read_filter(reading, text);
    return sl_search_read_words(reading, text, sl_slice_eq(name, SL_LIT("_text")));
}

enum sl_status sl_search_read_param(
    struct sl_search_reading *reading, struct sl_slice name, struct sl_slice modifier, struct sl_slice text)
{
    struct sl_search_param param = {
        .param = sl_search_param_find(reading->search->type, name), .name = name, .modifier = modifier};
    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++)
        if (sl_slice_eq(name, sl_slice_of(unsupported[i].name)))
            return sl_search_refuse(reading, name, unsupported[i].why);
    if (reading->search->param_count == SL_SEARCH_PARAMS)
        return sl_search_refuse(reading, name, "is one too many");
    if (!modifier.len && !reading->operator&& is_joined(name))
        return read_joined(reading, name, text);
    if (!param.param)
        return sl_search_refuse(reading, name, "is not supported here");
    if (!find_modifier(&param))
        return sl_search_refuse(reading, name, "has a modifier that is not supported");
    if (reading->operator)
        SL_TRY(sl_search_read_operand(reading, &param, text));
    else
        SL_TRY(sl_search_read_values(reading, &param, text));
    reading->params[reading->search->param_count++] = param;
    return SL_OK;
}

/* ---- What can be said of a parameter without any record ---- */

static bool asks_for_none(const struct sl_search_param *param)
{
    for (size_t i = 0; i < param->value_count; i++) {
        const struct sl_search_value *value = &param->values[i];
        if (memcmp(value->prefix, "ne", 3) == 0 || memcmp(value->prefix, "ap", 3) == 0)
            return true;
        if (param->param->type != SL_PARAM_TOKEN || !value->has_system)
            continue;
        /* A code whose system is cut has none. Of a system that stands nowhere not every server knows the codes. */
        if (param->param->systems ? value->code.len == 0 : value->system.len == 0)
            return true;
    }
    return false;
}

static bool reads_labels(const struct sl_search_param *param)
{
    return sl_slice_eq(param->name, SL_LIT("_security")) || sl_slice_eq(param->name, SL_LIT("_tag"));
}

static bool is_plain(const struct sl_search_param *param)
{
    switch ((unsigned)param->how) {
    case SL_MODIFIER_NONE:
    case SL_MODIFIER_EXACT:
    case SL_MODIFIER_CONTAINS:
    case SL_MODIFIER_TYPE:
    case SL_MODIFIER_EQUAL:
    case SL_MODIFIER_ENDS:
        return !param->terms;
    case SL_MODIFIER_MISSING:
        return sl_slice_eq(param->values[0].text, SL_LIT("false"));
    default:
        return false;
    }
}

enum sl_search_bearing sl_search_bearing(const struct sl_search_param *param)
{
    if (!is_plain(param) || sl_slice_eq(sl_slice_of(param->param->filter), SL_LIT("exists")) ||
        param->param->type == SL_PARAM_COMPOSITE)
        return SL_SEARCH_ANY;
    return reads_labels(param) || asks_for_none(param) ? SL_SEARCH_ANY : SL_SEARCH_SHRINKS;
}

/* What equals a text begins with it, and what ends with it contains it. */
bool sl_search_narrow(const struct sl_search_param *param, struct sl_search_param *out)
{
    *out = *param;
    if (param->how == SL_MODIFIER_EQUAL)
        out->how = SL_MODIFIER_NONE;
    if (param->how == SL_MODIFIER_ENDS) {
        out->how = SL_MODIFIER_CONTAINS;
        out->modifier = SL_LIT("contains");
    }
    return sl_search_bearing(param) == SL_SEARCH_SHRINKS;
}

static void each_term(
    const struct sl_search_term *term, void (*visit)(void *context, const struct sl_search_param *param), void *context)
{
    for (; term->join == SL_SEARCH_AND; term = term->left)
        each_term(term->right, visit, context);
    if (term->join == SL_SEARCH_ALONE)
        visit(context, term->alone);
}

void sl_search_each(const struct sl_search_param *param,
    void (*visit)(void *context, const struct sl_search_param *param), void *context)
{
    if (param->terms)
        each_term(param->terms, visit, context);
    else
        visit(context, param);
}

static bool term_reads_labels(const struct sl_search_term *term)
{
    if (term->join == SL_SEARCH_ALONE)
        return reads_labels(term->alone);
    return term_reads_labels(term->left) || (term->right && term_reads_labels(term->right));
}

bool sl_search_reads_view(const struct sl_search *search)
{
    if (sl_search_means(search) & (SL_SEARCH_BY_TEXT | SL_SEARCH_BY_CONTENT))
        return true;
    for (size_t i = 0; i < search->param_count; i++) {
        const struct sl_search_param *param = &search->params[i];
        if (param->terms ? term_reads_labels(param->terms) : reads_labels(param))
            return true;
    }
    return false;
}

unsigned sl_search_means(const struct sl_search *search)
{
    unsigned means = 0;
    for (size_t i = 0; i < search->param_count; i++) {
        struct sl_slice name = search->params[i].name;
        if (search->params[i].terms)
            means |= sl_slice_eq(name, SL_LIT("_filter")) ? SL_SEARCH_BY_FILTER
                     : sl_slice_eq(name, SL_LIT("_text")) ? SL_SEARCH_BY_TEXT
                                                          : SL_SEARCH_BY_CONTENT;
    }
    return means;
}
