/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 and 1.0 as bytes: a strict, incremental reader (RFC 9112) of requests and of an upstream's answers, and the
 * heads of an answer and of a question. No sockets, no clock. What a reader has once refused stays refused: after
 * SL_HTTP1_BAD no later byte of the connection counts.
 *
 * Stricter than RFC 9112 where two readers of the same bytes could disagree: bare LF, obs-fold, white space around a
 * chunk size, a second Content-Length that repeats the first, Content-Length beside Transfer-Encoding, any coding but
 * one `chunked`, encoded slashes and dot segments in a path. Absolute-form is refused too (RFC 9112 3.2.2 would have a
 * server accept it): a gateway is no proxy, and two names for one target are one too many.
 */
#ifndef SLUICE_GATEWAY_HTTP1_H
#define SLUICE_GATEWAY_HTTP1_H

#include "http.h"
#include "sluice/buffer.h"

struct sl_http1_limits {
    size_t line;    /* bytes of the request line: 8 KiB (414) */
    size_t headers; /* bytes of all field lines, trailers included: 32 KiB (431) */
    size_t fields;  /* their number, trailers included: 100 (431) */
    uint64_t body;  /* bytes of a body, without its framing: 10 MiB (413) */
};
#define SL_HTTP1_LIMITS_DEFAULT                                                                                        \
    {                                                                                                                  \
        .line = 8192, .headers = 32768, .fields = 100, .body = 10485760                                                \
    }
extern const struct sl_http1_limits sl_http1_limits_default;

enum sl_http1_event {
    SL_HTTP1_MORE,  /* every byte was taken, and the message goes on */
    SL_HTTP1_BEGIN, /* a request begins with the next byte: sl_http1_begin, then feed on */
    SL_HTTP1_HEAD,  /* request is whole but for its body; it is whole if it has no body */
    SL_HTTP1_DONE,  /* request->body is whole; or the answer, with or without a body */
    SL_HTTP1_BAD    /* status says why */
};

/* An upstream's answer. */
struct sl_reply {
    int code; /* 200 to 599: interim answers (1xx) are read over */
    const struct sl_header *headers;
    size_t header_count;
    struct sl_slice body;
    bool keep_alive;
};

/* One message at a time, in the caller's storage; it holds no memory before sl_http1_begin and owns none after. */
struct sl_http1 {
    const struct sl_http1_limits *limits;
    struct sl_arena *arena;
    struct sl_request *request; /* in the arena; NULL before the request line has been read */
    struct sl_reply *reply;     /* likewise, of an answer's status line */
    enum sl_status status;      /* why the message was refused */
    bool expects_continue;      /* the client waits for 100 before it sends the body (RFC 9110 10.1.1) */
    bool version_1_0;

    /* The rest is the reader's own. */
    unsigned phase;
    bool cr; /* the last byte was a CR, which only LF may follow */
    bool host, length, chunked, close, persist;
    bool answers, bodiless; /* it reads answers; to a question (HEAD) that has none */
    unsigned empty_lines, interims;
    struct sl_http1_text {
        char *block; /* read lines stay where they are; a line that outgrows the block moves to a larger one */
        size_t line, used, capacity;
    } text;
    struct sl_header *fields;
    size_t field_count, field_capacity, header_bytes, extension_bytes;
    uint64_t content_length;
    uint64_t remaining; /* of the body, or of the chunk */
    struct sl_http1_segment *first, *last;
};

/* limits are borrowed. Also starts over for the next message of a connection. */
void sl_http1_init(struct sl_http1 *reader, const struct sl_http1_limits *limits);

/* Answers SL_HTTP1_BEGIN: from here on the message grows in the arena. A chunked body needs twice its size there. */
void sl_http1_begin(struct sl_http1 *reader, struct sl_arena *arena);

/* For the answer to one question, instead of the two above: it grows in the arena from its first byte. limits->line is
 * that of its status line. head: the question was a HEAD, so the answer has no body whatever it announces. */
void sl_http1_expect(struct sl_http1 *reader, const struct sl_http1_limits *limits, struct sl_arena *arena, bool head);

/* The other side has closed: that ends an answer of no announced length (SL_HTTP1_DONE), and breaks any other. Whether
 * all of such a body came cannot be known from the framing: it is for the reader of its content to see. */
enum sl_http1_event sl_http1_end(struct sl_http1 *reader);

/* An answer that somebody else has framed (HTTP/2): its parts, after sl_http1_expect, instead of its bytes. A head is a
 * code, its fields and an end; an interim answer (1xx) is a head of its own before the final one; fields after that are
 * trailers. All limits and checks are those of the bytes. MORE: it goes on; DONE: it is whole; BAD: status says why. */
enum sl_http1_event sl_http1_add_code(struct sl_http1 *reader, int code);
enum sl_http1_event sl_http1_add_field(struct sl_http1 *reader, struct sl_slice name, struct sl_slice value);
enum sl_http1_event sl_http1_add_head_end(struct sl_http1 *reader); /* DONE: it has no body */
enum sl_http1_event sl_http1_add_body(struct sl_http1 *reader, struct sl_slice bytes);
enum sl_http1_event sl_http1_add_end(struct sl_http1 *reader); /* no more comes */

/* Takes bytes as they come; *used tells how many were taken, all of them with SL_HTTP1_MORE. Not to be called again
 * once the message is whole. */
enum sl_http1_event sl_http1_feed(struct sl_http1 *reader, struct sl_slice bytes, size_t *used);

/* Has the whole message been read, body and all? */
bool sl_http1_is_whole(const struct sl_http1 *reader);

/* Splits request->target into path and query: origin-form, or asterisk-form for OPTIONS (RFC 9112 3.2), with nothing in
 * it that a path or query may not hold; a fragment has no place in either. SL_BAD_SYNTAX. */
SL_MUST_CHECK enum sl_status sl_http1_split_target(struct sl_request *request);

/* Does a field value, a comma-separated list, name this token, in any case? */
bool sl_http1_has_token(struct sl_slice value, struct sl_slice token);

/* The head of an answer, status line to empty line. date: RFC 9110 5.6.7, without the name. False if a name or value
 * holds what would break the framing: then nothing of it may be sent. */
struct sl_http1_answer {
    const struct sl_response *response;
    struct sl_slice date;
    bool close;   /* say `Connection: close` */
    bool persist; /* say `Connection: keep-alive`, to a 1.0 client that asked */
};
SL_MUST_CHECK bool sl_http1_write_head(struct sl_buffer *out, const struct sl_http1_answer *answer);

/* The head of a question, request line to empty line. `fixed`: whole field lines that every question has (Host and so
 * on), each with its CRLF. False if the method is none, or the target, a name or a value holds what would break the
 * framing. */
struct sl_http1_question {
    enum sl_method method;
    struct sl_slice base, target; /* the path of the server's base URL, and what follows it */
    struct sl_slice fixed;
    const struct sl_header *headers;
    size_t header_count;
    struct sl_slice body; /* its length is told; ptr NULL: there is none */
};
SL_MUST_CHECK bool sl_http1_write_question(struct sl_buffer *out, const struct sl_http1_question *question);

/* Its name as it stands in a message; ptr NULL if it is none. */
struct sl_slice sl_http1_method_name(enum sl_method method);

/* A header by name, any case; ptr NULL if it is not there. */
struct sl_slice sl_headers_find(const struct sl_header *headers, size_t count, struct sl_slice name);

#endif
