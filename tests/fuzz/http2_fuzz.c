/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Can any frames of an upstream break the client, and does it matter where the bytes are split? Three questions are
 * under way, a GET, a HEAD and a POST, as streams 1, 3 and 5. The first byte says how: with its lowest bit the first is
 * dropped before anything comes. The rest is what comes, from the server's first frame on.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http2.h"

#define STREAMS 3u

static const struct sl_http1_limits limits = {.line = 256, .headers = 1024, .fields = 8, .body = 4096};

struct run {
    const char *fault;
    enum sl_http2_state states[STREAMS];
    uint64_t digest;
    size_t room;
};

struct client {
    struct sl_http2 *http2;
    struct sl_arena *arena;
    struct sl_http1 readers[STREAMS];
    struct sl_http2_stream streams[STREAMS];
    struct sl_buffer out;
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
    for (size_t i = 0; i < reply->header_count; i++) {
        SL_ASSERT(!memchr(reply->headers[i].value.ptr, '\r', reply->headers[i].value.len));
        digest(run, reply->headers[i].name);
        digest(run, reply->headers[i].value);
    }
    digest(run, reply->body);
}

static void flush(struct client *client)
{
    while (sl_http2_output(client->http2, &client->out))
        SL_ASSERT(client->out.len <= SL_HTTP2_OUTPUT);
}

static void ask(struct client *client)
{
    static const enum sl_method methods[STREAMS] = {SL_GET, SL_HEAD, SL_POST};
    for (size_t i = 0; i < STREAMS; i++) {
        struct sl_http2_question question = {
            .method = methods[i], .authority = SL_LIT("ehr"), .path = SL_LIT("/Patient/1")};
        if (methods[i] == SL_POST)
            question.body = SL_LIT("{}");
        client->streams[i].reader = &client->readers[i];
        sl_http1_expect(&client->readers[i], &limits, client->arena, methods[i] == SL_HEAD);
        SL_ASSERT(sl_http2_ask(client->http2, &client->streams[i], &question));
    }
    flush(client);
}

static void feed(struct client *client, struct sl_slice input, unsigned seed)
{
    while (input.len) {
        seed *= 1103515245u;
        size_t n = seed ? 1 + (seed >> 16) % 64 : input.len;
        n = n > input.len ? input.len : n;
        char *copy = malloc(n);
        SL_ASSERT(copy);
        memcpy(copy, input.ptr, n);
        sl_http2_feed(client->http2, (struct sl_slice){copy, n});
        free(copy);
        input = sl_slice_from(input, n);
    }
}

/* Each that has ended is told once, and none that was dropped. */
static void judge(struct client *client, struct run *run, bool dropped)
{
    unsigned told = 0;
    for (struct sl_http2_stream *stream; (stream = sl_http2_ended(client->http2));) {
        unsigned i = (unsigned)(stream - client->streams);
        SL_ASSERT(i < STREAMS && !(told & 1u << i) && stream->state != SL_HTTP2_OPEN && !(dropped && i == 0));
        told |= 1u << i;
        if (stream->state == SL_HTTP2_WHOLE)
            check(run, client->readers[i].reply, i == 1);
    }
    for (unsigned i = dropped; i < STREAMS; i++) {
        SL_ASSERT((client->streams[i].state != SL_HTTP2_OPEN) == (told >> i & 1));
        run->states[i] = client->streams[i].state;
    }
}

static struct run read_input(struct sl_slice input, unsigned seed, bool drop)
{
    struct run run = {.digest = 0};
    struct client client = {.http2 = sl_http2_new(&limits), .arena = sl_arena_new((size_t)1 << 24)};
    SL_ASSERT(client.http2 && client.arena);
    sl_buffer_init(&client.out, SL_HTTP2_OUTPUT);
    ask(&client);
    if (drop)
        sl_http2_drop(client.http2, &client.streams[0]);
    feed(&client, input, seed);
    flush(&client);
    judge(&client, &run, drop);
    run.fault = sl_http2_fault(client.http2);
    run.room = sl_http2_room(client.http2);
    SL_ASSERT(!run.fault || !run.room);
    for (unsigned i = drop; i < STREAMS; i++)
        sl_http2_drop(client.http2, &client.streams[i]);
    sl_http2_leave(client.http2);
    flush(&client);
    sl_http2_free(client.http2);
    sl_arena_free(client.arena);
    sl_buffer_fini(&client.out);
    return run;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How many frames a head has, and how long it gets, is counted where the bytes are split, by nghttp2 and by us: that
 * alone may differ. */
static bool has_long_heads(struct sl_slice input)
{
    while (input.len >= 9) {
        const unsigned char *at = (const unsigned char *)input.ptr;
        if (at[3] == 9)
            return true;
        input = sl_slice_from(input, 9 + ((size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2]));
    }
    return false;
}

static bool is_flood(const struct run *run)
{
    return run->fault && !strcmp(run->fault, "upstream-flood");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 65536)
        return 0;
    struct sl_slice input = {(const char *)data + 1, size - 1};
    bool drop = data[0] & 1;
    struct run whole = read_input(input, 0, drop), split = read_input(input, data[0] * 2u + 1, drop);
    if (has_long_heads(input) || is_flood(&whole) || is_flood(&split))
        return 0;
    SL_ASSERT(whole.fault == split.fault && whole.digest == split.digest && whole.room == split.room);
    SL_ASSERT(!memcmp(whole.states, split.states, sizeof whole.states));
    return 0;
}
