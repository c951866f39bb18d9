/* SPDX-License-Identifier: Apache-2.0 */
/* What is made of the table of words: the JSON Schema, which takes what the readers take, and the policy in plain
 * English, in which everything shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>
#include <regex.h>

#include "language.h"
#include "policy_model.h"
#include "sluice/buffer.h"

#define SHIPPED SLUICE_SOURCE "/consent/policies"
#define SCHEMA SLUICE_SOURCE "/profiles/policy.schema.json"

/* ---- A validator of as much of JSON Schema as the schema uses ---- */

static json_t *schema;

static bool valid(const json_t *rules, const struct sl_yaml *at);

static const json_t *resolve(const char *reference)
{
    static const char root[] = "#/definitions/";
    assert_int_equal(strncmp(reference, root, sizeof root - 1), 0);
    const json_t *found = json_object_get(json_object_get(schema, "definitions"), reference + sizeof root - 1);
    if (!found)
        fail_msg("the schema refers to %s, which is not there", reference);
    return found;
}

static bool has_type(const json_t *type, const struct sl_yaml *at)
{
    if (json_is_array(type)) {
        for (size_t i = 0; i < json_array_size(type); i++)
            if (has_type(json_array_get(type, i), at))
                return true;
        return false;
    }
    const char *name = json_string_value(type);
    return strcmp(name, "object") == 0  ? at->kind == SL_YAML_MAP
           : strcmp(name, "array") == 0 ? at->kind == SL_YAML_LIST
                                        : at->kind == SL_YAML_SCALAR;
}

static bool in_enum(const json_t *words, const struct sl_yaml *at)
{
    for (size_t i = 0; i < json_array_size(words); i++) {
        const json_t *word = json_array_get(words, i);
        if (at->kind == SL_YAML_SCALAR && json_is_string(word) &&
            sl_slice_eq(at->text, sl_slice_of(json_string_value(word))))
            return true;
    }
    return false;
}

static bool fits(const char *pattern, const struct sl_yaml *at)
{
    regex_t compiled;
    assert_int_equal(regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool found = at->kind == SL_YAML_SCALAR && regexec(&compiled, at->text.ptr, 0, NULL, 0) == 0;
    regfree(&compiled);
    return found;
}

static bool members_are_valid(const json_t *rules, const struct sl_yaml *at)
{
    const json_t *properties = json_object_get(rules, "properties"), *required = json_object_get(rules, "required");
    for (const struct sl_yaml *m = at->first; m; m = m->next) {
        const json_t *property = json_object_get(properties, m->key.ptr);
        if (!property || !valid(property, m))
            return false;
    }
    for (size_t i = 0; i < json_array_size(required); i++)
        if (!sl_yaml_get(at, json_string_value(json_array_get(required, i))))
            return false;
    return true;
}

static bool any_is_valid(const json_t *alternatives, const struct sl_yaml *at)
{
    for (size_t i = 0; i < json_array_size(alternatives); i++)
        if (valid(json_array_get(alternatives, i), at))
            return true;
    return false;
}

static bool keyword_is_met(const char *key, const json_t *value, const json_t *rules, const struct sl_yaml *at)
{
    if (strcmp(key, "$ref") == 0)
        return valid(resolve(json_string_value(value)), at);
    if (strcmp(key, "type") == 0)
        return has_type(value, at);
    if (strcmp(key, "enum") == 0)
        return in_enum(value, at);
    if (strcmp(key, "pattern") == 0)
        return fits(json_string_value(value), at);
    if (strcmp(key, "anyOf") == 0)
        return any_is_valid(value, at);
    if (strcmp(key, "minLength") == 0)
        return at->text.len >= (size_t)json_integer_value(value);
    if (strcmp(key, "minItems") == 0 || strcmp(key, "minProperties") == 0)
        return at->count >= (size_t)json_integer_value(value);
    if (strcmp(key, "maxProperties") == 0)
        return at->count <= (size_t)json_integer_value(value);
    if (strcmp(key, "items") == 0) {
        for (const struct sl_yaml *item = at->first; item; item = item->next)
            if (!valid(value, item))
                return false;
        return true;
    }
    if (strcmp(key, "properties") == 0)
        return members_are_valid(rules, at);
    static const char *const silent[] = {
        "required", "additionalProperties", "description", "title", "$schema", "definitions"};
    for (size_t i = 0; i < sizeof silent / sizeof *silent; i++)
        if (strcmp(key, silent[i]) == 0)
            return true;
    fail_msg("the schema uses %s, which this test does not know", key);
    return false;
}

static bool valid(const json_t *rules, const struct sl_yaml *at)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)rules, key, value)
    {
        if (!keyword_is_met(key, value, rules, at))
            return false;
    }
    return true;
}

