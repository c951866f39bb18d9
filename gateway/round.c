/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass: fetch, label, decide, segment; see exchange.h. Each function is a step's work and can be entered again:
 * what it waits for is in the round.
 *
 * A pass that released nothing gives its memory back at once; what it withheld has been noted for the ledger by then.
 * So a page that has to be refilled through thousands of withheld records costs time (bounded by limits.rows), not
 * memory.
 */
#include "history.h"
#include "operation.h"

#include "sluice/fault.h"
#include "transaction.h"
#include "write.h"

#define LABEL_ROUNDS 4u   /* fetches of what labels lack; design: a few at most */
#define REFILL_COUNT 100u /* rows asked for once a page needs refilling */
#define BULK_COUNT 500u   /* rows asked for at a time by $everything */
#define WEIGHT 12u        /* bytes a pass may need for each byte of an answer: text, spans, items, cuts, output */

static enum sl_step_result fail(struct sl_exchange *x, enum sl_status status, const char *why)
{
    return sl_exchange_fail(x, status, why);
}

/* ---- Beginning and ending ---- */

static enum sl_status directives_of(
    void *context, struct sl_slice patient, struct sl_arena *arena, struct sl_directives *out)
{
    const struct sl_exchange *x = context;
    return sl_directives_of_kept(x->state->directives, x->state->gateway->store, x->store_version, patient, arena, out);
}

/* Scopes are an upper bound: an item beyond them is withheld like any other, and references to it go. */
static bool in_scope(const struct sl_exchange *x, const struct sl_item *item, struct sl_slice patients)
{
    bool patient_only, search_only;
    bool may = sl_caller_may(&x->caller, item->type, SL_MAY_READ, &patient_only);
    bool may_search = sl_caller_may(&x->caller, item->type, SL_MAY_SEARCH, &search_only);
    if (!may && !may_search)
        return false;
    if ((may && !patient_only) || (may_search && !search_only))
        return true;
    return !patients.len ? (sl_r4_facts(item->type) & (SL_R4_DIRECTORY | SL_R4_BY_ROUTE)) != 0
                         : sl_slice_eq(patients, x->caller.patient);
}

/* Every person an item is about must be one we can look up directives for: "Patient/x", and nothing else. */
static bool are_patients(struct sl_slice patients)
{
    while (patients.len) {
        const char *space = memchr(patients.ptr, ' ', patients.len);
        struct sl_slice one = {patients.ptr, space ? (size_t)(space - patients.ptr) : patients.len};
        if (!sl_slice_starts(one, SL_LIT("Patient/")) || !sl_is_id(sl_slice_from(one, 8)))
            return false;
        patients = sl_slice_from(patients, one.len + 1);
    }
    return true;
}

static const char *outside(void *context, const struct sl_item *item, struct sl_slice patients)
{
    const struct sl_exchange *x = context;
    if (!are_patients(patients))
        return "patient-unknown";
    return in_scope(x, item, patients) ? NULL : "outside-scope";
}

static void cancel(struct sl_exchange *x, struct sl_ask *ask)
{
    if (ask->kind == SL_ASK_NONE || ask->finished)
        return;
    sl_upstream_cancel(x->state->upstream, ask);
    x->outstanding--;
}

void sl_round_free(struct sl_exchange *x, struct sl_round *round)
{
    sl_account_forget(x); /* its rulings go */
    for (size_t i = 0; i < round->question_count; i++)
        cancel(x, &round->questions[i].ask);
    for (size_t i = 0; i < round->context_count; i++) {
        cancel(x, &round->contexts[i]);
        sl_apart_end(round, &round->contexts[i]);
    }
    for (size_t i = 0; i < round->vouching_count; i++)
        cancel(x, &round->vouchings[i]);
    for (size_t i = 0; i < round->linking_count; i++)
        cancel(x, &round->linkings[i]);
    sl_exchange_release(x, round->reserved);
    sl_arena_free(round->arena); /* the round itself lives there */
}

struct sl_round *sl_round_new(struct sl_exchange *x)
{
    struct sl_arena *arena = sl_arena_new_in(x->state->arenas, x->state->gateway->config->exchange_memory);
    struct sl_round *round = arena ? sl_arena_alloc(arena, sizeof *round) : NULL;
    const struct sl_pass_options options = {.policy = x->policy,
        .programs = x->programs,
        .registered = x->registered,
        .kin = sl_linking_kin(x),
        .kept = x->state->kept,
        .kept_under = sl_worker_state_under(x->state, x->policy, x->programs),
        .recipient = x->relating ? &x->stranger : &x->recipient,
        .now = x->now,
        .directives = directives_of,
        .outside = outside,
        .context = x};
    if (round && options.kin) {
        round->arena = arena;
        round->questions = sl_arena_raw(arena, SL_QUESTIONS, sizeof *round->questions);
        round->pass = sl_pass_new(arena, &options);
    }
    if (round && round->pass && round->questions)
        return round;
    sl_arena_free(arena);
    return NULL;
}

void sl_rounds_drop(struct sl_exchange *x)
{
    sl_relating_drop(x);
    sl_presence_drop(x);
    if (x->round)
        sl_round_free(x, x->round);
    while (x->rounds) {
        struct sl_round *next = x->rounds->next;
        sl_round_free(x, x->rounds);
        x->rounds = next;
    }
    x->round = x->last_round = NULL;
    x->target = NULL;
    sl_history_drop(x);
}

