/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What R4 asks of an object beyond its required elements: the invariants by which an object has no meaning, or is not
 * valid, without one of a few of its elements. An object that cuts have left without any goes itself, so that no hollow
 * shell tells of a cut. The sources are the invariants of the types in FHIR 4.0.1, by their names. And what would say
 * another thing without one of its elements: those that FHIR 4.0.1 marks is-modifier (docs/decisions/0037).
 */
#include "segmenting.h"

#include "sluice/fault.h"

#define NAMES 4

struct shape {
    sl_r4_node node;
    bool choice; /* any of its choices will do: value[x] */
    sl_name names[NAMES];
};

static const struct shape shapes[] = {
    {SL_R4_Extension, true, {SL_NAME_extension}},                                       /* ext-1 */
    {SL_R4_Parameters_parameter, true, {SL_NAME_resource, SL_NAME_part}},               /* inv-1 */
    {SL_R4_Composition_section, false, {SL_NAME_text, SL_NAME_entry, SL_NAME_section}}, /* cmp-1 */
    {SL_R4_CarePlan_activity, false, {SL_NAME_reference, SL_NAME_detail}},              /* what is to be done */
    {SL_R4_RequestGroup_action, false, {SL_NAME_resource, SL_NAME_action}},             /* rqg-1 */
    {SL_R4_Condition_stage, false, {SL_NAME_summary, SL_NAME_assessment}},              /* con-1 */
    {SL_R4_Condition_evidence, false, {SL_NAME_code, SL_NAME_detail}},                  /* con-2 */
    {SL_R4_DetectedIssue_evidence, false, {SL_NAME_code, SL_NAME_detail}},              /* the same */
    {SL_R4_Immunization_education, false, {SL_NAME_documentType, SL_NAME_reference}},   /* imm-1 */
    {SL_R4_Patient_contact, false, {SL_NAME_name, SL_NAME_telecom, SL_NAME_address, SL_NAME_organization}}, /* pat-1 */
    {SL_R4_AppointmentResponse, false, {SL_NAME_participantType, SL_NAME_actor}},                           /* apr-1 */
    {SL_R4_Appointment_participant, false, {SL_NAME_type, SL_NAME_actor}},                                  /* app-1 */
    {SL_R4_NutritionOrder, false, {SL_NAME_oralDiet, SL_NAME_supplement, SL_NAME_enteralFormula}},          /* nor-1 */
    {SL_R4_QuestionnaireResponse_item, false, {SL_NAME_answer, SL_NAME_item}}, /* a question whose answer went */
    {SL_R4_QuestionnaireResponse_item_answer, true, {0}},                      /* an answer of nothing but questions */
    {SL_R4_ClinicalImpression_finding, true, {SL_NAME_itemCodeableConcept, SL_NAME_itemReference}}, /* of what */
};

static bool fits(const struct shape *shape, const struct sl_r4_element *element)
{
    if (shape->choice && element->choice)
        return true;
    for (unsigned i = 0; i < NAMES && shape->names[i]; i++)
        if (element->name == shape->names[i])
            return true;
    return false;
}

/* `gone`: what has been cut; NULL: nothing. */
static bool holds_one(const struct sl_doc *doc, const struct sl_gone *gone, const struct shape *shape, uint32_t object)
{
    const struct sl_span *spans = doc->spans;
    for (uint32_t c = object + 1; c < spans[object].next; c = spans[c].next) {
        const struct sl_r4_element *element = sl_r4_element(shape->node, spans[c].name);
        if (element && !(gone && sl_gone_has(gone, c)) && fits(shape, element))
            return true;
    }
    return false;
}

static bool is_lost(const struct sl_gone *gone, uint32_t object, sl_name name)
{
    uint32_t member = sl_span_member(gone->doc, object, name);
    return member && sl_gone_has(gone, member);
}

/* A Period without its start or its end says another thing than it did: that it has no bound there. So it would match
 * searches that it does not match in the record, and who asks day by day would find the bound that was cut. */
static bool is_half_period(const struct sl_gone *gone, const struct sl_step *object)
{
    return object->node == SL_R4_Period &&
           (is_lost(gone, object->span, SL_NAME_start) || is_lost(gone, object->span, SL_NAME_end));
}

bool sl_shape_hollow(const struct sl_gone *gone, const struct sl_step *object, const struct sl_r4_element *lost)
{
    if (is_half_period(gone, object))
        return true;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (shapes[i].node == object->node)
            return lost && fits(&shapes[i], lost) && !holds_one(gone->doc, gone, &shapes[i], object->span);
    return false;
}

