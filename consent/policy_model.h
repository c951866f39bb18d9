/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a compiled policy. policy_read.c fills it from the YAML files, policy_check.c judges it as a whole,
 * decide.c reads it. Immutable once loaded; everything lives in the policy's arena. Inside the consent room only.
 */
#ifndef SLUICE_CONSENT_POLICY_MODEL_H
#define SLUICE_CONSENT_POLICY_MODEL_H

#include <stdatomic.h>
#include <stdint.h>

#include "earning.h"
#include "sluice/decide.h"
#include "sluice/policy.h"
#include "sluice/write.h"
#include "sluice/yaml.h"

#define SL_PARTY_LIMIT 64u                           /* a set of parties is one word */
#define SL_KIND_LIMIT 31u                            /* so is a set of consent kinds, with one bit more: */
#define SL_KIND_NAMED ((uint32_t)1 << SL_KIND_LIMIT) /* a Consent that permits, and names this recipient */
#define SL_PREDICATE_LIMIT 32u                       /* what a policy asks of items: a set of these is one word, too */
#define SL_RULE_LIMIT 4096u
#define SL_FILE_LIMIT 512u /* of a policy, terminology included */
#define SL_POLICY_ARENA ((size_t)256 << 20)

enum sl_layer { SL_LAYER_NONE, SL_LAYER_FEDERAL, SL_LAYER_STATE, SL_LAYER_ORGANIZATION, SL_LAYER_PROGRAM };
/* Far apart in bits; zero is none of them. */
enum sl_rule_verdict { SL_RULE_NONE = 0, SL_RULE_RELEASE = 0x3a5, SL_RULE_WITHHOLD = 0xc5a, SL_RULE_HOLD = 0x96c };

struct sl_words { /* a list of words of the policy's own choosing: roles, organizations */
    const struct sl_slice *word;
    size_t count;
};

/* One YAML file of the policy, as parsed. */
struct sl_policy_source {
    struct sl_yaml_source yaml;
    const struct sl_yaml *root;
    enum sl_layer layer;
    bool example;            /* counsel has not reviewed it yet */
    struct sl_slice program; /* whose file it is, of the layer of programs; else empty */
};

/* Parties that every policy has, at these places. Who is one differs from item to item. */
enum sl_builtin {
    SL_PARTY_STAFF, /* "program-staff": belongs to the program whose item it is (42 CFR 2.12(c)(3)) */
    SL_PARTY_NAMED, /* "named-in-consent": a Consent of the patient's that permits names it as recipient */
    SL_BUILTINS
};

/* Who may ask. Every condition that is named must be met; within one, any of its words does. */
struct sl_party {
    struct sl_slice id, title;
    bool builtin; /* it has no conditions, no source and no place: nobody fits it but by the item */
    struct sl_words roles, kinds, except_kinds, organizations, clients, agreements;
    struct sl_words networks, services;
    uint32_t exchanges; /* exchange purposes, by their place in the table; 0: not asked */
    struct sl_words relationships;
    unsigned within_days;    /* of what a record tells of a day; 0: not said */
    unsigned vouchers;       /* 1 << enum sl_voucher: whose word counts for the relationship */
    bool emergency;          /* only with a complete declaration */
    int64_t agreement_until; /* from then on nobody is this party; 0: no end is said */
    const struct sl_policy_source *source;
    const struct sl_yaml *at;
};

/* What is put on a release besides the labels of its classes. */
struct sl_label_set {
    struct sl_slice id;
    const struct sl_coding *labels;
    size_t label_count;
    char confidentiality; /* instead of the classes' own; 0: theirs */
    bool purpose;         /* the purpose of the request goes with it, as a label */
    const struct sl_yaml *at;
};

#define SL_ELEMENT_LIST_LIMIT 31u /* a set of them is one word, with a bit for what no list limits */
#define SL_TERM_LIMIT 64u         /* a set of terms is one word */
#define SL_TASK_LIMIT 16u         /* rules that ask something of the officer, for one release */

