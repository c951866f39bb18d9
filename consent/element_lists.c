/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Element lists: which elements of a record a limited release keeps. The paths of all lists are one tree, a step for
 * each element that some path goes through; what is on no path is kept by nobody. A list that leaves out what R4
 * requires keeps nothing of the object that would lack it, which is told here, at load.
 */
#include "language.h"
#include "policy_model.h"
#include "segmenting.h"

#define STEPS_LIMIT 65536u /* of all paths together */
#define SEGMENT_LIMIT 16u  /* of one path */

/* ---- The tree ---- */

/* A new step; 0 if there is no room. */
static uint32_t add_step(struct sl_policy *policy, sl_name name)
{
    if (policy->kept_count == policy->kept_room) {
        uint32_t room = policy->kept_room ? policy->kept_room * 2 : 64;
        struct sl_kept *kept = room <= STEPS_LIMIT ? sl_arena_array(policy->arena, room, sizeof *kept) : NULL;
        if (!kept)
            return 0;
        if (policy->kept_count)
            memcpy(kept, policy->kept, policy->kept_count * sizeof *kept);
        else
            policy->kept_count = 1; /* [0] is none */
        policy->kept = kept;
        policy->kept_room = room;
    }
    policy->kept[policy->kept_count] = (struct sl_kept){.name = name};
    return policy->kept_count++;
}

static uint32_t find_step(const struct sl_policy *policy, uint32_t above, sl_name name)
{
    uint32_t at = policy->kept[above].child;
    while (at && policy->kept[at].name != name)
        at = policy->kept[at].next;
    return at;
}

static uint32_t step_to(struct sl_policy *policy, uint32_t above, sl_name name)
{
    uint32_t at = find_step(policy, above, name);
    if (at)
        return at;
    at = add_step(policy, name);
    if (at) {
        policy->kept[at].next = policy->kept[above].child;
        policy->kept[above].child = at;
    }
    return at;
}

static uint32_t type_step(struct sl_policy *policy, sl_r4_node type)
{
    if (!policy->kept_types)
        policy->kept_types = sl_arena_array(policy->arena, SL_R4_NODES, sizeof *policy->kept_types);
    if (!policy->kept_types)
        return 0;
    if (!policy->kept_types[type])
        policy->kept_types[type] = add_step(policy, 0);
    return policy->kept_types[type];
}

/* ---- Reading ---- */

struct path {
    struct sl_policy *policy;
    const struct sl_policy_source *source;
    const struct sl_yaml *at; /* the path, as it stands there */
    uint32_t list;            /* its bit */
    bool failed;              /* no room */
};

static void unknown_element(const struct path *p, sl_r4_node node)
{
    size_t count;
    const struct sl_r4_element *all = sl_r4_elements(node, &count);
    struct sl_slice *names = sl_arena_array(p->source->yaml.arena, count + 1, sizeof *names);
    for (size_t i = 0; names && i < count; i++)
        names[i] = sl_name_text(all[i].name);
    struct sl_issue *issue = sl_yaml_issue(&p->source->yaml, p->at, false, "unknown-path",
        "\"%.*s\" names no element of %.*s.", SL_FMT(p->at->text), SL_FMT(sl_r4_node_name(node)));
    struct sl_slice last = p->at->text;
    for (const char *dot; last.len && (dot = memchr(last.ptr, '.', last.len));)
        last = sl_slice_from(last, (size_t)(dot - last.ptr) + 1);
    struct sl_slice near = names ? sl_nearest_word(last, names, count) : (struct sl_slice){NULL, 0};
    if (issue && near.len)
        issue->fix = sl_arena_printf(p->source->yaml.arena, "Did you mean \"%.*s\"?", SL_FMT(near));
}

/* One of the choices of value[x], by the name before the brackets. */
static bool is_choice(const struct sl_r4_element *element, struct sl_slice base)
{
    struct sl_slice name = sl_name_text(element->name);
    return element->choice && sl_slice_starts(name, base) && name.len > base.len && name.ptr[base.len] >= 'A' &&
           name.ptr[base.len] <= 'Z';
}

/* The last step of a path: the element, or each of the choices where it is one. */
static bool keep_last(struct path *p, uint32_t above, sl_r4_node node, struct sl_slice name)
{
    size_t count, kept = 0;
    const struct sl_r4_element *all = sl_r4_elements(node, &count);
    struct sl_slice base = name;
    if (base.len > 3 && memcmp(base.ptr + base.len - 3, "[x]", 3) == 0)
        base.len -= 3;
    for (size_t i = 0; i < count; i++) {
        if (!sl_slice_eq(sl_name_text(all[i].name), name) && !is_choice(&all[i], base))
            continue;
        uint32_t at = step_to(p->policy, above, all[i].name);
        p->failed |= !at;
        if (at)
            p->policy->kept[at].whole |= p->list;
        kept++;
    }
    return kept > 0;
}

