/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A socket of our own on the loop, and no bufferevent: a question is one system call, its answer another, and nothing
 * is told to epoll in between. See link.h.
 */
#include "link.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sluice/status.h"
#include "tls.h"

#define MAGIC 0x534c6c6bu
#define READS 4u /* at a time, before others on the loop get a turn */

struct sl_link {
    uint32_t magic;
    enum sl_link_phase phase;
    int fd;
    struct event *readable, *writable, *again; /* again: there may be more to read, which no epoll tells of */
    struct sl_tls_stream *stream;
    struct sl_link_options options;
    struct sl_slice out[2]; /* what is still to be sent */
    bool inside;            /* a callback is under way: the link is freed after it */
    bool freed;
};

static void destroy(struct sl_link *link)
{
    if (link->readable)
        event_free(link->readable);
    if (link->writable)
        event_free(link->writable);
    if (link->again)
        event_free(link->again);
    if (link->stream)
        sl_tls_stream_free(link->stream);
    if (link->fd >= 0)
        close(link->fd);
    link->magic = 0;
    free(link);
}

/* Nothing is called after this. */
static void end(struct sl_link *link, const char *why)
{
    if (link->freed || link->phase == SL_LINK_CLOSED)
        return;
    link->phase = SL_LINK_CLOSED;
    event_del(link->readable);
    event_del(link->writable);
    event_del(link->again);
    link->options.user->closed(link->options.context, why);
}

/* ---- Out ---- */

static void take_sent(struct sl_link *link, size_t sent)
{
    for (size_t i = 0; i < 2; i++) {
        size_t n = sent < link->out[i].len ? sent : link->out[i].len;
        link->out[i] = sl_slice_from(link->out[i], n);
        sent -= n;
    }
}

static ssize_t send_plain(struct sl_link *link)
{
    struct iovec vectors[2];
    for (size_t i = 0; i < 2; i++)
        vectors[i] = (struct iovec){(void *)(uintptr_t)link->out[i].ptr, link->out[i].len};
    const struct msghdr message = {.msg_iov = vectors, .msg_iovlen = 2};
    return sendmsg(link->fd, &message, MSG_NOSIGNAL);
}

/* -1 with EAGAIN: later. */
static ssize_t send_secured(struct sl_link *link)
{
    size_t sent;
    struct sl_slice piece = link->out[link->out[0].len ? 0 : 1];
    enum sl_tls_result result = sl_tls_stream_write(link->stream, piece, &sent);
    if (result == SL_TLS_DONE)
        return (ssize_t)sent;
    errno = result == SL_TLS_WANTS_READ || result == SL_TLS_WANTS_WRITE ? EAGAIN : EPIPE;
    return -1;
}

/* An error shows when it is read, too: it is told then, from the loop. */
static void flush(struct sl_link *link)
{
    while (link->out[0].len || link->out[1].len) {
        ssize_t sent = link->stream ? send_secured(link) : send_plain(link);
        if (sent >= 0) {
            take_sent(link, (size_t)sent);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            event_add(link->writable, NULL);
            return;
        } else if (errno != EINTR) {
            shutdown(link->fd, SHUT_RDWR);
            return;
        }
    }
}

static void flush_waiting(struct sl_link *link)
{
    if (sl_link_is_idle(link))
        return;
    flush(link);
    if (link->options.user->sent && sl_link_is_idle(link))
        link->options.user->sent(link->options.context);
}

void sl_link_send(struct sl_link *link, struct sl_slice first, struct sl_slice second)
{
    SL_ASSERT(link->magic == MAGIC && link->phase == SL_LINK_OPEN && sl_link_is_idle(link));
    link->out[0] = first;
    link->out[1] = second;
    flush(link);
}

/* ---- In ---- */

/* DONE with a length of 0 is no end: FAILED and CLOSED are. */
static enum sl_tls_result read_plain(struct sl_link *link, char *out, size_t room, size_t *len)
{
    ssize_t got = recv(link->fd, out, room, 0);
    *len = got > 0 ? (size_t)got : 0;
    if (got > 0)
        return SL_TLS_DONE;
    if (got == 0)
        return SL_TLS_CLOSED;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? SL_TLS_WANTS_READ : SL_TLS_FAILED;
}

