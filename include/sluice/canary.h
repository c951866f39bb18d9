/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Canaries: invented records, at least one for each class of data that a policy knows and each way in which it can be
 * earned, each with a mark that nothing else has. Where the mark comes out, the record has. And whom to ask as: each
 * party of the policy, with what it may have by the policy alone (no consent, no order, no entry of a register).
 *
 * What must not come out is said by the class for which a canary was made, by the rulings that decide requests, and not
 * by what the labeller found: so a labeller that overlooks something is noticed, too.
 */
#ifndef SLUICE_CANARY_H
#define SLUICE_CANARY_H

#include "sluice/decide.h"
#include "sluice/register.h"

#define SL_CANARY_MARK "sluice-canary-" /* and four digits: the place in the list */
#define SL_CANARIES 1536u
#define SL_CANARY_PATIENT "sluice-selftest-person"
#define SL_CANARY_PLACE "Organization/sluice-selftest-place"
#define SL_CANARY_PROGRAM "Organization/sluice-selftest-program"
#define SL_CANARY_LIST "sluice-selftest-list"  /* names every canary */
#define SL_CANARY_SYSTEM "urn:sluice:selftest" /* of identifiers: "handle-" and the place, in four digits; "person" */
#define SL_CANARY_VISIT "sluice-selftest-visit"

struct sl_canary {
    unsigned class_bit;   /* what it is made for */
    const char *way;      /* "code", "label", "type", "origin", "text", …: a literal */
    struct sl_slice type; /* of the resource */
    struct sl_slice id;
    bool deleted;    /* to be deleted once it is there */
    bool registered; /* the register declares it to have the class */
    bool element; /* one element bears it, and the rest may go without: then the mark is in that alone, not in the id */
    struct sl_classes
        classes; /* of all that bears the mark, as it was labelled: who may have all of them must get it */
};

struct sl_canaries {
    struct sl_canary one[SL_CANARIES];
    size_t count;
    struct sl_slice earlier; /* NDJSON: what some of them were before */
    struct sl_slice records; /* likewise: they, and the person, places and visit that they name */
    struct sl_register_entries entries;
};

struct sl_canary_asker {
    struct sl_recipient recipient; /* the party, for its usual purpose */
    struct sl_classes may;         /* what it may have by the policy alone */
    bool admitted;                 /* false: nothing, whatever it asks; it is refused before anything is looked at */
};

/* whole: each way in each shape; else each way, and of the shapes some for each class. SL_NO_MEMORY; SL_LIMIT.
 * Everything lives in the arena. */
SL_MUST_CHECK enum sl_status sl_canaries_make(const struct sl_policy *policy, const struct sl_programs *programs,
    bool whole, struct sl_arena *arena, struct sl_canaries *out);
SL_MUST_CHECK enum sl_status sl_canary_askers(
    const struct sl_policy *policy, struct sl_arena *arena, struct sl_canary_asker **out, size_t *count);
/* The same policy, but that everybody may have everything: it shows what can be seen at all. Lives in the arena, and is
 * for the test alone. */
SL_MUST_CHECK enum sl_status sl_canary_control(
    const struct sl_policy *policy, struct sl_arena *arena, struct sl_policy **out);

#endif
