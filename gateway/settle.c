/* SPDX-License-Identifier: Apache-2.0 */
/* What has become of writes without an outcome: see settle.h, and docs/decisions/0035 for what may be said of them. */
#include "settle.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "intent.h"
#include "recorder.h"
#include "sluice/directive.h"
#include "sluice/intents.h"
#include "sluice/r4_names.h"
#include "sluice/time_range.h"
#include "upstream.h"
#include "worker.h"

#define KEPT ((size_t)256 << 20)
#define SCRATCH ((size_t)256 << 20)
#define PAGES 4u    /* of what was created since, and of versions, that are looked through */
#define ROWS 100u   /* on each */
#define SKEW 300    /* seconds by which another machine's clock may be ahead */
#define SETTLED 300 /* seconds after which a server has done, or will never do, what it was asked for */
#define ASKED 1000u /* intents that the upstream is asked about at one start */

enum found { FOUND_NOTHING, FOUND_STORED, FOUND_ABSENT, FOUND_UNASKED };

struct settling {
    struct sl_gateway *gateway;
    struct sl_server_options options;
    struct sl_worker worker;
    struct sl_arena *kept, *scratch;
    struct sl_intents intents;
    bool unreachable;
    size_t asked;
};

struct settled {
    enum found found;
    bool idle;                   /* a Consent that may be stored, and could not be brought into force */
    struct sl_slice id, version; /* of what is stored */
};

/* ---- Asking ---- */

static void done(struct sl_ask *ask)
{
    (void)ask; /* it is seen by ask->finished */
}

/* False: it gave no answer, and nothing more is asked. */
static bool ask_upstream(struct settling *s, struct sl_ask *ask)
{
    ask->arena = s->scratch;
    ask->done = done;
    ask->context = s;
    sl_upstream_ask(s->worker.state->upstream, ask);
    while (!ask->finished)
        sl_loop_turn(&s->worker.loop);
    s->unreachable = ask->status != SL_OK && ask->status != SL_NOT_FOUND && ask->status != SL_NOT_SUPPORTED;
    return !s->unreachable;
}

/* ---- Is it what was to be written? ---- */

static bool has_mark(struct settling *s, const struct sl_doc *doc, uint32_t root, const struct sl_intent *intent)
{
    unsigned char mark[SL_INTENT_MARK];
    char text[2 * SL_INTENT_MARK + 1];
    if (!s->gateway->intents || sl_intent_mark(s->gateway->intents, doc, root, s->scratch, mark) != SL_OK)
        return false;
    for (size_t i = 0; i < sizeof mark; i++)
        snprintf(text + 2 * i, 3, "%02x", mark[i]);
    return sl_slice_eq(intent->mark, (struct sl_slice){text, sizeof text - 1});
}

static struct sl_slice member(struct settling *s, const struct sl_doc *doc, uint32_t object, sl_name name)
{
    uint32_t at = doc->spans[object].type == SL_SPAN_OBJECT ? sl_span_member(doc, object, name) : 0;
    return at ? sl_span_string(doc, at, s->scratch) : (struct sl_slice){NULL, 0};
}

static struct sl_slice version_of(struct settling *s, const struct sl_doc *doc, uint32_t root)
{
    uint32_t meta = sl_span_member(doc, root, SL_NAME_meta);
    return meta ? member(s, doc, meta, SL_NAME_versionId) : (struct sl_slice){NULL, 0};
}

static void take(struct settling *s, const struct sl_doc *doc, uint32_t root, struct settled *out)
{
    *out = (struct settled){.found = FOUND_STORED,
        .id = sl_arena_copy(s->kept, member(s, doc, root, SL_NAME_id)),
        .version = sl_arena_copy(s->kept, version_of(s, doc, root))};
}

/* It is what the write was made from: what is older says nothing of it, also where it has the same content. */
static bool is_before(struct settling *s, const struct sl_doc *doc, uint32_t root, const struct sl_intent *intent)
{
    return intent->from.len && sl_slice_eq(version_of(s, doc, root), intent->from);
}

/* Was it written no earlier than it was meant to be? An equal one that was there before is somebody else's. */
static bool is_since(struct settling *s, const struct sl_doc *doc, uint32_t root, const struct sl_intent *intent)
{
    struct sl_time_range when;
    uint32_t meta = sl_span_member(doc, root, SL_NAME_meta);
    return meta && sl_time_range_read(member(s, doc, meta, SL_NAME_lastUpdated), &when) &&
           when.to > intent->time * 1000000;
}

