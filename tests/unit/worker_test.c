/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Do listener, workers and connections carry requests to exchanges and answers back: in order, in time, however the
 * bytes come, over TLS too, and does everything end when it should? The exchanges here are made for the test: what one
 * does is in its path.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "listener.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define ARENA ((size_t)64 * 1024 * 1024)
#define MAX_ANSWER ((size_t)8 * 1024 * 1024)

/* ---- Exchanges made for the test ---- */

struct sl_exchange {
    struct sl_worker *worker;
    struct sl_conn *conn;
    struct sl_arena *arena;
    const struct sl_request *request;
    enum sl_status malformed;
    unsigned turns;
    bool waiting, cancelled; /* something else refers to it; nobody listens */
    struct sl_task task;
    pthread_t poster;
    struct sl_header header;
    struct sl_blocks body;
    struct sl_response response;
};

static atomic_int made, freed, cancelled, ended, refuse_new;

struct sl_exchange *sl_exchange_new(struct sl_worker *worker, struct sl_conn *conn)
{
    struct sl_exchange *x = atomic_load(&refuse_new) ? NULL : calloc(1, sizeof *x);
    if (!x)
        return NULL;
    *x = (struct sl_exchange){.worker = worker, .conn = conn, .arena = sl_arena_new(ARENA)};
    x->body.arena = x->arena;
    atomic_fetch_add(&made, 1);
    return x;
}

struct sl_arena *sl_exchange_arena(struct sl_exchange *x)
{
    return x->arena;
}

static void destroy(struct sl_exchange *x)
{
    atomic_fetch_add(&ended, 1);
    sl_arena_free(x->arena);
    free(x);
}

void sl_exchange_free(struct sl_exchange *x)
{
    assert_false(x->waiting);
    atomic_fetch_add(&freed, 1);
    destroy(x);
}

void sl_exchange_cancel(struct sl_exchange *x)
{
    atomic_fetch_add(&cancelled, 1);
    x->cancelled = true;
    if (!x->waiting)
        destroy(x);
}

/* A body of blocks of at most `size` bytes; their content tells the place. */
static void fill_body(struct sl_exchange *x, size_t total, size_t size)
{
    struct sl_block **link = &x->body.first;
    for (size_t at = 0; at < total; at += size) {
        struct sl_block *block = sl_arena_alloc(x->arena, sizeof *block);
        block->len = total - at < size ? total - at : size;
        block->ptr = sl_arena_raw(x->arena, block->len, 1);
        for (size_t i = 0; i < block->len; i++)
            block->ptr[i] = (char)('a' + (at + i) % 23);
        *link = block;
        link = &block->next;
    }
    x->body.total = total;
}

static void set_body(struct sl_exchange *x, struct sl_slice text)
{
    fill_body(x, text.len, text.len);
    if (text.len)
        memcpy(x->body.first->ptr, text.ptr, text.len);
}

static void respond(struct sl_exchange *x, int status)
{
    x->response.status = status;
    x->response.body = &x->body;
    x->response.head_only = x->request && x->request->method == SL_HEAD;
    sl_conn_respond(x->conn, &x->response);
}

static bool path_is(const struct sl_exchange *x, const char *path)
{
    return sl_slice_eq(x->request->path, sl_slice_of(path));
}

static size_t number_of(const struct sl_exchange *x)
{
    char digits[16] = "";
    memcpy(digits, x->request->query.ptr, x->request->query.len < 15 ? x->request->query.len : 15);
    return strtoul(digits, NULL, 10);
}

static void echo(struct sl_exchange *x)
{
    const struct sl_request *r = x->request;
    set_body(x, sl_arena_printf(x->arena, "%.*s %.*s %zu %.*s", SL_FMT(r->method_text), SL_FMT(r->target), r->body.len,
                    (int)(r->body.len > 100 ? 100 : r->body.len), r->body.ptr ? r->body.ptr : ""));
    respond(x, 200);
}

static void go_on(struct sl_task *task);

static void later(struct sl_exchange *x)
{
    x->waiting = true;
    x->task = (struct sl_task){.call = go_on, .context = x};
    sl_worker_slowly(x->worker, &x->task);
}

/* Work that goes on in later turns, as a step that returns AGAIN does. */
static void go_on(struct sl_task *task)
{
    struct sl_exchange *x = task->context;
    x->waiting = false;
    if (x->cancelled) {
        destroy(x);
        return;
    }
    if (x->turns-- == 0) {
        echo(x);
        return;
    }
    later(x);
}

/* Work that ends in another thread, as the ledger's does. */
static void posted(struct sl_task *task)
{
    struct sl_exchange *x = task->context;
    pthread_join(x->poster, NULL);
    go_on(task);
}

static void *post_back(void *context)
{
    struct sl_exchange *x = context;
    usleep(2000);
    x->task = (struct sl_task){.call = posted, .context = x};
    sl_worker_post(x->worker, &x->task);
    return NULL;
}

static void wait_for_thread(struct sl_exchange *x)
{
    x->waiting = true;
    assert_int_equal(pthread_create(&x->poster, NULL, post_back, x), 0);
}

static void show_certificate(struct sl_exchange *x)
{
    struct sl_client_certificate c;
    struct sl_slice text = SL_LIT("none");
    if (sl_conn_certificate(x->conn, x->arena, &c))
        text = sl_arena_printf(x->arena, "%.*s %02x%02x", SL_FMT(c.subject), c.sha256[0], c.sha256[31]);
    set_body(x, text);
    respond(x, 200);
}

