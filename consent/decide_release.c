/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes out with an item that is released: the labels of its classes, and the duties of the rules relied on. For
 * each class that needs a yes, the rule relied on is one that needs no emergency before one that does, then the one
 * with fewer duties, then the first. A ceiling (`withhold … unless …`) is relied on by the line that kept it silent.
 */
#include "change.h"
#include "ruling.h"

#include <limits.h>
#include <stdlib.h>

#define LABEL_LIMIT 96u

struct relied {
    const struct sl_ruling *ruling;
    const struct sl_item *item, *whole; /* what is being taken, and what it is part of */
    struct state state;
    struct sl_classes classes;
    struct sl_release *out;
    bool purpose;
    char confidentiality;   /* set by a label set instead of the classes */
    uint32_t kinds, scoped; /* kinds of consent relied on, for what is being taken; whose scope goes with it */
    const struct sl_directive *first; /* consent relied on */
    struct sl_arena *arena;
    bool failed;
};

static void add_label(struct sl_release *out, const struct sl_coding *label)
{
    /* The confidentiality code is one of its own, and the highest stands. */
    if (label->code.len == 1 && strchr("ULMNRV", label->code.ptr[0])) {
        if (sl_level_rank(label->code.ptr[0]) > sl_level_rank(out->confidentiality))
            out->confidentiality = label->code.ptr[0];
        return;
    }
    for (size_t i = 0; i < out->label_count; i++)
        if (sl_slice_eq(out->labels[i].code, label->code) && sl_slice_eq(out->labels[i].system, label->system))
            return;
    if (out->label_count < LABEL_LIMIT)
        out->labels[out->label_count++] = *label;
}

/* Of one rule, one task: what its lines ask besides joins it, and the earlier day counts. */
static void add_task(struct relied *r, const struct sl_rule *rule, const struct sl_duties *d)
{
    struct sl_release *out = r->out;
    size_t i = 0;
    if (!d->notify && !d->review_days)
        return;
    if (!out->tasks)
        out->tasks = sl_arena_raw(r->arena, SL_TASK_LIMIT, sizeof *out->tasks);
    while (i < out->task_count && out->tasks[i].rule != &rule->view)
        i++;
    r->failed |= !out->tasks || i == SL_TASK_LIMIT;
    if (r->failed)
        return;
    struct sl_officer_task *task = &out->tasks[i];
    if (i == out->task_count) {
        *task = (struct sl_officer_task){.rule = &rule->view};
        out->task_count++;
    }
    task->notify |= d->notify;
    if (d->review_days && (!task->review_days || d->review_days < task->review_days))
        task->review_days = d->review_days;
}

static void add_duties(struct relied *r, const struct sl_rule *rule, const struct sl_duties *d)
{
    add_task(r, rule, d);
    r->out->notice |= d->notice;
    r->out->account |= d->account;
    r->out->emergency_record |= d->emergency_record;
    if (!d->labels)
        return;
    for (size_t i = 0; i < d->labels->label_count; i++)
        add_label(r->out, &d->labels->labels[i]);
    r->purpose |= d->labels->purpose;
    if (d->labels->confidentiality && sl_level_rank(d->labels->confidentiality) > sl_level_rank(r->confidentiality))
        r->confidentiality = d->labels->confidentiality;
}

static void add_class_labels(struct relied *r)
{
    const struct sl_policy *policy = r->ruling->policy;
    for (unsigned bit = sl_classes_next(&r->classes, 0); bit < policy->class_count;
         bit = sl_classes_next(&r->classes, bit + 1)) {
        const struct sl_class *class = &policy->classes[bit];
        if (sl_level_rank(class->confidentiality) > sl_level_rank(r->out->confidentiality))
            r->out->confidentiality = class->confidentiality;
        for (size_t i = 0; i < class->label_count; i++)
            add_label(r->out, &class->labels[i]);
    }
}

static void rely_on(struct relied *r, const struct sl_rule *rule, const struct sl_condition *line, bool scope)
{
    if (!line)
        return;
    r->kinds |= line->kinds & r->state.kinds;
    if (scope || line->then.scope)
        r->scoped |= line->kinds & r->state.kinds;
    add_duties(r, rule, &line->then);
}

