/* SPDX-License-Identifier: Apache-2.0 */
/* See content.h. Three steps: base64, character set, kind. */
#include "content.h"

#include <strings.h>

#define MAGIC_BYTES 1024u /* how far into a file its readers look for "%PDF-" */

/* ---- Base64 ---- */

/* A character's six bits, marked as such; or what else it is. Zero: nothing that belongs here. */
#define DIGIT 0x40u
#define SPACE 1u
#define PAD 2u
/* clang-format off */
static const unsigned char values[256] = {
    ['\t'] = SPACE, ['\n'] = SPACE, ['\r'] = SPACE, [' '] = SPACE, ['='] = PAD,
    ['A'] = 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76,
    77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89,
    ['a'] = 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102,
    103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115,
    ['0'] = 116, 117, 118, 119, 120, 121, 122, 123, 124, 125,
    ['+'] = 126, ['/'] = 127};
/* clang-format on */

struct decoding {
    const unsigned char *p, *end;
    unsigned char *out;
};

static void put(struct decoding *d, uint32_t group)
{
    d->out[0] = (unsigned char)(group >> 16);
    d->out[1] = (unsigned char)(group >> 8);
    d->out[2] = (unsigned char)group;
    d->out += 3;
}

/* Groups of four characters with nothing between. */
static void decode_run(struct decoding *d)
{
    while (d->end - d->p >= 4) {
        uint32_t a = values[d->p[0]], b = values[d->p[1]], c = values[d->p[2]], e = values[d->p[3]];
        if (!(a & b & c & e & DIGIT))
            return;
        put(d, (a << 18) + (b << 12) + (c << 6) + e - (DIGIT << 18) - (DIGIT << 12) - (DIGIT << 6) - DIGIT);
        d->p += 4;
    }
}

static void skip_space(struct decoding *d)
{
    while (d->p < d->end && values[*d->p] == SPACE)
        d->p++;
}

/* The group that ends it: two or three characters, padded to four, no bit of them left over. */
static bool decode_last(struct decoding *d, uint32_t group, unsigned count)
{
    for (unsigned pads = 4 - count; pads; pads--, skip_space(d))
        if (d->p == d->end || values[*d->p++] != PAD)
            return false;
    if (d->p != d->end || count < 2 || group & (count == 2 ? 0xffffu : 0xffu))
        return false;
    *d->out++ = (unsigned char)(group >> 16);
    if (count == 3)
        *d->out++ = (unsigned char)(group >> 8);
    return true;
}

/* One group that has something else between its characters, or behind them. */
static bool decode_group(struct decoding *d)
{
    uint32_t group = 0;
    unsigned count = 0;
    for (skip_space(d); count < 4 && d->p < d->end; skip_space(d)) {
        unsigned char value = values[*d->p];
        if (value == PAD)
            return decode_last(d, group, count);
        if (!(value & DIGIT))
            return false;
        group |= (uint32_t)(value - DIGIT) << (18 - 6 * count++);
        d->p++;
    }
    if (count == 4)
        put(d, group);
    return count == 4 || count == 0;
}

bool sl_content_decode(struct sl_slice base64, struct sl_arena *arena, struct sl_slice *bytes)
{
    *bytes = (struct sl_slice){NULL, 0};
    if (base64.len / 4 * 3 > SL_CONTENT_BYTES)
        return false;
    unsigned char *out = sl_arena_raw(arena, base64.len / 4 * 3 + 4, 1);
    if (!out)
        return false;
    const unsigned char *begin = (const unsigned char *)base64.ptr;
    struct decoding d = {.p = begin, .end = base64.len ? begin + base64.len : begin, .out = out};
    while (d.p < d.end) {
        decode_run(&d);
        if (!decode_group(&d))
            return false;
    }
    *bytes = (struct sl_slice){(const char *)out, (size_t)(d.out - out)};
    return true;
}

/* ---- Words in what is said ---- */

static bool starts(struct sl_slice text, const char *start)
{
    size_t len = strlen(start);
    return text.len >= len && strncasecmp(text.ptr, start, len) == 0;
}

