/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scanners for x86-64: AVX2, and AVX-512 where a whole block is one register. See span_scan.h. Compiled for the
 * plain machine but for the functions marked otherwise, which run only where the processor has what they need.
 *
 * UTF-8 is checked as in J. Keiser, D. Lemire, "Validating UTF-8 in less than one instruction per byte" (2021): three
 * table look-ups on the nibbles of each byte and the one before name the faults that both can be part of; a fault that
 * all three name is one.
 */
#if defined(__x86_64__)
#include <immintrin.h>

#include "span_scan.h"

#define AVX2 __attribute__((target("avx2,bmi,bmi2,popcnt,pclmul")))
#define AVX512 __attribute__((target("avx2,bmi,bmi2,popcnt,pclmul,avx512f,avx512bw,avx512vl,avx512vbmi2")))
#define INLINE(machine) machine __attribute__((always_inline)) static inline

/* Faults of two neighbouring bytes. TWO_CONTINUE is none where a longer sequence asks for it. */
enum {
    TOO_SHORT = 1,     /* a lead, then no continuation */
    TOO_LONG = 2,      /* ASCII, then a continuation */
    OVERLONG_3 = 4,    /* e0, then less than a0 */
    TOO_LARGE = 8,     /* f4, then more than 8f; or f5 and more, then 90 and more */
    SURROGATE = 16,    /* ed, then more than 9f */
    OVERLONG_2 = 32,   /* c0 or c1 */
    FOUR_80 = 64,      /* f0, then less than 90; or f5 and more, then less than 90 */
    TWO_CONTINUE = 128 /* two continuations */
};
/* Faults to which the low nibble of the first byte is all one; and what goes with others. */
#define ANY_LOW (TOO_SHORT | TOO_LONG | TWO_CONTINUE)
#define CONTINUES (TOO_LONG | OVERLONG_2 | TWO_CONTINUE)
#define LARGE_LOW (char)(ANY_LOW | TOO_LARGE | FOUR_80)

struct utf8 {
    __m256i before; /* the 32 bytes before */
    __m256i fault;
    bool open; /* the bytes before may end within a sequence */
};

/* The same 16 entries in both halves. */
INLINE(AVX2) __m256i look_up(__m256i nibbles, __m128i table)
{
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), nibbles);
}

INLINE(AVX2) __m256i high_nibbles(__m256i bytes)
{
    return _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(0x0f));
}

INLINE(AVX2) void check_utf8(struct utf8 *utf8, __m256i bytes)
{
    const __m128i first_high = _mm_setr_epi8(TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG,
        TOO_LONG, (char)TWO_CONTINUE, (char)TWO_CONTINUE, (char)TWO_CONTINUE, (char)TWO_CONTINUE,
        TOO_SHORT | OVERLONG_2, TOO_SHORT, TOO_SHORT | OVERLONG_3 | SURROGATE, TOO_SHORT | TOO_LARGE | FOUR_80);
    const __m128i first_low =
        _mm_setr_epi8((char)(ANY_LOW | OVERLONG_3 | OVERLONG_2 | FOUR_80), (char)(ANY_LOW | OVERLONG_2), (char)ANY_LOW,
            (char)ANY_LOW, (char)(ANY_LOW | TOO_LARGE), LARGE_LOW, LARGE_LOW, LARGE_LOW, LARGE_LOW, LARGE_LOW,
            LARGE_LOW, LARGE_LOW, LARGE_LOW, (char)(LARGE_LOW | SURROGATE), LARGE_LOW, LARGE_LOW);
    const __m128i second_high = _mm_setr_epi8(TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
        TOO_SHORT, TOO_SHORT, (char)(CONTINUES | OVERLONG_3 | FOUR_80), (char)(CONTINUES | OVERLONG_3 | TOO_LARGE),
        (char)(CONTINUES | SURROGATE | TOO_LARGE), (char)(CONTINUES | SURROGATE | TOO_LARGE), TOO_SHORT, TOO_SHORT,
        TOO_SHORT, TOO_SHORT);
    __m256i joint = _mm256_permute2x128_si256(utf8->before, bytes, 0x21);
    __m256i one = _mm256_alignr_epi8(bytes, joint, 15), two = _mm256_alignr_epi8(bytes, joint, 14),
            three = _mm256_alignr_epi8(bytes, joint, 13);
    __m256i faults = _mm256_and_si256(look_up(high_nibbles(one), first_high),
        _mm256_and_si256(look_up(_mm256_and_si256(one, _mm256_set1_epi8(0x0f)), first_low),
            look_up(high_nibbles(bytes), second_high)));
    /* The top bit where a lead two or three bytes before asks for a continuation: there, and only there, two meet. */
    __m256i asked = _mm256_or_si256(_mm256_subs_epu8(two, _mm256_set1_epi8((char)(0xe0 - 0x80))),
        _mm256_subs_epu8(three, _mm256_set1_epi8((char)(0xf0 - 0x80))));
    asked = _mm256_and_si256(asked, _mm256_set1_epi8((char)0x80));
    utf8->fault = _mm256_or_si256(utf8->fault, _mm256_xor_si256(asked, faults));
    utf8->before = bytes;
}

