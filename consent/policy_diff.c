/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What two policies release differently, exhaustively. The vocabulary is finite: for each party, purpose and class, and
 * for every combination of the facts that a rule about them asks for (consents, emergency, program, relationships,
 * other parties), both policies are asked with the functions that enforcement uses (ruling.h), and the answers
 * compared. A recipient who is several parties may have what each may have, and is refused what any is refused; so yes
 * and no are compared apart, and nothing can hide in a combination of parties.
 *
 * Equal changes are told together: one line for all classes, purposes and parties that change in the same way.
 */
#include "policy_diff.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "ruling.h"

#define FACT_LIMIT 14u /* that rules about one party, purpose and class ask for: 16,384 combinations */
#define SCRATCH ((size_t)64 << 20)

enum fact_type { FACT_CONSENT, FACT_RELATIONSHIP, FACT_PARTY, FACT_EMERGENCY, FACT_PROGRAM };

struct fact {
    enum fact_type type;
    struct sl_slice word; /* which consent, relationship, party */
};

struct facts {
    struct fact fact[FACT_LIMIT];
    unsigned count;
    bool too_many;
};

/* What a policy says to one combination. */
enum answer { ANSWER_YES = 1, ANSWER_NO = 2 };

struct side {
    const struct sl_policy *policy;
    unsigned party; /* SL_PARTY_LIMIT: it has none of this name */
    unsigned class; /* SL_CLASS_LIMIT: likewise */
};

struct cell {
    struct side before, after;
    size_t purpose; /* index */
    struct facts facts;
    uint32_t excluded; /* combinations that cannot be: see possible() */
};

/* A change, told once for all that share it. */
struct change {
    enum sl_diff_way way;
    struct sl_slice what; /* "now released, with consent authorization" */
    uint64_t purposes;
    struct sl_classes classes; /* by place in diff.classes */
    uint64_t parties;          /* by place in diff.parties */
};

struct diff {
    struct sl_diff_report report;
    struct sl_arena *scratch;
    const struct sl_policy *before, *after;
    struct sl_slice classes[2 * SL_CLASS_LIMIT], parties[2 * SL_PARTY_LIMIT];
    unsigned class_count, party_count;
    struct change *changes;
    size_t count, room;
};

void sl_diff_say(struct sl_diff_report *report, enum sl_diff_way way, const char *format, ...)
{
    static const char *const marks[] = {
        [SL_DIFF_TIGHTER] = "  - ", [SL_DIFF_LOOSER] = "  + ", [SL_DIFF_EITHER] = "  ~ "};
    char line[1024];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    size_t *counted[] = {&report->result->tighter, &report->result->looser, &report->result->either};
    ++*counted[way];
    sl_buffer_printf(report->out, "%s%s%s\n", marks[way], line, length >= (int)sizeof line ? "…" : "");
}

/* ---- What the rules about a cell ask for ---- */

static void add_fact(struct facts *facts, enum fact_type type, struct sl_slice word)
{
    for (unsigned i = 0; i < facts->count; i++)
        if (facts->fact[i].type == type && sl_slice_eq(facts->fact[i].word, word))
            return;
    if (facts->count == FACT_LIMIT)
        facts->too_many = true;
    else
        facts->fact[facts->count++] = (struct fact){type, word};
}

static void add_line(struct facts *facts, const struct sl_policy *policy, const struct sl_condition *line)
{
    for (unsigned k = 0; k < policy->kind_id_count; k++)
        if (line->kinds >> k & 1)
            add_fact(facts, FACT_CONSENT, policy->kind_ids[k]);
    for (size_t i = 0; i < line->relationships.count; i++)
        add_fact(facts, FACT_RELATIONSHIP, line->relationships.word[i]);
    for (unsigned p = 0; p < policy->party_count; p++)
        if (line->parties >> p & 1)
            add_fact(facts, FACT_PARTY, policy->party_ids[p]);
    if (line->emergency)
        add_fact(facts, FACT_EMERGENCY, (struct sl_slice){NULL, 0});
    if (line->same_program)
        add_fact(facts, FACT_PROGRAM, (struct sl_slice){NULL, 0});
}

static bool is_about(const struct sl_rule *rule, const struct side *side, uint64_t purpose)
{
    return side->class < SL_CLASS_LIMIT && sl_classes_has(&rule->data, side->class) && rule->purposes & purpose;
}