/* Of what a server was to name, the one that has the mark. False: another has it too, and nobody can say which it is.
 */
static bool take_created(
    struct settling *s, const struct sl_doc *doc, uint32_t root, const struct sl_intent *intent, struct settled *out)
{
    if (!is_since(s, doc, root, intent))
        return true;
    bool alone = out->found == FOUND_NOTHING;
    take(s, doc, root, out);
    if (!alone)
        *out = (struct settled){.found = FOUND_NOTHING};
    return alone;
}

static bool is_to_be_named(const struct settling *s, const struct sl_intent *intent)
{
    return !s->gateway->records && sl_slice_eq(intent->change, SL_LIT("create"));
}

/* One page of a Bundle, the newest first. *enough: what follows is older than the intent. */
static bool look_through(
    struct settling *s, struct sl_slice text, const struct sl_intent *intent, struct settled *out, bool *enough)
{
    struct sl_doc doc;
    if (sl_doc_parse(s->scratch, text, NULL, &doc, NULL) != SL_OK || doc.spans[0].type != SL_SPAN_OBJECT)
        return false;
    uint32_t list = sl_span_member(&doc, 0, SL_NAME_entry);
    for (uint32_t at = list + 1; list && at < doc.spans[list].next; at = doc.spans[at].next) {
        uint32_t root = doc.spans[at].type == SL_SPAN_OBJECT ? sl_span_member(&doc, at, SL_NAME_resource) : 0;
        if (!root || doc.spans[root].type != SL_SPAN_OBJECT)
            continue;
        *enough = is_before(s, &doc, root, intent);
        if (*enough)
            return false;
        if (!has_mark(s, &doc, root, intent))
            continue;
        if (!is_to_be_named(s, intent)) {
            take(s, &doc, root, out);
            return true;
        }
        if (!take_created(s, &doc, root, intent, out))
            return false;
    }
    return out->found == FOUND_STORED;
}

/* Pages of an ask, until it is found. *whole: all there is was looked through. */
static bool look_in_pages(
    struct settling *s, struct sl_ask ask, const struct sl_intent *intent, struct settled *out, bool *whole)
{
    bool enough = false;
    *whole = false;
    for (unsigned page = 0; page < PAGES; page++) {
        if (!ask_upstream(s, &ask) || ask.status != SL_OK)
            return false;
        if (look_through(s, ask.text, intent, out, &enough))
            return true;
        *whole = enough || (!ask.next.len && !ask.next_in_text);
        if (enough || !ask.next.len)
            return false;
        ask.position = ask.next;
        ask.next = ask.text = (struct sl_slice){NULL, 0};
    }
    return false;
}

/* ---- What has become of one ---- */

static struct sl_slice type_of(const struct sl_intent *intent)
{
    const char *slash = intent->item.len ? memchr(intent->item.ptr, '/', intent->item.len) : NULL;
    return (struct sl_slice){intent->item.ptr, slash ? (size_t)(slash - intent->item.ptr) : 0};
}

/* Nothing that was given to it can still be on its way: it is this machine's own store, whose writer ended with the
 * gateway; or a server that has had its time. */
static bool is_at_rest(const struct settling *s, const struct sl_intent *intent)
{
    return s->gateway->records || (int64_t)time(NULL) - intent->time > SETTLED;
}

/* What our own store was to create has an id, and is there or is not. */
static void settle_named(struct settling *s, const struct sl_intent *intent, struct settled *out)
{
    struct sl_slice type = type_of(intent), id = sl_slice_from(intent->item, type.len + 1);
    struct sl_ask ask = {.kind = SL_ASK_VREAD, .type = type, .id = id, .version = SL_LIT("1")};
    if (!ask_upstream(s, &ask))
        return;
    *out = (struct settled){.found = ask.status == SL_OK ? FOUND_STORED : FOUND_ABSENT};
    if (ask.status == SL_OK)
        out->version = SL_LIT("1");
}

