/* SPDX-License-Identifier: Apache-2.0 */
/* Tags of views, and what is asked by them: see view.h. */
#define XXH_INLINE_ALL
#include "view.h"

#include <strings.h>
#include <time.h>
#include <xxhash.h>

#include "sluice/fault.h"
#include "sluice/time_range.h"

/* ---- Where the tag stands ---- */

#define MEMBER "\"versionId\":\"--------------------------\""
#define MEMBER_BEFORE 13u /* bytes in front of the tag */

/* A member with room for the tag; the bytes are ours to write. */
static char *make_member(struct sl_arena *arena, size_t *len)
{
    *len = sizeof MEMBER - 1;
    char *text = sl_arena_raw(arena, *len, 1);
    if (text)
        memcpy(text, MEMBER, *len);
    return text;
}

/* The upstream's number goes, and the tag stands at the end of meta: whether there was a number does not show. */
static bool put_in_meta(struct sl_item *item, struct sl_edits *edits, struct sl_arena *arena)
{
    uint32_t number = sl_span_member(item->doc, item->meta, SL_NAME_versionId),
             sibling = sl_span_sibling(item->doc, item->meta, SL_NAME_versionId);
    size_t len;
    char *member = make_member(arena, &len);
    if (!member)
        return false;
    if (number)
        sl_edit_cut(edits, number);
    if (sibling)
        sl_edit_cut(edits, sibling);
    sl_edit_add_member(edits, item->meta, (struct sl_slice){member, len});
    item->tag = member + MEMBER_BEFORE;
    return true;
}

/* Segmentation gives every released resource a meta: one that it made stands as a text. */
static bool put_in_made(struct sl_item *item, struct sl_edits *edits, struct sl_arena *arena)
{
    struct sl_slice *made = sl_edit_added(edits, item->span, SL_LIT("meta"));
    if (!made || made->ptr[made->len - 1] != '}')
        return false;
    size_t front = made->len - 1, len = front + 1 + sizeof MEMBER;
    char *text = sl_arena_raw(arena, len, 1);
    if (!text)
        return false;
    memcpy(text, made->ptr, front);
    memcpy(text + front, "," MEMBER "}", sizeof "," MEMBER "}" - 1);
    *made = (struct sl_slice){text, len};
    item->tag = text + front + 1 + MEMBER_BEFORE;
    return true;
}

static enum sl_status make_room(struct sl_item *item, struct sl_edits *edits, struct sl_arena *arena)
{
    if (item->tag)
        return SL_OK;
    bool there = item->meta && !sl_edit_is_cut(edits, item->meta);
    bool put = there ? put_in_meta(item, edits, arena) : put_in_made(item, edits, arena);
    return put ? SL_OK : sl_arena_failed(arena) ? SL_NO_MEMORY : SL_CORRUPT;
}

/* ---- The hash ---- */

static void write_tag(XXH128_hash_t hash, char out[SL_VIEW_TAG])
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint64_t part[] = {hash.low64, hash.low64 >> 60 | hash.high64 << 4, hash.high64 >> 56}; /* of 60 bits each */
    for (unsigned i = SL_VIEW_TAG, n = 0; i-- > 0; n++) {
        out[i] = digits[part[n / 12] & 31];
        part[n / 12] >>= 5;
    }
}

/* A run of bytes in blocks that is not hashed. */
struct gap {
    size_t at, len;
};

/* Hashes the bytes of the blocks from `at` up to `end`; *block and *begin, where that block begins, go along. */
static void hash_run(XXH3_state_t *state, const struct sl_block **block, size_t *begin, size_t at, size_t end)
{
    while (at < end) {
        while (*begin + (*block)->len <= at) {
            *begin += (*block)->len;
            *block = (*block)->next;
        }
        size_t from = at - *begin, run = (*block)->len - from < end - at ? (*block)->len - from : end - at;
        XXH3_128bits_update(state, (*block)->ptr + from, run);
        at += run;
    }
}

static void order(struct gap gaps[2])
{
    if (gaps[1].at >= gaps[0].at)
        return;
    struct gap first = gaps[1];
    gaps[1] = gaps[0];
    gaps[0] = first;
}

/* Writes the tag into the blocks where its room has come to stand: it may lie across two of them. */
static void patch(const struct sl_block *block, size_t begin, size_t at, struct sl_slice tag)
{
    for (size_t i = 0; i < tag.len; i++) {
        while (begin + block->len <= at + i) {
            begin += block->len;
            block = block->next;
        }
        block->ptr[at + i - begin] = tag.ptr[i];
    }
}

/* ---- The view ---- */

