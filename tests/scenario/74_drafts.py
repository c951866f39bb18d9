#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
import json
import urllib.parse

import house

P = {"reference": "Patient/p"}
VALUE = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
AIAST = {"system": VALUE, "code": "AIAST"}
KIND = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


def condition(ident, **more):
    return {"resourceType": "Condition", "id": ident, "subject": P, "code": {"coding": [
        {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E11.9"}]}, **more}


def agent(kind, who):
    return {"type": {"coding": [{"system": KIND, "code": kind}]}, "who": {"reference": who}}


def says(ident, when, *agents, targets=(), ai=False):
    out = {"resourceType": "Provenance", "id": ident, "recorded": when, "agent": list(agents),
           "target": [{"reference": f"Condition/{t}"} for t in targets]}
    return {**out, "reason": [{"coding": [AIAST]}]} if ai else out


RECORDS = [
    {"resourceType": "Organization", "id": "lakeside-primary"}, {"resourceType": "Patient", "id": "p"},
    {"resourceType": "Device", "id": "model"},
    condition("plain"), condition("ai"), condition("ai-verified"), condition("labelled", meta={"security": [AIAST]}),
    condition("labelled-verified", meta={"security": [AIAST]}),
    says("wrote", "2026-01-01T00:00:00Z", agent("author", "Device/model"), targets=("ai", "ai-verified"), ai=True),
    says("verified", "2026-01-02T00:00:00Z", agent("verifier", "Practitioner/doc"), targets=("ai-verified", "labelled-verified")),
    {"resourceType": "List", "id": "list", "status": "current", "mode": "working", "subject": P,
     "entry": [{"item": {"reference": f"Condition/{ident}"}} for ident in ("plain", "ai", "ai-verified")]},
]
FINAL = ["ai-verified", "labelled-verified", "plain"]


def look(h, what):
    search = "Condition?patient=Patient/p"
    h.expect(f"{what}: what AI wrote waits for a human", h.ids(search) == FINAL, h.ids(search))
    _, _, absent = h.ask("Condition/never-was")
    for ident in ("ai", "labelled"):
        h.expect(f"{what}: read by itself, it is not there: {ident}", h.ask(f"Condition/{ident}")[2] == absent)
    h.expect(f"{what}: that AI wrote both is told of the one that was verified, and outweighs nobody later",
             stated(h) == ["Condition/ai-verified"], stated(h))
    kept = json.loads(h.ask("Condition/labelled-verified")[2])["meta"]["security"]
    h.expect(f"{what}: what is verified is still marked as AI's", any(c["code"] == "AIAST" for c in kept), kept)
    listed = [e["item"]["reference"] for e in json.loads(h.ask("List/list")[2])["entry"]]
    h.expect(f"{what}: nor is it in a list", listed == ["Condition/plain", "Condition/ai-verified"], listed)


def stated(h):
    """What the Provenance of AI still names."""
    status, _, body = h.ask("Provenance/wrote")
    return status if status != 200 else [target["reference"] for target in json.loads(body)["target"]]


def with_store(sluice, folder):
    path = f"{folder}/records.ndjson"
    with open(path, "w") as out:
        out.writelines(json.dumps(row) + "\n" for row in RECORDS)
    h = house.House(sluice, [path])
    h.start()
    look(h, "store")
    later = says("later", "2026-02-01T00:00:00Z", agent("legal", "PractitionerRole/doc"), targets=("ai",))
    h.stop()
    h.write("later.json", json.dumps(later))
    h.run("records", "import", "--store", h.at("records"), h.at("later.json"))
    h.start()
    h.expect("once a human has signed, it is no draft", "ai" in h.ids("Condition?patient=Patient/p"))
    h.close()
    return h.failures


def with_server(sluice):
    refuses = [False]

    def answer(path, handler):
        path, _, query = path.removeprefix("/fhir").lstrip("/").partition("?")
        params, names = dict(urllib.parse.parse_qsl(query)), path.split("/")
        rows = [row for row in RECORDS if row["resourceType"] == names[0]]
        if len(names) == 2:
            rows = [row for row in rows if row["id"] == names[1]]
            return house.send(handler, json.dumps(rows[0] if rows else {"resourceType": "OperationOutcome"}), 200 if rows else 404)
        if names[0] == "Provenance" and refuses[0]:
            return house.send(handler, json.dumps({"resourceType": "OperationOutcome"}), 400)
        if "target" in params:
            rows = [row for row in rows if {t["reference"] for t in row["target"]} & set(params["target"].split(","))]
        if "_id" in params:
            rows = [row for row in rows if row["id"] in params["_id"].split(",")]
        house.send(handler, json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": [
            {"resource": row, "search": {"mode": "match"}} for row in rows]}))

    upstream = house.Upstream(answer)
    h = house.House(sluice, upstream=upstream.url, extra="labels:\n  book: book\n  max-age: 600\n").start()
    look(h, "server")
    upstream.asked.clear()
    h.ids("Condition?patient=Patient/p")
    asked = [path for path in upstream.asked if "/Provenance" in path]
    h.expect("what Provenances say is remembered", not asked, upstream.asked)
    h.close()
    failures = h.failures
    for setting, status in (("yes", 503), ("no", 200)):
        refuses[0] = True
        h = house.House(sluice, upstream=f"{upstream.url}\n  provenance: {setting}").start()
        got = h.ask("Condition?patient=Patient/p")[0]
        h.expect(f"a server that cannot be asked, and is to be: {setting}", got == status, got)
        h.expect("is told from one that fails", ("provenance-search-refused" in h.logged()) == (status == 503))
        h.close()
        failures += h.failures
    return failures


def scenario(sluice, folder):
    """what AI wrote is a draft until a human has vouched for it, whether the record says so or a Provenance"""
    return with_store(sluice, folder) + with_server(sluice)


if __name__ == "__main__":
    house.main(scenario)
