/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What came of a scenario, held against what it expects; and on which rules it turned. A rule decided if another answer
 * comes of the case without it: another decision, or other labels and duties. So each rule is taken away in turn, and
 * the case decided again by the same functions; a rule that merely spoke decided nothing.
 */
#include "scenario.h"

#include <stdlib.h>

#include "policy_cells.h"

#define TEXT_LIMIT ((size_t)64 * 1024)

static bool has_notice(const struct sl_release *release)
{
    return release->notice;
}

static bool has_scope(const struct sl_release *release)
{
    return release->scope_count > 0;
}

static bool has_account(const struct sl_release *release)
{
    return release->account;
}

static bool has_emergency_record(const struct sl_release *release)
{
    return release->emergency_record;
}

static bool has_notify(const struct sl_release *release)
{
    for (size_t i = 0; i < release->task_count; i++)
        if (release->tasks[i].notify)
            return true;
    return false;
}

/* Within how many days somebody must look at it; 0: nobody need. */
static unsigned review_days(const struct sl_release *release)
{
    unsigned days = 0;
    for (size_t i = 0; i < release->task_count; i++)
        if (release->tasks[i].review_days && (!days || release->tasks[i].review_days < days))
            days = release->tasks[i].review_days;
    return days;
}

const struct sl_duty_word sl_duty_words[] = {
    {"notice", has_notice},
    {"scope", has_scope},
    {"account", has_account},
    {"emergency-record", has_emergency_record},
    {"notify", has_notify},
};
const size_t sl_duty_word_count = sizeof sl_duty_words / sizeof *sl_duty_words;

/* ---- A policy with rules taken away ---- */

enum sl_status sl_mutant_init(struct sl_mutant *mutant, const struct sl_policy *policy, struct sl_arena *arena)
{
    *mutant =
        (struct sl_mutant){.of = policy, .rules = sl_arena_raw(arena, policy->rule_count + 1, sizeof *policy->rules)};
    if (!mutant->rules)
        return SL_NO_MEMORY;
    if (policy->rule_count)
        memcpy(mutant->rules, policy->rules, policy->rule_count * sizeof *policy->rules);
    mutant->policy = *policy;
    mutant->policy.rules = mutant->rules;
    struct sl_rule *yes = &mutant->rules[policy->rule_count];
    *yes = (struct sl_rule){.view = {.id = SL_LIT("no-release-rule")}, .verdict = SL_RULE_RELEASE, .everyone = true};
    yes->data = policy->needs_yes;
    yes->purposes = ~(uint64_t)0;
    return SL_OK;
}

void sl_mutant_grant(struct sl_mutant *mutant, bool granted)
{
    mutant->policy.rule_count = mutant->of->rule_count + granted;
}

/* A rule for no purpose reaches nobody, and lifts nothing. */
void sl_mutant_silence(struct sl_mutant *mutant, size_t rule)
{
    mutant->rules[rule].purposes = 0;
}

void sl_mutant_restore(struct sl_mutant *mutant, size_t rule)
{
    mutant->rules[rule].purposes = mutant->of->rules[rule].purposes;
}

/* ---- Answers ---- */

/* All that a recipient gets of it, as words: the same answer, the same words. */
static struct sl_slice answer_of(const struct sl_worked *w, const struct sl_outcome *o, struct sl_arena *arena)
{
    struct sl_buffer text;
    if (o->verdict.decision != SL_RELEASED && w->expect == SL_EXPECT_WITHHELD)
        return SL_LIT("withheld"); /* whether or not the request was refused before */
    if (o->refused)
        return SL_LIT("refused");
    if (o->verdict.decision != SL_RELEASED)
        return SL_LIT("withheld");
    sl_buffer_init(&text, TEXT_LIMIT);
    sl_release_write(&o->release, &text);
    sl_buffer_add(&text, has_scope(&o->release) ? SL_LIT(" scope") : SL_LIT(""));
    struct sl_slice answer =
        sl_buffer_failed(&text) ? (struct sl_slice){NULL, 0} : sl_arena_copy(arena, sl_buffer_slice(&text));
    sl_buffer_fini(&text);
    return answer;
}

