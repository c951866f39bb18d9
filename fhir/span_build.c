/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second stage of a parse: see span_build.h. A loop over the places that the scanner found, with an array of
 * frames, one per open container, instead of recursion. Each step either writes a span or fails, so the work is linear.
 */
#include "span_build.h"

#include <endian.h>

#include "sluice/r4.h"

#define WINDOW 64u /* blocks turned from bits into places at a time: 4 KiB of text */
#define AHEAD 8u   /* places that are there whenever a value begins or a container closes: enough for what follows */

/*
 * A filter of the keys of one object: each key is a number of at most twelve bits, with a bit for its lower and one for
 * its upper half. A key both of whose bits are set may be there already: then the object is checked when it closes.
 * Kept out of memory while its object is read: an address that hangs on a key's name would make each key wait for the
 * one before.
 */
struct keys {
    uint64_t low, high;
    uint32_t suspect;
    uint32_t paired; /* a key begins with '_' */
};
_Static_assert(2 * SL_NAMES <= 64 * 64, "a name and the bit of its '_' sibling fill two halves of six bits");

/* An open container. */
struct frame {
    struct keys keys; /* while an inner container is open */
    uint32_t span;
    uint32_t entry; /* of an array: its last value, if that is an object; 0: none */
    char closer;
};

/*
 * Objects in an array mostly have the keys of the one before, in the same order. While they do, a key is not looked up:
 * the span as far behind the object before it as this one is behind its own says what it is. As long as each key is
 * that of such a span within the object that corresponds, they are all different, since those are.
 */
struct likeness {
    uint32_t apart;            /* spans from the one to the other; 0: they are not alike, or there is none before */
    uint32_t begin;            /* the object, which is the end of the one before */
    const struct frame *array; /* that holds both */
};

struct build {
    struct sl_arena *arena;
    const struct sl_scan_block *blocks;
    uint32_t *(*find_places)(const struct sl_scan_block *block, uint32_t count, uint32_t base, uint32_t *to);
    uint32_t block, block_count;
    uint32_t good;   /* bytes of text that may be believed */
    uint32_t root;   /* the place of the root value, which also stands for every place beyond the last */
    uint32_t escape; /* the first escape not yet seen to; UINT32_MAX if there is none */
    uint32_t capacity;
    uint32_t depth; /* the limit */
    bool ended;     /* the text ran out: what lies beyond `good` may be the cause */
    struct sl_doc doc;
    struct sl_span *spans;
    uint32_t *parents;
    struct frame *frames; /* frames[0] is no container: the root's parent */
    struct sl_doc_error *error;
    const uint32_t *low, *end; /* where places[] must be filled again; the end of the places in it */
    uint32_t places[AHEAD + (WINDOW + 1) * SL_SCAN_BYTES];
};

static enum sl_status run_out(struct build *b)
{
    b->ended = true;
    *b->error = (struct sl_doc_error){b->good, "the text ends too soon"};
    return SL_SYNTAX;
}

/* Refuses what stands at `offset`. Where that is the root's place again, nothing stands there. */
static enum sl_status refuse(struct build *b, uint32_t count, uint32_t offset, const char *why)
{
    if (count && offset == b->root)
        return run_out(b);
    *b->error = (struct sl_doc_error){offset, why};
    return SL_SYNTAX;
}

static enum sl_status refuse_limit(struct build *b, uint32_t offset, const char *why)
{
    *b->error = (struct sl_doc_error){offset, why};
    return SL_LIMIT;
}

/* Keeps the places from `place` on and adds more behind them. Where the text has no more, the root's place stands for
 * them: an opening bracket, which no step but the first takes for what it wants. Gives where `place` is now. */
__attribute__((noinline)) static const uint32_t *refill(struct build *b, const uint32_t *place)
{
    size_t left = (size_t)(b->end - place);
    memmove(b->places, place, left * sizeof *place);
    uint32_t *to = b->places + left;
    while (b->block < b->block_count && to < b->places + AHEAD) {
        uint32_t stop = b->block + WINDOW < b->block_count ? b->block + WINDOW : b->block_count;
        to = b->find_places(b->blocks + b->block, stop - b->block, b->block * SL_SCAN_BYTES, to);
        b->block = stop;
    }
    /* What the scanner found fault with, and all after it, is not there. */
    while (to > b->places && to[-1] >= b->good)
        to--;
    b->end = to;
    b->low = to - AHEAD;
    if (to < b->places + AHEAD) {
        b->low = b->places + sizeof b->places / sizeof *b->places;
        for (unsigned i = 0; i < AHEAD; i++)
            to[i] = b->root;
    }
    return b->places;
}

