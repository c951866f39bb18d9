/* SPDX-License-Identifier: Apache-2.0 */
/* An event loop with a mailbox: see loop.h. */
#include "loop.h"

#include <errno.h>
#include <malloc.h>
#include <event2/event.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static struct sl_task *reversed(struct sl_task *newest)
{
    struct sl_task *oldest = NULL;
    while (newest) {
        struct sl_task *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static void run_all(struct sl_task *task)
{
    while (task) {
        struct sl_task *next = task->next; /* the call may free the task, or post it again */
        task->next = NULL;
        task->call(task);
        task = next;
    }
}

/* The eventfd is emptied before the list is taken: who pushes onto an empty list after that wakes us again. */
static void on_wake(evutil_socket_t fd, short events, void *context)
{
    struct sl_loop *loop = context;
    uint64_t count;
    (void)events;
    while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
    run_all(reversed(atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire)));
}

static void on_turn(evutil_socket_t fd, short events, void *context)
{
    struct sl_loop *loop = context;
    struct sl_task *first = loop->later_first;
    (void)fd;
    (void)events;
    loop->later_first = loop->later_last = NULL;
    run_all(first);
}

/* No event of a loop is touched by another thread, so libevent needs no locks. */
static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    if (!config)
        return NULL;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

enum sl_status sl_loop_init(struct sl_loop *loop)
{
    *loop = (struct sl_loop){.wake = -1};
    loop->base = new_base();
    if (!loop->base)
        return SL_NO_MEMORY;
    loop->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->wake < 0)
        goto fail;
    loop->woken = event_new(loop->base, loop->wake, EV_READ | EV_PERSIST, on_wake, loop);
    loop->turn = event_new(loop->base, -1, 0, on_turn, loop);
    if (!loop->woken || !loop->turn || event_add(loop->woken, NULL) != 0)
        goto fail;
    return SL_OK;
fail:
    sl_loop_fini(loop);
    return SL_NO_MEMORY;
}

void sl_loop_fini(struct sl_loop *loop)
{
    if (loop->woken)
        event_free(loop->woken);
    if (loop->turn)
        event_free(loop->turn);
    if (loop->base)
        event_base_free(loop->base);
    if (loop->wake >= 0)
        close(loop->wake);
    *loop = (struct sl_loop){.wake = -1};
}

void sl_loop_turn(struct sl_loop *loop)
{
    event_base_loop(loop->base, EVLOOP_ONCE);
}

void sl_loop_run(struct sl_loop *loop)
{
    event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY);
    event_base_loop(loop->base, EVLOOP_NONBLOCK); /* bufferevents are freed for good in a turn of their own */
}

void sl_loop_stop(struct sl_loop *loop)
{
    event_base_loopbreak(loop->base);
}

void sl_loop_post(struct sl_loop *loop, struct sl_task *task)
{
    static const uint64_t one = 1;
    struct sl_task *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
    do
        task->next = head;
    while (
        !atomic_compare_exchange_weak_explicit(&loop->posted, &head, task, memory_order_release, memory_order_relaxed));
    /* The task may already have run and be gone; `head` is what it was pushed onto. */
    while (!head && write(loop->wake, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

/* A timer of no time at all, and not event_active: that would run in the same turn, before any socket. */
void sl_loop_later(struct sl_loop *loop, struct sl_task *task)
{
    static const struct timeval at_once = {0, 0};
    task->next = NULL;
    if (loop->later_last)
        loop->later_last->next = task;
    else
        loop->later_first = task;
    loop->later_last = task;
    if (!event_pending(loop->turn, EV_TIMEOUT, NULL))
        SL_ASSERT(event_add(loop->turn, &at_once) == 0);
}

void sl_loop_keep_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, 4 * 1024 * 1024);
    mallopt(M_TRIM_THRESHOLD, 16 * 1024 * 1024);
}

uint64_t sl_loop_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
