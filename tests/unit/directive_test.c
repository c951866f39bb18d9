/* SPDX-License-Identifier: Apache-2.0 */
/* Does a Consent say of an item what its text says, and nothing more where it cannot be told? */
#include "sluice/directive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "directive_model.h"
#include "sluice/buffer.h"
#include "sluice/decide.h"
#include "sluice/label.h"
#include "sluice/store.h"

#define P SL_CONSENT_PERMIT
#define D SL_CONSENT_DENY
#define S SL_CONSENT_SILENT

static const int64_t june_2024 = 1717243200; /* 2024-06-01T12:00:00Z */

/* ---- A policy with a few classes ---- */

static const char classes_yaml[] =
    "layer: organization\n"
    "title: Classes for these tests\n"
    "classes:\n"
    "  - {id: part2, title: A program, kind: needs-yes, confidentiality: R, labels: [42CFRPart2]}\n"
    "  - {id: sud, title: Substance use, kind: needs-yes, confidentiality: R, labels: [SUD, ETH]}\n"
    "  - {id: mental, title: Mental health, kind: needs-yes, confidentiality: R, labels: [MH, BH]}\n"
    "  - {id: notes, title: Notes apart, kind: needs-yes, confidentiality: V, labels: [PSYTHPN]}\n"
    "  - {id: chart, title: The chart, kind: needs-yes, confidentiality: N, earned-by: {types: others}}\n";

static struct sl_policy *policy;

static int load_policy(void **state)
{
    (void)state;
    struct sl_arena *arena = sl_arena_new(1 << 22);
    struct sl_issues issues = {.arena = arena};
    const struct sl_policy_file files[] = {
        {SL_LIT("policy.yaml"), SL_LIT("title: For tests\nversion: \"1\"\nterminology: terminology\n"
                                       "notice:\n  version: \"1\"\n  statement: The statement.\n  short: Short.\n")},
        {SL_LIT("classes.yaml"), {classes_yaml, sizeof classes_yaml - 1}},
        {SL_LIT("terminology/categories.csv"),
            SL_LIT("id,sensitivity,confidentiality,part2,also_match\nSUD_OTHER,SUD,R,yes,ETH\n")},
        {SL_LIT("terminology/systems.csv"),
            SL_LIT("name,uri,kind,form,family,aliases\nloinc,http://loinc.org,code,loinc,,\n")},
    };
    enum sl_status status = sl_policy_load_files(files, 4, &issues, &policy);
    for (struct sl_issue *i = issues.first; status != SL_OK && i; i = i->next)
        print_error("%.*s:%zu: %.*s\n", SL_FMT(i->file), i->line, SL_FMT(i->text));
    sl_arena_free(arena);
    return status == SL_OK ? 0 : -1;
}

static int unload_policy(void **state)
{
    (void)state;
    sl_policy_unref(policy);
    return 0;
}

