#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
import base64
import json
import os
import urllib.parse

import house

ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"
PDF = b"%PDF-1.4 a letter\n%%EOF\n"
P, Q = {"reference": "Patient/p"}, {"reference": "Patient/q"}


def made(kind, ident, **members):
    return {"resourceType": kind, "id": ident, **members}


def ref(text, **more):
    return {"reference": text, **more}


def binary(ident, data, kind="text/plain", **more):
    return made("Binary", ident, contentType=kind, data=base64.b64encode(data).decode(), **more)


def note(ident, *urls, subject=P, author="lakeside-primary", **more):
    return made("DocumentReference", ident, status="current", type={"coding": [{"system": "http://loinc.org", "code": "11506-3"}]},
                subject=subject, author=[ref(f"Organization/{author}")],
                content=[{"attachment": {"contentType": "application/octet-stream", "title": f"part {i}", "url": url}}
                         for i, url in enumerate(urls)], **more)


def attached(url):
    return {"contentType": "application/pdf", "url": url}


def records(base):
    """`base`: of the EHR, for absolute urls; None: the embedded store, which has none."""
    own = (base + "/") if base else ""
    return [
        made("Organization", "lakeside-primary", name="Lakeside"), made("Organization", "harbor-recovery", name="Harbor"),
        made("Patient", "p", name=[{"family": "Rao"}]), made("Patient", "q", name=[{"family": "Sol"}]),
        made("Encounter", "ours", status="finished", subject=P, **{"class": {"code": "AMB"}},
             serviceProvider=ref("Organization/lakeside-primary")),
        binary("letter", PDF, "application/pdf"), note("letter", own + "Binary/letter"),
        binary("words", b"ordinary words"), note("words", "Binary/words"),
        binary("program", b"TRACE of the program"), note("program", "Binary/program", author="harbor-recovery"),
        binary("shared", b"for both"), note("shared-program", "Binary/shared", author="harbor-recovery"),
        note("shared-own", "Binary/shared"),
        binary("marked", b"TRACE of a label", meta={"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                                                                  "code": "PSYTHPN"}]}),
        note("marked", "Binary/marked"),
        note("both", "Binary/words", "Binary/marked"),
        binary("orphan", b"TRACE of nobody"),
        binary("odd", b"bytes", "text/plain\r\nX-Evil: 1"), note("odd", "Binary/odd"),
        made("Binary", "broken", contentType="text/plain", data="*not base64*"), note("broken", "Binary/broken"),
        note("lost", "Binary/never-was"),
        note("elsewhere", "https://elsewhere.example/fhir/Binary/words"), note("data", "data:text/plain;base64,VFJBQ0U="),
        note("file", "file:///etc/passwd"), note("mail", "mailto:TRACE@elsewhere.example"), note("path", "/files/TRACE.pdf"),
        made("Media", "picture", status="completed", subject=P, encounter=ref("Encounter/ours"), content=attached("Binary/picture")),
        binary("picture", b"\x89PNG\r\n\x1a\n", "image/png"),
        made("DiagnosticReport", "report", status="final", subject=P, encounter=ref("Encounter/ours"),
             code={"coding": [{"system": "http://loinc.org", "code": "58410-2"}]},
             presentedForm=[attached("Binary/form"), attached("https://elsewhere.example/TRACE")]),
        binary("form", PDF, "application/pdf"),
        made("Patient", "r", managingOrganization=ref("Organization/lakeside-primary"), photo=[attached("Binary/face"), attached("https://elsewhere.example/TRACE.png")]),
        binary("face", b"\x89PNG\r\n\x1a\n", "image/png"),
        made("Medication", "aspirin", code={"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "1191"}]},
             ingredient=[{"itemReference": ref("Substance/acid")}]),
        made("Substance", "acid", code={"text": "acid"}),
        made("Medication", "unused", code={"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "723"}]}),
        made("MedicationRequest", "order", status="active", intent="order", subject=P, encounter=ref("Encounter/ours"),
             medicationReference=ref("Medication/aspirin")),
        made("Medication", "bup", code={"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "351266"}]}),
        made("MedicationRequest", "bup-order", status="active", intent="order", subject=P,
             requester=ref("Organization/harbor-recovery"), medicationReference=ref("Medication/bup")),
        made("Observation", "weight", status="final", subject=P, encounter=ref("Encounter/ours"),
             code={"coding": [{"system": "http://loinc.org", "code": "29463-7"}]}, valueString="80"),
        made("Provenance", "of-weight", target=[ref("Observation/weight")], recorded="2026-01-01T00:00:00Z",
             agent=[{"who": ref("Organization/lakeside-primary")}]),
        made("Provenance", "of-orphan", target=[ref("Binary/orphan")], recorded="2026-01-01T00:00:00Z",
             agent=[{"who": ref("Organization/lakeside-primary")}]),
        made("Provenance", "of-program", target=[ref("DocumentReference/program")], recorded="2026-01-01T00:00:00Z",
             agent=[{"who": ref("Organization/lakeside-primary")}]),
        made("List", "list", status="current", mode="working", subject=P, encounter=ref("Encounter/ours"),
             entry=[{"item": ref("DocumentReference/letter")}, {"item": ref("DocumentReference/marked")},
                    {"item": ref("Binary/listed")}]),
        binary("listed", b"in a list"),
    ]


JSON = ("Accept: application/fhir+json",)


def urls_of(resource):
    return [c["attachment"].get("url") for c in resource.get("content", [])]


def look(h, base):
    def read(path, caller="ward", headers=JSON, **more):
        return h.ask(path, caller, headers=headers, **more)

    def status(path, caller="ward", **more):
        return read(path, caller, **more)[0]

    def resource(path, caller="ward"):
        code, _, body = read(path, caller)
        return json.loads(body) if code == 200 else {}

    # ---- Who may read what ----
    _, _, nothing = read("Binary/never-was")
    for ident in ("letter", "words", "shared", *(() if base else ("listed",))):
        got = resource(f"Binary/{ident}")
        h.expect(f"Binary/{ident} is read by who may have its record", got.get("id") == ident, read(f"Binary/{ident}"))
    for ident in ("program", "orphan", "marked"):
        code, _, body = read(f"Binary/{ident}")
        h.expect(f"Binary/{ident} is as if it were not there", (code, body) == (404, nothing), (code, body))
        code, _, body = read(f"Binary/{ident}", headers=("Accept: text/plain",))
        h.expect(f"nor are the bytes of Binary/{ident}", (code, body) == (404, nothing), (code, body))
        code, _, body = read(f"Binary/{ident}?_route=DocumentReference/{ident}")
        h.expect(f"nor by its record's name, Binary/{ident}", (code, body) == (404, nothing), (code, body))
    for path in ("Binary/letter?_route=DocumentReference/words", "Binary/letter?_route=Patient/nobody", "Binary/letter"):
        h.expect(f"{path}: where to look is no permission, and no refusal", status(path) == 200)
    h.expect("another's way leads nowhere", status("Binary/program?_route=DocumentReference/words") == 404)
    for caller in ("plan", "agent", "study", "desk"):
        code, _, body = read("Binary/letter", caller)
        h.expect(f"{caller} gets no letter", (code, body) == (404, nothing), (code, body))
    h.expect("a Medication by its order", resource("Medication/aspirin").get("id") == "aspirin", read("Medication/aspirin"))
    for path in ("Medication/unused", "Medication/bup", "Medication/never-was"):
        code, _, body = read(path)
        h.expect(f"{path} is as if it were not there", (code, body) == (404, nothing), (code, body))
    h.expect("a Provenance by its target", resource("Provenance/of-weight").get("id") == "of-weight", read("Provenance/of-weight"))
    for path in ("Provenance/of-program", "Provenance/of-orphan"):
        code, _, body = read(path)
        h.expect(f"{path} is as if it were not there", (code, body) == (404, nothing), (code, body))
    h.expect("a search for Binaries finds nothing", h.ids("Binary?_id=letter") == [])
    h.expect("an unknown parameter of a read is refused", status("Binary/letter?_via=DocumentReference/letter") == 400)
    h.expect("so is a way that names nothing", status("Binary/letter?_route=letter") == 400)

    # ---- Both forms ----
    code, head, body = read("Binary/letter", headers=("Accept: application/pdf",))
    h.expect("the bytes as they are", (code, body) == (200, PDF) and "Content-Type: application/pdf\r\n" in head, (code, head, body))
    h.expect("which no browser guesses, shows or runs", all(line in head for line in (
        "X-Content-Type-Options: nosniff", "Content-Disposition: attachment", "sandbox", "Cache-Control: no-store")), head)
    code, _, body = h.ask("Binary/letter", headers=("Accept: */*",))
    h.expect("and to who does not ask for FHIR", (code, body) == (200, PDF), (code, body))
    code, head, body = h.ask("Binary/letter", method="HEAD", headers=("Accept: */*",))
    h.expect("HEAD", (code, body) == (200, b"") and f"Content-Length: {len(PDF)}" in head, (code, head))
    h.expect("_format stands before Accept", json.loads(h.ask("Binary/letter?_format=json", headers=("Accept: */*",))[2])["id"] == "letter")
    h.expect("who asks for FHIR in XML gets the resource", b"<Binary xmlns=" in h.ask("Binary/letter", headers=("Accept: application/fhir+xml",))[2])
    code, head, body = h.ask("Binary/odd")
    h.expect("what is no media type is no header", code == 200 and "X-Evil" not in head and "application/octet-stream" in head, (code, head))
    h.expect("what is no base64 has no bytes", (h.ask("Binary/broken")[0], status("Binary/broken")) == (406, 200))

    # ---- Links ----
    letter = resource("DocumentReference/letter")
    want = f"{h.base}/Binary/letter?_route=DocumentReference/letter"
    h.expect("a link leads here", urls_of(letter) == [want], urls_of(letter))
    h.expect("and can be followed", h.ask(want.removeprefix(h.base + "/"))[2] == PDF)
    for ident in ("elsewhere", "data", "file", "mail", "path"):
        got = resource(f"DocumentReference/{ident}")
        h.expect(f"a link that leads elsewhere is cut: {ident}", urls_of(got) == [None] and got["content"][0]["attachment"]["title"], got)
    both = resource("DocumentReference/both")
    h.expect("of two contents one goes", [c["attachment"]["title"] for c in both.get("content", [])] == ["part 0"], both)
    h.expect("with what it lacks a document is not there", status("DocumentReference/marked") == 404)
    listed = [e["item"]["reference"] for e in resource("List/list").get("entry", [])]
    h.expect("nor in a list", listed == ["DocumentReference/letter", "Binary/listed"], listed)
    picture = resource("Media/picture").get("content", {}).get("url", "")
    h.expect("a picture by its Media", h.ask(picture.removeprefix(h.base + "/"))[2][:4] == b"\x89PNG", picture)
    report = resource("DiagnosticReport/report")
    forms = [form.get("url") for form in report.get("presentedForm", [])]
    h.expect("a report's form leads here, another server's nowhere",
             forms == [f"{h.base}/Binary/form?_route=DiagnosticReport/report", None], report)
    h.expect("and can be followed", h.ask(forms[0].removeprefix(h.base + "/"))[2] == PDF)
    face = resource("Patient/r").get("photo", [])
    h.expect("a photo likewise", [f.get("url") for f in face] == [f"{h.base}/Binary/face?_route=Patient/r", None], face)
    plan = resource("DiagnosticReport/report", "plan")
    h.expect("a payer has the report without the form it cannot have read", plan.get("id") == "report" and
             not any("url" in f for f in plan.get("presentedForm", [])), plan)

    # ---- Together ----
    code, _, body = read("DocumentReference?patient=Patient/p")
    h.expect("a search of documents", code == 200 and b"TRACE" not in body and b"elsewhere.example" not in body, (code, body))
    code, _, body = read("MedicationRequest?patient=Patient/p&_include=MedicationRequest:medication")
    kinds = sorted((e["resource"]["resourceType"], e["resource"].get("id")) for e in json.loads(body)["entry"])
    h.expect("an include by its route", ("Medication", "aspirin") in kinds and ("Medication", "bup") not in kinds, kinds)
    code, _, body = read("Patient/p/$everything")
    ids = {f"{e['resource']['resourceType']}/{e['resource'].get('id')}" for e in json.loads(body)["entry"]}
    h.expect("everything has what its records lead to", {"Binary/letter", "Binary/words", "Binary/form", "Medication/aspirin",
             "Binary/picture", "Binary/listed"} <= ids, sorted(ids))
    h.expect("and nothing else", not {"Binary/program", "Binary/orphan", "Binary/marked", "Medication/bup"} & ids and
             b"TRACE" not in body, sorted(ids))


def consent(status):
    def coded(system, code):
        return {"system": f"http://terminology.hl7.org/CodeSystem/{system}", "code": code}
    return made("Consent", "tpo", status=status, scope={"coding": [coded("consentscope", "patient-privacy")]},
                category=[{"coding": [coded("v3-ActCode", "42CFRPart2CD")]}], patient=P, dateTime="2026-01-01", performer=[P],
                organization=[ref("Organization/harbor-recovery")], sourceReference={"display": "form"},
                policy=[{"uri": "urn:sluice:form:part2-tpo-2024"}],
                provision={"type": "permit", "period": {"start": "2026-01-01"},
                           "purpose": [coded("v3-ActReason", code) for code in ("TREAT", "HPAYMT", "HOPERAT")]})


def on_consent(h):
    """A program's file goes while the patient agrees, with the statement, and not a moment longer."""
    for status, code in (("active", 200), ("inactive", 404)):
        h.write("consent.json", json.dumps(consent(status)))
        h.run("consent", "import", "--store", h.at("policy"), h.at("consent.json"))
        for path in ("Binary/program", "Binary/program?_route=DocumentReference/program"):
            got, head, body = h.ask(path, headers=("Accept: text/plain",))
            h.expect(f"{path} on a consent that is {status}", got == code and (b"TRACE of the program" in body) == (code == 200),
                     (got, head, body))
            h.expect("with the statement of 2.32 in the head, or none", ("Sluice-Notice: " in head) == (code == 200), head)
        got, _, body = h.ask("Binary/program", headers=JSON)
        h.expect("and as a resource with the marks of its record", got == code and (b"42CFRPart2" in body) == (code == 200), body)


def with_store(sluice, folder):
    path = os.path.join(folder, "records.ndjson")
    with open(path, "w") as out:
        out.writelines(json.dumps(row) + "\n" for row in records(None))
    h = house.House(sluice, [path]).start()
    try:
        look(h, None)
        on_consent(h)
        released = [item for record in h.ledger() if record["interaction"].get("type") == "Binary"
                    for item in record.get("released", [])]
        h.expect("the ledger says whose Binary it was", released and all(item.get("patient") for item in released), released)
    finally:
        h.close()
    return h.failures


class Server:
    """An EHR's API: reads, Type?_id=, location and medication; List refuses `item`, others ignore what they do not know."""

    def __init__(self):
        self.server = house.Upstream(self.answer)
        self.url = self.server.url
        self.rows = {(row["resourceType"], row["id"]): row for row in records(self.url)}

    def answer(self, path, handler):
        path, _, query = path.removeprefix("/fhir").lstrip("/").partition("?")
        params, names = dict(urllib.parse.parse_qsl(query)), path.split("/")
        outcome = json.dumps({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "not-found"}]})
        if len(names) == 2:
            row = self.rows.get(tuple(names))
            return house.send(handler, json.dumps(row) if row else outcome, 200 if row else 404)
        if names[0] == "Binary" or (names[0] == "List" and "item" in params):
            return house.send(handler, outcome, 400)
        rows = [row for (kind, _), row in sorted(self.rows.items()) if kind == names[0]]
        if "_id" in params:
            rows = [row for row in rows if row["id"] in params["_id"].split(",")]
        if "location" in params:
            rows = [row for row in rows if set(urls_of(row)) & set(params["location"].split(","))]
        if "patient" in params or "subject" in params:
            rows = [row for row in rows if row.get("subject") == ref(params.get("patient", params.get("subject")))]
        if "medication" in params:
            rows = [row for row in rows if row.get("medicationReference", {}).get("reference") == params["medication"]]
        entries = [{"resource": row, "search": {"mode": "match"}} for row in rows]
        if "_include" in params:
            names = {tuple(row["medicationReference"]["reference"].split("/")) for row in rows}
            entries += [{"resource": self.rows[name], "search": {"mode": "include"}} for name in sorted(names)]
        house.send(handler, json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": entries}))


def with_server(sluice, _):
    server = Server()
    h = house.House(sluice, upstream=server.url).start()
    try:
        look(h, server.url)
        server.server.asked.clear()
        h.ask("Binary/letter?_route=DocumentReference/letter")
        h.expect("a link costs the record and what it leads to", len(server.server.asked) <= 3, server.server.asked)
    finally:
        h.close()
    return h.failures


def scenario(sluice, folder):
    """What is reached by route: Binary and attachments, Medication, Provenance; at every door, in both forms."""
    return with_store(sluice, folder) + with_server(sluice, folder)


if __name__ == "__main__":
    house.main(scenario)
