/* SPDX-License-Identifier: Apache-2.0 */
/* The small grammars inside a JSON text: numbers and escapes. See span_build.h. */
#include "span_build.h"

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static inline const char *skip_digits(const char *p, const char *end)
{
    while (p < end && is_digit(*p))
        p++;
    return p;
}

/* number = [ minus ] int [ frac ] [ exp ]; a leading zero stands alone. */
size_t sl_span_number(const char *p, size_t left)
{
    const char *begin = p, *end = p + left, *digits;
    if (p < end && *p == '-')
        p++;
    digits = p;
    p = p < end && *p == '0' ? p + 1 : skip_digits(p, end);
    if (p == digits)
        return 0;
    if (p < end && *p == '.') {
        digits = ++p;
        p = skip_digits(p, end);
        if (p == digits)
            return 0;
    }
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        digits = p;
        p = skip_digits(p, end);
        if (p == digits)
            return 0;
    }
    return (size_t)(p - begin);
}

/* Four hexadecimal digits; negative if they are not. */
static int32_t read_hex(const char *p, size_t left)
{
    int32_t value = 0;
    for (unsigned i = 0; i < 4; i++) {
        char c = i < left ? p[i] : 0;
        char low = (char)(c | 0x20);
        int digit = is_digit(c) ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

static unsigned encode(int32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    unsigned length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (unsigned i = length - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)((0xf0 << (4 - length)) | code);
    return length;
}

/* \uXXXX, and both halves where it is the first of a surrogate pair. */
static size_t unescape_unicode(const char *p, size_t left, char out[4], unsigned *out_len)
{
    int32_t code = read_hex(p + 2, left - 2);
    size_t took = 6;
    if (code < 0 || (code >= 0xdc00 && code <= 0xdfff))
        return 0;
    if (code >= 0xd800 && code <= 0xdbff) {
        if (left < 12 || p[6] != '\\' || p[7] != 'u')
            return 0;
        int32_t low = read_hex(p + 8, left - 8);
        if (low < 0xdc00 || low > 0xdfff)
            return 0;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        took = 12;
    }
    *out_len = encode(code, out);
    return took;
}

size_t sl_span_unescape(const char *p, size_t left, char out[4], unsigned *out_len)
{
    static const char plain[256] = {
        ['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t'};
    if (left < 2)
        return 0;
    if (p[1] == 'u')
        return unescape_unicode(p, left, out, out_len);
    out[0] = plain[(unsigned char)p[1]];
    *out_len = 1;
    return out[0] ? 2 : 0;
}
