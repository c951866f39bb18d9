/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edits on any document: lines of one letter and a number (c: cut, r: replace, a: add) up to an empty line, then JSON.
 * What is gathered parses, and what is there is what counts as not cut, in order and byte for byte; a second gathering
 * gives the same.
 */
#include <stdlib.h>

#include "sluice/edit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* A member with a key of its own, unless the object has it. */
static void add_member(struct sl_arena *arena, struct sl_edits *edits, const struct sl_doc *doc, uint32_t i)
{
    struct sl_slice member = sl_arena_printf(arena, "\"added%zu\":true", sl_arena_used(arena));
    struct sl_slice key = {member.ptr + 1, member.len - strlen("\"\":true")};
    if (!sl_span_member_key(doc, i, key))
        sl_edit_add_member(edits, i, member);
}

static void take_edit(struct sl_arena *arena, struct sl_edits *edits, const struct sl_doc *doc, char what, uint32_t i)
{
    i %= doc->count;
    if (what == 'c')
        sl_edit_cut(edits, i);
    else if (what == 'r')
        sl_edit_replace(edits, i, SL_LIT("{\"replaced\": [1.10]}"));
    else if (what == 'a' && doc->spans[i].type == SL_SPAN_ARRAY)
        sl_edit_add_item(edits, i, SL_LIT("\"added\""));
    else if (what == 'a' && doc->spans[i].type == SL_SPAN_OBJECT)
        add_member(arena, edits, doc, i);
}

/* Reads the lines; gives what follows the empty one. */
static struct sl_slice read_edits(
    struct sl_arena *arena, struct sl_slice text, struct sl_edits *edits, const struct sl_doc *doc)
{
    while (text.len && text.ptr[0] != '\n') {
        char what = text.ptr[0];
        uint32_t number = 0;
        size_t at = 1;
        for (; at < text.len && text.ptr[at] != '\n'; at++)
            number = number * 10 + (uint32_t)(text.ptr[at] - '0');
        if (edits)
            take_edit(arena, edits, doc, what, number);
        text = sl_slice_from(text, at + 1);
    }
    return sl_slice_from(text, 1);
}

static struct sl_slice gather(struct sl_edits *edits, struct sl_arena *arena)
{
    struct sl_blocks blocks = {.arena = arena};
    check(sl_edit_gather(edits, 0, &blocks) == SL_OK);
    char *all = sl_arena_raw(arena, blocks.total + 1, 1);
    size_t at = 0;
    check(all != NULL);
    for (const struct sl_block *b = blocks.first; b; at += b->len, b = b->next)
        memcpy(all + at, b->ptr, b->len);
    check(at == blocks.total);
    return (struct sl_slice){all, at};
}

/* A '_' array keeps nulls in the places of what it lost. */
static bool holds_places(const struct sl_doc *doc, uint32_t i)
{
    return doc->spans[i].type == SL_SPAN_ARRAY && (doc->spans[i].flags & SL_SPAN_SIBLING);
}

/* What is left of old[i] is now[j]. */
static void compare(
    const struct sl_doc *old, uint32_t i, const struct sl_edits *edits, const struct sl_doc *now, uint32_t j)
{
    if (sl_edit_replacement(edits, i).ptr) {
        check(sl_slice_eq(sl_span_text(now, j), sl_edit_replacement(edits, i)));
        return;
    }
    check(old->spans[i].type == now->spans[j].type);
    check(sl_slice_eq(sl_span_key(old, i), sl_span_key(now, j)) || i == 0);
    if (old->spans[i].type != SL_SPAN_OBJECT && old->spans[i].type != SL_SPAN_ARRAY) {
        check(sl_slice_eq(sl_span_text(old, i), sl_span_text(now, j)));
        return;
    }
    if (holds_places(old, i))
        return;
    uint32_t d = j + 1;
    for (uint32_t c = sl_edit_first(edits, i); c; c = sl_edit_next(edits, c), d = now->spans[d].next) {
        check(d < now->spans[j].next);
        compare(old, c, edits, now, d);
    }
    /* Behind them nothing but what was added. */
    for (; d < now->spans[j].next; d = now->spans[d].next)
        check(sl_slice_eq(sl_span_text(now, d), SL_LIT("\"added\"")) ||
              sl_slice_starts(sl_span_key(now, d), SL_LIT("added")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_slice whole = {(const char *)data, size};
    struct sl_arena *arena = sl_arena_new(256u << 20);
    struct sl_doc doc, now;
    if (sl_doc_parse(arena, read_edits(arena, whole, NULL, NULL), NULL, &doc, NULL) == SL_OK) {
        struct sl_edits *edits = sl_edits_new(arena, &doc);
        check(edits && sl_slice_eq(gather(edits, arena), sl_span_text(&doc, 0)));
        read_edits(arena, whole, edits, &doc);
        struct sl_slice out = gather(edits, arena);
        check(sl_slice_eq(out, gather(edits, arena)));
        if (out.len) {
            enum sl_status status = sl_doc_parse(arena, out, NULL, &now, NULL);
            check(status == SL_OK || status == SL_LIMIT); /* a replacement may be the one too deep */
            if (status == SL_OK && !sl_edit_is_cut(edits, 0))
                compare(&doc, 0, edits, &now, 0);
        } else {
            check(sl_edit_is_cut(edits, 0));
        }
    }
    sl_arena_free(arena);
    return 0;
}
