/* SPDX-License-Identifier: Apache-2.0 */
/* The one place that makes a status into an answer: HTTP status and OperationOutcome, from the status table. */
#ifndef SLUICE_GATEWAY_OUTCOME_H
#define SLUICE_GATEWAY_OUTCOME_H

#include "sluice/edit.h"
#include "sluice/status.h"

/* The sentence that every search result and `metadata` carry, the same always and for all. */
extern const struct sl_slice sl_standing_sentence;

/* Appends the OperationOutcome of a status. `detail` may be empty: a sentence about the client's own request (an
 * unknown parameter); what is not plain ASCII is left out. Never about a record. */
void sl_outcome_write(enum sl_status status, struct sl_slice detail, struct sl_blocks *out);

/* Appends the OperationOutcome that carries the standing sentence. */
void sl_outcome_standing(struct sl_blocks *out);

#endif