static bool has_label(const struct sl_release *release, struct sl_slice code)
{
    for (size_t i = 0; i < release->label_count; i++)
        if (sl_slice_eq(release->labels[i].code, code))
            return true;
    return false;
}

/* Are the words of the list, if there is one, these and no others? */
static bool same_terms(const struct sl_yaml *list, const struct sl_slice *words, size_t count)
{
    size_t found = 0;
    for (const struct sl_yaml *l = list ? list->first : NULL; l; l = l->next)
        for (size_t i = 0; i < count; i++)
            found += sl_slice_eq(l->text, words[i]);
    return !list || (found == count && list->count == count);
}

/* On what terms it went, and whether it was held: as difference. */
static const char *terms_differ(const struct sl_worked *w, const struct sl_outcome *o)
{
    const struct sl_yaml_source quiet = {0};
    const struct sl_yaml *held = sl_yaml_get(w->at, "held");
    bool is_held = o->verdict.cause.why && strcmp(o->verdict.cause.why, "held-by-rule") == 0;
    if (held && sl_yaml_flag(&quiet, held, false) != is_held)
        return is_held ? "it was held" : "it was not held";
    if (!same_terms(w->limited_to, o->release.limited_to, o->release.limited_count))
        return "it is limited in another way";
    if (!same_terms(w->changed, o->release.changed, o->release.changed_count))
        return "it is changed in another way";
    if (w->review_days && w->review_days != review_days(&o->release))
        return "the time for its review is another";
    return NULL;
}

/* What did not come out as expected, in words, of all but the rule that decided; NULL: nothing. */
static const char *difference(const struct sl_worked *w, const struct sl_outcome *o, struct sl_slice *which)
{
    const struct sl_yaml_source quiet = {0};
    bool released = o->verdict.decision == SL_RELEASED;
    *which = SL_LIT("");
    if (w->expect == SL_EXPECT_REFUSED)
        return o->refused ? NULL : "the request was not refused";
    if (w->expect == SL_EXPECT_RELEASED && o->refused)
        return "the request was refused";
    if (released != (w->expect == SL_EXPECT_RELEASED))
        return released ? "it was released" : "it was withheld";
    for (const struct sl_yaml *l = w->labels ? w->labels->first : NULL; l; l = l->next)
        if (!has_label(&o->release, *which = l->text))
            return "a label is missing: ";
    for (const struct sl_yaml *l = w->without ? w->without->first : NULL; l; l = l->next)
        if (has_label(&o->release, *which = l->text))
            return "a label is there that must not be: ";
    if (w->confidentiality && w->confidentiality != o->release.confidentiality)
        return *which = (struct sl_slice){&o->release.confidentiality, 1}, "the confidentiality is another: ";
    if (terms_differ(w, o))
        return *which = SL_LIT(""), terms_differ(w, o);
    for (size_t i = 0; i < sl_duty_word_count; i++) {
        const struct sl_yaml *at = sl_yaml_get(w->at, sl_duty_words[i].key);
        *which = sl_slice_of(sl_duty_words[i].key);
        if (at && sl_yaml_flag(&quiet, at, false) != sl_duty_words[i].is(&o->release))
            return sl_duty_words[i].is(&o->release) ? "there must be none of this duty: " : "a duty is missing: ";
    }
    return NULL;
}

/* ---- What decided ---- */

struct trying {
    struct sl_trial *trial;
    struct sl_arena *arena, *scratch;
    struct sl_mutant mutant;
    struct sl_case c;
    struct sl_outcome outcome;
    struct sl_slice answer;
    uint16_t *turns_on, *kills;
    size_t turn_count, kill_count;
    struct sl_buffer text[4];
};

static enum sl_status answer_now(struct trying *t, struct sl_outcome *outcome, struct sl_slice *answer)
{
    *answer = (struct sl_slice){NULL, 0};
    sl_arena_reset(t->scratch);
    SL_TRY(sl_case_decide(&t->c, &t->mutant.policy, t->scratch, outcome));
    *answer = answer_of(&t->c.w, outcome, t->scratch);
    return answer->ptr ? SL_OK : SL_NO_MEMORY;
}

