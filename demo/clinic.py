#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The synthetic clinic: three organizations under one EHR, a dozen patients, every class of data.

    demo/clinic.py --out DIR [--patients N] [--seed S] [--without-program] [--without-paid-visit]

Writes records.ndjson (FHIR R4), consents.ndjson, programs.yaml and register.yaml. Everything here was invented for Sluice; codes are from
the public code systems, as listed in consent/terminology. Deterministic: the same arguments give the same bytes.

Without --patients: the dozen, written by hand as a list of events each. With it: N patients, each living one of the same
stories with a name, dates and numbers of its own, drawn from the seed. What an event makes depends on its patient and on
nothing else, and an id is made of patient and event, never counted: leaving events out changes nothing else.

--without-program writes the world in which nobody ever went to the Part 2 programs: no visit, so no mention of one either, and
what others wrote about these patients stands without it. All other bytes are the same. --without-paid-visit does so with the
visits that patients paid for themselves and keep from their plan.
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

NPI, HARBOR_NPI = "http://hl7.org/fhir/sid/us-npi", "1234567893"
HARBOR, DETOX, PRIMARY, HOSPITAL = "harbor-recovery", "brigid-detox", "lakeside-primary", "brigid-hospital"
PROGRAMS = (HARBOR, DETOX)
PLACES = {
    HARBOR: ("Harbor Recovery Center", None, "practitioner-okafor", "Dr. Ifeoma Okafor"),
    DETOX: ("St. Brigid Withdrawal Unit", HOSPITAL, "practitioner-lindqvist", "Dr. Maja Lindqvist"),
    PRIMARY: ("Lakeside Primary Care", None, "practitioner-reyes", "Dr. Tomas Reyes"),
    HOSPITAL: ("St. Brigid Hospital", None, "practitioner-haddad", "Dr. Noor Haddad"),
}
THERAPIST = ("practitioner-moreno", "Ana Moreno, LCSW")  # of primary care, who keeps notes apart
OTHERS = {"northway-health-plan": "Northway Health Plan", "river-valley-hie": "River Valley Health Exchange"}


def ref(kind, ident, display=None):
    out = {"reference": f"{kind}/{ident}"}
    if display:
        out["display"] = display
    return out


def coding(system, value, display=None):
    """Without its words where the code system's words are licensed (SNOMED CT)."""
    out = {"system": system, "code": value}
    if display and system != SNOMED:
        out["display"] = display
    return out


def code(system, value, display=None):
    return {"coding": [coding(system, value, display)]}


def concept(text, *codings):
    return {"coding": [coding(*c) for c in codings], "text": text}


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
    yield {"resourceType": "Practitioner", "id": THERAPIST[0], "active": True,
           "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": npi(THERAPIST[0])}],
           "name": [{"text": THERAPIST[1], "family": "Moreno", "given": ["Ana"]}]}
    for ident, name in OTHERS.items():
        yield {"resourceType": "Organization", "id": ident, "active": True, "name": name}


def formulary(without_program):
    """Medications that requests refer to: they belong to whoever's request points at them."""
    yield {"resourceType": "Medication", "id": "amoxicillin", "status": "active", "code": AMOXICILLIN}
    if not without_program:
        yield {"resourceType": "Medication", "id": "buprenorphine", "status": "active", "code": BUPRENORPHINE}


def npi(seed):
    return "1" + str(int(hashlib.sha256(seed.encode()).hexdigest(), 16))[:9]


# ---- Events: what happens to a patient at a place. Each gives resources. ----

class Patient:
    """One person, the day on which their story starts, and whether they ever went to a Part 2 program."""

    def __init__(self, key, given, family, birth, gender, start, program=True, seed=None, paid=True):
        self.key, self.given, self.family, self.birth, self.gender = key, given, family, birth, gender
        self.start, self.program, self.seed, self.paid = start, program, seed, paid

    def day(self, offset):
        return (self.start + datetime.timedelta(days=offset)).isoformat()

    def at(self, offset, clock="09:30:00"):
        return f"{self.day(offset)}T{clock}-06:00"

    def ident(self, event):
        return f"{self.key}-{event}"

    def me(self):
        return ref("Patient", self.key)

    def near(self, event, value, spread):
        """The value itself for the dozen; for drawn patients one near it, the same each time for this patient and event."""
        return value if self.seed is None else value + draw(self.seed, f"{self.key}/{event}", 2 * spread + 1) - spread


