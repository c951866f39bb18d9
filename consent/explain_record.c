/* SPDX-License-Identifier: Apache-2.0 */
/* A ledger record explained: each of its decisions made again and explained, and held against what is recorded. */
#include <stdlib.h>

#include "again.h"
#include "sluice/replay.h"

#define ARENA ((size_t)256 << 20)

struct explaining {
    const struct sl_policy *policy;
    const struct sl_record *record;
    struct sl_arena *arena;
    bool json;
    struct sl_buffer *out;
    size_t told, *disagreements;
};

/* The elements of a record that went, as recorded beside it. */
static enum sl_status find_elements(
    const struct explaining *e, const struct sl_recorded_item *item, struct sl_explained *explained)
{
    struct sl_explained_element *elements = sl_arena_array(e->arena, e->record->item_count + 1, sizeof *elements);
    size_t count = 0;
    if (!elements)
        return SL_NO_MEMORY;
    for (size_t i = 0; item->released && i < e->record->item_count; i++) {
        const struct sl_recorded_item *one = &e->record->items[i];
        if (one->path.len && sl_slice_eq(one->item, item->item))
            elements[count++] = (struct sl_explained_element){one->path, one->why, one->class, one->rule};
    }
    explained->elements = elements;
    explained->element_count = count;
    return SL_OK;
}

static void tell_untold(const struct explaining *e, const struct sl_recorded_item *item)
{
    if (e->json) {
        sl_buffer_add(e->out, SL_LIT("{\"item\":"));
        sl_buffer_json_string(e->out, item->item);
        sl_buffer_add(e->out, SL_LIT(",\"recorded\":\"without its ground\"}\n"));
    } else {
        sl_buffer_printf(
            e->out, "%.*s was recorded without its ground: it cannot be decided again\n", SL_FMT(item->item));
    }
}

static void tell_recorded(const struct explaining *e, const struct sl_recorded_item *item, struct sl_slice differs)
{
    const char *word = item->released ? "released" : "withheld";
    if (e->json) {
        sl_buffer_printf(e->out, "{\"recorded\":\"%s\",\"agrees\":%s,\"item\":", word, differs.len ? "false" : "true");
        sl_buffer_json_string(e->out, item->item);
        sl_buffer_add(e->out, SL_LIT("}\n"));
        return;
    }
    sl_buffer_printf(e->out, "recorded: %s", word);
    for (size_t i = 0; i < item->rules.count; i++)
        sl_buffer_printf(e->out, "%s%.*s", i ? ", " : ", relying on ", SL_FMT(item->rules.word[i]));
    if (!item->released)
        sl_buffer_printf(e->out, ", %.*s", SL_FMT(item->why));
    if (differs.len)
        sl_buffer_printf(e->out, "; IT DOES NOT COME OUT SO: %.*s\n\n", SL_FMT(differs));
    else
        sl_buffer_add(e->out, SL_LIT("; it comes out so again\n\n"));
}

static enum sl_status explain_item(struct explaining *e, const struct sl_recorded_item *item)
{
    struct sl_again again;
    struct sl_explained explained;
    if (!item->ground) {
        tell_untold(e, item);
        return SL_OK;
    }
    SL_TRY(sl_decide_again(e->arena, e->policy, e->policy, e->record, item, &again));
    again.item.verdict = &again.verdict;
    explained = (struct sl_explained){.ruling = again.ruling, .item = &again.item};
    SL_TRY(find_elements(e, item, &explained));
    SL_TRY(sl_explain_as(&explained, e->json, e->out));
    struct sl_slice differs = sl_again_differs(e->arena, item, &again);
    if (!differs.ptr)
        return SL_NO_MEMORY;
    *e->disagreements += differs.len > 0;
    tell_recorded(e, item, differs);
    return SL_OK;
}

static void tell_request(const struct explaining *e)
{
    const struct sl_record *r = e->record;
    if (e->json)
        return;
    sl_buffer_printf(e->out, "entry %llu, %.*s: %.*s asked for %.*s %.*s, purpose %.*s; answered %u",
        (unsigned long long)r->sequence, SL_FMT(r->time_text),
        SL_FMT(r->recipient.client.len ? r->recipient.client : SL_LIT("nobody known")), SL_FMT(r->kind),
        SL_FMT(r->type), SL_FMT(r->recipient.purpose), r->status);
    if (r->why.len)
        sl_buffer_printf(e->out, " (%.*s)", SL_FMT(r->why));
    sl_buffer_printf(e->out, "; generation %llu, policy %.16s…\n\n", (unsigned long long)r->generation,
        r->digest.len ? r->digest.ptr : "none");
}

enum sl_status sl_replay_explain(const struct sl_policy *policy, uint64_t sequence, struct sl_slice record,
    struct sl_slice item, bool json, struct sl_buffer *out, size_t *disagreements)
{
    struct sl_arena *arena = sl_arena_new(ARENA);
    struct sl_record *read = arena ? sl_arena_alloc(arena, sizeof *read) : NULL;
    struct explaining e = {
        .policy = policy, .record = read, .arena = arena, .json = json, .out = out, .disagreements = disagreements};
    *disagreements = 0;
    enum sl_status status = read ? sl_record_read(arena, sequence, record, read) : SL_NO_MEMORY;
    if (status == SL_OK)
        tell_request(&e);
    for (size_t i = 0; status == SL_OK && i < read->item_count; i++) {
        const struct sl_recorded_item *one = &read->items[i];
        if (!one->path.len && (!item.len || sl_slice_eq(one->item, item)))
            status = explain_item(&e, one);
    }
    sl_arena_free(arena);
    return status != SL_OK ? status : sl_buffer_failed(out) ? SL_LIMIT : SL_OK;
}

enum sl_status sl_replay_policy(
    struct sl_arena *arena, struct sl_slice record, uint64_t *generation, struct sl_slice *digest)
{
    struct sl_record *read = sl_arena_alloc(arena, sizeof *read);
    if (!read)
        return SL_NO_MEMORY;
    SL_TRY(sl_record_read(arena, 0, record, read));
    *generation = read->generation;
    *digest = read->digest;
    return SL_OK;
}
