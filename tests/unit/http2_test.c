/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 to a server, without one: is what it sends read as RFC 9113 says, wherever it is split, and what it may not
 * send refused; is no more asked, sent or taken than was agreed; and does a question show its secrets to no table?
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "http2.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define TEXT(s) {s, sizeof(s) - 1}

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

static const struct sl_http1_limits limits = {.line = 256, .headers = 1024, .fields = 8, .body = 600};

/* ---- A server's bytes ---- */

struct wire {
    struct sl_buffer bytes;
};

static void add_bytes(struct wire *wire, const void *bytes, size_t len)
{
    sl_buffer_add(&wire->bytes, (struct sl_slice){bytes, len});
}

static void add_frame(struct wire *wire, unsigned type, unsigned flags, unsigned stream, struct sl_slice payload)
{
    const unsigned char head[] = {(unsigned char)(payload.len >> 16), (unsigned char)(payload.len >> 8),
        (unsigned char)payload.len, (unsigned char)type, (unsigned char)flags, 0, 0, (unsigned char)(stream >> 8),
        (unsigned char)stream};
    add_bytes(wire, head, sizeof head);
    sl_buffer_add(&wire->bytes, payload);
}

/* Fields as "name\tvalue\n", each a literal that no table remembers (RFC 7541 6.2.3). */
static struct sl_slice block_of(const char *fields, char *out)
{
    char *at = out;
    while (*fields) {
        const char *tab = strchr(fields, '\t'), *end = strchr(tab, '\n');
        const struct sl_slice words[] = {{fields, (size_t)(tab - fields)}, {tab + 1, (size_t)(end - tab - 1)}};
        *at++ = 0x10;
        for (size_t i = 0; i < COUNT(words); i++) {
            *at++ = (char)words[i].len;
            memcpy(at, words[i].ptr, words[i].len);
            at += words[i].len;
        }
        fields = end + 1;
    }
    return (struct sl_slice){out, (size_t)(at - out)};
}

static void add_head(struct wire *wire, unsigned stream, const char *fields, unsigned flags)
{
    char block[2048];
    add_frame(wire, HEADERS, END_HEADERS | flags, stream, block_of(fields, block));
}

static void add_number(struct wire *wire, unsigned type, unsigned stream, uint32_t a, uint32_t b, size_t len)
{
    const unsigned char bytes[] = {(unsigned char)(a >> 24), (unsigned char)(a >> 16), (unsigned char)(a >> 8),
        (unsigned char)a, (unsigned char)(b >> 24), (unsigned char)(b >> 16), (unsigned char)(b >> 8),
        (unsigned char)b};
    add_frame(wire, type, 0, stream, (struct sl_slice){(const char *)bytes, len});
}

static void add_settings(struct wire *wire, unsigned streams)
{
    const unsigned char entry[] = {0, 3, 0, 0, (unsigned char)(streams >> 8), (unsigned char)streams};
    add_frame(wire, SETTINGS, 0, 0, (struct sl_slice){(const char *)entry, sizeof entry});
}

static void add_body(struct wire *wire, unsigned stream, const char *text, unsigned flags)
{
    add_frame(wire, DATA, flags, stream, sl_slice_of(text));
}

/* ---- A client ---- */

#define STREAMS 4u

struct client {
    struct sl_http2 *http2;
    struct sl_arena *arena;
    struct sl_http1 readers[STREAMS];
    struct sl_http2_stream streams[STREAMS]; /* their ids: 1, 3, 5, 7 */
    struct sl_buffer out, sent;
    struct wire wire;
};

static void open_client(struct client *client)
{
    *client = (struct client){.http2 = sl_http2_new(&limits), .arena = sl_arena_new((size_t)1 << 20)};
    assert_non_null(client->http2);
    assert_non_null(client->arena);
    sl_buffer_init(&client->out, SL_HTTP2_OUTPUT);
    sl_buffer_init(&client->sent, (size_t)1 << 24);
    sl_buffer_init(&client->wire.bytes, (size_t)1 << 24);
}

