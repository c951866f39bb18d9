/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generations of the policy in the `policy` store. What is stored are the sources, terminology included; they are
 * compiled again when loaded, so that a generation never depends on the layout of a program's memory. One write
 * transaction makes a generation and puts it in force: readers see the old one or the new one.
 *
 * A generation is a sealed entry (generation_log.h) with the seal of the entry it replaced. Its files stand apart, by
 * the SHA-256 of their text: what two generations share is kept once, and what was damaged is known by its name.
 * Nothing is ever changed or dropped.
 */
#include <endian.h>

#include "generation_log.h"
#include "generation_parts.h"
#include "policy_model.h"

#define ENTRY_LIMIT ((size_t)4 << 20)

static const struct sl_slice magic = {"SLUICE-POLICY-3\n", SL_LOG_MAGIC};
static const struct sl_slice magic_2 = {"SLUICE-POLICY-2\n", SL_LOG_MAGIC}; /* the same without `tested` */
static const struct sl_slice in_force_key = {"in-force", 8};

enum { COMPARED = 1, ONE_PERSON = 2 }; /* flags of an entry */

/* ---- The number in force ---- */

/* 0: none. */
static enum sl_status number_in_force(struct sl_txn *txn, uint64_t *out)
{
    struct sl_slice value;
    *out = 0;
    enum sl_status status = sl_txn_get(txn, SL_TABLE_META, in_force_key, &value);
    if (status == SL_MISSING)
        return SL_OK;
    SL_TRY(status);
    if (value.len != sizeof *out)
        return SL_CORRUPT;
    memcpy(out, value.ptr, sizeof *out);
    *out = le64toh(*out);
    return SL_OK;
}

static enum sl_status put_in_force(struct sl_txn *txn, uint64_t number)
{
    uint64_t bytes = htole64(number);
    return sl_txn_put(txn, SL_TABLE_META, in_force_key, (struct sl_slice){(const char *)&bytes, sizeof bytes});
}

enum sl_status sl_policy_number_in_force(struct sl_store *store, uint64_t *number)
{
    struct sl_txn *txn = NULL;
    *number = 0;
    SL_TRY(sl_txn_begin(store, false, &txn));
    enum sl_status status = number_in_force(txn, number);
    sl_txn_abort(txn);
    return status == SL_OK && !*number ? SL_MISSING : status;
}

/* ---- Entries ---- */

static void put_entry(struct sl_buffer *out, const struct sl_generation *g)
{
    const uint64_t numbers[] = {g->number, g->replaces, g->rollback_of, (uint64_t)g->activated,
        (g->compared ? COMPARED : 0u) | (g->one_person ? ONE_PERSON : 0u), g->diff.cells, g->diff.looser,
        g->diff.tighter, g->diff.either, g->needed};
    const struct sl_slice texts[] = {
        g->before_seal, g->digest, g->title, g->version, g->author, g->note, g->text, g->tested};
    sl_log_begin(out, magic);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sl_log_put_number(out, numbers[i]);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        sl_log_put_text(out, texts[i]);
    sl_log_put_number(out, g->approval_count);
    for (size_t i = 0; i < g->approval_count; i++) {
        sl_log_put_text(out, g->approvals[i].name);
        sl_log_put_text(out, g->approvals[i].key);
        sl_log_put_text(out, g->approvals[i].signature);
    }
}

static void read_numbers(struct sl_log_reading *in, struct sl_generation *g)
{
    uint64_t number = sl_log_number(in);
    in->failed |= number != g->number;
    g->replaces = sl_log_number(in);
    g->rollback_of = sl_log_number(in);
    g->activated = (int64_t)sl_log_number(in);
    uint64_t flags = sl_log_number(in);
    g->compared = flags & COMPARED;
    g->one_person = flags & ONE_PERSON;
    g->diff.cells = (size_t)sl_log_number(in);
    g->diff.looser = (size_t)sl_log_number(in);
    g->diff.tighter = (size_t)sl_log_number(in);
    g->diff.either = (size_t)sl_log_number(in);
    g->needed = (unsigned)sl_log_number(in);
}

