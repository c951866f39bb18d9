/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's thread: its loop, its clock, and how it begins and ends. See worker.h. */
#include "worker.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "conn.h"

#define MAGIC 0x534c776bu
#define MAX_HEAD ((size_t)64 * 1024)
#define MAX_SWEEP_MS 250u
#define MIN_SWEEP_MS 10u
#define STOP_MS 5000u

static struct sl_worker *worker_of(void *context)
{
    struct sl_worker *worker = context;
    SL_ASSERT(worker && worker->magic == MAGIC);
    return worker;
}

/* ---- Deadlines ---- */

/* A quarter of the shortest deadline, so that none is overrun by much. */
static unsigned sweep_interval(const struct sl_timeouts *t)
{
    const unsigned all[] = {t->handshake, t->head, t->body, t->idle, t->write, t->linger};
    unsigned shortest = MAX_SWEEP_MS * 4;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i] < shortest)
            shortest = all[i];
    return shortest / 4 < MIN_SWEEP_MS ? MIN_SWEEP_MS : shortest / 4;
}

/* Cancelled exchanges may still wait for an upstream or the ledger; the loop runs for them a while. */
static bool may_end(const struct sl_worker *worker, uint64_t now)
{
    const struct sl_server_options *options = worker->options;
    bool busy = worker->state && options->worker_busy && options->worker_busy(worker->state) > 0;
    return !worker->conns && (!busy || now >= worker->stop_by);
}

/* One timer for all connections of a worker: a deadline costs a comparison, not a place in a heap. */
static void on_sweep(evutil_socket_t fd, short events, void *context)
{
    struct sl_worker *worker = worker_of(context);
    uint64_t now = sl_loop_now();
    (void)fd;
    (void)events;
    sl_conn_sweep(worker, now);
    if (worker->stopping && may_end(worker, now))
        sl_loop_stop(&worker->loop);
}

static enum sl_status start_sweep(struct sl_worker *worker)
{
    unsigned ms = sweep_interval(&worker->options->timeouts);
    const struct timeval interval = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};
    worker->sweep = event_new(worker->loop.base, -1, EV_PERSIST, on_sweep, worker);
    return worker->sweep && event_add(worker->sweep, &interval) == 0 ? SL_OK : SL_NO_MEMORY;
}

struct sl_slice sl_worker_date(struct sl_worker *worker)
{
    time_t now = time(NULL);
    struct tm utc;
    if ((int64_t)now != worker->date_second && gmtime_r(&now, &utc)) {
        strftime(worker->date, sizeof worker->date, "%a, %d %b %Y %H:%M:%S GMT", &utc);
        worker->date_second = now;
    }
    return sl_slice_of(worker->date);
}

/* ---- Beginning and end ---- */

enum sl_status sl_worker_init(struct sl_worker *worker, const struct sl_server_options *options, struct sl_tls *tls)
{
    *worker = (struct sl_worker){.magic = MAGIC, .options = options, .date_second = -1};
    sl_buffer_init(&worker->head, MAX_HEAD);
    SL_TRY(sl_loop_init(&worker->loop));
    worker->tls = sl_tls_ref(tls);
    return start_sweep(worker);
}

void sl_worker_fini(struct sl_worker *worker)
{
    if (worker->sweep)
        event_free(worker->sweep);
    sl_loop_fini(&worker->loop);
    sl_tls_unref(worker->tls);
    sl_buffer_fini(&worker->head);
    worker->magic = 0;
}

static void *run(void *context)
{
    struct sl_worker *worker = worker_of(context);
    const struct sl_server_options *options = worker->options;
    worker->state = options->worker_start ? options->worker_start(worker, options->context) : NULL;
    worker->ready = worker->state || !options->worker_start;
    bool ready = worker->ready;
    sem_post(worker->started_up);
    if (!ready)
        return NULL;
    sl_loop_run(&worker->loop);
    if (worker->state && options->worker_stop)
        options->worker_stop(worker->state);
    worker->state = NULL;
    return NULL;
}

enum sl_status sl_worker_start(struct sl_worker *worker, sem_t *started_up)
{
    worker->started_up = started_up;
    if (pthread_create(&worker->thread, NULL, run, worker) != 0)
        return SL_UNAVAILABLE;
    worker->started = true;
    pthread_setname_np(worker->thread, "sluice-worker");
    return SL_OK;
}

void sl_worker_join(struct sl_worker *worker)
{
    if (worker->started)
        pthread_join(worker->thread, NULL);
    worker->started = false;
}

static void on_drain(struct sl_task *task)
{
    struct sl_worker *worker = worker_of(task->context);
    worker->draining = true;
    sl_conn_drain(worker);
}

static void on_stop(struct sl_task *task)
{
    struct sl_worker *worker = worker_of(task->context);
    worker->draining = worker->stopping = true;
    worker->stop_by = sl_loop_now() + STOP_MS;
    sl_conn_close_all(worker);
    event_active(worker->sweep, EV_TIMEOUT, 0);
}

void sl_worker_drain(struct sl_worker *worker)
{
    worker->drain_task = (struct sl_task){.call = on_drain, .context = worker};
    sl_loop_post(&worker->loop, &worker->drain_task);
}

void sl_worker_stop(struct sl_worker *worker)
{
    worker->stop_task = (struct sl_task){.call = on_stop, .context = worker};
    sl_loop_post(&worker->loop, &worker->stop_task);
}

/* ---- New certificates ---- */

struct change {
    struct sl_task task;
    struct sl_tls *tls;
};

static void on_change(struct sl_task *task)
{
    struct sl_worker *worker = worker_of(task->context);
    struct change *change = (struct change *)task; /* its first member */
    sl_tls_unref(worker->tls);
    worker->tls = change->tls;
    free(change);
}

enum sl_status sl_worker_set_tls(struct sl_worker *worker, struct sl_tls *tls)
{
    struct change *change = calloc(1, sizeof *change);
    if (!change) {
        sl_tls_unref(tls);
        return SL_NO_MEMORY;
    }
    *change = (struct change){.task = {.call = on_change, .context = worker}, .tls = tls};
    sl_loop_post(&worker->loop, &change->task);
    return SL_OK;
}

/* ---- What http.h promises to the exchange and others ---- */

void sl_worker_last(struct sl_worker *worker, struct sl_task *task)
{
    sl_loop_last(&worker->loop, task);
}

void sl_worker_slowly(struct sl_worker *worker, struct sl_task *task)
{
    sl_loop_slowly(&worker->loop, task);
}

void sl_worker_at(struct sl_worker *worker, uint64_t at, struct sl_task *task)
{
    sl_loop_at(&worker->loop, at, task);
}

void sl_worker_post(struct sl_worker *worker, struct sl_task *task)
{
    sl_loop_post(&worker->loop, task);
}

struct event_base *sl_worker_base(struct sl_worker *worker)
{
    return worker->loop.base;
}

struct sl_worker_state *sl_worker_state(struct sl_worker *worker)
{
    return worker->state;
}
