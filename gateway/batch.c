/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answering a batch: see batch.h. The entries are asked in their order; reads a few side by side, a write by itself.
 * What comes of each is put into the answer in its place, and its exchange is dropped: what a batch holds are answers,
 * not passes.
 *
 * Nothing of one entry reaches another. They share the bound on work and the deadline alone: an entry beyond it answers
 * the fixed 503, as the rest will.
 */
#include "batch.h"

#include <time.h>

#include "body.h"
#include "transaction.h"

#define TOGETHER 4u /* entries that are asked side by side */

struct sl_batch {
    struct sl_batch_bundle bundle;
    struct sl_blocks *answers; /* of each entry */
    size_t *turns;             /* those that are asked each by itself, in their order */
    size_t turn_count, begun, answered;
    struct sl_exchange *running[TOGETHER]; /* of the turns from `answered` on */
    bool written;                          /* what a transaction writes has been written, and answered */
    bool together;                         /* all or nothing, and nothing has been written */
    struct sl_blocks out;
};

#define LIT(text) sl_blocks_add(out, SL_LIT(text))

/* ---- Reading ---- */

static enum sl_status read_batch(struct sl_exchange *x, struct sl_batch *batch)
{
    const struct sl_config *config = x->state->gateway->config;
    const struct sl_batch_context context = {.base = config->base,
        .prefer = sl_request_header(x->request, SL_LIT("prefer"), NULL),
        .limit = config->batch_entries};
    struct sl_doc doc;
    SL_TRY(sl_body_read(x, &doc));
    SL_TRY(sl_batch_read(&doc, &context, x->arena, &batch->bundle));
    batch->answers = sl_arena_array(x->arena, batch->bundle.count + 1, sizeof *batch->answers);
    batch->turns = sl_arena_array(x->arena, batch->bundle.count + 1, sizeof *batch->turns);
    return batch->answers && batch->turns ? SL_OK : SL_NO_MEMORY;
}

static bool is_read(const struct sl_batch_entry *entry)
{
    return entry->request.method == SL_GET;
}

/* Of a transaction what writes is its own business (transaction.c); what it reads is asked for afterwards. */
static enum sl_status open_batch(struct sl_exchange *x)
{
    struct sl_batch *batch = sl_arena_alloc(x->arena, sizeof *batch);
    if (!batch)
        return SL_NO_MEMORY;
    SL_TRY(read_batch(x, batch));
    const struct sl_batch_bundle *bundle = &batch->bundle;
    for (size_t i = 0; i < bundle->count; i++)
        if (!bundle->transaction || is_read(&bundle->entries[i]))
            batch->turns[batch->turn_count++] = i;
    batch->together = bundle->transaction && batch->turn_count == bundle->count;
    x->batch = batch;
    return bundle->transaction && !batch->together ? sl_transaction_begin(x, bundle) : SL_OK;
}

/* ---- One answer in its place ---- */

static void add_json(struct sl_blocks *out, const char *key, struct sl_slice text)
{
    struct sl_buffer buffer;
    if (!text.len)
        return;
    sl_buffer_init(&buffer, (size_t)64 * 1024);
    sl_buffer_printf(&buffer, ",\"%s\":", key);
    sl_buffer_json_string(&buffer, text);
    if (sl_buffer_failed(&buffer))
        out->failed = true;
    else
        sl_blocks_add(out, sl_buffer_slice(&buffer));
    sl_buffer_fini(&buffer);
}

static struct sl_slice header_of(const struct sl_exchange *inner, struct sl_slice name)
{
    for (size_t i = 0; i < inner->response.header_count; i++)
        if (sl_format_same(inner->response.headers[i].name, name))
            return inner->response.headers[i].value;
    return (struct sl_slice){NULL, 0};
}

/* A date of HTTP as an instant of FHIR. */
static struct sl_slice instant_of(struct sl_slice date, struct sl_arena *arena)
{
    char text[64];
    struct tm tm = {0};
    if (!date.len || date.len >= sizeof text)
        return (struct sl_slice){NULL, 0};
    memcpy(text, date.ptr, date.len);
    text[date.len] = '\0';
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    if (!end || *end || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm))
        return (struct sl_slice){NULL, 0};
    return sl_arena_copy(arena, sl_slice_of(text));
}

static void add_body(const struct sl_exchange *inner, const char *key, struct sl_blocks *out)
{
    sl_blocks_add(out, sl_slice_of(key));
    for (const struct sl_block *block = inner->response.body->first; block; block = block->next)
        sl_blocks_add(out, (struct sl_slice){block->ptr, block->len});
}

/* What went wrong is said in response.outcome; an answer is the entry's resource, whatever it is. */
static void add_entry(const struct sl_exchange *inner, struct sl_arena *arena, struct sl_blocks *out)
{
    bool body = inner->response.body && inner->response.body->total && !inner->response.head_only;
    bool good = inner->status == SL_OK;
    LIT("{");
    if (body && good) {
        add_body(inner, "\"resource\":", out);
        LIT(",");
    }
    LIT("\"response\":{\"status\":");
    sl_blocks_add(out, sl_arena_printf(arena, "\"%d\"", inner->response.status));
    add_json(out, "location", header_of(inner, SL_LIT("Location")));
    add_json(out, "etag", header_of(inner, SL_LIT("ETag")));
    add_json(out, "lastModified", instant_of(header_of(inner, SL_LIT("Last-Modified")), arena));
    if (body && !good)
        add_body(inner, ",\"outcome\":", out);
    LIT("}}");
}

