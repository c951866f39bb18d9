/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes with what is withheld, and what goes always: one case for each way in which a record can name another one,
 * or give away that it was changed. Records are written with ' for ". `present` and `absent` are looked for in what
 * goes out, written the same way.
 */
#include "segmented.h"

#include "earning.h"

/* A patient; a Condition that a program made, which a treating provider without a consent may not have; one that
 * anybody treating may. */
#define WORLD                                                                                                          \
    "{'resourceType':'Organization','id':'prog'}\n"                                                                    \
    "{'resourceType':'Organization','id':'pcp'}\n"                                                                     \
    "{'resourceType':'Patient','id':'p'}\n"                                                                            \
    "{'resourceType':'Encounter','id':'e','status':'finished','class':{'code':'AMB'},'subject':" P ","                 \
    "'serviceProvider':{'reference':'Organization/pcp'}}\n"                                                            \
    "{'resourceType':'Encounter','id':'ep','status':'finished','class':{'code':'AMB'},'subject':" P ","                \
    "'serviceProvider':{'reference':'Organization/prog'}}\n"                                                           \
    "{'resourceType':'Condition','id':'hid','encounter':{'reference':'Encounter/ep'},'code':" DIABETES ",'subject':" P \
    "}\n"                                                                                                              \
    "{'resourceType':'Condition','id':'dm','encounter':{'reference':'Encounter/e'},'code':" DIABETES ",'subject':" P   \
    "}\n"
#define P "{'reference':'Patient/p'}"
#define E "'encounter':{'reference':'Encounter/e'},"
#define HID "{'reference':'Condition/hid','display':'CANARY','identifier':{'system':'urn:s','value':'CANARY'}}"
#define DM "{'reference':'Condition/dm'}"
#define DIABETES "{'coding':[{'system':'http://hl7.org/fhir/sid/icd-10-cm','code':'E11.9'}]}"
#define OPIOID "{'coding':[{'system':'http://hl7.org/fhir/sid/icd-10-cm','code':'F11.20','display':'CANARY'}]}"
#define LOINC(code) "{'coding':[{'system':'http://loinc.org','code':'" code "'}]}"
#define SNOMED(code) "{'coding':[{'system':'http://snomed.info/sct','code':'" code "'}]}"
#define DIV(words) "{'status':'generated','div':'<div>" words "</div>'}"
#define SIGNED                                                                                                         \
    "{'type':[{'code':'x'}],'when':'2026-01-01T00:00:00Z','who':{'reference':'Organization/pcp'},'data':'SIGNED'}"
#define OBSERVATION(id, code, rest)                                                                                    \
    "{'resourceType':'Observation','id':'" id "','status':'final'," E "'subject':" P ",'code':" LOINC(code) rest "}"

