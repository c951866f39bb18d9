/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can only be judged once every file has been read: that layers keep their place, that what is lifted may be
 * lifted, that every kind of record can be had by somebody, and that no class stands there for nothing.
 */
#include "policy_model.h"
#include "scenario.h"

/* An issue at a key of an entry, or at the entry: `The <what> "<id>" <text>`. */
static struct sl_issue *at_key(const struct sl_policy_source *source, const struct sl_yaml *entry, const char *key,
    const char *code, const char *what, struct sl_slice id, const char *text)
{
    const struct sl_yaml *at = sl_yaml_get(entry, key);
    return sl_yaml_issue(&source->yaml, at ? at : entry, false, code, "The %s \"%.*s\" %s.", what, SL_FMT(id), text);
}

static void soften(struct sl_issues *issues, struct sl_issue *issue, enum sl_grade grade)
{
    issues->errors--;
    if (issue)
        issue->grade = grade;
}

/* ---- Rules ---- */

static struct sl_rule *find_rule(struct sl_policy *policy, struct sl_slice id, const struct sl_rule *other)
{
    for (size_t i = 0; i < policy->rule_count; i++)
        if (&policy->rules[i] != other && sl_slice_eq(policy->rules[i].view.id, id))
            return &policy->rules[i];
    return NULL;
}

static void check_layer(const struct sl_rule *rule)
{
    if (rule->verdict != SL_RULE_RELEASE || rule->layer == SL_LAYER_ORGANIZATION)
        return;
    struct sl_issue *issue = at_key(rule->source, rule->at, "verdict", "release-in-ceiling", "rule", rule->view.id,
        "releases, and only files of the organization's layer may");
    if (issue)
        issue->fix =
            SL_LIT("Write a `withhold … unless …` here, and the release in a file with `layer: organization`.");
}

/* Whoever fits a party is known here, and gets what is released to everyone; so a party of a pack would widen what
 * goes.
 */
static void check_parties(const struct sl_policy_source *source)
{
    const struct sl_yaml *parties = sl_yaml_get(source->root, "parties");
    if (!parties || !parties->count || (source->layer != SL_LAYER_STATE && source->layer != SL_LAYER_PROGRAM))
        return;
    struct sl_issue *issue = sl_yaml_issue(&source->yaml, parties, true, "party-in-ceiling",
        "A file of state law or of a program names parties, and only files of the organization's layer may.");
    if (issue)
        issue->fix = SL_LIT("Name the party in a file with `layer: organization`, and only restrict it here.");
}

/* A rule that can never match is a mistake, however harmless. */
static void check_reach(const struct sl_rule *rule)
{
    if (sl_classes_empty(&rule->data))
        at_key(rule->source, rule->at, "data", "rule-without-data", "rule", rule->view.id, "is about no class");
    if (!rule->everyone && !rule->parties)
        at_key(rule->source, rule->at, "to", "rule-without-party", "rule", rule->view.id, "is about no party");
    if (!rule->purposes)
        at_key(rule->source, rule->at, "for", "rule-without-purpose", "rule", rule->view.id, "is for no purpose");
}

static void check_twin(struct sl_policy *policy, const struct sl_rule *rule)
{
    const struct sl_rule *twin = rule->view.id.len ? find_rule(policy, rule->view.id, rule) : NULL;
    if (twin && twin < rule)
        at_key(rule->source, rule->at, "id", "duplicate-id", "rule", rule->view.id, "stands here a second time");
}

static bool may_lift(const struct sl_rule *rule, const struct sl_yaml *at, const struct sl_rule *target)
{
    if (target->lift_never) {
        sl_yaml_issue(&rule->source->yaml, at, false, "lift-never", "The rule \"%.*s\" may never be lifted.",
            SL_FMT(target->view.id));
        return false;
    }
    if (rule->layer > target->layer) {
        sl_yaml_issue(&rule->source->yaml, at, false, "lift-from-below",
            "The rule \"%.*s\" is of a higher layer than this one, and can be lifted only from its own or above.",
            SL_FMT(target->view.id));
        return false;
    }
    if (target->verdict == SL_RULE_RELEASE) {
        sl_yaml_issue(&rule->source->yaml, at, false, "lift-of-release",
            "The rule \"%.*s\" releases: there is nothing to lift.", SL_FMT(target->view.id));
        return false;
    }
    return true;
}

static void unknown_rule(const struct sl_policy *policy, const struct sl_rule *rule, const struct sl_yaml *at)
{
    struct sl_issue *issue =
        sl_yaml_issue(&rule->source->yaml, at, false, "unknown-rule", "No rule is called \"%.*s\".", SL_FMT(at->text));
    struct sl_slice *ids = sl_arena_array(policy->arena, policy->rule_count, sizeof *ids);
    for (size_t i = 0; ids && i < policy->rule_count; i++)
        ids[i] = policy->rules[i].view.id;
    struct sl_slice near = ids ? sl_nearest_word(at->text, ids, policy->rule_count) : (struct sl_slice){NULL, 0};
    if (issue && near.len)
        issue->fix = sl_arena_printf(policy->arena, "Did you mean \"%.*s\"?", SL_FMT(near));
}

