/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transport over libcurl's multi interface on the worker's own loop, connections kept. The only file that includes
 * curl.h.
 */
#include <curl/curl.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "sluice/buffer.h"
#include "transport.h"

#define URL_LIMIT ((size_t)16 * 1024)
#define MAX_FIELDS 100u
#define MAX_FIELD_BYTES ((size_t)32 * 1024)
#define BODY_KEPT ((size_t)64 * 1024) /* of memory for bodies, each transfer keeps so much for its next question */

struct transfer {
    struct sl_transport *transport;
    struct sl_call *call; /* NULL: free */
    CURL *easy;
    struct curl_slist *headers; /* of this call alone */
    struct sl_header answers[MAX_FIELDS];
    size_t answer_count, answer_bytes;
    struct sl_buffer body;
    struct transfer *next; /* in the free list */
};

struct watched { /* one of curl's sockets */
    struct sl_transport *transport;
    struct event *event;
};

struct sl_transport {
    const struct sl_config *config;
    struct event_base *base;
    struct event *timer;
    CURLM *multi;
    struct curl_slist *headers;
    struct transfer *free;
};

/* ---- The answer ---- */

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    sl_buffer_add(&transfer->body, (struct sl_slice){bytes, size * count});
    return sl_buffer_failed(&transfer->body) ? 0 : size * count; /* 0 ends the transfer: too large */
}

static struct sl_slice trim(struct sl_slice text)
{
    while (text.len && strchr(" \t\r\n", text.ptr[0]))
        text = (struct sl_slice){text.ptr + 1, text.len - 1};
    while (text.len && strchr(" \t\r\n", text.ptr[text.len - 1]))
        text.len--;
    return text;
}

/* A status line begins them anew: what came before was an interim answer. */
static size_t take_header(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    struct sl_slice line = {bytes, size * count};
    const char *colon = memchr(line.ptr, ':', line.len);
    if (sl_slice_starts(line, SL_LIT("HTTP/")))
        transfer->answer_count = transfer->answer_bytes = 0;
    else if (colon) {
        transfer->answer_bytes += line.len;
        struct sl_slice copy = sl_arena_copy(transfer->call->arena, line);
        if (!copy.ptr || transfer->answer_count == MAX_FIELDS || transfer->answer_bytes > MAX_FIELD_BYTES)
            return 0; /* ends the transfer */
        size_t name = (size_t)(colon - bytes);
        transfer->answers[transfer->answer_count++] =
            (struct sl_header){trim((struct sl_slice){copy.ptr, name}), trim(sl_slice_from(copy, name + 1))};
    }
    return line.len;
}

static enum sl_status failed(struct sl_call *call, enum sl_status status, const char *why)
{
    call->why = why;
    return status;
}

static enum sl_status take_answer(struct transfer *transfer, CURLcode result)
{
    struct sl_call *call = transfer->call;
    long code = 0;
    if (sl_buffer_failed(&transfer->body))
        return failed(call, SL_LIMIT, "upstream-too-large");
    if (result == CURLE_OPERATION_TIMEDOUT)
        return failed(call, SL_UPSTREAM, "upstream-timeout");
    if (result != CURLE_OK)
        return failed(call, SL_UPSTREAM, "upstream-unreachable");
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &code);
    struct sl_header *answers = sl_arena_array(call->arena, transfer->answer_count + 1, sizeof *answers);
    call->text = sl_arena_raw(call->arena, transfer->body.len + 1, 1);
    if (!answers || !call->text)
        return failed(call, SL_NO_MEMORY, "memory");
    memcpy(answers, transfer->answers, transfer->answer_count * sizeof *answers);
    memcpy(call->text, transfer->body.ptr ? transfer->body.ptr : "", transfer->body.len);
    call->code = (int)code;
    call->answers = answers;
    call->answer_count = transfer->answer_count;
    call->len = transfer->body.len;
    return SL_OK;
}

static void release(struct transfer *transfer)
{
    struct sl_transport *transport = transfer->transport;
    curl_multi_remove_handle(transport->multi, transfer->easy);
    if (transfer->body.capacity > BODY_KEPT) {
        sl_buffer_fini(&transfer->body);
        sl_buffer_init(&transfer->body, (size_t)transport->config->upstream_body);
    }
    sl_buffer_clear(&transfer->body);
    curl_slist_free_all(transfer->headers);
    transfer->headers = NULL;
    transfer->call->work = NULL;
    transfer->call = NULL;
    transfer->next = transport->free;
    transport->free = transfer;
}

static void finish(struct transfer *transfer, CURLcode result)
{
    struct sl_call *call = transfer->call;
    call->status = take_answer(transfer, result);
    release(transfer);
    call->done(call);
}

/* What has ended. `finish` may send and cancel, so each message is read anew. */
static void collect(struct sl_transport *transport)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(transport->multi, &left));) {
        struct transfer *transfer = NULL;
        CURLcode result = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        finish(transfer, result);
    }
}

/* ---- curl on the loop ---- */

