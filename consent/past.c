/* SPDX-License-Identifier: Apache-2.0 */
/* What versions hand down: see sluice/past.h. */
#include "sluice/past.h"

#include "labelling.h"
#include "sluice/fault.h"

/* ---- Corrections ---- */

/* "entered-in-error", or a CodeableConcept with that code: its systems are many, its code is one. */
static bool says_error(const struct sl_doc *doc, uint32_t value)
{
    static const struct sl_slice error = {"entered-in-error", 16};
    if (doc->spans[value].type == SL_SPAN_STRING)
        return sl_span_is(doc, value, error);
    if (doc->spans[value].type != SL_SPAN_OBJECT)
        return false;
    uint32_t codings = sl_span_member(doc, value, SL_NAME_coding);
    if (!codings || doc->spans[codings].type != SL_SPAN_ARRAY)
        return false;
    for (uint32_t i = codings + 1; i < doc->spans[codings].next; i = doc->spans[i].next) {
        uint32_t code = doc->spans[i].type == SL_SPAN_OBJECT ? sl_span_member(doc, i, SL_NAME_code) : 0;
        if (code && sl_span_is(doc, code, error))
            return true;
    }
    return false;
}

bool sl_past_is_correction(const struct sl_doc *doc, uint32_t root)
{
    static const uint16_t names[] = {
        SL_NAME_status, SL_NAME_verificationStatus, SL_NAME_docStatus, SL_NAME_lifecycleStatus};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint32_t value = sl_span_member(doc, root, names[i]);
        if (value && says_error(doc, value))
            return true;
    }
    return false;
}

/* ---- Elements ---- */

#define ELEMENTS 256u /* labelled ones that are kept of a record's later versions */

static uint64_t fold(uint64_t hash, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ at[i]) * 0x100000001b3u;
    return hash ^ hash >> 29;
}

/* Inline labels stand by span. */
static bool is_label(const struct sl_item *item, uint32_t span)
{
    uint32_t low = 0, high = item->inline_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (item->inlines[middle].span < span)
            low = middle + 1;
        else
            high = middle;
    }
    return low < item->inline_count && item->inlines[low].span == span;
}

/* An array in which nothing but labels is left. */
static bool holds_labels_alone(const struct sl_item *item, uint32_t array)
{
    const struct sl_span *spans = item->doc->spans;
    if (spans[array].name != SL_NAME_extension || spans[array].type != SL_SPAN_ARRAY || spans[array].next == array + 1)
        return false;
    for (uint32_t c = array + 1; c < spans[array].next; c = spans[c].next)
        if (!is_label(item, c))
            return false;
    return true;
}

static uint16_t name_of(const struct sl_doc *doc, uint32_t i)
{
    return doc->spans[i].flags & SL_SPAN_MEMBER ? doc->spans[i].name : doc->spans[doc->parents[i]].name;
}

/* The names that lead to it, and what is in it without labels. */
static uint64_t mark_of(const struct sl_item *item, uint32_t element)
{
    const struct sl_doc *doc = item->doc;
    uint64_t mark = 0xcbf29ce484222325u;
    for (uint32_t i = element; i != item->span && i; i = doc->parents[i])
        if (doc->spans[i].flags & SL_SPAN_MEMBER)
            mark = fold(mark, &doc->spans[i].name, sizeof doc->spans[i].name);
    for (uint32_t i = element; i < doc->spans[element].next;) {
        const struct sl_span *span = &doc->spans[i];
        if (i != element && (is_label(item, i) || holds_labels_alone(item, i))) {
            i = span->next;
            continue;
        }
        struct sl_slice key = i == element ? (struct sl_slice){NULL, 0} : sl_span_key(doc, i);
        bool plain = span->type != SL_SPAN_OBJECT && span->type != SL_SPAN_ARRAY;
        mark = fold(fold(mark, key.ptr, key.len), &span->type, 1);
        if (plain)
            mark = fold(mark, doc->text.ptr + span->begin, span->end - span->begin);
        i++;
    }
    return mark;
}

static struct sl_classes labelled_as(const struct sl_part *part)
{
    struct sl_classes classes = {{0}};
    for (const struct sl_reason *r = part->inner ? NULL : part->reasons; r; r = r->next)
        if (r->why == SL_WHY_SECURITY)
            sl_classes_join(&classes, &r->classes);
    return classes;
}

static enum sl_status give_elements(struct sl_past *past, const struct sl_item *item, struct sl_arena *arena)
{
    size_t most = past->element_count + (item->inline_count ? item->part_count : 0);
    struct sl_past_element *list = most > past->element_count ? sl_arena_raw(arena, most, sizeof *list) : NULL;
    if (most == past->element_count)
        return SL_OK;
    if (!list)
        return SL_NO_MEMORY;
    if (past->element_count)
        memcpy(list, past->elements, past->element_count * sizeof *list);
    past->elements = list;
    for (uint32_t i = 0; i < item->part_count && !past->too_many; i++) {
        struct sl_past_element one = {.classes = labelled_as(&item->parts[i])};
        if (sl_classes_empty(&one.classes))
            continue;
        one.mark = mark_of(item, item->parts[i].span);
        one.name = name_of(item->doc, item->parts[i].span);
        list[past->element_count++] = one;
        past->too_many = past->element_count == ELEMENTS;
    }
    return SL_OK;
}

