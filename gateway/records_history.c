/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Versions of the embedded store, the newest first, as a history Bundle: of one record, of a type, or of all. See
 * records.h. There is no index by time: a type's history looks at each version of it.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "records_parts.h"
#include "sluice/time_range.h"

#define WORK_LIMIT 1000000u       /* versions that one page looks at */
#define PAGE_LIMIT 10000u         /* versions on one page */
#define SCRATCH ((size_t)1 << 30) /* for the spans of one resource, at most */

/* Where a version stands in the order of a history: the newest first, then by name, then the higher number. */
struct rank {
    int64_t time;
    struct sl_slice name; /* "Type/id" */
    uint64_t version;
};

struct listed {
    struct rank rank;
    struct sl_slice instant, text;
    bool deleted;
};

struct listing {
    struct sl_txn *txn;
    struct sl_arena *arena, *scratch;
    struct rank after; /* of the last one of the page before */
    bool follows;      /* there was one */
    bool one;          /* of one record */
    int64_t since;
    struct listed *list; /* room for `most`, in order */
    size_t count, most, work;
};

static int compare_names(struct sl_slice a, struct sl_slice b)
{
    int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* Of one record the numbers say which is newer, whatever the clock said. */
static int compare_ranks(const struct listing *l, const struct rank *a, const struct rank *b)
{
    int order = l->one || a->time == b->time ? 0 : (b->time > a->time) - (b->time < a->time);
    if (order == 0)
        order = compare_names(a->name, b->name);
    return order ? order : (b->version > a->version) - (b->version < a->version);
}

/* ---- Positions: "time/Type/id/version" ---- */

static struct sl_slice write_position(struct sl_arena *arena, const struct rank *rank)
{
    return sl_arena_printf(arena, "%" PRId64 "/%.*s/%" PRIu64, rank->time, SL_FMT(rank->name), rank->version);
}

static bool read_number(struct sl_slice text, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || __builtin_mul_overflow(*out, 10u, out) ||
            __builtin_add_overflow(*out, (uint64_t)(text.ptr[i] - '0'), out))
            return false;
    return text.len > 0 && *out <= INT64_MAX;
}

static bool read_position(struct sl_slice text, struct rank *out)
{
    bool before = text.len && text.ptr[0] == '-'; /* 1970 */
    if (before)
        text = sl_slice_from(text, 1);
    const char *first = text.len ? memchr(text.ptr, '/', text.len) : NULL,
               *last = text.len ? memrchr(text.ptr, '/', text.len) : NULL;
    uint64_t time;
    if (!first || last <= first + 1 || !read_number((struct sl_slice){text.ptr, (size_t)(first - text.ptr)}, &time))
        return false;
    *out =
        (struct rank){.time = before ? -(int64_t)time : (int64_t)time, .name = {first + 1, (size_t)(last - first - 1)}};
    return read_number(sl_slice_from(text, (size_t)(last + 1 - text.ptr)), &out->version);
}

/* ---- Choosing ---- */

static enum sl_status read_instant(struct listing *l, struct sl_slice text, struct sl_slice *instant, int64_t *time)
{
    struct sl_doc doc;
    struct sl_time_range when;
    sl_arena_reset(l->scratch);
    if (sl_doc_parse(l->scratch, text, NULL, &doc, NULL) != SL_OK)
        return sl_arena_failed(l->scratch) ? SL_NO_MEMORY : SL_CORRUPT;
    uint32_t meta = sl_span_member(&doc, 0, SL_NAME_meta);
    uint32_t updated = meta ? sl_span_member(&doc, meta, SL_NAME_lastUpdated) : 0;
    *instant = updated ? sl_span_raw(&doc, updated) : (struct sl_slice){NULL, 0};
    if (!sl_time_range_read(*instant, &when))
        return SL_CORRUPT; /* each version that is stored has one */
    *time = when.from;
    return SL_OK;
}

/* Keeps the first `most` of those behind `after`. */
static enum sl_status consider(struct listing *l, struct sl_slice name, const struct sl_record *record)
{
    struct listed one = {.rank = {.name = name, .version = record->version}, .deleted = record->deleted};
    if (++l->work > WORK_LIMIT)
        return SL_WORK_LIMIT;
    SL_TRY(read_instant(l, record->text, &one.instant, &one.rank.time));
    if (one.rank.time < l->since || (l->follows && compare_ranks(l, &one.rank, &l->after) <= 0))
        return SL_OK;
    size_t at = l->count;
    while (at > 0 && compare_ranks(l, &one.rank, &l->list[at - 1].rank) < 0)
        at--;
    if (at == l->most)
        return SL_OK;
    one.rank.name = sl_arena_copy(l->arena, name);
    one.text = record->text; /* the transaction's */
    l->count += l->count < l->most;
    memmove(&l->list[at + 1], &l->list[at], (l->count - at - 1) * sizeof *l->list);
    l->list[at] = one;
    return one.rank.name.ptr ? SL_OK : SL_NO_MEMORY;
}

/* The name in a key: all of it, or in the history what stands before "/" and the number. */
static struct sl_slice name_in(struct sl_slice key, bool past)
{
    return past && key.len > 9 ? (struct sl_slice){key.ptr, key.len - 9} : key;
}