/* ---- The schema ---- */

static int load_schema(void **state)
{
    (void)state;
    json_error_t error;
    schema = json_load_file(SCHEMA, 0, &error);
    if (!schema)
        fail_msg("%s:%d: %s", SCHEMA, error.line, error.text);
    return 0;
}

static int free_schema(void **state)
{
    (void)state;
    json_decref(schema);
    return 0;
}

static void the_committed_schema_is_that_of_the_language(void **state)
{
    (void)state;
    struct sl_arena *arena = sl_arena_new((size_t)4 << 20);
    struct sl_slice committed;
    struct sl_buffer made;
    sl_buffer_init(&made, (size_t)4 << 20);
    assert_int_equal(sl_policy_schema(&made), SL_OK);
    assert_int_equal(sl_file_read(arena, SCHEMA, (size_t)4 << 20, &committed), SL_OK);
    if (!sl_slice_eq(committed, sl_buffer_slice(&made)))
        fail_msg("profiles/policy.schema.json is not what `sluice policy schema` prints");
    sl_buffer_fini(&made);
    sl_arena_free(arena);
}

static void the_shipped_files_are_valid(void **state)
{
    (void)state;
    struct sl_issues issues = {.arena = sl_arena_new((size_t)64 << 20)};
    struct sl_policy *policy = NULL;
    assert_int_equal(sl_policy_load(SHIPPED, &issues, &policy), SL_OK);
    assert_true(valid(schema, policy->head));
    assert_true(policy->source_count >= 6);
    for (size_t i = 0; i < policy->source_count; i++)
        if (!valid(schema, policy->sources[i].root))
            fail_msg("%.*s", SL_FMT(policy->sources[i].yaml.file));
    sl_policy_unref(policy);
    sl_arena_free(issues.arena);
}

static bool text_is_valid(const char *text)
{
    struct sl_arena *arena = sl_arena_new((size_t)4 << 20);
    struct sl_yaml_source source = {.arena = arena, .file = SL_LIT("f.yaml")};
    const struct sl_yaml *root = NULL;
    assert_int_equal(sl_yaml_parse(&source, sl_slice_of(text), &root), SL_OK);
    bool good = valid(schema, root);
    sl_arena_free(arena);
    return good;
}

#define RULE(more)                                                                                                     \
    "layer: organization\nrules: [{id: r, title: R, verdict: release, data: all, to: everyone, for: any" more "}]"
#define RELEASE(more)                                                                                                  \
    "layer: organization\nrules: [{id: r, title: R, verdict: release, data: [a], to: b, for: tpo, " more "}]"
#define CLASS(more) "layer: state\nclasses: [{id: c, title: C, kind: needs-yes" more "}]"