static bool is(struct sl_slice text, const char *word)
{
    return text.len == strlen(word) && starts(text, word);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct sl_slice trim(struct sl_slice s, const char *also)
{
    while (s.len && (is_space(*s.ptr) || strchr(also, *s.ptr)))
        s = sl_slice_from(s, 1);
    while (s.len && (is_space(s.ptr[s.len - 1]) || strchr(also, s.ptr[s.len - 1])))
        s.len--;
    return s;
}

static struct sl_slice up_to(struct sl_slice s, char c)
{
    const char *at = s.len ? memchr(s.ptr, c, s.len) : NULL;
    return at ? (struct sl_slice){s.ptr, (size_t)(at - s.ptr)} : s;
}

static struct sl_slice first(struct sl_slice s, size_t len)
{
    return (struct sl_slice){s.ptr, s.len < len ? s.len : len};
}

static bool holds(struct sl_slice text, const char *word)
{
    return text.len && memmem(text.ptr, text.len, word, strlen(word));
}

/* ---- Character sets ---- */

enum charset { CHARSET_UNSAID, CHARSET_UTF8, CHARSET_BYTE, CHARSET_UTF16LE, CHARSET_UTF16BE, CHARSET_STRANGE };

/* Of those with one byte a character only the ASCII half matters: words are ASCII. Whatever is not here may write its
 * letters in ways of its own (UTF-7, ISO-2022), and is not read. */
static enum charset charset_named(struct sl_slice name)
{
    static const struct {
        const char *start;
        enum charset charset;
    } known[] = {{"utf-8", CHARSET_UTF8}, {"utf8", CHARSET_UTF8}, {"us-ascii", CHARSET_UTF8}, {"ascii", CHARSET_UTF8},
        {"utf-16be", CHARSET_UTF16BE}, {"utf-16", CHARSET_UTF16LE}, {"utf16", CHARSET_UTF16LE},
        {"iso-8859-", CHARSET_BYTE}, {"iso8859-", CHARSET_BYTE}, {"iso_8859-", CHARSET_BYTE}, {"latin1", CHARSET_BYTE},
        {"latin-1", CHARSET_BYTE}, {"windows-125", CHARSET_BYTE}, {"cp125", CHARSET_BYTE}, {"l1", CHARSET_BYTE}};
    if (!name.len)
        return CHARSET_UNSAID;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (starts(name, known[i].start))
            return known[i].charset;
    return CHARSET_STRANGE;
}

/* "text/plain; charset=utf-8" */
static struct sl_slice charset_of_type(struct sl_slice type)
{
    const char *at = type.len ? memchr(type.ptr, ';', type.len) : NULL;
    while (at) {
        struct sl_slice rest = sl_slice_from(type, (size_t)(at + 1 - type.ptr));
        struct sl_slice parameter = trim(up_to(rest, ';'), "");
        struct sl_slice name = trim(up_to(parameter, '='), "");
        if (is(name, "charset"))
            return trim(sl_slice_from(parameter, up_to(parameter, '=').len + 1), "\"'");
        at = rest.len ? memchr(rest.ptr, ';', rest.len) : NULL;
    }
    return (struct sl_slice){NULL, 0};
}

/* <?xml version="1.0" encoding="ISO-8859-1"?> */
static struct sl_slice charset_of_xml(struct sl_slice bytes)
{
    if (!starts(bytes, "<?xml"))
        return (struct sl_slice){NULL, 0};
    struct sl_slice said = up_to(first(bytes, 256), '>');
    const char *at = memmem(said.ptr, said.len, "encoding", 8);
    if (!at)
        return (struct sl_slice){NULL, 0};
    struct sl_slice rest = trim(sl_slice_from(said, (size_t)(at + 8 - said.ptr)), "=");
    if (!rest.len || (*rest.ptr != '"' && *rest.ptr != '\''))
        return SL_LIT("?");
    return up_to(sl_slice_from(rest, 1), *rest.ptr);
}

/* Without a mark, and nothing said: ASCII in UTF-16 has a zero in every other byte. */
static enum charset charset_by_zeros(struct sl_slice bytes)
{
    if (bytes.len < 4 || bytes.len % 2)
        return CHARSET_UNSAID;
    bool even = !bytes.ptr[0] && !bytes.ptr[2], odd = !bytes.ptr[1] && !bytes.ptr[3];
    return even == odd ? CHARSET_UNSAID : even ? CHARSET_UTF16BE : CHARSET_UTF16LE;
}

/* The set, and how many bytes its mark takes. A mark overrules what is said, as it does in browsers. */
static enum charset find_charset(struct sl_slice type, struct sl_slice bytes, size_t *mark)
{
    *mark = 0;
    if (sl_slice_starts(bytes, SL_LIT("\xef\xbb\xbf"))) {
        *mark = 3;
        return CHARSET_UTF8;
    }
    if (sl_slice_starts(bytes, (struct sl_slice){"\xff\xfe\0\0", 4}) ||
        sl_slice_starts(bytes, (struct sl_slice){"\0\0\xfe\xff", 4}))
        return CHARSET_STRANGE;
    if (sl_slice_starts(bytes, SL_LIT("\xff\xfe")) || sl_slice_starts(bytes, SL_LIT("\xfe\xff"))) {
        *mark = 2;
        return (unsigned char)bytes.ptr[0] == 0xff ? CHARSET_UTF16LE : CHARSET_UTF16BE;
    }
    enum charset zeros = charset_by_zeros(bytes);
    if (zeros != CHARSET_UNSAID)
        return zeros;
    enum charset charset = charset_named(charset_of_type(type));
    enum charset within = charset_named(charset_of_xml(bytes));
    return charset == CHARSET_UNSAID ? within : within == CHARSET_STRANGE ? CHARSET_STRANGE : charset;
}

/* UTF-16 to UTF-8. False: half a surrogate pair, half a character, or no memory. */
static bool from_utf16(struct sl_slice bytes, bool big, struct sl_arena *arena, struct sl_slice *text)
{
    const unsigned char *p = (const unsigned char *)bytes.ptr;
    unsigned char *out = bytes.len % 2 ? NULL : sl_arena_raw(arena, bytes.len / 2 * 3 + 1, 1);
    size_t n = 0;
    if (!out)
        return false;
    for (size_t i = 0; i + 1 < bytes.len; i += 2) {
        uint32_t c = big ? (uint32_t)p[i] << 8 | p[i + 1] : (uint32_t)p[i + 1] << 8 | p[i];
        if (c >= 0xd800 && c < 0xe000) {
            uint32_t low = i + 3 >= bytes.len ? 0
                           : big              ? (uint32_t)p[i + 2] << 8 | p[i + 3]
                                              : (uint32_t)p[i + 3] << 8 | p[i + 2];
            if (c >= 0xdc00 || low < 0xdc00 || low >= 0xe000)
                return false;
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            i += 2;
        }
        unsigned more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
        out[n++] = (unsigned char)(more ? (0xffu << (7 - more) & 0xffu) | c >> (6 * more) : c);
        while (more)
            out[n++] = (unsigned char)(0x80 | (c >> (6 * --more) & 0x3f));
    }
    *text = (struct sl_slice){(const char *)out, n};
    return true;
}

/* Bytes beyond ASCII of a set with one byte a character: no letter of a word, so that any one stands for all. */
static bool from_bytes(struct sl_slice bytes, struct sl_arena *arena, struct sl_slice *text)
{
    char *out = sl_arena_raw(arena, bytes.len + 1, 1);
    if (!out)
        return false;
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];
        out[i] = c < 0x80 ? (char)c : c == 0xa0 ? ' ' : '?';
        if (c == 0xad)
            out[i] = 0x7f; /* a soft hyphen: nothing, as other control characters are */
    }
    *text = (struct sl_slice){out, bytes.len};
    return true;
}

