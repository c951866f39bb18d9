/* SPDX-License-Identifier: Apache-2.0 */
/* Decisions with the shipped policy: party by purpose by consent by class, and what must hold for all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sluice/decide.h"
#include "sluice/terminology.h"

#define NOW 1780272000 /* 2026-06-01 */

static struct sl_policy *policy;

static const struct sl_emergency complete = {
    {"Dr. A", 5}, {"Hospital", 8}, {"Clinic", 6}, {"found unconscious", 17}, true, 0};

/* ---- Consents, as FHIR ---- */

#define CONSENT(id, patient, category, form, type, more)                                                               \
    "{\"resourceType\":\"Consent\",\"id\":\"" id "\",\"status\":\"active\",\"scope\":{\"coding\":[{\"system\":"        \
    "\"http://terminology.hl7.org/CodeSystem/"                                                                         \
    "consentscope\",\"code\":\"patient-privacy\"}]},\"category\":[{\"coding\":[{" category                             \
    "}]}],\"patient\":{\"reference\":\"Patient/" patient "\"},\"dateTime\":\"2026-01-0" id "\",\"performer\":[{"       \
    "\"reference\":\"Patient/" patient                                                                                 \
    "\"}],\"organization\":[{\"reference\":\"Organization/holder\"}],\"sourceAttachment\":{\"title\":\"x\"},"          \
    "\"policy\":[{\"uri\":\"urn:sluice:form:" form "\"}],\"provision\":{\"type\":\"" type "\"" more "}}"
#define PART2 "\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ActCode\",\"code\":\"42CFRPart2CD\""
#define GENERAL "\"system\":\"http://loinc.org\",\"code\":\"59284-0\""
#define PURPOSE(code) "{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ActReason\",\"code\":\"" code "\"}"
#define TPO ",\"purpose\":[" PURPOSE("TREAT") "," PURPOSE("HPAYMT") "," PURPOSE("HOPERAT") "]"
#define TO_ALL                                                                                                         \
    ",\"actor\":[{\"role\":{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ParticipationType\","   \
    "\"code\":\"IRCP\"}]},\"reference\":{\"reference\":\"Device/test\"}}],\"period\":{\"end\":\"2099-12-31\"}"
#define TREAT ",\"purpose\":[" PURPOSE("TREAT") "]"
#define ONLY(reference) ",\"data\":[{\"meaning\":\"instance\",\"reference\":{\"reference\":\"" reference "\"}}]"
#define LABEL(code)                                                                                                    \
    ",\"securityLabel\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ActCode\",\"code\":\"" code "\"}]"

static const char tpo_of_p[] = CONSENT("1", "p", PART2, "part2-tpo-2024", "permit", TPO);
static const char tpo_of_q[] = CONSENT("2", "q", PART2, "part2-tpo-2024", "permit", TPO);
static const char general_of_p[] = CONSENT("3", "p", GENERAL, "x", "permit", TPO);
static const char treat_of_p[] = CONSENT("4", "p", PART2, "part2-specific-2024", "permit", TREAT TO_ALL);
static const char one_of_p[] = CONSENT("5", "p", PART2, "part2-tpo-2024", "permit", TPO ONLY("Observation/a"));
static const char denial_of_p[] = CONSENT("6", "p", GENERAL, "x", "deny", TPO);
static const char denial_of_one[] = CONSENT("7", "p", GENERAL, "x", "deny", ONLY("Observation/a"));
static const char denial_of_hiv[] = CONSENT("8", "p", GENERAL, "x", "deny", LABEL("HIV"));
static const char without_purpose[] = CONSENT("9", "p", PART2, "part2-tpo-2024", "permit", "");

/* ---- Building ---- */

struct asked {
    struct sl_arena *arena;
    struct sl_directives directives;
    struct sl_ruling *ruling;
};

static void add_consent(struct asked *a, const char *text)
{
    struct sl_doc *doc = sl_arena_alloc(a->arena, sizeof *doc);
    assert_non_null(doc);
    assert_int_equal(sl_doc_parse(a->arena, sl_slice_of(text), NULL, doc, NULL), SL_OK);
    assert_int_equal(sl_directive_read(a->arena, doc, 0, NULL, &a->directives), SL_OK);
}

static void begin(struct asked *a)
{
    *a = (struct asked){.arena = sl_arena_new((size_t)32 << 20)};
    assert_non_null(a->arena);
}

static const char *strdup_in(struct asked *a, const char *text)
{
    struct sl_slice copy = sl_arena_copy(a->arena, sl_slice_of(text));
    assert_non_null(copy.ptr);
    return copy.ptr;
}

static void rule(struct asked *a, const struct sl_recipient *r, const struct sl_slice *patients, size_t count)
{
    assert_int_equal(sl_ruling_new(a->arena, policy, r, patients, count, &a->directives, NOW, &a->ruling), SL_OK);
}

static struct sl_classes classes_of(const char *ids)
{
    struct sl_classes classes = {0};
    for (const char *at = ids; *at;) {
        size_t len = strcspn(at, " ");
        unsigned bit = sl_policy_class_find(policy, (struct sl_slice){at, len});
        if (bit == SL_CLASS_LIMIT)
            fail_msg("no class %.*s", (int)len, at);
        sl_classes_add(&classes, bit);
        at += len + (at[len] == ' ');
    }
    return classes;
}

static struct sl_item item_of(const char *ids)
{
    return (struct sl_item){.type = SL_R4_Observation,
        .id = SL_LIT("a"),
        .custodian = SL_LIT("Organization/holder"),
        .classes = classes_of(ids)};
}

static const struct sl_slice p = {"Patient/p", 9}, q = {"Patient/q", 9};

static struct sl_verdict decide(const struct sl_recipient *r, const char *consent, const char *ids)
{
    struct asked a;
    struct sl_item item = item_of(ids);
    begin(&a);
    if (consent)
        add_consent(&a, consent);
    rule(&a, r, &p, 1);
    struct sl_verdict verdict = sl_decide_item(a.ruling, &item);
    sl_arena_free(a.arena);
    return verdict;
}

/* ---- Party by purpose by consent by class ---- */

#define RELEASED NULL