static void each_text_is_taken_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } texts[] = {
        {RULE(""), true},
        {RULE(", then: {notice: yes, label-set: a}, lift: never, lifts: [a], unverified: no, review-by: 2027-01-01"),
            true},
        {RULE(", only-if: {consent: tpo}, unless: [{same-program: yes}, {party: [a, b], purpose: tpo}]"), true},
        {RULE(", onlyif: {consent: tpo}"), false},
        {RULE(", only-if: {}"), false},
        {RULE(", only-if: {consnt: tpo}"), false},
        {RULE(", only-if: {same-program: no}"), false},
        {RULE(", only-if: {purpose: treatmnt}"), false},
        {RULE(", review-by: next year"), false},
        {RULE(", lift: sometimes"), false},
        {RULE(", law: [a]"), false},
        {"layer: organization\nrules: [{id: r, title: R, data: all, to: everyone, for: any}]", false},
        {"layer: organization\nrules: [{id: R, title: R, verdict: hold, data: all, to: everyone, for: any}]", false},
        {"layer: organization\nrules: [{id: r, title: R, verdict: hold, data: [a], to: [b], for: [treatment, HPAYMT]}]",
            true},
        {"layer: organization\nrules: [{id: r, title: R, verdict: hold, data: {all-except: [a]}, to: b, for: tpo}]",
            true},
        {"layer: organization\nrules: [{id: r, title: R, verdict: hold, data: {all-but: [a]}, to: b, for: tpo}]",
            false},
        {"layer: organization\nelement-lists: [{id: l, title: L, others: none, records: [{type: Claim, keep: all}]}]",
            true},
        {"layer: organization\nelement-lists: [{id: l, title: L, others: some, records: []}]", false},
        {"layer: organization\nelement-lists: [{id: l, title: L, others: none, records: [{type: Clam, keep: [a]}]}]",
            false},
        {RELEASE("limit-to: l, change: [zip-to-3], guard: yes, exception: {until: 2027-01-01, by: B, why: W}"), true},
        {RELEASE("change: zip-to-4"), false},
        {RELEASE("exception: {until: 2027-01-01, by: B}"), false},
        {RELEASE("then: {notify: yes, review-within: 30 days}"), true},
        {RELEASE("then: {review-within: 30}"), false},
        {RELEASE("then: {time-box: 1 hour}"), true},
        {RELEASE("then: {time-box: 0 hours}"), false},
        {"layer: county", false},
        {"rules: []", false},
        {CLASS(""), true},
        {CLASS(", labels: [HIV], confidentiality: R, in-text: yes"), true},
        {CLASS(", labels: [HIW]"), false},
        {CLASS(", confidentiality: Z"), false},
        {CLASS(", in-text: perhaps"), false},
        {CLASS(", earned-by: {types: others}"), true},
        {CLASS(", earned-by: {types: [Conditon]}"), false},
        {CLASS(", earned-by: {origin: program, words: [hiv], security-labels: [HIV, {system: s, code: c}]}"), true},
        {CLASS(", earned-by: {origin: programme}"), false},
        {"layer: state\nnotes: [{class: a, folders: [{source: s}], types: [{system: s, code: 81}]}]", true},
        {"layer: state\nnotes: [{class: a, folders: [{source: s, identifiers: t}]}]", false},
        {"layer: organization\nwrites: [{id: w, title: W, to: a, for: tpo, may: create, types: all}]", true},
        {"layer: organization\nwrites: [{id: w, title: W, to: [a], for: [TREAT], may: [create, patch], types: "
         "[Consent], labels: [R, {system: s, code: c}], tags: yes}]",
            false},
        {"layer: organization\nwrites: [{id: w, title: W, to: [a], for: [TREAT], may: [create, patch], types: "
         "[Consent], labels: [R], tags: yes}]",
            true},
        {"layer: organization\nwrites: [{id: w, title: W, to: [a], for: [TREAT], may: [read], types: all}]", false},
        {"layer: organization\nwrites: [{id: w, title: W, to: [a], for: [TREAT], may: create, types: [Observaton]}]",
            false},
        {"layer: organization\nsearches: [{id: s, title: S, to: a, for: any, by: [filter, text, content]}]", true},
        {"layer: organization\nsearches: [{id: s, title: S, to: [a], for: [TREAT], by: [words]}]", false},
        {"layer: state\ninvariants: [{id: i, title: I, never: release, data: all, to: nobody, for: any}]", true},
        {"layer: state\ninvariants: [{id: i, title: I, never: withhold, data: all, to: nobody, for: any}]", false},
        {"layer: state\ninvariants: [{id: i, title: I, never: release, data: all, to: nobody, for: any, unless: "
         "{consent: a, "
         "then: {}}}]",
            false},
        {"title: T\nversion: 1\nnotice: {version: 1, statement: S, short: s}", true},
        {"title: T\nversion: 1\nnotice: {version: 1, statement: S}", false},
        {"title: T\nversion: 1\nnotice: {version: 1, statement: S, short: s}\ndenials-in-emergency: maybe", false},
        {"title: T\nversion: 1\nnotice: {version: 1, statement: S, short: s}\nlayer: state", false},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (text_is_valid(texts[i].text) != texts[i].valid)
            fail_msg("%s: %s", texts[i].valid ? "refused" : "taken", texts[i].text);
}

/* ---- The table ---- */

