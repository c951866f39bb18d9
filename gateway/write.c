/* SPDX-License-Identifier: Apache-2.0 */
/* Writes: see write.h. From top to bottom in the order of the steps. */
#include "write.h"

#include <stdlib.h>
#include <strings.h>

#include "records_write.h"
#include "sluice/fault.h"
#include "sluice/merge.h"
#include "sluice/patch.h"
#include "sluice/r4_names.h"
#include "transaction.h"
#include "view.h"

#define RACES 4u /* made again when somebody else's write came first; then 409 */

static enum sl_step_result fail(struct sl_exchange *x, enum sl_status status, const char *why)
{
    return sl_exchange_fail(x, status, why);
}

static enum sl_write_action action_of(const struct sl_exchange *x)
{
    static const enum sl_write_action actions[] = {[SL_CREATE] = SL_WRITE_CREATE,
        [SL_UPDATE] = SL_WRITE_UPDATE,
        [SL_PATCH] = SL_WRITE_PATCH,
        [SL_DELETE] = SL_WRITE_DELETE};
    /* A conditional update that matches nothing creates. */
    return x->write->conditional && x->interaction.kind == SL_UPDATE && !x->interaction.id.len
               ? SL_WRITE_CREATE
               : actions[x->interaction.kind];
}

static bool creates(const struct sl_exchange *x)
{
    return action_of(x) == SL_WRITE_CREATE;
}

/* ---- read: the client's own words ---- */

/* RFC 7240: what is not known is passed over, which a preference allows. */
static enum sl_write_prefer read_prefer(const struct sl_request *request)
{
    enum sl_write_prefer prefer = SL_PREFER_REPRESENTATION;
    for (size_t i = 0; i < request->header_count; i++) {
        struct sl_slice list = request->headers[i].value;
        while (sl_format_same(request->headers[i].name, SL_LIT("prefer")) && list.len) {
            struct sl_slice one = sl_format_take(&list, ',');
            struct sl_slice word = sl_format_take(&one, ';');
            if (sl_format_same(word, SL_LIT("return=minimal")))
                prefer = SL_PREFER_MINIMAL;
            else if (sl_format_same(word, SL_LIT("return=OperationOutcome")))
                prefer = SL_PREFER_OUTCOME;
            else if (sl_format_same(word, SL_LIT("return=representation")))
                prefer = SL_PREFER_REPRESENTATION;
        }
    }
    return prefer;
}

bool sl_write_is_condition(const struct sl_search *search)
{
    return search->param_count && !search->include_count && !search->count && !search->cursor.len &&
           !search->total.len && !search->summary.len && !search->elements.len;
}

static enum sl_status read_condition(struct sl_exchange *x, struct sl_slice query)
{
    struct sl_issues issues = {.arena = x->arena};
    struct sl_write *write = x->write;
    enum sl_status status =
        sl_search_read(x->arena, x->interaction.type, query, (struct sl_slice){NULL, 0}, &issues, &write->condition);
    if (status != SL_OK && issues.first)
        x->detail = issues.first->text;
    write->has_condition = true;
    return status == SL_OK && !sl_write_is_condition(&write->condition) ? SL_BAD_PARAMETER : status;
}

/* "?a=b", "a=b" or "Type?a=b" (http.html, 3.1.0.9.1) */
static enum sl_status read_none_exist(struct sl_exchange *x)
{
    size_t count = 0;
    struct sl_slice query = sl_request_header(x->request, SL_LIT("if-none-exist"), &count);
    if (!count)
        return SL_OK;
    if (sl_slice_starts(query, x->interaction.type_name))
        query = sl_slice_from(query, x->interaction.type_name.len);
    if (sl_slice_starts(query, SL_LIT("?")))
        query = sl_slice_from(query, 1);
    return count == 1 && query.len ? read_condition(x, query) : SL_BAD_PARAMETER;
}

static enum sl_status read_headers(struct sl_exchange *x)
{
    size_t count = 0;
    struct sl_write *write = x->write;
    write->prefer = read_prefer(x->request);
    write->if_match = sl_request_header(x->request, SL_LIT("if-match"), &count);
    if (count > 1 || (count && !write->if_match.len)) /* an empty one names no version, and is no leave to do without */
        return SL_BAD_PARAMETER;
    if (write->conditional)
        return read_condition(x, x->interaction.query);
    if (x->interaction.kind == SL_CREATE)
        return read_none_exist(x);
    return count || x->interaction.kind == SL_DELETE ? SL_OK : SL_PRECONDITION_REQUIRED;
}

/* A resource must be what the request says; a patch is held against R4 once it has been applied. */
static enum sl_status read_sent(struct sl_exchange *x)
{
    struct sl_issues issues = {.arena = x->arena};
    const char *why;
    SL_TRY(sl_body_form(x->request, x->interaction.kind == SL_PATCH, &x->write->form, &why));
    SL_TRY(sl_body_read(x, &x->write->sent));
    if (x->interaction.kind == SL_PATCH)
        return SL_OK;
    enum sl_status status = sl_body_check(&x->write->sent, x->interaction.type, x->interaction.id, x->arena, &issues);
    if (status != SL_OK && issues.first)
        x->detail = issues.first->text;
    return status;
}

