/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text as a string search compares it: insensitive to case and to combining characters
 * (http://hl7.org/fhir/R4/search.html#string). Streaming, so that matching never allocates.
 */
#include "search_parts.h"
#include "sluice/search.h"

/*
 * Two characters a code point, '.' for none; ".." stays as it is. Derived from the compatibility decompositions of the
 * Unicode character database, with the usual spellings for what does not decompose (U+00DF ss, U+00E6 ae, U+00F8 o).
 */
static const char latin[] = /* U+00C0 to U+017F */
    "a.a.a.a.a.a.aec.e.e.e.e.i.i.i.i.d.n.o.o.o.o.o...o.u.u.u.u.y.thss"
    "a.a.a.a.a.a.aec.e.e.e.e.i.i.i.i.d.n.o.o.o.o.o...o.u.u.u.u.y.thy."
    "a.a.a.a.a.a.c.c.c.c.c.c.c.c.d.d.d.d.e.e.e.e.e.e.e.e.e.e.g.g.g.g."
    "g.g.g.g.h.h.h.h.i.i.i.i.i.i.i.i.i.i.ijijj.j.k.k.k.l.l.l.l.l.l.l."
    "l.l.l.n.n.n.n.n.n.n.n.n.o.o.o.o.o.o.oeoer.r.r.r.r.r.s.s.s.s.s.s."
    "s.s.t.t.t.t.t.t.u.u.u.u.u.u.u.u.u.u.u.u.w.w.y.y.y.z.z.z.z.z.z.s.";
static const char latin_additional[] = /* U+1E00 to U+1EFF */
    "a.a.b.b.b.b.b.b.c.c.d.d.d.d.d.d.d.d.d.d.e.e.e.e.e.e.e.e.e.e.f.f."
    "g.g.h.h.h.h.h.h.h.h.h.h.i.i.i.i.k.k.k.k.k.k.l.l.l.l.l.l.l.l.m.m."
    "m.m.m.m.n.n.n.n.n.n.n.n.o.o.o.o.o.o.o.o.p.p.p.p.r.r.r.r.r.r.r.r."
    "s.s.s.s.s.s.s.s.s.s.t.t.t.t.t.t.t.t.u.u.u.u.u.u.u.u.u.u.v.v.v.v."
    "w.w.w.w.w.w.w.w.w.w.x.x.x.x.y.y.z.z.z.z.z.z.h.t.w.y.a.s.s.s.ssd."
    "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.e.e.e.e.e.e.e.e."
    "e.e.e.e.e.e.e.e.i.i.i.i.o.o.o.o.o.o.o.o.o.o.o.o.o.o.o.o.o.o.o.o."
    "o.o.o.o.u.u.u.u.u.u.u.u.u.u.u.u.u.u.y.y.y.y.y.y.y.y.llllv.v.y.y.";
_Static_assert(sizeof latin == 2 * 0xc0 + 1 && sizeof latin_additional == 2 * 0x100 + 1, "a pair a code point");

static unsigned hex4(const char *at)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        value = value << 4 | (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

/* The backslash has been read. The text has been parsed, so the escape is whole, and surrogates come in pairs. */
static uint32_t escape(struct sl_fold *fold)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    char c = *fold->at++;
    const char *simple = memchr(from, c, sizeof from - 1);
    if (simple)
        return (unsigned char)to[simple - from];
    if (c != 'u' || fold->end - fold->at < 4)
        return (unsigned char)c;
    uint32_t point = hex4(fold->at);
    fold->at += 4;
    if (point >= 0xd800 && point < 0xdc00 && fold->end - fold->at >= 6) {
        point = 0x10000 + ((point - 0xd800) << 10) + (hex4(fold->at + 2) - 0xdc00);
        fold->at += 6;
    }
    return point;
}

/* The next code point; at < end. Bytes that are no UTF-8 (a query is checked, a document too) count as themselves. */
static uint32_t code_point(struct sl_fold *fold)
{
    unsigned char lead = (unsigned char)*fold->at++;
    if (lead == '\\' && fold->json && fold->at < fold->end)
        return escape(fold);
    int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
    if (fold->end - fold->at < more)
        return lead;
    uint32_t point = more == 3 ? lead & 7u : more == 2 ? lead & 15u : more == 1 ? lead & 31u : lead;
    while (more-- > 0)
        point = point << 6 | ((unsigned char)*fold->at++ & 0x3fu);
    return point;
}

static unsigned char put_utf8(char out[4], uint32_t c)
{
    if (c < 0x80)
        return out[0] = (char)c, 1;
    if (c < 0x800)
        return out[0] = (char)(0xc0 | c >> 6), out[1] = (char)(0x80 | (c & 0x3f)), 2;
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12), out[1] = (char)(0x80 | (c >> 6 & 0x3f)), out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | (c >> 18 & 7)), out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f)), out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

