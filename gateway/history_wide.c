/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history of a type, or of all: see history.h. The upstream's pages are walked as a search's are; whatever record
 * turns up is asked for once, with its whole history, as the recipient; and of the versions on a page those stay that
 * are listed there. What was hidden costs work, against the one bound.
 */
#include "history_parts.h"

#define TOGETHER 16u /* records looked at together */

/* A record that turned up. */
struct looked {
    sl_r4_node type;
    struct sl_slice id;
    struct sl_exchange *inner; /* NULL: begun and dropped, since nothing of it goes */
    struct sl_listed *list;
    size_t count;
    struct looked *next; /* of the same slot */
};

#define SLOTS 1024u

struct sl_wide {
    struct sl_ask ask;
    struct sl_position at; /* of the page at hand */
    struct sl_fetched *page;
    size_t begun;                     /* entries of the page whose records have been asked for */
    struct looked *pending[TOGETHER]; /* under way */
    size_t pending_count;
    struct looked *slots[SLOTS];
    struct sl_listed *list; /* of our page: one more than wanted says that there is a next */
    size_t count;
    bool asked, ended;
};

static struct looked **slot_of(struct sl_wide *wide, const struct sl_entry *entry)
{
    uint64_t h = 0xcbf29ce484222325u ^ entry->type;
    for (size_t i = 0; i < entry->id.len; i++)
        h = (h ^ (unsigned char)entry->id.ptr[i]) * 0x100000001b3u;
    struct looked **at = &wide->slots[(h ^ h >> 29) & (SLOTS - 1)];
    while (*at && ((*at)->type != entry->type || !sl_slice_eq((*at)->id, entry->id)))
        at = &(*at)->next;
    return at;
}

/* ---- The upstream's page ---- */

static enum sl_status begin_wide(struct sl_exchange *x)
{
    x->wide = sl_arena_alloc(x->arena, sizeof *x->wide);
    if (!x->wide)
        return SL_NO_MEMORY;
    x->wide->at = x->at;
    x->wide->list = sl_arena_array(x->arena, x->wanted + 1, sizeof *x->wide->list);
    return x->wide->list ? SL_OK : SL_NO_MEMORY;
}

static void ask_page(struct sl_exchange *x, struct sl_wide *wide)
{
    wide->ask = (struct sl_ask){.kind = SL_ASK_HISTORY,
        .type = x->interaction.type_name,
        .since = x->interaction.since,
        .position = wide->at.upstream,
        .count = x->wanted + 1,
        .arena = x->arena};
    wide->asked = true;
    sl_exchange_ask(x, &wide->ask);
}

static enum sl_status take_page(struct sl_exchange *x, struct sl_wide *wide)
{
    x->why = wide->ask.why;
    wide->asked = false;
    if (wide->ask.status != SL_OK)
        return wide->ask.status == SL_NOT_SUPPORTED ? SL_NOT_SUPPORTED : SL_UPSTREAM;
    SL_TRY(sl_exchange_reserve(
        x, &x->reserved, wide->ask.text.len * 4)); /* text and spans; what goes is the inner ones' */
    enum sl_status status = sl_fetch_read(&wide->ask, &wide->page);
    x->why = wide->ask.why;
    SL_TRY(status);
    wide->begun = wide->at.skip;
    return sl_exchange_spend(x, wide->page->count) ? SL_OK : SL_WORK_LIMIT;
}

/* ---- The records on it ---- */

static enum sl_status look(struct sl_exchange *x, struct sl_wide *wide, const struct sl_entry *entry)
{
    struct looked **slot = slot_of(wide, entry);
    if (*slot)
        return SL_OK;
    struct looked *one = sl_arena_alloc(x->arena, sizeof *one);
    if (!one)
        return SL_NO_MEMORY;
    *one = (struct looked){.type = entry->type, .id = entry->id};
    *slot = one;
    const struct sl_interaction interaction = {
        .kind = SL_HISTORY, .type = entry->type, .type_name = sl_r4_node_name(entry->type), .id = entry->id};
    SL_TRY(sl_inner_view(x, &interaction, &one->inner));
    wide->pending[wide->pending_count++] = one;
    return SL_OK;
}