/* ---- Fetch ---- */

/* Is the round at hand one of a record's versions? */
static bool is_past(const struct sl_exchange *x)
{
    return x->history && !x->probe && !x->relating;
}

/* Are many questions asked together, and all their pages one pass? */
static bool asks_together(const struct sl_exchange *x)
{
    return !x->probe && !x->relating &&
           (x->interaction.kind == SL_EVERYTHING || x->phase == SL_PHASE_PAGE || x->phase == SL_PHASE_INCLUDES);
}

/* How many rows to ask for: a page and the one more that tells whether there is a next, after what was on the pages
 * before; then in bulk. */
static size_t rows_wanted(const struct sl_exchange *x, uint32_t skip)
{
    if (asks_together(x) || sl_operation_gathers(x->interaction.kind) || x->probe || x->relating ||
        x->phase == SL_PHASE_KEYS)
        return BULK_COUNT;
    if (is_past(x))
        return REFILL_COUNT;
    if (x->rows || x->wanted >= REFILL_COUNT)
        return x->wanted >= REFILL_COUNT ? x->wanted + 1 : REFILL_COUNT;
    return skip + x->wanted < REFILL_COUNT ? skip + x->wanted + 1 : REFILL_COUNT;
}

void sl_round_ask(struct sl_exchange *x, struct sl_round *round, struct sl_position at)
{
    const struct sl_errand *errand = &x->errands[at.errand];
    struct sl_question *question = &round->questions[round->question_count++];
    question->at = at;
    question->ask = (struct sl_ask){.kind = errand->kind,
        .type = errand->type,
        .id = errand->id,
        .search = errand->asked,
        .position = at.upstream,
        .count = rows_wanted(x, at.skip),
        .ids = errand->ids,
        .id_count = errand->id_count,
        .arena = round->arena};
}

/* What is read and the likeliest way to it; once that has led nowhere, the other ways, many together. */
static bool put_ways(struct sl_exchange *x, struct sl_round *round)
{
    size_t most = x->target ? SL_QUESTIONS : 2;
    for (size_t i = 0; i < x->going_count; i++)
        sl_round_ask(x, round, x->going[i]);
    x->going_count = 0;
    for (; round->question_count < most && x->at.errand < x->errand_count; x->at.errand++)
        sl_round_ask(x, round, (struct sl_position){.errand = x->at.errand});
    return round->question_count > 0;
}

/* What to ask next. A search asks for one page a pass, from x->at. $everything, a page by ids and includes ask for many
 * things together: what goes on from the answers before, then further errands. False: there is nothing left to ask. */
static bool put_questions(struct sl_exchange *x, struct sl_round *round)
{
    struct sl_position going_on[SL_QUESTIONS];
    size_t count = 0;
    if (x->routed)
        return put_ways(x, round);
    if (!asks_together(x)) {
        if (!x->exhausted)
            sl_round_ask(x, round, x->at);
        return !x->exhausted;
    }
    for (size_t i = 0; i < round->question_count; i++)
        if (round->questions[i].at.upstream.len)
            going_on[count++] = round->questions[i].at;
    round->question_count = 0;
    for (size_t i = 0; i < count; i++)
        sl_round_ask(x, round, going_on[i]);
    for (; round->question_count < SL_QUESTIONS && x->at.errand < x->errand_count; x->at.errand++)
        sl_round_ask(x, round, (struct sl_position){.errand = x->at.errand});
    return round->question_count > 0;
}

/* Where this errand goes on: an empty upstream position says that it has ended. */
static enum sl_status advance(struct sl_exchange *x, struct sl_position *at, const struct sl_fetched *page)
{
    /* What was still to be skipped may reach beyond this page: positions count over pages of any size. */
    at->skip = at->skip > page->matches ? at->skip - (uint32_t)page->matches : 0;
    at->upstream = page->next.len ? sl_arena_copy(x->arena, page->next) : (struct sl_slice){NULL, 0};
    if (page->next.len && !at->upstream.ptr)
        return SL_NO_MEMORY;
    if (x->routed && at->upstream.len)
        x->going[x->going_count++] = *at;
    if (x->routed || x->probe || x->relating || asks_together(x))
        return SL_OK;
    x->at = page->next.len ? *at : (struct sl_position){.errand = at->errand + 1};
    x->exhausted = x->at.errand >= x->errand_count;
    return SL_OK;
}

/* What led the second pass of $everything to it. */
static const struct sl_item *lead_to(const struct sl_exchange *x, const struct sl_entry *entry, uint32_t errand)
{
    const struct sl_errand *from = &x->errands[errand];
    for (size_t i = 0; from->leads && i < from->id_count; i++)
        if (sl_slice_eq(from->ids[i], entry->id))
            return from->leads[i];
    return NULL;
}

