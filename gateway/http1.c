/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of requests and answers: see http1.h. Everything before a body and between its chunks is a line that ends
 * in CRLF, so one function collects lines, and each phase says what its line means. Bytes are looked at once as they
 * arrive and once when their line is whole.
 */
#include "http1.h"

#include <string.h>

#define FIRST_TEXT ((size_t)2048)
#define FIRST_FIELDS ((size_t)16)
#define FIRST_SEGMENT ((size_t)4096)
#define MAX_SEGMENT ((size_t)1024 * 1024)
#define MAX_METHOD 32u
#define MAX_EMPTY_LINES 2u  /* before a request line, RFC 9112 2.2 */
#define MAX_CHUNK_LINE 256u /* size and extensions of one chunk */
#define MAX_CHUNK_DIGITS 16u
#define MAX_EXTENSIONS 4096u /* of all chunks of a body, RFC 9112 7.1.1 */

const struct sl_http1_limits sl_http1_limits_default = SL_HTTP1_LIMITS_DEFAULT;

#define MAX_INTERIMS 8u /* 1xx answers before the final one */

enum {
    START,
    REQUEST_LINE,
    STATUS_LINE,
    FIELDS,
    LENGTH_BODY,
    CHUNK_LINE,
    CHUNK_DATA,
    CHUNK_END,
    TRAILERS,
    UNTIL_CLOSE,
    WHOLE,
    REFUSED
};

struct input {
    const char *at, *end;
};

struct sl_http1_segment {
    struct sl_http1_segment *next;
    size_t len, capacity;
    char bytes[];
};

/* ---- Characters ---- */

/* What a byte may be part of: a line at all; a token (RFC 9110 5.6.2); a path and a query (RFC 3986 3.3, 3.4). */
enum { LINE = 1, TOKEN = 2, PATH = 4, QUERY = 8, HEX = 16, DIGIT = 32 };

/* A query may hold what the WHATWG URL standard leaves unencoded in one: FHIR clients write `code=system|code`. */
static const char token_marks[] = "!#$%&'*+-.^_`|~";
static const char path_marks[] = "-._~!$&'()*+,;=:@/%";
static const char query_marks[] = "-._~!$&'()*+,;=:@/?%|[]{}^`\\";

