# SPDX-License-Identifier: Apache-2.0
"""What the label checks share: where things are, asking `sluice label`, and disagreements with our reasons."""
import argparse
import csv
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHARED = os.path.join(os.path.dirname(ROOT), "shared")


def arguments(description, needed):
    """The options, or an exit of 0 where what is needed of ../shared is absent."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluice", default=os.path.join(ROOT, "build", "release", "sluice"))
    parser.add_argument("--policy", default=os.path.join(ROOT, "consent", "policies"))
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    missing = [n for n in needed if not os.path.exists(os.path.join(SHARED, n))]
    if missing:
        print(f"skipped: ../shared has no {', '.join(missing)}")
        sys.exit(0)
    return options


def ask(options, resources, *words):
    """What `sluice label` says of each resource, in their order."""
    text = "\n".join(json.dumps(r, ensure_ascii=False) for r in resources)
    done = subprocess.run([options.sluice, "label", "--policy", options.policy, *words], input=text, capture_output=True,
                          text=True)
    if done.returncode:
        sys.exit(f"sluice label: exit {done.returncode}: {done.stderr[-800:]}")
    said = [json.loads(line) for line in done.stdout.splitlines()]
    said = [s for s in said if "in" not in s]
    assert len(said) == len(resources), f"{len(said)} answers to {len(resources)} questions"
    return said


def coded(number, system, code):
    """A record of no other meaning than that it has the code."""
    coding = {"code": code, **({"system": system} if system else {})}
    return {"resourceType": "Observation", "id": f"q{number}", "status": "final", "code": {"coding": [coding]},
            "subject": {"reference": "Patient/p"}}


def reasons(name, *key):
    """Our reasons, by the columns that make the key."""
    with open(os.path.join(ROOT, "conformance", name), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert row["reason"].strip(), f"{name}: no reason: {row}"
    return {tuple(row[k] for k in key): row["reason"] for row in rows}


def settle(found, listed):
    """Disagreements found against those we have a reason for: each that is not in both is a failure."""
    bad = 0
    for key in sorted(found):
        if key in listed:
            print(f"  {' '.join(key)}: {listed[key]}")
        else:
            bad += 1
            print(f"FAIL {' '.join(key)}: {found[key]}: no reason is listed for it")
    for key in sorted(set(listed) - set(found)):
        bad += 1
        print(f"FAIL {' '.join(key)}: listed as a disagreement, and no longer one")
    return bad