static unsigned weight(const struct sl_rule *rule)
{
    const struct sl_duties *d = &rule->then;
    return d->notice + d->scope + d->account + d->emergency_record + d->notify + (d->review_days > 0) +
           (d->labels ? (unsigned)d->labels->label_count : 0);
}

/* Is `a` relied on before `b`: no emergency before an emergency, whole and unchanged before limited, then fewer duties?
 */
static bool comes_first(const struct sl_rule *a, bool a_emergency, const struct sl_rule *b, bool b_emergency)
{
    if (a_emergency != b_emergency)
        return b_emergency;
    if (!a->term != !b->term)
        return !a->term;
    return weight(a) < weight(b);
}

/* The release that a class rests on; NULL if none speaks for it. */
static const struct sl_rule *release_for(const struct sl_ruling *ruling, const struct state *state, unsigned bit)
{
    const struct sl_rule *best = NULL;
    bool best_emergency = false;
    for (size_t i = 0; i < ruling->rule_count; i++) {
        const struct sl_rule *rule = ruling->rules[i];
        if (rule->verdict != SL_RULE_RELEASE || !sl_classes_has(&rule->data, bit) ||
            !sl_rule_speaks(ruling, rule, state))
            continue;
        bool emergency = sl_rule_rests_on_emergency(ruling, rule, state);
        if (!best || comes_first(rule, emergency, best, best_emergency)) {
            best = rule;
            best_emergency = emergency;
        }
    }
    return best;
}

/* Does a limited release join the one that a class rests on: speaking for it as that does, on other terms? What each
 * names goes then. */
static bool joins(const struct sl_ruling *ruling, const struct state *state, unsigned bit, const struct sl_rule *best,
    const struct sl_rule *rule)
{
    return best && best->term && rule->term && rule->term != best->term && rule->verdict == SL_RULE_RELEASE &&
           sl_classes_has(&rule->data, bit) && sl_rule_speaks(ruling, rule, state) &&
           sl_rule_rests_on_emergency(ruling, rule, state) == sl_rule_rests_on_emergency(ruling, best, state);
}

/* The line that kept a withholding rule silent about these classes; NULL if it is not such a rule. */
static const struct sl_condition *exception_of(const struct sl_ruling *ruling, const struct sl_rule *rule,
    const struct state *state, const struct sl_classes *classes)
{
    if (rule->verdict == SL_RULE_RELEASE || !sl_classes_meet(&rule->data, classes))
        return NULL;
    if (rule->only_if_count && !sl_condition_relied(ruling, rule->only_if, rule->only_if_count, state))
        return NULL;
    return sl_condition_relied(ruling, rule->unless, rule->unless_count, state);
}

/* Does another line of the rule join the one relied on, as limited releases do? */
static bool line_joins(const struct sl_ruling *ruling, const struct state *state, const struct sl_condition *best,
    const struct sl_condition *line)
{
    return line != best && best->term && line->term && line->term != best->term && line->emergency == best->emergency &&
           sl_condition_holds(ruling, line, state);
}

typedef void (*visit_call)(void *context, const struct sl_rule *rule, const struct sl_condition *line);

struct visiting {
    const struct sl_ruling *ruling;
    const struct state *state;
    struct sl_classes asked;                        /* those that need a yes */
    const struct sl_rule *releases[SL_CLASS_LIMIT]; /* what each of them rests on */
    visit_call visit;
    void *context;
};

static bool is_relied(const struct visiting *v, const struct sl_rule *rule)
{
    for (unsigned bit = sl_classes_next(&v->asked, 0); bit < SL_CLASS_LIMIT; bit = sl_classes_next(&v->asked, bit + 1))
        if (v->releases[bit] == rule || joins(v->ruling, v->state, bit, v->releases[bit], rule))
            return true;
    return false;
}

static void visit_lines(const struct visiting *v, const struct sl_rule *rule, const struct sl_condition *best)
{
    v->visit(v->context, rule, best);
    for (size_t i = 0; i < rule->unless_count; i++)
        if (line_joins(v->ruling, v->state, best, &rule->unless[i]))
            v->visit(v->context, rule, &rule->unless[i]);
}

/* Every rule relied on, each once, in the order of the policy: calls visit with the line that made it so (may be NULL);
 * again for each further line that joins it. */
