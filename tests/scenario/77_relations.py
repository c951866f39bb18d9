#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
import datetime
import json
import os
import re
import shutil

import house

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
HARBOR, PRIMARY = "harbor-recovery", "lakeside-primary"
TEFCA = "urn:oid:2.16.840.1.113883.3.7204.1.5.2.1#"

# Who treats is what any clinician of this house may look up; the record itself goes to whom such a record names.
POLICY = """layer: organization
title: Who treats whom
parties:
  - id: clinician
    title: A clinician of this house
    roles: [resident]
  - id: acquainted
    title: A clinician whom records connect with the patient
    roles: [resident]
    relationship: [care-team, open-referral, recent-encounter, author]
    within-days: 90
    vouched-by: [record]
  - id: laboratory
    title: A laboratory that serves the program
    kinds: [qso]
    agreements: [qsoa]
    services: [laboratory]
  - id: network-provider
    title: Another provider, through the network
    kinds: [x-node]
    networks: [tefca]
    exchange-purposes: [tefca-treatment]
classes:
  - {id: who-treats, title: Who treats whom, kind: needs-yes, earned-by: {types: [CareTeam, ServiceRequest, Task, Encounter]}}
rules:
  - {id: who-treats, title: A clinician may look up who treats whom., verdict: release, data: [who-treats], to: [clinician], for: [treatment]}
  - {id: acquainted, title: Whom records connect gets the record., verdict: release, data: [chart, document, who-treats], to: [acquainted], for: [treatment]}
  - {id: laboratory, title: A laboratory gets what it is asked to do., verdict: release, data: [part2, chart], to: [laboratory], for: [operations]}
  - {id: network, title: Through the network., verdict: release, data: [chart], to: [network-provider], for: [treatment]}
"""

REGISTRY = f"""clients:
  - id: clinic
    organization: Organization/{PRIMARY}
    kinds: [covered-entity]
    roles: [resident]
    purposes: [TREAT]
    users:
      - {{subject: lee, reference: Practitioner/lee, name: Dr. Lee}}
      - {{subject: other, reference: Practitioner/other, name: Dr. Other}}
  - id: practice
    organization: Organization/{PRIMARY}
    kinds: [covered-entity]
    roles: [resident]
    purposes: [TREAT]
  - id: portal
    kinds: [patient-app]
    token-roles: [representative]
    purposes: [PATRQT]
  - id: lab
    kinds: [qso]
    purposes: [HOPERAT]
    agreements: [{{kind: qsoa, until: 2099-01-01, with: Organization/{HARBOR}, services: [laboratory]}}]
  - id: lab-elsewhere
    kinds: [qso]
    purposes: [HOPERAT]
    agreements: [{{kind: qsoa, until: 2099-01-01, with: Organization/brigid-detox, services: [laboratory]}}]
  - id: lab-past
    kinds: [qso]
    purposes: [HOPERAT]
    agreements: [{{kind: qsoa, until: 2020-01-01, services: [laboratory]}}]
  - id: lab-bills
    kinds: [qso]
    purposes: [HOPERAT]
    agreements: [{{kind: qsoa, until: 2099-01-01, services: [billing]}}]
  - id: node
    kinds: [x-node]
    networks: [tefca]
    purposes: [TREAT, HPAYMT]
  - id: outsider
    kinds: [x-node]
    purposes: [TREAT]
"""


def made(kind, ident, **members):
    return {"resourceType": kind, "id": ident, **members}


def ref(kind, ident):
    return {"reference": f"{kind}/{ident}"}


def day(ago):
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=ago)).strftime("%Y-%m-%dT08:00:00Z")


def team(who, **more):
    more.setdefault("status", "active")
    more.setdefault("participant", [{"member": ref("Practitioner", "lee")}])
    return made("CareTeam", f"{who}-team", subject=ref("Patient", who), **more)


def referral(who, status, **more):
    more.setdefault("performer", [ref("PractitionerRole", "lee-cardiology")])
    return made("ServiceRequest", f"{who}-referral", status=status, intent="order", subject=ref("Patient", who), **more)


