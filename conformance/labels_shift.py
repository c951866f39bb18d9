#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Against experts: the patients that the SHIFT task force labelled by hand (../shared/data/fhir-r4/shift-labelled and
../shared/igs/shift-demo-fhir-data). Their labels are taken off, Sluice labels, with a program table that states the facts
(shift_programs.yaml), and both are compared, label by label: sensitivity (of what the experts labelled, the share we do)
and precision (of what we label, the share the experts do). Every disagreement stands in labels_shift.csv with our reason;
one that does not, or does and no longer shows, is a failure.

    conformance/labels_shift.py --sluice build/release/sluice

Skips, saying so, where ../shared is absent.
"""
import collections
import glob
import json
import os
import sys

import labels_common as labels

FOLDERS = (os.path.join("data", "fhir-r4", "shift-labelled"), os.path.join("igs", "shift-demo-fhir-data"))
# An expert's label -> the classes that say the same here, of a record or an element of it.
SAME = {
    "SUD": ("sud",), "OPIOIDUD": ("opioid",), "ETHUD": ("alcohol",), "42CFRPart2": ("part2",),
    "BH": ("mental-health",), "PSYTHPN": ("psychotherapy-note",), "HIV": ("hiv",), "STD": ("sexually-transmitted",),
    "SEX": ("sexual-reproductive-health",), "SDV": ("violence",), "GDIS": ("genetic",), "SICKVIS": (), "R": ()}


def experts(resource):
    return {c["code"] for c in resource.get("meta", {}).get("security", [])} & set(SAME)


def stripped(resource):
    """Without its labels; a profile and a version say nothing about it."""
    meta = {k: v for k, v in resource.get("meta", {}).items() if k != "security"}
    return {**{k: v for k, v in resource.items() if k != "meta"}, **({"meta": meta} if meta else {})}


def bundles():
    """Each patient's records, as Bundles hold them; a record that stands in several counts once, as labelled last."""
    for folder in FOLDERS:
        for path in sorted(glob.glob(os.path.join(labels.SHARED, folder, "*.json"))):
            with open(path, encoding="utf-8") as file:
                resource = json.load(file)
            if resource["resourceType"] == "Bundle":
                yield path, [e["resource"] for e in resource["entry"]]


def main():
    options = labels.arguments(__doc__, FOLDERS)
    table = os.path.join(labels.ROOT, "conformance", "shift_programs.yaml")
    levels = restricted(options)
    said, meant = {}, {}
    for path, resources in bundles():
        for resource, label in zip(resources, labels.ask(options, [stripped(r) for r in resources], "--programs", table)):
            name = f"{resource['resourceType']}/{resource['id']}"
            classes = set(label["classes"]).union(*(e["classes"] for e in label["elements"]))
            said[name] = {code for code, same in SAME.items() if classes & set(same)} | ({"R"} if classes & levels else set())
            meant[name] = meant.get(name, set()) | experts(resource)
    found = {}
    print(f"{'label':<12}{'experts':>8}{'ours':>8}{'both':>8}  sensitivity  precision")
    for code in SAME:
        theirs, ours = ({n for n in x if code in x[n]} for x in (meant, said))
        both = len(theirs & ours)
        rate = lambda n: f"{100 * both / n:.0f} %" if n else "-"
        print(f"{code:<12}{len(theirs):>8}{len(ours):>8}{both:>8}  {rate(len(theirs)):>11}  {rate(len(ours)):>9}")
        found.update({(n, code): "missed" for n in theirs - ours} | {(n, code): "more than theirs" for n in ours - theirs})
    count = collections.Counter(found.values())
    print(f"{len(said)} records; {count['missed']} labels missed, {count['more than theirs']} more than theirs:")
    bad = labels.settle(found, labels.reasons("labels_shift.csv", "resource", "label"))
    print(f"{bad} unexplained")
    return 1 if bad or not said else 0


def restricted(options):
    """The classes whose confidentiality is R or V, from the policy's own text."""
    classes, current = set(), None
    for path in glob.glob(os.path.join(options.policy, "**", "*.yaml"), recursive=True):
        with open(path, encoding="utf-8") as file:
            for line in file:
                word = line.strip()
                if word.startswith("- id: "):
                    current = word[len("- id: "):]
                elif word in ("confidentiality: R", "confidentiality: V"):
                    classes.add(current)
    return classes


if __name__ == "__main__":
    sys.exit(main())
