/* SPDX-License-Identifier: Apache-2.0 */
/* Does a search read, match and write as FHIR R4 says, refuse what it does not know, and see nothing that was cut? */
#include "sluice/search.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "sluice/buffer.h"
#include "sluice/edit.h"

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

static enum sl_status read_search(const char *type, const char *query, struct sl_search *search)
{
    return sl_search_read(arena, sl_r4_resource(sl_slice_of(type)), sl_slice_of(query), SL_LIT(""), NULL, search);
}

static struct sl_doc parse(const char *text)
{
    struct sl_doc doc;
    assert_int_equal(sl_doc_parse(arena, sl_slice_of(text), NULL, &doc, NULL), SL_OK);
    return doc;
}

/* ---- Matching ---- */

#define PATIENT                                                                                                        \
    "{\"resourceType\":\"Patient\",\"id\":\"p1\",\"active\":true,\"meta\":{\"lastUpdated\":\"2026-03-01T10:00:00Z\"}," \
    "\"identifier\":[{\"system\":\"urn:mrn\",\"value\":\"77\"},{\"value\":\"loose\"}],\"gender\":\"female\","          \
    "\"name\":[{\"family\":\"Ångström\",\"given\":[\"Chloé\",\"Ana María\"]},{\"text\":\"Sm\\u0069th, J.\"}],"     \
    "\"telecom\":[{\"system\":\"phone\",\"value\":\"555-1\"},{\"system\":\"email\",\"value\":\"a@b.example\"}],"       \
    "\"address\":[{\"line\":[\"1 Elm\"],\"city\":\"Łódź\",\"postalCode\":\"60601\"}],\"birthDate\":\"1984-03-12\"," \
    "\"generalPractitioner\":[{\"reference\":\"Practitioner/g1\"}]}"
#define CONDITION                                                                                                      \
    "{\"resourceType\":\"Condition\",\"id\":\"c1\",\"subject\":{\"reference\":\"Patient/p1\"},"                        \
    "\"code\":{\"coding\":[{\"system\":\"http://hl7.org/fhir/sid/"                                                     \
    "icd-10-cm\",\"code\":\"F11\\u002e20\"},{\"code\":\"local\"}]},"                                                   \
    "\"clinicalStatus\":{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/condition-clinical\","        \
    "\"code\":\"active\"}]},\"recordedDate\":\"2026-02\",\"onsetPeriod\":{\"start\":\"2026-01-05\"},"                  \
    "\"encounter\":{\"reference\":\"Encounter/e1/_history/3\"}}"
#define OBSERVATION                                                                                                    \
    "{\"resourceType\":\"Observation\",\"id\":\"o1\",\"status\":\"final\",\"subject\":{\"reference\":\"Group/p1\"},"   \
    "\"code\":{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"4548-4\"}]},"                                   \
    "\"effectiveDateTime\":\"2026-02-16T23:30:00-05:00\",\"performer\":[{\"reference\":\"http://x.example/"            \
    "Organization/1\"}],"                                                                                              \
    "\"valueQuantity\":{\"value\":7.10,\"unit\":\"%\",\"system\":\"http://unitsofmeasure.org\",\"code\":\"%\"}}"
#define DOSE(more)                                                                                                     \
    "{\"resourceType\":\"Observation\",\"id\":\"o2\",\"valueQuantity\":{\"value\":5,\"unit\":\"mg\",\"system\":\"urn:" \
    "s\"" more "}}"
#define ENCOUNTER                                                                                                      \
    "{\"resourceType\":\"Encounter\",\"id\":\"e1\",\"period\":{\"start\":\"2026-02-01T08:00:00Z\","                    \
    "\"end\":\"2026-02-03T08:00:00Z\"},\"class\":{\"code\":\"AMB\"},\"subject\":{\"reference\":\"Patient/p1\"}}"

#define TYPED                                                                                                          \
    "{\"resourceType\":\"Patient\",\"id\":\"p2\",\"identifier\":[{\"type\":{\"coding\":[{\"system\":\"http://"         \
    "terminology.hl7.org/CodeSystem/v2-0203\",\"code\":\"MR\"}],\"text\":\"Medical record\"},\"value\":\"77\"},"       \
    "{\"type\":{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/v2-0203\",\"code\":\"SS\"}]},"         \
    "\"value\":\"78\"}],\"deceasedDateTime\":\"2020\",\"communication\":[{\"language\":{\"coding\":[{\"code\":\"en\"," \
    "\"display\":\"English\"}]}}],\"generalPractitioner\":[{\"identifier\":{\"system\":\"urn:npi\",\"value\":\"9\"}}]" \
    "}"
#define VALUE_SET "{\"resourceType\":\"ValueSet\",\"id\":\"v1\",\"url\":\"http://x.example/fhir/ValueSet/1\"}"
#define PRESSURE                                                                                                       \
    "{\"resourceType\":\"Observation\",\"id\":\"o2\",\"status\":\"final\",\"component\":[{\"code\":{\"coding\":[{"     \
    "\"code\":\"8480-6\"}]},\"valueQuantity\":{\"value\":130}},{\"code\":{\"coding\":[{\"code\":\"8462-4\"}]},"        \
    "\"valueQuantity\":{\"value\":80}}]}"

#define TASK "{\"resourceType\":\"Task\",\"id\":\"t1\",\"status\":\"draft\",\"intent\":\"order\"}"

#define NARRATIVE                                                                                                      \
    "{\"resourceType\":\"Patient\",\"id\":\"p3\",\"text\":{\"status\":\"generated\",\"div\":\"<div xmlns='x'><!-- "    \
    "hidden -->"                                                                                                       \
    "<b title='hidden'>very</b>\\u0020tender &#196;rger, A&amp;B</div>\"},\"name\":[{\"text\":\"elsewhere\"}]}"

