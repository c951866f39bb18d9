/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is anything else of a person released to this recipient? That a program's patient is known here goes only then (see
 * sluice/pass.h), so where the answer at hand does not tell, the other records of the person are looked through: by the
 * same steps as any others, with the same bounds, in passes of their own of which nothing goes out.
 *
 * The pass that asked is held meanwhile. What is looked for is asked of the upstream by the parameters of the patient
 * compartment that say whom a record is about, for several persons together, until each of them is known or everything
 * has been looked through. How much there was to look through is seen by nobody: beyond the bound of work the request
 * is refused whole, as any other that is too large.
 */
#include "exchange.h"

#define PERSONS 20u /* asked about together */
#define ERRANDS 256u

struct sl_probe {
    struct sl_arena *arena; /* its own: it lives as long as it looks */
    struct sl_round *held;
    struct sl_slice *persons; /* of whom the held pass would release something */
    size_t count, begin, end; /* all; those being asked about */
    bool *known;
    struct sl_errand *errands;
    size_t errand_count, next;
    struct sl_position going[SL_QUESTIONS]; /* where pages go on */
    size_t going_count;
    const struct sl_errand *errands_held; /* of the interaction, which is put aside */
    size_t errand_count_held;
    bool routed_held;
};

/* ---- What to ask ---- */

/* The element at the end of a path as search parameters have them ("Observation.subject"); NULL: none. */
static const struct sl_r4_element *element_at(sl_r4_node node, const char *path)
{
    const struct sl_r4_element *element = NULL;
    for (const char *dot = strchr(path, '.'); dot && node; dot = strchr(dot + 1, '.')) {
        const char *end = strchr(dot + 1, '.');
        size_t len = end ? (size_t)(end - dot - 1) : strlen(dot + 1);
        element = sl_r4_element(node, sl_name_find(dot + 1, len));
        node = element ? element->node : 0;
    }
    return element;
}

/* Does the parameter ask whom a record is about? Who wrote or did it is somebody else's business. */
static bool asks_for_subject(sl_r4_node type, const struct sl_r4_param *param)
{
    for (size_t i = 0; param && param->paths && param->paths[i]; i++) {
        const struct sl_r4_element *element = element_at(type, param->paths[i]);
        if (element && element->flags & SL_R4_PATIENT)
            return true;
    }
    return false;
}

static bool in_scope(const struct sl_exchange *x, sl_r4_node type)
{
    bool patient_only;
    return sl_caller_may(&x->caller, type, SL_MAY_READ, &patient_only) ||
           sl_caller_may(&x->caller, type, SL_MAY_SEARCH, &patient_only);
}

/* Types of which each record tells no more than that the person is known, and those that have a route and no patient.
 */
static bool tells_nothing(sl_r4_node type)
{
    return type == SL_R4_Patient || type == SL_R4_Person || type == SL_R4_RelatedPerson || type == SL_R4_Coverage ||
           sl_r4_facts(type) & (SL_R4_BY_ROUTE | SL_R4_DIRECTORY);
}

static enum sl_status add_errand(struct sl_probe *probe, sl_r4_node type, const char *param, struct sl_slice persons)
{
    struct sl_slice none = {NULL, 0};
    struct sl_search *search = sl_arena_alloc(probe->arena, sizeof *search);
    struct sl_slice text = sl_arena_printf(probe->arena, "%s=%.*s", param, SL_FMT(persons));
    if (!search || !text.ptr)
        return SL_NO_MEMORY;
    if (probe->errand_count == ERRANDS)
        return SL_LIMIT;
    SL_TRY(sl_search_read(probe->arena, type, text, none, NULL, search));
    probe->errands[probe->errand_count++] =
        (struct sl_errand){.kind = SL_ASK_PAGE, .type = sl_r4_node_name(type), .search = search, .asked = search};
    return SL_OK;
}

static struct sl_slice join_persons(const struct sl_probe *probe)
{
    struct sl_slice parts[2 * PERSONS];
    size_t count = 0;
    for (size_t i = probe->begin; i < probe->end; i++) {
        parts[count++] = SL_LIT(",");
        parts[count++] = probe->persons[i];
    }
    return sl_slice_from(sl_arena_join(probe->arena, parts, count), 1);
}

/* The next persons, and what is asked about them. */
static enum sl_status plan(struct sl_exchange *x, struct sl_probe *probe)
{
    probe->begin = probe->end;
    probe->end = probe->count - probe->begin > PERSONS ? probe->begin + PERSONS : probe->count;
    probe->errand_count = probe->next = probe->going_count = 0;
    struct sl_slice persons = join_persons(probe);
    if (!persons.len)
        return SL_NO_MEMORY;
    for (sl_r4_node type = 1; type < SL_R4_NODES; type++) {
        const char *const *params = sl_r4_is_resource(type) ? sl_r4_compartment(type) : NULL;
        for (size_t i = 0; params && params[i] && !tells_nothing(type) && in_scope(x, type); i++)
            if (asks_for_subject(type, sl_r4_param_find(type, sl_slice_of(params[i]))))
                SL_TRY(add_errand(probe, type, params[i], persons));
    }
    x->errands = probe->errands;
    x->errand_count = probe->errand_count;
    return SL_OK;
}

/* ---- Beginning and ending ---- */

static void end_probe(struct sl_exchange *x)
{
    struct sl_probe *probe = x->probe;
    x->errands = probe->errands_held;
    x->errand_count = probe->errand_count_held;
    x->routed = probe->routed_held;
    x->probe = NULL;
    sl_arena_free(probe->arena); /* the probe itself lives there */
}

