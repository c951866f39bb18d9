# SPDX-License-Identifier: Apache-2.0
"""The statement of 42 CFR 2.32 at every door, with what rests on consent and with nothing else."""
import json
import os
import subprocess
import tempfile

import house

# 42 CFR 2.32(a)(1) and (2), as amended by 89 FR 12472. Law text, here a second time on purpose: what goes out is compared
# with this, byte for byte, and not with the policy that it came from.
STATEMENT = """This record which has been disclosed to you is protected by Federal confidentiality rules (42 CFR part 2). \
These rules prohibit you from using or disclosing this record, or testimony that describes the information contained in this \
record, in any civil, criminal, administrative, or legislative proceedings by any Federal, State, or local authority, against \
the patient, unless authorized by the consent of the patient, except as provided at 42 CFR 2.12(c)(5) or as authorized by a \
court in accordance with 42 CFR 2.64 or 2.65. In addition, the Federal rules prohibit you from making any other use or \
disclosure of this record unless at least one of the following applies:
(i) Further use or disclosure is expressly permitted by the written consent of the individual whose information is being \
disclosed in this record or as otherwise permitted by 42 CFR part 2.
(ii) You are a covered entity or business associate and have received the record for treatment, payment, or health care \
operations, or
(iii) You have received the record from a covered entity or business associate as permitted by 45 CFR part 164, subparts A and E.
A general authorization for the release of medical or other information is NOT sufficient to meet the required elements of \
written consent to further use or redisclose the record (see 42 CFR 2.31)."""
SHORT = "42 CFR part 2 prohibits unauthorized use or disclosure of these records."
DISPLAY = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-display"
LEVELS = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
SCOPE = "Harbor Recovery may disclose to Lakeside for treatment, payment, health care operations until 2030-12-31, by the consent of 2026-01-01"


def coding(system, code):
    return {"coding": [{"system": f"http://terminology.hl7.org/CodeSystem/{system}", "code": code}]}


def actor(role, reference, name):
    return {"role": coding("v3-ParticipationType" if role == "IRCP" else "v3-RoleClass", role),
            "reference": {"reference": reference, "display": name}}


def consent(ident, organization, name):
    purposes = [coding("v3-ActReason", p)["coding"][0] for p in ("TREAT", "HPAYMT", "HOPERAT")]
    return {"resourceType": "Consent", "id": ident, "status": "active", "scope": coding("consentscope", "patient-privacy"),
            "category": [coding("v3-ActCode", "42CFRPart2CD")], "patient": {"reference": "Patient/kei"}, "dateTime": "2026-01-01",
            "organization": [{"reference": organization, "display": name}],
            "performer": [{"reference": "Patient/kei"}], "sourceAttachment": {"title": "form"},
            "policy": [{"uri": "urn:sluice:form:part2-tpo-2024"}],
            "provision": {"type": "permit", "period": {"end": "2030-12-31"}, "purpose": purposes,
                          "actor": [actor("IRCP", "Organization/lakeside-primary", "Lakeside"),
                                    actor("IRCP", "Organization/drug-court", "The Drug Court")]}}


def pulse(ident, visit):
    return {"resourceType": "Observation", "id": ident, "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}, "subject": {"reference": "Patient/kei"},
            "encounter": {"reference": f"Encounter/{visit}"}, "effectiveDateTime": "2026-03-02"}


def visit(ident, place):
    return {"resourceType": "Encounter", "id": ident, "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": {"reference": "Patient/kei"}, "serviceProvider": {"reference": f"Organization/{place}"}}


RECORDS = [{"resourceType": "Patient", "id": "kei"}, {"resourceType": "Patient", "id": "ona"},
           {"resourceType": "Organization", "id": "lakeside-primary"}, {"resourceType": "Organization", "id": "harbor-recovery"},
           visit("ours", "lakeside-primary"), visit("theirs", "harbor-recovery"), pulse("a", "ours"), pulse("b", "theirs"),
           pulse("c", "ours")]