static void each_party_gets_what_the_policy_says(void **state)
{
    (void)state;
    static const struct {
        const char *party, *purpose, *consent, *classes, *why; /* why: RELEASED, or the literal, or the rule */
    } cases[] = {
        {"treating-provider", "TREAT", NULL, "chart", RELEASED},
        {"treating-provider", "COC", NULL, "hiv chart", RELEASED},
        {"treating-provider", "CAREMGT", NULL, "mental-health chart", RELEASED},
        {"treating-provider", "HPAYMT", NULL, "chart", "no-release-rule"},
        {"treating-provider", "HLEGAL", NULL, "chart", "no-release-rule"},
        {"treating-provider", "POPHLTH", NULL, "chart", "no-release-rule"},
        {"treating-provider", "", NULL, "chart", "no-release-rule"},
        {"treating-provider", "NONSENSE", NULL, "chart", "no-release-rule"},
        {"treating-provider", "TREAT", NULL, "part2 chart", "part2-needs-consent"},
        {"treating-provider", "TREAT", tpo_of_p, "part2 chart", RELEASED},
        {"treating-provider", "TREAT", treat_of_p, "part2 sud chart", RELEASED},
        {"treating-provider", "TREAT", tpo_of_q, "part2 chart", "part2-needs-consent"},
        {"treating-provider", "TREAT", general_of_p, "part2 chart", "part2-needs-consent"},
        {"treating-provider", "TREAT", without_purpose, "part2 chart", "part2-needs-consent"},
        {"treating-provider", "TREAT", tpo_of_p, "part2 sud-counseling-note document",
            "sud-counseling-notes-need-their-own"},
        {"treating-provider", "TREAT", tpo_of_p, "psychotherapy-note document",
            "psychotherapy-notes-need-authorization"},
        {"treating-provider", "TREAT", NULL, "ai-draft document", "no-release-rule"},
        {"treating-provider", "TREAT", denial_of_p, "chart", "denied-by-consent"},
        {"treating-provider", "MLTRAINING", NULL, "chart", "no-machine-learning-training"},
        {"treating-provider", "HMARKT", tpo_of_p, "chart", "marketing-needs-authorization"},
        {"hie-partner", "TREAT", NULL, "chart", RELEASED},
        {"hie-partner", "TREAT", NULL, "unclassified chart", RELEASED},
        {"hie-partner", "TREAT", NULL, "sud chart", "no-release-rule"},
        {"hie-partner", "TREAT", general_of_p, "sud chart", RELEASED},
        {"hie-partner", "TREAT", tpo_of_p, "sud chart", RELEASED},
        {"hie-partner", "TREAT", tpo_of_p, "hiv chart", "no-release-rule"},
        {"hie-partner", "TREAT", tpo_of_p, "part2 sud chart", RELEASED},
        {"hie-partner", "TREAT", tpo_of_p, "part2 mental-health chart", "no-release-rule"},
        {"hie-partner", "TREAT", general_of_p, "part2 mental-health chart", "part2-needs-consent"},
        {"hie-partner", "HPAYMT", NULL, "chart", "no-release-rule"},
        {"hie-partner", "TREAT", NULL, "billing", "no-release-rule"},
        {"hie-partner", "TREAT", NULL, "unread chart", "unread-attachments-stay"},
        {"hie-partner", "TREAT", general_of_p, "unread chart", "unread-attachments-stay"},
        {"hie-partner", "TREAT", NULL, "free-text chart", "free-text-to-partners-on-consent"},
        {"hie-partner", "TREAT", general_of_p, "free-text chart", RELEASED},
        {"front-desk", "PATADMIN", NULL, "scheduling", RELEASED},
        {"front-desk", "HOPERAT", NULL, "demographic", RELEASED},
        {"front-desk", "ELIGVER", NULL, "demographic", RELEASED},
        {"front-desk", "TREAT", NULL, "scheduling", "no-release-rule"},
        {"front-desk", "HOPERAT", NULL, "chart", "no-release-rule"},
        {"front-desk", "HOPERAT", NULL, "part2 scheduling", "part2-needs-consent"},
        {"front-desk", "HOPERAT", tpo_of_p, "part2 scheduling", RELEASED},
        {"front-desk", "HOPERAT", tpo_of_p, "part2 chart", "no-release-rule"},
        {"health-plan", "HPAYMT", NULL, "billing", RELEASED},
        {"health-plan", "COVAUTH", NULL, "chart", RELEASED},
        {"health-plan", "HPAYMT", NULL, "document", "no-release-rule"},
        {"health-plan", "HPAYMT", NULL, "mental-health billing", "no-release-rule"},
        {"health-plan", "HPAYMT", general_of_p, "mental-health billing", RELEASED},
        {"health-plan", "HPAYMT", tpo_of_p, "part2 sud billing", RELEASED},
        {"health-plan", "HPAYMT", treat_of_p, "part2 sud billing", "part2-needs-consent"},
        {"health-plan", "HPAYMT", NULL, "unclassified billing", "no-release-rule"},
        {"health-plan", "TREAT", NULL, "chart", "no-release-rule"},
        {"patient", "PATRQT", NULL, "part2 sud chart", RELEASED},
        {"patient", "PATRQT", NULL, "unread free-text document", RELEASED},
        {"patient", "PATRQT", NULL, "psychotherapy-note document", "psychotherapy-notes-need-authorization"},
        {"patient", "PATRQT", NULL, "sud-counseling-note document", "sud-counseling-notes-need-their-own"},
        {"patient", "TREAT", NULL, "chart", "no-release-rule"},
        {"ai-agent", "TREAT", NULL, "chart", RELEASED},
        {"ai-agent", "TREATDS", NULL, "demographic", RELEASED},
        {"ai-agent", "TREAT", general_of_p, "sud chart", "no-release-rule"},
        {"ai-agent", "TREAT", NULL, "document", "no-release-rule"},
        {"ai-agent", "TREAT", NULL, "unclassified chart", "no-release-rule"},
        {"ai-agent", "TREAT", NULL, "substance-evidence chart", "weak-evidence-stays"},
        {"ai-agent", "MLTRAINING", general_of_p, "chart", "no-machine-learning-training"},
        {"research-feed", "HRESCH", general_of_p, "chart", "no-release-rule"},
        {"research-feed", "HRESCH", NULL, "directory", RELEASED},
        {"emergency-clinician", "BTG", NULL, "chart", "no-release-rule"}, /* nothing declared */
        {"no-such-party", "TREAT", NULL, "chart", "no-release-rule"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_recipient r = {
            .client = SL_LIT("test"), .party = sl_slice_of(cases[i].party), .purpose = sl_slice_of(cases[i].purpose)};
        struct sl_verdict v = decide(&r, cases[i].consent, cases[i].classes);
        struct sl_slice why = v.cause.rule ? v.cause.rule->id : sl_slice_of(v.cause.why);
        bool released = v.decision == SL_RELEASED;
        if (released != (cases[i].why == RELEASED) || (!released && !sl_slice_eq(why, sl_slice_of(cases[i].why))))
            fail_msg("case %zu: %s %s %s: %s by %.*s", i, cases[i].party, cases[i].purpose, cases[i].classes,
                released ? "released" : "withheld", SL_FMT(why));
        assert_true(v.decision == SL_RELEASED || v.decision == SL_WITHHELD);
    }
}

/* ---- Who somebody is ---- */

static void parties_come_from_roles_kinds_and_proven_relationships(void **state)
{
    (void)state;
    static const struct sl_slice physician[] = {{"physician", 9}}, agent[] = {{"ai-agent", 8}},
                                 payer[] = {{"payer", 5}};
    static const struct {
        const struct sl_slice *roles, *kinds;
        const char *kind, *patient;
        enum sl_voucher voucher;
        enum sl_decision decision;
    } cases[] = {
        {physician, NULL, "treating", "Patient/p", SL_BY_TOKEN, SL_RELEASED},
        {physician, NULL, "care-team", "Patient/p", SL_BY_REGISTRY, SL_RELEASED},
        {physician, NULL, "treating", "*", SL_BY_RECORD, SL_RELEASED},
        {physician, NULL, "treating", "Patient/q", SL_BY_TOKEN, SL_WITHHELD},
        {physician, NULL, "treating", "Patient/p", SL_BY_NOBODY, SL_WITHHELD},
        {physician, NULL, "treating", "Patient/p", SL_BY_DECLARATION, SL_WITHHELD},
        {physician, NULL, "neighbour", "Patient/p", SL_BY_TOKEN, SL_WITHHELD},
        {physician, NULL, "treating", "", SL_BY_TOKEN, SL_WITHHELD},
        {NULL, NULL, "treating", "Patient/p", SL_BY_TOKEN, SL_WITHHELD},
        {physician, agent, "treating", "Patient/p", SL_BY_TOKEN, SL_WITHHELD},
        {physician, payer, "treating", "Patient/p", SL_BY_TOKEN, SL_WITHHELD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_relationship relationship = {
            .kind = sl_slice_of(cases[i].kind), .patient = sl_slice_of(cases[i].patient), .voucher = cases[i].voucher};
        struct sl_recipient r = {.client = SL_LIT("test"),
            .purpose = SL_LIT("TREAT"),
            .roles = cases[i].roles,
            .role_count = cases[i].roles != NULL,
            .kinds = cases[i].kinds,
            .kind_count = cases[i].kinds != NULL,
            .relationships = &relationship,
            .relationship_count = 1};
        if (decide(&r, NULL, "mental-health chart").decision != cases[i].decision)
            fail_msg("case %zu", i);
    }
    struct sl_recipient nobody = {0};
    assert_int_equal(decide(&nobody, tpo_of_p, "directory").decision, SL_WITHHELD);
}

static void an_emergency_is_one_only_when_complete(void **state)
{
    (void)state;
    static const struct {
        struct sl_emergency emergency;
        bool complete;
    } cases[] = {
        {{{"A", 1}, {"B", 1}, {"C", 1}, {"D", 1}, true, 0}, true},
        {{{"A", 1}, {"B", 1}, {"C", 1}, {"D", 1}, false, 0}, false},
        {{{"", 0}, {"B", 1}, {"C", 1}, {"D", 1}, true, 0}, false},
        {{{"A", 1}, {" \t", 2}, {"C", 1}, {"D", 1}, true, 0}, false},
        {{{"A", 1}, {"B", 1}, {NULL, 0}, {"D", 1}, true, 0}, false},
        {{{"A", 1}, {"B", 1}, {"C", 1}, {"\n", 1}, true, 0}, false},
    };
    assert_false(sl_emergency_complete(NULL));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_recipient r = {.client = SL_LIT("test"),
            .party = SL_LIT("emergency-clinician"),
            .purpose = SL_LIT("BTG"),
            .emergency = &cases[i].emergency};
        assert_int_equal(sl_emergency_complete(&cases[i].emergency), cases[i].complete);
        assert_int_equal(decide(&r, NULL, "part2 hiv chart").decision, cases[i].complete ? SL_RELEASED : SL_WITHHELD);
        assert_int_equal(sl_admit(policy, &r), cases[i].complete ? SL_OK : SL_EMERGENCY_INCOMPLETE);
        assert_int_equal(decide(&r, NULL, "psychotherapy-note document").decision, SL_WITHHELD);
    }
}

static void admission_goes_by_party_and_policy_alone(void **state)
{
    (void)state;
    static const struct sl_slice physician[] = {{"physician", 9}}, stranger[] = {{"stranger", 8}};
    static const struct {
        const char *party, *purpose;
        const struct sl_slice *roles;
        const struct sl_emergency *emergency;
        enum sl_status status;
    } cases[] = {
        {"treating-provider", "TREAT", NULL, NULL, SL_OK},
        {"treating-provider", "HMARKT", NULL, NULL, SL_FORBIDDEN},
        {"treating-provider", "HLEGAL", NULL, NULL, SL_FORBIDDEN},
        {"treating-provider", "", NULL, NULL, SL_FORBIDDEN},
        {"", "TREAT", physician, NULL,
            SL_OK}, /* whether he treats the patient shows later, and looks like an empty record */
        {"", "TREAT", stranger, NULL, SL_FORBIDDEN},
        {"", "TREAT", NULL, NULL, SL_FORBIDDEN},
        {"", "BTG", physician, NULL, SL_EMERGENCY_INCOMPLETE},
        {"", "BTG", physician, &complete, SL_OK},
        {"", "BTG", stranger, &complete, SL_FORBIDDEN},
        {"emergency-clinician", "ETREAT", NULL, NULL, SL_EMERGENCY_INCOMPLETE},
        {"front-desk", "MLTRAINING", NULL, NULL, SL_FORBIDDEN},
        {"no-such-party", "TREAT", NULL, NULL, SL_FORBIDDEN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_recipient r = {.client = SL_LIT("test"),
            .party = sl_slice_of(cases[i].party),
            .purpose = sl_slice_of(cases[i].purpose),
            .roles = cases[i].roles,
            .role_count = cases[i].roles != NULL,
            .emergency = cases[i].emergency};
        enum sl_status status = sl_admit(policy, &r);
        if (status != cases[i].status)
            fail_msg("case %zu: %s", i, sl_status_name(status));
    }
}

/* ---- Patients and items ---- */

static void several_patients_are_the_and_of_their_masks(void **state)
{
    (void)state;
    const struct sl_slice both[] = {p, q};
    struct sl_recipient r = {
        .client = SL_LIT("test"), .party = SL_LIT("treating-provider"), .purpose = SL_LIT("TREAT")};
    struct sl_item item = item_of("part2 chart");
    for (int given = 0; given < 4; given++) {
        struct asked a;
        begin(&a);
        if (given & 1)
            add_consent(&a, tpo_of_p);
        if (given & 2)
            add_consent(&a, tpo_of_q);
        rule(&a, &r, both, 2);
        assert_int_equal(sl_decide_item(a.ruling, &item).decision, given == 3 ? SL_RELEASED : SL_WITHHELD);
        sl_arena_free(a.arena);
    }
    struct asked a;
    begin(&a);
    add_consent(&a, tpo_of_p);
    add_consent(&a, tpo_of_q);
    add_consent(&a, denial_of_p);
    rule(&a, &r, both, 2);
    struct sl_verdict verdict = sl_decide_item(a.ruling, &item);
    assert_string_equal(verdict.cause.why, "denied-by-consent");
    assert_true(sl_slice_eq(verdict.cause.directive, SL_LIT("Consent/6")));
    sl_arena_free(a.arena);
}

static void of_nobody_there_is_no_consent_and_no_relationship(void **state)
{
    (void)state;
    static const struct sl_slice physician[] = {{"physician", 9}};
    struct sl_relationship relationship = {.kind = SL_LIT("treating"), .patient = p, .voucher = SL_BY_TOKEN};
    struct sl_recipient r = {.client = SL_LIT("test"),
        .purpose = SL_LIT("TREAT"),
        .roles = physician,
        .role_count = 1,
        .relationships = &relationship,
        .relationship_count = 1};
    struct asked a;
    begin(&a);
    add_consent(&a, tpo_of_p);
    rule(&a, &r, NULL, 0);
    struct sl_item observation = item_of("chart"), organization = item_of("directory"), medication = item_of("chart");
    organization.type = SL_R4_Organization;
    medication.type = SL_R4_Medication;
    assert_string_equal(sl_decide_item(a.ruling, &observation).cause.why, "no-patient");
    assert_int_equal(sl_decide_item(a.ruling, &organization).decision, SL_RELEASED);
    assert_int_equal(sl_decide_item(a.ruling, &medication).decision, SL_RELEASED);
    medication.classes = classes_of("part2 chart");
    assert_int_equal(sl_decide_item(a.ruling, &medication).decision, SL_WITHHELD);
    sl_arena_free(a.arena);
    /* A party that is named has its relationships, with whomever. */
    struct sl_recipient named = {
        .client = SL_LIT("test"), .party = SL_LIT("treating-provider"), .purpose = SL_LIT("TREAT")};
    begin(&a);
    rule(&a, &named, NULL, 0);
    assert_int_equal(sl_decide_item(a.ruling, &observation).decision, SL_RELEASED);
    sl_arena_free(a.arena);
}

static void what_is_not_labelled_is_withheld(void **state)
{
    (void)state;
    struct asked a;
    struct sl_recipient r = {.client = SL_LIT("test"), .party = SL_LIT("patient"), .purpose = SL_LIT("PATRQT")};
    begin(&a);
    rule(&a, &r, &p, 1);
    struct sl_item zero = {0}, restricting = item_of("free-text"), broken = item_of("chart");
    struct sl_part part = {.classes = classes_of("chart")}, plain = {.span = 1};
    broken.unlabelled = "bad-id";
    assert_string_equal(sl_decide_item(a.ruling, &zero).cause.why, "unlabelled");
    assert_string_equal(sl_decide_item(a.ruling, &restricting).cause.why, "unlabelled");
    assert_string_equal(sl_decide_item(a.ruling, &broken).cause.why, "unlabelled");
    assert_int_equal(sl_decide_part(a.ruling, &broken, &part).decision, SL_WITHHELD);
    struct sl_item good = item_of("chart");
    assert_int_equal(sl_decide_part(a.ruling, &good, &plain).decision, SL_RELEASED); /* as its resource */
    assert_int_equal(sl_decide_item(a.ruling, &good).decision, SL_RELEASED);
    sl_classes_add(&good.classes, (unsigned)sl_policy_class_count(policy)); /* a class the policy does not have */
    assert_int_equal(sl_decide_item(a.ruling, &good).decision, SL_WITHHELD);
    sl_arena_free(a.arena);
}

static void a_consent_can_hold_for_one_item(void **state)
{
    (void)state;
    struct sl_recipient r = {
        .client = SL_LIT("test"), .party = SL_LIT("treating-provider"), .purpose = SL_LIT("TREAT")};
    struct sl_item a_item = item_of("part2 chart"), b_item = a_item;
    struct asked a;
    b_item.id = SL_LIT("b");
    begin(&a);
    add_consent(&a, one_of_p);
    rule(&a, &r, &p, 1);
    assert_true(sl_ruling_by_item(a.ruling, &a_item.classes));
    assert_int_equal(sl_decide_item(a.ruling, &a_item).decision, SL_RELEASED);
    assert_int_equal(sl_decide_item(a.ruling, &b_item).decision, SL_WITHHELD);
    sl_arena_free(a.arena);
    begin(&a);
    add_consent(&a, tpo_of_p);
    add_consent(&a, denial_of_one);
    rule(&a, &r, &p, 1);
    assert_int_equal(sl_decide_item(a.ruling, &a_item).decision, SL_WITHHELD);
    assert_int_equal(sl_decide_item(a.ruling, &b_item).decision, SL_RELEASED);
    sl_arena_free(a.arena);
    begin(&a);
    rule(&a, &r, &p, 1);
    assert_false(sl_ruling_by_item(a.ruling, &a_item.classes));
    sl_arena_free(a.arena);
    begin(&a);
    r.user_reference = SL_LIT("Practitioner/x");
    rule(&a, &r, &p, 1);
    struct sl_item note = item_of("sud-counseling-note document"); /* who wrote one may read it */
    assert_true(sl_ruling_by_item(a.ruling, &note.classes));
    assert_false(sl_ruling_by_item(a.ruling, &a_item.classes));
    sl_arena_free(a.arena);
}

#define FROM(organization)                                                                                             \
    ",\"actor\":[{\"role\":{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/"                          \
    "v3-ParticipationType\",\"code\":\"CST\"}]},\"reference\":{\"reference\":\"Organization/" organization "\"}}]"

/* A name of this number as the items' organizations have it; every seventh is too long to be kept. */
static struct sl_slice discloser(char room[256], unsigned number)
{
    int length = snprintf(room, 256, "Organization/d%u", number);
    if (number % 7 == 6)
        length += snprintf(room + length, 256 - (size_t)length, "%0200d", 0);
    return (struct sl_slice){room, (size_t)length};
}

/* One ruling for all items, against one made for each: who discloses in any order, more of them than are kept, and
 * names whose room is used for other names afterwards. */
static void each_discloser(const char *const *consents, size_t count)
{
    struct sl_recipient r = {
        .party = SL_LIT("treating-provider"), .purpose = SL_LIT("TREAT"), .organization = SL_LIT("Organization/d2")};
    struct asked together, alone;
    unsigned released = 0, draw = 7;
    char room[3][256];
    begin(&together);
    for (size_t i = 0; i < count; i++)
        add_consent(&together, consents[i]);
    rule(&together, &r, &p, 1);
    for (unsigned i = 0; i < 3000; i++) {
        struct sl_item item = item_of(draw % 3 ? "part2 chart" : "chart");
        item.id = draw % 5 ? SL_LIT("b") : SL_LIT("a");
        struct sl_slice *const names[] = {&item.custodian, &item.program, &item.named_program};
        for (unsigned n = 0; n < 3; n++) {
            draw = draw * 1103515245u + 12345u;
            if (draw >> 16 & 3)
                *names[n] = discloser(room[n], (draw >> 18) % 14);
        }
        begin(&alone);
        alone.directives = together.directives;
        rule(&alone, &r, &p, 1);
        struct sl_verdict kept = sl_decide_item(together.ruling, &item), fresh = sl_decide_item(alone.ruling, &item);
        assert_int_equal(kept.decision, fresh.decision);
        assert_string_equal(kept.cause.why, fresh.cause.why);
        assert_ptr_equal(kept.cause.rule, fresh.cause.rule);
        assert_int_equal(kept.cause.class_bit, fresh.cause.class_bit);
        assert_true(sl_slice_eq(kept.cause.directive, fresh.cause.directive));
        released += kept.decision == SL_RELEASED;
        if (kept.decision == SL_RELEASED) {
            struct sl_release a, b;
            assert_int_equal(sl_ruling_release(together.ruling, &item, alone.arena, &a), SL_OK);
            assert_int_equal(sl_ruling_release(alone.ruling, &item, alone.arena, &b), SL_OK);
            assert_true(sl_slice_eq(a.consent, b.consent) && a.notice == b.notice && a.label_count == b.label_count);
        }
        sl_arena_free(alone.arena);
    }
    assert_in_range(released, 500, 2500);
    sl_arena_free(together.arena);
}

static void what_is_kept_of_disclosers_is_what_each_item_gets(void **state)
{
    (void)state;
    static const char *const by_discloser[] = {CONSENT("1", "p", PART2, "part2-tpo-2024", "permit", TPO FROM("d1")),
        CONSENT("2", "p", PART2, "part2-tpo-2024", "permit", TPO FROM("d3")),
        CONSENT("3", "p", PART2, "part2-tpo-2024", "permit", TPO FROM("d9")),
        CONSENT("4", "p", GENERAL, "x", "deny", FROM("d5")), CONSENT("6", "p", GENERAL, "x", "permit", TPO)};
    static const char *const mixed[] = {CONSENT("1", "p", PART2, "part2-tpo-2024", "permit", TPO FROM("d1")),
        CONSENT("2", "p", PART2, "part2-tpo-2024", "permit", TPO FROM("d3")),
        CONSENT("5", "p", PART2, "part2-tpo-2024", "permit", TPO ONLY("Observation/a")),
        CONSENT("7", "p", GENERAL, "x", "deny", FROM("d5") ONLY("Observation/a"))};
    each_discloser(by_discloser, sizeof by_discloser / sizeof *by_discloser);
    each_discloser(mixed, sizeof mixed / sizeof *mixed);
}

static void a_denial_by_label_reaches_elements(void **state)
{
    (void)state;
    struct sl_recipient r = {
        .client = SL_LIT("test"), .party = SL_LIT("treating-provider"), .purpose = SL_LIT("TREAT")};
    struct sl_item item = item_of("chart"), hiv = item_of("hiv chart");
    struct sl_part part = {.classes = classes_of("hiv")}, other = {.classes = classes_of("sud")};
    struct asked a;
    begin(&a);
    add_consent(&a, denial_of_hiv);
    rule(&a, &r, &p, 1);
    assert_int_equal(sl_decide_item(a.ruling, &item).decision, SL_RELEASED);
    assert_int_equal(sl_decide_item(a.ruling, &hiv).decision, SL_WITHHELD);
    assert_int_equal(sl_decide_part(a.ruling, &item, &part).decision, SL_WITHHELD);
    assert_int_equal(sl_decide_part(a.ruling, &item, &other).decision, SL_RELEASED);
    sl_arena_free(a.arena);
}

static void a_program_sees_its_own(void **state)
{
    (void)state;
    struct sl_recipient r = {.client = SL_LIT("test"),
        .party = SL_LIT("treating-provider"),
        .purpose = SL_LIT("TREAT"),
        .organization = SL_LIT("Organization/program")};
    struct sl_item own = item_of("part2 chart"), other = own, none = own;
    struct asked a;
    own.program = SL_LIT("Organization/program");
    other.program = SL_LIT("Organization/other");
    begin(&a);
    rule(&a, &r, &p, 1);
    assert_int_equal(sl_decide_item(a.ruling, &own).decision, SL_RELEASED);
    assert_int_equal(sl_decide_item(a.ruling, &other).decision, SL_WITHHELD);
    assert_int_equal(sl_decide_item(a.ruling, &none).decision, SL_WITHHELD);
    r.organization = SL_LIT("");
    rule(&a, &r, &p, 1);
    assert_int_equal(sl_decide_item(a.ruling, &none).decision, SL_WITHHELD);
    sl_arena_free(a.arena);
}

/* ---- What goes always or never ---- */

static void narrative_goes_by_party_and_purpose_whatever_consents_say(void **state)
{
    (void)state;
    static const struct {
        const char *party, *purpose;
        bool text, sud, part2;
    } cases[] = {
        {"treating-provider", "TREAT", false, true, false},
        {"emergency-clinician", "BTG", true, true, true},
        {"patient", "PATRQT", true, true, true},
        {"hie-partner", "TREAT", false, false, false},
        {"front-desk", "HOPERAT", false, false, false},
        {"health-plan", "HPAYMT", false, false, false},
        {"ai-agent", "TREAT", false, false, false},
        {"research-feed", "HRESCH", false, false, false},
        {"patient", "TREAT", false, false, false},
    };
    static const char *const consents[] = {NULL, tpo_of_p, general_of_p, denial_of_p, one_of_p};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t c = 0; c < sizeof consents / sizeof *consents; c++) {
            struct sl_recipient r = {.client = SL_LIT("test"),
                .party = sl_slice_of(cases[i].party),
                .purpose = sl_slice_of(cases[i].purpose),
                .emergency = i == 1 ? &complete : NULL};
            struct asked a;
            begin(&a);
            if (consents[c])
                add_consent(&a, consents[c]);
            rule(&a, &r, &p, 1);
            if (sl_ruling_may_text(a.ruling) != cases[i].text ||
                sl_ruling_may(a.ruling, sl_policy_class_find(policy, SL_LIT("sud"))) != cases[i].sud ||
                sl_ruling_may(a.ruling, sl_policy_class_find(policy, SL_LIT("part2"))) != cases[i].part2)
                fail_msg("case %zu, consent %zu", i, c);
            assert_false(sl_ruling_may(a.ruling, SL_CLASS_LIMIT));
            assert_false(sl_ruling_may(a.ruling, (unsigned)sl_policy_class_count(policy)));
            sl_arena_free(a.arena);
        }
}

/* ---- Duties ---- */

static bool labelled(const struct sl_release *release, const char *code)
{
    for (size_t i = 0; i < release->label_count; i++)
        if (sl_slice_eq(release->labels[i].code, sl_slice_of(code)))
            return true;
    return false;
}

static void release(
    const struct sl_recipient *r, const char *consent, struct sl_item *item, struct asked *a, struct sl_release *out)
{
    begin(a);
    if (consent)
        add_consent(a, consent);
    rule(a, r, &p, 1);
    assert_int_equal(sl_decide_item(a->ruling, item).decision, SL_RELEASED);
    assert_int_equal(sl_ruling_release(a->ruling, item, a->arena, out), SL_OK);
}

static void duties_come_from_the_rules_relied_on(void **state)
{
    (void)state;
    struct sl_recipient treating = {
        .client = SL_LIT("test"), .party = SL_LIT("treating-provider"), .purpose = SL_LIT("TREAT")};
    struct sl_recipient emergency = {
        .party = SL_LIT("emergency-clinician"), .purpose = SL_LIT("BTG"), .emergency = &complete};
    struct sl_item program = item_of("part2 sud opioid chart"), plain = item_of("chart");
    struct sl_release out;
    struct asked a;
    release(&treating, tpo_of_p, &program, &a, &out);
    assert_int_equal(out.confidentiality, 'R');
    assert_true(out.notice && out.account && !out.emergency_record);
    assert_true(labelled(&out, "42CFRPart2") && labelled(&out, "SUD") && labelled(&out, "OPIOIDUD") &&
                labelled(&out, "CPLYJPP") && labelled(&out, "RedisclosureProhibitionMark"));
    assert_false(labelled(&out, "NORDSCLCD") || labelled(&out, "CPLYCD") || labelled(&out, "R"));
    assert_true(sl_slice_eq(out.consent, SL_LIT("Consent/1")));
    assert_true(sl_slice_starts(out.statement, sl_policy_short_notice(policy)));
    assert_true(out.statement.len > sl_policy_short_notice(policy).len); /* and the scope */
    sl_arena_free(a.arena);
    release(&treating, tpo_of_p, &plain, &a, &out);
    assert_int_equal(out.confidentiality, 'N');
    assert_true(!out.notice && !out.consent.len && !out.statement.len && !out.account && out.label_count == 0);
    sl_arena_free(a.arena);
    release(&treating, treat_of_p, &program, &a, &out);
    assert_true(labelled(&out, "NORDSCLCD") && labelled(&out, "CPLYCD") && out.notice);
    sl_arena_free(a.arena);
    release(&emergency, NULL, &program, &a, &out);
    assert_true(
        out.emergency_record && out.account && !out.notice && labelled(&out, "BTG") && labelled(&out, "NORDSCLCD"));
    sl_arena_free(a.arena);
}

static void labels_are_of_what_goes_out(void **state)
{
    (void)state;
    struct sl_recipient r = {
        .client = SL_LIT("test"), .party = SL_LIT("treating-provider"), .purpose = SL_LIT("TREAT")};
    struct sl_part parts[] = {{.classes = classes_of("hiv")}, {.classes = classes_of("genetic"), .cut = true}};
    struct sl_item item = item_of("chart");
    struct sl_release out;
    struct asked a;
    item.parts = parts;
    item.part_count = 2;
    release(&r, NULL, &item, &a, &out);
    assert_true(labelled(&out, "HIV"));
    assert_false(labelled(&out, "GDIS"));
    assert_int_equal(out.confidentiality, 'R');
    sl_arena_free(a.arena);
}

static void rules_relied_on_are_named(void **state)
{
    (void)state;
    struct sl_recipient r = {
        .client = SL_LIT("test"), .party = SL_LIT("treating-provider"), .purpose = SL_LIT("TREAT")};
    const struct sl_rule_view *rules[8];
    struct sl_item item = item_of("part2 chart");
    struct sl_buffer text;
    struct asked a;
    begin(&a);
    add_consent(&a, tpo_of_p);
    rule(&a, &r, &p, 1);
    assert_int_equal(sl_ruling_rules(a.ruling, &item, rules, 8), 2);
    assert_true(sl_slice_eq(rules[0]->id, SL_LIT("part2-needs-consent")));
    assert_true(sl_slice_eq(rules[1]->id, SL_LIT("treating-provider-sees-the-record")));
    assert_int_equal(sl_ruling_rules(a.ruling, &item, rules, 1), 1);
    size_t count;
    assert_true(sl_slice_eq(sl_ruling_parties(a.ruling, &count)[0], SL_LIT("treating-provider")));
    assert_int_equal(count, 1);
    sl_buffer_init(&text, (size_t)1 << 20);
    assert_int_equal(sl_explain(a.ruling, &item, &text), SL_OK);
    sl_buffer_add(&text, (struct sl_slice){"", 1});
    assert_non_null(strstr(text.ptr, "Observation/a released"));
    assert_non_null(strstr(text.ptr, "part2-needs-consent (withhold) is silent: a line of its unless holds"));
    assert_non_null(strstr(text.ptr, "treating-provider-sees-the-record (release) speaks"));
    assert_non_null(strstr(text.ptr, "is about other parties"));
    assert_non_null(strstr(text.ptr, "is for other purposes"));
    sl_buffer_fini(&text);
    sl_arena_free(a.arena);
}

static void the_smallest_change_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *party, *purpose, *classes, *consent; /* a consent the patient gave; NULL: none */
        const char *told, *not_told;
    } cases[] = {
        {"treating-provider", "TREAT", "part2 chart", NULL,
            "it would be released if the patient gave the consent part2-tpo", "no change of fact"},
        {"treating-provider", "TREAT", "part2 chart", tpo_of_p, "it would be withheld if the purpose were",
            "it would be released if"},
        {"treating-provider", "TREAT", "chart", denial_of_p,
            "it would be released if the patient took back the denial Consent/6", "no change of fact"},
        {"health-plan", "HPAYMT", "self-pay billing", NULL, "it would be released were it not of the class self-pay",
            "and,"},
        {"treating-provider", "TREAT", "part2 chart", NULL, "it turns on the rule part2-needs-consent",
            "on no single rule"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_recipient r = {
            .client = SL_LIT("test"), .party = sl_slice_of(cases[i].party), .purpose = sl_slice_of(cases[i].purpose)};
        struct sl_item item = item_of(cases[i].classes);
        struct sl_buffer text;
        struct asked a;
        begin(&a);
        if (cases[i].consent)
            add_consent(&a, cases[i].consent);
        rule(&a, &r, &p, 1);
        sl_buffer_init(&text, (size_t)1 << 20);
        assert_int_equal(sl_explain(a.ruling, &item, &text), SL_OK);
        sl_buffer_add(&text, (struct sl_slice){"", 1});
        if (!strstr(text.ptr, cases[i].told) || strstr(text.ptr, cases[i].not_told))
            fail_msg("case %zu: %s", i, text.ptr);
        sl_buffer_fini(&text);
        sl_arena_free(a.arena);
    }
}