enum sl_status sl_write_read(struct sl_exchange *x)
{
    x->write = sl_arena_alloc(x->arena, sizeof *x->write);
    if (!x->write)
        return SL_NO_MEMORY;
    x->write->conditional = x->interaction.kind != SL_CREATE && !x->interaction.id.len;
    SL_TRY(read_headers(x));
    return x->interaction.kind == SL_DELETE ? SL_OK : read_sent(x);
}

/* ---- compile ---- */

/* By party and policy alone: nothing that is about a person plays a part in it. */
static enum sl_status may_delete(struct sl_exchange *x)
{
    const struct sl_directives none = {0};
    struct sl_ruling *ruling;
    struct sl_write_answer answer;
    SL_TRY(sl_ruling_new_under(x->arena, x->policy, &x->recipient, NULL, 0, &none, x->registered, x->now, &ruling));
    SL_TRY(sl_write_ask(ruling, x->interaction.type, SL_WRITE_DELETE, x->arena, &answer));
    x->write->grant = answer.grant;
    return answer.verdict == SL_WRITE_GRANTED ? SL_OK : SL_FORBIDDEN;
}

/* Everything of an attempt begins anew; what the request said stays. */
static void begin_again(struct sl_exchange *x)
{
    struct sl_write *write = x->write;
    *write = (struct sl_write){.sent = write->sent,
        .form = write->form,
        .if_match = write->if_match,
        .conditional = write->conditional,
        .condition = write->condition,
        .has_condition = write->has_condition,
        .prefer = write->prefer,
        .races = write->races,
        .sheds = write->sheds};
    if (write->conditional)
        x->interaction.id = (struct sl_slice){NULL, 0};
}

enum sl_status sl_write_plan(struct sl_exchange *x)
{
    begin_again(x);
    x->write->stage = SL_WRITE_CURRENT;
    enum sl_write_action action = action_of(x);
    bool offered = sl_write_offered(x->policy, x->interaction.type, action);
    if (x->write->conditional && x->interaction.kind == SL_UPDATE)
        offered = offered || sl_write_offered(x->policy, x->interaction.type, SL_WRITE_UPDATE);
    if (!offered)
        return SL_FORBIDDEN;
    return action == SL_WRITE_DELETE ? may_delete(x) : SL_OK;
}

/* ---- resolve: what a condition matches, in the world that the writer sees ---- */

const struct sl_found *sl_write_first_match(const struct sl_exchange *inner)
{
    for (const struct sl_round *round = inner->rounds; round; round = round->next)
        for (const struct sl_found *found = round->first; found; found = found->next)
            if (found->match && found->released)
                return found;
    return NULL;
}

/* Of what the search found and decided to withhold, the names: {"item":"Type/id", … without a path, which would be a
 * part of something released. */
static enum sl_status note_duplicates(struct sl_exchange *x, const struct sl_buffer *withheld)
{
    static const struct sl_slice begin = {"{\"item\":\"", 9};
    struct sl_slice rest = sl_buffer_slice(withheld);
    struct sl_buffer out;
    sl_buffer_init(&out, 4096);
    for (const char *at; rest.len && (at = memmem(rest.ptr, rest.len, begin.ptr, begin.len));) {
        rest = sl_slice_from(rest, (size_t)(at - rest.ptr) + begin.len);
        const char *end = memchr(rest.ptr, '"', rest.len);
        struct sl_slice name = {rest.ptr, end ? (size_t)(end - rest.ptr) : 0};
        rest = sl_slice_from(rest, name.len);
        if (out.len + name.len + 3 > 4096)
            break; /* the operator sees by these that there are many */
        if (!sl_slice_starts(rest, SL_LIT("\",\"path\"")))
            sl_buffer_printf(&out, "%s\"%.*s\"", out.len ? "," : "", SL_FMT(name));
    }
    x->write->duplicates = out.len ? sl_arena_copy(x->arena, sl_buffer_slice(&out)) : (struct sl_slice){NULL, 0};
    bool failed = sl_buffer_failed(&out) || sl_arena_failed(x->arena);
    sl_buffer_fini(&out);
    return failed ? SL_NO_MEMORY : SL_OK;
}

/* A create that is not needed goes on where it is answered. */
static enum sl_step_result matched(struct sl_exchange *x, const struct sl_found *found)
{
    x->write->outcome = SL_WRITE_MATCHED;
    x->write->stage = SL_WRITE_STORED;
    x->write->ask.id = sl_arena_copy(x->arena, found->entry->id);
    x->exhausted = true;
    x->step = SL_AT_segment; /* the step before `commit`: nothing is fetched, and nothing written */
    return x->write->ask.id.ptr ? SL_STEP_DONE : fail(x, SL_NO_MEMORY, "memory");
}

/* The body may name an id: then it must be the one that was matched. */
static bool fits_sent(const struct sl_exchange *x, struct sl_slice id)
{
    uint32_t own = x->interaction.kind == SL_UPDATE ? sl_span_member(&x->write->sent, 0, SL_NAME_id) : 0;
    return !own || (id.len && sl_span_is(&x->write->sent, own, id));
}