def displays(meta):
    return [e["valueAnnotation"]["text"] for e in meta.get("extension", []) if e["url"] == DISPLAY]


def notices(bundle):
    return [e for e in bundle.get("entry", []) if e["resource"]["resourceType"] == "Basic"]


def level(resource):
    return [c["code"] for c in resource["meta"]["security"] if c["system"] == LEVELS]


def check_bundle(h, what, bundle, due, total=None):
    found = notices(bundle)
    h.expect(f"{what}: {'one notice' if due else 'no notice'}", len(found) == due, found)
    h.expect(f"{what}: the Bundle's label is its level alone", [len(bundle["meta"]["security"]), level(bundle)] ==
             [1, ["R" if due else "N"]], bundle["meta"])
    if due:
        said = displays(found[0]["resource"]["meta"])
        h.expect(f"{what}: the statement, byte for byte", said[0] == STATEMENT, said)
        h.expect(f"{what}: the scope, for this discloser and recipient", said[1:] == [SCOPE], said)
        h.expect(f"{what}: beside the matches", found[0].get("search", {}).get("mode") in ("include", None), found)
    if total is not None:
        h.expect(f"{what}: it is counted in no total", bundle.get("total") == total, bundle.get("total"))
    for e in bundle["entry"]:
        if e["resource"].get("id") in ("a", "b", "c"):
            rests = e["resource"]["id"] == "b"
            said = displays(e["resource"]["meta"])
            h.expect(f"{what}: {e['resource']['id']} is {'' if rests else 'not '}marked",
                     said == [f"{SHORT} {SCOPE}"] if rests else not said, said)


def online(sluice):
    h = house.House(sluice)
    h.write("records.ndjson", "".join(json.dumps(r) + "\n" for r in RECORDS))
    h.run("records", "import", "--store", h.at("records"), h.at("records.ndjson"))
    h.write("consents.ndjson", json.dumps(consent("tpo", "Organization/harbor-recovery", "Harbor Recovery")) + "\n")
    h.run("consent", "import", "--store", h.at("policy"), h.at("consents.ndjson"))
    h.start()

    def get(path, **more):
        status, _, body = h.ask(path, **more)
        h.expect(f"{path} is answered", status == 200, (status, body[:300]))
        return json.loads(body)

    check_bundle(h, "search", get("Observation?patient=kei"), 1, 3)
    body = b"patient=kei"
    posted = get("Observation/_search", method="POST", body=body, headers=["Content-Type: application/x-www-form-urlencoded"])
    check_bundle(h, "search by POST", posted, 1, 3)
    check_bundle(h, "search without it", get("Observation?patient=kei&_id=a,c"), 0, 2)
    check_bundle(h, "include", get("Observation?_id=b&_include=Observation:encounter"), 1, 1)
    check_bundle(h, "compartment", get("Patient/kei/Observation"), 1, 3)
    check_bundle(h, "$everything", get("Patient/kei/$everything"), 1)
    check_bundle(h, "nobody's records", get("Observation?patient=ona"), 0, 0)
    read = get("Observation/b")
    h.expect("read: the mark", displays(read["meta"]) == [f"{SHORT} {SCOPE}"], read["meta"])
    h.expect("read: no mark where no consent is relied on", not displays(get("Observation/a")["meta"]))
    pages, path = [], "Observation?patient=kei&_count=1"
    while path:
        page = get(path)
        pages.append((page["entry"][0]["resource"]["id"], len(notices(page)), level(page)))
        path = next((link["url"].split("/fhir/")[1] for link in page["link"] if link["relation"] == "next"), None)
    h.expect("pages: each has what its own records need", sorted(pages) == [("a", 0, ["N"]), ("b", 1, ["R"]), ("c", 0, ["N"])], pages)
    h.close()
    return h.failures


