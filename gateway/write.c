/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A write, step by step: see write.h. What is asked for is read by write_read.c and found by write_condition.c; what
 * the record is to be is made by write_make.c, judged by write_judge.c, and its references are asked for by
 * write_references.c.
 */
#include "intent.h"
#include "sluice/fault.h"
#include "sluice/r4_names.h"
#include "transaction.h"
#include "write_parts.h"

enum sl_write_action sl_write_action_of(const struct sl_exchange *x)
{
    static const enum sl_write_action actions[] = {[SL_CREATE] = SL_WRITE_CREATE,
        [SL_UPDATE] = SL_WRITE_UPDATE,
        [SL_PATCH] = SL_WRITE_PATCH,
        [SL_DELETE] = SL_WRITE_DELETE};
    /* A conditional update that matches nothing creates. */
    return x->write->conditional && x->interaction.kind == SL_UPDATE && !x->interaction.id.len
               ? SL_WRITE_CREATE
               : actions[x->interaction.kind];
}

bool sl_write_creates(const struct sl_exchange *x)
{
    return sl_write_action_of(x) == SL_WRITE_CREATE;
}

const struct sl_found *sl_write_the_made(const struct sl_exchange *x)
{
    return x->last_round ? x->last_round->first : NULL;
}

/* ---- compile ---- */

/* By party and policy alone: nothing that is about a person plays a part in it. */
static enum sl_status may_delete(struct sl_exchange *x)
{
    const struct sl_directives none = {0};
    struct sl_ruling *ruling;
    struct sl_write_answer answer;
    SL_TRY(sl_ruling_new_under(x->arena, x->policy, &x->recipient, NULL, 0, &none, x->registered, x->now, &ruling));
    SL_TRY(sl_write_ask(ruling, x->interaction.type, SL_WRITE_DELETE, x->arena, &answer));
    x->write->grant = answer.grant;
    return answer.verdict == SL_WRITE_GRANTED ? SL_OK : SL_FORBIDDEN;
}

/* Everything of an attempt begins anew; what the request said stays. */
static void begin_again(struct sl_exchange *x)
{
    struct sl_write *write = x->write;
    *write = (struct sl_write){.sent = write->sent,
        .form = write->form,
        .if_match = write->if_match,
        .conditional = write->conditional,
        .condition = write->condition,
        .has_condition = write->has_condition,
        .prefer = write->prefer,
        .races = write->races,
        .lost = write->lost,
        .sheds = write->sheds};
    if (write->conditional)
        x->interaction.id = (struct sl_slice){NULL, 0};
}

enum sl_status sl_write_plan(struct sl_exchange *x)
{
    begin_again(x);
    x->write->stage = SL_WRITE_CURRENT;
    enum sl_write_action action = sl_write_action_of(x);
    bool offered = sl_write_offered(x->policy, x->interaction.type, action);
    if (x->write->conditional && x->interaction.kind == SL_UPDATE)
        offered = offered || sl_write_offered(x->policy, x->interaction.type, SL_WRITE_UPDATE);
    if (!offered)
        return SL_FORBIDDEN;
    return action == SL_WRITE_DELETE ? may_delete(x) : SL_OK;
}

/* What is read to be changed, as a read fetches it. */
static enum sl_status plan_current(struct sl_exchange *x)
{
    x->errands = NULL;
    x->errand_count = 0;
    x->at = (struct sl_position){0};
    if (sl_write_creates(x))
        return SL_OK;
    SL_TRY(sl_plan_read(x));
    x->exhausted = x->errand_count == 0;
    return SL_OK;
}

enum sl_step_result sl_write_resolve(struct sl_exchange *x)
{
    enum sl_step_result result = x->write->has_condition ? sl_write_match(x) : SL_STEP_DONE;
    if (result != SL_STEP_DONE || x->write->stage != SL_WRITE_CURRENT)
        return result;
    enum sl_status status = plan_current(x);
    return status == SL_OK ? SL_STEP_DONE : sl_exchange_fail(x, status, "plan");
}

