/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Binaries that labels need. Fifty documents on a page may have fifty scans behind them, of megabytes each: what they
 * hold is wanted for their classes alone. So each is read into an arena of its own, a few at a time, labelled there,
 * and let go; what is kept is what the label book would keep of it.
 */
#include "exchange.h"

#define WEIGHT 12u /* as in round.c */

bool sl_apart_begin(struct sl_exchange *x, struct sl_round *round, struct sl_ask *ask)
{
    struct sl_arena *arena = sl_arena_new_in(x->state->arenas, x->state->gateway->config->exchange_memory);
    *ask = (struct sl_ask){.kind = SL_ASK_READ, .type = SL_LIT("Binary"), .ids = &ask->id, .arena = arena};
    round->apart++;
    return arena != NULL;
}

void sl_apart_end(const struct sl_round *round, struct sl_ask *ask)
{
    if (ask->kind != SL_ASK_READ || ask->arena == round->arena)
        return;
    sl_arena_free(ask->arena);
    ask->arena = round->arena;
    ask->text = (struct sl_slice){NULL, 0};
}

/* Labels it by itself. SL_MISSING: it cannot be, since it refers to what is not here, or cannot be labelled. */
static enum sl_status label_alone(struct sl_exchange *x, struct sl_ask *ask, struct sl_item **out)
{
    struct sl_labeller *labeller = sl_labeller_new(ask->arena, x->policy, x->state->gateway->programs);
    struct sl_fetched *page;
    struct sl_slice *missing;
    size_t count;
    if (!labeller)
        return SL_NO_MEMORY;
    sl_labeller_registered(labeller, x->registered);
    enum sl_status status = sl_fetch_read(ask, &page);
    x->why = ask->why;
    SL_TRY(status);
    SL_TRY(sl_labeller_add(labeller, &page->doc, page->entries[0].root, (struct sl_slice){NULL, 0}, true, out));
    SL_TRY(sl_labeller_resolve(labeller, &missing, &count));
    return count || (*out)->unlabelled ? SL_MISSING : SL_OK;
}

static enum sl_status know(struct sl_exchange *x, struct sl_round *round, struct sl_ask *ask)
{
    const struct sl_gateway *gateway = x->state->gateway;
    struct sl_book_entry entry;
    struct sl_item *item = NULL, *known;
    SL_TRY(label_alone(x, ask, &item));
    SL_TRY(sl_book_entry_of(item, ask->arena, &entry));
    if (gateway->keeper)
        sl_keeper_note(gateway->keeper, &x->label_generation, gateway->config->upstream_url, item, x->now);
    return sl_labeller_know(sl_pass_labeller(round->pass), &entry, &known);
}

enum sl_status sl_apart_take(struct sl_exchange *x, struct sl_round *round, struct sl_ask *ask)
{
    size_t weight = 0;
    SL_TRY(sl_exchange_reserve(x, &weight, ask->text.len * WEIGHT));
    enum sl_status status = know(x, round, ask);
    sl_exchange_release(x, weight);
    if (status != SL_MISSING)
        return status;
    struct sl_slice text = sl_arena_copy(round->arena, ask->text); /* then it is one of the pass's records */
    sl_apart_end(round, ask);
    ask->text = text;
    return text.ptr ? SL_MISSING : SL_NO_MEMORY;
}
