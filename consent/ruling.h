/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a ruling: what decide.c compiles, and what decide_release.c and explain.c look into. Inside the consent
 * room only.
 *
 * What can differ from item to item (does a consent that counts cover this one? is it of the recipient's own program?)
 * is a *state*. For each state there is one pair of masks; all pairs that can occur are made when the ruling is, if
 * they are few (MASK_BITS), and otherwise when an item needs one. Nothing is approximated.
 */
#ifndef SLUICE_CONSENT_RULING_H
#define SLUICE_CONSENT_RULING_H

#include "policy_model.h"

#define MASK_BITS 4u /* kinds of consent that depend on the item, for which masks are made ahead */

/* One directive that could say something to this recipient. */
struct candidate {
    const struct sl_directive *directive;
    uint32_t kinds; /* what it counts as, among the policy's kinds */
    unsigned
        person; /* index of the person who gave it; beyond the count: somebody else, whose permit is nothing here */
    bool by_item;
    enum sl_consent_verdict verdict; /* by_item: DENY if it could deny some item; else its verdict for every item */
};

struct state {
    uint32_t kinds;    /* kinds of consent that hold for every person the item is about */
    bool same_program; /* the item is of the program that the recipient belongs to */
    const struct sl_directive *denial;
};

struct masks {
    struct sl_classes lacks, no;
};

struct sl_ruling {
    const struct sl_policy *policy;
    struct sl_recipient recipient;
    int64_t now;
    uint64_t parties;
    struct sl_slice party_ids[SL_PARTY_LIMIT];
    size_t party_count;
    uint64_t purpose; /* one bit; 0: none that we know, which nothing is released for */
    bool known;       /* fits some party, the relationship aside */
    bool emergency;   /* declared, and complete */
    bool denials_give_way;
    bool nobody; /* about nobody, while the recipient's party rests on a relationship with somebody */
    const struct sl_slice *persons;
    size_t person_count;
    const struct sl_rule **rules; /* those about this recipient and purpose, in the order of the policy */
    size_t rule_count;
    struct candidate *candidates;
    size_t candidate_count;
    bool by_item;        /* some candidate depends on the item */
    struct state plain;  /* where nothing depends on the item */
    uint32_t open_kinds; /* kinds that rules ask for and items decide */
    unsigned open_count;
    struct masks *masks;       /* by sl_state_index; [0] is `plain` */
    struct masks may;          /* whatever consents say */
    struct sl_classes varying; /* classes whose masks differ with the kinds of consent that hold */
    bool may_text;             /* may have every class that words can earn: see sl_ruling_may_text */
    bool may_deny;             /* some candidate that depends on the item could deny one */
};

/* The state of an item; `classes` is what its consents are judged on. */
struct state sl_state_of(const struct sl_ruling *ruling, const struct sl_item *item, const struct sl_classes *classes);

/* Does the line hold, in this state? */
bool sl_condition_holds(
    const struct sl_ruling *ruling, const struct sl_condition *condition, const struct state *state);
/* The line of a list that is relied on: no emergency before an emergency, then the one with fewer duties, then the
 * first; NULL if none holds. */
const struct sl_condition *sl_condition_relied(
    const struct sl_ruling *ruling, const struct sl_condition *lines, size_t count, const struct state *state);
/* Is the rule about this recipient and purpose? */
bool sl_rule_reaches(const struct sl_ruling *ruling, const struct sl_rule *rule);
/* Does a rule about this recipient and purpose speak, in this state? */
bool sl_rule_speaks(const struct sl_ruling *ruling, const struct sl_rule *rule, const struct state *state);
/* The classes a withholding rule still withholds, after what lifts it. */
struct sl_classes sl_rule_reach(const struct sl_ruling *ruling, const struct sl_rule *rule, const struct state *state);
/* Does a release rest on a declared emergency (by its condition or by the only parties it reaches)? */
bool sl_rule_rests_on_emergency(const struct sl_ruling *ruling, const struct sl_rule *rule, const struct state *state);
/* How the policy's classes are earned. */
const struct sl_earning *sl_ruling_earning(const struct sl_ruling *ruling);
/* The masks if every consent were given, and none that restricts: what the recipient could have at best. */
void sl_masks_at_best(const struct sl_ruling *ruling, struct masks *out);

#endif
