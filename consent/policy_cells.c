/* SPDX-License-Identifier: Apache-2.0 */
/* Asking a policy exhaustively: see policy_cells.h. */
#include "policy_cells.h"

#include <stdio.h>

#include "item_facts.h"

/* ---- What the rules about a cell ask for ---- */

static bool same_fact(const struct sl_fact *a, const struct sl_fact *b)
{
    if (a->type != b->type || !sl_slice_eq(a->word, b->word))
        return false;
    if (a->type == SL_FACT_ITEM)
        return sl_predicate_same(a->predicate, b->predicate);
    return a->type != SL_FACT_KINDS || (sl_words_same(a->kinds, b->kinds) && sl_words_same(a->not_kinds, b->not_kinds));
}

static void add_fact(struct sl_facts *facts, struct sl_fact fact)
{
    for (unsigned i = 0; i < facts->count; i++)
        if (same_fact(&facts->fact[i], &fact))
            return;
    if (facts->count == SL_FACT_LIMIT)
        facts->too_many = true;
    else
        facts->fact[facts->count++] = fact;
}

static void add_items(struct sl_facts *facts, const struct sl_policy *policy, uint32_t predicates)
{
    for (uint32_t rest = predicates; rest; rest &= rest - 1)
        add_fact(facts, (struct sl_fact){.type = SL_FACT_ITEM, .predicate = &policy->predicates[__builtin_ctz(rest)]});
}

/* Of the built-in ones, what makes somebody one of them. */
static void add_parties(struct sl_facts *facts, const struct sl_policy *policy, uint64_t parties)
{
    if (parties >> SL_PARTY_STAFF & 1)
        add_items(facts, policy, SL_FACT_STAFF);
    if (parties >> SL_PARTY_NAMED & 1)
        add_fact(facts, (struct sl_fact){.type = SL_FACT_NAMED});
    for (unsigned p = SL_BUILTINS; p < policy->party_count; p++)
        if (parties >> p & 1)
            add_fact(facts, (struct sl_fact){.type = SL_FACT_PARTY, .word = policy->party_ids[p]});
}

void sl_facts_add_line(struct sl_facts *facts, const struct sl_policy *policy, const struct sl_condition *line)
{
    for (unsigned k = 0; k < policy->kind_id_count; k++)
        if (line->kinds >> k & 1)
            add_fact(facts, (struct sl_fact){.type = SL_FACT_CONSENT, .word = policy->kind_ids[k]});
    for (size_t i = 0; i < line->relationships.count; i++)
        add_fact(facts, (struct sl_fact){.type = SL_FACT_RELATIONSHIP, .word = line->relationships.word[i]});
    add_parties(facts, policy, line->parties);
    if (line->emergency)
        add_fact(facts, (struct sl_fact){.type = SL_FACT_EMERGENCY});
    add_items(facts, policy, line->facts);
    for (unsigned i = 0; i < SL_CHOICES; i++)
        add_items(facts, policy, line->one_of[i]);
    if (line->recipient.count || line->not_recipient.count)
        add_fact(facts,
            (struct sl_fact){.type = SL_FACT_KINDS, .kinds = &line->recipient, .not_kinds = &line->not_recipient});
}

/* A line for other purposes holds for none of the combinations, whatever else it asks. */
static void add_lines(struct sl_facts *facts, const struct sl_policy *policy, const struct sl_condition *lines,
    size_t count, uint64_t purpose)
{
    for (size_t i = 0; i < count; i++)
        if (!lines[i].purposes || lines[i].purposes & purpose)
            sl_facts_add_line(facts, policy, &lines[i]);
}

static void add_rule(
    struct sl_facts *facts, const struct sl_policy *policy, const struct sl_rule *rule, uint64_t purpose)
{
    add_items(facts, policy, rule->facts);
    add_lines(facts, policy, rule->only_if, rule->only_if_count, purpose);
    add_lines(facts, policy, rule->unless, rule->unless_count, purpose);
}

static bool is_about(const struct sl_rule *rule, const struct sl_side *side, uint64_t purpose)
{
    return side->class < SL_CLASS_LIMIT && sl_classes_has(&rule->data, side->class) && rule->purposes & purpose;
}

