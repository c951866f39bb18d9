/* SPDX-License-Identifier: Apache-2.0 */
/* Does the request reader take what RFC 9112 says, refuse what a gateway must, and care not where the bytes are split?
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
#define ARENA ((size_t)64 * 1024 * 1024)

/* What came of a run of bytes: messages in order, bodies joined, and how it ended. */
struct outcome {
    size_t messages;
    size_t body_bytes;
    enum sl_status status; /* SL_OK: the end of the input was reached, within a message or between two */
    bool within;           /* a message had begun and was not whole */
    bool closed, ignored;  /* a message ended the connection; more bytes than an empty line came after it */
    char last[512];        /* the last message's parts, to compare runs */
};

static void note_message(struct outcome *outcome, const struct sl_request *r)
{
    outcome->messages++;
    outcome->body_bytes += r->body.len;
    outcome->within = false;
    snprintf(outcome->last, sizeof outcome->last, "%d %.*s|%.*s|%zu|%d%d%d|%zu|%.*s", r->method, SL_FMT(r->path),
        SL_FMT(r->query), r->header_count, r->has_body, r->chunked, r->keep_alive, r->body.len, SL_FMT(r->body));
}

/* Feeds the bytes in pieces, as a connection would: each copied to memory of its own size, so that the sanitizer sees
 * one byte too far, and overwritten afterwards, so that nothing may point into it. */
static void feed_piece(struct sl_http1 *reader, struct sl_arena *arena, struct sl_slice piece, struct outcome *outcome)
{
    char *copy = malloc(piece.len ? piece.len : 1);
    size_t at = 0, used;
    assert_non_null(copy);
    memcpy(copy, piece.ptr, piece.len);
    while (at < piece.len && outcome->status == SL_OK && !outcome->closed) {
        enum sl_http1_event event = sl_http1_feed(reader, (struct sl_slice){copy + at, piece.len - at}, &used);
        at += used;
        switch (event) {
        case SL_HTTP1_MORE:
            assert_int_equal(at, piece.len);
            break;
        case SL_HTTP1_BEGIN:
            outcome->within = true;
            sl_http1_begin(reader, arena);
            break;
        case SL_HTTP1_HEAD:
            if (reader->request->has_body)
                break;
            /* fall through */
        case SL_HTTP1_DONE:
            memset(copy, 'X', at);
            note_message(outcome, reader->request);
            outcome->closed = !reader->request->keep_alive;
            sl_http1_init(reader, reader->limits);
            break;
        case SL_HTTP1_BAD:
            assert_int_not_equal(reader->status, SL_OK);
            outcome->status = reader->status;
            break;
        }
    }
    for (; outcome->closed && at < piece.len; at++)
        outcome->ignored |= piece.ptr[at] != '\r' && piece.ptr[at] != '\n';
    free(copy);
}

static struct outcome read_in_pieces(
    struct sl_slice bytes, const struct sl_http1_limits *limits, size_t first, size_t size)
{
    struct outcome outcome = {.status = SL_OK};
    struct sl_arena *arena = sl_arena_new(ARENA);
    struct sl_http1 reader;
    sl_http1_init(&reader, limits);
    for (size_t at = 0, n = first; at < bytes.len; at += n, n = size) {
        if (n > bytes.len - at)
            n = bytes.len - at;
        feed_piece(&reader, arena, (struct sl_slice){bytes.ptr + at, n}, &outcome);
    }
    sl_arena_free(arena);
    return outcome;
}

static struct outcome read_all(struct sl_slice bytes)
{
    return read_in_pieces(bytes, &sl_http1_limits_default, bytes.len, bytes.len);
}

static void assert_same(const struct outcome *a, const struct outcome *b, struct sl_slice bytes)
{
    if (a->messages == b->messages && a->status == b->status && a->within == b->within && !strcmp(a->last, b->last))
        return;
    fail_msg("split changes the outcome (%s %zu, %s %zu): %.*s", sl_status_name(a->status), a->messages,
        sl_status_name(b->status), b->messages, SL_FMT(bytes));
}

/* Whole, byte by byte, and in two at every place: the outcome is the same. */
static struct outcome read_every_way(struct sl_slice bytes)
{
    struct outcome whole = read_all(bytes);
    struct outcome single = read_in_pieces(bytes, &sl_http1_limits_default, 1, 1);
    assert_same(&whole, &single, bytes);
    for (size_t i = 1; i < bytes.len; i++) {
        struct outcome split = read_in_pieces(bytes, &sl_http1_limits_default, i, bytes.len);
        assert_same(&whole, &split, bytes);
    }
    return whole;
}

/* ---- Cases ---- */

struct wire_case {
    struct sl_slice bytes;
    enum sl_status status;
    size_t messages;
    const char *last; /* as note_message writes it; NULL: not compared */
};

#define REQ(text)                                                                                                      \
    {                                                                                                                  \
        "" text, sizeof(text) - 1                                                                                      \
    }
#define HEAD(line) REQ(line "\r\nHost: a\r\n\r\n")
#define FIELD(field) REQ("GET / HTTP/1.1\r\nHost: a\r\n" field "\r\n\r\n")
#define POST(rest) REQ("POST /x HTTP/1.1\r\nHost: a\r\n" rest)
#define CHUNKS(rest) REQ("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" rest)

