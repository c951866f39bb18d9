/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants: rules about policies, in the files. Each says what no rule may ever release, whoever writes it, and is
 * decided at each load over every party, purpose and class it speaks of and every combination of the facts that rules
 * ask for (policy_cells.h), by the functions that decide for the gateway. One that breaks refuses the policy, with the
 * case that breaks it. A case that cannot be gone through breaks it too.
 */
#include "policy_cells.h"
#include "policy_model.h"

struct judging {
    const struct sl_policy *policy;
    const struct sl_invariant *invariant;
    struct sl_asked *asked;
    const uint64_t *alike; /* purposes that nothing tells apart: one of them is enough */
    struct sl_side side;
    size_t purpose;
    struct sl_facts facts;
};

static void add_facts(struct judging *j)
{
    const struct sl_invariant *i = j->invariant;
    j->facts = (struct sl_facts){.count = 0};
    sl_facts_find(&j->facts, &j->side, j->purpose);
    for (size_t k = 0; k < i->only_if_count; k++)
        sl_facts_add_line(&j->facts, j->policy, &i->only_if[k]);
    for (size_t k = 0; k < i->unless_count; k++)
        sl_facts_add_line(&j->facts, j->policy, &i->unless[k]);
    sl_facts_settle(&j->facts, &j->policy->parties[j->side.party]);
}

static bool one_holds(const struct judging *j, const struct sl_condition *lines, size_t count)
{
    const struct sl_ruling *ruling = &j->asked->ruling;
    for (size_t i = 0; i < count; i++)
        if (sl_condition_holds(ruling, &lines[i], &ruling->plain))
            return true;
    return false;
}

/* Is it a case of which the invariant speaks? Of the combination asked last. */
static bool speaks_of(const struct judging *j)
{
    const struct sl_invariant *i = j->invariant;
    return (!i->only_if_count || one_holds(j, i->only_if, i->only_if_count)) &&
           !one_holds(j, i->unless, i->unless_count);
}

/* Does any rule release the class to the party for the purpose at all? What only restricts needs none. */
static bool could_be_released(const struct judging *j)
{
    const struct sl_policy *policy = j->policy;
    uint64_t purpose = sl_purpose_bit(sl_purpose_code(j->purpose));
    if (!sl_classes_has(&policy->needs_yes, j->side.class))
        return true;
    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct sl_rule *rule = &policy->rules[i];
        if (rule->verdict == SL_RULE_RELEASE && rule->purposes & purpose &&
            sl_classes_has(&rule->data, j->side.class) && (rule->everyone || rule->parties >> j->side.party & 1))
            return true;
    }
    return false;
}

/* Of the cases that break it, one with the fewest facts. */
static bool find_breach(struct judging *j, uint32_t *breach)
{
    uint32_t all = (uint32_t)1 << j->facts.count;
    int fewest = INT32_MAX;
    sl_cell_begin(j->asked, &j->side, j->purpose);
    for (uint32_t truth = 0; truth < all; truth++) {
        if (__builtin_popcount(truth) >= fewest || !sl_facts_can_be(&j->facts, &j->side, truth))
            continue;
        if (sl_cell_ask(j->asked, &j->side, &j->facts, truth) != SL_ANSWER_YES || !speaks_of(j))
            continue;
        fewest = __builtin_popcount(truth);
        *breach = truth;
    }
    return fewest < INT32_MAX;
}

/* ---- Telling ---- */

static struct sl_issue *complain(const struct judging *j, const char *text)
{
    const struct sl_invariant *i = j->invariant;
    return sl_yaml_issue(&i->source->yaml, sl_yaml_get(i->at, "id"), false, "invariant-broken",
        "The invariant \"%.*s\" is broken: %s", SL_FMT(i->view.id), text);
}

/* The rule that says yes in the case asked last; NULL: none needs to. */
static const struct sl_rule *releasing(const struct judging *j)
{
    const struct sl_ruling *r = &j->asked->ruling;
    for (size_t i = 0; i < r->rule_count; i++)
        if (r->rules[i]->verdict == SL_RULE_RELEASE && sl_rule_speaks(r, r->rules[i], &r->plain))
            return r->rules[i];
    return NULL;
}

