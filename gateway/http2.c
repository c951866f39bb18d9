/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 to a server: see http2.h. Callbacks only note what nghttp2 tells: nothing of ours is called from within it. */
#include "http2.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FIELDS 32u
#define STREAM_WINDOW (1 << 20)
#define WINDOW (8 << 20) /* of the connection */
#define FRAME ((size_t)16384)
#define ENOUGH ((size_t)32 * 1024) /* bytes at a time for the socket */
#define MAX_BARREN 1000u

struct sl_http2 {
    nghttp2_session *session;
    const struct sl_http1_limits *limits;
    const char *fault;
    size_t open;                            /* streams that nghttp2 knows */
    size_t unframed;                        /* bytes since nghttp2 told of a frame: more of a head, or nobody's */
    size_t owed;                            /* bytes that may come of streams that were dropped */
    unsigned barren;                        /* frames since one that brought something, or took some of ours */
    bool greeted;                           /* the server has told its settings */
    bool unwanted;                          /* and that it wants HTTP/1.1 in the place of all this */
    struct sl_http2_stream *first, **place; /* streams that have ended, in the order they did */
};

static void break_off(struct sl_http2 *http2, const char *why)
{
    if (!http2->fault)
        http2->fault = why;
}

/* ---- Streams that have ended ---- */

static void end(struct sl_http2 *http2, struct sl_http2_stream *stream, enum sl_http2_state state)
{
    stream->state = state;
    stream->listed = true;
    stream->next = NULL;
    stream->place = http2->place;
    *http2->place = stream;
    http2->place = &stream->next;
}

static void unlist(struct sl_http2 *http2, struct sl_http2_stream *stream)
{
    if (!stream->listed)
        return;
    *stream->place = stream->next;
    if (stream->next)
        stream->next->place = stream->place;
    else
        http2->place = stream->place;
    stream->listed = false;
}

struct sl_http2_stream *sl_http2_ended(struct sl_http2 *http2)
{
    struct sl_http2_stream *stream = http2->first;
    if (stream)
        unlist(http2, stream);
    return stream;
}

bool sl_http2_has_ended(const struct sl_http2 *http2)
{
    return http2->first;
}

/* The stream, if its answer still matters. */
static struct sl_http2_stream *open_stream(nghttp2_session *session, int32_t id)
{
    struct sl_http2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    return stream && stream->state == SL_HTTP2_OPEN ? stream : NULL;
}

/* ---- What the server sends ---- */

/* RFC 9113 8.4: a push is an error, since we said before our first question that we want none. nghttp2 would take it
 * until the server has acknowledged that. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *head, void *context)
{
    struct sl_http2 *http2 = context;
    (void)session;
    http2->unframed = 0;
    if (head->type == NGHTTP2_PUSH_PROMISE)
        break_off(http2, "upstream-malformed");
    return http2->fault || ++http2->barren > MAX_BARREN ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* RFC 9113 8.3.2: a response has one pseudo-header field, of three digits; nghttp2 lets no other through. */
static int read_code(struct sl_slice value)
{
    int code = 0;
    if (value.len != 3)
        return 0;
    for (size_t i = 0; i < 3; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return 0;
        code = code * 10 + (value.ptr[i] - '0');
    }
    return code;
}

static enum sl_http1_event take_header(struct sl_http2_stream *stream, struct sl_slice name, struct sl_slice value)
{
    if (!name.len || name.ptr[0] != ':')
        return sl_http1_add_field(stream->reader, name, value);
    stream->headed = true;
    return sl_http1_add_code(stream->reader, sl_slice_eq(name, SL_LIT(":status")) ? read_code(value) : 0);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
    const uint8_t *value, size_t value_len, uint8_t flags, void *context)
{
    struct sl_http2_stream *stream = open_stream(session, frame->hd.stream_id);
    (void)flags;
    if (!stream)
        return 0;
    stream->bytes += name_len + value_len;
    const struct sl_slice words[] = {{(const char *)name, name_len}, {(const char *)value, value_len}};
    if (take_header(stream, words[0], words[1]) == SL_HTTP1_BAD)
        end(context, stream, SL_HTTP2_BAD);
    return 0;
}

