/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a connection:
 *
 *     HANDSHAKE -> IDLE -> HEAD -> BODY -> RUNNING -> WRITING -> IDLE … or LINGER -> gone
 *
 * One exchange at a time: bytes that a client sends ahead wait in the input buffer until the answer before them has
 * been written, and beyond HELD bytes in the kernel. Reading stays enabled while an exchange runs, since that is how a
 * close is noticed. A client that closes its sending side while an exchange runs counts as gone, as with other
 * gateways.
 *
 * An idle connection holds this struct, a bufferevent and a TLS session, and no buffer; the arena comes with the first
 * byte of a request and goes with its exchange. Answers go out by reference: the blocks are the exchange's until
 * sl_exchange_free. That is never called from within a call of the exchange: what ends there ends in a later turn.
 */
#include "conn.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAGIC 0x534c636eu
#define HELD ((size_t)16 * 1024)       /* input kept while an exchange runs */
#define ONE_PIECE ((size_t)16 * 1024)  /* an answer up to this goes into one TLS record */
#define WRITE_FLOOR ((size_t)4 * 1024) /* what a client must take in each write deadline */
#define MAX_VECTORS 16
#define DRAIN_MS 2000u /* for a request on a connection that was idle when draining began */

enum state { HANDSHAKE, IDLE, HEAD, BODY, RUNNING, WRITING, LINGER, GONE };

struct sl_conn {
    uint32_t magic;
    enum state state;
    bool tls, close_after;
    bool peer_done; /* the client has closed its sending side */
    bool broken;    /* writing has failed */
    bool in_turn;   /* `turn` is waiting in the loop */
    struct sl_worker *worker;
    struct sl_ticket *ticket;
    struct bufferevent *bev;
    struct sl_exchange *exchange;
    struct sl_http1 reader;
    struct sl_task turn;
    uint64_t deadline; /* of sl_loop_now; 0: none */
    size_t unwritten;  /* unwritten_bytes when the write deadline was set */
    struct sl_conn **link, *next;
};

/* Where no exchange can be made there is no memory for another text either. */
#define NO_EXCHANGE_LENGTH 132
static const char no_exchange_body[] = "{\"resourceType\":\"OperationOutcome\",\"issue\":[{\"severity\":\"error\","
                                       "\"code\":\"transient\",\"diagnostics\":\"The service cannot answer now.\"}]}";
static const char no_exchange_head[] =
    "HTTP/1.1 503 Service Unavailable\r\n"
    "Content-Type: application/fhir+json;charset=utf-8\r\nContent-Length: 132\r\nConnection: close\r\n\r\n";
_Static_assert(sizeof no_exchange_body - 1 == NO_EXCHANGE_LENGTH, "the length the head announces");

static void read_requests(struct sl_conn *conn);

static struct sl_conn *conn_of(void *context)
{
    struct sl_conn *conn = context;
    SL_ASSERT(conn && conn->magic == MAGIC);
    return conn;
}

static const struct sl_timeouts *timeouts_of(const struct sl_conn *conn)
{
    return &conn->worker->options->timeouts;
}

static void enter(struct sl_conn *conn, enum state state, unsigned milliseconds)
{
    conn->state = state;
    conn->deadline = milliseconds ? sl_loop_now() + milliseconds : 0;
}

/* ---- The end ---- */

static void send_home(struct sl_ticket *ticket)
{
    ticket->task.call = ticket->back;
    ticket->task.context = ticket;
    sl_loop_post(ticket->home, &ticket->task);
}

static void release(struct sl_conn *conn)
{
    conn->magic = 0;
    free(conn);
}

/* Not from within a call of the exchange. An exchange that has answered is freed; another is told nobody listens. */
static void close_conn(struct sl_conn *conn)
{
    enum state state = conn->state;
    struct sl_exchange *exchange = conn->exchange;
    conn->state = GONE;
    conn->exchange = NULL;
    *conn->link = conn->next;
    if (conn->next)
        conn->next->link = conn->link;
    if (conn->tls && !conn->broken && evbuffer_get_length(bufferevent_get_output(conn->bev)) == 0)
        sl_tls_goodbye(conn->bev);
    bufferevent_free(conn->bev); /* closes the socket; nothing of the answer is read from here on */
    if (exchange && state == WRITING)
        sl_exchange_free(exchange);
    else if (exchange)
        sl_exchange_cancel(exchange);
    send_home(conn->ticket);
    conn->ticket = NULL;
    if (!conn->in_turn)
        release(conn);
}

