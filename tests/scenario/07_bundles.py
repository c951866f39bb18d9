# SPDX-License-Identifier: Apache-2.0
"""What of a Bundle's own members goes, and which Bundles stand at all."""
import json
import os
import shutil
import subprocess

import house

PATIENT = {"resourceType": "Patient", "id": "p"}
NARRATIVE = {"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">NARRATIVE</div>"}


def condition(ident, organization, code="E11.9"):
    return {"resourceType": "Condition", "id": ident, "subject": {"reference": "Patient/p"},
            "recorder": {"reference": f"Organization/{organization}"},
            "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}]}}


def organization(ident):
    return {"resourceType": "Organization", "id": ident}


def composition(*entries):
    return {"resourceType": "Composition", "id": "c", "status": "final", "type": {"coding": [{
        "system": "http://loinc.org", "code": "34133-9"}]}, "subject": {"reference": "Patient/p"}, "date": "2026-01-01",
        "author": [{"reference": "Organization/pcp"}], "title": "Summary",
        "section": [{"title": "Problems", "entry": [{"reference": e} for e in entries]}]}


def bundle(kind, resources, **members):
    entries = [{"fullUrl": f"http://a.example.org/{r['resourceType']}/{r['id']}", "resource": r} for r in resources]
    return dict({"resourceType": "Bundle", "id": "b", "type": kind}, **members, entry=entries)


def segment(sluice, value, party=("treating-provider", "TREAT"), *words):
    done = subprocess.run([sluice, "segment", "--as", party[0], "--for", party[1], "--programs", "prog", *words],
                          input=json.dumps(value), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return (json.loads(done.stdout) if done.stdout.strip() else None), done.stderr, done.stdout


def ids(value):
    return [e["resource"]["id"] for e in value.get("entry", [])]


def check_members(sluice):
    resources = [organization("pcp"), organization("prog"), PATIENT, condition("open", "pcp"), condition("hidden", "prog")]
    came = bundle("searchset", resources, total=4711, meta={"tag": [{"code": "CANARY"}], "source": "urn:CANARY", "security": [{
        "code": "CANARY"}]}, identifier={"value": "CANARY"}, timestamp="2026-01-01T00:00:00Z", link=[{"relation": "self",
                                                                                                   "url": "http://CANARY"}])
    came["entry"][3]["link"] = [{"relation": "alternate", "url": "http://CANARY"}]
    came["entry"][3]["search"] = {"mode": "match", "score": 0.4711}
    came["entry"][3]["request"] = {"method": "GET", "url": "CANARY"}
    went, _, text = segment(sluice, came)
    assert ids(went) == ["pcp", "prog", "p", "open"], ids(went)
    assert "CANARY" not in text and "4711" not in text and "hidden" not in text, text
    assert went["entry"][3]["search"] == {"mode": "match"} and went["timestamp"], text
    assert segment(sluice, went)[0] == went, "segmented again, it differs"
    came = bundle("transaction", resources)
    for entry in came["entry"]:
        kind = entry["resource"]["resourceType"]
        entry["request"] = {"method": "PUT", "url": f"{kind}?code=CANARY", "ifNoneExist": "code=CANARY"}
    went, _, text = segment(sluice, came)
    assert "CANARY" not in text, text
    assert went["entry"][3]["request"] == {"method": "PUT", "url": "Condition"}, text
    came = bundle("transaction-response", resources)
    for entry in came["entry"]:
        entry["response"] = {"status": "200", "location": "Condition/open/_history/1",
                             "outcome": {"resourceType": "OperationOutcome", "issue": [{"diagnostics": "CANARY"}]}}
    went, _, text = segment(sluice, came)
    assert "CANARY" not in text and went["entry"][3]["response"] == {"status": "200", "location": "Condition/open/_history/1"}, text


def check_documents(sluice):
    parts = [PATIENT, organization("pcp"), organization("prog"), condition("open", "pcp"), condition("hidden", "prog")]
    came = bundle("document", [composition("Condition/open", "Condition/hidden")] + parts, identifier={"value": "7"})
    went, _, text = segment(sluice, came)
    assert ids(went)[0] == "c" and "hidden" not in text and went["identifier"] == {"value": "7"}, text
    assert went["entry"][0]["resource"]["section"][0]["entry"] == [{"reference": "Condition/open"}], text
    # Without its Composition it is no document.
    went, said, text = segment(sluice, came, ("front-desk", "PATADMIN"))
    assert went is None and "document-not-whole" in said and "0 of 6" in said, text + said
    # Signed, it goes whole or not at all, and whole means its own bytes.
    signature = {"type": [{"code": "x"}], "when": "2026-01-01T00:00:00Z", "who": {"reference": "Organization/pcp"}, "data": "U0lHTkVE"}
    signed = dict(came, signature=signature)
    assert segment(sluice, signed)[0] is None, "a signed document went with parts cut"
    whole = bundle("document", [dict(composition("Condition/open"), text=NARRATIVE)] + parts[:2] + parts[3:4],
                   identifier={"value": "7"}, signature=signature)
    assert segment(sluice, whole)[0] is None, "narrative goes always or never, and not in a signed document either"
    went, _, text = segment(sluice, whole, ("patient", "PATRQT"))
    assert {k: v for k, v in went.items() if k != "meta"} == whole, text
    assert segment(sluice, went, ("patient", "PATRQT"))[0] == went, "segmented again, it differs"
    message = bundle("message", [dict(resourceType="MessageHeader", id="m", eventUri="urn:x", source={"endpoint": "urn:y"},
                                      sender={"reference": "Organization/prog"}, focus=[{"reference": "Condition/open"}])] + parts)
    assert segment(sluice, message)[0] is None, "a message went without its header"


def check_narrative(sluice, folder):
    """regenerate: one constant sentence, whatever there was."""
    shutil.copytree(os.path.join(house.ROOT, "consent"), os.path.join(folder, "consent"), ignore=shutil.ignore_patterns("*.[ch]"))
    policy = os.path.join(folder, "consent", "policies")
    path = os.path.join(policy, "policy.yaml")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert "narrative: drop" in text
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("narrative: drop", "narrative: regenerate"))
    outs = []
    for came in (dict(PATIENT), dict(PATIENT, text=NARRATIVE), dict(PATIENT, text=dict(NARRATIVE, status="empty"))):
        went, _, text = segment(sluice, came, ("treating-provider", "TREAT"), "--policy", policy)
        assert went["text"]["div"].startswith("<div xmlns=") and "NARRATIVE" not in text, text
        assert segment(sluice, went, ("treating-provider", "TREAT"), "--policy", policy)[0] == went, "segmented again, it differs"
        outs.append(text)
    assert len(set(outs)) == 1, outs
    went, _, _ = segment(sluice, dict(PATIENT, text=NARRATIVE), ("patient", "PATRQT"), "--policy", policy)
    assert went["text"] == NARRATIVE, went


def scenario(sluice, folder):
    """a Bundle's own members, documents signed and not, and narrative that is regenerated"""
    check_members(sluice)
    check_documents(sluice)
    check_narrative(sluice, folder)
    return 0


house.main(scenario)