static void add_rule(struct facts *facts, const struct sl_policy *policy, const struct sl_rule *rule)
{
    for (size_t i = 0; i < rule->only_if_count; i++)
        add_line(facts, policy, &rule->only_if[i]);
    for (size_t i = 0; i < rule->unless_count; i++)
        add_line(facts, policy, &rule->unless[i]);
}

static void find_facts(struct facts *facts, const struct side *side, uint64_t purpose)
{
    const struct sl_policy *policy = side->policy;
    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct sl_rule *rule = &policy->rules[i];
        bool reaches = rule->everyone || (side->party < SL_PARTY_LIMIT && rule->parties >> side->party & 1);
        if (reaches && is_about(rule, side, purpose))
            add_rule(facts, policy, rule);
        for (size_t k = 0; reaches && is_about(rule, side, purpose) && k < rule->lifted_by_count; k++)
            add_rule(facts, policy, &policy->rules[rule->lifted_by[k]]);
    }
}

/* ---- One combination of facts, asked as enforcement asks ---- */

struct asked {
    struct sl_ruling ruling;
    struct sl_relationship relationships[FACT_LIMIT + 8];
    const struct sl_rule *rules[SL_RULE_LIMIT];
};

static void take_fact(struct asked *a, const struct fact *fact)
{
    struct sl_ruling *r = &a->ruling;
    switch (fact->type) {
    case FACT_CONSENT: {
        unsigned kind = sl_policy_kind(r->policy, fact->word);
        r->plain.kinds |= kind < SL_KIND_LIMIT ? (uint32_t)1 << kind : 0;
        break;
    }
    case FACT_RELATIONSHIP:
        a->relationships[r->recipient.relationship_count++] =
            (struct sl_relationship){.kind = fact->word, .patient = SL_LIT("*"), .voucher = SL_BY_REGISTER};
        break;
    case FACT_PARTY: {
        unsigned party = sl_policy_party(r->policy, fact->word);
        r->parties |= party < SL_PARTY_LIMIT ? (uint64_t)1 << party : 0;
        break;
    }
    case FACT_EMERGENCY:
        r->emergency = true;
        break;
    case FACT_PROGRAM:
        r->plain.same_program = true;
        break;
    }
}

/* A ruling for a recipient of whom exactly this is true. */
static void ask(struct asked *a, const struct side *side, size_t purpose, const struct facts *facts, uint32_t truth)
{
    struct sl_ruling *r = &a->ruling;
    *r = (struct sl_ruling){.policy = side->policy,
        .known = side->party < SL_PARTY_LIMIT,
        .parties = side->party < SL_PARTY_LIMIT ? (uint64_t)1 << side->party : 0,
        .purpose = sl_purpose_bit(sl_purpose_code(purpose)),
        .recipient = {.relationships = a->relationships, .purpose = sl_purpose_code(purpose)},
        .rules = a->rules};
    r->emergency = r->parties & side->policy->emergency_parties;
    for (unsigned i = 0; i < facts->count; i++)
        if (truth >> i & 1)
            take_fact(a, &facts->fact[i]);
    for (size_t i = 0; i < side->policy->rule_count; i++)
        if (sl_rule_reaches(r, &side->policy->rules[i]) && is_about(&side->policy->rules[i], side, r->purpose))
            a->rules[r->rule_count++] = &side->policy->rules[i];
}

/* A class that a policy does not know takes nothing away; a party it does not know has nothing. */
static unsigned answer(const struct asked *a, const struct side *side)
{
    const struct sl_ruling *r = &a->ruling;
    unsigned said = 0;
    if (side->party == SL_PARTY_LIMIT)
        return 0;
    if (side->class == SL_CLASS_LIMIT || !sl_classes_has(&side->policy->needs_yes, side->class))
        said = ANSWER_YES;
    for (size_t i = 0; i < r->rule_count; i++) {
        const struct sl_rule *rule = r->rules[i];
        if (!sl_rule_speaks(r, rule, &r->plain))
            continue;
        if (rule->verdict == SL_RULE_RELEASE) {
            said |= ANSWER_YES;
        } else {
            struct sl_classes reach = sl_rule_reach(r, rule, &r->plain);
            said |= sl_classes_has(&reach, side->class) ? ANSWER_NO : 0;
        }
    }
    return said;
}