static enum sl_step_result take_match(struct sl_exchange *x, struct sl_exchange *matching)
{
    const struct sl_found *found = sl_write_first_match(matching);
    size_t count = matching->gathered + (sl_fault(SL_FAULT_CONDITION_HIDDEN) ? matching->account.withheld_count : 0);
    if (count > 1)
        return fail(x, SL_PRECONDITION_FAILED, "condition-matches-many");
    if (!found && count)
        return fail(x, SL_PRECONDITION_FAILED, "condition-matches-hidden");
    if (!found && x->interaction.kind == SL_UPDATE && x->write->if_match.len) /* of a version of what is not there */
        return fail(x, SL_PRECONDITION_FAILED, "condition-matches-none");
    if (!found && note_duplicates(x, &matching->account.withheld) != SL_OK)
        return fail(x, SL_NO_MEMORY, "memory");
    if (found && x->interaction.kind == SL_CREATE)
        return matched(x, found);
    if (!found && (x->interaction.kind == SL_PATCH || x->interaction.kind == SL_DELETE ||
                      (x->interaction.kind == SL_UPDATE && !fits_sent(x, (struct sl_slice){NULL, 0}))))
        return fail(x, SL_NOT_FOUND, "condition-matches-none");
    if (found && !fits_sent(x, found->entry->id))
        return fail(x, SL_BAD_SYNTAX, "id-other-than-matched");
    if (found)
        x->interaction.id = sl_arena_copy(x->arena, found->entry->id);
    if (!sl_write_offered(x->policy, x->interaction.type, action_of(x)))
        return fail(x, SL_FORBIDDEN, "not-offered");
    return SL_STEP_DONE;
}

static enum sl_step_result match_condition(struct sl_exchange *x)
{
    struct sl_write *write = x->write;
    if (!write->matching) {
        const struct sl_interaction search = {.kind = SL_SEARCH,
            .type = x->interaction.type,
            .type_name = x->interaction.type_name,
            .search = write->condition};
        enum sl_status status = sl_inner_view(x, &search, &write->matching);
        return status == SL_OK ? SL_STEP_WAIT : fail(x, status, "condition");
    }
    if (write->matching->status != SL_OK)
        return fail(x, write->matching->status, write->matching->why);
    return take_match(x, write->matching);
}

/* What is read to be changed, as a read fetches it. */
static enum sl_status plan_current(struct sl_exchange *x)
{
    x->errands = NULL;
    x->errand_count = 0;
    x->at = (struct sl_position){0};
    if (creates(x))
        return SL_OK;
    SL_TRY(sl_plan_read(x));
    x->exhausted = x->errand_count == 0;
    return SL_OK;
}

enum sl_step_result sl_write_resolve(struct sl_exchange *x)
{
    enum sl_step_result result = x->write->has_condition ? match_condition(x) : SL_STEP_DONE;
    if (result != SL_STEP_DONE || x->write->stage != SL_WRITE_CURRENT)
        return result;
    enum sl_status status = plan_current(x);
    return status == SL_OK ? SL_STEP_DONE : fail(x, status, "plan");
}

/* ---- fetch: first the record as it is, then what it is to be ---- */

bool sl_write_is_made(const struct sl_exchange *x)
{
    return x->write && x->write->stage == SL_WRITE_MADE;
}

bool sl_write_more(const struct sl_exchange *x)
{
    return x->write->stage == SL_WRITE_CURRENT && x->interaction.kind != SL_DELETE;
}

static enum sl_status ask_policy(struct sl_exchange *x, const struct sl_ruling *ruling, struct sl_write_answer *answer)
{
    *answer = (struct sl_write_answer){.verdict = SL_WRITE_REFUSED};
    if (!ruling)
        return SL_UNPROCESSABLE; /* nobody can say whom it is about */
    SL_TRY(sl_write_ask(ruling, x->interaction.type, action_of(x), x->arena, answer));
    x->write->grant = answer->grant;
    return answer->verdict == SL_WRITE_GRANTED ? SL_OK : SL_FORBIDDEN;
}

/* Does If-Match list this view? (RFC 9110, 13.1.1) */
static bool is_current(const struct sl_exchange *x, const struct sl_found *found)
{
    return !x->write->if_match.len ||
           sl_view_listed(x->write->if_match, (struct sl_slice){found->item->tag, SL_VIEW_TAG});
}

static struct sl_slice version_of(struct sl_exchange *x, const struct sl_found *found)
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
    if (status == SL_LIMIT)
        return SL_TOO_LARGE;
    return status == SL_SYNTAX || (status == SL_BAD_SYNTAX && text.ptr) ? SL_UNPROCESSABLE : status;
}

