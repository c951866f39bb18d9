/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deciding: see sluice/decide.h. First a ruling is compiled: who the recipient is, which rules are about it, which
 * consents hold, and from these the masks. Then each item costs two AND operations; only where something depends on the
 * item is it asked. Everything starts at "withheld" and becomes "released" in one place, in `judge`.
 */
#include "change.h"
#include "ruling.h"

/* ---- The recipient ---- */

#define BYTES(s)                                                                                                       \
    {                                                                                                                  \
        (s), sizeof(s) - 1                                                                                             \
    }

/* Bytes of the invisible character at the front of the text; 0: what stands there can be seen. */
static size_t invisible(struct sl_slice text)
{
    static const struct sl_slice unseen[] = {
        /* UTF-8: no-break and other spaces, joiners, direction marks, byte order mark */
        BYTES("\xc2\xa0"), BYTES("\xc2\xad"), BYTES("\xe1\x9a\x80"), BYTES("\xe2\x81\xa0"), BYTES("\xe3\x80\x80"),
        BYTES("\xe2\x81\x9f"), BYTES("\xef\xbb\xbf")};
    unsigned char c = (unsigned char)text.ptr[0];
    if (c <= ' ' || c == 0x7f)
        return 1;
    for (size_t i = 0; i < sizeof unseen / sizeof *unseen; i++)
        if (sl_slice_starts(text, unseen[i]))
            return unseen[i].len;
    /* U+2000 to U+200F, and U+2028 to U+202F. */
    unsigned char last = text.len > 2 ? (unsigned char)text.ptr[2] : 0;
    bool marks = (last >= 0x80 && last <= 0x8f) || (last >= 0xa8 && last <= 0xaf);
    return sl_slice_starts(text, SL_LIT("\xe2\x80")) && marks ? 3 : 0;
}

static bool visible(struct sl_slice text)
{
    while (text.len) {
        size_t unseen = invisible(text);
        if (!unseen)
            return true;
        text = sl_slice_from(text, unseen);
    }
    return false;
}

bool sl_emergency_complete(const struct sl_emergency *e)
{
    return e && visible(e->clinician) && visible(e->affiliation) && visible(e->discloser) && visible(e->nature) &&
           e->consent_unobtainable;
}

static bool has_any(const struct sl_words *words, struct sl_slice value)
{
    return !words->count || (value.len && sl_words_have(words, value));
}

static bool meets_any(const struct sl_words *words, const struct sl_slice *values, size_t count)
{
    return !words->count || sl_words_meet(words, values, count);
}

/* One agreement must be of the kind and name the service that are asked for. */
static bool contracted(const struct sl_party *party, const struct sl_recipient *r)
{
    if (!party->agreements.count && !party->services.count)
        return true;
    for (size_t i = 0; i < r->agreement_count; i++)
        if (has_any(&party->agreements, r->agreements[i].kind) &&
            meets_any(&party->services, r->agreements[i].services, r->agreements[i].service_count))
            return true;
    return false;
}

static bool exchanges(const struct sl_party *party, const struct sl_recipient *r)
{
    const struct sl_exchange_purpose *exchange = party->exchanges ? sl_exchange_find(r->exchange_purpose) : NULL;
    return !party->exchanges || (exchange && party->exchanges >> (exchange - sl_exchange_at(0)) & 1);
}

/* Everything a party asks but the relationship, which depends on the patient. */
static bool fits(const struct sl_party *party, const struct sl_recipient *r, bool emergency)
{
    if (party->builtin || (party->emergency && !emergency))
        return false;
    if (r->party.len)
        return sl_slice_eq(party->id, r->party);
    return meets_any(&party->roles, r->roles, r->role_count) && meets_any(&party->kinds, r->kinds, r->kind_count) &&
           meets_any(&party->networks, r->networks, r->network_count) && exchanges(party, r) && contracted(party, r) &&
           has_any(&party->organizations, r->organization) && has_any(&party->clients, r->client) &&
           !sl_words_meet(&party->except_kinds, r->kinds, r->kind_count);
}

/* Whose word counts, and how long ago it may be that a record tells of. */
struct proof {
    unsigned vouchers;
    int64_t oldest;
};

static struct proof proof_of(const struct sl_party *party, int64_t now)
{
    return (struct proof){party->vouchers, party->within_days ? now - (int64_t)party->within_days * 86400 : INT64_MIN};
}

/* A relationship counts only if somebody vouches for it; a declaration never does. */
static bool proves(const struct sl_relationship *relationship, const struct sl_words *kinds, struct proof proof)
{
    return relationship->voucher != SL_BY_NOBODY && relationship->voucher != SL_BY_DECLARATION &&
           (proof.vouchers >> relationship->voucher & 1) && sl_words_have(kinds, relationship->kind) &&
           (!relationship->since || relationship->since >= proof.oldest);
}

static bool related_to(
    const struct sl_recipient *r, const struct sl_words *kinds, struct proof proof, struct sl_slice person)
{
    for (size_t i = 0; i < r->relationship_count; i++) {
        const struct sl_relationship *relationship = &r->relationships[i];
        bool about = sl_slice_eq(relationship->patient, SL_LIT("*")) ||
                     (person.len && sl_slice_eq(relationship->patient, person));
        if (about && proves(relationship, kinds, proof))
            return true;
    }
    return false;
}

bool sl_party_lacks_relation(const struct sl_party *party, const struct sl_recipient *recipient, struct sl_slice person)
{
    return !recipient->party.len && party->relationships.count &&
           fits(party, recipient, sl_emergency_complete(recipient->emergency)) &&
           !related_to(recipient, &party->relationships, proof_of(party, 0), person);
}

/* With each person the item is about; with nobody at hand, with everybody ("*"). */
static bool related(const struct sl_ruling *ruling, const struct sl_words *kinds, struct proof proof)
{
    const struct sl_recipient *r = &ruling->recipient;
    if (!ruling->person_count)
        return related_to(r, kinds, proof, (struct sl_slice){NULL, 0});
    for (size_t i = 0; i < ruling->person_count; i++)
        if (!related_to(r, kinds, proof, ruling->persons[i]))
            return false;
    return true;
}

static bool related_to_somebody(const struct sl_recipient *r, const struct sl_party *party, int64_t now)
{
    for (size_t i = 0; i < r->relationship_count; i++)
        if (proves(&r->relationships[i], &party->relationships, proof_of(party, now)))
            return true;
    return false;
}