/* How long the sequence of UTF-8 at p is; 0: it is none. */
static unsigned utf8_length(const unsigned char *p, size_t left)
{
    unsigned n = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] < 0xf5 ? 4 : 0;
    if (p[0] >= 0x80 && p[0] < 0xc2)
        return 0;
    if (n == 0 || n > left)
        return 0;
    for (unsigned i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool beyond = (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f);
    return overlong || beyond ? 0 : n;
}

/* What a look over all bytes tells: whether they are UTF-8, and whether they are text by their control characters. A
 * NUL is none, an escape may begin another character set, and a file with many others is something else. */
struct looks {
    bool utf8, legible;
};

/* Eight bytes of plain ASCII? */
static inline bool is_plain(const unsigned char *p)
{
    const uint64_t high = 0x8080808080808080u, space = 0x2020202020202020u;
    uint64_t eight;
    memcpy(&eight, p, sizeof eight);
    return !((eight | (eight - space)) & high);
}

static struct looks look_at(struct sl_slice text)
{
    const unsigned char *p = (const unsigned char *)text.ptr, *end = text.len ? p + text.len : p;
    struct looks looks = {.utf8 = true, .legible = true};
    size_t odd = 0;
    while (p < end) {
        if (end - p >= 8 && is_plain(p)) {
            p += 8;
            continue;
        }
        unsigned n = *p < 0x80 ? 1 : utf8_length(p, (size_t)(end - p));
        looks.utf8 &= n > 0;
        looks.legible &= *p != 0 && *p != 0x1b;
        odd += *p < 0x20 && (unsigned char)(*p - '\t') > '\r' - '\t';
        p += n ? n : 1;
    }
    looks.legible &= odd <= text.len / 64;
    return looks;
}

