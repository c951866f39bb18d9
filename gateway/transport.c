/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to a server and their answers, in HTTP/1.1: see transport.h. A call waits for a lane, has it until its
 * answer is whole, and leaves it to the next.
 *
 *     send -> [waiting] -> on a lane: connect, TLS, question, first byte, the rest -> done
 *
 * Lanes are kept while the server keeps them. What a server that is ill would cost is bounded four times: each phase of
 * a call has its time, and the call as a whole; so many lanes and so many waiting calls, no more; after so many
 * failures nothing is sent to it for a while, and then one call tries; and a call is sent again only if that can do no
 * harm: a GET or HEAD, once, on a new lane, if a kept one was closed before a byte of the answer. What no server has
 * seen (its address refused the connection) goes to its next address, whatever it is. A change never goes on a kept
 * lane: whether the server has closed that already is not known until it is too late.
 */
#include "transport.h"

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>

#include "http1.h"
#include "inflate.h"
#include "link.h"
#include "loop.h"
#include "tls.h"

#define MAGIC 0x534c7472u
#define BUFFER ((size_t)128 * 1024)
#define HEAD_LIMIT ((size_t)64 * 1024)
#define ADDRESSES 8u
#define RESOLVED_MS 30000u /* how long an address is used before it is asked for again */
#define SWEEP_MS 50u
#define FLOOR 1024u /* bytes a second, over a while of upstream.stall-s */

struct address {
    struct sockaddr_storage at;
    socklen_t len;
};

/* A call on its way; in the call's arena. */
struct errand {
    struct sl_call *call;
    struct lane *lane; /* NULL: it waits */
    struct errand *next, **link;
    uint64_t by;         /* the end of its time */
    bool again;          /* it has been sent before: it wants a new lane, and is not sent a third time */
    bool probe;          /* the breaker waits for it */
    unsigned char tries; /* addresses that refused it */
};

enum phase { CONNECT, SECURE, FIRST, REST, KEPT };

/* What is said of a phase that takes too long. */
static const char *const late[] = {[CONNECT] = "upstream-connect-timeout",
    [SECURE] = "upstream-tls-timeout",
    [FIRST] = "upstream-timeout",
    [REST] = "upstream-stall",
    [KEPT] = NULL};

struct lane {
    struct sl_transport *transport;
    struct sl_link *link;
    struct errand *errand; /* NULL: it is kept for the next */
    struct lane *next, **place;
    struct sl_http1 reader;
    struct sl_buffer head; /* of the question */
    size_t address;
    enum phase phase;
    uint64_t by;      /* the end of this phase */
    size_t received;  /* bytes of the answer since `by` was set */
    uint64_t answers; /* that came on it so far */
};

/* Counts of a window of time. */
struct breaker {
    unsigned failures, successes;
    uint64_t window_by, open_until;
    bool open, probing;
};

struct sl_transport {
    uint32_t magic;
    const struct sl_config *config;
    struct event_base *base;
    struct sl_url url;
    char host[256];       /* as text with an end */
    struct sl_slice path; /* of the base URL; "" */
    struct sl_buffer fixed, scratch;
    struct sl_http1_limits limits;
    struct sl_tls_client *tls;
    char *buffer;
    struct event *kick, *sweep;
    struct evdns_base *dns;
    struct evdns_getaddrinfo_request *resolving;
    uint64_t resolve_by, resolved_until;
    bool unresolved; /* the last attempt gave no address */
    struct address addresses[ADDRESSES];
    size_t address_count, address; /* the one that answered last */
    struct lane *lanes, *kept;
    size_t lane_count;
    struct errand *first, **last;
    size_t waiting;
    struct breaker breaker;
};

static struct sl_transport *transport_of(void *context)
{
    struct sl_transport *transport = context;
    SL_ASSERT(transport && transport->magic == MAGIC);
    return transport;
}

static void kick(struct sl_transport *transport)
{
    static const struct timeval at_once = {0, 0};
    if (!event_pending(transport->kick, EV_TIMEOUT, NULL))
        SL_ASSERT(event_add(transport->kick, &at_once) == 0);
}

/* ---- The breaker ---- */

/* While it is open nothing passes, but for one call at a time once its time is over. */
static bool may_pass(struct sl_transport *transport, bool *probe)
{
    struct breaker *b = &transport->breaker;
    *probe = b->open && !b->probing && sl_loop_now() >= b->open_until;
    b->probing |= *probe;
    return !b->open || *probe;
}

