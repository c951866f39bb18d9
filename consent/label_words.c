/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words that an item holds, and the classes they earn: a lexicon is looked for in what label_walk.c noted and in the
 * contents of attachments. A Bundle says the same words often, so the short ones are remembered with what was found in
 * them, for as long as the labeller lives.
 */
#include "content.h"
#include "labelling.h"

#define REMEMBERED 256u /* a power of two */
#define SHORT 256u

struct words_cache {
    uint64_t filled[REMEMBERED / 64]; /* a bit for each place: what is in the others was never cleared */
    struct remembered {
        struct sl_slice raw;             /* in a document, which lives as long as the labeller's items */
        const struct sl_mentions *found; /* NULL: nothing */
    } kept[REMEMBERED];
};

static uint64_t load(const char *at)
{
    uint64_t eight;
    memcpy(&eight, at, sizeof eight);
    return eight;
}

/* Of the length and some of the bytes: strings that meet here are compared. */
static size_t place_of(struct sl_slice raw)
{
    const uint64_t odd = 0x9e3779b97f4a7c15u;
    uint64_t hash = raw.len * odd;
    if (raw.len >= 8)
        hash ^= (load(raw.ptr) ^ (load(raw.ptr + raw.len - 8) * odd) ^ (load(raw.ptr + (raw.len - 8) / 2) << 1)) * odd;
    else
        for (size_t i = 0; i < raw.len; i++)
            hash = (hash ^ (unsigned char)raw.ptr[i]) * odd;
    return (size_t)(hash >> 40) & (REMEMBERED - 1);
}

struct wordings {
    struct sl_labeller *labeller;
    struct labelled *item;
    struct sl_classes asked; /* by the questions of a form that may be scored */
    const struct wording *asked_first;
    bool failed;
};

static void earn_part(struct wordings *w, const struct wording *wording, uint32_t part,
    const struct sl_classes *classes, enum sl_why why, struct sl_slice detail)
{
    struct evidence *e = sl_arena_raw(w->labeller->arena, 1, sizeof *e);
    if (!e)
        return;
    *e = (struct evidence){.part = part,
        .span = wording->span,
        .classes = *classes,
        .why = why,
        .detail = detail,
        .next = w->item->evidence};
    w->item->evidence = e;
}

static bool is_answer(const struct labelled *item, uint32_t span)
{
    uint32_t low = 0, high = item->answer_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (item->answers[middle] < span)
            low = middle + 1;
        else
            high = middle;
    }
    return low < item->answer_count && item->answers[low] == span;
}

static void earn(struct wordings *w, const struct wording *wording, const struct sl_classes *classes, enum sl_why why,
    struct sl_slice detail)
{
    struct sl_arena *arena = w->labeller->arena;
    struct labelled *item = w->item;
    if (wording->whole || wording->cut == item->item.span) {
        sl_classes_join(&item->base_classes, classes);
        sl_reason_push(arena, &item->base_reasons, classes, why, wording->span, detail);
        return;
    }
    earn_part(w, wording, wording->cut, classes, why, detail);
    if (wording->question && is_answer(item, wording->cut)) {
        sl_classes_join(&w->asked, classes);
        w->asked_first = w->asked_first ? w->asked_first : wording;
    }
}

/* What one question of a scored form says classifies all its answers: a score less the others would be the one. */
static void share_asked(struct wordings *w)
{
    for (uint32_t i = 0; w->asked_first && i < w->item->answer_count; i++)
        earn_part(w, w->asked_first, w->item->answers[i], &w->asked, SL_WHY_INSTRUMENT, SL_LIT("question"));
}

static void earn_mention(struct wordings *w, const struct wording *wording, enum sl_mention mention, uint16_t term)
{
    const struct sl_earning *earning = w->labeller->earning;
    const struct sl_classes *classes = &earning->by_mention[mention];
    struct sl_slice name = sl_mention_name(mention), said = sl_words_term(earning->words, term);
    if (!sl_classes_empty(classes))
        earn(w, wording, classes, SL_WHY_WORDS,
            sl_arena_printf(w->labeller->arena, "%.*s: %.*s", SL_FMT(name), SL_FMT(said)));
}