/* What a server has created since, by its mark. That it is not found says nothing. */
static void settle_create(struct settling *s, const struct sl_intent *intent, struct settled *out)
{
    struct sl_search search;
    struct sl_slice type = type_of(intent);
    char since[32], query[96];
    time_t from = (time_t)(intent->time - SKEW);
    struct tm tm;
    bool whole;
    if (s->gateway->records) {
        settle_named(s, intent, out);
        return;
    }
    if (!intent->mark.len || !gmtime_r(&from, &tm) || !strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", &tm))
        return;
    int len = snprintf(query, sizeof query, "_lastUpdated=ge%s", since);
    if (sl_search_read(s->scratch, sl_r4_resource(type), (struct sl_slice){query, (size_t)len},
            (struct sl_slice){NULL, 0}, NULL, &search) == SL_OK)
        (void)look_in_pages(s, (struct sl_ask){.kind = SL_ASK_PAGE, .type = type, .search = &search, .count = ROWS},
            intent, out, &whole);
}

/* It is as it was before: the write has not come, if nothing is on its way any more. */
static void settle_same(
    const struct settling *s, const struct sl_intent *intent, struct sl_slice version, struct settled *out)
{
    if (intent->from.len && sl_slice_eq(version, intent->from) && is_at_rest(s, intent))
        out->found = FOUND_ABSENT;
}

static void settle_update(struct settling *s, const struct sl_intent *intent, struct settled *out)
{
    struct sl_slice type = type_of(intent), id = sl_slice_from(intent->item, type.len + 1);
    struct sl_ask ask = {.kind = SL_ASK_READ, .type = type, .id = id};
    struct sl_doc doc;
    bool whole;
    if (!ask_upstream(s, &ask))
        return;
    if (ask.status == SL_OK && sl_doc_parse(s->scratch, ask.text, NULL, &doc, NULL) == SL_OK &&
        doc.spans[0].type == SL_SPAN_OBJECT) {
        if (!is_before(s, &doc, 0, intent) && has_mark(s, &doc, 0, intent))
            take(s, &doc, 0, out);
        else
            settle_same(s, intent, version_of(s, &doc, 0), out);
    }
    if (out->found != FOUND_NOTHING) /* somebody may have written since: then an earlier version is it */
        return;
    ask = (struct sl_ask){.kind = SL_ASK_HISTORY, .type = type, .id = id, .count = ROWS};
    if (!look_in_pages(s, ask, intent, out, &whole) && whole && intent->mark.len && s->gateway->records)
        out->found = FOUND_ABSENT; /* our own store keeps every version */
}

static void settle_delete(struct settling *s, const struct sl_intent *intent, struct settled *out)
{
    struct sl_slice type = type_of(intent), id = sl_slice_from(intent->item, type.len + 1);
    struct sl_ask ask = {.kind = SL_ASK_READ, .type = type, .id = id};
    struct sl_doc doc;
    if (!ask_upstream(s, &ask))
        return;
    if (ask.status == SL_NOT_FOUND && ask.gone)
        *out = (struct settled){.found = FOUND_STORED, .id = id};
    else if (ask.status == SL_OK && sl_doc_parse(s->scratch, ask.text, NULL, &doc, NULL) == SL_OK)
        settle_same(s, intent, version_of(s, &doc, 0), out);
}

/* A Consent that came through while the gateway ended is in force nowhere: what is stored now holds from here on. */
static bool bring_into_force(struct settling *s, const struct sl_intent *intent, const struct settled *settled)
{
    struct sl_slice type = type_of(intent), named = sl_slice_from(intent->item, type.len + 1);
    struct sl_ask ask = {.kind = SL_ASK_READ, .type = type, .id = settled->id.len ? settled->id : named};
    struct sl_doc doc;
    if (sl_r4_resource(type) != SL_R4_Consent || settled->found == FOUND_ABSENT || sl_slice_eq(ask.id, SL_LIT("?")))
        return true;
    sl_arena_reset(s->scratch);
    if (s->unreachable || !ask_upstream(s, &ask) || !sl_recorder_directs(s->gateway->recorder))
        return false;
    return ask.status == SL_NOT_FOUND ||
           (ask.status == SL_OK && sl_doc_parse(s->scratch, ask.text, NULL, &doc, NULL) == SL_OK &&
               sl_directives_import(s->gateway->store, &doc, 0, NULL) == SL_OK);
}

static void settle_one(struct settling *s, const struct sl_intent *intent, struct settled *out)
{
    static const struct {
        struct sl_slice change;
        void (*settle)(struct settling *s, const struct sl_intent *intent, struct settled *out);
    } ways[] = {{{"create", 6}, settle_create}, {{"update", 6}, settle_update}, {{"delete", 6}, settle_delete}};
    *out = (struct settled){.found = FOUND_NOTHING};
    sl_arena_reset(s->scratch);
    for (size_t i = 0; i < sizeof ways / sizeof *ways && !s->unreachable && s->asked < ASKED; i++)
        if (sl_slice_eq(intent->change, ways[i].change) && sl_r4_resource(type_of(intent))) {
            ways[i].settle(s, intent, out);
            s->asked++;
            if (!s->unreachable)
                return;
        }
    if (out->found == FOUND_NOTHING)
        out->found = FOUND_UNASKED;
}

/* ---- Telling the ledger ---- */

static void add_member(struct sl_buffer *out, const char *name, struct sl_slice value)
{
    if (!value.len)
        return;
    sl_buffer_printf(out, ",\"%s\":", name);
    sl_buffer_json_string(out, value);
}

static void write_one(struct sl_buffer *out, const struct sl_intent *intent, const struct settled *settled)
{
    static const char *const told[] = {"null", "true", "false", "null"};
    struct sl_slice type = type_of(intent), id = sl_slice_from(intent->item, type.len + 1);
    sl_buffer_printf(out, "{\"item\":\"%.*s/%.*s\"", SL_FMT(type), SL_FMT(settled->id.len ? settled->id : id));
    add_member(out, "exchange", intent->exchange);
    add_member(out, "version", settled->version);
    add_member(out, "from", intent->from);
    add_member(out, "patient", intent->patient);
    add_member(out, "grant", intent->grant);
    bool unknown = settled->found == FOUND_NOTHING || settled->found == FOUND_UNASKED;
    sl_buffer_printf(out, ",\"stored\":%s", told[settled->found]);
    if (unknown || settled->idle)
        sl_buffer_printf(out, ",\"tasks\":[%s%s%s]", unknown ? "{\"rule\":\"outcome-unknown\",\"notify\":true}" : "",
            unknown && settled->idle ? "," : "",
            settled->idle ? "{\"rule\":\"consent-not-in-force\",\"notify\":true}" : "");
    sl_buffer_add(out, SL_LIT("}"));
}

/* "asked" is false: it is asked about again at the next start. */
static enum sl_status tell_ledger(
    struct settling *s, const struct sl_intent *intents, const struct settled *settled, size_t count, bool asked)
{
    struct sl_buffer out;
    char now[32] = "unknown";
    time_t seconds = time(NULL);
    struct tm tm;
    uint64_t sequence;
    sl_buffer_init(&out, (size_t)4 << 20);
    if (gmtime_r(&seconds, &tm))
        strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &tm);
    sl_buffer_printf(&out, "{\"v\":2,\"time\":\"%s\"", now);
    add_member(&out, "settled", intents[0].whole);
    add_member(&out, "node", s->gateway->config->node);
    sl_buffer_printf(&out, ",\"intent\":%" PRIu64 ",\"asked\":%s,\"recipient\":%.*s,\"written\":[", intents[0].sequence,
        asked ? "true" : "false", SL_FMT(intents[0].recipient.len ? intents[0].recipient : SL_LIT("{}")));
    for (size_t i = 0; i < count; i++) {
        sl_buffer_add(&out, i ? SL_LIT(",") : SL_LIT(""));
        write_one(&out, &intents[i], &settled[i]);
    }
    sl_buffer_add(&out, SL_LIT("]}"));
    enum sl_status status =
        sl_buffer_failed(&out) ? SL_LIMIT : sl_ledger_append_wait(s->gateway->ledger, sl_buffer_slice(&out), &sequence);
    sl_buffer_fini(&out);
    return status;
}

