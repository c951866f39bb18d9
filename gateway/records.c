/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and searching the embedded store. A search takes the shortest list the index offers for one of its
 * parameters, looks at each resource of it in the order of ids, and matches all parameters on the text. Without a list
 * it walks the type.
 */
#include "records.h"

#include <stdlib.h>

#include "records_parts.h"

#define WORK_LIMIT 1000000u       /* resources one search looks at */
#define LIST_LIMIT 1000000u       /* ids in a list */
#define INCLUDE_LIMIT 10000u      /* included resources on one page */
#define SCRATCH ((size_t)1 << 30) /* for the spans of one resource, at most */

static const char *const tables[] = {"current", "history", "index", "facts", NULL};

/* ---- Opening ---- */

void sl_record_number(char out[8], uint64_t number)
{
    for (int i = 7; i >= 0; i--, number >>= 8)
        out[i] = (char)(number & 0xff);
}

static uint64_t number_of(const char bytes[8])
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
        number = number << 8 | (unsigned char)bytes[i];
    return number;
}

static enum sl_status write_format(struct sl_store *store)
{
    char format[8];
    struct sl_txn *txn;
    sl_record_number(format, sl_index_format());
    SL_TRY(sl_txn_begin(store, true, &txn));
    enum sl_status status = sl_txn_put(txn, TABLE_FACTS, SL_LIT("format"), (struct sl_slice){format, 8});
    if (status != SL_OK) {
        sl_txn_abort(txn);
        return status;
    }
    return sl_txn_commit(txn);
}

/* An index made with other parameters would miss records: a thinner answer is what a failure must never be. */
static enum sl_status check_format(struct sl_store *store, bool writable, struct sl_issues *issues)
{
    struct sl_slice value;
    struct sl_txn *txn;
    SL_TRY(sl_txn_begin(store, false, &txn));
    enum sl_status status = sl_txn_get(txn, TABLE_FACTS, SL_LIT("format"), &value);
    bool same = status == SL_OK && value.len == 8 && number_of(value.ptr) == sl_index_format();
    sl_txn_abort(txn);
    if (status == SL_MISSING && writable)
        return write_format(store);
    if (status != SL_OK || same)
        return status;
    struct sl_issue *issue = sl_issue_add(issues, SL_GRADE_ERROR, "records-format",
        "The records were indexed by another release; its searches would miss some.");
    if (issue)
        issue->fix = SL_LIT("Import the records again into a new directory.");
    return SL_INVALID;
}

enum sl_status sl_records_open(const char *directory, bool writable, struct sl_issues *issues, struct sl_records **out)
{
    *out = NULL;
    struct sl_records *records = calloc(1, sizeof *records);
    if (!records)
        return SL_NO_MEMORY;
    enum sl_status status = sl_store_open(directory, tables, (size_t)64 << 30, writable, issues, &records->store);
    if (status == SL_OK)
        status = check_format(records->store, writable, issues);
    if (status != SL_OK) {
        sl_records_close(records);
        return status;
    }
    *out = records;
    return SL_OK;
}

void sl_records_close(struct sl_records *records)
{
    if (!records)
        return;
    sl_store_close(records->store);
    free(records);
}

/* ---- Reading ---- */

enum sl_status sl_record_parse(struct sl_slice value, struct sl_record *out)
{
    if (value.len < SL_RECORD_HEAD)
        return SL_CORRUPT;
    out->version = number_of(value.ptr);
    out->digest = (struct sl_slice){value.ptr + 8, SL_RECORD_DIGEST};
    out->text = sl_slice_from(value, SL_RECORD_HEAD);
    static const char none[SL_RECORD_DIGEST];
    out->deleted = memcmp(out->digest.ptr, none, sizeof none) == 0;
    return SL_OK;
}

