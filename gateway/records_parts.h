/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the embedded store lies in LMDB: shared by records.c (reading, searching), records_index.c (index keys),
 * records_import.c (files) and records_write.c (versions).
 *
 *     current   Type/id                             version (8, big-endian), SHA-256 of what came in (32), text
 *     history   Type/id/version (8, big-endian)     the same, of versions that are not current
 *     index     a key of records_index.c, the id    nothing
 *     facts     "format"                            what the index was made by
 *
 * What is deleted is not in `current`, and its last version in `history` has zeros for a digest and a text of resource
 * type, id and meta alone.
 *
 * The index may hold more than the truth, never less: keys are written before the resource they name, and taken away
 * after it; whoever finds a resource by a key matches it against the search again. So a crash between two transactions
 * leaves whole resources, and loses none.
 */
#ifndef SLUICE_GATEWAY_RECORDS_PARTS_H
#define SLUICE_GATEWAY_RECORDS_PARTS_H

#include "records.h"

enum { TABLE_CURRENT, TABLE_HISTORY, TABLE_INDEX, TABLE_FACTS };

#define SL_RECORD_DIGEST 32u
#define SL_RECORD_HEAD (8u + SL_RECORD_DIGEST)
#define SL_RECORD_BYTES ((size_t)16 << 20) /* the longest resource that is kept */
#define SL_RECORD_KEY 128u                 /* room for "Type/id", and a version behind it */
#define SL_INDEX_KEY 96u                   /* room for any index key with its id */

struct sl_records {
    struct sl_store *store;
};

/* A stored version, borrowed from the transaction. */
struct sl_record {
    uint64_t version;
    struct sl_slice digest, text;
    bool deleted; /* the version that says that it is no longer there */
};
SL_MUST_CHECK enum sl_status sl_record_get(
    struct sl_txn *txn, struct sl_slice type, struct sl_slice id, struct sl_record *out);
SL_MUST_CHECK enum sl_status sl_record_parse(struct sl_slice value, struct sl_record *out);
void sl_record_number(char out[8], uint64_t number); /* big-endian, so that keys sort as numbers do */

/* A key of the index without the id that follows: all entries with one value of one parameter (or one prefix of it). */
struct sl_index_key {
    char bytes[SL_INDEX_KEY];
    size_t len;
};

/* A growing list in an arena. */
struct sl_index_keys {
    struct sl_arena *arena;
    struct sl_index_key *list;
    size_t count, capacity;
};

/* The keys a resource has in the index, with its id, sorted, each once. */
SL_MUST_CHECK enum sl_status sl_index_of(struct sl_arena *arena, const struct sl_doc *doc, struct sl_slice type,
    struct sl_slice id, struct sl_index_keys *out);

/* The key prefixes under which everything that can match the parameter stands. false: the index cannot serve it. */
bool sl_index_plan(sl_r4_node type, const struct sl_search_param *param, struct sl_index_keys *out);

/* The id at the end of an index key. */
struct sl_slice sl_index_id(struct sl_slice key);

/* What the tables and parameters of this release make of an index, as a number. */
uint64_t sl_index_format(void);

/* ---- Versions (records_write.c) ---- */

/* A version to be written over `old`, worked out before anything is. */
struct sl_record_step {
    struct sl_slice type, id;
    uint64_t from, to;             /* the version it was made from (0: none), and its own */
    bool was_current, deletes;     /* old stood in `current`; this takes it away from there */
    struct sl_slice past, present; /* values: of the old version for `history`; of the new one */
    struct sl_index_keys add, drop;
};

/* The last version there is, a deletion too, copied. version 0: none was ever there. */
SL_MUST_CHECK enum sl_status sl_record_last(
    struct sl_txn *txn, struct sl_arena *arena, struct sl_slice type, struct sl_slice id, struct sl_record *out);
/* `text`: as it will stand; empty for a deletion. `digest`: SL_RECORD_DIGEST bytes; of a deletion not looked at. */
SL_MUST_CHECK enum sl_status sl_record_step_make(struct sl_arena *arena, const struct sl_record *old,
    struct sl_slice digest, struct sl_slice text, struct sl_record_step *step);
/* How many puts and deletes it is. */
size_t sl_record_step_puts(const struct sl_record_step *step);
/* Index keys first, then the versions, then the keys that no longer hold; in a transaction with room, in which the last
 * version was looked at. */
SL_MUST_CHECK enum sl_status sl_record_step_put(struct sl_txn *txn, const struct sl_record_step *step);
/* All of them or none, however many keys they have. SL_EXISTS: one was made from what is no longer the last version. */
SL_MUST_CHECK enum sl_status sl_record_steps_put(
    struct sl_records *records, const struct sl_record_step *steps, size_t count);

/* Edits a resource's id, meta.versionId and meta.lastUpdated. */
SL_MUST_CHECK enum sl_status sl_record_put_id(
    struct sl_edits *edits, const struct sl_doc *doc, struct sl_arena *arena, struct sl_slice id);
SL_MUST_CHECK enum sl_status sl_record_put_meta(
    struct sl_edits *edits, const struct sl_doc *doc, struct sl_arena *arena, uint64_t version, int64_t now);
/* The text as edited, in one piece. SL_LIMIT: longer than is kept. */
SL_MUST_CHECK enum sl_status sl_record_gather(struct sl_edits *edits, struct sl_arena *arena, struct sl_slice *out);
SL_MUST_CHECK bool sl_record_digest(struct sl_slice text, unsigned char out[SL_RECORD_DIGEST]);

/* The ids of at most `most` resources that match, in order, copied into the arena. */
SL_MUST_CHECK enum sl_status sl_records_find(struct sl_records *records, struct sl_arena *arena,
    const struct sl_search *search, size_t most, struct sl_slice **ids, size_t *count);

/* ---- A map from text to text (records_map.c); zeroed is empty. Keys and values are borrowed. ---- */

struct sl_text_map {
    struct sl_arena *arena; /* set before the first put */
    struct sl_text_pair {
        struct sl_slice key, value;
    } * pairs;
    size_t count, capacity; /* a power of two, at most half full */
};
/* The value's place; NULL if the key is not there. */
struct sl_slice *sl_text_map_get(const struct sl_text_map *map, struct sl_slice key);
/* Sets the value where the key is new; *is_new tells. SL_NO_MEMORY. */
SL_MUST_CHECK enum sl_status sl_text_map_put(
    struct sl_text_map *map, struct sl_slice key, struct sl_slice value, bool *is_new);

#endif