/* Which elements a limited release keeps; which, by type and path, is sl_policy.kept. */
struct sl_element_list {
    struct sl_slice id;
    bool others; /* records of types it does not name go whole; else not at all */
    const struct sl_policy_source *source;
    const struct sl_yaml *at;
};

/* One step of a path that some list names. A set of lists has bit i + 1 for list i, and bit 0 for no list at all. */
struct sl_kept {
    sl_name name;
    uint32_t whole, part; /* lists that keep the element, or something in it */
    uint32_t child, next; /* first step below, next beside it; 0: none */
};

/* Of a record itself, whatever a list says: what type it is, which one, and what labels it has. */
static inline bool sl_kept_always(sl_name name)
{
    return name == SL_NAME_resourceType || name == SL_NAME_id || name == SL_NAME_meta;
}

/* On what terms something goes: a limit, changes, both or neither. The terms that rules name are numbered; 0 is whole
 * and unchanged, and what a rule without limit and change has. */
struct sl_term {
    unsigned list; /* place among the lists + 1; 0: whole */
    uint32_t changes;
};

struct sl_duties {
    bool notice, scope, account, emergency_record, notify;
    unsigned review_days;              /* somebody must look at it within these; 0: nobody need */
    unsigned time_box;                 /* hours for which the declaration of an emergency counts; 0: no end */
    const struct sl_label_set *labels; /* NULL: none */
};

/* What a line can ask of an item. */
enum sl_asks {
    SL_ASKS_NOTHING,
    SL_ASKS_PROGRAM,  /* is it of the program that the recipient belongs to? The first of every policy */
    SL_ASKS_OF,       /* is it of the program of this name? */
    SL_ASKS_SERVED,   /* is it of a program that the recipient serves under an agreement that names a service? */
    SL_ASKS_REGISTER, /* does an entry of the officer's register cover it, and the recipient? */
    SL_ASKS_AGE,      /* how old was the patient at the time of service? */
    SL_ASKS_STATE,    /* in which state is the place that made it? */
    SL_ASKS_AUTHOR,   /* did this recipient make it? */
    SL_ASK_WORDS
};

/* One such question; a policy asks each once, however many lines ask it. A fact that can be one way or the other for
 * each item, and one bit of `struct state`. */
struct sl_predicate {
    enum sl_asks asks;
    unsigned kind;        /* REGISTER: enum sl_register_kind */
    struct sl_slice word; /* OF: which program; REGISTER: "2.64", "waiver"; STATE: "IL", "unknown" */
    unsigned from, below; /* AGE: years */
    bool unsure;          /* AGE: it holds where it might */
};
#define SL_FACT_STAFF ((uint32_t)1 << 0) /* SL_ASKS_PROGRAM, by its place */

/* Alternatives, of which one is enough: the words of one key. */
enum sl_choice { SL_CHOICE_REGISTER, SL_CHOICE_BASIS, SL_CHOICE_AGE, SL_CHOICE_STATE, SL_CHOICES };

/* One line of `only-if` or `unless`: all that it names must hold. */
struct sl_condition {
    uint32_t kinds;    /* consent: any of these; 0: not asked */
    uint64_t purposes; /* 0: not asked */
    uint64_t parties;  /* 0: not asked */
    struct sl_words relationships;
    struct sl_words recipient, not_recipient; /* kinds of recipient, one of which it must be, or must not */
    uint32_t facts;                           /* of the item: all of these, among the policy's predicates */
    uint32_t one_of[SL_CHOICES];              /* and of each of these sets that is not empty, one */
    bool emergency;
    uint8_t term;          /* of what a rule withholds: what goes on this line goes on these terms */
    struct sl_duties then; /* what relying on this line brings with it */
    const struct sl_yaml *at;
};