/* What is about nobody (an Organization, a Medication that many may refer to) needs no relationship with anybody in
 * particular; a record that should name a patient and names none is nobody's (`nobody`). */
static void find_parties(struct sl_ruling *ruling)
{
    const struct sl_policy *policy = ruling->policy;
    for (unsigned i = 0; i < policy->party_count; i++) {
        const struct sl_party *party = &policy->parties[i];
        if (!fits(party, &ruling->recipient, ruling->emergency))
            continue;
        if (party->agreement_until && ruling->now >= party->agreement_until)
            continue;
        ruling->known = true;
        bool named = ruling->recipient.party.len > 0;
        bool close = named || !party->relationships.count ||
                     related(ruling, &party->relationships, proof_of(party, ruling->now));
        if (!close && (ruling->person_count || !related_to_somebody(&ruling->recipient, party, ruling->now)))
            continue;
        if (!close)
            ruling->nobody = true;
        ruling->parties |= (uint64_t)1 << i;
        ruling->party_ids[ruling->party_count++] = party->id;
    }
}

static bool is_named(const struct sl_ruling *ruling, enum sl_builtin party)
{
    return sl_slice_eq(ruling->recipient.party, ruling->policy->party_ids[party]);
}

/* The built-in parties that it may be for some item: of a program, whoever belongs to an organization; named in a
 * Consent, whom one of those at hand names. */
static uint64_t could_be(const struct sl_ruling *ruling)
{
    uint64_t could = 0;
    if (ruling->recipient.organization.len || is_named(ruling, SL_PARTY_STAFF))
        could |= (uint64_t)1 << SL_PARTY_STAFF;
    for (size_t i = 0; i < ruling->candidate_count; i++)
        if (ruling->candidates[i].kinds & SL_KIND_NAMED)
            could |= (uint64_t)1 << SL_PARTY_NAMED;
    return could & ruling->policy->asked_parties;
}

/* ---- Rules ---- */

/* What restricts everyone restricts strangers too; what is released to everyone is released to those we know. */
static bool is_to(const struct sl_rule *rule, uint64_t parties, bool known)
{
    return rule->everyone ? known || rule->verdict != SL_RULE_RELEASE : (rule->parties & parties) != 0;
}

bool sl_ruling_within(const struct sl_ruling *ruling, const struct sl_duties *duties)
{
    return !duties->time_box || (ruling->declared_hours && ruling->declared_hours <= duties->time_box);
}

/* An hour begun counts. What was declared in the future was not declared. */
static uint32_t hours_since(const struct sl_emergency *e, int64_t now)
{
    if (!e || !e->made || e->made > now || now - e->made >= (int64_t)3600 * UINT16_MAX)
        return 0;
    return (uint32_t)((now - e->made) / 3600 + 1);
}

bool sl_rule_reaches(const struct sl_ruling *ruling, const struct sl_rule *rule)
{
    if (rule->until && ruling->now >= rule->until)
        return false;
    return rule->purposes & ruling->purpose &&
           is_to(rule, ruling->parties | ruling->could, ruling->known || ruling->could);
}

/* Where the built-in parties that make it so are the recipient's in this state. */
static bool reaches_in(const struct sl_ruling *ruling, const struct sl_rule *rule, const struct state *state)
{
    uint64_t parties = sl_parties_in(ruling, state);
    return is_to(rule, parties, ruling->known || parties);
}

static enum sl_status find_rules(struct sl_ruling *ruling, struct sl_arena *arena)
{
    const struct sl_policy *policy = ruling->policy;
    ruling->rules = sl_arena_raw(arena, policy->rule_count + 1, sizeof *ruling->rules);
    if (!ruling->rules)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < policy->rule_count; i++)
        if (sl_rule_reaches(ruling, &policy->rules[i])) {
            ruling->rules[ruling->rule_count++] = &policy->rules[i];
            ruling->terms |= sl_rule_has_terms(&policy->rules[i]);
        }
    return SL_OK;
}

static bool relationship_holds(const struct sl_ruling *ruling, const struct sl_words *kinds)
{
    const struct sl_recipient *r = &ruling->recipient;
    if (!r->party.len)
        return related(ruling, kinds, (struct proof){~0u, INT64_MIN});
    /* A party named outright has its relationships with the patient at hand. */
    unsigned named = sl_policy_party(ruling->policy, r->party);
    const struct sl_words *its = named < SL_PARTY_LIMIT ? &ruling->policy->parties[named].relationships : kinds;
    return named < SL_PARTY_LIMIT && (ruling->parties >> named & 1) && sl_words_meet(kinds, its->word, its->count);
}

bool sl_ruling_related(const struct sl_ruling *ruling, const struct sl_words *kinds, struct sl_slice person)
{
    return ruling->recipient.party.len ? relationship_holds(ruling, kinds)
                                       : related_to(&ruling->recipient, kinds, (struct proof){~0u, INT64_MIN}, person);
}

/* Could somebody who is this party and no other be of this kind? */
static bool can_be_of(const struct sl_policy *policy, unsigned party, struct sl_slice kind)
{
    const struct sl_party *its = &policy->parties[party];
    if (its->kinds.count)
        return sl_words_have(&its->kinds, kind);
    for (unsigned p = 0; p < policy->party_count; p++)
        if (p != party && sl_words_have(&policy->parties[p].kinds, kind))
            return false;
    return !sl_words_have(&its->except_kinds, kind);
}

/* A party named outright, of which no kind is said, is of the kind that is asked for, if it can be. */
static bool may_be_of(const struct sl_ruling *ruling, const struct sl_words *kinds)
{
    unsigned party = sl_policy_party(ruling->policy, ruling->recipient.party);
    for (size_t i = 0; i < kinds->count && party < SL_PARTY_LIMIT; i++)
        if (can_be_of(ruling->policy, party, kinds->word[i]))
            return true;
    return false;
}

static bool recipient_is(const struct sl_ruling *ruling, const struct sl_condition *c)
{
    const struct sl_recipient *r = &ruling->recipient;
    bool named = r->party.len && !r->kind_count;
    return (!c->recipient.count ||
               (named ? may_be_of(ruling, &c->recipient) : sl_words_meet(&c->recipient, r->kinds, r->kind_count))) &&
           !sl_words_meet(&c->not_recipient, r->kinds, r->kind_count);
}

