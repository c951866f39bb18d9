/* SPDX-License-Identifier: Apache-2.0 */
/* Does the reader of an upstream's answers take what RFC 9112 says, refuse what two readers could read two ways, and
 * care not where the bytes are split? And does a question never hold what would break its framing?
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "http1.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const struct sl_http1_limits limits = {.line = 256, .headers = 1024, .fields = 8, .body = 64};

enum ending { WHOLE, OPEN, CLOSED_WHOLE, BAD };

/* Feeds pieces of one size; `rest`: bytes that were left over. */
static enum ending read_reply(
    const char *text, size_t piece, bool head, struct sl_arena *arena, struct sl_http1 *reader, size_t *rest)
{
    size_t len = strlen(text), at = 0, used;
    sl_http1_expect(reader, &limits, arena, head);
    while (at < len) {
        size_t n = len - at < piece ? len - at : piece;
        char *copy = malloc(n);
        memcpy(copy, text + at, n);
        enum sl_http1_event event = sl_http1_feed(reader, (struct sl_slice){copy, n}, &used);
        free(copy);
        at += used;
        *rest = len - at;
        if (event == SL_HTTP1_BAD)
            return BAD;
        if (event == SL_HTTP1_DONE)
            return WHOLE;
        assert_int_equal(event, SL_HTTP1_MORE);
    }
    return OPEN;
}