static void add_lifter(struct sl_policy *policy, struct sl_rule *target, const struct sl_rule *rule)
{
    uint16_t *grown = sl_arena_array(policy->arena, target->lifted_by_count + 1, sizeof *grown);
    if (!grown)
        return;
    for (size_t i = 0; i < target->lifted_by_count; i++)
        grown[i] = target->lifted_by[i];
    grown[target->lifted_by_count++] = (uint16_t)(rule - policy->rules);
    target->lifted_by = grown;
}

static void check_lifts(struct sl_policy *policy, const struct sl_rule *rule)
{
    const struct sl_yaml *list = sl_yaml_list(&rule->source->yaml, sl_yaml_get(rule->at, "lifts"));
    for (const struct sl_yaml *item = list ? list->first : NULL; item; item = item->next) {
        struct sl_slice id = sl_yaml_text(&rule->source->yaml, item);
        struct sl_rule *target = id.len ? find_rule(policy, id, rule) : NULL;
        if (target && may_lift(rule, item, target))
            add_lifter(policy, target, rule);
        else if (id.len && !target)
            unknown_rule(policy, rule, item);
    }
}

/* A written consent to a Part 2 disclosure brings the statement of 2.32 with it: a line that forgets it is a mistake.
 */
static void check_notice(struct sl_policy *policy, const struct sl_rule *rule, struct sl_issues *issues)
{
    unsigned part2 = sl_policy_class_find(policy, SL_LIT("part2"));
    bool ceiling = rule->layer == SL_LAYER_FEDERAL && rule->verdict != SL_RULE_RELEASE;
    if (!ceiling || part2 >= SL_CLASS_LIMIT || !sl_classes_has(&rule->data, part2))
        return;
    for (size_t i = 0; i < rule->unless_count; i++) {
        const struct sl_condition *line = &rule->unless[i];
        if (!line->kinds || (line->then.notice && line->then.scope && line->then.account))
            continue;
        struct sl_issue *issue = sl_yaml_issue(&rule->source->yaml, line->at, false, "part2-without-notice",
            "Here a consent lets Part 2 records go without notice, scope or accounting (42 CFR 2.32, 2.25).");
        if (issue)
            issue->fix = SL_LIT("Add `then: {notice: yes, scope: yes, account: yes}`.");
        soften(issues, issue, SL_GRADE_WARNING);
    }
}

/* A limit stands where something goes: on a release, on a line that lets go what a rule withholds, or on a rule that
 * withholds all else. */
static void check_terms(const struct sl_rule *rule)
{
    for (size_t i = 0; i < rule->only_if_count; i++)
        if (rule->only_if[i].term)
            sl_yaml_issue(&rule->source->yaml, rule->only_if[i].at, false, "bad-limit",
                "A line of only-if lets nothing go by itself: the limit belongs to the rule, or to a rule of its own.");
    for (size_t i = 0; i < rule->unless_count && rule->verdict == SL_RULE_RELEASE; i++)
        if (rule->unless[i].term)
            sl_yaml_issue(&rule->source->yaml, rule->unless[i].at, false, "bad-limit",
                "This line makes the release silent, so that nothing goes by it that could be limited.");
    if (rule->verdict == SL_RULE_HOLD && rule->term)
        at_key(rule->source, rule->at, "verdict", "bad-limit", "rule", rule->view.id,
            "holds all that it is about, so that there is nothing to limit or change");
}

/* A time-box is of a declared emergency, on what rests on it. */
static void check_time_box(const struct sl_rule *rule)
{
    bool asks = rule->only_if_count > 0;
    for (size_t i = 0; i < rule->only_if_count; i++)
        asks = asks && rule->only_if[i].emergency;
    if (rule->then.time_box && (rule->verdict != SL_RULE_RELEASE || !asks))
        at_key(rule->source, rule->at, "then", "bad-time-box", "rule", rule->view.id,
            "has a time-box, and does not release in a declared emergency alone (`only-if: {emergency: declared}`)");
    for (unsigned which = 0; which < 2; which++) {
        const struct sl_condition *lines = which ? rule->unless : rule->only_if;
        for (size_t i = 0; i < (which ? rule->unless_count : rule->only_if_count); i++)
            if (lines[i].then.time_box && !lines[i].emergency)
                sl_yaml_issue(&rule->source->yaml, lines[i].at, false, "bad-time-box",
                    "This line has a time-box, and asks for no declared emergency.");
    }
}

/* What nobody may lift ends on no day, and a guard withholds. */
static void check_exception(const struct sl_rule *rule)
{
    if (rule->until && rule->lift_never)
        at_key(rule->source, rule->at, "exception", "exception-of-never", "rule", rule->view.id,
            "may never be lifted, and would lift itself on that day");
    if (rule->guard && rule->verdict == SL_RULE_RELEASE)
        at_key(rule->source, rule->at, "guard", "bad-guard", "rule", rule->view.id,
            "releases, and what stands behind others as a guard withholds");
}

