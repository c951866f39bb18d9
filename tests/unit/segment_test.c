/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole pass under the shipped policy: what goes out of a few resources, and what does not. Each case is records
 * (NDJSON), who asks, and words that must or must not be in what goes out.
 */
#include "segmented.h"

/* ---- A small world: one patient, a Part 2 program, a primary-care clinic ---- */

#define RECORDS                                                                                                        \
    "{\"resourceType\":\"Organization\",\"id\":\"prog\",\"name\":\"Program\"}\n"                                       \
    "{\"resourceType\":\"Organization\",\"id\":\"pcp\",\"name\":\"Primary\"}\n"                                        \
    "{\"resourceType\":\"Patient\",\"id\":\"p\",\"text\":{\"status\":\"generated\",\"div\":\"<div>NARRATIVE</"         \
    "div>\"}}\n"                                                                                                       \
    "{\"resourceType\":\"Encounter\",\"id\":\"e2\",\"status\":\"finished\",\"class\":{\"code\":\"AMB\"},"              \
    "\"subject\":{\"reference\":\"Patient/p\"},\"serviceProvider\":{\"reference\":\"Organization/prog\"}}\n"           \
    "{\"resourceType\":\"Condition\",\"id\":\"oud\",\"subject\":{\"reference\":\"Patient/p\"},"                        \
    "\"encounter\":{\"reference\":\"Encounter/e2\"},\"code\":{\"coding\":[{\"system\":"                                \
    "\"http://hl7.org/fhir/sid/icd-10-cm\",\"code\":\"F11.20\"}],\"text\":\"CANARY-OUD\"}}\n"                          \
    "{\"resourceType\":\"Observation\",\"id\":\"bp2\",\"status\":\"final\",\"subject\":{\"reference\":\"Patient/p\"}," \
    "\"encounter\":{\"reference\":\"Encounter/e2\"},\"code\":{\"coding\":[{\"system\":\"http://loinc.org\","           \
    "\"code\":\"8480-6\"}],\"text\":\"CANARY-BP\"},\"valueQuantity\":{\"value\":1.10}}\n"                              \
    "{\"resourceType\":\"Encounter\",\"id\":\"e1\",\"status\":\"finished\",\"class\":{\"code\":\"AMB\"},"              \
    "\"subject\":{\"reference\":\"Patient/p\"},\"serviceProvider\":{\"reference\":\"Organization/pcp\"},"              \
    "\"diagnosis\":[{\"condition\":{\"reference\":\"Condition/oud\",\"display\":\"CANARY-OUD\"}},"                     \
    "{\"condition\":{\"reference\":\"Condition/dm\"}}]}\n"                                                             \
    "{\"resourceType\":\"Condition\",\"id\":\"dm\",\"vendor\":\"UNKNOWN-PROPERTY\",\"subject\":{\"reference\":"        \
    "\"Patient/p\"},"                                                                                                  \
    "\"encounter\":{\"reference\":\"Encounter/e1\"},\"code\":{\"coding\":[{\"system\":"                                \
    "\"http://hl7.org/fhir/sid/icd-10-cm\",\"code\":\"E11.9\"}]}}\n"                                                   \
    "{\"resourceType\":\"Observation\",\"id\":\"a1c\",\"status\":\"final\",\"subject\":{\"reference\":\"Patient/p\"}," \
    "\"encounter\":{\"reference\":\"Encounter/e1\"},\"code\":{\"coding\":[{\"system\":\"http://loinc.org\","           \
    "\"code\":\"4548-4\"}]},\"valueQuantity\":{\"value\":7.10}}\n"                                                     \
    "{\"resourceType\":\"CarePlan\",\"id\":\"plan\",\"status\":\"active\",\"intent\":\"plan\","                        \
    "\"subject\":{\"reference\":\"Patient/p\"},\"encounter\":{\"reference\":\"Encounter/e1\"},"                        \
    "\"addresses\":[{\"reference\":\"Condition/oud\",\"display\":\"CANARY-OUD\"},{\"reference\":\"Condition/dm\"}]}\n" \
    "{\"resourceType\":\"Provenance\",\"id\":\"prov\",\"target\":[{\"reference\":\"Condition/oud\"}],"                 \
    "\"recorded\":\"2026-01-01T00:00:00Z\",\"agent\":[{\"who\":{\"reference\":\"Organization/prog\"}}]}"

