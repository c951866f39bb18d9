/* SPDX-License-Identifier: Apache-2.0 */
/* Reading an upstream's answer: see fetch.h. */
#include "fetch.h"

#include <stdlib.h>

#include "route.h"
#include "sluice/fault.h"
#include "sluice/time_range.h"

static enum sl_status fail(struct sl_ask *ask, const char *why)
{
    ask->why = why;
    return SL_UPSTREAM;
}

/* An object with a resourceType that R4 knows and an id. */
static bool read_resource(const struct sl_doc *doc, uint32_t root, struct sl_entry *out)
{
    if (doc->spans[root].type != SL_SPAN_OBJECT)
        return false;
    uint32_t type = sl_span_member(doc, root, SL_NAME_resourceType), id = sl_span_member(doc, root, SL_NAME_id);
    out->root = root;
    out->type = type ? sl_r4_resource(sl_span_raw(doc, type)) : 0;
    out->id = id ? sl_span_raw(doc, id) : (struct sl_slice){NULL, 0};
    return out->type && sl_is_id(out->id);
}

static bool is_one_of(struct sl_slice id, const struct sl_slice *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (sl_slice_eq(id, ids[i]))
            return true;
    return false;
}

static enum sl_status read_single(struct sl_ask *ask, struct sl_fetched *out)
{
    out->entries = sl_arena_array(ask->arena, 1, sizeof *out->entries);
    if (!out->entries)
        return SL_NO_MEMORY;
    struct sl_entry *entry = out->entries;
    if (!read_resource(&out->doc, 0, entry) || entry->type != sl_r4_resource(ask->type) ||
        !sl_slice_eq(entry->id, ask->id))
        return fail(ask, "upstream-not-the-resource");
    entry->match = true;
    out->count = out->matches = 1;
    return SL_OK;
}

/* An OperationOutcome among the results may say that they are not complete: then they are not an answer. */
static bool tells_of_failure(const struct sl_doc *doc, uint32_t outcome)
{
    uint32_t issues = sl_span_member(doc, outcome, SL_NAME_issue);
    if (!issues || doc->spans[issues].type != SL_SPAN_ARRAY)
        return true;
    for (uint32_t i = issues + 1; i < doc->spans[issues].next; i = doc->spans[i].next) {
        uint32_t severity = doc->spans[i].type == SL_SPAN_OBJECT ? sl_span_member(doc, i, SL_NAME_severity) : 0;
        if (!severity || sl_span_is(doc, severity, SL_LIT("error")) || sl_span_is(doc, severity, SL_LIT("fatal")))
            return true;
    }
    return false;
}

/* Bundle.entry.search.mode; without it a resource of the type asked for is a match. */
static bool is_match(const struct sl_doc *doc, uint32_t entry, bool of_type)
{
    uint32_t search = sl_span_member(doc, entry, SL_NAME_search);
    uint32_t mode = search && doc->spans[search].type == SL_SPAN_OBJECT ? sl_span_member(doc, search, SL_NAME_mode) : 0;
    return mode ? sl_span_is(doc, mode, SL_LIT("match")) : of_type;
}

static enum sl_status read_entry(struct sl_ask *ask, struct sl_fetched *out, uint32_t at)
{
    const struct sl_doc *doc = &out->doc;
    uint32_t resource = doc->spans[at].type == SL_SPAN_OBJECT ? sl_span_member(doc, at, SL_NAME_resource) : 0;
    if (!resource || doc->spans[resource].type != SL_SPAN_OBJECT)
        return fail(ask, "upstream-entry");
    uint32_t type = sl_span_member(doc, resource, SL_NAME_resourceType);
    if (type && sl_span_is(doc, type, SL_LIT("OperationOutcome")))
        return tells_of_failure(doc, resource) ? fail(ask, "upstream-outcome") : SL_OK;
    struct sl_entry *entry = &out->entries[out->count];
    if (!read_resource(doc, resource, entry))
        return fail(ask, "upstream-entry");
    entry->at = at;
    bool of_type = sl_slice_eq(sl_r4_node_name(entry->type), ask->type);
    entry->match = is_match(doc, at, of_type);
    if (entry->match && !of_type)
        return fail(ask, "upstream-not-the-type");
    /* A server that ignores _id would send everything: what was not asked for is not context. */
    if (ask->kind == SL_ASK_IDS && !is_one_of(entry->id, ask->ids, ask->id_count))
        return fail(ask, "upstream-not-the-ids");
    out->matches += entry->match;
    out->count++;
    return SL_OK;
}

