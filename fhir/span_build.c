/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second stage of a parse: see span_build.h. A loop over the places where something begins, with an array of frames,
 * one per open container, instead of recursion. Each step either writes a span or fails, so the work is linear.
 */
#include "span_build.h"

#include "sluice/r4.h"

#define WINDOW 64u      /* blocks turned from bits into places at a time: 4 KiB of text */
#define SEEN_WORDS 8u   /* of a filter of the keys of an object */

/* An open container. The filter has a bit for each key so far; where two keys fall on one bit the object is checked when it
 * closes. With 512 bits and neighbouring numbers for names that is rare, unless there is cause. */
struct frame {
    uint64_t seen[SEEN_WORDS];
    uint32_t span;
    char closer;
    bool paired; /* a member's key begins with '_' */
    bool suspect;
};

struct build {
    struct sl_arena *arena;
    const struct sl_scan_block *blocks;
    uint32_t block, block_count;
    uint32_t good;              /* bytes of text that may be believed */
    struct sl_doc doc;
    struct sl_span *spans;
    uint32_t *parents;
    uint32_t count, capacity;
    bool capped;                /* capacity is the caller's limit, not our count */
    struct frame *frame, *frames; /* frames[0] is no container: the root's parent */
    uint32_t depth_limit;
    uint32_t escape;            /* the first escape not yet seen to; UINT32_MAX if there is none */
    const uint32_t *place, *place_end;
    struct sl_doc_error *error;
    bool ended;                 /* the text ran out: what lies beyond `good` may be the cause */
    uint32_t *(*find_places)(const struct sl_scan_block *block, uint32_t count, uint32_t base, uint32_t *to);
    uint32_t places[(WINDOW + 1) * SL_SCAN_BYTES];
};

static enum sl_status refuse(struct build *b, size_t offset, const char *why)
{
    *b->error = (struct sl_doc_error){offset, why};
    return SL_SYNTAX;
}

static enum sl_status refuse_limit(struct build *b, size_t offset, const char *why)
{
    *b->error = (struct sl_doc_error){offset, why};
    return SL_LIMIT;
}

static enum sl_status run_out(struct build *b)
{
    b->ended = true;
    return refuse(b, b->good, "the text ends too soon");
}

/* The next window of places. False when there are none. */
static bool refill(struct build *b)
{
    uint32_t *to = b->places;
    b->place = to;
    while (b->block < b->block_count && to == b->places) {
        uint32_t stop = b->block + WINDOW < b->block_count ? b->block + WINDOW : b->block_count;
        to = b->find_places(b->blocks + b->block, stop - b->block, b->block * SL_SCAN_BYTES, to);
        b->block = stop;
    }
    /* What the scanner found fault with, and all after it, is not there. */
    while (to > b->places && to[-1] >= b->good)
        to--;
    b->place_end = to;
    return to > b->places;
}

/* The place after; run_out if there is none. */
static inline bool next_place(struct build *b, uint32_t *at)
{
    if (__builtin_expect(b->place == b->place_end, 0) && !refill(b))
        return false;
    *at = *b->place++;
    return true;
}

#define NEXT(b, at)               \
    do {                          \
        if (!next_place(b, at))   \
            return run_out(b);    \
    } while (0)

/* The first escape at or after `from`. */
static uint32_t find_escape(const struct build *b, uint32_t from)
{
    uint32_t block = from / SL_SCAN_BYTES;
    if (block >= b->block_count)
        return UINT32_MAX;
    uint64_t bits = b->blocks[block].escapes & ~0ull << from % SL_SCAN_BYTES;
    while (!bits) {
        if (++block == b->block_count)
            return UINT32_MAX;
        bits = b->blocks[block].escapes;
    }
    return block * SL_SCAN_BYTES + (uint32_t)__builtin_ctzll(bits);
}

/* Sees to the escapes of the string that ends at `end`. */
static enum sl_status check_escapes(struct build *b, uint32_t end)
{
    while (b->escape < end) {
        char bytes[4];
        unsigned len;
        size_t took = sl_span_unescape(b->doc.text.ptr + b->escape, end - 1 - b->escape, bytes, &len);
        if (!took)
            return refuse(b, b->escape, "a bad escape");
        b->escape = find_escape(b, b->escape + (uint32_t)took);
    }
    return SL_OK;
}

static inline bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* The end of the string that began at `begin`, when the next place is `after`: only white space lies between. */
static inline uint32_t string_end(const struct build *b, uint32_t after)
{
    while (b->doc.text.ptr[after - 1] != '"')
        after--;
    return after;
}

