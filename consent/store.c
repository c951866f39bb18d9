/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The LMDB environments: see sluice/store.h. The only file that includes lmdb.h.
 *
 * MDB_NOTLS lets a read transaction live in a worker's object instead of its thread. Syncing stays on and MDB_WRITEMAP
 * off: a commit is durable, and a stray pointer cannot write into the store. Whatever LMDB reports beyond "not found"
 * is SL_STORE, which answers a whole request 503.
 */
#include "sluice/store.h"

#include <errno.h>
#include <lmdb.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

#define MAP_SIZE ((size_t)16 << 30)
#define READERS 1024u
#define SPARES 8u /* read transactions that have ended, for those that begin */
#define KEY_PLAIN 128u
#define KEY_DIGEST 32u
#define KEY_LONG (SL_STORE_PREFIX + KEY_DIGEST)

_Static_assert(KEY_LONG > KEY_PLAIN, "a long key's stored form must be longer than any plain key");

const char *const sl_policy_tables[] = {
    [SL_TABLE_GENERATIONS] = "generations",
    [SL_TABLE_META] = "meta",
    [SL_TABLE_DIRECTIVES] = "directives",
    [SL_TABLE_REGISTER] = "register",
    [SL_TABLE_REGISTER + 1] = NULL,
};

struct sl_store {
    MDB_env *env;
    MDB_dbi tables[SL_STORE_TABLES];
    unsigned count;
    bool writable;
    _Atomic(struct sl_txn *) spares[SPARES]; /* which see nothing and hold up nothing, but have a reader's place */
};

struct sl_txn {
    struct sl_store *store;
    MDB_txn *txn;
    unsigned puts;
    bool write, failed;
};

struct sl_cursor {
    MDB_cursor *cursor;
    MDB_val from;
    bool started;
    size_t prefix_len;
    char prefix[SL_STORE_PREFIX], key[KEY_LONG];
};

/* A key as it is stored; `held` keeps the form of a long one. */
struct stored_key {
    MDB_val val;
    char held[KEY_LONG];
};

static enum sl_status status_of(int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return SL_OK;
    case MDB_NOTFOUND:
        return SL_MISSING;
    case ENOMEM:
        return SL_NO_MEMORY;
    default:
        return SL_STORE;
    }
}

/* LMDB wants pointers to what it only reads without const. */
static MDB_val val_of(struct sl_slice slice)
{
    return (MDB_val){slice.len, (void *)(uintptr_t)slice.ptr};
}

static struct sl_slice slice_of(MDB_val val)
{
    return (struct sl_slice){val.mv_data, val.mv_size};
}

static enum sl_status store_key(struct sl_slice key, struct stored_key *out)
{
    out->val = val_of(key);
    if (key.len == 0)
        return SL_INVALID;
    if (key.len <= KEY_PLAIN)
        return SL_OK;
    memcpy(out->held, key.ptr, SL_STORE_PREFIX);
    unsigned len = 0;
    unsigned char *digest = (unsigned char *)out->held + SL_STORE_PREFIX;
    if (EVP_Digest(key.ptr, key.len, digest, &len, EVP_sha256(), NULL) != 1 || len != KEY_DIGEST)
        return SL_CRYPTO;
    out->val = (MDB_val){KEY_LONG, out->held};
    return SL_OK;
}

static int open_tables(struct sl_store *store, const char *const *tables)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(store->env, NULL, store->writable ? 0 : MDB_RDONLY, &txn);
    if (rc != MDB_SUCCESS)
        return rc;
    for (; rc == MDB_SUCCESS && tables[store->count]; store->count++) {
        SL_ASSERT(store->count < SL_STORE_TABLES);
        rc = mdb_dbi_open(txn, tables[store->count], store->writable ? MDB_CREATE : 0, &store->tables[store->count]);
    }
    if (rc == MDB_SUCCESS)
        return mdb_txn_commit(txn); /* which also makes the handles the environment's */
    mdb_txn_abort(txn);
    return rc;
}

static int open_environment(struct sl_store *store, const char *directory, size_t size)
{
    if (store->writable && mkdir(directory, 0700) != 0 && errno != EEXIST)
        return errno;
    int dead, rc = mdb_env_create(&store->env);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_set_mapsize(store->env, size ? size : MAP_SIZE);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_set_maxdbs(store->env, SL_STORE_TABLES);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_set_maxreaders(store->env, READERS);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_open(store->env, directory, MDB_NOTLS | (store->writable ? 0 : MDB_RDONLY), 0600);
    return rc == MDB_SUCCESS ? mdb_reader_check(store->env, &dead) : rc;
}