static void close_client(struct client *client)
{
    sl_http2_free(client->http2);
    sl_arena_free(client->arena);
    sl_buffer_fini(&client->out);
    sl_buffer_fini(&client->sent);
    sl_buffer_fini(&client->wire.bytes);
}

static void flush(struct client *client)
{
    while (sl_http2_output(client->http2, &client->out))
        sl_buffer_add(&client->sent, sl_buffer_slice(&client->out));
}

/* In pieces of a size, each in memory of its own, and gone afterwards. */
static void feed(struct client *client, size_t piece)
{
    struct sl_slice rest = sl_buffer_slice(&client->wire.bytes);
    while (rest.len) {
        size_t n = rest.len < piece ? rest.len : piece;
        char *copy = malloc(n);
        memcpy(copy, rest.ptr, n);
        sl_http2_feed(client->http2, (struct sl_slice){copy, n});
        free(copy);
        rest = sl_slice_from(rest, n);
    }
    sl_buffer_clear(&client->wire.bytes);
}

static bool ask(struct client *client, size_t i, const struct sl_http2_question *question)
{
    client->streams[i].reader = &client->readers[i];
    sl_http1_expect(&client->readers[i], &limits, client->arena, question->method == SL_HEAD);
    return sl_http2_ask(client->http2, &client->streams[i], question);
}

static const struct sl_header common[] = {
    {TEXT("User-Agent"), TEXT("sluice")}, {TEXT("Authorization"), TEXT("Bearer s3cret")}};
static const struct sl_http2_question get = {.method = SL_GET,
    .authority = {"ehr:443", 7},
    .path = {"/Patient?name=Kei", 17},
    .fixed = common,
    .fixed_count = COUNT(common)};

static void ask_some(struct client *client, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_true(ask(client, i, &get));
    flush(client);
}

/* A frame that was sent, by type and stream, from the n-th on; its number, or -1. */
static int find_sent(const struct client *client, unsigned type, unsigned stream, struct sl_slice *payload)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const unsigned char *at = (const unsigned char *)client->sent.ptr + sizeof preface - 1;
    const unsigned char *end = (const unsigned char *)client->sent.ptr + client->sent.len;
    for (int number = 0; at < end; number++) {
        size_t len = (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2];
        if (at[3] == type && ((unsigned)at[7] << 8 | at[8]) == stream) {
            *payload = (struct sl_slice){(const char *)at + 9, len};
            return number;
        }
        at += 9 + len;
    }
    return -1;
}

static bool was_sent(const struct client *client, unsigned type, unsigned stream)
{
    struct sl_slice payload;
    return find_sent(client, type, stream, &payload) >= 0;
}

static size_t body_sent(const struct client *client)
{
    const unsigned char *at = (const unsigned char *)client->sent.ptr + 24;
    const unsigned char *end = (const unsigned char *)client->sent.ptr + client->sent.len;
    size_t total = 0;
    for (size_t len; at < end; at += 9 + len) {
        len = (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2];
        total += at[3] == DATA ? len : 0;
    }
    return total;
}

/* ---- Answers ---- */

#define OK_HEAD ":status\t200\n"

