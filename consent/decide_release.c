/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes out with an item that is released: the labels of its classes, and the duties of the rules relied on. For
 * each class that needs a yes, the rule relied on is one that needs no emergency before one that does, then the one
 * with fewer duties, then the first. A ceiling (`withhold … unless …`) is relied on by the line that kept it silent.
 */
#include "ruling.h"

#include <limits.h>
#include <stdlib.h>

#define LABEL_LIMIT 96u

struct relied {
    const struct sl_ruling *ruling;
    const struct sl_item *item;
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

static void add_duties(struct relied *r, const struct sl_duties *d)
{
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

static void rely_on(struct relied *r, const struct sl_condition *line, bool scope)
{
    if (!line)
        return;
    r->kinds |= line->kinds & r->state.kinds;
    if (scope || line->then.scope)
        r->scoped |= line->kinds & r->state.kinds;
    add_duties(r, &line->then);
}

static unsigned weight(const struct sl_rule *rule)
{
    const struct sl_duties *d = &rule->then;
    return d->notice + d->scope + d->account + d->emergency_record + (d->labels ? (unsigned)d->labels->label_count : 0);
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
        if (!best || emergency < best_emergency || (emergency == best_emergency && weight(rule) < weight(best))) {
            best = rule;
            best_emergency = emergency;
        }
    }
    return best;
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

/* Every rule relied on, each once, in the order of the policy: calls visit with the line that made it so (may be NULL).
 */
static void visit_relied(const struct sl_ruling *ruling, const struct state *state, const struct sl_classes *classes,
    void (*visit)(void *context, const struct sl_rule *rule, const struct sl_condition *line), void *context)
{
    const struct sl_rule *releases[SL_CLASS_LIMIT];
    size_t count = 0;
    struct sl_classes asked = *classes;
    sl_classes_keep(&asked, &ruling->policy->needs_yes);
    for (unsigned bit = sl_classes_next(&asked, 0); bit < SL_CLASS_LIMIT; bit = sl_classes_next(&asked, bit + 1))
        releases[count++] = release_for(ruling, state, bit);
    for (size_t i = 0; i < ruling->rule_count; i++) {
        const struct sl_rule *rule = ruling->rules[i];
        const struct sl_condition *line = exception_of(ruling, rule, state, classes);
        bool relied = line != NULL;
        for (size_t k = 0; k < count && !relied; k++)
            relied = releases[k] == rule;
        if (!relied)
            continue;
        if (!line)
            line = sl_condition_relied(ruling, rule->only_if, rule->only_if_count, state);
        visit(context, rule, line);
    }
}

static void take_duties(void *context, const struct sl_rule *rule, const struct sl_condition *line)
{
    struct relied *r = context;
    if (rule->verdict == SL_RULE_RELEASE)
        add_duties(r, &rule->then);
    rely_on(r, line, rule->verdict == SL_RULE_RELEASE && rule->then.scope);
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
    const struct sl_ruling *ruling = r->ruling;
    enum sl_consent_verdict verdict = c->by_item ? sl_directive_judge(c->directive, ruling->policy, &ruling->recipient,
                                                       r->item, &r->classes, ruling->now)
                                                 : c->verdict;
    return verdict == SL_CONSENT_PERMIT;
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
