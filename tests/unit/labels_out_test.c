/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels out, under the shipped policy: for each case of release what goes on the whole and what on elements, that what
 * was cut leaves no label behind, and that what went out goes out the same again (N3).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sluice/pass.h"

#define LINES 32
#define WORDS 12

static struct sl_policy *policy;

struct world {
    struct sl_arena *arena;
    struct sl_directives directives;
    struct sl_doc docs[LINES];
    struct sl_item *items[LINES];
    size_t count;
};

struct asker {
    const char *party, *purpose, *kind;
};
static const struct asker physician = {"treating-provider", "TREAT", NULL};
static const struct asker program = {"treating-provider", "TREAT", "part2-program"};
static const struct asker partner = {"hie-partner", "TREAT", NULL};
static const struct asker plan = {"health-plan", "HPAYMT", NULL};
static const struct asker patient = {"patient", "PATRQT", NULL};
static const struct asker emergency = {"emergency-clinician", "ETREAT", NULL};

static enum sl_status directives_of(
    void *context, struct sl_slice of, struct sl_arena *arena, struct sl_directives *out)
{
    struct world *world = context;
    return sl_directives_about(&world->directives, of, arena, out);
}

static struct sl_slice next_line(struct sl_slice *rest)
{
    const char *end = memchr(rest->ptr, '\n', rest->len);
    struct sl_slice line = {rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
    *rest = sl_slice_from(*rest, line.len + 1);
    return line;
}

static void read_consents(struct world *world, const char *text)
{
    for (struct sl_slice rest = sl_slice_of(text); rest.len;) {
        struct sl_doc *doc = sl_arena_alloc(world->arena, sizeof *doc);
        assert_int_equal(sl_doc_parse(world->arena, next_line(&rest), NULL, doc, NULL), SL_OK);
        assert_int_equal(sl_directive_read(world->arena, doc, 0, NULL, &world->directives), SL_OK);
    }
}

static void read_records(struct world *world, struct sl_pass *pass, const char *text)
{
    struct sl_slice *missing = NULL;
    size_t count = 1;
    for (struct sl_slice rest = sl_slice_of(text); rest.len; world->count++) {
        struct sl_doc *doc = &world->docs[world->count];
        assert_true(world->count < LINES);
        assert_int_equal(sl_doc_parse(world->arena, next_line(&rest), NULL, doc, NULL), SL_OK);
        assert_int_equal(
            sl_pass_add(pass, doc, 0, (struct sl_slice){NULL, 0}, false, &world->items[world->count]), SL_OK);
    }
    for (int round = 0; round < 8 && count; round++) {
        assert_int_equal(sl_pass_label(pass, &missing, &count), SL_OK);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(sl_labeller_absent(sl_pass_labeller(pass), missing[i], true), SL_OK);
    }
}

static char *gather(struct world *world)
{
    struct sl_blocks out = {.arena = world->arena};
    for (size_t i = 0; i < world->count; i++) {
        if (world->items[i]->verdict->decision != SL_RELEASED)
            continue;
        struct sl_edits *edits = sl_edits_new(world->arena, &world->docs[i]);
        assert_int_equal(sl_segment_edit(world->items[i], edits, world->arena), SL_OK);
        assert_int_equal(sl_edit_gather(edits, 0, &out), SL_OK);
        sl_blocks_add(&out, SL_LIT("\n"));
    }
    char *text = calloc(1, out.total + 1);
    size_t at = 0;
    for (const struct sl_block *b = out.first; b; at += b->len, b = b->next)
        memcpy(text + at, b->ptr, b->len);
    if (at)
        text[at - 1] = '\0'; /* the last line feed */
    return text;
}

/* What is released, as NDJSON; the caller frees it. */
static char *segmented(const char *records, const char *consents, const struct asker *asker)
{
    struct world world = {.arena = sl_arena_new((size_t)64 << 20)};
    struct sl_emergency declared = {
        SL_LIT("Dr. Haddad"), SL_LIT("St. Brigid Hospital"), SL_LIT("gateway"), SL_LIT("unconscious"), true, 0};
    const struct sl_slice kind = sl_slice_of(asker->kind);
    struct sl_recipient recipient = {.client = SL_LIT("test"),
        .party = sl_slice_of(asker->party),
        .purpose = sl_purpose_find(sl_slice_of(asker->purpose)),
        .kinds = &kind,
        .kind_count = asker->kind != NULL,
        .organization = SL_LIT("Organization/us"),
        .emergency = asker == &emergency ? &declared : NULL};
    struct sl_programs *programs = sl_programs_new(true);
    assert_int_equal(sl_programs_add(programs, SL_LIT("Organization/prog"), SL_SOURCE_PROGRAM), SL_OK);
    struct sl_pass_options options = {.policy = policy,
        .programs = programs,
        .recipient = &recipient,
        .now = 1790000000,
        .directives = directives_of,
        .context = &world};
    struct sl_pass *pass = sl_pass_new(world.arena, &options);
    struct sl_segment_report report;
    read_consents(&world, consents);
    read_records(&world, pass, records);
    assert_int_equal(sl_pass_decide(pass, &report), SL_OK);
    char *text = gather(&world);
    sl_programs_unref(programs);
    sl_arena_free(world.arena);
    return text;
}

/* ---- Records ---- */

#define ACT "{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ActCode\",\"code\":\""
#define LEVEL(code) "{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-Confidentiality\",\"code\":\"" code "\"}"
#define ICD(code) "{\"coding\":[{\"system\":\"http://hl7.org/fhir/sid/icd-10-cm\",\"code\":\"" code "\"}]}"
#define PATIENT "{\"resourceType\":\"Patient\",\"id\":\"p\"}\n"
#define ABOUT "\"subject\":{\"reference\":\"Patient/p\"}"
#define PLACES                                                                                                         \
    PATIENT "{\"resourceType\":\"Organization\",\"id\":\"prog\",\"name\":\"Program\"}\n"                               \
            "{\"resourceType\":\"Organization\",\"id\":\"pcp\",\"name\":\"Primary\"}\n"
#define VISIT(id, place, more)                                                                                         \
    "{\"resourceType\":\"Encounter\",\"id\":\"" id "\",\"status\":\"finished\",\"class\":" ACT "AMB\"}," ABOUT         \
    ",\"serviceProvider\":{\"reference\":\"Organization/" place "\"}" more "}\n"
#define CONDITION(id, visit, code, more)                                                                               \
    "{\"resourceType\":\"Condition\",\"id\":\"" id "\"" more "," ABOUT                                                 \
    ",\"encounter\":{\"reference\":\"Encounter/" visit "\"},\"code\":" ICD(code) "}\n"
#define META(labels) ",\"meta\":{\"security\":[" labels "]}"
#define HELD_BY(place) ",\"custodian\":{\"reference\":\"Organization/" place "\"}"
#define NOTE(id, folder, more)                                                                                         \
    "{\"resourceType\":\"DocumentReference\",\"id\":\"" id "\"" more ",\"status\":\"current\"," ABOUT ",\"category\""  \
    ":[{\"coding\":[{\"system\":\"urn:sluice:note-folder\",\"code\":\"" folder "\"}]}],\"content\":[{\"attachment\":"  \
    "{\"contentType\":\"text/plain\",\"data\":\"d29yZHM=\"}}]}\n"

#define CATEGORY(system, code) "\"category\":[{\"coding\":[{\"system\":\"" system "\",\"code\":\"" code "\"}]}],"
#define TO_THE_CLIENT                                                                                                  \
    ",\"actor\":[{\"role\":{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ParticipationType\","   \
    "\"code\":\"IRCP\"}]},\"reference\":{\"reference\":\"Device/test\"}}]"
#define CONSENT(id, category, form, provision)                                                                         \
    "{\"resourceType\":\"Consent\",\"id\":\"" id "\",\"status\":\"active\",\"scope\":{\"coding\":[{\"system\":"        \
    "\"http://terminology.hl7.org/CodeSystem/consentscope\",\"code\":\"patient-privacy\"}]}," category                 \
    "\"patient\":{\"reference\":\"Patient/"                                                                            \
    "p\"},\"dateTime\":\"2024-01-01\",\"performer\":[{\"reference\":\"Patient/p\"}],\"organization\":[{\"reference\":" \
    "\"Organization/prog\"},{\"reference\":\"Organization/"                                                            \
    "pcp\"}],\"sourceReference\":{\"display\":\"form\"},\"policy\":["                                                  \
    "{\"uri\":\"urn:sluice:form:" form                                                                                 \
    "\"}],\"provision\":{\"type\":\"permit\",\"period\":{\"end\":\"2099-12-31\"}," provision "}}\n"
#define PURPOSE(code) "{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ActReason\",\"code\":\"" code "\"}"
#define ALL_TPO "\"purpose\":[" PURPOSE("TREAT") "," PURPOSE("HPAYMT") "," PURPOSE("HOPERAT") "]"
#define PART2_CONSENT(id, form, provision)                                                                             \
    CONSENT(id, CATEGORY("http://terminology.hl7.org/CodeSystem/v3-ActCode", "42CFRPart2CD"), form, provision)
#define FOR_TREATMENT "\"purpose\":[" PURPOSE("TREAT") "]" TO_THE_CLIENT
#define TPO PART2_CONSENT("tpo", "part2-tpo-2024", ALL_TPO)
#define SPECIFIC PART2_CONSENT("one", "part2-specific-2024", FOR_TREATMENT)
#define AUTHORIZED CONSENT("auth", CATEGORY("http://loinc.org", "59284-0"), "general", FOR_TREATMENT)
#define NOTES_CONSENT                                                                                                  \
    CONSENT("notes", CATEGORY("urn:sluice:consent-form", "sud-counseling-notes"), "sud-counseling-notes-2024",         \
        FOR_TREATMENT)
#define THERAPY_CONSENT                                                                                                \
    CONSENT("therapy", CATEGORY("urn:sluice:consent-form", "psychotherapy-notes"), "psychotherapy-notes-2024",         \
        FOR_TREATMENT)

#define PROGRAMS_PULSE                                                                                                 \
    PLACES VISIT("e", "prog", "") "{\"resourceType\":\"Observation\",\"id\":\"bp\",\"status\":\"final\"," ABOUT        \
                                  ",\"encounter\":{\"reference\":\"Encounter/"                                         \
                                  "e\"},\"code\":{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":"              \
                                  "\"8480-6\"}]}}\n"
#define OUD PLACES VISIT("e", "prog", "") CONDITION("oud", "e", "F11.20", "")
/* A visit whose reason is a depression, and a record that mentions the visit. */
#define SAD_VISIT                                                                                                      \
    PLACES VISIT("e", "pcp",                                                                                           \
        ",\"reasonCode\":[" ICD("F32.1") "," ICD(                                                                      \
            "E11.9") "]") "{\"resourceType\":\"Appointment\",\"id\":\"a\",\"status\":\"booked\",\"participant\":[{"    \
                          "\"actor\":{\"reference\":"                                                                  \
                          "\"Patient/p\"},\"status\":\"accepted\"}],\"reasonReference\":[{\"reference\":\"Condition/"  \
                          "dm\"}]}\n" CONDITION("dm", "e", "E11.9", "")
#define IS(code) "\"code\":\"" code "\""
#define INLINE(code) "extension-inline-sec-label\",\"valueCoding\":" ACT code "\""

static const struct {
    const char *title, *records, *consents;
    const struct asker *asker;
    const char *there[WORDS], *nowhere[WORDS];
} cases[] = {
    {"set A: a TPO consent, to whom HIPAA binds", PROGRAMS_PULSE, TPO, &physician,
        {IS("42CFRPart2"), IS("CPLYJPP"), IS("RedisclosureProhibitionMark"), LEVEL("R")},
        {IS("NORDSCLCD"), IS("CPLYCD"), IS("SUD"), "PROCESSINLINELABEL"}},
    {"with the label of the diagnosis, and the one IHE's peers know", OUD, TPO, &physician,
        {IS("SUD"), IS("ETH"), IS("OPIOIDUD"), IS("42CFRPart2")}, {IS("NORDSCLCD")}},
    {"set B: a program that HIPAA does not bind", PROGRAMS_PULSE, TPO, &program,
        {IS("42CFRPart2"), IS("CPLYJPP"), IS("RedisclosureProhibitionMark"), IS("NORDSCLCD"), IS("CPLYCD")}, {NULL}},
    {"set B: a consent for one purpose", PROGRAMS_PULSE, SPECIFIC, &physician,
        {IS("42CFRPart2"), IS("NORDSCLCD"), IS("CPLYCD"), LEVEL("R")}, {NULL}},
    {"an emergency: set B and the purpose, and no statement", OUD, "", &emergency,
        {IS("42CFRPart2"), IS("NORDSCLCD"), IS("CPLYCD"), IS("ETREAT")}, {"prohibits unauthorized"}},
    {"the patient's own: moderate, and at his request", OUD, "", &patient,
        {LEVEL("M"), IS("SUD"), IS("42CFRPart2"), IS("PATRQT")}, {LEVEL("R"), IS("NORDSCLCD")}},
    {"psychotherapy notes", PLACES NOTE("n", "psychotherapy", HELD_BY("pcp")), THERAPY_CONSENT, &physician,
        {LEVEL("R"), IS("PSYTHPN"), IS("HIPAAPsyNotes"), IS("NODSCLCDS")}, {IS("42CFRPart2"), IS("SUD")}},
    {"SUD counseling notes", PLACES NOTE("n", "sud-counseling", HELD_BY("pcp")), NOTES_CONSENT, &physician,
        {LEVEL("R"), IS("SUD"), IS("PSYTHPN"), IS("42CFRPart2"), IS("NODSCLCDS"), "prohibits unauthorized"},
        {IS("HIPAAPsyNotes")}},
    {"HIV under state law", PLACES CONDITION("h", "e", "B20", ""), "", &physician,
        {LEVEL("R"), IS("HIV"), IS("CPLYJPP")}, {IS("SEX")}},
    {"an assault is no abuse when it comes back", PLACES CONDITION("h", "e", "Y04.0XXA", ""), "", &physician,
        {IS("VIO")}, {IS("SDV")}},
    {"self-pay, as it came", PLACES CONDITION("s", "e", "E11.9", META(ACT "HIPAASelfPay\"}")), "", &physician,
        {IS("HIPAASelfPay"), IS("PRS"), LEVEL("N")}, {LEVEL("R")}},
    {"a signed note that AI wrote",
        PLACES NOTE("n", "x",
            ",\"docStatus\":\"final\"" META("{\"system\":\"http://terminology.hl7.org/CodeSystem/"
                                            "v3-ObservationValue\",\"code\":\"AIAST\"}")),
        "", &physician, {IS("AIAST")}, {IS("DRAFTMark")}},
    {"a draft, to the patient",
        PLACES NOTE("n", "x",
            ",\"docStatus\":\"preliminary\"" META("{\"system\":\"http://terminology.hl7.org/"
                                                  "CodeSystem/v3-ObservationValue\",\"code\":"
                                                  "\"AIAST\"}")),
        "", &patient, {IS("AIAST"), IS("DRAFTMark")}, {NULL}},

    /* Labels that came with the record. */
    {"persist", PLACES CONDITION("c", "e", "E11.9", META(ACT "MINEC\"}," ACT "AUDIT\",\"display\":\"audit\"}")), "",
        &physician, {IS("MINEC"), "\"code\":\"AUDIT\",\"display\":\"audit\""}, {NULL}},
    {"restrict, and tell nobody who may not have it",
        PLACES CONDITION("c", "e", "E11.9", META(ACT "OPIOIDUD\"}")) CONDITION("d", "e", "E11.9", META(ACT "ETHUD\"}"))
            CONDITION("m", "e", "E11.9", META(ACT "PSY\"}")) CONDITION("s", "e", "E11.9", META(ACT "SPI\"}"))
                CONDITION("r", "e", "E11.9", META(LEVEL("R"))) CONDITION("v", "e", "E11.9", META(LEVEL("V")))
                    CONDITION("n", "e", "E11.9", META(ACT "NODSCLCD\"}")),
        "", &partner, {"\"id\":\"p\""},
        {"\"id\":\"c\"", "\"id\":\"d\"", "\"id\":\"m\"", "\"id\":\"s\"", "\"id\":\"r\"", "\"id\":\"v\"",
            "\"id\":\"n\""}},
    {"the level that came stays where nothing else is known", PLACES CONDITION("c", "e", "E11.9", META(LEVEL("V"))), "",
        &physician, {"\"security\":[" LEVEL("V") "]"}, {LEVEL("R")}},
    {"retired codes go out as what stands today",
        PLACES CONDITION("c", "e", "E11.9",
            META("{\"system\":\"http://terminology.hl7.org/CodeSystem/"
                 "v3-Confidentiality\",\"code\":\"ETH\"}," ACT "NORDSLCD\"}")),
        "", &physician, {ACT "ETH\"", ACT "NORDSCLCD\"", IS("SUD")},
        {IS("NORDSLCD"), "Confidentiality\",\"code\":\"ETH"}},
    {"a label nobody knows goes to who may have all words",
        PLACES CONDITION("c", "e", "E11.9", META("{\"system\":\"urn:x\",\"code\":\"OUR-DETOX\"}")), "", &patient,
        {"OUR-DETOX"}, {NULL}},
    {"and to nobody else", PLACES CONDITION("c", "e", "E11.9", META("{\"system\":\"urn:x\",\"code\":\"OUR-DETOX\"}")),
        "", &partner, {"\"id\":\"c\""}, {"OUR-DETOX"}},

    /* Labels on elements. */
    {"one reason of a visit is labelled, the visit is not", SAD_VISIT, AUTHORIZED, &partner,
        {"F32.1\"}],\"extension\":[{", INLINE("MH"), INLINE("BH"), INLINE("PSY"), IS("PROCESSINLINELABEL")},
        {"\"security\":[" LEVEL("R") "," ACT "BH", "E11.9\"}],\"extension\"", "HIV"}},
    {"where it may not go there is no label either", SAD_VISIT, "", &partner, {"\"id\":\"e\"", LEVEL("N")},
        {"F32.1", IS("MH"), IS("BH"), "PROCESSINLINELABEL", LEVEL("R")}},
    {"what is mentioned lends its labels to the mention, and the consent's statement to the whole",
        OUD VISIT("f", "pcp", ",\"diagnosis\":[{\"condition\":{\"reference\":\"Condition/oud\"}}]"), TPO, &physician,
        {"Condition/oud\",\"extension\":[{", INLINE("42CFRPart2"), INLINE("SUD"), "prohibits unauthorized"},
        {"\"security\":[" LEVEL("R") "," ACT "42CFRPart2\",\"display\":\"42 CFR Part2\"}]}"}},
    {"a label that came on an element is about that element",
        PLACES VISIT("e", "pcp",
            META(ACT "PROCESSINLINELABEL\"}," LEVEL(
                "R")) ",\"reasonCode\":[{\"text\":\"CANARY\","
                      "\"extension\":[{\"url\":\"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/"
                      "extension-inline-sec-label\",\"valueCoding\":" LEVEL(
                          "R") "},{\"url\":\"http://hl7.org/fhir/uv/"
                               "security-label-ds4p/StructureDefinition/"
                               "extension-inline-sec-label\",\"valueCoding\":" ACT "SUD\"}}]}]"),
        "", &partner, {"\"id\":\"e\"", LEVEL("N")}, {"CANARY", "PROCESSINLINELABEL", IS("SUD"), LEVEL("R")}},
    {"the same to who may have it",
        PLACES VISIT("e", "pcp",
            META(ACT "PROCESSINLINELABEL\"}," LEVEL(
                "R")) ",\"reasonCode\":[{\"text\":\"CANARY\","
                      "\"extension\":[{\"url\":\"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/"
                      "extension-inline-sec-label\",\"valueCoding\":" LEVEL(
                          "R") "},{\"url\":\"http://hl7.org/fhir/uv/"
                               "security-label-ds4p/StructureDefinition/"
                               "extension-inline-sec-label\",\"valueCoding\":" ACT "SUD\"}}]}]"),
        "", &physician, {"CANARY", "PROCESSINLINELABEL", INLINE("SUD"), INLINE("ETH"), LEVEL("R")}, {NULL}},
    {"a level of the whole above that of its elements is the whole's",
        PLACES VISIT("e", "pcp",
            META(ACT "PROCESSINLINELABEL\"}," LEVEL(
                "V")) ",\"reasonCode\":[{\"text\":\"x\","
                      "\"extension\":[{\"url\":\"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/"
                      "extension-inline-sec-label\",\"valueCoding\":" LEVEL("R") "}]}]"),
        "", &partner, {"\"id\":\"p\""}, {"\"id\":\"e\""}},
    {"on an extension it stands on the value, and on a primitive by its other half",
        PLACES VISIT("e", "pcp",
            ",\"extension\":[{\"url\":\"urn:why\",\"valueCodeableConcept\":" ICD(
                "F32.1") "},"
                         "{\"url\":\"urn:parts\",\"extension\":[{\"url\":\"why\",\"valueCodeableConcept\":" ICD(
                             "F33.1") "}]}]"),
        "", &physician, {"F32.1\"}],\"extension\":[{", "F33.1\"}],\"extension\":[{", INLINE("MH")}, {NULL}},
};

static void check(const char *title, const char *text, const char *const *there, const char *const *nowhere)
{
    for (size_t i = 0; i < WORDS && there[i]; i++)
        if (!strstr(text, there[i]))
            fail_msg("%s: %s is not in\n%s", title, there[i], text);
    for (size_t i = 0; i < WORDS && nowhere[i]; i++)
        if (strstr(text, nowhere[i]))
            fail_msg("%s: %s is in\n%s", title, nowhere[i], text);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = segmented(cases[i].records, cases[i].consents, cases[i].asker);
        check(cases[i].title, text, cases[i].there, cases[i].nowhere);
        free(text);
    }
}