static void on_socket(evutil_socket_t fd, short what, void *context)
{
    struct sl_transport *transport = ((struct watched *)context)->transport;
    int running, mask = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
    curl_multi_socket_action(transport->multi, fd, mask, &running);
    collect(transport);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    struct sl_transport *transport = context;
    int running;
    (void)fd;
    (void)what;
    curl_multi_socket_action(transport->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(transport);
}

static int set_timer(CURLM *multi, long milliseconds, void *context)
{
    struct sl_transport *transport = context;
    (void)multi;
    if (milliseconds < 0)
        return evtimer_del(transport->timer);
    const struct timeval after = {milliseconds / 1000, milliseconds % 1000 * 1000};
    return evtimer_add(transport->timer, &after);
}

static void forget_socket(struct sl_transport *transport, curl_socket_t fd, struct watched *watched)
{
    if (!watched)
        return;
    event_free(watched->event);
    free(watched);
    curl_multi_assign(transport->multi, fd, NULL);
}

/* curl says what it waits for on a socket; the event is made anew, which is rare and simple. */
static int set_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *assigned)
{
    struct sl_transport *transport = context;
    (void)easy;
    forget_socket(transport, fd, assigned);
    if (what == CURL_POLL_REMOVE)
        return 0;
    struct watched *watched = calloc(1, sizeof *watched);
    short events = (short)(EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));
    if (watched) {
        watched->transport = transport;
        watched->event = event_new(transport->base, fd, events, on_socket, watched);
    }
    if (!watched || !watched->event || event_add(watched->event, NULL) != 0) {
        if (watched && watched->event)
            event_free(watched->event);
        free(watched);
        return -1;
    }
    curl_multi_assign(transport->multi, fd, watched);
    return 0;
}

/* ---- Sending ---- */

/* What is the same for every call of a transfer. */
static bool set_options(struct transfer *transfer)
{
    const struct sl_config *c = transfer->transport->config;
    CURL *easy = transfer->easy;
    CURLcode all = CURLE_OK;
#define SET(option, value) (all = all != CURLE_OK ? all : curl_easy_setopt(easy, option, value))
    SET(CURLOPT_PRIVATE, transfer);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, transfer);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, transfer);
    SET(CURLOPT_ACCEPT_ENCODING, "gzip");
    SET(CURLOPT_USERAGENT, "sluice");
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, ""); /* what the environment says about proxies is not our configuration */
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)c->upstream_connect_ms);
    SET(CURLOPT_TIMEOUT_MS, (long)c->upstream_total_ms);
    SET(CURLOPT_LOW_SPEED_LIMIT, 1024L);
    SET(CURLOPT_LOW_SPEED_TIME, (long)c->upstream_stall_s);
    if (c->upstream_ca.len)
        SET(CURLOPT_CAINFO, c->upstream_ca.ptr);
    return all == CURLE_OK;
}

static struct transfer *new_transfer(struct sl_transport *transport)
{
    struct transfer *transfer = transport->free;
    if (transfer) {
        transport->free = transfer->next;
        return transfer;
    }
    transfer = calloc(1, sizeof *transfer);
    if (!transfer)
        return NULL;
    transfer->transport = transport;
    transfer->easy = curl_easy_init();
    sl_buffer_init(&transfer->body, (size_t)transport->config->upstream_body);
    if (transfer->easy && set_options(transfer))
        return transfer;
    if (transfer->easy)
        curl_easy_cleanup(transfer->easy);
    free(transfer);
    return NULL;
}

static bool add_line(struct curl_slist **list, struct sl_slice name, struct sl_slice value)
{
    char line[20 * 1024];
    int len = snprintf(line, sizeof line, "%.*s: %.*s", SL_FMT(name), SL_FMT(value));
    struct curl_slist *longer = len > 0 && (size_t)len < sizeof line ? curl_slist_append(*list, line) : NULL;
    if (longer)
        *list = longer;
    return longer != NULL;
}

/* Those of every call first, then its own. */
static bool add_headers(struct transfer *transfer)
{
    const struct sl_call *call = transfer->call;
    for (const struct curl_slist *one = transfer->transport->headers; one; one = one->next) {
        struct curl_slist *longer = curl_slist_append(transfer->headers, one->data);
        if (!longer)
            return false;
        transfer->headers = longer;
    }
    for (size_t i = 0; i < call->header_count; i++)
        if (!add_line(&transfer->headers, call->headers[i].name, call->headers[i].value))
            return false;
    return true;
}

static const char *method_name(enum sl_method method)
{
    switch (method) {
    case SL_GET:
        return "GET";
    case SL_HEAD:
        return "HEAD";
    case SL_POST:
        return "POST";
    case SL_PUT:
        return "PUT";
    case SL_METHOD_PATCH:
        return "PATCH";
    case SL_METHOD_DELETE:
        return "DELETE";
    case SL_OPTIONS:
    case SL_METHOD_OTHER:
        break;
    }
    return NULL;
}

