/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of one request, top to bottom: a table of steps (steps.def), the steps, and one small dispatcher.
 *
 * Read first: the steps below, in their order. What they work on is in exchange.h; one pass (fetch to segment) is
 * round.c, what to fetch plan.c, the response answer.c, the ledger record account.c.
 *
 * Two things hold throughout. Nothing is sent before the ledger has it: `send` comes after `account`, and no other
 * place answers. And a failure is whole: a step that fails drops everything that was being made, and what goes out is
 * the fixed answer of its status, never a thinner result.
 */
#include "exchange.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "batch.h"
#include "bookmark.h"
#include "history.h"
#include "loop.h"
#include "operation.h"
#include "sluice/fault.h"
#include "write.h"

#define MAGIC 0x51ce9a7eu
#define TURN_US 500u                    /* how long one exchange may hold its worker before others get a turn */
#define BASE_WEIGHT ((size_t)64 * 1024) /* of the process's budget, for an exchange as such */
#define ATTEMPTS 8u                     /* decided again, policy or directives changing meanwhile; then 503 */

/* ---- accept: under a policy in force, or not at all ---- */

static enum sl_step_result step_accept(struct sl_exchange *x)
{
    if (sl_worker_state_refresh(x->state) != SL_OK)
        return sl_exchange_fail(x, SL_UNAVAILABLE, "no-policy");
    sl_policy_unref(x->policy);
    x->policy = sl_policy_ref(x->state->policy);
    sl_registered_unref(x->registered);
    x->registered = sl_registered_ref(x->state->registered);
    sl_programs_unref(x->programs);
    x->programs = sl_programs_ref(x->state->programs);
    x->programs_version = x->state->programs_version;
    x->generation = x->state->generation;
    x->store_version = x->state->store_version;
    x->label_generation = x->state->label_generation;
    return SL_STEP_DONE;
}

/* ---- identify: token, registry, purpose, emergency statement ---- */

static enum sl_step_result step_identify(struct sl_exchange *x)
{
    if (!x->identifier)
        x->identifier = sl_identifier_ref(x->state->identifier);
    enum sl_status status = sl_identify(x->identifier, x->request, x->now, x->arena, &x->caller);
    return status == SL_OK ? SL_STEP_DONE : sl_exchange_fail(x, status, x->caller.why ? x->caller.why : "identify");
}

/* ---- route: path, method, headers ---- */

/* A body is held whole, one in chunks twice while they are joined: out of the process's budget, before the first byte
 * of it is asked for. */
static bool room_for_body(struct sl_exchange *x)
{
    const struct sl_request *request = x->request;
    size_t bytes = request->chunked ? 2 * (size_t)x->state->gateway->config->request_body : request->content_length;
    return !request->has_body || sl_exchange_reserve(x, &x->reserved, bytes) == SL_OK;
}

/* Whoever is nobody learns nothing but metadata, not even which paths there are. */
static enum sl_step_result step_route(struct sl_exchange *x)
{
    const char *why = NULL;
    enum sl_status status = sl_route(x->state->gateway->config, x->request, x->arena, &x->interaction, &why);
    if (!x->caller.known && (status != SL_OK || x->interaction.kind != SL_METADATA))
        return sl_exchange_fail(x, SL_UNAUTHENTICATED, "token-missing");
    if (status == SL_NOT_SUPPORTED)
        x->detail = sl_operations_served;
    if (status != SL_OK)
        return sl_exchange_fail(x, status, why);
    if (sl_inner_is_entry(x) &&
        x->interaction.format != SL_FORMAT_JSON) { /* an entry's answer stands in a Bundle, as the Bundle does */
        x->interaction.format = SL_FORMAT_JSON;
        return sl_exchange_fail(x, SL_NOT_ACCEPTABLE, "format-of-entry");
    }
    return room_for_body(x) ? SL_STEP_DONE : sl_exchange_fail(x, SL_UNAVAILABLE, "memory");
}

/* ---- read: parameters of query and body, once the body is there ---- */

