/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What two policies say of who is who and what earns what, compared word by word: here the vocabulary is not finite (a
 * record can hold any code), but whether a list of alternatives has grown or shrunk is plain. A table says which way
 * each key of the language works.
 */
#include <stdlib.h>

#include "policy_diff.h"

#define VALUE_LIMIT ((size_t)1 << 20)

/* What it does to releases if the list under a key gets longer; and if the key comes at all, where it was not. */
struct key_way {
    const char *section, *key;
    enum sl_diff_way longer, comes;
};

static const struct key_way ways[] = {
    {"parties", "roles", SL_DIFF_LOOSER, SL_DIFF_TIGHTER},
    {"parties", "kinds", SL_DIFF_LOOSER, SL_DIFF_TIGHTER},
    {"parties", "except-kinds", SL_DIFF_TIGHTER, SL_DIFF_TIGHTER},
    {"parties", "organizations", SL_DIFF_LOOSER, SL_DIFF_TIGHTER},
    {"parties", "clients", SL_DIFF_LOOSER, SL_DIFF_TIGHTER},
    {"parties", "agreements", SL_DIFF_LOOSER, SL_DIFF_TIGHTER},
    {"parties", "services", SL_DIFF_LOOSER, SL_DIFF_TIGHTER},
    {"parties", "networks", SL_DIFF_LOOSER, SL_DIFF_TIGHTER},
    {"parties", "exchange-purposes", SL_DIFF_LOOSER, SL_DIFF_TIGHTER},
    {"parties", "within-days", SL_DIFF_EITHER, SL_DIFF_TIGHTER},
    {"parties", "agreement-until", SL_DIFF_EITHER, SL_DIFF_TIGHTER},
    {"parties", "relationship", SL_DIFF_LOOSER, SL_DIFF_TIGHTER},
    {"parties", "vouched-by", SL_DIFF_LOOSER, SL_DIFF_TIGHTER},
    {"parties", "emergency", SL_DIFF_EITHER, SL_DIFF_TIGHTER},
    {"classes", "earned-by", SL_DIFF_TIGHTER, SL_DIFF_TIGHTER},
    {"classes", "in-text", SL_DIFF_TIGHTER, SL_DIFF_TIGHTER},
    {"consents", "forms", SL_DIFF_LOOSER, SL_DIFF_LOOSER},
    {"consents", "purposes", SL_DIFF_TIGHTER, SL_DIFF_TIGHTER},
    {"consents", "except-categories", SL_DIFF_TIGHTER, SL_DIFF_TIGHTER},
    {"consents", "needs", SL_DIFF_TIGHTER, SL_DIFF_TIGHTER},
    {"consents", "signed-by-others-for", SL_DIFF_LOOSER, SL_DIFF_LOOSER},
    {"consents", "alone", SL_DIFF_EITHER, SL_DIFF_TIGHTER},
    {"consents", "refuses", SL_DIFF_EITHER, SL_DIFF_TIGHTER},
    {"forms", "counts-as", SL_DIFF_LOOSER, SL_DIFF_LOOSER},
    {"forms", "categories", SL_DIFF_LOOSER, SL_DIFF_TIGHTER},
    {"forms", "policy-rules", SL_DIFF_LOOSER, SL_DIFF_TIGHTER},
    {"forms", "sources", SL_DIFF_LOOSER, SL_DIFF_TIGHTER},
    {"forms", "states", SL_DIFF_LOOSER, SL_DIFF_LOOSER},
};

/* Keys that say nothing of what is released: what they put on a release is compared release by release. */
static const char *const silent[] = {
    "id", "title", "law", "labels", "confidentiality", "purpose", "kind", "checked-by", "checked-on", NULL};

struct comparison {
    struct sl_diff_report *report;
    const char *section, *what;
    struct sl_slice id;
};

static enum sl_diff_way opposite(enum sl_diff_way way)
{
    return way == SL_DIFF_TIGHTER ? SL_DIFF_LOOSER : way == SL_DIFF_LOOSER ? SL_DIFF_TIGHTER : SL_DIFF_EITHER;
}

static const struct key_way *way_of(const char *section, struct sl_slice key)
{
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strcmp(ways[i].section, section) == 0 && sl_slice_eq(key, sl_slice_of(ways[i].key)))
            return &ways[i];
    return NULL;
}