static struct sl_classes classes_of(const char *names)
{
    struct sl_classes set = {{0}};
    char copy[64];
    snprintf(copy, sizeof copy, "%s", names);
    for (char *rest, *name = strtok_r(copy, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
        unsigned bit = sl_policy_class_find(policy, sl_slice_of(name));
        assert_true(bit < SL_CLASS_LIMIT);
        sl_classes_add(&set, bit);
    }
    return set;
}

/* ---- Texts ---- */

static struct sl_arena *arena;

static int begin(void **state)
{
    (void)state;
    arena = sl_arena_new((size_t)64 << 20);
    return arena ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    sl_arena_free(arena);
    return 0;
}

/* Every character of every string value, but of no key, as an escape. */
static struct sl_slice escape(struct sl_slice json)
{
    struct sl_buffer out;
    sl_buffer_init(&out, 1 << 20);
    for (size_t i = 0; i < json.len; i++) {
        if (json.ptr[i] != '"') {
            sl_buffer_add(&out, (struct sl_slice){json.ptr + i, 1});
            continue;
        }
        size_t close = i + 1;
        while (json.ptr[close] != '"')
            close++;
        bool key = close + 1 < json.len && json.ptr[close + 1] == ':';
        sl_buffer_add(&out, SL_LIT("\""));
        for (size_t k = i + 1; k < close; k++)
            if (key)
                sl_buffer_add(&out, (struct sl_slice){json.ptr + k, 1});
            else
                sl_buffer_printf(&out, "\\u%04x", (unsigned char)json.ptr[k]);
        sl_buffer_add(&out, SL_LIT("\""));
        i = close;
    }
    struct sl_slice escaped = sl_arena_copy(arena, sl_buffer_slice(&out));
    sl_buffer_fini(&out);
    return escaped;
}

static struct sl_doc parse(struct sl_slice json)
{
    struct sl_doc doc;
    struct sl_doc_error error = {0};
    enum sl_status status = sl_doc_parse(arena, json, NULL, &doc, &error);
    if (status != SL_OK)
        print_error("%.*s: %s at %zu\n", SL_FMT(json), error.why, error.offset);
    assert_int_equal(status, SL_OK);
    return doc;
}

#define SCOPE                                                                                                          \
    "\"scope\":{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/"                                      \
    "consentscope\",\"code\":\"patient-privacy\"}]}"
#define CATEGORY "\"category\":[{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"59284-0\"}]}]"
#define TREAT "\"purpose\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ActReason\",\"code\":\"TREAT\"}]"
#define PURPOSE(code)                                                                                                  \
    "\"purpose\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ActReason\",\"code\":\"" code "\"}]"
#define ROLE(code)                                                                                                     \
    "\"role\":{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/"                                       \
    "v3-ParticipationType\",\"code\":\"" code "\"}]}"
#define ACTOR(code, reference) "{" ROLE(code) ",\"reference\":{\"reference\":\"" reference "\"}}"
#define TO(reference) "\"actor\":[" ACTOR("IRCP", reference) "]"
#define PERMIT "\"type\":\"permit\""
#define DENY "\"type\":\"deny\""
#define LABEL(code) "{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ActCode\",\"code\":\"" code "\"}"
#define MARK(code) "{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-Confidentiality\",\"code\":\"" code "\"}"
#define DATA(meaning, reference)                                                                                       \
    "\"data\":[{\"meaning\":\"" meaning "\",\"reference\":{\"reference\":\"" reference "\"}}]"
#define RULE(code)                                                                                                     \
    "\"policyRule\":{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ActCode\",\"code\":\"" code    \
    "\"}]}"

/* An active Consent of patient p, dated 2024-01-01, with these members besides. */
static struct sl_slice consent_text(const char *members)
{
    return sl_arena_printf(arena,
        "{\"resourceType\":\"Consent\",\"id\":\"c\",\"status\":\"active\"," SCOPE "," CATEGORY
        ",\"patient\":{\"reference\":\"Patient/p\"},\"dateTime\":\"2024-01-01\"%s%s}",
        members[0] ? "," : "", members);
}

static struct sl_slice provision_text(const char *provision)
{
    return consent_text(sl_arena_printf(arena, "\"provision\":{%s}", provision).ptr);
}

static enum sl_status try_read(struct sl_slice json, struct sl_issues *issues, struct sl_directives *list)
{
    struct sl_doc doc = parse(json);
    return sl_directive_read(arena, &doc, 0, issues, list);
}

static const struct sl_directive *read_one(struct sl_slice json)
{
    struct sl_directives list = {0};
    assert_int_equal(try_read(json, NULL, &list), SL_OK);
    assert_int_equal(list.count, 1);
    return list.first;
}

/* ---- Who asks for what ---- */

static struct sl_recipient doctor(void)
{
    return (struct sl_recipient){.client = SL_LIT("ehr"),
        .user = SL_LIT("u1"),
        .user_reference = SL_LIT("Practitioner/dr"),
        .organization = SL_LIT("Organization/hospital"),
        .purpose = SL_LIT("TREAT")};
}

static const char observation[] =
    "{\"resourceType\":\"Observation\",\"id\":\"o1\",\"meta\":{\"profile\":[\"http://example.org/profile/lab\"]},"
    "\"code\":{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"1234-5\"},{\"code\":\"bare\"}]},"
    "\"subject\":{\"reference\":\"Patient/p\"},\"encounter\":{\"reference\":\"Encounter/e1\"},"
    "\"performer\":[{\"reference\":\"Practitioner/author\"}]}";

struct asked {
    struct sl_doc doc;
    struct sl_item item;
    struct sl_reference references[2];
    struct sl_classes classes;
};

/* Observation o1 of encounter e1, made 2023-05-01 by a program of Organization/clinic. */
static struct asked *ask_item(const char *classes)
{
    struct asked *a = sl_arena_alloc(arena, sizeof *a);
    a->doc = parse(SL_LIT(observation));
    a->references[0].target = SL_LIT("Patient/p");
    a->references[1].target = SL_LIT("Encounter/e1");
    a->classes = classes_of(classes);
    a->item = (struct sl_item){.doc = &a->doc,
        .type = sl_r4_resource(SL_LIT("Observation")),
        .id = SL_LIT("o1"),
        .custodian = SL_LIT("Organization/clinic"),
        .program = SL_LIT("Location/ward"),
        .date_from = SL_LIT("2023-05-01"),
        .references = a->references,
        .reference_count = 2,
        .classes = a->classes,
        .full_url = SL_LIT("urn:uuid:11")};
    return a;
}

static enum sl_consent_verdict judge(
    const struct sl_directive *directive, const struct sl_recipient *recipient, const struct asked *a, int64_t now)
{
    enum sl_consent_verdict verdict = sl_directive_judge(directive, policy, recipient, &a->item, &a->classes, now);
    /* What concerns nobody for no item says nothing of this one. */
    if (!sl_directive_concerns(directive, recipient, now))
        assert_int_equal(verdict, S);
    return verdict;
}

struct provision_case {
    const char *provision, *classes;
    enum sl_consent_verdict verdict;
};

static void run(const struct provision_case *cases, size_t count)
{
    struct sl_recipient recipient = doctor();
    for (size_t i = 0; i < count; i++)
        for (int escaped = 0; escaped < 2; escaped++) {
            struct sl_slice text = provision_text(cases[i].provision);
            const struct sl_directive *d = read_one(escaped ? escape(text) : text);
            enum sl_consent_verdict verdict = judge(d, &recipient, ask_item(cases[i].classes), june_2024);
            if (verdict != cases[i].verdict)
                print_error("case %zu: %s: %x\n", i, cases[i].provision, (unsigned)verdict);
            assert_int_equal(verdict, cases[i].verdict);
        }
}

#define COUNT(cases) (sizeof cases / sizeof *cases)

static void test_types_and_purposes(void **state)
{
    (void)state;
    static const struct provision_case cases[] = {
        {PERMIT, "chart", P},
        {DENY, "chart", D},
        {"", "chart", S}, /* no type, and no policy that says what the base is */
        {"\"type\":\"maybe\"", "chart", D},
        {"\"type\":7", "chart", D},
        {PERMIT "," TREAT, "chart", P},
        {DENY "," TREAT, "chart", D},
        {PERMIT "," PURPOSE("HRESCH"), "chart", S},
        {DENY "," PURPOSE("HRESCH"), "chart", S},
        {PERMIT ",\"purpose\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ActReason\",\"code\":\"HRESCH\"},"
                "{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ActReason\",\"code\":\"TREAT\"}]",
            "chart", P},
        {PERMIT "," PURPOSE("ETREAT"), "chart", S}, /* narrower than what is asked for */
        {DENY "," PURPOSE("ETREAT"), "chart", D},
        {PERMIT "," PURPOSE("FooBar"), "chart", S}, /* unreadable */
        {DENY "," PURPOSE("FooBar"), "chart", D},
        {PERMIT ",\"purpose\":[{\"system\":\"http://example.org\",\"code\":\"TREAT\"}]", "chart", S},
        {DENY ",\"purpose\":[{\"system\":\"http://example.org\",\"code\":\"TREAT\"}]", "chart", D},
        {PERMIT ",\"purpose\":[{\"code\":\"TREAT\"}]", "chart", S},
        {PERMIT ",\"purpose\":\"TREAT\"", "chart", S},
        {DENY ",\"purpose\":\"TREAT\"", "chart", D},
        {PERMIT ",\"purpose\":[]", "chart", S},
        {PERMIT ",\"purposes\":[]", "chart", S}, /* a property R4 does not know might have limited it */
        {DENY ",\"purposes\":[]", "chart", D},
        {PERMIT ",\"modifierExtension\":[{\"url\":\"http://example.org/not\",\"valueBoolean\":true}]", "chart", S},
        {PERMIT ",\"extension\":[{\"url\":\"http://example.org/note\",\"valueBoolean\":true}]", "chart", P},
        {PERMIT ",\"_purpose\":[null]", "chart", S},
    };
    run(cases, COUNT(cases));
}

static void test_periods(void **state)
{
    (void)state;
    static const struct provision_case cases[] = {
        {PERMIT ",\"period\":{\"start\":\"2024-01-01\",\"end\":\"2024-12-31\"}", "chart", P},
        {DENY ",\"period\":{\"start\":\"2024-01-01\",\"end\":\"2024-12-31\"}", "chart", D},
        {PERMIT ",\"period\":{\"end\":\"2024-05-30\"}", "chart", S},
        {DENY ",\"period\":{\"end\":\"2024-05-30\"}", "chart", S},
        {PERMIT ",\"period\":{\"end\":\"2024-06-01\"}", "chart", P}, /* the last day counts */
        {PERMIT ",\"period\":{\"end\":\"2024-06\"}", "chart", P},
        {PERMIT ",\"period\":{\"end\":\"2024-06-01T12:00:00Z\"}", "chart", P},
        {PERMIT ",\"period\":{\"end\":\"2024-06-01T11:59:59Z\"}", "chart", S},
        {PERMIT ",\"period\":{\"end\":\"2024-06-01T13:59:59+02:00\"}", "chart", S},
        {PERMIT ",\"period\":{\"end\":\"2024-06-01T08:00:00.250-04:00\"}", "chart", P},
        {PERMIT ",\"period\":{\"start\":\"2024-06-02\"}", "chart", S},
        {DENY ",\"period\":{\"start\":\"2024-06-02\"}", "chart", S},
        {PERMIT ",\"period\":{\"start\":\"2024-06-01\"}", "chart", P},
        {PERMIT ",\"period\":{\"end\":\"soon\"}", "chart", S},
        {DENY ",\"period\":{\"end\":\"soon\"}", "chart", D},
        {PERMIT ",\"period\":{\"end\":\"2024-13-01\"}", "chart", S},
        {PERMIT ",\"period\":{\"end\":\"2025-02-29\"}", "chart", S},
        {PERMIT ",\"period\":{}", "chart", S},
        {DENY ",\"period\":{}", "chart", D},
        {PERMIT ",\"period\":\"always\"", "chart", S},
        {PERMIT ",\"period\":{\"end\":\"2030-01-01\",\"_end\":{\"extension\":[]}}", "chart", S},
        {PERMIT ",\"dataPeriod\":{\"start\":\"2023-01-01\",\"end\":\"2023-12-31\"}", "chart", P},
        {DENY ",\"dataPeriod\":{\"start\":\"2023-01-01\",\"end\":\"2023-12-31\"}", "chart", D},
        {PERMIT ",\"dataPeriod\":{\"end\":\"2023-05-01\"}", "chart", P},
        {PERMIT ",\"dataPeriod\":{\"end\":\"2023-04-30\"}", "chart", S},
        {DENY ",\"dataPeriod\":{\"end\":\"2023-04-30\"}", "chart", S},
        {PERMIT ",\"dataPeriod\":{\"start\":\"2023-05-02\"}", "chart", S},
        {PERMIT ",\"dataPeriod\":{\"end\":\"2023-05-01T12:00:00Z\"}", "chart", S}, /* the day lies partly without */
        {DENY ",\"dataPeriod\":{\"end\":\"2023-05-01T12:00:00Z\"}", "chart", D},
        {PERMIT ",\"dataPeriod\":{\"end\":\"?\"}", "chart", S},
        {DENY ",\"dataPeriod\":{\"end\":\"?\"}", "chart", D},
    };
    run(cases, COUNT(cases));
}

static void test_actors(void **state)
{
    (void)state;
    static const struct provision_case cases[] = {
        {PERMIT "," TO("Practitioner/dr"), "chart", P},
        {DENY "," TO("Practitioner/dr"), "chart", D},
        {PERMIT "," TO("Practitioner/dr/_history/3"), "chart", P},
        {PERMIT "," TO("Practitioner/other"), "chart", S},
        {DENY "," TO("Practitioner/other"), "chart", S},
        {PERMIT "," TO("Organization/hospital"), "chart", P},
        {DENY "," TO("Organization/hospital"), "chart", D},
        {DENY "," TO("Organization/other"), "chart", S},
        {PERMIT "," TO("Device/ehr"), "chart", P},
        {PERMIT "," TO("Device/other"), "chart", S},
        {PERMIT "," TO("Group/nurses"), "chart", S}, /* who is in it, we do not know */
        {DENY "," TO("Group/nurses"), "chart", D},
        {PERMIT "," TO("PractitionerRole/r"), "chart", S},
        {DENY "," TO("PractitionerRole/r"), "chart", D},
        {DENY "," TO("https://elsewhere.example/Practitioner/x"), "chart", D},
        {DENY "," TO("#contained"), "chart", D},
        {DENY "," TO("Patient/p"), "chart", S}, /* the doctor is not the patient */
        {PERMIT ",\"actor\":[" ACTOR("IRCP", "Practitioner/other") "," ACTOR("PRCP", "Practitioner/dr") "]", "chart",
            P},
        {PERMIT ",\"actor\":[{" ROLE("IRCP") ",\"reference\":{\"display\":\"my doctors\"}}]", "chart", S},
        {DENY ",\"actor\":[{" ROLE("IRCP") ",\"reference\":{\"display\":\"my doctors\"}}]", "chart", D},
        {PERMIT ",\"actor\":[{" ROLE("IRCP") ",\"reference\":{\"identifier\":{\"value\":\"1\"}}}]", "chart", S},
        {PERMIT ",\"actor\":[" ACTOR("IRCP", "Practitioner/dr") "," ACTOR("GRANTOR", "Patient/p") "]", "chart", P},
        {PERMIT ",\"actor\":[" ACTOR("IRCP", "Practitioner/dr") "," ACTOR("WIT", "Practitioner/dr") "]", "chart", S},
        {DENY ",\"actor\":[" ACTOR("WIT", "Practitioner/dr") "]", "chart", D},
        {PERMIT ",\"actor\":[]", "chart", S},
        {PERMIT ",\"actor\":{}", "chart", S},
        {PERMIT ",\"actor\":[" ACTOR("CST", "Organization/clinic") "]", "chart", P},
        {PERMIT ",\"actor\":[" ACTOR("CST", "Location/ward") "]", "chart", P},
        {PERMIT ",\"actor\":[" ACTOR("CST", "Organization/other") "]", "chart", S},
        {DENY ",\"actor\":[" ACTOR("CST", "Organization/other") "]", "chart", S},
        {DENY ",\"actor\":[" ACTOR("CST", "Organization/clinic") "]", "chart", D},
        {DENY ",\"actor\":[" ACTOR("CST", "Organization/clinic") "," ACTOR("IRCP", "Organization/other") "]", "chart",
            S},
        {DENY ",\"actor\":[" ACTOR("CST", "Organization/clinic") "," ACTOR("IRCP", "Organization/hospital") "]",
            "chart", D},
        {DENY ",\"actor\":[" ACTOR("AUT", "Practitioner/author") "]", "chart", D},
        {DENY ",\"actor\":[" ACTOR("AUT", "Practitioner/dr") "]", "chart", S},
    };
    run(cases, COUNT(cases));
}

static void test_data(void **state)
{
    (void)state;
    static const struct provision_case cases[] = {
        {PERMIT ",\"class\":[{\"system\":\"http://hl7.org/fhir/resource-types\",\"code\":\"Observation\"}]", "chart",
            P},
        {PERMIT ",\"class\":[{\"system\":\"http://hl7.org/fhir/resource-types\",\"code\":\"Condition\"}]", "chart", S},
        {DENY ",\"class\":[{\"system\":\"http://hl7.org/fhir/resource-types\",\"code\":\"Observation\"}]", "chart", D},
        {DENY ",\"class\":[{\"system\":\"http://hl7.org/fhir/resource-types\",\"code\":\"Condition\"}]", "chart", S},
        {DENY ",\"class\":[{\"system\":\"urn:ietf:rfc:3986\",\"code\":\"http://hl7.org/fhir/StructureDefinition/"
              "Observation\"}]",
            "chart", D},
        {DENY ",\"class\":[{\"system\":\"urn:ietf:rfc:3986\",\"code\":\"http://example.org/profile/lab\"}]", "chart",
            D},
        {PERMIT ",\"class\":[{\"system\":\"urn:ietf:rfc:3986\",\"code\":\"http://example.org/profile/other\"}]",
            "chart", S},
        {PERMIT ",\"code\":[{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"1234-5\"}]}]", "chart", P},
        {DENY ",\"code\":[{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"1234-5\"}]}]", "chart", D},
        {PERMIT ",\"code\":[{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"9\"}]}]", "chart", S},
        {DENY ",\"code\":[{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"9\"}]}]", "chart", S},
        {DENY ",\"code\":[{\"coding\":[{\"system\":\"http://snomed.info/sct\",\"code\":\"1234-5\"}]}]", "chart", S},
        {DENY ",\"code\":[{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"bare\"}]}]", "chart",
            D}, /* it may be that one */
        {PERMIT ",\"code\":[{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"bare\"}]}]", "chart", S},
        {PERMIT ",\"code\":[{\"text\":\"sugar\"}]", "chart", S},
        {DENY ",\"code\":[{\"text\":\"sugar\"}]", "chart", D},
        {PERMIT "," DATA("instance", "Observation/o1"), "chart", P},
        {DENY "," DATA("instance", "Observation/o1"), "chart", D},
        {DENY "," DATA("instance", "urn:uuid:11"), "chart", D},
        {PERMIT "," DATA("instance", "Observation/o2"), "chart", S},
        {DENY "," DATA("instance", "Observation/o2"), "chart", S},
        {DENY "," DATA("instance", "Condition/o1"), "chart", S},
        {DENY "," DATA("instance", "Encounter/e1"), "chart", S},
        {PERMIT "," DATA("related", "Encounter/e1"), "chart", P},
        {DENY "," DATA("dependents", "Encounter/e1"), "chart", D},
        {DENY "," DATA("related", "Encounter/e2"), "chart", S},
        {PERMIT "," DATA("authoredby", "Practitioner/author"), "chart", P},
        {DENY "," DATA("authoredby", "Practitioner/author"), "chart", D},
        {PERMIT "," DATA("authoredby", "Practitioner/dr"), "chart", S},
        {DENY "," DATA("authoredby", "Practitioner/dr"), "chart", S},
        {DENY "," DATA("authoredby", "Organization/clinic"), "chart", D},
        {PERMIT "," DATA("whatever", "Observation/o1"), "chart", S},
        {DENY "," DATA("whatever", "Observation/o1"), "chart", D},
        {PERMIT ",\"action\":[{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/"
                "consentaction\",\"code\":\"disclose\"}]}]",
            "chart", P},
        {PERMIT ",\"action\":[{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/"
                "consentaction\",\"code\":\"collect\"}]}]",
            "chart", S},
        {DENY ",\"action\":[{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/"
              "consentaction\",\"code\":\"collect\"}]}]",
            "chart", S},
        {PERMIT ",\"action\":[{\"coding\":[{\"system\":\"http://example.org\",\"code\":\"disclose\"}]}]", "chart", S},
        {DENY ",\"action\":[{\"coding\":[{\"system\":\"http://example.org\",\"code\":\"disclose\"}]}]", "chart", D},
    };
    run(cases, COUNT(cases));
}

static void test_labels(void **state)
{
    (void)state;
    static const struct provision_case cases[] = {
        {PERMIT ",\"securityLabel\":[" MARK("N") "]", "chart", P},
        {PERMIT ",\"securityLabel\":[" MARK("N") "]", "sud chart", S}, /* R lies above the mark */
        {PERMIT ",\"securityLabel\":[" MARK("R") "]", "sud chart", P},
        {PERMIT ",\"securityLabel\":[" MARK("R") "]", "chart", P}, /* "R or lower" */
        {PERMIT ",\"securityLabel\":[" MARK("R") "]", "notes", S},
        {PERMIT ",\"securityLabel\":[" MARK("N") "," MARK("V") "]", "notes", P},
        {DENY ",\"securityLabel\":[" MARK("R") "]", "sud", D},
        {PERMIT ",\"securityLabel\":[" LABEL("SUD") "]", "sud part2 chart", P},
        {PERMIT ",\"securityLabel\":[" LABEL("ETH") "]", "sud", P},
        {PERMIT ",\"securityLabel\":[" LABEL("SUD") "]", "chart", S},
        {PERMIT ",\"securityLabel\":[" LABEL("SUD") "]", "sud mental",
            S}, /* about two matters, one of them not named */
        {PERMIT ",\"securityLabel\":[" LABEL("SUD") "," LABEL("PSY") "]", "sud mental", P},
        {DENY ",\"securityLabel\":[" LABEL("SUD") "]", "sud mental", D},
        {DENY ",\"securityLabel\":[" LABEL("SUD") "]", "mental", S},
        {DENY ",\"securityLabel\":[" LABEL("PSY") "]", "mental", D},
        {PERMIT ",\"securityLabel\":[" LABEL("MH") "]", "notes", S}, /* notes apart are not meant by mental health */
        {DENY ",\"securityLabel\":[" LABEL("MH") "]", "notes", D},
        {PERMIT ",\"securityLabel\":[" LABEL("PSYTHPN") "]", "notes", P},
        {PERMIT ",\"securityLabel\":[" LABEL("42CFRPart2") "]", "part2 sud", P},
        {PERMIT ",\"securityLabel\":[" LABEL("42CFRPart2") "]", "sud", S},
        {DENY ",\"securityLabel\":[" LABEL("42CFRPart2") "]", "part2", D},
        {PERMIT ",\"securityLabel\":[" MARK("N") "," LABEL("SUD") "]", "sud", S},
        {PERMIT ",\"securityLabel\":[" MARK("R") "," LABEL("SUD") "]", "sud", P},
        {PERMIT ",\"securityLabel\":[{\"display\":\"secret\"}]", "chart", S},
        {DENY ",\"securityLabel\":[{\"display\":\"secret\"}]", "chart", D},
        {DENY ",\"securityLabel\":[" LABEL("HIV") ",{\"display\":\"secret\"}]", "chart", D},
    };
    run(cases, COUNT(cases));
}

static void test_nested(void **state)
{
    (void)state;
#define IN(provision) ",\"provision\":[{" provision "}]"
    static const struct provision_case cases[] = {
        {PERMIT IN(DENY ",\"securityLabel\":[" LABEL("SUD") "]"), "chart", P},
        {PERMIT IN(DENY ",\"securityLabel\":[" LABEL("SUD") "]"), "sud", D},
        {PERMIT "," TREAT IN(DENY ",\"securityLabel\":[" LABEL("SUD") "]"), "sud", D},
        {PERMIT "," PURPOSE("HRESCH") IN(DENY ",\"securityLabel\":[" LABEL("SUD") "]"), "sud",
            S}, /* only for research */
        {DENY IN(PERMIT "," TO("Practitioner/dr")), "chart", P},
        {DENY IN(PERMIT "," TO("Practitioner/other")), "chart", D},
        {DENY "," TO("Practitioner/other") IN(PERMIT "," TREAT), "chart", S}, /* an exception holds within its denial */
        {DENY IN(PERMIT "," TO("Group/x")), "chart", D},                      /* an unreadable exception is none */
        {PERMIT IN(DENY "," TO("Group/x")), "chart", D},
        {PERMIT "," TO("Group/x") IN(DENY ",\"securityLabel\":[" LABEL("SUD") "]"), "sud", D},
        {PERMIT "," TO("Group/x") IN(DENY ",\"securityLabel\":[" LABEL("SUD") "]"), "chart", S},
        {DENY "," TO("Group/x") IN(PERMIT "," TREAT), "chart",
            S}, /* whichever way it is, nothing is denied for treatment */
        /* Four deep, and each innermost one that applies decides. */
        {PERMIT IN(DENY ",\"securityLabel\":[" LABEL("SUD") "]" IN(PERMIT "," TO("Practitioner/dr"))), "sud", P},
        {PERMIT IN(DENY ",\"securityLabel\":[" LABEL("SUD") "]" IN(PERMIT "," TO("Practitioner/other"))), "sud", D},
        {PERMIT IN(DENY IN(PERMIT "," TREAT IN(DENY ",\"securityLabel\":[" LABEL("MH") "]"))), "mental", D},
        {PERMIT IN(DENY IN(PERMIT "," TREAT IN(DENY ",\"securityLabel\":[" LABEL("MH") "]"))), "chart", P},
        {PERMIT IN(DENY IN(PERMIT "," PURPOSE("HRESCH") IN(DENY ",\"securityLabel\":[" LABEL("MH") "]"))), "chart", D},
        /* Of several at one depth a denial wins. */
        {DENY ",\"provision\":[{" PERMIT "," TREAT "},{" DENY ",\"securityLabel\":[" LABEL("SUD") "]}]", "sud", D},
        {DENY ",\"provision\":[{" DENY ",\"securityLabel\":[" LABEL("SUD") "]},{" PERMIT "," TREAT "}]", "sud", D},
        {DENY ",\"provision\":[{" PERMIT "," TREAT "},{" DENY ",\"securityLabel\":[" LABEL("SUD") "]}]", "chart", P},
        /* A permit in a permit reaches further, but for what else the outer one asks. */
        {PERMIT "," TREAT ",\"securityLabel\":[" MARK("N") "]" IN(
             PERMIT "," TO("Practitioner/dr") ",\"securityLabel\":[" LABEL("PSY") "]"),
            "mental", P},
        {PERMIT "," TREAT ",\"securityLabel\":[" MARK("N") "]" IN(
             PERMIT "," TO("Practitioner/other") ",\"securityLabel\":[" LABEL("PSY") "]"),
            "mental", S},
        {PERMIT "," TREAT ",\"securityLabel\":[" MARK("N") "]" IN(
             PERMIT "," TO("Practitioner/other") ",\"securityLabel\":[" LABEL("PSY") "]"),
            "chart", P},
        {PERMIT "," PURPOSE("HRESCH") ",\"securityLabel\":[" MARK("N") "]" IN(
             PERMIT ",\"securityLabel\":[" LABEL("PSY") "]"),
            "mental", S},
        /* A denial in a permit reaches beyond the permit's data too. */
        {PERMIT ",\"securityLabel\":[" MARK("N") "]" IN(DENY ",\"securityLabel\":[" LABEL("SUD") "]"), "sud", D},
        /* No type: a base that is not said; what is nested speaks for itself. */
        {TREAT IN(PERMIT "," TO("Practitioner/dr")), "chart", P},
        {PURPOSE("HRESCH") IN(PERMIT "," TO("Practitioner/dr")), "chart", S},
        {TREAT IN(DENY "," TO("Practitioner/dr")), "chart", D},
        {TREAT IN(PERMIT "," TO("Practitioner/other")), "chart", S},
        {PERMIT IN("\"securityLabel\":[" LABEL("SUD") "]"), "sud", D}, /* nested rules need a type */
        {PERMIT IN("\"securityLabel\":[" LABEL("SUD") "]"), "chart", P},
    };
    run(cases, COUNT(cases));
}

/* ---- The Consent as a whole ---- */

struct consent_case {
    const char *members; /* put in place of the same ones of the usual Consent */
    enum sl_consent_verdict permit, deny;
};

static struct sl_slice whole_text(
    const char *status, const char *scope, const char *date, const char *rest, const char *type)
{
    return sl_arena_printf(arena,
        "{\"resourceType\":\"Consent\",\"id\":\"c\",\"status\":\"%s\",%s" CATEGORY
        ",\"patient\":{\"reference\":\"Patient/p\"},%s%s\"provision\":{\"type\":\"%s\"}}",
        status, scope, date, rest, type);
}

static void test_whole(void **state)
{
    (void)state;
    static const char scope[] = SCOPE ",", date[] = "\"dateTime\":\"2024-01-01\",";
    static const struct {
        const char *status, *scope, *date, *rest;
        enum sl_consent_verdict permit, deny;
    } cases[] = {
        {"active", scope, date, "", P, D},
        {"draft", scope, date, "", S, S},
        {"proposed", scope, date, "", S, S},
        {"rejected", scope, date, "", S, S},
        {"inactive", scope, date, "", S, S},
        {"entered-in-error", scope, date, "", S, S},
        {"active", "", date, "", S, D},
        {"active", "\"scope\":{\"text\":\"privacy\"},", date, "", S, D},
        {"active", "\"scope\":{\"coding\":[{\"system\":\"http://example.org\",\"code\":\"patient-privacy\"}]},", date,
            "", S, D},
        {"active",
            "\"scope\":{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/"
            "consentscope\",\"code\":\"research\"}]},",
            date, "", S, S},
        {"active", scope, "", "", S, D},                             /* without a date: no permit */
        {"active", scope, "\"dateTime\":\"2024-06-02\",", "", S, S}, /* to come */
        {"active", scope, "\"dateTime\":\"2024-06-01T12:00:00Z\",", "", P, D},
        {"active", scope, "\"dateTime\":\"once\",", "", S, D},
        {"active", scope, date, "\"organization\":[{\"reference\":\"Organization/clinic\"}],", P, D},
        {"active", scope, date, "\"organization\":[{\"reference\":\"Organization/other\"}],", S, S},
        {"active", scope, date,
            "\"organization\":[{\"reference\":\"Organization/other\"},{\"reference\":\"Organization/clinic\"}],", P, D},
        {"active", scope, date, "\"organization\":[{\"display\":\"The clinic\"}],", S, D},
        {"active", scope, date, "\"organization\":[],", S, D},
        {"active", scope, date, "\"verification\":[{\"verified\":true}],", P, D},
        {"active", scope, date, "\"verification\":[{\"verified\":false}],", S, D},
        {"active", scope, date, "\"verification\":[],", S, D},
        {"active", scope, date, "\"verification\":[{\"verified\":false},{\"verified\":true}],", P, D},
        {"active", scope, date, "\"modifierExtension\":[{\"url\":\"http://example.org/x\"}],", S, D},
        {"active", scope, date, "\"implicitRules\":\"http://example.org/x\",", S, D},
        {"active", scope, date, "\"decision\":\"deny\",", S, D}, /* of another version of FHIR */
        {"active", scope, date, "\"_status\":{\"extension\":[]},", S, D},
        {"active", scope, date, "\"language\":\"en\",\"text\":{\"status\":\"empty\"},\"contained\":[],", P, D},
    };
    struct sl_recipient recipient = doctor();
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int k = 0; k < 4; k++) {
            struct sl_slice text =
                whole_text(cases[i].status, cases[i].scope, cases[i].date, cases[i].rest, k & 1 ? "deny" : "permit");
            const struct sl_directive *d = read_one(k & 2 ? escape(text) : text);
            enum sl_consent_verdict verdict = judge(d, &recipient, ask_item("chart"), june_2024);
            if (verdict != (k & 1 ? cases[i].deny : cases[i].permit))
                print_error("case %zu: %.*s\n", i, SL_FMT(text));
            assert_int_equal(verdict, k & 1 ? cases[i].deny : cases[i].permit);
        }
}