static enum sl_step_result step_read(struct sl_exchange *x)
{
    struct sl_issues issues = {.arena = x->arena};
    if (sl_interaction_class(x->interaction.kind) == SL_FOR_WRITES) {
        enum sl_status read = sl_write_read(x);
        return read == SL_OK ? SL_STEP_DONE : sl_exchange_fail(x, read, "write");
    }
    enum sl_status status = sl_is_operation(x->interaction.kind)
                                ? sl_operation_read(x)
                                : sl_route_query(x->request, x->arena, &issues, &x->interaction);
    if (status != SL_OK && issues.first)
        x->detail = issues.first->text; /* about the request's own words */
    return status == SL_OK ? SL_STEP_DONE : sl_exchange_fail(x, status, "parameters");
}

/* ---- admit: scopes and policy may refuse the whole ---- */

/* Of a search of several types, each. */
static bool is_in_scope(const struct sl_exchange *x)
{
    unsigned action = sl_interaction_action(x->interaction.kind);
    bool patient_only;
    if (!action)
        return true;
    for (size_t i = 0; i < x->interaction.search_count; i++)
        if (!sl_caller_may(&x->caller, x->interaction.searches[i].type, action, &patient_only))
            return false;
    /* A history of all names no type: each record in it is asked for by its own. */
    return !x->interaction.type || sl_caller_may(&x->caller, x->interaction.type, action, &patient_only);
}

/* By _filter, _text and _content: who may is the policy's to say, before anything is looked at. */
static bool may_search(const struct sl_exchange *x)
{
    unsigned means = sl_search_means(&x->interaction.search);
    for (size_t i = 0; i < x->interaction.search_count; i++)
        means |= sl_search_means(&x->interaction.searches[i]);
    return sl_may_search(x->policy, &x->caller.recipient, means);
}

static enum sl_step_result step_admit(struct sl_exchange *x)
{
    if (!is_in_scope(x))
        return sl_exchange_fail(x, SL_FORBIDDEN, "scope");
    enum sl_status status = sl_admit(x->policy, &x->caller.recipient);
    if (status == SL_OK && !may_search(x))
        return sl_exchange_fail(x, SL_FORBIDDEN, "search");
    return status == SL_OK ? SL_STEP_DONE : sl_exchange_fail(x, status, "policy");
}

/* ---- compile: what to fetch; rulings are made for each set of patients as they turn up (consent/pass.c) ---- */

static size_t page_size(const struct sl_exchange *x)
{
    const struct sl_config *config = x->state->gateway->config;
    size_t asked = x->interaction.search.count ? x->interaction.search.count : config->page_default;
    if (x->gather_limit)
        return x->gather_limit;
    if (sl_slice_eq(x->interaction.search.summary, SL_LIT("count")))
        return 0;
    return asked < config->page_limit ? asked : config->page_limit;
}

/* The caller as the officer's register leaves him. */
static enum sl_status make_recipient(struct sl_exchange *x)
{
    const struct sl_relationship *relationships;
    size_t count;
    SL_TRY(sl_registered_relate(x->registered, &x->caller.recipient, x->arena, &relationships, &count));
    x->stranger = x->caller.recipient;
    x->stranger.relationships = relationships;
    x->stranger.relationship_count = count;
    x->recipient = x->stranger;
    x->acquaintances = NULL;
    return SL_OK;
}

/* Sorted, a place is one among the released ones, and all are read again; but where the upstream gives them in order,
 * page by page, it is one of the upstream's; where that is lost, those on earlier pages are passed by. */
static enum sl_status begin_order(struct sl_exchange *x)
{
    bool placed = x->first_page || x->at.errand != SL_AT_PASSED;
    x->ordered = x->ordered && x->errand_count == 1 && placed;
    x->phase = sl_sort_is_wanted(x) && !x->ordered ? SL_PHASE_KEYS : SL_PHASE_MATCHES;
    x->skipped = x->at.passed;
    if (x->phase == SL_PHASE_KEYS || !placed)
        x->at = (struct sl_position){0};
    x->passing = x->phase == SL_PHASE_KEYS || placed ? 0 : x->skipped;
    return x->ordered ? sl_sort_ask(x) : SL_OK;
}

