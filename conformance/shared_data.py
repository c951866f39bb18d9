#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real-world records (../shared/data/fhir-r4) through the offline door, for every party, judged by a model that shares nothing
with Sluice but the published definitions (../shared/igs/hl7.fhir.r4.core):

  valid       exit 0, and JSON
  less        what goes out is what came in with parts cut, but for meta.security, inline labels and the display mark
  whole       nothing emptied by us; what R4 requires and came in goes out
  dangling    nothing released refers to a record of the same input that was withheld
  canary      words planted in withheld records and cut elements are nowhere in the output, nor on stderr
  again       N3: segmenting what went out changes nothing
  unseen      N2: taking withheld records, to which nothing that stays leads, out of the input changes nothing

    conformance/shared_data.py --sluice build/release/sluice [--seconds 300] [--only WORD] [--verbose]

Prints, per party, the share withheld and the ten commonest reasons. Skips, saying so, where ../shared is absent.
"""
import argparse
import collections
import glob
import gzip
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHARED = os.path.join(os.path.dirname(ROOT), "shared")
PARTIES = (("treating-provider", "TREAT"), ("hie-partner", "TREAT"), ("front-desk", "PATADMIN"), ("emergency-clinician", "ETREAT"),
           ("health-plan", "HPAYMT"), ("patient", "PATRQT"), ("ai-agent", "TREAT"), ("research-feed", "HRESCH"))
INLINE = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
MARK = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-display"
DIRECTORY = ("Organization", "Location", "Practitioner", "PractitionerRole", "HealthcareService", "Endpoint", "InsurancePlan",
             "OrganizationAffiliation")
CANARY = "zQ7canary"


class Number(str):
    """A number as it was written: 1.10 is not 1.1."""


def load(text):
    return json.loads(text, parse_float=Number, parse_int=Number)


def dump(value):
    """Back to JSON, numbers as they were."""
    text = json.dumps(mark_numbers(value), separators=(",", ":"), ensure_ascii=False)
    return re.sub(r'"\\u0000([-+.0-9eE]+)"', r"\1", text)


def mark_numbers(value):
    if isinstance(value, Number):
        return "\0" + value
    if isinstance(value, dict):
        return {k: mark_numbers(v) for k, v in value.items()}
    return [mark_numbers(v) for v in value] if isinstance(value, list) else value


# ---- The input ----

def files(only):
    base = os.path.join(SHARED, "data", "fhir-r4")
    for path in sorted(glob.glob(f"{base}/*/*")):
        name = os.path.relpath(path, base)
        if only and only not in name:
            continue
        if path.endswith((".json", ".ndjson")):
            yield name, open(path, encoding="utf-8-sig").read()
        elif path.endswith((".json.gz", ".ndjson.gz")):
            yield name, gzip.open(path, "rt", encoding="utf-8").read()
        elif path.endswith(".tar.gz"):
            yield name, examples(path)


def examples(path):
    """Single resources of a specification: together they are an NDJSON file."""
    lines, names = [], set()
    with tarfile.open(path) as tar:
        for member in tar.getmembers():
            if member.name.endswith(".json"):
                resource = load(io.TextIOWrapper(tar.extractfile(member), encoding="utf-8-sig").read())
                name = (resource.get("resourceType"), resource.get("id"))
                if resource.get("resourceType") not in (None, "Bundle") and name not in names:
                    names.add(name)
                    lines.append(dump(resource))
    return "\n".join(lines) + "\n"


class Text:
    """An input or output: its documents, and the resources in them with where they stand."""

    def __init__(self, text):
        self.text = text
        self.docs = parse(text)
        self.resources = []  # (place, resource)
        for number, doc in enumerate(self.docs):
            if doc.get("resourceType") == "Bundle":
                for at, entry in enumerate(doc.get("entry", [])):
                    if "resource" in entry:
                        self.resources.append(((number, at), entry["resource"]))
            else:
                self.resources.append(((number,), doc))


def parse(text):
    try:
        return [load(text)] if text.strip() else []
    except ValueError:
        return [load(line) for line in text.splitlines() if line.strip()]


def name_of(resource):
    return f"{resource.get('resourceType')}/{resource.get('id')}"


def names_of(source):
    """Every name a reference may use, with the places it leads to."""
    names = collections.defaultdict(set)
    for place, resource in source.resources:
        if resource.get("id"):
            names[name_of(resource)].add(place)
        if len(place) == 2:
            url = source.docs[place[0]]["entry"][place[1]].get("fullUrl")
            if url:
                names[url].add(place)
    return names


def walk(value, path=()):
    yield path, value
    if isinstance(value, dict):
        for k, v in value.items():
            yield from walk(v, path + (k,))
    elif isinstance(value, list):
        for i, v in enumerate(value):
            yield from walk(v, path + (i,))


# ---- Running ----

def segment(sluice, text, party, programs, statement):
    words = [sluice, "segment", "--policy", os.path.join(ROOT, "consent", "policies"), "--as", party[0], "--for", party[1]]
    if programs:
        words += ["--programs", ",".join(programs)]
    if party[0] == "emergency-clinician":
        words += ["--declare", statement]
    done = subprocess.run(words, input=text.encode(), capture_output=True)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def programs_of(source):
    """Two organizations, or places, that most of the records refer to: the busiest but one, and the least busy."""
    counts = collections.Counter()
    for _, resource in source.resources:
        if resource.get("resourceType") in DIRECTORY:
            continue
        for _, value in walk(resource):
            if isinstance(value, dict) and isinstance(value.get("reference"), str):
                counts[value["reference"]] += 1
    found = [r for r, _ in counts.most_common()
             if re.match(r"(Organization|Location|PractitionerRole)/[-.\w]+$", r)]
    by_url = names_of(source)
    for reference, _ in counts.most_common():
        places = by_url.get(reference, ())
        for place, resource in source.resources:
            if place in places and resource.get("resourceType") in ("Organization", "Location") and reference not in found:
                found.append(reference)
    return list(dict.fromkeys(found[1:2] + found[-1:] if len(found) > 1 else found))


# ---- The model ----

def meta_less(out, came):
    """meta, less what we put there."""
    meta = dict(out.get("meta", {}))
    meta.pop("security", None)
    rest = [e for e in meta.get("extension", []) if e.get("url") != MARK]
    meta.pop("extension", None)
    if rest:
        meta["extension"] = rest
    if "extension" in came.get("meta", {}):
        received = [e for e in came["meta"]["extension"] if e.get("url") != MARK]
        came = dict(came, meta=dict(came["meta"], extension=received))
    left = dict(out, meta=meta)
    if not meta:
        del left["meta"]
    return left, came


def unlabelled(value):
    """Without inline labels, and without what held nothing else."""
    if isinstance(value, list):
        return [unlabelled(v) for v in value]
    if not isinstance(value, dict):
        return value
    out = {}
    for key, v in value.items():
        if key == "extension" and isinstance(v, list):
            rest = [e for e in v if not isinstance(e, dict) or e.get("url") != INLINE]
            if rest or not v:
                out[key] = unlabelled(rest)
            continue
        left = unlabelled(v)
        if left or not v or not key.startswith("_"):
            out[key] = left
    return out


def less(small, large, path=""):
    """Where `small` is not `large` with parts cut; None if it is. Order of arrays is kept, entries match greedily."""
    if isinstance(large, dict) and isinstance(small, dict):
        for k, v in small.items():
            if k not in large:
                return f"{path}.{k} is new"
            wrong = less(v, large[k], f"{path}.{k}")
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


def emptied(resource):
    for path, value in walk(resource):
        if value in ({}, [], None) and path:
            yield ".".join(map(str, path))


class Definitions:
    """Elements that R4 requires, by the type or backbone they stand in."""

    def __init__(self):
        self.required, self.types = collections.defaultdict(set), {}
        for path in glob.glob(f"{SHARED}/igs/hl7.fhir.r4.core/**/StructureDefinition-*.json", recursive=True):
            with open(path) as file:
                definition = json.load(file)
            if definition.get("derivation") == "constraint" or definition["kind"] not in ("resource", "complex-type"):
                continue
            for element in definition["snapshot"]["element"]:
                parent, _, name = element["path"].rpartition(".")
                codes = [t["code"] for t in element.get("type", [])]
                self.types[element["path"]] = codes, element.get("contentReference", "")[1:]
                if parent and element["min"] > 0:
                    self.required[parent].add(name)

    def lacks(self, out, came, at):
        """Required elements that came and did not go. Walks both; `came` gives what there was."""
        for name in self.required.get(at, ()):
            stem = name.replace("[x]", "")
            there = [k for k in came if k.lstrip("_") == stem or (name.endswith("[x]") and re.match(stem + "[A-Z]", k.lstrip("_")))]
            if there and not any(k in out for k in there):
                yield f"{at}.{name}"
        for key, value in out.items():
            path = f"{at}.{key}"
            if path not in self.types:
                continue
            codes, content = self.types[path]
            inner = content or (path if codes in (["BackboneElement"], ["Element"]) else codes[0] if len(codes) == 1 else None)
            if inner and inner[0].isupper() and inner not in ("Resource", "Extension"):
                pairs = zip_less(value, came.get(key))
                for small, large in pairs:
                    if isinstance(small, dict) and isinstance(large, dict):
                        yield from self.lacks(small, large, inner)


def zip_less(small, large):
    """Entries of what went out with the entries they were."""
    if not isinstance(small, list):
        return [(small, large)]
    pairs, at = [], 0
    for v in small:
        while at < len(large) and less(v, large[at]) is not None:
            at += 1
        if at == len(large):
            return pairs
        pairs.append((v, large[at]))
        at += 1
    return pairs


def places_out(source, out):
    """Which resources of the input went out, in the order of both: place in the input by place in the output."""
    found, at = {}, 0
    for place, resource in out.resources:
        while at < len(source.resources):
            candidate = source.resources[at]
            at += 1
            small, large = map(unlabelled, meta_less(resource, candidate[1]))
            if candidate[1].get("resourceType") == resource.get("resourceType") and candidate[1].get("id") == resource.get("id") and \
                    less(small, large) is None:
                found[place] = candidate
                break
    return found


def check_less(source, out, definitions, say):
    found = places_out(source, out)
    for place, resource in out.resources:
        if place not in found:
            came = [r for _, r in source.resources if name_of(r) == name_of(resource)]
            say("less", name_of(resource), less(*map(unlabelled, meta_less(resource, came[0]))) if came else "was not in the input")
            continue
        small, large = map(unlabelled, meta_less(resource, found[place][1]))
        had = set(emptied(large))
        for path in emptied(small):
            if path not in had:
                say("whole", name_of(resource), f"{path} is empty")
        for path in definitions.lacks(small, large, resource["resourceType"]):
            say("whole", name_of(resource), f"{path} is required")
    return found


def references(resource):
    return [(path, v["reference"]) for path, v in walk(resource) if isinstance(v, dict) and isinstance(v.get("reference"), str)]


def check_dangling(source, out, found, say):
    names = names_of(source)
    gone = {place for place, _ in source.resources} - {place for place, _ in found.values()}
    patients = {place for place, r in source.resources if r.get("resourceType") == "Patient"}
    for _, resource in out.resources:
        contained = {c.get("id") for c in resource.get("contained", [])}
        for path, reference in references(resource):
            if reference.startswith("#"):
                came = next((r for _, r in source.resources if name_of(r) == name_of(resource)), {})
                if reference[1:] not in contained and reference[1:] in {c.get("id") for c in came.get("contained", [])}:
                    say("dangling", name_of(resource), f"{'.'.join(map(str, path))} -> {reference}")
                continue
            target = re.sub(r"/_history/[^/]+$", "", reference)
            places = names.get(target)
            if places and places <= gone and not places <= patients:
                say("dangling", name_of(resource), f"{'.'.join(map(str, path))} -> {reference}")
    return gone


# ---- N2: the same without them ----

def unseen_of(source, gone):
    """Withheld records that nothing which stays leads to, over any number of steps: they can be taken out without a trace."""
    names, stay = names_of(source), {place for place, _ in source.resources} - gone
    ahead, resources = list(stay), dict(source.resources)
    while ahead:
        for _, reference in references(resources[ahead.pop()]):
            for place in names.get(re.sub(r"/_history/[^/]+$", "", reference), ()):
                if place not in stay:
                    stay.add(place)
                    ahead.append(place)
    return gone - stay


def without(source, taken):
    docs = []
    for number, doc in enumerate(source.docs):
        if doc.get("resourceType") == "Bundle" and "entry" in doc:
            docs.append(dict(doc, entry=[e for at, e in enumerate(doc["entry"]) if (number, at) not in taken]))
        elif (number,) not in taken:
            docs.append(doc)
    return "".join(dump(d) + "\n" for d in docs)


# ---- Canaries ----

def poison(value, key=None):
    """Every string that is content and not structure carries the canary."""
    if isinstance(value, dict):
        return {k: v if k in ("id", "resourceType", "reference", "system", "code", "url", "fullUrl", "contentType", "extension",
                              "status", "linkId", "type", "data", "meta", "modifierExtension") and not isinstance(v, (dict, list))
                else poison(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [poison(v, key) for v in value]
    if isinstance(value, str) and not isinstance(value, Number) and key in ("display", "text", "div", "title", "name", "description",
                                                                            "comment", "family", "given", "valueString", "conclusion"):
        return value.replace("</div>", CANARY + "</div>") if key == "div" else value + CANARY
    return value


def planted(source, gone):
    docs = []
    for number, doc in enumerate(source.docs):
        if doc.get("resourceType") == "Bundle":
            entries = [dict(e, resource=poison(e["resource"])) if (number, at) in gone and "resource" in e else e
                       for at, e in enumerate(doc.get("entry", []))]
            doc = dict(doc, entry=entries) if "entry" in doc else doc
        elif (number,) in gone:
            doc = poison(doc)
        docs.append(doc)
    return "".join(dump(d) + "\n" for d in docs)


# ---- All of it ----

class Tally:
    def __init__(self, verbose):
        self.failures, self.verbose = collections.Counter(), verbose
        self.shown = collections.Counter()
        self.released, self.all = collections.Counter(), collections.Counter()
        self.reasons = collections.defaultdict(collections.Counter)

    def say(self, file, party):
        def one(kind, what, detail):
            self.failures[kind] += 1
            self.shown[kind, party] += 1
            if self.verbose or self.shown[kind, party] <= 3:
                print(f"FAILED {kind}: {file} as {party}: {what}: {detail}"[:400])
        return one

    def note(self, party, errors):
        for line in errors.splitlines():
            m = re.match(r"(\d+) of (\d+) resources released", line)
            if m:
                self.released[party] += int(m.group(1))
                self.all[party] += int(m.group(2))
            m = re.match(r"(withheld|cut     ) (\S+?)/\S*(?: (\S+))?.*", line)
            if m:
                word = re.search(r"class=(\S+)", line), re.search(r"rule=(\S+)", line), re.search(r"why=(\S+)", line)
                path = re.sub(r"\[\d+\]", "", m.group(3)) if m.group(1) != "withheld" and m.group(3) else m.group(2)
                self.reasons[party][m.group(1).strip() + " " + path + ": " + " ".join(w.group(1) for w in word if w)] += 1


def judge(sluice, name, text, party, definitions, statement, tally):
    say = tally.say(name, party[0])
    source = Text(text)
    programs = programs_of(source)
    code, output, errors = segment(sluice, text, party, programs, statement)
    if code != 0:
        say("valid", "exit", f"{code}: {errors[:200]}")
        return
    tally.note(party[0], errors)
    try:
        out = Text(output)
    except ValueError as error:
        say("valid", "output", error)
        return
    found = check_less(source, out, definitions, say)
    gone = check_dangling(source, out, found, say)
    if out.docs:
        again = segment(sluice, output, party, programs, statement)
        if again[:2] != (0, output):
            say("again", "N3", first_difference(output, again[1]))
    taken = unseen_of(source, gone)
    if taken and len(taken) < len(source.resources):
        outputs = [segment(sluice, without(source, t), party, programs, statement)[1] for t in ((), taken)]
        if parse(outputs[0]) != parse(outputs[1]):
            say("unseen", "N2", f"{len(taken)} records taken out: " + first_difference(*outputs))
    code, output_planted, errors = segment(sluice, planted(source, gone), party, programs, statement)
    if code == 0 and (CANARY in output_planted or CANARY in errors):
        at = (output_planted + errors).find(CANARY)
        say("canary", "found", (output_planted + errors)[max(0, at - 200):at + 20])


def first_difference(one, two):
    at = next((i for i, (x, y) in enumerate(zip(one, two)) if x != y), min(len(one), len(two)))
    return f"{one[max(0, at - 100):at + 60]!r} | {two[max(0, at - 100):at + 60]!r}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluice", required=True)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--only", help="files whose name holds this")
    parser.add_argument("--most", type=int, default=4_000_000, help="larger files are skipped, saying so")
    parser.add_argument("--party", action="append")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    if not os.path.isdir(os.path.join(SHARED, "data", "fhir-r4")):
        print("skipped: ../shared is not here")
        return 0
    definitions, tally, started = Definitions(), Tally(args.verbose), time.monotonic()
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as statement:
        statement.write("clinician: Dr. Test\naffiliation: St. Test\ndiscloser: the gateway\nnature: unconscious\n"
                        "consent-unobtainable: yes\n")
        statement.flush()
        done, left = judge_all(args, definitions, tally, started, statement.name)
    report(tally, done, left, time.monotonic() - started)
    return 1 if tally.failures else 0


def judge_all(args, definitions, tally, started, statement):
    done = left = 0
    inputs = sorted(files(args.only), key=lambda f: (len(f[1]), f[0]))
    for name, text in inputs:
        try:
            parse(text)
        except ValueError:
            continue  # bytes after the closing brace, on purpose (README of the data): tests of the parser have them
        if len(text) > args.most or time.monotonic() - started > args.seconds:
            left += 1
            continue
        done += 1
        for party in PARTIES:
            if not args.party or party[0] in args.party:
                judge(args.sluice, name, text, party, definitions, statement, tally)
    return done, left


def report(tally, done, left, seconds):
    print(f"{done} files in {seconds:.0f} s, {left} left out for size or time")
    for party, _ in PARTIES:
        if tally.all[party]:
            share = 100 * (1 - tally.released[party] / tally.all[party])
            print(f"{party}: {share:.1f} % of {tally.all[party]} withheld")
            for reason, count in tally.reasons[party].most_common(10):
                print(f"  {count:7} {reason}")
    print("failures:", dict(tally.failures) or "none")


if __name__ == "__main__":
    sys.exit(main())
