#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""labels_words.py: what the lexicon finds in the note attachments of the public sample records.

Of 1,653 notes as plain text 1,262 name substance use or a mental condition, by a crude count. Each attachment is labelled
by itself, as a document without a code, and found to mention one of the two or not. Fewer than the crude count is a
failure; so is many more, for who hides too much is switched off.
"""
import base64
import collections
import glob
import gzip
import json
import os
import sys

from labels_common import SHARED, arguments, ask

FOLDER = os.path.join("data", "fhir-r4")
NOTES, NAMED, MARGIN = 1653, 1262, 30
TOPICS = {"mentions-substance-use", "mentions-mental-health"}


def attachments(value):
    if isinstance(value, list):
        for item in value:
            yield from attachments(item)
    elif isinstance(value, dict):
        if isinstance(value.get("data"), str) and str(value.get("contentType", "")).startswith("text/plain; charset"):
            yield value
        for item in value.values():
            yield from attachments(item)


def records(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        text = file.read()
    try:
        yield json.loads(text)
    except json.JSONDecodeError:
        for line in text.splitlines():
            if line.strip():
                yield json.loads(line)


def main():
    options = arguments(__doc__, [os.path.join(FOLDER, "bulk-ndjson-2023"), os.path.join(FOLDER, "synthea-hiv-2021")])
    notes = []
    for folder in ("bulk-ndjson-2023", "synthea-hiv-2021"):
        for path in sorted(glob.glob(os.path.join(SHARED, FOLDER, folder, "*.gz"))):
            for record in records(path):
                notes.extend(attachments(record))
    documents = [{"resourceType": "DocumentReference", "id": f"n{number}", "status": "current",
                  "subject": {"reference": "Patient/p"},
                  "content": [{"attachment": {k: note[k] for k in ("contentType", "data")}}, {"attachment": {"title": "x"}}]}
                 for number, note in enumerate(notes)]
    terms, named, unread = collections.Counter(), 0, 0
    for said, note in zip(ask(options, documents), notes):
        classes = {c for e in said.get("elements", []) for c in e["classes"]} | set(said["classes"])
        named += bool(classes & TOPICS)
        unread += "unread" in classes
        reasons = said["reasons"] + [r for e in said.get("elements", []) for r in e["reasons"]]
        terms.update(r["detail"] for r in reasons if r["why"] == "words")
        if options.verbose and not classes & TOPICS:
            print(base64.b64decode(note["data"]).decode("utf-8", "replace")[:400], "\n----")
    print(f"{len(notes)} notes; {named} mention substance use or mental health (a crude count: {NAMED}); {unread} unread")
    for detail, count in terms.most_common(15):
        print(f"  {count:5} {detail}")
    good = len(notes) == NOTES and NAMED - MARGIN <= named <= NAMED + MARGIN and unread == 0
    print("as expected" if good else "FAIL: not as expected")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