static unsigned marks_of(unsigned char c)
{
    unsigned bits = 0;
    if (c && strchr(token_marks, c))
        bits |= TOKEN;
    if (c && strchr(path_marks, c))
        bits |= PATH;
    if (c && strchr(query_marks, c))
        bits |= QUERY;
    return bits;
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}
static bool is_hex_letter(unsigned char c)
{
    return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
static bool is_letter(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static unsigned class_of(unsigned char c)
{
    if (is_digit(c))
        return LINE | TOKEN | PATH | QUERY | HEX | DIGIT;
    if (is_letter(c))
        return LINE | TOKEN | PATH | QUERY | (is_hex_letter(c) ? HEX : 0);
    if (c == '\t' || (c >= 0x20 && c != 0x7f))
        return LINE | marks_of(c);
    return 0;
}

static unsigned char classes[256];

/* Filled before main and never written again, so that threads only read it. */
__attribute__((constructor)) static void fill_classes(void)
{
    for (unsigned c = 0; c < 256; c++)
        classes[c] = (unsigned char)class_of((unsigned char)c);
}

static bool is(char c, unsigned class)
{
    return classes[(unsigned char)c] & class;
}

static bool all(struct sl_slice text, unsigned class)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is(text.ptr[i], class))
            return false;
    return true;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool same_name(struct sl_slice a, struct sl_slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    return true;
}

static unsigned hex_value(char c)
{
    return is(c, DIGIT) ? (unsigned)(c - '0') : (unsigned)(lower(c) - 'a' + 10);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct sl_slice trim(struct sl_slice text)
{
    while (text.len && is_blank(text.ptr[0]))
        text = (struct sl_slice){text.ptr + 1, text.len - 1};
    while (text.len && is_blank(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

static struct sl_slice slice_between(const char *begin, const char *end)
{
    return (struct sl_slice){begin, (size_t)(end - begin)};
}

/* ---- Refusals and memory ---- */

static enum sl_http1_event refuse(struct sl_http1 *reader, enum sl_status status)
{
    reader->phase = REFUSED;
    reader->status = status;
    return SL_HTTP1_BAD;
}

/* Room for n more bytes of the current line. */
static bool make_room(struct sl_http1 *reader, size_t n)
{
    struct sl_http1_text *text = &reader->text;
    size_t begun = text->used - text->line;
    if (n <= text->capacity - text->used)
        return true;
    size_t capacity = text->capacity ? text->capacity * 2 : FIRST_TEXT;
    if (capacity < begun + n)
        capacity = begun + n;
    char *block = sl_arena_raw(reader->arena, capacity, 1);
    if (!block)
        return false;
    if (begun)
        memcpy(block, text->block + text->line, begun);
    *text = (struct sl_http1_text){.block = block, .used = begun, .capacity = capacity};
    return true;
}

static enum sl_status append_run(struct sl_http1 *reader, struct sl_slice run, size_t limit, enum sl_status over)
{
    struct sl_http1_text *text = &reader->text;
    size_t begun = text->used - text->line;
    if (begun > limit || run.len > limit - begun)
        return over;
    if (!run.len)
        return SL_OK;
    if (!make_room(reader, run.len))
        return SL_NO_MEMORY;
    memcpy(text->block + text->used, run.ptr, run.len);
    text->used += run.len;
    return SL_OK;
}

/*
 * Collects a line. RFC 9112 2.2 lets a recipient take a bare LF for an end of line, and asks that a bare CR be refused
 * or replaced; both are refused here, as is every other control character, as soon as it is seen. *whole: the line is
 * there, without its CRLF.
 */
static enum sl_status collect(struct sl_http1 *reader, struct input *in, size_t limit, enum sl_status over, bool *whole)
{
    *whole = false;
    if (reader->cr) {
        if (*in->at != '\n')
            return SL_BAD_SYNTAX;
        in->at++;
        reader->cr = false;
        *whole = true;
        return SL_OK;
    }
    const char *from = in->at;
    while (in->at < in->end && is(*in->at, LINE))
        in->at++;
    SL_TRY(append_run(reader, slice_between(from, in->at), limit, over));
    if (in->at == in->end)
        return SL_OK;
    if (*in->at != '\r')
        return SL_BAD_SYNTAX;
    in->at++;
    reader->cr = true;
    return SL_OK;
}

static struct sl_slice current_line(const struct sl_http1 *reader)
{
    return (struct sl_slice){reader->text.block + reader->text.line, reader->text.used - reader->text.line};
}

/* The line stays: the next one begins behind it. */
static void keep_line(struct sl_http1 *reader)
{
    reader->text.line = reader->text.used;
}

/* The line has been understood: its memory serves the next one. */
static void drop_line(struct sl_http1 *reader)
{
    reader->text.used = reader->text.line;
}

/* ---- The request line ---- */

static const struct {
    struct sl_slice text;
    enum sl_method method;
} methods[] = {
    {{"GET", 3}, SL_GET},
    {{"HEAD", 4}, SL_HEAD},
    {{"POST", 4}, SL_POST},
    {{"PUT", 3}, SL_PUT},
    {{"PATCH", 5}, SL_METHOD_PATCH},
    {{"DELETE", 6}, SL_METHOD_DELETE},
    {{"OPTIONS", 7}, SL_OPTIONS},
};

/* RFC 9110 9.1: the method token is case-sensitive. */
static enum sl_method method_of(struct sl_slice text)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (sl_slice_eq(text, methods[i].text))
            return methods[i].method;
    return SL_METHOD_OTHER;
}

/* The byte an escape at text[i] stands for; -1 if it is no escape. */
static int unescape(struct sl_slice text, size_t i)
{
    if (text.len - i < 3 || !is(text.ptr[i + 1], HEX) || !is(text.ptr[i + 2], HEX))
        return -1;
    return (int)(hex_value(text.ptr[i + 1]) * 16 + hex_value(text.ptr[i + 2]));
}

/* A segment that is "." or "..", however its dots are written. */
static bool is_dots(struct sl_slice segment)
{
    size_t dots = 0;
    for (size_t i = 0; i < segment.len; i++) {
        char c = segment.ptr[i];
        if (c == '%') {
            if (unescape(segment, i) != '.')
                return false;
            i += 2;
        } else if (c != '.') {
            return false;
        }
        dots++;
    }
    return dots == 1 || dots == 2;
}

static bool good_escape(struct sl_slice text, size_t i, bool path)
{
    int c = unescape(text, i);
    if (c <= 0)
        return false;
    return !path || (c >= 0x20 && c != 0x7f && c != '/' && c != '\\');
}

static bool good_characters(struct sl_slice text, bool path)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is(text.ptr[i], path ? PATH : QUERY))
            return false;
        if (text.ptr[i] == '%' && !good_escape(text, i, path))
            return false;
    }
    return true;
}

static bool good_path(struct sl_slice path)
{
    if (!path.len || path.ptr[0] != '/' || !good_characters(path, true))
        return false;
    for (size_t begin = 1, i = 1; i <= path.len; i++) {
        if (i < path.len && path.ptr[i] != '/')
            continue;
        if (is_dots((struct sl_slice){path.ptr + begin, i - begin}))
            return false;
        begin = i + 1;
    }
    return true;
}

enum sl_status sl_http1_split_target(struct sl_request *request)
{
    struct sl_slice target = request->target;
    if (request->method == SL_OPTIONS && sl_slice_eq(target, SL_LIT("*"))) {
        request->path = target;
        return SL_OK;
    }
    const char *mark = target.len ? memchr(target.ptr, '?', target.len) : NULL;
    request->path = mark ? slice_between(target.ptr, mark) : target;
    request->query = mark ? slice_between(mark + 1, target.ptr + target.len) : (struct sl_slice){NULL, 0};
    return good_path(request->path) && good_characters(request->query, false) ? SL_OK : SL_BAD_SYNTAX;
}

static enum sl_status read_version(struct sl_http1 *reader, struct sl_slice version)
{
    if (version.len != 8 || !sl_slice_starts(version, SL_LIT("HTTP/")) || !is(version.ptr[5], DIGIT) ||
        version.ptr[6] != '.' || !is(version.ptr[7], DIGIT))
        return SL_BAD_SYNTAX;
    if (version.ptr[5] != '1' || version.ptr[7] > '1')
        return SL_HTTP_VERSION;
    reader->version_1_0 = version.ptr[7] == '0';
    return SL_OK;
}

/* Gives the part of *rest up to the next space, and takes it and the space away. */
static bool take_word(struct sl_slice *rest, struct sl_slice *word)
{
    const char *space = rest->len ? memchr(rest->ptr, ' ', rest->len) : NULL;
    if (!space)
        return false;
    *word = slice_between(rest->ptr, space);
    *rest = slice_between(space + 1, rest->ptr + rest->len);
    return word->len > 0;
}

/* RFC 9112 3: method SP request-target SP HTTP-version, with single spaces. */
static enum sl_status read_request_line(struct sl_http1 *reader, struct sl_slice line)
{
    struct sl_request *request = sl_arena_alloc(reader->arena, sizeof *request);
    if (!request)
        return SL_NO_MEMORY;
    if (!take_word(&line, &request->method_text) || !take_word(&line, &request->target))
        return SL_BAD_SYNTAX;
    if (request->method_text.len > MAX_METHOD || !all(request->method_text, TOKEN))
        return SL_BAD_SYNTAX;
    SL_TRY(read_version(reader, line));
    request->method = method_of(request->method_text);
    SL_TRY(sl_http1_split_target(request));
    reader->request = request;
    return SL_OK;
}

static enum sl_http1_event step_start(struct sl_http1 *reader, struct input *in)
{
    /* RFC 9112 2.2: at least one empty line received before the request line is to be ignored. */
    if (reader->cr) {
        if (*in->at != '\n' || ++reader->empty_lines > MAX_EMPTY_LINES)
            return refuse(reader, SL_BAD_SYNTAX);
        reader->cr = false;
    } else if (*in->at == '\r') {
        reader->cr = true;
    } else {
        return SL_HTTP1_BEGIN;
    }
    in->at++;
    return SL_HTTP1_MORE;
}

static enum sl_http1_event step_request_line(struct sl_http1 *reader, struct input *in)
{
    bool whole;
    enum sl_status status = collect(reader, in, reader->limits->line, SL_URI_TOO_LONG, &whole);
    if (status == SL_OK && whole) {
        status = read_request_line(reader, current_line(reader));
        keep_line(reader);
        reader->phase = FIELDS;
    }
    return status == SL_OK ? SL_HTTP1_MORE : refuse(reader, status);
}

/* ---- The status line of an answer ---- */

/* RFC 9112 4: HTTP-version SP status-code SP [ reason-phrase ]; the reason is ignored, and servers leave out the space
 * before none. A code is of three digits (RFC 9110 15), and those from 600 on mean nothing. */
static enum sl_status read_status_line(struct sl_http1 *reader, struct sl_slice line)
{
    struct sl_slice version = {line.ptr, line.len < 8 ? line.len : 8}, rest = sl_slice_from(line, 8);
    struct sl_reply *reply = sl_arena_alloc(reader->arena, sizeof *reply);
    if (!reply)
        return SL_NO_MEMORY;
    SL_TRY(read_version(reader, version));
    if (rest.len < 4 || rest.ptr[0] != ' ' || (rest.len > 4 && rest.ptr[4] != ' '))
        return SL_BAD_SYNTAX;
    for (size_t i = 1; i < 4; i++) {
        if (!is(rest.ptr[i], DIGIT))
            return SL_BAD_SYNTAX;
        reply->code = reply->code * 10 + (rest.ptr[i] - '0');
    }
    reader->reply = reply;
    return reply->code >= 100 && reply->code < 600 ? SL_OK : SL_BAD_SYNTAX;
}

static enum sl_http1_event step_status_line(struct sl_http1 *reader, struct input *in)
{
    bool whole;
    enum sl_status status = collect(reader, in, reader->limits->line, SL_BAD_SYNTAX, &whole);
    if (status == SL_OK && whole) {
        status = read_status_line(reader, current_line(reader));
        drop_line(reader);
        reader->phase = FIELDS;
    }
    return status == SL_OK ? SL_HTTP1_MORE : refuse(reader, status);
}

/* ---- Fields that mean something to the framing ---- */

bool sl_http1_has_token(struct sl_slice value, struct sl_slice token)
{
    for (size_t begin = 0, i = 0; i <= value.len; i++) {
        if (i < value.len && value.ptr[i] != ',')
            continue;
        if (same_name(trim((struct sl_slice){value.ptr + begin, i - begin}), token))
            return true;
        begin = i + 1;
    }
    return false;
}

static bool good_port(struct sl_slice port)
{
    return port.len <= 5 && all(port, DIGIT);
}

static bool good_name_character(char c)
{
    return is(c, PATH) && c != ':' && c != '@' && c != '/';
}

/* uri-host [ ":" port ] (RFC 9110 7.2, RFC 3986 3.2.2). An http URI with an empty host is invalid (RFC 9110 4.2.1). */
static bool good_host(struct sl_slice host)
{
    size_t i = 0;
    if (host.len && host.ptr[0] == '[') {
        for (i = 1; i < host.len && (is(host.ptr[i], HEX) || host.ptr[i] == ':' || host.ptr[i] == '.');)
            i++;
        if (i < 3 || i == host.len || host.ptr[i++] != ']')
            return false;
    } else {
        for (; i < host.len && good_name_character(host.ptr[i]); i++)
            if (host.ptr[i] == '%' && unescape(host, i) <= 0x20)
                return false;
    }
    if (i == 0)
        return false;
    return i == host.len || (host.ptr[i] == ':' && good_port(sl_slice_from(host, i + 1)));
}

/* RFC 9112 3.2: more than one Host, or an invalid one, is answered 400. */
static enum sl_status note_host(struct sl_http1 *reader, struct sl_slice value)
{
    if (reader->host || !good_host(value))
        return SL_BAD_SYNTAX;
    reader->host = true;
    return SL_OK;
}

/* 1*DIGIT, and no second one: not in another field, not in a list (RFC 9112 6.3 would allow equal ones). */
static enum sl_status note_content_length(struct sl_http1 *reader, struct sl_slice value)
{
    uint64_t length = 0;
    if (reader->length || reader->chunked || !value.len || !all(value, DIGIT))
        return SL_BAD_SYNTAX;
    for (size_t i = 0; i < value.len; i++)
        if (__builtin_mul_overflow(length, 10, &length) ||
            __builtin_add_overflow(length, (uint64_t)(value.ptr[i] - '0'), &length))
            return SL_TOO_LARGE;
    if (length > reader->limits->body)
        return SL_TOO_LARGE;
    reader->length = true;
    reader->content_length = length;
    return SL_OK;
}

/* RFC 9112 6.1: in HTTP/1.0, and beside Content-Length, the framing is faulty. No coding but chunked is understood. */
static enum sl_status note_transfer_encoding(struct sl_http1 *reader, struct sl_slice value)
{
    if (reader->length || reader->chunked || reader->version_1_0 || !same_name(value, SL_LIT("chunked")))
        return SL_BAD_SYNTAX;
    reader->chunked = true;
    return SL_OK;
}

static enum sl_status note_connection(struct sl_http1 *reader, struct sl_slice value)
{
    reader->close |= sl_http1_has_token(value, SL_LIT("close"));
    reader->persist |= sl_http1_has_token(value, SL_LIT("keep-alive"));
    return SL_OK;
}

/* RFC 9110 10.1.1: the only expectation is 100-continue; from a 1.0 client it is ignored. */
static enum sl_status note_expect(struct sl_http1 *reader, struct sl_slice value)
{
    if (reader->version_1_0)
        return SL_OK;
    if (reader->expects_continue || !same_name(value, SL_LIT("100-continue")))
        return SL_EXPECTATION;
    reader->expects_continue = true;
    return SL_OK;
}

static const struct special {
    struct sl_slice name;
    enum sl_status (*note)(struct sl_http1 *reader, struct sl_slice value);
    bool never_trails; /* RFC 9110 6.5.1: framing and routing are no business of a trailer */
    bool answers;      /* it means something in an answer, too */
} specials[] = {
    {{"Host", 4}, note_host, true, false},
    {{"Content-Length", 14}, note_content_length, true, true},
    {{"Transfer-Encoding", 17}, note_transfer_encoding, true, true},
    {{"Connection", 10}, note_connection, false, true},
    {{"Expect", 6}, note_expect, false, false},
};

static const struct special *special_of(const struct sl_http1 *reader, struct sl_slice name)
{
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++)
        if (same_name(name, specials[i].name))
            return specials[i].answers || !reader->answers ? &specials[i] : NULL;
    return NULL;
}