static const struct answer {
    const char *name, *interim, *head, *body, *trailers;
    enum sl_http2_state state;
    enum sl_status status; /* the reader's */
    int code;
    bool to_head;
} answers[] = {
    {"with a length", NULL, OK_HEAD "content-length\t5\n", "hello", NULL, SL_HTTP2_WHOLE, SL_OK, 200, false},
    {"without", NULL, OK_HEAD "etag\tW/\"1\"\n", "hello", NULL, SL_HTTP2_WHOLE, SL_OK, 200, false},
    {"without a body", NULL, ":status\t404\n", NULL, NULL, SL_HTTP2_WHOLE, SL_OK, 404, false},
    {"of no length", NULL, ":status\t201\ncontent-length\t0\n", "", NULL, SL_HTTP2_WHOLE, SL_OK, 201, false},
    {"to a HEAD", NULL, OK_HEAD "content-length\t5\n", NULL, NULL, SL_HTTP2_WHOLE, SL_OK, 200, true},
    {"after an interim one", ":status\t103\nlink\tx\n", OK_HEAD, "hello", NULL, SL_HTTP2_WHOLE, SL_OK, 200, false},
    {"with trailers", NULL, OK_HEAD, "hello", "x\ty\n", SL_HTTP2_WHOLE, SL_OK, 200, false},
    {"304", NULL, ":status\t304\ncontent-length\t9\n", NULL, NULL, SL_HTTP2_WHOLE, SL_OK, 304, false},
    {"to a HEAD, with a body", NULL, OK_HEAD, "hello", NULL, SL_HTTP2_BAD, SL_OK, 0, true},
    {"a body where there is none", NULL, ":status\t204\n", "hello", NULL, SL_HTTP2_BAD, SL_OK, 0, false},
    {"too short", NULL, OK_HEAD "content-length\t6\n", "hello", NULL, SL_HTTP2_BAD, SL_OK, 0, false},
    {"too long", NULL, OK_HEAD "content-length\t4\n", "hello", NULL, SL_HTTP2_BAD, SL_OK, 0, false},
    {"over the limit, as announced", NULL, OK_HEAD "content-length\t601\n", "hello", NULL, SL_HTTP2_BAD, SL_TOO_LARGE,
        0, false},
    {"too many fields", NULL, OK_HEAD "a\t1\na\t1\na\t1\na\t1\na\t1\na\t1\na\t1\na\t1\na\t1\n", "hello", NULL,
        SL_HTTP2_BAD, SL_HEADERS_TOO_LARGE, 0, false},
    {"an upper-case name", NULL, OK_HEAD "Etag\tx\n", "hello", NULL, SL_HTTP2_BAD, SL_OK, 0, false},
    {"a name that is no token", NULL, OK_HEAD "x a\tb\n", "hello", NULL, SL_HTTP2_BAD, SL_OK, 0, false},
    {"a control character in a value", NULL, OK_HEAD "x\ta\001b\n", "hello", NULL, SL_HTTP2_BAD, SL_OK, 0, false},
    {"no code", NULL, "etag\tx\n", "hello", NULL, SL_HTTP2_BAD, SL_BAD_SYNTAX, 0, false},
    {"two codes", NULL, OK_HEAD OK_HEAD, "hello", NULL, SL_HTTP2_BAD, SL_OK, 0, false},
    {"600", NULL, ":status\t600\n", "hello", NULL, SL_HTTP2_BAD, SL_BAD_SYNTAX, 0, false},
    {"101", NULL, ":status\t101\n", "hello", NULL, SL_HTTP2_BAD, SL_OK, 0, false},
    {"Connection", NULL, OK_HEAD "connection\tclose\n", "hello", NULL, SL_HTTP2_BAD, SL_OK, 0, false},
    {"Transfer-Encoding", NULL, OK_HEAD "transfer-encoding\tchunked\n", "hello", NULL, SL_HTTP2_BAD, SL_OK, 0, false},
    {"an interim one with a length", ":status\t103\ncontent-length\t1\n", OK_HEAD, "hello", NULL, SL_HTTP2_BAD, SL_OK,
        0, false},
    {"a length in a trailer", NULL, OK_HEAD, "hello", "content-length\t5\n", SL_HTTP2_BAD, SL_BAD_SYNTAX, 0, false},
    {"a code in a trailer", NULL, OK_HEAD, "hello", OK_HEAD, SL_HTTP2_BAD, SL_OK, 0, false},
};

static void add_answer(struct wire *wire, unsigned stream, const struct answer *answer)
{
    if (answer->interim)
        add_head(wire, stream, answer->interim, 0);
    add_head(wire, stream, answer->head, answer->body || answer->trailers ? 0 : END_STREAM);
    if (answer->body)
        add_body(wire, stream, answer->body, answer->trailers ? 0 : END_STREAM);
    if (answer->trailers)
        add_head(wire, stream, answer->trailers, END_STREAM);
}

