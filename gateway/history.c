/* SPDX-License-Identifier: Apache-2.0 */
/* The history of one record: see history.h. That of many is history_wide.c. */
#include "history.h"

#include "history_parts.h"
#include "sluice/fault.h"
#include "view.h"

bool sl_history_is_wide(const struct sl_exchange *x)
{
    return x->interaction.kind == SL_HISTORY && !x->interaction.id.len;
}

/* ---- Fetching ---- */

/* What belongs to whoever points at it has no history of its own to be asked for; a Provenance says itself what it is
 * about. */
static bool has_history(sl_r4_node type)
{
    return !(sl_r4_facts(type) & SL_R4_BY_ROUTE) || type == SL_R4_Provenance;
}

enum sl_status sl_history_plan(struct sl_exchange *x)
{
    struct sl_errand *errand = sl_arena_alloc(x->arena, sizeof *errand);
    struct sl_history *history = sl_arena_alloc(x->arena, sizeof *history);
    if (!has_history(x->interaction.type) || !x->state->gateway->config->upstream_history)
        return SL_NOT_SUPPORTED;
    if (!errand || !history)
        return SL_NO_MEMORY;
    *errand = (struct sl_errand){.kind = SL_ASK_HISTORY, .type = x->interaction.type_name, .id = x->interaction.id};
    x->history = history;
    x->errands = errand;
    x->errand_count = 1;
    return SL_OK;
}

void sl_history_seek(struct sl_exchange *x)
{
    if (!x->history)
        return;
    x->history->left = x->at.skip;
    x->at = (struct sl_position){0}; /* the walk begins with the newest version all the same */
}

void sl_history_begin(struct sl_exchange *x, struct sl_round *round)
{
    sl_pass_begin_past(round->pass, &x->history->past);
}

/* From page to page of a server's no version may come behind an older one, either: fetch.c sees to it within each. */
static enum sl_status go_down(struct sl_exchange *x, const struct sl_fetched *page, const struct sl_entry *entry)
{
    struct sl_entry *above = &x->history->above;
    if (!x->state->gateway->config->upstream_url.len || sl_fault(SL_FAULT_VERSIONS_AS_TOLD))
        return SL_OK;
    if (entry == page->entries && above->match && !sl_fetch_follows(above, entry))
        return SL_UPSTREAM;
    if (entry + 1 == page->entries + page->count)
        *above = (struct sl_entry){.match = true,
            .version = sl_arena_copy(x->arena, entry->version),
            .updated = sl_arena_copy(x->arena, entry->updated)};
    return SL_OK;
}

enum sl_status sl_history_add(
    struct sl_exchange *x, struct sl_round *round, struct sl_fetched *page, const struct sl_entry *entry)
{
    SL_TRY(go_down(x, page, entry));
    struct sl_found *found = sl_arena_alloc(round->arena, sizeof *found);
    if (!found)
        return SL_NO_MEMORY;
    *found = (struct sl_found){.entry = entry, .page = page, .pass = round->pass, .match = true};
    if (!entry->deleted)
        SL_TRY(sl_pass_add_version(round->pass, &page->doc, entry->root, &found->item));
    if (round->last)
        round->last->next = found;
    else
        round->first = found;
    round->last = found;
    return SL_OK;
}

/* ---- Deciding ---- */

/* A deletion is known to who may see the version before it: it is the record that he misses. */
static void settle_deletions(struct sl_history *history, bool shown)
{
    for (struct sl_found *d = history->deletions; d; d = d->later)
        d->released = shown;
    history->deletions = NULL;
}

bool sl_history_judge(struct sl_exchange *x, struct sl_found *found, bool goes)
{
    struct sl_history *history = x->history;
    if (!found->item) {
        found->later = history->deletions;
        history->deletions = found;
        return false;
    }
    bool shown = goes && (!history->closed || sl_fault(SL_FAULT_PAST_ALONE));
    if (goes && !shown)
        sl_account_past(x, found);
    history->corrected = history->corrected || sl_past_is_correction(found->item->doc, found->item->span);
    /* What is withheld hides what is older, unless it was taken back; and the last version hides all in any case: it is
     * the record. */
    history->closed = history->closed || (!goes && (!history->corrected || !history->begun));
    history->begun = true;
    settle_deletions(history, shown);
    return shown;
}

enum sl_status sl_history_end(struct sl_exchange *x, const struct sl_round *round, bool *more)
{
    *more = !x->history->closed || sl_fault(SL_FAULT_PAST_ALONE);
    return sl_pass_past(round->pass, x->arena, &x->history->past);
}

/* ---- What is listed ---- */

