/* SPDX-License-Identifier: Apache-2.0 */
/* gzip, taken apart: a body that was sent compressed (RFC 1952), whole and within a limit, or not at all. */
#ifndef SLUICE_GATEWAY_INFLATE_H
#define SLUICE_GATEWAY_INFLATE_H

#include "sluice/arena.h"
#include "sluice/status.h"

/* *text is in the arena. SL_LIMIT: more than that many bytes come out; SL_UPSTREAM: it is no gzip, or not whole, or
 * something stands behind it; SL_NO_MEMORY. */
SL_MUST_CHECK enum sl_status sl_inflate(
    struct sl_slice packed, size_t limit, struct sl_arena *arena, char **text, size_t *len);

#endif
