/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Versions: how one comes after another in the embedded store, for files (records_import.c) and for single writes. See
 * records_write.h, and records_parts.h for the tables.
 */
#include "records_write.h"

#include <openssl/evp.h>
#include <time.h>

#include "records_parts.h"
#include "sluice/r4_names.h"

#define VERSION_PUTS 3u /* of one step, at most: two into the history, and one in or out of `current` */
#define CEILING ((size_t)1 << 30)

_Static_assert(SL_RECORD_WRITES *VERSION_PUTS <= SL_STORE_PUTS, "all versions of a write fit one transaction");

bool sl_record_version(struct sl_slice text, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || __builtin_mul_overflow(*out, 10u, out) ||
            __builtin_add_overflow(*out, (uint64_t)(text.ptr[i] - '0'), out))
            return false;
    return text.len > 0;
}

/* ---- The text ---- */

bool sl_record_digest(struct sl_slice text, unsigned char out[SL_RECORD_DIGEST])
{
    unsigned len = 0;
    return EVP_Digest(text.ptr, text.len, out, &len, EVP_sha256(), NULL) == 1 && len == SL_RECORD_DIGEST;
}

/* Sets a string member of an object: nothing in it needs escaping. */
static enum sl_status put_member(struct sl_edits *edits, const struct sl_doc *doc, struct sl_arena *arena,
    uint32_t object, sl_name name, struct sl_slice value)
{
    uint32_t span = sl_span_member(doc, object, name);
    struct sl_slice text = span
                               ? sl_arena_printf(arena, "\"%.*s\"", SL_FMT(value))
                               : sl_arena_printf(arena, "\"%.*s\":\"%.*s\"", SL_FMT(sl_name_text(name)), SL_FMT(value));
    if (!text.ptr)
        return SL_NO_MEMORY;
    if (span)
        sl_edit_replace(edits, span, text);
    else
        sl_edit_add_member(edits, object, text);
    return SL_OK;
}

enum sl_status sl_record_put_id(
    struct sl_edits *edits, const struct sl_doc *doc, struct sl_arena *arena, struct sl_slice id)
{
    uint32_t span = sl_span_member(doc, 0, SL_NAME_id);
    return span && sl_span_is(doc, span, id) ? SL_OK : put_member(edits, doc, arena, 0, SL_NAME_id, id);
}

static bool write_instant(int64_t now, char out[32])
{
    struct tm when;
    time_t seconds = (time_t)now;
    return gmtime_r(&seconds, &when) && strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &when) > 0;
}

static struct sl_slice meta_of(struct sl_arena *arena, uint64_t version, const char *instant)
{
    return sl_arena_printf(
        arena, "\"meta\":{\"versionId\":\"%llu\",\"lastUpdated\":\"%s\"}", (unsigned long long)version, instant);
}

enum sl_status sl_record_put_meta(
    struct sl_edits *edits, const struct sl_doc *doc, struct sl_arena *arena, uint64_t version, int64_t now)
{
    char instant[32];
    uint32_t meta = sl_span_member(doc, 0, SL_NAME_meta);
    bool given = now == SL_RECORDS_AT_GIVEN; /* checked to be there */
    if (!write_instant(given ? 0 : now, instant))
        return SL_INVALID;
    if (!meta) {
        struct sl_slice text = meta_of(arena, version, instant);
        if (text.ptr)
            sl_edit_add_member(edits, 0, text);
        return text.ptr ? SL_OK : SL_NO_MEMORY;
    }
    struct sl_slice number = sl_arena_printf(arena, "%llu", (unsigned long long)version);
    if (!number.ptr)
        return SL_NO_MEMORY;
    SL_TRY(put_member(edits, doc, arena, meta, SL_NAME_versionId, number));
    return given ? SL_OK : put_member(edits, doc, arena, meta, SL_NAME_lastUpdated, sl_slice_of(instant));
}