/* ---- Field lines ---- */

static bool field_room(struct sl_http1 *reader)
{
    if (reader->field_count < reader->field_capacity)
        return true;
    size_t capacity = reader->field_capacity ? reader->field_capacity * 2 : FIRST_FIELDS;
    struct sl_header *fields = sl_arena_raw(reader->arena, capacity, sizeof *fields);
    if (!fields)
        return false;
    if (reader->field_count)
        memcpy(fields, reader->fields, reader->field_count * sizeof *fields);
    reader->fields = fields;
    reader->field_capacity = capacity;
    return true;
}

/* RFC 9112 5: field-name ":" OWS field-value OWS. White space before the colon, and a line that begins with white space
 * (obs-fold, 5.2), make a name that is no token. */
static enum sl_status split_field(struct sl_slice line, struct sl_header *field)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    if (!colon)
        return SL_BAD_SYNTAX;
    field->name = slice_between(line.ptr, colon);
    field->value = trim(slice_between(colon + 1, line.ptr + line.len));
    return field->name.len && all(field->name, TOKEN) ? SL_OK : SL_BAD_SYNTAX;
}

/* Both counts go on through the trailers. */
static enum sl_status count_field(struct sl_http1 *reader, size_t bytes, size_t number)
{
    reader->header_bytes += bytes + 2;
    if (reader->header_bytes > reader->limits->headers || number > reader->limits->fields)
        return SL_HEADERS_TOO_LARGE;
    return SL_OK;
}