/* What is proposed to stand in the place of the view: the resource itself, or what a patch makes of the view. */
static enum sl_status propose(struct sl_exchange *x, struct sl_place view, struct sl_place *out)
{
    SL_TRY(x->interaction.kind == SL_PATCH ? patch_view(x, view) : name_sent(x));
    *out = (struct sl_place){&x->write->proposed, 0};
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

/* The record as it is to be: the difference between what the writer sees and what it sends, done to the whole. */
static enum sl_status make_changed(struct sl_exchange *x, const struct sl_found *found, struct sl_slice *text)
{
    struct sl_write_answer answer;
    struct sl_merged merged;
    struct sl_merge merge = {
        .record = {&found->page->doc, found->entry->root},
        .edits = found->page->edits,
        .item = found->item,
        .sheds = x->write->sheds,
    };
    SL_TRY(sl_view_tag(x, found));
    if (!is_current(x, found))
        return SL_PRECONDITION_FAILED;
    SL_TRY(ask_policy(x, found->item->ruling, &answer));
    merge.labels = answer.labels;
    SL_TRY(sl_merge_view(found->page->edits, found->entry->root, x->arena, &merge.view));
    SL_TRY(propose(x, merge.view, &merge.sent));
    SL_TRY(sl_merge(&merge, x->arena, &merged));
    SL_TRY(note_displaced(x, &merged));
    SL_TRY(note_subjects(x, found));
    x->write->version = version_of(x, found);
    x->write->outcome = merged.changed ? SL_WRITE_CHANGED : SL_WRITE_SAME;
    *text = merged.text;
    return SL_OK;
}

/* What is sent, under an id that nobody has: it is labelled under it, and stored under the one the upstream draws. */
static enum sl_status make_new(struct sl_exchange *x, const struct sl_write_labels *labels, struct sl_slice *text)
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

static struct sl_slice local_of(void *context, sl_name member, struct sl_slice url)
{
    (void)member;
    return local_name(context, url);
}

static enum sl_status localize(struct sl_exchange *x, struct sl_slice *text)
{
    return sl_body_relink(x->arena, text, local_of, x);
}

static enum sl_status make(struct sl_exchange *x, struct sl_slice *text)
{
    static const struct sl_write_labels none = {0};
    const struct sl_found *found = creates(x) ? NULL : sl_answer_one(x);
    if (creates(x))
        return make_new(x, &none, text);
    if (found)
        return make_changed(x, found, text);
    bool hidden = x->rounds && x->rounds->first;
    return hidden && sl_fault(SL_FAULT_HIDDEN_UPDATE_FORBIDDEN) ? SL_FORBIDDEN : SL_NOT_FOUND;
}

/* What it is to be becomes the one record of a pass, as if it had been fetched. */
static enum sl_status put_made(struct sl_exchange *x)
{
    struct sl_write *write = x->write;
    struct sl_errand *errand = sl_arena_alloc(x->arena, sizeof *errand);
    struct sl_question question = {.ask = {.kind = SL_ASK_READ, .finished = true, .status = SL_OK}};
    struct sl_issues issues = {.arena = x->arena};
    x->round = errand ? sl_round_new(x) : NULL;
    if (!x->round)
        return SL_NO_MEMORY;
    SL_TRY(sl_doc_parse(x->arena, write->text, NULL, &write->made, NULL));
    SL_TRY(sl_body_check(&write->made, x->interaction.type, x->interaction.id, x->arena, &issues));
    question.ask.type = x->interaction.type_name;
    question.ask.id = sl_span_raw(&write->made, sl_span_member(&write->made, 0, SL_NAME_id));
    question.ask.text = write->text;
    question.ask.arena = x->round->arena;
    *errand = (struct sl_errand){.kind = SL_ASK_READ, .type = question.ask.type, .id = question.ask.id};
    x->errands = errand;
    x->errand_count = 1;
    x->routed = false;
    x->gathered = 0;
    SL_TRY(sl_round_take(x, x->round, &question));
    x->exhausted = true;
    SL_TRY(sl_round_add_pages(x, x->round));
    return sl_transaction_context(x, x->round);
}

enum sl_step_result sl_write_fetch(struct sl_exchange *x, bool *taken)
{
    struct sl_write *write = x->write;
    *taken = write->stage != SL_WRITE_CURRENT || creates(x) || (!x->round && x->rounds && sl_round_settled(x));
    if (!*taken)
        return SL_STEP_DONE;
    write->stage = SL_WRITE_MADE;
    enum sl_status status = make(x, &write->text);
    if (status == SL_OK)
        status = localize(x, &write->text);
    if (status == SL_OK)
        status = put_made(x);
    return status == SL_OK ? SL_STEP_DONE : fail(x, status, status == SL_NOT_FOUND ? "not-released" : "write");
}

/* ---- commit: may it be written? ---- */

/* The last pass's one record. */
static const struct sl_found *the_made(const struct sl_exchange *x)
{
    return x->last_round ? x->last_round->first : NULL;
}

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
    const struct sl_found *found = creates(x) ? NULL : sl_answer_one(x);
    const struct sl_item *old = found ? found->item : NULL;
    if (!old || !(sl_r4_facts(x->interaction.type) & SL_R4_DIRECTORY) || old->source == SL_SOURCE_NOT)
        return false;
    return made->source != old->source || made->holding != old->holding ||
           !sl_slice_eq(made->named_program, old->named_program);
}

static enum sl_status judge(struct sl_exchange *x)
{
    struct sl_write *write = x->write;
    const struct sl_found *found = the_made(x);
    struct sl_write_answer answer;
    struct sl_slice patients;
    if (!found || !found->item || found->item->unlabelled || moves_place(x, found->item))
        return SL_UNPROCESSABLE;
    SL_TRY(ask_policy(x, found->item->ruling, &answer));
    SL_TRY(sl_pass_patients(found->pass, found->item, &patients));
    if (!patients.len)
        SL_TRY(sl_transaction_patients(x, found, &patients));
    write->patients = sl_arena_copy(x->arena, patients);
    if (!is_in_scope(x))
        return SL_FORBIDDEN;
    if (!keeps_subjects(write))
        return SL_UNPROCESSABLE;
    if (creates(x)) {
        SL_TRY(make_new(x, &answer.labels, &write->text)); /* with the labels that it may set for these */
        SL_TRY(localize(x, &write->text));
    }
    return check_consent(x);
}

