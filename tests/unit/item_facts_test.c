/* SPDX-License-Identifier: Apache-2.0 */
/* Facts that differ from item to item: built-in parties, and what lines ask of a record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <unistd.h>

#include "item_facts.h"
#include "registered.h"
#include "sluice/kin.h"

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

/* ---- What lines ask of a record ---- */

#define RELEASE(line)                                                                                                  \
    "  - {id: r, title: R, verdict: release, data: [chart], to: [physician], for: [treatment, legal-proceedings], "    \
    "only-if: {" line "}}\n"
#define WITHHOLD(line)                                                                                                 \
    "  - {id: r, title: R, verdict: release, data: [chart], to: [physician], for: [treatment]}\n"                      \
    "  - {id: w, title: W, verdict: withhold, data: [chart], to: everyone, for: any, only-if: {" line "}}\n"

static void ages_fail_in_the_direction_of_the_rule(void **state)
{
    (void)state;
    static const struct {
        const char *rules;
        struct sl_age age;
        bool goes;
    } cases[] = {
        {RELEASE("age-at-service: 12-to-17"), {true, 12, 12}, true},
        {RELEASE("age-at-service: 12-to-17"), {true, 17, 17}, true},
        {RELEASE("age-at-service: 12-to-17"), {true, 11, 11}, false},
        {RELEASE("age-at-service: 12-to-17"), {true, 18, 18}, false},
        {RELEASE("age-at-service: 12-to-17"), {true, 17, 18}, false},
        {RELEASE("age-at-service: 12-to-17"), {false, 0, 0}, false},
        {RELEASE("age-at-service: [under-12, adult]"), {true, 3, 3}, true},
        {RELEASE("age-at-service: [under-12, adult]"), {true, 18, 19}, true},
        {RELEASE("age-at-service: adult"), {true, 90, 90}, true},
        {RELEASE("age-at-service: 65-and-over"), {true, 64, 64}, false},
        {WITHHOLD("age-at-service: 12-to-17"), {true, 12, 12}, false},
        {WITHHOLD("age-at-service: 12-to-17"), {true, 11, 11}, true},
        {WITHHOLD("age-at-service: 12-to-17"), {true, 11, 12}, false},
        {WITHHOLD("age-at-service: 12-to-17"), {false, 0, 0}, false},
    };
    const struct sl_slice roles[] = {SL_LIT("physician")};
    const struct sl_recipient physician = {.roles = roles, .role_count = 1, .purpose = SL_LIT("TREAT")};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        assert_int_equal(load(&f, cases[i].rules), SL_OK);
        struct sl_item item = {.type = SL_R4_Observation, .classes = classes_of(&f, "chart"), .age = cases[i].age};
        if (goes(&f, &physician, &item) != cases[i].goes)
            fail_msg("case %zu", i);
        end(&f);
    }
}

static void states_and_authors_are_told_by_the_record(void **state)
{
    (void)state;
    struct sl_slice author = SL_LIT("Practitioner/a");
    const struct sl_slice roles[] = {SL_LIT("physician")};
    const struct sl_recipient a = {
        .roles = roles, .role_count = 1, .user = SL_LIT("u"), .user_reference = author, .purpose = SL_LIT("TREAT")};
    struct sl_recipient b = a;
    b.user_reference = SL_LIT("Practitioner/b");
    struct fixture f;
    assert_int_equal(load(&f, WITHHOLD("source-state: [IL, unknown]")), SL_OK);
    struct sl_item item = {.type = SL_R4_Observation, .classes = classes_of(&f, "chart")};
    assert_false(goes(&f, &a, &item));
    item.source_state = SL_LIT("IL");
    assert_false(goes(&f, &a, &item));
    item.source_state = SL_LIT("TX");
    assert_true(goes(&f, &a, &item));
    end(&f);
    assert_int_equal(load(&f, RELEASE("author: yes")), SL_OK);
    item.authors = &author;
    item.author_count = 1;
    assert_true(goes(&f, &a, &item));
    assert_false(goes(&f, &b, &item));
    end(&f);
}

