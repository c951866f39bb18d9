# SPDX-License-Identifier: Apache-2.0
import json
import os
import re
import shutil
import subprocess

import house

PROGRAM = "Organization/harbor-recovery"
RULE = "harbor-sends-nothing-through-the-exchange"


def run(sluice, *words, text=None):
    done = subprocess.run([sluice, *words], input=text, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def example():
    """The program's file of docs/policy-words.md, as it stands there."""
    with open(os.path.join(house.ROOT, "docs", "policy-words.md")) as file:
        page = file.read()
    return re.search(r"```yaml programs/harbor.yaml\n(.*?)```", page, re.S).group(1)


def lay(folder, text):
    for part in ("policies", "terminology", "lexicon"):
        shutil.copytree(os.path.join(house.ROOT, "consent", part), os.path.join(folder, part))
    policies = os.path.join(folder, "policies")
    os.makedirs(os.path.join(policies, "programs"))
    with open(os.path.join(policies, "programs", "harbor.yaml"), "w") as file:
        file.write(text)
    return policies


def observation(identity, program):
    return json.dumps({"resourceType": "Observation", "id": identity, "status": "final", "subject": {"reference": "Patient/p"},
                       "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
                       "performer": [{"reference": program}], "valueQuantity": {"value": 120}}) + "\n"


def consent(folder):
    """One TPO consent of the patient, whoever receives."""
    code = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "42CFRPart2CD"}
    purposes = [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": c} for c in ("TREAT", "HPAYMT", "HOPERAT")]
    path = os.path.join(folder, "consent.json")
    with open(path, "w") as file:
        json.dump({"resourceType": "Consent", "id": "c", "status": "active", "patient": {"reference": "Patient/p"},
                   "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
                   "category": [{"coding": [code]}], "policy": [{"uri": "urn:sluice:form:part2-tpo-2024"}], "dateTime": "2026-01-01",
                   "performer": [{"reference": "Patient/p"}], "sourceAttachment": {"title": "signed"},
                   "organization": [{"reference": PROGRAM}, {"reference": "Organization/brigid-detox"}],
                   "provision": {"type": "permit", "period": {"start": "2026-01-01", "end": "2099-12-31"}, "purpose": purposes}}, file)
    return path


def released(sluice, policies, folder, party):
    status, said, wrong = run(
        sluice, "segment", "--policy", policies, "--programs", "harbor-recovery,brigid-detox", "--as", party, "--for", "TREAT",
        "--consents", consent(folder), text=observation("of-harbor", PROGRAM) + observation("of-brigid", "Organization/brigid-detox"))
    assert status == 0, wrong
    return [json.loads(line)["id"] for line in said.splitlines()], wrong


def refused(sluice, folder, name, text, code):
    status, said, _ = run(sluice, "policy", "check", lay(os.path.join(folder, name), text), "--json")
    assert status == 1 and code in [i["code"] for i in json.loads(said)["issues"]], said


def scenario(sluice, folder):
    """program files: one withholds that program's records, and no other's, and can release nothing"""
    shipped, text = os.path.join(house.ROOT, "consent", "policies"), example()
    assert f"program: {PROGRAM}\n" in text and RULE in text, text
    policies = lay(os.path.join(folder, "good"), text)
    status, said, wrong = run(sluice, "policy", "test", policies, "--mutate")
    assert "FAIL" not in said and "programs/harbor.yaml" not in said, said + wrong
    status, said, wrong = run(sluice, "policy", "diff", shipped, policies)
    assert status == 0 and said.endswith("Releases nothing new.\n"), said + wrong
    assert f"with the record being of the program {PROGRAM}" in said, said
    assert released(sluice, shipped, folder, "hie-partner")[0] == ["of-harbor", "of-brigid"]
    kept, why = released(sluice, policies, folder, "hie-partner")
    assert kept == ["of-brigid"] and RULE in why, (kept, why)
    assert released(sluice, policies, folder, "treating-provider")[0] == ["of-harbor", "of-brigid"]
    refused(sluice, folder, "releases", text.replace("verdict: withhold", "verdict: release"), "release-in-ceiling")
    refused(sluice, folder, "nobodys", text.replace(f"program: {PROGRAM}\n", ""), "missing-key")
    refused(sluice, folder, "name", text.replace(f"program: {PROGRAM}\n", "program: harbor-recovery\n"), "program-layer")
    refused(sluice, folder, "parties", text + "parties:\n  - {id: guest, title: G, roles: [guest]}\n", "party-in-ceiling")


if __name__ == "__main__":
    house.main(scenario)
