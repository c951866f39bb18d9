#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Carl's story: the SHIFT task force says for 13 recipients and 5 kinds of data of one patient what goes and what does not
(../shared/igs/shift-demo-fhir-data/carl-consent-matrix.csv). A policy directory of our own (carl/policy), with the registry, the
program table, the register and the consents of that story, decides his actual records in a running gateway: each recipient
asks with his own token for each record, and for everything. Of each cell is checked

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
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "scenario"))
import house  # noqa: E402
import labels_common as labels  # noqa: E402

HERE = os.path.join(ROOT, "conformance", "carl")
STORY = os.path.join(house.SHARED, "igs", "shift-demo-fhir-data")
BUNDLES = ("Bundle-AllofCarlTeam.json", "Bundle-AllOfCarlFrederickson.json")
PATIENT = "Patient/CarlFrederickson"
NOTICE = "42 CFR part 2 prohibits unauthorized use or disclosure of these records."
RESTRICTION = "Consent/carl-restriction-"  # the patient's denials are named so
MARKS = {"permit": "yes", "permit_no_redisclosure": "yes, no further", "deny": "-", "deny_by_restriction": "- restricted"}


def at(*names):
    return os.path.join(HERE, *names)


def rows(*names):
    with open(os.path.join(*names), encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def check_policy(sluice):
    """The policy is in order and its scenarios come out, wherever this runs."""
    bad = 0
    for verb in ("check", "test"):
        done = subprocess.run([sluice, "policy", verb, at("policy")], capture_output=True, text=True)
        print(f"policy {verb}: {done.stdout.strip().splitlines()[-1] if done.stdout else done.stderr}")
        bad += done.returncode != 0
    return bad


class Clinic(house.House):
    """A gateway over Carl's records, with the facts of the story."""

    def __init__(self, sluice):
        super().__init__(sluice, records=[os.path.join(STORY, b) for b in BUNDLES], consents=[at("consents.json")],
                         policies=at("policy"))
        for name, source in (("registry.yaml", at("registry.yaml")),
                             ("programs.yaml", os.path.join(ROOT, "conformance", "shift_programs.yaml"))):
            with open(source, encoding="utf-8") as file:
                self.write(name, file.read())
        self.run("register", "import", at("register.yaml"), "--store", self.at("policy"))
        self.start()

    def expect(self, what, true, detail=""):
        """Says only what is not so: it is asked some thousand times."""
        if not true:
            super().expect(what, true, detail)

    def token_of(self, recipient):
        words = ["--client", recipient["client"], "--purpose", recipient["purpose"]]
        words += ["--user", recipient["user"]] if recipient["user"] else []
        return self.run("token", "issue", "--key", self.at("issuer.pem"), "--issuer", house.ISSUER, "--audience", self.base,
                        *words).strip()

    def everything(self, token):
        status, _, body = self.ask(f"{PATIENT}/$everything", token)
        entries = json.loads(body).get("entry", []) if status == 200 else []
        return {f"{e['resource']['resourceType']}/{e['resource'].get('id')}": e["resource"] for e in entries}

    def read(self, record, token):
        """The resource as it came, or None; whether the statement of 2.32 went with it."""
        status, head, body = self.ask(record, token)
        if status == 200:
            return json.loads(body), NOTICE in head + body.decode()
        self.expect(f"{record} is there or is not", status in (403, 404), (status, body[:200]))
        return None, False


class Seen:
    """What became of one record for one recipient."""

    def __init__(self, resource, notice, record, entry):
        self.released = resource is not None
        self.notice = notice
        self.labels = {c["code"] for c in resource.get("meta", {}).get("security", [])} if resource else set()
        self.on_part2_consent = bool(record) and "consent" in record
        self.why = entry or {}

    def cell(self):
        if self.released:
            return "permit_no_redisclosure" if "NORDSCLCD" in self.labels else "permit"
        return "deny_by_restriction" if self.restricted() else "deny"

    def restricted(self):
        return self.why.get("directive", "").startswith(RESTRICTION)

    def told(self):
        if self.released:
            return " ".join(sorted(self.labels)) + (" and the statement of 2.32" if self.notice else "")
        return " ".join(f"{k}={v}" for k, v in self.why.items() if k in ("class", "rule", "why", "directive")) or "refused"


def judge(clinic, recipient, records):
    """Each record as this recipient gets it, by its own request and within everything; and what the ledger says of it."""
    token = clinic.token_of(recipient)
    whole = clinic.everything(token)
    found = {}
    for record in records:
        resource, notice = clinic.read(record["record"], token)
        clinic.expect(f"{recipient['client']} {recipient['user']}: {record['record']} by itself as within everything",
                      (resource is not None) == (record["record"] in whole))
        found[record["record"]] = (resource, notice)
    return found


def causes(ledger):
    """(client, user, record) -> what the ledger says of its release, or of why it was withheld, when it was read."""
    released, withheld = {}, {}
    for exchange in ledger:
        if exchange["interaction"]["kind"] != "read":
            continue
        who = exchange["recipient"]["client"], exchange["recipient"].get("user", "")
        for item in exchange.get("released", []):
            released[who + (item["item"],)] = item
        for item in exchange.get("withheld", []):
            if "path" not in item:
                withheld[who + (item["item"],)] = item
    return released, withheld


def table(kinds, cells, wanted):
    print(f"\n{'recipient':<44}" + "".join(f"{k:<20}" for k in kinds))
    for entity, row in wanted.items():
        marks = (("" if cells[entity, k] == {row[k]} else "! ") + " / ".join(sorted(MARKS[c] for c in cells[entity, k])) for k in kinds)
        print(f"{entity[:43]:<44}" + "".join(f"{m:<20}" for m in marks))


def compare(clinic, options):
    wanted = {row["Entity"]: row for row in rows(STORY, "carl-consent-matrix.csv")}
    kinds = [k for k in next(iter(wanted.values())) if k not in ("Entity", "Role")]
    records = [r for r in rows(at("records.csv")) if r["kind"]]
    recipients = rows(at("recipients.csv"))
    got = {(r["client"], r["user"]): judge(clinic, r, records) for r in recipients}
    clinic.stop()
    released, withheld = causes(clinic.ledger())
    cells, found = {}, {}
    for recipient in recipients:
        entities = [e for e in wanted if recipient["in-matrix"] in e]
        clinic.expect(f"{recipient['in-matrix']} is one row of the matrix", len(entities) == 1, entities)
        who = recipient["client"], recipient["user"] or recipient["client"]
        for record in records:
            key = who + (record["record"],)
            seen = Seen(*got[recipient["client"], recipient["user"]][record["record"]], released.get(key), withheld.get(key))
            check_marks(clinic, key, seen)
            cells.setdefault((entities[0], record["kind"]), set()).add(seen.cell())
            want = wanted[entities[0]][record["kind"]]
            if seen.cell() != want:
                found[recipient["in-matrix"], record["kind"], record["record"]] = f"{want} is wanted: {seen.cell()}: {seen.told()}"
            if options.verbose:
                print(f"  {' '.join(key)}: {want}: {seen.cell()}: {seen.told()}")
    clinic.expect("every row of the matrix has a recipient", {e for e, _ in cells} == set(wanted))
    clinic.expect("every kind of the matrix has a record", {k for _, k in cells} == set(kinds))
    table(kinds, cells, wanted)
    agreed = sum(cells[e, k] == {wanted[e][k]} for e in wanted for k in kinds)
    print(f"\n{agreed} of {len(wanted) * len(kinds)} cells as in the matrix, by {len(records)} records and {len(recipients)} recipients")
    return labels.settle(found, labels.reasons(os.path.join("carl", "disagreements.csv"), "recipient", "kind", "record"))


def check_marks(clinic, key, seen):
    """What law asks of a release, whatever the matrix says."""
    clinic.expect(f"{' '.join(key)}: it is in the ledger", bool(seen.why) != seen.released or not seen.released)
    if seen.released:
        clinic.expect(f"{' '.join(key)}: the statement goes with what rests on a Part 2 consent, and with nothing else",
                      seen.notice == seen.on_part2_consent)
        clinic.expect(f"{' '.join(key)}: a program's record says that it is one",
                      ("42CFRPart2" in seen.labels) or not seen.on_part2_consent)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluice", default=os.path.join(ROOT, "build", "release", "sluice"))
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    bad = check_policy(options.sluice)
    if not os.path.exists(os.path.join(STORY, "carl-consent-matrix.csv")):
        print("skipped: ../shared has no igs/shift-demo-fhir-data; only the policy itself was checked")
        return 1 if bad else 0
    clinic = Clinic(options.sluice)
    try:
        bad += compare(clinic, options)
    finally:
        clinic.close()
    print(f"{bad} disagreements unexplained, {clinic.failures} other failures")
    return 1 if bad or clinic.failures else 0


if __name__ == "__main__":
    sys.exit(main())
