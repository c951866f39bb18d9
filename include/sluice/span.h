/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON read once, strictly, into a flat array of spans over the received bytes.
 * Nothing is copied and nothing is rebuilt: 1.10 stays 1.10.
 *
 * Strict is: RFC 8259, valid UTF-8 (RFC 3629, no surrogates), no byte order mark, no duplicate keys in an
 * object, no escape in a key, no \u escape of half a surrogate pair, bounded depth, size and number of spans. Not
 * recursive. The text needs no padding and is never read beyond its end.
 *
 * Spans stand in document order. Each JSON value is one span; a key is not a span of its own, it belongs to
 * its value (sl_span_key). The first child of a non-empty container is at index + 1, the sibling that follows
 * is at `next`, and the last child's `next` is its parent's `next`:
 *
 *     for (uint32_t c = i + 1; c < doc->spans[i].next; c = doc->spans[c].next) …
 */
#ifndef SLUICE_SPAN_H
#define SLUICE_SPAN_H

#include <stdint.h>

#include "sluice/arena.h"
#include "sluice/slice.h"
#include "sluice/status.h"

enum sl_span_type {
    SL_SPAN_NONE,
    SL_SPAN_OBJECT,
    SL_SPAN_ARRAY,
    SL_SPAN_STRING,
    SL_SPAN_NUMBER,
    SL_SPAN_TRUE,
    SL_SPAN_FALSE,
    SL_SPAN_NULL
};

enum {
    SL_SPAN_MEMBER = 1,  /* a member of an object: it has a key */
    SL_SPAN_SIBLING = 2, /* its key begins with '_': `name` is that of the element without the underscore */
    SL_SPAN_ESCAPED = 4, /* a string that contains a backslash: compare it unescaped (sl_span_string) */
    SL_SPAN_PAIRED = 8   /* an object with at least one SL_SPAN_SIBLING member */
};

struct sl_span {
    uint32_t begin, end; /* bytes [begin, end) of the value; a string's include its quotes */
    uint32_t next;       /* index of the span after this one's last descendant */
    uint16_t name;       /* sl_name of the key (sluice/r4.h); 0 if it is no R4 property name, or there is no key */
    uint8_t type;        /* enum sl_span_type */
    uint8_t flags;
};

/* spans[0] is the root value; parents[i] is the container that holds spans[i] (0 for the root itself). The text must
 * outlive the document; spans and parents live in the arena of the parse. */
struct sl_doc {
    struct sl_slice text;
    const struct sl_span *spans;
    const uint32_t *parents;
    uint32_t count;
};

struct sl_doc_limits {
    size_t bytes;   /* at most 0xfffffff0 */
    uint32_t spans; /* counted before they are allocated */
    uint32_t depth; /* containers within containers */
};
extern const struct sl_doc_limits sl_doc_limits_default; /* 32 MiB, 4 Mi spans, depth 64 */

/* Where and why a parse failed, for operators: no content. `why` is a literal. */
struct sl_doc_error {
    size_t offset;
    const char *why;
};

/*
 * Parses one JSON text (white space around it allowed). SL_OK; SL_SYNTAX; SL_LIMIT; SL_NO_MEMORY.
 * limits NULL: the default ones. error may be NULL. On failure *out is zeroed. The arena needs, for n bytes with v
 * values, n/4 + 20v and a few thousand bytes more; v is known before anything is allocated for them.
 */
SL_MUST_CHECK enum sl_status sl_doc_parse(struct sl_arena *arena, struct sl_slice text,
    const struct sl_doc_limits *limits, struct sl_doc *out, struct sl_doc_error *error);

/* As sl_doc_parse, with the portable scanner only: tests and benchmarks compare the two. */
SL_MUST_CHECK enum sl_status sl_doc_parse_portable(struct sl_arena *arena, struct sl_slice text,
    const struct sl_doc_limits *limits, struct sl_doc *out, struct sl_doc_error *error);

/* The raw bytes of a value. */
static inline struct sl_slice sl_span_text(const struct sl_doc *doc, uint32_t i)
{
    return (struct sl_slice){doc->text.ptr + doc->spans[i].begin, doc->spans[i].end - doc->spans[i].begin};
}

/* The raw bytes between the quotes of a string; empty for any other type. */
static inline struct sl_slice sl_span_raw(const struct sl_doc *doc, uint32_t i)
{
    const struct sl_span *s = &doc->spans[i];
    if (s->type != SL_SPAN_STRING)
        return (struct sl_slice){NULL, 0};
    return (struct sl_slice){doc->text.ptr + s->begin + 1, s->end - s->begin - 2};
}

/* The key of a member, without quotes (keys hold no escapes); empty if it has none. Found by looking back. */
struct sl_slice sl_span_key(const struct sl_doc *doc, uint32_t i);

/* A string's value, unescaped: borrowed from the text if it holds no escape, else in the arena.
 * Empty with ptr NULL for other types, and if memory ran out (sl_arena_failed tells). */
struct sl_slice sl_span_string(const struct sl_doc *doc, uint32_t i, struct sl_arena *arena);

/* Is the string's value, unescaped, equal to `value`? Never allocates. */
bool sl_span_is(const struct sl_doc *doc, uint32_t i, struct sl_slice value);

/* The member of an object by name or by key; 0 if there is none (0 is the root, never a member). A name finds
 * the element itself, never its '_' sibling. */
uint32_t sl_span_member(const struct sl_doc *doc, uint32_t object, uint16_t name);
uint32_t sl_span_sibling(const struct sl_doc *doc, uint32_t object, uint16_t name);
uint32_t sl_span_member_key(const struct sl_doc *doc, uint32_t object, struct sl_slice key);

#endif
