/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions that write: see transaction.h. From top to bottom in the order of the phases; what the other files do is
 * said in transaction_parts.h. */
#include <stdlib.h>

#include "intent.h"
#include "transaction_parts.h"

/* Everything of an attempt begins anew. What fullUrls have been found to stand for stays. */
static enum sl_step_result again(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    for (size_t i = 0; i < t->count; i++) {
        struct sl_member *part = &t->parts[i];
        part->inner = NULL;
        part->known = part->prepared = false;
        part->link_count = 0;
    }
    t->phase = SL_FINDING;
    t->begun = t->checked = t->condition_count = 0;
    t->ask = (struct sl_ask){0};
    return sl_intent_again(x);
}

/* ---- Preparing: each is decided, and parked ---- */

/* All or nothing: what fails is the whole, with the status of the first that failed, and what that said. */
static enum sl_status take_prepared(struct sl_exchange *x, struct sl_member *part)
{
    const struct sl_exchange *inner = part->inner;
    if (inner->status != SL_OK) {
        x->detail = inner->detail.len ? sl_arena_copy(x->arena, inner->detail) : inner->detail;
        return inner->status;
    }
    part->prepared = true;
    if (!sl_member_reads(part))
        return SL_OK;
    sl_inner_drop(part->inner); /* it can be answered; what it answers is asked for when all is written */
    part->inner = NULL;
    return SL_OK;
}

static enum sl_status prepare_more(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    for (; t->checked < t->begun; t->checked++)
        SL_TRY(take_prepared(x, t->order[t->checked]));
    for (; t->begun < t->count && t->begun < t->checked + SL_TRANSACTION_TOGETHER; t->begun++) {
        struct sl_member *part = t->order[t->begun];
        SL_TRY(sl_inner_answer(x, &part->request, &part->inner));
        if (sl_member_reads(part))
            part->inner->until = SL_AT_account;
    }
    return SL_OK;
}

/* Policy, directives or programs have changed since one of them was decided. */
static bool is_overtaken(const struct sl_exchange *x)
{
    for (size_t i = 0; i < x->transaction->count; i++) {
        const struct sl_exchange *inner = x->transaction->parts[i].inner;
        if (inner && inner->parked && sl_exchange_is_overtaken(inner))
            return true;
    }
    return false;
}

/* Conditions may have found records that are there: then their fullUrls stand for these. *changed: somebody had named
 * one of them otherwise. */
static enum sl_status settle_names(struct sl_exchange *x, bool *changed)
{
    struct sl_transaction *t = x->transaction;
    *changed = false;
    for (size_t i = 0; i < t->count; i++) {
        struct sl_member *part = &t->parts[i];
        const struct sl_write *write = sl_member_write(part);
        if (!write || !part->id.len)
            continue;
        struct sl_slice id = write->outcome == SL_WRITE_CREATED ? part->id : write->ask.id;
        struct sl_slice name = sl_arena_printf(x->arena, "%.*s/%.*s", SL_FMT(sl_r4_node_name(part->type)), SL_FMT(id));
        if (!name.ptr)
            return SL_NO_MEMORY;
        *changed = *changed || (part->linked && !sl_slice_eq(name, part->name));
        part->name = name;
    }
    return SL_OK;
}

static int order_targets(const void *left, const void *right)
{
    const struct sl_exchange *a = *(struct sl_exchange *const *)left, *b = *(struct sl_exchange *const *)right;
    int type = (a->interaction.type > b->interaction.type) - (a->interaction.type < b->interaction.type);
    return type ? type : sl_slice_compare(a->write->ask.id, b->write->ask.id);
}

/* No record may be meant by two entries: what came of them would hang on their order (http.html, 3.2.0.11.2). */
static enum sl_status check_overlap(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    size_t count = 0;
    struct sl_exchange **list = sl_arena_array(x->arena, t->count, sizeof(struct sl_exchange *));
    if (!list)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < t->count; i++) {
        const struct sl_write *write = sl_member_write(&t->parts[i]);
        if (write && write->outcome != SL_WRITE_CREATED && write->outcome != SL_WRITE_MATCHED)
            list[count++] = t->parts[i].inner;
    }
    qsort(list, count, sizeof(struct sl_exchange *), order_targets);
    for (size_t i = 1; i < count; i++)
        if (order_targets(&list[i - 1], &list[i]) == 0) {
            x->detail = SL_LIT("Two entries change the same resource.");
            return SL_BAD_SYNTAX;
        }
    return SL_OK;
}

/* ---- Sent: all of it at once ---- */

/* What it is about to write is told to the ledger first, for all of it. */
static enum sl_step_result mean(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    struct sl_slice body;
    enum sl_status status = sl_transaction_gather(x, &body);
    if (status == SL_OK)
        status = sl_exchange_note_peer(x);
    if (status != SL_OK)
        return sl_exchange_fail(x, status, "transaction");
    if (body.len && sl_slice_eq(body, t->lost)) /* nothing has changed since: it was no lost race */
        return sl_exchange_fail(x, SL_UNAVAILABLE, "upstream-refuses");
    t->ask = (struct sl_ask){.kind = SL_ASK_TRANSACTION, .body = body, .arena = x->arena, .finished = !body.len};
    t->phase = body.len ? SL_MEANT : SL_SENT;
    x->owed = true;
    return body.len ? sl_intent_note(x) : SL_STEP_DONE;
}

