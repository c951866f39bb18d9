/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The detail behind a status, for operators and privacy officers: an explicit
 * list, never a global last error. Texts hold ids and codes, never record content.
 */
#ifndef SLUICE_ISSUE_H
#define SLUICE_ISSUE_H

#include <stddef.h>

#include "sluice/arena.h"
#include "sluice/slice.h"

enum sl_grade { SL_GRADE_NOTE = 1, SL_GRADE_ADVICE, SL_GRADE_WARNING, SL_GRADE_ERROR };

struct sl_issue {
    enum sl_grade grade;
    struct sl_slice code;   /* stable, e.g. "unknown-key"; empty if none */
    struct sl_slice file;   /* path; empty if none */
    size_t line, column;    /* from 1; 0 if unknown */
    struct sl_slice text;   /* one sentence: what and why */
    struct sl_slice fix;    /* what to do; empty if none */
    struct sl_slice source; /* the line of the file, as it stands; empty if not at hand */
    size_t width;           /* characters from `column` on that it is about; 0 if unknown */
    struct sl_issue *next;
};

/* Zeroed is an empty list. Issues live in `arena`, set before the first add. */
struct sl_issues {
    struct sl_arena *arena;
    struct sl_issue *first, *last;
    size_t errors, count;
};

/* Adds an issue with a formatted text; gives it for filling in file, line, fix. NULL if memory ran out
 * (the error is counted all the same). A NULL list is allowed and drops the issue. */
struct sl_issue *sl_issue_add(struct sl_issues *issues, enum sl_grade grade, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
