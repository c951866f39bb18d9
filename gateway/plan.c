/* SPDX-License-Identifier: Apache-2.0 */
/* What an interaction fetches, as a list of errands: see exchange.h. */
#include "history.h"
#include "operation.h"

#define EVERYTHING_LIMIT 512u /* errands of $everything: types times their compartment parameters */

static enum sl_status add_read(struct sl_exchange *x, struct sl_errand *errand)
{
    *errand = (struct sl_errand){.kind = SL_ASK_READ, .type = x->interaction.type_name, .id = x->interaction.id};
    return SL_OK;
}

/* A cut takes values away. So what matches in a view matches in the record, but for what asks that something is not
 * there, and for what reads an element that may go out with another text: there the upstream cannot say, and is asked
 * without. */
static enum sl_status widen(struct sl_exchange *x, struct sl_errand *errand)
{
    struct sl_search *asked = sl_arena_alloc(x->arena, sizeof *asked);
    struct sl_search_param *params = sl_arena_array(x->arena, errand->search->param_count + 1, sizeof *params);
    if (!asked || !params)
        return SL_NO_MEMORY;
    *asked = *errand->search;
    asked->params = params;
    asked->param_count = 0;
    for (size_t i = 0; i < errand->search->param_count; i++) {
        const struct sl_search_param *param = &errand->search->params[i];
        if (sl_search_bearing(param) == SL_SEARCH_SHRINKS &&
            !sl_may_change(x->policy, &x->caller.recipient, param->param))
            params[asked->param_count++] = *param;
    }
    errand->asked = asked;
    return SL_OK;
}

/* A search with one parameter more: the compartment's. Read again from text, so that there is one way to make a search.
 */
static enum sl_status add_compartment(struct sl_exchange *x, sl_r4_node type, struct sl_slice query,
    struct sl_slice form, const char *param, struct sl_errand *errand)
{
    struct sl_slice patient =
        x->interaction.compartment.len
            ? x->interaction.compartment
            : sl_arena_printf(x->arena, "%.*s/%.*s", SL_FMT(x->interaction.type_name), SL_FMT(x->interaction.id));
    struct sl_slice text =
        sl_arena_printf(x->arena, "%.*s%s%s=%.*s", SL_FMT(query), query.len ? "&" : "", param, SL_FMT(patient));
    struct sl_search *search = sl_arena_alloc(x->arena, sizeof *search);
    if (!text.ptr || !search)
        return SL_NO_MEMORY;
    SL_TRY(sl_search_read(x->arena, type, text, form, NULL, search));
    *errand = (struct sl_errand){.kind = SL_ASK_PAGE, .type = sl_r4_node_name(type), .search = search};
    return widen(x, errand);
}

enum sl_status sl_plan_query(struct sl_exchange *x, sl_r4_node type, struct sl_slice query, struct sl_errand *errand)
{
    struct sl_search *search = sl_arena_alloc(x->arena, sizeof *search);
    if (!query.ptr || !search)
        return SL_NO_MEMORY;
    SL_TRY(sl_search_read(x->arena, type, query, (struct sl_slice){NULL, 0}, NULL, search));
    *errand = (struct sl_errand){.kind = SL_ASK_PAGE, .type = sl_r4_node_name(type), .search = search};
    return widen(x, errand);
}

static size_t count_params(const char *const *params)
{
    size_t count = 0;
    while (params && params[count])
        count++;
    return count;
}

/* Patient/x/Type?…: the union over the compartment's parameters of that type. */
static enum sl_status plan_compartment(struct sl_exchange *x)
{
    const char *const *params = sl_r4_compartment(x->interaction.type);
    size_t count = count_params(params);
    struct sl_errand *errands = sl_arena_array(x->arena, count + 1, sizeof *errands);
    if (!errands)
        return SL_NO_MEMORY;
    if (!count)
        return SL_NOT_SUPPORTED;
    struct sl_slice form = x->interaction.form ? x->request->body : (struct sl_slice){NULL, 0};
    for (size_t i = 0; i < count; i++) {
        if (!sl_r4_param_find(x->interaction.type, sl_slice_of(params[i])))
            continue;
        SL_TRY(
            add_compartment(x, x->interaction.type, x->interaction.query, form, params[i], &errands[x->errand_count]));
        x->errand_count++;
    }
    x->errands = errands;
    return SL_OK;
}

