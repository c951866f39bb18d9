/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing single resources into the embedded store. Each write makes a version; none is ever taken away: what is
 * deleted has a last version that says so, and its history stays.
 *
 * One thread at a time, in any number of processes: a write waits for the store's one lock, and what it was made from
 * is looked at again under that lock. So `sluice records import` beside a running gateway, or two gateways over one
 * store, lose nothing to each other.
 */
#ifndef SLUICE_GATEWAY_RECORDS_WRITE_H
#define SLUICE_GATEWAY_RECORDS_WRITE_H

#include "records.h"

enum sl_record_change { SL_RECORD_NONE, SL_RECORD_CREATE, SL_RECORD_UPDATE, SL_RECORD_DELETE };

#define SL_RECORD_WRITES 300u /* together, at most: their versions go in one transaction */

struct sl_record_write {
    enum sl_record_change change;
    struct sl_slice type, id;
    struct sl_slice text; /* CREATE, UPDATE: the whole resource; its id and meta's version and instant are put right */
    uint64_t expected;    /* UPDATE, DELETE: the version that must be the current one */
    uint64_t version;     /* what it has become; set on SL_OK */
};

/*
 * All of the writes, or none. `now`: seconds since the epoch, for meta.lastUpdated. SL_EXISTS: what is there is not
 * what was expected (another version; nothing; a resource of that id where one was to be created), and nothing was
 * written. SL_INVALID: a text that is no such resource, an id that is none, two writes of one resource, or too many.
 */
SL_MUST_CHECK enum sl_status sl_records_write(
    struct sl_records *records, struct sl_record_write *writes, size_t count, int64_t now);

/* A version's number as meta.versionId has it. */
SL_MUST_CHECK bool sl_record_version(struct sl_slice text, uint64_t *out);
/* An id that nobody has: 128 random bits. */
SL_MUST_CHECK enum sl_status sl_record_draw_id(struct sl_arena *arena, struct sl_slice *out);

/*
 * A transaction Bundle of writes that name everything: POST Type, PUT Type/id and DELETE Type/id, the last two with
 * ifMatch W/"n" for the version that must be the current one. References to a fullUrl of the Bundle become Type/id. All
 * or none, as above. *out: a transaction-response Bundle, its entries in the same order, each with status, location
 * (Type/id/_history/n) and etag.
 */
SL_MUST_CHECK enum sl_status sl_records_transaction(
    struct sl_records *records, struct sl_arena *arena, struct sl_slice bundle, int64_t now, struct sl_slice *out);

#endif
