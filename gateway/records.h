/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The embedded EHR store: FHIR R4 resources in LMDB, for demonstrations and for EHRs without a FHIR API. It answers as
 * an upstream does, in JSON text, and knows nothing of consent: what it gives goes through the one path.
 *
 * Any thread may read and search; importing is for one thread, and one process, at a time. Each read or search is one
 * read transaction, begun and ended within the call; what it gives is copied.
 */
#ifndef SLUICE_GATEWAY_RECORDS_H
#define SLUICE_GATEWAY_RECORDS_H

#include "sluice/edit.h"
#include "sluice/issue.h"
#include "sluice/search.h"
#include "sluice/store.h"

/* In place of an instant: each resource says itself when it was last updated, as an EHR's own dump does. */
#define SL_RECORDS_AT_GIVEN INT64_MIN

struct sl_records;
struct sl_records_import {
    size_t resources, created, updated,
        refused; /* resources: read; those neither created nor updated were there already */
};

/* writable: for importing. A store that another release indexed otherwise is refused (SL_INVALID): its searches would
 * miss records. SL_MISSING: nothing has been imported yet. */
SL_MUST_CHECK enum sl_status sl_records_open(
    const char *directory, bool writable, struct sl_issues *issues, struct sl_records **out);
void sl_records_close(struct sl_records *records);

/*
 * Imports a resource, a Bundle (collection, batch, transaction or searchset: its entries), or NDJSON of either; a
 * Bundle of any other type is kept whole, as the resource it is. Bytes are kept as they came but for references, id,
 * meta.versionId and meta.lastUpdated.
 *
 * Ids: the resource's own; else that of a PUT's url or of the fullUrl; else one drawn from the text and its place in
 * the file. References to a fullUrl of the same Bundle become Type/id, conditional ones (Type?identifier=…) are
 * resolved in the file and the store. What was imported before, byte for byte, makes no new version; a change makes the
 * next one.
 *
 * now: meta.lastUpdated of what is new, or SL_RECORDS_AT_GIVEN: then each resource must have one, and keeps it.
 *
 * All of the text is read and checked before anything is written: SL_SYNTAX or SL_INVALID, with an issue each, and
 * nothing is imported. Then it is written in transactions of at most 1,000 puts: a crash, or a disk that is full, in
 * between leaves whole resources, and some of them; importing again goes on.
 */
SL_MUST_CHECK enum sl_status sl_records_import(struct sl_records *records, struct sl_slice text, int64_t now,
    struct sl_issues *issues, struct sl_records_import *out);

/* The current version's JSON text, copied into the arena. SL_NOT_FOUND. */
SL_MUST_CHECK enum sl_status sl_records_read(struct sl_records *records, struct sl_arena *arena, struct sl_slice type,
    struct sl_slice id, struct sl_slice *text);
/* The same of a version, by its number. SL_NOT_FOUND. */
SL_MUST_CHECK enum sl_status sl_records_read_version(struct sl_records *records, struct sl_arena *arena,
    struct sl_slice type, struct sl_slice id, uint64_t version, struct sl_slice *text);

struct sl_record_history {
    struct sl_slice type, id;        /* id may be empty, and type too */
    struct sl_slice since, position; /* an instant; `next` of the page before; may be empty */
};
/*
 * One page of versions, at most `count`, the newest first, as a history Bundle's JSON text: with request and response
 * of each; what was deleted has a DELETE and no resource. *next: the position of the following page; empty if there is
 * none. SL_NOT_FOUND: there never was such a record.
 */
SL_MUST_CHECK enum sl_status sl_records_history(struct sl_records *records, struct sl_arena *arena,
    const struct sl_record_history *asked, size_t count, struct sl_blocks *out, struct sl_slice *next);

/*
 * One page as a searchset Bundle's JSON text: matches from `offset` (how many come before, in the order of their ids,
 * byte by byte) on, at most `count`, with _include and _revinclude, one level. No total, no links, no fullUrl: the
 * gateway writes its own. _summary and _elements are not applied. *next: the offset of the following page, 0 if there
 * is none. `out` has its arena set. SL_WORK_LIMIT if too much would have to be looked at.
 */
SL_MUST_CHECK enum sl_status sl_records_search(struct sl_records *records, struct sl_arena *arena,
    const struct sl_search *search, uint64_t offset, size_t count, struct sl_blocks *out, uint64_t *next);

/* How many resources of a type there are. */
SL_MUST_CHECK enum sl_status sl_records_count(struct sl_records *records, struct sl_slice type, uint64_t *count);

#endif