enum sl_status sl_exchange_head(struct sl_exchange *x, const struct sl_request *request)
{
    x->request = request;
    if (path_is(x, "/refuse")) {
        respond(x, 403);
        return SL_FORBIDDEN;
    }
    if (path_is(x, "/refuse-later")) {
        later(x);
        return SL_FORBIDDEN;
    }
    return SL_OK;
}

void sl_exchange_start(struct sl_exchange *x)
{
    if (path_is(x, "/hang"))
        return;
    if (path_is(x, "/later")) {
        x->turns = 5;
        later(x);
    } else if (path_is(x, "/thread")) {
        wait_for_thread(x);
    } else if (path_is(x, "/peer")) {
        set_body(x, sl_conn_peer(x->conn));
        respond(x, 200);
    } else if (path_is(x, "/certificate")) {
        show_certificate(x);
    } else if (path_is(x, "/big")) {
        fill_body(x, number_of(x), 20000);
        respond(x, 200);
    } else if (path_is(x, "/close")) {
        x->response.close = true;
        echo(x);
    } else if (path_is(x, "/split")) {
        x->header = (struct sl_header){SL_LIT("X"), SL_LIT("a\r\nSet-Cookie: b")};
        x->response.headers = &x->header;
        x->response.header_count = 1;
        respond(x, 200);
    } else {
        echo(x);
    }
}

void sl_exchange_malformed(struct sl_exchange *x, enum sl_status status)
{
    x->malformed = status;
    set_body(x, sl_slice_of(sl_status_name(status)));
    respond(x, sl_status_http(status));
}

/* ---- The server under test ---- */

static char tls_cert[64], tls_key[64], client_cert[64], client_key[64];
static const struct sl_listen loopback = {"127.0.0.1", 0};

struct sl_worker_state {
    int alive;
};
static atomic_int states_started, states_stopped;

static struct sl_worker_state *start_state(struct sl_worker *worker, void *context)
{
    struct sl_worker_state *state = calloc(1, sizeof *state);
    assert_non_null(sl_worker_base(worker));
    if (context && atomic_load(&states_started) == *(int *)context) {
        free(state);
        return NULL;
    }
    atomic_fetch_add(&states_started, 1);
    return state;
}

static void stop_state(struct sl_worker_state *state)
{
    atomic_fetch_add(&states_stopped, 1);
    free(state);
}

static size_t busy_exchanges(const struct sl_worker_state *state)
{
    (void)state;
    return (size_t)(atomic_load(&made) - atomic_load(&ended));
}

static struct sl_server_options plain_options(void)
{
    struct sl_server_options options = sl_server_defaults;
    options.listen = &loopback;
    options.listen_count = 1;
    options.workers = 2;
    options.timeouts.linger = 200;
    options.worker_start = start_state;
    options.worker_stop = stop_state;
    options.worker_busy = busy_exchanges;
    return options;
}

static struct sl_server_options tls_options(void)
{
    struct sl_server_options options = plain_options();
    options.tls = (struct sl_tls_files){tls_cert, tls_key, NULL};
    return options;
}

static struct sl_server *start_with(const struct sl_server_options *options)
{
    struct sl_server *server;
    atomic_store(&made, 0);
    atomic_store(&freed, 0);
    atomic_store(&cancelled, 0);
    atomic_store(&ended, 0);
    atomic_store(&refuse_new, 0);
    assert_int_equal(sl_server_new(options, NULL, &server), SL_OK);
    assert_int_equal(sl_server_start(server, NULL), SL_OK);
    return server;
}

/* Every exchange that was made has been freed or cancelled, once, and has ended. */
static void stop(struct sl_server *server)
{
    sl_server_free(server);
    assert_int_equal(atomic_load(&made), atomic_load(&freed) + atomic_load(&cancelled));
    assert_int_equal(atomic_load(&made), atomic_load(&ended));
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits for another thread to bring a count to a value; fails after 10 s. */
static void await_count(atomic_int *count, int value)
{
    for (int64_t end = now_ms() + 10000; atomic_load(count) != value && now_ms() < end;)
        usleep(1000);
    assert_int_equal(atomic_load(count), value);
}

static void await_connections(const struct sl_server *server, size_t value)
{
    for (int64_t end = now_ms() + 10000; sl_server_connections(server) != value && now_ms() < end;)
        usleep(1000);
    assert_int_equal(sl_server_connections(server), value);
}

/* ---- A client ---- */

struct client {
    int fd;
    SSL *ssl;
};

static struct client connect_plain(const struct sl_server *server)
{
    struct client client = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(sl_server_port(server, 0))};
    const struct timeval patience = {10, 0};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(client.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(client.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(client.fd, (struct sockaddr *)&address, sizeof address), 0);
    return client;
}

static SSL_CTX *client_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    assert_non_null(context);
    assert_int_equal(SSL_CTX_load_verify_file(context, tls_cert), 1);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    return context;
}

/* True if the handshake succeeds. */
static bool try_tls(struct client *client, const struct sl_server *server, SSL_CTX *context)
{
    *client = connect_plain(server);
    client->ssl = SSL_new(context);
    SSL_set_fd(client->ssl, client->fd);
    return SSL_connect(client->ssl) == 1;
}

