# SPDX-License-Identifier: Apache-2.0
import json
import os
import re
import shutil
import urllib.parse

import house

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
PCP = {"reference": "Organization/lakeside-primary"}


def condition(ident, version, code, **more):
    return {"resourceType": "Condition", "id": ident, "meta": {"versionId": str(version), "lastUpdated": f"2026-03-0{version}T08:00:00Z"},
            "subject": {"reference": "Patient/ann"}, "recorder": PCP, "code": {"coding": [{"system": ICD, "code": code}]}, **more}


# Of each record its versions, the oldest first; None: it was deleted.
RECORDS = {
    "there": [condition("there", 1, "I10"), condition("there", 2, "I11.9", subject={"reference": "Patient/ann/_history/7"})],
    "gone": [condition("gone", 1, "I10"), None],
    "gone-use": [condition("gone-use", 1, "I10"), condition("gone-use", 2, "F11.20"), None],
    "back": [condition("back", 1, "I10"), None, condition("back", 3, "I10")],
    "quiet": [condition("quiet", 1, "I10"), condition("quiet", 2, "F11.20"), None, condition("quiet", 4, "I10")],
}
NAMED = ["there", "gone", "gone-use", "never", "quiet"]


def procedure(ident, names):
    return {"resourceType": "Procedure", "id": ident, "meta": {"versionId": "1"}, "status": "completed", "recorder": PCP,
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "33879002"}]}, "subject": {"reference": "Patient/ann"},
            "performer": [{"actor": PCP}], "reasonReference": [{"reference": f"Condition/{i}"} for i in names]}


CONTEXT = {
    "Procedure": {"all": procedure("all", NAMED)},
    "Provenance": {"all": {"resourceType": "Provenance", "id": "all", "meta": {"versionId": "1"}, "recorded": "2026-03-01T08:00:00Z", "agent": [{"who": PCP}],
                           "target": [{"reference": f"Condition/{i}"} for i in NAMED]}},
    "Organization": {"lakeside-primary": {"resourceType": "Organization", "id": "lakeside-primary"}},
    "Patient": {"ann": {"resourceType": "Patient", "id": "ann", "managingOrganization": PCP}},
    "Observation": {"pulse": {"resourceType": "Observation", "id": "pulse", "meta": {"versionId": "1"}, "status": "final",
                              "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}, "subject": {"reference": "Patient/ann"},
                              "performer": [PCP], "derivedFrom": [{"reference": "Condition/there"}]}},
}


def entry(kind, ident, version, resource):
    request = {"method": "PUT" if resource else "DELETE", "url": f"{kind}/{ident}/_history/{version}"}
    whole = {"request": request, "response": {"status": "200", "lastModified": f"2026-03-0{version}T08:00:00Z"}}
    return whole | ({"resource": resource} if resource else {})


def bundle(kind, entries, more=None):
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries, **({"link": [{"relation": "next", "url": more}]} if more else {})})


class Ehr:
    def __init__(self):
        self.keeps, self.turned, self.page = True, False, 2
        self.upstream = house.Upstream(self.answer)

    def history(self, handler, kind, ident, query):
        """So many versions a page."""
        records = RECORDS if kind == "Condition" else {i: [r] for i, r in CONTEXT.get(kind, {}).items()}
        rows = [(name, number, r) for name, versions in records.items() for number, r in enumerate(versions, 1)]
        rows = [row for row in rows if ident in ("", row[0])]
        rows.sort(key=lambda row: (row[1] if self.turned else -row[1], row[0]))
        at, end = int(query.get("at", ["0"])[0]), int(query.get("at", ["0"])[0]) + self.page
        if not rows:
            return house.send(handler, "{}", 404)
        more = f"{self.upstream.url}?at={end}&of={ident}&kind={kind}" if end < len(rows) else None
        return house.send(handler, bundle("history", [entry(kind, *row) for row in rows[at:end]], more))

    def answer(self, path, handler):
        url = urllib.parse.urlparse(path)
        query, words = urllib.parse.parse_qs(url.query), url.path.split("/")[2:]
        if "at" in query:
            return self.history(handler, query["kind"][0], query["of"][0] if "of" in query else "", query)
        if words[-1:] == ["_history"]:
            return self.history(handler, words[0], words[1] if len(words) == 3 else "", query) if self.keeps else house.send(handler, "{}", 405)
        if len(words) == 2 and words[0] == "Condition":
            versions = RECORDS.get(words[1])
            if not versions or not versions[-1]:
                return house.send(handler, "{}", 410 if versions else 404)
            return house.send(handler, json.dumps(versions[-1]))
        there = CONTEXT.get(words[0], {}) | ({i: v[-1] for i, v in RECORDS.items() if v[-1]} if words[0] == "Condition" else {})
        if len(words) == 2:
            return house.send(handler, json.dumps(there[words[1]]) if words[1] in there else "{}", 200 if words[1] in there else 404)
        asked = query.get("_id", [""])[0].split(",")
        found = [r for i, r in there.items() if i in asked or "patient" in query]
        return house.send(handler, bundle("searchset", [{"resource": r, "search": {"mode": "match"}} for r in found]))