static uint32_t lower(uint32_t c)
{
    if ((c >= 'A' && c <= 'Z') || (c >= 0x391 && c <= 0x3a9) || (c >= 0x410 && c <= 0x42f))
        return c + 0x20; /* ASCII, Greek, Cyrillic */
    if (c >= 0x400 && c <= 0x40f)
        return c + 0x50;
    return c;
}

/* The folded form of one code point; 0 bytes for a combining mark. */
static unsigned char fold_point(char out[4], uint32_t c)
{
    const char *pair = NULL;
    if (c >= 0x300 && c <= 0x36f)
        return 0;
    if (c >= 0xc0 && c <= 0x17f)
        pair = latin + 2 * (c - 0xc0);
    if (c >= 0x1e00 && c <= 0x1eff)
        pair = latin_additional + 2 * (c - 0x1e00);
    if (!pair || pair[0] == '.')
        return put_utf8(out, lower(c));
    out[0] = pair[0];
    out[1] = pair[1];
    return pair[1] == '.' ? 1 : 2;
}

struct sl_fold sl_fold_begin(struct sl_slice text, bool json)
{
    return (struct sl_fold){.at = text.ptr, .end = text.ptr ? text.ptr + text.len : NULL, .json = json};
}

int sl_fold_next(struct sl_fold *fold)
{
    while (fold->used == fold->have) {
        if (fold->at == fold->end)
            return -1;
        fold->have = fold_point(fold->out, code_point(fold));
        fold->used = 0;
    }
    return (unsigned char)fold->out[fold->used++];
}

/* ---- Words ---- */

/* Letters and digits; beyond ASCII all but Latin-1's signs and the general punctuation. */
static bool in_word(uint32_t c)
{
    if (c < 0x80)
        return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    return c >= 0xc0 && c != 0xd7 && c != 0xf7 && !(c >= 0x2000 && c <= 0x206f) && !(c >= 0x3000 && c <= 0x3003);
}

/* The '<' has been read: goes on behind the tag, or behind the comment. */
static void skip_tag(struct sl_fold *fold)
{
    struct sl_fold ahead = *fold;
    bool comment = true;
    for (const char *want = "!--"; *want && comment; want++)
        comment = ahead.at < ahead.end && code_point(&ahead) == (unsigned char)*want;
    uint32_t before[2] = {0, 0};
    while (fold->at < fold->end) {
        uint32_t c = code_point(fold);
        if (c == '>' && (!comment || (before[0] == '-' && before[1] == '-')))
            return;
        before[0] = before[1];
        before[1] = c;
    }
}

/* "&#228;", "&#xe4;": the '&' has been read. Any other entity is no letter, and stands for a space. */
static uint32_t entity(struct sl_fold *fold)
{
    struct sl_fold ahead = *fold;
    char text[10];
    size_t len = 0;
    while (ahead.at < ahead.end && len < sizeof text) {
        uint32_t c = code_point(&ahead);
        if (c == ';')
            break;
        text[len++] = c < 0x80 ? (char)c : ' ';
    }
    bool hex = len > 2 && (text[1] | 0x20) == 'x';
    uint32_t value = 0;
    if (len == 0 || len == sizeof text)
        return ' '; /* no entity: an '&' that stands by itself */
    *fold = ahead;
    for (size_t i = hex ? 2 : 1; text[0] == '#' && i < len; i++) {
        char c = (char)(text[i] | 0x20);
        unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a') + 10u;
        if (digit >= (hex ? 16u : 10u))
            return ' ';
        value = value * (hex ? 16u : 10u) + digit;
    }
    return value && value < 0x110000 ? value : ' ';
}