static const struct {
    const char *type, *query, *resource;
    bool match;
} matches[] = {
    {"Patient", "", PATIENT, true},
    {"Condition", "", PATIENT, false},
    {"Patient", "_id=p1", PATIENT, true},
    {"Patient", "_id=x,p1", PATIENT, true},
    {"Patient", "_id=p", PATIENT, false},
    {"Patient", "_lastUpdated=ge2026", PATIENT, true},
    {"Patient", "_lastUpdated=gt2026-03-01T10:00:00Z", PATIENT, false},
    /* Tokens. */
    {"Patient", "identifier=77", PATIENT, true},
    {"Patient", "identifier=urn:mrn%7C77", PATIENT, true},
    {"Patient", "identifier=urn:other|77", PATIENT, false},
    {"Patient", "identifier=urn:mrn|", PATIENT, true},
    {"Patient", "identifier=|77", PATIENT, false},
    {"Patient", "identifier=|loose", PATIENT, true},
    {"Patient", "gender=female", PATIENT, true},
    {"Patient", "gender=Female", PATIENT, false},
    {"Patient", "active=true", PATIENT, true},
    {"Patient", "active=false", PATIENT, false},
    {"Patient", "phone=555-1", PATIENT, true},
    {"Patient", "phone=a@b.example", PATIENT, false},
    {"Patient", "email=a%40b.example", PATIENT, true},
    {"Patient", "telecom=phone|555-1", PATIENT, true},
    {"Patient", "telecom=fax|555-1", PATIENT, false},
    {"Patient", "telecom=|555-1", PATIENT, false},
    /* Codes and booleans have the system that is implied. */
    {"Observation", "status=http://hl7.org/fhir/observation-status|final", OBSERVATION, true},
    {"Observation", "status=http://hl7.org/fhir/observation-status|amended", OBSERVATION, false},
    {"Observation", "status=http://hl7.org/fhir/observation-status|", OBSERVATION, true},
    {"Observation", "status=http://hl7.org/fhir/task-status|", OBSERVATION, false},
    {"Observation", "status=http://hl7.org/fhir/task-status|final", OBSERVATION, false},
    {"Observation", "status=|final", OBSERVATION, false},
    {"Observation", "status:not=http://hl7.org/fhir/observation-status|final", OBSERVATION, false},
    {"Observation", "status:not=http://hl7.org/fhir/observation-status|", OBSERVATION, false},
    {"Observation", "status:not=http://hl7.org/fhir/task-status|final", OBSERVATION, true},
    {"Observation", "_filter=status%20eq%20http://hl7.org/fhir/observation-status%7Cfinal", OBSERVATION, true},
    {"Observation", "_filter=status%20ne%20http://hl7.org/fhir/observation-status%7Cfinal", OBSERVATION, false},
    {"Patient", "gender=http://hl7.org/fhir/administrative-gender|female", PATIENT, true},
    {"Patient", "gender=urn:x|female", PATIENT, false},
    {"Patient", "active=http://terminology.hl7.org/CodeSystem/special-values|true", PATIENT, true},
    {"Patient", "active=http://hl7.org/fhir/special-values|", PATIENT, true},
    {"Patient", "active=|true", PATIENT, true},
    {"Patient", "active=urn:x|true", PATIENT, false},
    {"Patient", "deceased=http://hl7.org/fhir/special-values|true", TYPED, true},
    {"Patient", "deceased=urn:x|true", TYPED, false},
    {"Task", "intent=http://hl7.org/fhir/request-intent|order", TASK, true},
    {"Task", "intent=http://hl7.org/fhir/request-intent|", TASK, true},
    {"Task", "intent=http://hl7.org/fhir/task-intent|order", TASK, false},
    {"Task", "intent=http://hl7.org/fhir/task-intent|", TASK, false},
    {"Task", "intent:not=http://hl7.org/fhir/task-intent|order", TASK, true},
    {"Condition", "code=F11.20", CONDITION, true},
    {"Condition", "code=http://hl7.org/fhir/sid/icd-10-cm|F11.20", CONDITION, true},
    {"Condition", "code=http://snomed.info/sct|F11.20", CONDITION, false},
    {"Condition", "code=E11.9,F11.20", CONDITION, true},
    {"Condition", "code=E11.9", CONDITION, false},
    {"Condition", "code=F11.20&code=local", CONDITION, true},
    {"Condition", "code=F11.20&code=E11.9", CONDITION, false},
    {"Condition", "code=|local", CONDITION, true},
    {"Condition", "clinical-status=active", CONDITION, true},
    {"Encounter", "class=AMB", ENCOUNTER, true},
    /* Codes above and below. */
    {"Condition", "code:below=http://hl7.org/fhir/sid/icd-10-cm|F11", CONDITION, true},
    {"Condition", "code:below=http://hl7.org/fhir/sid/icd-10-cm|F112", CONDITION, true},
    {"Condition", "code:below=http://hl7.org/fhir/sid/icd-10-cm|F11.20", CONDITION, true},
    {"Condition", "code:below=http://hl7.org/fhir/sid/icd-10-cm|F11.201", CONDITION, false},
    {"Condition", "code:below=http://hl7.org/fhir/sid/icd-10|F11", CONDITION, false},
    {"Condition", "code:above=http://hl7.org/fhir/sid/icd-10-cm|F11.201", CONDITION, true},
    {"Condition", "code:above=http://hl7.org/fhir/sid/icd-10-cm|F11", CONDITION, false},
    {"Condition", "_filter=code%20ss%20http://hl7.org/fhir/sid/icd-10-cm%7CF11", CONDITION, true},
    {"Condition", "_filter=code%20sb%20http://hl7.org/fhir/sid/icd-10-cm%7CF11.20A", CONDITION, true},
    {"Condition", "_filter=not%20(code%20sb%20http://hl7.org/fhir/sid/icd-10-cm%7CF11)", CONDITION, true},
    /* _filter. */
    {"Patient", "_filter=family%20eq%20%22angstrom%22", PATIENT, true},
    {"Patient", "_filter=family%20eq%20%22angstr%22", PATIENT, false},
    {"Patient", "_filter=family%20sw%20%22angstr%22", PATIENT, true},
    {"Patient", "_filter=family%20ew%20%22STROM%22", PATIENT, true},
    {"Patient", "_filter=family%20ew%20%22str%22", PATIENT, false},
    {"Patient", "_filter=given%20co%20%22\\u004daria%22", PATIENT, true},
    {"Patient", "_filter=given%20ne%20%22chloe%22", PATIENT, true}, /* the other one is */
    {"Patient", "_filter=not(given%20eq%20%22chloe%22)", PATIENT, false},
    {"Patient", "_filter=gender%20ne%20female", PATIENT, false},
    {"Patient", "_filter=gender%20eq%20male%20or%20active%20eq%20true%20and%20birthdate%20lt%202000", PATIENT, true},
    {"Patient", "_filter=active%20eq%20true%20or%20gender%20eq%20female%20and%20gender%20eq%20male", PATIENT, false},
    {"Patient", "_filter=active%20eq%20true%20or%20(gender%20eq%20female%20and%20gender%20eq%20male)", PATIENT, true},
    {"Patient", "_filter=identifier%20eq%20urn:mrn%7C77&_filter=phone%20eq%20555-1", PATIENT, true},
    {"Patient", "_filter=identifier%20eq%20urn:mrn%7C77&_filter=phone%20eq%20555-2", PATIENT, false},
    {"Patient", "_filter=deceased%20pr%20true", PATIENT, false},
    {"Patient", "_filter=deceased%20pr%20false", PATIENT, true},
    {"Patient", "_filter=general-practitioner:Practitioner%20re%20g1", PATIENT, true},
    {"Patient", "_filter=general-practitioner%20ne%20Practitioner/g1", PATIENT, false},
    {"Encounter", "_filter=date%20po%202026-02-02", ENCOUNTER, true},
    {"Encounter", "_filter=date%20po%202026-02-04", ENCOUNTER, false},
    {"Observation", "_filter=value-quantity%20ge%207.1%20and%20code-value-quantity%20eq%204548-4$7.10", OBSERVATION,
        true},
    /* _text and _content. */
    {"Patient", "_content=angstrom", PATIENT, true},
    {"Patient", "_content=%C3%85NGSTR%C3%96M", PATIENT, true},
    {"Patient", "_content=angstr", PATIENT, false},
    {"Patient", "_content=angstr*", PATIENT, true},
    {"Patient", "_content=%22ana%20maria%22", PATIENT, true},
    {"Patient", "_content=%22maria%20ana%22", PATIENT, false},
    {"Patient", "_content=maria%20ana", PATIENT, true},
    {"Patient", "_content=maria%20not%20ana", PATIENT, false},
    {"Patient", "_content=nobody,smith", PATIENT, true},
    {"Patient", "_content=practitioner", PATIENT, false}, /* a reference is no text */
    {"Patient", "_content=p1", PATIENT, false},
    {"Condition", "_content=f11.20", CONDITION, true},
    {"Patient", "_text=smith", PATIENT, false},
    {"Patient", "_text=tender", NARRATIVE, true},
    {"Patient", "_text=%22very%20tender%22", NARRATIVE, true},
    {"Patient", "_text=div%20or%20hidden%20or%20amp", NARRATIVE, false},
    {"Patient", "_text=%C3%A4rger%20and%20%22a%20b%22", NARRATIVE, true},
    {"Patient", "_text=elsewhere", NARRATIVE, false},
    {"Patient", "_content=elsewhere%20and%20tender", NARRATIVE, true},
    /* References. */
    {"Condition", "patient=p1", CONDITION, true},
    {"Condition", "patient=Patient/p1", CONDITION, true},
    {"Condition", "subject=Patient/p1", CONDITION, true},
    {"Condition", "subject:Patient=p1", CONDITION, true},
    {"Condition", "subject:Group=p1", CONDITION, false},
    {"Condition", "patient=p", CONDITION, false},
    {"Condition", "patient=p2,p1", CONDITION, true},
    {"Condition", "encounter=e1", CONDITION, true},
    {"Observation", "patient=p1", OBSERVATION, false}, /* a Group of that id */
    {"Observation", "subject=p1", OBSERVATION, true},
    {"Observation", "performer=http://x.example/Organization/1", OBSERVATION, true},
    {"Observation", "performer=Organization/1", OBSERVATION, false},
    {"Patient", "general-practitioner=Practitioner/g1", PATIENT, true},
    /* Strings. */
    {"Patient", "name=angstrom", PATIENT, true},
    {"Patient", "family=%C3%85NG", PATIENT, true},
    {"Patient", "family=ngstr", PATIENT, false},
    {"Patient", "family:contains=NGSTR", PATIENT, true},
    {"Patient", "given=ana+mar", PATIENT, true},
    {"Patient", "given=chloe%CC%81", PATIENT, true}, /* a combining accent */
    {"Patient", "family:exact=%C3%85ngstr%C3%B6m", PATIENT, true},
    {"Patient", "family:exact=Angstrom", PATIENT, false},
    {"Patient", "name=smith%5C,", PATIENT, true}, /* an escaped comma in the query, an escape in the record */
    {"Patient", "name=smith,zzz", PATIENT, true},
    {"Patient", "name=zzz", PATIENT, false},
    {"Patient", "address-city=lodz", PATIENT, true},
    {"Patient", "address=1%20elm", PATIENT, true},
    {"Patient", "address-postalcode=606", PATIENT, true},
    /* Dates: what is written stands for the range its precision implies. */
    {"Patient", "birthdate=1984-03-12", PATIENT, true},
    {"Patient", "birthdate=1984", PATIENT, true},
    {"Patient", "birthdate=1984-04", PATIENT, false},
    {"Patient", "birthdate=ne1984-03-12", PATIENT, false},
    {"Patient", "birthdate=lt1984-03-13", PATIENT, true},
    {"Patient", "birthdate=lt1984-03-12", PATIENT, false},
    {"Patient", "birthdate=le1984-03-12", PATIENT, true},
    {"Patient", "birthdate=gt1984", PATIENT, false},
    {"Patient", "birthdate=ge1984", PATIENT, true},
    {"Patient", "birthdate=sa1984-03-11", PATIENT, true},
    {"Patient", "birthdate=eb1985", PATIENT, true},
    {"Patient", "birthdate=ge1980&birthdate=lt1985", PATIENT, true},
    {"Condition", "recorded-date=2026-02-10", CONDITION, false}, /* "2026-02" is not within that day */
    {"Condition", "recorded-date=2026", CONDITION, true},
    {"Condition", "onset-date=gt2030", CONDITION, true}, /* a Period without end */
    {"Condition", "onset-date=lt2026", CONDITION, false},
    {"Observation", "date=2026-02-17", OBSERVATION, true}, /* in UTC it is the next day */
    {"Observation", "date=2026-02-17T04:30:00Z", OBSERVATION, true},
    {"Observation", "date=2026-02-17T04:30Z", OBSERVATION, true},
    {"Observation", "date=2026-02-16", OBSERVATION, false},
    {"Encounter", "date=2026-02", ENCOUNTER, true},
    {"Encounter", "date=2026-02-02", ENCOUNTER, false},
    {"Encounter", "date=ge2026-02-02", ENCOUNTER, true},
    {"Encounter", "date=le2026-02-02", ENCOUNTER, true},
    {"Encounter", "date=sa2026-02-02", ENCOUNTER, false},
    {"Encounter", "date=eb2026-02-04", ENCOUNTER, true},
    /* Quantities. */
    {"Observation", "value-quantity=7.1", OBSERVATION, true},
    {"Observation", "value-quantity=7.10|http://unitsofmeasure.org|%25", OBSERVATION, true},
    {"Observation", "value-quantity=7.1||mg", OBSERVATION, false},
    /* Without a system it is the code or the unit: what matches with the code cut has matched with it. */
    {"Observation", "value-quantity=5||mg", DOSE(",\"code\":\"{other}\""), true},
    {"Observation", "value-quantity=5||{other}", DOSE(",\"code\":\"{other}\""), true},
    {"Observation", "value-quantity=5||mg", DOSE(""), true},
    {"Observation", "value-quantity=5|urn:s|mg", DOSE(",\"code\":\"{other}\""), false},
    {"Observation", "value-quantity=5|urn:s|mg", DOSE(""), false},
    {"Observation", "value-quantity=gt7", OBSERVATION, true},
    {"Observation", "value-quantity=lt7.1", OBSERVATION, false},
    {"Observation", "value-quantity=le7.1", OBSERVATION, true},
    {"Observation", "value-quantity=7.2", OBSERVATION, false},
    /* Modifiers, and what they read. */
    {"Condition", "code:not=F11.20", CONDITION, false},
    {"Condition", "code:not=E11.9,F11.20", CONDITION, false},
    {"Condition", "code:not=E11.9", CONDITION, true},
    {"Condition", "severity:not=x", CONDITION, true}, /* what is not there is none of them */
    {"Patient", "identifier:text=medical", TYPED, true},
    {"Patient", "identifier:text=record", TYPED, false},
    {"Patient", "language:text=ENGL", TYPED, true},
    {"Patient", "language:text=german", TYPED, false},
    {"Patient", "identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|77", TYPED, true},
    {"Patient", "identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|78", TYPED, false},
    {"Patient", "identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|SS|77", TYPED, false},
    {"Patient", "general-practitioner:identifier=urn:npi|9", TYPED, true},
    {"Patient", "general-practitioner:identifier=9", TYPED, true},
    {"Patient", "general-practitioner:identifier=urn:other|9", TYPED, false},
    {"Patient", "deceased=true", TYPED, true},
    {"Patient", "deceased=false", TYPED, false},
    {"Patient", "deceased=false", PATIENT, true},
    {"Patient", "deceased:missing=true", PATIENT, true},
    {"ValueSet", "url:below=http://x.example/fhir/", VALUE_SET, true},
    {"ValueSet", "url:below=http://x.example/other/", VALUE_SET, false},
    {"ValueSet", "url:above=http://x.example/fhir/ValueSet/1/more", VALUE_SET, true},
    {"ValueSet", "url:above=http://x.example/fhir", VALUE_SET, false},
    {"Patient", "birthdate=ap1984-03-13", PATIENT, true},
    {"Patient", "birthdate=ap1984-03-15", PATIENT, false},
    {"Observation", "value-quantity=ap7.5", OBSERVATION, true},
    {"Observation", "value-quantity=ap8", OBSERVATION, false},
    /* Composites: the parts stand in one element. */
    {"Observation", "code-value-quantity=http://loinc.org|4548-4$gt7", OBSERVATION, true},
    {"Observation", "code-value-quantity=4548-4$lt7", OBSERVATION, false},
    {"Observation", "code-value-quantity=x$gt7", OBSERVATION, false},
    {"Observation", "code-value-quantity=x$gt7,4548-4$7.1", OBSERVATION, true},
    {"Observation", "component-code-value-quantity=8480-6$gt120", PRESSURE, true},
    {"Observation", "component-code-value-quantity=8462-4$gt120", PRESSURE, false},
    {"Observation", "combo-code-value-quantity=8480-6$gt120", PRESSURE, true},
    /* What is not found out yet matches nothing. */
    {"Condition", "patient.name=ang", CONDITION, false},
    {"Patient", "_has:Condition:patient:code=F11.20", PATIENT, false},
    {"Patient", "_list=l1", PATIENT, false},
    /* Missing. */
    {"Patient", "birthdate:missing=false", PATIENT, true},
    {"Patient", "birthdate:missing=true", PATIENT, false},
    {"Patient", "death-date:missing=true", PATIENT, true},
    {"Condition", "asserter:missing=false", CONDITION, false},
};