static void test_base_policy(void **state)
{
    (void)state;
    static const struct {
        const char *members, *purpose;
        enum sl_consent_verdict verdict;
    } cases[] = {
        {RULE("OPTIN"), "TREAT", P},
        {RULE("OPTINR"), "TREAT", P},
        {RULE("OPTOUT"), "TREAT", D},
        {RULE("OPTOUTE"), "TREAT", D},
        {RULE("EMRGONLY"), "TREAT", D},
        {RULE("EMRGONLY"), "ETREAT", S},
        {RULE("NOPP"), "TREAT", S},
        {"\"policyRule\":{\"coding\":[{\"system\":\"http://example.org\",\"code\":\"OPTIN\"}]}", "TREAT", S},
        {"\"policyRule\":{\"text\":\"opt in\"}", "TREAT", S},
        {"", "TREAT", S},
        {RULE("OPTIN") ",\"provision\":{\"period\":{\"end\":\"2024-05-01\"}}", "TREAT", S},
        {RULE("OPTIN") ",\"provision\":{" TO("Practitioner/dr") "}", "TREAT", P},
        {RULE("OPTIN") ",\"provision\":{\"provision\":[{" DENY "," TO("Practitioner/dr") "}]}", "TREAT", D},
        {RULE("OPTIN") ",\"provision\":{" DENY "}", "TREAT", D}, /* its own type is what counts */
        {RULE("OPTOUT") ",\"provision\":{\"provision\":[{" PERMIT "," TO("Practitioner/dr") "}]}", "TREAT", P},
        {RULE("OPTOUT") ",\"provision\":{\"provision\":[{" PERMIT "," TO("Practitioner/other") "}]}", "TREAT", D},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int escaped = 0; escaped < 2; escaped++) {
            struct sl_recipient recipient = doctor();
            recipient.purpose = sl_slice_of(cases[i].purpose);
            struct sl_slice text = consent_text(cases[i].members);
            const struct sl_directive *d = read_one(escaped ? escape(text) : text);
            if (judge(d, &recipient, ask_item("chart"), june_2024) != cases[i].verdict)
                print_error("case %zu: %s\n", i, cases[i].members);
            assert_int_equal(judge(d, &recipient, ask_item("chart"), june_2024), cases[i].verdict);
        }
}