#define TPO                                                                                                            \
    "{\"resourceType\":\"Consent\",\"id\":\"c\",\"status\":\"active\",\"scope\":{\"coding\":[{\"system\":"             \
    "\"http://terminology.hl7.org/CodeSystem/"                                                                         \
    "consentscope\",\"code\":\"patient-privacy\"}]},\"category\":[{\"coding\":"                                        \
    "[{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ActCode\",\"code\":\"42CFRPart2CD\"}]}],"                 \
    "\"patient\":{\"reference\":\"Patient/p\"},\"dateTime\":\"2026-01-01\",\"performer\":[{\"reference\":\"Patient/"   \
    "p\"}],"                                                                                                           \
    "\"organization\":[{\"reference\":\"Organization/prog\"}],\"sourceReference\":{\"display\":\"form\"},"             \
    "\"policy\":[{\"uri\":\"urn:sluice:form:part2-tpo-2024\"}],\"provision\":{\"type\":\"permit\","                    \
    "\"period\":{\"start\":\"2026-01-01\"},\"purpose\":[{\"system\":"                                                  \
    "\"http://terminology.hl7.org/CodeSystem/v3-ActReason\",\"code\":\"TREAT\"},{\"system\":"                          \
    "\"http://terminology.hl7.org/CodeSystem/v3-ActReason\",\"code\":\"HPAYMT\"},{\"system\":"                         \
    "\"http://terminology.hl7.org/CodeSystem/v3-ActReason\",\"code\":\"HOPERAT\"}]}}"

static const struct {
    const char *name, *consents, *party, *purpose;
    const char *present[8], *absent[8];
} cases[] = {
    {"Part 2 stays behind without a consent, whatever its code", "", "treating-provider", "TREAT",
        {"\"id\":\"dm\"", "\"id\":\"a1c\"", "\"id\":\"e1\"", "\"id\":\"plan\"", "\"value\":7.10", "\"id\":\"p\""},
        {"CANARY", "\"id\":\"bp2\"", "\"id\":\"e2\"", "Condition/oud", "42CFRPart2", "\"id\":\"prov\"", "NARRATIVE"}},
    {"with the TPO consent it goes out, labelled, with the statement", TPO, "treating-provider", "TREAT",
        {"CANARY-OUD", "CANARY-BP", "\"value\":1.10", "42CFRPart2", "Condition/oud",
            "42 CFR part 2 prohibits unauthorized use or disclosure of these records."},
        {"NARRATIVE", "UNKNOWN-PROPERTY"}},
    {"consent for TPO is none for proceedings", TPO, "treating-provider", "HLEGAL", {NULL}, {"CANARY"}},
    {"the front desk gets no chart", TPO, "front-desk", "PATADMIN", {"\"id\":\"p\""},
        {"CANARY", "\"id\":\"dm\"", "\"id\":\"a1c\""}},
    {"an emergency is treated", "", "emergency-clinician", "ETREAT", {"CANARY-OUD", "CANARY-BP", "42CFRPart2"},
        {"UNKNOWN-PROPERTY"}},
    {"the patient has the whole of it", "", "patient", "PATRQT", {"CANARY-OUD", "CANARY-BP", "NARRATIVE"},
        {"UNKNOWN-PROPERTY"}},
    {"a payer has no substance use without a consent", "", "health-plan", "HPAYMT", {NULL}, {"CANARY", "NARRATIVE"}},
    {"an exchange has the ordinary chart", "", "hie-partner", "TREAT", {"\"id\":\"dm\""}, {"CANARY", "NARRATIVE"}},
    {"an AI agent has nothing of a program", "", "ai-agent", "TREAT", {NULL}, {"CANARY", "NARRATIVE"}},
    {"a research feed has no patient's record", "", "research-feed", "HRESCH", {NULL},
        {"CANARY", "\"id\":\"dm\"", "\"id\":\"p\""}},
};

/* ---- Other worlds ---- */

#define PATIENT(id) "{\"resourceType\":\"Patient\",\"id\":\"" id "\"}\n"
#define ORDER(id, patient, medication)                                                                                 \
    "{\"resourceType\":\"MedicationRequest\",\"id\":\"" id "\",\"status\":\"active\",\"intent\":\"order\","            \
    "\"medicationReference\":{\"reference\":\"Medication/" medication                                                  \
    "\"},\"subject\":{\"reference\":\"Patient/" patient "\"},"                                                         \
    "\"requester\":{\"reference\":\"Organization/prog\"}}\n"
