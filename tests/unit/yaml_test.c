/* SPDX-License-Identifier: Apache-2.0 */
/* The strict YAML reader: what it reads, and where and why it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sluice/yaml.h"

struct fixture {
    struct sl_arena *arena;
    struct sl_issues issues;
    struct sl_yaml_source source;
};

static void begin(struct fixture *f)
{
    *f = (struct fixture){.arena = sl_arena_new((size_t)64 << 20)};
    assert_non_null(f->arena);
    f->issues.arena = f->arena;
    f->source = (struct sl_yaml_source){f->arena, &f->issues, SL_LIT("t.yaml")};
}

static const struct sl_yaml *parse(struct fixture *f, const char *text)
{
    const struct sl_yaml *root = NULL;
    assert_int_equal(sl_yaml_parse(&f->source, sl_slice_of(text), &root), SL_OK);
    assert_non_null(root);
    assert_int_equal(f->issues.count, 0);
    return root;
}

static void assert_text(struct sl_slice got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.ptr, want, got.len);
}

static void reads_maps_lists_and_text(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    const struct sl_yaml *root =
        parse(&f, "layer: federal # a remark\nrules:\n  - id: a\n    to: [x, \"y z\"]\n  - id: b\n");
    assert_int_equal(root->kind, SL_YAML_MAP);
    assert_int_equal(root->count, 2);
    assert_text(root->first->key, "layer");
    assert_text(root->first->text, "federal");
    const struct sl_yaml *rules = sl_yaml_get(root, "rules");
    assert_int_equal(rules->kind, SL_YAML_LIST);
    assert_int_equal(rules->count, 2);
    const struct sl_yaml *to = sl_yaml_get(rules->first, "to");
    assert_int_equal(to->count, 2);
    assert_int_equal(to->line, 4);
    assert_int_equal(to->column, 9);
    assert_int_equal(to->key_column, 5);
    assert_text(to->last->text, "y z");
    assert_text(sl_yaml_get(rules->last, "id")->text, "b");
    assert_null(sl_yaml_get(rules->last, "to"));
    assert_null(sl_yaml_get(NULL, "to"));
    sl_arena_free(f.arena);
}

static void every_scalar_is_a_string(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    const struct sl_yaml *root =
        parse(&f, "a: no\nb: 1.10\nc: null\nd: 2026-01-01\ne: |\n  two\n  lines\nf: >\n  one\n  line\ng:\n");
    static const char *const want[] = {"no", "1.10", "null", "2026-01-01", "two\nlines\n", "one line\n", ""};
    size_t i = 0;
    for (const struct sl_yaml *n = root->first; n; n = n->next, i++) {
        assert_int_equal(n->kind, SL_YAML_SCALAR);
        assert_text(n->text, want[i]);
    }
    assert_int_equal(i, 7);
    sl_arena_free(f.arena);
}

static void json_is_accepted(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    const struct sl_yaml *root = parse(&f, "{\"a\":[1,true,{\"b\":\"\\u00e9\\/\\t\"}],\n \"c\" : {}}");
    assert_int_equal(sl_yaml_get(root, "a")->count, 3);
    assert_text(sl_yaml_get(sl_yaml_get(root, "a")->last, "b")->text, "\xc3\xa9/\t");
    assert_int_equal(sl_yaml_get(root, "c")->kind, SL_YAML_MAP);
    sl_arena_free(f.arena);
}

static void refuses_what_the_subset_lacks(void **state)
{
    (void)state;
    static const struct {
        const char *text, *code;
        size_t line, column;
    } cases[] = {
        {"", "yaml-empty", 1, 1},
        {"# only a remark\n", "yaml-empty", 1, 1},
        {"a: &x 1\n", "yaml-anchor", 1, 4},
        {"a: 1\nb: &x [1]\n", "yaml-anchor", 2, 4},
        {"a: &x {b: 1}\n", "yaml-anchor", 1, 4},
        {"a: 1\nb: *a\n", "yaml-anchor", 2, 4},
        {"a: !!str 1\n", "yaml-tag", 1, 4},
        {"a: ! 1\n", "yaml-tag", 1, 4},
        {"a: !x [1]\n", "yaml-tag", 1, 4},
        {"%YAML 1.1\n---\na: 1\n", "yaml-directive", 1, 1},
        {"%TAG ! tag:x,2000:\n---\na: 1\n", "yaml-directive", 1, 1},
        {"a: 1\n---\nb: 1\n", "yaml-documents", 2, 1},
        {"a: 1\n...\n--- \n", "yaml-documents", 3, 1},
        {"a:\t1\n", "yaml-tab", 1, 3},
        {"\xc3\xa9: 1\n\tb: 1\n", "yaml-tab", 2, 1},
        {"<<: {a: 1}\n", "yaml-merge", 1, 1},
        {"? [a]\n: 1\n", "yaml-key", 1, 3},
        {"? {a: 1}\n: 1\n", "yaml-key", 1, 3},
        {"\"\": 1\n", "yaml-key", 1, 1},
        {"a: 1\nb: 2\na: 3\n", "duplicate-key", 3, 1},
        {"x: {a: 1, b: 2, \"a\": 3}\n", "duplicate-key", 1, 17},
        {"a: 1\n b: 2\n", "yaml-syntax", 2, 3},
        {"a: [1, 2\n", "yaml-syntax", 2, 1},
        {"a: \"x\n", "yaml-syntax", 2, 1},
        {"a: \xff\xfe\n", "yaml-syntax", 1, 4},
        {"a: b\n\xc3\xa9: \xff\xfe\n", "yaml-syntax", 2, 4},
        {"a: \"\\0\"\n", "yaml-syntax", 1, 4},
        {"@: 1\n", "yaml-syntax", 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        begin(&f);
        const struct sl_yaml *root = NULL;
        if (sl_yaml_parse(&f.source, sl_slice_of(cases[i].text), &root) != SL_SYNTAX)
            fail_msg("case %zu was accepted", i);
        assert_null(root);
        assert_int_equal(f.issues.count, 1);
        assert_int_equal(f.issues.errors, 1);
        if (!sl_slice_eq(f.issues.first->code, sl_slice_of(cases[i].code)) || f.issues.first->line != cases[i].line ||
            f.issues.first->column != cases[i].column)
            fail_msg("case %zu: %.*s at %zu:%zu", i, SL_FMT(f.issues.first->code), f.issues.first->line,
                f.issues.first->column);
        assert_text(f.issues.first->file, "t.yaml");
        sl_arena_free(f.arena);
    }
}

/* `count` times `unit`, after `head`; caller frees. */
static char *repeat(const char *head, const char *unit, size_t count)
{
    size_t h = strlen(head), u = strlen(unit);
    char *text = malloc(h + u * count + 1);
    assert_non_null(text);
    memcpy(text, head, h);
    for (size_t i = 0; i < count; i++)
        memcpy(text + h + i * u, unit, u);
    text[h + u * count] = '\0';
    return text;
}

