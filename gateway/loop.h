/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread's event loop and its mailbox. A loop belongs to one thread; only sl_loop_post may be called from others. The
 * mailbox is a list that any thread pushes onto with one compare-and-swap and the owner takes whole, so nobody waits
 * for a lock; an eventfd wakes the owner when the first task of a batch comes in.
 */
#ifndef SLUICE_GATEWAY_LOOP_H
#define SLUICE_GATEWAY_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "http.h"

struct event;
struct event_base;

/* Of tasks, oldest first. */
struct sl_tasks {
    struct sl_task *first, *last;
};

/*
 * A turn: what sockets, timers and the mailbox have due, all of it; then one of the slow tasks; then what was left for
 * the turn's end. So whoever works for long, half a millisecond at a time, holds up the others by one such piece, be
 * there one of his kind or hundreds.
 */
struct sl_loop {
    struct event_base *base;
    struct event *woken, *ticked;
    int wake;                         /* eventfd */
    int clock;                        /* timerfd; it ticks while something is in `timed` */
    _Atomic(struct sl_task *) posted; /* newest first */
    struct sl_tasks slow, last;
    struct sl_tasks *timed; /* by the millisecond in which they are due, modulo SL_LOOP_AHEAD_MS */
    size_t timed_count;
    uint64_t tick; /* the last millisecond whose tasks have run */
    bool stopped;
};

#define SL_LOOP_AHEAD_MS 1024u /* a task can be put off for less than this */

SL_MUST_CHECK enum sl_status sl_loop_init(struct sl_loop *loop);
/* Tasks that have not run are forgotten: they are their owners' memory. */
void sl_loop_fini(struct sl_loop *loop);

/* Runs until sl_loop_stop; then what is left of events that are already due. */
void sl_loop_run(struct sl_loop *loop);
void sl_loop_stop(struct sl_loop *loop);
/* One turn: waits until something is due, unless a task is, and runs it. */
void sl_loop_turn(struct sl_loop *loop);

/* From any thread: runs task->call(task) in the loop's thread, in the order of posting. A task is in one list at most,
 * and may be freed or posted again once it is called. */
void sl_loop_post(struct sl_loop *loop, struct sl_task *task);
/* The loop's own thread: runs it at the end of this turn, or of the next if this one is ending already. */
void sl_loop_last(struct sl_loop *loop, struct sl_task *task);
/* The loop's own thread: runs it in a later turn, one such task a turn. */
void sl_loop_slowly(struct sl_loop *loop, struct sl_task *task);
/* The loop's own thread: runs it in the first whole millisecond of the monotonic clock at or after `at` (microseconds,
 * sl_loop_clock), and so at an instant that does not depend on when this was called. */
void sl_loop_at(struct sl_loop *loop, uint64_t at, struct sl_task *task);

/* Once in a process that serves: freed memory is kept for the next request, up to 16 MiB a thread, instead of being
 * given back and faulted in again page by page. */
void sl_loop_keep_memory(void);

/* Milliseconds of a clock that only goes forward, a few milliseconds coarse. */
uint64_t sl_loop_now(void);
/* Microseconds of the same clock, exactly. */
uint64_t sl_loop_clock(void);

#endif
