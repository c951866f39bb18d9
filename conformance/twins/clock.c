/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A clock that stands still, for the twins: preloaded into `sluice`, so that both gateways and the commands that make
 * their stores read the same second, whenever they are asked. TWINS_CLOCK: seconds since the epoch. Only the calendar's
 * clock: what measures durations runs on.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long standing(void)
{
    const char *text = getenv("TWINS_CLOCK");
    return text ? strtol(text, NULL, 10) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)
        return (int)syscall(SYS_clock_gettime, clock, out);
    *out = (struct timespec){.tv_sec = standing()};
    return 0;
}

time_t time(time_t *out)
{
    time_t now = standing();
    if (out)
        *out = now;
    return now;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    (void)zone;
    *out = (struct timeval){.tv_sec = standing()};
    return 0;
}