static const struct cut_case {
    const char *name, *record;
    const char *present[8], *absent[8];
} treating[] = {
    /* ---- References to what is withheld, wherever they stand ---- */
    {"an activity of a plan",
        "{'resourceType':'CarePlan','id':'x','status':'active','intent':'plan'," E "'subject':" P
        ",'activity':[{'progress':[{'text':'CANARY'}],'reference':" HID "},{'reference':" DM "}]}",
        {"'id':'x'", "'activity':[{'reference':{'reference':'Condition/dm'}}]"}, {"CANARY", "hid"}},
    {"an outcome of an activity, which is there without it",
        "{'resourceType':'CarePlan','id':'x','status':'active','intent':'plan'," E "'subject':" P
        ",'activity':[{'outcomeReference':[" HID "],'detail':{'status':'completed'}}]}",
        {"'activity':[{'detail':{'status':'completed'}}]"}, {"CANARY", "hid", "outcomeReference"}},
    {"a diagnosis of a visit",
        "{'resourceType':'Encounter','id':'x','status':'finished','class':{'code':'AMB'},'subject':" P
        ",'serviceProvider':{'reference':'Organization/pcp'},'diagnosis':[{'condition':" HID
        ",'rank':1},{'condition':" DM ",'rank':2}]}",
        {"'diagnosis':[{'condition':{'reference':'Condition/dm'}}]"}, {"CANARY", "hid", "rank"}},
    {"an entry of a section",
        "{'resourceType':'Composition','id':'x','status':'final','type':" LOINC(
            "34133-9") "," E "'subject':" P ",'date':'2026-01-01','title':'t','author':[{'reference':'Organization/"
                       "pcp'}],'section':[{'title':'a','text':" DIV(
                           "CANARY") ",'entry':[" HID "," DM
                                     "]},{'title':'b','text':" DIV(
                                         "CANARY") ",'entry':[" HID "]},{'title':'c','text':" DIV("WORDS") "}]}",
        {"'section':[{'title':'a','entry':[{'reference':'Condition/dm'}]},{'title':'c','text'", "WORDS"},
        {"CANARY", "hid", "'title':'b'"}},
    {"an entry of a list",
        "{'resourceType':'List','id':'x','status':'current','mode':'working'," E "'subject':" P
        ",'entry':[{'date':'2026','item':" HID "},{'item':" DM "}]}",
        {"'entry':[{'item':{'reference':'Condition/dm'}}]"}, {"CANARY", "hid", "2026"}},
    {"a target of a provenance",
        "{'resourceType':'Provenance','id':'x','target':[" HID "," DM
        "],'recorded':'2026-01-01T00:00:00Z','agent':[{'who':{'reference':'Organization/pcp'}}],'signature':[" SIGNED
        "]}",
        {"'target':[{'reference':'Condition/dm'}]"}, {"CANARY", "hid", "SIGNED", "signature"}},
    {"the only target of a provenance",
        "{'resourceType':'Provenance','id':'x','target':[" HID
        "],'recorded':'2026-01-01T00:00:00Z','agent':[{'who':{'reference':'Organization/pcp'}}]}",
        {NULL}, {"'id':'x'"}},
    {"a result of a report, which repeats it",
        "{'resourceType':'DiagnosticReport','id':'x','status':'final'," E "'subject':" P
        ",'code':" LOINC("4548-4") ",'conclusion':'CANARY','result':[" HID "]}",
        {NULL}, {"CANARY", "'id':'x'"}},
    {"an extension that names it by reference",
        "{'resourceType':'Procedure','id':'x','status':'completed'," E "'subject':" P
        ",'code':" SNOMED("71388002") ",'extension':[{'url':'urn:a','valueReference':" HID
                                      "},{'url':'urn:b','extension':[{'url':'urn:c','valueReference':" HID "}]}]}",
        {"'id':'x'"}, {"CANARY", "hid", "extension", "urn:a", "urn:b"}},
    {"extensions that name it by URI",
        "{'resourceType':'Procedure','id':'x','status':'completed'," E "'subject':" P ",'code':" SNOMED(
            "71388002") ",'extension':[{'url':'urn:a','valueUri':'Condition/hid'},{'url':'urn:b','valueUrl':"
                        "'Condition/hid'},{'url':'urn:c','valueCanonical':'Condition/"
                        "hid|2'},{'url':'urn:d','valueUri':'urn:other'}]}",
        {"'extension':[{'url':'urn:d','valueUri':'urn:other'}]"}, {"hid", "urn:a", "urn:b", "urn:c"}},
    {"an element that names it by URI",
        "{'resourceType':'ServiceRequest','id':'x','status':'active','intent':'order'," E "'subject':" P
        ",'code':" SNOMED("71388002") ",'instantiatesUri':['Condition/hid','urn:other']}",
        {"'instantiatesUri':['urn:other']"}, {"hid"}},
    {"an extension on a primitive",
        "{'resourceType':'Procedure','id':'x','status':'completed'," E "'subject':" P
        ",'code':" SNOMED("71388002") ",'performedDateTime':'2026','_performedDateTime':{'extension':[{'url':'urn:a',"
                                      "'valueReference':" HID "}]}}",
        {"'performedDateTime':'2026'"}, {"CANARY", "hid", "_performedDateTime", "urn:a"}},
    {"a reason with its words",
        "{'resourceType':'Procedure','id':'x','status':'completed'," E "'subject':" P
        ",'code':" SNOMED("71388002") ",'reasonReference':[" HID "," DM "]}",
        {"'reasonReference':[{'reference':'Condition/dm'}]"}, {"CANARY", "hid"}},
    {"a parameter that names it",
        "{'resourceType':'Parameters','id':'x','parameter':[{'name':'a','valueReference':" HID
        "},{'name':'b','part':[{'name':'c','valueReference':" HID "}]},{'name':'d','valueString':'s'}]}",
        {NULL}, {"CANARY", "hid"}},
    {"a linkage of two, one of which is withheld",
        "{'resourceType':'Linkage','id':'x','author':{'reference':'Organization/"
        "pcp'},'item':[{'type':'source','resource':" HID "},{'type':'alternate','resource':" DM "}]}",
        {NULL}, {"'id':'x'"}},
    {"what a task is about",
        "{'resourceType':'Task','id':'x','status':'requested','intent':'order'," E "'for':" P ",'focus':" HID "}",
        {NULL}, {"'id':'x'"}},
    {"the visit it belongs to is withheld, so it is as well",
        "{'resourceType':'Procedure','id':'x','status':'completed','encounter':{'reference':'Encounter/"
        "ep'},'subject':" P "}",
        {NULL}, {"'id':'x'"}},

    /* ---- Contained resources ---- */
    {"a contained resource goes with the only element that refers to it",
        "{'resourceType':'Procedure','id':'x','status':'completed'," E "'subject':" P ",'code':" SNOMED(
            "71388002") ",'contained':[{'resourceType':'Observation','id':'o','status':'final','code'"
                        ":" LOINC("4548-4") ",'valueString':'CANARY'}],'extension':[{'url':'urn:a','extension':"
                                            "[{'url':'b','valueReference':{'reference':'#o'}},{'url':'c',"
                                            "'valueCodeableConcept':" OPIOID "}]}]}",
        {"'id':'x'"}, {NULL}},
    {"and so does one that nobody referred to in the first place",
        "{'resourceType':'Procedure','id':'x','status':'completed'," E "'subject':" P
        ",'code':" SNOMED("71388002") ",'contained':[{'resourceType':'Observation','id':'o','status':'final','code'"
                                      ":" LOINC("4548-4") ",'valueString':'CANARY'}]}",
        {"'id':'x'"}, {"CANARY", "contained"}},
    {"but not one that another one refers to, or that is named by a canonical, or that points home",
        "{'resourceType':'QuestionnaireResponse','id':'x','status':'completed'," E "'subject':" P
        ",'contained':[{'resourceType':'Questionnaire','id':'q','status':'active','title':'KEPT-1'},{'resourceType':"
        "'Practitioner','id':'a','qualification':[{'code':{'text':'KEPT-2'},'issuer':{'reference':'#b'}}]},{'"
        "resourceType':"
        "'Organization','id':'b','name':'KEPT-3'},{'resourceType':'Provenance','id':'c','target':[{'reference':'#'}],"
        "'recorded':'2026-01-01T00:00:00Z','reason':[{'text':'KEPT-4'}],'agent':[{'who':{'reference':'Organization/"
        "pcp'}}]}],"
        "'questionnaire':'#q','author':{'reference':'#a'}}",
        {"'id':'x'", "KEPT-1", "KEPT-2", "KEPT-3", "KEPT-4"}, {NULL}},
    {"nor does one outlive the one that referred to it",
        "{'resourceType':'Procedure','id':'x','status':'completed'," E "'subject':" P
        ",'code':" SNOMED("71388002") ",'contained':[{'resourceType':'Practitioner','id':'a','qualification':[{'code':{"
                                      "'text':'t'},'issuer':{"
                                      "'reference':'#b'}}]},{'resourceType':'Organization','id':'b','name':'CANARY'}]}",
        {"'id':'x'"}, {"CANARY", "contained"}},
    {"a contained resource that cannot be without what it lost takes the reference to it along",
        "{'resourceType':'Procedure','id':'x','status':'completed'," E "'subject':" P
        ",'code':" SNOMED("71388002") ",'contained':[{'resourceType':'Provenance','id':'a','target':[" HID
                                      "],'recorded':'2026-01-01T00:00:00Z','agent':[{'who':{'reference':'Organization/"
                                      "pcp'}}]}],'reasonReference':[{"
                                      "'reference':'#a'}]}",
        {"'id':'x'"}, {"CANARY", "hid", "contained", "reasonReference"}},

    /* ---- Parents of what is required ---- */
    {"a required value takes its part",
        "{'resourceType':'Task','id':'x','status':'requested','intent':'order'," E "'for':" P
        ",'input':[{'type':{'text':'t'},'valueReference':" HID "},{'type':{'text':'u'},'valueString':'v'}]}",
        {"'input':[{'type':{'text':'u'},'valueString':'v'}]"}, {"CANARY", "'text':'t'"}},
    {"and where it is the last, the list of them",
        "{'resourceType':'Task','id':'x','status':'requested','intent':'order'," E "'for':" P
        ",'input':[{'type':{'text':'t'},'valueReference':" HID "}]}",
        {"'id':'x'"}, {"CANARY", "input"}},

    {"a bound of a period takes the period, which would say that it has none",
        "{'resourceType':'Procedure','id':'x','status':'completed'," E "'subject':" P ",'code':" SNOMED(
            "71388002") ",'performedPeriod':{'start':'2025-07-08','_start':{'extension':[{'url':'http://hl7.org/fhir/"
                        "uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label','valueCoding':{"
                        "'system':'http://terminology.hl7.org/CodeSystem/v3-ActCode','code':'42CFRPart2'}}]},"
                        "'end':'2025-09-10'}}",
        {"'id':'x'"}, {"performedPeriod", "2025-07-08", "2025-09-10"}},
    {"what is said of a bound does not",
        "{'resourceType':'Procedure','id':'x','status':'completed'," E "'subject':" P
        ",'code':" SNOMED("71388002") ",'performedPeriod':{'start':'2025-07-08','_start':{'extension':[{'url':'urn:a',"
                                      "'valueReference':" HID "}]},'end':'2025-09-10'}}",
        {"'performedPeriod':{'start':'2025-07-08','end':'2025-09-10'}"}, {"CANARY", "hid", "_start"}},
    /* ---- Signatures, hashes, counts, narrative ---- */
    {"signatures go always",
        "{'resourceType':'VerificationResult','id':'x','status':'validated','attestation':{'proxySignature':" SIGNED
        "},'validator':[{'organization':{'reference':'Organization/pcp'},'attestationSignature':" SIGNED "}]}",
        {NULL}, {"SIGNED"}},
    {"an extension that is a signature goes always",
        "{'resourceType':'Procedure','id':'x','status':'completed'," E "'subject':" P
        ",'code':" SNOMED("71388002") ",'extension':[{'url':'urn:a','valueSignature':" SIGNED "}]}",
        {"'id':'x'"}, {"SIGNED", "urn:a"}},
    {"hashes and sizes over what may be segmented",
        "{'resourceType':'DocumentReference','id':'x','status':'current','type':" LOINC(
            "34133-9") ",'subject':" P ",'custodian':{'reference':'Organization/"
                       "pcp'},'content':[{'attachment':{'contentType':'application/xml',"
                       "'url':'Binary/none','hash':'HASHED','size':123456}},{'attachment':{'contentType':'text/"
                       "plain','data':'aGVsbG8=',"
                       "'hash':'KEPT','size':5}}]}",
        {"'id':'x'", "KEPT"}, {"HASHED", "123456"}},
    {"counts",
        "{'resourceType':'ImagingStudy','id':'x','status':'available'," E "'subject':" P
        ",'numberOfSeries':4711,'series':[{'uid':'1.2','modality':{'system':'http://dicom.nema.org/resources/"
        "ontology/DCM','code':'CT'},'numberOfInstances':4712}]}",
        {"'id':'x'", "'uid':'1.2'"}, {"4711", "4712"}},
    {"a document within that speaks of HIV comes back as it went",
        "{'resourceType':'DiagnosticReport','id':'x','status':'final'," E "'subject':" P
        ",'code':" LOINC("58410-2") ",'presentedForm':[{'contentType':'text/"
                                    "xml','data':'"
                                    "PENsaW5pY2FsRG9jdW1lbnQgeG1sbnM9InVybjpobDctb3JnOnYzIj48Y29tcG9uZW50PjxzdHJ1Y3R1cm"
                                    "VkQm9keT48Y29tcG9uZW50PjxzZWN0aW9uPjxlbnRyeT48b2JzZXJ2YXRpb24gY2xhc3NDb2RlPSJPQlMi"
                                    "IG1vb2RDb2RlPSJFVk4iPjxjb2RlIGNvZGU9IkIyMCIgY29kZVN5c3RlbT0iMi4xNi44NDAuMS4xMTM4OD"
                                    "MuNi45MCIvPjwvb2JzZXJ2YXRpb24+PC9lbnRyeT48L3NlY3Rpb24+PC9jb21wb25lbnQ+"
                                    "PC9zdHJ1Y3R1cmVkQm9keT48L2NvbXBvbmVudD48L0NsaW5pY2FsRG9jdW1lbnQ+'}]}",
        {"'id':'x'", "presentedForm"}, {NULL}},
    {"a numbered claim goes whole or not at all",
        "{'resourceType':'Claim','id':'x','status':'active','use':'claim','type':{'coding':[{'code':'professional'}]},"
        "'priority':{'coding':[{'code':'normal'}]},'created':'2026-01-01','provider':{'reference':'Organization/pcp'},"
        "'insurance':[{'sequence':1,'focal':true,'coverage':{'display':'c'}}],'patient':" P
        ",'diagnosis':[{'sequence':1,'diagnosisReference':" HID "},{'sequence':2,'diagnosisReference':" DM "}]}",
        {NULL}, {"'id':'x'"}},
};

