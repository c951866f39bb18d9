# SPDX-License-Identifier: Apache-2.0
"""A person of several numbers: what binds under each, what counts, and how often the EHR is asked."""
import json
import os
import sys
import urllib.parse

import house

sys.path.insert(0, os.path.join(house.ROOT, "conformance"))
import pcf  # noqa: E402

NUMBERS = "urn:oid:1.2.3.4"
CARE = "Organization/lakeside-primary"


def patient(ident, links=(), number=None):
    record = {"resourceType": "Patient", "id": ident}
    if links:
        record["link"] = [{"other": {"reference": f"Patient/{other}"}, "type": kind} for other, kind in links]
    if number:
        record["identifier"] = [{"system": NUMBERS, "value": number}]
    return record


def reading(ident, who, maker="harbor-recovery"):
    """Of a Part 2 program, so that nothing goes without a permit; of another maker, so that all goes but for a denial."""
    return {"resourceType": "Observation", "id": ident, "status": "final", "subject": {"reference": f"Patient/{who}"},
            "performer": [{"reference": f"Organization/{maker}"}],
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
            "valueQuantity": {"value": 72, "unit": "/min"}}


def consent(ident, who, kind, given, holder=None):
    """The demo's own consent, for another patient."""
    one = json.loads(json.dumps(given)) | {"id": ident, "patient": {"reference": f"Patient/{who}"},
                                           "performer": [{"reference": f"Patient/{who}"}]}
    one["provision"] = one["provision"] | {"type": kind}
    if kind == "deny":
        one.pop("policyRule", None)
        one["provision"] = {"type": "deny"}
        one.pop("organization", None)
    if holder:
        one["organization"] = [{"reference": holder}]
    return one


def people(given):
    """name, records, Consents, and whether the program's and the other's reading of Patient/NAME go"""
    def case(name, links, number, others, consents, program, other):
        return name, [patient(name, links, number), *others], consents, program, other

    def permit(who):
        return consent("p-" + who, who, "permit", given)

    def deny(who):
        return consent("d-" + who, who, "deny", given)

    return [
        case("plain", [], None, [], [], False, True),
        case("permitted", [], None, [], [permit("permitted")], True, True),
        case("denied", [], None, [], [deny("denied")], False, False),
        case("merged", [("merged-old", "replaces")], None, [], [deny("merged-old")], False, False),
        case("told", [], None, [patient("told-old", [("told", "replaced-by")])], [deny("told-old")], False, False),
        case("kept", [("kept-old", "replaces")], None, [], [permit("kept-old")], True, True),
        case("tidied", [], None, [patient("tidied-old", [("tidied", "replaced-by")])], [permit("tidied-old")], True, True),
        case("see", [("see-old", "seealso")], None, [], [permit("see-old")], False, True),
        case("refer", [], None, [patient("refer-old", [("refer", "refer")])], [permit("refer-old")], False, True),
        case("also", [("also-old", "seealso")], None, [], [permit("also"), deny("also-old")], False, False),
        case("number", [], "n,1|2", [patient("number-old", number="n,1|2")], [permit("number-old")], True, True),
        case("numbered", [], "n2", [patient("numbered-old", number="n2")], [deny("numbered-old")], False, False),
        case("ring", [("ring-old", "replaces")], None, [patient("ring-old", [("ring", "replaced-by")])], [], False, True),
        case("chain", [("chain-1", "replaces")], None,
             [patient("chain-1", [("chain-2", "replaces")]), patient("chain-2", [("chain-3", "replaces")])],
             [deny("chain-3")], False, False),
        # An entry of the register about the number before (AGREED).
        case("agreed", [("agreed-old", "replaces")], None, [], [], False, False),
        case("agreed-told", [], None, [patient("agreed-told-old", [("agreed-told", "seealso")])], [], False, False),
        case("long", [("long-1", "replaces")], None,
             [patient(f"long-{i}", [(f"long-{i + 1}", "replaces")]) for i in range(1, 5)], [permit("long")], False, False),
    ]


AGREED = ("agreed-old", "agreed-told-old")


def agree(h):
    """A restriction with everybody, of each."""
    for who in AGREED:
        h.run("register", "add", "agreed-restriction", "--patient", f"Patient/{who}", "--why", "asked for", "--by", "officer", "--store",
              h.at("policy"))


def written(h, records, consents):
    h.write("records.ndjson", "".join(json.dumps(r) + "\n" for r in records))
    h.write("consents.ndjson", "".join(json.dumps(c) + "\n" for c in consents))
    h.run("records", "import", "--store", h.at("records"), h.at("records.ndjson"))
    h.run("consent", "import", "--store", h.at("policy"), h.at("consents.ndjson"))


def everybody(cases):
    records = [{"resourceType": "Organization", "id": i} for i in ("harbor-recovery", "lakeside-primary")]
    consents = []
    for name, more, signed, _, _ in cases:
        records += [*more, reading(f"{name}-a", name), reading(f"{name}-b", name, "lakeside-primary")]
        consents += signed
    return records, consents


def expected(name, program, other):
    return ([f"{name}-a"] if program else []) + ([f"{name}-b"] if other else [])