static void note_failure(struct sl_transport *transport, uint64_t now)
{
    const struct sl_config *c = transport->config;
    struct breaker *b = &transport->breaker;
    b->failures++;
    if (b->open || (b->failures >= c->upstream_failures && b->failures > b->successes)) {
        b->open = true;
        b->open_until = now + c->upstream_pause_s * 1000;
        b->failures = b->successes = 0;
    }
}

static void note(struct sl_transport *transport, const struct errand *errand, bool good)
{
    struct breaker *b = &transport->breaker;
    uint64_t now = sl_loop_now();
    if (errand->probe)
        b->probing = false;
    if (now >= b->window_by) {
        b->failures = b->successes = 0;
        b->window_by = now + transport->config->upstream_window_s * 1000;
    }
    if (!good) {
        note_failure(transport, now);
        return;
    }
    b->successes++;
    b->open = false;
}

/* A server that answers is well, whatever it answers; but 502 to 504 are what is said in the place of one. */
static bool is_good(const struct sl_call *call)
{
    if (call->status == SL_UPSTREAM)
        return false;
    return call->status != SL_OK || call->code < 502 || call->code > 504;
}

/* ---- The queue ---- */

static void put_last(struct sl_transport *transport, struct errand *errand)
{
    errand->lane = NULL;
    errand->next = NULL;
    errand->link = transport->last;
    *transport->last = errand;
    transport->last = &errand->next;
    transport->waiting++;
}

static void put_first(struct sl_transport *transport, struct errand *errand)
{
    errand->lane = NULL;
    errand->next = transport->first;
    errand->link = &transport->first;
    if (errand->next)
        errand->next->link = &errand->next;
    else
        transport->last = &errand->next;
    transport->first = errand;
    transport->waiting++;
}

static void take_out(struct sl_transport *transport, struct errand *errand)
{
    *errand->link = errand->next;
    if (errand->next)
        errand->next->link = errand->link;
    else
        transport->last = errand->link;
    transport->waiting--;
}

/* ---- Lanes ---- */

static void link_lane(struct lane **list, struct lane *lane)
{
    lane->next = *list;
    lane->place = list;
    if (lane->next)
        lane->next->place = &lane->next;
    *list = lane;
}

static void unlink_lane(struct lane *lane)
{
    *lane->place = lane->next;
    if (lane->next)
        lane->next->place = lane->place;
}

static void free_lane(struct lane *lane)
{
    unlink_lane(lane);
    lane->transport->lane_count--;
    sl_link_free(lane->link);
    sl_buffer_fini(&lane->head);
    free(lane);
}

static void enter(struct lane *lane, enum phase phase)
{
    const struct sl_config *c = lane->transport->config;
    const uint64_t milliseconds[] = {[CONNECT] = c->upstream_connect_ms,
        [SECURE] = c->upstream_tls_ms,
        [FIRST] = c->upstream_first_ms,
        [REST] = c->upstream_stall_s * 1000,
        [KEPT] = c->upstream_idle_s * 1000};
    lane->phase = phase;
    lane->by = sl_loop_now() + milliseconds[phase];
    lane->received = 0;
}

/* The call is over; what is done of it may send and cancel others. */
static void finish(struct sl_transport *transport, struct errand *errand, enum sl_status status, const char *why)
{
    struct sl_call *call = errand->call;
    call->status = status;
    call->why = why;
    call->work = NULL;
    note(transport, errand, is_good(call));
    call->done(call);
}

static bool is_safe(const struct sl_call *call)
{
    return call->method == SL_GET || call->method == SL_HEAD;
}

static bool takes_kept(const struct errand *errand)
{
    return is_safe(errand->call) && !errand->again;
}

/* The lane is lost. Its call, if it has one, is tried once more where that can do no harm. */
static void lose(struct lane *lane, const char *why)
{
    struct sl_transport *transport = lane->transport;
    struct errand *errand = lane->errand;
    bool refused = errand && lane->phase <= SECURE && errand->tries + 1u < transport->address_count;
    bool stale = errand && lane->phase == FIRST && lane->answers && takes_kept(errand);
    if (lane->phase <= SECURE && transport->address_count)
        transport->address = (lane->address + 1) % transport->address_count;
    free_lane(lane);
    kick(transport);
    if (refused || stale) {
        errand->tries += refused;
        errand->again |= stale;
        put_first(transport, errand);
    } else if (errand) {
        finish(transport, errand, SL_UPSTREAM, why ? why : "upstream-unreachable");
    }
}

