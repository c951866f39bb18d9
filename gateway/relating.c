/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which relationships do records prove? For parties that let records vouch (`vouched-by: record`), and only for persons
 * with whom neither token nor registry nor register proves one: care teams, referrals, visits and what was written are
 * asked for by patient and recipient together, several persons at a time, each person once in an exchange.
 *
 * A record counts if this recipient gets it, decided without any relationship that a record proves, and if what is left
 * of it after the cuts still says so; or if he wrote it himself. So nothing that is hidden from him proves anything to
 * him, and no relationship stands on another (docs/decisions/0018). The pass that asked is held meanwhile, as in
 * presence.c; the bounds of work are those of any request.
 */
#include <stdio.h>
#include <time.h>

#include "exchange.h"
#include "sluice/relation.h"

#define PERSONS 20u /* asked about together */
#define NAMES 32u   /* by which records know the recipient */
#define ERRANDS 16u

/* What an exchange has found out, so that nobody is asked about twice. In the exchange's arena. */
struct sl_acquaintances {
    struct sl_slice names[NAMES]; /* "Practitioner/x", "PractitionerRole/r", "Organization/o" */
    size_t name_count;
    bool roles_known;
    struct sl_slice *asked; /* persons, a hash table at most half full */
    size_t asked_capacity, asked_count;
    struct sl_relationship *found; /* all of the recipient's: those of the stranger, then what records prove */
    size_t found_capacity;
};

struct sl_relating {
    struct sl_arena *arena; /* its own: it lives as long as it looks */
    struct sl_round *held;
    struct sl_slice *persons;
    size_t count, begin, end; /* all; those being asked about */
    bool roles;               /* it asks for the roles of the recipient */
    struct sl_errand errands[ERRANDS];
    const struct sl_relation_question *questions[ERRANDS]; /* of the errand in the same place */
    size_t errand_count, next;
    struct sl_position going[SL_QUESTIONS];
    size_t going_count;
    const struct sl_errand *errands_held;
    size_t errand_count_held;
    bool routed_held;
};

/* ---- Who has been asked about ---- */

static struct sl_slice *slot_of(struct sl_slice *table, size_t capacity, struct sl_slice person)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < person.len; i++)
        h = (h ^ (unsigned char)person.ptr[i]) * 0x100000001b3u;
    size_t i = (h ^ h >> 29) & (capacity - 1);
    while (table[i].len && !sl_slice_eq(table[i], person))
        i = (i + 1) & (capacity - 1);
    return &table[i];
}

static bool was_asked(const struct sl_acquaintances *a, struct sl_slice person)
{
    return a->asked_count && slot_of(a->asked, a->asked_capacity, person)->len;
}

static enum sl_status note_asked(struct sl_exchange *x, struct sl_slice person)
{
    struct sl_acquaintances *a = x->acquaintances;
    if (a->asked_count * 2 >= a->asked_capacity) {
        size_t capacity = a->asked_capacity ? a->asked_capacity * 2 : 32;
        struct sl_slice *table = sl_arena_array(x->arena, capacity, sizeof *table);
        if (!table)
            return SL_NO_MEMORY;
        for (size_t i = 0; i < a->asked_capacity; i++)
            if (a->asked[i].len)
                *slot_of(table, capacity, a->asked[i]) = a->asked[i];
        a->asked = table;
        a->asked_capacity = capacity;
    }
    struct sl_slice copy = sl_arena_copy(x->arena, person);
    if (!copy.ptr)
        return SL_NO_MEMORY;
    *slot_of(a->asked, a->asked_capacity, person) = copy;
    a->asked_count++;
    return SL_OK;
}