static struct client connect_tls(const struct sl_server *server, SSL_CTX *context)
{
    struct client client;
    assert_true(try_tls(&client, server, context));
    return client;
}

static struct client connect_any(const struct sl_server *server, bool tls)
{
    if (!tls)
        return connect_plain(server);
    SSL_CTX *context = client_context();
    struct client client = connect_tls(server, context);
    SSL_CTX_free(context); /* the connection holds a reference */
    return client;
}

static void hang_up(struct client *client)
{
    SSL_free(client->ssl);
    close(client->fd);
    client->ssl = NULL;
    client->fd = -1;
}

static void say(struct client *client, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = client->ssl ? SSL_write(client->ssl, bytes, (int)len) : send(client->fd, bytes, len, MSG_NOSIGNAL);
        assert_true(n > 0);
        bytes += n;
        len -= (size_t)n;
    }
}

static void say_text(struct client *client, const char *text)
{
    say(client, text, strlen(text));
}

/* 0: the server has closed; also if it reset the connection. -1 for a time-out. */
static ssize_t hear(struct client *client, char *into, size_t size)
{
    ssize_t n = client->ssl ? SSL_read(client->ssl, into, (int)size) : recv(client->fd, into, size, 0);
    if (n < 0 && !client->ssl && (errno == EAGAIN || errno == EWOULDBLOCK))
        return -1;
    return n > 0 ? n : 0;
}

struct answer {
    int status;
    char *text; /* head and body, NUL-terminated */
    char *body;
    size_t body_len;
};

static void hear_until(struct client *client, struct answer *a, size_t *len, size_t want)
{
    while (*len < want) {
        ssize_t n = hear(client, a->text + *len, want - *len);
        if (n <= 0)
            fail_msg("the connection ended after %zu bytes", *len);
        *len += (size_t)n;
    }
    a->text[*len] = '\0';
}

/* Reads one answer and no byte more. */
static struct answer hear_answer(struct client *client, bool head_only)
{
    struct answer a = {.text = malloc(MAX_ANSWER + 1)};
    size_t len = 0;
    do
        hear_until(client, &a, &len, len + 1);
    while (len < 4 || memcmp(a.text + len - 4, "\r\n\r\n", 4) != 0);
    const char *announced = strstr(a.text, "Content-Length: ");
    a.status = atoi(a.text + 9);
    a.body = a.text + len;
    a.body_len = announced && !head_only ? strtoul(announced + 16, NULL, 10) : 0;
    assert_true(len + a.body_len <= MAX_ANSWER);
    hear_until(client, &a, &len, len + a.body_len);
    return a;
}

static void expect(struct client *client, int status, const char *body)
{
    struct answer a = hear_answer(client, false);
    assert_int_equal(a.status, status);
    assert_string_equal(a.body, body);
    free(a.text);
}

static void expect_closed(struct client *client)
{
    char byte;
    assert_int_equal(hear(client, &byte, 1), 0);
    hang_up(client);
}

/* ---- Tests: one connection ---- */

#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

