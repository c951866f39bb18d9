/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk: from a parameter's paths to the atoms it reads in one resource, with everything an edit has cut left out.
 * How each type of parameter reads each data type: http://hl7.org/fhir/R4/search.html, the table of each type.
 *
 * Recursion is over the segments of a path of our own table, never over the depth of the document.
 */
#include "search_parts.h"

#include "sluice/r4_names.h"

/* A member that is there: found, and not cut. */
static uint32_t member(const struct sl_walk *walk, uint32_t object, sl_name name)
{
    if (walk->doc->spans[object].type != SL_SPAN_OBJECT)
        return 0;
    uint32_t found = sl_span_member(walk->doc, object, name);
    return found && !(walk->edits && sl_edit_is_cut(walk->edits, found)) ? found : 0;
}

static bool is_string(const struct sl_walk *walk, uint32_t span)
{
    return span && walk->doc->spans[span].type == SL_SPAN_STRING;
}

/* A string member, or 0. */
static uint32_t text_member(const struct sl_walk *walk, uint32_t object, sl_name name)
{
    uint32_t found = member(walk, object, name);
    return is_string(walk, found) ? found : 0;
}

/* Calls each value of an element, be it alone or an array, as long as the call gives false. */
typedef bool (*each_call)(const struct sl_walk *walk, uint32_t span, sl_r4_node node);

static bool each(const struct sl_walk *walk, uint32_t span, sl_r4_node node, each_call call)
{
    const struct sl_span *spans = walk->doc->spans;
    if (!span)
        return false;
    if (spans[span].type != SL_SPAN_ARRAY)
        return call(walk, span, node);
    for (uint32_t i = span + 1; i < spans[span].next; i = spans[i].next)
        if (!(walk->edits && sl_edit_is_cut(walk->edits, i)) && call(walk, i, node))
            return true;
    return false;
}

/* ---- Tokens ---- */

static bool give(const struct sl_walk *walk, uint32_t value, uint32_t system)
{
    struct sl_atom atom = {.value = value, .system = system};
    return walk->visit(walk->context, &atom);
}

static bool coding(const struct sl_walk *walk, uint32_t span, sl_r4_node node)
{
    (void)node;
    uint32_t code = text_member(walk, span, SL_NAME_code);
    return code && give(walk, code, text_member(walk, span, SL_NAME_system));
}

static bool token(const struct sl_walk *walk, uint32_t span, sl_r4_node node)
{
    (void)node;
    const struct sl_span *s = &walk->doc->spans[span];
    if (s->type == SL_SPAN_STRING || s->type == SL_SPAN_TRUE || s->type == SL_SPAN_FALSE)
        return give(walk, span, 0);
    if (s->type != SL_SPAN_OBJECT)
        return false;
    if (each(walk, member(walk, span, SL_NAME_coding), 0, coding) || coding(walk, span, 0))
        return true;
    /* Identifier. ContactPoint: of its system R4 says nothing here; "phone|555" is asked by it, as other servers do. */
    uint32_t value = text_member(walk, span, SL_NAME_value);
    return value && give(walk, value, text_member(walk, span, SL_NAME_system));
}

/* :text: the words beside a code (CodeableConcept.text, Coding.display, Identifier.type.text). */
static bool display(const struct sl_walk *walk, uint32_t span, sl_r4_node node)
{
    (void)node;
    uint32_t text = text_member(walk, span, SL_NAME_display);
    return text && give(walk, text, 0);
}

static bool token_words(const struct sl_walk *walk, uint32_t span, sl_r4_node node)
{
    if (walk->doc->spans[span].type != SL_SPAN_OBJECT)
        return false;
    uint32_t text = text_member(walk, span, SL_NAME_text), type = member(walk, span, SL_NAME_type);
    if ((text && give(walk, text, 0)) || display(walk, span, node) ||
        each(walk, member(walk, span, SL_NAME_coding), 0, display))
        return true;
    text = type && walk->doc->spans[type].type == SL_SPAN_OBJECT ? text_member(walk, type, SL_NAME_text) : 0;
    return text && give(walk, text, 0);
}

/* :of-type: an identifier with each code of its type. */
static bool token_of_type(const struct sl_walk *walk, uint32_t span, sl_r4_node node)
{
    const struct sl_span *spans = walk->doc->spans;
    (void)node;
    uint32_t value = text_member(walk, span, SL_NAME_value), type = member(walk, span, SL_NAME_type);
    uint32_t codings = value && type ? member(walk, type, SL_NAME_coding) : 0;
    if (!codings || spans[codings].type != SL_SPAN_ARRAY)
        return false;
    for (uint32_t i = codings + 1; i < spans[codings].next; i = spans[i].next) {
        uint32_t code = walk->edits && sl_edit_is_cut(walk->edits, i) ? 0 : text_member(walk, i, SL_NAME_code);
        struct sl_atom atom = {.value = value, .system = text_member(walk, i, SL_NAME_system), .unit = code};
        if (code && spans[i].type == SL_SPAN_OBJECT && walk->visit(walk->context, &atom))
            return true;
    }
    return false;
}

