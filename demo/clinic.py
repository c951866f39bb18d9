#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The synthetic clinic: three organizations under one EHR, a dozen patients, every class of data.

    demo/clinic.py --out DIR [--patients N] [--seed S] [--without-program]

Writes records.ndjson (FHIR R4), consents.ndjson and programs.yaml. Everything here was invented for Sluice; codes are from
the public code systems, as listed in consent/terminology. Deterministic: the same arguments give the same bytes.

Without --patients: the dozen, written by hand as a list of events each. With it: N patients, each living one of the same
stories with dates of its own. An id is made of its patient and its event, never counted, so that leaving events out changes
nothing else: --without-program writes the world in which nobody ever went to the Part 2 programs.
"""
import argparse
import base64
import datetime
import hashlib
import json
import os
import re

ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"
SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
CVX = "http://hl7.org/fhir/sid/cvx"
UCUM = "http://unitsofmeasure.org"
HL7 = "http://terminology.hl7.org/CodeSystem/"

# ---- Places: who makes records ----

HARBOR, DETOX, PRIMARY, HOSPITAL = "harbor-recovery", "brigid-detox", "lakeside-primary", "brigid-hospital"
PROGRAMS = (HARBOR, DETOX)
PLACES = {
    HARBOR: ("Harbor Recovery Center", None, "practitioner-okafor", "Dr. Ifeoma Okafor"),
    DETOX: ("St. Brigid Withdrawal Unit", HOSPITAL, "practitioner-lindqvist", "Dr. Maja Lindqvist"),
    PRIMARY: ("Lakeside Primary Care", None, "practitioner-reyes", "Dr. Tomas Reyes"),
    HOSPITAL: ("St. Brigid Hospital", None, "practitioner-haddad", "Dr. Noor Haddad"),
}
OTHERS = {"northway-health-plan": "Northway Health Plan", "river-valley-hie": "River Valley Health Exchange"}


def ref(kind, ident, display=None):
    out = {"reference": f"{kind}/{ident}"}
    if display:
        out["display"] = display
    return out


def code(system, value, display=None):
    coding = {"system": system, "code": value}
    if display:
        coding["display"] = display
    return {"coding": [coding]}


def concept(text, *codings):
    return {"coding": [dict(system=s, code=c, display=d) for s, c, d in codings], "text": text}


def hl7(system, value):
    return code(HL7 + system, value)


def narrative(words):
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{words}</p></div>'}


def directory():
    """Organizations, locations, practitioners: about no patient."""
    for ident, (name, parent, practitioner, person) in PLACES.items():
        organization = {"resourceType": "Organization", "id": ident, "active": True, "name": name,
                        "telecom": [{"system": "phone", "value": "555-0100"}],
                        "address": [{"line": ["1 Example Way"], "city": "Lakeside", "state": "IL", "postalCode": "60601"}]}
        if parent:
            organization["partOf"] = ref("Organization", parent)
        yield organization
        yield {"resourceType": "Location", "id": f"{ident}-site", "status": "active", "name": f"{name}, main site",
               "address": {"city": "Lakeside", "state": "IL"}, "managingOrganization": ref("Organization", ident)}
        yield {"resourceType": "Practitioner", "id": practitioner, "active": True,
               "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": npi(practitioner)}],
               "name": [{"text": person, "family": person.split()[-1], "given": [person.split()[1]]}]}
        yield {"resourceType": "PractitionerRole", "id": f"{practitioner}-role", "active": True,
               "practitioner": ref("Practitioner", practitioner), "organization": ref("Organization", ident),
               "location": [ref("Location", f"{ident}-site")],
               "specialty": [code("http://nucc.org/provider-taxonomy",
                                  "207QA0401X" if ident in PROGRAMS else "207Q00000X")]}
    for ident, name in OTHERS.items():
        yield {"resourceType": "Organization", "id": ident, "active": True, "name": name}


def npi(seed):
    return "1" + str(int(hashlib.sha256(seed.encode()).hexdigest(), 16))[:9]


# ---- Events: what happens to a patient at a place. Each gives resources. ----

class Patient:
    """One person, and the day on which their story starts."""

    def __init__(self, key, given, family, birth, gender, start):
        self.key, self.given, self.family, self.birth, self.gender = key, given, family, birth, gender
        self.start = start

    def day(self, offset):
        return (self.start + datetime.timedelta(days=offset)).isoformat()

    def at(self, offset, clock="09:30:00"):
        return f"{self.day(offset)}T{clock}-06:00"

    def ident(self, event):
        return f"{self.key}-{event}"

    def me(self):
        return ref("Patient", self.key)


def registration(p):
    yield {"resourceType": "Patient", "id": p.key, "active": True,
           "text": narrative(f"{p.given} {p.family}, born {p.birth}"),
           "identifier": [{"use": "usual", "type": hl7("v2-0203", "MR"), "system": "urn:oid:2.16.840.1.113883.19.5",
                           "value": f"MRN-{p.key}"}],
           "name": [{"use": "official", "family": p.family, "given": [p.given]}], "gender": p.gender, "birthDate": p.birth,
           "telecom": [{"system": "phone", "value": "555-0142", "use": "home"}],
           "address": [{"line": ["12 Sample Street"], "city": "Lakeside", "state": "IL", "postalCode": "60602"}],
           "managingOrganization": ref("Organization", HOSPITAL)}
    yield {"resourceType": "Coverage", "id": p.ident("coverage"), "status": "active", "beneficiary": p.me(),
           "subscriberId": f"NW-{p.key}", "payor": [ref("Organization", "northway-health-plan")],
           "period": {"start": p.day(-400)}}


def encounter(p, event, place, offset, reason=None, kind="AMB", diagnosis=None):
    out = {"resourceType": "Encounter", "id": p.ident(event), "status": "finished",
           "class": {"system": HL7 + "v3-ActCode", "code": kind}, "type": [code(SNOMED, "308335008", "Encounter")],
           "subject": p.me(), "period": {"start": p.at(offset), "end": p.at(offset, "10:10:00")},
           "participant": [{"individual": ref("Practitioner", PLACES[place][2], PLACES[place][3])}],
           "location": [{"location": ref("Location", f"{place}-site")}], "serviceProvider": ref("Organization", place)}
    if reason:
        out["reasonCode"] = [reason]
    if diagnosis:
        out["diagnosis"] = [{"condition": ref("Condition", p.ident(diagnosis)),
                             "use": hl7("diagnosis-role", "AD")}]
    return out


def condition(p, event, visit, place, offset, what, words=True):
    out = {"resourceType": "Condition", "id": p.ident(event), "clinicalStatus": hl7("condition-clinical", "active"),
           "verificationStatus": hl7("condition-ver-status", "confirmed"),
           "category": [hl7("condition-category", "problem-list-item")], "code": what, "subject": p.me(),
           "encounter": ref("Encounter", p.ident(visit)), "onsetDateTime": p.day(offset), "recordedDate": p.day(offset),
           "recorder": ref("Practitioner", PLACES[place][2])}
    if words:
        out["text"] = narrative(what["text"])
    return out


def prescription(p, event, visit, place, offset, drug, reason=None, text=None):
    out = {"resourceType": "MedicationRequest", "id": p.ident(event), "status": "active", "intent": "order",
           "medicationCodeableConcept": drug, "subject": p.me(), "encounter": ref("Encounter", p.ident(visit)),
           "authoredOn": p.day(offset), "requester": ref("PractitionerRole", f"{PLACES[place][2]}-role"),
           "dosageInstruction": [{"text": text or "Take as directed", "timing": {"repeat": {"frequency": 1, "period": 1.0,
                                                                                          "periodUnit": "d"}}}]}
    if reason:
        out["reasonReference"] = [ref("Condition", p.ident(reason))]
    return out


def observation(p, event, visit, place, offset, what, value, unit=None, category="laboratory", **more):
    out = {"resourceType": "Observation", "id": p.ident(event), "status": "final",
           "category": [hl7("observation-category", category)], "code": what, "subject": p.me(),
           "encounter": ref("Encounter", p.ident(visit)), "effectiveDateTime": p.at(offset),
           "performer": [ref("Organization", place)]}
    if isinstance(value, (int, Decimal)):
        out["valueQuantity"] = {"value": value, "unit": unit, "system": UCUM, "code": unit}
    elif value is not None:
        out["valueCodeableConcept"] = value
    out.update(more)
    return out


class Decimal(str):
    """A number that is printed with the digits it was written with: 1.10 stays 1.10 (see `line`)."""


def note(p, event, visit, place, offset, kind, words, content="text/plain", **more):
    data = words if isinstance(words, bytes) else words.encode()
    out = {"resourceType": "DocumentReference", "id": p.ident(event), "status": "current", "docStatus": "final",
           "type": kind, "category": [code("http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category",
                                          "clinical-note")],
           "subject": p.me(), "date": p.at(offset, "11:00:00"),
           "author": [ref("Practitioner", PLACES[place][2])], "custodian": ref("Organization", place),
           "content": [{"attachment": {"contentType": content, "data": base64.b64encode(data).decode()}}],
           "context": {"encounter": [ref("Encounter", p.ident(visit))]}}
    out.update(more)
    return out


def instrument(p, event, visit, place, offset, panel, total, items, score):
    """A scored instrument as US Core wants it: a panel whose members are the answers, and the total."""
    members = []
    for number, (item, points) in enumerate(items, 1):
        ident = f"{event}-{number}"
        members.append(ref("Observation", p.ident(ident)))
        yield observation(p, ident, visit, place, offset, code(LOINC, item), points, "{score}", "survey")
    members.append(ref("Observation", p.ident(f"{event}-total")))
    yield observation(p, f"{event}-total", visit, place, offset, code(LOINC, total), score, "{score}", "survey")
    yield observation(p, event, visit, place, offset, code(LOINC, panel), None, category="survey", hasMember=members)


PHQ9_ITEMS = ("44250-9", "44255-8", "44259-0", "44254-1", "44251-7", "44258-2", "44252-5", "44253-3", "44260-8")
OUD = concept("Opioid use disorder, severe", (ICD10, "F11.20", "Opioid dependence, uncomplicated"))
DEPRESSION = concept("Recurrent depression, moderate",
                     (ICD10, "F33.1", "Major depressive disorder, recurrent, moderate"))
DIABETES = concept("Type 2 diabetes", (ICD10, "E11.9", "Type 2 diabetes mellitus without complications"),
                   (SNOMED, "44054006", "Type 2 diabetes mellitus"))
HYPERTENSION = concept("High blood pressure", (ICD10, "I10", "Essential (primary) hypertension"))
ALCOHOL = concept("Alcohol use disorder", (ICD10, "F10.20", "Alcohol dependence, uncomplicated"))
METHADONE = concept("Methadone 10 mg tablet", (RXNORM, "864706", "methadone hydrochloride 10 MG Oral Tablet"))
BUPRENORPHINE = concept("Buprenorphine 8 mg", (RXNORM, "351265", "buprenorphine 8 MG Sublingual Tablet"))
NALTREXONE = concept("Naltrexone 50 mg", (RXNORM, "198011", "naltrexone 50 MG Oral Tablet"))
LISINOPRIL = concept("Lisinopril 10 mg", (RXNORM, "314076", "lisinopril 10 MG Oral Tablet"))
METFORMIN = concept("Metformin 500 mg", (RXNORM, "860975", "24 HR Metformin hydrochloride 500 MG Extended Release Oral Tablet"))
PROGRESS = code(LOINC, "11506-3", "Progress note")
PSYCHOTHERAPY = code(LOINC, "34904-3", "Mental health Progress note")


def blood_pressure(p, event, visit, place, offset, upper, lower):
    return observation(p, event, visit, place, offset, code(LOINC, "85354-9", "Blood pressure panel"), None,
                       category="vital-signs", component=[
                           {"code": code(LOINC, "8480-6", "Systolic"),
                            "valueQuantity": {"value": upper, "unit": "mm[Hg]", "system": UCUM, "code": "mm[Hg]"}},
                           {"code": code(LOINC, "8462-4", "Diastolic"),
                            "valueQuantity": {"value": lower, "unit": "mm[Hg]", "system": UCUM, "code": "mm[Hg]"}}])


def primary_care(p):
    """The ordinary chart: what everyone who treats needs."""
    yield encounter(p, "pc-visit", PRIMARY, 10, reason=concept("Follow-up", (SNOMED, "390906007", "Follow-up encounter")),
                    diagnosis="pc-diabetes")
    yield condition(p, "pc-diabetes", "pc-visit", PRIMARY, 10, DIABETES)
    yield condition(p, "pc-hypertension", "pc-visit", PRIMARY, 10, HYPERTENSION)
    yield prescription(p, "pc-metformin", "pc-visit", PRIMARY, 10, METFORMIN, "pc-diabetes")
    yield prescription(p, "pc-lisinopril", "pc-visit", PRIMARY, 10, LISINOPRIL, "pc-hypertension")
    yield blood_pressure(p, "pc-bp", "pc-visit", PRIMARY, 10, 138, 86)
    a1c = observation(p, "pc-a1c", "pc-visit", PRIMARY, 10, code(LOINC, "4548-4", "Hemoglobin A1c"), Decimal("7.10"), "%")
    yield a1c
    yield {"resourceType": "DiagnosticReport", "id": p.ident("pc-report"), "status": "final",
           "category": [hl7("v2-0074", "LAB")], "code": code(LOINC, "4548-4", "Hemoglobin A1c"), "subject": p.me(),
           "encounter": ref("Encounter", p.ident("pc-visit")), "effectiveDateTime": p.at(10), "issued": p.at(11),
           "performer": [ref("Organization", PRIMARY)], "result": [ref("Observation", a1c["id"])]}
    yield {"resourceType": "AllergyIntolerance", "id": p.ident("pc-allergy"),
           "clinicalStatus": hl7("allergyintolerance-clinical", "active"), "criticality": "high",
           "code": concept("Penicillin", (RXNORM, "7980", "penicillin G")), "patient": p.me(),
           "encounter": ref("Encounter", p.ident("pc-visit")), "recordedDate": p.day(10),
           "recorder": ref("Practitioner", PLACES[PRIMARY][2])}
    yield {"resourceType": "Immunization", "id": p.ident("pc-flu"), "status": "completed",
           "vaccineCode": code(CVX, "140", "Influenza, seasonal"), "patient": p.me(),
           "encounter": ref("Encounter", p.ident("pc-visit")), "occurrenceDateTime": p.day(10),
           "performer": [{"actor": ref("Organization", PRIMARY)}]}
    yield note(p, "pc-note", "pc-visit", PRIMARY, 10, PROGRESS, "Seen for diabetes and blood pressure. No complaints.")
    yield {"resourceType": "Appointment", "id": p.ident("pc-appointment"), "status": "booked", "start": p.at(100),
           "end": p.at(100, "10:00:00"), "participant": [
               {"actor": p.me(), "status": "accepted"},
               {"actor": ref("Practitioner", PLACES[PRIMARY][2]), "status": "accepted"},
               {"actor": ref("Location", f"{PRIMARY}-site"), "status": "accepted"}]}
    yield claim(p, "pc-claim", "pc-visit", PRIMARY, 12, [DIABETES, HYPERTENSION])


def claim(p, event, visit, place, offset, diagnoses):
    return {"resourceType": "Claim", "id": p.ident(event), "status": "active", "type": hl7("claim-type", "professional"),
            "use": "claim", "patient": p.me(), "created": p.day(offset), "provider": ref("Organization", place),
            "priority": hl7("processpriority", "normal"),
            "insurance": [{"sequence": 1, "focal": True, "coverage": ref("Coverage", p.ident("coverage"))}],
            "diagnosis": [{"sequence": n, "diagnosisCodeableConcept": d} for n, d in enumerate(diagnoses, 1)],
            "item": [{"sequence": 1, "diagnosisSequence": list(range(1, len(diagnoses) + 1)),
                      "productOrService": code("http://terminology.hl7.org/CodeSystem/ex-USCLS", "1101"),
                      "encounter": [ref("Encounter", p.ident(visit))],
                      "net": {"value": Decimal("120.00"), "currency": "USD"}}],
            "total": {"value": Decimal("120.00"), "currency": "USD"}}


def opioid_treatment(p):
    """A course at the Part 2 program: everything that is made there is Part 2, whatever its code."""
    yield encounter(p, "otp-intake", HARBOR, 30, reason=OUD, diagnosis="otp-oud")
    yield condition(p, "otp-oud", "otp-intake", HARBOR, 30, OUD)
    yield blood_pressure(p, "otp-bp", "otp-intake", HARBOR, 30, 121, 77)
    yield prescription(p, "otp-methadone", "otp-intake", HARBOR, 30, METHADONE, "otp-oud", "60 mg daily, observed")
    yield {"resourceType": "MedicationAdministration", "id": p.ident("otp-dose"), "status": "completed",
           "medicationCodeableConcept": METHADONE, "subject": p.me(), "context": ref("Encounter", p.ident("otp-intake")),
           "effectiveDateTime": p.at(31, "07:15:00"),
           "performer": [{"actor": ref("PractitionerRole", f"{PLACES[HARBOR][2]}-role")}],
           "dosage": {"dose": {"value": Decimal("60.0"), "unit": "mg", "system": UCUM, "code": "mg"}}}
    yield observation(p, "otp-screen", "otp-intake", HARBOR, 30,
                      code(LOINC, "101162-6", "Fentanyl analog in urine"),
                      concept("Not detected", (SNOMED, "260415000", "Not detected")))
    yield from instrument(p, "otp-dast", "otp-intake", HARBOR, 30, "82666-9", "82667-7", [], 7)
    yield {"resourceType": "AllergyIntolerance", "id": p.ident("otp-allergy"),
           "clinicalStatus": hl7("allergyintolerance-clinical", "active"), "criticality": "high",
           "code": concept("Naltrexone", (RXNORM, "7243", "naltrexone")), "patient": p.me(),
           "encounter": ref("Encounter", p.ident("otp-intake")), "recordedDate": p.day(30),
           "reaction": [{"manifestation": [concept("Anaphylaxis", (SNOMED, "39579001", "Anaphylaxis"))]}]}
    yield note(p, "otp-note", "otp-intake", HARBOR, 30, PROGRESS, "Stable on 60 mg. Attends group weekly.")
    yield note(p, "otp-counseling", "otp-intake", HARBOR, 37,
               code("urn:sluice:note-folder", "sud-counseling", "Counseling notes, kept apart"),
               "Talked through the relapse in spring and what led to it.")
    yield {"resourceType": "CarePlan", "id": p.ident("otp-plan"), "status": "active", "intent": "plan", "subject": p.me(),
           "encounter": ref("Encounter", p.ident("otp-intake")), "author": ref("Organization", HARBOR),
           "category": [code(SNOMED, "734163000", "Care plan")], "addresses": [ref("Condition", p.ident("otp-oud"))],
           "activity": [{"reference": ref("MedicationRequest", p.ident("otp-methadone"))}]}
    yield {"resourceType": "Appointment", "id": p.ident("otp-appointment"), "status": "booked", "start": p.at(90, "07:00:00"),
           "end": p.at(90, "07:15:00"), "participant": [{"actor": p.me(), "status": "accepted"},
                                                        {"actor": ref("Location", f"{HARBOR}-site"), "status": "accepted"}]}
    yield claim(p, "otp-claim", "otp-intake", HARBOR, 40, [OUD])


def mentions_of_program(p):
    """What the others write about the course: a plan, a team, and a referral that lead to the program's records."""
    yield {"resourceType": "CareTeam", "id": p.ident("team"), "status": "active", "name": "Care team", "subject": p.me(),
           "participant": [{"member": ref("Practitioner", PLACES[PRIMARY][2], PLACES[PRIMARY][3])},
                           {"member": ref("PractitionerRole", f"{PLACES[HARBOR][2]}-role", PLACES[HARBOR][3])}],
           "managingOrganization": [ref("Organization", PRIMARY)]}
    yield {"resourceType": "CarePlan", "id": p.ident("pc-plan"), "status": "active", "intent": "plan", "subject": p.me(),
           "text": narrative("Diabetes plan. Also treated with methadone."),
           "encounter": ref("Encounter", p.ident("pc-visit")), "author": ref("Practitioner", PLACES[PRIMARY][2]),
           "category": [code(SNOMED, "734163000", "Care plan")],
           "addresses": [ref("Condition", p.ident("pc-diabetes")), ref("Condition", p.ident("otp-oud"), "Opioid use disorder")],
           "activity": [{"reference": ref("MedicationRequest", p.ident("pc-metformin"))},
                        {"reference": ref("MedicationRequest", p.ident("otp-methadone"), "Methadone")}]}


