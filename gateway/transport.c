/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to a server and their answers: see transport.h. A call waits for a lane, has it until its answer is whole,
 * and leaves it to the next.
 *
 *     send -> [waiting] -> on a lane: connect, TLS, question, first byte, the rest -> done
 *
 * In HTTP/1.1 a lane is a connection, and is kept while the server keeps it. Where the server chooses HTTP/2 the
 * connection becomes a trunk, and a lane is one stream of it; deadlines, limits, queue, breaker and retries are those
 * of lanes and calls, and so the same. One trunk serves all calls, as many at a time as the server allows and we do.
 *
 * What a server that is ill would cost is bounded four times: each phase of
 * a call has its time, and the call as a whole; so many lanes and so many waiting calls, no more; after so many
 * failures nothing is sent to it for a while, and then one call tries; and a call is sent again only if that can do no
 * harm: a GET or HEAD, once, on a new lane, if a kept one was closed before a byte of the answer. What no server has
 * seen (its address refused the connection) goes to its next address, whatever it is; and what it says in HTTP/2 that
 * it has not processed goes once more, whatever it is. A change never goes on a kept connection of HTTP/1.1: whether
 * the server has closed that already is not known until it is too late. It goes on a trunk on which the server has just
 * been heard, or answers a ping first.
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
#include "http2.h"
#include "inflate.h"
#include "link.h"
#include "loop.h"
#include "tls.h"

#define MAGIC 0x534c7472u
#define BUFFER ((size_t)128 * 1024)
#define HEAD_LIMIT ((size_t)64 * 1024)
#define ADDRESSES 8u
#define FIXED 6u
#define RESOLVED_MS 30000u /* how long an address is used before it is asked for again */
#define SWEEP_MS 50u
#define LIVELY_MS 250u /* how long a change trusts what was heard on a trunk */
#define FLOOR 1024u    /* bytes a second, over a while of upstream.stall-s */

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
    bool http1;          /* the server wants HTTP/1.1 for it: a connection that offers nothing else */
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

/* A connection that speaks HTTP/2. */
struct trunk {
    struct sl_transport *transport;
    struct sl_link *link;
    struct sl_http2 *http2;
    struct sl_buffer out;
    struct trunk *next, **place;
    size_t address, lanes;
    uint64_t answers;   /* that came on it so far */
    uint64_t heard, by; /* when bytes came; the end of its time without a lane */
    uint64_t pong_by;   /* a change waits for a sign of life until then; 0: none does */
    bool over;          /* nothing more is asked on it */
    bool inside;        /* what has come is being told: what is asked meanwhile is sent after it */
};