def registration(p, registrar=HOSPITAL):
    yield {"resourceType": "Patient", "id": p.key, "active": True,
           "text": narrative(f"{p.given} {p.family}, born {p.birth}"),
           "identifier": [{"use": "usual", "type": hl7("v2-0203", "MR"), "system": "urn:oid:2.16.840.1.113883.19.5",
                           "value": f"MRN-{p.key}"}],
           "name": [{"use": "official", "family": p.family, "given": [p.given]}], "gender": p.gender, "birthDate": p.birth,
           "telecom": [{"system": "phone", "value": "555-0142", "use": "home"}],
           "address": [{"line": ["12 Sample Street"], "city": "Lakeside", "state": "IL", "postalCode": "60602"}],
           "generalPractitioner": [ref("PractitionerRole", f"{PLACES[PRIMARY][2]}-role", PLACES[PRIMARY][3])],
           "managingOrganization": ref("Organization", registrar)}
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
    """drug: a concept, or the id of a Medication."""
    medication = ({"medicationReference": ref("Medication", drug)} if isinstance(drug, str)
                  else {"medicationCodeableConcept": drug})
    out = {"resourceType": "MedicationRequest", "id": p.ident(event), "status": "active", "intent": "order",
           **medication, "subject": p.me(), "encounter": ref("Encounter", p.ident(visit)),
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


def form(p, event, visit, place, offset, url, answers, total):
    """The same as the patient filled it in: item answers, and the total as an item of its own."""
    items = [{"linkId": f"/{item}", "answer": [{"valueInteger": points}]} for item, points in answers]
    return {"resourceType": "QuestionnaireResponse", "id": p.ident(event), "status": "completed",
            "questionnaire": f"http://example.org/fhir/Questionnaire/{url}", "subject": p.me(),
            "encounter": ref("Encounter", p.ident(visit)), "authored": p.at(offset),
            "author": ref("Practitioner", PLACES[place][2]),
            "item": items + [{"linkId": f"/{total[0]}", "answer": [{"valueInteger": total[1]}]}]}


AUDIT_C_ITEMS = ("68518-0", "68519-8", "68520-6")
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
AMOXICILLIN = concept("Amoxicillin 500 mg", (RXNORM, "308192", "Amoxicillin 500 MG Oral Tablet"))
LISINOPRIL = concept("Lisinopril 10 mg", (RXNORM, "314076", "lisinopril 10 MG Oral Tablet"))
METFORMIN = concept("Metformin 500 mg", (RXNORM, "860975", "24 HR Metformin hydrochloride 500 MG Extended Release Oral Tablet"))
HYDROCORTISONE = concept("Hydrocortisone 1 % cream", (RXNORM, "106258", "Hydrocortisone 10 MG/ML Topical Cream"))
DERMATITIS = concept("Dermatitis of the hands", (ICD10, "L30.9", "Dermatitis, unspecified"))
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
    yield blood_pressure(p, "pc-bp", "pc-visit", PRIMARY, 10, p.near("pc-upper", 138, 20), p.near("pc-lower", 86, 12))
    tenths = p.near("pc-a1c", 71, 15)
    a1c = observation(p, "pc-a1c", "pc-visit", PRIMARY, 10, code(LOINC, "4548-4", "Hemoglobin A1c"),
                      Decimal(f"{tenths // 10}.{tenths % 10}0"), "%")
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
    yield from billing(p, "pc", "pc-visit", PRIMARY, 12, [DIABETES, HYPERTENSION], VISIT)


VISIT = {"system": "http://terminology.hl7.org/CodeSystem/ex-USCLS", "code": "1101"}
METHADONE_SERVICE = {"system": "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", "code": "H0020"}


def billing(p, event, visit, place, offset, diagnoses, service):
    """A claim, and what the plan answered: parts that are numbered and summed."""
    amount = {"value": Decimal("120.00"), "currency": "USD"}
    numbers = list(range(1, len(diagnoses) + 1))
    both = {"status": "active", "type": hl7("claim-type", "professional"), "use": "claim", "patient": p.me(),
            "provider": ref("Organization", place),
            "diagnosis": [{"sequence": n, "diagnosisCodeableConcept": d} for n, d in enumerate(diagnoses, 1)]}
    coverage = {"focal": True, "coverage": ref("Coverage", p.ident("coverage"))}
    item = {"sequence": 1, "diagnosisSequence": numbers, "productOrService": {"coding": [service]},
            "encounter": [ref("Encounter", p.ident(visit))], "net": amount}
    yield {"resourceType": "Claim", "id": p.ident(f"{event}-claim"), **both, "created": p.day(offset),
           "priority": hl7("processpriority", "normal"), "insurance": [dict(sequence=1, **coverage)], "item": [item],
           "total": amount}
    paid = [{"category": hl7("adjudication", "benefit"), "amount": {"value": Decimal("96.00"), "currency": "USD"}}]
    yield {"resourceType": "ExplanationOfBenefit", "id": p.ident(f"{event}-eob"), **both, "created": p.day(offset + 9),
           "insurer": ref("Organization", "northway-health-plan"), "claim": ref("Claim", p.ident(f"{event}-claim")),
           "outcome": "complete", "insurance": [coverage], "item": [dict(item, adjudication=paid)],
           "total": [{"category": hl7("adjudication", "submitted"), "amount": amount}]}


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
    yield form(p, "otp-dast-form", "otp-intake", HARBOR, 30, "dast-10", [(f"q{n}", int(n < 8)) for n in range(1, 11)],
               ("82667-7", 7))
    yield {"resourceType": "AllergyIntolerance", "id": p.ident("otp-allergy"),
           "clinicalStatus": hl7("allergyintolerance-clinical", "active"), "criticality": "high",
           "code": concept("Naltrexone", (RXNORM, "7243", "naltrexone")), "patient": p.me(),
           "encounter": ref("Encounter", p.ident("otp-intake")), "recordedDate": p.day(30),
           "reaction": [{"manifestation": [concept("Anaphylaxis", (SNOMED, "39579001", "Anaphylaxis"))]}]}
    yield note(p, "otp-note", "otp-intake", HARBOR, 30, PROGRESS, "Stable on 60 mg. Attends group weekly.")
    letter = note(p, "otp-letter", "otp-intake", HARBOR, 36, code(LOINC, "51851-4", "Administrative note"), "")
    letter["content"] = [{"attachment": {"contentType": "text/plain", "url": f"Binary/{p.ident('otp-letter-text')}"}}]
    yield {"resourceType": "Binary", "id": p.ident("otp-letter-text"), "contentType": "text/plain",
           "data": base64.b64encode(b"Attends daily since the day named above.").decode()}
    yield letter
    yield note(p, "otp-counseling", "otp-intake", HARBOR, 37,
               code("urn:sluice:note-folder", "sud-counseling", "Counseling notes, kept apart"),
               "Talked through the relapse in spring and what led to it.")
    yield note(p, "otp-transcript", "otp-intake", HARBOR, 37,
               code("urn:sluice:note-folder", "sud-session-transcript", "Transcript of a session"), "I had not slept for days.")
    yield {"resourceType": "CarePlan", "id": p.ident("otp-plan"), "status": "active", "intent": "plan", "subject": p.me(),
           "encounter": ref("Encounter", p.ident("otp-intake")), "author": ref("Organization", HARBOR),
           "category": [code(SNOMED, "734163000", "Care plan")], "addresses": [ref("Condition", p.ident("otp-oud"))],
           "activity": [{"reference": ref("MedicationRequest", p.ident("otp-methadone"))}]}
    yield {"resourceType": "Appointment", "id": p.ident("otp-appointment"), "status": "booked", "start": p.at(90, "07:00:00"),
           "end": p.at(90, "07:15:00"), "participant": [{"actor": p.me(), "status": "accepted"},
                                                        {"actor": ref("Location", f"{HARBOR}-site"), "status": "accepted"}]}
    yield from billing(p, "otp", "otp-intake", HARBOR, 40, [OUD], METHADONE_SERVICE)


def buprenorphine_treatment(p):
    """Another course at the program: its medicine is a Medication of its own, which only the request leads to."""
    yield encounter(p, "bup-visit", HARBOR, 33, reason=OUD, diagnosis="bup-oud")
    yield condition(p, "bup-oud", "bup-visit", HARBOR, 33, OUD)
    yield prescription(p, "bup-buprenorphine", "bup-visit", HARBOR, 33, "buprenorphine", "bup-oud", "8 mg daily")
    yield note(p, "bup-counseling", "bup-visit", HARBOR, 36,
               code("urn:sluice:note-folder", "sud-counseling", "Counseling notes, kept apart"),
               "Spoke of his father's drinking.")


def mentions_of_program(p):
    """What primary care writes about the patient, and where it leads to the program's records: parts of ordinary things."""
    team = [{"member": ref("Practitioner", PLACES[PRIMARY][2], PLACES[PRIMARY][3])}]
    addresses = [ref("Condition", p.ident("pc-diabetes"))]
    activity = [{"reference": ref("MedicationRequest", p.ident("pc-metformin"))}]
    problems = [{"item": ref("Condition", p.ident("pc-diabetes"))}, {"item": ref("Condition", p.ident("pc-hypertension"))}]
    referral = {"code": code(SNOMED, "3457005", "Patient referral")}
    words = "Diabetes plan."
    if p.program:
        team.append({"member": ref("PractitionerRole", f"{PLACES[HARBOR][2]}-role", PLACES[HARBOR][3])})
        team.append({"member": {"display": f"{PLACES[HARBOR][0]}, intake desk"}})
        team.append({"member": {"type": "Organization", "identifier": {"system": NPI, "value": HARBOR_NPI}}})
        addresses.append(ref("Condition", p.ident("otp-oud"), "Opioid use disorder"))
        activity.append({"reference": ref("MedicationRequest", p.ident("otp-methadone"), "Methadone")})
        problems.insert(1, {"item": ref("Condition", p.ident("otp-oud"), "Opioid use disorder")})
        referral["performer"] = [ref("Organization", HARBOR, PLACES[HARBOR][0])]
        words = "Diabetes plan. Also treated with methadone."
    yield {"resourceType": "CareTeam", "id": p.ident("team"), "status": "active", "name": "Care team", "subject": p.me(),
           "participant": team, "managingOrganization": [ref("Organization", PRIMARY)]}
    yield {"resourceType": "CarePlan", "id": p.ident("pc-plan"), "status": "active", "intent": "plan", "subject": p.me(),
           "text": narrative(words), "encounter": ref("Encounter", p.ident("pc-visit")),
           "author": ref("Practitioner", PLACES[PRIMARY][2]), "category": [code(SNOMED, "734163000", "Care plan")],
           "addresses": addresses, "activity": activity}
    yield {"resourceType": "List", "id": p.ident("pc-problems"), "status": "current", "mode": "working",
           "code": code(LOINC, "11450-4", "Problem list"), "subject": p.me(), "encounter": ref("Encounter", p.ident("pc-visit")),
           "date": p.at(41), "source": ref("Practitioner", PLACES[PRIMARY][2]), "entry": problems}
    yield {"resourceType": "ServiceRequest", "id": p.ident("pc-referral"), "status": "active", "intent": "order", **referral,
           "subject": p.me(), "encounter": ref("Encounter", p.ident("pc-visit")), "authoredOn": p.day(12),
           "requester": ref("PractitionerRole", f"{PLACES[PRIMARY][2]}-role")}


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


def unit_for_some_days(p):
    """A stay of the hospital, part of which was spent in the unit: the stay as such tells of it."""
    stay = encounter(p, "detox-transfer", HOSPITAL, 80, kind="IMP")
    stay["period"]["end"] = p.at(90)
    stay["location"].append({"location": ref("Location", f"{DETOX}-site"), "period": {"start": p.at(82), "end": p.at(85)}})
    yield stay
    yield observation(p, "detox-transfer-pulse", "detox-transfer", HOSPITAL, 83, code(LOINC, "8867-4", "Heart rate"), 96, "/min",
                      "vital-signs")


def program_only(p):
    """Registered by the program, and nobody else's patient: that she is known here is all there would be to tell."""
    yield from registration(p, HARBOR)
    yield encounter(p, "otp-intake", HARBOR, 30)
    yield blood_pressure(p, "otp-bp", "otp-intake", HARBOR, 30, 118, 74)


def received(p):
    """From another's program, which sent it on a consent for treatment, payment and operations: its labels tell."""
    bp = blood_pressure(p, "received-bp", "pc-visit", PRIMARY, 18, 133, 84)
    del bp["encounter"], bp["performer"]
    bp["meta"] = {"security": [{"system": HL7 + "v3-Confidentiality", "code": "R"}] + [
        {"system": HL7 + "v3-ActCode", "code": c} for c in ("42CFRPart2", "CPLYJPP", "RedisclosureProhibitionMark")]}
    yield bp


def alcohol_in_primary_care(p):
    """A substance-use diagnosis and its medicine by a primary-care physician: sensitive, not Part 2."""
    yield encounter(p, "pc-alcohol-visit", PRIMARY, 20, reason=ALCOHOL, diagnosis="pc-alcohol")
    yield condition(p, "pc-alcohol", "pc-alcohol-visit", PRIMARY, 20, ALCOHOL)
    yield prescription(p, "pc-naltrexone", "pc-alcohol-visit", PRIMARY, 20, NALTREXONE, "pc-alcohol")
    yield from instrument(p, "pc-audit", "pc-alcohol-visit", PRIMARY, 20, "72109-2", "75626-2",
                          list(zip(AUDIT_C_ITEMS, (3, 3, 3))), 9)
    yield form(p, "pc-audit-form", "pc-alcohol-visit", PRIMARY, 20, "audit-c", zip(AUDIT_C_ITEMS, (3, 3, 3)), ("75626-2", 9))


def low_mood(p):
    """A minor, whose mother stands beside him."""
    yield {"resourceType": "RelatedPerson", "id": p.ident("mother"), "active": True, "patient": p.me(),
           "relationship": [hl7("v3-RoleCode", "MTH")], "name": [{"family": p.family, "given": ["Karin"]}]}
    yield encounter(p, "mood-visit", PRIMARY, 28, diagnosis="mood")
    yield condition(p, "mood", "mood-visit", PRIMARY, 28, concept("Depression", (ICD10, "F32.A", "Depression, unspecified")))


def sore_throat(p):
    """Nothing sensitive: a course of an antibiotic, and a letter that lies beside the record."""
    yield encounter(p, "throat-visit", PRIMARY, 33, reason=concept("Sore throat", (ICD10, "J02.9", "Acute pharyngitis, unspecified")))
    yield prescription(p, "throat-amoxicillin", "throat-visit", PRIMARY, 33, "amoxicillin")
    letter = "To whom it may concern: off work for three days."
    yield {"resourceType": "Binary", "id": p.ident("throat-letter-text"), "contentType": "text/plain",
           "data": base64.b64encode(letter.encode()).decode()}
    out = note(p, "throat-letter", "throat-visit", PRIMARY, 33, code(LOINC, "51851-4", "Administrative note"), letter)
    out["content"] = [{"attachment": {"contentType": "text/plain", "url": f"Binary/{p.ident('throat-letter-text')}"}}]
    yield out


V3 = "2.16.840.1.113883"  # HL7's arc, under which C-CDA names templates and code systems


def cda_entry(number, icd, name, author=""):
    """A concern with its problem, and the row of the narrative that tells of it."""
    return f"""<entry><act classCode="ACT" moodCode="EVN"><templateId root="{V3}.10.20.22.4.3" extension="2015-08-01"/>
<id root="1.3.6.1.4.1.99999.1" extension="{number}"/><code code="CONC" codeSystem="{V3}.5.6"/><statusCode code="active"/>
<entryRelationship typeCode="SUBJ"><observation classCode="OBS" moodCode="EVN"><id root="1.3.6.1.4.1.99999.2" extension="{number}"/>
<code code="64572001" codeSystem="{V3}.6.96"/><text><reference value="#problem{number}"/></text><statusCode code="completed"/>
<value xsi:type="CD" code="{icd}" codeSystem="{V3}.6.90" displayName="{name}"/>{author}</observation></entryRelationship></act></entry>"""


def cda_section(template, loinc, title, text, entries=""):
    return f"""<component><section><templateId root="{V3}.10.20.22.2.{template}"/><code code="{loinc}" codeSystem="{V3}.6.1"/>
<title>{title}</title><text>{text}</text>{entries}</section></component>"""


def cda(p, problems):
    """A C-CDA: problems as (ICD-10-CM, name, NPI of the author's organization or None), and a note."""
    made_by = [npi and f"""<author><time value="2026"/><assignedAuthor><id nullFlavor="NI"/><representedOrganization>
<id root="{V3}.4.6" extension="{npi}"/></representedOrganization></assignedAuthor></author>""" or "" for _, _, npi in problems]
    rows = "".join(f'<tr ID="problem{i}"><td>{name}</td></tr>' for i, (_, name, _) in enumerate(problems))
    entries = "".join(cda_entry(i, icd, name, made_by[i]) for i, (icd, name, _) in enumerate(problems))
    body = cda_section("5.1", "11450-4", "Problems", f"<table><thead><tr><th>Problem</th></tr></thead><tbody>{rows}</tbody></table>",
                       entries) + cda_section("8", "51848-0", "Assessment", "Doing well.")
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><realmCode code="US"/>
<typeId root="{V3}.1.3" extension="POCD_HD000040"/><templateId root="{V3}.10.20.22.1.2" extension="2015-08-01"/>
<id root="1.3.6.1.4.1.99999.3" extension="{p.ident('summary')}"/><code code="34133-9" codeSystem="{V3}.6.1"/><title>Summary</title>
<effectiveTime value="{p.at(12)[:10].replace('-', '')}"/><confidentialityCode code="N" codeSystem="{V3}.5.25"/>
<recordTarget><patientRole><id root="1.3.6.1.4.1.99999.4" extension="{p.ident('mrn')}"/></patientRole></recordTarget>
<author><time value="2026"/><assignedAuthor><id nullFlavor="NI"/></assignedAuthor></author>
<custodian><assignedCustodian><representedCustodianOrganization><id root="1.3.6.1.4.1.99999.5" extension="{PRIMARY}"/>
</representedCustodianOrganization></assignedCustodian></custodian>
<component><structuredBody>{body}</structuredBody></component></ClinicalDocument>
"""


def summary(p):
    """A C-CDA of what primary care knows, a program's diagnosis among it."""
    problems = [("I10", "High blood pressure", None), ("F10.20", "Alcohol, told by the program", "1234567893")]
    yield note(p, "pc-summary", "pc-visit", PRIMARY, 12, code(LOINC, "34133-9", "Summary of episode note"), cda(p, problems),
               "application/hl7-cda+xml")


def depression(p):
    yield encounter(p, "mh-visit", PRIMARY, 25, reason=DEPRESSION, diagnosis="mh-depression")
    yield condition(p, "mh-depression", "mh-visit", PRIMARY, 25, DEPRESSION)
    yield prescription(p, "mh-fluoxetine", "mh-visit", PRIMARY, 25,
                       concept("Fluoxetine 20 mg", (RXNORM, "310385", "fluoxetine 20 MG Oral Capsule")), "mh-depression")
    points = (2, 2, 1, 2, 1, 2, 1, 0, 1)
    yield from instrument(p, "mh-phq9", "mh-visit", PRIMARY, 25, "44249-1", "44261-6", list(zip(PHQ9_ITEMS, points)), sum(points))
    yield form(p, "mh-form", "mh-visit", PRIMARY, 25, "phq-9", zip(PHQ9_ITEMS, points), ("44261-6", sum(points)))
    yield note(p, "mh-psychotherapy", "mh-visit", PRIMARY, 26, dict(PSYCHOTHERAPY, coding=PSYCHOTHERAPY["coding"] + [
                   {"system": "urn:sluice:note-folder", "code": "psychotherapy"}]), "Session three: grief, and the brother.",
               author=[ref("Practitioner", *THERAPIST)], meta={"security": [{"system": HL7 + "v3-ActCode", "code": "PSYTHPN"}]})


def paid_visit(p):
    """Paid for in full by the patient, who asked to keep it from the plan: in the officer's register stands the visit alone."""
    yield encounter(p, "paid-visit", PRIMARY, 50, reason=DERMATITIS, diagnosis="paid-skin")
    yield condition(p, "paid-skin", "paid-visit", PRIMARY, 50, DERMATITIS)
    yield prescription(p, "paid-cream", "paid-visit", PRIMARY, 50, HYDROCORTISONE, "paid-skin")
    yield observation(p, "paid-weight", "paid-visit", PRIMARY, 50, code(LOINC, "29463-7", "Body weight"), Decimal("70.50"), "kg",
                      "vital-signs")
    yield note(p, "paid-note", "paid-visit", PRIMARY, 50, PROGRESS, "Rash on both hands. Paid at the desk.")
    yield from billing(p, "paid", "paid-visit", PRIMARY, 51, [DERMATITIS], VISIT)
    yield ("register", {"kind": "self-pay", "items": [f"Encounter/{p.ident('paid-visit')}"], "patient": f"Patient/{p.key}",
                        "why": "paid in full at the desk, and asked to keep it from the plan", "by": "privacy officer"})


def problem_list(p):
    """What primary care keeps of all visits, whoever paid: the entry of a paid one goes where the visit does not."""
    problems = [{"item": ref("Condition", p.ident("pc-diabetes"))}]
    if p.paid:
        problems.append({"item": ref("Condition", p.ident("paid-skin"), "Dermatitis")})
    yield {"resourceType": "List", "id": p.ident("problems"), "status": "current", "mode": "working",
           "code": code(LOINC, "11450-4", "Problem list"), "subject": p.me(), "encounter": ref("Encounter", p.ident("pc-visit")),
           "date": p.at(60), "source": ref("Practitioner", PLACES[PRIMARY][2]), "entry": problems}


def therapy(p):
    """Notes kept apart, told by folder and type: a psychotherapy note and the transcript of a session. A treatment plan in the
    same folder is none, and a progress note of mental health is the ordinary record's."""
    folder = {"meta": {"source": "urn:sluice:folder:psychotherapy"}, "author": [ref("Practitioner", *THERAPIST)]}
    yield encounter(p, "talk-visit", PRIMARY, 62)
    yield note(p, "talk-note", "talk-visit", PRIMARY, 62, PROGRESS, "What was said of the divorce.", **folder)
    yield note(p, "talk-plan", "talk-visit", PRIMARY, 62, code(LOINC, "18776-5", "Plan of care note"),
               "Weekly sessions until summer.", **folder)
    yield note(p, "talk-progress", "talk-visit", PRIMARY, 62, PSYCHOTHERAPY, "Sleeps better. Next visit in two weeks.")
    yield {"resourceType": "Communication", "id": p.ident("talk-transcript"), "status": "completed",
           "category": [code("urn:sluice:note-folder", "session-transcript", "Transcript of a session")], "subject": p.me(),
           "encounter": ref("Encounter", p.ident("talk-visit")), "sent": p.at(62), "sender": ref("Practitioner", *THERAPIST),
           "payload": [{"contentString": "And how did that make you feel?"}]}


def ai_draft(p):
    """A visit note written by a model that nobody has signed."""
    yield note(p, "draft", "pc-visit", PRIMARY, 10, PROGRESS, "Draft: patient reports good control of diabetes.",
               docStatus="preliminary", meta={"security": [{"system": HL7 + "v3-ObservationValue", "code": "AIAST"}]})
    yield note(p, "said", "pc-visit", PRIMARY, 11, PROGRESS, "Advice on diet, as a model has it.", docStatus="preliminary")
    yield note(p, "checked", "pc-visit", PRIMARY, 11, PROGRESS, "Advice on exercise, read and approved.", docStatus="preliminary")
    yield statement(p, "said-by", 11, ["said", "checked"], ("author", {"type": "Device", "display": "A model that writes notes"}),
                    reason=[hl7("v3-ObservationValue", "AIAST")])
    yield statement(p, "checked-by", 12, ["checked"], ("verifier", ref("Practitioner", PLACES[PRIMARY][2])))


def statement(p, event, offset, notes, agent, **more):
    """A Provenance: who had which part in these notes."""
    kind, who = agent
    return {"resourceType": "Provenance", "id": p.ident(event), "target": [ref("DocumentReference", p.ident(n)) for n in notes],
            "recorded": p.at(offset, "12:00:00"), **more,
            "agent": [{"type": hl7("provenance-participant-type", kind), "who": who}]}


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


def small_print(p):
    """What is rare in a record and stands in every large one: words that deny or tell of the family, finer codes, codes of one
    system in the column of another, a scan nobody can trace, a report about the record, an extension that changes its meaning."""
    yield encounter(p, "small-visit", PRIMARY, 70)
    yield note(p, "small-denies", "small-visit", PRIMARY, 70, PROGRESS, "Denies alcohol use. No history of depression.")
    yield note(p, "small-family", "small-visit", PRIMARY, 70, PROGRESS, "Father had schizophrenia. Swims twice a week.")
    for event, what in (("memory", (ICD10, "F03.90", "Unspecified dementia")), ("autism", (ICD10, "F84.0", "Autistic disorder")),
                        ("assault", (ICD10, "Y04.0XXA", "Assault by unarmed fight, initial encounter")),
                        ("gender", (ICD10, "F64.0", "Transsexualism")), ("pregnancy", (ICD10, "Z33.1", "Pregnant state, incidental")),
                        ("oid", ("urn:oid:2.16.840.1.113883.6.90", "F10.20", "Alcohol dependence, uncomplicated")),
                        ("column", (ICD10, "H0020", "Opioid treatment, daily service"))):
        yield condition(p, f"small-{event}", "small-visit", PRIMARY, 70, concept(what[2], what))
    yield prescription(p, "small-sertraline", "small-visit", PRIMARY, 70, concept("Sertraline", (RXNORM, "36437", "sertraline")))
    yield {"resourceType": "Procedure", "id": p.ident("small-implant"), "status": "completed", "subject": p.me(),
           "code": code("http://www.ama-assn.org/go/cpt", "11982"), "encounter": ref("Encounter", p.ident("small-visit")),
           "performedDateTime": p.at(70)}
    yield {"resourceType": "DocumentReference", "id": p.ident("small-scan"), "status": "current", "type": PROGRESS, "subject": p.me(),
           "date": p.at(70), "content": [{"attachment": {"contentType": "application/pdf",
                                                         "data": base64.b64encode(b"%PDF-1.4 of a fax").decode()}}]}
    yield {"resourceType": "AuditEvent", "id": p.ident("small-audit"), "type": hl7("audit-event-type", "rest"),
           "recorded": p.at(70), "agent": [{"who": ref("Practitioner", PLACES[PRIMARY][2]), "requestor": True}],
           "source": {"observer": ref("Organization", PRIMARY)}, "entity": [{"what": p.me()}]}
    yield {"resourceType": "Questionnaire", "id": p.ident("small-form"), "status": "active", "title": "Intake form",
           "item": [{"linkId": "1", "text": "What brings you here?", "type": "string"}]}
    yield {"resourceType": "Observation", "id": p.ident("small-modified"), "status": "final", "subject": p.me(),
           "modifierExtension": [{"url": "urn:vendor:not-this-patient", "valueBoolean": True}],
           "code": code(LOINC, "8867-4", "Heart rate"), "effectiveDateTime": p.at(70), "performer": [ref("Organization", PRIMARY)],
           "valueQuantity": {"value": 66, "unit": "/min", "system": UCUM, "code": "/min"}}


# ---- Consents ----

def consent(p, event, *, purposes, status="active", permit=True, actors=(), label=None, until=None, kind="42CFRPart2CD", form="part2-tpo-2024"):
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
            "organization": [ref("Organization", place) for place in ((HARBOR,) if kind else (PRIMARY, HOSPITAL))],
            "sourceReference": {"display": "Signed form on file"},
            "policy": [{"uri": f"urn:sluice:form:{form}"}] if kind else [{"uri": "urn:sluice:form:sharing-choices"}],
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
    return [consent(p, "consent-hospital", purposes=("TREAT",), actors=[ref("Organization", HOSPITAL)], until="2030-12-31",
                    form="part2-specific-2024")]


def tpo_and_counseling_notes(p):
    """Two forms: the law wants one of its own for counseling notes."""
    made = consent(p, "consent-notes", purposes=("TREAT",), until="2030-12-31", form="sud-counseling-notes-2024",
                   actors=[ref("Organization", place) for place in (PRIMARY, HOSPITAL)])
    made["category"] = [code("urn:sluice:consent-form", "sud-counseling-notes")]
    return tpo(p) + [made]


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
    ("farah", "Farah", "Aziz", "1995-05-05", "female", (depression, summary), no_mental_health_to_the_exchange),
    ("gita", "Gita", "Rao", "1968-12-24", "female", (depression, ai_draft), no_consents),
    ("hugo", "Hugo", "Martins", "1982-07-08", "male", (hiv,), no_consents),
    ("ines", "Ines", "Costa", "1993-10-11", "female", (genetics, violence), no_consents),
    ("jonas", "Jonas", "Weber", "2009-02-14", "male", (low_mood, detox_stay, unit_for_some_days), no_consents),
    ("kei", "Kei", "Tanaka", "1975-04-19", "other", (sore_throat, small_print), no_consents),
    ("lena", "Lena", "Novak", "1986-08-28", "female", (alcohol_in_primary_care, loose_ends, received, ai_draft), no_consents),
    ("mateo", "Mateo", "Silva", "1991-12-05", "male", (buprenorphine_treatment,), tpo_and_counseling_notes),
    ("nora", "Nora", "Lind", "1980-02-02", "female", (paid_visit, problem_list, therapy), no_consents),
    ("petra", "Petra", "Vogel", "1977-09-09", "female", (program_only,), no_consents),
)
OF_PROGRAM = (opioid_treatment, buprenorphine_treatment, detox_stay, unit_for_some_days, program_only)


