#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""IHE Privacy Consent on FHIR: each Consent among its examples, with a case for and a case against, asked as an item is asked:
`sluice segment` labels a record, decides it on the Consent and segments it. Under the policy below, a record goes only on a consent.

    conformance/pcf.py [--sluice build/release/sluice] [--shared ../shared]

Prints a line for each case: name, expected, got. Fails on a mismatch; skips, saying so, where the examples are not here. The records
are ours: what matters of them is written beside each case."""
import argparse
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HL7 = "http://terminology.hl7.org/CodeSystem/"
PEOPLE = "Practitioner/ex-practitioner"

POLICY = """title: Consent to share
version: "1"
terminology: %s
notice: {version: "1", statement: S., short: s.}
"""
HOUSE = """layer: organization
title: A record goes on a consent alone
parties:
  - {id: reader, title: Whoever asks, roles: [reader]}
classes:
  - {id: psychiatry, title: Psychiatry, kind: needs-yes, confidentiality: R, labels: [PSY], earned-by: {security-labels: [PSY]}}
  - {id: alcohol, title: Alcohol, kind: needs-yes, confidentiality: R, labels: [ETHUD], earned-by: {security-labels: [ETHUD]}}
  - {id: secret, title: Very restricted, kind: needs-yes, confidentiality: V, labels: [HIV], earned-by: {security-labels: [HIV]}}
  - {id: directory, title: Who is who, kind: needs-yes, confidentiality: N, earned-by: {types: [Organization, Practitioner, PractitionerRole]}}
  - {id: record, title: All else, kind: needs-yes, confidentiality: N, earned-by: {types: others}}
consents:
  - id: privacy-consent
    title: A privacy consent as IHE PCF writes it
    needs: [purpose, date]
    forms:
      - categories: [{system: "http://loinc.org", code: 59284-0}]
rules:
  - {id: directory-is-public, title: Who is who may be known., verdict: release, data: [directory], to: [reader], for: any}
  - {id: on-consent, title: A record goes on a consent alone., verdict: release, data: all, to: [reader], for: any, only-if: {consent: privacy-consent}}
