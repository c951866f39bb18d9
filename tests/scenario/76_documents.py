#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
import base64
import json
import os
import sys

import house

sys.path.insert(0, os.path.join(house.ROOT, "demo"))
import clinic  # noqa: E402

HARBOR = "1234567893"  # a program, by its NPI in the clinic's table
P = {"reference": "Patient/p"}
JSON = ("Accept: application/fhir+json",)


class Person:
    def ident(self, event):
        return f"p-{event}"

    def at(self, _):
        return "2026-03-01T10:00:00Z"


def encoded(xml):
    return {"contentType": "application/hl7-cda+xml", "data": base64.b64encode(xml.encode()).decode()}


def made(kind, ident, **members):
    return {"resourceType": kind, "id": ident, "subject": P, "status": "completed", **members}


def records():
    mixed = clinic.cda(Person(), [("I10", "High blood pressure", None), ("F20.9", "Voices", None), ("E11.9", "TRACE sugar", HARBOR)])
    whole = mixed.replace('root="1.3.6.1.4.1.99999.5" extension="lakeside-primary"', f'root="2.16.840.1.113883.4.6" extension="{HARBOR}"')
    ours = {"author": [{"reference": "Organization/lakeside-primary"}], "status": "current"}
    yield {"resourceType": "Organization", "id": "lakeside-primary", "name": "Lakeside"}
    yield {"resourceType": "Patient", "id": "p", "name": [{"family": "Rao"}]}
    yield made("Encounter", "visit", **{"class": {"code": "AMB"}}, serviceProvider={"reference": "Organization/lakeside-primary"})
    yield made("DocumentReference", "inline", **ours, content=[{"attachment": {**encoded(mixed), "size": len(mixed), "hash": "aGFzaA=="}}])
    yield made("DocumentReference", "linked", **ours, content=[{"attachment": {"contentType": "text/xml", "url": "Binary/linked"}}])
    yield {"resourceType": "Binary", "id": "linked", **encoded(mixed)}
    yield made("DiagnosticReport", "report", code={"coding": [{"system": "http://loinc.org", "code": "58410-2"}]},
               encounter={"reference": "Encounter/visit"}, presentedForm=[encoded(mixed)])
    yield made("Communication", "letter", sender={"reference": "Organization/lakeside-primary"},
               payload=[{"contentAttachment": encoded(mixed)}])
    yield made("DocumentReference", "program", **ours, content=[{"attachment": encoded(whole)}])
    yield made("DocumentReference", "broken", **ours, content=[{"attachment": encoded(mixed.replace("</title>", "", 1))}])
    yield made("DocumentReference", "entity", **ours, content=[{"attachment": encoded(mixed.replace(
        "<ClinicalDocument", '<!DOCTYPE x [<!ENTITY trace SYSTEM "file:///etc/passwd">]><ClinicalDocument', 1))}])


def data_in(value):
    """Every base64 text in an answer, decoded."""
    if isinstance(value, dict):
        own = [base64.b64decode(value["data"]).decode()] if "data" in value else []
        return own + [d for v in value.values() for d in data_in(v)]
    return [d for v in value for d in data_in(v)] if isinstance(value, list) else []


def look(h):
    def read(path, caller="ward"):
        code, _, body = h.ask(path, caller, headers=JSON)
        return code, json.loads(body)

    places = ("DocumentReference/inline", "DiagnosticReport/report", "Communication/letter", "Binary/linked")
    for path in places:
        code, body = read(path)
        texts = data_in(body)
        h.expect(f"{path}: the document goes, without what a program's author wrote", code == 200 and len(texts) == 1 and
                 "High blood pressure" in texts[0] and "Voices" in texts[0] and "TRACE" not in texts[0] and HARBOR not in texts[0],
                 (code, body, texts))
        codes = {label["code"] for label in body.get("meta", {}).get("security", [])}
        h.expect(f"{path}: labels of what is in it, and no other", {"R", "MH"} <= codes and not {"42CFRPart2", "SUD"} & codes, codes)
        code, body = read(path, "exchange")
        h.expect(f"{path}: a partner has no psychosis", all("Voices" not in t and "F20" not in t and "TRACE" not in t
                                                            for t in data_in(body)), (code, body))
    attachment = read("DocumentReference/inline")[1]["content"][0]["attachment"]
    h.expect("a hash of what was there does not go", "hash" not in attachment and "size" not in attachment, attachment)
    code, _, body = h.ask("Binary/linked", "ward", headers=("Accept: application/hl7-cda+xml",))
    h.expect("as bytes it is the same document", code == 200 and b"High blood" in body and b"TRACE" not in body, (code, body))
    h.expect("a document that a program made is a program's record", read("DocumentReference/program")[0] == 404)
    for name in ("broken", "entity"):
        code, body = read(f"DocumentReference/{name}", "exchange")
        h.expect(f"what cannot be read goes to nobody who may not have the unread: {name}", code == 404, (code, body))
    code, _, body = h.ask("DocumentReference?patient=Patient/p", "ward", headers=JSON)
    found = [e["resource"] for e in json.loads(body)["entry"] if e["resource"]["id"] == "inline"]
    h.expect("a search finds the same", code == 200 and "TRACE" not in data_in(found)[0] and "Voices" in data_in(found)[0], found)
    cuts = [cut for record in h.ledger() for cut in record.get("withheld", []) if "ClinicalDocument" in json.dumps(cut)]
    h.expect("the ledger names nothing of what is in it", "TRACE" not in json.dumps(cuts) and "Voices" not in json.dumps(cuts), cuts)


def scenario(sluice, folder):
    """C-CDA documents: in attachments of each kind, behind a link, as bytes; a program's, a broken one."""
    path = os.path.join(folder, "records.ndjson")
    with open(path, "w") as out:
        out.writelines(json.dumps(row) + "\n" for row in records())
    h = house.House(sluice, [path]).start()
    try:
        look(h)
    finally:
        h.close()
    return h.failures


if __name__ == "__main__":
    house.main(scenario)