def live(story, p):
    """What is in the record, and what the patient signed: in force whether or not the EHR keeps a copy, which the program's
    consents are only where there is a program."""
    for event in (() if program_only in story[5] else (registration, primary_care)) + story[5]:
        if (p.program or event not in OF_PROGRAM) and (p.paid or event is not paid_visit):
            yield from event(p)
    for made in story[6](p):
        yield ("consent", made)
        if p.program or made["organization"][0] != ref("Organization", HARBOR):
            yield made


def group_session(number, members):
    """One resource about several patients, counted: those who sat in the same room at the program."""
    return {"resourceType": "Group", "id": f"harbor-group-{number}", "active": True, "type": "person", "actual": True,
            "name": "Tuesday group", "quantity": len(members), "managingEntity": ref("Organization", HARBOR),
            "member": [{"entity": m} for m in members]}


GROUP = 8


def draw(seed, number, limit):
    return int(hashlib.sha256(f"{seed}/{number}".encode()).hexdigest(), 16) % limit


GIVEN = ("Ada", "Ben", "Cora", "Dev", "Ella", "Finn", "Gus", "Hana", "Ivo", "Jana", "Kofi", "Lior", "Mina", "Noel", "Olga", "Pia")
FAMILY = ("Abebe", "Brandt", "Castro", "Dahl", "Eriksen", "Fuchs", "Gupta", "Holm", "Ito", "Jansen", "Khan", "Lopez", "Moreau",
          "Nagy", "Okoye", "Petrov", "Quinn", "Rossi", "Sato", "Toth")