static enum sl_step_result step_compile(struct sl_exchange *x)
{
    x->at = x->following = (struct sl_position){0};
    x->rows = x->gathered = 0;
    x->work = 0;
    x->exhausted = false;
    x->going_count = 0;
    x->chosen = NULL;
    x->wanted = page_size(x);
    x->search = &x->interaction.search;
    x->resolving = NULL;
    x->including = NULL;
    x->keys = x->page = (struct sl_match_keys){0};
    x->skipped = x->passing = 0;
    x->planned = NULL;
    x->ordered = sl_sort_is_left(x);
    x->first_page = !x->interaction.search.cursor.len;
    enum sl_status status = make_recipient(x);
    if (status == SL_OK)
        status = sl_plan(x);
    if (status == SL_OK && !x->first_page)
        status = sl_bookmark_read(x, x->interaction.search.cursor);
    if (status == SL_OK && !x->first_page)
        sl_history_seek(x);
    if (status == SL_OK)
        status = begin_order(x);
    x->exhausted = x->at.errand >= x->errand_count;
    return status == SL_OK ? SL_STEP_DONE : sl_exchange_fail(x, status, "plan");
}

/* ---- resolve: what a search leans on, and what a write's condition matches ---- */

static enum sl_step_result step_resolve(struct sl_exchange *x)
{
    return x->write ? sl_write_resolve(x) : sl_chain_resolve(x);
}

/* ---- fetch, label, decide, segment: one pass, as often as it takes ---- */

static enum sl_step_result step_fetch(struct sl_exchange *x)
{
    return sl_round_fetch(x);
}

static enum sl_step_result step_label(struct sl_exchange *x)
{
    return sl_round_label(x);
}

static enum sl_step_result step_decide(struct sl_exchange *x)
{
    return sl_round_decide(x);
}

static enum sl_step_result step_segment(struct sl_exchange *x)
{
    return sl_round_segment(x);
}

/* ---- commit, entries ---- */

static enum sl_step_result step_commit(struct sl_exchange *x)
{
    return sl_write_commit(x);
}

static enum sl_step_result step_entries(struct sl_exchange *x)
{
    return x->asks ? x->asks(x) : sl_batch_step(x);
}

/* ---- answer: whole, in memory ---- */

static enum sl_step_result step_answer(struct sl_exchange *x)
{
    if (x->status == SL_OK) {
        enum sl_status status = sl_answer(x);
        if (status == SL_NOT_FOUND && x->account.withheld_count && sl_fault(SL_FAULT_FORBIDDEN_FOR_HIDDEN))
            status = SL_FORBIDDEN;
        if (status != SL_OK)
            return sl_exchange_fail(x, status, status == SL_NOT_FOUND ? "not-released" : "answer");
        return x->answering ? SL_STEP_AGAIN : SL_STEP_DONE;
    }
    sl_answer_outcome(x);
    return SL_STEP_DONE;
}

/* ---- account: durable before the first byte leaves ---- */

/* On the ledger's thread: only tells the worker's loop. */
static void appended(struct sl_append *append, enum sl_status status, uint64_t sequence)
{
    struct sl_exchange *x = append->context;
    (void)sequence;
    x->appended = status;
    sl_worker_post(x->worker, &x->wake);
}

enum sl_status sl_exchange_append(struct sl_exchange *x)
{
    x->append = (struct sl_append){.record = sl_buffer_slice(&x->record), .done = appended, .context = x};
    SL_TRY(sl_ledger_append(x->state->gateway->ledger, &x->append));
    x->outstanding++;
    return SL_OK;
}

static void woken(struct sl_task *task);

/* Not before the turn's end: where many are at work, the writer is woken once for all their records, and writes them
 * with one sync; where one is, nothing is held up. */
static void append(struct sl_task *task)
{
    struct sl_exchange *x = task->context;
    x->wake.call = woken;
    x->outstanding--;
    enum sl_status status = sl_exchange_append(x); /* once it is given, `appended` is the writer's to set */
    if (status == SL_OK)
        return;
    x->appended = status;
    sl_exchange_resume(x);
}

/* Is it asked for by another one that will account for it, under what that one took up? */
static bool is_view(const struct sl_exchange *x)
{
    return x->outer && x->until == SL_AT_answer;
}

bool sl_exchange_is_overtaken(const struct sl_exchange *x)
{
    return sl_store_version(x->state->gateway->store) != x->store_version ||
           atomic_load(&x->state->gateway->programs_version) != x->programs_version;
}