/* ---- Other recipients, other items ---- */

static void test_unknown_recipient(void **state)
{
    (void)state;
    /* A party named outright, offline: with no references, no actor can be told from it. */
    const struct sl_recipient party = {.party = SL_LIT("hie-partner"), .purpose = SL_LIT("TREAT")};
    const struct sl_recipient nobody = {0};
    static const struct {
        const char *provision;
        enum sl_consent_verdict party, nobody;
    } cases[] = {
        {PERMIT, P, P},
        {DENY, D, D},
        {PERMIT "," TREAT, P, S},
        {DENY "," TREAT, D, D},
        {PERMIT "," TO("Practitioner/dr"), S, S},
        {DENY "," TO("Practitioner/dr"), D, D},
        {DENY "," TO("Organization/x"), D, D},
        {DENY "," TO("Device/x"), D, D},
        {DENY "," TO("Patient/p"), D, D},
        {PERMIT IN(DENY "," TO("Organization/x")), D, D},
        {DENY IN(PERMIT "," TO("Organization/x")), D, D},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct sl_directive *d = read_one(provision_text(cases[i].provision));
        assert_int_equal(judge(d, &party, ask_item("chart"), june_2024), cases[i].party);
        assert_int_equal(judge(d, &nobody, ask_item("chart"), june_2024), cases[i].nobody);
    }
}

static void test_tpo(void **state)
{
    (void)state;
    static const struct {
        const char *asked, *named;
        enum sl_consent_verdict permit, deny;
    } cases[] = {
        {"ETREAT", "TREAT", P, D},
        {"HPAYMT", "HPAYMT", P, D},
        {"HOPERAT", "HOPERAT", P, D},
        {"HQUALIMP", "HOPERAT", P, D},
        {"HDIRECT", "HOPERAT", S, D}, /* below it in HL7's tree, and none of HIPAA's operations */
        {"HLEGAL", "HOPERAT", S, D},
        {"HDIRECT", "HDIRECT", P, D},
        {"HMARKT", "HOPERAT", S, S},
        {"HRESCH", "TREAT", S, S},
        {"TREAT", "HPAYMT", S, S},
        {"", "TREAT", S, D},
        {"nonsense", "TREAT", S, D},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int deny = 0; deny < 2; deny++) {
            struct sl_recipient recipient = doctor();
            recipient.purpose = sl_slice_of(cases[i].asked);
            struct sl_slice text = sl_arena_printf(arena,
                "\"type\":\"%s\",\"purpose\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/"
                "v3-ActReason\",\"code\":\"%s\"}]",
                deny ? "deny" : "permit", cases[i].named);
            const struct sl_directive *d = read_one(provision_text(text.ptr));
            if (judge(d, &recipient, ask_item("chart"), june_2024) != (deny ? cases[i].deny : cases[i].permit))
                print_error("%s for %s\n", cases[i].asked, cases[i].named);
            assert_int_equal(
                judge(d, &recipient, ask_item("chart"), june_2024), deny ? cases[i].deny : cases[i].permit);
        }
}

/* Where too little is known of an item, no permit reaches it and each denial does. */
static void test_unknown_item(void **state)
{
    (void)state;
    static const char *const criteria[] = {
        "\"dataPeriod\":{\"start\":\"2023-01-01\"}",
        "\"actor\":[" ACTOR("CST", "Organization/clinic") "]",
        DATA("authoredby", "Practitioner/author"),
        "\"securityLabel\":[" LABEL("SUD") "]",
        "\"securityLabel\":[" MARK("V") "]",
    };
    struct sl_recipient recipient = doctor();
    struct asked *a = ask_item("");
    struct sl_doc doc = parse(SL_LIT("{\"resourceType\":\"Observation\"}"));
    a->item = (struct sl_item){.doc = &doc, .type = sl_r4_resource(SL_LIT("Observation"))};
    for (size_t i = 0; i < COUNT(criteria); i++)
        for (int deny = 0; deny < 2; deny++) {
            struct sl_slice text = sl_arena_printf(arena, "\"type\":\"%s\",%s", deny ? "deny" : "permit", criteria[i]);
            const struct sl_directive *d = read_one(provision_text(text.ptr));
            assert_true(sl_directive_by_item(d));
            assert_true(sl_directive_concerns(d, &recipient, june_2024));
            assert_int_equal(judge(d, &recipient, a, june_2024), deny ? D : S);
            assert_int_equal(sl_directive_judge(d, policy, &recipient, NULL, NULL, june_2024), deny ? D : S);
        }
}

static void test_concerns(void **state)
{
    (void)state;
    static const struct {
        const char *provision;
        bool concerns, by_item;
    } cases[] = {
        {PERMIT, true, false},
        {PERMIT "," TO("Practitioner/dr"), true, false},
        {PERMIT "," TO("Practitioner/other"), false, false},
        {DENY "," TO("Group/x"), true, false},
        {PERMIT "," PURPOSE("HRESCH"), false, false},
        {PERMIT ",\"period\":{\"end\":\"2024-01-02\"}", false, false},
        {PERMIT ",\"securityLabel\":[" LABEL("SUD") "]", true, true},
        {PERMIT "," PURPOSE("HRESCH") IN(DENY "," TREAT ",\"securityLabel\":[" LABEL("SUD") "]"), true, true},
        {"", false, false},
        {PERMIT ",\"actor\":[" ACTOR("CST", "Organization/other") "]", true, true},
    };
    struct sl_recipient recipient = doctor();
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct sl_directive *d = read_one(provision_text(cases[i].provision));
        assert_int_equal(sl_directive_concerns(d, &recipient, june_2024), cases[i].concerns);
        assert_int_equal(sl_directive_by_item(d), cases[i].by_item);
    }
    assert_true(
        sl_directive_by_item(read_one(consent_text("\"organization\":[{\"reference\":\"Organization/clinic\"}]"))));
}

/* ---- Reading ---- */

