#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What Sluice says of real records: a report for whoever must answer for the policy.

    ./dev label-report [--programs TABLE] [--json FILE] [PATH…]

PATH is a file or folder of FHIR JSON (a resource, a Bundle or NDJSON; .gz and .tar.gz are read); without one, everything under
../shared/data/fhir-r4. Every record goes through `sluice label` once and through `sluice segment` for each party, as it would at
any other door. Printed are

  classes   how many resources and elements have each class, and what earned it
  parties   what share each party does not get, and the ten commonest reasons
  sources   records whose source nobody has configured
  primary   what a treating clinician in primary care, whose patients signed nothing, keeps of each patient's record when no
            source is a program: at least 95 % of the resources, or the report exits 1

Nothing but counts, codes and ids of rules is printed: no content.
"""
import argparse
import collections
import concurrent.futures
import glob
import gzip
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DATA = os.path.join(os.path.dirname(ROOT), "shared", "data", "fhir-r4")
PARTIES = {"treating-provider": "TREAT", "hie-partner": "TREAT", "emergency-clinician": "ETREAT", "patient": "PATRQT",
           "front-desk": "PATADMIN", "health-plan": "HPAYMT", "ai-agent": "TREAT", "research-feed": "HRESCH"}
STATEMENT = {"clinician": "Dr. Report", "affiliation": "Emergency department", "discloser": "The house",
             "nature": "Found unconscious", "consent-unobtainable": True}
KEEPS = 95.0  # percent of a patient's resources that primary care must keep
LEAST = 20  # resources that make a record of a patient out of an example


# ---- Reading ----

def read(path):
    """The texts in a file."""
    if path.endswith(".tar.gz"):
        with tarfile.open(path) as tar:
            texts = [tar.extractfile(m).read() for m in tar.getmembers() if m.name.endswith(".json")]
    else:
        with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
            texts = [file.read()]
    return [text.removeprefix(b"\xef\xbb\xbf") for text in texts]


def parse(text):
    """(resource, its text) for each resource of a JSON text or NDJSON; nothing for what is neither."""
    try:
        return [(json.loads(text), text)]
    except ValueError:
        pass
    try:
        return [(json.loads(line), line) for line in text.splitlines() if line.strip()]
    except ValueError:
        return []


def inputs(paths):
    """(set, name, text) for each input. A folder's single resources are one input: they refer to each other."""
    for path in paths:
        names = [path] if os.path.isfile(path) else sorted(glob.glob(f"{path}/**/*", recursive=True))
        singles = collections.defaultdict(dict)
        for name in names:
            if not re.search(r"\.(json|ndjson)(\.gz)?$|\.tar\.gz$", name):
                continue
            folder = os.path.basename(os.path.dirname(os.path.abspath(name)))
            for text in read(name):
                for resource, line in parse(text):
                    kind = resource.get("resourceType") if isinstance(resource, dict) else None
                    if kind == "Bundle":
                        yield folder, os.path.basename(name), line
                    elif kind:  # line breaks stand between tokens: in strings they are escaped
                        singles[folder].setdefault((kind, resource.get("id") or len(singles[folder])), line.replace(b"\n", b" "))
        for folder, lines in singles.items():
            yield folder, "single resources", b"\n".join(lines.values()) + b"\n"


# ---- Asking ----