static void keep_path(struct path *p, sl_r4_node type, uint32_t root)
{
    struct sl_slice rest = p->at->text;
    sl_r4_node node = type;
    uint32_t step = root;
    for (unsigned i = 0; i < SEGMENT_LIMIT && step; i++) {
        const char *dot = rest.len ? memchr(rest.ptr, '.', rest.len) : NULL;
        struct sl_slice name = {rest.ptr, dot ? (size_t)(dot - rest.ptr) : rest.len};
        p->policy->kept[step].part |= p->list;
        if (!dot) {
            if (!keep_last(p, step, node, name))
                unknown_element(p, node);
            return;
        }
        const struct sl_r4_element *element = sl_r4_element(node, sl_name_find(name.ptr, name.len));
        /* What is contained is a record of its own, and kept as its type is. */
        if (!element || element->flags & (SL_R4_RESOURCE | SL_R4_PRIMITIVE)) {
            unknown_element(p, node);
            return;
        }
        step = step_to(p->policy, step, element->name);
        node = element->node;
        rest = sl_slice_from(rest, name.len + 1);
    }
    p->failed |= !step;
}

/* Elements by their paths, or `all`. */
static enum sl_status read_kept(struct path *p, const struct sl_yaml *record)
{
    const struct sl_policy_source *source = p->source;
    if (!sl_language_check(&source->yaml, record, SL_MAP_KEEP))
        return SL_OK;
    const struct sl_yaml *type = sl_yaml_get(record, "type"), *keep = sl_yaml_get(record, "keep");
    sl_r4_node node = sl_r4_resource(sl_yaml_text(&source->yaml, type));
    if (!node)
        (void)sl_language_word(&source->yaml, type, SL_WORDS_TYPE, "unknown-type", "resource type");
    uint32_t root = node ? type_step(p->policy, node) : 0;
    if (!node || !keep)
        return SL_OK;
    if (!root)
        return SL_NO_MEMORY;
    if (keep->kind == SL_YAML_SCALAR && sl_slice_eq(keep->text, SL_LIT("all"))) {
        p->policy->kept[root].whole |= p->list;
        return SL_OK;
    }
    bool list = keep->kind == SL_YAML_LIST;
    for (const struct sl_yaml *item = list ? keep->first : keep; item; item = list ? item->next : NULL) {
        p->at = item;
        if (sl_yaml_text(&source->yaml, item).len)
            keep_path(p, node, root);
    }
    return p->failed ? SL_NO_MEMORY : SL_OK;
}

unsigned sl_element_list_find(const struct sl_policy *policy, struct sl_slice id)
{
    for (unsigned i = 0; i < policy->element_list_count; i++)
        if (sl_slice_eq(policy->element_lists[i].id, id))
            return i;
    return SL_ELEMENT_LIST_LIMIT;
}

enum sl_status sl_element_list_read(
    struct sl_policy *policy, const struct sl_policy_source *source, const struct sl_yaml *entry, struct sl_slice id)
{
    if (policy->element_list_count == SL_ELEMENT_LIST_LIMIT) {
        sl_yaml_issue(
            &source->yaml, entry, false, "too-many", "A policy has at most %u element lists.", SL_ELEMENT_LIST_LIMIT);
        return SL_OK;
    }
    struct sl_element_list *out = &policy->element_lists[policy->element_list_count];
    *out = (struct sl_element_list){.id = id, .source = source, .at = entry};
    (void)sl_yaml_text(&source->yaml, sl_yaml_get(entry, "title"));
    (void)sl_yaml_text(&source->yaml, sl_yaml_get(entry, "law"));
    out->others = sl_language_word(&source->yaml, sl_yaml_get(entry, "others"), SL_WORDS_OTHERS, "unknown-word",
                      "way with records of other types") == 1;
    uint32_t bit = (uint32_t)2 << policy->element_list_count++;
    policy->kept_others |= out->others ? bit : 0;
    struct path path = {.policy = policy, .source = source, .list = bit};
    const struct sl_yaml *records = sl_yaml_list(&source->yaml, sl_yaml_get(entry, "records"));
    for (const struct sl_yaml *r = records ? records->first : NULL; r; r = r->next)
        SL_TRY(read_kept(&path, r));
    return SL_OK;
}

/* ---- Terms ---- */

uint8_t sl_policy_term(
    struct sl_policy *policy, const struct sl_policy_source *source, const struct sl_yaml *at, struct sl_term term)
{
    if (!policy->term_count)
        policy->term_count = 1; /* [0]: whole and unchanged */
    for (unsigned i = 0; i < policy->term_count; i++)
        if (policy->terms[i].list == term.list && policy->terms[i].changes == term.changes)
            return (uint8_t)i;
    if (policy->term_count == SL_TERM_LIMIT) {
        sl_yaml_issue(&source->yaml, at, false, "too-many",
            "The rules of a policy limit and change in at most %u different ways.", SL_TERM_LIMIT - 1);
        return 0;
    }
    policy->terms[policy->term_count] = term;
    return (uint8_t)policy->term_count++;
}

/* ---- What R4 requires ---- */

struct requirement {
    struct sl_policy *policy;
    const struct sl_element_list *list;
    uint32_t bit;
    sl_r4_node type;
};

