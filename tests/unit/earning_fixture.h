/* SPDX-License-Identifier: Apache-2.0 */
/* Classes and how they are earned, by hand: what tests and the fuzzer of the labeller use in the place of a policy. */
#ifndef SLUICE_TESTS_EARNING_FIXTURE_H
#define SLUICE_TESTS_EARNING_FIXTURE_H

#include "labelling.h"
#include "terminology_files.h"

enum {
    ORDINARY,
    OPEN,
    SUD,
    WEAK,
    MENTAL,
    INFECT,
    VIOLENCE,
    PROGRAM,
    CANDIDATE,
    DRAFT,
    WORDS,
    UNREAD,
    UNKNOWN,
    LABELLED,
    FLAGGED,
    PRESENCE, /* earned by nothing here: for tests that say so */
    RECEIVED,
    CLASSES
};

static const char class_letters[] = "oPSwmhvpcdtux!fkr"; /* one for each class, in order, for short expectations */

struct earning_fixture {
    struct shipped shipped;
    struct sl_terminology *terminology;
    struct sl_earning earning;
    struct sl_classes *by_type;
    struct sl_security_rule rules[3];
};

static inline void earn_for(struct earning_fixture *f, const char *start, unsigned bit)
{
    for (unsigned c = 0; c < sl_terminology_category_count(f->terminology); c++) {
        struct sl_slice id = sl_terminology_category(f->terminology, c)->id;
        if (!sl_slice_starts(id, sl_slice_of(start)))
            continue;
        sl_classes_add(&f->earning.by_category[c], bit);
        if (bit == SUD)
            sl_classes_add(&f->earning.weak_by_category[c], WEAK);
    }
}

static inline bool earning_setup(struct earning_fixture *f)
{
    shipped_read(&f->shipped);
    if (sl_terminology_load(f->shipped.files, f->shipped.count, NULL, &f->terminology) != SL_OK)
        return false;
    f->earning.terminology = f->terminology;
    earn_for(f, "SUD_", SUD);
    earn_for(f, "MH_", MENTAL);
    earn_for(f, "SUICIDE", MENTAL);
    earn_for(f, "HIV", INFECT);
    earn_for(f, "ABUSE", VIOLENCE);
    f->by_type = calloc(SL_R4_NODES, sizeof *f->by_type);
    for (unsigned node = 1; f->by_type && node <= SL_R4_LAST_RESOURCE; node++)
        sl_classes_add(&f->by_type[node], sl_r4_facts((sl_r4_node)node) & SL_R4_DIRECTORY ? OPEN : ORDINARY);
    f->earning.by_type = f->by_type;
    f->rules[0] = (struct sl_security_rule){
        .system = SL_LIT("http://terminology.hl7.org/CodeSystem/v3-ActCode"), .code = SL_LIT("PSY")};
    f->rules[1] = (struct sl_security_rule){.system = SL_LIT("http://example.org/labels"), .code = SL_LIT("VIP")};
    f->rules[2] = (struct sl_security_rule){.system = SL_LIT("http://example.org/labels"), .code = SL_LIT("FLAG")};
    sl_classes_add(&f->rules[0].classes, LABELLED);
    sl_classes_add(&f->rules[1].classes, LABELLED);
    sl_classes_add(&f->rules[2].classes, FLAGGED);
    sl_classes_add(&f->earning.by_visit, FLAGGED);
    f->earning.security = f->rules;
    f->earning.security_count = 3;
    sl_classes_add(&f->earning.program, PROGRAM);
    sl_classes_add(&f->earning.unknown_candidate, CANDIDATE);
    sl_classes_add(&f->earning.draft, DRAFT);
    sl_classes_add(&f->earning.text, WORDS);
    sl_classes_add(&f->earning.unread, UNREAD);
    sl_classes_add(&f->earning.unclassified, UNKNOWN);
    return f->by_type != NULL;
}

static inline void earning_teardown(struct earning_fixture *f)
{
    sl_terminology_free(f->terminology);
    shipped_free(&f->shipped);
    free(f->by_type);
}

#endif