/* One block. ASCII after whole sequences needs no look; ASCII after others needs one, to see what is missing. */
INLINE(AVX2) void check_block(struct utf8 *utf8, __m256i low, __m256i high, bool ascii)
{
    if (__builtin_expect(ascii && !utf8->open, 1))
        return;
    check_utf8(utf8, low);
    check_utf8(utf8, high);
    utf8->open = !ascii;
}

INLINE(AVX2) uint64_t prefix_xor(uint64_t bits)
{
    __m128i product = _mm_clmulepi64_si128(_mm_set_epi64x(0, (int64_t)bits), _mm_set1_epi8(-1), 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}

INLINE(AVX2) uint64_t join(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

INLINE(AVX2) uint64_t equal(__m256i low, __m256i high, char c)
{
    __m256i all = _mm256_set1_epi8(c);
    return join(_mm256_cmpeq_epi8(low, all), _mm256_cmpeq_epi8(high, all));
}

/* White space by its low nibble: 0x20, 0x09, 0x0a, 0x0d. A byte is white space if it equals the entry of its nibble;
 * the other entries are zero, whose nibble is not theirs, and which is the answer for bytes beyond ASCII too. */
INLINE(AVX2) __m128i spaces(void)
{
    return _mm_setr_epi8(' ', 0, 0, 0, 0, 0, 0, 0, 0, '\t', '\n', 0, 0, '\r', 0, 0);
}

INLINE(AVX2) void classify_avx2(__m256i low, __m256i high, struct sl_scan_masks *m)
{
    const __m256i fold = _mm256_set1_epi8(0x20), last = _mm256_set1_epi8(0x1f);
    /* '[' and '{' differ in one bit, and so do ']' and '}'. */
    __m256i folded_low = _mm256_or_si256(low, fold), folded_high = _mm256_or_si256(high, fold);
    m->open = equal(folded_low, folded_high, '{');
    m->close = equal(folded_low, folded_high, '}');
    m->backslash = equal(low, high, '\\');
    m->quote = equal(low, high, '"');
    m->comma = equal(low, high, ',');
    m->colon = equal(low, high, ':');
    m->space = join(_mm256_cmpeq_epi8(low, look_up(low, spaces())), _mm256_cmpeq_epi8(high, look_up(high, spaces())));
    m->control =
        join(_mm256_cmpeq_epi8(_mm256_min_epu8(low, last), low), _mm256_cmpeq_epi8(_mm256_min_epu8(high, last), high));
}

INLINE(AVX2) __m256i load(const unsigned char *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

INLINE(AVX2) unsigned count_bits(uint64_t bits)
{
    return (unsigned)_mm_popcnt_u64(bits);
}

/* Where the text ends on a full block, no white space after it has shown that a sequence lacks bytes. */
INLINE(AVX2) bool is_good(struct utf8 *utf8, const struct sl_scan *scan, const struct sl_scan_run *run)
{
    if ((size_t)(scan->count + run->count) * SL_SCAN_BYTES >= scan->text.len)
        check_block(utf8, _mm256_setzero_si256(), _mm256_setzero_si256(), true);
    return _mm256_testz_si256(utf8->fault, utf8->fault);
}

AVX2 static void scan_avx2(struct sl_scan *scan)
{
    struct sl_scan_carry carry = {0};
    struct sl_scan_run run = {.count = 0};
    struct utf8 utf8 = {.open = false};
    for (bool good = true; sl_scan_more(scan, &carry, good, &run); good = is_good(&utf8, scan, &run)) {
        struct sl_scan_block *block = scan->blocks + scan->count, *end = block + run.count;
        for (const unsigned char *p = run.bytes; block < end; block++, p += SL_SCAN_BYTES) {
            __m256i low = load(p), high = load(p + 32);
            struct sl_scan_masks masks;
            classify_avx2(low, high, &masks);
            sl_scan_step(&carry, &masks, prefix_xor, count_bits, block);
            check_block(&utf8, low, high, _mm256_movemask_epi8(_mm256_or_si256(low, high)) == 0);
        }
    }
}

AVX2 static uint32_t *places_avx2(const struct sl_scan_block *block, uint32_t count, uint32_t base, uint32_t *to)
{
    for (; count; count--, block++, base += SL_SCAN_BYTES) {
        uint64_t bits = block->starts;
        uint32_t *end = to + _mm_popcnt_u64(bits);
        /* Eight at a time whether or not there are so many: a branch that can be foretold is worth more. */
        do {
            for (unsigned i = 0; i < 8; i++) {
                to[i] = base + (uint32_t)_tzcnt_u64(bits);
                bits = _blsr_u64(bits);
            }
            to += 8;
        } while (to < end);
        to = end;
    }
    return to;
}

/* What blocks are compared with. Kept in registers by saying that anything may have changed them: the compiler would
 * rather make each anew for every block. */
struct constants {
    __m512i fold, open, close, backslash, quote, comma, colon, spaces;
};
#define KEEP(vector) __asm__("" : "+v"(vector))

INLINE(AVX512) __m512i repeat(char c)
{
    __m512i all = _mm512_set1_epi8(c);
    KEEP(all);
    return all;
}

INLINE(AVX512) void classify_avx512(__m512i bytes, const struct constants *c, struct sl_scan_masks *m)
{
    __m512i folded = _mm512_or_si512(bytes, c->fold);
    m->open = _mm512_cmpeq_epi8_mask(folded, c->open);
    m->close = _mm512_cmpeq_epi8_mask(folded, c->close);
    m->backslash = _mm512_cmpeq_epi8_mask(bytes, c->backslash);
    m->quote = _mm512_cmpeq_epi8_mask(bytes, c->quote);
    m->comma = _mm512_cmpeq_epi8_mask(bytes, c->comma);
    m->colon = _mm512_cmpeq_epi8_mask(bytes, c->colon);
    m->space = _mm512_cmpeq_epi8_mask(bytes, _mm512_shuffle_epi8(c->spaces, bytes));
    m->control = _mm512_cmplt_epu8_mask(bytes, c->fold);
}

AVX512 static void scan_avx512(struct sl_scan *scan)
{
    struct sl_scan_carry carry = {0};
    struct sl_scan_run run = {.count = 0};
    struct utf8 utf8 = {.open = false};
    const struct constants constants = {repeat(' '), repeat('{'), repeat('}'), repeat('\\'), repeat('"'), repeat(','),
        repeat(':'), _mm512_broadcast_i32x4(spaces())};
    for (bool good = true; sl_scan_more(scan, &carry, good, &run); good = is_good(&utf8, scan, &run)) {
        struct sl_scan_block *block = scan->blocks + scan->count, *end = block + run.count;
        for (const unsigned char *p = run.bytes; block < end; block++, p += SL_SCAN_BYTES) {
            __m512i bytes = _mm512_loadu_si512(p);
            struct sl_scan_masks masks;
            classify_avx512(bytes, &constants, &masks);
            sl_scan_step(&carry, &masks, prefix_xor, count_bits, block);
            check_block(&utf8, load(p), load(p + 32), _mm512_movepi8_mask(bytes) == 0);
        }
    }
}

/* The numbers of the bits that are set, squeezed together, then widened 16 at a time. */
AVX512 static uint32_t *places_avx512(const struct sl_scan_block *block, uint32_t count, uint32_t base, uint32_t *to)
{
    static const unsigned char numbers[SL_SCAN_BYTES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17,
        18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45,
        46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
    const __m512i all = _mm512_loadu_si512(numbers);
    for (; count; count--, block++, base += SL_SCAN_BYTES) {
        __m512i which = _mm512_maskz_compress_epi8(block->starts, all), offset = _mm512_set1_epi32((int)base);
        uint32_t found = (uint32_t)_mm_popcnt_u64(block->starts);
        _mm512_storeu_si512(to, _mm512_add_epi32(_mm512_cvtepu8_epi32(_mm512_castsi512_si128(which)), offset));
        if (__builtin_expect(found > 16, 0))
            _mm512_storeu_si512(
                to + 16, _mm512_add_epi32(_mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(which, 1)), offset));
        if (__builtin_expect(found > 32, 0)) {
            _mm512_storeu_si512(
                to + 32, _mm512_add_epi32(_mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(which, 2)), offset));
            _mm512_storeu_si512(
                to + 48, _mm512_add_epi32(_mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(which, 3)), offset));
        }
        to += found;
    }
    return to;
}

const struct sl_scanner sl_scanner_avx2 = {"avx2", scan_avx2, places_avx2};
const struct sl_scanner sl_scanner_avx512 = {"avx512", scan_avx512, places_avx512};

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("pclmul");
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi2");
}

const struct sl_scanner *sl_scanner_at(unsigned i)
{
    const struct sl_scanner *all[] = {
        has_avx512() ? &sl_scanner_avx512 : NULL, has_avx2() ? &sl_scanner_avx2 : NULL, &sl_scanner_portable};
    for (unsigned at = 0; at < sizeof all / sizeof *all; at++)
        if (all[at] && i-- == 0)
            return all[at];
    return NULL;
}
#endif
