/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intents: before anything is given to the upstream to be written, the ledger has who means to write what, durable. A
 * gateway that is killed in between leaves no version of which nobody knows (docs/decisions/0035). settle.c looks
 * afterwards what has become of those without an outcome.
 */
#ifndef SLUICE_GATEWAY_INTENT_H
#define SLUICE_GATEWAY_INTENT_H

#include "exchange.h"

#define SL_INTENT_MARK 32u

/* Gives the ledger an intent: of a write, or of all that a transaction writes. WAIT: the exchange is resumed when it is
 * durable, or cannot be; FAIL: nothing may go upstream. From here on the exchange is accounted for, whoever waits. */
SL_MUST_CHECK enum sl_step_result sl_intent_note(struct sl_exchange *x);
/* Afterwards: is it durable? Else nothing may go upstream. */
bool sl_intent_noted(const struct sl_exchange *x);
/* Nothing was written after all: what was to be is made again, or, where nobody waits for it any more, ends. */
SL_MUST_CHECK enum sl_step_result sl_intent_again(struct sl_exchange *x);
/* What the ledger's record says is to be written; of account.c. */
void sl_intent_account(const struct sl_exchange *x, struct sl_buffer *out);

/* A keyed mark of a resource's content: whatever a server puts on what it stores (id, version, instant, source), and in
 * which order, spaces or escapes it writes members, it is the same. */
SL_MUST_CHECK enum sl_status sl_intent_mark(const struct sl_sealer *key, const struct sl_doc *doc, uint32_t root,
    struct sl_arena *arena, unsigned char out[SL_INTENT_MARK]);
/* The key of marks, in the ledger's directory; drawn where there is none. */
SL_MUST_CHECK enum sl_status sl_intent_key(const char *ledger, struct sl_sealer **out);

#endif