/* Closing a socket with unread input would reset it, and the client might lose the answer (RFC 9112 9.6): so only the
 * sending side is closed, and what still comes is read and dropped, until the client closes or the time is over. */
static void linger(struct sl_conn *conn)
{
    if (conn->peer_done || conn->broken || conn->worker->stopping) {
        close_conn(conn);
        return;
    }
    if (conn->tls)
        sl_tls_goodbye(conn->bev);
    shutdown(bufferevent_getfd(conn->bev), SHUT_WR);
    enter(conn, LINGER, timeouts_of(conn)->linger);
    bufferevent_enable(conn->bev, EV_READ);
    read_requests(conn);
}

/* How long a request may be on its way. */
static unsigned idle_time(const struct sl_conn *conn)
{
    return conn->worker->draining ? DRAIN_MS : timeouts_of(conn)->idle;
}

/* The answer has been written. */
static void finish(struct sl_conn *conn)
{
    struct sl_exchange *exchange = conn->exchange;
    conn->exchange = NULL;
    if (exchange)
        sl_exchange_free(exchange);
    if (conn->close_after || conn->broken) {
        linger(conn);
        return;
    }
    sl_http1_init(&conn->reader, &conn->worker->options->limits);
    enter(conn, IDLE, idle_time(conn)); /* if draining began after the head had gone, the next answer says so */
    read_requests(conn);
}

static void on_turn(struct sl_task *task)
{
    struct sl_conn *conn = conn_of(task->context);
    conn->in_turn = false;
    if (conn->state == GONE)
        release(conn);
    else if (conn->broken)
        close_conn(conn);
    else
        finish(conn);
}

static void finish_later(struct sl_conn *conn)
{
    conn->turn = (struct sl_task){.call = on_turn, .context = conn};
    conn->in_turn = true;
    sl_loop_last(&conn->worker->loop, &conn->turn);
}

/* ---- Writing ---- */

/* An answer as pieces: its head, then the blocks of its body. */
struct pieces {
    struct sl_slice head;
    const struct sl_block *block;
    size_t total;
};

/* Writes what the kernel takes at once, without libevent's bookkeeping: most answers go out whole here. Gives how many
 * bytes went; an error shows when libevent tries the rest. */
static size_t write_at_once(struct sl_conn *conn, const struct pieces *pieces)
{
    struct iovec vectors[MAX_VECTORS] = {{(void *)(uintptr_t)pieces->head.ptr, pieces->head.len}};
    size_t n = 1;
    for (const struct sl_block *b = pieces->block; b && n < MAX_VECTORS; b = b->next)
        vectors[n++] = (struct iovec){b->ptr, b->len};
    const struct msghdr message = {.msg_iov = vectors, .msg_iovlen = n};
    ssize_t sent = sendmsg(bufferevent_getfd(conn->bev), &message, MSG_NOSIGNAL);
    return sent > 0 ? (size_t)sent : 0;
}

/* Cuts the first *skip bytes off; what is left of them goes back into *skip. */
static struct sl_slice after_skip(struct sl_slice piece, size_t *skip)
{
    size_t n = *skip < piece.len ? *skip : piece.len;
    *skip -= n;
    return sl_slice_from(piece, n);
}