static inline enum sl_status add_span(struct build *b, const struct sl_span *key, enum sl_span_type type, uint32_t begin,
    uint32_t end, uint32_t parent)
{
    if (__builtin_expect(b->count == b->capacity, 0)) {
        SL_ASSERT(b->capped);
        return refuse_limit(b, begin, "too many values");
    }
    b->parents[b->count] = parent;
    b->spans[b->count] = (struct sl_span){begin, end, b->count + 1, key->name, (uint8_t)type, key->flags};
    b->count++;
    return SL_OK;
}

static enum sl_status add_string(struct build *b, const struct sl_span *key, uint32_t begin, uint32_t after)
{
    uint32_t end = string_end(b, after);
    struct sl_span with = *key;
    if (__builtin_expect(b->escape < end, 0)) {
        SL_TRY(check_escapes(b, end));
        with.flags |= SL_SPAN_ESCAPED;
    }
    return add_span(b, &with, SL_SPAN_STRING, begin, end, b->frame->span);
}

static bool is_literal(const struct build *b, uint32_t begin, struct sl_slice literal)
{
    return b->good - begin >= literal.len && memcmp(b->doc.text.ptr + begin, literal.ptr, literal.len) == 0;
}

/* A bare word: number, true, false or null. It must fill the room up to white space or the next place. */
static enum sl_status add_word(struct build *b, const struct sl_span *key, uint32_t begin, uint32_t after)
{
    enum sl_span_type type = SL_SPAN_NUMBER;
    size_t length = 0;
    switch (b->doc.text.ptr[begin]) {
    case 't':
        type = SL_SPAN_TRUE;
        length = is_literal(b, begin, SL_LIT("true")) ? 4 : 0;
        break;
    case 'f':
        type = SL_SPAN_FALSE;
        length = is_literal(b, begin, SL_LIT("false")) ? 5 : 0;
        break;
    case 'n':
        type = SL_SPAN_NULL;
        length = is_literal(b, begin, SL_LIT("null")) ? 4 : 0;
        break;
    default:
        length = sl_span_number(b->doc.text.ptr + begin, after - begin);
    }
    uint32_t end = begin + (uint32_t)length;
    if (!length || (end != after && !is_space(b->doc.text.ptr[end])))
        return refuse(b, begin, "a value was expected");
    return add_span(b, key, type, begin, end, b->frame->span);
}

static enum sl_status open_container(struct build *b, const struct sl_span *key, uint32_t at)
{
    bool object = b->doc.text.ptr[at] == '{';
    struct frame *frame = b->frame + 1;
    uint32_t parent = b->frame->span;
    if ((size_t)(b->frame - b->frames) >= b->depth_limit)
        return refuse_limit(b, at, "nested too deep");
    *frame = (struct frame){.span = b->count, .closer = object ? '}' : ']'};
    b->frame = frame;
    return add_span(b, key, object ? SL_SPAN_OBJECT : SL_SPAN_ARRAY, at, at + 1, parent);
}

/* The filter cannot tell whether the keys of this object are all different: they are compared. */
static enum sl_status check_keys(struct build *b, uint32_t object)
{
    uint32_t twin = 0;
    b->doc.spans = b->spans;
    b->doc.parents = b->parents;
    b->doc.count = b->count;
    SL_TRY(sl_span_find_twin(b->arena, &b->doc, object, &twin));
    if (!twin)
        return SL_OK;
    struct sl_slice key = sl_span_key(&b->doc, twin);
    return refuse(b, (size_t)(key.ptr - b->doc.text.ptr) - 1, "a duplicate key");
}

static enum sl_status close_container(struct build *b, uint32_t at)
{
    struct frame *frame = b->frame;
    if (b->doc.text.ptr[at] != frame->closer)
        return refuse(b, at, frame->closer == '}' ? "',' or '}' was expected" : "',' or ']' was expected");
    b->spans[frame->span].end = at + 1;
    b->spans[frame->span].next = b->count;
    b->spans[frame->span].flags |= frame->paired ? SL_SPAN_PAIRED : 0;
    b->frame = frame - 1;
    if (__builtin_expect(frame->suspect, 0))
        return check_keys(b, frame->span);
    return SL_OK;
}

/* Notes the key in its object's filter. Unknown names share two bits: the second one of them makes the object suspect. */
static inline void note_key(struct frame *frame, uint32_t name, uint32_t sibling)
{
    uint32_t bit = name ^ sibling << 8;
    uint64_t *word = &frame->seen[bit / 64 % SEEN_WORDS];
    frame->suspect |= *word >> bit % 64 & 1;
    *word |= 1ull << bit % 64;
    frame->paired |= sibling;
}

