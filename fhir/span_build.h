/* SPDX-License-Identifier: Apache-2.0 */
/* The second stage of a parse: from bits to spans, by the grammar. Private to fhir/span*.c. */
#ifndef SLUICE_SPAN_BUILD_H
#define SLUICE_SPAN_BUILD_H

#include "span_scan.h"

/*
 * Writes the spans of the scanned text into the arena. `good` says how much of the text may be believed: less than all
 * of it where the scanner found fault; then the error is the grammar's if it breaks earlier, and *error as it came if
 * not.
 */
SL_MUST_CHECK enum sl_status sl_span_build(struct sl_arena *arena, const struct sl_scan *scan,
    const struct sl_scanner *scanner, size_t good, const struct sl_doc_limits *limits, struct sl_doc *out,
    struct sl_doc_error *error);

/* Are the keys of this closed object all different? If not, *twin is the member whose key repeats an earlier one.
 * SL_OK also if they are not; SL_NO_MEMORY. Scratch comes from the arena, and only for many unknown keys. */
SL_MUST_CHECK enum sl_status sl_span_find_twin(
    struct sl_arena *arena, const struct sl_doc *doc, uint32_t object, uint32_t *twin);

/* sl_doc_parse with a scanner of the caller's choice: tests compare them all. */
SL_MUST_CHECK enum sl_status sl_doc_parse_with(const struct sl_scanner *scanner, struct sl_arena *arena,
    struct sl_slice text, const struct sl_doc_limits *limits, struct sl_doc *out, struct sl_doc_error *error);

/* Is this a number of RFC 8259, section 6? Gives the length of the longest one at p, 0 if there is none. */
size_t sl_span_number(const char *p, size_t left);

/* Decodes the escape at p (a backslash) into UTF-8, and says how many bytes it took; 0 if it is none: unknown letter,
 * bad digits, or half a surrogate pair. */
size_t sl_span_unescape(const char *p, size_t left, char out[4], unsigned *out_len);

#endif
