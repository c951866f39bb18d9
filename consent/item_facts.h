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
/* The words of `register:` in lines, each once; what a word asks, one of `at` and those after: false, no more. */
size_t sl_register_facts(struct sl_slice *out, size_t max);
bool sl_register_fact(struct sl_slice word, size_t *at, struct sl_predicate *out);
/* How a word of `register:` reads. */
struct sl_slice sl_register_fact_reads(struct sl_slice word);
/* "under-12", "12-to-17", "18-and-over", "adult"; false: no such age. */
bool sl_age_read(struct sl_slice word, struct sl_predicate *out);
/* "IL" or, for a condition, "unknown"; false: no such state. */
bool sl_state_known(struct sl_slice word);
struct sl_ruling;
/* A line for what of the record counts, and one for each entry of the register about its patients: what it is, and why
 * it does not cover this record and recipient, if it does not. Nothing where there is nothing to tell. */
void sl_facts_explain(const struct sl_ruling *ruling, const struct sl_item *item, const struct sl_classes *classes,
    struct sl_buffer *out);
/* Its name in the ledger: "same-program". */
void sl_predicate_name(struct sl_buffer *out, const struct sl_predicate *predicate);
/* As it reads after "with". */
void sl_predicate_write(struct sl_buffer *out, const struct sl_predicate *predicate);

#endif