static bool set_call(struct transfer *transfer, struct sl_buffer *url)
{
    const struct sl_call *call = transfer->call;
    const char *method = method_name(call->method);
    CURL *easy = transfer->easy;
    sl_buffer_add(url, transfer->transport->config->upstream_url);
    sl_buffer_add(url, call->target);
    sl_buffer_add(url, (struct sl_slice){"", 1});
    if (!method || sl_buffer_failed(url) || !add_headers(transfer))
        return false;
    CURLcode all = curl_easy_setopt(easy, CURLOPT_URL, url->ptr);
    SET(CURLOPT_HTTPGET, 1L);
    SET(CURLOPT_NOBODY, call->method == SL_HEAD ? 1L : 0L);
    if (call->body.ptr) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDS, call->body.ptr);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
    }
    SET(CURLOPT_CUSTOMREQUEST, method);
    SET(CURLOPT_HTTPHEADER, transfer->headers);
    return all == CURLE_OK;
}
#undef SET

bool sl_transport_send(struct sl_transport *transport, struct sl_call *call)
{
    struct sl_buffer url;
    struct transfer *transfer = new_transfer(transport);
    call->status = SL_UPSTREAM;
    call->why = "upstream-question";
    if (!transfer)
        return false;
    sl_buffer_init(&url, URL_LIMIT);
    transfer->call = call;
    transfer->answer_count = transfer->answer_bytes = 0;
    call->work = transfer;
    bool sent = set_call(transfer, &url) && curl_multi_add_handle(transport->multi, transfer->easy) == CURLM_OK;
    if (!sent)
        release(transfer);
    sl_buffer_fini(&url);
    return sent;
}

void sl_transport_cancel(struct sl_transport *transport, struct sl_call *call)
{
    (void)transport;
    if (call->work)
        release(call->work);
}

struct sl_slice sl_call_answer(const struct sl_call *call, struct sl_slice name)
{
    for (size_t i = 0; i < call->answer_count; i++)
        if (call->answers[i].name.len == name.len && strncasecmp(call->answers[i].name.ptr, name.ptr, name.len) == 0)
            return call->answers[i].value;
    return (struct sl_slice){NULL, 0};
}

/* ---- Beginning and end ---- */

void sl_transport_free(struct sl_transport *transport)
{
    if (!transport)
        return;
    while (transport->free) {
        struct transfer *next = transport->free->next;
        curl_easy_cleanup(transport->free->easy);
        sl_buffer_fini(&transport->free->body);
        free(transport->free);
        transport->free = next;
    }
    if (transport->multi)
        curl_multi_cleanup(transport->multi); /* closes its connections, and so its sockets' events */
    if (transport->timer)
        event_free(transport->timer);
    curl_slist_free_all(transport->headers);
    free(transport);
}

static bool add_token(struct sl_transport *transport, struct sl_slice token)
{
    struct sl_buffer value;
    sl_buffer_init(&value, URL_LIMIT + 16);
    sl_buffer_printf(&value, "Bearer %.*s", SL_FMT(token));
    bool added =
        !sl_buffer_failed(&value) && add_line(&transport->headers, SL_LIT("Authorization"), sl_buffer_slice(&value));
    sl_buffer_fini(&value);
    return added;
}

static bool set_up(struct sl_transport *transport, struct sl_slice token)
{
    transport->multi = curl_multi_init();
    transport->timer = evtimer_new(transport->base, on_timer, transport);
    if (!transport->multi || !transport->timer ||
        !add_line(&transport->headers, SL_LIT("Accept"), SL_LIT("application/fhir+json")))
        return false;
    /* Servers answer a search from one of a minute ago otherwise. */
    if (!add_line(&transport->headers, SL_LIT("Cache-Control"), SL_LIT("no-cache")))
        return false;
    if (token.len && !add_token(transport, token))
        return false;
    long connections = (long)transport->config->upstream_connections;
    return curl_multi_setopt(transport->multi, CURLMOPT_SOCKETFUNCTION, set_socket) == CURLM_OK &&
           curl_multi_setopt(transport->multi, CURLMOPT_SOCKETDATA, transport) == CURLM_OK &&
           curl_multi_setopt(transport->multi, CURLMOPT_TIMERFUNCTION, set_timer) == CURLM_OK &&
           curl_multi_setopt(transport->multi, CURLMOPT_TIMERDATA, transport) == CURLM_OK &&
           curl_multi_setopt(transport->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections) == CURLM_OK &&
           curl_multi_setopt(transport->multi, CURLMOPT_MAXCONNECTS, connections) == CURLM_OK;
}

struct sl_transport *sl_transport_new(const struct sl_config *config, struct sl_slice token, struct event_base *base)
{
    struct sl_transport *transport = calloc(1, sizeof *transport);
    if (!transport)
        return NULL;
    transport->config = config;
    transport->base = base;
    if (!set_up(transport, token)) {
        sl_transport_free(transport);
        return NULL;
    }
    return transport;
}

void sl_transport_init(void)
{
    SL_ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}
