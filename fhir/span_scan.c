/* SPDX-License-Identifier: Apache-2.0 */
/* The portable scanner, and the search for the byte at fault, which all scanners share: see span_scan.h. */
#include "span_scan.h"

enum { BACKSLASH = 1, QUOTE = 2, COMMA = 4, COLON = 8, OPEN = 16, CLOSE = 32, SPACE = 64, CONTROL = 128 };

#define CONTROLS CONTROL, CONTROL, CONTROL, CONTROL, CONTROL, CONTROL, CONTROL, CONTROL
#define BLANK (CONTROL | SPACE)

static const uint8_t classes[256] = {
    CONTROLS,
    CONTROL,
    BLANK,
    BLANK,
    CONTROL,
    CONTROL,
    BLANK,
    CONTROL,
    CONTROL,
    CONTROLS,
    CONTROLS, /* 0x00 to 0x1f */
    [' '] = SPACE,
    ['\\'] = BACKSLASH,
    ['"'] = QUOTE,
    [','] = COMMA,
    [':'] = COLON,
    ['{'] = OPEN,
    ['['] = OPEN,
    ['}'] = CLOSE,
    [']'] = CLOSE,
};

unsigned sl_scan_utf8(const unsigned char *p, size_t left)
{
    unsigned char lead = p[0];
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || lead > 0xf4)
        return 0;
    unsigned length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (left < length)
        return 0;
    unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    for (unsigned i = 2; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

/* Transposes the 8 by 8 bits of a word: bit j of byte i becomes bit i of byte j. */
static uint64_t transpose(uint64_t x)
{
    uint64_t t = (x ^ x >> 7) & 0x00aa00aa00aa00aau;
    x ^= t ^ t << 7;
    t = (x ^ x >> 14) & 0x0000cccc0000ccccu;
    x ^= t ^ t << 14;
    t = (x ^ x >> 28) & 0x00000000f0f0f0f0u;
    return x ^ t ^ t << 28;
}

/* Eight bytes at a time: a class byte for each, then the word of them turned on its side. */
static void classify(const unsigned char *p, struct sl_scan_masks *m)
{
    *m = (struct sl_scan_masks){0};
    for (unsigned at = 0; at < SL_SCAN_BYTES; at += 8) {
        uint64_t word = 0;
        for (unsigned i = 0; i < 8; i++)
            word |= (uint64_t)classes[p[at + i]] << 8 * i;
        word = transpose(word);
        m->backslash |= (word & 0xff) << at;
        m->quote |= (word >> 8 & 0xff) << at;
        m->comma |= (word >> 16 & 0xff) << at;
        m->colon |= (word >> 24 & 0xff) << at;
        m->open |= (word >> 32 & 0xff) << at;
        m->close |= (word >> 40 & 0xff) << at;
        m->space |= (word >> 48 & 0xff) << at;
        m->control |= (word >> 56) << at;
    }
}

static bool is_ascii(const unsigned char *p)
{
    uint64_t words[SL_SCAN_BYTES / 8], any = 0;
    memcpy(words, p, sizeof words);
    for (unsigned i = 0; i < SL_SCAN_BYTES / 8; i++)
        any |= words[i];
    return (any & 0x8080808080808080u) == 0;
}

/* Checks the sequences that begin in [*from, to); *from becomes the beginning of the first that begins later. */
static bool check_utf8(struct sl_slice text, size_t *from, size_t to)
{
    while (*from < to) {
        unsigned length = sl_scan_utf8((const unsigned char *)text.ptr + *from, text.len - *from);
        if (!length)
            return false;
        *from += length;
    }
    return true;
}

/* Without the machine's instruction, this is what a compiler would call a function for. */
static inline unsigned count_bits(uint64_t x)
{
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    return (unsigned)(((x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u >> 56);
}

/* The bytes of the blocks from `at` on, which may end in the tail, are UTF-8 as far as sequences begin in them. */
static bool check_run(struct sl_slice text, const struct sl_scan_run *run, size_t at, size_t *checked)
{
    bool good = true;
    for (uint32_t i = 0; i < run->count && good; i++, at += SL_SCAN_BYTES) {
        size_t to = text.len - at < SL_SCAN_BYTES ? text.len : at + SL_SCAN_BYTES;
        if (*checked <= at && is_ascii(run->bytes + (size_t)i * SL_SCAN_BYTES))
            *checked = to;
        else
            good = check_utf8(text, checked, to);
    }
    return good;
}

static void scan_portable(struct sl_scan *scan)
{
    struct sl_scan_carry carry = {0};
    struct sl_scan_run run = {.count = 0};
    size_t checked = 0;
    for (bool good = true; sl_scan_more(scan, &carry, good, &run);) {
        good = check_run(scan->text, &run, (size_t)scan->count * SL_SCAN_BYTES, &checked);
        for (uint32_t i = 0; i < run.count; i++) {
            struct sl_scan_masks masks;
            classify(run.bytes + (size_t)i * SL_SCAN_BYTES, &masks);
            sl_scan_step(&carry, &masks, sl_scan_prefix_xor, count_bits, &scan->blocks[scan->count + i]);
        }
    }
}

static uint32_t *places_portable(const struct sl_scan_block *block, uint32_t count, uint32_t base, uint32_t *to)
{
    for (; count; count--, block++, base += SL_SCAN_BYTES)
        for (uint64_t bits = block->starts; bits; bits &= bits - 1)
            *to++ = base + (uint32_t)__builtin_ctzll(bits);
    return to;
}

const struct sl_scanner sl_scanner_portable = {"portable", scan_portable, places_portable};

#if !defined(__x86_64__)
const struct sl_scanner *sl_scanner_at(unsigned i)
{
    return i == 0 ? &sl_scanner_portable : NULL;
}
#endif

/* Plain and slow, and run once at most: only for texts already refused. */
size_t sl_scan_locate(const struct sl_scan *scan, const char **why, size_t *good)
{
    const unsigned char *p = (const unsigned char *)scan->text.ptr;
    size_t end = (size_t)scan->count * SL_SCAN_BYTES, opened = 0, i = 0;
    if (end > scan->text.len)
        end = scan->text.len;
    bool inside = false, escaped = false;
    *why = NULL;
    while (i < end) {
        unsigned length = sl_scan_utf8(p + i, scan->text.len - i);
        *why = !length ? "not UTF-8" : inside && p[i] < 0x20 ? "a control character in a string" : NULL;
        if (*why)
            break;
        if (p[i] == '"' && !escaped) {
            inside = !inside;
            opened = i;
        }
        escaped = p[i] == '\\' && !escaped;
        i += length;
    }
    *good = inside ? opened : *why ? i : scan->text.len;
    if (!*why && scan->open && !scan->stopped) {
        *why = "a string without an end";
        return opened;
    }
    return *why ? i : scan->text.len;
}