static bool write_question(struct sl_transport *transport, const struct sl_call *call, struct sl_buffer *out)
{
    const struct sl_http1_question question = {.method = call->method,
        .base = transport->path,
        .target = call->target,
        .fixed = sl_buffer_slice(&transport->fixed),
        .headers = call->headers,
        .header_count = call->header_count,
        .body = call->body};
    sl_buffer_clear(out);
    return sl_http1_write_question(out, &question);
}

/* The question is in lane->head. */
static void put_on(struct lane *lane, struct errand *errand)
{
    struct sl_call *call = errand->call;
    lane->errand = errand;
    errand->lane = lane;
    sl_http1_expect(&lane->reader, &lane->transport->limits, call->arena, call->method == SL_HEAD);
    enter(lane, FIRST);
    sl_link_send(lane->link, sl_buffer_slice(&lane->head), call->body);
}

static void ask_on(struct lane *lane, struct errand *errand)
{
    SL_ASSERT(write_question(lane->transport, errand->call, &lane->head)); /* it was tried when the call was made */
    put_on(lane, errand);
}

/* ---- Answers ---- */

static enum sl_status take_reply(struct lane *lane, const char **why)
{
    struct sl_call *call = lane->errand->call;
    const struct sl_reply *reply = lane->reader.reply;
    struct sl_slice coding = sl_headers_find(reply->headers, reply->header_count, SL_LIT("Content-Encoding"));
    call->code = reply->code;
    call->answers = reply->headers;
    call->answer_count = reply->header_count;
    call->text = (char *)(uintptr_t)reply->body.ptr; /* the reader's arena is the call's */
    call->len = reply->body.len;
    *why = NULL;
    if (!coding.len || sl_http1_has_token(coding, SL_LIT("identity")))
        return SL_OK;
    enum sl_status status = SL_UPSTREAM;
    if (sl_http1_has_token(coding, SL_LIT("gzip")) || sl_http1_has_token(coding, SL_LIT("x-gzip")))
        status = sl_inflate(reply->body, (size_t)transport_of(lane->transport)->config->upstream_body, call->arena,
            &call->text, &call->len);
    *why = status == SL_LIMIT ? "upstream-too-large" : status == SL_NO_MEMORY ? "memory" : "upstream-coding";
    if (status == SL_OK)
        *why = NULL;
    return status;
}

/* The next call gets the lane before this one's end is told: whoever hears of it may ask anew. */
static void keep(struct lane *lane)
{
    struct sl_transport *transport = lane->transport;
    lane->errand = NULL;
    lane->answers++;
    unlink_lane(lane);
    link_lane(&transport->kept, lane);
    enter(lane, KEPT);
    if (transport->first)
        kick(transport);
}

static void answer(struct lane *lane, bool clean)
{
    const char *why;
    struct sl_transport *transport = lane->transport;
    struct errand *errand = lane->errand;
    enum sl_status status = take_reply(lane, &why);
    bool kept = clean && lane->reader.reply->keep_alive && status == SL_OK;
    transport->address = lane->address;
    if (kept) {
        keep(lane);
    } else {
        free_lane(lane);
        kick(transport);
    }
    finish(transport, errand, status, why);
}

/* The answer is no HTTP, or too large: the lane goes with it. */
static void refuse(struct lane *lane)
{
    struct sl_transport *transport = lane->transport;
    struct errand *errand = lane->errand;
    enum sl_status status = lane->reader.status;
    free_lane(lane);
    kick(transport);
    if (status == SL_TOO_LARGE)
        finish(transport, errand, SL_LIMIT, "upstream-too-large");
    else if (status == SL_NO_MEMORY)
        finish(transport, errand, SL_NO_MEMORY, "memory");
    else
        finish(transport, errand, SL_UPSTREAM, "upstream-malformed");
}

/* Bytes that nobody has asked for, or more than the answer: what they belong to cannot be known, and the lane goes. */
static void on_received(void *context, struct sl_slice bytes)
{
    struct lane *lane = context;
    size_t used;
    if (!lane->errand) {
        free_lane(lane);
        return;
    }
    if (lane->phase != REST)
        enter(lane, REST);
    lane->received += bytes.len;
    enum sl_http1_event event = sl_http1_feed(&lane->reader, bytes, &used);
    if (event == SL_HTTP1_DONE)
        answer(lane, used == bytes.len);
    else if (event == SL_HTTP1_BAD)
        refuse(lane);
}

