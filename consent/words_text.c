/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See words_text.h. Each pass goes over the content once; a look ahead that finds nothing is not made again, so that
 * no content takes more than a few passes. What is put down never exceeds what was read, but for a line now and then,
 * for which there is room.
 */
#include "words_text.h"

#include <stdlib.h>
#include <strings.h>

/* A pass over a content, or a piece of one. */
struct pass {
    struct sl_words_text *to;
    const unsigned char *p, *end;
    bool json;   /* escapes of JSON mean what they mean */
    bool markup; /* tags and entities do */
    bool apart;  /* every tag is a line's end */
    bool within; /* what stands in tags and comments, instead of what stands between them */
    bool no_tag_end, no_quote_end, no_comment_end; /* there is none from here to the end */
    bool tags, hidden;                             /* found: markup in what is none; attributes, comments */
};

/* ---- Putting down ---- */

static bool reserve(struct sl_words_text *to, size_t more)
{
    if (to->capacity - to->len >= more)
        return true;
    size_t capacity = to->len + more + to->capacity / 2 + 256;
    char *text = realloc(to->text, capacity);
    if (!text) {
        to->failed = true;
        return false;
    }
    to->text = text;
    to->capacity = capacity;
    return true;
}

static void note(struct sl_words_text *to, uint32_t **list, size_t *count, size_t *capacity)
{
    uint32_t at = (uint32_t)to->len;
    if (*count && (*list)[*count - 1] == at)
        return;
    if (*count == *capacity) {
        size_t more = *capacity ? *capacity * 2 : 64;
        uint32_t *grown = realloc(*list, more * sizeof *grown);
        if (!grown) {
            to->failed = true;
            return;
        }
        *list = grown;
        *capacity = more;
    }
    (*list)[(*count)++] = at;
}

static inline void put(struct sl_words_text *to, char c)
{
    to->text[to->len++] = c;
}

static inline void put_space(struct sl_words_text *to)
{
    if (to->len && to->text[to->len - 1] != ' ')
        put(to, ' ');
}

static void put_line(struct sl_words_text *to)
{
    put_space(to);
    note(to, &to->lines, &to->line_count, &to->line_capacity);
}

static void put_joint(struct sl_words_text *to)
{
    note(to, &to->joints, &to->joint_count, &to->joint_capacity);
}

/* ---- Characters beyond ASCII ---- */

enum { FOLD_NOTHING = 0, FOLD_LINE = '\n', FOLD_OTHER = '?' };

static const struct fold {
    uint32_t first, last;
    char as; /* 'A': letters from A on, as the range goes; 'a' likewise; '!': ASCII from 0x21 on; '*': both cases */
} folds[] = {{0x00a0, 0x00a0, ' '}, {0x00ad, 0x00ad, FOLD_NOTHING}, {0x0300, 0x036f, FOLD_NOTHING},
    {0x115f, 0x1160, FOLD_NOTHING}, {0x1680, 0x1680, ' '}, {0x17b4, 0x17b5, FOLD_NOTHING},
    {0x180b, 0x180e, FOLD_NOTHING}, {0x2000, 0x200a, ' '}, {0x200b, 0x200f, FOLD_NOTHING}, {0x2010, 0x2015, ' '},
    {0x2018, 0x2019, '\''}, {0x2022, 0x2023, ' '}, {0x2028, 0x2029, FOLD_LINE}, {0x202a, 0x202e, FOLD_NOTHING},
    {0x202f, 0x202f, ' '}, {0x205f, 0x205f, ' '}, {0x2060, 0x206f, FOLD_NOTHING}, {0x2212, 0x2212, ' '},
    {0x24b6, 0x24cf, 'A'}, {0x24d0, 0x24e9, 'a'}, {0x3000, 0x3000, ' '}, {0xfe00, 0xfe0f, FOLD_NOTHING},
    {0xfeff, 0xfeff, FOLD_NOTHING}, {0xff01, 0xff5e, '!'}, {0x1d400, 0x1d6a3, '*'}, {0xe0000, 0xe0fff, FOLD_NOTHING}};