static size_t count_founds(const struct sl_exchange *x)
{
    size_t count = 0;
    for (const struct sl_round *round = x->rounds; round; round = round->next)
        for (const struct sl_found *found = round->first; found; found = found->next)
            count += found->released;
    return count;
}

static bool same_view(const struct sl_found *a, const struct sl_found *b)
{
    return memcmp(a->item->tag, b->item->tag, SL_VIEW_TAG) == 0 && !sl_fault(SL_FAULT_EQUAL_VIEWS);
}

/* When it was deleted is told to whom it is told when what was deleted was made: a rule may cut instants. */
static void date(struct sl_found *deletion, const struct sl_found *last)
{
    deletion->dated = sl_view_updated(last->item, last->page->edits).len > 0;
}

/* From the oldest on: of a run of equal views the first, and a deletion of what was there. `list` is turned in place.
 */
static size_t keep_changes(struct sl_listed *list, size_t count)
{
    const struct sl_found *last = NULL; /* what was there last */
    bool there = false;
    size_t kept = count;
    for (size_t i = count; i-- > 0;) {
        struct sl_found *found = list[i].found;
        if (found->entry->deleted ? !there : there && same_view(last, found))
            continue;
        list[--kept] = (struct sl_listed){.of = list[i].of, .found = found, .oldest = !last, .made = !there};
        there = !found->entry->deleted;
        if (!there)
            date(found, last);
        last = found;
    }
    memmove(list, list + kept, (count - kept) * sizeof *list);
    return count - kept;
}

enum sl_status sl_history_list(struct sl_exchange *x, struct sl_listed **list, size_t *count)
{
    size_t most = count_founds(x);
    *count = 0;
    *list = sl_arena_array(x->arena, most + 1, sizeof **list);
    if (!*list)
        return SL_NO_MEMORY;
    for (struct sl_round *round = x->rounds; round; round = round->next)
        for (struct sl_found *found = round->first; found; found = found->next) {
            if (!found->released)
                continue;
            if (found->item)
                SL_TRY(sl_view_tag(x, found));
            (*list)[(*count)++] = (struct sl_listed){.of = x, .found = found};
        }
    *count = keep_changes(*list, *count);
    return SL_OK;
}

struct sl_slice sl_history_updated(const struct sl_found *found)
{
    struct sl_slice none = {NULL, 0};
    if (found->item)
        return sl_view_updated(found->item, found->page->edits);
    return found->dated ? found->entry->updated : none;
}

bool sl_history_is_since(const struct sl_exchange *x, const struct sl_found *found)
{
    struct sl_time_range since, when;
    if (!x->interaction.since.len)
        return true;
    return sl_time_range_read(x->interaction.since, &since) && sl_time_range_read(sl_history_updated(found), &when) &&
           when.from >= since.from;
}

/* Where a page begins is told by how many are left, so that a version that comes later moves nothing. */
static enum sl_status page_of_one(struct sl_exchange *x, const struct sl_listed **list, size_t *count, bool *more)
{
    struct sl_listed *all;
    size_t listed, kept = 0;
    SL_TRY(sl_history_list(x, &all, &listed));
    x->history->known = listed > 0;
    for (size_t i = 0; i < listed; i++)
        if (sl_history_is_since(x, all[i].found))
            all[kept++] = all[i];
    size_t left = x->first_page || x->history->left > kept ? kept : x->history->left, begin = kept - left;
    *list = all + begin;
    *count = left < x->wanted ? left : x->wanted;
    *more = left > x->wanted;
    x->following = (struct sl_position){.skip = (uint32_t)(left - *count)};
    return SL_OK;
}

enum sl_status sl_history_page(struct sl_exchange *x, const struct sl_listed **list, size_t *count, bool *more)
{
    return sl_history_is_wide(x) ? sl_history_page_of_many(x, list, count, more) : page_of_one(x, list, count, more);
}

bool sl_history_is_known(const struct sl_exchange *x)
{
    return sl_history_is_wide(x) || x->history->known;
}

enum sl_status sl_history_find(struct sl_exchange *x, struct sl_found **out)
{
    struct sl_listed *list;
    size_t count;
    *out = NULL;
    SL_TRY(sl_history_list(x, &list, &count));
    for (size_t i = 0; i < count && !*out; i++)
        if (list[i].found->item &&
            sl_slice_eq((struct sl_slice){list[i].found->item->tag, SL_VIEW_TAG}, x->interaction.version))
            *out = list[i].found;
    return SL_OK;
}

enum sl_status sl_history_gone(struct sl_exchange *x, bool *gone)
{
    struct sl_listed *list;
    size_t count;
    SL_TRY(sl_history_list(x, &list, &count));
    *gone = (count && list[0].found->entry->deleted) || sl_fault(SL_FAULT_GONE_FOR_ALL);
    return SL_OK;
}
