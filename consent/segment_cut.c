/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a span that must go to the span that goes: see segmenting.h. What R4 asks of an object beyond its required
 * elements is in segment_shape.c.
 */
#include "segmenting.h"

#include "hash.h"
#include "sluice/fault.h"

/* Deeper than any document the parser lets through. */
#define MAX_STEPS 130u
#define LARGE 32u /* children that are looked at before `left` is worth its memory */

/* ---- Bits ---- */

static struct sl_gone **slot_of(struct sl_gone **table, size_t mask, const struct sl_doc *doc)
{
    size_t i = (size_t)sl_hash_fold((uint64_t)(uintptr_t)doc, 0x9e3779b97f4a7c15u) & mask;
    while (table[i] && table[i]->doc != doc)
        i = (i + 1) & mask;
    return &table[i];
}

static bool make_room(struct sl_cutting *cutting)
{
    if (cutting->table && cutting->count * 2 <= cutting->mask)
        return true;
    size_t mask = cutting->table ? cutting->mask * 2 + 1 : 15;
    struct sl_gone **table = sl_arena_array(cutting->arena, mask + 1, sizeof *table);
    if (!table)
        return false;
    for (size_t i = 0; cutting->table && i <= cutting->mask; i++)
        if (cutting->table[i])
            *slot_of(table, mask, cutting->table[i]->doc) = cutting->table[i];
    cutting->table = table;
    cutting->mask = mask;
    return true;
}

/* NULL if nothing of the document has been cut. */
static const struct sl_gone *find_gone(const struct sl_cutting *cutting, const struct sl_doc *doc)
{
    return cutting->table ? *slot_of(cutting->table, cutting->mask, doc) : NULL;
}

/* NULL if memory ran out. */
static struct sl_gone *gone_of(struct sl_cutting *cutting, const struct sl_doc *doc)
{
    if (!make_room(cutting))
        return NULL;
    struct sl_gone **slot = slot_of(cutting->table, cutting->mask, doc);
    if (*slot)
        return *slot;
    struct sl_gone *gone = sl_arena_alloc(cutting->arena, sizeof *gone);
    uint64_t *bits = sl_arena_array(cutting->arena, doc->count / 64 + 1, sizeof *bits);
    if (!gone || !bits)
        return NULL;
    *gone = (struct sl_gone){.doc = doc, .bits = bits};
    *slot = gone;
    cutting->count++;
    return gone;
}

/* The first child from c on that is left, among at most `most`; what it gives instead is gone too, or the end. */
static uint32_t skip_gone(const struct sl_gone *gone, uint32_t c, uint32_t end, uint32_t most)
{
    const struct sl_span *spans = gone->doc->spans;
    for (; c < end && most && (sl_gone_has(gone, c) || spans[c].type == SL_SPAN_NULL); most--)
        c = spans[c].next;
    return c;
}

static bool any_left(struct sl_gone *gone, uint32_t container, struct sl_arena *arena)
{
    uint32_t end = gone->doc->spans[container].next, at = skip_gone(gone, container + 1, end, LARGE);
    if (at >= end)
        return false;
    if (!sl_gone_has(gone, at) && gone->doc->spans[at].type != SL_SPAN_NULL)
        return true;
    if (!gone->left)
        gone->left = sl_arena_array(arena, gone->doc->count, sizeof *gone->left);
    if (!gone->left)
        return false; /* the arena has failed, and with it the whole */
    at = skip_gone(gone, gone->left[container] > at ? gone->left[container] : at, end, UINT32_MAX);
    gone->left[container] = at;
    return at < end;
}

/* ---- From the root of an item down to a span ---- */

static sl_r4_node node_of_value(const struct sl_doc *doc, uint32_t span, const struct sl_r4_element *element)
{
    if (!element)
        return 0;
    if (!(element->flags & SL_R4_RESOURCE))
        return element->node;
    uint32_t type = doc->spans[span].type == SL_SPAN_OBJECT ? sl_span_member(doc, span, SL_NAME_resourceType) : 0;
    return type ? sl_r4_resource(sl_span_raw(doc, type)) : 0;
}

static const struct sl_r4_element *element_of(const struct sl_doc *doc, const struct sl_step *parent, uint32_t child)
{
    if (doc->spans[parent->span].type == SL_SPAN_ARRAY)
        return parent->element;
    return parent->node ? sl_r4_element(parent->node, doc->spans[child].name) : NULL;
}