/* ---- Instruments ---- */

#define PHQ9_ITEM(id, code) OBSERVATION(id, code, ",'valueInteger':2") "\n"
#define ANSWERS                                                                                                        \
    ",'component':[{'code':" LOINC("44250-9") ",'valueInteger':71},{'code':" LOINC(                                    \
        "44260-8") ",'valueInteger':72},"                                                                              \
                   "{'code':" LOINC("99999-9") ",'valueInteger':73},{'code':" LOINC("44261-6") ",'valueInteger':74}]"
#define FORM(id, questionnaire, first, second, total)                                                                  \
    "{'resourceType':'QuestionnaireResponse','id':'" id "','status':'completed'," E "'subject':" P                     \
    ",'questionnaire':'" questionnaire "','item':[{'linkId':'g','text':'group','item':[{'linkId':'" first              \
    "','answer':[{'valueInteger':71}]},{'linkId':'" second "','answer':[{'valueInteger':72}]}]},{'linkId':'" total     \
    "','text':'total score','answer':[{'valueDecimal':74}]}]}"

/* The health plan, with the patient's authorization: mental health, and no answer of a scored questionnaire. */
static const struct cut_case plan[] = {
    {"answers go, all of them, and the total stays", OBSERVATION("x", "44249-1", ANSWERS),
        {"'id':'x'", "'valueInteger':74", "44261-6"}, {"71", "72", "73", "44260-8", "99999-9"}},
    {"each answer that stands by itself, and the panel without them",
        PHQ9_ITEM("a1", "44250-9") PHQ9_ITEM("a9", "44260-8") OBSERVATION("t", "44261-6",
            ",'valueInteger':9,'derivedFrom':[{'reference':'Observation/a1'},{'reference':'Observation/"
            "a9'}]") "\n" OBSERVATION("x", "44249-1",
            ",'hasMember':[{'reference':'Observation/a1'},{'reference':'Observation/"
            "a9'},{'reference':'Observation/t'}]"),
        {"'id':'t'", "'id':'x'", "'hasMember':[{'reference':'Observation/t'}]"},
        {"'id':'a1'", "'id':'a9'", "Observation/a1", "derivedFrom"}},
    {"a form by its name", FORM("x", "http://example.org/Questionnaire/PHQ-9|2", "q1", "q2", "/44261-6"),
        {"'id':'x'", "'valueDecimal':74"}, {"71", "72", "group"}},
    {"a form by its panel's code", FORM("x", "http://loinc.org/q/44249-1", "q1", "q2", "/44249-1/44261-6"),
        {"'id':'x'", "'valueDecimal':74"}, {"71", "72", "group"}},
    {"a form by its questions' codes", FORM("x", "urn:f", "/44250-9", "/44260-8", "/44261-6"),
        {"'id':'x'", "'valueDecimal':74"}, {"71", "72", "group"}},
    {"a form of which nobody knows whether it is scored, and in which nothing is sensitive",
        FORM("x", "urn:f", "q1", "q2", "q3"), {"'id':'x'", "71", "72", "74"}, {NULL}},
    {"a blood pressure is no questionnaire",
        OBSERVATION("x", "85354-9",
            ",'component':[{'code':" LOINC("8480-6") ",'valueInteger':71},{'code':" LOINC(
                "8462-4") ",'valueInteger':72}]"),
        {"'id':'x'", "71", "72"}, {NULL}},
};