bool sl_condition_holds(const struct sl_ruling *ruling, const struct sl_condition *c, const struct state *state)
{
    /* What is a comparison of bits comes first: most lines fail by it. */
    if ((c->facts & ~state->facts) || (c->kinds && !(c->kinds & state->kinds)) ||
        (c->purposes && !(c->purposes & ruling->purpose)) || (c->emergency && !ruling->emergency) ||
        (c->parties && !(c->parties & sl_parties_in(ruling, state))))
        return false;
    for (unsigned i = 0; i < SL_CHOICES; i++)
        if (c->one_of[i] && !(c->one_of[i] & state->facts))
            return false;
    return sl_ruling_within(ruling, &c->then) && recipient_is(ruling, c) &&
           (!c->relationships.count || relationship_holds(ruling, &c->relationships));
}

static unsigned weight(const struct sl_duties *d)
{
    return d->notice + d->scope + d->account + d->emergency_record + d->notify + (d->review_days > 0) +
           (d->labels ? (unsigned)d->labels->label_count : 0);
}

const struct sl_condition *sl_condition_relied(
    const struct sl_ruling *ruling, const struct sl_condition *lines, size_t count, const struct state *state)
{
    const struct sl_condition *best = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct sl_condition *line = &lines[i];
        if (!sl_condition_holds(ruling, line, state))
            continue;
        bool same = best && line->emergency == best->emergency;
        if (!best || line->emergency < best->emergency || (same && !line->term && best->term) ||
            (same && !line->term == !best->term && weight(&line->then) < weight(&best->then)))
            best = line;
    }
    return best;
}

static bool any_holds(
    const struct sl_ruling *ruling, const struct sl_condition *lines, size_t count, const struct state *state)
{
    for (size_t i = 0; i < count; i++)
        if (sl_condition_holds(ruling, &lines[i], state))
            return true;
    return false;
}

/* Two states, so that one can ask for the worst case: what makes it speak, and what makes it silent. */
static bool speaks(const struct sl_ruling *ruling, const struct sl_rule *rule, const struct state *spoken,
    const struct state *silenced)
{
    if (!reaches_in(ruling, rule, spoken) || rule->facts & ~spoken->facts || !sl_ruling_within(ruling, &rule->then))
        return false;
    if (rule->only_if_count && !any_holds(ruling, rule->only_if, rule->only_if_count, spoken))
        return false;
    return !any_holds(ruling, rule->unless, rule->unless_count, silenced);
}

bool sl_rule_speaks(const struct sl_ruling *ruling, const struct sl_rule *rule, const struct state *state)
{
    return speaks(ruling, rule, state, state);
}

static struct sl_classes reach_of(
    const struct sl_ruling *ruling, const struct sl_rule *rule, const struct state *low, const struct state *high)
{
    struct sl_classes reach = rule->data;
    for (size_t i = 0; i < rule->lifted_by_count; i++) {
        const struct sl_rule *lifter = &ruling->policy->rules[rule->lifted_by[i]];
        if (sl_rule_reaches(ruling, lifter) && speaks(ruling, lifter, low, high))
            sl_classes_cut(&reach, &lifter->data);
    }
    return reach;
}

struct sl_classes sl_rule_reach(const struct sl_ruling *ruling, const struct sl_rule *rule, const struct state *state)
{
    return reach_of(ruling, rule, state, state);
}

bool sl_rule_rests_on_emergency(const struct sl_ruling *ruling, const struct sl_rule *rule, const struct state *state)
{
    if (!rule->everyone && !(rule->parties & sl_parties_in(ruling, state) & ~ruling->policy->emergency_parties))
        return true;
    const struct sl_condition *line = sl_condition_relied(ruling, rule->only_if, rule->only_if_count, state);
    return line && line->emergency;
}

/* ---- Masks ---- */

/* The masks where consents and facts are between `low` and `high`: a yes must hold at low, a no is silent only if it
 * is at low. With low and high the same it is the masks of that state. */
static void make_masks(
    const struct sl_ruling *ruling, const struct state *low, const struct state *high, struct masks *out)
{
    struct sl_classes yes = {0};
    *out = (struct masks){.lacks = ruling->policy->needs_yes};
    sl_classes_join(&out->lacks, &ruling->policy->strange);
    for (size_t i = 0; i < ruling->rule_count; i++) {
        const struct sl_rule *rule = ruling->rules[i];
        if (rule->verdict == SL_RULE_RELEASE) {
            if (speaks(ruling, rule, low, high))
                sl_classes_join(&yes, &rule->data);
        } else if (!rule->narrows && speaks(ruling, rule, high, low)) {
            struct sl_classes reach = reach_of(ruling, rule, low, high);
            sl_classes_join(&out->no, &reach);
        }
    }
    sl_classes_cut(&out->lacks, &yes);
}

void sl_masks_at_best(const struct sl_ruling *ruling, bool facts, struct masks *out)
{
    const struct state none = {0}, all = {.kinds = ~0u, .facts = facts ? ~0u : 0};
    make_masks(ruling, &all, &none, out);
}

/* The masks of a state: made when first needed. */
static struct masks_kept *masks_of(const struct sl_ruling *ruling, const struct state *state)
{
    uint32_t kinds = state->kinds & ruling->open_kinds, facts = state->facts & ruling->open_facts;
    uint32_t mixed = (kinds * 0x9e3779b1u) ^ (facts * 0x85ebca6bu), place = mixed ^ mixed >> 16;
    struct masks_kept *kept = NULL;
    for (unsigned i = 0; i < MASKS_TRIED; i++) {
        kept = &ruling->kept[(place + i) % MASKS_KEPT];
        if (!kept->made)
            break;
        if (kept->kinds == kinds && kept->facts == facts)
            return kept;
    }
    *kept = (struct masks_kept){.made = true, .kinds = kinds, .facts = facts};
    make_masks(ruling, state, state, &kept->masks);
    return kept;
}

static void add_difference(const struct masks *a, const struct masks *b, struct sl_classes *out)
{
    for (unsigned w = 0; w < SL_CLASS_WORDS; w++)
        out->word[w] |= (a->lacks.word[w] ^ b->lacks.word[w]) | (a->no.word[w] ^ b->no.word[w]);
}

