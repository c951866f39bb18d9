/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The acceptor's thread and the server as a whole: see listener.h. The acceptor alone counts connections, by tickets
 * that go out with a connection and come home when it is gone; so no count is shared.
 */
#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "conn.h"
#include "worker.h"

#define MAGIC 0x534c7376u
#define BACKLOG 1024
#define MAX_WORKERS 256u
#define MAX_LISTENERS ((size_t)64)
#define PEER_BUCKETS 1024u
#define RETRY_MS 100 /* after accept failed for want of descriptors or memory */

const struct sl_server_options sl_server_defaults = {
    .workers = 1,
    .limits = SL_HTTP1_LIMITS_DEFAULT,
    .timeouts = {.handshake = 10000, .head = 10000, .body = 60000, .idle = 60000, .write = 30000, .linger = 2000},
    .max_connections = 10000,
    .max_per_peer = 1024,
};

/* One peer with open connections: an IPv4 address, or the first half of an IPv6 one. */
struct sl_peer {
    unsigned char key[16];
    size_t count;
    struct sl_peer *next;
};

struct sl_server {
    uint32_t magic;
    struct sl_server_options options;
    struct sl_loop loop; /* the acceptor's */
    struct evconnlistener **listeners;
    uint16_t *ports;
    struct sl_tls *tls; /* of the thread that made the server */
    struct sl_worker *workers;
    size_t workers_made;
    struct sl_peer *peers[PEER_BUCKETS];
    uint32_t peer_seed;
    struct event *retry;
    bool closed; /* the acceptor accepts no more */
    struct sl_task drain_task, stop_task, end_task;
    pthread_t thread;
    bool started, draining, stopped;
    atomic_size_t open;         /* written by the acceptor */
    pthread_mutex_t quiet_lock; /* for sl_server_drain to wait on, no request passes here */
    pthread_cond_t quiet;
    bool drained; /* the workers have been told; under quiet_lock */
};

static struct sl_server *server_of(void *context)
{
    struct sl_server *server = context;
    SL_ASSERT(server && server->magic == MAGIC);
    return server;
}

/* ---- Peers ---- */

static void key_of(const struct sockaddr *address, unsigned char key[16])
{
    memset(key, 0, 16);
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        key[10] = key[11] = 0xff;
        memcpy(key + 12, &v4.sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        /* A customer commonly has a whole /64; an IPv4 address in IPv6 clothing counts as itself. */
        memcpy(key, &v6.sin6_addr, IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) ? 16 : 8);
    }
}

static struct sl_peer **bucket_of(struct sl_server *server, const unsigned char key[16])
{
    uint32_t hash = server->peer_seed;
    for (size_t i = 0; i < 16; i++)
        hash = (hash ^ key[i]) * 0x01000193u;
    return &server->peers[(hash ^ hash >> 16) % PEER_BUCKETS];
}

/* The peer's entry, made if need be; NULL: it has all the connections it may have, or there is no memory. */
static struct sl_peer *take_peer(struct sl_server *server, const struct sockaddr *address)
{
    unsigned char key[16];
    key_of(address, key);
    struct sl_peer **bucket = bucket_of(server, key), *peer = *bucket;
    while (peer && memcmp(peer->key, key, sizeof key) != 0)
        peer = peer->next;
    if (peer && peer->count >= server->options.max_per_peer)
        return NULL;
    if (!peer) {
        peer = calloc(1, sizeof *peer);
        if (!peer)
            return NULL;
        memcpy(peer->key, key, sizeof key);
        peer->next = *bucket;
        *bucket = peer;
    }
    peer->count++;
    return peer;
}

static void give_peer_back(struct sl_server *server, struct sl_peer *peer)
{
    if (--peer->count > 0)
        return;
    struct sl_peer **link = bucket_of(server, peer->key);
    while (*link != peer)
        link = &(*link)->next;
    *link = peer->next;
    free(peer);
}

/* ---- Accepting ---- */

static void enable_listeners(struct sl_server *server, bool on)
{
    for (size_t i = 0; i < server->options.listen_count; i++)
        if (server->listeners[i])
            (void)(on ? evconnlistener_enable(server->listeners[i]) : evconnlistener_disable(server->listeners[i]));
}

static size_t open_now(const struct sl_server *server)
{
    return atomic_load_explicit(&server->open, memory_order_relaxed);
}

static void set_open(struct sl_server *server, size_t open)
{
    atomic_store_explicit(&server->open, open, memory_order_relaxed);
}

static void tell_quiet(struct sl_server *server, bool drained)
{
    pthread_mutex_lock(&server->quiet_lock);
    server->drained |= drained;
    pthread_cond_broadcast(&server->quiet);
    pthread_mutex_unlock(&server->quiet_lock);
}

