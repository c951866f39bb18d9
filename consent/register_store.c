/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The register's log in the `policy` store. Lines are only ever added: "L" and a number (big-endian, so that they stand
 * in order) names a line, which is an entry or the end of one; "X" and the number of an entry names the line that ended
 * it, so that none is ended twice. An entry's number is that of its line. `meta` holds how many lines there are.
 *
 * A line is little-endian numbers and length-framed texts. Kinds and fields stand there by their words, so that rows of
 * register.def may move; a word that nobody knows is a log that cannot be read, and then nothing is released.
 */
#include <endian.h>

#include "sluice/buffer.h"
#include "sluice/register.h"

#define LINE_LIMIT ((size_t)512 * 1024)
#define LINES_LIMIT ((uint64_t)1 << 24)
#define VALUES_LIMIT 1024u

static const struct sl_slice length_key = {"register", 8};
enum { LINE_ENTRY = 1, LINE_END = 2 };

struct key {
    char bytes[9];
};

static struct key key_of(char table, uint64_t number)
{
    struct key key = {{table}};
    uint64_t bytes = htobe64(number);
    memcpy(key.bytes + 1, &bytes, sizeof bytes);
    return key;
}

static struct sl_slice key_slice(const struct key *key)
{
    return (struct sl_slice){key->bytes, sizeof key->bytes};
}

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

struct reading {
    struct sl_slice rest;
    struct sl_arena *arena;
    bool failed;
};

static struct sl_slice take(struct reading *in, uint64_t len)
{
    if (in->failed || in->rest.len < len) {
        in->failed = true;
        return (struct sl_slice){NULL, 0};
    }
    struct sl_slice bytes = {in->rest.ptr, (size_t)len};
    in->rest = sl_slice_from(in->rest, (size_t)len);
    return bytes;
}

static uint64_t take_number(struct reading *in)
{
    uint64_t number = 0;
    struct sl_slice bytes = take(in, sizeof number);
    if (bytes.len)
        memcpy(&number, bytes.ptr, sizeof number);
    return le64toh(number);
}

static struct sl_slice take_text(struct reading *in)
{
    uint64_t len = take_number(in);
    struct sl_slice text = take(in, len);
    return in->failed ? text : sl_arena_copy(in->arena, text);
}

/* ---- Lines ---- */

static void write_entry(struct sl_buffer *out, const struct sl_register_entry *entry)
{
    put_number(out, LINE_ENTRY);
    put_number(out, (uint64_t)entry->entered);
    put_text(out, sl_register_kind_word(entry->kind));
    uint64_t count = 0;
    for (unsigned f = 0; f < SL_REGISTER_FIELDS; f++)
        count += entry->field[f].count > 0;
    put_number(out, count);
    for (unsigned f = 0; f < SL_REGISTER_FIELDS; f++) {
        const struct sl_register_values *values = &entry->field[f];
        if (!values->count)
            continue;
        put_text(out, sl_slice_of(sl_register_field_key((enum sl_register_field)f)));
        put_number(out, values->count);
        for (size_t i = 0; i < values->count; i++)
            put_text(out, values->value[i]);
    }
}

static void read_field(struct reading *in, struct sl_register_entry *entry)
{
    struct sl_slice key = take_text(in);
    uint64_t count = take_number(in);
    unsigned f = 0;
    while (f < SL_REGISTER_FIELDS && !sl_slice_eq(sl_slice_of(sl_register_field_key((enum sl_register_field)f)), key))
        f++;
    if (in->failed || f == SL_REGISTER_FIELDS || entry->field[f].count || count == 0 || count > VALUES_LIMIT) {
        in->failed = true;
        return;
    }
    struct sl_slice *values = sl_arena_array(in->arena, (size_t)count, sizeof *values);
    for (uint64_t i = 0; values && i < count; i++)
        values[i] = take_text(in);
    entry->field[f] = (struct sl_register_values){values, values ? (size_t)count : 0};
}

