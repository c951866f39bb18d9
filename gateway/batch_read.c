/* SPDX-License-Identifier: Apache-2.0 */
/* From a Bundle to requests in memory: see batch.h. */
#include <stdio.h>
#include <time.h>

#include "batch.h"
#include "http1.h"
#include "sluice/content.h"
#include "sluice/validate.h"

struct reader {
    const struct sl_doc *doc;
    const struct sl_batch_context *context;
    struct sl_arena *arena;
};

/* A string member, unescaped; empty where there is none. */
static struct sl_slice member(const struct reader *r, uint32_t object, uint16_t name)
{
    uint32_t at = sl_span_member(r->doc, object, name);
    return at ? sl_span_string(r->doc, at, r->arena) : (struct sl_slice){NULL, 0};
}

static bool is_object(const struct reader *r, uint32_t at)
{
    return at && r->doc->spans[at].type == SL_SPAN_OBJECT;
}

/* ---- Headers ---- */

static void add_header(struct sl_batch_entry *entry, struct sl_slice name, struct sl_slice value)
{
    if (!value.len)
        return;
    SL_ASSERT(entry->request.header_count < SL_BATCH_HEADERS);
    entry->headers[entry->request.header_count++] = (struct sl_header){name, value};
}

/* An instant of FHIR as a date of HTTP (RFC 9110, 5.6.7), which knows whole seconds of UTC. What is no instant stays as
 * it is, for whoever reads the header. */
static struct sl_slice http_date(struct sl_slice instant, struct sl_arena *arena)
{
    int year, month, day, hour, minute, second, used = 0, zone_hour = 0, zone_minute = 0;
    char text[64], sign = '+', out[64];
    struct tm tm = {0};
    if (!sl_primitive_valid(SL_R4_instant, instant) || instant.len >= sizeof text)
        return instant;
    memcpy(text, instant.ptr, instant.len);
    text[instant.len] = '\0';
    if (sscanf(text, "%d-%d-%dT%d:%d:%d%n", &year, &month, &day, &hour, &minute, &second, &used) != 6)
        return instant;
    const char *zone = text + used;
    zone += strspn(zone, ".0123456789");
    if (*zone != 'Z' && sscanf(zone, "%c%d:%d", &sign, &zone_hour, &zone_minute) != 3)
        return instant;
    tm = (struct tm){.tm_year = year - 1900,
        .tm_mon = month - 1,
        .tm_mday = day,
        .tm_hour = hour,
        .tm_min = minute,
        .tm_sec = second};
    time_t offset = (time_t)(zone_hour * 3600 + zone_minute * 60) * (sign == '-' ? -1 : 1);
    time_t when = timegm(&tm) - offset;
    if (!gmtime_r(&when, &tm) || !strftime(out, sizeof out, "%a, %d %b %Y %H:%M:%S GMT", &tm))
        return instant;
    return sl_arena_copy(arena, sl_slice_of(out));
}

static void add_conditions(const struct reader *r, uint32_t request, struct sl_batch_entry *entry)
{
    add_header(entry, SL_LIT("If-Match"), member(r, request, SL_NAME_ifMatch));
    add_header(entry, SL_LIT("If-None-Match"), member(r, request, SL_NAME_ifNoneMatch));
    add_header(entry, SL_LIT("If-None-Exist"), member(r, request, SL_NAME_ifNoneExist));
    add_header(entry, SL_LIT("If-Modified-Since"), http_date(member(r, request, SL_NAME_ifModifiedSince), r->arena));
}

/* ---- Method and url ---- */

static enum sl_method method_of(struct sl_slice verb)
{
    static const struct {
        struct sl_slice word;
        enum sl_method method;
    } methods[] = {{{"GET", 3}, SL_GET}, {{"POST", 4}, SL_POST}, {{"PUT", 3}, SL_PUT}, {{"PATCH", 5}, SL_METHOD_PATCH},
        {{"DELETE", 6}, SL_METHOD_DELETE}};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (sl_slice_eq(verb, methods[i].word))
            return methods[i].method;
    return SL_METHOD_OTHER; /* HEAD and OPTIONS among them: an entry has no answer that they could have */
}

/* Relative to the base, with or without a slash before it. What would not have been let in as the target of a request
 * (a fragment, dots, odd escapes), and what is an absolute URL, leads nowhere. */
static enum sl_status set_target(const struct reader *r, struct sl_slice url, struct sl_request *request)
{
    bool slash = url.len && url.ptr[0] == '/';
    const char *mark = url.len ? memchr(url.ptr, '?', url.len) : NULL;
    struct sl_slice path = {url.ptr, mark ? (size_t)(mark - url.ptr) : url.len};
    bool absolute = path.len && memchr(path.ptr, ':', path.len);
    request->target =
        sl_arena_printf(r->arena, "%.*s%s%.*s", SL_FMT(r->context->base), slash || !path.len ? "" : "/", SL_FMT(url));
    if (!request->target.ptr)
        return SL_NO_MEMORY;
    if (absolute || sl_http1_split_target(request) != SL_OK) {
        request->path = SL_LIT("*");
        request->query = (struct sl_slice){NULL, 0};
    }
    return SL_OK;
}