static void every_word_says_what_it_means_and_how_it_reads(void **state)
{
    (void)state;
    static const char *const told_otherwise[] = {"id", "title", "then", "system", "code", "display", "all-except"};
    for (enum sl_map map = 0; map < SL_MAPS; map++) {
        size_t count;
        const struct sl_word *words = sl_language(map, &count);
        assert_true(count > 0);
        for (size_t i = 0; i < count; i++) {
            bool otherwise =
                map == SL_MAP_SCENARIO || map == SL_MAP_GIVEN || (map == SL_MAP_FILE && words[i].form == SL_FORM_MAPS);
            for (size_t k = 0; k < sizeof told_otherwise / sizeof *told_otherwise; k++)
                otherwise |= strcmp(words[i].key, told_otherwise[k]) == 0;
            if (!words[i].help[0] || (!words[i].reads[0] && !otherwise))
                fail_msg("%s does not say how it reads", words[i].key);
            assert_ptr_equal(sl_language_find(map, sl_slice_of(words[i].key)), &words[i]);
        }
    }
}

/* ---- The rendering: everything shows ---- */

/* What the shipped policy leaves unsaid. */
static const char more[] =
    "layer: organization\n"
    "parties: [{id: every, title: E, roles: [r], kinds: [k], except-kinds: [x], organizations: [o], clients: [c], "
    "networks: [tefca], exchange-purposes: [tefca-treatment], agreements: [x-a], services: [s], agreement-until: "
    "2099-01-01, "
    "relationship: [self, recent-encounter], within-days: 90, vouched-by: [token], emergency: declared}]\n"
    "classes: [{id: own, title: O, kind: only-restricts, in-text: no, confidentiality: L, labels: [MH], earned-by: "
    "{text: "
    "yes, through-visit: no}}]\n"
    "consents: [{id: all-words, title: A, law: L, purposes: [treatment], needs: [form, expiry], "
    "signed-by-others-for: [payment], alone: no, refuses: no, "
    "except-categories: [{system: s, code: c, display: d}], forms: [{categories: [u], policy-rules: [v]}]}]\n"
    "forms: [{id: paper, title: F, counts-as: [all-words], categories: [u], policy-rules: [v], sources: [w], states: "
    "[recipient], "
    "checked-by: C, checked-on: 2026-01-01}]\n"
    "label-sets: [{id: plain, title: P, law: L, labels: [CPLYJPP], confidentiality: R, purpose: no}]\n"
    "element-lists: [{id: few, title: F, law: L, others: none, records: [{type: Patient, keep: [name.family, "
    "birthDate, "
    "active, deceased, link]}]}]\n"
    "rules:\n"
    "  - {id: narrow, title: N, verdict: withhold, data: [chart], to: [every], for: any, limit-to: few, change: "
    "[dates-to-year, no-names], guard: no, exception: {until: 2099-01-01, by: B, why: W}, unless: {emergency: "
    "declared, "
    "limit-to: few, change: ages-over-89, then: {notify: yes, review-within: 30 days, time-box: 4 hours}}}\n"
    "  - {id: full, title: F, law: L, unverified: no, review-by: 2099-01-01, verdict: hold, data: {all-except: "
    "[chart, self-pay]}, to: "
    "[every], for: [treatment, HPAYMT], lift: never, only-if: [{consent: [all-words], purpose: tpo, emergency: "
    "declared, "
    "relationship: [self], party: every, same-program: yes, serves-program: yes, register: court-order, "
    "research-basis: waiver, "
    "self-consented-minor: yes, age-at-service: under-12, source-state: IL, author: yes, kinds: [k], except-kinds: "
    "[x], then: {notice: no, scope: "
    "no, "
    "account: no, emergency-record: no, label-set: plain}}], unless: {consent: all-words}, then: {notice: yes, scope: "
    "yes}}\n"
    "  - {id: second, title: F, verdict: withhold, data: all, to: everyone, for: any}\n"
    "  - {id: third, title: F, verdict: withhold, data: [chart], to: [every], for: any, lifts: [second]}\n"
    "writes:\n"
    "  - {id: pen, title: P, law: L, to: [every], for: [treatment], may: [create, update, patch, delete], types: "
    "[Observation, all], labels: [R, PSY], tags: no}\n"
    "searches:\n"
    "  - {id: glass, title: G, law: L, to: [every], for: [treatment], by: [filter, text, content]}\n"
    "invariants:\n"
    "  - {id: promise, title: I, law: L, never: release, data: [chart], to: [every], for: [research], only-if: "
    "{consent: "
    "all-words, purpose: any, emergency: declared, relationship: self, party: every, same-program: yes, "
    "serves-program: yes, register: "
    "[approval], research-basis: [waiver], "
    "self-consented-minor: yes, age-at-service: [adult], source-state: [IL, unknown], author: yes, kinds: k, "
    "except-kinds: x}, unless: {consent: all-words}}\n";