/* The key at `at`, its colon, and the place of its value. */
static enum sl_status read_key(struct build *b, uint32_t at, struct sl_span *key, uint32_t *value)
{
    const char *text = b->doc.text.ptr;
    uint32_t colon;
    if (text[at] != '"')
        return refuse(b, at, "a key was expected");
    NEXT(b, &colon);
    if (text[colon] != ':')
        return refuse(b, colon, "':' was expected");
    uint32_t end = string_end(b, colon);
    if (__builtin_expect(b->escape < end, 0))
        return refuse(b, b->escape, "an escape in a key");
    const char *name = text + at + 1;
    size_t length = end - at - 2;
    bool sibling = length > 0 && name[0] == '_';
    key->name = sl_name_find(name + sibling, length - sibling);
    key->flags = sibling ? SL_SPAN_MEMBER | SL_SPAN_SIBLING : SL_SPAN_MEMBER;
    note_key(b->frame, key->name, sibling);
    NEXT(b, value);
    return SL_OK;
}

/* The root is no container. Where the text was cut short, its last word is not to be judged. */
static enum sl_status build_scalar(struct build *b, uint32_t at)
{
    static const struct sl_span no_key = {0};
    uint32_t after = b->good;
    bool more = next_place(b, &after);
    if (!more && b->good < b->doc.text.len)
        return run_out(b);
    SL_TRY(b->doc.text.ptr[at] == '"' ? add_string(b, &no_key, at, after) : add_word(b, &no_key, at, after));
    return more ? refuse(b, after, "more after the value") : SL_OK;
}

/*
 * One value after the other. Invariant at `value`: the place `at` is where a value must begin, and `key` is its key, or
 * empty within an array. Invariant at `after`: a value inside b->frame is complete, and `at` is the place behind it.
 */
static enum sl_status build_values(struct build *b, uint32_t at)
{
    const char *text = b->doc.text.ptr;
    struct sl_span key = {0};
    uint32_t begin;
value:
    begin = at;
    if (text[at] == '{' || text[at] == '[') {
        SL_TRY(open_container(b, &key, at));
        NEXT(b, &at);
        if (text[at] == b->frame->closer)
            goto close;
        goto item;
    }
    NEXT(b, &at);
    SL_TRY(text[begin] == '"' ? add_string(b, &key, begin, at) : add_word(b, &key, begin, at));
after:
    if (text[at] == ',') {
        NEXT(b, &at);
        goto item;
    }
close:
    SL_TRY(close_container(b, at));
    if (b->frame == b->frames)
        return next_place(b, &at) ? refuse(b, at, "more after the value") : SL_OK;
    NEXT(b, &at);
    goto after;
item:
    key = (struct sl_span){0};
    if (b->frame->closer == '}')
        SL_TRY(read_key(b, at, &key, &at));
    goto value;
}

static enum sl_status build_root(struct build *b)
{
    uint32_t at;
    if (!next_place(b, &at)) {
        b->ended = true;
        return refuse(b, 0, "no value");
    }
    char c = b->doc.text.ptr[at];
    return c == '{' || c == '[' ? build_values(b, at) : build_scalar(b, at);
}

/* Spans and frames are counted before they are allocated: a value follows a comma, an opener, or nothing. */
static enum sl_status allocate(struct build *b, const struct sl_scan *scan, const struct sl_doc_limits *limits)
{
    b->capped = scan->values + 1 > limits->spans;
    b->capacity = b->capped ? limits->spans : (uint32_t)(scan->values + 1);
    uint64_t frames = scan->opens < limits->depth ? scan->opens : limits->depth;
    b->spans = sl_arena_raw(b->arena, b->capacity, sizeof *b->spans);
    b->parents = sl_arena_raw(b->arena, b->capacity, sizeof *b->parents);
    b->frame = b->frames = sl_arena_raw(b->arena, frames + 1, sizeof *b->frames);
    if (!b->spans || !b->parents || !b->frames)
        return SL_NO_MEMORY;
    b->frames[0].span = 0;
    return SL_OK;
}

enum sl_status sl_span_build(struct sl_arena *arena, const struct sl_scan *scan, const struct sl_scanner *scanner,
    size_t good, const struct sl_doc_limits *limits, struct sl_doc *out, struct sl_doc_error *error)
{
    struct sl_doc_error fault;
    struct build b;
    memset(&b, 0, offsetof(struct build, places));
    b.arena = arena;
    b.find_places = scanner->places;
    b.blocks = scan->blocks;
    b.block_count = scan->count;
    b.good = (uint32_t)good;
    b.doc.text = scan->text;
    b.depth_limit = limits->depth;
    b.error = &fault;
    SL_TRY(allocate(&b, scan, limits));
    b.place = b.place_end = b.places;
    b.escape = find_escape(&b, 0);
    enum sl_status status = build_root(&b);
    bool cut_short = good < scan->text.len;
    if (cut_short && (status == SL_OK || b.ended))
        return SL_SYNTAX;
    if (status == SL_OK)
        *out = (struct sl_doc){scan->text, b.spans, b.parents, b.count};
    else
        *error = fault;
    return status;
}
