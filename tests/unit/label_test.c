/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels: what each resource and element earns, and why. Classes are written as letters (earning_fixture.h):
 * o ordinary, P public directory, S substance use, w weak evidence, m mental health, h HIV, v violence, p program,
 * c candidate of unknown source, d draft, t words, u unread, x unclassified, ! by a label it carries, f a flag that
 * passes through visits. JSON is written with single quotes, for the eye.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "earning_fixture.h"
#include "sluice/book.h"
#include "sluice/buffer.h"
#include "sluice/path.h"

#define ICD(code) "{'coding':[{'system':'http://hl7.org/fhir/sid/icd-10-cm','code':'" code "'}]}"
#define LOINC(code) "{'coding':[{'system':'http://loinc.org','code':'" code "'}]}"
#define RX(code) "{'coding':[{'system':'http://www.nlm.nih.gov/research/umls/rxnorm','code':'" code "'}]}"
#define LOCAL(code) "{'coding':[{'system':'http://example.org/local','code':'" code "'}]}"
#define REF(to) "{'reference':'" to "'}"
#define DS4P_LABEL(system, code) \
    "{'url':'http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label'," \
    "'valueCoding':{'system':'" system "','code':'" code "'}}"
#define ACT "http://terminology.hl7.org/CodeSystem/v3-ActCode"

static struct earning_fixture shared;

struct world {
    struct sl_arena *arena;
    struct sl_programs *programs;
    struct sl_labeller *labeller;
};

static struct world world_new(bool closed)
{
    struct world w = {.arena = sl_arena_new((size_t)1 << 30), .programs = sl_programs_new(closed)};
    w.labeller = sl_labeller_new_earning(w.arena, &shared.earning, w.programs);
    assert_non_null(w.labeller);
    return w;
}

static void world_free(struct world *w)
{
    sl_programs_unref(w->programs);
    sl_arena_free(w->arena);
}

/* The text with double quotes for single ones, as JSON wants them. */
static struct sl_slice quoted(struct sl_arena *arena, const char *json)
{
    size_t len = strlen(json);
    char *text = sl_arena_raw(arena, len + 1, 1);
    assert_non_null(text);
    for (size_t i = 0; i <= len; i++)
        text[i] = json[i] == '\'' ? '"' : json[i];
    return (struct sl_slice){text, len};
}

static struct sl_item *add_as(struct world *w, const char *json, const char *url, bool context)
{
    struct sl_doc *doc = sl_arena_alloc(w->arena, sizeof *doc);
    struct sl_doc_error error = {0};
    struct sl_item *item = NULL;
    if (sl_doc_parse(w->arena, quoted(w->arena, json), NULL, doc, &error) != SL_OK)
        fail_msg("%s at %zu: %s", error.why, error.offset, json);
    assert_int_equal(sl_labeller_add(w->labeller, doc, 0, sl_slice_of(url), context, &item), SL_OK);
    return item;
}

static struct sl_item *add(struct world *w, const char *json)
{
    return add_as(w, json, NULL, false);
}

static void program(struct world *w, const char *reference)
{
    assert_int_equal(sl_programs_add(w->programs, sl_slice_of(reference), SL_SOURCE_PROGRAM), SL_OK);
}

/* Resolves; what is lacked is told absent, until nothing is. */
static void resolve(struct world *w)
{
    struct sl_slice *missing;
    size_t count = 1;
    for (unsigned round = 0; count; round++) {
        assert_true(round < 8);
        assert_int_equal(sl_labeller_resolve(w->labeller, &missing, &count), SL_OK);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(sl_labeller_absent(w->labeller, missing[i], true), SL_OK);
    }
}

static const char *letters(const struct sl_classes *classes)
{
    static char text[4][SL_CLASS_LIMIT];
    static unsigned turn;
    char *out = text[turn++ % 4];
    size_t len = 0;
    for (unsigned bit = 0; bit < CLASSES; bit++)
        if (sl_classes_has(classes, bit))
            out[len++] = class_letters[bit];
    out[len] = '\0';
    return out;
}

/* "path=classes path=classes" of the parts, in order. */
static const char *parts_of(struct world *w, const struct sl_item *item)
{
    static char text[4096];
    size_t len = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < item->part_count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s=%s", i ? " " : "",
            sl_span_path(item->doc, item->span, item->parts[i].span, w->arena).ptr, letters(&item->parts[i].classes));
    return text;
}

static const struct sl_reason *reason_of(const struct sl_reason *reasons, unsigned bit)
{
    for (; reasons; reasons = reasons->next)
        if (sl_classes_has(&reasons->classes, bit))
            return reasons;
    return NULL;
}

static bool has_text(struct sl_slice s, const char *text)
{
    return sl_slice_eq(s, sl_slice_of(text));
}

/* ---- What one resource tells by itself ---- */