static void add(struct fixture *f, struct sl_labeller *labeller, const char *text, bool context, struct sl_item **out)
{
    struct sl_item *item;
    struct sl_doc *doc = sl_arena_alloc(f->issues.arena, sizeof *doc);
    struct sl_slice copy = sl_arena_copy(f->issues.arena, sl_slice_of(text));
    char *quoted = sl_arena_raw(f->issues.arena, copy.len + 1, 1);
    for (size_t i = 0; i < copy.len; i++)
        quoted[i] = copy.ptr[i] == '\'' ? '"' : copy.ptr[i];
    assert_int_equal(sl_doc_parse(f->issues.arena, (struct sl_slice){quoted, copy.len}, NULL, doc, NULL), SL_OK);
    assert_int_equal(sl_labeller_add(labeller, doc, 0, SL_LIT(""), context, out ? out : &item), SL_OK);
}

/* The patient and the place are asked for, and tell how old he was and where it is; a partial date tells less. */
static void records_tell_age_and_state(void **state)
{
    (void)state;
    static const struct {
        const char *birth, *when, *address;
        unsigned least, most;
        const char *in;
    } cases[] = {
        {"'birthDate':'2010-06-01'", "2026-06-01", "'state':'IL'", 16, 16, "IL"},
        {"'birthDate':'2010-06-02'", "2026-06-01", "'state':'il'", 15, 15, "IL"},
        {"'birthDate':'2010-06-01'", "2026-06-01T10:00:00Z", "'state':'Illinois'", 15, 16, ""},
        {"'birthDate':'2010'", "2026-06-01", "'city':'X'", 15, 16, ""},
        {"'birthDate':'2008-02-29'", "2026-02-28", "'state':'ZZ'", 17, 17, ""},
        {"'gender':'male'", "2026-06-01", "'state':'TX'", 1, 0, "TX"},
        {"'birthDate':'2010-06-01'", "2026", "'state':'TX'", 15, 16, "TX"},
        {"'birthDate':'2010-06-01'", "2009-01-01", "'state':'TX'", 1, 0, "TX"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct sl_item *item;
        struct sl_slice *missing;
        size_t count;
        char text[3][512];
        assert_int_equal(load(&f, WITHHOLD("age-at-service: adult, source-state: IL")), SL_OK);
        struct sl_labeller *labeller = sl_labeller_new(f.issues.arena, f.policy, NULL);
        snprintf(text[0], sizeof text[0],
            "{'resourceType':'Observation','id':'o','status':'final','code':{'text':'x'},'subject':{'reference':'"
            "Patient/"
            "p'},'effectiveDateTime':'%s','performer':[{'reference':'Organization/d'}]}",
            cases[i].when);
        snprintf(text[1], sizeof text[1], "{'resourceType':'Patient','id':'p',%s}", cases[i].birth);
        snprintf(
            text[2], sizeof text[2], "{'resourceType':'Organization','id':'w','address':[{%s}]}", cases[i].address);
        add(&f, labeller, text[0], false, &item);
        assert_int_equal(sl_labeller_resolve(labeller, &missing, &count), SL_OK);
        assert_int_equal(count, 2);
        add(&f, labeller, text[1], true, NULL);
        add(&f, labeller, "{'resourceType':'Organization','id':'d','partOf':{'reference':'Organization/w'}}", true,
            NULL);
        assert_int_equal(sl_labeller_resolve(labeller, &missing, &count), SL_OK);
        assert_int_equal(count, 1);
        add(&f, labeller, text[2], true, NULL);
        assert_int_equal(sl_labeller_resolve(labeller, &missing, &count), SL_OK);
        assert_int_equal(count, 0);
        bool known = cases[i].most >= cases[i].least;
        if (item->unlabelled || item->age.known != known ||
            (known && (item->age.least != cases[i].least || item->age.most != cases[i].most)) ||
            !sl_slice_eq(item->source_state, sl_slice_of(cases[i].in)))
            fail_msg("case %zu: %s, %d, %u to %u, %.*s", i, item->unlabelled ? item->unlabelled : "", item->age.known,
                item->age.least, item->age.most, SL_FMT(item->source_state));
        end(&f);
    }
}

/* ---- The register ---- */

#define ORDER                                                                                                          \
    "kind: court-order, patient: Patient/p, form: 2.64, recipients: [Organization/b], until: 2026-12-31, why: W, by: " \
    "B"
#define ORDER_OF "kind: court-order, form: 2.64, recipients: [Organization/b], until: 2026-12-31"
#define BOTH ", court: C, case: 1, instrument: subpoena, notice: given"

static struct sl_registered *registered(struct fixture *f, const char *yaml)
{
    char path[] = "/tmp/sluice-entries-XXXXXX", text[2048];
    struct sl_register_entries list;
    struct sl_registered *out = NULL;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    int length = snprintf(text, sizeof text, "entries:\n  - {%s}\n", yaml);
    assert_true(write(fd, text, (size_t)length) == length);
    close(fd);
    enum sl_status status = sl_register_load(path, SL_LIT(""), NOW, &f->issues, &list);
    unlink(path);
    if (status != SL_OK)
        fail_msg("%s: %s", yaml, f->issues.last ? f->issues.last->text.ptr : "");
    assert_int_equal(sl_registered_new(f->policy, &list, NOW, &f->issues, &out), SL_OK);
    return out;
}

static void an_order_is_both_halves_and_covers_what_it_says(void **state)
{
    (void)state;
    static const struct {
        const char *entry, *organization, *patient, *date;
        bool named, goes;
        const char *why;
    } cases[] = {
        {ORDER BOTH ", items: [Observation/o]", "Organization/b", "Patient/p", "2026-05-01", true, true, "covers"},
        {ORDER BOTH ", items: [Observation/x]", "Organization/b", "Patient/p", "2026-05-01", true, false,
            "this record"},
        {ORDER BOTH ", items: [Observation/o]", "Organization/c", "Patient/p", "2026-05-01", true, false,
            "other recipients"},
        {ORDER BOTH ", items: [Observation/o]", "Organization/b", "Patient/q", "2026-05-01", true, false, NULL},
        {ORDER ", court: C, case: 1, notice: given, items: [Observation/o]", "Organization/b", "Patient/p",
            "2026-05-01", true, false, "the instrument that compels is missing"},
        {ORDER ", instrument: subpoena, notice: given, items: [Observation/o]", "Organization/b", "Patient/p",
            "2026-05-01", true, false, "the order is missing"},
        {ORDER ", court: C, case: 1, instrument: subpoena, items: [Observation/o]", "Organization/b", "Patient/p",
            "2026-05-01", true, false, "notice"},
        {ORDER BOTH, "Organization/b", "Patient/p", "2026-05-01", true, false, "neither items nor classes"},
        {ORDER BOTH ", classes: [chart]", "Organization/b", "Patient/p", "2026-05-01", false, true, "covers"},
        {ORDER BOTH ", classes: [part2]", "Organization/b", "Patient/p", "2026-05-01", false, false, "other classes"},
        {ORDER BOTH ", served-from: 2026-04-01, served-until: 2026-05-31", "Organization/b", "Patient/p", "2026-05-01",
            false, true, "covers"},
        {ORDER BOTH ", served-from: 2026-04-01, served-until: 2026-04-30", "Organization/b", "Patient/p", "2026-05-01",
            false, false, "other days"},
        {ORDER BOTH ", served-from: 2026-04-01", "Organization/b", "Patient/p", "", false, false, "other days"},
        {"kind: court-order, patient: Patient/p, form: 2.64, recipients: [Organization/b], until: 2026-01-31, why: W, "
         "by: "
         "B, items: [Observation/o]" BOTH,
            "Organization/b", "Patient/p", "2026-05-01", true, false, "past its last day"},
    };
    const struct sl_slice roles[] = {SL_LIT("physician")};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct sl_ruling *ruling = NULL;
        struct sl_buffer told;
        assert_int_equal(load(&f, RELEASE("register: court-order")), SL_OK);
        struct sl_registered *r = registered(&f, cases[i].entry);
        struct sl_recipient he = {.roles = roles,
            .role_count = 1,
            .organization = sl_slice_of(cases[i].organization),
            .purpose = SL_LIT("HLEGAL")};
        struct sl_slice patient = sl_slice_of(cases[i].patient);
        struct sl_item item = {.type = SL_R4_Observation,
            .id = SL_LIT("o"),
            .classes = classes_of(&f, "chart"),
            .date_from = sl_slice_of(cases[i].date)};
        item.held = sl_registered_held(sl_registered_find(r, SL_R4_Observation, item.id), NULL, f.issues.arena);
        assert_int_equal(
            sl_ruling_new_under(f.issues.arena, f.policy, &he, &patient, 1, &f.directives, r, NOW, &ruling), SL_OK);
        if ((sl_decide_item(ruling, &item).decision == SL_RELEASED) != cases[i].goes)
            fail_msg("case %zu", i);
        sl_buffer_init(&told, 64 * 1024);
        sl_facts_explain(ruling, &item, &item.classes, &told);
        sl_buffer_add(&told, (struct sl_slice){"", 1});
        if (cases[i].why ? !strstr(told.ptr, cases[i].why) : told.len > 1)
            fail_msg("case %zu: %s", i, told.ptr);
        sl_buffer_fini(&told);
        /* Nobody else's register: nothing. */
        assert_false(goes(&f, &he, &item));
        sl_registered_unref(r);
        end(&f);
    }
}

