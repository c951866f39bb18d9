/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order: the upstream's would tell by what was cut, so it is made here. First every match is read, page by page, and of
 * each released one its name and what it is ordered by are kept, and nothing else; then they are put in order, and
 * those of the page are read again, by id. Ties go by type and id, never by the order in which anything came in.
 *
 * Where policy proves that nothing which orders can be cut or changed for this recipient, the upstream's order of what
 * is released is ours. Then it is asked in order, if it can, and a page reads no more than it needs; that each match
 * stands behind the one before is looked at, and where one does not, all are put in order here after all.
 *
 * The same keys, without an order, are what a chain's step is asked for: see chain.c.
 */
#include <stdlib.h>

#include "exchange.h"
#include "records_parts.h"
#include "sluice/fault.h"

#define FIRST_KEYS 64u

/* How many there are has no order. */
bool sl_sort_is_wanted(const struct sl_exchange *x)
{
    const struct sl_search *search = &x->interaction.search;
    return x->gather ||
           (x->interaction.kind == SL_SEARCH && search->sort_count && !sl_slice_eq(search->summary, SL_LIT("count")));
}

bool sl_sort_trusts(const struct sl_exchange *x)
{
    const struct sl_config *config = x->state->gateway->config;
    return !config->upstream_url.len || config->upstream_sorts;
}

/* The embedded store has its records in the order of their ids, and in no other. */
bool sl_sort_is_left(const struct sl_exchange *x)
{
    const struct sl_search *search = &x->interaction.search;
    const struct sl_config *config = x->state->gateway->config;
    bool by_id =
        search->sort_count == 1 && !search->sorts[0].descending && strcmp(search->sorts[0].param->name, "_id") == 0;
    if (x->gather || x->disordered || x->interaction.search_count || search->step_count || !sl_sort_is_wanted(x) ||
        !(config->upstream_url.len ? config->upstream_sorts : by_id))
        return false;
    for (size_t i = 0; i < search->sort_count; i++)
        if (sl_may_cut(x->policy, &x->caller.recipient, search->type, search->sorts[i].param))
            return false;
    return true;
}

/* The one errand, with an order: ties by id, as here. */
enum sl_status sl_sort_ask(struct sl_exchange *x)
{
    const struct sl_search *search = &x->interaction.search;
    struct sl_search_sort *sorts = sl_arena_array(x->arena, search->sort_count + 1, sizeof *sorts);
    struct sl_search *asked = sl_arena_alloc(x->arena, sizeof *asked);
    struct sl_errand *errand = sl_arena_alloc(x->arena, sizeof *errand);
    if (!sorts || !asked || !errand)
        return SL_NO_MEMORY;
    bool by_id = false;
    for (size_t i = 0; i < search->sort_count; i++) {
        sorts[i] = search->sorts[i];
        by_id |= strcmp(sorts[i].param->name, "_id") == 0;
    }
    sorts[search->sort_count].param = sl_r4_param_find(search->type, SL_LIT("_id"));
    *errand = x->errands[0];
    *asked = *errand->asked;
    asked->sorts = sorts;
    asked->sort_count = search->sort_count + !by_id;
    errand->asked = asked;
    x->errands = errand;
    return SL_OK;
}

/* Has an inner search found this record already? A reference leads to the same one often. */
static enum sl_status mark(struct sl_exchange *x, sl_r4_node type, struct sl_slice id, bool *is_new)
{
    const struct sl_slice parts[] = {sl_r4_node_name(type), SL_LIT("/"), id};
    if (!x->keys.names) {
        x->keys.names = sl_arena_alloc(x->arena, sizeof *x->keys.names);
        if (!x->keys.names)
            return SL_NO_MEMORY;
        x->keys.names->arena = x->arena;
    }
    struct sl_slice name = sl_arena_join(x->arena, parts, 3);
    return name.ptr ? sl_text_map_put(x->keys.names, name, SL_LIT(""), is_new) : SL_NO_MEMORY;
}

static enum sl_status grow(struct sl_exchange *x)
{
    size_t capacity = x->keys.capacity ? 2 * x->keys.capacity : FIRST_KEYS;
    struct sl_match_key *list = sl_arena_array(x->arena, capacity, sizeof *list);
    if (!list)
        return SL_NO_MEMORY;
    if (x->keys.count)
        memcpy(list, x->keys.list, x->keys.count * sizeof *list);
    x->keys.list = list;
    x->keys.capacity = capacity;
    return SL_OK;
}