enum sl_status sl_record_gather(struct sl_edits *edits, struct sl_arena *arena, struct sl_slice *out)
{
    struct sl_blocks blocks = {.arena = arena, .limit = SL_RECORD_BYTES + 4096};
    SL_TRY(sl_edit_gather(edits, 0, &blocks));
    return sl_blocks_join(&blocks, arena, out);
}

/* ---- The last version ---- */

static enum sl_status copy_record(struct sl_arena *arena, const struct sl_record *from, struct sl_record *out)
{
    *out = *from;
    out->digest = sl_arena_copy(arena, from->digest);
    out->text = sl_arena_copy(arena, from->text);
    return out->digest.ptr && out->text.ptr ? SL_OK : SL_NO_MEMORY;
}

/* Of what is not current: the last of its history, whose keys stand in the order of versions. */
static enum sl_status last_past(struct sl_txn *txn, struct sl_slice name, struct sl_record *out)
{
    struct sl_cursor *cursor;
    struct sl_slice key, value;
    char from[SL_RECORD_KEY];
    enum sl_status status;
    SL_ASSERT(name.len < sizeof from);
    memcpy(from, name.ptr, name.len);
    from[name.len] = '/';
    struct sl_slice whole = {from, name.len + 1}, prefix = whole;
    if (prefix.len > SL_STORE_PREFIX)
        prefix.len = SL_STORE_PREFIX; /* a cursor takes no longer one: the rest is looked at here */
    SL_TRY(sl_cursor_open(txn, TABLE_HISTORY, whole, prefix, &cursor));
    while ((status = sl_cursor_next(cursor, &key, &value)) == SL_OK && sl_slice_starts(key, whole))
        if ((status = sl_record_parse(value, out)) != SL_OK)
            break;
    sl_cursor_close(cursor);
    return status == SL_MISSING ? SL_OK : status;
}

enum sl_status sl_record_last(
    struct sl_txn *txn, struct sl_arena *arena, struct sl_slice type, struct sl_slice id, struct sl_record *out)
{
    struct sl_record found = {0};
    struct sl_slice name = sl_arena_printf(arena, "%.*s/%.*s", SL_FMT(type), SL_FMT(id));
    *out = (struct sl_record){0};
    if (!name.ptr)
        return SL_NO_MEMORY;
    enum sl_status status = sl_record_get(txn, type, id, &found);
    if (status == SL_MISSING)
        status = last_past(txn, name, &found);
    return status == SL_OK && found.version ? copy_record(arena, &found, out) : status;
}

/* ---- Making a step ---- */

static struct sl_slice value_of(struct sl_arena *arena, uint64_t version, struct sl_slice digest, struct sl_slice text)
{
    char *value = sl_arena_raw(arena, SL_RECORD_HEAD + text.len, 1);
    if (!value)
        return (struct sl_slice){NULL, 0};
    sl_record_number(value, version);
    memcpy(value + 8, digest.ptr, SL_RECORD_DIGEST);
    if (text.len)
        memcpy(value + SL_RECORD_HEAD, text.ptr, text.len);
    return (struct sl_slice){value, SL_RECORD_HEAD + text.len};
}

