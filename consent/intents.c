/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intents without an outcome: see sluice/intents.h. The ledger is read once. What is under way at a time is little, so
 * it is kept in a plain list, in which each record of an exchange is looked for; what is known to be unknown is put
 * aside, since only a record of its own kind ends it.
 */
#include "sluice/intents.h"

#include <stdio.h>
#include <time.h>

#include "sluice/ledger.h"
#include "sluice/span.h"

/* {"v":2,"time":"2026-11-22T10:00:00Z", and then what kind of record it is. */
#define KIND_AT ((size_t)37)
#define SCRATCH ((size_t)256 << 20)

struct list {
    struct sl_intent *one;
    size_t count, room;
};

struct reading {
    struct sl_arena *arena, *scratch;
    struct sl_intents *out;
    struct list under_way, unknown;
    bool failed;
};

/* ---- Lists ---- */

static void add(struct reading *r, struct list *list, const struct sl_intent *intent)
{
    if (list->count == SL_INTENTS_OPEN) {
        r->out->more = true;
        return;
    }
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 64;
        struct sl_intent *more = sl_arena_raw(r->arena, room, sizeof *more);
        r->failed = r->failed || !more;
        if (!more)
            return;
        if (list->count)
            memcpy(more, list->one, list->count * sizeof *more);
        list->one = more;
        list->room = room;
    }
    list->one[list->count++] = *intent;
}

/* Takes out of the list what belongs to an exchange or a transaction. `to`: where what is the exchange's own goes. */
static void end(struct reading *r, struct list *list, struct sl_slice exchange, struct list *to)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct sl_intent intent = list->one[i];
        bool own = sl_slice_eq(intent.exchange, exchange);
        if (own && to)
            add(r, to, &intent);
        else if (!own && !sl_slice_eq(intent.whole, exchange))
            list->one[kept++] = intent;
    }
    list->count = kept;
}

/* ---- Records ---- */

/* The text that stands at a place, after a key; empty: it is another. */
static struct sl_slice text_at(struct sl_slice record, size_t at, struct sl_slice key)
{
    struct sl_slice rest = sl_slice_from(record, at);
    if (!sl_slice_starts(rest, key))
        return (struct sl_slice){NULL, 0};
    rest = sl_slice_from(rest, key.len);
    const char *quote = rest.len ? memchr(rest.ptr, '"', rest.len) : NULL;
    return (struct sl_slice){rest.ptr, quote ? (size_t)(quote - rest.ptr) : 0};
}

const char *sl_intents_kind(struct sl_slice record)
{
    if (text_at(record, KIND_AT, SL_LIT("\"intent\":\"")).len)
        return "intent";
    return text_at(record, KIND_AT, SL_LIT("\"settled\":\"")).len ? "settled" : NULL;
}