static bool is_silent(struct sl_slice key)
{
    for (size_t i = 0; silent[i]; i++)
        if (sl_slice_eq(key, sl_slice_of(silent[i])))
            return true;
    return false;
}

/* ---- Values as text, so that they can be told apart ---- */

static void write_value(struct sl_buffer *out, const struct sl_yaml *value)
{
    bool map = value->kind == SL_YAML_MAP;
    if (value->kind == SL_YAML_SCALAR) {
        sl_buffer_add(out, value->text);
        return;
    }
    sl_buffer_add(out, map ? SL_LIT("{") : SL_LIT("["));
    for (const struct sl_yaml *c = value->first; c; c = c->next) {
        if (map)
            sl_buffer_printf(out, "%.*s: ", SL_FMT(c->key));
        write_value(out, c);
        if (c->next)
            sl_buffer_add(out, SL_LIT(", "));
    }
    sl_buffer_add(out, map ? SL_LIT("}") : SL_LIT("]"));
}

static struct sl_slice value_text(struct sl_arena *arena, const struct sl_yaml *value)
{
    struct sl_buffer text;
    sl_buffer_init(&text, VALUE_LIMIT);
    write_value(&text, value);
    struct sl_slice copy =
        sl_buffer_failed(&text) ? SL_LIT("(too long)") : sl_arena_copy(arena, sl_buffer_slice(&text));
    sl_buffer_fini(&text);
    return copy;
}

/* ---- One entry of a section: a party, a class, a kind of consent ---- */

/* Is the text among the values: of a list, of a map's members, or the value itself? */
static bool has_value(struct sl_arena *arena, const struct sl_yaml *values, struct sl_slice text)
{
    if (values->kind != SL_YAML_LIST)
        return sl_slice_eq(value_text(arena, values), text);
    for (const struct sl_yaml *c = values->first; c; c = c->next)
        if (sl_slice_eq(value_text(arena, c), text))
            return true;
    return false;
}

static void say_value(const struct comparison *c, enum sl_diff_way way, struct sl_slice key, const char *verb,
    const struct sl_yaml *value)
{
    struct sl_slice text = value_text(c->report->arena, value);
    sl_diff_say(c->report, way, "%s %.*s, %.*s: %s %.*s", c->what, SL_FMT(c->id), SL_FMT(key), verb, SL_FMT(text));
}

/* Values of `few` that `many` has not. A map is compared list by list: earned-by, its categories. */
static void compare_values(const struct comparison *c, enum sl_diff_way way, struct sl_slice key, const char *verb,
    const struct sl_yaml *few, const struct sl_yaml *many)
{
    struct sl_arena *arena = c->report->arena;
    if (few->kind == SL_YAML_MAP && many->kind == SL_YAML_MAP) {
        for (const struct sl_yaml *m = few->first; m; m = m->next) {
            const struct sl_yaml *other = sl_yaml_get(many, m->key.ptr);
            if (other)
                compare_values(c, way, m->key, verb, m, other);
            else
                say_value(c, way, m->key, verb, m);
        }
    } else if (few->kind == SL_YAML_LIST) {
        for (const struct sl_yaml *m = few->first; m; m = m->next)
            if (!has_value(arena, many, value_text(arena, m)))
                say_value(c, way, key, verb, m);
    } else if (!has_value(arena, many, value_text(arena, few))) {
        say_value(c, way, key, verb, few);
    }
}

static void compare_key(
    const struct comparison *c, struct sl_slice key, const struct sl_yaml *before, const struct sl_yaml *after)
{
    const struct key_way *way = way_of(c->section, key);
    enum sl_diff_way longer = way ? way->longer : SL_DIFF_EITHER, comes = way ? way->comes : SL_DIFF_EITHER;
    if (!before) {
        say_value(c, comes, key, "now", after);
    } else if (!after) {
        say_value(c, opposite(comes), key, "no longer", before);
    } else {
        compare_values(c, longer, key, "gains", after, before);
        compare_values(c, opposite(longer), key, "loses", before, after);
    }
}

static void compare_entry(const struct comparison *c, const struct sl_yaml *before, const struct sl_yaml *after)
{
    for (const struct sl_yaml *a = after->first; a; a = a->next)
        if (!is_silent(a->key))
            compare_key(c, a->key, sl_yaml_get(before, a->key.ptr), a);
    for (const struct sl_yaml *b = before->first; b; b = b->next)
        if (!is_silent(b->key) && !sl_yaml_get(after, b->key.ptr))
            compare_key(c, b->key, b, NULL);
}