/* Of classes whose masks are the same at worst and at best, every state has the same. */
static enum sl_status prepare_masks(struct sl_ruling *ruling, struct sl_arena *arena)
{
    /* What the register keeps back from somebody says nothing of what he may have otherwise, as a denial does not. */
    const struct state none = {0}, all = {.kinds = ~0u, .facts = ~ruling->policy->restrictions};
    struct state most = ruling->plain;
    struct masks worst, best;
    make_masks(ruling, &none, &all, &ruling->may);
    ruling->plain_kept = sl_arena_alloc(arena, sizeof *ruling->plain_kept);
    if (!ruling->plain_kept)
        return SL_NO_MEMORY;
    make_masks(ruling, &ruling->plain, &ruling->plain, &ruling->plain_kept->masks);
    if (!ruling->open_kinds && !ruling->open_facts)
        return SL_OK;
    most.kinds |= ruling->open_kinds;
    most.facts |= ruling->open_facts;
    make_masks(ruling, &ruling->plain, &most, &worst);
    make_masks(ruling, &most, &ruling->plain, &best);
    add_difference(&worst, &best, &ruling->varying);
    ruling->kept = sl_arena_array(arena, MASKS_KEPT, sizeof *ruling->kept);
    return ruling->kept ? SL_OK : SL_NO_MEMORY;
}

/* ---- Consents ---- */

static unsigned person_of(const struct sl_ruling *ruling, const struct sl_directive *directive)
{
    struct sl_slice patient = sl_directive_patient(directive);
    unsigned i = 0;
    while (i < ruling->person_count && !sl_slice_eq(ruling->persons[i], patient))
        i++;
    return i;
}

/* Built-in parties are told by a kind of consent and a fact. */
static void ask_parties(uint64_t parties, struct state *asked)
{
    asked->kinds |= parties >> SL_PARTY_NAMED & 1 ? SL_KIND_NAMED : 0;
    asked->facts |= parties >> SL_PARTY_STAFF & 1 ? SL_FACT_STAFF : 0;
}

static void ask_lines(const struct sl_condition *lines, size_t count, struct state *asked)
{
    for (size_t i = 0; i < count; i++) {
        asked->kinds |= lines[i].kinds;
        asked->facts |= lines[i].facts;
        for (unsigned k = 0; k < SL_CHOICES; k++)
            asked->facts |= lines[i].one_of[k];
        ask_parties(lines[i].parties, asked);
    }
}

/* The kinds and facts that rules at hand ask for. */
static struct state all_asked(const struct sl_ruling *ruling)
{
    struct state asked = {0};
    for (size_t i = 0; i < ruling->rule_count; i++) {
        const struct sl_rule *rule = ruling->rules[i];
        ask_parties(rule->parties, &asked);
        asked.facts |= rule->facts;
        ask_lines(rule->only_if, rule->only_if_count, &asked);
        ask_lines(rule->unless, rule->unless_count, &asked);
    }
    if (ruling->could)
        ask_parties(ruling->could, &asked); /* a release to everyone reaches them, too */
    return asked;
}

static bool asks_facts(const struct sl_rule *rule, uint32_t facts)
{
    struct state asked = {.facts = rule->facts};
    ask_parties(rule->parties, &asked);
    ask_lines(rule->only_if, rule->only_if_count, &asked);
    ask_lines(rule->unless, rule->unless_count, &asked);
    return asked.facts & facts;
}

/* Those that the item's program answers, which the label book keeps. */
static uint32_t facts_by_program(const struct sl_policy *policy)
{
    uint32_t facts = 0;
    for (unsigned i = 0; i < policy->predicate_count; i++)
        if (policy->predicates[i].asks == SL_ASKS_PROGRAM || policy->predicates[i].asks == SL_ASKS_OF ||
            policy->predicates[i].asks == SL_ASKS_SERVED)
            facts |= (uint32_t)1 << i;
    return facts;
}

/* What is decided, or relied on, by facts of the item: the classes of the rules at hand that ask for one. Whose program
 * it is of is told by its program, which whoever compares items compares as well. */
static void find_by_fact(struct sl_ruling *ruling)
{
    uint32_t by_program = facts_by_program(ruling->policy);
    for (size_t i = 0; i < ruling->rule_count; i++) {
        if (asks_facts(ruling->rules[i], ruling->open_facts & ~SL_FACT_STAFF))
            sl_classes_join(&ruling->by_fact, &ruling->rules[i]->data);
        if (asks_facts(ruling->rules[i], ruling->open_facts & ~by_program))
            sl_classes_join(&ruling->by_record_fact, &ruling->rules[i]->data);
    }
}

/*
 * 42 CFR 2.31(a)(4)(ii): through an intermediary, a general designation must be limited to participants who have a
 * treating provider relationship with the patient. One that is proven; what somebody declares of himself proves none.
 */
static bool designates(const struct sl_ruling *ruling, const struct sl_directive *d, unsigned person)
{
    static const struct sl_slice treating[] = {
        {"treating", 8}, {"care-team", 9}, {"open-referral", 13}, {"recent-encounter", 16}};
    const struct sl_words kinds = {treating, sizeof treating / sizeof *treating};
    const struct sl_recipient *r = &ruling->recipient;
    if (!ruling->policy->intermediary || person >= ruling->person_count || !sl_directive_is_general(d, r, ruling->now))
        return true;
    return r->party.len ? relationship_holds(ruling, &kinds)
                        : related_to(r, &kinds, (struct proof){~0u, INT64_MIN}, ruling->persons[person]);
}

/* Judged without an item: for every item, where none matters; else DENY tells that it could deny some item. */
static void add_candidate(struct sl_ruling *ruling, const struct sl_directive *d, unsigned person)
{
    struct candidate c = {.directive = d, .person = person, .by_item = sl_directive_by_item(d)};
    c.kinds = sl_directive_kinds(d, ruling->policy, sl_purpose_find(ruling->recipient.purpose), ruling->now);
    c.verdict = sl_directive_judge(d, ruling->policy, &ruling->recipient, NULL, NULL, ruling->now);
    if (is_named(ruling, SL_PARTY_NAMED) || sl_directive_names(d, &ruling->recipient, ruling->now))
        c.kinds |= SL_KIND_NAMED;
    if (!designates(ruling, d, person))
        c.kinds = 0;
    c.by_discloser = c.by_item && sl_directive_by_discloser(d);
    ruling->by_consent |= c.by_item;
    ruling->by_more |= c.by_item && !c.by_discloser;
    ruling->by_record |= sl_directive_by_record(d);
    ruling->may_deny |= c.by_item && c.verdict == SL_CONSENT_DENY && !ruling->denials_give_way;
    ruling->candidates[ruling->candidate_count++] = c;
}

