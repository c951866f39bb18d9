/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What words earn, and where: beside codes, in free text, in attachments; and what cannot be read, of a source nobody
 * knows. Classes are letters: o ordinary, S substance use by code, w weak evidence, m mental health by code, h HIV by
 * code, v violence by code, c Part 2 candidate of unknown source, t free text, u unread, x unclassified; and by words a
 * substance use, b mental health, d denied, f family, e any other topic; ? unread of unknown origin. JSON is written
 * with single quotes, for the eye.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "earning_fixture.h"
#include "lexicon_fixture.h"
#include "sluice/path.h"

enum { BY_SUBSTANCE = CLASSES, BY_MENTAL, BY_OTHER, BY_DENIAL, BY_FAMILY, DOUBT, ALL };

static struct earning_fixture shared;

static const char *letters(const struct sl_classes *classes)
{
    static const char more[] = "abedf?";
    static char text[4][SL_CLASS_LIMIT];
    static unsigned turn;
    char *out = text[turn++ % 4];
    size_t len = 0;
    for (unsigned bit = 0; bit < ALL; bit++)
        if (sl_classes_has(classes, bit))
            out[len++] = bit < CLASSES ? class_letters[bit] : more[bit - CLASSES];
    out[len] = '\0';
    return out;
}

#define SCT(code, display) "{'coding':[{'system':'http://snomed.info/sct','code':'" code "','display':'" display "'}]}"
#define CODED(code, display, text)                                                                                     \
    "{'coding':[{'system':'http://snomed.info/sct','code':'" code "','display':'" display "'}],'text':'" text "'}"
#define BP "{'coding':[{'system':'http://loinc.org','code':'8480-6','display':'Systolic blood pressure'}]}"
#define DOCUMENT(attachment)                                                                                           \
    "{'resourceType':'DocumentReference','id':'d','content':[{'attachment':" attachment                                \
    "},{'attachment':{'title':'x'}}]}"