def visit(who, ago, status="finished", **more):
    period = {"start": day(ago)} | ({"end": day(ago)} if status == "finished" else {})
    return made("Encounter", f"{who}-visit", status=status, subject=ref("Patient", who), period=period,
                participant=[{"individual": ref("Practitioner", "lee")}], serviceProvider=ref("Organization", PRIMARY),
                **{"class": {"system": ACT, "code": "AMB"}}, **more)


PROVED = ["team", "role-team", "referred", "task", "seen", "inpatient", "wrote"]
NOT = ["hidden", "proposed", "left", "not-yet", "closed", "other-team", "long-ago", "cancelled", "mistaken", "for-organization",
       "nobody"]


def records(hidden=True):
    yield made("Organization", HARBOR, name="Harbor Recovery Center")
    yield made("Organization", PRIMARY, name="Lakeside Primary Care")
    yield made("Practitioner", "lee")
    yield made("PractitionerRole", "lee-cardiology", active=True, practitioner=ref("Practitioner", "lee"))
    yield made("PractitionerRole", "lee-before", active=False, practitioner=ref("Practitioner", "lee"))
    for who in PROVED + NOT:
        yield made("Patient", who, managingOrganization=ref("Organization", PRIMARY))
        yield made("Observation", who, status="final", subject=ref("Patient", who), performer=[ref("Organization", PRIMARY)],
                   code={"coding": [{"system": "http://loinc.org", "code": "8867-4"}]})
    yield made("Observation", "screen", status="final", subject=ref("Patient", "team"), performer=[ref("Organization", HARBOR)],
               code={"coding": [{"system": "http://loinc.org", "code": "8867-4"}]})
    yield made("Patient", "team-old", link=[{"other": ref("Patient", "team"), "type": "seealso"}])
    yield team("team")
    yield team("role-team", participant=[{"member": ref("PractitionerRole", "lee-cardiology")}])
    yield referral("referred", "active")
    yield made("Task", "task-task", status="accepted", intent="order", **{"for": ref("Patient", "task")}, owner=ref("Practitioner", "lee"))
    yield visit("seen", 10)
    yield visit("inpatient", 200, "in-progress")
    # Made by himself, and hidden from him: it is the program's.
    yield made("DocumentReference", "wrote-note", status="current", subject=ref("Patient", "wrote"), author=[ref("Practitioner", "lee")],
               custodian=ref("Organization", HARBOR), date=day(5), content=[{"attachment": {"contentType": "text/plain", "data": "aGk="}}])
    if hidden:
        yield team("hidden", managingOrganization=[ref("Organization", HARBOR)])
        yield visit("for-organization", 3) | {"id": "hidden-visit", "subject": ref("Patient", "hidden"),
                                              "serviceProvider": ref("Organization", HARBOR)}
    yield team("proposed", status="proposed")
    yield team("left", participant=[{"member": ref("Practitioner", "lee"), "period": {"end": day(30)}}])
    yield team("not-yet", period={"start": day(-30)})
    yield referral("closed", "completed")
    yield team("other-team", participant=[{"member": ref("PractitionerRole", "lee-before")}, {"member": ref("Practitioner", "else")}])
    yield visit("long-ago", 100)
    yield visit("cancelled", 3, "cancelled")
    yield made("DocumentReference", "mistaken-note", status="current", docStatus="entered-in-error", subject=ref("Patient", "mistaken"),
               author=[ref("Practitioner", "lee")], date=day(5), content=[{"attachment": {"contentType": "text/plain", "data": "aGk="}}])
    # In the name of the organization, in the program: nobody's own, and hidden.
    yield made("DocumentReference", "organization-note", status="current", subject=ref("Patient", "for-organization"),
               author=[ref("Organization", PRIMARY)], custodian=ref("Organization", HARBOR), date=day(5),
               content=[{"attachment": {"contentType": "text/plain", "data": "aGk="}}])


