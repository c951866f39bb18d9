/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Duplicate keys in large objects, found in linear time whatever the keys are. Known names have a bit each. Unknown
 * keys are few in honest records; where they are many they go through a hash whose key is drawn anew each time, so that
 * nobody can choose keys that collide. The answer does not depend on what was drawn.
 */
#include <sys/random.h>

#include "sluice/r4.h"
#include "span_build.h"

#define FEW 8u /* unknown keys compared each with each */

__extension__ typedef unsigned __int128 wide;
#define PRIME ((1ull << 61) - 1)

/*
 * The key as the coefficients of a polynomial over the field of 2^61 - 1, at a point nobody knows: two different keys
 * of n bytes agree with a chance of about n / 7 in 2^61. The last step multiplies, so that the low bits are as good as
 * any.
 */
static uint64_t hash(struct sl_slice key, uint64_t point)
{
    uint64_t value = key.len + 1;
    for (size_t at = 0; at < key.len; at += 7) {
        uint64_t part = 0;
        memcpy(&part, key.ptr + at, key.len - at < 7 ? key.len - at : 7);
        wide product = (wide)(value + part) * point;
        value = (uint64_t)(product & PRIME) + (uint64_t)(product >> 61);
        value = (value & PRIME) + (value >> 61);
    }
    return value;
}

/* The first unknown member after `from`, in the object that ends at `stop`. */
static uint32_t next_unknown(const struct sl_doc *doc, uint32_t from, uint32_t stop)
{
    while (from < stop && doc->spans[from].name != 0)
        from = doc->spans[from].next;
    return from;
}

static uint32_t find_known(const struct sl_doc *doc, uint32_t object)
{
    uint64_t seen[(2 * SL_NAMES + 63) / 64] = {0};
    for (uint32_t c = object + 1; c < doc->spans[object].next; c = doc->spans[c].next) {
        if (!doc->spans[c].name)
            continue;
        uint32_t code = (uint32_t)doc->spans[c].name << 1 | ((doc->spans[c].flags & SL_SPAN_SIBLING) != 0);
        if (seen[code / 64] >> code % 64 & 1)
            return c;
        seen[code / 64] |= 1ull << code % 64;
    }
    return 0;
}

static uint32_t find_among_few(const struct sl_doc *doc, uint32_t object)
{
    uint32_t stop = doc->spans[object].next, count = 0;
    struct sl_slice keys[FEW];
    for (uint32_t c = next_unknown(doc, object + 1, stop); c < stop; c = next_unknown(doc, doc->spans[c].next, stop)) {
        struct sl_slice key = sl_span_key(doc, c);
        for (uint32_t i = 0; i < count; i++)
            if (sl_slice_eq(keys[i], key))
                return c;
        keys[count++] = key;
    }
    return 0;
}

struct entry {
    struct sl_slice key;
    uint32_t next; /* the entry after this one in its chain; 0 ends it */
};

static enum sl_status find_among_many(
    struct sl_arena *arena, const struct sl_doc *doc, uint32_t object, uint32_t count, uint32_t *twin)
{
    uint32_t size = 2u << (31 - __builtin_clz(count)), stop = doc->spans[object].next, used = 0;
    uint32_t *heads = sl_arena_array(arena, size, sizeof *heads);
    struct entry *entries = sl_arena_raw(arena, (size_t)count + 1, sizeof *entries);
    uint64_t point;
    if (!heads || !entries || getrandom(&point, sizeof point, 0) != sizeof point)
        return SL_NO_MEMORY;
    point %= PRIME;
    for (uint32_t c = next_unknown(doc, object + 1, stop); c < stop; c = next_unknown(doc, doc->spans[c].next, stop)) {
        struct sl_slice key = sl_span_key(doc, c);
        uint32_t *head = &heads[hash(key, point) & (size - 1)];
        for (uint32_t e = *head; e; e = entries[e].next)
            if (sl_slice_eq(entries[e].key, key)) {
                *twin = c;
                return SL_OK;
            }
        entries[++used] = (struct entry){key, *head};
        *head = used;
    }
    return SL_OK;
}

enum sl_status sl_span_find_twin(struct sl_arena *arena, const struct sl_doc *doc, uint32_t object, uint32_t *twin)
{
    uint32_t unknown = 0, stop = doc->spans[object].next;
    *twin = find_known(doc, object);
    if (*twin)
        return SL_OK;
    for (uint32_t c = next_unknown(doc, object + 1, stop); c < stop; c = next_unknown(doc, doc->spans[c].next, stop))
        unknown++;
    if (unknown > FEW)
        return find_among_many(arena, doc, object, unknown, twin);
    *twin = find_among_few(doc, object);
    return SL_OK;
}