static void match_as_specified(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof matches / sizeof *matches; i++) {
        struct sl_search search;
        sl_arena_reset(arena);
        if (read_search(matches[i].type, matches[i].query, &search) != SL_OK)
            fail_msg("%s?%s was refused", matches[i].type, matches[i].query);
        struct sl_doc doc = parse(matches[i].resource);
        if (sl_search_match(&search, &doc, 0, NULL) != matches[i].match)
            fail_msg("%s?%s: expected %s", matches[i].type, matches[i].query, matches[i].match ? "a match" : "none");
    }
}

/* Whoever writes a record chooses its escapes; every verdict is the same for all of them. */
static void escapes_change_nothing(void **state)
{
    (void)state;
    size_t escaped = 0;
    for (size_t i = 0; i < sizeof matches / sizeof *matches; i++) {
        struct sl_search search;
        sl_arena_reset(arena);
        assert_int_equal(read_search(matches[i].type, matches[i].query, &search), SL_OK);
        struct sl_doc doc = parse(matches[i].resource);
        struct sl_edits *edits = sl_edits_new(arena, &doc);
        for (uint32_t s = 1; s < doc.count; s++) {
            struct sl_slice value = sl_span_string(&doc, s, arena);
            if (value.len == 0 || (unsigned char)value.ptr[0] >= 0x80)
                continue;
            char quoted[512];
            int len = snprintf(
                quoted, sizeof quoted, "\"\\u%04x%.*s\"", (unsigned)value.ptr[0], (int)value.len - 1, value.ptr + 1);
            sl_edit_replace(edits, s, sl_arena_copy(arena, (struct sl_slice){quoted, (size_t)len}));
            escaped++;
        }
        struct sl_blocks blocks = {.arena = arena};
        assert_int_equal(sl_edit_gather(edits, 0, &blocks), SL_OK);
        assert_non_null(blocks.first);
        struct sl_slice text = {blocks.first->ptr, blocks.first->len};
        assert_int_equal(sl_doc_parse(arena, text, NULL, &doc, NULL), SL_OK);
        if (sl_search_match(&search, &doc, 0, NULL) != matches[i].match)
            fail_msg("escaped, %s?%s: expected %s", matches[i].type, matches[i].query,
                matches[i].match ? "a match" : "none");
    }
    assert_true(escaped > 500);
}