/* ---- What must hold for all ---- */

static uint64_t seed = 1;

static unsigned any(unsigned below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

static struct sl_classes any_classes(void)
{
    struct sl_classes classes = {0};
    for (unsigned n = 1 + any(4); n; n--)
        sl_classes_add(&classes, any((unsigned)sl_policy_class_count(policy)));
    return classes;
}

static void adding_a_class_or_a_denial_never_reveals_more(void **state)
{
    (void)state;
    static const char *const purposes[] = {
        "TREAT", "BTG", "HPAYMT", "HOPERAT", "PATRQT", "HRESCH", "HLEGAL", "PUBHLTH", "CAREMGT"};
    static const char *const consents[] = {tpo_of_p, general_of_p, treat_of_p, one_of_p};
    size_t count, released = 0;
    const struct sl_slice *parties = sl_policy_parties(policy, &count);
    for (unsigned round = 0; round < 4000; round++) {
        struct sl_recipient r = {.client = SL_LIT("test"),
            .party = parties[any((unsigned)count)],
            .purpose = sl_slice_of(purposes[any(9)]),
            .emergency = any(2) ? &complete : NULL};
        struct asked with, without;
        struct sl_item item = item_of("chart"), more;
        begin(&with);
        begin(&without);
        for (unsigned n = any(3); n; n--) {
            const char *consent = consents[any(4)];
            add_consent(&with, consent);
            add_consent(&without, consent);
        }
        add_consent(&with, any(2) ? denial_of_p : any(2) ? denial_of_hiv : denial_of_one);
        rule(&with, &r, &p, 1);
        rule(&without, &r, &p, 1);
        item.classes = any_classes();
        sl_classes_add(&item.classes, sl_policy_class_find(policy, SL_LIT("chart")));
        more = item;
        struct sl_classes added = any_classes();
        sl_classes_join(&more.classes, &added);
        bool plain = sl_decide_item(without.ruling, &item).decision == SL_RELEASED;
        assert_false(!plain && sl_decide_item(without.ruling, &more).decision == SL_RELEASED);
        assert_false(!plain && sl_decide_item(with.ruling, &item).decision == SL_RELEASED);
        released += plain;
        sl_arena_free(with.arena);
        sl_arena_free(without.arena);
    }
    assert_true(released > 200); /* or the property says nothing */
}

/* More kinds of consent that depend on the item than masks are made ahead for: each still does only its own. */
static void many_kinds_that_depend_on_the_item_are_decided_exactly(void **state)
{
    (void)state;
    enum { KINDS = 7 };
    char text[8192];
    size_t at = (size_t)snprintf(
        text, sizeof text, "layer: organization\nparties: [{id: a, title: A, roles: [a]}]\nconsents:\n");
    for (int k = 0; k < KINDS; k++)
        at += (size_t)snprintf(text + at, sizeof text - at,
            "  - {id: k%d, title: K, forms: [{categories: [{system: s, code: k%d}]}]}\n", k, k);
    at += (size_t)snprintf(text + at, sizeof text - at,
        "classes:\n  - {id: chart, title: C, kind: needs-yes, earned-by: {types: others}}\n");
    for (int k = 0; k < KINDS; k++)
        at += (size_t)snprintf(
            text + at, sizeof text - at, "  - {id: c%d, title: C, kind: needs-yes, earned-by: {draft: yes}}\n", k);
    at += (size_t)snprintf(text + at, sizeof text - at, "rules:\n");
    for (int k = 0; k < KINDS; k++)
        at += (size_t)snprintf(text + at, sizeof text - at,
            "  - {id: r%d, title: R, verdict: release, data: [c%d], to: [a], for: any, only-if: {consent: k%d}}\n", k,
            k, k);
    const struct sl_policy_file files[] = {
        {SL_LIT("policy.yaml"), SL_LIT("title: T\nversion: v\nnotice: {version: v, statement: S, short: s}\n")},
        {SL_LIT("house/a.yaml"), {text, at}},
        {SL_LIT("terminology/systems.csv"), SL_LIT("name,uri,kind,form,family,aliases\nx,http://x,code,icd,claims,\n")},
        {SL_LIT("terminology/categories.csv"),
            SL_LIT("id,sensitivity,confidentiality,part2,also_match\nX,SUD,R,yes,\n")},
    };
    struct sl_policy *shipped = policy;
    struct sl_recipient r = {.client = SL_LIT("test"), .party = SL_LIT("a"), .purpose = SL_LIT("TREAT")};
    struct asked a;
    assert_int_equal(sl_policy_load_files(files, 4, NULL, &policy), SL_OK);
    begin(&a);
    for (int k = 0; k < KINDS; k++) {
        char consent[2048];
        const char *item = k % 2 ? "a" : "b"; /* odd kinds cover Observation/a, even ones Observation/b */
        snprintf(consent, sizeof consent,
            CONSENT("1", "p", "\"system\":\"s\",\"code\":\"k%d\"", "x", "permit",
                TPO ",\"data\":[{\"meaning\":\"instance\",\"reference\":{\"reference\":\"Observation/%s\"}}]"),
            k, item);
        add_consent(&a, strdup_in(&a, consent));
    }
    rule(&a, &r, &p, 1);
    for (unsigned set = 1; set < 1u << KINDS; set++) {
        struct sl_item item = {
            .type = SL_R4_Observation, .id = SL_LIT("a"), .custodian = SL_LIT("Organization/holder")};
        for (unsigned k = 0; k < KINDS; k++)
            if (set >> k & 1)
                sl_classes_add(&item.classes,
                    sl_policy_class_find(policy, (struct sl_slice){(const char[]){'c', (char)('0' + k)}, 2}));
        assert_int_equal(sl_decide_item(a.ruling, &item).decision, set & 0x55 ? SL_WITHHELD : SL_RELEASED);
        item.id = SL_LIT("b");
        assert_int_equal(sl_decide_item(a.ruling, &item).decision, set & 0x2a ? SL_WITHHELD : SL_RELEASED);
    }
    sl_arena_free(a.arena);
    sl_policy_unref(policy);
    policy = shipped;
}

/* 42 CFR 2.31(a)(4)(ii): where this house is an intermediary, whom a Consent designates in general must be proven to
 * treat the patient; whom it names need not, and elsewhere nobody need. */
static void a_general_designation_through_an_intermediary(void **state)
{
    static const char rules[] =
        "layer: organization\nparties: [{id: a, title: A, roles: [a]}]\n"
        "consents:\n  - {id: k, title: K, forms: [{categories: [{system: s, code: k}]}]}\n"
        "classes:\n  - {id: chart, title: C, kind: needs-yes, earned-by: {types: others}}\n"
        "rules:\n  - {id: r, title: R, verdict: release, data: [chart], to: [a], for: any, only-if: {consent: k}}\n";
#define HEAD "title: T\nversion: v\nnotice: {version: v, statement: S, short: s}\n"
#define NAMED                                                                                                          \
    ",\"actor\":[{\"role\":{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ParticipationType\","   \
    "\"code\":\"IRCP\"}]},\"reference\":{\"reference\":\"Organization/north\"}}]"
    static const char general[] = CONSENT("1", "p", "\"system\":\"s\",\"code\":\"k\"", "x", "permit", TPO);
    static const char named[] = CONSENT("1", "p", "\"system\":\"s\",\"code\":\"k\"", "x", "permit", TPO NAMED);
    static const struct {
        const char *head, *consent, *kind;
        enum sl_voucher voucher;
        const char *patient;
        enum sl_decision decision;
    } cases[] = {
        {HEAD, general, NULL, SL_BY_NOBODY, "", SL_RELEASED},
        {HEAD "intermediary: yes\n", general, NULL, SL_BY_NOBODY, "", SL_WITHHELD},
        {HEAD "intermediary: yes\n", general, "treating", SL_BY_REGISTRY, "Patient/p", SL_RELEASED},
        {HEAD "intermediary: yes\n", general, "care-team", SL_BY_RECORD, "Patient/p", SL_RELEASED},
        {HEAD "intermediary: yes\n", general, "treating", SL_BY_DECLARATION, "Patient/p", SL_WITHHELD},
        {HEAD "intermediary: yes\n", general, "treating", SL_BY_REGISTRY, "Patient/q", SL_WITHHELD},
        {HEAD "intermediary: yes\n", general, "representative", SL_BY_REGISTER, "Patient/p", SL_WITHHELD},
        {HEAD "intermediary: yes\n", named, NULL, SL_BY_NOBODY, "", SL_RELEASED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct sl_policy_file files[] = {{SL_LIT("policy.yaml"), sl_slice_of(cases[i].head)},
            {SL_LIT("house/a.yaml"), sl_slice_of(rules)},
            {SL_LIT("terminology/systems.csv"),
                SL_LIT("name,uri,kind,form,family,aliases\nx,http://x,code,icd,claims,\n")},
            {SL_LIT("terminology/categories.csv"),
                SL_LIT("id,sensitivity,confidentiality,part2,also_match\nX,SUD,R,yes,\n")}};
        const struct sl_slice role = SL_LIT("a");
        const struct sl_relationship relationship = {.kind = sl_slice_of(cases[i].kind ? cases[i].kind : ""),
            .patient = sl_slice_of(cases[i].patient),
            .voucher = cases[i].voucher};
        struct sl_recipient r = {.client = SL_LIT("test"),
            .organization = SL_LIT("Organization/north"),
            .roles = &role,
            .role_count = 1,
            .relationships = &relationship,
            .relationship_count = cases[i].kind != NULL,
            .purpose = SL_LIT("TREAT")};
        struct sl_policy *shipped = policy;
        struct asked a;
        assert_int_equal(sl_policy_load_files(files, 4, NULL, &policy), SL_OK);
        begin(&a);
        add_consent(&a, cases[i].consent);
        rule(&a, &r, &p, 1);
        struct sl_item item = {
            .type = SL_R4_Observation, .id = SL_LIT("a"), .custodian = SL_LIT("Organization/holder")};
        sl_classes_add(&item.classes, sl_policy_class_find(policy, SL_LIT("chart")));
        if (sl_decide_item(a.ruling, &item).decision != cases[i].decision)
            fail_msg("case %zu", i);
        sl_arena_free(a.arena);
        sl_policy_unref(policy);
        policy = shipped;
    }
}

/* ---- What of a search policy alone decides ---- */

static const struct {
    const char *party, *purpose, *type, *param;
    bool may_cut;
} reads[] = {
    {"hie-partner", "TREAT", "Observation", "_id", false},
    {"hie-partner", "TREAT", "Observation", "_lastUpdated", false},
    {"hie-partner", "TREAT", "Observation", "status", false},
    {"hie-partner", "TREAT", "MedicationRequest", "intent", false},
    {"hie-partner", "TREAT", "Composition", "date", false},
    {"hie-partner", "TREAT", "Observation", "date", true}, /* a choice, and not required */
    {"hie-partner", "TREAT", "Observation", "code", true}, /* required, with codings that can go one by one */
    {"hie-partner", "TREAT", "Observation", "code-value-quantity", true},
    {"hie-partner", "TREAT", "Patient", "gender", true},    /* not required */
    {"hie-partner", "TREAT", "Encounter", "class", true},   /* a Coding */
    {"hie-partner", "TREAT", "Condition", "subject", true}, /* a Reference */
    {"hie-partner", "TREAT", "Observation", "_security", true},
    {"hie-partner", "TREAT", "Communication", "status", false},
    {"hie-partner", "TREAT", "Goal", "lifecycle-status", false},
    {"hie-partner", "TREAT", "Immunization", "date", true}, /* required as a choice */
    {"changed", "HRESCH", "Observation", "_id", false},
    {"changed", "HRESCH", "Observation", "_lastUpdated", true},
    {"changed", "HRESCH", "Observation", "status", true},
};

/* The shipped policy, and a party whose dates are cut down to their year. */
static struct sl_policy *with_changes(void)
{
    static const char text[] =
        "layer: organization\ntitle: More\nparties:\n  - {id: changed, title: Changed, kinds: [research]}\nrules:\n"
        "  - {id: changed, title: It gets years alone., verdict: release, data: [chart], to: [changed], for: "
        "[research],\n"
        "     change: [dates-to-year]}\n";
    const struct sl_policy_file more = {SL_LIT("house/changed.yaml"), SL_LIT(text)};
    struct sl_issues issues = {.arena = sl_arena_new((size_t)16 << 20)};
    struct sl_policy *changed = NULL;
    enum sl_status status = sl_policy_with_files(policy, &more, 1, &issues, &changed);
    for (const struct sl_issue *issue = issues.first; issue && status != SL_OK; issue = issue->next)
        print_message("%.*s\n", SL_FMT(issue->text));
    assert_int_equal(status, SL_OK);
    sl_arena_free(issues.arena);
    return changed;
}

static void what_cannot_be_cut_is_told_by_policy_alone(void **state)
{
    (void)state;
    struct sl_policy *changed = with_changes();
    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
        struct sl_recipient r = {
            .client = SL_LIT("test"), .party = sl_slice_of(reads[i].party), .purpose = sl_slice_of(reads[i].purpose)};
        sl_r4_node type = sl_r4_resource(sl_slice_of(reads[i].type));
        const struct sl_r4_param *param = sl_r4_param_find(type, sl_slice_of(reads[i].param));
        assert_non_null(param);
        if (sl_may_cut(changed, &r, type, param) != reads[i].may_cut)
            fail_msg("%s for %s: %s.%s", reads[i].party, reads[i].purpose, reads[i].type, reads[i].param);
    }
    sl_policy_unref(changed);
}

static const struct {
    const char *party, *purpose;
    unsigned means;
    bool may;
} means[] = {
    {"treating-provider", "TREAT", 7, true},
    {"treating-provider", "ETREAT", 7, true},
    {"treating-provider", "HPAYMT", 1, true},
    {"treating-provider", "HPAYMT", 2, false},
    {"patient", "PATRQT", 6, true},
    {"health-plan", "HPAYMT", 1, true},
    {"health-plan", "HPAYMT", 4, false},
    {"health-plan", "HPAYMT", 5, false},
    {"nobody-known", "TREAT", 1, false},
    {"nobody-known", "TREAT", 0, true},
};

static void who_searches_by_words_is_told_by_policy_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof means / sizeof *means; i++) {
        struct sl_recipient r = {
            .client = SL_LIT("test"), .party = sl_slice_of(means[i].party), .purpose = sl_slice_of(means[i].purpose)};
        if (sl_may_search(policy, &r, means[i].means) != means[i].may)
            fail_msg("%s for %s by %u", means[i].party, means[i].purpose, means[i].means);
    }
}