void sl_facts_find(struct sl_facts *facts, const struct sl_side *side, size_t purpose)
{
    const struct sl_policy *policy = side->policy;
    uint64_t bit = sl_purpose_bit(sl_purpose_code(purpose));
    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct sl_rule *rule = &policy->rules[i];
        bool reaches = rule->everyone || (side->party < SL_PARTY_LIMIT && rule->parties >> side->party & 1);
        if (!reaches || !is_about(rule, side, bit))
            continue;
        add_rule(facts, policy, rule, bit);
        for (size_t k = 0; k < rule->lifted_by_count; k++)
            add_rule(facts, policy, &policy->rules[rule->lifted_by[k]], bit);
    }
}

/* ---- Kinds of recipient ----
 *
 * Conditions on kinds overlap (`kinds: [a, b]`, `except-kinds: [b]`), so not every combination of them can be. Kinds
 * that stand in the same lists are alike; one of each is enough to find, for each combination, somebody of whom it is
 * true. */

struct kind_lists {
    const struct sl_words *in[2 * SL_KIND_FACTS + 2];
    size_t count; /* list of words asked for, and list of those excluded, in turn */
};

static uint32_t signature(const struct kind_lists *lists, struct sl_slice word)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < lists->count; i++)
        bits |= (uint32_t)sl_words_have(lists->in[i], word) << i;
    return bits;
}

/* One word for each set of lists that some word stands in. */
static void find_kind_words(struct sl_facts *facts, const struct kind_lists *lists, uint32_t *signatures)
{
    for (size_t i = 0; i < lists->count; i++)
        for (size_t w = 0; w < lists->in[i]->count; w++) {
            uint32_t bits = signature(lists, lists->in[i]->word[w]);
            unsigned k = 0;
            while (k < facts->kind_word_count && signatures[k] != bits)
                k++;
            if (k < facts->kind_word_count)
                continue;
            if (k == SL_KIND_SIGNATURES) {
                facts->too_many = true;
                return;
            }
            signatures[k] = bits;
            facts->kind_word[facts->kind_word_count++] = lists->in[i]->word[w];
        }
}

/* Does a recipient who is in these lists meet the pair: one of the words asked for, if there are any, none excluded? */
static bool meets(const struct kind_lists *lists, size_t pair, uint32_t in)
{
    return (!lists->in[2 * pair]->count || in >> (2 * pair) & 1) && !(in >> (2 * pair + 1) & 1);
}

void sl_facts_settle(struct sl_facts *facts, const struct sl_party *party)
{
    struct kind_lists lists = {.count = 0};
    uint32_t signatures[SL_KIND_SIGNATURES] = {0};
    unsigned pairs = 0;
    for (unsigned i = 0; i < facts->count; i++) {
        if (facts->fact[i].type != SL_FACT_KINDS)
            continue;
        if (pairs++ == SL_KIND_FACTS) {
            facts->too_many = true;
            return;
        }
        lists.in[lists.count++] = facts->fact[i].kinds;
        lists.in[lists.count++] = facts->fact[i].not_kinds;
    }
    if (party && pairs) {
        lists.in[lists.count++] = &party->kinds;
        lists.in[lists.count++] = &party->except_kinds;
    }
    find_kind_words(facts, &lists, signatures);
    for (uint32_t set = 0; set < (uint32_t)1 << facts->kind_word_count; set++) {
        uint32_t in = 0, truth = 0;
        for (unsigned k = 0; k < facts->kind_word_count; k++)
            in |= set >> k & 1 ? signatures[k] : 0;
        for (unsigned p = 0; p < pairs; p++)
            truth |= (uint32_t)meets(&lists, p, in) << p;
        if (facts->kinds_can_be[truth] || (party && pairs && !meets(&lists, pairs, in)))
            continue;
        facts->kinds_can_be[truth] = true;
        facts->kinds_of[truth] = (uint16_t)set;
    }
}

/* What a combination says of the KINDS facts, in their order. */
static uint32_t kinds_truth(const struct sl_facts *facts, uint32_t truth)
{
    uint32_t bits = 0;
    unsigned pair = 0;
    for (unsigned i = 0; i < facts->count; i++)
        if (facts->fact[i].type == SL_FACT_KINDS)
            bits |= (truth >> i & 1) << pair++;
    return bits;
}

/* ---- Combinations ---- */

