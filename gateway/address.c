/* SPDX-License-Identifier: Apache-2.0 */
/* Our address and the server's: see address.h. What is looked for is the host; what it stands in is looked at then. */
#include "address.h"

#include <stdlib.h>
#include <strings.h>

#include "sluice/buffer.h"

#define NAMES 3u
#define TEXT_LIMIT ((size_t)256 << 20)

struct name {
    struct sl_slice url, host, path; /* host: with the port, unless that is the scheme's own */
    bool ours;
    size_t anchor;
};

struct anchor {
    struct sl_slice host;
    uint8_t shift[256]; /* by the hash of two bytes: how far in front of the host's end they stand last */
};

struct sl_address {
    struct name names[NAMES];
    struct anchor anchors[NAMES];
    size_t name_count, anchor_count;
    struct sl_slice ours, theirs; /* theirs: as the server calls itself */
    struct sl_slice forms[SL_ADDRESS_FORMS];
    size_t form_count;
};

/* One address in a text. */
struct hit {
    size_t begin, end;
    size_t mark; /* where the mark in front of it begins; `begin`: there is none */
    bool ours;
};

/* ---- Beginning ---- */

static size_t hash_pair(const char *at)
{
    return (((unsigned char)at[-1] | 0x20u) * 8u + ((unsigned char)at[0] | 0x20u)) & 255u;
}

/* How far two bytes of a text may be from what they would be at the end of the host, in any case. */
static void make_shifts(struct anchor *anchor)
{
    struct sl_slice host = anchor->host;
    size_t most = host.len - 1 < UINT8_MAX ? host.len - 1 : UINT8_MAX;
    memset(anchor->shift, (int)most, sizeof anchor->shift);
    for (size_t i = 1; i < host.len; i++)
        if (host.len - 1 - i < most)
            anchor->shift[hash_pair(host.ptr + i)] = (uint8_t)(host.len - 1 - i);
}

static size_t anchor_of(struct sl_address *address, struct sl_slice host)
{
    for (size_t i = 0; i < address->anchor_count; i++)
        if (address->anchors[i].host.len == host.len &&
            strncasecmp(address->anchors[i].host.ptr, host.ptr, host.len) == 0)
            return i;
    address->anchors[address->anchor_count].host = host;
    make_shifts(&address->anchors[address->anchor_count]);
    return address->anchor_count++;
}

static bool ends_in(struct sl_slice text, struct sl_slice end)
{
    return text.len > end.len && sl_slice_eq(sl_slice_from(text, text.len - end.len), end);
}

static bool add_name(struct sl_address *address, struct sl_slice url, bool ours)
{
    struct sl_url parts;
    for (size_t i = 0; i < address->name_count; i++)
        if (sl_slice_eq(address->names[i].url, url))
            return true;
    if (!sl_config_url(url, &parts))
        return false;
    struct sl_slice port = parts.secure ? SL_LIT(":443") : SL_LIT(":80");
    struct sl_slice host = sl_slice_from(url, parts.secure ? 8 : 7);
    host.len -= parts.path.len;
    host.len -= ends_in(host, port) ? port.len : 0;
    address->names[address->name_count++] =
        (struct name){.url = url, .host = host, .path = parts.path, .ours = ours, .anchor = anchor_of(address, host)};
    address->forms[address->form_count++] = url;
    return true;
}

enum sl_status sl_address_new(const struct sl_config *c, struct sl_address **out)
{
    *out = NULL;
    if (!c->upstream_url.len)
        return SL_OK;
    struct sl_address *address = calloc(1, sizeof *address);
    if (!address)
        return SL_NO_MEMORY;
    address->ours = c->url;
    address->theirs = c->upstream_known_as.len ? c->upstream_known_as : c->upstream_url;
    /* Ours first: a server that knows itself by our address has nothing to hide by that one. */
    if (!add_name(address, c->url, true) || !add_name(address, c->upstream_url, false) ||
        (c->upstream_known_as.len && !add_name(address, c->upstream_known_as, false))) {
        free(address);
        return SL_INVALID;
    }
    *out = address;
    return SL_OK;
}

void sl_address_free(struct sl_address *address)
{
    free(address);
}

/* ---- Characters, as JSON may write them ---- */

static int hex_value(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)((at - digits) % 16) : -1;
}

