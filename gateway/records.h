/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The embedded EHR store: FHIR R4 resources in LMDB, for demonstrations and for EHRs without a FHIR API. It answers as an
 * upstream does, in JSON text, and knows nothing of consent: what it gives goes through the one path.
 */
#ifndef SLUICE_GATEWAY_RECORDS_H
#define SLUICE_GATEWAY_RECORDS_H

#include "sluice/edit.h"
#include "sluice/issue.h"
#include "sluice/search.h"
#include "sluice/store.h"

struct sl_records;
struct sl_records_import {
    size_t resources, created, updated, refused;
};

SL_MUST_CHECK enum sl_status sl_records_open(const char *directory, bool writable, struct sl_issues *issues, struct sl_records **out);
void sl_records_close(struct sl_records *records);

/* Imports a resource, a Bundle (collection, batch, transaction: urn:uuid: and conditional references are resolved, ids
 * are given where missing) or NDJSON. Bytes are kept as they came but for rewritten references, id and meta.versionId,
 * meta.lastUpdated. Nothing of a file is imported if any of it is unreadable. */
SL_MUST_CHECK enum sl_status sl_records_import(struct sl_records *records, struct sl_slice text, int64_t now,
    struct sl_issues *issues, struct sl_records_import *out);

/* The current version's JSON text, copied into the arena. SL_NOT_FOUND. */
SL_MUST_CHECK enum sl_status sl_records_read(struct sl_records *records, struct sl_arena *arena, struct sl_slice type,
    struct sl_slice id, struct sl_slice *text);

/* One page as a searchset Bundle's JSON text: matches from `offset` (position in a stable order) on, at most `count`, with
 * _include and _revinclude. *next: the offset of the following page, 0 if there is none. */
SL_MUST_CHECK enum sl_status sl_records_search(struct sl_records *records, struct sl_arena *arena,
    const struct sl_search *search, uint64_t offset, size_t count, struct sl_blocks *out, uint64_t *next);

#endif
