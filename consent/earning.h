/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How items earn classes: the part of a compiled policy that the labeller reads. Built by policy.c from the
 * `classes:` of the YAML files, read by label.c. Inside the consent room only.
 */
#ifndef SLUICE_CONSENT_EARNING_H
#define SLUICE_CONSENT_EARNING_H

#include "notes.h"
#include "sluice/classes.h"
#include "sluice/policy.h"
#include "sluice/r4.h"
#include "sluice/register.h"
#include "terminology.h"
#include "words.h"

struct sl_security_rule { /* a label found in meta.security or inline; of notes: their type */
    struct sl_slice system, code;
    struct sl_classes classes;
    struct sl_classes bearers; /* classes that go out under this very label: who has one earns nothing by it */
};

struct sl_earning {
    uint64_t seed; /* random: labellers' tables are keyed by what records say */
    const struct sl_terminology *terminology;
    struct sl_classes by_category[SL_CATEGORY_LIMIT]; /* a code of that category whose row is full evidence */
    struct sl_classes
        weak_by_category[SL_CATEGORY_LIMIT]; /* one whose row is weak evidence: these instead of the above */
    const struct sl_classes *by_type;        /* indexed by sl_r4_node of resource types; SL_R4_NODES long */
    const struct sl_security_rule *security; /* system and code, exact */
    size_t security_count;
    const struct sl_note_rule *note_rules; /* types and folders of notes kept apart */
    size_t note_rule_count;
    struct sl_classes notes;             /* that any of them earns */
    struct sl_classes program;           /* earned by origin: program */
    struct sl_classes unknown_candidate; /* source unknown, Part 2 candidate code */
    struct sl_classes draft;             /* unsigned AI content */
    struct sl_classes text;              /* free text: narrative, notes, comments */
    struct sl_classes unread;            /* attachments that cannot be read */
    struct sl_classes unread_unknown;    /* the same, and nobody knows whose they are */
    struct sl_classes unclassified;      /* a code nobody knows */
    struct sl_classes by_visit;          /* of an Encounter or EpisodeOfCare, they pass to all that hangs on it */

    /* By words, a lexicon's. NULL: none are looked for. */
    const struct sl_words *words;
    struct sl_classes by_mention[SL_MENTIONS];

    /* Types of a Coverage that is the patient's own purse: what nobody else pays for earns their classes. */
    const struct sl_security_rule *purses;
    size_t purse_count;

    /* By an entry of the officer's register of that kind. */
    struct sl_classes registered[SL_REGISTER_KINDS];

    bool ages, states; /* lines ask how old the patient was, and in which state a record was made */

    struct sl_classes presence; /* that a person is known here, registered by a program; else `program` is earned */
    struct sl_classes received; /* of a program, held under a TPO consent; else `program` is earned */
    /* Labels by which a record of unknown source tells that it is: all of the ones, none of the others. */
    const struct sl_coding *received_labels, *received_except;
    size_t received_label_count, received_except_count;
};

const struct sl_earning *sl_policy_earning(const struct sl_policy *policy);

#endif
