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
    unsigned seen;   /* a bit a result parameter: each may stand once */
    unsigned depth;  /* of steps within steps */
    unsigned *inner; /* searches within the whole, so far */
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

/* Reads one decoded pair on a type, as the only one of a search of its own. */
enum sl_status sl_search_read_inner(struct sl_search_reading *outer, sl_r4_node type, struct sl_slice name,
    struct sl_slice text, struct sl_search **out);

#endif
