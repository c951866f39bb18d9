/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transaction on the embedded store: see records_write.h. Ids are drawn first, so that entries can name each other;
 * then each resource is rewritten, and all are written together. It knows as much of Bundle.entry.request as the
 * gateway writes into one: what is conditional has been settled before.
 */
#include <openssl/rand.h>

#include "records_parts.h"
#include "records_write.h"
#include "sluice/r4_names.h"
#include "sluice/relink.h"

struct transaction {
    struct sl_arena *arena;
    struct sl_doc doc;
    uint32_t *entries, *resources; /* spans */
    struct sl_record_write *writes;
    size_t count;
    struct sl_text_map urls; /* fullUrl -> "Type/id" */
};

enum sl_status sl_record_draw_id(struct sl_arena *arena, struct sl_slice *out)
{
    unsigned char bytes[16];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return SL_CRYPTO;
    char *text = sl_arena_raw(arena, 2 * sizeof bytes, 1);
    for (size_t i = 0; text && i < sizeof bytes; i++) {
        text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    *out = (struct sl_slice){text, 2 * sizeof bytes};
    return text ? SL_OK : SL_NO_MEMORY;
}

/* ---- Reading the Bundle ---- */

static uint32_t member(const struct sl_doc *doc, uint32_t object, sl_name name)
{
    return doc->spans[object].type == SL_SPAN_OBJECT ? sl_span_member(doc, object, name) : 0;
}

static struct sl_slice text_of(const struct transaction *t, uint32_t object, sl_name name)
{
    uint32_t span = object ? member(&t->doc, object, name) : 0;
    return span ? sl_span_string(&t->doc, span, t->arena) : (struct sl_slice){NULL, 0};
}

/* W/"12" */
static bool read_etag(struct sl_slice etag, uint64_t *out)
{
    *out = 0;
    if (etag.len < 5 || etag.len > 20 || !sl_slice_starts(etag, SL_LIT("W/\"")) || etag.ptr[etag.len - 1] != '"')
        return false;
    return sl_record_version((struct sl_slice){etag.ptr + 3, etag.len - 4}, out);
}

static bool read_url(struct sl_slice url, struct sl_record_write *write)
{
    const char *slash = url.len ? memchr(url.ptr, '/', url.len) : NULL;
    write->type = (struct sl_slice){url.ptr, slash ? (size_t)(slash - url.ptr) : url.len};
    if (slash)
        write->id = sl_slice_from(url, write->type.len + 1);
    return sl_r4_resource(write->type) && (write->change == SL_RECORD_CREATE ? !slash : sl_id_valid(write->id));
}

static enum sl_record_change change_of(struct sl_slice method)
{
    return sl_slice_eq(method, SL_LIT("POST"))     ? SL_RECORD_CREATE
           : sl_slice_eq(method, SL_LIT("PUT"))    ? SL_RECORD_UPDATE
           : sl_slice_eq(method, SL_LIT("DELETE")) ? SL_RECORD_DELETE
                                                   : SL_RECORD_NONE;
}

/* What is created under "urn:uuid:x" is x: whoever drew it can say what it meant before it is there. */
static enum sl_status name_new(struct transaction *t, struct sl_slice url, struct sl_slice *id)
{
    struct sl_slice drawn = SL_LIT("urn:uuid:");
    *id = sl_slice_starts(url, drawn) ? sl_slice_from(url, drawn.len) : (struct sl_slice){NULL, 0};
    return sl_id_valid(*id) ? SL_OK : sl_record_draw_id(t->arena, id);
}

static enum sl_status read_entry(struct transaction *t, size_t i)
{
    bool is_new = true;
    struct sl_record_write *write = &t->writes[i];
    uint32_t at = t->entries[i], request = member(&t->doc, at, SL_NAME_request);
    write->change = change_of(text_of(t, request, SL_NAME_method));
    if (write->change == SL_RECORD_NONE || !read_url(text_of(t, request, SL_NAME_url), write))
        return SL_INVALID;
    if (write->change == SL_RECORD_CREATE)
        SL_TRY(name_new(t, text_of(t, at, SL_NAME_fullUrl), &write->id));
    else if (!read_etag(text_of(t, request, SL_NAME_ifMatch), &write->expected))
        return SL_INVALID;
    t->resources[i] = member(&t->doc, at, SL_NAME_resource);
    if (!t->resources[i] != (write->change == SL_RECORD_DELETE))
        return SL_INVALID;
    struct sl_slice url = text_of(t, at, SL_NAME_fullUrl);
    struct sl_slice name = sl_arena_printf(t->arena, "%.*s/%.*s", SL_FMT(write->type), SL_FMT(write->id));
    if (!name.ptr)
        return SL_NO_MEMORY;
    if (url.len)
        SL_TRY(sl_text_map_put(&t->urls, url, name, &is_new));
    return is_new ? SL_OK : SL_INVALID;
}

static enum sl_status read_bundle(struct transaction *t, struct sl_slice text)
{
    enum sl_status status = sl_doc_parse(t->arena, text, NULL, &t->doc, NULL);
    if (status != SL_OK)
        return status == SL_NO_MEMORY ? status : SL_INVALID;
    uint32_t list = member(&t->doc, 0, SL_NAME_entry), at = list + 1;
    if (!list || t->doc.spans[list].type != SL_SPAN_ARRAY)
        return SL_INVALID;
    t->entries = sl_arena_array(t->arena, SL_RECORD_WRITES, sizeof *t->entries);
    t->resources = sl_arena_array(t->arena, SL_RECORD_WRITES, sizeof *t->resources);
    t->writes = sl_arena_array(t->arena, SL_RECORD_WRITES, sizeof *t->writes);
    if (!t->entries || !t->resources || !t->writes)
        return SL_NO_MEMORY;
    for (; at < t->doc.spans[list].next; at = t->doc.spans[at].next) {
        if (t->count == SL_RECORD_WRITES)
            return SL_INVALID;
        t->entries[t->count++] = at;
    }
    for (size_t i = 0; i < t->count; i++)
        SL_TRY(read_entry(t, i));
    return SL_OK;
}

/* ---- Rewriting ---- */

static struct sl_slice name_of(
    void *context, enum sl_link_form form, const struct sl_r4_element *element, struct sl_slice url)
{
    struct transaction *t = context;
    struct sl_slice *name = form == SL_LINK_CANONICAL ? NULL : sl_text_map_get(&t->urls, url);
    (void)element;
    return name ? *name : (struct sl_slice){NULL, 0};
}

static enum sl_status rewrite(struct transaction *t, size_t i)
{
    struct sl_doc doc;
    bool any;
    SL_TRY(sl_doc_parse(t->arena, sl_span_text(&t->doc, t->resources[i]), NULL, &doc, NULL));
    struct sl_edits *edits = sl_edits_new(t->arena, &doc);
    if (!edits)
        return SL_NO_MEMORY;
    SL_TRY(sl_relink(edits, &doc, t->arena, name_of, t, &any));
    return sl_record_gather(edits, t->arena, &t->writes[i].text);
}

/* ---- The response ---- */

static const char *status_of(enum sl_record_change change)
{
    return change == SL_RECORD_CREATE ? "201 Created" : change == SL_RECORD_UPDATE ? "200 OK" : "204 No Content";
}

static enum sl_status respond(const struct transaction *t, struct sl_slice *out)
{
    struct sl_blocks blocks = {.arena = t->arena};
    sl_blocks_add(&blocks, SL_LIT("{\"resourceType\":\"Bundle\",\"type\":\"transaction-response\",\"entry\":["));
    for (size_t i = 0; i < t->count; i++) {
        const struct sl_record_write *write = &t->writes[i];
        unsigned long long version = write->version;
        sl_blocks_add(&blocks, i ? SL_LIT(",") : SL_LIT(""));
        sl_blocks_add(&blocks, sl_arena_printf(t->arena,
                                   "{\"response\":{\"status\":\"%s\",\"location\":\"%.*s/%.*s/_history/"
                                   "%llu\",\"etag\":\"W/\\\"%llu\\\"\"}}",
                                   status_of(write->change), SL_FMT(write->type), SL_FMT(write->id), version, version));
    }
    sl_blocks_add(&blocks, SL_LIT("]}"));
    return sl_blocks_join(&blocks, t->arena, out);
}

enum sl_status sl_records_transaction(
    struct sl_records *records, struct sl_arena *arena, struct sl_slice bundle, int64_t now, struct sl_slice *out)
{
    struct transaction t = {.arena = arena, .urls = {.arena = arena}};
    SL_TRY(read_bundle(&t, bundle));
    for (size_t i = 0; i < t.count; i++)
        if (t.resources[i])
            SL_TRY(rewrite(&t, i));
    if (sl_arena_failed(arena))
        return SL_NO_MEMORY;
    SL_TRY(sl_records_write(records, t.writes, t.count, now));
    return respond(&t, out);
}