static enum sl_status note_found(struct sl_exchange *x, const struct sl_relationship *one)
{
    struct sl_acquaintances *a = x->acquaintances;
    size_t count = x->recipient.relationship_count;
    for (size_t i = 0; i < count; i++)
        if (x->recipient.relationships[i].voucher == SL_BY_RECORD && a->found[i].since >= one->since &&
            sl_slice_eq(a->found[i].kind, one->kind) && sl_slice_eq(a->found[i].patient, one->patient))
            return SL_OK;
    if (count == a->found_capacity) {
        size_t capacity = count * 2 + 16;
        struct sl_relationship *list = sl_arena_array(x->arena, capacity, sizeof *list);
        if (!list)
            return SL_NO_MEMORY;
        for (size_t i = 0; i < count; i++)
            list[i] = x->recipient.relationships[i];
        a->found = list;
        a->found_capacity = capacity;
    }
    a->found[count] = *one;
    a->found[count].patient = sl_arena_copy(x->arena, one->patient);
    x->recipient.relationships = a->found;
    x->recipient.relationship_count = count + 1;
    return a->found[count].patient.ptr ? SL_OK : SL_NO_MEMORY;
}

/* ---- Names of the recipient ---- */

static void add_name(struct sl_acquaintances *a, struct sl_slice name)
{
    if (name.len && a->name_count < NAMES)
        a->names[a->name_count++] = name;
}

static bool is_a(struct sl_slice reference, struct sl_slice type)
{
    return sl_slice_starts(reference, type) && sl_is_id(sl_slice_from(reference, type.len));
}

static enum sl_status get_acquainted(struct sl_exchange *x)
{
    if (x->acquaintances)
        return SL_OK;
    struct sl_acquaintances *a = sl_arena_alloc(x->arena, sizeof *a);
    if (!a)
        return SL_NO_MEMORY;
    *a = (struct sl_acquaintances){0};
    /* As a person only one who can be a member of a team: a patient is one to nobody. */
    struct sl_slice user = x->stranger.user_reference, organization = x->stranger.organization;
    a->roles_known = !is_a(user, SL_LIT("Practitioner/"));
    if (!a->roles_known || is_a(user, SL_LIT("PractitionerRole/")))
        add_name(a, user);
    /* What an organization may know, each who works there may not: it counts where it asks for itself. */
    bool somebody = user.len || (x->stranger.user.len && !sl_slice_eq(x->stranger.user, x->stranger.client));
    if (!somebody && is_a(organization, SL_LIT("Organization/")))
        add_name(a, organization);
    x->acquaintances = a;
    return SL_OK;
}

/* Whatever the EHR says of its own roles is directory, and no secret from the one whose they are. */
static enum sl_status read_roles(struct sl_exchange *x, const struct sl_round *round)
{
    struct sl_acquaintances *a = x->acquaintances;
    const struct sl_errand *asked = &x->relating->errands[0];
    for (const struct sl_page *page = round->pages; page; page = page->next)
        for (size_t i = 0; i < page->fetched->count; i++) {
            const struct sl_entry *entry = &page->fetched->entries[i];
            const struct sl_doc *doc = &page->fetched->doc;
            if (entry->type == SL_R4_PractitionerRole && sl_relation_role(doc, entry->root, x->now) &&
                sl_search_match(asked->search, doc, entry->root, NULL))
                add_name(a, sl_arena_printf(x->arena, "PractitionerRole/%.*s", SL_FMT(entry->id)));
        }
    a->roles_known = true;
    return sl_arena_failed(x->arena) ? SL_NO_MEMORY : SL_OK;
}

/* ---- What to ask ---- */

static enum sl_status add_errand(
    struct sl_relating *r, sl_r4_node type, struct sl_slice text, const struct sl_relation_question *question)
{
    const struct sl_slice none = {NULL, 0};
    struct sl_search *search = sl_arena_alloc(r->arena, sizeof *search);
    if (!search || !text.ptr)
        return SL_NO_MEMORY;
    SL_ASSERT(r->errand_count < ERRANDS);
    enum sl_status status = sl_search_read(r->arena, type, text, none, NULL, search);
    if (status != SL_OK)
        return status == SL_NO_MEMORY ? status : SL_INVALID; /* the words are ours, and no client's mistake */
    r->questions[r->errand_count] = question;
    r->errands[r->errand_count++] =
        (struct sl_errand){.kind = SL_ASK_PAGE, .type = sl_r4_node_name(type), .search = search, .asked = search};
    return SL_OK;
}

