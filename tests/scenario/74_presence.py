#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
import json
import os
import re
import subprocess

import house

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
HARBOR, PRIMARY = "harbor-recovery", "lakeside-primary"


def made(kind, ident, **members):
    return {"resourceType": kind, "id": ident, **members}


def ref(kind, ident):
    return {"reference": f"{kind}/{ident}"}


def person(ident, registrar, **more):
    return made("Patient", ident, name=[{"family": "Prescott"}], managingOrganization=ref("Organization", registrar), **more)


def visit(ident, who, place):
    return made("Encounter", ident, status="finished", subject=ref("Patient", who), serviceProvider=ref("Organization", place),
                **{"class": {"system": ACT, "code": "AMB"}})


LINKED = [("Patient", "only"), ("Patient", "both"), ("RelatedPerson", "only-mother"), ("RelatedPerson", "both-mother"), ("Patient", "gone")]


def vital(ident, who, place, **more):
    return made("Observation", ident, status="final", subject=ref("Patient", who), performer=[ref("Organization", place)],
                code={"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}, **more)


def coverage(ident, who):
    return made("Coverage", ident, status="active", beneficiary=ref("Patient", who), payor=[ref("Organization", "northway")])


def records(hidden):
    """`hidden` records of the program's for each of its patients: how many there are makes no difference."""
    yield made("Organization", HARBOR, name="Harbor Recovery Center")
    yield made("Organization", PRIMARY, name="Lakeside Primary Care")
    yield made("Organization", "northway", name="Northway")
    # Registered by the program and nobody else's patient; seen elsewhere too; seen elsewhere for what this desk does not get.
    for who in ("only", "both", "late"):
        yield person(who, HARBOR)
        yield coverage(f"{who}-coverage", who)
        yield made("RelatedPerson", f"{who}-mother", patient=ref("Patient", who))
        for n in range(hidden):
            yield vital(f"{who}-{n}", who, HARBOR)
            yield visit(f"{who}-visit-{n}", who, HARBOR)
    yield vital("both-pulse", "both", PRIMARY)
    yield made("VisionPrescription", "late-glasses", status="active", created="2026-01-01", patient=ref("Patient", "late"),
               dateWritten="2026-01-01", prescriber=ref("Organization", PRIMARY),
               lensSpecification=[{"product": {"text": "lens"}, "eye": "right"}])
    yield person("ours", PRIMARY, generalPractitioner=[ref("Organization", HARBOR)])
    # Who is named by the record of somebody else.
    yield made("Patient", "linked", name=[{"family": "Quill"}], managingOrganization=ref("Organization", PRIMARY), link=[
        {"other": ref(kind, ident), "type": "seealso"} for kind, ident in LINKED])
    yield dict(vital("linked-pulse", "linked", PRIMARY), performer=[ref("Organization", PRIMARY), ref("Patient", "only"), ref("Patient", "both")])
    for who in ("only", "both"):
        yield vital(f"on-{who}", "linked", PRIMARY, focus=[ref("Patient", who)])


CONSENT = {"resourceType": "Consent", "id": "only-tpo", "status": "active",
           "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
           "category": [{"coding": [{"system": ACT, "code": "42CFRPart2CD"}]}], "patient": ref("Patient", "only"),
           "dateTime": "2026-01-01T00:00:00Z", "performer": [ref("Patient", "only")], "organization": [ref("Organization", HARBOR)],
           "sourceAttachment": {"title": "form"}, "policy": [{"uri": "urn:sluice:form:part2-tpo-2024"}],
           "provision": {"type": "permit", "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": code}
                                                       for code in ("TREAT", "HPAYMT", "HOPERAT")]}}


def open_house(sluice, folder, hidden, consents=(), extra=""):
    path = os.path.join(folder, f"records-{hidden}.ndjson")
    with open(path, "w") as out:
        out.writelines(json.dumps(r) + "\n" for r in records(hidden))
    if consents:
        with open(os.path.join(folder, "consents.ndjson"), "w") as out:
            out.writelines(json.dumps(c) + "\n" for c in consents)
    return house.House(sluice, records=[path], consents=[os.path.join(folder, "consents.ndjson")] if consents else None,
                       extra=extra).start(), path