/* Whoever is a party by a relationship has one of those that make it; whoever is one by an emergency has declared it.
 */
static bool is_possible(const struct cell *cell, uint32_t truth)
{
    const struct side *sides[] = {&cell->before, &cell->after};
    for (unsigned s = 0; s < 2; s++) {
        if (sides[s]->party == SL_PARTY_LIMIT)
            continue;
        const struct sl_party *party = &sides[s]->policy->parties[sides[s]->party];
        bool others = party->relationships.count == 0, held = false;
        for (size_t w = 0; w < party->relationships.count; w++) {
            bool asked = false;
            for (unsigned i = 0; i < cell->facts.count; i++) {
                bool same = cell->facts.fact[i].type == FACT_RELATIONSHIP &&
                            sl_slice_eq(cell->facts.fact[i].word, party->relationships.word[w]);
                asked |= same;
                held |= same && truth >> i & 1;
            }
            others |= !asked;
        }
        if (!others && !held)
            return false;
        for (unsigned i = 0; i < cell->facts.count; i++)
            if (party->emergency && cell->facts.fact[i].type == FACT_EMERGENCY && !(truth >> i & 1))
                return false;
    }
    return true;
}

/* ---- What goes out with a release ---- */

static struct sl_slice duties_of(struct diff *d, struct asked *a, const struct side *side)
{
    struct sl_item item = {.type = SL_R4_Observation, .source = SL_SOURCE_PROGRAM};
    struct sl_release release;
    if (side->class == SL_CLASS_LIMIT)
        return (struct sl_slice){NULL, 0};
    sl_classes_add(&item.classes, side->class);
    if (sl_ruling_release(&a->ruling, &item, d->scratch, &release) != SL_OK)
        return SL_LIT("?");
    struct sl_buffer text;
    sl_buffer_init(&text, 64 * 1024);
    sl_buffer_printf(&text, "%c%s%s%s", release.confidentiality, release.notice ? " notice" : "",
        release.account ? " accounting" : "", release.emergency_record ? " emergency-record" : "");
    for (size_t i = 0; i < release.label_count; i++)
        sl_buffer_printf(&text, " %.*s", SL_FMT(release.labels[i].code));
    struct sl_slice copy = sl_arena_copy(d->scratch, sl_buffer_slice(&text));
    sl_buffer_fini(&text);
    return copy;
}

/* ---- Telling which combinations changed ---- */

struct table {
    uint8_t *turn;                   /* by combination: enum turn */
    struct sl_slice *before, *after; /* duties, where both release */
};

enum turn { TURN_NONE, TURN_RELEASED, TURN_WITHHELD, TURN_DUTIES, TURN_LIFTED, TURN_BARRED, TURN_IMPOSSIBLE };

static enum turn turn_of(unsigned before, unsigned after)
{
    bool was = before == ANSWER_YES, is = after == ANSWER_YES;
    if (was != is)
        return is ? TURN_RELEASED : TURN_WITHHELD;
    /* Another party of the same recipient could have the yes that is lacking here; never one that undoes a no. */
    if (before == ANSWER_NO && after == 0)
        return TURN_LIFTED;
    if (before == 0 && after == ANSWER_NO)
        return TURN_BARRED;
    return TURN_NONE;
}

static const char *fact_words(const struct fact *fact)
{
    static const char *const words[] = {[FACT_CONSENT] = "consent ",
        [FACT_RELATIONSHIP] = "relationship ",
        [FACT_PARTY] = "being also ",
        [FACT_EMERGENCY] = "a declared emergency",
        [FACT_PROGRAM] = "the program being its own"};
    return words[fact->type];
}

static void write_facts(struct sl_buffer *out, const struct facts *facts, uint32_t which, const char *lead)
{
    const char *between = lead;
    for (unsigned i = 0; i < facts->count; i++)
        if (which >> i & 1) {
            sl_buffer_printf(out, "%s%s%.*s", between, fact_words(&facts->fact[i]), SL_FMT(facts->fact[i].word));
            between = " and ";
        }
}

/* Facts that, added to a combination in which it changed, undo the change. */
static uint32_t undoing(const struct table *table, const struct facts *facts, uint32_t truth)
{
    uint32_t undo = 0;
    for (unsigned i = 0; i < facts->count; i++) {
        uint32_t more = truth | (uint32_t)1 << i;
        if (more != truth && table->turn[more] != TURN_IMPOSSIBLE && table->turn[more] != table->turn[truth])
            undo |= (uint32_t)1 << i;
    }
    return undo;
}