static const struct wire_case good[] = {
    {HEAD("GET / HTTP/1.1"), SL_OK, 1, "1 /||1|001|0|"},
    {HEAD("GET /a/b?c=d HTTP/1.1"), SL_OK, 1, "1 /a/b|c=d|1|001|0|"},
    {HEAD("GET /Patient/$everything?code=http://x|1&a=b?c HTTP/1.1"), SL_OK, 1,
        "1 /Patient/$everything|code=http://x|1&a=b?c|1|001|0|"},
    {HEAD("GET /? HTTP/1.1"), SL_OK, 1, "1 /||1|001|0|"},
    {HEAD("GET /a%20b/...//c?%2f%5C%0a HTTP/1.1"), SL_OK, 1, "1 /a%20b/...//c|%2f%5C%0a|1|001|0|"},
    {HEAD("OPTIONS * HTTP/1.1"), SL_OK, 1, "7 *||1|001|0|"},
    {HEAD("get / HTTP/1.1"), SL_OK, 1, "0 /||1|001|0|"},
    {HEAD("BREW / HTTP/1.1"), SL_OK, 1, "0 /||1|001|0|"},
    {REQ("GET / HTTP/1.0\r\n\r\n"), SL_OK, 1, "1 /||0|000|0|"},
    {REQ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), SL_OK, 1, "1 /||1|001|0|"},
    {REQ("GET / HTTP/1.0\r\nExpect: magic\r\n\r\n"), SL_OK, 1, "1 /||1|000|0|"},
    {FIELD("Connection: close"), SL_OK, 1, "1 /||2|000|0|"},
    {FIELD("Connection: x\r\nConnection: a , CLOSE"), SL_OK, 1, "1 /||3|000|0|"},
    {FIELD("Connection: closed, notclose"), SL_OK, 1, "1 /||2|001|0|"},
    {FIELD("Empty:\r\nSpaced: \t v \t\r\nObs: \xe9\xff"), SL_OK, 1, "1 /||4|001|0|"},
    {FIELD("Expect: 100-Continue"), SL_OK, 1, "1 /||2|001|0|"},
    {FIELD("Upgrade: h2c\r\nConnection: upgrade"), SL_OK, 1, "1 /||3|001|0|"},
    {POST("Content-Length: 0\r\n\r\n"), SL_OK, 1, "3 /x||2|001|0|"},
    {POST("Content-Length: 003\r\n\r\nabc"), SL_OK, 1, "3 /x||2|101|3|abc"},
    {POST("content-LENGTH:3\r\n\r\na\r\n"), SL_OK, 1, "3 /x||2|101|3|a\r\n"},
    {POST("Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), SL_OK, 1, "3 /x||2|111|3|abc"},
    {CHUNKS("0\r\n\r\n"), SL_OK, 1, "3 /x||2|111|0|"},
    {CHUNKS("1\r\na\r\n0a\r\n0123456789\r\n000\r\n\r\n"), SL_OK, 1, "3 /x||2|111|11|a0123456789"},
    {CHUNKS("1;a\r\na\r\n1;b=c;d=\"e;\\\"\"\r\nb\r\n0;x\r\nTrailer-One: 1\r\nTwo:\r\n\r\n"), SL_OK, 1,
        "3 /x||2|111|2|ab"},
    {REQ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), SL_OK, 1, NULL},
    {POST("Content-Length: 1\r\n\r\naGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: b\r\n\r\n"), SL_OK, 3,
        "1 /3||1|001|0|"},
    {REQ("GET / HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n"), SL_OK, 1, NULL},
    {REQ("GET / HTTP/1.1\r\nHost: fhir.example.org:\r\n\r\n"), SL_OK, 1, NULL},
    {REQ("GET / HTTP/1.1\r\nHost: a\r\n"), SL_OK, 0, NULL},
    {REQ("GET / HT"), SL_OK, 0, NULL},
};

