/* SPDX-License-Identifier: Apache-2.0 */
/* Canaries as they are labelled, and whom to ask as: see sluice/canary.h. */
#include "sluice/canary.h"

#include "canary_make.h"

#define NOW 1767225600 /* 2026-01-01: the records' own time */

/* ---- The register ---- */

static struct sl_register_values value(struct sl_arena *arena, struct sl_slice text)
{
    struct sl_slice *copy = sl_arena_alloc(arena, sizeof *copy);
    if (copy)
        *copy = text;
    return (struct sl_register_values){copy, copy != NULL};
}

static struct sl_register_entry declare(
    const struct sl_policy *policy, const struct sl_canary *canary, struct sl_arena *arena)
{
    struct sl_register_entry entry = {.kind = SL_REGISTER_RECLASSIFICATION, .entered = NOW};
    struct sl_slice item = sl_arena_printf(arena, "%.*s/%.*s", SL_FMT(canary->type), SL_FMT(canary->id));
    entry.field[SL_REGISTER_ITEMS] = value(arena, item);
    entry.field[SL_REGISTER_HAS] = value(arena, policy->classes[canary->class_bit].id);
    entry.field[SL_REGISTER_LAW] = entry.field[SL_REGISTER_WHY] = entry.field[SL_REGISTER_BY] =
        value(arena, SL_LIT("self-test"));
    return entry;
}

static enum sl_status make_entries(const struct sl_policy *policy, struct sl_arena *arena, struct sl_canaries *out)
{
    out->entries.entry = sl_arena_array(arena, out->count + 1, sizeof *out->entries.entry);
    for (size_t i = 0; out->entries.entry && i < out->count; i++)
        if (out->one[i].registered)
            out->entries.entry[out->entries.count++] = declare(policy, &out->one[i], arena);
    return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}

/* ---- Labels ---- */

static struct sl_canary *canary_of(struct sl_canaries *canaries, struct sl_slice id)
{
    for (size_t i = 0; i < canaries->count; i++)
        if (sl_slice_eq(canaries->one[i].id, id))
            return &canaries->one[i];
    return NULL;
}

/* Labelled as any record is: what each has besides the class that it was made for. */
static enum sl_status label(struct sl_labeller *labeller, struct sl_arena *arena, struct sl_canaries *out)
{
    struct sl_slice rest = out->records, *missing;
    size_t count;
    while (rest.len) {
        const char *line_end = memchr(rest.ptr, '\n', rest.len);
        struct sl_slice line = {rest.ptr, line_end ? (size_t)(line_end - rest.ptr) : rest.len};
        struct sl_doc *doc = sl_arena_alloc(arena, sizeof *doc);
        struct sl_item *item;
        rest = sl_slice_from(rest, line.len + 1);
        if (!doc)
            return SL_NO_MEMORY;
        SL_TRY(sl_doc_parse(arena, line, NULL, doc, NULL));
        SL_TRY(sl_labeller_add(labeller, doc, 0, (struct sl_slice){NULL, 0}, false, &item));
    }
    do {
        SL_TRY(sl_labeller_resolve(labeller, &missing, &count));
        for (size_t i = 0; i < count; i++)
            SL_TRY(sl_labeller_absent(labeller, missing[i], true));
    } while (count);
    for (const struct sl_item *item = sl_labeller_items(labeller); item; item = item->next) {
        struct sl_canary *canary = item->container ? NULL : canary_of(out, item->id);
        if (!canary)
            continue;
        canary->classes = item->classes;
        for (uint32_t i = 0; canary->element && i < item->part_count; i++)
            sl_classes_join(&canary->classes, &item->parts[i].classes);
    }
    return SL_OK;
}

