/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server: one acceptor thread that owns the listening sockets, counts connections and hands each to the worker with
 * the fewest; and N workers (worker.c), each with its own loop. These functions are for the thread that made the server
 * (main), which keeps the signals to itself: the server's threads block them all.
 *
 *     struct sl_server_options options = sl_server_defaults;
 *     options.listen = &(struct sl_listen){"127.0.0.1", 8443};
 *     options.listen_count = 1;
 *     options.tls.certificates = "tls.crt"; options.tls.key = "tls.key";
 *     options.worker_start = start; options.worker_stop = stop; options.context = gateway;
 *     SL_TRY(sl_server_new(&options, issues, &server));
 *     SL_TRY(sl_server_start(server, issues));
 *     … wait for SIGHUP: sl_server_reload; for SIGTERM: sl_server_drain(server, 30000) …
 *     sl_server_free(server);
 */
#ifndef SLUICE_GATEWAY_LISTENER_H
#define SLUICE_GATEWAY_LISTENER_H

#include "http.h"
#include "http1.h"
#include "sluice/issue.h"
#include "tls.h"

struct sl_server;

struct sl_listen {
    const char *host; /* a numeric address, IPv4 or IPv6; "0.0.0.0" and "::" mean all */
    uint16_t port;    /* 0: one that is free (sl_server_port) */
};

/* Milliseconds. */
struct sl_timeouts {
    unsigned handshake; /* TLS, from accept to finished: 10 s */
    unsigned head;      /* from a request's first byte to the end of its headers: 10 s */
    unsigned body;      /* from there to the end of its body: 60 s */
    unsigned idle;      /* without a request: 60 s */
    unsigned write;     /* a client takes 4 KiB of an answer, or the rest, in this time: 30 s */
    unsigned linger;    /* after the last answer, for the client to read it and close: 2 s */
};

struct sl_server_options {
    const struct sl_listen *listen;
    size_t listen_count;
    struct sl_tls_files tls; /* no certificates: plain HTTP */
    unsigned workers;        /* threads: 1 to 256 */
    struct sl_http1_limits limits;
    struct sl_timeouts timeouts;
    size_t max_connections; /* further ones wait in the listening queue */
    size_t max_per_peer;    /* connections of one IPv4 address or IPv6 /64; further ones are closed at once */
    /* In the worker's thread, before its first connection: what sl_worker_state gives. NULL: the server does not start.
     * If worker_start is NULL itself, there is no state. */
    struct sl_worker_state *(*worker_start)(struct sl_worker *worker, void *context);
    /* In the worker's thread, once its connections are gone. */
    void (*worker_stop)(struct sl_worker_state *state);
    /* How many cancelled exchanges have not ended yet (waiting for an upstream, the ledger): when the server stops, the
     * worker's loop runs on until there is none, or 5 s. May be NULL. */
    size_t (*worker_busy)(const struct sl_worker_state *state);
    void *context;
};
extern const struct sl_server_options sl_server_defaults; /* 1 worker, 10,000 connections, 1,024 a peer; no address */

/* Opens the listening sockets and reads the certificates; nothing is accepted yet. The options are copied, what they
 * point at is borrowed until sl_server_free. SL_INVALID (options, certificates), SL_IO (sockets), SL_NO_MEMORY; the
 * issues say more. */
SL_MUST_CHECK enum sl_status sl_server_new(
    const struct sl_server_options *options, struct sl_issues *issues, struct sl_server **out);

/* Starts the threads and accepts, once. SL_UNAVAILABLE: a worker_start gave NULL, or a thread could not be made. */
SL_MUST_CHECK enum sl_status sl_server_start(struct sl_server *server, struct sl_issues *issues);

/* The port the i-th address is bound to. */
uint16_t sl_server_port(const struct sl_server *server, size_t i);

/* For sl_worker_post: the i-th worker; NULL beyond the last. */
struct sl_worker *sl_server_worker(struct sl_server *server, size_t i);

/* Open connections at this moment. */
size_t sl_server_connections(const struct sl_server *server);

/* Reads the certificates again: connections from now on use them, open ones stay as they are. On failure nothing
 * changes. */
SL_MUST_CHECK enum sl_status sl_server_reload(struct sl_server *server, struct sl_issues *issues);

/* Closes the listening sockets, lets running exchanges answer, closes connections that ask no more, and waits until all
 * connections are closed. False: some were still open after that many milliseconds. */
bool sl_server_drain(struct sl_server *server, unsigned milliseconds);

/* Cancels what still runs, closes all connections, and ends the threads. */
void sl_server_stop(struct sl_server *server);

/* Stops first if need be; NULL is fine. Until this, sl_worker_post to a stopped worker does nothing, safely. */
void sl_server_free(struct sl_server *server);

#endif
