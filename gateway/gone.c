/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a record names and the upstream does not have: was it deleted? Then its last version is asked for, and is
 * context as what is there would be. So what names it goes to whoever could have had that version, as a 410 does
 * (history.c), and to nobody else: in their world there never was anything to be named. What never was is absent, and
 * stays named.
 *
 * Where the upstream cannot tell the two apart, neither is named to anybody. Each of these questions counts as work,
 * and beyond the bound of it the request is refused whole: a number of its own would tell how many there were that
 * nobody may see.
 */
#include "exchange.h"
#include "sluice/fault.h"

#define TOGETHER 16u

struct sl_lost {
    struct sl_slice type, id;
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

enum sl_status sl_gone_note(struct sl_exchange *x, struct sl_round *round, struct sl_slice type, struct sl_slice id)
{
    struct sl_labeller *labeller = sl_pass_labeller(round->pass);
    struct sl_slice name = name_of(round, type, id);
    struct sl_lost *lost = sl_arena_alloc(round->arena, sizeof *lost);
    if (!name.ptr || !lost)
        return SL_NO_MEMORY;
    if (sl_labeller_find(labeller, name))
        return SL_OK;
    if (is_named_to_all(type) || sl_fault(SL_FAULT_GONE_NAMED))
        return sl_labeller_absent(labeller, name, true);
    if (!x->state->gateway->config->upstream_history)
        return sl_labeller_untold(labeller, name);
    *lost = (struct sl_lost){type, id, round->lost};
    round->lost = lost;
    return SL_OK;
}

enum sl_status sl_gone_ask(struct sl_exchange *x, struct sl_round *round)
{
    struct sl_ask *asks = round->lost ? sl_arena_array(round->arena, TOGETHER, sizeof *asks) : NULL;
    if (!round->lost)
        return SL_OK;
    if (!asks)
        return SL_NO_MEMORY;
    round->contexts = asks;
    for (; round->lost && round->context_count < TOGETHER; round->lost = round->lost->next) {
        struct sl_ask *ask = &asks[round->context_count++];
        *ask = (struct sl_ask){.kind = SL_ASK_HISTORY,
            .type = round->lost->type,
            .id = round->lost->id,
            .count = 2, /* the deletion, and what was there before it */
            .arena = round->arena};
        sl_exchange_ask(x, ask);
    }
    return sl_exchange_spend(x, round->context_count) ? SL_OK : SL_WORK_LIMIT;
}

/* The newest version that is no deletion; false: the answer has none. */
static bool find_last(const struct sl_fetched *page, uint32_t *root)
{
    size_t i = 0;
    while (i < page->count && page->entries[i].deleted)
        i++;
    *root = i < page->count ? page->entries[i].root : 0;
    return i < page->count;
}

static enum sl_status take_last(
    struct sl_exchange *x, struct sl_round *round, struct sl_ask *ask, struct sl_slice name, size_t weight)
{
    struct sl_fetched *page;
    struct sl_item *item;
    uint32_t root;
    if (!sl_exchange_reserve(x, &round->reserved, weight))
        return SL_UNAVAILABLE;
    enum sl_status status = sl_fetch_read(ask, &page);
    if (status != SL_OK && status != SL_UPSTREAM)
        return status;
    if (status == SL_UPSTREAM || !find_last(page, &root)) /* what is no history tells nothing */
        return sl_labeller_untold(sl_pass_labeller(round->pass), name);
    SL_TRY(sl_pass_add(round->pass, &page->doc, root, (struct sl_slice){NULL, 0}, true, &item));
    item->gone = true;
    return SL_OK;
}

enum sl_status sl_gone_take(struct sl_exchange *x, struct sl_round *round, struct sl_ask *ask, size_t weight)
{
    struct sl_labeller *labeller = sl_pass_labeller(round->pass);
    struct sl_slice name = name_of(round, ask->type, ask->id);
    x->why = ask->why;
    if (!name.ptr)
        return SL_NO_MEMORY;
    if (ask->status == SL_NOT_FOUND && !ask->gone)
        return sl_labeller_absent(labeller, name, true);
    if (ask->status == SL_NOT_FOUND || ask->status == SL_NOT_SUPPORTED || ask->status == SL_LIMIT)
        return sl_labeller_untold(labeller, name);
    return ask->status == SL_OK ? take_last(x, round, ask, name, weight) : SL_UPSTREAM;
}
