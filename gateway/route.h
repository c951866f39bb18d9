/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a request to one interaction, by tables: which paths there are, which headers change meaning, which general
 * parameters are known. What is not in a table is refused, never dropped: a dropped parameter is a wider search.
 */
#ifndef SLUICE_GATEWAY_ROUTE_H
#define SLUICE_GATEWAY_ROUTE_H

#include "config.h"
#include "format.h"
#include "http.h"
#include "sluice/search.h"

enum sl_interaction_kind {
    SL_INTERACTION_NONE, /* nothing that is served */
#define SL_INTERACTION(name, word, class, action) SL_##name,
#include "interactions.def"
#undef SL_INTERACTION
};

/* Which steps an interaction goes through. LOCAL: no record is touched. */
enum sl_interaction_class {
    SL_FOR_NOTHING = 1,
    SL_FOR_LOCAL = 2,
    SL_FOR_ASKS = 4,
    SL_FOR_WRITES = 8,
    SL_FOR_BATCHES = 16
};

struct sl_interaction {
    enum sl_interaction_kind kind;
    bool form; /* POST _search: the body holds parameters */
    sl_r4_node type;
    struct sl_slice type_name;   /* "Condition"; empty for metadata */
    struct sl_slice id;          /* read, everything; the patient's id of a compartment search is in `compartment` */
    struct sl_slice compartment; /* "Patient/x" of Patient/x/Type; empty otherwise */
    struct sl_slice route;       /* read of what is reached by route: _route, the record that led to it; may be empty */
    enum sl_format format;
    bool format_named;       /* by `_format`: links carry it on */
    struct sl_slice version; /* vread: the tag of a view */
    struct sl_slice since;   /* history: _since, an instant; empty: from the beginning */
    struct sl_slice types;   /* _type of $everything and of a search of the system: resource types; empty: all */
    struct sl_slice query;   /* what is left of it for the search, without general parameters */
    struct sl_search search; /* after sl_route_query; of a read, what it says of parts; of the system, the first of */
    const struct sl_search *searches; /* one for each of `types` */
    size_t search_count;
};

/* "metadata", "read", "search", …, "none": for ledger and log. */
struct sl_slice sl_interaction_name(enum sl_interaction_kind kind);
enum sl_interaction_class sl_interaction_class(enum sl_interaction_kind kind);
/* What scopes must allow: SL_MAY_READ and the like of identify.h; 0: nothing. */
unsigned sl_interaction_action(enum sl_interaction_kind kind);

/* Judges method, path, headers and general parameters. SL_NOT_SUPPORTED, SL_METHOD, SL_NOT_ACCEPTABLE, SL_MEDIA_TYPE,
 * SL_BAD_PARAMETER, SL_BAD_SYNTAX. *why is a literal for operators. */
SL_MUST_CHECK enum sl_status sl_route(const struct sl_config *config, const struct sl_request *request,
    struct sl_arena *arena, struct sl_interaction *out, const char **why);

/* With the body there: reads the parameters. Issues say which was refused. */
SL_MUST_CHECK enum sl_status sl_route_query(const struct sl_request *request, struct sl_arena *arena,
    struct sl_issues *issues, struct sl_interaction *interaction);

/* Takes the next name and value of a query, decoded, and the pair as written; false: malformed, or out of memory. */
SL_MUST_CHECK bool sl_query_take(struct sl_slice *query, struct sl_arena *arena, struct sl_slice *raw,
    struct sl_slice *name, struct sl_slice *value);
/* Is it a list of resource types, with commas between? */
bool sl_are_types(struct sl_slice text);
/* Is this type among those that $everything was asked for? */
bool sl_interaction_wants(const struct sl_interaction *interaction, sl_r4_node type);

/* A FHIR id: 1 to 64 letters, digits, '-' and '.'. */
bool sl_is_id(struct sl_slice text);

/* Is a path the base, or below it? */
bool sl_path_is_under(struct sl_slice path, struct sl_slice base);

#define SL_ROUTE_METHODS 48u
/* The methods that this path has, as Allow says them; empty: it is none of ours. By the path alone: who may do what is
 * another question. */
void sl_route_methods(const struct sl_config *config, const struct sl_request *request, char out[SL_ROUTE_METHODS]);

#endif
