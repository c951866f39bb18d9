/* SPDX-License-Identifier: Apache-2.0 */
/* What history.c (of one record) and history_wide.c (of many) share. */
#ifndef SLUICE_GATEWAY_HISTORY_PARTS_H
#define SLUICE_GATEWAY_HISTORY_PARTS_H

#include "history.h"
#include "sluice/time_range.h"

/* Of one record, while its versions come in. */
struct sl_history {
    struct sl_past past;        /* handed down by the rounds before */
    bool begun;                 /* the last version has been judged */
    bool corrected;             /* a correction has been seen */
    bool closed;                /* nothing older goes */
    bool known;                 /* some version goes */
    size_t left;                /* of a page that is not the first: so many are still to be given */
    struct sl_entry above;      /* the last version of the rounds before: its number and instant alone */
    struct sl_found *deletions; /* since the last version that was judged */
};

/* All versions that go, as they are listed. */
SL_MUST_CHECK enum sl_status sl_history_list(struct sl_exchange *x, struct sl_listed **list, size_t *count);
bool sl_history_is_since(const struct sl_exchange *x, const struct sl_found *found);
SL_MUST_CHECK enum sl_status sl_history_page_of_many(
    struct sl_exchange *x, const struct sl_listed **list, size_t *count, bool *more);

#endif