/* A resource becomes an item of the pass, unless it is there already (two parameters of a compartment found it). */
static enum sl_status add_entry(const struct sl_exchange *x, struct sl_round *round, struct sl_fetched *page,
    const struct sl_entry *entry, struct sl_position position, bool match)
{
    struct sl_item *item = NULL;
    if (sl_labeller_find_record(sl_pass_labeller(round->pass), entry->type, entry->id))
        return SL_OK;
    SL_TRY(sl_pass_add_row(round->pass, &page->doc, entry->root, entry->row, false, &item));
    item->lead = lead_to(x, entry, position.errand);
    struct sl_found *found = sl_arena_alloc(round->arena, sizeof *found);
    if (!found)
        return SL_NO_MEMORY;
    *found = (struct sl_found){
        .entry = entry, .page = page, .item = item, .pass = round->pass, .position = position, .match = match};
    if (round->last)
        round->last->next = found;
    else
        round->first = found;
    round->last = found;
    return SL_OK;
}

/* The versions of one record, in their order. */
static enum sl_status add_versions(struct sl_exchange *x, struct sl_round *round)
{
    sl_history_begin(x, round);
    for (const struct sl_page *page = round->pages; page; page = page->next)
        for (size_t i = 0; i < page->fetched->count; i++)
            SL_TRY(sl_history_add(x, round, page->fetched, &page->fetched->entries[i]));
    return SL_OK;
}

/* Goes on where it stood, until it has had its time: `rest`, where that may be; NULL: in one go. */
static enum sl_status add_page(const struct sl_exchange *x, struct sl_round *round, struct sl_page *page, bool *rest)
{
    for (; page->added < page->fetched->count; page->added++) {
        if (rest && sl_exchange_tired(x)) {
            *rest = true;
            return SL_OK;
        }
        const struct sl_entry *entry = &page->fetched->entries[page->added];
        struct sl_position position = page->at;
        position.skip = page->matches;
        bool match = !round->includes_only && !(x->routed && page->at.errand);
        if (!entry->match || page->matches++ < page->at.skip)
            continue; /* nobody asked the upstream for includes; or dealt with on an earlier page */
        SL_TRY(add_entry(x, round, page->fetched, entry, position, match));
    }
    return SL_OK;
}

/* Pages become items in the order of errands, however they came in: the order of an answer must not depend on how many
 * pages something hidden filled. */
static enum sl_status add_pages(struct sl_exchange *x, struct sl_round *round, bool *rest)
{
    if (is_past(x))
        return add_versions(x, round);
    if (x->routed && x->target && x->target != round->pages) { /* from an earlier pass, and in this one too */
        struct sl_page again = {.fetched = x->target->fetched, .at = x->target->at};
        SL_TRY(add_page(x, round, &again, NULL));
    }
    for (uint32_t errand = 0; errand < x->errand_count; errand++)
        for (struct sl_page *page = round->pages; page && !(rest && *rest); page = page->next)
            if (page->at.errand == errand)
                SL_TRY(add_page(x, round, page, rest));
    return SL_OK;
}

enum sl_status sl_round_add_pages(struct sl_exchange *x, struct sl_round *round)
{
    return add_pages(x, round, NULL);
}

static enum sl_status keep_page(struct sl_round *round, struct sl_fetched *fetched, struct sl_position at)
{
    struct sl_page *page = sl_arena_alloc(round->arena, sizeof *page);
    if (!page)
        return SL_NO_MEMORY;
    *page = (struct sl_page){.fetched = fetched, .at = at};
    if (round->last_page)
        round->last_page->next = page;
    else
        round->pages = page;
    round->last_page = page;
    return SL_OK;
}

/* May it be that nobody is there? A way to what is read; what a released record points at. */
static bool may_lack(const struct sl_exchange *x, const struct sl_round *round, const struct sl_question *question)
{
    return round->includes_only || x->probe || x->relating || (x->routed && question->at.errand > 0);
}

/* Whoever could have seen it is told that it was deleted: then its history is looked at. Who asks within another
 * interaction asks for what is there. */
static bool is_deletion(const struct sl_exchange *x, const struct sl_ask *ask)
{
    return ask->gone && x->interaction.kind == SL_READ && x->until == SL_AT_END && !x->routed && !x->history &&
           !x->probe && !x->relating && x->state->gateway->config->upstream_history;
}

static enum sl_status failure_of(const struct sl_exchange *x, const struct sl_ask *ask)
{
    bool none = ask->status == SL_NOT_SUPPORTED && ask->kind == SL_ASK_HISTORY;
    if (ask->status == SL_NOT_FOUND || (none && x->interaction.kind == SL_READ))
        return SL_NOT_FOUND;
    return none ? SL_NOT_SUPPORTED : SL_UPSTREAM;
}

enum sl_status sl_round_take(struct sl_exchange *x, struct sl_round *round, struct sl_question *question)
{
    struct sl_ask *ask = &question->ask;
    struct sl_fetched *fetched;
    x->why = ask->why;
    if (may_lack(x, round, question) && (ask->status == SL_NOT_FOUND || ask->status == SL_NOT_SUPPORTED))
        return SL_OK; /* nobody there, or a question that this EHR does not take: no way to it */
    if (is_deletion(x, ask)) {
        round->question_count = 0; /* in the place of what was asked */
        return sl_history_plan(x);
    }
    if (ask->status != SL_OK)
        return failure_of(x, ask);
    SL_TRY(sl_exchange_reserve(x, &round->reserved, ask->text.len * WEIGHT));
    enum sl_status status = sl_fetch_read(ask, &fetched);
    x->why = ask->why;
    SL_TRY(status);
    if (!sl_exchange_spend(x, fetched->count)) {
        x->exhausted = sl_fault(SL_FAULT_THIN_ANSWER);
        return x->exhausted ? SL_OK : SL_WORK_LIMIT;
    }
    SL_TRY(keep_page(round, fetched, question->at));
    return advance(x, &question->at, fetched);
}