/* Said to be text: what is no UTF-8 is then in some set with one byte a character. */
static bool to_utf8(
    struct sl_slice bytes, enum charset charset, bool said, struct sl_arena *arena, struct sl_slice *text)
{
    struct looks looks;
    switch (charset) {
    case CHARSET_UTF16LE:
    case CHARSET_UTF16BE:
        return from_utf16(bytes, charset == CHARSET_UTF16BE, arena, text) && look_at(*text).legible;
    case CHARSET_BYTE:
        return look_at(bytes).legible && from_bytes(bytes, arena, text);
    case CHARSET_UTF8:
    case CHARSET_UNSAID:
        looks = look_at(bytes);
        *text = bytes;
        return looks.legible && (looks.utf8 || (said && from_bytes(bytes, arena, text)));
    case CHARSET_STRANGE:
        break;
    }
    return false;
}

/* ---- Kinds ---- */

/* Types that no reader of text should look into: what they show is not in their bytes as text, or their codes would go
 * unread though their words are not. */
static bool is_opaque(struct sl_slice type)
{
    static const char *const opaque[] = {"image/", "audio/", "video/", "font/", "model/", "multipart/", "message/",
        "application/pdf", "application/x-pdf", "text/pdf", "application/postscript", "application/dicom",
        "application/zip", "application/gzip", "application/fhir+", "application/json+fhir", "application/xml+fhir",
        "application/hl7-v2", "application/x-hl7", "application/edi", "application/msword", "application/vnd."};
    for (size_t i = 0; i < sizeof opaque / sizeof *opaque; i++)
        if (starts(type, opaque[i]))
            return true;
    return false;
}

/* The same by the first bytes: a message of HL7 v2, a MIME message, a FHIR resource. */
static bool looks_opaque(struct sl_slice bytes, struct sl_slice text)
{
    static const char *const begins[] = {"%!PS", "MSH|", "FHS|", "BHS|", "ISA*", "MIME-Version:", "Content-Type:"};
    if (holds(first(bytes, MAGIC_BYTES), "%PDF-"))
        return true;
    text = trim(text, "");
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (starts(text, begins[i]))
            return true;
    return text.len && (*text.ptr == '{' || *text.ptr == '[') &&
           holds(first(text, 4 * MAGIC_BYTES), "\"resourceType\"");
}

struct root {
    struct sl_slice name, tag; /* with its prefix; the whole start tag from its name on */
    bool declared, subset;     /* <?xml … ?>; a document type with declarations of its own */
    bool html;                 /* <!DOCTYPE html> */
};

/* Skips to behind `end`; the empty slice if it is not there. */
static struct sl_slice behind(struct sl_slice text, const char *end)
{
    const char *at = text.len ? memmem(text.ptr, text.len, end, strlen(end)) : NULL;
    return at ? sl_slice_from(text, (size_t)(at - text.ptr) + strlen(end)) : (struct sl_slice){NULL, 0};
}

static struct sl_slice skip_prolog(struct sl_slice text, struct root *root)
{
    for (text = trim(text, ""); text.len > 1 && text.ptr[0] == '<'; text = trim(text, "")) {
        if (text.ptr[1] == '?') {
            root->declared |= starts(text, "<?xml");
            text = behind(text, "?>");
        } else if (starts(text, "<!--")) {
            text = behind(text, "-->");
        } else if (starts(text, "<!DOCTYPE")) {
            struct sl_slice type = up_to(text, '>');
            root->html |= starts(trim(sl_slice_from(type, 9), ""), "html");
            root->subset |= holds(type, "[");
            text = sl_slice_from(text, type.len + 1);
        } else {
            break;
        }
    }
    return text;
}

/* The end of a start tag, quotes minded; its length if it has none. */
static size_t tag_length(struct sl_slice text)
{
    char quote = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (quote)
            quote = text.ptr[i] == quote ? 0 : quote;
        else if (text.ptr[i] == '"' || text.ptr[i] == '\'')
            quote = text.ptr[i];
        else if (text.ptr[i] == '>')
            return i;
    }
    return text.len;
}

