/* SPDX-License-Identifier: Apache-2.0 */
/* The status table made into lookups: see sluice/status.h and sluice/status.def. */
#include "sluice/status.h"

#include <stdio.h>
#include <stdlib.h>

static const struct row {
    const char *name;
    int http;
    struct sl_slice code, text;
} rows[] = {
#define SL_STATUS(name, http, code, text) {"SL_" #name, http, {code, sizeof(code) - 1}, {text, sizeof(text) - 1}},
#include "sluice/status.def"
#undef SL_STATUS
};

static const struct row *row_of(enum sl_status status)
{
    SL_ASSERT((size_t)status < sizeof rows / sizeof *rows);
    return &rows[status];
}

int sl_status_http(enum sl_status status)
{
    return row_of(status)->http;
}

struct sl_slice sl_status_code(enum sl_status status)
{
    return row_of(status)->code;
}

struct sl_slice sl_status_text(enum sl_status status)
{
    return row_of(status)->text;
}

const char *sl_status_name(enum sl_status status)
{
    return row_of(status)->name;
}

void sl_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "sluice: assertion failed: %s (%s:%d)\n", condition, file, line);
    abort();
}