static void on_closed(void *context, const char *why)
{
    struct lane *lane = context;
    if (!lane->errand)
        free_lane(lane);
    else if (!why && lane->phase == REST && sl_http1_end(&lane->reader) == SL_HTTP1_DONE)
        answer(lane, false);
    else
        lose(lane, why);
}

static void on_opened(void *context)
{
    struct lane *lane = context;
    struct errand *errand = lane->errand;
    if (errand)
        ask_on(lane, errand);
}

static const struct sl_link_user lane_user = {on_opened, on_received, on_closed};

/* ---- Addresses ---- */

/* Those that wait now; whoever hears of it may ask anew. */
static void fail_waiting(struct sl_transport *transport, const char *why)
{
    for (size_t count = transport->waiting; count && transport->first; count--) {
        struct errand *errand = transport->first;
        take_out(transport, errand);
        finish(transport, errand, SL_UPSTREAM, why);
    }
}

static void take_addresses(struct sl_transport *transport, const struct evutil_addrinfo *one)
{
    transport->address_count = transport->address = 0;
    for (; one && transport->address_count < ADDRESSES; one = one->ai_next) {
        struct address *address = &transport->addresses[transport->address_count];
        if (one->ai_addrlen > sizeof address->at)
            continue;
        memcpy(&address->at, one->ai_addr, one->ai_addrlen);
        address->len = one->ai_addrlen;
        transport->address_count++;
    }
}

/* An attempt is over. */
static void settle(struct sl_transport *transport)
{
    transport->resolving = NULL;
    transport->resolve_by = 0;
    transport->unresolved = !transport->address_count;
    transport->resolved_until = transport->unresolved ? 0 : sl_loop_now() + RESOLVED_MS;
    kick(transport);
}

/* May be called from within evdns_getaddrinfo. Addresses that were good stay, if there are no others. */
static void on_resolved(int result, struct evutil_addrinfo *found, void *context)
{
    if (result == EVUTIL_EAI_CANCEL)
        return;
    struct sl_transport *transport = transport_of(context);
    if (result == 0)
        take_addresses(transport, found);
    if (found)
        evutil_freeaddrinfo(found);
    settle(transport);
}

static bool resolve(struct sl_transport *transport)
{
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    char port[8];
    if (!transport->dns)
        transport->dns =
            evdns_base_new(transport->base, EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (!transport->dns)
        return false;
    snprintf(port, sizeof port, "%u", transport->url.port);
    transport->resolve_by = sl_loop_now() + transport->config->upstream_resolve_ms;
    struct evdns_getaddrinfo_request *request =
        evdns_getaddrinfo(transport->dns, transport->host, port, &hints, on_resolved, transport);
    if (transport->resolve_by) /* else it has been answered already, from the hosts file */
        transport->resolving = request;
    return true;
}

static bool read_numeric(struct sl_transport *transport)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(transport->url.port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(transport->url.port)};
    struct address *address = &transport->addresses[0];
    if (inet_pton(AF_INET, transport->host, &v4.sin_addr) == 1)
        memcpy(&address->at, &v4, address->len = sizeof v4);
    else if (inet_pton(AF_INET6, transport->host, &v6.sin6_addr) == 1)
        memcpy(&address->at, &v6, address->len = sizeof v6);
    else
        return false;
    transport->address_count = 1;
    transport->resolved_until = UINT64_MAX;
    return true;
}

/* Is there an address? One that is old serves while another is asked for. */
static bool have_address(struct sl_transport *transport)
{
    if (sl_loop_now() >= transport->resolved_until && !transport->resolve_by && !resolve(transport))
        settle(transport);
    return transport->address_count > 0;
}

/* ---- Giving lanes to calls ---- */

static struct lane *new_lane(struct sl_transport *transport)
{
    const struct address *address = &transport->addresses[transport->address];
    struct lane *lane = calloc(1, sizeof *lane);
    if (!lane)
        return NULL;
    const struct sl_link_options options = {.base = transport->base,
        .tls = transport->tls,
        .host = transport->host,
        .address = (const struct sockaddr *)&address->at,
        .address_len = address->len,
        .buffer = {transport->buffer, BUFFER},
        .user = &lane_user,
        .context = lane};
    lane->transport = transport;
    lane->address = transport->address;
    sl_buffer_init(&lane->head, HEAD_LIMIT);
    lane->link = sl_link_new(&options);
    if (!lane->link) {
        free(lane);
        return NULL;
    }
    transport->lane_count++;
    link_lane(&transport->lanes, lane);
    enter(lane, CONNECT);
    return lane;
}