/* The head is the worker's and is copied, as are answers that fit into one piece; other blocks go by reference. */
static bool queue(struct sl_conn *conn, const struct pieces *pieces, size_t skip)
{
    struct evbuffer *output = bufferevent_get_output(conn->bev);
    bool copy = pieces->total <= ONE_PIECE;
    struct sl_slice piece = after_skip(pieces->head, &skip);
    if (copy && evbuffer_expand(output, pieces->total - skip) != 0)
        return false;
    if (piece.len && evbuffer_add(output, piece.ptr, piece.len) != 0)
        return false;
    for (const struct sl_block *b = pieces->block; b; b = b->next) {
        piece = after_skip((struct sl_slice){b->ptr, b->len}, &skip);
        if (piece.len && (copy ? evbuffer_add(output, piece.ptr, piece.len)
                               : evbuffer_add_reference(output, piece.ptr, piece.len, NULL, NULL)) != 0)
            return false;
    }
    return true;
}

/* What the client has not acknowledged: the kernel's share too, which it takes in great gulps. */
static size_t unwritten_bytes(struct sl_conn *conn)
{
    int queued = 0;
    if (ioctl(bufferevent_getfd(conn->bev), SIOCOUTQ, &queued) != 0 || queued < 0)
        queued = 0;
    return evbuffer_get_length(bufferevent_get_output(conn->bev)) + (size_t)queued;
}

static void send_pieces(struct sl_conn *conn, const struct pieces *pieces)
{
    struct evbuffer *output = bufferevent_get_output(conn->bev);
    size_t sent = !conn->tls && evbuffer_get_length(output) == 0 ? write_at_once(conn, pieces) : 0;
    enter(conn, WRITING, timeouts_of(conn)->write);
    if (sent < pieces->total && !queue(conn, pieces, sent))
        conn->broken = true;
    if (conn->broken || sent == pieces->total)
        finish_later(conn);
    else
        conn->unwritten = unwritten_bytes(conn);
}

static void send_no_exchange(struct sl_conn *conn)
{
    char body[sizeof no_exchange_body]; /* a block's bytes are not const */
    memcpy(body, no_exchange_body, sizeof body);
    const struct sl_block block = {.ptr = body, .len = NO_EXCHANGE_LENGTH};
    const struct pieces pieces = {SL_LIT(no_exchange_head), &block, sizeof no_exchange_head - 1 + NO_EXCHANGE_LENGTH};
    conn->close_after = true;
    send_pieces(conn, &pieces);
}

void sl_conn_respond(struct sl_conn *conn, const struct sl_response *response)
{
    const struct sl_request *request = conn->reader.request;
    bool whole = sl_http1_is_whole(&conn->reader);
    SL_ASSERT(conn->magic == MAGIC && conn->exchange && conn->state >= HEAD && conn->state <= RUNNING);
    conn->close_after |= response->close || conn->worker->draining || !whole || !request->keep_alive;
    const struct sl_http1_answer answer = {.response = response,
        .date = sl_worker_date(conn->worker),
        .close = conn->close_after,
        .persist = conn->reader.version_1_0};
    struct sl_buffer *head = &conn->worker->head;
    sl_buffer_clear(head);
    if (!sl_http1_write_head(head, &answer)) {
        send_no_exchange(conn);
        return;
    }
    const struct sl_blocks *body = response->head_only ? NULL : response->body;
    const struct pieces pieces = {
        sl_buffer_slice(head), body ? body->first : NULL, head->len + (body ? body->total : 0)};
    send_pieces(conn, &pieces);
}

/* ---- Reading ---- */

/* An exchange of its own even for what is no request, so that it is answered and accounted like one. */
static bool need_exchange(struct sl_conn *conn)
{
    if (!conn->exchange)
        conn->exchange = sl_exchange_new(conn->worker, conn);
    if (!conn->exchange)
        send_no_exchange(conn);
    return conn->exchange;
}

static void refuse(struct sl_conn *conn, enum sl_status status)
{
    conn->close_after = true;
    if (!need_exchange(conn))
        return;
    enter(conn, RUNNING, 0);
    sl_exchange_malformed(conn->exchange, status);
}

static void begin(struct sl_conn *conn)
{
    if (!need_exchange(conn))
        return;
    sl_http1_begin(&conn->reader, sl_exchange_arena(conn->exchange));
    enter(conn, HEAD, timeouts_of(conn)->head);
}