static struct sl_classes given_to(const struct sl_past *past, const struct sl_item *item, uint32_t span)
{
    struct sl_classes classes = {{0}};
    uint16_t name = name_of(item->doc, span);
    uint64_t mark = 0;
    for (size_t i = 0; i < past->element_count; i++) {
        if (past->elements[i].name != name)
            continue;
        mark = mark ? mark : mark_of(item, span);
        if (past->elements[i].mark == mark)
            sl_classes_join(&classes, &past->elements[i].classes);
    }
    return classes;
}

static size_t count_given(const struct sl_past *past, const struct sl_item *item)
{
    size_t count = 0;
    for (uint32_t i = item->span + 1; i < item->doc->spans[item->span].next; i++) {
        struct sl_classes classes = given_to(past, item, i);
        count += !sl_classes_empty(&classes);
    }
    return count;
}

static void give_part(
    struct sl_part *parts, uint32_t *count, uint32_t span, const struct sl_classes *classes, struct sl_arena *arena)
{
    struct sl_part *part =
        *count && parts[*count - 1].span == span && !parts[*count - 1].lender ? &parts[*count - 1] : NULL;
    if (!part) {
        part = &parts[(*count)++];
        *part = (struct sl_part){.span = span};
    }
    sl_classes_join(&part->classes, classes);
    sl_reason_push(arena, &part->reasons, classes, SL_WHY_LATER, span, SL_LIT("later-version"));
}

/* Parts stand by span; those within a content come last. */
static enum sl_status take_elements(const struct sl_past *past, struct sl_item *item, struct sl_arena *arena)
{
    size_t given = past->element_count ? count_given(past, item) : 0;
    struct sl_part *parts = given ? sl_arena_array(arena, item->part_count + given, sizeof *parts) : NULL;
    uint32_t count = 0, old = 0;
    if (!given)
        return SL_OK;
    if (!parts)
        return SL_NO_MEMORY;
    for (uint32_t i = item->span + 1; i < item->doc->spans[item->span].next; i++) {
        for (; old < item->part_count && !item->parts[old].inner && item->parts[old].span <= i; old++)
            parts[count++] = item->parts[old];
        struct sl_classes classes = given_to(past, item, i);
        if (!sl_classes_empty(&classes))
            give_part(parts, &count, i, &classes, arena);
    }
    while (old < item->part_count)
        parts[count++] = item->parts[old++];
    item->parts = parts;
    item->part_count = count;
    return SL_OK;
}

/* ---- Handing down ---- */

static bool is_program(const struct sl_item *item)
{
    return item->source == SL_SOURCE_PROGRAM;
}

/* What is a program's later on is decided as a program's before, by whoever it was. */
static void take_source(const struct sl_past *past, struct sl_item *item)
{
    if (!past->program || is_program(item))
        return;
    item->source = SL_SOURCE_PROGRAM;
    item->holding = past->holding;
    item->program = past->program_reference;
    item->named_program = past->named_program;
    item->custodian = past->custodian;
}

static void give_source(struct sl_past *past, const struct sl_item *item)
{
    if (past->program || !is_program(item))
        return;
    past->program = true;
    past->holding = item->holding;
    past->program_reference = item->program;
    past->named_program = item->named_program;
    past->custodian = item->custodian;
}

enum sl_status sl_past_hand_down(struct sl_past *past, struct sl_item *item, struct sl_arena *arena)
{
    struct sl_past given = *past;
    struct sl_classes more = given.classes;
    past->corrected = past->corrected || sl_past_is_correction(item->doc, item->span);
    if (!past->corrected) {
        sl_classes_join(&past->classes, &item->classes);
        give_source(past, item);
        SL_TRY(give_elements(past, item, arena));
    }
    if (sl_fault(SL_FAULT_PAST_ALONE))
        return SL_OK;
    for (unsigned i = 0; i < SL_CLASS_WORDS; i++)
        more.word[i] &= ~item->classes.word[i];
    if (!sl_classes_empty(&more)) {
        sl_classes_join(&item->classes, &more);
        sl_reason_push(arena, &item->reasons, &more, SL_WHY_LATER, 0, SL_LIT("later-version"));
    }
    take_source(&given, item);
    SL_TRY(take_elements(&given, item, arena));
    if (given.too_many && !item->unlabelled)
        item->unlabelled = "too-many-labels";
    return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}
