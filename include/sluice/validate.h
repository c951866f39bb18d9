/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A resource held against FHIR R4 as far as its table goes (sluice/r4.h): elements that R4 does not have,
 * cardinalities, the JSON form of each value, and the lexical form of each primitive. Not: value sets, invariants in
 * FHIRPath, profiles, and what references lead to.
 *
 * Pure: no upstream, no policy. Findings hold places and constant sentences, never a value.
 *
 * Source: http://hl7.org/fhir/R4/datatypes.html, json.html, validation.html.
 */
#ifndef SLUICE_VALIDATE_H
#define SLUICE_VALIDATE_H

#include "sluice/arena.h"
#include "sluice/r4.h"
#include "sluice/span.h"

struct sl_finding {
    const char *code;     /* of http://hl7.org/fhir/issue-type: structure, required, value, invariant */
    const char *text;     /* a literal sentence */
    uint32_t span;        /* what it is about; of what is missing, the object that lacks it */
    struct sl_slice name; /* of what is missing; else empty */
};

#define SL_FINDINGS 100u /* told, at most */

struct sl_findings {
    struct sl_finding one[SL_FINDINGS];
    size_t count;
    bool more; /* than are told */
};

/* Finds what is wrong with the resource at `root`. The arena is for strings with escapes. SL_NO_MEMORY. */
SL_MUST_CHECK enum sl_status sl_validate(
    const struct sl_doc *doc, uint32_t root, struct sl_arena *arena, struct sl_findings *out);

/* Has the text the lexical form of the primitive `node` (SL_R4_date, SL_R4_code, …)? `text` is what a JSON string
 * holds, unescaped, or a number or boolean as written. */
bool sl_primitive_valid(sl_r4_node node, struct sl_slice text);

#endif