static void start(struct sl_conn *conn)
{
    enter(conn, RUNNING, 0);
    sl_exchange_start(conn->exchange);
}

/* RFC 9110 10.1.1: a client that waits for 100 is told to go on once its head has been accepted, unless the body is
 * already coming. */
static void expect_body(struct sl_conn *conn)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    enter(conn, BODY, timeouts_of(conn)->body);
    if (conn->reader.expects_continue && evbuffer_get_length(bufferevent_get_input(conn->bev)) == 0)
        bufferevent_write(conn->bev, go_on, sizeof go_on - 1);
}

static void judge_head(struct sl_conn *conn)
{
    enum sl_status status = sl_exchange_head(conn->exchange, conn->reader.request);
    if (status != SL_OK) {
        if (conn->state == HEAD) /* it has not answered yet */
            enter(conn, RUNNING, 0);
        return;
    }
    SL_ASSERT(conn->state == HEAD);
    if (conn->reader.request->has_body)
        expect_body(conn);
    else
        start(conn);
}

static void act(struct sl_conn *conn, enum sl_http1_event event)
{
    switch (event) {
    case SL_HTTP1_MORE:
        break;
    case SL_HTTP1_BEGIN:
        begin(conn);
        break;
    case SL_HTTP1_HEAD:
        judge_head(conn);
        break;
    case SL_HTTP1_DONE:
        start(conn);
        break;
    case SL_HTTP1_BAD:
        refuse(conn, conn->reader.status);
        break;
    }
}

static bool is_reading(const struct sl_conn *conn)
{
    return conn->state == IDLE || conn->state == HEAD || conn->state == BODY;
}

/* Feeds the first contiguous run of the input. */
static bool read_some(struct sl_conn *conn)
{
    struct evbuffer *input = bufferevent_get_input(conn->bev);
    struct evbuffer_iovec run;
    size_t used;
    if (evbuffer_get_length(input) == 0 || evbuffer_peek(input, -1, NULL, &run, 1) < 1)
        return false;
    enum sl_http1_event event = sl_http1_feed(&conn->reader, (struct sl_slice){run.iov_base, run.iov_len}, &used);
    evbuffer_drain(input, used);
    act(conn, event);
    return true;
}

/* Reading goes on while an exchange runs, but not beyond what may be held. Buffers of libevent's TLS take in a whole
 * record at a time, so HELD is exceeded by one record at most, and none is left behind inside OpenSSL. */
static void hold_back(struct sl_conn *conn)
{
    bool full = evbuffer_get_length(bufferevent_get_input(conn->bev)) >= HELD;
    bool enabled = bufferevent_get_enabled(conn->bev) & EV_READ;
    if (full && enabled)
        bufferevent_disable(conn->bev, EV_READ);
    else if (!full && !enabled && !conn->peer_done)
        bufferevent_enable(conn->bev, EV_READ);
}

/* May end the connection: the last thing a caller does with it. */
static void read_requests(struct sl_conn *conn)
{
    struct evbuffer *input = bufferevent_get_input(conn->bev);
    while (is_reading(conn) && read_some(conn))
        ;
    if (conn->state == LINGER)
        evbuffer_drain(input, evbuffer_get_length(input));
    if (conn->peer_done && is_reading(conn)) /* nothing more will come */
        close_conn(conn);
    else
        hold_back(conn);
}

/* ---- Events ---- */

static void on_readable(struct bufferevent *bev, void *context)
{
    (void)bev;
    read_requests(conn_of(context));
}

/* The output buffer is empty. */
static void on_written(struct bufferevent *bev, void *context)
{
    struct sl_conn *conn = conn_of(context);
    if (conn->state == WRITING && !conn->in_turn && evbuffer_get_length(bufferevent_get_output(bev)) == 0)
        finish(conn);
}

/* A client that has sent all it will may still read the answer being written; in every other state it has left. */
static void on_event(struct bufferevent *bev, short events, void *context)
{
    struct sl_conn *conn = conn_of(context);
    (void)bev;
    if (events & BEV_EVENT_CONNECTED) {
        enter(conn, IDLE, idle_time(conn));
        return;
    }
    conn->peer_done |= (events & BEV_EVENT_EOF) != 0;
    conn->broken |= (events & BEV_EVENT_ERROR) != 0;
    if (conn->state == WRITING && !conn->broken && !conn->tls)
        return;
    close_conn(conn);
}