/* Is it the '_' half of a primitive, or one entry of an array of them? */
static bool is_half(const struct sl_doc *doc, const struct sl_step *parent, uint32_t child)
{
    const struct sl_span *array = &doc->spans[parent->span];
    return (doc->spans[child].flags | (array->type == SL_SPAN_ARRAY ? array->flags : 0)) & SL_SPAN_SIBLING;
}

/* The steps from the item's root to the span, both included; 0 if the span does not lie within the item. The way goes
 * up, by parents: down, it would have to be sought among children, of which there may be very many. */
static unsigned trace(const struct sl_item *item, uint32_t span, struct sl_step *steps)
{
    const struct sl_doc *doc = item->doc;
    uint32_t way[MAX_STEPS];
    unsigned n = 0, depth = 0;
    if (span < item->span || span >= doc->spans[item->span].next)
        return 0;
    for (uint32_t at = span; at != item->span; at = doc->parents[at]) {
        if (depth == MAX_STEPS - 1)
            return 0;
        way[depth++] = at;
    }
    steps[n++] = (struct sl_step){.span = item->span, .node = item->type};
    while (depth) {
        uint32_t child = way[--depth];
        const struct sl_r4_element *element = element_of(doc, &steps[n - 1], child);
        bool half = is_half(doc, &steps[n - 1], child);
        sl_r4_node node = half ? SL_R4_Element : node_of_value(doc, child, element);
        steps[n] = (struct sl_step){.span = child, .node = node, .element = element, .half = half};
        steps[n].of_modifier = sl_shape_is_of_modifier(&steps[n - 1], &steps[n]);
        n++;
    }
    return n;
}

/* Is one of the steps a numbered, counted or summed part, or the resource one that goes whole or not at all? Then
 * nothing in it is cut one by one: the resource is withheld, as if it did not exist. */
static bool is_counted(const struct sl_item *item, const struct sl_step *steps, unsigned n)
{
    if (sl_r4_facts(item->type) & SL_R4_WHOLE)
        return true;
    for (unsigned i = 1; i < n; i++)
        if (steps[i].element && steps[i].element->flags & SL_R4_COUNTED)
            return true;
    return false;
}

/* By its id a record is known, and by when it was changed last it is asked for and put in order, upstream too: neither
 * goes without the record, and so what is said of `meta` as a whole is said of the record. */
static bool is_of_record(const struct sl_doc *doc, const struct sl_step *steps, unsigned n)
{
    sl_name name = doc->spans[steps[1].span].name;
    if (sl_fault(SL_FAULT_RECORD_PARTS))
        return false;
    if (n == 2)
        return name == SL_NAME_id || name == SL_NAME_meta;
    return n == 3 && name == SL_NAME_meta && doc->spans[steps[2].span].name == SL_NAME_lastUpdated;
}

/* The value at the same place of the other array; 0 if there is none. */
static uint32_t same_place(struct sl_gone *gone, uint32_t array, uint32_t item, uint32_t other)
{
    const struct sl_doc *doc = gone->doc;
    uint32_t a = array + 1, b = other + 1;
    if (!other || doc->spans[other].type != SL_SPAN_ARRAY)
        return 0;
    if (gone->pair.array == array && gone->pair.item <= item) {
        a = gone->pair.item;
        b = gone->pair.other;
    }
    for (; a != item && b < doc->spans[other].next; a = doc->spans[a].next)
        b = doc->spans[b].next;
    if (b >= doc->spans[other].next)
        return 0;
    gone->pair.array = array;
    gone->pair.item = item;
    gone->pair.other = b;
    return b;
}

/* Is step i the '_' half of an element (or of one in an array) whose value stays? What such a half has lost is not the
 * element's, and emptied it goes by itself (sluice/edit.h). */
static bool has_value(struct sl_gone *gone, const struct sl_step *steps, unsigned i)
{
    const struct sl_doc *doc = gone->doc;
    bool in_array = i > 1 && doc->spans[steps[i - 1].span].type == SL_SPAN_ARRAY;
    unsigned member = in_array ? i - 1 : i;
    if (member == 0 || !(doc->spans[steps[member].span].flags & SL_SPAN_SIBLING))
        return false;
    uint32_t value = sl_span_member(doc, steps[member - 1].span, doc->spans[steps[member].span].name);
    if (in_array)
        value = same_place(gone, steps[member].span, steps[i].span, value);
    return value && doc->spans[value].type != SL_SPAN_NULL && !sl_gone_has(gone, value);
}

