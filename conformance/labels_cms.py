#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our code lists against a second labeler: every code that CMS suppresses as substance use in its claims data (flag
`cms-bfd-sud` of the lists in ../shared/terminology, and four CPT codes), asked of the product in three columns: its own
system, the same as CMS writes it in claims, and another column of a claim.

    conformance/labels_cms.py --sluice build/release/sluice

Fails if one earns neither `sud` nor evidence of it. Skips, saying so, where ../shared is absent.
"""
import csv
import glob
import os
import sys

import labels_common as labels

ICD, HCPCS = "http://hl7.org/fhir/sid/icd-10-cm", "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
CPT = "http://www.ama-assn.org/go/cpt"
NAMED = ("4320F", "99408", "99409", "0078U")  # CPT codes that the filter names; ../shared ships none
OTHER = {  # a system -> other columns in which claims have its codes
    ICD: ("https://bluebutton.cms.gov/resources/codesystem/icd-10-cm", "urn:oid:2.16.840.1.113883.6.90", HCPCS, CPT),
    HCPCS: ("https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", "2.16.840.1.113883.6.285", CPT, ICD),
    CPT: ("urn:oid:2.16.840.1.113883.6.12", HCPCS, ICD)}


def flagged():
    for path in sorted(glob.glob(os.path.join(labels.SHARED, "terminology", "sensitive-*.csv"))):
        with open(path, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if "cms-bfd-sud" in row.get("flags", "").split("|"):
                    yield row["system"], row["code"]
    yield from ((CPT, code) for code in NAMED)


def main():
    options = labels.arguments(__doc__, ["terminology"])
    codes = sorted(set(flagged()))
    asked = [(system, code, column) for system, code in codes for column in (system, *OTHER[system])]
    said = labels.ask(options, [labels.coded(i, column, code) for i, (_, code, column) in enumerate(asked)])
    full, weak, missed = set(), set(), []
    for (system, code, column), label in zip(asked, said):
        if "sud" in label["classes"]:
            full.add((system, code))
        elif "substance-evidence" in label["classes"]:
            weak.add((system, code))
        else:
            missed.append((system, code, column))
    for system, code, column in missed:
        print(f"FAIL {system}|{code} in a field of {column}: missed")
    for system, code in sorted(weak):
        print(f"  {system}|{code}: evidence alone")
    print(f"{len(codes)} codes flagged by CMS, asked in {len(asked)} fields: {len(full)} earn sud, {len(weak - full)} evidence "
          f"of it alone, {len({m[:2] for m in missed})} missed")
    return 1 if missed or len(codes) < 400 else 0


if __name__ == "__main__":
    sys.exit(main())