def emergency_visit(p):
    """At the hospital, which is no program: a substance-use reason here is sensitive, not Part 2."""
    reason = concept("Opioid withdrawal", (ICD10, "F11.23", "Opioid dependence with withdrawal"))
    yield encounter(p, "er-visit", HOSPITAL, 60, reason=reason, kind="EMER")
    yield observation(p, "er-potassium", "er-visit", HOSPITAL, 60, code(LOINC, "2823-3", "Potassium"), Decimal("4.10"), "mmol/L")
    yield note(p, "er-note", "er-visit", HOSPITAL, 60, PROGRESS,
               "Came in sweating and restless. Says he drinks alcohol on weekends. Settled with fluids.")
    yield note(p, "er-scan", "er-visit", HOSPITAL, 60, code(LOINC, "11502-2", "Laboratory report"), b"%PDF-1.4 scanned report",
               "application/pdf")


def detox_stay(p):
    """A Part 2 unit inside a hospital that is none: the unit is the source."""
    yield encounter(p, "detox-stay", DETOX, 70, reason=ALCOHOL, kind="IMP", diagnosis="detox-alcohol")
    yield condition(p, "detox-alcohol", "detox-stay", DETOX, 70, ALCOHOL)
    yield prescription(p, "detox-naltrexone", "detox-stay", DETOX, 74, NALTREXONE, "detox-alcohol")


