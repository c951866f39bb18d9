/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What neither the cases (policy_diff.c) nor the comparison of words (policy_diff_words.c) knows the way of: notes kept
 * apart, element lists, settings, and any word that the language may get. Where such a thing reads differently, nobody
 * can say which way it goes; so it is told, and counts as a change that may release more. Only what is named here,
 * since it is compared elsewhere or decides nothing, is passed by.
 */
#include "policy_diff.h"

static const char *const file_keys[] = {"title", "version", "layer", "example", "program", "scenarios", "parties",
    "classes", "consents", "forms", "label-sets", "rules", "writes", "searches", "invariants", NULL};
static const char *const head_keys[] = {"title", "version", "terminology", "lexicon", "states", "denials-in-emergency",
    "intermediary", "narrative", "two-person-rule", "notice", NULL};
static const char *const rule_keys[] = {"id", "title", "law", "unverified", "review-by", "guard", "verdict", "data",
    "to", "for", "only-if", "unless", "then", "limit-to", "change", "lift", "lifts", NULL};

static bool is_among(const char *const *keys, struct sl_slice key)
{
    for (size_t i = 0; keys[i]; i++)
        if (sl_slice_eq(key, sl_slice_of(keys[i])))
            return true;
    return false;
}

static bool same_value(const struct sl_yaml *a, const struct sl_yaml *b)
{
    if (!a || !b || a->kind != b->kind || !sl_slice_eq(a->key, b->key))
        return a == b;
    if (a->kind == SL_YAML_SCALAR)
        return sl_slice_eq(a->text, b->text);
    const struct sl_yaml *x = a->first, *y = b->first;
    for (; x && y; x = x->next, y = y->next)
        if (!same_value(x, y))
            return false;
    return x == y;
}

/* Notes that a file brings where it had none earn a class and take none away, unless an entry says what is none. */
static bool only_earns(const struct sl_yaml *member)
{
    if (!sl_slice_eq(member->key, SL_LIT("notes")) || member->kind != SL_YAML_LIST)
        return false;
    for (const struct sl_yaml *entry = member->first; entry; entry = entry->next)
        if (entry->kind != SL_YAML_MAP || sl_yaml_get(entry, "not"))
            return false;
    return true;
}

/* Keys of `one` that the other has not, or otherwise; with `missing`, only those it has not. */
static void compare_keys(struct sl_diff_report *report, struct sl_slice where, const char *const *known,
    const struct sl_yaml *one, const struct sl_yaml *other, bool missing)
{
    for (const struct sl_yaml *m = one ? one->first : NULL; m; m = m->next) {
        const struct sl_yaml *its = other ? sl_yaml_get(other, m->key.ptr) : NULL;
        if (!is_among(known, m->key) && (missing ? !its : !same_value(m, its)))
            sl_diff_say(report, !missing && !its && only_earns(m) ? SL_DIFF_TIGHTER : SL_DIFF_EITHER, "%.*s, %.*s: %s",
                SL_FMT(where), SL_FMT(m->key), its || missing ? "reads differently" : "new");
    }
}

static void compare_maps(struct sl_diff_report *report, struct sl_slice where, const char *const *known,
    const struct sl_yaml *before, const struct sl_yaml *after)
{
    compare_keys(report, where, known, after, before, false);
    compare_keys(report, where, known, before, after, true);
}

static const struct sl_yaml *file_of(const struct sl_policy *policy, struct sl_slice path)
{
    for (size_t i = 0; i < policy->source_count; i++)
        if (sl_slice_eq(policy->sources[i].yaml.file, path))
            return policy->sources[i].root;
    return NULL;
}

static const struct sl_yaml *rule_of(const struct sl_policy *policy, struct sl_slice id)
{
    for (size_t i = 0; i < policy->rule_count; i++)
        if (sl_slice_eq(policy->rules[i].view.id, id))
            return policy->rules[i].at;
    return NULL;
}

/* Calls compare_maps for what stands in `one`: with what stands in the other, or (gone) only where nothing does. */
static void compare_all(
    struct sl_diff_report *report, const struct sl_policy *one, const struct sl_policy *other, bool gone)
{
    for (size_t i = 0; i < one->source_count; i++) {
        struct sl_slice path = one->sources[i].yaml.file;
        const struct sl_yaml *twin = file_of(other, path);
        if (!gone || !twin)
            compare_maps(report, path, file_keys, twin, one->sources[i].root);
    }
    for (size_t i = 0; i < one->rule_count; i++) {
        struct sl_slice id = one->rules[i].view.id;
        const struct sl_yaml *twin = rule_of(other, id);
        if (!gone || !twin)
            compare_maps(
                report, sl_arena_printf(report->arena, "rule %.*s", SL_FMT(id)), rule_keys, twin, one->rules[i].at);
    }
}

void sl_diff_rest(struct sl_diff_report *report, const struct sl_policy *before, const struct sl_policy *after)
{
    compare_maps(report, SL_LIT("policy.yaml"), head_keys, before->head, after->head);
    compare_all(report, after, before, false);
    compare_all(report, before, after, true);
}
