/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scenarios of the policy files, worked cases that are tests and lessons at once. scenario.c reads them and decides
 * them, through the functions of sluice/decide.h; scenario_trial.c judges what came of it, and on which rules it
 * turned. Inside the consent room only.
 */
#ifndef SLUICE_CONSENT_SCENARIO_H
#define SLUICE_CONSENT_SCENARIO_H

#include "ruling.h"

#define SL_GIVEN_WORDS 16u   /* of one list under `given` */
#define SL_OUTCOME_RULES 64u /* relied on */
#define SL_CASE_ARENA ((size_t)8 << 20)

enum sl_expectation { SL_EXPECT_NONE, SL_EXPECT_RELEASED, SL_EXPECT_WITHHELD, SL_EXPECT_REFUSED, SL_EXPECT_GRANTED };

/* One scenario, read. */
struct sl_worked {
    const struct sl_yaml *at;
    struct sl_slice title, party, purpose, organization;
    struct sl_slice roles[SL_GIVEN_WORDS], kinds[SL_GIVEN_WORDS], agreements[SL_GIVEN_WORDS], relations[SL_GIVEN_WORDS];
    struct sl_slice services[SL_GIVEN_WORDS], networks[SL_GIVEN_WORDS];
    size_t service_count, network_count;
    const struct sl_exchange_purpose *exchange;
    size_t role_count, kind_count, agreement_count, relation_count;
    const struct sl_yaml *consent_list;
    struct sl_slice entries[SL_GIVEN_WORDS], source_state; /* words of `register:` */
    size_t entry_count;
    struct sl_age age;
    bool denied, emergency, incomplete, program, same_program, serves_program, author, nobody;
    struct sl_classes item, part;
    bool has_part;
    enum sl_write_action write; /* the question is whether it may; NONE: it is about a record */
    sl_r4_node type;            /* of what is to be written */
    enum sl_expectation expect;
    struct sl_slice by[SL_GIVEN_WORDS];
    size_t by_count;
    const struct sl_yaml *labels, *without, *limited_to, *changed;
    char confidentiality;
    int64_t on;           /* the day of the request; 0: not said */
    unsigned hours;       /* for which the emergency has been declared; 0: it does not say */
    unsigned review_days; /* expected; 0: not said */
};

/* What must, or must not, go out with a release, by the words of the language: the rows of scenario_trial.c. */
struct sl_duty_word {
    const char *key;
    bool (*is)(const struct sl_release *release);
};
extern const struct sl_duty_word sl_duty_words[];
extern const size_t sl_duty_word_count;

/* A scenario made ready: it may be decided any number of times, under its policy and others with the same classes. */
struct sl_case {
    const struct sl_policy *policy; /* its own */
    const struct sl_scenario *scenario;
    struct sl_worked w;
    struct sl_arena *arena;
    struct sl_recipient recipient;
    struct sl_emergency statement;
    struct sl_relationship relationships[SL_GIVEN_WORDS];
    struct sl_agreement agreements[SL_GIVEN_WORDS];
    struct sl_directives directives, permits; /* all; and those that deny nothing */
    bool undenied;                            /* decide as if nothing were denied */
    const struct sl_registered *registered;
    struct sl_slice author;
    struct sl_item item;
    struct sl_part part;
};

struct sl_outcome {
    bool refused;
    struct sl_verdict verdict;
    const struct sl_rule_view *rules[SL_OUTCOME_RULES];
    size_t rule_count;
    struct sl_release release;
    const struct sl_ruling *ruling;
};

/* What is wrong in a scenario goes to the issues of its file, as for every other section. */
void sl_scenarios_check(const struct sl_policy *policy);
/* Everything it needs is made in the arena, which must stay. */
SL_MUST_CHECK enum sl_status sl_case_init(
    struct sl_case *c, const struct sl_policy *policy, const struct sl_scenario *scenario, struct sl_arena *arena);
SL_MUST_CHECK enum sl_status sl_case_decide(
    struct sl_case *c, const struct sl_policy *policy, struct sl_arena *arena, struct sl_outcome *out);

/* Of a case about writing. */
SL_MUST_CHECK enum sl_status sl_case_ask(struct sl_case *c, struct sl_write_answer *out);

/* ---- A policy with rules taken away ---- */

/* A copy in which any rule can be made silent, as if it did not stand there, and be made to speak again. It borrows all
 * else of the policy it was made from. Not to be referenced or freed. */
struct sl_mutant {
    struct sl_policy policy;
    const struct sl_policy *of;
    struct sl_rule *rules;
};
SL_MUST_CHECK enum sl_status sl_mutant_init(
    struct sl_mutant *mutant, const struct sl_policy *policy, struct sl_arena *arena);
void sl_mutant_silence(struct sl_mutant *mutant, size_t rule);
void sl_mutant_restore(struct sl_mutant *mutant, size_t rule);
/* And one that says yes to everything, for everybody. */
void sl_mutant_grant(struct sl_mutant *mutant, bool granted);

/* ---- Running them ---- */

/* What came of one. The texts are in words, for people; empty where there is nothing to say. */
struct sl_tried {
    const struct sl_scenario *scenario;
    struct sl_slice title, expected, got, because, nearest;
    bool passed;
    const uint16_t *turns_on; /* rules without any one of which another answer comes of it */
    size_t turn_count;
    const uint16_t *kills; /* of these, the ones of which what the scenario expects tells */
    size_t kill_count;
};
struct sl_trial {
    const struct sl_policy *policy;
    /* Told of each, in their order; the texts live until it returns. */
    void (*tell)(void *context, const struct sl_tried *tried);
    void *context;
    size_t passed, failed;
};
SL_MUST_CHECK enum sl_status sl_scenarios_run(struct sl_trial *trial);

#endif