/* ---- fetch: first the record as it is, then what it is to be ---- */

bool sl_write_is_made(const struct sl_exchange *x)
{
    return x->write && x->write->stage == SL_WRITE_MADE;
}

bool sl_write_more(const struct sl_exchange *x)
{
    return x->write->stage == SL_WRITE_CURRENT && x->interaction.kind != SL_DELETE;
}

static enum sl_status put_made(struct sl_exchange *x)
{
    struct sl_write *write = x->write;
    struct sl_errand *errand = sl_arena_alloc(x->arena, sizeof *errand);
    struct sl_question question = {.ask = {.kind = SL_ASK_READ, .finished = true, .status = SL_OK}};
    struct sl_issues issues = {.arena = x->arena};
    x->round = errand ? sl_round_new(x) : NULL;
    if (!x->round)
        return SL_NO_MEMORY;
    SL_TRY(sl_doc_parse(x->arena, write->text, NULL, &write->made, NULL));
    if (sl_write_creates(
            x)) /* of a change all that is the writer's has been: what else the record holds is the EHR's */
        SL_TRY(sl_body_check(&write->made, x->interaction.type, x->interaction.id, x->arena, &issues));
    question.ask.type = x->interaction.type_name;
    question.ask.id = sl_span_raw(&write->made, sl_span_member(&write->made, 0, SL_NAME_id));
    question.ask.text = write->text;
    question.ask.arena = x->round->arena;
    *errand = (struct sl_errand){.kind = SL_ASK_READ, .type = question.ask.type, .id = question.ask.id};
    x->errands = errand;
    x->errand_count = 1;
    x->routed = false;
    x->gathered = 0;
    SL_TRY(sl_round_take(x, x->round, &question));
    x->exhausted = true;
    SL_TRY(sl_round_add_pages(x, x->round));
    return sl_transaction_context(x, x->round);
}

enum sl_step_result sl_write_fetch(struct sl_exchange *x, bool *taken)
{
    struct sl_write *write = x->write;
    *taken = write->stage != SL_WRITE_CURRENT || sl_write_creates(x) || (!x->round && x->rounds && sl_round_settled(x));
    if (!*taken)
        return SL_STEP_DONE;
    write->stage = SL_WRITE_MADE;
    enum sl_status status = sl_write_make(x, &write->text);
    if (status == SL_OK)
        status = put_made(x);
    return status == SL_OK ? SL_STEP_DONE
                           : sl_exchange_fail(x, status, status == SL_NOT_FOUND ? "not-released" : "write");
}

/* ---- To the upstream ---- */

/* All that is left to do is the transaction's to do, for all of its writes together. */
static enum sl_step_result park(struct sl_exchange *x)
{
    if (sl_exchange_note_peer(x) != SL_OK)
        return sl_exchange_fail(x, SL_NO_MEMORY, "memory");
    sl_inner_park(x);
    return SL_STEP_WAIT;
}

/* Our own store takes the id that a record was judged under; a server draws one. */
static struct sl_slice id_of(const struct sl_exchange *x)
{
    const struct sl_doc *made = &x->write->made;
    if (x->write->outcome != SL_WRITE_CREATED || !x->state->gateway->records)
        return x->interaction.id;
    return sl_span_raw(made, sl_span_member(made, 0, SL_NAME_id));
}

static void make_ask(struct sl_exchange *x)
{
    static const enum sl_ask_kind kinds[] = {
        [SL_WRITE_CREATED] = SL_ASK_CREATE, [SL_WRITE_CHANGED] = SL_ASK_UPDATE, [SL_WRITE_GONE] = SL_ASK_DELETE};
    struct sl_write *write = x->write;
    write->ask = (struct sl_ask){.kind = kinds[write->outcome],
        .type = x->interaction.type_name,
        .id = id_of(x),
        .version = write->version,
        .body = write->outcome == SL_WRITE_GONE ? (struct sl_slice){NULL, 0} : write->text,
        .arena = x->arena};
}

