/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notes kept apart: by every element with which a source tells type or folder, under the shipped policy and a house
 * that maps its own; what the law leaves out; and what is derived from such a note. Classes are letters: p
 * psychotherapy note, s SUD counseling note, m mental health, x unclassified. JSON is written with single quotes, for
 * the eye.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "sluice/label.h"
#include "sluice/path.h"

#define LOINC(code) "{'system':'http://loinc.org','code':'" code "'}"
#define FOLDER(code) "{'system':'urn:sluice:note-folder','code':'" code "'}"
#define ACT(code) "{'system':'http://terminology.hl7.org/CodeSystem/v3-ActCode','code':'" code "'}"
#define CODED(coding) "{'coding':[" coding "]}"
#define REF(to) "{'reference':'" to "'}"
#define DOC(id, type) "{'resourceType':'DocumentReference','id':'" id "','type':{'coding':[" type "]}"
#define KEPT(uri) "'meta':{'source':'" uri "'}"

static struct sl_arena *arena;
static struct sl_policy *policy;

static int begin(void **state)
{
    struct sl_issues issues = {.arena = arena = sl_arena_new((size_t)256 << 20)};
    (void)state;
    return sl_policy_load(SLUICE_SOURCE "/consent/policies", &issues, &policy) == SL_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    sl_policy_unref(policy);
    sl_arena_free(arena);
    return 0;
}

static struct sl_item *add(struct sl_labeller *labeller, const char *json)
{
    struct sl_doc *doc = sl_arena_alloc(arena, sizeof *doc);
    char *text = sl_arena_raw(arena, strlen(json) + 1, 1);
    struct sl_doc_error error = {0};
    struct sl_item *item;
    for (size_t i = 0; i <= strlen(json); i++)
        text[i] = json[i] == '\'' ? '"' : json[i];
    if (sl_doc_parse(arena, sl_slice_of(text), NULL, doc, &error) != SL_OK)
        fail_msg("%s at %zu: %s", error.why, error.offset, json);
    assert_int_equal(sl_labeller_add(labeller, doc, 0, SL_LIT(""), false, &item), SL_OK);
    return item;
}

static void resolve(struct sl_labeller *labeller)
{
    struct sl_slice *missing;
    size_t count = 1;
    while (count) {
        assert_int_equal(sl_labeller_resolve(labeller, &missing, &count), SL_OK);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(sl_labeller_absent(labeller, missing[i], true), SL_OK);
    }
}

static const char *letters(const struct sl_classes *classes)
{
    static const struct {
        char letter;
        const char *id;
    } all[] = {
        {'p', "psychotherapy-note"}, {'s', "sud-counseling-note"}, {'m', "mental-health"}, {'x', "unclassified"}};
    static char text[2][8];
    static unsigned turn;
    char *out = text[turn++ % 2];
    size_t len = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        unsigned bit = sl_policy_class_find(policy, sl_slice_of(all[i].id));
        assert_true(bit < SL_CLASS_LIMIT);
        if (sl_classes_has(classes, bit))
            out[len++] = all[i].letter;
    }
    out[len] = '\0';
    return out;
}

