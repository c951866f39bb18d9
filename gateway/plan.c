/* SPDX-License-Identifier: Apache-2.0 */
/* What an interaction fetches, as a list of errands: see exchange.h. */
#include "history.h"
#include "operation.h"
#include "write.h"

#include "sluice/fault.h"

#define ERRANDS_LIMIT 4096u /* of one interaction: types times their compartment parameters, ids by fifty */

/* A cut takes values away. So what matches in a view matches in the record, but for what asks that something is not
 * there, and for what reads an element that may go out with another text: there the upstream cannot say, and is asked
 * without. */
struct widening {
    const struct sl_exchange *x;
    sl_r4_node type;
    struct sl_search_param *params;
    size_t count;
};

/* That something is not there, or another: of what cannot be cut the record says what the view says. */
static bool says_of_all(const struct widening *w, const struct sl_search_param *param)
{
    return !param->terms && (param->how == SL_MODIFIER_NOT || param->how == SL_MODIFIER_MISSING) &&
           param->param->type != SL_PARAM_COMPOSITE && sl_sort_trusts(w->x) &&
           !sl_may_cut(w->x->policy, &w->x->caller.recipient, w->type, param->param);
}

/* A value with what it names under our address under the server's, in each way that may stand in its records. Gives how
 * many; 0: it cannot be told. */
static size_t spell(const struct widening *w, const struct sl_search_value *value, struct sl_search_value *out)
{
    const struct sl_address *address = w->x->state->gateway->address;
    struct sl_slice texts[SL_ADDRESS_FORMS], systems[SL_ADDRESS_FORMS];
    size_t a = sl_address_forms(address, value->text, w->x->arena, texts);
    size_t b = sl_address_forms(address, value->system, w->x->arena, systems), count = a > b ? a : b;
    for (size_t i = 0; a && b && i < count; i++) {
        out[i] = *value;
        out[i].text = texts[i < a ? i : a - 1];
        out[i].system = systems[i < b ? i : b - 1];
    }
    return a && b ? count : 0;
}

/* Says the same to a server that knows what we name under our address by its own. False: it is not to be asked by it.
 */
static bool address_values(const struct widening *w, struct sl_search_param *param)
{
    struct sl_search_value *values = NULL;
    size_t count = 0;
    if (!w->x->state->gateway->address)
        return true;
    if (param->param->type == SL_PARAM_COMPOSITE)
        return false; /* its parts may have an address each */
    values = sl_arena_array(w->x->arena, param->value_count * SL_ADDRESS_FORMS, sizeof *values);
    for (size_t i = 0; values && i < param->value_count; i++) {
        size_t more = spell(w, &param->values[i], values + count);
        if (!more)
            return false;
        count += more;
    }
    param->values = values;
    param->value_count = count;
    return values != NULL;
}

static void ask_by(void *context, const struct sl_search_param *param)
{
    struct widening *w = context;
    struct sl_search_param narrow;
    bool says = sl_search_narrow(param, &narrow) || says_of_all(w, param) ||
                (sl_fault(SL_FAULT_NEGATIVE_UPSTREAM) && !param->terms);
    if (says && param->value_count && param->value_count <= SL_ASK_IDS_LIMIT &&
        !sl_may_change(w->x->policy, &w->x->caller.recipient, param->param) && address_values(w, &narrow))
        w->params[w->count++] = narrow;
}

/* Of a _filter, what is not: for the fault alone. */
static void ask_by_filter(struct widening *w, const struct sl_search_term *term)
{
    for (; term->join == SL_SEARCH_AND; term = term->left)
        ask_by_filter(w, term->right);
    if (term->join == SL_SEARCH_NOT && term->left->join == SL_SEARCH_ALONE &&
        term->left->alone->param->type == SL_PARAM_TOKEN && term->left->alone->how == SL_MODIFIER_NONE) {
        w->params[w->count] = *term->left->alone;
        w->params[w->count].how = SL_MODIFIER_NOT;
        w->params[w->count++].modifier = SL_LIT("not");
    }
}

enum sl_status sl_plan_widen(struct sl_exchange *x, struct sl_errand *errand)
{
    size_t most = errand->search->param_count + 1;
    for (size_t i = 0; i < errand->search->param_count; i++)
        most += errand->search->params[i].terms ? SL_SEARCH_TERMS : 0;
    struct sl_search *asked = sl_arena_alloc(x->arena, sizeof *asked);
    struct widening w = {
        .x = x, .type = errand->search->type, .params = sl_arena_array(x->arena, most, sizeof *w.params)};
    if (!asked || !w.params)
        return SL_NO_MEMORY;
    if (!sl_may_search(x->policy, &x->caller.recipient, sl_search_means(errand->search)))
        return SL_FORBIDDEN;
    for (size_t i = 0; i < errand->search->param_count; i++) {
        sl_search_each(&errand->search->params[i], ask_by, &w);
        if (errand->search->params[i].terms && sl_fault(SL_FAULT_FILTER_UPSTREAM))
            ask_by_filter(&w, errand->search->params[i].terms);
    }
    *asked = (struct sl_search){.type = errand->search->type, .params = w.params, .param_count = w.count};
    errand->asked = asked;
    return SL_OK;
}

