/* SPDX-License-Identifier: Apache-2.0 */
/* See print.h. */
#include "print.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct printed {
    char *out;
    size_t room, len; /* len counts what found no room, too */
};

static void put(struct printed *p, const char *bytes, size_t len)
{
    size_t left = p->len < p->room ? p->room - p->len : 0;
    if (left)
        memcpy(p->out + p->len, bytes, len < left ? len : left);
    p->len += len;
}

static void put_number(struct printed *p, uint64_t value, bool negative)
{
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    if (negative)
        digits[--at] = '-';
    put(p, digits + at, sizeof digits - at);
}

static void put_signed(struct printed *p, int64_t value)
{
    put_number(p, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
}

/* A text of at most so many bytes; a NUL ends it. False: there is none, and vsnprintf has words for that. */
static bool put_text(struct printed *p, const char *text, int most)
{
    if (!text && most != 0)
        return false;
    put(p, text ? text : "", most == 0 ? 0 : most < 0 ? strlen(text) : strnlen(text, (size_t)most));
    return true;
}

/* One conversion, from the byte after its '%'. NULL: it is none of those known here. */
static const char *convert(struct printed *p, const char *at, va_list *args)
{
    bool known = true;
    if (at[0] == 's') {
        known = put_text(p, va_arg(*args, const char *), -1);
    } else if (at[0] == '.' && at[1] == '*' && at[2] == 's') {
        int most = va_arg(*args, int);
        known = put_text(p, va_arg(*args, const char *), most);
        at += 2;
    } else if (at[0] == 'd') {
        put_signed(p, va_arg(*args, int));
    } else if (at[0] == 'u') {
        put_number(p, va_arg(*args, unsigned), false);
    } else if (at[0] == 'z' && at[1] == 'u') {
        put_number(p, va_arg(*args, size_t), false);
        at++;
    } else if (at[0] == 'l' && at[1] == 'u') {
        put_number(p, va_arg(*args, unsigned long), false);
        at++;
    } else {
        known = false;
    }
    return known ? at + 1 : NULL;
}

int sl_print(char *out, size_t room, const char *format, va_list args)
{
    struct printed p = {out, room, 0};
    va_list left;
    va_copy(left, args);
    for (const char *at = format; at && *at;) {
        const char *next = strchrnul(at, '%');
        put(&p, at, (size_t)(next - at));
        at = *next ? convert(&p, next + 1, &left) : next;
        if (!at) {
            va_end(left);
            return vsnprintf(out, room, format, args);
        }
    }
    va_end(left);
    if (room)
        out[p.len < room ? p.len : room - 1] = '\0';
    return p.len <= INT_MAX ? (int)p.len : -1;
}