/* A url of the server's own, relative. */
static struct sl_slice relative(const struct sl_ask *ask, struct sl_slice url)
{
    struct sl_slice rest = ask->address ? sl_address_rest(ask->address, url) : (struct sl_slice){NULL, 0};
    return rest.ptr ? rest : url;
}

/* The `next` link: one that has a scheme still leads somewhere else, and is not followed. */
static enum sl_status read_next(struct sl_ask *ask, struct sl_fetched *out)
{
    const struct sl_doc *doc = &out->doc;
    uint32_t links = sl_span_member(doc, 0, SL_NAME_link);
    if (!links || doc->spans[links].type != SL_SPAN_ARRAY)
        return SL_OK;
    for (uint32_t i = links + 1; i < doc->spans[links].next; i = doc->spans[i].next) {
        if (doc->spans[i].type != SL_SPAN_OBJECT)
            return fail(ask, "upstream-link");
        uint32_t relation = sl_span_member(doc, i, SL_NAME_relation), url = sl_span_member(doc, i, SL_NAME_url);
        if (!relation || !sl_span_is(doc, relation, SL_LIT("next")))
            continue;
        struct sl_slice text = url ? relative(ask, sl_span_string(doc, url, ask->arena)) : (struct sl_slice){NULL, 0};
        if (!text.len || memmem(text.ptr, text.len, "://", 3) || sl_slice_starts(text, SL_LIT("/")))
            return fail(ask, "upstream-link");
        out->next = text;
    }
    return SL_OK;
}

/* ---- Histories ---- */

static uint32_t object_member(const struct sl_doc *doc, uint32_t object, uint16_t name)
{
    uint32_t member = object ? sl_span_member(doc, object, name) : 0;
    return member && doc->spans[member].type == SL_SPAN_OBJECT ? member : 0;
}

static struct sl_slice text_of(const struct sl_doc *doc, uint32_t object, uint16_t name)
{
    uint32_t member = object ? sl_span_member(doc, object, name) : 0;
    return member ? sl_span_raw(doc, member) : (struct sl_slice){NULL, 0};
}

/* "Type/id", and "/_history/v" behind it. */
static bool read_url(struct sl_slice url, struct sl_entry *out)
{
    const char *slash = url.len ? memchr(url.ptr, '/', url.len) : NULL;
    if (!slash)
        return false;
    out->type = sl_r4_resource((struct sl_slice){url.ptr, (size_t)(slash - url.ptr)});
    out->id = sl_slice_from(url, (size_t)(slash - url.ptr) + 1);
    const char *end = out->id.len ? memchr(out->id.ptr, '/', out->id.len) : NULL;
    struct sl_slice rest = end ? sl_slice_from(out->id, (size_t)(end - out->id.ptr)) : (struct sl_slice){NULL, 0};
    out->id.len -= rest.len;
    if (sl_slice_starts(rest, SL_LIT("/_history/")))
        out->version = sl_slice_from(rest, 10);
    else if (rest.len)
        return false;
    return out->type && sl_is_id(out->id);
}

/* The number within W/"3". */
static struct sl_slice untagged(struct sl_slice etag)
{
    struct sl_slice begin = SL_LIT("W/\\\"");
    if (!sl_slice_starts(etag, begin) || etag.len < begin.len + 2)
        return (struct sl_slice){NULL, 0};
    etag = sl_slice_from(etag, begin.len);
    etag.len -= 2;
    return etag;
}