static const struct {
    const char *name, *json, *classes, *parts;
} cases[] = {
    {"words beside a code that nobody judged say what the record is",
        "{'resourceType':'Condition','code':" SCT("99999999", "Opioid abuse") "}", "oxa", ""},
    {"a judged code has said it", "{'resourceType':'Condition','code':" SCT("5602001", "Opioid abuse (disorder)") "}",
        "oSc", ""},
    {"and so has the text that repeats its display",
        "{'resourceType':'Condition','code':" CODED("5602001", "Opioid abuse (disorder)", "Opioid abuse") "}", "oSc",
        ""},
    {"not a text that says more",
        "{'resourceType':'Condition','code':" CODED("5602001", "Opioid abuse", "opioid abuse and major depression") "}",
        "oScab", ""},
    {"a screening judged as weak evidence does not hide the visit",
        "{'resourceType':'Encounter','type':[" CODED(
            "171207006", "Depression screening", "Depression screening (procedure)") "]}",
        NULL, ""},
    {"a reason in words is cut alone", "{'resourceType':'Encounter','reasonCode':[{'text':'alcohol withdrawal'}]}", "o",
        "Encounter.reasonCode[0]=a"},
    {"a value in words says what was observed",
        "{'resourceType':'Observation','code':" BP ",'valueCodeableConcept':{'text':'depressed mood'}}", "ob", ""},
    {"a display of a reference",
        "{'resourceType':'Encounter','reasonReference':[{'reference':'#c','display':'Heroin "
        "dependence'}]}",
        "o", "Encounter.reasonReference[0]=a"},
    {"a person's name is a name",
        "{'resourceType':'Encounter','participant':[{'individual':{'reference':'Practitioner/1',"
        "'display':'Dr. Heroin Crack'}}]}",
        "o", ""},
    {"but what a practitioner does is words",
        "{'resourceType':'Encounter','participant':[{'individual':{'reference':'Practitioner/1',"
        "'display':'Roe, addiction counselor'}}]}",
        "o", "Encounter.participant[0]=a"},
    {"a place's name is words",
        "{'resourceType':'Encounter','serviceProvider':{'display':'South Bay Mental Health "
        "Center'}}",
        "o", "Encounter.serviceProvider=b"},
    {"a note", "{'resourceType':'Condition','code':" BP ",'note':[{'text':'Relapsed on heroin.'}]}", "o",
        "Condition.note[0].text=ta"},
    {"a note that denies", "{'resourceType':'Condition','code':" BP ",'note':[{'text':'Denies alcohol.'}]}", "o",
        "Condition.note[0].text=td"},
    {"a note about the family",
        "{'resourceType':'Condition','code':" BP ",'note':[{'text':'Father had schizophrenia.'}]}", "o",
        "Condition.note[0].text=tf"},
    {"a note of nothing", "{'resourceType':'Condition','code':" BP ",'note':[{'text':'Doing well.'}]}", "o",
        "Condition.note[0].text=t"},
    {"an escaped note", "{'resourceType':'Condition','code':" BP ",'note':[{'text':'her\\u006fin'}]}", "o",
        "Condition.note[0].text=ta"},
    {"narrative",
        "{'resourceType':'Condition','text':{'status':'generated','div':'<div>her<b>oin</b></div>'},'code':" BP "}",
        "o", "Condition.text=ta"},
    {"a conclusion", "{'resourceType':'DiagnosticReport','code':" BP ",'conclusion':'HIV positive'}", "o",
        "DiagnosticReport.conclusion=te"},
    {"the name of a plan of care", "{'resourceType':'CarePlan','title':'Alcohol rehabilitation'}", "o",
        "CarePlan.title=a"},
    {"the title of a document is the document's", "{'resourceType':'Composition','title':'Psychiatric evaluation'}",
        NULL, ""},
    {"a question is asked of all",
        "{'resourceType':'QuestionnaireResponse','status':'completed','item':[{'linkId':'1',"
        "'text':'Do you drink alcohol?'}]}",
        "o", ""},
    {"but answered by one",
        "{'resourceType':'QuestionnaireResponse','status':'completed','item':[{'linkId':'1',"
        "'text':'Do you drink alcohol?','answer':[{'valueBoolean':true}]}]}",
        "o", "QuestionnaireResponse.item[0]=a"},
    {"an answer is not",
        "{'resourceType':'QuestionnaireResponse','status':'completed','item':[{'linkId':'1','answer':"
        "[{'valueString':'vodka every night'}]}]}",
        "o", "QuestionnaireResponse.item[0].answer[0].valueString=ta"},
    {"a claim goes whole or not at all",
        "{'resourceType':'Claim','item':[{'productOrService':{'text':'Alcohol "
        "detoxification'}}]}",
        NULL, ""},
    {"a directory is about nobody", "{'resourceType':'HealthcareService','comment':'Opioid treatment program'}", NULL,
        ""},
    {"an extension goes with what it says",
        "{'resourceType':'Patient','extension':[{'url':'http://x','valueString':'heroin "
        "user'}]}",
        "o", "Patient.extension[0]=a"},
    {"an attachment of text", DOCUMENT("{'contentType':'text/plain','data':'UmVsYXBzZWQgb24gaGVyb2luLg=='}"), "o",
        "DocumentReference.content[0].attachment=ta"},
    {"an attachment of rich text", DOCUMENT("{'contentType':'text/rtf','data':'e1xydGYxIGhlclxiIG9pbn0='}"), "o",
        "DocumentReference.content[0].attachment=ta"},
    {"an attachment of a page with a picture",
        DOCUMENT("{'contentType':'text/html','data':'PGltZyBzcmM9ImRhdGE6aW1hZ2UvcG5nLEFBIi8+'}"), "o",
        "DocumentReference.content[0].attachment=tu?"},
    {"an attachment that is said to be text", DOCUMENT("{'contentType':'text/plain','data':'JVBERi0xLjc='}"), "o",
        "DocumentReference.content[0].attachment=u?"},
    {"one that cannot be read is what its title says",
        DOCUMENT("{'contentType':'application/pdf','title':'Methadone clinic letter','data':'JVBERi0xLjc='}"), "o",
        "DocumentReference.content[0].attachment=ua?"},
    {"what cannot be read, of a known source",
        "{'resourceType':'DocumentReference','custodian':{'reference':"
        "'Organization/o'},'content':[{'attachment':{'data':'JVBERi0xLjc='}},{'attachment':{'title':'x'}}]}",
        "o", "DocumentReference.content[0].attachment=u"},
};

static const char *parts_of(const struct sl_item *item, struct sl_arena *arena)
{
    static char text[4096];
    size_t len = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < item->part_count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s=%s", i ? " " : "",
            sl_span_path(item->doc, item->span, item->parts[i].span, arena).ptr, letters(&item->parts[i].classes));
    return text;
}

static struct sl_item *add(struct sl_arena *arena, struct sl_labeller *labeller, const char *json)
{
    size_t len = strlen(json);
    char *text = sl_arena_raw(arena, len + 1, 1);
    struct sl_doc *doc = sl_arena_alloc(arena, sizeof *doc);
    struct sl_doc_error error = {0};
    struct sl_item *item = NULL;
    assert_non_null(text);
    assert_non_null(doc);
    for (size_t i = 0; i <= len; i++)
        text[i] = json[i] == '\'' ? '"' : json[i];
    if (sl_doc_parse(arena, (struct sl_slice){text, len}, NULL, doc, &error) != SL_OK)
        fail_msg("%s at %zu: %s", error.why, error.offset, json);
    assert_int_equal(sl_labeller_add(labeller, doc, 0, (struct sl_slice){NULL, 0}, false, &item), SL_OK);
    return item;
}

