# SPDX-License-Identifier: Apache-2.0
import base64
import copy
import importlib
import json
import os
import shutil
import threading
import time

import house

writes = importlib.import_module("90_writes")
P, concept, made, ref, ICD10 = writes.P, writes.concept, writes.made, writes.ref, writes.ICD10
ACTIVE = concept("http://terminology.hl7.org/CodeSystem/condition-clinical", "active")
VISIT = {"status": "finished", "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}}
GRANTS = writes.GRANTS.replace("Condition, DocumentReference]", "Condition, DocumentReference, Binary, Medication, MedicationRequest, Provenance]")
U = [f"urn:uuid:00000000-0000-4000-8000-00000000000{i}" for i in range(8)]


class Ehr(writes.Ehr):
    """A server that takes transactions: it draws ids, and puts them where a fullUrl stood."""

    hold, broken, no, vanish = None, "", 0, ""

    def write(self, handler, path):
        if path not in ("", "/fhir"):
            return super().write(handler, path)
        bundle = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        self.writes.append(("TRANSACTION", [(e["request"]["method"], e["request"]["url"]) for e in bundle["entry"]]))
        if self.hold:
            self.hold.wait(20)
        if self.broken:
            return house.send(handler, self.broken, 200 if self.broken == "{}" else 500)
        if self.no:
            return self.outcome(handler, self.no)
        if self.vanish:
            self.rows.pop(self.vanish, None)
            return self.outcome(handler, 404)
        if self.race:  # somebody else has changed what is to be changed
            self.race -= 1
            meta = self.rows["Observation/weight"]["meta"]
            meta["versionId"] = str(int(meta["versionId"]) + 1)
            return self.outcome(handler, 412)
        text, names = json.dumps(bundle), []
        for e in bundle["entry"]:
            method, name = e["request"]["method"], e["request"]["url"]
            if method == "POST":
                self.next += 1
                name = f"{name}/made-{self.next}"
                text = text.replace(e["fullUrl"], name)
            elif e["request"].get("ifMatch") != f'W/"{self.rows[name]["meta"]["versionId"]}"':
                return self.outcome(handler, 412)
            names.append(name)
        answer = []
        for e, name in zip(json.loads(text)["entry"], names):
            version = str(int(self.rows[name]["meta"]["versionId"]) + 1) if name in self.rows else "1"
            if e["request"]["method"] == "DELETE":
                del self.rows[name]
            else:
                row = dict(e["resource"], id=name.split("/")[1])
                row["meta"] = dict(row.get("meta", {}), versionId=version, lastUpdated="2026-02-01T00:00:00Z")
                self.rows[name] = row
            answer.append({"response": {"status": "200", "location": f"{self.server.url}/{name}/_history/{version}", "etag": f'W/"{version}"'}})
        return self.send(handler, {"resourceType": "Bundle", "type": "transaction-response", "entry": answer})


def bundle(*entries):
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}


def entry(method, url, resource=None, full=None, **more):
    out = {"request": {"method": method, "url": url, **more}}
    if resource is not None:
        out["resource"] = resource
    if full:
        out["fullUrl"] = full
    return out


def condition(subject=P, **more):
    return made("Condition", None, clinicalStatus=ACTIVE, code=concept(ICD10, "I10"), subject=subject, **more)


def observation(subject=P, **more):
    return made("Observation", None, status="final", code=concept("http://loinc.org", "29463-7"), subject=subject, **more)


def commit(d, *entries, **more):
    status, head, text = d.send("POST", "", bundle(*entries), **more)
    return status, json.loads(text), text


def statuses(answer):
    return [e["response"]["status"] for e in answer.get("entry", [])]