/* Those of one person stand together, in the order of persons, and strangers' come last. */
static enum sl_status find_candidates(
    struct sl_ruling *ruling, const struct sl_directives *directives, struct sl_arena *arena)
{
    if (!directives || !directives->count)
        return SL_OK;
    ruling->candidates = sl_arena_raw(arena, directives->count, sizeof *ruling->candidates);
    if (!ruling->candidates)
        return SL_NO_MEMORY;
    for (unsigned person = 0; person <= ruling->person_count; person++)
        for (const struct sl_directive *d = directives->first; d; d = sl_directive_next(d))
            if (person_of(ruling, d) == person && ruling->candidate_count < directives->count &&
                sl_directive_concerns(d, &ruling->recipient, ruling->now))
                add_candidate(ruling, d, person);
    return SL_OK;
}

/* Room for what is said of each discloser, if consents depend on that. */
static enum sl_status prepare_disclosers(struct sl_ruling *ruling, struct sl_arena *arena)
{
    bool any = false;
    for (size_t i = 0; i < ruling->candidate_count; i++)
        any |= ruling->candidates[i].by_discloser;
    if (!any)
        return SL_OK;
    enum sl_consent_verdict *verdicts =
        sl_arena_array(arena, DISCLOSERS_KEPT * ruling->candidate_count, sizeof *verdicts);
    ruling->disclosers = verdicts ? sl_arena_alloc(arena, sizeof *ruling->disclosers) : NULL;
    if (!ruling->disclosers)
        return SL_NO_MEMORY;
    for (unsigned i = 0; i < DISCLOSERS_KEPT; i++)
        ruling->disclosers->kept[i].verdicts = verdicts + i * ruling->candidate_count;
    return SL_OK;
}

/* Names of one kind differ at their ends, which costs less to look at than a comparison. */
static bool is_name(const char *at, size_t length, struct sl_slice name)
{
    return length == name.len && (!length || (at[length - 1] == name.ptr[length - 1] && !memcmp(at, name.ptr, length)));
}

static bool is_of(const struct discloser *kept, const struct sl_slice *names)
{
    const char *at = kept->names;
    for (unsigned i = 0; i < DISCLOSER_NAMES; at += kept->length[i++])
        if (!is_name(at, kept->length[i], names[i]))
            return false;
    return true;
}

static bool set_names(struct discloser *kept, const struct sl_slice *names)
{
    size_t used = 0;
    for (unsigned i = 0; i < DISCLOSER_NAMES; used += names[i++].len) {
        if (names[i].len > DISCLOSER_BYTES - used)
            return false;
        kept->length[i] = names[i].len;
        if (names[i].len)
            memcpy(kept->names + used, names[i].ptr, names[i].len);
    }
    return true;
}

static struct state weigh_consents(
    const struct sl_ruling *ruling, const struct sl_item *item, const struct sl_classes *classes, bool open);

/* What consents say of items of this discloser; judged when its first comes. NULL: its names are too long to keep. */
static const struct discloser *discloser_of(const struct sl_ruling *ruling, const struct sl_item *item)
{
    const struct sl_slice names[DISCLOSER_NAMES] = {item->custodian, item->program, item->named_program};
    struct disclosers *all = ruling->disclosers;
    for (unsigned i = 0; i < DISCLOSERS_KEPT && all->kept[i].made; i++)
        if (is_of(&all->kept[i], names))
            return &all->kept[i];
    struct discloser *kept = &all->kept[all->next];
    kept->made = false;
    if (!set_names(kept, names))
        return NULL;
    all->next = (all->next + 1) % DISCLOSERS_KEPT;
    kept->made = true;
    for (size_t i = 0; i < ruling->candidate_count; i++)
        if (ruling->candidates[i].by_discloser)
            kept->verdicts[i] = sl_directive_judge(
                ruling->candidates[i].directive, ruling->policy, &ruling->recipient, item, NULL, ruling->now);
    if (!ruling->by_more)
        kept->state = weigh_consents(ruling, item, NULL, false);
    return kept;
}

enum sl_consent_verdict sl_candidate_verdict(const struct sl_ruling *ruling, const struct candidate *c,
    const struct sl_item *item, const struct sl_classes *classes)
{
    if (!c->by_item)
        return c->verdict;
    if (!item)
        return SL_CONSENT_SILENT;
    const struct discloser *kept = c->by_discloser ? discloser_of(ruling, item) : NULL;
    return kept ? kept->verdicts[c - ruling->candidates]
                : sl_directive_judge(c->directive, ruling->policy, &ruling->recipient, item, classes, ruling->now);
}

/*
 * What consents come to for an item: the kinds that each of the persons gives (of nobody there is no consent), and the
 * first denial, whoever made it. `open`: as if every consent that depends on the item covered it.
 */
static struct state weigh_consents(
    const struct sl_ruling *ruling, const struct sl_item *item, const struct sl_classes *classes, bool open)
{
    struct state state = {.kinds = ruling->person_count ? ~0u : 0};
    unsigned person = 0;
    uint32_t given = 0;
    for (size_t i = 0; i < ruling->candidate_count; i++) {
        const struct candidate *c = &ruling->candidates[i];
        for (; person < c->person && person < ruling->person_count; person++) {
            state.kinds &= given;
            given = 0;
        }
        enum sl_consent_verdict verdict =
            open && c->by_item ? SL_CONSENT_PERMIT : sl_candidate_verdict(ruling, c, item, classes);
        if (verdict == SL_CONSENT_PERMIT && c->person < ruling->person_count)
            given |= c->kinds;
        if (verdict == SL_CONSENT_DENY && !state.denial && !ruling->denials_give_way)
            state.denial = c->directive;
    }
    for (; person < ruling->person_count; person++) {
        state.kinds &= given;
        given = 0;
    }
    return state;
}