/* An AI agent: the ordinary coded record, no words, no mental health. */
static const struct cut_case agent[] = {
    {"a total is judged by its own code", OBSERVATION("x", "85354-9", ANSWERS), {"'id':'x'"}, {"71", "72", "73", "74"}},
    {"a panel that is no questionnaire loses what is sensitive, and that alone",
        OBSERVATION("x", "85354-9",
            ",'component':[{'code':" LOINC("8480-6") ",'valueString':'WORDS'},{'code':" LOINC(
                "8462-4") ",'valueInteger':72},{'code':" LOINC("94023-9") ",'valueInteger':73}]"),
        {"'id':'x'", "72", "8480-6"}, {"73", "94023-9", "WORDS"}},
    {"unless a number stands beside it that may be their sum",
        OBSERVATION("x", "85354-9",
            ",'valueInteger':74,'component':[{'code':" LOINC("8462-4") ",'valueInteger':72},{'code':" LOINC(
                "94023-9") ",'valueInteger':73}]"),
        {"'id':'x'", "74"}, {"72", "73", "component"}},
    {"a form with one sensitive answer and what may be a total loses all answers",
        FORM("x", "urn:f", "q1", "/94023-9", "q3"), {"'id':'x'"}, {"71", "72", "74", "item"}},
    {"yes to a question says what was asked",
        "{'resourceType':'QuestionnaireResponse','id':'x','status':'completed'," E "'subject':" P
        ",'item':[{'linkId':'1','text':'Do you use heroin?','answer':[{'valueBoolean':true}]},"
        "{'linkId':'2','text':'Do you own a cat?','answer':[{'valueBoolean':true}]}]}",
        {"'id':'x'", "cat"}, {"heroin"}},
    {"and of a form with what may be a total, all answers go",
        "{'resourceType':'QuestionnaireResponse','id':'x','status':'completed'," E "'subject':" P
        ",'item':[{'linkId':'1','text':'Do you use heroin?','answer':[{'valueBoolean':true}]},{'linkId':'2','text':"
        "'Do you own a cat?','answer':[{'valueBoolean':true}]},{'linkId':'3','text':'Total','answer':[{"
        "'valueInteger':74}]}]}",
        {"'id':'x'"}, {"heroin", "cat", "74"}},
    {"a code without a system in an extension",
        "{'resourceType':'Procedure','id':'x','status':'completed'," E "'subject':" P
        ",'code':" SNOMED("71388002") ",'extension':[{'url':'urn:a','valueCode':'F11.20'},{'url':'urn:b','valueCode':"
                                      "'M'}]}",
        {"'id':'x'", "'extension':[{'url':'urn:b','valueCode':'M'}]"}, {"F11.20", "urn:a"}},
    {"a section of nothing but words",
        "{'resourceType':'CarePlan','id':'x','status':'active','intent':'plan'," E "'subject':" P
        ",'text':" DIV("WORDS") ",'note':[{'text':'WORDS'}]}",
        {"'id':'x'"}, {"WORDS", "note", "'text'"}},
};

