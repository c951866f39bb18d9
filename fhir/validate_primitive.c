/* SPDX-License-Identifier: Apache-2.0 */
/* The lexical forms of R4's primitives: see sluice/validate.h. Each is a small reader that takes what it knows from the
 * front of the text; a text is good if the reader takes all of it. Source: http://hl7.org/fhir/R4/datatypes.html. */
#include "sluice/validate.h"

#include <string.h>

#define STRING_LIMIT ((size_t)1024 * 1024) /* of a string (datatypes.html); larger things are base64Binary */

/* ---- Readers ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes exactly `count` digits as a number within [least, most]. */
static bool take_number(struct sl_slice *text, unsigned count, unsigned least, unsigned most)
{
    unsigned value = 0;
    if (text->len < count)
        return false;
    for (unsigned i = 0; i < count; i++) {
        if (!is_digit(text->ptr[i]))
            return false;
        value = value * 10 + (unsigned)(text->ptr[i] - '0');
    }
    *text = sl_slice_from(*text, count);
    return value >= least && value <= most;
}

static bool take(struct sl_slice *text, char c)
{
    if (!text->len || text->ptr[0] != c)
        return false;
    *text = sl_slice_from(*text, 1);
    return true;
}

/* The number of digits at the front, taken. */
static size_t take_digits(struct sl_slice *text)
{
    size_t count = 0;
    while (count < text->len && is_digit(text->ptr[count]))
        count++;
    *text = sl_slice_from(*text, count);
    return count;
}

/* Days of a month that exists; `text` stands at its first digit. */
static bool take_date(struct sl_slice *text, unsigned *parts)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct sl_slice year = *text;
    *parts = 1;
    if (!take_number(text, 4, 1, 9999))
        return false;
    unsigned number = (unsigned)(year.ptr[0] - '0') * 1000 + (unsigned)(year.ptr[1] - '0') * 100 +
                      (unsigned)(year.ptr[2] - '0') * 10 + (unsigned)(year.ptr[3] - '0');
    bool leap = (number % 4 == 0 && number % 100 != 0) || number % 400 == 0;
    if (!take(text, '-'))
        return true;
    struct sl_slice month = *text;
    *parts = 2;
    if (!take_number(text, 2, 1, 12))
        return false;
    unsigned at = (unsigned)(month.ptr[0] - '0') * 10 + (unsigned)(month.ptr[1] - '0');
    if (!take(text, '-'))
        return true;
    *parts = 3;
    return take_number(text, 2, 1, days[at - 1] + (unsigned)(at == 2 && leap));
}

static bool take_time(struct sl_slice *text)
{
    if (!take_number(text, 2, 0, 23) || !take(text, ':') || !take_number(text, 2, 0, 59) || !take(text, ':') ||
        !take_number(text, 2, 0, 60))
        return false;
    return !take(text, '.') || take_digits(text) > 0;
}

static bool take_zone(struct sl_slice *text)
{
    if (take(text, 'Z'))
        return true;
    if (!take(text, '+') && !take(text, '-'))
        return false;
    return take_number(text, 2, 0, 14) && take(text, ':') && take_number(text, 2, 0, 59);
}

/* ---- One check a primitive ---- */

static bool is_date(struct sl_slice text)
{
    unsigned parts;
    return take_date(&text, &parts) && !text.len;
}

static bool is_moment(struct sl_slice text, bool whole)
{
    unsigned parts;
    if (!take_date(&text, &parts))
        return false;
    if (!text.len)
        return !whole;
    return parts == 3 && take(&text, 'T') && take_time(&text) && take_zone(&text) && !text.len;
}

static bool is_date_time(struct sl_slice text)
{
    return is_moment(text, false);
}

static bool is_instant(struct sl_slice text)
{
    return is_moment(text, true);
}

static bool is_time(struct sl_slice text)
{
    return take_time(&text) && !text.len;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_string(struct sl_slice text)
{
    bool seen = false;
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < 0x20 && !is_blank(text.ptr[i]))
            return false;
        seen = seen || !is_blank(text.ptr[i]);
    }
    return seen && text.len <= STRING_LIMIT;
}

/* No blanks at the ends, and single ones within. */
static bool is_code(struct sl_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        bool blank = is_blank(text.ptr[i]);
        if ((unsigned char)text.ptr[i] < 0x20 || (blank && (i == 0 || i + 1 == text.len || is_blank(text.ptr[i - 1]))))
            return false;
    }
    return text.len > 0;
}