static void settle(struct sl_ruling *ruling)
{
    struct state asked = all_asked(ruling);
    ruling->plain = weigh_consents(ruling, NULL, NULL, false);
    if (ruling->by_consent)
        ruling->open_kinds = weigh_consents(ruling, NULL, NULL, true).kinds & ~ruling->plain.kinds & asked.kinds;
    ruling->open_facts = sl_facts_open(ruling, asked.facts);
}

struct state sl_state_of(const struct sl_ruling *ruling, const struct sl_item *item, const struct sl_classes *classes)
{
    const struct discloser *kept = ruling->disclosers && !ruling->by_more ? discloser_of(ruling, item) : NULL;
    struct state state = kept                 ? kept->state
                         : ruling->by_consent ? weigh_consents(ruling, item, classes, false)
                                              : ruling->plain;
    if (ruling->open_facts)
        state.facts |= sl_facts_of(ruling, item, classes, ruling->open_facts);
    return state;
}

/* ---- The ruling ---- */

static struct sl_ruling *ruling_of(
    struct sl_arena *arena, const struct sl_policy *policy, const struct sl_recipient *recipient, int64_t now)
{
    struct sl_ruling *ruling = sl_arena_alloc(arena, sizeof *ruling);
    if (!ruling)
        return NULL;
    ruling->policy = policy;
    ruling->recipient = *recipient;
    ruling->now = now;
    ruling->purpose = sl_purpose_bit(sl_purpose_find(recipient->purpose));
    ruling->emergency = sl_emergency_complete(recipient->emergency);
    ruling->declared_hours = hours_since(recipient->emergency, now);
    return ruling;
}

/* Every class that a code or words can earn, and that words can repeat. */
static bool may_text(const struct sl_ruling *ruling)
{
    const struct sl_earning *earning = &ruling->policy->earning;
    struct sl_classes wanted = ruling->policy->in_text;
    sl_classes_join(&wanted, &earning->text);
    for (size_t i = 0; earning->words && i < SL_MENTIONS; i++)
        sl_classes_join(&wanted, &earning->by_mention[i]);
    return !sl_classes_empty(&wanted) && !sl_classes_meet(&ruling->may.lacks, &wanted) &&
           !sl_classes_meet(&ruling->may.no, &wanted);
}

/* 2.26(a)(5) and 45 CFR 164.522(a)(1)(iii): a restriction does not stand in the way of emergency treatment. */
static void let_denials_give_way(struct sl_ruling *ruling)
{
    ruling->denials_give_way = ruling->policy->denials_give_way && ruling->emergency &&
                               (ruling->parties & ruling->policy->emergency_parties) &&
                               sl_purpose_within(sl_purpose_find(ruling->recipient.purpose), SL_LIT("ETREAT"));
}

enum sl_status sl_ruling_new(struct sl_arena *arena, const struct sl_policy *policy,
    const struct sl_recipient *recipient, const struct sl_slice *patients, size_t patient_count,
    const struct sl_directives *directives, int64_t now, struct sl_ruling **out)
{
    return sl_ruling_new_under(arena, policy, recipient, patients, patient_count, directives, NULL, now, out);
}

enum sl_status sl_ruling_new_under(struct sl_arena *arena, const struct sl_policy *policy,
    const struct sl_recipient *recipient, const struct sl_slice *patients, size_t patient_count,
    const struct sl_directives *directives, const struct sl_registered *registered, int64_t now, struct sl_ruling **out)
{
    *out = NULL;
    struct sl_ruling *ruling = ruling_of(arena, policy, recipient, now);
    if (!ruling)
        return SL_NO_MEMORY;
    ruling->persons = patients;
    ruling->person_count = patient_count;
    find_parties(ruling);
    let_denials_give_way(ruling);
    SL_TRY(find_candidates(ruling, directives, arena));
    SL_TRY(prepare_disclosers(ruling, arena));
    ruling->could = could_be(ruling);
    SL_TRY(find_rules(ruling, arena));
    ruling->registered = registered;
    ruling->kin = directives ? directives->kin : NULL;
    SL_TRY(sl_facts_prepare(ruling, arena));
    settle(ruling);
    SL_TRY(prepare_masks(ruling, arena));
    find_by_fact(ruling);
    ruling->may_text = may_text(ruling);
    *out = ruling;
    return SL_OK;
}

enum sl_status sl_ruling_supposed(struct sl_arena *arena, const struct sl_policy *policy,
    const struct sl_recipient *recipient, const struct sl_slice *patients, size_t patient_count, int64_t now,
    const struct state *given, struct sl_ruling **out)
{
    *out = NULL;
    struct sl_ruling *ruling = ruling_of(arena, policy, recipient, now);
    if (!ruling)
        return SL_NO_MEMORY;
    ruling->persons = patients;
    ruling->person_count = patient_count;
    find_parties(ruling);
    let_denials_give_way(ruling);
    ruling->plain = *given;
    if (ruling->denials_give_way)
        ruling->plain.denial = NULL;
    ruling->could = sl_parties_in(ruling, &ruling->plain) & (((uint64_t)1 << SL_BUILTINS) - 1);
    SL_TRY(find_rules(ruling, arena));
    SL_TRY(prepare_masks(ruling, arena));
    find_by_fact(ruling);
    ruling->may_text = may_text(ruling);
    *out = ruling;
    return SL_OK;
}

bool sl_ruling_by_item(const struct sl_ruling *ruling, const struct sl_classes *classes)
{
    return ruling->by_consent || sl_classes_meet(classes, &ruling->by_fact);
}

bool sl_ruling_by_record(const struct sl_ruling *ruling, const struct sl_classes *classes)
{
    return ruling->by_record || sl_classes_meet(classes, &ruling->by_record_fact);
}

const struct sl_slice *sl_ruling_persons(const struct sl_ruling *ruling, size_t *count)
{
    *count = ruling->person_count;
    return ruling->persons;
}

const struct sl_slice *sl_ruling_parties(const struct sl_ruling *ruling, size_t *count)
{
    *count = ruling->party_count;
    return ruling->party_ids;
}

bool sl_ruling_may(const struct sl_ruling *ruling, unsigned class_bit)
{
    return class_bit < ruling->policy->class_count && !sl_classes_has(&ruling->may.lacks, class_bit) &&
           !sl_classes_has(&ruling->may.no, class_bit);
}