/* ---- What is cut is not there ---- */

static const struct {
    const char *query, *resource, *cut; /* cut: a member of the root, or a value of a string anywhere */
    bool before, after;
} cuts[] = {
    {"code=F11.20", CONDITION, "code", true, false},
    {"code=http://hl7.org/fhir/sid/icd-10-cm|F11.20", CONDITION, "http://hl7.org/fhir/sid/icd-10-cm", true, false},
    {"code=F11.20", CONDITION, "http://hl7.org/fhir/sid/icd-10-cm", true, true},
    {"code=F11.20", CONDITION, "F11.20", true, false},
    {"code=local", CONDITION, "F11.20", true, true},
    {"patient=p1", CONDITION, "subject", true, false},
    {"patient=p1", CONDITION, "Patient/p1", true, false},
    {"recorded-date=2026", CONDITION, "recordedDate", true, false},
    {"recorded-date:missing=true", CONDITION, "recordedDate", false, true},
    {"recorded-date=2026", CONDITION, "code", true, true},
    {"encounter=e1", CONDITION, "encounter", true, false},
};

static uint32_t find_to_cut(const struct sl_doc *doc, const char *what)
{
    uint32_t found = sl_span_member_key(doc, 0, sl_slice_of(what));
    for (uint32_t i = 1; !found && i < doc->count; i++)
        if (sl_span_is(doc, i, sl_slice_of(what)))
            found = i;
    return found;
}