static void judge(const struct answer *want, size_t piece)
{
    struct client client;
    struct sl_http2_question question = get;
    open_client(&client);
    question.method = want->to_head ? SL_HEAD : SL_GET;
    assert_true(ask(&client, 0, &question));
    flush(&client);
    add_settings(&client.wire, 100);
    add_answer(&client.wire, 1, want);
    feed(&client, piece);
    flush(&client);
    const struct sl_http2_stream *stream = sl_http2_ended(client.http2);
    if (!stream || stream->state != want->state || client.readers[0].status != want->status)
        fail_msg("%s, in pieces of %zu: state %d, status %d", want->name, piece, stream ? (int)stream->state : -1,
            (int)client.readers[0].status);
    assert_null(sl_http2_ended(client.http2));
    assert_null(sl_http2_fault(client.http2));
    if (want->state == SL_HTTP2_WHOLE) {
        const struct sl_reply *reply = client.readers[0].reply;
        assert_int_equal(reply->code, want->code);
        assert_true(sl_slice_eq(reply->body, sl_slice_of(want->to_head || !want->body ? "" : want->body)));
        assert_false(was_sent(&client, RST_STREAM, 1));
    }
    close_client(&client);
}

static void reads_as_the_standard_says(void **state)
{
    static const size_t pieces[] = {1, 2, 3, 7, 1000};
    (void)state;
    for (size_t i = 0; i < COUNT(answers); i++)
        for (size_t j = 0; j < COUNT(pieces); j++)
            judge(&answers[i], pieces[j]);
}

static void holds_a_body_to_its_limit(void **state)
{
    char text[202];
    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    for (unsigned times = 2; times < 4; times++) {
        struct client client;
        open_client(&client);
        ask_some(&client, 1);
        add_settings(&client.wire, 100);
        add_head(&client.wire, 1, OK_HEAD, 0);
        for (unsigned i = 0; i < times; i++)
            add_body(&client.wire, 1, text, 0);
        add_body(&client.wire, 1, "", END_STREAM);
        feed(&client, 50);
        const struct sl_http2_stream *stream = sl_http2_ended(client.http2);
        assert_non_null(stream);
        assert_int_equal(stream->state, times == 2 ? SL_HTTP2_WHOLE : SL_HTTP2_BAD);
        assert_int_equal(client.readers[0].status, times == 2 ? SL_OK : SL_TOO_LARGE);
        close_client(&client);
    }
}

static void ends_when_memory_does(void **state)
{
    struct client client;
    (void)state;
    open_client(&client);
    sl_arena_free(client.arena);
    client.arena = sl_arena_new(64);
    ask_some(&client, 1);
    add_settings(&client.wire, 100);
    add_answer(&client.wire, 1, &answers[0]);
    feed(&client, 1000);
    const struct sl_http2_stream *stream = sl_http2_ended(client.http2);
    assert_non_null(stream);
    assert_int_equal(stream->state, SL_HTTP2_BAD);
    assert_int_equal(client.readers[0].status, SL_NO_MEMORY);
    close_client(&client);
}

/* ---- Several streams ---- */

static void asks_no_more_than_the_server_takes(void **state)
{
    struct client client;
    (void)state;
    open_client(&client);
    assert_int_equal(sl_http2_room(client.http2), 1);
    ask_some(&client, 1);
    assert_int_equal(sl_http2_room(client.http2), 0);
    add_settings(&client.wire, 3);
    feed(&client, 1000);
    assert_int_equal(sl_http2_room(client.http2), 2);
    assert_true(ask(&client, 1, &get));
    assert_true(ask(&client, 2, &get));
    flush(&client);
    assert_int_equal(sl_http2_room(client.http2), 0);
    add_answer(&client.wire, 3, &answers[0]);
    feed(&client, 1000);
    assert_ptr_equal(sl_http2_ended(client.http2), &client.streams[1]);
    assert_int_equal(sl_http2_room(client.http2), 1);
    sl_http2_drop(client.http2, &client.streams[0]);
    flush(&client);
    assert_true(was_sent(&client, RST_STREAM, 1));
    assert_int_equal(sl_http2_room(client.http2), 2);
    add_settings(&client.wire, 0);
    feed(&client, 1000);
    assert_int_equal(sl_http2_room(client.http2), 0);
    assert_false(sl_http2_is_leaving(client.http2));
    close_client(&client);
}

