# SPDX-License-Identifier: Apache-2.0
import json
import os
import sys
import tempfile
import threading

import house

sys.path.insert(0, os.path.join(house.ROOT, "conformance"))
import pcf  # noqa: E402

IRCP = {"coding": [{"system": pcf.HL7 + "v3-ParticipationType", "code": "IRCP"}]}
GROUP = {"resourceType": "Group", "id": "team", "type": "practitioner", "actual": True,
         "member": [{"entity": {"reference": "Practitioner/dr"}},
                    {"entity": {"reference": "Practitioner/gone"}, "inactive": True},
                    {"entity": {"reference": "Practitioner/past"}, "period": {"end": "2023-01-01"}},
                    {"entity": {"reference": "PractitionerRole/role"}}]}
ROLE = {"resourceType": "PractitionerRole", "id": "role", "practitioner": {"reference": "Practitioner/nurse"},
        "organization": {"reference": "Organization/ward"}}
TEAM = {"resourceType": "CareTeam", "id": "care", "status": "active", "subject": {"reference": "Patient/ex-patient"},
        "participant": [{"member": {"reference": "Practitioner/dr"}}, {"member": {"reference": "Organization/hospital"}}]}
WARD = {"resourceType": "Organization", "id": "ward", "partOf": {"reference": "Organization/hospital"}}
HOSPITAL = {"resourceType": "Organization", "id": "hospital", "partOf": {"reference": "Organization/system"}}
ELSEWHERE = {"resourceType": "Organization", "id": "elsewhere"}
AROUND = (GROUP, ROLE, TEAM, WARD, HOSPITAL, ELSEWHERE)


def consent(kind, *actors, purposes=("TREAT", "HPAYMT", "HOPERAT"), ident="c", **more):
    provision = {"type": kind, "purpose": [{"system": pcf.HL7 + "v3-ActReason", "code": p} for p in purposes]}
    if actors:
        provision["actor"] = [{"role": IRCP, "reference": {"reference": a}} for a in actors]
    return {"resourceType": "Consent", "id": ident, "status": "active", "patient": {"reference": "Patient/ex-patient"},
            "scope": {"coding": [{"system": pcf.HL7 + "consentscope", "code": "patient-privacy"}]},
            "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}], "dateTime": "2022-06-13",
            "organization": [{"reference": "Organization/ex-organization"}], "provision": provision} | more


def people(asker):
    """Whom a Consent means by a Group, a care team, a role, an organization."""
    dr, nurse = {"user": "Practitioner/dr"}, {"user": "Practitioner/nurse", "organization": "Organization/ward"}
    rows = [
        ("a member of the Group", "Group/team", dr, "released"),
        ("who is none", "Group/team", {"user": "Practitioner/other"}, "withheld"),
        ("who was one, and is inactive", "Group/team", {"user": "Practitioner/gone"}, "withheld"),
        ("whose time in it is over", "Group/team", {"user": "Practitioner/past"}, "withheld"),
        ("who is one by a role", "Group/team", nurse, "released"),
        ("the same practitioner elsewhere", "Group/team", {"user": "Practitioner/nurse"}, "withheld"),
        ("who is known by the role", "Practitioner/nurse", {"user": "PractitionerRole/role"}, "released"),
        ("a participant of the care team", "CareTeam/care", dr, "released"),
        ("whose ward's hospital is one", "CareTeam/care", nurse, "released"),
        ("what the hospital is part of", "Organization/system", nurse, "released"),
        ("what is part of the ward", "Organization/below", nurse, "withheld"),
        ("another organization", "Organization/hospital", dr, "withheld"),
        ("a Group that nobody knows", "Group/unknown", dr, "withheld"),
    ]
    for name, actor, who, expected in rows:
        asker.check(f"permit: {name}", expected, [consent("permit", actor)], pcf.observation(), around=AROUND, **who)
        # A denial of the same, beside a permit for everybody: it binds whom it means, and whom it may mean.
        other = "released" if expected == "withheld" and actor != "Group/unknown" else "withheld"
        asker.check(f"denial: {name}", other, [consent("permit", ident="p"), consent("deny", actor)], pcf.observation(),
                    around=AROUND, **who)
    described = GROUP | {"actual": False}
    asker.check("a Group that is only described", "withheld", [consent("permit", "Group/team")], pcf.observation(),
                around=(described, ROLE, WARD, HOSPITAL), **dr)


def disclosers(asker):
    """Who may disclose for an organization may for its parts, over any number of steps, and not the other way."""
    part = {"resourceType": "Organization", "id": "ex-organization", "partOf": {"reference": "Organization/ward"}}
    around = (part, WARD, HOSPITAL, ELSEWHERE)
    named = lambda kind, holder, **more: consent(kind, **more) | {"organization": [{"reference": f"Organization/{holder}"}]}
    for holder, covers in (("ex-organization", True), ("ward", True), ("hospital", True), ("system", True), ("elsewhere", False)):
        asker.check(f"permit: {holder} may disclose", "released" if covers else "withheld", [named("permit", holder)],
                    pcf.observation(), around=around)
        asker.check(f"denial: {holder} may not", "withheld" if covers else "released",
                    [consent("permit", ident="p"), named("deny", holder)], pcf.observation(), around=around)
    asker.check("permit: a part may, of what the whole holds", "withheld", [named("permit", "below")], pcf.observation(),
                around=(*around, {"resourceType": "Organization", "id": "below",
                                  "partOf": {"reference": "Organization/ex-organization"}}))


