/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A closer look at a policy in order: what its files say of law, dates and agreements, which of its rules no scenario
 * turns on, and which code lists nothing asks for. What its rules do is looked at in policy_review_cells.c.
 */
#include "policy_review.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "scenario.h"
#include "terminology_model.h"

#define DAY ((int64_t)86400)
#define SOON (60 * DAY) /* an agreement takes about that long to renew */

/* ---- Saying ---- */

static enum sl_grade grade_of(const char *code)
{
    size_t count;
    const struct sl_check *checks = sl_policy_checks(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(checks[i].code, code) == 0)
            return checks[i].grade;
    return SL_GRADE_ERROR;
}

struct sl_issue *sl_review_say(const struct sl_review *review, const struct sl_policy_source *source,
    const struct sl_yaml *entry, const char *key, const char *code, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const struct sl_yaml *at = sl_yaml_get(entry, key);
    enum sl_grade grade = grade_of(code);
    struct sl_issue *issue = sl_issue_add(review->issues, grade, code, "%s", text);
    if (!issue)
        return NULL;
    SL_ASSERT(grade != SL_GRADE_ERROR);
    at = at ? at : entry;
    issue->file = sl_arena_copy(review->issues->arena, source->yaml.file);
    issue->line = at->line;
    issue->column = at->column;
    sl_policy_show(review->policy->files, review->policy->file_count, review->issues->arena, issue);
    return issue;
}

static void fix(struct sl_issue *issue, const char *text)
{
    if (issue)
        issue->fix = sl_slice_of(text);
}

/* ---- Law ---- */

static bool is_ceiling(const struct sl_policy_source *source)
{
    return source->layer == SL_LAYER_FEDERAL || source->layer == SL_LAYER_STATE;
}

static void review_law(const struct sl_review *r, const struct sl_policy_source *source, const struct sl_yaml *entry)
{
    const struct sl_yaml *law = sl_yaml_get(entry, "law");
    if (!law) {
        if (is_ceiling(source))
            fix(sl_review_say(r, source, entry, "id", "citation-missing", "It does not say on what law it rests."),
                "Add `law:` with the section it rests on.");
        return;
    }
    struct sl_slice unknown = sl_citation_unknown(law->text, source->layer == SL_LAYER_FEDERAL);
    if (unknown.len)
        fix(sl_review_say(r, source, entry, "law", "citation-unknown",
                "\"%.*s\" is no section of 42 CFR part 2 or of what Sluice knows of 45 CFR.", SL_FMT(unknown)),
            "Write it as `42 CFR 2.31(a), 2.33(b)`, with commas between; look the section up.");
}

/* Consents, label sets, rules and invariants have a `law`. */
static void review_laws(const struct sl_review *r)
{
    static const char *const sections[] = {
        "consents", "label-sets", "element-lists", "rules", "writes", "searches", "invariants"};
    for (size_t i = 0; i < r->policy->source_count; i++)
        for (size_t k = 0; k < sizeof sections / sizeof *sections; k++) {
            const struct sl_policy_source *source = &r->policy->sources[i];
            const struct sl_yaml *list = sl_yaml_get(source->root, sections[k]);
            for (const struct sl_yaml *entry = list ? list->first : NULL; entry; entry = entry->next)
                review_law(r, source, entry);
        }
}

/* ---- Packs of states ---- */

static void review_packs(const struct sl_review *r)
{
    struct sl_buffer names;
    sl_buffer_init(&names, 16 * 1024);
    for (size_t i = 0; i < r->policy->pack_off_count; i++)
        sl_buffer_printf(&names, "%s%.*s", i ? ", " : "", SL_FMT(r->policy->packs_off[i]));
    struct sl_issue *issue = r->policy->pack_off_count ? sl_issue_add(r->issues, SL_GRADE_NOTE, "state-not-in-force",
                                                             "Packs of states are there, and not in force: %.*s.",
                                                             SL_FMT(sl_buffer_slice(&names)))
                                                       : NULL;
    if (issue)
        issue->file = SL_LIT("policy.yaml");
    fix(issue, "Name a state under `states` in policy.yaml to put its pack in force, once counsel has reviewed it.");
    sl_buffer_fini(&names);
    for (size_t i = 0; i < r->policy->source_count; i++) {
        const struct sl_policy_source *source = &r->policy->sources[i];
        if (source->example)
            fix(sl_review_say(r, source, source->root, "example", "example-in-force",
                    "The file is an example: counsel has not reviewed it, and it is in force."),
                "Have counsel compare it with the law and correct it; then take `example: yes` out.");
    }
}

/* ---- Dates and agreements ---- */

static void review_exception(const struct sl_review *r, const struct sl_rule *rule)
{
    const struct sl_yaml *at = sl_yaml_get(rule->at, "exception");
    if (r->now >= rule->until)
        fix(sl_review_say(r, rule->source, at, "until", "exception-past",
                "The exception \"%.*s\" has ended: the rule is silent.", SL_FMT(rule->view.id)),
            "Take the rule out, or have the exception granted anew.");
    else if (r->now >= rule->until - SOON)
        fix(sl_review_say(r, rule->source, at, "until", "exception-ends",
                "The exception \"%.*s\" ends in %lld days; from then on the rule is silent.", SL_FMT(rule->view.id),
                (long long)((rule->until - r->now + DAY - 1) / DAY)),
            "See that nobody counts on it, or have it granted anew.");
}

