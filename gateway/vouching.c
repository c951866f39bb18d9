/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has vouched for what AI wrote: Provenances point at what they are about, so that they are looked for, not
 * followed to. One question for a page of records that are not signed by what they say themselves
 * (Provenance?target=a,b,…), asked beside those for the references that labels lack; what it came to is in the label
 * book for as long as an entry counts. An EHR that refuses the question fails the request, unless the configuration
 * says not to ask (upstream.provenance).
 */
#include "exchange.h"

#define PAGE 200u  /* Provenances wanted at a time */
#define WEIGHT 12u /* as in round.c */
#define PREFIX "Provenance?target="

static struct sl_slice book_name(struct sl_arena *arena, struct sl_slice name)
{
    return sl_arena_join(arena, (const struct sl_slice[]){SL_LIT(PREFIX), name}, 2);
}

/* Does the book still say what all Provenances about it come to? */
static enum sl_status recall(struct sl_exchange *x, struct sl_round *round, struct sl_slice name, bool *known)
{
    const struct sl_gateway *gateway = x->state->gateway;
    struct sl_book_entry entry;
    struct sl_slice key = book_name(round->arena, name);
    *known = false;
    if (!key.ptr)
        return SL_NO_MEMORY;
    if (!gateway->keeper || sl_keeper_find(gateway->keeper, &x->label_generation, gateway->config->upstream_url, key,
                                x->now, round->arena, &entry) != SL_OK)
        return SL_OK;
    *known = true;
    if (!round->known_since || entry.stored < round->known_since)
        round->known_since = entry.stored;
    return sl_labeller_know_vouches(sl_pass_labeller(round->pass), name, &entry);
}

static void remember(struct sl_exchange *x, struct sl_round *round, const struct sl_ask *ask)
{
    const struct sl_gateway *gateway = x->state->gateway;
    struct sl_book_entry *entries = sl_arena_array(round->arena, ask->id_count, sizeof *entries);
    size_t count = 0;
    if (!gateway->keeper || !entries)
        return;
    for (size_t i = 0; i < ask->id_count; i++) {
        if (sl_book_entry_of_vouches(sl_pass_labeller(round->pass), ask->ids[i], &entries[count]) == SL_OK)
            entries[count++].reference = book_name(round->arena, ask->ids[i]);
    }
    if (!sl_arena_failed(round->arena))
        sl_keeper_note_entries(
            gateway->keeper, &x->label_generation, gateway->config->upstream_url, entries, count, x->now);
}

/* ---- Asking ---- */

static enum sl_status make_search(struct sl_round *round, struct sl_ask *ask)
{
    struct sl_search *search = sl_arena_alloc(round->arena, sizeof *search);
    struct sl_slice *parts = sl_arena_array(round->arena, 2 * ask->id_count, sizeof *parts);
    if (!search || !parts)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < ask->id_count; i++) {
        parts[2 * i] = i ? SL_LIT(",") : SL_LIT("target=");
        parts[2 * i + 1] = ask->ids[i];
    }
    struct sl_slice query = sl_arena_join(round->arena, parts, 2 * ask->id_count);
    if (!query.ptr)
        return SL_NO_MEMORY;
    ask->search = search;
    return sl_search_read(round->arena, SL_R4_Provenance, query, (struct sl_slice){NULL, 0}, NULL, search);
}

/* Names that the book does not know, in questions of SL_ASK_IDS_LIMIT each. */
static enum sl_status make_asks(
    struct sl_exchange *x, struct sl_round *round, struct sl_slice *names, size_t count, size_t *unknown)
{
    *unknown = 0;
    for (size_t i = 0; i < count; i++) {
        bool known;
        SL_TRY(recall(x, round, names[i], &known));
        if (!known)
            names[(*unknown)++] = names[i];
    }
    round->vouchings = sl_arena_array(round->arena, *unknown / SL_ASK_IDS_LIMIT + 1, sizeof *round->vouchings);
    if (!round->vouchings)
        return SL_NO_MEMORY;
    for (size_t at = 0; at < *unknown; at += SL_ASK_IDS_LIMIT) {
        struct sl_ask *ask = &round->vouchings[at / SL_ASK_IDS_LIMIT];
        *ask = (struct sl_ask){.kind = SL_ASK_PAGE,
            .type = SL_LIT("Provenance"),
            .ids = names + at,
            .id_count = *unknown - at < SL_ASK_IDS_LIMIT ? *unknown - at : SL_ASK_IDS_LIMIT,
            .count = PAGE,
            .arena = round->arena};
        SL_TRY(make_search(round, ask));
    }
    return SL_OK;
}

enum sl_status sl_vouching_ask(struct sl_exchange *x, struct sl_round *round)
{
    struct sl_slice *names;
    size_t count, unknown;
    if (round->vouching_count || !x->state->gateway->config->upstream_provenance)
        return SL_OK; /* what came in the meantime is asked for when this has been answered */
    SL_TRY(sl_labeller_unvouched(sl_pass_labeller(round->pass), &names, &count));
    if (!count)
        return SL_OK;
    SL_TRY(make_asks(x, round, names, count, &unknown));
    for (size_t at = 0; at < unknown; at += SL_ASK_IDS_LIMIT)
        sl_exchange_ask(x, &round->vouchings[round->vouching_count++]);
    return SL_OK;
}

/* ---- Answers ---- */

static enum sl_status take(struct sl_exchange *x, struct sl_round *round, struct sl_ask *ask, bool *more)
{
    struct sl_fetched *page;
    x->why = ask->status == SL_NOT_SUPPORTED ? "provenance-search-refused" : ask->why;
    if (ask->status != SL_OK)
        return SL_UPSTREAM;
    SL_TRY(sl_exchange_reserve(x, &round->reserved, ask->text.len * WEIGHT));
    enum sl_status status = sl_fetch_read(ask, &page);
    x->why = ask->why;
    SL_TRY(status);
    x->rows += page->count;
    if (x->rows > x->state->gateway->config->rows || sl_exchange_overdue(x))
        return SL_WORK_LIMIT;
    for (size_t i = 0; i < page->count; i++)
        if (page->entries[i].type == SL_R4_Provenance)
            SL_TRY(sl_labeller_vouch(sl_pass_labeller(round->pass), &page->doc, page->entries[i].root));
    *more = page->next.len > 0;
    if (!*more) {
        remember(x, round, ask);
        return SL_OK;
    }
    *ask = (struct sl_ask){.kind = SL_ASK_PAGE,
        .type = ask->type,
        .search = ask->search,
        .position = page->next,
        .ids = ask->ids,
        .id_count = ask->id_count,
        .count = PAGE,
        .arena = round->arena};
    return SL_OK;
}

enum sl_status sl_vouching_take(struct sl_exchange *x, struct sl_round *round)
{
    size_t left = 0, count = round->vouching_count;
    for (size_t i = 0; i < count; i++) {
        bool more = false;
        struct sl_ask *ask = &round->vouchings[i];
        enum sl_status status = take(x, round, ask, &more);
        if (status != SL_OK) {
            round->vouching_count = 0; /* all have been answered: none is to be withdrawn */
            return status;
        }
        if (more)
            round->vouchings[left++] = *ask;
    }
    round->vouching_count = 0;
    while (round->vouching_count < left)
        sl_exchange_ask(x, &round->vouchings[round->vouching_count++]);
    return SL_OK;
}