/* "Type/id", and a version behind it where `version` is not NULL. false: no such record can be. */
static bool record_key(
    char out[SL_RECORD_KEY], struct sl_slice type, struct sl_slice id, const uint64_t *version, size_t *len)
{
    if (type.len == 0 || id.len == 0 || type.len > 48 || id.len > 64)
        return false;
    memcpy(out, type.ptr, type.len);
    out[type.len] = '/';
    memcpy(out + type.len + 1, id.ptr, id.len);
    *len = type.len + 1 + id.len;
    if (version) {
        out[(*len)++] = '/';
        sl_record_number(out + *len, *version);
        *len += 8;
    }
    return true;
}

static enum sl_status get_record(struct sl_txn *txn, unsigned table, struct sl_slice type, struct sl_slice id,
    const uint64_t *version, struct sl_record *out)
{
    char key[SL_RECORD_KEY];
    size_t len;
    struct sl_slice value;
    if (!record_key(key, type, id, version, &len))
        return SL_MISSING;
    SL_TRY(sl_txn_get(txn, table, (struct sl_slice){key, len}, &value));
    return sl_record_parse(value, out);
}

enum sl_status sl_record_get(struct sl_txn *txn, struct sl_slice type, struct sl_slice id, struct sl_record *out)
{
    return get_record(txn, TABLE_CURRENT, type, id, NULL, out);
}

static enum sl_status give_text(
    struct sl_arena *arena, enum sl_status status, const struct sl_record *record, struct sl_slice *text)
{
    if (status == SL_MISSING)
        return SL_NOT_FOUND;
    if (status != SL_OK)
        return status;
    *text = sl_arena_copy(arena, record->text);
    return text->ptr ? SL_OK : SL_NO_MEMORY;
}

enum sl_status sl_records_read(
    struct sl_records *records, struct sl_arena *arena, struct sl_slice type, struct sl_slice id, struct sl_slice *text)
{
    struct sl_txn *txn;
    struct sl_record record = {0};
    *text = (struct sl_slice){NULL, 0};
    SL_TRY(sl_txn_begin(records->store, false, &txn));
    enum sl_status status = give_text(arena, sl_record_get(txn, type, id, &record), &record, text);
    sl_txn_abort(txn);
    return status;
}

enum sl_status sl_records_read_version(struct sl_records *records, struct sl_arena *arena, struct sl_slice type,
    struct sl_slice id, uint64_t version, struct sl_slice *text)
{
    struct sl_txn *txn;
    struct sl_record record = {0};
    *text = (struct sl_slice){NULL, 0};
    SL_TRY(sl_txn_begin(records->store, false, &txn));
    enum sl_status status = sl_record_get(txn, type, id, &record);
    if (status == SL_MISSING || (status == SL_OK && record.version != version))
        status = get_record(txn, TABLE_HISTORY, type, id, &version, &record);
    if (status == SL_OK && record.deleted)
        status = SL_MISSING;
    status = give_text(arena, status, &record, text);
    sl_txn_abort(txn);
    return status;
}

enum sl_status sl_records_count(struct sl_records *records, struct sl_slice type, uint64_t *count)
{
    struct sl_txn *txn;
    struct sl_cursor *cursor = NULL;
    struct sl_slice key, value;
    char prefix[64];
    *count = 0;
    if (type.len == 0 || type.len >= sizeof prefix)
        return SL_INVALID;
    memcpy(prefix, type.ptr, type.len);
    prefix[type.len] = '/';
    SL_TRY(sl_txn_begin(records->store, false, &txn));
    enum sl_status status =
        sl_cursor_open(txn, TABLE_CURRENT, SL_LIT(""), (struct sl_slice){prefix, type.len + 1}, &cursor);
    while (status == SL_OK && (status = sl_cursor_next(cursor, &key, &value)) == SL_OK)
        ++*count;
    sl_cursor_close(cursor);
    sl_txn_abort(txn);
    return status == SL_MISSING ? SL_OK : status;
}

/* ---- Lists of ids ---- */

struct ids {
    struct sl_slice *list; /* into LMDB's pages, for as long as the read transaction */
    size_t count, capacity;
};

