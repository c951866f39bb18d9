/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of data classes: 256 bits. Which bit is which class is the policy's business (sluice/policy.h) for labels,
 * and the request's (sluice/decide.h) once classes are split. Zeroed is the empty set.
 */
#ifndef SLUICE_CLASSES_H
#define SLUICE_CLASSES_H

#include <stdbool.h>
#include <stdint.h>

#define SL_CLASS_LIMIT 256u
#define SL_CLASS_WORDS (SL_CLASS_LIMIT / 64u)

struct sl_classes {
    uint64_t word[SL_CLASS_WORDS];
};

static inline void sl_classes_add(struct sl_classes *set, unsigned bit)
{
    set->word[bit / 64] |= (uint64_t)1 << (bit % 64);
}

static inline bool sl_classes_has(const struct sl_classes *set, unsigned bit)
{
    return bit < SL_CLASS_LIMIT && (set->word[bit / 64] >> (bit % 64) & 1);
}

static inline void sl_classes_join(struct sl_classes *set, const struct sl_classes *more)
{
    for (unsigned i = 0; i < SL_CLASS_WORDS; i++)
        set->word[i] |= more->word[i];
}

static inline bool sl_classes_meet(const struct sl_classes *a, const struct sl_classes *b)
{
    uint64_t met = 0;
    for (unsigned i = 0; i < SL_CLASS_WORDS; i++)
        met |= a->word[i] & b->word[i];
    return met != 0;
}

static inline bool sl_classes_empty(const struct sl_classes *set)
{
    return sl_classes_meet(set, set) == false;
}

/* The lowest bit from `from` on; SL_CLASS_LIMIT if there is none. for (b = f(s,0); b < LIMIT; b = f(s,b+1)) */
static inline unsigned sl_classes_next(const struct sl_classes *set, unsigned from)
{
    for (unsigned i = from / 64; i < SL_CLASS_WORDS; i++) {
        uint64_t rest = set->word[i];
        if (i == from / 64)
            rest &= ~(uint64_t)0 << (from % 64);
        if (rest)
            return i * 64 + (unsigned)__builtin_ctzll(rest);
    }
    return SL_CLASS_LIMIT;
}

#endif
