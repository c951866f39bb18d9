/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Importing into the embedded store: see records.h. A file is one or many *units* (NDJSON: one a line), a unit is a
 * resource or a Bundle of entries. Two passes run over the file: the first checks every entry and writes nothing, the
 * second rewrites references and writes. Both draw the same ids, since these come from the text alone.
 */
#include <stdlib.h>

#include "records_parts.h"
#include "sluice/r4_names.h"
#include "sluice/relink.h"

#define FAULTS_TOLD 20u /* of one file; the others are counted */
#define HEX_DIGITS "0123456789abcdef"

struct entry {
    uint32_t root; /* the resource, in the unit's document */
    size_t number; /* from 1, for messages */
    struct sl_slice type, id, full_url;
    uint32_t none_exist; /* the span of request.ifNoneExist; 0: none */
    bool skip;           /* already there, or an outcome */
};

struct importing {
    struct sl_records *records;
    struct sl_issues *issues;
    struct sl_records_import *out;
    int64_t now;
    bool writing;                           /* the second pass */
    bool conditional;                       /* the text holds conditional references: identifiers are noted */
    size_t unit_number, line;               /* line: of NDJSON, else 0 */
    struct sl_arena *life, *unit, *scratch; /* of the import, of one unit, of one entry */
    struct sl_text_map seen;                /* "Type/id" -> digest of its text, of the file */
    struct sl_text_map identifiers;         /* "Type|system|value" -> "Type/id"; empty where two have it */
    struct sl_text_map resolved;            /* "Type?identifier=…" -> "Type/id", or empty */
    struct sl_text_map urls;                /* fullUrl -> "Type/id", of one unit */
    struct sl_doc doc;                      /* of the unit */
    struct entry *entries;
    size_t entry_count;
    struct sl_txn *txn;
    size_t puts;     /* in this transaction */
    size_t dangling; /* references that could not be resolved */
};

/* ---- Faults ---- */

static enum sl_status fault(struct importing *in, size_t entry, const char *why)
{
    in->out->refused++;
    if (in->out->refused > FAULTS_TOLD)
        return SL_OK; /* go on: all faults are counted before the file is refused */
    struct sl_issue *issue = entry ? sl_issue_add(in->issues, SL_GRADE_ERROR, "bad-record", "Entry %zu %s.", entry, why)
                                   : sl_issue_add(in->issues, SL_GRADE_ERROR, "bad-record", "The resource %s.", why);
    if (issue)
        issue->line = in->line;
    return SL_OK;
}

static enum sl_status unreadable(struct importing *in, enum sl_status status, const struct sl_doc_error *error)
{
    if (status != SL_SYNTAX && status != SL_LIMIT)
        return status;
    in->out->refused++;
    struct sl_issue *issue = sl_issue_add(in->issues, SL_GRADE_ERROR, "bad-json", "At byte %zu: %s.", error->offset,
        error->why ? error->why : "not readable");
    if (issue)
        issue->line = in->line;
    return SL_OK;
}

/* ---- Small readers ---- */

static uint32_t member(const struct sl_doc *doc, uint32_t object, sl_name name)
{
    return object < doc->count && doc->spans[object].type == SL_SPAN_OBJECT ? sl_span_member(doc, object, name) : 0;
}

/* A member of an object that is a member itself, and may not be there (0): the root's are never meant. */
static uint32_t inner(const struct sl_doc *doc, uint32_t object, sl_name name)
{
    return object ? member(doc, object, name) : 0;
}

/* A string member's value; ptr NULL if there is none. */
static struct sl_slice text_of(const struct sl_doc *doc, uint32_t object, sl_name name, struct sl_arena *arena)
{
    uint32_t span = member(doc, object, name);
    return span ? sl_span_string(doc, span, arena) : (struct sl_slice){NULL, 0};
}