/* :identifier: what a reference says of its target by number. */
static bool reference_identifier(const struct sl_walk *walk, uint32_t span, sl_r4_node node)
{
    (void)node;
    uint32_t identifier = member(walk, span, SL_NAME_identifier);
    uint32_t value = identifier ? text_member(walk, identifier, SL_NAME_value) : 0;
    return value && give(walk, value, text_member(walk, identifier, SL_NAME_system));
}

/* ---- References and URIs ---- */

static bool reference(const struct sl_walk *walk, uint32_t span, sl_r4_node node)
{
    (void)node;
    if (is_string(walk, span)) /* canonical, uri */
        return give(walk, span, 0);
    uint32_t text = text_member(walk, span, SL_NAME_reference);
    return text && give(walk, text, 0);
}

/* ---- Strings ---- */

static const sl_name string_parts[] = {
    /* of HumanName and Address */
    SL_NAME_text,
    SL_NAME_family,
    SL_NAME_given,
    SL_NAME_prefix,
    SL_NAME_suffix,
    SL_NAME_line,
    SL_NAME_city,
    SL_NAME_district,
    SL_NAME_state,
    SL_NAME_postalCode,
    SL_NAME_country,
};

static bool one_string(const struct sl_walk *walk, uint32_t span, sl_r4_node node)
{
    (void)node;
    return is_string(walk, span) && give(walk, span, 0);
}

static bool string(const struct sl_walk *walk, uint32_t span, sl_r4_node node)
{
    if (is_string(walk, span))
        return give(walk, span, 0);
    for (size_t i = 0; i < sizeof string_parts / sizeof *string_parts; i++)
        if (each(walk, member(walk, span, string_parts[i]), node, one_string))
            return true;
    return false;
}

/* ---- Dates ---- */

static bool range_of(const struct sl_walk *walk, uint32_t span, struct sl_time_range *out)
{
    char scratch[64];
    bool whole;
    if (!is_string(walk, span))
        return false;
    struct sl_slice raw = sl_search_raw(walk->doc, walk->edits, span, &whole);
    return sl_time_range_read(whole ? raw : sl_search_text(walk->doc, span, scratch, sizeof scratch), out);
}

static bool give_time(const struct sl_walk *walk, uint32_t value, struct sl_time_range time)
{
    struct sl_atom atom = {.value = value, .time = time};
    return walk->visit(walk->context, &atom);
}

/* An open end of a Period is without bound; an end that cannot be read makes the Period unreadable. */
static bool period(const struct sl_walk *walk, uint32_t span)
{
    uint32_t start = member(walk, span, SL_NAME_start), end = member(walk, span, SL_NAME_end);
    struct sl_time_range whole = {INT64_MIN, INT64_MAX}, part;
    if (!start && !end)
        return false;
    if (start) {
        if (!range_of(walk, start, &part))
            return false;
        whole.from = part.from;
    }
    if (end) {
        if (!range_of(walk, end, &part))
            return false;
        whole.to = part.to;
    }
    return give_time(walk, start ? start : end, whole);
}

static bool date(const struct sl_walk *walk, uint32_t span, sl_r4_node node)
{
    struct sl_time_range time;
    if (is_string(walk, span))
        return range_of(walk, span, &time) && give_time(walk, span, time);
    if (walk->doc->spans[span].type != SL_SPAN_OBJECT)
        return false;
    if (period(walk, span) || each(walk, member(walk, span, SL_NAME_event), node, date)) /* Timing */
        return true;
    uint32_t repeat = member(walk, span, SL_NAME_repeat);
    uint32_t bounds = repeat ? member(walk, repeat, SL_NAME_boundsPeriod) : 0;
    return bounds && walk->doc->spans[bounds].type == SL_SPAN_OBJECT && period(walk, bounds);
}

/* ---- Numbers and quantities ---- */

