#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Everything of ../shared/data/fhir-r4 that is records, imported into one store and read through the gateway: each patient's
$everything for each recipient. An answer that is neither whole nor a refusal is a failure.

    python3 conformance/shared_gateway.py --sluice build/release/sluice [--patients N]
"""
import argparse
import collections
import glob
import gzip
import json
import os
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests", "scenario"))
import house  # noqa: E402

# Not records of patients: requests of CDS Hooks with bytes behind them, and single examples that contradict each other.
PASSED_OVER = ("opioid-cds-hooks", "r4-examples", "us-core-examples")


def unpacked(folder):
    """Hospitals and practitioners first: patients' bundles refer to them by identifier."""
    paths = [p for p in glob.glob(os.path.join(house.SHARED, "data", "fhir-r4", "*", "*"))
             if ".json" in p or ".ndjson" in p]
    paths = [p for p in paths if os.path.basename(os.path.dirname(p)) not in PASSED_OVER]
    first = ("hospital", "practitioner")
    for path in sorted(paths, key=lambda p: (not os.path.basename(p).lower().startswith(first), p)):
        name = os.path.join(folder, f"{len(os.listdir(folder)):04d}." + ("ndjson" if ".ndjson" in path else "json"))
        with (gzip.open if path.endswith(".gz") else open)(path, "rb") as source, open(name, "wb") as out:
            shutil.copyfileobj(source, out)
        yield path, name


def load(h, folder):
    refused = 0
    for path, name in unpacked(folder):
        try:
            h.run("records", "import", "--store", h.at("records"), name)
        except AssertionError as why:
            refused += 1
            print(f"not imported: {os.path.basename(path)}: {str(why).splitlines()[-1]}")
    return refused


def patients_of(h):
    found, path = [], "Patient?_count=500"
    while path:
        status, _, body = h.ask(path)
        if status != 200:
            raise SystemExit(f"Patient search: {status}")
        answer = json.loads(body)
        found += [e["resource"]["id"] for e in answer.get("entry", []) if e["search"]["mode"] == "match"]
        path = next((x["url"].split("/fhir/", 1)[1] for x in answer["link"] if x["relation"] == "next"), None)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluice", default=os.path.join(house.ROOT, "build", "release", "sluice"))
    parser.add_argument("--patients", type=int, default=1000000)
    args = parser.parse_args()
    if not os.path.isdir(os.path.join(house.SHARED, "data", "fhir-r4")):
        print("skipped: ../shared is not here")
        return 0
    h = house.House(args.sluice)
    with tempfile.TemporaryDirectory(prefix="sluice-shared-") as folder:
        refused = load(h, folder)
    print(h.run("records", "count", "--store", h.at("records")).strip().splitlines()[-1])
    h.start()
    patients = patients_of(h)[:args.patients]
    failures = 0
    for caller in house.CALLERS:
        answers, released, begun = collections.Counter(), 0, time.monotonic()
        for patient in patients:
            status, _, body = h.ask(f"Patient/{patient}/$everything", caller)
            answers[status] += 1
            if status == 200:
                released += sum(e["search"]["mode"] != "outcome" for e in json.loads(body).get("entry", []))
            elif status not in (403, 404):
                failures += 1
                print(f"FAILED: {caller} reads {patient}: {status} {body[:200]!r}")
        print(f"{caller}: {len(patients)} patients, answers {dict(answers)}, {released} resources released, "
              f"{time.monotonic() - begun:.0f} s")
    h.stop()
    print(f"{len(h.ledger())} records in the ledger verify; {failures} failures, {refused} files not imported")
    h.close()
    return 1 if failures or h.failures else 0


if __name__ == "__main__":
    sys.exit(main())