bool sl_round_is_displaced(struct sl_exchange *x, const struct sl_position *at, enum sl_status status)
{
    bool refused = status == SL_UPSTREAM || status == SL_NOT_SUPPORTED || status == SL_NOT_FOUND;
    if (!refused || x->displaced || x->first_page || x->rows || !at->upstream.len)
        return false;
    x->displaced = true;
    return true;
}

static bool begin_round(struct sl_exchange *x)
{
    x->round = sl_round_new(x);
    if (x->round)
        x->round->includes_only = x->phase == SL_PHASE_INCLUDES;
    return x->round != NULL;
}

static enum sl_step_result end_fetch(struct sl_exchange *x, struct sl_round *round)
{
    bool rest = false;
    round->fetched = true;
    round->question_count = 0;
    x->exhausted = x->exhausted || asks_together(x);
    if (x->routed && !x->target)
        x->target = round->pages;
    enum sl_status status = add_pages(x, round, &rest);
    if (status != SL_OK)
        return fail(x, status, status == SL_UPSTREAM ? "upstream-history-order" : "fetch");
    return rest ? SL_STEP_AGAIN : SL_STEP_DONE;
}

static bool is_fetched(const struct sl_exchange *x, const struct sl_round *round)
{
    return x->routed ? round->question_count > 0 : round->pages && !asks_together(x);
}

enum sl_step_result sl_round_fetch(struct sl_exchange *x)
{
    if (x->relating)
        return sl_relating_fetch(x);
    if (x->probe)
        return sl_presence_fetch(x);
    if (sl_history_is_wide(x))
        return sl_history_fetch(x);
    if (x->round && x->round->fetched)
        return end_fetch(x, x->round);
    bool taken = false;
    enum sl_step_result written = x->write ? sl_write_fetch(x, &taken) : SL_STEP_DONE;
    if (taken)
        return written;
    if (!x->round && !begin_round(x))
        return fail(x, SL_NO_MEMORY, "memory");
    struct sl_round *round = x->round;
    for (;;) {
        for (size_t i = 0; i < round->question_count; i++)
            if (!round->questions[i].ask.finished)
                return SL_STEP_WAIT;
        for (size_t i = 0; i < round->question_count; i++) {
            enum sl_status status = sl_round_take(x, round, &round->questions[i]);
            if (sl_round_is_displaced(x, &round->questions[i].at, status))
                return sl_exchange_again(x);
            if (status != SL_OK)
                return fail(x, status, x->why ? x->why : "fetch");
        }
        if (is_fetched(x, round) || !put_questions(x, round))
            return end_fetch(x, round);
        for (size_t i = 0; i < round->question_count; i++)
            sl_exchange_ask(x, &round->questions[i].ask);
        if (sl_exchange_tired(x) && !x->outstanding)
            return SL_STEP_AGAIN;
    }
}

/* ---- Label ---- */

/* Splits "Type/id"; false: it names no record that could be asked for. */
static bool split_reference(struct sl_slice reference, struct sl_slice *type, struct sl_slice *id)
{
    const char *slash = reference.len ? memchr(reference.ptr, '/', reference.len) : NULL;
    if (!slash)
        return false;
    *type = (struct sl_slice){reference.ptr, (size_t)(slash - reference.ptr)};
    *id = sl_slice_from(reference, type->len + 1);
    return sl_r4_resource(*type) && sl_is_id(*id);
}

static bool is_binary(struct sl_slice type)
{
    return sl_slice_eq(type, SL_LIT("Binary"));
}

/* The question that this reference joins: one of its type with room, or a new one. */
static struct sl_ask *question_for(struct sl_exchange *x, struct sl_round *round, struct sl_slice type)
{
    if (is_binary(type)) /* no search's to find (R4, binary.html): each is read */
        return sl_apart_begin(x, round, &round->contexts[round->context_count])
                   ? &round->contexts[round->context_count++]
                   : NULL;
    for (size_t i = 0; i < round->context_count; i++) {
        struct sl_ask *ask = &round->contexts[i];
        if (sl_slice_eq(ask->type, type) && ask->id_count < SL_ASK_IDS_LIMIT)
            return ask;
    }
    struct sl_slice *ids = sl_arena_array(round->arena, SL_ASK_IDS_LIMIT, sizeof *ids);
    struct sl_ask *ask = &round->contexts[round->context_count];
    if (!ids)
        return NULL;
    *ask =
        (struct sl_ask){.kind = SL_ASK_IDS, .type = type, .ids = ids, .count = SL_ASK_IDS_LIMIT, .arena = round->arena};
    round->context_count++;
    return ask;
}