/* The last two parts of ".../Type/id"; false if they are none. */
static bool split_url(struct sl_slice url, struct sl_slice *type, struct sl_slice *id)
{
    const char *slash = url.len ? memrchr(url.ptr, '/', url.len) : NULL;
    if (!slash)
        return false;
    *id = sl_slice_from(url, (size_t)(slash + 1 - url.ptr));
    const char *before = slash > url.ptr ? memrchr(url.ptr, '/', (size_t)(slash - url.ptr)) : NULL;
    const char *start = before ? before + 1 : url.ptr;
    *type = (struct sl_slice){start, (size_t)(slash - start)};
    return sl_r4_resource(*type) && sl_id_valid(*id);
}

static struct sl_slice hex(struct sl_arena *arena, const unsigned char *bytes, size_t count)
{
    char *out = sl_arena_raw(arena, 2 * count, 1);
    for (size_t i = 0; out && i < count; i++) {
        out[2 * i] = HEX_DIGITS[bytes[i] >> 4];
        out[2 * i + 1] = HEX_DIGITS[bytes[i] & 15];
    }
    return (struct sl_slice){out, out ? 2 * count : 0};
}

static struct sl_slice name_of(const struct entry *entry, struct sl_arena *arena)
{
    return sl_arena_printf(arena, "%.*s/%.*s", SL_FMT(entry->type), SL_FMT(entry->id));
}

/* ---- Collecting a unit's entries ---- */

/* An id from the text and its place in the file: the same file gives the same one again. */
static enum sl_status draw_id(struct importing *in, struct entry *entry)
{
    unsigned char digest[SL_RECORD_DIGEST];
    struct sl_slice seed = sl_arena_printf(in->unit, "%zu/%zu/%.*s/%.*s", in->unit_number, entry->number,
        SL_FMT(entry->type), SL_FMT(sl_span_text(&in->doc, entry->root)));
    if (!seed.ptr)
        return SL_NO_MEMORY;
    if (!sl_record_digest(seed, digest))
        return SL_CRYPTO;
    entry->id = hex(in->unit, digest, 16);
    return entry->id.ptr ? SL_OK : SL_NO_MEMORY;
}

/* `url` is where a PUT puts it; empty otherwise. */
static enum sl_status choose_id(struct importing *in, struct entry *entry, struct sl_slice own, struct sl_slice url)
{
    struct sl_slice type, id;
    bool put = split_url(url, &type, &id) && sl_slice_eq(type, entry->type);
    if (sl_id_valid(own)) {
        entry->id = own;
        return put && !sl_slice_eq(id, own) ? fault(in, entry->number, "has another id than its request") : SL_OK;
    }
    if (put)
        entry->id = id;
    else if (sl_slice_starts(entry->full_url, SL_LIT("urn:uuid:")) && sl_id_valid(sl_slice_from(entry->full_url, 9)))
        entry->id = sl_slice_from(entry->full_url, 9);
    else if (split_url(entry->full_url, &type, &id) && sl_slice_eq(type, entry->type))
        entry->id = id;
    else
        return draw_id(in, entry);
    return SL_OK;
}

/* What other entries may call this one. */
static enum sl_status note_urls(struct importing *in, const struct entry *entry, struct sl_slice own)
{
    bool is_new = true;
    struct sl_slice name = name_of(entry, in->unit);
    if (!name.ptr)
        return SL_NO_MEMORY;
    if (entry->full_url.len) {
        SL_TRY(sl_text_map_put(&in->urls, entry->full_url, name, &is_new));
        if (!is_new && !sl_slice_eq(*sl_text_map_get(&in->urls, entry->full_url), name))
            return fault(in, entry->number, "has the fullUrl of another entry");
    }
    if (own.len && !sl_slice_eq(own, entry->id)) { /* an id that is none, and was replaced */
        struct sl_slice old = sl_arena_printf(in->unit, "%.*s/%.*s", SL_FMT(entry->type), SL_FMT(own));
        return old.ptr ? sl_text_map_put(&in->urls, old, name, &is_new) : SL_NO_MEMORY;
    }
    return SL_OK;
}

/* meta.lastUpdated as this store writes it itself: YYYY-MM-DDThh:mm:ssZ. */
static bool has_instant(struct importing *in, uint32_t meta)
{
    static const char form[] = "dddd-dd-ddTdd:dd:ddZ";
    struct sl_slice text = text_of(&in->doc, meta, SL_NAME_lastUpdated, in->unit);
    bool good = meta && text.ptr && text.len == sizeof form - 1;
    for (size_t i = 0; good && i < text.len; i++)
        good = form[i] == 'd' ? text.ptr[i] >= '0' && text.ptr[i] <= '9' : text.ptr[i] == form[i];
    return good;
}