static bool same_change(const struct table *table, uint32_t a, uint32_t b)
{
    return table->turn[a] == table->turn[b] &&
           (table->turn[a] != TURN_DUTIES ||
               (sl_slice_eq(table->before[a], table->before[b]) && sl_slice_eq(table->after[a], table->after[b])));
}

static bool covers(const struct table *table, const uint32_t *told, size_t count, uint32_t truth)
{
    for (size_t i = 0; i < count; i++)
        if ((told[i] & truth) == told[i] && same_change(table, told[i], truth))
            return true;
    return false;
}

/* Words of `these` that are not among `those`; both are words with a space between. */
static size_t write_missing(struct sl_buffer *out, struct sl_slice these, struct sl_slice those, const char *lead)
{
    size_t count = 0;
    while (these.len) {
        const char *space = memchr(these.ptr, ' ', these.len);
        struct sl_slice word = {these.ptr, space ? (size_t)(space - these.ptr) : these.len}, rest = those;
        bool found = false;
        while (rest.len && !found) {
            const char *end = memchr(rest.ptr, ' ', rest.len);
            size_t length = end ? (size_t)(end - rest.ptr) : rest.len;
            found = sl_slice_eq(word, (struct sl_slice){rest.ptr, length});
            rest = sl_slice_from(rest, length + 1);
        }
        if (!found)
            sl_buffer_printf(out, "%s%.*s", count++ ? ", " : lead, SL_FMT(word));
        these = sl_slice_from(these, word.len + 1);
    }
    return count;
}

/* What changed in a combination, without saying in which. `loses`: something no longer goes out with it. */
static struct sl_slice verb_of(struct diff *d, const struct table *table, uint32_t truth, bool *loses)
{
    static const char *const verbs[] = {[TURN_RELEASED] = "now released",
        [TURN_WITHHELD] = "now withheld",
        [TURN_LIFTED] = "no longer barred, for a recipient who is another party too that may have it",
        [TURN_BARRED] = "now barred, for a recipient who is another party too that may have it"};
    struct sl_buffer text;
    *loses = false;
    if (table->turn[truth] != TURN_DUTIES)
        return sl_slice_of(verbs[table->turn[truth]]);
    sl_buffer_init(&text, 64 * 1024);
    sl_buffer_add(&text, SL_LIT("goes out"));
    write_missing(&text, table->after[truth], table->before[truth], " now with ");
    *loses = write_missing(&text, table->before[truth], table->after[truth],
                 text.len > strlen("goes out") ? ", no longer with " : " no longer with ") > 0;
    struct sl_slice copy = sl_arena_copy(d->report.arena, sl_buffer_slice(&text));
    sl_buffer_fini(&text);
    return copy;
}

static struct sl_slice condition_of(struct diff *d, const struct cell *cell, const struct table *table, uint32_t truth)
{
    struct sl_buffer text;
    sl_buffer_init(&text, 64 * 1024);
    write_facts(&text, &cell->facts, truth, "with ");
    write_facts(&text, &cell->facts, undoing(table, &cell->facts, truth), truth ? ", without " : "without ");
    struct sl_slice copy = text.len ? sl_arena_copy(d->report.arena, sl_buffer_slice(&text)) : SL_LIT("");
    sl_buffer_fini(&text);
    return copy;
}

/* ---- Changes, joined ---- */

static void add_change(struct diff *d, struct change change)
{
    for (size_t i = 0; i < d->count; i++) {
        struct change *c = &d->changes[i];
        if (c->way == change.way && memcmp(&c->classes, &change.classes, sizeof c->classes) == 0 &&
            c->parties == change.parties && sl_slice_eq(c->what, change.what)) {
            c->purposes |= change.purposes;
            return;
        }
    }
    if (d->count == d->room) {
        size_t room = d->room ? d->room * 2 : 256;
        struct change *changes = sl_arena_raw(d->report.arena, room, sizeof *changes);
        if (!changes)
            return;
        if (d->count)
            memcpy(changes, d->changes, d->count * sizeof *changes);
        d->changes = changes;
        d->room = room;
    }
    d->changes[d->count++] = change;
}