static const struct {
    const char *name, *json, *classes, *parts;
    const char *unlabelled; /* NULL: it is labelled */
} alone[] = {
    {"an ordinary diagnosis", "{'resourceType':'Condition','id':'a','code':" ICD("E11.9") "}", "o", "", NULL},
    {"a sensitive diagnosis is what the resource is; its source is unknown",
        "{'resourceType':'Condition','code':" ICD("F11.20") "}", "oSc", "", NULL},
    {"escapes change nothing",
        "{'resourceType':'Condition','code':{'coding':[{'system':'http:\\/\\/hl7.org/fhir/sid/icd-10-cm',"
        "'code':'F11\\u002e20'}]}}", "oSc", "", NULL},
    {"any coding counts", "{'resourceType':'Condition','code':{'coding':[{'system':'http://example.org/l','code':'7'},"
        "{'code':'F32.9','system':'urn:oid:2.16.840.1.113883.6.90','display':'x'}],'text':'words'}}", "om", "", NULL},
    {"a reason is an element", "{'resourceType':'Encounter','reasonCode':[" ICD("I10") "," ICD("F32.9") "]}", "o",
        "Encounter.reasonCode[1]=m", NULL},
    {"and of unknown source, a candidate", "{'resourceType':'Encounter','reasonCode':[" ICD("F11.20") "]}", "o",
        "Encounter.reasonCode[0]=Sc", NULL},
    {"weak evidence earns what weak evidence earns",
        "{'resourceType':'Condition','code':" ICD("T40.1X1A") "}", "ow", "", NULL},
    {"weak evidence is no candidate, whatever its category", "{'resourceType':'Procedure','code':{'coding':[{'system':"
        "'http://snomed.info/sct','code':'763302001'}]}}", "ow", "", NULL},
    {"an element of weak evidence", "{'resourceType':'Encounter','reasonCode':[" ICD("K70.30") "]}", "o",
        "Encounter.reasonCode[0]=w", NULL},
    {"a claim is whole", "{'resourceType':'Claim','diagnosis':[{'sequence':1,'diagnosisCodeableConcept':"
        ICD("F32.9") "}],"
        "'item':[{'sequence':1,'productOrService':" LOINC("8462-4") "}]}", "om", "", NULL},
    {"an HCPCS code in an ICD field", "{'resourceType':'Condition','code':" ICD("H0020") "}", "oSc", "", NULL},
    {"a component is a part", "{'resourceType':'Observation','code':" LOINC("85354-9") ",'component':[{'code':"
        LOINC("8480-6")
        "},{'code':" LOINC("94023-9") ",'valueInteger':2}]}", "o", "Observation.component[1]=m", NULL},
    {"an answer of a scored instrument is like the others", "{'resourceType':'Observation','code':" LOINC("8480-6")
        ",'component':[{'code':" LOINC("8480-6") "},{'code':" LOINC("44260-8") ",'valueInteger':2}]}", "o",
        "Observation.component[0]=m Observation.component[1]=m", NULL},
    {"but its total is itself", "{'resourceType':'Observation','code':" LOINC("8480-6")
        ",'component':[{'code':" LOINC("75626-2") "},{'code':" LOINC("44250-9") "}]}", "o",
        "Observation.component[0]=Sc Observation.component[1]=m", NULL},
    {"a medicine", "{'resourceType':'MedicationRequest','medicationCodeableConcept':" RX("6813") "}", "oSc", "", NULL},
    {"a note type", "{'resourceType':'DocumentReference','type':" LOINC("34904-3") "}", "om", "", NULL},
    {"a code of a system nobody knows", "{'resourceType':'Condition','code':" LOCAL("7") "}", "ox", "", NULL},
    {"a code no system has", "{'resourceType':'Observation','code':" LOINC("1088AAAA") "}", "ox", "", NULL},
    {"words alone are no code", "{'resourceType':'Condition','code':{'text':'something'}}", "ox", "", NULL},
    {"one known coding is enough", "{'resourceType':'Condition','code':{'coding':[{'system':'http://example.org/l',"
        "'code':'7'},{'system':'http://snomed.info/sct','code':'38341003'}]}}", "o", "", NULL},
    {"unknown codes elsewhere earn nothing", "{'resourceType':'Encounter','reasonCode':[" LOCAL("7") "]}", "o", "",
        NULL},
    {"so must a claim's lines be", "{'resourceType':'Claim','item':[{'sequence':1,'productOrService':" LOCAL("7")
        "}]}", "ox", "", NULL},
    {"but not how it is paid", "{'resourceType':'Claim','priority':" LOCAL("7") ",'payee':{'type':" LOCAL("7") "}}",
        "o", "", NULL},
    {"nor what a thing is filed under", "{'resourceType':'Condition','category':[" LOCAL("7") "],'code':" ICD("I10")
        "}", "o", "", NULL},
    {"a visit's type in words", "{'resourceType':'Encounter','type':[{'text':'Office visit'}]}", "o", "", NULL},
    {"a visit's type of an unknown code", "{'resourceType':'Encounter','type':[" LOCAL("7") "]}", "ox", "", NULL},
    {"a note's type in words", "{'resourceType':'DocumentReference','type':{'text':'Progress note'}}", "ox", "", NULL},
    {"a value in words", "{'resourceType':'Observation','code':" LOINC("8480-6")
        ",'valueCodeableConcept':{'text':'high'}}",
        "o", "", NULL},
    {"a value of an unknown code", "{'resourceType':'Observation','code':" LOINC("8480-6")
        ",'valueCodeableConcept':" LOCAL("h") "}",
        "ox", "", NULL},
    {"narrative and notes are words", "{'resourceType':'Condition','text':{'status':'generated','div':'<div/>'},'code':"
        ICD("I10") ",'note':[{'text':'n'}]}", "o", "Condition.text=t Condition.note[0].text=t", NULL},
    {"an attachment of text is words", "{'resourceType':'DocumentReference','content':[{'attachment':{'contentType':"
        "'text/plain','data':'aGk='}}]}", "o", "DocumentReference.content[0].attachment=t", NULL},
    {"a picture is unread", "{'resourceType':'DocumentReference',"
        "'content':[{'attachment':{'contentType':'application/pdf',"
        "'url':'Binary/7'}},{'attachment':{'title':'empty'}},{'attachment':{'data':'aGk='}}]}", "o",
        "DocumentReference.content[0].attachment=u DocumentReference.content[2].attachment=t", NULL},
    {"a picture that is said to be text", "{'resourceType':'DocumentReference','content':[{'attachment':{'contentType':"
        "'text/plain','data':'iVBORw0KGgo='}}]}", "o", "DocumentReference.content[0].attachment=u", NULL},
    {"base64 that is none", "{'resourceType':'DocumentReference','content':[{'attachment':{'contentType':"
        "'text/plain','data':'aGk'}}]}", "o", "DocumentReference.content[0].attachment=u", NULL},
    {"a Binary is its data", "{'resourceType':'Binary','contentType':'image/png','data':'aGk='}", "ou", "", NULL},
    {"a Binary of text", "{'resourceType':'Binary','contentType':'Text/HTML; charset=utf-8','data':'aGk='}", "ot",
        "", NULL},
    {"a label it carries", "{'resourceType':'Condition','meta':{'security':[{'system':'" ACT "','code':'PSY'}]},'code':"
        ICD("I10") "}", "o!", "", NULL},
    {"the same label as an OID, escaped", "{'resourceType':'Condition','meta':{'security':[{'system':"
        "'urn:oid:2.16.840.1.113883.5.4','code':'P\\u0053Y'}]},'code':" ICD("I10") "}", "o!", "", NULL},
    {"a label of the house", "{'resourceType':'Condition','meta':{'security':[{'system':'http://example.org/labels',"
        "'code':'VIP'}]},'code':" ICD("I10") "}", "o!", "", NULL},
    {"the same code in another system is another label", "{'resourceType':'Condition','meta':{'security':[{'system':"
        "'http://terminology.hl7.org/CodeSystem/v3-Confidentiality','code':'PSY'}]},'code':" ICD("I10") "}", "o",
            "", NULL},
    {"an inline label", "{'resourceType':'Condition','code':" ICD("I10") ",'bodySite':[{'text':'a'},{'extension':["
        DS4P_LABEL(ACT, "PSY") "],'text':'b'}]}", "o", "Condition.bodySite[1]=!", NULL},
    {"an inline label on a primitive", "{'resourceType':'Patient','birthDate':'2000-01-01','_birthDate':{'extension':["
        DS4P_LABEL(ACT, "PSY") "]}}", "o", "Patient.birthDate=!", NULL},
    {"an inline label on an entry of primitives", "{'resourceType':'Patient','name':[{'given':['A','B'],'_given':[null,"
        "{'extension':[" DS4P_LABEL(ACT, "PSY") "]}]}]}", "o", "Patient.name[0].given[1]=!", NULL},
    {"an inline label at the root", "{'resourceType':'Patient','extension':[" DS4P_LABEL(ACT, "PSY") "]}", "o!", "",
        NULL},
    {"a coded extension goes whole", "{'resourceType':'Patient','extension':[{'url':'http://example.org/x',"
        "'valueCodeableConcept':" ICD("B20") "}]}", "o", "Patient.extension[0]=h", NULL},
    {"a nested one alone", "{'resourceType':'Patient','extension':[{'url':'http://example.org/x',"
        "'extension':[{'url':'a',"
        "'valueString':'s'},{'url':'b','valueCoding':{'system':'http://hl7.org/fhir/sid/icd-10-cm','code':'B20'}}]}]}",
        "o", "Patient.extension[0].extension[1]=h", NULL},
    {"an extension within a coding", "{'resourceType':'Encounter',"
        "'reasonCode':[{'coding':[{'system':'http://example.org/l',"
        "'code':'1','extension':[{'url':'http://example.org/x','valueCodeableConcept':" ICD("B20") "}]}]}]}", "o",
        "Encounter.reasonCode[0].coding[0].extension[0]=h", NULL},
    {"an AI draft", "{'resourceType':'DocumentReference','meta':{'security':[{'system':"
        "'http://terminology.hl7.org/CodeSystem/v3-ObservationValue','code':'AIAST'}]},'docStatus':'preliminary',"
            "'type':"
        LOINC("34117-2") "}", "od", "", NULL},
    {"signed, it is none", "{'resourceType':'DocumentReference','meta':{'security':[{'system':"
        "'http://terminology.hl7.org/CodeSystem/v3-ObservationValue','code':'AIAST'}]},'docStatus':'final','status':"
        "'current','type':" LOINC("34117-2") "}", "o", "", NULL},
    {"AI without a status is unsigned", "{'resourceType':'Condition','meta':{'security':[{'system':"
        "'http://terminology.hl7.org/CodeSystem/v3-ObservationValue','code':'AIAST'}]},'code':" ICD("I10") "}",
            "od", "", NULL},
    {"a modifier nobody knows", "{'resourceType':'Condition','code':" ICD("I10") ",'modifierExtension':[{'url':"
        "'http://example.org/not','valueBoolean':true}]}", "ox", "", "modifier-extension"},
    {"deep within as well", "{'resourceType':'Encounter',"
        "'participant':[{'modifierExtension':[{'url':'http://example.org/not',"
        "'valueBoolean':true}]}]}", "ox", "", "modifier-extension"},
    {"rules nobody knows", "{'resourceType':'Condition','implicitRules':'http://example.org/rules','code':"
        ICD("I10") "}", "o", "",
        "implicit-rules"},
    {"no type", "{'id':'a'}", "x", "", "unknown-type"},
    {"no known type", "{'resourceType':'Spaceship'}", "x", "", "unknown-type"},
    {"a type that is no string", "{'resourceType':7}", "x", "", "unknown-type"},
    {"a data type is no resource", "{'resourceType':'HumanName'}", "x", "", "unknown-type"},
    {"no object", "[1]", "x", "", "not-a-resource"},
    {"the other half of an id is no id", "{'resourceType':'Condition','id':'a','_id':{'id':'b/c'},'code':"
        ICD("I10") "}", "o",
        "", NULL},
    {"no id can be so", "{'resourceType':'Condition','id':'a/b'}", "o", "", "bad-id"},
    {"an id that is a number", "{'resourceType':'Condition','id':7}", "o", "", "bad-id"},
    {"a Bundle in a Bundle", "{'resourceType':'Bundle','entry':[{'resource':{'resourceType':'Patient'}}]}", "o", "",
        "nested-bundle"},
};

static void each_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof alone / sizeof *alone; i++) {
        struct world w = world_new(false);
        const struct sl_item *item = add(&w, alone[i].json);
        resolve(&w);
        if (strcmp(letters(&item->classes), alone[i].classes) != 0 || strcmp(parts_of(&w, item), alone[i].parts) != 0)
            fail_msg("%s: %s with %s", alone[i].name, letters(&item->classes), parts_of(&w, item));
        const char *why = item->unlabelled ? item->unlabelled : "-";
        if (strcmp(why, alone[i].unlabelled ? alone[i].unlabelled : "-") != 0)
            fail_msg("%s: %s", alone[i].name, why);
        world_free(&w);
    }
}