/* What "\u00XX" stands for, where the text may as well have it plainly; 0: something else. */
static char escaped(struct sl_slice text)
{
    if (text.len < 6 || !sl_slice_starts(text, SL_LIT("\\u00")))
        return 0;
    int high = hex_value(text.ptr[4]), low = hex_value(text.ptr[5]), c = high * 16 + low;
    return high >= 2 && high <= 7 && low >= 0 && c != '"' && c != '\\' && c != 0x7f ? (char)c : 0;
}

/* Takes such escapes out of JSON, in place: a server that stores what a client has spelled so writes it plainly, and an
 * address is to be found before that. Gives the new length. */
static size_t unescape(char *text, size_t len)
{
    const char *slash = len ? memchr(text, '\\', len) : NULL;
    size_t from = 0, to = 0; /* what is behind `from` has not been moved */
    while (slash) {
        size_t at = (size_t)(slash - text), next = at + 2 < len ? at + 2 : len;
        char c = escaped((struct sl_slice){slash, len - at});
        if (c) {
            memmove(text + to, text + from, at - from);
            to += at - from;
            text[to++] = c;
            from = next = at + 6;
        }
        slash = next < len ? memchr(text + next, '\\', len - next) : NULL;
    }
    if (from)
        memmove(text + to, text + from, len - from);
    return from ? to + len - from : len;
}

static bool has_escapes(struct sl_slice text)
{
    return text.len && memmem(text.ptr, text.len, "\\u00", 4);
}

/* Goes on over a character; false: it is another. */
static bool pass(struct sl_slice text, size_t *at, char c)
{
    struct sl_slice rest = sl_slice_from(text, *at);
    size_t len = rest.len && rest.ptr[0] == c;
    if (c == '/' && sl_slice_starts(rest, SL_LIT("\\/")))
        len = 2;
    *at += len;
    return len > 0;
}

/* The same, back. A backslash in front of a slash belongs to it. */
static bool pass_back(struct sl_slice text, size_t *at, char c)
{
    size_t len = *at && text.ptr[*at - 1] == c;
    if (len && c == '/' && *at > 1 && text.ptr[*at - 2] == '\\')
        len = 2;
    *at -= len;
    return len > 0;
}

static bool pass_all(struct sl_slice text, size_t *at, struct sl_slice words)
{
    for (size_t i = 0; i < words.len; i++)
        if (!pass(text, at, words.ptr[i]))
            return false;
    return true;
}

static bool pass_all_back(struct sl_slice text, size_t *at, struct sl_slice words)
{
    for (size_t i = words.len; i-- > 0;)
        if (!pass_back(text, at, words.ptr[i]))
            return false;
    return true;
}