static struct sl_slice join(struct sl_arena *arena, const struct sl_slice *words, size_t count)
{
    struct sl_slice parts[2 * (PERSONS > NAMES ? PERSONS : NAMES)];
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (i)
            parts[used++] = SL_LIT(",");
        parts[used++] = words[i];
    }
    return used ? sl_arena_join(arena, parts, used) : (struct sl_slice){NULL, 0};
}

static struct sl_slice names_for(const struct sl_exchange *x, const struct sl_relation_question *question)
{
    const struct sl_acquaintances *a = x->acquaintances;
    struct sl_slice names[NAMES];
    size_t count = 0;
    for (size_t i = 0; i < a->name_count; i++) {
        bool organization = sl_slice_starts(a->names[i], SL_LIT("Organization/"));
        if (question->names == SL_NAMES_ANY || organization == (question->names == SL_NAMES_ORGANIZATIONS))
            names[count++] = a->names[i];
    }
    return join(x->relating->arena, names, count);
}

/* What the caller's scopes do not reach it may not see; but what he wrote himself he knows. */
static bool in_scope(const struct sl_exchange *x, const struct sl_relation_question *question)
{
    bool patient_only;
    return question->relation == SL_RELATION_AUTHOR ||
           sl_caller_may(&x->caller, question->type, SL_MAY_READ, &patient_only) ||
           sl_caller_may(&x->caller, question->type, SL_MAY_SEARCH, &patient_only);
}

static struct sl_slice since(const struct sl_exchange *x, const struct sl_relation_question *question, unsigned days)
{
    time_t first = (time_t)(x->now - (int64_t)days * 86400);
    struct tm tm;
    char text[16] = "";
    if (!question->date || !days || !gmtime_r(&first, &tm) || !strftime(text, sizeof text, "%Y-%m-%d", &tm))
        return SL_LIT("");
    return sl_arena_printf(x->relating->arena, "&%s=ge%s", question->date, text);
}

/* All that any of these persons would need: the same questions for all. */
static struct sl_sought sought_of(const struct sl_exchange *x, const struct sl_relating *r)
{
    struct sl_sought all = {0};
    bool ever = false;
    for (size_t i = r->begin; i < r->end; i++) {
        struct sl_sought one = sl_relations_sought(x->policy, &x->stranger, r->persons[i]);
        all.kinds |= one.kinds;
        all.days = all.days < one.days ? one.days : all.days;
        ever |= one.kinds && !one.days;
    }
    all.days = ever ? 0 : all.days;
    return all;
}

/* The next persons, and what is asked about them; before anybody, which roles the recipient has. */
static enum sl_status plan(struct sl_exchange *x, struct sl_relating *r)
{
    size_t count;
    const struct sl_relation_question *all = sl_relation_questions(&count);
    r->errand_count = r->next = r->going_count = 0;
    r->roles = !x->acquaintances->roles_known;
    x->errands = r->errands;
    if (r->roles) {
        struct sl_slice text = sl_arena_printf(r->arena, "practitioner=%.*s", SL_FMT(x->stranger.user_reference));
        SL_TRY(add_errand(r, SL_R4_PractitionerRole, text, NULL));
    } else {
        r->begin = r->end;
        r->end = r->count - r->begin > PERSONS ? r->begin + PERSONS : r->count;
        struct sl_sought sought = sought_of(x, r);
        struct sl_slice persons = join(r->arena, r->persons + r->begin, r->end - r->begin);
        for (size_t i = 0; i < count; i++) {
            struct sl_slice names = names_for(x, &all[i]);
            if (!(sought.kinds >> all[i].relation & 1) || !names.len || !in_scope(x, &all[i]))
                continue;
            struct sl_slice text = sl_arena_printf(r->arena, "%s=%.*s&%s=%.*s&%s%.*s", all[i].patient, SL_FMT(persons),
                all[i].who, SL_FMT(names), all[i].more, SL_FMT(since(x, &all[i], sought.days)));
            SL_TRY(add_errand(r, all[i].type, text, &all[i]));
        }
    }
    x->errand_count = r->errand_count;
    return SL_OK;
}

