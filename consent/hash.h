/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash of bytes for tables in memory: eight bytes at a time, folded with 64 by 64 bit multiplications. Not
 * cryptographic; tables keyed by what the wire sends start from a random seed. Never stored: it depends on byte order.
 */
#ifndef SLUICE_CONSENT_HASH_H
#define SLUICE_CONSENT_HASH_H

#include <stdint.h>
#include <string.h>

#include "sluice/slice.h"

static inline uint64_t sl_hash_fold(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The last `rest` bytes (at most eight), read by loads of fixed size: a copy of any size is a call, and waits for its
 * own stores. Bytes may be read twice; together with the length they still tell every text from every other. */
static inline uint64_t sl_hash_tail(struct sl_slice bytes, const char *at, size_t rest)
{
    uint64_t word = 0;
    uint32_t low, high;
    if (bytes.len >= 8) {
        memcpy(&word, bytes.ptr + bytes.len - 8, 8);
    } else if (rest >= 4) {
        memcpy(&low, at, 4);
        memcpy(&high, at + rest - 4, 4);
        word = low | (uint64_t)high << 32;
    } else if (rest) {
        word = (unsigned char)at[0] | (uint64_t)(unsigned char)at[rest / 2] << 8 |
               (uint64_t)(unsigned char)at[rest - 1] << 16;
    }
    return word;
}

static inline uint64_t sl_hash(struct sl_slice bytes, uint64_t seed)
{
    const uint64_t k0 = 0x9e3779b97f4a7c15u, k1 = 0xd6e8feb86659fd93u;
    uint64_t hash = seed ^ (bytes.len * k0), word;
    const char *at = bytes.ptr;
    size_t rest = bytes.len;
    for (; rest > 8; rest -= 8, at += 8) {
        memcpy(&word, at, 8);
        hash = sl_hash_fold(hash ^ word, k1);
    }
    return sl_hash_fold(hash ^ sl_hash_tail(bytes, at, rest), k0) ^ k1;
}

#endif