/* ---- The worker's side ---- */

static struct bufferevent *new_bufferevent(struct sl_worker *worker, int fd)
{
    if (worker->tls)
        return sl_tls_accept(worker->tls, worker->loop.base, fd);
    return bufferevent_socket_new(worker->loop.base, fd, BEV_OPT_CLOSE_ON_FREE);
}

static void link_conn(struct sl_conn *conn)
{
    struct sl_worker *worker = conn->worker;
    conn->next = worker->conns;
    conn->link = &worker->conns;
    if (conn->next)
        conn->next->link = &conn->next;
    worker->conns = conn;
}

void sl_conn_adopt(struct sl_worker *worker, struct sl_ticket *ticket)
{
    struct sl_conn *conn = worker->draining ? NULL : calloc(1, sizeof *conn);
    struct bufferevent *bev = conn ? new_bufferevent(worker, ticket->fd) : NULL;
    const int on = 1;
    if (!bev) {
        free(conn);
        close(ticket->fd);
        send_home(ticket);
        return;
    }
    *conn = (struct sl_conn){.magic = MAGIC, .worker = worker, .ticket = ticket, .bev = bev, .tls = worker->tls};
    setsockopt(ticket->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sl_http1_init(&conn->reader, &worker->options->limits);
    link_conn(conn);
    if (conn->tls)
        enter(conn, HANDSHAKE, timeouts_of(conn)->handshake);
    else
        enter(conn, IDLE, timeouts_of(conn)->idle);
    bufferevent_setcb(bev, on_readable, on_written, on_event, conn);
    if (bufferevent_enable(bev, EV_READ | EV_WRITE) != 0)
        close_conn(conn);
}

/* A client that takes its answer in drops would hold its memory for ever: each deadline wants its share. */
static void check_progress(struct sl_conn *conn)
{
    size_t left = unwritten_bytes(conn);
    if (conn->unwritten < left + WRITE_FLOOR) {
        close_conn(conn);
        return;
    }
    conn->unwritten = left;
    enter(conn, WRITING, timeouts_of(conn)->write);
}

static void expire(struct sl_conn *conn)
{
    switch (conn->state) {
    case HEAD:
    case BODY:
        refuse(conn, SL_TIMEOUT);
        break;
    case WRITING:
        if (!conn->in_turn)
            check_progress(conn);
        break;
    case HANDSHAKE:
    case IDLE:
    case LINGER:
        close_conn(conn);
        break;
    case RUNNING: /* the exchange keeps its own time */
    case GONE:
        break;
    }
}

void sl_conn_sweep(struct sl_worker *worker, uint64_t now)
{
    for (struct sl_conn *conn = worker->conns, *next; conn; conn = next) {
        next = conn->next;
        if (conn->deadline && now >= conn->deadline)
            expire(conn);
    }
}

/* A request may be on its way: it is answered if it comes soon, and its answer says that the connection ends. */
void sl_conn_drain(struct sl_worker *worker)
{
    uint64_t by = sl_loop_now() + DRAIN_MS;
    for (struct sl_conn *conn = worker->conns; conn; conn = conn->next)
        if ((conn->state == HANDSHAKE || conn->state == IDLE) && conn->deadline > by)
            conn->deadline = by;
}

void sl_conn_close_all(struct sl_worker *worker)
{
    while (worker->conns)
        close_conn(worker->conns);
}

struct sl_slice sl_conn_peer(const struct sl_conn *conn)
{
    return sl_slice_of(conn->ticket->address);
}

bool sl_conn_certificate(const struct sl_conn *conn, struct sl_arena *arena, struct sl_client_certificate *out)
{
    *out = (struct sl_client_certificate){{NULL, 0}, {0}};
    return conn->tls && sl_tls_certificate(conn->bev, arena, out);
}