static void visit_relied(const struct sl_ruling *ruling, const struct state *state, const struct sl_classes *classes,
    visit_call visit, void *context)
{
    struct visiting v = {.ruling = ruling, .state = state, .asked = *classes, .visit = visit, .context = context};
    sl_classes_keep(&v.asked, &ruling->policy->needs_yes);
    for (unsigned bit = sl_classes_next(&v.asked, 0); bit < SL_CLASS_LIMIT; bit = sl_classes_next(&v.asked, bit + 1))
        v.releases[bit] = release_for(ruling, state, bit);
    for (size_t i = 0; i < ruling->rule_count; i++) {
        const struct sl_rule *rule = ruling->rules[i];
        const struct sl_condition *line = exception_of(ruling, rule, state, classes);
        if (line)
            visit_lines(&v, rule, line);
        else if (is_relied(&v, rule))
            visit(context, rule, sl_condition_relied(ruling, rule->only_if, rule->only_if_count, state));
    }
}

/* ---- Terms ---- */

/* A clause that a term fulfils in which nothing is limited or changed asks nothing; one that is there already, nothing
 * more. Beyond the limit nothing is kept: no policy of any sense gets there. */
static void add_clause(struct sl_terms *terms, uint64_t clause)
{
    if (!clause || clause & 1)
        return;
    for (unsigned i = 0; i < terms->count; i++)
        if (terms->clause[i] == clause)
            return;
    if (terms->count < SL_CLAUSE_LIMIT)
        terms->clause[terms->count++] = clause;
    else
        terms->clause[0] = 0;
}

/* The yeses for one class; those that rest on an emergency only if there are no others. */
static uint64_t clause_of(const struct sl_ruling *ruling, const struct state *state, unsigned bit)
{
    uint64_t terms[2] = {0};
    for (size_t i = 0; i < ruling->rule_count; i++) {
        const struct sl_rule *rule = ruling->rules[i];
        if (rule->verdict == SL_RULE_RELEASE && sl_classes_has(&rule->data, bit) && sl_rule_speaks(ruling, rule, state))
            terms[sl_rule_rests_on_emergency(ruling, rule, state)] |= (uint64_t)1 << rule->term;
    }
    return terms[0] ? terms[0] : terms[1];
}

/* The lines that keep a withholding rule silent; where it speaks and narrows, its own. */
static uint64_t clause_of_rule(const struct sl_ruling *ruling, const struct sl_rule *rule, const struct state *state,
    const struct sl_classes *classes)
{
    const struct sl_condition *best = exception_of(ruling, rule, state, classes);
    uint64_t terms = best ? (uint64_t)1 << best->term : 0;
    for (size_t i = 0; i < rule->unless_count && best; i++)
        if (line_joins(ruling, state, best, &rule->unless[i]))
            terms |= (uint64_t)1 << rule->unless[i].term;
    if (best || !rule->narrows || !sl_rule_speaks(ruling, rule, state))
        return terms;
    struct sl_classes reach = sl_rule_reach(ruling, rule, state);
    return sl_classes_meet(&reach, classes) ? (uint64_t)1 << rule->term : 0;
}

void sl_terms_add(
    const struct sl_ruling *ruling, const struct state *state, const struct sl_classes *classes, struct sl_terms *terms)
{
    struct sl_classes asked = *classes;
    sl_classes_keep(&asked, &ruling->policy->needs_yes);
    for (unsigned bit = sl_classes_next(&asked, 0); bit < SL_CLASS_LIMIT && ruling->terms;
         bit = sl_classes_next(&asked, bit + 1))
        add_clause(terms, clause_of(ruling, state, bit));
    for (size_t i = 0; i < ruling->rule_count && ruling->terms; i++)
        if (ruling->rules[i]->verdict != SL_RULE_RELEASE && sl_rule_has_terms(ruling->rules[i]))
            add_clause(terms, clause_of_rule(ruling, ruling->rules[i], state, classes));
}

/* Those of a clause whose list keeps the element. */
static uint64_t keeping(const struct sl_policy *policy, uint64_t clause, uint32_t lists)
{
    uint64_t kept = 0;
    for (uint64_t rest = clause; rest; rest &= rest - 1)
        if (lists >> policy->terms[__builtin_ctzll(rest)].list & 1)
            kept |= rest & -rest;
    return kept;
}

bool sl_terms_keep(const struct sl_policy *policy, const struct sl_terms *terms, uint32_t lists)
{
    for (unsigned i = 0; i < terms->count; i++)
        if (!keeping(policy, terms->clause[i], lists | 1))
            return false;
    return true;
}

