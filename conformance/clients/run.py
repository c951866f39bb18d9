#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Do clients that others made work through Sluice? fhirclient and fhir-kit-client (npm), fhirpy (PyPI): read, search, pages to the
end, what is not there, and writing where a policy grants it.

    conformance/clients/run.py [--sluice build/release/sluice] [--clients build/conformance/clients]

Each asks as the ward and as the health plan of the demo clinic; what it was given must be what a plain request is given, in as many
pages, each record once.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "scenario"))
import house  # noqa: E402

GRANT = """layer: organization
writes:
  - {id: ward, title: Who treats writes observations., to: [treating-provider], for: [treatment], may: [create, update], types: [Observation]}
"""
WRITTEN = {"resourceType": "Observation", "status": "preliminary", "subject": {"reference": "Patient/amara"},
           "encounter": {"reference": "Encounter/amara-pc-visit"}, "valueQuantity": {"value": 36.7, "unit": "Cel"},
           "code": {"coding": [{"system": "http://loinc.org", "code": "8310-5"}]}}
QUESTIONS = {"read": "Patient/amara", "search": "Condition?patient=amara", "paged": "Observation?patient=amara&_count=2", "missing": "Patient/nobody"}


def rows(page, all_rows):
    """Its ids: of what matches, or of all, the notice of 42 CFR 2.32 and the warning among them."""
    return [e["resource"].get("id") for e in page.get("entry", []) if all_rows or e["search"]["mode"] == "match"]


def plainly(h, caller, all_rows):
    """The same questions without a client: what each must be given."""
    out = {"read": json.loads(h.ask(QUESTIONS["read"], caller)[2]), "paged": [], "pages": [], "missing": h.ask(QUESTIONS["missing"], caller)[0]}
    out["search"] = rows(json.loads(h.ask(QUESTIONS["search"], caller)[2]), all_rows)
    path = QUESTIONS["paged"]
    while path:
        page = json.loads(h.ask(path, caller)[2])
        out["paged"] += rows(page, all_rows)
        out["pages"].append(len(page.get("entry", [])))
        path = next((link["url"].split("/fhir/", 1)[1] for link in page["link"] if link["relation"] == "next"), None)
    return out


def ask(words, plan):
    done = subprocess.run([*words, json.dumps(plan)], capture_output=True, text=True, timeout=120)
    if done.returncode:
        return {"failed": (done.stderr or done.stdout)[-600:]}
    return json.loads(done.stdout)


def check(h, name, words, caller):
    plan = {**QUESTIONS, "base": h.base, "token": h.tokens[caller]}
    given, plain = ask(words, plan), plainly(h, caller, name != "fhirpy")  # which hands over rows of the type asked for alone
    keys = [key for key in plain if key != "pages" or "pages" in given]
    wrong = {key: (given.get(key), plain[key]) for key in keys if given.get(key) != plain[key]}
    h.expect(f"{name} as {caller}: {len(plain['paged'])} rows of {len(plain['pages'])} pages, and all else, as a plain request",
             not wrong, given.get("failed") or str(wrong)[:600])


def check_writing(h, name, words):
    """What the ward creates and updates through a client is there afterwards, as it was sent."""
    given = ask(words, {**QUESTIONS, "base": h.base, "token": h.tokens["ward"], "write": WRITTEN, "status": "final"})
    written = given.get("written", [None, None])
    there = json.loads(h.ask(f"Observation/{written[0]}")[2])
    h.expect(f"{name} creates and updates", written[1:] == ["preliminary", "final", "final"] and
             {key: there.get(key) for key in WRITTEN} == {**WRITTEN, "status": "final"}, (given.get("failed"), written, there))


def granted(folder):
    """The shipped policy, with a grant to write."""
    for part in ("policies", "terminology", "lexicon"):
        shutil.copytree(os.path.join(ROOT, "consent", part), os.path.join(folder, part))
    with open(os.path.join(folder, "policies", "house", "writes.yaml"), "w") as out:
        out.write(GRANT)
    return os.path.join(folder, "policies")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluice", default=os.path.join(ROOT, "build", "release", "sluice"))
    parser.add_argument("--clients", default=os.path.join(ROOT, "build", "conformance", "clients"))
    args = parser.parse_args()
    at = lambda *names: os.path.join(os.path.abspath(args.clients), *names)
    clients = {"fhirclient": ["node", at("ask_fhirclient.mjs")], "fhir-kit-client": ["node", at("ask_fhirkit.mjs")],
               "fhirpy": [at("python", "bin", "python"), at("ask_fhirpy.py")]}
    with tempfile.TemporaryDirectory(prefix="sluice-clients-") as folder:
        records, consents = house.clinic(folder)
        h = house.House(args.sluice, records=records, consents=consents, policies=granted(folder))
        h.start()
        h.tokens["ward"] = h.token("ward", "TREAT", "--scope", "system/*.cruds")
        for name, words in clients.items():
            for caller in ("ward", "plan"):
                check(h, name, words, caller)
            check_writing(h, name, words)
        h.stop()
        h.close()
    return 1 if h.failures else 0


if __name__ == "__main__":
    sys.exit(main())
