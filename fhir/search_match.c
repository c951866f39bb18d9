/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matching: does a resource, less what was cut, satisfy a search? A matcher starts at no: an unknown prefix, an
 * unreadable value or a parameter of a form not read here matches nothing. Never allocates.
 */
#include "search_read.h"
#include "sluice/r4_names.h"

/* What the visits of one walk compare against. */
struct asked {
    const struct sl_search_param *param;
    const struct sl_search_value *value;
    const struct sl_doc *doc;
    const struct sl_edits *edits; /* may be NULL */
    struct sl_time_range time;
    struct sl_number number;
};

/* Does the longer code begin with the shorter one? The dot of ICD stands in some records and not in others. */
static bool stands_under(struct sl_slice longer, struct sl_slice shorter)
{
    size_t at = 0;
    for (size_t i = 0; i < shorter.len; i++) {
        if (shorter.ptr[i] == '.')
            continue;
        at += at < longer.len && longer.ptr[at] == '.';
        if (at >= longer.len || longer.ptr[at++] != shorter.ptr[i])
            return false;
    }
    return shorter.len >= 3;
}

/* :below and :above, of a system whose codes begin with what they belong to. */
static bool same_branch(const struct asked *asked, const struct sl_atom *atom)
{
    char scratch[128];
    const struct sl_search_value *want = asked->value;
    if (!atom->system || !sl_span_is(asked->doc, atom->system, want->system))
        return false;
    struct sl_slice there = sl_search_text(asked->doc, atom->value, scratch, sizeof scratch);
    bool below = asked->param->how == SL_MODIFIER_BELOW;
    return there.ptr && stands_under(below ? there : want->code, below ? want->code : there);
}

/* "system|": is the code of it by what its element implies? "system|code" of it has been read as "code". */
static bool is_implied(const struct asked *asked, const struct sl_atom *atom)
{
    char scratch[128];
    const struct sl_doc *doc = asked->doc;
    struct sl_slice code = doc->spans[atom->value].type == SL_SPAN_STRING
                               ? sl_search_text(doc, atom->value, scratch, sizeof scratch)
                               : sl_span_text(doc, atom->value);
    return asked->value->code.len == 0 && sl_r4_param_implies(asked->param->param, asked->value->system, code);
}

static bool same_token(const struct asked *asked, const struct sl_atom *atom)
{
    const struct sl_search_value *want = asked->value;
    uint8_t type = asked->doc->spans[atom->value].type;
    if (asked->param->how == SL_MODIFIER_BELOW || asked->param->how == SL_MODIFIER_ABOVE)
        return same_branch(asked, atom);
    if (want->has_system && asked->param->param->systems)
        return is_implied(asked, atom);
    if (want->has_system && want->system.len == 0 && atom->system)
        return false; /* "|code": no system */
    if (want->has_system && want->system.len && !(atom->system && sl_span_is(asked->doc, atom->system, want->system)))
        return false;
    if (want->has_system && want->system.len && want->code.len == 0)
        return true; /* "system|": any code of it */
    struct sl_slice code = want->has_system ? want->code : want->text;
    if (type == SL_SPAN_STRING)
        return sl_span_is(asked->doc, atom->value, code);
    return sl_slice_eq(sl_span_text(asked->doc, atom->value), code); /* true, false */
}

static bool allowed_target(const struct sl_r4_param *param, struct sl_slice type)
{
    if (!param->targets || !param->targets[0])
        return true;
    for (const char *const *target = param->targets; *target; target++)
        if (sl_slice_eq(type, sl_slice_of(*target)))
            return true;
    return false;
}

/* Is it "Type/id" of what was asked for, to the letter? Nearly all that match are; nothing else is to be read then. */
static bool is_written_so(const struct asked *asked, struct sl_slice text)
{
    struct sl_slice type = asked->value->system, id = asked->value->code;
    const struct sl_r4_param *param = asked->param->param;
    if (text.len <= id.len + 1)
        return false;
    struct sl_slice front = {text.ptr, text.len - id.len - 1};
    if (text.ptr[front.len] != '/' || memcmp(text.ptr + front.len + 1, id.ptr, id.len) != 0)
        return false;
    return type.len ? sl_slice_eq(front, type) : param->targets && param->targets[0] && allowed_target(param, front);
}

static bool same_reference(const struct asked *asked, const struct sl_atom *atom)
{
    char scratch[2048];
    struct sl_slice text = sl_search_text(asked->doc, atom->value, scratch, sizeof scratch);
    const struct sl_search_value *want = asked->value;
    if (!text.ptr)
        return false;
    if (want->code.len == 0) /* absolute, urn: or canonical: as written */
        return sl_slice_eq(text, want->text);
    if (is_written_so(asked, text))
        return true;
    struct sl_reference_parts there = sl_reference_split(text);
    if (!sl_slice_eq(there.id, want->code))
        return false;
    return want->system.len ? sl_slice_eq(there.type, want->system) : allowed_target(asked->param->param, there.type);
}