static void every_class_has_its_reason(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        unsigned bit;
        enum sl_why why;
        const char *at, *detail;
    } cases[] = {
        {"{'resourceType':'Condition','code':" ICD("F11.20") "}", ORDINARY, SL_WHY_TYPE, "Condition", "Condition"},
        {"{'resourceType':'Condition','code':" ICD("F11.20") "}", SUD, SL_WHY_CODE, "Condition.code.coding[0]",
            "SUD_OPIOID"},
        {"{'resourceType':'Condition','code':" ICD("F11.20") "}", CANDIDATE, SL_WHY_UNKNOWN_ORIGIN, "Condition", ""},
        {"{'resourceType':'DocumentReference','type':" LOINC("34904-3") "}", MENTAL, SL_WHY_NOTE_TYPE,
            "DocumentReference.type.coding[0]", "MH_NOTE"},
        {"{'resourceType':'Condition','meta':{'security':[{'system':'" ACT "','code':'PSY'}]}}", LABELLED,
            SL_WHY_SECURITY, "Condition.meta.security[0]", "PSY"},
        {"{'resourceType':'Condition','code':" LOCAL("7") "}", UNKNOWN, SL_WHY_UNCLASSIFIED, "Condition.code", ""},
        {"{'resourceType':'Condition','modifierExtension':[{'url':'u'}]}", UNKNOWN, SL_WHY_MODIFIER,
            "Condition.modifierExtension", ""},
        {"{'resourceType':'Binary','contentType':'image/png','data':'aGk='}", UNREAD, SL_WHY_UNREAD, "Binary.data", ""},
        {"{'resourceType':'Composition','meta':{'security':[{'system':'http://terminology.hl7.org/CodeSystem/"
         "v3-ObservationValue','code':'AIAST'}]},'status':'preliminary'}", DRAFT, SL_WHY_DRAFT,
             "Composition.meta.security[0]", "AIAST"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w = world_new(false);
        const struct sl_item *item = add(&w, cases[i].json);
        resolve(&w);
        const struct sl_reason *r = reason_of(item->reasons, cases[i].bit);
        if (!r || r->why != cases[i].why || !has_text(r->detail, cases[i].detail) ||
            strcmp(sl_span_path(item->doc, 0, r->span, w.arena).ptr, cases[i].at) != 0)
            fail_msg("%zu: %s %.*s", i, r ? sl_why_text(r->why) : "no reason", r ? (int)r->detail.len : 0, r ?
                r->detail.ptr : "");
        world_free(&w);
    }
}

static void parts_have_reasons(void **state)
{
    (void)state;
    struct world w = world_new(false);
    const struct sl_item *item = add(&w, "{'resourceType':'Encounter','reasonCode':[" ICD("F11.20") "],'text':"
                                         "{'status':'generated','div':'<div/>'}}");
    resolve(&w);
    assert_int_equal(item->part_count, 2);
    const struct sl_reason *r = reason_of(item->parts[0].reasons, SUD);
    assert_int_equal(r->why, SL_WHY_CODE);
    assert_true(has_text(r->detail, "SUD_OPIOID"));
    assert_int_equal(reason_of(item->parts[0].reasons, CANDIDATE)->why, SL_WHY_UNKNOWN_ORIGIN);
    assert_int_equal(reason_of(item->parts[1].reasons, WORDS)->why, SL_WHY_TEXT);
    assert_int_equal(item->text_count, 1);
    assert_true(item->parts[0].span < item->parts[1].span);
    world_free(&w);
}

