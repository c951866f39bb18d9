# SPDX-License-Identifier: Apache-2.0
import copy
import importlib
import json
import os
import shutil
import threading
import urllib.parse

import house

transactions = importlib.import_module("92_transactions")
writes = transactions.writes
P, made, ref, concept = writes.P, writes.made, writes.ref, writes.concept
MARK = "http://as-written.invalid/"


class Ehr(transactions.Ehr):
    """It knows names under its own address, compares versions and conditions for real, and remembers what it was asked."""

    lock, asked, late = threading.Lock(), [], None

    def answer(self, path, handler):
        name = path.removeprefix("/fhir/")
        if handler.command == "GET":
            self.asked.append(urllib.parse.unquote(path))
        if handler.command == "GET" and self.late and name in self.rows:
            row = copy.deepcopy(self.rows[name])
            self.late(name, row)
            return self.send(handler, row)
        with self.lock:
            super().answer(path, handler)

    @staticmethod
    def matches(row, params):
        wanted = params.pop("identifier", None)
        if wanted is not None and not any(f"{i.get('system')}|{i.get('value')}" in wanted.split(",") for i in row.get("identifier", [])):
            return False
        return writes.Ehr.matches(row, params)


def everything_of(base):
    """A record that names things under its server's address in every place that comes to mind."""
    return made("Observation", "named", status="final", subject=P, encounter=ref("Encounter/ours"),
                meta={"profile": [f"{base}/StructureDefinition/lab|1.0"], "source": f"{base}#lab", "tag": [{"system": f"{base}/tags", "code": "x"}]},
                identifier=[{"system": f"{base}/sid/lab", "value": "1"}, {"system": f"{base}2/sid", "value": "2"},
                            {"system": base.replace("http", "HTTP") + "/sid/shout", "value": "3"}, {"system": base, "value": "4"}],
                extension=[{"url": f"{base}/StructureDefinition/machine", "valueUri": f"{base}/machines/7"},
                           {"url": "urn:file", "valueAttachment": {"contentType": "text/plain", "url": f"{base}/files/scan.txt"}}],
                code={"coding": [{"system": f"{base}/CodeSystem/lab", "code": "W"}, {"system": "http://loinc.org", "code": "29463-7"}]},
                valueQuantity={"value": 70.10, "unit": "kg"}, note=[{"text": f"See {base}/help, or {base}."}])


def stored(ehr, name="Observation/named"):
    return {k: v for k, v in ehr.rows[name].items() if k not in ("meta", "valueQuantity")}, {
        k: v for k, v in ehr.rows[name]["meta"].items() if k in ("profile", "source", "tag")}


def seen(h, d, ehr):
    base = ehr.server.url
    got, _ = d.read("Observation/named")
    text = json.dumps(got)
    h.expect("what stands under the EHR's address is read under ours", got["identifier"][0]["system"] == f"{h.base}/sid/lab" and
             got["identifier"][3]["system"] == h.base and got["extension"][0] == {"url": f"{h.base}/StructureDefinition/machine", "valueUri": f"{h.base}/machines/7"} and
             got["meta"]["profile"] == [f"{h.base}/StructureDefinition/lab|1.0"] and f"See {h.base}/help, or {h.base}." == got["note"][0]["text"] and
             got["subject"] == P, got)
    h.expect("also where it is spelled in another way", got["identifier"][2]["system"] == f"{h.base}/sid/shout", got)
    h.expect("an address that only begins alike is another", got["identifier"][1]["system"] == f"{base}2/sid")
    h.expect("and nothing else of it shows", text.lower().count(str(ehr.server.port)) == 1, text)
    xml = h.ask("Observation/named?_format=xml")[2].decode()
    h.expect("nor in XML", xml.count(str(ehr.server.port)) == 1 and f'value="{h.base}/sid/lab"' in xml, xml)