static int find_fold(const void *key, const void *element)
{
    uint32_t code = *(const uint32_t *)key;
    const struct fold *fold = element;
    return code < fold->first ? -1 : code > fold->last;
}

static char fold_code(uint32_t code)
{
    const struct fold *fold = bsearch(&code, folds, sizeof folds / sizeof *folds, sizeof *folds, find_fold);
    if (!fold)
        return FOLD_OTHER;
    uint32_t place = code - fold->first;
    switch (fold->as) {
    case 'A':
    case 'a':
    case '!':
        return (char)((uint32_t)(unsigned char)fold->as + place);
    case '*':
        return (char)(place % 52 < 26 ? 'A' + place % 52 : 'a' + place % 52 - 26);
    default:
        return fold->as;
    }
}

/* ---- One character ---- */

enum { COPY, SPACE, LINE, DROP, HIGH, LESS, AMPERSAND, BACKSLASH, EMPHASIS };

/* clang-format off */
static const unsigned char kinds[256] = {
    [0x00] = DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP, SPACE, LINE, LINE, LINE, LINE, DROP, DROP,
    [0x10] = DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP,
    [' '] = SPACE, ['-'] = SPACE, ['/'] = SPACE, ['_'] = SPACE, [0x7f] = DROP,
    ['<'] = LESS, ['&'] = AMPERSAND, ['\\'] = BACKSLASH, ['*'] = EMPHASIS, ['`'] = EMPHASIS, ['~'] = EMPHASIS,
    [0x80] = HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH,
    [0x90] = HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH,
    [0xa0] = HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH,
    [0xb0] = HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH,
    [0xc0] = HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH,
    [0xd0] = HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH,
    [0xe0] = HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH,
    [0xf0] = HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH};
/* clang-format on */

