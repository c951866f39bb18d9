/* SPDX-License-Identifier: Apache-2.0 */
/* One decision of the ledger, made again: see again.h. */
#include "again.h"

#include "item_facts.h"
#include "policy_cells.h"

#define UNKNOWN_LIMIT 6u /* kinds and facts that may be one way or the other: 64 cases */

static enum sl_status decide_in(struct sl_arena *arena, const struct sl_policy *policy, const struct sl_record *record,
    const struct sl_recorded_item *item, const struct state *state, struct sl_again *out)
{
    struct sl_ruling *ruling = NULL;
    struct sl_buffer text;
    *out = (struct sl_again){0};
    SL_TRY(sl_recorded_item(arena, policy, item, &out->item));
    SL_TRY(sl_ground_ruling(arena, policy, record, item->ground, state, &ruling));
    out->ruling = ruling;
    out->verdict = sl_decide_item(ruling, &out->item);
    out->parts = sl_arena_array(arena, item->part_count + 1, sizeof *out->parts);
    if (!out->parts)
        return SL_NO_MEMORY;
    if (out->verdict.decision != SL_RELEASED)
        return SL_OK;
    out->rule_count = sl_ruling_rules(ruling, &out->item, out->rules, SL_AGAIN_RULES);
    SL_TRY(sl_ruling_release(ruling, &out->item, arena, &out->release));
    sl_buffer_init(&text, 64 * 1024);
    sl_release_write(&out->release, &text);
    out->words = sl_arena_copy(arena, sl_buffer_slice(&text));
    sl_buffer_fini(&text);
    return out->words.ptr ? SL_OK : SL_NO_MEMORY;
}

/* A part rests on a ground of its own: what lends its classes may be another's. */
static enum sl_status decide_parts(struct sl_arena *arena, const struct sl_policy *policy, const struct sl_policy *by,
    const struct sl_record *record, const struct sl_recorded_item *item, struct sl_again *out)
{
    for (size_t i = 0; i < item->part_count && out->verdict.decision == SL_RELEASED; i++) {
        const struct sl_recorded_ground *ground = item->parts[i].ground;
        const struct sl_ruling *ruling = out->ruling;
        struct sl_ruling *own = NULL;
        struct state state, unknown;
        if (ground && ground != item->ground) {
            sl_ground_state(policy, by, ground, &state, &unknown);
            SL_TRY(sl_ground_ruling(arena, policy, record, ground, &state, &own));
            ruling = own;
        }
        out->parts[i] = sl_decide_part(ruling, &out->item, &out->item.parts[i]);
    }
    return SL_OK;
}

static struct state with_unknown(const struct state *state, const struct state *unknown, uint32_t which)
{
    struct state full = *state;
    uint32_t bit = 1;
    for (uint32_t rest = unknown->kinds; rest; rest &= rest - 1, bit <<= 1)
        full.kinds |= which & bit ? rest & -rest : 0;
    for (uint32_t rest = unknown->facts; rest; rest &= rest - 1, bit <<= 1)
        full.facts |= which & bit ? rest & -rest : 0;
    return full;
}

static struct sl_slice name_unknown(struct sl_arena *arena, const struct sl_policy *policy, const struct state *unknown)
{
    const char *others = (unknown->kinds & (unknown->kinds - 1)) || (unknown->facts & (unknown->facts - 1)) ||
                                 (unknown->kinds && unknown->facts)
                             ? " (and more)"
                             : "";
    struct sl_buffer text;
    sl_buffer_init(&text, 4096);
    if (unknown->kinds) {
        struct sl_slice kind = policy->kind_ids[__builtin_ctz(unknown->kinds)];
        sl_buffer_printf(&text, "which consent counts as %.*s is said otherwise%s", SL_FMT(kind), others);
    } else {
        sl_buffer_add(&text, SL_LIT("the policy that decided did not ask for "));
        sl_predicate_write(&text, &policy->predicates[__builtin_ctz(unknown->facts)]);
        sl_buffer_add(&text, sl_slice_of(others));
    }
    struct sl_slice copy = sl_arena_copy(arena, sl_buffer_slice(&text));
    sl_buffer_fini(&text);
    return copy;
}

static void ask_lines(const struct sl_condition *lines, size_t count, struct state *asked)
{
    for (size_t i = 0; i < count; i++) {
        asked->kinds |= lines[i].kinds;
        asked->facts |= lines[i].facts;
        for (unsigned k = 0; k < SL_CHOICES; k++)
            asked->facts |= lines[i].one_of[k];
    }
}

