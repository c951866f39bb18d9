/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rules of a policy do, asked exhaustively (policy_cells.h): each case once with every rule, and again without
 * each rule that has made no difference so far. What never makes one, in any answer or duty, changes nothing; if it
 * never speaks either, it can never match. (A ceiling that is always silent may still bring duties, by the line that
 * silences it.)
 */
#include "policy_cells.h"
#include "policy_review.h"

#include <stdlib.h>

#define SCRATCH ((size_t)16 << 20)

struct look {
    const struct sl_review *review;
    const struct sl_policy *policy;
    struct sl_policy *less; /* the same, but for the rule that is left out */
    struct sl_arena *scratch;
    struct sl_asked *whole, *part;
    bool *speaks, *matters; /* by rule */
    struct sl_classes sees[SL_PARTY_LIMIT], sees_in_emergency[SL_PARTY_LIMIT];
    bool too_many;
};

/* ---- One case ---- */

/* The same answer, and the same level, duties and labels? `duties` keeps those of the whole policy for the next rule.
 */
static bool is_same(struct look *l, const struct sl_side *whole, const struct sl_side *part,
    const struct sl_facts *facts, uint32_t truth, unsigned answer, struct sl_slice *duties)
{
    if (sl_cell_ask(l->part, part, facts, truth) != answer)
        return false;
    if (answer != SL_ANSWER_YES)
        return true;
    if (!duties->ptr)
        *duties = sl_cell_duties(l->whole, whole, l->scratch);
    return sl_slice_eq(*duties, sl_cell_duties(l->part, part, l->scratch));
}

static void leave_out(struct look *l, const struct sl_side *side, const struct sl_facts *facts, uint32_t truth,
    unsigned answer, size_t purpose)
{
    const struct sl_ruling *r = &l->whole->ruling;
    struct sl_slice duties = {NULL, 0};
    for (size_t i = 0; i < r->rule_count; i++) {
        size_t at = (size_t)(r->rules[i] - l->policy->rules);
        struct sl_side part = {l->less, side->party, side->class};
        l->speaks[at] |= sl_rule_speaks(r, r->rules[i], &r->plain);
        if (l->matters[at])
            continue;
        struct sl_rule kept = l->less->rules[at];
        l->less->rules[at].data = (struct sl_classes){{0}};
        sl_cell_begin(l->part, &part, purpose);
        l->matters[at] = !is_same(l, side, &part, facts, truth, answer, &duties);
        l->less->rules[at] = kept;
    }
}

/* Nothing is true but that an emergency was declared, and of what kind the recipient is. */
static bool only_emergency(const struct sl_facts *facts, uint32_t truth)
{
    for (unsigned i = 0; i < facts->count; i++)
        if (truth >> i & 1 && facts->fact[i].type != SL_FACT_EMERGENCY && facts->fact[i].type != SL_FACT_KINDS)
            return false;
    return true;
}

/* ---- A cell ---- */

static void mark_all(struct look *l, const struct sl_side *side, size_t purpose)
{
    sl_cell_begin(l->whole, side, purpose);
    for (size_t i = 0; i < l->whole->about_count; i++) {
        size_t at = (size_t)(l->whole->about[i] - l->policy->rules);
        l->speaks[at] = l->matters[at] = true;
    }
    sl_classes_add(&l->sees[side->party], side->class);
    l->too_many = true;
}

static enum sl_status look_at(struct look *l, const struct sl_side *side, size_t purpose)
{
    struct sl_facts facts = {.count = 0};
    bool emergency = sl_purpose_within(sl_purpose_code(purpose), SL_LIT("ETREAT"));
    sl_facts_find(&facts, side, purpose);
    sl_facts_settle(&facts, &l->policy->parties[side->party]);
    if (facts.too_many) {
        mark_all(l, side, purpose);
        return SL_OK;
    }
    sl_cell_begin(l->whole, side, purpose);
    for (uint32_t truth = 0; truth < (uint32_t)1 << facts.count; truth++) {
        if (!sl_facts_can_be(&facts, side, truth))
            continue;
        unsigned answer = sl_cell_ask(l->whole, side, &facts, truth);
        if (answer == SL_ANSWER_YES)
            sl_classes_add(&l->sees[side->party], side->class);
        if (answer == SL_ANSWER_YES && emergency && only_emergency(&facts, truth))
            sl_classes_add(&l->sees_in_emergency[side->party], side->class);
        leave_out(l, side, &facts, truth, answer, purpose);
        sl_arena_reset(l->scratch);
    }
    return sl_arena_failed(l->scratch) ? SL_NO_MEMORY : SL_OK;
}

