/* SPDX-License-Identifier: Apache-2.0 */
/* The table of sources: what may be named, what it then says, and what a file may not say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "programs.h"

static const struct {
    const char *text;
    enum sl_source source;
    enum sl_status status;
} names[] = {
    {"Organization/a", SL_SOURCE_PROGRAM, SL_OK},
    {"Location/b", SL_SOURCE_PROGRAM, SL_OK},
    {"HealthcareService/c", SL_SOURCE_NOT, SL_OK},
    {"PractitionerRole/d", SL_SOURCE_PROGRAM, SL_OK},
    {"e.1-2", SL_SOURCE_PROGRAM, SL_OK},
    {"http://ehr.example.org/detox", SL_SOURCE_PROGRAM, SL_OK},
    {"urn:uuid:1", SL_SOURCE_NOT, SL_OK},
    {"Organization/a", SL_SOURCE_PROGRAM, SL_OK}, /* again */
    {"Organization/a", SL_SOURCE_NOT, SL_EXISTS}, /* and otherwise */
    {"Patient/a", SL_SOURCE_PROGRAM, SL_INVALID},
    {"Practitioner/a", SL_SOURCE_PROGRAM, SL_INVALID},
    {"Nonsense/a", SL_SOURCE_PROGRAM, SL_INVALID},
    {"Organization/", SL_SOURCE_PROGRAM, SL_INVALID},
    {"Organization/a b", SL_SOURCE_PROGRAM, SL_INVALID},
    {"", SL_SOURCE_PROGRAM, SL_INVALID},
    {"a b", SL_SOURCE_PROGRAM, SL_INVALID},
    {"Organization/a/_history/1", SL_SOURCE_PROGRAM, SL_INVALID},
    {"f", SL_SOURCE_UNKNOWN, SL_INVALID},
};

static void what_is_added_is_named(void **state)
{
    (void)state;
    struct sl_programs *p = sl_programs_new(true);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (sl_programs_add(p, sl_slice_of(names[i].text), names[i].source) != names[i].status)
            fail_msg("%s", names[i].text);
    enum sl_source source = SL_SOURCE_UNKNOWN;
    assert_true(sl_programs_names(p, SL_R4_Organization, SL_LIT("a"), &source) && source == SL_SOURCE_PROGRAM);
    assert_false(sl_programs_names(p, SL_R4_Location, SL_LIT("a"), &source)); /* another type of the same id */
    assert_true(sl_programs_names(p, SL_R4_HealthcareService, SL_LIT("c"), &source) && source == SL_SOURCE_NOT);
    assert_true(sl_programs_names(p, SL_R4_Location, SL_LIT("e.1-2"), &source) && source == SL_SOURCE_PROGRAM);
    assert_false(sl_programs_names(
        p, SL_R4_Practitioner, SL_LIT("e.1-2"), &source)); /* a bare id is of a source, not of a person */
    assert_false(sl_programs_names(p, SL_R4_Organization, SL_LIT("f"), &source));
    assert_false(sl_programs_names(p, SL_R4_Organization, SL_LIT(""), &source));
    assert_true(
        sl_programs_names_uri(p, SL_LIT("http://ehr.example.org/detox#123"), &source) && source == SL_SOURCE_PROGRAM);
    assert_true(sl_programs_names_uri(p, SL_LIT("urn:uuid:1"), &source) && source == SL_SOURCE_NOT);
    assert_false(sl_programs_names_uri(p, SL_LIT("http://ehr.example.org/detoxification"), &source));
    assert_false(sl_programs_names_uri(p, SL_LIT(""), &source));
    assert_true(sl_programs_closed(p));
    assert_false(sl_programs_names(NULL, SL_R4_Organization, SL_LIT("a"), &source));
    assert_false(sl_programs_closed(NULL));
    struct sl_programs *second = sl_programs_ref(p);
    sl_programs_unref(p);
    assert_true(sl_programs_names(second, SL_R4_Organization, SL_LIT("a"), &source));
    sl_programs_unref(second);
    sl_programs_unref(NULL);
}

static void many(void **state)
{
    (void)state;
    struct sl_programs *p = sl_programs_new(false);
    char text[64];
    enum sl_source source;
    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof text, "Organization/org-%d", i);
        assert_int_equal(sl_programs_add(p, sl_slice_of(text), i % 3 ? SL_SOURCE_NOT : SL_SOURCE_PROGRAM), SL_OK);
    }
    for (int i = 0; i < 6000; i++) {
        snprintf(text, sizeof text, "org-%d", i);
        bool named = sl_programs_names(p, SL_R4_Organization, sl_slice_of(text), &source);
        assert_true(named == (i < 5000));
        assert_true(!named || source == (i % 3 ? SL_SOURCE_NOT : SL_SOURCE_PROGRAM));
    }
    sl_programs_unref(p);
}

static void files(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t line; /* of the first issue; 0: none */
        bool closed;
    } cases[] = {
        {"programs:\n  - source: Organization/a\n    is: program\n    title: The clinic\n  - source: urn:x:y\n    is: "
         "not\nothers: not\n",
            0, true},
        {"programs:\n  - {source: a, is: program}\nothers: unknown\n", 0, false},
        {"programs:\n  - {source: a, is: program}\n", 0, false},
        {"programs:\n  - {source: a, is: perhaps}\n", 2, false},
        {"programs:\n  - {source: Patient/a, is: program}\n", 2, false},
        {"programs:\n  - {source: a, is: program}\n  - {source: a, is: not}\n", 3, false},
        {"programs:\n  - {source: a}\n", 2, false},
        {"programs:\n  - {is: program}\n", 2, false},
        {"programs:\n  - {source: a, is: program, sort: b}\n", 2, false},
        {"programs:\n  - {source: a, is: program}\nothers: maybe\n", 3, false},
        {"programme:\n  - {source: a, is: program}\n", 1, false},
        {"others: not\n", 1, false},
        {"programs: [\n", 2, false},
        {"", 1, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[] = "programs_test_XXXXXX";
        int file = mkstemp(path);
        assert_true(file >= 0);
        assert_int_equal(write(file, cases[i].text, strlen(cases[i].text)), (ssize_t)strlen(cases[i].text));
        close(file);
        struct sl_arena *arena = sl_arena_new(1 << 20);
        struct sl_issues issues = {.arena = arena};
        struct sl_programs *p = NULL;
        enum sl_status status = sl_programs_load(path, &issues, &p);
        unlink(path);
        if ((status == SL_OK) != (cases[i].line == 0) || (status == SL_OK) != (p != NULL))
            fail_msg("case %zu: %s", i, sl_status_name(status));
        if (cases[i].line && (!issues.first || issues.first->line != cases[i].line))
            fail_msg("case %zu: line %zu", i, issues.first ? issues.first->line : 0);
        assert_true(sl_programs_closed(p) == cases[i].closed);
        sl_programs_unref(p);
        sl_arena_free(arena);
    }
    struct sl_programs *p = NULL;
    assert_int_equal(sl_programs_load("/nonexistent/programs.yaml", NULL, &p), SL_MISSING);
    assert_null(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_added_is_named), cmocka_unit_test(many), cmocka_unit_test(files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
