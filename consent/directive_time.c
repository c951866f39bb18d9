/* SPDX-License-Identifier: Apache-2.0 */
/* The times of R4 (date, dateTime, instant; datatypes.html) as intervals of seconds: what is imprecise is long. */
#include "directive_model.h"

#define DAY 86400

/* Days from 1970-01-01, in the proleptic Gregorian calendar. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    int64_t past = year - 1;
    return past * 365 + past / 4 - past / 100 + past / 400 + before[month - 1] + (month > 2 && leap) + day - 1 - 719162;
}

static int64_t month_length(int64_t year, int64_t month)
{
    int64_t next_year = month == 12 ? year + 1 : year;
    return days_of(next_year, month % 12 + 1, 1) - days_of(year, month, 1);
}

/* Exactly `digits` digits at the front, taken off; -1 if they are not there. */
static int64_t take(struct sl_slice *text, size_t digits)
{
    int64_t value = 0;
    if (text->len < digits)
        return -1;
    for (size_t i = 0; i < digits; i++) {
        if (text->ptr[i] < '0' || text->ptr[i] > '9')
            return -1;
        value = value * 10 + (text->ptr[i] - '0');
    }
    *text = sl_slice_from(*text, digits);
    return value;
}

static bool take_char(struct sl_slice *text, char c)
{
    if (text->len == 0 || text->ptr[0] != c)
        return false;
    *text = sl_slice_from(*text, 1);
    return true;
}

/* "Z" or "+hh:mm": seconds east of UTC. */
static bool take_zone(struct sl_slice *text, int64_t *east)
{
    *east = 0;
    if (take_char(text, 'Z'))
        return true;
    bool west = text->len && text->ptr[0] == '-';
    if (!west && !(text->len && text->ptr[0] == '+'))
        return false;
    *text = sl_slice_from(*text, 1);
    int64_t hours = take(text, 2);
    if (!take_char(text, ':'))
        return false;
    int64_t minutes = take(text, 2);
    *east = (hours * 60 + minutes) * (west ? -60 : 60);
    return hours >= 0 && hours <= 14 && minutes >= 0 && minutes <= 59;
}

static bool take_clock(struct sl_slice *text, int64_t day, struct sl_moment *out)
{
    int64_t hours = take(text, 2), minutes = -1, seconds = -1, east;
    if (take_char(text, ':'))
        minutes = take(text, 2);
    if (take_char(text, ':'))
        seconds = take(text, 2);
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59 || seconds < 0 || seconds > 60)
        return false;
    if (take_char(text, '.')) {
        if (take(text, 1) < 0)
            return false;
        while (take(text, 1) >= 0)
            ;
    }
    if (!take_zone(text, &east) || text->len)
        return false;
    out->begin = day * DAY + hours * 3600 + minutes * 60 + seconds - east;
    out->end = out->begin + 1;
    return true;
}

static bool read_moment(struct sl_slice text, struct sl_moment *out)
{
    int64_t year = take(&text, 4), month, day;
    if (year < 1)
        return false;
    out->whole_days = true;
    out->begin = days_of(year, 1, 1) * DAY;
    out->end = days_of(year + 1, 1, 1) * DAY;
    if (text.len == 0)
        return true;
    if (!take_char(&text, '-') || (month = take(&text, 2)) < 1 || month > 12)
        return false;
    out->begin = days_of(year, month, 1) * DAY;
    out->end = out->begin + month_length(year, month) * DAY;
    if (text.len == 0)
        return true;
    if (!take_char(&text, '-') || (day = take(&text, 2)) < 1 || day > month_length(year, month))
        return false;
    out->begin += (day - 1) * DAY;
    out->end = out->begin + DAY;
    if (text.len == 0)
        return true;
    out->whole_days = false;
    return take_char(&text, 'T') && take_clock(&text, out->begin / DAY, out);
}

bool sl_moment_read(struct sl_slice text, struct sl_moment *out)
{
    *out = (struct sl_moment){0};
    struct sl_moment moment = {.there = true};
    if (!read_moment(text, &moment))
        return false;
    *out = moment;
    return true;
}