static enum sl_status walk(struct listing *l, unsigned table, struct sl_slice from, bool exact)
{
    struct sl_cursor *cursor;
    struct sl_slice key, value, prefix = from;
    struct sl_record record;
    enum sl_status status;
    if (prefix.len > SL_STORE_PREFIX)
        prefix.len = SL_STORE_PREFIX;
    SL_TRY(sl_cursor_open(l->txn, table, exact ? from : SL_LIT(""), prefix, &cursor));
    while ((status = sl_cursor_next(cursor, &key, &value)) == SL_OK && sl_slice_starts(key, from)) {
        status = sl_record_parse(value, &record);
        if (status == SL_OK)
            status = consider(l, name_in(key, table == TABLE_HISTORY), &record);
        if (status != SL_OK)
            break;
    }
    sl_cursor_close(cursor);
    return status == SL_MISSING ? SL_OK : status;
}

static enum sl_status walk_one(struct listing *l, struct sl_slice type, struct sl_slice id)
{
    struct sl_record record;
    struct sl_slice name = sl_arena_printf(l->arena, "%.*s/%.*s", SL_FMT(type), SL_FMT(id));
    struct sl_slice past = sl_arena_printf(l->arena, "%.*s/", SL_FMT(name));
    if (!name.ptr || !past.ptr)
        return SL_NO_MEMORY;
    enum sl_status status = sl_record_get(l->txn, type, id, &record);
    if (status == SL_OK)
        status = consider(l, name, &record);
    return status == SL_OK || status == SL_MISSING ? walk(l, TABLE_HISTORY, past, true) : status;
}

static enum sl_status walk_all(struct listing *l, struct sl_slice type)
{
    struct sl_slice prefix = type.len ? sl_arena_printf(l->arena, "%.*s/", SL_FMT(type)) : SL_LIT("");
    if (!prefix.ptr)
        return SL_NO_MEMORY;
    SL_TRY(walk(l, TABLE_CURRENT, prefix, false));
    return walk(l, TABLE_HISTORY, prefix, false);
}

/* ---- The Bundle ---- */

static void write_entry(struct sl_blocks *out, struct sl_arena *arena, const struct listed *one, bool first)
{
    sl_blocks_add(out, first ? SL_LIT("{") : SL_LIT(",{"));
    if (!one->deleted) {
        sl_blocks_add(out, SL_LIT("\"resource\":"));
        sl_blocks_add(out, one->text);
        sl_blocks_add(out, SL_LIT(","));
    }
    sl_blocks_add(
        out, sl_arena_printf(arena,
                 "\"request\":{\"method\":\"%s\",\"url\":\"%.*s\"},\"response\":{\"status\":\"%s\",\"etag\":\"W/"
                 "\\\"%" PRIu64 "\\\"\",\"lastModified\":\"%.*s\"}}",
                 one->deleted ? "DELETE" : "PUT", SL_FMT(one->rank.name), one->deleted ? "204" : "200",
                 one->rank.version, SL_FMT(one->instant)));
}

static enum sl_status list(struct listing *l, const struct sl_record_history *asked, size_t count,
    struct sl_blocks *out, struct sl_slice *next)
{
    SL_TRY(asked->id.len ? walk_one(l, asked->type, asked->id) : walk_all(l, asked->type));
    if (asked->id.len && !l->work)
        return SL_NOT_FOUND;
    size_t listed = l->count < count ? l->count : count;
    sl_blocks_add(out, SL_LIT("{\"resourceType\":\"Bundle\",\"type\":\"history\",\"entry\":["));
    for (size_t i = 0; i < listed; i++)
        write_entry(out, l->arena, &l->list[i], i == 0);
    sl_blocks_add(out, SL_LIT("]}"));
    *next = l->count > listed ? write_position(l->arena, &l->list[listed - 1].rank) : (struct sl_slice){NULL, 0};
    return out->failed || sl_arena_failed(l->arena) ? SL_NO_MEMORY : SL_OK;
}

enum sl_status sl_records_history(struct sl_records *records, struct sl_arena *arena,
    const struct sl_record_history *asked, size_t count, struct sl_blocks *out, struct sl_slice *next)
{
    struct listing l = {
        .arena = arena, .most = count + 1, .since = INT64_MIN, .follows = asked->position.len, .one = asked->id.len};
    struct sl_time_range since;
    *next = (struct sl_slice){NULL, 0};
    if (!count || count > PAGE_LIMIT || (asked->position.len && !read_position(asked->position, &l.after)))
        return SL_INVALID;
    if (asked->since.len) {
        if (!sl_time_range_read(asked->since, &since))
            return SL_INVALID;
        l.since = since.from;
    }
    l.list = sl_arena_array(arena, l.most, sizeof *l.list);
    l.scratch = l.list ? sl_arena_new(SCRATCH) : NULL;
    enum sl_status status = l.scratch ? sl_txn_begin(records->store, false, &l.txn) : SL_NO_MEMORY;
    if (status == SL_OK)
        status = list(&l, asked, count, out, next);
    sl_txn_abort(l.txn);
    sl_arena_free(l.scratch);
    return status;
}