static bool names(const struct sl_worked *w, struct sl_slice id)
{
    for (size_t i = 0; i < w->by_count; i++)
        if (sl_slice_eq(w->by[i], id))
            return true;
    return false;
}

static bool concerns(const struct sl_case *c, const struct sl_rule *rule)
{
    return sl_classes_meet(&rule->data, &c->w.item) || sl_classes_meet(&rule->data, &c->w.part);
}

/* Each rule about it is taken away in turn. */
static enum sl_status find_turns(struct trying *t)
{
    const struct sl_policy *policy = t->trial->policy;
    t->turn_count = t->kill_count = 0;
    for (size_t i = 0; i < policy->rule_count; i++) {
        struct sl_outcome other;
        struct sl_slice answer, which;
        if (!concerns(&t->c, &policy->rules[i]) && t->c.w.expect != SL_EXPECT_REFUSED)
            continue;
        sl_mutant_silence(&t->mutant, i);
        enum sl_status status = answer_now(t, &other, &answer);
        sl_mutant_restore(&t->mutant, i);
        SL_TRY(status);
        if (sl_slice_eq(answer, t->answer))
            continue;
        t->turns_on[t->turn_count++] = (uint16_t)i;
        if (difference(&t->c.w, &other, &which) || (t->c.w.by_count == 1 && names(&t->c.w, policy->rules[i].view.id)))
            t->kills[t->kill_count++] = (uint16_t)i;
    }
    return SL_OK;
}

/* What stood in the way can be a rule, that no rule says yes, or that the patient said no: each can be taken away. */
static size_t find_named(const struct trying *t, struct sl_slice name)
{
    static const struct sl_slice causes[] = {{"no-release-rule", 15}, {"denied-by-consent", 17}};
    const struct sl_policy *policy = t->trial->policy;
    for (size_t i = 0; i < policy->rule_count; i++)
        if (sl_slice_eq(policy->rules[i].view.id, name))
            return i;
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
        if (sl_slice_eq(causes[i], name))
            return policy->rule_count + i;
    return SIZE_MAX;
}

static void take_away(struct trying *t, size_t named, bool away)
{
    const struct sl_policy *policy = t->trial->policy;
    if (named == policy->rule_count)
        sl_mutant_grant(&t->mutant, away);
    else if (named == policy->rule_count + 1)
        t->c.undenied = away;
    else if (away)
        sl_mutant_silence(&t->mutant, named);
    else
        sl_mutant_restore(&t->mutant, named);
}

/* Is the answer the same without these, all but one of them (SIZE_MAX: without all)? */
static enum sl_status same_without(struct trying *t, const size_t *named, size_t but, bool *same)
{
    struct sl_outcome other;
    struct sl_slice answer;
    for (size_t i = 0; i < t->c.w.by_count; i++)
        if (i != but)
            take_away(t, named[i], true);
    enum sl_status status = answer_now(t, &other, &answer);
    for (size_t i = 0; i < t->c.w.by_count; i++)
        take_away(t, named[i], false);
    *same = status == SL_OK && sl_slice_eq(answer, t->answer);
    return status;
}

/* Did what the scenario names decide? One: without it, another answer. Several: without all of them another, and
 * without all but one of them the same, whichever that is. */
static enum sl_status decided(struct trying *t, bool *good)
{
    const struct sl_worked *w = &t->c.w;
    size_t named[SL_GIVEN_WORDS];
    bool same = true;
    *good = true;
    for (size_t i = 0; i < w->by_count; i++)
        if ((named[i] = find_named(t, w->by[i])) == SIZE_MAX) {
            /* A cause that nothing could take away. */
            *good = w->by_count == 1 && t->outcome.verdict.decision != SL_RELEASED &&
                    sl_slice_eq(sl_slice_of(t->outcome.verdict.cause.why), w->by[i]);
            return SL_OK;
        }
    for (size_t i = 0; w->by_count > 1 && i < w->by_count && same; i++)
        SL_TRY(same_without(t, named, i, &same));
    *good = same;
    if (!w->by_count || !same)
        return SL_OK;
    SL_TRY(same_without(t, named, SIZE_MAX, &same));
    *good = !same;
    return SL_OK;
}

