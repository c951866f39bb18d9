/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generations of the policy in the `policy` store. What is stored are the sources, terminology included; they are
 * compiled again when loaded, so that a generation never depends on the layout of a program's memory. One write
 * transaction makes a generation and puts it in force: readers see the old one or the new one.
 *
 * Value of a generation, integers little-endian: magic, seconds, digest, author, note, number of files, then path and
 * text of each, every text with its length before it. Key: the number, big-endian, so that keys stand in order.
 */
#include "policy_model.h"

#include <endian.h>
#include <stdio.h>

#include "sluice/buffer.h"
#include "sluice/store.h"

#define VALUE_LIMIT ((size_t)512 << 20)
#define DIGEST_LEN 64u

static const struct sl_slice magic = {"SLUICE-POLICY-1\n", 16};
static const struct sl_slice in_force_key = {"in-force", 8}, last_key = {"last", 4};

/* ---- Bytes ---- */

static void put_number(struct sl_buffer *out, uint64_t number)
{
    uint64_t bytes = htole64(number);
    sl_buffer_add(out, (struct sl_slice){(const char *)&bytes, sizeof bytes});
}

static void put_text(struct sl_buffer *out, struct sl_slice text)
{
    put_number(out, text.len);
    sl_buffer_add(out, text);
}

static bool take_bytes(struct sl_slice *rest, size_t len, struct sl_slice *out)
{
    if (rest->len < len)
        return false;
    *out = (struct sl_slice){rest->ptr, len};
    *rest = (struct sl_slice){rest->ptr + len, rest->len - len};
    return true;
}

static bool take_number(struct sl_slice *rest, uint64_t *out)
{
    struct sl_slice bytes;
    if (!take_bytes(rest, sizeof *out, &bytes))
        return false;
    memcpy(out, bytes.ptr, sizeof *out);
    *out = le64toh(*out);
    return true;
}

static bool take_text(struct sl_slice *rest, struct sl_slice *out)
{
    uint64_t len;
    return take_number(rest, &len) && len <= rest->len && take_bytes(rest, (size_t)len, out);
}

struct head {
    uint64_t activated, files;
    struct sl_slice digest, author, note;
};

static bool take_head(struct sl_slice *rest, struct head *out)
{
    struct sl_slice start;
    return take_bytes(rest, magic.len, &start) && sl_slice_eq(start, magic) && take_number(rest, &out->activated) &&
           take_bytes(rest, DIGEST_LEN, &out->digest) && take_text(rest, &out->author) && take_text(rest, &out->note) &&
           take_number(rest, &out->files) && out->files <= SL_FILE_LIMIT;
}

static void put_generation(
    struct sl_buffer *out, const struct sl_policy *policy, struct sl_slice author, struct sl_slice note, int64_t now)
{
    sl_buffer_add(out, magic);
    put_number(out, (uint64_t)now);
    sl_buffer_add(out, sl_policy_digest(policy));
    put_text(out, author);
    put_text(out, note);
    put_number(out, policy->file_count);
    for (size_t i = 0; i < policy->file_count; i++) {
        put_text(out, policy->files[i].path);
        put_text(out, policy->files[i].text);
    }
}

struct key {
    unsigned char bytes[8];
};

static struct key key_of(uint64_t number)
{
    struct key key;
    uint64_t bytes = htobe64(number);
    memcpy(key.bytes, &bytes, sizeof bytes);
    return key;
}

static struct sl_slice key_slice(const struct key *key)
{
    return (struct sl_slice){(const char *)key->bytes, sizeof key->bytes};
}

/* ---- Writing ---- */

/* A number in `meta`; 0 if there is none. */
static enum sl_status get_number(struct sl_txn *txn, struct sl_slice key, uint64_t *out)
{
    struct sl_slice value;
    *out = 0;
    enum sl_status status = sl_txn_get(txn, SL_TABLE_META, key, &value);
    if (status == SL_MISSING)
        return SL_OK;
    if (status == SL_OK && (value.len != 8 || !take_number(&value, out)))
        status = SL_CORRUPT;
    return status;
}