static bool is_letter(unsigned char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_lower(unsigned char c)
{
    return c >= 'a' && c <= 'z';
}

/* A character of ASCII, whatever wrote it: its bytes, an entity, an escape. */
static void put_ascii(struct sl_words_text *to, unsigned char c)
{
    switch (kinds[c]) {
    case SPACE:
        put_space(to);
        break;
    case LINE:
        put_line(to);
        break;
    case DROP:
        break;
    case EMPHASIS:
        put_joint(to);
        break;
    default:
        put(to, (char)c);
        break;
    }
}

static void put_code(struct sl_words_text *to, uint32_t code)
{
    char c = code < 0x80 ? (char)code : fold_code(code);
    if (c != FOLD_NOTHING)
        put_ascii(to, (unsigned char)c);
}

/* One sequence of UTF-8, which the text is known to be. */
static void put_high(struct pass *pass)
{
    const unsigned char *p = pass->p;
    unsigned n = *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
    if ((size_t)(pass->end - p) < n) {
        pass->p = pass->end;
        return;
    }
    uint32_t code = *p & (0xffu >> (n + 1));
    for (unsigned i = 1; i < n; i++)
        code = code << 6 | (p[i] & 0x3f);
    pass->p += n;
    put_code(pass->to, code);
}

/* A line end within a sentence of plain text: what follows goes on in lower case, and nothing was ended before. */
static bool is_wrapped(const struct pass *pass)
{
    const struct sl_words_text *to = pass->to;
    const unsigned char *p = pass->p + 1;
    for (unsigned i = 0; i < 8 && p < pass->end && (*p == ' ' || *p == '\t'); i++)
        p++;
    char last = to->len > 1 ? to->text[to->len - (to->text[to->len - 1] == ' ' ? 2 : 1)] : '.';
    return p < pass->end && is_lower(*p) && !strchr(".:;!?|", last);
}

static void put_line_end(struct pass *pass)
{
    if (*pass->p == '\r' && pass->end - pass->p > 1 && pass->p[1] == '\n')
        pass->p++;
    if (is_wrapped(pass))
        put_space(pass->to);
    else
        put_line(pass->to);
    pass->p++;
}

/* A hyphen at the end of a line, within a word: the word goes on. */
static bool is_divided(const struct pass *pass)
{
    const struct sl_words_text *to = pass->to;
    const unsigned char *p = pass->p;
    return *p == '-' && pass->end - p > 2 && p[1] == '\n' && is_lower(p[2]) && to->len &&
           is_letter((unsigned char)to->text[to->len - 1]);
}

static void put_separator(struct pass *pass)
{
    bool divided = is_divided(pass);
    pass->p += divided ? 2 : 1;
    if (divided)
        put_joint(pass->to);
    else
        put_space(pass->to);
}

/* ---- Escapes and entities ---- */

/* Up to `most` digits to the base; how many there were. */
static unsigned read_digits(
    const unsigned char *p, const unsigned char *end, unsigned base, unsigned most, uint32_t *out)
{
    unsigned n = 0;
    *out = 0;
    for (; n < most && p + n < end; n++) {
        unsigned char c = p[n], low = c | 0x20;
        unsigned digit = c >= '0' && c <= '9' ? c - '0' + 0u : low >= 'a' && low <= 'f' ? low - 'a' + 10u : 99u;
        if (digit >= base)
            break;
        *out = *out * base + digit;
    }
    return n;
}

static void put_json_escape(struct pass *pass)
{
    static const char plain[128] = {['n'] = '\n', ['r'] = '\n', ['t'] = ' ', ['/'] = '/', ['"'] = '"', ['\\'] = ' '};
    uint32_t code;
    if (pass->end - pass->p < 2) {
        pass->p++;
        return;
    }
    if (pass->p[1] == 'u' && read_digits(pass->p + 2, pass->end, 16, 4, &code) == 4) {
        pass->p += 6;
        put_code(pass->to, code);
        return;
    }
    char c = pass->p[1] < 128 ? plain[pass->p[1]] : 0;
    pass->p += c ? 2 : 1;
    if (c)
        put_ascii(pass->to, (unsigned char)c);
}

static const struct entity {
    const char *name;
    uint32_t code;
} entities[] = {{"amp", '&'}, {"apos", '\''}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"nbsp", 0xa0}, {"shy", 0xad},
    {"zwj", 0x200d}, {"zwnj", 0x200c}, {"ensp", ' '}, {"emsp", ' '}, {"thinsp", ' '}, {"hyphen", '-'}, {"dash", '-'},
    {"ndash", '-'}, {"mdash", '-'}, {"minus", '-'}, {"lowbar", '_'}, {"sol", '/'}, {"colon", ':'}, {"period", '.'},
    {"comma", ','}, {"lrm", 0x200e}, {"rlm", 0x200f}, {"NewLine", '\n'}, {"Tab", ' '}, {"NoBreak", 0x2060},
    {"rsquo", 0x2019}, {"lsquo", 0x2018}, {"bull", 0x2022}, {"ZeroWidthSpace", 0x200b}};
#define ENTITY_LENGTH 14u

/* The length of the name at p, which a semicolon ends; 0: there is none. */
static unsigned entity_name(const unsigned char *p, const unsigned char *end)
{
    unsigned n = 0;
    while (n <= ENTITY_LENGTH && p + n < end && is_letter(p[n]))
        n++;
    return n && n <= ENTITY_LENGTH && p + n < end && p[n] == ';' ? n : 0;
}

/* Behind '&': how many bytes the entity takes; 0: it is none that we know. Browsers take numbers without a semicolon.
 */
static size_t read_entity(const unsigned char *p, const unsigned char *end, uint32_t *code)
{
    if (p < end && *p == '#') {
        bool hex = p + 1 < end && (p[1] | 0x20) == 'x';
        const unsigned char *digits = p + (hex ? 2 : 1);
        while (digits < end && *digits == '0' && digits + 1 < end && digits[1] >= '0' && digits[1] != ';')
            digits++;
        unsigned n = read_digits(digits, end, hex ? 16 : 10, 7, code);
        const unsigned char *behind = digits + n;
        return n ? (size_t)(behind - p) + (behind < end && *behind == ';') : 0;
    }
    unsigned n = entity_name(p, end);
    for (size_t i = 0; n && i < sizeof entities / sizeof *entities; i++)
        if (strlen(entities[i].name) == n && memcmp(entities[i].name, p, n) == 0) {
            *code = entities[i].code;
            return n + 1u;
        }
    return 0;
}