static void cut_is_gone(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        struct sl_search search;
        sl_arena_reset(arena);
        assert_int_equal(read_search("Condition", cuts[i].query, &search), SL_OK);
        struct sl_doc doc = parse(cuts[i].resource);
        struct sl_edits *edits = sl_edits_new(arena, &doc);
        uint32_t span = find_to_cut(&doc, cuts[i].cut);
        assert_true(span != 0);
        if (sl_search_match(&search, &doc, 0, edits) != cuts[i].before)
            fail_msg("%s before the cut of %s", cuts[i].query, cuts[i].cut);
        sl_edit_cut(edits, span);
        if (sl_search_match(&search, &doc, 0, edits) != cuts[i].after)
            fail_msg("%s after the cut of %s", cuts[i].query, cuts[i].cut);
    }
    struct sl_search all;
    struct sl_doc doc = parse(CONDITION);
    struct sl_edits *edits = sl_edits_new(arena, &doc);
    assert_int_equal(read_search("Condition", "", &all), SL_OK);
    sl_edit_cut(edits, 0);
    assert_false(sl_search_match(&all, &doc, 0, edits));
}

/* ---- Refusals: a dropped parameter is a wider search ---- */

static const struct {
    const char *type, *query;
} refused[] = {
    {"Condition", "unknown=1"},
    {"Condition", "code:in=http://x"},
    {"Condition", "code:below=F11"},
    {"Condition", "code:="},
    {"Condition", "code:=x"},
    {"Condition", "code"},
    {"Condition", "code="},
    {"Condition", "code=a,"},
    {"Condition", "code=,a"},
    {"Condition", "code=a|b|c"},
    {"Condition", "code=|"},
    {"Condition", "code=a%5Cb"},
    {"Condition", "code=a%5C"},
    {"Condition", "code=%"},
    {"Condition", "code=%zz"},
    {"Condition", "code=%00"},
    {"Condition", "code=%ff"},
    {"Condition", "code=%c0%80"},
    {"Condition", "code=%ed%a0%80"},
    {"Condition", "code=a%0ab"},
    {"Condition", "patient=Group/1"},
    {"Condition", "patient=Nothing/1"},
    {"Condition", "patient=../1"},
    {"Condition", "patient=a%20b"},
    {"Condition", "patient:Group=1"},
    {"Condition", "subject:Patient=Group/1"},
    {"Condition", "recorded-date=yesterday"},
    {"Condition", "recorded-date=GE2020"},
    {"Condition", "recorded-date=2020-13"},
    {"Condition", "recorded-date=2020-02-30"},
    {"Condition", "recorded-date=2020-1-1"},
    {"Condition", "recorded-date=2020-01-01T10"},
    {"Condition", "recorded-date=2020-01-01T10:00:00+99:00"},
    {"Condition", "recorded-date:missing=maybe"},
    {"Condition", "recorded-date:missing=true,false"},
    {"Condition", "_count=-1"},
    {"Condition", "_count=x"},
    {"Condition", "_count=1&_count=2"},
    {"Condition", "_text:exact=opioid"},
    {"Condition", "_content=-"},
    {"Condition", "_content=(opioid"},
    {"Condition", "_filter=code"},
    {"Condition", "_filter=code%20eq%20\"\\u00\""},
    {"Condition", "_filter=code%20eq%20\"\""},
    {"Condition", "_filter=code:not%20eq%20a"},
    {"Condition", "_filter=subject:Patient%20ne%20Patient/a"},
    {"Condition", "_filter=subject%5Bgender%20eq%20male%20re%20x"},
    {"Condition", "_filter=_has:Observation:subject:code%20eq%20a"},
    {"Condition", "_filter=_list%20eq%20a"},
    {"Condition", "_filter=_content%20co%20%22a%22"},
    {"Patient", "_filter=deceased%20ne%20true"},
    {"Condition", "_type=Patient"},
    {"Condition", "_summary=maybe"},
    {"Condition", "_elements=nothing"},
    {"Condition", "_format=xml"},
    {"Condition", "_include=Observation:subject"},
    {"Condition", "_include=Condition:code"},
    {"Condition", "_include=Condition:subject:Observation"},
    {"Condition", "_revinclude=Provenance:agent:Patient"},
    {"Condition", "_revinclude=Condition:subject"},
    {"Observation", "code-value-quantity=1$x"},
    {"Observation", "code-value-quantity=1"},
    {"Observation", "code-value-quantity=1$2$3"},
    {"Observation", "code-value-quantity:not=1$2"},
    {"MolecularSequence", "chromosome-variant-coordinate=1$2$3"},
    {"Condition", "code:not-in=http://x"},
    {"Condition", "code:above=F11"},
    {"Condition", "code:below=http://snomed.info/sct|73211009"},
    {"Condition", "code:below=http://hl7.org/fhir/sid/icd-10-cm|F1"},
    {"Condition", "code:below=http://hl7.org/fhir/sid/icd-10-cm|"},
    {"Condition", "_filter=code%20ss%20F11"},
    {"Condition", "_filter=code%20in%20http://x"},
    {"Condition", "code:identifier=F11"},
    {"Condition", "patient:text=x"},
    {"Condition", "recorded-date:not=2020"},
    {"Patient", "identifier:of-type=a|b"},
    {"Patient", "identifier:of-type=|a|b"},
    {"Patient", "identifier:of-type=a|b|c|d"},
    {"Condition", "subject:Group.name=x"},
    {"Condition", "patient.nothing=x"},
    {"Condition", "patient.birthdate=x"},
    {"Condition", "code.name=x"},
    {"Condition", "patient."},
    {"Condition", "patient.=x"},
    {"Condition", "patient:Patient=x&patient:Practitioner.name=x"},
    {"Condition", "evidence-detail.code=x"}, /* any type: it has to be named */
    {"Condition", "encounter.part-of.part-of.part-of.part-of.status=x"},
    {"Condition", "_has:Observation:patient:code=1"}, /* nothing of a patient refers to a Condition */
    {"Patient", "_has:Observation:patient=1"},
    {"Patient", "_has:Observation:code:code=1"},
    {"Patient", "_has:Nothing:patient:code=1"},
    {"Patient", "_has:Observation:patient:nothing=1"},
    {"Patient", "_has:Observation:patient:_sort=code"},
    {"Patient", "_list=$current-problems"},
    {"Patient", "_list=a,b"},
    {"Condition", "_sort=nothing"},
    {"Condition", "_sort="},
    {"Condition", "_sort=code,"},
    {"Condition", "_sort=--code"},
    {"Condition", "_sort=code&_sort=subject"},
    {"Observation", "_sort=code-value-quantity"},
    {"Observation", "_sort=_score"},
    {"Condition", "_contained=true"},
    {"Condition", "_elements=code&_summary=true"},
    {"Condition", "_include=Condition:subject&_summary=text"},
    {"Condition", "_revinclude=*"},
    {"Condition", "_include:recurse=Condition:subject"},
    {"Condition", "_include=Observation:*"},
    {"Condition", "_include=Condition:*:Patient"},
    {"Bundle", "composition=Composition/1"},
    {"Observation", "value-quantity=1|mg"},
    {"Observation", "value-quantity=inf"},
    {"Observation", "value-quantity=0x10"},
    {"Observation", "value-quantity=1e"},
    {"Patient", "name:above=x"},
};