static void earn_mentions(struct wordings *w, const struct wording *wording, const struct sl_mentions *found)
{
    for (unsigned bits = found->bits; bits; bits &= bits - 1) {
        enum sl_mention mention = (enum sl_mention)__builtin_ctz(bits);
        earn_mention(w, wording, mention, found->term[mention]);
    }
}

static bool search(struct wordings *w, enum sl_content_kind kind, struct sl_slice text, struct sl_mentions *found)
{
    bool good = sl_words_search(w->labeller->earning->words, kind, text, found);
    w->failed |= !good;
    return good;
}

static struct sl_slice value_of(struct wordings *w, uint32_t span)
{
    const struct sl_doc *doc = w->item->item.doc;
    return doc->spans[span].flags & SL_SPAN_ESCAPED ? sl_span_string(doc, span, w->labeller->arena)
                                                    : sl_span_raw(doc, span);
}

static void search_short(struct wordings *w, const struct wording *wording, struct sl_slice raw)
{
    struct sl_arena *arena = w->labeller->arena;
    size_t at = place_of(raw);
    struct remembered *kept = &w->labeller->words->kept[at];
    uint64_t *filled = &w->labeller->words->filled[at / 64], bit = (uint64_t)1 << at % 64;
    if (!(*filled & bit) || !sl_slice_eq(kept->raw, raw)) {
        struct sl_mentions found = {0}, *copy = NULL;
        if (sl_words_may_hold(w->labeller->earning->words, raw) && /* an escape makes it unsure */
            !search(w, wording->kind, value_of(w, wording->span), &found))
            return;
        if (found.bits) {
            copy = sl_arena_raw(arena, 1, sizeof *copy);
            if (!copy)
                return;
            *copy = found;
        }
        *kept = (struct remembered){raw, copy};
        *filled |= bit;
    }
    if (kept->found)
        earn_mentions(w, wording, kept->found);
}

static void search_long(struct wordings *w, const struct wording *wording)
{
    struct sl_mentions found;
    if (search(w, wording->kind, value_of(w, wording->span), &found))
        earn_mentions(w, wording, &found);
}

/* A content that holds pictures beside its words is read in part alone. */
static void search_content(struct wordings *w, const struct sl_content *content)
{
    struct sl_mentions found;
    struct wording wording = {.span = content->data, .cut = content->cut};
    const struct sl_classes *unread = &w->labeller->earning->unread;
    if (content->ccda) /* what it says, it says part by part */
        return;
    if (!sl_content_is_text(content->kind) || !search(w, content->kind, content->text, &found))
        return;
    earn_mentions(w, &wording, &found);
    if (found.partial && !sl_classes_empty(unread))
        earn(w, &wording, unread, SL_WHY_UNREAD, SL_LIT("pictures"));
}

static bool make_cache(struct sl_labeller *labeller)
{
    labeller->words = sl_arena_raw(labeller->arena, 1, sizeof *labeller->words);
    if (labeller->words)
        memset(labeller->words->filled, 0, sizeof labeller->words->filled);
    return labeller->words != NULL;
}

const char *sl_label_words(
    struct sl_labeller *labeller, struct labelled *item, const struct wording *wordings, uint32_t count)
{
    struct wordings w = {.labeller = labeller, .item = item};
    if (!labeller->words && !make_cache(labeller))
        return NULL; /* the arena has failed, and with it the whole */
    for (uint32_t i = 0; i < count; i++) {
        struct sl_slice raw = sl_span_raw(item->item.doc, wordings[i].span);
        if (raw.len <= SHORT && wordings[i].kind == SL_CONTENT_PLAIN)
            search_short(&w, &wordings[i], raw);
        else
            search_long(&w, &wordings[i]);
    }
    share_asked(&w);
    for (uint32_t i = 0; i < item->item.content_count; i++)
        search_content(&w, &item->item.contents[i]);
    return w.failed ? "words-unsearched" : NULL;
}