enum sl_status sl_exchange_note_peer(struct sl_exchange *x)
{
    struct sl_slice peer = sl_conn_peer(x->conn);
    x->peer = sl_arena_copy(x->arena, peer);
    return x->peer.ptr || !peer.len ? SL_OK : SL_NO_MEMORY;
}

/* Back to where policy and directives are taken up. Refusals stand as they are: they released nothing. */
enum sl_step_result sl_exchange_again(struct sl_exchange *x)
{
    if (++x->attempts == ATTEMPTS)
        return sl_exchange_fail(x, SL_UNAVAILABLE, "unsettled");
    sl_inners_drop(x);
    sl_rounds_drop(x);
    sl_account_clear(&x->account);
    x->party_count = 0;
    enum sl_step_result result = is_view(x) ? SL_STEP_DONE : step_accept(x);
    if (result == SL_STEP_DONE)
        x->step = SL_AT_admit;
    return result == SL_STEP_DONE ? SL_STEP_AGAIN : result;
}

static enum sl_step_result step_account(struct sl_exchange *x)
{
    if (x->appending) {
        x->appending = x->owed = false;
        if (x->appended == SL_OK && x->meant)
            atomic_fetch_sub(&x->state->gateway->meant, 1);
        if (x->appended == SL_OK)
            return SL_STEP_DONE;
        return sl_exchange_fail(x, SL_UNAVAILABLE, "ledger");
    }
    /* What has been written is not written again. */
    if (x->status == SL_OK && !x->owed && (sl_interaction_class(x->interaction.kind) & (SL_FOR_ASKS | SL_FOR_WRITES)) &&
        sl_exchange_is_overtaken(x))
        return sl_exchange_again(x);
    if (sl_account_write(x) != SL_OK)
        return sl_exchange_fail(x, SL_UNAVAILABLE, "ledger-record");
    /* The answer and the record are whole. What they were made of would wait with them for the disk; its memory, which
     * the processor has at hand, is the next one's. */
    sl_rounds_drop(x);
    x->appending = true;
    x->outstanding++;
    x->wake.call = append;
    sl_worker_last(x->worker, &x->wake);
    return SL_STEP_WAIT;
}

/* ---- send: the only place that answers ---- */

static struct sl_exchange *outermost(struct sl_exchange *x)
{
    while (x->outer)
        x = x->outer;
    return x;
}

/* Records were asked for, and none goes out: there are none, or they are withheld. */
static bool releases_nothing(const struct sl_exchange *x)
{
    static const enum sl_status by_what_is_there[] = {
        SL_NOT_FOUND, SL_GONE, SL_CONFLICT, SL_PRECONDITION_FAILED, SL_UNPROCESSABLE};
    unsigned class = sl_interaction_class(x->interaction.kind);
    if (x->status == SL_OK)
        return class & SL_FOR_ASKS && !x->account.released_count;
    for (size_t i = 0; i < sizeof by_what_is_there / sizeof *by_what_is_there; i++)
        if (x->status == by_what_is_there[i])
            return class & (SL_FOR_ASKS | SL_FOR_WRITES | SL_FOR_BATCHES); /* a transaction may fail as a whole */
    return false;
}

static void woken(struct sl_task *task);

/* How long it took to find that there is nothing to release tells whether something was withheld. So such an answer
 * waits until a multiple of `limits.pace` has passed since the request was there whole: whatever takes less than that
 * takes as long. Counted from its first byte, whoever holds the last one back could choose how much less. Of a batch,
 * all waits where one entry is such. */
static bool put_off(struct sl_exchange *x)
{
    uint64_t pace = x->state->gateway->config->pace * 1000;
    outermost(x)->empty |= releases_nothing(x);
    if (x->outer || !x->empty || !pace || x->selftest)
        return false;
    x->held = true;
    x->outstanding++;
    x->wake.call = woken;
    sl_worker_at(x->worker, x->asked + ((sl_loop_clock() - x->asked) / pace + 1) * pace, &x->wake);
    return true;
}

static enum sl_step_result step_send(struct sl_exchange *x)
{
    if (x->held)
        return SL_STEP_DONE;
    sl_account_log(x);
    return put_off(x) ? SL_STEP_WAIT : SL_STEP_DONE;
}