struct sl_rule {
    struct sl_rule_view view;
    enum sl_layer layer;
    enum sl_rule_verdict verdict;
    struct sl_classes data;
    uint64_t parties;
    bool everyone;
    uint64_t purposes;
    uint32_t facts; /* of the item, all of these: a program's file speaks of that program's records alone */
    const struct sl_condition *only_if, *unless;
    size_t only_if_count, unless_count;
    struct sl_duties then;
    const uint16_t *lifted_by; /* rules that name this one in `lifts` */
    size_t lifted_by_count;
    bool lift_never, unverified;
    bool guard;        /* it stands behind others */
    uint8_t term;      /* on which it releases; of a rule that withholds, on which it lets go after all (`narrows`) */
    bool narrows;      /* it does not withhold: it limits or changes what others release */
    int64_t until;     /* an exception: from then on it is silent; 0: it is none */
    int64_t review_by; /* somebody must look at it again by then; 0: not said */
    const struct sl_policy_source *source;
    const struct sl_yaml *at;
};

/* Where a grant of `delete` holds: nothing of the type can be hidden from the party for these purposes. */
struct sl_deletes {
    sl_r4_node type;
    unsigned party;
    uint64_t purposes;
    const struct sl_deletes *next;
};

/* Who may write what. Nothing else lets anybody write. */
struct sl_grant {
    struct sl_rule_view view;
    uint64_t parties, purposes;
    unsigned may;                         /* 1 << enum sl_write_action */
    uint64_t types[SL_R4_NODES / 64 + 1]; /* by node */
    const struct sl_coding *labels;       /* each system that has a code that is named */
    size_t label_count;
    bool tags;
    const struct sl_deletes *deletes;
    const struct sl_policy_source *source;
    const struct sl_yaml *at;
};

/* Who may search by what is not an index's to answer: by words, and by _filter. */
struct sl_search_grant {
    struct sl_rule_view view;
    uint64_t parties, purposes;
    unsigned by; /* SL_SEARCH_BY_… */
    const struct sl_policy_source *source;
    const struct sl_yaml *at;
};

static inline bool sl_grant_has_type(const struct sl_grant *grant, sl_r4_node type)
{
    return type && type < SL_R4_NODES && grant->types[type / 64] >> (type % 64) & 1;
}

/* What no rule may ever do: release these classes to these parties for these purposes, in a case in which one line of
 * only_if holds (or there is none) and none of unless. Decided exhaustively at each load (policy_invariants.c). */
struct sl_invariant {
    struct sl_rule_view view;
    struct sl_classes data;
    uint64_t parties;
    bool nobody; /* a recipient who fits no party */
    uint64_t purposes;
    const struct sl_condition *only_if, *unless;
    size_t only_if_count, unless_count;
    const struct sl_policy_source *source;
    const struct sl_yaml *at;
};

/* A worked case, kept as it stands in the file and run by scenario.c. */
struct sl_scenario {
    const struct sl_policy_source *source;
    const struct sl_yaml *at;
};

/* A class as it stands, beside its public view. */
struct sl_class_source {
    const struct sl_policy_source *source;
    const struct sl_yaml *at;
    bool in_text; /* words can repeat it */
};

struct sl_policy {
    atomic_size_t references;
    struct sl_arena *arena;
    char digest[65];
    struct sl_policy_file *files;
    size_t file_count;
    struct sl_slice *packs_off; /* states whose pack lay there, and that policy.yaml does not name */
    size_t pack_off_count;
    struct sl_policy_source *sources; /* all but policy.yaml, by layer, then path */
    size_t source_count;
    const struct sl_yaml *head; /* policy.yaml */

    struct sl_slice title, version, notice, short_notice, notice_version;
    bool inline_labels;    /* elements carry labels of their own; else the whole is labelled for them */
    bool regenerate;       /* a constant narrative for who may not have the one there was; else none */
    bool denials_give_way; /* a patient's denial gives way to a complete declaration of an emergency */
    bool intermediary;     /* a general designation permits only to who treats the patient (42 CFR 2.31(a)(4)(ii)) */
    bool one_person;       /* `two-person-rule: no`: a change that releases more takes one approval, not two */

