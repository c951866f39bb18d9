/* SPDX-License-Identifier: Apache-2.0 */
/* The closer look at a policy: each finding with a file that has it and one that has not; citations; agreements that
 * end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "policy_review.h"

#define NOW 1780272000 /* 2026-06-01 */

static const char base[] =
    "layer: organization\n"
    "parties:\n"
    "  - {id: physician, title: P, roles: [physician]}\n"
    "  - {id: nurse, title: N, roles: [nurse]}\n"
    "  - {id: plan, title: P, kinds: [payer], except-kinds: [broker]}\n"
    "classes:\n"
    "  - {id: chart, title: C, kind: needs-yes, earned-by: {types: others}}\n"
    "  - {id: words, title: W, kind: only-restricts, labels: [MH], earned-by: {text: yes}}\n"
    "consents:\n"
    "  - {id: tpo, title: C, forms: [{policy-rules: [u]}]}\n"
    "  - {id: other, title: C, forms: [{policy-rules: [v]}]}\n"
    "label-sets:\n"
    "  - {id: marks, title: M, labels: [CPLYJPP]}\n"
    "rules:\n"
    "  - {id: care, title: R, verdict: release, data: [chart], to: [physician, nurse], for: [treatment]}\n"
    "  - {id: bills, title: R, verdict: release, data: [chart], to: [plan], for: [payment]}\n";

struct fixture {
    struct sl_issues issues;
    struct sl_policy *policy;
};

static void load(struct fixture *f, const char *more)
{
    char text[8192];
    *f = (struct fixture){.issues = {.arena = sl_arena_new((size_t)64 << 20)}};
    assert_non_null(f->issues.arena);
    snprintf(text, sizeof text, "layer: organization\n%s", more);
    const struct sl_policy_file files[] = {
        {SL_LIT("policy.yaml"),
            SL_LIT("title: T\nversion: \"1\"\nnotice: {version: \"1\", statement: S., short: s.}\n")},
        {SL_LIT("house/b.yaml"), SL_LIT(base)},
        {SL_LIT("house/c.yaml"), sl_slice_of(text)},
        {SL_LIT("terminology/systems.csv"),
            SL_LIT(
                "name,uri,kind,form,family,aliases\nicd-10-cm,http://hl7.org/fhir/sid/icd-10-cm,code,icd,claims,\n")},
        {SL_LIT("terminology/categories.csv"), SL_LIT("id,sensitivity,confidentiality,part2,also_match\n")},
    };
    enum sl_status status = sl_policy_load_files(files, sizeof files / sizeof *files, &f->issues, &f->policy);
    for (const struct sl_issue *i = f->issues.first; i && status != SL_OK; i = i->next)
        print_message("%.*s:%zu:%zu %.*s\n", SL_FMT(i->file), i->line, i->column, SL_FMT(i->text));
    assert_int_equal(status, SL_OK);
    assert_int_equal(sl_policy_review(f->policy, NOW, &f->issues), SL_OK);
    assert_int_equal(f->issues.errors, 0);
}

static void end(struct fixture *f)
{
    sl_policy_unref(f->policy);
    sl_arena_free(f->issues.arena);
}

static const struct sl_issue *find(const struct fixture *f, const char *code)
{
    for (const struct sl_issue *i = f->issues.first; i; i = i->next)
        if (sl_slice_eq(i->code, sl_slice_of(code)))
            return i;
    return NULL;
}

/* Scenarios that turn on the rules of the small policy. */
#define TRIED                                                                                                          \
    "scenarios:\n"                                                                                                     \
    "  - {title: S, given: {party: physician, purpose: treatment, item: [chart]}, expect: released}\n"                 \
    "  - {title: S, given: {party: plan, purpose: payment, item: [chart]}, expect: released}\n"