/* Has it one of the relationships that make it this party, as far as the facts say? */
static bool is_related(const struct sl_facts *facts, const struct sl_party *party, uint32_t truth)
{
    if (!party->relationships.count)
        return true;
    for (size_t w = 0; w < party->relationships.count; w++) {
        bool asked = false;
        for (unsigned i = 0; i < facts->count; i++) {
            bool same = facts->fact[i].type == SL_FACT_RELATIONSHIP &&
                        sl_slice_eq(facts->fact[i].word, party->relationships.word[w]);
            if (same && truth >> i & 1)
                return true;
            asked |= same;
        }
        if (!asked)
            return true; /* it may have this one, of which nothing depends */
    }
    return false;
}

/* Does the fact make somebody this built-in party? */
static bool is_made(unsigned party, const struct sl_fact *fact)
{
    return (party == SL_PARTY_NAMED && fact->type == SL_FACT_NAMED) ||
           (party == SL_PARTY_STAFF && fact->type == SL_FACT_ITEM && fact->predicate->asks == SL_ASKS_PROGRAM);
}

bool sl_facts_can_be(const struct sl_facts *facts, const struct sl_side *side, uint32_t truth)
{
    if (!facts->kinds_can_be[kinds_truth(facts, truth)])
        return false;
    if (side->party == SL_PARTY_LIMIT)
        return true;
    const struct sl_party *party = &side->policy->parties[side->party];
    for (unsigned i = 0; i < facts->count; i++)
        if (!(truth >> i & 1) && is_made(side->party, &facts->fact[i]))
            return false;
    for (unsigned i = 0; i < facts->count; i++)
        if (party->emergency && facts->fact[i].type == SL_FACT_EMERGENCY && !(truth >> i & 1))
            return false;
    return is_related(facts, party, truth);
}

/* ---- Purposes that are alike ---- */

static void tell_apart(uint64_t alike[SL_PURPOSE_LIMIT], uint64_t purposes)
{
    for (unsigned i = 0; i < SL_PURPOSE_LIMIT; i++)
        alike[i] &= purposes >> i & 1 ? purposes : ~purposes;
}

/* A line that asks for no purpose tells none apart. */
static void tell_lines_apart(uint64_t alike[SL_PURPOSE_LIMIT], const struct sl_condition *lines, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tell_apart(alike, lines[i].purposes);
}

void sl_purposes_alike(const struct sl_policy *policy, uint64_t alike[SL_PURPOSE_LIMIT])
{
    for (size_t i = 0; i < policy->rule_count; i++) {
        tell_apart(alike, policy->rules[i].purposes);
        tell_lines_apart(alike, policy->rules[i].only_if, policy->rules[i].only_if_count);
        tell_lines_apart(alike, policy->rules[i].unless, policy->rules[i].unless_count);
    }
    for (size_t i = 0; i < policy->invariant_count; i++) {
        tell_apart(alike, policy->invariants[i].purposes);
        tell_lines_apart(alike, policy->invariants[i].only_if, policy->invariants[i].only_if_count);
        tell_lines_apart(alike, policy->invariants[i].unless, policy->invariants[i].unless_count);
    }
}

/* ---- One combination, asked as enforcement asks ---- */

static void take_fact(struct sl_asked *a, const struct sl_fact *fact)
{
    struct sl_ruling *r = &a->ruling;
    switch (fact->type) {
    case SL_FACT_CONSENT: {
        unsigned kind = sl_policy_kind(r->policy, fact->word);
        r->plain.kinds |= kind < SL_KIND_LIMIT ? (uint32_t)1 << kind : 0;
        break;
    }
    case SL_FACT_RELATIONSHIP:
        a->relationships[r->recipient.relationship_count++] =
            (struct sl_relationship){.kind = fact->word, .patient = SL_LIT("*"), .voucher = SL_BY_REGISTER};
        break;
    case SL_FACT_PARTY: {
        unsigned party = sl_policy_party(r->policy, fact->word);
        r->parties |= party < SL_PARTY_LIMIT ? (uint64_t)1 << party : 0;
        break;
    }
    case SL_FACT_EMERGENCY:
        r->emergency = true;
        break;
    case SL_FACT_NAMED:
        r->plain.kinds |= SL_KIND_NAMED;
        break;
    case SL_FACT_ITEM:
        r->plain.facts |= sl_predicate_find(r->policy, fact->predicate);
        break;
    case SL_FACT_KINDS: /* all of them at once: take_kinds */
        break;
    }
}