/* All or none: what is known of one entry of a transaction is known of all. */
static void settle_together(struct settled *settled, size_t count)
{
    enum found known = FOUND_NOTHING;
    for (size_t i = 0; i < count; i++)
        if (settled[i].found == FOUND_STORED || (settled[i].found == FOUND_ABSENT && known != FOUND_STORED))
            known = settled[i].found;
    for (size_t i = 0; i < count && known != FOUND_NOTHING; i++)
        settled[i].found = known;
}

static void count_up(const struct settled *settled, size_t count, struct sl_settled *out, bool *asked)
{
    *asked = true;
    for (size_t i = 0; i < count; i++) {
        out->stored += settled[i].found == FOUND_STORED;
        out->not_stored += settled[i].found == FOUND_ABSENT;
        out->unknown += settled[i].found == FOUND_NOTHING || settled[i].found == FOUND_UNASKED;
        out->idle += settled[i].idle;
        *asked = *asked && settled[i].found != FOUND_UNASKED && !settled[i].idle;
    }
}

/* One write, or what one transaction was to write. */
static enum sl_status settle_whole(
    struct settling *s, const struct sl_intent *intents, size_t count, struct sl_settled *out, bool *asked)
{
    struct settled *settled = sl_arena_array(s->kept, count, sizeof *settled);
    if (!settled)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        settle_one(s, &intents[i], &settled[i]);
    settle_together(settled, count);
    for (size_t i = 0; i < count; i++)
        settled[i].idle = !bring_into_force(s, &intents[i], &settled[i]);
    count_up(settled, count, out, asked);
    return tell_ledger(s, intents, settled, count, *asked);
}