static bool quantity(const struct sl_walk *walk, uint32_t span, sl_r4_node node)
{
    (void)node;
    const struct sl_span *s = &walk->doc->spans[span];
    struct sl_atom atom = {.value = s->type == SL_SPAN_NUMBER ? span : 0};
    if (s->type == SL_SPAN_OBJECT) {
        atom.value = member(walk, span, SL_NAME_value);
        atom.system = text_member(walk, span, SL_NAME_system);
        atom.unit = text_member(walk, span, SL_NAME_code);
        atom.words = text_member(walk, span, SL_NAME_unit);
        if (!atom.unit)
            atom.unit = text_member(walk, span, SL_NAME_currency); /* Money */
    }
    return atom.value && walk->doc->spans[atom.value].type == SL_SPAN_NUMBER && walk->visit(walk->context, &atom);
}

/* ---- Paths ---- */

static const each_call readers[] = {
    [SL_PARAM_NUMBER] = quantity,
    [SL_PARAM_DATE] = date,
    [SL_PARAM_STRING] = string,
    [SL_PARAM_TOKEN] = token,
    [SL_PARAM_REFERENCE] = reference,
    [SL_PARAM_QUANTITY] = quantity,
    [SL_PARAM_URI] = reference,
};

static each_call reader(const struct sl_r4_param *param, enum sl_search_modifier how)
{
    if (how == SL_MODIFIER_TEXT)
        return token_words;
    if (how == SL_MODIFIER_IDENTIFIER)
        return reference_identifier;
    if (how == SL_MODIFIER_OF_TYPE)
        return token_of_type;
    return (size_t)param->type < sizeof readers / sizeof *readers ? readers[param->type] : NULL;
}

/* Of "id" or "id/_history/version" the id, since the version does not count; empty: it is neither. */
static struct sl_slice id_of(struct sl_slice text)
{
    const char *slash = text.len ? memchr(text.ptr, '/', text.len) : NULL;
    if (slash) {
        if (!sl_slice_starts(sl_slice_from(text, (size_t)(slash - text.ptr)), SL_LIT("/_history/")))
            return (struct sl_slice){NULL, 0};
        text.len = (size_t)(slash - text.ptr);
    }
    return sl_id_valid(text) ? text : (struct sl_slice){NULL, 0};
}

/* "system=phone": the element's member has this value. "is Patient": it is a reference to that type. */
static bool passes(const struct sl_walk *walk, uint32_t span)
{
    struct sl_slice filter = sl_slice_of(walk->param->filter);
    if (filter.len == 0 || sl_slice_eq(filter, SL_LIT("exists")))
        return true;
    if (sl_slice_starts(filter, SL_LIT("is "))) {
        char scratch[512];
        uint32_t text = is_string(walk, span) ? span : text_member(walk, span, SL_NAME_reference);
        struct sl_slice value = text ? sl_search_text(walk->doc, text, scratch, sizeof scratch) : SL_LIT("");
        struct sl_slice target = sl_slice_from(filter, 3); /* a type of R4's */
        return value.len > target.len && value.ptr[target.len] == '/' && sl_slice_starts(value, target) &&
               id_of(sl_slice_from(value, target.len + 1)).len;
    }
    const char *equals = memchr(filter.ptr, '=', filter.len);
    if (!equals)
        return false;
    size_t key = (size_t)(equals - filter.ptr);
    uint32_t found = text_member(walk, span, sl_name_find(filter.ptr, key));
    return found && sl_span_is(walk->doc, found, sl_slice_from(filter, key + 1));
}

static bool descend(const struct sl_walk *walk, uint32_t span, sl_r4_node node, const char *path, each_call leaf);

static bool descend_each(const struct sl_walk *walk, uint32_t span, sl_r4_node node, const char *path, each_call leaf)
{
    const struct sl_span *spans = walk->doc->spans;
    if (spans[span].type != SL_SPAN_ARRAY)
        return descend(walk, span, node, path, leaf);
    for (uint32_t i = span + 1; i < spans[span].next; i = spans[i].next)
        if (!(walk->edits && sl_edit_is_cut(walk->edits, i)) && descend(walk, i, node, path, leaf))
            return true;
    return false;
}

/* path: what is left of it after `span`, "" or ".code.coding". */
static bool descend(const struct sl_walk *walk, uint32_t span, sl_r4_node node, const char *path, each_call leaf)
{
    if (*path == '\0')
        return passes(walk, span) && leaf(walk, span, node);
    size_t len = strcspn(++path, ".");
    sl_name name = sl_name_find(path, len);
    uint32_t found = name ? member(walk, span, name) : 0;
    if (!found)
        return false;
    const struct sl_r4_element *element = sl_r4_element(node, name);
    return descend_each(walk, found, element ? element->node : 0, path + len, leaf);
}