/* Registration: who and when, and no words. */
#define LABEL                                                                                                          \
    "'extension':[{'url':'http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label'," \
    "'valueCoding':{'system':'http://terminology.hl7.org/CodeSystem/v3-ActCode','code':'PSY'}}]"
#define SECRET "{" LABEL "}"
#define PATIENT(rest) "{'resourceType':'Patient','id':'x','identifier':[{'system':'urn:n','value':'1'}]" rest "}"

/* What changes the meaning of the rest goes with it: a label of its own, a code, a reference that is withheld. */
static const struct cut_case modifiers[] = {
    {"an order not to", /* and one whose 'not' is anybody's */
        "{'resourceType':'ServiceRequest','id':'x','status':'active','intent':'order','subject':" P
        ",'doNotPerform':true,'_doNotPerform':" SECRET ",'code':{'text':'CANARY'}}\n"
        "{'resourceType':'ServiceRequest','id':'y','status':'active','intent':'order','subject':" P
        ",'doNotPerform':true,'_priority':" SECRET ",'priority':'asap'}",
        {"'id':'y'", "'doNotPerform':true"}, {"CANARY", "'id':'x'", "asap"}},
    {"an allergy that was refuted",
        "{'resourceType':'AllergyIntolerance','id':'x','patient':" P
        ",'code':{'text':'CANARY'},'verificationStatus':{'coding':[{'system':'http://terminology.hl7.org/CodeSystem/"
        "allergyintolerance-verification','code':'refuted'}]," LABEL "}}",
        {"'id':'dm'"}, {"CANARY", "'id':'x'"}},
    {"one of two codes that say so",
        "{'resourceType':'Condition','id':'x','subject':" P
        ",'code':{'text':'CANARY'},'verificationStatus':{'coding':[{'system':'urn:v','code':'refuted'},{'system':'http:"
        "//hl7.org/fhir/sid/icd-10-cm','code':'F20.0'}],'text':'as said'}}",
        {"'id':'dm'"}, {"CANARY", "'id':'x'"}},
    {"a number that is less than it says: the result goes, a component that has one goes alone",
        "{'resourceType':'Observation','id':'x','status':'final','code':" LOINC(
            "2345-7") ",'subject':" P ",'valueQuantity':{'value':5,'comparator':'<','_comparator':" SECRET "}}\n"
                      "{'resourceType':'Observation','id':'y','status':'final','code':" LOINC(
                          "85354-9") ",'subject':" P ",'referenceRange':[{'low':{'value':55},'text':'STAYS'}],'"
                                     "valueRange':{'low':{'value':77}},'component':[{'code'"
                                     ":" LOINC(
                                         "8480-6") ",'valueQuantity':{'value':66,'comparator':'<','_comparator':" SECRET
                                                   "}}]}",
        {"'id':'x'", "'id':'y'", "STAYS", "77"}, {"'value':5,", "66", "comparator"}},
    {"a name that is of old", PATIENT(",'name':[{'family':'CANARY','use':'old','_use':" SECRET "},{'family':'NOW'}]"),
        {"'id':'x'", "NOW"}, {"CANARY"}},
    {"that a record has been replaced",
        PATIENT(",'link':[{" LABEL ",'other':{'display':'CANARY'},'type':'replaced-by'}]"), {"'id':'dm'"},
        {"CANARY", "'id':'x'"}},
    {"that a record has been replaced, where it says besides that it is not in use",
        PATIENT(",'active':false,'link':[{" LABEL ",'other':{'display':'CANARY'},'type':'replaced-by'}]"),
        {"'id':'x'", "false"}, {"CANARY", "link"}},
    {"another link", PATIENT(",'link':[{" LABEL ",'other':{'display':'CANARY'},'type':'seealso'}]"), {"'id':'x'"},
        {"CANARY", "link"}},
    {"what the record was made by",
        "{'resourceType':'Condition','id':'x','subject':" P ",'implicitRules':'urn:rules','_implicitRules':" SECRET
        ",'code':{'text':'CANARY'}}",
        {"'id':'dm'"}, {"CANARY"}},
    {"an entry that was deleted",
        "{'resourceType':'List','id':'x','status':'current','mode':'changes','subject':" P ",'entry':[{'deleted':true,"
        "'_deleted':" SECRET ",'item':" DM "},{'item':{'display':'STAYS'}}]}",
        {"'entry':[{'item':{'display':'STAYS'}}]"}, {"Condition/dm'}}]"}},
    {"by what a record is known, asked for and put in order: its id, when it was changed, and meta as a whole",
        "{'resourceType':'Condition','id':'x','_id':" SECRET ",'subject':" P
        ",'code':{'text':'CANARY'}}\n{'resourceType':'Condition','id':'y','subject':" P
        ",'meta':{'lastUpdated':'2025-01-01T00:00:00Z','_lastUpdated':" SECRET
        "}}\n{'resourceType':'Condition','id':'z','subject':" P ",'meta':{'lastUpdated':'2025-01-01T00:00:00Z'," LABEL
        "}}\n{'resourceType':'Condition','id':'tagged','subject':" P
        ",'meta':{'lastUpdated':'2025-02-02T00:00:00Z','tag':[{" LABEL ",'code':'SECRET'}]}}",
        {"'id':'dm'", "'id':'tagged'", "2025-02-02"}, {"CANARY", "'id':'x'", "'id':'y'", "'id':'z'", "SECRET"}},
    {"a dose that is to be taken as needed, or at most so often: the dose goes, and what is ordered stays",
        "{'resourceType':'MedicationRequest','id':'x','status':'active','intent':'order','subject':" P
        ",'medicationCodeableConcept':{'text':'STAYS'},'dosageInstruction':[{'text':'CANARY','asNeededBoolean':true,"
        "'_asNeededBoolean':" SECRET "},{'text':'CANARY','maxDosePerPeriod':{" LABEL ",'numerator':{'value':4}}},"
        "{'sequence':7}]}",
        {"STAYS", "'dosageInstruction':[{'sequence':7}]"}, {"CANARY", "asNeeded", "maxDose"}},
    {"what is to be done as needed alone",
        "{'resourceType':'ServiceRequest','id':'x','status':'active','intent':'order','subject':" P
        ",'code':{'text':'CANARY'},'asNeededBoolean':true,'_asNeededBoolean':" SECRET "}",
        {"'id':'dm'"}, {"CANARY", "'id':'x'"}},
    {"what stands contained",
        "{'resourceType':'Task','id':'x','status':'requested','intent':'order','for':" P
        ",'basedOn':[{'reference':'#c'}],'contained':[{'resourceType':'ServiceRequest','id':'c','status':'active','"
        "intent':"
        "'order','subject':" P ",'doNotPerform':true,'_doNotPerform':" SECRET ",'code':{'text':'CANARY'}}]}",
        {"'id':'x'"}, {"CANARY", "'#c'"}},
};