static const struct {
    const char *name, *json, *classes;
} alone[] =
    {
        {"its type", DOC("d", FOLDER("psychotherapy")) "}", "p"},
        {"beside what else the type says", DOC("d", LOINC("34904-3") "," FOLDER("psychotherapy")) "}", "pm"},
        {"in any case", DOC("d", FOLDER("Psychotherapy")) "}", "p"},
        {"a transcript of a session", DOC("d", FOLDER("session-transcript")) "}", "p"},
        {"one of a program's", DOC("d", FOLDER("sud-session-transcript")) "}", "s"},
        {"counseling", DOC("d", FOLDER("sud-counseling")) "}", "s"},
        {"a folder nobody mapped", DOC("d", LOINC("11506-3") "," FOLDER("radiology")) "}", ""},
        {"its category", DOC("d", LOINC("11506-3")) ",'category':[" CODED(FOLDER("sud-counseling")) "]}", "s"},
        {"one of several",
            DOC("d", LOINC("11506-3")) ",'category':[" CODED(LOINC("11506-3")) "," CODED(FOLDER("psychotherapy")) "]}",
            "p"},
        {"its format",
            DOC("d", LOINC("11506-3")) ",'content':[{'attachment':{}},{'attachment':{},'format':" FOLDER(
                "session-transcript") "}]}",
            "p"},
        {"a tag", DOC("d", LOINC("11506-3")) ",'meta':{'tag':[" FOLDER("psychotherapy") "]}}", "p"},
        {"where it comes from", DOC("d", LOINC("11506-3")) "," KEPT("urn:sluice:folder:psychotherapy") "}", "p"},
        {"a part of that", DOC("d", LOINC("11506-3")) "," KEPT("urn:sluice:folder:psychotherapy#7") "}", "p"},
        {"another place that begins alike", DOC("d", LOINC("11506-3")) "," KEPT("urn:sluice:folder:psychotherapy2") "}",
            ""},
        {"its identifier",
            DOC("d", LOINC("11506-3")) ",'identifier':[{'system':'urn:x','value':'1'},"
                                       "{'system':'urn:sluice:folder:sud-counseling','value':'2'}]}",
            "s"},
        {"its master identifier",
            DOC("d", LOINC("11506-3")) ",'masterIdentifier':{'system':'urn:sluice:folder:psychotherapy','value':'2'}}",
            "p"},
        {"a label", DOC("d", LOINC("11506-3")) ",'meta':{'security':[" ACT("PSYTHPN") "]}}", "pm"},
        {"a label of the document", DOC("d", LOINC("11506-3")) ",'securityLabel':[" CODED(ACT("HIPAAPsyNotes")) "]}",
            "p"},
        {"a composition", "{'resourceType':'Composition','id':'c','type':" CODED(FOLDER("psychotherapy")) "}", "p"},
        {"a message",
            "{'resourceType':'Communication','id':'c','status':'completed','category':[" CODED(
                FOLDER("session-transcript")) "]}",
            "p"},
        {"an assessment",
            "{'resourceType':'ClinicalImpression','id':'c','status':'completed','code':" CODED(
                FOLDER("psychotherapy")) "}",
            "p"},
        {"a recording",
            "{'resourceType':'Media','id':'m','status':'completed','type':" CODED(
                FOLDER("session-transcript")) ",'content':{}}",
            "p"},
        {"a form",
            "{'resourceType':'QuestionnaireResponse','id':'q','status':'completed',"
            "'questionnaire':'urn:sluice:folder:sud-counseling|2'}",
            "s"},
        {"another form",
            "{'resourceType':'QuestionnaireResponse','id':'q','status':'completed',"
            "'questionnaire':'http://example.org/intake'}",
            ""},
        {"whatever else", "{'resourceType':'Basic','id':'b','code':" CODED(FOLDER("psychotherapy")) "}", "p"},
        {"a file",
            "{'resourceType':'Binary','id':'b','contentType':'text/plain','meta':{'tag':[" FOLDER(
                "psychotherapy") "]}}",
            "p"},
        {"escapes change nothing",
            "{'resourceType':'DocumentReference','id':'d','type':{'coding':[{'system':"
            "'urn:sluice\\u003anote-folder','code':'psych\\u006ftherapy'}]}}",
            "p"},
        {"where it was is not what it is",
            DOC("d", LOINC("11506-3")) ",'context':{'practiceSetting':" CODED(
                FOLDER("psychotherapy")) ",'facilityType':" CODED(FOLDER("psychotherapy")) "}}",
            "x"},

        /* HL7 and US Behavioral Health type the ordinary notes of mental health with these: they are not kept apart. */
        {"a consult note", DOC("d", LOINC("34785-6")) "}", "m"},
        {"a progress note", DOC("d", LOINC("34904-3")) "}", "m"},
        {"a discharge summary", DOC("d", LOINC("78263-1")) "}", "m"},
        {"a history and physical", DOC("d", LOINC("78306-8")) "}", "m"},
        {"a procedure note", DOC("d", LOINC("78472-8")) "}", "m"},

        /* What 42 CFR 2.11 and 45 CFR 164.501 leave out, in the same folder. */
        {"medication",
            "{'resourceType':'MedicationRequest','id':'r','status':'active','intent':'order'," KEPT(
                "urn:sluice:folder:psychotherapy") ",'medicationCodeableConcept':" CODED("{'system':"
                "'http://www.nlm.nih.gov/"
                "research/umls/"
                "rxnorm','code':'308192'}") "}",
            ""},
        {"start and stop times",
            "{'resourceType':'Encounter','id':'e','status':'finished'," KEPT(
                "urn:sluice:folder:sud-counseling") ",'class':" ACT("AMB") ",'period':{'start':'2026-01-05'}}",
            ""},
        {"modality and frequency",
            "{'resourceType':'Procedure','id':'r','status':'completed','meta':{'tag':[" FOLDER(
                "psychotherapy") "]},'code':" CODED("{'system':'http://hl7.org/fhir/sid/icd-10-cm','code':'I10'}") "}",
            ""},
        {"results of tests",
            "{'resourceType':'Observation','id':'o','status':'final','identifier':[{'system':"
            "'urn:sluice:folder:psychotherapy','value':'3'}],'code':" CODED(LOINC("8867-4")) "}",
            ""},
        {"a result in a document", DOC("d", LOINC("11502-2")) "," KEPT("urn:sluice:folder:psychotherapy") "}", ""},
        {"a treatment plan", DOC("d", LOINC("18776-5")) ",'category':[" CODED(FOLDER("sud-counseling")) "]}", ""},
        {"a summary", DOC("d", LOINC("18842-5")) ",'meta':{'tag':[" FOLDER("psychotherapy") "]}}", ""},
        {"the summary of mental health", DOC("d", LOINC("78263-1")) "," KEPT("urn:sluice:folder:psychotherapy") "}",
            "m"},
        {"a progress note is none of them", DOC("d", LOINC("11506-3")) "," KEPT("urn:sluice:folder:sud-counseling") "}",
            "s"},
        {"who types it as such a note means it", DOC("d", LOINC("18842-5") "," FOLDER("psychotherapy")) "}", "p"},
        {"and a label stays a label", DOC("d", LOINC("18842-5")) ",'meta':{'security':[" ACT("HIPAAPsyNotes") "]}}",
            "p"},
};

