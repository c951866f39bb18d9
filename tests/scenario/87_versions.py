# SPDX-License-Identifier: Apache-2.0
import json
import re

import house

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
PCP = {"reference": "Organization/lakeside-primary"}
DAY = "2026-03-0{}T08:00:00Z"
MENTION = [{"detail": [{"reference": "Condition/use"}]}]


def condition(ident, code, verified="confirmed", **more):
    return {"resourceType": "Condition", "id": ident, "subject": {"reference": "Patient/ann"}, "recorder": PCP,
            "verificationStatus": {"coding": [{"code": verified}]}, "code": {"coding": [{"system": ICD, "code": code}]}, **more}


SITE = {"coding": [{"system": "http://snomed.info/sct", "code": "39607008"}]}
LABEL = {"url": "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label",
         "valueCoding": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "ETH"}}


# What each day's file brings. F11.20 is hidden from the health plan, and the treating provider may have it.
DAYS = (
    (condition("use", "F11.20"), condition("plain", "I10"), condition("became", "I10"), condition("mentioned", "J45.909"),
     condition("mixed-up", "I10"), condition("returned", "I10"), condition("tail", "I10"), condition("labelled", "I10", bodySite=[SITE])),
    (condition("plain", "I11.9"), condition("became", "F11.20"), condition("mentioned", "J45.909", evidence=MENTION),
     condition("mixed-up", "F11.20"), condition("returned", "F11.20"), condition("tail", "I10", evidence=MENTION),
     condition("labelled", "I10", bodySite=[{"extension": [LABEL]} | SITE])),
    (condition("mixed-up", "F11.20", "entered-in-error"), condition("returned", "I10"), condition("tail", "I11.9", evidence=MENTION)),
    (condition("mixed-up", "I11.9"), condition("tail", "I12.9", evidence=MENTION)),
)
# The days of the versions that each may have, the newest first.
HISTORIES = (
    ("plain", "21", "21"),
    ("became", "21", 404),
    ("mentioned", "21", "1"),   # the mention is cut: for the plan nothing has changed
    ("mixed-up", "4321", "41"), # a mistake takes back what it said
    ("returned", "321", "3"),   # sensitive in between, and nobody says that it was a mistake
    ("use", "1", 404),
    ("nobody", 404, 404),
    ("tail", "4321", "431"),
    ("labelled", "21", "1"),    # an element that was labelled later is hidden in its past
)


def write(folder, number, resources):
    path = f"{folder}/{number}.ndjson"
    with open(path, "w") as out:
        out.writelines(json.dumps(r) + "\n" for r in resources)
    return path


def without_clock(answer):
    return re.sub(r"Date: [^\r]*", "", answer[1]), answer[0], answer[2]


def day_of(entry):
    return entry["response"]["lastModified"][9]


