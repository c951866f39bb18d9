/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A read of what is reached by route alone (Binary, Medication, Substance, DeviceMetric): who points at it? What is
 * asked, in this order: the record that the client itself says led to it (`_route`, which every url we hand out names);
 * then each search parameter of R4 that can lead to it, those that lead to little else first. Whether one of these
 * records is released to this recipient, and still points at it after all cuts, is decided in the ordinary pass.
 *
 * `_route` says where to look, never what is permitted: without it, or with a wrong one, the others are asked.
 */
#include "exchange.h"

#define NARROW 12u /* types that a reference may lead to, if it says something of what is at its end */

struct asking {
    struct sl_exchange *x;
    struct sl_errand *errands;
    size_t capacity;
};

static size_t count_targets(const struct sl_r4_param *param)
{
    size_t count = 0;
    while (param->targets && param->targets[count])
        count++;
    return count;
}

static bool can_name(const struct sl_r4_param *param, struct sl_slice type)
{
    for (const char *const *target = param->targets; target && *target; target++)
        if (sl_slice_eq(sl_slice_of(*target), type))
            return true;
    return false;
}

/* DocumentReference.content.attachment.url */
static bool is_content_url(const struct sl_r4_param *param)
{
    struct sl_slice end = SL_LIT(".attachment.url");
    struct sl_slice path = sl_slice_of(param->paths && param->paths[0] ? param->paths[0] : "");
    return param->type == SL_PARAM_URI && path.len > end.len &&
           sl_slice_eq(sl_slice_from(path, path.len - end.len), end);
}

/* 0: the likeliest; 1: others that lead to few types; 2: those that may lead to anything; 3: cannot lead to it. A
 * Provenance belongs to its targets, not they to it. */
static unsigned rank(const struct sl_exchange *x, sl_r4_node type, const struct sl_r4_param *param)
{
    if (is_content_url(param))
        return x->interaction.type == SL_R4_Binary ? 0 : 3;
    if (param->type != SL_PARAM_REFERENCE || !can_name(param, x->interaction.type_name) ||
        (type == SL_R4_Provenance && strcmp(param->name, "target") == 0))
        return 3;
    return count_targets(param) <= NARROW ? 1 : 2;
}

static bool same_paths(const struct sl_r4_param *a, const struct sl_r4_param *b)
{
    size_t i = 0;
    while (a->paths[i] && b->paths[i] && strcmp(a->paths[i], b->paths[i]) == 0)
        i++;
    return !a->paths[i] && !b->paths[i];
}

/* Another name of one that stands before it among the type's. */
static bool is_repeated(const struct sl_r4_param *params, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (params[i].type == params[at].type && params[i].paths && same_paths(&params[i], &params[at]))
            return true;
    return false;
}

/* The url as the EHR may have written it: relative, or under either of its own names; and as a view has it then. */
static struct sl_slice url_values(const struct sl_exchange *x)
{
    const struct sl_config *config = x->state->gateway->config;
    struct sl_slice name =
        sl_arena_printf(x->arena, "%.*s/%.*s", SL_FMT(x->interaction.type_name), SL_FMT(x->interaction.id));
    struct sl_slice all = name, bases[] = {config->upstream_url, config->upstream_known_as, config->url};
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++)
        if (bases[i].len)
            all = sl_arena_printf(x->arena, "%.*s,%.*s/%.*s", SL_FMT(all), SL_FMT(bases[i]), SL_FMT(name));
    return all;
}

/* A token for one patient alone gets nothing by way of another's record: those need not be read. */
static struct sl_slice narrowed(const struct sl_exchange *x, sl_r4_node type, struct sl_slice query)
{
    bool patient_only = false;
    const char *const *params = sl_r4_compartment(type);
    if (!sl_caller_may(&x->caller, type, SL_MAY_READ, &patient_only) || !patient_only || !params || !params[0] ||
        params[1] || !sl_r4_param_find(type, sl_slice_of(params[0])))
        return query;
    return sl_arena_printf(x->arena, "%.*s&%s=%.*s", SL_FMT(query), params[0], SL_FMT(x->caller.patient));
}