enum sl_status sl_plan_query(struct sl_exchange *x, sl_r4_node type, struct sl_slice query, struct sl_errand *errand)
{
    struct sl_search *search = sl_arena_alloc(x->arena, sizeof *search);
    if (!query.ptr || !search)
        return SL_NO_MEMORY;
    SL_TRY(sl_search_read(x->arena, type, query, (struct sl_slice){NULL, 0}, NULL, search));
    *errand = (struct sl_errand){.kind = SL_ASK_PAGE, .type = sl_r4_node_name(type), .search = search};
    return sl_plan_widen(x, errand);
}

/* A growing list of errands. */
struct planning {
    struct sl_errand *list;
    size_t count, capacity;
};

static enum sl_status add(struct sl_exchange *x, struct planning *plan, const struct sl_errand *errand)
{
    if (plan->count == plan->capacity) {
        size_t capacity = plan->capacity ? 2 * plan->capacity : 8;
        struct sl_errand *list = sl_arena_array(x->arena, capacity, sizeof *list);
        if (!list)
            return SL_NO_MEMORY;
        if (plan->count)
            memcpy(list, plan->list, plan->count * sizeof *list);
        plan->list = list;
        plan->capacity = capacity;
    }
    if (plan->count == ERRANDS_LIMIT)
        return SL_LIMIT;
    plan->list[plan->count++] = *errand;
    return SL_OK;
}

/* The longest list of values, if it is too long for one question: ids that a chain has found are. */
static size_t longest(const struct sl_search *search)
{
    size_t at = 0, most = SL_ASK_IDS_LIMIT;
    for (size_t i = 0; i < search->param_count; i++)
        if (search->params[i].value_count > most && sl_search_bearing(&search->params[i]) == SL_SEARCH_SHRINKS) {
            most = search->params[i].value_count;
            at = i + 1;
        }
    return at; /* one more than its place; 0: none */
}

/* The search with a part of one parameter's values. */
static struct sl_search *part_of(
    struct sl_exchange *x, const struct sl_search *search, size_t place, size_t from, size_t count)
{
    struct sl_search *part = sl_arena_alloc(x->arena, sizeof *part);
    struct sl_search_param *params = sl_arena_array(x->arena, search->param_count, sizeof *params);
    if (!part || !params)
        return NULL;
    memcpy(params, search->params, search->param_count * sizeof *params);
    params[place].values += from;
    params[place].value_count = count;
    *part = *search;
    part->params = params;
    return part;
}

static enum sl_status add_search(struct sl_exchange *x, struct planning *plan, const struct sl_search *search)
{
    struct sl_errand errand = {.kind = SL_ASK_PAGE, .type = sl_r4_node_name(search->type), .search = search};
    size_t place = longest(search);
    for (size_t i = 0; i < search->param_count; i++)
        if (search->params[i].value_count == 0)
            return SL_OK; /* a step that found nothing */
    if (!place) {
        SL_TRY(sl_plan_widen(x, &errand));
        return add(x, plan, &errand);
    }
    size_t total = search->params[place - 1].value_count;
    for (size_t from = 0; from < total; from += SL_ASK_IDS_LIMIT) {
        size_t count = total - from < SL_ASK_IDS_LIMIT ? total - from : SL_ASK_IDS_LIMIT;
        errand.search = part_of(x, search, place - 1, from, count);
        if (!errand.search)
            return SL_NO_MEMORY;
        SL_TRY(sl_plan_widen(x, &errand));
        SL_TRY(add(x, plan, &errand));
    }
    return SL_OK;
}

/* The search with one parameter more: the compartment's. Nothing is added where that cannot name such a record. */
static enum sl_status add_compartment(
    struct sl_exchange *x, struct planning *plan, const struct sl_search *search, const char *param, struct sl_slice of)
{
    struct sl_slice text = sl_arena_printf(x->arena, "%s=%.*s", param, SL_FMT(of));
    struct sl_search *all = sl_arena_alloc(x->arena, sizeof *all);
    struct sl_search_param *params = sl_arena_array(x->arena, search->param_count + 1, sizeof *params);
    struct sl_search one;
    if (!text.ptr || !all || !params)
        return SL_NO_MEMORY;
    enum sl_status status = sl_search_read(x->arena, search->type, text, (struct sl_slice){NULL, 0}, NULL, &one);
    if (status == SL_BAD_PARAMETER)
        return SL_OK;
    SL_TRY(status);
    if (search->param_count)
        memcpy(params, search->params, search->param_count * sizeof *params);
    params[search->param_count] = one.params[0];
    *all = *search;
    all->params = params;
    all->param_count = search->param_count + 1;
    return add_search(x, plan, all);
}

