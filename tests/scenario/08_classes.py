# SPDX-License-Identifier: Apache-2.0
import json
import os
import subprocess

import house

SHIPPED = os.path.join(house.ROOT, "consent", "policies")
# Rare things in Kei's record, what each is for, and whom it reaches.
ASKED = (
    # record, class it earns, treating provider, health plan
    ("DocumentReference/kei-small-denies", "mentions-denied", True, False),
    ("DocumentReference/kei-small-family", "mentions-family", True, False),
    ("DocumentReference/kei-small-scan", "unread-unknown-origin", False, False),
    ("Condition/kei-small-oid", "sud", True, False),
    ("Condition/kei-small-column", "sud", True, False),
    ("Condition/kei-small-pregnancy", "pregnancy", True, True),
    ("Condition/kei-small-gender", "sexual-reproductive-health", True, False),
    ("MedicationRequest/kei-small-sertraline", "mental-health-evidence", True, True),
    ("Observation/kei-small-modified", "unclassified", False, False),
    ("AuditEvent/kei-small-audit", "audit", False, False),
)


def segment(sluice, folder, records, party, purpose):
    words = [sluice, "segment", "--as", party, "--for", purpose, "--programs", f"{folder}/programs.yaml",
             "--register", f"{folder}/register.yaml", "--out", f"{folder}/out.ndjson"]
    done = subprocess.run(words, input=records, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-400:]
    with open(f"{folder}/out.ndjson") as out:
        return {f"{r['resourceType']}/{r['id']}": r for r in map(json.loads, out)}


def shows(resource):
    """Is what the record is for in what went out? A document is for its content."""
    return resource is not None and (resource["resourceType"] != "DocumentReference" or
                                     any("attachment" in c for c in resource.get("content", [])))


def scenario(sluice, folder):
    """the demo clinic holds every class of the shipped policy, and the rare ones reach whom they should"""
    clinic = os.path.join(folder, "clinic")
    (path,), _ = house.clinic(clinic)
    with open(path) as file:
        records = file.read()
    words = [sluice, "label", "--programs", f"{clinic}/programs.yaml", "--register", f"{clinic}/register.yaml"]
    done = subprocess.run(words, input=records, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-400:]
    earned, by_record = set(), {}
    for label in map(json.loads, done.stdout.splitlines()):
        classes = set(label["classes"]).union(*(e["classes"] for e in label["elements"]))
        by_record[label["resource"]] = classes
        earned |= classes
    done = subprocess.run([sluice, "policy", "matrix", "--form", "json", SHIPPED], capture_output=True, text=True)
    every = {cell["class"] for cell in json.loads(done.stdout)["cells"]}
    assert earned == every, f"no record of the clinic has {sorted(every - earned)}"
    treating = segment(sluice, clinic, records, "treating-provider", "TREAT")
    plan = segment(sluice, clinic, records, "health-plan", "HPAYMT")
    for name, earns, care, pays in ASKED:
        assert earns in by_record[name], f"{name} is {sorted(by_record[name])}, not {earns}"
        assert shows(treating.get(name)) == care, f"{name} for who treats: {treating.get(name)}"
        assert shows(plan.get(name)) == pays, f"{name} for who pays: {plan.get(name)}"
    return 0


house.main(scenario)