static enum sl_status put_meta(struct sl_txn *txn, struct sl_slice key, uint64_t number)
{
    uint64_t bytes = htole64(number);
    return sl_txn_put(txn, SL_TABLE_META, key, (struct sl_slice){(const char *)&bytes, sizeof bytes});
}

static enum sl_status write_generation(struct sl_txn *txn, struct sl_slice value, uint64_t *generation)
{
    uint64_t last;
    SL_TRY(get_number(txn, last_key, &last));
    struct key key = key_of(last + 1);
    SL_TRY(sl_txn_put(txn, SL_TABLE_GENERATIONS, key_slice(&key), value));
    SL_TRY(put_meta(txn, last_key, last + 1));
    SL_TRY(put_meta(txn, in_force_key, last + 1));
    *generation = last + 1;
    return SL_OK;
}

enum sl_status sl_policy_activate(struct sl_store *store, const struct sl_policy *policy, struct sl_slice author,
    struct sl_slice note, int64_t now, uint64_t *generation)
{
    struct sl_buffer value;
    struct sl_txn *txn = NULL;
    *generation = 0;
    sl_buffer_init(&value, VALUE_LIMIT);
    put_generation(&value, policy, author, note, now);
    enum sl_status status = sl_buffer_failed(&value) ? SL_NO_MEMORY : sl_txn_begin(store, true, &txn);
    if (status != SL_OK)
        goto out;
    status = write_generation(txn, sl_buffer_slice(&value), generation);
    if (status == SL_OK)
        status = sl_txn_commit(txn);
    else
        sl_txn_abort(txn);
out:
    if (status != SL_OK)
        *generation = 0;
    sl_buffer_fini(&value);
    return status;
}

/* ---- Reading ---- */

static enum sl_status read_files(
    struct sl_slice rest, uint64_t count, struct sl_arena *arena, struct sl_policy_file **out)
{
    struct sl_policy_file *files = sl_arena_array(arena, (size_t)count + 1, sizeof *files);
    if (!files)
        return SL_NO_MEMORY;
    for (uint64_t i = 0; i < count; i++)
        if (!take_text(&rest, &files[i].path) || !take_text(&rest, &files[i].text))
            return SL_CORRUPT;
    *out = files;
    return rest.len ? SL_CORRUPT : SL_OK;
}

/* Compiles a stored value. What was activated once compiled then; if it does not now, nothing is in force. */
static enum sl_status compile_value(
    struct sl_slice value, struct sl_arena *arena, struct sl_issues *issues, struct sl_policy **out)
{
    struct head head;
    struct sl_policy_file *files = NULL;
    if (!take_head(&value, &head))
        return SL_CORRUPT;
    SL_TRY(read_files(value, head.files, arena, &files));
    SL_TRY(sl_policy_load_files(files, (size_t)head.files, issues, out));
    if (sl_slice_eq(sl_policy_digest(*out), head.digest))
        return SL_OK;
    sl_policy_unref(*out);
    *out = NULL;
    return SL_CORRUPT;
}

/* The stored bytes of a generation, or of the one in force (*number 0), copied. */
static enum sl_status fetch_value(
    struct sl_store *store, uint64_t *number, struct sl_arena *arena, struct sl_slice *out)
{
    struct sl_txn *txn = NULL;
    struct sl_slice value;
    SL_TRY(sl_txn_begin(store, false, &txn));
    enum sl_status status = *number ? SL_OK : get_number(txn, in_force_key, number);
    if (status == SL_OK && !*number)
        status = SL_MISSING;
    struct key key = key_of(*number);
    if (status == SL_OK)
        status = sl_txn_get(txn, SL_TABLE_GENERATIONS, key_slice(&key), &value);
    if (status == SL_OK) {
        *out = sl_arena_copy(arena, value);
        status = out->ptr ? SL_OK : SL_NO_MEMORY;
    }
    sl_txn_abort(txn);
    return status;
}

