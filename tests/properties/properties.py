#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What must hold of every release, over records grown at random from the shape of R4, for every party of the shipped policy:

  unseen    N2: without what was withheld, and the references to it, the same bytes go out
  again     N3: segmenting what went out changes nothing (but see KNOWN)
  valid     what goes out is R4: shapes, required elements, invariants, no reference to what is not contained, nothing empty
  dangling  nothing that goes out names a record of the input that was withheld
  less      what goes out is what came in with parts cut, but for labels
  fewer     with one more label on a record, or one more denial, no more goes out
  canary    a text of what was withheld is nowhere in what goes out, in no encoding
  turned    nothing goes out without what changes its meaning, where it had some (R4's is-modifier)

    tests/properties/properties.py --sluice build/test/sluice [--cases 320] [--seed N] [--types A,B] [--keep]

A case is one record of a random type. The seed of each round is printed with what failed; --seed N --cases 0 runs that round alone.
"""
import argparse
import base64
import collections
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import urllib.parse

from grow import Grower
from shape import MODIFIER, ROOT, Checker, Shape, walk

PARTIES = (("treating-provider", "TREAT"), ("hie-partner", "TREAT"), ("front-desk", "PATADMIN"), ("emergency-clinician", "ETREAT"),
           ("health-plan", "HPAYMT"), ("patient", "PATRQT"), ("ai-agent", "TREAT"), ("research-feed", "HRESCH"))
DS4P = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/"
OURS = (DS4P + "extension-display", DS4P + "extension-inline-sec-label")
ROUND = 40  # records of one round, which may name each other
TOKEN = re.compile(r"zq\d+qz")
STATEMENT = "clinician: Dr. N\naffiliation: St. B\ndiscloser: S\nnature: unconscious\nconsent-unobtainable: yes\n"


def name_of(resource):
    return f"{resource['resourceType']}/{resource.get('id')}"


def lines(records):
    return "".join(json.dumps(r, separators=(",", ":"), ensure_ascii=False) + "\n" for r in records)


# ---- The command ----

class Door:
    def __init__(self, sluice, policy, folder):
        self.sluice, self.policy, self.folder, self.runs = sluice, policy, folder, 0
        self.statement = os.path.join(folder, "statement.yaml")
        with open(self.statement, "w", encoding="utf-8") as file:
            file.write(STATEMENT)

    def segment(self, records, party, consents=()):
        """The bytes that go out; records is a text or a list."""
        words = [self.sluice, "segment", "--policy", self.policy, "--as", party[0], "--for", party[1],
                 "--programs", "prog", "--at", "2026-06-01T00:00:00Z"]
        if party[0] == "emergency-clinician":
            words += ["--declare", self.statement]
        if consents:
            path = os.path.join(self.folder, "consents.ndjson")
            with open(path, "w", encoding="utf-8") as file:
                file.write(lines(consents))
            words += ["--consents", path]
        text = records if isinstance(records, str) else lines(records)
        done = subprocess.run(words, input=text.encode(), capture_output=True)
        self.runs += 1
        if done.returncode != 0:
            raise RuntimeError(f"exit {done.returncode}: {done.stderr.decode()[-2000:]}")
        return done.stdout.decode()


def parse(text):
    return [json.loads(line) for line in text.splitlines() if line.strip()]


# ---- Comparing ----

def unlabelled(value):
    """Without what segmentation puts in: meta.security, the display mark, inline labels."""
    if isinstance(value, list):
        return [unlabelled(v) for v in value]
    if not isinstance(value, dict):
        return value
    made = {}
    for k, v in value.items():
        if k == "extension":
            v = [e for e in v if not (isinstance(e, dict) and e.get("url") in OURS)]
            if not v:
                continue
        v = unlabelled(v)
        if k == "meta" and isinstance(v, dict):
            v = {m: x for m, x in v.items() if m != "security"}
            if not v:
                continue
        if k[0] == "_" and (v == {} or (isinstance(v, list) and not any(v))):
            continue
        made[k] = v
    return made


def less(small, large, path=""):
    """Where `small` is not `large` with parts cut; None if it is. Entries of arrays keep their order."""
    if isinstance(large, dict) and isinstance(small, dict):
        for k, v in small.items():
            wrong = less(v, large[k], f"{path}.{k}") if k in large else f"{path}.{k} is new"
            if wrong:
                return wrong
        return None
    if isinstance(large, list) and isinstance(small, list):
        at = 0
        for i, v in enumerate(small):
            while at < len(large) and less(v, large[at]) is not None:
                at += 1
            if at == len(large):
                return f"{path}[{i}] is new or out of order"
            at += 1
        return None
    return None if type(small) is type(large) and small == large else f"{path}: {small!r} was {large!r}"


def stays(small, large):
    """`small` with the labels that `large` came with: the record as it is without what was cut."""
    made = unlabelled(small)
    security = large.get("meta", {}).get("security") if isinstance(large.get("meta"), dict) else None
    if security and isinstance(small.get("meta"), dict) and small["meta"].get("security"):
        meta = {}
        for k in small["meta"]:  # in the order of the output
            if k == "security":
                meta[k] = security
            elif k in made.get("meta", {}):
                meta[k] = made["meta"][k]
        made = {k: meta if k == "meta" else v for k, v in ((k, made.get(k)) for k in small) if k in made or k == "meta"}
    if "contained" in made:
        held = {c.get("id"): c for c in large.get("contained", [])}
        made["contained"] = [stays(c, held.get(c.get("id"), {})) for c in small["contained"]]
    return made


def references(value):
    """Everything that names a record: references and other URIs, with where they stand."""
    for path, v in walk(value):
        if isinstance(v, str) and path and re.fullmatch(r"[A-Z]\w+/[-.\w]+(\|.*)?", v) and path[-1] not in ("display", "system"):
            yield path, v.split("|")[0]


def encodings(token):
    yield token
    yield "".join(f"\\u{ord(c):04x}" for c in token)
    yield "".join(f"\\u{ord(c):04X}" for c in token)
    yield "".join(f"%{ord(c):02X}" for c in token)
    yield urllib.parse.quote(token)
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + token.encode() + b"\0" * 3).decode()
        yield text[(0, 2, 3)[shift]:(shift + len(token)) * 8 // 6]


def tokens_of(text):
    """The tokens in a text, those within base64 among them."""
    found = collections.Counter(TOKEN.findall(text))
    for word in re.findall(r'"([A-Za-z0-9+/]{12,}={0,2})"', text):
        try:
            found.update(TOKEN.findall(base64.b64decode(word, validate=True).decode("latin-1")))
        except ValueError:
            pass
    return found


def codes(value):
    """What a modifier says in codes."""
    if isinstance(value, dict) and "coding" in value:
        return [(c.get("system"), c.get("code")) for c in value["coding"]]
    return None


def replaced(links):
    return sum(link["type"] == "replaced-by" for link in links or ())


# ---- The properties ----

class Round:
    def __init__(self, door, shape, seed, types, say):
        self.door, self.shape, self.checker, self.seed, self.say = door, shape, Checker(shape), seed, say
        self.random, self.known = random.Random(seed), collections.Counter()
        grower = Grower(shape, self.random)
        self.records = grower.world(ROUND, types)
        self.tokens = grower.tokens
        self.came = {name_of(r): r for r in self.records}
        for r in self.records:
            for wrong in self.checker.resource(r):
                raise RuntimeError(f"seed {seed}: {name_of(r)} was grown wrong: {wrong}")

    def judge(self, party):
        text = self.door.segment(self.records, party)
        went = parse(text)
        self.less(party, went)
        self.valid(party, went)
        self.dangling(party, went)
        self.canary(party, text, went)
        self.turned(party, went)
        self.again(party, text, went)
        self.unseen(party, text, went)
        self.fewer(party, went)
        return len(went)

    def fail(self, kind, party, name, what):
        self.say(kind, party[0], f"seed {self.seed}: {name}: {what}"[:600])

    def less(self, party, went):
        at = 0
        order = [name_of(r) for r in self.records]
        for r in went:
            if name_of(r) not in order[at:]:
                self.fail("less", party, name_of(r), "is new or out of order")
                continue
            at = order.index(name_of(r), at) + 1
            wrong = less(unlabelled(r), unlabelled(self.came[name_of(r)]))
            if wrong:
                self.fail("less", party, name_of(r), wrong)

    def valid(self, party, went):
        for r in went:
            for wrong in self.checker.resource(r):
                self.fail("valid", party, name_of(r), wrong)

    def turned(self, party, went):
        for r in went:
            for path, name in self.lost(unlabelled(r), unlabelled(self.came[name_of(r)]), r["resourceType"], ""):
                self.fail("turned", party, name_of(r), f"{path} goes out without its {name}")

    def lost(self, small, large, node, path):
        """What changes the meaning of an object, and is gone from it while the object is there."""
        if node == "Resource" or not node:
            node = large.get("resourceType", "") if isinstance(large, dict) else ""
        if isinstance(large, list):
            at = 0
            for one in small:
                while less(one, large[at]) is not None:
                    at += 1
                yield from self.lost(one, large[at], node, path)
                at += 1
        if not isinstance(large, dict):
            return
        for name, value in large.items():
            e = self.shape.elements[node].get(name)
            if e is None:
                continue
            here = small.get(name)
            if e.flags & MODIFIER and name != "link" and (here is None or codes(here) != codes(value)):
                yield path or node, name
            if name == "link" and node == "Patient" and small.get("active") is not False and replaced(here) != replaced(value):
                yield path or node, name
            if here is not None:
                yield from self.lost(here, value, e.type, f"{path}.{name}")

    def dangling(self, party, went):
        there = {name_of(r) for r in went}
        for r in went:
            for path, name in references(r):
                if name in self.came and name not in there and not self.is_subject(r, path, name):
                    self.fail("dangling", party, name_of(r), f"{'.'.join(map(str, path))} leads to {name}")

    def is_subject(self, resource, path, name):
        """Whom a record is about is no secret in it, even where the Patient itself is not released."""
        return name.startswith("Patient/") and any(
            v == name and self.names_patient(resource, p) for p, v in references(resource))

    def names_patient(self, resource, path):
        node, element = resource["resourceType"], None
        for step in path[:-1]:
            if isinstance(step, str):
                element = self.shape.elements[node].get(step.lstrip("_"))
                if element is None:
                    return False
                node = element.type
                if node == "Resource":
                    return True  # of a contained one: as its own records are judged
        return bool(element and element.flags & 0x100) or resource["resourceType"] == "Provenance"

    def canary(self, party, text, went):
        """Each token stands in what goes out as often as it does in the elements that go out; the others nowhere."""
        standing = collections.Counter()
        for r in went:
            standing.update(tokens_of(json.dumps(unlabelled(r), ensure_ascii=False)))
        there = {name_of(r) for r in went}
        for token in tokens_of(lines(self.records)):
            if token in standing:
                continue
            for form in encodings(token):
                if form in text:
                    self.fail("canary", party, token, f"goes out as {form}")
        for name, token in self.tokens.items():
            if name not in there and token in text:
                self.fail("canary", party, name, "is withheld, and what names it in words goes out")

    def again(self, party, text, went):
        twice = self.door.segment(text, party)
        if twice == text:
            return
        content = parse(twice)
        if unlabelled(content) == unlabelled(went):
            self.known["labels that earn more labels"] += 1
        else:
            self.explain("again", party, content, went)

    def explain(self, kind, party, second, first):
        """The first difference, by record."""
        there = {name_of(r): r for r in second}
        for r in first:
            other = there.get(name_of(r))
            if other is None:
                self.fail(kind, party, name_of(r), "is withheld")
                return
            if other != r:
                self.fail(kind, party, name_of(r), less(other, r) or less(r, other) or "other order")
                return
        self.fail(kind, party, "", "other bytes" if len(second) == len(first) else "more goes out")

    def unseen(self, party, text, went):
        """As if nothing that was withheld had ever been there. Narrative and counts, which go whatever they say, are part of it."""
        records = [stays(r, self.came[name_of(r)]) for r in went]
        same = self.door.segment(records, party)
        if parse(same) != went:
            self.explain("unseen", party, parse(same), went)

    def fewer(self, party, went):
        """One label more on some records; one denial more."""
        marked = json.loads(json.dumps(self.records))
        for r in self.random.sample(marked, 8):
            meta = r.setdefault("meta", {})
            label = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": self.random.choice(("HIV", "SUD", "PSY"))}
            meta["security"] = meta.get("security", []) + [label]
        self.compare(party, self.door.segment(marked, party), went, "a label")
        self.compare(party, self.door.segment(self.records, party, [self.denial()]), went, "a denial")

    def denial(self):
        provision = {"type": "deny"}
        more = self.random.choice(("", "class", "label", "period", "instance"))
        if more == "class":
            provision["class"] = [{"system": "http://hl7.org/fhir/resource-types", "code": self.random.choice(self.records)["resourceType"]}]
        elif more == "label":
            provision["securityLabel"] = [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "MH"}]
        elif more == "period":
            provision["dataPeriod"] = {"start": "2026-01-01", "end": "2026-03-01"}
        elif more == "instance":
            name = name_of(self.random.choice(self.records))
            provision["data"] = [{"meaning": "instance", "reference": {"reference": name}}]
        return {"resourceType": "Consent", "id": "deny", "status": "active", "scope": {"coding": [
            {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
            "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}], "patient": {"reference": "Patient/p"},
            "dateTime": "2026-01-01", "performer": [{"reference": "Patient/p"}], "sourceReference": {"display": "form"},
            "policy": [{"uri": "urn:x"}], "provision": provision}

    def compare(self, party, text, went, what):
        before = {name_of(r): r for r in went}
        for r in parse(text):
            other = before.get(name_of(r))
            wrong = less(unlabelled(r), unlabelled(other)) if other else "goes out that did not"
            if wrong:
                self.fail("fewer", party, name_of(r), f"with {what}, {wrong}")


# ---- All of it ----

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sluice", default=os.path.join(ROOT, "build", "release", "sluice"))
    parser.add_argument("--cases", type=int, default=320)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--types", default="")
    parser.add_argument("--party", default="")
    parser.add_argument("--policy", default=os.path.join(ROOT, "consent", "policies"))
    asked = parser.parse_args()
    known = collections.Counter()
    failures, shown, released, shape = collections.Counter(), collections.Counter(), collections.Counter(), Shape()

    def say(kind, party, what):
        failures[kind] += 1
        shown[kind, party] += 1
        if shown[kind, party] <= 3:
            print(f"FAILED {kind}: as {party}, {what}")
    with tempfile.TemporaryDirectory() as folder:
        door = Door(asked.sluice, asked.policy, folder)
        rounds = max(1, asked.cases // ROUND)
        for seed in range(asked.seed, asked.seed + rounds):
            one = Round(door, shape, seed, asked.types.split(",") if asked.types else None, say)
            for party in PARTIES:
                if asked.party in ("", party[0]):
                    released[party[0]] += one.judge(party)
            known += one.known
    print(f"properties: {rounds * ROUND} records of {len(shape.resources)} types, seeds {asked.seed} to {asked.seed + rounds - 1}, "
          f"{door.runs} runs; released: {', '.join(f'{p} {n}' for p, n in released.items())}")
    for what, count in known.items():
        print(f"  known: {what}: {count}")
    for kind, count in failures.items():
        print(f"  {kind}: {count} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
