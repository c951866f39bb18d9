# SPDX-License-Identifier: Apache-2.0
import gzip
import json
import os
import shutil
import urllib.parse

import house

LOINC = "http://loinc.org"
ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"
INLINE = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
P = {"reference": "Patient/p"}
HERE = {"reference": "Organization/lakeside-primary"}
GRANTS = """layer: organization
writes:
  - {id: clinicians, title: Who treats writes., to: [treating-provider], for: [treatment], may: [create, update, patch],
     types: [Patient, Observation, Encounter, Condition, DocumentReference]}
  - {id: consents, title: Who treats records consents., to: [treating-provider], for: [treatment], may: [create, update],
     types: [Consent]}
  - {id: places, title: Who treats keeps places., to: [treating-provider], for: [treatment], may: [create, update, delete], types: [Location]}
  - {id: partners, title: Partners add observations., to: [hie-partner], for: [treatment], may: [create, update],
     types: [Observation]}
"""


def made(kind, ident, **members):
    return {"resourceType": kind, **({"id": ident} if ident else {}), **members}


def ref(text, **more):
    return {"reference": text, **more}


def concept(system, code, **more):
    return {"coding": [{"system": system, "code": code}], **more}


def records():
    visit = {"status": "finished", "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}, "subject": P}
    active = concept("http://terminology.hl7.org/CodeSystem/condition-clinical", "active")
    return [
        made("Organization", "lakeside-primary", name="Lakeside"), made("Organization", "harbor-recovery", name="Harbor"),
        made("Location", "room", status="active", name="Room 1"),
        made("Location", "clinic", status="active", name="Clinic", managingOrganization=ref("Organization/harbor-recovery")),
        made("Appointment", "there", status="booked", participant=[{"actor": P, "status": "accepted"},
                                                                  {"actor": ref("Location/clinic"), "status": "accepted"}]),
        made("Patient", "p", name=[{"family": "Rao"}], identifier=[{"system": "urn:mrn", "value": "1"}]),
        made("Encounter", "ours", **visit, serviceProvider=HERE,
             diagnosis=[{"condition": ref("Condition/secret"), "use": {"text": "one"}}, {"condition": ref("Condition/plain"), "use": {"text": "two"}}]),
        made("Encounter", "theirs", **visit, serviceProvider=ref("Organization/harbor-recovery")),
        made("Condition", "plain", clinicalStatus=active, code=concept(ICD10, "I10"), subject=P, encounter=ref("Encounter/ours")),
        made("Condition", "secret", clinicalStatus=active, code=concept(ICD10, "F11.20", text="TRACE"), subject=P,
             encounter=ref("Encounter/theirs"), identifier=[{"system": "urn:case", "value": "77"}]),
        made("Observation", "weight", status="final", code=concept("http://loinc.org", "29463-7"), subject=P,
             encounter=ref("Encounter/ours"), valueQuantity={"value": 70.10, "unit": "kg"}, identifier=[{"system": "urn:obs", "value": "5"}]),
        made("Observation", "odd", status="final", vendorFlag="TRACE", code=concept(LOINC, "8867-4"), subject=P, encounter=ref("Encounter/ours"),
             valueQuantity={"value": 71, "unit": "/min", "vendorUnit": {"of": ["TRACE"]}}),
        made("Patient", "q", name=[{"family": "Quist"}]),
        made("Observation", "panel", status="final", code=concept(LOINC, "85354-9"), subject=P, effectiveDateTime="2020-06-01", method=concept(LOINC, "75622-1", text="TRACE"),
             extension=[{"url": "urn:about", "valueReference": ref("Condition/secret")}], component=[{"code": concept(LOINC, "8480-6"), "valueQuantity": {"value": 120}},
                        {"code": concept(LOINC, "75622-1"), "valueString": "TRACE"}]),
    ]


def directed():
    """The patient keeps one kind of thing to himself."""
    return made("Consent", "kept", status="active", scope=concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
                category=[concept("http://loinc.org", "59284-0")], patient=P, dateTime="2025-01-01T00:00:00Z", policy=[{"uri": "urn:x"}],
                provision={"type": "deny", "dataPeriod": {"start": "2020-01-01", "end": "2021-01-01"}, "securityLabel": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}]})