static void read_approvals(struct sl_log_reading *in, struct sl_generation *g)
{
    uint64_t count = sl_log_number(in);
    in->failed |= count > SL_APPROVALS_MOST;
    struct sl_approval *list = in->failed ? NULL : sl_arena_array(in->arena, (size_t)count + 1, sizeof *list);
    for (uint64_t i = 0; list && i < count; i++) {
        list[i].name = sl_log_text(in);
        list[i].key = sl_log_text(in);
        list[i].signature = sl_log_text(in);
        in->failed |= !sl_approval_holds(g->text, &list[i]);
    }
    g->approvals = list;
    g->approval_count = list ? (size_t)count : 0;
}

static void read_files(struct sl_log_reading *in, struct sl_generation *g)
{
    uint64_t count = sl_log_number(in);
    in->failed |= count > SL_FILE_LIMIT;
    struct sl_generation_file *list = in->failed ? NULL : sl_arena_array(in->arena, (size_t)count + 1, sizeof *list);
    for (uint64_t i = 0; list && i < count; i++) {
        list[i].path = sl_log_text(in);
        struct sl_sha256 sha = sl_log_sha(in);
        list[i].sha256 = sl_sha256_hex(in->arena, &sha);
    }
    g->files = list;
    g->file_count = list ? (size_t)count : 0;
}

/* SL_CORRUPT: damaged, and nothing of it but number and seal is told. */
static enum sl_status read_entry(struct sl_slice value, struct sl_arena *arena, struct sl_generation *g)
{
    struct sl_log_reading in;
    struct sl_sha256 seal;
    bool old = sl_slice_starts(value, magic_2);
    enum sl_status status = sl_log_open(value, old ? magic_2 : magic, arena, &in, &seal);
    if (status != SL_OK && status != SL_CORRUPT)
        return status;
    const struct sl_generation bare = {
        .number = g->number, .in_force = g->in_force, .damaged = true, .seal = sl_sha256_hex(arena, &seal)};
    g->seal = bare.seal;
    if (status == SL_OK) {
        read_numbers(&in, g);
        struct sl_slice *texts[] = {
            &g->before_seal, &g->digest, &g->title, &g->version, &g->author, &g->note, &g->text, &g->tested};
        for (size_t i = 0; i < sizeof texts / sizeof *texts - old; i++)
            *texts[i] = sl_log_text(&in);
        read_approvals(&in, g);
        read_files(&in, g);
        status = sl_log_end(&in);
    }
    if (status == SL_CORRUPT)
        *g = bare;
    return status;
}

/* ---- Writing ---- */

/* The text of a file, once. One that stands there and was damaged is set right. */
static enum sl_status put_file(struct sl_txn *txn, struct sl_slice text, struct sl_sha256 *sha)
{
    struct sl_slice there;
    struct sl_sha256 its;
    SL_TRY(sl_sha256_of(text, sha));
    struct sl_log_key key = sl_log_key_of_file(sha);
    enum sl_status status = sl_txn_get(txn, SL_TABLE_GENERATIONS, sl_log_key_slice(&key), &there);
    if (status == SL_OK) {
        SL_TRY(sl_sha256_of(there, &its));
        if (memcmp(&its, sha, sizeof its) == 0)
            return SL_OK;
    } else if (status != SL_MISSING) {
        return status;
    }
    return sl_txn_put(txn, SL_TABLE_GENERATIONS, sl_log_key_slice(&key), text);
}

static enum sl_status put_files(struct sl_txn *txn, const struct sl_policy *policy, struct sl_buffer *out)
{
    sl_log_put_number(out, policy->file_count);
    for (size_t i = 0; i < policy->file_count; i++) {
        struct sl_sha256 sha;
        SL_TRY(put_file(txn, policy->files[i].text, &sha));
        sl_log_put_text(out, policy->files[i].path);
        sl_log_put_sha(out, &sha);
    }
    return sl_log_seal(out);
}

