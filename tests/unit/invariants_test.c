/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants: each refuses the policy that breaks it, tells the case, and leaves the one that does not alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "policy_model.h"

static const char federal[] = "layer: federal\n"
                              "classes:\n"
                              "  - {id: part2, title: P, kind: needs-yes, earned-by: {origin: program}}\n"
                              "  - {id: notes, title: N, kind: needs-yes, earned-by: {security-labels: [PSYTHPN]}}\n"
                              "  - {id: purse, title: S, kind: only-restricts, earned-by: {register: self-pay}}\n"
                              "consents:\n"
                              "  - {id: tpo, title: C, forms: [{categories: [{system: s, code: c}]}]}\n"
                              "  - {id: own, title: C, forms: [{categories: [{system: s, code: d}]}]}\n";
static const char house[] = "layer: organization\n"
                            "parties:\n"
                            "  - {id: physician, title: P, roles: [physician]}\n"
                            "  - {id: plan, title: P, kinds: [payer]}\n"
                            "  - {id: patient, title: P, roles: [patient], relationship: [self], vouched-by: [token]}\n"
                            "  - {id: urgent, title: E, roles: [physician], emergency: declared}\n"
                            "classes:\n"
                            "  - {id: chart, title: C, kind: needs-yes, earned-by: {types: others}}\n"
                            "rules:\n";

struct fixture {
    struct sl_issues issues;
    struct sl_policy *policy;
};

static enum sl_status load(struct fixture *f, const char *rules, const char *invariants)
{
    char text[2][8192];
    *f = (struct fixture){.issues = {.arena = sl_arena_new((size_t)64 << 20)}};
    assert_non_null(f->issues.arena);
    snprintf(text[0], sizeof text[0], "%sinvariants:\n%s", federal, invariants);
    snprintf(text[1], sizeof text[1], "%s%s", house, rules);
    const struct sl_policy_file files[] = {
        {SL_LIT("policy.yaml"),
            SL_LIT("title: T\nversion: \"1\"\nnotice: {version: \"1\", statement: S., short: s.}\n")},
        {SL_LIT("federal/a.yaml"), sl_slice_of(text[0])},
        {SL_LIT("house/b.yaml"), sl_slice_of(text[1])},
        {SL_LIT("terminology/systems.csv"),
            SL_LIT(
                "name,uri,kind,form,family,aliases\nicd-10-cm,http://hl7.org/fhir/sid/icd-10-cm,code,icd,claims,\n")},
        {SL_LIT("terminology/categories.csv"), SL_LIT("id,sensitivity,confidentiality,part2,also_match\n")},
    };
    return sl_policy_load_files(files, sizeof files / sizeof *files, &f->issues, &f->policy);
}

static void end(struct fixture *f)
{
    sl_policy_unref(f->policy);
    sl_arena_free(f->issues.arena);
}

