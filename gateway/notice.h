/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What 42 CFR 2.32 wants to go with each disclosure made on written consent, in the forms that doors need: the
 * statement of 2.32(a) and, for each consent relied on, its scope in words (2.32(b)). It says nothing of what was
 * disclosed.
 */
#ifndef SLUICE_GATEWAY_NOTICE_H
#define SLUICE_GATEWAY_NOTICE_H

#include "sluice/edit.h"

#define SL_NOTICE_URL "urn:uuid:8a2c3b64-5b0f-4c0e-9d55-0f2d7e6b2320" /* of its entry, by which it is known again */

/* A Basic whose meta displays statement and scopes (DS4P extension-display). */
SL_MUST_CHECK enum sl_status sl_notice_write(
    struct sl_slice statement, const struct sl_slice *scopes, size_t count, struct sl_blocks *out);
/* Those displays alone, with commas between: for the meta of a Bundle in which no such entry can stand. */
SL_MUST_CHECK enum sl_status sl_notice_displays(
    struct sl_slice statement, const struct sl_slice *scopes, size_t count, struct sl_blocks *out);

#endif
