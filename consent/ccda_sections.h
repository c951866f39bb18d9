/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which sections the document types of C-CDA R2.1 require ("SHALL contain exactly one"), by the template of the
 * document and the LOINC code of the section, and the headings we give those that have nothing to say. Facts of the HL7
 * C-CDA implementation guide; the headings are ours. LOINC codes: see the notice in consent/terminology/README.md.
 */
#ifndef SLUICE_CONSENT_CCDA_SECTIONS_H
#define SLUICE_CONSENT_CCDA_SECTIONS_H

#include "ccda.h"

/* The identifier of the section that holds our notice, so that it is known again. */
#define SL_CDA_NOTICE_ID "6d1b3cfe-63b2-4a7f-8d0c-52a4c0ed6f7a"
#define SL_CDA_NO_INFORMATION "No information."

struct sl_cda_section {
    const char *code, *title;
};

static const struct sl_cda_section sl_cda_headings[] = {
    {"48765-2", "Allergies and Intolerances"},
    {"10160-0", "Medications"},
    {"11450-4", "Problems"},
    {"47519-4", "Procedures"},
    {"30954-2", "Results"},
    {"29762-2", "Social History"},
    {"8716-3", "Vital Signs"},
    {"10164-2", "History of Present Illness"},
    {"8648-8", "Hospital Course"},
    {"11535-2", "Discharge Diagnosis"},
    {"18776-5", "Plan of Treatment"},
    {"10157-6", "Family History"},
    {"10210-3", "General Status"},
    {"11348-0", "Past Medical History"},
    {"29545-1", "Physical Examination"},
    {"10187-3", "Review of Systems"},
    {"59774-0", "Anesthesia"},
    {"55109-3", "Complications"},
    {"10218-6", "Postoperative Diagnosis"},
    {"10219-4", "Preoperative Diagnosis"},
    {"59770-8", "Estimated Blood Loss"},
    {"59776-5", "Procedure Findings"},
    {"59773-2", "Specimens Taken"},
    {"29554-3", "Procedure Description"},
    {"59768-2", "Procedure Indications"},
    {"59769-0", "Postprocedure Diagnosis"},
    {"42349-1", "Reason for Referral"},
    {"75310-3", "Health Concerns"},
    {"61146-7", "Goals"},
    {"18782-3", "Findings"},
};
#define SL_CDA_HEADINGS (sizeof sl_cda_headings / sizeof *sl_cda_headings)

#define CCD "2.16.840.1.113883.10.20.22.1.2"
#define HISTORY_AND_PHYSICAL "2.16.840.1.113883.10.20.22.1.3"
#define CONSULTATION "2.16.840.1.113883.10.20.22.1.4"
#define IMAGING_REPORT "2.16.840.1.113883.10.20.22.1.5"
#define PROCEDURE_NOTE "2.16.840.1.113883.10.20.22.1.6"
#define OPERATIVE_NOTE "2.16.840.1.113883.10.20.22.1.7"
#define DISCHARGE_SUMMARY "2.16.840.1.113883.10.20.22.1.8"
#define TRANSFER_SUMMARY "2.16.840.1.113883.10.20.22.1.13"
#define REFERRAL_NOTE "2.16.840.1.113883.10.20.22.1.14"
#define CARE_PLAN "2.16.840.1.113883.10.20.22.1.15"

static const struct {
    const char *document, *code;
} sl_cda_required[] = {
    {CCD, "48765-2"},
    {CCD, "10160-0"},
    {CCD, "11450-4"},
    {CCD, "47519-4"},
    {CCD, "30954-2"},
    {CCD, "29762-2"},
    {CCD, "8716-3"},
    {HISTORY_AND_PHYSICAL, "48765-2"},
    {HISTORY_AND_PHYSICAL, "10157-6"},
    {HISTORY_AND_PHYSICAL, "10210-3"},
    {HISTORY_AND_PHYSICAL, "11348-0"},
    {HISTORY_AND_PHYSICAL, "10160-0"},
    {HISTORY_AND_PHYSICAL, "29545-1"},
    {HISTORY_AND_PHYSICAL, "30954-2"},
    {HISTORY_AND_PHYSICAL, "10187-3"},
    {HISTORY_AND_PHYSICAL, "29762-2"},
    {HISTORY_AND_PHYSICAL, "8716-3"},
    {CONSULTATION, "48765-2"},
    {CONSULTATION, "10164-2"},
    {CONSULTATION, "11450-4"},
    {IMAGING_REPORT, "18782-3"},
    {PROCEDURE_NOTE, "55109-3"},
    {PROCEDURE_NOTE, "29554-3"},
    {PROCEDURE_NOTE, "59768-2"},
    {PROCEDURE_NOTE, "59769-0"},
    {OPERATIVE_NOTE, "59774-0"},
    {OPERATIVE_NOTE, "55109-3"},
    {OPERATIVE_NOTE, "10218-6"},
    {OPERATIVE_NOTE, "10219-4"},
    {OPERATIVE_NOTE, "59770-8"},
    {OPERATIVE_NOTE, "59776-5"},
    {OPERATIVE_NOTE, "59773-2"},
    {OPERATIVE_NOTE, "29554-3"},
    {DISCHARGE_SUMMARY, "48765-2"},
    {DISCHARGE_SUMMARY, "8648-8"},
    {DISCHARGE_SUMMARY, "11535-2"},
    {DISCHARGE_SUMMARY, "18776-5"},
    {TRANSFER_SUMMARY, "48765-2"},
    {TRANSFER_SUMMARY, "10160-0"},
    {TRANSFER_SUMMARY, "11450-4"},
    {TRANSFER_SUMMARY, "30954-2"},
    {TRANSFER_SUMMARY, "8716-3"},
    {TRANSFER_SUMMARY, "42349-1"},
    {REFERRAL_NOTE, "11450-4"},
    {REFERRAL_NOTE, "10160-0"},
    {REFERRAL_NOTE, "48765-2"},
    {REFERRAL_NOTE, "42349-1"},
    {CARE_PLAN, "75310-3"},
    {CARE_PLAN, "61146-7"},
};
#define SL_CDA_REQUIRED (sizeof sl_cda_required / sizeof *sl_cda_required)

static inline const struct sl_cda_section *sl_cda_heading(struct sl_slice code)
{
    for (size_t i = 0; i < SL_CDA_HEADINGS; i++)
        if (sl_slice_eq(code, sl_slice_of(sl_cda_headings[i].code)))
            return &sl_cda_headings[i];
    return NULL;
}

/* The kind of section this is, where a template of the document requires it; else NULL. ccda_cut.c. */
const struct sl_cda_section *sl_cda_required_section(const struct cda_doc *doc, uint32_t section);

#endif
