/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who pays, where a record says it beyond doubt: a Coverage of a type that means the patient's own purse. A claim, and
 * what was answered to it, is paid for by the patient if the Coverage it is for (insurance.focal) is such a one; an
 * account, if all its coverages are. The Coverage itself is about no item or service and keeps its own classes, and a
 * second payer of a claim says nothing: 45 CFR 164.522(a)(1)(vi) is about what was paid for in full.
 */
#include "labelling.h"

bool sl_purse_pays(const struct sl_doc *doc, const struct sl_r4_element *element, uint32_t object)
{
    if (element->parent == SL_R4_Account_coverage)
        return true;
    if (element->parent != SL_R4_Claim_insurance && element->parent != SL_R4_ExplanationOfBenefit_insurance)
        return false;
    uint32_t focal = sl_span_member(doc, object, SL_NAME_focal);
    return focal && doc->spans[focal].type == SL_SPAN_TRUE;
}

static void read_coding(struct sl_labeller *labeller, struct labelled *item, uint32_t coding)
{
    const struct sl_earning *e = labeller->earning;
    const struct sl_doc *doc = item->item.doc;
    uint32_t at[] = {sl_span_member(doc, coding, SL_NAME_system), sl_span_member(doc, coding, SL_NAME_code)};
    if (!at[0] || !at[1] || doc->spans[at[0]].type != SL_SPAN_STRING || doc->spans[at[1]].type != SL_SPAN_STRING)
        return;
    struct sl_slice system = sl_span_string(doc, at[0], labeller->arena);
    struct sl_slice code = sl_span_string(doc, at[1], labeller->arena);
    for (size_t i = 0; i < e->purse_count; i++)
        if (sl_slice_eq(system, e->purses[i].system) && sl_slice_eq(code, e->purses[i].code))
            sl_classes_join(&item->purse, &e->purses[i].classes);
}

void sl_purse_read(struct sl_labeller *labeller, struct labelled *item)
{
    const struct sl_doc *doc = item->item.doc;
    uint32_t type = sl_span_member(doc, item->item.span, SL_NAME_type);
    uint32_t codings = type && doc->spans[type].type == SL_SPAN_OBJECT ? sl_span_member(doc, type, SL_NAME_coding) : 0;
    if (!codings || doc->spans[codings].type != SL_SPAN_ARRAY)
        return;
    for (uint32_t c = codings + 1; c < doc->spans[codings].next; c = doc->spans[c].next)
        if (doc->spans[c].type == SL_SPAN_OBJECT)
            read_coding(labeller, item, c);
}

struct sl_classes sl_purse_lends(const struct labelled *item, const struct sl_reference **by)
{
    struct sl_classes all;
    memset(&all, 0xff, sizeof all);
    *by = NULL;
    for (uint32_t i = 0; i < item->item.reference_count; i++) {
        const struct sl_reference *r = &item->item.references[i];
        if (!r->pays)
            continue;
        *by = r;
        const struct labelled *coverage = (const struct labelled *)r->item;
        for (unsigned w = 0; w < SL_CLASS_WORDS; w++)
            all.word[w] &= coverage && !coverage->known ? coverage->purse.word[w] : 0;
    }
    return *by ? sl_label_but_not(item, &all) : (struct sl_classes){{0}};
}