/* A visit at a place of a unit of the program, and a reason whose code is written as a number. */
#define UNIT                                                                                                           \
    "{\"resourceType\":\"Organization\",\"id\":\"prog\"}\n"                                                            \
    "{\"resourceType\":\"Organization\",\"id\":\"unit\",\"partOf\":{\"reference\":\"Organization/prog\"}}\n"           \
    "{\"resourceType\":\"Location\",\"id\":\"site\",\"managingOrganization\":{\"reference\":\"Organization/unit\"}}\n" \
    "{\"resourceType\":\"Encounter\",\"id\":\"visit\",\"status\":\"finished\",\"class\":{\"system\":"                  \
    "\"http://terminology.hl7.org/CodeSystem/v3-ActCode\",\"code\":\"AMB\"},"                                          \
    "\"subject\":{\"reference\":\"Patient/p\"},\"location\":[{\"location\":{\"reference\":\"Location/site\"}}]}"
#define NUMBER                                                                                                         \
    "{\"resourceType\":\"Encounter\",\"id\":\"visit\",\"status\":\"finished\",\"class\":{\"system\":"                  \
    "\"http://terminology.hl7.org/CodeSystem/v3-ActCode\",\"code\":\"AMB\"},"                                          \
    "\"subject\":{\"reference\":\"Patient/p\"},\"serviceProvider\":{\"reference\":\"Organization/pcp\"},"              \
    "\"reasonCode\":[{\"coding\":[{\"system\":\"http://snomed.info/"                                                   \
    "sct\",\"code\":66590003,\"display\":\"CANARY\"}]}]}"
/* A Part 2 candidate code whose origin is named by another server's URL; the table is closed, so ours would be none. */
#define FOREIGN                                                                                                        \
    "{\"resourceType\":\"Organization\",\"id\":\"pcp\"}\n"                                                             \
    "{\"resourceType\":\"Condition\",\"id\":\"foreign\",\"subject\":{\"reference\":\"Patient/p\"},"                    \
    "\"recorder\":{\"reference\":\"https://elsewhere.example/fhir/Organization/pcp\"},\"code\":{\"coding\":["          \
    "{\"system\":\"http://hl7.org/fhir/sid/icd-10-cm\",\"code\":\"F11.20\"}]}}"
#define LABELLED(system)                                                                                               \
    "{\"resourceType\":\"Observation\",\"id\":\"labelled\",\"meta\":{\"security\":[{" system                           \
    "\"code\":\"42cfrpart2\"}]},"                                                                                      \
    "\"status\":\"final\",\"subject\":{\"reference\":\"Patient/p\"},\"code\":{\"coding\":[{\"system\":"                \
    "\"http://loinc.org\",\"code\":\"8480-6\"}]}}"
#define DRUG(id, code)                                                                                                 \
    "{\"resourceType\":\"Medication\",\"id\":\"" id "\",\"code\":{\"coding\":[{\"system\":"                            \
    "\"http://www.nlm.nih.gov/research/umls/rxnorm\",\"code\":\"" code "\"}]}}"