static struct root find_root(struct sl_slice text)
{
    struct root root = {0};
    text = skip_prolog(text, &root);
    if (text.len < 2 || *text.ptr != '<' || !(((text.ptr[1] | 0x20) >= 'a' && (text.ptr[1] | 0x20) <= 'z')))
        return root;
    text = sl_slice_from(text, 1);
    root.tag = first(text, tag_length(text));
    while (root.name.len < root.tag.len && !is_space(root.tag.ptr[root.name.len]) && root.tag.ptr[root.name.len] != '/')
        root.name = (struct sl_slice){root.tag.ptr, root.name.len + 1};
    return root;
}

static struct sl_slice local_name(struct sl_slice name)
{
    size_t prefix = up_to(name, ':').len;
    return prefix < name.len ? sl_slice_from(name, prefix + 1) : name;
}

/* Is the namespace of the root HL7's of version 3? Its attribute is looked for as `xmlns="…"` or `xmlns:p="…"`. */
static bool is_hl7(const struct root *root)
{
    size_t prefix = up_to(root->name, ':').len;
    struct sl_slice rest = sl_slice_from(root->tag, root->name.len);
    for (const char *at; (at = rest.len ? memmem(rest.ptr, rest.len, "xmlns", 5) : NULL);) {
        rest = sl_slice_from(rest, (size_t)(at + 5 - rest.ptr));
        struct sl_slice name = trim(up_to(rest, '='), ""),
                        value = trim(sl_slice_from(rest, up_to(rest, '=').len + 1), "");
        bool own = prefix == root->name.len ? name.len == 0
                                            : name.len == prefix + 1 && *name.ptr == ':' &&
                                                  memcmp(name.ptr + 1, root->name.ptr, prefix) == 0;
        if (own)
            return sl_slice_starts(value, SL_LIT("\"urn:hl7-org:v3\"")) ||
                   sl_slice_starts(value, SL_LIT("'urn:hl7-org:v3'"));
    }
    return false;
}

static enum sl_content_kind judge_markup(struct sl_slice type, struct sl_slice text)
{
    struct root root = find_root(text);
    bool said_html = starts(type, "text/html") || starts(type, "application/xhtml");
    bool said_xml = root.declared || holds(type, "xml");
    if (root.subset || holds(root.tag, "http://hl7.org/fhir"))
        return SL_CONTENT_UNREAD; /* entities of its own; a resource, whose codes words do not tell */
    if (is(local_name(root.name), "ClinicalDocument"))
        return is_hl7(&root) ? SL_CONTENT_CCDA : SL_CONTENT_UNREAD;
    if (said_html || root.html || is(root.name, "html"))
        return SL_CONTENT_HTML;
    if (root.name.len && !said_xml)
        return SL_CONTENT_HTML; /* a piece of a page, most likely */
    return root.name.len || said_xml ? SL_CONTENT_XML : SL_CONTENT_PLAIN;
}

enum sl_content_kind sl_content_judge(
    struct sl_slice type, struct sl_slice bytes, struct sl_arena *arena, struct sl_slice *text)
{
    size_t mark;
    *text = (struct sl_slice){NULL, 0};
    type = trim(type, "");
    if (is_opaque(type))
        return SL_CONTENT_UNREAD;
    enum charset charset = find_charset(type, bytes, &mark);
    bool said = starts(type, "text/") || holds(type, "xml") || holds(type, "rtf") || charset == CHARSET_UTF8;
    struct sl_slice found;
    if (!to_utf8(sl_slice_from(bytes, mark), charset, said, arena, &found) || looks_opaque(bytes, found))
        return SL_CONTENT_UNREAD;
    *text = found;
    if (starts(trim(found, ""), "{\\rtf"))
        return SL_CONTENT_RTF;
    enum sl_content_kind kind = judge_markup(type, found);
    if (kind == SL_CONTENT_UNREAD)
        *text = (struct sl_slice){NULL, 0};
    return kind;
}

void sl_content_read(struct sl_content *content, struct sl_slice data, struct sl_arena *arena)
{
    content->kind = SL_CONTENT_UNREAD;
    if (sl_content_decode(data, arena, &content->bytes))
        content->kind = sl_content_judge(content->type, content->bytes, arena, &content->text);
}
