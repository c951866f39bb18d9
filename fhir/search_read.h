/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A search being read: shared by search.c (pairs, result parameters), search_param.c (one parameter and its values) and
 * search_step.c (what has to be found out first). Inside the module only.
 */
#ifndef SLUICE_FHIR_SEARCH_READ_H
#define SLUICE_FHIR_SEARCH_READ_H

#include "search_parts.h"
#include "sluice/search.h"

enum {
    SL_SEARCH_PARAMS = 64,   /* of one search */
    SL_SEARCH_VALUES = 1024, /* of one parameter: `_id` lists are long */
    SL_SEARCH_INCLUDES = 32,
    SL_SEARCH_SORTS = 8,
    SL_SEARCH_QUERY = 256 * 1024 /* bytes of query and form together */
};

struct sl_search_reading {
    struct sl_arena *arena;
    struct sl_issues *issues; /* may be NULL */
    struct sl_search *search;
    struct sl_search_param params[SL_SEARCH_PARAMS];
    struct sl_search_step steps[SL_SEARCH_STEPS];
    struct sl_include includes[SL_SEARCH_INCLUDES];
    struct sl_search_sort sorts[SL_SEARCH_SORTS];
    unsigned seen;                             /* a bit a result parameter: each may stand once */
    unsigned depth;                            /* of steps within steps */
    unsigned *inner;                           /* searches within the whole, so far */
    const struct sl_search_operator *operator; /* of a _filter's term; NULL: a parameter as in any query */
};

/* The name of a parameter is the client's text, but no record's. Gives SL_BAD_PARAMETER. */
enum sl_status sl_search_refuse(const struct sl_search_reading *reading, struct sl_slice name, const char *why);

/* The parameter of that name that can be read; NULL. `type` 0 knows the common ones only. */
const struct sl_r4_param *sl_search_param_find(sl_r4_node type, struct sl_slice name);
/* May a reference by this parameter name a record of that type? */
bool sl_search_is_target(const struct sl_r4_param *param, struct sl_slice type);

/* Ends at an unescaped `stop`, or at the end of the text. */
size_t sl_search_piece(struct sl_slice text, char stop);

/* Adds "name:modifier=values" to the search; all of it decoded. */
enum sl_status sl_search_read_param(
    struct sl_search_reading *reading, struct sl_slice name, struct sl_slice modifier, struct sl_slice text);

/* Adds a step if the name is one's: *taken. What is searched for within is read from the same decoded words. */
enum sl_status sl_search_read_step(
    struct sl_search_reading *reading, struct sl_slice name, struct sl_slice text, bool *taken);

/* Reads one decoded pair on a type, as the only one of a search of its own; `within`: what a _filter says of it beside,
 * in brackets, or empty. */
enum sl_status sl_search_read_inner(struct sl_search_reading *outer, sl_r4_node type, struct sl_slice name,
    struct sl_slice text, struct sl_slice within, struct sl_search **out);

/* The values of a parameter, with commas between. */
enum sl_status sl_search_read_values(
    struct sl_search_reading *reading, struct sl_search_param *param, struct sl_slice text);

/* ---- search_terms.c: and, or, not ---- */

/* One reading of such a text. */
struct sl_terms {
    struct sl_search_reading *reading;
    struct sl_slice text;
    size_t at; /* how far it is read; of a mistake, where that stands */
    unsigned depth, count;
    bool beside;       /* terms that stand side by side are joined by `and`, commas are `or` */
    const char *wrong; /* of a mistake, what */
    enum sl_status (*leaf)(struct sl_terms *terms, const struct sl_search_term **out);
};
/* Adds a parameter of that name, with all of the text as its terms. */
enum sl_status sl_search_read_terms(struct sl_terms *terms, const struct sl_r4_param *param);
enum sl_status sl_terms_wrong(struct sl_terms *terms, size_t at, const char *why); /* gives SL_BAD_PARAMETER */
const struct sl_search_term *sl_terms_alone(struct sl_terms *terms, const struct sl_search_param *param);
const struct sl_search_term *sl_terms_not(struct sl_terms *terms, const struct sl_search_term *term);
bool sl_search_match_terms(
    const struct sl_search_term *term, const struct sl_doc *doc, uint32_t root, const struct sl_edits *edits);

/* ---- search_filter.c: _filter ---- */

enum sl_status sl_search_read_filter(struct sl_search_reading *reading, struct sl_slice text);
/* The value of a term, by its operator. */
enum sl_status sl_search_read_operand(
    struct sl_search_reading *reading, struct sl_search_param *param, struct sl_slice text);
/* Where the first name of a path ends, and what stands in brackets behind it: *within, empty if nothing does. */
size_t sl_filter_head(struct sl_slice path, struct sl_slice *name, struct sl_slice *within);

/* ---- search_words.c: _text, _content ---- */

enum sl_status sl_search_read_words(struct sl_search_reading *reading, struct sl_slice text, bool narrative);

#endif
