/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Value sets: sensitive codes and code prefixes by category, from the CSV files of consent/terminology/ (what each
 * file holds is in its README). Immutable once loaded. A code list never decides whether 42 CFR Part 2 applies: the
 * source of the record does (42 CFR 2.11).
 */
#ifndef SLUICE_CONSENT_TERMINOLOGY_H
#define SLUICE_CONSENT_TERMINOLOGY_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/issue.h"
#include "sluice/policy.h"
#include "sluice/slice.h"
#include "sluice/status.h"

#define SL_CATEGORY_LIMIT 128u
#define SL_CODE_HITS 8u /* more categories than this no code has; the loader refuses it */

struct sl_category {
    struct sl_slice id;          /* "SUD_OPIOID" */
    struct sl_slice sensitivity; /* v3-ActCode, e.g. "OPIOIDUD"; may be empty */
    char confidentiality;        /* default: 'R', 'N' */
    enum sl_candidate { SL_CANDIDATE_NO, SL_CANDIDATE_YES, SL_CANDIDATE_IF_PROGRAM } part2;
    const struct sl_slice *also_match; /* labels that a rule on this category must catch too: "ETH", "SUD" */
    size_t also_match_count;
};

struct sl_code_hit {
    uint8_t category;
    bool weak; /* weak evidence: not enough alone */
    bool by_prefix;
    uint32_t row; /* for sl_terminology_row */
};

/* Where a list says so. */
struct sl_code_row {
    struct sl_slice system, code, file, source; /* code: as kept, of a prefix the prefix */
    size_t line;
};

struct sl_terminology;

/* From files in memory: those whose path ends in .csv under "terminology/". Unknown columns, categories without a row
 * in categories.csv, systems without one in systems.csv, and one code twice in one category are issues. A code may
 * stand in several categories, and in category "none": judged, and found not to be sensitive. */
SL_MUST_CHECK enum sl_status sl_terminology_load(
    const struct sl_policy_file *files, size_t count, struct sl_issues *issues, struct sl_terminology **out);
void sl_terminology_free(struct sl_terminology *terminology);

size_t sl_terminology_category_count(const struct sl_terminology *terminology);
const struct sl_category *sl_terminology_category(const struct sl_terminology *terminology, unsigned category);
unsigned sl_terminology_category_find(
    const struct sl_terminology *terminology, struct sl_slice id); /* SL_CATEGORY_LIMIT: none */

/* Code systems by number: what the labeller keeps instead of comparing URIs. */
typedef uint16_t sl_system;
#define SL_SYSTEM_NONE ((sl_system)0)    /* a Coding without a system */
#define SL_SYSTEM_UNKNOWN ((sl_system)1) /* one that nobody here knows */

/* The number of a system as written, unescaped: its URI in any case, with http or https, with a version behind '|', as
 * an OID with or without "urn:oid:", or another spelling that systems.csv names. Hot. */
sl_system sl_terminology_system(const struct sl_terminology *terminology, struct sl_slice system);

/*
 * The categories of a code, at most `max` hits (SL_CODE_HITS hold all), each category once; gives how many. Case,
 * surrounding space and the dot of ICD, HCPCS and CPT codes do not matter.
 *
 * A code of another system in a column is found too: where a system of the claims family (ICD, HCPCS, CPT) or a Coding
 * without system has no row for the code, or the code cannot be one of the system named, its form says where else to
 * look. A dot is ICD-10-CM or ICD-9-CM; a letter that HCPCS has and four digits is HCPCS; five digits, or four and a
 * letter, is CPT (where a system is given); seven letters and digits is ICD-10-PCS; digits, hyphen and a right check
 * digit is LOINC (where no system is given); any other letter, digit, letters and digits is ICD-10-CM, whose codes
 * those of ICD-10 are read as. Where a code without its dot may be two things, it is what the column says: A5051 is an
 * ostomy pouch to HCPCS and congenital syphilis to ICD-10-CM. Digits padded with A to 36 characters are CIEL, as
 * OpenMRS writes it, under whatever name.
 */
size_t sl_terminology_find_in(const struct sl_terminology *terminology, sl_system system, struct sl_slice code,
    struct sl_code_hit *hits, size_t max);
size_t sl_terminology_find(const struct sl_terminology *terminology, struct sl_slice system, struct sl_slice code,
    struct sl_code_hit *hits, size_t max);

/* Is this a code system that anybody here knows (a list, an HL7 system, one in systems.csv)? */
bool sl_terminology_knows_system(const struct sl_terminology *terminology, struct sl_slice system);
/* Is the system known, and has the code a form that codes of it can have (LOINC, SNOMED CT: the check digit; RxNorm:
 * digits)? What is not, nobody knows. */
bool sl_terminology_knows(const struct sl_terminology *terminology, sl_system system, struct sl_slice code);

/* Could a list name such a code of the system? As sl_terminology_knows, but for check digits. */
bool sl_terminology_fits_system(const struct sl_terminology *terminology, sl_system system, struct sl_slice code);

/* What a hit rests on. Everything borrowed. */
void sl_terminology_row(const struct sl_terminology *terminology, uint32_t row, struct sl_code_row *out);
/* Is the code judged not to be sensitive, and by which row? */
bool sl_terminology_judged(
    const struct sl_terminology *terminology, sl_system system, struct sl_slice code, struct sl_code_row *out);
unsigned sl_terminology_system_count(const struct sl_terminology *terminology); /* numbers run below it */
struct sl_slice sl_terminology_system_name(const struct sl_terminology *terminology, sl_system system);

#endif