static void test_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        "[]",
        "7",
        "{\"resourceType\":\"Patient\"}",
        "{\"resourceType\":\"Consent\",\"status\":\"active\"}",
        "{\"resourceType\":\"Consent\",\"patient\":{\"reference\":\"Patient/p\"}}",
        "{\"resourceType\":\"Consent\",\"status\":\"ACTIVE\",\"patient\":{\"reference\":\"Patient/p\"}}",
        "{\"resourceType\":\"Consent\",\"status\":[\"active\"],\"patient\":{\"reference\":\"Patient/p\"}}",
        "{\"resourceType\":\"Consent\",\"status\":\"active\",\"patient\":{\"reference\":\"Group/p\"}}",
        "{\"resourceType\":\"Consent\",\"status\":\"active\",\"patient\":{\"reference\":\"https://h.example/Patient/"
        "p\"}}",
        "{\"resourceType\":\"Consent\",\"status\":\"active\",\"patient\":{\"reference\":\"Patient/\"}}",
        "{\"resourceType\":\"Consent\",\"status\":\"active\",\"patient\":{\"reference\":\"Patient/p\\u0000q\"}}",
        "{\"resourceType\":\"Consent\",\"status\":\"active\",\"patient\":{\"identifier\":{\"value\":\"1\"}}}",
        "{\"resourceType\":\"Consent\",\"status\":\"active\",\"patient\":\"Patient/p\"}",
        "{\"resourceType\":\"Consent\",\"id\":\"a/b\",\"status\":\"active\",\"patient\":{\"reference\":\"Patient/p\"}}",
        "{\"resourceType\":\"Consent\",\"id\":\"\",\"status\":\"active\",\"patient\":{\"reference\":\"Patient/p\"}}",
        "{\"resourceType\":\"Consent\",\"status\":\"active\",\"patient\":{\"reference\":\"Patient/"
        "p\"},\"provision\":[{\"type\":\"permit\"}]}",
        "{\"resourceType\":\"Consent\",\"status\":\"active\",\"patient\":{\"reference\":\"Patient/"
        "p\"},\"provision\":{\"provision\":{}}}",
        "{\"resourceType\":\"Consent\",\"status\":\"active\",\"patient\":{\"reference\":\"Patient/"
        "p\"},\"provision\":{\"provision\":[7]}}",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct sl_issues issues = {.arena = arena};
        struct sl_directives list = {0};
        if (try_read(sl_slice_of(texts[i]), &issues, &list) != SL_INVALID)
            print_error("not refused: text %zu\n", i);
        assert_int_equal(try_read(sl_slice_of(texts[i]), &issues, &list), SL_INVALID);
        assert_int_equal(issues.errors, 2);
        assert_int_equal(list.count, 0);
    }
}

static void test_issues(void **state)
{
    (void)state;
    struct sl_issues issues = {.arena = arena};
    struct sl_directives list = {0};
    assert_int_equal(try_read(provision_text(DENY), &issues, &list), SL_OK);
    assert_int_equal(issues.count, 0);
    issues = (struct sl_issues){.arena = arena};
    assert_int_equal(try_read(provision_text(DENY ",\"period\":{\"end\":\"?\"}"), &issues, &list), SL_OK);
    assert_true(sl_slice_eq(issues.last->code, SL_LIT("consent-unreadable")));
    assert_int_equal(issues.errors, 0);
}

/* Any number of provisions side by side, and as many in each other as a parse lets through; more is refused. */
static void test_large(void **state)
{
    (void)state;
    struct sl_recipient recipient = doctor();
    static const struct {
        int deep;
        enum sl_status status;
        enum sl_consent_verdict verdict;
    } cases[] = {{30, SL_OK, P}, {29, SL_OK, D}, {2000, SL_LIMIT, S}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sl_buffer text;
        sl_buffer_init(&text, 1 << 20);
        sl_buffer_printf(&text,
            "{\"resourceType\":\"Consent\",\"id\":\"c\",\"status\":\"active\"," SCOPE
            ",\"patient\":{\"reference\":\"Patient/p\"},\"dateTime\":\"2024-01-01\",\"provision\":{" PERMIT);
        for (int k = 0; k < cases[i].deep; k++)
            sl_buffer_printf(&text, ",\"provision\":[{\"type\":\"%s\"", k % 2 ? "permit" : "deny");
        for (int k = 0; k < cases[i].deep; k++)
            sl_buffer_add(&text, SL_LIT("}]"));
        sl_buffer_add(&text, SL_LIT("}}"));
        struct sl_doc doc;
        assert_int_equal(sl_doc_parse(arena, sl_buffer_slice(&text), NULL, &doc, NULL), cases[i].status);
        if (cases[i].status == SL_OK)
            assert_int_equal(
                judge(read_one(sl_buffer_slice(&text)), &recipient, ask_item("chart"), june_2024), cases[i].verdict);
        sl_buffer_fini(&text);
    }
    for (int many = 4000; many <= 5000; many += 1000) {
        struct sl_buffer text;
        sl_buffer_init(&text, 1 << 20);
        sl_buffer_add(&text, SL_LIT(PERMIT ",\"provision\":[{" DENY "," TO("Practitioner/other") "}"));
        for (int k = 0; k < many; k++)
            sl_buffer_add(&text, SL_LIT(",{" DENY "," TO("Practitioner/other") "}"));
        sl_buffer_add(&text, SL_LIT("]"));
        sl_buffer_add(&text, (struct sl_slice){"", 1});
        struct sl_directives list = {0};
        enum sl_status status = try_read(provision_text(text.ptr), NULL, &list);
        assert_int_equal(status, many == 4000 ? SL_OK : SL_INVALID);
        if (status == SL_OK)
            assert_int_equal(judge(list.first, &recipient, ask_item("chart"), june_2024), P);
        sl_buffer_fini(&text);
    }
}

/* Memory that runs out anywhere is an error, and never a list that lacks one. */
static void test_failing_memory(void **state)
{
    (void)state;
    struct sl_doc doc = parse(
        provision_text(PERMIT "," TREAT "," TO("Practitioner/dr") IN(DENY ",\"securityLabel\":[" LABEL("SUD") "]")));
    for (size_t ceiling = 16;; ceiling += 16) {
        struct sl_arena *small = sl_arena_new(ceiling);
        struct sl_directives list = {0};
        enum sl_status status = sl_directive_read(small, &doc, 0, NULL, &list);
        sl_arena_free(small);
        if (status == SL_OK) {
            assert_true(ceiling > 500);
            break;
        }
        assert_int_equal(status, SL_NO_MEMORY);
        assert_int_equal(list.count, 0);
        assert_true(ceiling < 100000);
    }
}

/* ---- Lists ---- */

static struct sl_slice listed(
    const char *id, const char *status, const char *date, const char *rest, const char *provision)
{
    return sl_arena_printf(arena,
        "{\"resourceType\":\"Consent\",\"id\":\"%s\",\"status\":\"%s\"," SCOPE "," CATEGORY
        ",\"patient\":{\"reference\":\"Patient/p\"},\"dateTime\":\"%s\",%s\"provision\":{%s}}",
        id, status, date, rest, provision);
}

static void test_settle(void **state)
{
    (void)state;
#define ORG(name) "\"organization\":[{\"reference\":\"Organization/" name "\"}],"
    static const struct {
        struct {
            const char *id, *status, *date, *rest, *provision;
        } consents[3];
        const char *left;
        enum sl_consent_verdict together; /* the worst of what is left */
    } cases[] = {
        {{{"a", "active", "2023", "", PERMIT}}, "a", P},
        {{{"a", "inactive", "2023", "", PERMIT}}, "", S},
        {{{"a", "entered-in-error", "2023", "", DENY}}, "", S},
        {{{"a", "active", "2025", "", PERMIT}}, "", S},
        {{{"a", "active", "2023", "", PERMIT ",\"period\":{\"end\":\"2024-01-01\"}"}}, "", S},
        /* A later one of the same matter takes its place, in either order of the list. */
        {{{"a", "active", "2023", "", PERMIT}, {"b", "active", "2024-02", "", DENY}}, "b", D},
        {{{"b", "active", "2024-02", "", DENY}, {"a", "active", "2023", "", PERMIT}}, "b", D},
        {{{"a", "active", "2023", "", DENY}, {"b", "active", "2024-02", "", PERMIT}}, "b", P},
        {{{"a", "active", "2023", "", DENY}, {"b", "active", "2024", "", PERMIT}, {"c", "active", "2024-03", "", DENY}},
            "bc", D},
        /* Not later: both stand. */
        {{{"a", "active", "2024-02", "", DENY}, {"b", "active", "2024-02-10", "", PERMIT}}, "ab", D},
        {{{"a", "active", "2024-02-10", "", DENY}, {"b", "active", "2024-02-10", "", PERMIT}}, "ab", D},
        /* Another matter: both stand. */
        {{{"a", "active", "2023", ORG("clinic"), DENY}, {"b", "active", "2024-02", ORG("other"), PERMIT}}, "ab", D},
        {{{"a", "active", "2023", ORG("clinic"), DENY}, {"b", "active", "2024-02", ORG("clinic"), PERMIT}}, "b", P},
        {{{"a", "active", "2023", "", DENY}, {"b", "active", "2024-02", "", PERMIT "," TO("Practitioner/dr")}}, "ab",
            D},
        {{{"a", "active", "2023", "", DENY "," TO("Practitioner/dr")},
             {"b", "active", "2024-02", "", PERMIT "," TO("Practitioner/dr")}},
            "b", P},
        {{{"a", "active", "2023", "\"performer\":[{\"reference\":\"Patient/p\"}],", DENY},
             {"b", "active", "2024-02", "", PERMIT}},
            "b", P},
        {{{"a", "active", "2023", "", DENY},
             {"b", "active", "2024-02", "\"performer\":[{\"reference\":\"RelatedPerson/r\"}],", PERMIT}},
            "ab", D},
        /* What is not in force, or not understood, ends a permit and leaves a denial. */
        {{{"a", "active", "2023", "", PERMIT}, {"b", "inactive", "2024-02", "", PERMIT}}, "a", S},
        {{{"a", "active", "2023", "", DENY}, {"b", "inactive", "2024-02", "", PERMIT}}, "a", D},
        {{{"a", "active", "2023", "", PERMIT},
             {"b", "active", "2024-02", "", PERMIT ",\"period\":{\"end\":\"2024-03\"}"}},
            "a", S},
        {{{"a", "active", "2023", "", DENY},
             {"b", "active", "2024-02", "", PERMIT ",\"period\":{\"end\":\"2024-03\"}"}},
            "a", D},
        {{{"a", "active", "2023", "", DENY}, {"b", "active", "2024-02", "", PERMIT "," PURPOSE("FooBar")}}, "ab", D},
        {{{"a", "active", "2023", "", PERMIT}, {"b", "active", "2024-02", "", PERMIT "," PURPOSE("FooBar")}}, "ab", S},
        /* What never was in force does nothing. */
        {{{"a", "active", "2023", "", PERMIT}, {"b", "entered-in-error", "2024-02", "", DENY}}, "a", P},
        {{{"a", "active", "2023", "", PERMIT}, {"b", "draft", "2024-02", "", DENY}}, "a", P},
        {{{"a", "active", "2023", "", DENY}, {"b", "active", "2025", "", PERMIT}}, "a", D},
        {{{"a", "active", "2023", "", DENY},
             {"b", "active", "2024-02", "\"verification\":[{\"verified\":false}],", PERMIT}},
            "ab", D},
        {{{"a", "active", "2023", "", PERMIT},
             {"b", "inactive", "2024-02", "\"verification\":[{\"verified\":false}],", PERMIT}},
            "a", P},
        /* Versions of one: the later one, by its time or by its place. */
        {{{"a", "active", "2023", "", PERMIT}, {"a", "inactive", "2023", "", PERMIT}}, "", S},
        {{{"a", "inactive", "2023", "", PERMIT}, {"a", "active", "2023", "", PERMIT}}, "a", P},
        {{{"a", "inactive", "2023", "\"meta\":{\"lastUpdated\":\"2024-05-02T00:00:00Z\"},", PERMIT},
             {"a", "active", "2023", "\"meta\":{\"lastUpdated\":\"2024-05-01T00:00:00Z\"},", PERMIT}},
            "", S},
    };
    struct sl_recipient recipient = doctor();
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sl_directives list = {0};
        for (size_t k = 0; k < 3 && cases[i].consents[k].id; k++)
            assert_int_equal(
                try_read(listed(cases[i].consents[k].id, cases[i].consents[k].status, cases[i].consents[k].date,
                             cases[i].consents[k].rest, cases[i].consents[k].provision),
                    NULL, &list),
                SL_OK);
        sl_directives_settle(&list, june_2024);
        char left[8] = "";
        enum sl_consent_verdict together = S;
        for (const struct sl_directive *d = list.first; d; d = sl_directive_next(d)) {
            strncat(left, sl_directive_id(d).ptr + sizeof "Consent/" - 1, 1);
            enum sl_consent_verdict verdict = judge(d, &recipient, ask_item("chart"), june_2024);
            together = verdict == D || together == D ? D : verdict == P ? P : together;
        }
        if (strcmp(left, cases[i].left) != 0 || together != cases[i].together)
            print_error("case %zu: left \"%s\"\n", i, left);
        assert_string_equal(left, cases[i].left);
        assert_int_equal(together, cases[i].together);
        assert_int_equal(list.count, strlen(left));
    }
}