/* R4, http.html#history: an entry without a resource is a deletion. */
static bool read_deletion(const struct sl_ask *ask, const struct sl_doc *doc, uint32_t at, struct sl_entry *out)
{
    uint32_t request = object_member(doc, at, SL_NAME_request), response = object_member(doc, at, SL_NAME_response);
    uint32_t url = request ? sl_span_member(doc, request, SL_NAME_url) : 0;
    if (!request || !sl_slice_eq(text_of(doc, request, SL_NAME_method), SL_LIT("DELETE")))
        return false;
    *out = (struct sl_entry){.deleted = true, .match = true};
    if (!url || !read_url(relative(ask, sl_span_string(doc, url, ask->arena)), out))
        return false;
    if (!out->version.len)
        out->version = untagged(text_of(doc, response, SL_NAME_etag));
    out->updated = text_of(doc, response, SL_NAME_lastModified);
    return true;
}

static bool read_version(const struct sl_ask *ask, const struct sl_doc *doc, uint32_t at, struct sl_entry *out)
{
    uint32_t resource = object_member(doc, at, SL_NAME_resource);
    if (!resource)
        return read_deletion(ask, doc, at, out);
    uint32_t meta = object_member(doc, resource, SL_NAME_meta);
    out->match = true;
    out->version = text_of(doc, meta, SL_NAME_versionId);
    out->updated = text_of(doc, meta, SL_NAME_lastUpdated);
    return read_resource(doc, resource, out);
}

/* The number that a version is called by; 0: it is called otherwise. */
static uint64_t number_of(struct sl_slice version)
{
    uint64_t number = 0;
    if (version.len > 18)
        return 0;
    for (size_t i = 0; i < version.len; i++) {
        if (version.ptr[i] < '0' || version.ptr[i] > '9')
            return 0;
        number = number * 10 + (uint64_t)(version.ptr[i] - '0');
    }
    return number;
}

bool sl_fetch_follows(const struct sl_entry *newer, const struct sl_entry *older)
{
    struct sl_time_range one, two;
    uint64_t above = number_of(newer->version), below = number_of(older->version);
    if (above && below)
        return below < above;
    return !sl_time_range_read(newer->updated, &one) || !sl_time_range_read(older->updated, &two) ||
           two.from <= one.from;
}

static int by_number(const void *a, const void *b)
{
    uint64_t one = number_of(((const struct sl_entry *)a)->version),
             two = number_of(((const struct sl_entry *)b)->version);
    return one < two ? 1 : one > two ? -1 : 0;
}

/* R4, http.html#history: the oldest versions last. What was before is ruled by all that came after, so that a record's
 * past would be judged without what it has become where a server turns that round, or (HAPI) orders by the instant
 * alone and two have the same. Numbers tell; where there are none, what cannot be so is no answer. */
static enum sl_status order_versions(struct sl_ask *ask, struct sl_fetched *out)
{
    bool numbered = true;
    for (size_t i = 0; i < out->count; i++)
        numbered = numbered && number_of(out->entries[i].version);
    if (numbered && !sl_fault(SL_FAULT_VERSIONS_AS_TOLD))
        qsort(out->entries, out->count, sizeof *out->entries, by_number);
    for (size_t i = 1; i < out->count && !sl_fault(SL_FAULT_VERSIONS_AS_TOLD); i++)
        if (!sl_fetch_follows(&out->entries[i - 1], &out->entries[i]))
            return fail(ask, "upstream-history-order");
    return SL_OK;
}