/* ---- Writes ---- */

static void check_grant(const struct sl_grant *grant)
{
    struct sl_issue *issue = NULL;
    if (grant->source->layer != SL_LAYER_ORGANIZATION)
        issue = at_key(grant->source, grant->at, "may", "write-in-ceiling", "grant", grant->view.id,
            "lets somebody write, and only files of the organization's layer may");
    if (issue)
        issue->fix = SL_LIT("Write it in a file with `layer: organization`.");
    if (grant->parties & (((uint64_t)1 << SL_BUILTINS) - 1))
        at_key(grant->source, grant->at, "to", "write-by-record", "grant", grant->view.id,
            "names a party that a record makes it, and of a record to be written nobody is one yet");
    if (!grant->parties || !grant->purposes || !grant->may)
        at_key(grant->source, grant->at, "to", "write-by-nobody", "grant", grant->view.id,
            "names no party, no purpose or nothing that may be done");
}

static void check_search(const struct sl_search_grant *grant)
{
    struct sl_issue *issue = NULL;
    if (grant->source->layer != SL_LAYER_ORGANIZATION)
        issue = at_key(grant->source, grant->at, "by", "search-in-ceiling", "grant", grant->view.id,
            "lets somebody search, and only files of the organization's layer may");
    if (issue)
        issue->fix = SL_LIT("Write it in a file with `layer: organization`.");
}

/* ---- Classes ---- */

static bool named(const struct sl_policy *policy, unsigned bit, bool release)
{
    for (size_t i = 0; i < policy->rule_count; i++)
        if ((policy->rules[i].verdict == SL_RULE_RELEASE) == release && sl_classes_has(&policy->rules[i].data, bit))
            return true;
    return false;
}

static void check_class(const struct sl_policy *policy, unsigned bit, struct sl_issues *issues)
{
    const struct sl_class *class = &policy->classes[bit];
    const struct sl_class_source *at = &policy->class_sources[bit];
    if (!sl_yaml_get(at->at, "earned-by") && !sl_classes_has(&policy->earning.notes, bit))
        soften(issues,
            at_key(at->source, at->at, "id", "class-never-earned", "class", class->id, "is earned by nothing"),
            SL_GRADE_WARNING);
    if (class->needs_yes && !named(policy, bit, true))
        soften(issues,
            at_key(at->source, at->at, "id", "class-nobody-may-see", "class", class->id,
                "is released by no rule, so that nobody may see it"),
            SL_GRADE_WARNING);
    if (!class->needs_yes && !named(policy, bit, false) && !class->label_count)
        soften(issues,
            at_key(at->source, at->at, "id", "class-without-effect", "class", class->id,
                "is withheld by no rule and has no labels, so that it changes nothing"),
            SL_GRADE_ADVICE);
}

/* Fail closed needs no class, but a type without one would be hidden from everybody and nobody would know why. */
static void check_types(const struct sl_policy *policy, struct sl_issues *issues)
{
    for (unsigned node = 1; node < SL_R4_NODES; node++) {
        if (!sl_r4_is_resource((sl_r4_node)node) || sl_classes_meet(&policy->earning.by_type[node], &policy->needs_yes))
            continue;
        struct sl_issue *issue = sl_issue_add(issues, SL_GRADE_ERROR, "type-without-class",
            "The resource type %.*s earns no class that needs a yes.", SL_FMT(sl_r4_node_name((sl_r4_node)node)));
        if (issue)
            issue->fix = SL_LIT("Give one class `types: others`.");
        return;
    }
}

void sl_policy_check(struct sl_policy *policy)
{
    struct sl_issues none = {0}, *issues = policy->source_count ? policy->sources[0].yaml.issues : &none;
    if (!issues || !issues->arena)
        return;
    if (policy->rule_count > SL_RULE_LIMIT) {
        sl_issue_add(issues, SL_GRADE_ERROR, "too-many", "A policy has at most %u rules.", SL_RULE_LIMIT);
        return;
    }
    check_types(policy, issues);
    for (size_t i = 0; i < policy->source_count; i++)
        check_parties(&policy->sources[i]);
    for (size_t i = 0; i < policy->rule_count; i++) {
        check_layer(&policy->rules[i]);
        check_reach(&policy->rules[i]);
        check_twin(policy, &policy->rules[i]);
        check_lifts(policy, &policy->rules[i]);
        check_notice(policy, &policy->rules[i], issues);
        check_terms(&policy->rules[i]);
        check_time_box(&policy->rules[i]);
        check_exception(&policy->rules[i]);
    }
    for (size_t i = 0; i < policy->grant_count; i++)
        check_grant(&policy->grants[i]);
    for (size_t i = 0; i < policy->search_count; i++)
        check_search(&policy->searches[i]);
    for (unsigned bit = 0; bit < policy->class_count; bit++)
        check_class(policy, bit, issues);
    sl_element_lists_check(policy);
    sl_scenarios_check(policy);
}
