/* SPDX-License-Identifier: Apache-2.0 */
/* The table of R4 facts: is what it says of shape what FHIR 4.0.1 says, and is every lookup exact? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sluice/arena.h"
#include "sluice/r4.h"
#include "sluice/span.h"

static void every_name_is_found(void **state)
{
    (void)state;
    for (unsigned n = 1; n < SL_NAMES; n++) {
        struct sl_slice text = sl_name_text((sl_name)n);
        assert_in_range(text.len, 2, SL_NAME_LONGEST);
        assert_int_equal(sl_name_find(text.ptr, text.len), n);
    }
    assert_int_equal(sl_name_text(0).len, 0);
    assert_null(sl_name_text(SL_NAMES).ptr);
}

/* A copy of exactly that length on the heap, so that the sanitizer sees a read beyond it. */
static sl_name find_alone(const char *text, size_t len)
{
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    if (len)
        memcpy(copy, text, len);
    sl_name name = sl_name_find(copy, len);
    free(copy);
    return name;
}

/* Every name, cut short, prolonged and with each of its bytes changed, is that name no more. */
static void near_names_are_not_found(void **state)
{
    (void)state;
    for (unsigned n = 1; n < SL_NAMES; n++) {
        struct sl_slice text = sl_name_text((sl_name)n);
        char near[SL_NAME_LONGEST + 1];
        memcpy(near, text.ptr, text.len);
        near[text.len] = '_';
        assert_int_equal(find_alone(near, text.len), n);
        assert_int_equal(find_alone(near, text.len + 1), 0);
        assert_int_not_equal(find_alone(near, text.len - 1), n);
        for (size_t i = 0; i < text.len; i++) {
            near[i] ^= 0x20; /* the other case */
            assert_int_not_equal(find_alone(near, text.len), n);
            near[i] ^= 0x20 ^ 0x80;
            assert_int_equal(find_alone(near, text.len), 0);
            near[i] ^= (char)0x80;
        }
    }
}

/* The answer compared with a plain search through all names, over words made of the bytes of names. */
static void random_words_agree_with_a_plain_search(void **state)
{
    (void)state;
    uint32_t x = 2463534242u;
    for (int round = 0; round < 20000; round++) {
        char word[SL_NAME_LONGEST + 4];
        x = x * 1664525u + 1013904223u;
        size_t len = (x >> 16) % sizeof word;
        for (size_t i = 0; i < len; i++) {
            x = x * 1664525u + 1013904223u;
            struct sl_slice from = sl_name_text((sl_name)(1 + (x >> 8) % (SL_NAMES - 1)));
            word[i] = from.ptr[i % from.len];
        }
        sl_name expected = 0;
        for (unsigned n = 1; n < SL_NAMES && !expected; n++)
            if (sl_slice_eq(sl_name_text((sl_name)n), (struct sl_slice){word, len}))
                expected = (sl_name)n;
        assert_int_equal(find_alone(word, len), expected);
    }
}

static void every_pair_of_node_and_name_is_exact(void **state)
{
    (void)state;
    for (unsigned node = 0; node < SL_R4_NODES; node++) {
        size_t count, found = 0;
        const struct sl_r4_element *elements = sl_r4_elements((sl_r4_node)node, &count);
        for (unsigned name = 0; name < SL_NAMES; name++)
            found += sl_r4_element((sl_r4_node)node, (sl_name)name) != NULL;
        assert_int_equal(found, count);
        for (size_t i = 0; i < count; i++) {
            assert_ptr_equal(sl_r4_element((sl_r4_node)node, elements[i].name), &elements[i]);
            assert_int_equal(elements[i].parent, node);
            assert_in_range(elements[i].node, 1, SL_R4_NODES - 1);
        }
    }
    assert_null(sl_r4_element(SL_R4_NODES, SL_NAME_id));
    assert_null(sl_r4_element(SL_R4_Patient, SL_NAMES));
    assert_null(sl_r4_element(0, SL_NAME_id));
}

/* An element by its path, "Claim.diagnosis.sequence"; the node of each step is that of the element before. */
static const struct sl_r4_element *element_at(const char *path)
{
    size_t len = strcspn(path, ".");
    sl_r4_node node = 0;
    for (unsigned n = 1; n < SL_R4_NODES && !node; n++)
        if (sl_slice_eq(sl_r4_node_name((sl_r4_node)n), (struct sl_slice){path, len}))
            node = (sl_r4_node)n;
    const struct sl_r4_element *element = NULL;
    for (path += len; *path == '.'; path += len) {
        len = strcspn(++path, ".");
        element = sl_r4_element(node, sl_name_find(path, len));
        if (!element)
            fail_msg("no element at %s", path);
        node = element->node;
    }
    return element;
}