static enum sl_status add_search(struct asking *asking, sl_r4_node type, const struct sl_r4_param *param)
{
    struct sl_exchange *x = asking->x;
    struct sl_search *search = sl_arena_alloc(x->arena, sizeof *search);
    struct sl_slice value =
        param->type == SL_PARAM_URI
            ? url_values(x)
            : sl_arena_printf(x->arena, "%.*s/%.*s", SL_FMT(x->interaction.type_name), SL_FMT(x->interaction.id));
    struct sl_slice query = sl_arena_printf(x->arena, "%s=%.*s", param->name, SL_FMT(value));
    query = narrowed(x, type, query);
    if (!search || !query.ptr)
        return SL_NO_MEMORY;
    enum sl_status status = sl_search_read(x->arena, type, query, (struct sl_slice){NULL, 0}, NULL, search);
    if (status == SL_BAD_PARAMETER)
        return SL_OK; /* it wants a canonical url: what it names is no record */
    SL_TRY(status);
    SL_ASSERT(x->errand_count < asking->capacity);
    asking->errands[x->errand_count++] =
        (struct sl_errand){.kind = SL_ASK_PAGE, .type = sl_r4_node_name(type), .search = search, .asked = search};
    return SL_OK;
}

/* What the caller's scopes do not reach is withheld from it, and leads nowhere. */
static bool in_scope(const struct sl_exchange *x, sl_r4_node type)
{
    bool patient_only;
    return sl_r4_is_resource(type) && (sl_caller_may(&x->caller, type, SL_MAY_READ, &patient_only) ||
                                          sl_caller_may(&x->caller, type, SL_MAY_SEARCH, &patient_only));
}

/* Calls for each way of this rank; counts them if there is nowhere to put them. */
static enum sl_status add_ways(struct asking *asking, unsigned wanted, size_t *total)
{
    for (sl_r4_node type = 1; type < SL_R4_NODES; type++) {
        size_t count = 0;
        const struct sl_r4_param *params = in_scope(asking->x, type) ? sl_r4_params(type, &count) : NULL;
        for (size_t i = 0; i < count; i++) {
            if (rank(asking->x, type, &params[i]) != wanted || is_repeated(params, i))
                continue;
            ++*total;
            if (asking->errands)
                SL_TRY(add_search(asking, type, &params[i]));
        }
    }
    return SL_OK;
}

static void add_read(struct asking *asking, struct sl_slice type, struct sl_slice id)
{
    asking->errands[asking->x->errand_count++] = (struct sl_errand){.kind = SL_ASK_READ, .type = type, .id = id};
}

enum sl_status sl_plan_referrers(struct sl_exchange *x)
{
    struct asking asking = {.x = x};
    struct sl_slice route = x->interaction.route;
    size_t ways = 0, ignored = 0;
    for (unsigned rank = 0; rank < 3; rank++)
        SL_TRY(add_ways(&asking, rank, &ways));
    asking.capacity = ways + 2;
    asking.errands = sl_arena_array(x->arena, asking.capacity, sizeof *asking.errands);
    if (!asking.errands)
        return SL_NO_MEMORY;
    x->errands = asking.errands;
    x->routed = true;
    add_read(&asking, x->interaction.type_name, x->interaction.id);
    if (route.len) {
        const char *slash = memchr(route.ptr, '/', route.len);
        struct sl_slice type = {route.ptr, (size_t)(slash - route.ptr)};
        add_read(&asking, type, sl_slice_from(route, type.len + 1));
    }
    for (unsigned rank = 0; rank < 3; rank++)
        SL_TRY(add_ways(&asking, rank, &ignored));
    return sl_arena_failed(x->arena) ? SL_NO_MEMORY : SL_OK;
}
