/* SPDX-License-Identifier: Apache-2.0 */
/* Grants to write: who may do what to which type, with which labels; and where a grant of delete holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "policy_model.h"
#include "sluice/write.h"

static const char house[] =
    "layer: organization\n"
    "parties:\n"
    "  - {id: physician, title: P, roles: [physician]}\n"
    "  - {id: treating, title: T, roles: [physician], relationship: [treating], vouched-by: [registry]}\n"
    "  - {id: office, title: O, roles: [office]}\n"
    "  - {id: clerk, title: C, roles: [clerk]}\n"
    "classes:\n"
    "  - {id: chart, title: C, kind: needs-yes, earned-by: {types: others}}\n"
    "  - {id: directory, title: D, kind: needs-yes, earned-by: {types: [Organization, Location, Practitioner]}}\n"
    "  - {id: hiv, title: H, kind: needs-yes, earned-by: {security-labels: [HIV]}}\n"
    "consents:\n"
    "  - {id: tpo, title: C, forms: [{categories: [{system: s, code: c}]}]}\n"
    "rules:\n"
    "  - {id: r1, title: R, verdict: release, data: [chart, directory], to: [physician], for: [treatment]}\n"
    "  - {id: r2, title: R, verdict: release, data: all, to: [office], for: [treatment, payment]}\n"
    "  - {id: r3, title: R, verdict: withhold, data: [hiv], to: [office], for: [payment], unless: {consent: tpo}}\n"
    "  - {id: r4, title: R, verdict: withhold, data: [hiv], to: [clerk], for: [treatment]}\n"
    "writes:\n"
    "  - {id: notes, title: N, to: [treating], for: [treatment], may: [create, update], types: [Observation, "
    "Condition], labels: [R]}\n"
    "  - {id: more, title: N, to: [physician], for: [treatment], may: [update], types: all, labels: [HIV], tags: yes}\n"
    "  - {id: consents, title: N, to: [office], for: [treatment], may: [create], types: [Consent]}\n"
    "  - {id: away, title: N, to: [office, physician], for: [treatment, payment], may: [delete], types: "
    "[Organization, Observation]}\n";

struct fixture {
    struct sl_arena *arena;
    struct sl_issues issues;
    struct sl_policy *policy;
};

static void begin(struct fixture *f, const char *text)
{
    *f = (struct fixture){.arena = sl_arena_new((size_t)64 << 20)};
    f->issues.arena = f->arena;
    const struct sl_policy_file files[] = {
        {SL_LIT("policy.yaml"),
            SL_LIT("title: T\nversion: \"1\"\nnotice: {version: \"1\", statement: S., short: s.}\n")},
        {SL_LIT("house/a.yaml"), sl_slice_of(text)},
        {SL_LIT("terminology/systems.csv"),
            SL_LIT(
                "name,uri,kind,form,family,aliases\nicd-10-cm,http://hl7.org/fhir/sid/icd-10-cm,code,icd,claims,\n")},
        {SL_LIT("terminology/categories.csv"), SL_LIT("id,sensitivity,confidentiality,part2,also_match\n")},
    };
    enum sl_status status = sl_policy_load_files(files, sizeof files / sizeof *files, &f->issues, &f->policy);
    if (status != SL_OK)
        fail_msg("%.*s", SL_FMT(f->issues.first ? f->issues.first->text : SL_LIT("?")));
}

static void end(struct fixture *f)
{
    sl_policy_unref(f->policy);
    sl_arena_free(f->arena);
}

static struct sl_write_answer ask(const struct fixture *f, const char *roles, const char *purpose, sl_r4_node type,
    enum sl_write_action action, bool treats)
{
    static const struct sl_directives none;
    const struct sl_slice patient = SL_LIT("Patient/p");
    const struct sl_relationship treating = {
        .kind = SL_LIT("treating"), .patient = SL_LIT("Patient/p"), .voucher = SL_BY_REGISTRY};
    struct sl_slice its[2];
    size_t count = 0;
    struct sl_slice rest = sl_slice_of(roles);
    for (const char *at; rest.len; rest = sl_slice_from(rest, (size_t)(at - rest.ptr) + 1)) {
        at = memchr(rest.ptr, ' ', rest.len);
        at = at ? at : rest.ptr + rest.len;
        its[count++] = (struct sl_slice){rest.ptr, (size_t)(at - rest.ptr)};
    }
    const struct sl_recipient recipient = {.client = SL_LIT("c"),
        .roles = its,
        .role_count = count,
        .purpose = sl_slice_of(purpose),
        .relationships = &treating,
        .relationship_count = treats};
    struct sl_ruling *ruling = NULL;
    struct sl_write_answer answer;
    assert_int_equal(sl_ruling_new(f->arena, f->policy, &recipient, &patient, 1, &none, 0, &ruling), SL_OK);
    assert_int_equal(sl_write_ask(ruling, type, action, f->arena, &answer), SL_OK);
    return answer;
}

static void a_grant_is_for_party_purpose_type_and_action(void **state)
{
    (void)state;
    static const struct {
        const char *roles, *purpose;
        sl_r4_node type;
        enum sl_write_action action;
        bool treats;
        const char *grant; /* NULL: refused */
    } cases[] = {
        {"physician", "TREAT", SL_R4_Observation, SL_WRITE_CREATE, true, "notes"},
        {"physician", "TREAT", SL_R4_Observation, SL_WRITE_CREATE, false, NULL},
        {"physician", "TREAT", SL_R4_Observation, SL_WRITE_UPDATE, false, "more"},
        {"physician", "HPAYMT", SL_R4_Observation, SL_WRITE_UPDATE, true, NULL},
        {"physician", "TREAT", SL_R4_Observation, SL_WRITE_PATCH, true, NULL},
        {"physician", "TREAT", SL_R4_Device, SL_WRITE_UPDATE, true, "more"},
        {"physician", "TREAT", SL_R4_Consent, SL_WRITE_UPDATE, true, NULL}, /* not by `all` */
        {"office", "TREAT", SL_R4_Consent, SL_WRITE_CREATE, false, "consents"},
        {"office", "TREAT", SL_R4_Consent, SL_WRITE_UPDATE, false, NULL},
        {"nobody", "TREAT", SL_R4_Observation, SL_WRITE_UPDATE, true, NULL},
    };
    struct fixture f;
    begin(&f, house);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_write_answer got =
            ask(&f, cases[i].roles, cases[i].purpose, cases[i].type, cases[i].action, cases[i].treats);
        if ((got.verdict == SL_WRITE_GRANTED) != (cases[i].grant != NULL) || !got.why ||
            (cases[i].grant && !sl_slice_eq(got.grant->id, sl_slice_of(cases[i].grant))))
            fail_msg("case %zu: %s", i, got.why);
        if (!cases[i].grant)
            assert_int_equal(got.verdict, SL_WRITE_REFUSED);
    }
    end(&f);
}