/* N3, for every case and every recipient. */
static void test_again(void **state)
{
    (void)state;
    const struct asker *const all[] = {&physician, &program, &partner, &plan, &patient, &emergency};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
            char *once = segmented(cases[i].records, cases[i].consents, all[k]);
            char *twice = segmented(once, cases[i].consents, all[k]);
            if (strcmp(once, twice) != 0)
                fail_msg("%s as %s:\n%s\nand again\n%s", cases[i].title, all[k]->party, once, twice);
            free(once);
            free(twice);
        }
}

static int load_policy(void **state)
{
    (void)state;
    struct sl_arena *arena = sl_arena_new((size_t)64 << 20);
    struct sl_issues issues = {.arena = arena};
    enum sl_status status = sl_policy_load(SLUICE_SOURCE "/consent/policies", &issues, &policy);
    for (struct sl_issue *i = issues.first; i && status != SL_OK; i = i->next)
        fprintf(stderr, "%.*s:%zu: %.*s\n", SL_FMT(i->file), i->line, SL_FMT(i->text));
    sl_arena_free(arena);
    return status == SL_OK ? 0 : -1;
}

static int unload_policy(void **state)
{
    (void)state;
    sl_policy_unref(policy);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_again),
    };
    return cmocka_run_group_tests(tests, load_policy, unload_policy);
}
