/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One arena per exchange: memory that is given out in order and released
 * together, with a ceiling set at birth. What takes an arena lives as long as
 * that arena and is never freed singly.
 *
 * Overflow (the ceiling, or malloc failing) is sticky: every later call gives
 * NULL until sl_arena_reset, so a step may test sl_arena_failed once at its end.
 */
#ifndef SLUICE_ARENA_H
#define SLUICE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sluice/slice.h"

struct sl_arena;

/* A new arena of at most `ceiling` bytes; NULL if malloc fails. Caller owns. */
struct sl_arena *sl_arena_new(size_t ceiling);
void sl_arena_free(struct sl_arena *arena); /* NULL is fine. */

/*
 * A pool keeps the blocks of arenas that are gone for those that come, up to `kept` bytes of them. For one thread: its
 * arenas are made and freed where the pool is. A reused block is no more zeroed than one of malloc's. Under the address
 * sanitizer nothing is kept, so that what is used after its arena is caught. NULL if malloc fails.
 */
struct sl_arena_pool;
struct sl_arena_pool *sl_arena_pool_new(size_t kept);
/* Once its arenas have been freed. NULL is fine. */
void sl_arena_pool_free(struct sl_arena_pool *pool);
/* As sl_arena_new, with blocks of the pool. */
struct sl_arena *sl_arena_new_in(struct sl_arena_pool *pool, size_t ceiling);

/* Zeroed memory, aligned for any type; NULL once the arena has failed. */
void *sl_arena_alloc(struct sl_arena *arena, size_t size);
/* Zeroed array; the product is checked. */
void *sl_arena_array(struct sl_arena *arena, size_t count, size_t size);
/* As sl_arena_array, not zeroed: for what is written before it is read. */
void *sl_arena_raw(struct sl_arena *arena, size_t count, size_t size);

/* A copy of the bytes, NUL-terminated one past its length; ptr NULL on failure. */
struct sl_slice sl_arena_copy(struct sl_arena *arena, struct sl_slice bytes);
/* The slices one after the other, NUL-terminated one past the length; ptr NULL on failure. */
struct sl_slice sl_arena_join(struct sl_arena *arena, const struct sl_slice *parts, size_t count);
/* printf into the arena, NUL-terminated one past its length; ptr NULL on failure. */
struct sl_slice sl_arena_printf(struct sl_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

bool sl_arena_failed(const struct sl_arena *arena);
/* Bytes given out since birth or reset. */
size_t sl_arena_used(const struct sl_arena *arena);
/* Does the address lie in its memory? */
bool sl_arena_holds(const struct sl_arena *arena, uintptr_t address);
/* Forgets everything given out, and a failure; keeps up to 16 MiB of its memory for reuse. */
void sl_arena_reset(struct sl_arena *arena);

#endif
