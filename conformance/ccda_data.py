#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Public C-CDA documents through `sluice segment`, for each party: what goes out is well-formed, keeps the shape that CDA
asks for (nothing refers to narrative that is gone, no table without rows, no organizer without components, a section has
a text, the sections a document had and its type requires are there), and segmenting it again changes nothing.

usage: ccda_data.py SLUICE [FOLDER…]    (FOLDER: ../shared/mapping/corpus/ccda)
Prints a line for each document that fails, and what each party keeps. Nothing of the documents' content is printed."""
import collections
import pathlib
import subprocess
import sys
from xml.etree import ElementTree

V3 = "{urn:hl7-org:v3}"
PARTIES = [("treating-provider", "TREAT"), ("hie-partner", "TREAT"), ("ai-agent", "TREAT"), ("patient", "PATRQT")]
NEEDS = {"tbody": "tr", "table": "tbody", "list": "item", "organizer": "component"}
STATEMENTS = ["act", "encounter", "observation", "observationMedia", "organizer", "procedure", "regionOfInterest",
              "substanceAdministration", "supply"]


def local(element):
    return element.tag[len(V3):] if isinstance(element.tag, str) and element.tag.startswith(V3) else ""


def read(text):
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return None
    return root if local(root) == "ClinicalDocument" else None


def dangling(root):
    """References to an ID that is not there."""
    ids = {e.get("ID") for e in root.iter() if e.get("ID")}
    narrative = [e for text in root.iter(V3 + "text") for e in text.iter()]
    asked = [e.get("value", "")[1:] for e in root.iter(V3 + "reference") if e.get("value", "").startswith("#")]
    asked += [e.get("IDREF") for e in narrative if local(e) == "footnoteRef" and e.get("IDREF")]
    asked += [e.get("href")[1:] for e in narrative if local(e) == "linkHtml" and e.get("href", "").startswith("#")]
    return [a for a in asked if a not in ids]


def hollow(root):
    return [local(e) for e in root.iter() if local(e) in NEEDS and e.find(V3 + NEEDS[local(e)]) is None]


def without_text(root):
    return [s for s in root.iter(V3 + "section") if s.find(V3 + "text") is None]


def statements(root):
    return sum(1 for e in root.iter() if local(e) in STATEMENTS)


def words(root):
    return sum(len("".join(t.itertext()).split()) for s in root.iter(V3 + "section") for t in s.findall(V3 + "text"))


def segment(sluice, text, party, purpose):
    done = subprocess.run([sluice, "segment", "--as", party, "--for", purpose], input=text, capture_output=True,
                          check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.decode()[-300:])
    return done.stdout


def judge(before, out, again):
    """What is wrong with what went out."""
    after = read(out)
    if after is None:
        return ["not well-formed"]
    wrong = []
    if again != out:
        wrong.append("segmenting again changes it")
    if len(dangling(after)) > len(dangling(before)):
        wrong.append("something refers to narrative that is gone")
    if len(hollow(after)) > len(hollow(before)):
        wrong.append("something has lost what it cannot be without: %s" % hollow(after))
    if len(without_text(after)) > len(without_text(before)):
        wrong.append("a section has no text")
    return wrong


def main():
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    here = pathlib.Path(__file__).resolve().parent.parent
    folders = [pathlib.Path(a) for a in sys.argv[2:]] or [here.parent / "shared/mapping/corpus/ccda"]
    files = sorted(f for folder in folders for f in folder.rglob("*.xml"))
    if not files:
        print("skipped: no documents in %s" % ", ".join(map(str, folders)))
        return 0
    failed, kept = 0, collections.defaultdict(lambda: [0, 0, 0, 0, 0])
    for file in files:
        text = file.read_bytes()
        before = read(text)
        if before is None:
            continue
        for party, purpose in PARTIES:
            out = segment(sys.argv[1], text, party, purpose)
            tally = kept[party]
            tally[0] += 1
            tally[2] += statements(before)
            tally[4] += words(before)
            if not out:
                continue
            tally[1] += 1
            wrong = judge(before, out, segment(sys.argv[1], out, party, purpose))
            if not wrong:
                tally[3] += statements(read(out))
            for what in wrong:
                failed += 1
                print("FAIL %s as %s: %s" % (file.name, party, what))
    for party, (all_documents, documents, all_statements, left, _) in kept.items():
        print("%-18s %3d of %3d documents, %5.1f %% of their statements" %
              (party, documents, all_documents, 100 * left / max(1, all_statements)))
    print("%d failed" % failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
