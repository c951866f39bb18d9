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

/* http://hl7.org/fhir/R4/search.html#modifiers; a type name as in subject:Patient is SL_MODIFIER_TYPE. */
enum sl_search_modifier {
    SL_MODIFIER_NONE,
    SL_MODIFIER_MISSING,
    SL_MODIFIER_EXACT,
    SL_MODIFIER_CONTAINS,
    SL_MODIFIER_TEXT,
    SL_MODIFIER_NOT,
    SL_MODIFIER_ABOVE,
    SL_MODIFIER_BELOW,
    SL_MODIFIER_IDENTIFIER,
    SL_MODIFIER_OF_TYPE,
    SL_MODIFIER_TYPE,
    /* What no modifier says: operators of _filter, and the words of _text and _content. */
    SL_MODIFIER_EQUAL,    /* a text as a whole, folded */
    SL_MODIFIER_ENDS,     /* the end of a text */
    SL_MODIFIER_OTHER,    /* there is a value that is another */
    SL_MODIFIER_OVERLAPS, /* of times */
    SL_MODIFIER_NARRATIVE,
    SL_MODIFIER_CONTENT
};

struct sl_search_value {
    struct sl_slice text;                /* percent-decoded and FHIR-unescaped (\, \| \$), borrowed from the arena */
    struct sl_slice system;              /* token: before '|'; reference: the type before '/' */
    struct sl_slice code;                /* token: after '|'; reference: the id */
    struct sl_slice number;              /* :of-type: the identifier's value, after the second '|' */
    bool has_system;                     /* "|code" means: no system */
    char prefix[3];                      /* dates, numbers: "eq" by default */
    const struct sl_search_value *parts; /* composite: one for each of its components */
};

struct sl_search_param {
    const struct sl_r4_param *param;
    struct sl_slice name, modifier; /* modifier without colon; empty if none */
    enum sl_search_modifier how;
    const struct sl_search_value *values; /* alternatives (comma); none: nothing matches */
    size_t value_count;
    const struct sl_search_term *terms; /* of _filter, _text and _content, which stand as written in their one value */
};

/* What is said with and, or and not: a tree, no deeper than SL_SEARCH_TERMS. */
#define SL_SEARCH_TERMS 64u
enum sl_search_join { SL_SEARCH_ALONE = 1, SL_SEARCH_AND, SL_SEARCH_OR, SL_SEARCH_NOT };
struct sl_search_term {
    enum sl_search_join join;
    const struct sl_search_term *left, *right; /* right: of AND and OR */
    const struct sl_search_param *alone;       /* of ALONE; `terms` of it are none */
};

struct sl_include {
    struct sl_slice source, param, target; /* target may be empty; param "*": every reference of the source */
    bool reverse;                          /* _revinclude */
    bool iterate;                          /* also for what was included */
};

struct sl_search_sort {
    const struct sl_r4_param *param;
    bool descending;
};

/* Something to be found out before the search can be asked: a chained parameter (subject:Patient.name=x), _has, _list.
 * Whoever resolves it puts a parameter in its place; a search with steps left matches nothing. */
enum sl_search_step_kind { SL_SEARCH_CHAIN = 1, SL_SEARCH_HAS, SL_SEARCH_LIST };
struct sl_search_step {
    enum sl_search_step_kind kind;
    const struct sl_r4_param *param; /* the reference that leads on: of this type (chain), of the inner one (_has) */
    struct sl_slice type;            /* as written: subject:Patient.name; _has:Observation:…; may be empty */
    const struct sl_search *inner;   /* one search for each type it may lead to */
    size_t inner_count;
    struct sl_slice rest, text; /* what follows, as written: "name:exact" and its values; of _list the id is the text */
    struct sl_search_param *place; /* of one within a _filter: where what it finds is put; NULL: beside the others */
};

#define SL_SEARCH_STEPS 8u /* of one search, and as deep as they may stand in each other */

