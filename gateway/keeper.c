/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that writes the label book: see keeper.h. */
#include "keeper.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "loop.h"

#define BATCHES 16u /* under way; further ones are dropped */
#define BATCH_ENTRIES 256u
#define BATCH_BYTES ((size_t)1024 * 1024)

struct sl_keeper {
    struct sl_book *book;
    int64_t max_age;
    struct sl_loop loop;
    pthread_t thread;
    bool opened, started, failed; /* failed: said once; the thread's own */
    struct sl_task stop;
    atomic_uint batches;
};

struct batch {
    struct sl_task task;
    struct sl_keeper *keeper;
    struct sl_arena *arena; /* the batch itself lives there */
    struct sl_label_generation generation;
    struct sl_slice server;
    struct sl_book_entry *entries;
    size_t count;
    int64_t stored;
};

/* ---- Its thread ---- */

static void write_batch(struct sl_task *task)
{
    struct batch *batch = task->context;
    struct sl_keeper *keeper = batch->keeper;
    enum sl_status status =
        sl_book_put(keeper->book, &batch->generation, batch->server, batch->entries, batch->count, batch->stored);
    if (status != SL_OK && !keeper->failed) {
        keeper->failed = true;
        fprintf(stderr, "sluice: the label book cannot be written (%s); references are asked for each time\n",
            sl_status_name(status));
    }
    sl_arena_free(batch->arena);
    atomic_fetch_sub(&keeper->batches, 1);
}

static void end(struct sl_task *task)
{
    struct sl_keeper *keeper = task->context;
    sl_loop_stop(&keeper->loop);
}

static void *run(void *context)
{
    struct sl_keeper *keeper = context;
    sl_loop_run(&keeper->loop);
    return NULL;
}

static enum sl_status start(struct sl_keeper *keeper, const char *directory, struct sl_issues *issues)
{
    SL_TRY(sl_book_open(directory, true, issues, &keeper->book));
    SL_TRY(sl_loop_init(&keeper->loop));
    keeper->opened = true;
    if (pthread_create(&keeper->thread, NULL, run, keeper) != 0)
        return SL_UNAVAILABLE;
    keeper->started = true;
    pthread_setname_np(keeper->thread, "sluice-book");
    return SL_OK;
}

enum sl_status sl_keeper_new(const char *directory, int64_t max_age, struct sl_issues *issues, struct sl_keeper **out)
{
    *out = NULL;
    struct sl_keeper *keeper = calloc(1, sizeof *keeper);
    if (!keeper)
        return SL_NO_MEMORY;
    keeper->max_age = max_age;
    enum sl_status status = start(keeper, directory, issues);
    if (status != SL_OK) {
        sl_keeper_free(keeper);
        return status;
    }
    *out = keeper;
    return SL_OK;
}

void sl_keeper_free(struct sl_keeper *keeper)
{
    if (!keeper)
        return;
    if (keeper->started) {
        keeper->stop = (struct sl_task){.call = end, .context = keeper};
        sl_loop_post(
            &keeper->loop, &keeper->stop); /* tasks run in the order of posting: what was given before is written */
        pthread_join(keeper->thread, NULL);
    }
    if (keeper->opened)
        sl_loop_fini(&keeper->loop);
    sl_book_close(keeper->book);
    free(keeper);
}

/* ---- From the workers ---- */

enum sl_status sl_keeper_find(struct sl_keeper *keeper, const struct sl_label_generation *generation,
    struct sl_slice server, struct sl_slice reference, int64_t now, struct sl_arena *arena, struct sl_book_entry *out)
{
    return sl_book_get(keeper->book, generation, server, reference, now, keeper->max_age, arena, out);
}

static const struct sl_slice *copy_patients(struct sl_arena *arena, const struct sl_book_entry *entry)
{
    struct sl_slice *copy = sl_arena_array(arena, entry->patient_count, sizeof *copy);
    for (uint32_t i = 0; copy && i < entry->patient_count; i++)
        copy[i] = sl_arena_copy(arena, entry->patients[i]);
    return copy;
}

static const struct sl_derived *copy_derived(struct sl_arena *arena, const struct sl_book_entry *entry)
{
    struct sl_derived *copy = sl_arena_array(arena, entry->derived_count, sizeof *copy);
    for (uint32_t i = 0; copy && i < entry->derived_count; i++)
        copy[i] = (struct sl_derived){
            sl_arena_copy(arena, entry->derived[i].reference), sl_arena_copy(arena, entry->derived[i].version)};
    return copy;
}