def gateway(sluice, given, check):
    cases = people(given)
    h = house.House(sluice)
    h.write("sluice.yaml", open(h.at("sluice.yaml")).read().replace(
        "identity:\n", f"identity:\n  trusted-identifiers: {NUMBERS}\n"))
    written(h, *everybody(cases))
    agree(h)
    h.start()
    for name, _, _, program, other in cases:
        got = sorted(h.ids(f"Observation?patient={name}"))
        check(f"{name}: at the gateway", got == expected(name, program, other), got)
    h.close()
    return h


def offline(sluice, given, check):
    """The same from files: without a trusted system, since none is named there."""
    h = house.House(sluice)
    agree(h)
    for name, more, signed, program, other in people(given):
        if name == "number":
            program = False
        if name == "numbered":
            other = True
        h.write("records.ndjson", "".join(json.dumps(reading(f"{name}-{e}", name, maker)) + "\n" for e, maker in
                                          (("a", "harbor-recovery"), ("b", "lakeside-primary"))))
        h.write("around.ndjson", "".join(json.dumps(r) + "\n" for r in [
            *more, *({"resourceType": "Organization", "id": i} for i in ("harbor-recovery", "lakeside-primary"))]))
        h.write("consents.ndjson", "".join(json.dumps(c) + "\n" for c in signed))
        words = ["--consents", h.at("consents.ndjson")] if signed else []
        said = h.run("segment", h.at("records.ndjson"), "--as", "treating-provider", "--for", "TREAT", "--organization", CARE, "--programs",
                     h.at("programs.yaml"), "--context", h.at("around.ndjson"), "--store", h.at("policy"), *words)
        got = sorted(json.loads(line)["id"] for line in said.splitlines() if line.startswith("{"))
        check(f"{name}: from files", got == expected(name, program, other), got)


def upstream(records, asked):
    """An EHR that finds by patient, _id, link and identifier."""
    def answer(path, handler):
        url = urllib.parse.urlsplit(path)
        words = dict(urllib.parse.parse_qsl(url.query))
        kind = url.path.rsplit("/", 1)[-1]
        asked.append(f"{kind}?{'&'.join(sorted(w for w in words if not w.startswith('_') or w == '_id'))}")
        found = [r for r in records if r["resourceType"] == kind]
        if "_id" in words:
            found = [r for r in found if r["id"] in words["_id"].split(",")]
        if "link" in words:
            names = words["link"].split(",")
            found = [r for r in found if any(one["other"]["reference"] in names for one in r.get("link", []))]
        if "patient" in words or "subject" in words:
            who = words.get("patient", words.get("subject")).split("/")[-1]
            found = [r for r in found if r["subject"]["reference"].endswith("/" + who)]
        house.send(handler, json.dumps({"resourceType": "Bundle", "type": "searchset",
                                        "entry": [{"resource": r, "search": {"mode": "match"}} for r in found]}))
    return answer


def counted(sluice, given, check):
    """A hundred records of one patient: what is asked, cold, without a Consent and with; and of a record that is at hand."""
    records = [{"resourceType": "Organization", "id": "lakeside-primary"}, patient("p", [("q", "replaces")]), patient("q")]
    records += [reading(f"r{i}", "p", "lakeside-primary") for i in range(100)]
    asked = []
    ehr = house.Upstream(upstream(records, asked))
    h = house.House(sluice, upstream=ehr.url, extra="labels:\n  book: book\n").start()
    seen = len(h.ids("Observation?patient=p&_count=100"))
    before = list(asked)
    check("a hundred records go", seen == 100, seen)
    h.write("c.json", json.dumps(consent("deny", "unrelated", "deny", given)))
    h.run("consent", "import", "--store", h.at("policy"), h.at("c.json"))
    asked.clear()
    seen = len(h.ids("Observation?patient=p&_count=100"))
    after = list(asked)
    check("and go with somebody's Consent stored", seen == 100, seen)
    print(f"  asked without a Consent in the store: {before}; with one, cold: {after}")
    check("without a Consent nothing is asked of the person", not any(a.startswith("Patient") for a in before), before)
    check("with one, the record, and who links to it, for each step", sum(a.startswith("Patient") for a in after) == 4, after)
    for _ in range(50):
        asked.clear()
        seen = len(h.ids("Observation?patient=p&_count=100"))
        if not any(a.startswith("Patient") for a in asked):
            break
    check("then the label book knows", not any(a.startswith("Patient") for a in asked), asked)
    check("and they go as before", seen == 100, seen)
    h.close()
    ehr.server.shutdown()


def scenario(sluice, folder):
    """a person of several numbers"""
    _, files = house.clinic(folder)
    given = next(json.loads(line) for line in open(files[0]) if '"amara-consent-tpo"' in line)
    failures = []

    def check(what, true, detail=""):
        print(("ok   " if true else "FAIL ") + what + ("" if true else f": {detail}"))
        failures.extend([] if true else [what])
    gateway(sluice, given, check)
    offline(sluice, given, check)
    counted(sluice, given, check)
    return len(failures)


if __name__ == "__main__":
    house.main(scenario)