/* ---- In words ---- */

static void write_list(struct sl_buffer *out, const char *lead, const struct sl_yaml *list)
{
    for (const struct sl_yaml *l = list ? list->first : NULL; l; l = l->next) {
        sl_buffer_printf(out, "%s%.*s", lead, SL_FMT(l->text));
        lead = ", ";
    }
}

static void write_expected(const struct sl_worked *w, struct sl_buffer *out)
{
    static const char *const words[] = {[SL_EXPECT_NONE] = "nothing",
        [SL_EXPECT_RELEASED] = "released",
        [SL_EXPECT_WITHHELD] = "withheld",
        [SL_EXPECT_REFUSED] = "refused",
        [SL_EXPECT_GRANTED] = "granted"};
    sl_buffer_printf(out, "%s", words[w->expect]);
    for (size_t i = 0; i < w->by_count; i++)
        sl_buffer_printf(out, "%s%.*s", i ? " and " : ", by ", SL_FMT(w->by[i]));
    write_list(out, ", labelled ", w->labels);
    write_list(out, ", not labelled ", w->without);
    write_list(out, ", limited to ", w->limited_to);
    write_list(out, ", changed by ", w->changed);
    if (sl_yaml_get(w->at, "held"))
        sl_buffer_printf(out, ", held: %.*s", SL_FMT(sl_yaml_get(w->at, "held")->text));
    if (w->review_days)
        sl_buffer_printf(out, ", review within %u days", w->review_days);
    if (w->confidentiality)
        sl_buffer_printf(out, ", confidentiality %c", w->confidentiality);
    for (size_t i = 0; i < sl_duty_word_count; i++) {
        const struct sl_yaml *at = sl_yaml_get(w->at, sl_duty_words[i].key);
        const struct sl_yaml_source quiet = {0};
        if (at)
            sl_buffer_printf(out, ", %s%s", sl_yaml_flag(&quiet, at, false) ? "" : "no ", sl_duty_words[i].key);
    }
}

static void write_rule(const struct sl_rule_view *view, struct sl_buffer *out)
{
    sl_buffer_printf(out, "%.*s (%.*s:%zu)", SL_FMT(view->id), SL_FMT(view->file), view->line);
}

static void write_got(const struct trying *t, struct sl_buffer *out)
{
    const struct sl_outcome *o = &t->outcome;
    const struct sl_class *class = sl_policy_class(t->trial->policy, o->verdict.cause.class_bit);
    if (o->refused)
        sl_buffer_add(out, SL_LIT("refused; had it not been: "));
    if (o->verdict.decision != SL_RELEASED) {
        sl_buffer_printf(out, "withheld, %s", o->verdict.cause.why);
        if (class)
            sl_buffer_printf(out, " about %.*s", SL_FMT(class->id));
        if (o->verdict.cause.rule) {
            sl_buffer_add(out, SL_LIT(": "));
            write_rule(o->verdict.cause.rule, out);
        }
        return;
    }
    sl_buffer_add(out, SL_LIT("released, with "));
    sl_release_write(&o->release, out);
    sl_buffer_add(out, has_scope(&o->release) ? SL_LIT(" scope") : SL_LIT(""));
    for (size_t i = 0; i < o->rule_count; i++)
        sl_buffer_printf(out, "%s%.*s", i ? ", " : "; relied on ", SL_FMT(o->rules[i]->id));
}

static bool blocks(
    const struct trying *t, const struct sl_rule *rule, const struct state *state, const struct sl_classes *classes)
{
    const struct sl_ruling *ruling = t->outcome.ruling;
    if (rule->verdict == SL_RULE_RELEASE || rule->narrows || !sl_rule_reaches(ruling, rule) ||
        !sl_rule_speaks(ruling, rule, state))
        return false;
    struct sl_classes reach = sl_rule_reach(ruling, rule, state);
    return sl_classes_meet(&reach, classes);
}