QUESTIONS = ["Patient/only", "Patient/both", "Patient/late", "Patient/ours", "Patient/nobody", "Patient?family=Prescott",
             "Patient?_id=only", "Patient?_id=both,only", "Coverage?patient=only", "Coverage?patient=both", "Coverage/only-coverage",
             "RelatedPerson?patient=only", "RelatedPerson/both-mother", "Patient/only/$everything", "Patient/late/$everything?_type=Patient",
             "Patient/both/$everything?_type=Patient", "Observation?patient=both&_include=Observation:patient",
             "Patient/linked", "Patient?link=Patient/only", "Patient?_id=linked&_include=Patient:link",
             "Patient/linked/$everything", "Observation/linked-pulse",
             "Observation/on-only", "Observation?patient=linked&_sort=_id",
             "Observation?patient=only&_include=Observation:patient", "Patient?_id=both&_revinclude=Coverage:beneficiary"]


def status_of(h, path, caller="ward"):
    return h.ask(path, caller)[0]


def links(h, path, caller="ward"):
    """Where the links of the one Patient lead, in a resource or in the Bundle that holds it."""
    found = json.loads(h.ask(path, caller)[2])
    entries = [e["resource"] for e in found.get("entry", [])] or [found]
    patient = [r for r in entries if r["resourceType"] == "Patient" and r["id"] == "linked"]
    return [one["other"]["reference"].split("/", 1) for one in patient[0].get("link", [])] if patient else None