/* ---- Bodies ---- */

/* A patch that is no resource comes as a Binary (http.html, 3.2.0.11.2): its bytes are the body. */
static void set_patch(const struct reader *r, struct sl_batch_entry *entry)
{
    struct sl_slice data = member(r, entry->resource, SL_NAME_data);
    struct sl_slice type = member(r, entry->resource, SL_NAME_contentType);
    if (!sl_content_decode(data, r->arena, &entry->request.body))
        entry->request.body = (struct sl_slice){NULL, 0}; /* no patch of any kind: refused as such */
    add_header(entry, SL_LIT("Content-Type"), type.len ? type : SL_LIT("application/octet-stream"));
}

static void set_body(const struct reader *r, uint32_t at, struct sl_batch_entry *entry)
{
    entry->resource = at;
    entry->request.has_body = true;
    if (entry->request.method == SL_METHOD_PATCH &&
        sl_slice_eq(member(r, at, SL_NAME_resourceType), SL_LIT("Binary"))) {
        set_patch(r, entry);
    } else {
        entry->request.body = sl_span_text(r->doc, at);
        add_header(entry, SL_LIT("Content-Type"), SL_LIT("application/fhir+json"));
    }
    entry->request.content_length = entry->request.body.len;
}

/* ---- Entries ---- */

static enum sl_status read_entry(const struct reader *r, uint32_t at, struct sl_batch_entry *entry)
{
    uint32_t request = is_object(r, at) ? sl_span_member(r->doc, at, SL_NAME_request) : 0;
    if (!is_object(r, request))
        return SL_BAD_SYNTAX;
    uint32_t resource = sl_span_member(r->doc, at, SL_NAME_resource);
    struct sl_slice verb = member(r, request, SL_NAME_method);
    entry->full_url = member(r, at, SL_NAME_fullUrl);
    entry->request = (struct sl_request){
        .method = method_of(verb), .method_text = verb, .headers = entry->headers, .keep_alive = true};
    SL_TRY(set_target(r, member(r, request, SL_NAME_url), &entry->request));
    add_header(entry, SL_LIT("Accept"), SL_LIT("application/fhir+json"));
    add_header(entry, SL_LIT("Prefer"), r->context->prefer);
    add_conditions(r, request, entry);
    if (resource && !is_object(r, resource))
        return SL_BAD_SYNTAX;
    if (resource)
        set_body(r, resource, entry);
    return SL_OK;
}

static enum sl_status read_kind(const struct reader *r, bool *transaction)
{
    if (r->doc->spans[0].type != SL_SPAN_OBJECT)
        return SL_BAD_SYNTAX;
    struct sl_slice type = member(r, 0, SL_NAME_type);
    *transaction = sl_slice_eq(type, SL_LIT("transaction"));
    bool bundle = sl_slice_eq(member(r, 0, SL_NAME_resourceType), SL_LIT("Bundle"));
    return bundle && (*transaction || sl_slice_eq(type, SL_LIT("batch"))) ? SL_OK : SL_BAD_SYNTAX;
}

static size_t count_items(const struct sl_doc *doc, uint32_t array)
{
    size_t count = 0;
    for (uint32_t c = array + 1; c < doc->spans[array].next; c = doc->spans[c].next)
        count++;
    return count;
}

enum sl_status sl_batch_read(const struct sl_doc *doc, const struct sl_batch_context *context, struct sl_arena *arena,
    struct sl_batch_bundle *out)
{
    const struct reader r = {doc, context, arena};
    *out = (struct sl_batch_bundle){0};
    SL_TRY(read_kind(&r, &out->transaction));
    uint32_t array = sl_span_member(doc, 0, SL_NAME_entry);
    if (!array)
        return SL_OK; /* nothing is asked, and nothing is answered */
    if (doc->spans[array].type != SL_SPAN_ARRAY)
        return SL_BAD_SYNTAX;
    out->count = count_items(doc, array);
    if (out->count > context->limit)
        return SL_TOO_LARGE;
    out->entries = sl_arena_array(arena, out->count + 1, sizeof *out->entries);
    if (!out->entries)
        return SL_NO_MEMORY;
    size_t i = 0;
    for (uint32_t c = array + 1; c < doc->spans[array].next; c = doc->spans[c].next)
        SL_TRY(read_entry(&r, c, &out->entries[i++]));
    return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}
