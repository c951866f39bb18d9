# SPDX-License-Identifier: Apache-2.0
import json

import house
import two_worlds
from two_worlds import code, loinc, patient, ref

house.REGISTRY += """  - id: phone
    kinds: [patient-app]
    roles: [patient]
    purposes: [PATRQT]
"""

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
        yield order("called", _id=LABEL)
        yield order("dated", meta={"_lastUpdated": LABEL})
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
    for path in ("MedicationRequest/forbidden", "AllergyIntolerance/refuted", "MedicationRequest/called", "MedicationRequest/dated"):
        b.same(path, b.ask(path)[0], 404)
    b.ask("MedicationRequest?_summary=count&patient=ann")
    b.ask("Patient/ann/$everything")
    b.ask("Observation?component-value-quantity=gt500")
    b.same("the number alone goes of a part", "valueQuantity" in json.loads(b.ask("Observation/level")[2])["component"][1], False)
    b.full("MedicationRequest?patient=ann", "forbidden")


# ---- Records that name several people: one of them, quin, lets nothing go ----

ANN, QUIN, HIS = ref("Patient/ann"), ref("Patient/quin"), ref("RelatedPerson/his")
OF_HIM = ref("Observation/of-him")
SECRET = (b"Patient/quin", b"RelatedPerson/his", b"of-him", b"visit-of-his", b"sample-of-his", b"CANARY")


def reading(ident, who=ANN, **more):
    return {"resourceType": "Observation", "id": ident, "status": "final", "subject": who, "code": loinc("8867-4"), **more}


def made(kind, ident, **more):
    return {"resourceType": kind, "id": ident, **more}


def people():
    words = {"text": "any"}
    yield patient("ann", "Sharp", "1970-02-03")
    yield patient("quin", "CANARY", "1971-02-03")
    yield made("RelatedPerson", "his", patient=QUIN, name=[{"family": "CANARY"}])
    yield made("RelatedPerson", "hers", patient=ANN)
    yield made("Encounter", "visit-of-his", status="finished", **{"class": {"code": "AMB"}}, subject=QUIN)
    yield made("Encounter", "visit", status="finished", **{"class": {"code": "AMB"}}, subject=ANN,
               participant=[{"individual": HIS}, {"individual": ref("RelatedPerson/hers")}])
    yield made("Specimen", "sample-of-his", subject=QUIN)
    yield reading("of-him", QUIN)
    yield reading("plain")
    yield reading("performed", performer=[HIS, QUIN])
    yield reading("visited", encounter=ref("Encounter/visit-of-his"))
    yield reading("drawn", specimen=ref("Specimen/sample-of-his"))
    for ident, more in (("focused", {"focus": [QUIN]}), ("derived", {"derivedFrom": [OF_HIM]}), ("panel", {"hasMember": [OF_HIM]})):
        yield reading(ident, **more)
    yield made("Group", "both", type="person", actual=True, member=[{"entity": ANN}, {"entity": QUIN}])
    yield made("Task", "for-him", status="requested", intent="order", **{"for": QUIN}, requester=ANN)
    yield made("Task", "on-him", status="requested", intent="order", **{"for": ANN}, focus=OF_HIM)
    yield made("Task", "with-him", status="requested", intent="order", **{"for": ANN}, requester=QUIN, owner=HIS, basedOn=[OF_HIM],
               input=[{"type": words, "valueReference": QUIN}])
    yield made("Communication", "told", status="completed", subject=ANN, about=[OF_HIM], sender=QUIN, recipient=[HIS, ANN])
    yield made("Coverage", "covered", status="active", beneficiary=ANN, subscriber=QUIN, policyHolder=HIS, payor=[HIS, {"display": "plan"}])
    yield made("Account", "shared", status="active", subject=[ANN, QUIN])
    yield made("Person", "one", link=[{"target": ANN}, {"target": QUIN}])
    yield made("List", "listed", status="current", mode="working", subject=ANN, entry=[{"item": i} for i in (QUIN, OF_HIM, HIS, ref("Observation/plain"))])
    yield made("CareTeam", "team", status="active", subject=ANN, participant=[{"member": QUIN}, {"member": HIS}, {"member": ref("RelatedPerson/hers")}])
    yield made("Provenance", "proven", target=[ref("Observation/plain"), OF_HIM], recorded="2026-01-01T00:00:00Z", agent=[{"who": QUIN}, {"who": ANN}])
    yield made("QuestionnaireResponse", "asked", status="completed", subject=ANN, source=HIS, author=QUIN,
               item=[{"linkId": "1", "answer": [{"valueReference": QUIN}]}])
    yield made("Appointment", "met", status="booked", participant=[{"actor": a, "status": "accepted"} for a in (ANN, QUIN, HIS)])


