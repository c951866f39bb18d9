/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why: each rule that is about what an item holds, where it stands, whether it spoke, and which condition was in the
 * way. Text for operators and privacy officers: ids and rules, no content.
 */
#include "ruling.h"

static const char *verdict_word(const struct sl_rule *rule)
{
    return rule->verdict == SL_RULE_RELEASE ? "release" : rule->verdict == SL_RULE_HOLD ? "hold" : "withhold";
}

static void list_classes(const struct sl_policy *policy, const struct sl_classes *classes, struct sl_buffer *out)
{
    const char *comma = "";
    for (unsigned bit = sl_classes_next(classes, 0); bit < policy->class_count;
         bit = sl_classes_next(classes, bit + 1)) {
        sl_buffer_printf(out, "%s%.*s", comma, SL_FMT(policy->classes[bit].id));
        comma = ", ";
    }
}

/* ---- Conditions in words ---- */

static void list_kinds(const struct sl_policy *policy, uint32_t kinds, struct sl_buffer *out)
{
    const char *comma = "";
    for (uint32_t rest = kinds; rest; rest &= rest - 1) {
        sl_buffer_printf(out, "%s%.*s", comma, SL_FMT(policy->kind_ids[__builtin_ctz(rest)]));
        comma = " or ";
    }
}

static void list_words(const struct sl_words *words, struct sl_buffer *out)
{
    for (size_t i = 0; i < words->count; i++)
        sl_buffer_printf(out, "%s%.*s", i ? " or " : "", SL_FMT(words->word[i]));
}

/* One line of only-if or unless, as asked. */
static void write_condition(const struct sl_policy *policy, const struct sl_condition *c, struct sl_buffer *out)
{
    const char *comma = "";
    if (c->kinds) {
        sl_buffer_add(out, SL_LIT("consent "));
        list_kinds(policy, c->kinds, out);
        comma = ", ";
    }
    if (c->relationships.count) {
        sl_buffer_printf(out, "%srelationship ", comma);
        list_words(&c->relationships, out);
        comma = ", ";
    }
    if (c->emergency) {
        sl_buffer_printf(out, "%semergency declared", comma);
        comma = ", ";
    }
    if (c->recipient.count) {
        sl_buffer_printf(out, "%sa recipient that is ", comma);
        list_words(&c->recipient, out);
        comma = ", ";
    }
    if (c->not_recipient.count) {
        sl_buffer_printf(out, "%sa recipient that is not ", comma);
        list_words(&c->not_recipient, out);
        comma = ", ";
    }
    if (c->facts & SL_FACT_STAFF) {
        sl_buffer_printf(out, "%sof the recipient's own program", comma);
        comma = ", ";
    }
    if (c->purposes) {
        sl_buffer_printf(out, "%sa purpose it names", comma);
        comma = ", ";
    }
    if (c->parties)
        sl_buffer_printf(out, "%sa party it names", comma);
}

static void write_lines(const struct sl_ruling *ruling, const char *word, const struct sl_condition *lines,
    size_t count, const struct state *state, struct sl_buffer *out)
{
    for (size_t i = 0; i < count; i++) {
        sl_buffer_printf(out, "      %s line %zu: ", word, lines[i].at->line);
        write_condition(ruling->policy, &lines[i], out);
        sl_buffer_printf(out, ": %s\n", sl_condition_holds(ruling, &lines[i], state) ? "holds" : "does not hold");
    }
}

/* ---- Rules in words ---- */

/* Why a rule is not about this request at all; NULL if it is. */
static const char *out_of_reach(const struct sl_ruling *ruling, const struct sl_rule *rule)
{
    for (size_t i = 0; i < ruling->rule_count; i++)
        if (ruling->rules[i] == rule)
            return NULL;
    return rule->purposes & ruling->purpose ? "is about other parties" : "is for other purposes";
}

static const char *standing(const struct sl_ruling *ruling, const struct sl_rule *rule, const struct state *state)
{
    const char *reason = out_of_reach(ruling, rule);
    if (reason)
        return reason;
    if (rule->facts & ~state->facts)
        return "is about the records of another source";
    if (!sl_rule_speaks(ruling, rule, state)) {
        bool asked = rule->only_if_count && !sl_condition_relied(ruling, rule->only_if, rule->only_if_count, state);
        return asked ? "is silent: no line of its only-if holds" : "is silent: a line of its unless holds";
    }
    if (rule->verdict == SL_RULE_RELEASE)
        return "speaks";
    struct sl_classes reach = sl_rule_reach(ruling, rule, state);
    return memcmp(&reach, &rule->data, sizeof reach) == 0 ? "speaks" : "speaks, and is lifted in part or whole";
}