/* Joins changes that differ in their classes alone, then those that differ in their parties alone. */
static void join_changes(struct diff *d, bool classes)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->count; i++) {
        struct change *c = &d->changes[i], *into = NULL;
        for (size_t k = 0; k < kept && !into; k++) {
            struct change *other = &d->changes[k];
            bool same = other->way == c->way && other->purposes == c->purposes && sl_slice_eq(other->what, c->what);
            if (same &&
                (classes ? other->parties == c->parties : memcmp(&other->classes, &c->classes, sizeof c->classes) == 0))
                into = other;
        }
        if (!into) {
            d->changes[kept++] = *c;
        } else {
            sl_classes_join(&into->classes, &c->classes);
            into->parties |= c->parties;
        }
    }
    d->count = kept;
}

/* ---- Cells ---- */

static enum sl_diff_way way_of_turn(enum turn turn)
{
    return turn == TURN_RELEASED || turn == TURN_LIFTED ? SL_DIFF_LOOSER : SL_DIFF_TIGHTER;
}

static void fill_table(struct diff *d, struct cell *cell, struct asked *asked, struct table *table)
{
    uint32_t all = (uint32_t)1 << cell->facts.count;
    for (uint32_t truth = 0; truth < all; truth++) {
        table->turn[truth] = TURN_IMPOSSIBLE;
        if (!is_possible(cell, truth))
            continue;
        d->report.result->cells++;
        ask(&asked[0], &cell->before, cell->purpose, &cell->facts, truth);
        ask(&asked[1], &cell->after, cell->purpose, &cell->facts, truth);
        unsigned before = answer(&asked[0], &cell->before), after = answer(&asked[1], &cell->after);
        table->turn[truth] = (uint8_t)turn_of(before, after);
        if (before != ANSWER_YES || after != ANSWER_YES || cell->before.class == SL_CLASS_LIMIT ||
            cell->after.class == SL_CLASS_LIMIT)
            continue;
        table->before[truth] = duties_of(d, &asked[0], &cell->before);
        table->after[truth] = duties_of(d, &asked[1], &cell->after);
        if (!sl_slice_eq(table->before[truth], table->after[truth]))
            table->turn[truth] = TURN_DUTIES;
    }
}

/* The same change under another condition joins the one that is told: "with consent a; or with consent b". */
struct telling {
    struct sl_slice verb, conditions;
    enum sl_diff_way way;
};

static void add_telling(struct diff *d, struct telling *tellings, size_t *count, struct telling one)
{
    for (size_t i = 0; i < *count; i++) {
        struct telling *t = &tellings[i];
        if (t->way != one.way || !sl_slice_eq(t->verb, one.verb))
            continue;
        const struct sl_slice parts[] = {t->conditions, SL_LIT("; or "), one.conditions};
        t->conditions = sl_arena_join(d->report.arena, parts, 3);
        return;
    }
    tellings[(*count)++] = one;
}

/* From the combinations with the fewest facts up: what those say is not said again of those with more. */
static void tell_table(struct diff *d, const struct cell *cell, const struct table *table, const struct change *where)
{
    uint32_t all = (uint32_t)1 << cell->facts.count, *told = sl_arena_raw(d->scratch, all, sizeof *told);
    struct telling *tellings = sl_arena_raw(d->scratch, all, sizeof *tellings);
    size_t count = 0, telling_count = 0;
    for (unsigned weight = 0; told && tellings && weight <= cell->facts.count; weight++)
        for (uint32_t truth = 0; truth < all; truth++) {
            enum turn turn = (enum turn)table->turn[truth];
            bool loses = false;
            if ((unsigned)__builtin_popcount(truth) != weight || turn == TURN_NONE || turn == TURN_IMPOSSIBLE ||
                covers(table, told, count, truth))
                continue;
            told[count++] = truth;
            struct telling one = {.verb = verb_of(d, table, truth, &loses)};
            one.conditions = condition_of(d, cell, table, truth);
            one.way = turn != TURN_DUTIES ? way_of_turn(turn) : loses ? SL_DIFF_EITHER : SL_DIFF_TIGHTER;
            add_telling(d, tellings, &telling_count, one);
        }
    for (size_t i = 0; i < telling_count; i++) {
        struct change change = *where;
        bool bare = tellings[i].conditions.len == 0;
        const struct sl_slice parts[] = {tellings[i].verb, bare ? SL_LIT("") : SL_LIT(", "), tellings[i].conditions};
        change.way = tellings[i].way;
        change.what = sl_arena_join(d->report.arena, parts, 3);
        add_change(d, change);
    }
}