/* Reads what stands in a resource about itself. `url`: see choose_id. */
static enum sl_status read_resource(struct importing *in, struct entry *entry, struct sl_slice url)
{
    const struct sl_doc *doc = &in->doc;
    if (doc->spans[entry->root].type != SL_SPAN_OBJECT)
        return fault(in, entry->number, "is no object");
    struct sl_slice type = text_of(doc, entry->root, SL_NAME_resourceType, in->unit);
    if (!sl_r4_resource(type))
        return fault(in, entry->number, "has no resourceType of R4");
    entry->type = sl_r4_node_name(sl_r4_resource(type));
    uint32_t id = member(doc, entry->root, SL_NAME_id), meta = member(doc, entry->root, SL_NAME_meta);
    if (id && doc->spans[id].type != SL_SPAN_STRING)
        return fault(in, entry->number, "has an id that is no string");
    if (meta && doc->spans[meta].type != SL_SPAN_OBJECT)
        return fault(in, entry->number, "has a meta that is no object");
    if (sl_span_text(doc, entry->root).len > SL_RECORD_BYTES)
        return fault(in, entry->number, "is too large");
    struct sl_slice own = text_of(doc, entry->root, SL_NAME_id, in->unit);
    if (in->now == SL_RECORDS_AT_GIVEN && !has_instant(in, meta))
        return fault(in, entry->number, "does not say when it was last updated (in UTC, to the second)");
    SL_TRY(choose_id(in, entry, own, url));
    return note_urls(in, entry, own);
}

static bool is_one_of(const struct sl_doc *doc, uint32_t span, const char *const *words)
{
    for (; span && *words; words++)
        if (sl_span_is(doc, span, sl_slice_of(*words)))
            return true;
    return false;
}

/* `at`: the entry in the Bundle. */
static enum sl_status read_entry(struct importing *in, uint32_t at, struct entry *entry)
{
    static const char *const writes[] = {"POST", "PUT", NULL}, *const outcome[] = {"outcome", NULL},
                             *const put[] = {"PUT", NULL};
    const struct sl_doc *doc = &in->doc;
    uint32_t request = member(doc, at, SL_NAME_request), method = inner(doc, request, SL_NAME_method);
    if (is_one_of(doc, inner(doc, member(doc, at, SL_NAME_search), SL_NAME_mode), outcome)) {
        entry->skip = true;
        return SL_OK;
    }
    if (request && !is_one_of(doc, method, writes))
        return fault(in, entry->number, "asks for something else than POST or PUT");
    entry->root = member(doc, at, SL_NAME_resource);
    if (!entry->root)
        return fault(in, entry->number, "holds no resource");
    static const char *const bundle[] = {"Bundle", NULL};
    if (is_one_of(doc, member(doc, entry->root, SL_NAME_resourceType), bundle))
        return fault(in, entry->number, "is a Bundle in a Bundle");
    entry->full_url = text_of(doc, at, SL_NAME_fullUrl, in->unit);
    entry->none_exist = inner(doc, request, SL_NAME_ifNoneExist);
    struct sl_slice url = is_one_of(doc, method, put) ? text_of(doc, request, SL_NAME_url, in->unit) : SL_LIT("");
    return read_resource(in, entry, url);
}

/* The span of the array of entries, if the unit is a Bundle whose entries are resources to keep; else 0. */
static bool is_collection(const struct sl_doc *doc, uint32_t *entries)
{
    static const char *const bundle[] = {"Bundle", NULL};
    static const char *const types[] = {"collection", "batch", "transaction", "searchset", NULL};
    *entries = 0;
    if (!is_one_of(doc, member(doc, 0, SL_NAME_resourceType), bundle) ||
        !is_one_of(doc, member(doc, 0, SL_NAME_type), types))
        return false;
    uint32_t found = member(doc, 0, SL_NAME_entry);
    if (found && doc->spans[found].type == SL_SPAN_ARRAY)
        *entries = found;
    return true;
}

