/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A FHIR R4 server as the upstream: libcurl's multi interface on the worker's own loop, connections kept. The only file
 * that includes curl.h.
 *
 * Accepted is a 200 whose content type is JSON, whole, in time, within the limit; for a read also a 404 or 410 in JSON,
 * which is "not found" (in HTML it is somebody else's 404). Everything else is a failure of the upstream, and its body
 * goes nowhere. Redirects are not followed: they would lead somewhere nobody configured, with our token.
 *
 * The server's own address is taken out of every answer: a URL under its base becomes relative, wherever it stands. So
 * references and links are read as what they are, and do not tell a recipient the address. The base is upstream.url and
 * upstream.known-as, each also with the slashes escaped, as some servers write them.
 */
#include <curl/curl.h>
#include <event2/event.h>
#include <stdlib.h>
#include <strings.h>

#include "sluice/buffer.h"
#include "upstream.h"

#define URL_LIMIT ((size_t)16 * 1024)
#define BODY_KEPT ((size_t)64 * 1024) /* of memory for bodies, each transfer keeps so much for its next question */

struct http;

struct base {   /* of the server's URLs, as it stands in JSON text */
    char *text; /* "http://host/fhir", or the same with each slash escaped; ours to free */
    size_t len;
    struct sl_slice slash; /* what comes between the base and the rest, escaped alike */
};

#define BASES 4u

struct transfer {
    struct http *http;
    struct sl_ask *ask; /* NULL: free */
    CURL *easy;
    struct sl_buffer body;
    struct transfer *next; /* in the free list */
};

struct watched { /* one of curl's sockets */
    struct http *http;
    struct event *event;
};

struct http {
    struct sl_upstream head;
    const struct sl_config *config;
    struct event_base *base;
    struct event *timer;
    CURLM *multi;
    struct curl_slist *headers;
    struct base bases[BASES];
    size_t base_count;
    struct transfer *free;
};

/* ---- Text ---- */

/* How much of what begins with the base goes: "BASE/x" becomes "x", "BASE?x" becomes "?x". 0: a longer word that begins
 * alike, or the base alone, which is a name and leads to no record. */
static size_t prefix_len(struct sl_slice text, const struct base *base)
{
    struct sl_slice rest = sl_slice_from(text, base->len);
    if (sl_slice_starts(rest, base->slash))
        return base->len + base->slash.len;
    return sl_slice_starts(rest, SL_LIT("?")) ? base->len : 0;
}

/* Takes one base out of a text, in place. Gives the new length. */
static size_t make_relative(char *text, size_t len, const struct base *base)
{
    size_t to = 0, from = 0;
    while (from < len) {
        char *hit = memmem(text + from, len - from, base->text, base->len);
        size_t until = hit ? (size_t)(hit - text) : len;
        memmove(text + to, text + from, until - from);
        to += until - from;
        from = until;
        if (!hit)
            break;
        size_t gone = prefix_len((struct sl_slice){hit, len - from}, base), kept = gone ? 0 : base->len;
        memmove(text + to, text + from, kept);
        to += kept;
        from += gone + kept;
    }
    return to;
}

static bool add_base(struct http *http, struct sl_slice url, struct sl_slice slash)
{
    struct sl_buffer text;
    sl_buffer_init(&text, 2 * URL_LIMIT);
    for (size_t i = 0; i < url.len; i++)
        sl_buffer_add(&text, url.ptr[i] == '/' ? slash : (struct sl_slice){url.ptr + i, 1});
    char *copy = sl_buffer_failed(&text) ? NULL : malloc(text.len);
    if (copy) {
        memcpy(copy, text.ptr, text.len);
        http->bases[http->base_count++] = (struct base){copy, text.len, slash};
    }
    sl_buffer_fini(&text);
    return copy != NULL;
}

static bool add_bases(struct http *http)
{
    const struct sl_slice urls[] = {http->config->upstream_url, http->config->upstream_known_as};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
        if (urls[i].len && (!add_base(http, urls[i], SL_LIT("/")) || !add_base(http, urls[i], SL_LIT("\\/"))))
            return false;
    return true;
}

static bool is_json(const char *type)
{
    static const char *const known[] = {"application/fhir+json", "application/json"};
    for (size_t i = 0; type && i < 2; i++) {
        size_t len = strlen(known[i]);
        if (strncasecmp(type, known[i], len) == 0 && (type[len] == '\0' || type[len] == ';' || type[len] == ' '))
            return true;
    }
    return false;
}

/* ---- The question as a URL ---- */

static void add_page(struct sl_buffer *url, const struct sl_ask *ask)
{
    struct sl_slice query;
    struct sl_search search = *ask->search;
    search.cursor = search.total = search.summary = search.elements = (struct sl_slice){NULL, 0};
    search.count = ask->count;
    if (ask->position.len) {
        sl_buffer_add(url, ask->position.ptr[0] == '?' ? SL_LIT("") : SL_LIT("/"));
        sl_buffer_add(url, ask->position);
        return;
    }
    if (sl_search_write(&search, ask->arena, &query) != SL_OK)
        url->failed = true;
    else
        sl_buffer_printf(url, "/%.*s?%.*s", SL_FMT(ask->type), SL_FMT(query));
}

static void add_ids(struct sl_buffer *url, const struct sl_ask *ask)
{
    sl_buffer_printf(url, "/%.*s?_count=%zu&_id=", SL_FMT(ask->type), ask->id_count);
    for (size_t i = 0; i < ask->id_count; i++)
        sl_buffer_printf(url, "%s%.*s", i ? "," : "", SL_FMT(ask->ids[i]));
}

/* Ids are FHIR ids and the query is written by search.c: nothing here needs escaping. NUL-terminated. */
static bool write_url(const struct http *http, const struct sl_ask *ask, struct sl_buffer *url)
{
    sl_buffer_add(url, http->config->upstream_url);
    switch (ask->kind) {
    case SL_ASK_READ:
        sl_buffer_printf(url, "/%.*s/%.*s", SL_FMT(ask->type), SL_FMT(ask->id));
        break;
    case SL_ASK_PAGE:
        add_page(url, ask);
        break;
    case SL_ASK_IDS:
        add_ids(url, ask);
        break;
    case SL_ASK_NONE:
        return false;
    }
    sl_buffer_add(url, (struct sl_slice){"", 1});
    return !sl_buffer_failed(url);
}

/* ---- The answer ---- */

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    sl_buffer_add(&transfer->body, (struct sl_slice){bytes, size * count});
    return sl_buffer_failed(&transfer->body) ? 0 : size * count; /* 0 ends the transfer: too large */
}