static void put_ampersand(struct pass *pass)
{
    uint32_t code;
    size_t n = pass->markup ? read_entity(pass->p + 1, pass->end, &code) : 0;
    if (!pass->markup && pass->end - pass->p > 2 && (pass->p[1] == '#' || entity_name(pass->p + 1, pass->end)))
        pass->tags = true;
    pass->p += n + 1;
    if (n)
        put_code(pass->to, code);
    else
        put(pass->to, '&');
}

/* ---- Text up to `end` ---- */

/* Most of a text: letters with single spaces between. */
static void put_plain(struct pass *pass)
{
    const unsigned char *p = pass->p, *end = pass->end;
    char *out = pass->to->text + pass->to->len;
    do {
        while (p < end && kinds[*p] == COPY)
            *out++ = (char)*p++;
        if (end - p < 2 || *p != ' ' || kinds[p[1]] != COPY)
            break;
        *out++ = ' ';
        p++;
    } while (true);
    pass->to->len = (size_t)(out - pass->to->text);
    pass->p = p;
}

/* Stops at the next '<' that may begin a tag, if tags mean something here. */
static void put_run(struct pass *pass)
{
    struct sl_words_text *to = pass->to;
    while (pass->p < pass->end) {
        unsigned char c = *pass->p;
        switch (kinds[c]) {
        case COPY:
            put_plain(pass);
            break;
        case SPACE:
            put_separator(pass);
            break;
        case LINE:
            put_line_end(pass);
            break;
        case HIGH:
            put_high(pass);
            break;
        case LESS:
            if (pass->markup)
                return;
            pass->tags |= pass->end - pass->p > 1 && (is_letter(pass->p[1]) || pass->p[1] == '/' || pass->p[1] == '!');
            put(to, '<');
            pass->p++;
            break;
        case AMPERSAND:
            put_ampersand(pass);
            break;
        case BACKSLASH:
            if (pass->json) {
                put_json_escape(pass);
                break;
            }
            put_joint(to);
            pass->p++;
            break;
        default: /* DROP, EMPHASIS */
            put_ascii(to, c);
            pass->p++;
            break;
        }
    }
}

/* ---- Markup ---- */

static int order_names(const void *a, const void *b)
{
    return strcmp(a, *(const char *const *)b);
}

/* Elements that stand on lines of their own, in HTML and in the narrative of a C-CDA. */
static bool is_block(const char *name)
{
    static const char *const blocks[] = {"address", "article", "aside", "blockquote", "body", "br", "caption", "center",
        "component", "dd", "div", "dl", "dt", "entry", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2",
        "h3", "h4", "h5", "h6", "head", "header", "hr", "html", "item", "legend", "li", "list", "main", "nav", "ol",
        "option", "p", "paragraph", "pre", "section", "table", "tbody", "text", "tfoot", "thead", "title", "tr", "ul"};
    return bsearch(name, blocks, sizeof blocks / sizeof *blocks, sizeof *blocks, order_names);
}

static bool is_picture(const char *name, struct sl_slice tag)
{
    if (strcmp(name, "img") == 0)
        return memmem(tag.ptr, tag.len, "data:", 5);
    return !strcmp(name, "svg") || !strcmp(name, "object") || !strcmp(name, "embed") || !strcmp(name, "applet") ||
           !strcmp(name, "iframe") || !strcmp(name, "canvas") || !strcmp(name, "observationmedia");
}

/* Where the tag at p ends: at its '>', quotes minded where they end; NULL if it never does. */
static const unsigned char *tag_end(struct pass *pass)
{
    const unsigned char *p = pass->p + 1;
    unsigned char quote = 0;
    for (; !pass->no_quote_end && p < pass->end && (quote || *p != '>'); p++) {
        if (quote)
            quote = *p == quote ? 0 : quote;
        else if ((*p == '"' || *p == '\'') && p[-1] == '=')
            quote = *p;
    }
    if (!pass->no_quote_end && p < pass->end)
        return p;
    pass->no_quote_end = true;
    const unsigned char *plain = memchr(pass->p, '>', (size_t)(pass->end - pass->p));
    pass->no_tag_end = !plain;
    return plain;
}