/* The window opens by what has been taken, and by what nobody wants any more. */
static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *context)
{
    struct sl_http2 *http2 = context;
    struct sl_http2_stream *stream = open_stream(session, id);
    (void)flags;
    http2->unframed = 0;
    if (stream && len) {
        http2->barren = 0;
        stream->bytes += len;
        if (sl_http1_add_body(stream->reader, (struct sl_slice){(const char *)data, len}) == SL_HTTP1_BAD)
            end(http2, stream, SL_HTTP2_BAD);
    }
    return nghttp2_session_consume(session, id, len) == 0 ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* DONE here, of an answer without a body, still wants the end of the stream. */
static void end_head(struct sl_http2 *http2, struct sl_http2_stream *stream)
{
    http2->barren = 0;
    stream->bytes++;
    if (stream->headed && sl_http1_add_head_end(stream->reader) == SL_HTTP1_BAD)
        end(http2, stream, SL_HTTP2_BAD);
    stream->headed = false;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct sl_http2 *http2 = context;
    struct sl_http2_stream *stream = open_stream(session, frame->hd.stream_id);
    unsigned type = frame->hd.type;
    http2->unframed = 0;
    if (type == NGHTTP2_SETTINGS)
        http2->greeted |= !(frame->hd.flags & NGHTTP2_FLAG_ACK);
    if (type == NGHTTP2_GOAWAY) /* nghttp2 closes what is above its last id after this */
        http2->unwanted |= frame->goaway.error_code == NGHTTP2_HTTP_1_1_REQUIRED;
    if (!stream)
        return 0;
    if (type == NGHTTP2_RST_STREAM) {
        stream->reset = true;
        stream->code = frame->rst_stream.error_code;
    }
    if (type == NGHTTP2_HEADERS)
        end_head(http2, stream);
    bool last = (type == NGHTTP2_HEADERS || type == NGHTTP2_DATA) && frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (last && stream->state == SL_HTTP2_OPEN)
        end(http2, stream, sl_http1_add_end(stream->reader) == SL_HTTP1_DONE ? SL_HTTP2_WHOLE : SL_HTTP2_BAD);
    return 0;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error, void *context)
{
    struct sl_http2_stream *stream = open_stream(session, frame->hd.stream_id);
    (void)error;
    if (stream)
        end(context, stream, SL_HTTP2_BAD);
    return 0;
}

/* Why a stream is closed whose answer has not ended. nghttp2 closes with REFUSED_STREAM, too, what is above the last id
 * of a GOAWAY, and what it has not sent (RFC 9113 6.8, 8.7). Of what has an answer already no server has done nothing.
 */
static enum sl_http2_state why_closed(const struct sl_http2 *http2, struct sl_http2_stream *stream, uint32_t code)
{
    stream->untouched = code == NGHTTP2_REFUSED_STREAM && !stream->bytes;
    if (stream->untouched)
        return http2->unwanted ? SL_HTTP2_WANTS_HTTP1 : SL_HTTP2_UNPROCESSED;
    if (code == NGHTTP2_REFUSED_STREAM)
        return SL_HTTP2_RESET;
    if (code == NGHTTP2_HTTP_1_1_REQUIRED)
        return SL_HTTP2_WANTS_HTTP1;
    return stream->reset ? SL_HTTP2_RESET : SL_HTTP2_BAD;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *context)
{
    struct sl_http2 *http2 = context;
    struct sl_http2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    http2->open--;
    if (!stream)
        return 0;
    stream->known = false;
    if (stream->state == SL_HTTP2_OPEN)
        end(http2, stream, why_closed(http2, stream, code));
    return 0;
}

/* A GOAWAY that names an error is what nghttp2 makes of frames that no connection survives. */
static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct sl_http2 *http2 = context;
    (void)session;
    if (frame->hd.type == NGHTTP2_DATA)
        http2->barren = 0;
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR)
        break_off(http2, "upstream-malformed");
    return 0;
}