def alcohol_in_primary_care(p):
    """A substance-use diagnosis and its medicine by a primary-care physician: sensitive, not Part 2."""
    yield encounter(p, "pc-alcohol-visit", PRIMARY, 20, reason=ALCOHOL, diagnosis="pc-alcohol")
    yield condition(p, "pc-alcohol", "pc-alcohol-visit", PRIMARY, 20, ALCOHOL)
    yield prescription(p, "pc-naltrexone", "pc-alcohol-visit", PRIMARY, 20, NALTREXONE, "pc-alcohol")
    yield from instrument(p, "pc-audit", "pc-alcohol-visit", PRIMARY, 20, "72109-2", "75626-2", [], 9)


def depression(p):
    yield encounter(p, "mh-visit", PRIMARY, 25, reason=DEPRESSION, diagnosis="mh-depression")
    yield condition(p, "mh-depression", "mh-visit", PRIMARY, 25, DEPRESSION)
    yield prescription(p, "mh-fluoxetine", "mh-visit", PRIMARY, 25,
                       concept("Fluoxetine 20 mg", (RXNORM, "310385", "fluoxetine 20 MG Oral Capsule")), "mh-depression")
    points = (2, 2, 1, 2, 1, 2, 1, 0, 1)
    yield from instrument(p, "mh-phq9", "mh-visit", PRIMARY, 25, "44249-1", "44261-6", list(zip(PHQ9_ITEMS, points)), sum(points))
    yield {"resourceType": "QuestionnaireResponse", "id": p.ident("mh-form"), "status": "completed",
           "questionnaire": "http://example.org/fhir/Questionnaire/phq-9", "subject": p.me(),
           "encounter": ref("Encounter", p.ident("mh-visit")), "authored": p.at(25),
           "author": ref("Practitioner", PLACES[PRIMARY][2]),
           "item": [{"linkId": f"/{item}", "answer": [{"valueInteger": n}]} for item, n in zip(PHQ9_ITEMS, points)]}
    yield note(p, "mh-psychotherapy", "mh-visit", PRIMARY, 26, PSYCHOTHERAPY, "Session three: grief, and the brother.",
               meta={"security": [{"system": HL7 + "v3-ActCode", "code": "PSYTHPN"}]})


