/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ledger record, read back: who asked, and each decision with its classes and ground (docs/ledger.md). Everything
 * lives in the arena of the reading, and borrows the text. Inside the consent room only.
 */
#ifndef SLUICE_CONSENT_RECORDED_H
#define SLUICE_CONSENT_RECORDED_H

#include "ruling.h"

struct sl_recorded_ground {
    struct sl_words patients, parties, consents, holds, facts;
    const struct sl_relationship *related;
    size_t related_count;
    struct sl_slice denied; /* empty: nothing was */
};

struct sl_recorded_part {
    struct sl_words classes;
    const struct sl_recorded_ground *ground;
    bool cut;
};

struct sl_recorded_item {
    struct sl_slice item; /* "Condition/x" */
    sl_r4_node type;
    struct sl_slice patient;   /* as accounted for; of one withheld, those of its ground */
    struct sl_slice path, why; /* of what was withheld; a path: an element */
    struct sl_slice class, rule, directive, unlabelled, consent;
    struct sl_words classes, rules, duties;
    const struct sl_recorded_ground *ground; /* NULL: nothing says on what it rested */
    const struct sl_recorded_part *parts;
    size_t part_count;
    bool released;
};

struct sl_record {
    uint64_t sequence, generation, version;
    int64_t time;
    struct sl_slice time_text, digest, outcome, why, kind, type, issuer;
    unsigned status;
    bool known; /* somebody was recognized as the recipient */
    struct sl_recipient recipient;
    struct sl_emergency emergency;
    struct sl_words parties;
    const struct sl_recorded_ground *grounds;
    size_t ground_count;
    const struct sl_recorded_item *items; /* released, then withheld */
    size_t item_count;
};

/* SL_INVALID for what is no record of an exchange. */
SL_MUST_CHECK enum sl_status sl_record_read(
    struct sl_arena *arena, uint64_t sequence, struct sl_slice text, struct sl_record *out);

/* Do two policies say the same of an entry of a section ("consents", "classes"), in the same words? `key`: of what
 * stands under it alone; NULL: of all. Neither has it: yes. */
bool sl_same_entry(
    const struct sl_policy *a, const struct sl_policy *b, const char *section, struct sl_slice id, const char *key);
/* The state that a ground records, in the words of a policy. `unknown`: kinds and facts that this policy asks for, and
 * of which the ground cannot tell; `by`: the policy that decided, NULL if it is not at hand. */
void sl_ground_state(const struct sl_policy *policy, const struct sl_policy *by,
    const struct sl_recorded_ground *ground, struct state *state, struct state *unknown);
/* The ruling for the recipient of a record and the persons of a ground, under a policy, in a given state. */
SL_MUST_CHECK enum sl_status sl_ground_ruling(struct sl_arena *arena, const struct sl_policy *policy,
    const struct sl_record *record, const struct sl_recorded_ground *ground, const struct state *state,
    struct sl_ruling **out);
/* The item as it was decided on, with room for its parts. Classes that the policy does not know are left out. */
SL_MUST_CHECK enum sl_status sl_recorded_item(struct sl_arena *arena, const struct sl_policy *policy,
    const struct sl_recorded_item *recorded, struct sl_item *out);

#endif
