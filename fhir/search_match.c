/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matching: does a resource, less what was cut, satisfy a search? A matcher starts at no: an unknown prefix, an
 * unreadable value or a parameter of a form not read here matches nothing. Never allocates.
 */
#include "search_parts.h"
#include "sluice/r4_names.h"
#include "sluice/search.h"

/* What the visits of one walk compare against. */
struct asked {
    const struct sl_search_param *param;
    const struct sl_search_value *value;
    const struct sl_doc *doc;
    const struct sl_edits *edits; /* may be NULL */
    struct sl_time_range time;
    struct sl_number number;
};

static bool same_token(const struct asked *asked, const struct sl_atom *atom)
{
    const struct sl_search_value *want = asked->value;
    uint8_t type = asked->doc->spans[atom->value].type;
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

static bool same_reference(const struct asked *asked, const struct sl_atom *atom)
{
    char scratch[2048];
    struct sl_slice text = sl_search_text(asked->doc, atom->value, scratch, sizeof scratch);
    const struct sl_search_value *want = asked->value;
    if (!text.ptr)
        return false;
    if (want->code.len == 0) /* absolute, urn: or canonical: as written */
        return sl_slice_eq(text, want->text);
    struct sl_reference_parts there = sl_reference_split(text);
    if (!sl_slice_eq(there.id, want->code))
        return false;
    return want->system.len ? sl_slice_eq(there.type, want->system) : allowed_target(asked->param->param, there.type);
}

static bool same_uri(const struct asked *asked, const struct sl_atom *atom)
{
    return sl_span_is(asked->doc, atom->value, asked->value->text);
}

static bool same_string(const struct asked *asked, const struct sl_atom *atom)
{
    bool whole;
    struct sl_slice raw = sl_search_raw(asked->doc, asked->edits, atom->value, &whole);
    if (sl_slice_eq(asked->param->modifier, SL_LIT("exact")))
        return whole ? sl_slice_eq(raw, asked->value->text) : sl_span_is(asked->doc, atom->value, asked->value->text);
    struct sl_fold there = sl_fold_begin(raw, true);
    struct sl_fold want = sl_fold_begin(asked->value->text, false);
    if (sl_slice_eq(asked->param->modifier, SL_LIT("contains")))
        return sl_fold_contains(there, want);
    return sl_fold_starts(there, want);
}

static bool same_date(const struct asked *asked, const struct sl_atom *atom)
{
    return sl_time_range_compare(asked->value->prefix, asked->time, atom->time);
}

static bool same_number(const struct asked *asked, const struct sl_atom *atom)
{
    struct sl_number there;
    const struct sl_search_value *want = asked->value;
    if (!sl_number_read(sl_span_text(asked->doc, atom->value), &there))
        return false;
    if (want->has_system && want->system.len && !(atom->system && sl_span_is(asked->doc, atom->system, want->system)))
        return false;
    if (want->has_system && want->code.len && !(atom->unit && sl_span_is(asked->doc, atom->unit, want->code)))
        return false;
    return sl_number_compare(want->prefix, asked->number, there.value);
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

static same_call compare_of(const struct sl_r4_param *param)
{
    return (size_t)param->type < sizeof compares / sizeof *compares ? compares[param->type] : NULL;
}

static bool compare_atom(void *context, const struct sl_atom *atom)
{
    const struct asked *asked = context;
    return compare_of(asked->param->param)(asked, atom);
}

/* Reads once what a date or number value says; the walk then compares. */
static bool match_value(
    const struct sl_walk *base, const struct sl_search_param *param, const struct sl_search_value *value)
{
    struct asked asked = {.param = param, .value = value, .doc = base->doc, .edits = base->edits};
    struct sl_walk walk = *base;
    enum sl_r4_param_type type = param->param->type;
    if (!compare_of(param->param))
        return false;
    if (type == SL_PARAM_DATE && !sl_time_range_read(value->text, &asked.time))
        return false;
    if ((type == SL_PARAM_NUMBER || type == SL_PARAM_QUANTITY) && !sl_number_read(value->text, &asked.number))
        return false;
    walk.visit = compare_atom;
    walk.context = &asked;
    return sl_search_walk(&walk);
}

bool sl_search_match_param(
    const struct sl_search_param *param, const struct sl_doc *doc, uint32_t root, const struct sl_edits *edits)
{
    struct sl_walk walk = {.param = param->param, .doc = doc, .root = root, .edits = edits};
    if (!param->param || doc->count == 0 || doc->spans[root].type != SL_SPAN_OBJECT)
        return false;
    if (sl_slice_eq(param->modifier, SL_LIT("missing")))
        return param->value_count == 1 &&
               sl_search_present(&walk) == sl_slice_eq(param->values[0].text, SL_LIT("false"));
    for (size_t i = 0; i < param->value_count; i++)
        if (match_value(&walk, param, &param->values[i]))
            return true;
    return false;
}

bool sl_search_match(
    const struct sl_search *search, const struct sl_doc *doc, uint32_t root, const struct sl_edits *edits)
{
    if (doc->count == 0 || doc->spans[root].type != SL_SPAN_OBJECT || (edits && sl_edit_is_cut(edits, root)))
        return false;
    uint32_t type = sl_span_member(doc, root, SL_NAME_resourceType);
    if (!type || (search->type && !sl_span_is(doc, type, sl_r4_node_name(search->type))))
        return false;
    for (size_t i = 0; i < search->param_count; i++)
        if (!sl_search_match_param(&search->params[i], doc, root, edits))
            return false;
    return true;
}

/* ---- Values for indexes ---- */

struct indexing {
    const struct sl_r4_param *param;
    const struct sl_doc *doc;
    struct sl_arena *arena;
    void (*visit)(void *context, struct sl_slice value);
    void *context;
};

static struct sl_slice scalar(const struct indexing *indexing, uint32_t span)
{
    if (indexing->doc->spans[span].type == SL_SPAN_STRING)
        return sl_span_string(indexing->doc, span, indexing->arena);
    return sl_span_text(indexing->doc, span);
}

static struct sl_slice token_value(const struct indexing *indexing, const struct sl_atom *atom)
{
    struct sl_slice system = atom->system ? scalar(indexing, atom->system) : SL_LIT("");
    struct sl_slice code = scalar(indexing, atom->value);
    return sl_arena_printf(indexing->arena, "%.*s|%.*s", SL_FMT(system), SL_FMT(code));
}

static struct sl_slice reference_value(const struct indexing *indexing, const struct sl_atom *atom)
{
    struct sl_slice text = scalar(indexing, atom->value);
    struct sl_reference_parts parts = sl_reference_split(text);
    if (parts.id.len == 0)
        return text;
    return sl_arena_printf(indexing->arena, "%.*s/%.*s", SL_FMT(parts.type), SL_FMT(parts.id));
}

static bool index_atom(void *context, const struct sl_atom *atom)
{
    const struct indexing *indexing = context;
    struct sl_slice value;
    switch (indexing->param->type) {
    case SL_PARAM_TOKEN:
        value = token_value(indexing, atom);
        break;
    case SL_PARAM_REFERENCE:
        value = reference_value(indexing, atom);
        break;
    case SL_PARAM_STRING:
        value = sl_fold_all(sl_fold_begin(sl_span_raw(indexing->doc, atom->value), true), indexing->arena);
        break;
    case SL_PARAM_NONE:
    case SL_PARAM_NUMBER:
    case SL_PARAM_DATE:
    case SL_PARAM_COMPOSITE:
    case SL_PARAM_QUANTITY:
    case SL_PARAM_URI:
    case SL_PARAM_SPECIAL:
        value = scalar(indexing, atom->value);
        break;
    }
    if (value.ptr)
        indexing->visit(indexing->context, value);
    return sl_arena_failed(indexing->arena); /* memory is out: the caller sees it on the arena */
}

void sl_search_values(const struct sl_r4_param *param, const struct sl_doc *doc, uint32_t root, struct sl_arena *arena,
    void (*visit)(void *context, struct sl_slice value), void *context)
{
    struct indexing indexing = {.param = param, .doc = doc, .arena = arena, .visit = visit, .context = context};
    struct sl_walk walk = {.param = param, .doc = doc, .root = root, .visit = index_atom, .context = &indexing};
    if (doc->count && doc->spans[root].type == SL_SPAN_OBJECT)
        sl_search_walk(&walk);
}