struct sl_search {
    sl_r4_node type;
    const struct sl_search_param *params; /* all must match */
    size_t param_count;
    const struct sl_search_step *steps; /* all must hold as well */
    size_t step_count;
    const struct sl_include *includes;
    size_t include_count;
    const struct sl_search_sort *sorts; /* the first counts most */
    size_t sort_count;
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
 * Refused among others: _contained, _query, the modifiers :in and :not-in, :above and :below
 * but of a uri, composites whose parts stand in several elements, a parameter without a value, one of the result
 * parameters given twice. Accepted without meaning here: _format (JSON only), _pretty, and _type where it names the
 * type that is searched. `_cursor` is ours. */
SL_MUST_CHECK enum sl_status sl_search_read(struct sl_arena *arena, sl_r4_node type, struct sl_slice query,
    struct sl_slice form, struct sl_issues *issues, struct sl_search *out);

/* Is a search by this parameter served? */
bool sl_search_serves(const struct sl_r4_param *param);

/* How a parameter could still match once something it reads has been cut. SL_SEARCH_SHRINKS: what matches then matched
 * before. SL_SEARCH_ANY: it may match what did not (:not, :missing=true, ne, "|code"), or asks what not every R4 server
 * answers alike (ap, :text, :identifier, :of-type, :below, _security, which labels are put into): the whole record does
 * not say. */
enum sl_search_bearing { SL_SEARCH_ANY, SL_SEARCH_SHRINKS };
enum sl_search_bearing sl_search_bearing(const struct sl_search_param *param);

/* The same as a parameter that any server knows, and that whatever matches the one given matches too. False: there is
 * none. */
bool sl_search_narrow(const struct sl_search_param *param, struct sl_search_param *out);
/* Calls visit with each parameter that must hold if this one does: itself, or of a _filter what `and` joins. */
void sl_search_each(const struct sl_search_param *param,
    void (*visit)(void *context, const struct sl_search_param *param), void *context);

/* Does it read what is put into a resource on its way out (labels and tags), or its words? Then only the bytes that go
 * out tell. */
bool sl_search_reads_view(const struct sl_search *search);

/* Which of _filter, _text and _content it asks by: bits, of which policy says who may. */
enum { SL_SEARCH_BY_FILTER = 1, SL_SEARCH_BY_TEXT = 2, SL_SEARCH_BY_CONTENT = 4 };
unsigned sl_search_means(const struct sl_search *search);

/* Does the resource at `root` match every parameter? What `edits` (may be NULL) has cut is not there, whether that
 * makes it match no more or (:missing=true, ne) match now. Never allocates. */
bool sl_search_match(
    const struct sl_search *search, const struct sl_doc *doc, uint32_t root, const struct sl_edits *edits);
/* One parameter alone. */
bool sl_search_match_param(
    const struct sl_search_param *param, const struct sl_doc *doc, uint32_t root, const struct sl_edits *edits);

/* What a resource, less what was cut, is ordered by: bytes to be compared as such, in `arena`; ptr NULL: it has no
 * value, and comes last either way. Of several values the least counts, descending the greatest. */
#define SL_SEARCH_SORT_KEY 256u /* bytes at most: texts that are alike so far are alike */
struct sl_slice sl_search_sort_key(const struct sl_search_sort *sort, const struct sl_doc *doc, uint32_t root,
    const struct sl_edits *edits, struct sl_arena *arena);

/* Calls visit with type and id of each reference the parameter reads that names a record, less what was cut. */
void sl_search_references(const struct sl_r4_param *param, const struct sl_doc *doc, uint32_t root,
    const struct sl_edits *edits, void (*visit)(void *context, struct sl_slice type, struct sl_slice id),
    void *context);

/* Calls visit for each value the parameter reads in the resource: for indexes. The value's form is as in a query:
 * token "system|code", reference "Type/id", date as written, string lower-cased. */
void sl_search_values(const struct sl_r4_param *param, const struct sl_doc *doc, uint32_t root, struct sl_arena *arena,
    void (*visit)(void *context, struct sl_slice value), void *context);

/* The FHIR type id: 1 to 64 of [A-Za-z0-9.-]. */
bool sl_id_valid(struct sl_slice id);
/* Is it all of [A-Za-z0-9.-], or '_' where that is taken, whatever its length? */
bool sl_id_is_spelt(struct sl_slice id, bool underscores);

/* Text as a string parameter compares it: lower case, without diacritics. ptr NULL if memory ran out. */
struct sl_slice sl_search_fold(struct sl_slice text, struct sl_arena *arena);

/* Writes the query again in one normal form, percent-encoded, in a fixed order: for self links and the upstream. Two
 * queries that say the same in another order give the same bytes, and those bytes read back give them again. The
 * cursor, _format and _pretty are not among them. */
SL_MUST_CHECK enum sl_status sl_search_write(
    const struct sl_search *search, struct sl_arena *arena, struct sl_slice *out);

#endif