static int64_t instant_of(struct sl_slice record)
{
    char copy[21] = "";
    struct tm tm = {0};
    struct sl_slice text = text_at(record, 0, SL_LIT("{\"v\":2,\"time\":\""));
    if (text.len != 20)
        return 0;
    memcpy(copy, text.ptr, text.len);
    const char *rest = strptime(copy, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return rest && *rest == '\0' ? (int64_t)timegm(&tm) : 0;
}

static struct sl_slice member(struct reading *r, const struct sl_doc *doc, uint32_t object, struct sl_slice key)
{
    uint32_t at = sl_span_member_key(doc, object, key);
    if (!at)
        return (struct sl_slice){NULL, 0};
    struct sl_slice text =
        doc->spans[at].type == SL_SPAN_OBJECT ? sl_span_text(doc, at) : sl_span_string(doc, at, r->scratch);
    struct sl_slice copy = text.len ? sl_arena_copy(r->arena, text) : SL_LIT("");
    r->failed = r->failed || !copy.ptr;
    return copy;
}

static void take_intent(struct reading *r, uint64_t sequence, struct sl_slice record)
{
    struct sl_doc doc;
    sl_arena_reset(r->scratch);
    uint32_t list = sl_doc_parse(r->scratch, record, NULL, &doc, NULL) == SL_OK && doc.spans[0].type == SL_SPAN_OBJECT
                        ? sl_span_member_key(&doc, 0, SL_LIT("writes"))
                        : 0;
    r->failed = r->failed || !list || doc.spans[list].type != SL_SPAN_ARRAY;
    if (r->failed)
        return;
    struct sl_intent intent = {.sequence = sequence,
        .time = instant_of(record),
        .whole = member(r, &doc, 0, SL_LIT("intent")),
        .recipient = member(r, &doc, 0, SL_LIT("recipient"))};
    end(r, &r->under_way, intent.whole, NULL); /* an earlier attempt was answered: else there were no other */
    for (uint32_t at = list + 1; at < doc.spans[list].next && !r->failed; at = doc.spans[at].next) {
        if (doc.spans[at].type != SL_SPAN_OBJECT)
            continue;
        const struct {
            struct sl_slice *to, key;
        } members[] = {{&intent.exchange, SL_LIT("exchange")}, {&intent.item, SL_LIT("item")},
            {&intent.change, SL_LIT("change")}, {&intent.from, SL_LIT("from")}, {&intent.patient, SL_LIT("patient")},
            {&intent.grant, SL_LIT("grant")}, {&intent.mark, SL_LIT("mark")}};
        for (size_t i = 0; i < sizeof members / sizeof *members; i++)
            *members[i].to = member(r, &doc, at, members[i].key);
        add(r, &r->under_way, &intent);
    }
}

static bool says(struct sl_slice record, struct sl_slice words)
{
    return memmem(record.ptr, record.len, words.ptr, words.len) != NULL;
}

static bool visit(void *context, uint64_t sequence, struct sl_slice record)
{
    struct reading *r = context;
    struct sl_slice exchange = text_at(record, KIND_AT, SL_LIT("\"exchange\":\""));
    struct sl_slice settled = text_at(record, KIND_AT, SL_LIT("\"settled\":\""));
    r->out->end = sequence + 1;
    if (exchange.len && r->under_way.count) {
        bool untold = says(record, SL_LIT(",\"written\":[{")) &&
                      (says(record, SL_LIT(",\"stored\":null")) || says(record, SL_LIT("\"consent-not-in-force\"")));
        end(r, &r->under_way, exchange, untold ? &r->unknown : NULL);
    } else if (settled.len && !says(record, SL_LIT(",\"asked\":false"))) {
        end(r, &r->under_way, settled, NULL);
        end(r, &r->unknown, settled, NULL);
    } else if (text_at(record, KIND_AT, SL_LIT("\"intent\":\"")).len) {
        take_intent(r, sequence, record);
    }
    return !r->failed;
}

/* Both lists as one, in the order of the ledger; each is in it already. */
static enum sl_status join(struct reading *r)
{
    const struct list *a = &r->unknown, *b = &r->under_way;
    size_t i = 0, k = 0;
    r->out->open = sl_arena_array(r->arena, a->count + b->count + 1, sizeof *r->out->open);
    if (!r->out->open)
        return SL_NO_MEMORY;
    while (i < a->count || k < b->count) {
        bool first = k == b->count || (i < a->count && a->one[i].sequence < b->one[k].sequence);
        r->out->open[r->out->count++] = first ? a->one[i++] : b->one[k++];
    }
    return SL_OK;
}

enum sl_status sl_intents_read(
    const char *ledger, uint64_t first, struct sl_arena *arena, struct sl_issues *issues, struct sl_intents *out)
{
    struct reading r = {.arena = arena, .scratch = sl_arena_new(SCRATCH), .out = out};
    *out = (struct sl_intents){.end = first};
    if (!r.scratch)
        return SL_NO_MEMORY;
    enum sl_status status = sl_ledger_read(ledger, first, issues, visit, &r);
    if (status == SL_OK && r.failed)
        status = sl_arena_failed(arena) || sl_arena_failed(r.scratch) ? SL_NO_MEMORY : SL_CORRUPT;
    if (status == SL_OK)
        status = join(&r);
    sl_arena_free(r.scratch);
    return status;
}