class Sluice:
    def __init__(self, path, policy, programs, folder):
        self.words = [path, "%s", "--policy", policy]
        self.statement = os.path.join(folder, "statement.json")
        self.folder = folder
        with open(self.statement, "w") as file:
            json.dump(STATEMENT, file)
        self.programs = programs

    def no_program(self, name, text):
        """A table that says of every source named in the text that it is none. Synthea names organizations by identifier."""
        found = sorted(set(re.findall(r'"(?:Organization|Location)\?identifier=([^"|]+)\|([^"|]+)"', text.decode())))
        path = os.path.join(self.folder, re.sub(r"\W", "_", name) + ".yaml")
        with open(path, "w") as file:
            file.write("others: not\n" + ("programs:\n" if found else "programs: []\n"))
            for system, value in found:
                file.write(f"  - {{is: not, identifiers: [{{system: {json.dumps(system)}, value: {json.dumps(value)}}}]}}\n")
        return path

    def run(self, verb, text, *words, programs=None):
        table = programs or self.programs
        command = [w if w != "%s" else verb for w in self.words] + (["--programs", table] if table else []) + list(words)
        done = subprocess.run(command, input=text, capture_output=True)
        if done.returncode:
            raise RuntimeError(f"sluice {verb}: {done.stderr.decode()[-300:]}")
        return done.stdout, done.stderr.decode()

    def label(self, text):
        return [json.loads(line) for line in self.run("label", text)[0].splitlines()]

    def segment(self, text, party, programs=None):
        """Resources in all and withheld, elements cut, and the reasons, each counted."""
        words = ["--as", party, "--for", PARTIES[party]]
        if party == "emergency-clinician":
            words += ["--declare", self.statement]
        said = self.run("segment", text, *words, programs=programs)[1]
        reasons, withheld = collections.Counter(), set()
        for line in said.splitlines():
            facts = dict(re.findall(r"(class|rule|consent|why)=(\S+)", line))
            kind, name = (line.split() + ["", ""])[:2]
            if kind in ("withheld", "cut") and facts:
                cause = facts.get("rule") or facts.get("why")
                reasons[kind, facts.get("class", ""), cause] += 1
                if kind == "withheld":
                    withheld.add(name)
        count = re.search(r"(\d+) of (\d+) resources released, (\d+) withheld .* (\d+) elements cut", said)
        released, every, gone, cut = map(int, count.groups())
        return every, gone, cut, reasons


# ---- Counting ----

class Report:
    def __init__(self):
        self.files = self.resources = 0
        self.sets = collections.Counter()
        self.sources = collections.Counter()
        self.classes = collections.defaultdict(lambda: {"resources": 0, "elements": 0, "why": collections.Counter()})
        self.parties = {p: {"of": 0, "withheld": 0, "cut": 0, "why": collections.Counter()} for p in PARTIES}
        self.primary = []  # (share kept, elements cut, name)
        self.failed = []

    def count_reasons(self, reasons):
        for reason in reasons:
            for name in reason["classes"]:
                detail = reason.get("detail", "")
                detail = "" if "/" in detail or ":" in detail else detail  # categories and types, not names of records
                self.classes[name]["why"][f'{reason["why"]} {detail}'.strip()] += 1

    def count_labels(self, labels):
        for label in labels:
            self.resources += 1
            self.sources[label["source"]] += 1
            for name in label["classes"]:
                self.classes[name]["resources"] += 1
            self.count_reasons(label["reasons"])
            for element in label["elements"]:
                for name in element["classes"]:
                    self.classes[name]["elements"] += 1
                self.count_reasons(element["reasons"])

    def count_party(self, party, every, withheld, cut, reasons):
        entry = self.parties[party]
        entry["of"] += every
        entry["withheld"] += withheld
        entry["cut"] += cut
        entry["why"] += reasons


def is_ordinary_record(text):
    """One patient's record, of some size, that nobody has marked as a program's."""
    patients = len(re.findall(rb'"resourceType"\s*:\s*"Patient"', text))
    return patients == 1 and text.count(b'"resourceType"') >= LEAST and b"42CFRPart2" not in text


def examine(sluice, item):
    folder, name, text = item
    try:
        labels = sluice.label(text)
        parties = {p: sluice.segment(text, p) for p in PARTIES}
        primary = sluice.segment(text, "treating-provider", sluice.no_program(name, text)) if is_ordinary_record(text) else None
        return folder, name, labels, parties, primary
    except (RuntimeError, ValueError) as error:
        return folder, name, error, None, None


def collect(sluice, paths):
    report = Report()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for folder, name, labels, parties, primary in pool.map(lambda item: examine(sluice, item), inputs(paths)):
            if parties is None:
                report.failed.append(f"{folder}/{name}: {labels}")
                continue
            report.files += 1
            report.sets[folder] += len(labels)
            report.count_labels(labels)
            for party, counts in parties.items():
                report.count_party(party, *counts)
            if primary and primary[0] > 1:
                report.primary.append((100.0 * (primary[0] - primary[1]) / primary[0], primary[2], f"{folder}/{name}"))
    return report


