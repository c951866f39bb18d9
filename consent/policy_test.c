/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report of `sluice policy test`: scenarios that fail, what is covered by rule and by class, and, if asked, the
 * rules whose disappearance no scenario would notice. As text and as JSON.
 */
#include <stdlib.h>

#include "policy_cells.h"
#include "scenario.h"

struct report {
    const struct sl_policy *policy;
    const struct sl_test_options *options;
    struct sl_buffer *out;
    unsigned *by_rule, *killed_by; /* scenarios: that turn on it; that fail without it */
    unsigned by_class[SL_CLASS_LIMIT];
    size_t told;
};

/* ---- Counting ---- */

static void count_classes(struct report *r, const struct sl_yaml *given, const char *key)
{
    const struct sl_yaml *list = sl_yaml_get(given, key);
    for (const struct sl_yaml *word = list ? list->first : NULL; word; word = word->next) {
        unsigned bit = sl_policy_class_find(r->policy, word->text);
        if (bit < SL_CLASS_LIMIT)
            r->by_class[bit]++;
    }
}

static void count(struct report *r, const struct sl_tried *tried)
{
    const struct sl_yaml *given = sl_yaml_get(tried->scenario->at, "given");
    count_classes(r, given, "item");
    count_classes(r, given, "part");
    for (size_t i = 0; i < tried->turn_count; i++)
        r->by_rule[tried->turns_on[i]]++;
    for (size_t i = 0; i < tried->kill_count; i++)
        r->killed_by[tried->kills[i]]++;
}

static bool survives(const struct report *r, size_t rule)
{
    return !r->killed_by[rule] && !r->policy->rules[rule].guard;
}

/* ---- As text ---- */

static void tell_line(struct sl_buffer *out, const char *word, struct sl_slice text)
{
    if (text.len)
        sl_buffer_printf(out, "    %-9s %.*s\n", word, SL_FMT(text));
}

static void tell_text(void *context, const struct sl_tried *tried)
{
    struct report *r = context;
    count(r, tried);
    if (tried->passed)
        return;
    sl_buffer_printf(r->out, "FAIL %.*s:%zu %.*s: %.*s\n", SL_FMT(tried->scenario->source->yaml.file),
        tried->scenario->at->line, SL_FMT(tried->title), SL_FMT(tried->because));
    tell_line(r->out, "expected", tried->expected);
    tell_line(r->out, "got", tried->got);
    tell_line(r->out, "nearest", tried->nearest);
}

static void list_rules(
    const struct report *r, const char *word, bool (*is)(const struct report *, size_t), const char *text)
{
    for (size_t i = 0; i < r->policy->rule_count; i++) {
        const struct sl_rule_view *view = &r->policy->rules[i].view;
        if (is(r, i))
            sl_buffer_printf(
                r->out, "%s %.*s:%zu %s %.*s\n", word, SL_FMT(view->file), view->line, text, SL_FMT(view->id));
    }
}

static bool is_untried(const struct report *r, size_t rule)
{
    return !r->by_rule[rule] && !r->policy->rules[rule].guard;
}

static void write_coverage(const struct report *r)
{
    sl_buffer_add(r->out, SL_LIT("scenarios that turn on each rule:\n"));
    for (size_t i = 0; i < r->policy->rule_count; i++)
        sl_buffer_printf(r->out, "  %5u  %.*s%s\n", r->by_rule[i], SL_FMT(r->policy->rules[i].view.id),
            r->policy->rules[i].guard ? "  (a guard)" : "");
    sl_buffer_add(r->out, SL_LIT("scenarios that name each class:\n"));
    for (unsigned i = 0; i < r->policy->class_count; i++)
        sl_buffer_printf(r->out, "  %5u  %.*s\n", r->by_class[i], SL_FMT(r->policy->classes[i].id));
}

static void finish_text(const struct report *r, const struct sl_tested *tested)
{
    list_rules(r, "UNTRIED", is_untried, "no scenario turns on the rule");
    for (unsigned i = 0; i < r->policy->class_count; i++)
        if (!r->by_class[i])
            sl_buffer_printf(r->out, "UNNAMED %.*s:%zu no scenario names the class %.*s\n",
                SL_FMT(r->policy->class_sources[i].source->yaml.file), r->policy->class_sources[i].at->line,
                SL_FMT(r->policy->classes[i].id));
    if (r->options->mutate)
        list_rules(r, "SURVIVES", survives, "without it no scenario fails: the rule");
    if (r->options->coverage)
        write_coverage(r);
    sl_buffer_printf(r->out, "%zu scenarios passed, %zu failed\n", tested->passed, tested->failed);
    if (r->options->mutate)
        sl_buffer_printf(r->out, "%zu rules taken away in turn, %zu guards, %zu survive\n", r->policy->rule_count,
            tested->guards, tested->survivors);
}

