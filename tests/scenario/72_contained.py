# SPDX-License-Identifier: Apache-2.0
import json
import os
import subprocess

import house

P = {"reference": "Patient/p"}
RECORDS = [
    {"resourceType": "Organization", "id": "harbor"}, {"resourceType": "Patient", "id": "p"},
    {"resourceType": "Condition", "id": "theirs", "subject": P, "asserter": {"reference": "Organization/harbor"},
     "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "F11.20"}]}},
    {"resourceType": "CarePlan", "id": "x", "status": "active", "intent": "plan", "subject": P, "goal": [{"reference": "#g"}],
     "contained": [{"resourceType": "Goal", "id": "g", "vendor": "UNKNOWN", "lifecycleStatus": "active", "subject": P,
                    "text": {"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">NARRATIVE</div>"},
                    "description": {"text": "walk daily"}, "addresses": [{"reference": "Condition/theirs", "display": "MENTION"}],
                    "note": [{"text": "WORDS"}],
                    "contained": [{"resourceType": "Basic", "id": "b", "code": {"text": "INNER"}}]}]}]


def scenario(sluice, folder):
    """what is cut in a contained resource is cut in the one that holds it, and told"""
    failures = 0
    for party, purpose, stays in (("treating-provider", "TREAT", ["WORDS"]), ("ai-agent", "TREAT", [])):
        done = subprocess.run([sluice, "segment", "--policy", os.path.join(house.ROOT, "consent", "policies"), "--as", party, "--for",
                               purpose, "--programs", "Organization/harbor"], input="".join(json.dumps(r) + "\n" for r in RECORDS),
                              capture_output=True, text=True)
        out = next((line for line in done.stdout.splitlines() if '"x"' in line), "")
        for word in ("UNKNOWN", "NARRATIVE", "MENTION", "theirs", "WORDS", "INNER", "walk daily"):
            wanted = word in stays or word == "walk daily"
            if (word in out) != wanted:
                failures += 1
                print(f"  FAILED: {party}: {word} is {'missing' if wanted else 'there'}: {out}")
        if "CarePlan.contained[0].addresses" not in done.stderr:
            failures += 1
            print(f"  FAILED: {party}: the cut is not told: {done.stderr}")
    return failures


house.main(scenario)
