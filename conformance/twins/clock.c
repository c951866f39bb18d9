/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A clock that stands still, for the twins: preloaded into `sluice`, so that both gateways and the commands that make
 * their stores read the same second, whenever they are asked. TWINS_CLOCK: seconds since the epoch. Only the calendar's
 * clock: what measures durations runs on. And dice that fall alike, where something is written.
 */
#define _GNU_SOURCE
#include <stdio.h>
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

/* The dice, where TWINS_DICE is said: the n-th bytes drawn in one process are the n-th drawn in the other, so that ids
 * which the gateways make for what a client creates are the same. Called by OpenSSL's users in place of its own. */
static unsigned long long state = 88172645463325252ull;

int RAND_bytes(unsigned char *out, int size);
int RAND_bytes(unsigned char *out, int size)
{
    FILE *source = getenv("TWINS_DICE") ? NULL : fopen("/dev/urandom", "rb");
    size_t got = source ? fread(out, 1, (size_t)size, source) : 0;
    if (source)
        fclose(source);
    for (size_t i = 0; !source && i < (size_t)size; i++, got++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out[i] = (unsigned char)(state >> 32);
    }
    return got == (size_t)size;
}