static enum sl_status add_id(struct sl_arena *arena, struct ids *ids, struct sl_slice id)
{
    if (ids->count == LIST_LIMIT)
        return SL_WORK_LIMIT;
    if (ids->count == ids->capacity) {
        size_t capacity = ids->capacity ? ids->capacity * 2 : 64;
        struct sl_slice *list = sl_arena_raw(arena, capacity, sizeof *list);
        if (!list)
            return SL_NO_MEMORY;
        if (ids->count)
            memcpy(list, ids->list, ids->count * sizeof *list);
        ids->list = list;
        ids->capacity = capacity;
    }
    ids->list[ids->count++] = id;
    return SL_OK;
}

static int by_bytes(const void *a, const void *b)
{
    const struct sl_slice *x = a, *y = b;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = len ? memcmp(x->ptr, y->ptr, len) : 0;
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static void settle(struct ids *ids)
{
    size_t kept = 0;
    if (ids->count > 1)
        qsort(ids->list, ids->count, sizeof *ids->list, by_bytes);
    for (size_t i = 0; i < ids->count; i++)
        if (i == 0 || !sl_slice_eq(ids->list[i], ids->list[kept - 1]))
            ids->list[kept++] = ids->list[i];
    ids->count = kept;
}

/* Adds the ids under one key, at most `most` of them in the list (then SL_LIMIT). */
static enum sl_status list_key(
    struct sl_txn *txn, struct sl_arena *arena, const struct sl_index_key *key, size_t most, struct ids *ids)
{
    struct sl_cursor *cursor;
    struct sl_slice found, value;
    enum sl_status status;
    SL_TRY(sl_cursor_open(txn, TABLE_INDEX, SL_LIT(""), (struct sl_slice){key->bytes, key->len}, &cursor));
    while ((status = sl_cursor_next(cursor, &found, &value)) == SL_OK) {
        status = ids->count < most ? add_id(arena, ids, sl_index_id(found)) : SL_LIMIT;
        if (status != SL_OK)
            break;
    }
    sl_cursor_close(cursor);
    return status == SL_MISSING ? SL_OK : status;
}

static enum sl_status list_keys(
    struct sl_txn *txn, struct sl_arena *arena, const struct sl_index_keys *keys, size_t most, struct ids *ids)
{
    ids->count = 0;
    for (size_t i = 0; i < keys->count; i++)
        SL_TRY(list_key(txn, arena, &keys->list[i], most, ids));
    return SL_OK;
}

/* ---- A search ---- */

struct searching {
    struct sl_txn *txn;
    struct sl_arena *arena, *scratch; /* scratch: for one resource at a time */
    const struct sl_search *search;
    struct sl_blocks *out;
    size_t entries, work, included;
    struct sl_text_map done; /* "Type/id" of what is on the page */
};

/* _id names its resources itself. */
static enum sl_status list_named(struct searching *s, const struct sl_search_param *param, struct ids *ids)
{
    ids->count = 0;
    for (size_t i = 0; i < param->value_count; i++) {
        const struct sl_search_value *value = &param->values[i];
        SL_TRY(add_id(s->arena, ids, value->has_system ? value->code : value->text));
    }
    return SL_OK;
}

/* The shortest list any parameter offers: all are counted up to the same bound, which grows until one list ends. */
static enum sl_status choose(struct searching *s, struct ids *ids, bool *listed)
{
    const struct sl_search *search = s->search;
    struct sl_index_keys *plans = sl_arena_array(s->arena, search->param_count, sizeof *plans);
    size_t usable = 0;
    *listed = true;
    if (!plans)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < search->param_count; i++) {
        const struct sl_search_param *param = &search->params[i];
        if (sl_slice_eq(param->name, SL_LIT("_id")) && param->modifier.len == 0)
            return list_named(s, param, ids);
        plans[usable].arena = s->arena;
        usable += sl_index_plan(search->type, param, &plans[usable]) ? 1 : 0;
    }
    for (size_t most = 64; usable && most <= LIST_LIMIT; most *= 8)
        for (size_t i = 0; i < usable; i++) {
            enum sl_status status = list_keys(s->txn, s->arena, &plans[i], most, ids);
            if (status != SL_LIMIT)
                return status;
        }
    *listed = false; /* nothing is indexed, or every list is as good as all there is */
    return sl_arena_failed(s->arena) ? SL_NO_MEMORY : SL_OK;
}