static enum sl_status write_all(struct sl_txn *txn, const struct sl_policy *policy, uint64_t lines,
    struct sl_generation *g, struct sl_buffer *entry)
{
    uint64_t number = 0, now = 0;
    SL_TRY(number_in_force(txn, &number));
    SL_TRY(sl_approver_log_length(txn, &now));
    if (number != g->replaces || now != lines)
        return SL_EXISTS;
    g->number = number + 1;
    put_entry(entry, g);
    SL_TRY(put_files(txn, policy, entry));
    struct sl_log_key key = sl_log_key_of(g->number);
    SL_TRY(sl_txn_put(txn, SL_TABLE_GENERATIONS, sl_log_key_slice(&key), sl_buffer_slice(entry)));
    return put_in_force(txn, g->number);
}

enum sl_status sl_generation_write(
    struct sl_store *store, const struct sl_policy *policy, uint64_t lines, struct sl_generation *out)
{
    struct sl_buffer entry;
    struct sl_txn *txn = NULL;
    out->number = 0;
    SL_TRY(sl_txn_begin(store, true, &txn));
    sl_buffer_init(&entry, ENTRY_LIMIT);
    enum sl_status status = write_all(txn, policy, lines, out, &entry);
    if (status == SL_OK)
        status = sl_txn_commit(txn);
    else
        sl_txn_abort(txn);
    if (status != SL_OK)
        out->number = 0;
    sl_buffer_fini(&entry);
    return status;
}

/* ---- Reading ---- */

/* The entry of a generation, or of the one in force (number 0). */
static enum sl_status get_entry(struct sl_txn *txn, uint64_t number, struct sl_arena *arena, struct sl_generation *out)
{
    struct sl_slice value;
    uint64_t in_force = 0;
    SL_TRY(number_in_force(txn, &in_force));
    *out = (struct sl_generation){.number = number ? number : in_force};
    if (!out->number || out->number > in_force)
        return SL_MISSING;
    out->in_force = out->number == in_force;
    struct sl_log_key key = sl_log_key_of(out->number);
    enum sl_status status = sl_txn_get(txn, SL_TABLE_GENERATIONS, sl_log_key_slice(&key), &value);
    if (status == SL_MISSING) /* a number that was given, and whose entry is gone */
        value = (struct sl_slice){NULL, 0};
    else if (status != SL_OK)
        return status;
    return read_entry(value, arena, out);
}

enum sl_status sl_policy_generation(
    struct sl_store *store, uint64_t number, struct sl_arena *arena, struct sl_generation *out)
{
    struct sl_txn *txn = NULL;
    SL_TRY(sl_txn_begin(store, false, &txn));
    enum sl_status status = get_entry(txn, number, arena, out);
    sl_txn_abort(txn);
    return status;
}

static enum sl_status list_all(struct sl_txn *txn, struct sl_arena *arena, struct sl_generation **out, size_t *count)
{
    uint64_t in_force = 0;
    SL_TRY(number_in_force(txn, &in_force));
    if (in_force > SIZE_MAX / sizeof **out - 1)
        return SL_CORRUPT;
    *out = sl_arena_array(arena, (size_t)in_force + 1, sizeof **out);
    if (!*out)
        return SL_NO_MEMORY;
    for (uint64_t number = 1; number <= in_force; number++) {
        enum sl_status status = get_entry(txn, number, arena, &(*out)[*count]);
        if (status != SL_OK && status != SL_CORRUPT)
            return status;
        ++*count;
    }
    return SL_OK;
}

enum sl_status sl_policy_generations(
    struct sl_store *store, struct sl_arena *arena, struct sl_generation **out, size_t *count)
{
    struct sl_txn *txn = NULL;
    *out = NULL;
    *count = 0;
    SL_TRY(sl_txn_begin(store, false, &txn));
    enum sl_status status = list_all(txn, arena, out, count);
    sl_txn_abort(txn);
    return status;
}

/* ---- Compiling ---- */

static bool unhex(struct sl_slice hex, struct sl_sha256 *out)
{
    static const char digits[] = "0123456789abcdef";
    if (hex.len != 2 * sizeof out->bytes)
        return false;
    for (size_t i = 0; i < hex.len; i++) {
        const char *at = memchr(digits, hex.ptr[i], 16);
        if (!at)
            return false;
        out->bytes[i / 2] = (unsigned char)(out->bytes[i / 2] << 4 | (unsigned char)(at - digits));
    }
    return true;
}