/* What an upstream gives no version of it cannot compare: somebody else's change would be undone unseen. And what it
 * refused as a lost race, though the version is the same, it refuses for another reason. */
static const char *cannot_be_sent(const struct sl_write *write)
{
    if (write->outcome == SL_WRITE_CREATED)
        return NULL;
    if (!write->version.len)
        return "upstream-no-version";
    return sl_slice_eq(write->version, write->lost) ? "upstream-refuses" : NULL;
}

/* The ledger is told first; of a transaction for all of it. */
static enum sl_step_result mean(struct sl_exchange *x)
{
    const char *why = cannot_be_sent(x->write);
    if (why)
        return sl_exchange_fail(x, SL_UNAVAILABLE, why);
    make_ask(x);
    x->write->stage = sl_transaction_holds(x) ? SL_WRITE_SENT : SL_WRITE_MEANT;
    return sl_transaction_holds(x) ? park(x) : sl_intent_note(x);
}

/* Somebody else's write came first: what it was made from is no longer what there is, so it is made again. */
static enum sl_step_result lost(struct sl_exchange *x)
{
    x->write->stage = SL_WRITE_JUDGED; /* nothing was written */
    x->write->lost = x->write->version;
    if (++x->write->races == SL_WRITE_RACES)
        return sl_exchange_fail(x, SL_CONFLICT, "lost-races");
    return sl_intent_again(x);
}

/* What the label book knows of it is known no more, and what rests on it neither. */
static void tell_book(struct sl_exchange *x)
{
    const struct sl_gateway *gateway = x->state->gateway;
    const struct sl_found *found = sl_write_the_made(x);
    struct sl_write *write = x->write;
    struct sl_book_entry entry;
    struct sl_slice name =
        sl_arena_printf(x->arena, "%.*s/%.*s", SL_FMT(x->interaction.type_name), SL_FMT(write->ask.id));
    bool created = write->outcome == SL_WRITE_CREATED; /* the book may say that nobody is there */
    if (!gateway->keeper || !name.ptr || (created && sl_fault(SL_FAULT_ABSENCE_KEPT)))
        return;
    sl_keeper_forget(gateway->keeper, gateway->config->upstream_url, name);
    if (x->cancelled || write->outcome != SL_WRITE_CHANGED || !write->ask.version.len || !found ||
        sl_book_entry_of(found->item, x->arena, &entry) != SL_OK)
        return;
    entry.version = write->ask.version;
    sl_keeper_note_entries(gateway->keeper, &x->label_generation, gateway->config->upstream_url, &entry, 1, x->now);
}

static void directed(struct sl_directing *directing)
{
    struct sl_exchange *x = directing->context;
    x->outstanding--;
    sl_exchange_resume(x);
}

/* A Consent that was written holds from now on: as it is stored, with the id and instant that it has there. */
static enum sl_step_result bring_into_force(struct sl_exchange *x, bool *done)
{
    struct sl_write *write = x->write;
    *done = x->interaction.type != SL_R4_Consent || write->outcome == SL_WRITE_SAME ||
            write->outcome == SL_WRITE_MATCHED || write->directing.done;
    if (*done)
        return SL_STEP_DONE;
    struct sl_recorder *recorder = x->state->gateway->recorder;
    if (!write->stored.kind) {
        write->turn = sl_recorder_turn(recorder, write->ask.id);
        if (!write->turn)
            return sl_exchange_fail(x, SL_UNAVAILABLE, "consent-not-in-force");
        write->stored = (struct sl_ask){
            .kind = SL_ASK_READ, .type = x->interaction.type_name, .id = write->ask.id, .arena = x->arena};
        sl_exchange_ask(x, &write->stored);
        if (!write->stored.finished)
            return SL_STEP_WAIT;
    }
    struct sl_directing directing = {
        .turn = write->turn, .consent = write->stored.text, .done = directed, .context = x};
    write->turn = NULL;
    write->directing = directing;
    if (write->stored.status == SL_OK && sl_recorder_direct(recorder, x->worker, &write->directing) == SL_OK) {
        x->outstanding++;
        return SL_STEP_WAIT;
    }
    sl_recorder_pass(recorder, directing.turn);
    return sl_exchange_fail(x, SL_UNAVAILABLE, "consent-not-in-force");
}