static void labels_are_those_of_all_grants_that_hold(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, house);
    struct sl_write_answer both = ask(&f, "physician", "TREAT", SL_R4_Observation, SL_WRITE_UPDATE, true);
    struct sl_write_answer one = ask(&f, "physician", "TREAT", SL_R4_Observation, SL_WRITE_CREATE, true);
    struct sl_write_answer none = ask(&f, "office", "TREAT", SL_R4_Consent, SL_WRITE_CREATE, true);
    assert_true(both.labels.label_count > one.labels.label_count);
    assert_true(both.labels.tags);
    assert_true(one.labels.label_count > 0);
    assert_false(one.labels.tags);
    for (size_t i = 0; i < one.labels.label_count; i++)
        assert_true(sl_slice_eq(one.labels.labels[i].code, SL_LIT("R")));
    assert_int_equal(none.labels.label_count, 0);
    assert_false(none.labels.tags);
    end(&f);
}

/* Nothing of an Organization can be hidden from the office when it treats; for payment, a label can hide one, and from
 * the physician. What is about a patient is deleted by nobody, whoever may see everything. */
static void a_delete_holds_where_nothing_can_be_hidden(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, house);
    assert_int_equal(ask(&f, "office", "TREAT", SL_R4_Organization, SL_WRITE_DELETE, false).verdict, SL_WRITE_GRANTED);
    static const struct {
        const char *roles, *purpose;
        sl_r4_node type;
    } refused[] = {
        {"office", "HPAYMT", SL_R4_Organization}, {"physician", "TREAT", SL_R4_Organization},
        {"office", "TREAT", SL_R4_Observation},
        {"office clerk", "TREAT", SL_R4_Organization}, /* something is withheld from it as a clerk */
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct sl_write_answer got =
            ask(&f, refused[i].roles, refused[i].purpose, refused[i].type, SL_WRITE_DELETE, false);
        if (got.verdict != SL_WRITE_REFUSED || strcmp(got.why, "delete-may-hide") != 0)
            fail_msg("case %zu: %s", i, got.why);
    }
    assert_true(sl_write_offered(f.policy, SL_R4_Observation, SL_WRITE_UPDATE));
    assert_true(sl_write_offered(f.policy, SL_R4_Organization, SL_WRITE_DELETE));
    assert_false(sl_write_offered(f.policy, SL_R4_Consent, SL_WRITE_DELETE));
    assert_false(sl_write_offered(f.policy, SL_R4_Consent, SL_WRITE_PATCH));
    end(&f);
}

static void without_a_grant_nobody_writes(void **state)
{
    (void)state;
    char text[8192];
    struct fixture f;
    snprintf(text, sizeof text, "%.*s", (int)(strstr(house, "writes:") - house), house);
    begin(&f, text);
    for (unsigned type = 1; type < SL_R4_NODES; type++)
        for (enum sl_write_action a = SL_WRITE_CREATE; a < SL_WRITE_ACTIONS; a++)
            assert_false(sl_write_offered(f.policy, (sl_r4_node)type, a));
    assert_int_equal(ask(&f, "office", "TREAT", SL_R4_Organization, SL_WRITE_UPDATE, true).verdict, SL_WRITE_REFUSED);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_grant_is_for_party_purpose_type_and_action),
        cmocka_unit_test(labels_are_those_of_all_grants_that_hold),
        cmocka_unit_test(a_delete_holds_where_nothing_can_be_hidden),
        cmocka_unit_test(without_a_grant_nobody_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