static void test_lists(void **state)
{
    (void)state;
    struct sl_directives list = {0}, more = {0}, none = {0}, about;
    assert_int_equal(try_read(listed("a", "active", "2023", "", PERMIT), NULL, &list), SL_OK);
    assert_int_equal(try_read(SL_LIT("{\"resourceType\":\"Consent\",\"id\":\"q\",\"status\":\"active\",\"patient\":{"
                                     "\"reference\":\"Patient/q\"}}"),
                         NULL, &more),
        SL_OK);
    sl_directives_join(&list, &more);
    sl_directives_join(&list, &none);
    assert_int_equal(list.count, 2);
    assert_null(more.first);
    assert_int_equal(sl_directives_about(&list, SL_LIT("Patient/q"), arena, &about), SL_OK);
    assert_int_equal(about.count, 1);
    assert_true(sl_slice_eq(sl_directive_id(about.first), SL_LIT("Consent/q")));
    assert_true(sl_slice_eq(sl_directive_patient(about.first), SL_LIT("Patient/q")));
    assert_null(sl_directive_next(about.first));
    assert_int_equal(list.count, 2);
    assert_int_equal(sl_directives_about(&list, SL_LIT("Patient/"), arena, &about), SL_OK);
    assert_int_equal(about.count, 0);
}

/* ---- Kinds and words ---- */