def scenario(sluice, folder):
    """versions are of views: what was hidden makes none, and what became sensitive hides its past"""
    h = house.House(sluice, records=[write(folder, 0, ({"resourceType": "Organization", "id": "lakeside-primary"},
                                                      {"resourceType": "Patient", "id": "ann", "managingOrganization": PCP}))])
    for number, day in enumerate(DAYS, 1):
        h.run("records", "import", "--store", h.at("records"), "--at", DAY.format(number), write(folder, number, day))
    h.start()

    def history(path, caller):
        status, _, body = h.ask(path, caller)
        return json.loads(body).get("entry", []) if status == 200 else status

    for ident, ward, plan in HISTORIES:
        for caller, days in (("ward", ward), ("plan", plan)):
            entries = history(f"Condition/{ident}/_history", caller)
            got = entries if isinstance(entries, int) else "".join(map(day_of, entries))
            h.expect(f"{caller} has the versions of {ident} of the days {days}", got == days, got)
    h.expect("what was asked for is told as it can be seen",
             [(e["request"], e["response"]["status"]) for e in history("Condition/tail/_history", "plan")] ==
             [({"method": "PUT", "url": "Condition/tail"}, "200"), ({"method": "PUT", "url": "Condition/tail"}, "200"),
              ({"method": "POST", "url": "Condition"}, "201")])

    # ---- Tags ----
    plan = history("Condition/tail/_history", "plan")
    ward = history("Condition/tail/_history", "ward")
    tags = [e["resource"]["meta"]["versionId"] for e in plan]
    h.expect("each version has a tag, its ETag", len(set(tags)) == 3 and
             all(e["response"]["etag"] == f'W/"{t}"' and re.fullmatch("[a-z2-7]{26}", t) for e, t in zip(plan, tags)), tags)
    status, head, body = h.ask("Condition/tail", "plan")
    h.expect("the read's is that of the newest", json.loads(body)["meta"]["versionId"] == tags[0] and f'ETag: W/"{tags[0]}"' in head, head)
    found = json.loads(h.ask("Condition?_id=tail", "plan")[2])["entry"][0]["resource"]
    h.expect("so is that of a search", found == json.loads(body) and found == plan[0]["resource"], found)
    xml = h.ask("Condition/tail", "plan", headers=("Accept: application/fhir+xml",))
    h.expect("and of XML", f'versionId value="{tags[0]}"'.encode() in xml[2] and f'W/"{tags[0]}"' in xml[1], xml)
    h.expect("it is dated by the version that is shown", "Last-Modified: Wed, 04 Mar 2026 08:00:00 GMT" in head, head)
    h.expect("no number of the upstream's goes out", not re.search(rb'"versionId":"\d', h.ask("Patient/ann/$everything", "ward")[2]))
    for entry in plan:
        tag = entry["resource"]["meta"]["versionId"]
        status, head, body = h.ask(f"Condition/tail/_history/{tag}", "plan")
        h.expect(f"vread gives the version of day {day_of(entry)}", (status, json.loads(body)) == (200, entry["resource"]) and tag in head, body)
    hidden = [e["resource"]["meta"]["versionId"] for e in ward]
    never = without_clock(h.ask("Condition/tail/_history/abcdefghijklmnopqrstuvwxyz", "plan"))
    h.expect("the versions that others have, and the upstream's numbers, never were", all(
        without_clock(h.ask(f"Condition/{name}/_history/{vid}", "plan")) == never for name, vid in
        [("tail", v) for v in hidden[1:] if v not in tags] + [("tail", "1"), ("use", "1"), ("nobody", "1"), ("became", hidden[0])]) and never[1] == 404)

    # ---- Conditions ----
    def asked(path, *headers, caller="plan"):
        status, head, body = h.ask(path, caller, headers=headers)
        return status, "ETag" in head, len(body) > 0, "Content-Length" in head
    whole, unchanged = (200, True, True, True), (304, True, False, False)
    for headers, wanted in (((f'If-None-Match: W/"{tags[0]}"',), unchanged), ((f'If-None-Match: "x", W/"{tags[0]}"',), unchanged),
                            (("If-None-Match: *",), unchanged), ((f'If-None-Match: W/"{tags[1]}"',), whole),
                            ((f'If-None-Match: W/"{hidden[0]}"',), whole if hidden[0] != tags[0] else unchanged),
                            (('If-None-Match: W/"4"',), whole), (("If-Modified-Since: Wed, 04 Mar 2026 08:00:00 GMT",), unchanged),
                            (("If-Modified-Since: Wed, 04 Mar 2026 07:59:59 GMT",), whole),
                            (('If-None-Match: W/"x"', "If-Modified-Since: Wed, 04 Mar 2026 08:00:00 GMT"), whole)):
        h.expect(f"{' and '.join(headers)}: {wanted[0]}", asked("Condition/tail", *headers) == wanted, asked("Condition/tail", *headers))
    for name in ("use", "nobody"):
        h.expect(f"of {name} nothing is current", asked(f"Condition/{name}", "If-None-Match: *") == (404, False, True, True))

    # ---- Many, pages, since ----
    def rows(path, caller):
        got, pages = [], 0
        while path:
            status, _, body = h.ask(path, caller)
            bundle = json.loads(body)
            if status != 200:
                return status, bundle
            got += [(e["fullUrl"].rsplit("/", 1)[1], day_of(e)) for e in bundle.get("entry", [])]
            pages += 1
            path = next((link["url"].split("/fhir/", 1)[1] for link in bundle["link"] if link["relation"] == "next"), None)
        return got, pages
    wanted = {c: {(i, d) for i, w, p in HISTORIES for d in ((w, p)[c == "plan"] if isinstance((w, p)[c == "plan"], str) else "")}
              for c in ("ward", "plan")}
    for caller in ("ward", "plan"):
        for count in (1, 2, 100):
            got, pages = rows(f"Condition/_history?_count={count}", caller)
            h.expect(f"{caller}'s history of Conditions, {count} at a time", set(got) == wanted[caller] and len(got) == len(set(got)) and
                     pages == -(-len(got) // count) and [d for _, d in got] == sorted((d for _, d in got), reverse=True), (got, pages))
        everything = rows("_history?_count=100", caller)[0]
        h.expect(f"{caller}'s history of all", {r for r in everything if r[0] not in ("ann", "lakeside-primary")} == wanted[caller] and
                 len(everything) == len(wanted[caller]) + 2, everything)
        since = rows("Condition/_history?_since=2026-03-03T09:00:00%2B01:00", caller)[0]
        h.expect(f"{caller}'s since the third day", set(since) == {r for r in wanted[caller] if r[1] >= "3"}, since)
    got, pages = rows("Condition/tail/_history?_count=1", "plan")
    h.expect("a record's, one at a time", ([d for _, d in got], pages) == (["4", "3", "1"], 3), (got, pages))
    h.expect("a record's since the second day", [d for _, d in rows("Condition/tail/_history?_since=2026-03-02", "plan")[0]] == ["4", "3"])
    for query in ("_at=2026-03-01", "_list=x", "_since=yesterday", "code=I10", "_count=0", "_cursor=abc"):
        h.expect(f"{query} is refused", h.ask(f"Condition/tail/_history?{query}", "plan")[0] == 400)
    h.expect("what is reached by route has none", h.ask("Medication/x/_history", "ward")[0] == 404)
    h.stop()
    shown = [r for r in h.ledger() if r["interaction"]["kind"] == "vread" and r["released"]]
    h.expect("the ledger has the version that was shown", shown and shown[-1]["released"][0]["version"] in "1234" and
             shown[-1]["interaction"]["version"] in tags, shown[-1:])
    many = [r for r in h.ledger() if r["interaction"]["kind"].startswith("history") and "id" not in r["interaction"] and "health-plan" in r["parties"]]
    kept = {(w["item"], w["version"]) for r in many for w in r["withheld"] if "path" not in w and r["grounds"][w["ground"]]["patients"] == ["Patient/ann"]}
    h.expect("and what a history of many kept back, from which party", len(many) > 3 and kept >= {
        ("Condition/use", "1"), ("Condition/became", "1"), ("Condition/became", "2")} and ("Condition/plain", "1") not in kept, (kept, many[-1:]))

    # ---- Gone ----
    h.run("records", "delete", "--store", h.at("records"), "--at", DAY.format(9), "Condition/plain", "Condition/use")
    h.run("records", "delete", "--store", h.at("records"), "Condition/nobody", expect=1)
    h.start()
    h.expect("what was deleted is gone for who could have seen it", [h.ask(f"Condition/{i}", c)[0] for i, c in
             (("plain", "plan"), ("plain", "ward"), ("use", "ward"))] == [410, 410, 410])
    h.expect("and never was for others", without_clock(h.ask("Condition/use", "plan")) == without_clock(h.ask("Condition/nobody", "plan")))
    h.stop()
    return h.failures


house.main(scenario)
