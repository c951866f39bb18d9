/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the search module share: folded text, numbers, and the walk over what one search
 * parameter reads in one resource. Nothing here allocates unless it takes an arena.
 */
#ifndef SLUICE_FHIR_SEARCH_PARTS_H
#define SLUICE_FHIR_SEARCH_PARTS_H

#include "sluice/edit.h"
#include "sluice/r4.h"
#include "sluice/search.h"
#include "sluice/span.h"
#include "sluice/time_range.h"

/* ---- Text (search_text.c) ---- */

/*
 * Reads UTF-8 text byte by byte as a string search compares it: lower case, without diacritics. `json`: the text is the
 * raw inside of a JSON string, and its escapes are resolved. A fold is a value: copying it keeps the place.
 */
struct sl_fold {
    const char *at, *end;
    bool json;
    char out[4];
    unsigned char have, used;
};
struct sl_fold sl_fold_begin(struct sl_slice text, bool json);
int sl_fold_next(struct sl_fold *fold); /* the next byte; -1 at the end */
/* The next byte of a text's words: one space for a character that belongs to none. `markup`: tags and entities of XHTML
 * are read as what they stand for. */
int sl_fold_word(struct sl_fold *fold, bool markup);

struct sl_slice sl_fold_all(struct sl_fold fold, struct sl_arena *arena); /* the rest of it; ptr NULL: out of memory */

bool sl_fold_starts(struct sl_fold text, struct sl_fold prefix);
bool sl_fold_contains(struct sl_fold text, struct sl_fold part);
bool sl_fold_equal(struct sl_fold text, struct sl_fold other);
bool sl_fold_ends(struct sl_fold text, struct sl_fold end);

/* The value of a string span: borrowed where it holds no escape, else unescaped into `scratch`. Empty with ptr NULL if
 * it is no string, or does not fit. */
struct sl_slice sl_search_text(const struct sl_doc *doc, uint32_t span, char *scratch, size_t size);
/* The inside of a string as it goes out: as it came, or as an edit has put it in its place; edits may be NULL. *whole:
 * no escape stands in it. */
struct sl_slice sl_search_raw(const struct sl_doc *doc, const struct sl_edits *edits, uint32_t span, bool *whole);

/* ---- Words (search_words.c) ---- */

/* Do the words stand in the narrative, or anywhere in the texts of a resource? */
bool sl_search_match_words(
    const struct sl_search_param *param, const struct sl_doc *doc, uint32_t root, const struct sl_edits *edits);

/* ---- Numbers (search_value.c; times are in sluice/time_range.h) ---- */

/* A decimal and the half unit of its last place. */
struct sl_number {
    double value, half;
};
bool sl_number_read(struct sl_slice text, struct sl_number *out);
bool sl_number_compare(const char *prefix, struct sl_number wanted, double there);

/* ---- The walk (search_walk.c) ---- */

/* One thing a parameter read. What is 0 is not there (0 is the root, never a value). */
struct sl_atom {
    uint32_t value;            /* string, number or boolean: the code, reference, text, date or number */
    uint32_t system, unit;     /* of a token or quantity: its code; of :of-type the system and code of the identifier's
                                  type */
    uint32_t words;            /* of a quantity: its unit in words */
    struct sl_time_range time; /* of a date */
};
/* true ends the walk. */
typedef bool (*sl_atom_visit)(void *context, const struct sl_atom *atom);

struct sl_walk {
    const struct sl_r4_param *param;
    enum sl_search_modifier how; /* :text, :identifier and :of-type read something else of the same element */
    const struct sl_doc *doc;
    uint32_t root;
    const struct sl_edits *edits; /* may be NULL; what is cut is not visited */
    sl_atom_visit visit;
    void *context;
};
/* Visits each atom of the parameter; true if a visit ended the walk. */
bool sl_search_walk(const struct sl_walk *walk);
/* Of a composite: calls `holder` with each element that holds its parts, until it gives true. */
typedef bool (*sl_walk_holder)(const struct sl_walk *walk, uint32_t span, sl_r4_node node);
bool sl_search_walk_holders(const struct sl_walk *walk, sl_walk_holder holder);
/* Visits what one component reads within such an element. */
bool sl_search_walk_within(const struct sl_walk *walk, uint32_t span, sl_r4_node node);
/* Patient.deceased and its like: is anything at the paths but the boolean false? */
bool sl_search_exists(const struct sl_walk *walk);
/* Is there any element at the parameter's paths, whatever its form? For :missing. */
bool sl_search_present(const struct sl_walk *walk);
/* Can the walk read this parameter as its type and filter say? What it cannot read is refused, never ignored. */
bool sl_search_readable(const struct sl_r4_param *param);

/* A reference in parts: "Patient/x", "Patient/x/_history/2"; absolute or "urn:…" (type and id empty). */
struct sl_reference_parts {
    struct sl_slice type, id;
};
struct sl_reference_parts sl_reference_split(struct sl_slice text);

#endif