/* The first place that may be believed; false if there is none. */
static bool find_root(struct build *b)
{
    uint32_t block = 0;
    while (block < b->block_count && !b->blocks[block].starts)
        block++;
    if (block == b->block_count)
        return false;
    b->root = block * SL_SCAN_BYTES + (uint32_t)__builtin_ctzll(b->blocks[block].starts);
    return b->root < b->good;
}

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
__attribute__((noinline)) static enum sl_status check_escapes(struct build *b, uint32_t end)
{
    while (b->escape < end) {
        char bytes[4];
        unsigned len;
        size_t took = sl_span_unescape(b->doc.text.ptr + b->escape, end - 1 - b->escape, bytes, &len);
        if (!took)
            return refuse(b, 1, b->escape, "a bad escape");
        b->escape = find_escape(b, b->escape + (uint32_t)took);
    }
    return SL_OK;
}

static inline bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool is_literal(const char *word, size_t left, struct sl_slice literal)
{
    return left >= literal.len && memcmp(word, literal.ptr, literal.len) == 0;
}

/* A bare word: number, true, false or null. It must fill the room up to white space, the next place, or the end. */
static enum sl_span_type read_word(const struct build *b, uint32_t begin, uint32_t after, uint32_t *end)
{
    const char *word = b->doc.text.ptr + begin;
    enum sl_span_type type = SL_SPAN_NUMBER;
    size_t length = 0, left = (after == b->root ? b->good : after) - begin;
    switch (*word) {
    case 't':
        type = SL_SPAN_TRUE;
        length = is_literal(word, left, SL_LIT("true")) ? 4 : 0;
        break;
    case 'f':
        type = SL_SPAN_FALSE;
        length = is_literal(word, left, SL_LIT("false")) ? 5 : 0;
        break;
    case 'n':
        type = SL_SPAN_NULL;
        length = is_literal(word, left, SL_LIT("null")) ? 4 : 0;
        break;
    default:
        length = sl_span_number(word, left);
    }
    *end = begin + (uint32_t)length;
    return length && (length == left || is_space(word[length])) ? type : SL_SPAN_NONE;
}

/* The filter cannot tell whether the keys of this object are all different: they are compared. */
__attribute__((noinline)) static enum sl_status check_keys(struct build *b, uint32_t object, uint32_t count)
{
    uint32_t twin = 0;
    b->doc.spans = b->spans;
    b->doc.parents = b->parents;
    b->doc.count = count;
    SL_TRY(sl_span_find_twin(b->arena, &b->doc, object, &twin));
    if (!twin)
        return SL_OK;
    struct sl_slice key = sl_span_key(&b->doc, twin);
    return refuse(b, count, (uint32_t)(key.ptr - b->doc.text.ptr) - 1, "a duplicate key");
}

/* Notes a key in its object's filter. Unknown names are all one number: the second of them makes the object suspect. */
static inline void note_key(struct keys *keys, uint32_t name, uint32_t sibling)
{
    uint32_t code = name << 1 | sibling, low = code % 64, high = code / 64;
    keys->suspect |= (uint32_t)(keys->low >> low & keys->high >> high) & 1;
    keys->low |= 1ull << low;
    keys->high |= 1ull << high;
    keys->paired |= sibling;
}

#define LIKE_MOST 32u /* bytes from a key's opening quote to its value; longer ones are looked up */

/* Are the `len` bytes before the one place those before the other? Both have LIKE_MOST bytes before them. */
static inline bool same_before(const char *one, const char *other, uint32_t len)
{
    uint64_t a, b, c, d;
    memcpy(&a, one - sizeof a, sizeof a);
    memcpy(&b, other - sizeof b, sizeof b);
    if (len < sizeof a)
        return (le64toh(a) ^ le64toh(b)) >> (64 - 8 * len) == 0;
    memcpy(&c, one - len, sizeof c);
    memcpy(&d, other - len, sizeof d);
    if ((a ^ b) | (c ^ d))
        return false;
    return len <= 2 * sizeof a || memcmp(one - len, other - len, len) == 0;
}

/* The value of the object before that has the key whose opening quote is at `at` and whose value will be at `value`, if
 * it stands where it would; NULL: it does not. */
static inline const struct sl_span *find_like(
    const struct build *b, const struct likeness *like, uint32_t count, uint32_t object, uint32_t at, uint32_t value)
{
    uint32_t before = count - like->apart, len = value - at;
    const struct sl_span *span = &b->spans[before];
    if (before >= like->begin || b->parents[before] != object - like->apart || !(span->flags & SL_SPAN_MEMBER) ||
        len - 1 >= LIKE_MOST || span->begin < LIKE_MOST)
        return NULL;
    return same_before(b->doc.text.ptr + value, b->doc.text.ptr + span->begin, len) ? span : NULL;
}