static void mixes_answers_but_not_their_bytes(void **state)
{
    struct client client;
    (void)state;
    open_client(&client);
    ask_some(&client, 3);
    add_settings(&client.wire, 100);
    for (unsigned stream = 1; stream < 6; stream += 2)
        add_head(&client.wire, stream, OK_HEAD, 0);
    add_body(&client.wire, 5, "five", 0);
    add_body(&client.wire, 1, "o", 0);
    add_body(&client.wire, 3, "three", END_STREAM);
    add_body(&client.wire, 1, "ne", END_STREAM);
    add_body(&client.wire, 5, "!", END_STREAM);
    feed(&client, 3);
    static const struct {
        size_t stream;
        const char *body;
    } want[] = {{1, "three"}, {0, "one"}, {2, "five!"}};
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_ptr_equal(sl_http2_ended(client.http2), &client.streams[want[i].stream]);
        assert_true(sl_slice_eq(client.readers[want[i].stream].reply->body, sl_slice_of(want[i].body)));
    }
    close_client(&client);
}

static void tells_what_was_not_processed(void **state)
{
    struct client client;
    (void)state;
    open_client(&client);
    ask_some(&client, 4);
    add_settings(&client.wire, 100);
    add_head(&client.wire, 3, OK_HEAD, 0);
    add_number(&client.wire, RST_STREAM, 1, 7, 0, 4);
    add_number(&client.wire, RST_STREAM, 3, 7, 0, 4); /* it has begun to answer: that is a lie */
    add_number(&client.wire, GOAWAY, 0, 5, 0, 8);
    add_answer(&client.wire, 5, &answers[0]);
    feed(&client, 1000);
    static const enum sl_http2_state want[] = {
        SL_HTTP2_UNPROCESSED, SL_HTTP2_RESET, SL_HTTP2_WHOLE, SL_HTTP2_UNPROCESSED};
    for (const struct sl_http2_stream *stream; (stream = sl_http2_ended(client.http2));)
        assert_int_not_equal(stream->state, SL_HTTP2_OPEN);
    for (size_t i = 0; i < COUNT(want); i++)
        assert_int_equal(client.streams[i].state, want[i]);
    assert_true(sl_http2_is_leaving(client.http2));
    assert_int_equal(sl_http2_room(client.http2), 0);
    assert_null(sl_http2_fault(client.http2));
    close_client(&client);
}

/* What comes of a stream that was dropped is nobody's; the question's body may be gone. */
static void forgets_what_was_dropped(void **state)
{
    struct client client;
    struct sl_http2_question put = get;
    char *body = malloc(100000);
    (void)state;
    memset(body, 'b', 100000);
    open_client(&client);
    put.method = SL_PUT;
    put.body = (struct sl_slice){body, 100000};
    assert_true(ask(&client, 0, &put));
    assert_true(sl_http2_output(client.http2, &client.out)); /* not all of it */
    sl_buffer_add(&client.sent, sl_buffer_slice(&client.out));
    sl_http2_drop(client.http2, &client.streams[0]);
    free(body);
    memset(&client.streams[0], 0xff, sizeof client.streams[0]);
    memset(&client.readers[0], 0xff, sizeof client.readers[0]);
    flush(&client);
    assert_true(was_sent(&client, RST_STREAM, 1));
    add_settings(&client.wire, 100);
    add_answer(&client.wire, 1, &answers[0]);
    feed(&client, 1000);
    flush(&client);
    assert_null(sl_http2_ended(client.http2));
    assert_null(sl_http2_fault(client.http2));
    assert_true(ask(&client, 1, &get));
    flush(&client);
    add_answer(&client.wire, 3, &answers[0]);
    feed(&client, 1000);
    assert_ptr_equal(sl_http2_ended(client.http2), &client.streams[1]);
    close_client(&client);
}