static void unknown_properties(void **state)
{
    (void)state;
    static const struct {
        const char *json, *paths;
    } cases[] = {
        {"{'resourceType':'Condition','colour':1,'code':{'shade':2,'coding':[{'tint':3,'code':'x'}]}}",
            "Condition.colour Condition.code.shade Condition.code.coding[0].tint "},
        {"{'resourceType':'Condition','recordedDate':{'a':1}}", "Condition.recordedDate "},
            /* an object for a primitive */
        {"{'resourceType':'Condition','recordedDate':['2020']}", "Condition.recordedDate "}, /* it does not repeat */
        {"{'resourceType':'Condition','bodySite':{'text':'a'}}", "Condition.bodySite "},    /* it repeats */
        {"{'resourceType':'Condition','bodySite':[[{'text':'a'}]]}", "Condition.bodySite[0] "},
        {"{'resourceType':'Condition','code':'text'}", "Condition.code "},
        {"{'resourceType':'Condition','code':null,'recordedDate':null}", "Condition.code Condition.recordedDate "},
        {"{'resourceType':'Condition','code':{'coding':['F11.20']}}", "Condition.code.coding[0] "},
        {"{'resourceType':'Condition','code':{'coding':{'code':'F11.20'}}}", "Condition.code.coding "},
        {"{'resourceType':'Condition','subject':{'reference':'Patient/1','nick':'n'}}", "Condition.subject.nick "},
        {"{'resourceType':'Condition','_recordedDate':{'colour':1},'_code':{}}",
            "Condition._recordedDate.colour Condition._code "},
        {"{'resourceType':'Patient','name':[{'given':['A',null],'_given':[null,{'id':'x'}],'_family':[]}]}",
            "Patient.name[0]._family "},
        {"{'resourceType':'Patient','contained':[{'resourceType':'Basic','contained':[{'resourceType':'Basic'}]}]}",
            ""},
        {"{'resourceType':'Observation','code':{'coding':[{'resourceType':'x'}]}}",
            "Observation.code.coding[0].resourceType "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w = world_new(false);
        const struct sl_item *item = add(&w, cases[i].json);
        char paths[1024] = "";
        size_t len = 0;
        for (uint32_t k = 0; k < item->unknown_count; k++)
            len += (size_t)snprintf(paths + len, sizeof paths - len, "%s ",
                sl_span_path(item->doc, 0, item->unknown[k], w.arena).ptr);
        if (strcmp(paths, cases[i].paths) != 0)
            fail_msg("%s: %s", cases[i].json, paths);
        world_free(&w);
    }
}

/* A sensitive code in what R4 does not know is cut with it, not overlooked: see unknown_properties. */

static void facts_of_an_item(void **state)
{
    (void)state;
    struct world w = world_new(false);
    const struct sl_item *item = add(&w,
        "{'resourceType':'Observation','id':'a.1-b','meta':{'versionId':'7','source':'http://ehr.example.org/a#1'},"
        "'code':" LOINC("8480-6") ",'subject':" REF("Patient/p1") ",'performer':[" REF("Practitioner/d") "],"
        "'effectivePeriod':{'start':'2020-01-01','end':'2020-02-01'}}");
    assert_true(has_text(item->id, "a.1-b"));
    assert_true(has_text(item->version, "7"));
    assert_true(has_text(item->source_uri, "http://ehr.example.org/a#1"));
    assert_int_equal(item->patient_count, 1);
    assert_true(has_text(item->patients[0], "Patient/p1"));
    assert_int_equal(item->author_count, 1);
    assert_true(has_text(item->authors[0], "Practitioner/d"));
    assert_true(has_text(item->date_from, "2020-01-01"));
    assert_true(has_text(item->date_to, "2020-02-01"));
    assert_int_equal(item->reference_count, 2);
    assert_int_equal(item->references[0].kind, SL_REF_SUBJECT);
    assert_int_equal(item->references[1].kind, SL_REF_ORIGIN);
    world_free(&w);
}

static void patients(void **state)
{
    (void)state;
    static const struct {
        const char *json, *patients;
    } cases[] = {
        {"{'resourceType':'Patient','id':'p'}", "Patient/p "},
        {"{'resourceType':'Patient'}", "? "},
        {"{'resourceType':'Organization','id':'o'}", ""},
        {"{'resourceType':'Condition','subject':" REF("Patient/p/_history/2") "}", "Patient/p "},
        {"{'resourceType':'Condition','subject':" REF("urn:uuid:1") "}", "urn:uuid:1 "},
        {"{'resourceType':'Condition','subject':" REF("Patient?identifier=x") "}", "Patient?identifier=x "},
        {"{'resourceType':'Condition','subject':{'display':'somebody'}}", "? "},
        {"{'resourceType':'Condition','subject':" REF("#p") ",'contained':[{'resourceType':'Patient','id':'p'}]}",
            "? "},
        {"{'resourceType':'Condition','subject':" REF("Group/g") "}", ""},
        {"{'resourceType':'Condition','subject':" REF("urn:uuid:2") "}", ""}, /* which is a group, see below */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w = world_new(false);
        add_as(&w, "{'resourceType':'Group','id':'g'}", "urn:uuid:2", true);
        const struct sl_item *item = add(&w, cases[i].json);
        resolve(&w);
        char text[256] = "";
        size_t len = 0;
        for (uint32_t k = 0; k < item->patient_count; k++)
            len += (size_t)snprintf(text + len, sizeof text - len, "%.*s ", SL_FMT(item->patients[k]));
        if (strcmp(text, cases[i].patients) != 0)
            fail_msg("%s: %s", cases[i].json, text);
        world_free(&w);
    }
}

/* An element that may name a patient or somebody else: the patient is whom the item is about, whatever else. */
static void patient_or_other(void **state)
{
    (void)state;
    struct world w = world_new(false);
    const struct sl_item *item = add(&w, "{'resourceType':'Appointment','participant':[{'actor':" REF("Patient/p")
        "},{'actor':"
        REF("Practitioner/d") "},{'actor':" REF("urn:uuid:p2") "}]}");
    add_as(&w, "{'resourceType':'Patient','id':'p2'}", "urn:uuid:p2", true);
    assert_int_equal(item->references[0].kind, SL_REF_SUBJECT);
    assert_int_equal(item->references[1].kind, SL_REF_ORIGIN);
    resolve(&w);
    assert_int_equal(item->references[2].kind, SL_REF_SUBJECT);
    assert_int_equal(item->patient_count, 2);
    world_free(&w);
}

/* ---- Sources ---- */

#define CLINIC "{'resourceType':'Organization','id':'clinic'}"
#define DETOX "{'resourceType':'Organization','id':'detox','partOf':" REF("Organization/recovery") "}"
#define RECOVERY "{'resourceType':'Organization','id':'recovery'}"
#define WARD "{'resourceType':'Location','id':'ward','managingOrganization':" REF("Organization/detox") "}"
#define SERVICE "{'resourceType':'HealthcareService','id':'service','providedBy':" REF("Organization/detox") "}"
#define ROLE \
    "{'resourceType':'PractitionerRole','id':'role','practitioner':" REF("Practitioner/d") \
    ",'healthcareService':[" REF("HealthcareService/service") "]}"
#define DOCTOR "{'resourceType':'Practitioner','id':'d'}"

static void add_directory(struct world *w)
{
    static const char *const entries[] = {CLINIC, DETOX, RECOVERY, WARD, SERVICE, ROLE, DOCTOR,
        "{'resourceType':'Organization','id':'orphan','partOf':" REF("Organization/nowhere") "}",
        "{'resourceType':'Organization','id':'child','partOf':" REF("Organization/orphan") "}",
        "{'resourceType':'Organization','id':'billing','partOf':" REF("Organization/recovery") "}",
        "{'resourceType':'Organization','id':'ring1','partOf':" REF("Organization/ring2") "}",
        "{'resourceType':'Organization','id':'ring2','partOf':" REF("Organization/ring1") "}",
        "{'resourceType':'Encounter','id':'in','serviceProvider':" REF("Organization/detox") ",'reasonCode':["
            ICD("F11.20") "]}",
        "{'resourceType':'Encounter','id':'out','serviceProvider':" REF("Organization/clinic") "}",
        "{'resourceType':'Encounter','id':'sub','partOf':" REF("Encounter/in") "}"};
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
        add_as(w, entries[i], NULL, true);
}

static void sources(void **state)
{
    (void)state;
    static const struct {
        const char *name, *json;
        enum sl_source source;
        const char *classes, *program, *custodian;
    } cases[] = {
        {"by an encounter at a part of a program", "{'resourceType':'Observation','code':" LOINC("8480-6")
            ",'encounter':"
            REF("Encounter/in") "}", SL_SOURCE_PROGRAM, "op", "Organization/detox", "Organization/detox"},
        {"a blood pressure of the clinic", "{'resourceType':'Observation','code':" LOINC("8480-6") ",'encounter':"
            REF("Encounter/out") "}", SL_SOURCE_NOT, "o", "", "Organization/clinic"},
        {"an opioid diagnosis of the clinic is no Part 2", "{'resourceType':'Condition','code':" ICD("F11.20")
            ",'encounter':"
            REF("Encounter/out") "}", SL_SOURCE_NOT, "oS", "", "Organization/clinic"},
        {"of a visit within a stay", "{'resourceType':'Observation','code':" LOINC("8480-6") ",'encounter':"
            REF("Encounter/sub") "}",
            SL_SOURCE_PROGRAM, "op", "Organization/detox", "Organization/detox"},
        {"by a role of a service", "{'resourceType':'Observation','code':" LOINC("8480-6") ",'performer':["
            REF("PractitionerRole/role") "]}", SL_SOURCE_PROGRAM, "op", "PractitionerRole/role", "Organization/detox"},
        {"by a place", "{'resourceType':'Encounter','location':[{'location':" REF("Location/ward") "}]}",
            SL_SOURCE_PROGRAM, "op",
            "Location/ward", "Organization/detox"},
        {"named itself", "{'resourceType':'Encounter','serviceProvider':" REF("Organization/recovery") "}",
            SL_SOURCE_PROGRAM, "op",
            "Organization/recovery", "Organization/recovery"},
        {"a program among others", "{'resourceType':'Observation','code':" LOINC("8480-6") ",'performer':["
            REF("Organization/clinic") "," REF("Organization/detox") "]}", SL_SOURCE_PROGRAM, "op",
                "Organization/detox",
            "Organization/clinic"},
        {"a person tells nothing", "{'resourceType':'Observation','code':" LOINC("8480-6") ",'performer':["
            REF("Practitioner/d") "]}",
            SL_SOURCE_UNKNOWN, "o", "", ""},
        {"an unknown source with a candidate code", "{'resourceType':'Condition','code':" ICD("F11.20") ",'asserter':"
            REF("Practitioner/d") "}", SL_SOURCE_UNKNOWN, "oSc", "", ""},
        {"part of something that is not here", "{'resourceType':'Condition','code':" ICD("F10.20") ",'encounter':"
            REF("Encounter/none") "}", SL_SOURCE_UNKNOWN, "oSc", "", ""},
        {"an organization whose parent nobody knows", "{'resourceType':'Encounter','serviceProvider':"
            REF("Organization/orphan") "}",
            SL_SOURCE_UNKNOWN, "o", "", "Organization/orphan"},
        {"and a part of it", "{'resourceType':'Encounter','serviceProvider':" REF("Organization/child") "}",
            SL_SOURCE_UNKNOWN, "o", "",
            "Organization/child"},
        {"a ring of organizations", "{'resourceType':'Encounter','serviceProvider':" REF("Organization/ring1") "}",
            SL_SOURCE_NOT, "o",
            "", "Organization/ring1"},
        {"a conditional reference names no record", "{'resourceType':'Encounter','serviceProvider':"
            REF("Organization?identifier=a|b") ",'type':[" ICD("F11.20") "]}", SL_SOURCE_UNKNOWN, "oSc", "", ""},
        {"meta.source", "{'resourceType':'Observation','meta':{'source':'http://detox.example.org/ehr#12'},'code':"
            LOINC("8480-6") "}", SL_SOURCE_PROGRAM, "op", "http://detox.example.org/ehr#12", ""},
        {"named as none, though part of one", "{'resourceType':'Encounter','serviceProvider':"
            REF("Organization/billing") "}",
            SL_SOURCE_NOT, "o", "", "Organization/billing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w = world_new(true);
        program(&w, i % 2 ? "recovery" : "Organization/recovery");
        program(&w, "http://detox.example.org/ehr");
        assert_int_equal(sl_programs_add(w.programs, SL_LIT("Organization/billing"), SL_SOURCE_NOT), SL_OK);
        const struct sl_item *item = i % 3 ? add(&w, cases[i].json) : NULL; /* in whatever order they are added */
        add_directory(&w);
        item = item ? item : add(&w, cases[i].json);
        resolve(&w);
        if (item->source != cases[i].source || strcmp(letters(&item->classes), cases[i].classes) != 0 ||
            !has_text(item->program, cases[i].program) || !has_text(item->custodian, cases[i].custodian))
            fail_msg("%s: source %d %s program %.*s custodian %.*s", cases[i].name, item->source,
                letters(&item->classes),
                SL_FMT(item->program), SL_FMT(item->custodian));
        world_free(&w);
    }
}

static void open_table_knows_no_others(void **state)
{
    (void)state;
    struct world w = world_new(false);
    program(&w, "recovery");
    add_directory(&w);
    const struct sl_item *out = add(&w, "{'resourceType':'Condition','code':" ICD("F11.20") ",'encounter':"
        REF("Encounter/out") "}");
    const struct sl_item *in = add(&w, "{'resourceType':'Condition','code':" ICD("I10") ",'encounter':"
        REF("Encounter/in") "}");
    resolve(&w);
    assert_int_equal(out->source, SL_SOURCE_UNKNOWN);
    assert_string_equal(letters(&out->classes), "oSc");
    assert_int_equal(in->source, SL_SOURCE_PROGRAM);
    world_free(&w);
}

static void directories_are_public(void **state)
{
    (void)state;
    struct world w = world_new(true);
    program(&w, "recovery");
    const struct sl_item *item = add(&w, RECOVERY);
    resolve(&w);
    assert_int_equal(item->source, SL_SOURCE_PROGRAM);
    assert_string_equal(letters(&item->classes), "P");
    world_free(&w);
}

/* ---- The three kinds of reference ---- */

#define METHADONE "{'resourceType':'Medication','id':'m','code':" RX("6813") "}"

static void references(void **state)
{
    (void)state;
    static const struct {
        const char *name, *json, *classes, *parts;
    } cases[] = {
        {"an order is what it orders", "{'resourceType':'MedicationRequest','medicationReference':" REF("Medication/m")
            ",'encounter':" REF("Encounter/out") "}", "oS", ""},
        {"of unknown source, a candidate by what it orders", "{'resourceType':'MedicationRequest',"
            "'medicationReference':"
            REF("Medication/m") "}", "oSc", ""},
        {"a report is its results", "{'resourceType':'DiagnosticReport','code':" LOINC("24357-6") ",'result':["
            REF("Observation/hiv")
            "],'encounter':" REF("Encounter/out") "}", "oh", ""},
        {"over two steps and a cycle", "{'resourceType':'DiagnosticReport','code':" LOINC("24357-6") ",'result':["
            REF("Observation/panel") "],'encounter':" REF("Encounter/out") "}", "oh", ""},
        {"a reason is a mention", "{'resourceType':'MedicationRequest','medicationCodeableConcept':" RX("314076")
            ",'reasonReference':["
            REF("Condition/htn") "," REF("Condition/hiv") "],'encounter':" REF("Encounter/out") "}", "o",
            "MedicationRequest.reasonReference[1]=oh"},
        {"a candidate of known source is none", "{'resourceType':'Encounter','serviceProvider':"
            REF("Organization/clinic")
            ",'reasonCode':[" ICD("F11.20") "]}", "o", "Encounter.reasonCode[0]=S"},
        {"a program that is mentioned", "{'resourceType':'CareTeam','participant':[{'member':"
            REF("Organization/clinic")
            "},{'member':" REF("Location/ward") "},{'member':" REF("Practitioner/d") "}]}", "o",
                "CareTeam.participant[1]=p"},
        {"named in the table and not here", "{'resourceType':'Patient','id':'p','generalPractitioner':["
            REF("Organization/elsewhere") "]}", "o", "Patient.generalPractitioner[0]=p"},
        {"through an encounter only its origin passes", "{'resourceType':'Observation','code':" LOINC("8480-6")
            ",'encounter':"
            REF("Encounter/psych") "}", "o", ""},
        {"a record of a program that is mentioned", "{'resourceType':'Condition','code':" ICD("I10") ",'encounter':"
            REF("Encounter/out") ",'evidence':[{'detail':[" REF("Observation/secret") "]}]}", "o",
                "Condition.evidence[0].detail[0]=op"},
        {"whom it is about tells nothing", "{'resourceType':'Condition','code':" ICD("I10") ",'subject':"
            REF("Patient/vip") "}", "o", ""},
        {"a mention within a record that is that already", "{'resourceType':'MedicationRequest',"
            "'medicationCodeableConcept':"
            RX("719872") ",'reasonReference':[" REF("Condition/hiv") "]}", "oh", ""},
        {"what it is, is not here", "{'resourceType':'MedicationRequest','medicationReference':"
            REF("Medication/gone") "}", "ox", ""},
        {"what it is, by name alone", "{'resourceType':'MedicationRequest','medicationReference':{'display':'x'}}",
            "ox", ""},
        {"a contained medication", "{'resourceType':'MedicationRequest','contained':[" METHADONE
            "],'medicationReference':" REF("#m") "}",
            "oSc", ""},
        {"a contained reason", "{'resourceType':'ServiceRequest','code':" LOINC("24357-6")
            ",'contained':[{'resourceType':"
            "'Condition','id':'c','code':" ICD("B20") "}],'reasonReference':[" REF("#c") "]}", "o",
            "ServiceRequest.reasonReference[0]=oh"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w = world_new(true);
        program(&w, "recovery");
        program(&w, "Organization/elsewhere");
        const struct sl_item *item = i % 2 ? add(&w, cases[i].json) : NULL;
        add_directory(&w);
        static const char *const records[] = {METHADONE,
            "{'resourceType':'Observation','id':'hiv','code':" LOINC("55277-8") ",'hasMember':["
                REF("Observation/panel") "]}",
            "{'resourceType':'Observation','id':'panel','code':" LOINC("24357-6") ",'hasMember':["
                REF("Observation/hiv") "]}",
            "{'resourceType':'Condition','id':'hiv','code':" ICD("B20") "}",
            "{'resourceType':'Condition','id':'htn','code':" ICD("I10") "}",
            "{'resourceType':'Encounter','id':'psych','type':[" ICD("F32.9") "],'serviceProvider':"
                REF("Organization/clinic") "}",
            "{'resourceType':'Observation','id':'secret','code':" LOINC("8480-6") ",'encounter':"
                REF("Encounter/in") "}",
            ("{'resourceType':'Patient','id':'vip','meta':{'security':[{'system':'http://example.org/labels',"
             "'code':'VIP'}]}}")};
        for (size_t k = 0; k < sizeof records / sizeof *records; k++)
            add_as(&w, records[k], NULL, true);
        item = item ? item : add(&w, cases[i].json);
        resolve(&w);
        if (strcmp(letters(&item->classes), cases[i].classes) != 0 || strcmp(parts_of(&w, item), cases[i].parts) !=
            0 || item->unlabelled)
            fail_msg("%s: %s with %s (%s)", cases[i].name, letters(&item->classes), parts_of(&w, item),
                item->unlabelled ? item->unlabelled : "labelled");
        world_free(&w);
    }
}

static void reasons_of_references(void **state)
{
    (void)state;
    struct world w = world_new(true);
    program(&w, "recovery");
    add_directory(&w);
    add_as(&w, METHADONE, NULL, true);
    const struct sl_item *item = add(&w, "{'resourceType':'MedicationRequest','medicationReference':"
        REF("Medication/m")
        ",'encounter':" REF("Encounter/in") ",'performer':" REF("Location/ward") "}");
    const struct sl_item *other = add(&w, "{'resourceType':'CarePlan','encounter':" REF("Encounter/out")
        ",'addresses':["
        REF("Condition/far") "],'careTeam':[" REF("CareTeam/c") "]}");
    add_as(&w, "{'resourceType':'CareTeam','id':'c','managingOrganization':[" REF("Organization/detox") "]}", NULL,
        true);
    resolve(&w);
    const struct sl_reason *origin = reason_of(item->reasons, PROGRAM), *medication = reason_of(item->reasons, SUD);
    assert_int_equal(origin->why, SL_WHY_ORIGIN);
    assert_true(has_text(origin->detail, "Organization/detox"));
    assert_int_equal(medication->why, SL_WHY_REFERENCE);
    assert_true(has_text(medication->detail, "Medication/m"));
    assert_string_equal(parts_of(&w, other), "CarePlan.careTeam[0]=op");
    const struct sl_reason *mention = reason_of(other->parts[0].reasons, PROGRAM);
    assert_int_equal(mention->why, SL_WHY_REFERENCE);
    assert_true(has_text(mention->detail, "CareTeam/c"));
    assert_string_equal(sl_why_text(mention->why), "reference");
    world_free(&w);
}

static void every_form_of_reference(void **state)
{
    (void)state;
    static const struct {
        const char *reference;
        bool found;
    } cases[] = {
        {"Condition/hiv", true}, {"Condition/hiv/_history/3", true}, {"urn:uuid:77", true},
        {"http://a.example.org/fhir/Condition/hiv", true}, {"http://a.example.org/fhir/Condition/hiv/_history/1", true},
        {"http:\\/\\/a.example.org\\/fhir\\/Condition\\/hiv", true}, {"Condition/h\\u0069v", true},
        {"http://b.example.org/fhir/Condition/hiv", false}, {"http://c.example.org/odd", true},
        {"Condition/other", false}, {"condition/hiv", false}, {"Condition/hiv/extra", false}, {"/Condition/hiv", false},
        {"Condition?code=B20", false}, {"urn:uuid:78", false}, {"#hiv", false}, {"", false}, {"Condition/", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w = world_new(false);
        char json[512];
        snprintf(json, sizeof json, "{'resourceType':'Encounter','id':'e','reasonReference':[{'reference':'%s'}]}",
            cases[i].reference);
        const struct sl_item *item = add_as(&w, json, "http://a.example.org/fhir/Encounter/e", false);
        add_as(&w, "{'resourceType':'Condition','id':'hiv','code':" ICD("B20") "}", "urn:uuid:77", true);
        add_as(&w, "{'resourceType':'Condition','code':" ICD("B20") "}", "http://c.example.org/odd", true);
        resolve(&w);
        if ((item->references[0].item != NULL) != cases[i].found || (item->part_count == 1) != cases[i].found)
            fail_msg("%s", cases[i].reference);
        world_free(&w);
    }
}

static void all_of_one_name_count(void **state)
{
    (void)state;
    struct world w = world_new(false); /* two versions of one record: what refers to it refers to both */
    const struct sl_item *item = add(&w, "{'resourceType':'Encounter','reasonReference':[" REF("Condition/c") "]}");
    add_as(&w, "{'resourceType':'Condition','id':'c','code':" ICD("I10") "}", NULL, true);
    add_as(&w, "{'resourceType':'Condition','id':'c','code':" ICD("B20") "}", NULL, true);
    add_as(&w, "{'resourceType':'Condition','id':'c','code':" ICD("F32.9") "}", NULL, true);
    resolve(&w);
    assert_string_equal(parts_of(&w, item), "Encounter.reasonReference[0]=om Encounter.reasonReference[0]=oh");
    assert_non_null(sl_labeller_find(w.labeller, SL_LIT("Condition/c")));
    assert_null(sl_labeller_find(w.labeller, SL_LIT("Condition/d")));
    add_as(&w, "{'resourceType':'Patient','id':'p'}", "urn:uuid:9", true);
    assert_non_null(sl_labeller_find(w.labeller, SL_LIT("Patient/p")));
    assert_ptr_equal(sl_labeller_find(w.labeller, SL_LIT("urn:uuid:9")), sl_labeller_find(w.labeller,
        SL_LIT("Patient/p")));
    assert_null(sl_labeller_find(w.labeller, SL_LIT("")));
    world_free(&w);
}

/* ---- Missing, absent, and rounds ---- */

static bool is_missing(struct world *w, size_t expected, const char *reference)
{
    struct sl_slice *missing;
    size_t count;
    assert_int_equal(sl_labeller_resolve(w->labeller, &missing, &count), SL_OK);
    assert_int_equal(count, expected);
    for (size_t i = 0; i < count; i++)
        if (has_text(missing[i], reference))
            return true;
    return false;
}

static void what_is_lacked(void **state)
{
    (void)state;
    struct world w = world_new(true);
    program(&w, "Organization/named");
    const struct sl_item *item = add(&w,
        "{'resourceType':'MedicationRequest','subject':" REF("Patient/p") ",'encounter':" REF("Encounter/e")
        ",'medicationReference':" REF("Medication/m") ",'reasonReference':[" REF("Condition/c") ","
            REF("Condition/c") "],"
        "'requester':" REF("Practitioner/d") ",'performer':" REF("Organization/o") ",'recorder':"
            REF("PractitionerRole/r")
        ",'supportingInformation':[" REF("Organization/named") "," REF("urn:uuid:1") "," REF("Patient/q") "]}");
    assert_true(is_missing(&w, 5, "Encounter/e"));
    assert_string_equal(item->unlabelled, "reference-pending");
    assert_true(is_missing(&w, 5, "Medication/m"));
    assert_true(is_missing(&w, 5, "Condition/c"));
    assert_true(is_missing(&w, 5, "Organization/o"));
    assert_true(is_missing(&w, 5, "PractitionerRole/r"));
    add_as(&w, METHADONE, NULL, true);
    add_as(&w, "{'resourceType':'Encounter','id':'e','serviceProvider':" REF("Organization/x")
        ",'diagnosis':[{'condition':"
               REF("Condition/far") "}]}", NULL, true);
    assert_true(is_missing(&w, 4, "Organization/x")); /* what the context leads to; but not what it mentions */
    add_as(&w, "{'resourceType':'Organization','id':'x','partOf':" REF("Organization/named") "}", NULL, true);
    const char *const gone[] = {"Condition/c", "Organization/o", "PractitionerRole/r"};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(sl_labeller_absent(w.labeller, sl_slice_of(gone[i]), true), SL_OK);
    assert_false(is_missing(&w, 0, ""));
    assert_null(item->unlabelled);
    assert_string_equal(letters(&item->classes), "oSp");
    assert_true(has_text(item->program, "Encounter/e") || has_text(item->program, "Organization/x"));
    assert_int_equal(sl_labeller_absent(w.labeller, SL_LIT("Condition/c"), false), SL_OK);
    assert_false(is_missing(&w, 0, ""));
    assert_string_equal(item->unlabelled, "reference-not-asked"); /* an unknown label: withheld */
    assert_int_equal(sl_labeller_absent(w.labeller, SL_LIT("no reference"), true), SL_INVALID);
    world_free(&w);
}

static void what_could_not_be_asked(void **state)
{
    (void)state;
    struct world w = world_new(true);
    const struct sl_item *item = add(&w, "{'resourceType':'Observation','code':" LOINC("8480-6") ",'encounter':"
        REF("Encounter/e") "}");
    const struct sl_item *report = add(&w, "{'resourceType':'DiagnosticReport','code':" LOINC("24357-6") ",'result':["
                                           REF("Observation/broken") "]}");
    add_as(&w, "{'resourceType':'Observation','id':'broken','code':" LOINC("8480-6")
        ",'modifierExtension':[{'url':'u'}]}",
        NULL, true);
    assert_true(is_missing(&w, 1, "Encounter/e"));
    assert_int_equal(sl_labeller_absent(w.labeller, SL_LIT("Encounter/e"), false), SL_OK);
    assert_false(is_missing(&w, 0, ""));
    assert_string_equal(item->unlabelled, "reference-not-asked");
    assert_string_equal(report->unlabelled, "reference-unlabelled"); /* it is what a record is that nobody can label */
    add_as(&w, "{'resourceType':'Encounter','id':'e'}", NULL, true); /* it came after all */
    assert_false(is_missing(&w, 0, ""));
    assert_null(item->unlabelled);
    world_free(&w);
}

/* More context never takes a class away, but where an unknown source becomes known. */
static void context_only_adds(void **state)
{
    (void)state;
    static const char *const context[] = {RECOVERY, DETOX, METHADONE,
        "{'resourceType':'Condition','id':'hiv','code':" ICD("B20") "}",
        "{'resourceType':'Encounter','id':'in','serviceProvider':" REF("Organization/detox") "}"};
    struct world w = world_new(true);
    program(&w, "recovery");
    const struct sl_item *item = add(&w, "{'resourceType':'MedicationRequest','medicationReference':"
        REF("Medication/m")
        ",'encounter':" REF("Encounter/in") ",'reasonCode':[" ICD("F32.9") "],'reasonReference':["
            REF("Condition/hiv") "]}");
    struct sl_slice *missing;
    size_t count;
    struct sl_classes before = {{0}};
    uint32_t parts = 0;
    for (size_t i = 0; i <= sizeof context / sizeof *context; i++) {
        assert_int_equal(sl_labeller_resolve(w.labeller, &missing, &count), SL_OK);
        struct sl_classes now = item->classes;
        now.word[0] |= (uint64_t)1 << CANDIDATE; /* the one that may go */
        assert_true(sl_classes_within(&before, &now));
        assert_true(item->part_count >= parts);
        before = item->classes;
        parts = item->part_count;
        if (i < sizeof context / sizeof *context)
            add_as(&w, context[i], NULL, true);
    }
    assert_string_equal(letters(&item->classes), "oSp");
    assert_int_equal(parts, 2);
    world_free(&w);
}

/* ---- Contained resources, sizes, depth ---- */

static void contained_are_items(void **state)
{
    (void)state;
    struct world w = world_new(true);
    program(&w, "recovery");
    add_directory(&w);
    struct sl_item *item = add(&w, "{'resourceType':'MedicationRequest','id':'r','subject':" REF("Patient/p")
        ",'encounter':"
        REF("Encounter/in") ",'contained':[" METHADONE ",{'resourceType':'Condition','id':'c','code':" ICD("I10")
        ",'subject':" REF("Patient/p") ",'encounter':" REF("#") "}],'medicationReference':" REF("#m") "}");
    struct sl_item *other = add(&w, "{'resourceType':'MedicationRequest','id':'s','medicationReference':" REF("#m")
        "}");
    resolve(&w);
    struct sl_item *medication = item->next, *condition = medication->next;
    assert_ptr_equal(medication->container, item);
    assert_ptr_equal(condition->container, item);
    assert_int_equal(medication->type, SL_R4_Medication);
    assert_ptr_equal(condition->next, other);
    assert_string_equal(letters(&item->classes), "oSp");
    assert_string_equal(letters(&medication->classes), "oSp"); /* who made the container made this */
    assert_string_equal(letters(&condition->classes), "op");
    assert_null(other->references[0].item); /* the other's #m is not this one */
    assert_string_equal(letters(&other->classes), "ox");
    assert_null(sl_labeller_find(w.labeller, SL_LIT("Medication/m")));
    world_free(&w);
}

static char *many_contained(unsigned count)
{
    static const char head[] = "{'resourceType':'CarePlan','id':'p','contained':[";
    static const char tail[] = "],'addresses':[" REF("#c9999") "," REF("#none") "]}";
    size_t size = 256 * (size_t)count + sizeof head + sizeof tail, len = 0;
    char *text = malloc(size);
    assert_non_null(text);
    len += (size_t)snprintf(text, size, "%s", head);
    for (unsigned i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, size - len, "%s{'resourceType':'Condition','id':'c%u','code':" ICD("B20")
            ",'evidence':[{'detail':[{'reference':'#c%u'}]}]}", i ? "," : "", i, i);
    snprintf(text + len, size - len, "%s", tail);
    return text;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void ten_thousand_contained(void **state)
{
    (void)state;
    char *json = many_contained(10000);
    struct world w = world_new(false);
    double begin = seconds();
    const struct sl_item *item = add(&w, json);
    resolve(&w);
    assert_true(seconds() - begin < 20); /* with sanitizers; a quadratic search would take minutes */
    assert_int_equal(w.labeller->count, 10001);
    assert_string_equal(parts_of(&w, item), "CarePlan.addresses[0]=oh");
    assert_true(sl_arena_used(w.arena) < (size_t)64 << 20);
    world_free(&w);
    free(json);
}

/* A chain of defining references longer than any real one is followed to its end, whichever way it is written. */
static void long_chains_are_followed(void **state)
{
    (void)state;
    for (int backwards = 0; backwards < 2; backwards++) {
        struct world w = world_new(false);
        struct sl_item *first = NULL;
        char json[256];
        for (int i = 0; i < 400; i++) {
            int n = backwards ? 399 - i : i; /* every other one the other way, so that no single direction settles it */
            n = n % 2 ? 400 - n : n;
            snprintf(json, sizeof json, "{'resourceType':'Observation','id':'o%d','code':%s,'hasMember':[%s%d%s]}", n,
                n == 399 ? LOINC("55277-8") : LOINC("8480-6"), "{'reference':'Observation/o", n + 1, "'}");
            struct sl_slice kept = sl_arena_copy(w.arena, sl_slice_of(json));
            struct sl_item *item = add(&w, kept.ptr);
            first = n == 0 ? item : first;
        }
        resolve(&w);
        assert_true(sl_classes_has(&first->classes, INFECT) && !first->unlabelled); /* the class came all the way */
        world_free(&w);
    }
}

/* ---- Flags of a visit ---- */

#define FLAG \
    "'meta':{'security':[{'system':'http://example.org/labels','code':'FLAG'},{'system':'" ACT "','code':'PSY'}]}"

/* A flag goes to what hangs on the visit, over any number of visits and further along what defines; nothing else of the
 * visit does, and a flag of what is no visit stays where it is. */
static void flags_pass_through_visits(void **state)
{
    (void)state;
    static const char *const visits[] = {
        "{'resourceType':'Encounter','id':'flagged'," FLAG ",'reasonCode':[" ICD("F32.9") "]}",
        "{'resourceType':'Encounter','id':'part','partOf':" REF("Encounter/flagged") "}",
        "{'resourceType':'Encounter','id':'whole'}",
        "{'resourceType':'Encounter','id':'child','partOf':" REF("Encounter/whole") "," FLAG "}",
        "{'resourceType':'Encounter','id':'round'," FLAG ",'partOf':" REF("Encounter/turn") "}",
        "{'resourceType':'Encounter','id':'turn','partOf':" REF("Encounter/round") "}",
        "{'resourceType':'EpisodeOfCare','id':'episode'," FLAG "}",
        "{'resourceType':'Observation','id':'result','code':" LOINC("8480-6") ",'encounter':"
            REF("Encounter/part") "}",
        "{'resourceType':'DocumentReference','id':'marked','type':" LOINC("11506-3") "," FLAG "}",
    };
    static const struct {
        const char *name, *json, *classes;
    } cases[] = {
        {"what hangs on it", "{'resourceType':'Observation','code':" LOINC("8480-6") ",'encounter':"
            REF("Encounter/flagged") "}", "of"},
        {"a claim's line", "{'resourceType':'Claim','item':[{'sequence':1,'encounter':["
            REF("Encounter/flagged") "]}]}", "of"},
        {"a part of the visit", "{'resourceType':'Observation','code':" LOINC("8480-6") ",'encounter':"
            REF("Encounter/part") "}", "of"},
        {"a ring of visits", "{'resourceType':'Observation','code':" LOINC("8480-6") ",'encounter':"
            REF("Encounter/turn") "}", "of"},
        {"an episode of care", "{'resourceType':'Procedure','code':" ICD("I10") ",'encounter':"
            REF("EpisodeOfCare/episode") "}", "of"},
        {"a report of a result of the visit", "{'resourceType':'DiagnosticReport','code':" LOINC("24357-6")
            ",'result':[" REF("Observation/result") "]}", "of"},
        {"the stay that the flagged part belongs to is not", "{'resourceType':'Observation','code':" LOINC("8480-6")
            ",'encounter':" REF("Encounter/whole") "}", "o"},
        {"a flag of a document is its own", "{'resourceType':'Observation','code':" LOINC("8480-6")
            ",'partOf':[" REF("DocumentReference/marked") "]}", "o"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w = world_new(true);
        for (size_t v = 0; v < sizeof visits / sizeof *visits; v++)
            add_as(&w, visits[v], NULL, true);
        const struct sl_item *item = add(&w, cases[i].json);
        resolve(&w);
        if (strcmp(letters(&item->classes), cases[i].classes) != 0 || item->unlabelled)
            fail_msg("%s: %s %s", cases[i].name, letters(&item->classes), item->unlabelled ? item->unlabelled : "");
        if (strchr(cases[i].classes, 'f') && item->type != SL_R4_DiagnosticReport)
            assert_int_equal(reason_of(item->reasons, FLAGGED)->why, SL_WHY_VISIT);
        world_free(&w);
    }
}

static void deep_nesting(void **state)
{
    (void)state;
    struct sl_buffer json;
    sl_buffer_init(&json, 1 << 16);
    sl_buffer_add(&json, SL_LIT("{'resourceType':'Patient','id':'p'"));
    for (int i = 0; i < 28; i++)
        sl_buffer_add(&json, SL_LIT(",'extension':[{'url':'u'"));
    sl_buffer_add(&json, SL_LIT(",'valueCodeableConcept':" ICD("B20")));
    for (int i = 0; i < 28; i++)
        sl_buffer_add(&json, SL_LIT("}]"));
    sl_buffer_add(&json, (struct sl_slice){"}", 2}); /* with the closing NUL */
    struct world w = world_new(false);
    const struct sl_item *item = add(&w, json.ptr);
    resolve(&w);
    assert_null(item->unlabelled);
    assert_int_equal(item->part_count, 1);
    assert_string_equal(letters(&item->parts[0].classes), "h");
    sl_buffer_fini(&json);
    world_free(&w);
}

static void memory_that_runs_out(void **state)
{
    (void)state;
    static const char json[] = "{'resourceType':'MedicationRequest','contained':[" METHADONE
        "],'medicationReference':" REF("#m")
        ",'note':[{'text':'n'}],'reasonReference':[" REF("Condition/c") "],'colour':1,'subject':" REF("Patient/p") "}";
    unsigned failed = 0, done = 0;
    for (size_t ceiling = 1024; ceiling < 200 * 1024; ceiling += 512) {
        struct sl_arena *text = sl_arena_new(1 << 20), *arena = sl_arena_new(ceiling);
        struct sl_doc doc;
        struct sl_item *item = NULL;
        struct sl_slice *missing;
        size_t count;
        assert_int_equal(sl_doc_parse(text, quoted(text, json), NULL, &doc, NULL), SL_OK);
        struct sl_labeller *labeller = sl_labeller_new_earning(arena, &shared.earning, NULL);
        enum sl_status status = labeller ? sl_labeller_add(labeller, &doc, 0, SL_LIT(""), false, &item) : SL_NO_MEMORY;
        if (status == SL_OK)
            status = sl_labeller_resolve(labeller, &missing, &count);
        assert_true(status == SL_OK || status == SL_NO_MEMORY);
        if (status == SL_OK) {
            assert_string_equal(letters(&item->classes), "oSc");
            done++;
        } else {
            failed++;
        }
        sl_arena_free(arena);
        sl_arena_free(text);
    }
    assert_true(failed > 10 && done > 10);
}

/* ---- Links: what is behind a url ---- */

static void links(void **state)
{
    (void)state;
    static const struct {
        const char *what, *json, *binary, *classes, *parts;
    } cases[] = {
        {"the only content of a document is the document", "{'resourceType':'DocumentReference','id':'d','content':"
            "[{'attachment':{'url':'Binary/b'}}]}", "{'resourceType':'Binary','id':'b','contentType':'image/png',"
            "'data':'iVBORw0KGgo='}", "ou", ""},
        {"one of two is its own", "{'resourceType':'DocumentReference','id':'d','content':[{'attachment':{'url':"
            "'Binary/b'}},{'attachment':{'title':'x'}}]}", "{'resourceType':'Binary','id':'b','contentType':"
            "'text/plain','data':'aGk='}", "o", "DocumentReference.content[0].attachment=ot"},
        {"a version of it is it", "{'resourceType':'Media','id':'d','content':{'url':'Binary/b/_history/2'}}",
            "{'resourceType':'Binary','id':'b','meta':{'security':[{'system':'" ACT "','code':'PSY'}]}}", "o!", ""},
        {"a report is more than its form", "{'resourceType':'DiagnosticReport','id':'d','presentedForm':[{'url':"
            "'Binary/b'}]}", "{'resourceType':'Binary','id':'b','meta':{'security':[{'system':'" ACT
            "','code':'PSY'}]}}", "o", "DiagnosticReport.presentedForm[0]=o!"},
        {"what is not there is unread", "{'resourceType':'DiagnosticReport','id':'d','presentedForm':[{'url':"
            "'Binary/c'}]}", NULL, "o", "DiagnosticReport.presentedForm[0]=u"},
        {"what is elsewhere is cut, and says nothing", "{'resourceType':'DiagnosticReport','id':'d','presentedForm':"
            "[{'url':'https://other.example/Binary/b'},{'url':'data:text/plain,Binary/b'},{'url':'Binary/b?x=1'}]}",
            NULL, "o", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w = world_new(false);
        const struct sl_item *item = add(&w, cases[i].json);
        if (cases[i].binary)
            add_as(&w, cases[i].binary, NULL, true);
        resolve(&w);
        if (strcmp(letters(&item->classes), cases[i].classes) != 0 || strcmp(parts_of(&w, item), cases[i].parts) != 0)
            fail_msg("%s: %s with %s", cases[i].what, letters(&item->classes), parts_of(&w, item));
        for (uint32_t r = 0; r < item->reference_count; r++)
            assert_true(item->references[r].link && item->references[r].content);
        world_free(&w);
    }
}

/* ---- Drafts ---- */

#define VALUE "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
#define AIAST "{'system':'" VALUE "','code':'AIAST'}"
#define LABELLED_AI "'meta':{'security':[" AIAST "]},"
#define AGENT(type, who)                                                                                               \
    "{'type':{'coding':[{'system':'http://terminology.hl7.org/CodeSystem/provenance-participant-type','code':'" type   \
    "'}]},'who':{'reference':'" who "'}}"
#define SAYS(when, rest)                                                                                               \
    "{'resourceType':'Provenance','target':[{'reference':'Condition/c'}],'recorded':'" when "'," rest "}"
#define AI_REASON "'reason':[{'coding':[" AIAST "]}],'agent':[" AGENT("author", "Device/x")
#define BY_AI(when) SAYS(when, AI_REASON "]")
#define VERIFIED(when) SAYS(when, "'agent':[" AGENT("verifier", "Practitioner/p") "]")

static const struct {
    const char *what, *json, *one, *two;
    bool draft;
} drafts[] = {
    {"nobody says anything", "{'resourceType':'Condition','id':'c'}", NULL, NULL, false},
    {"AI by a label", "{'resourceType':'Condition','id':'c'," LABELLED_AI "'code':" ICD("I10") "}", NULL, NULL, true},
    {"AI by a Provenance's reason", "{'resourceType':'Condition','id':'c'}", BY_AI("2026-01-01T00:00:00Z"), NULL, true},
    {"AI by an agent's kind", "{'resourceType':'Condition','id':'c'}", SAYS("2026-01-01T00:00:00Z",
        "'agent':[{'role':[{'coding':[{'system':"
        "'http://hl7.org/fhir/uv/aitransparency/CodeSystem/AIdeviceTypeCS','code':'Generative-AI'}]}]}]"), NULL, true},
    {"AI by a profile", "{'resourceType':'Condition','id':'c'}", SAYS("2026-01-01T00:00:00Z", "'meta':{'profile':["
        "'http://hl7.org/fhir/uv/aitransparency/StructureDefinition/AI-Provenance']}"), NULL, true},
    {"a device without AI's marks", "{'resourceType':'Condition','id':'c'}", SAYS("2026-01-01T00:00:00Z", "'agent':["
        AGENT("author", "Device/x") "]"), NULL, false},
    {"about another record", "{'resourceType':'Condition','id':'other'}", BY_AI("2026-01-01T00:00:00Z"), NULL, false},
    {"verified in the same statement", "{'resourceType':'Condition','id':'c'}", SAYS("2026-01-01T00:00:00Z", AI_REASON
        "," AGENT("verifier", "https://other.example/fhir/Practitioner/p") "]"), NULL, false},
    {"verified in another", "{'resourceType':'Condition','id':'c'}", BY_AI("2026-01-01T00:00:00Z"),
        VERIFIED("2026-01-02T00:00:00Z"), false},
    {"verified before AI wrote again", "{'resourceType':'Condition','id':'c'}", BY_AI("2026-01-02T00:00:00Z"),
        VERIFIED("2026-01-01T00:00:00Z"), true},
    {"the same moment in another zone", "{'resourceType':'Condition','id':'c'}", BY_AI("2026-01-01T06:00:00Z"),
        VERIFIED("2026-01-01T00:00:00-06:00"), false},
    {"verified at no time", "{'resourceType':'Condition','id':'c'}", BY_AI("2026-01-01T00:00:00Z"), VERIFIED("once"),
        true},
    {"verified by a device", "{'resourceType':'Condition','id':'c'}", SAYS("2026-01-01T00:00:00Z", AI_REASON ","
        AGENT("verifier", "Device/y") "]"), NULL, true},
    {"an author is no verifier", "{'resourceType':'Condition','id':'c'}", SAYS("2026-01-01T00:00:00Z", AI_REASON ","
        AGENT("author", "Practitioner/p") "]"), NULL, true},
    {"signed", "{'resourceType':'Condition','id':'c'}", BY_AI("2026-01-01T00:00:00Z"), SAYS("2026-01-02T00:00:00Z",
        "'signature':[{'who':{'reference':'PractitionerRole/r'}}]"), false},
    {"labelled, and verified", "{'resourceType':'Condition','id':'c'," LABELLED_AI "'code':" ICD("I10") "}",
        VERIFIED("2026-01-02T00:00:00Z"), NULL, false},
    {"labelled, verified, and written again", "{'resourceType':'Condition','id':'c'," LABELLED_AI "'code':" ICD("I10")
        "}", VERIFIED("2026-01-01T00:00:00Z"), BY_AI("2026-01-02T00:00:00Z"), true},
    {"a document that is final", "{'resourceType':'DocumentReference'," LABELLED_AI "'docStatus':'final'}", NULL, NULL,
        false},
    {"one that was authenticated", "{'resourceType':'DocumentReference'," LABELLED_AI
        "'authenticator':{'reference':'Practitioner/p'}}", NULL, NULL, false},
    {"by an organization", "{'resourceType':'DocumentReference'," LABELLED_AI
        "'authenticator':{'reference':'Organization/o'}}", NULL, NULL, true},
    {"one that was attested", "{'resourceType':'Composition'," LABELLED_AI
        "'attester':[{'mode':'legal','party':{'reference':'Practitioner/p'}}]}", NULL, NULL, false},
    {"by the patient", "{'resourceType':'Composition'," LABELLED_AI
        "'attester':[{'mode':'personal','party':{'reference':'Patient/p'}}]}", NULL, NULL, true},
};

static void what_is_a_draft(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof drafts / sizeof *drafts; i++) {
        struct world w = world_new(false);
        if (drafts[i].two)
            add_as(&w, drafts[i].two, NULL, true);
        const struct sl_item *item = add(&w, drafts[i].json);
        if (drafts[i].one)
            add(&w, drafts[i].one);
        resolve(&w);
        if (sl_classes_has(&item->classes, DRAFT) != drafts[i].draft)
            fail_msg("%s: %s", drafts[i].what, letters(&item->classes));
        world_free(&w);
    }
}

/* AI wrote one element: it is the draft, until somebody signs. */
static void a_draft_of_one_element(void **state)
{
    (void)state;
    static const char json[] = "{'resourceType':'Condition','id':'c','code':" ICD("I10") ",'bodySite':[{'text':'a'},"
        "{'extension':[" DS4P_LABEL(VALUE, "AIAST") "],'text':'b'}]}";
    struct world w = world_new(false);
    const struct sl_item *item = add(&w, json);
    resolve(&w);
    assert_string_equal(letters(&item->classes), "o");
    assert_string_equal(parts_of(&w, item), "Condition.bodySite[1]=d");
    add_as(&w, VERIFIED("2026-01-02T00:00:00Z"), NULL, true);
    resolve(&w);
    assert_string_equal(parts_of(&w, item), "");
    world_free(&w);
}

/* What is to be looked for, once; what was found counts, and what is remembered of it comes to the same. */
static void who_has_vouched(void **state)
{
    (void)state;
    for (unsigned verified = 0; verified < 2; verified++) {
        struct world w = world_new(false), later = world_new(false);
        struct sl_slice *names;
        size_t count;
        const struct sl_item *item = add(&w, "{'resourceType':'Condition','id':'c'}");
        add(&w, "{'resourceType':'Observation','id':'o','status':'final'}");
        add(&w, "{'resourceType':'Patient','id':'p'}");
        assert_int_equal(sl_labeller_unvouched(w.labeller, &names, &count), SL_OK);
        assert_int_equal(count, 1);
        assert_true(sl_slice_eq(names[0], SL_LIT("Condition/c")));
        const char *found[] = {BY_AI("2026-01-01T00:00:00Z"), VERIFIED("2026-01-02T00:00:00Z")};
        for (unsigned i = 0; i <= verified; i++) {
            struct sl_doc *doc = sl_arena_alloc(w.arena, sizeof *doc);
            assert_int_equal(sl_doc_parse(w.arena, quoted(w.arena, found[i]), NULL, doc, NULL), SL_OK);
            assert_int_equal(sl_labeller_vouch(w.labeller, doc, 0), SL_OK);
        }
        assert_int_equal(sl_labeller_unvouched(w.labeller, &names, &count), SL_OK);
        assert_int_equal(count, 0);
        resolve(&w);
        assert_int_equal(sl_classes_has(&item->classes, DRAFT), !verified);
        struct sl_book_entry kept;
        assert_int_equal(sl_book_entry_of_vouches(w.labeller, SL_LIT("Condition/c"), &kept), SL_OK);
        assert_false(sl_classes_empty(&kept.classes));
        const struct sl_item *again = add(&later, "{'resourceType':'Condition','id':'c'," LABELLED_AI "'code':" ICD(
                                                      "I10") "}");
        assert_int_equal(sl_labeller_know_vouches(later.labeller, SL_LIT("Condition/c"), &kept), SL_OK);
        add(&later, BY_AI("2026-01-01T00:00:00Z")); /* one of what is remembered, read again, weighs no more */
        resolve(&later);
        assert_int_equal(sl_classes_has(&again->classes, DRAFT), !verified);
        add(&later, BY_AI("2026-01-03T00:00:00Z")); /* and one that is newer than the book counts */
        resolve(&later);
        assert_true(sl_classes_has(&again->classes, DRAFT));
        add(&later, VERIFIED("2026-01-04T00:00:00Z"));
        resolve(&later);
        assert_false(sl_classes_has(&again->classes, DRAFT));
        world_free(&w);
        world_free(&later);
    }
}

static int setup(void **state)
{
    (void)state;
    return earning_setup(&shared) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    earning_teardown(&shared);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_alone), cmocka_unit_test(every_class_has_its_reason),
            cmocka_unit_test(parts_have_reasons),
        cmocka_unit_test(unknown_properties), cmocka_unit_test(facts_of_an_item), cmocka_unit_test(patients),
            cmocka_unit_test(patient_or_other),
        cmocka_unit_test(sources), cmocka_unit_test(open_table_knows_no_others),
            cmocka_unit_test(directories_are_public),
        cmocka_unit_test(references), cmocka_unit_test(reasons_of_references),
            cmocka_unit_test(every_form_of_reference), cmocka_unit_test(all_of_one_name_count),
        cmocka_unit_test(what_is_lacked), cmocka_unit_test(what_could_not_be_asked),
            cmocka_unit_test(context_only_adds),
        cmocka_unit_test(contained_are_items), cmocka_unit_test(ten_thousand_contained),
            cmocka_unit_test(long_chains_are_followed),
            cmocka_unit_test(flags_pass_through_visits),
        cmocka_unit_test(links), cmocka_unit_test(what_is_a_draft), cmocka_unit_test(a_draft_of_one_element),
            cmocka_unit_test(who_has_vouched),
        cmocka_unit_test(deep_nesting), cmocka_unit_test(memory_that_runs_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