static void test_kinds(void **state)
{
    (void)state;
    const struct sl_coding loinc = {SL_LIT("http://loinc.org"), SL_LIT("59284-0"), SL_LIT("")};
    const struct sl_coding other = {SL_LIT("http://loinc.org"), SL_LIT("57016-8"), SL_LIT("")};
    const struct sl_coding optin = {
        SL_LIT("http://terminology.hl7.org/CodeSystem/v3-ActCode"), SL_LIT("OPTIN"), SL_LIT("")};
    const struct sl_coding uri = {SL_LIT(""), SL_LIT("http://example.org/form"), SL_LIT("")};
    const struct sl_coding codes[] = {other, loinc};
    const struct sl_slice tpo[] = {SL_LIT("TREAT"), SL_LIT("HPAYMT")};
    const struct sl_slice emergency[] = {SL_LIT("ETREAT")};
    const struct sl_consent_kind any = {.id = SL_LIT("any")}, by_category = {.categories = codes, .category_count = 2},
                                 by_other = {.categories = &other, .category_count = 1},
                                 by_rule = {.policy_rules = &optin, .policy_rule_count = 1},
                                 by_uri = {.policy_rules = &uri, .policy_rule_count = 1},
                                 for_tpo = {.purposes = tpo, .purpose_count = 2},
                                 for_emergency = {.purposes = emergency, .purpose_count = 1},
                                 with_end = {.needs = 1u << SL_ELEMENT_EXPIRY},
                                 with_purpose = {.needs = 1u << SL_ELEMENT_PURPOSE};
    const struct {
        const char *members;
        const struct sl_consent_kind *kind;
        bool is;
    } cases[] = {
        {"", &any, true},
        {"", &by_category, true},
        {"", &by_other, false},
        {"", &by_rule, false},
        {RULE("OPTIN"), &by_rule, true},
        {RULE("OPTOUT"), &by_rule, false},
        {"\"policy\":[{\"authority\":\"http://x.example\"},{\"uri\":\"http://example.org/form\"}]", &by_uri, true},
        {"\"policy\":[{\"uri\":\"http://example.org/other\"}]", &by_uri, false},
        {"\"policyRule\":{\"coding\":[{\"code\":\"http://example.org/form\"}]}", &by_uri, false},
        {"\"provision\":{" PERMIT "," TREAT "}", &for_tpo, false},
        {"\"provision\":{" PERMIT
         ",\"purpose\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ActReason\",\"code\":\"TREAT\"},"
         "{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ActReason\",\"code\":\"HPAYMT\"}]}",
            &for_tpo, true},
        {"\"provision\":{" PERMIT "," TREAT "}", &for_emergency, true}, /* treatment is an ancestor */
        {"\"provision\":{" PERMIT "," PURPOSE("HPAYMT") "}", &for_emergency, false},
        {"\"provision\":{" DENY "," TREAT "}", &for_emergency, false}, /* a denial has no purposes that it permits */
        {"\"provision\":{\"provision\":[{" PERMIT "," TREAT "}]}", &for_emergency, true},
        {"\"provision\":{" PERMIT "," TREAT "}", &with_purpose, true},
        {"\"provision\":{" PERMIT "}", &with_purpose, false},
        {"\"provision\":{" PERMIT "," PURPOSE("FooBar") "}", &with_purpose, false},
        {"\"provision\":{" PERMIT "}", &with_end, false},
        {"\"provision\":{" PERMIT ",\"period\":{\"start\":\"2024\"}}", &with_end, false},
        {"\"provision\":{" PERMIT ",\"period\":{\"end\":\"2030\"}}", &with_end, true},
        {"\"provision\":{\"provision\":[{" PERMIT ",\"period\":{\"end\":\"2030\"}}]}", &with_end, true},
        {"\"provision\":{\"provision\":[{" PERMIT ",\"period\":{\"end\":\"2030\"}},{" PERMIT "}]}", &with_end, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int escaped = 0; escaped < 2; escaped++) {
            struct sl_slice text = consent_text(cases[i].members);
            const struct sl_directive *d = read_one(escaped ? escape(text) : text);
            bool is = sl_directive_lacks(d, NULL, cases[i].kind, (struct sl_slice){NULL, 0}, june_2024) == 0;
            if (is != cases[i].is)
                print_error("case %zu: %s\n", i, cases[i].members);
            assert_int_equal(is, cases[i].is);
        }
}

/* One element of 42 CFR 2.31(a) after another taken out of a Consent that has them all. */
static void test_elements(void **state)
{
    (void)state;
#define SIGNER(reference) "\"performer\":[{\"reference\":\"" reference "\"}]"
#define DISCLOSER "\"organization\":[{\"reference\":\"Organization/clinic\"}]"
#define SOURCE "\"sourceAttachment\":{\"url\":\"http://example.org/form|2\"}"
#define PAPER(uri) "\"policy\":[{\"uri\":\"" uri "\"}]"
#define END ",\"period\":{\"end\":\"2030\"}"
#define WHAT ",\"class\":[{\"system\":\"http://hl7.org/fhir/resource-types\",\"code\":\"Observation\"}]"
#define HEAD DISCLOSER "," SIGNER("Patient/p") "," SOURCE "," PAPER("urn:form") ","
#define BODY(purpose) "\"provision\":{" PERMIT "," TO("Organization/hospital") "," purpose WHAT
    const struct sl_coding form = {SL_LIT(""), SL_LIT("urn:form"), SL_LIT("")};
    const struct sl_slice payment[] = {SL_LIT("HPAYMT")}, editions[] = {SL_LIT("http://example.org/form")},
                          first[] = {SL_LIT("http://example.org/form|1")};
    const unsigned all = (1u << SL_ELEMENT_ALL_PURPOSES) - 1;
    struct sl_consent_kind kind = {.policy_rules = &form,
                               .policy_rule_count = 1,
                               .needs = all,
                               .states = 1u << SL_ELEMENT_FORM},
                           mark = kind, printed = kind, signed_for = kind, by_source = kind, by_edition = kind;
    mark.states = 0;
    printed.states |= 1u << SL_ELEMENT_RECIPIENT | 1u << SL_ELEMENT_INFORMATION;
    signed_for.for_others = payment;
    signed_for.for_other_count = 1;
    by_source.sources = editions;
    by_edition.sources = first;
    by_source.source_count = by_edition.source_count = 1;
    static const char treatment[] = "TREAT", payments[] = "HPAYMT";
    const struct {
        const char *members;
        const struct sl_consent_kind *kind;
        const char *purpose;
        unsigned lacks; /* one bit more than the element; 0: nothing */
    } cases[] = {
        {HEAD BODY(TREAT) END "}", &kind, "", 0},
        {HEAD BODY(TREAT) "}", &kind, "", 0}, /* "none" will do for treatment, payment, operations */
        {HEAD BODY(PURPOSE("HRESCH")) END "}", &kind, "", 0},
        {HEAD BODY(PURPOSE("HRESCH")) "}", &kind, "", SL_ELEMENT_EXPIRY + 1},
        {HEAD
            "\"extension\":[{\"url\":\"urn:sluice:consent-expiry-event\",\"valueString\":\"end of the study\"}]," BODY(
                PURPOSE("HRESCH")) "}",
            &kind, "", 0},
        {HEAD BODY(TREAT) END "}", &mark, "", SL_ELEMENT_FORM + 1},
        {SIGNER("Patient/p") "," SOURCE "," PAPER("urn:form") "," BODY(TREAT) "}", &kind, "", SL_ELEMENT_DISCLOSER + 1},
        {HEAD "\"provision\":{" PERMIT "," TREAT WHAT "}", &kind, "", SL_ELEMENT_RECIPIENT + 1},
        {HEAD "\"provision\":{" PERMIT "," TREAT "}", &printed, "", 0},
        {HEAD "\"provision\":{" PERMIT "," TO("Organization/hospital") WHAT END "}", &kind, "", SL_ELEMENT_PURPOSE + 1},
        {HEAD "\"provision\":{" PERMIT "," TO("Organization/hospital") "," TREAT "}", &kind, "",
            SL_ELEMENT_INFORMATION + 1},
        {DISCLOSER "," SOURCE "," PAPER("urn:form") "," BODY(TREAT) "}", &kind, "", SL_ELEMENT_SIGNATURE + 1},
        {DISCLOSER "," SIGNER("Patient/p") "," PAPER("urn:form") "," BODY(TREAT) "}", &kind, "",
            SL_ELEMENT_SIGNATURE + 1},
        {DISCLOSER "," SIGNER("Patient/p") ",\"sourceReference\":{}," PAPER("urn:form") "," BODY(TREAT) "}", &kind, "",
            SL_ELEMENT_SIGNATURE + 1},
        {DISCLOSER "," SIGNER("RelatedPerson/r") "," SOURCE "," PAPER("urn:form") "," BODY(TREAT) "}", &kind, "", 0},
        /* 2.15(a)(2): the director of a program signs for payment, and for nothing else. */
        {DISCLOSER "," SIGNER("Practitioner/director") "," SOURCE "," PAPER("urn:form") "," BODY(TREAT) "}", &kind, "",
            SL_ELEMENT_SIGNER + 1},
        {DISCLOSER "," SIGNER("Practitioner/director") "," SOURCE "," PAPER("urn:form") "," BODY(TREAT) "}",
            &signed_for, treatment, SL_ELEMENT_SIGNER + 1},
        {DISCLOSER "," SIGNER("Practitioner/director") "," SOURCE "," PAPER("urn:form") "," BODY(TREAT) "}",
            &signed_for, payments, 0},
        {HEAD BODY(TREAT) "}", &by_source, "", 0},
        {HEAD BODY(TREAT) "}", &by_edition, "", 32},
        {DISCLOSER "," SIGNER("Patient/p") "," SOURCE "," PAPER("urn:other") "," BODY(TREAT) "}", &kind, "", 32},
        {DISCLOSER "," SIGNER("Patient/p") ",\"contained\":[{\"resourceType\":\"QuestionnaireResponse\",\"id\":\"a\","
                                           "\"questionnaire\":\"http://example.org/"
                                           "form|7\"}],\"sourceReference\":{\"reference\":\"#a\"}," PAPER(
                                               "urn:form") "," BODY(TREAT) "}",
            &by_source, "", 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct sl_directive *d = read_one(consent_text(cases[i].members));
        unsigned lacks = sl_directive_lacks(d, NULL, cases[i].kind, sl_slice_of(cases[i].purpose), june_2024);
        unsigned expected = cases[i].lacks ? 1u << (cases[i].lacks - 1) : 0;
        if (lacks != expected)
            print_error("case %zu: %s\n", i, cases[i].members);
        assert_int_equal(lacks, expected);
    }
    /* Signed tomorrow. */
    unsigned lacks = sl_directive_lacks(
        read_one(consent_text(HEAD BODY(TREAT) "}")), NULL, &kind, (struct sl_slice){NULL, 0}, 1700000000);
    assert_int_equal(lacks, 1u << SL_ELEMENT_DATE);
}

/* Whom a Consent names: not everybody, and nobody by leaving it open. */
static void test_named(void **state)
{
    (void)state;
    struct sl_recipient recipient = doctor();
    assert_true(
        sl_directive_names(read_one(provision_text(PERMIT "," TO("Organization/hospital"))), &recipient, june_2024));
    assert_true(sl_directive_names(read_one(provision_text(PERMIT "," TO("Practitioner/dr"))), &recipient, june_2024));
    assert_false(
        sl_directive_names(read_one(provision_text(PERMIT "," TO("Organization/other"))), &recipient, june_2024));
    assert_false(sl_directive_names(read_one(provision_text(PERMIT "," TREAT)), &recipient, june_2024));
    assert_false(
        sl_directive_names(read_one(provision_text(DENY "," TO("Organization/hospital"))), &recipient, june_2024));
}

static void test_general(void **state)
{
    (void)state;
    struct sl_recipient recipient = doctor();
    assert_true(sl_directive_is_general(read_one(provision_text(PERMIT "," TREAT)), &recipient, june_2024));
    assert_true(
        sl_directive_is_general(read_one(provision_text(PERMIT "," TO("Group/doctors"))), &recipient, june_2024));
    assert_false(
        sl_directive_is_general(read_one(provision_text(PERMIT "," TO("Practitioner/dr"))), &recipient, june_2024));
    assert_false(
        sl_directive_is_general(read_one(provision_text(PERMIT "," TO("Organization/other"))), &recipient, june_2024));
    assert_false(sl_directive_is_general(read_one(provision_text(DENY "," TREAT)), &recipient, june_2024));
}

static void test_scope(void **state)
{
    (void)state;
    const struct {
        const char *members, *words;
    } cases[] = {
        {"\"organization\":[{\"reference\":\"Organization/clinic\",\"display\":\"Sunrise Clinic\"}],"
         "\"provision\":{" PERMIT "," TREAT "," TO("Organization/hospital") ",\"period\":{\"end\":\"2025-12-31\"}}",
            "Sunrise Clinic may disclose to Organization/hospital for treatment until 2025-12-31, by the consent of "
            "2024-01-01"},
        {"\"provision\":{" PERMIT "}", "The holder of the records may disclose, by the consent of 2024-01-01"},
        {"\"provision\":{" DENY "," TREAT "}",
            "The holder of the records may not disclose, by the consent of 2024-01-01"},
        {"", "The holder of the records is neither permitted nor forbidden to disclose, by the consent of 2024-01-01"},
        {"\"provision\":{\"provision\":[{" TREAT "}]}",
            "The holder of the records may not disclose, by the consent of 2024-01-01"},
        {"\"organization\":[{\"display\":\"A\\nB\"}],\"provision\":{" PERMIT "," PURPOSE("HQUALIMP") "}",
            "A B may disclose for HQUALIMP, by the consent of 2024-01-01"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sl_slice words = sl_directive_scope(read_one(consent_text(cases[i].members)), arena);
        assert_string_equal(words.ptr, cases[i].words);
    }
}

/* ---- In the store ---- */

static enum sl_status import(struct sl_store *store, struct sl_slice text)
{
    struct sl_doc doc = parse(text);
    struct sl_issues issues = {.arena = arena};
    return sl_directives_import(store, &doc, 0, &issues);
}

static size_t stored(struct sl_store *store, const char *patient)
{
    struct sl_directives list;
    assert_int_equal(sl_directives_of(store, sl_slice_of(patient), arena, &list), SL_OK);
    return list.count;
}

static struct sl_slice of_patient(const char *id, const char *patient)
{
    return sl_arena_printf(arena,
        "{\"resourceType\":\"Consent\",\"id\":\"%s\",\"status\":\"active\"," SCOPE
        ",\"patient\":{\"reference\":\"Patient/%s\"},\"dateTime\":\"2024-01-01\",\"provision\":{" PERMIT "}}",
        id, patient);
}

static void test_store(void **state)
{
    (void)state;
    char directory[] = "directive_test.XXXXXX", path[64];
    assert_non_null(mkdtemp(directory));
    struct sl_store *store;
    assert_int_equal(sl_store_open(directory, sl_policy_tables, (size_t)16 << 20, true, NULL, &store), SL_OK);
    assert_int_equal(stored(store, "Patient/p"), 0);
    assert_int_equal(import(store, of_patient("a", "p")), SL_OK);
    assert_int_equal(import(store, of_patient("b", "p")), SL_OK);
    assert_int_equal(import(store, of_patient("c", "pp")), SL_OK);
    assert_int_equal(stored(store, "Patient/p"), 2); /* and not those of pp */
    assert_int_equal(import(store, of_patient("a", "p")), SL_OK);
    assert_int_equal(stored(store, "Patient/p"), 2); /* the same id replaces */
    assert_int_equal(import(store, of_patient("a", "pp")), SL_OK);
    assert_int_equal(stored(store, "Patient/p"), 1); /* it was the other person's after all */
    assert_int_equal(stored(store, "Patient/pp"), 2);
    assert_int_equal(stored(store, "Patient/"), 0);
    assert_int_equal(stored(store, ""), 0);
    char id[65], patient[65];
    memset(id, 'i', 64);
    memset(patient, 'x', 64);
    id[64] = patient[64] = '\0';
    assert_int_equal(import(store, of_patient(id, patient)), SL_OK); /* the longest there are */
    id[63] = 'j';
    assert_int_equal(import(store, of_patient(id, patient)), SL_OK);
    assert_int_equal(stored(store, sl_arena_printf(arena, "Patient/%s", patient).ptr), 2);
    assert_int_equal(
        import(store,
            SL_LIT("{\"resourceType\":\"Consent\",\"status\":\"active\",\"patient\":{\"reference\":\"Patient/p\"}}")),
        SL_INVALID);
    assert_int_equal(import(store, SL_LIT("{\"resourceType\":\"Patient\"}")), SL_INVALID);
    assert_int_equal(stored(store, "Patient/p"), 1);
    /* What is stored and cannot be read is a failure, not a person without directives. */
    struct sl_txn *txn;
    assert_int_equal(sl_txn_begin(store, true, &txn), SL_OK);
    assert_int_equal(
        sl_txn_put(txn, SL_TABLE_DIRECTIVES, (struct sl_slice){"Patient/p\0Consent/z", 19}, SL_LIT("{")), SL_OK);
    assert_int_equal(sl_txn_commit(txn), SL_OK);
    struct sl_directives list;
    assert_int_equal(sl_directives_of(store, SL_LIT("Patient/p"), arena, &list), SL_CORRUPT);
    assert_null(list.first);
    struct sl_arena *small = sl_arena_new(256);
    assert_int_equal(sl_directives_of(store, SL_LIT("Patient/pp"), small, &list), SL_NO_MEMORY);
    sl_arena_free(small);
    sl_store_close(store);
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, files[i]);
        unlink(path);
    }
    rmdir(directory);
}

/* What is kept gives what the store says in the state that is asked for, and every asker a list of his own. */
static size_t kept(struct sl_directives_kept *k, struct sl_store *store, uint64_t version, const char *patient)
{
    struct sl_directives list, fresh;
    struct sl_arena *own = sl_arena_new((size_t)1 << 20);
    assert_int_equal(sl_directives_of_kept(k, store, version, sl_slice_of(patient), own, &list), SL_OK);
    assert_int_equal(sl_directives_of(store, sl_slice_of(patient), own, &fresh), SL_OK);
    size_t count = list.count;
    const struct sl_directive *b = fresh.first;
    for (const struct sl_directive *a = list.first; a && b && version == sl_store_version(store);
         a = sl_directive_next(a), b = sl_directive_next(b)) {
        assert_string_equal(sl_directive_scope(a, own).ptr, sl_directive_scope(b, own).ptr);
        assert_true(sl_slice_eq(sl_directive_id(a), sl_directive_id(b)));
        assert_int_equal(sl_directive_until(a, &(int64_t){0}), sl_directive_until(b, &(int64_t){0}));
    }
    sl_directives_settle(&list, june_2024); /* relinks it, and marks what goes */
    for (struct sl_directive *d = list.first; d; d = d->next)
        memset(d->provisions, 0x5a, sizeof *d->provisions);
    sl_arena_free(own);
    return count;
}

static void test_kept(void **state)
{
    (void)state;
    char directory[] = "directive_test.XXXXXX", path[64];
    struct sl_store *store;
    struct sl_directives_kept *k = sl_directives_kept_new(65536);
    assert_non_null(k);
    assert_non_null(mkdtemp(directory));
    assert_int_equal(sl_store_open(directory, sl_policy_tables, (size_t)16 << 20, true, NULL, &store), SL_OK);
    assert_int_equal(import(store, of_patient("a", "p")), SL_OK);
    assert_int_equal(import(store, of_patient("b", "p")), SL_OK);
    uint64_t before = sl_store_version(store);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(kept(k, store, before, "Patient/p"), 2);
        assert_int_equal(kept(k, store, before, "Patient/q"), 0); /* that there are none is kept as well */
        assert_int_equal(kept(k, store, before, ""), 0);
    }
    assert_int_equal(import(store, of_patient("c", "q")), SL_OK);
    uint64_t after = sl_store_version(store);
    assert_int_equal(kept(k, store, before, "Patient/q"), 0); /* as of the state that is asked for */
    assert_int_equal(kept(k, store, after, "Patient/q"), 1);
    assert_int_equal(kept(k, store, before, "Patient/q"), 1); /* which is gone now: a later one */
    assert_int_equal(kept(k, store, after, "Patient/p"), 2);
    assert_int_equal(kept(k, store, 0, "Patient/p"), 2); /* nobody knows which */
    /* More persons than there is room for. */
    for (unsigned i = 0; i < 400; i++) {
        assert_int_equal(kept(k, store, after, sl_arena_printf(arena, "Patient/n%u", i % 97 * i).ptr), 0);
        assert_int_equal(kept(k, store, after, "Patient/p"), 2);
    }
    struct sl_arena *small = sl_arena_new(256);
    struct sl_directives list;
    assert_int_equal(sl_directives_of_kept(k, store, after, SL_LIT("Patient/p"), small, &list), SL_NO_MEMORY);
    sl_arena_free(small);
    sl_directives_kept_free(k);
    sl_directives_kept_free(NULL);
    sl_store_close(store);
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, files[i]);
        unlink(path);
    }
    rmdir(directory);
}

