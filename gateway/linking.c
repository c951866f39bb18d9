/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Under which other keys a patient may have directed something, and what organizations are part of: what sluice/kin.h
 * lacks is asked for here, beside what labels lack. A Patient record says whom it links to; who links to it is looked
 * for (Patient?link=a,b,…), and who carries the same trusted identifier. What is read so classifies nothing, is part of
 * no answer, and whether the caller may see it is no matter. What it came to is in the label book for as long as an
 * entry counts. Nothing is asked while no Consent is stored at all, and no entry of the register is about a person.
 *
 * An EHR that refuses the search by link fails the request, unless the configuration says not to ask
 * (upstream.patient-links).
 */
#include "exchange.h"
#include "sluice/directive.h"
#include "sluice/register.h"

#define PAGE 200u  /* Patients wanted at a time */
#define WEIGHT 12u /* as in round.c */
#define FEW 8u     /* names at most, mostly: no room is made for more until there are */
#define ROOM 3200u /* names asked for together; what is beyond is asked for when these have been answered */

/* How each question is put. */
static const struct {
    const char *type, *parameter;
    const char *before; /* each value */
    sl_r4_node node;
} questions[SL_KIN_QUESTIONS] = {[SL_KIN_PATIENT] = {"Patient", NULL, "", SL_R4_Patient},
    [SL_KIN_LINKS] = {"Patient", "link=", "Patient/", SL_R4_Patient},
    [SL_KIN_IDENTIFIER] = {"Patient", "identifier=", "", SL_R4_Patient},
    [SL_KIN_ORGANIZATION] = {"Organization", NULL, "", SL_R4_Organization}};

struct sl_kin *sl_linking_kin(struct sl_exchange *x)
{
    const struct sl_gateway *gateway = x->state->gateway;
    bool any = true;
    if (!x->kin)
        x->kin = sl_kin_new(x->arena, gateway->config->trusted_identifiers);
    /* A store that fails fails when directives are looked up. */
    if (x->kin)
        sl_kin_ask(x->kin,
            sl_registered_binds(x->registered) || sl_directives_any(gateway->store, &any) != SL_OK || any,
            gateway->config->upstream_links);
    return x->kin;
}

/* ---- The label book ---- */

/* What is known of a person depends on which systems are trusted. */
static struct sl_slice book_name(const struct sl_exchange *x, struct sl_arena *arena, struct sl_slice name)
{
    const struct sl_config *config = x->state->gateway->config;
    return sl_arena_printf(
        arena, "%.*s?kin=%d,%.*s", SL_FMT(name), config->upstream_links, SL_FMT(config->trusted_identifiers));
}

static enum sl_status recall(struct sl_exchange *x, struct sl_round *round)
{
    const struct sl_gateway *gateway = x->state->gateway;
    struct sl_slice name;
    while (gateway->keeper && (name = sl_kin_unasked(x->kin)).len) {
        struct sl_book_entry entry;
        struct sl_slice key = book_name(x, round->arena, name);
        if (!key.ptr)
            return SL_NO_MEMORY;
        if (sl_keeper_find(gateway->keeper, &x->label_generation, gateway->config->upstream_url, key, x->now,
                round->arena, &entry) == SL_OK)
            SL_TRY(sl_kin_know(x->kin, name, &entry));
    }
    return SL_OK;
}

static enum sl_status remember(struct sl_exchange *x, struct sl_round *round)
{
    const struct sl_gateway *gateway = x->state->gateway;
    struct sl_book_entry entry;
    enum sl_status status = SL_MISSING;
    while (gateway->keeper &&
           (status = sl_kin_settled(x->kin, sl_pass_labeller(round->pass), round->arena, &entry)) == SL_OK) {
        entry.reference = book_name(x, round->arena, entry.reference);
        if (entry.reference.ptr)
            sl_keeper_note_entries(
                gateway->keeper, &x->label_generation, gateway->config->upstream_url, &entry, 1, x->now);
    }
    return status == SL_MISSING ? SL_OK : status;
}

/* ---- Asking ---- */