def linked(h, d):
    """A person, a visit, a diagnosis and a value, each naming the others; a change, and reads that see all of it."""
    weight, tag = d.read("Observation/weight")
    weight["note"] = [{"text": "Weighed twice."}]
    status, answer, text = commit(
        d, entry("GET", "Observation/weight"),
        entry("PUT", "Observation/weight", weight, ifMatch=tag),
        entry("POST", "Condition", condition(ref(U[1]), encounter=ref(U[2])), U[0]),
        entry("POST", "Patient", made("Patient", None, name=[{"family": "Newell"}], identifier=[{"system": "urn:mrn", "value": "77"}]), U[1]),
        entry("POST", "Encounter", made("Encounter", None, **VISIT, subject=ref(U[1]), serviceProvider=writes.HERE), U[2]),
        entry("POST", "Observation", observation(ref("Patient?identifier=urn:mrn|1"))),
        entry("GET", "Patient?identifier=urn:mrn|77"))
    h.expect("a transaction writes and reads", status == 200 and statuses(answer) == ["200", "200", "201", "201", "201", "201", "200"], text[:600])
    rows = [e["resource"] for e in answer["entry"]]
    names = [f"{r['resourceType']}/{r.get('id')}" for r in rows]
    h.expect("references between entries are the created ids", rows[2]["subject"]["reference"] == names[3] == rows[4]["subject"]["reference"] and
             rows[2]["encounter"]["reference"] == names[4] and not any(u.encode() in text for u in U), rows[2])
    h.expect("a conditional reference is what it matches", rows[5]["subject"]["reference"] == "Patient/p", rows[5])
    h.expect("reads come last, and see it", "note" in rows[0] and rows[6]["entry"][0]["resource"] == rows[3], rows[6])
    h.expect("each has its place and tag", all(e["response"]["location"].startswith(f"{h.base}/{n}/_history/") and e["response"]["etag"]
             for e, n in zip(answer["entry"][2:6], names[2:6])), answer["entry"][2]["response"])
    h.expect("and is there by itself", d.read(names[2])[0] == rows[2])
    by = made("Provenance", None, target=[ref(U[0])], recorded="2026-01-01T00:00:00Z", agent=[{"who": {"display": "A clerk"}}])
    status, _, text = commit(d, entry("POST", "Provenance", by), entry("POST", "Observation", observation(), U[0]))
    h.expect("whom something is about may be told by another entry", status == 200, text[:400])


def links(h, d, ehr):
    """A fullUrl gives way wherever R4 has a link, by its table; elsewhere it is a text."""
    def extension(kind, value):
        return {"url": f"urn:test:{kind}", f"value{kind}": value}
    kinds = ("Uri", "Url", "Uuid", "String", "Canonical")
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><a class="x" href="{U[0]}">{U[0]}</a><p title="{U[0]}"/><img alt="" src=\'{U[0]}\'/></div>'
    sent = observation(encounter=ref(U[0]), identifier=[{"system": "urn:ietf:rfc:3986", "value": U[0]}],
                       extension=[extension(kind, U[0]) for kind in kinds], text={"status": "additional", "div": div},
                       contained=[made("Observation", "in", status="final", code={"text": "x"}, encounter=ref(U[0]))], hasMember=[ref("#in")])
    visit = made("Encounter", None, **VISIT, subject=P, serviceProvider=writes.HERE)
    status, answer, text = commit(d, entry("POST", "Observation", sent), entry("POST", "Encounter", visit, U[0]))
    h.expect("links of every kind are taken", status == 200, text[:500])
    names = [e["response"]["location"].removeprefix(h.base + "/").split("/_history")[0] for e in answer["entry"]]
    row = ehr.rows[names[0]] if ehr else answer["entry"][0]["resource"]
    given = {kind: x[f"value{kind}"].removeprefix(h.base + "/") for kind, x in zip(kinds, row["extension"])}
    h.expect("of type uri, url and uuid they give way; a text and a canonical do not", given == dict.fromkeys(kinds[:3], names[1]) | dict.fromkeys(
        kinds[3:], U[0]) and row["identifier"][0]["value"] == U[0], row)
    h.expect("references do, within what is contained, too", row["encounter"]["reference"] == row["contained"][0]["encounter"]["reference"] == names[1], row)
    if ehr:  # what a ward is given has no narrative
        h.expect("and so do links in a narrative, and nothing else of it", row["text"]["div"] == div.replace(
            f'href="{U[0]}', f'href="{names[1]}').replace(f"src='{U[0]}", f"src='{names[1]}"), row["text"])


