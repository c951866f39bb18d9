/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A FHIR R4 server as the upstream: which request an ask becomes, and what the answer to it means. How messages go and
 * come is transport.h's matter.
 *
 * Accepted is a 200 whose content type is JSON, whole, in time, within the limit; for a read also a 404 or 410 in JSON,
 * which is "not found" (in HTML it is somebody else's 404). Everything else is a failure of the upstream, and its body
 * goes nowhere.
 *
 * The server's own address is taken out of references, so that they are read as what they are. Where else it stands it
 * is noted: labels and policy read what the server says, and a client what it may see of it (address.h).
 */
#include <stdlib.h>
#include <strings.h>

#include "sluice/buffer.h"
#include "transport.h"
#include "upstream.h"

#define URL_LIMIT ((size_t)64 * 1024)
/* A longer search goes as POST _search: common servers and proxies take 8 KiB of request line and headers together. */
#define GET_LIMIT ((size_t)6 * 1024)

struct http {
    struct sl_upstream head;
    const struct sl_config *config;
    struct sl_transport *transport;
    struct sl_address *address;
    struct sl_buffer url; /* for one question at a time */
};

struct question { /* an ask under way; in its arena */
    struct http *http;
    struct sl_ask *ask;
    struct sl_call call;
};

/* ---- The question as a URL ---- */

/* Where the page before said that it goes on. */
static bool add_position(struct sl_buffer *url, const struct sl_ask *ask)
{
    if (!ask->position.len)
        return false;
    sl_buffer_add(url, ask->position.ptr[0] == '?' ? SL_LIT("") : SL_LIT("/"));
    sl_buffer_add(url, ask->position);
    return true;
}

static void add_page(struct sl_buffer *url, const struct sl_ask *ask)
{
    struct sl_slice query;
    struct sl_search search = *ask->search;
    search.cursor = search.total = search.summary = search.elements = (struct sl_slice){NULL, 0};
    search.count = ask->count;
    if (add_position(url, ask))
        return;
    if (sl_search_write(&search, ask->arena, &query) != SL_OK)
        url->failed = true;
    else
        sl_buffer_printf(url, "/%.*s?%.*s", SL_FMT(ask->type), SL_FMT(query));
}

static void add_ids(struct sl_buffer *url, const struct sl_ask *ask)
{
    if (add_position(url, ask))
        return;
    sl_buffer_printf(url, "/%.*s?_count=%zu&_id=", SL_FMT(ask->type), ask->id_count);
    for (size_t i = 0; i < ask->id_count; i++)
        sl_buffer_printf(url, "%s%.*s", i ? "," : "", SL_FMT(ask->ids[i]));
}

static void add_read(struct sl_buffer *url, const struct sl_ask *ask)
{
    sl_buffer_printf(url, "/%.*s/%.*s", SL_FMT(ask->type), SL_FMT(ask->id));
}

static void add_type(struct sl_buffer *url, const struct sl_ask *ask)
{
    sl_buffer_printf(url, "/%.*s", SL_FMT(ask->type));
}

static void add_nothing(struct sl_buffer *url, const struct sl_ask *ask)
{
    (void)url; /* a batch or transaction goes to the base itself */
    (void)ask;
}

static void add_version(struct sl_buffer *url, const struct sl_ask *ask)
{
    add_read(url, ask);
    sl_buffer_printf(url, "/_history/%.*s", SL_FMT(ask->version));
}

/* An instant is ours to escape: all but its sign stands for itself in a query. */
static void add_since(struct sl_buffer *url, struct sl_slice since)
{
    sl_buffer_add(url, SL_LIT("&_since="));
    for (size_t i = 0; i < since.len; i++)
        sl_buffer_add(url, since.ptr[i] == '+' ? SL_LIT("%2B") : (struct sl_slice){since.ptr + i, 1});
}

static void add_history(struct sl_buffer *url, const struct sl_ask *ask)
{
    if (ask->position.len) {
        sl_buffer_add(url, ask->position.ptr[0] == '?' ? SL_LIT("") : SL_LIT("/"));
        sl_buffer_add(url, ask->position);
        return;
    }
    if (ask->type.len)
        sl_buffer_printf(url, "/%.*s", SL_FMT(ask->type));
    if (ask->id.len)
        sl_buffer_printf(url, "/%.*s", SL_FMT(ask->id));
    sl_buffer_printf(url, "/_history?_count=%zu", ask->count);
    if (ask->since.len)
        add_since(url, ask->since);
}

static void (*const writers[SL_ASK_KINDS])(struct sl_buffer *url, const struct sl_ask *ask) = {
    [SL_ASK_READ] = add_read,
    [SL_ASK_PAGE] = add_page,
    [SL_ASK_IDS] = add_ids,
    [SL_ASK_CREATE] = add_type,
    [SL_ASK_UPDATE] = add_read,
    [SL_ASK_DELETE] = add_read,
    [SL_ASK_TRANSACTION] = add_nothing,
    [SL_ASK_VREAD] = add_version,
    [SL_ASK_HISTORY] = add_history,
    [SL_ASK_BATCH] = add_nothing,
};

/* What follows the base. Ids are FHIR ids and the query is written by search.c: nothing here needs escaping. */
static bool write_target(struct sl_buffer *url, const struct sl_ask *ask)
{
    sl_buffer_clear(url);
    if (!writers[ask->kind])
        return false;
    writers[ask->kind](url, ask);
    return !sl_buffer_failed(url);
}

/* A write: what it was made from is named, so that a later change of somebody else's is not undone. */
static bool add_write(const struct sl_ask *ask, struct sl_call *call)
{
    static const enum sl_method methods[SL_ASK_KINDS] = {[SL_ASK_CREATE] = SL_POST,
        [SL_ASK_UPDATE] = SL_PUT,
        [SL_ASK_DELETE] = SL_METHOD_DELETE,
        [SL_ASK_TRANSACTION] = SL_POST};
    struct sl_header *headers = sl_arena_array(ask->arena, 4, sizeof *headers);
    if (!headers)
        return false;
    call->headers = headers;
    call->method = methods[ask->kind];
    call->body = ask->body;
    if (ask->body.len) {
        headers[call->header_count++] = (struct sl_header){SL_LIT("Content-Type"), SL_LIT("application/fhir+json")};
        headers[call->header_count++] = (struct sl_header){SL_LIT("Prefer"), SL_LIT("return=minimal")};
        /* HAPI would keep the labels, profiles and tags that the new version lacks; others do not know the word. */
        headers[call->header_count++] =
            (struct sl_header){SL_LIT("X-Meta-Snapshot-Mode"), SL_LIT("TAG,PROFILE,SECURITY_LABEL")};
    }
    if (ask->version.len)
        headers[call->header_count++] =
            (struct sl_header){SL_LIT("If-Match"), sl_arena_printf(ask->arena, "W/\"%.*s\"", SL_FMT(ask->version))};
    return !sl_arena_failed(ask->arena);
}

/* A POST that changes nothing. */
static bool make_asking(const struct sl_ask *ask, struct sl_call *call, struct sl_slice type, struct sl_slice body)
{
    struct sl_header *header = sl_arena_alloc(ask->arena, sizeof *header);
    if (!header)
        return false;
    *header = (struct sl_header){SL_LIT("Content-Type"), type};
    call->method = SL_POST;
    call->asks = true;
    call->headers = header;
    call->header_count = 1;
    call->body = body;
    return body.ptr != NULL;
}

/* Several histories of one resource each, in one Bundle. */
static bool make_batch(struct http *http, const struct sl_ask *ask, struct sl_call *call)
{
    struct sl_buffer *body = &http->url;
    sl_buffer_clear(body);
    sl_buffer_add(body, SL_LIT("{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":["));
    for (size_t i = 0; i < ask->part_count; i++) {
        const struct sl_ask *part = &ask->parts[i];
        sl_buffer_printf(body, "%s{\"request\":{\"method\":\"GET\",\"url\":\"%.*s/%.*s/_history?_count=%zu\"}}",
            i ? "," : "", SL_FMT(part->type), SL_FMT(part->id), part->count);
    }
    sl_buffer_add(body, SL_LIT("]}"));
    return !sl_buffer_failed(body) &&
           make_asking(ask, call, SL_LIT("application/fhir+json"), sl_arena_copy(ask->arena, sl_buffer_slice(body)));
}

/* The same search by POST: "/Type?a=b" becomes "/Type/_search" with the body "a=b". */
static bool make_post(const struct sl_ask *ask, struct sl_call *call)
{
    const char *mark = memchr(call->target.ptr, '?', call->target.len);
    if (!mark || !make_asking(ask, call, SL_LIT("application/x-www-form-urlencoded"),
                     sl_slice_from(call->target, (size_t)(mark + 1 - call->target.ptr))))
        return false;
    call->target = sl_arena_printf(ask->arena, "/%.*s/_search", SL_FMT(ask->type));
    return call->target.ptr != NULL;
}

static bool make_call(struct http *http, const struct sl_ask *ask, struct sl_call *call)
{
    bool searches = (ask->kind == SL_ASK_PAGE || ask->kind == SL_ASK_IDS) && !ask->position.len;
    call->method = SL_GET;
    if (sl_ask_writes(ask->kind) && !add_write(ask, call))
        return false;
    if (ask->kind == SL_ASK_BATCH && !make_batch(http, ask, call))
        return false;
    if (!write_target(&http->url, ask))
        return false;
    call->target = sl_arena_copy(ask->arena, sl_buffer_slice(&http->url));
    if (!call->target.ptr)
        return false;
    return searches && call->target.len > GET_LIMIT ? make_post(ask, call) : true;
}

/* ---- The answer ---- */

static bool is_json(struct sl_slice type)
{
    static const struct sl_slice known[] = {{"application/fhir+json", 21}, {"application/json", 16}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char after = type.len > known[i].len ? type.ptr[known[i].len] : ';';
        if (type.len >= known[i].len && strncasecmp(type.ptr, known[i].ptr, known[i].len) == 0 &&
            (after == ';' || after == ' '))
            return true;
    }
    return false;
}

/* It has understood, and does not do that: no such parameter, no such type. */
static bool is_refusal(int code)
{
    return code == 400 || code == 403 || code == 404 || code == 405 || code == 422 || code == 501;
}

static const char *failed(struct sl_ask *ask, enum sl_status status, const char *why)
{
    ask->status = status;
    return why;
}

static const char *take_text(const struct http *http, struct sl_call *call, struct sl_ask *ask)
{
    bool full;
    size_t len = sl_address_take(http->address, call->text, call->len, ask->arena, &ask->places, &full);
    ask->address = http->address;
    ask->text = (struct sl_slice){call->text, len};
    return full ? failed(ask, SL_NO_MEMORY, "memory") : failed(ask, SL_OK, NULL);
}

/* Of a write: the body of the answer goes nowhere, unless it is a transaction's. */
static const char *judge_write(const struct http *http, struct sl_call *call, struct sl_ask *ask)
{
    bool changes = ask->kind != SL_ASK_CREATE; /* of what a transaction changes, too, one may be gone */
    bool lost = call->code == 409 || call->code == 412 || (changes && (call->code == 404 || call->code == 410));
    if (lost && ask->kind != SL_ASK_CREATE) /* nobody can be before a create: that is a refusal like others */
        return failed(ask, SL_EXISTS, NULL);
    if (call->code != 200 && call->code != 201 && call->code != 204 && call->code != 202)
        return failed(ask, SL_UPSTREAM, "upstream-status");
    if (ask->kind == SL_ASK_TRANSACTION) {
        if (call->code != 200 || !is_json(sl_call_answer(call, SL_LIT("Content-Type"))))
            return failed(ask, SL_UPSTREAM, "upstream-not-json");
        return take_text(http, call, ask);
    }
    if (ask->kind == SL_ASK_CREATE)
        ask->id = sl_upstream_located(sl_call_answer(call, SL_LIT("Location")), ask->type);
    ask->version = sl_upstream_version(sl_call_answer(call, SL_LIT("ETag")));
    return ask->id.len ? failed(ask, SL_OK, NULL) : failed(ask, SL_UPSTREAM, "upstream-no-location");
}

/* Says why it is no answer; NULL: it is one. */
static const char *judge(const struct http *http, struct sl_call *call, struct sl_ask *ask)
{
    if (call->status != SL_OK)
        return failed(ask, call->status, call->why);
    if (sl_ask_writes(ask->kind))
        return judge_write(http, call, ask);
    bool refusable = ask->kind == SL_ASK_PAGE || ask->kind == SL_ASK_BATCH;
    if ((refusable && is_refusal(call->code)) || sl_ask_has_no_history(ask, call->code))
        return failed(ask, SL_NOT_SUPPORTED, "upstream-refuses");
    if (!is_json(sl_call_answer(call, SL_LIT("Content-Type"))))
        return failed(ask, SL_UPSTREAM, "upstream-not-json");
    ask->gone = call->code == 410 && (ask->kind == SL_ASK_READ || ask->kind == SL_ASK_HISTORY);
    if (sl_ask_is_absent(ask, call->code))
        return failed(ask, SL_NOT_FOUND, NULL);
    if (call->code != 200)
        return failed(ask, SL_UPSTREAM, "upstream-status");
    ask->next_in_text = true;
    return take_text(http, call, ask);
}

static void answered(struct sl_call *call)
{
    struct question *question = call->context;
    struct sl_ask *ask = question->ask;
    ask->why = judge(question->http, call, ask);
    ask->work = NULL;
    ask->finished = true;
    ask->done(ask);
}

/* ---- Asking ---- */

static void ask_http(struct sl_upstream *upstream, struct sl_ask *ask)
{
    struct http *http = (struct http *)upstream;
    struct question *question = sl_arena_alloc(ask->arena, sizeof *question);
    ask->why = "upstream-question";
    ask->finished = true; /* unless it gets under way */
    if (!question)
        return;
    *question = (struct question){
        .http = http, .ask = ask, .call = {.arena = ask->arena, .done = answered, .context = question}};
    if (!make_call(http, ask, &question->call))
        return;
    ask->work = question;
    ask->finished = !sl_transport_send(http->transport, &question->call);
    if (ask->finished) {
        ask->work = NULL;
        ask->status = question->call.status;
        ask->why = question->call.why;
    }
}

static void cancel_http(struct sl_upstream *upstream, struct sl_ask *ask)
{
    struct question *question = ask->work;
    sl_transport_cancel(((struct http *)upstream)->transport, &question->call);
    ask->work = NULL;
}

static void free_http(struct sl_upstream *upstream)
{
    struct http *http = (struct http *)upstream;
    sl_transport_free(http->transport);
    sl_address_free(http->address);
    sl_buffer_fini(&http->url);
    free(http);
}

struct sl_upstream *sl_upstream_http_new(const struct sl_config *config, struct sl_slice token, struct event_base *base)
{
    static const struct sl_upstream_kind kind = {ask_http, cancel_http, free_http};
    struct http *http = calloc(1, sizeof *http);
    if (!http)
        return NULL;
    http->head.kind = &kind;
    http->config = config;
    sl_buffer_init(&http->url, URL_LIMIT);
    http->transport = sl_transport_new(config, token, base);
    if (!http->transport || sl_address_new(config, &http->address) != SL_OK) {
        free_http(&http->head);
        return NULL;
    }
    return &http->head;
}

void sl_upstream_http_init(void)
{
    sl_transport_init();
}