static enum sl_status collect(struct importing *in)
{
    uint32_t entries, count = 0;
    const struct sl_doc *doc = &in->doc;
    bool bundle = is_collection(doc, &entries);
    for (uint32_t e = entries + 1; entries && e < doc->spans[entries].next; e = doc->spans[e].next)
        count++;
    in->entry_count = bundle ? count : 1;
    in->entries = sl_arena_array(in->unit, in->entry_count, sizeof *in->entries);
    in->urls = (struct sl_text_map){.arena = in->unit};
    if (!in->entries)
        return SL_NO_MEMORY;
    if (!bundle)
        return read_resource(in, &in->entries[0], SL_LIT(""));
    uint32_t e = entries + 1;
    for (size_t i = 0; i < count; i++, e = doc->spans[e].next) {
        in->entries[i].number = i + 1;
        SL_TRY(read_entry(in, e, &in->entries[i]));
    }
    return sl_arena_failed(in->unit) ? SL_NO_MEMORY : SL_OK;
}

/* ---- The first pass ---- */

/* The same resource may stand twice in a file if it says the same twice. */
static enum sl_status check_twice(struct importing *in, const struct entry *entry)
{
    unsigned char digest[SL_RECORD_DIGEST];
    bool is_new;
    if (!sl_record_digest(sl_span_text(&in->doc, entry->root), digest))
        return SL_CRYPTO;
    struct sl_slice name = name_of(entry, in->life),
                    sum = sl_arena_copy(in->life, (struct sl_slice){(char *)digest, 8});
    if (!name.ptr || !sum.ptr)
        return SL_NO_MEMORY;
    SL_TRY(sl_text_map_put(&in->seen, name, sum, &is_new));
    if (!is_new && !sl_slice_eq(*sl_text_map_get(&in->seen, name), sum))
        return fault(in, entry->number, "stands twice in the file, with different contents");
    return SL_OK;
}

static enum sl_status note_identifier(struct importing *in, const struct entry *entry, uint32_t identifier)
{
    struct sl_slice system = text_of(&in->doc, identifier, SL_NAME_system, in->unit);
    struct sl_slice value = text_of(&in->doc, identifier, SL_NAME_value, in->unit);
    bool is_new;
    if (!system.ptr || !value.ptr)
        return SL_OK;
    struct sl_slice key =
        sl_arena_printf(in->life, "%.*s|%.*s|%.*s", SL_FMT(entry->type), SL_FMT(system), SL_FMT(value));
    struct sl_slice name = name_of(entry, in->life);
    if (!key.ptr || !name.ptr)
        return SL_NO_MEMORY;
    SL_TRY(sl_text_map_put(&in->identifiers, key, name, &is_new));
    struct sl_slice *held = sl_text_map_get(&in->identifiers, key);
    if (!is_new && !sl_slice_eq(*held, name))
        *held = SL_LIT(""); /* whose it is cannot be told */
    return SL_OK;
}

static enum sl_status note_identifiers(struct importing *in, const struct entry *entry)
{
    const struct sl_doc *doc = &in->doc;
    uint32_t list = member(doc, entry->root, SL_NAME_identifier);
    if (!list || !in->conditional)
        return SL_OK;
    if (doc->spans[list].type == SL_SPAN_OBJECT)
        return note_identifier(in, entry, list);
    for (uint32_t i = list + 1; doc->spans[list].type == SL_SPAN_ARRAY && i < doc->spans[list].next;
         i = doc->spans[i].next)
        SL_TRY(note_identifier(in, entry, i));
    return SL_OK;
}

static enum sl_status check_unit(struct importing *in)
{
    size_t refused = in->out->refused;
    SL_TRY(collect(in));
    for (size_t i = 0; i < in->entry_count && in->out->refused == refused; i++) {
        if (in->entries[i].skip)
            continue;
        SL_TRY(check_twice(in, &in->entries[i]));
        SL_TRY(note_identifiers(in, &in->entries[i]));
    }
    return SL_OK;
}

/* ---- Conditional references ---- */