static bool walk_paths(const struct sl_walk *walk, each_call leaf)
{
    char scratch[64];
    uint32_t type = text_member(walk, walk->root, SL_NAME_resourceType);
    sl_r4_node node = type ? sl_r4_resource(sl_search_text(walk->doc, type, scratch, sizeof scratch)) : 0;
    struct sl_slice name = sl_r4_node_name(node);
    for (const char *const *path = walk->param->paths; path && *path; path++) {
        /* A path begins with its type; that of another type (or of Resource itself) is told apart here. */
        size_t head = strcspn(*path, ".");
        struct sl_slice of = {*path, head};
        if (!sl_slice_eq(of, name) && !sl_slice_eq(of, SL_LIT("Resource")) &&
            !sl_slice_eq(of, SL_LIT("DomainResource")))
            continue;
        if (descend(walk, walk->root, node, *path + head, leaf))
            return true;
    }
    return false;
}

bool sl_search_walk(const struct sl_walk *walk)
{
    each_call leaf = reader(walk->param, walk->how);
    return leaf && walk_paths(walk, leaf);
}

bool sl_search_walk_holders(const struct sl_walk *walk, sl_walk_holder holder)
{
    return walk_paths(walk, holder);
}

bool sl_search_walk_within(const struct sl_walk *walk, uint32_t span, sl_r4_node node)
{
    each_call leaf = reader(walk->param, SL_MODIFIER_NONE);
    for (const char *const *path = walk->param->paths; leaf && path && *path; path++)
        if (descend(walk, span, node, *path, leaf))
            return true;
    return false;
}

static bool not_false(const struct sl_walk *walk, uint32_t span, sl_r4_node node)
{
    (void)node;
    uint8_t type = walk->doc->spans[span].type;
    return type != SL_SPAN_FALSE && type != SL_SPAN_NULL;
}

bool sl_search_exists(const struct sl_walk *walk)
{
    return walk_paths(walk, not_false);
}

static bool anything(const struct sl_walk *walk, uint32_t span, sl_r4_node node)
{
    (void)node;
    return walk->doc->spans[span].type != SL_SPAN_NULL;
}

bool sl_search_present(const struct sl_walk *walk)
{
    return walk_paths(walk, anything);
}

bool sl_search_readable(const struct sl_r4_param *param)
{
    struct sl_slice filter = sl_slice_of(param->filter);
    if ((!reader(param, SL_MODIFIER_NONE) && !param->components) || !param->paths || !param->paths[0])
        return false;
    if (filter.len == 0 || sl_slice_eq(filter, SL_LIT("exists")) || sl_slice_starts(filter, SL_LIT("is ")))
        return true;
    const char *equals = memchr(filter.ptr, '=', filter.len);
    return equals && sl_name_find(filter.ptr, (size_t)(equals - filter.ptr)) != 0;
}

/* ---- References as written ---- */

/* Sixteen bytes at once, on every processor; a comparison gives all ones or none for each. */
typedef unsigned char block __attribute__((vector_size(16)));

static inline bool are_of_ids(const char *text, bool underscores)
{
    block bytes;
    uint64_t halves[2];
    memcpy(&bytes, text, sizeof bytes);
    block good = (block)((bytes | 0x20) - 'a' < 26) | (block)(bytes - '0' < 10) | (block)(bytes - '-' < 2);
    if (underscores)
        good |= (block)(bytes == '_');
    memcpy(halves, &good, sizeof halves);
    return (halves[0] & halves[1]) == UINT64_MAX;
}

bool sl_id_is_spelt(struct sl_slice id, bool underscores)
{
    if (id.len < sizeof(block)) {
        char padded[sizeof(block) + 1] = "aaaaaaaaaaaaaaaa";
        if (id.len)
            memcpy(padded, id.ptr, id.len);
        return are_of_ids(padded, underscores);
    }
    for (size_t i = 0; i < id.len - sizeof(block); i += sizeof(block))
        if (!are_of_ids(id.ptr + i, underscores))
            return false;
    return are_of_ids(id.ptr + id.len - sizeof(block), underscores);
}

bool sl_id_valid(struct sl_slice id)
{
    return id.len >= 1 && id.len <= 64 && sl_id_is_spelt(id, false);
}

struct sl_reference_parts sl_reference_split(struct sl_slice text)
{
    const char *slash = text.len ? memchr(text.ptr, '/', text.len) : NULL;
    if (!slash)
        return (struct sl_reference_parts){{NULL, 0}, {NULL, 0}};
    struct sl_slice type = {text.ptr, (size_t)(slash - text.ptr)}, id = id_of(sl_slice_from(text, type.len + 1));
    if (!id.len || !sl_r4_resource(type))
        return (struct sl_reference_parts){{NULL, 0}, {NULL, 0}};
    return (struct sl_reference_parts){type, id};
}