struct lane {
    struct sl_transport *transport;
    struct sl_link *link;          /* NULL: it is a stream of a trunk */
    struct trunk *trunk;           /* NULL: it is a connection, or about to be one */
    struct sl_http2_stream stream; /* of the trunk */
    struct errand *errand;         /* NULL: it is kept for the next */
    struct lane *next, **place;
    struct sl_http1 reader;
    struct sl_buffer head; /* of the question */
    size_t address;
    enum phase phase;
    uint64_t by;      /* the end of this phase */
    size_t received;  /* bytes of the answer since `by` was set */
    size_t counted;   /* of the stream's */
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
    char host[256];                  /* as text with an end */
    struct sl_slice path;            /* of the base URL; "" */
    struct sl_buffer fixed, scratch; /* the fields of every question, as they stand in HTTP/1.1 */
    struct sl_buffer authority, token;
    struct sl_header fields[FIXED]; /* the same, Host first */
    size_t field_count;
    struct sl_http1_limits limits;
    struct sl_tls_client *tls, *tls_http1; /* the latter offers HTTP/1.1 alone; NULL: so does the other */
    char *buffer;
    struct event *kick, *sweep;
    struct evdns_base *dns;
    struct evdns_getaddrinfo_request *resolving;
    uint64_t resolve_by, resolved_until;
    bool unresolved; /* the last attempt gave no address */
    struct address addresses[ADDRESSES];
    size_t address_count, address; /* the one that answered last */
    struct lane *lanes, *kept;
    struct trunk *trunks;
    size_t lane_count, opening; /* lanes; those of them that are not connected yet */
    bool one_for_all;           /* the next connection is likely to be a trunk: others wait for it */
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

/* Sends what there is to send. Streams may end by it: they are told later. */
static void pump(struct trunk *trunk)
{
    while (!trunk->inside && sl_link_is_idle(trunk->link) && sl_http2_output(trunk->http2, &trunk->out))
        sl_link_send(trunk->link, sl_buffer_slice(&trunk->out), (struct sl_slice){NULL, 0});
    trunk->over |= sl_http2_is_leaving(trunk->http2);
    if (!trunk->inside && sl_http2_has_ended(trunk->http2))
        kick(trunk->transport);
}

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

static uint64_t time_of(const struct sl_transport *transport, enum phase phase)
{
    const struct sl_config *c = transport->config;
    const uint64_t milliseconds[] = {[CONNECT] = c->upstream_connect_ms,
        [SECURE] = c->upstream_tls_ms,
        [FIRST] = c->upstream_first_ms,
        [REST] = c->upstream_stall_s * 1000,
        [KEPT] = c->upstream_idle_s * 1000};
    return milliseconds[phase];
}

/* Leaves the stream to the trunk, which is freed later: what is done now may be told from within it. */
static void leave_trunk(struct lane *lane)
{
    struct trunk *trunk = lane->trunk;
    sl_http2_drop(trunk->http2, &lane->stream);
    if (!--trunk->lanes)
        trunk->by = sl_loop_now() + time_of(trunk->transport, KEPT);
    pump(trunk);
}

static void free_lane(struct lane *lane)
{
    unlink_lane(lane);
    lane->transport->lane_count--;
    lane->transport->opening -= lane->phase <= SECURE;
    if (lane->trunk)
        leave_trunk(lane);
    sl_link_free(lane->link);
    sl_buffer_fini(&lane->head);
    free(lane);
}

static void enter(struct lane *lane, enum phase phase)
{
    lane->phase = phase;
    lane->by = sl_loop_now() + time_of(lane->transport, phase);
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
    return call->method == SL_GET || call->method == SL_HEAD || call->asks;
}

static bool takes_kept(const struct errand *errand)
{
    return is_safe(errand->call) && !errand->again;
}

/* What has come of the lane's stream since it was looked at. */
static void catch_up(struct lane *lane)
{
    if (!lane->trunk || lane->stream.bytes == lane->counted)
        return;
    if (lane->phase != REST)
        enter(lane, REST);
    lane->received += lane->stream.bytes - lane->counted;
    lane->counted = lane->stream.bytes;
}

/* Was it a connection that has answered before, and is now gone, or given up? */
static bool was_kept(const struct lane *lane)
{
    return lane->trunk ? lane->trunk->over && lane->trunk->answers : lane->answers;
}

/* The lane is lost. Its call, if it has one, is tried once more where that can do no harm. */
static void lose(struct lane *lane, const char *why)
{
    struct sl_transport *transport = lane->transport;
    struct errand *errand = lane->errand;
    catch_up(lane);
    bool refused = errand && lane->phase <= SECURE && errand->tries + 1u < transport->address_count;
    bool stale = errand && lane->phase == FIRST && was_kept(lane) && takes_kept(errand);
    if (lane->phase <= SECURE && transport->address_count)
        transport->address = (lane->address + 1) % transport->address_count;
    if (lane->phase <= SECURE)
        transport->one_for_all = false; /* nobody waits for another's attempt, until one succeeds */
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
    bool keeps = !lane->trunk && !errand->http1; /* what is kept others are asked on, who can have better */
    bool kept = keeps && clean && lane->reader.reply->keep_alive && status == SL_OK;
    transport->address = lane->address;
    if (kept) {
        keep(lane);
    } else {
        if (lane->trunk)
            lane->trunk->answers++;
        free_lane(lane);
        if (transport->first)
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

/* ---- Streams of a trunk ---- */

static void give_up(struct lane *lane, enum sl_status status, const char *why)
{
    struct sl_transport *transport = lane->transport;
    struct errand *errand = lane->errand;
    free_lane(lane);
    kick(transport);
    finish(transport, errand, status, why);
}

/* RFC 9113 8.7: what the server has not processed may be sent again, whatever it was. */
static void send_again(struct lane *lane)
{
    struct sl_transport *transport = lane->transport;
    struct errand *errand = lane->errand;
    if (errand->again) {
        give_up(lane, SL_UPSTREAM, "upstream-unprocessed");
        return;
    }
    errand->again = true;
    free_lane(lane);
    put_first(transport, errand);
    kick(transport);
}

/* RFC 9113 7, HTTP_1_1_REQUIRED: so it is asked, once. What changes something is, where the server has said that it has
 * not processed it. */
static void ask_by_http1(struct lane *lane)
{
    struct errand *errand = lane->errand;
    bool harmless = is_safe(errand->call) || lane->stream.untouched;
    if (errand->http1 || !harmless || !lane->transport->tls_http1) {
        give_up(lane, SL_UPSTREAM, "upstream-wants-http1");
        return;
    }
    errand->http1 = true;
    errand->again = false;
    send_again(lane);
}

static void conclude(struct lane *lane)
{
    switch (lane->stream.state) {
    case SL_HTTP2_OPEN:
        break;
    case SL_HTTP2_WHOLE:
        answer(lane, true);
        break;
    case SL_HTTP2_BAD:
        refuse(lane);
        break;
    case SL_HTTP2_UNPROCESSED:
        send_again(lane);
        break;
    case SL_HTTP2_RESET:
        give_up(lane, SL_UPSTREAM, "upstream-reset");
        break;
    case SL_HTTP2_WANTS_HTTP1:
        ask_by_http1(lane);
        break;
    }
}

static struct lane *lane_of(struct sl_http2_stream *stream)
{
    return (struct lane *)(void *)((char *)stream - offsetof(struct lane, stream));
}

/* What has become of its streams. Whoever hears of it may ask anew: all of that is sent at once. */
static void tell(struct trunk *trunk)
{
    struct sl_http2_stream *stream;
    trunk->inside = true;
    while ((stream = sl_http2_ended(trunk->http2)))
        conclude(lane_of(stream));
    trunk->inside = false;
    pump(trunk);
}

static void free_trunk(struct trunk *trunk)
{
    *trunk->place = trunk->next;
    if (trunk->next)
        trunk->next->place = trunk->place;
    if (trunk->http2 && sl_link_phase(trunk->link) == SL_LINK_OPEN) {
        sl_http2_leave(trunk->http2); /* says goodbye, and waits for none */
        pump(trunk);
    }
    sl_http2_free(trunk->http2);
    sl_link_free(trunk->link);
    sl_buffer_fini(&trunk->out);
    free(trunk);
}

static struct lane *lane_on(const struct trunk *trunk)
{
    struct lane *lane = trunk->transport->lanes;
    while (lane && lane->trunk != trunk)
        lane = lane->next;
    return lane;
}

/* The connection is lost, or good for nothing. */
static void end_trunk(struct trunk *trunk, const char *why)
{
    trunk->over = trunk->inside = true;
    for (struct lane *lane; (lane = lane_on(trunk));)
        lose(lane, why);
    trunk->inside = false;
    free_trunk(trunk);
}

static void on_frames(void *context, struct sl_slice bytes)
{
    struct trunk *trunk = context;
    struct sl_transport *transport = trunk->transport;
    trunk->heard = sl_loop_now();
    trunk->pong_by = 0;
    sl_http2_feed(trunk->http2, bytes);
    tell(trunk);
    if (sl_http2_fault(trunk->http2))
        end_trunk(trunk, sl_http2_fault(trunk->http2));
    if (transport->first)
        kick(transport);
}

static void on_trunk_closed(void *context, const char *why)
{
    end_trunk(context, why);
}

static void on_trunk_sent(void *context)
{
    pump(context);
}

static const struct sl_link_user trunk_user = {NULL, on_frames, on_trunk_closed, on_trunk_sent};

/* The lane's connection becomes a trunk, and the lane a stream of it. */
static bool branch(struct lane *lane)
{
    struct sl_transport *transport = lane->transport;
    struct trunk *trunk = calloc(1, sizeof *trunk);
    struct sl_http2 *http2 = sl_http2_new(&transport->limits);
    if (!trunk || !http2) {
        sl_http2_free(http2);
        free(trunk);
        return false;
    }
    *trunk = (struct trunk){.transport = transport,
        .link = lane->link,
        .http2 = http2,
        .next = transport->trunks,
        .place = &transport->trunks,
        .address = lane->address,
        .lanes = 1,
        .heard = sl_loop_now()};
    sl_buffer_init(&trunk->out, SL_HTTP2_OUTPUT);
    if (trunk->next)
        trunk->next->place = &trunk->next;
    transport->trunks = trunk;
    sl_link_give(trunk->link, &trunk_user, trunk);
    lane->link = NULL;
    lane->trunk = trunk;
    return true;
}

static bool ask_stream(struct lane *lane, struct errand *errand)
{
    struct sl_transport *transport = lane->transport;
    struct sl_call *call = errand->call;
    struct sl_buffer *path = &transport->scratch;
    sl_buffer_clear(path);
    sl_buffer_add(path, transport->path);
    sl_buffer_add(path, call->target);
    const struct sl_http2_question question = {.method = call->method,
        .authority = transport->fields[0].value,
        .path = sl_buffer_slice(path),
        .fixed = transport->fields + 1,
        .fixed_count = transport->field_count - 1,
        .headers = call->headers,
        .header_count = call->header_count,
        .body = call->body};
    lane->errand = errand;
    errand->lane = lane;
    lane->stream.reader = &lane->reader;
    sl_http1_expect(&lane->reader, &transport->limits, call->arena, call->method == SL_HEAD);
    enter(lane, FIRST);
    bool asked = !sl_buffer_failed(path) && sl_http2_ask(lane->trunk->http2, &lane->stream, &question);
    pump(lane->trunk);
    return asked;
}

/* A trunk that takes one more. */
static struct trunk *find_trunk(const struct sl_transport *transport)
{
    struct trunk *trunk = transport->trunks;
    while (trunk && (trunk->over || !sl_http2_room(trunk->http2)))
        trunk = trunk->next;
    return transport->lane_count < transport->config->upstream_connections ? trunk : NULL;
}

/* May this be asked on it now? A change may not be sent twice, so it is not sent where nobody may be any more. */
static bool suits(const struct trunk *trunk, const struct sl_call *call)
{
    return is_safe(call) || sl_loop_now() < trunk->heard + LIVELY_MS;
}

static void ask_for_life(struct trunk *trunk)
{
    if (trunk->pong_by)
        return;
    trunk->pong_by = sl_loop_now() + time_of(trunk->transport, CONNECT);
    sl_http2_ping(trunk->http2);
    pump(trunk);
}

/* False: no memory. */
static bool put_on_trunk(struct trunk *trunk, struct errand *errand)
{
    struct sl_transport *transport = trunk->transport;
    struct lane *lane = calloc(1, sizeof *lane);
    if (!lane)
        return false;
    *lane = (struct lane){.transport = transport, .trunk = trunk, .address = trunk->address, .phase = FIRST};
    sl_buffer_init(&lane->head, HEAD_LIMIT);
    trunk->lanes++;
    transport->lane_count++;
    link_lane(&transport->lanes, lane);
    if (ask_stream(lane, errand))
        return true;
    free_lane(lane);
    return false;
}

/* One connection is enough for all: is there one, or soon? */
static bool is_one_for_all(const struct sl_transport *transport)
{
    const struct trunk *trunk = transport->trunks;
    while (trunk && trunk->over)
        trunk = trunk->next;
    return transport->one_for_all && (trunk || transport->opening);
}

static void on_opened(void *context)
{
    struct lane *lane = context;
    struct sl_transport *transport = lane->transport;
    struct errand *errand = lane->errand;
    bool http2 = transport->config->upstream_http2 && sl_link_is_http2(lane->link);
    if (!errand->http1) /* else it says nothing of the others */
        transport->one_for_all = http2;
    transport->opening--;
    enter(lane, FIRST);
    if (!http2)
        ask_on(lane, errand);
    else if (!branch(lane) || !ask_stream(lane, errand))
        give_up(lane, SL_NO_MEMORY, "memory");
    if (transport->first)
        kick(transport);
}

static const struct sl_link_user lane_user = {on_opened, on_received, on_closed, NULL};

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

static struct lane *new_lane(struct sl_transport *transport, bool http1)
{
    const struct address *address = &transport->addresses[transport->address];
    struct lane *lane = calloc(1, sizeof *lane);
    if (!lane)
        return NULL;
    const struct sl_link_options options = {.base = transport->base,
        .tls = http1 ? transport->tls_http1 : transport->tls,
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
    transport->opening++;
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
    struct trunk *trunk = errand->http1 ? NULL : find_trunk(transport);
    if (trunk && !suits(trunk, errand->call)) {
        ask_for_life(trunk);
        return false;
    }
    if (trunk) {
        take_out(transport, errand);
        if (!put_on_trunk(trunk, errand))
            finish(transport, errand, SL_NO_MEMORY, "memory");
        return true;
    }
    if (takes_kept(errand) && transport->kept) {
        take_out(transport, errand);
        ask_on(take_kept(transport), errand);
        return true;
    }
    bool waits = is_one_for_all(transport) && !errand->http1;
    if (waits || !have_address(transport) || !transport->first || !make_room(transport))
        return false;
    struct lane *lane = new_lane(transport, errand->http1);
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
    for (struct trunk *trunk = transport->trunks; trunk; trunk = trunk->next)
        tell(trunk);
    while (transport->first && serve_first(transport))
        ;
}

/* ---- Deadlines ---- */

/* An answer that comes in drops is given up, though each drop comes in time. */
static bool keeps_pace(struct lane *lane)
{
    return lane->phase == REST && lane->received >= FLOOR * lane->transport->config->upstream_stall_s;
}

/* A connection on which nothing has come for the whole of this phase may be dead: nothing more is asked on it. */
static void doubt(const struct lane *lane)
{
    if (lane->trunk)
        lane->trunk->over |= lane->trunk->heard + time_of(lane->transport, lane->phase) <= lane->by;
}

/* True: the lane is gone, and others may be. */
static bool sweep_lane(struct lane *lane, uint64_t now)
{
    bool whole = now >= lane->errand->by;
    catch_up(lane);
    if (lane->phase == CONNECT && sl_link_phase(lane->link) == SL_LINK_SECURING)
        enter(lane, SECURE);
    if (!whole && now < lane->by)
        return false;
    if (!whole && keeps_pace(lane)) {
        enter(lane, REST);
        return false;
    }
    doubt(lane);
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

static void sweep_trunks(struct sl_transport *transport, uint64_t now)
{
    for (struct trunk *trunk = transport->trunks, *next; trunk; trunk = next) {
        next = trunk->next;
        if (trunk->pong_by && now >= trunk->pong_by) {
            trunk->over = true;
            kick(transport);
        }
        if (sl_http2_fault(trunk->http2))
            end_trunk(trunk, sl_http2_fault(trunk->http2));
        else if (!trunk->lanes && (trunk->over || now >= trunk->by))
            free_trunk(trunk);
    }
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
    sweep_trunks(transport, now);
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
    struct trunk *trunk = transport->first ? NULL : find_trunk(transport);
    if (trunk && !suits(trunk, call))
        trunk = NULL; /* it waits for a sign of life */
    bool probe, at_once = !trunk && transport->kept && !transport->first && is_safe(call);
    struct errand *errand = sl_arena_alloc(call->arena, sizeof *errand);
    if (!errand)
        return fail(call, "memory");
    if (!write_question(transport, call, at_once ? &transport->kept->head : &transport->scratch))
        return fail(call, "upstream-question");
    if (!at_once && !trunk && transport->waiting >= transport->config->upstream_queue)
        return fail(call, "upstream-busy");
    if (!may_pass(transport, &probe))
        return fail(call, "upstream-paused");
    *errand = (struct errand){.call = call, .probe = probe, .by = sl_loop_now() + transport->config->upstream_total_ms};
    call->work = errand;
    if (at_once) {
        put_on(take_kept(transport), errand);
        return true;
    }
    if (trunk && put_on_trunk(trunk, errand))
        return true;
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
    struct sl_buffer *out = &transport->fixed, *host = &transport->authority, *secret = &transport->token;
    bool six = strchr(transport->host, ':') != NULL;
    sl_buffer_printf(host, "%s%s%s", six ? "[" : "", transport->host, six ? "]" : "");
    if (transport->url.port != (transport->url.secure ? 443 : 80))
        sl_buffer_printf(host, ":%u", transport->url.port);
    sl_buffer_printf(secret, "Bearer %.*s", SL_FMT(token));
    const struct sl_header fields[FIXED] = {{SL_LIT("Host"), sl_buffer_slice(host)},
        {SL_LIT("User-Agent"), SL_LIT("sluice")}, {SL_LIT("Accept"), SL_LIT("application/fhir+json")},
        {SL_LIT("Accept-Encoding"), SL_LIT("identity")}, {SL_LIT("Cache-Control"), SL_LIT("no-cache")},
        {SL_LIT("Authorization"), sl_buffer_slice(secret)}};
    memcpy(transport->fields, fields, sizeof fields);
    transport->field_count = token.len ? FIXED : FIXED - 1;
    for (size_t i = 0; i < transport->field_count; i++)
        sl_buffer_printf(out, "%.*s: %.*s\r\n", SL_FMT(fields[i].name), SL_FMT(fields[i].value));
    return !sl_buffer_failed(out) && !sl_buffer_failed(host) && !sl_buffer_failed(secret);
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
        transport->tls = sl_tls_client_new(c->upstream_ca.len ? c->upstream_ca.ptr : NULL, c->upstream_http2);
    if (transport->url.secure && c->upstream_http2)
        transport->tls_http1 = sl_tls_client_new(c->upstream_ca.len ? c->upstream_ca.ptr : NULL, false);
    if (transport->url.secure && (!transport->tls || (c->upstream_http2 && !transport->tls_http1)))
        return false;
    transport->one_for_all = transport->url.secure && c->upstream_http2;
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
    sl_buffer_init(&transport->authority, HEAD_LIMIT);
    sl_buffer_init(&transport->token, HEAD_LIMIT);
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
    while (transport->trunks)
        free_trunk(transport->trunks);
    if (transport->resolving)
        evdns_getaddrinfo_cancel(transport->resolving);
    if (transport->dns)
        evdns_base_free(transport->dns, 1);
    if (transport->kick)
        event_free(transport->kick);
    if (transport->sweep)
        event_free(transport->sweep);
    sl_tls_client_free(transport->tls);
    sl_tls_client_free(transport->tls_http1);
    sl_buffer_fini(&transport->fixed);
    sl_buffer_fini(&transport->scratch);
    sl_buffer_fini(&transport->authority);
    sl_buffer_fini(&transport->token);
    free(transport->buffer);
    transport->magic = 0;
    free(transport);
}

void sl_transport_init(void)
{
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to sockets without MSG_NOSIGNAL */
}