/* ---- As JSON ---- */

static void string(struct sl_buffer *out, const char *lead, struct sl_slice text)
{
    sl_buffer_add(out, sl_slice_of(lead));
    sl_buffer_json_string(out, text);
}

static void tell_json(void *context, const struct sl_tried *tried)
{
    struct report *r = context;
    count(r, tried);
    string(r->out, r->told++ ? ",\n{\"file\":" : "\n{\"file\":", tried->scenario->source->yaml.file);
    sl_buffer_printf(r->out, ",\"line\":%zu", tried->scenario->at->line);
    string(r->out, ",\"title\":", tried->title);
    sl_buffer_printf(r->out, ",\"passed\":%s", tried->passed ? "true" : "false");
    string(r->out, ",\"expected\":", tried->expected);
    string(r->out, ",\"got\":", tried->got);
    if (!tried->passed) {
        string(r->out, ",\"because\":", tried->because);
        string(r->out, ",\"nearest\":", tried->nearest);
    }
    sl_buffer_add(r->out, SL_LIT(",\"turns-on\":["));
    for (size_t i = 0; i < tried->turn_count; i++)
        string(r->out, i ? "," : "", r->policy->rules[tried->turns_on[i]].view.id);
    sl_buffer_add(r->out, SL_LIT("]}"));
}

static void finish_json(const struct report *r, const struct sl_tested *tested)
{
    sl_buffer_add(r->out, SL_LIT("],\n\"rules\":["));
    for (size_t i = 0; i < r->policy->rule_count; i++) {
        const struct sl_rule *rule = &r->policy->rules[i];
        string(r->out, i ? ",\n{\"id\":" : "\n{\"id\":", rule->view.id);
        string(r->out, ",\"file\":", rule->view.file);
        sl_buffer_printf(r->out, ",\"line\":%zu,\"scenarios\":%u,\"guard\":%s,\"survives\":%s}", rule->view.line,
            r->by_rule[i], rule->guard ? "true" : "false", survives(r, i) ? "true" : "false");
    }
    sl_buffer_add(r->out, SL_LIT("],\n\"classes\":["));
    for (unsigned i = 0; i < r->policy->class_count; i++) {
        string(r->out, i ? ",\n{\"id\":" : "\n{\"id\":", r->policy->classes[i].id);
        sl_buffer_printf(r->out, ",\"scenarios\":%u}", r->by_class[i]);
    }
    sl_buffer_printf(r->out,
        "],\n\"passed\":%zu,\"failed\":%zu,\"untried\":%zu,\"unnamed\":%zu,\"guards\":%zu,\"survivors\":%zu}\n",
        tested->passed, tested->failed, tested->untried, tested->unnamed, tested->guards, tested->survivors);
}

/* ---- All of it ---- */

static void count_all(const struct report *r, struct sl_tested *tested)
{
    for (size_t i = 0; i < r->policy->rule_count; i++) {
        tested->untried += is_untried(r, i);
        tested->survivors += survives(r, i);
        tested->guards += r->policy->rules[i].guard;
    }
    for (unsigned i = 0; i < r->policy->class_count; i++)
        tested->unnamed += !r->by_class[i];
}

enum sl_status sl_policy_trial(const struct sl_policy *policy, const struct sl_test_options *options,
    struct sl_buffer *out, struct sl_tested *tested)
{
    unsigned *counts = calloc(2 * policy->rule_count + 1, sizeof *counts);
    struct report r = {.policy = policy,
        .options = options,
        .out = out,
        .by_rule = counts,
        .killed_by = counts ? counts + policy->rule_count : NULL};
    struct sl_trial trial = {.policy = policy, .tell = options->json ? tell_json : tell_text, .context = &r};
    *tested = (struct sl_tested){0};
    if (!counts)
        return SL_NO_MEMORY;
    if (options->json)
        sl_buffer_add(out, SL_LIT("{\"scenarios\":["));
    enum sl_status status = sl_scenarios_run(&trial);
    tested->passed = trial.passed;
    tested->failed = trial.failed;
    count_all(&r, tested);
    if (status == SL_OK)
        (options->json ? finish_json : finish_text)(&r, tested);
    free(counts);
    return status != SL_OK ? status : sl_buffer_failed(out) ? SL_LIMIT : SL_OK;
}

enum sl_status sl_policy_test(const struct sl_policy *policy, struct sl_buffer *out, size_t *passed, size_t *failed)
{
    const struct sl_test_options options = {.json = false};
    struct sl_tested tested;
    enum sl_status status = sl_policy_trial(policy, &options, out, &tested);
    *passed = tested.passed;
    *failed = tested.failed;
    return status;
}