/* ---- Sections ---- */

/* The entry of a section by its id, over all files. */
static const struct sl_yaml *find_entry(const struct sl_policy *policy, const char *section, struct sl_slice id)
{
    for (size_t i = 0; i < policy->source_count; i++) {
        const struct sl_yaml *list = sl_yaml_get(policy->sources[i].root, section);
        for (const struct sl_yaml *e = list ? list->first : NULL; e; e = e->next) {
            const struct sl_yaml *its = sl_yaml_get(e, "id");
            if (its && sl_slice_eq(its->text, id))
                return e;
        }
    }
    return NULL;
}

/* Calls compare_entry for what stands in both, and tells what stands in `one` alone. */
static void compare_section(struct comparison *c, const struct sl_policy *one, const struct sl_policy *other, bool both,
    enum sl_diff_way alone, const char *verb)
{
    for (size_t i = 0; i < one->source_count; i++) {
        const struct sl_yaml *list = sl_yaml_get(one->sources[i].root, c->section);
        for (const struct sl_yaml *e = list ? list->first : NULL; e; e = e->next) {
            const struct sl_yaml *id = sl_yaml_get(e, "id");
            const struct sl_yaml *twin = id ? find_entry(other, c->section, id->text) : NULL;
            c->id = id ? id->text : (struct sl_slice){NULL, 0};
            if (!twin)
                sl_diff_say(c->report, alone, "%s %.*s: %s", c->what, SL_FMT(c->id), verb);
            else if (both)
                compare_entry(c, twin, e);
        }
    }
}

/* What comes new or goes has its effect release by release, but for a class: what it takes away, or leaves, depends on
 * records. */
static const struct {
    const char *section, *what;
    enum sl_diff_way comes, goes;
} sections[] = {
    {"parties", "party", SL_DIFF_TIGHTER, SL_DIFF_TIGHTER}, {"classes", "class", SL_DIFF_TIGHTER, SL_DIFF_LOOSER},
    {"consents", "consent", SL_DIFF_TIGHTER, SL_DIFF_TIGHTER}, {"forms", "form", SL_DIFF_LOOSER, SL_DIFF_TIGHTER},
    {"invariants", "invariant", SL_DIFF_TIGHTER, SL_DIFF_EITHER}, /* releases nothing, and lets a later change do it */
};

/* ---- Element lists ----
 *
 * Which rules name a list, the cases show; here, what it keeps. An element that comes is more, one that goes is less.
 */

static const struct sl_yaml *record_of(const struct sl_yaml *list, struct sl_slice type)
{
    const struct sl_yaml *records = sl_yaml_get(list, "records");
    for (const struct sl_yaml *r = records ? records->first : NULL; r; r = r->next) {
        const struct sl_yaml *its = sl_yaml_get(r, "type");
        if (its && sl_slice_eq(its->text, type))
            return r;
    }
    return NULL;
}

/* What `one` says of a type and `other` does not. A type that a list comes to name, or no longer does, is judged by
 * what becomes of those it does not name: to be looked at. */
static void compare_kept(const struct comparison *c, const struct sl_yaml *one, const struct sl_yaml *other,
    enum sl_diff_way way, const char *verb)
{
    const struct sl_yaml *records = sl_yaml_get(one, "records");
    for (const struct sl_yaml *r = records ? records->first : NULL; r; r = r->next) {
        const struct sl_yaml *type = sl_yaml_get(r, "type"), *keep = sl_yaml_get(r, "keep");
        const struct sl_yaml *twin = record_of(other, type->text);
        if (twin)
            compare_values(c, way, type->text, verb, keep, sl_yaml_get(twin, "keep"));
        else
            say_value(c, SL_DIFF_EITHER, type->text, verb, keep);
    }
}