void sl_presence_drop(struct sl_exchange *x)
{
    if (!x->probe)
        return;
    if (x->probe->held)
        sl_round_free(x, x->probe->held);
    end_probe(x);
}

static struct sl_probe *new_probe(struct sl_exchange *x, const struct sl_slice *persons, size_t count)
{
    struct sl_arena *arena = sl_arena_new_in(x->state->arenas, x->state->gateway->config->exchange_memory);
    struct sl_probe *probe = arena ? sl_arena_alloc(arena, sizeof *probe) : NULL;
    if (!probe) {
        sl_arena_free(arena);
        return NULL;
    }
    *probe = (struct sl_probe){.arena = arena,
        .count = count,
        .errands_held = x->errands,
        .errand_count_held = x->errand_count,
        .routed_held = x->routed};
    probe->persons = sl_arena_array(arena, count, sizeof *probe->persons);
    probe->known = sl_arena_array(arena, count, sizeof *probe->known);
    probe->errands = sl_arena_array(arena, ERRANDS, sizeof *probe->errands);
    for (size_t i = 0; probe->persons && i < count; i++)
        probe->persons[i] = sl_arena_copy(arena, persons[i]);
    if (!sl_arena_failed(arena))
        return probe;
    sl_arena_free(arena);
    return NULL;
}

enum sl_step_result sl_presence_begin(struct sl_exchange *x, bool *begun)
{
    struct sl_slice *persons;
    size_t count;
    *begun = false;
    enum sl_status status = sl_pass_hidden(x->round->pass, &persons, &count);
    if (status != SL_OK || !count)
        return status == SL_OK ? SL_STEP_DONE : sl_exchange_fail(x, status, "presence");
    x->probe = new_probe(x, persons, count);
    if (!x->probe)
        return sl_exchange_fail(x, SL_NO_MEMORY, "presence");
    x->probe->held = x->round;
    x->round = NULL;
    x->routed = false;
    status = plan(x, x->probe);
    if (status != SL_OK)
        return sl_exchange_fail(x, status, "presence");
    *begun = true;
    x->step = SL_AT_fetch;
    return SL_STEP_AGAIN;
}

/* ---- Looking ---- */

static void put_questions(struct sl_exchange *x, struct sl_probe *probe, struct sl_round *round)
{
    for (size_t i = 0; i < probe->going_count; i++)
        sl_round_ask(x, round, probe->going[i]);
    probe->going_count = 0;
    while (round->question_count < SL_QUESTIONS && probe->next < probe->errand_count)
        sl_round_ask(x, round, (struct sl_position){.errand = (uint32_t)probe->next++});
}

/* One round of questions, one pass. */
enum sl_step_result sl_presence_fetch(struct sl_exchange *x)
{
    struct sl_probe *probe = x->probe;
    if (!x->round) {
        x->round = sl_round_new(x);
        if (!x->round)
            return sl_exchange_fail(x, SL_NO_MEMORY, "memory");
        put_questions(x, probe, x->round);
        for (size_t i = 0; i < x->round->question_count; i++)
            sl_exchange_ask(x, &x->round->questions[i].ask);
    }
    struct sl_round *round = x->round;
    for (size_t i = 0; i < round->question_count; i++)
        if (!round->questions[i].ask.finished)
            return SL_STEP_WAIT;
    enum sl_status status = SL_OK;
    for (size_t i = 0; i < round->question_count && status == SL_OK; i++) {
        struct sl_question *question = &round->questions[i];
        status = sl_round_take(x, round, question);
        if (status == SL_OK && question->at.upstream.len)
            probe->going[probe->going_count++] = question->at;
    }
    round->question_count = 0;
    if (status == SL_OK)
        status = sl_round_add_pages(x, round);
    return status == SL_OK ? SL_STEP_DONE : sl_exchange_fail(x, status, x->why ? x->why : "presence");
}

static bool note_known(struct sl_probe *probe, const struct sl_pass *pass)
{
    bool all = true;
    for (size_t i = probe->begin; i < probe->end; i++) {
        probe->known[i] = probe->known[i] || sl_pass_knows(pass, probe->persons[i]);
        all = all && probe->known[i];
    }
    return all;
}

/* Back to the pass that asked. */
static enum sl_step_result settle(struct sl_exchange *x)
{
    struct sl_probe *probe = x->probe;
    struct sl_round *held = probe->held;
    enum sl_status status = SL_OK;
    bool any = false;
    for (size_t i = 0; i < probe->count && status == SL_OK; i++)
        if (probe->known[i]) {
            any = true;
            status = sl_pass_reveal(held->pass, probe->persons[i]);
        }
    x->round = held;
    probe->held = NULL;
    end_probe(x);
    if (status == SL_OK && any)
        status = sl_pass_decide(held->pass, &held->report);
    if (status == SL_OK && sl_arena_failed(held->arena))
        status = SL_NO_MEMORY;
    held->at = held->first;
    return status == SL_OK ? SL_STEP_DONE : sl_exchange_fail(x, status, "decide");
}

enum sl_step_result sl_presence_decide(struct sl_exchange *x)
{
    struct sl_probe *probe = x->probe;
    enum sl_status status = sl_pass_note_known(x->round->pass);
    if (status != SL_OK)
        return sl_exchange_fail(x, status, "decide");
    bool all = note_known(probe, x->round->pass);
    sl_round_free(x, x->round);
    x->round = NULL;
    bool done = all || (!probe->going_count && probe->next == probe->errand_count);
    if (done && probe->end == probe->count)
        return settle(x);
    status = done ? plan(x, probe) : SL_OK;
    if (status != SL_OK)
        return sl_exchange_fail(x, status, "presence");
    x->step = SL_AT_fetch;
    return SL_STEP_AGAIN;
}