/* Notes the keys of an open object whose members so far are those before `stop`, but for what is within them. */
static void note_members(const struct build *b, struct keys *keys, uint32_t object, uint32_t stop)
{
    for (uint32_t c = object + 1; c < stop; c = b->spans[c].next)
        note_key(keys, b->spans[c].name, (b->spans[c].flags & SL_SPAN_SIBLING) != 0);
}

/* They are not alike after all: what was not noted of the objects that are open is noted now. */
__attribute__((noinline)) static void end_likeness(
    const struct build *b, struct likeness *like, struct frame *frame, struct keys *keys, uint32_t count)
{
    note_members(b, keys, frame->span, count);
    for (frame--; frame > like->array; frame--)
        if (frame->closer == '}')
            note_members(b, &frame->keys, frame->span, frame[1].span + 1);
    like->apart = 0;
}

/* The next value of an array is to begin, at `at`. */
static inline void begin_likeness(
    const struct build *b, struct likeness *like, struct frame *array, uint32_t count, uint32_t at)
{
    bool object = b->doc.text.ptr[at] == '{';
    if (!like->apart || like->array == array)
        *like = (struct likeness){object && array->entry ? count - array->entry : 0, count, array};
    array->entry = object ? count : 0;
}

/*
 * One value after the other, hand over hand through the places: a string has two, a word one, and so has each of {}[]:,
 * Invariants: at `value`, `at` is where a value must begin, and name and flags are those of its key, or 0 within an
 * array; at `after`, a value inside the frame is complete, and `at` is the place behind it; at both, and at `close`,
 * there are places enough for what is read until the next of them.
 */
static enum sl_status build_values(struct build *b, const uint32_t *place)
{
    const char *text = b->doc.text.ptr;
    struct sl_span *spans = b->spans;
    struct frame *frame = b->frames;
    struct keys keys = {0};
    struct likeness like = {0};
    const struct sl_span *span;
    uint32_t count = 0, at = *place++, end, close;
    enum sl_span_type type;
    bool sibling;
    uint16_t name = 0;
    uint8_t flags = 0;
value:
    if (__builtin_expect(place >= b->low, 0))
        place = refill(b, place);
    if (__builtin_expect(count == b->capacity, 0))
        return refuse_limit(b, at, "too many values");
    b->parents[count] = frame->span;
    if (text[at] == '"') {
        end = *place++ + 1;
        if (__builtin_expect(b->escape < end, 0)) {
            SL_TRY(check_escapes(b, end));
            flags |= SL_SPAN_ESCAPED;
        }
        spans[count] = (struct sl_span){at, end, count + 1, name, SL_SPAN_STRING, flags};
    } else if (text[at] == '{' || text[at] == '[') {
        if (count && at == b->root)
            return run_out(b);
        if (frame == b->frames + b->depth)
            return refuse_limit(b, at, "nested too deep");
        type = text[at] == '{' ? SL_SPAN_OBJECT : SL_SPAN_ARRAY;
        frame->keys = keys;
        keys = (struct keys){0};
        frame++;
        frame->span = count;
        frame->entry = 0;
        frame->closer = type == SL_SPAN_OBJECT ? '}' : ']';
        spans[count] = (struct sl_span){at, at + 1, count + 1, name, (uint8_t)type, flags};
        count++;
        at = *place++;
        if (text[at] == frame->closer)
            goto close;
        goto item;
    } else {
        type = read_word(b, at, *place, &end);
        if (type == SL_SPAN_NONE)
            return refuse(b, count, at, "a value was expected");
        spans[count] = (struct sl_span){at, end, count + 1, name, (uint8_t)type, flags};
    }
    count++;
    at = *place++;
after:
    if (text[at] == ',') {
        at = *place++;
        goto item;
    }
close:
    if (text[at] != frame->closer)
        return refuse(b, count, at, frame->closer == '}' ? "',' or '}' was expected" : "',' or ']' was expected");
    if (__builtin_expect(place >= b->low, 0))
        place = refill(b, place);
    spans[frame->span].end = at + 1;
    spans[frame->span].next = count;
    spans[frame->span].flags |= keys.paired ? SL_SPAN_PAIRED : 0;
    if (__builtin_expect(keys.suspect, 0))
        SL_TRY(check_keys(b, frame->span, count));
    at = *place++;
    if (frame == like.array)
        like = (struct likeness){0};
    frame--;
    keys = frame->keys;
    if (frame != b->frames)
        goto after;
    b->doc.count = count;
    return at == b->root ? SL_OK : refuse(b, count, at, "more after the value");
item:
    name = 0;
    flags = 0;
    if (frame->closer == ']') {
        begin_likeness(b, &like, frame, count, at);
        goto value;
    }
    if (text[at] != '"')
        return refuse(b, count, at, "a key was expected");
    if (like.apart) {
        span = find_like(b, &like, count, frame->span, at, place[2]);
        if (span) {
            name = span->name;
            flags = span->flags & (SL_SPAN_MEMBER | SL_SPAN_SIBLING);
            keys.paired |= flags & SL_SPAN_SIBLING;
            at = place[2];
            place += 3;
            goto value;
        }
        end_likeness(b, &like, frame, &keys, count);
    }
    close = *place++;
    if (text[*place] != ':')
        return refuse(b, count, *place, "':' was expected");
    if (__builtin_expect(b->escape < close, 0))
        return refuse(b, count, b->escape, "an escape in a key");
    sibling = text[at + 1] == '_'; /* an empty key has its closing quote there */
    name = sl_name_find(text + at + 1 + sibling, close - at - 1 - sibling);
    flags = sibling ? SL_SPAN_MEMBER | SL_SPAN_SIBLING : SL_SPAN_MEMBER;
    note_key(&keys, name, sibling);
    at = place[1];
    place += 2;
    goto value;
}