/* The value of meta.lastUpdated, with its quotes, in the text that goes out; empty if it does not go out. */
static struct sl_slice updated_text(const struct sl_item *item, const struct sl_edits *edits)
{
    uint32_t span = item->meta ? sl_span_member(item->doc, item->meta, SL_NAME_lastUpdated) : 0;
    if (!span || sl_edit_is_cut(edits, span))
        return (struct sl_slice){NULL, 0};
    struct sl_slice instead = sl_edit_replacement(edits, span);
    return instead.ptr ? instead : sl_span_text(item->doc, span);
}

struct sl_slice sl_view_updated(const struct sl_item *item, const struct sl_edits *edits)
{
    struct sl_slice text = updated_text(item, edits);
    bool string = text.len >= 2 && text.ptr[0] == '"';
    return string ? (struct sl_slice){text.ptr + 1, text.len - 2} : (struct sl_slice){NULL, 0};
}

/* Where a gathered view begins. */
struct start {
    const struct sl_block *block;
    size_t begin, at; /* where that block begins, where the view does */
};

static void tag_view(struct sl_item *item, const struct sl_blocks *out, struct start start, struct gap gaps[2])
{
    XXH3_state_t state;
    const struct sl_block *block = start.block;
    size_t begin = start.begin, at = start.at, room = gaps[0].at;
    XXH3_128bits_reset(&state);
    order(gaps);
    for (unsigned i = 0; i < 2; i++) {
        if (gaps[i].at == SL_EDIT_NOWHERE)
            continue;
        hash_run(&state, &block, &begin, at, gaps[i].at);
        at = gaps[i].at + gaps[i].len;
    }
    hash_run(&state, &block, &begin, at, out->total);
    write_tag(XXH3_128bits_digest(&state), item->tag);
    if (sl_fault(SL_FAULT_UPSTREAM_VERSION) && item->version.len <= SL_VIEW_TAG)
        memcpy(item->tag, item->version.ptr, item->version.len);
    patch(start.block, start.begin, room, (struct sl_slice){item->tag, SL_VIEW_TAG});
    item->tagged = true;
}

enum sl_status sl_view_gather(
    struct sl_item *item, struct sl_edits *edits, struct sl_arena *arena, struct sl_blocks *out)
{
    SL_TRY(make_room(item, edits, arena));
    if (item->tagged)
        return sl_edit_gather(edits, item->span, out);
    struct sl_slice updated = updated_text(item, edits);
    struct sl_edit_place places[2] = {{.byte = item->tag}, {.byte = updated.ptr}};
    struct start start = {.block = out->last, .at = out->total};
    start.begin = out->total - (out->last ? out->last->len : 0);
    SL_TRY(sl_edit_gather_places(edits, item->span, out, places, updated.ptr ? 2 : 1));
    if (places[0].at == SL_EDIT_NOWHERE)
        return SL_CORRUPT; /* it has no meta: nothing that was released */
    if (!start.block)
        start.block = out->first;
    struct gap gaps[2] = {{places[0].at, SL_VIEW_TAG}, {updated.ptr ? places[1].at : SL_EDIT_NOWHERE, updated.len}};
    tag_view(item, out, start, gaps);
    return SL_OK;
}

/* ---- In an exchange ---- */

/* A reference to a version of the upstream's names the record: its numbers are not ours, and lead nowhere here. */
static enum sl_status drop_number(struct sl_exchange *x, const struct sl_found *found, const struct sl_item *item,
    const struct sl_reference *reference)
{
    uint32_t text = sl_span_member(item->doc, reference->span, SL_NAME_reference);
    struct sl_slice raw = text ? sl_span_raw(item->doc, text) : (struct sl_slice){NULL, 0};
    const char *at = sl_slice_find(raw, SL_LIT("/_history/"), 1);
    if (!at || sl_edit_is_cut(found->page->edits, text))
        return SL_OK;
    struct sl_slice record = {raw.ptr - 1, (size_t)(at - raw.ptr) + 1}; /* with the quote before it */
    struct sl_slice without = sl_arena_join(x->arena, (const struct sl_slice[]){record, SL_LIT("\"")}, 2);
    if (!without.ptr)
        return SL_NO_MEMORY;
    sl_edit_replace(found->page->edits, text, without);
    return SL_OK;
}

static enum sl_status drop_numbers(struct sl_exchange *x, const struct sl_found *found)
{
    const struct sl_item *item = found->item;
    do { /* what is contained follows */
        for (uint32_t i = 0; i < item->reference_count; i++)
            if (item->references[i].type && !item->references[i].link)
                SL_TRY(drop_number(x, found, item, &item->references[i]));
        item = item->next;
    } while (item && item->container);
    return SL_OK;
}