static enum sl_status report_open(struct sl_issues *issues, const char *directory, bool writable, int rc)
{
    struct sl_issue *issue =
        sl_issue_add(issues, SL_GRADE_ERROR, "store-open", "The store cannot be opened: %s.", mdb_strerror(rc));
    if (issue)
        issue->file = sl_arena_copy(issues->arena, sl_slice_of(directory));
    return rc == ENOENT && !writable ? SL_MISSING : status_of(rc);
}

enum sl_status sl_store_open(const char *directory, const char *const *tables, size_t size, bool writable,
    struct sl_issues *issues, struct sl_store **out)
{
    *out = NULL;
    struct sl_store *store = calloc(1, sizeof *store);
    if (!store)
        return SL_NO_MEMORY;
    store->writable = writable;
    int rc = open_environment(store, directory, size);
    if (rc == MDB_SUCCESS)
        rc = open_tables(store, tables);
    if (rc != MDB_SUCCESS) {
        sl_store_close(store);
        return report_open(issues, directory, writable, rc);
    }
    *out = store;
    return SL_OK;
}

static void end(struct sl_txn *txn)
{
    if (txn)
        mdb_txn_abort(txn->txn);
    free(txn);
}

void sl_store_close(struct sl_store *store)
{
    if (!store)
        return;
    for (unsigned i = 0; i < SPARES; i++)
        end(atomic_exchange(&store->spares[i], NULL));
    if (store->env)
        mdb_env_close(store->env);
    free(store);
}

/* One that has ended, begun again; NULL: there is none. Threads share them: each is taken by one alone. */
static struct sl_txn *begin_spare(struct sl_store *store)
{
    struct sl_txn *txn = NULL;
    for (unsigned i = 0; i < SPARES && !txn; i++)
        if (atomic_load_explicit(&store->spares[i], memory_order_relaxed))
            txn = atomic_exchange(&store->spares[i], NULL);
    if (!txn || mdb_txn_renew(txn->txn) == MDB_SUCCESS)
        return txn;
    end(txn);
    return NULL;
}

/* To begin a read transaction takes memory, a lock and a place among the readers; to begin one again takes none. */
static void keep_or_end(struct sl_txn *txn)
{
    mdb_txn_reset(txn->txn);
    for (unsigned i = 0; i < SPARES; i++) {
        struct sl_txn *none = NULL;
        if (!atomic_load_explicit(&txn->store->spares[i], memory_order_relaxed) &&
            atomic_compare_exchange_strong(&txn->store->spares[i], &none, txn))
            return;
    }
    end(txn);
}

enum sl_status sl_txn_begin(struct sl_store *store, bool write, struct sl_txn **out)
{
    *out = NULL;
    SL_ASSERT(store->writable || !write);
    *out = write ? NULL : begin_spare(store);
    if (*out)
        return SL_OK;
    struct sl_txn *txn = calloc(1, sizeof *txn);
    if (!txn)
        return SL_NO_MEMORY;
    txn->store = store;
    txn->write = write;
    int dead, rc = mdb_txn_begin(store->env, NULL, write ? 0 : MDB_RDONLY, &txn->txn);
    if (rc == MDB_READERS_FULL && mdb_reader_check(store->env, &dead) == MDB_SUCCESS && dead > 0)
        rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn->txn); /* a process that was killed left its slots */
    if (rc != MDB_SUCCESS) {
        free(txn);
        return status_of(rc);
    }
    *out = txn;
    return SL_OK;
}

uint64_t sl_txn_version(const struct sl_txn *txn)
{
    SL_ASSERT(!txn->write);
    return mdb_txn_id(txn->txn);
}

enum sl_status sl_txn_commit(struct sl_txn *txn)
{
    enum sl_status status = SL_STORE;
    if (txn->failed)
        mdb_txn_abort(txn->txn);
    else
        status = status_of(mdb_txn_commit(txn->txn));
    free(txn);
    return status;
}

void sl_txn_abort(struct sl_txn *txn)
{
    if (txn && txn->write)
        end(txn);
    else if (txn)
        keep_or_end(txn);
}

/* As a reader sees it, not as mdb_env_info does: a commit shows in the file some milliseconds before readers begin from
 * it, and who noted the new number then and read the old state would take that for the new one for good. */
