/* SPDX-License-Identifier: Apache-2.0 */
/* May it be written? By what the writer sees, what it sends, and what policy and the patient say of what comes of it.
 */
#include "sluice/fault.h"
#include "sluice/merge.h"
#include "transaction.h"
#include "view.h"
#include "write_parts.h"

/* Scopes of a patient's own launch reach what is about that patient alone. */
static bool is_in_scope(const struct sl_exchange *x)
{
    bool patient_only;
    return sl_caller_may(&x->caller, x->interaction.type, sl_interaction_action(x->interaction.kind), &patient_only) &&
           (!patient_only || sl_slice_eq(x->write->patients, x->caller.patient));
}

/* Is everybody whom the record was about still among those it is about? What is hidden in it is hidden by what they
 * direct: as somebody else's record it would be judged by what that one does. By what the writer sees and sends. */
static bool keeps_subjects(const struct sl_write *write)
{
    struct sl_slice before = write->subjects;
    while (before.len) {
        struct sl_slice one = sl_format_take(&before, ' '), after = write->patients;
        bool kept = false;
        while (!kept && after.len)
            kept = sl_slice_eq(one, sl_format_take(&after, ' '));
        if (!kept)
            return false;
    }
    return true;
}

/* Of a Consent that Sluice could not bring into force nobody would know that it does not hold. */
static enum sl_status check_consent(struct sl_exchange *x)
{
    struct sl_directives list = {0};
    struct sl_issues issues = {.arena = x->arena};
    if (x->interaction.type != SL_R4_Consent)
        return SL_OK;
    if (!sl_recorder_directs(x->state->gateway->recorder))
        return SL_UNAVAILABLE;
    enum sl_status status = sl_directive_read(x->arena, &x->write->made, 0, &issues, &list);
    return status == SL_INVALID || status == SL_LIMIT ? SL_UNPROCESSABLE : status;
}

/* Everybody sees whose a place is, and what was done there may be hidden for just that: who changes it would label
 * anew what it cannot see. So a place that may be a program's stays what it is; that is the EHR's to write. */
static bool moves_place(const struct sl_exchange *x, const struct sl_item *made)
{
    const struct sl_found *found = sl_write_creates(x) ? NULL : sl_answer_one(x);
    const struct sl_item *old = found ? found->item : NULL;
    if (!old || !(sl_r4_facts(x->interaction.type) & SL_R4_DIRECTORY) || old->source == SL_SOURCE_NOT)
        return false;
    return made->source != old->source || made->holding != old->holding ||
           !sl_slice_eq(made->named_program, old->named_program);
}

enum sl_status sl_write_judge(struct sl_exchange *x)
{
    struct sl_write *write = x->write;
    const struct sl_found *found = sl_write_the_made(x);
    struct sl_write_answer answer;
    struct sl_slice patients;
    if (!found || !found->item || found->item->unlabelled || moves_place(x, found->item))
        return SL_UNPROCESSABLE;
    SL_TRY(sl_write_ask_policy(x, found->item->ruling, &answer));
    SL_TRY(sl_pass_patients(found->pass, found->item, &patients));
    if (!patients.len)
        SL_TRY(sl_transaction_patients(x, found, &patients));
    write->patients = sl_arena_copy(x->arena, patients);
    if (!is_in_scope(x))
        return SL_FORBIDDEN;
    if (!keeps_subjects(write))
        return SL_UNPROCESSABLE;
    if (sl_write_creates(x))
        SL_TRY(sl_write_make_new(x, &answer.labels, &write->text)); /* with the labels that it may set for these */
    return check_consent(x);
}

enum sl_status sl_write_judge_delete(struct sl_exchange *x)
{
    const struct sl_found *found = sl_answer_one(x);
    if (!found)
        return SL_NOT_FOUND;
    if (x->interaction.type == SL_R4_Consent)
        return SL_FORBIDDEN; /* it would go on being in force: it is made inactive instead */
    SL_TRY(sl_view_tag(x, found));
    if (!sl_write_is_current(x, found))
        return SL_PRECONDITION_FAILED;
    x->write->version = sl_write_version_of(x, found);
    x->write->outcome = SL_WRITE_GONE;
    return SL_OK;
}

#define SHED_ROUNDS 3u /* in which parts are found that would show; then all that is hidden gives way */

/* Which of the hidden parts it is that would show. Where they cannot be told apart from what would not, all of them. */
static enum sl_status note_freed(struct sl_exchange *x, struct sl_place made)
{
    struct sl_write_sheds *sheds = &x->write->sheds;
    const struct sl_found *old = sl_answer_one(x), *found = sl_write_the_made(x);
    const struct sl_place record = {&old->page->doc, old->entry->root};
    struct sl_slice text = sl_span_text(record.doc, record.root);
    size_t count = 0;
    if (!sheds->parts || !sl_slice_eq(sheds->of, text)) {
        sheds->parts = sl_arena_array(x->arena, record.doc->spans[record.root].next - record.root, 1);
        sheds->of = sl_arena_copy(x->arena, text);
        if (!sheds->parts || !sheds->of.ptr)
            return SL_NO_MEMORY;
    }
    SL_TRY(sl_merge_freed(record, old->page->edits, made, found->page->edits, x->arena, sheds->parts, &count));
    sheds->all = !count || ++sheds->rounds > SHED_ROUNDS || sl_fault(SL_FAULT_FREED_ALL);
    return SL_OK;
}

/* The record as it would come back from its writer: what the EHR spells in another way than we do is spelled as what
 * was sent. A span for each of the document's: strings alone differ. */
static enum sl_status as_sent(struct sl_exchange *x, struct sl_place made, struct sl_doc *out)
{
    struct sl_slice text = sl_address_show(x->state->gateway->address, made.doc->text, x->arena);
    if (!text.ptr)
        return SL_NO_MEMORY;
    SL_TRY(sl_write_own(x, &text));
    SL_TRY(sl_doc_parse(x->arena, text, NULL, out, NULL));
    return out->count == made.doc->count ? SL_OK : SL_CORRUPT;
}

/* Would the writer see what it never saw, because of what it changed beside it? Then it is made again without: the
 * answer is what it would be had nothing been there, and the operator is told what gave way. What would stay hidden
 * stays. */
enum sl_status sl_write_ask_freed(struct sl_exchange *x, bool *frees)
{
    const struct sl_found *found = sl_write_the_made(x);
    struct sl_doc made_over;
    *frees = false;
    if (x->write->outcome != SL_WRITE_CHANGED || !found->released || sl_fault(SL_FAULT_FREED_SHOWN))
        return SL_OK;
    const struct sl_place made = {&found->page->doc, found->entry->root}, sent = {&x->write->proposed, 0};
    SL_TRY(as_sent(x, made, &made_over));
    SL_TRY(sl_merge_frees((struct sl_place){&made_over, made.root}, found->page->edits, sent, x->arena, frees));
    if (!*frees || sl_exchange_is_overtaken(x)) /* else it may be another policy that shows more */
        return SL_OK;
    return x->write->sheds.all ? SL_UNAVAILABLE : note_freed(x, made);
}