static enum sl_status plan_search(struct sl_exchange *x)
{
    if (x->interaction.compartment.len)
        return plan_compartment(x);
    struct sl_errand *errand = sl_arena_alloc(x->arena, sizeof *errand);
    if (!errand)
        return SL_NO_MEMORY;
    *errand =
        (struct sl_errand){.kind = SL_ASK_PAGE, .type = x->interaction.type_name, .search = &x->interaction.search};
    x->errands = errand;
    x->errand_count = 1;
    return widen(x, errand);
}

/* May the caller's scopes reach this type at all? What they do not reach is not asked for. */
static bool in_scope(const struct sl_exchange *x, sl_r4_node type)
{
    bool patient_only;
    return sl_caller_may(&x->caller, type, SL_MAY_READ, &patient_only);
}

/* The patient or encounter, then each type of its compartment by each of its parameters. */
static enum sl_status plan_everything(struct sl_exchange *x)
{
    struct sl_errand *errands = sl_arena_array(x->arena, EVERYTHING_LIMIT, sizeof *errands);
    struct sl_slice since = sl_operation_since(x);
    if (!errands || (x->operation->since.len && !since.ptr))
        return SL_NO_MEMORY;
    SL_TRY(add_read(x, &errands[x->errand_count++]));
    for (sl_r4_node type = 1; type < SL_R4_NODES; type++) {
        if (!sl_r4_is_resource(type) || type == x->interaction.type || (sl_r4_facts(type) & SL_R4_BY_ROUTE) ||
            !in_scope(x, type) || !sl_interaction_wants(&x->interaction, type))
            continue;
        const char *const *params = sl_r4_compartment_of(x->interaction.type, type);
        for (size_t i = 0; params && params[i]; i++) {
            if (!sl_r4_param_find(type, sl_slice_of(params[i])))
                continue;
            if (x->errand_count == EVERYTHING_LIMIT)
                return SL_LIMIT;
            SL_TRY(add_compartment(x, type, since, (struct sl_slice){NULL, 0}, params[i], &errands[x->errand_count]));
            x->errand_count++;
        }
    }
    x->errands = errands;
    return SL_OK;
}

enum sl_status sl_plan(struct sl_exchange *x)
{
    x->errands = NULL;
    x->errand_count = 0;
    x->routed = false;
    if (sl_history_is_wide(x))
        return x->state->gateway->config->upstream_history ? SL_OK : SL_NOT_SUPPORTED;
    if (x->interaction.kind == SL_HISTORY || x->interaction.kind == SL_VREAD)
        return sl_history_plan(x);
    /* What belongs to whoever points at it is found by that route alone: a search for it finds nothing, whoever asks. A
     * Provenance says itself what it is about. */
    if (sl_r4_facts(x->interaction.type) & SL_R4_BY_ROUTE) {
        if (x->interaction.kind == SL_SEARCH)
            return SL_OK;
        if (x->interaction.type != SL_R4_Provenance)
            return sl_plan_referrers(x);
    }
    if (x->interaction.kind == SL_SEARCH)
        return plan_search(x);
    if (x->interaction.kind == SL_EVERYTHING)
        return plan_everything(x);
    if (sl_is_operation(x->interaction.kind))
        return sl_operation_plan(x);
    struct sl_errand *errand = sl_arena_alloc(x->arena, sizeof *errand);
    if (!errand)
        return SL_NO_MEMORY;
    x->errands = errand;
    x->errand_count = 1;
    return add_read(x, errand);
}

/* ---- The second pass of $everything ---- */

struct target { /* one resource that a released one points at */
    sl_r4_node type;
    struct sl_slice type_name, id;
    const struct sl_item *lead; /* the first that points at it */
};

struct targets {
    struct target *list;
    size_t count, capacity;
};

