/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Value sets: sensitive codes and code prefixes by category, from the CSV files of consent/terminology/.
 * A code list never decides whether 42 CFR Part 2 applies: the source of the record does (standards.md 8).
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

struct sl_category {
    struct sl_slice id;           /* "SUD_OPIOID" */
    struct sl_slice sensitivity;  /* v3-ActCode, e.g. "OPIOIDUD"; may be empty */
    char confidentiality;         /* default: 'R', 'N' */
    enum sl_candidate { SL_CANDIDATE_NO, SL_CANDIDATE_YES, SL_CANDIDATE_IF_PROGRAM } part2;
};

struct sl_code_hit {
    uint8_t category;
    bool weak;       /* weak evidence: not enough alone */
    bool by_prefix;
    uint32_t row;    /* line in its file, for explain */
};

struct sl_terminology;

/* From files in memory: those whose path ends in .csv under "terminology/". Unknown columns, categories without a row
 * in categories.csv, duplicate rows with different categories are issues. */
SL_MUST_CHECK enum sl_status sl_terminology_load(const struct sl_policy_file *files, size_t count,
    struct sl_issues *issues, struct sl_terminology **out);
void sl_terminology_free(struct sl_terminology *terminology);

size_t sl_terminology_category_count(const struct sl_terminology *terminology);
const struct sl_category *sl_terminology_category(const struct sl_terminology *terminology, unsigned category);
unsigned sl_terminology_category_find(const struct sl_terminology *terminology, struct sl_slice id); /* SL_CATEGORY_LIMIT: none */

/* The categories of a code, at most `max` hits, each category once; gives how many. System and code are unescaped
 * text; an OID ("urn:oid:…") or a known variant of a system's URI is the same system; case and surrounding space of
 * ICD codes do not matter, nor does their dot. Hot. */
size_t sl_terminology_find(const struct sl_terminology *terminology, struct sl_slice system, struct sl_slice code,
    struct sl_code_hit *hits, size_t max);

/* Is this a code system that anybody here knows (a list, an HL7 system, one in systems.csv)? */
bool sl_terminology_knows_system(const struct sl_terminology *terminology, struct sl_slice system);

#endif
