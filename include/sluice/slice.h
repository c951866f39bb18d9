/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes are a slice: a pointer and a length. A slice never owns what it
 * points at; whoever hands one out says how long it lives.
 */
#ifndef SLUICE_SLICE_H
#define SLUICE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct sl_slice {
    const char *ptr;
    size_t len;
};

/* A slice of a string literal. */
#define SL_LIT(s) ((struct sl_slice){(s), sizeof(s) - 1})

/* printf helper: printf("%.*s", SL_FMT(slice)). */
#define SL_FMT(s) (int)(s).len, ((s).ptr ? (s).ptr : "")

static inline bool sl_slice_eq(struct sl_slice a, struct sl_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool sl_slice_starts(struct sl_slice s, struct sl_slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

/* The part of s from offset on; empty where offset lies beyond its end. */
static inline struct sl_slice sl_slice_from(struct sl_slice s, size_t offset)
{
    if (offset >= s.len)
        return (struct sl_slice){NULL, 0};
    return (struct sl_slice){s.ptr + offset, s.len - offset};
}

/* A slice of a NUL-terminated string of ours (arguments, literals); never for input. */
static inline struct sl_slice sl_slice_of(const char *text)
{
    return (struct sl_slice){text, text ? strlen(text) : 0};
}

#endif