/* What rules about these classes ask for; and what makes somebody a built-in party. */
static struct state asked_of(const struct sl_policy *policy, const struct sl_item *item)
{
    struct state asked = {.kinds = SL_KIND_NAMED, .facts = SL_FACT_STAFF};
    struct sl_classes classes = item->classes;
    for (uint32_t i = 0; i < item->part_count; i++)
        sl_classes_join(&classes, &item->parts[i].classes);
    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct sl_rule *rule = &policy->rules[i];
        if (!sl_classes_meet(&rule->data, &classes))
            continue;
        ask_lines(rule->only_if, rule->only_if_count, &asked);
        ask_lines(rule->unless, rule->unless_count, &asked);
    }
    return asked;
}

/* The same, whatever is unknown? */
static bool alike(const struct sl_again *a, const struct sl_again *b)
{
    return a->verdict.decision == b->verdict.decision && sl_slice_eq(a->words, b->words);
}

enum sl_status sl_decide_again(struct sl_arena *arena, const struct sl_policy *policy, const struct sl_policy *by,
    const struct sl_record *record, const struct sl_recorded_item *item, struct sl_again *out)
{
    struct state state, unknown;
    sl_ground_state(policy, by, item->ground, &state, &unknown);
    SL_TRY(decide_in(arena, policy, record, item, &state, out));
    struct state asked = asked_of(policy, &out->item);
    unknown.kinds &= asked.kinds;
    unknown.facts &= asked.facts;
    unsigned count = (unsigned)__builtin_popcount(unknown.kinds) + (unsigned)__builtin_popcount(unknown.facts);
    bool unsure = count > UNKNOWN_LIMIT;
    for (uint32_t which = 1; !unsure && which < (uint32_t)1 << count; which++) {
        struct state full = with_unknown(&state, &unknown, which);
        struct sl_again other;
        SL_TRY(decide_in(arena, policy, record, item, &full, &other));
        unsure = !alike(out, &other);
    }
    out->unsure = unsure;
    if (unsure)
        out->unsure_of = name_unknown(arena, policy, &unknown);
    return decide_parts(arena, policy, by, record, item, out);
}

/* ---- Held against what is recorded ---- */

bool sl_is_by_policy(const struct sl_recorded_item *item)
{
    static const char *const whys[] = {
        "withheld-by-rule", "held-by-rule", "no-release-rule", "denied-by-consent", "unlabelled", "no-patient"};
    for (size_t i = 0; i < sizeof whys / sizeof *whys; i++)
        if (sl_slice_eq(item->why, sl_slice_of(whys[i])))
            return true;
    return false;
}

static bool same_rules(const struct sl_recorded_item *item, const struct sl_again *again)
{
    if (item->rules.count != again->rule_count)
        return false;
    for (size_t i = 0; i < again->rule_count; i++)
        if (!sl_slice_eq(item->rules.word[i], again->rules[i]->id))
            return false;
    return true;
}

static bool same_duties(const struct sl_recorded_item *item, const struct sl_release *release)
{
    return release->notice == sl_words_have(&item->duties, SL_LIT("notice")) &&
           release->account == sl_words_have(&item->duties, SL_LIT("account")) &&
           release->emergency_record == sl_words_have(&item->duties, SL_LIT("emergency-record"));
}

static bool same_parts(const struct sl_recorded_item *item, const struct sl_again *again)
{
    for (size_t i = 0; i < item->part_count; i++)
        if (!item->parts[i].cut && again->parts[i].decision != SL_RELEASED)
            return false;
    return true;
}

static bool same_cause(const struct sl_recorded_item *item, const struct sl_again *again)
{
    const struct sl_cause *cause = &again->verdict.cause;
    const struct sl_class *class = sl_policy_class(again->ruling->policy, cause->class_bit);
    return sl_slice_eq(item->why, sl_slice_of(cause->why)) &&
           sl_slice_eq(item->class, class ? class->id : SL_LIT("")) &&
           sl_slice_eq(item->rule, cause->rule ? cause->rule->id : SL_LIT(""));
}

struct sl_slice sl_again_differs(
    struct sl_arena *arena, const struct sl_recorded_item *item, const struct sl_again *again)
{
    bool goes = again->verdict.decision == SL_RELEASED;
    const char *what = "";
    if (!item->released && !sl_is_by_policy(item))
        what = ""; /* policy may have released it */
    else if (goes != item->released)
        what = goes ? "recorded as withheld, and it would go" : "recorded as released, and it would not go";
    else if (goes && !same_rules(item, again))
        what = "released, but other rules are relied on than recorded";
    else if (goes && !same_duties(item, &again->release))
        what = "released, but with other duties than recorded";
    else if (goes && !same_parts(item, again))
        what = "released, but an element that went would not go";
    else if (!goes && !same_cause(item, again))
        what = "withheld, but for another cause than recorded";
    return sl_arena_copy(arena, sl_slice_of(what));
}