/* Reads "identifier=system|value" on a type. */
static bool read_condition(struct importing *in, struct sl_slice type, struct sl_slice query, struct sl_search *search)
{
    if (!sl_r4_resource(type) ||
        sl_search_read(in->life, sl_r4_resource(type), query, SL_LIT(""), NULL, search) != SL_OK)
        return false;
    return search->param_count == 1 && sl_slice_eq(search->params[0].name, SL_LIT("identifier")) &&
           search->params[0].modifier.len == 0 && search->params[0].value_count == 1 &&
           search->params[0].values[0].has_system;
}

static enum sl_status find_stored(
    struct importing *in, struct sl_slice type, const struct sl_search *search, struct sl_slice *out)
{
    struct sl_slice *ids;
    size_t count;
    *out = SL_LIT("");
    SL_TRY(sl_records_find(in->records, in->life, search, 2, &ids, &count));
    if (count == 1)
        *out = sl_arena_printf(in->life, "%.*s/%.*s", SL_FMT(type), SL_FMT(ids[0]));
    return out->ptr ? SL_OK : SL_NO_MEMORY;
}

static struct sl_slice identifier_key(struct sl_arena *arena, struct sl_slice type, const struct sl_search_value *value)
{
    return sl_arena_printf(arena, "%.*s|%.*s|%.*s", SL_FMT(type), SL_FMT(value->system), SL_FMT(value->code));
}

/* "Type?identifier=system|value" to "Type/id": in the file, else in the store; empty if none or several are meant. */
static enum sl_status resolve(struct importing *in, struct sl_slice reference, struct sl_slice *out)
{
    struct sl_slice *held = sl_text_map_get(&in->resolved, reference);
    struct sl_search search;
    bool is_new;
    if (held) {
        *out = *held;
        return SL_OK;
    }
    *out = SL_LIT("");
    size_t mark = (size_t)((const char *)memchr(reference.ptr, '?', reference.len) - reference.ptr);
    struct sl_slice type = {reference.ptr, mark};
    if (read_condition(in, type, sl_slice_from(reference, mark + 1), &search)) {
        struct sl_slice key = identifier_key(in->life, type, &search.params[0].values[0]);
        struct sl_slice *name = key.ptr ? sl_text_map_get(&in->identifiers, key) : NULL;
        if (name)
            *out = *name;
        else
            SL_TRY(find_stored(in, type, &search, out));
    }
    struct sl_slice copy = sl_arena_copy(in->life, reference);
    if (!copy.ptr)
        return SL_NO_MEMORY;
    return sl_text_map_put(&in->resolved, copy, *out, &is_new);
}

/* "create this only if there is none": where the store has it under another id, that one is meant. */
static enum sl_status settle_existing(struct importing *in, struct entry *entry)
{
    struct sl_search search;
    struct sl_slice found = SL_LIT(""), query = sl_span_string(&in->doc, entry->none_exist, in->unit);
    if (!entry->none_exist || !read_condition(in, entry->type, query, &search))
        return SL_OK;
    SL_TRY(find_stored(in, entry->type, &search, &found));
    if (found.len == 0 || sl_slice_eq(found, name_of(entry, in->unit)))
        return SL_OK;
    entry->skip = true;
    struct sl_slice key = identifier_key(in->unit, entry->type, &search.params[0].values[0]);
    struct sl_slice *held = key.ptr ? sl_text_map_get(&in->identifiers, key) : NULL;
    if (held) /* whoever asks for it by this identifier means the stored one too */
        *held = found;
    struct sl_slice *url = entry->full_url.len ? sl_text_map_get(&in->urls, entry->full_url) : NULL;
    if (url)
        *url = found;
    return SL_OK;
}

/* ---- Rewriting one entry ---- */

struct rewriting {
    struct importing *in;
    struct sl_doc doc; /* of the one resource, in the scratch arena */
    struct sl_edits *edits;
    enum sl_status status; /* of what had to be found for it */
};