static void unknown_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct sl_search search;
        struct sl_issues issues = {.arena = arena};
        sl_r4_node type = sl_r4_resource(sl_slice_of(refused[i].type));
        enum sl_status status =
            sl_search_read(arena, type, sl_slice_of(refused[i].query), SL_LIT(""), &issues, &search);
        if (status != SL_BAD_PARAMETER || issues.errors != 1)
            fail_msg("%s?%s was not refused", refused[i].type, refused[i].query);
        assert_int_equal(search.type, 0); /* half a search is a wider search */
        assert_int_equal(search.param_count, 0);
        assert_int_equal(sl_search_read(arena, type, SL_LIT("_id=x"), sl_slice_of(refused[i].query), NULL, &search),
            SL_BAD_PARAMETER);
    }
}

static void sizes_are_bounded(void **state)
{
    (void)state;
    struct sl_search search;
    struct sl_buffer query;
    sl_buffer_init(&query, 1 << 20);
    for (int i = 0; i < 65; i++)
        sl_buffer_printf(&query, "code=%d&", i);
    sl_buffer_add(&query, (struct sl_slice){"", 1});
    assert_int_equal(read_search("Condition", query.ptr, &search), SL_BAD_PARAMETER);
    sl_buffer_clear(&query);
    sl_buffer_printf(&query, "_id=0");
    for (int i = 1; i < 1024; i++)
        sl_buffer_printf(&query, ",%d", i);
    sl_buffer_add(&query, (struct sl_slice){"", 1});
    assert_int_equal(read_search("Condition", query.ptr, &search), SL_OK);
    assert_int_equal(search.params[0].value_count, 1024);
    query.len--;
    sl_buffer_printf(&query, ",x%c", 0);
    assert_int_equal(read_search("Condition", query.ptr, &search), SL_BAD_PARAMETER);
    sl_buffer_fini(&query);
}

/* ---- Steps ---- */

static void steps_are_read(void **state)
{
    (void)state;
    struct sl_search search;
    assert_int_equal(read_search("Observation", "subject.name=x&_list=7&status=final", &search), SL_OK);
    assert_int_equal(search.param_count, 1);
    assert_int_equal(search.step_count, 2);
    const struct sl_search_step *chain = &search.steps[0];
    assert_int_equal(chain->kind, SL_SEARCH_CHAIN);
    assert_int_equal(chain->inner_count, 2); /* of the types a subject may be, those with a name */
    assert_int_equal(chain->inner[0].type, SL_R4_Location);
    assert_int_equal(chain->inner[1].type, SL_R4_Patient);
    assert_int_equal(search.steps[1].kind, SL_SEARCH_LIST);
    assert_int_equal(read_search("Patient", "_has:Observation:patient:encounter.status=x", &search), SL_OK);
    assert_int_equal(search.steps[0].kind, SL_SEARCH_HAS);
    assert_int_equal(search.steps[0].inner[0].type, SL_R4_Observation);
    assert_int_equal(search.steps[0].inner[0].steps[0].inner[0].type, SL_R4_Encounter);
}

/* ---- What a cut could make match ---- */

static const struct {
    const char *type, *query;
    bool shrinks;
} bearings[] = {
    {"Observation", "status=http://hl7.org/fhir/observation-status|final", true},
    {"Observation", "status=http://hl7.org/fhir/observation-status|", false},
    {"Observation", "status=|final", true}, /* none has no system */
    {"Condition", "code=a", true},
    {"Condition", "code=urn:x|a", true},
    {"Condition", "code=|a", false},
    {"Condition", "code:not=a", false},
    {"Condition", "code:text=a", false},
    {"Condition", "code:below=http://hl7.org/fhir/sid/icd-10-cm|F11", false},
    {"Condition", "code:missing=true", false},
    {"Condition", "code:missing=false", true},
    {"Condition", "recorded-date=ge2020", true},
    {"Condition", "recorded-date=ge2020,ne2021", false},
    {"Condition", "recorded-date=ap2020", false},
    {"Condition", "patient:Patient=1", true},
    {"Condition", "patient:identifier=1", false},
    {"Patient", "deceased=false", false},
    {"Patient", "name:contains=a", true},
    {"Patient", "_security=R", false},
    {"Patient", "_tag=x", false},
    {"Observation", "code-value-quantity=a$1", false},
    {"Patient", "_filter=name%20eq%20%22a%22", false},
    {"Patient", "_content=a", false},
};

/* What the upstream may be asked of a _filter: what `and` joins, as a parameter that every server knows. */
static const struct {
    const char *filter, *asked;
} narrowed[] = {
    {"family eq \"a b\"", "family=a%20b"},
    {"family ew \"a\" and given co \"b\" and given sw \"c\"", "family:contains=a&given:contains=b&given=c"},
    {"family eq \"a\" or given eq \"b\"", ""}, {"not (gender eq male) and birthdate ge 2000", "birthdate=ge2000"},
    {"(gender eq urn:x|male and (active eq true)) and birthdate po 2000", "active=true&gender=urn:x%7Cmale"},
    {"gender ne male and gender pr true and active pr false", "gender:missing=false"},
    {"birthdate ne 2000 and birthdate ap 2000", ""}, {"_security eq R and identifier eq |x", ""},
    {"name eq \"a,b|c$d\\\\\"", "name=a%5C%2Cb%5C%7Cc%5C%24d%5C%5C"},
    {"organization.name eq \"x\" and gender eq male", "gender=male"}, /* nobody has found the organization yet */
};

struct asking {
    struct sl_search_param params[SL_SEARCH_TERMS];
    size_t count;
};

static void ask(void *context, const struct sl_search_param *param)
{
    struct asking *asking = context;
    if (param->value_count && sl_search_narrow(param, &asking->params[asking->count]))
        asking->count++;
}