static void read_entry(struct reading *in, struct sl_register_entry *entry)
{
    entry->entered = (int64_t)take_number(in);
    entry->kind = sl_register_kind_find(take_text(in));
    uint64_t count = take_number(in);
    in->failed |= entry->kind == SL_REGISTER_NO_KIND || count > SL_REGISTER_FIELDS;
    for (uint64_t i = 0; i < count && !in->failed; i++)
        read_field(in, entry);
}

/* The entry that a line ends is one before it: numbers are given in the order of the log. */
static void read_end(struct reading *in, struct sl_register_entries *list)
{
    uint64_t number = take_number(in);
    int64_t at = (int64_t)take_number(in);
    struct sl_slice by = take_text(in), why = take_text(in);
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->entry[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    if (in->failed || low == list->count || list->entry[low].number != number || list->entry[low].ended) {
        in->failed = true;
        return;
    }
    list->entry[low].ended = true;
    list->entry[low].ended_at = at;
    list->entry[low].ended_by = by;
    list->entry[low].ended_why = why;
}

static enum sl_status read_line(
    struct sl_arena *arena, struct sl_slice value, uint64_t number, struct sl_register_entries *list)
{
    struct reading in = {.rest = value, .arena = arena};
    uint64_t what = take_number(&in);
    if (what == LINE_ENTRY) {
        struct sl_register_entry *entry = &list->entry[list->count++];
        entry->number = number;
        read_entry(&in, entry);
    } else if (what == LINE_END) {
        read_end(&in, list);
    } else {
        in.failed = true;
    }
    if (sl_arena_failed(arena))
        return SL_NO_MEMORY;
    return in.failed || in.rest.len ? SL_CORRUPT : SL_OK;
}

/* ---- Reading the log ---- */

static enum sl_status length_of(struct sl_txn *txn, uint64_t *out)
{
    struct sl_slice value;
    *out = 0;
    enum sl_status status = sl_txn_get(txn, SL_TABLE_META, length_key, &value);
    if (status == SL_MISSING)
        return SL_OK;
    SL_TRY(status);
    if (value.len != sizeof *out)
        return SL_CORRUPT;
    memcpy(out, value.ptr, sizeof *out);
    *out = le64toh(*out);
    return *out <= LINES_LIMIT ? SL_OK : SL_CORRUPT;
}

/* Every line from 1 on must be there: a register with a hole would be a permission. */
static enum sl_status read_lines(
    struct sl_txn *txn, struct sl_arena *arena, uint64_t length, struct sl_register_entries *list)
{
    for (uint64_t number = 1; number <= length; number++) {
        struct key key = key_of('L', number);
        struct sl_slice value;
        enum sl_status status = sl_txn_get(txn, SL_TABLE_REGISTER, key_slice(&key), &value);
        if (status == SL_MISSING)
            return SL_CORRUPT;
        SL_TRY(status);
        SL_TRY(read_line(arena, value, number, list));
    }
    return SL_OK;
}

static enum sl_status list_within(struct sl_txn *txn, struct sl_arena *arena, struct sl_register_entries *out)
{
    uint64_t length;
    SL_TRY(length_of(txn, &length));
    if (!length)
        return SL_OK;
    out->entry = sl_arena_array(arena, (size_t)length, sizeof *out->entry);
    return out->entry ? read_lines(txn, arena, length, out) : SL_NO_MEMORY;
}

enum sl_status sl_register_list(struct sl_store *store, struct sl_arena *arena, struct sl_register_entries *out)
{
    struct sl_txn *txn;
    *out = (struct sl_register_entries){0};
    SL_TRY(sl_txn_begin(store, false, &txn));
    enum sl_status status = list_within(txn, arena, out);
    sl_txn_abort(txn);
    if (status != SL_OK)
        *out = (struct sl_register_entries){0};
    return status;
}

enum sl_status sl_register_length(struct sl_store *store, uint64_t *out)
{
    struct sl_txn *txn;
    *out = 0;
    SL_TRY(sl_txn_begin(store, false, &txn));
    enum sl_status status = length_of(txn, out);
    sl_txn_abort(txn);
    return status;
}

/* ---- Writing ---- */

static enum sl_status put_length(struct sl_txn *txn, uint64_t length)
{
    uint64_t bytes = htole64(length);
    return sl_txn_put(txn, SL_TABLE_META, length_key, (struct sl_slice){(const char *)&bytes, sizeof bytes});
}

static enum sl_status put_line(struct sl_txn *txn, uint64_t number, struct sl_buffer *line)
{
    struct key key = key_of('L', number);
    if (sl_buffer_failed(line))
        return SL_LIMIT;
    return sl_txn_put(txn, SL_TABLE_REGISTER, key_slice(&key), sl_buffer_slice(line));
}

static enum sl_status add_within(
    struct sl_txn *txn, struct sl_buffer *line, struct sl_register_entry *entries, size_t count, int64_t now)
{
    uint64_t length;
    SL_TRY(length_of(txn, &length));
    for (size_t i = 0; i < count; i++) {
        entries[i].entered = now;
        sl_buffer_clear(line);
        write_entry(line, &entries[i]);
        SL_TRY(put_line(txn, length + 1 + i, line));
    }
    SL_TRY(put_length(txn, length + count));
    for (size_t i = 0; i < count; i++)
        entries[i].number = length + 1 + i;
    return SL_OK;
}

static enum sl_status end_within(struct sl_txn *txn, struct sl_buffer *line, uint64_t number)
{
    struct key entry = key_of('L', number), ended = key_of('X', number);
    uint64_t length, bytes;
    struct sl_slice value;
    SL_TRY(length_of(txn, &length));
    SL_TRY(sl_txn_get(txn, SL_TABLE_REGISTER, key_slice(&entry), &value));
    struct reading in = {.rest = value};
    if (take_number(&in) != LINE_ENTRY)
        return SL_MISSING; /* the line is the end of another */
    enum sl_status status = sl_txn_get(txn, SL_TABLE_REGISTER, key_slice(&ended), &value);
    if (status != SL_MISSING)
        return status == SL_OK ? SL_EXISTS : status;
    bytes = htole64(length + 1);
    SL_TRY(put_line(txn, length + 1, line));
    SL_TRY(
        sl_txn_put(txn, SL_TABLE_REGISTER, key_slice(&ended), (struct sl_slice){(const char *)&bytes, sizeof bytes}));
    return put_length(txn, length + 1);
}

static enum sl_status finish(struct sl_txn *txn, enum sl_status status)
{
    if (status == SL_OK)
        return sl_txn_commit(txn);
    sl_txn_abort(txn);
    return status;
}

enum sl_status sl_register_add(struct sl_store *store, struct sl_register_entry *entries, size_t count, int64_t now)
{
    struct sl_txn *txn;
    struct sl_buffer line;
    if (count >= SL_STORE_PUTS)
        return SL_LIMIT;
    SL_TRY(sl_txn_begin(store, true, &txn));
    sl_buffer_init(&line, LINE_LIMIT);
    enum sl_status status = finish(txn, add_within(txn, &line, entries, count, now));
    sl_buffer_fini(&line);
    return status;
}

enum sl_status sl_register_end(
    struct sl_store *store, uint64_t number, struct sl_slice by, struct sl_slice why, int64_t now)
{
    struct sl_txn *txn;
    struct sl_buffer line;
    if (!by.len || !why.len)
        return SL_INVALID;
    SL_TRY(sl_txn_begin(store, true, &txn));
    sl_buffer_init(&line, LINE_LIMIT);
    put_number(&line, LINE_END);
    put_number(&line, number);
    put_number(&line, (uint64_t)now);
    put_text(&line, by);
    put_text(&line, why);
    enum sl_status status = finish(txn, end_within(txn, &line, number));
    sl_buffer_fini(&line);
    return status;
}
