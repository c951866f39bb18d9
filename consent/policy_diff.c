/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What two policies release differently, exhaustively. The vocabulary is finite: for each party, purpose and class, and
 * for every combination of the facts that a rule about them asks for, both policies are asked (policy_cells.h), and the
 * answers compared.
 *
 * Equal changes are told together: one line for all classes, purposes and parties that change in the same way.
 */
#include "policy_diff.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy_cells.h"

#define SCRATCH ((size_t)64 << 20)

struct cell {
    struct sl_side before, after;
    size_t purpose; /* index */
    struct sl_facts facts;
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

/* ---- Telling which combinations changed ---- */

struct table {
    uint8_t *turn;                   /* by combination: enum turn */
    struct sl_slice *before, *after; /* duties; set only where both release */
    bool duties;                     /* in some combination they changed */
    size_t cells;                    /* combinations asked */
};

enum turn { TURN_NONE, TURN_RELEASED, TURN_WITHHELD, TURN_DUTIES, TURN_LIFTED, TURN_BARRED, TURN_IMPOSSIBLE };

static enum turn turn_of(unsigned before, unsigned after)
{
    bool was = before == SL_ANSWER_YES, is = after == SL_ANSWER_YES;
    if (was != is)
        return is ? TURN_RELEASED : TURN_WITHHELD;
    /* Another party of the same recipient could have the yes that is lacking here; never one that undoes a no. */
    if (before == SL_ANSWER_NO && after == 0)
        return TURN_LIFTED;
    if (before == 0 && after == SL_ANSWER_NO)
        return TURN_BARRED;
    return TURN_NONE;
}

/* Facts that, added to a combination in which it changed, undo the change. */
static uint32_t undoing(const struct table *table, const struct sl_facts *facts, uint32_t truth)
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

static enum sl_diff_way way_of_turn(enum turn turn)
{
    return turn == TURN_RELEASED || turn == TURN_LIFTED ? SL_DIFF_LOOSER : SL_DIFF_TIGHTER;
}

/* How many of the words are terms: something else than what goes out with it. */
static size_t count_terms(struct sl_slice words)
{
    size_t count = 0;
    for (size_t i = 0; i < words.len; i++)
        if (i == 0 || words.ptr[i - 1] == ' ')
            count += sl_slice_starts(sl_slice_from(words, i), SL_LIT("limited-to:")) ||
                     sl_slice_starts(sl_slice_from(words, i), SL_LIT("changed:"));
    return count;
}

/* A limit or a change that is gone releases more; anything else that no longer goes out with it could be either. */
static enum sl_diff_way way_of_duties(const struct table *table, uint32_t truth, size_t gained, size_t lost)
{
    size_t before = count_terms(table->before[truth]), after = count_terms(table->after[truth]);
    if (!lost)
        return SL_DIFF_TIGHTER;
    return !gained && lost == before - after ? SL_DIFF_LOOSER : SL_DIFF_EITHER;
}

/* What changed in a combination, without saying in which, and which way that goes. */
static struct sl_slice verb_of(struct diff *d, const struct table *table, uint32_t truth, enum sl_diff_way *way)
{
    static const char *const verbs[] = {[TURN_RELEASED] = "now released",
        [TURN_WITHHELD] = "now withheld",
        [TURN_LIFTED] = "no longer barred, for a recipient who is another party too that may have it",
        [TURN_BARRED] = "now barred, for a recipient who is another party too that may have it"};
    struct sl_buffer text;
    if (table->turn[truth] != TURN_DUTIES) {
        *way = way_of_turn((enum turn)table->turn[truth]);
        return sl_slice_of(verbs[table->turn[truth]]);
    }
    sl_buffer_init(&text, 64 * 1024);
    sl_buffer_add(&text, SL_LIT("goes out"));
    size_t gained = write_missing(&text, table->after[truth], table->before[truth], " now with ");
    size_t lost = write_missing(&text, table->before[truth], table->after[truth],
        text.len > strlen("goes out") ? ", no longer with " : " no longer with ");
    *way = way_of_duties(table, truth, gained, lost);
    struct sl_slice copy = sl_arena_copy(d->report.arena, sl_buffer_slice(&text));
    sl_buffer_fini(&text);
    return copy;
}

static struct sl_slice condition_of(struct diff *d, const struct cell *cell, const struct table *table, uint32_t truth)
{
    struct sl_buffer text;
    sl_buffer_init(&text, 64 * 1024);
    sl_facts_write(&text, &cell->facts, truth, "with ");
    sl_facts_write(&text, &cell->facts, undoing(table, &cell->facts, truth), truth ? ", without " : "without ");
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

static void fill_table(struct diff *d, struct cell *cell, struct sl_asked *asked, struct table *table)
{
    uint32_t all = (uint32_t)1 << cell->facts.count;
    sl_cell_begin(&asked[0], &cell->before, cell->purpose);
    sl_cell_begin(&asked[1], &cell->after, cell->purpose);
    for (uint32_t truth = 0; truth < all; truth++) {
        table->turn[truth] = TURN_IMPOSSIBLE;
        if (!sl_facts_can_be(&cell->facts, &cell->before, truth) || !sl_facts_can_be(&cell->facts, &cell->after, truth))
            continue;
        table->cells++;
        unsigned before = sl_cell_ask(&asked[0], &cell->before, &cell->facts, truth);
        unsigned after = sl_cell_ask(&asked[1], &cell->after, &cell->facts, truth);
        table->turn[truth] = (uint8_t)turn_of(before, after);
        if (before != SL_ANSWER_YES || after != SL_ANSWER_YES || cell->before.class == SL_CLASS_LIMIT ||
            cell->after.class == SL_CLASS_LIMIT)
            continue;
        table->before[truth] = sl_cell_duties(&asked[0], &cell->before, d->scratch);
        table->after[truth] = sl_cell_duties(&asked[1], &cell->after, d->scratch);
        if (!sl_slice_eq(table->before[truth], table->after[truth])) {
            table->turn[truth] = TURN_DUTIES;
            table->duties = true;
        }
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
            if ((unsigned)__builtin_popcount(truth) != weight || turn == TURN_NONE || turn == TURN_IMPOSSIBLE ||
                covers(table, told, count, truth))
                continue;
            told[count++] = truth;
            struct telling one = {.way = SL_DIFF_EITHER};
            one.verb = verb_of(d, table, truth, &one.way);
            one.conditions = condition_of(d, cell, table, truth);
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

/* Whose kinds the recipient has: the party's, if both policies say the same of them; NULL: of any. */
static const struct sl_party *kinds_party(const struct cell *cell)
{
    const struct sl_side *sides[] = {&cell->before, &cell->after};
    const struct sl_party *party = NULL;
    for (size_t i = 0; i < 2; i++) {
        if (sides[i]->party == SL_PARTY_LIMIT)
            continue;
        const struct sl_party *its = &sides[i]->policy->parties[sides[i]->party];
        if (party &&
            !(sl_words_same(&party->kinds, &its->kinds) && sl_words_same(&party->except_kinds, &its->except_kinds)))
            return NULL;
        party = its;
    }
    return party;
}

/* where->purposes: those that neither policy tells from this one. What is told is told of all of them, but for changed
 * duties, whose labels can name the purpose: then of this one alone. */
static enum sl_status compare_cell(struct diff *d, struct cell *cell, struct sl_asked *asked, struct change *where)
{
    cell->facts = (struct sl_facts){.count = 0};
    sl_facts_find(&cell->facts, &cell->before, cell->purpose);
    sl_facts_find(&cell->facts, &cell->after, cell->purpose);
    sl_facts_settle(&cell->facts, kinds_party(cell));
    if (cell->facts.too_many) {
        struct change change = *where;
        change.way = SL_DIFF_EITHER;
        change.what = SL_LIT("asks for more facts than can be compared");
        add_change(d, change);
        return SL_OK;
    }
    uint32_t all = (uint32_t)1 << cell->facts.count;
    sl_arena_reset(d->scratch);
    struct table table = {.turn = sl_arena_raw(d->scratch, all, 1),
        .before = sl_arena_raw(d->scratch, all, sizeof(struct sl_slice)),
        .after = sl_arena_raw(d->scratch, all, sizeof(struct sl_slice))};
    if (!table.turn || !table.before || !table.after)
        return SL_NO_MEMORY;
    fill_table(d, cell, asked, &table);
    if (table.duties)
        where->purposes = sl_purpose_bit(sl_purpose_code(cell->purpose));
    d->report.result->cells += table.cells * (size_t)__builtin_popcountll(where->purposes);
    tell_table(d, cell, &table, where);
    return sl_arena_failed(d->scratch) ? SL_NO_MEMORY : SL_OK;
}

static unsigned party_of(const struct sl_policy *policy, struct sl_slice id)
{
    unsigned party = sl_policy_party(policy, id);
    return sl_party_counts(policy, party) ? party : SL_PARTY_LIMIT;
}

static unsigned class_of(const struct sl_policy *policy, struct sl_slice id)
{
    return sl_policy_class_find(policy, id);
}

/* A party and a class, for every purpose. */
static enum sl_status compare_purposes(
    struct diff *d, unsigned p, unsigned c, const uint64_t alike[SL_PURPOSE_LIMIT], struct sl_asked *asked)
{
    uint64_t told = 0;
    for (size_t purpose = 0; purpose < sl_purpose_count(); purpose++) {
        struct cell cell = {.purpose = purpose,
            .before = {d->before, party_of(d->before, d->parties[p]), class_of(d->before, d->classes[c])},
            .after = {d->after, party_of(d->after, d->parties[p]), class_of(d->after, d->classes[c])}};
        struct change where = {.purposes = alike[purpose], .parties = (uint64_t)1 << p};
        sl_classes_add(&where.classes, c);
        if (told >> purpose & 1)
            continue;
        SL_TRY(compare_cell(d, &cell, asked, &where));
        told |= where.purposes;
    }
    return SL_OK;
}

static enum sl_status compare_cells(struct diff *d)
{
    struct sl_asked *asked = sl_arena_array(d->report.arena, 2, sizeof *asked);
    uint64_t alike[SL_PURPOSE_LIMIT];
    if (!asked)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < SL_PURPOSE_LIMIT; i++) /* each begins with all purposes there are */
        alike[i] = sl_purpose_count() < 64 ? ((uint64_t)1 << sl_purpose_count()) - 1 : UINT64_MAX;
    sl_purposes_alike(d->before, alike);
    sl_purposes_alike(d->after, alike);
    for (unsigned p = 0; p < d->party_count; p++)
        for (unsigned c = 0; c < d->class_count; c++)
            SL_TRY(compare_purposes(d, p, c, alike, asked));
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
        if (sl_party_counts(policy, i))
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
