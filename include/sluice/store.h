/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One LMDB environment: named tables of keys and values. The only file that includes lmdb.h is consent/store.c.
 *
 * A read transaction begins and ends within one turn of a loop and copies what it needs. A write transaction holds at
 * most 1,000 puts and deletes (SL_STORE_PUTS); never MDB_WRITEMAP. Callers give keys of any length but zero. A key over
 * 128 bytes is stored as its first 97 bytes and the SHA-256 of the whole: 129 bytes, a length no other stored key has,
 * so no short key can be made to look like a long one. A table that must list such keys keeps the key in the value.
 *
 * A process opens an environment once (LMDB's locks are the process's) and not across fork. A write transaction belongs
 * to the thread that began it, and waits for the one write lock that all processes share; a read transaction may move
 * between threads and never waits.
 */
#ifndef SLUICE_STORE_H
#define SLUICE_STORE_H

#include <stdint.h>

#include "sluice/issue.h"
#include "sluice/slice.h"
#include "sluice/status.h"

#define SL_STORE_PUTS 1000u
#define SL_STORE_TABLES 16u /* most tables in an environment */
#define SL_STORE_PREFIX 97u /* longest prefix a cursor takes: what is kept of a long key */

/* The tables of the `policy` environment, for sl_store_open, and their indexes. */
extern const char *const sl_policy_tables[];
enum { SL_TABLE_GENERATIONS, SL_TABLE_META, SL_TABLE_DIRECTIVES, SL_TABLE_REGISTER };

struct sl_store;
struct sl_txn;
struct sl_cursor;

/* Opens (creates) the environment in `directory` with the named tables (NULL-ended). size: map size in bytes; 0: 16 GiB
 * of address space. writable false: readers only, and nothing is created: SL_MISSING where directory or a table is not
 * there. Otherwise SL_STORE, SL_NO_MEMORY. Readers that died are cleared away here. */
SL_MUST_CHECK enum sl_status sl_store_open(const char *directory, const char *const *tables, size_t size, bool writable,
    struct sl_issues *issues, struct sl_store **out);
void sl_store_close(struct sl_store *store);
/* The last committed transaction that a reader sees, whichever process made it; what a running gateway compares. A read
 * that begins later sees it or a later one. 0: it cannot be known. */
uint64_t sl_store_version(struct sl_store *store);

SL_MUST_CHECK enum sl_status sl_txn_begin(struct sl_store *store, bool write, struct sl_txn **out);
/* Of a read transaction: which state it sees, as sl_store_version counts. */
uint64_t sl_txn_version(const struct sl_txn *txn);
/* Durable when it gives SL_OK; the transaction is gone either way. After a put or delete that failed with SL_STORE,
 * nothing of it is kept and this gives SL_STORE; after SL_LIMIT what was put before is kept. */
SL_MUST_CHECK enum sl_status sl_txn_commit(struct sl_txn *txn);
void sl_txn_abort(struct sl_txn *txn); /* NULL is fine */

/* table: index into the names given at open. SL_MISSING. The value is valid until the transaction ends or, in a write
 * transaction, until its next put or delete. */
SL_MUST_CHECK enum sl_status sl_txn_get(
    struct sl_txn *txn, unsigned table, struct sl_slice key, struct sl_slice *value);
SL_MUST_CHECK enum sl_status sl_txn_put(struct sl_txn *txn, unsigned table, struct sl_slice key, struct sl_slice value);
/* SL_MISSING if there is no such key. */
SL_MUST_CHECK enum sl_status sl_txn_delete(struct sl_txn *txn, unsigned table, struct sl_slice key);

/* Walks the keys >= from, in byte order, while they start with `prefix` (at most SL_STORE_PREFIX bytes: SL_LIMIT).
 * Keys are compared and given as they are stored; `from` is one that a cursor gave, any key of at most 128 bytes, or
 * empty (the beginning of the prefix). A cursor is closed before its transaction ends. */
SL_MUST_CHECK enum sl_status sl_cursor_open(
    struct sl_txn *txn, unsigned table, struct sl_slice from, struct sl_slice prefix, struct sl_cursor **out);
/* SL_MISSING at the end. */
SL_MUST_CHECK enum sl_status sl_cursor_next(struct sl_cursor *cursor, struct sl_slice *key, struct sl_slice *value);
void sl_cursor_close(struct sl_cursor *cursor);

#endif
