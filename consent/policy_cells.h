/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy asked exhaustively. The vocabulary is finite: a *cell* is a party, a purpose and a class, and its *facts*
 * are what the rules about it ask for (consents, emergency, relationships, other parties, kinds of recipient, and what
 * holds for the item). A built-in party is one whom its item makes it, in every combination.
 * For each combination of them the policy is asked with the functions that enforcement uses (ruling.h). The comparison
 * of two policies, the invariants and the closer look of `policy check` all stand on this. Inside the consent room
 * only.
 *
 * A recipient who is several parties may have what each may have, and is refused what any is refused; so yes and no are
 * told apart, and nothing can hide in a combination of parties.
 */
#ifndef SLUICE_CONSENT_POLICY_CELLS_H
#define SLUICE_CONSENT_POLICY_CELLS_H

#include "ruling.h"

#define SL_PURPOSE_LIMIT 64u  /* a set of purposes is one word */
#define SL_FACT_LIMIT 14u     /* that rules about one party, purpose and class ask for: 16,384 combinations */
#define SL_KIND_FACTS 4u      /* of these, conditions on the kinds of the recipient */
#define SL_KIND_SIGNATURES 8u /* kinds that these conditions tell apart */

enum sl_fact_type {
    SL_FACT_CONSENT,
    SL_FACT_RELATIONSHIP,
    SL_FACT_PARTY,
    SL_FACT_EMERGENCY,
    SL_FACT_NAMED, /* a Consent names the recipient */
    SL_FACT_ITEM,
    SL_FACT_KINDS
};

struct sl_fact {
    enum sl_fact_type type;
    struct sl_slice word;                     /* which consent, relationship, party */
    const struct sl_words *kinds, *not_kinds; /* KINDS: one of these, and none of those */
    const struct sl_predicate *predicate;     /* ITEM */
};

/* Zeroed holds none. */
struct sl_facts {
    struct sl_fact fact[SL_FACT_LIMIT];
    unsigned count;
    bool too_many; /* more than can be gone through: nothing may be concluded */
    /* For each combination of the KINDS facts (in their order), a recipient of whom it is true: a set of kind_words. */
    struct sl_slice kind_word[SL_KIND_SIGNATURES];
    unsigned kind_word_count;
    uint16_t kinds_of[1u << SL_KIND_FACTS];
    bool kinds_can_be[1u << SL_KIND_FACTS];
};

/* What a policy says to one combination; 0: neither. Released is ANSWER_YES alone. */
enum sl_answer { SL_ANSWER_YES = 1, SL_ANSWER_NO = 2 };

struct sl_side {
    const struct sl_policy *policy;
    unsigned party; /* SL_PARTY_LIMIT: it has none of this name */
    unsigned class; /* SL_CLASS_LIMIT: likewise */
};

/* A ruling for a recipient of whom exactly some facts are true, and the room it needs. Zeroed is empty. */
struct sl_asked {
    struct sl_ruling ruling;
    struct sl_relationship relationships[SL_FACT_LIMIT];
    struct sl_slice kinds[SL_KIND_SIGNATURES];
    const struct sl_rule *about[SL_RULE_LIMIT], *rules[SL_RULE_LIMIT];
    size_t about_count;
};

/* Adds what the rules of a side ask for, for one purpose (index in the table of purposes). */
void sl_facts_find(struct sl_facts *facts, const struct sl_side *side, size_t purpose);
/* Adds what one condition asks for. */
void sl_facts_add_line(struct sl_facts *facts, const struct sl_policy *policy, const struct sl_condition *line);
/* To be called once all facts are there. `party`: who the recipient is, so that its kinds fit; NULL: anybody. */
void sl_facts_settle(struct sl_facts *facts, const struct sl_party *party);
/* Can the combination be? Whoever is a party by a relationship has one of those that make it; whoever is one by an
 * emergency has declared it; and somebody must be of the kinds. */
bool sl_facts_can_be(const struct sl_facts *facts, const struct sl_side *side, uint32_t truth);

/* Purposes that no rule and no invariant of the policy tells apart give the same cells. alike: a set for each purpose,
 * of which those are taken out that the policy tells from it; it begins with all of them. */
void sl_purposes_alike(const struct sl_policy *policy, uint64_t alike[SL_PURPOSE_LIMIT]);
/* Begins a cell: after it, any number of combinations may be asked. */
void sl_cell_begin(struct sl_asked *asked, const struct sl_side *side, size_t purpose);
/* The ruling for one combination of the facts, and what it says of the class. A class that a policy does not know takes
 * nothing away; a party it does not know has nothing. */
unsigned sl_cell_ask(struct sl_asked *asked, const struct sl_side *side, const struct sl_facts *facts, uint32_t truth);
/* Level, duties and labels that go out with a release in the combination asked last, as words with a space between; the
 * same release gives the same words. Empty for a class that the policy does not know. */
struct sl_slice sl_cell_duties(const struct sl_asked *asked, const struct sl_side *side, struct sl_arena *scratch);

/* Level, duties and labels of a release as words with a space between; the same release, the same words. */
void sl_release_write(const struct sl_release *release, struct sl_buffer *out);
/* "consent part2-tpo and relationship self": the facts among `which`, after `lead`. */
void sl_facts_write(struct sl_buffer *out, const struct sl_facts *facts, uint32_t which, const char *lead);

#endif