static enum sl_status make_search(struct sl_round *round, enum sl_kin_question question, struct sl_ask *ask)
{
    struct sl_search *search = sl_arena_alloc(round->arena, sizeof *search);
    struct sl_slice *parts = sl_arena_array(round->arena, 3 * ask->id_count, sizeof *parts);
    if (!search || !parts)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < ask->id_count; i++) {
        parts[3 * i] = sl_slice_of(i ? "," : questions[question].parameter);
        parts[3 * i + 1] = sl_slice_of(questions[question].before);
        parts[3 * i + 2] = ask->ids[i];
    }
    struct sl_slice query = sl_arena_join(round->arena, parts, 3 * ask->id_count);
    if (!query.ptr)
        return SL_NO_MEMORY;
    ask->search = search;
    return sl_search_read(round->arena, questions[question].node, query, (struct sl_slice){NULL, 0}, NULL, search);
}

static enum sl_status put_question(
    struct sl_round *round, enum sl_kin_question question, struct sl_slice *names, size_t count)
{
    struct sl_ask *ask = &round->linkings[round->linking_count];
    *ask = (struct sl_ask){.kind = questions[question].parameter ? SL_ASK_PAGE : SL_ASK_IDS,
        .type = sl_slice_of(questions[question].type),
        .ids = names,
        .id_count = count,
        .count = questions[question].parameter ? PAGE : SL_ASK_IDS_LIMIT,
        .arena = round->arena};
    if (questions[question].parameter)
        SL_TRY(make_search(round, question, ask));
    round->linking_questions[round->linking_count++] = (unsigned char)question;
    return SL_OK;
}

/* Is that record on its way for the labels' sake? Then it is read when it comes. */
static bool is_coming(const struct sl_round *round, enum sl_kin_question question, struct sl_slice id)
{
    for (size_t i = 0; i < round->context_count; i++) {
        const struct sl_ask *ask = &round->contexts[i];
        for (size_t k = 0; !questions[question].parameter && k < ask->id_count; k++)
            if (sl_slice_eq(ask->type, sl_slice_of(questions[question].type)) && sl_slice_eq(ask->ids[k], id))
                return true;
    }
    return false;
}

/* Room for all questions that may be asked together: had once something is lacking, which is seldom. */
static enum sl_status make_room(struct sl_round *round)
{
    size_t most = SL_KIN_QUESTIONS * (ROOM / SL_ASK_IDS_LIMIT + 1);
    if (!round->linkings) {
        round->linkings = sl_arena_array(round->arena, most, sizeof *round->linkings);
        round->linking_questions = sl_arena_array(round->arena, most, 1);
    }
    return round->linkings && round->linking_questions ? SL_OK : SL_NO_MEMORY;
}

static enum sl_status put_questions(struct sl_exchange *x, struct sl_round *round, enum sl_kin_question question)
{
    struct sl_slice few[FEW];
    size_t count = 0, more = 0, kept = 0;
    SL_TRY(sl_kin_lacks(x->kin, question, few, FEW, &count));
    if (!count)
        return SL_OK;
    struct sl_slice *names = sl_arena_raw(round->arena, count < FEW ? count : ROOM, sizeof *names);
    if (!names)
        return SL_NO_MEMORY;
    memcpy(names, few, count * sizeof *names);
    if (count == FEW)
        SL_TRY(sl_kin_lacks(x->kin, question, names + FEW, ROOM - FEW, &more));
    count += more;
    SL_TRY(make_room(round));
    for (size_t i = 0; i < count; i++) {
        if (question != SL_KIN_IDENTIFIER && !sl_is_id(names[i]))
            sl_kin_answered(x->kin, question, names[i]); /* no record can be called so */
        else if (!is_coming(round, question, names[i]))
            names[kept++] = names[i];
    }
    for (size_t at = 0; at < kept; at += SL_ASK_IDS_LIMIT)
        SL_TRY(put_question(round, question, names + at, kept - at < SL_ASK_IDS_LIMIT ? kept - at : SL_ASK_IDS_LIMIT));
    return SL_OK;
}

enum sl_status sl_linking_ask(struct sl_exchange *x, struct sl_round *round)
{
    enum sl_status status = recall(x, round);
    for (unsigned q = 0; q < SL_KIN_QUESTIONS && status == SL_OK; q++)
        status = put_questions(x, round, (enum sl_kin_question)q);
    size_t count = round->linking_count;
    round->linking_count = 0;
    if (status != SL_OK)
        return status; /* none has been asked, so none is to be withdrawn */
    while (round->linking_count < count)
        sl_exchange_ask(x, &round->linkings[round->linking_count++]);
    return count ? SL_OK : remember(x, round);
}

