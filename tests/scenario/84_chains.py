# SPDX-License-Identifier: Apache-2.0
import house
import two_worlds


def chains(b):
    b.found("Observation?subject:Patient.birthdate=1970-02-03&date=ge2024-03-01", ["o2", "o3", "o4"])
    b.found("Observation?subject.name=oak", ["o5", "o6", "o7"])  # of the types a subject may be, those with a name
    b.found("Observation?encounter.reason-code=I10&status=final", [f"o{n}" for n in range(8)])
    b.found("Observation?encounter.reason-code=F11.20", [])  # over an element that was cut
    b.found("Observation?encounter:Encounter.service-provider.name=harbor", [])  # over records that are withheld
    b.found("Observation?patient.general-practitioner:Practitioner.family=greene", [f"o{n}" for n in range(5)])
    b.found("Encounter?service-provider.partof.name=lakes", ["e1", "e2", "e3"])
    b.found("Patient?organization.name=harbor", [])
    b.found("Observation?patient.birthdate=1900", [])
    b.found("Observation?patient.identifier=urn:mrn|ann&patient.birthdate=gt2000", [])
    b.found("Patient/ann/Observation?encounter.reason-code=I10&_count=2", ["o0", "o1"])
    b.found("Observation?subject:Patient._has:Condition:patient:code=B20", [])
    b.full("Observation?subject:Patient._has:Condition:patient:code=B20", "o5")
    for query in ("Observation?patient.nothing=1", "Observation?code.name=x", "MedicationRequest?medication.ingredient.status=x"):
        b.found(query, 400)


def has(b):
    b.found("Patient?_has:Condition:patient:code=I10", ["ann", "bob"])
    b.found("Patient?_has:Condition:patient:code=F11.20", [])
    b.found("Patient?_has:Observation:patient:encounter.service-provider.name=harbor", [])
    b.found("Encounter?_has:Observation:encounter:_has:Observation:has-member:code=8867-4", ["e1"])
    b.found("Patient?_has:Condition:patient:code=I10&_has:Condition:patient:code=E11.9", ["ann"])
    b.found("Patient?_has:Observation:code:code=x", 400)
    b.found("Patient?_has:Condition:patient:code=B20", [])
    b.full("Patient?_has:Condition:patient:code=B20", "bob")
    b.found("Patient?_list=known", ["ann", "bob"])
    b.found("Patient?_list=secret", [])
    b.found("Patient?_list=absent", [])
    b.found("Patient?_list=known&_has:Condition:patient:code=E11.9", ["ann"])
    b.full("Patient?_list=secret", "bob")


def negatives(b):
    b.found("Encounter?patient=ann&reason-code:not=F11.20", ["e1", "e2"])
    b.found("Encounter?patient=ann&reason-code:not=I10", ["e2"])
    b.found("Encounter?patient=ann&reason-code:missing=true", ["e2"])
    b.found("Encounter?patient=ann&reason-code:missing=false", ["e1"])
    b.found("Encounter?reason-code:missing=true", ["e2"])
    b.found("Condition?code:not=I10", ["c2"])
    b.found("Condition?recorded-date=ne2024-01-01", ["c2", "c3"])
    b.found("Condition?recorded-date=ap2024-01-02", ["c1"])
    b.found("Patient?deceased=false", ["ann", "bob", "cas"])
    b.found("Observation?code:text=heart&patient=bob", ["o5", "o6", "o7"])
    b.found("Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|bob", ["bob"])
    b.found("Observation?code-value-quantity=8867-4$lt62", ["o0", "o7"])
    # Labels are matched as they go out: what a partner's copy does not carry is not found.
    b.found("Encounter?patient=ann&_security=http://terminology.hl7.org/CodeSystem/v3-Confidentiality|R", [])
    b.found("Encounter?patient=ann&_security=http://terminology.hl7.org/CodeSystem/v3-Confidentiality|N", ["e1", "e2"])
    for query in ("code:in=http://x", "code:not-in=http://x", "code:below=I10", "_contained=true", "_query=x", "_list=$current-problems"):
        b.found(f"Condition?{query}", 400)
    b.found("Condition?nothing=x", 400, headers=["Prefer: handling=lenient"])  # dropping it would widen the search


def scenario(sluice, folder):
    """Chains, _has, _list and what asks for absence: over what is withheld as over what is not there."""
    b = two_worlds.Both(sluice, folder)
    try:
        for part in (chains, has, negatives):
            part(b)
    finally:
        failures = b.close()
    return failures


house.main(scenario)
