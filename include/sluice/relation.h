/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Relationships that records prove: which ones a policy would count for a recipient, what to ask for, and whether a
 * record that came proves one. Pure: who fetches and decides the records is a door's business (gateway/relating.c).
 * docs/decisions/0018 tells which records count, and why no relationship stands on another.
 */
#ifndef SLUICE_RELATION_H
#define SLUICE_RELATION_H

#include "sluice/decide.h"
#include "sluice/edit.h"

enum sl_relation {
    SL_RELATION_CARE_TEAM,
    SL_RELATION_REFERRAL,
    SL_RELATION_ENCOUNTER,
    SL_RELATION_AUTHOR,
    SL_RELATIONS
};

/* Which relationships with a person would make the recipient a party that it is not already, and to which a rule
 * releases something for its purpose; only what parties let records vouch for. Zeroed: none. */
struct sl_sought {
    unsigned kinds; /* 1 << enum sl_relation */
    unsigned days;  /* how long ago a visit may be, at most; 0: however long */
};
struct sl_sought sl_relations_sought(
    const struct sl_policy *policy, const struct sl_recipient *recipient, struct sl_slice person);

enum sl_relation_names { SL_NAMES_ANY, SL_NAMES_PEOPLE, SL_NAMES_ORGANIZATIONS };

/* One question to the upstream: Type?<patient>=…&<who>=…[&<more>][&<date>=ge…] */
struct sl_relation_question {
    enum sl_relation relation;
    sl_r4_node type;
    const char *patient, *who, *more, *date; /* more, date: may be NULL */
    enum sl_relation_names names;            /* what `who` takes */
};
const struct sl_relation_question *sl_relation_questions(size_t *count);

/* What a record that matches its question proves of the recipient, whom records know by these names ("Practitioner/x",
 * "PractitionerRole/r", "Organization/o"). edits: what is cut of it for this recipient proves nothing; NULL: it was
 * decided that it is withheld, and only who wrote it himself knows of it. False: nothing. `out` lacks the patient. */
bool sl_relation_proved(const struct sl_relation_question *question, const struct sl_item *item,
    const struct sl_edits *edits, const struct sl_slice *names, size_t name_count, int64_t now,
    struct sl_relationship *out);

/* Is this PractitionerRole in force at `now`? */
bool sl_relation_role(const struct sl_doc *doc, uint32_t root, int64_t now);

#endif