/* Whether it is for an emergency is asked here besides what the rules ask. */
static void find_alike(const struct sl_policy *policy, uint64_t alike[SL_PURPOSE_LIMIT])
{
    uint64_t emergency = sl_purpose_bits(SL_LIT("ETREAT"), true);
    for (unsigned i = 0; i < SL_PURPOSE_LIMIT; i++)
        alike[i] = emergency >> i & 1 ? emergency : ~emergency;
    sl_purposes_alike(policy, alike);
}

static enum sl_status look_at_all(struct look *l)
{
    uint64_t alike[SL_PURPOSE_LIMIT];
    find_alike(l->policy, alike);
    for (unsigned party = 0; party < l->policy->party_count; party++)
        for (unsigned class = 0; class < l->policy->class_count; class ++)
            for (size_t purpose = 0; purpose < sl_purpose_count() && sl_party_counts(l->policy, party); purpose++)
                if (!(alike[purpose] & (((uint64_t)1 << purpose) - 1))) /* none like it has been looked at */
                    SL_TRY(look_at(l, &(struct sl_side){l->policy, party, class}, purpose));
    return SL_OK;
}

/* ---- What is told ---- */

void sl_review_write_classes(struct sl_buffer *out, const struct sl_policy *policy, const struct sl_classes *classes)
{
    unsigned last = SL_CLASS_LIMIT, told = 0;
    for (unsigned i = 0; i < policy->class_count; i++)
        last = sl_classes_has(classes, i) ? i : last;
    for (unsigned i = 0; i < policy->class_count; i++)
        if (sl_classes_has(classes, i))
            sl_buffer_printf(out, "%s%.*s", !told++ ? "" : i == last ? " and " : ", ", SL_FMT(policy->classes[i].id));
}

static void tell_rules(const struct look *l)
{
    for (size_t i = 0; i < l->policy->rule_count; i++) {
        const struct sl_rule *rule = &l->policy->rules[i];
        struct sl_issue *issue = NULL;
        if (rule->guard) /* it stands there for when others change */
            continue;
        l->review->idle[i] = !l->matters[i];
        if (!l->speaks[i] && !l->matters[i])
            issue = sl_review_say(l->review, rule->source, rule->at, "id", "rule-never-speaks",
                "The rule \"%.*s\" can never match: in no case do its parties, purposes and lines come together.",
                SL_FMT(rule->view.id));
        else if (!l->matters[i])
            issue = sl_review_say(l->review, rule->source, rule->at, "id", "rule-without-effect",
                "The rule \"%.*s\" changes nothing: without it, every case would come out the same.",
                SL_FMT(rule->view.id));
        if (issue)
            issue->fix = l->speaks[i]
                             ? SL_LIT("Take it out, or find the rule that does the same and take that one out.")
                             : SL_LIT("Look at `to`, `for`, `only-if` and `unless` together.");
    }
}

static void tell_classes(const struct look *l)
{
    struct sl_classes seen = {0}, released = {0};
    for (unsigned i = 0; i < l->policy->party_count; i++)
        sl_classes_join(&seen, &l->sees[i]);
    for (size_t i = 0; i < l->policy->rule_count; i++)
        if (l->policy->rules[i].verdict == SL_RULE_RELEASE)
            sl_classes_join(&released, &l->policy->rules[i].data);
    for (unsigned i = 0; i < l->policy->class_count; i++) {
        const struct sl_class_source *at = &l->policy->class_sources[i];
        if (!l->policy->classes[i].needs_yes || sl_classes_has(&seen, i) || !sl_classes_has(&released, i))
            continue;
        struct sl_issue *issue = sl_review_say(l->review, at->source, at->at, "id", "class-out-of-reach",
            "A rule releases the class \"%.*s\", and others withhold it in every case: nobody may see it.",
            SL_FMT(l->policy->classes[i].id));
        if (issue)
            issue->fix = SL_LIT("See with `policy matrix` and `policy explain` which rule stands in the way.");
    }
}

static void tell_parties(const struct look *l)
{
    for (unsigned i = 0; i < l->policy->party_count; i++) {
        const struct sl_party *party = &l->policy->parties[i];
        struct sl_classes sees = l->sees[i];
        sl_classes_keep(&sees, &l->policy->needs_yes);
        if (!sl_classes_empty(&sees) || party->builtin)
            continue;
        struct sl_issue *issue = sl_review_say(l->review, party->source, party->at, "id", "party-sees-nothing",
            "Nothing is ever released to the party \"%.*s\".", SL_FMT(party->id));
        if (issue)
            issue->fix = SL_LIT("Write a rule that releases something to it, or take the party out.");
    }
}