static bool is_alnum(unsigned char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* Does a longer word begin alike? Most signs go on where something follows: "…/fhir." ends a sentence, "**…/fhir**"
 * what is in bold. */
static bool goes_on(struct sl_slice text, size_t at)
{
    char c = at < text.len ? text.ptr[at] : '"';
    bool joins = c && strchr(".:-_~@=+$*", c);
    return is_alnum((unsigned char)c) || c == '%' ||
           (joins && at + 1 < text.len && is_alnum((unsigned char)text.ptr[at + 1]));
}

/* ---- Finding ---- */

struct walk {
    const struct sl_address *address;
    struct sl_slice text;
    size_t next[NAMES]; /* of each anchor: where it stands next; the text's length: nowhere */
    size_t done;        /* no address begins before this */
};

/* Horspool's search with pairs of bytes. */
static size_t find_host(const struct anchor *anchor, struct sl_slice text, size_t from)
{
    struct sl_slice host = anchor->host;
    for (size_t at = from + host.len - 1; at < text.len;) {
        size_t shift = anchor->shift[hash_pair(text.ptr + at)], begin = at + 1 - host.len;
        if (!shift && strncasecmp(text.ptr + begin, host.ptr, host.len) == 0)
            return begin;
        at += shift ? shift : 1;
    }
    return text.len;
}

#define SHORTEST 7u /* "http://" comes before any host */

static struct walk begin_walk(const struct sl_address *address, struct sl_slice text)
{
    struct walk w = {.address = address, .text = text};
    for (size_t i = 0; i < address->anchor_count; i++)
        w.next[i] = find_host(&address->anchors[i], text, SHORTEST);
    return w;
}

/* The "http://" or "https://" in front of a host. */
static bool find_scheme(struct sl_slice text, size_t host, size_t *begin, bool *secure)
{
    size_t at = host;
    if (!pass_all_back(text, &at, SL_LIT("://")))
        return false;
    *secure = at >= 5 && strncasecmp(text.ptr + at - 5, "https", 5) == 0;
    bool plain = at >= 4 && strncasecmp(text.ptr + at - 4, "http", 4) == 0;
    *begin = at - (*secure ? 5 : 4);
    return *secure || plain;
}

/* Is this the address that stands around a host? */
static bool is_name(const struct name *name, struct sl_slice text, size_t host, struct hit *hit)
{
    bool secure;
    size_t at = host + name->host.len, port = at;
    if (!find_scheme(text, host, &hit->begin, &secure))
        return false;
    if (pass_all(text, &port, secure ? SL_LIT(":443") : SL_LIT(":80")))
        at = goes_on(text, port) ? at : port;
    if (name->ours) {
        at = hit->begin;
        if (!pass_all(text, &at, name->url))
            return false;
    } else if (!pass_all(text, &at, name->path)) {
        return false;
    }
    hit->end = at;
    hit->ours = name->ours;
    return !goes_on(text, at);
}

/* The longest there is around a host: one address may stand under the other. */
static bool find_name(const struct walk *w, size_t anchor, size_t host, struct hit *out)
{
    bool found = false;
    for (size_t i = 0; i < w->address->name_count; i++) {
        struct hit hit = {0};
        const struct name *name = &w->address->names[i];
        if (name->anchor != anchor || !is_name(name, w->text, host, &hit) || (found && hit.end <= out->end))
            continue;
        *out = hit;
        found = true;
    }
    out->mark = out->begin;
    if (found && !pass_all_back(w->text, &out->mark, SL_LIT(SL_ADDRESS_MARK)))
        out->mark = out->begin;
    return found;
}

static bool next_hit(struct walk *w, struct hit *out)
{
    for (;;) {
        size_t least = 0, host;
        for (size_t i = 1; i < w->address->anchor_count; i++)
            least = w->next[i] < w->next[least] ? i : least;
        host = w->next[least];
        if (host == w->text.len)
            return false;
        w->next[least] = find_host(&w->address->anchors[least], w->text, host + 1);
        if (!find_name(w, least, host, out) || out->begin < w->done)
            continue;
        w->done = out->end;
        return true;
    }
}

/* ---- What the server says ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Does the value of a member "reference" begin here? It is a Reference's, or an Expression's, which leads
 * to a record too. */
static bool is_reference(const char *text, size_t at)
{
    static const struct sl_slice key = {"\"reference\"", 11};
    if (!at || text[--at] != '"')
        return false;
    while (at && is_space(text[at - 1]))
        at--;
    if (!at || text[--at] != ':')
        return false;
    while (at && is_space(text[at - 1]))
        at--;
    return at >= key.len && memcmp(text + at - key.len, key.ptr, key.len) == 0;
}

/* A server behind a proxy may know itself by our own address. */
static bool is_theirs(const struct sl_address *address, const struct hit *hit)
{
    return !hit->ours || sl_slice_eq(address->ours, address->theirs);
}

/* How far a reference's address goes: "ADDRESS/x" becomes "x", "ADDRESS?x" becomes "?x". Its begin: it stays, for the
 * address alone is a name and leads to no record. */
static size_t end_of_address(const struct sl_address *address, struct sl_slice text, const struct hit *hit)
{
    size_t at = hit->end;
    if (!is_theirs(address, hit) || !is_reference(text.ptr, hit->begin))
        return hit->begin;
    if (pass(text, &at, '/'))
        return at < text.len && text.ptr[at] != '"' ? at : hit->begin;
    return at < text.len && text.ptr[at] == '?' ? at : hit->begin;
}

static bool note_place(struct sl_address_places *places, struct sl_arena *arena, size_t at)
{
    if (places->count == places->room) {
        size_t room = places->room ? 2 * places->room : 32;
        size_t *more = sl_arena_raw(arena, room, sizeof *more);
        if (!more)
            return false;
        if (places->count)
            memcpy(more, places->at, places->count * sizeof *more);
        places->at = more;
        places->room = room;
    }
    places->at[places->count++] = at;
    return true;
}

size_t sl_address_take(const struct sl_address *address, char *text, size_t len, struct sl_arena *arena,
    struct sl_address_places *places, bool *failed)
{
    len = unescape(text, len);
    struct walk w = begin_walk(address, (struct sl_slice){text, len});
    struct hit hit = {0};
    size_t to = 0, from = 0; /* what is behind `from` has not been moved */
    *failed = false;
    if (!len) /* of an empty answer there is no text at all */
        return 0;
    while (next_hit(&w, &hit)) {
        size_t end = end_of_address(address, w.text, &hit);
        if (!hit.ours && end == hit.begin)
            *failed |= !note_place(places, arena, hit.begin - (from - to));
        if (end == hit.begin)
            continue;
        memmove(text + to, text + from, hit.begin - from);
        to += hit.begin - from;
        from = end;
    }
    memmove(text + to, text + from, len - from);
    return to + len - from;
}

struct sl_slice sl_address_rest(const struct sl_address *address, struct sl_slice url)
{
    struct hit hit = {0};
    struct walk w = begin_walk(address, url);
    if (!url.len || !next_hit(&w, &hit) || hit.begin)
        return (struct sl_slice){NULL, 0};
    size_t at = hit.end;
    if (!pass(url, &at, '/') && (at == url.len || url.ptr[at] != '?'))
        return (struct sl_slice){NULL, 0};
    return is_theirs(address, &hit) ? sl_slice_from(url, at) : (struct sl_slice){NULL, 0};
}

/* ---- There and back ---- */

static void show(
    const struct sl_address *address, const struct hit *hit, size_t *from, struct sl_slice text, struct sl_buffer *out)
{
    if (hit->ours)
        return;
    bool marked = hit->mark < hit->begin;
    sl_buffer_add(out, (struct sl_slice){text.ptr + *from, (marked ? hit->mark : hit->begin) - *from});
    if (!marked)
        sl_buffer_add(out, address->ours);
    *from = marked ? hit->begin : hit->end;
}

static void store_as(
    struct sl_slice theirs, const struct hit *hit, size_t *from, struct sl_slice text, struct sl_buffer *out)
{
    bool marked = hit->mark < hit->begin;
    if (hit->ours && marked)
        return;
    sl_buffer_add(out, (struct sl_slice){text.ptr + *from, hit->begin - *from});
    sl_buffer_add(out, hit->ours ? theirs : SL_LIT(SL_ADDRESS_MARK));
    *from = hit->ours ? hit->end : hit->begin;
}

/* A text without escapes; itself, if it has none. */
static struct sl_slice plainly(struct sl_slice text, struct sl_arena *arena)
{
    if (!has_escapes(text))
        return text;
    char *copy = sl_arena_raw(arena, text.len, 1);
    if (!copy)
        return (struct sl_slice){NULL, 0};
    memcpy(copy, text.ptr, text.len);
    return (struct sl_slice){copy, unescape(copy, text.len)};
}

/* theirs.ptr NULL: to show. */
static struct sl_slice exchange(
    const struct sl_address *address, struct sl_slice theirs, struct sl_slice given, struct sl_arena *arena)
{
    struct hit hit;
    struct sl_buffer out;
    size_t from = 0;
    if (!address || !given.len)
        return given;
    struct sl_slice text = plainly(given, arena);
    if (!text.ptr)
        return text;
    struct walk w = begin_walk(address, text);
    sl_buffer_init(&out, TEXT_LIMIT);
    while (next_hit(&w, &hit)) {
        if (theirs.ptr)
            store_as(theirs, &hit, &from, text, &out);
        else
            show(address, &hit, &from, text, &out);
    }
    if (!from && !out.len)
        return given;
    sl_buffer_add(&out, sl_slice_from(text, from));
    struct sl_slice copy =
        sl_buffer_failed(&out) ? (struct sl_slice){NULL, 0} : sl_arena_copy(arena, sl_buffer_slice(&out));
    sl_buffer_fini(&out);
    return copy;
}

struct sl_slice sl_address_show(const struct sl_address *address, struct sl_slice text, struct sl_arena *arena)
{
    return exchange(address, (struct sl_slice){NULL, 0}, text, arena);
}

struct sl_slice sl_address_store(const struct sl_address *address, struct sl_slice text, struct sl_arena *arena)
{
    return address ? exchange(address, address->theirs, text, arena) : text;
}

/* A backslash in a search's value is one: in JSON it would be two. */
static struct sl_slice doubled(struct sl_slice text, struct sl_arena *arena)
{
    char *copy = sl_arena_raw(arena, 2 * text.len + 1, 1);
    size_t len = 0;
    for (size_t i = 0; copy && i < text.len; i++) {
        copy[len++] = text.ptr[i];
        if (text.ptr[i] == '\\')
            copy[len++] = '\\';
    }
    return (struct sl_slice){copy, len};
}

static struct sl_slice halved(struct sl_slice text, struct sl_arena *arena)
{
    char *copy = sl_arena_raw(arena, text.len + 1, 1);
    size_t len = 0;
    for (size_t i = 0; copy && i < text.len; i += text.ptr[i] == '\\' ? 2 : 1)
        copy[len++] = text.ptr[i];
    return (struct sl_slice){copy, len};
}

static struct sl_slice exchange_plain(
    const struct sl_address *address, struct sl_slice theirs, struct sl_slice text, struct sl_arena *arena)
{
    if (!text.len || !memchr(text.ptr, '\\', text.len))
        return exchange(address, theirs, text, arena);
    struct sl_slice json = doubled(text, arena);
    json = json.ptr ? exchange(address, theirs, json, arena) : json;
    return json.ptr ? halved(json, arena) : json;
}

size_t sl_address_forms(const struct sl_address *address, struct sl_slice text, struct sl_arena *arena,
    struct sl_slice out[SL_ADDRESS_FORMS])
{
    size_t count = 0;
    out[0] = text;
    for (size_t i = 0; address && i < address->form_count; i++) {
        struct sl_slice form = exchange_plain(address, address->forms[i], text, arena);
        bool known = false;
        for (size_t k = 0; k < count; k++)
            known = known || sl_slice_eq(out[k], form);
        if (text.len && !form.ptr)
            return 0;
        if (!known)
            out[count++] = form;
    }
    return count ? count : 1;
}

/* ---- Edits ---- */

/* The first place that is not before this. */
static size_t first_place(const struct sl_address_places *places, size_t at)
{
    size_t low = 0, high = places->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (places->at[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The last span of a resource that begins before a place: children stand behind their parents, in the text's order. */
static uint32_t span_at(const struct sl_doc *doc, uint32_t root, const char *at)
{
    uint32_t low = root, high = doc->spans[root].next;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (sl_span_text(doc, middle).ptr <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static enum sl_status edit_span(const struct sl_address *address, const struct sl_doc *doc, uint32_t span,
    struct sl_edits *edits, struct sl_arena *arena)
{
    struct sl_slice text = sl_edit_replacement(edits, span);
    if (!text.ptr && sl_edit_is_cut(edits, span))
        return SL_OK;
    if (!text.ptr)
        text = sl_span_text(doc, span);
    struct sl_slice shown = sl_address_show(address, text, arena);
    if (!shown.ptr)
        return SL_NO_MEMORY;
    if (shown.ptr != text.ptr)
        sl_edit_replace(edits, span, shown);
    return SL_OK;
}

enum sl_status sl_address_edit(const struct sl_address *address, const struct sl_address_places *places,
    const struct sl_doc *doc, uint32_t root, struct sl_edits *edits, struct sl_arena *arena, bool *any)
{
    struct sl_slice text = sl_span_text(doc, root);
    size_t begin = (size_t)(text.ptr - doc->text.ptr), end = begin + text.len;
    for (size_t i = first_place(places, begin); i < places->count && places->at[i] < end; i++) {
        uint32_t span = span_at(doc, root, doc->text.ptr + places->at[i]);
        struct sl_slice string = sl_span_text(doc, span);
        size_t past = (size_t)(string.ptr - doc->text.ptr) + string.len;
        if (doc->spans[span].type != SL_SPAN_STRING || places->at[i] >= past)
            continue; /* in a key: nothing that R4 has */
        SL_TRY(edit_span(address, doc, span, edits, arena));
        *any = true;
        while (i + 1 < places->count && places->at[i + 1] < past)
            i++;
    }
    return SL_OK;
}
