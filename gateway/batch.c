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

#define TOGETHER 4u /* entries that are asked side by side */

struct sl_batch {
    struct sl_batch_bundle bundle;
    size_t begun, answered;
    struct sl_exchange *running[TOGETHER]; /* of the entries from `answered` on */
    struct sl_blocks out;                  /* the answer so far */
};

#define LIT(text) sl_blocks_add(out, SL_LIT(text))

/* ---- Reading ---- */

static enum sl_status open_batch(struct sl_exchange *x)
{
    struct sl_batch *batch = sl_arena_alloc(x->arena, sizeof *batch);
    const struct sl_config *config = x->state->gateway->config;
    const struct sl_batch_context context = {.base = config->base,
        .prefer = sl_request_header(x->request, SL_LIT("prefer"), NULL),
        .limit = config->batch_entries};
    struct sl_doc doc;
    if (!batch)
        return SL_NO_MEMORY;
    SL_TRY(sl_body_read(x, &doc));
    SL_TRY(sl_batch_read(&doc, &context, x->arena, &batch->bundle));
    batch->out.arena = x->arena;
    sl_blocks_add(&batch->out, SL_LIT("{\"resourceType\":\"Bundle\",\"type\":\""));
    sl_blocks_add(
        &batch->out, batch->bundle.transaction ? SL_LIT("transaction-response\"") : SL_LIT("batch-response\""));
    if (batch->bundle.count)
        sl_blocks_add(&batch->out, SL_LIT(",\"entry\":["));
    x->batch = batch;
    return SL_OK;
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

static enum sl_status note(struct sl_exchange *x, const struct sl_exchange *inner)
{
    struct sl_batch *batch = x->batch;
    struct sl_blocks *out = &batch->out;
    size_t bytes = inner->response.body ? inner->response.body->total : 0;
    if (!sl_exchange_reserve(x, &x->reserved, 2 * bytes)) /* here, and once more in the format asked for */
        return SL_UNAVAILABLE;
    if (batch->answered)
        LIT(",");
    add_entry(inner, x->arena, out);
    if (sl_level_rank(inner->confidentiality) > sl_level_rank(x->confidentiality))
        x->confidentiality = inner->confidentiality;
    return out->failed ? SL_NO_MEMORY : SL_OK;
}

/* ---- One group after the other ---- */

/* All or nothing: what fails in a transaction is the whole, with its status. */
static enum sl_status fate_of(const struct sl_batch *batch, const struct sl_exchange *inner)
{
    return batch->bundle.transaction ? inner->status : SL_OK;
}

/* Those that were begun have all ended. */
static enum sl_status take_answers(struct sl_exchange *x)
{
    struct sl_batch *batch = x->batch;
    for (size_t i = 0; batch->answered < batch->begun; i++) {
        SL_TRY(fate_of(batch, batch->running[i]));
        SL_TRY(note(x, batch->running[i]));
        sl_inner_drop(batch->running[i]);
        batch->answered++;
    }
    return SL_OK;
}

static bool may_be_beside(const struct sl_batch_entry *entry)
{
    return entry->request.method == SL_GET;
}

/* Begins the next group: reads as they follow each other, or one entry of any other kind. */
static enum sl_status begin_group(struct sl_exchange *x)
{
    struct sl_batch *batch = x->batch;
    for (size_t i = 0; i < TOGETHER && batch->begun < batch->bundle.count; i++) {
        const struct sl_batch_entry *entry = &batch->bundle.entries[batch->begun];
        if (i && !may_be_beside(entry))
            break;
        SL_TRY(sl_inner_answer(x, &entry->request, &batch->running[i]));
        batch->begun++;
        if (!may_be_beside(entry))
            break;
    }
    return SL_OK;
}

/* A transaction that writes is refused before anything is asked: its writes are not made as one here. */
static bool is_served(struct sl_exchange *x)
{
    const struct sl_batch_bundle *bundle = &x->batch->bundle;
    for (size_t i = 0; bundle->transaction && i < bundle->count; i++)
        if (bundle->entries[i].request.method != SL_GET) {
            x->detail = SL_LIT("A transaction may read; what writes is sent by itself, or in a batch.");
            return false;
        }
    return true;
}

enum sl_step_result sl_batch_step(struct sl_exchange *x)
{
    if (x->outer && !x->outer->selftest)
        return sl_exchange_fail(x, SL_NOT_SUPPORTED, "batch-in-batch");
    enum sl_status status = x->batch ? SL_OK : open_batch(x);
    if (status == SL_OK && !x->batch->begun && !is_served(x))
        status = SL_NOT_SUPPORTED;
    if (status == SL_OK)
        status = take_answers(x);
    if (status == SL_OK)
        status = begin_group(x);
    if (status != SL_OK)
        return sl_exchange_fail(x, status, "batch");
    return x->batch->answered < x->batch->begun ? SL_STEP_WAIT : SL_STEP_DONE;
}

enum sl_status sl_batch_answer(struct sl_exchange *x)
{
    struct sl_blocks *out = &x->batch->out;
    if (x->batch->bundle.count)
        LIT("]");
    sl_blocks_add(out, sl_arena_printf(x->arena,
                           ",\"meta\":{\"security\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/"
                           "v3-Confidentiality\",\"code\":\"%c\"}]}}",
                           x->confidentiality ? x->confidentiality : 'N'));
    x->body = *out;
    return SL_OK; /* whoever asked looks at body.failed */
}
