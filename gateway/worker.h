/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker: a thread with a loop and the connections handed to it. Between listener.c, worker.c and conn.c; what the
 * exchange and others may call is in http.h.
 */
#ifndef SLUICE_GATEWAY_WORKER_H
#define SLUICE_GATEWAY_WORKER_H

#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>

#include "listener.h"
#include "loop.h"
#include "sluice/buffer.h"

/* One accepted connection on its way: made by the acceptor, carried by the connection, and given back when it is gone,
 * so that only the acceptor counts. */
struct sl_ticket {
    struct sl_task task;
    struct sl_loop *home;               /* the acceptor's */
    void (*back)(struct sl_task *task); /* what runs there, in the end */
    struct sl_worker *worker;
    struct sl_peer *peer;
    int fd;
    char address[INET6_ADDRSTRLEN];
};

struct sl_worker {
    uint32_t magic;
    struct sl_loop loop;
    const struct sl_server_options *options;
    struct sl_worker_state *state;
    struct sl_tls *tls; /* its own reference; NULL: plain */
    struct sl_conn *conns;
    size_t handed; /* connections given to it and not back yet: the acceptor's count */
    bool draining, stopping;
    uint64_t stop_by;
    struct event *sweep;
    struct sl_buffer head; /* for the head of one answer at a time */
    char date[32];
    int64_t date_second;
    pthread_t thread;
    bool started; /* the thread exists */
    bool ready;   /* worker_start was content; read once `started_up` has been raised */
    sem_t *started_up;
    struct sl_task drain_task, stop_task;
};

SL_MUST_CHECK enum sl_status sl_worker_init(
    struct sl_worker *worker, const struct sl_server_options *options, struct sl_tls *tls);
void sl_worker_fini(struct sl_worker *worker);

/* Starts the thread; it raises `started_up` once worker->ready is known. */
SL_MUST_CHECK enum sl_status sl_worker_start(struct sl_worker *worker, sem_t *started_up);
/* From any thread; then sl_worker_join. */
void sl_worker_drain(struct sl_worker *worker);
void sl_worker_stop(struct sl_worker *worker);
void sl_worker_join(struct sl_worker *worker);
/* From any thread: connections from now on use this configuration. Takes the reference. */
SL_MUST_CHECK enum sl_status sl_worker_set_tls(struct sl_worker *worker, struct sl_tls *tls);

/* The time as RFC 9110 5.6.7 has it, made once a second. */
struct sl_slice sl_worker_date(struct sl_worker *worker);

#endif
