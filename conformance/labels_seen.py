#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every sensitive code that a crude count found in the public sample records (../shared/data/fhir-r4/sensitive-codes-seen.tsv):
each must earn the class it is listed under. Those that earn evidence of it alone, or nothing, stand in labels_seen.csv with
our reason; one that is not listed there, or is and no longer shows, is a failure.

    conformance/labels_seen.py --sluice build/release/sluice

Skips, saying so, where ../shared is absent.
"""
import csv
import os
import sys

import labels_common as labels

SEEN = os.path.join("data", "fhir-r4", "sensitive-codes-seen.tsv")
CLASS = {"SUD": ("sud", "substance-evidence"), "MH": ("mental-health", "mental-health-evidence"), "HIV": ("hiv", "other-evidence")}


def main():
    options = labels.arguments(__doc__, [SEEN])
    with open(os.path.join(labels.SHARED, SEEN), encoding="utf-8", newline="") as file:
        rows = sorted({(r["category"], r["system"], r["code"]) for r in csv.DictReader(file, delimiter="\t")})
    said = labels.ask(options, [labels.coded(i, system, code) for i, (_, system, code) in enumerate(rows)])
    found, weak = {}, 0
    for (category, system, code), label in zip(rows, said):
        full, evidence = CLASS[category]
        if full in label["classes"]:
            continue
        weak += evidence in label["classes"]
        found[(category, system, code)] = "evidence alone" if evidence in label["classes"] else \
            "earns " + (", ".join(label["classes"]))
    bad = labels.settle(found, labels.reasons("labels_seen.csv", "category", "system", "code"))
    print(f"{len(rows)} codes: {len(rows) - len(found)} earn the class they are listed under, {weak} evidence of it, "
          f"{len(found) - weak} neither; {bad} unexplained")
    return 1 if bad or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