static const char own[] = "layer: program\nprogram: Organization/p\n";
static const char pack[] = "layer: state\ntitle: A pack\nexample: yes\n";

struct shown {
    struct sl_policy *policy;
    struct sl_buffer whole, other;
    bool seen[SL_MAPS][64];
    size_t changes;
};

/* The rendering, without the digest of the files at its end: it would differ for every comment. */
static void render(const struct shown *s, struct sl_buffer *out)
{
    sl_buffer_clear(out);
    assert_int_equal(sl_policy_render(s->policy, out), SL_OK);
    out->len -= 65;
}

static bool has_changed(struct shown *s)
{
    render(s, &s->other);
    s->changes++;
    return !sl_slice_eq(sl_buffer_slice(&s->whole), sl_buffer_slice(&s->other));
}

static void change_text(struct shown *s, const char *key, struct sl_yaml *at, bool flag)
{
    struct sl_slice kept = at->text;
    bool yes = sl_slice_eq(kept, SL_LIT("yes")) || sl_slice_eq(kept, SL_LIT("true"));
    at->text = !flag ? SL_LIT("changed-word") : yes ? SL_LIT("no") : SL_LIT("yes");
    if (!has_changed(s))
        fail_msg("\"%.*s\" under %s can be changed, and nothing shows it", SL_FMT(kept), key);
    at->text = kept;
}

static void change_each(struct shown *s, enum sl_map map, struct sl_yaml *at);

/* Every value under a key, whatever its form, and that the key is there at all. */
static void change_value(struct shown *s, const struct sl_word *word, struct sl_yaml *at)
{
    bool maps = word->form == SL_FORM_MAP || word->form == SL_FORM_MAPS || word->form == SL_FORM_LINES;
    enum sl_map inner = maps ? (enum sl_map)word->of : word->form == SL_FORM_CODES ? SL_MAP_CODING : SL_MAP_EXCEPT;
    if (at->kind == SL_YAML_SCALAR) {
        change_text(s, word->key, at, word->form == SL_FORM_FLAG);
        return;
    }
    if (at->kind == SL_YAML_MAP) {
        change_each(s, inner, at);
        return;
    }
    for (struct sl_yaml *item = at->first; item; item = item->next)
        change_value(s, word, item);
}

static void change_each(struct shown *s, enum sl_map map, struct sl_yaml *at)
{
    size_t count;
    const struct sl_word *words = sl_language(map, &count);
    for (struct sl_yaml *m = at->first; m; m = m->next) {
        const struct sl_word *word = sl_language_find(map, m->key);
        assert_non_null(word);
        s->seen[map][word - words] = true;
        if (map == SL_MAP_FILE && strcmp(word->key, "scenarios") == 0)
            continue;
        if (word->form != SL_FORM_ONE || word->of != SL_WORDS_YES) /* of which nothing else can be said */
            change_value(s, word, m);
        struct sl_slice key = m->key; /* as if it were not there */
        m->key = SL_LIT("");
        if (!has_changed(s))
            fail_msg("%s can be left out, and nothing shows it", word->key);
        m->key = key;
    }
    (void)count;
}

/* The shipped files, with a state named in policy.yaml, its pack, and what the shipped policy leaves unsaid. */
static size_t with_more(struct sl_arena *arena, const struct sl_policy *shipped, struct sl_policy_file **out)
{
    size_t count;
    const struct sl_policy_file *files = sl_policy_files(shipped, &count);
    struct sl_policy_file *with = sl_arena_array(arena, count + 3, sizeof *with);
    assert_non_null(with);
    memcpy(with, files, count * sizeof *with);
    for (size_t i = 0; i < count; i++)
        if (sl_slice_eq(with[i].path, SL_LIT("policy.yaml")))
            with[i].text = sl_arena_printf(arena, "%.*s\nstates: [XX]\nintermediary: yes\n", SL_FMT(with[i].text));
    with[count] = (struct sl_policy_file){SL_LIT("program/more.yaml"), SL_LIT(more)};
    with[count + 1] = (struct sl_policy_file){SL_LIT("states/XX.yaml"), SL_LIT(pack)};
    with[count + 2] = (struct sl_policy_file){SL_LIT("program/own.yaml"), SL_LIT(own)};
    *out = with;
    return count + 3;
}