def ai_draft(p):
    """A visit note written by a model that nobody has signed."""
    yield note(p, "draft", "pc-visit", PRIMARY, 10, PROGRESS, "Draft: patient reports good control of diabetes.",
               docStatus="preliminary", meta={"security": [{"system": HL7 + "v3-ObservationValue", "code": "AIAST"}]})


def hiv(p):
    yield encounter(p, "id-visit", HOSPITAL, 40, diagnosis="id-hiv")
    yield condition(p, "id-hiv", "id-visit", HOSPITAL, 40, concept("HIV", (ICD10, "B20", "Human immunodeficiency virus disease")))
    yield observation(p, "id-load", "id-visit", HOSPITAL, 40, code(LOINC, "69354-9", "HIV 2 viral load"), 20, "[IU]/mL")
    yield {"resourceType": "MedicationRequest", "id": p.ident("id-art"), "status": "active", "intent": "order",
           "contained": [{"resourceType": "Medication", "id": "drug",
                          "code": concept("Zidovudine", (RXNORM, "11413", "zidovudine"))}],
           "medicationReference": {"reference": "#drug"}, "subject": p.me(),
           "encounter": ref("Encounter", p.ident("id-visit")), "authoredOn": p.day(40),
           "requester": ref("PractitionerRole", f"{PLACES[HOSPITAL][2]}-role")}


