#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The labels of every answer of the demo clinic against what HL7 says of labels (DS4P, and the code systems of HL7
Terminology where ../shared/terminology/hl7-security-labels.csv is present):

  one level   exactly one Confidentiality code on each resource and Bundle; on a Bundle nothing else
  high water  a resource's level is at least that of its inline labels, a Bundle's that of its entries, and no higher
  inline      PROCESSINLINELABEL stands in meta if and only if some element carries a label
  codes       each label exists, active, in the code system it names; none of the codes that were never HL7's
  twice       no label stands twice

    conformance/labels_out.py --sluice build/release/sluice [--patients 40]

Every party, every patient of the clinic; each patient's records as one collection through `sluice segment`. Exits 0 only if all holds.
"""
import argparse
import collections
import csv
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CODES = os.path.join(os.path.dirname(ROOT), "shared", "terminology", "hl7-security-labels.csv")
HL7 = "http://terminology.hl7.org/CodeSystem/"
LEVELS, ACT, INLINE = HL7 + "v3-Confidentiality", HL7 + "v3-ActCode", \
    "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
ORDER = "ULMNRV"
NEVER = {"NOREDISCLOSEWOCON", "MENCAT", "DISEASE", "SOCIAL", "DIS", "NORDSLCD"}
PARTIES = (("treating-provider", "TREAT"), ("hie-partner", "TREAT"), ("front-desk", "PATADMIN"), ("emergency-clinician", "ETREAT"),
           ("health-plan", "HPAYMT"), ("patient", "PATRQT"), ("ai-agent", "TREAT"), ("research-feed", "HRESCH"))


def load_codes():
    if not os.path.exists(CODES):
        print("note: ../shared is not here; that codes exist is not checked")
        return None
    with open(CODES, newline="") as file:
        return {(row["system"], row["code"]): row["tho_status"] for row in csv.DictReader(file)}


def inline_labels(value):
    """Every inline label within, at any depth."""
    if isinstance(value, list):
        for v in value:
            yield from inline_labels(v)
    elif isinstance(value, dict):
        if value.get("url") == INLINE:
            yield value.get("valueCoding", {})
        for v in value.values():
            yield from inline_labels(v)


def levels(codings):
    return [c["code"] for c in codings if c.get("system") == LEVELS]


class Judge:
    def __init__(self, codes, purposes):
        self.codes, self.purposes, self.failures, self.seen = codes, purposes, 0, collections.Counter()

    def say(self, what, detail):
        self.failures += 1
        if self.failures <= 20:
            print(f"FAILED {what}: {detail}"[:300])

    def coding(self, what, coding, out):
        system, code = coding.get("system", ""), coding.get("code", "")
        self.seen[code] += 1
        if code in NEVER:
            self.say(what, f"{code} is no code of HL7's, or retired")
        if not self.codes or not system.startswith(HL7) or not out:
            return
        status = self.codes.get((system, code)) or ("active" if system == HL7 + "v3-ActReason" and code in self.purposes else None)
        if status != "active":
            self.say(what, f"{system}|{code} is {status or 'not there'}")

    def resource(self, what, resource):
        security = resource.get("meta", {}).get("security", [])
        inline = list(inline_labels({k: v for k, v in resource.items() if k != "meta"}))
        inline += list(inline_labels([v for k, v in resource.get("meta", {}).items() if k != "security"]))
        keys = [(c.get("system"), c.get("code")) for c in security]
        if len(keys) != len(set(keys)):
            self.say(what, f"a label stands twice: {keys}")
        if len(levels(security)) != 1:
            self.say(what, f"levels: {levels(security)}")
            return "U"
        if ((ACT, "PROCESSINLINELABEL") in keys) != bool(inline):
            self.say(what, f"{len(inline)} inline labels, and in meta {keys}")
        level = levels(security)[0]
        if any(ORDER.index(c) > ORDER.index(level) for c in levels(inline)):
            self.say(what, f"an element is above the whole: {levels(inline)} > {level}")
        for coding in security + inline:
            self.coding(what, coding, True)
        return level

    def bundle(self, what, bundle):
        security = bundle.get("meta", {}).get("security", [])
        of_entries = [self.resource(f"{what} {e['resource']['resourceType']}/{e['resource'].get('id')}", e["resource"])
                      for e in bundle.get("entry", []) if e["resource"]["resourceType"] != "Basic"]
        if len(security) != 1 or len(levels(security)) != 1:
            self.say(what, f"a Bundle's label is its level alone: {security}")
        elif levels(security)[0] != max(of_entries or ["N"], key=ORDER.index):
            self.say(what, f"the Bundle is {levels(security)}, its entries are {collections.Counter(of_entries)}")


def clinic(folder, patients):
    done = subprocess.run([sys.executable, os.path.join(ROOT, "demo", "clinic.py"), "--out", folder] +
                          (["--patients", str(patients)] if patients else []), capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    records, consents = [], []
    for name in sorted(os.listdir(folder)):
        if name.endswith(".ndjson"):
            with open(os.path.join(folder, name)) as file:
                for line in filter(str.strip, file):
                    one = json.loads(line)
                    (consents if one["resourceType"] == "Consent" else records).append(one)
    return records, consents


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluice", required=True)
    parser.add_argument("--patients", type=int)
    args = parser.parse_args()
    purposes = set()
    with open(os.path.join(ROOT, "consent", "purposes.def")) as file:
        for line in file:
            purposes.update(word.strip('" ') for word in line[line.find("(") + 1:].split(",")[:1] if line.startswith("P"))
    judge = Judge(load_codes(), purposes)
    with tempfile.TemporaryDirectory() as folder:
        records, consents = clinic(folder, args.patients)
        paths = {name: os.path.join(folder, name) for name in ("statement.yaml", "consents", "in.json")}
        with open(paths["statement.yaml"], "w") as out:
            out.write("clinician: Dr. Test\naffiliation: St. Test\ndiscloser: the gateway\nnature: unconscious\nconsent-unobtainable: yes\n")
        with open(paths["consents"], "w") as out:
            out.writelines(json.dumps(c) + "\n" for c in consents)
        with open(paths["in.json"], "w") as out:
            json.dump({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in records]}, out)
        programs = os.path.join(folder, "programs.yaml")
        for party, purpose in PARTIES:
            command = [args.sluice, "segment", "--as", party, "--for", purpose, "--consents", paths["consents"], "--programs", programs,
                       "--organization", "Organization/lakeside-primary", paths["in.json"]]
            done = subprocess.run(command + (["--declare", paths["statement.yaml"]] if party.startswith("emergency") else []),
                                  capture_output=True, text=True)
            if done.returncode:
                judge.say(party, done.stderr[-300:])
                continue
            judge.bundle(party, json.loads(done.stdout))
            print(party + ":", ", ".join(f"{code} {count}" for code, count in sorted(judge.seen.items())))
            judge.seen.clear()
    print("failures:", judge.failures or "none")
    return 1 if judge.failures else 0


if __name__ == "__main__":
    sys.exit(main())
