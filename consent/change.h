/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes: what a rule with `change:` does to single elements of what it lets go. The words are those of changes.def; a
 * change looks at one element and says whether it stays, goes, or has another text in its place. It never looks at what
 * a record means, and never at other records. Inside the consent room only.
 */
#ifndef SLUICE_CONSENT_CHANGE_H
#define SLUICE_CONSENT_CHANGE_H

#include "sluice/r4.h"
#include "sluice/span.h"

enum sl_change {
#define C(name, word, implied, reads) SL_CHANGE_##name,
#include "changes.def"
#undef C
    SL_CHANGES
};
#define SL_CHANGE_BIT(name) ((uint32_t)1 << SL_CHANGE_##name)

struct sl_slice sl_change_word(enum sl_change change);
struct sl_slice sl_change_reads(enum sl_change change);
uint32_t sl_change_bits(enum sl_change change); /* its own bit and those of the changes that it makes as well */

/* One element, as the walk of a record comes by it. */
struct sl_change_place {
    const struct sl_doc *doc;
    uint32_t span;                       /* its value; of several the one */
    sl_r4_node parent;                   /* the node whose property it is */
    const struct sl_r4_element *element; /* NULL: R4 knows none */
    bool half;                           /* the '_' half of a primitive, or an entry of an array of them */
    int year;                            /* the year of now */
    struct sl_arena *arena;
};

enum sl_change_effect { SL_CHANGE_KEEP, SL_CHANGE_CUT, SL_CHANGE_REPLACE };

/* What these changes do to the element. REPLACE: *text is JSON to stand in its place; ptr NULL if memory ran out. The
 * strictest of them counts. */
enum sl_change_effect sl_change_apply(uint32_t changes, const struct sl_change_place *place, struct sl_slice *text);

/* Could these changes put another text in the place of an element that the search parameter reads? */
bool sl_change_touches(uint32_t changes, const struct sl_r4_param *param);

#endif
