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
    {"Practitioner/a", SL_SOURCE_PROGRAM, SL_OK}, /* one who works only there */
    {"Endpoint/a", SL_SOURCE_PROGRAM, SL_OK},
    {"RelatedPerson/a", SL_SOURCE_PROGRAM, SL_INVALID},
    {"Nonsense/a", SL_SOURCE_PROGRAM, SL_INVALID},
    {"Organization/", SL_SOURCE_PROGRAM, SL_INVALID},
    {"Organization/a b", SL_SOURCE_PROGRAM, SL_INVALID},
    {"", SL_SOURCE_PROGRAM, SL_INVALID},
    {"a b", SL_SOURCE_PROGRAM, SL_INVALID},
    {"Organization/a/_history/1", SL_SOURCE_PROGRAM, SL_INVALID},
    {"f", SL_SOURCE_UNKNOWN, SL_INVALID},
};

/* As the labeller asks, of any time. */
static bool by_name(const struct sl_programs *p, sl_r4_node type, struct sl_slice id, enum sl_source *out)
{
    struct sl_standing standing = sl_standing_none();
    sl_programs_by_name(p, type, id, &standing);
    *out = sl_during_is(standing.reach.program) ? SL_SOURCE_PROGRAM
           : sl_during_is(standing.reach.none)  ? SL_SOURCE_NOT
                                                : SL_SOURCE_UNKNOWN;
    return standing.named;
}

static bool by_uri(const struct sl_programs *p, struct sl_slice uri, enum sl_source *out)
{
    struct sl_standing standing = sl_standing_none();
    sl_programs_by_uri(p, uri, &standing);
    *out = sl_during_is(standing.reach.program) ? SL_SOURCE_PROGRAM
           : sl_during_is(standing.reach.none)  ? SL_SOURCE_NOT
                                                : SL_SOURCE_UNKNOWN;
    return standing.named;
}