static const struct cut_case desk[] = {
    {"a place among those who may be patients, by its words",
        "{'resourceType':'Appointment','id':'x','status':'booked','participant':[{'actor':" P
        ",'status':'accepted'},{'actor':{'reference':'Location/none','display':'Methadone clinic'},'status':'accepted'"
        "},{'actor':{'display':'Suboxone clinic'},'status':'accepted'},{'actor':{'display':'Room 5'},'status':"
        "'accepted'}]}",
        {"'id':'x'", "Room 5"}, {"Methadone", "Suboxone", "Location/none"}},
};

/* ---- Running ---- */

static char *quoted(const char *text)
{
    char *out = strdup(text);
    for (char *c = out; *c; c++)
        if (*c == '\'')
            *c = '"';
    return out;
}

static bool holds(const char *text, const char *words)
{
    char *quotes = quoted(words);
    bool found = strstr(text, quotes) != NULL;
    free(quotes);
    return found;
}

/* The text without what segmentation puts in, so that a case can name what stands side by side. */
static void drop_meta(char *text)
{
    for (char *at; (at = strstr(text, ",\"meta\":{\"security\":")) != NULL;) {
        unsigned depth = 0;
        char *end = at + 1;
        do {
            depth += *end == '{';
            depth -= *end == '}';
            end++;
        } while (depth || end[-1] != '}');
        memmove(at, end, strlen(end) + 1);
    }
}

static char *released(const struct cut_case *c, const char *consents, const char *party, const char *purpose)
{
    struct sl_segment_report report;
    size_t size = sizeof WORLD + strlen(c->record) + 1;
    char *records = malloc(size);
    snprintf(records, size, "%s%s", WORLD, c->record);
    char *text = quoted(records), *out = segmented(text, consents, party, purpose, &report);
    free(records);
    free(text);
    return out;
}

