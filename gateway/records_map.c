/* SPDX-License-Identifier: Apache-2.0 */
/* A map from text to text in an arena: open addressing, doubled when half full. See records_parts.h. */
#include "records_parts.h"

static size_t slot_of(const struct sl_text_map *map, struct sl_slice key)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ (unsigned char)key.ptr[i]) * UINT64_C(0x100000001b3);
    size_t slot = (size_t)(hash ^ hash >> 32) & (map->capacity - 1);
    while (map->pairs[slot].key.ptr && !sl_slice_eq(map->pairs[slot].key, key))
        slot = (slot + 1) & (map->capacity - 1);
    return slot;
}

static enum sl_status grow(struct sl_text_map *map)
{
    struct sl_text_map bigger = *map;
    bigger.capacity = map->capacity ? map->capacity * 2 : 64;
    bigger.pairs = sl_arena_array(map->arena, bigger.capacity, sizeof *bigger.pairs);
    if (!bigger.pairs)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->pairs[i].key.ptr)
            bigger.pairs[slot_of(&bigger, map->pairs[i].key)] = map->pairs[i];
    *map = bigger;
    return SL_OK;
}

struct sl_slice *sl_text_map_get(const struct sl_text_map *map, struct sl_slice key)
{
    if (map->capacity == 0)
        return NULL;
    struct sl_text_pair *pair = &map->pairs[slot_of(map, key)];
    return pair->key.ptr ? &pair->value : NULL;
}

enum sl_status sl_text_map_put(struct sl_text_map *map, struct sl_slice key, struct sl_slice value, bool *is_new)
{
    SL_ASSERT(key.ptr);
    if (map->count * 2 >= map->capacity)
        SL_TRY(grow(map));
    struct sl_text_pair *pair = &map->pairs[slot_of(map, key)];
    *is_new = !pair->key.ptr;
    if (*is_new) {
        *pair = (struct sl_text_pair){key, value};
        map->count++;
    }
    return SL_OK;
}
