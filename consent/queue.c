/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The officer's queue: see sluice/queue.h. The ledger is read once, in its order; of what it holds, the items that a
 * rule held and the tasks of released ones are taken. In the store, a line "Q" and a number (big-endian) in the table
 * of the register is one thing done, as a JSON text; `meta` has how many there are.
 */
#include "sluice/queue.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "sluice/buffer.h"
#include "sluice/ledger.h"
#include "sluice/span.h"

#define ENTRIES_LIMIT ((size_t)1 << 22)
#define LINE_LIMIT ((size_t)64 * 1024)
#define LINES_LIMIT ((uint64_t)1 << 24)
#define DAY ((int64_t)86400)

static const struct sl_slice length_key = {"queue", 5};

/* One rule, record and recipient. */
struct thread {
    struct sl_slice key;
    size_t open;       /* place of the entry that more of it belongs to, + 1; 0: none */
    struct done *done; /* what was done and is still to be met in the ledger, in order */
};

/* A line of the log. */
struct done {
    uint64_t through; /* records of the ledger before this one are done with */
    int64_t at;
    struct sl_slice by, why;
    struct done *next;
};

struct reading {
    struct sl_arena *arena, *scratch;
    struct sl_queue *queue;
    size_t room;
    struct thread *threads; /* open addressing, a power of two, at most half full */
    size_t thread_room, thread_count;
    bool failed;
};

/* ---- JSON ---- */

static struct sl_slice text_of(const struct reading *r, const struct sl_doc *doc, uint32_t object, const char *key)
{
    uint32_t at = sl_span_member_key(doc, object, sl_slice_of(key));
    return at ? sl_span_string(doc, at, r->scratch) : (struct sl_slice){NULL, 0};
}

static uint64_t number_of(const struct sl_doc *doc, uint32_t object, const char *key)
{
    uint32_t at = sl_span_member_key(doc, object, sl_slice_of(key));
    uint64_t value = 0;
    struct sl_slice text = at && doc->spans[at].type == SL_SPAN_NUMBER ? sl_span_text(doc, at) : SL_LIT("");
    for (size_t i = 0; i < text.len && i < 19 && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++)
        value = value * 10 + (uint64_t)(text.ptr[i] - '0');
    return value;
}

/* ---- Threads ---- */

static uint64_t hash(struct sl_slice key)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < key.len; i++)
        h = (h ^ (unsigned char)key.ptr[i]) * 0x100000001b3u;
    return h ^ h >> 29;
}

static struct thread *slot_of(struct thread *threads, size_t room, struct sl_slice key)
{
    size_t at = hash(key) & (room - 1);
    while (threads[at].key.ptr && !sl_slice_eq(threads[at].key, key))
        at = (at + 1) & (room - 1);
    return &threads[at];
}

/* The thread of a key, a new one if need be; NULL if memory ran out. */
static struct thread *thread_of(struct reading *r, struct sl_slice key)
{
    if (r->thread_count * 2 >= r->thread_room) {
        size_t room = r->thread_room ? r->thread_room * 2 : 256;
        struct thread *threads = sl_arena_array(r->arena, room, sizeof *threads);
        if (!threads)
            return NULL;
        for (size_t i = 0; i < r->thread_room; i++)
            if (r->threads[i].key.ptr)
                *slot_of(threads, room, r->threads[i].key) = r->threads[i];
        r->threads = threads;
        r->thread_room = room;
    }
    struct thread *thread = slot_of(r->threads, r->thread_room, key);
    if (!thread->key.ptr) {
        thread->key = sl_arena_copy(r->arena, key);
        r->thread_count += thread->key.ptr != NULL;
    }
    return thread->key.ptr ? thread : NULL;
}

/* Parts that hold no line feed: those of the ledger are ids and references. */
static struct sl_slice key_of(struct sl_arena *arena, const struct sl_queue_entry *e)
{
    return sl_arena_printf(arena, "%.*s\n%.*s\n%.*s\n%.*s\n%.*s", SL_FMT(e->rule), SL_FMT(e->item), SL_FMT(e->issuer),
        SL_FMT(e->client), SL_FMT(e->user));
}

/* ---- What has been done ---- */

struct key {
    char bytes[9];
};