/* ---- Entries ---- */

/* Is it on the page already? If not, it is from now on. */
static enum sl_status mark(struct searching *s, struct sl_slice type, struct sl_slice id, bool *is_new)
{
    struct sl_slice name = sl_arena_printf(s->arena, "%.*s/%.*s", SL_FMT(type), SL_FMT(id));
    if (!name.ptr)
        return SL_NO_MEMORY;
    return sl_text_map_put(&s->done, name, SL_LIT(""), is_new);
}

static void put_entry(struct searching *s, struct sl_slice text, const char *mode)
{
    sl_blocks_add(s->out, s->entries++ ? SL_LIT(",{\"resource\":") : SL_LIT(",\"entry\":[{\"resource\":"));
    sl_blocks_add(s->out, text);
    sl_blocks_add(s->out, SL_LIT(",\"search\":{\"mode\":\""));
    sl_blocks_add(s->out, sl_slice_of(mode));
    sl_blocks_add(s->out, SL_LIT("\"}}"));
}

/* Parses a stored text into the scratch arena. That it does not parse is our store's fault, not the record's. */
static enum sl_status parse(struct searching *s, struct sl_slice text, struct sl_doc *doc)
{
    sl_arena_reset(s->scratch);
    enum sl_status status = sl_doc_parse(s->scratch, text, NULL, doc, NULL);
    return status == SL_SYNTAX || status == SL_LIMIT ? SL_CORRUPT : status;
}

/* ---- Includes ---- */

struct referring {
    struct searching *searching;
    const struct sl_include *include;
    struct ids found; /* "Type/id", arena-owned */
    enum sl_status status;
};

static void note_reference(void *context, struct sl_slice value)
{
    struct referring *referring = context;
    struct sl_slice copy = sl_arena_copy(referring->searching->arena, value);
    if (referring->status == SL_OK)
        referring->status = copy.ptr ? add_id(referring->searching->arena, &referring->found, copy) : SL_NO_MEMORY;
}

static enum sl_status include_one(struct searching *s, struct sl_slice type, struct sl_slice id)
{
    struct sl_record record;
    bool is_new;
    enum sl_status status = sl_record_get(s->txn, type, id, &record);
    if (status == SL_MISSING)
        return SL_OK; /* a reference to nothing, or an index entry that a crash left */
    SL_TRY(status);
    SL_TRY(mark(s, type, id, &is_new));
    if (!is_new)
        return SL_OK;
    if (++s->included > INCLUDE_LIMIT)
        return SL_WORK_LIMIT;
    put_entry(s, record.text, "include");
    return SL_OK;
}

/* _include: what the match refers to by this parameter. `doc` is in the scratch arena. */
static enum sl_status include_targets(struct searching *s, const struct sl_include *include, const struct sl_doc *doc)
{
    const struct sl_r4_param *param = sl_r4_param_find(s->search->type, include->param);
    struct referring referring = {.searching = s, .include = include, .status = SL_OK};
    if (!param)
        return SL_BAD_PARAMETER;
    sl_search_values(param, doc, 0, s->scratch, note_reference, &referring);
    SL_TRY(referring.status);
    for (size_t i = 0; i < referring.found.count; i++) {
        struct sl_slice reference = referring.found.list[i];
        const char *slash = memchr(reference.ptr, '/', reference.len);
        struct sl_slice type = {reference.ptr, slash ? (size_t)(slash - reference.ptr) : 0};
        if (!sl_r4_resource(type) || (include->target.len && !sl_slice_eq(type, include->target)))
            continue;
        SL_TRY(include_one(s, type, sl_slice_from(reference, type.len + 1)));
    }
    return sl_arena_failed(s->scratch) ? SL_NO_MEMORY : SL_OK;
}