GOES = {"Observation": ["performed", "plain", "visited", "drawn"], "Task": ["with-him"], "Account": [], "Person": [], "List": ["listed"],
        "CareTeam": ["team"], "Communication": ["told"], "RelatedPerson": ["hers"], "Encounter": ["visit"], "Coverage": ["covered"],
        "QuestionnaireResponse": ["asked"], "Appointment": ["met"], "Patient": ["ann"]}


def strictest(sluice, folder):
    """Whoever is named: his decision holds for the whole if it is about him, for the element if it mentions him."""
    records, consents = f"{folder}/people.ndjson", f"{folder}/no.json"
    with open(records, "w") as out:
        out.writelines(json.dumps(r) + "\n" for r in people())
    with open(consents, "w") as out:
        json.dump(made("Consent", "no", status="active", scope={"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]}, category=[loinc("59284-0")],
            patient=QUIN, dateTime="2025-01-01", performer=[QUIN], sourceReference={"display": "form"}, policy=[{"uri": "urn:x"}],
            provision={"type": "deny"}), out)
    h = house.House(sluice, records=[records], consents=[consents]).start()
    app = h.token("phone", "PATRQT", "--patient", "ann", "--user", "ann", "--fhir-user", "Patient/ann", "--role", "patient", "--scope", "patient/*.rs")
    for caller, name in (("ward", "ward"), (app, "her own app")):
        for kind, ids in GOES.items():
            got = h.ids(f"{kind}?_count=50", caller)
            h.expect(f"{name}: {kind}", got == sorted(ids), (got, ids))
        paths = [f"{kind}?_count=50" for kind in GOES] + [
            "Patient/ann/$everything", "Group/both", "Provenance?target=Observation/plain",
            "Observation?_include=Observation:performer&_include=Observation:encounter&_include=Observation:specimen&_include=Observation:focus",
            "Task?_include=Task:requester&_include=Task:owner&_include=Task:based-on", "Patient?_id=ann&_revinclude=Observation:focus",
            "Patient?_id=ann&_revinclude=Task:requester"]
        told = [(path, word, text[max(0, text.find(word) - 150):text.find(word) + 60]) for path in paths
                for text in [h.ask(path, caller)[2]] for word in SECRET if word in text]
        h.expect(f"{name}: nothing names him", not told, told)
    h.expect("who asks about him by another's record finds nothing",
             all(h.ids(f"Observation?{q}", "ward") == [] for q in ("performer=RelatedPerson/his", "encounter=Encounter/visit-of-his", "performer:RelatedPerson.patient=quin",
                                                          "encounter.patient=quin", "specimen.subject:Patient._id=quin")),
             [h.ids(f"Observation?{q}", "ward") for q in ("performer=RelatedPerson/his", "encounter=Encounter/visit-of-his")])
    h.close()
    return h.failures


def scenario(sluice, folder):
    """What stays is true: nothing goes out without what changes its meaning, or by the decision of another person."""
    b = Worlds(sluice, folder)
    try:
        modifiers(b)
    finally:
        failures = b.close()
    return failures + strictest(sluice, folder)


house.main(scenario)