/* ---- How far there is nothing left ---- */

static bool path_of(const struct sl_gateway *gateway, const char *name, char out[4096])
{
    int len = snprintf(out, 4096, "%s/%s", gateway->config->ledger.ptr, name);
    return len > 0 && len < 4096;
}

/* Of a number that is not there, or says nothing, the ledger is read from its beginning. */
static uint64_t settled_before(const struct sl_gateway *gateway)
{
    char path[4096];
    uint64_t number = 0;
    struct sl_ledger_state state;
    sl_ledger_state(gateway->ledger, &state);
    FILE *file = path_of(gateway, "settled", path) ? fopen(path, "re") : NULL;
    if (!file)
        return 0;
    if (fscanf(file, "%" SCNu64, &number) != 1)
        number = 0;
    fclose(file);
    return number <= state.size ? number : 0;
}

static void note_settled(const struct sl_gateway *gateway, uint64_t number)
{
    char path[4096], fresh[4096];
    if (!path_of(gateway, "settled", path) || !path_of(gateway, "settled.new", fresh))
        return;
    FILE *file = fopen(fresh, "we");
    bool good = file && fprintf(file, "%" PRIu64 "\n", number) > 0 && fflush(file) == 0 && fsync(fileno(file)) == 0;
    if (file && fclose(file) != 0)
        good = false;
    if (!good || rename(fresh, path) != 0)
        unlink(fresh); /* the old number stays: more is read than needed */
}

/* ---- All ---- */

static enum sl_status settle_all(struct settling *s, struct sl_settled *out)
{
    uint64_t until = s->intents.end;
    for (size_t i = 0, next; i < s->intents.count; i = next) {
        bool asked;
        for (next = i + 1; next < s->intents.count && s->intents.open[next].sequence == s->intents.open[i].sequence;)
            next++;
        SL_TRY(settle_whole(s, &s->intents.open[i], next - i, out, &asked));
        if (!asked && s->intents.open[i].sequence < until)
            until = s->intents.open[i].sequence;
    }
    if (!s->intents.more)
        note_settled(s->gateway, until);
    return SL_OK;
}

static enum sl_status open_worker(struct settling *s, struct sl_issues *issues)
{
    s->options = sl_server_defaults;
    SL_TRY(sl_worker_init(&s->worker, &s->options, NULL));
    return sl_worker_state_new(s->gateway, &s->worker, s->worker.loop.base, issues, &s->worker.state);
}

static enum sl_status run(struct settling *s, struct sl_issues *issues, struct sl_settled *out)
{
    const char *ledger = s->gateway->config->ledger.ptr;
    SL_TRY(sl_intents_read(ledger, settled_before(s->gateway), s->kept, issues, &s->intents));
    if (s->intents.count)
        SL_TRY(open_worker(s, issues));
    return settle_all(s, out);
}

enum sl_status sl_settle(struct sl_gateway *gateway, struct sl_issues *issues, struct sl_settled *out)
{
    struct settling *s = calloc(1, sizeof *s);
    enum sl_status status = SL_NO_MEMORY;
    *out = (struct sl_settled){0};
    if (s) {
        s->gateway = gateway;
        s->kept = sl_arena_new(KEPT);
        s->scratch = sl_arena_new(SCRATCH);
        status = s->kept && s->scratch ? run(s, issues, out) : SL_NO_MEMORY;
        sl_worker_state_free(s->worker.state);
        if (s->worker.magic)
            sl_worker_fini(&s->worker);
        sl_arena_free(s->kept);
        sl_arena_free(s->scratch);
    }
    free(s);
    if (status != SL_OK || out->unknown || out->idle)
        atomic_store(&gateway->untold, true);
    return status;
}

void sl_settle_note_end(const struct sl_gateway *gateway)
{
    struct sl_ledger_state state;
    if (atomic_load(&gateway->untold) || atomic_load(&gateway->meant))
        return;
    sl_ledger_state(gateway->ledger, &state);
    if (!state.error)
        note_settled(gateway, state.size);
}
