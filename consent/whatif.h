/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What would alter an answer: the smallest change of facts, found by deciding the case again, by the same functions,
 * with one fact changed, then two, then three; and in the policy, which single rule or class it hangs on. Inside the
 * consent room only.
 */
#ifndef SLUICE_CONSENT_WHATIF_H
#define SLUICE_CONSENT_WHATIF_H

#include "ruling.h"

#define SL_WHATIF_SHOWN 8u /* of as small ones */
#define SL_WHATIF_DEPTH 3u

struct sl_whatif {
    bool goes;                              /* the answer as it is */
    struct sl_slice facts[SL_WHATIF_SHOWN]; /* each alters it: "the patient gave the consent part2-tpo" */
    size_t fact_count;
    unsigned depth; /* so many facts at once were tried, all of them; those above are of that many */
    const struct sl_rule *rules[SL_WHATIF_SHOWN]; /* without any one of which it is altered */
    size_t rule_count;
    unsigned classes[SL_WHATIF_SHOWN]; /* were it not of any one of which it is altered */
    size_t class_count;
    const struct sl_rule *never[SL_WHATIF_SHOWN]; /* that keep it back and may not be lifted */
    size_t never_count;
};

/* Of the item, or of one of its parts. */
SL_MUST_CHECK enum sl_status sl_whatif(struct sl_arena *arena, const struct sl_ruling *ruling,
    const struct sl_item *item, const struct sl_part *part, struct sl_whatif *out);

#endif