/* Patient/x/Type?…: the union over the compartment's parameters of that type. */
static enum sl_status plan_compartment(struct sl_exchange *x, struct planning *plan)
{
    struct sl_slice compartment = x->interaction.compartment;
    const char *slash = memchr(compartment.ptr, '/', compartment.len);
    SL_ASSERT(slash);
    sl_r4_node of = sl_r4_resource((struct sl_slice){compartment.ptr, (size_t)(slash - compartment.ptr)});
    const char *const *params = sl_r4_compartment_of(of, x->interaction.type);
    if (!params || !params[0])
        return SL_NOT_SUPPORTED;
    for (; *params; params++)
        SL_TRY(add_compartment(x, plan, x->search, *params, compartment));
    return SL_OK;
}

static enum sl_status plan_search(struct sl_exchange *x, struct planning *plan)
{
    if (x->search->step_count)
        return SL_OK; /* chain.c has it planned again once its steps are taken */
    if (x->interaction.compartment.len)
        return plan_compartment(x, plan);
    if (!x->interaction.search_count)
        return add_search(x, plan, x->search);
    for (size_t i = 0; i < x->interaction.search_count; i++)
        if (!(sl_r4_facts(x->interaction.searches[i].type) & SL_R4_BY_ROUTE))
            SL_TRY(add_search(x, plan, &x->interaction.searches[i]));
    return SL_OK;
}

static enum sl_status add_read(struct sl_exchange *x, struct planning *plan)
{
    return add(
        x, plan, &(struct sl_errand){.kind = SL_ASK_READ, .type = x->interaction.type_name, .id = x->interaction.id});
}

/* May the caller's scopes reach this type at all? What they do not reach is not asked for. */
static bool in_scope(const struct sl_exchange *x, sl_r4_node type)
{
    bool patient_only;
    return sl_caller_may(&x->caller, type, SL_MAY_READ, &patient_only);
}

/* The patient or encounter, then each type of its compartment by each of its parameters. */
static enum sl_status plan_everything(struct sl_exchange *x, struct planning *plan)
{
    struct sl_slice since = sl_operation_since(x), none = {NULL, 0};
    struct sl_slice of =
        sl_arena_printf(x->arena, "%.*s/%.*s", SL_FMT(x->interaction.type_name), SL_FMT(x->interaction.id));
    struct sl_search search;
    if (!of.ptr || (x->operation->since.len && !since.ptr))
        return SL_NO_MEMORY;
    SL_TRY(add_read(x, plan));
    for (sl_r4_node type = 1; type < SL_R4_NODES; type++) {
        if (!sl_r4_is_resource(type) || type == x->interaction.type || (sl_r4_facts(type) & SL_R4_BY_ROUTE) ||
            !in_scope(x, type) || !sl_interaction_wants(&x->interaction, type))
            continue;
        SL_TRY(sl_search_read(x->arena, type, since, none, NULL, &search));
        const char *const *params = sl_r4_compartment_of(x->interaction.type, type);
        for (; params && *params; params++)
            SL_TRY(add_compartment(x, plan, &search, *params, of));
    }
    return SL_OK;
}

static enum sl_status plan(struct sl_exchange *x, struct planning *plan)
{
    /* What belongs to whoever points at it is found by that route alone: a search for it finds nothing, whoever asks. A
     * Provenance says itself what it is about. */
    if (sl_r4_facts(x->interaction.type) & SL_R4_BY_ROUTE && x->interaction.kind == SL_SEARCH)
        return SL_OK;
    if (x->interaction.kind == SL_SEARCH)
        return plan_search(x, plan);
    return x->interaction.kind == SL_EVERYTHING ? plan_everything(x, plan) : add_read(x, plan);
}

enum sl_status sl_plan_read(struct sl_exchange *x)
{
    struct planning planning = {0};
    if (sl_r4_facts(x->interaction.type) & SL_R4_BY_ROUTE && x->interaction.type != SL_R4_Provenance)
        return sl_plan_referrers(x);
    SL_TRY(add_read(x, &planning));
    x->errands = planning.list;
    x->errand_count = planning.count;
    return SL_OK;
}

enum sl_status sl_plan(struct sl_exchange *x)
{
    struct planning planning = {0};
    x->errands = NULL;
    x->errand_count = 0;
    x->routed = false;
    if (x->write)
        return sl_write_plan(x);
    if (sl_history_is_wide(x))
        return x->state->gateway->config->upstream_history ? SL_OK : SL_NOT_SUPPORTED;
    if (x->interaction.kind == SL_HISTORY || x->interaction.kind == SL_VREAD)
        return sl_history_plan(x);
    if (sl_r4_facts(x->interaction.type) & SL_R4_BY_ROUTE && x->interaction.kind != SL_SEARCH &&
        x->interaction.type != SL_R4_Provenance)
        return sl_plan_referrers(x);
    if (sl_is_operation(x->interaction.kind) && x->interaction.kind != SL_EVERYTHING)
        return sl_operation_plan(x);
    SL_TRY(plan(x, &planning));
    x->errands = planning.list;
    x->errand_count = planning.count;
    return SL_OK;
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
