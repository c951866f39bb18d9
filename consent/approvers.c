/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may approve: names and public keys, in the `policy` store. Lines are only ever added: one adds a key, one retires
 * it; each has the seal of the line before, so that none can be taken out of the middle. A retired key never comes
 * back.
 *
 * The first key is where trust begins: whoever may write the store puts it there, and the log says so for good. From
 * then on a change of keys takes the signatures of those who have keys, of two people if there are two.
 */
#include "generation_log.h"
#include "generation_parts.h"

#define LINE_LIMIT ((size_t)64 * 1024)
#define LINES_LIMIT 10000u
#define NAME_LIMIT 100u

static const struct sl_slice magic = {"SLUICE-KEYS--01\n", SL_LOG_MAGIC};

/* ---- Reading ---- */

static const struct sl_approval *read_approvals(struct sl_log_reading *in, size_t *count)
{
    uint64_t many = sl_log_number(in);
    in->failed |= many > SL_APPROVALS_MOST;
    *count = in->failed ? 0 : (size_t)many;
    struct sl_approval *list = sl_arena_array(in->arena, *count + 1, sizeof *list);
    for (size_t i = 0; list && i < *count; i++) {
        list[i].name = sl_log_text(in);
        list[i].key = sl_log_text(in);
        list[i].signature = sl_log_text(in);
    }
    return list;
}

static struct sl_approver *find_key(const struct sl_approver_log *log, struct sl_slice key)
{
    for (size_t i = 0; i < log->count; i++)
        if (sl_slice_eq(log->list[i].key, key))
            return &log->list[i];
    return NULL;
}

/* A line is: retires or adds, when, name, key, author, note, seal of the line before, approvals. */
static enum sl_status read_line(struct sl_slice value, struct sl_arena *arena, struct sl_approver_log *log)
{
    struct sl_log_reading in;
    struct sl_sha256 seal;
    SL_TRY(sl_log_open(value, magic, arena, &in, &seal));
    uint64_t retires = sl_log_number(&in);
    int64_t when = (int64_t)sl_log_number(&in);
    struct sl_approver one = {.name = sl_log_text(&in), .key = sl_log_text(&in), .added = when};
    one.added_by = sl_log_text(&in);
    one.added_why = sl_log_text(&in);
    struct sl_slice before = sl_log_text(&in);
    one.approvals = read_approvals(&in, &one.approval_count);
    SL_TRY(sl_log_end(&in));
    struct sl_approver *known = find_key(log, one.key);
    if (retires > 1 || !sl_slice_eq(before, log->last_seal) || (retires ? !known || known->retired : known != NULL))
        return SL_CORRUPT;
    if (retires) {
        known->retired = when;
        known->retired_by = one.added_by;
        known->retired_why = one.added_why;
    } else {
        log->list[log->count++] = one;
    }
    log->last_seal = sl_sha256_hex(arena, &seal);
    log->lines++;
    return SL_OK;
}

static enum sl_status each_line(
    struct sl_txn *txn, struct sl_arena *arena, struct sl_approver_log *log, uint64_t *lines)
{
    struct sl_cursor *cursor = NULL;
    struct sl_slice key, value;
    const char letter = SL_LOG_APPROVER;
    *lines = 0;
    SL_TRY(sl_cursor_open(txn, SL_TABLE_GENERATIONS, SL_LIT(""), (struct sl_slice){&letter, 1}, &cursor));
    enum sl_status status;
    while ((status = sl_cursor_next(cursor, &key, &value)) == SL_OK) {
        struct sl_log_key wanted = sl_log_key_of_line(++*lines);
        if (*lines > LINES_LIMIT || !sl_slice_eq(key, sl_log_key_slice(&wanted)))
            status = SL_CORRUPT;
        else if (log)
            status = read_line(value, arena, log);
        if (status != SL_OK)
            break;
    }
    sl_cursor_close(cursor);
    return status == SL_MISSING ? SL_OK : status;
}

enum sl_status sl_approver_log_length(struct sl_txn *txn, uint64_t *out)
{
    return each_line(txn, NULL, NULL, out);
}

enum sl_status sl_approver_log_read(struct sl_store *store, struct sl_arena *arena, struct sl_approver_log *out)
{
    struct sl_txn *txn = NULL;
    uint64_t lines = 0, again = 0;
    *out = (struct sl_approver_log){.lines = 0};
    SL_TRY(sl_txn_begin(store, false, &txn));
    enum sl_status status = each_line(txn, NULL, NULL, &lines);
    if (status == SL_OK) {
        out->list = sl_arena_array(arena, (size_t)lines + 1, sizeof *out->list);
        status = out->list ? each_line(txn, arena, out, &again) : SL_NO_MEMORY;
    }
    sl_txn_abort(txn);
    return status;
}

enum sl_status sl_approvers_list(
    struct sl_store *store, struct sl_arena *arena, struct sl_approver **out, size_t *count)
{
    struct sl_approver_log log;
    enum sl_status status = sl_approver_log_read(store, arena, &log);
    *out = log.list;
    *count = status == SL_OK ? log.count : 0;
    return status;
}

unsigned sl_approvers_people(const struct sl_approver *list, size_t count)
{
    unsigned people = 0;
    for (size_t i = 0; i < count; i++) {
        bool new = !list[i].retired;
        for (size_t k = 0; k < i; k++)
            new &= list[k].retired || !sl_slice_eq(list[k].name, list[i].name);
        people += new;
    }
    return people;
}

