/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a parameter reads in one resource, given away: as values for an index, as references that lead on, and as a key
 * by which matches are ordered.
 */
#include "search_parts.h"

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

/* ---- References that lead on ---- */

struct leading {
    const struct sl_r4_param *param;
    const struct sl_doc *doc;
    void (*visit)(void *context, struct sl_slice type, struct sl_slice id);
    void *context;
};

static bool lead_on(void *context, const struct sl_atom *atom)
{
    const struct leading *leading = context;
    char scratch[512];
    struct sl_slice text = sl_search_text(leading->doc, atom->value, scratch, sizeof scratch);
    struct sl_reference_parts parts = sl_reference_split(text);
    if (parts.id.len)
        leading->visit(leading->context, parts.type, parts.id);
    return false;
}

void sl_search_references(const struct sl_r4_param *param, const struct sl_doc *doc, uint32_t root,
    const struct sl_edits *edits, void (*visit)(void *context, struct sl_slice type, struct sl_slice id), void *context)
{
    struct leading leading = {.param = param, .doc = doc, .visit = visit, .context = context};
    struct sl_walk walk = {
        .param = param, .doc = doc, .root = root, .edits = edits, .visit = lead_on, .context = &leading};
    if (param->type == SL_PARAM_REFERENCE && doc->count && doc->spans[root].type == SL_SPAN_OBJECT)
        sl_search_walk(&walk);
}

/* ---- Sort keys ---- */

struct sorting {
    const struct sl_search_sort *sort;
    const struct sl_doc *doc;
    const struct sl_edits *edits;
    char best[SL_SEARCH_SORT_KEY], next[SL_SEARCH_SORT_KEY];
    size_t best_len, next_len;
    bool any;
};

/* Signed numbers as bytes that compare as they do. */
static size_t put_integer(char *out, int64_t value)
{
    uint64_t bits = (uint64_t)value ^ UINT64_C(1) << 63;
    for (unsigned i = 0; i < 8; i++)
        out[i] = (char)(bits >> 8 * (7 - i));
    return 8;
}

/* IEEE 754: positive numbers order as their bits do, negative ones the other way round. */
static size_t put_number(char *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
    return put_integer(out, (int64_t)(bits ^ UINT64_C(1) << 63));
}

static size_t put_folded(char *out, struct sl_fold fold)
{
    size_t len = 0;
    for (int c; len < SL_SEARCH_SORT_KEY && (c = sl_fold_next(&fold)) >= 0;)
        out[len++] = (char)c;
    return len;
}

/* The key of one value; 0: it has none. */
static size_t write_key(struct sorting *sorting, const struct sl_atom *atom)
{
    bool whole;
    struct sl_number number;
    struct sl_slice raw;
    switch (sorting->sort->param->type) {
    case SL_PARAM_DATE:
        return put_integer(sorting->next, sorting->sort->descending ? atom->time.to : atom->time.from);
    case SL_PARAM_NUMBER:
    case SL_PARAM_QUANTITY:
        return sl_number_read(sl_span_text(sorting->doc, atom->value), &number)
                   ? put_number(sorting->next, number.value)
                   : 0;
    case SL_PARAM_STRING:
    case SL_PARAM_TOKEN:
    case SL_PARAM_REFERENCE:
    case SL_PARAM_URI:
        raw = sorting->doc->spans[atom->value].type == SL_SPAN_STRING
                  ? sl_search_raw(sorting->doc, sorting->edits, atom->value, &whole)
                  : sl_span_text(sorting->doc, atom->value); /* true, false */
        return raw.ptr ? put_folded(sorting->next, sl_fold_begin(raw, true)) : 0;
    case SL_PARAM_NONE:
    case SL_PARAM_COMPOSITE:
    case SL_PARAM_SPECIAL:
        return 0;
    }
    return 0;
}

static bool is_better(const struct sorting *sorting)
{
    size_t common = sorting->next_len < sorting->best_len ? sorting->next_len : sorting->best_len;
    int order = memcmp(sorting->next, sorting->best, common);
    if (order == 0)
        order = (sorting->next_len > sorting->best_len) - (sorting->next_len < sorting->best_len);
    return sorting->sort->descending ? order > 0 : order < 0;
}

static bool sort_atom(void *context, const struct sl_atom *atom)
{
    struct sorting *sorting = context;
    sorting->next_len = write_key(sorting, atom);
    if (sorting->next_len && (!sorting->any || is_better(sorting))) {
        memcpy(sorting->best, sorting->next, sorting->next_len);
        sorting->best_len = sorting->next_len;
        sorting->any = true;
    }
    return false;
}

struct sl_slice sl_search_sort_key(const struct sl_search_sort *sort, const struct sl_doc *doc, uint32_t root,
    const struct sl_edits *edits, struct sl_arena *arena)
{
    struct sorting sorting = {.sort = sort, .doc = doc, .edits = edits};
    struct sl_walk walk = {
        .param = sort->param, .doc = doc, .root = root, .edits = edits, .visit = sort_atom, .context = &sorting};
    if (doc->count && doc->spans[root].type == SL_SPAN_OBJECT)
        sl_search_walk(&walk);
    if (!sorting.any)
        return (struct sl_slice){NULL, 0};
    return sl_arena_copy(arena, (struct sl_slice){sorting.best, sorting.best_len});
}
