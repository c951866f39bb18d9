/* SPDX-License-Identifier: Apache-2.0 */
/* The arena: see sluice/arena.h. Blocks grow by doubling up to 1 MiB; a large request gets its own. What a reset keeps
 * is given out again before malloc is asked: fresh memory costs a page fault every 4 KiB, which is more than parsing
 * it. */
#include "sluice/arena.h"
#include "sluice/status.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "print.h"

#define FIRST_BLOCK ((size_t)16 * 1024)
#define MAX_BLOCK ((size_t)1024 * 1024)
#ifdef __SANITIZE_ADDRESS__
#define KEPT ((size_t)0) /* what is used after a reset is caught */
#else
#define KEPT ((size_t)16 * 1024 * 1024) /* bytes of blocks that a reset keeps */
#endif
#define ALIGN 16u
#define POOLED 7u /* sizes of blocks that a pool keeps: FIRST_BLOCK, doubled up to MAX_BLOCK */

struct block {
    struct block *next;
    size_t size, used;
    _Alignas(ALIGN) char bytes[];
};

struct sl_arena_pool {
    struct block *blocks[POOLED]; /* the last one freed first: it is the likeliest to be in the cache */
    size_t held, limit;           /* bytes */
};

struct sl_arena {
    struct sl_arena_pool *pool; /* NULL: malloc's blocks */
    struct block *head;         /* the block in use; older ones behind it */
    struct block *spare;        /* kept by a reset, the first used first */
    size_t ceiling, used;
    bool failed;
};

struct sl_arena *sl_arena_new(size_t ceiling)
{
    struct sl_arena *arena = calloc(1, sizeof *arena);
    if (arena)
        arena->ceiling = ceiling;
    return arena;
}

struct sl_arena *sl_arena_new_in(struct sl_arena_pool *pool, size_t ceiling)
{
    struct sl_arena *arena = sl_arena_new(ceiling);
    if (arena)
        arena->pool = pool;
    return arena;
}

/* ---- The pool ---- */

struct sl_arena_pool *sl_arena_pool_new(size_t kept)
{
    struct sl_arena_pool *pool = calloc(1, sizeof *pool);
    if (pool && KEPT)
        pool->limit = kept;
    return pool;
}

/* The place of a size among those that are kept; POOLED: it is none of them. */
static unsigned rank_of(size_t size)
{
    unsigned rank = 0;
    while (rank < POOLED && FIRST_BLOCK << rank != size)
        rank++;
    return rank;
}

static struct block *take_pooled(struct sl_arena_pool *pool, size_t size)
{
    unsigned rank = rank_of(size);
    struct block *block = rank < POOLED ? pool->blocks[rank] : NULL;
    if (!block)
        return NULL;
    pool->blocks[rank] = block->next;
    pool->held -= size;
    return block;
}

static void give_back(struct sl_arena_pool *pool, struct block *block)
{
    unsigned rank = pool ? rank_of(block->size) : POOLED;
    if (rank == POOLED || block->size > pool->limit - pool->held) {
        free(block);
        return;
    }
    block->next = pool->blocks[rank];
    pool->blocks[rank] = block;
    pool->held += block->size;
}

static void free_blocks(struct sl_arena_pool *pool, struct block *block)
{
    while (block) {
        struct block *next = block->next;
        give_back(pool, block);
        block = next;
    }
}

void sl_arena_pool_free(struct sl_arena_pool *pool)
{
    for (unsigned rank = 0; pool && rank < POOLED; rank++)
        free_blocks(NULL, pool->blocks[rank]);
    free(pool);
}

/* ---- The arena ---- */

void sl_arena_free(struct sl_arena *arena)
{
    if (!arena)
        return;
    free_blocks(arena->pool, arena->head);
    free_blocks(arena->pool, arena->spare);
    free(arena);
}

/* The first spare block that is large enough, taken out of the list; NULL if there is none. */
static struct block *take_spare(struct sl_arena *arena, size_t need)
{
    for (struct block **at = &arena->spare; *at; at = &(*at)->next) {
        struct block *block = *at;
        if (block->size < need)
            continue;
        *at = block->next;
        return block;
    }
    return NULL;
}