static void whatever_a_policy_says_shows(void **state)
{
    (void)state;
    struct sl_issues issues = {.arena = sl_arena_new((size_t)256 << 20)};
    struct sl_policy *shipped = NULL;
    struct shown *s = calloc(1, sizeof *s);
    size_t count;
    assert_non_null(s);
    sl_buffer_init(&s->whole, (size_t)4 << 20);
    sl_buffer_init(&s->other, (size_t)4 << 20);
    assert_int_equal(sl_policy_load(SHIPPED, &issues, &shipped), SL_OK);
    struct sl_policy_file *with = NULL;
    count = with_more(issues.arena, shipped, &with);
    enum sl_status status = sl_policy_load_files(with, count, &issues, &s->policy);
    for (const struct sl_issue *i = issues.first; i && status != SL_OK; i = i->next)
        print_message("%.*s:%zu:%zu %.*s\n", SL_FMT(i->file), i->line, i->column, SL_FMT(i->text));
    assert_int_equal(status, SL_OK);
    render(s, &s->whole);
    change_each(s, SL_MAP_HEAD, (struct sl_yaml *)(uintptr_t)s->policy->head);
    for (size_t i = 0; i < s->policy->source_count; i++)
        change_each(s, SL_MAP_FILE, (struct sl_yaml *)(uintptr_t)s->policy->sources[i].root);
    for (enum sl_map map = 0; map < SL_MAPS; map++) {
        const struct sl_word *words = sl_language(map, &count);
        for (size_t i = 0; i < count && map != SL_MAP_SCENARIO && map != SL_MAP_GIVEN; i++)
            if (!s->seen[map][i])
                fail_msg("no file of this test says %s (map %u)", words[i].key, (unsigned)map);
    }
    assert_true(s->changes > 1000);
    sl_buffer_fini(&s->whole);
    sl_buffer_fini(&s->other);
    sl_policy_unref(s->policy);
    sl_policy_unref(shipped);
    sl_arena_free(issues.arena);
    free(s);
}

static void the_sentences_are_those_of_the_rule(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "\nRule part2-no-proceedings, of the file federal/part2.yaml\n",
        "  It rests on 42 CFR 2.12(d)(1), 2.31(d), 2.61, 2.64, 2.65.\n  It withholds:\n",
        "      - \"SUD counseling notes, kept apart from the record\" (sud-counseling-note)\n    from everyone,\n"
        "  for legal-proceedings (HLEGAL).\n",
        "      - the statement of 42 CFR 2.32 goes out with it\n",
        "  No rule may make it silent.\n",
        "\nParty patient, of the file house/parties.yaml\n",
        "  For that relationship, the word of the token, the registry of clients or the officer's register counts.\n",
        "  It releases:\n    every kind of data, also such as is added later, except:\n",
    };
    struct sl_issues issues = {.arena = sl_arena_new((size_t)64 << 20)};
    struct sl_policy *policy = NULL;
    struct sl_buffer out;
    sl_buffer_init(&out, (size_t)4 << 20);
    assert_int_equal(sl_policy_load(SHIPPED, &issues, &policy), SL_OK);
    assert_int_equal(sl_policy_render(policy, &out), SL_OK);
    sl_buffer_add(&out, (struct sl_slice){"", 1});
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(out.ptr, lines[i]))
            fail_msg("nowhere: %s", lines[i]);
    sl_buffer_fini(&out);
    sl_policy_unref(policy);
    sl_arena_free(issues.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_committed_schema_is_that_of_the_language),
        cmocka_unit_test(the_shipped_files_are_valid),
        cmocka_unit_test(each_text_is_taken_or_refused),
        cmocka_unit_test(every_word_says_what_it_means_and_how_it_reads),
        cmocka_unit_test(whatever_a_policy_says_shows),
        cmocka_unit_test(the_sentences_are_those_of_the_rule),
    };
    return cmocka_run_group_tests(tests, load_schema, free_schema);
}