/* Each is of what was asked for; where the order of versions is to be relied on, nothing may be missing. */
static enum sl_status read_past(struct sl_ask *ask, struct sl_fetched *out, uint32_t at)
{
    const struct sl_doc *doc = &out->doc;
    struct sl_entry *entry = &out->entries[out->count];
    if (doc->spans[at].type != SL_SPAN_OBJECT || !read_version(ask, doc, at, entry))
        return fail(ask, "upstream-entry");
    if ((ask->type.len && entry->type != sl_r4_resource(ask->type)) ||
        (ask->id.len && !sl_slice_eq(entry->id, ask->id)))
        return fail(ask, "upstream-not-the-resource");
    entry->at = at;
    out->matches++;
    out->count++;
    return SL_OK;
}

/* What has not been read before may come again. */
static void note_rows(const struct sl_ask *ask, const struct sl_fetched *out)
{
    size_t known = 0;
    for (size_t i = 0; ask->kept && i < out->count; i++) {
        struct sl_entry *entry = &out->entries[i];
        uint32_t begin = out->doc.spans[entry->at].begin;
        while (known < out->row_count && out->rows[known].at < begin)
            known++;
        if (known < out->row_count && out->rows[known].at == begin)
            entry->row = &out->rows[known];
        else if (entry->root)
            sl_kept_note(ask->kept, &out->doc, entry->at);
    }
}

static enum sl_status read_bundle(struct sl_ask *ask, struct sl_fetched *out)
{
    bool past = ask->kind == SL_ASK_HISTORY;
    const struct sl_doc *doc = &out->doc;
    if (doc->spans[0].type != SL_SPAN_OBJECT)
        return fail(ask, "upstream-not-a-bundle");
    uint32_t resource = sl_span_member(doc, 0, SL_NAME_resourceType), type = sl_span_member(doc, 0, SL_NAME_type);
    uint32_t entries = sl_span_member(doc, 0, SL_NAME_entry);
    if (!resource || !sl_span_is(doc, resource, SL_LIT("Bundle")) || !type ||
        !sl_span_is(doc, type, past ? SL_LIT("history") : SL_LIT("searchset")) ||
        (entries && doc->spans[entries].type != SL_SPAN_ARRAY))
        return fail(ask, "upstream-not-a-bundle");
    size_t count = 0;
    for (uint32_t i = entries + 1; entries && i < doc->spans[entries].next; i = doc->spans[i].next)
        count++;
    out->entries = sl_arena_array(ask->arena, count + 1, sizeof *out->entries);
    if (!out->entries)
        return SL_NO_MEMORY;
    for (uint32_t i = entries + 1; entries && i < doc->spans[entries].next; i = doc->spans[i].next)
        SL_TRY(past ? read_past(ask, out, i) : read_entry(ask, out, i));
    note_rows(ask, out);
    if (past && ask->id.len && ask->next_in_text) /* of a server's, of one record */
        SL_TRY(order_versions(ask, out));
    out->next = ask->next;
    return ask->next_in_text ? read_next(ask, out) : SL_OK;
}

enum sl_status sl_fetch_read(struct sl_ask *ask, struct sl_fetched **out)
{
    SL_ASSERT(ask->finished && ask->status == SL_OK);
    struct sl_fetched *fetched = sl_arena_alloc(ask->arena, sizeof *fetched);
    *out = fetched;
    if (!fetched)
        return SL_NO_MEMORY;
    enum sl_status status =
        sl_kept_parse(ask->kept, ask->arena, ask->text, NULL, &fetched->doc, &fetched->rows, &fetched->row_count);
    if (status != SL_OK)
        return status == SL_NO_MEMORY ? status : fail(ask, "upstream-not-json");
    SL_TRY(
        ask->kind == SL_ASK_READ || ask->kind == SL_ASK_VREAD ? read_single(ask, fetched) : read_bundle(ask, fetched));
    fetched->edits = sl_edits_new(ask->arena, &fetched->doc);
    fetched->address = ask->places.count ? ask->address : NULL;
    fetched->places = ask->places;
    return fetched->edits && !sl_arena_failed(ask->arena) ? SL_OK : SL_NO_MEMORY;
}

/* ---- Batches ---- */