# ---- Printing ----

def commonest(counter, number):
    return ", ".join(f"{what} {count:,}" for what, count in counter.most_common(number))


def print_classes(report):
    print(f"\nClasses: of {report.resources:,} resources, and elements with classes of their own")
    print(f"  {'class':34}{'resources':>10}{'share':>8}{'elements':>10}  earned by, commonest first")
    for name, entry in sorted(report.classes.items(), key=lambda kv: (-kv[1]["resources"] - kv[1]["elements"], kv[0])):
        share = 100.0 * entry["resources"] / max(report.resources, 1)
        print(f"  {name:34}{entry['resources']:>10,}{share:>7.1f}%{entry['elements']:>10,}  {commonest(entry['why'], 4)}")


def print_parties(report):
    print("\nParties: what each does not get, no consent given, sources as configured")
    for party, entry in report.parties.items():
        share = 100.0 * entry["withheld"] / max(entry["of"], 1)
        print(f"\n  {party} for {PARTIES[party]}: {entry['withheld']:,} of {entry['of']:,} resources withheld ({share:.1f} %), "
              f"{entry['cut']:,} elements cut")
        for (kind, name, cause), count in entry["why"].most_common(10):
            print(f"    {count:>9,}  {kind:8}  {name or '-':32}  {cause}")


def print_sources(report):
    print("\nSources: " + ", ".join(f"{name} {count:,}" for name, count in report.sources.most_common()))
    if report.sources["unknown"]:
        print("  `sluice programs unknown` lists the unknown ones by volume.")


def print_primary(report):
    shares = sorted(share for share, _, _ in report.primary)
    if not shares:
        print("\nPrimary care: no file here is the record of one patient")
        return True
    below = [(share, name) for share, _, name in sorted(report.primary) if share < KEEPS]
    print(f"\nPrimary care: of {len(shares)} patients' records that no program made, without consent, the treating clinician keeps")
    print(f"  at least {shares[0]:.1f} %, in the median {shares[len(shares) // 2]:.1f} % of the resources; "
          f"{sum(cut for _, cut, _ in report.primary):,} elements cut in all")
    for share, name in below:
        print(f"  BELOW {KEEPS:.0f} %: {share:.1f} % {name}")
    return not below


def as_json(report):
    return {"files": report.files, "resources": report.resources, "sets": report.sets, "sources": report.sources,
            "classes": {k: dict(v, why=dict(v["why"])) for k, v in report.classes.items()},
            "parties": {p: dict(v, why=[{"kind": k, "class": c, "cause": w, "count": n} for (k, c, w), n in v["why"].most_common()])
                        for p, v in report.parties.items()},
            "primary": [{"kept": s, "cut": c, "record": n} for s, c, n in report.primary], "failed": report.failed}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluice", default=os.path.join(ROOT, "build", "release", "sluice"))
    parser.add_argument("--policy", default=os.path.join(ROOT, "consent", "policies"))
    parser.add_argument("--programs", help="table of programs; without one, every source is unknown")
    parser.add_argument("--json", help="write the figures there, too")
    parser.add_argument("paths", nargs="*", metavar="PATH")
    args = parser.parse_args()
    paths = args.paths or [DATA]
    if not all(os.path.exists(p) for p in paths):
        print("label-report: skipped, there are no records at " + " ".join(paths))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        report = collect(Sluice(args.sluice, args.policy, args.programs, folder), paths)
    print(f"Label report: {report.resources:,} resources of {report.files:,} inputs: {commonest(report.sets, 20)}")
    print_classes(report)
    print_parties(report)
    print_sources(report)
    kept = print_primary(report)
    for line in report.failed:
        print(f"NOT READ: {line}")
    if args.json:
        with open(args.json, "w") as file:
            json.dump(as_json(report), file, indent=1)
    return 0 if kept and not report.failed else 1


if __name__ == "__main__":
    sys.exit(main())