static void each_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof alone / sizeof *alone; i++) {
        struct sl_labeller *labeller = sl_labeller_new(arena, policy, NULL);
        struct sl_item *item = add(labeller, alone[i].json);
        resolve(labeller);
        if (strcmp(letters(&item->classes), alone[i].classes) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", alone[i].name, letters(&item->classes), alone[i].classes);
        struct sl_classes explained = {{0}};
        for (const struct sl_reason *r = item->reasons; r; r = r->next)
            sl_classes_join(&explained, &r->classes);
        assert_memory_equal(&explained, &item->classes, sizeof explained);
    }
}

/* A section typed as one is cut; the rest of the document stays. */
static void sections(void **state)
{
    (void)state;
    struct sl_labeller *labeller = sl_labeller_new(arena, policy, NULL);
    struct sl_item *item = add(labeller, "{'resourceType':'Composition','id':'c','type':" CODED(LOINC(
                                             "11506-3")) ",'section':[{'title':'a'},{'title':'b','section':[{'title':'"
                                                         "c','code':" CODED(FOLDER("psychotherapy")) "}]}]}");
    resolve(labeller);
    assert_string_equal(letters(&item->classes), "");
    bool cut = false;
    for (uint32_t i = 0; i < item->part_count; i++)
        cut |= strcmp(letters(&item->parts[i].classes), "p") == 0 &&
               sl_slice_eq(sl_span_path(item->doc, item->span, item->parts[i].span, arena),
                   SL_LIT("Composition.section[1].section[0]"));
    assert_true(cut);
}