static enum sl_status judge_delete(struct sl_exchange *x)
{
    const struct sl_found *found = sl_answer_one(x);
    if (!found)
        return SL_NOT_FOUND;
    if (x->interaction.type == SL_R4_Consent)
        return SL_FORBIDDEN; /* it would go on being in force: it is made inactive instead */
    SL_TRY(sl_view_tag(x, found));
    if (!is_current(x, found))
        return SL_PRECONDITION_FAILED;
    x->write->version = version_of(x, found);
    x->write->outcome = SL_WRITE_GONE;
    return SL_OK;
}

/* ---- References: each must resolve for the writer ---- */

static bool has_text(struct sl_slice text, struct sl_slice part)
{
    return part.len && memmem(text.ptr, text.len, part.ptr, part.len);
}

/* Does the writer see this reference in the record as it is? Then it is not the write that makes it. */
static bool was_there(const struct sl_exchange *x, const struct sl_reference *reference, struct sl_slice raw)
{
    const struct sl_found *found = creates(x) ? NULL : sl_answer_one(x);
    const struct sl_item *item = found ? found->item : NULL;
    while (item) { /* what is contained follows */
        for (uint32_t i = 0; i < item->reference_count; i++) {
            const struct sl_reference *old = &item->references[i];
            bool same = reference->type ? sl_slice_eq(old->target, reference->target)
                                        : has_text(sl_span_text(item->doc, old->span), raw);
            if (same && !sl_edit_is_cut(found->page->edits, old->span))
                return true;
        }
        item = item->next && item->next->container ? item->next : NULL;
    }
    return false;
}

/* What the reference says, in JSON; empty: it names nothing by a URL. */
static struct sl_slice raw_of(const struct sl_item *item, const struct sl_reference *reference)
{
    uint32_t span = reference->link ? reference->span : sl_span_member(item->doc, reference->span, SL_NAME_reference);
    return span ? sl_span_raw(item->doc, span) : (struct sl_slice){NULL, 0};
}

/* A record of somebody else's, which nobody here can ask for; or one within. */
static bool is_elsewhere(const struct sl_reference *reference, struct sl_slice raw)
{
    return !raw.len || sl_slice_starts(raw, SL_LIT("#")) || sl_slice_starts(raw, SL_LIT("http://")) ||
           sl_slice_starts(raw, SL_LIT("https://")) || (reference->link && !reference->type);
}

static enum sl_status note_reference(
    struct sl_exchange *x, const struct sl_item *item, const struct sl_reference *reference)
{
    struct sl_write *write = x->write;
    struct sl_slice raw = raw_of(item, reference);
    if ((!reference->type && is_elsewhere(reference, raw)) || was_there(x, reference, raw))
        return SL_OK;
    if (!reference->type) /* conditional, or of another entry that is not there */
        return SL_UNPROCESSABLE;
    if (!sl_transaction_makes(x, reference->target))
        write->references[write->reference_count++] = reference->target;
    return SL_OK;
}

/* What is proposed, read for its references alone: what stays in the record because the writer never saw it is not the
 * writer's to answer for. */
static enum sl_status read_proposed(struct sl_exchange *x, struct sl_item **out)
{
    struct sl_labeller *labeller = sl_labeller_new(x->arena, x->policy, x->programs);
    struct sl_doc *doc = sl_arena_alloc(x->arena, sizeof *doc);
    if (!labeller || !doc)
        return SL_NO_MEMORY;
    struct sl_slice text = creates(x) ? x->write->text : sl_span_text(&x->write->proposed, 0);
    SL_TRY(localize(x, &text));
    SL_TRY(sl_doc_parse(x->arena, text, NULL, doc, NULL));
    return sl_labeller_add(labeller, doc, 0, (struct sl_slice){NULL, 0}, false, out);
}

