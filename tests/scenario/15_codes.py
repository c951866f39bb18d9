# SPDX-License-Identifier: Apache-2.0
import copy
import json
import subprocess

import house

SCT, ICD = "http://snomed.info/sct", "http://hl7.org/fhir/sid/icd-10-cm"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
HCPCS, CPT = "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", "http://www.ama-assn.org/go/cpt"
PCS, BLUE = "http://www.cms.gov/Medicare/Coding/ICD10", "https://bluebutton.cms.gov/resources/codesystem/icd-10-cm"


def concept(system, code):
    return {"coding": [{"system": system, "code": code}]}


PLAIN, OUD, HIV = concept(SCT, "38341003"), concept(SCT, "75544000"), concept(SCT, "86406008")
CODING = OUD["coding"][0]
PATIENT = {"reference": "Patient/p"}
BILL = {"status": "active", "type": PLAIN, "use": "claim", "patient": PATIENT, "created": "2026-01-01",
        "provider": {"display": "x"}, "insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "c"}}]}

# What each type has besides the code in question.
BASE = {
    "Condition": {"code": PLAIN, "subject": PATIENT},
    "Observation": {"status": "final", "code": PLAIN, "subject": PATIENT},
    "Claim": {**BILL, "priority": PLAIN},
    "ExplanationOfBenefit": {**BILL, "outcome": "complete", "insurer": {"display": "x"}},
    "MedicationRequest": {"status": "active", "intent": "order", "subject": PATIENT,
                          "medicationCodeableConcept": concept(RXNORM, "314076")},
    "Medication": {"code": concept(RXNORM, "314076")},
    "Encounter": {"status": "finished", "subject": PATIENT},
    "Procedure": {"status": "completed", "code": PLAIN, "subject": PATIENT},
    "ServiceRequest": {"status": "active", "intent": "order", "code": PLAIN, "subject": PATIENT},
    "CarePlan": {"status": "active", "intent": "plan", "subject": PATIENT},
    "CareTeam": {"subject": PATIENT},
    "Goal": {"lifecycleStatus": "active", "description": PLAIN, "subject": PATIENT},
    "FamilyMemberHistory": {"status": "completed", "patient": PATIENT, "relationship": PLAIN},
    "AllergyIntolerance": {"patient": PATIENT, "code": PLAIN},
    "DiagnosticReport": {"status": "final", "code": PLAIN, "subject": PATIENT},
    "DocumentReference": {"status": "current", "type": PLAIN, "subject": PATIENT},
    "Composition": {"status": "final", "type": PLAIN, "date": "2026", "title": "t", "subject": PATIENT},
    "QuestionnaireResponse": {"status": "completed", "subject": PATIENT},
    "Parameters": {},
    "Group": {"type": "person", "actual": True},
    "Flag": {"status": "active", "subject": PATIENT},
    "Appointment": {"status": "booked", "participant": [{"actor": PATIENT, "status": "accepted"}]},
    "Immunization": {"status": "completed", "patient": PATIENT,
                     "vaccineCode": concept("http://hl7.org/fhir/sid/cvx", "08")},
    "Task": {"status": "ready", "intent": "order", "for": PATIENT, "code": PLAIN},
    "RiskAssessment": {"status": "final", "subject": PATIENT},
    "ClinicalImpression": {"status": "completed", "subject": PATIENT},
    "EpisodeOfCare": {"status": "active", "patient": PATIENT},
    "Specimen": {"subject": PATIENT},
    "ChargeItem": {"status": "billable", "subject": PATIENT},
    "DetectedIssue": {"status": "final", "patient": PATIENT},
    "Device": {"patient": PATIENT},
    "Consent": {"status": "active", "scope": PLAIN, "category": [PLAIN], "patient": PATIENT},
}

# Type, path to where the code stands (a number: an array with that many entries, the last of them), the code, what it
# earns, and whom: "whole" the resource, "part" an element alone, "any" one of them.
CASES = [
    ("Condition", "code", OUD, "sud", "whole"),
    ("Condition", "extension/1/valueCoding", CODING, "sud", "part"),
    ("Condition", "extension/1/valueCodeableConcept", OUD, "sud", "part"),
    ("Condition", "extension/2/extension/1/valueCodeableConcept", OUD, "sud", "part"),
    ("Condition", "_recordedDate/extension/1/valueCoding", CODING, "sud", "part"),
    ("Condition", "code/coding/1/extension/1/valueCoding", CODING, "sud", "any"),
    ("Condition", "stage/1/summary", OUD, "sud", "any"),
    ("Condition", "evidence/1/code/1", OUD, "sud", "any"),
    ("Condition", "category/1", OUD, "sud", "any"),
    ("Condition", "severity", OUD, "sud", "any"),
    ("Condition", "meta/tag/1", CODING, "sud", "any"),
    ("Condition", "code/coding/3", CODING, "sud", "whole"),
    ("Condition", "code", {"coding": [{"system": ICD, "version": "2026", "code": "f11.20", "userSelected": True}]},
     "sud", "whole"),
    ("Observation", "valueCodeableConcept", OUD, "sud", "whole"),
    ("Observation", "component/1/code", OUD, "sud", "any"),
    ("Observation", "component/2/valueCodeableConcept", OUD, "sud", "any"),
    ("Observation", "interpretation/1", OUD, "sud", "any"),
    ("Observation", "method", OUD, "sud", "any"),
    ("Medication", "ingredient/1/itemCodeableConcept", concept(RXNORM, "351266"), "sud", "whole"),
    ("MedicationRequest", "medicationCodeableConcept", concept(RXNORM, "351266"), "sud", "whole"),
    ("MedicationRequest", "contained/1", {"resourceType": "Medication", "id": "m", "code": concept(RXNORM, "351266")},
     None, "contained"),
    ("MedicationRequest", "reasonCode/1", OUD, "sud", "part"),
    ("Encounter", "reasonCode/1", OUD, "sud", "part"),
    ("Claim", "diagnosis/1/diagnosisCodeableConcept", concept(ICD, "F11.20"), "sud", "whole"),
    ("Claim", "item/1/productOrService", concept(CPT, "H0020"), "sud", "whole"),
    ("Claim", "item/1/revenue", concept("https://www.nubc.org/CodeSystem/RevenueCodes", "0906"), "sud", "whole"),
    ("ExplanationOfBenefit", "item/1/revenue", concept("https://www.nubc.org/CodeSystem/RevenueCodes", "914"), "mental-health", "whole"),
    ("Claim", "item/1/productOrService", concept(CPT, "99408"), "sud", "whole"),
    ("Claim", "item/1/modifier/1", concept(HCPCS, "H0020"), "sud", "whole"),
    ("Claim", "item/1/detail/1/productOrService", concept(HCPCS, "f1120"), "sud", "whole"),
    ("Claim", "procedure/1/procedureCodeableConcept", concept(PCS, "HZ2ZZZZ"), "sud", "whole"),
    ("Claim", "extension/1/valueCoding", {"system": ICD, "code": "F1120"}, "sud", "whole"),
    ("ExplanationOfBenefit", "diagnosis/1/diagnosisCodeableConcept", concept(BLUE, "F1120"), "sud", "whole"),
    ("ExplanationOfBenefit", "diagnosis/1/diagnosisCodeableConcept", concept(BLUE, "H0020"), "sud", "whole"),
    ("ExplanationOfBenefit", "supportingInfo/1/code", concept(ICD, "F1120"), "sud", "whole"),
    ("QuestionnaireResponse", "item/1/answer/1/valueCoding", CODING, "sud", "any"),
    ("QuestionnaireResponse", "item/1/item/1/answer/1/item/1/answer/1/valueCoding", CODING, "sud", "any"),
    ("Parameters", "parameter/1/valueCoding", CODING, "sud", "any"),
    ("Parameters", "parameter/1/part/1/valueCodeableConcept", OUD, "sud", "any"),
    ("Procedure", "reasonCode/1", OUD, "sud", "part"),
    ("Procedure", "followUp/1", OUD, "sud", "any"),
    ("ServiceRequest", "orderDetail/1", OUD, "sud", "any"),
    ("CarePlan", "activity/1/detail/code", OUD, "sud", "any"),
    ("CarePlan", "category/1", concept(SCT, "718347000"), "mental-health", "any"),
    ("CareTeam", "reasonCode/1", OUD, "sud", "any"),
    ("Goal", "description", OUD, "sud", "whole"),
    ("Goal", "target/1/measure", OUD, "sud", "any"),
    ("FamilyMemberHistory", "condition/1/code", OUD, "sud", "any"),
    ("AllergyIntolerance", "reaction/1/substance", concept(RXNORM, "351266"), "sud", "any"),
    ("DiagnosticReport", "conclusionCode/1", OUD, "sud", "any"),
    ("DocumentReference", "context/event/1", OUD, "sud", "any"),
    ("Composition", "section/1/code", OUD, "sud", "any"),
    ("Group", "characteristic/1/valueCodeableConcept", OUD, "sud", "any"),
    ("Flag", "code", OUD, "sud", "whole"),
    ("Appointment", "reasonCode/1", OUD, "sud", "any"),
    ("Appointment", "serviceType/1", concept(SCT, "394587001"), "mental-health", "any"),
    ("Immunization", "reasonCode/1", HIV, "hiv", "any"),
    ("Task", "input/1/valueCodeableConcept", OUD, "sud", "any"),
    ("RiskAssessment", "prediction/1/outcome", OUD, "sud", "any"),
    ("ClinicalImpression", "finding/1/itemCodeableConcept", OUD, "sud", "any"),
    ("EpisodeOfCare", "type/1", concept(SCT, "266707007"), "sud", "any"),
    ("Specimen", "type", OUD, "sud", "any"),
    ("ChargeItem", "code", concept(HCPCS, "H0020"), "sud", "whole"),
    ("DetectedIssue", "code", OUD, "sud", "whole"),
    ("Device", "type", concept(SCT, "65200003"), "other-evidence", "any"),
    ("Consent", "provision/code/1", OUD, "sud", "any"),
    # Evidence that is weak earns an evidence class and no other.
    ("Observation", "code", concept(SCT, "171207006"), "mental-health-evidence", "whole"),
    ("Observation", "code", concept(SCT, "171207006"), "-mental-health", "none"),
    # What nobody knows.
    ("Condition", "code", concept("http://example.org/local", "123"), "unclassified", "whole"),
    ("MedicationRequest", "medicationCodeableConcept", concept("http://hl7.org/fhir/sid/ndc", "00406575501"), "unclassified", "whole"),
    ("Condition", "code", concept(SCT, "abc"), "unclassified", "whole"),
    ("Condition", "code", concept(SCT, "38341004"), "unclassified", "whole"),
    ("Condition", "code", {"coding": [{"code": "zzz"}]}, "unclassified", "whole"),
    ("Condition", "code", {"text": "something"}, "unclassified", "whole"),
    ("Condition", "code", PLAIN, "-unclassified", "none"),
    # A modifier nobody understands withholds.
    ("Condition", "modifierExtension/1", {"url": "http://example.org/not", "valueBoolean": True}, None, "unlabelled"),
    ("Observation", "component/1/modifierExtension/1", {"url": "http://example.org/not", "valueBoolean": True}, None,
     "unlabelled"),
]


def place(node, path, value):
    """Puts the value at the path; what is on the way and not there is made."""
    step, rest = path[0], path[1:]
    if step.isdigit():
        while len(node) < int(step):
            node.append({})
        step = int(step) - 1
    fresh = [] if rest and rest[0].isdigit() else {}
    if not rest:
        node[step] = value
        return
    if isinstance(step, int) and not node[step] or isinstance(step, str) and step not in node:
        node[step] = fresh
    place(node[step], rest, value)


def scenario(sluice, folder):
    """A code counts wherever in a record it stands, and whatever way its system is written."""
    lines = []
    for number, (kind, path, code, _, _) in enumerate(CASES):
        resource = {"resourceType": kind, "id": f"c{number}", **copy.deepcopy(BASE[kind])}
        place(resource, path.split("/"), copy.deepcopy(code))
        if "contained" in resource:
            del resource["medicationCodeableConcept"]
            resource["medicationReference"] = {"reference": "#m"}
        lines.append(json.dumps(resource))
    done = subprocess.run([sluice, "label"], input="\n".join(lines), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-400:]
    labels = {r["resource"].split("/")[1]: r for r in map(json.loads, done.stdout.splitlines()) if "in" not in r}
    for number, (kind, path, _, wanted, whom) in enumerate(CASES):
        label = labels[f"c{number}"]
        whole, parts = set(label["classes"]), set().union(*(e["classes"] for e in label["elements"]), [])
        fine = {"whole": wanted in whole, "part": wanted in parts - whole, "any": wanted in whole | parts,
                "none": (wanted or "-")[1:] not in whole | parts, "contained": "sud" in whole,
                "unlabelled": "unlabelled" in label}[whom]
        assert fine, f"{kind} {path}: {wanted} of {whom}, but {sorted(whole)} and {sorted(parts)}"
    return 0


house.main(scenario)