/* ---- Answers ---- */

static enum sl_status read_page(struct sl_exchange *x, struct sl_round *round, const struct sl_fetched *page)
{
    for (size_t i = 0; i < page->count; i++)
        SL_TRY(sl_kin_read(x->kin, sl_pass_labeller(round->pass), &page->doc, page->entries[i].root));
    return SL_OK;
}

enum sl_status sl_linking_note(
    struct sl_exchange *x, struct sl_round *round, const struct sl_ask *ask, const struct sl_fetched *page)
{
    enum sl_kin_question question = SL_KIN_PATIENT;
    if (sl_slice_eq(ask->type, SL_LIT("Organization")))
        question = SL_KIN_ORGANIZATION;
    else if (!sl_slice_eq(ask->type, SL_LIT("Patient")))
        return SL_OK;
    SL_TRY(read_page(x, round, page));
    for (size_t i = 0; i < ask->id_count && !page->next.len; i++)
        sl_kin_answered(x->kin, question, ask->ids[i]);
    return SL_OK;
}

/* What is asked for by id and did not come with this page. */
static size_t leave_rest(struct sl_ask *ask, const struct sl_fetched *page)
{
    size_t kept = 0;
    for (size_t i = 0; i < ask->id_count; i++) {
        bool came = false;
        for (size_t k = 0; k < page->count && !came; k++)
            came = sl_slice_eq(page->entries[k].id, ask->ids[i]);
        if (!came)
            ask->ids[kept++] = ask->ids[i];
    }
    return kept;
}

static enum sl_status take(
    struct sl_exchange *x, struct sl_round *round, struct sl_ask *ask, enum sl_kin_question question, bool *more)
{
    struct sl_fetched *page;
    x->why = ask->status == SL_NOT_SUPPORTED && question == SL_KIN_LINKS ? "patient-link-search-refused" : ask->why;
    if (ask->status != SL_OK)
        return SL_UPSTREAM;
    SL_TRY(sl_exchange_reserve(x, &round->reserved, ask->text.len * WEIGHT));
    enum sl_status status = sl_fetch_read(ask, &page);
    x->why = ask->why;
    SL_TRY(status);
    x->rows += page->count;
    if (x->rows > x->state->gateway->config->rows || sl_exchange_overdue(x))
        return SL_WORK_LIMIT;
    SL_TRY(read_page(x, round, page));
    *more = page->next.len > 0;
    for (size_t i = 0; i < ask->id_count && !*more; i++)
        sl_kin_answered(x->kin, question, ask->ids[i]);
    if (!*more)
        return SL_OK;
    bool by_id = ask->kind == SL_ASK_IDS;
    if (by_id && !page->count)
        return SL_UPSTREAM; /* it would go on so without end */
    *ask = (struct sl_ask){.kind = ask->kind,
        .type = ask->type,
        .search = ask->search,
        .position = by_id ? (struct sl_slice){NULL, 0} : page->next,
        .ids = ask->ids,
        .id_count = by_id ? leave_rest(ask, page) : ask->id_count,
        .count = by_id ? SL_ASK_IDS_LIMIT : PAGE,
        .arena = round->arena};
    *more = ask->id_count > 0;
    return SL_OK;
}

enum sl_status sl_linking_take(struct sl_exchange *x, struct sl_round *round)
{
    size_t left = 0, count = round->linking_count;
    for (size_t i = 0; i < count; i++) {
        bool more = false;
        unsigned char question = round->linking_questions[i];
        enum sl_status status = take(x, round, &round->linkings[i], (enum sl_kin_question)question, &more);
        if (status != SL_OK) {
            round->linking_count = 0; /* all have been answered: none is to be withdrawn */
            return status;
        }
        if (more) {
            round->linkings[left] = round->linkings[i];
            round->linking_questions[left++] = question;
        }
    }
    round->linking_count = 0;
    while (round->linking_count < left)
        sl_exchange_ask(x, &round->linkings[round->linking_count++]);
    return SL_OK;
}