def genetics(p):
    yield encounter(p, "gen-visit", HOSPITAL, 45)
    yield condition(p, "gen-sickle", "gen-visit", HOSPITAL, 45,
                    concept("Sickle-cell disease", (ICD10, "D57.1", "Sickle-cell disease without crisis")))
    yield condition(p, "gen-brca", "gen-visit", HOSPITAL, 45,
                    concept("Carrier of a breast cancer gene", (ICD10, "Z15.01", "Genetic susceptibility to breast cancer")))
    yield condition(p, "gen-pregnancy", "gen-visit", HOSPITAL, 46,
                    concept("Chlamydial infection", (ICD10, "A56.00", "Chlamydial infection of lower genitourinary tract")))


def violence(p):
    yield encounter(p, "ipv-visit", HOSPITAL, 50, kind="EMER")
    yield condition(p, "ipv", "ipv-visit", HOSPITAL, 50,
                    concept("Physical abuse", (ICD10, "T74.11XA", "Adult physical abuse, confirmed, initial encounter")))


def loose_ends(p):
    """What feeds really contain: a property nobody knows, a source nobody configured, a code of nobody's system."""
    yield {"resourceType": "Observation", "id": p.ident("odd-weight"), "status": "final", "vendorFlag": "internal",
           "category": [hl7("observation-category", "vital-signs")], "code": code(LOINC, "29463-7", "Body weight"),
           "subject": p.me(), "effectiveDateTime": p.at(15), "performer": [ref("Organization", PRIMARY)],
           "valueQuantity": {"value": Decimal("81.50"), "unit": "kg", "system": UCUM, "code": "kg"}}
    yield {"resourceType": "Observation", "id": p.ident("odd-source"), "status": "final", "subject": p.me(),
           "category": [hl7("observation-category", "vital-signs")], "code": code(LOINC, "8867-4", "Heart rate"),
           "effectiveDateTime": p.at(16), "performer": [ref("Organization", "nobody-configured")],
           "valueQuantity": {"value": 71, "unit": "/min", "system": UCUM, "code": "/min"}}
    yield {"resourceType": "Condition", "id": p.ident("odd-oud"), "subject": p.me(), "code": OUD,
           "clinicalStatus": hl7("condition-clinical", "active"), "asserter": ref("Practitioner", "nobody-known"),
           "recordedDate": p.day(16)}
    yield {"resourceType": "Observation", "id": p.ident("odd-code"), "status": "final", "subject": p.me(),
           "category": [hl7("observation-category", "laboratory")],
           "code": {"coding": [{"system": "urn:local:lab", "code": "XQ-17"}], "text": "House panel"},
           "effectiveDateTime": p.at(17), "performer": [ref("Organization", PRIMARY)], "valueString": "see report"}
    yield {"resourceType": "Provenance", "id": p.ident("odd-provenance"), "target": [ref("Observation", p.ident("odd-weight"))],
           "recorded": p.at(15, "12:00:00"), "agent": [{"who": ref("Organization", PRIMARY)}]}


