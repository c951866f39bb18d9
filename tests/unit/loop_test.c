/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks at a given time: in whole milliseconds, in order, whenever they were set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <time.h>
#include "loop.h"

#define TASKS 400

struct timed {
    struct sl_task task;
    struct sl_loop *loop;
    uint64_t due, ran;
    unsigned again;
};

static size_t left;

static void set(struct timed *t, uint64_t ahead)
{
    t->due = sl_loop_clock() + ahead;
    sl_loop_at(t->loop, t->due, &t->task);
}

static void on_time(struct sl_task *task)
{
    struct timed *t = task->context;
    t->ran = sl_loop_clock();
    assert_true(t->ran >= t->due);
    if (t->again--) {
        set(t, 3000);
        return;
    }
    if (--left == 0)
        sl_loop_stop(t->loop);
}

static void run_all(struct sl_loop *loop, struct timed *all, size_t count)
{
    left = count;
    sl_loop_run(loop);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++)
            assert_false(all[i].due / 1000 + 1 < all[j].due / 1000 && all[i].ran > all[j].ran);
}

/* Within a second and a bit, so that the table is gone through more than once; some again from within. */
static void runs_tasks_when_they_are_due(void **state)
{
    static struct timed all[TASKS];
    struct sl_loop loop;
    (void)state;
    assert_int_equal(sl_loop_init(&loop), SL_OK);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < TASKS; i++) {
            all[i] = (struct timed){.loop = &loop, .again = round == 2 ? i % 3 : 0};
            all[i].task = (struct sl_task){.call = on_time, .context = &all[i]};
            set(&all[i], (uint64_t)(i * 7919 % TASKS) * 1000);
        }
        run_all(&loop, all, TASKS);
    }
    sl_loop_fini(&loop);
}

/* What is set while the loop has stood still for long is late, and runs. */
static void runs_tasks_of_a_loop_that_stood_still(void **state)
{
    struct sl_loop loop;
    struct timed two[2];
    (void)state;
    assert_int_equal(sl_loop_init(&loop), SL_OK);
    for (size_t i = 0; i < 2; i++) {
        two[i] = (struct timed){.loop = &loop};
        two[i].task = (struct sl_task){.call = on_time, .context = &two[i]};
    }
    set(&two[0], 1000);
    nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 300000000}, NULL);
    set(&two[1], 0);
    run_all(&loop, two, 2);
    sl_loop_fini(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_tasks_when_they_are_due),
        cmocka_unit_test(runs_tasks_of_a_loop_that_stood_still),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