def found(h, d, ehr):
    base, query = ehr.server.url, urllib.parse.quote(f"{h.base}/sid/lab|1")
    ehr.asked.clear()
    h.expect("it is found by what is read", h.ids(f"Observation?identifier={query}") == ["named"], h.ids(f"Observation?identifier={query}"))
    h.expect("and the EHR was asked by its own word", any(f"{base}/sid/lab|1" in one for one in ehr.asked), ehr.asked)
    for other in (f"{base}/sid/lab|1", "sid/lab|1"):
        h.expect("and by nothing else", h.ids(f"Observation?identifier={urllib.parse.quote(other)}") == [], other)
    h.expect("nor was it asked by a guess", not any(one.endswith(f"identifier={base}/sid/lab|1") for one in ehr.asked), ehr.asked[-2:])
    status, head, _ = d.send("POST", "Observation", dict(everything_of(h.base), id=None) and {k: v for k, v in everything_of(h.base).items() if k != "id"},
                             headers=[f"If-None-Exist: identifier={query}"])
    h.expect("a conditional create meets it", status == 200 and "Observation/named" in head["Location"], (status, head))
    status, _, text = d.send("PUT", f"Observation?identifier={query}", dict(d.read("Observation/named")[0], valueQuantity={"value": 71, "unit": "kg"}))
    h.expect("and so does a conditional update", status == 200 and ehr.rows["Observation/named"]["valueQuantity"]["value"] == 71, text)


def kept(h, d, ehr):
    before = stored(ehr)

    def same(what, status, text):
        h.expect(f"{what}: what stands under the EHR's address, or ours, is as it was", status == 200 and stored(ehr) == before, f"{status} {text[:300]} {stored(ehr)}")

    def weigh(value):
        return {"value": value, "unit": "kg"}

    view, tag = d.read("Observation/named")
    status, _, text = d.send("PUT", "Observation/named", dict(view, valueQuantity=weigh(72)), tag)
    same("JSON", status, text)
    _, head, xml = h.ask("Observation/named", headers=["Accept: application/fhir+xml"])
    tag = [line.split(": ", 1)[1] for line in head.split("\r\n") if line.startswith("ETag")][0]
    status, _, text = d.send("PUT", "Observation/named", xml.replace(b'value="72"', b'value="73"'), tag, kind="application/fhir+xml")
    same("XML", status, text)
    status, _, text = d.send("PATCH", "Observation/named", [{"op": "test", "path": "/identifier/0/system", "value": f"{h.base}/sid/lab"},
                                                            {"op": "replace", "path": "/valueQuantity/value", "value": 74}], "*", kind="application/json-patch+json")
    same("JSON Patch", status, text)
    place = f"Observation.identifier.where(system = '{h.base}/sid/lab').value"
    status, _, text = d.send("PATCH", "Observation/named", {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
        {"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": place}, {"name": "value", "valueString": "1"}]}, {
            "name": "operation", "part": [{"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Observation.value.value"},
                                          {"name": "value", "valueDecimal": 75}]}]}, "*")
    same("FHIRPath Patch", status, text)
    view, tag = d.read("Observation/named")
    status, answer, text = transactions.commit(d, transactions.entry("PUT", "Observation/named", dict(view, valueQuantity=weigh(76)), ifMatch=tag))
    same("a transaction", status, text)
    h.expect("each was written", ehr.rows["Observation/named"]["valueQuantity"]["value"] == 76, ehr.rows["Observation/named"])
    view, tag = d.read("Observation/named")
    del view["extension"], view["identifier"][0]
    status, _, text = d.send("PUT", "Observation/named", view, tag)
    row = ehr.rows["Observation/named"]
    h.expect("what is taken away is gone, and all of it", status == 200 and "extension" not in row and row["identifier"] == before[0]["identifier"][1:], row)


