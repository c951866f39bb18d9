/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the merging of a write: merge.c (what stays, goes and comes) and merge_match.c (what is the same as what).
 * Private to them.
 */
#ifndef SLUICE_CONSENT_MERGING_H
#define SLUICE_CONSENT_MERGING_H

#include "sluice/merge.h"

#define SL_NOWHERE UINT32_MAX /* no span */

/* ---- Equality of values, whatever the order of members and the way strings are escaped ---- */

/* A hash of each value of a resource, so that most of what differs is known by one look. */
struct sl_digests {
    const struct sl_doc *doc;
    uint32_t root;
    uint64_t seed;
    uint64_t *of; /* by span less root */
};
/* `seed`: the same for all that are compared, and known to nobody outside. */
SL_MUST_CHECK enum sl_status sl_digests_make(
    struct sl_digests *digests, struct sl_place place, uint64_t seed, struct sl_arena *arena);
static inline uint64_t sl_digest(const struct sl_digests *digests, uint32_t span)
{
    return digests->of[span - digests->root];
}

/* Numbers are equal if they are written alike: 1.10 is not 1.1. The spans may be SL_NOWHERE. */
bool sl_same_value(
    const struct sl_digests *a, uint32_t x, const struct sl_digests *b, uint32_t y, struct sl_arena *arena);

/* ---- Entries of arrays ---- */

/* One entry: of an array, and of its '_' sibling; either may be SL_NOWHERE. */
struct sl_entry_at {
    uint32_t value, half;
};
struct sl_entries {
    const struct sl_digests *digests; /* NULL: of the record, whose values are not compared */
    const struct sl_doc *doc;
    uint32_t value, half; /* the arrays */
    struct sl_entry_at *at;
    uint32_t count;
};
/* The entries of two arrays; a span that is no array has none. */
SL_MUST_CHECK enum sl_status sl_entries_find(struct sl_entries *entries, struct sl_arena *arena);
bool sl_merge_same_entry(
    const struct sl_entries *a, uint32_t i, const struct sl_entries *b, uint32_t k, struct sl_arena *arena);

/*
 * For each entry sent, the entry of the view that it is (SL_NOWHERE: a new one), each at most once: by `id`; by being
 * equal, wherever it stands; and between two that are found, by what is equal in it. `firm`: entries of the view from
 * there on are Sluice's own, which are the same only if they are equal; `apart[i]`: likewise. Linear, but for runs of
 * changed entries, which are compared with one another up to a bound.
 */
struct sl_matching {
    const struct sl_entries *view, *sent;
    uint32_t firm;
    const bool *apart; /* NULL: none */
    uint32_t *of_sent; /* by entry sent */
    uint32_t *of_view; /* by entry of the view */
};
SL_MUST_CHECK enum sl_status sl_match(struct sl_matching *matching, struct sl_arena *arena);

/* Is it an Extension that labels the element it stands on (DS4P)? The span may be SL_NOWHERE. */
bool sl_merge_is_label(const struct sl_doc *doc, uint32_t extension);

#endif