/* A file beside the small policy, and whether the finding is there. */
static const struct {
    const char *more, *code;
    bool found;
} cases[] = {
    {"", "rule-without-effect", false},
    {"", "rule-never-speaks", false},
    {"", "party-sees-nothing", false},
    {"", "rule-untried", true},
    /* Shadowed: another rule says as much. */
    {"rules:\n  - {id: x, title: R, verdict: release, data: [chart], to: [nurse], for: [treatment]}\n",
        "rule-without-effect", true},
    {"rules:\n  - {id: x, title: R, verdict: release, data: [chart], to: [nurse], for: [coordination-of-care]}\n",
        "rule-without-effect", true},
    /* No scenario is asked for that would turn on what changes nothing. */
    {"rules:\n  - {id: x, title: R, verdict: release, data: [chart], to: [nurse], for: [treatment]}\n" TRIED,
        "rule-untried", false},
    {"rules:\n  - {id: x, title: R, verdict: release, data: [chart], to: [nurse], for: [payment]}\n" TRIED,
        "rule-untried", true},
    {"rules:\n  - {id: x, title: R, verdict: release, data: [chart], to: [nurse], for: [payment]}\n",
        "rule-without-effect", false},
    {"rules:\n  - {id: x, title: R, verdict: release, data: [chart], to: [nurse], for: [treatment], only-if: {consent: "
     "tpo}}\n",
        "rule-without-effect", true},
    /* Not shadowed: it brings something with it, or says no where nothing says yes. */
    {"rules:\n  - {id: x, title: R, verdict: release, data: [chart], to: [nurse], for: [payment], then: {account: "
     "yes}}\n",
        "rule-without-effect", false},
    {"rules:\n  - {id: x, title: R, verdict: withhold, data: [chart], to: [nurse], for: [research]}\n",
        "rule-without-effect", false},
    {"rules:\n  - {id: x, title: R, verdict: withhold, data: [words], to: [plan], for: [payment]}\n",
        "rule-without-effect", false},
    {"rules:\n  - {id: x, title: R, verdict: withhold, data: [words], to: [plan], for: any}\n"
     "  - {id: y, title: R, verdict: withhold, data: [words], to: [plan], for: any, unless: {consent: tpo}}\n",
        "rule-without-effect", true},
    /* A lifter changes something by what it makes silent. */
    {"rules:\n  - {id: x, title: R, verdict: withhold, data: [words], to: [plan], for: any}\n"
     "  - {id: y, title: R, verdict: release, data: [words], to: [plan], for: [payment], lifts: [x], only-if: "
     "{consent: "
     "tpo}}\n",
        "rule-without-effect", false},
    /* Always silent: for nothing, unless the line that silences it brings duties. */
    {"rules:\n  - {id: x, title: R, verdict: withhold, data: [words], to: [plan], for: [payment], unless: {purpose: "
     "any}}\n",
        "rule-never-speaks", true},
    {"rules:\n  - {id: x, title: R, verdict: withhold, data: [chart], to: [plan], for: [payment], unless: {purpose: "
     "any, then: "
     "{label-set: marks}}}\n",
        "rule-never-speaks", false},
    {"rules:\n  - {id: x, title: R, verdict: withhold, data: [words], to: [plan], for: [payment], only-if: {purpose: "
     "research}}\n",
        "rule-never-speaks", true},
    {"rules:\n  - {id: x, title: R, verdict: withhold, data: [words], to: [plan], for: [payment], only-if: {kinds: "
     "[broker]}}\n",
        "rule-never-speaks", true},
    {"rules:\n  - {id: x, title: R, verdict: withhold, data: [words], to: [plan], for: [payment], only-if: {kinds: "
     "[payer]}}\n",
        "rule-never-speaks", false},
    {"rules:\n  - {id: x, title: R, verdict: withhold, data: [words], to: [plan], for: [payment], review-by: "
     "2026-05-31}\n",
        "review-passed", true},
    {"rules:\n  - {id: x, title: R, verdict: withhold, data: [words], to: [plan], for: [payment], review-by: "
     "2026-06-01}\n",
        "review-passed", false},
    {"parties: [{id: x, title: X, kinds: [qso], agreements: [qsoa], agreement-until: 2026-06-01}]\n", "agreement-past",
        true},
    {"parties: [{id: x, title: X, kinds: [qso], agreements: [qsoa], agreement-until: 2026-06-02}]\n", "agreement-past",
        false},
    {"parties: [{id: x, title: X, kinds: [qso], agreements: [qsoa], agreement-until: 2026-06-02}]\n", "agreement-ends",
        true},
    {"parties: [{id: x, title: X, kinds: [qso], agreements: [qsoa], agreement-until: 2026-09-02}]\n", "agreement-ends",
        false},
    {"parties: [{id: x, title: X, kinds: [qso], agreements: [qsoa]}]\n", "party-without-agreement", false},
    {"parties: [{id: x, title: X, kinds: [payer]}]\n", "party-without-agreement", false},
    {"parties: [{id: x, title: X, kinds: [contractor]}]\n", "party-without-agreement", true},
    {"classes: [{id: x, title: X, kind: needs-yes, earned-by: {unread: yes}}]\n", "class-out-of-reach", false},
    {"rules:\n  - {id: x, title: R, law: 45 CFR 164.999, verdict: withhold, data: [words], to: [plan], for: any}\n",
        "citation-unknown", true},
    {"rules:\n  - {id: x, title: R, law: 740 ILCS 110, verdict: withhold, data: [words], to: [plan], for: any}\n",
        "citation-unknown", false},
    {"scenarios: [{title: S, given: {party: plan, purpose: payment, item: [chart]}, expect: released}]\n",
        "scenario-fails", false},
    {"scenarios: [{title: S, given: {party: plan, purpose: payment, item: [chart]}, expect: withheld}]\n",
        "scenario-fails", true},
};

