/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Noting edits: see sluice/edit.h. A byte a span says what has become of it, so that asking is one look-up. All else is
 * kept in notes, for spans that edits touch only. Nothing here looks at the text but to compare keys of '_' siblings.
 */
#include "edit.h"

#include <stdlib.h>

struct sl_edits *sl_edits_new(struct sl_arena *arena, const struct sl_doc *doc)
{
    struct sl_edits *edits = sl_arena_alloc(arena, sizeof *edits);
    uint8_t *states = sl_arena_array(arena, doc->count, 1);
    uint64_t *marks = sl_arena_array(arena, doc->count / 64 + 1, sizeof *marks);
    if (!edits || !states || !marks)
        return NULL;
    edits->arena = arena;
    edits->doc = doc;
    edits->states = states;
    edits->marks = marks;
    return edits;
}

/* Fibonacci hashing: the numbers of spans are bounded and dense, so that no choice of them makes probes long. */
static uint32_t slot_of(uint32_t span, uint32_t room)
{
    return (uint32_t)((uint64_t)span * 0x9e3779b97f4a7c15u >> (64 - __builtin_ctz(room)));
}

static struct sl_edit_note **find_slot(struct sl_edit_note **notes, uint32_t room, uint32_t span)
{
    uint32_t at = slot_of(span, room);
    while (notes[at] && notes[at]->span != span)
        at = (at + 1) & (room - 1);
    return &notes[at];
}

struct sl_edit_note *sl_edit_note(const struct sl_edits *edits, uint32_t span)
{
    return edits->note_room ? *find_slot(edits->notes, edits->note_room, span) : NULL;
}

static bool grow_notes(struct sl_edits *edits)
{
    uint32_t room = edits->note_room ? edits->note_room * 2 : 64;
    struct sl_edit_note **notes = sl_arena_array(edits->arena, room, sizeof *notes);
    if (!notes)
        return false;
    for (uint32_t i = 0; i < edits->note_room; i++)
        if (edits->notes[i])
            *find_slot(notes, room, edits->notes[i]->span) = edits->notes[i];
    edits->notes = notes;
    edits->note_room = room;
    return true;
}

/* The note of a span, a new one if need be; NULL, and all edits failed, if memory ran out. */
static struct sl_edit_note *take_note(struct sl_edits *edits, uint32_t span)
{
    struct sl_edit_note *note = sl_edit_note(edits, span);
    if (note)
        return note;
    if (edits->note_count * 2 >= edits->note_room && !grow_notes(edits))
        goto fail;
    note = sl_arena_alloc(edits->arena, sizeof *note);
    if (!note)
        goto fail;
    note->span = span;
    *find_slot(edits->notes, edits->note_room, span) = note;
    edits->note_count++;
    return note;
fail:
    edits->failed = true;
    return NULL;
}

static void mark(struct sl_edits *edits, uint32_t span)
{
    edits->marks[span / 64] |= (uint64_t)1 << span % 64;
}

static bool is_sibling_array(const struct sl_doc *doc, uint32_t i)
{
    return doc->spans[i].type == SL_SPAN_ARRAY && (doc->spans[i].flags & SL_SPAN_SIBLING);
}

/* Is the child something other than a null that only holds a place? */
static bool is_value(const struct sl_edits *edits, uint32_t i)
{
    uint8_t state = edits->states[i];
    return state == SL_EDIT_REPLACED || (!state && edits->doc->spans[i].type != SL_SPAN_NULL);
}

/* The note of a container, with its remaining children counted. */
static struct sl_edit_note *count_children(struct sl_edits *edits, uint32_t container)
{
    struct sl_edit_note *note = take_note(edits, container);
    if (!note || note->counted)
        return note;
    const struct sl_span *spans = edits->doc->spans;
    note->counted = true;
    for (uint32_t c = container + 1; c < spans[container].next; c = spans[c].next) {
        uint8_t state = edits->states[c];
        note->left += state != SL_EDIT_CUT && state != SL_EDIT_EMPTIED;
        note->values += is_value(edits, c);
    }
    return note;
}

/* Two members of one object, or two items with one index, as halves of one element. */
static void pair(struct sl_edits *edits, uint32_t a, uint32_t b)
{
    struct sl_edit_note *one = take_note(edits, a), *other = take_note(edits, b);
    if (!one || !other)
        return;
    one->partner = b;
    other->partner = a;
}

static void pair_items(struct sl_edits *edits, uint32_t a, uint32_t b)
{
    const struct sl_span *spans = edits->doc->spans;
    if (spans[a].type != SL_SPAN_ARRAY || spans[b].type != SL_SPAN_ARRAY)
        return;
    uint32_t i = a + 1, j = b + 1;
    for (; i < spans[a].next && j < spans[b].next; i = spans[i].next, j = spans[j].next)
        pair(edits, i, j);
}

struct named {
    struct sl_slice key; /* without the underscore */
    uint32_t span;
};

static int compare_named(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    if (x->key.len != y->key.len)
        return x->key.len < y->key.len ? -1 : 1;
    return x->key.len ? memcmp(x->key.ptr, y->key.ptr, x->key.len) : 0;
}