/* Cardinalities, types and choices as the 4.0.1 pages of these types print them. */
static void shape_is_as_published(void **state)
{
    static const struct {
        const char *path, *type;
        unsigned flags; /* among MANY, REQUIRED, MODIFIER, PRIMITIVE, RESOURCE, REFERENCE */
    } facts[] = {
        {"Patient.id", "id", SL_R4_PRIMITIVE},
        {"Patient.name", "HumanName", SL_R4_MANY},
        {"Patient.birthDate", "date", SL_R4_PRIMITIVE},
        {"Patient.deceasedDateTime", "dateTime", SL_R4_PRIMITIVE | SL_R4_MODIFIER},
        {"Patient.resourceType", "code", SL_R4_PRIMITIVE | SL_R4_REQUIRED},
        {"Patient.contained", "Resource", SL_R4_MANY | SL_R4_RESOURCE},
        {"Patient.modifierExtension", "Extension", SL_R4_MANY | SL_R4_MODIFIER},
        {"HumanName.given", "string", SL_R4_PRIMITIVE | SL_R4_MANY},
        {"Condition.subject", "Reference", SL_R4_REQUIRED | SL_R4_REFERENCE},
        {"Condition.code", "CodeableConcept", 0},
        {"Condition.code.coding", "Coding", SL_R4_MANY},
        {"Condition.clinicalStatus", "CodeableConcept", SL_R4_MODIFIER},
        {"Condition.onsetAge", "Age", 0},
        {"Observation.status", "code", SL_R4_PRIMITIVE | SL_R4_REQUIRED | SL_R4_MODIFIER},
        {"Observation.code", "CodeableConcept", SL_R4_REQUIRED},
        {"Observation.component", "Observation.component", SL_R4_MANY},
        {"Observation.component.code", "CodeableConcept", SL_R4_REQUIRED},
        {"Observation.component.referenceRange", "Observation.referenceRange", SL_R4_MANY},
        {"Observation.valueSampledData.data", "string", SL_R4_PRIMITIVE},
        {"MedicationRequest.medicationReference", "Reference", SL_R4_REQUIRED | SL_R4_REFERENCE},
        {"MedicationRequest.dosageInstruction", "Dosage", SL_R4_MANY},
        {"MedicationRequest.dosageInstruction.timing.repeat.boundsPeriod.start", "dateTime", SL_R4_PRIMITIVE},
        {"Bundle.entry.link", "Bundle.link", SL_R4_MANY},
        {"Bundle.entry.resource", "Resource", SL_R4_RESOURCE},
        {"Bundle.entry.response.outcome", "Resource", SL_R4_RESOURCE},
        {"Parameters.parameter.part", "Parameters.parameter", SL_R4_MANY},
        {"Parameters.parameter.part.resource", "Resource", SL_R4_RESOURCE},
        {"QuestionnaireResponse.item.item", "QuestionnaireResponse.item", SL_R4_MANY},
        {"QuestionnaireResponse.item.answer.item.item.linkId", "string", SL_R4_PRIMITIVE | SL_R4_REQUIRED},
        {"Composition.section.section.section.entry", "Reference", SL_R4_MANY | SL_R4_REFERENCE},
        {"ValueSet.compose.exclude.concept.designation", "ValueSet.compose.include.concept.designation", SL_R4_MANY},
        {"Consent.provision.provision.actor.role", "CodeableConcept", SL_R4_REQUIRED},
        {"ExplanationOfBenefit.addItem.detail.adjudication.category", "CodeableConcept", SL_R4_REQUIRED},
        {"Provenance.target", "Reference", SL_R4_MANY | SL_R4_REQUIRED | SL_R4_REFERENCE},
        {"Extension.url", "uri", SL_R4_PRIMITIVE | SL_R4_REQUIRED},
        {"Extension.valueMeta.tag", "Coding", SL_R4_MANY},
        {"Narrative.div", "xhtml", SL_R4_PRIMITIVE | SL_R4_REQUIRED},
        {"Binary.data", "base64Binary", SL_R4_PRIMITIVE},
        {"Element.extension", "Extension", SL_R4_MANY},
        {"ExampleScenario.instance.resourceType", "code", SL_R4_PRIMITIVE | SL_R4_REQUIRED},
        {"EvidenceVariable.characteristic.participantEffectivePeriod", "Period", 0},
    };
    const unsigned looked_at =
        SL_R4_MANY | SL_R4_REQUIRED | SL_R4_MODIFIER | SL_R4_PRIMITIVE | SL_R4_RESOURCE | SL_R4_REFERENCE;
    (void)state;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        const struct sl_r4_element *element = element_at(facts[i].path);
        struct sl_slice type = sl_r4_node_name(element->node);
        if (!sl_slice_eq(type, sl_slice_of(facts[i].type)) || (element->flags & looked_at) != facts[i].flags)
            fail_msg("%s: %.*s, flags %x", facts[i].path, SL_FMT(type), element->flags & looked_at);
    }
}