static struct key line_key(uint64_t number)
{
    struct key key = {{'Q'}};
    uint64_t bytes = htobe64(number);
    memcpy(key.bytes + 1, &bytes, sizeof bytes);
    return key;
}

static enum sl_status length_of(struct sl_txn *txn, uint64_t *out)
{
    struct sl_slice value;
    *out = 0;
    enum sl_status status = sl_txn_get(txn, SL_TABLE_META, length_key, &value);
    if (status == SL_MISSING)
        return SL_OK;
    SL_TRY(status);
    if (value.len != sizeof *out)
        return SL_CORRUPT;
    memcpy(out, value.ptr, sizeof *out);
    *out = le64toh(*out);
    return *out <= LINES_LIMIT ? SL_OK : SL_CORRUPT;
}

static enum sl_status read_line(struct reading *r, struct sl_slice line)
{
    struct sl_doc doc;
    struct done *done = sl_arena_alloc(r->arena, sizeof *done);
    sl_arena_reset(r->scratch);
    if (!done)
        return SL_NO_MEMORY;
    if (sl_doc_parse(r->scratch, line, NULL, &doc, NULL) != SL_OK || doc.spans[0].type != SL_SPAN_OBJECT)
        return SL_CORRUPT;
    struct sl_queue_entry e = {.rule = text_of(r, &doc, 0, "rule"),
        .item = text_of(r, &doc, 0, "item"),
        .issuer = text_of(r, &doc, 0, "issuer"),
        .client = text_of(r, &doc, 0, "client"),
        .user = text_of(r, &doc, 0, "user")};
    done->through = number_of(&doc, 0, "through");
    done->at = (int64_t)number_of(&doc, 0, "at");
    done->by = sl_arena_copy(r->arena, text_of(r, &doc, 0, "by"));
    done->why = sl_arena_copy(r->arena, text_of(r, &doc, 0, "why"));
    if (!e.rule.len || !e.item.len)
        return SL_CORRUPT;
    struct thread *thread = thread_of(r, key_of(r->scratch, &e));
    if (!thread)
        return SL_NO_MEMORY;
    struct done **at = &thread->done;
    while (*at)
        at = &(*at)->next;
    *at = done;
    return SL_OK;
}

static enum sl_status read_log(struct reading *r, struct sl_txn *txn)
{
    uint64_t length;
    SL_TRY(length_of(txn, &length));
    for (uint64_t i = 1; i <= length; i++) {
        struct key key = line_key(i);
        struct sl_slice line;
        enum sl_status status =
            sl_txn_get(txn, SL_TABLE_REGISTER, (struct sl_slice){key.bytes, sizeof key.bytes}, &line);
        SL_TRY(status == SL_MISSING ? SL_CORRUPT : status);
        SL_TRY(read_line(r, line));
    }
    return SL_OK;
}

/* ---- The ledger ---- */

static bool copy_texts(struct reading *r, struct sl_queue_entry *e)
{
    struct sl_slice *texts[] = {
        &e->rule, &e->item, &e->patient, &e->issuer, &e->client, &e->user, &e->name, &e->purpose};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        *texts[i] = texts[i]->len ? sl_arena_copy(r->arena, *texts[i]) : SL_LIT("");
        if (!texts[i]->ptr)
            return false;
    }
    return true;
}

static struct sl_queue_entry *add_entry(struct reading *r, const struct sl_queue_entry *e)
{
    struct sl_queue *q = r->queue;
    if (q->count == r->room) {
        size_t room = r->room ? r->room * 2 : 64;
        struct sl_queue_entry *entries = room <= ENTRIES_LIMIT ? sl_arena_raw(r->arena, room, sizeof *entries) : NULL;
        if (!entries)
            return NULL;
        if (q->count)
            memcpy(entries, q->entry, q->count * sizeof *entries);
        q->entry = entries;
        r->room = room;
    }
    q->entry[q->count] = *e;
    return copy_texts(r, &q->entry[q->count]) ? &q->entry[q->count++] : NULL;
}