static void a_restriction_keeps_the_whole_record_back_from_whom_it_names(void **state)
{
    (void)state;
    static const struct {
        const char *entry, *organization;
        bool self, goes;
    } cases[] = {
        {"recipients: [Organization/b], items: [Observation/o]", "Organization/b", false, false},
        {"recipients: [Organization/b], items: [Observation/o]", "Organization/c", false, true},
        {"recipients: [Organization/b], items: [Observation/x]", "Organization/b", false, true},
        {"recipients: ['party:physician']", "Organization/b", false, false},
        {"classes: [part2]", "Organization/b", false, false}, /* a part has it */
        {"classes: [part2]", "Organization/b", true, true},   /* he asked for it himself */
        {"served-from: 2026-07-01", "Organization/b", false, true},
        {"served-until: 2026-07-01", "Organization/b", false, false},
    };
    const struct sl_slice roles[] = {SL_LIT("physician")}, patient = SL_LIT("Patient/p");
    const struct sl_relationship self = {.kind = SL_LIT("self"), .patient = patient, .voucher = SL_BY_TOKEN};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct sl_ruling *ruling = NULL;
        char entry[512];
        assert_int_equal(load(&f, WITHHOLD("register: agreed-restriction")), SL_OK);
        snprintf(
            entry, sizeof entry, "kind: agreed-restriction, patient: Patient/p, why: W, by: B, %s", cases[i].entry);
        struct sl_registered *r = registered(&f, entry);
        struct sl_recipient he = {.roles = roles,
            .role_count = 1,
            .organization = sl_slice_of(cases[i].organization),
            .relationships = &self,
            .relationship_count = cases[i].self,
            .purpose = SL_LIT("TREAT")};
        struct sl_part part = {.classes = classes_of(&f, "part2")};
        struct sl_item item = {.type = SL_R4_Observation,
            .id = SL_LIT("o"),
            .classes = classes_of(&f, "chart"),
            .parts = &part,
            .part_count = 1,
            .date_from = SL_LIT("2026-05-01")};
        item.held = sl_registered_held(sl_registered_find(r, SL_R4_Observation, item.id), NULL, f.issues.arena);
        assert_int_equal(
            sl_ruling_new_under(f.issues.arena, f.policy, &he, &patient, 1, &f.directives, r, NOW, &ruling), SL_OK);
        if ((sl_decide_item(ruling, &item).decision == SL_RELEASED) != cases[i].goes)
            fail_msg("case %zu", i);
        /* What may go at all is told by policy alone: an entry leaves no trace in it. */
        assert_true(sl_ruling_may(ruling, sl_policy_class_find(f.policy, SL_LIT("chart"))));
        sl_registered_unref(r);
        end(&f);
    }
}

