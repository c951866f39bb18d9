/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a resource, or as an array of resources of which every other one is context: labelling ends, stays
 * within its arena, and keeps what its header promises. What is not labelled says why; parts are in order and within
 * their item. What is kept of a resource that comes again says the same of it as the walk.
 */
#include <stdint.h>
#include <stdlib.h>

#include "../unit/earning_fixture.h"
#include "../unit/lexicon_fixture.h"
#include "../unit/same_item.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct earning_fixture shared;

static void prepare(void)
{
    static bool ready;
    struct sl_arena *arena = ready ? NULL : sl_arena_new((size_t)64 << 20);
    if (!ready && (!arena || !earning_setup(&shared)))
        abort();
    for (unsigned i = 0; i < SL_MENTIONS && !ready; i++)
        sl_classes_add(&shared.earning.by_mention[i], WORDS);
    if (!ready)
        shared.earning.words = lexicon_load(arena);
    if (!shared.earning.words)
        abort();
    sl_arena_free(arena);
    ready = true;
}

static void check_item(const struct sl_item *item)
{
    const struct sl_span *spans = item->doc->spans;
    if (!item->unlabelled && sl_classes_empty(&item->classes))
        abort();
    for (uint32_t i = 0; i < item->part_count; i++) {
        const struct sl_part *part = &item->parts[i];
        if (part->span <= item->span || part->span >= spans[item->span].next || sl_classes_empty(&part->classes) ||
            !part->reasons)
            abort();
        if (i && !part->inner && part[-1].span >= part->span)
            abort();
    }
    for (uint32_t i = 0; i < item->unknown_count; i++)
        if (item->unknown[i] <= item->span || item->unknown[i] >= spans[item->span].next)
            abort();
    struct sl_classes had = {{0}};
    for (const struct sl_reason *r = item->reasons; r; r = r->next)
        sl_classes_join(&had, &r->classes);
    if (!sl_classes_within(&item->classes, &had))
        abort(); /* every class has its reason */
}

static bool add_all(struct sl_labeller *labeller, const struct sl_doc *doc)
{
    struct sl_item *item;
    if (doc->spans[0].type != SL_SPAN_ARRAY)
        return sl_labeller_add(labeller, doc, 0, SL_LIT("http://a.example.org/Patient/p"), false, &item) == SL_OK;
    bool context = false;
    for (uint32_t c = 1; c < doc->spans[0].next; c = doc->spans[c].next, context = !context)
        if (sl_labeller_add(labeller, doc, c, SL_LIT("urn:uuid:1"), context, &item) != SL_OK)
            return false;
    return true;
}

static void label(struct sl_arena *arena, const struct sl_doc *doc, const struct sl_programs *programs)
{
    struct sl_labeller *labeller = sl_labeller_new_earning(arena, &shared.earning, programs);
    struct sl_slice *missing = NULL;
    size_t count = 1;
    if (!labeller || !add_all(labeller, doc))
        return;
    for (unsigned round = 0; round < 3 && count; round++) {
        if (sl_labeller_resolve(labeller, &missing, &count) != SL_OK)
            return;
        for (size_t i = 0; i < count; i++)
            if (sl_labeller_absent(labeller, missing[i], i % 4 != 3) != SL_OK)
                return;
    }
    if (count)
        abort(); /* what was told absent is not lacked again */
    for (const struct sl_item *item = sl_labeller_items(labeller); item; item = item->next)
        check_item(item);
}

/* A table with every way of naming a source in it. */
static bool fill(struct sl_programs *programs)
{
    static const struct sl_slice later[] = {{"Location/l", 10}, {"urn:feed", 8}}, words[] = {{"Harbor Recovery", 15}};
    static const struct sl_identifier numbers[] = {{{"npi", 3}, {"1234567893", 10}}};
    const struct sl_program_entry entries[] = {
        {.sources = later, .source_count = 2, .source = SL_SOURCE_PROGRAM, .when = {1577836800, INT64_MAX}},
        {.identifiers = numbers, .identifier_count = 1, .person = true, .source = SL_SOURCE_PROGRAM, .when = SL_ALWAYS},
        {.identifiers = numbers,
            .identifier_count = 1,
            .words = words,
            .word_count = 1,
            .source = SL_SOURCE_PROGRAM,
            .holding = SL_HOLDS_UNDER_TPO,
            .when = SL_ALWAYS}};
    struct sl_slice culprit;
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
        if (sl_programs_put(programs, &entries[i], &culprit) != SL_OK)
            return false;
    return sl_programs_add(programs, SL_LIT("Organization/o"), SL_SOURCE_PROGRAM) == SL_OK &&
           sl_programs_add_server(programs, SL_LIT("http://e.example/fhir")) == SL_OK;
}

/* The resource, long enough to be kept, as the entry of a Bundle that comes again and again. */
static struct sl_slice entry_of(struct sl_arena *arena, const struct sl_doc *doc)
{
    struct sl_slice row = sl_span_text(doc, 0);
    row.len--;
    return sl_arena_printf(arena, "{\"entry\":[{\"resource\":%.*s%300s}]}", SL_FMT(row), "}");
}

/* The page parsed once more, and its row as an item of a labeller that keeps, or does not. NULL: it is too much. */
static const struct sl_item *read_again(struct sl_arena *arena, struct sl_doc *page, struct sl_slice text,
    const struct sl_programs *programs, struct sl_kept *kept, bool keeps)
{
    struct sl_labeller *labeller = sl_labeller_new_earning(arena, &shared.earning, programs);
    const struct sl_kept_row *rows;
    struct sl_item *item;
    size_t count;
    if (!labeller || sl_kept_parse(kept, arena, text, NULL, page, &rows, &count) != SL_OK)
        return NULL;
    sl_kept_note(kept, page, 2);
    if (keeps)
        sl_labeller_kept(labeller, kept, 7);
    return sl_labeller_add_row(labeller, page, 3, count ? rows : NULL, false, &item) == SL_OK ? item : NULL;
}

/* What was learned of a row whose text and item are gone, and what the walk finds in it now. */
static void recall(struct sl_arena *arena, const struct sl_doc *doc, const struct sl_programs *programs)
{
    struct sl_kept *kept = sl_kept_new((size_t)1 << 20, 1);
    struct sl_doc pages[2];
    const struct sl_item *items[2];
    for (unsigned i = 0; i < 4; i++) {
        struct sl_arena *other = sl_arena_new((size_t)64 << 20);
        if (!kept || !other)
            abort();
        read_again(other, &pages[0], entry_of(other, doc), programs, kept, true);
        sl_arena_free(other);
    }
    struct sl_slice text = entry_of(arena, doc);
    for (unsigned i = 0; i < 2; i++)
        items[i] = read_again(arena, &pages[i], text, programs, kept, i == 0);
    if (items[0] && items[1] && !same_item(items[0], items[1]))
        abort();
    sl_kept_free(kept);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    prepare();
    struct sl_arena *arena = sl_arena_new((size_t)64 << 20);
    struct sl_programs *programs = sl_programs_new(true);
    struct sl_doc doc;
    if (!arena || !programs || !fill(programs))
        abort();
    if (sl_doc_parse(arena, (struct sl_slice){(const char *)data, size}, NULL, &doc, NULL) == SL_OK)
        label(arena, &doc, programs);
    if (doc.count && doc.spans[0].type == SL_SPAN_OBJECT && doc.spans[0].next > 1)
        recall(arena, &doc, programs);
    sl_programs_unref(programs);
    sl_arena_free(arena);
    return 0;
}
