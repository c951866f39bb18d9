/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why: each rule that is about what an item holds, where it stands, whether it spoke, and which condition was in the
 * way. Text for operators and privacy officers: ids and rules, no content.
 */
#include "change.h"
#include "item_facts.h"
#include "ruling.h"
#include "whatif.h"

#define EXPLAIN_ARENA ((size_t)16 << 20)
#define MAX_ASKED 48u /* things that one line asks */

static const char *verdict_word(const struct sl_rule *rule)
{
    if (rule->narrows)
        return "withhold the rest";
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

static void list_bits(const struct sl_slice *names, size_t count, uint64_t bits, struct sl_buffer *out)
{
    const char *between = "";
    for (size_t i = 0; i < count && i < 64; i++)
        if (bits >> i & 1) {
            sl_buffer_printf(out, "%s%.*s", between, SL_FMT(names[i]));
            between = " or ";
        }
}

/* By the fewest names: one for a whole branch of the tree. */
static void list_purposes(uint64_t purposes, struct sl_buffer *out)
{
    const char *between = "";
    for (size_t i = 0; i < sl_purpose_count(); i++) {
        struct sl_slice code = sl_purpose_code(i);
        bool told = !(purposes & sl_purpose_bit(code));
        for (size_t k = 0; k < sl_purpose_count() && !told; k++)
            told =
                k != i && purposes & sl_purpose_bit(sl_purpose_code(k)) && sl_purpose_within(code, sl_purpose_code(k));
        if (told)
            continue;
        sl_buffer_printf(out, "%s%.*s", between, SL_FMT(sl_purpose_name(i)));
        between = " or ";
    }
}

static void list_facts(const struct sl_policy *policy, uint32_t facts, const char *between, struct sl_buffer *out)
{
    const char *lead = "";
    for (uint32_t rest = facts; rest; rest &= rest - 1) {
        sl_buffer_add(out, sl_slice_of(lead));
        sl_predicate_write(out, &policy->predicates[__builtin_ctz(rest)]);
        lead = between;
    }
}

/* What comes before the next thing that a line asks. */
static void also(struct sl_buffer *out, size_t begin, const char *what)
{
    sl_buffer_printf(out, "%s%s", out->len > begin ? ", " : "", what);
}

/* One line of only-if or unless, as asked. */
static void write_condition(const struct sl_policy *policy, const struct sl_condition *c, struct sl_buffer *out)
{
    size_t begin = out->len;
    if (c->kinds) {
        also(out, begin, "consent ");
        list_bits(policy->kind_ids, policy->kind_id_count, c->kinds, out);
    }
    if (c->relationships.count) {
        also(out, begin, "relationship ");
        list_words(&c->relationships, out);
    }
    if (c->emergency)
        also(out, begin, "emergency declared");
    if (c->recipient.count) {
        also(out, begin, "a recipient that is ");
        list_words(&c->recipient, out);
    }
    if (c->not_recipient.count) {
        also(out, begin, "a recipient that is not ");
        list_words(&c->not_recipient, out);
    }
    if (c->purposes) {
        also(out, begin, "the purpose ");
        list_purposes(c->purposes, out);
    }
    if (c->parties) {
        also(out, begin, "the party ");
        list_bits(policy->party_ids, policy->party_count, c->parties, out);
    }
    if (c->facts) {
        also(out, begin, "");
        list_facts(policy, c->facts, ", ", out);
    }
    for (unsigned i = 0; i < SL_CHOICES; i++)
        if (c->one_of[i]) {
            also(out, begin, "");
            list_facts(policy, c->one_of[i], " or ", out);
        }
}

static bool asks_anything(const struct sl_condition *c)
{
    return c->kinds || c->relationships.count || c->emergency || c->recipient.count || c->not_recipient.count ||
           c->purposes || c->parties;
}

/* Each thing that a line asks, as a line of its own: the same function tells which of them fails. */
static size_t single_conditions(const struct sl_condition *c, struct sl_condition out[MAX_ASKED])
{
    const struct sl_condition all[] = {{.kinds = c->kinds}, {.relationships = c->relationships},
        {.emergency = c->emergency, .then = c->then}, {.recipient = c->recipient}, {.not_recipient = c->not_recipient},
        {.purposes = c->purposes}, {.parties = c->parties}};
    size_t count = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (asks_anything(&all[i]))
            out[count++] = all[i];
    for (uint32_t rest = c->facts; rest && count < MAX_ASKED - SL_CHOICES; rest &= rest - 1)
        out[count++] = (struct sl_condition){.facts = rest & -rest};
    for (unsigned i = 0; i < SL_CHOICES; i++)
        if (c->one_of[i]) {
            out[count] = (struct sl_condition){.kinds = 0};
            out[count++].one_of[i] = c->one_of[i];
        }
    return count;
}

static void write_failed(const struct sl_ruling *ruling, const struct sl_condition *line, const struct state *state,
    const char *lead, struct sl_buffer *out)
{
    struct sl_condition asked[MAX_ASKED];
    size_t count = single_conditions(line, asked);
    for (size_t i = 0; i < count; i++) {
        if (sl_condition_holds(ruling, &asked[i], state))
            continue;
        sl_buffer_add(out, sl_slice_of(lead));
        write_condition(ruling->policy, &asked[i], out);
        lead = "; ";
    }
}

/* On what terms something goes: "limited to a, changed by b"; nothing for whole and unchanged. */
static void write_term(const struct sl_policy *policy, uint8_t number, const char *lead, struct sl_buffer *out)
{
    const struct sl_term *term = &policy->terms[number];
    if (!number)
        return;
    sl_buffer_add(out, sl_slice_of(lead));
    if (term->list)
        sl_buffer_printf(out, "limited to %.*s", SL_FMT(policy->element_lists[term->list - 1].id));
    const char *between = term->list ? ", changed by " : "changed by ";
    for (unsigned i = 0; i < SL_CHANGES; i++) {
        struct sl_slice word = sl_change_word((enum sl_change)i);
        if (!(term->changes >> i & 1))
            continue;
        sl_buffer_printf(out, "%s%.*s", between, SL_FMT(word));
        between = " and ";
    }
}

/* What keeps a line from holding that its words do not show. */
static const char *boxed(const struct sl_ruling *ruling, const struct sl_duties *duties)
{
    if (sl_ruling_within(ruling, duties))
        return "";
    return ruling->declared_hours ? ", since its time-box has closed"
                                  : ", since the declaration does not say when it was made";
}

static void write_lines(const struct sl_ruling *ruling, const char *word, const struct sl_condition *lines,
    size_t count, const struct state *state, struct sl_buffer *out)
{
    for (size_t i = 0; i < count; i++) {
        bool holds = sl_condition_holds(ruling, &lines[i], state);
        sl_buffer_printf(out, "      %s line %zu: ", word, lines[i].at->line);
        write_condition(ruling->policy, &lines[i], out);
        write_term(ruling->policy, lines[i].term, "; what goes on it is ", out);
        sl_buffer_printf(out, ": %s", holds ? "holds" : "does not hold");
        if (!holds)
            write_failed(ruling, &lines[i], state, ", for want of ", out);
        sl_buffer_add(out, sl_slice_of(boxed(ruling, &lines[i].then)));
        sl_buffer_add(out, SL_LIT("\n"));
    }
}

/* ---- Rules in words ---- */

/* Why a rule is not about this request at all; NULL if it is. */
static const char *out_of_reach(const struct sl_ruling *ruling, const struct sl_rule *rule)
{
    for (size_t i = 0; i < ruling->rule_count; i++)
        if (ruling->rules[i] == rule)
            return NULL;
    if (rule->until && ruling->now >= rule->until)
        return "is an exception whose day has passed";
    return rule->purposes & ruling->purpose ? "is about other parties" : "is for other purposes";
}

static const char *standing(const struct sl_ruling *ruling, const struct sl_rule *rule, const struct state *state)
{
    const char *reason = out_of_reach(ruling, rule);
    if (reason)
        return reason;
    if (rule->facts & ~state->facts)
        return "is about the records of another source";
    if (!rule->everyone && !(rule->parties & sl_parties_in(ruling, state)))
        return "is silent: of this item the recipient is no such party";
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
    write_term(ruling->policy, rule->term, ", ", out);
    sl_buffer_add(out, sl_slice_of(boxed(ruling, &rule->then)));
    sl_buffer_printf(out, "%s\n      %.*s", rule->guard ? ", a guard" : "", SL_FMT(rule->view.title));
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
    if (ruling->candidate_count || !kinds)
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

/* ---- What would alter it ---- */

static void write_rule_place(struct sl_buffer *out, const char *lead, const struct sl_rule *rule)
{
    sl_buffer_printf(out, "%s%.*s (%.*s:%zu)", lead, SL_FMT(rule->view.id), SL_FMT(rule->view.file), rule->view.line);
}

static void write_whatif(const struct sl_ruling *ruling, const struct sl_whatif *w, struct sl_buffer *out)
{
    const char *other = w->goes ? "withheld" : "released";
    for (size_t i = 0; i < w->fact_count; i++)
        sl_buffer_printf(out, "  it would be %s if %.*s\n", other, SL_FMT(w->facts[i]));
    if (!w->fact_count)
        sl_buffer_printf(out, "  no change of fact would have it %s%s\n", other,
            w->depth < SL_WHATIF_DEPTH ? "" : " (up to three at a time)");
    for (size_t i = 0; i < w->rule_count; i++) {
        write_rule_place(out, i ? ", or " : "  it turns on the rule ", w->rules[i]);
        sl_buffer_add(out, i + 1 == w->rule_count ? SL_LIT(": without it, another answer\n") : SL_LIT(""));
    }
    if (!w->rule_count)
        sl_buffer_add(out, SL_LIT("  it turns on no single rule\n"));
    for (size_t i = 0; i < w->class_count; i++)
        sl_buffer_printf(out, "%s%.*s%s", i ? ", or " : "  it would be released were it not of the class ",
            SL_FMT(ruling->policy->classes[w->classes[i]].id), i + 1 == w->class_count ? "\n" : "");
    for (size_t i = 0; i < w->never_count; i++) {
        write_rule_place(out, "  no other rule may lift ", w->never[i]);
        sl_buffer_add(out, SL_LIT(" (lift: never)\n"));
    }
}

/* ---- All of it, as text ---- */

/* Every clause must be met, and within one any term does. */
static void write_terms(
    const struct sl_ruling *ruling, const struct sl_item *item, const struct state *state, struct sl_buffer *out)
{
    struct sl_terms terms = {.count = 0};
    sl_terms_add(ruling, state, &item->classes, &terms);
    for (unsigned i = 0; i < terms.count; i++) {
        const char *lead = i ? "and it is " : "it is ";
        for (uint64_t rest = terms.clause[i]; rest; rest &= rest - 1) {
            write_term(ruling->policy, (uint8_t)__builtin_ctzll(rest), lead, out);
            lead = ", or ";
        }
        sl_buffer_add(out, SL_LIT("\n"));
    }
}

static struct sl_classes all_classes(const struct sl_item *item)
{
    struct sl_classes classes = item->classes;
    for (uint32_t i = 0; i < item->part_count; i++)
        sl_classes_join(&classes, &item->parts[i].classes);
    return classes;
}

static void write_elements(const struct sl_explained *e, struct sl_buffer *out)
{
    for (size_t i = 0; i < e->element_count; i++) {
        const struct sl_explained_element *one = &e->elements[i];
        sl_buffer_printf(out, "cut: %.*s: %.*s", SL_FMT(one->path), SL_FMT(one->why));
        if (one->class.len)
            sl_buffer_printf(out, ", class %.*s", SL_FMT(one->class));
        if (one->rule.len)
            sl_buffer_printf(out, ", rule %.*s", SL_FMT(one->rule));
        sl_buffer_add(out, SL_LIT("\n"));
    }
}

/* What the recipient may do to such a record; where the policy grants no writing, there is nothing to say. */
static void explain_writes(const struct sl_ruling *ruling, const struct sl_item *item, struct sl_buffer *out)
{
    struct sl_arena *arena = ruling->policy->grant_count ? sl_arena_new(EXPLAIN_ARENA) : NULL;
    struct sl_write_answer answer;
    for (enum sl_write_action a = SL_WRITE_CREATE; arena && a < SL_WRITE_ACTIONS; a++) {
        if (sl_write_ask(ruling, item->type, a, arena, &answer) != SL_OK)
            break;
        sl_buffer_printf(out, "%.*s: %s", SL_FMT(sl_write_word(a)), answer.why);
        if (answer.grant)
            sl_buffer_printf(
                out, " by %.*s:%zu %.*s", SL_FMT(answer.grant->file), answer.grant->line, SL_FMT(answer.grant->id));
        for (size_t i = 0; i < answer.labels.label_count; i++)
            sl_buffer_printf(out, "%s%.*s", i ? ", " : "; may set the labels ", SL_FMT(answer.labels.labels[i].code));
        sl_buffer_add(out, answer.labels.tags ? SL_LIT("; may set tags\n") : SL_LIT("\n"));
    }
    sl_arena_free(arena);
}

static void explain_text(const struct sl_explained *e, const struct sl_verdict *verdict, const struct sl_whatif *whatif,
    struct sl_buffer *out)
{
    const struct sl_ruling *ruling = e->ruling;
    const struct sl_item *item = e->item;
    struct sl_classes classes = all_classes(item);
    struct state state = sl_state_of(ruling, item, &item->classes);
    sl_buffer_printf(out, "%.*s/%.*s ", SL_FMT(sl_r4_node_name(item->type)), SL_FMT(item->id));
    explain_verdict(ruling, verdict, out);
    if (verdict->decision == SL_RELEASED)
        write_terms(ruling, item, &state, out);
    explain_recipient(ruling, out);
    explain_consents(ruling, &state, out);
    sl_facts_explain(ruling, item, &item->classes, out);
    sl_buffer_add(out, SL_LIT("classes: "));
    list_classes(ruling->policy, &classes, out);
    sl_buffer_add(out, SL_LIT("\n"));
    write_elements(e, out);
    sl_buffer_add(out, SL_LIT("what would alter it:\n"));
    write_whatif(ruling, whatif, out);
    sl_buffer_add(out, SL_LIT("rules about them:\n"));
    for (size_t i = 0; i < ruling->policy->rule_count; i++)
        if (sl_classes_meet(&ruling->policy->rules[i].data, &classes))
            explain_rule(ruling, &ruling->policy->rules[i], &state, &classes, out);
    explain_writes(ruling, item, out);
}

/* ---- As JSON, a line each ---- */

static void string(struct sl_buffer *out, const char *lead, struct sl_slice text)
{
    sl_buffer_add(out, sl_slice_of(lead));
    sl_buffer_json_string(out, text);
}

static void json_classes(
    struct sl_buffer *out, const char *key, const struct sl_policy *policy, const struct sl_classes *classes)
{
    const char *lead = "";
    sl_buffer_printf(out, ",\"%s\":[", key);
    for (unsigned bit = sl_classes_next(classes, 0); bit < policy->class_count;
         bit = sl_classes_next(classes, bit + 1)) {
        string(out, lead, policy->classes[bit].id);
        lead = ",";
    }
    sl_buffer_add(out, SL_LIT("]"));
}

static void json_place(struct sl_buffer *out, const char *lead, const struct sl_rule_view *view)
{
    string(out, lead, view->id);
    string(out, ",\"file\":", view->file);
    sl_buffer_printf(out, ",\"line\":%zu", view->line);
}

/* A text that one of the writers above makes. */
static void json_written(struct sl_buffer *out, const char *lead, const struct sl_ruling *ruling,
    const struct sl_condition *line, const struct state *state)
{
    struct sl_buffer text;
    sl_buffer_init(&text, 64 * 1024);
    if (state)
        write_failed(ruling, line, state, "", &text);
    else
        write_condition(ruling->policy, line, &text);
    string(out, lead, sl_buffer_slice(&text));
    sl_buffer_fini(&text);
}

static void json_lines(struct sl_buffer *out, const struct sl_ruling *ruling, const char *key,
    const struct sl_condition *lines, size_t count, const struct state *state)
{
    sl_buffer_printf(out, ",\"%s\":[", key);
    for (size_t i = 0; i < count; i++) {
        bool holds = sl_condition_holds(ruling, &lines[i], state);
        sl_buffer_printf(
            out, "%s{\"line\":%zu,\"holds\":%s", i ? "," : "", lines[i].at->line, holds ? "true" : "false");
        json_written(out, ",\"asks\":", ruling, &lines[i], NULL);
        if (!holds)
            json_written(out, ",\"for-want-of\":", ruling, &lines[i], state);
        sl_buffer_add(out, SL_LIT("}"));
    }
    sl_buffer_add(out, SL_LIT("]"));
}

static void json_rule(struct sl_buffer *out, const struct sl_ruling *ruling, const struct sl_rule *rule,
    const struct state *state, const struct sl_classes *classes)
{
    struct sl_classes about = rule->data;
    sl_classes_keep(&about, classes);
    json_place(out, "{\"rule\":", &rule->view);
    string(out, ",\"verdict\":", sl_slice_of(verdict_word(rule)));
    string(out, ",\"standing\":", sl_slice_of(standing(ruling, rule, state)));
    string(out, ",\"title\":", rule->view.title);
    string(out, ",\"law\":", rule->view.law);
    json_classes(out, "about", ruling->policy, &about);
    if (!out_of_reach(ruling, rule)) {
        json_lines(out, ruling, "only-if", rule->only_if, rule->only_if_count, state);
        json_lines(out, ruling, "unless", rule->unless, rule->unless_count, state);
    }
    sl_buffer_add(out, SL_LIT("}"));
}

static void json_whatif(struct sl_buffer *out, const struct sl_policy *policy, const struct sl_whatif *w)
{
    sl_buffer_printf(out, ",\"alters\":{\"to\":\"%s\",\"facts\":[", w->goes ? "withheld" : "released");
    for (size_t i = 0; i < w->fact_count; i++)
        string(out, i ? "," : "", w->facts[i]);
    sl_buffer_printf(out, "],\"facts-tried-at-a-time\":%u,\"rules\":[", w->depth);
    for (size_t i = 0; i < w->rule_count; i++)
        string(out, i ? "," : "", w->rules[i]->view.id);
    sl_buffer_add(out, SL_LIT("],\"classes\":["));
    for (size_t i = 0; i < w->class_count; i++)
        string(out, i ? "," : "", policy->classes[w->classes[i]].id);
    sl_buffer_add(out, SL_LIT("],\"never-lifted\":["));
    for (size_t i = 0; i < w->never_count; i++)
        string(out, i ? "," : "", w->never[i]->view.id);
    sl_buffer_add(out, SL_LIT("]}"));
}

static void json_verdict(struct sl_buffer *out, const struct sl_policy *policy, const struct sl_verdict *verdict)
{
    const struct sl_class *class = sl_policy_class(policy, verdict->cause.class_bit);
    bool goes = verdict->decision == SL_RELEASED;
    string(out, ",\"decision\":", goes ? SL_LIT("released") : SL_LIT("withheld"));
    if (!goes)
        string(out, ",\"why\":", sl_slice_of(verdict->cause.why));
    if (class)
        string(out, ",\"class\":", class->id);
    if (!goes && verdict->cause.rule) {
        json_place(out, ",\"by\":{\"rule\":", verdict->cause.rule);
        sl_buffer_add(out, SL_LIT("}"));
    }
}

static void json_who(struct sl_buffer *out, const struct sl_ruling *ruling, const struct state *state)
{
    sl_buffer_add(out, SL_LIT(",\"parties\":["));
    for (size_t i = 0; i < ruling->party_count; i++)
        string(out, i ? "," : "", ruling->party_ids[i]);
    string(out, "],\"purpose\":", sl_purpose_find(ruling->recipient.purpose));
    sl_buffer_printf(out, ",\"emergency\":%s,\"consents\":[", ruling->emergency ? "true" : "false");
    const char *lead = "";
    for (unsigned k = 0; ruling->person_count && k < ruling->policy->kind_id_count; k++)
        if (state->kinds >> k & 1) {
            string(out, lead, ruling->policy->kind_ids[k]);
            lead = ",";
        }
    sl_buffer_add(out, SL_LIT("]"));
    if (state->denial)
        string(out, ",\"denied\":", sl_directive_id(state->denial));
}

static void json_elements(struct sl_buffer *out, const struct sl_explained *e)
{
    sl_buffer_add(out, SL_LIT(",\"cut\":["));
    for (size_t i = 0; i < e->element_count; i++) {
        string(out, i ? ",{\"path\":" : "{\"path\":", e->elements[i].path);
        string(out, ",\"why\":", e->elements[i].why);
        string(out, ",\"class\":", e->elements[i].class);
        string(out, ",\"rule\":", e->elements[i].rule);
        sl_buffer_add(out, SL_LIT("}"));
    }
    sl_buffer_add(out, SL_LIT("]"));
}

static void json_writes(struct sl_buffer *out, const struct sl_ruling *ruling, const struct sl_item *item)
{
    struct sl_arena *arena = ruling->policy->grant_count ? sl_arena_new(EXPLAIN_ARENA) : NULL;
    struct sl_write_answer answer;
    const char *lead = ",\"writes\":[{\"may\":";
    for (enum sl_write_action a = SL_WRITE_CREATE; arena && a < SL_WRITE_ACTIONS; a++) {
        if (sl_write_ask(ruling, item->type, a, arena, &answer) != SL_OK)
            break;
        string(out, lead, sl_write_word(a));
        string(out, ",\"why\":", sl_slice_of(answer.why));
        if (answer.grant)
            json_place(out, ",\"by\":{\"grant\":", answer.grant);
        sl_buffer_add(out, answer.grant ? SL_LIT("}}") : SL_LIT("}"));
        lead = ",{\"may\":";
    }
    sl_buffer_add(out, arena ? SL_LIT("]") : SL_LIT(""));
    sl_arena_free(arena);
}

static void explain_json(const struct sl_explained *e, const struct sl_verdict *verdict, const struct sl_whatif *whatif,
    struct sl_buffer *out)
{
    const struct sl_policy *policy = e->ruling->policy;
    struct sl_classes classes = all_classes(e->item);
    struct state state = sl_state_of(e->ruling, e->item, &e->item->classes);
    const char *lead = "";
    sl_buffer_printf(out, "{\"item\":\"%.*s/%.*s\"", SL_FMT(sl_r4_node_name(e->item->type)), SL_FMT(e->item->id));
    json_verdict(out, policy, verdict);
    json_who(out, e->ruling, &state);
    json_classes(out, "classes", policy, &classes);
    json_elements(out, e);
    json_whatif(out, policy, whatif);
    sl_buffer_add(out, SL_LIT(",\"rules\":["));
    for (size_t i = 0; i < policy->rule_count; i++)
        if (sl_classes_meet(&policy->rules[i].data, &classes)) {
            sl_buffer_add(out, sl_slice_of(lead));
            json_rule(out, e->ruling, &policy->rules[i], &state, &classes);
            lead = ",";
        }
    sl_buffer_add(out, SL_LIT("]"));
    json_writes(out, e->ruling, e->item);
    sl_buffer_add(out, SL_LIT("}\n"));
}

enum sl_status sl_explain_as(const struct sl_explained *explained, bool json, struct sl_buffer *out)
{
    struct sl_whatif whatif;
    struct sl_arena *arena = sl_arena_new(EXPLAIN_ARENA);
    struct sl_verdict verdict = sl_decide_item(explained->ruling, explained->item);
    enum sl_status status = arena ? sl_whatif(arena, explained->ruling, explained->item, NULL, &whatif) : SL_NO_MEMORY;
    /* Why it was withheld in truth can be more than policy: what it refers to, or what it must have. */
    const struct sl_verdict *told = explained->item->verdict ? explained->item->verdict : &verdict;
    if (status == SL_OK)
        (json ? explain_json : explain_text)(explained, told, &whatif, out);
    sl_arena_free(arena);
    return status != SL_OK ? status : sl_buffer_failed(out) ? SL_LIMIT : SL_OK;
}

enum sl_status sl_explain(const struct sl_ruling *ruling, const struct sl_item *item, struct sl_buffer *out)
{
    const struct sl_explained explained = {.ruling = ruling, .item = item};
    return sl_explain_as(&explained, false, out);
}