static void explain_rule(const struct sl_ruling *ruling, const struct sl_rule *rule, const struct state *state,
    const struct sl_classes *classes, struct sl_buffer *out)
{
    struct sl_classes about = rule->data;
    sl_classes_keep(&about, classes);
    sl_buffer_printf(out, "  %.*s:%zu %.*s (%s) %s; about ", SL_FMT(rule->view.file), rule->view.line,
        SL_FMT(rule->view.id), verdict_word(rule), standing(ruling, rule, state));
    list_classes(ruling->policy, &about, out);
    sl_buffer_printf(out, "\n      %.*s", SL_FMT(rule->view.title));
    if (rule->view.law.len)
        sl_buffer_printf(out, " [%.*s%s]", SL_FMT(rule->view.law), rule->unverified ? ", unverified" : "");
    sl_buffer_add(out, SL_LIT("\n"));
    if (out_of_reach(ruling, rule))
        return;
    write_lines(ruling, "only-if", rule->only_if, rule->only_if_count, state, out);
    write_lines(ruling, "unless", rule->unless, rule->unless_count, state, out);
}

static void explain_recipient(const struct sl_ruling *ruling, struct sl_buffer *out)
{
    sl_buffer_add(out, SL_LIT("recipient: "));
    for (size_t i = 0; i < ruling->party_count; i++)
        sl_buffer_printf(out, "%s%.*s", i ? ", " : "", SL_FMT(ruling->party_ids[i]));
    struct sl_slice purpose = sl_purpose_find(ruling->recipient.purpose);
    sl_buffer_printf(out, "%s; purpose %.*s; emergency %s\n", ruling->party_count ? "" : "no party of this policy",
        SL_FMT(purpose.len ? purpose : SL_LIT("unknown")), ruling->emergency ? "declared" : "none");
}

static void explain_consents(const struct sl_ruling *ruling, const struct state *state, struct sl_buffer *out)
{
    sl_buffer_add(out, SL_LIT("consents: "));
    uint32_t kinds = state->kinds;
    if (kinds && ruling->person_count)
        list_kinds(ruling->policy, kinds, out);
    else
        sl_buffer_add(out, SL_LIT("none that counts here"));
    sl_buffer_printf(out, " (%zu looked at)", ruling->candidate_count);
    if (state->denial)
        sl_buffer_printf(out, "; denied by %.*s", SL_FMT(sl_directive_id(state->denial)));
    sl_buffer_add(out, SL_LIT("\n"));
}

static void explain_verdict(const struct sl_ruling *ruling, const struct sl_verdict *verdict, struct sl_buffer *out)
{
    const struct sl_class *class = sl_policy_class(ruling->policy, verdict->cause.class_bit);
    sl_buffer_printf(out, "%s", verdict->decision == SL_RELEASED ? "released" : "withheld: ");
    if (verdict->decision != SL_RELEASED)
        sl_buffer_add(out, sl_slice_of(verdict->cause.why));
    if (class)
        sl_buffer_printf(out, ", class %.*s", SL_FMT(class->id));
    if (verdict->cause.rule)
        sl_buffer_printf(out, ", rule %.*s (%.*s:%zu)", SL_FMT(verdict->cause.rule->id),
            SL_FMT(verdict->cause.rule->file), verdict->cause.rule->line);
    sl_buffer_add(out, SL_LIT("\n"));
}

void sl_explain(const struct sl_ruling *ruling, const struct sl_item *item, struct sl_buffer *out)
{
    struct sl_classes classes = item->classes;
    for (uint32_t i = 0; i < item->part_count; i++)
        sl_classes_join(&classes, &item->parts[i].classes);
    struct state state = sl_state_of(ruling, item, &item->classes);
    struct sl_verdict verdict = sl_decide_item(ruling, item);
    sl_buffer_printf(out, "%.*s/%.*s ", SL_FMT(sl_r4_node_name(item->type)), SL_FMT(item->id));
    explain_verdict(ruling, &verdict, out);
    explain_recipient(ruling, out);
    explain_consents(ruling, &state, out);
    sl_buffer_add(out, SL_LIT("classes: "));
    list_classes(ruling->policy, &classes, out);
    sl_buffer_add(out, SL_LIT("\nrules about them:\n"));
    for (size_t i = 0; i < ruling->policy->rule_count; i++)
        if (sl_classes_meet(&ruling->policy->rules[i].data, &classes))
            explain_rule(ruling, &ruling->policy->rules[i], &state, &classes, out);
}
