# SPDX-License-Identifier: Apache-2.0
"""Two houses that differ only in what an exchange partner may not see: one where it is, and one where it never was."""
import json

import house

ICD = "http://hl7.org/fhir/sid/icd-10-cm"


def ref(name):
    return {"reference": name}


def code(system, value, display=None):
    return {"coding": [{"system": system, "code": value, **({"display": display} if display else {})}]}


def loinc(value, display=None):
    return code("http://loinc.org", value, display)


def patient(ident, family, born, place="lakeside-primary", **more):
    return {"resourceType": "Patient", "id": ident, "active": True, "managingOrganization": ref(f"Organization/{place}"),
            "name": [{"family": family, "given": ["Ann"]}], "birthDate": born, "gender": "female",
            "identifier": [{"type": code("http://terminology.hl7.org/CodeSystem/v2-0203", "MR"), "system": "urn:mrn", "value": ident}], **more}


def observation(ident, who, day, value, kind="8867-4", place="lakeside-primary", **more):
    return {"resourceType": "Observation", "id": ident, "status": "final", "subject": ref(f"Patient/{who}"),
            "category": [code("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs")],
            "code": loinc(kind, "Heart rate"), "performer": [ref(f"Organization/{place}")], "effectiveDateTime": day,
            "valueQuantity": {"value": value, "system": "http://unitsofmeasure.org", "code": "/min"}, **more}


def condition(ident, who, what, day, **more):
    return {"resourceType": "Condition", "id": ident, "subject": ref(f"Patient/{who}"), "code": code(ICD, what), "recordedDate": day, **more}


def encounter(ident, who, day, reasons=(), place="lakeside-primary", **more):
    reasons = {"reasonCode": [code(ICD, r) for r in reasons]} if reasons else {}
    return {"resourceType": "Encounter", "id": ident, "status": "finished", "subject": ref(f"Patient/{who}"),
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}, "period": {"start": day, "end": day},
            "serviceProvider": ref(f"Organization/{place}"), **reasons, **more}


def common(secret):
    """What both worlds hold; secret: with the parts that an exchange partner may not see."""
    yield {"resourceType": "Organization", "id": "lakeside-primary", "name": "Lakeside", "partOf": ref("Organization/lakes")}
    yield {"resourceType": "Organization", "id": "lakes", "name": "Lakes"}
    yield {"resourceType": "Practitioner", "id": "greene", "name": [{"family": "Greene"}]}
    yield patient("ann", "Sharp", "1970-02-03", generalPractitioner=[ref("Practitioner/greene")])
    yield patient("bob", "Oak", "1981-01-01")
    yield patient("cas", "Pine", "1960-05-05")
    yield encounter("e1", "ann", "2024-03-01", ["I10"])
    yield encounter("e2", "ann", "2025-03-01", ["F11.20"] if secret else [])  # this reason is cut
    yield encounter("e3", "bob", "2023-03-01", ["J20.9"])
    for number in range(8):
        yield observation(f"o{number}", "ann" if number < 5 else "bob", f"2024-0{number + 1}-01", 60 + number * 7 % 8,
                          encounter=ref("Encounter/e1"), **({"hasMember": [ref("Observation/o0")]} if number == 3 else {}))
    yield condition("c1", "ann", "I10", "2024-01-01", encounter=ref("Encounter/e1"))
    yield condition("c2", "ann", "E11.9", "2024-02-01")
    yield condition("c3", "bob", "I10", "2024-03-01")
    item = [{"item": ref("Patient/ann")}, {"item": ref("Patient/bob")}]
    yield {"resourceType": "List", "id": "known", "status": "current", "mode": "working", "entry": item}


