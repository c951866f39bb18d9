/* SPDX-License-Identifier: Apache-2.0 */
/* Output gathered into few large blocks: see sluice/edit.h. Blocks grow with what has been written, so that a small
 * answer takes little and a large one is not in small pieces. */
#include "sluice/edit.h"

#define SMALLEST ((size_t)16 * 1024)
#define LARGEST ((size_t)256 * 1024)

static bool grow(struct sl_blocks *blocks)
{
    size_t capacity = blocks->total < SMALLEST ? SMALLEST : blocks->total > LARGEST ? LARGEST : blocks->total;
    struct sl_block *block = sl_arena_alloc(blocks->arena, sizeof *block);
    char *memory = sl_arena_raw(blocks->arena, capacity, 1);
    if (!block || !memory)
        return false;
    block->ptr = memory;
    block->capacity = capacity;
    if (blocks->last)
        blocks->last->next = block;
    else
        blocks->first = block;
    blocks->last = block;
    return true;
}

/* What fits the last block, as nearly all does. */
static inline bool add_within(struct sl_blocks *blocks, struct sl_slice bytes)
{
    struct sl_block *last = blocks->last;
    if (!last || blocks->failed || blocks->limit || !bytes.len || bytes.len > last->capacity - last->len)
        return false;
    memcpy(last->ptr + last->len, bytes.ptr, bytes.len);
    last->len += bytes.len;
    blocks->total += bytes.len;
    return true;
}

void sl_blocks_add(struct sl_blocks *blocks, struct sl_slice bytes)
{
    if (add_within(blocks, bytes) || blocks->failed)
        return;
    if (blocks->limit && bytes.len > blocks->limit - blocks->total) {
        blocks->failed = true;
        return;
    }
    while (bytes.len) {
        struct sl_block *last = blocks->last;
        if (!last || last->len == last->capacity) {
            blocks->failed = !grow(blocks);
            if (blocks->failed)
                return;
            continue;
        }
        size_t part = last->capacity - last->len < bytes.len ? last->capacity - last->len : bytes.len;
        memcpy(last->ptr + last->len, bytes.ptr, part);
        last->len += part;
        blocks->total += part;
        bytes = sl_slice_from(bytes, part);
    }
}

enum sl_status sl_blocks_join(const struct sl_blocks *blocks, struct sl_arena *arena, struct sl_slice *out)
{
    *out = (struct sl_slice){NULL, 0};
    if (blocks->failed)
        return SL_NO_MEMORY;
    if (blocks->first && blocks->first == blocks->last) {
        *out = (struct sl_slice){blocks->first->ptr, blocks->first->len};
        return SL_OK;
    }
    char *text = sl_arena_raw(arena, blocks->total + 1, 1);
    size_t len = 0;
    if (!text)
        return SL_NO_MEMORY;
    for (const struct sl_block *block = blocks->first; block; block = block->next) {
        memcpy(text + len, block->ptr, block->len);
        len += block->len;
    }
    *out = (struct sl_slice){text, len};
    return SL_OK;
}