static enum sl_status note_field(struct sl_http1 *reader, struct sl_header field)
{
    const struct special *special = special_of(reader, field.name);
    if (special)
        SL_TRY(special->note(reader, field.value));
    if (!field_room(reader))
        return SL_NO_MEMORY;
    reader->fields[reader->field_count++] = field;
    return SL_OK;
}

static enum sl_status read_field(struct sl_http1 *reader, struct sl_slice line)
{
    struct sl_header field;
    SL_TRY(count_field(reader, line.len, reader->field_count + 1));
    SL_TRY(split_field(line, &field));
    return note_field(reader, field);
}

/* RFC 9112 9.3: 1.1 persists unless told otherwise, 1.0 only if asked. */
static bool keeps_alive(const struct sl_http1 *reader)
{
    return !reader->close && (!reader->version_1_0 || reader->persist);
}

/* An interim answer (RFC 9110 15.2) is over with its head, and what it said of framing is an error. 101 would change
 * the protocol, which nobody asked for. */
static enum sl_http1_event end_interim(struct sl_http1 *reader)
{
    if (reader->reply->code == 101 || reader->length || reader->chunked || ++reader->interims > MAX_INTERIMS)
        return refuse(reader, SL_BAD_SYNTAX);
    reader->reply = NULL;
    reader->field_count = 0;
    reader->close = reader->persist = false;
    reader->phase = STATUS_LINE;
    return SL_HTTP1_MORE;
}