static void what_is_not_of_r4_is_not_there(void **state)
{
    static const struct {
        sl_r4_node node;
        const char *name;
    } none[] = {
        {SL_R4_Patient, "animal"},
        {SL_R4_Patient, "value"},
        {SL_R4_Patient, "fhir_comments"},
        {SL_R4_Observation, "value"},
        {SL_R4_Condition, "onset"},
        {SL_R4_Observation, "valueAttachment"},
        {SL_R4_Meta, "project"},
        {SL_R4_Meta, "author"},
        {SL_R4_Binary, "text"},
        {SL_R4_Bundle, "contained"},
        {SL_R4_string, "extension"},
        {SL_R4_Element, "value"},
        {SL_R4_Coding, "resourceType"},
        {SL_R4_Period, "modifierExtension"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_null(sl_r4_element(none[i].node, sl_name_find(none[i].name, strlen(none[i].name))));
}

static void choices_are_grouped(void **state)
{
    (void)state;
    const struct sl_r4_element *concept = element_at("Observation.valueCodeableConcept");
    assert_int_not_equal(concept->choice, 0);
    assert_int_equal(concept->choice, element_at("Observation.valueString")->choice);
    assert_int_not_equal(concept->choice, element_at("Observation.effectivePeriod")->choice);
    assert_int_equal(element_at("Observation.status")->choice, 0);
}

/* One or more of each judgment: what the labels and cuts of a release rest on. */
static void judgments_are_as_written(void **state)
{
    static const struct {
        const char *path;
        unsigned has, has_not;
        enum sl_r4_reference reference;
    } facts[] = {
        {"Condition.code", SL_R4_CODED | SL_R4_DEFINES, SL_R4_PART, SL_REF_NONE},
        {"Condition.evidence.code", SL_R4_CODED | SL_R4_PART, SL_R4_DEFINES, SL_REF_NONE},
        {"Condition.bodySite", SL_R4_CODED, SL_R4_DEFINES, SL_REF_NONE},
        {"Condition.subject", SL_R4_PATIENT, 0, SL_REF_SUBJECT},
        {"Condition.encounter", 0, SL_R4_PATIENT, SL_REF_ORIGIN},
        {"Condition.recorder", SL_R4_AUTHOR, 0, SL_REF_ORIGIN},
        {"Condition.onsetDateTime", SL_R4_DATE, 0, SL_REF_NONE},
        {"Condition.note.text", SL_R4_TEXT, 0, SL_REF_NONE},
        {"Condition.text", SL_R4_TEXT, 0, SL_REF_NONE},
        {"Condition.code.text", SL_R4_STRING, SL_R4_TEXT, SL_REF_NONE},
        {"Condition.code.coding.display", SL_R4_STRING, 0, SL_REF_NONE},
        {"Encounter.serviceProvider", 0, 0, SL_REF_ORIGIN},
        {"Encounter.location.location", 0, 0, SL_REF_ORIGIN},
        {"Encounter.diagnosis.condition", 0, 0, SL_REF_MENTION},
        {"Encounter.participant.individual", SL_R4_PART, 0, SL_REF_MENTION},
        {"Encounter.reasonCode", SL_R4_CODED, SL_R4_DEFINES, SL_REF_NONE},
        {"Encounter.class", SL_R4_CODED | SL_R4_DEFINES, 0, SL_REF_NONE},
        {"Observation.performer", 0, 0, SL_REF_ORIGIN},
        {"Observation.hasMember", 0, 0, SL_REF_DEFINING},
        {"Observation.valueCodeableConcept", SL_R4_CODED | SL_R4_DEFINES, 0, SL_REF_NONE},
        {"Observation.component", 0, SL_R4_COUNTED, SL_REF_NONE},
        {"ServiceRequest.requester", SL_R4_AUTHOR, 0, SL_REF_ORIGIN},
        {"ServiceRequest.performer", 0, 0, SL_REF_MENTION},
        {"MedicationRequest.medicationReference", 0, 0, SL_REF_DEFINING},
        {"MedicationRequest.performer", 0, 0, SL_REF_MENTION},
        {"DiagnosticReport.result", 0, 0, SL_REF_DEFINING},
        {"DiagnosticReport.conclusion", SL_R4_TEXT, 0, SL_REF_NONE},
        {"DiagnosticReport.presentedForm", SL_R4_ATTACHMENT, 0, SL_REF_NONE},
        {"DocumentReference.custodian", 0, 0, SL_REF_ORIGIN},
        {"DocumentReference.content.attachment", SL_R4_ATTACHMENT, 0, SL_REF_NONE},
        {"Composition.section.code", SL_R4_CODED | SL_R4_PART, SL_R4_DEFINES, SL_REF_NONE},
        {"Composition.section.entry", 0, 0, SL_REF_MENTION},
        {"Composition.section.text", SL_R4_TEXT, 0, SL_REF_NONE},
        {"List.entry.item", 0, 0, SL_REF_MENTION},
        {"Group.member.entity", SL_R4_PATIENT, 0, SL_REF_MENTION},
        {"Group.characteristic.valueReference", 0, 0, SL_REF_DEFINING},
        {"Extension.valueUri", 0, 0, SL_REF_MENTION},
        {"Extension.url", 0, 0, SL_REF_NONE},
        {"Coding.system", 0, 0, SL_REF_NONE},
        {"Identifier.system", 0, 0, SL_REF_NONE},
        {"Meta.profile", 0, 0, SL_REF_NONE},
        {"Attachment.url", 0, 0, SL_REF_NONE},
        {"QuestionnaireResponse.questionnaire", 0, 0, SL_REF_MENTION},
        {"CarePlan.instantiatesUri", 0, 0, SL_REF_MENTION},
        {"DetectedIssue.reference", 0, 0, SL_REF_MENTION},
        {"Task.focus", 0, 0, SL_REF_DEFINING},
        {"Task.owner", 0, 0, SL_REF_MENTION},
        {"Task.requester", SL_R4_AUTHOR, 0, SL_REF_ORIGIN},
        {"PaymentNotice.request", 0, 0, SL_REF_DEFINING},
        {"Appointment.slot", 0, 0, SL_REF_ORIGIN},
        {"Slot.schedule", 0, 0, SL_REF_ORIGIN},
        {"Condition.asserter", SL_R4_AUTHOR, 0, SL_REF_ORIGIN},
        {"Procedure.performer.actor", SL_R4_AUTHOR, 0, SL_REF_ORIGIN},
        {"Procedure.performer.onBehalfOf", 0, 0, SL_REF_ORIGIN},
        {"Procedure.location", 0, 0, SL_REF_ORIGIN},
        {"Procedure.partOf", 0, 0, SL_REF_MENTION},
        {"Immunization.location", 0, 0, SL_REF_ORIGIN},
        {"Immunization.performer.actor", SL_R4_AUTHOR, 0, SL_REF_ORIGIN},
        {"ServiceRequest.locationReference", 0, 0, SL_REF_MENTION},
        {"DeviceUseStatement.device", 0, 0, SL_REF_DEFINING},
        {"DeviceUseStatement.source", SL_R4_AUTHOR, 0, SL_REF_ORIGIN},
        {"DeviceUseStatement.derivedFrom", 0, 0, SL_REF_DEFINING},
        {"ImagingStudy.location", 0, 0, SL_REF_ORIGIN},
        {"ImagingStudy.interpreter", SL_R4_AUTHOR, 0, SL_REF_ORIGIN},
        {"ImagingStudy.referrer", 0, 0, SL_REF_MENTION},
        {"ImagingStudy.numberOfSeries", SL_R4_COUNTED, 0, SL_REF_NONE},
        {"Specimen.collection.collector", SL_R4_AUTHOR, 0, SL_REF_ORIGIN},
        {"Specimen.parent", 0, 0, SL_REF_MENTION},
        {"MedicationDispense.performer.actor", SL_R4_AUTHOR, 0, SL_REF_ORIGIN},
        {"MedicationDispense.destination", 0, 0, SL_REF_MENTION},
        {"MedicationDispense.authorizingPrescription", 0, 0, SL_REF_MENTION},
        {"MedicationStatement.derivedFrom", 0, 0, SL_REF_DEFINING},
        {"Encounter.hospitalization.destination", 0, 0, SL_REF_MENTION},
        {"Encounter.partOf", 0, 0, SL_REF_ORIGIN},
        {"Encounter.diagnosis.rank", SL_R4_COUNTED, 0, SL_REF_NONE},
        {"EpisodeOfCare.managingOrganization", 0, 0, SL_REF_ORIGIN},
        {"EpisodeOfCare.careManager", 0, 0, SL_REF_MENTION},
        {"CareTeam.participant.member", SL_R4_PART, 0, SL_REF_MENTION},
        {"CarePlan.activity.reference", SL_R4_PART, 0, SL_REF_MENTION},
        {"Communication.sender", SL_R4_AUTHOR, 0, SL_REF_ORIGIN},
        {"Communication.recipient", 0, 0, SL_REF_MENTION},
        {"CommunicationRequest.sender", 0, 0, SL_REF_MENTION},
        {"Claim.provider", SL_R4_AUTHOR, 0, SL_REF_ORIGIN},
        {"Claim.insurer", 0, 0, SL_REF_MENTION},
        {"ExplanationOfBenefit.claim", 0, 0, SL_REF_DEFINING},
        {"Flag.code", SL_R4_CODED | SL_R4_DEFINES, 0, SL_REF_NONE},
        {"Linkage.item.resource", 0, 0, SL_REF_MENTION},
        {"Schedule.actor", SL_R4_PATIENT, 0, SL_REF_ORIGIN},
        {"Person.link.target", SL_R4_PATIENT, 0, SL_REF_SUBJECT},
        {"AuditEvent.entity.what", SL_R4_PATIENT | SL_R4_PART, 0, SL_REF_MENTION},
        {"VerificationResult.target", 0, 0, SL_REF_DEFINING},
        {"Contract.topicReference", 0, 0, SL_REF_DEFINING},
        {"Subscription.criteria", SL_R4_TEXT, 0, SL_REF_NONE},
        {"Group.quantity", SL_R4_COUNTED, 0, SL_REF_NONE},
        {"Patient.generalPractitioner", 0, 0, SL_REF_MENTION},
        {"Patient.managingOrganization", 0, 0, SL_REF_ORIGIN},
        {"Coverage.beneficiary", SL_R4_PATIENT, 0, SL_REF_SUBJECT},
        {"Coverage.payor", 0, SL_R4_PATIENT, SL_REF_MENTION},
        {"Appointment.participant.actor", SL_R4_PATIENT, 0, SL_REF_ORIGIN},
        {"Claim.diagnosis", SL_R4_COUNTED, 0, SL_REF_NONE},
        {"Claim.diagnosis.diagnosisCodeableConcept", SL_R4_CODED | SL_R4_DEFINES, 0, SL_REF_NONE},
        {"Provenance.target", 0, SL_R4_PATIENT, SL_REF_MENTION},
        {"Provenance.agent.who", 0, 0, SL_REF_ORIGIN},
        {"QuestionnaireResponse.item", 0, SL_R4_COUNTED, SL_REF_NONE},
        {"QuestionnaireResponse.item.answer.valueString", SL_R4_TEXT, 0, SL_REF_NONE},
        {"Meta.security", 0, SL_R4_CODED, SL_REF_NONE},
        {"Meta.tag", SL_R4_CODED, 0, SL_REF_NONE},
        {"Binary.data", SL_R4_ATTACHMENT, 0, SL_REF_NONE},
        {"Extension.valueReference", SL_R4_PART, 0, SL_REF_MENTION},
        {"Identifier.assigner", SL_R4_PART, 0, SL_REF_MENTION},
        {"Dosage.asNeededCodeableConcept", SL_R4_DEFINES, SL_R4_PART, SL_REF_NONE},
        {"Extension.valueCodeableConcept", SL_R4_CODED | SL_R4_PART, 0, SL_REF_NONE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        const struct sl_r4_element *element = element_at(facts[i].path);
        if ((element->flags & facts[i].has) != facts[i].has || (element->flags & facts[i].has_not) ||
            element->reference != facts[i].reference)
            fail_msg("%s: flags %x, reference %u", facts[i].path, element->flags, element->reference);
    }
}

/* No reference is without a kind and nothing else has one; concepts are coded; the patient is named by references. */
static void judgments_are_complete(void **state)
{
    (void)state;
    for (unsigned node = 1; node < SL_R4_NODES; node++) {
        size_t count;
        const struct sl_r4_element *e = sl_r4_elements((sl_r4_node)node, &count);
        for (size_t i = 0; i < count; i++) {
            bool reference = e[i].node == SL_R4_Reference, subject = e[i].reference == SL_REF_SUBJECT;
            bool uri = e[i].node == SL_R4_uri || e[i].node == SL_R4_url || e[i].node == SL_R4_canonical;
            assert_true(reference ? e[i].reference != SL_REF_NONE : e[i].reference == SL_REF_NONE || uri);
            assert_true(!uri || e[i].reference == SL_REF_NONE || e[i].reference == SL_REF_MENTION);
            assert_int_equal((e[i].flags & SL_R4_REFERENCE) != 0, reference);
            assert_true(!(e[i].flags & SL_R4_PATIENT) || reference);
            assert_true(!subject || (e[i].flags & SL_R4_PATIENT));
            if (e[i].node == SL_R4_CodeableConcept)
                assert_true(e[i].flags & SL_R4_CODED);
            if (e[i].node == SL_R4_Narrative)
                assert_true(e[i].flags & SL_R4_TEXT);
            if (e[i].node == SL_R4_Attachment)
                assert_true(e[i].flags & SL_R4_ATTACHMENT);
        }
    }
}

static void types_are_found_by_name(void **state)
{
    (void)state;
    for (unsigned node = 1; node < SL_R4_NODES; node++) {
        bool resource = node <= SL_R4_LAST_RESOURCE;
        assert_int_equal(sl_r4_is_resource((sl_r4_node)node), resource);
        assert_int_equal(sl_r4_resource(sl_r4_node_name((sl_r4_node)node)), resource ? node : 0);
        assert_int_equal(sl_r4_element((sl_r4_node)node, SL_NAME_resourceType) != NULL,
            resource || node == SL_R4_Resource || node == SL_R4_ExampleScenario_instance);
    }
    static const char *const none[] = {"", "P", "Patien", "Patientx", "patient", "SubscriptionStatus", "Resource"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(sl_r4_resource(sl_slice_of(none[i])), 0);
    assert_false(sl_r4_is_resource(0));
    assert_true(sl_slice_eq(sl_r4_node_name(SL_R4_Claim_diagnosis), SL_LIT("Claim.diagnosis")));
}

static void types_have_their_facts(void **state)
{
    (void)state;
    assert_int_equal(sl_r4_facts(SL_R4_Claim), SL_R4_WHOLE);
    assert_int_equal(sl_r4_facts(SL_R4_ExplanationOfBenefit), SL_R4_WHOLE);
    assert_int_equal(sl_r4_facts(SL_R4_Consent), SL_R4_WHOLE);
    assert_int_equal(sl_r4_facts(SL_R4_Organization), SL_R4_DIRECTORY);
    assert_int_equal(sl_r4_facts(SL_R4_ValueSet), SL_R4_DIRECTORY);
    assert_int_equal(sl_r4_facts(SL_R4_Binary), SL_R4_BY_ROUTE);
    assert_int_equal(sl_r4_facts(SL_R4_Observation), SL_R4_SCORED);
    assert_int_equal(sl_r4_facts(SL_R4_Patient), 0);
    assert_int_equal(sl_r4_facts(SL_R4_Device), 0);
    assert_int_equal(sl_r4_facts(SL_R4_NODES), 0);
    /* What is about no patient can hold none: no directory type is in the patient compartment or names a patient. */
    for (unsigned node = 1; node <= SL_R4_LAST_RESOURCE; node++) {
        size_t count;
        const struct sl_r4_element *e = sl_r4_elements((sl_r4_node)node, &count);
        if (!(sl_r4_facts((sl_r4_node)node) & SL_R4_DIRECTORY))
            continue;
        assert_null(*sl_r4_compartment((sl_r4_node)node));
        for (size_t i = 0; i < count; i++)
            assert_false(e[i].flags & SL_R4_PATIENT);
    }
}

static const struct sl_r4_param *param(sl_r4_node resource, const char *name)
{
    const struct sl_r4_param *found = sl_r4_param_find(resource, sl_slice_of(name));
    if (!found)
        fail_msg("no search parameter %s", name);
    return found;
}

static void assert_list(const char *const *list, const char *expected)
{
    char joined[512] = "";
    size_t len = 0;
    for (; *list; list++) {
        len += (size_t)snprintf(joined + len, sizeof joined - len, "%s%s", len ? " " : "", *list);
        assert_true(len < sizeof joined);
    }
    assert_string_equal(joined, expected);
}

static void compartment_is_as_published(void **state)
{
    (void)state;
    assert_list(sl_r4_compartment_of(SL_R4_Encounter, SL_R4_Condition), "encounter");
    assert_list(sl_r4_compartment_of(SL_R4_Practitioner, SL_R4_Condition), "asserter");
    assert_list(sl_r4_compartment_of(SL_R4_RelatedPerson, SL_R4_Patient), "link");
    assert_list(sl_r4_compartment_of(SL_R4_Device, SL_R4_Condition), "");
    assert_null(sl_r4_compartment_of(SL_R4_Organization, SL_R4_Condition));
    assert_list(sl_r4_compartment(SL_R4_Condition), "patient asserter");
    assert_list(sl_r4_compartment(SL_R4_Coverage), "policy-holder subscriber beneficiary payor");
    assert_list(sl_r4_compartment(SL_R4_Observation), "subject performer");
    assert_list(sl_r4_compartment(SL_R4_Organization), "");
    assert_list(sl_r4_compartment(0), "");
    for (unsigned node = 1; node <= SL_R4_LAST_RESOURCE; node++)
        for (const char *const *p = sl_r4_compartment((sl_r4_node)node); *p; p++)
            assert_int_equal(param((sl_r4_node)node, *p)->type, SL_PARAM_REFERENCE);
}

static void search_parameters_read_plain_paths(void **state)
{
    static const struct {
        sl_r4_node resource;
        const char *name;
        enum sl_r4_param_type type;
        const char *paths, *filter;
    } facts[] = {
        {SL_R4_Condition, "code", SL_PARAM_TOKEN, "Condition.code", NULL},
        {SL_R4_Condition, "patient", SL_PARAM_REFERENCE, "Condition.subject", "is Patient"},
        {SL_R4_Condition, "onset-date", SL_PARAM_DATE, "Condition.onsetDateTime Condition.onsetPeriod", NULL},
        {SL_R4_Condition, "_id", SL_PARAM_TOKEN, "Condition.id", NULL},
        {SL_R4_Condition, "_lastUpdated", SL_PARAM_DATE, "Condition.meta.lastUpdated", NULL},
        {SL_R4_Patient, "phone", SL_PARAM_TOKEN, "Patient.telecom", "system=phone"},
        {SL_R4_Patient, "name", SL_PARAM_STRING, "Patient.name", NULL},
        {SL_R4_Patient, "deceased", SL_PARAM_TOKEN, "Patient.deceasedBoolean Patient.deceasedDateTime", "exists"},
        {SL_R4_Patient, "death-date", SL_PARAM_DATE, "Patient.deceasedDateTime", NULL},
        {SL_R4_Observation, "date", SL_PARAM_DATE,
            "Observation.effectiveDateTime Observation.effectivePeriod Observation.effectiveTiming "
            "Observation.effectiveInstant",
            NULL},
        {SL_R4_Observation, "value-string", SL_PARAM_STRING,
            "Observation.valueString Observation.valueCodeableConcept.text", NULL},
        {SL_R4_MedicationRequest, "code", SL_PARAM_TOKEN, "MedicationRequest.medicationCodeableConcept", NULL},
        {SL_R4_MedicationRequest, "medication", SL_PARAM_REFERENCE, "MedicationRequest.medicationReference", NULL},
        {SL_R4_Goal, "target-date", SL_PARAM_DATE, "Goal.target.dueDate", NULL},
        {SL_R4_Appointment, "patient", SL_PARAM_REFERENCE, "Appointment.participant.actor", "is Patient"},
        {SL_R4_Bundle, "composition", SL_PARAM_REFERENCE, "Bundle.entry.resource", "first"},
        {SL_R4_Library, "depends-on", SL_PARAM_REFERENCE, "Library.relatedArtifact.resource",
            "relatedArtifact.type=depends-on"},
        {SL_R4_Library, "context", SL_PARAM_TOKEN, "Library.useContext.valueCodeableConcept", NULL},
        {SL_R4_Observation, "code-value-quantity", SL_PARAM_COMPOSITE, "Observation", NULL},
        {SL_R4_Observation, "combo-code-value-concept", SL_PARAM_COMPOSITE, "Observation Observation.component", NULL},
        {SL_R4_MolecularSequence, "chromosome-variant-coordinate", SL_PARAM_COMPOSITE, "", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        const struct sl_r4_param *p = param(facts[i].resource, facts[i].name);
        assert_int_equal(p->type, facts[i].type);
        assert_list(p->paths, facts[i].paths);
        assert_int_equal(p->filter == NULL, facts[i].filter == NULL);
        if (p->filter)
            assert_string_equal(p->filter, facts[i].filter);
    }
    assert_list(param(SL_R4_Condition, "subject")->targets, "Group Patient");
    assert_null(param(SL_R4_Condition, "code")->targets);
    assert_null(sl_r4_param_find(SL_R4_Condition, SL_LIT("cod")));
    assert_null(sl_r4_param_find(SL_R4_Condition, SL_LIT("phone")));
    assert_null(sl_r4_param_find(0, SL_LIT("_id")));
}

static void every_search_path_exists(void **state)
{
    (void)state;
    for (unsigned node = 1; node <= SL_R4_LAST_RESOURCE; node++) {
        size_t count;
        const struct sl_r4_param *params = sl_r4_params((sl_r4_node)node, &count);
        assert_true(count >= 6); /* _id, _lastUpdated, _profile, _security, _source, _tag */
        for (size_t i = 0; i < count; i++) {
            assert_ptr_equal(sl_r4_param_find((sl_r4_node)node, sl_slice_of(params[i].name)), &params[i]);
            assert_int_equal(params[i].targets != NULL, params[i].type == SL_PARAM_REFERENCE);
            for (const char *const *path = params[i].paths; *path; path++)
                assert_true(element_at(*path) || (params[i].components && !strchr(*path, '.')));
            for (const struct sl_r4_param *part = params[i].components; part && part->type != SL_PARAM_NONE; part++)
                assert_true(part->paths[0] && part->paths[0][0] == '.');
        }
    }
    const struct sl_r4_param *parts = param(SL_R4_Observation, "code-value-quantity")->components;
    assert_int_equal(parts[0].type, SL_PARAM_TOKEN);
    assert_list(parts[0].paths, ".code");
    assert_int_equal(parts[1].type, SL_PARAM_QUANTITY);
    assert_list(parts[1].paths, ".valueQuantity");
    assert_int_equal(parts[2].type, SL_PARAM_NONE);
}

static void summaries_are_as_published(void **state)
{
    (void)state;
    assert_int_equal(sl_r4_element(SL_R4_Condition, SL_NAME_code)->summary, 1);
    assert_int_equal(sl_r4_element(SL_R4_Condition, SL_NAME_note)->summary, 0);
    assert_int_equal(sl_r4_element(SL_R4_Patient, SL_NAME_contact)->summary, 0);
    assert_int_equal(sl_r4_element(SL_R4_Observation, SL_NAME_component)->summary, 1);
}

/* ---- The official examples: nothing in them is unknown to the table ---- */

/* Walks a value; what is unknown is printed and counted. Depth is bounded by the parse. */
static unsigned walk(const struct sl_doc *doc, uint32_t span, sl_r4_node node, const char *where)
{
    unsigned unknown = 0;
    if (doc->spans[span].type == SL_SPAN_ARRAY) {
        for (uint32_t c = span + 1; c < doc->spans[span].next; c = doc->spans[c].next)
            unknown += walk(doc, c, node, where);
        return unknown;
    }
    if (doc->spans[span].type != SL_SPAN_OBJECT)
        return 0;
    if (node == SL_R4_Resource) {
        uint32_t type = sl_span_member(doc, span, SL_NAME_resourceType);
        node = type ? sl_r4_resource(sl_span_raw(doc, type)) : 0;
    }
    for (uint32_t c = span + 1; c < doc->spans[span].next; c = doc->spans[c].next) {
        const struct sl_r4_element *element = sl_r4_element(node, doc->spans[c].name);
        bool sibling = doc->spans[c].flags & SL_SPAN_SIBLING;
        if (!element || (sibling && !(element->flags & SL_R4_PRIMITIVE))) {
            struct sl_slice key = sl_span_key(doc, c), type = sl_r4_node_name(node);
            print_error("%s: %.*s has no %.*s\n", where, SL_FMT(type), SL_FMT(key));
            unknown++;
            continue;
        }
        unknown += walk(doc, c, sibling ? SL_R4_Element : element->node, where);
    }
    return unknown;
}

static unsigned walk_text(struct sl_slice text, const char *where)
{
    struct sl_arena *arena = sl_arena_new((size_t)256 << 20);
    struct sl_doc doc;
    assert_non_null(arena);
    if (sl_doc_parse(arena, text, NULL, &doc, NULL) != SL_OK)
        fail_msg("%s does not parse", where);
    unsigned unknown = walk(&doc, 0, SL_R4_Resource, where);
    sl_arena_free(arena);
    return unknown;
}

/* Reads one file of a tar stream; false at its end. *text is the caller's to free. */
static bool next_of_tar(FILE *tar, char name[101], char *kind, struct sl_slice *text)
{
    char header[512], *bytes;
    if (fread(header, 1, sizeof header, tar) != sizeof header || header[0] == '\0')
        return false;
    memcpy(name, header, 100);
    name[100] = '\0';
    *kind = header[156];
    header[124 + 11] = '\0';
    size_t len = strtoul(header + 124, NULL, 8), padded = (len + 511) / 512 * 512;
    bytes = malloc(padded + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, padded, tar), padded);
    *text = (struct sl_slice){bytes, len};
    return true;
}

/* gzip's output as a stream, without a shell between. */
static FILE *gunzip(const char *path, pid_t *child)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    *child = fork();
    assert_true(*child >= 0);
    if (*child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execlp("gzip", "gzip", "-dc", path, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *stream = fdopen(ends[0], "r");
    assert_non_null(stream);
    return stream;
}

static void official_examples_hold_nothing_unknown(void **state)
{
    static const char path[] = SLUICE_SHARED "/data/fhir-r4/r4-examples/r4-examples.tar.gz";
    char name[101], kind;
    unsigned files = 0, unknown = 0;
    struct sl_slice text;
    (void)state;
    if (access(path, R_OK) != 0) {
        print_message("skipped: there is no %s\n", path);
        skip();
    }
    pid_t child;
    FILE *tar = gunzip(path, &child);
    while (next_of_tar(tar, name, &kind, &text)) {
        size_t len = strlen(name);
        if (kind == '0' && len > 5 && strcmp(name + len - 5, ".json") == 0 && text.ptr[0] == '{') {
            unknown += walk_text(text, name);
            files++;
        }
        free((char *)(uintptr_t)text.ptr);
    }
    fclose(tar);
    assert_int_equal(waitpid(child, NULL, 0), child);
    print_message("%u examples walked\n", files);
    assert_in_range(files, 700, 1000);
    assert_int_equal(unknown, 0);
}

/* The walk itself sees what is unknown. */
static void the_walk_can_fail(void **state)
{
    (void)state;
    static const char known[] =
        "{\"resourceType\":\"Patient\",\"_birthDate\":{\"id\":\"a\"},\"name\":[{\"given\":[\"x\"]}]}";
    static const char three[] = "{\"resourceType\":\"Patient\",\"species\":1,\"_name\":[{}],\"name\":[{\"code\":1}]}";
    assert_int_equal(walk_text(SL_LIT(known), "own"), 0);
    assert_int_equal(walk_text(SL_LIT(three), "own"), 3);
    assert_int_equal(walk_text(SL_LIT("{\"resourceType\":\"Nothing\",\"id\":\"x\"}"), "own"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_is_found),
        cmocka_unit_test(near_names_are_not_found),
        cmocka_unit_test(random_words_agree_with_a_plain_search),
        cmocka_unit_test(every_pair_of_node_and_name_is_exact),
        cmocka_unit_test(shape_is_as_published),
        cmocka_unit_test(what_is_not_of_r4_is_not_there),
        cmocka_unit_test(choices_are_grouped),
        cmocka_unit_test(judgments_are_as_written),
        cmocka_unit_test(judgments_are_complete),
        cmocka_unit_test(types_are_found_by_name),
        cmocka_unit_test(types_have_their_facts),
        cmocka_unit_test(compartment_is_as_published),
        cmocka_unit_test(search_parameters_read_plain_paths),
        cmocka_unit_test(every_search_path_exists),
        cmocka_unit_test(summaries_are_as_published),
        cmocka_unit_test(the_walk_can_fail),
        cmocka_unit_test(official_examples_hold_nothing_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
