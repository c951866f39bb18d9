/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a ruling: what decide.c compiles, and what decide_release.c and explain.c look into. Inside the consent
 * room only.
 *
 * What can differ from item to item (does a consent that counts cover this one? which of the policy's predicates hold
 * for it?) is a *state*. For each state there is one pair of masks, made when the first item needs it and kept beside
 * the ruling. Nothing is approximated. Where nothing depends on the item there is one state, `plain`. What consents say
 * that depends on nothing but who discloses the item is kept by discloser.
 */
#ifndef SLUICE_CONSENT_RULING_H
#define SLUICE_CONSENT_RULING_H

#include "entry.h"

#define MASKS_KEPT 32u /* pairs of masks kept, by a hash of the state; another one of the same place takes its turn */

#define MASKS_TRIED 8u /* places that a state may have */
#define CAUSES_KEPT 4u
#define DISCLOSERS_KEPT 8u   /* for which it is kept what consents say; after that they take turns */
#define DISCLOSER_NAMES 3u   /* custodian, program, named_program */
#define DISCLOSER_BYTES 192u /* of these names together; for longer ones nothing is kept */

/* One directive that could say something to this recipient. */
struct candidate {
    const struct sl_directive *directive;
    uint32_t kinds; /* what it counts as, among the policy's kinds */
    unsigned
        person; /* index of the person who gave it; beyond the count: somebody else, whose permit is nothing here */
    bool by_item, by_discloser;      /* the verdict depends on the item; on nothing of it but who discloses it */
    enum sl_consent_verdict verdict; /* by_item: DENY if it could deny some item; else its verdict for every item */
};

struct state {
    uint32_t kinds; /* kinds of consent that hold for every person the item is about */
    uint32_t facts; /* which of the policy's predicates hold for the item */
    const struct sl_directive *denial;
};

struct masks {
    struct sl_classes lacks, no;
};

/* The masks of a state, as far as it can differ within a ruling; and which rule withholds a class, once it was asked.
 */
struct masks_kept {
    bool made;
    uint32_t kinds, facts;
    struct masks masks;
    struct {
        bool known;
        unsigned bit;
        const struct sl_rule *rule;
    } causes[CAUSES_KEPT]; /* by the class's bit */
};

/* What consents say of the items of one discloser. Its names are copied: items come and go within a ruling. */
struct discloser {
    bool made;
    size_t length[DISCLOSER_NAMES];
    char names[DISCLOSER_BYTES];
    enum sl_consent_verdict *verdicts; /* by candidate, of those with by_discloser */
    struct state state;                /* unless some candidate asks more of an item */
};

struct disclosers {
    unsigned next;
    struct discloser kept[DISCLOSERS_KEPT];
};

struct sl_ruling {
    const struct sl_policy *policy;
    struct sl_recipient recipient;
    int64_t now;
    uint64_t parties;
    struct sl_slice party_ids[SL_PARTY_LIMIT];
    size_t party_count;
    uint64_t purpose;        /* one bit; 0: none that we know, which nothing is released for */
    bool known;              /* fits some party, the relationship aside */
    uint64_t could;          /* built-in parties that it is for some items, perhaps */
    bool emergency;          /* declared, and complete */
    uint32_t declared_hours; /* ago, at most: 1 in the first hour; 0: it does not say, which is within no time-box */
    bool terms;              /* some rule at hand limits or changes */
    bool denials_give_way;
    bool nobody; /* about nobody, while the recipient's party rests on a relationship with somebody */
    const struct sl_slice *persons;
    size_t person_count;
    const struct sl_rule **rules; /* those about this recipient and purpose, in the order of the policy */
    size_t rule_count;
    struct candidate *candidates;
    size_t candidate_count;
    const struct sl_registered *registered; /* NULL: nothing */
    const struct sl_kin *kin;               /* under which other names the register may know a person; NULL: none */
    struct sl_bound *bound, *entries;       /* of the register: about the persons; those that cover this recipient */
    size_t bound_count, entry_count;
    bool by_consent;                  /* some candidate depends on the item */
    bool by_more;                     /* on more of it than who discloses it */
    bool by_record;                   /* on more of it than the label book keeps */
    struct disclosers *disclosers;    /* NULL: no candidate depends on that alone */
    struct state plain;               /* where nothing depends on the item */
    uint32_t open_kinds, open_facts;  /* that rules ask for and items decide */
    struct sl_classes by_fact;        /* classes that depend on facts of the item besides its program */
    struct sl_classes by_record_fact; /* of these, on one that the label book does not keep */
    struct masks_kept *plain_kept;    /* of `plain` */
    struct masks_kept *kept;          /* MASKS_KEPT of them; NULL: nothing is open */
    struct masks may;                 /* whatever consents and items say */
    struct sl_classes varying;        /* classes whose masks could differ with what is open */
    bool may_text;                    /* may have every class that words can earn: see sl_ruling_may_text */
    bool may_deny;                    /* some candidate that depends on the item could deny one */
};

