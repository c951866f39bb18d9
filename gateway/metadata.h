/* SPDX-License-Identifier: Apache-2.0 */
/* The CapabilityStatement: what is served here, made once from the tables that serve it. */
#ifndef SLUICE_GATEWAY_METADATA_H
#define SLUICE_GATEWAY_METADATA_H

#include "config.h"
#include "sluice/buffer.h"

/* Appends the statement. SL_LIMIT if the buffer is too small. */
SL_MUST_CHECK enum sl_status sl_metadata_write(const struct sl_config *config, struct sl_buffer *out);

#endif