static void check(
    const struct cut_case *cases, size_t count, const char *consents, const char *party, const char *purpose)
{
    for (size_t i = 0; i < count; i++) {
        char *out = released(&cases[i], consents, party, purpose);
        size_t len = strlen(out);
        if (len)
            out[len - 1] = '\0';
        struct sl_segment_report report;
        char *again = segmented(out, consents, party, purpose, &report);
        if (len)
            out[len - 1] = '\n';
        if (strcmp(again, out) != 0)
            fail_msg("%s: segmented again, it is: %s and was: %s", cases[i].name, again, out);
        drop_meta(out);
        for (size_t w = 0; w < 8 && cases[i].present[w]; w++)
            if (!holds(out, cases[i].present[w]))
                fail_msg("%s: %s is missing in: %s", cases[i].name, cases[i].present[w], out);
        for (size_t w = 0; w < 8 && cases[i].absent[w]; w++)
            if (holds(out, cases[i].absent[w]))
                fail_msg("%s: %s is in: %s", cases[i].name, cases[i].absent[w], out);
        free(again);
        free(out);
    }
}

#define COUNT(list) (sizeof list / sizeof *list)

static void test_treating(void **state)
{
    (void)state;
    check(treating, COUNT(treating), "", "treating-provider", "TREAT");
}

#define AUTHORIZATION                                                                                                  \
    "{'resourceType':'Consent','id':'c','status':'active','scope':{'coding':[{'system':'http://terminology.hl7.org/"   \
    "CodeSystem/consentscope','code':'patient-privacy'}]},'category':[{'coding':[{'system':'http://"                   \
    "terminology.hl7.org/"                                                                                             \
    "CodeSystem/v3-ActCode','code':'IDSCL'}]}],'patient':{'reference':'Patient/"                                       \
    "p'},'dateTime':'2026-01-01','performer':"                                                                         \
    "[{'reference':'Patient/p'}],'sourceReference':{'display':'form'},'policy':[{'uri':'urn:sluice:form:"              \
    "hipaa-authorization'}],'provision':{'type':'permit','period':{'start':'2026-01-01'}}}"

static void test_plan(void **state)
{
    (void)state;
    char *consent = quoted(AUTHORIZATION);
    check(plan, COUNT(plan), consent, "health-plan", "HPAYMT");
    free(consent);
}

static void test_modifiers(void **state)
{
    (void)state;
    check(modifiers, COUNT(modifiers), "", "hie-partner", "TREAT");
}

static void test_agent(void **state)
{
    (void)state;
    check(agent, COUNT(agent), "", "ai-agent", "TREAT");
    check(desk, COUNT(desk), "", "front-desk", "HOPERAT");
}

/* ---- Several patients ---- */

#define Q "{'reference':'Patient/q'}"
#define DENIAL                                                                                                         \
    "{'resourceType':'Consent','id':'no','status':'active','scope':{'coding':[{'system':'http://terminology.hl7.org/"  \
    "CodeSystem/consentscope','code':'patient-privacy'}]},'category':[{'coding':[{'system':'http://loinc.org','code':" \
    "'59284-0'}]}],'patient':{'reference':'Patient/q'},'dateTime':'2026-01-01','performer':[{'reference':'Patient/"    \
    "q'}],"                                                                                                            \
    "'sourceReference':{'display':'form'},'policy':[{'uri':'urn:x'}],'provision':{'type':'deny'}}"

/* Of q, who denies everything, nothing goes; of p, who does not, what is true without q. */
static const struct cut_case two[] = {
    {"a participant",
        "{'resourceType':'Appointment','id':'x','status':'booked','participant':[{'actor':" Q
        ",'type':[{'text':'CANARY'}],'status':'accepted'},{'actor':" P ",'status':'accepted'}]}",
        {"'participant':[{'actor':{'reference':'Patient/p'},'status':'accepted'}]"}, {"Patient/q", "CANARY"}},
    {"the only participant",
        "{'resourceType':'Appointment','id':'x','status':'booked','participant':[{'actor':" Q ",'status':'accepted'}]}",
        {NULL}, {"'id':'x'", "Patient/q"}},
    {"a member",
        "{'resourceType':'Group','id':'x','type':'person','actual':true,'quantity':4711,'member':[{'entity':" Q
        "},{'entity':" P "}]}",
        {"'member':[{'entity':{'reference':'Patient/p'}}]"}, {"Patient/q", "4711"}},
    {"an entry of a list",
        "{'resourceType':'List','id':'x','status':'current','mode':'working'," E "'subject':" P ",'entry':[{'item':" Q
        "},{'item':" P "}]}",
        {"'entry':[{'item':{'reference':'Patient/p'}}]"}, {"Patient/q"}},
    {"who looked at what",
        "{'resourceType':'Provenance','id':'x','target':[" Q "," DM
        "],'recorded':'2026-01-01T00:00:00Z','agent':[{'who':{'reference':'Organization/pcp'}}]}",
        {"'target':[{'reference':'Condition/dm'}]"}, {"Patient/q"}},
    {"targets of both",
        "{'resourceType':'Condition','id':'cq'," E "'code':" DIABETES ",'subject':" Q
        "}\n{'resourceType':'Provenance','id':'x','target':[{'reference':'Condition/cq'}," DM
        "],'recorded':'2026-01-01T00:00:00Z','agent':[{'who':{'reference':'Organization/pcp'}}]}",
        {"'target':[{'reference':'Condition/dm'}]"}, {"Condition/cq", "'id':'cq'"}},
    {"whose coverage it is, and who pays",
        "{'resourceType':'Coverage','id':'x','status':'active','subscriber':" Q ",'subscriberId':'7','beneficiary':" P
        ",'payor':[{'reference':'Organization/pcp'}]}",
        {"'id':'x'", "'subscriberId':'7'"}, {"Patient/q"}},
    {"who said so",
        "{'resourceType':'Observation','id':'x','status':'final'," E "'subject':" P ",'performer':[" Q
        "],'code':" LOINC("8480-6") "}",
        {"'id':'x'"}, {"Patient/q", "performer"}},
    {"of whom it is really",
        "{'resourceType':'Observation','id':'x','status':'final'," E "'subject':" P ",'focus':[" Q
        "],'code':" LOINC("8480-6") "}",
        {NULL}, {"'id':'x'", "Patient/q"}},
    {"an account of both is of both", "{'resourceType':'Account','id':'x','status':'active','subject':[" P "," Q "]}",
        {NULL}, {"'id':'x'"}},
};