/* The state of an item; `classes` is what its consents are judged on. */
struct state sl_state_of(const struct sl_ruling *ruling, const struct sl_item *item, const struct sl_classes *classes);

/* What the candidate says of an item. */
enum sl_consent_verdict sl_candidate_verdict(const struct sl_ruling *ruling, const struct candidate *candidate,
    const struct sl_item *item, const struct sl_classes *classes);

/* With this person, vouched for by anybody but the recipient: one of these. */
bool sl_ruling_related(const struct sl_ruling *ruling, const struct sl_words *kinds, struct sl_slice person);
/* item_facts.c: what of the register covers this recipient. */
SL_MUST_CHECK enum sl_status sl_facts_prepare(struct sl_ruling *ruling, struct sl_arena *arena);
/* item_facts.c: of the predicates that are asked, those that can be one way or the other within this ruling. */
uint32_t sl_facts_open(const struct sl_ruling *ruling, uint32_t asked);
/* Those among them that hold for the item; `classes` are what is judged. */
uint32_t sl_facts_of(
    const struct sl_ruling *ruling, const struct sl_item *item, const struct sl_classes *classes, uint32_t among);

/* The parties that the recipient is, in this state. */
static inline uint64_t sl_parties_in(const struct sl_ruling *ruling, const struct state *state)
{
    uint64_t staff = state->facts & SL_FACT_STAFF ? (uint64_t)1 << SL_PARTY_STAFF : 0;
    uint64_t named = state->kinds & SL_KIND_NAMED ? (uint64_t)1 << SL_PARTY_NAMED : 0;
    return ruling->parties | ((staff | named) & ruling->policy->asked_parties);
}

/* A ruling of which the state is given, and the same for every item: to decide again what is on record, or to ask what
 * else would change an answer. Everything else is as sl_ruling_new has it. */
SL_MUST_CHECK enum sl_status sl_ruling_supposed(struct sl_arena *arena, const struct sl_policy *policy,
    const struct sl_recipient *recipient, const struct sl_slice *patients, size_t patient_count, int64_t now,
    const struct state *given, struct sl_ruling **out);

/* Would the recipient be this party, had it one of the party's relationships with the person? */
bool sl_party_lacks_relation(
    const struct sl_party *party, const struct sl_recipient *recipient, struct sl_slice person);

/* Does the line hold, in this state? */
bool sl_condition_holds(
    const struct sl_ruling *ruling, const struct sl_condition *condition, const struct state *state);
/* The line of a list that is relied on: no emergency before an emergency, then the one with fewer duties, then the
 * first; NULL if none holds. */
const struct sl_condition *sl_condition_relied(
    const struct sl_ruling *ruling, const struct sl_condition *lines, size_t count, const struct state *state);
/* Is a time-box still open, or is there none? */
bool sl_ruling_within(const struct sl_ruling *ruling, const struct sl_duties *duties);
/* Is the rule about this recipient and purpose, at least for some items? */
bool sl_rule_reaches(const struct sl_ruling *ruling, const struct sl_rule *rule);
/* Does a rule about this recipient and purpose speak, in this state? */
bool sl_rule_speaks(const struct sl_ruling *ruling, const struct sl_rule *rule, const struct state *state);
/* The classes a withholding rule still withholds, after what lifts it. */
struct sl_classes sl_rule_reach(const struct sl_ruling *ruling, const struct sl_rule *rule, const struct state *state);
/* Does a release rest on a declared emergency (by its condition or by the only parties it reaches)? */
bool sl_rule_rests_on_emergency(const struct sl_ruling *ruling, const struct sl_rule *rule, const struct state *state);
/*
 * On what terms something goes. Each clause is a set of the policy's terms (sl_term), any of which suffices: the yeses
 * for one class, the lines of one rule that withholds. All clauses must be met: an element goes if each clause has a
 * term whose list keeps it, and with every change on which a clause insists, which is one that all its terms that keep
 * the element make. No clause: whole and unchanged.
 */
#define SL_CLAUSE_LIMIT 32u
struct sl_terms {
    uint64_t clause[SL_CLAUSE_LIMIT];
    unsigned count;
};
/* Adds those for an item, or an element of it, in a state; `classes`: whose. */
void sl_terms_add(const struct sl_ruling *ruling, const struct state *state, const struct sl_classes *classes,
    struct sl_terms *terms);
/* May an element go that these lists keep (bits as in sl_kept)? Which changes are made to it then? */
bool sl_terms_keep(const struct sl_policy *policy, const struct sl_terms *terms, uint32_t lists);
uint32_t sl_terms_changes(const struct sl_policy *policy, const struct sl_terms *terms, uint32_t lists);
/* How the policy's classes are earned. */
const struct sl_earning *sl_ruling_earning(const struct sl_ruling *ruling);
/* The masks if every consent were given, and none that restricts; `facts`: and whatever else rules ask of an item were
 * so. What the recipient could have at best. */
void sl_masks_at_best(const struct sl_ruling *ruling, bool facts, struct masks *out);

#endif
