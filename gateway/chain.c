/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The step `resolve`: chained parameters, _has and _list. Each is asked for as the recipient, by an interaction of its
 * own that takes the whole path; what it releases, and what is left of that, says which records the search itself may
 * match. So a chain over something withheld, or over an element that was cut, leads where a chain over nothing leads.
 *
 * The limit on what a step may find counts released records, and is told as the request's own mistake. What lies below
 * is bounded with the request as a whole (limits.rows).
 */
#include "exchange.h"

#define FOUND_LIMIT 1000u /* released records that one step may find */

struct sl_resolving {
    size_t step, inner;             /* which of them is under way, or next */
    struct sl_exchange *asked;      /* NULL: none is */
    struct sl_search_param *params; /* those of the search, then one for each step taken */
    size_t param_count;
    struct sl_search_value *values; /* of the step under way */
    size_t value_count, forbidden;
};

static const struct sl_search *written(const struct sl_exchange *x)
{
    return &x->interaction.search;
}

/* ---- Beginning ---- */

static enum sl_status begin(struct sl_exchange *x)
{
    const struct sl_search *search = written(x);
    struct sl_resolving *r = sl_arena_alloc(x->arena, sizeof *r);
    if (!r)
        return SL_NO_MEMORY;
    *r = (struct sl_resolving){.param_count = search->param_count};
    r->params = sl_arena_array(x->arena, search->param_count + search->step_count, sizeof *r->params);
    if (!r->params)
        return SL_NO_MEMORY;
    if (search->param_count)
        memcpy(r->params, search->params, search->param_count * sizeof *r->params);
    x->resolving = r;
    return SL_OK;
}

/* What belongs to whoever points at it is found by that route alone, so no step leads through a search for it. */
static bool leads_nowhere(const struct sl_search *inner)
{
    return (sl_r4_facts(inner->type) & SL_R4_BY_ROUTE) != 0;
}

/* A step that leads to nothing else goes by the route: what matches without it is asked for, with what that points at
 * (MedicationRequest?patient=x&medication.code=y). */
static bool goes_by_route(const struct sl_search_step *step)
{
    return step->kind == SL_SEARCH_CHAIN && step->inner_count == 1 && leads_nowhere(step->inner) &&
           !step->inner->step_count;
}

/* All that is known of the search so far but what joins several things, of which some may not be known yet. */
static enum sl_status search_so_far(struct sl_exchange *x, const struct sl_search_step *step, struct sl_search *out)
{
    const struct sl_resolving *r = x->resolving;
    struct sl_search_param *params = sl_arena_array(x->arena, r->param_count + 1, sizeof *params);
    struct sl_include *include = sl_arena_alloc(x->arena, sizeof *include);
    if (!params || !include)
        return SL_NO_MEMORY;
    *include = (struct sl_include){.source = x->interaction.type_name,
        .param = sl_slice_of(step->param->name),
        .target = sl_r4_node_name(step->inner->type)};
    *out = (struct sl_search){.type = x->interaction.type, .params = params, .includes = include, .include_count = 1};
    for (size_t i = 0; i < r->param_count; i++)
        if (!r->params[i].terms)
            params[out->param_count++] = r->params[i];
    return SL_OK;
}

static enum sl_status ask_by_route(struct sl_exchange *x, const struct sl_search_step *step)
{
    bool patient_only;
    struct sl_interaction search = {.kind = SL_SEARCH,
        .type = x->interaction.type,
        .type_name = x->interaction.type_name,
        .compartment = x->interaction.compartment};
    if (!sl_caller_may(&x->caller, step->inner->type, SL_MAY_READ, &patient_only) &&
        !sl_caller_may(&x->caller, step->inner->type, SL_MAY_SEARCH, &patient_only))
        return SL_FORBIDDEN;
    if (!sl_may_search(x->policy, &x->caller.recipient, sl_search_means(step->inner)))
        return SL_FORBIDDEN; /* no search for it is asked, which would have been refused */
    SL_TRY(search_so_far(x, step, &search.search));
    SL_TRY(sl_inner_view(x, &search, &x->resolving->asked));
    x->resolving->asked->gather_limit = FOUND_LIMIT;
    return SL_OK;
}