static void memory_that_runs_out_is_no_ruling(void **state)
{
    (void)state;
    struct sl_recipient r = {
        .client = SL_LIT("test"), .party = SL_LIT("treating-provider"), .purpose = SL_LIT("TREAT")};
    struct asked a;
    begin(&a);
    add_consent(&a, one_of_p);
    for (size_t ceiling = 0;; ceiling += 64) {
        struct sl_arena *arena = sl_arena_new(ceiling);
        struct sl_ruling *ruling = NULL;
        enum sl_status status = sl_ruling_new(arena, policy, &r, &p, 1, &a.directives, NOW, &ruling);
        assert_int_equal(ruling != NULL, status == SL_OK);
        sl_arena_free(arena);
        if (status == SL_OK)
            break;
        assert_int_equal(status, SL_NO_MEMORY);
    }
    sl_arena_free(a.arena);
}

static int setup(void **state)
{
    (void)state;
    struct sl_issues issues = {.arena = sl_arena_new((size_t)16 << 20)};
    enum sl_status status = sl_policy_load(SLUICE_SOURCE "/consent/policies", &issues, &policy);
    sl_arena_free(issues.arena);
    return status == SL_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    sl_policy_unref(policy);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_party_gets_what_the_policy_says),
        cmocka_unit_test(parties_come_from_roles_kinds_and_proven_relationships),
        cmocka_unit_test(an_emergency_is_one_only_when_complete),
        cmocka_unit_test(admission_goes_by_party_and_policy_alone),
        cmocka_unit_test(several_patients_are_the_and_of_their_masks),
        cmocka_unit_test(of_nobody_there_is_no_consent_and_no_relationship),
        cmocka_unit_test(what_is_not_labelled_is_withheld),
        cmocka_unit_test(a_consent_can_hold_for_one_item),
        cmocka_unit_test(a_denial_by_label_reaches_elements),
        cmocka_unit_test(a_program_sees_its_own),
        cmocka_unit_test(narrative_goes_by_party_and_purpose_whatever_consents_say),
        cmocka_unit_test(duties_come_from_the_rules_relied_on),
        cmocka_unit_test(labels_are_of_what_goes_out),
        cmocka_unit_test(rules_relied_on_are_named),
        cmocka_unit_test(the_smallest_change_is_told),
        cmocka_unit_test(adding_a_class_or_a_denial_never_reveals_more),
        cmocka_unit_test(what_is_kept_of_disclosers_is_what_each_item_gets),
        cmocka_unit_test(many_kinds_that_depend_on_the_item_are_decided_exactly),
        cmocka_unit_test(a_general_designation_through_an_intermediary),
        cmocka_unit_test(what_cannot_be_cut_is_told_by_policy_alone),
        cmocka_unit_test(who_searches_by_words_is_told_by_policy_alone),
        cmocka_unit_test(memory_that_runs_out_is_no_ruling),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