static void each_finding_is_there_where_it_must_be(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        load(&f, cases[i].more);
        const struct sl_issue *issue = find(&f, cases[i].code);
        if ((issue != NULL) != cases[i].found)
            fail_msg("case %zu: %s is %s", i, cases[i].code, issue ? issue->text.ptr : "not found");
        assert_true(!issue || issue->grade < SL_GRADE_ERROR);
        assert_true(!issue || (issue->line && issue->source.len && issue->width));
        end(&f);
    }
}

/* ---- Citations ---- */

static void citations_are_known_or_not(void **state)
{
    (void)state;
    static const struct {
        const char *law;
        bool strict;
        const char *unknown;
    } laws[] = {
        {"42 CFR 2.31", true, ""},
        {"42 CFR 2.31(a), 2.33(b), 45 CFR 164.508(a)(2), 164.522(a)(1)(vi)", true, ""},
        {"42 CFR 2.12(d)(2)(i)(C)", true, ""},
        {"45 CFR 46.116", true, ""},
        {"42 CFR 2.71", true, "42 CFR 2.71"},
        {"42 CFR 2.31(a), 2.71", true, "2.71"},
        {"42 CFR 164.508", true, "42 CFR 164.508"},
        {"42 CFR 2.31(a", true, "42 CFR 2.31(a"},
        {"42 CFR 2.31()", true, "42 CFR 2.31()"},
        {"42 CFR 2.31 (a)", true, "42 CFR 2.31 (a)"},
        {"42 CFR 2.310", true, "42 CFR 2.310"},
        {"42 CFR 2.31,", true, ""},
        {"42 CFR 2.31,, 2.33", true, ","},
        {"42 CFR", true, "42 CFR"},
        {"2.31", true, "2.31"},
        {"the law", true, "the law"},
        {"the law", false, ""},
        {"740 ILCS 110/5, 42 CFR 2.20", false, ""},
        {"740 ILCS 110/5, 42 CFR 2.99", false, "42 CFR 2.99"},
        {"Civ. Code 56.104, 2.99", false, ""},
    };
    for (size_t i = 0; i < sizeof laws / sizeof *laws; i++) {
        struct sl_slice unknown = sl_citation_unknown(sl_slice_of(laws[i].law), laws[i].strict);
        if (!sl_slice_eq(unknown, sl_slice_of(laws[i].unknown)))
            fail_msg("\"%s\": \"%.*s\" instead of \"%s\"", laws[i].law, SL_FMT(unknown), laws[i].unknown);
    }
}