/* What stands in a tag or a comment is read as text of its own, on a line of its own. */
static void put_inside(struct pass *pass, const unsigned char *begin, const unsigned char *end)
{
    struct pass inner = {.to = pass->to, .p = begin, .end = end, .markup = true, .no_tag_end = true};
    put_line(pass->to);
    while (inner.p < inner.end) {
        put_run(&inner);
        if (inner.p < inner.end) {
            put(inner.to, '<');
            inner.p++;
        }
    }
}

static void read_tag(struct pass *pass, const unsigned char *end)
{
    char name[20] = "";
    const unsigned char *p = pass->p + 1;
    p += *p == '/';
    for (size_t n = 0; n + 1 < sizeof name && p < end && (is_letter(*p) || (*p >= '0' && *p <= '9')); n++)
        name[n] = (char)(*p++ | 0x20);
    struct sl_slice tag = {(const char *)p, (size_t)(end - p)};
    bool cell = !strcmp(name, "td") || !strcmp(name, "th");
    pass->hidden |= memchr(tag.ptr, '=', tag.len) != NULL;
    pass->to->partial |= is_picture(name, tag);
    if (pass->within) {
        if (memchr(tag.ptr, '=', tag.len))
            put_inside(pass, p, end);
    } else if (cell) {
        put(pass->to, '|'); /* a tag is longer than these two */
        put_space(pass->to);
    } else if (pass->apart || is_block(name)) {
        put_line(pass->to);
    } else {
        put_joint(pass->to);
    }
    pass->p = end + 1;
}

/* A comment, or another thing that no reader sees. */
static void read_hidden(struct pass *pass, const unsigned char *begin, const unsigned char *end, size_t mark)
{
    pass->hidden = true;
    if (pass->within)
        put_inside(pass, begin, end);
    else
        put_joint(pass->to);
    pass->p = end + mark;
}

static void read_section(struct pass *pass, const unsigned char *begin, const unsigned char *end)
{
    struct pass inner = {.to = pass->to, .p = begin, .end = end};
    put_joint(pass->to);
    if (!pass->within)
        put_run(&inner);
    put_joint(pass->to);
    pass->p = end + 3;
}

static bool is_at(const struct pass *pass, const char *text)
{
    size_t len = strlen(text);
    return (size_t)(pass->end - pass->p) >= len && memcmp(pass->p, text, len) == 0;
}

static const unsigned char *seek(const struct pass *pass, const char *text)
{
    return memmem(pass->p, (size_t)(pass->end - pass->p), text, strlen(text));
}

/* At '<'. False: it is a character like another. */
static bool read_markup(struct pass *pass)
{
    const unsigned char *end = NULL;
    if (pass->end - pass->p < 3 || pass->no_tag_end)
        return false;
    bool comment = is_at(pass, "<!--"), section = is_at(pass, "<![CDATA[");
    if ((comment || section) && !pass->no_comment_end) {
        end = seek(pass, comment ? "-->" : "]]>");
        pass->no_comment_end = !end;
        if (end && comment)
            read_hidden(pass, pass->p + 4 < end ? pass->p + 4 : end, end, 3);
        else if (end)
            read_section(pass, pass->p + 9, end);
        if (end)
            return true;
    }
    unsigned char c = pass->p[1];
    if (c != '/' && c != '!' && c != '?' && !is_letter(c))
        return false;
    end = tag_end(pass);
    if (!end)
        return false;
    if (c == '!' || c == '?')
        read_hidden(pass, pass->p + 2, end, 1);
    else
        read_tag(pass, end);
    return true;
}

static void gather_markup(struct pass *pass)
{
    while (pass->p < pass->end) {
        if (pass->within) {
            const unsigned char *tag = memchr(pass->p, '<', (size_t)(pass->end - pass->p));
            pass->p = tag ? tag : pass->end;
        } else {
            put_run(pass);
        }
        if (pass->p < pass->end && !read_markup(pass)) {
            if (!pass->within)
                put(pass->to, '<');
            pass->p++;
        }
    }
}

/* ---- Rich text ---- */

