/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first stage of a parse: from bytes to bits. The text is cut into blocks of 64 bytes; for each, a scanner
 * finds the places where a string begins or ends, or a word or punctuation stands, what lies inside strings masked out.
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
#define SL_SCAN_RUN 64u /* blocks scanned between two looks at whether there is sense in going on */

struct sl_scan_block {
    uint64_t starts;  /* each quote that opens or closes a string, and, outside strings, each of {}[]:, and the first
                       * byte of each bare word */
    uint64_t escapes; /* each backslash that begins an escape */
};

struct sl_scan {
    struct sl_slice text;
    struct sl_scan_block *blocks; /* room for one per 64 bytes begun */
    uint32_t count;               /* blocks scanned */
    uint32_t depth;               /* the limit */
    uint64_t values; /* if the grammar holds, there is one value more than this at most: commas and openers */
    bool open;       /* the text ends within a string */
    bool stopped;    /* fault was found in the last blocks scanned */
};

/* What is carried from block to block. */
struct sl_scan_carry {
    uint64_t in_string; /* all ones within a string, else zero */
    uint64_t escaped;   /* 1 if the next block's first byte is escaped */
    uint64_t word;      /* 1 if the last byte belonged to a bare word */
    uint64_t faults;    /* not zero once a string held a control character */
    uint64_t values;    /* as in struct sl_scan */
    int64_t level;      /* containers open */
};

/* One block, classified: bit i speaks of byte i. */
struct sl_scan_masks {
    uint64_t backslash, quote, comma, colon, open, close, space, control;
};

struct sl_scanner {
    const char *name;
    /* Scans all of scan->text, or until it must stop. */
    void (*scan)(struct sl_scan *scan);
    /* Writes the places that `count` blocks hold, `base` being that of the first, and gives the end of what it wrote.
     * There is room for one place a byte and SL_SCAN_BYTES more. */
    uint32_t *(*places)(const struct sl_scan_block *block, uint32_t count, uint32_t base, uint32_t *to);
};
extern const struct sl_scanner sl_scanner_portable;

/* The scanners that this machine can run, the fastest first, the portable one last; NULL beyond it. */
const struct sl_scanner *sl_scanner_at(unsigned i);

/* The length of the UTF-8 sequence that begins at p, with `left` bytes there; 0 if there is none (RFC 3629, table 3-7
 * of the Unicode standard: no overlong forms, no surrogates, nothing above U+10FFFF). */
unsigned sl_scan_utf8(const unsigned char *p, size_t left);

/* Finds, within the blocks scanned, the first byte that may not be there, and why; text.len and NULL if there is none.
 * *good is how much of the text may be believed: up to that byte, or to the beginning of the string that holds it. */
size_t sl_scan_locate(const struct sl_scan *scan, const char **why, size_t *good);

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

/* Which bytes are escaped; *begins has the backslashes that escape them. A loop over escapes, since most blocks have
 * none. */
__attribute__((always_inline)) static inline uint64_t sl_scan_escaped(
    struct sl_scan_carry *carry, uint64_t backslash, uint64_t *begins)
{
    uint64_t escaped = carry->escaped;
    backslash &= ~escaped;
    carry->escaped = 0;
    while (backslash) {
        uint64_t first = backslash & -backslash;
        *begins |= first;
        escaped |= first << 1;
        carry->escaped = first >> 63;
        backslash &= ~(first | first << 1);
    }
    return escaped;
}

/* Turns the masks of one block into the two words of the second stage and the carries of the next block. The functions
 * are the scanner's own. */
__attribute__((always_inline)) static inline void sl_scan_step(struct sl_scan_carry *carry,
    const struct sl_scan_masks *m, uint64_t (*prefix_xor)(uint64_t), unsigned (*count_bits)(uint64_t),
    struct sl_scan_block *block)
{
    uint64_t escapes = 0, escaped = 0;
    if (__builtin_expect((m->backslash | carry->escaped) != 0, 0))
        escaped = sl_scan_escaped(carry, m->backslash, &escapes);
    uint64_t quote = m->quote & ~escaped;
    /* From each opening quote up to, but not including, the closing one. */
    uint64_t inside = prefix_xor(quote) ^ carry->in_string;
    carry->in_string = (uint64_t)((int64_t)inside >> 63);
    carry->faults |= m->control & inside;
    uint64_t punctuation = m->comma | m->colon | m->open | m->close;
    uint64_t word = ~(punctuation | m->space | quote | inside);
    uint64_t word_start = word & ~(word << 1 | carry->word);
    carry->word = word >> 63;
    *block = (struct sl_scan_block){(punctuation & ~inside) | quote | word_start, escapes};
    carry->level += (int64_t)count_bits(m->open & ~inside) - (int64_t)count_bits(m->close & ~inside);
    carry->values += count_bits((m->comma | m->open) & ~inside);
}

/* Blocks that lie behind one another: some of the text, or its tail with white space behind it. */
struct sl_scan_run {
    const unsigned char *bytes;
    uint32_t count;
    unsigned char tail[SL_SCAN_BYTES];
};

/*
 * Notes that the run is scanned, `good` saying whether its UTF-8 is, and gives the next one; false if there is none, or
 * no sense in it. All scanners have the same runs, so that they stop in the same places. The first run is a zeroed one.
 */
static inline bool sl_scan_more(
    struct sl_scan *scan, const struct sl_scan_carry *carry, bool good, struct sl_scan_run *run)
{
    scan->count += run->count;
    scan->values = carry->values;
    scan->stopped = !good || carry->faults || carry->level > (int64_t)scan->depth;
    size_t at = (size_t)scan->count * SL_SCAN_BYTES;
    if (at >= scan->text.len || scan->stopped) {
        scan->open = carry->in_string != 0;
        return false;
    }
    size_t left = scan->text.len - at, whole = left / SL_SCAN_BYTES;
    run->bytes = (const unsigned char *)scan->text.ptr + at;
    run->count = (uint32_t)(whole < SL_SCAN_RUN ? whole : SL_SCAN_RUN);
    if (!whole) {
        memset(run->tail, ' ', sizeof run->tail);
        memcpy(run->tail, run->bytes, left);
        run->bytes = run->tail;
        run->count = 1;
    }
    return true;
}

#endif