static const struct refusal {
    struct sl_slice bytes;
    enum sl_status status;
} bad[] = {
    /* the request line */
    {REQ("GET /\r\n"), SL_BAD_SYNTAX},
    {REQ("GET\r\n"), SL_BAD_SYNTAX},
    {REQ(" GET / HTTP/1.1\r\n"), SL_BAD_SYNTAX},
    {REQ("GET  / HTTP/1.1\r\n"), SL_BAD_SYNTAX},
    {REQ("GET /  HTTP/1.1\r\n"), SL_BAD_SYNTAX},
    {REQ("GET / HTTP/1.1 \r\n"), SL_BAD_SYNTAX},
    {REQ("GET\t/ HTTP/1.1\r\n"), SL_BAD_SYNTAX},
    {REQ("GET / http/1.1\r\n"), SL_BAD_SYNTAX},
    {REQ("GET / HTTP/1.10\r\n"), SL_BAD_SYNTAX},
    {REQ("GET / HTTP/1,1\r\n"), SL_BAD_SYNTAX},
    {REQ("GET / HTTP/1.2\r\n"), SL_HTTP_VERSION},
    {REQ("GET / HTTP/0.9\r\n"), SL_HTTP_VERSION},
    {REQ("PRI * HTTP/2.0\r\n"), SL_HTTP_VERSION},
    {REQ("G(T / HTTP/1.1\r\n"), SL_BAD_SYNTAX},
    {REQ("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n"), SL_BAD_SYNTAX},
    {REQ("GET / HTTP/1.1\n"), SL_BAD_SYNTAX},
    {REQ("GET / HTTP/1.1\rX"), SL_BAD_SYNTAX},
    {REQ("\rGET"), SL_BAD_SYNTAX},
    {REQ("\nGET"), SL_BAD_SYNTAX},
    {REQ("\r\n\r\n\r\n"), SL_BAD_SYNTAX},
    {REQ("\x16\x03\x01\x02"), SL_BAD_SYNTAX},
    {REQ("GET /\0 HTTP/1.1\r\n"), SL_BAD_SYNTAX},
    /* the target */
    {HEAD("GET * HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("OPTIONS ** HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET http://a/ HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("CONNECT a:443 HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET Patient HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET ?a HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET /a#b HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET /a?b#c HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET /\xc3\xa9 HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET /\x7f HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET /a\"b HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET /a|b HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET /a\\b HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET /a?<b> HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET /% HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET /%2 HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET /%zz HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET /?%a HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET /?%00 HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET /a%2Fb HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET /a%5cb HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET /a%00b HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET /a%0ab HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET /. HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET /a/../b HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET /a/%2e./b HTTP/1.1"), SL_BAD_SYNTAX},
    {HEAD("GET /a/%2E%2e?b HTTP/1.1"), SL_BAD_SYNTAX},
    /* fields */
    {FIELD("No colon"), SL_BAD_SYNTAX},
    {FIELD(": v"), SL_BAD_SYNTAX},
    {FIELD("Name : v"), SL_BAD_SYNTAX},
    {FIELD("Na\tme: v"), SL_BAD_SYNTAX},
    {FIELD("Na(me: v"), SL_BAD_SYNTAX},
    {FIELD("N\xc3\xa4me: v"), SL_BAD_SYNTAX},
    {FIELD("Name: v\r\n folded"), SL_BAD_SYNTAX},
    {FIELD("Name: v\r\n\tfolded"), SL_BAD_SYNTAX},
    {FIELD("Name: a\nb"), SL_BAD_SYNTAX},
    {FIELD("Name: a\rb"), SL_BAD_SYNTAX},
    {FIELD("Name: a\0b"), SL_BAD_SYNTAX},
    {FIELD("Name: a\x01"), SL_BAD_SYNTAX},
    {FIELD("Name: a\x7f"), SL_BAD_SYNTAX},
    {REQ("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), SL_BAD_SYNTAX},
    {REQ("GET / HTTP/1.1\r\nHost: a\r\n\rX"), SL_BAD_SYNTAX},
    /* Host */
    {REQ("GET / HTTP/1.1\r\n\r\n"), SL_BAD_SYNTAX},
    {FIELD("Host: a"), SL_BAD_SYNTAX},
    {REQ("GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n"), SL_BAD_SYNTAX},
    {REQ("GET / HTTP/1.1\r\nHost:\r\n\r\n"), SL_BAD_SYNTAX},
    {REQ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), SL_BAD_SYNTAX},
    {REQ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"), SL_BAD_SYNTAX},
    {REQ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), SL_BAD_SYNTAX},
    {REQ("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"), SL_BAD_SYNTAX},
    {REQ("GET / HTTP/1.1\r\nHost: a:80x\r\n\r\n"), SL_BAD_SYNTAX},
    {REQ("GET / HTTP/1.1\r\nHost: a:123456\r\n\r\n"), SL_BAD_SYNTAX},
    {REQ("GET / HTTP/1.1\r\nHost: :80\r\n\r\n"), SL_BAD_SYNTAX},
    {REQ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"), SL_BAD_SYNTAX},
    {REQ("GET / HTTP/1.1\r\nHost: []\r\n\r\n"), SL_BAD_SYNTAX},
    {REQ("GET / HTTP/1.1\r\nHost: a%00\r\n\r\n"), SL_BAD_SYNTAX},
    {REQ("GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n"), SL_BAD_SYNTAX},
    /* framing */
    {POST("Content-Length: 1\r\nContent-Length: 1\r\n\r\na"), SL_BAD_SYNTAX},
    {POST("Content-Length: 1, 1\r\n\r\na"), SL_BAD_SYNTAX},
    {POST("Content-Length: +1\r\n\r\na"), SL_BAD_SYNTAX},
    {POST("Content-Length: -1\r\n\r\na"), SL_BAD_SYNTAX},
    {POST("Content-Length: 0x1\r\n\r\na"), SL_BAD_SYNTAX},
    {POST("Content-Length: 1 1\r\n\r\na"), SL_BAD_SYNTAX},
    {POST("Content-Length:\r\n\r\na"), SL_BAD_SYNTAX},
    {POST("Content-Length: 10485761\r\n"), SL_TOO_LARGE},
    {POST("Content-Length: 18446744073709551617\r\n"), SL_TOO_LARGE},
    {POST("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), SL_BAD_SYNTAX},
    {POST("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"), SL_BAD_SYNTAX},
    {POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), SL_BAD_SYNTAX},
    {POST("Transfer-Encoding: gzip, chunked\r\n\r\n"), SL_BAD_SYNTAX},
    {POST("Transfer-Encoding: chunked, chunked\r\n\r\n"), SL_BAD_SYNTAX},
    {POST("Transfer-Encoding: identity\r\n\r\n"), SL_BAD_SYNTAX},
    {POST("Transfer-Encoding: xchunked\r\n\r\n"), SL_BAD_SYNTAX},
    {POST("Transfer-Encoding: \"chunked\"\r\n\r\n"), SL_BAD_SYNTAX},
    {POST("Transfer-Encoding:\r\n\r\n"), SL_BAD_SYNTAX},
    {POST("Transfer-Encoding : chunked\r\n\r\n"), SL_BAD_SYNTAX},
    {REQ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), SL_BAD_SYNTAX},
    {FIELD("Expect: 200-ok"), SL_EXPECTATION},
    {FIELD("Expect: 100-continue, x"), SL_EXPECTATION},
    /* chunks */
    {CHUNKS("\r\n"), SL_BAD_SYNTAX},
    {CHUNKS("0x1\r\na\r\n0\r\n\r\n"), SL_BAD_SYNTAX},
    {CHUNKS("+1\r\na\r\n0\r\n\r\n"), SL_BAD_SYNTAX},
    {CHUNKS("-1\r\n"), SL_BAD_SYNTAX},
    {CHUNKS(" 1\r\n"), SL_BAD_SYNTAX},
    {CHUNKS("1 \r\n"), SL_BAD_SYNTAX},
    {CHUNKS("1 ;a\r\n"), SL_BAD_SYNTAX},
    {CHUNKS("g\r\n"), SL_BAD_SYNTAX},
    {CHUNKS("1\na\r\n0\r\n\r\n"), SL_BAD_SYNTAX},
    {CHUNKS("1\r\na\n0\r\n\r\n"), SL_BAD_SYNTAX},
    {CHUNKS("1\r\nab\r\n"), SL_BAD_SYNTAX},
    {CHUNKS("1\r\na\rb"), SL_BAD_SYNTAX},
    {CHUNKS("1;\r\n"), SL_BAD_SYNTAX},
    {CHUNKS("1;a=\r\n"), SL_BAD_SYNTAX},
    {CHUNKS("1;a=\"b\r\n"), SL_BAD_SYNTAX},
    {CHUNKS("1;a=\"b\\\"\r\n"), SL_BAD_SYNTAX},
    {CHUNKS("1;a\nb\r\n"), SL_BAD_SYNTAX},
    {CHUNKS("00000000000000001\r\n"), SL_BAD_SYNTAX},
    {CHUNKS("ffffffffffffffff\r\n"), SL_TOO_LARGE},
    {CHUNKS("a00001\r\n"), SL_TOO_LARGE},
    {CHUNKS("1\r\na\r\na00000\r\n"), SL_TOO_LARGE},
    {CHUNKS("0\r\nContent-Length: 1\r\n\r\n"), SL_BAD_SYNTAX},
    {CHUNKS("0\r\nTRANSFER-encoding: chunked\r\n\r\n"), SL_BAD_SYNTAX},
    {CHUNKS("0\r\nHost: b\r\n\r\n"), SL_BAD_SYNTAX},
    {CHUNKS("0\r\nno colon\r\n\r\n"), SL_BAD_SYNTAX},
    {CHUNKS("0\r\n folded: 1\r\n\r\n"), SL_BAD_SYNTAX},
    {CHUNKS("0\r\n\rX"), SL_BAD_SYNTAX},
};

static void check_case(const struct wire_case *c)
{
    struct outcome outcome = read_every_way(c->bytes);
    if (outcome.status != c->status)
        fail_msg("%s, not %s: %.*s", sl_status_name(outcome.status), sl_status_name(c->status), SL_FMT(c->bytes));
    if (outcome.messages != c->messages)
        fail_msg("%zu messages, not %zu: %.*s", outcome.messages, c->messages, SL_FMT(c->bytes));
    if (c->last && strcmp(outcome.last, c->last) != 0)
        fail_msg("%s, not %s", outcome.last, c->last);
}

static void takes_good_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        check_case(&good[i]);
}

static void refuses_bad_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        check_case(&(struct wire_case){.bytes = bad[i].bytes, .status = bad[i].status});
}

/* ---- Limits ---- */

/* One byte or field fewer than the limit passes, one more does not. */
static const struct sl_http1_limits small = {.line = 20, .headers = 40, .fields = 3, .body = 10};

static const struct wire_case at_limit[] = {
    {REQ("GET /234567 HTTP/1.1\r\nHost: a\r\n\r\n"), SL_OK, 1, NULL},
    {REQ("GET /2345678 HTTP/1.1\r\nHost: a\r\n\r\n"), SL_URI_TOO_LONG, 0, NULL},
    {REQ("GET /2345678901234567890123456789"), SL_URI_TOO_LONG, 0, NULL},
    {REQ("GET / HTTP/1.1\r\nHost: a\r\nB: 89012345678901234567890123\r\n\r\n"), SL_OK, 1, NULL},
    {REQ("GET / HTTP/1.1\r\nHost: a\r\nB: 890123456789012345678901234\r\n\r\n"), SL_HEADERS_TOO_LARGE, 0, NULL},
    {REQ("GET / HTTP/1.1\r\nHost: a\r\nB:\r\nC:\r\n\r\n"), SL_OK, 1, NULL},
    {REQ("GET / HTTP/1.1\r\nHost: a\r\nB:\r\nC:\r\nD:\r\n\r\n"), SL_HEADERS_TOO_LARGE, 0, NULL},
    {REQ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789"), SL_OK, 1, NULL},
    {REQ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n"), SL_TOO_LARGE, 0, NULL},
};

static void keeps_its_limits(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(at_limit); i++) {
        struct outcome whole = read_in_pieces(at_limit[i].bytes, &small, at_limit[i].bytes.len, 1);
        struct outcome single = read_in_pieces(at_limit[i].bytes, &small, 1, 1);
        assert_same(&whole, &single, at_limit[i].bytes);
        if (whole.status != at_limit[i].status || whole.messages != at_limit[i].messages)
            fail_msg("%s: %.*s", sl_status_name(whole.status), SL_FMT(at_limit[i].bytes));
    }
}

/* Trailers count together with headers; extensions have a bound of their own. */
static void bounds_what_comes_between_chunks(void **state)
{
    struct sl_buffer text;
    (void)state;
    sl_buffer_init(&text, ARENA);
    sl_buffer_add(&text, (struct sl_slice)CHUNKS("0\r\n"));
    for (int i = 0; i < 99; i++)
        sl_buffer_add(&text, SL_LIT("T: t\r\n"));
    sl_buffer_add(&text, SL_LIT("\r\n"));
    assert_int_equal(read_all(sl_buffer_slice(&text)).status, SL_HEADERS_TOO_LARGE);

    sl_buffer_clear(&text);
    sl_buffer_add(&text, (struct sl_slice)CHUNKS(""));
    for (int i = 0; i < 41; i++)
        sl_buffer_printf(&text, "1;%0100d\r\na\r\n", i);
    assert_int_equal(read_all(sl_buffer_slice(&text)).status, SL_BAD_SYNTAX);

    sl_buffer_clear(&text);
    sl_buffer_add(&text, (struct sl_slice)CHUNKS(""));
    sl_buffer_printf(&text, "1;%0300d\r\na\r\n", 0);
    assert_int_equal(read_all(sl_buffer_slice(&text)).status, SL_BAD_SYNTAX);
    sl_buffer_fini(&text);
}

static int number_at(struct sl_slice text, size_t at)
{
    char digits[9] = "";
    memcpy(digits, text.ptr + at, 8);
    return atoi(digits);
}

/* A large body in many chunks is joined in order; the arena holds no more than about twice its size. */
static void joins_a_large_chunked_body(void **state)
{
    enum { CHUNK = 1000, CHUNKS_SENT = 10000 };
    struct sl_buffer text;
    (void)state;
    sl_buffer_init(&text, ARENA);
    sl_buffer_add(&text, (struct sl_slice)CHUNKS(""));
    for (int i = 0; i < CHUNKS_SENT; i++)
        sl_buffer_printf(&text, "%x\r\n%0*d\r\n", CHUNK, CHUNK, i);
    sl_buffer_add(&text, SL_LIT("0\r\n\r\n"));

    struct sl_arena *arena = sl_arena_new(ARENA);
    struct sl_http1 reader;
    size_t used, at = 0;
    enum sl_http1_event event;
    sl_http1_init(&reader, &sl_http1_limits_default);
    do {
        event = sl_http1_feed(&reader, sl_slice_from(sl_buffer_slice(&text), at), &used);
        at += used;
        if (event == SL_HTTP1_BEGIN)
            sl_http1_begin(&reader, arena);
    } while (event == SL_HTTP1_BEGIN || event == SL_HTTP1_HEAD);
    assert_int_equal(event, SL_HTTP1_DONE);
    struct sl_slice body = reader.request->body;
    assert_int_equal(body.len, CHUNK * CHUNKS_SENT);
    for (int i = 0; i < CHUNKS_SENT; i++)
        assert_int_equal(number_at(body, (size_t)i * CHUNK + CHUNK - 8), i);
    assert_true(sl_arena_used(arena) < body.len * 2 + body.len / 4);
    sl_arena_free(arena);
    sl_buffer_fini(&text);
}

/* Every ceiling of the arena: the message is whole, or refused for want of memory; never anything else. */
static void fails_closed_without_memory(void **state)
{
    static const struct wire_case chunked = {CHUNKS("5\r\nabcde\r\n0\r\nT: t\r\n\r\n"), SL_OK, 1, NULL};
    size_t refused = 0, whole = 0;
    (void)state;
    for (size_t ceiling = 0; ceiling < 16 * 1024; ceiling += 16) {
        struct sl_arena *arena = sl_arena_new(ceiling);
        struct sl_http1 reader;
        struct outcome outcome = {.status = SL_OK};
        sl_http1_init(&reader, &sl_http1_limits_default);
        feed_piece(&reader, arena, chunked.bytes, &outcome);
        refused += outcome.status == SL_NO_MEMORY && outcome.messages == 0;
        whole += outcome.status == SL_OK && outcome.messages == 1;
        sl_arena_free(arena);
    }
    assert_int_equal(refused + whole, 1024);
    assert_true(refused > 10 && whole > 10);
}

static void finds_headers_by_name(void **state)
{
    struct sl_slice bytes = FIELD("Accept: one\r\naccept: two\r\nX:");
    struct sl_arena *arena = sl_arena_new(ARENA);
    struct sl_http1 reader;
    size_t used, count;
    (void)state;
    sl_http1_init(&reader, &sl_http1_limits_default);
    assert_int_equal(sl_http1_feed(&reader, bytes, &used), SL_HTTP1_BEGIN);
    sl_http1_begin(&reader, arena);
    assert_int_equal(sl_http1_feed(&reader, bytes, &used), SL_HTTP1_HEAD);
    assert_true(sl_slice_eq(sl_request_header(reader.request, SL_LIT("ACCEPT"), &count), SL_LIT("one")));
    assert_int_equal(count, 2);
    struct sl_slice empty = sl_request_header(reader.request, SL_LIT("x"), &count);
    assert_true(empty.ptr && empty.len == 0 && count == 1);
    assert_null(sl_request_header(reader.request, SL_LIT("absent"), &count).ptr);
    assert_int_equal(count, 0);
    sl_arena_free(arena);
}

/* ---- Answers ---- */

static void writes_heads(void **state)
{
    static const struct sl_header headers[] = {{{"ETag", 4}, {"W/\"1\"", 5}}};
    struct sl_blocks body = {.total = 12};
    struct sl_response response = {.status = 200, .headers = headers, .header_count = 1, .body = &body};
    struct sl_http1_answer answer = {&response, SL_LIT("Tue, 15 Nov 1994 08:12:31 GMT"), false, false};
    struct sl_buffer out;
    (void)state;
    sl_buffer_init(&out, 1024);
    assert_true(sl_http1_write_head(&out, &answer));
    assert_true(sl_slice_eq(sl_buffer_slice(&out), SL_LIT("HTTP/1.1 200 OK\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\n"
                                                          "ETag: W/\"1\"\r\nContent-Length: 12\r\n\r\n")));
    sl_buffer_clear(&out);
    response = (struct sl_response){.status = 204};
    answer.close = true;
    assert_true(sl_http1_write_head(&out, &answer));
    assert_true(sl_slice_eq(sl_buffer_slice(&out),
        SL_LIT("HTTP/1.1 204 No Content\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\nConnection: close\r\n\r\n")));
    sl_buffer_fini(&out);
}

/* What could split an answer in two is never written. */
static void refuses_to_write_broken_heads(void **state)
{
    static const struct sl_header broken[] = {
        {{"A", 1}, {"b\r\nSet-Cookie: c", 16}},
        {{"A", 1}, {"b\nc", 3}},
        {{"A", 1}, {"b\0c", 3}},
        {{"A B", 3}, {"c", 1}},
        {{"A:", 2}, {"c", 1}},
        {{"", 0}, {"c", 1}},
    };
    struct sl_buffer out;
    (void)state;
    sl_buffer_init(&out, 1024);
    for (size_t i = 0; i < COUNT(broken); i++) {
        struct sl_response response = {.status = 200, .headers = &broken[i], .header_count = 1};
        struct sl_http1_answer answer = {&response, SL_LIT("d"), false, false};
        sl_buffer_clear(&out);
        assert_false(sl_http1_write_head(&out, &answer));
    }
    struct sl_response response = {.status = 0};
    assert_false(sl_http1_write_head(&out, &(struct sl_http1_answer){.response = &response}));
    sl_buffer_fini(&out);
    sl_buffer_init(&out, 10);
    response.status = 200;
    assert_false(sl_http1_write_head(&out, &(struct sl_http1_answer){.response = &response}));
    sl_buffer_fini(&out);
}

/* ---- llhttp's cases, where the shared data is present ---- */

/*
 * llhttp's test cases say in Markdown what its parser does with a message (nodejs/llhttp, the files of test/request). A
 * case that it refuses, we refuse; a case it takes, we take, with as many messages and body bytes: but for these.
 */
static const struct difference {
    const char *file, *name, *reason;
} differences[] = {
    {"sample.md", "No HTTP version", "HTTP/0.9 has no place here (RFC 9112 3)"},
    {"uri.md", "Quotes in URI", "a quotation mark is in no URI (RFC 3986 2)"},
    {"uri.md", "Host terminated by a query string", "absolute-form is refused: we are no proxy"},
    {"uri.md", "`host:port` terminated by a query string", "absolute-form is refused: we are no proxy"},
    {"uri.md", "`host:port` terminated by a space", "absolute-form is refused: we are no proxy"},
    {"uri.md", "`host:port` and basic auth", "absolute-form is refused: we are no proxy"},
    {"uri.md", "Fragment in URI", "a request target has no fragment (RFC 9112 3.2)"},
    {"uri.md", "Underscore in hostname", "CONNECT and authority-form are a proxy's"},
    {"method.md", "CONNECT request", "CONNECT and authority-form are a proxy's"},
    {"method.md", "CONNECT request with CAPS", "CONNECT and authority-form are a proxy's"},
    {"method.md", "CONNECT with body", "CONNECT and authority-form are a proxy's"},
    {"method.md", "M-SEARCH request", "asterisk-form is for OPTIONS alone (RFC 9112 3.2.4)"},
    {"method.md", "PRI request HTTP2", "asterisk-form is for OPTIONS alone (RFC 9112 3.2.4)"},
    {"invalid.md", "Invalid method", "any token is a method, and the exchange answers 405 (RFC 9110 9.1)"},
    {"invalid.md", "HTTP protocol and ANNOUNCE method",
        "any token is a method, and the exchange answers 405 (RFC 9110 9.1)"},
    {"transfer-encoding.md", "POST with `chunked` as last transfer-encoding", "no coding but chunked is understood"},
    {"transfer-encoding.md", "POST with `chunked` as last transfer-encoding (multiple headers)",
        "no coding but chunked is understood"},
    {"method.md", "SOURCE request with ICE", "not HTTP"},
    {"method.md", "OPTIONS request with RTSP", "not HTTP"},
    {"method.md", "ANNOUNCE request with RTSP", "not HTTP"},
};

#define LLHTTP SLUICE_SHARED "/data/llhttp-cases/request/"

struct llhttp_case {
    char name[128];
    struct sl_slice meta, raw, log;
};

struct judgement {
    const char *file;
    size_t cases, lenient, listed, unlisted;
};

static struct sl_slice find(struct sl_slice text, const char *needle)
{
    const char *at = text.len ? memmem(text.ptr, text.len, needle, strlen(needle)) : NULL;
    return at ? (struct sl_slice){at, (size_t)(text.ptr + text.len - at)} : (struct sl_slice){NULL, 0};
}

static size_t count_of(struct sl_slice text, const char *needle)
{
    size_t n = 0;
    for (text = find(text, needle); text.ptr; text = find(sl_slice_from(text, 1), needle))
        n++;
    return n;
}

/* Takes a fenced block out of *text: what stands between the line that opens it and the line break that closes it. */
static struct sl_slice take_block(struct sl_slice *text, const char *fence)
{
    struct sl_slice open = find(*text, fence), begin = sl_slice_from(open, strlen(fence)), end = find(begin, "\n```");
    *text = sl_slice_from(end, 4);
    return open.ptr && end.ptr ? (struct sl_slice){begin.ptr, (size_t)(end.ptr - begin.ptr)}
                               : (struct sl_slice){NULL, 0};
}

static char escaped_byte(char c)
{
    switch (c) {
    case 'r':
        return '\r';
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'f':
        return '\f';
    default:
        return 0;
    }
}

/* One backslash of the block: an escaped byte, a joined line, or itself. Gives how much of the text it was. */
static size_t add_escape(struct sl_buffer *out, struct sl_slice text, size_t i)
{
    char next = i + 1 < text.len ? text.ptr[i + 1] : 0, byte = escaped_byte(next);
    if (next == '\n')
        return 2;
    if (next == 'x' && i + 3 < text.len) {
        byte = (char)strtoul((char[]){text.ptr[i + 2], text.ptr[i + 3], 0}, NULL, 16);
        sl_buffer_add(out, (struct sl_slice){&byte, 1});
        return 4;
    }
    sl_buffer_add(out, byte ? (struct sl_slice){&byte, 1} : SL_LIT("\\"));
    return byte ? 2 : 1;
}

/* The bytes of a message: line breaks are CRLF. llhttp does not ask for Host, and most cases have none: one is put
 * behind each request line of such a case, so that it is judged by what it is about. */
static void add_raw(struct sl_buffer *out, struct sl_slice text)
{
    bool hostless = !find(text, "Host:").ptr && !find(text, "HOST:").ptr;
    for (size_t i = 0; i < text.len;) {
        if (text.ptr[i] == '\\') {
            i += add_escape(out, text, i);
        } else if (text.ptr[i] == '\n') {
            bool request = i >= 9 && !memcmp(text.ptr + i - 9, " HTTP/1.1", 9);
            sl_buffer_add(out, request && hostless ? SL_LIT("\r\nHost: a\r\n") : SL_LIT("\r\n"));
            i++;
        } else {
            sl_buffer_add(out, (struct sl_slice){text.ptr + i++, 1});
        }
    }
}

/* The sum of the bytes that llhttp reports as body. */
static size_t logged_body(struct sl_slice log)
{
    size_t total = 0;
    for (struct sl_slice at = find(log, " span[body]"); at.ptr; at = find(sl_slice_from(at, 1), " span[body]")) {
        const char *len = at.ptr;
        while (len > log.ptr && *len != '=')
            len--;
        total += strtoul(len + 1, NULL, 10);
    }
    return total;
}

/* llhttp stops, without complaint, where a protocol other than HTTP would go on: 22 and 23 are no refusal. */
static bool refused_by_llhttp(struct sl_slice log)
{
    return find(log, "error code=").ptr && !find(log, "error code=22").ptr && !find(log, "error code=23").ptr;
}

/* Where llhttp refuses in the middle of a line, we do so once the line has ended; what follows a message that ends the
 * connection is refused by llhttp, and never read by us. */
static struct outcome read_case(const struct llhttp_case *c)
{
    struct sl_buffer raw;
    sl_buffer_init(&raw, ARENA);
    add_raw(&raw, c->raw);
    struct outcome ours = read_every_way(sl_buffer_slice(&raw));
    if (refused_by_llhttp(c->log) && ours.within) {
        sl_buffer_add(&raw, SL_LIT("\r\n\r\n"));
        ours = read_every_way(sl_buffer_slice(&raw));
    }
    sl_buffer_fini(&raw);
    return ours;
}

static bool same_verdict(const struct llhttp_case *c, const struct outcome *ours)
{
    bool refused = ours->status != SL_OK || ours->ignored;
    if (refused_by_llhttp(c->log) || refused)
        return refused_by_llhttp(c->log) == refused;
    /* What follows an upgrade or HTTP/2 preface is no HTTP/1.1 to llhttp, and still is to us. */
    if (find(c->log, "error code=").ptr || find(c->meta, "skipBody").ptr)
        return true;
    if (ours->messages != count_of(c->log, " message complete"))
        return false;
    return ours->within ? ours->body_bytes <= logged_body(c->log) : ours->body_bytes == logged_body(c->log);
}

static const struct difference *difference_of(const char *file, const char *name)
{
    for (size_t i = 0; i < COUNT(differences); i++)
        if (!strcmp(differences[i].file, file) && !strcmp(differences[i].name, name))
            return &differences[i];
    return NULL;
}

static void judge(struct judgement *judgement, const struct llhttp_case *c)
{
    judgement->cases++;
    if (find(c->meta, "lenient").ptr) {
        judgement->lenient++;
        return;
    }
    struct outcome ours = read_case(c);
    bool same = same_verdict(c, &ours), listed = difference_of(judgement->file, c->name);
    judgement->listed += !same && listed;
    if (same != listed)
        return;
    judgement->unlisted++;
    print_message("%s, \"%s\": %s (%s, %zu messages)\n", judgement->file, c->name,
        same ? "listed as a difference, and is none" : "differs from llhttp", sl_status_name(ours.status),
        ours.messages);
}

static void take_name(struct sl_slice text, char *name, size_t size)
{
    size_t begin = 0;
    while (begin < text.len && text.ptr[begin] == '#')
        begin++;
    const char *end = memchr(text.ptr, '\n', text.len);
    snprintf(name, size, "%.*s", (int)(end - text.ptr - (long)begin - 1), text.ptr + begin + 1);
}

/* The heading nearest before the block is the case's name. */
static void judge_file(struct judgement *judgement, struct sl_slice text)
{
    for (struct sl_slice at = find(text, "<!-- meta="); at.ptr; at = find(at, "<!-- meta=")) {
        struct llhttp_case c = {.meta = at};
        const char *heading = at.ptr;
        while (heading > text.ptr && !(heading[0] == '#' && heading[-1] == '\n'))
            heading--;
        take_name((struct sl_slice){heading, (size_t)(at.ptr - heading)}, c.name, sizeof c.name);
        c.meta.len = (size_t)((char *)memchr(at.ptr, '\n', at.len) - at.ptr);
        c.raw = take_block(&at, "```http\n");
        c.log = take_block(&at, "```log\n");
        assert_non_null(c.raw.ptr);
        assert_non_null(c.log.ptr);
        judge(judgement, &c);
    }
}

static char *read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    char *text = malloc(1 << 20);
    assert_non_null(text);
    *len = fread(text, 1, 1 << 20, file);
    fclose(file);
    return text;
}

static void agrees_with_llhttp(void **state)
{
    static const char *const files[] = {"sample.md", "method.md", "uri.md", "content-length.md", "transfer-encoding.md",
        "connection.md", "pipelining.md", "finish.md", "pausing.md", "invalid.md", "lenient-headers.md",
        "lenient-header-value-relaxed.md", "lenient-version.md"};
    size_t judged = 0, listed = 0, unlisted = 0;
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        struct judgement judgement = {.file = files[i]};
        char path[4096];
        size_t len = 0;
        snprintf(path, sizeof path, "%s%s", LLHTTP, files[i]);
        char *text = read_file(path, &len);
        if (!text) {
            print_message("skipped: no llhttp cases in ../shared/data\n");
            skip();
        }
        judge_file(&judgement, (struct sl_slice){text, len});
        free(text);
        judged += judgement.cases - judgement.lenient;
        listed += judgement.listed;
        unlisted += judgement.unlisted;
    }
    print_message("llhttp: %zu strict cases judged, %zu listed differences\n", judged, listed);
    assert_int_equal(unlisted, 0);
    assert_int_equal(listed, COUNT(differences));
    assert_true(judged > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_good_requests),
        cmocka_unit_test(refuses_bad_requests),
        cmocka_unit_test(keeps_its_limits),
        cmocka_unit_test(bounds_what_comes_between_chunks),
        cmocka_unit_test(joins_a_large_chunked_body),
        cmocka_unit_test(fails_closed_without_memory),
        cmocka_unit_test(finds_headers_by_name),
        cmocka_unit_test(writes_heads),
        cmocka_unit_test(refuses_to_write_broken_heads),
        cmocka_unit_test(agrees_with_llhttp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
