#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Derives categories.csv, prefixes.csv and the generated codes-*.csv from the code lists in ../shared/terminology.

Facts only: system, code, category, strength of evidence, source. Display texts stay behind, so that no text of a
licensed terminology is shipped. systems.csv, codes-snomed.csv and codes-judged.csv are written by hand and are not
touched. Usage: consent/terminology/make.py [FOLDER WITH THE LISTS]; the output is sorted, so that running it again on
the same lists changes nothing.
"""
import csv
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LISTS = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "..", "..", "..", "shared", "terminology")
CANDIDATE = {"yes": "yes", "no": "no", "if-source-is-part2": "if-program"}
# Forms that are evidence of something else than the category: a patch for pain is no sign of addiction treatment.
WEAK = {"weak-evidence", "pain-form"}
# Categories whose codes do not mark a person by themselves.
WEAK_PREFIX = {"SUD_COMPLICATION", "SUD_POISONING", "TOBACCO"}
FILES = {  # list -> our file
    "sensitive-icd10cm.csv": "codes-icd10cm.csv",
    "sensitive-rxnorm.csv": "codes-rxnorm.csv",
    "opioid-medication-rxnorm.csv": "codes-rxnorm-opioid.csv",
    "sensitive-loinc.csv": "codes-loinc.csv",
    "sensitive-hcpcs.csv": "codes-hcpcs.csv",
    "sensitive-other-systems.csv": "codes-other.csv",
}


def read(name):
    with open(os.path.join(LISTS, name), encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(name, header, rows):
    with open(os.path.join(HERE, name), "w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(header)
        out.writerows(rows)


def systems():
    with open(os.path.join(HERE, "systems.csv"), encoding="utf-8", newline="") as file:
        return {row["uri"]: row["name"] for row in csv.DictReader(file)}


# The parts of scored questionnaires (codes-instruments.csv): what a code is, not how sensitive.
INSTRUMENT = ("SCREEN_ITEM", "SCREEN_TOTAL", "SCREEN_PANEL")


def short(source):
    return re.sub(r"\s+", " ", source.replace(",", ";")).strip()


def main():
    names = systems()
    write("categories.csv", ["id", "sensitivity", "confidentiality", "part2", "also_match"], [
        [r["category"], r["sensitivity_code"], r["default_confidentiality"], CANDIDATE[r["part2_candidate"]],
         r["also_match"].replace(",", "|")] for r in read("category-map.csv")] + [[c, "", "N", "no", ""] for c in INSTRUMENT])
    write("prefixes.csv", ["system", "prefix", "category", "evidence", "source"], sorted(
        [names[r["system"]], r["prefix"], r["category"], "weak" if r["category"] in WEAK_PREFIX else "strong",
         "project prefix rules 2026-11"] for r in read("sensitive-prefix-rules.csv")))
    for source, target in FILES.items():
        rows = {}
        for r in read(source):
            key = (names[r["system"]], r["code"], r["category"])
            weak = bool(WEAK & set(r["flags"].split("|")))
            old = rows.get(key)
            if old is None or (old[0] and not weak):  # the stronger evidence of two sources holds
                rows[key] = (weak, short(r["source"]))
        write(target, ["system", "code", "category", "evidence", "source"], sorted(
            [*key, "weak" if weak else "strong", src] for key, (weak, src) in rows.items()))


if __name__ == "__main__":
    main()