static enum sl_status compare_cell(struct diff *d, struct cell *cell, struct asked *asked, const struct change *where)
{
    uint64_t purpose = sl_purpose_bit(sl_purpose_code(cell->purpose));
    cell->facts = (struct facts){.count = 0};
    find_facts(&cell->facts, &cell->before, purpose);
    find_facts(&cell->facts, &cell->after, purpose);
    if (cell->facts.too_many) {
        struct change change = *where;
        change.way = SL_DIFF_EITHER;
        change.what = SL_LIT("asks for more facts than can be compared");
        add_change(d, change);
        return SL_OK;
    }
    uint32_t all = (uint32_t)1 << cell->facts.count;
    sl_arena_reset(d->scratch);
    struct table table = {.turn = sl_arena_array(d->scratch, all, 1),
        .before = sl_arena_array(d->scratch, all, sizeof(struct sl_slice)),
        .after = sl_arena_array(d->scratch, all, sizeof(struct sl_slice))};
    if (!table.turn || !table.before || !table.after)
        return SL_NO_MEMORY;
    fill_table(d, cell, asked, &table);
    tell_table(d, cell, &table, where);
    return sl_arena_failed(d->scratch) ? SL_NO_MEMORY : SL_OK;
}

static unsigned class_of(const struct sl_policy *policy, struct sl_slice id)
{
    return sl_policy_class_find(policy, id);
}

static enum sl_status compare_cells(struct diff *d)
{
    struct asked *asked = sl_arena_array(d->report.arena, 2, sizeof *asked);
    if (!asked)
        return SL_NO_MEMORY;
    for (unsigned p = 0; p < d->party_count; p++)
        for (unsigned c = 0; c < d->class_count; c++)
            for (size_t purpose = 0; purpose < sl_purpose_count(); purpose++) {
                struct cell cell = {.purpose = purpose,
                    .before = {d->before, sl_policy_party(d->before, d->parties[p]),
                        class_of(d->before, d->classes[c])},
                    .after = {d->after, sl_policy_party(d->after, d->parties[p]), class_of(d->after, d->classes[c])}};
                struct change where = {
                    .purposes = sl_purpose_bit(sl_purpose_code(purpose)), .parties = (uint64_t)1 << p};
                sl_classes_add(&where.classes, c);
                SL_TRY(compare_cell(d, &cell, asked, &where));
            }
    return SL_OK;
}

/* ---- Names ---- */

static void add_name(struct sl_slice *names, unsigned *count, struct sl_slice name)
{
    for (unsigned i = 0; i < *count; i++)
        if (sl_slice_eq(names[i], name))
            return;
    names[(*count)++] = name;
}

static void add_names(struct diff *d, const struct sl_policy *policy)
{
    for (unsigned i = 0; i < policy->party_count; i++)
        add_name(d->parties, &d->party_count, policy->party_ids[i]);
    for (unsigned i = 0; i < policy->class_count; i++)
        add_name(d->classes, &d->class_count, policy->classes[i].id);
}

/* The purposes by the fewest names: one for a whole branch of the tree. */
static void write_purposes(struct sl_buffer *out, uint64_t purposes)
{
    uint64_t every = 0, told = 0;
    for (size_t i = 0; i < sl_purpose_count(); i++)
        every |= sl_purpose_bit(sl_purpose_code(i));
    if (purposes == every) {
        sl_buffer_add(out, SL_LIT("for any purpose"));
        return;
    }
    const char *between = "for ";
    for (size_t i = 0; i < sl_purpose_count(); i++) { /* those whose branch is not whole */
        uint64_t own = sl_purpose_bit(sl_purpose_code(i));
        if (!(own & purposes) || !(sl_purpose_bits(sl_purpose_code(i), true) & ~purposes))
            continue;
        told |= own;
        sl_buffer_printf(out, "%s%.*s itself", between, SL_FMT(sl_purpose_name(i)));
        between = ", ";
    }
    while (purposes & ~told) {
        size_t best = SIZE_MAX;
        int most = 0;
        for (size_t i = 0; i < sl_purpose_count(); i++) {
            uint64_t bits = sl_purpose_bits(sl_purpose_code(i), true);
            int new = __builtin_popcountll(bits & ~told);
            if (!(bits & ~purposes) && new > most) {
                most = new;
                best = i;
            }
        }
        if (best == SIZE_MAX)
            return;
        told |= sl_purpose_bits(sl_purpose_code(best), true);
        sl_buffer_printf(out, "%s%.*s", between, SL_FMT(sl_purpose_name(best)));
        between = ", ";
    }
}

