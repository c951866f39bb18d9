/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a record names and the upstream does not have: was it deleted? Then its last version is asked for, and is
 * context as what is there would be. So what names it goes to whoever could have had that version, as a 410 does
 * (history.c), and to nobody else: in their world there never was anything to be named. What never was is absent, and
 * stays named.
 *
 * Where the upstream cannot tell the two apart, neither is named to anybody. Many are asked for in one batch, by
 * themselves where the server takes none; each question counts as work, and beyond the bound of it the request is
 * refused whole: a number of its own would tell how many there were that nobody may see. What came of it is in the
 * label book for as long as an entry counts.
 */
#include "exchange.h"
#include "sluice/fault.h"
#include "write.h"

#define TOGETHER 16u    /* questions at a time: as many connections are taken */
#define BATCH 32u       /* histories in one */
#define UNBATCHED_S 600 /* for so long a server that has failed to answer a batch is asked for none */

struct sl_lost {
    struct sl_slice type, id;
    enum sl_book_state state; /* of what has been found out */
    struct sl_lost *next;
};

static struct sl_slice name_of(const struct sl_round *round, struct sl_slice type, struct sl_slice id)
{
    return sl_arena_join(round->arena, (const struct sl_slice[]){type, SL_LIT("/"), id}, 3);
}

/* The directory, and what is had by who points at it: withheld from nobody, so what names it stays, whatever it was. */
static bool is_named_to_all(struct sl_slice type)
{
    return sl_r4_facts(sl_r4_resource(type)) & (SL_R4_BY_ROUTE | SL_R4_DIRECTORY);
}

static bool push(struct sl_round *round, struct sl_lost **list, struct sl_lost lost)
{
    struct sl_lost *node = sl_arena_alloc(round->arena, sizeof *node);
    if (!node)
        return false;
    lost.next = *list;
    *node = lost;
    *list = node;
    return true;
}

/* ---- What was found out ---- */

/* It is not there: absent or untold. What a client's own words name is not kept: to ask for names that are yet to be
 * given would have what they are given to named for a while. */
static enum sl_status settle(
    struct sl_exchange *x, struct sl_round *round, struct sl_slice type, struct sl_slice id, enum sl_book_state state)
{
    struct sl_labeller *labeller = sl_pass_labeller(round->pass);
    struct sl_slice name = name_of(round, type, id);
    bool kept = x->state->gateway->keeper && (!sl_write_is_made(x) || sl_fault(SL_FAULT_ABSENCE_TAKEN));
    if (!name.ptr || (kept && !push(round, &round->settled, (struct sl_lost){type, id, state, NULL})))
        return SL_NO_MEMORY;
    return state == SL_BOOK_ABSENT ? sl_labeller_absent(labeller, name, true) : sl_labeller_untold(labeller, name);
}

static void remember(struct sl_exchange *x, struct sl_round *round)
{
    const struct sl_gateway *gateway = x->state->gateway;
    size_t count = 0;
    for (const struct sl_lost *one = round->settled; one; one = one->next)
        count++;
    struct sl_book_entry *entries = count ? sl_arena_array(round->arena, count, sizeof *entries) : NULL;
    for (size_t i = 0; entries && i < count; i++, round->settled = round->settled->next)
        entries[i] = (struct sl_book_entry){
            .state = round->settled->state, .reference = name_of(round, round->settled->type, round->settled->id)};
    round->settled = NULL;
    if (entries && !sl_arena_failed(round->arena))
        sl_keeper_note_entries(
            gateway->keeper, &x->label_generation, gateway->config->upstream_url, entries, count, x->now);
}

enum sl_status sl_gone_note(struct sl_exchange *x, struct sl_round *round, struct sl_slice type, struct sl_slice id)
{
    struct sl_slice name = name_of(round, type, id);
    if (!name.ptr)
        return SL_NO_MEMORY;
    if (sl_labeller_find(sl_pass_labeller(round->pass), name))
        return SL_OK;
    if (is_named_to_all(type) || sl_fault(SL_FAULT_GONE_NAMED))
        return settle(x, round, type, id, SL_BOOK_ABSENT);
    if (!x->state->gateway->config->upstream_history)
        return settle(x, round, type, id, SL_BOOK_UNTOLD);
    return push(round, &round->lost, (struct sl_lost){.type = type, .id = id}) ? SL_OK : SL_NO_MEMORY;
}

/* ---- Asking ---- */

static void make_history(struct sl_round *round, struct sl_ask *ask)
{
    *ask = (struct sl_ask){.kind = SL_ASK_HISTORY,
        .type = round->lost->type,
        .id = round->lost->id,
        .count = 2, /* the deletion, and what was there before it */
        .arena = round->arena};
    round->lost = round->lost->next;
}