uint32_t sl_terms_changes(const struct sl_policy *policy, const struct sl_terms *terms, uint32_t lists)
{
    uint32_t changes = 0;
    for (unsigned i = 0; i < terms->count; i++) {
        uint32_t all = ~(uint32_t)0;
        uint64_t kept = keeping(policy, terms->clause[i], lists | 1);
        for (uint64_t rest = kept; rest; rest &= rest - 1)
            all &= policy->terms[__builtin_ctzll(rest)].changes;
        changes |= kept ? all : 0;
    }
    return changes;
}

/* The lists of a clause, each once, with "or" between; empty where one of its terms has none. */
static struct sl_slice clause_in_words(struct relied *r, uint64_t clause)
{
    const struct sl_policy *policy = r->ruling->policy;
    struct sl_slice text = {NULL, 0};
    uint32_t lists = 0;
    for (uint64_t rest = clause; rest; rest &= rest - 1)
        lists |= (uint32_t)1 << policy->terms[__builtin_ctzll(rest)].list;
    if (lists & 1)
        return text;
    for (; lists; lists &= lists - 1) {
        struct sl_slice id = policy->element_lists[__builtin_ctz(lists) - 1].id;
        text = text.len ? sl_arena_printf(r->arena, "%.*s or %.*s", SL_FMT(text), SL_FMT(id)) : id;
        r->failed |= !text.ptr;
    }
    return text;
}

/* What the whole goes out under, in words. */
static void write_terms(struct relied *r)
{
    const struct sl_policy *policy = r->ruling->policy;
    struct sl_release *out = r->out;
    struct sl_terms terms = {.count = 0};
    sl_terms_add(r->ruling, &r->state, &r->classes, &terms);
    if (!terms.count)
        return;
    out->limited_to = sl_arena_array(r->arena, terms.count, sizeof *out->limited_to);
    out->changed = sl_arena_array(r->arena, SL_CHANGES, sizeof *out->changed);
    r->failed |= !out->limited_to || !out->changed;
    for (unsigned i = 0; i < terms.count && !r->failed; i++) {
        struct sl_slice text = clause_in_words(r, terms.clause[i]);
        if (text.len)
            out->limited_to[out->limited_count++] = text;
    }
    uint32_t changes = sl_terms_changes(policy, &terms, ~(uint32_t)0);
    for (unsigned i = 0; i < SL_CHANGES && !r->failed; i++)
        if (changes >> i & 1)
            out->changed[out->changed_count++] = sl_change_word((enum sl_change)i);
}

static void take_duties(void *context, const struct sl_rule *rule, const struct sl_condition *line)
{
    struct relied *r = context;
    if (rule->verdict == SL_RULE_RELEASE)
        add_duties(r, rule, &rule->then);
    rely_on(r, rule, line, rule->verdict == SL_RULE_RELEASE && rule->then.scope);
}

static bool is_listed(const struct sl_release *out, struct sl_slice scope)
{
    for (size_t i = 0; i < out->scope_count; i++)
        if (sl_slice_eq(out->scopes[i], scope))
            return true;
    return false;
}

/* 2.32(b) wants a copy of the consent or an explanation of its scope: for this discloser and this recipient. */
static void add_scope(struct relied *r, const struct sl_directive *directive)
{
    struct sl_release *out = r->out;
    struct sl_slice scope = sl_directive_scope_for(directive, &r->ruling->recipient, r->item, r->arena);
    if (is_listed(out, scope))
        return;
    size_t count = out->scope_count;
    bool full = (count & (count - 1)) == 0; /* room is made by doubling */
    struct sl_slice *scopes = full ? sl_arena_raw(r->arena, count ? count * 2 : 1, sizeof *scopes) : out->scopes;
    r->failed |= !scope.ptr || !scopes;
    if (r->failed)
        return;
    if (full && count)
        memcpy(scopes, out->scopes, count * sizeof *scopes);
    scopes[count] = scope;
    out->scopes = scopes;
    out->scope_count++;
}

static bool permits(const struct relied *r, const struct candidate *c)
{
    return sl_candidate_verdict(r->ruling, c, r->item, &r->classes) == SL_CONSENT_PERMIT;
}