def open_house(sluice, folder, name, rows, upstream=None):
    path = os.path.join(folder, f"{name}.ndjson")
    policies = os.path.join(folder, name, "policies")
    for part in ("policies", "terminology", "lexicon"):
        shutil.copytree(os.path.join(house.ROOT, "consent", part), os.path.join(folder, name, part))
    with open(os.path.join(policies, "house", "relations.yaml"), "w") as out:
        out.write(POLICY)
    with open(path, "w") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)
    h = house.House(sluice, records=None if upstream else [path], policies=policies, upstream=upstream)
    h.write("registry.yaml", REGISTRY)
    for caller, words in {
            "lee": ["--client", "clinic", "--user", "lee"], "other": ["--client", "clinic", "--user", "other"],
            "practice": ["--client", "practice"], "lab": ["--client", "lab"], "lab-past": ["--client", "lab-past"], "lab-elsewhere": ["--client", "lab-elsewhere"], "lab-bills": ["--client", "lab-bills"],
            "treat": ["--client", "node", "--purpose", f"{TEFCA}T-TREAT"],
            "required": ["--client", "node", "--purpose", f"{TEFCA}T-TRTMNT"],
            "pay": ["--client", "node", "--purpose", f"{TEFCA}T-PYMNT"],
            "misfit": ["--client", "node", "--purpose", f"{TEFCA}T-PYMNT", "TREAT"],
            "plain": ["--client", "node", "--purpose", "TREAT"],
            "outsider": ["--client", "outsider", "--purpose", f"{TEFCA}T-TREAT"],
            "mother": ["--client", "portal", "--user", "mother", "--fhir-user", "RelatedPerson/mother", "--patient", "team",
                       "--role", "representative", "--scope", "patient/*.rs"]}.items():
        h.tokens[caller] = h.run("token", "issue", "--key", h.at("issuer.pem"), "--issuer", house.ISSUER, "--audience", h.base,
                                 *words).strip()
    return h.start()


def found(h, caller="lee"):
    return h.ids("Observation?_count=100", caller)


def scenario(sluice, folder):
    """a record proves a relationship to whom it is shown, or who made it; agreements, networks and exclusions count"""
    h = open_house(sluice, folder, "all", records())
    h.expect("each kind of record that names him proves it, and no other", found(h) == sorted(PROVED), found(h))
    h.expect("one by one as well", [p for p in PROVED + NOT if h.ask(f"Observation/{p}", "lee")[0] == 200] == PROVED)
    h.expect("to his organization, asking for itself, what was done there lately", found(h, "practice") == ["inpatient", "seen"],
             found(h, "practice"))
    h.expect("to somebody else who works there nothing", found(h, "other") == [])
    h.expect("the note that he wrote stays the program's", h.ask("DocumentReference/wrote-note", "lee")[0] == 404)
    h.expect("what is hidden from him is not told", b"harbor" not in h.ask("Observation?_count=100", "lee")[2])
    h.expect("a referral closes", h.ask("Observation/referred", "lee")[0] == 200)
    with open(h.at("closed.ndjson"), "w") as out:
        out.write(json.dumps(referral("referred", "completed")) + "\n")
    h.run("records", "import", "--store", h.at("records"), h.at("closed.ndjson"))
    h.expect("and is no relationship any more", h.ask("Observation/referred", "lee")[0] == 404)

    # Agreements.
    h.expect("an agreement in force that names the service counts", h.ask("Observation?_count=1", "lab")[0] == 200)
    h.expect("it opens the records of the program that it is with, and no other's",
             [h.ask("Observation/screen", caller)[0] for caller in ("lab", "lab-elsewhere", "lee")] == [200, 404, 404])
    h.expect("one past its end does not", h.ask("Observation?_count=1", "lab-past")[0] == 403)
    h.expect("nor one about another service", h.ask("Observation?_count=1", "lab-bills")[0] == 403)

    # Exchange purposes.
    h.expect("an exchange purpose is a purpose of use", h.ask("Observation/team", "treat")[0] == 200)
    h.expect("with what lies below it", h.ask("Observation/team", "required")[0] == 200)
    h.expect("another one is another purpose", h.ask("Observation/team", "pay")[0] == 403)
    h.expect("a purpose of use that does not fit is refused", h.ask("Observation/team", "misfit")[0] == 403)
    h.expect("without one nobody is that party", h.ask("Observation/team", "plain")[0] == 403)
    h.expect("nor outside of the network", h.ask("Observation/team", "outsider")[0] == 403)
    last = [r["recipient"] for r in h.ledger() if r["recipient"].get("exchange-purpose")]
    h.expect("the ledger says which", {r["exchange-purpose"] for r in last} == {"T-TREAT", "T-TRTMNT", "T-PYMNT"}, last[-1:])

    # Who represents a patient, and who must not.
    h.expect("whom the token says represents the patient", h.ask("Observation/team", "mother")[0] == 200)
    h.run("register", "add", "representation-excluded", "--patient", "Patient/team", "--person", "RelatedPerson/mother", "--why",
          "told by the clinic", "--by", "officer", "--store", h.at("policy"))
    h.expect("is no representative once the officer excludes him", h.ask("Observation/team", "mother")[0] == 404)
    number = h.run("register", "list", "--store", h.at("policy")).split()[1]
    h.run("register", "end", number, "--why", "by mistake", "--by", "officer", "--store", h.at("policy"))
    h.expect("and is again when that ends", h.ask("Observation/team", "mother")[0] == 200)
    h.run("register", "add", "representation-excluded", "--patient", "Patient/team-old", "--person", "RelatedPerson/mother", "--why",
          "told by the clinic", "--by", "officer", "--store", h.at("policy"))
    h.expect("nor where it was told of another number of the patient's", h.ask("Observation/team", "mother")[0] == 404)

    # N2: without what is hidden, the same bytes.
    h.run("records", "import", "--store", h.at("records"), os.path.join(folder, "all.ndjson"))
    stamps = re.compile(rb'"(lastUpdated|versionId)":"[^"]*"|W/"[^"]*"')
    questions = ["Observation?_count=100", "Patient?_count=100", "Observation/hidden", "Patient/hidden/$everything", "CareTeam?patient=hidden",
                 "Encounter?patient=hidden"]
    answers = [stamps.sub(b"", h.ask(q, "lee")[2]) for q in questions]
    h.close()
    other = open_house(sluice, folder, "less", records(hidden=False))
    again = [stamps.sub(b"", other.ask(q, "lee")[2].replace(str(other.port).encode(), str(h.port).encode())) for q in questions]
    other.expect("what is hidden proves nothing, and leaves no trace", answers == again,
                 [q for q, a, b in zip(questions, answers, again) if a != b])
    other.close()
    return h.failures + other.failures + asked(sluice, folder)