def written(h, d, ehr):
    base = ehr.server.url
    for base_of, there in ((h.base, base), (base, MARK + base), (MARK + base, MARK + MARK + base), ("http://guess.example/fhir", "http://guess.example/fhir")):
        body = made("Observation", None, status="final", code={"text": f"{base_of}/x"}, subject=P, focus=[ref(f"{base_of}/Condition/plain")],
                    identifier=[{"system": f"{base_of}/sid/new", "value": "9"}], note=[{"text": base_of.upper()}])
        status, _, text = d.send("POST", "Observation", body)
        got = json.loads(text)
        row = ehr.rows.get(f"Observation/{got.get('id')}", {})
        want = dict(body, focus=[ref("Condition/plain")]) if base_of == h.base else body
        h.expect(f"{base_of}: what is written is what is read", status == 201 and {k: v for k, v in got.items() if k not in ("id", "meta")} == want, text)
        h.expect("and stands in the EHR where it belongs", row and row["identifier"][0]["system"] == f"{there}/sid/new" and row["code"]["text"] == f"{there}/x", row)
        if base_of != h.base:
            h.expect("a guess names no record", row["focus"] == [ref(f"{there}/Condition/plain")], row)
        h.expect("found again by it", h.ids(f"Observation?identifier={urllib.parse.quote(base_of + '/sid/new|9')}") == [got["id"]])
    answers = [d.send("POST", "Observation", made("Observation", None, status="final", code={"text": "x"}, subject=P, focus=[ref(f"{b}/Condition/{i}")]))
               for b in (base, "http://wrong.example/fhir") for i in ("plain", "secret", "absent")]
    h.expect("a right guess is answered as a wrong one, whatever it names", {a[0] for a in answers} == {201}, [a[0] for a in answers])


def spelled(h, d, ehr):
    """With escapes, which the EHR does not keep: a guess is none the better for it."""
    def sent(method, path, body, *more, **kind):
        text = json.dumps(body).replace("@", ehr.server.url.replace("http", "\\u0068ttp"))
        status, _, text = d.send(method, path, text.encode(), *more, **kind)
        return status, json.loads(text)

    body = made("Observation", None, status="final", code={"text": "@/x"}, subject=P, focus=[ref("@/Condition/plain")])
    want = json.loads(json.dumps([body["code"], body["focus"]]).replace("@", ehr.server.url))
    status, got = sent("POST", "Observation", body)
    h.expect("however it is spelled, a guess is read as it was written", status == 201 and [got["code"], got["focus"]] == want, got)
    entry = transactions.entry("POST", "Observation", body)
    status, got = sent("POST", "", transactions.bundle(entry))
    h.expect("in a transaction", status == 200 and [got["entry"][0]["resource"][k] for k in ("code", "focus")] == want, got)
    status, got = sent("PATCH", "Observation/weight", [{"op": "add", "path": "/note", "value": [{"text": "@/y"}]}], "*", kind="application/json-patch+json")
    h.expect("and in a patch", status == 200 and got["note"] == [{"text": f"{ehr.server.url}/y"}], got)


def labelled(h, d, ehr):
    """A patient's word that speaks of a code by the EHR's own name holds, though clients know the code by ours."""
    h.expect("a code that the patient keeps to himself is kept, by the name that the EHR has for it", h.ask("Observation/kept")[0] == 404)
    body = made("Observation", None, status="final", code=concept(f"{h.base}/CodeSystem/house", "private"), subject=P)
    status, head, text = d.send("POST", "Observation", body)
    h.expect("and so is one that was written by ours", status in (201, 403) and "private" not in text.decode(), (status, text))