/* RFC 9112 6.3. What has no body may tell a length that it would have had (RFC 9110 8.6), but 204 may not. */
static enum sl_http1_event end_reply_head(struct sl_http1 *reader)
{
    struct sl_reply *reply = reader->reply;
    if (reply->code < 200)
        return end_interim(reader);
    reply->headers = reader->fields;
    reply->header_count = reader->field_count;
    reply->keep_alive = keeps_alive(reader);
    if (reply->code == 204 && (reader->chunked || reader->content_length))
        return refuse(reader, SL_BAD_SYNTAX);
    if (reader->bodiless || reply->code == 204 || reply->code == 304 || (reader->length && !reader->content_length)) {
        reader->phase = WHOLE;
        return SL_HTTP1_DONE;
    }
    reply->keep_alive &= reader->chunked || reader->length;
    reader->remaining = reader->length ? reader->content_length : reader->limits->body;
    reader->phase = reader->chunked ? CHUNK_LINE : reader->length ? LENGTH_BODY : UNTIL_CLOSE;
    return SL_HTTP1_MORE;
}

static enum sl_http1_event end_head(struct sl_http1 *reader)
{
    if (reader->answers)
        return end_reply_head(reader);
    struct sl_request *request = reader->request;
    if (!reader->host && !reader->version_1_0)
        return refuse(reader, SL_BAD_SYNTAX);
    request->headers = reader->fields;
    request->header_count = reader->field_count;
    request->keep_alive = keeps_alive(reader);
    request->chunked = reader->chunked;
    request->content_length = reader->content_length;
    request->has_body = request->chunked || request->content_length > 0;
    reader->remaining = request->content_length;
    reader->phase = !request->has_body ? WHOLE : request->chunked ? CHUNK_LINE : LENGTH_BODY;
    return SL_HTTP1_HEAD;
}

static size_t header_room(const struct sl_http1 *reader)
{
    return reader->limits->headers - reader->header_bytes;
}

static enum sl_http1_event step_fields(struct sl_http1 *reader, struct input *in)
{
    bool whole;
    enum sl_status status = collect(reader, in, header_room(reader), SL_HEADERS_TOO_LARGE, &whole);
    if (status == SL_OK && whole) {
        struct sl_slice line = current_line(reader);
        if (!line.len)
            return end_head(reader);
        status = read_field(reader, line);
        keep_line(reader);
    }
    return status == SL_OK ? SL_HTTP1_MORE : refuse(reader, status);
}

/* ---- Bodies ---- */

static struct sl_http1_segment *add_segment(struct sl_http1 *reader, size_t capacity)
{
    struct sl_http1_segment *segment = sl_arena_raw(reader->arena, 1, sizeof *segment + capacity);
    if (!segment)
        return NULL;
    *segment = (struct sl_http1_segment){.capacity = capacity};
    if (reader->last)
        reader->last->next = segment;
    else
        reader->first = segment;
    reader->last = segment;
    return segment;
}

/* A body of known length has one segment of that length, made as its first byte arrives; another has several, each
 * twice as large as the one before. */
static struct sl_http1_segment *segment_with_room(struct sl_http1 *reader)
{
    struct sl_http1_segment *last = reader->last;
    if (last && last->len < last->capacity)
        return last;
    if (reader->phase == LENGTH_BODY)
        return add_segment(reader, (size_t)reader->content_length);
    size_t capacity = last ? last->capacity * 2 : FIRST_SEGMENT;
    return add_segment(reader, capacity > MAX_SEGMENT ? MAX_SEGMENT : capacity);
}

/* Takes as much of the input as belongs to the body, or to the chunk. */
static enum sl_status take_data(struct sl_http1 *reader, struct input *in)
{
    while (reader->remaining && in->at < in->end) {
        struct sl_http1_segment *segment = segment_with_room(reader);
        if (!segment)
            return SL_NO_MEMORY;
        size_t n = segment->capacity - segment->len;
        if (n > (size_t)(in->end - in->at))
            n = (size_t)(in->end - in->at);
        if (n > reader->remaining)
            n = (size_t)reader->remaining;
        memcpy(segment->bytes + segment->len, in->at, n);
        segment->len += n;
        reader->remaining -= n;
        in->at += n;
    }
    return SL_OK;
}

