/* SPDX-License-Identifier: Apache-2.0 */
/* An event loop with a mailbox: see loop.h. */
#include "loop.h"

#include <errno.h>
#include <malloc.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
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

static void put_last(struct sl_tasks *tasks, struct sl_task *task)
{
    task->next = NULL;
    if (tasks->last)
        tasks->last->next = task;
    else
        tasks->first = task;
    tasks->last = task;
}

static struct sl_task *take_all(struct sl_tasks *tasks)
{
    struct sl_task *first = tasks->first;
    *tasks = (struct sl_tasks){NULL, NULL};
    return first;
}

static void run_first(struct sl_tasks *tasks)
{
    struct sl_task *task = tasks->first;
    if (!task)
        return;
    tasks->first = task->next;
    if (!tasks->first)
        tasks->last = NULL;
    task->next = NULL;
    task->call(task);
}

/* ---- At a given time ---- */

/* At whole milliseconds, whenever it was set: a wait counted from now would end the later the later it began. */
static void set_clock(struct sl_loop *loop)
{
    uint64_t next = loop->timed_count ? loop->tick + 1 : 0; /* 0: it stands */
    const struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(next / 1000), .tv_nsec = (long)(next % 1000) * 1000000}};
    SL_ASSERT(timerfd_settime(loop->clock, TFD_TIMER_ABSTIME, &when, NULL) == 0);
}

static void on_tick(evutil_socket_t fd, short events, void *context)
{
    struct sl_loop *loop = context;
    uint64_t count, now = sl_loop_clock() / 1000;
    (void)events;
    while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
    while (loop->tick < now && loop->timed_count) {
        struct sl_task *due = take_all(&loop->timed[++loop->tick % SL_LOOP_AHEAD_MS]);
        for (const struct sl_task *task = due; task; task = task->next)
            loop->timed_count--;
        run_all(due);
    }
    set_clock(loop);
}

void sl_loop_at(struct sl_loop *loop, uint64_t at, struct sl_task *task)
{
    uint64_t due = (at + 999) / 1000, now = sl_loop_clock() / 1000;
    bool first = !loop->timed_count;
    if (first)
        loop->tick = now; /* nothing was due before */
    if (due <= loop->tick)
        due = loop->tick + 1;
    if (due - loop->tick >= SL_LOOP_AHEAD_MS) /* the loop has stood still, and is late for all */
        due = loop->tick + SL_LOOP_AHEAD_MS - 1;
    put_last(&loop->timed[due % SL_LOOP_AHEAD_MS], task);
    loop->timed_count++;
    if (first)
        set_clock(loop);
}

static enum sl_status start_clock(struct sl_loop *loop)
{
    loop->timed = calloc(SL_LOOP_AHEAD_MS, sizeof *loop->timed);
    loop->clock = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (!loop->timed || loop->clock < 0)
        return SL_NO_MEMORY;
    loop->ticked = event_new(loop->base, loop->clock, EV_READ | EV_PERSIST, on_tick, loop);
    return loop->ticked && event_add(loop->ticked, NULL) == 0 ? SL_OK : SL_NO_MEMORY;
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
    *loop = (struct sl_loop){.wake = -1, .clock = -1};
    loop->base = new_base();
    if (!loop->base)
        return SL_NO_MEMORY;
    loop->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->wake < 0)
        goto fail;
    loop->woken = event_new(loop->base, loop->wake, EV_READ | EV_PERSIST, on_wake, loop);
    if (!loop->woken || event_add(loop->woken, NULL) != 0 || start_clock(loop) != SL_OK)
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
    if (loop->ticked)
        event_free(loop->ticked);
    if (loop->base)
        event_base_free(loop->base);
    if (loop->wake >= 0)
        close(loop->wake);
    if (loop->clock >= 0)
        close(loop->clock);
    free(loop->timed);
    *loop = (struct sl_loop){.wake = -1, .clock = -1};
}

void sl_loop_turn(struct sl_loop *loop)
{
    bool due = loop->slow.first || loop->last.first;
    event_base_loop(loop->base, EVLOOP_ONCE | (due ? EVLOOP_NONBLOCK : 0));
    run_first(&loop->slow);
    run_all(take_all(&loop->last));
}

void sl_loop_run(struct sl_loop *loop)
{
    loop->stopped = false;
    while (!loop->stopped)
        sl_loop_turn(loop);
    event_base_loop(loop->base, EVLOOP_NONBLOCK); /* bufferevents are freed for good in a turn of their own */
}

void sl_loop_stop(struct sl_loop *loop)
{
    loop->stopped = true;
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

void sl_loop_last(struct sl_loop *loop, struct sl_task *task)
{
    put_last(&loop->last, task);
}

void sl_loop_slowly(struct sl_loop *loop, struct sl_task *task)
{
    put_last(&loop->slow, task);
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

uint64_t sl_loop_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}