def asked(sluice, folder):
    """What an upstream is asked: nothing more where nobody needs it."""
    rows = {f"{r['resourceType']}/{r['id']}": r for r in records()}

    def answer(path, handler):
        match = re.match(r"/fhir/([A-Za-z]+)\?(.*)", path)
        kind, query = (match.group(1), match.group(2)) if match else (path.split("/")[2], "")
        if "_id=" in query:
            ids = re.search(r"_id=([^&]*)", query).group(1).replace("%2C", ",").split(",")
            hits = [rows[f"{kind}/{i}"] for i in ids if f"{kind}/{i}" in rows]
        else:
            hits = [r for r in rows.values() if r["resourceType"] == kind and kind in ("Observation", "CareTeam", "PractitionerRole")]
        if not match:
            return house.send(handler, json.dumps(rows[path[len("/fhir/"):]]))
        house.send(handler, json.dumps({"resourceType": "Bundle", "type": "searchset",
                                        "entry": [{"resource": r, "search": {"mode": "match"}} for r in hits]}))

    upstream = house.Upstream(answer)
    h = open_house(sluice, folder, "server", records(), upstream.url)

    def paths(path, caller):
        del upstream.asked[:]
        status = h.ask(path, caller)[0]
        return status, sorted({re.split(r"[?/]", p)[2] for p in upstream.asked})

    seeking = {"CareTeam", "ServiceRequest", "Task", "Encounter", "PractitionerRole", "DocumentReference", "Composition", "MedicationRequest"}
    status, kinds = paths("Observation?_count=100", "lee")
    h.expect("one page of seventeen patients: each question once", status == 200 and seeking <= set(kinds) and
             len([p for p in upstream.asked if "/CareTeam?" in p]) == 1, upstream.asked)
    h.expect("an EHR that answers more than was asked proves nothing by it", h.ids("Observation?_count=100", "lee") == ["role-team", "team"],
             h.ids("Observation?_count=100", "lee"))
    for caller in ("lab", "treat", "mother"):
        status, kinds = paths("Observation/team", caller)
        h.expect(f"nothing is asked for {caller}", status == 200 and not seeking & set(kinds), kinds)
    h.close()
    return h.failures


if __name__ == "__main__":
    house.main(scenario)
