/* SPDX-License-Identifier: Apache-2.0 */
/* What a record is to be: what is sent, or what a patch makes of the writer's view, as a difference done to the whole.
 */
#include "records_write.h"
#include "sluice/fault.h"
#include "sluice/merge.h"
#include "sluice/patch.h"
#include "sluice/r4_names.h"
#include "transaction.h"
#include "view.h"
#include "write_parts.h"

enum sl_status sl_write_ask_policy(
    struct sl_exchange *x, const struct sl_ruling *ruling, struct sl_write_answer *answer)
{
    *answer = (struct sl_write_answer){.verdict = SL_WRITE_REFUSED};
    if (!ruling)
        return SL_UNPROCESSABLE; /* nobody can say whom it is about */
    SL_TRY(sl_write_ask(ruling, x->interaction.type, sl_write_action_of(x), x->arena, answer));
    x->write->grant = answer->grant;
    return answer->verdict == SL_WRITE_GRANTED ? SL_OK : SL_FORBIDDEN;
}

/* Does If-Match list this view? (RFC 9110, 13.1.1) */
bool sl_write_is_current(const struct sl_exchange *x, const struct sl_found *found)
{
    return !x->write->if_match.len ||
           sl_view_listed(x->write->if_match, (struct sl_slice){found->item->tag, SL_VIEW_TAG});
}

struct sl_slice sl_write_version_of(struct sl_exchange *x, const struct sl_found *found)
{
    return found->item->version.len ? sl_arena_copy(x->arena, found->item->version) : (struct sl_slice){NULL, 0};
}

/* The resource that is sent, with the id that a condition has found where it names none. */
static enum sl_status name_sent(struct sl_exchange *x)
{
    struct sl_write *write = x->write;
    struct sl_blocks blocks = {.arena = x->arena};
    struct sl_slice text;
    write->proposed = write->sent;
    if (sl_span_member(&write->sent, 0, SL_NAME_id))
        return SL_OK;
    struct sl_edits *edits = sl_edits_new(x->arena, &write->sent);
    if (!edits)
        return SL_NO_MEMORY;
    text = sl_arena_printf(x->arena, "\"id\":\"%.*s\"", SL_FMT(x->interaction.id));
    if (!text.ptr)
        return SL_NO_MEMORY;
    sl_edit_add_member(edits, 0, text);
    SL_TRY(sl_edit_gather(edits, 0, &blocks));
    SL_TRY(sl_blocks_join(&blocks, x->arena, &text));
    return sl_doc_parse(x->arena, text, NULL, &write->proposed, NULL);
}

/* What a patch makes of the view: the places it names are those that the writer sees. */
static enum sl_status patch_view(struct sl_exchange *x, struct sl_place view)
{
    struct sl_write *write = x->write;
    struct sl_issues issues = {.arena = x->arena};
    struct sl_slice text = {NULL, 0};
    const char *why = NULL;
    const struct sl_patch patch = {.form = write->form == SL_BODY_JSON_PATCH ? SL_PATCH_JSON : SL_PATCH_FHIRPATH,
        .doc = &write->sent,
        .view = view.doc,
        .view_root = view.root};
    enum sl_status status = sl_patch_apply(&patch, x->arena, &text, &why);
    if (status == SL_OK)
        status = sl_doc_parse(x->arena, text, NULL, &write->proposed, NULL);
    if (status == SL_OK) /* the id and type of a record are not a patch's to change */
        status = sl_body_check(&write->proposed, x->interaction.type, x->interaction.id, x->arena, &issues);
    if (status == SL_OK)
        status = sl_write_own_doc(x, &write->proposed);
    if (status == SL_LIMIT)
        return SL_TOO_LARGE;
    return status == SL_SYNTAX || (status == SL_BAD_SYNTAX && text.ptr) ? SL_UNPROCESSABLE : status;
}

/* What is proposed to stand in the place of the view: the resource itself, or what a patch makes of the view. Both then
 * as the upstream is to have them: what was not changed is the same still. */
static enum sl_status propose(struct sl_exchange *x, struct sl_merge *merge)
{
    struct sl_doc *view = sl_arena_alloc(x->arena, sizeof *view);
    if (!view)
        return SL_NO_MEMORY;
    SL_TRY(x->interaction.kind == SL_PATCH ? patch_view(x, merge->view) : name_sent(x));
    *view = *merge->view.doc;
    SL_TRY(sl_write_own_doc(x, view));
    merge->view.doc = view;
    merge->sent = (struct sl_place){&x->write->proposed, 0};
    return SL_OK;
}

/* What was hidden and had to give way, by place: the operator has it from the version before. */
static enum sl_status note_displaced(struct sl_exchange *x, const struct sl_merged *merged)
{
    struct sl_buffer out;
    sl_buffer_init(&out, 4096);
    for (const struct sl_displaced *one = merged->displaced; one && out.len + one->path.len < 4000; one = one->next) {
        sl_buffer_add(&out, out.len ? SL_LIT(",") : SL_LIT(""));
        sl_buffer_json_string(&out, one->path);
    }
    x->write->displaced = out.len ? sl_arena_copy(x->arena, sl_buffer_slice(&out)) : (struct sl_slice){NULL, 0};
    bool failed = sl_buffer_failed(&out) || sl_arena_failed(x->arena);
    sl_buffer_fini(&out);
    return failed ? SL_NO_MEMORY : SL_OK;
}