/* ---- The table and its dispatcher ---- */

static const struct {
    const char *name;
    enum sl_step_result (*run)(struct sl_exchange *x);
    unsigned classes;
} steps[] = {
#define SL_STEP(name, classes) {#name, step_##name, classes},
#include "steps.def"
#undef SL_STEP
};

static struct sl_exchange *exchange_of(void *context)
{
    struct sl_exchange *x = context;
    SL_ASSERT(x && x->magic == MAGIC);
    return x;
}

bool sl_exchange_tired(const struct sl_exchange *x)
{
    return sl_loop_clock() - x->turn > TURN_US;
}

bool sl_exchange_overdue(const struct sl_exchange *x)
{
    return sl_loop_clock() - x->started > x->state->gateway->config->seconds * 1000000;
}

bool sl_exchange_spend(struct sl_exchange *x, size_t rows)
{
    x->rows += rows;
    outermost(x)->work += rows;
    return outermost(x)->work <= x->state->gateway->config->rows && !sl_exchange_overdue(x);
}

enum sl_status sl_exchange_reserve(struct sl_exchange *x, size_t *account, size_t bytes)
{
    size_t held = outermost(x)->memory, most = (size_t)x->state->gateway->config->exchange_memory;
    if (held > most || bytes > most - held) {
        x->over = outermost(x)->over = "exchange-memory";
        return SL_WORK_LIMIT;
    }
    if (!sl_gateway_reserve(x->state->gateway, bytes))
        return SL_UNAVAILABLE;
    sl_exchange_hold(x, bytes);
    *account += bytes;
    return SL_OK;
}

void sl_exchange_hold(struct sl_exchange *x, size_t bytes)
{
    for (; x; x = x->outer)
        x->memory += bytes;
}

void sl_exchange_let_go(struct sl_exchange *x, size_t bytes)
{
    for (; x; x = x->outer) {
        SL_ASSERT(x->memory >= bytes);
        x->memory -= bytes;
    }
}

void sl_exchange_release(struct sl_exchange *x, size_t bytes)
{
    sl_exchange_let_go(x, bytes);
    sl_gateway_release(x->state->gateway, bytes);
}

/* Everything that was being made goes; what is left is a status, and the note of what was withheld. What fails in
 * `account` cannot be accounted for: the fixed answer goes out, with which nothing is disclosed. */
enum sl_step_result sl_exchange_fail(struct sl_exchange *x, enum sl_status status, const char *why)
{
    SL_ASSERT(status != SL_OK);
    /* A step for which memory ran out may have taken what it could not read for what is not there, or not allowed. */
    if (sl_arena_failed(x->arena) || (x->round && sl_arena_failed(x->round->arena)))
        status = SL_NO_MEMORY;
    x->status = status;
    x->why = x->over ? x->over : why;
    sl_inners_drop(x);
    sl_rounds_drop(x);
    sl_buffer_fini(&x->account.released);
    x->account.released_count = 0;
    bool accounting = x->step >= SL_AT_account;
    if (accounting)
        sl_answer_outcome(x);
    x->step = accounting ? SL_AT_send : SL_AT_answer;
    return SL_STEP_FAIL;
}

static bool is_skipped(const struct sl_exchange *x)
{
    return !(steps[x->step].classes & sl_interaction_class(x->interaction.kind));
}

static void go_on(struct sl_exchange *x)
{
    if (x->step == SL_AT_segment && !is_skipped(x) && sl_round_more(x))
        x->step = SL_AT_fetch;
    else
        x->step++;
}

void sl_exchange_schedule(struct sl_exchange *x)
{
    SL_ASSERT(!x->scheduled);
    x->scheduled = true;
    sl_worker_last(x->worker, &x->later);
}

/* It has had its time in this turn. Nothing may be under way for it: what came back would run it, or free it, while it
 * stands in the loop's list. */
static void rest(struct sl_exchange *x)
{
    SL_ASSERT(!x->scheduled && !x->outstanding);
    x->scheduled = true;
    sl_worker_slowly(x->worker, &x->later);
}

static void destroy(struct sl_exchange *x);

/* The end of a cancelled one. */
static void bury(struct sl_exchange *x)
{
    x->state->lingering--;
    destroy(x);
}