static void compare_element_lists(
    struct sl_diff_report *report, const struct sl_policy *before, const struct sl_policy *after)
{
    struct comparison c = {.report = report, .section = "element-lists", .what = "element list"};
    for (unsigned i = 0; i < after->element_list_count; i++) {
        c.id = after->element_lists[i].id;
        unsigned k = sl_element_list_find(before, c.id);
        if (k == SL_ELEMENT_LIST_LIMIT)
            continue;
        const struct sl_yaml *was = before->element_lists[k].at, *is = after->element_lists[i].at;
        compare_kept(&c, is, was, SL_DIFF_LOOSER, "gains");
        compare_kept(&c, was, is, SL_DIFF_TIGHTER, "loses");
        if (before->element_lists[k].others != after->element_lists[i].others)
            sl_diff_say(report, after->element_lists[i].others ? SL_DIFF_LOOSER : SL_DIFF_TIGHTER,
                "element list %.*s: of records of other types, now %s", SL_FMT(c.id),
                after->element_lists[i].others ? "the whole" : "nothing");
    }
}

/* ---- What of a rule no case shows: until when, and how long a declaration counts ---- */

static const struct sl_rule *find_rule(const struct sl_policy *policy, struct sl_slice id)
{
    for (size_t i = 0; i < policy->rule_count; i++)
        if (sl_slice_eq(policy->rules[i].view.id, id))
            return &policy->rules[i];
    return NULL;
}

static unsigned box_at(const struct sl_condition *lines, size_t count, size_t i)
{
    return i < count ? lines[i].then.time_box : 0;
}

static bool same_boxes(const struct sl_rule *a, const struct sl_rule *b)
{
    bool same = a->then.time_box == b->then.time_box;
    for (size_t i = 0; i < a->only_if_count || i < b->only_if_count; i++)
        same &= box_at(a->only_if, a->only_if_count, i) == box_at(b->only_if, b->only_if_count, i);
    for (size_t i = 0; i < a->unless_count || i < b->unless_count; i++)
        same &= box_at(a->unless, a->unless_count, i) == box_at(b->unless, b->unless_count, i);
    return same;
}

static void compare_times(struct sl_diff_report *report, const struct sl_policy *before, const struct sl_policy *after)
{
    for (size_t i = 0; i < after->rule_count; i++) {
        const struct sl_rule *is = &after->rules[i], *was = find_rule(before, is->view.id);
        const struct sl_yaml *until = sl_yaml_get(sl_yaml_get(is->at, "exception"), "until");
        if (was && was->until != is->until)
            sl_diff_say(report, SL_DIFF_EITHER, "rule %.*s: in force %s%.*s", SL_FMT(is->view.id),
                is->until ? "until " : "without end", SL_FMT(until ? until->text : SL_LIT("")));
        if (was && !same_boxes(was, is))
            sl_diff_say(report, SL_DIFF_EITHER, "rule %.*s: the declaration of an emergency counts for another time",
                SL_FMT(is->view.id));
    }
}

/* ---- policy.yaml and code lists ---- */

static void compare_settings(
    struct sl_diff_report *report, const struct sl_policy *before, const struct sl_policy *after)
{
    if (before->denials_give_way != after->denials_give_way)
        sl_diff_say(report, after->denials_give_way ? SL_DIFF_LOOSER : SL_DIFF_TIGHTER,
            "denials-in-emergency: a patient's denial now %s", after->denials_give_way ? "gives way" : "binds");
    if (before->intermediary != after->intermediary)
        sl_diff_say(report, after->intermediary ? SL_DIFF_TIGHTER : SL_DIFF_LOOSER,
            "intermediary: a consent that names no recipient outright now permits to %s",
            after->intermediary ? "who treats the patient, and to nobody else" : "whomever it designates");
    if (before->one_person != after->one_person)
        sl_diff_say(report, after->one_person ? SL_DIFF_LOOSER : SL_DIFF_TIGHTER,
            "two-person-rule: a change that releases more now takes %s",
            after->one_person ? "one person" : "two people");
    if (before->regenerate != after->regenerate)
        sl_diff_say(report, SL_DIFF_EITHER, "narrative: what was left out is now %s",
            after->regenerate ? "a constant sentence" : "left out");
    if (!sl_slice_eq(before->notice, after->notice) || !sl_slice_eq(before->short_notice, after->short_notice))
        sl_diff_say(
            report, SL_DIFF_EITHER, "notice: the statement that goes out with Part 2 records reads differently");
}

static bool is_list(struct sl_slice path)
{
    return path.len > 4 && memcmp(path.ptr + path.len - 4, ".csv", 4) == 0;
}

static const struct sl_policy_file *find_file(const struct sl_policy *policy, struct sl_slice path)
{
    for (size_t i = 0; i < policy->file_count; i++)
        if (sl_slice_eq(policy->files[i].path, path))
            return &policy->files[i];
    return NULL;
}