/* "404 Not Found"; 0: it says nothing of the kind. */
static int code_of(struct sl_slice status)
{
    int code = 0;
    for (size_t i = 0; i < 3; i++) {
        if (i >= status.len || status.ptr[i] < '0' || status.ptr[i] > '9')
            return 0;
        code = code * 10 + (status.ptr[i] - '0');
    }
    return code;
}

/* Is it about what this part asks for? What is no history is found out when it is read. */
static bool is_about(const struct sl_ask *part, const struct sl_doc *doc, uint32_t bundle)
{
    uint32_t list = sl_span_member(doc, bundle, SL_NAME_entry);
    if (!list || doc->spans[list].type != SL_SPAN_ARRAY)
        return true;
    for (uint32_t i = list + 1; i < doc->spans[list].next; i = doc->spans[i].next) {
        struct sl_entry entry = {0};
        if (doc->spans[i].type == SL_SPAN_OBJECT && read_version(part, doc, i, &entry) &&
            (entry.type != sl_r4_resource(part->type) || !sl_slice_eq(entry.id, part->id)))
            return false;
    }
    return true;
}

/* As the answer to a question of its own would be judged (upstream_http.c). */
static void judge_part(const struct sl_doc *doc, uint32_t entry, struct sl_ask *part)
{
    uint32_t resource = object_member(doc, entry, SL_NAME_resource);
    int code = code_of(text_of(doc, object_member(doc, entry, SL_NAME_response), SL_NAME_status));
    part->finished = part->next_in_text = true;
    part->gone = code == 410;
    part->status = SL_UPSTREAM;
    part->why = "upstream-status";
    if (sl_ask_has_no_history(part, code))
        part->status = SL_NOT_SUPPORTED;
    else if (sl_ask_is_absent(part, code))
        part->status = SL_NOT_FOUND;
    else if (code == 200 && resource) {
        part->status = SL_OK;
        part->text = sl_span_text(doc, resource);
    }
}

/* Answers stand in the order of the questions, and nothing else says whose one is. A history in the place of another is
 * all that shows a server which mixes them up: its 404 may then stand where something was deleted. */
static bool is_in_order(const struct sl_ask *batch, const struct sl_doc *doc, uint32_t list)
{
    uint32_t at = list + 1;
    for (size_t i = 0; i < batch->part_count; i++, at = doc->spans[at].next) {
        uint32_t resource = batch->parts[i].status == SL_OK ? object_member(doc, at, SL_NAME_resource) : 0;
        if (resource && !is_about(&batch->parts[i], doc, resource))
            return false;
    }
    return true;
}

enum sl_status sl_fetch_split(struct sl_ask *batch)
{
    struct sl_doc doc;
    enum sl_status status = sl_doc_parse(batch->arena, batch->text, NULL, &doc, NULL);
    if (status != SL_OK || doc.spans[0].type != SL_SPAN_OBJECT)
        return status == SL_NO_MEMORY ? status : fail(batch, "upstream-not-json");
    uint32_t type = sl_span_member(&doc, 0, SL_NAME_type), list = sl_span_member(&doc, 0, SL_NAME_entry), at = list + 1;
    if (!type || !sl_span_is(&doc, type, SL_LIT("batch-response")) || !list || doc.spans[list].type != SL_SPAN_ARRAY)
        return fail(batch, "upstream-not-a-batch");
    for (size_t i = 0; i < batch->part_count; i++, at = doc.spans[at].next) {
        if (at >= doc.spans[list].next || doc.spans[at].type != SL_SPAN_OBJECT)
            return fail(batch, "upstream-batch-short");
        batch->parts[i].address = batch->address; /* for its links; nothing of it goes out */
        judge_part(&doc, at, &batch->parts[i]);
    }
    if (at != doc.spans[list].next)
        return fail(batch, "upstream-batch-long");
    return is_in_order(batch, &doc, list) ? SL_OK : fail(batch, "upstream-batch-order");
}