/* What the label book says of a reference; false: it is to be asked for. */
static bool is_known(struct sl_exchange *x, struct sl_round *round, struct sl_slice reference)
{
    const struct sl_gateway *gateway = x->state->gateway;
    struct sl_book_entry entry;
    struct sl_item *item;
    if (!gateway->keeper || sl_keeper_find(gateway->keeper, &x->label_generation, gateway->config->upstream_url,
                                reference, x->now, round->arena, &entry) != SL_OK)
        return false;
    if (entry.state == SL_BOOK_THERE && (x->bookless || sl_pass_wants(round->pass, reference)))
        return false; /* of what is not there, there is no record to look at */
    if (!round->known_since || entry.stored < round->known_since)
        round->known_since = entry.stored;
    return sl_labeller_know(sl_pass_labeller(round->pass), &entry, &item) == SL_OK;
}

/* What was fetched for labels alone goes into the book, no younger than what it rests on. */
static void note_context(struct sl_exchange *x, struct sl_round *round)
{
    const struct sl_gateway *gateway = x->state->gateway;
    if (gateway->keeper && sl_labeller_is_resolved(sl_pass_labeller(round->pass)))
        sl_keeper_note(gateway->keeper, &x->label_generation, gateway->config->upstream_url,
            sl_labeller_items(sl_pass_labeller(round->pass)), round->known_since ? round->known_since : x->now);
}

/* Makes the questions. What names no record is an unknown source, and known so. */
static enum sl_status make_questions(
    struct sl_exchange *x, struct sl_round *round, const struct sl_slice *missing, size_t count)
{
    struct sl_labeller *labeller = sl_pass_labeller(round->pass);
    for (size_t i = 0; i < count; i++) {
        struct sl_slice type, id;
        if (!split_reference(missing[i], &type, &id)) {
            SL_TRY(sl_labeller_absent(labeller, missing[i], true));
            continue;
        }
        if (is_known(x, round, missing[i]))
            continue;
        if (is_binary(type) && round->apart == SL_APART) {
            round->deferred = true; /* it is still lacked when these have been answered */
            continue;
        }
        struct sl_ask *ask = question_for(x, round, type);
        if (!ask)
            return SL_NO_MEMORY;
        ask->ids[ask->id_count++] = id;
    }
    return SL_OK;
}

/* What the labels lack, asked for together: Type?_id=a,b,c. */
static enum sl_status ask_for(
    struct sl_exchange *x, struct sl_round *round, const struct sl_slice *missing, size_t count)
{
    round->context_count = 0;
    round->apart = 0;
    round->deferred = false;
    round->contexts = sl_arena_array(round->arena, count, sizeof *round->contexts);
    enum sl_status status = round->contexts ? make_questions(x, round, missing, count) : SL_NO_MEMORY;
    if (status != SL_OK) {
        for (size_t i = 0; i < round->context_count; i++)
            sl_apart_end(round, &round->contexts[i]);
        round->context_count = 0; /* none has been asked, so none is to be withdrawn */
        return status;
    }
    for (size_t i = 0; i < round->context_count; i++)
        sl_exchange_ask(x, &round->contexts[i]);
    return SL_OK;
}

/* One answer's resources become context; ids that are not among them are not there, if the answer is all there is. Of
 * an answer in pages the rest is asked for again in the next round. */
static enum sl_status take_context(struct sl_exchange *x, struct sl_round *round, struct sl_ask *ask)
{
    struct sl_labeller *labeller = sl_pass_labeller(round->pass);
    struct sl_fetched *page;
    struct sl_item *item;
    x->why = ask->why;
    if (ask->kind == SL_ASK_READ && (ask->status == SL_NOT_FOUND || ask->status == SL_LIMIT))
        return sl_gone_note(x, round, ask->type, ask->id); /* nobody can read it */
    if (ask->kind == SL_ASK_HISTORY || ask->kind == SL_ASK_BATCH)
        return sl_gone_take(x, round, ask, WEIGHT);
    if (ask->status != SL_OK)
        return SL_UPSTREAM;
    enum sl_status apart = ask->kind == SL_ASK_READ ? sl_apart_take(x, round, ask) : SL_MISSING;
    if (apart != SL_MISSING)
        return apart;
    SL_TRY(sl_exchange_reserve(x, &round->reserved, ask->text.len * WEIGHT));
    enum sl_status status = sl_fetch_read(ask, &page);
    x->why = ask->why;
    SL_TRY(status);
    SL_TRY(sl_linking_note(x, round, ask, page));
    round->paged = round->paged || (page->next.len && page->count);
    for (size_t i = 0; i < page->count; i++) {
        const struct sl_entry *entry = &page->entries[i];
        if (!sl_labeller_find_record(labeller, entry->type, entry->id))
            SL_TRY(sl_pass_add_row(round->pass, &page->doc, entry->root, entry->row, true, &item));
    }
    for (size_t i = 0; i < ask->id_count && !page->next.len; i++)
        SL_TRY(sl_gone_note(x, round, ask->type, ask->ids[i]));
    return SL_OK;
}

/* What is still lacking after the last round could not be asked: an unknown label, and the item is withheld. */
static enum sl_status give_up(struct sl_round *round, const struct sl_slice *missing, size_t count)
{
    struct sl_slice *rest;
    size_t left;
    for (size_t i = 0; i < count; i++)
        SL_TRY(sl_labeller_absent(sl_pass_labeller(round->pass), missing[i], false));
    return sl_pass_label(round->pass, &rest, &left);
}