static enum sl_status note(struct sl_exchange *x, size_t index, const struct sl_exchange *inner)
{
    struct sl_blocks *out = &x->batch->answers[index];
    size_t bytes = inner->response.body ? inner->response.body->total : 0;
    SL_TRY(sl_exchange_reserve(x, &x->reserved, 2 * bytes)); /* here, and once more in the format asked for */
    out->arena = x->arena;
    if (index)
        LIT(",");
    add_entry(inner, x->arena, out);
    if (sl_level_rank(inner->confidentiality) > sl_level_rank(x->confidentiality))
        x->confidentiality = inner->confidentiality;
    return out->failed ? SL_NO_MEMORY : SL_OK;
}

/* ---- One group after the other ---- */

/* Those that were begun have all ended. In a transaction that only reads, what fails is the whole. */
static enum sl_status take_answers(struct sl_exchange *x)
{
    struct sl_batch *batch = x->batch;
    for (size_t i = 0; batch->answered < batch->begun; i++) {
        SL_TRY(batch->together ? batch->running[i]->status : SL_OK);
        SL_TRY(note(x, batch->turns[batch->answered], batch->running[i]));
        sl_inner_drop(batch->running[i]);
        batch->answered++;
    }
    return SL_OK;
}

/* Begins the next group: reads as they follow each other, or one entry of any other kind. */
static enum sl_status begin_group(struct sl_exchange *x)
{
    struct sl_batch *batch = x->batch;
    for (size_t i = 0; i < TOGETHER && batch->begun < batch->turn_count; i++) {
        const struct sl_batch_entry *entry = &batch->bundle.entries[batch->turns[batch->begun]];
        if (i && !is_read(entry))
            break;
        SL_TRY(sl_inner_answer(x, &entry->request, &batch->running[i]));
        batch->begun++;
        if (!is_read(entry))
            break;
    }
    return SL_OK;
}

/* What a transaction has written is answered; what it reads follows. */
static enum sl_step_result write_first(struct sl_exchange *x)
{
    if (!x->transaction || x->batch->written)
        return SL_STEP_DONE;
    enum sl_step_result result = sl_transaction_step(x);
    if (result != SL_STEP_DONE)
        return result;
    for (size_t i = 0; i < x->batch->bundle.count; i++) {
        struct sl_exchange *inner = sl_transaction_entry(x, i);
        enum sl_status status = inner ? note(x, i, inner) : SL_OK;
        if (status != SL_OK)
            return sl_exchange_fail(x, status, "batch");
        if (inner)
            sl_inner_drop(inner);
    }
    x->batch->written = true;
    return SL_STEP_DONE;
}

enum sl_step_result sl_batch_step(struct sl_exchange *x)
{
    if (sl_inner_is_entry(x))
        return sl_exchange_fail(x, SL_NOT_SUPPORTED, "batch-in-batch");
    enum sl_status status = x->batch ? SL_OK : open_batch(x);
    if (status != SL_OK)
        return sl_exchange_fail(x, status, "batch");
    enum sl_step_result result = write_first(x);
    if (result != SL_STEP_DONE || x->cancelled) /* nobody waits for more than the ledger's record of it */
        return result;
    status = take_answers(x);
    if (status == SL_OK)
        status = begin_group(x);
    if (status != SL_OK)
        return sl_exchange_fail(x, status, "batch");
    return x->batch->answered < x->batch->begun ? SL_STEP_WAIT : SL_STEP_DONE;
}

/* Moves what is in one to the end of the other. */
static void append(struct sl_blocks *out, const struct sl_blocks *more)
{
    if (!more->first)
        return;
    *(out->last ? &out->last->next : &out->first) = more->first;
    out->last = more->last;
    out->total += more->total;
}

enum sl_status sl_batch_answer(struct sl_exchange *x)
{
    struct sl_batch *batch = x->batch;
    struct sl_blocks *out = &batch->out;
    out->arena = x->arena;
    LIT("{\"resourceType\":\"Bundle\",\"type\":\"");
    sl_blocks_add(out, batch->bundle.transaction ? SL_LIT("transaction-response\"") : SL_LIT("batch-response\""));
    if (batch->bundle.count)
        LIT(",\"entry\":[");
    for (size_t i = 0; i < batch->bundle.count; i++)
        append(out, &batch->answers[i]);
    if (batch->bundle.count)
        LIT("]");
    sl_blocks_add(out, sl_arena_printf(x->arena,
                           ",\"meta\":{\"security\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/"
                           "v3-Confidentiality\",\"code\":\"%c\"}]}}",
                           x->confidentiality ? x->confidentiality : 'N'));
    x->body = *out;
    return SL_OK; /* whoever asked looks at body.failed */
}