/* ---- Agreements ---- */

/* From the day on which its agreement ends, nobody is the party, however he is named. */
static void an_agreement_that_ended_makes_nobody_a_party(void **state)
{
    (void)state;
    static const struct sl_slice patient = {"Patient/p", 9}, kinds[] = {{"qso", 3}};
    static const struct sl_agreement agreements[] = {{.kind = {"qsoa", 4}}};
    const struct sl_recipient recipients[] = {
        {.kinds = kinds, .kind_count = 1, .agreements = agreements, .agreement_count = 1, .purpose = SL_LIT("HOPERAT")},
        {.party = SL_LIT("x"), .purpose = SL_LIT("HOPERAT")}};
    struct fixture f;
    load(&f, "parties: [{id: x, title: X, kinds: [qso], agreements: [qsoa], agreement-until: 2026-06-01}]\n"
             "rules: [{id: x, title: R, verdict: release, data: [chart], to: [x], for: [operations]}]\n");
    for (size_t i = 0; i < 2; i++)
        for (int64_t now = NOW - 1; now <= NOW; now++) {
            struct sl_arena *arena = sl_arena_new((size_t)1 << 20);
            struct sl_item item = {.type = SL_R4_Observation};
            struct sl_ruling *ruling = NULL;
            sl_classes_add(&item.classes, sl_policy_class_find(f.policy, SL_LIT("chart")));
            assert_int_equal(sl_ruling_new(arena, f.policy, &recipients[i], &patient, 1, NULL, now, &ruling), SL_OK);
            assert_int_equal(sl_decide_item(ruling, &item).decision, now < NOW ? SL_RELEASED : SL_WITHHELD);
            sl_arena_free(arena);
        }
    end(&f);
}

/* ---- Places ---- */

static void what_is_underlined_is_what_it_is_about(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        size_t column, width;
    } places[] = {
        {"a: word", 4, 4},
        {"a: word # why", 4, 4},
        {"a: two words", 4, 9},
        {"a: [b, c]", 5, 1},
        {"a: [b, c] # x", 4, 6},
        {"{a: {b: c}}", 1, 11},
        {"a: [b,", 4, 3},
        {"a: \"b, c\" # x", 4, 6},
        {"a: 'it''s' x", 4, 7},
        {"a: \"b\\\"c\"", 4, 6},
        {"\xc3\xa9: w\xc3\xb6rd, x", 4, 4},
        {"a: b", 9, 0},
        {"a: b", 0, 0},
        {"key: x", 1, 3},
        {"a: urn:b:c", 4, 7},
        {"a: b\r", 4, 1},
    };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct sl_arena *arena = sl_arena_new((size_t)1 << 20);
        struct sl_slice text = sl_arena_printf(arena, "first\n%s\nlast\n", places[i].line);
        const struct sl_policy_file file = {SL_LIT("f.yaml"), text};
        struct sl_issue issue = {.file = SL_LIT("f.yaml"), .line = 2, .column = places[i].column};
        sl_policy_show(&file, 1, arena, &issue);
        if (issue.width != places[i].width)
            fail_msg("case %zu: %zu characters of \"%s\"", i, issue.width, places[i].line);
        struct sl_issue beyond = {.file = SL_LIT("f.yaml"), .line = 9, .column = 1};
        sl_policy_show(&file, 1, arena, &beyond);
        assert_int_equal(beyond.width, 0);
        sl_arena_free(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_finding_is_there_where_it_must_be),
        cmocka_unit_test(citations_are_known_or_not),
        cmocka_unit_test(an_agreement_that_ended_makes_nobody_a_party),
        cmocka_unit_test(what_is_underlined_is_what_it_is_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