static bool is_uri(struct sl_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] <= 0x20)
            return false;
    return text.len > 0;
}

static bool is_id(struct sl_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!is_digit(c) && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '-' && c != '.')
            return false;
    }
    return text.len >= 1 && text.len <= 64;
}

static bool is_oid(struct sl_slice text)
{
    if (!sl_slice_starts(text, SL_LIT("urn:oid:")))
        return false;
    text = sl_slice_from(text, 8);
    if (!take_number(&text, 1, 0, 2) || !text.len)
        return false;
    while (text.len) {
        if (!take(&text, '.') || !text.len)
            return false;
        bool zero = text.ptr[0] == '0';
        size_t digits = take_digits(&text);
        if (!digits || (zero && digits > 1))
            return false;
    }
    return true;
}

static bool is_uuid(struct sl_slice text)
{
    if (text.len != 45 || !sl_slice_starts(text, SL_LIT("urn:uuid:")))
        return false;
    for (size_t i = 9; i < text.len; i++) {
        size_t at = i - 9;
        char c = text.ptr[i];
        bool dash = at == 8 || at == 13 || at == 18 || at == 23;
        if (dash ? c != '-' : !is_digit(c) && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F'))
            return false;
    }
    return true;
}

/* Blanks may stand anywhere; the rest comes in groups of four. */
static bool is_base64(struct sl_slice text)
{
    size_t count = 0, padding = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (is_blank(c))
            continue;
        bool letter = is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' || c == '/';
        if (c == '=')
            padding++;
        else if (!letter || padding)
            return false;
        count++;
    }
    return count > 0 && count % 4 == 0 && padding <= 2;
}

static bool is_boolean(struct sl_slice text)
{
    return sl_slice_eq(text, SL_LIT("true")) || sl_slice_eq(text, SL_LIT("false"));
}

/* No zero before other digits, and within 32 bits. */
static bool is_integer_from(struct sl_slice text, int64_t least)
{
    bool negative = take(&text, '-');
    int64_t value = 0;
    if (!text.len || text.len > 10 || (text.ptr[0] == '0' && text.len > 1))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.ptr[i]))
            return false;
        value = value * 10 + (text.ptr[i] - '0');
    }
    value = negative ? -value : value;
    return value >= least && value <= INT32_MAX;
}

static bool is_integer(struct sl_slice text)
{
    return is_integer_from(text, INT32_MIN);
}

static bool is_unsigned(struct sl_slice text)
{
    return is_integer_from(text, 0);
}

static bool is_positive(struct sl_slice text)
{
    return is_integer_from(text, 1);
}

static bool is_decimal(struct sl_slice text)
{
    (void)take(&text, '-');
    bool zero = text.len && text.ptr[0] == '0';
    size_t digits = take_digits(&text);
    if (!digits || (zero && digits > 1) || (take(&text, '.') && !take_digits(&text)))
        return false;
    if (take(&text, 'e') || take(&text, 'E')) {
        if (!take(&text, '+'))
            (void)take(&text, '-');
        return take_digits(&text) && !text.len;
    }
    return !text.len;
}

static bool is_narrative(struct sl_slice text)
{
    return sl_slice_starts(text, SL_LIT("<div"));
}

static const struct form {
    sl_r4_node node;
    bool (*check)(struct sl_slice text);
} forms[] = {
    {SL_R4_base64Binary, is_base64},
    {SL_R4_boolean, is_boolean},
    {SL_R4_canonical, is_uri},
    {SL_R4_code, is_code},
    {SL_R4_date, is_date},
    {SL_R4_dateTime, is_date_time},
    {SL_R4_decimal, is_decimal},
    {SL_R4_id, is_id},
    {SL_R4_instant, is_instant},
    {SL_R4_integer, is_integer},
    {SL_R4_markdown, is_string},
    {SL_R4_oid, is_oid},
    {SL_R4_positiveInt, is_positive},
    {SL_R4_string, is_string},
    {SL_R4_time, is_time},
    {SL_R4_unsignedInt, is_unsigned},
    {SL_R4_uri, is_uri},
    {SL_R4_url, is_uri},
    {SL_R4_uuid, is_uuid},
    {SL_R4_xhtml, is_narrative},
};

bool sl_primitive_valid(sl_r4_node node, struct sl_slice text)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (forms[i].node == node)
            return forms[i].check(text);
    return false;
}