static void filters_narrow_by_what_must_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof narrowed / sizeof *narrowed; i++) {
        struct asking asking = {.count = 0};
        struct sl_search search, asked;
        struct sl_slice text;
        char query[1024], *to = query + sprintf(query, "_filter=");
        for (const char *from = narrowed[i].filter; *from; from++)
            to += sprintf(to, "%%%02X", (unsigned char)*from);
        assert_int_equal(read_search("Patient", query, &search), SL_OK);
        sl_search_each(&search.params[0], ask, &asking);
        asked = (struct sl_search){.type = search.type, .params = asking.params, .param_count = asking.count};
        assert_int_equal(sl_search_write(&asked, arena, &text), SL_OK);
        if (!sl_slice_eq(text, sl_slice_of(narrowed[i].asked)))
            fail_msg("%s: %.*s", narrowed[i].filter, SL_FMT(text));
        assert_int_equal(search.step_count, strstr(narrowed[i].filter, "organization.") ? 1 : 0);
    }
}

static void negatives_are_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bearings / sizeof *bearings; i++) {
        struct sl_search search;
        assert_int_equal(read_search(bearings[i].type, bearings[i].query, &search), SL_OK);
        if ((sl_search_bearing(&search.params[0]) == SL_SEARCH_SHRINKS) != bearings[i].shrinks)
            fail_msg("%s?%s", bearings[i].type, bearings[i].query);
    }
}

/* ---- Sorting ---- */

static const struct {
    const char *type, *sort, *first, *then; /* in this order, in both directions where `then` has a value */
} orders[] = {
    {"Patient", "birthdate", "{\"resourceType\":\"Patient\",\"birthDate\":\"1969-12-31\"}",
        "{\"resourceType\":\"Patient\",\"birthDate\":\"1984\"}"},
    {"Patient", "family", "{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"\u00c5ngstr\u00f6m\"}]}",
        "{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"baker\"}]}"},
    {"Patient", "family", "{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"B\"}]}",
        "{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"Ba\"}]}"},
    {"Patient", "active", "{\"resourceType\":\"Patient\",\"active\":false}",
        "{\"resourceType\":\"Patient\",\"active\":true}"},
    {"Observation", "value-quantity", "{\"resourceType\":\"Observation\",\"valueQuantity\":{\"value\":-10.5}}",
        "{\"resourceType\":\"Observation\",\"valueQuantity\":{\"value\":9}}"},
    {"Observation", "value-quantity", "{\"resourceType\":\"Observation\",\"valueQuantity\":{\"value\":9}}",
        "{\"resourceType\":\"Observation\",\"valueQuantity\":{\"value\":1e1}}"},
    {"Observation", "value-quantity", "{\"resourceType\":\"Observation\",\"valueQuantity\":{\"value\":-2}}",
        "{\"resourceType\":\"Observation\",\"valueQuantity\":{\"value\":-1}}"},
};

static struct sl_slice key_of(const char *type, const char *sort, const char *text, const char *cut)
{
    struct sl_search search;
    struct sl_slice query = sl_arena_printf(arena, "_sort=%s", sort);
    assert_int_equal(sl_search_read(arena, sl_r4_resource(sl_slice_of(type)), query, SL_LIT(""), NULL, &search), SL_OK);
    struct sl_doc doc = parse(text);
    struct sl_edits *edits = sl_edits_new(arena, &doc);
    if (cut)
        sl_edit_cut(edits, sl_span_member_key(&doc, 0, sl_slice_of(cut)));
    return sl_search_sort_key(&search.sorts[0], &doc, 0, edits, arena);
}

static int compare(struct sl_slice a, struct sl_slice b)
{
    int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static void sorted_by_what_is_left(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        struct sl_slice first = key_of(orders[i].type, orders[i].sort, orders[i].first, NULL),
                        then = key_of(orders[i].type, orders[i].sort, orders[i].then, NULL);
        if (!first.ptr || !then.ptr || compare(first, then) >= 0)
            fail_msg("%s: %s before %s", orders[i].sort, orders[i].first, orders[i].then);
    }
    /* Of several values the least counts, descending the greatest; of a Period its begin, descending its end. */
    const char *names =
        "{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"m\"},{\"family\":\"c\"},{\"family\":\"x\"}]}";
    assert_true(sl_slice_eq(key_of("Patient", "family", names, NULL), SL_LIT("c")));
    assert_true(sl_slice_eq(key_of("Patient", "-family", names, NULL), SL_LIT("x")));
    assert_null(key_of("Patient", "family", names, "name").ptr);
    assert_null(key_of("Condition", "severity", CONDITION, NULL).ptr);
    assert_true(
        compare(key_of("Encounter", "date", ENCOUNTER, NULL), key_of("Encounter", "-date", ENCOUNTER, NULL)) < 0);
}

/* ---- Writing ---- */

static const struct {
    const char *type, *query, *written;
} forms[] = {
    {"Observation", "status=http://hl7.org/fhir/observation-status|final,urn:x|a", "status=final,urn:x%7Ca"},
    {"Condition", "", ""},
    {"Condition", "patient=p1&code=b,a,b&_count=10", "_count=10&code=a,b&patient=p1"},
    {"Condition", "_count=10&code=a,b&patient=p1", "_count=10&code=a,b&patient=p1"},
    {"Condition", "subject:Patient=p1", "subject=Patient/p1"},
    {"Condition", "code=urn:x%7CF11%5C,20", "code=urn:x%7CF11%5C%2C20"},
    {"Condition", "recorded-date=eq2020&recorded-date=lt2021-01-01T00:00:00%2B05:00",
        "recorded-date=2020&recorded-date=lt2021-01-01T00:00:00%2B05:00"},
    {"Patient", "name:exact=%C3%85+b&_format=json&_pretty=true", "name:exact=%C3%85%20b"},
    {"Patient", "_revinclude=Provenance:target&_elements=name,id&_total=none",
        "_elements=name%2Cid&_revinclude=Provenance:target&_total=none"},
    {"Patient", "birthdate:missing=true", "birthdate:missing=true"},
    {"Patient", "_count=0", "_summary=count"},
    {"Patient", "_sort=name,-birthdate", "_sort=name,-birthdate"},
    {"Patient", "_list=l1&_has:Condition:patient:code=a", "_has:Condition:patient:code=a&_list=l1"},
    {"Patient", "_has:Observation:patient:_has:AuditEvent:entity:agent-name=x",
        "_has:Observation:patient:_has:AuditEvent:entity:agent-name=x"},
    {"Condition", "subject:Patient.general-practitioner:Practitioner.name:exact=A%5C,b,c",
        "subject:Patient.general-practitioner:Practitioner.name:exact=A%5C%2Cb%2Cc"},
    {"Condition", "_include:iterate=Condition:subject&_include=*",
        "_include:iterate=Condition:subject&_include=Condition:*"},
    {"Observation", "code-value-quantity=urn:x|a$ge5||mg&code:not=b",
        "code-value-quantity=urn:x%7Ca%24ge5%7C%7Cmg&code:not=b"},
    {"Patient", "identifier:of-type=urn:t|MR|7&_type=Patient", "identifier:of-type=urn:t%7CMR%7C7"},
    {"Patient", "general-practitioner:identifier=urn:t|7", "general-practitioner:identifier=urn:t%7C7"},
    {"Observation", "value-quantity=ge7.10|http://unitsofmeasure.org|%25",
        "value-quantity=ge7.10%7Chttp://unitsofmeasure.org%7C%25"},
};

