/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Can any bytes of an upstream break the reader of its answers, and does it matter where they are split? The first byte
 * says how (its lowest bit: the question was a HEAD); the rest is what comes on the connection, which is then closed.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http1.h"

static const struct sl_http1_limits limits = {.line = 256, .headers = 1024, .fields = 8, .body = 4096};

struct run {
    enum sl_http1_event event;
    int code;
    bool kept;
    size_t used;
    uint64_t digest;
};

static void digest(struct run *run, struct sl_slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        run->digest = (run->digest ^ (unsigned char)bytes.ptr[i]) * 0x100000001b3u;
    run->digest = (run->digest ^ bytes.len) * 0x100000001b3u;
}

static void check(struct run *run, const struct sl_reply *reply, bool head)
{
    SL_ASSERT(reply && reply->code >= 200 && reply->code < 600);
    SL_ASSERT(reply->header_count <= limits.fields && reply->body.len <= limits.body);
    SL_ASSERT(!reply->body.len || (!head && reply->code != 204 && reply->code != 304));
    run->code = reply->code;
    run->kept = reply->keep_alive;
    for (size_t i = 0; i < reply->header_count; i++) {
        SL_ASSERT(!memchr(reply->headers[i].value.ptr, '\r', reply->headers[i].value.len));
        digest(run, reply->headers[i].name);
        digest(run, reply->headers[i].value);
    }
    digest(run, reply->body);
}

static struct run read_input(struct sl_slice input, unsigned seed, bool head)
{
    struct run run = {.event = SL_HTTP1_MORE};
    struct sl_arena *arena = sl_arena_new((size_t)1 << 24);
    struct sl_http1 reader;
    SL_ASSERT(arena);
    sl_http1_expect(&reader, &limits, arena, head);
    while (run.used < input.len && run.event == SL_HTTP1_MORE) {
        seed *= 1103515245u;
        size_t left = input.len - run.used, n = seed ? 1 + (seed >> 16) % 16 : left, used;
        n = n > left ? left : n;
        char *copy = malloc(n);
        SL_ASSERT(copy);
        memcpy(copy, input.ptr + run.used, n);
        run.event = sl_http1_feed(&reader, (struct sl_slice){copy, n}, &used);
        SL_ASSERT(used <= n && (run.event != SL_HTTP1_MORE || used == n));
        free(copy);
        run.used += used;
    }
    if (run.event == SL_HTTP1_MORE)
        run.event = sl_http1_end(&reader);
    SL_ASSERT(run.event == SL_HTTP1_DONE || run.event == SL_HTTP1_BAD);
    if (run.event == SL_HTTP1_DONE)
        check(&run, reader.reply, head);
    sl_arena_free(arena);
    return run;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 65536)
        return 0;
    struct sl_slice input = {(const char *)data + 1, size - 1};
    bool head = data[0] & 1;
    struct run whole = read_input(input, 0, head), split = read_input(input, data[0] * 2u + 1, head);
    SL_ASSERT(whole.event == split.event);
    if (whole.event == SL_HTTP1_DONE)
        SL_ASSERT(whole.code == split.code && whole.kept == split.kept && whole.used == split.used &&
                  whole.digest == split.digest);
    return 0;
}