/* ---- Beginning and ending ---- */

static void end_relating(struct sl_exchange *x)
{
    struct sl_relating *r = x->relating;
    x->errands = r->errands_held;
    x->errand_count = r->errand_count_held;
    x->routed = r->routed_held;
    x->relating = NULL;
    sl_arena_free(r->arena); /* r itself lives there */
}

void sl_relating_drop(struct sl_exchange *x)
{
    if (!x->relating)
        return;
    if (x->relating->held)
        sl_round_free(x, x->relating->held);
    end_relating(x);
}

static struct sl_relating *new_relating(struct sl_exchange *x, const struct sl_slice *persons, size_t count)
{
    struct sl_arena *arena = sl_arena_new_in(x->state->arenas, x->state->gateway->config->exchange_memory);
    struct sl_relating *r = arena ? sl_arena_alloc(arena, sizeof *r) : NULL;
    if (!r) {
        sl_arena_free(arena);
        return NULL;
    }
    *r = (struct sl_relating){.arena = arena,
        .count = count,
        .errands_held = x->errands,
        .errand_count_held = x->errand_count,
        .routed_held = x->routed};
    r->persons = sl_arena_array(arena, count, sizeof *r->persons);
    for (size_t i = 0; r->persons && i < count; i++)
        r->persons[i] = sl_arena_copy(arena, persons[i]);
    if (!sl_arena_failed(arena))
        return r;
    sl_arena_free(arena);
    return NULL;
}

static bool is_patient(struct sl_slice person)
{
    return is_a(person, SL_LIT("Patient/"));
}

/* Those of a pass with whom a record might prove what nothing else does, and who have not been asked about yet. */
static enum sl_status find_strangers(struct sl_exchange *x, struct sl_slice **persons, size_t *count)
{
    struct sl_slice *all;
    size_t total;
    *count = 0;
    SL_TRY(sl_pass_persons(x->round->pass, &all, &total));
    *persons = all;
    for (size_t i = 0; i < total; i++) {
        if (was_asked(x->acquaintances, all[i]) || !is_patient(all[i]) ||
            !sl_relations_sought(x->policy, &x->stranger, all[i]).kinds)
            continue;
        SL_TRY(note_asked(x, all[i]));
        all[(*count)++] = all[i];
    }
    return SL_OK;
}

enum sl_step_result sl_relating_begin(struct sl_exchange *x, bool *begun)
{
    struct sl_slice *persons = NULL;
    size_t count = 0;
    *begun = false;
    enum sl_status status = get_acquainted(x);
    if (status == SL_OK && x->acquaintances->name_count)
        status = find_strangers(x, &persons, &count);
    if (status != SL_OK || !count)
        return status == SL_OK ? SL_STEP_DONE : sl_exchange_fail(x, status, "relating");
    x->relating = new_relating(x, persons, count);
    if (!x->relating)
        return sl_exchange_fail(x, SL_NO_MEMORY, "relating");
    x->relating->held = x->round;
    x->round = NULL;
    x->routed = false;
    status = plan(x, x->relating);
    if (status != SL_OK)
        return sl_exchange_fail(x, status, "relating");
    *begun = true;
    x->step = SL_AT_fetch;
    return SL_STEP_AGAIN;
}

/* ---- Looking ---- */

/* Back to the pass that asked, which is decided now. */
static enum sl_step_result settle(struct sl_exchange *x)
{
    x->round = x->relating->held;
    x->relating->held = NULL;
    end_relating(x);
    x->step = SL_AT_decide;
    return SL_STEP_AGAIN;
}

/* What comes after these questions: more pages, more questions, more persons, or the end. */
static enum sl_step_result go_on(struct sl_exchange *x)
{
    struct sl_relating *r = x->relating;
    if (x->round)
        sl_round_free(x, x->round);
    x->round = NULL;
    while (!r->going_count && r->next == r->errand_count) {
        if (r->end == r->count && !r->roles)
            return settle(x);
        enum sl_status status = plan(x, r);
        if (status != SL_OK)
            return sl_exchange_fail(x, status, "relating");
    }
    x->step = SL_AT_fetch;
    return SL_STEP_AGAIN;
}