/* ---- Changing ---- */

/* A name stands in texts that people sign: one line, printable, without blanks at its ends. */
static bool is_name(struct sl_slice name)
{
    if (!name.len || name.len > NAME_LIMIT || name.ptr[0] == ' ' || name.ptr[name.len - 1] == ' ')
        return false;
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] < ' ' || name.ptr[i] == 0x7f)
            return false;
    return true;
}

static size_t keys_in_use(const struct sl_approver_log *log)
{
    size_t count = 0;
    for (size_t i = 0; i < log->count; i++)
        count += !log->list[i].retired;
    return count;
}

static enum sl_status check_change(
    const struct sl_key_change *change, const struct sl_approver_log *log, struct sl_issues *issues)
{
    const struct sl_approver *known = find_key(log, change->key);
    const char *wrong = !is_name(change->name)  ? "A name is one line of 1 to 100 characters."
                        : change->key.len != 64 ? "A key is 64 hexadecimal digits, or a PEM file with an Ed25519 key."
                        : !change->retire && known && known->retired ? "This key is retired, and never comes back."
                        : !change->retire && known                   ? "This key is registered already."
                        : change->retire && !known                   ? "No such key is registered."
                        : change->retire && known->retired           ? "This key is retired already."
                                                                     : NULL;
    if (!wrong && change->retire && !sl_slice_eq(known->name, change->name))
        wrong = "This key is somebody else's.";
    if (!wrong && change->retire && keys_in_use(log) == 1)
        wrong = "It is the last key: without one nothing would take an approval. Add another first.";
    if (!wrong)
        return SL_OK;
    sl_issue_add(issues, SL_GRADE_ERROR, "key-change", "%s", wrong);
    return SL_INVALID;
}

enum sl_status sl_key_change_text(struct sl_store *store, const struct sl_key_change *change, struct sl_arena *arena,
    struct sl_issues *issues, struct sl_slice *out)
{
    struct sl_approver_log log;
    SL_TRY(sl_approver_log_read(store, arena, &log));
    SL_TRY(check_change(change, &log, issues));
    *out = sl_key_text_make(arena, change, &log);
    return out->ptr ? SL_OK : SL_NO_MEMORY;
}

static enum sl_status make_line(struct sl_buffer *out, const struct sl_key_change *change,
    const struct sl_approver_log *log, const struct sl_signatures *signatures)
{
    sl_log_begin(out, magic);
    sl_log_put_number(out, change->retire);
    sl_log_put_number(out, (uint64_t)change->now);
    const struct sl_slice texts[] = {change->name, change->key, change->author, change->note, log->last_seal};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        sl_log_put_text(out, texts[i]);
    sl_log_put_number(out, signatures->count);
    for (size_t i = 0; i < signatures->count; i++) {
        sl_log_put_text(out, signatures->approvals[i].name);
        sl_log_put_text(out, signatures->approvals[i].key);
        sl_log_put_text(out, signatures->approvals[i].signature);
    }
    return sl_log_seal(out);
}

static enum sl_status put_line(struct sl_txn *txn, uint64_t lines, struct sl_slice line)
{
    uint64_t now = 0;
    SL_TRY(sl_approver_log_length(txn, &now));
    if (now != lines)
        return SL_EXISTS;
    struct sl_log_key key = sl_log_key_of_line(lines + 1);
    return sl_txn_put(txn, SL_TABLE_GENERATIONS, sl_log_key_slice(&key), line);
}

static enum sl_status append(struct sl_store *store, const struct sl_key_change *change,
    const struct sl_approver_log *log, const struct sl_signatures *signatures)
{
    struct sl_buffer line;
    struct sl_txn *txn = NULL;
    sl_buffer_init(&line, LINE_LIMIT);
    enum sl_status status = make_line(&line, change, log, signatures);
    if (status == SL_OK)
        status = sl_txn_begin(store, true, &txn);
    if (status == SL_OK)
        status = put_line(txn, log->lines, sl_buffer_slice(&line));
    if (status == SL_OK)
        status = sl_txn_commit(txn);
    else
        sl_txn_abort(txn);
    sl_buffer_fini(&line);
    return status;
}

enum sl_status sl_key_change(struct sl_store *store, const struct sl_key_change *change, struct sl_issues *issues)
{
    struct sl_approver_log log;
    struct sl_signatures signatures;
    SL_TRY(sl_approver_log_read(store, issues->arena, &log));
    SL_TRY(check_change(change, &log, issues));
    struct sl_slice text = sl_key_text_make(issues->arena, change, &log);
    if (!text.ptr)
        return SL_NO_MEMORY;
    SL_TRY(
        sl_approvals_check(log.list, log.count, text, change->approvals, change->approval_count, issues, &signatures));
    unsigned people = sl_approvers_people(log.list, log.count), needed = people < 2 ? people : 2;
    if (signatures.people < needed) {
        sl_issue_add(issues, SL_GRADE_ERROR, "approvals-missing",
            "%u of those who have keys must sign this change, and %u did.", needed, signatures.people);
        return SL_FORBIDDEN;
    }
    return append(store, change, &log, &signatures);
}