static struct lane *take_kept(struct sl_transport *transport)
{
    struct lane *lane = transport->kept;
    unlink_lane(lane);
    link_lane(&transport->lanes, lane);
    return lane;
}

/* Room for one more, if need be in the place of one that is kept. */
static bool make_room(struct sl_transport *transport)
{
    if (transport->lane_count >= transport->config->upstream_connections && transport->kept)
        free_lane(transport->kept);
    return transport->lane_count < transport->config->upstream_connections;
}

/* False: it has to wait. */
static bool serve_first(struct sl_transport *transport)
{
    struct errand *errand = transport->first;
    if (takes_kept(errand) && transport->kept) {
        take_out(transport, errand);
        ask_on(take_kept(transport), errand);
        return true;
    }
    if (!have_address(transport) || !transport->first || !make_room(transport))
        return false;
    struct lane *lane = new_lane(transport);
    take_out(transport, errand);
    if (!lane) {
        finish(transport, errand, SL_UPSTREAM, "upstream-connect");
        return true;
    }
    lane->errand = errand;
    errand->lane = lane;
    return true;
}

static void on_kick(evutil_socket_t fd, short what, void *context)
{
    struct sl_transport *transport = transport_of(context);
    (void)fd;
    (void)what;
    if (transport->unresolved)
        fail_waiting(transport, "upstream-resolve");
    transport->unresolved = false;
    while (transport->first && serve_first(transport))
        ;
}

/* ---- Deadlines ---- */

/* An answer that comes in drops is given up, though each drop comes in time. */
static bool keeps_pace(struct lane *lane)
{
    return lane->phase == REST && lane->received >= FLOOR * lane->transport->config->upstream_stall_s;
}

/* True: the lane is gone, and others may be. */
static bool sweep_lane(struct lane *lane, uint64_t now)
{
    bool whole = now >= lane->errand->by;
    if (lane->phase == CONNECT && sl_link_phase(lane->link) == SL_LINK_SECURING)
        enter(lane, SECURE);
    if (!whole && now < lane->by)
        return false;
    if (!whole && keeps_pace(lane)) {
        enter(lane, REST);
        return false;
    }
    lose(lane, whole ? "upstream-timeout" : late[lane->phase]);
    return true;
}

static bool sweep_lanes(struct sl_transport *transport, uint64_t now)
{
    for (struct lane *lane = transport->lanes; lane; lane = lane->next)
        if (sweep_lane(lane, now))
            return true;
    return false;
}

static void sweep_waiting(struct sl_transport *transport, uint64_t now)
{
    for (struct errand *errand = transport->first; errand;) {
        if (now < errand->by) {
            errand = errand->next;
            continue;
        }
        take_out(transport, errand);
        finish(transport, errand, SL_UPSTREAM, "upstream-timeout");
        errand = transport->first; /* the list may be another now */
    }
}

static void on_sweep(evutil_socket_t fd, short what, void *context)
{
    struct sl_transport *transport = transport_of(context);
    uint64_t now = sl_loop_now();
    (void)fd;
    (void)what;
    while (sweep_lanes(transport, now))
        ;
    sweep_waiting(transport, now);
    for (struct lane *lane = transport->kept, *next; lane; lane = next) {
        next = lane->next;
        if (now >= lane->by)
            free_lane(lane);
    }
    if (transport->resolving && now >= transport->resolve_by) {
        evdns_getaddrinfo_cancel(transport->resolving);
        settle(transport);
    }
}

/* ---- Sending ---- */

static bool fail(struct sl_call *call, const char *why)
{
    call->status = SL_UPSTREAM;
    call->why = why;
    call->work = NULL;
    return false;
}

bool sl_transport_send(struct sl_transport *transport, struct sl_call *call)
{
    bool probe, at_once = transport->kept && !transport->first && is_safe(call);
    struct errand *errand = sl_arena_alloc(call->arena, sizeof *errand);
    if (!errand)
        return fail(call, "memory");
    if (!write_question(transport, call, at_once ? &transport->kept->head : &transport->scratch))
        return fail(call, "upstream-question");
    if (!at_once && transport->waiting >= transport->config->upstream_queue)
        return fail(call, "upstream-busy");
    if (!may_pass(transport, &probe))
        return fail(call, "upstream-paused");
    *errand = (struct errand){.call = call, .probe = probe, .by = sl_loop_now() + transport->config->upstream_total_ms};
    call->work = errand;
    if (at_once) {
        put_on(take_kept(transport), errand);
        return true;
    }
    put_last(transport, errand);
    kick(transport);
    return true;
}