static void put_questions(struct sl_exchange *x, struct sl_relating *r, struct sl_round *round)
{
    for (size_t i = 0; i < r->going_count; i++)
        sl_round_ask(x, round, r->going[i]);
    r->going_count = 0;
    while (round->question_count < SL_QUESTIONS && r->next < r->errand_count)
        sl_round_ask(x, round, (struct sl_position){.errand = (uint32_t)r->next++});
}

static enum sl_status take_answers(struct sl_exchange *x, struct sl_relating *r, struct sl_round *round)
{
    for (size_t i = 0; i < round->question_count; i++) {
        struct sl_question *question = &round->questions[i];
        SL_TRY(sl_round_take(x, round, question));
        if (question->at.upstream.len)
            r->going[r->going_count++] = question->at;
    }
    round->question_count = 0;
    return r->roles ? read_roles(x, round) : sl_round_add_pages(x, round);
}

enum sl_step_result sl_relating_fetch(struct sl_exchange *x)
{
    struct sl_relating *r = x->relating;
    if (!x->round) {
        if (!r->going_count && r->next == r->errand_count)
            return go_on(x); /* nothing to ask about these */
        x->round = sl_round_new(x);
        if (!x->round)
            return sl_exchange_fail(x, SL_NO_MEMORY, "memory");
        put_questions(x, r, x->round);
        for (size_t i = 0; i < x->round->question_count; i++)
            sl_exchange_ask(x, &x->round->questions[i].ask);
    }
    struct sl_round *round = x->round;
    for (size_t i = 0; i < round->question_count; i++)
        if (!round->questions[i].ask.finished)
            return SL_STEP_WAIT;
    enum sl_status status = take_answers(x, r, round);
    round->question_count = 0;
    if (status != SL_OK)
        return sl_exchange_fail(x, status, x->why ? x->why : "relating");
    return r->roles ? go_on(x) : SL_STEP_DONE;
}

/* The one person of these that the record is about; empty if there are several, or another. */
static struct sl_slice person_of(const struct sl_relating *r, const struct sl_item *item)
{
    size_t count;
    const struct sl_slice *persons = sl_ruling_persons(item->ruling, &count);
    for (size_t i = r->begin; count == 1 && i < r->end; i++)
        if (sl_slice_eq(r->persons[i], persons[0]))
            return r->persons[i];
    return (struct sl_slice){NULL, 0};
}

/* One record against every question that its kind could answer: what came for one may prove another. */
static enum sl_status judge(
    struct sl_exchange *x, struct sl_relating *r, struct sl_round *round, struct sl_found *found)
{
    const struct sl_item *item = found->item;
    const struct sl_acquaintances *a = x->acquaintances;
    bool released = item->verdict && item->verdict->decision == SL_RELEASED;
    struct sl_slice person = person_of(r, item);
    if (!person.len)
        return SL_OK;
    if (released)
        SL_TRY(sl_segment_edit(item, found->page->edits, round->arena));
    const struct sl_edits *edits = released ? found->page->edits : NULL;
    for (size_t i = 0; i < r->errand_count; i++) {
        struct sl_relationship one;
        if (r->questions[i]->type != item->type ||
            !sl_search_match(r->errands[i].search, &found->page->doc, found->entry->root, edits) ||
            !sl_relation_proved(r->questions[i], item, edits, a->names, a->name_count, x->now, &one))
            continue;
        one.patient = person;
        SL_TRY(note_found(x, &one));
    }
    return SL_OK;
}

enum sl_step_result sl_relating_decide(struct sl_exchange *x)
{
    struct sl_relating *r = x->relating;
    enum sl_status status = SL_OK;
    for (struct sl_found *found = x->round->first; found && status == SL_OK; found = found->next)
        status = judge(x, r, x->round, found);
    if (status == SL_OK && (sl_arena_failed(x->round->arena) || sl_arena_failed(x->arena)))
        status = SL_NO_MEMORY;
    return status == SL_OK ? go_on(x) : sl_exchange_fail(x, status, "relating");
}