bool sl_ruling_may_text(const struct sl_ruling *ruling)
{
    return ruling->may_text;
}

bool sl_ruling_regenerates(const struct sl_ruling *ruling)
{
    return ruling->policy->regenerate && !ruling->may_text;
}

/* ---- Admission ---- */

/* As if consent, program and patient were as good as they can be. */
static bool could_hold(const struct sl_ruling *ruling, const struct sl_condition *lines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct sl_condition *c = &lines[i];
        if ((!c->purposes || (c->purposes & ruling->purpose)) &&
            (!c->parties || (c->parties & (ruling->parties | ruling->could))) && (!c->emergency || ruling->emergency))
            return true;
    }
    return false;
}

static bool could_have_anything(const struct sl_ruling *ruling)
{
    struct sl_classes yes = {0}, no = {0};
    for (size_t i = 0; i < ruling->policy->rule_count; i++) {
        const struct sl_rule *rule = &ruling->policy->rules[i];
        if (!sl_rule_reaches(ruling, rule))
            continue;
        if (rule->verdict == SL_RULE_RELEASE) {
            if (!rule->only_if_count || could_hold(ruling, rule->only_if, rule->only_if_count))
                sl_classes_join(&yes, &rule->data);
        } else if (!rule->narrows && !rule->facts && !rule->only_if_count &&
                   !could_hold(ruling, rule->unless, rule->unless_count) && !rule->lifted_by_count) {
            sl_classes_join(&no, &rule->data);
        }
    }
    sl_classes_cut(&yes, &no);
    return sl_classes_meet(&yes, &ruling->policy->needs_yes);
}

/* Would it fit a party, had it declared an emergency as it must? */
static bool lacks_only_declaration(const struct sl_policy *policy, const struct sl_recipient *recipient)
{
    for (unsigned i = 0; i < policy->party_count; i++)
        if (policy->parties[i].emergency && fits(&policy->parties[i], recipient, true))
            return true;
    return false;
}

/* Before anything of a patient is known, anybody whom a Consent can name may be named in one. */
static uint64_t could_ever_be(const struct sl_ruling *ruling)
{
    const struct sl_recipient *r = &ruling->recipient;
    bool someone = r->client.len || r->organization.len || r->user_reference.len || is_named(ruling, SL_PARTY_NAMED);
    uint64_t named = someone ? (uint64_t)1 << SL_PARTY_NAMED & ruling->policy->asked_parties : 0;
    return could_be(ruling) | named;
}

enum sl_status sl_admit(const struct sl_policy *policy, const struct sl_recipient *recipient)
{
    struct sl_slice purpose = sl_purpose_find(recipient->purpose);
    struct sl_ruling ruling = {.policy = policy,
        .recipient = *recipient,
        .purpose = sl_purpose_bit(purpose),
        .emergency = sl_emergency_complete(recipient->emergency)};
    /* Breaking the glass is nothing without the statement of 2.51; one that is begun is completed or refused. */
    if (!ruling.emergency && (recipient->emergency || sl_slice_eq(purpose, SL_LIT("BTG"))))
        return SL_EMERGENCY_INCOMPLETE;
    for (unsigned i = 0; i < policy->party_count; i++)
        if (fits(&policy->parties[i], recipient, ruling.emergency)) {
            ruling.known = true;
            ruling.parties |= (uint64_t)1 << i;
        }
    ruling.could = could_ever_be(&ruling);
    if (!ruling.known && sl_purpose_within(purpose, SL_LIT("ETREAT")) && lacks_only_declaration(policy, recipient))
        return SL_EMERGENCY_INCOMPLETE;
    return (ruling.known || ruling.could) && could_have_anything(&ruling) ? SL_OK : SL_FORBIDDEN;
}

bool sl_may_search(const struct sl_policy *policy, const struct sl_recipient *recipient, unsigned means)
{
    uint64_t purpose = sl_purpose_bit(sl_purpose_find(recipient->purpose)), parties = 0;
    unsigned may = 0;
    for (unsigned i = 0; means && i < policy->party_count; i++)
        if (fits(&policy->parties[i], recipient, sl_emergency_complete(recipient->emergency)))
            parties |= (uint64_t)1 << i;
    for (size_t i = 0; means && i < policy->search_count; i++)
        if (policy->searches[i].parties & parties && policy->searches[i].purposes & purpose)
            may |= policy->searches[i].by;
    return !(means & ~may);
}

/* Every change that some rule could make to what this recipient gets. */
static uint32_t changes_for(const struct sl_policy *policy, const struct sl_recipient *recipient)
{
    uint64_t parties = policy->asked_parties & (((uint64_t)1 << SL_BUILTINS) - 1),
             purpose = sl_purpose_bit(sl_purpose_find(recipient->purpose));
    uint32_t changes = 0;
    for (unsigned i = 0; i < policy->party_count && policy->term_count > 1; i++)
        if (fits(&policy->parties[i], recipient, sl_emergency_complete(recipient->emergency)))
            parties |= (uint64_t)1 << i;
    for (size_t i = 0; i < policy->rule_count && policy->term_count > 1; i++) {
        const struct sl_rule *rule = &policy->rules[i];
        if (!(rule->purposes & purpose) || !(rule->everyone || rule->parties & parties))
            continue;
        changes |= policy->terms[rule->term].changes;
        for (size_t k = 0; k < rule->unless_count; k++)
            changes |= policy->terms[rule->unless[k].term].changes;
    }
    return changes;
}

bool sl_may_change(
    const struct sl_policy *policy, const struct sl_recipient *recipient, const struct sl_r4_param *param)
{
    uint32_t changes = changes_for(policy, recipient);
    return changes && sl_change_touches(changes, param);
}

/* "Observation.status": an element of the record itself that R4 requires, a plain value and no choice. What cuts it
 * cuts the record, whatever the reason, and no list of elements leaves it out. */
static bool is_fixed(sl_r4_node type, const char *path)
{
    size_t head = strcspn(path, ".");
    if (path[head] != '.' || !sl_slice_eq((struct sl_slice){path, head}, sl_r4_node_name(type)))
        return false;
    const struct sl_r4_element *element = sl_r4_element(type, sl_name_find(path + head + 1, strlen(path + head + 1)));
    return element && element->flags & SL_R4_REQUIRED && element->flags & SL_R4_PRIMITIVE &&
           !(element->flags & SL_R4_MANY) && !element->choice;
}