static int order_lines(const void *a, const void *b)
{
    const struct sl_slice *x = a, *y = b;
    int order = memcmp(x->ptr, y->ptr, x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static struct sl_slice *lines_of(struct sl_arena *arena, struct sl_slice text, size_t *count)
{
    size_t most = 1;
    for (size_t i = 0; i < text.len; i++)
        most += text.ptr[i] == '\n';
    struct sl_slice *lines = sl_arena_raw(arena, most, sizeof *lines);
    *count = 0;
    for (size_t at = 0; lines && at < text.len;) {
        const char *end = memchr(text.ptr + at, '\n', text.len - at);
        size_t length = end ? (size_t)(end - text.ptr) - at : text.len - at;
        if (length)
            lines[(*count)++] = (struct sl_slice){text.ptr + at, length};
        at += length + 1;
    }
    if (lines)
        qsort(lines, *count, sizeof *lines, order_lines);
    return lines;
}

/* Can a row that comes only restrict? A term of the lexicon can. A phrase of `none` makes terms count no more, and a
 * row of a code list makes known what was unclassified, or weak what was full evidence. */
static bool only_restricts(struct sl_slice row)
{
    const char *comma = memchr(row.ptr, ',', row.len);
    struct sl_slice topic = {row.ptr, comma ? (size_t)(comma - row.ptr) : row.len};
    return comma && !memchr(topic.ptr, '"', topic.len) && !memchr(topic.ptr, ' ', topic.len) &&
           !sl_slice_eq(topic, SL_LIT("none"));
}

/* How many lines of each stand in that one alone; *freeing: of the new ones, those that may do more than restrict. */
static void count_lines(
    struct sl_arena *arena, struct sl_slice before, struct sl_slice after, size_t *gone, size_t *new, size_t *freeing)
{
    size_t m, n, i = 0, k = 0;
    const struct sl_slice *a = lines_of(arena, before, &m), *b = lines_of(arena, after, &n);
    bool lexicon = sl_slice_starts(after, SL_LIT("topic,term,flags,near\n"));
    *gone = *new = *freeing = 0;
    while (a && b && (i < m || k < n)) {
        int order = i == m ? 1 : k == n ? -1 : order_lines(&a[i], &b[k]);
        *gone += order < 0;
        *new += order > 0;
        *freeing += order > 0 && !(lexicon && only_restricts(b[k]));
        i += order <= 0;
        k += order >= 0;
    }
}

/* A row that goes may have been what made a record sensitive; of one that comes see above. */
static void compare_lists(
    struct sl_diff_report *report, const struct sl_policy *one, const struct sl_policy *other, bool both)
{
    for (size_t i = 0; i < one->file_count; i++) {
        struct sl_slice path = one->files[i].path;
        const struct sl_policy_file *twin = find_file(other, path);
        size_t gone = 0, new = 0, freeing = 0;
        if (!is_list(path) || (twin && !both))
            continue;
        if (both)
            count_lines(report->arena, twin ? twin->text : (struct sl_slice){NULL, 0}, one->files[i].text, &gone, &new,
                &freeing);
        else
            count_lines(report->arena, one->files[i].text, (struct sl_slice){NULL, 0}, &gone, &new, &freeing);
        if (gone || new)
            sl_diff_say(report, gone || freeing ? SL_DIFF_EITHER : SL_DIFF_TIGHTER,
                "list %.*s: %zu row%s fewer, %zu more", SL_FMT(path), gone, gone == 1 ? "" : "s", new);
    }
}

enum sl_status sl_diff_words(
    struct sl_diff_report *report, const struct sl_policy *before, const struct sl_policy *after)
{
    compare_settings(report, before, after);
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        struct comparison c = {.report = report, .section = sections[i].section, .what = sections[i].what};
        compare_section(&c, before, after, false, sections[i].goes, "no longer there");
        compare_section(&c, after, before, true, sections[i].comes, "new");
    }
    compare_element_lists(report, before, after);
    compare_times(report, before, after);
    sl_diff_writes(report, before, after);
    sl_diff_searches(report, before, after);
    compare_lists(report, before, after, false);
    compare_lists(report, after, before, true);
    sl_diff_rest(report, before, after);
    return sl_arena_failed(report->arena) ? SL_NO_MEMORY : SL_OK;
}