static int compare_keys(const struct sl_index_key *a, const struct sl_index_key *b)
{
    int order = memcmp(a->bytes, b->bytes, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

/* Takes out of `keys` what `others` hold as well. Both are sorted. */
static struct sl_index_keys without(
    struct sl_arena *arena, const struct sl_index_keys *keys, const struct sl_index_keys *others)
{
    struct sl_index_keys rest = {.arena = arena};
    rest.list = sl_arena_raw(arena, keys->count + 1, sizeof *rest.list);
    for (size_t i = 0, k = 0; rest.list && i < keys->count; i++) {
        while (k < others->count && compare_keys(&others->list[k], &keys->list[i]) < 0)
            k++;
        if (k == others->count || compare_keys(&others->list[k], &keys->list[i]) != 0)
            rest.list[rest.count++] = keys->list[i];
    }
    return rest;
}

static enum sl_status keys_of(
    struct sl_arena *arena, const struct sl_record_step *step, struct sl_slice text, struct sl_index_keys *out)
{
    struct sl_doc doc;
    SL_TRY(sl_doc_parse(arena, text, NULL, &doc, NULL));
    return sl_index_of(arena, &doc, step->type, step->id, out);
}

enum sl_status sl_record_step_make(struct sl_arena *arena, const struct sl_record *old, struct sl_slice digest,
    struct sl_slice text, struct sl_record_step *step)
{
    static const char none[SL_RECORD_DIGEST];
    struct sl_index_keys had = {0}, has = {0};
    step->from = old->version;
    step->to = old->version + 1;
    step->was_current = old->version && !old->deleted;
    step->present = value_of(arena, step->to, step->deletes ? (struct sl_slice){none, sizeof none} : digest, text);
    if (step->was_current) {
        step->past = value_of(arena, old->version, old->digest, old->text);
        SL_TRY(keys_of(arena, step, old->text, &had));
    }
    if (!step->deletes)
        SL_TRY(keys_of(arena, step, text, &has));
    step->add = without(arena, &has, &had);
    step->drop = without(arena, &had, &has);
    return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}

size_t sl_record_step_puts(const struct sl_record_step *step)
{
    return step->add.count + step->drop.count + VERSION_PUTS;
}

/* ---- Putting it ---- */

static struct sl_slice key_slice(const struct sl_index_key *key)
{
    return (struct sl_slice){key->bytes, key->len};
}

static enum sl_status change_key(struct sl_txn *txn, const struct sl_index_key *key, bool put)
{
    if (put)
        return sl_txn_put(txn, TABLE_INDEX, key_slice(key), SL_LIT(""));
    enum sl_status status = sl_txn_delete(txn, TABLE_INDEX, key_slice(key));
    return status == SL_MISSING ? SL_OK : status;
}

/* "Type/id", and the version behind it if there is one to be named. */
static struct sl_slice step_key(const struct sl_record_step *step, uint64_t version, char out[SL_RECORD_KEY])
{
    size_t len = step->type.len;
    SL_ASSERT(step->type.len <= 48 && step->id.len <= 64);
    memcpy(out, step->type.ptr, len);
    out[len++] = '/';
    memcpy(out + len, step->id.ptr, step->id.len);
    len += step->id.len;
    if (version) {
        out[len++] = '/';
        sl_record_number(out + len, version);
        len += 8;
    }
    return (struct sl_slice){out, len};
}

static enum sl_status put_versions(struct sl_txn *txn, const struct sl_record_step *step)
{
    char key[SL_RECORD_KEY];
    if (step->was_current)
        SL_TRY(sl_txn_put(txn, TABLE_HISTORY, step_key(step, step->from, key), step->past));
    if (!step->deletes)
        return sl_txn_put(txn, TABLE_CURRENT, step_key(step, 0, key), step->present);
    SL_TRY(sl_txn_put(txn, TABLE_HISTORY, step_key(step, step->to, key), step->present));
    return sl_txn_delete(txn, TABLE_CURRENT, step_key(step, 0, key));
}

enum sl_status sl_record_step_put(struct sl_txn *txn, const struct sl_record_step *step)
{
    for (size_t i = 0; i < step->add.count; i++)
        SL_TRY(change_key(txn, &step->add.list[i], true));
    SL_TRY(put_versions(txn, step));
    for (size_t i = 0; i < step->drop.count; i++)
        SL_TRY(change_key(txn, &step->drop.list[i], false));
    return SL_OK;
}

/* Is this still the last version there is? */
static enum sl_status look_again(struct sl_txn *txn, const struct sl_record_step *step, uint64_t version)
{
    char key[SL_RECORD_KEY];
    struct sl_record found = {0};
    enum sl_status status = sl_record_get(txn, step->type, step->id, &found);
    if (status == SL_MISSING)
        status = last_past(txn, step_key(step, 0, key), &found);
    return status != SL_OK || found.version == version ? status : SL_EXISTS;
}

static enum sl_status put_together(struct sl_txn *txn, const struct sl_record_step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++)
        SL_TRY(look_again(txn, &steps[i], steps[i].from));
    for (size_t i = 0; i < count; i++)
        SL_TRY(sl_record_step_put(txn, &steps[i]));
    return SL_OK;
}

static enum sl_status end(struct sl_txn *txn, enum sl_status status)
{
    if (status == SL_OK)
        return sl_txn_commit(txn);
    sl_txn_abort(txn);
    return status;
}

static enum sl_status versions_alone(struct sl_txn *txn, const struct sl_record_step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++)
        SL_TRY(look_again(txn, &steps[i], steps[i].from));
    for (size_t i = 0; i < count; i++)
        SL_TRY(put_versions(txn, &steps[i]));
    return SL_OK;
}