/* Finds the partners among the members of an object, by sorting: there may be a million of them. Done once for an
 * object, and only where some key begins with '_'. Keys are unique, so a pair is what two neighbours are at most. */
static void pair_members(struct sl_edits *edits, uint32_t object)
{
    const struct sl_doc *doc = edits->doc;
    struct sl_edit_note *note = take_note(edits, object);
    if (!note || note->paired)
        return;
    note->paired = true;
    uint32_t count = 0, stop = doc->spans[object].next;
    for (uint32_t c = object + 1; c < stop; c = doc->spans[c].next)
        count++;
    struct named *names = sl_arena_raw(edits->arena, count, sizeof *names);
    if (!names) {
        edits->failed = true;
        return;
    }
    count = 0;
    for (uint32_t c = object + 1; c < stop; c = doc->spans[c].next) {
        struct sl_slice key = sl_span_key(doc, c);
        if (doc->spans[c].flags & SL_SPAN_SIBLING)
            key = (struct sl_slice){key.ptr + 1, key.len - 1};
        names[count++] = (struct named){key, c};
    }
    qsort(names, count, sizeof *names, compare_named);
    for (uint32_t i = 1; i < count; i++)
        if (compare_named(&names[i - 1], &names[i]) == 0) {
            pair(edits, names[i - 1].span, names[i].span);
            pair_items(edits, names[i - 1].span, names[i].span);
        }
}

/* The other half of a member, or of an item of an array that is a member; 0 if there is none. */
static uint32_t partner_of(struct sl_edits *edits, uint32_t i)
{
    const struct sl_doc *doc = edits->doc;
    uint32_t object = doc->parents[i];
    if (doc->spans[object].type == SL_SPAN_ARRAY)
        object = doc->parents[object];
    if (i == 0 || !(doc->spans[object].flags & SL_SPAN_PAIRED))
        return 0;
    pair_members(edits, object);
    struct sl_edit_note *note = sl_edit_note(edits, i);
    return note ? note->partner : 0;
}

static bool is_empty(const struct sl_edits *edits, const struct sl_edit_note *note)
{
    return !note->first && (is_sibling_array(edits->doc, note->span) ? note->values : note->left) == 0;
}

/*
 * What an emptied item owes the other half of its element. In a '_' array it stays as null (SL_EDIT_NULLED) where the
 * other half has a value; else nothing is left of the element and the other half goes too (SL_EDIT_CUT). Without one,
 * or where it is gone already, the item just goes (SL_EDIT_EMPTIED).
 */
static enum sl_edit_state judge_emptied(struct sl_edits *edits, uint32_t i)
{
    uint32_t parent = edits->doc->parents[i];
    uint32_t other = i && edits->doc->spans[parent].type == SL_SPAN_ARRAY ? partner_of(edits, i) : 0;
    if (!other || sl_edit_is_gone(edits->states[other]))
        return SL_EDIT_EMPTIED;
    return is_sibling_array(edits->doc, parent) && is_value(edits, other) ? SL_EDIT_NULLED : SL_EDIT_CUT;
}

/* The nulls that only held places in a '_' array go with it. */
static void cut_nulls(struct sl_edits *edits, struct sl_edit_note *note)
{
    const struct sl_span *spans = edits->doc->spans;
    for (uint32_t c = note->span + 1; c < spans[note->span].next; c = spans[c].next)
        if (edits->states[c] != SL_EDIT_EMPTIED) {
            edits->states[c] = SL_EDIT_CUT;
            mark(edits, c); /* it shows if an addition brings the array back */
        }
    note->left = 0;
}

/* A container has just lost its last child: it goes, and so may its parent, upwards. */
static void empty_container(struct sl_edits *edits, struct sl_edit_note *note)
{
    uint32_t i = note->span;
    struct sl_edit_note *above = i ? count_children(edits, edits->doc->parents[i]) : NULL;
    if (i && !above)
        return;
    enum sl_edit_state state = judge_emptied(edits, i);
    if (state == SL_EDIT_CUT) {
        sl_edit_cut(edits, i);
        return;
    }
    if (note->left)
        cut_nulls(edits, note);
    edits->states[i] = (uint8_t)state;
    mark(edits, i);
    if (!above)
        return;
    above->values--;
    above->left -= state == SL_EDIT_EMPTIED;
    if (is_empty(edits, above) && !edits->states[above->span])
        empty_container(edits, above);
}

/* Cuts i alone, and the containers that this empties. */
static void cut_one(struct sl_edits *edits, uint32_t i)
{
    uint8_t before = edits->states[i];
    if (before == SL_EDIT_CUT)
        return;
    struct sl_edit_note *above = i ? count_children(edits, edits->doc->parents[i]) : NULL;
    if (i && !above)
        return;
    if (above) {
        above->values -= is_value(edits, i);
        above->left -= before != SL_EDIT_EMPTIED;
    }
    memset(edits->states + i, SL_EDIT_CUT, edits->doc->spans[i].next - i);
    mark(edits, i);
    if (above && is_empty(edits, above) && !edits->states[above->span])
        empty_container(edits, above);
}