def by_route(h, d):
    """What is reached by route alone, and what leads to it, in any order."""
    note = made("Binary", None, contentType="text/plain", data=base64.b64encode(b"A plain note.").decode())
    document = made("DocumentReference", None, status="current", subject=P, type=concept("http://loinc.org", "34133-9"),
                    content=[{"attachment": {"contentType": "text/plain", "url": U[0]}}], context={"encounter": [ref("Encounter/ours")]})
    pills = made("Medication", None, code={"text": "A tablet"})
    order = made("MedicationRequest", None, status="active", intent="order", subject=P, medicationReference=ref(U[1]), encounter=ref("Encounter/ours"))
    status, answer, text = commit(d, entry("POST", "Binary", note, U[0]), entry("POST", "DocumentReference", document),
                                  entry("POST", "Medication", pills, U[1]), entry("POST", "MedicationRequest", order))
    h.expect("a Binary and the document that names it", status == 200 and statuses(answer) == ["201"] * 4, text[:600])
    for caller, expected in (("his", 200), ("another's", 403)):
        got = commit(d, entry("POST", "Binary", note, U[0]), entry("POST", "DocumentReference", document), caller=caller)
        h.expect(f"in a patient's own launch, {caller}", got[0] == expected, got)
    alone = commit(d, entry("POST", "Binary", note, U[0]), caller="his")
    h.expect("what nothing names is not known to be his", alone[0] == 403, alone)
    rows = [e.get("resource", {}) for e in answer["entry"]]
    h.expect("the reference leads to it", "Binary/" in rows[1]["content"][0]["attachment"]["url"] and "urn:" not in text.decode() and
             rows[3]["medicationReference"]["reference"].startswith("Medication/"), rows)
    where = answer["entry"][0]["response"]["location"].split("/_history")[0].removeprefix(h.base + "/")
    h.expect("and it is read by it", h.ask(where, "ward", headers=("Accept: application/fhir+json",))[0] == 200, where)
    status, head, _ = d.send("POST", "Binary", note)
    document["content"][0]["attachment"]["url"] = head["Location"].removeprefix(h.base + "/")
    h.expect("created by itself it cannot be named afterwards: a transaction does it", status == 201 and
             d.send("POST", "DocumentReference", document)[0] == 422, (status, head))


def conditional(h, d):
    once = made("Patient", None, name=[{"family": "Rao"}], identifier=[{"system": "urn:mrn", "value": "1"}])
    status, answer, text = commit(d, entry("POST", "Patient", once, U[0], ifNoneExist="identifier=urn:mrn|1"),
                                  entry("POST", "Observation", observation(ref(U[0]))))
    h.expect("what is there already is named in its place", status == 200 and statuses(answer) == ["200", "201"] and
             answer["entry"][1]["resource"]["subject"]["reference"] == "Patient/p", text[:500])


def many(h, d, ehr):
    """References are asked for many together, and one hidden among them is one that is absent."""
    status, answer, text = commit(d, *[entry("POST", "Condition", condition()) for _ in range(70)])
    h.expect("seventy creates", status == 200 and statuses(answer) == ["201"] * 70, text[:300])
    names = [f"Condition/{e['resource']['id']}" for e in answer["entry"]]
    before = len(ehr.server.asked) if ehr else 0
    status, _, text = d.send("POST", "Observation", observation(focus=[ref(n) for n in names + names[:3]]))
    h.expect("seventy references", status == 201, text)
    if ehr:
        one_by_one = [p for p in ehr.server.asked[before:] if "/Condition/" in p]
        h.expect("asked for together", len(one_by_one) == 0, one_by_one[:3])
    hidden, absent = [d.send("POST", "Observation", observation(focus=[ref(n) for n in [*names, bad]]))
                      for bad in ("Condition/secret", "Condition/absent")]
    h.expect("one hidden among many is absent", hidden[0] == 422 and writes.same(hidden, absent), (hidden, absent))
    status, _, _ = d.send("POST", "Observation", observation(focus=[ref(f"Condition/x{i}") for i in range(501)]))
    h.expect("not without end", status == 422, status)