/* Is it the array of '_' halves of values that stay? It goes by itself once nothing is left in it (sluice/edit.h), and
 * must not be cut, which would cut the values. */
static bool is_beside_values(const struct sl_gone *gone, const struct sl_step *array, const struct sl_step *object)
{
    const struct sl_doc *doc = gone->doc;
    bool halves = doc->spans[array->span].flags & SL_SPAN_SIBLING;
    uint32_t values = halves ? sl_span_member(doc, object->span, doc->spans[array->span].name) : 0;
    return values && !sl_gone_has(gone, values);
}

/* Does what goes take its parent along: because R4 requires it, or because the parent says nothing without it, or
 * another thing? */
static bool takes_parent(struct sl_gone *gone, const struct sl_step *steps, unsigned i, struct sl_arena *arena)
{
    const struct sl_doc *doc = gone->doc;
    const struct sl_step *parent = &steps[i - 1];
    if (sl_shape_turns(gone, steps, i))
        return true;
    if (doc->spans[parent->span].type == SL_SPAN_ARRAY && i > 1 && is_beside_values(gone, parent, &steps[i - 2]))
        return false;
    if (doc->spans[parent->span].type == SL_SPAN_ARRAY)
        return !any_left(gone, parent->span, arena) || sl_shape_too_few(gone, parent);
    bool required = steps[i].element && steps[i].element->flags & SL_R4_REQUIRED;
    bool left = any_left(gone, parent->span, arena) || has_value(gone, steps, i - 1);
    return required || !left || sl_shape_hollow(gone, parent, steps[i].element);
}

static void mark_gone(struct sl_gone *gone, uint32_t span)
{
    gone->bits[span / 64] |= (uint64_t)1 << (span % 64);
}

/* With a value, its '_' half goes. */
static void mark_half(struct sl_gone *gone, const struct sl_step *object, uint32_t value)
{
    const struct sl_doc *doc = gone->doc;
    bool paired = doc->spans[object->span].flags & SL_SPAN_PAIRED && !(doc->spans[value].flags & SL_SPAN_SIBLING);
    uint32_t half = paired && doc->spans[value].name ? sl_span_sibling(doc, object->span, doc->spans[value].name) : 0;
    if (half)
        mark_gone(gone, half);
}

/* Climbs from a span that must go to the span that goes. Gives the index among the steps; 0: the resource itself goes.
 * Marks what goes on the way. */
static unsigned climb(struct sl_gone *gone, const struct sl_step *steps, unsigned n, struct sl_arena *arena)
{
    for (unsigned i = n - 1; i > 0; i--) {
        mark_gone(gone, steps[i].span);
        mark_half(gone, &steps[i - 1], steps[i].span);
        if (!takes_parent(gone, steps, i, arena))
            return i;
    }
    return 0;
}

/* ---- What the rest of segmentation asks ---- */

enum sl_status sl_cutting_cut(struct sl_cutting *cutting, const struct sl_item *item, uint32_t span, bool always,
    enum sl_cut_result *result, uint32_t *top)
{
    struct sl_step steps[MAX_STEPS];
    struct sl_gone *gone = gone_of(cutting, item->doc);
    *result = SL_CUT_RESOURCE;
    if (!gone)
        return SL_NO_MEMORY;
    if (sl_gone_has(gone, span)) {
        *result = SL_CUT_BEFORE;
        return SL_OK;
    }
    unsigned n = trace(item, span, steps);
    if (n <= 1 || (!always && (is_counted(item, steps, n) || is_of_record(item->doc, steps, n))))
        return SL_OK;
    unsigned at = climb(gone, steps, n, cutting->arena);
    *result = at ? SL_CUT_PART : SL_CUT_REQUIRED;
    *top = steps[at].span;
    return SL_OK;
}

bool sl_cutting_shows(const struct sl_cutting *cutting, const struct sl_item *item, uint32_t span)
{
    const struct sl_gone *gone = find_gone(cutting, item->doc);
    if (!gone)
        return true;
    for (uint32_t at = span;; at = item->doc->parents[at]) {
        if (sl_gone_has(gone, at))
            return false;
        if (at == item->span || at == 0)
            return at == item->span;
    }
}