/* What is made of such a note, says the same, or is filed with them. */
static void derived(void **state)
{
    (void)state;
    static const char *const world[] = {
        DOC("note", FOLDER("psychotherapy")) "}",
        DOC("plain", LOINC("11506-3")) "}",
        "{'resourceType':'Observation','id':'made','status':'final','code':" CODED(
            LOINC("8867-4")) ",'derivedFrom':[" REF("DocumentReference/note") "]}",
        "{'resourceType':'List','id':'folder','status':'current','mode':'working','code':" CODED(
            FOLDER(
                "psychotherapy")) ",'entry':[{'item':" REF("DocumentReference/filed") "},{'item':" REF("Observation/"
                "pulse") "},{'"
                "item'"
                ":" REF("Patient/p") "}]}",
        DOC("filed", LOINC("11506-3")) "}",
        "{'resourceType':'Observation','id':'pulse','status':'final','code':" CODED(LOINC("8867-4")) "}",
        "{'resourceType':'Patient','id':'p'}",
        DOC("translation", LOINC("11506-3")) ",'relatesTo':[{'code':'transforms','target':" REF(
            "DocumentReference/note") "}]}",
    };
    static const struct {
        const char *name, *json, *classes;
    } cases[] = {
        {"an observation made of it",
            "{'resourceType':'Observation','id':'x','status':'final','code':" CODED(
                LOINC("8867-4")) ",'derivedFrom':[" REF("DocumentReference/note") "]}",
            "p"},
        {"a panel of such",
            "{'resourceType':'Observation','id':'x','status':'final','code':" CODED(
                LOINC("8867-4")) ",'hasMember':[" REF("Observation/made") "]}",
            "p"},
        {"what is made of another",
            "{'resourceType':'Observation','id':'x','status':'final','code':" CODED(
                LOINC("8867-4")) ",'derivedFrom':[" REF("DocumentReference/plain") "]}",
            ""},
        {"its translation",
            DOC("x", LOINC("11506-3")) ",'relatesTo':[{'code':'transforms','target':" REF(
                "DocumentReference/note") "}]}",
            "p"},
        {"an addendum to that",
            DOC("x", LOINC("11506-3")) ",'relatesTo':[{'code':'appends','target':" REF(
                "DocumentReference/translation") "}]}",
            "p"},
        {"an addendum to another",
            DOC("x", LOINC("11506-3")) ",'relatesTo':[{'code':'appends','target':" REF("DocumentReference/plain") "}]}",
            ""},
        {"a composition that replaces it",
            "{'resourceType':'Composition','id':'x','type':" CODED(LOINC(
                "11506-3")) ",'relatesTo':[{'code':'replaces','targetReference':" REF("DocumentReference/note") "}]}",
            "p"},
        {"what mentions it",
            "{'resourceType':'CarePlan','id':'x','status':'active','intent':'plan','supportingInfo':[" REF(
                "DocumentReference/note") "]}",
            ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_labeller *labeller = sl_labeller_new(arena, policy, NULL);
        struct sl_item *item = add(labeller, cases[i].json);
        for (size_t k = 0; k < sizeof world / sizeof *world; k++)
            add(labeller, world[k]);
        resolve(labeller);
        if (strcmp(letters(&item->classes), cases[i].classes) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", cases[i].name, letters(&item->classes), cases[i].classes);
        assert_string_equal(letters(&sl_labeller_find(labeller, SL_LIT("DocumentReference/filed"))->classes), "p");
        assert_string_equal(letters(&sl_labeller_find(labeller, SL_LIT("Observation/pulse"))->classes), "");
        assert_string_equal(letters(&sl_labeller_find(labeller, SL_LIT("Patient/p"))->classes), "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_alone), cmocka_unit_test(sections), cmocka_unit_test(derived)};
    return cmocka_run_group_tests(tests, begin, end);
}
