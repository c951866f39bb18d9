/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts kept for a while under random handles: upstream page links too long for a sealed cursor of fixed length.
 * Bounded in number; the oldest goes first. Shared by all workers, since the next page may be asked of any of them; a
 * lock is held for a copy at most.
 */
#ifndef SLUICE_GATEWAY_SHELF_H
#define SLUICE_GATEWAY_SHELF_H

#include <stdint.h>

#include "sluice/arena.h"
#include "sluice/slice.h"
#include "sluice/status.h"

#define SL_SHELF_HANDLE 16u
#define SL_SHELF_TEXT 8192u /* longest text */

struct sl_shelf;

/* slots: how many texts at a time. NULL if memory ran out. Caller owns. */
struct sl_shelf *sl_shelf_new(size_t slots);
void sl_shelf_free(struct sl_shelf *shelf);

SL_MUST_CHECK enum sl_status sl_shelf_put(
    struct sl_shelf *shelf, struct sl_slice text, int64_t expires, unsigned char handle[SL_SHELF_HANDLE]);
/* Copied into the arena. SL_MISSING: never there, expired, or crowded out. */
SL_MUST_CHECK enum sl_status sl_shelf_get(struct sl_shelf *shelf, const unsigned char handle[SL_SHELF_HANDLE],
    int64_t now, struct sl_arena *arena, struct sl_slice *text);

#endif