static enum sl_status get_file(
    struct sl_txn *txn, const struct sl_generation_file *file, struct sl_arena *arena, struct sl_policy_file *out)
{
    struct sl_sha256 sha = {{0}}, its;
    struct sl_slice text;
    if (!unhex(file->sha256, &sha))
        return SL_CORRUPT;
    struct sl_log_key key = sl_log_key_of_file(&sha);
    enum sl_status status = sl_txn_get(txn, SL_TABLE_GENERATIONS, sl_log_key_slice(&key), &text);
    if (status != SL_OK)
        return status == SL_MISSING ? SL_CORRUPT : status;
    SL_TRY(sl_sha256_of(text, &its));
    if (memcmp(&sha, &its, sizeof sha) != 0)
        return SL_CORRUPT;
    *out = (struct sl_policy_file){.path = file->path, .text = sl_arena_copy(arena, text)};
    return out->text.ptr ? SL_OK : SL_NO_MEMORY;
}

static enum sl_status get_files(struct sl_txn *txn, const struct sl_generation *g, struct sl_arena *arena,
    struct sl_issues *issues, struct sl_policy_file **out)
{
    *out = sl_arena_array(arena, g->file_count + 1, sizeof **out);
    if (!*out)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < g->file_count; i++) {
        enum sl_status status = get_file(txn, &g->files[i], arena, &(*out)[i]);
        if (status == SL_CORRUPT && issues && issues->arena)
            sl_issue_add(issues, SL_GRADE_ERROR, "generation-damaged",
                "In the store, the file %.*s of generation %llu is not what was put there.", SL_FMT(g->files[i].path),
                (unsigned long long)g->number);
        SL_TRY(status);
    }
    return SL_OK;
}

static enum sl_status fetch(struct sl_store *store, uint64_t number, struct sl_arena *arena, struct sl_issues *issues,
    struct sl_generation *g, struct sl_policy_file **files)
{
    struct sl_txn *txn = NULL;
    SL_TRY(sl_txn_begin(store, false, &txn));
    enum sl_status status = get_entry(txn, number, arena, g);
    if (status == SL_CORRUPT && issues && issues->arena)
        sl_issue_add(issues, SL_GRADE_ERROR, "generation-damaged",
            "In the store, the entry of generation %llu is not what was put there.", (unsigned long long)g->number);
    if (status == SL_OK)
        status = get_files(txn, g, arena, issues, files);
    sl_txn_abort(txn);
    return status;
}

/* What was activated once compiled then; if it does not now, nothing comes of it. */
static enum sl_status load(
    struct sl_store *store, uint64_t number, struct sl_issues *issues, uint64_t *loaded, struct sl_policy **out)
{
    struct sl_arena *arena = sl_arena_new(SL_POLICY_ARENA);
    struct sl_generation g;
    struct sl_policy_file *files = NULL;
    *out = NULL;
    if (!arena)
        return SL_NO_MEMORY;
    enum sl_status status = fetch(store, number, arena, issues, &g, &files);
    if (status == SL_OK)
        status = sl_policy_load_files(files, g.file_count, issues, out);
    if (status == SL_OK && !sl_slice_eq(sl_policy_digest(*out), g.digest)) {
        sl_policy_unref(*out);
        *out = NULL;
        status = SL_CORRUPT;
    }
    *loaded = status == SL_OK ? g.number : 0;
    sl_arena_free(arena);
    return status;
}

enum sl_status sl_policy_in_force(
    struct sl_store *store, struct sl_issues *issues, uint64_t *generation, struct sl_policy **out)
{
    return load(store, 0, issues, generation, out);
}

enum sl_status sl_policy_of_generation(
    struct sl_store *store, uint64_t number, struct sl_issues *issues, struct sl_policy **out)
{
    uint64_t loaded;
    *out = NULL;
    return number ? load(store, number, issues, &loaded, out) : SL_MISSING;
}