def race(h, other, ehr):
    """Updates of one version at once, through two gateways with two workers each: one wins."""
    desks = [writes.Desk(h), writes.Desk(other)]
    for round_ in range(4):
        views = [d.read("Observation/weight") for d in desks]
        before = ehr.rows["Observation/weight"]["meta"]["versionId"]
        barrier, out = threading.Barrier(6), []

        def put(n):
            d, (view, tag) = desks[n % 2], views[n % 2]
            barrier.wait()
            out.append((d.send("PUT", "Observation/weight", dict(view, note=[{"text": f"round {round_} of {n}"}]), tag)[0], n))

        threads = [threading.Thread(target=put, args=(n,)) for n in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        won = [n for status, n in out if status == 200]
        h.expect("of updates of one version exactly one wins", len(won) == 1 and {s for s, _ in out if s != 200} <= {409, 412} and
                 ehr.rows["Observation/weight"]["note"] == [{"text": f"round {round_} of {won[0]}"}] and
                 int(ehr.rows["Observation/weight"]["meta"]["versionId"]) == int(before) + 1, (out, ehr.rows["Observation/weight"]))


def words_of_a_patient(h, ehr):
    """Two writes of one Consent: what the gateway read first, and puts into force last, must not undo the second."""
    d, no, yes = writes.Desk(h), writes.deny(), writes.deny(status="inactive")
    h.expect("before: the ward reads", h.ask("Condition/plain")[0] == 200)
    status, head, text = d.send("POST", "Consent", yes)
    name = head["Location"].removeprefix(h.base + "/").split("/_history")[0]
    body, held, go_on = dict(yes, id=name.split("/")[1]), threading.Event(), threading.Event()

    def hold(path, row):
        """The first answer after the write of it comes late."""
        if path == name and row["policy"] == [{"uri": "urn:first"}] and not held.is_set():
            held.set()
            go_on.wait(20)

    ehr.late = hold
    first = threading.Thread(target=lambda: d.send("PUT", name, dict(body, policy=[{"uri": "urn:first"}]), "*"))
    first.start()
    h.expect("the first one is stored, and its answer under way", held.wait(20))
    status, _, text = d.send("PUT", name, dict(body, status="active", policy=[{"uri": "urn:second"}]), "*")
    h.expect("the second one is in force", status in (200, 404) and h.ask("Condition/plain")[0] == 404, (status, text))
    go_on.set()
    first.join()
    ehr.late = None
    h.expect("and stays so when the first one comes", h.ask("Condition/plain")[0] == 404)
    d.send("PUT", name, dict(body, policy=[{"uri": "urn:third"}]), "*")


def twice(h, other):
    """Conditional creates at once, through two gateways: each answers for itself, and what came of it is in both ledgers."""
    barrier, out = threading.Barrier(4), []
    body = made("Observation", None, status="final", code={"text": "once"}, subject=P, identifier=[{"system": "urn:once", "value": "1"}])

    def post(n):
        barrier.wait()
        out.append(writes.Desk((h, other)[n % 2]).send("POST", "Observation", body, headers=["If-None-Exist: identifier=urn:once|1"])[0])

    threads = [threading.Thread(target=post, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    h.expect("conditional creates at once: created, or met, or told that there are several", 201 in out and set(out) <= {200, 201, 412}, out)
    there = h.ids("Observation?identifier=urn:once|1")
    h.expect("as many as were said to be created", len(there) == out.count(201), (there, out))
    again = writes.Desk(other).send("POST", "Observation", body, headers=["If-None-Exist: identifier=urn:once|1"])[0]
    h.expect("and none more afterwards", again == (200 if len(there) == 1 else 412), (again, there))


def scenario(sluice, folder):
    """names under the EHR's own address: read and written under ours, kept as they are, and no way to find out the address"""
    ehr = Ehr(writes.records())
    base = ehr.server.url
    ehr.rows["Observation/named"] = dict(everything_of(base))
    ehr.rows["Observation/named"]["meta"] = dict(ehr.rows["Observation/named"]["meta"], versionId="1", lastUpdated="2026-01-01T00:00:00Z")
    ehr.rows["Observation/kept"] = made("Observation", "kept", status="final", code=concept(f"{base}/CodeSystem/house", "private"), subject=P,
                                        meta={"versionId": "1"})
    policies, consents = os.path.join(folder, "policies"), os.path.join(folder, "consents.ndjson")
    for part in ("policies", "terminology", "lexicon"):
        shutil.copytree(os.path.join(house.ROOT, "consent", part), os.path.join(folder, part))
    with open(os.path.join(policies, "writers.yaml"), "w") as out:
        out.write(transactions.GRANTS)
    word = dict(writes.directed(), provision={"type": "deny", "code": [concept(f"{base}/CodeSystem/house", "private")]})
    with open(consents, "w") as out:
        out.write(json.dumps(word) + "\n")
    houses = [house.House(sluice, upstream=base, policies=policies, consents=[consents]) for _ in range(2)]
    try:
        for h in houses:
            h.tokens["ward"] = h.token("ward", "TREAT", "--scope", "system/*.cruds")
            h.start()
        h, d = houses[0], writes.Desk(houses[0])
        ehr.rows["Observation/named"]["note"].append({"text": f"Ask {h.base}/Patient/p."})  # the EHR may know our address, too
        for part in (seen, found, kept, written, spelled, labelled):
            part(h, d, ehr)
        race(h, houses[1], ehr)
        twice(h, houses[1])
        words_of_a_patient(h, ehr)
    finally:
        for h in houses:
            h.close()
    return sum(h.failures for h in houses)


house.main(scenario)
