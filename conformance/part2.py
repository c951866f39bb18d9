#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""42 CFR part 2, section by section, and the sections of HIPAA that bear on disclosure: what decides, and what shows it.

    conformance/part2.py --sluice build/test/sluice            runs all that is named, prints the matrix with the results
    conformance/part2.py --sluice build/test/sluice --quick    runs the scenarios of the policy alone; of tests, sees that they exist
    conformance/part2.py --sluice build/test/sluice --write    writes docs/part2.md

The rows stand in part2_rows.py. It fails if a section of the part has no row, a row names a rule, a scenario or a test that does
not exist or fails, or docs/part2.md is not what --write would write. The unit tests are looked for beside the program (tests/).
"""
import argparse
import json
import os
import re
import subprocess
import sys

import part2_rows as rows

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
POLICIES = os.path.join(ROOT, "consent", "policies")
PAGE = os.path.join(ROOT, "docs", "part2.md")
WAYS = {rows.RULES: "rules of the policy", rows.CODE: "the gateway, whatever the policy says", rows.PEOPLE: "people",
        rows.NOT_YET: "nobody yet"}


def sections():
    """The sections of 42 CFR part 2, from the table by which `policy check` knows citations."""
    with open(os.path.join(ROOT, "consent", "citations.def")) as file:
        return re.findall(r'L\(42, "([0-9.]+)"\)', file.read())


class Evidence:
    """Runs each thing that rows name, once."""

    def __init__(self, sluice, quick):
        self.sluice, self.quick, self.ran = os.path.abspath(sluice), quick, {}
        done = subprocess.run([self.sluice, "policy", "test", POLICIES, "--mutate", "--json"], capture_output=True, text=True)
        if not done.stdout:
            sys.exit(f"part2: {done.stderr}")
        said = json.loads(done.stdout)
        self.rules = {rule["id"]: rule for rule in said["rules"]}
        self.scenarios = {}
        for one in said["scenarios"]:
            self.scenarios.setdefault(one["title"], []).append(one["passed"])

    def rule(self, name):
        rule = self.rules.get(name)
        if not rule:
            return "no such rule"
        if rule["survives"] and not rule["guard"]:
            return "no scenario would miss it"
        return None

    def scenario(self, title):
        found = self.scenarios.get(title, [])
        if len(found) != 1:
            return "no such scenario" if not found else "several scenarios have this title"
        return None if found[0] else "fails"

    def unit(self, name):
        program, test = name.split(": ")
        source = os.path.join(ROOT, "tests", "unit", program + ".c")
        if not os.path.exists(source):
            return "no such program"
        with open(source) as file:
            if not re.search(rf"\b{test}\b", file.read()):
                return "no such test"
        if self.quick:
            return None
        path = os.path.join(os.path.dirname(self.sluice), "tests", program)
        if not os.path.exists(path):
            return "not built"
        if path not in self.ran:
            done = subprocess.run([path], capture_output=True, text=True, errors="replace")
            self.ran[path] = done.stdout + done.stderr
        return None if re.search(rf"^\[ +OK \] {test}$", self.ran[path], re.M) else "fails"

    def story(self, name):
        path = os.path.join(ROOT, *name.split("/"))
        if not os.path.exists(path):
            return "no such test"
        if self.quick:
            return None
        if path not in self.ran:
            self.ran[path] = subprocess.run([sys.executable, path, "--sluice", self.sluice], capture_output=True).returncode
        return "fails" if self.ran[path] else None

    def wrong(self, kind, name):
        return getattr(self, kind)(name)


def faults_of(row, evidence):
    """What is wrong with a row, in words."""
    faults = [f"{kind} \"{name}\": {wrong}" for kind, name in row.shown if (wrong := evidence.wrong(kind, name))]
    faults += [f"rule {name}: {wrong}" for name in row.rules if (wrong := evidence.rule(name))]
    if row.way in (rows.RULES, rows.CODE) and not row.shown:
        faults.append("nothing shows it")
    if row.way == rows.RULES and not row.rules:
        faults.append("it names no rule")
    if row.way in (rows.PEOPLE, rows.NOT_YET) and not row.note:
        faults.append("it does not say who does it, or what is missing")
    return faults


def missing():
    """Sections of the part without a row, and rows of sections that are not there."""
    cited = {re.match(r"[0-9.]+", row.section).group(0) for row in rows.PART2}
    known = set(sections())
    return [f"section {s} has no row" for s in sections() if s not in cited] + \
        [f"section {s} is none of part 2" for s in sorted(cited - known)]


def cell(text):
    return text.replace("|", "\\|")


def shown_as(kind, name):
    return {"scenario": f"“{name}”", "unit": f"`{name}`", "story": f"`{name}`"}[kind]


def table(out, title, entries):
    out.append(f"\n## {title}\n")
    out.append("| section | what it asks | decided by | shown by |")
    out.append("|---|---|---|---|")
    for row in entries:
        by = ", ".join(f"`{name}`" for name in row.rules) or WAYS[row.way]
        if row.note:
            by += ". " + row.note if row.rules or row.way == rows.CODE else ": " + row.note
        out.append(f"| {row.section} | {cell(row.asks)} | {cell(by)} | {cell('; '.join(shown_as(*s) for s in row.shown))} |")


def page():
    count = {way: sum(row.way == way for row in rows.PART2 + rows.HIPAA) for way in WAYS}
    out = ["# 42 CFR part 2 and HIPAA, section by section", "",
           "What each section asks of a disclosure, what decides it here, and what shows that it does. Made by",
           "`conformance/part2.py --write` from `conformance/part2_rows.py`; a test holds the two together, and `conformance/part2.py`",
           "runs everything that is named. Titles in quotes are scenarios of the policy (`sluice policy test`), `x_test: y` are unit tests,",
           "`tests/…` and `conformance/…` run a gateway. What software cannot do, or what is not done yet, says so. Not legal advice.", "",
           f"{count[rows.RULES]} rows are decided by rules of the shipped policy, {count[rows.CODE]} by the gateway whatever the policy "
           f"says, {count[rows.PEOPLE]} are people's, {count[rows.NOT_YET]} are not done yet."]
    table(out, "42 CFR part 2", rows.PART2)
    table(out, "HIPAA (45 CFR part 164) and its neighbours", rows.HIPAA)
    return "\n".join(out) + "\n"


def report(evidence):
    """The matrix as text, with results; the number of rows that are wrong."""
    bad = 0
    for title, entries in (("42 CFR part 2", rows.PART2), ("45 CFR part 164 and neighbours", rows.HIPAA)):
        print(f"{title}\n")
        for row in entries:
            faults = faults_of(row, evidence)
            bad += bool(faults)
            result = "FAILS" if faults else "shown" if row.shown else "-"
            print(f"{row.section:22} {result:6} {row.asks}")
            print(f"{'':30}by {', '.join(row.rules) or WAYS[row.way]}{'. ' + row.note if row.note else ''}")
            for kind, name in row.shown:
                print(f"{'':30}{kind}: {name}")
            for fault in faults:
                print(f"{'':30}WRONG {fault}")
        print()
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluice", default=os.path.join(ROOT, "build", "test", "sluice"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.write:
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write(page())
    bad = report(Evidence(options.sluice, options.quick))
    for fault in missing():
        print(f"WRONG {fault}")
        bad += 1
    try:
        with open(PAGE, encoding="utf-8") as file:
            fresh = file.read() == page()
    except FileNotFoundError:
        fresh = False
    if not fresh:
        print("WRONG docs/part2.md is not of these rows: conformance/part2.py --write")
        bad += 1
    print(f"{len(sections())} sections, {len(rows.PART2) + len(rows.HIPAA)} rows, {bad} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