static bool is_asking(const struct sl_round *round)
{
    for (size_t i = 0; i < round->context_count; i++)
        if (!round->contexts[i].finished)
            return true;
    for (size_t i = 0; i < round->vouching_count; i++)
        if (!round->vouchings[i].finished)
            return true;
    for (size_t i = 0; i < round->linking_count; i++)
        if (!round->linkings[i].finished)
            return true;
    return false;
}

static enum sl_status take_answers(struct sl_exchange *x, struct sl_round *round)
{
    size_t count = round->context_count;
    for (size_t i = 0; i < count; i++) {
        enum sl_status status = take_context(x, round, &round->contexts[i]);
        if (status != SL_OK)
            return status;
        sl_apart_end(round, &round->contexts[i]);
    }
    round->context_count = 0;
    SL_TRY(sl_vouching_take(x, round));
    SL_TRY(sl_linking_take(x, round));
    return sl_gone_ask(x, round);
}

/* Labels what is there, and asks for what that lacks. *settled: it lacks nothing that is still to be had. */
static enum sl_status label(struct sl_exchange *x, struct sl_round *round, bool *settled)
{
    struct sl_slice *missing = NULL;
    size_t count = 0;
    SL_TRY(sl_pass_label(round->pass, &missing, &count));
    round->label_rounds -= round->paged && round->label_rounds;
    round->paged = false;
    *settled = !count || round->label_rounds == LABEL_ROUNDS;
    if (!count)
        return SL_OK;
    if (round->label_rounds == LABEL_ROUNDS)
        return give_up(round, missing, count);
    SL_TRY(ask_for(x, round, missing, count));
    round->label_rounds += !round->deferred;
    return SL_OK;
}

enum sl_step_result sl_round_label(struct sl_exchange *x)
{
    struct sl_round *round = x->round;
    bool settled;
    if (!round) /* each record of a history of many has rounds of its own */
        return SL_STEP_DONE;
    do {
        settled = false;
        if (is_asking(round))
            return SL_STEP_WAIT;
        x->why = "label";
        enum sl_status status = take_answers(x, round);
        if (status == SL_OK && round->context_count)
            continue; /* what is not there is asked for first, and then labelled with the rest */
        if (status == SL_OK && !round->vouching_count)
            status = sl_vouching_ask(x, round);
        /* What was answered at once is taken before labelling, which is the dearer. */
        if (status == SL_OK && (!round->vouching_count || is_asking(round)))
            status = label(x, round, &settled);
        if (status == SL_OK && !round->linking_count)
            status = sl_linking_ask(x, round);
        if (status != SL_OK)
            return fail(x, status, x->why ? x->why : "label");
    } while (!settled || round->context_count || round->vouching_count || round->linking_count);
    if (!sl_transaction_holds(x) || !sl_write_is_made(x)) /* what others are to create has no name yet */
        note_context(x, round);
    return SL_STEP_DONE;
}

/* ---- Decide ---- */

/* A consent may look at more of a record than the book keeps (its dates, its codes): then the record is asked for. */
static bool needs_records(const struct sl_round *round)
{
    if (sl_pass_wants_records(round->pass))
        return true;
    for (const struct sl_item *item = sl_labeller_items(sl_pass_labeller(round->pass)); item; item = item->next)
        if (!item->doc && item->type != SL_R4_Binary && item->ruling &&
            sl_ruling_by_record(item->ruling, &item->classes))
            return true; /* a Binary has none of these */
    return false;
}

enum sl_step_result sl_round_decide(struct sl_exchange *x)
{
    bool begun = false;
    if (!x->round)
        return SL_STEP_DONE;
    enum sl_step_result result = x->relating || x->probe ? SL_STEP_DONE : sl_relating_begin(x, &begun);
    if (result != SL_STEP_DONE || begun)
        return result;
    enum sl_status status = sl_pass_decide(x->round->pass, &x->round->report);
    if (status == SL_OK && sl_arena_failed(x->round->arena))
        status = SL_NO_MEMORY;
    if (status == SL_OK && !x->bookless && needs_records(x->round)) {
        x->bookless = true;
        return sl_exchange_again(x);
    }
    if (status != SL_OK)
        return fail(x, status, "decide");
    if (x->relating)
        return sl_relating_decide(x);
    if (x->probe)
        return sl_presence_decide(x);
    result = sl_presence_begin(x, &begun);
    if (result == SL_STEP_DONE && !begun)
        x->round->at = x->round->first;
    return result;
}

/* ---- Segment ---- */

/* Is a released view still what this errand asks for? */
static enum sl_status is_asked_for(
    struct sl_exchange *x, const struct sl_errand *errand, const struct sl_found *found, bool *out)
{
    const struct sl_entry *entry = found->entry;
    *out = sl_slice_eq(errand->type, sl_r4_node_name(entry->type));
    if (!*out)
        return SL_OK;
    if (errand->kind == SL_ASK_READ)
        *out = sl_slice_eq(errand->id, entry->id);
    else if (errand->search && (sl_partial_is_rewritten(found) ||
                                   (sl_search_reads_view(errand->search) && !sl_fault(SL_FAULT_LABELS_UNSEEN))))
        return sl_partial_match(x, errand->search, found, out);
    else if (errand->search)
        *out = sl_search_match(errand->search, &found->page->doc, entry->root, found->page->edits);
    return SL_OK;
}