static void tell_breach(struct judging *j, uint32_t truth)
{
    struct sl_buffer text;
    sl_buffer_init(&text, 64 * 1024);
    sl_buffer_printf(&text, "%.*s gets %.*s for %.*s", SL_FMT(j->policy->party_ids[j->side.party]),
        SL_FMT(j->policy->classes[j->side.class].id), SL_FMT(sl_purpose_name(j->purpose)));
    sl_facts_write(&text, &j->facts, truth, ", with ");
    (void)sl_cell_ask(j->asked, &j->side, &j->facts, truth);
    const struct sl_rule *rule = releasing(j);
    if (rule)
        sl_buffer_printf(
            &text, ", by the rule %.*s (%.*s:%zu).", SL_FMT(rule->view.id), SL_FMT(rule->view.file), rule->view.line);
    else
        sl_buffer_add(&text, SL_LIT(", since no rule withholds it."));
    sl_buffer_add(&text, (struct sl_slice){"", 1});
    struct sl_issue *issue = complain(j, sl_buffer_failed(&text) ? "by too many facts to tell." : text.ptr);
    if (issue)
        issue->fix = SL_LIT("Change that rule; the invariant itself only if what it says is no longer wanted.");
    sl_buffer_fini(&text);
}

/* ---- All of them ---- */

/* A cell; true: the invariant is broken there, and that has been told. */
static bool judge_cell(struct judging *j)
{
    uint32_t breach = 0;
    if (!could_be_released(j))
        return false;
    add_facts(j);
    if (j->facts.too_many) {
        complain(j, "the rules it speaks of ask for more facts than can be gone through.");
        return true;
    }
    if (!find_breach(j, &breach))
        return false;
    tell_breach(j, breach);
    return true;
}

static void judge(struct judging *j)
{
    const struct sl_invariant *i = j->invariant;
    for (unsigned party = 0; party < j->policy->party_count; party++)
        for (unsigned class = sl_classes_next(&i->data, 0); class < j->policy->class_count;
             class = sl_classes_next(&i->data, class + 1))
            for (size_t purpose = 0; purpose < sl_purpose_count(); purpose++) {
                uint64_t bit = sl_purpose_bit(sl_purpose_code(purpose));
                if (!(i->parties >> party & 1) || !sl_party_counts(j->policy, party) || !(i->purposes & bit) ||
                    j->alike[purpose] & (bit - 1))
                    continue;
                j->side = (struct sl_side){j->policy, party, class};
                j->purpose = purpose;
                if (judge_cell(j))
                    return;
            }
}

/* Who fits no party is asked for by a real request of a recipient of whom nothing is known. */
static enum sl_status judge_nobody(struct judging *j, struct sl_arena *arena)
{
    for (size_t purpose = 0; purpose < sl_purpose_count(); purpose++) {
        struct sl_recipient nobody = {.purpose = sl_purpose_code(purpose)};
        struct sl_ruling *ruling = NULL;
        struct masks best;
        if (!(j->invariant->purposes & sl_purpose_bit(nobody.purpose)))
            continue;
        SL_TRY(sl_ruling_new(arena, j->policy, &nobody, NULL, 0, NULL, 0, &ruling));
        sl_masks_at_best(ruling, true, &best);
        struct sl_classes has = j->invariant->data;
        sl_classes_cut(&has, &best.lacks);
        sl_classes_cut(&has, &best.no);
        unsigned first = sl_classes_next(&has, 0);
        if (first >= j->policy->class_count)
            continue;
        struct sl_slice text = sl_arena_printf(arena, "a recipient of whom nothing is known gets %.*s for %.*s.",
            SL_FMT(j->policy->classes[first].id), SL_FMT(sl_purpose_name(purpose)));
        complain(j, text.ptr ? text.ptr : "");
        return SL_OK;
    }
    return SL_OK;
}

enum sl_status sl_policy_check_invariants(const struct sl_policy *policy)
{
    if (!policy->invariant_count)
        return SL_OK;
    struct sl_arena *arena = sl_arena_new((size_t)8 << 20);
    struct sl_asked *asked = arena ? sl_arena_array(arena, 1, sizeof *asked) : NULL;
    enum sl_status status = asked ? SL_OK : SL_NO_MEMORY;
    uint64_t alike[SL_PURPOSE_LIMIT];
    memset(alike, 0xff, sizeof alike);
    sl_purposes_alike(policy, alike);
    for (size_t i = 0; status == SL_OK && i < policy->invariant_count; i++) {
        struct judging j = {.policy = policy, .invariant = &policy->invariants[i], .asked = asked, .alike = alike};
        if (j.invariant->nobody)
            status = judge_nobody(&j, arena);
        else
            judge(&j);
    }
    sl_arena_free(arena);
    return status;
}
