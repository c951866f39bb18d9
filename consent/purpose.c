/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Purposes of use: the 62 codes of HL7 v3-ActReason, their hierarchy, our readable names, and what 42 CFR Part 2 counts
 * as treatment, payment and health care operations. Codes and hierarchy: HL7 Terminology, v3-ActReason 4.0.0 (CC0).
 */
#include "policy_model.h"

enum tpo { NOT_TPO, TPO };
/* What a release for the parent does not cover: HL7 files it there, HIPAA's definition of the parent does not. */
enum apart { WITH_PARENT, APART };

static const struct purpose {
    struct sl_slice code, parent, name;
    enum tpo tpo;
    enum apart apart;
} purposes[] = {
#define P(code, parent, name, tpo, apart)                                                                              \
    {{code, sizeof(code) - 1}, {parent, sizeof(parent) - 1}, {name, sizeof(name) - 1}, tpo, apart},
#include "purposes.def"
#undef P
};
#define COUNT (sizeof purposes / sizeof *purposes)
_Static_assert(COUNT <= 64, "a set of purposes is one 64-bit word");

#define PREFIX(text)                                                                                                   \
    {                                                                                                                  \
        text, sizeof(text) - 1                                                                                         \
    }
static const struct sl_slice uris[] = {
    PREFIX("http://terminology.hl7.org/CodeSystem/v3-ActReason|"),
    PREFIX("http://terminology.hl7.org/CodeSystem/v3-ActReason#"),
    PREFIX("http://hl7.org/fhir/v3/ActReason|"),
    PREFIX("urn:oid:2.16.840.1.113883.5.8#"),
    PREFIX("urn:oid:2.16.840.1.113883.5.8|"),
};

/* Codes are what is looked up most, and mostly the one that was asked for last: a request has one purpose, and asks for
 * it a dozen times. A guess, which is compared like any other; names and codes are each there once. What others are
 * looked up on the way (the purposes above it, those that a Consent names) is no guess for the next. */
static _Thread_local unsigned last_found;

static unsigned find_code(struct sl_slice code)
{
    if (sl_slice_eq(purposes[last_found].code, code))
        return last_found;
    for (unsigned i = 0; code.len && i < COUNT; i++)
        if (sl_slice_eq(purposes[i].code, code))
            return i;
    return COUNT;
}

struct sl_slice sl_purpose_find(struct sl_slice text)
{
    if (sl_slice_eq(purposes[last_found].code, text))
        return purposes[last_found].code;
    for (size_t i = 0; i < sizeof uris / sizeof *uris; i++)
        if (sl_slice_starts(text, uris[i])) {
            unsigned at = find_code(sl_slice_from(text, uris[i].len));
            return at < COUNT ? purposes[at].code : (struct sl_slice){NULL, 0};
        }
    for (unsigned i = 0; text.len && i < COUNT; i++)
        if (sl_slice_eq(purposes[i].code, text) || sl_slice_eq(purposes[i].name, text)) {
            last_found = i;
            return purposes[i].code;
        }
    return (struct sl_slice){NULL, 0};
}

bool sl_purpose_within(struct sl_slice code, struct sl_slice ancestor)
{
    unsigned at = find_code(code);
    /* The tree is shallow; COUNT steps bound even a table gone wrong. */
    for (unsigned steps = 0; at < COUNT && steps < COUNT; steps++) {
        if (sl_slice_eq(purposes[at].code, ancestor))
            return true;
        at = find_code(purposes[at].parent);
    }
    return false;
}

bool sl_purpose_is_tpo(struct sl_slice code)
{
    unsigned at = find_code(code);
    return at < COUNT && purposes[at].tpo == TPO;
}

uint64_t sl_purpose_bit(struct sl_slice code)
{
    unsigned at = find_code(code);
    return at < COUNT ? (uint64_t)1 << at : 0;
}

uint64_t sl_purpose_tpo_bits(void)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < COUNT; i++)
        if (purposes[i].tpo == TPO)
            bits |= (uint64_t)1 << i;
    return bits;
}

/* Does the way from `at` up to `ancestor` lead through one that stands apart (other than the ancestor itself)? */
static bool reaches(unsigned at, struct sl_slice ancestor, bool whole)
{
    for (unsigned steps = 0; at < COUNT && steps < COUNT; steps++) {
        if (sl_slice_eq(purposes[at].code, ancestor))
            return true;
        if (purposes[at].apart == APART && !whole)
            return false;
        at = find_code(purposes[at].parent);
    }
    return false;
}

uint64_t sl_purpose_bits(struct sl_slice code, bool whole)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < COUNT; i++)
        if (reaches(i, code, whole))
            bits |= (uint64_t)1 << i;
    return bits;
}

size_t sl_purpose_count(void)
{
    return COUNT;
}

struct sl_slice sl_purpose_code(size_t index)
{
    return purposes[index].code;
}

struct sl_slice sl_purpose_name(size_t index)
{
    return purposes[index].name;
}