static void review_rules(const struct sl_review *r)
{
    for (size_t i = 0; i < r->policy->rule_count; i++) {
        const struct sl_rule *rule = &r->policy->rules[i];
        if (rule->review_by && r->now >= rule->review_by + DAY)
            fix(sl_review_say(r, rule->source, rule->at, "review-by", "review-passed",
                    "The rule \"%.*s\" should have been looked at by now.", SL_FMT(rule->view.id)),
                "Look at it, and write the day of the next review.");
        if (rule->until)
            review_exception(r, rule);
        if (rule->unverified)
            fix(sl_review_say(r, rule->source, rule->at, "unverified", "rule-unverified",
                    "Nobody has yet compared the rule \"%.*s\" with the text of the law.", SL_FMT(rule->view.id)),
                "Compare it with the sections it cites; then take the word out.");
    }
}

/* Kinds of recipient whom the law lets have records only under a contract. */
static const struct {
    struct sl_slice kind;
    const char *agreement;
} contracts[] = {
    {{"business-associate", 18}, "baa"},
    {{"qso", 3}, "qsoa"},
    {{"ai-agent", 8}, "baa"},
    {{"contractor", 10}, "contract"},
    {{"research", 8}, "dua"},
    {{"research-feed", 13}, "dua"},
};

const char *sl_review_contract(struct sl_slice kind)
{
    for (size_t i = 0; i < sizeof contracts / sizeof *contracts; i++)
        if (sl_slice_eq(contracts[i].kind, kind))
            return contracts[i].agreement;
    return NULL;
}

static void review_contract(const struct sl_review *r, const struct sl_party *party)
{
    for (size_t i = 0; i < sizeof contracts / sizeof *contracts && !party->agreements.count; i++) {
        if (!sl_words_have(&party->kinds, contracts[i].kind))
            continue;
        struct sl_issue *issue = sl_review_say(r, party->source, party->at, "kinds", "party-without-agreement",
            "The party \"%.*s\" is of the kind \"%.*s\", and needs no agreement to be it.", SL_FMT(party->id),
            SL_FMT(contracts[i].kind));
        if (issue)
            issue->fix = sl_arena_printf(r->issues->arena,
                "Add `agreements: [%s]`, and say in the registry of clients with whom one is in force.",
                contracts[i].agreement);
        return;
    }
}

static void review_end(const struct sl_review *r, const struct sl_party *party)
{
    if (r->now >= party->agreement_until)
        fix(sl_review_say(r, party->source, party->at, "agreement-until", "agreement-past",
                "The agreement of the party \"%.*s\" has ended: nobody is this party any more.", SL_FMT(party->id)),
            "Write the new end, once there is one; or take the party out.");
    else if (r->now >= party->agreement_until - SOON)
        fix(sl_review_say(r, party->source, party->at, "agreement-until", "agreement-ends",
                "The agreement of the party \"%.*s\" ends in %lld days; from then on nobody is this party.",
                SL_FMT(party->id), (long long)((party->agreement_until - r->now + DAY - 1) / DAY)),
            "See to a new one, and write its end here.");
}

static void review_parties(const struct sl_review *r)
{
    for (unsigned i = 0; i < r->policy->party_count; i++) {
        review_contract(r, &r->policy->parties[i]);
        if (r->policy->parties[i].agreement_until)
            review_end(r, &r->policy->parties[i]);
    }
}

/* ---- Scenarios ---- */

struct scenarios {
    const struct sl_review *review;
    bool *exercised; /* by rule */
};

static void tell_scenario(void *context, const struct sl_tried *tried)
{
    const struct scenarios *all = context;
    for (size_t i = 0; i < tried->turn_count; i++)
        all->exercised[tried->turns_on[i]] = true;
    if (!tried->passed)
        fix(sl_review_say(all->review, tried->scenario->source, tried->scenario->at, "expect", "scenario-fails",
                "The scenario does not come out as it says: %.*s. It was %.*s.", SL_FMT(tried->because),
                SL_FMT(tried->got)),
            "Change the rule if the scenario is right, the scenario if the rule is; `policy test` runs them all.");
}

static enum sl_status review_scenarios(struct sl_review *r)
{
    struct scenarios all = {r, calloc(r->policy->rule_count + 1, sizeof *all.exercised)};
    struct sl_trial trial = {.policy = r->policy, .tell = tell_scenario, .context = &all};
    if (!all.exercised)
        return SL_NO_MEMORY;
    enum sl_status status = sl_scenarios_run(&trial);
    for (size_t i = 0; status == SL_OK && i < r->policy->rule_count; i++) {
        const struct sl_rule *rule = &r->policy->rules[i];
        if (!all.exercised[i] && !rule->guard && !r->idle[i]) /* no scenario can turn on what changes nothing */
            fix(sl_review_say(r, rule->source, rule->at, "id", "rule-untried",
                    "No scenario turns on the rule \"%.*s\".", SL_FMT(rule->view.id)),
                "Add a scenario that would come out otherwise without it.");
    }
    free(all.exercised);
    return status;
}

