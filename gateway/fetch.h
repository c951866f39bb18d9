/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an upstream's answer says: the text of an ask read into resources. Strict: what is not a JSON resource of the
 * type asked for, or a searchset or history of such, is a failure of the upstream and answers the whole request 503.
 */
#ifndef SLUICE_GATEWAY_FETCH_H
#define SLUICE_GATEWAY_FETCH_H

#include "sluice/edit.h"
#include "sluice/r4.h"
#include "sluice/span.h"
#include "upstream.h"

struct sl_entry {
    uint32_t root; /* span of the resource; 0 of a deletion */
    uint32_t at;   /* span of the Bundle's entry; 0: it stands alone */
    bool match;    /* else an include */
    sl_r4_node type;
    struct sl_slice id;            /* as in the text: ids hold no escapes */
    bool deleted;                  /* of a history: a version that says that it is no longer there */
    struct sl_slice version;       /* of a history: the upstream's number; may be empty */
    struct sl_slice updated;       /* of a history: when; may be empty */
    const struct sl_kept_row *row; /* it came before; NULL: it did not */
};

/* One answer, read. Lives in the ask's arena. */
struct sl_fetched {
    struct sl_doc doc;
    struct sl_edits *edits; /* over doc: the cuts and labels of all its entries */
    struct sl_entry *entries;
    size_t count;
    size_t matches;
    struct sl_slice next;           /* position of the following page; empty: none */
    const struct sl_kept_row *rows; /* those of its entries that were read before, in their order */
    size_t row_count;
    const struct sl_address *address; /* what the server calls itself in it, and where; NULL: it does not */
    struct sl_address_places places;
};

/* Reads a finished ask whose status is SL_OK. SL_UPSTREAM with ask->why set; SL_NO_MEMORY. */
SL_MUST_CHECK enum sl_status sl_fetch_read(struct sl_ask *ask, struct sl_fetched **out);
/* May the one be listed behind the other in a history of their record? By their numbers, else by their instants; where
 * neither is told, yes. */
bool sl_fetch_follows(const struct sl_entry *newer, const struct sl_entry *older);
/* The answer of a finished BATCH whose status is SL_OK to its parts: each is finished then, as if it had been asked by
 * itself. SL_UPSTREAM with batch->why set: it is no answer to them; SL_NO_MEMORY. */
SL_MUST_CHECK enum sl_status sl_fetch_split(struct sl_ask *batch);

#endif
