/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a row tells by itself, kept with the row: see sluice/kept.h. The walk (label_walk.c) looks at the row's bytes,
 * and at policy and programs table; so what it finds in a row is found in the same row again, as long as those two are
 * the same. It is kept as a copy of the item with its lists in one piece of memory, and a list of its moves: the places
 * in it where a span counts from the row, or an address from the row's text or from the copy. To give it again is to
 * copy it, and to make these moves.
 *
 * What is not of the row alone is not kept, and is looked for each time: what the officer's register says, where
 * references lead. What walks further than its own row (what is contained, a Provenance, a document's content) is not
 * kept at all. Nor is an item in which an address is left that no move is known for, where it leads to the row's text
 * or to the labeller's memory.
 */
#include "labelling.h"

#include <stdlib.h>

enum move { MOVE_SPAN, MOVE_TEXT, MOVE_OWN, MOVE_TYPE };

/* Most of struct labelled is zero by then, and what is read takes longer than what is done: so of its words those are
 * kept that are not. */
#define WORDS (sizeof(struct labelled) / sizeof(uint64_t))
_Static_assert(sizeof(struct labelled) % 16 == 0, "the lists of an item follow it");

struct kept_item {
    uint32_t lists, moves;             /* bytes of lists; how many moves */
    uint32_t words, spare;             /* words kept of the item */
    uint64_t there[(WORDS + 63) / 64]; /* a bit for each word that is one of them */
    /* The words, the lists, the moves: place << 2 | enum move, from the beginning of the item. */
};

static const uint64_t *words_of(const struct kept_item *kept)
{
    return (const uint64_t *)(kept + 1);
}

#define MOST_KEPT ((size_t)32 * 1024)

/* A span that is not moved looks like any other number, and an address in the register's memory like none of those that
 * are looked for. So whoever changes these is to come by here: put_item and what it calls name every member that is a
 * span or an address. */
_Static_assert(sizeof(struct labelled) == 1072 && sizeof(struct sl_reference) == 64 && sizeof(struct sl_inline) == 8 &&
                   sizeof(struct evidence) == 88 && sizeof(struct sl_reason) == 64,
    "a member has come or gone: is it a span, or an address?");

struct capture {
    const struct sl_labeller *labeller;
    struct sl_slice text; /* of the row */
    const struct sl_doc *doc;
    uint32_t root;
    char *copy;
    uint32_t *moves;
    uint32_t size, move_count;
    bool failed;
};

/* ---- Keeping ---- */

static uint32_t put(struct capture *c, const void *bytes, size_t len)
{
    uint32_t at = (c->size + 7) & ~7u;
    if (c->failed || len > MOST_KEPT - at) {
        c->failed = true;
        return 0;
    }
    memset(c->copy + c->size, 0, at - c->size);
    if (len)
        memcpy(c->copy + at, bytes, len);
    c->size = at + (uint32_t)len;
    return at;
}

static void add_move(struct capture *c, uint32_t at, enum move move)
{
    if (c->move_count == MOST_KEPT / sizeof *c->moves)
        c->failed = true;
    else if (!c->failed)
        c->moves[c->move_count++] = at << 2 | (uint32_t)move;
}

/* An address in the copy becomes so many bytes from where it counts. */
static void set_address(struct capture *c, uint32_t at, uint64_t distance, enum move move)
{
    if (c->failed)
        return;
    memcpy(c->copy + at, &distance, sizeof distance);
    add_move(c, at, move);
}

/* 0 says that there is none. */
static void set_span(struct capture *c, uint32_t at)
{
    uint32_t span;
    if (c->failed)
        return;
    memcpy(&span, c->copy + at, sizeof span);
    if (!span)
        return;
    c->failed = span < c->root || span >= c->doc->spans[c->root].next;
    span -= c->root;
    memcpy(c->copy + at, &span, sizeof span);
    add_move(c, at, MOVE_SPAN);
}

/* In the row's text where it says the same; what names a record was perhaps read in another row. Else the bytes are
 * copied. */
static void set_slice(struct capture *c, uint32_t at)
{
    struct sl_slice slice;
    if (c->failed)
        return;
    memcpy(&slice, c->copy + at, sizeof slice);
    if (!slice.ptr)
        return;
    const char *same = slice.len ? memmem(c->text.ptr, c->text.len, slice.ptr, slice.len) : c->text.ptr;
    if (same)
        set_address(c, at + (uint32_t)offsetof(struct sl_slice, ptr), (uint64_t)(same - c->text.ptr), MOVE_TEXT);
    else
        set_address(c, at + (uint32_t)offsetof(struct sl_slice, ptr), put(c, slice.ptr, slice.len), MOVE_OWN);
}

/* A list of so many: gives where it stands in the copy. */
static uint32_t put_list(struct capture *c, uint32_t pointer, const void *list, uint32_t count, size_t size)
{
    if (!count)
        return 0;
    uint32_t at = put(c, list, count * size);
    set_address(c, pointer, at, MOVE_OWN);
    return at;
}

#define AT(member) ((uint32_t)offsetof(struct labelled, member))

static void put_spans(struct capture *c, uint32_t pointer, const uint32_t *list, uint32_t count)
{
    uint32_t at = put_list(c, pointer, list, count, sizeof *list);
    for (uint32_t i = 0; i < count; i++)
        set_span(c, at + i * (uint32_t)sizeof *list);
}

static void put_slices(struct capture *c, uint32_t pointer, const struct sl_slice *list, uint32_t count)
{
    uint32_t at = put_list(c, pointer, list, count, sizeof *list);
    for (uint32_t i = 0; i < count; i++)
        set_slice(c, at + i * (uint32_t)sizeof *list);
}

static void put_references(struct capture *c, const struct sl_item *item)
{
    uint32_t at = put_list(c, AT(item.references), item->references, item->reference_count, sizeof *item->references);
    for (uint32_t i = 0; i < item->reference_count; i++, at += (uint32_t)sizeof *item->references) {
        set_span(c, at + (uint32_t)offsetof(struct sl_reference, span));
        set_span(c, at + (uint32_t)offsetof(struct sl_reference, element));
        set_slice(c, at + (uint32_t)offsetof(struct sl_reference, target));
        c->failed |= item->references[i].item != NULL;
    }
}

static void put_inlines(struct capture *c, const struct sl_item *item)
{
    uint32_t at = put_list(c, AT(item.inlines), item->inlines, item->inline_count, sizeof *item->inlines);
    for (uint32_t i = 0; i < item->inline_count; i++, at += (uint32_t)sizeof *item->inlines)
        set_span(c, at + (uint32_t)offsetof(struct sl_inline, span));
}

static void put_evidence(struct capture *c, uint32_t pointer, const struct evidence *list)
{
    for (; list && !c->failed; list = list->next) {
        uint32_t at = put_list(c, pointer, list, 1, sizeof *list);
        set_span(c, at + (uint32_t)offsetof(struct evidence, part));
        set_span(c, at + (uint32_t)offsetof(struct evidence, span));
        set_slice(c, at + (uint32_t)offsetof(struct evidence, detail));
        pointer = at + (uint32_t)offsetof(struct evidence, next);
    }
}

/* Up to the reason that every resource of its type has, which a labeller has once. */
static void put_reasons(
    struct capture *c, uint32_t pointer, const struct sl_reason *list, const struct sl_reason *shared)
{
    for (; list && list != shared && !c->failed; list = list->next) {
        uint32_t at = put_list(c, pointer, list, 1, sizeof *list);
        set_span(c, at + (uint32_t)offsetof(struct sl_reason, span));
        set_slice(c, at + (uint32_t)offsetof(struct sl_reason, detail));
        pointer = at + (uint32_t)offsetof(struct sl_reason, next);
    }
    if (list && list == shared)
        set_address(c, pointer, 0, MOVE_TYPE);
}

static void put_item(struct capture *c, const struct labelled *from)
{
    struct labelled kept = *from;
    const struct sl_item *item = &from->item;
    kept.item.doc = NULL;
    kept.item.next = NULL;
    kept.item.reasons = NULL; /* those of the base, each time */
    kept.item.span = kept.item.number = 0;
    kept.item.context = kept.item.is_version = false;
    kept.same_id = kept.same_url = NULL;
    kept.mark = NULL;
    put(c, &kept, sizeof kept);
    set_slice(c, AT(item.id));
    set_slice(c, AT(item.version));
    set_slice(c, AT(item.source_uri));
    set_slice(c, AT(item.date_from));
    set_slice(c, AT(item.date_to));
    set_span(c, AT(ai));
    for (uint32_t i = 0; i < SL_DATES; i++)
        set_span(c, AT(dates) + i * (uint32_t)sizeof from->dates[i]);
    put_references(c, item);
    put_inlines(c, item);
    put_slices(c, AT(item.patients), item->patients, item->patient_count);
    put_slices(c, AT(item.authors), item->authors, item->author_count);
    put_spans(c, AT(item.unknown), item->unknown, item->unknown_count);
    put_spans(c, AT(item.signatures), item->signatures, item->signature_count);
    put_spans(c, AT(item.counts), item->counts, item->count_count);
    put_spans(c, AT(item.texts), item->texts, item->text_count);
    put_spans(c, AT(answers), from->answers, from->answer_count);
    put_evidence(c, AT(evidence), from->evidence);
    put_evidence(c, AT(labels), from->labels);
    put_reasons(c, AT(base_reasons), from->base_reasons, c->labeller->type_reasons[item->type]);
}

/* Is there something in the copy that looks like an address in what will be gone? Those that moves are known for are
 * small numbers by now. */
static bool leads_out(const struct capture *c)
{
    uintptr_t text = (uintptr_t)c->doc->text.ptr;
    for (uint32_t at = 0; at + sizeof(uintptr_t) <= c->size; at += (uint32_t)sizeof(uintptr_t)) {
        uintptr_t word;
        memcpy(&word, c->copy + at, sizeof word);
        if (word - text < c->doc->text.len || sl_arena_holds(c->labeller->arena, word))
            return true;
    }
    return false;
}

/* Does it rest on its own bytes alone, and has nothing been made of it yet? */
static bool is_alone(const struct labelled *item)
{
    const struct sl_item *i = &item->item;
    return i->span && i->type && i->type != SL_R4_Provenance && i->type != SL_R4_Bundle && !i->container &&
           !i->content_count && !i->full_url.len && !item->base.len && !item->scoped && !i->next && !i->parts;
}

static void *add_bytes(char *at, const void *bytes, size_t len)
{
    if (len)
        memcpy(at, bytes, len);
    return at + len;
}

/* What is kept of a copy; NULL: no memory. */
static struct kept_item *pack(const struct capture *c, size_t *size)
{
    uint64_t words[WORDS];
    size_t lists = c->size - sizeof(struct labelled), moves = c->move_count * sizeof *c->moves;
    memcpy(words, c->copy, sizeof words);
    struct kept_item *kept = calloc(1, sizeof *kept + sizeof words + lists + moves);
    if (!kept)
        return NULL;
    char *at = (char *)(kept + 1);
    for (size_t i = 0; i < WORDS; i++)
        if (words[i]) {
            kept->there[i / 64] |= (uint64_t)1 << i % 64;
            kept->words++;
            at = add_bytes(at, &words[i], sizeof words[i]);
        }
    kept->lists = (uint32_t)lists;
    kept->moves = c->move_count;
    at = add_bytes(at, c->copy + sizeof words, lists);
    at = add_bytes(at, c->moves, moves);
    *size = (size_t)(at - (char *)kept);
    return kept;
}

void sl_label_keep(struct sl_labeller *labeller, const struct sl_kept_row *row, const struct labelled *item)
{
    if (sl_arena_failed(labeller->arena))
        return;
    struct capture c = {.labeller = labeller,
        .doc = item->item.doc,
        .root = item->item.span,
        .text = sl_span_text(item->item.doc, item->item.span)};
    struct kept_item *kept = NULL;
    size_t size = 0;
    c.copy = is_alone(item) ? malloc(MOST_KEPT) : NULL;
    c.moves = is_alone(item) ? malloc(MOST_KEPT) : NULL;
    c.failed = !c.copy || !c.moves;
    if (!c.failed)
        put_item(&c, item);
    while (c.size % sizeof *c.moves && !c.failed) /* the moves follow the lists */
        c.copy[c.size++] = 0;
    if (!c.failed && !leads_out(&c) && c.move_count)
        kept = pack(&c, &size);
    sl_kept_learn(labeller->kept, row, SL_KEPT_ITEM, labeller->kept_under, kept, size);
    free(c.copy);
    free(c.moves);
    free(kept);
}

/* ---- Giving it again ---- */

static void unpack(const struct kept_item *kept, char *copy)
{
    const uint64_t *word = words_of(kept);
    memset(copy, 0, sizeof(struct labelled));
    for (size_t i = 0; i < sizeof kept->there / sizeof *kept->there; i++)
        for (uint64_t bits = kept->there[i]; bits; bits &= bits - 1, word++)
            memcpy(copy + (i * 64 + (size_t)__builtin_ctzll(bits)) * sizeof *word, word, sizeof *word);
    memcpy(copy + sizeof(struct labelled), word, kept->lists);
}

static void make_moves(
    const struct kept_item *kept, char *copy, const char *text, uint32_t root, const struct sl_reason *shared)
{
    const uint32_t *moves = (const uint32_t *)((const char *)(words_of(kept) + kept->words) + kept->lists);
    for (uint32_t i = 0; i < kept->moves; i++) {
        char *at = copy + (moves[i] >> 2);
        uint64_t distance;
        uint32_t span;
        const void *to;
        switch ((enum move)(moves[i] & 3)) {
        case MOVE_SPAN:
            memcpy(&span, at, sizeof span);
            span += root;
            memcpy(at, &span, sizeof span);
            break;
        case MOVE_TEXT:
        case MOVE_OWN:
            memcpy(&distance, at, sizeof distance);
            to = ((moves[i] & 3) == MOVE_TEXT ? text : copy) + distance;
            memcpy(at, &to, sizeof to);
            break;
        case MOVE_TYPE:
            memcpy(at, &shared, sizeof shared);
            break;
        }
    }
}

struct labelled *sl_label_recall(
    struct sl_labeller *labeller, const struct sl_kept_row *row, const struct sl_doc *doc, uint32_t root, bool *known)
{
    const struct kept_item *kept = sl_kept_learned(labeller->kept, row, SL_KEPT_ITEM, labeller->kept_under, known);
    struct labelled *item = kept ? sl_arena_raw(labeller->arena, sizeof *item + kept->lists, 1) : NULL;
    if (!item)
        return NULL;
    unpack(kept, (char *)item);
    const struct sl_reason *shared = sl_label_type_reason(labeller, item->item.type);
    make_moves(kept, (char *)item, doc->text.ptr + doc->spans[root].begin, root, shared);
    item->item.reasons = item->base_reasons;
    return item;
}