/* The root is no container. */
static enum sl_status build_scalar(struct build *b, const uint32_t *place)
{
    uint32_t begin = *place++, end;
    uint8_t flags = 0;
    enum sl_span_type type = SL_SPAN_STRING;
    if (!b->capacity)
        return refuse_limit(b, begin, "too many values");
    if (b->doc.text.ptr[begin] == '"') {
        end = *place++ + 1;
        flags = b->escape < end ? SL_SPAN_ESCAPED : 0;
        SL_TRY(check_escapes(b, end));
    } else {
        type = read_word(b, begin, *place, &end);
    }
    if (type == SL_SPAN_NONE)
        return refuse(b, 0, begin, "a value was expected");
    if (*place != b->root)
        return refuse(b, 1, *place, "more after the value");
    b->spans[0] = (struct sl_span){begin, end, 1, 0, (uint8_t)type, flags};
    b->parents[0] = 0;
    b->doc.count = 1;
    return SL_OK;
}

static enum sl_status build_root(struct build *b)
{
    if (!find_root(b)) {
        b->ended = true;
        *b->error = (struct sl_doc_error){0, "no value"};
        return SL_SYNTAX;
    }
    b->escape = find_escape(b, 0);
    b->end = b->places;
    const uint32_t *place = refill(b, b->places);
    char c = b->doc.text.ptr[*place];
    return c == '{' || c == '[' ? build_values(b, place) : build_scalar(b, place);
}

/* Spans and frames are counted before they are allocated: a value follows a comma, an opener, or nothing. */
static enum sl_status allocate(struct build *b, const struct sl_scan *scan, const struct sl_doc_limits *limits)
{
    b->capacity = scan->values < limits->spans ? (uint32_t)scan->values + 1 : limits->spans;
    uint64_t frames = scan->values < limits->depth ? scan->values : limits->depth;
    b->spans = sl_arena_raw(b->arena, b->capacity, sizeof *b->spans);
    b->parents = sl_arena_raw(b->arena, b->capacity, sizeof *b->parents);
    b->frames = sl_arena_raw(b->arena, frames + 1, sizeof *b->frames);
    if (!b->spans || !b->parents || !b->frames)
        return SL_NO_MEMORY;
    b->frames[0].span = 0;
    return SL_OK;
}

enum sl_status sl_span_build(struct sl_arena *arena, const struct sl_scan *scan, const struct sl_scanner *scanner,
    size_t good, const struct sl_doc_limits *limits, struct sl_doc *out, struct sl_doc_error *error)
{
    struct sl_doc_error fault = {0, "out of memory"};
    struct build b;
    memset(&b, 0, offsetof(struct build, places));
    b.arena = arena;
    b.find_places = scanner->places;
    b.blocks = scan->blocks;
    b.block_count = scan->count;
    b.good = (uint32_t)good;
    b.doc.text = scan->text;
    b.depth = limits->depth;
    b.error = &fault;
    SL_TRY(allocate(&b, scan, limits));
    enum sl_status status = build_root(&b);
    if (good < scan->text.len && (status == SL_OK || b.ended))
        return SL_SYNTAX;
    if (status == SL_OK)
        *out = (struct sl_doc){scan->text, b.spans, b.parents, b.doc.count};
    else
        *error = fault;
    return status;
}