/* It has understood, and does not do that: no such parameter, no such type. */
static bool is_refusal(long code)
{
    return code == 400 || code == 403 || code == 404 || code == 405 || code == 422 || code == 501;
}

static const char *judge(struct transfer *transfer, CURLcode result, enum sl_status *status)
{
    long code = 0;
    char *type = NULL;
    struct sl_ask *ask = transfer->ask;
    *status = SL_UPSTREAM;
    if (sl_buffer_failed(&transfer->body)) {
        *status = SL_LIMIT;
        return "upstream-too-large";
    }
    if (result == CURLE_OPERATION_TIMEDOUT)
        return "upstream-timeout";
    if (result != CURLE_OK)
        return "upstream-unreachable";
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &code);
    curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_TYPE, &type);
    if (ask->kind == SL_ASK_PAGE && is_refusal(code)) {
        *status = SL_NOT_SUPPORTED;
        return "upstream-refuses";
    }
    if (!is_json(type))
        return "upstream-not-json";
    if ((code == 404 || code == 410) && ask->kind == SL_ASK_READ) {
        *status = SL_NOT_FOUND;
        return NULL;
    }
    if (code != 200)
        return "upstream-status";
    char *text = sl_arena_raw(ask->arena, transfer->body.len + 1, 1);
    *status = text ? SL_OK : SL_NO_MEMORY;
    if (!text)
        return "memory";
    memcpy(text, transfer->body.ptr ? transfer->body.ptr : "", transfer->body.len);
    size_t len = transfer->body.len;
    for (size_t i = 0; i < transfer->http->base_count; i++)
        len = make_relative(text, len, &transfer->http->bases[i]);
    ask->text = (struct sl_slice){text, len};
    ask->next_in_text = true;
    return NULL;
}

static void release(struct transfer *transfer)
{
    struct http *http = transfer->http;
    curl_multi_remove_handle(http->multi, transfer->easy);
    if (transfer->body.capacity > BODY_KEPT) {
        sl_buffer_fini(&transfer->body);
        sl_buffer_init(&transfer->body, (size_t)http->config->upstream_body);
    }
    sl_buffer_clear(&transfer->body);
    transfer->ask->work = NULL;
    transfer->ask = NULL;
    transfer->next = http->free;
    http->free = transfer;
}

static void finish(struct transfer *transfer, CURLcode result)
{
    struct sl_ask *ask = transfer->ask;
    ask->why = judge(transfer, result, &ask->status);
    release(transfer);
    ask->finished = true;
    ask->done(ask);
}

/* What has ended. `finish` may ask and cancel, so each message is read anew. */
static void collect(struct http *http)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(http->multi, &left));) {
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
    struct http *http = ((struct watched *)context)->http;
    int running, mask = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
    curl_multi_socket_action(http->multi, fd, mask, &running);
    collect(http);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    struct http *http = context;
    int running;
    (void)fd;
    (void)what;
    curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(http);
}

static int set_timer(CURLM *multi, long milliseconds, void *context)
{
    struct http *http = context;
    (void)multi;
    if (milliseconds < 0)
        return evtimer_del(http->timer);
    const struct timeval after = {milliseconds / 1000, milliseconds % 1000 * 1000};
    return evtimer_add(http->timer, &after);
}

static void forget_socket(struct http *http, curl_socket_t fd, struct watched *watched)
{
    if (!watched)
        return;
    event_free(watched->event);
    free(watched);
    curl_multi_assign(http->multi, fd, NULL);
}