class Ehr:
    """A server that takes writes, compares versions, and keeps what it has in `rows`."""

    def __init__(self, rows):
        self.rows = {f"{r['resourceType']}/{r['id']}": dict(r, meta={"versionId": "1", "lastUpdated": "2026-01-01T00:00:00Z"}) for r in rows}
        self.next, self.race, self.writes, self.refuse, self.no = 0, 0, [], False, 0
        self.meta = set()  # what the bodies' meta is to be, by the header that HAPI takes
        self.server = house.Upstream(self.answer)

    def send(self, handler, value=None, status=200, headers=()):
        text = json.dumps(value) if value is not None else ""
        house.send(handler, text, status, headers=headers)

    def outcome(self, handler, status):
        self.send(handler, {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "x", "diagnostics": "TRACE"}]}, status)

    def store(self, handler, name, row, status):
        version = str(int(self.rows[name]["meta"]["versionId"]) + 1) if name in self.rows else "1"
        row["id"] = name.split("/")[1]
        row["meta"] = dict(row.get("meta", {}), versionId=version, lastUpdated=f"2026-02-01T00:00:{int(version):02}Z")
        self.rows[name] = row
        self.send(handler, None, status, [("Location", f"{self.server.url}/{name}/_history/{version}"), ("ETag", f'W/"{version}"')])

    def write(self, handler, path):
        body = json.loads(handler.rfile.read(int(handler.headers.get("Content-Length") or 0)) or "null")
        self.writes.append((handler.command, path, handler.headers.get("If-Match"), handler.headers.get("If-None-Exist")))
        if body:
            self.meta.add(handler.headers.get("X-Meta-Snapshot-Mode"))
        if handler.command == "POST" and self.refuse:
            return self.outcome(handler, 409)
        if handler.command == "POST":
            self.next += 1
            return self.store(handler, f"{path}/made-{self.next}", body, 201)
        if self.no:
            return self.outcome(handler, self.no)
        if self.race and path in self.rows:
            self.race -= 1
            self.rows[path]["meta"]["versionId"] = str(int(self.rows[path]["meta"]["versionId"]) + 1)
        if path not in self.rows:
            return self.outcome(handler, 404)
        if handler.headers.get("If-Match") != f'W/"{self.rows[path]["meta"]["versionId"]}"':
            return self.outcome(handler, 412)
        if handler.command == "PUT":
            return self.store(handler, path, body, 200)
        del self.rows[path]
        self.send(handler, None, 204)

    def answer(self, path, handler):
        path, _, query = path.removeprefix("/fhir/").partition("?")
        params = dict(urllib.parse.parse_qsl(query))
        if handler.command != "GET":
            return self.write(handler, path)
        if "/" in path:
            row = self.rows.get(path)
            return self.send(handler, row) if row else self.outcome(handler, 404)
        rows = [r for n, r in self.rows.items() if n.split("/")[0] == path and self.matches(r, params)]
        self.send(handler, {"resourceType": "Bundle", "type": "searchset",
                            "entry": [{"resource": r, "search": {"mode": "match"}} for r in rows]})

    @staticmethod
    def matches(row, params):
        if "_id" in params and row["id"] not in params["_id"].split(","):
            return False
        if "identifier" in params:
            return any(f"{i['system']}|{i['value']}" == params["identifier"] for i in row.get("identifier", []))
        return "link" not in params


