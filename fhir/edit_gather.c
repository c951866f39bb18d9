/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing out an edited document: see sluice/edit.h. One sweep over the marks in document order; the text between them
 * is copied in long runs. Nothing looks at spans that no edit touched.
 */
#include "edit.h"

struct sweep {
    const struct sl_edits *edits;
    struct sl_blocks *out;
    struct sl_edit_place *places; /* bytes of which it is asked where they go */
    size_t place_count;
    const char *copied;       /* all before it is written or dropped */
    uint32_t skip;            /* marks below it are passed, or lie within what is written or dropped */
    uint32_t cut, cut_parent; /* the last child cut, where no child before it stays; 0 if none */
    const struct open {       /* containers that get additions when the sweep leaves them, the innermost first */
        const struct sl_edit_note *note;
        const struct open *outer;
    } * open;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Where the text before `p` ends, white space left out. */
static const char *before_space(const char *p)
{
    while (is_space(p[-1]))
        p--;
    return p;
}

static void put(struct sweep *s, struct sl_slice bytes)
{
    for (size_t i = 0; i < s->place_count; i++) {
        uintptr_t from = (uintptr_t)bytes.ptr, byte = (uintptr_t)s->places[i].byte;
        if (byte >= from && byte - from < bytes.len)
            s->places[i].at = s->out->total + (byte - from);
    }
    sl_blocks_add(s->out, bytes);
}

static void copy_to(struct sweep *s, const char *end)
{
    if (end <= s->copied)
        return;
    put(s, (struct sl_slice){s->copied, (size_t)(end - s->copied)});
    s->copied = end;
}

/* Drops a child. If none before it stays, the white space after its comma goes with it, else that before it. */
static void drop(struct sweep *s, uint32_t i)
{
    const struct sl_doc *doc = s->edits->doc;
    const struct sl_span *span = &doc->spans[i];
    uint32_t parent = doc->parents[i];
    bool leading = i == parent + 1 || (s->cut && s->cut_parent == parent && doc->spans[s->cut].next == i);
    const char *begin = sl_edit_begin(doc, i), *end = doc->text.ptr + span->end;
    if (leading) {
        copy_to(s, begin);
        s->cut = i;
        s->cut_parent = parent;
        s->copied = span->next < doc->spans[parent].next ? sl_edit_begin(doc, span->next) : end;
    } else {
        copy_to(s, before_space(before_space(begin) - 1));
        s->copied = end;
    }
}

static void put_instead(struct sweep *s, uint32_t i, struct sl_slice text)
{
    const struct sl_doc *doc = s->edits->doc;
    copy_to(s, doc->text.ptr + doc->spans[i].begin);
    put(s, text);
    s->copied = doc->text.ptr + doc->spans[i].end;
}

/* Writes the additions of the innermost open container, behind its last child. */
static void put_additions(struct sweep *s)
{
    const struct sl_edit_note *note = s->open->note;
    const struct sl_doc *doc = s->edits->doc;
    const struct sl_span *span = &doc->spans[note->span];
    bool comma = note->counted ? note->left > 0 : span->next > note->span + 1;
    copy_to(s, before_space(doc->text.ptr + span->end - 1));
    for (const struct sl_edit_piece *piece = note->first; piece; piece = piece->next) {
        if (comma)
            put(s, SL_LIT(","));
        put(s, piece->text);
        comma = true;
    }
    s->open = s->open->outer;
}

static void leave(struct sweep *s, uint32_t i)
{
    while (s->open && s->edits->doc->spans[s->open->note->span].next <= i)
        put_additions(s);
}

static bool enter(struct sweep *s, uint32_t i)
{
    const struct sl_edit_note *note = sl_edit_note(s->edits, i);
    if (!note || !note->first)
        return true;
    struct open *open = sl_arena_alloc(s->edits->arena, sizeof *open);
    if (!open)
        return false;
    *open = (struct open){note, s->open};
    s->open = open;
    return true;
}

/* The mark at i: what is behind it is finished, and i dropped, replaced, or entered. */
static bool pass(struct sweep *s, uint32_t i)
{
    leave(s, i);
    switch ((enum sl_edit_state)s->edits->states[i]) {
    case SL_EDIT_CUT:
    case SL_EDIT_EMPTIED:
        drop(s, i);
        break;
    case SL_EDIT_NULLED:
        put_instead(s, i, SL_LIT("null"));
        break;
    case SL_EDIT_REPLACED:
        put_instead(s, i, sl_edit_replacement(s->edits, i));
        break;
    default:
        s->skip = i + 1;
        return enter(s, i);
    }
    s->skip = s->edits->doc->spans[i].next;
    return true;
}

/* The first mark from `from` on and before `stop`; `stop` if there is none. */
static uint32_t next_mark(const struct sl_edits *edits, uint32_t from, uint32_t stop)
{
    if (from >= stop)
        return stop;
    uint32_t word = from / 64;
    uint64_t bits = edits->marks[word] & UINT64_MAX << from % 64;
    while (!bits) {
        if (++word > (stop - 1) / 64)
            return stop;
        bits = edits->marks[word];
    }
    uint32_t at = word * 64 + (uint32_t)__builtin_ctzll(bits);
    return at < stop ? at : stop;
}

static bool sweep_all(struct sweep *s, uint32_t root)
{
    const struct sl_doc *doc = s->edits->doc;
    uint32_t stop = doc->spans[root].next;
    s->skip = root;
    for (uint32_t i; (i = next_mark(s->edits, s->skip, stop)) < stop;)
        if (!pass(s, i))
            return false;
    leave(s, stop);
    copy_to(s, doc->text.ptr + doc->spans[root].end);
    return true;
}

enum sl_status sl_edit_gather(struct sl_edits *edits, uint32_t root, struct sl_blocks *out)
{
    return sl_edit_gather_places(edits, root, out, NULL, 0);
}

enum sl_status sl_edit_gather_places(
    struct sl_edits *edits, uint32_t root, struct sl_blocks *out, struct sl_edit_place *places, size_t count)
{
    for (size_t i = 0; i < count; i++)
        places[i].at = SL_EDIT_NOWHERE;
    SL_ASSERT(edits && root < edits->doc->count);
    if (edits->failed)
        return SL_NO_MEMORY;
    const struct sl_span *span = &edits->doc->spans[root];
    struct sweep s = {.edits = edits,
        .out = out,
        .places = places,
        .place_count = count,
        .copied = edits->doc->text.ptr + span->begin};
    switch (edits->states[root]) {
    case SL_EDIT_CUT:
        return SL_OK;
    case SL_EDIT_EMPTIED:
    case SL_EDIT_NULLED:
        put(&s, span->type == SL_SPAN_OBJECT ? SL_LIT("{}") : SL_LIT("[]"));
        break;
    default:
        if (!sweep_all(&s, root))
            return SL_NO_MEMORY;
    }
    if (out->failed)
        return sl_arena_failed(out->arena) ? SL_NO_MEMORY : SL_LIMIT;
    return SL_OK;
}