bool sl_may_cut(const struct sl_policy *policy, const struct sl_recipient *recipient, sl_r4_node type,
    const struct sl_r4_param *param)
{
    if (strcmp(param->name, "_id") == 0)
        return false;
    if (changes_for(policy, recipient))
        return true; /* a change may also take away what it cannot change */
    if (strcmp(param->name, "_lastUpdated") == 0)
        return false;
    if (!param->paths || !param->paths[0] || param->filter || param->components)
        return true;
    for (const char *const *path = param->paths; *path; path++)
        if (!is_fixed(type, *path))
            return true;
    return false;
}

/* ---- The decision ---- */

static struct sl_verdict withheld(unsigned bit, const struct sl_rule *rule, const char *why)
{
    return (struct sl_verdict){SL_WITHHELD, {.class_bit = bit, .rule = rule ? &rule->view : NULL, .why = why}};
}

/* The first that withholds, before one that holds. */
static const struct sl_rule *withholding_rule(const struct sl_ruling *ruling, const struct state *state, unsigned bit)
{
    const struct sl_rule *holds = NULL;
    for (size_t i = 0; i < ruling->rule_count; i++) {
        const struct sl_rule *rule = ruling->rules[i];
        if (!sl_rule_bars(rule) || !sl_classes_has(&rule->data, bit) || !sl_rule_speaks(ruling, rule, state))
            continue;
        struct sl_classes reach = sl_rule_reach(ruling, rule, state);
        if (!sl_classes_has(&reach, bit))
            continue;
        if (rule->verdict != SL_RULE_HOLD)
            return rule;
        holds = holds ? holds : rule;
    }
    return holds;
}

static struct sl_verdict denied(const struct state *state)
{
    struct sl_verdict verdict = withheld(SL_CLASS_LIMIT, NULL, "denied-by-consent");
    verdict.cause.directive = sl_directive_id(state->denial);
    return verdict;
}

/* The same for a state whose masks are kept. */
static const struct sl_rule *cause_of(
    const struct sl_ruling *ruling, const struct state *state, struct masks_kept *kept, unsigned bit)
{
    unsigned at = bit % CAUSES_KEPT;
    if (!kept->causes[at].known || kept->causes[at].bit != bit) {
        kept->causes[at].rule = withholding_rule(ruling, state, bit);
        kept->causes[at].bit = bit;
        kept->causes[at].known = true;
    }
    return kept->causes[at].rule;
}

/* The first class, in the order of the policy, that was in the way. It is held only if nothing else is in the way: then
 * the officer's answer would make a difference. */
static struct sl_verdict first_cause(const struct sl_ruling *ruling, const struct state *state, struct masks_kept *kept,
    const struct sl_classes *classes)
{
    const struct masks *masks = &kept->masks;
    struct sl_verdict held = withheld(SL_CLASS_LIMIT, NULL, "unlabelled");
    bool holds = false;
    for (unsigned bit = sl_classes_next(classes, 0); bit < SL_CLASS_LIMIT; bit = sl_classes_next(classes, bit + 1)) {
        if (sl_classes_has(&masks->lacks, bit) && !sl_classes_has(&masks->no, bit))
            return withheld(bit, NULL, "no-release-rule");
        if (!sl_classes_has(&masks->no, bit))
            continue;
        const struct sl_rule *rule = cause_of(ruling, state, kept, bit);
        if (!rule || rule->verdict != SL_RULE_HOLD)
            return withheld(bit, rule, "withheld-by-rule");
        if (sl_classes_has(&masks->lacks, bit))
            return withheld(bit, NULL, "no-release-rule");
        if (!holds)
            held = withheld(bit, rule, "held-by-rule");
        holds = true;
    }
    return holds && state->denial ? denied(state) : held;
}

/* `classes`: what is decided about; `judged`: what consents look at. */
static struct sl_verdict judge(const struct sl_ruling *ruling, const struct sl_item *item,
    const struct sl_classes *classes, const struct sl_classes *judged)
{
    struct masks_kept *kept = ruling->plain_kept;
    struct state state = ruling->plain;
    /* Only where a consent could deny, or what is open makes a difference to these classes, is the item asked. */
    if (ruling->may_deny || (ruling->kept && sl_classes_meet(classes, &ruling->varying))) {
        state = sl_state_of(ruling, item, judged);
        kept = ruling->kept ? masks_of(ruling, &state) : kept;
    }
    if (sl_classes_meet(classes, &kept->masks.lacks) || sl_classes_meet(classes, &kept->masks.no))
        return first_cause(ruling, &state, kept, classes);
    if (state.denial)
        return denied(&state);
    return (struct sl_verdict){.decision = SL_RELEASED, .cause = {.class_bit = SL_CLASS_LIMIT, .why = "released"}};
}

/* A record of a kind that is about a patient, and names none. */
static bool is_nobodys(const struct sl_ruling *ruling, const struct sl_item *item)
{
    return ruling->nobody && !(sl_r4_facts(item->type) & (SL_R4_DIRECTORY | SL_R4_BY_ROUTE)) &&
           sl_r4_compartment(item->type) && sl_r4_compartment(item->type)[0];
}

struct sl_verdict sl_decide_item(const struct sl_ruling *ruling, const struct sl_item *item)
{
    if (item->unlabelled || !sl_classes_meet(&item->classes, &ruling->policy->needs_yes))
        return withheld(SL_CLASS_LIMIT, NULL, "unlabelled");
    if (is_nobodys(ruling, item))
        return withheld(SL_CLASS_LIMIT, NULL, "no-patient");
    return judge(ruling, item, &item->classes, &item->classes);
}

struct sl_verdict sl_decide_part(const struct sl_ruling *ruling, const struct sl_item *item, const struct sl_part *part)
{
    if (item->unlabelled)
        return withheld(SL_CLASS_LIMIT, NULL, "unlabelled");
    /* An inline label adds protection and never lowers it (DS4P): consents look at the element as part of the whole.
     * What a mention lends is the lender's: its discloser, its time. */
    const struct sl_item *whole = part->lender ? part->lender : item;
    struct sl_classes judged = whole->classes;
    sl_classes_join(&judged, &part->classes);
    return judge(ruling, whole, &part->classes, &judged);
}