int sl_fold_word(struct sl_fold *fold, bool markup)
{
    while (fold->used == fold->have) {
        if (fold->at == fold->end)
            return -1;
        uint32_t c = code_point(fold);
        if (markup && c == '<')
            skip_tag(fold);
        else if (markup && c == '&')
            c = entity(fold);
        bool mark = c >= 0x300 && c <= 0x36f;
        if (!in_word(c) && !mark)
            return ' ';
        fold->have = fold_point(fold->out, c);
        fold->used = 0;
    }
    return (unsigned char)fold->out[fold->used++];
}

/* ---- Comparing ---- */

bool sl_fold_equal(struct sl_fold text, struct sl_fold other)
{
    for (int want; (want = sl_fold_next(&other)) >= 0;)
        if (sl_fold_next(&text) != want)
            return false;
    return sl_fold_next(&text) < 0;
}

bool sl_fold_ends(struct sl_fold text, struct sl_fold end)
{
    do {
        if (sl_fold_equal(text, end))
            return true;
    } while (sl_fold_next(&text) >= 0);
    return false;
}

bool sl_fold_starts(struct sl_fold text, struct sl_fold prefix)
{
    for (int want; (want = sl_fold_next(&prefix)) >= 0;)
        if (sl_fold_next(&text) != want)
            return false;
    return true;
}

bool sl_fold_contains(struct sl_fold text, struct sl_fold part)
{
    do {
        if (sl_fold_starts(text, part))
            return true;
    } while (sl_fold_next(&text) >= 0);
    return false;
}

struct sl_slice sl_fold_all(struct sl_fold fold, struct sl_arena *arena)
{
    /* No code point folds to more bytes than it has as UTF-8, and none to more than its escape. */
    size_t room = (size_t)(fold.end - fold.at) + sizeof fold.out, len = 0;
    char *out = sl_arena_raw(arena, room, 1);
    if (!out)
        return (struct sl_slice){NULL, 0};
    for (int c; (c = sl_fold_next(&fold)) >= 0;) {
        SL_ASSERT(len < room);
        out[len++] = (char)c;
    }
    return (struct sl_slice){out, len};
}

struct sl_slice sl_search_fold(struct sl_slice text, struct sl_arena *arena)
{
    return sl_fold_all(sl_fold_begin(text, false), arena);
}

struct sl_slice sl_search_text(const struct sl_doc *doc, uint32_t span, char *scratch, size_t size)
{
    struct sl_slice raw = sl_span_raw(doc, span);
    if (!(doc->spans[span].flags & SL_SPAN_ESCAPED))
        return raw;
    struct sl_fold text = sl_fold_begin(raw, true);
    size_t len = 0;
    while (text.at < text.end) {
        if (size - len < 4)
            return (struct sl_slice){NULL, 0};
        len += put_utf8(scratch + len, code_point(&text));
    }
    return (struct sl_slice){scratch, len};
}

struct sl_slice sl_search_raw(const struct sl_doc *doc, const struct sl_edits *edits, uint32_t span, bool *whole)
{
    struct sl_slice put = edits ? sl_edit_replacement(edits, span) : (struct sl_slice){NULL, 0};
    *whole = !(doc->spans[span].flags & SL_SPAN_ESCAPED);
    if (!put.ptr)
        return sl_span_raw(doc, span);
    if (put.len < 2 || put.ptr[0] != '"')
        return (struct sl_slice){NULL, 0};
    *whole = !memchr(put.ptr, '\\', put.len);
    return (struct sl_slice){put.ptr + 1, put.len - 2};
}