/* What the writer now sees of it, by a read of its own; never what it sent. */
static enum sl_step_result show(struct sl_exchange *x)
{
    struct sl_write *write = x->write;
    const struct sl_interaction read = {
        .kind = SL_READ, .type = x->interaction.type, .type_name = x->interaction.type_name, .id = write->ask.id};
    write->stage = SL_WRITE_TOLD;
    if (x->cancelled || write->outcome == SL_WRITE_GONE || sl_inner_view(x, &read, &write->shown) != SL_OK)
        return SL_STEP_DONE;
    return SL_STEP_WAIT;
}

static enum sl_step_result commit_judged(struct sl_exchange *x)
{
    enum sl_status status = sl_write_take_references(x);
    if (status == SL_OK)
        status = sl_write_ask_more(x);
    if (status != SL_OK)
        return sl_exchange_fail(x, status, "reference");
    if (x->write->question_count)
        return SL_STEP_WAIT;
    if (sl_exchange_is_overtaken(x))
        return sl_exchange_again(x);
    if (x->write->outcome == SL_WRITE_SAME) {
        x->write->ask.id = x->interaction.id;
        x->write->stage = SL_WRITE_STORED;
        return SL_STEP_DONE;
    }
    return mean(x);
}

static enum sl_step_result commit_meant(struct sl_exchange *x)
{
    struct sl_write *write = x->write;
    if (!sl_intent_noted(x))
        return sl_exchange_fail(x, SL_UNAVAILABLE, "intent");
    if (sl_exchange_is_overtaken(x))
        return sl_intent_again(x);
    write->stage = SL_WRITE_SENT;
    sl_exchange_ask(x, &write->ask);
    return write->ask.finished ? SL_STEP_DONE : SL_STEP_WAIT;
}

static enum sl_step_result commit_sent(struct sl_exchange *x)
{
    struct sl_write *write = x->write;
    if (write->ask.status == SL_EXISTS)
        return lost(x);
    if (write->ask.status != SL_OK)
        return sl_exchange_fail(x, SL_UNAVAILABLE, write->ask.why ? write->ask.why : "upstream");
    write->stage = SL_WRITE_STORED;
    if (write->outcome == SL_WRITE_CREATED && x->interaction.type == SL_R4_Patient)
        write->patients = sl_arena_printf(x->arena, "Patient/%.*s", SL_FMT(write->ask.id));
    tell_book(x);
    return SL_STEP_DONE;
}

static enum sl_step_result commit_stored(struct sl_exchange *x)
{
    bool done = false;
    if (sl_transaction_holds(x) && !x->gone_on)
        return park(x);
    enum sl_step_result result = bring_into_force(x, &done);
    if (result != SL_STEP_DONE || !done)
        return result;
    if (x->write->directing.done && x->write->directing.status != SL_OK)
        return sl_exchange_fail(x, SL_UNAVAILABLE, "consent-not-in-force");
    return show(x);
}

static enum sl_step_result commit_made(struct sl_exchange *x)
{
    bool deletes = x->interaction.kind == SL_DELETE, frees = false;
    enum sl_status status = deletes ? sl_write_judge_delete(x) : sl_write_judge(x);
    if (status == SL_OK && !deletes)
        status = sl_write_ask_freed(x, &frees);
    if (status == SL_OK && frees)
        return sl_exchange_again(x);
    if (status == SL_OK && !deletes)
        status = sl_write_ask_references(x);
    if (status != SL_OK)
        return sl_exchange_fail(x, status, status == SL_NOT_FOUND ? "not-released" : "write-refused");
    x->write->stage = SL_WRITE_JUDGED;
    return x->write->question_count ? SL_STEP_WAIT : SL_STEP_DONE;
}