def without_clock(answer):
    return answer[0], re.sub(r"Date: [^\r]*", "", answer[1]), answer[2]


def years_alone(folder):
    """The shipped policy, under which research has the chart, but of dates the years alone."""
    for name in ("policies", "terminology", "lexicon"):
        shutil.copytree(os.path.join(house.ROOT, "consent", name), os.path.join(folder, name))
    os.remove(os.path.join(folder, "policies", "house", "invariants.yaml"))  # which would refuse research a chart
    with open(os.path.join(folder, "policies", "house", "rules.yaml"), "a") as file:
        file.write("""
  - {id: study-sees-years, title: Research sees the chart without days., verdict: release, data: [chart], to: [research-feed], for: [research], change: dates-to-year}
""")
    return os.path.join(folder, "policies")


def scenario(sluice, folder):
    """who could have seen it learns that a record was deleted; for everybody else it never was"""
    ehr = Ehr()
    h = house.House(sluice, upstream=ehr.upstream.url, policies=years_alone(folder), extra="labels:\n  book: book\n")
    h.start()
    never = {c: without_clock(h.ask("Condition/nobody", c)) for c in ("ward", "plan")}
    for name, ward, plan in (("there", 200, 200), ("gone", 410, 410), ("gone-use", 410, 404), ("back", 200, 200), ("nobody", 404, 404)):
        for caller, status in (("ward", ward), ("plan", plan)):
            got = without_clock(h.ask(f"Condition/{name}", caller))
            h.expect(f"{caller} reads {name}: {status}", got[0] == status and (status != 404 or got == never[caller]), got)
    gone = h.ask("Condition/gone", "plan")
    h.expect("gone is told in one way", b'"deleted"' in gone[2] and b"2026" not in gone[2] and b"lakeside" not in gone[2], gone)
    h.expect("HEAD says the same", h.ask("Condition/gone", "plan", method="HEAD")[0] == 410)

    # Whoever could have had the last version may know its id; what never was is named as ever.
    def named(path, caller):
        return sorted(set(re.findall(r'"Condition/([^"/]+)"', h.ask(path, caller)[2].decode())) & set(NAMED))
    visible = sorted(set(NAMED) - {"gone-use"})
    for path in ("Procedure/all", "Procedure?patient=Patient/ann", "Procedure?_id=all&_include=Procedure:reason-reference",
                 "Patient/ann/$everything?_type=Procedure", "Procedure/all/_history", "Procedure/_history", "Procedure/all"):
        h.expect(f"{path} names to the ward all", named(path, "ward") == sorted(NAMED), named(path, "ward"))
        h.expect(f"{path} names to the plan what it could have had", named(path, "plan") == visible, named(path, "plan"))
    status, _, body = h.ask("Procedure?reason-reference=Condition/gone-use", "plan")
    h.expect("nor is it found by", status != 200 or b'"total":0' in body or b'"entry"' not in body, body)
    for caller, wanted in (("ward", sorted(NAMED)), ("plan", visible)):
        status = h.ask("Provenance/all", caller)[0]
        h.expect(f"a Provenance's targets to the {caller}", named("Provenance/all", caller) == (wanted if status == 200 else []), (status, named("Provenance/all", caller)))

    def events(path, caller):
        status, _, body = h.ask(path, caller)
        if status != 200:
            return status
        return " ".join(f"{e['request']['method']}{e['response']['lastModified'][9]}" for e in json.loads(body).get("entry", []))
    for name, ward, plan in (("there", "PUT2 POST1", "PUT2 POST1"), ("gone", "DELETE2 POST1", "DELETE2 POST1"),
                             ("gone-use", "DELETE3 PUT2 POST1", 404), ("back", "PUT3 DELETE2 POST1", "PUT3 DELETE2 POST1"),
                             ("quiet", "PUT4 DELETE3 PUT2 POST1", "POST4"), ("nobody", 404, 404)):
        for caller, wanted in (("ward", ward), ("plan", plan)):
            h.expect(f"{caller}'s history of {name}", events(f"Condition/{name}/_history", caller) == wanted, events(f"Condition/{name}/_history", caller))
    h.expect("the ward's history of all Conditions", len((events("Condition/_history", "ward") or "").split()) == 14, events("Condition/_history", "ward"))
    wanted = "POST4 PUT3 DELETE2 PUT2 DELETE2 POST1 POST1 POST1"
    h.expect("the plan's", sorted(events("Condition/_history", "plan").split()) == sorted(wanted.split()), events("Condition/_history", "plan"))
    again = json.loads(h.ask("Condition/back/_history", "ward")[2])["entry"]
    h.expect("what comes back is a version of its own", again[0]["response"]["status"] == "201" and again[1]["response"]["status"] == "204" and
             "resource" not in again[1] and again[0]["resource"]["meta"]["versionId"] == again[2]["resource"]["meta"]["versionId"], again)
    read = json.loads(h.ask("Condition/there", "ward")[2])
    h.expect("a reference names no version of the EHR's", read["subject"] == {"reference": "Patient/ann"}, read)
    every = h.ask("Condition/_history", "ward")[2] + h.ask("Condition/there/_history", "ward")[2]
    h.expect("nor does anything else", not re.search(rb'_history/\d|versionId":"\d|W/.."\d', every), every[:600])

    # The book has what the record is now, whatever was asked of its past.
    h.expect("what rests on a record rests on it as it is", h.ask("Observation/pulse", "plan")[0] == 200)
    h.ask("Condition/gone-use/_history", "ward")
    CONTEXT["Observation"]["pulse"]["derivedFrom"] = [{"reference": "Condition/quiet"}]
    h.ask("Condition/quiet/_history", "ward")
    h.expect("and not as it was", h.ask("Observation/pulse", "plan")[0] == 200)

    h.expect("when it was deleted is told", b'"lastModified":"2026-03-02' in h.ask("Condition/gone/_history", "plan")[2])
    for path in ("Condition/gone/_history", "Condition/_history"):
        status, _, body = h.ask(path, "study")
        h.expect(f"{path}: but not to whom no instant goes", status == 200 and b'"DELETE"' in body and b"2026" not in body, body)
    days = [h.ask(f"Condition/gone/_history?_since=2026-03-0{day}", "study")[2].count(b"DELETE") for day in (1, 3)]
    h.expect("nor is it found by", days == [0, 0], days)

    # What a record has become rules its past: a server that tells versions of one instant in no order, or the oldest first.
    RECORDS["at-once"] = [condition("at-once", 1, "I10"), condition("at-once", 2, "F11.20"), condition("at-once", 3, "F11.20", note=[{"text": "x"}])]
    for version in RECORDS["at-once"]:
        version["meta"]["lastUpdated"] = "2026-03-01T08:00:00Z"
    ehr.page = 9
    nothing = without_clock(h.ask("Condition/nobody/_history", "plan"))
    for ehr.turned in (False, True):
        h.expect(f"no past of what is secret, told {'the oldest first' if ehr.turned else 'in order'}",
                 without_clock(h.ask("Condition/at-once/_history", "plan")) == nothing and b"I10" not in h.ask("Condition/at-once", "plan")[2])
    h.expect("and in their order for whoever may", events("Condition/there/_history", "ward") == "PUT2 POST1", events("Condition/there/_history", "ward"))
    ehr.page = 2
    got = [h.ask("Condition/at-once/_history", caller) for caller in ("ward", "plan")]
    h.expect("where an older one comes pages before, no past is judged", got[0][0] == 503 and b"I10" not in got[1][2] and
             "upstream-history-order" in h.logged(), got)
    ehr.keeps, ehr.turned = False, False
    ehr.keeps = False
    CONTEXT["Procedure"]["late"] = procedure("late", ["there", "lost", "never-asked-for", "quiet"])
    told = [re.findall(rb'"Condition/([^"/]+)"', h.ask("Procedure/late", caller)[2]) for caller in ("ward", "plan")]
    h.expect("where nobody can tell what was from what never was, neither is named", told == [[b"there", b"quiet"]] * 2, told)
    for path in ("Condition/there/_history", "Condition/gone/_history", "Condition/nobody/_history", "Condition/_history", "Condition/there/_history/x"):
        status, _, body = h.ask(path, "plan")
        h.expect(f"{path} of an EHR that keeps none", status == 404 and b'"not-supported"' in body, body)
    h.expect("and of what was deleted there nobody knows", without_clock(h.ask("Condition/gone", "plan")) == never["plan"])
    h.stop()
    return h.failures


house.main(scenario)
