/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP messages as the rest of the gateway sees them, and what passes between a connection and its exchange.
 * http1.c makes a struct sl_request from bytes; listener.c and worker.c own sockets; exchange.c owns meaning.
 */
#ifndef SLUICE_GATEWAY_HTTP_H
#define SLUICE_GATEWAY_HTTP_H

#include <stdint.h>

#include "sluice/arena.h"
#include "sluice/edit.h"
#include "sluice/slice.h"
#include "sluice/status.h"

enum sl_method { SL_METHOD_OTHER, SL_GET, SL_HEAD, SL_POST, SL_PUT, SL_METHOD_PATCH, SL_METHOD_DELETE, SL_OPTIONS };

struct sl_header {
    struct sl_slice name, value; /* value without surrounding white space */
};

struct sl_request {
    enum sl_method method;
    struct sl_slice method_text, target; /* as received */
    struct sl_slice path, query;         /* origin form, split at '?', still percent-encoded; query without '?' */
    const struct sl_header *headers;
    size_t header_count;
    struct sl_slice body;    /* empty until it has arrived */
    uint64_t content_length; /* announced; chunked: 0 */
    bool has_body, chunked, keep_alive;
};

/* A header by name, any case; empty with ptr NULL if absent. *count (may be NULL) tells how often it stands there. */
struct sl_slice sl_request_header(const struct sl_request *request, struct sl_slice name, size_t *count);

struct sl_response {
    int status;
    const struct sl_header *headers; /* all but Content-Length, Date and Connection, which the connection writes */
    size_t header_count;
    const struct sl_blocks *body; /* borrowed until the exchange is freed; NULL: none */
    bool head_only;               /* HEAD: Content-Length as for GET, no body */
    bool close;                   /* close the connection after it */
};

struct sl_conn;     /* a client's connection (worker.c) */
struct sl_worker;   /* a thread with a loop (worker.c) */
struct sl_exchange; /* one request and its answer (exchange.c) */

/* ---- What the connection calls (exchange.c) ---- */

/* A new exchange as the first byte of a request arrives; NULL: no memory or no budget, answer a fixed 503 and close. */
struct sl_exchange *sl_exchange_new(struct sl_worker *worker, struct sl_conn *conn);
struct sl_arena *sl_exchange_arena(struct sl_exchange *exchange);
/* The head is complete: identify and route. SL_OK: go on and read the body (if any). Else the exchange will answer by
 * itself, and the body is not read. `request` stays valid until the exchange is freed. */
SL_MUST_CHECK enum sl_status sl_exchange_head(struct sl_exchange *exchange, const struct sl_request *request);
/* The whole body is there (request->body), or there was none. */
void sl_exchange_start(struct sl_exchange *exchange);
/* The bytes were no valid HTTP, or too much, or too slow: an exchange all the same, with an OperationOutcome and an
 * entry in the ledger; the connection closes after the answer. */
void sl_exchange_malformed(struct sl_exchange *exchange, enum sl_status status);
/* The client has left before an answer was given: nothing is sent any more, the connection is gone, and the exchange
 * ends by itself as soon as nothing refers to it. An exchange gets either this or sl_exchange_free, once. */
void sl_exchange_cancel(struct sl_exchange *exchange);
/* The answer has been written (or given up): free it. */
void sl_exchange_free(struct sl_exchange *exchange);

/* ---- What the exchange calls (worker.c) ---- */

/* Sends the answer, once; it may be called from within sl_exchange_head, _start and _malformed. sl_exchange_free
 * follows in a later turn of the loop, never before this returns. */
void sl_conn_respond(struct sl_conn *conn, const struct sl_response *response);
/* The address of the peer (no port), for the ledger, as text. Lives as long as the exchange may speak to the
 * connection: until sl_exchange_cancel or sl_exchange_free. */
struct sl_slice sl_conn_peer(const struct sl_conn *conn);
/* The certificate the client has shown and the listener's client authorities have vouched for; false if there is none.
 * The subject (RFC 2253 text) is put into the arena. */
struct sl_client_certificate {
    struct sl_slice subject;
    unsigned char sha256[32]; /* of the DER: the thumbprint `x5t#S256` of RFC 8705 */
};
bool sl_conn_certificate(const struct sl_conn *conn, struct sl_arena *arena, struct sl_client_certificate *out);
/* `task` is the caller's memory until it has run. */
struct sl_task {
    void (*call)(struct sl_task *task);
    void *context;
    struct sl_task *next;
};
/* From any thread (ledger writer): eventfd and a queue. */
void sl_worker_post(struct sl_worker *worker, struct sl_task *task);
/* The worker's own thread: at the end of this turn of its loop, or of the next. */
void sl_worker_last(struct sl_worker *worker, struct sl_task *task);
/* The worker's own thread: in a later turn, one such task a turn: how a step that returned AGAIN goes on. */
void sl_worker_slowly(struct sl_worker *worker, struct sl_task *task);
/* The worker's own thread: in the first whole millisecond of the monotonic clock at or after `at`, in microseconds,
 * which is less than a second ahead. */
void sl_worker_at(struct sl_worker *worker, uint64_t at, struct sl_task *task);
struct event_base *sl_worker_base(struct sl_worker *worker);
/* What the gateway gave this worker: its upstream connections, policy reference, ledger. */
struct sl_worker_state;
struct sl_worker_state *sl_worker_state(struct sl_worker *worker);

#endif