def scenario(sluice, folder):
    """that a program's patient is known here goes only to whom knows it by another record, by every way of asking"""
    h, path = open_house(sluice, folder, 3)
    everybody = ["both", "late", "ours"]
    h.expect("nobody's patient elsewhere is not known", status_of(h, "Patient/only") == 404 == status_of(h, "Patient/nobody"))
    h.expect("in the same words", h.ask("Patient/only")[2] == h.ask("Patient/nobody")[2])
    h.expect("who is seen elsewhere is", status_of(h, "Patient/both") == 200)
    h.expect("whatever the record is", status_of(h, "Patient/late") == 200)
    h.expect("a search says the same", h.ids("Patient?family=Prescott") == everybody, h.ids("Patient?family=Prescott"))
    h.expect("so does one for each", [h.ids(f"Patient?_id={p}") for p in ("only", *everybody)] == [[], *([p] for p in everybody)])
    h.expect("pages too", h.ids("Patient?family=Prescott&_count=1&_sort=_id") != [] and
             json.loads(h.ask("Patient?family=Prescott")[2])["total"] == 3)
    h.expect("a general practitioner at the program is cut, and no more", b"harbor" not in h.ask("Patient/ours")[2])
    h.expect("and who registered", b"harbor" not in h.ask("Patient/both")[2] and b"managing" not in h.ask("Patient/both")[2])
    h.expect("coverage and family follow", h.ids("Coverage?beneficiary=Patient/both") == ["both-coverage"] and
             h.ids("Coverage?beneficiary=Patient/only") == [] and status_of(h, "RelatedPerson/only-mother") == 404 and
             status_of(h, "RelatedPerson/late-mother") == 200)
    seen = [list(LINKED[i]) for i in (1, 3, 4)]
    h.expect("a link leads to whom a read would, and where nothing is",
             [links(h, q) for q in ("Patient/linked", "Patient?_id=linked", "Patient?_id=linked&_include=Patient:link",
                                    "Patient/linked/_history", "Patient/linked/$everything", "Observation?_id=linked-pulse&_include=Observation:patient")] ==
             [seen] * 6, links(h, "Patient/linked"))
    h.expect("to whom no other record goes, none does", links(h, "Patient/linked", "desk") == [list(LINKED[4])], links(h, "Patient/linked", "desk"))
    h.expect("and is not found by one that is cut", h.ids("Patient?link=Patient/only") == [] and h.ids("Patient?link=Patient/both") == ["linked"])
    who = [one["reference"] for one in json.loads(h.ask("Observation/linked-pulse")[2])["performer"]]
    h.expect("so does any other reference", who == [f"Organization/{PRIMARY}", "Patient/both"], who)
    h.expect("and goes a record that is made of one", [status_of(h, f"Observation/on-{p}") for p in ("only", "both")] == [404, 200])
    h.expect("by everything", status_of(h, "Patient/only/$everything") == 404 and
             h.ids("Patient/both/$everything?_type=Patient") == ["both"], h.ids("Patient/both/$everything?_type=Patient"))
    h.expect("by the desk, which gets neither vitals nor glasses, all are unknown but ours",
             [status_of(h, f"Patient/{p}", "desk") for p in ("only", *everybody)] == [404, 404, 404, 200])
    h.expect("by the ledger, nothing was looked at that went out", not any("only" in json.dumps(r.get("released", []))
                                                                         for r in h.ledger()))
    stamps = re.compile(rb'"lastUpdated":"[^"]*"')  # of the import
    answers = [stamps.sub(b"", h.ask(q)[2]) for q in QUESTIONS]
    h.stop()

    # N2: a hundred hidden records more, or none at all, and no answer differs in a byte but for the port.
    for hidden in (0, 60):
        other, _ = open_house(sluice, folder, hidden)
        again = [stamps.sub(b"", other.ask(q)[2].replace(str(other.port).encode(), str(h.port).encode())) for q in QUESTIONS]
        differ = [q for q, a, b in zip(QUESTIONS, answers, again) if a != b]
        other.expect(f"{hidden} of the program's records instead change no answer", not differ, differ)
        other.close()
        h.failures += other.failures

    # On a consent the program's records go, and with them that he is known.
    with_consent, _ = open_house(sluice, folder, 3, [CONSENT])
    with_consent.expect("with a consent he is known, and by whom",
                        status_of(with_consent, "Patient/only") == 200 and b"harbor-recovery" in with_consent.ask("Patient/only")[2])
    with_consent.expect("a link leads to him then", ["Patient", "only"] in links(with_consent, "Patient/linked"))
    with_consent.expect("to the plan as well", status_of(with_consent, "Coverage/only-coverage", "plan") == 200)
    with_consent.expect("and not to registration elsewhere", status_of(with_consent, "Patient/both", "desk") == 404)
    with_consent.close()

    # The one bound on work refuses whole, with the answer of any request that is too large.
    bounded, _ = open_house(sluice, folder, 60, extra="limits:\n  rows: 50\n")
    bounded.expect("beyond the bound nothing is said", status_of(bounded, "Patient/only") == 503 and status_of(bounded, "Patient/ours") == 200)
    bounded.close()

    # Files: a file is a world of its own, in which the same rule holds.
    def offline(given, *words):
        with open(given) as text:
            done = subprocess.run([h.sluice, "segment", "--as", "treating-provider", "--for", "TREAT", *words, "--programs",
                                   f"Organization/{HARBOR}"], stdin=text, capture_output=True, text=True)
        return sorted(json.loads(line)["id"] for line in done.stdout.splitlines() if '"Patient"' in line.split(",")[0])

    alone = os.path.join(folder, "patients.ndjson")
    with open(path) as all_records, open(alone, "w") as out:
        out.writelines(line for line in all_records if json.loads(line)["resourceType"] == "Patient")
    known = sorted([*everybody, "linked"])
    h.expect("in a file with their records", offline(path) == known, offline(path))
    h.expect("in a file of patients alone", offline(alone) == ["linked", "ours"], offline(alone))
    h.expect("beside the file of the others", offline(alone, "--context", path) == known, offline(alone, "--context", path))
    failures = h.failures + with_consent.failures + bounded.failures
    h.close()
    return failures


if __name__ == "__main__":
    house.main(scenario)