static void tell_emergency(const struct look *l)
{
    for (unsigned i = 0; i < l->policy->party_count; i++) {
        const struct sl_party *party = &l->policy->parties[i];
        struct sl_classes lacks = l->policy->needs_yes;
        struct sl_buffer text;
        sl_classes_cut(&lacks, &l->sees_in_emergency[i]);
        if (!party->emergency || sl_classes_empty(&lacks))
            continue;
        sl_buffer_init(&text, 64 * 1024);
        sl_review_write_classes(&text, l->policy, &lacks);
        sl_review_say(l->review, party->source, party->at, "id", "emergency-cannot-see",
            "Who is %.*s and has declared an emergency still cannot see, without a consent: %.*s.", SL_FMT(party->id),
            SL_FMT(sl_buffer_slice(&text)));
        sl_buffer_fini(&text);
    }
}

/* What a rule leaves out, and a party may have by no other; and what it may have by others. */
static void tell_lacks(const struct look *l, const struct sl_rule *rule, unsigned party)
{
    struct sl_classes never = l->policy->needs_yes, others;
    struct sl_buffer text;
    sl_classes_cut(&never, &rule->data);
    others = never;
    sl_classes_keep(&others, &l->sees[party]);
    sl_classes_cut(&never, &l->sees[party]);
    sl_buffer_init(&text, 64 * 1024);
    if (!sl_classes_empty(&never))
        sl_buffer_add(&text, SL_LIT(" never sees "));
    sl_review_write_classes(&text, l->policy, &never);
    if (!sl_classes_empty(&others))
        sl_buffer_printf(&text, "%s sees by other rules only ", sl_classes_empty(&never) ? "" : ", and");
    sl_review_write_classes(&text, l->policy, &others);
    if (text.len)
        sl_review_say(l->review, rule->source, rule->at, "data", "all-except-lacks",
            "%.*s has all but a few classes: it%.*s.", SL_FMT(l->policy->party_ids[party]),
            SL_FMT(sl_buffer_slice(&text)));
    sl_buffer_fini(&text);
}

static void tell_all_except(const struct look *l)
{
    for (size_t i = 0; i < l->policy->rule_count; i++) {
        const struct sl_rule *rule = &l->policy->rules[i];
        const struct sl_yaml *data = sl_yaml_get(rule->at, "data");
        for (unsigned p = 0; p < l->policy->party_count; p++)
            if (rule->verdict == SL_RULE_RELEASE && data && data->kind == SL_YAML_MAP &&
                (rule->everyone || rule->parties >> p & 1))
                tell_lacks(l, rule, p);
    }
}

static void tell(const struct look *l)
{
    tell_rules(l);
    tell_classes(l);
    tell_parties(l);
    tell_emergency(l);
    tell_all_except(l);
    if (l->too_many)
        sl_issue_add(l->review->issues, SL_GRADE_NOTE, "too-much-to-check",
            "Some rules ask for more facts together than can be gone through: of these nothing is said here.");
}

/* ---- All of it ---- */

/* A copy whose rules can be changed; everything else is shared. */
static struct sl_policy *copy_policy(const struct sl_policy *policy, struct sl_arena *arena)
{
    struct sl_policy *copy = sl_arena_raw(arena, 1, sizeof *copy);
    struct sl_rule *rules = sl_arena_raw(arena, policy->rule_count + 1, sizeof *rules);
    if (!copy || !rules)
        return NULL;
    memcpy(copy, policy, sizeof *copy);
    if (policy->rule_count)
        memcpy(rules, policy->rules, policy->rule_count * sizeof *rules);
    copy->rules = rules;
    return copy;
}

enum sl_status sl_review_cells(const struct sl_review *review)
{
    struct sl_arena *arena = sl_arena_new((size_t)16 << 20), *scratch = sl_arena_new(SCRATCH);
    struct look *l = arena ? sl_arena_alloc(arena, sizeof *l) : NULL;
    enum sl_status status = SL_NO_MEMORY;
    if (!l || !scratch)
        goto out;
    *l = (struct look){.review = review, .policy = review->policy, .scratch = scratch};
    l->less = copy_policy(review->policy, arena);
    l->whole = sl_arena_array(arena, 2, sizeof *l->whole);
    l->speaks = sl_arena_array(arena, 2 * review->policy->rule_count + 2, sizeof *l->speaks);
    if (!l->less || !l->whole || !l->speaks)
        goto out;
    l->part = l->whole + 1;
    l->matters = l->speaks + review->policy->rule_count + 1;
    status = look_at_all(l);
    if (status == SL_OK)
        tell(l);
out:
    sl_arena_free(scratch);
    sl_arena_free(arena);
    return status;
}
