# SPDX-License-Identifier: Apache-2.0
import json
import xml.etree.ElementTree as tree

import house

FHIR = "{http://hl7.org/fhir}"
JSON = "Content-Type: application/fhir+json"
MR, OTHER = "urn:oid:1.2.3", "urn:oid:9.9.9"
PULSE, TEMPERATURE, CCD, NOTE = "8867-4", "8310-5", "34133-9", "11506-3"


def ref(name):
    return {"reference": name}


def loinc(*codes):
    return {"coding": [{"system": "http://loinc.org", "code": code} for code in codes]}


def patient(ident, family, given, born, number, place="lakeside-primary", **more):
    return {"resourceType": "Patient", "id": ident, "active": True, "managingOrganization": ref(f"Organization/{place}"),
            "name": [{"family": family, "given": [given]}], "birthDate": born, "gender": "female",
            "identifier": [{"system": MR, "value": number}], **more}


def observation(ident, day, *codes, place="lakeside-primary", **more):
    return {"resourceType": "Observation", "id": ident, "status": "final", "subject": ref("Patient/ann"), "category": [{"coding": [{
        "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}], "code": loinc(*codes),
        "performer": [ref(f"Organization/{place}")], "effectiveDateTime": day, "valueQuantity": {"value": 70}, **more}


def document(ident, kind, made, start=None, place="lakeside-primary", **more):
    context = {"context": {"period": {"start": start, "end": start}}} if start else {}
    return {"resourceType": "DocumentReference", "id": ident, "status": "current", "subject": ref("Patient/ann"), "type": loinc(kind),
            "date": made, "custodian": ref(f"Organization/{place}"), "author": [ref(f"Organization/{place}")],
            "content": [{"attachment": {"contentType": "text/plain", "data": "aGk="}}], **context, **more}


def visible():
    yield {"resourceType": "Organization", "id": "lakeside-primary", "name": "Lakeside"}
    yield patient("ann", "Sharp", "Ann", "1970-02-03", "1", telecom=[{"system": "phone", "value": "555-1"}])
    yield patient("ann2", "Sharp", "Ann", "1970-02-03", "2")
    yield patient("anne", "Sharpe", "Anne", "1970-02-03", "3")
    yield patient("bob", "Oak", "Bob", "1981-01-01", "4")
    visit = {"status": "finished", "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
             "subject": ref("Patient/ann"), "serviceProvider": ref("Organization/lakeside-primary")}
    yield {"resourceType": "Encounter", "id": "e1", "period": {"start": "2024-03-01", "end": "2024-03-01"}, **visit}
    yield {"resourceType": "Encounter", "id": "e2", "period": {"start": "2025-03-01", "end": "2025-03-01"}, **visit}
    yield observation("p1", "2024-01-01", PULSE)
    yield observation("p2", "2024-02-01T10:00:00Z", PULSE, "X-1")
    yield observation("p3", "2024-03-01T09:00:00-05:00", "X-1", encounter=ref("Encounter/e1"))
    yield observation("p4", "2024-03-01T13:00:00Z", PULSE)
    yield observation("t1", "2024-01-05", TEMPERATURE)
    yield observation("t2", "2025-03-01", TEMPERATURE, encounter=ref("Encounter/e2"))
    undated = observation("t0", "x", TEMPERATURE)
    del undated["effectiveDateTime"]
    yield undated
    yield document("d1", CCD, "2024-01-01T00:00:00Z", "2023-12-01")
    yield document("d2", CCD, "2024-06-01T00:00:00Z", "2024-05-01")
    yield document("d3", CCD, "2024-07-01T00:00:00Z", status="superseded")
    yield document("n1", NOTE, "2024-02-01T00:00:00Z")


def hidden():
    """What a Part 2 program made, newer than all that is visible; and a person known there alone."""
    yield {"resourceType": "Organization", "id": "harbor-recovery", "name": "Harbor"}
    yield patient("zoe", "Sharp", "Ann", "1970-02-03", "5", "harbor-recovery")
    for number in range(5):
        yield observation(f"hp{number}", f"2026-01-0{number + 1}", PULSE, place="harbor-recovery", encounter=ref("Encounter/e1"))
    yield observation("ht", "2026-01-01", TEMPERATURE, PULSE, place="harbor-recovery")
    yield document("hd", CCD, "2026-01-01T00:00:00Z", "2024-05-01", place="harbor-recovery")


def world(sluice, folder, name, records):
    path = f"{folder}/{name}.ndjson"
    with open(path, "w") as out:
        for record in records:
            meta = {"versionId": "1", "lastUpdated": "2025-01-01T00:00:00Z" if record["id"] != "t2" else "2025-06-01T00:00:00Z"}
            out.write(json.dumps({**record, "meta": meta}) + "\n")
    return house.House(sluice, records=["--at", "given", path]).start()


def parameters(**values):
    out = []
    for name, value in values.items():
        if isinstance(value, dict):
            out.append({"name": name, "resource": value} if "resourceType" in value else {"name": name, "valueCodeableConcept": value})
        else:
            out.append({"name": name, {bool: "valueBoolean", int: "valueInteger"}.get(type(value), "valueString"): value})
    return {"resourceType": "Parameters", "parameter": out}


class Both:
    """The world with what is hidden and the one in which it never was: every question is asked of both."""

    def __init__(self, one, two):
        self.one, self.two = one, two

    def ask(self, path, caller="exchange", body=None, headers=(JSON,)):
        more = {"method": "POST", "body": body if isinstance(body, bytes) else json.dumps(body).encode(), "headers": headers} if body else {}
        answers = []
        for h in (self.one, self.two):
            status, head, text = h.ask(path, caller, **more)
            head = "\n".join(line for line in head.splitlines() if not line.startswith(("Date:", "date:")))
            answers.append((status, head, text.replace(str(h.port).encode(), b"PORT")))
        at = next((i for i, (x, y) in enumerate(zip(answers[0][2], answers[1][2])) if x != y), 0)
        self.one.expect(f"nothing tells: {path}", answers[0] == answers[1], [(a[1], a[2][max(0, at - 80):at + 80]) for a in answers])
        return answers[0]

    def ids(self, path, caller="exchange", body=None):
        status, _, text = self.ask(path, caller, body)
        if status != 200:
            return status
        bundle = json.loads(text)
        self.one.expect(f"the total is what is there: {path}", bundle["total"] == sum(e["search"]["mode"] == "match" for e in bundle["entry"]))
        return [e["resource"]["id"] for e in bundle["entry"] if e["search"]["mode"] == "match"]

    def same(self, what, got, wanted):
        self.one.expect(what, got == wanted, (got, wanted))


def lastn(b):
    b.same("the last of each code, translations joined", b.ids("Observation/$lastn?patient=ann&category=vital-signs"), ["t2", "p3"])
    b.same("the last two", b.ids("Observation/$lastn?max=2&patient=ann&category=vital-signs"), ["t2", "t1", "p3", "p4"])
    b.same("the last of all there is, what has no time last", b.ids("Observation/$lastn?max=9&patient=ann&category=vital-signs"),
           ["t2", "t1", "t0", "p3", "p4", "p2", "p1"])
    b.same("by code", b.ids(f"Observation/$lastn?max=2&subject=Patient/ann&code=http://loinc.org|{PULSE}"), ["p4", "p2"])
    b.same("by POST", b.ids("Observation/$lastn", body=parameters(patient="ann", category="vital-signs", max=1)), ["t2", "p3"])
    b.same("of nobody", b.ids("Observation/$lastn?patient=nobody&category=vital-signs"), [])
    for query in ("category=vital-signs", "patient=ann", "patient=ann&code=x&_sort=date", "patient=ann&code=x&_count=1", "patient=ann&code=x&max=0",
                  "patient=ann&code=x&max=1&max=2", "patient=ann&code=x&colour=blue", "patient=ann&code=x&_include=Observation:subject"):
        b.same(f"refused: {query}", b.ids(f"Observation/$lastn?{query}"), 400)
    who = json.loads(b.one.ask(f"Observation/$lastn?patient=ann&code={PULSE}", "ward")[2])
    b.one.expect("whoever may see it is told the last one", who["entry"][0]["resource"]["id"].startswith(("h", "p")), who["entry"][0]["resource"]["id"])


def docref(b):
    b.same("the latest document of each kind", b.ids("DocumentReference/$docref?patient=ann", "ward"), ["d2", "n1"])
    b.same("of one kind", b.ids(f"DocumentReference/$docref?patient=Patient/ann&type=http://loinc.org|{CCD}&on-demand=false", "ward"), ["d2"])
    b.same("of care in a time", b.ids("DocumentReference/$docref?patient=ann&start=2024-01-01&end=2024-12-31", "ward"), ["d2", "d3", "n1"])
    b.same("from a time on", b.ids("DocumentReference/$docref?patient=ann&start=2024-04", "ward"), ["d2", "d3"])
    b.same("up to a time", b.ids("DocumentReference/$docref?patient=ann&end=2024-01-15T00:00:00%2B01:00", "ward"), ["d1"])
    b.same("by POST", b.ids("DocumentReference/$docref", "ward", parameters(patient="ann", type=loinc(CCD))), ["d2"])
    for query in ("", "patient=ann&on-demand=true", "patient=ann&profile=x", "patient=a/b", "patient=ann&start=yesterday", "patient=ann&patient=bob"):
        b.same(f"refused: {query}", b.ids(f"DocumentReference/$docref?{query}", "ward"), 400)


def grades(b, body, caller="exchange"):
    status, _, text = b.ask("Patient/$match", caller, body)
    if status != 200:
        return status
    return [(e["resource"]["id"], e["search"]["extension"][0]["valueCode"], e["search"]["score"]) for e in json.loads(text)["entry"]
            if e["search"]["mode"] == "match"]


def match(b):
    who = {"resourceType": "Patient", "name": [{"family": "SHARP", "given": ["ann"]}], "birthDate": "1970-02-03"}
    mine = {**who, "identifier": [{"system": MR, "value": "1"}]}
    b.same("by identifier, name and date", grades(b, parameters(resource=mine)), [("ann", "certain", 0.88), ("ann2", "probable", 0.38)])
    b.same("certain ones alone", grades(b, parameters(resource=mine, onlyCertainMatches=True)), [("ann", "certain", 0.88)])
    b.same("without an identifier nobody is certain", grades(b, parameters(resource=who, onlyCertainMatches=True)), [])
    b.same("the best one", grades(b, parameters(resource=mine, count=1)), [("ann", "certain", 0.88)])
    b.same("two certain ones are none", grades(b, parameters(onlyCertainMatches=True, resource={
        **who, "identifier": [{"system": MR, "value": "1"}, {"system": MR, "value": "2"}]})), [])
    b.same("the Patient as it is", grades(b, who), [("ann", "probable", 0.38), ("ann2", "probable", 0.38)])
    b.same("an identifier, and the date speaks against it", grades(b, {**mine, "birthDate": "1970-02-04"}), [("ann", "probable", 0.52)])
    b.same("a telephone, and no date", grades(b, {"resourceType": "Patient", "name": who["name"], "telecom": [{"system": "phone", "value": "555-1"}]}),
           [("ann", "possible", 0.24)])
    b.same("the number of another house", grades(b, {"resourceType": "Patient", "identifier": [{"system": OTHER, "value": "1"}]}), [])
    b.same("who is known to a program alone is no match", grades(b, {"resourceType": "Patient", "identifier": [{"system": MR, "value": "5"}]}), [])
    for body in ({"resourceType": "Patient", "name": [{"family": "Sharp"}]}, {"resourceType": "Patient", "identifier": [{"value": "1"}]},
                 parameters(count=1), {"resourceType": "Observation"}, parameters(resource=who, colour="blue")):
        b.same("refused: too little, or something else", grades(b, body), 400)
    b.same("by GET it is not", b.ids("Patient/$match"), 405)


def everything(b):
    alls = b.ids("Patient/ann/$everything")
    b.same("a patient's", alls[0] if isinstance(alls, list) else alls, "ann")
    b.same("in a time, and what has no date", b.ids("Patient/ann/$everything?start=2025&end=2025-12-31"), ["ann", "e2", "t0", "t2"])
    b.same("up to a time", b.ids("Patient/ann/$everything?end=2024-01-03&_type=Observation"), ["p1", "t0"])
    b.same("since", b.ids("Patient/ann/$everything?_since=2025-05-01T00:00:00Z"), ["t2"])
    b.same("by POST", b.ids("Patient/ann/$everything", body=parameters(start="2025", _type="Encounter")), ["e2"])
    b.same("an encounter's", b.ids("Encounter/e1/$everything"), ["e1", "p3"])
    status, _, text = b.ask("Encounter/e2/$everything")
    names = {f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in json.loads(text)["entry"]}
    b.same("with whose it is, and where", names & {"Patient/ann", "Organization/lakeside-primary"}, {"Patient/ann", "Organization/lakeside-primary"})
    b.same("of no encounter", b.ids("Encounter/e9/$everything"), 404)
    for query in ("start=x", "_since=x", "_type=Nothing", "_count=x", "colour=blue", "start=2020&start=2021"):
        b.same(f"refused: {query}", b.ids(f"Patient/ann/$everything?{query}"), 400)


def found(text):
    return [(i["code"], (i.get("expression") or [""])[0]) for i in json.loads(text)["issue"] if i["severity"] == "error"]


def validate(b):
    good = {"resourceType": "Patient", "id": "x", "birthDate": "1970-02-03"}
    bad = {"resourceType": "Patient", "birthDate": "soon", "colour": "red", "link": [{}]}
    for what, path, body, wanted in [
            ("in order", "Patient/$validate", good, []), ("as a parameter", "Patient/$validate", parameters(resource=good, mode="create"), []),
            ("mistakes", "Patient/$validate", bad, [("value", "Patient.birthDate"), ("structure", "Patient.colour"), ("structure", "Patient.link[0]")]),
            ("another type", "Observation/$validate", good, [("invalid", "")]),
            ("an update without id", "Patient/$validate?mode=update", {"resourceType": "Patient", "active": True}, [("required", "")]),
            ("another id", "Patient/y/$validate", good, [("invalid", "")]), ("its id", "Patient/x/$validate", good, [])]:
        status, _, text = b.ask(path, body=body)
        b.same(f"validated: {what}", (status, sorted(found(text)) if status == 200 else text), (200, sorted(wanted)))
    b.same("a stored one", found(b.ask("Patient/ann/$validate")[2]), [])
    withheld, absent = b.one.ask("Observation/hp1/$validate", "exchange"), b.one.ask("Observation/hp9/$validate", "exchange")
    b.one.expect("withheld and absent are the same", withheld[0] == 404 and withheld[2] == absent[2], withheld)
    for what, path, body in [("a profile", "Patient/$validate?profile=x", good), ("deletion", "Patient/x/$validate?mode=delete", good),
                             ("nothing", "Patient/$validate", parameters(mode="create"))]:
        b.same(f"refused: {what}", b.ask(path, body=body)[0], 400)
    status, head, text = b.ask("Patient/$validate", body=b'<Patient xmlns="http://hl7.org/fhir"><birthDate value="soon"/></Patient>',
                               headers=("Content-Type: application/fhir+xml", "Accept: application/fhir+xml"))
    b.one.expect("XML in, XML out", status == 200 and "fhir+xml" in head and tree.fromstring(text).find(f".//{FHIR}expression").get("value") ==
                 "Patient.birthDate", text[:300])


def unknown(b):
    for path, body in [("$graphql?query=x", None), ("Patient/ann/$graphql", None), ("Patient/$nothing", None), ("$export", None), ("$meta", None),
                       ("Patient/ann/$meta", None), ("Patient/ann/$nothing", parameters(x="y"))]:
        status, _, text = b.ask(path, body=body)
        b.one.expect(f"refused, saying what is served: {path}", status == 404 and b"Observation/$lastn" in text, text)


def scenario(sluice, folder):
    """operations choose among what is released, and nothing else counts"""
    one = world(sluice, folder, "one", [*visible(), *hidden()])
    two = world(sluice, folder, "two", visible())
    b = Both(one, two)
    for part in (lastn, docref, match, everything, validate, unknown):
        part(b)
    one.close()
    two.close()
    return one.failures + two.failures


house.main(scenario)
