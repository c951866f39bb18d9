/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has to be found out before a search can be asked: chained parameters (subject:Patient.organization.name=x), _has
 * (_has:Observation:patient:code=x) and _list. Each is a search of its own on another type, or several where a
 * reference may name several types; here they are only read.
 */
#include "search_read.h"

#define DEPTH 4u   /* of steps within steps */
#define TARGETS 8u /* types that a chain which names none may lead to */
#define INNER 64u  /* searches within one search, all together */

/* Adds a search on `type` to the step, if what follows can be asked there. */
static enum sl_status add_inner(struct sl_search_reading *reading, struct sl_search_step *step,
    struct sl_search *searches, sl_r4_node type, struct sl_slice within)
{
    struct sl_search *inner;
    ++*reading->inner;
    reading->depth++;
    enum sl_status status = sl_search_read_inner(reading, type, step->rest, step->text, within, &inner);
    reading->depth--;
    if (status == SL_OK)
        searches[step->inner_count++] = *inner;
    return status == SL_BAD_PARAMETER ? SL_OK : status;
}

static enum sl_status add_step(
    struct sl_search_reading *reading, struct sl_slice name, const struct sl_search_step *step)
{
    if (reading->search->step_count == SL_SEARCH_STEPS)
        return sl_search_refuse(reading, name, "is one too many");
    reading->steps[reading->search->step_count++] = *step;
    return SL_OK;
}

/* "subject.name", "subject:Patient.name", and in a _filter "subject[gender eq male].name": `dot` is where the first
 * step ends. */
static enum sl_status read_chain(
    struct sl_search_reading *reading, struct sl_slice name, size_t dot, struct sl_slice text)
{
    struct sl_slice head = {name.ptr, dot}, rest = sl_slice_from(name, dot + 1), within = {NULL, 0};
    if (reading->operator)
        (void)sl_filter_head(name, &head, &within);
    size_t colon = sl_search_piece(head, ':');
    struct sl_search_step step = {
        .kind = SL_SEARCH_CHAIN, .type = sl_slice_from(head, colon + 1), .rest = rest, .text = text};
    head.len = colon;
    step.param = sl_search_param_find(reading->search->type, head);
    struct sl_search *inner = sl_arena_array(reading->arena, TARGETS, sizeof *inner);
    if (!inner)
        return SL_NO_MEMORY;
    if (!step.param || step.param->type != SL_PARAM_REFERENCE)
        return sl_search_refuse(reading, name, "is not supported here");
    step.inner = inner;
    if (step.type.len) {
        if (!sl_r4_resource(step.type) || !sl_search_is_target(step.param, step.type))
            return sl_search_refuse(reading, name, "names a type the parameter cannot refer to");
        SL_TRY(add_inner(reading, &step, inner, sl_r4_resource(step.type), within));
    } else {
        size_t count = 0;
        for (const char *const *target = step.param->targets; target && *target; target++)
            count++;
        if (count == 0 || count > TARGETS)
            return sl_search_refuse(reading, name, "has to name a type, as in subject:Patient.name");
        for (size_t i = 0; i < count; i++)
            SL_TRY(add_inner(reading, &step, inner, sl_r4_resource(sl_slice_of(step.param->targets[i])), within));
    }
    if (step.inner_count == 0)
        return sl_search_refuse(reading, name, "has a chain or a value that is not supported");
    return add_step(reading, name, &step);
}

/* "Observation:patient:code", after "_has:". */
static enum sl_status read_has(struct sl_search_reading *reading, struct sl_slice name, struct sl_slice text)
{
    struct sl_slice words = sl_slice_from(name, 5);
    size_t colon = sl_search_piece(words, ':');
    struct sl_search_step step = {.kind = SL_SEARCH_HAS, .type = {words.ptr, colon}};
    words = sl_slice_from(words, colon + 1);
    colon = sl_search_piece(words, ':');
    struct sl_slice link = {words.ptr, colon}, rest = sl_slice_from(words, colon + 1);
    step.rest = rest;
    step.text = text;
    sl_r4_node type = sl_r4_resource(step.type);
    step.param = type ? sl_search_param_find(type, link) : NULL;
    struct sl_search *inner = sl_arena_array(reading->arena, 1, sizeof *inner);
    if (!inner)
        return SL_NO_MEMORY;
    if (!step.param || step.param->type != SL_PARAM_REFERENCE || rest.len == 0 ||
        !sl_search_is_target(step.param, sl_r4_node_name(reading->search->type)))
        return sl_search_refuse(reading, name, "is not supported in this form");
    step.inner = inner;
    SL_TRY(add_inner(reading, &step, inner, type, (struct sl_slice){NULL, 0}));
    if (step.inner_count == 0)
        return sl_search_refuse(reading, name, "has a parameter or a value that is not supported");
    return add_step(reading, name, &step);
}

/* The lists of R4 that a server keeps by itself ("$current-problems") are nobody's record. */
static enum sl_status read_list(struct sl_search_reading *reading, struct sl_slice name, struct sl_slice text)
{
    if (!sl_id_valid(text))
        return sl_search_refuse(reading, name, "needs the id of a List");
    return add_step(reading, name, &(struct sl_search_step){.kind = SL_SEARCH_LIST, .text = text});
}

enum sl_status sl_search_read_step(
    struct sl_search_reading *reading, struct sl_slice name, struct sl_slice text, bool *taken)
{
    bool has = sl_slice_starts(name, SL_LIT("_has:")), list = sl_slice_eq(name, SL_LIT("_list"));
    struct sl_slice head, within;
    size_t dot = reading->operator? sl_filter_head(name, &head, &within) : sl_search_piece(name, '.');
    *taken = has || list || dot < name.len;
    if (!*taken)
        return SL_OK;
    if (reading->operator&&(has || list))
        return sl_search_refuse(reading, name, "is no parameter of a _filter");
    if (!reading->search->type)
        return sl_search_refuse(reading, name, "needs one type to be searched");
    if (reading->depth == DEPTH || *reading->inner == INNER)
        return sl_search_refuse(reading, name, "has too many steps");
    if (has)
        return read_has(reading, name, text);
    return list ? read_list(reading, name, text) : read_chain(reading, name, dot, text);
}