/* The consents that were relied on: the first that counts as a kind relied on and covers the item; and of each person
 * the first whose scope must go with it. */
static void add_consents(struct relied *r)
{
    unsigned done = UINT_MAX; /* the person last found one of; candidates of one stand together */
    for (size_t i = 0; i < r->ruling->candidate_count; i++) {
        const struct candidate *c = &r->ruling->candidates[i];
        bool scoped = c->kinds & r->scoped && c->person != done;
        if (!(c->kinds & r->kinds) || c->person >= r->ruling->person_count || (r->first && !scoped) || !permits(r, c))
            continue;
        if (!r->first)
            r->first = c->directive;
        if (!scoped)
            continue;
        done = c->person;
        add_scope(r, c->directive);
    }
}

/* 2.32(a) wants a statement, and with it goes the scope of each consent. */
static enum sl_status write_statement(struct relied *r)
{
    struct sl_slice notice = r->ruling->policy->short_notice;
    struct sl_release *out = r->out;
    out->statement = notice;
    for (size_t i = 0; i < out->scope_count && out->statement.ptr; i++)
        out->statement =
            sl_arena_printf(r->arena, i ? "%.*s; %.*s" : "%.*s %.*s", SL_FMT(out->statement), SL_FMT(out->scopes[i]));
    return out->statement.ptr ? SL_OK : SL_NO_MEMORY;
}

/* What goes of the item itself: its classes, and those of its parts that are not lent. */
static struct sl_classes classes_that_go(const struct sl_item *item)
{
    struct sl_classes classes = item->classes;
    for (uint32_t i = 0; i < item->part_count; i++)
        if (!item->parts[i].cut && !item->parts[i].lender)
            sl_classes_join(&classes, &item->parts[i].classes);
    return classes;
}

/* The labels and duties of these classes, as facts of `item` decide. */
static void take(
    struct relied *r, const struct sl_item *item, const struct sl_classes *judged, const struct sl_classes *classes)
{
    r->item = item;
    r->classes = *classes;
    r->state = sl_state_of(r->ruling, item, judged);
    r->kinds = r->scoped = 0;
    add_class_labels(r);
    visit_relied(r->ruling, &r->state, &r->classes, take_duties, r);
    if (r->kinds)
        add_consents(r);
}

/* What a mention lends goes out under the rules and the consent that let its lender's record go. */
static void take_lent(struct relied *r, const struct sl_part *part)
{
    struct sl_classes judged = part->lender->classes;
    sl_classes_join(&judged, &part->classes);
    take(r, part->lender, &judged, &part->classes);
}

static void take_all(struct relied *r, const struct sl_item *item)
{
    struct sl_classes own = classes_that_go(item);
    take(r, item, &own, &own);
    if (item == r->whole) {
        r->classes = item->classes;
        write_terms(r);
    }
    for (uint32_t i = 0; i < item->part_count; i++)
        if (!item->parts[i].cut && item->parts[i].lender)
            take_lent(r, &item->parts[i]);
}

/* What is contained is labelled by the references to it; the elements in it that have classes of their own, by
 * themselves. */
static void take_contained(struct relied *r, const struct sl_item *item)
{
    for (const struct sl_item *within = item->next; within && within->container; within = within->next)
        if (within->part_count && within->verdict && within->verdict->decision == SL_RELEASED)
            take_all(r, within);
}

/* One element's, as part of its whole: what the whole goes out under, it does too. */
static void take_part(struct relied *r, const struct sl_item *item, const struct sl_part *part)
{
    struct sl_classes classes = item->classes;
    if (part->lender) {
        take_lent(r, part);
        return;
    }
    sl_classes_join(&classes, &part->classes);
    take(r, item, &classes, &classes);
}