static void keeps_connections_alive(void **state)
{
    struct sl_server_options options = plain_options();
    struct sl_server *server = start_with(&options);
    struct client client = connect_plain(server);
    (void)state;
    for (int i = 0; i < 50; i++) {
        say_text(&client, GET("/a?b=c"));
        expect(&client, 200, "GET /a?b=c 0 ");
        say_text(&client, "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
        expect(&client, 200, "POST /p 4 body");
    }
    say_text(&client, GET("/peer"));
    expect(&client, 200, "127.0.0.1");
    say_text(&client, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    struct answer a = hear_answer(&client, false);
    assert_non_null(strstr(a.text, "\r\nConnection: close\r\n"));
    assert_non_null(strstr(a.text, " GMT\r\n"));
    free(a.text);
    expect_closed(&client);
    await_count(&freed, 102);
    stop(server);
}

static void speaks_http_1_0(void **state)
{
    struct sl_server_options options = plain_options();
    struct sl_server *server = start_with(&options);
    struct client client = connect_plain(server);
    (void)state;
    say_text(&client, "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    struct answer a = hear_answer(&client, false);
    assert_non_null(strstr(a.text, "\r\nConnection: keep-alive\r\n"));
    free(a.text);
    say_text(&client, "GET /2 HTTP/1.0\r\n\r\n");
    expect(&client, 200, "GET /2 0 ");
    expect_closed(&client);
    stop(server);
}

static void answers_head_without_body(void **state)
{
    struct sl_server_options options = plain_options();
    struct sl_server *server = start_with(&options);
    struct client client = connect_plain(server);
    (void)state;
    say_text(&client, "HEAD /big?50000 HTTP/1.1\r\nHost: a\r\n\r\n");
    struct answer a = hear_answer(&client, true);
    assert_non_null(strstr(a.text, "\r\nContent-Length: 50000\r\n"));
    free(a.text);
    say_text(&client, GET("/next"));
    expect(&client, 200, "GET /next 0 ");
    hang_up(&client);
    stop(server);
}

/* Answers come in the order of the requests, though some take a thread's round trip or several turns. */
static void answers_pipelined_requests_in_order(void **state)
{
    struct sl_server_options options = plain_options();
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        if (tls)
            options = tls_options();
        struct sl_server *server = start_with(&options);
        struct client client = connect_any(server, tls);
        say_text(&client,
            GET("/thread?1") GET("/2") GET("/later?3") "POST /4 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
                                                       "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" GET("/5"));
        expect(&client, 200, "GET /thread?1 0 ");
        expect(&client, 200, "GET /2 0 ");
        expect(&client, 200, "GET /later?3 0 ");
        expect(&client, 200, "POST /4 3 abc");
        expect(&client, 200, "GET /5 0 ");
        hang_up(&client);
        stop(server);
    }
}

/* More than is held while an exchange runs, and more than a TLS record: nothing is lost or stuck. */
static void takes_a_long_pipeline(void **state)
{
    enum { REQUESTS = 1000 };
    struct sl_server_options options = plain_options();
    char *all = malloc(REQUESTS * 64);
    size_t len = 0;
    (void)state;
    for (int i = 0; i < REQUESTS; i++)
        len += (size_t)sprintf(all + len, "GET /%s?%d HTTP/1.1\r\nHost: a\r\n\r\n", i % 100 ? "x" : "thread", i);
    for (int tls = 0; tls < 2; tls++) {
        if (tls)
            options = tls_options();
        struct sl_server *server = start_with(&options);
        struct client client = connect_any(server, tls);
        say(&client, all, len);
        for (int i = 0; i < REQUESTS; i++) {
            char want[64];
            sprintf(want, "GET /%s?%d 0 ", i % 100 ? "x" : "thread", i);
            expect(&client, 200, want);
        }
        hang_up(&client);
        stop(server);
    }
    free(all);
}

static void takes_requests_split_at_every_byte(void **state)
{
    static const char request[] =
        "POST /s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n";
    struct sl_server_options options = plain_options();
    struct sl_server *server = start_with(&options);
    struct client client = connect_plain(server);
    const int on = 1;
    (void)state;
    setsockopt(client.fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
    for (size_t i = 1; i < sizeof request - 1; i++) {
        say(&client, request, i);
        usleep(300);
        say(&client, request + i, sizeof request - 1 - i);
        expect(&client, 200, "POST /s 3 abc");
    }
    hang_up(&client);
    stop(server);
}

static void says_100_continue(void **state)
{
    static const char head[] = "POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    struct sl_server_options options = plain_options();
    struct sl_server *server = start_with(&options);
    struct client client = connect_plain(server);
    char text[200];
    (void)state;
    sprintf(text, head, "x");
    say_text(&client, text);
    struct answer a = hear_answer(&client, true);
    assert_int_equal(a.status, 100);
    free(a.text);
    say_text(&client, "abc");
    expect(&client, 200, "POST /x 3 abc");
    /* Body already there: no 100. */
    say_text(&client, strcat(text, "def"));
    expect(&client, 200, "POST /x 3 def");
    /* Refused: no 100, and the body is not waited for. */
    sprintf(text, head, "refuse");
    say_text(&client, text);
    a = hear_answer(&client, false);
    assert_int_equal(a.status, 403);
    assert_non_null(strstr(a.text, "Connection: close"));
    free(a.text);
    expect_closed(&client);
    stop(server);
}

static void refuses_by_head(void **state)
{
    struct sl_server_options options = plain_options();
    struct sl_server *server = start_with(&options);
    struct client client = connect_plain(server);
    (void)state;
    say_text(&client, GET("/refuse"));
    expect(&client, 403, "");
    say_text(&client, GET("/refuse-later") GET("/next"));
    expect(&client, 200, "GET /refuse-later 0 ");
    expect(&client, 200, "GET /next 0 ");
    /* With a body that nobody reads the connection ends, and the client still gets the answer. */
    say_text(&client, "POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    char body[4096] = "";
    for (int i = 0; i < 20; i++)
        say(&client, body, sizeof body);
    expect(&client, 403, "");
    expect_closed(&client);
    stop(server);
}

static void answers_what_is_no_request(void **state)
{
    static const struct {
        const char *bytes, *body;
        int status;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", "SL_BAD_SYNTAX", 400},
        {"GET / HTTP/1.1\nHost: a\n\n", "SL_BAD_SYNTAX", 400},
        {"\rX", "SL_BAD_SYNTAX", 400},
        {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", "SL_HTTP_VERSION", 505},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", "SL_TOO_LARGE", 413},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "SL_BAD_SYNTAX", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", "SL_EXPECTATION", 417},
        {"GET /0123456789012345678901234567890123456789012345678901234567890123456789 HTTP/1.1\r\n", "SL_URI_TOO_LONG",
            414},
        {"GET / HTTP/1.1\r\nA:\r\nB:\r\nC:\r\nD:\r\nE:\r\n\r\n", "SL_HEADERS_TOO_LARGE", 431},
    };
    struct sl_server_options options = plain_options();
    options.limits.line = 64;
    options.limits.fields = 4;
    struct sl_server *server = start_with(&options);
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct client client = connect_plain(server);
        say_text(&client, cases[i].bytes);
        struct answer a = hear_answer(&client, false);
        assert_int_equal(a.status, cases[i].status);
        assert_string_equal(a.body, cases[i].body);
        assert_non_null(strstr(a.text, "Connection: close"));
        free(a.text);
        expect_closed(&client);
    }
    await_count(&freed, COUNT(cases));
    stop(server);
}

/* An answer whose headers would break the framing is replaced; so is one where no exchange can be made. */
static void falls_back_to_a_fixed_503(void **state)
{
    struct sl_server_options options = plain_options();
    struct sl_server *server = start_with(&options);
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct client client = connect_plain(server);
        say_text(&client, GET("/split"));
        struct answer a = hear_answer(&client, false);
        assert_int_equal(a.status, 503);
        assert_null(strstr(a.text, "Set-Cookie"));
        assert_non_null(strstr(a.body, "\"OperationOutcome\""));
        assert_int_equal(a.body[a.body_len - 1], '}');
        free(a.text);
        expect_closed(&client);
        await_connections(server, 0);
        atomic_store(&refuse_new, 1);
    }
    assert_int_equal(atomic_load(&made), 1);
    stop(server);
}

static void check_big(struct client *client, size_t size)
{
    struct answer a = hear_answer(client, false);
    assert_int_equal(a.body_len, size);
    for (size_t i = 0; i < size; i++)
        if (a.body[i] != (char)('a' + i % 23))
            fail_msg("byte %zu of %zu is wrong", i, size);
    free(a.text);
}

static void carries_big_bodies_both_ways(void **state)
{
    static const size_t sizes[] = {0, 1, 15000, 16384, 20000, 20001, 100000, 5000000};
    enum { UP = 9000000 };
    struct sl_server_options options = plain_options();
    char *up = malloc(UP), text[100], want[200];
    (void)state;
    memset(up, 'u', UP);
    for (int tls = 0; tls < 2; tls++) {
        if (tls)
            options = tls_options();
        struct sl_server *server = start_with(&options);
        struct client client = connect_any(server, tls);
        for (size_t i = 0; i < COUNT(sizes); i++) {
            sprintf(text, "GET /big?%zu HTTP/1.1\r\nHost: a\r\n\r\n", sizes[i]);
            say_text(&client, text);
            check_big(&client, sizes[i]);
        }
        sprintf(text, "PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", UP);
        say_text(&client, text);
        say(&client, up, UP);
        sprintf(want, "PUT /up %d %.100s", UP, up);
        expect(&client, 200, want);
        hang_up(&client);
        stop(server);
    }
    free(up);
}

/* ---- Tests: time ---- */

static struct sl_server_options hasty_options(void)
{
    struct sl_server_options options = plain_options();
    options.timeouts =
        (struct sl_timeouts){.handshake = 150, .head = 150, .body = 150, .idle = 150, .write = 300, .linger = 150};
    return options;
}

/* A head or body that drips keeps the connection no longer than one that stops: the deadline is for the whole. */
static void times_out_slow_requests(void **state)
{
    static const char *const slow[] = {
        "GET / HTTP/1.1\r\nHost: a\r\nX: ", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"};
    struct sl_server_options options = hasty_options();
    struct sl_server *server = start_with(&options);
    (void)state;
    for (size_t i = 0; i < COUNT(slow); i++) {
        struct client client = connect_plain(server);
        int64_t begin = now_ms();
        say_text(&client, slow[i]);
        for (int drips = 0; drips < 4; drips++) {
            usleep(20000);
            say_text(&client, "d");
        }
        expect(&client, 408, "SL_TIMEOUT");
        assert_true(now_ms() - begin >= 140);
        expect_closed(&client);
    }
    stop(server);
}

static void closes_idle_connections(void **state)
{
    struct sl_server_options options = hasty_options();
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        options.tls = tls ? tls_options().tls : (struct sl_tls_files){NULL, NULL, NULL};
        struct sl_server *server = start_with(&options);
        struct client silent = connect_plain(server); /* over TLS: no handshake ever */
        expect_closed(&silent);
        struct client client = connect_any(server, tls);
        int64_t begin = now_ms();
        say_text(&client, GET("/"));
        expect(&client, 200, "GET / 0 ");
        expect_closed(&client);
        assert_true(now_ms() - begin >= 140 && now_ms() - begin < 8000);
        assert_int_equal(atomic_load(&made), 1);
        stop(server);
    }
}

/* A client that does not read loses its connection after the write deadline; one that reads slowly does not. */
static void gives_up_on_clients_that_do_not_read(void **state)
{
    struct sl_server_options options = hasty_options();
    struct sl_server *server = start_with(&options);
    struct client deaf = connect_plain(server);
    const int small = 65536;
    (void)state;
    say_text(&deaf, GET("/big?8000000") GET("/never"));
    await_count(&freed, 1);
    assert_int_equal(atomic_load(&made), 1);

    struct client slow = connect_plain(server);
    char *buffer = malloc(200000);
    size_t got = 0;
    int64_t begin = now_ms();
    setsockopt(slow.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    say_text(&slow, "GET /big?8000000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    for (ssize_t n; (n = hear(&slow, buffer, 200000)) > 0; got += (size_t)n)
        if (now_ms() - begin < 1000)
            usleep(20000);
    assert_true(got > 8000000);
    free(buffer);
    hang_up(&deaf);
    hang_up(&slow);
    await_count(&freed, 2);
    stop(server);
}

/* ---- Tests: ends ---- */

static void cancels_when_the_client_leaves(void **state)
{
    struct sl_server_options options = plain_options();
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        if (tls)
            options = tls_options();
        struct sl_server *server = start_with(&options);
        struct client client = connect_any(server, tls);
        say_text(&client, GET("/hang"));
        await_count(&made, 1);
        hang_up(&client);
        await_count(&cancelled, 1);
        /* within a head, and while another thread works for it */
        client = connect_any(server, tls);
        say_text(&client, "GET / HTTP/1.1\r\nHo");
        await_count(&made, 2);
        hang_up(&client);
        client = connect_any(server, tls);
        say_text(&client, GET("/thread"));
        hang_up(&client);
        await_connections(server, 0);
        stop(server);
    }
}

/* In the middle of an answer: what is being sent stays valid until nothing sends it any more. */
static void frees_when_the_client_leaves_an_answer(void **state)
{
    struct sl_server_options options = plain_options();
    char some[1000];
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        if (tls)
            options = tls_options();
        struct sl_server *server = start_with(&options);
        struct client client = connect_any(server, tls);
        say_text(&client, GET("/big?30000000"));
        assert_true(hear(&client, some, sizeof some) > 0);
        assert_int_equal(atomic_load(&freed), 0);
        hang_up(&client);
        await_count(&freed, 1);
        assert_int_equal(atomic_load(&cancelled), 0);
        stop(server);
    }
}

/* A client that has said all it will gets the answer that is being written. */
static void answers_clients_that_close_their_side(void **state)
{
    struct sl_server_options options = plain_options();
    struct sl_server *server = start_with(&options);
    struct client client = connect_plain(server);
    (void)state;
    say_text(&client, GET("/big?7000000"));
    shutdown(client.fd, SHUT_WR);
    check_big(&client, 7000000);
    expect_closed(&client);
    stop(server);
}

static void drains(void **state)
{
    struct sl_server_options options = plain_options();
    struct sl_server *server = start_with(&options);
    struct client idle = connect_plain(server), busy = connect_plain(server);
    (void)state;
    say_text(&idle, GET("/"));
    expect(&idle, 200, "GET / 0 ");
    say_text(&busy, "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na");
    await_count(&made, 2);
    assert_false(sl_server_drain(server, 50)); /* the idle one is closed, the other goes on */
    expect_closed(&idle);
    await_connections(server, 1);
    struct client late = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(sl_server_port(server, 0))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_not_equal(connect(late.fd, (struct sockaddr *)&address, sizeof address), 0);
    hang_up(&late);
    say_text(&busy, "bc");
    struct answer a = hear_answer(&busy, false);
    assert_string_equal(a.body, "POST /b 3 abc");
    assert_non_null(strstr(a.text, "Connection: close"));
    free(a.text);
    expect_closed(&busy);
    assert_true(sl_server_drain(server, 5000));
    assert_int_equal(atomic_load(&cancelled), 0);
    stop(server);
}

static void stops_with_exchanges_running(void **state)
{
    struct sl_server_options options = plain_options();
    struct sl_server *server = start_with(&options);
    struct client clients[20];
    (void)state;
    for (size_t i = 0; i < COUNT(clients); i++) {
        clients[i] = connect_plain(server);
        say_text(&clients[i], i % 2 ? GET("/hang") : GET("/thread"));
    }
    await_count(&made, COUNT(clients));
    stop(server);
    for (size_t i = 0; i < COUNT(clients); i++)
        hang_up(&clients[i]);
    assert_int_equal(atomic_load(&states_started), atomic_load(&states_stopped));
}

static void refuses_to_start_half(void **state)
{
    struct sl_server_options options = plain_options();
    struct sl_server *server;
    int fail_at = atomic_load(&states_started) + 1;
    (void)state;
    options.workers = 3;
    options.context = &fail_at;
    assert_int_equal(sl_server_new(&options, NULL, &server), SL_OK);
    assert_int_equal(sl_server_start(server, NULL), SL_UNAVAILABLE);
    sl_server_free(server);
    assert_int_equal(atomic_load(&states_started), atomic_load(&states_stopped));
    options.workers = 0;
    assert_int_equal(sl_server_new(&options, NULL, &server), SL_INVALID);
    assert_null(server);
}

static void reports_bad_addresses(void **state)
{
    struct sl_server_options options = plain_options();
    struct sl_server *first = start_with(&options), *second;
    struct sl_listen taken = {"127.0.0.1", sl_server_port(first, 0)}, named = {"localhost", 0};
    struct sl_issues issues = {.arena = sl_arena_new(65536)};
    (void)state;
    options.listen = &taken;
    assert_int_equal(sl_server_new(&options, &issues, &second), SL_IO);
    options.listen = &named;
    assert_int_equal(sl_server_new(&options, &issues, &second), SL_INVALID);
    assert_int_equal(issues.errors, 2);
    sl_arena_free(issues.arena);
    stop(first);
}

static void listens_on_ipv6(void **state)
{
    static const struct sl_listen both[] = {{"::1", 0}, {"127.0.0.1", 0}};
    struct sl_server_options options = plain_options();
    struct sl_server *server;
    (void)state;
    options.listen = both;
    options.listen_count = 2;
    if (sl_server_new(&options, NULL, &server) != SL_OK)
        skip(); /* no IPv6 here */
    sl_server_free(server);
    server = start_with(&options);
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_port = htons(sl_server_port(server, 0)), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct client client = {.fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(connect(client.fd, (struct sockaddr *)&address, sizeof address), 0);
    say_text(&client, GET("/peer"));
    expect(&client, 200, "::1");
    hang_up(&client);
    stop(server);
}

/* ---- Tests: many connections ---- */

static void limits_connections_a_peer(void **state)
{
    struct sl_server_options options = plain_options();
    options.max_per_peer = 2;
    struct sl_server *server = start_with(&options);
    struct client one = connect_plain(server), two = connect_plain(server);
    (void)state;
    await_connections(server, 2);
    struct client three = connect_plain(server);
    expect_closed(&three);
    hang_up(&one);
    await_connections(server, 1);
    struct client four = connect_plain(server);
    say_text(&four, GET("/4"));
    expect(&four, 200, "GET /4 0 ");
    hang_up(&two);
    hang_up(&four);
    stop(server);
}

/* Beyond the total, connections wait until there is room. */
static void queues_connections_beyond_the_total(void **state)
{
    struct sl_server_options options = plain_options();
    options.max_connections = 2;
    struct sl_server *server = start_with(&options);
    struct client one = connect_plain(server), two = connect_plain(server);
    (void)state;
    await_connections(server, 2);
    struct client three = connect_plain(server);
    say_text(&three, GET("/3"));
    usleep(50000);
    assert_int_equal(atomic_load(&made), 0);
    hang_up(&one);
    expect(&three, 200, "GET /3 0 ");
    hang_up(&two);
    hang_up(&three);
    stop(server);
}

static void *ask_many_times(void *context)
{
    struct sl_server *server = context;
    for (int round = 0; round < 10; round++) {
        struct client client = connect_plain(server);
        for (int i = 0; i < 20; i++) {
            say_text(&client, i % 3 ? GET("/x") : GET("/thread"));
            expect(&client, 200, i % 3 ? "GET /x 0 " : "GET /thread 0 ");
        }
        hang_up(&client);
    }
    return NULL;
}

static void serves_many_at_once(void **state)
{
    struct sl_server_options options = plain_options();
    options.workers = 3;
    struct sl_server *server = start_with(&options);
    pthread_t threads[8];
    (void)state;
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_many_times, server), 0);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    await_count(&freed, 8 * 10 * 20);
    assert_int_equal(atomic_load(&cancelled), 0);
    stop(server);
}

/* ---- Tests: TLS ---- */

static void speaks_tls(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    static const unsigned char alpn[] = "\x02h2\x08http/1.1";
    struct sl_server_options options = tls_options();
    struct sl_server *server = start_with(&options);
    (void)state;
    for (size_t i = 0; i < COUNT(versions); i++) {
        SSL_CTX *context = client_context();
        const unsigned char *chosen;
        unsigned chosen_len;
        SSL_CTX_set_min_proto_version(context, versions[i]);
        SSL_CTX_set_max_proto_version(context, versions[i]);
        SSL_CTX_set_alpn_protos(context, alpn, sizeof alpn - 1);
        struct client client = connect_tls(server, context);
        SSL_get0_alpn_selected(client.ssl, &chosen, &chosen_len);
        assert_int_equal(chosen_len, 8);
        assert_memory_equal(chosen, "http/1.1", 8);
        say_text(&client, GET("/tls") GET("/certificate"));
        expect(&client, 200, "GET /tls 0 ");
        expect(&client, 200, "none");
        say_text(&client, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        expect(&client, 200, "GET / 0 ");
        char byte;
        assert_int_equal(SSL_read(client.ssl, &byte, 1), 0); /* an orderly end: close_notify */
        assert_int_equal(SSL_get_error(client.ssl, 0), SSL_ERROR_ZERO_RETURN);
        hang_up(&client);
        SSL_CTX_free(context);
    }
    stop(server);
}

static void refuses_weak_or_foreign_tls(void **state)
{
    static const unsigned char h2[] = "\x02h2";
    struct sl_server_options options = tls_options();
    struct sl_server *server = start_with(&options);
    (void)state;
    for (int i = 0; i < 3; i++) {
        SSL_CTX *context = client_context();
        struct client client;
        if (i == 0) {
            SSL_CTX_set_security_level(context, 0);
            SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
            SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
        } else if (i == 1) {
            SSL_CTX_set_alpn_protos(context, h2, sizeof h2 - 1);
        } else { /* no forward secrecy, no AEAD */
            SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
            SSL_CTX_set_cipher_list(context, "AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA256");
        }
        assert_false(try_tls(&client, server, context));
        hang_up(&client);
        SSL_CTX_free(context);
    }
    struct client client = connect_plain(server);
    char bytes[64];
    say_text(&client, GET("/"));
    ssize_t n = hear(&client, bytes, sizeof bytes); /* an alert, or nothing; no HTTP */
    assert_true(n >= 0 && n < (ssize_t)sizeof bytes && (n < 4 || memcmp(bytes, "HTTP", 4) != 0));
    hang_up(&client);
    assert_int_equal(atomic_load(&made), 0);
    stop(server);
}

static void *handshake_only(void *context)
{
    struct sl_server *server = context;
    for (int i = 0; i < 10; i++) {
        struct client client = connect_any(server, true);
        say_text(&client, GET("/x"));
        expect(&client, 200, "GET /x 0 ");
        hang_up(&client);
    }
    return NULL;
}

/* Certificates change under load; a broken file changes nothing. */
static void reloads_certificates(void **state)
{
    struct sl_server_options options = tls_options();
    struct sl_server *server = start_with(&options);
    struct sl_issues issues = {.arena = sl_arena_new(65536)};
    pthread_t threads[2];
    char keep[80];
    (void)state;
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_create(&threads[i], NULL, handshake_only, server);
    for (int i = 0; i < 10; i++)
        assert_int_equal(sl_server_reload(server, &issues), SL_OK);
    snprintf(keep, sizeof keep, "%s.keep", tls_key);
    assert_int_equal(rename(tls_key, keep), 0);
    assert_int_equal(sl_server_reload(server, &issues), SL_INVALID);
    assert_int_equal(issues.errors, 1);
    assert_int_equal(rename(keep, tls_key), 0);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    handshake_only(server);
    sl_arena_free(issues.arena);
    stop(server);
}

static void refuses_certificates_that_do_not_fit(void **state)
{
    const struct sl_tls_files bad[] = {{tls_cert, client_key, NULL}, {tls_cert, NULL, NULL},
        {"/nonexistent", tls_key, NULL}, {tls_key, tls_key, NULL}, {tls_cert, tls_key, tls_key}};
    struct sl_issues issues = {.arena = sl_arena_new(65536)};
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct sl_tls *tls;
        assert_int_equal(sl_tls_new(&bad[i], &issues, &tls), SL_INVALID);
        assert_null(tls);
        assert_int_equal(issues.errors, i + 1);
    }
    sl_arena_free(issues.arena);
}

/* A client certificate is asked for, checked, and shown to the exchange; one of a stranger ends the handshake. */
static void knows_client_certificates(void **state)
{
    struct sl_server_options options = tls_options();
    unsigned char digest[32];
    char want[64];
    (void)state;
    options.tls.client_ca = client_cert;
    struct sl_server *server = start_with(&options);
    SSL_CTX *context = client_context();
    assert_int_equal(SSL_CTX_use_certificate_file(context, client_cert, SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(context, client_key, SSL_FILETYPE_PEM), 1);
    X509_digest(SSL_CTX_get0_certificate(context), EVP_sha256(), digest, NULL);
    struct client client = connect_tls(server, context);
    say_text(&client, GET("/certificate"));
    snprintf(want, sizeof want, "CN=client %02x%02x", digest[0], digest[31]);
    expect(&client, 200, want);
    hang_up(&client);
    SSL_CTX_free(context);

    client = connect_any(server, true); /* none shown */
    say_text(&client, GET("/certificate"));
    expect(&client, 200, "none");
    hang_up(&client);

    context = client_context(); /* the server's own: no authority vouches for it */
    SSL_CTX_use_certificate_file(context, tls_cert, SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(context, tls_key, SSL_FILETYPE_PEM);
    bool done = try_tls(&client, server, context);
    char byte;
    if (done) /* TLS 1.3 tells a client only after its side of the handshake */
        assert_true(SSL_read(client.ssl, &byte, 1) <= 0);
    hang_up(&client);
    SSL_CTX_free(context);
    assert_int_equal(atomic_load(&made), 2);
    stop(server);
}

/* ---- Certificates made for the run ---- */

static void write_pem(char path[64], X509 *certificate, EVP_PKEY *key)
{
    strcpy(path, P_tmpdir "/sluice-test-XXXXXX");
    FILE *file = fdopen(mkstemp(path), "w");
    assert_non_null(file);
    assert_int_equal(
        certificate ? PEM_write_X509(file, certificate) : PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL),
        1);
    fclose(file);
}

static void make_certificate(const char *name, char cert_path[64], char key_path[64])
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_get_subject_name(certificate);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate, subject);
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    write_pem(cert_path, certificate, NULL);
    write_pem(key_path, NULL, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static int make_certificates(void **state)
{
    (void)state;
    make_certificate("server", tls_cert, tls_key);
    make_certificate("client", client_cert, client_key);
    return 0;
}

static int remove_certificates(void **state)
{
    (void)state;
    return unlink(tls_cert) | unlink(tls_key) | unlink(client_cert) | unlink(client_key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_connections_alive),
        cmocka_unit_test(speaks_http_1_0),
        cmocka_unit_test(answers_head_without_body),
        cmocka_unit_test(answers_pipelined_requests_in_order),
        cmocka_unit_test(takes_a_long_pipeline),
        cmocka_unit_test(takes_requests_split_at_every_byte),
        cmocka_unit_test(says_100_continue),
        cmocka_unit_test(refuses_by_head),
        cmocka_unit_test(answers_what_is_no_request),
        cmocka_unit_test(falls_back_to_a_fixed_503),
        cmocka_unit_test(carries_big_bodies_both_ways),
        cmocka_unit_test(times_out_slow_requests),
        cmocka_unit_test(closes_idle_connections),
        cmocka_unit_test(gives_up_on_clients_that_do_not_read),
        cmocka_unit_test(cancels_when_the_client_leaves),
        cmocka_unit_test(frees_when_the_client_leaves_an_answer),
        cmocka_unit_test(answers_clients_that_close_their_side),
        cmocka_unit_test(drains),
        cmocka_unit_test(stops_with_exchanges_running),
        cmocka_unit_test(refuses_to_start_half),
        cmocka_unit_test(reports_bad_addresses),
        cmocka_unit_test(listens_on_ipv6),
        cmocka_unit_test(limits_connections_a_peer),
        cmocka_unit_test(queues_connections_beyond_the_total),
        cmocka_unit_test(serves_many_at_once),
        cmocka_unit_test(speaks_tls),
        cmocka_unit_test(refuses_weak_or_foreign_tls),
        cmocka_unit_test(reloads_certificates),
        cmocka_unit_test(refuses_certificates_that_do_not_fit),
        cmocka_unit_test(knows_client_certificates),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