static const struct {
    const char *name, *records, *consents, *party, *purpose;
    const char *present[8], *absent[8];
} worlds[] = {
    {"a medication goes with the order that goes", PATIENT("p") ORDER("o", "p", "m") DRUG("m", "6813"), TPO,
        "treating-provider", "TREAT", {"\"id\":\"o\"", "\"id\":\"m\"", "Medication/m"}, {NULL}},
    {"and stays with the one that stays", PATIENT("p") ORDER("o", "p", "m") DRUG("m", "6813"), "", "treating-provider",
        "TREAT", {"\"id\":\"p\""}, {"\"id\":\"o\"", "\"id\":\"m\""}},
    {"nobody's medication belongs to nobody", PATIENT("p") DRUG("m", "314076"), "", "treating-provider", "TREAT",
        {"\"id\":\"p\""}, {"\"id\":\"m\""}},
    {"what R4 does not know of an element's other half takes no value with it",
        "{\"resourceType\":\"Patient\",\"id\":\"p\",\"active\":true,\"_active\":{\"odd\":\"CANARY\"},"
        "\"birthDate\":\"1970-01-01\",\"_birthDate\":{\"odd\":\"CANARY\"},\"name\":[{\"given\":[\"Ann\",\"Bo\"],"
        "\"_given\":[null,{\"odd\":\"CANARY\"}]}],\"gender\":\"female\",\"_gender\":{\"id\":\"g\",\"odd\":1}}\n",
        "", "treating-provider", "TREAT",
        {"\"active\":true,\"birthDate\":\"1970-01-01\"", "{\"given\":[\"Ann\",\"Bo\"]}",
            "\"gender\":\"female\",\"_gender\":{\"id\":\"g\"}"},
        {"CANARY", "odd", "_active", "_birthDate", "_given"}},
    {"but where it is all there is of a required element, it takes the resource",
        PATIENT(
            "p") "{\"resourceType\":\"Observation\",\"id\":\"o\",\"_status\":{\"odd\":1},\"code\":{\"coding\":["
                 "{\"system\":\"http://loinc.org\",\"code\":\"8867-4\"}]},\"subject\":{\"reference\":\"Patient/p\"}}\n",
        "", "treating-provider", "TREAT", {"\"id\":\"p\""}, {"\"id\":\"o\""}},
    {"one patient's consent is not another's",
        PATIENT("p") PATIENT("q") ORDER("op", "p", "m") ORDER("oq", "q", "n") DRUG("m", "6813") "\n" DRUG("n", "6813"),
        TPO, "treating-provider", "TREAT", {"\"id\":\"op\"", "\"id\":\"m\""}, {"\"id\":\"oq\"", "\"id\":\"n\""}},
    {"a place of a unit of the program is the program's to disclose", PATIENT("p") UNIT, TPO, "treating-provider",
        "TREAT", {"\"id\":\"visit\""}, {NULL}},
    {"and stays without a consent", PATIENT("p") UNIT, "", "treating-provider", "TREAT", {"\"id\":\"p\""},
        {"\"id\":\"visit\""}},
    {"a code written as a number is read all the same", PATIENT("p") NUMBER, "", "health-plan", "HPAYMT",
        {"\"id\":\"visit\""}, {"66590003", "CANARY"}},
    {"another server's clinic of the same name is not ours", PATIENT("p") FOREIGN, "", "treating-provider", "TREAT",
        {"\"id\":\"p\""}, {"\"id\":\"foreign\""}},
    {"how many others are in a Group is nothing to one of them",
        PATIENT("p") PATIENT(
            "q") "{\"resourceType\":\"Group\",\"id\":\"g\",\"type\":\"person\",\"actual\":true,\"quantity\":4711,"
                 "\"text\":"
                 "{\"status\":\"generated\",\"div\":\"<div>NARRATIVE</div>\"},\"managingEntity\":{\"reference\":"
                 "\"Organization/pcp\"},\"member\":[{\"entity\":{\"reference\":\"Patient/p\"}},{\"entity\":"
                 "{\"reference\":\"Patient/q\"}}]}\n",
        "", "patient", "PATRQT", {"\"id\":\"g\"", "Patient/p"}, {"4711", "NARRATIVE", "quantity"}},
    {"a label without a system is believed", PATIENT("p") LABELLED(""), "", "treating-provider", "TREAT",
        {"\"id\":\"p\""}, {"\"id\":\"labelled\""}},
};

static void check_words(const char *name, const char *text, const char *const *present, const char *const *absent)
{
    for (size_t i = 0; i < 8 && present[i]; i++)
        if (!strstr(text, present[i]))
            fail_msg("%s: %s is missing in: %s", name, present[i], text);
    for (size_t i = 0; i < 8 && absent[i]; i++)
        if (strstr(text, absent[i]))
            fail_msg("%s: %s is in: %s", name, absent[i], text);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_segment_report report;
        char *text = segmented(RECORDS, cases[i].consents, cases[i].party, cases[i].purpose, &report);
        check_words(cases[i].name, text, cases[i].present, cases[i].absent);
        free(text);
    }
}

static void test_worlds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof worlds / sizeof *worlds; i++) {
        struct sl_segment_report report;
        char *text = segmented(worlds[i].records, worlds[i].consents, worlds[i].party, worlds[i].purpose, &report);
        check_words(worlds[i].name, text, worlds[i].present, worlds[i].absent);
        free(text);
    }
}

