/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Includes: what released views lead to, and what leads to them. The upstream is asked for matches alone; once they are
 * decided, what is left of them says what to ask for next, level by level where `:iterate` goes on. So what was cut
 * leads nowhere, nothing that is hidden is followed, and no server's own bound on includes shows.
 *
 * What has been answered or asked for is known by name, so that everything is there once and circles end.
 */
#include <stdlib.h>

#include "exchange.h"
#include "records_parts.h"
#include "sluice/fault.h"

struct sl_including {
    struct sl_text_map answered; /* "Type/id" of what is in the answer */
    struct sl_text_map asked;    /* and of what has been asked for because something leads to it */
    unsigned level;              /* 0: what hangs on the matches is asked for */
};

/* The things to ask for on one level: records by name, or by what they point at. */
struct target {
    const struct sl_include *include; /* NULL: the record itself; else what points at it by this one */
    sl_r4_node type;
    struct sl_slice id;
    const struct sl_item *lead;
};

struct collecting {
    struct sl_exchange *x;
    const struct sl_include *include;
    const struct sl_found *from;
    struct target *list;
    size_t count, capacity;
    enum sl_status status;
};

/* ---- Names ---- */

static struct sl_slice name_of(struct sl_exchange *x, struct sl_slice type, struct sl_slice id)
{
    const struct sl_slice parts[] = {type, SL_LIT("/"), id};
    return sl_arena_join(x->arena, parts, 3);
}

/* Notes what has come since: of each the first place counts. */
static enum sl_status note(struct sl_exchange *x, struct sl_including *including, struct sl_found *found)
{
    bool is_new;
    struct sl_slice name = name_of(x, sl_r4_node_name(found->entry->type), found->entry->id);
    if (!name.ptr)
        return SL_NO_MEMORY;
    SL_TRY(sl_text_map_put(&including->answered, name, SL_LIT(""), &is_new));
    found->linked = is_new && !found->match;
    return SL_OK;
}

static bool is_fresh(const struct sl_found *found)
{
    return found->released && !found->followed && (found->match || found->linked);
}

static enum sl_status note_all(struct sl_exchange *x, struct sl_including *including)
{
    for (struct sl_round *round = x->rounds; round; round = round->next)
        for (struct sl_found *found = round->first; found; found = found->next)
            if (found->released && !found->noted) {
                found->noted = true;
                SL_TRY(note(x, including, found));
            }
    return SL_OK;
}

/* ---- What leads on ---- */

static bool in_scope(const struct sl_exchange *x, sl_r4_node type)
{
    bool patient_only;
    return sl_caller_may(&x->caller, type, SL_MAY_READ, &patient_only) ||
           sl_caller_may(&x->caller, type, SL_MAY_SEARCH, &patient_only);
}

static void add_target(struct collecting *c, const struct target *one)
{
    if (c->count == c->capacity) {
        size_t capacity = c->capacity ? 2 * c->capacity : 64;
        struct target *list = sl_arena_array(c->x->arena, capacity, sizeof *list);
        if (!list) {
            c->status = SL_NO_MEMORY;
            return;
        }
        if (c->count)
            memcpy(list, c->list, c->count * sizeof *list);
        c->list = list;
        c->capacity = capacity;
    }
    c->list[c->count++] = *one;
}

/* A record that a released view points at. */
static void lead_to(void *context, struct sl_slice type, struct sl_slice id)
{
    struct collecting *c = context;
    struct sl_including *including = c->x->including;
    bool is_new = false;
    if (c->status != SL_OK || (c->include->target.len && !sl_slice_eq(c->include->target, type)) ||
        !in_scope(c->x, sl_r4_resource(type)))
        return;
    struct sl_slice name = name_of(c->x, type, id);
    if (!name.ptr) {
        c->status = SL_NO_MEMORY;
        return;
    }
    if (sl_text_map_get(&including->answered, name))
        return;
    c->status = sl_text_map_put(&including->asked, name, SL_LIT(""), &is_new);
    if (c->status == SL_OK && is_new)
        add_target(
            c, &(struct target){
                   .type = sl_r4_resource(type), .id = sl_slice_from(name, type.len + 1), .lead = c->from->item});
}

static void follow(struct collecting *c, const struct sl_include *include)
{
    const struct sl_found *from = c->from;
    bool every = sl_slice_eq(include->param, SL_LIT("*"));
    size_t count = 1;
    const struct sl_r4_param *params =
        every ? sl_r4_params(from->entry->type, &count) : sl_r4_param_find(from->entry->type, include->param);
    for (size_t i = 0; params && i < count; i++)
        sl_search_references(&params[i], &from->page->doc, from->entry->root,
            sl_fault(SL_FAULT_CUT_LINK) ? NULL : from->page->edits, lead_to, c);
}

static bool may_point_at(const struct sl_include *include, sl_r4_node type)
{
    const struct sl_r4_param *param = sl_r4_param_find(sl_r4_resource(include->source), include->param);
    struct sl_slice name = sl_r4_node_name(type);
    if (include->target.len)
        return sl_slice_eq(include->target, name);
    for (const char *const *target = param ? param->targets : NULL; target && *target; target++)
        if (sl_slice_eq(name, sl_slice_of(*target)))
            return true;
    return param && (!param->targets || !param->targets[0]);
}

