/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict CSV (RFC 4180, UTF-8, header in the first line) read in place, row by row, with issues that name file and
 * line. Columns are found by name; one that is unknown, missing or double is an issue, as is a row of another length.
 */
#ifndef SLUICE_CONSENT_CSV_H
#define SLUICE_CONSENT_CSV_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/issue.h"
#include "sluice/slice.h"

#define SL_CSV_COLUMNS 16u

struct sl_csv {
    struct sl_slice file, text; /* borrowed; unquoted fields live in the arena */
    struct sl_issues *issues;
    struct sl_arena *arena;
    size_t at;
    uint32_t line, next_line;              /* of the row last read, from 1; of the byte at `at` */
    bool loose;                            /* somebody else's file: see sl_csv_open */
    unsigned width, wanted;                /* columns of the file; of those asked for */
    bool missing[SL_CSV_COLUMNS];          /* a wanted column that the file has not */
    unsigned place[SL_CSV_COLUMNS];        /* wanted column -> column of the file */
    struct sl_slice field[SL_CSV_COLUMNS]; /* of the row last read, in the order wanted */
};

/* Reads the header. `columns` is NULL-ended, at most SL_CSV_COLUMNS; all must be there, and nothing else. In a file of
 * somebody else's (one whose `columns` end in "*") those that begin with '?' may be missing, their fields empty; names
 * are told in any case; other columns are passed over. */
bool sl_csv_open(struct sl_csv *csv, struct sl_slice file, struct sl_slice text, const char *const *columns,
    struct sl_arena *arena, struct sl_issues *issues);
/* The next row into csv->field; false at the end. Rows that are wrong give an issue and are passed over. */
bool sl_csv_next(struct sl_csv *csv);
/* An issue of grade error at the row last read. */
void sl_csv_complain(struct sl_csv *csv, const char *code, const char *what, struct sl_slice value);

#endif
