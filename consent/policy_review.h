/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the closer look at a policy (sl_policy_review): policy_review.c (what the files say: citations, dates,
 * agreements, scenarios, code lists) and policy_review_cells.c (what the rules do, asked exhaustively).
 */
#ifndef SLUICE_CONSENT_POLICY_REVIEW_H
#define SLUICE_CONSENT_POLICY_REVIEW_H

#include "policy_model.h"

struct sl_review {
    const struct sl_policy *policy;
    int64_t now;
    struct sl_issues *issues;
    bool *idle; /* by rule: it never speaks, or changes nothing; the cells say */
};

/* An issue at the value under `key` of an entry, or at the entry; its grade is that of the code's row. */
struct sl_issue *sl_review_say(const struct sl_review *review, const struct sl_policy_source *source,
    const struct sl_yaml *entry, const char *key, const char *code, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* Rules that never speak or change nothing; classes and parties that nothing reaches; what is left out by all-except
 * and in an emergency. */
SL_MUST_CHECK enum sl_status sl_review_cells(const struct sl_review *review);

/* "a, b and c" of the ids of classes. */
void sl_review_write_classes(struct sl_buffer *out, const struct sl_policy *policy, const struct sl_classes *classes);

/* The kind of agreement without which this kind of recipient may have no records; NULL: the law asks for none. */
const char *sl_review_contract(struct sl_slice kind);

/* citation.c: the first citation of a text that is not known, without the space around it; empty: all are. `strict`:
 * what is no citation of the Code of Federal Regulations is not known either. */
struct sl_slice sl_citation_unknown(struct sl_slice law, bool strict);

#endif
