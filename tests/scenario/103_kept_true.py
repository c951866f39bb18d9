# SPDX-License-Identifier: Apache-2.0
import json

import house
import two_worlds
from two_worlds import code, patient, ref

LABEL = {"extension": [{"url": "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label", "valueCoding": {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}}]}
WARFARIN = code("http://www.nlm.nih.gov/research/umls/rxnorm", "855332")


def order(ident, **more):
    return {"resourceType": "MedicationRequest", "id": ident, "status": "active", "intent": "order", "subject": ref("Patient/ann"),
            "medicationCodeableConcept": WARFARIN, **more}


def allergy(ident, **more):
    return {"resourceType": "AllergyIntolerance", "id": ident, "patient": ref("Patient/ann"), "code": WARFARIN, **more}


def turned(secret):
    """What would say another thing without the part that an exchange partner may not see: in the other world it never was."""
    yield patient("ann", "Sharp", "1970-02-03")
    yield order("given", note=[{"text": "none"}])
    yield allergy("certain")
    yield {"resourceType": "Observation", "id": "level", "status": "final", "subject": ref("Patient/ann"),
           "code": two_worlds.loinc("85354-9"), "component": [{"code": two_worlds.loinc("8480-6"), "valueQuantity": {"value": 120}}, {
               "code": two_worlds.loinc("8462-4"),
               **({"valueQuantity": {"value": 999, "comparator": "<", "_comparator": LABEL}} if secret else {})}]}
    if secret:
        yield order("forbidden", doNotPerform=True, _doNotPerform=LABEL)
        yield allergy("refuted", verificationStatus={**LABEL, "coding": [{"code": "refuted"}]})


class Worlds(two_worlds.Both):
    def __init__(self, sluice, folder):
        self.one = two_worlds.world(sluice, folder, "turned", turned(True))
        self.two = two_worlds.world(sluice, folder, "never", turned(False))
        self.cursors = {}


def modifiers(b):
    b.found("MedicationRequest?patient=ann", ["given"])
    b.found("AllergyIntolerance?patient=ann", ["certain"])
    b.found("AllergyIntolerance?verification-status:missing=true", ["certain"])
    for path in ("MedicationRequest/forbidden", "AllergyIntolerance/refuted"):
        b.same(path, b.ask(path)[0], 404)
    b.ask("MedicationRequest?_summary=count&patient=ann")
    b.ask("Patient/ann/$everything")
    b.ask("Observation?component-value-quantity=gt500")
    b.same("the number alone goes of a part", "valueQuantity" in json.loads(b.ask("Observation/level")[2])["component"][1], False)
    b.full("MedicationRequest?patient=ann", "forbidden")


def scenario(sluice, folder):
    """What stays is true: nothing goes out without what changes its meaning."""
    b = Worlds(sluice, folder)
    try:
        modifiers(b)
    finally:
        failures = b.close()
    return failures


house.main(scenario)