/* :below, what begins with the one asked for; :above, what the one asked for begins with. */
static bool same_uri(const struct asked *asked, const struct sl_atom *atom)
{
    char scratch[2048];
    struct sl_slice want = asked->value->text;
    if (asked->param->how == SL_MODIFIER_BELOW || asked->param->how == SL_MODIFIER_ABOVE) {
        struct sl_slice there = sl_search_text(asked->doc, atom->value, scratch, sizeof scratch);
        bool below = asked->param->how == SL_MODIFIER_BELOW;
        return there.len && sl_slice_starts(below ? there : want, below ? want : there);
    }
    return sl_span_is(asked->doc, atom->value, asked->value->text);
}

static bool same_string(const struct asked *asked, const struct sl_atom *atom)
{
    bool whole;
    struct sl_slice raw = sl_search_raw(asked->doc, asked->edits, atom->value, &whole);
    if (asked->param->how == SL_MODIFIER_EXACT)
        return whole ? sl_slice_eq(raw, asked->value->text) : sl_span_is(asked->doc, atom->value, asked->value->text);
    struct sl_fold there = sl_fold_begin(raw, true);
    struct sl_fold want = sl_fold_begin(asked->value->text, false);
    switch ((unsigned)asked->param->how) {
    case SL_MODIFIER_CONTAINS:
        return sl_fold_contains(there, want);
    case SL_MODIFIER_EQUAL:
    case SL_MODIFIER_OTHER:
        return sl_fold_equal(there, want);
    case SL_MODIFIER_ENDS:
        return sl_fold_ends(there, want);
    default:
        return sl_fold_starts(there, want);
    }
}

/* :text: words beside a code are matched as a string is. */
static bool same_words(const struct asked *asked, const struct sl_atom *atom)
{
    bool whole;
    struct sl_fold there = sl_fold_begin(sl_search_raw(asked->doc, asked->edits, atom->value, &whole), true);
    return sl_fold_starts(there, sl_fold_begin(asked->value->text, false));
}

static bool same_of_type(const struct asked *asked, const struct sl_atom *atom)
{
    const struct sl_search_value *want = asked->value;
    return atom->system && sl_span_is(asked->doc, atom->system, want->system) &&
           sl_span_is(asked->doc, atom->unit, want->code) && sl_span_is(asked->doc, atom->value, want->number);
}

static bool same_date(const struct asked *asked, const struct sl_atom *atom)
{
    if (asked->param->how == SL_MODIFIER_OVERLAPS)
        return atom->time.from < asked->time.to && asked->time.from < atom->time.to;
    return sl_time_range_compare(asked->value->prefix, asked->time, atom->time);
}

/* A code of a system is one; without a system it is the code, or the unit in words. Both are looked at, so that what
 * matches once one of them is cut has matched before (R4: "the code and system elements, or the unit"). */
static bool same_unit(const struct asked *asked, const struct sl_atom *atom)
{
    const struct sl_search_value *want = asked->value;
    if (!want->has_system || !want->code.len)
        return true;
    return (atom->unit && sl_span_is(asked->doc, atom->unit, want->code)) ||
           (!want->system.len && atom->words && sl_span_is(asked->doc, atom->words, want->code));
}

static bool same_number(const struct asked *asked, const struct sl_atom *atom)
{
    struct sl_number there;
    const struct sl_search_value *want = asked->value;
    if (!sl_number_read(sl_span_text(asked->doc, atom->value), &there))
        return false;
    if (want->has_system && want->system.len && !(atom->system && sl_span_is(asked->doc, atom->system, want->system)))
        return false;
    return same_unit(asked, atom) && sl_number_compare(want->prefix, asked->number, there.value);
}

typedef bool (*same_call)(const struct asked *asked, const struct sl_atom *atom);
static const same_call compares[] = {
    [SL_PARAM_NUMBER] = same_number,
    [SL_PARAM_DATE] = same_date,
    [SL_PARAM_STRING] = same_string,
    [SL_PARAM_TOKEN] = same_token,
    [SL_PARAM_REFERENCE] = same_reference,
    [SL_PARAM_QUANTITY] = same_number,
    [SL_PARAM_URI] = same_uri,
};