static void limits_hold(void **state)
{
    (void)state;
    static const struct {
        const char *head, *unit;
        size_t count;
        enum sl_status status;
        const char *code;
    } cases[] = {
        {"a: ", "[", SL_YAML_DEPTH + 1, SL_SYNTAX, "yaml-limit"},
        {"a: ", "[", 100000, SL_SYNTAX, "yaml-limit"},
        {"a: [", "1,", SL_YAML_NODES + 1, SL_SYNTAX, "yaml-limit"},
        {"a: ", "x", SL_YAML_BYTES, SL_LIMIT, "yaml-limit"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        begin(&f);
        char *text = repeat(cases[i].head, cases[i].unit, cases[i].count);
        const struct sl_yaml *root = NULL;
        assert_int_equal(sl_yaml_parse(&f.source, sl_slice_of(text), &root), cases[i].status);
        assert_null(root);
        assert_text(f.issues.first->code, cases[i].code);
        free(text);
        sl_arena_free(f.arena);
    }
}

static void memory_that_runs_out_is_an_error(void **state)
{
    (void)state;
    static const char text[] = "a: [1, 2, {b: c}]\nd: e\n";
    for (size_t ceiling = 0;; ceiling += 16) {
        struct sl_arena *arena = sl_arena_new(ceiling);
        struct sl_yaml_source source = {arena, NULL, SL_LIT("t")};
        const struct sl_yaml *root = NULL;
        enum sl_status status = sl_yaml_parse(&source, SL_LIT(text), &root);
        sl_arena_free(arena);
        if (status == SL_OK) {
            assert_true(ceiling > 500);
            return;
        }
        assert_int_equal(status, SL_NO_MEMORY);
        assert_null(root);
    }
}

static void helpers_say_what_is_wrong(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    const struct sl_yaml *root = parse(&f, "titel: x\nlist: [a]\nflag: maybe\nnumber: 70\nempty:\nyes: yes\n");
    static const char *const words[] = {"title", "list", "flag", "number", "empty", "yes", NULL};
    assert_false(sl_yaml_check_keys(&f.source, root, words));
    assert_text(f.issues.last->code, "unknown-key");
    assert_text(f.issues.last->fix, "Did you mean \"title\"?");
    assert_int_equal(f.issues.last->line, 1);
    assert_int_equal(sl_yaml_text(&f.source, sl_yaml_get(root, "list")).len, 0);
    assert_text(f.issues.last->code, "expected-text");
    assert_int_equal(f.issues.last->line, 2);
    assert_int_equal(f.issues.last->column, 7);
    assert_int_equal(sl_yaml_text(&f.source, sl_yaml_get(root, "empty")).len, 0);
    assert_int_equal(f.issues.last->line, 5);
    assert_null(sl_yaml_list(&f.source, sl_yaml_get(root, "flag")));
    assert_text(f.issues.last->code, "expected-list");
    assert_null(sl_yaml_map(&f.source, sl_yaml_get(root, "flag")));
    assert_text(f.issues.last->code, "expected-map");
    assert_true(sl_yaml_flag(&f.source, sl_yaml_get(root, "flag"), true));
    assert_text(f.issues.last->code, "expected-yes-no");
    assert_int_equal(sl_yaml_number(&f.source, sl_yaml_get(root, "number"), 1, 64, 8), 8);
    assert_text(f.issues.last->code, "expected-number");
    assert_null(sl_yaml_require(&f.source, root, "id"));
    assert_text(f.issues.last->code, "missing-key");
    size_t before = f.issues.count;
    assert_int_equal(sl_yaml_number(&f.source, sl_yaml_get(root, "number"), 1, 70, 8), 70);
    assert_true(sl_yaml_flag(&f.source, sl_yaml_get(root, "yes"), false));
    assert_false(sl_yaml_flag(&f.source, NULL, false));
    assert_null(sl_yaml_list(&f.source, NULL));
    assert_int_equal(f.issues.count, before);
    sl_arena_free(f.arena);
}

static void dates_are_days_of_the_calendar(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want;
    } cases[] = {{"a: 2026-06-01", 1780272000}, {"a: '1971-01-01'", 31536000}, {"a: 2024-02-29", 1709164800},
        {"a: 2026-02-29", 0}, {"a: 2026-13-01", 0}, {"a: 2026-00-10", 0}, {"a: 2026-06-31", 0}, {"a: 2026-6-1", 0},
        {"a: 2026-06-01T00:00:00Z", 0}, {"a: 20260601", 0}, {"a: 2026-+1-01", 0}, {"a: 1970-01-01", 0}, {"a: [x]", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        begin(&f);
        const struct sl_yaml *root = parse(&f, cases[i].text);
        if (sl_yaml_date(&f.source, root->first) != cases[i].want || (f.issues.errors == 0) != (cases[i].want != 0))
            fail_msg("%s", cases[i].text);
        assert_int_equal(sl_yaml_date(&f.source, NULL), 0);
        sl_arena_free(f.arena);
    }
}

static void numbers_are_digits_in_range(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t want;
    } cases[] = {{"a: 0", 0}, {"a: 18446744073709551615", UINT64_MAX}, {"a: 18446744073709551616", 7}, {"a: -1", 7},
        {"a: +1", 7}, {"a: 1e3", 7}, {"a: 0x10", 7}, {"a: ''", 7}, {"a: [1]", 7}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        begin(&f);
        const struct sl_yaml *root = parse(&f, cases[i].text);
        assert_true(sl_yaml_number(&f.source, root->first, 0, UINT64_MAX, 7) == cases[i].want);
        sl_arena_free(f.arena);
    }
}