def refusals(h, d, count):
    """One refusal is the whole's; nothing is written, and hidden is absent."""
    good = entry("POST", "Observation", observation(identifier=[{"system": "urn:t", "value": "never"}]), U[0])
    weight, tag = d.read("Observation/weight")
    old = 'W/"aaaaaaaaaaaaaaaaaaaaaaaaaa"'
    cases = [("a reference", 422, entry("POST", "Observation", observation(hasMember=[ref("Condition/HID")])), "Condition/HID"),
             ("a conditional reference", 422, entry("POST", "Observation", observation(focus=[ref("Condition?identifier=urn:case|HID")])), None),
             ("a target", 404, entry("PATCH", "Condition/HID", {"resourceType": "Parameters"}, ifMatch=old), None),
             ("a read", 404, entry("GET", "Condition/HID"), None)]
    before = count()
    for what, expected, bad, _ in cases:
        def filled(ident, number):
            return json.loads(json.dumps(bad).replace("urn:case|HID", f"urn:case|{number}").replace("HID", ident))
        hidden = d.send("POST", "", bundle(good, filled("secret", "77")))
        absent = d.send("POST", "", bundle(good, filled("absent", "78")))
        h.expect(f"{what}: hidden is absent, and the whole is refused", hidden[0] == expected and writes.same(hidden, absent) and
                 json.loads(hidden[2])["resourceType"] == "OperationOutcome", (hidden, absent))
    twice = [entry("PUT", "Observation/weight", dict(weight, status=s), ifMatch=tag) for s in ("amended", "final")]
    for what, expected, entries in [
            ("a version that is not current", 412, [entry("PUT", "Observation/weight", weight, ifMatch=old)]),
            ("one resource twice", 400, twice),
            ("one fullUrl twice", 400, [good]),
            ("a name that nobody has", 422, [entry("POST", "Observation", observation(ref(U[7])))]),
            ("several matches", 422, [entry("POST", "Observation", observation(ref("Patient?identifier=urn:mrn|1,urn:mrn|77")))]),
            ("a type that may not be written", 403, [entry("POST", "Procedure", made("Procedure", None, status="completed", subject=P))]),
            ("what is no resource", 400, [entry("POST", "Observation", dict(observation(), colour="blue"))])]:
        got = commit(d, good, *entries)
        h.expect(f"refused whole: {what}", got[0] == expected and got[1]["resourceType"] == "OperationOutcome", got)
    h.expect("and nothing was written", count() == before, (before, count()))


def races(h, d, ehr):
    for lost, expected in ((2, 200), (99, 409)):
        ehr.race = lost
        weight = json.loads(h.ask("Observation/weight")[2])
        weight["valueQuantity"]["value"] = 80 + lost
        status, answer, text = commit(d, entry("PUT", "Observation/weight", weight, ifMatch="*"))
        h.expect(f"{lost} lost races", status == expected and b"TRACE" not in text, (status, text))
    ehr.race = 0
    for code in (409, 412, 404):
        ehr.no, before = code, len(ehr.writes)
        status, _, text = commit(d, entry("POST", "Observation", observation()))
        h.expect(f"what it refuses with {code} though nothing has changed is no lost race", status == 503 and b"TRACE" not in text and
                 len(ehr.writes) - before == 1, (status, len(ehr.writes) - before))
    ehr.no = 0
    ehr.rows["Observation/brief"] = dict(ehr.rows["Observation/weight"], id="brief")
    brief = json.loads(h.ask("Observation/brief")[2])
    ehr.vanish = "Observation/brief"
    status, _, text = commit(d, entry("PUT", "Observation/brief", dict(brief, status="amended"), ifMatch="*"))
    single = h.ask("Observation/brief")[0]
    h.expect("what is gone meanwhile is as for a write by itself", (status, single) == (404, 404), (status, single, text))
    ehr.vanish = ""


def failures(h, d, ehr):
    """What the server made of it nobody knows: then no entry is answered, and the ledger says so of each."""
    for ehr.broken in ("TRACE", "{}"):
        before = len(h.ledger())
        status, answer, text = commit(d, entry("POST", "Observation", observation()), entry("GET", "Patient/p"))
        told = [w["stored"] for r in h.ledger()[before:] for w in r.get("written", [])]
        h.expect("a transaction that fails is 503, and told", status == 503 and answer["resourceType"] == "OperationOutcome" and told == [None],
                 (status, text, told))
    ehr.broken = ""