static bool grow(struct sl_arena *arena, size_t need)
{
    size_t size = arena->head ? arena->head->size * 2 : FIRST_BLOCK;
    if (size > MAX_BLOCK)
        size = MAX_BLOCK;
    while (arena->pool && size < need && size < MAX_BLOCK)
        size *= 2; /* a size that the pool keeps */
    if (size < need)
        size = need;
    size_t whole;
    if (__builtin_add_overflow(size, sizeof(struct block), &whole))
        return false;
    struct block *block = take_spare(arena, need);
    if (!block && arena->pool)
        block = take_pooled(arena->pool, size);
    if (!block) {
        block = malloc(whole);
        if (!block)
            return false;
        block->size = size;
    }
    block->used = 0;
    block->next = arena->head;
    arena->head = block;
    return true;
}

void *sl_arena_raw(struct sl_arena *arena, size_t count, size_t size)
{
    size_t need, rounded;
    if (arena->failed)
        return NULL;
    if (__builtin_mul_overflow(count, size, &need) || __builtin_add_overflow(need, ALIGN - 1, &rounded))
        goto fail;
    rounded &= ~(size_t)(ALIGN - 1);
    if (rounded > arena->ceiling - arena->used)
        goto fail;
    if ((!arena->head || rounded > arena->head->size - arena->head->used) && !grow(arena, rounded))
        goto fail;
    char *memory = arena->head->bytes + arena->head->used;
    arena->head->used += rounded;
    arena->used += rounded;
    return memory;
fail:
    arena->failed = true;
    return NULL;
}

void *sl_arena_array(struct sl_arena *arena, size_t count, size_t size)
{
    void *memory = sl_arena_raw(arena, count, size);
    if (memory)
        memset(memory, 0, count * size);
    return memory;
}

void *sl_arena_alloc(struct sl_arena *arena, size_t size)
{
    return sl_arena_array(arena, 1, size);
}

struct sl_slice sl_arena_copy(struct sl_arena *arena, struct sl_slice bytes)
{
    char *copy = sl_arena_raw(arena, bytes.len + 1, 1);
    if (!copy)
        return (struct sl_slice){NULL, 0};
    if (bytes.len)
        memcpy(copy, bytes.ptr, bytes.len);
    copy[bytes.len] = '\0';
    return (struct sl_slice){copy, bytes.len};
}

struct sl_slice sl_arena_join(struct sl_arena *arena, const struct sl_slice *parts, size_t count)
{
    size_t len = 0, at = 0;
    for (size_t i = 0; i < count; i++)
        len += parts[i].len; /* of things in memory: the sum of a few cannot overflow */
    char *text = sl_arena_raw(arena, len + 1, 1);
    if (!text)
        return (struct sl_slice){NULL, 0};
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len)
            memcpy(text + at, parts[i].ptr, parts[i].len);
        at += parts[i].len;
    }
    text[at] = '\0';
    return (struct sl_slice){text, len};
}

struct sl_slice sl_arena_printf(struct sl_arena *arena, const char *format, ...)
{
    va_list args;
    /* Tried where it would stand; most of the time it fits, and was not written in vain. */
    size_t room = arena->head && !arena->failed ? arena->head->size - arena->head->used : 0;
    char *there = room ? arena->head->bytes + arena->head->used : NULL;
    va_start(args, format);
    int need = sl_print(there, room, format, args);
    va_end(args);
    if (need >= 0 && (size_t)need < room && (room - (size_t)need) > ALIGN) {
        char *text = sl_arena_raw(arena, (size_t)need + 1, 1);
        SL_ASSERT(!text || text == there);
        return (struct sl_slice){text, text ? (size_t)need : 0};
    }
    char *text = need < 0 ? NULL : sl_arena_raw(arena, (size_t)need + 1, 1);
    if (!text)
        return (struct sl_slice){NULL, 0};
    va_start(args, format);
    sl_print(text, (size_t)need + 1, format, args);
    va_end(args);
    return (struct sl_slice){text, (size_t)need};
}

bool sl_arena_failed(const struct sl_arena *arena)
{
    return arena->failed;
}

size_t sl_arena_used(const struct sl_arena *arena)
{
    return arena->used;
}

bool sl_arena_holds(const struct sl_arena *arena, uintptr_t address)
{
    for (const struct block *block = arena->head; block; block = block->next)
        if (address - (uintptr_t)block->bytes < block->used)
            return true;
    return false;
}

void sl_arena_reset(struct sl_arena *arena)
{
    size_t kept = 0;
    for (struct block *block = arena->spare; block; block = block->next)
        kept += block->size;
    while (arena->head) {
        struct block *block = arena->head;
        arena->head = block->next;
        if (block->size > KEPT - kept) {
            free(block);
            continue;
        }
        kept += block->size;
        block->next = arena->spare;
        arena->spare = block;
    }
    arena->used = 0;
    arena->failed = false;
}