# ---- Consents ----

def consent(p, event, *, purposes, status="active", permit=True, actors=(), label=None, until=None, kind="42CFRPart2CD"):
    provision = {"type": "permit" if permit else "deny",
                 "purpose": [{"system": HL7 + "v3-ActReason", "code": c} for c in purposes]}
    period = {"start": p.day(0)}
    if until:
        period["end"] = until
    provision["period"] = period
    if actors:
        provision["actor"] = [{"role": hl7("v3-ParticipationType", "IRCP"), "reference": a} for a in actors]
    if label:
        provision["securityLabel"] = [{"system": HL7 + "v3-ActCode", "code": c} for c in label]
    category = [code(LOINC, "59284-0", "Consent Document")]
    if kind:
        category.append(hl7("v3-ActCode", kind))
    return {"resourceType": "Consent", "id": p.ident(event), "status": status,
            "scope": hl7("consentscope", "patient-privacy"), "category": category, "patient": p.me(),
            "dateTime": p.at(1), "performer": [p.me()],
            "organization": [ref("Organization", HARBOR)] if kind else [ref("Organization", HOSPITAL)],
            "sourceReference": {"display": "Signed form on file"},
            "policy": [{"uri": "urn:sluice:form:part2-tpo-2024"}] if kind else [{"uri": "urn:sluice:form:sharing-choices"}],
            "provision": provision}


