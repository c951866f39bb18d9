/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Would a write let its writer see what it has neither seen nor sent? Whether a part is hidden may rest on what is
 * visible beside it (a directive speaks of a time, of who discloses), and that is the writer's to change. See
 * sl_merge_frees in sluice/merge.h. Compared are the single values, each by its place and what it says.
 */
#include <stdlib.h>
#include <sys/random.h>

#include "hash.h"
#include "merging.h"

struct values {
    uint64_t *of;
    size_t count;
};

static int order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* What Sluice puts there: labels, the instant and the number of a version, the constant narrative. */
static bool is_ours(const struct sl_doc *doc, uint32_t span)
{
    sl_name name = doc->spans[span].name;
    bool object = doc->spans[span].type == SL_SPAN_OBJECT;
    if (object && (sl_merge_is_label(doc, span) || (name == SL_NAME_text && sl_span_member(doc, span, SL_NAME_div))))
        return true;
    return doc->spans[doc->parents[span]].name == SL_NAME_meta &&
           (name == SL_NAME_versionId || name == SL_NAME_lastUpdated || name == SL_NAME_security ||
               name == SL_NAME_tag);
}

/* Goes it out, as it stands? */
static bool is_shown(const struct sl_doc *doc, const struct sl_edits *edits, uint32_t span)
{
    return !is_ours(doc, span) && !(edits && (sl_edit_is_cut(edits, span) || sl_edit_replacement(edits, span).ptr));
}

static bool is_single(const struct sl_span *span)
{
    return span->type != SL_SPAN_OBJECT && span->type != SL_SPAN_ARRAY && span->type != SL_SPAN_NULL;
}

/* What each value is, with its place: the names above it. Where in an array it stands is not asked. */
static enum sl_status find_marks(struct sl_place place, uint64_t seed, struct sl_arena *arena, uint64_t **out)
{
    const struct sl_doc *doc = place.doc;
    uint32_t root = place.root, end = doc->spans[root].next;
    struct sl_digests digests;
    SL_TRY(sl_digests_make(&digests, place, seed, arena));
    uint64_t *places = sl_arena_array(arena, end - root, sizeof *places);
    uint64_t *marks = sl_arena_array(arena, end - root, sizeof *marks);
    if (!places || !marks)
        return SL_NO_MEMORY;
    for (uint32_t i = root + 1; i < end; i++) {
        const struct sl_span *s = &doc->spans[i];
        uint64_t above = places[doc->parents[i] - root], half = (s->flags & SL_SPAN_SIBLING) != 0;
        places[i - root] = s->name ? sl_hash_fold(above ^ seed ^ (s->name * 2u + half), 0x9e3779b97f4a7c15u) : above;
        marks[i - root] = sl_hash_fold(places[i - root] ^ sl_digest(&digests, i), 0xd6e8feb86659fd93u);
    }
    *out = marks;
    return SL_OK;
}

/* The single values that are shown, in order. */
static enum sl_status gather(
    struct sl_place place, const struct sl_edits *edits, uint64_t seed, struct sl_arena *arena, struct values *out)
{
    const struct sl_doc *doc = place.doc;
    uint32_t root = place.root, end = doc->spans[root].next;
    uint64_t *marks;
    SL_TRY(find_marks(place, seed, arena, &marks));
    out->of = sl_arena_array(arena, end - root, sizeof *out->of);
    if (!out->of)
        return SL_NO_MEMORY;
    for (uint32_t i = root + 1; i < end; i++) {
        if (!is_shown(doc, edits, i))
            i = doc->spans[i].next - 1;
        else if (is_single(&doc->spans[i]))
            out->of[out->count++] = marks[i - root];
    }
    qsort(out->of, out->count, sizeof *out->of, order);
    return SL_OK;
}

enum sl_status sl_merge_frees(
    struct sl_place made, const struct sl_edits *edits, struct sl_place sent, struct sl_arena *arena, bool *frees)
{
    struct values shown = {0}, known = {0};
    uint64_t seed;
    *frees = true;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return SL_UNAVAILABLE;
    SL_TRY(gather(made, edits, seed, arena, &shown));
    SL_TRY(gather(sent, NULL, seed, arena, &known));
    size_t k = 0;
    for (size_t i = 0; i < shown.count; i++, k++) {
        while (k < known.count && known.of[k] < shown.of[i])
            k++;
        if (k == known.count || known.of[k] != shown.of[i])
            return SL_OK;
    }
    *frees = false;
    return SL_OK;
}

/* ---- Which parts? ---- */

/* Every value of which something is shown, with what is not shown in it as well, in order. */
static enum sl_status gather_shown(
    struct sl_place place, const struct sl_edits *edits, uint64_t seed, struct sl_arena *arena, struct values *out)
{
    const struct sl_doc *doc = place.doc;
    uint32_t root = place.root, end = doc->spans[root].next;
    uint64_t *marks;
    SL_TRY(find_marks(place, seed, arena, &marks));
    uint8_t *shown = sl_arena_array(arena, end - root, 1);
    out->of = sl_arena_array(arena, end - root, sizeof *out->of);
    if (!shown || !out->of)
        return SL_NO_MEMORY;
    for (uint32_t i = root + 1; i < end; i++) {
        if (!is_shown(doc, edits, i))
            i = doc->spans[i].next - 1;
        else
            shown[i - root] = is_single(&doc->spans[i]);
    }
    for (uint32_t i = end; i-- > root + 1;) {
        shown[doc->parents[i] - root] |= shown[i - root];
        if (shown[i - root])
            out->of[out->count++] = marks[i - root];
    }
    qsort(out->of, out->count, sizeof *out->of, order);
    return SL_OK;
}

enum sl_status sl_merge_freed(struct sl_place record, const struct sl_edits *edits, struct sl_place made,
    const struct sl_edits *made_edits, struct sl_arena *arena, uint8_t *sheds, size_t *count)
{
    const struct sl_doc *doc = record.doc;
    uint32_t root = record.root;
    struct values shown = {0};
    uint64_t seed, *marks;
    *count = 0;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return SL_UNAVAILABLE;
    SL_TRY(find_marks(record, seed, arena, &marks));
    SL_TRY(gather_shown(made, made_edits, seed, arena, &shown));
    for (uint32_t i = root + 1; i < doc->spans[root].next; i++) {
        if (!sl_edit_is_cut(edits, i) && !sl_edit_replacement(edits, i).ptr)
            continue;
        if (!sheds[i - root] && shown.count &&
            bsearch(&marks[i - root], shown.of, shown.count, sizeof *shown.of, order)) {
            sheds[i - root] = 1;
            ++*count;
        }
        i = doc->spans[i].next - 1;
    }
    return SL_OK;
}