static int order_slices(struct sl_slice a, struct sl_slice b)
{
    int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* One order, whatever earned them: what was labelled before and is labelled again reads the same. */
static int order_labels(const void *a, const void *b)
{
    const struct sl_coding *x = a, *y = b;
    int order = order_slices(x->system, y->system);
    return order ? order : order_slices(x->code, y->code);
}

static enum sl_status begin_release(
    struct relied *r, const struct sl_ruling *ruling, struct sl_arena *arena, struct sl_release *out)
{
    *r = (struct relied){.ruling = ruling, .out = out, .arena = arena};
    *out = (struct sl_release){.confidentiality = 'U', .labels = out->labels};
    if (!out->labels)
        out->labels = sl_arena_raw(arena, LABEL_LIMIT, sizeof *out->labels);
    return out->labels ? SL_OK : SL_NO_MEMORY;
}

static enum sl_status end_release(struct relied *r)
{
    struct sl_release *out = r->out;
    if (r->confidentiality)
        out->confidentiality = r->confidentiality;
    if (r->purpose) {
        struct sl_coding purpose = {.system = SL_LIT("http://terminology.hl7.org/CodeSystem/v3-ActReason"),
            .code = sl_purpose_find(r->ruling->recipient.purpose)};
        add_label(out, &purpose);
    }
    qsort(out->labels, out->label_count, sizeof *out->labels, order_labels);
    if (r->first)
        out->consent = sl_directive_id(r->first);
    if (r->failed)
        return SL_NO_MEMORY;
    return out->notice ? write_statement(r) : SL_OK;
}

enum sl_status sl_ruling_release(
    const struct sl_ruling *ruling, const struct sl_item *item, struct sl_arena *arena, struct sl_release *out)
{
    struct relied r;
    out->labels = NULL;
    SL_TRY(begin_release(&r, ruling, arena, out));
    r.whole = item;
    take_all(&r, item);
    if (!item->container)
        take_contained(&r, item);
    return end_release(&r);
}

enum sl_status sl_ruling_release_of(const struct sl_ruling *ruling, const struct sl_item *item,
    const struct sl_part *part, struct sl_arena *arena, struct sl_release *out)
{
    struct relied r;
    SL_TRY(begin_release(&r, ruling, arena, out));
    if (part)
        take_part(&r, item, part);
    else
        take(&r, item, &item->classes, &item->classes);
    return end_release(&r);
}

enum sl_status sl_release_join(struct sl_release *release, const struct sl_release *more)
{
    if (sl_level_rank(more->confidentiality) > sl_level_rank(release->confidentiality))
        release->confidentiality = more->confidentiality;
    for (size_t i = 0; i < more->label_count; i++)
        add_label(release, &more->labels[i]);
    qsort(release->labels, release->label_count, sizeof *release->labels, order_labels);
    return release->label_count < LABEL_LIMIT ? SL_OK : SL_LIMIT;
}

enum sl_status sl_release_copy(struct sl_release *out, const struct sl_release *release, struct sl_arena *arena)
{
    struct sl_coding *room = out->labels ? out->labels : sl_arena_raw(arena, LABEL_LIMIT, sizeof *room);
    if (!room)
        return SL_NO_MEMORY;
    if (release->label_count)
        memcpy(room, release->labels, release->label_count * sizeof *room);
    *out = *release;
    out->labels = room;
    return SL_OK;
}

bool sl_ruling_inline(const struct sl_ruling *ruling)
{
    return ruling->policy->inline_labels;
}

const struct sl_earning *sl_ruling_earning(const struct sl_ruling *ruling)
{
    return &ruling->policy->earning;
}

struct sl_slice sl_ruling_short_notice(const struct sl_ruling *ruling)
{
    return ruling->policy->short_notice;
}

struct listing {
    const struct sl_rule_view **rules;
    size_t count, max;
};

static void list_rule(void *context, const struct sl_rule *rule, const struct sl_condition *line)
{
    struct listing *l = context;
    (void)line;
    for (size_t i = 0; i < l->count; i++)
        if (l->rules[i] == &rule->view)
            return;
    if (l->count < l->max)
        l->rules[l->count++] = &rule->view;
}

size_t sl_ruling_rules(
    const struct sl_ruling *ruling, const struct sl_item *item, const struct sl_rule_view **rules, size_t max)
{
    struct listing listing = {.rules = rules, .max = max};
    struct sl_classes own = classes_that_go(item);
    struct state state = sl_state_of(ruling, item, &own);
    visit_relied(ruling, &state, &own, list_rule, &listing);
    for (uint32_t i = 0; i < item->part_count; i++) {
        const struct sl_part *part = &item->parts[i];
        if (part->cut || !part->lender)
            continue;
        struct sl_classes judged = part->lender->classes;
        sl_classes_join(&judged, &part->classes);
        state = sl_state_of(ruling, part->lender, &judged);
        visit_relied(ruling, &state, &part->classes, list_rule, &listing);
    }
    return listing.count;
}