static void what_is_added_is_named(void **state)
{
    (void)state;
    struct sl_programs *p = sl_programs_new(true);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (sl_programs_add(p, sl_slice_of(names[i].text), names[i].source) != names[i].status)
            fail_msg("%s", names[i].text);
    enum sl_source source = SL_SOURCE_UNKNOWN;
    assert_true(by_name(p, SL_R4_Organization, SL_LIT("a"), &source) && source == SL_SOURCE_PROGRAM);
    assert_false(by_name(p, SL_R4_Location, SL_LIT("a"), &source)); /* another type of the same id */
    assert_true(by_name(p, SL_R4_HealthcareService, SL_LIT("c"), &source) && source == SL_SOURCE_NOT);
    assert_true(by_name(p, SL_R4_Location, SL_LIT("e.1-2"), &source) && source == SL_SOURCE_PROGRAM);
    assert_false(by_name(
        p, SL_R4_Practitioner, SL_LIT("e.1-2"), &source)); /* a bare id is of a source, not of a person */
    assert_false(by_name(p, SL_R4_Organization, SL_LIT("f"), &source));
    assert_false(by_name(p, SL_R4_Organization, SL_LIT(""), &source));
    assert_true(
        by_uri(p, SL_LIT("http://ehr.example.org/detox#123"), &source) && source == SL_SOURCE_PROGRAM);
    assert_true(by_uri(p, SL_LIT("urn:uuid:1"), &source) && source == SL_SOURCE_NOT);
    assert_false(by_uri(p, SL_LIT("http://ehr.example.org/detoxification"), &source));
    assert_false(by_uri(p, SL_LIT(""), &source));
    assert_true(sl_programs_closed(p));
    assert_false(by_name(NULL, SL_R4_Organization, SL_LIT("a"), &source));
    assert_false(sl_programs_closed(NULL));
    struct sl_programs *second = sl_programs_ref(p);
    sl_programs_unref(p);
    assert_true(by_name(second, SL_R4_Organization, SL_LIT("a"), &source));
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
        bool named = by_name(p, SL_R4_Organization, sl_slice_of(text), &source);
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
        {"programs:\n  - source: [Organization/a, Location/b]\n    is: program\n    identifiers:\n"
         "      - npi: '1234567893'\n      - oid: 2.16.840.1.113883.19\n      - {system: urn:x, value: v}\n"
         "    known-as: [Harbor Recovery]\n"
         "    from: 2020-02\n    until: 2021\n    holds-as: covered-entity-under-tpo\n",
            0, false},
        {"programs:\n  - {source: a, is: not, until: 2019}\n  - {source: a, is: program, from: 2020}\n", 0, false},
        {"programs:\n  - {source: a, is: not, until: 2020}\n  - {source: a, is: program, from: 2020}\n", 3, false},
        {"programs:\n  - {source: a, is: program}\n  - {source: a, is: program, holds-as: lawful-holder}\n", 3, false},
        {"programs:\n  - {source: a, is: unknown}\nothers: not\n", 0, true},
        {"programs:\n  - {is: program, known-as: [Harbor Recovery]}\n", 0, false},
        {"programs:\n  - {is: program, known-as: [ab]}\n", 2, false},
        {"programs:\n  - {is: not, known-as: [Lakeside Primary]}\n", 2, false},
        {"programs:\n  - {is: program, identifiers: [{npi: '1234567890'}]}\n", 2, false},
        {"programs:\n  - {is: program, identifiers: [{oid: 2..1}]}\n", 2, false},
        {"programs:\n  - {is: program, identifiers: [{npi: '1234567893', value: x}]}\n", 2, false},
        {"programs:\n  - {is: program, identifiers: [{system: x}]}\n", 2, false},
        {"programs:\n  - {is: program, type: Practitioner, identifiers: [{npi: '1234567893'}]}\n", 0, false},
        {"programs:\n  - {is: program, type: Patient, identifiers: [{npi: '1234567893'}]}\n", 2, false},
        {"programs:\n  - {source: a, is: program, type: Practitioner}\n", 2, false},
        {"programs:\n  - {source: a, is: program, from: 2020-13-01}\n", 2, false},
        {"programs:\n  - {source: a, is: program, from: '2020-01-01T00:00:00Z'}\n", 2, false},
        {"programs:\n  - {source: a, is: program, from: 2021, until: 2020}\n", 2, false},
        {"programs:\n  - {source: a, is: not, holds-as: lawful-holder}\n", 2, false},
        {"programs:\n  - {source: a, is: program, holds-as: somebody}\n", 2, false},
        {"servers: ['https://ehr.example.org/fhir/']\nprograms: []\n", 0, false},
        {"servers: [ehr.example.org]\nprograms: []\n", 1, false},
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

/* ---- Identifiers, words, servers ---- */

static struct sl_programs *loaded(const char *text)
{
    char path[] = "programs_test_XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    close(file);
    struct sl_programs *p = NULL;
    assert_int_equal(sl_programs_load(path, NULL, &p), SL_OK);
    unlink(path);
    return p;
}

static void identifiers(void **state)
{
    (void)state;
    static const struct {
        enum sl_identified of;
        const char *system, *value;
        bool named;
    } cases[] = {
        {SL_IDENTIFIED_SOURCE, "http://hl7.org/fhir/sid/us-npi", "1234567893", true},
        {SL_IDENTIFIED_ANY, "urn:oid:2.16.840.1.113883.4.6", "1234567893", true},
        {SL_IDENTIFIED_SOURCE, "http://hl7.org/fhir/sid/us-npi", "1245319599", false}, /* a person's */
        {SL_IDENTIFIED_PERSON, "http://hl7.org/fhir/sid/us-npi", "1245319599", true},
        {SL_IDENTIFIED_ANY, "https://hl7.org/fhir/sid/us-npi", " 1245319599 ", true},
        {SL_IDENTIFIED_PERSON, "http://hl7.org/fhir/sid/us-npi", "1234567893", false},
        {SL_IDENTIFIED_SOURCE, "urn:ietf:rfc3986", "urn:oid:2.16.840.1.113883.19", true},
        {SL_IDENTIFIED_SOURCE, "urn:ietf:rfc3986", "2.16.840.1.113883.19.1", false},
        {SL_IDENTIFIED_SOURCE, "http://example.org/units/", "detox", true},
        {SL_IDENTIFIED_SOURCE, "http://example.org/units", "Detox", false},
        {SL_IDENTIFIED_SOURCE, "http://example.org/other", "detox", false},
        {SL_IDENTIFIED_ANY, "", "detox", false},
        {SL_IDENTIFIED_ANY, "http://example.org/units", "", false},
    };
    struct sl_programs *p = loaded("programs:\n  - is: program\n    identifiers:\n      - npi: '1234567893'\n"
                                   "      - oid: 2.16.840.1.113883.19\n"
                                   "      - {system: 'http://example.org/units', value: detox}\n"
                                   "  - {is: program, type: Practitioner, identifiers: [{npi: '1245319599'}]}\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_standing standing = sl_standing_none();
        sl_programs_by_identifier(
            p, cases[i].of, sl_slice_of(cases[i].system), sl_slice_of(cases[i].value), &standing);
        if (standing.named != cases[i].named)
            fail_msg("%s|%s", cases[i].system, cases[i].value);
    }
    assert_true(sl_programs_has_identifiers(p) && sl_programs_has_persons(p) && !sl_programs_has_words(p));
    sl_programs_unref(p);
}

static void words(void **state)
{
    (void)state;
    static const struct {
        const char *text, *program;
    } cases[] = {
        {"Harbor Recovery Center", "Organization/harbor"},
        {"HARBOR  RECOVERY, center", "Organization/harbor"},
        {"Dr. Ifeoma Okafor (Harbor-Recovery Center)", "Organization/harbor"},
        {"Harbor Recovery Centers", ""},
        {"Boston Harbor Recovery", ""},
        {"Harbor", ""},
        {"Harbor House", "Organization/house"},
        {"Old Harbor House", "Organization/house"},
        {"", ""},
        {"   ", ""},
    };
    struct sl_programs *p = loaded("programs:\n  - source: Organization/harbor\n    is: program\n    known-as: [Harbor "
                                   "Recovery Center]\n  - {source: Organization/house, is: program, known-as: [Harbor "
                                   "House]}\n");
    struct sl_arena *arena = sl_arena_new(1 << 20);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_standing standing = sl_standing_none();
        sl_programs_by_words(p, sl_slice_of(cases[i].text), arena, &standing);
        if (!sl_slice_eq(standing.program, sl_slice_of(cases[i].program)))
            fail_msg("%s: %.*s", cases[i].text, SL_FMT(standing.program));
    }
    sl_arena_free(arena);
    sl_programs_unref(p);
}