/* What is entered under a number that the record does not have. */
static void an_entry_binds_every_number_of_a_person(void **state)
{
    (void)state;
    static const struct {
        const char *link, *entry, *rule;
        bool self, goes;
    } cases[] = {
        {NULL, "kind: agreed-restriction", WITHHOLD("register: agreed-restriction"), false, true},
        {"replaces", "kind: agreed-restriction", WITHHOLD("register: agreed-restriction"), false, false},
        {"seealso", "kind: agreed-restriction", WITHHOLD("register: agreed-restriction"), false, false},
        {"replaces", "kind: agreed-restriction", WITHHOLD("register: agreed-restriction"), true, true},
        {"replaces", "kind: endangerment, professional: P, review: 2026-12-31", WITHHOLD("register: endangerment"),
            false, true},
        {"replaces", "kind: endangerment, professional: P, review: 2026-12-31", WITHHOLD("register: endangerment"),
            true, false},
        {NULL, ORDER_OF BOTH ", items: [Observation/o]", RELEASE("register: court-order"), false, false},
        {"replaces", ORDER_OF BOTH ", items: [Observation/o]", RELEASE("register: court-order"), false, true},
        {"seealso", ORDER_OF BOTH ", items: [Observation/o]", RELEASE("register: court-order"), false, false},
    };
    const struct sl_slice roles[] = {SL_LIT("physician")}, patient = SL_LIT("Patient/p");
    const struct sl_relationship self = {.kind = SL_LIT("self"), .patient = patient, .voucher = SL_BY_TOKEN};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct sl_ruling *ruling = NULL;
        char entry[512], record[256];
        struct sl_doc doc;
        bool order = strstr(cases[i].entry, "court-order");
        assert_int_equal(load(&f, cases[i].rule), SL_OK);
        snprintf(entry, sizeof entry, "%s, patient: Patient/old, why: W, by: B", cases[i].entry);
        snprintf(record, sizeof record,
            "{\"resourceType\":\"Patient\",\"id\":\"p\",\"link\":[{\"other\":{\"reference\":\"Patient/%s\"},\"type\":"
            "\"%s\"}]}",
            cases[i].link ? "old" : "else", cases[i].link ? cases[i].link : "replaces");
        struct sl_registered *r = registered(&f, entry);
        assert_true(sl_registered_binds(r));
        struct sl_kin *kin = sl_kin_new(f.issues.arena, (struct sl_slice){NULL, 0});
        struct sl_labeller *labeller = sl_labeller_new(f.issues.arena, f.policy, NULL);
        assert_int_equal(sl_doc_parse(f.issues.arena, sl_slice_of(record), NULL, &doc, NULL), SL_OK);
        assert_int_equal(sl_kin_read(kin, labeller, &doc, 0), SL_OK);
        f.directives.kin = kin;
        struct sl_recipient he = {.roles = roles,
            .role_count = 1,
            .organization = SL_LIT("Organization/b"),
            .relationships = &self,
            .relationship_count = cases[i].self,
            .purpose = order ? SL_LIT("HLEGAL") : SL_LIT("TREAT")};
        struct sl_item item = {.type = SL_R4_Observation,
            .id = SL_LIT("o"),
            .classes = classes_of(&f, "chart"),
            .date_from = SL_LIT("2026-05-01")};
        item.held = sl_registered_held(sl_registered_find(r, SL_R4_Observation, item.id), NULL, f.issues.arena);
        assert_int_equal(
            sl_ruling_new_under(f.issues.arena, f.policy, &he, &patient, 1, &f.directives, r, NOW, &ruling), SL_OK);
        if ((sl_decide_item(ruling, &item).decision == SL_RELEASED) != cases[i].goes)
            fail_msg("case %zu", i);
        sl_registered_unref(r);
        end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(staff_have_their_own_programs_records),
        cmocka_unit_test(whom_a_consent_names_needs_no_other_party),
        cmocka_unit_test(nobody_writes_them_anew),
        cmocka_unit_test(ages_fail_in_the_direction_of_the_rule),
        cmocka_unit_test(states_and_authors_are_told_by_the_record),
        cmocka_unit_test(records_tell_age_and_state),
        cmocka_unit_test(an_order_is_both_halves_and_covers_what_it_says),
        cmocka_unit_test(a_restriction_keeps_the_whole_record_back_from_whom_it_names),
        cmocka_unit_test(an_entry_binds_every_number_of_a_person),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