static void test_two(void **state)
{
    (void)state;
    char *consent = quoted(DENIAL);
    check(two, COUNT(two), consent, "treating-provider", "TREAT");
    free(consent);
}

static const char *const lines[] = {"{'resourceType':'Organization','id':'pcp'}", "{'resourceType':'Patient','id':'q'}",
    "{'resourceType':'Patient','id':'p'}", "{'resourceType':'Condition','id':'dp','code':" DIABETES ",'subject':" P "}",
    "{'resourceType':'Condition','id':'dq','code':" DIABETES ",'subject':" Q "}",
    "{'resourceType':'Appointment','id':'x','status':'booked','participant':[{'actor':" Q
    ",'status':'accepted'},{'actor':" P ",'status':'accepted'}]}"};

static int order_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines that go out, in one order. */
static char *sorted(char *text)
{
    char *found[COUNT(lines)], *out = calloc(1, strlen(text) + 2);
    size_t count = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        found[count++] = line;
    qsort(found, count, sizeof *found, order_texts);
    for (size_t i = 0; i < count; i++) {
        strcat(out, found[i]);
        strcat(out, "\n");
    }
    return out;
}

/* [Organization, a patient who denies, one who does not, and what is theirs] gives the same in every order. */
static void test_orders(void **state)
{
    (void)state;
    char *consent = quoted(DENIAL), *first = NULL;
    for (unsigned order = 0; order < 720; order++) {
        char records[4096] = "";
        bool used[COUNT(lines)] = {false};
        for (size_t place = 0, rest = order; place < COUNT(lines); place++) {
            size_t pick = rest % (COUNT(lines) - place), k = 0;
            rest /= COUNT(lines) - place;
            for (; used[k] || pick; k++)
                pick -= !used[k];
            used[k] = true;
            strcat(strcat(records, place ? "\n" : ""), lines[k]);
        }
        struct sl_segment_report report;
        char *text = quoted(records), *out = segmented(text, consent, "treating-provider", "TREAT", &report);
        char *set = sorted(out);
        if (!first) {
            assert_true(holds(set, "'id':'p'") && holds(set, "'id':'dp'") && holds(set, "'id':'pcp'") &&
                        holds(set, "'id':'x'"));
            assert_false(holds(set, "Patient/q") || holds(set, "'id':'q'") || holds(set, "'id':'dq'"));
            first = strdup(set);
        }
        assert_string_equal(set, first);
        free(set);
        free(out);
        free(text);
    }
    free(first);
    free(consent);
}

/* Answers of one instrument stand in the same categories, so that none of them goes alone. */
static void test_instruments(void **state)
{
    (void)state;
    static const char *const instruments[][12] = {
        {"44250-9", "44251-7", "44252-5", "44253-3", "44254-1", "44255-8", "44258-2", "44259-0", "44260-8", "69722-7"},
        {"69725-0", "68509-9", "69733-4", "69734-2", "69735-9", "69689-8", "69736-7"},
        {"68517-2", "68518-0", "68519-8", "68520-6"},
        {"96842-0", "88037-7", "75889-6", "96843-8", "96844-6"},
        {"93246-7", "93247-5", "93248-3", "93249-1", "93250-9", "93267-3", "93269-9"},
        {"76500-8", "76501-6", "76502-4", "76503-2"},
    };
    const struct sl_terminology *t = sl_policy_earning(policy)->terminology;
    for (size_t i = 0; i < COUNT(instruments); i++) {
        struct sl_classes first = {{0}};
        for (size_t k = 0; k < 12 && instruments[i][k]; k++) {
            struct sl_code_hit hits[SL_CODE_HITS];
            struct sl_classes categories = {{0}};
            size_t count =
                sl_terminology_find(t, SL_LIT("http://loinc.org"), sl_slice_of(instruments[i][k]), hits, SL_CODE_HITS);
            for (size_t h = 0; h < count; h++)
                sl_classes_add(&categories, hits[h].category * 2u + hits[h].weak);
            assert_true(sl_classes_has(&categories, sl_terminology_category_find(t, SL_LIT("SCREEN_ITEM")) * 2u));
            if (k && memcmp(&first, &categories, sizeof first) != 0)
                fail_msg("%s is not as %s", instruments[i][k], instruments[i][0]);
            first = categories;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_treating),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_agent),
        cmocka_unit_test(test_modifiers),
        cmocka_unit_test(test_two),
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_instruments),
    };
    return cmocka_run_group_tests(tests, load_policy, unload_policy);
}
