/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first stage of a parse: from bytes to bits. The text is cut into blocks of 64 bytes; for each, a scanner
 * finds in which places a value, a key or punctuation begins, with all that lies inside strings masked out.
 * It also refuses what can be refused without knowing the grammar: bytes that are no UTF-8, control characters in
 * strings, strings without an end, nesting beyond the limit. The second stage (span_build.c) reads the bits.
 *
 * A scanner differs from another only in how it turns 64 bytes into masks and how it checks UTF-8. What the masks
 * mean is settled here, once, so that all scanners give the same bits. Private to fhir/span*.c.
 */
#ifndef SLUICE_SPAN_SCAN_H
#define SLUICE_SPAN_SCAN_H

#include <stdint.h>

#include "sluice/span.h"

#define SL_SCAN_BYTES 64u

struct sl_scan_block {
    uint64_t starts;  /* where a string, a bare word, or one of {}[]:, begins; outside strings */
    uint64_t escapes; /* each backslash that begins an escape */
};

struct sl_scan {
    struct sl_slice text;
    struct sl_scan_block *blocks; /* room for one per 64 bytes begun */
    uint32_t count;               /* blocks written */
    uint32_t depth;               /* the limit */
    uint64_t values;              /* at most as many values as this, if the grammar holds: commas, openers, and one */
    uint64_t opens, closes;       /* brackets and braces outside strings */
    uint64_t in_string;           /* carried into the next block: all ones within a string, else zero */
    uint64_t escaped;             /* carried: 1 if the next block's first byte is escaped */
    uint64_t word;                /* carried: 1 if the last byte belonged to a bare word */
    bool stopped;                 /* a block was refused; it is the last one written */
};

/* One block, classified: bit i speaks of byte i. */
struct sl_scan_masks {
    uint64_t backslash, quote, comma, colon, open, close, space, control;
};

struct sl_scanner {
    const char *name;
    /* Scans all of scan->text, or until it must stop. */
    void (*scan)(struct sl_scan *scan);
    /* Writes the places that `count` blocks hold, `base` being that of the first, and gives the end of what it wrote. There
     * is room for one place a byte and SL_SCAN_BYTES more. */
    uint32_t *(*places)(const struct sl_scan_block *block, uint32_t count, uint32_t base, uint32_t *to);
};
extern const struct sl_scanner sl_scanner_portable;

/* The scanners that this machine can run, the fastest first, the portable one last; NULL beyond it. */
const struct sl_scanner *sl_scanner_at(unsigned i);

/* The length of the UTF-8 sequence that begins at p, with `left` bytes there; 0 if there is none (RFC 3629, table 3-7
 * of the Unicode standard: no overlong forms, no surrogates, nothing above U+10FFFF). */
unsigned sl_scan_utf8(const unsigned char *p, size_t left);

/* Finds, within the blocks scanned, the first byte that may not be there, and why; text.len and NULL if there is none. */
size_t sl_scan_locate(const struct sl_scan *scan, const char **why);

/* Each bit becomes the exclusive or of itself and all below: from quotes to the insides of strings. */
static inline uint64_t sl_scan_prefix_xor(uint64_t bits)
{
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    return bits ^ bits << 32;
}

/* Which bytes are escaped; *begins has the backslashes that escape them. A loop over escapes, since most blocks have none. */
static inline uint64_t sl_scan_escaped(struct sl_scan *scan, uint64_t backslash, uint64_t *begins)
{
    uint64_t escaped = scan->escaped;
    backslash &= ~escaped;
    scan->escaped = 0;
    *begins = 0;
    while (backslash) {
        uint64_t first = backslash & -backslash;
        *begins |= first;
        escaped |= first << 1;
        scan->escaped = first >> 63;
        backslash &= ~(first | first << 1);
    }
    return escaped;
}

/*
 * Turns the masks of one block into the two words of the second stage and the carries of the next block. `prefix_xor` is
 * the scanner's own. Returns false if the block holds what no JSON text may hold; the block is written all the same.
 */
__attribute__((always_inline)) static inline bool sl_scan_step(struct sl_scan *scan, const struct sl_scan_masks *m,
    uint64_t (*prefix_xor)(uint64_t))
{
    uint64_t escapes = 0, escaped = 0;
    if (__builtin_expect((m->backslash | scan->escaped) != 0, 0))
        escaped = sl_scan_escaped(scan, m->backslash, &escapes);
    uint64_t quote = m->quote & ~escaped;
    /* From each opening quote up to, but not including, the closing one. */
    uint64_t inside = prefix_xor(quote) ^ scan->in_string;
    scan->in_string = (uint64_t)((int64_t)inside >> 63);
    uint64_t punctuation = (m->comma | m->colon | m->open | m->close) & ~inside;
    uint64_t word = ~(punctuation | m->space | quote | inside);
    uint64_t word_start = word & ~(word << 1 | scan->word);
    scan->word = word >> 63;
    scan->blocks[scan->count++] = (struct sl_scan_block){punctuation | (quote & inside) | word_start, escapes};
    scan->opens += (unsigned)__builtin_popcountll(m->open & ~inside);
    scan->closes += (unsigned)__builtin_popcountll(m->close & ~inside);
    scan->values += (unsigned)__builtin_popcountll((m->comma | m->open) & ~inside);
    bool too_deep = (int64_t)(scan->opens - scan->closes) > (int64_t)scan->depth;
    return !((m->control & inside) != 0 || too_deep);
}

#endif