enum sl_status sl_canaries_make(const struct sl_policy *policy, const struct sl_programs *programs, bool whole,
    struct sl_arena *arena, struct sl_canaries *out)
{
    struct sl_issues quiet = {.arena = arena};
    struct sl_registered *registered = NULL;
    SL_TRY(sl_canaries_plant(policy, whole, arena, out));
    SL_TRY(make_entries(policy, arena, out));
    SL_TRY(sl_registered_new(policy, &out->entries, NOW, &quiet, &registered));
    struct sl_labeller *labeller = sl_labeller_new(arena, policy, programs);
    if (labeller)
        sl_labeller_registered(labeller, registered);
    enum sl_status status = labeller ? label(labeller, arena, out) : SL_NO_MEMORY;
    sl_registered_unref(registered);
    return status;
}

/* ---- Where everybody may have everything ---- */

static void fill_up(struct sl_classes *set, unsigned count)
{
    for (unsigned bit = 0; bit < count; bit++)
        sl_classes_add(set, bit);
}

/* Rules and grants are others; what records are, and who asks, is told as before. */
enum sl_status sl_canary_control(const struct sl_policy *policy, struct sl_arena *arena, struct sl_policy **out)
{
    struct sl_policy *open = sl_arena_alloc(arena, sizeof *open);
    struct sl_rule *rule = sl_arena_alloc(arena, sizeof *rule);
    struct sl_grant *grant = sl_arena_alloc(arena, sizeof *grant);
    struct sl_search_grant *search = sl_arena_alloc(arena, sizeof *search);
    if (!open || !rule || !grant || !search)
        return SL_NO_MEMORY;
    *rule = (struct sl_rule){.view = {.id = SL_LIT("self-test"), .title = SL_LIT("Everything goes.")},
        .layer = SL_LAYER_ORGANIZATION,
        .verdict = SL_RULE_RELEASE,
        .everyone = true,
        .purposes = ~(uint64_t)0};
    fill_up(&rule->data, policy->class_count);
    *grant = (struct sl_grant){.view = rule->view, .parties = ~(uint64_t)0, .purposes = ~(uint64_t)0, .may = ~0u};
    memset(grant->types, 0xff, sizeof grant->types);
    *search =
        (struct sl_search_grant){.view = rule->view, .parties = ~(uint64_t)0, .purposes = ~(uint64_t)0, .by = ~0u};
    *open = *policy;
    atomic_init(&open->references, 1); /* of the arena, which nobody gives back */
    open->rules = rule;
    open->rule_count = 1;
    open->grants = grant;
    open->grant_count = 1;
    open->restrictions = 0;
    open->searches = search;
    open->search_count = 1;
    *out = open;
    return SL_OK;
}

/* ---- Whom to ask as ---- */

static enum sl_status add_asker(const struct sl_policy *policy, unsigned party, struct sl_slice purpose,
    struct sl_arena *arena, struct sl_canary_asker *out)
{
    static const struct sl_emergency emergency = {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}, true, 0};
    struct sl_ruling *ruling;
    *out = (struct sl_canary_asker){.recipient = {.client = SL_LIT("self-test"),
                                        .party = policy->parties[party].id,
                                        .purpose = purpose,
                                        .emergency = policy->parties[party].emergency ? &emergency : NULL}};
    SL_TRY(sl_ruling_new(arena, policy, &out->recipient, NULL, 0, NULL, NOW, &ruling));
    for (unsigned bit = 0; bit < policy->class_count; bit++)
        if (sl_ruling_may(ruling, bit))
            sl_classes_add(&out->may, bit);
    out->admitted = sl_admit(policy, &out->recipient) == SL_OK;
    return SL_OK;
}

enum sl_status sl_canary_askers(
    const struct sl_policy *policy, struct sl_arena *arena, struct sl_canary_asker **out, size_t *count)
{
    *count = 0;
    *out = sl_arena_array(arena, policy->party_count + 1, sizeof **out);
    if (!*out)
        return SL_NO_MEMORY;
    for (unsigned p = 0; p < policy->party_count; p++)
        if (!policy->parties[p].builtin)
            SL_TRY(add_asker(policy, p, sl_policy_usual_purpose(policy, p), arena, &(*out)[(*count)++]));
    return SL_OK;
}