static enum sl_status add_key(struct sl_exchange *x, sl_r4_node type, struct sl_slice id, struct sl_slice *sorts)
{
    bool is_new = true;
    if (x->gather)
        SL_TRY(mark(x, type, id, &is_new));
    if (!is_new)
        return SL_OK;
    if (x->keys.count == x->keys.capacity)
        SL_TRY(grow(x));
    struct sl_slice copy = sl_arena_copy(x->arena, id);
    x->keys.list[x->keys.count++] = (struct sl_match_key){.type = type, .id = copy, .sorts = sorts};
    return copy.ptr ? SL_OK : SL_NO_MEMORY;
}

struct linking {
    struct sl_exchange *x;
    enum sl_status status;
};

static void add_link(void *context, struct sl_slice type, struct sl_slice id)
{
    struct linking *linking = context;
    struct sl_exchange *x = linking->x;
    if (linking->status == SL_OK && sl_r4_resource(type) == x->gather_type)
        linking->status = add_key(x, x->gather_type, id, NULL);
}

/* By what the match is put in its place: as it goes out. */
static enum sl_status read_sorts(struct sl_exchange *x, const struct sl_found *found, struct sl_slice **out)
{
    const struct sl_search *search = &x->interaction.search;
    const struct sl_edits *edits = sl_fault(SL_FAULT_SORT_UNCUT) ? NULL : found->page->edits;
    const struct sl_doc *doc = &found->page->doc;
    uint32_t root = found->entry->root;
    struct sl_doc view;
    struct sl_slice *sorts = sl_arena_array(x->arena, search->sort_count, sizeof *sorts);
    if (!sorts)
        return SL_NO_MEMORY;
    if (edits && sl_partial_is_rewritten(found)) {
        SL_TRY(sl_partial_read(x, found, &view));
        doc = &view;
        root = 0;
        edits = NULL;
    }
    for (size_t i = 0; i < search->sort_count; i++)
        sorts[i] = sl_search_sort_key(&search->sorts[i], doc, root, edits, x->arena);
    *out = sorts;
    return SL_OK;
}

enum sl_status sl_sort_note(struct sl_exchange *x, const struct sl_found *found)
{
    const struct sl_search *search = &x->interaction.search;
    const struct sl_edits *edits = found->page->edits;
    if (x->gather == SL_GATHER_LINKS) {
        struct linking linking = {x, SL_OK};
        sl_search_references(x->gather_by, &found->page->doc, found->entry->root, edits, add_link, &linking);
        return linking.status;
    }
    struct sl_slice *sorts = NULL;
    if (search->sort_count && !x->gather)
        SL_TRY(read_sorts(x, found, &sorts));
    return add_key(x, found->entry->type, found->entry->id, sorts);
}

/* ---- Putting in order ---- */