/* curl says what it waits for on a socket; the event is made anew, which is rare and simple. */
static int set_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *assigned)
{
    struct http *http = context;
    (void)easy;
    forget_socket(http, fd, assigned);
    if (what == CURL_POLL_REMOVE)
        return 0;
    struct watched *watched = calloc(1, sizeof *watched);
    short events = (short)(EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));
    if (watched) {
        watched->http = http;
        watched->event = event_new(http->base, fd, events, on_socket, watched);
    }
    if (!watched || !watched->event || event_add(watched->event, NULL) != 0) {
        if (watched && watched->event)
            event_free(watched->event);
        free(watched);
        return -1;
    }
    curl_multi_assign(http->multi, fd, watched);
    return 0;
}

/* ---- Asking ---- */

/* All but the URL: set once, since every question of a transfer is of the same kind. */
static bool set_options(struct transfer *transfer)
{
    const struct sl_config *c = transfer->http->config;
    CURL *easy = transfer->easy;
    CURLcode all = CURLE_OK;
#define SET(option, value) (all = all != CURLE_OK ? all : curl_easy_setopt(easy, option, value))
    SET(CURLOPT_PRIVATE, transfer);
    SET(CURLOPT_HTTPHEADER, transfer->http->headers);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, transfer);
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
#undef SET
    return all == CURLE_OK;
}

static struct transfer *new_transfer(struct http *http)
{
    struct transfer *transfer = http->free;
    if (transfer) {
        http->free = transfer->next;
        return transfer;
    }
    transfer = calloc(1, sizeof *transfer);
    if (!transfer)
        return NULL;
    transfer->http = http;
    transfer->easy = curl_easy_init();
    sl_buffer_init(&transfer->body, (size_t)http->config->upstream_body);
    if (transfer->easy && set_options(transfer))
        return transfer;
    if (transfer->easy)
        curl_easy_cleanup(transfer->easy);
    free(transfer);
    return NULL;
}

static void ask_http(struct sl_upstream *upstream, struct sl_ask *ask)
{
    struct http *http = (struct http *)upstream;
    struct sl_buffer url;
    struct transfer *transfer = new_transfer(http);
    sl_buffer_init(&url, URL_LIMIT);
    ask->why = "upstream-question";
    ask->finished = true; /* unless it gets under way */
    if (transfer) {
        transfer->ask = ask;
        ask->work = transfer;
        bool ready = write_url(http, ask, &url) && curl_easy_setopt(transfer->easy, CURLOPT_URL, url.ptr) == CURLE_OK;
        if (ready && curl_multi_add_handle(http->multi, transfer->easy) == CURLM_OK)
            ask->finished = false;
        else
            release(transfer);
    }
    sl_buffer_fini(&url);
}

static void cancel_http(struct sl_upstream *upstream, struct sl_ask *ask)
{
    (void)upstream;
    release(ask->work);
}

static void free_http(struct sl_upstream *upstream)
{
    struct http *http = (struct http *)upstream;
    while (http->free) {
        struct transfer *next = http->free->next;
        curl_easy_cleanup(http->free->easy);
        sl_buffer_fini(&http->free->body);
        free(http->free);
        http->free = next;
    }
    if (http->multi)
        curl_multi_cleanup(http->multi); /* closes its connections, and so its sockets' events */
    if (http->timer)
        event_free(http->timer);
    curl_slist_free_all(http->headers);
    for (size_t i = 0; i < http->base_count; i++)
        free(http->bases[i].text);
    free(http);
}

static bool add_header(struct http *http, const char *line)
{
    struct curl_slist *longer = curl_slist_append(http->headers, line);
    if (longer)
        http->headers = longer;
    return longer != NULL;
}

static bool set_up(struct http *http, struct sl_slice token)
{
    char line[20 * 1024];
    http->multi = curl_multi_init();
    http->timer = evtimer_new(http->base, on_timer, http);
    if (!http->multi || !http->timer || !add_bases(http) || !add_header(http, "Accept: application/fhir+json"))
        return false;
    if (!add_header(http, "Cache-Control: no-cache")) /* servers answer a search from one of a minute ago otherwise */
        return false;
    if (token.len) {
        int len = snprintf(line, sizeof line, "Authorization: Bearer %.*s", SL_FMT(token));
        if (len < 0 || (size_t)len >= sizeof line || !add_header(http, line))
            return false;
    }
    long connections = (long)http->config->upstream_connections;
    return curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, set_socket) == CURLM_OK &&
           curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http) == CURLM_OK &&
           curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, set_timer) == CURLM_OK &&
           curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http) == CURLM_OK &&
           curl_multi_setopt(http->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections) == CURLM_OK &&
           curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, connections) == CURLM_OK;
}

struct sl_upstream *sl_upstream_http_new(const struct sl_config *config, struct sl_slice token, struct event_base *base)
{
    static const struct sl_upstream_kind kind = {ask_http, cancel_http, free_http};
    struct http *http = calloc(1, sizeof *http);
    if (!http)
        return NULL;
    http->head.kind = &kind;
    http->config = config;
    http->base = base;
    if (!set_up(http, token)) {
        free_http(&http->head);
        return NULL;
    }
    return &http->head;
}

void sl_upstream_http_init(void)
{
    SL_ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}
