/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Can any bytes break the request reader, and does it matter where they are split? The first byte seeds the splits; the
 * rest is a connection's input, read once whole and once in pieces. Both must come to the same, and what is accepted
 * must keep what http1.h promises.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http1.h"

/* Small limits, so that a fuzzer reaches them. */
static const struct sl_http1_limits limits = {.line = 256, .headers = 1024, .fields = 8, .body = 4096};

struct run {
    size_t messages;
    uint64_t digest; /* over everything that was accepted, in order */
    enum sl_status status;
    bool closed;
};

static void digest_bytes(struct run *run, struct sl_slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        run->digest = (run->digest ^ (unsigned char)bytes.ptr[i]) * 0x100000001b3u;
    run->digest = (run->digest ^ bytes.len) * 0x100000001b3u;
}

static void check_request(struct run *run, const struct sl_request *r)
{
    SL_ASSERT(r->path.len && (r->path.ptr[0] == '/' || (r->method == SL_OPTIONS && r->path.len == 1)));
    SL_ASSERT(!memmem(r->path.ptr, r->path.len, "/../", 4) && !memchr(r->path.ptr, '#', r->path.len));
    SL_ASSERT(r->header_count <= limits.fields && r->body.len <= limits.body && r->target.len <= limits.line);
    SL_ASSERT(!(r->chunked && r->content_length) && (r->has_body || !r->body.len));
    SL_ASSERT(r->chunked || r->body.len == r->content_length);
    for (size_t i = 0; i < r->header_count; i++) {
        digest_bytes(run, r->headers[i].name);
        digest_bytes(run, r->headers[i].value);
        SL_ASSERT(!memchr(r->headers[i].value.ptr, '\n', r->headers[i].value.len));
    }
    digest_bytes(run, r->target);
    digest_bytes(run, r->body);
    run->messages++;
    run->closed = !r->keep_alive;
}

static void feed(struct sl_http1 *reader, struct sl_arena *arena, struct sl_slice piece, struct run *run)
{
    for (size_t at = 0, used; at < piece.len && run->status == SL_OK && !run->closed; at += used) {
        enum sl_http1_event event = sl_http1_feed(reader, sl_slice_from(piece, at), &used);
        SL_ASSERT(used <= piece.len - at && (event != SL_HTTP1_MORE || used == piece.len - at));
        if (event == SL_HTTP1_BEGIN)
            sl_http1_begin(reader, arena);
        if (event == SL_HTTP1_BAD)
            run->status = reader->status;
        if (event == SL_HTTP1_DONE || (event == SL_HTTP1_HEAD && !reader->request->has_body)) {
            check_request(run, reader->request);
            sl_http1_init(reader, &limits);
        }
    }
}

/* All at once with seed 0, else pieces of 1 to 16 bytes; each in memory of its own, gone once it has been fed. */
static struct run read_input(struct sl_slice input, unsigned seed)
{
    struct run run = {.digest = 0xcbf29ce484222325u};
    struct sl_arena *arena = sl_arena_new((size_t)1 << 24);
    struct sl_http1 reader;
    SL_ASSERT(arena);
    sl_http1_init(&reader, &limits);
    for (size_t at = 0, n; at < input.len; at += n) {
        seed *= 1103515245u; /* odd: a seed never becomes 0, and 0 stays 0 */
        n = seed ? 1 + (seed >> 16) % 16 : input.len;
        n = n > input.len - at ? input.len - at : n;
        char *copy = malloc(n);
        SL_ASSERT(copy);
        memcpy(copy, input.ptr + at, n);
        feed(&reader, arena, (struct sl_slice){copy, n}, &run);
        free(copy);
    }
    sl_arena_free(arena);
    return run;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 65536)
        return 0;
    struct sl_slice input = {(const char *)data + 1, size - 1};
    struct run whole = read_input(input, 0), split = read_input(input, data[0] * 2u + 1);
    SL_ASSERT(whole.messages == split.messages && whole.digest == split.digest);
    SL_ASSERT(whole.status == split.status && whole.closed == split.closed);
    return 0;
}