static struct sl_server *server_of_ticket(const struct sl_ticket *ticket)
{
    return server_of((char *)ticket->home - offsetof(struct sl_server, loop));
}

/* A connection is gone. */
static void on_home(struct sl_task *task)
{
    struct sl_ticket *ticket = task->context;
    struct sl_server *server = server_of_ticket(ticket);
    size_t open = open_now(server);
    ticket->worker->handed--;
    give_peer_back(server, ticket->peer);
    free(ticket);
    set_open(server, open - 1);
    if (open == server->options.max_connections && !server->closed)
        enable_listeners(server, true);
    if (open == 1)
        tell_quiet(server, false);
}

static void on_handed(struct sl_task *task)
{
    struct sl_ticket *ticket = task->context;
    sl_conn_adopt(ticket->worker, ticket);
}

static struct sl_worker *least_busy(struct sl_server *server)
{
    struct sl_worker *least = &server->workers[0];
    for (size_t i = 1; i < server->workers_made; i++)
        if (server->workers[i].handed < least->handed)
            least = &server->workers[i];
    return least;
}

static void write_address(const struct sockaddr *address, char text[INET6_ADDRSTRLEN])
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof v4);
        inet_ntop(AF_INET, &v4.sin_addr, text, INET6_ADDRSTRLEN);
    } else if (address->sa_family == AF_INET6) {
        memcpy(&v6, address, sizeof v6);
        inet_ntop(AF_INET6, &v6.sin6_addr, text, INET6_ADDRSTRLEN);
    }
}

static struct sl_ticket *new_ticket(struct sl_server *server, const struct sockaddr *address, int fd)
{
    struct sl_ticket *ticket = calloc(1, sizeof *ticket);
    struct sl_peer *peer = ticket ? take_peer(server, address) : NULL;
    if (!peer) {
        free(ticket);
        return NULL;
    }
    *ticket = (struct sl_ticket){
        .home = &server->loop, .back = on_home, .worker = least_busy(server), .peer = peer, .fd = fd};
    ticket->task = (struct sl_task){.call = on_handed, .context = ticket};
    write_address(address, ticket->address);
    return ticket;
}

static void on_accept(
    struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int address_len, void *context)
{
    struct sl_server *server = server_of(context);
    struct sl_ticket *ticket = new_ticket(server, address, fd);
    (void)listener;
    (void)address_len;
    if (!ticket) {
        close(fd);
        return;
    }
    size_t open = open_now(server) + 1;
    ticket->worker->handed++;
    set_open(server, open);
    sl_loop_post(&ticket->worker->loop, &ticket->task);
    if (open >= server->options.max_connections)
        enable_listeners(server, false);
}

/* Without descriptors or memory accept would fail again at once, for ever: it is tried again a little later. */
static void on_accept_error(struct evconnlistener *listener, void *context)
{
    static const struct timeval pause = {0, RETRY_MS * 1000};
    struct sl_server *server = server_of(context);
    (void)listener;
    enable_listeners(server, false);
    event_add(server->retry, &pause);
}

static void on_retry(evutil_socket_t fd, short events, void *context)
{
    struct sl_server *server = server_of(context);
    (void)fd;
    (void)events;
    if (!server->closed && open_now(server) < server->options.max_connections)
        enable_listeners(server, true);
}

/* ---- Making and starting ---- */

static enum sl_status complain(struct sl_issues *issues, enum sl_status status, const char *text)
{
    sl_issue_add(issues, SL_GRADE_ERROR, "server", "%s", text);
    return status;
}

static bool parse_address(const struct sl_listen *listen, struct sockaddr_storage *out, socklen_t *len)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(listen->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(listen->port)};
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, listen->host, &v4.sin_addr) == 1) {
        memcpy(out, &v4, *len = sizeof v4);
        return true;
    }
    if (inet_pton(AF_INET6, listen->host, &v6.sin6_addr) == 1) {
        memcpy(out, &v6, *len = sizeof v6);
        return true;
    }
    return false;
}

static uint16_t bound_port(struct evconnlistener *listener)
{
    struct sockaddr_storage address;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    socklen_t len = sizeof address;
    if (getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &len) != 0)
        return 0;
    memcpy(&v4, &address, sizeof v4);
    memcpy(&v6, &address, sizeof v6);
    return ntohs(address.ss_family == AF_INET ? v4.sin_port : v6.sin6_port);
}

