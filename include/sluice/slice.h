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
    return a.len == b.len && (a.len == 0 || a.ptr == b.ptr || memcmp(a.ptr, b.ptr, a.len) == 0);
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

/* By bytes, then by length: below, at or above 0, as memcmp. */
static inline int sl_slice_compare(struct sl_slice a, struct sl_slice b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* Where the words first stand in a short text; NULL: nowhere. `rare` is the place of a byte of theirs that is seldom
 * seen otherwise. memmem makes a table first, which costs more than to look through a reference. */
static inline const char *sl_slice_find(struct sl_slice text, struct sl_slice words, size_t rare)
{
    size_t from = rare;
    while (text.len >= words.len && from <= text.len - words.len + rare) {
        const char *at = (const char *)memchr(text.ptr + from, words.ptr[rare], text.len - words.len + rare + 1 - from);
        if (!at || memcmp(at - rare, words.ptr, words.len) == 0)
            return at ? at - rare : NULL;
        from = (size_t)(at - text.ptr) + 1;
    }
    return NULL;
}

/* A slice of a NUL-terminated string of ours (arguments, literals); never for input. */
static inline struct sl_slice sl_slice_of(const char *text)
{
    return (struct sl_slice){text, text ? strlen(text) : 0};
}

#endif