enum sl_status sl_view_write(struct sl_exchange *x, const struct sl_found *found, struct sl_blocks *out)
{
    SL_TRY(sl_content_front(x, found));
    SL_TRY(drop_numbers(x, found));
    return sl_view_gather(found->item, found->page->edits, x->arena, out);
}

enum sl_status sl_view_tag(struct sl_exchange *x, const struct sl_found *found)
{
    struct sl_blocks *out = &x->tagging;
    if (found->item->tagged)
        return SL_OK;
    out->arena = x->arena;
    if (out->first) { /* the memory of the one before */
        out->first->len = 0;
        out->first->next = NULL;
    }
    out->last = out->first;
    out->total = 0;
    return sl_view_write(x, found, out);
}

struct sl_slice sl_view_current(const struct sl_found *found)
{
    if (sl_fault(SL_FAULT_UPSTREAM_CURRENT))
        return found->item->version;
    return (struct sl_slice){found->item->tag, SL_VIEW_TAG};
}

enum sl_status sl_view_validators(struct sl_exchange *x, const struct sl_found *found, struct sl_validators *out)
{
    struct sl_time_range when;
    char text[64];
    struct tm tm;
    struct sl_slice tag = sl_view_current(found);
    *out = (struct sl_validators){.etag = sl_arena_printf(x->arena, "W/\"%.*s\"", SL_FMT(tag))};
    if (!out->etag.ptr)
        return SL_NO_MEMORY;
    if (!sl_time_range_read(sl_view_updated(found->item, found->page->edits), &when))
        return SL_OK;
    time_t second = (time_t)(when.from / 1000000);
    if (!gmtime_r(&second, &tm) || !strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm))
        return SL_OK;
    out->modified = sl_arena_copy(x->arena, sl_slice_of(text));
    return out->modified.ptr ? SL_OK : SL_NO_MEMORY;
}

/* ---- Conditions ---- */

static struct sl_slice trim(struct sl_slice text)
{
    while (text.len && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
        text = sl_slice_from(text, 1);
    while (text.len && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* Takes the next entity tag of a list, without its quotes (RFC 9110, 8.8.3); false: there is none that can be read. */
static bool take_tag(struct sl_slice *list, struct sl_slice *tag)
{
    struct sl_slice rest = trim(*list);
    while (rest.len && rest.ptr[0] == ',')
        rest = trim(sl_slice_from(rest, 1));
    if (sl_slice_starts(rest, SL_LIT("W/")))
        rest = sl_slice_from(rest, 2);
    if (!rest.len || rest.ptr[0] != '"')
        return false;
    rest = sl_slice_from(rest, 1);
    const char *end = rest.len ? memchr(rest.ptr, '"', rest.len) : NULL;
    if (!end)
        return false;
    *tag = (struct sl_slice){rest.ptr, (size_t)(end - rest.ptr)};
    *list = trim(sl_slice_from(rest, tag->len + 1));
    return !list->len || list->ptr[0] == ',';
}

bool sl_view_listed(struct sl_slice list, struct sl_slice tag)
{
    struct sl_slice one;
    if (sl_slice_eq(trim(list), SL_LIT("*")))
        return true;
    while (take_tag(&list, &one))
        if (sl_slice_eq(one, tag))
            return true;
    return false;
}

/* RFC 9110, 5.6.7: one form is written, three are read. */
static bool read_date(struct sl_slice text, time_t *out)
{
    static const char *const forms[] = {
        "%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"};
    char copy[40];
    if (!text.len || text.len >= sizeof copy || memchr(text.ptr, '\0', text.len))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm tm = {0};
        const char *end = strptime(copy, forms[i], &tm);
        if (end && !*end) {
            *out = timegm(&tm);
            return true;
        }
    }
    return false;
}

/* 13.1.3: what is no date, or stands twice, is as if it did not stand there. */
static bool is_since(const struct sl_request *request, struct sl_slice updated)
{
    struct sl_time_range when;
    size_t count = 0;
    time_t since;
    struct sl_slice text = sl_request_header(request, SL_LIT("if-modified-since"), &count);
    return count == 1 && read_date(trim(text), &since) && sl_time_range_read(updated, &when) &&
           when.from / 1000000 <= (int64_t)since;
}

/* 13.2.2: where If-None-Match stands, it alone is asked. A list may be on several lines. */
bool sl_view_unchanged(const struct sl_request *request, struct sl_slice tag, struct sl_slice updated)
{
    bool named = false;
    for (size_t i = 0; i < request->header_count; i++) {
        const struct sl_header *header = &request->headers[i];
        if (header->name.len != 13 || strncasecmp(header->name.ptr, "if-none-match", 13) != 0)
            continue;
        named = true;
        if (sl_view_listed(header->value, tag))
            return true;
    }
    return !named && is_since(request, updated);
}