/* ---- Code lists ---- */

static void count_codes(const struct sl_policy *policy, size_t counts[SL_CATEGORY_LIMIT])
{
    const struct sl_terminology *t = policy->terminology;
    for (uint32_t i = 0; i < t->row_count; i++)
        if (t->rows[i].category < SL_CATEGORY_LIMIT)
            counts[t->rows[i].category]++;
}

static void review_category(const struct sl_review *r, unsigned bit, const char *key, const size_t *counts)
{
    const struct sl_class_source *class = &r->policy->class_sources[bit];
    const struct sl_yaml *list = sl_yaml_get(sl_yaml_get(class->at, "earned-by"), key);
    for (const struct sl_yaml *item = list ? list->first : NULL; item; item = item->next) {
        unsigned category = sl_terminology_category_find(r->policy->terminology, item->text);
        if (category < SL_CATEGORY_LIMIT && !counts[category])
            fix(sl_review_say(r, class->source, item, "", "category-empty",
                    "No code has the category \"%.*s\", so that nothing earns the class \"%.*s\" by it.",
                    SL_FMT(item->text), SL_FMT(r->policy->classes[bit].id)),
                "Add its codes to the terminology (sluice terminology import).");
    }
}

static void review_categories(const struct sl_review *r)
{
    const struct sl_policy *policy = r->policy;
    size_t counts[SL_CATEGORY_LIMIT] = {0};
    count_codes(policy, counts);
    for (unsigned bit = 0; bit < policy->class_count; bit++) {
        review_category(r, bit, "categories", counts);
        review_category(r, bit, "weak-categories", counts);
    }
    for (unsigned i = 0; i < sl_terminology_category_count(policy->terminology) && i < SL_CATEGORY_LIMIT; i++) {
        struct sl_slice id = sl_terminology_category(policy->terminology, i)->id;
        bool used = !sl_classes_empty(&policy->earning.by_category[i]) ||
                    !sl_classes_empty(&policy->earning.weak_by_category[i]);
        if (used || !counts[i] || sl_slice_eq(id, SL_LIT("none")))
            continue;
        struct sl_issue *issue = sl_issue_add(r->issues, SL_GRADE_NOTE, "category-unused",
            "%zu codes have the category \"%.*s\", and no class is earned by it.", counts[i], SL_FMT(id));
        if (issue)
            issue->file = SL_LIT("terminology/categories.csv");
        fix(issue, "Name it under `categories` or `weak-categories` of a class, if it is sensitive here.");
    }
}

/* ---- All of it ---- */

static int order(const struct sl_issue *a, const struct sl_issue *b)
{
    size_t shorter = a->file.len < b->file.len ? a->file.len : b->file.len;
    int by_file = shorter ? memcmp(a->file.ptr, b->file.ptr, shorter) : 0;
    if (by_file || a->file.len != b->file.len)
        return by_file ? by_file : a->file.len < b->file.len ? -1 : 1;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    return (a->column > b->column) - (a->column < b->column);
}

/* In the order of the files, what stands in one place as it was found. They are few. */
static void sort(struct sl_issues *issues)
{
    struct sl_issue *sorted = NULL;
    for (struct sl_issue *issue = issues->first, *next; issue; issue = next) {
        struct sl_issue **at = &sorted;
        next = issue->next;
        while (*at && order(*at, issue) <= 0)
            at = &(*at)->next;
        issue->next = *at;
        *at = issue;
    }
    issues->first = issues->last = sorted;
    while (issues->last && issues->last->next)
        issues->last = issues->last->next;
}

/* ---- Writes ---- */

static void review_grants(const struct sl_review *review)
{
    for (size_t i = 0; i < review->policy->grant_count; i++) {
        const struct sl_grant *grant = &review->policy->grants[i];
        if (grant->may >> SL_WRITE_DELETE & 1 && !grant->deletes)
            fix(sl_review_say(review, grant->source, grant->at, "may", "delete-never",
                    "The grant \"%.*s\" lets its parties delete, and something of these types can be hidden from each.",
                    SL_FMT(grant->view.id)),
                "Take `delete` out: a mistake is marked by an update (entered-in-error).");
    }
}

enum sl_status sl_policy_review(const struct sl_policy *policy, int64_t now, struct sl_issues *issues)
{
    struct sl_review review = {.policy = policy,
        .now = now,
        .issues = issues,
        .idle = sl_arena_array(issues->arena, policy->rule_count + 1, sizeof *review.idle)};
    if (!review.idle)
        return SL_NO_MEMORY;
    review_laws(&review);
    review_packs(&review);
    review_rules(&review);
    review_parties(&review);
    review_grants(&review);
    review_categories(&review);
    SL_TRY(sl_review_cells(&review));
    SL_TRY(review_scenarios(&review));
    sort(issues);
    return sl_arena_failed(issues->arena) ? SL_NO_MEMORY : SL_OK;
}
