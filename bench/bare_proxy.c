/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bare_proxy PORT UPSTREAM-URL TYPE/ID [CA [http1]]: what the gateway would cost if it did nothing.
 *
 * The same listener, worker, HTTP reader and upstream connections as the gateway's, in one worker, without TLS; but of
 * the exchange only this is left: every request, whatever it asks, is answered with the upstream's TYPE/ID as it came.
 * No identity, no parse, no consent, no ledger. It is linked against the gateway's own objects and takes the place of
 * exchange.c, so that gateway.py can tell the price of the exchange from that of everything around it. CA is who
 * vouches for an upstream with TLS; http1: HTTP/2 is not asked for (http2.py).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "listener.h"
#include "loop.h"
#include "upstream.h"

#define ARENA ((size_t)64 * 1024 * 1024)

struct sl_worker_state {
    struct sl_config config;
    struct sl_upstream *upstream;
    struct sl_slice type, id;
};

struct sl_exchange {
    struct sl_worker_state *state;
    struct sl_conn *conn;
    struct sl_arena *arena;
    struct sl_ask ask;
    struct sl_blocks body;
    struct sl_response response;
    struct sl_header header;
};

static void respond(struct sl_exchange *x, int status, bool close)
{
    x->header = (struct sl_header){SL_LIT("Content-Type"), SL_LIT("application/fhir+json")};
    x->response = (struct sl_response){
        .status = status, .headers = &x->header, .header_count = 1, .body = &x->body, .close = close};
    sl_conn_respond(x->conn, &x->response);
}

static void answered(struct sl_ask *ask)
{
    struct sl_exchange *x = ask->context;
    if (ask->status == SL_OK)
        sl_blocks_add(&x->body, ask->text);
    respond(x, ask->status == SL_OK && !x->body.failed ? 200 : 503, false);
}

/* ---- What the connection calls (http.h) ---- */

struct sl_exchange *sl_exchange_new(struct sl_worker *worker, struct sl_conn *conn)
{
    struct sl_exchange *x = calloc(1, sizeof *x);
    struct sl_arena *arena = x ? sl_arena_new(ARENA) : NULL;
    if (!arena) {
        free(x);
        return NULL;
    }
    *x = (struct sl_exchange){.state = sl_worker_state(worker), .conn = conn, .arena = arena, .body = {.arena = arena}};
    return x;
}

struct sl_arena *sl_exchange_arena(struct sl_exchange *x)
{
    return x->arena;
}

enum sl_status sl_exchange_head(struct sl_exchange *x, const struct sl_request *request)
{
    (void)x;
    (void)request;
    return SL_OK;
}

void sl_exchange_start(struct sl_exchange *x)
{
    x->ask = (struct sl_ask){.kind = SL_ASK_READ,
        .type = x->state->type,
        .id = x->state->id,
        .arena = x->arena,
        .done = answered,
        .context = x};
    sl_upstream_ask(x->state->upstream, &x->ask);
    if (x->ask.finished)
        answered(&x->ask);
}

void sl_exchange_malformed(struct sl_exchange *x, enum sl_status status)
{
    respond(x, sl_status_http(status), true);
}

void sl_exchange_free(struct sl_exchange *x)
{
    struct sl_arena *arena = x->arena;
    free(x);
    sl_arena_free(arena);
}

void sl_exchange_cancel(struct sl_exchange *x)
{
    sl_upstream_cancel(x->state->upstream, &x->ask);
    sl_exchange_free(x);
}

/* ---- One worker, until a signal ---- */

static struct sl_worker_state *start(struct sl_worker *worker, void *context)
{
    struct sl_worker_state *state = context;
    state->upstream = sl_upstream_http_new(&state->config, (struct sl_slice){NULL, 0}, sl_worker_base(worker));
    return state->upstream ? state : NULL;
}

static void stop(struct sl_worker_state *state)
{
    sl_upstream_free(state->upstream);
}

static bool read_target(const char *text, struct sl_worker_state *out)
{
    const char *slash = strchr(text, '/');
    if (!slash)
        return false;
    out->type = (struct sl_slice){text, (size_t)(slash - text)};
    out->id = sl_slice_of(slash + 1);
    return true;
}

static int serve(struct sl_worker_state *state, uint16_t port)
{
    struct sl_arena *arena = sl_arena_new(ARENA);
    struct sl_issues issues = {.arena = arena};
    struct sl_server *server = NULL;
    const struct sl_listen listen = {"127.0.0.1", port};
    struct sl_server_options options = sl_server_defaults;
    options.listen = &listen;
    options.listen_count = 1;
    options.worker_start = start;
    options.worker_stop = stop;
    options.context = state;
    int signal = 0;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    enum sl_status status = sl_server_new(&options, &issues, &server);
    if (status == SL_OK)
        status = sl_server_start(server, &issues);
    if (status == SL_OK)
        sigwait(&signals, &signal);
    else
        fprintf(stderr, "bare_proxy: %s\n", sl_status_name(status));
    sl_server_free(server);
    sl_arena_free(arena);
    return status == SL_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    static struct sl_worker_state state;
    if (argc < 4 || argc > 6 || !read_target(argv[3], &state)) {
        fprintf(stderr, "usage: bare_proxy PORT UPSTREAM-URL TYPE/ID [CA [http1]]\n");
        return 2;
    }
    /* As in config.def. */
    state.config = (struct sl_config){.url = SL_LIT("http://localhost/fhir"), /* put in the place of the upstream's */
        .upstream_url = sl_slice_of(argv[2]),
        .upstream_ca = argc > 4 ? sl_slice_of(argv[4]) : (struct sl_slice){NULL, 0},
        .upstream_http2 = argc < 6,
        .upstream_connections = 32,
        .upstream_queue = 1024,
        .upstream_resolve_ms = 2000,
        .upstream_connect_ms = 2000,
        .upstream_tls_ms = 3000,
        .upstream_first_ms = 15000,
        .upstream_idle_s = 30,
        .upstream_failures = 20,
        .upstream_window_s = 10,
        .upstream_pause_s = 5,
        .upstream_total_ms = 15000,
        .upstream_stall_s = 5,
        .upstream_body = 32u << 20};
    sl_upstream_http_init();
    sl_loop_keep_memory();
    return serve(&state, (uint16_t)atoi(argv[1]));
}
