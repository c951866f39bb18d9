/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `notes:` sections of a policy: how sources mark notes that are kept apart. Federal files say what the classes are
 * and which types of document never belong to them; a house maps its own types and folders onto the classes.
 */
#include "language.h"
#include "policy_model.h"

static const struct sl_slice folder_words[] = {{"source", 6}, {"identifiers", 11}, {"questionnaire", 13}};
static const enum sl_note_by folder_kinds[] = {SL_NOTE_BY_SOURCE, SL_NOTE_BY_IDENTIFIER, SL_NOTE_BY_QUESTIONNAIRE};
#define FOLDER_WORDS (sizeof folder_words / sizeof *folder_words)

struct notes {
    struct sl_policy *policy;
    struct sl_note_rule *rules;
    size_t count;
    struct sl_classes class; /* of the entry at hand */
};

static void add_rule(struct notes *n, struct sl_note_rule rule)
{
    rule.classes = n->class;
    n->rules[n->count++] = rule;
    sl_classes_join(&n->policy->earning.notes, &n->class);
}

static void read_coding(
    struct notes *n, const struct sl_policy_source *source, const struct sl_yaml *at, enum sl_note_by by)
{
    if (!sl_language_check(&source->yaml, at, SL_MAP_PAIR))
        return;
    struct sl_note_rule rule = {.by = by,
        .system = sl_yaml_text(&source->yaml, sl_yaml_get(at, "system")),
        .code = sl_yaml_text(&source->yaml, sl_yaml_get(at, "code"))};
    if (n->policy->terminology)
        rule.number = sl_terminology_system(n->policy->terminology, rule.system);
    if (rule.system.len && rule.code.len)
        add_rule(n, rule);
}

/* {source: URI}, {identifiers: SYSTEM} or {questionnaire: CANONICAL}. */
static void read_folder(struct notes *n, const struct sl_policy_source *source, const struct sl_yaml *at)
{
    if (!sl_language_check(&source->yaml, at, SL_MAP_FOLDER))
        return;
    if (at->count != 1)
        sl_yaml_issue(&source->yaml, at, false, "bad-folder", "A folder is one of source, identifiers, questionnaire.");
    for (size_t i = 0; i < FOLDER_WORDS; i++) {
        struct sl_slice uri = sl_yaml_text(&source->yaml, sl_yaml_get(at, folder_words[i].ptr));
        if (uri.len && at->count == 1)
            add_rule(n, (struct sl_note_rule){.by = folder_kinds[i], .uri = uri});
    }
}

/* What takes documents out of a class of the law is the law's to say. */
static void check_not(const struct notes *n, const struct sl_policy_source *source, const struct sl_yaml *at)
{
    unsigned bit = sl_classes_next(&n->class, 0);
    const struct sl_policy_source *of = n->policy->class_sources[bit].source;
    if (at && source->layer > of->layer)
        sl_yaml_issue(&source->yaml, at, true, "notes-layer",
            "Which types are no such note is said in the layer of the class, or above it.");
}

static void read_notes(struct notes *n, const struct sl_policy_source *source, const struct sl_yaml *at)
{
    struct sl_policy *policy = n->policy;
    struct sl_slice ids[SL_CLASS_LIMIT];
    if (!sl_language_check(&source->yaml, at, SL_MAP_NOTE))
        return;
    const struct sl_yaml *name = sl_yaml_get(at, "class");
    struct sl_slice id = sl_yaml_text(&source->yaml, name);
    unsigned bit = id.len ? sl_policy_class_find(policy, id) : SL_CLASS_LIMIT;
    if (bit >= SL_CLASS_LIMIT) {
        for (unsigned i = 0; i < policy->class_count; i++)
            ids[i] = policy->classes[i].id;
        if (id.len)
            sl_language_unknown(&source->yaml, name, "unknown-class", "class", ids, policy->class_count);
        return;
    }
    n->class = (struct sl_classes){{0}};
    sl_classes_add(&n->class, bit);
    const struct sl_yaml *types = sl_yaml_list(&source->yaml, sl_yaml_get(at, "types"));
    const struct sl_yaml *folders = sl_yaml_list(&source->yaml, sl_yaml_get(at, "folders"));
    const struct sl_yaml *not = sl_yaml_list(&source->yaml, sl_yaml_get(at, "not"));
    check_not(n, source, not );
    for (const struct sl_yaml *one = types ? types->first : NULL; one; one = one->next)
        read_coding(n, source, one, SL_NOTE_BY_TYPE);
    for (const struct sl_yaml *one = not ? not ->first : NULL; one; one = one->next)
        read_coding(n, source, one, SL_NOTE_NOT);
    for (const struct sl_yaml *one = folders ? folders->first : NULL; one; one = one->next)
        read_folder(n, source, one);
}

static size_t count_within(const struct sl_yaml *entry, const char *key)
{
    const struct sl_yaml *list = sl_yaml_get(entry, key);
    return list ? list->count : 0;
}

static size_t count_rules(const struct sl_policy *policy)
{
    size_t count = 0;
    for (size_t i = 0; i < policy->source_count; i++) {
        const struct sl_yaml *list = sl_yaml_get(policy->sources[i].root, "notes");
        for (const struct sl_yaml *at = list ? list->first : NULL; at; at = at->next)
            count += count_within(at, "types") + count_within(at, "folders") + count_within(at, "not");
    }
    return count;
}

enum sl_status sl_policy_read_notes(struct sl_policy *policy)
{
    struct notes n = {.policy = policy};
    n.rules = sl_arena_array(policy->arena, count_rules(policy) + 1, sizeof *n.rules);
    if (!n.rules)
        return SL_NO_MEMORY;
    for (size_t i = 0; i < policy->source_count; i++) {
        const struct sl_policy_source *source = &policy->sources[i];
        const struct sl_yaml *list = sl_yaml_list(&source->yaml, sl_yaml_get(source->root, "notes"));
        for (const struct sl_yaml *at = list ? list->first : NULL; at; at = at->next)
            read_notes(&n, source, at);
    }
    policy->earning.note_rules = n.rules;
    policy->earning.note_rule_count = n.count;
    return SL_OK;
}