static enum sl_status ask_for_list(struct sl_exchange *x, const struct sl_search_step *step)
{
    const struct sl_interaction list = {
        .kind = SL_READ, .type = SL_R4_List, .type_name = sl_r4_node_name(SL_R4_List), .id = step->text};
    return sl_inner_view(x, &list, &x->resolving->asked);
}

static enum sl_status ask_for_keys(
    struct sl_exchange *x, const struct sl_search_step *step, const struct sl_search *inner)
{
    const struct sl_interaction search = {
        .kind = SL_SEARCH, .type = inner->type, .type_name = sl_r4_node_name(inner->type), .search = *inner};
    SL_TRY(sl_inner_view(x, &search, &x->resolving->asked));
    x->resolving->asked->gather = step->kind == SL_SEARCH_HAS ? SL_GATHER_LINKS : SL_GATHER_IDS;
    x->resolving->asked->gather_by = step->param;
    x->resolving->asked->gather_type = x->interaction.type;
    x->resolving->asked->gather_limit = FOUND_LIMIT;
    return SL_OK;
}

/* Asks what the step asks next. False: nothing of it is left to ask. */
static enum sl_status ask(struct sl_exchange *x, const struct sl_search_step *step, bool *asked)
{
    struct sl_resolving *r = x->resolving;
    *asked = true;
    if (step->kind == SL_SEARCH_LIST && r->inner == 0)
        return ask_for_list(x, step);
    if (goes_by_route(step) && r->inner == 0)
        return ask_by_route(x, step);
    while (r->inner < step->inner_count && leads_nowhere(&step->inner[r->inner]))
        r->inner++;
    if (step->kind != SL_SEARCH_LIST && r->inner < step->inner_count)
        return ask_for_keys(x, step, &step->inner[r->inner]);
    *asked = false;
    return SL_OK;
}

/* ---- Taking ---- */

static enum sl_status refuse(struct sl_exchange *x, const char *why)
{
    x->detail = sl_slice_of(why);
    return SL_BAD_PARAMETER;
}

static enum sl_status add_value(struct sl_exchange *x, sl_r4_node type, struct sl_slice id)
{
    struct sl_resolving *r = x->resolving;
    if (!r->values)
        r->values = sl_arena_array(x->arena, FOUND_LIMIT, sizeof *r->values);
    struct sl_slice copy = sl_arena_copy(x->arena, id);
    if (!r->values || !copy.ptr)
        return SL_NO_MEMORY;
    if (r->value_count == FOUND_LIMIT)
        return refuse(x, "A step of the search leads to more than 1000 records: narrow it.");
    bool reference = written(x)->steps[r->step].kind == SL_SEARCH_CHAIN;
    r->values[r->value_count++] = (struct sl_search_value){.text = copy,
        .system = reference ? sl_r4_node_name(type) : (struct sl_slice){NULL, 0},
        .code = reference ? copy : (struct sl_slice){NULL, 0},
        .prefix = "eq"};
    return SL_OK;
}

struct listing {
    struct sl_exchange *x;
    enum sl_status status;
};

static void add_listed(void *context, struct sl_slice type, struct sl_slice id)
{
    struct listing *listing = context;
    if (listing->status == SL_OK && sl_r4_resource(type) == listing->x->interaction.type)
        listing->status = add_value(listing->x, listing->x->interaction.type, id);
}

/* What the recipient's view of the List names. */
static enum sl_status take_list(struct sl_exchange *x, const struct sl_exchange *inner)
{
    struct listing listing = {x, SL_OK};
    const struct sl_r4_param *items = sl_r4_param_find(SL_R4_List, SL_LIT("item"));
    for (const struct sl_round *round = inner->rounds; round; round = round->next)
        for (const struct sl_found *found = round->first; found; found = found->next)
            if (found->released && found->match && found->entry->type == SL_R4_List)
                sl_search_references(
                    items, &found->page->doc, found->entry->root, found->page->edits, add_listed, &listing);
    return listing.status;
}

static enum sl_status take_keys(struct sl_exchange *x, const struct sl_exchange *inner)
{
    for (size_t i = 0; i < inner->keys.count; i++)
        SL_TRY(add_value(x, inner->keys.list[i].type, inner->keys.list[i].id));
    return SL_OK;
}

