/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Item predicates: what lines ask that can differ from item to item. A policy has a table of them, each once, at most
 * SL_PREDICATE_LIMIT; those that hold for an item are the facts of its state (ruling.h). A new one is a row of enum
 * sl_asks, its reading (policy_read.c), and a case in each function of item_facts.c. Inside the consent room only.
 */
#ifndef SLUICE_CONSENT_ITEM_FACTS_H
#define SLUICE_CONSENT_ITEM_FACTS_H

#include "policy_model.h"

bool sl_predicate_same(const struct sl_predicate *a, const struct sl_predicate *b);
/* Its bit; 0: the policy does not ask it. */
uint32_t sl_predicate_find(const struct sl_policy *policy, const struct sl_predicate *predicate);
/* Its bit, entered if it was not there; 0: there are too many. */
uint32_t sl_predicate_add(struct sl_policy *policy, const struct sl_predicate *predicate);
/* Its name in the ledger: "same-program". */
void sl_predicate_name(struct sl_buffer *out, const struct sl_predicate *predicate);
/* As it reads after "with". */
void sl_predicate_write(struct sl_buffer *out, const struct sl_predicate *predicate);

#endif