/* Of several errands (a compartment's parameters) the first that a released view matches is the one it belongs to: so
 * that nothing is answered twice, and what was cut plays no part. Where all are asked together, any will do. */
static enum sl_status belongs(struct sl_exchange *x, const struct sl_found *found, bool *out)
{
    bool planned = x->phase == SL_PHASE_PAGE, matches = false;
    const struct sl_errand *errands = planned ? x->planned : x->errands;
    size_t count = planned ? x->planned_count : x->errand_count, i = 0;
    *out = x->interaction.kind == SL_READ || x->history || x->write;
    if (*out)
        return SL_OK;
    for (; i < count && !matches; i++)
        SL_TRY(is_asked_for(x, &errands[i], found, &matches));
    *out = matches && (asks_together(x) || i - 1 == found->position.errand);
    return SL_OK;
}

/* That it does not match is worth a note where something that was cut may be why: where the EHR was asked for less, it
 * is one of many that nobody asked for. */
static void put_aside(struct sl_exchange *x, struct sl_found *found)
{
    const struct sl_errand *errand = &x->errands[found->position.errand];
    found->released = found->match = false;
    if (errand->search && errand->asked && errand->asked->param_count == errand->search->param_count)
        sl_account_unmatched(x, found);
}

/* Is the rule switched off by which such a pass is decided and cut? */
static bool is_unruled(const struct sl_exchange *x)
{
    if (x->gather &&
        (x->gather == SL_GATHER_IDS ? sl_fault(SL_FAULT_CHAIN_UNDECIDED) : sl_fault(SL_FAULT_HAS_UNDECIDED)))
        return true;
    return x->phase == SL_PHASE_INCLUDES && sl_fault(SL_FAULT_INCLUDES_UNDECIDED);
}

static bool is_decided(const struct sl_exchange *x, const struct sl_item *item)
{
    if (!item)
        return false;
    if (is_unruled(x))
        return true;
    return item->verdict && item->verdict->decision == SL_RELEASED;
}

static enum sl_status cut(struct sl_exchange *x, struct sl_round *round, struct sl_found *found)
{
    const struct sl_item *item = found->item;
    bool goes = is_decided(x, item), asked_for;
    if (x->history)
        goes = sl_history_judge(x, found, goes);
    if (!goes)
        return SL_OK;
    if (!is_unruled(x))
        SL_TRY(sl_segment_edit(item, found->page->edits, round->arena));
    if (found->page->address) /* last: what was put in the place of a text may hold it too */
        SL_TRY(sl_address_edit(found->page->address, &found->page->places, &found->page->doc, found->entry->root,
            found->page->edits, round->arena, &found->renamed));
    found->released = true;
    SL_TRY(belongs(x, found, &asked_for));
    if (!asked_for && !sl_fault(SL_FAULT_NO_REMATCH))
        put_aside(x, found);
    found->aside = x->interaction.kind == SL_EVERYTHING && found->match && !sl_operation_covers(x, found);
    return SL_OK;
}

/* Is the number of all released matches to be found out? */
static bool counts(const struct sl_exchange *x)
{
    struct sl_slice total = x->interaction.search.total;
    return x->interaction.kind == SL_SEARCH && x->phase == SL_PHASE_MATCHES && x->first_page &&
           (!x->wanted || (total.len && !sl_slice_eq(total, SL_LIT("none"))));
}

/* A released match: on the page, or the one more that says there is a next page, or one that is only counted. */
static enum sl_status count_match(struct sl_exchange *x, struct sl_found *found)
{
    bool wanted =
        found->match && found->released && !found->aside && sl_interaction_wants(&x->interaction, found->entry->type);
    if (!wanted || x->phase == SL_PHASE_PAGE)
        return SL_OK;
    if (x->phase == SL_PHASE_KEYS) {
        found->released = found->match = false; /* its name is what is kept */
        return sl_sort_note(x, found);
    }
    if (x->passing) {
        x->passing--;
        found->released = found->match = false; /* on an earlier page */
        return SL_OK;
    }
    /* Of what follows on a page given in the upstream's order nothing can be put in another one: some would be lost. */
    if (x->ordered && x->first_page && x->gathered <= x->wanted) {
        bool follows;
        SL_TRY(sl_sort_follows(x, found, &follows));
        x->disordered = !follows && !sl_fault(SL_FAULT_ORDER_TRUSTED);
    }
    if (x->interaction.kind == SL_SEARCH && x->gathered >= x->wanted) {
        found->released = found->match = false; /* no match of this page: the next one begins with it */
        if (x->gathered == x->wanted) {
            x->following = found->position;
            x->following.passed = (uint32_t)(x->skipped + x->wanted);
            x->following.upstream = sl_arena_copy(x->arena, found->position.upstream);
        }
    }
    x->gathered++;
    return SL_OK;
}