/* ---- Real ones ---- */

static struct sl_slice read_shared(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, SLUICE_SHARED "/igs/ihe.iti.pcf/examples/Consent-ex-consent-%s.json", name);
    FILE *file = fopen(path, "rb");
    if (!file)
        return (struct sl_slice){NULL, 0};
    char *text = sl_arena_raw(arena, 1 << 16, 1);
    size_t len = fread(text, 1, 1 << 16, file);
    fclose(file);
    return (struct sl_slice){text, len};
}

/* Each example of IHE PCF with a case for and a case against. */
static void test_ihe_pcf(void **state)
{
    (void)state;
    if (access(SLUICE_SHARED "/igs/ihe.iti.pcf", R_OK) != 0) {
        print_message("the examples of IHE PCF are not here\n");
        skip();
    }
    static const struct {
        const char *name, *user, *purpose, *classes;
        const char *date, *id;
        enum sl_consent_verdict verdict;
    } cases[] = {
        {"basic-treat", "Practitioner/dr", "TREAT", "sud", "2022-06-01", "o1", P},
        {"basic-treat", "Practitioner/dr", "HRESCH", "chart", "2022-06-01", "o1", S},
        {"basic-ink", "Practitioner/dr", "HPAYMT", "chart", "2022-06-01", "o1", P},
        {"basic-ink", "Practitioner/dr", "HMARKT", "chart", "2022-06-01", "o1", S},
        {"basic-reject", "Practitioner/dr", "TREAT", "chart", "2022-06-01", "o1", D},
        {"basic-reject", "Practitioner/dr", "HRESCH", "chart", "2022-06-01", "o1", S},
        {"basic-research", "Practitioner/dr", "HRESCH", "chart", "2022-06-01", "o1", P},
        {"basic-research", "Practitioner/dr", "TREAT", "chart", "2022-06-01", "o1", S},
        {"expired-treat", "Practitioner/dr", "TREAT", "chart", "2022-06-01", "o1", S},
        {"intermediate-timeframe", "Practitioner/dr", "TREAT", "chart", "2022-06-01", "o1", P},
        {"intermediate-timeframe", "Practitioner/dr", "TREAT", "chart", "2021-06-01", "o1", S},
        {"intermediate-data", "Practitioner/dr", "TREAT", "chart", "2022-06-01", "ex-weight", P},
        {"intermediate-data", "Practitioner/dr", "TREAT", "chart", "2022-06-01", "o1", S},
        {"intermediate-authoredby", "Practitioner/dr", "TREAT", "chart", "2022-06-01", "o1", S},
        {"intermediate-encounter", "Practitioner/dr", "TREAT", "chart", "2022-06-01", "o1", S},
        {"intermediate-purpose", "Practitioner/dr", "TREAT", "chart", "2022-06-01", "o1", S},
        {"advanced-normal", "Practitioner/dr", "TREAT", "chart", "2022-06-01", "o1", P},
        {"advanced-normal", "Practitioner/dr", "TREAT", "mental", "2022-06-01", "o1", S},
        {"advanced-normal-restricted", "Practitioner/dr", "TREAT", "mental", "2022-06-01", "o1", P},
        {"advanced-normal-restricted", "Practitioner/dr", "TREAT", "notes", "2022-06-01", "o1", S},
        {"advanced-normal-focused-psy", "Practitioner/ex-practitioner", "TREAT", "mental", "2022-06-01", "o1", P},
        {"advanced-normal-focused-psy", "Practitioner/dr", "TREAT", "mental", "2022-06-01", "o1", S},
        {"advanced-normal-focused-psy", "Practitioner/dr", "TREAT", "chart", "2022-06-01", "o1", P},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sl_slice text = read_shared(cases[i].name);
        assert_non_null(text.ptr);
        struct sl_recipient recipient = doctor();
        recipient.user_reference = sl_slice_of(cases[i].user);
        recipient.purpose = sl_slice_of(cases[i].purpose);
        struct asked *a = ask_item(cases[i].classes);
        a->item.custodian = SL_LIT("Organization/ex-organization");
        a->item.date_from = sl_slice_of(cases[i].date);
        a->item.id = sl_slice_of(cases[i].id);
        if (judge(read_one(text), &recipient, a, june_2024) != cases[i].verdict)
            print_error("case %zu: %s\n", i, cases[i].name);
        assert_int_equal(judge(read_one(text), &recipient, a, june_2024), cases[i].verdict);
    }
}

/* ---- 2.31(b), (d): combined with another, it is none when it comes to a decision ---- */

#define FORMS(uris, purposes)                                                                                          \
    "{\"resourceType\":\"Consent\",\"id\":\"c\",\"status\":\"active\",\"scope\":{\"coding\":[{\"system\":"             \
    "\"http://terminology.hl7.org/CodeSystem/"                                                                         \
    "consentscope\",\"code\":\"patient-privacy\"}]},\"category\":[{\"coding\":["                                       \
    "{\"system\":\"http://loinc.org\",\"code\":\"59284-0\"}]}],\"patient\":{\"reference\":\"Patient/"                  \
    "p\"},\"dateTime\":"                                                                                               \
    "\"2024-01-01\",\"performer\":[{\"reference\":\"Patient/p\"}],\"organization\":[{\"reference\":\"Organization/"    \
    "o\"}],"                                                                                                           \
    "\"sourceReference\":{\"reference\":\"DocumentReference/d\"},\"policy\":[" uris                                    \
    "],\"provision\":{\"type\":\"permit\","                                                                            \
    "\"period\":{\"end\":\"2030-01-01\"},\"actor\":[{\"role\":{\"coding\":[{\"system\":"                               \
    "\"http://terminology.hl7.org/CodeSystem/"                                                                         \
    "v3-ParticipationType\",\"code\":\"IRCP\"}]},\"reference\":{\"reference\":"                                        \
    "\"Practitioner/dr\"}}],\"class\":[{\"system\":\"http://hl7.org/fhir/"                                             \
    "resource-types\",\"code\":\"Observation\"}],\"purpose\":[" purposes "]}}"
#define FORM_URI(form) "{\"uri\":\"urn:sluice:form:" form "\"}"
#define FORM_FOR(code) "{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ActReason\",\"code\":\"" code "\"}"

static bool counts_as(const struct sl_policy *under, const char *json, const char *kind, const char *purpose)
{
    struct sl_doc doc = parse(sl_slice_of(json));
    struct sl_directives list = {0};
    size_t count;
    const struct sl_consent_kind *rows = sl_policy_consent_kinds(under, &count);
    assert_int_equal(sl_directive_read(arena, &doc, 0, NULL, &list), SL_OK);
    uint32_t kinds = sl_directive_kinds(list.first, under, sl_slice_of(purpose), june_2024);
    for (size_t i = 0; i < count; i++)
        if (sl_slice_eq(rows[i].id, sl_slice_of(kind)))
            return kinds >> rows[i].index & 1;
    fail_msg("the policy has no %s", kind);
    return false;
}

static void test_combined(void **state)
{
    (void)state;
    struct sl_policy *shipped = NULL;
    struct sl_issues issues = {.arena = arena};
    assert_int_equal(sl_policy_load(SLUICE_SOURCE "/consent/policies", &issues, &shipped), SL_OK);
    const struct {
        const char *json, *kind, *purpose;
        bool counts;
    } cases[] = {
        {FORMS(FORM_URI("sud-counseling-notes-2024"), FORM_FOR("TREAT")), "sud-counseling-notes", "TREAT", true},
        {FORMS(FORM_URI("sud-counseling-notes-2024") "," FORM_URI("part2-tpo-2024"), FORM_FOR("TREAT")),
            "sud-counseling-notes", "TREAT", false},
        {FORMS(FORM_URI("part2-specific-2024") "," FORM_URI("sud-counseling-notes-2024"), FORM_FOR("TREAT")),
            "sud-counseling-notes", "TREAT", false},
        {FORMS(FORM_URI("part2-proceedings-2024"), FORM_FOR("HLEGAL")), "part2-proceedings", "HLEGAL", true},
        {FORMS(FORM_URI("part2-proceedings-2024"), FORM_FOR("HLEGAL") "," FORM_FOR("TREAT")), "part2-proceedings",
            "HLEGAL", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (counts_as(shipped, cases[i].json, cases[i].kind, cases[i].purpose) != cases[i].counts)
            fail_msg("%zu: %s", i, cases[i].json);
    sl_policy_unref(shipped);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {TEST(test_types_and_purposes), TEST(test_periods), TEST(test_actors),
        TEST(test_data), TEST(test_labels), TEST(test_nested), TEST(test_whole), TEST(test_base_policy),
        TEST(test_unknown_recipient), TEST(test_tpo), TEST(test_unknown_item), TEST(test_concerns), TEST(test_refused),
        TEST(test_issues), TEST(test_large), TEST(test_failing_memory), TEST(test_settle), TEST(test_lists),
        TEST(test_kinds), TEST(test_combined), TEST(test_elements), TEST(test_named), TEST(test_general),
        TEST(test_scope), TEST(test_store), TEST(test_kept), TEST(test_ihe_pcf)};
    return cmocka_run_group_tests(tests, load_policy, unload_policy);
}