/* ---- Modifiers ---- */

static bool is_link(const struct sl_r4_element *element)
{
    return element->name == SL_NAME_link && element->parent == SL_R4_Patient;
}

/* What R4 does not mark, though a dose without it is another dose: that it is to be taken as needed alone, and at most
 * how much. */
static bool bounds_dose(const struct sl_r4_element *element)
{
    static const sl_name names[] = {SL_NAME_asNeededBoolean, SL_NAME_asNeededCodeableConcept, SL_NAME_maxDosePerPeriod,
        SL_NAME_maxDosePerAdministration, SL_NAME_maxDosePerLifetime};
    if (element->parent != SL_R4_Dosage && element->parent != SL_R4_ServiceRequest)
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (element->name == names[i])
            return true;
    return false;
}

bool sl_shape_is_modifier(const struct sl_r4_element *element)
{
    return element->flags & SL_R4_MODIFIER || bounds_dose(element);
}

/* An extension changes nothing of what it stands in, and words say what the code beside them says. But what stands in
 * a modifierExtension is all that it says. */
bool sl_shape_is_of_modifier(const struct sl_step *above, const struct sl_step *step)
{
    const struct sl_r4_element *modifier = above->element;
    if (!step->element || (step->element->name == SL_NAME_extension && above->node != SL_R4_Extension) ||
        (step->element->flags & SL_R4_STRING && step->element->parent != SL_R4_Extension))
        return false;
    return above->of_modifier || (modifier && modifier->flags & SL_R4_MODIFIER && !above->half && !is_link(modifier));
}

static bool is_replaced(const struct sl_doc *doc, uint32_t link)
{
    uint32_t type = doc->spans[link].type == SL_SPAN_OBJECT ? sl_span_member(doc, link, SL_NAME_type) : 0;
    return type && sl_span_is(doc, type, SL_LIT("replaced-by"));
}

/* Of what links a Patient, one link says that this record is not to be used: unless the record says so besides. */
static bool tells_of_replacement(const struct sl_gone *gone, const struct sl_step *steps, unsigned i)
{
    const struct sl_doc *doc = gone->doc;
    uint32_t active = sl_span_member(doc, steps[0].span, SL_NAME_active), span = steps[i].span;
    if (active && !sl_gone_has(gone, active) && doc->spans[active].type == SL_SPAN_FALSE)
        return false;
    if (doc->spans[span].type != SL_SPAN_ARRAY)
        return is_replaced(doc, span);
    for (uint32_t c = span + 1; c < doc->spans[span].next; c = doc->spans[c].next)
        if (is_replaced(doc, c) && (sl_gone_has(gone, c) || sl_gone_has(gone, span)))
            return true;
    return false;
}

/* The '_' half of a value that stays is no loss. */
static bool is_beside_value(const struct sl_gone *gone, const struct sl_step *steps, unsigned i)
{
    const struct sl_span *spans = gone->doc->spans;
    uint32_t value = steps[i].half && spans[steps[i].span].name
                         ? sl_span_member(gone->doc, steps[i - 1].span, spans[steps[i].span].name)
                         : 0;
    return value && !sl_gone_has(gone, value);
}

bool sl_shape_turns(const struct sl_gone *gone, const struct sl_step *steps, unsigned i)
{
    const struct sl_r4_element *element = steps[i].element;
    if (!element || sl_fault(SL_FAULT_MODIFIER_ALONE))
        return false;
    if (steps[i].of_modifier)
        return true;
    if (!sl_shape_is_modifier(element) || is_beside_value(gone, steps, i))
        return false;
    return !is_link(element) || tells_of_replacement(gone, steps, i);
}

/* ---- What it says ---- */

bool sl_shape_says(const struct sl_doc *doc, uint32_t object, sl_r4_node node)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (shapes[i].node == node)
            return holds_one(doc, NULL, &shapes[i], object);
    return true;
}

/* lnk-1: a Linkage says that two records or more are about the same. */
bool sl_shape_too_few(const struct sl_gone *gone, const struct sl_step *array)
{
    const struct sl_span *spans = gone->doc->spans;
    if (!array->element || array->element->parent != SL_R4_Linkage || array->element->name != SL_NAME_item)
        return false;
    unsigned left = 0;
    for (uint32_t c = array->span + 1; c < spans[array->span].next && left < 2; c = spans[c].next)
        left += !sl_gone_has(gone, c) && spans[c].type != SL_SPAN_NULL;
    return left < 2;
}