/* _revinclude: what refers to the match by this parameter, found as a search for it would be. */
static enum sl_status include_sources(struct searching *s, const struct sl_include *include, struct sl_slice id)
{
    sl_r4_node source = sl_r4_resource(include->source);
    struct sl_search_value value = {.system = sl_r4_node_name(s->search->type), .code = id};
    struct sl_search_param param = {.param = source ? sl_r4_param_find(source, include->param) : NULL,
        .name = include->param,
        .values = &value,
        .value_count = 1};
    struct sl_index_keys keys = {.arena = s->arena};
    struct ids ids = {0};
    if (!param.param || !sl_index_plan(source, &param, &keys))
        return sl_arena_failed(s->arena) ? SL_NO_MEMORY : SL_BAD_PARAMETER;
    SL_TRY(list_keys(s->txn, s->arena, &keys, LIST_LIMIT, &ids));
    settle(&ids);
    for (size_t i = 0; i < ids.count; i++) {
        struct sl_record record;
        struct sl_doc doc;
        enum sl_status status = sl_record_get(s->txn, include->source, ids.list[i], &record);
        if (status == SL_MISSING)
            continue;
        SL_TRY(status);
        SL_TRY(parse(s, record.text, &doc));
        if (sl_search_match_param(&param, &doc, 0, NULL))
            SL_TRY(include_one(s, include->source, ids.list[i]));
    }
    return SL_OK;
}

static enum sl_status include_all(struct searching *s, struct sl_slice id, struct sl_slice text)
{
    for (size_t i = 0; i < s->search->include_count; i++) {
        const struct sl_include *include = &s->search->includes[i];
        struct sl_doc doc;
        if (include->reverse) {
            SL_TRY(include_sources(s, include, id));
            continue;
        }
        SL_TRY(parse(s, text, &doc));
        SL_TRY(include_targets(s, include, &doc));
    }
    return SL_OK;
}

/* ---- The page ---- */

/* Where the resources to look at come from: a list of ids, or the whole type. */
struct source {
    struct ids ids;
    size_t at;
    bool listed;
    struct sl_cursor *cursor;
};

/* The next resource there is; SL_MISSING at the end. */
static enum sl_status next_record(
    struct searching *s, struct source *source, struct sl_slice *id, struct sl_record *record)
{
    struct sl_slice type = sl_r4_node_name(s->search->type), key, value;
    if (source->listed) {
        enum sl_status status = SL_MISSING;
        while (status == SL_MISSING && source->at < source->ids.count) {
            *id = source->ids.list[source->at++];
            status = sl_record_get(s->txn, type, *id, record);
        }
        return status;
    }
    SL_TRY(sl_cursor_next(source->cursor, &key, &value));
    *id = sl_slice_from(key, type.len + 1);
    return sl_record_parse(value, record);
}

static enum sl_status matches(struct searching *s, const struct sl_record *record, bool *out)
{
    struct sl_doc doc;
    *out = true;
    if (s->search->param_count == 0)
        return SL_OK;
    if (++s->work > WORK_LIMIT)
        return SL_WORK_LIMIT;
    SL_TRY(parse(s, record->text, &doc));
    *out = sl_search_match(s->search, &doc, 0, NULL);
    return SL_OK;
}

static enum sl_status fill_page(
    struct searching *s, struct source *source, uint64_t offset, size_t count, uint64_t *next)
{
    struct ids page = {0};
    struct sl_slice *texts = sl_arena_raw(s->arena, count, sizeof *texts), type = sl_r4_node_name(s->search->type), id;
    struct sl_record record;
    bool match, is_new;
    uint64_t seen = 0;
    enum sl_status status;
    if (!texts)
        return SL_NO_MEMORY;
    while ((status = next_record(s, source, &id, &record)) == SL_OK) {
        SL_TRY(matches(s, &record, &match));
        if (!match || seen++ < offset)
            continue;
        if (page.count == count) {
            *next = offset + count;
            break;
        }
        texts[page.count] = record.text;
        SL_TRY(add_id(s->arena, &page, id));
        SL_TRY(mark(s, type, id, &is_new));
        put_entry(s, record.text, "match");
    }
    if (status != SL_OK && status != SL_MISSING)
        return status;
    for (size_t i = 0; i < page.count; i++)
        SL_TRY(include_all(s, page.list[i], texts[i]));
    return SL_OK;
}