static bool read_target(const struct sl_exchange *x, struct sl_slice reference, struct target *out)
{
    const char *slash = reference.len ? memchr(reference.ptr, '/', reference.len) : NULL;
    if (!slash)
        return false;
    out->type = sl_r4_resource((struct sl_slice){reference.ptr, (size_t)(slash - reference.ptr)});
    out->type_name = sl_r4_node_name(out->type);
    out->id = sl_slice_from(reference, (size_t)(slash - reference.ptr) + 1);
    bool patient = out->type == SL_R4_Patient && x->interaction.type == SL_R4_Encounter; /* whose encounter it is */
    return out->type && sl_is_id(out->id) && (patient || (sl_r4_facts(out->type) & (SL_R4_BY_ROUTE | SL_R4_DIRECTORY)));
}

static bool has_target(const struct targets *targets, const struct target *one)
{
    for (size_t i = 0; i < targets->count; i++)
        if (targets->list[i].type == one->type && sl_slice_eq(targets->list[i].id, one->id))
            return true;
    return false;
}

/* References that are still there after the cuts, each once. */
static void collect(struct sl_exchange *x, const struct sl_found *found, struct targets *targets)
{
    for (uint32_t i = 0; i < found->item->reference_count; i++) {
        const struct sl_reference *reference = &found->item->references[i];
        struct target one;
        if (sl_edit_is_cut(found->page->edits, reference->span) || !read_target(x, reference->target, &one) ||
            !in_scope(x, one.type) || !sl_interaction_wants(&x->interaction, one.type) || has_target(targets, &one) ||
            targets->count == targets->capacity)
            continue;
        one.lead = found->item;
        targets->list[targets->count++] = one;
    }
}

/* One errand for a run of targets of one type, at most SL_ASK_IDS_LIMIT; taken ones are marked by type 0. */
static enum sl_status add_ids(struct sl_exchange *x, struct targets *targets, size_t from, struct sl_errand *out)
{
    struct sl_slice *ids = sl_arena_array(x->arena, SL_ASK_IDS_LIMIT, sizeof *ids);
    const struct sl_item **leads = sl_arena_array(x->arena, SL_ASK_IDS_LIMIT, sizeof *leads);
    if (!ids || !leads)
        return SL_NO_MEMORY;
    *out = (struct sl_errand){.kind = SL_ASK_IDS, .type = targets->list[from].type_name, .ids = ids, .leads = leads};
    sl_r4_node type = targets->list[from].type;
    for (size_t i = from; i < targets->count && out->id_count < SL_ASK_IDS_LIMIT; i++) {
        if (targets->list[i].type != type)
            continue;
        leads[out->id_count] = targets->list[i].lead;
        ids[out->id_count++] = targets->list[i].id;
        targets->list[i].type = 0;
        if (type == SL_R4_Binary) { /* no search's to find */
            out->kind = SL_ASK_READ;
            out->id = ids[0];
            break;
        }
    }
    return SL_OK;
}

enum sl_status sl_plan_routes(struct sl_exchange *x)
{
    struct targets targets = {.capacity = 4096};
    targets.list = sl_arena_array(x->arena, targets.capacity, sizeof *targets.list);
    if (!targets.list)
        return SL_NO_MEMORY;
    for (const struct sl_round *round = x->rounds; round; round = round->next)
        for (const struct sl_found *found = round->first; found; found = found->next)
            if (found->released)
                collect(x, found, &targets);
    if (targets.count == targets.capacity)
        return SL_WORK_LIMIT; /* never a thinner answer */
    struct sl_errand *errands = sl_arena_array(x->arena, targets.count + 1, sizeof *errands);
    if (!errands)
        return SL_NO_MEMORY;
    x->errand_count = 0;
    for (size_t i = 0; i < targets.count; i++)
        if (targets.list[i].type)
            SL_TRY(add_ids(x, &targets, i, &errands[x->errand_count++]));
    x->errands = errands;
    x->at = (struct sl_position){0};
    x->exhausted = x->errand_count == 0;
    return SL_OK;
}
