/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FHIR R4 search: a query read strictly against the search parameters of the R4 table, and matched against a resource
 * on its spans. Used by the embedded store to find, and by the gateway to match again after redaction: a search answer
 * is the set that matches what is left.
 */
#ifndef SLUICE_SEARCH_H
#define SLUICE_SEARCH_H

#include "sluice/edit.h"
#include "sluice/issue.h"
#include "sluice/r4.h"
#include "sluice/span.h"

struct sl_search_value {
    struct sl_slice text;   /* percent-decoded and FHIR-unescaped (\, \| \$), borrowed from the arena */
    struct sl_slice system; /* token: before '|'; reference: the type before '/' */
    struct sl_slice code;   /* token: after '|'; reference: the id */
    bool has_system;        /* "|code" means: no system */
    char prefix[3];         /* dates, numbers: "eq" by default */
};

struct sl_search_param {
    const struct sl_r4_param *param;
    struct sl_slice name, modifier;       /* modifier without colon; empty if none */
    const struct sl_search_value *values; /* alternatives (comma) */
    size_t value_count;
};

struct sl_include {
    struct sl_slice source, param, target; /* target may be empty */
    bool reverse;                          /* _revinclude */
};

struct sl_search {
    sl_r4_node type;
    const struct sl_search_param *params; /* all must match */
    size_t param_count;
    const struct sl_include *includes;
    size_t include_count;
    size_t count;             /* _count; 0: not given */
    struct sl_slice summary;  /* _summary: "", "count", "true", … */
    struct sl_slice total;    /* _total: "", "none", "estimate", "accurate" */
    struct sl_slice cursor;   /* our own page cursor; empty on the first page */
    struct sl_slice elements; /* _elements; empty if not given */
};

/* Reads the query (and form body) of a search on `type`, both still percent-encoded. Any parameter, modifier, prefix or
 * value form that is not supported is refused with SL_BAD_PARAMETER: a dropped parameter is a wider search.
 * SL_URI_TOO_LONG beyond 256 KiB. On failure *out is zeroed. Slices in *out live in the arena; `type` 0 knows the
 * common parameters only.
 *
 * Refused among others: chains and _has, composites, _sort, _text, _content, _filter, _list, _type, the modifiers :not,
 * :in, :text, :above, :below, :identifier, :iterate, the prefix ap, a parameter without a value, one of the result
 * parameters given twice. Accepted without meaning here: _format (JSON only) and _pretty. `_cursor` is ours. */
SL_MUST_CHECK enum sl_status sl_search_read(struct sl_arena *arena, sl_r4_node type, struct sl_slice query,
    struct sl_slice form, struct sl_issues *issues, struct sl_search *out);

/* Does the resource at `root` match every parameter? What `edits` (may be NULL) has cut is not there, whether that
 * makes it match no more or (:missing=true, ne) match now. Never allocates. */
bool sl_search_match(
    const struct sl_search *search, const struct sl_doc *doc, uint32_t root, const struct sl_edits *edits);
/* One parameter alone. */
bool sl_search_match_param(
    const struct sl_search_param *param, const struct sl_doc *doc, uint32_t root, const struct sl_edits *edits);

/* Calls visit for each value the parameter reads in the resource: for indexes. The value's form is as in a query:
 * token "system|code", reference "Type/id", date as written, string lower-cased. */
void sl_search_values(const struct sl_r4_param *param, const struct sl_doc *doc, uint32_t root, struct sl_arena *arena,
    void (*visit)(void *context, struct sl_slice value), void *context);

/* The FHIR type id: 1 to 64 of [A-Za-z0-9.-]. */
bool sl_id_valid(struct sl_slice id);

/* Text as a string parameter compares it: lower case, without diacritics. ptr NULL if memory ran out. */
struct sl_slice sl_search_fold(struct sl_slice text, struct sl_arena *arena);

/* Writes the query again in one normal form, percent-encoded, in a fixed order: for self links and the upstream. Two
 * queries that say the same in another order give the same bytes, and those bytes read back give them again. The
 * cursor, _format and _pretty are not among them. */
SL_MUST_CHECK enum sl_status sl_search_write(
    const struct sl_search *search, struct sl_arena *arena, struct sl_slice *out);

#endif