/* What the matches lead to, as it goes out. */
static enum sl_status take_routed(struct sl_exchange *x, struct sl_exchange *inner, const struct sl_search *sought)
{
    bool match;
    if (inner->gathered > inner->wanted)
        return refuse(x, "A step of the search goes through more than 1000 records: narrow it.");
    for (const struct sl_round *round = inner->rounds; round; round = round->next)
        for (const struct sl_found *found = round->first; found; found = found->next) {
            if (!found->released || !found->linked || found->entry->type != sought->type)
                continue;
            SL_TRY(sl_partial_match(inner, sought, found, &match));
            if (match)
                SL_TRY(add_value(x, sought->type, found->entry->id));
        }
    return SL_OK;
}

/* One of several types that the caller's scopes do not reach leads nowhere; the only one is refused, as a search for it
 * would be. */
static enum sl_status take(struct sl_exchange *x, const struct sl_search_step *step)
{
    struct sl_exchange *inner = x->resolving->asked;
    enum sl_status status = inner->status;
    if (status == SL_NOT_FOUND) /* a List that is not there, or not for this recipient */
        return SL_OK;
    if (status == SL_FORBIDDEN && ++x->resolving->forbidden < step->inner_count)
        return SL_OK;
    if (status != SL_OK) {
        x->why = inner->why;
        x->detail = sl_arena_copy(x->arena, inner->detail);
        return status;
    }
    if (goes_by_route(step))
        return take_routed(x, inner, step->inner);
    return step->kind == SL_SEARCH_LIST ? take_list(x, inner) : take_keys(x, inner);
}

/* The step as a parameter in its place: without a value nothing matches it. */
static enum sl_status end_step(struct sl_exchange *x, const struct sl_search_step *step)
{
    struct sl_resolving *r = x->resolving;
    bool chain = step->kind == SL_SEARCH_CHAIN;
    size_t nowhere = 0;
    for (size_t i = 0; i < step->inner_count; i++)
        nowhere += leads_nowhere(&step->inner[i]);
    if (step->inner_count && nowhere == step->inner_count && !goes_by_route(step))
        return refuse(x, "What belongs to the record that points at it cannot be searched through.");
    struct sl_search_param *place = step->place ? step->place : &r->params[r->param_count++];
    *place =
        (struct sl_search_param){.param = chain ? step->param : sl_r4_param_find(x->interaction.type, SL_LIT("_id")),
            .values = r->values,
            .value_count = r->value_count};
    place->name = sl_slice_of(place->param->name);
    r->step++;
    r->inner = r->value_count = r->forbidden = 0;
    r->values = NULL;
    return SL_OK;
}

static enum sl_status end_all(struct sl_exchange *x)
{
    struct sl_search *search = sl_arena_alloc(x->arena, sizeof *search);
    if (!search)
        return SL_NO_MEMORY;
    *search = *written(x);
    search->params = x->resolving->params;
    search->param_count = x->resolving->param_count;
    search->steps = NULL;
    search->step_count = 0;
    x->search = search;
    SL_TRY(sl_plan(x));
    x->exhausted = x->at.errand >= x->errand_count;
    return SL_OK;
}

/* Goes on until something has to be waited for (*waits), or everything is known. */
static enum sl_status go_on(struct sl_exchange *x, bool *waits)
{
    struct sl_resolving *r = x->resolving;
    *waits = false;
    while (r->step < written(x)->step_count) {
        const struct sl_search_step *step = &written(x)->steps[r->step];
        if (r->asked) {
            SL_TRY(take(x, step));
            sl_inner_drop(r->asked);
            r->asked = NULL;
            r->inner++;
        }
        SL_TRY(ask(x, step, waits));
        if (*waits)
            return SL_OK;
        SL_TRY(end_step(x, step));
    }
    return end_all(x);
}

enum sl_step_result sl_chain_resolve(struct sl_exchange *x)
{
    bool waits = false;
    if (x->interaction.kind != SL_SEARCH || !written(x)->step_count)
        return SL_STEP_DONE;
    enum sl_status status = x->resolving ? SL_OK : begin(x);
    if (status == SL_OK)
        status = go_on(x, &waits);
    if (status != SL_OK)
        return sl_exchange_fail(x, status, x->why ? x->why : "chain");
    return waits ? SL_STEP_WAIT : SL_STEP_DONE;
}
