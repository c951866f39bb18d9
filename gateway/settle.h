/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before a gateway opens its port: what was to be written when it was last ended, and of which nobody has recorded what
 * came of it. The upstream is asked, and the ledger told what can be said for sure: it is stored, it is not, or nobody
 * knows; of the last the officer's queue has a task, "outcome-unknown". A Consent that is stored is in force from then
 * on.
 */
#ifndef SLUICE_GATEWAY_SETTLE_H
#define SLUICE_GATEWAY_SETTLE_H

#include "state.h"

struct sl_settled {
    size_t stored, not_stored, unknown;
    size_t idle; /* Consents that could not be brought into force; a task each, "consent-not-in-force" */
};

/* Nothing else writes the ledger meanwhile. */
SL_MUST_CHECK enum sl_status sl_settle(struct sl_gateway *gateway, struct sl_issues *issues, struct sl_settled *out);
/* At a clean end: nothing was left open, so that the next start need not look through what is on record until now. */
void sl_settle_note_end(const struct sl_gateway *gateway);

#endif