static enum sl_status load_generation(
    struct sl_store *store, struct sl_issues *issues, uint64_t *number, struct sl_policy **out)
{
    *out = NULL;
    struct sl_arena *arena = sl_arena_new(2 * VALUE_LIMIT);
    struct sl_slice value;
    if (!arena)
        return SL_NO_MEMORY;
    enum sl_status status = fetch_value(store, number, arena, &value);
    if (status == SL_OK)
        status = compile_value(value, arena, issues, out);
    sl_arena_free(arena);
    return status;
}

enum sl_status sl_policy_in_force(
    struct sl_store *store, struct sl_issues *issues, uint64_t *generation, struct sl_policy **out)
{
    *generation = 0;
    return load_generation(store, issues, generation, out);
}

enum sl_status sl_policy_of_generation(
    struct sl_store *store, uint64_t number, struct sl_issues *issues, struct sl_policy **out)
{
    *out = NULL;
    return number ? load_generation(store, issues, &number, out) : SL_MISSING;
}

enum sl_status sl_policy_rollback(
    struct sl_store *store, uint64_t to, struct sl_slice author, int64_t now, uint64_t *generation)
{
    struct sl_policy *policy = NULL;
    char note[64];
    *generation = 0;
    if (!to)
        return SL_MISSING;
    SL_TRY(load_generation(store, NULL, &to, &policy));
    snprintf(note, sizeof note, "rollback to generation %llu", (unsigned long long)to);
    enum sl_status status = sl_policy_activate(store, policy, author, sl_slice_of(note), now, generation);
    sl_policy_unref(policy);
    return status;
}

/* ---- Listing ---- */

static enum sl_status count_generations(struct sl_txn *txn, size_t *count)
{
    struct sl_cursor *cursor = NULL;
    struct sl_slice key, value;
    *count = 0;
    SL_TRY(sl_cursor_open(txn, SL_TABLE_GENERATIONS, SL_LIT(""), SL_LIT(""), &cursor));
    enum sl_status status;
    while ((status = sl_cursor_next(cursor, &key, &value)) == SL_OK)
        (*count)++;
    sl_cursor_close(cursor);
    return status == SL_MISSING ? SL_OK : status;
}

static enum sl_status read_generation(
    struct sl_slice key, struct sl_slice value, uint64_t in_force, struct sl_arena *arena, struct sl_generation *out)
{
    struct head head;
    uint64_t number;
    if (key.len != sizeof number || !take_head(&value, &head))
        return SL_CORRUPT;
    memcpy(&number, key.ptr, sizeof number);
    *out = (struct sl_generation){.number = be64toh(number), .activated = (int64_t)head.activated};
    out->in_force = out->number == in_force;
    out->digest = sl_arena_copy(arena, head.digest);
    out->author = sl_arena_copy(arena, head.author);
    out->note = sl_arena_copy(arena, head.note);
    return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}

static enum sl_status list_generations(
    struct sl_txn *txn, struct sl_arena *arena, struct sl_generation **out, size_t *count)
{
    size_t room;
    uint64_t in_force;
    struct sl_cursor *cursor = NULL;
    struct sl_slice key, value;
    SL_TRY(count_generations(txn, &room));
    SL_TRY(get_number(txn, in_force_key, &in_force));
    *out = sl_arena_array(arena, room + 1, sizeof **out);
    if (!*out)
        return SL_NO_MEMORY;
    SL_TRY(sl_cursor_open(txn, SL_TABLE_GENERATIONS, SL_LIT(""), SL_LIT(""), &cursor));
    enum sl_status status = SL_OK;
    while (*count < room && (status = sl_cursor_next(cursor, &key, &value)) == SL_OK) {
        status = read_generation(key, value, in_force, arena, &(*out)[*count]);
        if (status != SL_OK)
            break;
        (*count)++;
    }
    sl_cursor_close(cursor);
    return status;
}

enum sl_status sl_policy_generations(
    struct sl_store *store, struct sl_arena *arena, struct sl_generation **out, size_t *count)
{
    struct sl_txn *txn = NULL;
    *out = NULL;
    *count = 0;
    SL_TRY(sl_txn_begin(store, false, &txn));
    enum sl_status status = list_generations(txn, arena, out, count);
    sl_txn_abort(txn);
    return status;
}
