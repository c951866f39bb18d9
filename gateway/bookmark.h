/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sealed cursor of a `next` link: always of one length, of which a client can read nothing and change nothing. It
 * says where to go on, never what is permitted: each page is decided anew. Sealed for one recipient and one query, and
 * it expires.
 */
#ifndef SLUICE_GATEWAY_BOOKMARK_H
#define SLUICE_GATEWAY_BOOKMARK_H

#include "exchange.h"

/* The query, in its normal form, without the cursor: for links and as what a cursor is sealed to. */
SL_MUST_CHECK enum sl_status sl_bookmark_query(const struct sl_exchange *x, struct sl_slice *out);

SL_MUST_CHECK enum sl_status sl_bookmark_write(
    const struct sl_exchange *x, const struct sl_position *position, struct sl_slice *out);
/* Into x->at. SL_BAD_PARAMETER: not ours, another's, of another query, or expired: the same for all. */
SL_MUST_CHECK enum sl_status sl_bookmark_read(struct sl_exchange *x, struct sl_slice text);

#endif
