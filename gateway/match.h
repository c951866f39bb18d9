/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is one Patient the person another one describes? For Patient/$match: pure, on two documents, and the same two give
 * the same score always. It looks at what both say: identifiers with a system, birth date, names, gender, telecom,
 * postal code. What one of them does not say speaks neither for nor against.
 *
 * A candidate is read as it goes out. So a person of whom the recipient may not know is no match, and an element that
 * is cut plays no part.
 */
#ifndef SLUICE_GATEWAY_MATCH_H
#define SLUICE_GATEWAY_MATCH_H

#include "sluice/arena.h"
#include "sluice/slice.h"
#include "sluice/span.h"

/* The parameters of Patient by which persons are compared: SL_TRAIT(name, search parameter, points). The points add up
 * to 100. */
#define SL_TRAITS(SL_TRAIT)                                                                                            \
    SL_TRAIT(IDENTIFIER, "identifier", 50)                                                                             \
    SL_TRAIT(BIRTHDATE, "birthdate", 18)                                                                               \
    SL_TRAIT(FAMILY, "family", 12)                                                                                     \
    SL_TRAIT(GIVEN, "given", 8)                                                                                        \
    SL_TRAIT(GENDER, "gender", 4)                                                                                      \
    SL_TRAIT(TELECOM, "telecom", 4)                                                                                    \
    SL_TRAIT(POSTAL_CODE, "address-postalcode", 4)

enum sl_trait {
#define SL_TRAIT(name, param, points) SL_TRAIT_##name,
    SL_TRAITS(SL_TRAIT)
#undef SL_TRAIT
        SL_TRAIT_COUNT
};

#define SL_TRAIT_VALUES 16u /* of one trait that are looked at */

/* What a Patient says of each trait, in the form of a search parameter's values. */
struct sl_traits {
    struct {
        struct sl_slice value[SL_TRAIT_VALUES];
        size_t count;
    } of[SL_TRAIT_COUNT];
};

/* http://hl7.org/fhir/R4/valueset-match-grade.html */
enum sl_grade_of_match { SL_MATCH_NOT, SL_MATCH_POSSIBLE, SL_MATCH_PROBABLE, SL_MATCH_CERTAIN };
const char *sl_match_word(enum sl_grade_of_match grade);

struct sl_match {
    enum sl_grade_of_match grade;
    unsigned score; /* of 100 */
};

/* Reads the Patient at `root`. SL_NO_MEMORY. */
SL_MUST_CHECK enum sl_status sl_match_read(
    const struct sl_doc *doc, uint32_t root, struct sl_arena *arena, struct sl_traits *out);
struct sl_match sl_match_compare(const struct sl_traits *asked, const struct sl_traits *candidate);

#define SL_MATCH_QUERIES 4u
/* The searches for Patients that find who may be it; whoever fits none of them is no match. None: it says too little.
 * SL_NO_MEMORY. */
SL_MUST_CHECK enum sl_status sl_match_queries(
    const struct sl_traits *asked, struct sl_arena *arena, struct sl_slice queries[SL_MATCH_QUERIES], size_t *count);

#endif