static void settle(struct sl_labeller *labeller)
{
    struct sl_slice *missing;
    size_t count = 1;
    for (unsigned round = 0; count; round++) {
        assert_true(round < 8);
        assert_int_equal(sl_labeller_resolve(labeller, &missing, &count), SL_OK);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(sl_labeller_absent(labeller, missing[i], true), SL_OK);
    }
}

static void places(void **state)
{
    unsigned wrong = 0;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_arena *arena = sl_arena_new((size_t)64 << 20);
        struct sl_programs *programs = sl_programs_new(false);
        assert_int_equal(sl_programs_add(programs, SL_LIT("Organization/o"), SL_SOURCE_NOT), SL_OK);
        struct sl_labeller *labeller = sl_labeller_new_earning(arena, &shared.earning, programs);
        struct sl_item *item = add(arena, labeller, cases[i].json);
        settle(labeller);
        bool same = !cases[i].classes || strcmp(letters(&item->classes), cases[i].classes) == 0;
        if (!same || strcmp(parts_of(item, arena), cases[i].parts) != 0) {
            print_error("%s: %s with %s\n", cases[i].name, letters(&item->classes), parts_of(item, arena));
            wrong++;
        }
        sl_programs_unref(programs);
        sl_arena_free(arena);
    }
    assert_int_equal(wrong, 0);
}

/* The whole of a document, by its title; of a claim, by one line; a screening that is judged, by nothing. */
static void wholes(void **state)
{
    static const struct {
        const char *json;
        bool mental, substance;
    } whole[] = {{"{'resourceType':'Composition','title':'Psychiatric evaluation'}", true, false},
        {"{'resourceType':'DocumentReference','description':'Detox summary, alcohol'}", false, true},
        {"{'resourceType':'Claim','item':[{'productOrService':{'text':'Alcohol detoxification'}}]}", false, true},
        {"{'resourceType':'HealthcareService','comment':'Opioid treatment program'}", false, false},
        {"{'resourceType':'Encounter','type':[" CODED(
             "171207006", "Depression screening", "Depression screening (procedure)") "]}",
            false, false}};
    (void)state;
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        struct sl_arena *arena = sl_arena_new((size_t)64 << 20);
        struct sl_labeller *labeller = sl_labeller_new_earning(arena, &shared.earning, NULL);
        struct sl_item *item = add(arena, labeller, whole[i].json);
        settle(labeller);
        if (sl_classes_has(&item->classes, BY_MENTAL) != whole[i].mental ||
            sl_classes_has(&item->classes, BY_SUBSTANCE) != whole[i].substance)
            fail_msg("%s: %s", whole[i].json, letters(&item->classes));
        sl_arena_free(arena);
    }
}

/* The same words a thousand times, and as many others between, earn the same each time. */
static void remembered(void **state)
{
    struct sl_arena *arena = sl_arena_new((size_t)256 << 20);
    struct sl_labeller *labeller = sl_labeller_new_earning(arena, &shared.earning, NULL);
    struct sl_item *items[2000];
    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        struct sl_slice json = sl_arena_printf(arena,
            i % 2 ? "{'resourceType':'Encounter','reasonCode':[{'text':'alcohol "
                    "withdrawal'}]}"
                  : "{'resourceType':'Encounter','reasonCode':[{'text':'visit %u'}]}",
            i);
        items[i] = add(arena, labeller, json.ptr);
    }
    settle(labeller);
    for (unsigned i = 0; i < 2000; i++)
        assert_string_equal(parts_of(items[i], arena), i % 2 ? "Encounter.reasonCode[0]=a" : "");
    sl_arena_free(arena);
}

static int make(void **state)
{
    static const unsigned bits[SL_MENTIONS] = {
        BY_SUBSTANCE, BY_MENTAL, BY_OTHER, BY_OTHER, BY_OTHER, BY_OTHER, BY_OTHER, BY_DENIAL, BY_FAMILY};
    (void)state;
    struct sl_arena *arena = sl_arena_new((size_t)64 << 20);
    struct sl_words *words = arena && earning_setup(&shared) ? lexicon_load(arena) : NULL;
    shared.earning.words = words;
    for (unsigned i = 0; i < SL_MENTIONS; i++)
        sl_classes_add(&shared.earning.by_mention[i], bits[i]);
    sl_classes_add(&shared.earning.unread_unknown, DOUBT);
    sl_arena_free(arena);
    return words == NULL;
}

static int unmake(void **state)
{
    (void)state;
    sl_words_free((struct sl_words *)(uintptr_t)shared.earning.words);
    earning_teardown(&shared);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places), cmocka_unit_test(wholes), cmocka_unit_test(remembered)};
    return cmocka_run_group_tests(tests, make, unmake);
}
