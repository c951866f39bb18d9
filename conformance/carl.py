#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Carl's story: the SHIFT task force says for 13 recipients and 5 kinds of data of one patient what goes and what does not
(../shared/igs/shift-demo-fhir-data/carl-consent-matrix.csv). A house of its own names (carl/policy), with the shipped files of
federal law, the program table, the register and the consents of that story, decides his actual records: `sluice segment` labels, decides and segments all of them
for each recipient. Of each cell is checked

  permit                  released, and nothing on it forbids to pass it on
  permit_no_redisclosure  released, labelled NORDSCLCD; with the statement of 42 CFR 2.32 where it rests on a Part 2 consent
  deny_by_restriction     withheld, and a restriction that the patient asked for is why
  deny                    withheld, and no restriction has to do with it

    conformance/carl.py --sluice build/release/sluice [--verbose]

The matrix is read, never copied. Disagreements stand in carl/disagreements.csv with our reason; one that does not, or does and no
longer shows, is a failure. Without ../shared only the policy itself is checked and tested, and it says so.
"""
import argparse
import csv
import json
import os
import re
import subprocess
import sys
import tempfile

import labels_common as labels

HERE = os.path.join(labels.ROOT, "conformance", "carl")
STORY = os.path.join(labels.SHARED, "igs", "shift-demo-fhir-data")
NOTICE = "42 CFR part 2 prohibits unauthorized use or disclosure of these records."
RESTRICTION = re.compile("Consent/carl-restriction-|rule=agreed-restrictions-bind ")  # a denial of his, or what was agreed with him
PROGRAM = "Organization/SpringfieldMedicalCenterAddictionProgram"
MARKS = {"permit": "yes", "permit_no_redisclosure": "yes, no further", "deny": "-", "deny_by_restriction": "- restricted"}


def at(*names):
    return os.path.join(HERE, *names)


def rows(*names):
    with open(os.path.join(*names), encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def check_policy(sluice):
    """The policy is in order, its scenarios come out, and with the shipped files of federal law it can be put in force."""
    bad = 0
    with tempfile.TemporaryDirectory() as store:
        activate = ("activate", at("policy"), "--store", os.path.join(store, "policy"), "--author", "officer")
        for words in (("check", at("policy")), ("test", at("policy")), activate):
            done = subprocess.run([sluice, "policy", *words], capture_output=True, text=True)
            said = done.stdout.strip().splitlines() or [done.stderr]
            print(f"policy {words[0]}: {said[0 if words is activate else -1]}")
            bad += done.returncode != 0
    return bad


def story():
    """Carl's records, and the organizations and people in them, which are context alone."""
    both = []
    for name in ("Bundle-AllOfCarlFrederickson.json", "Bundle-AllofCarlTeam.json"):
        with open(os.path.join(STORY, name), encoding="utf-8") as file:
            both.append([e["resource"] for e in json.load(file)["entry"]])
    return "\n".join(map(json.dumps, both[0])), os.path.join(STORY, "Bundle-AllofCarlTeam.json")


def segment(sluice, recipient, records, context):
    """What goes to this recipient, by name; and why the rest does not."""
    words = ["--as", recipient["party"], "--for", recipient["purpose"]]
    for option, column in (("--organization", "organization"), ("--user", "person")):
        words += [option, recipient[column]] if recipient[column] else []
    done = subprocess.run([sluice, "segment", "--policy", at("policy"), "--register", at("register.yaml"), "--programs",
                           os.path.join(labels.ROOT, "conformance", "shift_programs.yaml"), "--consents", at("consents.json"),
                           "--context", context, *words], input=records, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"sluice segment: exit {done.returncode}: {done.stderr[-800:]}")
    released = {f"{r['resourceType']}/{r['id']}": r for r in map(json.loads, filter(None, done.stdout.splitlines()))
                if r.get("id")}
    return released, dict(re.findall(r"^withheld (\S+) (.*)$", done.stderr, re.M))


class Seen:
    """What became of one record for one recipient."""

    def __init__(self, resource, why):
        self.resource, self.why = resource, why or ""
        self.labels = {c["code"] for c in resource.get("meta", {}).get("security", [])} if resource else set()
        self.notice = NOTICE in json.dumps(resource)

    def cell(self):
        if self.resource:
            return "permit_no_redisclosure" if "NORDSCLCD" in self.labels else "permit"
        return "deny_by_restriction" if RESTRICTION.search(self.why) else "deny"

    def told(self):
        if self.resource:
            return " ".join(sorted(self.labels)) + (" and the statement of 2.32" if self.notice else "")
        return self.why

    def faults(self, recipient):
        """What law asks, whatever the matrix says."""
        if not self.resource and not self.why:
            yield "withheld, and it does not say why"
        due = "42CFRPart2" in self.labels and recipient["organization"] != PROGRAM
        if self.notice != due:
            yield f"the statement of 2.32 is {'not there' if due else 'there, and nothing asks for it'}"


def table(kinds, cells, wanted):
    print(f"\n{'recipient':<44}" + "".join(f"{k:<20}" for k in kinds))
    for entity, row in wanted.items():
        marks = (("" if cells[entity, k] == {row[k]} else "! ") + " / ".join(sorted(MARKS[c] for c in cells[entity, k])) for k in kinds)
        print(f"{entity[:43]:<44}" + "".join(f"{m:<20}" for m in marks))


def compare(options):
    wanted = {row["Entity"]: row for row in rows(STORY, "carl-consent-matrix.csv")}
    kinds = [k for k in next(iter(wanted.values())) if k not in ("Entity", "Role")]
    records = [r for r in rows(at("records.csv")) if r["kind"]]
    recipients, cells, found, bad = rows(at("recipients.csv")), {}, {}, 0
    text, context = story()
    for recipient in recipients:
        [entity] = [e for e in wanted if recipient["in-matrix"] in e]
        released, withheld = segment(options.sluice, recipient, text, context)
        for record in records:
            name, want = record["record"], wanted[entity][record["kind"]]
            seen = Seen(released.get(name), withheld.get(name))
            cells.setdefault((entity, record["kind"]), set()).add(seen.cell())
            if seen.cell() != want:
                found[recipient["in-matrix"], record["kind"], name] = f"{want} is wanted: {seen.cell()}: {seen.told()}"
            for fault in seen.faults(recipient):
                bad += 1
                print(f"FAIL {recipient['in-matrix']}: {name}: {fault}")
            if options.verbose:
                print(f"  {recipient['in-matrix']} {name}: {want}: {seen.cell()}: {seen.told()}")
    assert set(cells) == {(e, k) for e in wanted for k in kinds}, "a cell of the matrix has no recipient or no record"
    table(kinds, cells, wanted)
    agreed = sum(cells[e, k] == {wanted[e][k]} for e in wanted for k in kinds)
    print(f"\n{agreed} of {len(wanted) * len(kinds)} cells as in the matrix, by {len(records)} records and {len(recipients)} recipients")
    return bad + labels.settle(found, labels.reasons(os.path.join("carl", "disagreements.csv"), "recipient", "kind", "record"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluice", default=os.path.join(labels.ROOT, "build", "release", "sluice"))
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    bad = check_policy(options.sluice)
    if not os.path.exists(os.path.join(STORY, "carl-consent-matrix.csv")):
        print("skipped: ../shared has no igs/shift-demo-fhir-data; only the policy itself was checked")
        return 1 if bad else 0
    bad += compare(options)
    print(f"{bad} disagreements unexplained")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