/* What the entry borrows is the exchange's; it becomes the batch's own. */
static void own(struct batch *batch, struct sl_book_entry *entry)
{
    entry->reference = sl_arena_copy(batch->arena, entry->reference);
    entry->version = sl_arena_copy(batch->arena, entry->version);
    entry->program = sl_arena_copy(batch->arena, entry->program);
    entry->named_program = sl_arena_copy(batch->arena, entry->named_program);
    entry->custodian = sl_arena_copy(batch->arena, entry->custodian);
    entry->patients = copy_patients(batch->arena, entry);
    entry->derived = copy_derived(batch->arena, entry);
    batch->count += !sl_arena_failed(batch->arena);
}

static void keep(struct batch *batch, const struct sl_item *item)
{
    struct sl_book_entry *entry = &batch->entries[batch->count];
    if (sl_book_entry_of(item, batch->arena, entry) == SL_OK)
        own(batch, entry);
}

static struct batch *new_batch(
    struct sl_keeper *keeper, const struct sl_label_generation *generation, struct sl_slice server, int64_t stored)
{
    struct sl_arena *arena = sl_arena_new(BATCH_BYTES);
    struct batch *batch = arena ? sl_arena_alloc(arena, sizeof *batch) : NULL;
    if (!batch) {
        sl_arena_free(arena);
        return NULL;
    }
    *batch = (struct batch){.task = {.call = write_batch, .context = batch},
        .keeper = keeper,
        .arena = arena,
        .generation = *generation,
        .server = sl_arena_copy(arena, server),
        .stored = stored};
    batch->entries = sl_arena_array(arena, BATCH_ENTRIES, sizeof *batch->entries);
    if (!sl_arena_failed(arena))
        return batch;
    sl_arena_free(arena);
    return NULL;
}

static bool is_noted(const struct sl_item *item)
{
    return item->context && item->doc; /* without a document it came from the book */
}

/* NULL: too many are under way, and what was to be noted is dropped. */
static struct batch *begin_batch(
    struct sl_keeper *keeper, const struct sl_label_generation *generation, struct sl_slice server, int64_t stored)
{
    struct batch *batch = NULL;
    if (atomic_fetch_add(&keeper->batches, 1) < BATCHES)
        batch = new_batch(keeper, generation, server, stored);
    if (!batch)
        atomic_fetch_sub(&keeper->batches, 1);
    return batch;
}

static void end_batch(struct batch *batch)
{
    struct sl_keeper *keeper = batch->keeper;
    if (batch->count) {
        sl_loop_post(&keeper->loop, &batch->task);
        return;
    }
    sl_arena_free(batch->arena);
    atomic_fetch_sub(&keeper->batches, 1);
}

static bool has_room(const struct batch *batch)
{
    return batch->count < BATCH_ENTRIES && !sl_arena_failed(batch->arena);
}

void sl_keeper_note(struct sl_keeper *keeper, const struct sl_label_generation *generation, struct sl_slice server,
    const struct sl_item *items, int64_t stored)
{
    struct batch *batch = NULL;
    for (; items; items = items->next) {
        if (!is_noted(items))
            continue;
        if (!batch && !(batch = begin_batch(keeper, generation, server, stored)))
            return;
        keep(batch, items);
        if (!has_room(batch)) {
            end_batch(batch);
            batch = NULL;
        }
    }
    if (batch)
        end_batch(batch);
}

void sl_keeper_note_entries(struct sl_keeper *keeper, const struct sl_label_generation *generation,
    struct sl_slice server, const struct sl_book_entry *entries, size_t count, int64_t stored)
{
    for (size_t i = 0; i < count;) {
        struct batch *batch = begin_batch(keeper, generation, server, stored);
        if (!batch)
            return;
        for (; i < count && has_room(batch); i++) {
            batch->entries[batch->count] = entries[i];
            own(batch, &batch->entries[batch->count]);
        }
        end_batch(batch);
    }
}

/* ---- What was written ---- */

struct forgetting {
    struct sl_task task;
    struct sl_keeper *keeper;
    struct sl_arena *arena;
    struct sl_slice server, reference;
};

static void forget(struct sl_task *task)
{
    struct forgetting *one = task->context;
    enum sl_status status = sl_book_forget(one->keeper->book, one->server, one->reference);
    if (status != SL_OK)
        fprintf(stderr, "sluice: the label book cannot forget %.*s (%s); it ages\n", SL_FMT(one->reference),
            sl_status_name(status));
    sl_arena_free(one->arena);
}

void sl_keeper_forget(struct sl_keeper *keeper, struct sl_slice server, struct sl_slice reference)
{
    struct sl_arena *arena = sl_arena_new((size_t)64 * 1024);
    struct forgetting *one = arena ? sl_arena_alloc(arena, sizeof *one) : NULL;
    if (one)
        *one = (struct forgetting){.task = {.call = forget, .context = one},
            .keeper = keeper,
            .arena = arena,
            .server = sl_arena_copy(arena, server),
            .reference = sl_arena_copy(arena, reference)};
    if (one && !sl_arena_failed(arena))
        sl_loop_post(&keeper->loop, &one->task);
    else
        sl_arena_free(arena);
}