static void take_kinds(struct sl_asked *a, const struct sl_facts *facts, uint32_t truth)
{
    uint32_t set = facts->kinds_of[kinds_truth(facts, truth)];
    for (unsigned k = 0; k < facts->kind_word_count; k++)
        if (set >> k & 1)
            a->kinds[a->ruling.recipient.kind_count++] = facts->kind_word[k];
}

void sl_cell_begin(struct sl_asked *asked, const struct sl_side *side, size_t purpose)
{
    struct sl_ruling *r = &asked->ruling;
    *r = (struct sl_ruling){.policy = side->policy,
        .purpose = sl_purpose_bit(sl_purpose_code(purpose)),
        .recipient = {.purpose = sl_purpose_code(purpose)}};
    asked->about_count = 0;
    for (size_t i = 0; i < side->policy->rule_count && i < SL_RULE_LIMIT; i++)
        if (is_about(&side->policy->rules[i], side, r->purpose))
            asked->about[asked->about_count++] = &side->policy->rules[i];
}

/* A built-in party is one by its item; unless a rule asks for it, nobody is. */
static void take_party(struct sl_ruling *r, unsigned party)
{
    if (party == SL_PARTY_LIMIT)
        return;
    if (party >= SL_BUILTINS)
        r->parties = (uint64_t)1 << party;
    else
        r->could = (uint64_t)1 << party & r->policy->asked_parties;
    r->known = r->parties || r->could;
    r->plain.kinds |= r->could >> SL_PARTY_NAMED & 1 ? SL_KIND_NAMED : 0;
    r->plain.facts |= r->could >> SL_PARTY_STAFF & 1 ? SL_FACT_STAFF : 0;
}

/* Is that all that makes somebody this party? */
static bool is_party_by(const struct sl_party *party, const struct sl_fact *fact)
{
    return !party->builtin && !party->emergency && !party->roles.count && !party->organizations.count &&
           !party->clients.count && !party->networks.count && !party->exchanges && !party->agreements.count &&
           !party->agreement_until && !party->services.count && !party->relationships.count &&
           sl_words_same(&party->kinds, fact->kinds) && sl_words_same(&party->except_kinds, fact->not_kinds);
}

/* Who is of the kinds by which alone a party is told is that party too, whatever else it is. */
static void take_parties_of(struct sl_ruling *r, const struct sl_fact *fact)
{
    for (unsigned p = SL_BUILTINS; fact->type == SL_FACT_KINDS && p < r->policy->party_count; p++)
        if (is_party_by(&r->policy->parties[p], fact))
            r->parties |= (uint64_t)1 << p;
}

/* A ruling for a recipient of whom exactly this is true. */
static void suppose(struct sl_asked *a, const struct sl_side *side, const struct sl_facts *facts, uint32_t truth)
{
    struct sl_ruling *r = &a->ruling;
    *r = (struct sl_ruling){.policy = r->policy,
        .purpose = r->purpose,
        .recipient = {.purpose = r->recipient.purpose, .relationships = a->relationships, .kinds = a->kinds},
        .rules = a->rules,
        .terms = true,
        .declared_hours = 1};
    take_party(r, side->party);
    r->emergency = r->parties & side->policy->emergency_parties;
    for (unsigned i = 0; i < facts->count; i++)
        if (truth >> i & 1) {
            take_fact(a, &facts->fact[i]);
            take_parties_of(r, &facts->fact[i]);
        }
    take_kinds(a, facts, truth);
    for (size_t i = 0; i < a->about_count; i++)
        if (sl_rule_reaches(r, a->about[i]))
            a->rules[r->rule_count++] = a->about[i];
}

unsigned sl_cell_ask(struct sl_asked *asked, const struct sl_side *side, const struct sl_facts *facts, uint32_t truth)
{
    const struct sl_ruling *r = &asked->ruling;
    unsigned said = 0;
    suppose(asked, side, facts, truth);
    if (side->party == SL_PARTY_LIMIT)
        return 0;
    if (side->class == SL_CLASS_LIMIT || !sl_classes_has(&side->policy->needs_yes, side->class))
        said = SL_ANSWER_YES;
    for (size_t i = 0; i < r->rule_count; i++) {
        const struct sl_rule *rule = r->rules[i];
        if (!sl_rule_speaks(r, rule, &r->plain))
            continue;
        if (rule->verdict == SL_RULE_RELEASE) {
            said |= SL_ANSWER_YES;
        } else if (!rule->narrows) {
            struct sl_classes reach = sl_rule_reach(r, rule, &r->plain);
            said |= sl_classes_has(&reach, side->class) ? SL_ANSWER_NO : 0;
        }
    }
    return said;
}