/* Each invariant with a rule that keeps it, one that breaks it, and what is told of the case. */
static const struct broken {
    const char *invariant, *keeps, *breaks, *says;
} cases[] = {
    {"never: release, data: [notes], to: everyone, for: any, unless: {consent: own}",
        "verdict: release, data: [notes], to: [physician], for: [treatment], only-if: {consent: own}",
        "verdict: release, data: [notes], to: [physician], for: [treatment], only-if: {consent: [own, tpo]}",
        "physician gets notes for treatment, with consent tpo, by the rule r (house/b.yaml:10)."},
    /* Enough is said by one line; here the other would be needed as well. */
    {"never: release, data: [part2], to: everyone, for: any, unless: {consent: tpo, purpose: treatment}",
        "verdict: release, data: [part2], to: [physician], for: [treatment], only-if: {consent: tpo}",
        "verdict: release, data: [part2], to: [physician], for: [treatment, payment], only-if: {consent: tpo}",
        "physician gets part2 for payment, with consent tpo, by"},
    {"never: release, data: [part2], to: everyone, for: [legal-proceedings], only-if: {emergency: declared}",
        "verdict: release, data: [part2], to: [urgent], for: [emergency-treatment], only-if: {emergency: declared}",
        "verdict: release, data: [part2], to: [urgent], for: [legal-proceedings], only-if: {emergency: declared}",
        "urgent gets part2 for legal-proceedings, with a declared emergency, by"},
    /* A purpose that a release reaches only through its parent. */
    {"never: release, data: [chart], to: [plan], for: [eligibility-verification]",
        "verdict: release, data: [chart], to: [plan], for: [claim-attachment]",
        "verdict: release, data: [chart], to: [plan], for: [payment]",
        "plan gets chart for eligibility-verification, by"},
    /* A purpose that only a line of a rule tells from the others. */
    {"never: release, data: [part2], to: everyone, for: any, unless: {consent: tpo}",
        "verdict: release, data: [part2], to: [physician], for: any, only-if: {consent: tpo, purpose: research}",
        "verdict: release, data: [part2], to: [physician], for: any, only-if: {purpose: research}",
        "physician gets part2 for research, by the rule r (house/b.yaml:10)."},
    /* What only restricts goes unless a rule withholds it. */
    {"never: release, data: [purse], to: [plan], for: [payment]",
        "verdict: withhold, data: [purse], to: [plan], for: [payment]",
        "verdict: withhold, data: [purse], to: [plan], for: [payment], unless: {consent: tpo}",
        "plan gets purse for payment, with consent tpo, since no rule withholds it."},
    {"never: release, data: {all-except: [chart]}, to: [patient], for: any",
        "verdict: release, data: [chart], to: [patient], for: [patient-request]",
        "verdict: release, data: all, to: [patient], for: [patient-request]",
        "patient gets part2 for patient-request, by"},
    {"never: release, data: [part2], to: everyone, for: any, unless: {relationship: self}",
        "verdict: release, data: [part2], to: [patient], for: [patient-request], only-if: {relationship: self}",
        "verdict: release, data: [part2], to: everyone, for: [patient-request]",
        "physician gets part2 for patient-request, by"},
    {"never: release, data: [part2], to: everyone, for: any, unless: {kinds: [covered-entity]}",
        "verdict: release, data: [part2], to: [physician], for: [treatment], only-if: {kinds: [covered-entity], "
        "except-kinds: [broker]}",
        "verdict: release, data: [part2], to: [physician], for: [treatment], only-if: {kinds: [covered-entity, "
        "broker]}",
        "physician gets part2 for treatment, with being covered-entity or broker, by"},
    {"never: release, data: [part2], to: everyone, for: any, unless: {same-program: yes}",
        "verdict: release, data: [part2], to: [physician], for: [treatment], only-if: {same-program: yes}",
        "verdict: release, data: [part2], to: [physician], for: [treatment], unless: {same-program: yes}",
        "physician gets part2 for treatment, by"},
    {"never: release, data: [part2], to: [physician], for: any, only-if: {party: [plan]}",
        "verdict: release, data: [part2], to: [physician], for: [treatment], unless: {party: [plan]}",
        "verdict: release, data: [part2], to: [physician], for: [treatment], only-if: {party: [plan]}",
        "physician gets part2 for treatment, with being also plan, by"},
};

static void each_refuses_what_breaks_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char invariant[1024], rule[1024];
        struct fixture f;
        snprintf(invariant, sizeof invariant, "  - {id: i, title: I, law: 42 CFR 2.31, %s}\n", cases[i].invariant);
        snprintf(rule, sizeof rule, "  - {id: r, title: R, %s}\n", cases[i].keeps);
        if (load(&f, rule, invariant) != SL_OK)
            fail_msg("case %zu: what keeps it is refused: %.*s", i, SL_FMT(f.issues.first->text));
        end(&f);
        snprintf(rule, sizeof rule, "  - {id: r, title: R, %s}\n", cases[i].breaks);
        if (load(&f, rule, invariant) != SL_INVALID)
            fail_msg("case %zu: what breaks it is not refused", i);
        const struct sl_issue *issue = f.issues.first;
        while (issue && issue->grade != SL_GRADE_ERROR)
            issue = issue->next;
        assert_non_null(issue);
        assert_true(sl_slice_eq(issue->code, SL_LIT("invariant-broken")));
        assert_true(sl_slice_eq(issue->file, SL_LIT("federal/a.yaml")));
        assert_int_equal(issue->column, 10);
        if (!strstr(issue->text.ptr, cases[i].says))
            fail_msg("case %zu: %.*s", i, SL_FMT(issue->text));
        assert_int_equal(f.issues.errors, 1);
        end(&f);
    }
}

static void words_that_are_none_are_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *invariant, *code;
    } mistakes[] = {
        {"title: I, law: L, never: release, data: [part3], to: everyone, for: any", "unknown-class"},
        {"title: I, law: L, never: withhold, data: [part2], to: everyone, for: any", "unknown-verdict"},
        {"title: I, law: L, never: release, data: [part2], to: [nobodies], for: any", "unknown-party"},
        {"title: I, law: L, never: release, data: [part2], to: [], for: any", "empty-invariant"},
        {"title: I, law: L, never: release, data: [part2], to: everyone, for: []", "empty-invariant"},
        {"title: I, law: L, never: release, data: {all-except: [part2, notes, chart]}, to: nobody, for: any",
            "empty-invariant"},
        {"title: I, law: L, never: release, data: [part2], to: everyone, for: any, unless: {consent: tbo}",
            "unknown-consent"},
        {"title: I, law: L, never: release, data: [part2], to: everyone, for: any, unless: {consent: tpo, then: {}}",
            "unknown-key"},
        {"title: I, law: L, never: release, data: [part2], to: everyone", "missing-key"},
        {"title: I, never: release, data: [part2], to: everyone, for: any", "missing-key"},
        {"title: I, law: L, never: release, data: [part2], to: everyone, for: any, unless: {}", "empty-condition"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        char invariant[1024];
        struct fixture f;
        snprintf(invariant, sizeof invariant, "  - {id: i, %s}\n", mistakes[i].invariant);
        assert_int_equal(
            load(&f, "  - {id: r, title: R, verdict: release, data: [chart], to: [plan], for: [payment]}\n", invariant),
            SL_INVALID);
        if (!sl_slice_eq(f.issues.first->code, sl_slice_of(mistakes[i].code)))
            fail_msg("case %zu: %.*s: %.*s", i, SL_FMT(f.issues.first->code), SL_FMT(f.issues.first->text));
        end(&f);
    }
}