/* Opens where the resources come from; the cursor is the caller's to close. */
static enum sl_status open_source(struct searching *s, struct source *source)
{
    struct sl_slice prefix = sl_arena_printf(s->arena, "%.*s/", SL_FMT(sl_r4_node_name(s->search->type)));
    if (!prefix.ptr)
        return SL_NO_MEMORY;
    SL_TRY(choose(s, &source->ids, &source->listed));
    if (!source->listed)
        return sl_cursor_open(s->txn, TABLE_CURRENT, SL_LIT(""), prefix, &source->cursor);
    settle(&source->ids);
    return SL_OK;
}

static enum sl_status write_page(
    struct searching *s, struct source *source, uint64_t offset, size_t count, uint64_t *next)
{
    sl_blocks_add(s->out, SL_LIT("{\"resourceType\":\"Bundle\",\"type\":\"searchset\""));
    SL_TRY(fill_page(s, source, offset, count, next));
    sl_blocks_add(s->out, s->entries ? SL_LIT("]}") : SL_LIT("}"));
    return s->out->failed ? SL_NO_MEMORY : SL_OK;
}

static enum sl_status begin(
    struct sl_records *records, struct sl_arena *arena, const struct sl_search *search, struct searching *s)
{
    *s = (struct searching){.arena = arena, .search = search, .done = {.arena = arena}};
    if (!sl_r4_is_resource(search->type))
        return SL_BAD_PARAMETER;
    s->scratch = sl_arena_new(SCRATCH);
    return s->scratch ? sl_txn_begin(records->store, false, &s->txn) : SL_NO_MEMORY;
}

static void end(struct searching *s, struct source *source)
{
    sl_cursor_close(source->cursor);
    sl_txn_abort(s->txn);
    sl_arena_free(s->scratch);
}

enum sl_status sl_records_search(struct sl_records *records, struct sl_arena *arena, const struct sl_search *search,
    uint64_t offset, size_t count, struct sl_blocks *out, uint64_t *next)
{
    struct searching s;
    struct source source = {0};
    *next = 0;
    if (count > LIST_LIMIT)
        return SL_BAD_PARAMETER;
    enum sl_status status = begin(records, arena, search, &s);
    s.out = out;
    if (status == SL_OK)
        status = open_source(&s, &source);
    if (status == SL_OK)
        status = write_page(&s, &source, offset, count, next);
    end(&s, &source);
    return status;
}

static enum sl_status find(
    struct searching *s, struct source *source, size_t most, struct sl_slice **ids, size_t *count)
{
    struct sl_slice id;
    struct sl_record record;
    enum sl_status status = SL_OK;
    bool match;
    *ids = sl_arena_array(s->arena, most, sizeof **ids);
    if (!*ids)
        return SL_NO_MEMORY;
    while (*count < most && (status = next_record(s, source, &id, &record)) == SL_OK) {
        SL_TRY(matches(s, &record, &match));
        if (match)
            (*ids)[(*count)++] = sl_arena_copy(s->arena, id);
    }
    return status == SL_MISSING ? SL_OK : status;
}

enum sl_status sl_records_find(struct sl_records *records, struct sl_arena *arena, const struct sl_search *search,
    size_t most, struct sl_slice **ids, size_t *count)
{
    struct searching s;
    struct source source = {0};
    *count = 0;
    enum sl_status status = begin(records, arena, search, &s);
    if (status == SL_OK)
        status = open_source(&s, &source);
    if (status == SL_OK)
        status = find(&s, &source, most, ids, count);
    end(&s, &source);
    return status == SL_OK && sl_arena_failed(arena) ? SL_NO_MEMORY : status;
}