/* Whom the record is about as it is. Not of one that merely lists people, each of whom may be shown or not. */
static enum sl_status note_subjects(struct sl_exchange *x, const struct sl_found *found)
{
    struct sl_slice subjects;
    if (found->item->patient_count == found->item->named_count)
        return SL_OK;
    SL_TRY(sl_pass_patients(found->pass, found->item, &subjects));
    x->write->subjects = sl_arena_copy(x->arena, subjects);
    return sl_arena_failed(x->arena) ? SL_NO_MEMORY : SL_OK;
}

/* Those that an earlier attempt found, if this is the record that they were found in. */
static const uint8_t *sheds_of(const struct sl_exchange *x, const struct sl_found *found)
{
    const struct sl_write_sheds *sheds = &x->write->sheds;
    return sheds->parts && sl_slice_eq(sheds->of, sl_span_text(&found->page->doc, found->entry->root)) ? sheds->parts
                                                                                                       : NULL;
}

/* The record as it is to be: the difference between what the writer sees and what it sends, done to the whole. */
static enum sl_status make_changed(struct sl_exchange *x, const struct sl_found *found, struct sl_slice *text)
{
    struct sl_write_answer answer;
    struct sl_merged merged;
    struct sl_merge merge = {
        .record = {&found->page->doc, found->entry->root},
        .edits = found->page->edits,
        .item = found->item,
        .sheds_all = x->write->sheds.all,
    };
    SL_TRY(sl_view_tag(x, found));
    if (!sl_write_is_current(x, found))
        return SL_PRECONDITION_FAILED;
    SL_TRY(sl_write_ask_policy(x, found->item->ruling, &answer));
    merge.sheds = sheds_of(x, found);
    merge.labels = answer.labels;
    SL_TRY(sl_merge_view(found->page->edits, found->entry->root, x->arena, &merge.view));
    SL_TRY(propose(x, &merge));
    SL_TRY(sl_merge(&merge, x->arena, &merged));
    SL_TRY(note_displaced(x, &merged));
    SL_TRY(note_subjects(x, found));
    x->write->version = sl_write_version_of(x, found);
    x->write->outcome = merged.changed ? SL_WRITE_CHANGED : SL_WRITE_SAME;
    *text = merged.text;
    return SL_OK;
}

/* What is sent, under an id that nobody has: it is labelled under it, and stored under the one the upstream draws. */
enum sl_status sl_write_make_new(struct sl_exchange *x, const struct sl_write_labels *labels, struct sl_slice *text)
{
    struct sl_slice id = sl_transaction_own_id(x);
    if (!id.len)
        SL_TRY(sl_record_draw_id(x->arena, &id));
    x->write->outcome = SL_WRITE_CREATED;
    return sl_merge_new((struct sl_place){&x->write->sent, 0}, labels, id, x->arena, text);
}

/* The URLs of records here and at the upstream are names of its records: what leads to us is stored as it would be
 * there, and nobody can name a record in a way that is read as a name only later. */
static struct sl_slice local_name(const struct sl_exchange *x, struct sl_slice url)
{
    const struct sl_config *c = x->state->gateway->config;
    const struct sl_slice bases[] = {c->url, c->upstream_url, c->upstream_known_as};
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        struct sl_slice rest = bases[i].len && sl_slice_starts(url, bases[i]) ? sl_slice_from(url, bases[i].len)
                                                                              : (struct sl_slice){NULL, 0};
        if (rest.len < 2 || rest.ptr[0] != '/')
            continue;
        rest = sl_slice_from(rest, 1);
        const char *query = memmem(rest.ptr, rest.len, "?_route=", 8); /* our own way to what has no other */
        return query ? (struct sl_slice){rest.ptr, (size_t)(query - rest.ptr)} : rest;
    }
    return (struct sl_slice){NULL, 0};
}

/* Where a name is read as one, by what R4 and we say of the element: an extension's url or an identifier's system under
 * the same address is no record's, and stays. A canonical is what it is by its address; a server knows its own. */
static struct sl_slice local_of(
    void *context, enum sl_link_form form, const struct sl_r4_element *element, struct sl_slice url)
{
    const struct sl_exchange *x = context;
    bool named = form == SL_LINK_MARKUP || (form == SL_LINK_CANONICAL && x->state->gateway->address);
    bool leads = form == SL_LINK_REFERENCE || element->reference != SL_REF_NONE ||
                 (element->parent == SL_R4_Attachment && element->name == SL_NAME_url);
    return leads && !named ? local_name(x, url) : (struct sl_slice){NULL, 0};
}

enum sl_status sl_write_own(struct sl_exchange *x, struct sl_slice *text)
{
    *text = sl_address_store(x->state->gateway->address, *text, x->arena);
    return text->ptr ? sl_body_relink(x->arena, text, local_of, x) : SL_NO_MEMORY;
}

enum sl_status sl_write_own_doc(struct sl_exchange *x, struct sl_doc *doc)
{
    struct sl_slice before = sl_span_text(doc, 0), text = before;
    SL_TRY(sl_write_own(x, &text));
    return text.ptr == before.ptr ? SL_OK : sl_doc_parse(x->arena, text, NULL, doc, NULL);
}

enum sl_status sl_write_make(struct sl_exchange *x, struct sl_slice *text)
{
    static const struct sl_write_labels none = {0};
    const struct sl_found *found = sl_write_creates(x) ? NULL : sl_answer_one(x);
    if (sl_write_creates(x))
        return sl_write_make_new(x, &none, text);
    if (found)
        return make_changed(x, found, text);
    bool hidden = x->rounds && x->rounds->first;
    return hidden && sl_fault(SL_FAULT_HIDDEN_UPDATE_FORBIDDEN) ? SL_FORBIDDEN : SL_NOT_FOUND;
}