/* All that keeps it back, each by itself: what `by` may name together. */
static void write_blockers(const struct trying *t, struct sl_buffer *out)
{
    const struct sl_policy *policy = t->trial->policy;
    struct sl_classes classes = t->c.w.item, lacking = policy->needs_yes;
    if (t->c.w.has_part)
        sl_classes_join(&classes, &t->c.w.part);
    struct state state = sl_state_of(t->outcome.ruling, &t->c.item, &classes);
    sl_classes_keep(&lacking, &classes);
    sl_buffer_add(out, SL_LIT(": each of these keeps it back"));
    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct sl_rule *rule = &policy->rules[i];
        if (blocks(t, rule, &state, &classes)) {
            sl_buffer_add(out, SL_LIT(", "));
            write_rule(&rule->view, out);
        } else if (rule->verdict == SL_RULE_RELEASE && sl_rule_reaches(t->outcome.ruling, rule) &&
                   sl_rule_speaks(t->outcome.ruling, rule, &state)) {
            sl_classes_cut(&lacking, &rule->data);
        }
    }
    sl_buffer_add(out, sl_classes_empty(&lacking) ? SL_LIT("") : SL_LIT(", no-release-rule"));
    sl_buffer_add(out, state.denial ? SL_LIT(", denied-by-consent") : SL_LIT(""));
}

static void write_turns(const struct trying *t, struct sl_buffer *out)
{
    sl_buffer_add(out, t->turn_count ? SL_LIT("it turns on ") : SL_LIT("it turns on no single rule"));
    for (size_t i = 0; i < t->turn_count; i++) {
        sl_buffer_add(out, i ? SL_LIT(", ") : SL_LIT(""));
        write_rule(&t->trial->policy->rules[t->turns_on[i]].view, out);
    }
    if (!t->turn_count && t->outcome.verdict.decision != SL_RELEASED)
        write_blockers(t, out);
}

/* ---- One scenario ---- */

static enum sl_status judge(struct trying *t, struct sl_tried *tried)
{
    struct sl_slice which;
    bool by = true;
    const char *what = difference(&t->c.w, &t->outcome, &which);
    for (size_t i = 0; i < sizeof t->text / sizeof *t->text; i++)
        sl_buffer_clear(&t->text[i]);
    if (!what)
        SL_TRY(decided(t, &by));
    tried->passed = !what && by;
    write_expected(&t->c.w, &t->text[0]);
    write_got(t, &t->text[1]);
    if (what)
        sl_buffer_printf(&t->text[2], "%s%.*s", what, SL_FMT(which));
    else if (!by)
        sl_buffer_add(&t->text[2], SL_LIT("something else decided"));
    if (!tried->passed)
        write_turns(t, &t->text[3]);
    tried->expected = sl_buffer_slice(&t->text[0]);
    tried->got = sl_buffer_slice(&t->text[1]);
    tried->because = sl_buffer_slice(&t->text[2]);
    tried->nearest = sl_buffer_slice(&t->text[3]);
    return SL_OK;
}

/* ---- One about writing ---- */

static bool may_set(const struct sl_write_answer *answer, struct sl_slice code)
{
    for (size_t i = 0; i < answer->labels.label_count; i++)
        if (sl_slice_eq(answer->labels.labels[i].code, code))
            return true;
    return false;
}

static const char *write_difference(const struct sl_worked *w, const struct sl_write_answer *answer)
{
    bool granted = answer->verdict == SL_WRITE_GRANTED;
    if (granted != (w->expect == SL_EXPECT_GRANTED) || (!granted && w->expect != SL_EXPECT_REFUSED))
        return granted ? "it was granted" : "it was refused";
    for (const struct sl_yaml *l = w->labels ? w->labels->first : NULL; l; l = l->next)
        if (!may_set(answer, l->text))
            return "a label may not be set";
    for (const struct sl_yaml *l = w->without ? w->without->first : NULL; l; l = l->next)
        if (may_set(answer, l->text))
            return "a label may be set that must not";
    if (w->by_count && (!answer->grant || w->by_count > 1 || !sl_slice_eq(w->by[0], answer->grant->id)))
        return "something else decided";
    return NULL;
}