static uint32_t kept_step(const struct requirement *r, uint32_t above, sl_name name)
{
    uint32_t at = find_step(r->policy, above, name);
    return at && (r->policy->kept[at].whole | r->policy->kept[at].part) & r->bit ? at : 0;
}

/* Is it, or one of the elements with which it is one choice, kept? */
static uint32_t kept_choice(const struct requirement *r, uint32_t above, const struct sl_r4_element *element)
{
    size_t count;
    const struct sl_r4_element *all = sl_r4_elements(element->parent, &count);
    for (size_t i = 0; i < count; i++) {
        bool same = &all[i] == element || (element->choice && all[i].choice == element->choice);
        uint32_t at = same ? kept_step(r, above, all[i].name) : 0;
        if (at)
            return at;
    }
    return 0;
}

static void tell_missing(const struct requirement *r, sl_r4_node node, sl_name name)
{
    struct sl_slice object = sl_r4_node_name(node), type = sl_r4_node_name(r->type), missing = sl_name_text(name);
    struct sl_issue *issue =
        sl_yaml_issue(&r->list->source->yaml, sl_yaml_get(r->list->at, "id"), false, "list-cuts-required",
            "Of %.*s, the list \"%.*s\" leaves out \"%.*s\", which R4 requires in %.*s: no %.*s would go by it.",
            SL_FMT(type), SL_FMT(r->list->id), SL_FMT(missing), SL_FMT(object), SL_FMT(object));
    if (issue)
        issue->fix = SL_LIT("Keep that too, or leave out the whole of what needs it.");
}

/* Does an object of this node, of which the list keeps parts, lack what R4 requires? Tells all that it lacks. */
static bool lacks(const struct requirement *r, uint32_t step, sl_r4_node node)
{
    size_t count;
    bool lacking = false;
    const struct sl_r4_element *all = sl_r4_elements(node, &count);
    for (size_t i = 0; i < count; i++) {
        bool first = !all[i].choice || i == 0 || all[i - 1].choice != all[i].choice;
        bool required = all[i].flags & SL_R4_REQUIRED;
        bool constant = step == r->policy->kept_types[r->type] && sl_kept_always(all[i].name);
        uint32_t at = kept_choice(r, step, &all[i]);
        if (required && !at && first && !constant) {
            tell_missing(r, node, all[i].name);
            lacking = true;
        }
        uint32_t own = kept_step(r, step, all[i].name);
        if (own && !(r->policy->kept[own].whole & r->bit) && lacks(r, own, all[i].node))
            lacking |= required;
    }
    return lacking;
}

static void soften(const struct sl_policy_source *source, struct sl_issue *issue)
{
    if (source->yaml.issues)
        source->yaml.issues->errors--;
    if (issue)
        issue->grade = SL_GRADE_ADVICE;
}

static void tell_modifier(const struct requirement *r, sl_r4_node node, sl_name name)
{
    struct sl_slice object = sl_r4_node_name(node), type = sl_r4_node_name(r->type), left_out = sl_name_text(name);
    struct sl_issue *issue = sl_yaml_issue(&r->list->source->yaml, sl_yaml_get(r->list->at, "id"), false,
        "list-cuts-modifier",
        "Of %.*s, the list \"%.*s\" leaves out \"%.*s\", which changes what the rest means: no %.*s that has it goes.",
        SL_FMT(type), SL_FMT(r->list->id), SL_FMT(left_out), SL_FMT(object));
    soften(r->list->source, issue);
}

/* What changes the meaning of the rest, and is left out: allowed, and worth a look, since what has it does not go. */
static void check_modifiers(const struct requirement *r, uint32_t step, sl_r4_node node)
{
    size_t count;
    const struct sl_r4_element *all = sl_r4_elements(node, &count);
    for (size_t i = 0; i < count; i++) {
        uint32_t own = kept_step(r, step, all[i].name);
        if (own && !(r->policy->kept[own].whole & r->bit))
            check_modifiers(r, own, all[i].node);
        if (sl_shape_is_modifier(&all[i]) && !(all[i].flags & SL_R4_REQUIRED) && !kept_choice(r, step, &all[i]) &&
            all[i].name != SL_NAME_implicitRules && all[i].name != SL_NAME_modifierExtension)
            tell_modifier(r, node, all[i].name);
    }
}

static void check_list(struct sl_policy *policy, unsigned list)
{
    for (unsigned node = 1; node < SL_R4_NODES; node++) {
        uint32_t step = policy->kept_types[node];
        struct requirement r = {policy, &policy->element_lists[list], (uint32_t)2 << list, (sl_r4_node)node};
        if (!step || policy->kept[step].whole & r.bit || !(policy->kept[step].part & r.bit))
            continue;
        (void)lacks(&r, step, (sl_r4_node)node);
        check_modifiers(&r, step, (sl_r4_node)node);
    }
}

void sl_element_lists_check(struct sl_policy *policy)
{
    for (unsigned i = 0; policy->kept_types && i < policy->element_list_count; i++)
        check_list(policy, i);
}