static bool make_batch(struct sl_round *round, struct sl_ask *ask)
{
    *ask = (struct sl_ask){
        .kind = SL_ASK_BATCH, .parts = sl_arena_array(round->arena, BATCH, sizeof *ask->parts), .arena = round->arena};
    while (ask->parts && round->lost && ask->part_count < BATCH)
        make_history(round, &ask->parts[ask->part_count++]);
    return ask->parts != NULL;
}

static bool takes_batches(const struct sl_exchange *x, const struct sl_round *round)
{
    const struct sl_gateway *gateway = x->state->gateway;
    return !gateway->records && gateway->config->upstream_batch && !round->unbatched &&
           x->now >= x->state->unbatched_until;
}

enum sl_status sl_gone_ask(struct sl_exchange *x, struct sl_round *round)
{
    if (!round->lost) {
        remember(x, round);
        return SL_OK;
    }
    bool batched = round->lost->next && takes_batches(x, round);
    round->contexts = sl_arena_array(round->arena, TOGETHER, sizeof *round->contexts);
    if (!round->contexts)
        return SL_NO_MEMORY;
    while (round->lost && round->context_count < TOGETHER) {
        struct sl_ask *ask = &round->contexts[round->context_count];
        if (!batched)
            make_history(round, ask);
        else if (!make_batch(round, ask))
            return SL_NO_MEMORY;
        round->context_count++;
        sl_exchange_ask(x, ask);
    }
    return sl_exchange_spend(x, round->context_count) ? SL_OK : SL_WORK_LIMIT;
}

/* ---- Answers ---- */

/* The newest version that is no deletion; false: the answer has none. */
static bool find_last(const struct sl_fetched *page, uint32_t *root)
{
    size_t i = 0;
    while (i < page->count && page->entries[i].deleted)
        i++;
    *root = i < page->count ? page->entries[i].root : 0;
    return i < page->count;
}

static enum sl_status take_last(struct sl_exchange *x, struct sl_round *round, struct sl_ask *ask, size_t weight)
{
    struct sl_fetched *page;
    struct sl_item *item;
    uint32_t root;
    SL_TRY(sl_exchange_reserve(x, &round->reserved, weight));
    enum sl_status status = sl_fetch_read(ask, &page);
    if (status != SL_OK && status != SL_UPSTREAM)
        return status;
    if (status == SL_UPSTREAM || !find_last(page, &root)) /* what is no history tells nothing */
        return settle(x, round, ask->type, ask->id, SL_BOOK_UNTOLD);
    SL_TRY(sl_pass_add(round->pass, &page->doc, root, (struct sl_slice){NULL, 0}, true, &item));
    item->gone = true;
    return SL_OK;
}

static enum sl_status take_history(struct sl_exchange *x, struct sl_round *round, struct sl_ask *ask, size_t weight)
{
    x->why = ask->why;
    if (ask->status == SL_NOT_FOUND && !ask->gone)
        return settle(x, round, ask->type, ask->id, SL_BOOK_ABSENT);
    if (ask->status == SL_NOT_FOUND || ask->status == SL_NOT_SUPPORTED || ask->status == SL_LIMIT)
        return settle(x, round, ask->type, ask->id, SL_BOOK_UNTOLD);
    return ask->status == SL_OK ? take_last(x, round, ask, weight) : SL_UPSTREAM;
}

/* A batch is a shorter way to ask, and decides nothing: what it failed to answer is asked for again, each by itself.
 * One that was too large says nothing of the next. */
static enum sl_status ask_alone(struct sl_exchange *x, struct sl_round *round, const struct sl_ask *batch)
{
    round->unbatched = true;
    if (batch->status != SL_LIMIT)
        x->state->unbatched_until = x->now + UNBATCHED_S;
    for (size_t i = 0; i < batch->part_count; i++)
        if (!push(round, &round->lost, (struct sl_lost){.type = batch->parts[i].type, .id = batch->parts[i].id}))
            return SL_NO_MEMORY;
    return SL_OK;
}

static enum sl_status take_batch(struct sl_exchange *x, struct sl_round *round, struct sl_ask *batch, size_t factor)
{
    if (batch->status != SL_OK)
        return ask_alone(x, round, batch);
    SL_TRY(sl_exchange_reserve(x, &round->reserved, batch->text.len * factor));
    enum sl_status status = sl_fetch_split(batch);
    if (status != SL_OK)
        return status == SL_UPSTREAM ? ask_alone(x, round, batch) : status;
    for (size_t i = 0; i < batch->part_count && status == SL_OK; i++)
        status = take_history(x, round, &batch->parts[i], batch->parts[i].text.len * factor);
    return status;
}

enum sl_status sl_gone_take(struct sl_exchange *x, struct sl_round *round, struct sl_ask *ask, size_t factor)
{
    return ask->kind == SL_ASK_BATCH ? take_batch(x, round, ask, factor)
                                     : take_history(x, round, ask, ask->text.len * factor);
}