static void servers(void **state)
{
    (void)state;
    struct sl_programs *p = loaded("servers: ['https://ehr.example.org/fhir/']\nprograms: []\n");
    assert_true(sl_programs_is_ours(p, SL_LIT("https://ehr.example.org/fhir")));
    assert_false(sl_programs_is_ours(p, SL_LIT("https://ehr.example.org")));
    assert_false(sl_programs_is_ours(p, SL_LIT("https://ehr.example.org/fhir2")));
    assert_false(sl_programs_is_ours(p, SL_LIT("")));
    assert_false(sl_programs_is_ours(NULL, SL_LIT("https://ehr.example.org/fhir")));
    sl_programs_unref(p);
}

static void times(void **state)
{
    (void)state;
    struct sl_during d = {10, 20};
    assert_false(sl_during_join(&d, (struct sl_during){12, 18}));
    assert_true(sl_during_join(&d, (struct sl_during){30, 40}));
    assert_true(d.begin == 10 && d.end == 40); /* over the gap: a program's time is never shorter than it is */
    d = (struct sl_during){10, 20};
    sl_during_join_near(&d, (struct sl_during){20, 25});
    assert_true(d.begin == 10 && d.end == 25);
    sl_during_join_near(&d, (struct sl_during){30, 32});
    assert_true(d.begin == 10 && d.end == 25); /* not over the gap: what is no program's is never longer */
    sl_during_join_near(&d, SL_ALWAYS);
    assert_true(sl_during_within(SL_ALWAYS, d));
    d = sl_during_less(SL_ALWAYS, (struct sl_during){10, INT64_MAX});
    assert_true(d.begin == INT64_MIN && d.end == 10);
    d = sl_during_less(d, (struct sl_during){INT64_MIN, 5});
    assert_true(d.begin == 5 && d.end == 10);
    d = sl_during_less(d, (struct sl_during){6, 7});
    assert_true(d.begin == 5 && d.end == 10); /* two stretches would be left */
    assert_false(sl_during_is(sl_during_less(d, SL_ALWAYS)));
    assert_false(sl_during_meets((struct sl_during){1, 2}, (struct sl_during){2, 3}));
    assert_false(sl_during_meets((struct sl_during){0, 0}, SL_ALWAYS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_added_is_named), cmocka_unit_test(many), cmocka_unit_test(files),
        cmocka_unit_test(identifiers), cmocka_unit_test(words), cmocka_unit_test(servers), cmocka_unit_test(times)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
