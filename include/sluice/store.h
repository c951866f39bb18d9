/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One LMDB environment: named tables of keys and values. The only file that includes lmdb.h is consent/store.c.
 *
 * A read transaction begins and ends within one turn of a loop and copies what it needs. A write transaction holds at
 * most 1,000 puts (SL_STORE_PUTS); never MDB_WRITEMAP. A key over 128 bytes is its first 64 and a SHA-256: callers
 * give keys of any length, and a table that must list them keeps the key in the value.
 */
#ifndef SLUICE_STORE_H
#define SLUICE_STORE_H

#include <stdint.h>

#include "sluice/issue.h"
#include "sluice/slice.h"
#include "sluice/status.h"

#define SL_STORE_PUTS 1000u

struct sl_store;
struct sl_txn;
struct sl_cursor;

/* Opens (creates) the environment in `directory` with the named tables (NULL-ended). size: map size in bytes; 0: 16 GiB
 * of address space. writable false: readers only. */
SL_MUST_CHECK enum sl_status sl_store_open(const char *directory, const char *const *tables, size_t size, bool writable,
    struct sl_issues *issues, struct sl_store **out);
void sl_store_close(struct sl_store *store);
/* The last committed transaction: what a running gateway compares every 250 ms. */
uint64_t sl_store_version(struct sl_store *store);

SL_MUST_CHECK enum sl_status sl_txn_begin(struct sl_store *store, bool write, struct sl_txn **out);
SL_MUST_CHECK enum sl_status sl_txn_commit(struct sl_txn *txn); /* durable when it returns SL_OK; the txn is gone either way */
void sl_txn_abort(struct sl_txn *txn);                          /* NULL is fine */

/* table: index into the names given at open. The value is valid until the transaction ends. SL_MISSING. */
SL_MUST_CHECK enum sl_status sl_txn_get(struct sl_txn *txn, unsigned table, struct sl_slice key, struct sl_slice *value);
SL_MUST_CHECK enum sl_status sl_txn_put(struct sl_txn *txn, unsigned table, struct sl_slice key, struct sl_slice value);
SL_MUST_CHECK enum sl_status sl_txn_delete(struct sl_txn *txn, unsigned table, struct sl_slice key);

/* Walks the keys >= from, in byte order, while they start with `prefix`. */
SL_MUST_CHECK enum sl_status sl_cursor_open(struct sl_txn *txn, unsigned table, struct sl_slice from,
    struct sl_slice prefix, struct sl_cursor **out);
/* SL_MISSING at the end. */
SL_MUST_CHECK enum sl_status sl_cursor_next(struct sl_cursor *cursor, struct sl_slice *key, struct sl_slice *value);
void sl_cursor_close(struct sl_cursor *cursor);

#endif