static int order_names(const void *left, const void *right)
{
    const struct sl_slice *a = left, *b = right;
    int order = memcmp(a->ptr, b->ptr, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

/* The resource's own, or of what is contained in it; NULL: no more. */
static const struct sl_item *next_part(const struct sl_item *item)
{
    return item->next && item->next->container ? item->next : NULL;
}

static enum sl_status collect_references(struct sl_exchange *x)
{
    struct sl_item *first;
    struct sl_write *write = x->write;
    size_t room = 0, kept = 0;
    SL_TRY(read_proposed(x, &first));
    for (const struct sl_item *item = first; item; item = next_part(item))
        room += item->reference_count;
    write->references = sl_arena_array(x->arena, room + 1, sizeof *write->references);
    if (!write->references)
        return SL_NO_MEMORY;
    for (const struct sl_item *item = first; item; item = next_part(item))
        for (uint32_t i = 0; i < item->reference_count; i++)
            SL_TRY(note_reference(x, item, &item->references[i]));
    if (write->reference_count)
        qsort(write->references, write->reference_count, sizeof *write->references, order_names);
    for (size_t i = 0; i < write->reference_count; i++)
        if (!i || !sl_slice_eq(write->references[i], write->references[kept - 1]))
            write->references[kept++] = write->references[i];
    write->reference_count = kept;
    return kept > SL_WRITE_REFERENCES ? SL_UNPROCESSABLE : SL_OK;
}

static struct sl_slice type_of(struct sl_slice name)
{
    const char *slash = memchr(name.ptr, '/', name.len);
    return (struct sl_slice){name.ptr, (size_t)(slash - name.ptr)};
}

/* How many of the next ones one search can ask for; 1: it is a read. What is reached by route alone is found by none,
 * and some may read and not search. */
static size_t count_together(const struct sl_exchange *x)
{
    const struct sl_write *write = x->write;
    const struct sl_slice *names = &write->references[write->references_asked];
    size_t most = x->state->gateway->config->page_limit, left = write->reference_count - write->references_asked;
    struct sl_slice type = type_of(names[0]);
    sl_r4_node node = sl_r4_resource(type);
    bool patient_only;
    size_t count = 1;
    most = most < SL_ASK_IDS_LIMIT ? most : SL_ASK_IDS_LIMIT;
    if ((sl_r4_facts(node) & SL_R4_BY_ROUTE) || !sl_caller_may(&x->caller, node, SL_MAY_SEARCH, &patient_only))
        return 1;
    while (count < most && count < left && sl_slice_eq(type_of(names[count]), type))
        count++;
    return count;
}

/* Type?_id=a,b,c */
static enum sl_status search_for(
    struct sl_exchange *x, const struct sl_slice *names, size_t count, struct sl_interaction *out)
{
    struct sl_buffer query;
    sl_buffer_init(&query, (size_t)SL_ASK_IDS_LIMIT * 80);
    sl_buffer_printf(&query, "_count=%zu&_id=", count);
    for (size_t i = 0; i < count; i++)
        sl_buffer_printf(&query, "%s%.*s", i ? "," : "", SL_FMT(sl_slice_from(names[i], out->type_name.len + 1)));
    struct sl_slice text = sl_arena_copy(x->arena, sl_buffer_slice(&query));
    bool failed = sl_buffer_failed(&query) || !text.ptr;
    sl_buffer_fini(&query);
    if (failed)
        return SL_NO_MEMORY;
    out->kind = SL_SEARCH;
    return sl_search_read(x->arena, out->type, text, (struct sl_slice){NULL, 0}, NULL, &out->search);
}

/* Each is asked for as the writer would ask for it; many together. */
static enum sl_status ask_more(struct sl_exchange *x)
{
    struct sl_write *write = x->write;
    while (write->references_asked < write->reference_count && write->question_count < SL_WRITE_QUESTIONS) {
        struct sl_write_question *question = &write->questions[write->question_count];
        const struct sl_slice *names = &write->references[write->references_asked];
        sl_r4_node type = sl_r4_resource(type_of(names[0]));
        struct sl_interaction asked = {.kind = SL_READ, .type = type, .type_name = sl_r4_node_name(type)};
        question->names = count_together(x);
        asked.id = sl_slice_from(names[0], asked.type_name.len + 1);
        if (question->names > 1) {
            asked.id = (struct sl_slice){NULL, 0};
            SL_TRY(search_for(x, names, question->names, &asked));
        }
        SL_TRY(sl_inner_view(x, &asked, &question->inner));
        write->references_asked += question->names;
        write->question_count++;
    }
    return SL_OK;
}

static enum sl_status ask_references(struct sl_exchange *x)
{
    SL_TRY(collect_references(x));
    return sl_fault(SL_FAULT_REFERENCES_UNDECIDED) ? SL_OK : ask_more(x);
}

static size_t count_released(const struct sl_exchange *inner)
{
    size_t count = 0;
    for (const struct sl_round *round = inner->rounds; round; round = round->next)
        for (const struct sl_found *found = round->first; found; found = found->next)
            count += found->match && found->released;
    return count;
}

/* Of those that were asked about: SL_UNPROCESSABLE if one of them is not there for the writer. */
static enum sl_status take_references(struct sl_exchange *x)
{
    struct sl_write *write = x->write;
    enum sl_status status = SL_OK;
    for (size_t i = 0; i < write->question_count; i++) {
        const struct sl_exchange *inner = write->questions[i].inner;
        bool absent = inner->status == SL_NOT_FOUND || inner->status == SL_GONE || inner->status == SL_FORBIDDEN ||
                      (inner->status == SL_OK &&
                          (write->questions[i].names > 1 ? count_released(inner) < write->questions[i].names
                                                         : !sl_answer_one(inner)));
        if (inner->status != SL_OK && !absent)
            return inner->status;
        if (absent)
            status = SL_UNPROCESSABLE;
    }
    while (write->question_count)
        sl_inner_drop(write->questions[--write->question_count].inner);
    return status;
}

/* ---- To the upstream ---- */

/* Has what it was decided under changed meanwhile? Then it is decided again: nothing has been written. */
static bool is_overtaken(const struct sl_exchange *x)
{
    return sl_store_version(x->state->gateway->store) != x->store_version ||
           atomic_load(&x->state->gateway->programs_version) != x->programs_version;
}

/* The connection may be gone before the ledger has it. */
static enum sl_status note_peer(struct sl_exchange *x)
{
    struct sl_slice peer = sl_conn_peer(x->conn);
    x->peer = sl_arena_copy(x->arena, peer);
    return x->peer.ptr || !peer.len ? SL_OK : SL_NO_MEMORY;
}

/* All that is left to do is the transaction's to do, for all of its writes together. */
static enum sl_step_result park(struct sl_exchange *x)
{
    if (note_peer(x) != SL_OK)
        return fail(x, SL_NO_MEMORY, "memory");
    sl_inner_park(x);
    return SL_STEP_WAIT;
}

static enum sl_step_result send(struct sl_exchange *x)
{
    static const enum sl_ask_kind kinds[] = {
        [SL_WRITE_CREATED] = SL_ASK_CREATE, [SL_WRITE_CHANGED] = SL_ASK_UPDATE, [SL_WRITE_GONE] = SL_ASK_DELETE};
    struct sl_write *write = x->write;
    write->ask = (struct sl_ask){.kind = kinds[write->outcome],
        .type = x->interaction.type_name,
        .id = x->interaction.id,
        .version = write->version,
        .body = write->outcome == SL_WRITE_GONE ? (struct sl_slice){NULL, 0} : write->text,
        .arena = x->arena};
    if (note_peer(x) != SL_OK)
        return fail(x, SL_NO_MEMORY, "memory");
    write->stage = SL_WRITE_SENT;
    if (sl_transaction_holds(x))
        return park(x);
    x->owed = true;
    sl_exchange_ask(x, &write->ask);
    return write->ask.finished ? SL_STEP_DONE : SL_STEP_WAIT;
}

/* Somebody else's write came first: what it was made from is no longer what there is, so it is made again. */
static enum sl_step_result lost(struct sl_exchange *x)
{
    x->owed = false;
    x->write->stage = SL_WRITE_JUDGED; /* nothing was written */
    if (++x->write->races == RACES)
        return fail(x, SL_CONFLICT, "lost-races");
    return sl_exchange_again(x);
}

/* What the label book knows of it is known no more, and what rests on it neither. */
static void tell_book(struct sl_exchange *x)
{
    const struct sl_gateway *gateway = x->state->gateway;
    const struct sl_found *found = the_made(x);
    struct sl_write *write = x->write;
    struct sl_book_entry entry;
    struct sl_slice name =
        sl_arena_printf(x->arena, "%.*s/%.*s", SL_FMT(x->interaction.type_name), SL_FMT(write->ask.id));
    if (!gateway->keeper || !name.ptr || write->outcome == SL_WRITE_CREATED)
        return;
    sl_keeper_forget(gateway->keeper, gateway->config->upstream_url, name);
    if (x->cancelled || write->outcome != SL_WRITE_CHANGED || !write->ask.version.len || !found ||
        sl_book_entry_of(found->item, x->arena, &entry) != SL_OK)
        return;
    entry.version = write->ask.version;
    sl_keeper_note_entries(gateway->keeper, &x->label_generation, gateway->config->upstream_url, &entry, 1, x->now);
}

static void directed(struct sl_directing *directing)
{
    struct sl_exchange *x = directing->context;
    x->outstanding--;
    sl_exchange_resume(x);
}

/* A Consent that was written holds from now on: as it is stored, with the id and instant that it has there. */
static enum sl_step_result bring_into_force(struct sl_exchange *x, bool *done)
{
    struct sl_write *write = x->write;
    *done = x->interaction.type != SL_R4_Consent || write->outcome == SL_WRITE_SAME ||
            write->outcome == SL_WRITE_MATCHED || write->directing.done;
    if (*done)
        return SL_STEP_DONE;
    if (!write->stored.kind) {
        write->stored = (struct sl_ask){
            .kind = SL_ASK_READ, .type = x->interaction.type_name, .id = write->ask.id, .arena = x->arena};
        sl_exchange_ask(x, &write->stored);
        if (!write->stored.finished)
            return SL_STEP_WAIT;
    }
    if (write->stored.status != SL_OK)
        return fail(x, SL_UNAVAILABLE, "consent-not-in-force");
    write->directing = (struct sl_directing){.consent = write->stored.text, .done = directed, .context = x};
    if (sl_recorder_direct(x->state->gateway->recorder, x->worker, &write->directing) != SL_OK)
        return fail(x, SL_UNAVAILABLE, "consent-not-in-force");
    x->outstanding++;
    return SL_STEP_WAIT;
}

/* What the writer now sees of it, by a read of its own; never what it sent. */
static enum sl_step_result show(struct sl_exchange *x)
{
    struct sl_write *write = x->write;
    const struct sl_interaction read = {
        .kind = SL_READ, .type = x->interaction.type, .type_name = x->interaction.type_name, .id = write->ask.id};
    write->stage = SL_WRITE_TOLD;
    if (x->cancelled || write->outcome == SL_WRITE_GONE || sl_inner_view(x, &read, &write->shown) != SL_OK)
        return SL_STEP_DONE;
    return SL_STEP_WAIT;
}

static enum sl_step_result commit_judged(struct sl_exchange *x)
{
    enum sl_status status = take_references(x);
    if (status == SL_OK && !sl_fault(SL_FAULT_REFERENCES_UNDECIDED))
        status = ask_more(x);
    if (status != SL_OK)
        return fail(x, status, "reference");
    if (x->write->question_count)
        return SL_STEP_WAIT;
    if (is_overtaken(x))
        return sl_exchange_again(x);
    if (x->write->outcome == SL_WRITE_SAME) {
        x->write->ask.id = x->interaction.id;
        x->write->stage = SL_WRITE_STORED;
        return SL_STEP_DONE;
    }
    return send(x);
}

static enum sl_step_result commit_sent(struct sl_exchange *x)
{
    struct sl_write *write = x->write;
    if (write->ask.status == SL_EXISTS)
        return lost(x);
    if (write->ask.status != SL_OK)
        return fail(x, SL_UNAVAILABLE, write->ask.why ? write->ask.why : "upstream");
    write->stage = SL_WRITE_STORED;
    if (write->outcome == SL_WRITE_CREATED && x->interaction.type == SL_R4_Patient)
        write->patients = sl_arena_printf(x->arena, "Patient/%.*s", SL_FMT(write->ask.id));
    tell_book(x);
    return SL_STEP_DONE;
}

static enum sl_step_result commit_stored(struct sl_exchange *x)
{
    bool done = false;
    if (sl_transaction_holds(x) && !x->gone_on)
        return park(x);
    enum sl_step_result result = bring_into_force(x, &done);
    if (result != SL_STEP_DONE || !done)
        return result;
    if (x->write->directing.done && x->write->directing.status != SL_OK)
        return fail(x, SL_UNAVAILABLE, "consent-not-in-force");
    return show(x);
}

/* Would the writer see what it never saw, because of what it changed beside it? Then it is made again without: the
 * answer is what it would be had nothing been there, and the operator is told what gave way. */
static enum sl_status ask_freed(struct sl_exchange *x, bool *frees)
{
    const struct sl_found *found = the_made(x);
    struct sl_doc sent;
    *frees = false;
    if (x->write->outcome != SL_WRITE_CHANGED || !found->released)
        return SL_OK;
    struct sl_slice text = sl_span_text(&x->write->proposed, 0);
    SL_TRY(localize(x, &text)); /* as what was made of it */
    SL_TRY(sl_doc_parse(x->arena, text, NULL, &sent, NULL));
    const struct sl_place made = {&found->page->doc, found->entry->root};
    SL_TRY(sl_merge_frees(made, found->page->edits, (struct sl_place){&sent, 0}, x->arena, frees));
    return *frees && x->write->sheds ? SL_UNAVAILABLE : SL_OK;
}

static enum sl_step_result commit_made(struct sl_exchange *x)
{
    bool deletes = x->interaction.kind == SL_DELETE, frees = false;
    enum sl_status status = deletes ? judge_delete(x) : judge(x);
    if (status == SL_OK && !deletes)
        status = ask_freed(x, &frees);
    if (status == SL_OK && frees) {
        x->write->sheds = !is_overtaken(x); /* else it may be another policy that shows more */
        return sl_exchange_again(x);
    }
    if (status == SL_OK && !deletes)
        status = ask_references(x);
    if (status != SL_OK)
        return fail(x, status, status == SL_NOT_FOUND ? "not-released" : "write-refused");
    x->write->stage = SL_WRITE_JUDGED;
    return x->write->question_count ? SL_STEP_WAIT : SL_STEP_DONE;
}

enum sl_step_result sl_write_commit(struct sl_exchange *x)
{
    static enum sl_step_result (*const stages[])(struct sl_exchange *) = {[SL_WRITE_CURRENT] = commit_made,
        [SL_WRITE_MADE] = commit_made,
        [SL_WRITE_JUDGED] = commit_judged,
        [SL_WRITE_SENT] = commit_sent,
        [SL_WRITE_STORED] = commit_stored};
    enum sl_step_result result = SL_STEP_DONE;
    while (result == SL_STEP_DONE && x->write->stage < SL_WRITE_TOLD)
        result = stages[x->write->stage](x);
    return result;
}

/* ---- account ---- */

void sl_write_account(const struct sl_exchange *x, struct sl_buffer *out)
{
    const struct sl_write *write = x->write;
    if (!write || write->stage < SL_WRITE_SENT || write->outcome == SL_WRITE_SAME || write->outcome == SL_WRITE_MATCHED)
        return;
    sl_buffer_printf(out, ",\"written\":[{\"item\":\"%.*s/%.*s\"", SL_FMT(x->interaction.type_name),
        SL_FMT(write->ask.id.len ? write->ask.id : SL_LIT("?")));
    const struct {
        const char *name;
        struct sl_slice value;
    } members[] = {{"version", write->stage > SL_WRITE_SENT ? write->ask.version : (struct sl_slice){NULL, 0}},
        {"from", write->version}, {"patient", write->patients},
        {"grant", write->grant ? write->grant->id : (struct sl_slice){NULL, 0}}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (members[i].value.len) {
            sl_buffer_printf(out, ",\"%s\":", members[i].name);
            sl_buffer_json_string(out, members[i].value);
        }
    sl_buffer_printf(out, ",\"stored\":%s", write->stage > SL_WRITE_SENT ? "true" : "null");
    if (write->duplicates.len) /* the operator's queue is drawn from the task */
        sl_buffer_printf(out, ",\"duplicates\":[%.*s],\"tasks\":[{\"rule\":\"possible-duplicate\",\"notify\":true}]",
            SL_FMT(write->duplicates));
    if (write->displaced.len)
        sl_buffer_printf(out, ",\"displaced\":[%.*s]%s", SL_FMT(write->displaced),
            write->duplicates.len ? "" : ",\"tasks\":[{\"rule\":\"displaced\",\"notify\":true}]");
    sl_buffer_add(out, SL_LIT("}]"));
}