static const struct answer {
    const char *name, *text;
    bool head;
    enum ending ending;
    int code;
    const char *body;
    bool kept;
    size_t rest;
} answers[] = {
    {"a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, WHOLE, 200, "hello", true, 0},
    {"no reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", false, WHOLE, 200, "", true, 0},
    {"no reason, no space", "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", false, WHOLE, 404, "", true, 0},
    {"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nA: b\r\n\r\n",
        false, WHOLE, 200, "abcde", true, 0},
    {"interim answers",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: "
        "1\r\n\r\nx",
        false, WHOLE, 201, "x", true, 0},
    {"until the close", "HTTP/1.1 200 OK\r\n\r\nabc", false, CLOSED_WHOLE, 200, "abc", false, 0},
    {"1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", false, WHOLE, 200, "x", false, 0},
    {"1.0 kept", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", false, WHOLE, 200, "x",
        true, 0},
    {"close", "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 1\r\n\r\nx", false, WHOLE, 200, "x", false,
        0},
    {"to a HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n", true, WHOLE, 200, "", true, 0},
    {"204", "HTTP/1.1 204 No Content\r\n\r\n", false, WHOLE, 204, "", true, 0},
    {"204 of no length", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", false, WHOLE, 204, "", true, 0},
    {"304 that would have had one", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nETag: W/\"1\"\r\n\r\n", false,
        WHOLE, 304, "", true, 0},
    {"more than was asked for", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n", false, WHOLE, 200,
        "x", true, 17},
    {"not all of a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", false, OPEN, 0, NULL, false, 0},
    {"not all of the chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", false, OPEN, 0, NULL,
        false, 0},
    {"not all of the head", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", false, OPEN, 0, NULL, false, 0},
    /* What two readers could read two ways. */
    {"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", false, BAD, 0, NULL, false,
        0},
    {"the same length twice", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", false, BAD, 0, NULL,
        false, 0},
    {"a list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx", false, BAD, 0, NULL, false, 0},
    {"a signed length", "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx", false, BAD, 0, NULL, false, 0},
    {"both framings", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false, BAD,
        0, NULL, false, 0},
    {"both, the other way", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        false, BAD, 0, NULL, false, 0},
    {"another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", false, BAD, 0, NULL,
        false, 0},
    {"chunks in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false, BAD, 0, NULL, false, 0},
    {"204 with chunks", "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false, BAD, 0, NULL, false,
        0},
    {"204 with a length", "HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\nabc", false, BAD, 0, NULL, false, 0},
    {"an interim answer with a length", "HTTP/1.1 100 C\r\nContent-Length: 3\r\n\r\nabc", false, BAD, 0, NULL, false,
        0},
    {"another protocol", "HTTP/1.1 101 Switch\r\nUpgrade: h2c\r\n\r\n", false, BAD, 0, NULL, false, 0},
    {"obs-fold", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n", false, BAD, 0, NULL, false, 0},
    {"space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n", false, BAD, 0, NULL, false, 0},
    {"bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", false, BAD, 0, NULL, false, 0},
    {"NUL", "HTTP/1.1 200 OK\r\nX: a\001b\r\n\r\n", false, BAD, 0, NULL, false, 0},
    {"an empty line first", "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, BAD, 0, NULL, false, 0},
    {"chunk size with a sign", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\nx\r\n0\r\n\r\n", false, BAD,
        0, NULL, false, 0},
    {"a length in a trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 1\r\n\r\n",
        false, BAD, 0, NULL, false, 0},
    {"another version", "HTTP/2 200\r\n\r\n", false, BAD, 0, NULL, false, 0},
    {"1.2", "HTTP/1.2 200 OK\r\n\r\n", false, BAD, 0, NULL, false, 0},
    {"another code", "HTTP/1.1 2000 OK\r\n\r\n", false, BAD, 0, NULL, false, 0},
    {"600", "HTTP/1.1 600 OK\r\n\r\n", false, BAD, 0, NULL, false, 0},
    {"two spaces", "HTTP/1.1  200 OK\r\n\r\n", false, BAD, 0, NULL, false, 0},
    {"no HTTP", "<html>\r\n", false, BAD, 0, NULL, false, 0},
    {"over the limit, by its length", "HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n", false, BAD, 0, NULL, false, 0},
    {"over the limit, in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n41\r\n", false, BAD, 0, NULL,
        false, 0},
    {"over the limit, until the close",
        "HTTP/1.1 200 OK\r\n\r\n0123456789012345678901234567890123456789012345678901234567890123456789", false, BAD, 0,
        NULL, false, 0},
    {"too many fields", "HTTP/1.1 200 OK\r\nA:1\r\nA:1\r\nA:1\r\nA:1\r\nA:1\r\nA:1\r\nA:1\r\nA:1\r\nA:1\r\n\r\n", false,
        BAD, 0, NULL, false, 0},
    {"interim answers without end",
        "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\n"
        "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\n",
        false, BAD, 0, NULL, false, 0},
};

static void judge(const struct answer *want, size_t piece)
{
    struct sl_arena *arena = sl_arena_new((size_t)1 << 20);
    struct sl_http1 reader;
    size_t rest = 0;
    enum ending ending = read_reply(want->text, piece, want->head, arena, &reader, &rest);
    if (ending == OPEN && sl_http1_end(&reader) == SL_HTTP1_DONE)
        ending = CLOSED_WHOLE;
    if (ending != want->ending)
        fail_msg("%s, in pieces of %zu: %d", want->name, piece, ending);
    if (ending == WHOLE || ending == CLOSED_WHOLE) {
        const struct sl_reply *reply = reader.reply;
        assert_int_equal(reply->code, want->code);
        assert_true(sl_slice_eq(reply->body, sl_slice_of(want->body)));
        assert_int_equal(reply->keep_alive, want->kept);
        if (piece >= strlen(want->text))
            assert_int_equal(rest, want->rest);
    }
    sl_arena_free(arena);
}

static void reads_as_the_standard_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(answers); i++)
        for (size_t piece = 1; piece <= 9; piece++)
            judge(&answers[i], piece == 9 ? strlen(answers[i].text) : piece);
}

static void finds_headers(void **state)
{
    struct sl_arena *arena = sl_arena_new((size_t)1 << 20);
    struct sl_http1 reader;
    size_t rest;
    (void)state;
    assert_int_equal(
        read_reply("HTTP/1.1 200 OK\r\nETAG:  W/\"3\" \r\nContent-Length: 0\r\n\r\n", 7, false, arena, &reader, &rest),
        WHOLE);
    const struct sl_reply *reply = reader.reply;
    assert_true(sl_slice_eq(sl_headers_find(reply->headers, reply->header_count, SL_LIT("ETag")), SL_LIT("W/\"3\"")));
    assert_null(sl_headers_find(reply->headers, reply->header_count, SL_LIT("Location")).ptr);
    sl_arena_free(arena);
}

static void writes_questions(void **state)
{
    struct sl_buffer out;
    (void)state;
    sl_buffer_init(&out, 4096);
    const struct sl_header own[] = {{SL_LIT("If-Match"), SL_LIT("W/\"1\"")}, {SL_LIT("X"), SL_LIT("a\r\nY: b")}};
    struct sl_http1_question q = {.method = SL_PUT,
        .base = SL_LIT("/fhir"),
        .target = SL_LIT("/Patient/1"),
        .fixed = SL_LIT("Host: h\r\n"),
        .headers = own,
        .header_count = 1,
        .body = SL_LIT("{}")};
    assert_true(sl_http1_write_question(&out, &q));
    assert_true(sl_slice_eq(sl_buffer_slice(&out),
        SL_LIT("PUT /fhir/Patient/1 HTTP/1.1\r\nHost: h\r\nIf-Match: W/\"1\"\r\nContent-Length: 2\r\n\r\n")));
    q.header_count = 2;
    assert_false(sl_http1_write_question(&out, &q));
    q.header_count = 1;
    static const char *const bad[] = {"/a b", "/a\r\nX: y", "/a\tb", "/a\x7f", "/a#b", "/\xc3\xa9"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        q.target = sl_slice_of(bad[i]);
        assert_false(sl_http1_write_question(&out, &q));
    }
    q.target = SL_LIT("/Patient/1");
    q.method = SL_METHOD_OTHER;
    assert_false(sl_http1_write_question(&out, &q));
    sl_buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_as_the_standard_says),
        cmocka_unit_test(finds_headers),
        cmocka_unit_test(writes_questions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