static enum sl_status look_on(struct sl_exchange *x, struct sl_wide *wide)
{
    for (; wide->begun < wide->page->count && wide->pending_count < TOGETHER; wide->begun++)
        SL_TRY(look(x, wide, &wide->page->entries[wide->begun]));
    return SL_OK;
}

/* A part of ours that failed fails the whole; what is not to be had is not there. */
static enum sl_status take_one(struct sl_exchange *x, struct looked *one)
{
    enum sl_status status = one->inner->status;
    if (sl_status_http(status) == 503) {
        x->why = one->inner->why;
        return status;
    }
    if (status == SL_OK)
        SL_TRY(sl_history_list(one->inner, &one->list, &one->count));
    if (!one->count) {
        sl_inner_drop(one->inner);
        one->inner = NULL;
    }
    return SL_OK;
}

static enum sl_status take_looked(struct sl_exchange *x, struct sl_wide *wide)
{
    for (size_t i = 0; i < wide->pending_count; i++)
        SL_TRY(take_one(x, wide->pending[i]));
    wide->pending_count = 0;
    return SL_OK;
}

/* ---- Our page ---- */

static const struct sl_listed *find_listed(const struct looked *one, const struct sl_entry *entry)
{
    for (size_t i = 0; i < one->count; i++)
        if (one->list[i].found->entry->deleted == entry->deleted &&
            sl_slice_eq(one->list[i].found->entry->version, entry->version))
            return &one->list[i];
    return NULL;
}

/* False: our page is full. */
static bool gather(struct sl_exchange *x, struct sl_wide *wide)
{
    for (size_t i = wide->at.skip; i < wide->page->count; i++) {
        const struct sl_entry *entry = &wide->page->entries[i];
        const struct sl_listed *listed = entry->version.len ? find_listed(*slot_of(wide, entry), entry) : NULL;
        if (!listed || !sl_history_is_since(x, listed->found))
            continue;
        if (x->passing) {
            x->passing--;
            continue;
        }
        if (wide->count == x->wanted) {
            x->following = wide->at;
            x->following.passed = (uint32_t)(x->skipped + x->wanted);
            x->following.skip = (uint32_t)i;
            wide->count++;
            return false;
        }
        wide->list[wide->count++] = *listed;
    }
    return true;
}

static enum sl_status turn_page(struct sl_exchange *x, struct sl_wide *wide)
{
    bool going = gather(x, wide);
    struct sl_slice next = wide->page->next;
    wide->page = NULL;
    wide->ended = !going || !next.len;
    wide->at = (struct sl_position){.upstream = next};
    return SL_OK;
}

/* One thing at a time: a page, the records on it, some together, and then the next. */
static enum sl_status go_on(struct sl_exchange *x, struct sl_wide *wide)
{
    if (wide->asked)
        return take_page(x, wide);
    if (!wide->page) {
        ask_page(x, wide);
        return SL_OK;
    }
    SL_TRY(take_looked(x, wide));
    SL_TRY(look_on(x, wide));
    return wide->pending_count ? SL_OK : turn_page(x, wide);
}

enum sl_step_result sl_history_fetch(struct sl_exchange *x)
{
    enum sl_status status = x->wide ? SL_OK : begin_wide(x);
    x->exhausted = true;
    while (status == SL_OK && !x->wide->ended) {
        if (x->outstanding)
            return SL_STEP_WAIT;
        if (sl_exchange_tired(x))
            return SL_STEP_AGAIN;
        status = go_on(x, x->wide);
        if (sl_round_is_displaced(x, &x->wide->at, status))
            return sl_exchange_again(x);
    }
    return status == SL_OK ? SL_STEP_DONE : sl_exchange_fail(x, status, x->why ? x->why : "history");
}

void sl_history_drop(struct sl_exchange *x)
{
    if (x->wide && x->wide->asked && !x->wide->ask.finished) {
        sl_upstream_cancel(x->state->upstream, &x->wide->ask);
        x->outstanding--;
    }
    x->wide = NULL;
    x->history = NULL;
}

enum sl_status sl_history_page_of_many(struct sl_exchange *x, const struct sl_listed **list, size_t *count, bool *more)
{
    *more = x->wide->count > x->wanted;
    *list = x->wide->list;
    *count = *more ? x->wanted : x->wide->count;
    return SL_OK;
}