void sl_edit_cut(struct sl_edits *edits, uint32_t i)
{
    SL_ASSERT(edits && i < edits->doc->count);
    if (edits->states[i] == SL_EDIT_CUT)
        return;
    uint32_t other = partner_of(edits, i);
    cut_one(edits, i);
    if (other)
        cut_one(edits, other);
}

void sl_edit_cut_half(struct sl_edits *edits, uint32_t i)
{
    SL_ASSERT(edits && i < edits->doc->count && edits->doc->spans[i].flags & SL_SPAN_SIBLING);
    cut_one(edits, i);
}

bool sl_edit_is_cut(const struct sl_edits *edits, uint32_t i)
{
    SL_ASSERT(edits && i < edits->doc->count);
    return edits->failed || sl_edit_is_gone(edits->states[i]);
}

/* The first span from c on, among siblings that end at `stop`, that is not cut. */
static uint32_t skip_cut(const struct sl_edits *edits, uint32_t c, uint32_t stop)
{
    while (c < stop && sl_edit_is_cut(edits, c))
        c = edits->doc->spans[c].next;
    return c < stop ? c : 0;
}

uint32_t sl_edit_first(const struct sl_edits *edits, uint32_t i)
{
    return skip_cut(edits, i + 1, edits->doc->spans[i].next);
}

uint32_t sl_edit_next(const struct sl_edits *edits, uint32_t c)
{
    return skip_cut(edits, edits->doc->spans[c].next, edits->doc->spans[edits->doc->parents[c]].next);
}

/* A container that had been emptied is there again, and so are those above it that it had emptied. */
static void revive(struct sl_edits *edits, uint32_t i)
{
    while (edits->states[i] == SL_EDIT_EMPTIED || edits->states[i] == SL_EDIT_NULLED) {
        bool was_null = edits->states[i] == SL_EDIT_NULLED;
        edits->states[i] = 0;
        if (!i)
            return;
        i = edits->doc->parents[i];
        struct sl_edit_note *above = count_children(edits, i);
        if (!above)
            return;
        above->values++;
        above->left += !was_null;
    }
}

void sl_edit_replace(struct sl_edits *edits, uint32_t i, struct sl_slice text)
{
    SL_ASSERT(edits && i < edits->doc->count);
    if (edits->states[i] == SL_EDIT_CUT)
        return;
    struct sl_edit_note *note = take_note(edits, i);
    if (!note)
        return;
    revive(edits, i);
    if (edits->states[i] != SL_EDIT_REPLACED) {
        struct sl_edit_note *above = i ? sl_edit_note(edits, edits->doc->parents[i]) : NULL;
        if (above && above->counted)
            above->values += !is_value(edits, i);
        memset(edits->states + i, SL_EDIT_CUT, edits->doc->spans[i].next - i);
        edits->states[i] = SL_EDIT_REPLACED;
        mark(edits, i);
    }
    note->replacement = text;
}

struct sl_slice sl_edit_replacement(const struct sl_edits *edits, uint32_t i)
{
    SL_ASSERT(edits && i < edits->doc->count);
    if (edits->states[i] != SL_EDIT_REPLACED)
        return (struct sl_slice){NULL, 0};
    return sl_edit_note(edits, i)->replacement;
}

static void add(struct sl_edits *edits, uint32_t container, struct sl_slice text)
{
    if (edits->states[container] == SL_EDIT_CUT || edits->states[container] == SL_EDIT_REPLACED)
        return;
    struct sl_edit_note *note = take_note(edits, container);
    struct sl_edit_piece *piece = sl_arena_alloc(edits->arena, sizeof *piece);
    if (!note || !piece) {
        edits->failed = true;
        return;
    }
    piece->text = text;
    if (note->last)
        note->last->next = piece;
    else
        note->first = piece;
    note->last = piece;
    revive(edits, container);
    mark(edits, container);
}

void sl_edit_add_member(struct sl_edits *edits, uint32_t object, struct sl_slice member)
{
    SL_ASSERT(edits && object < edits->doc->count && edits->doc->spans[object].type == SL_SPAN_OBJECT);
    add(edits, object, member);
}

struct sl_slice *sl_edit_added(const struct sl_edits *edits, uint32_t object, struct sl_slice key)
{
    const struct sl_edit_note *note = sl_edit_note(edits, object);
    for (struct sl_edit_piece *piece = note ? note->first : NULL; piece; piece = piece->next) {
        struct sl_slice text = piece->text;
        if (text.len > key.len + 2 && sl_slice_starts(sl_slice_from(text, 1), key) && text.ptr[key.len + 1] == '"')
            return &piece->text;
    }
    return NULL;
}

void sl_edit_add_item(struct sl_edits *edits, uint32_t array, struct sl_slice item)
{
    SL_ASSERT(edits && array < edits->doc->count && edits->doc->spans[array].type == SL_SPAN_ARRAY);
    add(edits, array, item);
}