TPO = ("TREAT", "HPAYMT", "HOPERAT")


def no_consents(p):
    return []


def tpo(p):
    return [consent(p, "consent-tpo", purposes=TPO)]


def tpo_revoked(p):
    return [consent(p, "consent-tpo", purposes=TPO, status="inactive")]


def tpo_expired(p):
    return [consent(p, "consent-tpo", purposes=TPO, until=p.day(20))]


def to_the_hospital_only(p):
    return [consent(p, "consent-hospital", purposes=("TREAT",), actors=[ref("Organization", HOSPITAL)], until="2030-12-31")]


def no_mental_health_to_the_exchange(p):
    return [consent(p, "consent-optout", purposes=TPO, permit=False, label=("MH", "PSY"),
                    actors=[ref("Organization", "river-valley-hie")], kind=None)]


# ---- Stories: the dozen, each a list of events ----

OTP = (opioid_treatment, mentions_of_program, emergency_visit)
STORIES = (
    ("amara", "Amara", "Nwosu", "1984-03-12", "female", OTP, tpo),
    ("bruno", "Bruno", "Keller", "1979-11-02", "male", OTP, no_consents),
    ("chen", "Chen", "Li", "1990-06-21", "male", OTP, tpo_revoked),
    ("dalia", "Dalia", "Haim", "1988-01-30", "female", OTP, tpo_expired),
    ("elias", "Elias", "Berg", "1971-09-17", "male", OTP, to_the_hospital_only),
    ("farah", "Farah", "Aziz", "1995-05-05", "female", (depression,), no_mental_health_to_the_exchange),
    ("gita", "Gita", "Rao", "1968-12-24", "female", (depression, ai_draft), no_consents),
    ("hugo", "Hugo", "Martins", "1982-07-08", "male", (hiv,), no_consents),
    ("ines", "Ines", "Costa", "1993-10-11", "female", (genetics, violence), no_consents),
    ("jonas", "Jonas", "Weber", "2009-02-14", "male", (detox_stay,), no_consents),
    ("kei", "Kei", "Tanaka", "1975-04-19", "other", (), no_consents),
    ("lena", "Lena", "Novak", "1986-08-28", "female", (alcohol_in_primary_care, loose_ends, ai_draft), no_consents),
)
OF_PROGRAM = (opioid_treatment, mentions_of_program, detox_stay)


