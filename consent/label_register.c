/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the officer's register does to labels. An entry says that a record has classes, has not, or both. What it has is
 * its own from the start, and passes on as anything else would. What it has not is taken from what its codes, labels,
 * origin and references would give it, wherever that would come from, so that nothing inherits it from here either.
 *
 * Taking away is the only thing in labelling that can let something out. So it counts only for a record of the patient
 * whom the entry names; never touches the class of a type (every record keeps one); and gives way where another entry
 * in force says the contrary.
 */
#include "labelling.h"

/* Is the record about this patient and nobody else? */
static bool is_of(const struct sl_labeller *labeller, const struct sl_item *item, struct sl_slice patient)
{
    if (!patient.len || item->patient_count != 1)
        return !patient.len && item->patient_count == 0;
    if (sl_slice_eq(item->patients[0], patient))
        return true;
    const struct sl_item *known = sl_labeller_find(labeller, item->patients[0]); /* by another name */
    return known && known->type == SL_R4_Patient && known->id.len &&
           sl_slice_eq(sl_slice_from(patient, sizeof "Patient/" - 1), known->id);
}

static struct sl_classes declared_not(
    const struct sl_labeller *labeller, const struct labelled *item, const struct sl_classes *has)
{
    const struct sl_classes *kept = &labeller->earning->by_type[item->item.type];
    struct sl_classes not = {{0}};
    for (const struct sl_mark *mark = item->mark; mark; mark = mark->next)
        if (is_of(labeller, &item->item, mark->patient))
            sl_classes_join(&not, &mark->has_not);
    for (unsigned i = 0; i < SL_CLASS_WORDS; i++)
        not .word[i] &= ~has->word[i] & ~kept->word[i];
    return not ;
}

/* Whose record it is: origin references are not asked where an officer has said it. */
static void declare_source(const struct sl_earning *earning, struct labelled *item, const struct sl_classes *has)
{
    if (sl_classes_meet(has, &earning->program)) {
        item->declared = true;
        item->reach.program = SL_ALWAYS;
        for (const struct sl_mark *mark = item->mark; mark; mark = mark->next)
            if (mark->program.len && sl_classes_meet(&mark->has, &earning->program))
                item->item.program = item->item.named_program = mark->program;
    } else if (sl_classes_meet(&item->not, &earning->program)) {
        item->declared = true;
        item->reach.none = SL_ALWAYS;
    }
}

void sl_label_declare(const struct sl_labeller *labeller, struct labelled *item)
{
    struct sl_classes has = {{0}};
    for (const struct sl_mark *mark = item->mark; mark; mark = mark->next) {
        sl_classes_join(&has, &mark->has);
        if (mark->unknown && !item->item.unlabelled)
            item->item.unlabelled = "register-unknown-class";
    }
    item->not = declared_not(labeller, item, &has);
    declare_source(labeller->earning, item, &has);
    sl_classes_join(&item->item.classes, &has);
    item->item.classes = sl_label_but_not(item, &item->item.classes);
}

/* ---- Reasons ---- */

/* The list without what was taken away; the order is kept. */
static const struct sl_reason *without(struct sl_labeller *labeller, const struct labelled *item)
{
    const struct sl_reason *kept = NULL, *turned = NULL;
    for (const struct sl_reason *r = item->item.reasons; r; r = r->next) {
        struct sl_classes rest = sl_label_but_not(item, &r->classes);
        if (!sl_classes_empty(&rest))
            sl_reason_push(labeller->arena, &kept, &rest, r->why, r->span, r->detail);
    }
    for (const struct sl_reason *r = kept; r; r = r->next)
        sl_reason_push(labeller->arena, &turned, &r->classes, r->why, r->span, r->detail);
    return turned;
}

void sl_label_explain(struct sl_labeller *labeller, struct labelled *item)
{
    item->item.reasons = without(labeller, item);
    for (const struct sl_mark *mark = item->mark; mark; mark = mark->next)
        sl_reason_push(labeller->arena, &item->item.reasons, &mark->has, SL_WHY_REGISTER, 0, mark->name);
}
