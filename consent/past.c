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
    return sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}