/* The reader lets no party be everybody, so a policy whose strangers fit one can only be made by hand. */
static void strangers_get_nothing(void **state)
{
    (void)state;
    static const char invariant[] =
        "  - {id: i, title: I, law: 45 CFR 164.502(a), never: release, data: all, to: nobody, for: any}\n";
    static const char rules[] =
        "  - {id: r, title: R, verdict: release, data: [chart], to: [physician], for: [treatment]}\n";
    struct fixture f;
    assert_int_equal(load(&f, rules, invariant), SL_OK);
    struct sl_words roles = f.policy->parties[SL_BUILTINS].roles;
    struct sl_yaml_source *yaml = &f.policy->sources[0].yaml;
    yaml->issues = &f.issues;
    assert_int_equal(sl_policy_check_invariants(f.policy), SL_OK);
    assert_int_equal(f.issues.errors, 0);
    f.policy->parties[SL_BUILTINS].roles = (struct sl_words){.count = 0};
    assert_int_equal(sl_policy_check_invariants(f.policy), SL_OK);
    assert_int_equal(f.issues.errors, 1);
    assert_non_null(strstr(f.issues.last->text.ptr, "a recipient of whom nothing is known gets chart for treatment"));
    f.policy->parties[SL_BUILTINS].roles = roles;
    yaml->issues = NULL;
    end(&f);
}

/* Each shipped invariant can break: where no rule withholds and one releases everything, every one does. */
static void the_shipped_ones_can_break(void **state)
{
    (void)state;
    struct fixture f = {.issues = {.arena = sl_arena_new((size_t)64 << 20)}};
    struct sl_classes all;
    memset(&all, 0xff, sizeof all);
    assert_int_equal(sl_policy_load(SLUICE_SOURCE "/consent/policies", &f.issues, &f.policy), SL_OK);
    assert_true(f.policy->invariant_count >= 12);
    for (size_t i = 0; i < f.policy->source_count; i++)
        f.policy->sources[i].yaml.issues = &f.issues;
    assert_int_equal(sl_policy_check_invariants(f.policy), SL_OK);
    assert_int_equal(f.issues.errors, 0);
    for (size_t i = 0; i < f.policy->rule_count; i++) {
        struct sl_rule *rule = &f.policy->rules[i];
        rule->data = rule->verdict == SL_RULE_RELEASE ? all : (struct sl_classes){{0}};
        rule->everyone = true;
        rule->purposes = ~(uint64_t)0;
        rule->only_if_count = rule->unless_count = 0;
    }
    for (unsigned i = 0; i < f.policy->party_count; i++) /* and somebody of whom nothing is known is every party */
        f.policy->parties[i] =
            (struct sl_party){.id = f.policy->parties[i].id, .emergency = f.policy->parties[i].emergency};
    assert_int_equal(sl_policy_check_invariants(f.policy), SL_OK);
    for (size_t i = 0; i < f.policy->invariant_count; i++) {
        char quoted[128];
        bool told = false;
        snprintf(quoted, sizeof quoted, "\"%.*s\"", SL_FMT(f.policy->invariants[i].view.id));
        for (const struct sl_issue *issue = f.issues.first; issue; issue = issue->next)
            told |= sl_slice_eq(issue->code, SL_LIT("invariant-broken")) && strstr(issue->text.ptr, quoted) != NULL;
        if (!told)
            fail_msg("%s did not break", quoted);
    }
    assert_int_equal(f.issues.errors, f.policy->invariant_count);
    for (size_t i = 0; i < f.policy->source_count; i++)
        f.policy->sources[i].yaml.issues = NULL;
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_refuses_what_breaks_it),
        cmocka_unit_test(words_that_are_none_are_mistakes),
        cmocka_unit_test(strangers_get_nothing),
        cmocka_unit_test(the_shipped_ones_can_break),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
