/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The embedded store as an upstream: reads are page-cache reads, so every question is answered at once; a write is
 * given to its writer's thread. A position is the decimal offset of the next match.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "recorder.h"
#include "upstream.h"

struct embedded {
    struct sl_upstream head;
    struct sl_records *records;
    struct sl_recorder *recorder; /* NULL: nothing is written */
    struct sl_worker *worker;
};

static bool read_offset(struct sl_slice text, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || __builtin_mul_overflow(*out, 10u, out) ||
            __builtin_add_overflow(*out, (uint64_t)(text.ptr[i] - '0'), out))
            return false;
    }
    return true;
}

static enum sl_status ask_page(struct sl_records *records, struct sl_ask *ask)
{
    uint64_t offset, next = 0;
    struct sl_blocks blocks = {.arena = ask->arena};
    if (!read_offset(ask->position, &offset))
        return SL_INVALID;
    SL_TRY(sl_records_search(records, ask->arena, ask->search, offset, ask->count, &blocks, &next));
    if (next)
        ask->next = sl_arena_printf(ask->arena, "%" PRIu64, next);
    return sl_blocks_join(&blocks, ask->arena, &ask->text);
}

/* As a server would answer Type?_id=a,b,c: those that are there. */
static enum sl_status ask_ids(struct sl_records *records, struct sl_ask *ask)
{
    struct sl_blocks blocks = {.arena = ask->arena};
    bool first = true;
    sl_blocks_add(&blocks, SL_LIT("{\"resourceType\":\"Bundle\",\"type\":\"searchset\",\"entry\":["));
    for (size_t i = 0; i < ask->id_count; i++) {
        struct sl_slice text;
        enum sl_status status = sl_records_read(records, ask->arena, ask->type, ask->ids[i], &text);
        if (status == SL_NOT_FOUND)
            continue;
        SL_TRY(status);
        sl_blocks_add(&blocks, first ? SL_LIT("{\"resource\":") : SL_LIT(",{\"resource\":"));
        sl_blocks_add(&blocks, text);
        sl_blocks_add(&blocks, SL_LIT("}"));
        first = false;
    }
    sl_blocks_add(&blocks, SL_LIT("]}"));
    return sl_blocks_join(&blocks, ask->arena, &ask->text);
}

static enum sl_status ask_history(struct sl_records *records, struct sl_ask *ask)
{
    struct sl_blocks blocks = {.arena = ask->arena};
    const struct sl_record_history asked = {ask->type, ask->id, ask->since, ask->position};
    SL_TRY(sl_records_history(records, ask->arena, &asked, ask->count, &blocks, &ask->next));
    return sl_blocks_join(&blocks, ask->arena, &ask->text);
}

/* What was deleted is told from what never was, for whoever could have seen it. */
static enum sl_status ask_read(struct sl_records *records, struct sl_ask *ask)
{
    const struct sl_record_history asked = {.type = ask->type, .id = ask->id};
    struct sl_blocks blocks = {.arena = ask->arena};
    struct sl_slice next;
    enum sl_status status = sl_records_read(records, ask->arena, ask->type, ask->id, &ask->text);
    if (status != SL_NOT_FOUND)
        return status;
    status = sl_records_history(records, ask->arena, &asked, 1, &blocks, &next);
    ask->gone = status == SL_OK;
    return status == SL_OK ? SL_NOT_FOUND : status;
}

static bool read_number(struct sl_slice text, uint64_t *out)
{
    return text.len && read_offset(text, out);
}

static enum sl_status ask_version(struct sl_records *records, struct sl_ask *ask)
{
    uint64_t version;
    if (!read_number(ask->version, &version))
        return SL_NOT_FOUND;
    return sl_records_read_version(records, ask->arena, ask->type, ask->id, version, &ask->text);
}

static enum sl_status (*const answers[SL_ASK_KINDS])(struct sl_records *records, struct sl_ask *ask) = {
    [SL_ASK_READ] = ask_read,
    [SL_ASK_PAGE] = ask_page,
    [SL_ASK_IDS] = ask_ids,
    [SL_ASK_VREAD] = ask_version,
    [SL_ASK_HISTORY] = ask_history,
};

static void ask_records(struct sl_upstream *upstream, struct sl_ask *ask)
{
    struct embedded *embedded = (struct embedded *)upstream;
    struct sl_records *records = embedded->records;
    if (sl_ask_writes(ask->kind) && embedded->recorder) {
        sl_recorder_write(embedded->recorder, embedded->worker, ask);
        return;
    }
    ask->status = answers[ask->kind] ? answers[ask->kind](records, ask) : SL_NOT_SUPPORTED;
    ask->why = ask->status == SL_OK || ask->status == SL_NOT_FOUND ? NULL : "records";
    ask->finished = true;
}

static void cancel_records(struct sl_upstream *upstream, struct sl_ask *ask)
{
    (void)upstream; /* nothing is ever under way but what cannot be withdrawn */
    (void)ask;
}

static void free_records(struct sl_upstream *upstream)
{
    free(upstream);
}

struct sl_upstream *sl_upstream_records_new(
    struct sl_records *records, struct sl_recorder *recorder, struct sl_worker *worker)
{
    static const struct sl_upstream_kind kind = {ask_records, cancel_records, free_records};
    struct embedded *embedded = calloc(1, sizeof *embedded);
    if (!embedded)
        return NULL;
    embedded->head.kind = &kind;
    embedded->records = records;
    embedded->recorder = recorder;
    embedded->worker = worker;
    return &embedded->head;
}