static void collect(struct collecting *c, const struct sl_include *include)
{
    const struct sl_entry *entry = c->from->entry;
    c->include = include;
    if (!include->reverse && sl_slice_eq(include->source, sl_r4_node_name(entry->type)))
        follow(c, include);
    if (include->reverse && may_point_at(include, entry->type) && in_scope(c->x, sl_r4_resource(include->source)))
        add_target(c, &(struct target){.include = include, .type = entry->type, .id = entry->id});
}

static enum sl_status collect_all(struct collecting *c)
{
    const struct sl_search *search = &c->x->interaction.search;
    for (struct sl_round *round = c->x->rounds; round; round = round->next)
        for (struct sl_found *found = round->first; found; found = found->next) {
            if (!is_fresh(found))
                continue;
            found->followed = true;
            c->from = found;
            for (size_t i = 0; i < search->include_count && c->status == SL_OK; i++)
                if (c->x->including->level == 0 || search->includes[i].iterate)
                    collect(c, &search->includes[i]);
        }
    return c->status;
}

/* ---- Errands ---- */

static int by_kind(const void *a, const void *b)
{
    const struct target *x = a, *y = b;
    if (x->include != y->include)
        return x->include < y->include ? -1 : 1; /* both of one list */
    if (x->type != y->type)
        return x->type < y->type ? -1 : 1;
    int order = memcmp(x->id.ptr, y->id.ptr, x->id.len < y->id.len ? x->id.len : y->id.len);
    return order ? order : (x->id.len > y->id.len) - (x->id.len < y->id.len);
}

/* How many from here on go into one question: of one kind, and a Binary, which no search finds, by itself. */
static size_t run_of(const struct target *list, size_t count)
{
    size_t run = 1;
    if (!list->include && list->type == SL_R4_Binary)
        return 1;
    while (run < count && run < SL_ASK_IDS_LIMIT && list[run].include == list->include && list[run].type == list->type)
        run++;
    return run;
}

static enum sl_status ask_for_records(
    struct sl_exchange *x, const struct target *list, size_t count, struct sl_errand *out)
{
    struct sl_slice *ids = sl_arena_array(x->arena, count, sizeof *ids);
    const struct sl_item **leads = sl_arena_array(x->arena, count, sizeof *leads);
    if (!ids || !leads)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        ids[i] = list[i].id;
        leads[i] = list[i].lead;
    }
    *out = (struct sl_errand){.kind = list->type == SL_R4_Binary ? SL_ASK_READ : SL_ASK_IDS,
        .type = sl_r4_node_name(list->type),
        .id = ids[0],
        .ids = ids,
        .leads = leads,
        .id_count = count};
    return SL_OK;
}

static enum sl_status ask_for_pointers(
    struct sl_exchange *x, const struct target *list, size_t count, struct sl_errand *out)
{
    const struct sl_include *include = list->include;
    struct sl_search_value *values = sl_arena_array(x->arena, count, sizeof *values);
    struct sl_search_param *param = sl_arena_alloc(x->arena, sizeof *param);
    struct sl_search *search = sl_arena_alloc(x->arena, sizeof *search);
    sl_r4_node source = sl_r4_resource(include->source);
    if (!values || !param || !search)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        values[i] = (struct sl_search_value){.system = sl_r4_node_name(list->type), .code = list[i].id, .prefix = "eq"};
    *param = (struct sl_search_param){.param = sl_r4_param_find(source, include->param),
        .name = include->param,
        .values = values,
        .value_count = count};
    *search = (struct sl_search){.type = source, .params = param, .param_count = 1};
    *out = (struct sl_errand){.kind = SL_ASK_PAGE, .type = include->source, .search = search};
    return sl_plan_widen(x, out);
}

static enum sl_status make_errands(struct sl_exchange *x, struct target *list, size_t count)
{
    struct sl_errand *errands = sl_arena_array(x->arena, count + 1, sizeof *errands);
    if (!errands)
        return SL_NO_MEMORY;
    if (count > 1)
        qsort(list, count, sizeof *list, by_kind);
    x->errand_count = 0;
    for (size_t i = 0, run; i < count; i += run) {
        struct sl_errand *out = &errands[x->errand_count++];
        run = run_of(list + i, count - i);
        SL_TRY(list[i].include ? ask_for_pointers(x, list + i, run, out) : ask_for_records(x, list + i, run, out));
    }
    x->errands = errands;
    x->at = (struct sl_position){0};
    x->exhausted = x->errand_count == 0;
    return SL_OK;
}

static struct sl_including *begin(struct sl_exchange *x)
{
    struct sl_including *including = sl_arena_alloc(x->arena, sizeof *including);
    if (including)
        including->answered.arena = including->asked.arena = x->arena;
    return including;
}

enum sl_status sl_include_note(struct sl_exchange *x)
{
    if (!x->including)
        x->including = begin(x);
    return x->including ? note_all(x, x->including) : SL_NO_MEMORY;
}

enum sl_status sl_include_plan(struct sl_exchange *x)
{
    bool first = !x->including;
    struct collecting c = {.x = x, .status = SL_OK};
    SL_TRY(sl_include_note(x));
    x->including->level += !first;
    SL_TRY(collect_all(&c));
    return make_errands(x, c.list, c.count);
}