static struct sl_slice target_of(
    void *context, enum sl_link_form form, const struct sl_r4_element *element, struct sl_slice url)
{
    struct rewriting *r = context;
    struct sl_slice *held = form == SL_LINK_CANONICAL ? NULL : sl_text_map_get(&r->in->urls, url);
    struct sl_slice target = held ? *held : (struct sl_slice){NULL, 0};
    bool reference = form == SL_LINK_REFERENCE, conditional = reference && !held && memchr(url.ptr, '?', url.len);
    (void)element;
    if (conditional && r->status == SL_OK)
        r->status = resolve(r->in, url, &target);
    r->in->dangling += !target.len && (conditional || (reference && sl_slice_starts(url, SL_LIT("urn:"))));
    return target;
}

static enum sl_status begin_rewrite(struct rewriting *r, struct importing *in, const struct entry *entry)
{
    bool any;
    *r = (struct rewriting){.in = in};
    sl_arena_reset(in->scratch);
    SL_TRY(sl_doc_parse(in->scratch, sl_span_text(&in->doc, entry->root), NULL, &r->doc, NULL));
    r->edits = sl_edits_new(in->scratch, &r->doc);
    if (!r->edits)
        return SL_NO_MEMORY;
    SL_TRY(sl_relink(r->edits, &r->doc, in->scratch, target_of, r, &any));
    SL_TRY(r->status);
    return sl_record_put_id(r->edits, &r->doc, in->scratch, entry->id);
}

/* ---- Writing ---- */

/* Ends the transaction that is open, if one is. */
static enum sl_status settle(struct importing *in)
{
    struct sl_txn *txn = in->txn;
    in->txn = NULL;
    in->puts = 0;
    return txn ? sl_txn_commit(txn) : SL_OK;
}

/* The version this entry makes of what is stored. *same: it is there as it came, and none is made. */
static enum sl_status make_step(
    struct importing *in, const struct entry *entry, struct sl_record_step *step, bool *same)
{
    struct rewriting r;
    struct sl_record old;
    struct sl_slice text;
    unsigned char sum[SL_RECORD_DIGEST];
    struct sl_slice digest = {(const char *)sum, sizeof sum};
    SL_TRY(begin_rewrite(&r, in, entry));
    SL_TRY(sl_record_gather(r.edits, in->scratch, &text));
    if (!sl_record_digest(text, sum))
        return SL_CRYPTO;
    SL_TRY(sl_record_last(in->txn, in->scratch, entry->type, entry->id, &old));
    *same = old.version && !old.deleted && sl_slice_eq(old.digest, digest);
    if (*same)
        return SL_OK;
    SL_TRY(sl_record_put_meta(r.edits, &r.doc, in->scratch, old.version + 1, in->now));
    SL_TRY(sl_record_gather(r.edits, in->scratch, &text));
    *step = (struct sl_record_step){.type = entry->type, .id = entry->id};
    return sl_record_step_make(in->scratch, &old, digest, text, step);
}

/* In the transaction that is open, if there is room. SL_LIMIT: it is to be made again in a fresh one, since somebody
 * else may write between the two. What is larger than any transaction is put by itself, over again where somebody did
 * (SL_EXISTS). */
static enum sl_status put_step(struct importing *in, const struct sl_record_step *step)
{
    size_t puts = sl_record_step_puts(step);
    if (puts > SL_STORE_PUTS) {
        SL_TRY(settle(in));
        return sl_record_steps_put(in->records, step, 1);
    }
    if (in->puts + puts > SL_STORE_PUTS)
        return SL_LIMIT;
    in->puts += puts;
    return sl_record_step_put(in->txn, step);
}

static enum sl_status write_entry(struct importing *in, const struct entry *entry)
{
    struct sl_record_step step;
    bool same;
    enum sl_status status;
    do {
        if (!in->txn)
            SL_TRY(sl_txn_begin(in->records->store, true, &in->txn));
        SL_TRY(make_step(in, entry, &step, &same));
        status = same ? SL_OK : put_step(in, &step);
        if (status == SL_LIMIT)
            SL_TRY(settle(in));
    } while (status == SL_LIMIT || status == SL_EXISTS);
    in->out->resources++;
    if (!same)
        *(step.was_current ? &in->out->updated : &in->out->created) += 1;
    return status;
}