/* "a or b" as one word: limited-to:a|b. */
static void write_term(struct sl_buffer *out, const char *lead, struct sl_slice words)
{
    sl_buffer_printf(out, " %s:", lead);
    for (size_t i = 0; i < words.len; i++)
        if (words.ptr[i] != ' ')
            sl_buffer_add(out, (struct sl_slice){words.ptr + i, 1});
        else if (words.len - i > 4) {
            sl_buffer_add(out, SL_LIT("|"));
            i += 3;
        }
}

static void write_terms(struct sl_buffer *out, const struct sl_release *release)
{
    bool notify = false;
    unsigned days = 0;
    for (size_t i = 0; i < release->limited_count; i++)
        write_term(out, "limited-to", release->limited_to[i]);
    for (size_t i = 0; i < release->changed_count; i++)
        write_term(out, "changed", release->changed[i]);
    for (size_t i = 0; i < release->task_count; i++) {
        notify |= release->tasks[i].notify;
        if (release->tasks[i].review_days && (!days || release->tasks[i].review_days < days))
            days = release->tasks[i].review_days;
    }
    if (notify)
        sl_buffer_add(out, SL_LIT(" notify"));
    if (days)
        sl_buffer_printf(out, " review-within-%u-days", days);
}

void sl_release_write(const struct sl_release *release, struct sl_buffer *out)
{
    sl_buffer_printf(out, "%c%s%s%s", release->confidentiality, release->notice ? " notice" : "",
        release->account ? " accounting" : "", release->emergency_record ? " emergency-record" : "");
    for (size_t i = 0; i < release->label_count; i++)
        sl_buffer_printf(out, " %.*s", SL_FMT(release->labels[i].code));
    write_terms(out, release);
}

struct sl_slice sl_cell_duties(const struct sl_asked *asked, const struct sl_side *side, struct sl_arena *scratch)
{
    struct sl_item item = {.type = SL_R4_Observation, .source = SL_SOURCE_PROGRAM};
    struct sl_release release;
    if (side->class == SL_CLASS_LIMIT)
        return (struct sl_slice){NULL, 0};
    sl_classes_add(&item.classes, side->class);
    if (sl_ruling_release(&asked->ruling, &item, scratch, &release) != SL_OK)
        return SL_LIT("?");
    struct sl_buffer text;
    sl_buffer_init(&text, 64 * 1024);
    sl_release_write(&release, &text);
    struct sl_slice copy = sl_arena_copy(scratch, sl_buffer_slice(&text));
    sl_buffer_fini(&text);
    return copy;
}

/* ---- In words ---- */

static void write_kinds(struct sl_buffer *out, const struct sl_words *words, const char *lead)
{
    for (size_t i = 0; i < words->count; i++)
        sl_buffer_printf(out, "%s%.*s", i ? " or " : lead, SL_FMT(words->word[i]));
}

void sl_facts_write(struct sl_buffer *out, const struct sl_facts *facts, uint32_t which, const char *lead)
{
    static const char *const words[] = {[SL_FACT_CONSENT] = "consent ",
        [SL_FACT_RELATIONSHIP] = "relationship ",
        [SL_FACT_PARTY] = "being also ",
        [SL_FACT_EMERGENCY] = "a declared emergency",
        [SL_FACT_NAMED] = "a consent that names it",
        [SL_FACT_ITEM] = "",
        [SL_FACT_KINDS] = "being"};
    const char *between = lead;
    for (unsigned i = 0; i < facts->count; i++) {
        const struct sl_fact *fact = &facts->fact[i];
        if (!(which >> i & 1))
            continue;
        sl_buffer_printf(out, "%s%s%.*s", between, words[fact->type], SL_FMT(fact->word));
        if (fact->type == SL_FACT_ITEM)
            sl_predicate_write(out, fact->predicate);
        if (fact->type == SL_FACT_KINDS) {
            write_kinds(out, fact->kinds, " ");
            write_kinds(out, fact->not_kinds, fact->kinds->count ? ", and not " : " not ");
        }
        between = " and ";
    }
}
