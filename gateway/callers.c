/* SPDX-License-Identifier: Apache-2.0 */
/* Who asked within one second: see callers.h. */
#include "callers.h"

#include <stdlib.h>

#define SLOTS 256u /* a power of two; at most half of them are filled */
#define FULL ((size_t)1024 * 1024)
#define CEILING (4 * FULL) /* of one caller's claims there are 64 KiB at most, so what was begun below FULL fits */

struct kept {
    struct sl_slice token;
    struct sl_caller caller;
};

struct sl_callers {
    unsigned references;
    int64_t now;
    struct sl_arena *arena;
    const struct kept *table[SLOTS]; /* open addressing */
    size_t count;
};

struct sl_callers *sl_callers_new(int64_t now)
{
    struct sl_callers *callers = calloc(1, sizeof *callers);
    struct sl_arena *arena = callers ? sl_arena_new(CEILING) : NULL;
    if (!arena) {
        free(callers);
        return NULL;
    }
    callers->references = 1;
    callers->now = now;
    callers->arena = arena;
    return callers;
}

struct sl_callers *sl_callers_ref(struct sl_callers *callers)
{
    callers->references++;
    return callers;
}

void sl_callers_unref(struct sl_callers *callers)
{
    if (!callers || --callers->references)
        return;
    sl_arena_free(callers->arena);
    free(callers);
}

bool sl_callers_are_of(const struct sl_callers *callers, int64_t now)
{
    return callers && callers->now == now;
}

struct sl_arena *sl_callers_arena(struct sl_callers *callers)
{
    bool room = callers->count < SLOTS / 2 && sl_arena_used(callers->arena) < FULL && !sl_arena_failed(callers->arena);
    return room ? callers->arena : NULL;
}

/* A token ends with its signature, of which no two are alike. */
static size_t place_of(struct sl_slice token)
{
    uint64_t end = 0;
    size_t len = token.len < sizeof end ? token.len : sizeof end;
    memcpy(&end, token.ptr + token.len - len, len);
    return (size_t)(end * 0x9e3779b97f4a7c15u >> 32) & (SLOTS - 1);
}

/* A token is a secret: how long this takes says nothing of where two of a length begin to differ. */
static bool is_same(struct sl_slice a, struct sl_slice b)
{
    unsigned char different = 0;
    for (size_t i = 0; a.len == b.len && i < a.len; i++)
        different |= (unsigned char)(a.ptr[i] ^ b.ptr[i]);
    return a.len == b.len && !different;
}

const struct sl_caller *sl_callers_find(const struct sl_callers *callers, struct sl_slice token)
{
    for (size_t i = place_of(token); callers->table[i]; i = (i + 1) & (SLOTS - 1))
        if (is_same(callers->table[i]->token, token))
            return &callers->table[i]->caller;
    return NULL;
}

void sl_callers_keep(struct sl_callers *callers, struct sl_slice token, const struct sl_caller *caller)
{
    struct kept *kept = sl_arena_raw(callers->arena, 1, sizeof *kept);
    struct sl_slice copy = sl_arena_copy(callers->arena, token);
    if (!kept || !copy.ptr)
        return;
    *kept = (struct kept){.token = copy, .caller = *caller};
    kept->caller.held = NULL;
    size_t i = place_of(token);
    while (callers->table[i])
        i = (i + 1) & (SLOTS - 1);
    callers->table[i] = kept;
    callers->count++;
}