static size_t body_bytes(const struct sl_http1 *reader)
{
    size_t total = 0;
    for (const struct sl_http1_segment *s = reader->first; s; s = s->next)
        total += s->len;
    return total;
}

static enum sl_http1_event end_body(struct sl_http1 *reader)
{
    size_t total = body_bytes(reader);
    struct sl_slice *body = reader->answers ? &reader->reply->body : &reader->request->body;
    reader->phase = WHOLE;
    if (reader->first == reader->last) {
        *body = (struct sl_slice){reader->first ? reader->first->bytes : "", total};
        return SL_HTTP1_DONE;
    }
    char *joined = sl_arena_raw(reader->arena, total, 1);
    if (!joined)
        return refuse(reader, SL_NO_MEMORY);
    *body = (struct sl_slice){joined, total};
    for (const struct sl_http1_segment *s = reader->first; s; joined += s->len, s = s->next)
        memcpy(joined, s->bytes, s->len);
    return SL_HTTP1_DONE;
}

/* One byte more than the limit shows that it is over it. */
static enum sl_http1_event step_until_close(struct sl_http1 *reader, struct input *in)
{
    enum sl_status status = take_data(reader, in);
    if (status == SL_OK && in->at < in->end)
        status = SL_TOO_LARGE;
    return status == SL_OK ? SL_HTTP1_MORE : refuse(reader, status);
}

static enum sl_http1_event step_length_body(struct sl_http1 *reader, struct input *in)
{
    enum sl_status status = take_data(reader, in);
    if (status != SL_OK)
        return refuse(reader, status);
    return reader->remaining ? SL_HTTP1_MORE : end_body(reader);
}

/* Moves *at past a token, or a quoted string where allowed (RFC 9110 5.6.4); false if there is none. */
static bool pass_value(struct sl_slice text, size_t *at, bool quoted)
{
    size_t i = *at;
    if (quoted && i < text.len && text.ptr[i] == '"') {
        for (i++; i < text.len && text.ptr[i] != '"'; i++)
            if (text.ptr[i] == '\\')
                i++;
        *at = i + 1;
        return i < text.len;
    }
    while (i < text.len && is(text.ptr[i], TOKEN))
        i++;
    bool some = i > *at;
    *at = i;
    return some;
}

/* RFC 9112 7.1.1: unrecognized extensions are ignored, and limited. "Bad" white space is not accepted. */
static bool good_extensions(struct sl_slice text)
{
    size_t at = 0;
    while (at < text.len) {
        if (text.ptr[at++] != ';' || !pass_value(text, &at, false))
            return false;
        if (at < text.len && text.ptr[at] == '=') {
            at++;
            if (!pass_value(text, &at, true))
                return false;
        }
    }
    return true;
}

/* chunk-size is 1*HEXDIG: no sign, no 0x, no white space (RFC 9112 7.1). */
static enum sl_status read_chunk_line(struct sl_http1 *reader, struct sl_slice line)
{
    uint64_t size = 0;
    size_t digits = 0;
    for (; digits < line.len && is(line.ptr[digits], HEX); digits++) {
        if (digits == MAX_CHUNK_DIGITS)
            return SL_BAD_SYNTAX;
        size = size * 16 + hex_value(line.ptr[digits]);
    }
    struct sl_slice extensions = sl_slice_from(line, digits);
    reader->extension_bytes += extensions.len;
    if (!digits || !good_extensions(extensions) || reader->extension_bytes > MAX_EXTENSIONS)
        return SL_BAD_SYNTAX;
    if (size > reader->limits->body - body_bytes(reader))
        return SL_TOO_LARGE;
    reader->remaining = size;
    return SL_OK;
}

static enum sl_http1_event step_chunk_line(struct sl_http1 *reader, struct input *in)
{
    bool whole;
    enum sl_status status = collect(reader, in, MAX_CHUNK_LINE, SL_BAD_SYNTAX, &whole);
    if (status == SL_OK && whole) {
        status = read_chunk_line(reader, current_line(reader));
        drop_line(reader);
        reader->phase = reader->remaining ? CHUNK_DATA : TRAILERS;
    }
    return status == SL_OK ? SL_HTTP1_MORE : refuse(reader, status);
}

static enum sl_http1_event step_chunk_data(struct sl_http1 *reader, struct input *in)
{
    enum sl_status status = take_data(reader, in);
    if (status != SL_OK)
        return refuse(reader, status);
    if (!reader->remaining)
        reader->phase = CHUNK_END;
    return SL_HTTP1_MORE;
}

static enum sl_http1_event step_chunk_end(struct sl_http1 *reader, struct input *in)
{
    if (*in->at++ != (reader->cr ? '\n' : '\r'))
        return refuse(reader, SL_BAD_SYNTAX);
    if (reader->cr)
        reader->phase = CHUNK_LINE;
    reader->cr = !reader->cr;
    return SL_HTTP1_MORE;
}

static enum sl_status judge_trailer(const struct sl_http1 *reader, struct sl_slice name)
{
    const struct special *special = special_of(reader, name);
    return special && special->never_trails ? SL_BAD_SYNTAX : SL_OK;
}

