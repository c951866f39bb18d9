/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times and numbers as searches compare them: a written value stands for the range its precision implies
 * (http://hl7.org/fhir/R4/search.html#date, #number, #prefix).
 */
#include <stdlib.h>

#include "search_parts.h"

#define SECOND INT64_C(1000000)
#define DAY (INT64_C(86400) * SECOND)

/* Days from 1970-01-01 in the proleptic Gregorian calendar; months may run over. */
static int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool digits(struct sl_slice *rest, unsigned count, unsigned *out)
{
    unsigned value = 0;
    if (rest->len < count)
        return false;
    for (unsigned i = 0; i < count; i++) {
        if (rest->ptr[i] < '0' || rest->ptr[i] > '9')
            return false;
        value = value * 10 + (unsigned)(rest->ptr[i] - '0');
    }
    *rest = sl_slice_from(*rest, count);
    *out = value;
    return true;
}

static bool skip(struct sl_slice *rest, char c)
{
    if (rest->len == 0 || rest->ptr[0] != c)
        return false;
    *rest = sl_slice_from(*rest, 1);
    return true;
}

static unsigned days_in(unsigned year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (unsigned)(month == 2 && leap);
}

/* ".123456789": microseconds, and the width of the last digit (1 at least). */
static bool fraction(struct sl_slice *rest, int64_t *micros, int64_t *width)
{
    size_t count = 0;
    int64_t value = 0, unit = SECOND;
    for (; count < rest->len && rest->ptr[count] >= '0' && rest->ptr[count] <= '9'; count++)
        if (unit > 1) {
            unit /= 10;
            value += (rest->ptr[count] - '0') * unit;
        }
    *rest = sl_slice_from(*rest, count);
    *micros = value;
    *width = unit;
    return count > 0;
}

/* "Z", "+05:00", or nothing; in minutes. */
static bool zone(struct sl_slice *rest, int *minutes)
{
    unsigned hour, minute;
    int sign = rest->len && rest->ptr[0] == '-' ? -1 : 1;
    *minutes = 0;
    if (rest->len == 0 || skip(rest, 'Z'))
        return true;
    if (!skip(rest, '+') && !skip(rest, '-'))
        return false;
    if (!digits(rest, 2, &hour) || !skip(rest, ':') || !digits(rest, 2, &minute) || hour > 14 || minute > 59)
        return false;
    *minutes = sign * (int)(hour * 60 + minute);
    return true;
}

/* "hh:mm[:ss[.f…]][zone]" */
static bool time_of_day(struct sl_slice *rest, int64_t *from, int64_t *width)
{
    unsigned hour, minute, second = 0;
    int64_t micros = 0;
    int offset;
    if (!digits(rest, 2, &hour) || !skip(rest, ':') || !digits(rest, 2, &minute) || hour > 23 || minute > 59)
        return false;
    *width = 60 * SECOND;
    if (skip(rest, ':')) {
        if (!digits(rest, 2, &second) || second > 60)
            return false;
        *width = SECOND;
        if (skip(rest, '.') && !fraction(rest, &micros, width))
            return false;
    }
    if (!zone(rest, &offset))
        return false;
    *from = ((int64_t)hour * 3600 + minute * 60 + second - (int64_t)offset * 60) * SECOND + micros;
    return true;
}

bool sl_time_range_read(struct sl_slice text, struct sl_time_range *out)
{
    unsigned year, month = 1, day = 1;
    int64_t from = 0, width = 0;
    if (!digits(&text, 4, &year) || year == 0)
        return false;
    if (text.len == 0) {
        *out = (struct sl_time_range){days_from_civil(year, 1, 1) * DAY, days_from_civil(year + 1, 1, 1) * DAY};
        return true;
    }
    if (!skip(&text, '-') || !digits(&text, 2, &month) || month < 1 || month > 12)
        return false;
    width = days_in(year, month) * DAY;
    if (text.len) {
        if (!skip(&text, '-') || !digits(&text, 2, &day) || day < 1 || day > days_in(year, month))
            return false;
        width = DAY;
    }
    if (text.len && (width != DAY || !skip(&text, 'T') || !time_of_day(&text, &from, &width)))
        return false;
    if (text.len)
        return false;
    from += days_from_civil(year, month, day) * DAY;
    *out = (struct sl_time_range){from, from + width};
    return true;
}

static bool within(struct sl_time_range outer, struct sl_time_range inner)
{
    return outer.from <= inner.from && inner.to <= outer.to;
}

bool sl_time_range_compare(const char *prefix, struct sl_time_range wanted, struct sl_time_range there)
{
    switch (prefix[0] << 8 | prefix[1]) {
    case 'e' << 8 | 'q':
        return within(wanted, there);
    case 'n' << 8 | 'e':
        return !within(wanted, there);
    case 'g' << 8 | 't':
        return there.to > wanted.to;
    case 'l' << 8 | 't':
        return there.from < wanted.from;
    case 'g' << 8 | 'e':
        return there.to > wanted.to || within(wanted, there);
    case 'l' << 8 | 'e':
        return there.from < wanted.from || within(wanted, there);
    case 's' << 8 | 'a':
        return there.from >= wanted.to;
    case 'e' << 8 | 'b':
        return there.to <= wanted.from;
    case 'a' << 8 | 'p':
        return there.to > wanted.from - (wanted.to - wanted.from) && there.from < wanted.to + (wanted.to - wanted.from);
    default:
        return false; /* a prefix nobody knows matches nothing */
    }
}

/* [-]digits[.digits][e[+-]digits]: what JSON and FHIR allow; strtod alone would take "inf", hex and spaces.
 * places: how many digits stand behind the point once the exponent is applied. */
static bool decimal_form(struct sl_slice rest, int *places)
{
    int fraction_digits = 0, exponent = 0, sign = 1;
    unsigned digit;
    skip(&rest, '-');
    if (!digits(&rest, 1, &digit))
        return false;
    while (digits(&rest, 1, &digit)) {
    }
    if (skip(&rest, '.')) {
        while (digits(&rest, 1, &digit))
            fraction_digits++;
        if (fraction_digits == 0)
            return false;
    }
    if (skip(&rest, 'e') || skip(&rest, 'E')) {
        sign = skip(&rest, '-') ? -1 : 1;
        if (sign > 0)
            skip(&rest, '+');
        if (rest.len == 0)
            return false;
        while (exponent < 1000 && digits(&rest, 1, &digit))
            exponent = exponent * 10 + (int)digit;
    }
    *places = fraction_digits - sign * exponent;
    return rest.len == 0;
}

static double half_unit(int places)
{
    double unit = 0.5;
    for (; places > 0; places--)
        unit /= 10;
    for (; places < 0; places++)
        unit *= 10;
    return unit;
}

bool sl_number_read(struct sl_slice text, struct sl_number *out)
{
    char copy[64];
    int places;
    if (text.len >= sizeof copy || !decimal_form(text, &places) || places < -300 || places > 300)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    out->value = strtod(copy, NULL);
    out->half = half_unit(places);
    return out->value > -1e300 && out->value < 1e300;
}

bool sl_number_compare(const char *prefix, struct sl_number wanted, double there)
{
    bool equal = there >= wanted.value - wanted.half && there < wanted.value + wanted.half;
    switch (prefix[0] << 8 | prefix[1]) {
    case 'e' << 8 | 'q':
        return equal;
    case 'n' << 8 | 'e':
        return !equal;
    case 'g' << 8 | 't':
    case 's' << 8 | 'a':
        return there > wanted.value;
    case 'l' << 8 | 't':
    case 'e' << 8 | 'b':
        return there < wanted.value;
    case 'g' << 8 | 'e':
        return there >= wanted.value || equal;
    case 'l' << 8 | 'e':
        return there <= wanted.value || equal;
    case 'a' << 8 | 'p':
        return equal || (there - wanted.value) * (there - wanted.value) <= wanted.value * wanted.value / 100;
    default:
        return false;
    }
}