def live(story, key, start, without_program):
    given, family, birth, gender, events, consents = story[1:]
    p = Patient(key, given, family, birth, gender, start)
    for event in (registration, primary_care) + events:
        if not (without_program and event in OF_PROGRAM):
            yield from event(p)
    for made in consents(p):
        yield ("consent", made)


def draw(seed, number, limit):
    return int(hashlib.sha256(f"{seed}/{number}".encode()).hexdigest(), 16) % limit


def people(patients, seed):
    first = datetime.date(2026, 1, 5)
    if patients is None:
        for story in STORIES:
            yield story, story[0], first
        return
    for number in range(patients):
        story = STORIES[draw(seed, f"story{number}", len(STORIES))]
        yield story, f"{story[0]}-{number:06d}", first + datetime.timedelta(days=draw(seed, f"day{number}", 200))


# ---- Writing ----

MARK = "\x00"


def marked(value):
    """The same tree, its Decimals marked, so that `line` can take their quotes off."""
    if isinstance(value, Decimal):
        return MARK + value
    if isinstance(value, dict):
        return {key: marked(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [marked(v) for v in value]
    return value


def line(resource):
    text = json.dumps(marked(resource), separators=(",", ":"), ensure_ascii=False)
    return re.sub(r'"\\u0000([-+.0-9eE]+)"', r"\1", text) + "\n"


PROGRAMS_YAML = """# Which sources are Part 2 programs (42 CFR 2.11). Who keeps this table decides what is a Part 2 record.
others: unknown
programs:
  - source: Organization/harbor-recovery
    is: program
    title: Harbor Recovery Center, an opioid treatment program
  - source: Organization/brigid-detox
    is: program
    title: St. Brigid Withdrawal Unit, a unit that holds itself out as giving such care
  - source: Organization/brigid-hospital
    is: not
    title: St. Brigid Hospital, a general hospital
  - source: Organization/lakeside-primary
    is: not
    title: Lakeside Primary Care
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--patients", type=int)
    parser.add_argument("--seed", default="sluice")
    parser.add_argument("--without-program", action="store_true")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    with open(f"{args.out}/records.ndjson", "w") as records, open(f"{args.out}/consents.ndjson", "w") as consents:
        for resource in directory():
            records.write(line(resource))
        for story, key, start in people(args.patients, args.seed):
            for made in live(story, key, start, args.without_program):
                if isinstance(made, tuple):
                    consents.write(line(made[1]))
                else:
                    records.write(line(made))
    with open(f"{args.out}/programs.yaml", "w") as programs:
        programs.write(PROGRAMS_YAML)


if __name__ == "__main__":
    main()