/* Trailers must be well formed, count as headers do, and are discarded (RFC 9112 7.1.2). */
static enum sl_status read_trailer(struct sl_http1 *reader, struct sl_slice line)
{
    struct sl_header field;
    SL_TRY(count_field(reader, line.len, ++reader->field_count));
    SL_TRY(split_field(line, &field));
    return judge_trailer(reader, field.name);
}

static enum sl_http1_event step_trailers(struct sl_http1 *reader, struct input *in)
{
    bool whole;
    enum sl_status status = collect(reader, in, header_room(reader), SL_HEADERS_TOO_LARGE, &whole);
    if (status == SL_OK && whole) {
        struct sl_slice line = current_line(reader);
        if (!line.len)
            return end_body(reader);
        status = read_trailer(reader, line);
        drop_line(reader);
    }
    return status == SL_OK ? SL_HTTP1_MORE : refuse(reader, status);
}

/* ---- The reader ---- */

static enum sl_http1_event (*const steps[])(struct sl_http1 *reader, struct input *in) = {
    [START] = step_start,
    [REQUEST_LINE] = step_request_line,
    [STATUS_LINE] = step_status_line,
    [FIELDS] = step_fields,
    [LENGTH_BODY] = step_length_body,
    [CHUNK_LINE] = step_chunk_line,
    [CHUNK_DATA] = step_chunk_data,
    [CHUNK_END] = step_chunk_end,
    [TRAILERS] = step_trailers,
    [UNTIL_CLOSE] = step_until_close,
};

void sl_http1_init(struct sl_http1 *reader, const struct sl_http1_limits *limits)
{
    *reader = (struct sl_http1){.limits = limits, .phase = START, .status = SL_OK};
}

void sl_http1_begin(struct sl_http1 *reader, struct sl_arena *arena)
{
    SL_ASSERT(reader->phase == START && !reader->cr);
    reader->arena = arena;
    reader->phase = REQUEST_LINE;
}

void sl_http1_expect(struct sl_http1 *reader, const struct sl_http1_limits *limits, struct sl_arena *arena, bool head)
{
    *reader = (struct sl_http1){
        .limits = limits, .arena = arena, .phase = STATUS_LINE, .status = SL_OK, .answers = true, .bodiless = head};
}

enum sl_http1_event sl_http1_end(struct sl_http1 *reader)
{
    if (reader->phase == REFUSED)
        return SL_HTTP1_BAD;
    return reader->phase == UNTIL_CLOSE ? end_body(reader) : refuse(reader, SL_BAD_SYNTAX);
}

enum sl_http1_event sl_http1_feed(struct sl_http1 *reader, struct sl_slice bytes, size_t *used)
{
    struct input in = {bytes.ptr, bytes.ptr + bytes.len};
    enum sl_http1_event event = SL_HTTP1_MORE;
    SL_ASSERT(reader->phase != WHOLE);
    if (reader->phase == REFUSED)
        event = SL_HTTP1_BAD;
    while (event == SL_HTTP1_MORE && in.at < in.end)
        event = steps[reader->phase](reader, &in);
    *used = (size_t)(in.at - bytes.ptr);
    return event;
}

/* ---- An answer in parts ---- */

static enum sl_http1_event added(struct sl_http1 *reader, enum sl_status status)
{
    return status == SL_OK ? SL_HTTP1_MORE : refuse(reader, status);
}

static bool is_at(const struct sl_http1 *reader, unsigned phase)
{
    return reader->answers && reader->phase == phase;
}

enum sl_http1_event sl_http1_add_code(struct sl_http1 *reader, int code)
{
    struct sl_reply *reply = is_at(reader, STATUS_LINE) ? sl_arena_alloc(reader->arena, sizeof *reply) : NULL;
    if (!reply || code < 100 || code > 599)
        return refuse(reader, is_at(reader, STATUS_LINE) && !reply ? SL_NO_MEMORY : SL_BAD_SYNTAX);
    reply->code = code;
    reader->reply = reply;
    reader->phase = FIELDS;
    return SL_HTTP1_MORE;
}

/* Name and value stand one behind the other in a line of the reader's text, and stay where it stays. */
static enum sl_status keep_field(struct sl_http1 *reader, struct sl_header *field)
{
    size_t room = header_room(reader), name = field->name.len;
    SL_TRY(append_run(reader, field->name, room, SL_HEADERS_TOO_LARGE));
    SL_TRY(append_run(reader, field->value, room, SL_HEADERS_TOO_LARGE));
    struct sl_slice line = current_line(reader);
    *field = (struct sl_header){{line.ptr, name}, trim(slice_between(line.ptr + name, line.ptr + line.len))};
    keep_line(reader);
    return SL_OK;
}

static enum sl_status take_field(struct sl_http1 *reader, struct sl_header field)
{
    bool trails = reader->phase != FIELDS;
    size_t bytes = field.name.len + SL_LIT(": ").len + field.value.len;
    if (reader->phase < FIELDS || !field.name.len || !all(field.name, TOKEN) || !all(field.value, LINE))
        return SL_BAD_SYNTAX;
    SL_TRY(count_field(reader, bytes, reader->field_count + 1));
    if (trails) {
        reader->field_count++;
        return judge_trailer(reader, field.name);
    }
    SL_TRY(keep_field(reader, &field));
    return note_field(reader, field);
}

