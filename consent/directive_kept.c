/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What persons have directed, kept from one request to the next as it was read. All of it was read in one state of the
 * store, whose number stands beside it: what is asked for in another state is read anew, and with the first that is
 * read in a later one everything before goes. So nothing here can be older than the state that it is asked for in, and
 * whether that is still the store's is what the exchange asks before it answers, as of its policy.
 *
 * Nothing here depends on time, policy or who asks: it is what the Consents say. Lists are settled, met and joined by
 * those who get them, so each gets a copy that shares no byte with what is kept.
 */
#include <stdlib.h>

#include "directive_model.h"
#include "hash.h"
#include "sluice/fault.h"
#include "sluice/store.h"

#define SLOTS 1024u /* of the table; a power of two */
#define PERSONS 4096u
#define PER_PERSON 64u /* Consents of one who is kept: far more than anybody signs */

struct kept {
    struct kept *next;
    struct sl_slice patient;
    struct sl_directives list;
};

struct sl_directives_kept {
    struct sl_arena *arena;
    uint64_t version; /* of the store, in which all of it was read; 0: there is none */
    size_t count;
    struct kept *slots[SLOTS];
};

struct sl_directives_kept *sl_directives_kept_new(size_t bytes)
{
    struct sl_directives_kept *kept = calloc(1, sizeof *kept);
    if (kept)
        kept->arena = sl_arena_new(bytes);
    if (kept && kept->arena)
        return kept;
    free(kept);
    return NULL;
}

void sl_directives_kept_free(struct sl_directives_kept *kept)
{
    if (!kept)
        return;
    sl_arena_free(kept->arena);
    free(kept);
}

/* ---- Copies ---- */

static struct sl_slice copy_text(struct sl_arena *arena, struct sl_slice text)
{
    return text.len ? sl_arena_copy(arena, text) : (struct sl_slice){NULL, 0};
}

static void copy_values(struct sl_arena *arena, struct sl_values *values)
{
    struct sl_value *value = values->count ? sl_arena_raw(arena, values->count, sizeof *value) : NULL;
    for (uint32_t i = 0; value && i < values->count; i++) {
        value[i] = values->value[i];
        value[i].system = copy_text(arena, value[i].system);
        value[i].code = copy_text(arena, value[i].code);
        value[i].display = copy_text(arena, value[i].display);
    }
    values->value = value;
}

static void copy_provisions(struct sl_arena *arena, struct sl_directive *d)
{
    struct sl_provision *provision = sl_arena_raw(arena, d->provision_count, sizeof *provision);
    for (uint32_t i = 0; provision && i < d->provision_count; i++) {
        struct sl_provision *p = &provision[i];
        *p = d->provisions[i];
        struct sl_values *const criteria[] = {
            &p->actors, &p->actions, &p->labels, &p->purposes, &p->classes, &p->codes, &p->data};
        for (size_t k = 0; k < sizeof criteria / sizeof *criteria; k++)
            copy_values(arena, criteria[k]);
    }
    d->provisions = provision;
}

static void copy_one(struct sl_arena *arena, struct sl_directive *d)
{
    struct sl_values *const values[] = {
        &d->categories, &d->policy_rules, &d->policy_uris, &d->performers, &d->organizations};
    struct sl_slice *const texts[] = {&d->id, &d->patient, &d->matter, &d->matter_purposes};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        copy_values(arena, values[i]);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = copy_text(arena, *texts[i]);
    for (size_t i = 0; i < d->source_count; i++)
        d->sources[i] = copy_text(arena, d->sources[i]);
    copy_provisions(arena, d);
}

/* As they were read: before anybody has joined, settled or met them. */
static enum sl_status copy_all(const struct sl_directives *list, struct sl_arena *arena, struct sl_directives *out)
{
    *out = (struct sl_directives){0};
    for (const struct sl_directive *d = list->first; d; d = sl_directive_next(d)) {
        struct sl_directive *copy = sl_arena_raw(arena, 1, sizeof *copy);
        if (!copy)
            return SL_NO_MEMORY;
        *copy = *d;
        copy->next = NULL;
        SL_ASSERT(!d->kin);
        copy_one(arena, copy);
        struct sl_directives one = {.first = copy, .last = copy, .count = 1};
        sl_directives_join(out, &one);
    }
    return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}

/* ---- What is kept ---- */

static struct kept **slot_of(struct sl_directives_kept *kept, struct sl_slice patient)
{
    return &kept->slots[sl_hash(patient, 0) & (SLOTS - 1)];
}

static const struct kept *find(struct sl_directives_kept *kept, struct sl_slice patient)
{
    const struct kept *one = *slot_of(kept, patient);
    while (one && !sl_slice_eq(one->patient, patient))
        one = one->next;
    return one;
}

static void forget(struct sl_directives_kept *kept, uint64_t version)
{
    sl_arena_reset(kept->arena);
    memset(kept->slots, 0, sizeof kept->slots);
    kept->count = 0;
    kept->version = version;
}

/* Where it has no room all that is there goes: those who are asked for again are kept again. */
static void keep(
    struct sl_directives_kept *kept, uint64_t version, struct sl_slice patient, const struct sl_directives *list)
{
    if (version != kept->version || kept->count == PERSONS)
        forget(kept, version);
    if (list->count > PER_PERSON || find(kept, patient))
        return;
    struct kept *one = sl_arena_alloc(kept->arena, sizeof *one), **slot = slot_of(kept, patient);
    if (one) {
        one->patient = sl_arena_copy(kept->arena, patient);
        one->next = *slot;
    }
    if (!one || copy_all(list, kept->arena, &one->list) != SL_OK) {
        forget(kept, version);
        return;
    }
    *slot = one;
    kept->count++;
}

enum sl_status sl_directives_of_kept(struct sl_directives_kept *kept, struct sl_store *store, uint64_t version,
    struct sl_slice patient, struct sl_arena *arena, struct sl_directives *out)
{
    uint64_t seen;
    bool same = version == kept->version || sl_fault(SL_FAULT_DIRECTED_BEFORE);
    const struct kept *one = version && same ? find(kept, patient) : NULL;
    if (one)
        return copy_all(&one->list, arena, out);
    SL_TRY(sl_directives_seen(store, patient, arena, out, &seen));
    if (seen)
        keep(kept, seen, patient, out);
    return SL_OK;
}
