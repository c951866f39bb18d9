/* SPDX-License-Identifier: Apache-2.0 */
/* Facts that differ from item to item: built-in parties, and what lines ask of a record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "policy_model.h"

#define NOW 1780272000 /* 2026-06-01 */

static const char federal[] = "layer: federal\n"
                              "classes:\n"
                              "  - {id: part2, title: P, kind: needs-yes, earned-by: {origin: program}}\n"
                              "consents:\n"
                              "  - {id: tpo, title: C, forms: [{categories: [{system: s, code: c}]}]}\n";
static const char house[] = "layer: organization\n"
                            "parties:\n"
                            "  - {id: physician, title: P, roles: [physician]}\n"
                            "classes:\n"
                            "  - {id: chart, title: C, kind: needs-yes, earned-by: {types: others}}\n"
                            "rules:\n";

struct fixture {
    struct sl_issues issues;
    struct sl_policy *policy;
    struct sl_directives directives;
};

static const char *more = "layer: organization\n"; /* one more file */

static enum sl_status load(struct fixture *f, const char *rules)
{
    char text[8192];
    *f = (struct fixture){.issues = {.arena = sl_arena_new((size_t)64 << 20)}};
    assert_non_null(f->issues.arena);
    snprintf(text, sizeof text, "%s%s", house, rules);
    const struct sl_policy_file files[] = {
        {SL_LIT("policy.yaml"),
            SL_LIT("title: T\nversion: \"1\"\nnotice: {version: \"1\", statement: S., short: s.}\n")},
        {SL_LIT("federal/a.yaml"), sl_slice_of(federal)},
        {SL_LIT("house/b.yaml"), sl_slice_of(text)},
        {SL_LIT("house/c.yaml"), sl_slice_of(more)},
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

static struct sl_classes classes_of(const struct fixture *f, const char *id)
{
    struct sl_classes classes = {0};
    unsigned bit = sl_policy_class_find(f->policy, sl_slice_of(id));
    assert_true(bit < SL_CLASS_LIMIT);
    sl_classes_add(&classes, bit);
    return classes;
}

static bool goes(struct fixture *f, const struct sl_recipient *recipient, const struct sl_item *item)
{
    static const struct sl_slice patient = {"Patient/p", 9};
    struct sl_ruling *ruling = NULL;
    assert_int_equal(
        sl_ruling_new(f->issues.arena, f->policy, recipient, &patient, 1, &f->directives, NOW, &ruling), SL_OK);
    return sl_decide_item(ruling, item).decision == SL_RELEASED;
}

/* ---- Built-in parties ---- */

static void staff_have_their_own_programs_records(void **state)
{
    (void)state;
    struct fixture f;
    assert_int_equal(
        load(&f, "  - {id: r, title: R, verdict: release, data: [part2], to: [program-staff], for: "
                 "[treatment]}\n"
                 "  - {id: s, title: S, verdict: release, data: [chart], to: everyone, for: [treatment]}\n"),
        SL_OK);
    struct sl_item item = {.type = SL_R4_Observation,
        .id = SL_LIT("o"),
        .program = SL_LIT("Organization/a"),
        .named_program = SL_LIT("Organization/a"),
        .classes = classes_of(&f, "part2")};
    struct sl_recipient its = {.organization = SL_LIT("Organization/a"), .purpose = SL_LIT("TREAT")};
    struct sl_recipient other = {.organization = SL_LIT("Organization/b"), .purpose = SL_LIT("TREAT")};
    struct sl_recipient nobody = {.purpose = SL_LIT("TREAT")};
    assert_int_equal(sl_admit(f.policy, &its), SL_OK);
    assert_int_equal(sl_admit(f.policy, &nobody), SL_FORBIDDEN);
    assert_true(goes(&f, &its, &item));
    assert_false(goes(&f, &other, &item));
    assert_false(goes(&f, &nobody, &item));
    its.purpose = SL_LIT("HPAYMT");
    assert_false(goes(&f, &its, &item));
    its.purpose = SL_LIT("TREAT");
    /* For other items it is not this party, and fits no other. */
    item.classes = classes_of(&f, "chart");
    assert_true(goes(&f, &its, &item));
    item.program = item.named_program = SL_LIT("Organization/c");
    assert_false(goes(&f, &its, &item));
    item.program = item.named_program = SL_LIT("");
    assert_false(goes(&f, &its, &item));
    end(&f);
}

#define NAMES(type, actor, purpose)                                                                                    \
    "{\"resourceType\":\"Consent\",\"id\":\"1\",\"status\":\"active\",\"scope\":{\"coding\":[{\"system\":"             \
    "\"http://terminology.hl7.org/CodeSystem/consentscope\",\"code\":\"patient-privacy\"}]},\"category\":[{"           \
    "\"coding\":[{\"system\":\"s\",\"code\":\"c\"}]}],\"patient\":{\"reference\":\"Patient/p\"},\"dateTime\":"         \
    "\"2026-01-01\",\"performer\":[{\"reference\":\"Patient/p\"}],\"sourceAttachment\":{\"title\":\"x\"},"             \
    "\"policyRule\":{\"coding\":[{\"system\":\"s\",\"code\":\"x\"}]},\"provision\":{\"type\":\"" type "\"" actor       \
    ",\"purpose\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ActReason\",\"code\":\"" purpose "\"}]}}"
#define ACTOR(reference)                                                                                               \
    ",\"actor\":[{\"role\":{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ParticipationType\","   \
    "\"code\":\"IRCP\"}]},\"reference\":{\"reference\":\"" reference "\"}}]"

static void whom_a_consent_names_needs_no_other_party(void **state)
{
    (void)state;
    static const struct {
        const char *consent, *purpose;
        bool goes;
    } cases[] = {
        {NAMES("permit", ACTOR("Organization/b"), "TREAT"), "TREAT", true},
        {NAMES("permit", ACTOR("Organization/b"), "TREAT"), "HPAYMT", false},
        {NAMES("permit", ACTOR("Organization/z"), "TREAT"), "TREAT", false},
        {NAMES("deny", ACTOR("Organization/b"), "TREAT"), "TREAT", false},
        {NAMES("permit", "", "TREAT"), "TREAT", false}, /* permits anybody, and names nobody */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        assert_int_equal(load(&f, "  - {id: r, title: R, verdict: release, data: [chart], to: [named-in-consent], for: "
                                  "[treatment, payment]}\n"),
            SL_OK);
        struct sl_doc *doc = sl_arena_alloc(f.issues.arena, sizeof *doc);
        assert_int_equal(sl_doc_parse(f.issues.arena, sl_slice_of(cases[i].consent), NULL, doc, NULL), SL_OK);
        assert_int_equal(sl_directive_read(f.issues.arena, doc, 0, NULL, &f.directives), SL_OK);
        struct sl_item item = {.type = SL_R4_Observation, .id = SL_LIT("o"), .classes = classes_of(&f, "chart")};
        struct sl_recipient named = {
            .organization = SL_LIT("Organization/b"), .purpose = sl_slice_of(cases[i].purpose)};
        assert_int_equal(sl_admit(f.policy, &named), SL_OK);
        if (goes(&f, &named, &item) != cases[i].goes)
            fail_msg("case %zu", i);
        end(&f);
    }
}

static void nobody_writes_them_anew(void **state)
{
    (void)state;
    static const char rules[] =
        "  - {id: r, title: R, verdict: release, data: [chart], to: [physician], for: [treatment]}\n";
    struct fixture f;
    more = "layer: organization\nparties:\n  - {id: named-in-consent, title: N, roles: [x]}\n";
    assert_int_equal(load(&f, rules), SL_INVALID);
    assert_int_equal(f.issues.count, 1);
    assert_true(sl_slice_eq(f.issues.first->code, SL_LIT("builtin-party")));
    sl_arena_free(f.issues.arena);
    more = "layer: organization\n";
    assert_int_equal(load(&f, rules), SL_OK);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(staff_have_their_own_programs_records),
        cmocka_unit_test(whom_a_consent_names_needs_no_other_party),
        cmocka_unit_test(nobody_writes_them_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