enum sl_http1_event sl_http1_add_field(struct sl_http1 *reader, struct sl_slice name, struct sl_slice value)
{
    if (reader->phase == REFUSED)
        return SL_HTTP1_BAD;
    return added(reader, take_field(reader, (struct sl_header){name, value}));
}

enum sl_http1_event sl_http1_add_head_end(struct sl_http1 *reader)
{
    return is_at(reader, FIELDS) ? end_reply_head(reader) : refuse(reader, SL_BAD_SYNTAX);
}

enum sl_http1_event sl_http1_add_body(struct sl_http1 *reader, struct sl_slice bytes)
{
    struct input in = {bytes.ptr, bytes.ptr + bytes.len};
    enum sl_http1_event event = SL_HTTP1_MORE;
    if (reader->phase == REFUSED)
        return SL_HTTP1_BAD;
    if (!bytes.len)
        return SL_HTTP1_MORE;
    if (reader->phase == UNTIL_CLOSE)
        return step_until_close(reader, &in);
    if (reader->phase == LENGTH_BODY)
        event = step_length_body(reader, &in);
    return event == SL_HTTP1_BAD || in.at == in.end ? event : refuse(reader, SL_BAD_SYNTAX);
}

enum sl_http1_event sl_http1_add_end(struct sl_http1 *reader)
{
    return reader->phase == WHOLE ? SL_HTTP1_DONE : sl_http1_end(reader);
}

bool sl_http1_is_whole(const struct sl_http1 *reader)
{
    return reader->phase == WHOLE;
}

struct sl_slice sl_headers_find(const struct sl_header *headers, size_t count, struct sl_slice name)
{
    for (size_t i = 0; i < count; i++)
        if (same_name(headers[i].name, name))
            return headers[i].value;
    return (struct sl_slice){NULL, 0};
}

struct sl_slice sl_request_header(const struct sl_request *request, struct sl_slice name, size_t *count)
{
    struct sl_slice value = {NULL, 0};
    size_t found = 0;
    for (size_t i = 0; i < request->header_count; i++)
        if (same_name(request->headers[i].name, name) && found++ == 0)
            value = request->headers[i].value;
    if (count)
        *count = found;
    return value;
}

/* ---- The head of an answer ---- */

/* RFC 9110 15: the phrase is for people; clients go by the number. */
static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
};

static const char *reason_of(int status)
{
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "";
}

static void add_field(struct sl_buffer *out, struct sl_slice name, struct sl_slice value)
{
    sl_buffer_add(out, name);
    sl_buffer_add(out, SL_LIT(": "));
    sl_buffer_add(out, value);
    sl_buffer_add(out, SL_LIT("\r\n"));
}

static bool good_field(const struct sl_header *field)
{
    return field->name.len && all(field->name, TOKEN) && all(field->value, LINE);
}

bool sl_http1_write_head(struct sl_buffer *out, const struct sl_http1_answer *answer)
{
    const struct sl_response *response = answer->response;
    if (response->status < 200 || response->status > 599)
        return false;
    sl_buffer_printf(out, "HTTP/1.1 %d %s\r\n", response->status, reason_of(response->status));
    add_field(out, SL_LIT("Date"), answer->date);
    for (size_t i = 0; i < response->header_count; i++) {
        if (!good_field(&response->headers[i]))
            return false;
        add_field(out, response->headers[i].name, response->headers[i].value);
    }
    /* RFC 9110 8.6: no Content-Length with 204; with 304 it would have to be that of the 200. */
    if (response->status != 204 && response->status != 304)
        sl_buffer_printf(out, "Content-Length: %zu\r\n", response->body ? response->body->total : 0);
    if (answer->close)
        add_field(out, SL_LIT("Connection"), SL_LIT("close"));
    else if (answer->persist)
        add_field(out, SL_LIT("Connection"), SL_LIT("keep-alive"));
    sl_buffer_add(out, SL_LIT("\r\n"));
    return !sl_buffer_failed(out);
}

/* ---- The head of a question ---- */

struct sl_slice sl_http1_method_name(enum sl_method method)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (methods[i].method == method)
            return methods[i].text;
    return (struct sl_slice){NULL, 0};
}

/* What a server gives as the place of the next page comes back to it as it was; but nothing that ends a word or a line.
 */
static bool good_target(struct sl_slice target)
{
    for (size_t i = 0; i < target.len; i++)
        if (target.ptr[i] <= ' ' || target.ptr[i] == 0x7f || target.ptr[i] == '#')
            return false;
    return true;
}

bool sl_http1_write_question(struct sl_buffer *out, const struct sl_http1_question *question)
{
    const struct sl_slice parts[] = {sl_http1_method_name(question->method), SL_LIT(" "), question->base,
        question->target, SL_LIT(" HTTP/1.1\r\n"), question->fixed};
    if (!parts[0].len || !(question->base.len + question->target.len) || !good_target(question->target))
        return false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        sl_buffer_add(out, parts[i]);
    for (size_t i = 0; i < question->header_count; i++) {
        if (!good_field(&question->headers[i]))
            return false;
        add_field(out, question->headers[i].name, question->headers[i].value);
    }
    if (question->body.ptr)
        sl_buffer_printf(out, "Content-Length: %zu\r\n", question->body.len);
    sl_buffer_add(out, SL_LIT("\r\n"));
    return !sl_buffer_failed(out);
}