/* From here on it is accounted for, whoever waits for the answer. */
static enum sl_step_result send(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    if (!sl_intent_noted(x))
        return sl_exchange_fail(x, SL_UNAVAILABLE, "intent");
    if (is_overtaken(x))
        return again(x);
    t->phase = SL_SENT;
    for (size_t i = 0; i < t->count; i++)
        if (sl_member_is_sent(&t->parts[i]))
            t->parts[i].inner->owed = true;
    sl_exchange_ask(x, &t->ask);
    return t->ask.finished ? SL_STEP_DONE : SL_STEP_WAIT;
}

/* Each goes on as if it had been sent by itself. */
static void conclude(struct sl_exchange *x, enum sl_status status)
{
    struct sl_transaction *t = x->transaction;
    for (size_t i = 0; i < t->count && status == SL_OK; i++)
        if (sl_member_is_sent(&t->parts[i]))
            sl_transaction_rename_patients(x, t->parts[i].inner);
    for (size_t i = 0; i < t->count; i++) {
        struct sl_exchange *inner = t->parts[i].inner;
        if (!inner || !inner->parked)
            continue;
        struct sl_ask *ask = &inner->write->ask;
        if (sl_member_is_sent(&t->parts[i])) {
            ask->id = sl_arena_copy(inner->arena, ask->id);
            ask->version = sl_arena_copy(inner->arena, ask->version);
            ask->status = status == SL_OK && !ask->id.ptr ? SL_NO_MEMORY : status;
            ask->why = t->ask.why;
            ask->finished = true;
        }
        sl_inner_go_on(inner);
    }
}

static enum sl_step_result take_sent(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    enum sl_status status = t->ask.status;
    if (!t->ask.finished)
        return SL_STEP_WAIT;
    if (status == SL_EXISTS) {
        t->lost = t->ask.body;
        x->owed = false; /* nothing was written */
        for (size_t i = 0; i < t->count; i++)
            if (t->parts[i].inner)
                t->parts[i].inner->owed = false;
        return ++t->races == SL_WRITE_RACES ? sl_exchange_fail(x, SL_CONFLICT, "lost-races") : again(x);
    }
    if (t->ask.body.len && status == SL_OK)
        status = sl_transaction_read_answer(x);
    conclude(x, t->ask.body.len ? status : SL_OK);
    t->phase = SL_ENDING;
    return x->outstanding ? SL_STEP_WAIT : SL_STEP_DONE;
}

/* ---- The phases ---- */

static enum sl_step_result find(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    enum sl_status status = t->begun ? SL_OK : sl_transaction_collect_conditions(x);
    if (status == SL_OK)
        status = sl_transaction_find_more(x);
    if (status != SL_OK)
        return sl_exchange_fail(x, status, "reference");
    if (t->checked < t->begun)
        return SL_STEP_WAIT;
    t->phase = SL_PREPARING;
    t->begun = t->checked = 0;
    status = sl_transaction_name_all(x);
    return status == SL_OK ? SL_STEP_DONE : sl_exchange_fail(x, status, "transaction");
}

static enum sl_step_result prepare(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    bool renamed = false;
    enum sl_status status = prepare_more(x);
    if (status == SL_OK && t->checked < t->begun)
        return SL_STEP_WAIT;
    if (status == SL_OK)
        status = check_overlap(x);
    if (status == SL_OK)
        status = settle_names(x, &renamed);
    if (status != SL_OK)
        return sl_exchange_fail(x, status, "transaction");
    return renamed || is_overtaken(x) ? again(x) : mean(x);
}

/* What was written cannot be taken back: a failure from here on is said of its entry. */
static enum sl_step_result end(struct sl_exchange *x)
{
    struct sl_transaction *t = x->transaction;
    for (size_t i = 0; i < t->count; i++)
        if (t->parts[i].inner && t->parts[i].inner->write && t->parts[i].inner->status != SL_OK)
            return sl_exchange_fail(x, t->parts[i].inner->status, "transaction-unknown");
    t->phase = SL_ENDED;
    return SL_STEP_DONE;
}

enum sl_step_result sl_transaction_step(struct sl_exchange *x)
{
    static enum sl_step_result (*const phases[])(struct sl_exchange *) = {
        [SL_FINDING] = find, [SL_PREPARING] = prepare, [SL_MEANT] = send, [SL_SENT] = take_sent, [SL_ENDING] = end};
    enum sl_step_result result = SL_STEP_DONE;
    while (result == SL_STEP_DONE && x->transaction->phase < SL_ENDED)
        result = phases[x->transaction->phase](x);
    return result;
}

struct sl_exchange *sl_transaction_entry(const struct sl_exchange *x, size_t index)
{
    return x->transaction->parts[index].inner;
}

size_t sl_transaction_size(const struct sl_exchange *x)
{
    return x->transaction->count;
}