static int compare(struct sl_slice a, struct sl_slice b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int by_name(const struct sl_match_key *a, const struct sl_match_key *b)
{
    return a->type != b->type ? compare(sl_r4_node_name(a->type), sl_r4_node_name(b->type)) : compare(a->id, b->id);
}

/* What has no value comes last, whichever way it goes. */
static int by_sorts(const void *one, const void *other, void *context)
{
    const struct sl_search *search = context;
    const struct sl_match_key *a = one, *b = other;
    for (size_t i = 0; a->sorts && b->sorts && i < search->sort_count; i++) {
        struct sl_slice x = a->sorts[i], y = b->sorts[i];
        if (!x.ptr != !y.ptr)
            return x.ptr ? -1 : 1;
        int order = compare(x, y);
        if (order)
            return search->sorts[i].descending ? -order : order;
    }
    return by_name(a, b);
}

enum sl_status sl_sort_follows(struct sl_exchange *x, const struct sl_found *found, bool *follows)
{
    SL_TRY(sl_sort_note(x, found));
    const struct sl_match_key *last = x->keys.list + x->keys.count - 1;
    *follows = x->keys.count < 2 || by_sorts(last - 1, last, &x->interaction.search) < 0;
    return SL_OK;
}

/* A record that moved from one page of the upstream to the next while they were read is there twice, as one. */
void sl_sort_settle(struct sl_exchange *x)
{
    size_t kept = 0;
    struct sl_match_keys *keys = &x->keys;
    if (keys->count > 1 && !sl_fault(SL_FAULT_UPSTREAM_ORDER))
        qsort_r(keys->list, keys->count, sizeof *keys->list, by_sorts, &x->interaction.search);
    for (size_t i = 0; i < keys->count; i++)
        if (i == 0 || by_name(&keys->list[i], &keys->list[kept - 1]) != 0)
            keys->list[kept++] = keys->list[i];
    keys->count = kept;
}

/* ---- The page, by ids ---- */

static int by_type(const void *a, const void *b)
{
    return by_name(a, b);
}

/* Errands for a run of keys of one type. */
static enum sl_status ask_for(
    struct sl_exchange *x, const struct sl_match_key *list, size_t count, struct sl_errand *out)
{
    struct sl_slice *ids = sl_arena_array(x->arena, count, sizeof *ids);
    if (!ids)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        ids[i] = list[i].id;
    *out = (struct sl_errand){.kind = SL_ASK_IDS, .type = sl_r4_node_name(list->type), .ids = ids, .id_count = count};
    return SL_OK;
}

static enum sl_status make_errands(struct sl_exchange *x)
{
    const struct sl_match_keys *page = &x->page;
    struct sl_match_key *list = sl_arena_array(x->arena, page->count + 1, sizeof *list);
    struct sl_errand *errands = sl_arena_array(x->arena, page->count + 1, sizeof *errands);
    if (!list || !errands)
        return SL_NO_MEMORY;
    if (page->count) {
        memcpy(list, page->list, page->count * sizeof *list);
        qsort(list, page->count, sizeof *list, by_type);
    }
    x->errand_count = 0;
    for (size_t i = 0, run; i < page->count; i += run) {
        for (run = 1; i + run < page->count && run < SL_ASK_IDS_LIMIT && list[i + run].type == list[i].type;)
            run++;
        SL_TRY(ask_for(x, list + i, run, &errands[x->errand_count++]));
    }
    x->errands = errands;
    x->at = (struct sl_position){0};
    x->exhausted = x->errand_count == 0;
    return SL_OK;
}

enum sl_status sl_sort_page(struct sl_exchange *x)
{
    sl_sort_settle(x);
    size_t from = x->skipped < x->keys.count ? x->skipped : x->keys.count, left = x->keys.count - from;
    x->page = (struct sl_match_keys){
        .list = x->keys.list ? x->keys.list + from : NULL, .count = left < x->wanted ? left : x->wanted};
    x->gathered = left;
    if (left > x->wanted)
        x->following = (struct sl_position){.errand = SL_AT_PASSED, .passed = (uint32_t)(from + x->wanted)};
    x->planned = x->errands;
    x->planned_count = x->errand_count;
    x->phase = SL_PHASE_PAGE;
    return make_errands(x);
}

static int by_found(const void *a, const void *b)
{
    const struct sl_entry *x = (*(const struct sl_found *const *)a)->entry,
                          *y = (*(const struct sl_found *const *)b)->entry;
    return x->type != y->type ? compare(sl_r4_node_name(x->type), sl_r4_node_name(y->type)) : compare(x->id, y->id);
}

enum sl_status sl_sort_rank(struct sl_exchange *x, const struct sl_found **list, size_t *count)
{
    const struct sl_found **ranked = sl_arena_array(x->arena, *count + 1, sizeof *ranked);
    size_t kept = 0;
    if (!ranked)
        return SL_NO_MEMORY;
    if (*count > 1)
        qsort(list, *count, sizeof *list, by_found);
    for (size_t i = 0; i < x->page.count && kept < *count; i++) {
        const struct sl_entry entry = {.type = x->page.list[i].type, .id = x->page.list[i].id};
        const struct sl_found sought = {.entry = &entry}, *key = &sought;
        const struct sl_found **place = bsearch(&key, list, *count, sizeof *list, by_found);
        if (place)
            ranked[kept++] = *place;
    }
    memcpy(list, ranked, kept * sizeof *list);
    *count = kept;
    return SL_OK;
}
