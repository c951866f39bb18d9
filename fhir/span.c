/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing, and looking at what was parsed: see sluice/span.h. */
#include "sluice/span.h"

#include "span_build.h"

const struct sl_doc_limits sl_doc_limits_default = {32u << 20, 4u << 20, 64};

#define MOST_BYTES 0xfffffff0u

static enum sl_status parse(const struct sl_scanner *scanner, struct sl_arena *arena, struct sl_slice text,
    const struct sl_doc_limits *limits, struct sl_doc *out, struct sl_doc_error *error)
{
    if (text.len > limits->bytes || text.len > MOST_BYTES) {
        *error = (struct sl_doc_error){limits->bytes < MOST_BYTES ? limits->bytes : MOST_BYTES, "too many bytes"};
        return SL_LIMIT;
    }
    struct sl_scan scan = {.text = text, .depth = limits->depth};
    scan.blocks = sl_arena_raw(arena, (text.len + SL_SCAN_BYTES - 1) / SL_SCAN_BYTES, sizeof *scan.blocks);
    if (!scan.blocks)
        return SL_NO_MEMORY;
    scanner->scan(&scan);
    size_t good = text.len;
    if (scan.stopped || scan.open) {
        error->offset = sl_scan_locate(&scan, &error->why, &good);
    }
    return sl_span_build(arena, &scan, scanner, good, limits, out, error);
}

enum sl_status sl_doc_parse_with(const struct sl_scanner *scanner, struct sl_arena *arena, struct sl_slice text,
    const struct sl_doc_limits *limits, struct sl_doc *out, struct sl_doc_error *error)
{
    struct sl_doc_error fault = {0, "out of memory"};
    *out = (struct sl_doc){0};
    enum sl_status status = parse(scanner, arena, text, limits ? limits : &sl_doc_limits_default, out, &fault);
    if (error)
        *error = status == SL_OK ? (struct sl_doc_error){0} : fault;
    return status;
}

enum sl_status sl_doc_parse_portable(struct sl_arena *arena, struct sl_slice text, const struct sl_doc_limits *limits,
    struct sl_doc *out, struct sl_doc_error *error)
{
    return sl_doc_parse_with(&sl_scanner_portable, arena, text, limits, out, error);
}

enum sl_status sl_doc_parse(struct sl_arena *arena, struct sl_slice text, const struct sl_doc_limits *limits,
    struct sl_doc *out, struct sl_doc_error *error)
{
    return sl_doc_parse_with(sl_scanner_at(0), arena, text, limits, out, error);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Back from the value over white space, the colon, and white space, to the closing quote; keys hold no escapes. */
struct sl_slice sl_span_key(const struct sl_doc *doc, uint32_t i)
{
    if (!(doc->spans[i].flags & SL_SPAN_MEMBER))
        return (struct sl_slice){NULL, 0};
    const char *end = doc->text.ptr + doc->spans[i].begin - 1;
    while (is_space(*end) || *end == ':')
        end--;
    const char *begin = end - 1; /* not by memrchr: sanitizers would look at all of the text before it */
    while (*begin != '"')
        begin--;
    return (struct sl_slice){begin + 1, (size_t)(end - begin - 1)};
}

struct sl_slice sl_span_string(const struct sl_doc *doc, uint32_t i, struct sl_arena *arena)
{
    struct sl_slice raw = sl_span_raw(doc, i);
    if (!(doc->spans[i].flags & SL_SPAN_ESCAPED))
        return raw;
    char *value = sl_arena_raw(arena, raw.len, 1); /* an escape is never shorter than what it stands for */
    if (!value)
        return (struct sl_slice){NULL, 0};
    size_t length = 0;
    for (size_t at = 0; at < raw.len;) {
        unsigned got = 1;
        if (raw.ptr[at] == '\\') {
            char bytes[4];
            at += sl_span_unescape(raw.ptr + at, raw.len - at, bytes, &got);
            memcpy(value + length, bytes, got);
        } else {
            value[length] = raw.ptr[at++];
        }
        length += got;
    }
    return (struct sl_slice){value, length};
}

bool sl_span_is(const struct sl_doc *doc, uint32_t i, struct sl_slice value)
{
    if (doc->spans[i].type != SL_SPAN_STRING)
        return false;
    struct sl_slice raw = sl_span_raw(doc, i);
    if (!(doc->spans[i].flags & SL_SPAN_ESCAPED))
        return sl_slice_eq(raw, value);
    size_t done = 0;
    for (size_t at = 0; at < raw.len;) {
        char bytes[4] = {raw.ptr[at]};
        unsigned got = 1;
        if (raw.ptr[at] == '\\')
            at += sl_span_unescape(raw.ptr + at, raw.len - at, bytes, &got);
        else
            at++;
        if (value.len - done < got || memcmp(value.ptr + done, bytes, got) != 0)
            return false;
        done += got;
    }
    return done == value.len;
}

static uint32_t find_member(const struct sl_doc *doc, uint32_t object, uint16_t name, uint8_t sibling)
{
    if (!name || doc->spans[object].type != SL_SPAN_OBJECT)
        return 0;
    for (uint32_t c = object + 1; c < doc->spans[object].next; c = doc->spans[c].next)
        if (doc->spans[c].name == name && (doc->spans[c].flags & SL_SPAN_SIBLING) == sibling)
            return c;
    return 0;
}

uint32_t sl_span_member(const struct sl_doc *doc, uint32_t object, uint16_t name)
{
    return find_member(doc, object, name, 0);
}

uint32_t sl_span_sibling(const struct sl_doc *doc, uint32_t object, uint16_t name)
{
    return find_member(doc, object, name, SL_SPAN_SIBLING);
}

uint32_t sl_span_member_key(const struct sl_doc *doc, uint32_t object, struct sl_slice key)
{
    if (doc->spans[object].type != SL_SPAN_OBJECT)
        return 0;
    for (uint32_t c = object + 1; c < doc->spans[object].next; c = doc->spans[c].next)
        if (sl_slice_eq(sl_span_key(doc, c), key))
            return c;
    return 0;
}