/* One that gives its worker back between entries comes here again without asking for anything. What writes has asked
 * before it commits; after that it is never taken back. */
static bool is_out_of_time(const struct sl_exchange *x)
{
    unsigned class = sl_interaction_class(x->interaction.kind);
    bool asks = x->step >= SL_AT_admit && x->step <= SL_AT_segment && class & (SL_FOR_ASKS | SL_FOR_WRITES);
    bool answers = x->step == SL_AT_answer && class & SL_FOR_ASKS;
    return (asks || answers) && x->status == SL_OK && !x->owed && !x->gone_on && sl_exchange_overdue(x);
}

/* Runs steps until one waits. May free the exchange (a sent answer may end it), so nothing may touch it afterwards. */
static void run(struct sl_exchange *x)
{
    x->turn = sl_loop_clock();
    if (is_out_of_time(x)) {
        x->over = outermost(x)->over = "deadline";
        (void)sl_exchange_fail(x, SL_WORK_LIMIT, x->over);
    }
    while (x->step < x->until) {
        if (x->step > SL_AT_route && !x->body_ready && x->status == SL_OK)
            return; /* sl_exchange_start goes on */
        enum sl_step_result result = is_skipped(x) ? SL_STEP_DONE : steps[x->step].run(x);
        if (result == SL_STEP_DONE)
            go_on(x);
        if (result == SL_STEP_WAIT)
            return;
        /* Between the steps of a large one others get their turn, too. */
        bool long_enough = result == SL_STEP_DONE && x->step < x->until && sl_exchange_tired(x);
        if (result == SL_STEP_AGAIN || long_enough) {
            rest(x);
            return;
        }
    }
    x->ended = true;
    if (x->cancelled)
        bury(x);
    else if (x->outer)
        sl_exchange_schedule(x); /* in a turn of its own the outer one is told */
    else
        sl_conn_respond(x->conn, &x->response);
}

static void destroy(struct sl_exchange *x)
{
    sl_inners_drop(x);
    sl_rounds_drop(x);
    sl_account_clear(&x->account);
    sl_buffer_fini(&x->record);
    sl_policy_unref(x->policy);
    sl_registered_unref(x->registered);
    sl_programs_unref(x->programs);
    sl_callers_unref(x->caller.held);
    sl_identifier_unref(x->identifier);
    sl_exchange_release(x, x->reserved);
    SL_ASSERT(!x->memory); /* whatever was taken for it has been given back */
    x->magic = 0;
    sl_arena_free(x->arena); /* the exchange itself lives there */
}

void sl_exchange_resume(struct sl_exchange *x)
{
    if (x->outstanding || (x->cancelled && x->scheduled))
        return;
    if (!x->cancelled || x->owed) /* what was written is accounted for, whoever waits for the answer */
        run(x);
    else
        bury(x);
}

/* The outer one goes on where it waits, unless it waits for others too. */
static void tell_outer(struct sl_exchange *x)
{
    x->told = true;
    x->outer->outstanding--;
    sl_exchange_resume(x->outer);
}

static void run_later(struct sl_task *task)
{
    struct sl_exchange *x = exchange_of(task->context);
    x->scheduled = false;
    if ((x->ended || x->parked) && !x->cancelled)
        tell_outer(x);
    else
        sl_exchange_resume(x);
}

static void woken(struct sl_task *task)
{
    struct sl_exchange *x = exchange_of(task->context);
    x->outstanding--;
    sl_exchange_resume(x);
}

static void answered(struct sl_ask *ask)
{
    struct sl_exchange *x = exchange_of(ask->context);
    x->outstanding--;
    sl_exchange_resume(x);
}

void sl_exchange_ask(struct sl_exchange *x, struct sl_ask *ask)
{
    ask->done = answered;
    ask->context = x;
    ask->kept = x->state->kept;
    sl_upstream_ask(x->state->upstream, ask);
    if (!ask->finished)
        x->outstanding++;
}

/* ---- What the connection calls (http.h) ---- */

struct sl_exchange *sl_exchange_new(struct sl_worker *worker, struct sl_conn *conn)
{
    return sl_exchange_new_at(sl_worker_state(worker), worker, conn);
}