void sl_transport_cancel(struct sl_transport *transport, struct sl_call *call)
{
    struct errand *errand = call->work;
    if (!errand)
        return;
    call->work = NULL;
    if (errand->probe)
        transport->breaker.probing = false;
    if (!errand->lane) {
        take_out(transport, errand);
        return;
    }
    free_lane(errand->lane);
    kick(transport);
}

struct sl_slice sl_call_answer(const struct sl_call *call, struct sl_slice name)
{
    return sl_headers_find(call->answers, call->answer_count, name);
}

/* ---- Beginning and end ---- */

/* The fields of every question. Servers answer a search from one of a minute ago unless told no-cache. */
static bool write_fixed(struct sl_transport *transport, struct sl_slice token)
{
    struct sl_buffer *out = &transport->fixed;
    bool six = strchr(transport->host, ':') != NULL;
    sl_buffer_printf(out, "Host: %s%s%s", six ? "[" : "", transport->host, six ? "]" : "");
    if (transport->url.port != (transport->url.secure ? 443 : 80))
        sl_buffer_printf(out, ":%u", transport->url.port);
    sl_buffer_printf(out, "\r\nUser-Agent: sluice\r\nAccept: application/fhir+json\r\nAccept-Encoding: identity\r\n"
                          "Cache-Control: no-cache\r\n");
    if (token.len)
        sl_buffer_printf(out, "Authorization: Bearer %.*s\r\n", SL_FMT(token));
    return !sl_buffer_failed(out);
}

static bool set_up(struct sl_transport *transport, struct sl_slice token)
{
    static const struct timeval often = {0, SWEEP_MS * 1000};
    const struct sl_config *c = transport->config;
    if (!sl_config_url(c->upstream_url, &transport->url) || transport->url.host.len >= sizeof transport->host)
        return false;
    memcpy(transport->host, transport->url.host.ptr, transport->url.host.len);
    transport->path = transport->url.path;
    transport->limits =
        (struct sl_http1_limits){.line = 8192, .headers = HEAD_LIMIT, .fields = 200, .body = c->upstream_body};
    transport->buffer = malloc(BUFFER);
    transport->kick = evtimer_new(transport->base, on_kick, transport);
    transport->sweep = event_new(transport->base, -1, EV_PERSIST, on_sweep, transport);
    if (transport->url.secure)
        transport->tls = sl_tls_client_new(c->upstream_ca.len ? c->upstream_ca.ptr : NULL);
    if (transport->url.secure && !transport->tls)
        return false;
    (void)read_numeric(transport);
    return transport->buffer && transport->kick && transport->sweep && event_add(transport->sweep, &often) == 0 &&
           write_fixed(transport, token);
}

struct sl_transport *sl_transport_new(const struct sl_config *config, struct sl_slice token, struct event_base *base)
{
    struct sl_transport *transport = calloc(1, sizeof *transport);
    if (!transport)
        return NULL;
    transport->magic = MAGIC;
    transport->config = config;
    transport->base = base;
    transport->last = &transport->first;
    sl_buffer_init(&transport->fixed, HEAD_LIMIT);
    sl_buffer_init(&transport->scratch, HEAD_LIMIT);
    if (!set_up(transport, token)) {
        sl_transport_free(transport);
        return NULL;
    }
    return transport;
}

/* Calls that are still under way are nobody's any more. */
void sl_transport_free(struct sl_transport *transport)
{
    if (!transport)
        return;
    while (transport->lanes)
        free_lane(transport->lanes);
    while (transport->kept)
        free_lane(transport->kept);
    if (transport->resolving)
        evdns_getaddrinfo_cancel(transport->resolving);
    if (transport->dns)
        evdns_base_free(transport->dns, 1);
    if (transport->kick)
        event_free(transport->kick);
    if (transport->sweep)
        event_free(transport->sweep);
    sl_tls_client_free(transport->tls);
    sl_buffer_fini(&transport->fixed);
    sl_buffer_fini(&transport->scratch);
    free(transport->buffer);
    transport->magic = 0;
    free(transport);
}

void sl_transport_init(void)
{
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to sockets without MSG_NOSIGNAL */
}