/* What was on its way when a stream was dropped is no flood; what cannot have been is. */
static void bears_what_was_on_its_way(void **state)
{
    static char piece[512];
    struct client client;
    (void)state;
    open_client(&client);
    ask_some(&client, 1);
    add_settings(&client.wire, 100);
    feed(&client, 1000);
    sl_http2_drop(client.http2, &client.streams[0]);
    flush(&client);
    for (unsigned i = 0; i < 2300; i++) {
        if (i == 2000)
            assert_null(sl_http2_fault(client.http2));
        add_frame(&client.wire, DATA, 0, 1, (struct sl_slice){piece, sizeof piece});
        feed(&client, 1000);
    }
    assert_string_equal(sl_http2_fault(client.http2), "upstream-flood");
    close_client(&client);
}

/* ---- Windows ---- */

static void sends_as_the_server_makes_room(void **state)
{
    static char body[100000];
    struct client client;
    struct sl_http2_question post = get;
    (void)state;
    open_client(&client);
    post.method = SL_POST;
    post.body = (struct sl_slice){body, sizeof body};
    assert_true(ask(&client, 0, &post));
    flush(&client);
    assert_int_equal(body_sent(&client), 65535); /* RFC 9113 6.9.2 */
    add_settings(&client.wire, 100);
    add_number(&client.wire, WINDOW_UPDATE, 0, 1000000, 0, 4);
    add_number(&client.wire, WINDOW_UPDATE, 1, 10000, 0, 4);
    feed(&client, 1000);
    flush(&client);
    assert_int_equal(body_sent(&client), 75535);
    add_number(&client.wire, WINDOW_UPDATE, 1, 1000000, 0, 4);
    feed(&client, 1000);
    flush(&client);
    assert_int_equal(body_sent(&client), sizeof body);
    close_client(&client);
}