/* The entry that this belongs to, or a new one. */
static void take(struct reading *r, const struct sl_queue_entry *e)
{
    struct thread *thread = thread_of(r, key_of(r->scratch, e));
    if (!thread) {
        r->failed = true;
        return;
    }
    for (; thread->done && e->sequence >= thread->done->through; thread->done = thread->done->next)
        thread->open = 0;
    struct sl_queue_entry *entry = thread->open ? &r->queue->entry[thread->open - 1] : add_entry(r, e);
    if (!entry) {
        r->failed = true;
        return;
    }
    if (!thread->open) {
        thread->open = r->queue->count;
        entry->first = e->last;
        entry->done = thread->done != NULL;
        if (entry->done) {
            entry->done_at = thread->done->at;
            entry->done_by = thread->done->by;
            entry->done_why = thread->done->why;
        }
    }
    int64_t due = e->review_days ? e->last + (int64_t)e->review_days * DAY : 0;
    entry->due = !entry->due || (due && due < entry->due) ? due : entry->due;
    entry->held |= e->held;
    entry->notify |= e->notify;
    entry->last = e->last;
    entry->times++;
}

/* "2026-11-22T10:00:00Z" */
static int64_t instant_of(struct sl_slice text)
{
    char copy[32];
    struct tm tm = {0};
    if (text.len >= sizeof copy)
        return 0;
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    const char *end = strptime(copy, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return end && *end == '\0' ? (int64_t)timegm(&tm) : 0;
}

/* The tasks of one released item. */
static void take_tasks(struct reading *r, const struct sl_doc *doc, uint32_t item, struct sl_queue_entry *e)
{
    uint32_t tasks = sl_span_member_key(doc, item, SL_LIT("tasks"));
    if (!tasks || doc->spans[tasks].type != SL_SPAN_ARRAY)
        return;
    e->patient = text_of(r, doc, item, "patient");
    for (uint32_t t = tasks + 1; t < doc->spans[tasks].next; t = doc->spans[t].next) {
        uint32_t notify = sl_span_member_key(doc, t, SL_LIT("notify"));
        e->place++;
        e->rule = text_of(r, doc, t, "rule");
        e->held = false;
        e->notify = notify && doc->spans[notify].type == SL_SPAN_TRUE;
        e->review_days = (unsigned)(number_of(doc, t, "review-within") & 0xffff);
        take(r, e);
    }
}

static void take_held(struct reading *r, const struct sl_doc *doc, uint32_t item, struct sl_queue_entry *e)
{
    if (!sl_slice_eq(text_of(r, doc, item, "why"), SL_LIT("held-by-rule")))
        return;
    e->place++;
    e->rule = text_of(r, doc, item, "rule");
    e->patient = text_of(r, doc, item, "patient");
    e->held = true;
    e->notify = false;
    e->review_days = 0;
    take(r, e);
}

static void take_items(struct reading *r, const struct sl_doc *doc, const char *list, struct sl_queue_entry *e,
    void (*take_item)(struct reading *r, const struct sl_doc *doc, uint32_t item, struct sl_queue_entry *e))
{
    uint32_t items = sl_span_member_key(doc, 0, sl_slice_of(list));
    if (!items || doc->spans[items].type != SL_SPAN_ARRAY)
        return;
    for (uint32_t i = items + 1; i < doc->spans[items].next && !r->failed; i = doc->spans[i].next) {
        if (doc->spans[i].type != SL_SPAN_OBJECT)
            continue;
        e->item = text_of(r, doc, i, "item");
        take_item(r, doc, i, e);
    }
}

static bool mentions(struct sl_slice record, struct sl_slice word)
{
    return memmem(record.ptr, record.len, word.ptr, word.len) != NULL;
}

static bool visit(void *context, uint64_t sequence, struct sl_slice record)
{
    struct reading *r = context;
    struct sl_doc doc;
    r->queue->end = sequence + 1;
    if (!mentions(record, SL_LIT("\"held-by-rule\"")) && !mentions(record, SL_LIT("\"tasks\":[")))
        return true;
    sl_arena_reset(r->scratch);
    if (sl_doc_parse(r->scratch, record, NULL, &doc, NULL) != SL_OK || doc.spans[0].type != SL_SPAN_OBJECT)
        return !(r->failed = true);
    uint32_t recipient = sl_span_member_key(&doc, 0, SL_LIT("recipient"));
    struct sl_queue_entry e = {.sequence = sequence, .last = instant_of(text_of(r, &doc, 0, "time"))};
    if (recipient && doc.spans[recipient].type == SL_SPAN_OBJECT) {
        e.issuer = text_of(r, &doc, recipient, "issuer");
        e.client = text_of(r, &doc, recipient, "client");
        e.user = text_of(r, &doc, recipient, "user");
        e.name = text_of(r, &doc, recipient, "name");
        e.purpose = text_of(r, &doc, recipient, "purpose");
    }
    take_items(r, &doc, "released", &e, take_tasks);
    take_items(r, &doc, "withheld", &e, take_held);
    take_items(r, &doc, "written", &e, take_tasks);
    return !r->failed;
}

enum sl_status sl_queue_read(
    const char *ledger, struct sl_store *store, struct sl_arena *arena, struct sl_issues *issues, struct sl_queue *out)
{
    struct reading r = {.arena = arena, .scratch = sl_arena_new((size_t)1 << 30), .queue = out};
    struct sl_txn *txn = NULL;
    *out = (struct sl_queue){0};
    enum sl_status status = r.scratch ? sl_txn_begin(store, false, &txn) : SL_NO_MEMORY;
    if (status == SL_OK) {
        status = read_log(&r, txn);
        sl_txn_abort(txn);
    }
    if (status == SL_OK)
        status = sl_ledger_read(ledger, 0, issues, visit, &r);
    if (status == SL_OK && r.failed)
        status = sl_arena_failed(arena) || sl_arena_failed(r.scratch) ? SL_NO_MEMORY : SL_CORRUPT;
    sl_arena_free(r.scratch);
    return status;
}

struct sl_queue_entry *sl_queue_find(const struct sl_queue *queue, struct sl_slice number)
{
    char name[40];
    for (size_t i = 0; i < queue->count; i++) {
        int len = snprintf(name, sizeof name, "%" PRIu64 ".%u", queue->entry[i].sequence, queue->entry[i].place);
        if (len > 0 && sl_slice_eq(number, (struct sl_slice){name, (size_t)len}))
            return &queue->entry[i];
    }
    return NULL;
}

/* ---- Noting what has been done ---- */

static void member(struct sl_buffer *out, const char *key, struct sl_slice value)
{
    sl_buffer_printf(out, "%s\"%s\":", out->len > 1 ? "," : "", key);
    sl_buffer_json_string(out, value);
}

static void write_line(struct sl_buffer *out, const struct sl_queue *queue, const struct sl_queue_entry *entry,
    struct sl_slice by, struct sl_slice why, int64_t now)
{
    sl_buffer_add(out, SL_LIT("{"));
    member(out, "rule", entry->rule);
    member(out, "item", entry->item);
    member(out, "issuer", entry->issuer);
    member(out, "client", entry->client);
    member(out, "user", entry->user);
    member(out, "by", by);
    member(out, "why", why);
    sl_buffer_printf(out, ",\"at\":%" PRId64 ",\"through\":%" PRIu64 "}", now, queue->end);
}

static enum sl_status put_line(struct sl_txn *txn, const struct sl_buffer *line)
{
    uint64_t length;
    SL_TRY(length_of(txn, &length));
    if (sl_buffer_failed(line) || length == LINES_LIMIT)
        return SL_LIMIT;
    struct key key = line_key(length + 1);
    uint64_t bytes = htole64(length + 1);
    SL_TRY(sl_txn_put(txn, SL_TABLE_REGISTER, (struct sl_slice){key.bytes, sizeof key.bytes}, sl_buffer_slice(line)));
    return sl_txn_put(txn, SL_TABLE_META, length_key, (struct sl_slice){(const char *)&bytes, sizeof bytes});
}

enum sl_status sl_queue_done(struct sl_store *store, const struct sl_queue *queue, const struct sl_queue_entry *entry,
    struct sl_slice by, struct sl_slice why, int64_t now)
{
    struct sl_txn *txn;
    struct sl_buffer line;
    if (!by.len || !why.len)
        return SL_INVALID;
    if (entry->done)
        return SL_EXISTS;
    SL_TRY(sl_txn_begin(store, true, &txn));
    sl_buffer_init(&line, LINE_LIMIT);
    write_line(&line, queue, entry, by, why, now);
    enum sl_status status = put_line(txn, &line);
    sl_buffer_fini(&line);
    if (status == SL_OK)
        return sl_txn_commit(txn);
    sl_txn_abort(txn);
    return status;
}