static same_call compare_of(const struct sl_search_param *asked)
{
    const struct sl_r4_param *param = asked->param;
    if (asked->how == SL_MODIFIER_TEXT)
        return same_words;
    if (asked->how == SL_MODIFIER_IDENTIFIER)
        return same_token;
    if (asked->how == SL_MODIFIER_OF_TYPE)
        return same_of_type;
    return (size_t)param->type < sizeof compares / sizeof *compares ? compares[param->type] : NULL;
}

static bool compare_atom(void *context, const struct sl_atom *atom)
{
    const struct asked *asked = context;
    return compare_of(asked->param)(asked, atom) != (asked->param->how == SL_MODIFIER_OTHER);
}

/* Reads once what a date or number value says. False: what cannot be read matches nothing. */
static bool prepare(struct asked *asked)
{
    enum sl_r4_param_type type = asked->param->param->type;
    if (!compare_of(asked->param))
        return false;
    if (type == SL_PARAM_DATE)
        return sl_time_range_read(asked->value->text, &asked->time);
    return (type != SL_PARAM_NUMBER && type != SL_PARAM_QUANTITY) || sl_number_read(asked->value->text, &asked->number);
}

/* "true" or "false": whether there is anything there at all. */
static bool match_existence(const struct sl_walk *base, const struct sl_search_value *value)
{
    return !value->has_system && sl_slice_eq(value->text, sl_search_exists(base) ? SL_LIT("true") : SL_LIT("false"));
}

struct composing {
    const struct sl_search_value *value;
};

/* Does this one element hold all of the parts? */
static bool holds_all(const struct sl_walk *base, uint32_t span, sl_r4_node node)
{
    const struct composing *composing = base->context;
    for (size_t i = 0; base->param->components[i].type != SL_PARAM_NONE; i++) {
        const struct sl_search_param part = {.param = &base->param->components[i]};
        struct asked asked = {
            .param = &part, .value = &composing->value->parts[i], .doc = base->doc, .edits = base->edits};
        struct sl_walk walk = *base;
        walk.param = part.param;
        walk.visit = compare_atom;
        walk.context = &asked;
        if (!prepare(&asked) || !sl_search_walk_within(&walk, span, node))
            return false;
    }
    return true;
}

static bool match_value(
    const struct sl_walk *base, const struct sl_search_param *param, const struct sl_search_value *value)
{
    struct asked asked = {.param = param, .value = value, .doc = base->doc, .edits = base->edits};
    struct composing composing = {value};
    struct sl_walk walk = *base;
    walk.context = &composing;
    if (param->param->components)
        return value->parts && sl_search_walk_holders(&walk, holds_all);
    if (param->how == SL_MODIFIER_NONE && sl_slice_eq(sl_slice_of(param->param->filter), SL_LIT("exists")))
        return match_existence(base, value);
    walk.visit = compare_atom;
    walk.context = &asked;
    return prepare(&asked) && sl_search_walk(&walk);
}

static bool match_any(const struct sl_walk *walk, const struct sl_search_param *param)
{
    for (size_t i = 0; i < param->value_count; i++)
        if (match_value(walk, param, &param->values[i]))
            return true;
    return false;
}

bool sl_search_match_param(
    const struct sl_search_param *param, const struct sl_doc *doc, uint32_t root, const struct sl_edits *edits)
{
    struct sl_walk walk = {.param = param->param, .how = param->how, .doc = doc, .root = root, .edits = edits};
    if (!param->param || doc->count == 0 || doc->spans[root].type != SL_SPAN_OBJECT)
        return false;
    if (param->terms)
        return sl_search_match_terms(param->terms, doc, root, edits);
    if (param->how == SL_MODIFIER_NARRATIVE || param->how == SL_MODIFIER_CONTENT)
        return sl_search_match_words(param, doc, root, edits);
    if (param->how == SL_MODIFIER_MISSING)
        return param->value_count == 1 &&
               sl_search_present(&walk) == sl_slice_eq(param->values[0].text, SL_LIT("false"));
    if (param->how == SL_MODIFIER_NOT)
        return param->value_count && !match_any(&walk, param);
    return match_any(&walk, param);
}

bool sl_search_match(
    const struct sl_search *search, const struct sl_doc *doc, uint32_t root, const struct sl_edits *edits)
{
    if (doc->count == 0 || doc->spans[root].type != SL_SPAN_OBJECT || (edits && sl_edit_is_cut(edits, root)))
        return false;
    if (search->step_count)
        return false; /* not resolved: nobody knows yet what it asks */
    uint32_t type = sl_span_member(doc, root, SL_NAME_resourceType);
    if (!type || (search->type && !sl_span_is(doc, type, sl_r4_node_name(search->type))))
        return false;
    for (size_t i = 0; i < search->param_count; i++)
        if (!sl_search_match_param(&search->params[i], doc, root, edits))
            return false;
    return true;
}
