/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of a transaction as they come, and what is known of each. */
#include <openssl/rand.h>
#include <stdlib.h>

#include "records_write.h"
#include "sluice/r4_names.h"
#include "transaction_parts.h"

bool sl_member_reads(const struct sl_member *part)
{
    return part->entry->request.method == SL_GET;
}

bool sl_member_is_resource(const struct sl_member *part)
{
    const struct sl_request *request = &part->entry->request;
    return part->entry->resource &&
           sl_slice_eq(sl_request_header(request, SL_LIT("content-type"), NULL), SL_LIT("application/fhir+json"));
}

const struct sl_write *sl_member_write(const struct sl_member *part)
{
    return part->inner && part->inner->parked ? part->inner->write : NULL;
}

bool sl_member_is_sent(const struct sl_member *part)
{
    const struct sl_write *write = sl_member_write(part);
    return write && write->stage == SL_WRITE_SENT;
}

struct sl_member *sl_transaction_maker(const struct sl_transaction *t, struct sl_slice name)
{
    size_t index = 0;
    for (size_t i = name.len > 40 ? name.len - 4 : name.len; i < name.len; i++) {
        const char *digit = memchr("0123456789abcdef", name.ptr[i], 16);
        index = 16 * index + (digit ? (size_t)(digit - "0123456789abcdef") : 0);
    }
    struct sl_member *part = index < t->count ? &t->parts[index] : NULL;
    return part && part->provisional.len && sl_slice_eq(part->provisional, name) ? part : NULL;
}

static unsigned rank_of(const struct sl_member *part)
{
    static const unsigned ranks[] = {
        [SL_METHOD_DELETE] = 0, [SL_POST] = 1, [SL_PUT] = 2, [SL_METHOD_PATCH] = 2, [SL_GET] = 3};
    enum sl_method method = part->entry->request.method;
    return method < sizeof ranks / sizeof *ranks ? ranks[method] : 2;
}

/* An id that nobody can guess, which ends in the entry's number. */
static enum sl_status draw_id(struct sl_exchange *x, size_t index, struct sl_member *part)
{
    unsigned char b[14];
    if (RAND_bytes(b, sizeof b) != 1)
        return SL_CRYPTO;
    part->id = sl_arena_printf(x->arena, "%02x%02x%02x%02x-%02x%02x-4%x%02x-8%x%02x-%02x%02x%02x%02x%04zx", b[0], b[1],
        b[2], b[3], b[4], b[5], b[6] & 15, b[7], b[8] & 15, b[9], b[10], b[11], b[12], b[13], index);
    part->provisional = sl_arena_printf(x->arena, "%.*s/%.*s", SL_FMT(sl_r4_node_name(part->type)), SL_FMT(part->id));
    return part->provisional.ptr ? SL_OK : SL_NO_MEMORY;
}

/* "Type/id" of a PUT whose url names its record. */
static struct sl_slice named_by_url(const struct sl_exchange *x, const struct sl_member *part)
{
    struct sl_slice base = x->state->gateway->config->base, path = part->entry->request.path;
    if (path.len <= base.len + 1)
        return (struct sl_slice){NULL, 0};
    path = sl_slice_from(path, base.len + 1);
    return memchr(path.ptr, '/', path.len) ? path : (struct sl_slice){NULL, 0};
}

static enum sl_status read_part(struct sl_exchange *x, size_t index, struct sl_member *part)
{
    struct sl_doc doc;
    enum sl_method method = part->entry->request.method;
    if (!sl_member_is_resource(part) || (method != SL_POST && method != SL_PUT))
        return SL_OK;
    SL_TRY(sl_doc_parse(x->arena, part->entry->request.body, NULL, &doc, NULL));
    uint32_t type = sl_span_member(&doc, 0, SL_NAME_resourceType);
    part->type = type ? sl_r4_resource(sl_span_raw(&doc, type)) : 0;
    if (!part->type)
        return SL_OK; /* refused, once it is its turn */
    part->name = method == SL_PUT ? named_by_url(x, part) : (struct sl_slice){NULL, 0};
    if (part->name.len)
        return SL_OK;
    SL_TRY(draw_id(x, index, part));
    part->name = part->provisional;
    return SL_OK;
}

static int order_parts(const void *left, const void *right)
{
    const struct sl_member *a = *(struct sl_member *const *)left, *b = *(struct sl_member *const *)right;
    unsigned ra = rank_of(a), rb = rank_of(b);
    return ra != rb ? (ra > rb) - (ra < rb) : (a > b) - (a < b);
}

static int order_urls(const void *left, const void *right)
{
    const struct sl_member *a = *(struct sl_member *const *)left, *b = *(struct sl_member *const *)right;
    return sl_slice_compare(a->entry->full_url, b->entry->full_url);
}

struct sl_member *sl_transaction_find_url(const struct sl_transaction *t, struct sl_slice url)
{
    struct sl_batch_entry entry = {.full_url = url};
    const struct sl_member wanted = {.entry = &entry}, *key = &wanted;
    struct sl_member **found =
        t->url_count ? bsearch(&key, t->urls, t->url_count, sizeof(struct sl_member *), order_urls) : NULL;
    return found ? *found : NULL;
}

static enum sl_status read_urls(struct sl_exchange *x, struct sl_transaction *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->parts[i].entry->full_url.len)
            t->urls[t->url_count++] = &t->parts[i];
    qsort(t->urls, t->url_count, sizeof(struct sl_member *), order_urls);
    for (size_t i = 1; i < t->url_count; i++)
        if (order_urls(&t->urls[i - 1], &t->urls[i]) == 0) {
            x->detail = SL_LIT("Two entries have the same fullUrl.");
            return SL_BAD_SYNTAX;
        }
    return SL_OK;
}

enum sl_status sl_transaction_begin(struct sl_exchange *x, const struct sl_batch_bundle *bundle)
{
    struct sl_transaction *t = sl_arena_alloc(x->arena, sizeof *t);
    size_t writes = 0;
    if (!t)
        return SL_NO_MEMORY;
    t->count = bundle->count;
    t->parts = sl_arena_array(x->arena, t->count, sizeof *t->parts);
    t->urls = sl_arena_array(x->arena, t->count, sizeof(struct sl_member *));
    t->order = sl_arena_array(x->arena, t->count, sizeof(struct sl_member *));
    if (!t->parts || !t->urls || !t->order)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < t->count; i++) {
        t->order[i] = &t->parts[i];
        t->parts[i].entry = &bundle->entries[i];
        writes += !sl_member_reads(&t->parts[i]);
        SL_TRY(read_part(x, i, &t->parts[i]));
    }
    if (writes > SL_RECORD_WRITES || t->count > 0xffff)
        return SL_TOO_LARGE;
    qsort(t->order, t->count, sizeof(struct sl_member *), order_parts);
    x->transaction = t;
    return read_urls(x, t);
}