def hidden():
    yield {"resourceType": "Organization", "id": "harbor-recovery", "name": "Harbor"}
    yield patient("zoe", "Sharp", "1971-02-03", "harbor-recovery")
    yield encounter("ze", "ann", "2025-06-01", place="harbor-recovery")
    for number in range(7):
        yield observation(f"h{number}", "ann" if number < 4 else "cas", f"2024-0{number + 1}-15", 61 + number, place="harbor-recovery",
                          encounter=ref("Encounter/ze"), hasMember=[ref("Observation/o7")])
    yield condition("hc1", "cas", "F11.20", "2024-01-15")
    yield condition("hc2", "ann", "F11.21", "2023-01-15", encounter=ref("Encounter/e1"))
    yield condition("hv", "bob", "B20", "2022-01-01", encounter=ref("Encounter/e3"), evidence=[{"detail": [ref("Observation/o6")]}])
    yield {"resourceType": "List", "id": "secret", "status": "current", "mode": "working", "code": code(ICD, "B20"),
           "subject": ref("Patient/bob"), "entry": [{"item": ref("Patient/bob")}]}


def world(sluice, folder, name, records, extra=""):
    path = f"{folder}/{name}.ndjson"
    with open(path, "w") as out:
        for record in records:
            meta = {**record.get("meta", {}), "versionId": "1", "lastUpdated": "2025-01-01T00:00:00Z"}
            out.write(json.dumps({**record, "meta": meta}) + "\n")
    return house.House(sluice, records=["--at", "given", path], extra=extra).start()


class Both:
    """Every question is asked of both; the answers are the same bytes, but for page links, which are as long."""

    def __init__(self, sluice, folder, extra=""):
        self.one = world(sluice, folder, "one", [*common(True), *hidden()], extra)
        self.two = world(sluice, folder, "two", common(False), extra)
        self.cursors = {}

    def ask(self, path, caller="exchange", body=None, headers=()):
        answers, mark = [], self.cursors.get(path)
        for at, h in enumerate((self.one, self.two)):
            more = {"method": "POST", "body": body, "headers": ["Content-Type: application/x-www-form-urlencoded", *headers]} if body else {"headers": headers}
            status, head, text = h.ask(path if not mark else mark[at], caller, **more)
            head = "\n".join(line for line in head.splitlines() if not line.lower().startswith("date:"))
            text = text.replace(str(h.port).encode(), b"PORT")
            links = json.loads(text).get("link", []) if status == 200 and text.startswith(b"{") else []
            for link in links:
                if "_cursor=" in link["url"]:
                    word = link["url"].split("_cursor=")[1].split("&")[0]
                    if link["relation"] == "next":
                        self.cursors.setdefault("next of " + path, []).append(link["url"].split("/fhir/", 1)[1])
                    text = text.replace(word.encode(), b"x" * len(word))
            answers.append((status, head, text))
        at = next((i for i, (x, y) in enumerate(zip(answers[0][2], answers[1][2])) if x != y), 0)
        if answers[0] != answers[1]:
            self.one.expect(f"nothing tells: {path}", False, [(a[0], a[1], a[2][max(0, at - 80):at + 80]) for a in answers])
        return answers[0]

    def bundle(self, path, **more):
        status, _, text = self.ask(path, **more)
        return json.loads(text) if status == 200 else {"status": status, "entry": []}

    def ids(self, path, mode="match", **more):
        bundle = self.bundle(path, **more)
        if "status" in bundle:
            return bundle["status"]
        return [e["resource"]["id"] for e in bundle["entry"] if e["search"]["mode"] == mode]

    def same(self, what, got, wanted):
        self.one.expect(what, got == wanted, (got, wanted))

    def found(self, path, wanted, **more):
        """The matches, whatever their order, are these; in both worlds, in the same bytes."""
        got = self.ids(path, **more)
        self.same(path, sorted(got) if isinstance(got, list) else got, sorted(wanted) if isinstance(wanted, list) else wanted)

    def full(self, path, ident):
        """Whoever may see it does: what is not told is there."""
        status, _, text = self.one.ask(path, "ward")
        there = [e["resource"]["id"] for e in json.loads(text).get("entry", [])]
        self.one.expect(f"the ward has {ident} of {path}", ident in there, (status, there))

    def close(self):
        failures = 0
        for h in (self.one, self.two):
            h.close()
            failures += h.failures
        return failures