static void written_in_one_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct sl_search search, again;
        struct sl_slice out, twice;
        assert_int_equal(read_search(forms[i].type, forms[i].query, &search), SL_OK);
        assert_int_equal(sl_search_write(&search, arena, &out), SL_OK);
        assert_string_equal(sl_arena_copy(arena, out).ptr, forms[i].written);
        assert_int_equal(sl_search_read(arena, search.type, out, SL_LIT(""), NULL, &again), SL_OK);
        assert_int_equal(sl_search_write(&again, arena, &twice), SL_OK);
        assert_true(sl_slice_eq(out, twice));
    }
}

/* ---- Values for indexes ---- */

struct heard {
    char text[1024];
    size_t len;
};

static void hear(void *context, struct sl_slice value)
{
    struct heard *heard = context;
    heard->len += (size_t)snprintf(heard->text + heard->len, sizeof heard->text - heard->len, "%.*s;", SL_FMT(value));
}

static void values_for_indexes(void **state)
{
    (void)state;
    static const struct {
        const char *type, *param, *resource, *values;
    } cases[] = {
        {"Condition", "code", CONDITION, "http://hl7.org/fhir/sid/icd-10-cm|F11.20;|local;"},
        {"Condition", "patient", CONDITION, "Patient/p1;"},
        {"Condition", "encounter", CONDITION, "Encounter/e1;"},
        {"Observation", "patient", OBSERVATION, ""},
        {"Observation", "performer", OBSERVATION, "http://x.example/Organization/1;"},
        {"Patient", "family", PATIENT, "angstrom;"},
        {"Patient", "given", PATIENT, "chloe;ana maria;"},
        {"Patient", "phone", PATIENT, "phone|555-1;"},
        {"Patient", "birthdate", PATIENT, "1984-03-12;"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct heard heard = {{0}, 0};
        struct sl_doc doc = parse(cases[i].resource);
        const struct sl_r4_param *param =
            sl_r4_param_find(sl_r4_resource(sl_slice_of(cases[i].type)), sl_slice_of(cases[i].param));
        assert_non_null(param);
        sl_search_values(param, &doc, 0, arena, hear, &heard);
        assert_string_equal(heard.text, cases[i].values);
    }
}

/* Every search that US Core demands is read (US Core 6.1.0 and 8.0.0 server CapabilityStatements, SHALL). */
static void us_core_is_served(void **state)
{
    (void)state;
    static const char *const queries[][2] = {
        {"Patient", "_id=1"},
        {"Patient", "identifier=a|b"},
        {"Patient", "name=x"},
        {"Patient", "birthdate=1980-01-01&name=x"},
        {"Patient", "gender=male&name=x"},
        {"AllergyIntolerance", "patient=1"},
        {"CarePlan", "patient=1&category=a|b"},
        {"CareTeam", "patient=1&status=active"},
        {"Condition", "patient=1&category=a"},
        {"Coverage", "patient=1"},
        {"Device", "patient=1"},
        {"DiagnosticReport", "patient=1&category=LAB&date=ge2020"},
        {"DiagnosticReport", "patient=1&code=a|b"},
        {"DocumentReference", "_id=1"},
        {"DocumentReference", "patient=1&category=a&date=ge2020&date=le2021"},
        {"DocumentReference", "patient=1&type=a|b"},
        {"Encounter", "_id=1"},
        {"Encounter", "date=ge2020&patient=1"},
        {"Goal", "patient=1"},
        {"Immunization", "patient=1"},
        {"MedicationRequest", "patient=1&intent=order,plan&status=active"},
        {"MedicationDispense", "patient=1"},
        {"Observation", "patient=1&category=laboratory&date=gt2020"},
        {"Observation", "patient=1&code=a,b"},
        {"Procedure", "patient=1&date=ge2020"},
        {"RelatedPerson", "_id=1"},
        {"ServiceRequest", "patient=1&category=a&authored=ge2020"},
        {"ServiceRequest", "patient=1&code=a"},
        {"Specimen", "_id=1"},
        {"Organization", "name=x"},
        {"Organization", "address=x"},
        {"Location", "name=x"},
        {"Location", "address=x"},
        {"Practitioner", "name=x"},
        {"Practitioner", "identifier=a|b"},
        {"PractitionerRole", "specialty=a"},
        {"PractitionerRole", "practitioner=1"},
        {"FamilyMemberHistory", "patient=1"},
        {"QuestionnaireResponse", "patient=1"},
        {"MedicationRequest", "patient=1&_include=MedicationRequest:medication"},
        {"Patient", "_id=1&_revinclude=Provenance:target"},
        {"Condition", "patient=1&_revinclude=Provenance:target"},
        {"PractitionerRole", "specialty=a&_include=PractitionerRole:practitioner"},
    };
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        struct sl_search search;
        if (read_search(queries[i][0], queries[i][1], &search) != SL_OK)
            fail_msg("%s?%s was refused", queries[i][0], queries[i][1]);
    }
}

/* Each byte at each place of texts of each length up to where every way of looking has been taken. */
static void ids_are_spelt(void **state)
{
    char text[64];
    (void)state;
    for (unsigned len = 1; len <= 50; len++)
        for (unsigned at = 0; at < len; at++)
            for (unsigned byte = 0; byte < 256; byte++) {
                memset(text, "zA9-."[at % 5], sizeof text);
                text[len] = '/';
                text[at] = (char)byte;
                bool plain = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                             (byte >= 'A' && byte <= 'Z') || byte == '-' || byte == '.';
                struct sl_slice id = {text, len};
                if (sl_id_valid(id) != plain || sl_id_is_spelt(id, true) != (plain || byte == '_'))
                    fail_msg("byte %u at %u of %u", byte, at, len);
            }
    memset(text, 'a', sizeof text);
    assert_false(sl_id_valid((struct sl_slice){text, 0}));
    char longest[65];
    memset(longest, 'a', sizeof longest);
    assert_true(sl_id_valid((struct sl_slice){longest, 64}));
    assert_false(sl_id_valid((struct sl_slice){longest, 65}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(match_as_specified),
        cmocka_unit_test(escapes_change_nothing),
        cmocka_unit_test(cut_is_gone),
        cmocka_unit_test(unknown_is_refused),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(steps_are_read),
        cmocka_unit_test(negatives_are_told_apart),
        cmocka_unit_test(filters_narrow_by_what_must_hold),
        cmocka_unit_test(sorted_by_what_is_left),
        cmocka_unit_test(written_in_one_form),
        cmocka_unit_test(values_for_indexes),
        cmocka_unit_test(us_core_is_served),
        cmocka_unit_test(ids_are_spelt),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