/* A run of a step's keys in one transaction. Keys are taken away only while the step's version is the last: somebody
 * else's later one may hold them again. */
static enum sl_status change_run(
    struct sl_txn *txn, const struct sl_record_step *step, const struct sl_index_keys *keys, size_t from, bool put)
{
    enum sl_status status = put ? SL_OK : look_again(txn, step, step->to);
    for (size_t i = from; status == SL_OK && i < keys->count && i < from + SL_STORE_PUTS; i++)
        status = change_key(txn, &keys->list[i], put);
    return status == SL_EXISTS ? SL_OK : status;
}

static enum sl_status change_keys(
    struct sl_records *records, const struct sl_record_step *step, const struct sl_index_keys *keys, bool put)
{
    for (size_t from = 0; from < keys->count; from += SL_STORE_PUTS) {
        struct sl_txn *txn;
        SL_TRY(sl_txn_begin(records->store, true, &txn));
        SL_TRY(end(txn, change_run(txn, step, keys, from, put)));
    }
    return SL_OK;
}

/* More keys than a transaction takes: those that come first, then all versions together, then those that go. Whatever
 * ends it in between leaves the index with more than the truth, and never with less. */
static enum sl_status put_apart(struct sl_records *records, const struct sl_record_step *steps, size_t count)
{
    struct sl_txn *txn;
    for (size_t i = 0; i < count; i++)
        SL_TRY(change_keys(records, &steps[i], &steps[i].add, true));
    SL_TRY(sl_txn_begin(records->store, true, &txn));
    SL_TRY(end(txn, versions_alone(txn, steps, count)));
    for (size_t i = 0; i < count; i++) /* the versions are there: a key that stays too long is no failure of theirs */
        (void)!change_keys(records, &steps[i], &steps[i].drop, false);
    return SL_OK;
}

enum sl_status sl_record_steps_put(struct sl_records *records, const struct sl_record_step *steps, size_t count)
{
    size_t puts = 0;
    for (size_t i = 0; i < count; i++)
        puts += sl_record_step_puts(&steps[i]);
    if (puts > SL_STORE_PUTS)
        return put_apart(records, steps, count);
    struct sl_txn *txn;
    SL_TRY(sl_txn_begin(records->store, true, &txn));
    return end(txn, put_together(txn, steps, count));
}

/* ---- Single writes ---- */

static bool is_expected(const struct sl_record_write *write, const struct sl_record *old)
{
    bool there = old->version && !old->deleted;
    return write->change == SL_RECORD_CREATE ? !old->version : there && old->version == write->expected;
}

/* What was deleted keeps no content in its last version. */
static struct sl_slice farewell(
    const struct sl_record_write *write, uint64_t version, int64_t now, struct sl_arena *arena)
{
    char instant[32];
    if (!write_instant(now, instant))
        return (struct sl_slice){NULL, 0};
    return sl_arena_printf(arena, "{\"resourceType\":\"%.*s\",\"id\":\"%.*s\",%.*s}", SL_FMT(write->type),
        SL_FMT(write->id), SL_FMT(meta_of(arena, version, instant)));
}