class Files:
    """The offline door."""

    def __init__(self, sluice):
        self.sluice, self.folder, self.failures = sluice, tempfile.mkdtemp(prefix="sluice-notice-"), 0
        self.write("consents.ndjson", json.dumps(consent("tpo", "Organization/harbor-recovery", "Harbor Recovery")) + "\n")

    expect = house.House.expect
    at, write = house.House.at, house.House.write

    def segment(self, text, *more):
        done = subprocess.run([self.sluice, "segment", "--as", "treating-provider", "--for", "treatment", "--programs",
                               "Organization/harbor-recovery", "--organization", "Organization/lakeside-primary",
                               "--consents", self.at("consents.ndjson"), *more], input=text, capture_output=True, text=True)
        self.expect("segment succeeds", done.returncode == 0, done.stderr)
        return done


def bundle_of(kind, records, **more):
    entries = [{"resource": r, **({"search": {"mode": "match"}} if kind == "searchset" else {})} for r in records]
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries, **more})


def offline(sluice):
    f = Files(sluice)
    for kind in ("searchset", "collection"):
        text = f.segment(bundle_of(kind, RECORDS)).stdout
        check_bundle(f, kind, json.loads(text), 1)
        f.expect(f"{kind}: an entry has a search mode in a search alone",
                 ("search" in notices(json.loads(text))[0]) == (kind == "searchset"))
        f.expect(f"{kind}: again it is the same", f.segment(text).stdout == text)
        plain = [r for r in RECORDS if r["id"] not in ("theirs", "b")]
        check_bundle(f, f"{kind} without it", json.loads(f.segment(bundle_of(kind, plain)).stdout), 0)
    for kind in ("document", "message", "transaction"):
        text = f.segment(bundle_of(kind, RECORDS, meta={"versionId": "1", "extension": [{"url": "urn:x", "valueCode": "y"}]})).stdout
        answer = json.loads(text)
        f.expect(f"{kind}: no entry of ours", not notices(answer))
        f.expect(f"{kind}: the statement and scope in meta", displays(answer["meta"]) == [STATEMENT, SCOPE], answer["meta"])
        f.expect(f"{kind}: the level", level(answer) == ["R"], answer["meta"])
        f.expect(f"{kind}: again it is the same", f.segment(text).stdout == text)
        f.expect(f"{kind}: nothing where no consent is relied on", not displays(
            json.loads(f.segment(bundle_of(kind, RECORDS[:5])).stdout)["meta"]))
    lines = "".join(json.dumps(r) + "\n" for r in RECORDS)
    done = f.segment(lines)
    f.expect("NDJSON on standard output says that the statement must go with it", "--manifest" in done.stderr, done.stderr)
    f.segment(lines, "--out", f.at("out.ndjson"))
    with open(f.at("out.ndjson")) as file:
        f.expect("--out has what standard output had", file.read() == done.stdout)
    with open(f.at("out.ndjson.manifest.json")) as file:
        manifest = json.load(file)
    f.expect("the manifest: the statement, byte for byte", manifest["extension"]["notice"]["statement"] == STATEMENT)
    f.expect("the manifest: the consents", manifest["extension"]["notice"]["scopes"] == [SCOPE], manifest)
    f.expect("the manifest: types, counts, file", {(o["type"], o["count"], o["url"]) for o in manifest["output"]} ==
             {("Patient", 2, "out.ndjson"), ("Organization", 2, "out.ndjson"), ("Encounter", 2, "out.ndjson"),
              ("Observation", 3, "out.ndjson")}, manifest["output"])
    f.segment("".join(json.dumps(r) + "\n" for r in RECORDS if r["id"] not in ("theirs", "b")), "--out", f.at("plain.ndjson"))
    with open(f.at("plain.ndjson.manifest.json")) as file:
        f.expect("a manifest without consents has no notice", "extension" not in json.load(file))
    return f.failures


def scenario(sluice, folder):
    """the statement of 42 CFR 2.32 and the scope of the consent go with what rests on it, at every door, and with nothing else"""
    return online(sluice) + offline(os.path.abspath(sluice))


if __name__ == "__main__":
    house.main(scenario)