#define RTF_DEPTH 64u

struct rtf {
    struct pass *pass;
    unsigned depth, hidden; /* groups; the depth at which one that is not shown began, 0: none */
    unsigned fallback;      /* characters that stand for a \u, \uc of them */
    unsigned skip;          /* those still to be passed over */
    unsigned uc[RTF_DEPTH];
};

static bool is_destination(struct sl_slice word)
{
    static const char *const hidden[] = {"fonttbl", "colortbl", "stylesheet", "info", "pict", "object", "themedata",
        "datastore", "listtable", "generator", "latentstyles", "rsidtbl", "fldinst", "xmlnstbl", "mmathPr"};
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (word.len == strlen(hidden[i]) && memcmp(word.ptr, hidden[i], word.len) == 0)
            return true;
    return false;
}

static void rtf_put(struct rtf *rtf, uint32_t code)
{
    struct pass *pass = rtf->pass;
    if (rtf->skip)
        rtf->skip--;
    else if ((rtf->hidden != 0) == pass->within)
        put_code(pass->to, code);
}

static void rtf_line(struct rtf *rtf)
{
    if ((rtf->hidden != 0) == rtf->pass->within)
        put_line(rtf->pass->to);
}

static bool rtf_is(struct sl_slice word, const char *name)
{
    return word.len == strlen(name) && memcmp(word.ptr, name, word.len) == 0;
}

static void rtf_hide(struct rtf *rtf)
{
    if (rtf->hidden)
        return;
    rtf->hidden = rtf->depth ? rtf->depth : 1;
    rtf->pass->hidden = true;
    if (rtf->pass->within)
        put_line(rtf->pass->to);
    else
        put_joint(rtf->pass->to);
}