static const char *fault_of(const struct sl_http2 *http2, ssize_t result)
{
    if (result == NGHTTP2_ERR_NOMEM)
        return "memory";
    if (result == NGHTTP2_ERR_FLOODED || http2->barren > MAX_BARREN)
        return "upstream-flood";
    return "upstream-malformed";
}

/* nghttp2 tells nothing of a head's further frames, nor of what comes of a stream that was dropped: of the latter a
 * server may have a window under way. */
static bool is_endless(struct sl_http2 *http2)
{
    if (http2->unframed <= http2->limits->headers + 2 * FRAME)
        return false;
    if (http2->unframed > http2->owed)
        return true;
    http2->owed -= http2->unframed;
    http2->unframed = 0;
    return false;
}

void sl_http2_feed(struct sl_http2 *http2, struct sl_slice bytes)
{
    if (http2->fault)
        return;
    http2->unframed += bytes.len;
    ssize_t taken = nghttp2_session_mem_recv(http2->session, (const uint8_t *)bytes.ptr, bytes.len);
    if (taken < 0)
        break_off(http2, fault_of(http2, taken));
    else if (is_endless(http2))
        break_off(http2, "upstream-flood");
}

/* ---- What is sent to it ---- */

static ssize_t give_body(nghttp2_session *session, int32_t id, uint8_t *out, size_t room, uint32_t *flags,
    nghttp2_data_source *source, void *context)
{
    struct sl_http2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    (void)source;
    (void)context;
    if (!stream) /* it was dropped, and its body is gone */
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    struct sl_slice rest = sl_slice_from(stream->body, stream->sent);
    size_t n = rest.len < room ? rest.len : room;
    if (n)
        memcpy(out, rest.ptr, n);
    stream->sent += n;
    if (n == rest.len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

struct fields {
    nghttp2_nv at[MAX_FIELDS];
    size_t count;
    bool failed;
};

/* nghttp2 copies both, and makes the name lower-case. */
static void add(struct fields *fields, struct sl_slice name, struct sl_slice value, bool secret)
{
    if (fields->count == MAX_FIELDS) {
        fields->failed = true;
        return;
    }
    fields->at[fields->count++] = (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name.ptr,
        .value = (uint8_t *)(uintptr_t)value.ptr,
        .namelen = name.len,
        .valuelen = value.len,
        .flags = secret ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE};
}

/* RFC 7541 7.1: what is in the table can be guessed by whoever has a say in another question and sees how long it came
 * out. Only what every question says, and is no secret, goes there. */
static bool is_common(struct sl_slice name)
{
    static const struct sl_slice common[] = {
        {"User-Agent", 10}, {"Accept", 6}, {"Accept-Encoding", 15}, {"Cache-Control", 13}, {"Content-Type", 12}};
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        if (sl_slice_eq(name, common[i]))
            return true;
    return false;
}

static void add_all(struct fields *fields, const struct sl_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add(fields, headers[i].name, headers[i].value, !is_common(headers[i].name));
}

static void add_question(struct fields *fields, const struct sl_http2_question *question, struct sl_slice length)
{
    add(fields, SL_LIT(":method"), sl_http1_method_name(question->method), false);
    add(fields, SL_LIT(":scheme"), SL_LIT("https"), false);
    add(fields, SL_LIT(":authority"), question->authority, false);
    add(fields, SL_LIT(":path"), question->path, true);
    add_all(fields, question->fixed, question->fixed_count);
    add_all(fields, question->headers, question->header_count);
    if (length.len)
        add(fields, SL_LIT("content-length"), length, true);
}

bool sl_http2_ask(struct sl_http2 *http2, struct sl_http2_stream *stream, const struct sl_http2_question *question)
{
    static const nghttp2_data_provider body = {.read_callback = give_body};
    struct fields fields = {.count = 0};
    char digits[24] = "";
    if (question->body.ptr)
        snprintf(digits, sizeof digits, "%zu", question->body.len);
    add_question(&fields, question, sl_slice_of(digits));
    *stream = (struct sl_http2_stream){.reader = stream->reader, .body = question->body, .state = SL_HTTP2_OPEN};
    if (fields.failed || http2->fault)
        return false;
    stream->id = nghttp2_submit_request(
        http2->session, NULL, fields.at, fields.count, question->body.len ? &body : NULL, stream);
    if (stream->id < 0)
        return false;
    stream->known = true;
    http2->open++;
    return true;
}

void sl_http2_drop(struct sl_http2 *http2, struct sl_http2_stream *stream)
{
    unlist(http2, stream);
    if (!stream->known)
        return;
    stream->known = false;
    http2->owed += STREAM_WINDOW;
    if (http2->owed > WINDOW) /* of all of them together no more can be under way */
        http2->owed = WINDOW;
    http2->barren = 0;
    nghttp2_session_set_stream_user_data(http2->session, stream->id, NULL);
    if (nghttp2_submit_rst_stream(http2->session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL) != 0)
        break_off(http2, "memory");
}

void sl_http2_ping(struct sl_http2 *http2)
{
    if (!http2->fault && nghttp2_submit_ping(http2->session, NGHTTP2_FLAG_NONE, NULL) != 0)
        break_off(http2, "memory");
}

bool sl_http2_output(struct sl_http2 *http2, struct sl_buffer *out)
{
    const uint8_t *bytes;
    sl_buffer_clear(out);
    while (out->len < ENOUGH) {
        ssize_t len = nghttp2_session_mem_send(http2->session, &bytes);
        if (len < 0)
            break_off(http2, fault_of(http2, len));
        if (len <= 0)
            break;
        sl_buffer_add(out, (struct sl_slice){(const char *)bytes, (size_t)len});
    }
    if (sl_buffer_failed(out))
        break_off(http2, "memory");
    return out->len > 0 && !sl_buffer_failed(out);
}

/* ---- The connection ---- */

size_t sl_http2_room(const struct sl_http2 *http2)
{
    if (sl_http2_is_leaving(http2))
        return 0;
    size_t limit = 1;
    if (http2->greeted)
        limit = nghttp2_session_get_remote_settings(http2->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return limit > http2->open ? limit - http2->open : 0;
}

bool sl_http2_is_leaving(const struct sl_http2 *http2)
{
    return http2->fault || !nghttp2_session_check_request_allowed(http2->session);
}

const char *sl_http2_fault(const struct sl_http2 *http2)
{
    return http2->fault;
}

void sl_http2_leave(struct sl_http2 *http2)
{
    if (!http2->fault)
        (void)nghttp2_session_terminate_session(http2->session, NGHTTP2_NO_ERROR);
}

static bool make_session(struct sl_http2 *http2)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    bool made = nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0;
    if (made) {
        nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
        nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
        nghttp2_option_set_no_auto_window_update(option, 1);
        nghttp2_option_set_no_closed_streams(option, 1);
        made = nghttp2_session_client_new2(&http2->session, callbacks, http2, option) == 0;
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return made;
}

/* Nothing may be pushed at us; what a head may hold is said, and not only enforced. */
static bool greet(struct sl_http2 *http2)
{
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)http2->limits->headers}};
    return nghttp2_submit_settings(http2->session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings) ==
               0 &&
           nghttp2_session_set_local_window_size(http2->session, NGHTTP2_FLAG_NONE, 0, WINDOW) == 0;
}

struct sl_http2 *sl_http2_new(const struct sl_http1_limits *limits)
{
    struct sl_http2 *http2 = calloc(1, sizeof *http2);
    if (!http2)
        return NULL;
    http2->limits = limits;
    http2->place = &http2->first;
    if (make_session(http2) && greet(http2))
        return http2;
    sl_http2_free(http2);
    return NULL;
}

void sl_http2_free(struct sl_http2 *http2)
{
    if (!http2)
        return;
    nghttp2_session_del(http2->session);
    free(http2);
}