static enum sl_status listen_on(struct sl_server *server, size_t i, struct sl_issues *issues)
{
    const struct sl_listen *listen = &server->options.listen[i];
    const unsigned flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE | LEV_OPT_DISABLED;
    struct sockaddr_storage address;
    socklen_t len;
    if (!parse_address(listen, &address, &len)) {
        sl_issue_add(issues, SL_GRADE_ERROR, "listen", "%s is no numeric address.", listen->host);
        return SL_INVALID;
    }
    server->listeners[i] = evconnlistener_new_bind(
        server->loop.base, on_accept, server, flags, BACKLOG, (struct sockaddr *)&address, (int)len);
    if (!server->listeners[i]) {
        sl_issue_add(issues, SL_GRADE_ERROR, "listen", "Cannot listen on %s port %u: %s.", listen->host, listen->port,
            strerror(errno));
        return SL_IO;
    }
    evconnlistener_set_error_cb(server->listeners[i], on_accept_error);
    server->ports[i] = bound_port(server->listeners[i]);
    return SL_OK;
}

static enum sl_status make_listeners(struct sl_server *server, struct sl_issues *issues)
{
    size_t count = server->options.listen_count;
    server->listeners = calloc(count, sizeof(struct evconnlistener *));
    server->ports = calloc(count, sizeof *server->ports);
    server->retry = event_new(server->loop.base, -1, 0, on_retry, server);
    if (!server->listeners || !server->ports || !server->retry)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        SL_TRY(listen_on(server, i, issues));
    return SL_OK;
}

static enum sl_status make_workers(struct sl_server *server)
{
    server->workers = calloc(server->options.workers, sizeof *server->workers);
    if (!server->workers)
        return SL_NO_MEMORY;
    for (; server->workers_made < server->options.workers; server->workers_made++) {
        struct sl_worker *worker = &server->workers[server->workers_made];
        enum sl_status status = sl_worker_init(worker, &server->options, server->tls);
        if (status != SL_OK) {
            sl_worker_fini(worker);
            return status;
        }
    }
    return SL_OK;
}

static bool good_options(const struct sl_server_options *o)
{
    return o->listen && o->listen_count > 0 && o->listen_count <= MAX_LISTENERS && o->workers > 0 &&
           o->workers <= MAX_WORKERS && o->max_connections > 0 && o->max_per_peer > 0 && o->limits.line > 0 &&
           o->timeouts.handshake && o->timeouts.head && o->timeouts.body && o->timeouts.idle && o->timeouts.write &&
           o->timeouts.linger && (o->tls.certificates || (!o->tls.key && !o->tls.client_ca));
}

static enum sl_status make_parts(struct sl_server *server, struct sl_issues *issues)
{
    if (getrandom(&server->peer_seed, sizeof server->peer_seed, 0) != (ssize_t)sizeof server->peer_seed)
        return SL_CRYPTO;
    if (server->options.tls.certificates)
        SL_TRY(sl_tls_new(&server->options.tls, issues, &server->tls));
    SL_TRY(sl_loop_init(&server->loop));
    SL_TRY(make_listeners(server, issues));
    return make_workers(server);
}

enum sl_status sl_server_new(const struct sl_server_options *options, struct sl_issues *issues, struct sl_server **out)
{
    *out = NULL;
    if (!good_options(options))
        return complain(
            issues, SL_INVALID, "An address, a worker, a limit or a deadline is missing, or a key has no certificate.");
    struct sl_server *server = calloc(1, sizeof *server);
    if (!server)
        return SL_NO_MEMORY;
    server->magic = MAGIC;
    server->options = *options;
    server->loop.wake = -1;
    pthread_mutex_init(&server->quiet_lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&server->quiet, &attributes);
    pthread_condattr_destroy(&attributes);
    enum sl_status status = make_parts(server, issues);
    if (status != SL_OK) {
        sl_server_free(server);
        return status;
    }
    *out = server;
    return SL_OK;
}

static void *run(void *context)
{
    struct sl_server *server = server_of(context);
    enable_listeners(server, true);
    sl_loop_run(&server->loop);
    return NULL;
}

static bool start_workers(struct sl_server *server)
{
    sem_t started_up;
    size_t waiting = 0;
    bool all = true;
    sem_init(&started_up, 0, 0);
    for (size_t i = 0; i < server->workers_made; i++) {
        if (sl_worker_start(&server->workers[i], &started_up) == SL_OK)
            waiting++;
    }
    for (size_t i = 0; i < waiting; i++)
        while (sem_wait(&started_up) != 0)
            ;
    for (size_t i = 0; i < server->workers_made; i++)
        all &= server->workers[i].started && server->workers[i].ready;
    sem_destroy(&started_up);
    return all;
}

/* Threads inherit the mask: signals are for the thread that made the server. */
enum sl_status sl_server_start(struct sl_server *server, struct sl_issues *issues)
{
    sigset_t all, before;
    SL_ASSERT(!server->started && !server->stopped);
    signal(SIGPIPE, SIG_IGN);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool good = start_workers(server);
    server->started = good && pthread_create(&server->thread, NULL, run, server) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (server->started) {
        pthread_setname_np(server->thread, "sluice-accept");
        return SL_OK;
    }
    sl_server_stop(server);
    return complain(issues, SL_UNAVAILABLE, "A worker could not start.");
}