static enum sl_status try_write(struct trying *t, const struct sl_scenario *scenario)
{
    struct sl_write_answer answer;
    struct sl_tried tried = {.scenario = scenario, .title = t->c.w.title};
    for (size_t i = 0; i < sizeof t->text / sizeof *t->text; i++)
        sl_buffer_clear(&t->text[i]);
    SL_TRY(sl_case_ask(&t->c, &answer));
    const char *what = write_difference(&t->c.w, &answer);
    tried.passed = !what;
    write_expected(&t->c.w, &t->text[0]);
    sl_buffer_printf(&t->text[1], "%s", answer.why);
    if (answer.grant) {
        sl_buffer_add(&t->text[1], SL_LIT(" by "));
        write_rule(answer.grant, &t->text[1]);
    }
    sl_buffer_printf(&t->text[2], "%s", what ? what : "");
    tried.expected = sl_buffer_slice(&t->text[0]);
    tried.got = sl_buffer_slice(&t->text[1]);
    tried.because = sl_buffer_slice(&t->text[2]);
    tried.nearest = sl_buffer_slice(&t->text[3]);
    *(tried.passed ? &t->trial->passed : &t->trial->failed) += 1;
    t->trial->tell(t->trial->context, &tried);
    return SL_OK;
}

static enum sl_status try_one(struct trying *t, const struct sl_scenario *scenario)
{
    const struct sl_policy *policy = t->trial->policy;
    sl_arena_reset(t->arena);
    SL_TRY(sl_mutant_init(&t->mutant, policy, t->arena));
    SL_TRY(sl_case_init(&t->c, policy, scenario, t->arena));
    if (t->c.w.write)
        return try_write(t, scenario);
    SL_TRY(sl_case_decide(&t->c, policy, t->arena, &t->outcome));
    t->answer = answer_of(&t->c.w, &t->outcome, t->arena);
    t->turns_on = sl_arena_raw(t->arena, policy->rule_count + 1, sizeof *t->turns_on);
    t->kills = sl_arena_raw(t->arena, policy->rule_count + 1, sizeof *t->kills);
    if (!t->answer.ptr || !t->turns_on || !t->kills)
        return SL_NO_MEMORY;
    struct sl_tried tried = {.scenario = scenario, .title = t->c.w.title};
    SL_TRY(find_turns(t));
    SL_TRY(judge(t, &tried));
    tried.turns_on = t->turns_on;
    tried.turn_count = t->turn_count;
    tried.kills = t->kills;
    tried.kill_count = tried.passed ? t->kill_count : 0; /* one that fails anyway tells nothing */
    *(tried.passed ? &t->trial->passed : &t->trial->failed) += 1;
    t->trial->tell(t->trial->context, &tried);
    return SL_OK;
}

enum sl_status sl_scenarios_run(struct sl_trial *trial)
{
    struct trying *t = calloc(1, sizeof *t);
    if (!t)
        return SL_NO_MEMORY;
    *t = (struct trying){.trial = trial, .arena = sl_arena_new(SL_CASE_ARENA), .scratch = sl_arena_new(SL_CASE_ARENA)};
    enum sl_status status = t->arena && t->scratch ? SL_OK : SL_NO_MEMORY;
    trial->passed = trial->failed = 0;
    for (size_t i = 0; i < sizeof t->text / sizeof *t->text; i++)
        sl_buffer_init(&t->text[i], TEXT_LIMIT);
    for (size_t i = 0; status == SL_OK && i < trial->policy->scenario_count; i++)
        status = try_one(t, &trial->policy->scenarios[i]);
    for (size_t i = 0; i < sizeof t->text / sizeof *t->text; i++)
        sl_buffer_fini(&t->text[i]);
    sl_arena_free(t->arena);
    sl_arena_free(t->scratch);
    free(t);
    return status;
}