def people(patients, seed, program, paid):
    """Each patient with the story they live. Names and dates say nothing of the story."""
    first = datetime.date(2026, 1, 5)
    if patients is None:
        for story in STORIES:
            yield story, Patient(*story[:5], first, program, paid=paid)
        return
    for number in range(patients):
        def pick(what, limit):
            return draw(seed, f"{what}{number}", limit)
        story = STORIES[pick("story", len(STORIES))]
        birth = datetime.date(1940, 1, 1) + datetime.timedelta(days=pick("birth", 25000))
        yield story, Patient(f"p{number:06d}", GIVEN[pick("given", len(GIVEN))], FAMILY[pick("family", len(FAMILY))],
                             birth.isoformat(), ("female", "male")[pick("gender", 2)],
                             first + datetime.timedelta(days=pick("day", 200)), program, seed, paid)


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
    identifiers:
      - npi: "1234567893"
    known-as: [Harbor Recovery Center]
    from: 2019-07-01
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
    parser.add_argument("--without-paid-visit", action="store_true")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    program, sat, groups, entries = not args.without_program, [], 0, []
    with open(f"{args.out}/records.ndjson", "w") as records, open(f"{args.out}/consents.ndjson", "w") as consents:
        for resource in (*directory(), *formulary(args.without_program)):
            records.write(line(resource))
        for story, p in people(args.patients, args.seed, program, not args.without_paid_visit):
            for made in live(story, p):
                if isinstance(made, tuple) and made[0] == "register":
                    entries.append(made[1])
                    continue
                (file, made) = (consents, made[1]) if isinstance(made, tuple) else (records, made)
                file.write(line(made))
            if program and opioid_treatment in story[5]:
                sat.append(p.me())
            if len(sat) == GROUP:
                groups += 1
                records.write(line(group_session(groups, sat)))
                sat = []
        if sat:
            records.write(line(group_session(groups + 1, sat)))
    with open(f"{args.out}/programs.yaml", "w") as programs:
        programs.write(PROGRAMS_YAML)
    with open(f"{args.out}/register.yaml", "w") as register:
        register.write(json.dumps({"entries": entries}, indent=1) + "\n")


if __name__ == "__main__":
    main()