"""


def observation(ident="o", day="2022-06-01", label=None, author="Organization/ex-organization", encounter=None):
    made = {"resourceType": "Observation", "id": ident, "status": "final", "subject": {"reference": "Patient/ex-patient"},
            "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]}, "effectiveDateTime": day,
            "performer": [{"reference": "Organization/ex-organization"}]}
    if author != "Organization/ex-organization":
        made["performer"].append({"reference": author})
    if label:
        made["meta"] = {"security": [{"system": HL7 + "v3-ActCode", "code": label}]}
    if encounter:
        made["encounter"] = {"reference": "Encounter/" + encounter}
    return made


def context(*more):
    """What the records refer to: the organization that holds them, and a visit."""
    return [{"resourceType": "Organization", "id": "ex-organization", "name": "Holder"},
            {"resourceType": "Patient", "id": "ex-patient"},
            {"resourceType": "Encounter", "id": "ex-encounter", "status": "finished", "subject": {"reference": "Patient/ex-patient"},
             "class": {"system": HL7 + "v3-ActCode", "code": "AMB"}, "serviceProvider": {"reference": "Organization/ex-organization"}},
            *more]


class Asker:
    """Asks the real path, one case after another."""

    def __init__(self, sluice, folder):
        self.sluice, self.folder, self.wrong, self.asked = sluice, folder, 0, 0
        self.write("policy/policy.yaml", POLICY % os.path.relpath(os.path.join(ROOT, "consent", "terminology"), self.at("policy")))
        self.write("policy/house.yaml", HOUSE)

    def at(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.at(name)), exist_ok=True)
        with open(self.at(name), "w") as out:
            out.write(text)

    def is_released(self, consents, record, purpose="TREAT", user="Practitioner/dr", organization="Organization/elsewhere",
                    around=(), at="2024-06-01T12:00:00Z"):
        self.write("in/consents.ndjson", "".join(json.dumps(c) + "\n" for c in consents))
        self.write("in/context.ndjson", "".join(json.dumps(c) + "\n" for c in context(*around)))
        self.write("in/record.json", json.dumps(record))
        done = subprocess.run([self.sluice, "segment", "--policy", self.at("policy"), "--as", "reader", "--for", purpose,
                               "--consents", self.at("in/consents.ndjson"), "--context", self.at("in/context.ndjson"), "--user", user,
                               "--organization", organization, "--at", at, self.at("in/record.json")], capture_output=True, text=True)
        if done.returncode > 1 or "ERROR" in done.stderr:
            sys.exit(f"sluice segment failed: {done.stderr}")
        return f'"id": "{record["id"]}"' in done.stdout

    def check(self, name, expected, consents, record, **asked):
        got = "released" if self.is_released(consents, record, **asked) else "withheld"
        self.asked += 1
        self.wrong += got != expected
        print(f"{'ok ' if got == expected else 'NOT'} {name}: expected {expected}, got {got}")


def cases():
    """Name of the example, whether it lets the record go, the record, and who asks what for."""
    sensitive = observation(label="PSY")
    visit = observation(encounter="ex-encounter")
    return [
        ("basic-treat", "released", observation(), {}),
        ("basic-treat", "withheld", observation(), {"purpose": "HRESCH"}),
        ("basic-ink", "released", observation(), {"purpose": "HPAYMT"}),
        ("basic-ink", "withheld", observation(), {"purpose": "HMARKT"}),
        ("basic-research", "released", observation(), {"purpose": "HRESCH"}),
        ("basic-research", "withheld", observation(), {}),
        ("expired-treat", "released", observation(), {"at": "2022-12-01T00:00:00Z"}),
        ("expired-treat", "withheld", observation(), {}),
        ("intermediate-timeframe", "released", observation(), {}),
        ("intermediate-timeframe", "withheld", observation(day="2021-06-01"), {}),
        ("intermediate-data", "released", observation("ex-weight"), {}),
        ("intermediate-data", "withheld", observation("another"), {}),
        ("intermediate-authoredby", "released", observation(author=PEOPLE), {}),
        ("intermediate-authoredby", "withheld", observation(), {}),
        ("intermediate-encounter", "released", visit, {}),
        ("intermediate-encounter", "withheld", observation(), {}),
        # Its purpose is of a code system of the example's own, which nobody here knows: it permits nothing, whoever asks.
        ("intermediate-purpose", "withheld", observation(), {"organization": "Organization/ex-org-researcher", "purpose": "HRESCH"}),
        ("intermediate-purpose", "withheld", observation(), {}),
        ("advanced-normal", "released", observation(), {}),
        ("advanced-normal", "withheld", sensitive, {}),
        ("advanced-normal-restricted", "released", sensitive, {}),
        ("advanced-normal-restricted", "withheld", observation(label="HIV"), {}),
        ("advanced-normal-focused-psy", "released", sensitive, {"user": PEOPLE}),
        ("advanced-normal-focused-psy", "withheld", sensitive, {}),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sluice", default=os.path.join(ROOT, "build", "release", "sluice"))
    parser.add_argument("--shared", default=os.path.join(ROOT, "..", "shared"))
    args = parser.parse_args()
    examples = os.path.join(args.shared, "igs", "ihe.iti.pcf", "examples")
    if not os.path.isdir(examples):
        print(f"SKIP: the examples of IHE PCF are not here ({examples})")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        asker, tried = Asker(os.path.abspath(args.sluice), folder), set()

        def example(name):
            with open(os.path.join(examples, f"Consent-ex-consent-{name}.json")) as file:
                return json.load(file)
        for name, expected, record, asked in cases():
            tried.add(name)
            asker.check(name, expected, [example(name)], record, **asked)
        # A refusal is told from silence by what it does to another's permit.
        tried.add("basic-reject")
        asker.check("basic-reject, beside basic-ink", "withheld", [example("basic-reject"), example("basic-ink") | {
            "dateTime": "2022-06-13"}], observation())
        asker.check("basic-reject, beside basic-research, for what it is not about", "released",
                    [example("basic-reject"), example("basic-research")], observation(), purpose="HRESCH")
        there = {f[len("Consent-ex-consent-"):-5] for f in os.listdir(examples) if f.startswith("Consent-ex-consent-")}
        for name in sorted(there - tried):
            print(f"NOT {name}: no case is made of it")
        print(f"{asker.asked} cases of {len(there)} Consents, {asker.wrong} not as expected")
        return 1 if asker.wrong or there - tried else 0


if __name__ == "__main__":
    sys.exit(main())