uint64_t sl_store_version(struct sl_store *store)
{
    struct sl_txn *txn = NULL;
    if (sl_txn_begin(store, false, &txn) != SL_OK)
        return 0;
    uint64_t version = sl_txn_version(txn);
    sl_txn_abort(txn);
    return version;
}

static MDB_dbi table_of(const struct sl_txn *txn, unsigned table)
{
    SL_ASSERT(table < txn->store->count);
    return txn->store->tables[table];
}

enum sl_status sl_txn_get(struct sl_txn *txn, unsigned table, struct sl_slice key, struct sl_slice *value)
{
    *value = (struct sl_slice){NULL, 0};
    struct stored_key stored;
    SL_TRY(store_key(key, &stored));
    MDB_val found;
    SL_TRY(status_of(mdb_get(txn->txn, table_of(txn, table), &stored.val, &found)));
    *value = slice_of(found);
    return SL_OK;
}

/* What every change goes through: the limit before, the mark of a failure after. */
static enum sl_status count_change(struct sl_txn *txn)
{
    SL_ASSERT(txn->write);
    if (txn->puts >= SL_STORE_PUTS)
        return SL_LIMIT;
    txn->puts++;
    return SL_OK;
}

static enum sl_status note_change(struct sl_txn *txn, int rc)
{
    if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND)
        txn->failed = true;
    return status_of(rc);
}

enum sl_status sl_txn_put(struct sl_txn *txn, unsigned table, struct sl_slice key, struct sl_slice value)
{
    struct stored_key stored;
    SL_TRY(store_key(key, &stored));
    SL_TRY(count_change(txn));
    MDB_val val = val_of(value);
    return note_change(txn, mdb_put(txn->txn, table_of(txn, table), &stored.val, &val, 0));
}

enum sl_status sl_txn_delete(struct sl_txn *txn, unsigned table, struct sl_slice key)
{
    struct stored_key stored;
    SL_TRY(store_key(key, &stored));
    SL_TRY(count_change(txn));
    return note_change(txn, mdb_del(txn->txn, table_of(txn, table), &stored.val, NULL));
}

/* Where to begin: `from`, or the prefix where that is later. A key that is too long to be a stored one is cut, so that
 * the walk begins before its place and skips nothing. */
static void place(struct sl_cursor *cursor, struct sl_slice from)
{
    struct sl_slice prefix = {cursor->prefix, cursor->prefix_len};
    size_t least = from.len < prefix.len ? from.len : prefix.len;
    int order = least ? memcmp(from.ptr, prefix.ptr, least) : 0;
    if (order < 0 || (order == 0 && from.len < prefix.len))
        from = prefix;
    if (from.len > KEY_LONG)
        from.len = SL_STORE_PREFIX;
    if (from.len)
        memcpy(cursor->key, from.ptr, from.len);
    cursor->from = (MDB_val){from.len, cursor->key};
}

enum sl_status sl_cursor_open(
    struct sl_txn *txn, unsigned table, struct sl_slice from, struct sl_slice prefix, struct sl_cursor **out)
{
    *out = NULL;
    if (prefix.len > SL_STORE_PREFIX)
        return SL_LIMIT;
    struct sl_cursor *cursor = calloc(1, sizeof *cursor);
    if (!cursor)
        return SL_NO_MEMORY;
    cursor->prefix_len = prefix.len;
    if (prefix.len)
        memcpy(cursor->prefix, prefix.ptr, prefix.len);
    place(cursor, from);
    int rc = mdb_cursor_open(txn->txn, table_of(txn, table), &cursor->cursor);
    if (rc != MDB_SUCCESS) {
        free(cursor);
        return status_of(rc);
    }
    *out = cursor;
    return SL_OK;
}

enum sl_status sl_cursor_next(struct sl_cursor *cursor, struct sl_slice *key, struct sl_slice *value)
{
    *key = *value = (struct sl_slice){NULL, 0};
    MDB_val k = cursor->from, v;
    MDB_cursor_op step = cursor->started ? MDB_NEXT : k.mv_size ? MDB_SET_RANGE : MDB_FIRST;
    cursor->started = true;
    SL_TRY(status_of(mdb_cursor_get(cursor->cursor, &k, &v, step)));
    if (!sl_slice_starts(slice_of(k), (struct sl_slice){cursor->prefix, cursor->prefix_len}))
        return SL_MISSING;
    *key = slice_of(k);
    *value = slice_of(v);
    return SL_OK;
}

void sl_cursor_close(struct sl_cursor *cursor)
{
    if (!cursor)
        return;
    mdb_cursor_close(cursor->cursor);
    free(cursor);
}