uint16_t sl_server_port(const struct sl_server *server, size_t i)
{
    return i < server->options.listen_count ? server->ports[i] : 0;
}

struct sl_worker *sl_server_worker(struct sl_server *server, size_t i)
{
    return i < server->workers_made ? &server->workers[i] : NULL;
}

size_t sl_server_connections(const struct sl_server *server)
{
    return open_now(server);
}

enum sl_status sl_server_reload(struct sl_server *server, struct sl_issues *issues)
{
    struct sl_tls *fresh;
    SL_ASSERT(server->started);
    if (!server->options.tls.certificates)
        return SL_OK;
    SL_TRY(sl_tls_new(&server->options.tls, issues, &fresh));
    sl_tls_unref(server->tls);
    server->tls = fresh;
    for (size_t i = 0; i < server->workers_made; i++)
        SL_TRY(sl_worker_set_tls(&server->workers[i], sl_tls_ref(fresh)));
    return SL_OK;
}

/* ---- Draining and stopping ---- */

static void close_listeners(struct sl_server *server)
{
    server->closed = true;
    for (size_t i = 0; server->listeners && i < server->options.listen_count; i++) {
        if (server->listeners[i])
            evconnlistener_free(server->listeners[i]);
        server->listeners[i] = NULL;
    }
}

/* Connections that the kernel holds for us already: whoever made one may have asked on it. */
static void accept_pending(struct sl_server *server)
{
    for (size_t i = 0; i < server->options.listen_count; i++) {
        struct sockaddr_storage address;
        socklen_t len = sizeof address;
        int fd, listening = server->listeners[i] ? evconnlistener_get_fd(server->listeners[i]) : -1;
        while (listening >= 0 && open_now(server) < server->options.max_connections &&
               (fd = accept4(listening, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
            on_accept(server->listeners[i], fd, (struct sockaddr *)&address, (int)len, server);
            len = sizeof address;
        }
    }
}

/* What was handed out before this reaches a worker before its drain_task: tasks keep their order. */
static void on_drain(struct sl_task *task)
{
    struct sl_server *server = server_of(task->context);
    accept_pending(server);
    close_listeners(server);
    for (size_t i = 0; i < server->workers_made; i++)
        sl_worker_drain(&server->workers[i]);
    tell_quiet(server, true);
}

static bool wait_until_quiet(struct sl_server *server, unsigned milliseconds)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += milliseconds / 1000;
    end.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&server->quiet_lock);
    bool in_time = true, quiet;
    while (!(quiet = server->drained && open_now(server) == 0) && in_time)
        in_time = pthread_cond_timedwait(&server->quiet, &server->quiet_lock, &end) == 0;
    pthread_mutex_unlock(&server->quiet_lock);
    return quiet;
}

bool sl_server_drain(struct sl_server *server, unsigned milliseconds)
{
    SL_ASSERT(server->started);
    if (!server->draining) {
        server->draining = true;
        server->drain_task = (struct sl_task){.call = on_drain, .context = server};
        sl_loop_post(&server->loop, &server->drain_task);
    }
    return wait_until_quiet(server, milliseconds);
}

static void on_stop(struct sl_task *task)
{
    struct sl_server *server = server_of(task->context);
    close_listeners(server);
    for (size_t i = 0; i < server->workers_made; i++)
        sl_worker_stop(&server->workers[i]);
}

static void on_end(struct sl_task *task)
{
    struct sl_server *server = server_of(task->context);
    sl_loop_stop(&server->loop);
}

/* The workers end first, while the acceptor still takes their tickets back. */
void sl_server_stop(struct sl_server *server)
{
    if (server->stopped)
        return;
    server->stopped = true;
    server->stop_task = (struct sl_task){.call = on_stop, .context = server};
    server->end_task = (struct sl_task){.call = on_end, .context = server};
    if (server->started)
        sl_loop_post(&server->loop, &server->stop_task);
    else
        on_stop(&server->stop_task);
    for (size_t i = 0; i < server->workers_made; i++)
        sl_worker_join(&server->workers[i]);
    if (!server->started)
        return;
    sl_loop_post(&server->loop, &server->end_task);
    pthread_join(server->thread, NULL);
    server->started = false;
}

void sl_server_free(struct sl_server *server)
{
    if (!server)
        return;
    sl_server_stop(server);
    close_listeners(server);
    for (size_t i = 0; i < server->workers_made; i++)
        sl_worker_fini(&server->workers[i]);
    if (server->retry)
        event_free(server->retry);
    sl_loop_fini(&server->loop);
    sl_tls_unref(server->tls);
    free(server->workers);
    free(server->listeners);
    free(server->ports);
    pthread_cond_destroy(&server->quiet);
    pthread_mutex_destroy(&server->quiet_lock);
    server->magic = 0;
    free(server);
}