/* Is there as much as there can be use for? Only released ones count. */
static bool is_full(const struct sl_exchange *x)
{
    if (x->routed)
        return x->gathered > 0;
    if (x->interaction.kind != SL_SEARCH || x->phase == SL_PHASE_PAGE || x->phase == SL_PHASE_INCLUDES)
        return false;
    if (x->phase == SL_PHASE_KEYS)
        return x->gather && x->keys.count > x->gather_limit;
    return x->gathered > x->wanted &&
           (!counts(x) || (x->wanted && x->gathered > x->state->gateway->config->total_limit));
}

static bool is_target(const struct sl_exchange *x, const struct sl_item *item)
{
    return x->routed && item->type == x->interaction.type && sl_slice_eq(item->id, x->interaction.id);
}

/* Does anything on this page point at what is read? Else the EHR has answered another question, and to go on with it
 * would be to read all there is. */
static bool is_way_on(const struct sl_exchange *x, const struct sl_round *round, uint32_t errand)
{
    for (const struct sl_found *found = round->first; found; found = found->next)
        for (uint32_t i = 0; found->position.errand == errand && i < found->item->reference_count; i++)
            if (found->item->references[i].item && is_target(x, found->item->references[i].item))
                return true;
    return false;
}

static void judge_ways(struct sl_exchange *x, const struct sl_round *round)
{
    size_t kept = 0;
    for (size_t i = 0; i < x->going_count; i++)
        if (is_way_on(x, round, x->going[i].errand))
            x->going[kept++] = x->going[i];
    x->going_count = kept;
    x->exhausted = x->going_count == 0 && x->at.errand >= x->errand_count;
}

/* Notes what was withheld, and keeps the round if anything of it may be answered. */
static enum sl_status end_round(struct sl_exchange *x, struct sl_round *round)
{
    bool any = false, more = true;
    if (x->history) {
        SL_TRY(sl_history_end(x, round, &more));
        x->exhausted = x->exhausted || !more;
    }
    if (x->routed)
        judge_ways(x, round);
    for (const struct sl_withheld *one = round->report.first; one; one = one->next)
        if (!one->item->context && !sl_write_is_made(x) && (x->exhausted || !is_target(x, one->item)))
            sl_account_withheld(x, one);
    const struct sl_ruling *last = NULL;
    for (const struct sl_found *found = round->first; found; found = found->next) {
        any = any || found->released || found->entry->deleted;
        if (found->item && found->item->ruling != last)
            sl_account_parties(x, last = found->item->ruling);
    }
    x->round = NULL;
    bool kept = x->routed ? !x->rounds || x->gathered
                          : any || (x->interaction.kind != SL_SEARCH && !sl_operation_gathers(x->interaction.kind) &&
                                       !x->history);
    if (!kept) {
        sl_round_free(x, round);
        return SL_OK;
    }
    if (x->last_round)
        x->last_round->next = round;
    else
        x->rounds = round;
    x->last_round = round;
    return SL_OK;
}

/* All of a phase is there: what comes after it, if anything does (then x->exhausted is false again). */
static enum sl_status next_phase(struct sl_exchange *x)
{
    if (x->phase == SL_PHASE_KEYS && x->gather) {
        sl_sort_settle(x);
        return SL_OK;
    }
    if (x->phase == SL_PHASE_KEYS) {
        SL_TRY(sl_sort_page(x));
        if (!x->exhausted)
            return SL_OK;
    }
    bool everything = x->interaction.kind == SL_EVERYTHING, first = x->phase != SL_PHASE_INCLUDES;
    if (x->interaction.search.include_count && x->wanted) {
        x->phase = SL_PHASE_INCLUDES;
        return sl_include_plan(x);
    }
    if (!everything)
        return SL_OK;
    x->phase = SL_PHASE_INCLUDES;
    return first ? sl_plan_routes(x) : sl_include_note(x);
}

enum sl_step_result sl_round_segment(struct sl_exchange *x)
{
    struct sl_round *round = x->round;
    if (!round)
        return SL_STEP_DONE;
    for (; round->at; round->at = round->at->next) {
        if (round->at->match && is_full(x))
            continue; /* beyond the page */
        enum sl_status status = cut(x, round, round->at);
        if (status == SL_OK)
            status = count_match(x, round->at);
        if (status != SL_OK)
            return fail(x, status, "segment");
        if (x->disordered && x->ordered)
            return sl_exchange_again(x); /* put in order here, this time */
        if (sl_exchange_tired(x)) {
            round->at = round->at->next;
            return SL_STEP_AGAIN;
        }
    }
    if (sl_arena_failed(round->arena) || sl_arena_failed(x->arena))
        return fail(x, SL_NO_MEMORY, "segment");
    enum sl_status status = end_round(x, round);
    if (status == SL_OK && !sl_round_more(x))
        status = next_phase(x);
    return status == SL_OK ? SL_STEP_DONE : fail(x, status, "segment");
}

bool sl_round_settled(const struct sl_exchange *x)
{
    return x->exhausted || is_full(x);
}

bool sl_round_more(const struct sl_exchange *x)
{
    return (!sl_round_settled(x) && !sl_fault(SL_FAULT_SHORT_PAGE)) || (x->write && sl_write_more(x));
}
