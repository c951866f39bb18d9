/* SPDX-License-Identifier: Apache-2.0 */
/* Exchanges within exchanges: see exchange.h. */
#include "exchange.h"

/* The recipient, and what the outer one took up in `accept`. */
static struct sl_exchange *begin(struct sl_exchange *x)
{
    struct sl_exchange *inner = sl_exchange_new_at(x->state, x->worker, x->conn);
    if (!inner)
        return NULL;
    inner->outer = x;
    inner->now = x->now;
    inner->started = x->started;
    inner->caller = x->caller;
    inner->caller.held = NULL; /* the outer one's to give back */
    inner->policy = sl_policy_ref(x->policy);
    inner->registered = sl_registered_ref(x->registered);
    inner->programs = sl_programs_ref(x->programs);
    inner->programs_version = x->programs_version;
    inner->generation = x->generation;
    inner->store_version = x->store_version;
    inner->label_generation = x->label_generation;
    inner->body_ready = true;
    inner->next_inner = x->inners;
    x->inners = inner;
    x->outstanding++;
    sl_exchange_hold(x, inner->memory);
    sl_exchange_schedule(inner); /* in a later turn: whoever begins one may begin more */
    return inner;
}

enum sl_status sl_inner_view(
    struct sl_exchange *x, const struct sl_interaction *interaction, struct sl_exchange **inner)
{
    *inner = begin(x);
    if (!*inner)
        return SL_UNAVAILABLE;
    (*inner)->interaction = *interaction;
    (*inner)->step = SL_AT_admit;
    (*inner)->until = SL_AT_answer;
    return SL_OK;
}

enum sl_status sl_inner_answer(struct sl_exchange *x, const struct sl_request *request, struct sl_exchange **inner)
{
    *inner = begin(x);
    if (!*inner)
        return SL_UNAVAILABLE;
    (*inner)->request = request;
    (*inner)->step = SL_AT_route;
    return SL_OK;
}

bool sl_inner_is_entry(const struct sl_exchange *x)
{
    return x->outer && !x->outer->selftest;
}

void sl_inner_park(struct sl_exchange *inner)
{
    inner->parked = true;
    sl_exchange_schedule(inner); /* in a turn of its own the outer one is told */
}

void sl_inner_go_on(struct sl_exchange *inner)
{
    SL_ASSERT(inner->parked && inner->told);
    inner->parked = inner->told = false;
    inner->gone_on = true;
    inner->outer->outstanding++;
    sl_exchange_schedule(inner);
}

void sl_inner_drop(struct sl_exchange *inner)
{
    struct sl_exchange **at = &inner->outer->inners;
    while (*at != inner)
        at = &(*at)->next_inner;
    *at = inner->next_inner;
    if (!inner->told)
        inner->outer->outstanding--;
    sl_account_forget(inner); /* its rulings go, and it cannot tell then whose they were */
    sl_exchange_let_go(inner->outer, inner->memory);
    inner->outer = NULL;
    sl_exchange_cancel(inner); /* what it has asked is withdrawn; what the ledger has begun to write it waits for */
}

void sl_inners_drop(struct sl_exchange *x)
{
    while (x->inners)
        sl_inner_drop(x->inners);
}