static void tell_change(struct diff *d, const struct change *c)
{
    struct sl_buffer line;
    sl_buffer_init(&line, 64 * 1024);
    const char *between = "";
    for (unsigned p = 0; p < d->party_count; p++)
        if (c->parties >> p & 1) {
            sl_buffer_printf(&line, "%s%.*s", between, SL_FMT(d->parties[p]));
            between = ", ";
        }
    sl_buffer_add(&line, SL_LIT(" "));
    write_purposes(&line, c->purposes);
    between = ": ";
    for (unsigned k = 0; k < d->class_count; k++)
        if (sl_classes_has(&c->classes, k)) {
            sl_buffer_printf(&line, "%s%.*s", between, SL_FMT(d->classes[k]));
            between = ", ";
        }
    sl_diff_say(&d->report, c->way, "%.*s %.*s", SL_FMT(sl_buffer_slice(&line)), SL_FMT(c->what));
    sl_buffer_fini(&line);
}

static void tell_changes(struct diff *d)
{
    static const struct {
        enum sl_diff_way way;
        const char *heading;
    } groups[] = {{SL_DIFF_LOOSER, "Released to more"},
        {SL_DIFF_TIGHTER, "Withheld from more, or goes out with more labels and duties"},
        {SL_DIFF_EITHER, "Goes out with less than before: look at each"}};
    for (unsigned g = 0; g < 3; g++) {
        bool first = true;
        for (size_t i = 0; i < d->count; i++) {
            if (d->changes[i].way != groups[g].way)
                continue;
            if (first)
                sl_buffer_printf(d->report.out, "%s\n", groups[g].heading);
            first = false;
            tell_change(d, &d->changes[i]);
        }
    }
}

/* ---- All of it ---- */

static void tell_end(const struct diff *d)
{
    const struct sl_policy_diff *r = d->report.result;
    if (r->looser + r->tighter + r->either == 0)
        sl_buffer_add(d->report.out, SL_LIT("The two policies do the same.\n"));
    sl_buffer_printf(d->report.out, "Compared: %zu cases of %u parties, %u classes, %zu purposes.\n", r->cells,
        d->party_count, d->class_count, sl_purpose_count());
    if (sl_policy_diff_loosens(r))
        sl_buffer_printf(d->report.out, "Releases more: %zu change%s that release%s, %zu that may.\n", r->looser,
            r->looser == 1 ? "" : "s", r->looser == 1 ? "s" : "", r->either);
    else
        sl_buffer_add(d->report.out, SL_LIT("Releases nothing new.\n"));
}

enum sl_status sl_policy_diff(const struct sl_policy *before, const struct sl_policy *after, struct sl_arena *arena,
    struct sl_buffer *out, struct sl_policy_diff *result)
{
    struct diff *d = sl_arena_alloc(arena, sizeof *d);
    if (!d)
        return SL_NO_MEMORY;
    *result = (struct sl_policy_diff){0};
    *d = (struct diff){.report = {arena, out, result}, .before = before, .after = after};
    add_names(d, before);
    add_names(d, after);
    if (d->party_count > SL_PARTY_LIMIT || d->class_count > SL_CLASS_LIMIT)
        return SL_LIMIT;
    d->scratch = sl_arena_new(SCRATCH);
    if (!d->scratch)
        return SL_NO_MEMORY;
    enum sl_status status = compare_cells(d);
    sl_arena_free(d->scratch);
    SL_TRY(status);
    join_changes(d, true);
    join_changes(d, false);
    tell_changes(d);
    size_t end = out->len;
    sl_buffer_add(out, SL_LIT("What the files say\n"));
    size_t begin = out->len;
    SL_TRY(sl_diff_words(&d->report, before, after));
    if (out->len == begin)
        out->len = end;
    tell_end(d);
    return sl_buffer_failed(out) || sl_arena_failed(arena) ? SL_NO_MEMORY : SL_OK;
}