    struct sl_class classes[SL_CLASS_LIMIT];
    struct sl_class_source class_sources[SL_CLASS_LIMIT];
    unsigned class_count;
    struct sl_classes needs_yes, in_text;
    struct sl_classes strange; /* bits that are no class: an item with one is withheld */

    struct sl_party parties[SL_PARTY_LIMIT];
    struct sl_slice party_ids[SL_PARTY_LIMIT + 1];
    unsigned party_count;
    uint64_t emergency_parties;
    uint64_t asked_parties; /* those that a rule names in `to` or `party`; of the built-in ones, these alone count */

    struct sl_predicate predicates[SL_PREDICATE_LIMIT];
    unsigned predicate_count;
    uint32_t restrictions; /* those of entries in the register that keep something back from this one or that one */

    struct sl_consent_kind *kinds; /* rows, several of one kind: marks, then registered forms */
    size_t kind_count;
    struct sl_slice kind_ids[SL_KIND_LIMIT];
    unsigned kind_id_count;

    struct sl_label_set *label_sets;
    size_t label_set_count;

    struct sl_element_list element_lists[SL_ELEMENT_LIST_LIMIT];
    unsigned element_list_count;
    struct sl_kept *kept; /* [0] is none */
    uint32_t kept_count, kept_room;
    uint32_t *kept_types; /* by resource type: the step of the type itself; 0: no list names it */
    uint32_t kept_others; /* lists that keep what they do not name */
    struct sl_term terms[SL_TERM_LIMIT];
    unsigned term_count;

    struct sl_rule *rules; /* by layer, then file, then line */
    size_t rule_count;
    struct sl_grant *grants; /* likewise */
    size_t grant_count;
    struct sl_search_grant *searches;
    size_t search_count;
    struct sl_invariant *invariants; /* by layer, then file, then line */
    size_t invariant_count;
    struct sl_scenario *scenarios;
    size_t scenario_count;

    struct sl_earning earning;
    struct sl_terminology *terminology;
    struct sl_words *words; /* NULL: it has no lexicon */
};

/* policy_read.c: the sections of every source, in the order classes, parties, consents, label sets, rules, scenarios.
 * What is wrong goes to the sources' issues; memory that ran out is the only failure. */
SL_MUST_CHECK enum sl_status sl_policy_read(struct sl_policy *policy);
/* element_lists.c: one entry of `element-lists`; the list of that name (SL_ELEMENT_LIST_LIMIT: none); the number of
 * terms, with an issue and 0 if there are too many; and what is wrong with the lists, once all are read. */
SL_MUST_CHECK enum sl_status sl_element_list_read(
    struct sl_policy *policy, const struct sl_policy_source *source, const struct sl_yaml *entry, struct sl_slice id);
unsigned sl_element_list_find(const struct sl_policy *policy, struct sl_slice id);
uint8_t sl_policy_term(
    struct sl_policy *policy, const struct sl_policy_source *source, const struct sl_yaml *at, struct sl_term term);
void sl_element_lists_check(struct sl_policy *policy);
/* policy_check.c: what can only be judged over all files. */
void sl_policy_check(struct sl_policy *policy);
/* policy_place.c: fills in the line of the file and how much of it an issue is about; what is not at hand stays empty.
 */
void sl_policy_show(const struct sl_policy_file *files, size_t count, struct sl_arena *arena, struct sl_issue *issue);
/* write_grant.c: finds out where grants of delete hold. */
SL_MUST_CHECK enum sl_status sl_grants_settle(struct sl_policy *policy);
/* policy_invariants.c: an issue "invariant-broken", with the case that breaks it, for each that does not hold. */
SL_MUST_CHECK enum sl_status sl_policy_check_invariants(const struct sl_policy *policy);