class Desk:
    """Writes through a house's gateway."""

    def __init__(self, h):
        self.h = h

    def send(self, method, path, body=None, match=None, caller="ward", kind="application/fhir+json", headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        lines = list(headers) + ([f"Content-Type: {kind}"] if data else []) + ([f"If-Match: {match}"] if match else [])
        status, head, text = self.h.ask(path, caller, method, lines, data)
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        return status, fields, text

    def read(self, path, caller="ward"):
        status, head, text = self.h.ask(path, caller)
        assert status == 200, (path, status, text)
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        return json.loads(text), fields["ETag"]


def same(a, b):
    """Status, headers but for the date, and bytes."""
    return a[0] == b[0] and a[2] == b[2] and {k: v for k, v in a[1].items() if k != "Date"} == {k: v for k, v in b[1].items() if k != "Date"}


def create(h, d):
    weight = made("Observation", None, status="final", code=concept("http://loinc.org", "8302-2"), subject=P, encounter=ref("Encounter/ours"),
                  valueQuantity={"value": 1.80, "unit": "m"})
    status, head, text = d.send("POST", "Observation", weight)
    got = json.loads(text)
    where = head.get("Location", "").removeprefix(h.base + "/")
    h.expect("a create gives an id of the server, its own tag, and the writer's view", status == 201 and
             where.startswith(f"Observation/{got['id']}/_history/") and head["ETag"] == f'W/"{where.split("/")[-1]}"' and
             got["meta"]["versionId"] == where.split("/")[-1] and "Last-Modified" in head, f"{status} {head} {text}")
    read, tag = d.read(f"Observation/{got['id']}")
    h.expect("what is read is what was answered", read == got and tag == head["ETag"])
    status, head, text = d.send("POST", "Observation", weight, headers=["Prefer: return=minimal"])
    h.expect("minimal: no body", status == 201 and not text and "Location" in head and "Content-Type" not in head, f"{status} {head} {text}")
    xml = d.send("POST", "Observation", weight, headers=["Prefer: return=minimal", "Accept: application/fhir+xml"])
    h.expect("in XML as well", xml[0] == 201 and not xml[2] and "Location" in xml[1], xml)
    status, head, text = d.send("POST", "Observation", weight, headers=["Prefer: return=OperationOutcome"])
    h.expect("an outcome", status == 201 and json.loads(text)["resourceType"] == "OperationOutcome")
    status, _, text = d.send("POST", "Observation", gzip.compress(json.dumps(weight).encode()), headers=["Content-Encoding: gzip"])
    h.expect("packed", status == 201, text)
    xml = (b'<Observation xmlns="http://hl7.org/fhir"><status value="final"/><code><text value="XML"/></code>'
           b'<subject><reference value="Patient/p"/></subject></Observation>')
    status, head, text = d.send("POST", "Observation", xml, kind="application/fhir+xml", headers=["Accept: application/fhir+xml"])
    h.expect("XML both ways", status == 201 and b'<text value="XML"/>' in text and head["Content-Type"].startswith("application/fhir+xml"), text)
    h.expect("a bomb is refused", d.send("POST", "Observation", gzip.compress(b" " * 20000000), headers=["Content-Encoding: gzip"])[0] == 413)
    for what, body, want in (("an unknown element", dict(weight, nonsense=1), 400), ("another type", made("Patient", None), 400),
                             ("no JSON", b"{", 400)):
        h.expect(f"{what} is refused", d.send("POST", "Observation", body)[0] == want)
    h.expect("a type that nobody may write", d.send("POST", "Procedure", made("Procedure", None, status="completed", subject=P))[0] == 403)
    h.expect("a party that may not", d.send("POST", "Observation", weight, caller="plan")[0] == 403)
    own = dict(weight, subject=ref(h.base + "/Patient/p"))
    status, _, text = d.send("POST", "Observation", own)
    h.expect("our own address names our records", status == 201 and json.loads(text)["subject"] == P, text)


def references(h, d):
    def about(**more):
        return d.send("POST", "Observation", made("Observation", None, status="final", code={"text": "x"}, **dict({"subject": P}, **more)))

    absent = about(focus=[ref("Condition/absent")])
    h.expect("a reference to nothing is refused", absent[0] == 422, absent)
    for what, more in (("hidden", {"focus": [ref("Condition/secret")]}), ("hidden among others", {"focus": [ref("Condition/plain"), ref("Condition/secret")]}),
                       ("by our own address", {"focus": [ref(h.base + "/Condition/secret")]}),
                       ("of another entry that is not there", {"focus": [ref("urn:uuid:8a2c3b64-5b0f-4c0e-9d55-0f2d7e6b2321")]}),
                       ("conditional", {"focus": [ref("Condition?identifier=urn:case|77")]}),
                       ("within what is contained", {"contained": [made("Condition", "c", subject=P, evidence=[{"detail": [ref("Condition/secret")]}])],
                                                     "focus": [ref("#c")]})):
        h.expect(f"a reference that is {what}: the same bytes", same(about(**more), absent), about(**more))
    h.expect("visible, contained and foreign ones are taken", about(
        focus=[ref("Condition/plain"), ref("#c"), ref("https://elsewhere.example/fhir/Condition/1")],
        contained=[made("Condition", "c", subject=P)])[0] == 201)


def update(h, d, ehr):
    visit, tag = d.read("Encounter/ours")
    h.expect("the writer sees one diagnosis", [x["condition"]["reference"] for x in visit["diagnosis"]] == ["Condition/plain"], visit)
    visit["status"] = "in-progress"
    visit["diagnosis"].append({"condition": ref("Condition/plain"), "use": {"text": "three"}})
    h.expect("without If-Match", d.send("PUT", "Encounter/ours", visit)[0] == 428)
    h.expect("with an empty one", d.send("PUT", "Encounter/ours", visit, headers=["If-Match:"])[0] == 400)
    h.expect("of another version", d.send("PUT", "Encounter/ours", visit, 'W/"x"')[0] == 412)
    status, head, text = d.send("PUT", "Encounter/ours", visit, tag)
    now = json.loads(text)
    h.expect("an update gives the writer's view", status == 200 and now["status"] == "in-progress" and
             [x["use"]["text"] for x in now["diagnosis"]] == ["two", "three"] and head["ETag"] != tag and "secret" not in text.decode(), text)
    if ehr:
        h.expect("what it never saw stays", [x["use"]["text"] for x in ehr.rows["Encounter/ours"]["diagnosis"]] == ["one", "two", "three"] and
                 ehr.rows["Encounter/ours"]["diagnosis"][0]["condition"]["reference"] == "Condition/secret", ehr.rows["Encounter/ours"])
    h.expect("the old version is no longer current", d.send("PUT", "Encounter/ours", visit, tag)[0] == 412)
    again, tag = d.read("Encounter/ours")
    before = len(ehr.writes) if ehr else 0
    status, head, _ = d.send("PUT", "Encounter/ours", again, tag)
    h.expect("what is sent back as it was read writes nothing", status == 200 and head["ETag"] == tag and (not ehr or len(ehr.writes) == before))
    body = made("Condition", "secret", clinicalStatus=concept("x", "active"), subject=P)
    absent = d.send("PUT", "Condition/absent", dict(body, id="absent"), tag)
    h.expect("an update of what is hidden, and of what is not there: the same bytes", absent[0] == 404 and
             same(d.send("PUT", "Condition/secret", body, tag), absent) and same(d.send("PUT", "Condition/secret", body, "*"), absent))
    h.expect("the id must be the one that is named", d.send("PUT", "Encounter/ours", dict(again, id="other"), tag)[0] == 400)


def hidden_parts(h, d, ehr):
    panel, tag = d.read("Observation/panel")
    h.expect("the patient keeps a part to himself", len(panel["component"]) == 1 and "method" not in panel, panel)
    other = ref("Patient/q")
    moved, absent = (d.send("PUT", "Observation/panel", dict(panel, subject=s), tag) for s in (other, ref("Patient/absent")))
    h.expect("nobody whom it is about is left out: his word would no longer hold for it", moved[0] == 422 and same(moved, absent), moved)
    h.expect("nor by a patch", d.send("PATCH", "Observation/panel", [{"op": "replace", "path": "/subject/reference", "value": "Patient/q"}], tag,
                                      kind="application/json-patch+json")[0] == 422)
    h.expect("also where nothing is hidden", d.send("PUT", "Observation/weight", dict(d.read("Observation/weight")[0], subject=other), "*")[0] == 422)
    odd, its = d.read("Observation/odd")
    status, _, text = d.send("PUT", "Observation/odd", dict(odd, status="amended"), its)
    h.expect("what R4 does not know in the record is nobody's fault who writes", status == 200 and b"TRACE" not in text, (status, text))
    if ehr:
        kept = ehr.rows["Observation/odd"]
        h.expect("and stays", (kept["status"], kept["vendorFlag"], kept["valueQuantity"].get("vendorUnit")) == ("amended", "TRACE", {"of": ["TRACE"]}), kept)
    status, _, text = d.send("PUT", "Observation/panel", dict(panel, method={"text": "by hand"}), tag)
    h.expect("what is sent takes the place of one hidden value", status == 200 and json.loads(text)["method"] == {"text": "by hand"} and
             b"TRACE" not in text, text)
    if ehr:
        h.expect("and the hidden entry stays", "extension" not in panel and len(ehr.rows["Observation/panel"]["component"]) == 2, ehr.rows["Observation/panel"])
    panel, tag = d.read("Observation/panel")
    status, _, text = d.send("PUT", "Observation/panel", dict(panel, effectiveDateTime="2022-06-01"), tag)
    h.expect("a new date frees nothing that the old one hid", status == 200 and json.loads(text)["component"] == panel["component"] and
             b"TRACE" not in text, text)
    if ehr:
        h.expect("only what it would have freed gives way", len(ehr.rows["Observation/panel"]["component"]) == 1 and
                 ehr.rows["Observation/panel"]["extension"][0]["valueReference"] == ref("Condition/secret"), ehr.rows["Observation/panel"])


def patch(h, d, ehr):
    _, tag = d.read("Encounter/ours")
    steps = [{"op": "test", "path": "/diagnosis/0/use/text", "value": "two"}, {"op": "replace", "path": "/diagnosis/0/use/text", "value": "2"}]
    kind = "application/json-patch+json"
    h.expect("a patch needs If-Match", d.send("PATCH", "Encounter/ours", steps, None, kind=kind)[0] == 428)
    status, head, text = d.send("PATCH", "Encounter/ours", steps, tag, kind=kind)
    h.expect("a JSON Patch names places of the view", status == 200 and json.loads(text)["diagnosis"][0]["use"]["text"] == "2" and
             (not ehr or [x["use"]["text"] for x in ehr.rows["Encounter/ours"]["diagnosis"]] == ["one", "2", "three"]), text)
    tag = head["ETag"]
    path = made("Parameters", None, parameter=[{"name": "operation", "part": [
        {"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Encounter.status"}, {"name": "value", "valueCode": "planned"}]}])
    status, head, text = d.send("PATCH", "Encounter/ours", path, tag)
    h.expect("a FHIRPath Patch", status == 200 and json.loads(text)["status"] == "planned", text)
    tag = head["ETag"]
    secret = [{"op": "add", "path": "/diagnosis/-", "value": {"condition": ref("Condition/secret")}}]
    absent = [{"op": "add", "path": "/diagnosis/-", "value": {"condition": ref("Condition/absent")}}]
    h.expect("references in a patch resolve, or are refused alike", same(d.send("PATCH", "Encounter/ours", secret, tag, kind=kind),
                                                                        d.send("PATCH", "Encounter/ours", absent, tag, kind=kind)))
    h.expect("what cannot be done to the view", d.send("PATCH", "Encounter/ours", [{"op": "remove", "path": "/diagnosis/2"}], tag, kind=kind)[0] == 422)
    h.expect("no patch", d.send("PATCH", "Encounter/ours", {"op": "remove"}, tag, kind=kind)[0] == 400)
    h.expect("a patch of what is hidden, and of what is not there", same(d.send("PATCH", "Condition/secret", steps, tag, kind=kind),
                                                                        d.send("PATCH", "Condition/absent", steps, tag, kind=kind)))


def conditional(h, d, ehr):
    new = made("Observation", None, status="final", code={"text": "once"}, subject=P, identifier=[{"system": "urn:once", "value": "9"}])
    first = d.send("POST", "Observation", new, headers=["If-None-Exist: identifier=urn:once|9"])
    second = d.send("POST", "Observation", new, headers=["If-None-Exist: identifier=urn:once|9"])
    h.expect("a conditional create creates once", first[0] == 201 and second[0] == 200 and
             json.loads(second[2])["id"] == json.loads(first[2])["id"] and second[1]["Location"] == first[1]["Location"], second)
    d.send("POST", "Observation", new)
    h.expect("and is refused where more match", d.send("POST", "Observation", new, headers=["If-None-Exist: identifier=urn:once|9"])[0] == 412)

    def condition(value):
        body = made("Condition", None, clinicalStatus=concept("http://terminology.hl7.org/CodeSystem/condition-clinical", "active"),
                    code=concept(ICD10, "I10"), subject=P)
        return d.send("POST", "Condition", body, headers=[f"If-None-Exist: identifier=urn:case|{value}", "Prefer: return=OperationOutcome"])

    hidden, absent = condition(77), condition(78)
    h.expect("what is hidden is not matched", hidden[0] == 201 and absent[0] == 201 and hidden[2] == absent[2] and
             sorted(hidden[1]) == sorted(absent[1]), (hidden, absent))
    h.expect("and goes upstream unconditional", not ehr or all(w[3] is None for w in ehr.writes))
    status, _, text = d.send("PUT", "Observation?identifier=urn:obs|5", dict(new, identifier=[{"system": "urn:obs", "value": "5"}]))
    h.expect("a conditional update", status == 200 and json.loads(text)["id"] == "weight" and "valueQuantity" not in json.loads(text), text)
    body = made("Condition", "secret", subject=P)
    h.expect("of what is hidden, and of what is not there", same(d.send("PUT", "Condition?identifier=urn:case|77", body),
                                                                 d.send("PUT", "Condition?identifier=urn:case|79", body)))
    h.expect("nothing has the version that is named", d.send("PUT", "Condition?identifier=urn:case|79", made("Condition", None, subject=P), "*")[0] == 412)
    h.expect("a condition must say something", d.send("PUT", "Condition", body)[0] == 400)


def labels(h, d, ehr):
    """By every way of writing; looked for where the records are, since a view shows labels of ours."""
    mine = {"system": "urn:label", "code": "TAKEN"}
    inline = [{"url": INLINE, "valueCoding": mine}]
    meta = {"security": [mine], "tag": [mine]}
    one = made("Observation", None, status="final", code={"text": "labelled"}, subject=P)

    def taken(text):
        row = ehr.rows["Observation/" + json.loads(text)["id"]]
        return [place for place, said in (("security", row["meta"].get("security")), ("tag", row["meta"].get("tag")), ("inline", row["code"]))
                if "TAKEN" in json.dumps(said)]

    status, _, text = d.send("POST", "Observation", dict(one, meta=meta, code={"text": "labelled", "extension": inline}))
    h.expect("a create sets no label that its writer may not set", status == 201 and not taken(text), text)
    name = "Observation/" + json.loads(text)["id"]
    view, tag = d.read(name)
    status, head, text = d.send("PUT", name, dict(view, meta=dict(view.get("meta", {}), **meta), code={"text": "again", "extension": inline}), tag)
    h.expect("nor does an update", status == 200 and json.loads(text)["code"]["text"] == "again" and not taken(text), text)
    steps = [{"op": "replace", "path": "/code/text", "value": "patched"}, {"op": "add", "path": "/code/extension", "value": inline},
             {"op": "add", "path": "/meta/tag", "value": [mine]}, {"op": "add", "path": "/meta/security/-", "value": mine}]
    status, _, text = d.send("PATCH", name, steps, head["ETag"], kind="application/json-patch+json")
    h.expect("a server that keeps old labels is told not to", ehr.meta == {"TAG,PROFILE,SECURITY_LABEL"}, ehr.meta)
    h.expect("nor a patch", status == 200 and json.loads(text)["code"]["text"] == "patched" and not taken(text), text)


def delete(h, d):
    refused = d.send("DELETE", "Condition/absent")
    h.expect("a delete where something could be hidden", refused[0] == 403 and same(d.send("DELETE", "Condition/secret"), refused) and
             same(d.send("DELETE", "Condition/plain"), refused), refused)
    places(h, d)
    h.expect("also where only a label could hide it", d.send("DELETE", "Location/room")[0] == 403 and h.ask("Location/room")[0] == 200)


def deny(**more):
    """The patient wants nothing of his to go to the ward's house."""
    return dict(made("Consent", None, status="active", scope=concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
                     category=[concept("http://loinc.org", "59284-0")], patient=P, dateTime="2026-01-01T00:00:00Z", policy=[{"uri": "urn:x"}],
                     provision={"type": "deny", "actor": [{"role": concept("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP"),
                                                          "reference": ref("Organization/lakeside-primary")}]}), **more)


def consent(h, d):
    h.expect("before: the ward reads", h.ask("Condition/plain")[0] == 200)
    status, _, text = d.send("POST", "Consent", deny())
    h.expect("a Consent is written", status == 201, text)
    h.expect("and holds from then on", h.ask("Condition/plain")[0] == 404)
    bad = d.send("POST", "Consent", deny(patient={"identifier": {"value": "1"}}))
    h.expect("one that nobody could find again is refused", bad[0] in (403, 422), bad)


def metadata(h):
    told = json.loads(h.ask("metadata", "")[2])
    types = {r["type"]: r for r in told["rest"][0]["resource"]}
    h.expect("metadata tells what somebody may write", {"create", "update", "patch"} <= {i["code"] for i in types["Observation"]["interaction"]} and
             "create" not in {i["code"] for i in types["Procedure"]["interaction"]} and types["Observation"]["versioning"] == "versioned-update" and
             types["Consent"]["conditionalCreate"] and not types["Procedure"]["conditionalUpdate"])


def ledger(h):
    written = [r for r in h.ledger() if "written" in r]
    h.expect("each write is in the ledger, with what it was made from and by which grant", len(written) > 10 and
             all(w["written"][0]["grant"] and (w["written"][0]["stored"] or w["status"] == 503) and "/" in w["written"][0]["item"] for w in written))
    h.expect("and refusals too", any(r["interaction"]["kind"] == "update" and r["status"] == 404 for r in h.ledger()))
    listed = h.run("queue", "list", "--ledger", h.at("ledger"), "--store", h.at("policy"))
    h.expect("what gave way unseen is told by place", [w["written"][0]["displaced"] for w in written if "displaced" in w["written"][0]] ==
             [["Observation.method"], ["Observation.component[1]"]] and listed.count("displaced") == 1, listed)
    h.expect("a possible duplicate of what is hidden is the officer's to look at", listed.count("possible-duplicate") == 1, listed)


def places(h, d):
    """What was done at a program's place is hidden because the place is the program's."""
    clinic, tag = d.read("Location/clinic")
    moved = {n: v for n, v in clinic.items() if n != "managingOrganization"}
    answers = [d.send("PUT", "Location/clinic", moved, tag)[0], d.send("PUT", "Location?name=Clinic", dict(moved, id="clinic"))[0],
               d.send("PUT", "Location/clinic", dict(clinic, managingOrganization=HERE), tag)[0]]
    h.expect("whose a place of a program is nobody writes", answers == [422] * 3 and h.ask("Appointment/there")[0] == 404, answers)
    status, _, text = d.send("PUT", "Location/clinic", dict(clinic, description="Left of the door"), tag)
    h.expect("the rest of it who may", status == 200 and b"Left of" in text and h.ask("Appointment/there")[0] == 404, (status, text))


def over(sluice, folder, upstream):
    name = "a server" if upstream else "the embedded store"
    print(f"  -- over {name}")
    policies = os.path.join(folder, "policies")
    if not os.path.exists(policies):
        for part in ("policies", "terminology", "lexicon"):
            shutil.copytree(os.path.join(house.ROOT, "consent", part), os.path.join(folder, part))
        with open(os.path.join(policies, "house", "writes.yaml"), "w") as out:
            out.write(GRANTS)
    path, kept = os.path.join(folder, "records.ndjson"), os.path.join(folder, "kept.ndjson")
    with open(kept, "w") as out:
        out.write(json.dumps(directed()) + "\n")
    with open(path, "w") as out:
        out.writelines(json.dumps(one) + "\n" for one in records())
    ehr = Ehr(records()) if upstream else None
    h = house.House(sluice, records=None if ehr else [path], upstream=ehr.server.url if ehr else None, policies=policies, consents=[kept])
    try:
        for caller in ("ward", "exchange", "plan"):
            h.tokens[caller] = h.token(caller, house.CALLERS[caller], "--scope", "system/*.cruds")
        h.start()
        d = Desk(h)
        metadata(h)
        create(h, d)
        references(h, d)
        update(h, d, ehr)
        hidden_parts(h, d, ehr)
        patch(h, d, ehr)
        conditional(h, d, ehr)
        delete(h, d)
        if ehr:
            labels(h, d, ehr)
            races(h, d, ehr)
        consent(h, d)
        h.stop()
        ledger(h)
        h.expect("nothing of what is hidden, and nothing of the server's", "TRACE" not in h.logged())
    finally:
        h.close()
    return h.failures


def races(h, d, ehr):
    visit, tag = d.read("Encounter/ours")
    visit["status"] = "finished"
    ehr.race = 2
    status, _, text = d.send("PUT", "Encounter/ours", visit, tag)
    h.expect("a race that is lost is run again", status == 200 and json.loads(text)["status"] == "finished" and not ehr.race, text)
    visit, tag = d.read("Encounter/ours")
    visit["status"] = "cancelled"
    ehr.race = 99
    status, _, text = d.send("PUT", "Encounter/ours", visit, tag)
    h.expect("not without end, and in words of ours", status == 409 and b"TRACE" not in text, (status, text))
    ehr.race, ehr.refuse = 0, True
    before = len(ehr.writes)
    status, _, text = d.send("POST", "Observation", made("Observation", None, status="final", code={"text": "x"}, subject=P))
    h.expect("a create that the server has something against is sent once, and is none of the client's fault", status == 503 and
             len(ehr.writes) == before + 1 and b"TRACE" not in text, (status, text))
    ehr.refuse = False
    weight, tag = d.read("Observation/weight")
    for code in (409, 412):
        ehr.no, before = code, len(ehr.writes)
        status, _, text = d.send("PUT", "Observation/weight", dict(weight, status="amended"), tag)
        h.expect(f"an update that it refuses with {code}, though nobody else wrote, likewise", status == 503 and b"TRACE" not in text and
                 len(ehr.writes) == before + 1, (status, text, len(ehr.writes) - before))
    ehr.no, kept = 0, ehr.rows["Observation/weight"]["meta"]
    ehr.rows["Observation/weight"]["meta"], before = {"lastUpdated": kept["lastUpdated"]}, len(ehr.writes)
    status, _, text = d.send("PUT", "Observation/weight", dict(weight, status="amended"), "*")
    h.expect("what the server has no version of is not overwritten unseen", status == 503 and len(ehr.writes) == before and
             "why=upstream-no-version" in h.logged(), (status, text))
    ehr.rows["Observation/weight"]["meta"] = kept


def scenario(sluice, folder):
    """What is written goes the one path: the writer's view, the difference to it, and nothing of what it never saw."""
    return over(sluice, folder, False) + over(sluice, folder, True)


if __name__ == "__main__":
    house.main(scenario)