enum sl_step_result sl_write_commit(struct sl_exchange *x)
{
    static enum sl_step_result (*const stages[])(struct sl_exchange *) = {[SL_WRITE_CURRENT] = commit_made,
        [SL_WRITE_MADE] = commit_made,
        [SL_WRITE_JUDGED] = commit_judged,
        [SL_WRITE_MEANT] = commit_meant,
        [SL_WRITE_SENT] = commit_sent,
        [SL_WRITE_STORED] = commit_stored};
    enum sl_step_result result = SL_STEP_DONE;
    while (result == SL_STEP_DONE && x->write->stage < SL_WRITE_TOLD)
        result = stages[x->write->stage](x);
    return result;
}

/* ---- account ---- */

void sl_write_account_basis(const struct sl_exchange *x, struct sl_buffer *out)
{
    const struct sl_write *write = x->write;
    const struct {
        const char *name;
        struct sl_slice value;
    } members[] = {{"from", write->version}, {"patient", write->patients},
        {"grant", write->grant ? write->grant->id : (struct sl_slice){NULL, 0}}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (members[i].value.len) {
            sl_buffer_printf(out, ",\"%s\":", members[i].name);
            sl_buffer_json_string(out, members[i].value);
        }
}

/* What the officer should look at; the queue is drawn from these. */
static void account_tasks(const struct sl_write *write, bool untold, bool idle, struct sl_buffer *out)
{
    const struct {
        const char *rule;
        bool due;
    } tasks[] = {{"possible-duplicate", write->duplicates.len > 0}, {"displaced", write->displaced.len > 0},
        {"outcome-unknown", untold}, {"consent-not-in-force", idle}};
    bool any = false;
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++) {
        if (!tasks[i].due)
            continue;
        sl_buffer_printf(out, "%s{\"rule\":\"%s\",\"notify\":true}", any ? "," : ",\"tasks\":[", tasks[i].rule);
        any = true;
    }
    sl_buffer_add(out, any ? SL_LIT("]") : SL_LIT(""));
}

void sl_write_account(const struct sl_exchange *x, struct sl_buffer *out)
{
    const struct sl_write *write = x->write;
    if (!write || write->stage < SL_WRITE_SENT || write->outcome == SL_WRITE_SAME || write->outcome == SL_WRITE_MATCHED)
        return;
    bool untold = write->stage == SL_WRITE_SENT;
    bool idle = x->interaction.type == SL_R4_Consent && write->stage == SL_WRITE_STORED; /* not in force */
    sl_buffer_printf(out, ",\"written\":[{\"item\":\"%.*s/%.*s\"", SL_FMT(x->interaction.type_name),
        SL_FMT(write->ask.id.len ? write->ask.id : SL_LIT("?")));
    if (!untold && write->ask.version.len) {
        sl_buffer_add(out, SL_LIT(",\"version\":"));
        sl_buffer_json_string(out, write->ask.version);
    }
    sl_write_account_basis(x, out);
    sl_buffer_printf(out, ",\"stored\":%s", untold ? "null" : "true");
    if (write->duplicates.len)
        sl_buffer_printf(out, ",\"duplicates\":[%.*s]", SL_FMT(write->duplicates));
    if (write->displaced.len)
        sl_buffer_printf(out, ",\"displaced\":[%.*s]", SL_FMT(write->displaced));
    account_tasks(write, untold, idle, out);
    sl_buffer_add(out, SL_LIT("}]"));
    if (untold || idle)
        atomic_store(&x->state->gateway->untold, true);
}