def left(h, ehr):
    """A client that leaves while its transaction is with the server: it ends, and each write stands in the ledger."""
    def until(true):
        return any(true() or time.sleep(0.05) for _ in range(200))
    ehr.hold, before, sent = threading.Event(), len(h.ledger()), len(ehr.writes)
    body = json.dumps(bundle(entry("POST", "Observation", observation()), entry("POST", "Condition", condition()), entry("GET", "Patient/p"))).encode()
    head = (f"POST /fhir HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {h.tokens['ward']}\r\n"
            f"Content-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n\r\n")
    with h.connect() as client:
        client.sendall(head.encode() + body)
        h.expect("it is under way", until(lambda: len(ehr.writes) > sent))
    time.sleep(0.2)  # the gateway notices
    ehr.hold.set()
    records = []

    def ended():
        records[:] = h.ledger()[before:]
        return any(r["interaction"]["kind"] == "batch" for r in records)
    h.expect("it ends", until(ended))
    h.expect("once, in the ledger with each write and by whom", len(ehr.writes) == sent + 1 and all(r["peer"] for r in records) and
             [w["stored"] for r in records for w in r.get("written", [])] == [True, True], records)
    ehr.hold = None


def ledger(h):
    records = h.ledger()
    kinds = [r["interaction"]["kind"] for r in records]
    written = [w for r in records for w in r.get("written", [])]
    h.expect("each write has its own record, and the whole one", kinds.count("create") > 8 and "batch" in kinds and
             all(w["stored"] and w["version"] for w in written), written[:3])
    people = {w["item"] for w in written if w["item"].startswith("Patient/")} | {"Patient/p"}
    by_type = {w["item"].split("/")[0]: w.get("patient") for w in written if "/" in w["item"]}
    h.expect("with whom it is about, under the id that was created", len(people) == 2 and
             {w.get("patient", "Patient/p") for w in written} == people, written)
    h.expect("what is reached by route, as what names it", [w.get("patient") for w in written if w["item"].split("/")[0] in ("Binary", "Medication")]
             .count("Patient/p") == 3, written)
    h.expect("as told by what was created beside it", by_type["Provenance"] in people, by_type)
    h.expect("by whom it came", all(r["peer"] for r in records))


def over(sluice, folder, upstream):
    print(f"  -- over {'a server' if upstream else 'the embedded store'}")
    policies = os.path.join(folder, "policies")
    if not os.path.exists(policies):
        for part in ("policies", "terminology", "lexicon"):
            shutil.copytree(os.path.join(house.ROOT, "consent", part), os.path.join(folder, part))
        with open(os.path.join(policies, "house", "writes.yaml"), "w") as out:
            out.write(GRANTS)
    path = os.path.join(folder, "records.ndjson")
    with open(path, "w") as out:
        out.writelines(json.dumps(one) + "\n" for one in writes.records())
    ehr = Ehr(copy.deepcopy(writes.records())) if upstream else None
    h = house.House(sluice, records=None if ehr else [path], upstream=ehr.server.url if ehr else None, policies=policies)
    try:
        h.tokens["ward"] = h.token("ward", house.CALLERS["ward"], "--scope", "system/*.cruds")
        for caller, patient in (("his", "p"), ("another's", "q")):
            h.tokens[caller] = h.token("ward", house.CALLERS["ward"], "--scope", "patient/*.cruds", "--patient", patient)
        h.start()
        d = writes.Desk(h)
        linked(h, d)
        links(h, d, ehr)
        conditional(h, d)
        by_route(h, d)
        many(h, d, ehr)
        refusals(h, d, lambda: [json.loads(h.ask(f"{t}?subject=Patient/p&_total=accurate&_summary=count", "ward")[2])["total"]
                                for t in ("Observation", "Condition")] + [len(ehr.rows) if ehr else 0])
        if ehr:
            races(h, d, ehr)
            left(h, ehr)
        h.stop()
        ledger(h)
        if ehr:
            h.start()
            failures(h, d, ehr)
            h.stop()
        h.expect("nothing of what is hidden, and nothing of the server's", "TRACE" not in h.logged())
    finally:
        h.close()
    return h.failures


def scenario(sluice, folder):
    """A transaction writes all or nothing, each entry decided as if it came by itself."""
    return over(sluice, folder, False) + over(sluice, folder, True)


if __name__ == "__main__":
    house.main(scenario)