static enum sl_status write_unit(struct importing *in)
{
    SL_TRY(collect(in));
    for (size_t i = 0; i < in->entry_count; i++)
        SL_TRY(settle_existing(in, &in->entries[i]));
    for (size_t i = 0; i < in->entry_count; i++)
        if (!in->entries[i].skip)
            SL_TRY(write_entry(in, &in->entries[i]));
    return SL_OK;
}

/* ---- The file ---- */

static enum sl_status each_unit(struct importing *in, struct sl_slice text)
{
    static const struct sl_doc_limits limits = {.bytes = 0xfffffff0u, .spans = 1u << 30, .depth = 64};
    struct sl_doc_error error = {0};
    sl_arena_reset(in->unit);
    in->unit_number++;
    enum sl_status status = sl_doc_parse(in->unit, text, &limits, &in->doc, &error);
    if (status != SL_OK)
        return unreadable(in, status, &error);
    return in->writing ? write_unit(in) : check_unit(in);
}

static bool is_blank(struct sl_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!memchr(" \t\r\n", text.ptr[i], 4))
            return false;
    return true;
}

static struct sl_slice line_of(struct sl_slice text)
{
    const char *end = text.len ? memchr(text.ptr, '\n', text.len) : NULL;
    return (struct sl_slice){text.ptr, end ? (size_t)(end - text.ptr) : text.len};
}

/* NDJSON: the first line that says something is a whole JSON text, and more follows. */
static bool is_lines(struct importing *in, struct sl_slice text)
{
    struct sl_doc doc;
    struct sl_slice line = line_of(text);
    while (text.len && is_blank(line)) {
        text = sl_slice_from(text, line.len + 1);
        line = line_of(text);
    }
    sl_arena_reset(in->unit);
    return !is_blank(sl_slice_from(text, line.len + 1)) && sl_doc_parse(in->unit, line, NULL, &doc, NULL) == SL_OK;
}

static enum sl_status pass_over(struct importing *in, struct sl_slice text, bool lines)
{
    in->unit_number = in->line = 0;
    if (!lines)
        return each_unit(in, text);
    while (text.len) {
        struct sl_slice line = line_of(text);
        in->line++;
        if (!is_blank(line))
            SL_TRY(each_unit(in, line));
        text = sl_slice_from(text, line.len + 1);
    }
    return SL_OK;
}

static enum sl_status run(struct importing *in, struct sl_slice text)
{
    bool lines = is_lines(in, text);
    if (is_blank(text))
        return fault(in, 0, "is missing: the file is empty") == SL_OK ? SL_INVALID : SL_NO_MEMORY;
    in->conditional = memmem(text.ptr, text.len, "?identifier", 11) != NULL;
    SL_TRY(pass_over(in, text, lines));
    if (in->out->refused)
        return SL_INVALID;
    in->writing = true;
    SL_TRY(pass_over(in, text, lines));
    SL_TRY(settle(in));
    if (in->dangling)
        sl_issue_add(in->issues, SL_GRADE_NOTE, "dangling",
            "%zu references name nothing in the file or the store; import what they name first.", in->dangling);
    return SL_OK;
}

enum sl_status sl_records_import(struct sl_records *records, struct sl_slice text, int64_t now,
    struct sl_issues *issues, struct sl_records_import *out)
{
    struct importing in = {.records = records, .issues = issues, .out = out, .now = now};
    enum sl_status status = SL_NO_MEMORY;
    size_t ceiling = 0;
    memset(out, 0, sizeof *out);
    if (__builtin_mul_overflow(text.len, (size_t)48, &ceiling) ||
        __builtin_add_overflow(ceiling, (size_t)1 << 28, &ceiling))
        return SL_LIMIT;
    in.life = sl_arena_new(ceiling);
    in.unit = sl_arena_new(ceiling);
    in.scratch = sl_arena_new((size_t)2 << 30);
    in.seen.arena = in.identifiers.arena = in.resolved.arena = in.life;
    if (in.life && in.unit && in.scratch)
        status = run(&in, text);
    sl_txn_abort(in.txn); /* what failed half way; what was committed before stays, whole */
    sl_arena_free(in.life);
    sl_arena_free(in.unit);
    sl_arena_free(in.scratch);
    return status;
}