struct sl_exchange *sl_exchange_new_at(struct sl_worker_state *state, struct sl_worker *worker, struct sl_conn *conn)
{
    struct timespec now;
    if (!sl_gateway_reserve(state->gateway, BASE_WEIGHT))
        return NULL;
    struct sl_arena *arena = sl_arena_new_in(state->arenas, state->gateway->config->exchange_memory);
    struct sl_exchange *x = arena ? sl_arena_raw(arena, 1, sizeof *x) : NULL; /* all of it is set below */
    if (!x) {
        sl_arena_free(arena);
        sl_gateway_release(state->gateway, BASE_WEIGHT);
        return NULL;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    *x = (struct sl_exchange){.magic = MAGIC,
        .worker = worker,
        .state = state,
        .conn = conn,
        .arena = arena,
        .reserved = BASE_WEIGHT,
        .memory = BASE_WEIGHT,
        .now = now.tv_sec,
        .started = sl_loop_clock(),
        .turn = sl_loop_clock(),
        .until = SL_AT_END,
        .number = atomic_fetch_add(&state->gateway->exchanges, 1)};
    x->wake = (struct sl_task){.call = woken, .context = x};
    x->later = (struct sl_task){.call = run_later, .context = x};
    return x;
}

struct sl_arena *sl_exchange_arena(struct sl_exchange *x)
{
    return x->arena;
}

/* Where several gateways are served, the path says which is asked: from here on the exchange is that one's, its number
 * and what it holds included. A path of none of them stays with the first, which knows it no more than they do. */
static void go_to_gateway(struct sl_exchange *x)
{
    struct sl_worker_state *state = x->state;
    while (state && !sl_path_is_under(x->request->path, state->gateway->config->base))
        state = state->next;
    if (!state || state == x->state)
        return;
    if (!sl_gateway_reserve(state->gateway, x->reserved)) {
        (void)sl_exchange_fail(x, SL_UNAVAILABLE, "memory");
        return;
    }
    sl_gateway_release(x->state->gateway, x->reserved);
    x->state = state;
    x->number = atomic_fetch_add(&state->gateway->exchanges, 1);
}

enum sl_status sl_exchange_head(struct sl_exchange *x, const struct sl_request *request)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    x->now = now.tv_sec;
    x->request = request;
    x->turn = x->asked = sl_loop_clock();
    go_to_gateway(x);
    while (x->step <= SL_AT_route && x->status == SL_OK)
        if (steps[x->step].run(x) == SL_STEP_DONE)
            x->step++;
    if (x->status == SL_OK)
        return SL_OK;
    /* The refusal answers by itself, in a later turn: its answer may free the exchange, and the caller still holds it.
     */
    enum sl_status status = x->status;
    x->close = request->has_body; /* a body that nobody reads cannot be told from the next request */
    x->body_ready = true;
    sl_exchange_schedule(x);
    return status;
}

void sl_exchange_start(struct sl_exchange *x)
{
    x->asked = sl_loop_clock();
    x->body_ready = true;
    run(x);
}

void sl_exchange_malformed(struct sl_exchange *x, enum sl_status status)
{
    x->close = x->body_ready = true;
    x->status = status;
    x->why = "malformed";
    x->step = SL_AT_answer;
    if (x->scheduled)
        return; /* it is being refused already */
    run(x);
}

/* The ledger has read what was to be written: it is told that nothing has come of it. */
static void end_meant(struct sl_exchange *x)
{
    if (!x->meant || x->owed)
        return;
    if (x->step < SL_AT_answer)
        (void)sl_exchange_fail(x, SL_CONFLICT, "client-left");
    x->owed = x->step <= SL_AT_account && !x->appending;
}

void sl_exchange_cancel(struct sl_exchange *x)
{
    x->cancelled = true;
    x->state->lingering++;
    end_meant(x);
    if (!x->owed || !x->transaction) /* a transaction that was sent: each write is accounted for by its own */
        sl_inners_drop(x);
    sl_rounds_drop(x); /* withdraws what was asked; an append to the ledger cannot be withdrawn */
    sl_exchange_resume(x);
}

void sl_exchange_free(struct sl_exchange *x)
{
    SL_ASSERT(!x->outstanding && !x->scheduled);
    destroy(x);
}