/* A window opens by what was taken: half of it at a time, and by what nobody wants, so that it does not run dry. */
static void opens_its_windows_as_it_takes(void **state)
{
    static const struct sl_http1_limits large = {.line = 256, .headers = 1024, .fields = 8, .body = 64 << 20};
    static char piece[16384];
    struct client client;
    (void)state;
    open_client(&client);
    sl_http2_free(client.http2);
    client.http2 = sl_http2_new(&large);
    sl_arena_free(client.arena);
    client.arena = sl_arena_new((size_t)1 << 26);
    client.streams[0].reader = &client.readers[0];
    sl_http1_expect(&client.readers[0], &large, client.arena, false);
    assert_true(sl_http2_ask(client.http2, &client.streams[0], &get));
    flush(&client);
    add_settings(&client.wire, 100);
    add_frame(&client.wire, SETTINGS, ACK, 0, SL_LIT(""));
    add_head(&client.wire, 1, OK_HEAD, 0);
    feed(&client, 1000);
    flush(&client);
    sl_buffer_clear(&client.sent);
    sl_buffer_add(&client.sent, SL_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    for (unsigned i = 0; i < 300; i++) {
        add_frame(&client.wire, DATA, 0, 1, (struct sl_slice){piece, sizeof piece});
        feed(&client, 100000);
        flush(&client);
        assert_int_equal(was_sent(&client, WINDOW_UPDATE, 1), i >= 31); /* half of 1 MiB */
        assert_int_equal(was_sent(&client, WINDOW_UPDATE, 0), i >= 255); /* half of 8 MiB */
    }
    assert_int_equal(client.streams[0].state, SL_HTTP2_OPEN);
    assert_null(sl_http2_fault(client.http2));
    close_client(&client);
}

/* ---- What a question shows ---- */

static bool holds(struct sl_slice text, const void *bytes, size_t len)
{
    return memmem(text.ptr, text.len, bytes, len) != NULL;
}

/* RFC 7541 6.2.3: 0001 begins a literal that is never indexed; 4 of the static table is :path, 23 authorization. */
static void shows_its_secrets_to_no_table(void **state)
{
    static const struct sl_header own[] = {{TEXT("X-Own"), TEXT("what this one says of its own")}};
    struct client client;
    struct sl_slice first, second, third;
    struct sl_http2_question question = get;
    (void)state;
    open_client(&client);
    question.headers = own;
    question.header_count = COUNT(own);
    for (size_t i = 0; i < 2; i++)
        assert_true(ask(&client, i, &question));
    assert_true(ask(&client, 2, &get));
    flush(&client);
    assert_true(find_sent(&client, HEADERS, 1, &first) >= 0 && find_sent(&client, HEADERS, 3, &second) >= 0 &&
                find_sent(&client, HEADERS, 5, &third) >= 0);
    assert_true(holds(first, "\x1f\x08", 2) && holds(second, "\x1f\x08", 2));
    assert_int_equal(second.ptr[3], 0x14); /* behind :method, :scheme and :authority, a byte each by now */
    assert_true(second.len > third.len + 20);
    /* What every question says is short the second time. */
    assert_true(second.len + 5 < first.len);
    close_client(&client);
}

static void asks_nothing_without_limit(void **state)
{
    struct client client;
    struct sl_header many[40];
    struct sl_http2_question question = get;
    (void)state;
    for (size_t i = 0; i < COUNT(many); i++)
        many[i] = (struct sl_header){SL_LIT("If-Match"), SL_LIT("x")};
    question.headers = many;
    question.header_count = COUNT(many);
    open_client(&client);
    assert_false(ask(&client, 0, &question));
    sl_http2_drop(client.http2, &client.streams[0]);
    assert_true(ask(&client, 0, &get));
    close_client(&client);
}

/* ---- What no connection survives ---- */

static void pings(struct wire *wire, unsigned i)
{
    (void)i;
    add_number(wire, PING, 0, 1, 2, 8);
}
static void settings(struct wire *wire, unsigned i)
{
    (void)i;
    add_frame(wire, SETTINGS, 0, 0, SL_LIT(""));
}
static void acknowledgements(struct wire *wire, unsigned i)
{
    (void)i;
    add_frame(wire, PING, ACK, 0, SL_LIT("12345678"));
}
static void empty_data(struct wire *wire, unsigned i)
{
    if (!i)
        add_head(wire, 1, OK_HEAD, 0);
    add_frame(wire, DATA, 0, 1, SL_LIT(""));
}
static void windows(struct wire *wire, unsigned i)
{
    (void)i;
    add_number(wire, WINDOW_UPDATE, 0, 1, 0, 4);
}
static void priorities(struct wire *wire, unsigned i)
{
    (void)i;
    add_frame(wire, PRIORITY, 0, 1, SL_LIT("\0\0\0\0\1"));
}

static void ends_a_flood(void **state)
{
    static void (*const floods[])(struct wire *wire, unsigned i) = {
        pings, settings, acknowledgements, empty_data, windows, priorities};
    (void)state;
    for (size_t kind = 0; kind < COUNT(floods); kind++) {
        for (unsigned count = 900; count < 1200; count += 200) {
            struct client client;
            open_client(&client);
            ask_some(&client, 1);
            add_settings(&client.wire, 100);
            feed(&client, 1000);
            for (unsigned i = 0; i < count; i++) {
                floods[kind](&client.wire, i);
                feed(&client, 1000);
                flush(&client); /* it reads what is said back: that alone bounds nothing */
            }
            const char *fault = sl_http2_fault(client.http2);
            if (count == 900 ? fault != NULL : !fault || strcmp(fault, "upstream-flood"))
                fail_msg("flood %zu of %u: %s", kind, count, fault ? fault : "none");
            close_client(&client);
        }
    }
}

/* In frames of nothing, and in frames of one long field (RFC 7541 6.2.3). */
static void ends_a_head_without_end(void **state)
{
    static char field[15006] = "\x10\x01x\x7f\x99\x74";
    const struct sl_slice pieces[] = {SL_LIT(""), {field, sizeof field}};
    (void)state;
    memset(field + 6, 'a', sizeof field - 6);
    for (size_t i = 0; i < COUNT(pieces); i++) {
        struct client client;
        open_client(&client);
        ask_some(&client, 1);
        add_settings(&client.wire, 100);
        add_frame(&client.wire, HEADERS, 0, 1, SL_LIT("\x88"));
        for (unsigned fed = 0; !sl_http2_fault(client.http2) && fed < 20000; fed++) {
            add_frame(&client.wire, CONTINUATION, 0, 1, pieces[i]);
            feed(&client, 100000);
            flush(&client);
        }
        assert_non_null(sl_http2_fault(client.http2));
        close_client(&client);
    }
}

static const struct broken {
    const char *name;
    unsigned type, flags, stream;
    struct sl_slice payload;
} brokens[] = {
    {"settings of a stream", SETTINGS, 0, 1, TEXT("")},
    {"half a setting", SETTINGS, 0, 0, TEXT("12345")},
    {"a push", PUSH_PROMISE, END_HEADERS, 1, TEXT("\0\0\0\2\x82")},
    {"data of no stream", DATA, 0, 0, TEXT("x")},
    {"data of a stream nobody opened", DATA, 0, 9, TEXT("x")},
    {"a head of a stream nobody opened", HEADERS, END_HEADERS, 9, TEXT("\x88")},
    {"a head of a server's stream", HEADERS, END_HEADERS, 2, TEXT("\x88")},
    {"a head that is none", HEADERS, END_HEADERS, 1, TEXT("\xff\xff\xff\xff\xff")},
    {"more of no head", CONTINUATION, END_HEADERS, 1, TEXT("\x88")},
    {"a window of nothing", WINDOW_UPDATE, 0, 0, TEXT("\0\0\0\0")},
    {"a window over the limit", WINDOW_UPDATE, 0, 0, TEXT("\x7f\xff\xff\xff")},
    {"a short ping", PING, 0, 0, TEXT("1")},
    {"a short GOAWAY", GOAWAY, 0, 0, TEXT("1234")},
    {"a reset of nothing", RST_STREAM, 0, 9, TEXT("\0\0\0\0")},
};

static void ends_what_breaks_the_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i <= COUNT(brokens); i++) {
        struct client client;
        open_client(&client);
        ask_some(&client, 1);
        add_settings(&client.wire, 100);
        if (i < COUNT(brokens))
            add_frame(&client.wire, brokens[i].type, brokens[i].flags, brokens[i].stream, brokens[i].payload);
        else
            add_bytes(&client.wire, "HTTP/1.1 200 OK\r\n\r\n", 19);
        feed(&client, 1000);
        flush(&client);
        const char *fault = sl_http2_fault(client.http2);
        if (!fault || strcmp(fault, "upstream-malformed"))
            fail_msg("%s: %s", i < COUNT(brokens) ? brokens[i].name : "HTTP/1.1", fault ? fault : "taken");
        assert_int_equal(sl_http2_room(client.http2), 0);
        assert_false(ask(&client, 1, &get));
        close_client(&client);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_as_the_standard_says),
        cmocka_unit_test(holds_a_body_to_its_limit),
        cmocka_unit_test(ends_when_memory_does),
        cmocka_unit_test(asks_no_more_than_the_server_takes),
        cmocka_unit_test(mixes_answers_but_not_their_bytes),
        cmocka_unit_test(tells_what_was_not_processed),
        cmocka_unit_test(forgets_what_was_dropped),
        cmocka_unit_test(bears_what_was_on_its_way),
        cmocka_unit_test(sends_as_the_server_makes_room),
        cmocka_unit_test(opens_its_windows_as_it_takes),
        cmocka_unit_test(shows_its_secrets_to_no_table),
        cmocka_unit_test(asks_nothing_without_limit),
        cmocka_unit_test(ends_a_flood),
        cmocka_unit_test(ends_a_head_without_end),
        cmocka_unit_test(ends_what_breaks_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
