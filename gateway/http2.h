/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's side of one HTTP/2 connection as bytes (RFC 9113), over nghttp2, and the only file that knows it: many
 * questions at a time, each a stream, and what the server sends for each given to the reader of answers (http1.h), so
 * that an answer has the limits and checks it would have in HTTP/1.1. No sockets, no clock, and it calls nobody: what
 * has come of a stream is taken from it (sl_http2_ended), after the bytes that brought it.
 *
 * What is bounded here: bytes on their way, by windows that open as bytes are taken into an answer; a head of any
 * number of frames; frames that bring nothing; how many acknowledgements wait for a server that does not read.
 */
#ifndef SLUICE_GATEWAY_HTTP2_H
#define SLUICE_GATEWAY_HTTP2_H

#include "http1.h"

struct sl_http2;

enum sl_http2_state {
    SL_HTTP2_OPEN,
    SL_HTTP2_WHOLE, /* the reader has the answer */
    SL_HTTP2_BAD,   /* it is no HTTP, or over a limit: the reader's status, or SL_OK: frames that break the rules */
    SL_HTTP2_UNPROCESSED, /* the server says that it has done nothing of it: it may be asked again, whatever it was */
    SL_HTTP2_RESET,       /* by the server */
    SL_HTTP2_WANTS_HTTP1  /* it does not speak HTTP/2 for that, it says; `untouched`: and has done nothing of it */
};

/* In the caller's storage, from sl_http2_ask until sl_http2_drop. */
struct sl_http2_stream {
    struct sl_http1 *reader; /* after sl_http1_expect */
    struct sl_slice body;    /* of the question, borrowed */
    enum sl_http2_state state;
    bool untouched;
    size_t bytes; /* of an answer that have come, whatever they were */

    /* The rest is the session's own. */
    size_t sent; /* of the body */
    int32_t id;
    bool known, headed, reset, listed;
    uint32_t code;
    struct sl_http2_stream *next, **place; /* of those that have ended */
};

struct sl_http2_question {
    enum sl_method method;
    struct sl_slice authority, path;
    const struct sl_header *fixed, *headers; /* names in any case; checked already, as sl_http1_write_question does */
    size_t fixed_count, header_count;
    struct sl_slice body; /* ptr NULL: there is none */
};

/* limits are borrowed. NULL: no memory. */
struct sl_http2 *sl_http2_new(const struct sl_http1_limits *limits);
void sl_http2_free(struct sl_http2 *http2); /* NULL is fine; its streams are forgotten */

/* How many questions more it takes now. One, until the server has told its settings. */
size_t sl_http2_room(const struct sl_http2 *http2);
/* False: no memory, or too many fields. */
SL_MUST_CHECK bool sl_http2_ask(
    struct sl_http2 *http2, struct sl_http2_stream *stream, const struct sl_http2_question *question);
/* The stream is the caller's again; a server that is still at it is told to leave off. */
void sl_http2_drop(struct sl_http2 *http2, struct sl_http2_stream *stream);

/* Asks for a sign of life: what comes then is in what is fed. */
void sl_http2_ping(struct sl_http2 *http2);

/* Takes all of the bytes. Then sl_http2_ended, until there is none, and sl_http2_output. */
void sl_http2_feed(struct sl_http2 *http2, struct sl_slice bytes);
/* A stream that is open no more, each once; NULL: there is none. */
struct sl_http2_stream *sl_http2_ended(struct sl_http2 *http2);
bool sl_http2_has_ended(const struct sl_http2 *http2);
/* Bytes to send, in place of what is in the buffer (limit: SL_HTTP2_OUTPUT). False: there are none now. Streams may end
 * by it. */
bool sl_http2_output(struct sl_http2 *http2, struct sl_buffer *out);
#define SL_HTTP2_OUTPUT ((size_t)64 * 1024)

/* It takes no question any more, though those under way may end well: the server is about to leave. */
bool sl_http2_is_leaving(const struct sl_http2 *http2);
/* Why the connection is of no use any more, a literal for operators; NULL: it is. */
const char *sl_http2_fault(const struct sl_http2 *http2);
/* Nothing is asked any more: the next output says so. */
void sl_http2_leave(struct sl_http2 *http2);

#endif
