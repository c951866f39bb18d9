/* SPDX-License-Identifier: Apache-2.0 */
/* Formats of answers: see format.h. */
#include "format.h"

#include <strings.h>
#include <zlib.h>

#include "inflate.h"
#include "sluice/xml.h"

#define BEST 1000u /* a quality of 1 */

static const struct format {
    struct sl_slice type, word;
} formats[] = {
    [SL_FORMAT_JSON] = {{"application/fhir+json; charset=utf-8", 36}, {"json", 4}},
    [SL_FORMAT_XML] = {{"application/fhir+xml; charset=utf-8", 35}, {"xml", 3}},
    [SL_FORMAT_BYTES] = {{"application/octet-stream", 24}, {"", 0}},
};

struct sl_slice sl_format_type(enum sl_format format)
{
    return formats[format].type;
}

struct sl_slice sl_format_word(enum sl_format format)
{
    return formats[format].word;
}

/* ---- Words ---- */

static struct sl_slice trim(struct sl_slice text)
{
    while (text.len && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
        text = sl_slice_from(text, 1);
    while (text.len && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

struct sl_slice sl_format_take(struct sl_slice *text, char mark)
{
    const char *found = text->len ? memchr(text->ptr, mark, text->len) : NULL;
    struct sl_slice part = {text->ptr, found ? (size_t)(found - text->ptr) : text->len};
    *text = sl_slice_from(*text, part.len + 1);
    return trim(part);
}

bool sl_format_same(struct sl_slice text, struct sl_slice word)
{
    return text.len == word.len && strncasecmp(text.ptr, word.ptr, word.len) == 0;
}

/* What names a format. In `_format` a '+' that was not escaped has become a blank, and there are short words. */
static const struct name {
    struct sl_slice name;
    enum sl_format format;
    bool of_fhir, parameter_only;
} names[] = {
    {{"application/fhir+json", 21}, SL_FORMAT_JSON, true, false},
    {{"application/json", 16}, SL_FORMAT_JSON, true, false},
    {{"text/json", 9}, SL_FORMAT_JSON, true, false},
    {{"application/fhir json", 21}, SL_FORMAT_JSON, true, true},
    {{"json", 4}, SL_FORMAT_JSON, true, true},
    {{"application/fhir+xml", 20}, SL_FORMAT_XML, true, false},
    {{"application/fhir xml", 20}, SL_FORMAT_XML, true, true},
    {{"xml", 3}, SL_FORMAT_XML, true, true},
    /* A Binary may well hold XML: these ask for its bytes. */
    {{"application/xml", 15}, SL_FORMAT_XML, false, false},
    {{"text/xml", 8}, SL_FORMAT_XML, false, false},
};

static const struct name *find_name(struct sl_slice media, bool parameter, bool binary)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (sl_format_same(media, names[i].name) && (parameter || !names[i].parameter_only) &&
            (!binary || names[i].of_fhir))
            return &names[i];
    return NULL;
}

/* RFC 9110, 12.4.2: up to three digits behind the point. */
static unsigned read_quality(struct sl_slice text)
{
    unsigned quality = 0, digit = BEST / 10;
    if (text.len && text.ptr[0] != '0')
        return BEST;
    for (size_t i = 2; i < text.len && i < 5 && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++, digit /= 10)
        quality += (unsigned)(text.ptr[i] - '0') * digit;
    return quality;
}

/* Of the parameters of a media range; 0: it is excluded, or of another version of FHIR than ours. */
static unsigned quality_of(struct sl_slice parameters)
{
    unsigned quality = BEST;
    while (parameters.len) {
        struct sl_slice one = sl_format_take(&parameters, ';');
        struct sl_slice name = sl_format_take(&one, '=');
        if (sl_format_same(name, SL_LIT("q")))
            quality = read_quality(trim(one));
        if (sl_format_same(name, SL_LIT("fhirVersion")) && !sl_slice_eq(trim(one), SL_LIT("4.0")))
            return 0;
    }
    return quality;
}

/* ---- Which one ---- */

struct wish {
    unsigned quality[sizeof formats / sizeof *formats]; /* of what is named; 0: it is not */
    unsigned any;                                       /* of what may be anything */
    bool said;
};

static void read_accept(struct sl_slice accept, bool binary, struct wish *wish)
{
    while (accept.len) {
        struct sl_slice range = sl_format_take(&accept, ',');
        struct sl_slice media = sl_format_take(&range, ';');
        unsigned quality = quality_of(range);
        const struct name *name = find_name(media, false, binary);
        bool any = sl_slice_eq(media, SL_LIT("*/*")) || sl_format_same(media, SL_LIT("application/*"));
        wish->said |= media.len > 0;
        unsigned *at = name ? &wish->quality[name->format] : any || (binary && media.len) ? &wish->any : NULL;
        if (at && quality > *at)
            *at = quality;
    }
}

/* What is named goes before what may be anything, of equals JSON. */
static enum sl_status choose(const struct wish *wish, bool binary, enum sl_format *out)
{
    unsigned json = wish->quality[SL_FORMAT_JSON], xml = wish->quality[SL_FORMAT_XML];
    unsigned named = json > xml ? json : xml;
    *out = json >= xml ? SL_FORMAT_JSON : SL_FORMAT_XML;
    if (named && (binary || named >= wish->any))
        return SL_OK;
    *out = binary ? SL_FORMAT_BYTES : SL_FORMAT_JSON;
    return wish->any || !wish->said ? SL_OK : SL_NOT_ACCEPTABLE;
}

enum sl_status sl_format_find(
    const struct sl_request *request, struct sl_slice parameter, bool binary, enum sl_format *out)
{
    struct wish wish = {0};
    if (parameter.ptr) {
        const struct name *name = find_name(sl_format_take(&parameter, ';'), true, binary);
        *out = name ? name->format : SL_FORMAT_BYTES;
        return name || binary ? SL_OK : SL_NOT_ACCEPTABLE;
    }
    for (size_t i = 0; i < request->header_count; i++)
        if (sl_format_same(request->headers[i].name, SL_LIT("accept")))
            read_accept(request->headers[i].value, binary, &wish);
    return choose(&wish, binary, out);
}

/* ---- XML ---- */

static struct sl_slice join(const struct sl_blocks *body)
{
    if (body->first && body->first == body->last)
        return (struct sl_slice){body->first->ptr, body->first->len};
    char *text = sl_arena_raw(body->arena, body->total + 1, 1);
    size_t len = 0;
    for (const struct sl_block *block = body->first; text && block; block = block->next) {
        memcpy(text + len, block->ptr, block->len);
        len += block->len;
    }
    return (struct sl_slice){text, len};
}

static enum sl_status as_xml(struct sl_slice json, struct sl_arena *arena, struct sl_buffer *xml)
{
    struct sl_doc doc;
    enum sl_status status = sl_doc_parse(arena, json, NULL, &doc, NULL);
    if (status == SL_OK)
        status = sl_xml_write(&doc, 0, xml, NULL);
    return status == SL_INVALID ? SL_NOT_ACCEPTABLE : status;
}

enum sl_status sl_format_as_xml(struct sl_blocks *body)
{
    struct sl_blocks out = {.arena = body->arena};
    struct sl_slice json = join(body);
    struct sl_buffer xml;
    if (!json.ptr)
        return SL_NO_MEMORY;
    sl_buffer_init(&xml, json.len * 6 + 4096); /* a "&" becomes five characters, a name stands twice */
    enum sl_status status = as_xml(json, body->arena, &xml);
    if (status == SL_OK)
        sl_blocks_add(&out, sl_buffer_slice(&xml));
    sl_buffer_fini(&xml);
    if (status == SL_OK && out.failed)
        return SL_NO_MEMORY;
    if (status == SL_OK)
        *body = out;
    return status;
}

/* ---- gzip ---- */

bool sl_format_takes_gzip(const struct sl_request *request)
{
    unsigned best = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        struct sl_slice list = request->headers[i].value;
        while (sl_format_same(request->headers[i].name, SL_LIT("accept-encoding")) && list.len) {
            struct sl_slice coding = sl_format_take(&list, ',');
            struct sl_slice name = sl_format_take(&coding, ';');
            unsigned quality = quality_of(coding);
            if ((sl_format_same(name, SL_LIT("gzip")) || sl_format_same(name, SL_LIT("x-gzip"))) && quality > best)
                best = quality;
        }
    }
    return best > 0;
}

/* Gives zlib what it has been shown, and takes what comes out. */
static bool deflate_some(z_stream *stream, int flush, struct sl_blocks *out)
{
    unsigned char chunk[16384];
    int result;
    do {
        stream->next_out = chunk;
        stream->avail_out = sizeof chunk;
        result = deflate(stream, flush);
        if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
            return false;
        sl_blocks_add(out, (struct sl_slice){(const char *)chunk, sizeof chunk - stream->avail_out});
    } while (!stream->avail_out);
    return flush != Z_FINISH || result == Z_STREAM_END;
}

enum sl_status sl_format_gzip(struct sl_blocks *body)
{
    struct sl_blocks out = {.arena = body->arena};
    z_stream stream = {0};
    bool good =
        deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + 16, MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK;
    if (!good)
        return SL_NO_MEMORY;
    for (const struct sl_block *block = body->first; good && block; block = block->next) {
        stream.next_in = (unsigned char *)block->ptr;
        stream.avail_in = (uInt)block->len;
        good = deflate_some(&stream, block->next ? Z_NO_FLUSH : Z_FINISH, &out);
    }
    deflateEnd(&stream);
    if (!good || out.failed)
        return SL_NO_MEMORY;
    *body = out;
    return SL_OK;
}

/* ---- gunzip ---- */

#define SMALL ((size_t)64 * 1024) /* so much may come of anything, whatever the ratio */

enum sl_status sl_format_gunzip(struct sl_slice packed, size_t limit, struct sl_arena *arena, struct sl_slice *out)
{
    char *text = NULL;
    size_t len = 0, most = limit;
    if (limit > SMALL && packed.len < (limit - SMALL) / SL_GUNZIP_RATIO)
        most = packed.len * SL_GUNZIP_RATIO + SMALL;
    enum sl_status status = sl_inflate(packed, most, arena, &text, &len);
    *out = (struct sl_slice){text, len};
    return status == SL_LIMIT ? SL_TOO_LARGE : status == SL_UPSTREAM ? SL_BAD_SYNTAX : status;
}
