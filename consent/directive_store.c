/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directives in the `policy` store, by person: patient's reference, a zero byte and the Consent's id name its JSON
 * text, as it was received. "=" and an id name the patient it was last stored for, so that a Consent which is corrected
 * to be another person's no longer speaks for the first.
 */
#include "directive_model.h"

#include "sluice/store.h"

#define PER_PERSON 10000u /* Consents; far more than a person signs, and not without end */

static struct sl_slice key_of(struct sl_arena *arena, struct sl_slice patient, struct sl_slice id)
{
    struct sl_slice key = sl_arena_printf(arena, "%.*s%c%.*s", SL_FMT(patient), '\0', SL_FMT(id));
    return key;
}

/* Takes it away from the person it was stored for before, if that was another. */
static enum sl_status move(
    struct sl_txn *txn, struct sl_arena *arena, struct sl_slice owner_key, const struct sl_directive *d)
{
    struct sl_slice before;
    enum sl_status status = sl_txn_get(txn, SL_TABLE_DIRECTIVES, owner_key, &before);
    if (status == SL_MISSING || (status == SL_OK && sl_slice_eq(before, d->patient)))
        return SL_OK;
    SL_TRY(status);
    struct sl_slice old = key_of(arena, before, d->id);
    if (!old.ptr)
        return SL_NO_MEMORY;
    status = sl_txn_delete(txn, SL_TABLE_DIRECTIVES, old);
    return status == SL_MISSING ? SL_OK : status;
}

static enum sl_status put(
    struct sl_txn *txn, struct sl_arena *arena, const struct sl_directive *d, struct sl_slice text)
{
    struct sl_slice key = key_of(arena, d->patient, d->id), owner_key = sl_arena_printf(arena, "=%.*s", SL_FMT(d->id));
    if (!key.ptr || !owner_key.ptr)
        return SL_NO_MEMORY;
    SL_TRY(move(txn, arena, owner_key, d));
    SL_TRY(sl_txn_put(txn, SL_TABLE_DIRECTIVES, owner_key, d->patient));
    return sl_txn_put(txn, SL_TABLE_DIRECTIVES, key, text);
}

static enum sl_status import(
    struct sl_store *store, struct sl_arena *arena, const struct sl_doc *doc, uint32_t root, struct sl_issues *issues)
{
    struct sl_directives list = {0};
    SL_TRY(sl_directive_read(arena, doc, root, issues, &list));
    if (list.first->id.len <= sizeof "Consent/" - 1) {
        sl_issue_add(issues, SL_GRADE_ERROR, "consent-invalid", "A Consent that is stored needs an id.");
        return SL_INVALID;
    }
    struct sl_txn *txn;
    SL_TRY(sl_txn_begin(store, true, &txn));
    enum sl_status status = put(txn, arena, list.first, sl_span_text(doc, root));
    if (status == SL_OK)
        return sl_txn_commit(txn);
    sl_txn_abort(txn);
    return status;
}

enum sl_status sl_directives_import(
    struct sl_store *store, const struct sl_doc *doc, uint32_t root, struct sl_issues *issues)
{
    struct sl_arena *arena = sl_arena_new((size_t)64 << 20);
    if (!arena)
        return SL_NO_MEMORY;
    enum sl_status status = import(store, arena, doc, root, issues);
    sl_arena_free(arena);
    return status;
}

/* What is stored was read once; that it cannot be now is a store that fails, not a person without directives. */
static enum sl_status read_stored(
    struct sl_arena *arena, struct sl_slice text, struct sl_slice patient, struct sl_directives *out)
{
    struct sl_doc doc;
    enum sl_status status = sl_doc_parse(arena, text, NULL, &doc, NULL);
    if (status == SL_OK)
        status = sl_directive_read(arena, &doc, 0, NULL, out);
    if (status == SL_OK && sl_slice_eq(out->last->patient, patient))
        return out->count <= PER_PERSON ? SL_OK : SL_LIMIT;
    return status == SL_NO_MEMORY ? status : SL_CORRUPT;
}

static enum sl_status read_all(
    struct sl_txn *txn, struct sl_slice patient, struct sl_arena *arena, struct sl_directives *out)
{
    struct sl_slice prefix = key_of(arena, patient, (struct sl_slice){NULL, 0}), key, text;
    if (!prefix.ptr)
        return SL_NO_MEMORY;
    struct sl_cursor *cursor;
    SL_TRY(sl_cursor_open(txn, SL_TABLE_DIRECTIVES, (struct sl_slice){NULL, 0}, prefix, &cursor));
    enum sl_status status;
    while ((status = sl_cursor_next(cursor, &key, &text)) == SL_OK)
        if ((status = read_stored(arena, text, patient, out)) != SL_OK)
            break;
    sl_cursor_close(cursor);
    return status == SL_MISSING ? SL_OK : status;
}

enum sl_status sl_directives_seen(struct sl_store *store, struct sl_slice patient, struct sl_arena *arena,
    struct sl_directives *out, uint64_t *version)
{
    *out = (struct sl_directives){0};
    *version = 0;
    if (patient.len == 0 || patient.len > SL_PATIENT_LIMIT || memchr(patient.ptr, '\0', patient.len))
        return SL_OK; /* nothing was ever stored for such a one */
    struct sl_txn *txn;
    SL_TRY(sl_txn_begin(store, false, &txn));
    *version = sl_txn_version(txn);
    enum sl_status status = read_all(txn, patient, arena, out);
    sl_txn_abort(txn);
    if (status != SL_OK)
        *out = (struct sl_directives){0};
    return status;
}

enum sl_status sl_directives_of(
    struct sl_store *store, struct sl_slice patient, struct sl_arena *arena, struct sl_directives *out)
{
    uint64_t version;
    return sl_directives_seen(store, patient, arena, out, &version);
}

enum sl_status sl_directives_any(struct sl_store *store, bool *any)
{
    struct sl_slice none = {NULL, 0}, key, text;
    struct sl_txn *txn;
    struct sl_cursor *cursor;
    *any = true;
    SL_TRY(sl_txn_begin(store, false, &txn));
    enum sl_status status = sl_cursor_open(txn, SL_TABLE_DIRECTIVES, none, none, &cursor);
    if (status == SL_OK) {
        status = sl_cursor_next(cursor, &key, &text);
        sl_cursor_close(cursor);
    }
    sl_txn_abort(txn);
    *any = status != SL_MISSING;
    return status == SL_MISSING ? SL_OK : status;
}