/* policy_matrix.c: the first purpose for which a rule meant for this party releases anything; else treatment. */
struct sl_slice sl_policy_usual_purpose(const struct sl_policy *policy, unsigned party);

/* Index of a consent kind by id; SL_KIND_LIMIT: none. */
unsigned sl_policy_kind(const struct sl_policy *policy, struct sl_slice id);
unsigned sl_policy_party(const struct sl_policy *policy, struct sl_slice id); /* SL_PARTY_LIMIT: none */

/* ---- purpose.c ---- */

uint64_t sl_purpose_bit(struct sl_slice code); /* 0: unknown */
uint64_t sl_purpose_tpo_bits(void);
/* The exchange purpose at a place of the table, and those below it, by their places. */
uint32_t sl_exchange_bits(unsigned index);
/* The purpose and those below it; without `whole`, not those that stand apart (purposes.def). */
uint64_t sl_purpose_bits(struct sl_slice code, bool whole);
size_t sl_purpose_count(void);
struct sl_slice sl_purpose_code(size_t index);
struct sl_slice sl_purpose_name(size_t index);

/* ---- security_label.c: the codes of security_labels.def ---- */

/* The rows with this code, at most `max`, as codings; those that may be emitted first. `emit_only`: no others. */
/* What HL7 says of a label that came with a record. RETIRED: *now is what stands in its place today; code empty: none.
 */
enum sl_label_standing { SL_LABEL_UNKNOWN, SL_LABEL_KNOWN, SL_LABEL_RETIRED };
enum sl_label_standing sl_security_label_now(const struct sl_coding *came, struct sl_coding *now);
size_t sl_security_label_find(struct sl_slice code, bool emit_only, struct sl_coding *out, size_t max);
struct sl_slice sl_security_label_nearest(struct sl_slice code);
/* The codes, each once. */
size_t sl_security_label_codes(bool emit_only, struct sl_slice *out, size_t max);

/* Is it a party that somebody can be? Of the built-in ones, those that some rule asks for. */
static inline bool sl_party_counts(const struct sl_policy *policy, unsigned party)
{
    return party < policy->party_count && (party >= SL_BUILTINS || policy->asked_parties >> party & 1);
}

/* Does it, or a line of it, limit or change what goes? */
static inline bool sl_rule_has_terms(const struct sl_rule *rule)
{
    bool any = rule->term != 0;
    for (size_t i = 0; i < rule->unless_count; i++)
        any |= rule->unless[i].term != 0;
    return any;
}

/* Does the rule, where it speaks, withhold? */
static inline bool sl_rule_bars(const struct sl_rule *rule)
{
    return rule->verdict != SL_RULE_RELEASE && !rule->narrows;
}

static inline bool sl_words_have(const struct sl_words *words, struct sl_slice word)
{
    for (size_t i = 0; i < words->count; i++)
        if (sl_slice_eq(words->word[i], word))
            return true;
    return false;
}

/* The same words in the same order. */
static inline bool sl_words_same(const struct sl_words *a, const struct sl_words *b)
{
    for (size_t i = 0; i < a->count && a->count == b->count; i++)
        if (!sl_slice_eq(a->word[i], b->word[i]))
            return false;
    return a->count == b->count;
}

static inline bool sl_words_meet(const struct sl_words *words, const struct sl_slice *others, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (sl_words_have(words, others[i]))
            return true;
    return false;
}

static inline void sl_classes_cut(struct sl_classes *set, const struct sl_classes *less)
{
    for (unsigned i = 0; i < SL_CLASS_WORDS; i++)
        set->word[i] &= ~less->word[i];
}

static inline void sl_classes_keep(struct sl_classes *set, const struct sl_classes *only)
{
    for (unsigned i = 0; i < SL_CLASS_WORDS; i++)
        set->word[i] &= only->word[i];
}

#endif