static void nearest_word_is_near(void **state)
{
    (void)state;
    static const struct sl_slice words[] = {{"release", 7}, {"withhold", 8}, {"hold", 4}, {"to", 2}};
    static const struct {
        const char *word, *want;
    } cases[] = {{"relase", "release"}, {"withold", "withhold"}, {"hodl", "hold"}, {"holdd", "hold"}, {"t", "to"},
        {"HOLD", "hold"}, {"Relase", "release"}, {"banana", ""}, {"", ""}, {"ab", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_text(sl_nearest_word(sl_slice_of(cases[i].word), words, 4), cases[i].want);
}

static void a_file_that_is_not_there_is_said_so(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    const struct sl_yaml *root = NULL;
    assert_int_equal(sl_yaml_load(&f.source, SLUICE_SOURCE "/no-such-file.yaml", &root), SL_MISSING);
    assert_text(f.issues.first->code, "unreadable-file");
    struct sl_slice text;
    assert_int_equal(sl_file_read(f.arena, SLUICE_SOURCE "/CMakeLists.txt", 10, &text), SL_LIMIT);
    assert_int_equal(sl_file_read(f.arena, SLUICE_SOURCE "/CMakeLists.txt", 1 << 20, &text), SL_OK);
    assert_true(text.len > 100 && text.ptr[text.len] == '\0');
    sl_arena_free(f.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_maps_lists_and_text),
        cmocka_unit_test(every_scalar_is_a_string),
        cmocka_unit_test(json_is_accepted),
        cmocka_unit_test(refuses_what_the_subset_lacks),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
        cmocka_unit_test(helpers_say_what_is_wrong),
        cmocka_unit_test(numbers_are_digits_in_range),
        cmocka_unit_test(dates_are_days_of_the_calendar),
        cmocka_unit_test(nearest_word_is_near),
        cmocka_unit_test(a_file_that_is_not_there_is_said_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