/* Every value of the records written with escapes: what goes out is the same set of resources. */
static void test_escapes(void **state)
{
    (void)state;
    static const char *const plain[] = {
        "F11.20", "http://hl7.org/fhir/sid/icd-10-cm", "Organization/prog", "Condition/oud", "Encounter/e2"};
    static const char *const escaped[] = {"F11\\u002e20", "http:\\/\\/hl7.org\\/fhir\\/sid\\/icd-10-cm",
        "Organization\\u002fprog", "\\u0043ondition\\/oud", "Encounter\\/\\u00652"};
    char *records = malloc(sizeof RECORDS * 4);
    size_t out = 0;
    for (const char *in = RECORDS; *in;) {
        size_t word = 0;
        while (word < 5 && strncmp(in, plain[word], strlen(plain[word])) != 0)
            word++;
        const char *put = word < 5 ? escaped[word] : in;
        size_t len = word < 5 ? strlen(escaped[word]) : 1;
        memcpy(records + out, put, len);
        out += len;
        in += word < 5 ? strlen(plain[word]) : 1;
    }
    records[out] = '\0';
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_segment_report a, b;
        char *x = segmented(RECORDS, cases[i].consents, cases[i].party, cases[i].purpose, &a);
        char *y = segmented(records, cases[i].consents, cases[i].party, cases[i].purpose, &b);
        assert_int_equal(a.resources_released, b.resources_released);
        assert_int_equal(a.resources_withheld, b.resources_withheld);
        assert_int_equal(a.elements_cut, b.elements_cut);
        for (size_t w = 0; w < 8 && cases[i].absent[w]; w++)
            if (strncmp(cases[i].absent[w], "CANARY", 6) == 0)
                assert_null(strstr(y, cases[i].absent[w]));
        free(x);
        free(y);
    }
    free(records);
}

/* N2: without the withheld items and the references to them, the view is the same bytes. */
static void test_without_the_withheld(void **state)
{
    (void)state;
    static const char *const without =
        "{\"resourceType\":\"Organization\",\"id\":\"prog\",\"name\":\"Program\"}\n"
        "{\"resourceType\":\"Organization\",\"id\":\"pcp\",\"name\":\"Primary\"}\n"
        "{\"resourceType\":\"Patient\",\"id\":\"p\",\"text\":{\"status\":\"generated\",\"div\":\"<div>NARRATIVE</"
        "div>\"}}\n"
        "{\"resourceType\":\"Encounter\",\"id\":\"e1\",\"status\":\"finished\",\"class\":{\"code\":\"AMB\"},"
        "\"subject\":{\"reference\":\"Patient/p\"},\"serviceProvider\":{\"reference\":\"Organization/pcp\"},"
        "\"diagnosis\":[{\"condition\":{\"reference\":\"Condition/dm\"}}]}\n"
        "{\"resourceType\":\"Condition\",\"id\":\"dm\",\"vendor\":\"UNKNOWN-PROPERTY\",\"subject\":{\"reference\":"
        "\"Patient/p\"},"
        "\"encounter\":{\"reference\":\"Encounter/e1\"},\"code\":{\"coding\":[{\"system\":"
        "\"http://hl7.org/fhir/sid/icd-10-cm\",\"code\":\"E11.9\"}]}}\n"
        "{\"resourceType\":\"Observation\",\"id\":\"a1c\",\"status\":\"final\",\"subject\":{\"reference\":\"Patient/"
        "p\"},"
        "\"encounter\":{\"reference\":\"Encounter/e1\"},\"code\":{\"coding\":[{\"system\":\"http://loinc.org\","
        "\"code\":\"4548-4\"}]},\"valueQuantity\":{\"value\":7.10}}\n"
        "{\"resourceType\":\"CarePlan\",\"id\":\"plan\",\"status\":\"active\",\"intent\":\"plan\","
        "\"subject\":{\"reference\":\"Patient/p\"},\"encounter\":{\"reference\":\"Encounter/e1\"},"
        "\"addresses\":[{\"reference\":\"Condition/dm\"}]}";
    static const char *const parties[][2] = {{"treating-provider", "TREAT"}, {"hie-partner", "TREAT"},
        {"health-plan", "HPAYMT"}, {"ai-agent", "TREAT"}, {"front-desk", "PATADMIN"}, {"research-feed", "HRESCH"}};
    for (size_t i = 0; i < sizeof parties / sizeof *parties; i++) {
        struct sl_segment_report report;
        char *a = segmented(RECORDS, "", parties[i][0], parties[i][1], &report);
        char *b = segmented(without, "", parties[i][0], parties[i][1], &report);
        assert_string_equal(a, b);
        free(a);
        free(b);
    }
}

/* N3: segmenting what was released changes nothing. */
static void test_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_segment_report report;
        char *once = segmented(RECORDS, cases[i].consents, cases[i].party, cases[i].purpose, &report);
        size_t len = strlen(once);
        if (len)
            once[len - 1] = '\0'; /* the last line feed */
        char *twice = segmented(once, cases[i].consents, cases[i].party, cases[i].purpose, &report);
        if (len)
            once[len - 1] = '\n';
        assert_string_equal(once, twice);
        free(once);
        free(twice);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_worlds),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_without_the_withheld),
        cmocka_unit_test(test_again),
    };
    return cmocka_run_group_tests(tests, load_policy, unload_policy);
}
