/* SPDX-License-Identifier: Apache-2.0 */
/* The CapabilityStatement: what is served here, from the tables that serve it, and what the policy lets anybody write.
 */
#ifndef SLUICE_GATEWAY_METADATA_H
#define SLUICE_GATEWAY_METADATA_H

#include "config.h"
#include "sluice/buffer.h"
#include "sluice/write.h"

/* Appends the statement: the same for everybody. SL_LIMIT if the buffer is too small. */
SL_MUST_CHECK enum sl_status sl_metadata_write(
    const struct sl_config *config, const struct sl_policy *policy, struct sl_buffer *out);

#endif