static void read_some(struct sl_link *link)
{
    char *out = (char *)(uintptr_t)link->options.buffer.ptr;
    size_t room = link->options.buffer.len, len;
    for (unsigned i = 0; i < READS; i++) {
        enum sl_tls_result result =
            link->stream ? sl_tls_stream_read(link->stream, out, room, &len) : read_plain(link, out, room, &len);
        if (result == SL_TLS_CLOSED || result == SL_TLS_FAILED) {
            end(link, result == SL_TLS_FAILED ? "upstream-unreachable" : NULL);
            return;
        }
        if (result == SL_TLS_WANTS_WRITE)
            event_add(link->writable, NULL);
        if (result != SL_TLS_DONE)
            return;
        link->options.user->received(link->options.context, (struct sl_slice){out, len});
        if (link->freed || (!link->stream && len < room))
            return;
    }
    /* What OpenSSL holds already no epoll tells of: a secured link is read again once the others have had their turn.
     */
    static const struct timeval at_once = {0, 0};
    if (link->stream)
        SL_ASSERT(event_add(link->again, &at_once) == 0);
}

/* ---- Opening ---- */

static void secure(struct sl_link *link)
{
    enum sl_tls_result result = sl_tls_stream_greet(link->stream);
    if (result == SL_TLS_DONE) {
        link->phase = SL_LINK_OPEN;
        link->options.user->opened(link->options.context);
    } else if (result == SL_TLS_WANTS_WRITE) {
        event_add(link->writable, NULL);
    } else if (result != SL_TLS_WANTS_READ) {
        end(link, "upstream-tls");
    }
}

static void connected(struct sl_link *link)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error) {
        end(link, "upstream-connect");
        return;
    }
    event_add(link->readable, NULL);
    if (!link->options.tls) {
        link->phase = SL_LINK_OPEN;
        link->options.user->opened(link->options.context);
        return;
    }
    link->phase = SL_LINK_SECURING;
    link->stream = sl_tls_stream_new(link->options.tls, link->fd, link->options.host);
    if (link->stream)
        secure(link);
    else
        end(link, "upstream-tls");
}

static void on_event(evutil_socket_t fd, short what, void *context)
{
    struct sl_link *link = context;
    (void)fd;
    SL_ASSERT(link && link->magic == MAGIC && !link->inside);
    link->inside = true;
    switch (link->phase) {
    case SL_LINK_CONNECTING:
        connected(link);
        break;
    case SL_LINK_SECURING:
        secure(link);
        break;
    case SL_LINK_OPEN:
        flush_waiting(link);
        if (!link->freed && link->phase == SL_LINK_OPEN && (what & EV_READ || link->stream))
            read_some(link);
        break;
    case SL_LINK_CLOSED:
        break;
    }
    link->inside = false;
    if (link->freed)
        destroy(link);
}

static bool start(struct sl_link *link)
{
    const int on = 1;
    const struct sl_link_options *o = &link->options;
    link->fd = socket(o->address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->fd < 0)
        return false;
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    link->readable = event_new(o->base, link->fd, EV_READ | EV_PERSIST, on_event, link);
    link->writable = event_new(o->base, link->fd, EV_WRITE, on_event, link);
    link->again = evtimer_new(o->base, on_event, link);
    if (!link->readable || !link->writable || !link->again || event_add(link->writable, NULL) != 0)
        return false;
    return connect(link->fd, o->address, o->address_len) == 0 || errno == EINPROGRESS;
}

struct sl_link *sl_link_new(const struct sl_link_options *options)
{
    struct sl_link *link = calloc(1, sizeof *link);
    if (!link)
        return NULL;
    *link = (struct sl_link){.magic = MAGIC, .phase = SL_LINK_CONNECTING, .fd = -1, .options = *options};
    if (start(link))
        return link;
    destroy(link);
    return NULL;
}

void sl_link_free(struct sl_link *link)
{
    if (!link)
        return;
    SL_ASSERT(link->magic == MAGIC && !link->freed);
    link->freed = true;
    if (!link->inside)
        destroy(link);
}

enum sl_link_phase sl_link_phase(const struct sl_link *link)
{
    return link->phase;
}

bool sl_link_is_http2(const struct sl_link *link)
{
    return link->stream && sl_tls_stream_is_http2(link->stream);
}

void sl_link_give(struct sl_link *link, const struct sl_link_user *user, void *context)
{
    link->options.user = user;
    link->options.context = context;
}

bool sl_link_is_idle(const struct sl_link *link)
{
    return !link->out[0].len && !link->out[1].len;
}
