/* SPDX-License-Identifier: Apache-2.0 */
/* Is what was recalled of a row what the walk finds in it? Both are items of one document. */
#ifndef SLUICE_TESTS_SAME_ITEM_H
#define SLUICE_TESTS_SAME_ITEM_H

#include "labelling.h"

static bool same_evidence(const struct evidence *a, const struct evidence *b)
{
    for (; a && b; a = a->next, b = b->next)
        if (a->part != b->part || a->span != b->span || memcmp(&a->classes, &b->classes, sizeof a->classes) != 0 ||
            a->why != b->why || a->candidate != b->candidate || a->label != b->label || a->level != b->level ||
            !sl_slice_eq(a->detail, b->detail))
            return false;
    return !a && !b;
}

static bool same_reasons(const struct sl_reason *a, const struct sl_reason *b)
{
    for (; a && b; a = a->next, b = b->next)
        if (memcmp(&a->classes, &b->classes, sizeof a->classes) != 0 || a->why != b->why || a->span != b->span ||
            !sl_slice_eq(a->detail, b->detail))
            return false;
    return !a && !b;
}

static bool same_slices(const struct sl_slice *a, uint32_t count, const struct sl_slice *b, uint32_t others)
{
    for (uint32_t i = 0; count == others && i < count; i++)
        if (!sl_slice_eq(a[i], b[i]))
            return false;
    return count == others;
}

static bool same_spans(const uint32_t *a, uint32_t count, const uint32_t *b, uint32_t others)
{
    return count == others && (!count || memcmp(a, b, count * sizeof *a) == 0);
}

static bool same_references(const struct sl_item *a, const struct sl_item *b)
{
    for (uint32_t i = 0; a->reference_count == b->reference_count && i < a->reference_count; i++) {
        const struct sl_reference *x = &a->references[i], *y = &b->references[i];
        if (x->span != y->span || x->element != y->element || x->kind != y->kind || x->pays != y->pays ||
            x->note != y->note || x->patient != y->patient || x->link != y->link || x->content != y->content ||
            x->type != y->type || !sl_slice_eq(x->target, y->target) || x->item != y->item || x->untold != y->untold)
            return false;
    }
    return a->reference_count == b->reference_count;
}

static bool same_inlines(const struct sl_item *a, const struct sl_item *b)
{
    for (uint32_t i = 0; a->inline_count == b->inline_count && i < a->inline_count; i++)
        if (a->inlines[i].span != b->inlines[i].span || a->inlines[i].cut != b->inlines[i].cut)
            return false;
    return a->inline_count == b->inline_count;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_lists(const struct sl_item *a, const struct sl_item *b)
{
    return same_references(a, b) && same_inlines(a, b) &&
           same_slices(a->patients, a->patient_count, b->patients, b->patient_count) &&
           same_slices(a->authors, a->author_count, b->authors, b->author_count) &&
           same_spans(a->unknown, a->unknown_count, b->unknown, b->unknown_count) &&
           same_spans(a->signatures, a->signature_count, b->signatures, b->signature_count) &&
           same_spans(a->counts, a->count_count, b->counts, b->count_count) &&
           same_spans(a->texts, a->text_count, b->texts, b->text_count) && a->named_count == b->named_count;
}

static bool same_head(const struct sl_item *a, const struct sl_item *b)
{
    return a->span == b->span && a->type == b->type && a->number == b->number && sl_slice_eq(a->id, b->id) &&
           sl_slice_eq(a->version, b->version) && sl_slice_eq(a->full_url, b->full_url) &&
           sl_slice_eq(a->source_uri, b->source_uri) && sl_slice_eq(a->date_from, b->date_from) &&
           sl_slice_eq(a->date_to, b->date_to) && a->level == b->level && a->context == b->context &&
           a->is_version == b->is_version && a->content_count == b->content_count &&
           same_text(a->unlabelled, b->unlabelled) && memcmp(&a->classes, &b->classes, sizeof a->classes) == 0 &&
           same_reasons(a->reasons, b->reasons) && !a->parts == !b->parts && !a->next == !b->next;
}

static bool same_item(const struct sl_item *one, const struct sl_item *other)
{
    const struct labelled *a = (const struct labelled *)one, *b = (const struct labelled *)other;
    return same_head(one, other) && same_lists(one, other) && sl_slice_eq(a->base, b->base) &&
           memcmp(&a->base_classes, &b->base_classes, sizeof a->base_classes) == 0 &&
           same_reasons(a->base_reasons, b->base_reasons) && same_text(a->base_unlabelled, b->base_unlabelled) &&
           same_evidence(a->evidence, b->evidence) && same_evidence(a->labels, b->labels) && a->inlined == b->inlined &&
           a->level == b->level && a->inline_level == b->inline_level && a->known == b->known &&
           a->named_only == b->named_only && a->scoped == b->scoped && a->base_candidate == b->base_candidate &&
           a->paid == b->paid && memcmp(&a->purse, &b->purse, sizeof a->purse) == 0 && a->ai == b->ai &&
           a->signed_off == b->signed_off && !a->mark == !b->mark && a->date_count == b->date_count &&
           same_spans(a->dates, a->date_count < SL_DATES ? a->date_count : SL_DATES, b->dates,
               b->date_count < SL_DATES ? b->date_count : SL_DATES) &&
           same_spans(a->answers, a->answer_count, b->answers, b->answer_count);
}

#endif