def supersession(asker):
    later = {"dateTime": "2023-01-01", "ident": "later"}
    asker.check("a later denial takes the place of a permit", "withheld", [consent("permit"), consent("deny", **later)],
                pcf.observation())
    asker.check("a later permit takes the place of a denial", "released", [consent("deny"), consent("permit", **later)],
                pcf.observation())
    asker.check("one for another purpose does not", "released", [consent("permit", purposes=["TREAT"]),
                consent("permit", purposes=["HPAYMT"], **later)], pcf.observation())
    asker.check("nor does it lift a denial", "withheld", [consent("deny", purposes=["TREAT"]),
                consent("permit", purposes=["TREAT", "HPAYMT"], **later)], pcf.observation())
    asker.check("a revocation ends the permit", "withheld", [consent("permit"), consent("permit", status="inactive", **later)],
                pcf.observation())


def own_record(asker):
    """A Consent is a record like any other: one that tells of psychiatry goes to whom psychiatry may."""
    telling = consent("deny", "Practitioner/somebody", ident="tells")
    telling["provision"]["securityLabel"] = [{"system": pcf.HL7 + "v3-ActCode", "code": "PSY"}]
    ordinary = consent("permit", "Practitioner/somebody", ident="plain")
    normal = consent("permit", ident="normal")
    normal.pop("organization")  # whoever holds the record
    normal["provision"]["securityLabel"] = [{"system": pcf.HL7 + "v3-Confidentiality", "code": "N"}]
    asker.check("a Consent of nothing sensitive is read", "released", [normal], ordinary)
    asker.check("one that is about psychiatry is not, on a permit for the rest", "withheld", [normal], telling)


def members(sluice, folder):
    """A Group whose members change takes effect at the next request."""
    records, consents = house.clinic(folder)
    given = next(json.loads(line) for line in open(consents[0]) if '"amara-consent-tpo"' in line)
    h = house.House(sluice, records=records, consents=consents)
    denial = {k: v for k, v in given.items() if k not in ("policyRule", "organization")} | {"id": "amara-deny-group"}
    denial["category"] = [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}]
    denial["provision"] = {"type": "deny", "actor": [{"role": IRCP, "reference": {"reference": "Group/kept-out"}}]}

    def write(name, record):
        h.write(name, json.dumps(record) + "\n")
        return h.at(name)

    def set_members(*who):
        group = {"resourceType": "Group", "id": "kept-out", "type": "practitioner", "actual": True,
                 "member": [{"entity": {"reference": one}} for one in who]}
        h.run("records", "import", "--store", h.at("records"), write("group.ndjson", group))

    set_members("Organization/harbor-recovery")
    h.run("consent", "import", "--store", h.at("policy"), write("denial.json", denial))
    h.start()
    seen = lambda: "amara-otp-methadone" in h.ids("MedicationRequest?patient=amara")
    h.expect("a denial of a Group denies nobody else", seen(), "")
    for _ in range(3):
        set_members("Organization/harbor-recovery", "Organization/lakeside-primary")
        h.expect("who has joined it is denied at the next request", not seen(), "")
        set_members("Organization/harbor-recovery")
        h.expect("who has left it is not", seen(), "")
    h.close()
    return h.failures


def changes(sluice, folder):
    """A revocation takes effect for every answer not yet begun, whichever worker gives it."""
    records, consents = house.clinic(folder)
    given = next(json.loads(line) for line in open(consents[0]) if '"amara-consent-tpo"' in line)
    h = house.House(sluice, records=records, consents=consents)
    h.start()
    seen = lambda: "amara-otp-methadone" in h.ids("MedicationRequest?patient=amara")
    h.expect("with the consent, methadone is there", seen(), "")
    wrong, lock = [], threading.Lock()
    for turn in range(6):
        given["status"] = "inactive" if turn % 2 == 0 else "active"
        h.write("turn.json", json.dumps(given))
        h.run("consent", "import", "--store", h.at("policy"), h.at("turn.json"))

        def look():
            got = seen()
            with lock:
                wrong.extend([turn] if got != (turn % 2 == 1) else [])
        threads = [threading.Thread(target=look) for _ in range(8)]  # connections of their own, spread over the workers
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    h.expect("what was signed or revoked holds for each answer after it", not wrong, wrong)
    said = h.run("consent", "show", "--store", h.at("policy"), "Patient/amara")
    h.expect("show says what it counts as", "counts as part2-tpo (form part2-tpo-2024)" in said, said)
    given.pop("performer")
    h.write("unsigned.json", json.dumps(given))
    h.run("consent", "import", "--store", h.at("policy"), h.at("unsigned.json"))
    said = h.run("consent", "show", "--store", h.at("policy"), "Patient/amara")
    h.expect("show says which element is missing", "is no part2-tpo" in said and "lacks a signature" in said, said)
    h.expect("what is incomplete is no consent", not seen(), "")
    h.close()
    return h.failures


def scenario(sluice, folder):
    """whom a Consent means, what takes its place, what it counts as, and when"""
    with tempfile.TemporaryDirectory() as place:
        asker = pcf.Asker(os.path.abspath(sluice), place)
        people(asker)
        disclosers(asker)
        supersession(asker)
        own_record(asker)
    return asker.wrong + members(sluice, folder) + changes(sluice, folder)


if __name__ == "__main__":
    house.main(scenario)