static void rtf_word(struct rtf *rtf, struct sl_slice word, int32_t number)
{
    static const char *const lines[] = {"par", "line", "row", "sect", "page", "pard"};
    static const char *const spaces[] = {"tab", "cell", "emspace", "enspace", "emdash", "endash", "bullet", "qmspace"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (rtf_is(word, lines[i])) {
            rtf_line(rtf);
            return;
        }
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
        if (rtf_is(word, spaces[i]))
            rtf_put(rtf, ' ');
    if (rtf_is(word, "u")) {
        rtf_put(rtf, (uint32_t)number & 0xffff);
        rtf->skip = rtf->fallback;
    } else if (rtf_is(word, "uc")) {
        rtf->fallback = number >= 0 && number < 16 ? (unsigned)number : 1;
    } else if (is_destination(word)) {
        rtf->pass->to->partial |= rtf_is(word, "pict") || rtf_is(word, "object");
        rtf_hide(rtf);
    } else if ((rtf->hidden != 0) == rtf->pass->within) {
        put_joint(rtf->pass->to);
    }
}

/* At a backslash. */
static void rtf_control(struct rtf *rtf)
{
    struct pass *pass = rtf->pass;
    const unsigned char *p = pass->p + 1, *name = p;
    uint32_t code;
    if (p >= pass->end) {
        pass->p = pass->end;
        return;
    }
    if (*p == '\'' && read_digits(p + 1, pass->end, 16, 2, &code) == 2) {
        pass->p = p + 3;
        rtf_put(rtf, code < 0x80 || code == 0xa0 || code == 0xad ? code : 0xe9); /* a letter of some code page */
        return;
    }
    if (!is_letter(*p)) {
        pass->p = p + 1;
        if (*p == '*')
            rtf_hide(rtf);
        else if (*p != '-' && *p != ':') /* optional hyphens and index marks are nothing */
            rtf_put(rtf, *p == '~' || *p == '_' ? ' ' : *p);
        return;
    }
    while (p < pass->end && p - name < 32 && is_letter(*p))
        p++;
    struct sl_slice word = {(const char *)name, (size_t)(p - name)};
    bool minus = p < pass->end && *p == '-';
    unsigned digits = read_digits(p + minus, pass->end, 10, 7, &code);
    p += digits ? digits + minus : 0;
    if (p < pass->end && *p == ' ')
        p++;
    pass->p = p;
    rtf_word(rtf, word, minus ? -(int32_t)code : (int32_t)code);
}

static void rtf_group(struct rtf *rtf, bool opens)
{
    if (opens) {
        if (rtf->depth < RTF_DEPTH)
            rtf->uc[rtf->depth] = rtf->fallback;
        rtf->depth++;
        return;
    }
    if (rtf->hidden && rtf->depth <= rtf->hidden)
        rtf->hidden = 0;
    if (rtf->depth && --rtf->depth < RTF_DEPTH)
        rtf->fallback = rtf->uc[rtf->depth];
}

static void gather_rtf(struct pass *pass)
{
    struct rtf rtf = {.pass = pass, .fallback = 1};
    while (pass->p < pass->end) {
        unsigned char c = *pass->p;
        if (c == '\\') {
            rtf_control(&rtf);
            continue;
        }
        if (c >= 0x80) {
            struct pass one = *pass;
            one.within = false;
            bool shown = (rtf.hidden != 0) == pass->within;
            if (shown) {
                put_high(&one);
                pass->p = one.p;
            } else {
                pass->p++;
            }
            continue;
        }
        pass->p++;
        if (c == '{' || c == '}')
            rtf_group(&rtf, c == '{');
        else if (c != '\n' && c != '\r') /* no white space at all to RTF */
            rtf_put(&rtf, c);
    }
}

/* ---- All of it ---- */

static struct pass begin(struct sl_words_text *to, struct sl_slice text)
{
    const unsigned char *p = (const unsigned char *)text.ptr;
    struct pass pass = {.to = to, .p = p, .end = text.len ? p + text.len : p};
    if (reserve(to, text.len + text.len / 8 + 64))
        put_line(to);
    else
        pass.p = pass.end;
    return pass;
}

static void gather_tags(struct sl_words_text *to, struct sl_slice text, bool apart)
{
    struct pass shown = begin(to, text);
    shown.markup = true;
    gather_markup(&shown);
    if (apart && !to->failed) {
        struct pass again = begin(to, text);
        again.markup = again.apart = true;
        gather_markup(&again);
    }
    if (shown.hidden && !to->failed) {
        struct pass hidden = begin(to, text);
        hidden.markup = hidden.within = true;
        gather_markup(&hidden);
    }
}

static void gather_plain(struct sl_words_text *to, struct sl_slice text)
{
    struct pass pass = begin(to, text);
    while (pass.p < pass.end && (*pass.p == ' ' || (*pass.p >= '\t' && *pass.p <= '\r')))
        pass.p++;
    pass.json = pass.p < pass.end && (*pass.p == '{' || *pass.p == '[');
    put_run(&pass);
    if (pass.tags && !to->failed)
        gather_tags(to, text, false);
}

static void gather_rich(struct sl_words_text *to, struct sl_slice text)
{
    struct pass shown = begin(to, text);
    gather_rtf(&shown);
    if (shown.hidden && !to->failed) {
        struct pass hidden = begin(to, text);
        hidden.within = true;
        gather_rtf(&hidden);
    }
}

bool sl_words_gather(struct sl_words_text *to, enum sl_content_kind kind, struct sl_slice text)
{
    to->len = to->line_count = to->joint_count = 0;
    to->partial = to->failed = false;
    switch (kind) {
    case SL_CONTENT_PLAIN:
        gather_plain(to, text);
        break;
    case SL_CONTENT_HTML:
        gather_tags(to, text, false);
        break;
    case SL_CONTENT_XML:
    case SL_CONTENT_CCDA:
        gather_tags(to, text, true);
        break;
    case SL_CONTENT_RTF:
        gather_rich(to, text);
        break;
    case SL_CONTENT_NONE:
    case SL_CONTENT_UNREAD:
        break;
    }
    return !to->failed;
}

void sl_words_text_fini(struct sl_words_text *to)
{
    free(to->text);
    free(to->lines);
    free(to->joints);
    *to = (struct sl_words_text){0};
}

static int order_places(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

bool sl_words_joint(const struct sl_words_text *to, uint32_t at)
{
    return to->joint_count && bsearch(&at, to->joints, to->joint_count, sizeof at, order_places);
}