static enum sl_status stamp(
    const struct sl_record_write *write, uint64_t version, int64_t now, struct sl_arena *arena, struct sl_slice *out)
{
    struct sl_doc doc;
    if (sl_doc_parse(arena, write->text, NULL, &doc, NULL) != SL_OK)
        return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_INVALID;
    uint32_t type = sl_span_member(&doc, 0, SL_NAME_resourceType), meta = sl_span_member(&doc, 0, SL_NAME_meta);
    if (!type || !sl_span_is(&doc, type, write->type) || (meta && doc.spans[meta].type != SL_SPAN_OBJECT))
        return SL_INVALID;
    struct sl_edits *edits = sl_edits_new(arena, &doc);
    if (!edits)
        return SL_NO_MEMORY;
    SL_TRY(sl_record_put_id(edits, &doc, arena, write->id));
    SL_TRY(sl_record_put_meta(edits, &doc, arena, version, now));
    return sl_record_gather(edits, arena, out);
}

static enum sl_status prepare(
    struct sl_txn *txn, struct sl_arena *arena, struct sl_record_write *write, int64_t now, struct sl_record_step *step)
{
    struct sl_record old;
    struct sl_slice text = {NULL, 0};
    unsigned char sum[SL_RECORD_DIGEST] = {0};
    SL_TRY(sl_record_last(txn, arena, write->type, write->id, &old));
    if (!is_expected(write, &old))
        return SL_EXISTS;
    *step = (struct sl_record_step){.type = write->type, .id = write->id, .deletes = write->change == SL_RECORD_DELETE};
    if (step->deletes)
        text = farewell(write, old.version + 1, now, arena);
    else
        SL_TRY(stamp(write, old.version + 1, now, arena, &text));
    if (!text.ptr)
        return SL_NO_MEMORY;
    if (!step->deletes && !sl_record_digest(write->text, sum))
        return SL_CRYPTO;
    return sl_record_step_make(arena, &old, (struct sl_slice){(const char *)sum, sizeof sum}, text, step);
}

static bool is_writable(const struct sl_record_write *write, struct sl_text_map *seen)
{
    bool is_new = false;
    struct sl_slice name = sl_arena_printf(seen->arena, "%.*s/%.*s", SL_FMT(write->type), SL_FMT(write->id));
    if (write->change == SL_RECORD_NONE || !sl_r4_resource(write->type) || !sl_id_valid(write->id) || !name.ptr)
        return false;
    return sl_text_map_put(seen, name, name, &is_new) == SL_OK && is_new;
}

static enum sl_status write_all(
    struct sl_records *records, struct sl_arena *arena, struct sl_record_write *writes, size_t count, int64_t now)
{
    struct sl_text_map seen = {.arena = arena};
    struct sl_record_step *steps = sl_arena_array(arena, count, sizeof *steps);
    struct sl_txn *txn;
    enum sl_status status = SL_OK;
    for (size_t i = 0; steps && i < count; i++)
        if (!is_writable(&writes[i], &seen))
            return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_INVALID;
    if (!steps)
        return SL_NO_MEMORY;
    SL_TRY(sl_txn_begin(records->store, false, &txn));
    for (size_t i = 0; status == SL_OK && i < count; i++)
        status = prepare(txn, arena, &writes[i], now, &steps[i]);
    sl_txn_abort(txn);
    SL_TRY(status);
    SL_TRY(sl_record_steps_put(records, steps, count));
    for (size_t i = 0; i < count; i++)
        writes[i].version = steps[i].to;
    return SL_OK;
}

enum sl_status sl_records_write(struct sl_records *records, struct sl_record_write *writes, size_t count, int64_t now)
{
    if (!count || count > SL_RECORD_WRITES)
        return SL_INVALID;
    struct sl_arena *arena = sl_arena_new(CEILING);
    enum sl_status status = arena ? write_all(records, arena, writes, count, now) : SL_NO_MEMORY;
    sl_arena_free(arena);
    return status;
}
