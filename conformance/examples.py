#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The official examples of FHIR R4 through a gateway that releases everything to one party (conformance/open): what is read, in JSON
and in XML, is what was imported, number by number; and what can be created from the one is created again from the other.

    conformance/examples.py [--sluice build/release/sluice] [--examples FILE.tar.gz]

What goes to nobody is counted by the reason that the ledger gives: an example whose patient or source cannot be told, or that goes
by the way of another record alone. What is cut from every record is in CUT, with the reason; anything else that is missing, new or
different is a failure. Bundles are left out: they are put into a store entry by entry.
"""
import argparse
import collections
import json
import os
import re
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as tree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests", "scenario"))
import house  # noqa: E402

FHIR, XHTML = "{http://hl7.org/fhir}", "{http://www.w3.org/1999/xhtml}"
EXAMPLES = os.path.join(house.SHARED, "data", "fhir-r4", "r4-examples", "r4-examples.tar.gz")
DS4P = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/"
CUT = {
    r"\w+(\.contained|\.section)*\.text": "narrative repeats what is in the elements, and goes only to whom every class goes",
    r".*([aA]ttachment|\.content|\.image|\.document|\.repository|\.photo)\.url": "a link to where Sluice does not decide",
    r".*ttachment\.(hash|size)": "of content that could be another's",
    r".*\.signature|Contract\.signer": "a signature of bytes that are not sent as they are",
    r"Account\.coverage\.priority|Coverage\.order|(Encounter|EpisodeOfCare)\.diagnosis\.rank|RequestGroup\.action\.prefix|"
    r"Group\.quantity|ImagingStudy\.(numberOf|series\.numberOf)\w+": "numbers or counts what may be fewer",
}


class Number(str):
    """A number as it was written."""


def parse(text):
    return json.loads(text, parse_float=Number, parse_int=Number)


def unlabelled(value):
    """Without the labels that Sluice puts in: meta.security, and its two extensions."""
    if isinstance(value, list):
        return [unlabelled(one) for one in value]
    if not isinstance(value, dict):
        return value
    out = {}
    for key, inner in value.items():
        if key == "extension":
            inner = [one for one in inner if not str(one.get("url", "")).startswith(DS4P)]
        inner = {k: v for k, v in inner.items() if k not in ("security", "versionId", "lastUpdated")} if key == "meta" else inner
        if inner not in ([], {}):
            out[key] = unlabelled(inner)
    return out


def names_in(value):
    """What it refers to."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from [str(inner)] if key == "reference" else names_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from names_in(inner)


def is_led_elsewhere(went, came):
    """A version that is named becomes the record, and a link to content the way to it through this record."""
    return went == came.split("/_history/")[0] or f"/{came}?_route=" in went


def is_cut(path):
    names = re.sub(r"\[\d+\]|(?<=\.)_", "", path)
    return any(re.fullmatch(pattern, names) for pattern in CUT)


def differences(went, came, withheld, path):
    """Where what goes out is not what came in, in words. None are: what is cut from every record, what names a withheld one."""
    if isinstance(went, dict) and isinstance(came, dict):
        for key in [k for k in went if k not in came]:
            yield f"{path}.{key} is new"
        for key in came:
            if key in went:
                yield from differences(went[key], came[key], withheld, f"{path}.{key}")
            elif not is_cut(f"{path}.{key}") and not withheld.intersection(names_in(came[key])):
                yield f"{path}.{key} is gone"
    elif isinstance(went, list) and isinstance(came, list) and len(went) == len(came):
        for i, pair in enumerate(zip(went, came)):
            yield from differences(*pair, withheld, f"{path}[{i}]")
    elif type(went) is not type(came) or (went != came and not (type(went) is str and is_led_elsewhere(went, came))):
        yield f"{path}: {came!r:.80} became {went!r:.80}"


def of_json(value, path=""):
    """Every value with the names that lead to it, in their order."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "div":
                yield f"{path}.div", None
            elif key != "resourceType" or path.endswith(".instance"):  # an element of ExampleScenario is called so
                yield from of_json(inner, f"{path}.{key.lstrip('_')}")
    elif isinstance(value, list):
        for inner in value:
            yield from of_json(inner, path)
    elif value is not None:
        yield path, json.dumps(value) if isinstance(value, bool) else str(value)


def of_xml(element, path=""):
    for name, value in element.attrib.items():
        yield path if name == "value" else f"{path}.{name}", value
    for child in element:
        if child.tag.startswith(XHTML):
            yield f"{path}.div", None
            continue
        name = child.tag.removeprefix(FHIR)
        yield from of_xml(child, path if name[0].isupper() else f"{path}.{name}")


def examples(path):
    """Name and text of each, but for Bundles and what is no resource."""
    with tarfile.open(path) as archive:
        for member in archive:
            name = os.path.basename(member.name)
            if name.endswith(".json") and not name.startswith((".", "package", "Bundle-")):
                text = archive.extractfile(member).read().decode()
                if "resourceType" in json.loads(text):
                    yield name, text


def archive_house(sluice, **more):
    house.REGISTRY += "  - id: archive\n    roles: [archivist]\n    purposes: [TREAT]\n" if "archive" not in house.CALLERS else ""
    house.CALLERS["archive"] = "TREAT"
    return house.House(sluice, policies=os.path.join(HERE, "open"), **more)


def ask(h, came, kind="json"):
    return h.ask(f"{came['resourceType']}/{came['id']}", "archive", headers=(f"Accept: application/fhir+{kind}",))


def check(went, came, xml, withheld):
    """What is wrong with a record that was read in both formats, in words."""
    yield from differences(unlabelled(went), unlabelled(came), withheld, came["resourceType"])
    left, right = sorted(of_json(went), key=str), sorted(of_xml(tree.fromstring(xml)), key=str)
    if left != right:
        yield f"XML says {[x for x in right if x not in left][:3]} where JSON says {[x for x in left if x not in right][:3]}"


def read_all(h, files):
    """Of each that is released: is it what came? Gives how many were released, and how many are wrong."""
    failed, read = 0, {}
    for name, text in files:
        came = parse(text)
        (status, _, body), (in_xml, _, xml) = ask(h, came), ask(h, came, "xml")
        if (status, in_xml) not in ((200, 200), (404, 404)):
            print(f"  {name}: {status} in JSON, {in_xml} in XML: {body[:200]!r}")
            failed += 1
        read[name] = came, parse(body) if status == 200 else None, xml
    withheld = {f"{came['resourceType']}/{came['id']}" for came, went, _ in read.values() if not went}
    for name, (came, went, xml) in read.items():
        wrong = list(check(went, came, xml, withheld)) if went else []
        for one in wrong[:5]:
            print(f"  {name}: {one}")
        failed += bool(wrong)
    reasons = collections.Counter(item["why"] for record in h.ledger() for item in record.get("withheld", []) if record["status"] == 404)
    print(f"{len(files)} examples: {len(files) - len(withheld)} released and compared in JSON and XML, {failed} of them wrong; "
          f"not released (twice each): {', '.join(f'{n} {why}' for why, n in reasons.items())}")
    return len(files) - len(withheld), failed, [(name, came) for name, (came, went, _) in read.items() if went]


def post(h, kind, body, form):
    """Creates a record from a body in one of the formats: the status, and where it is."""
    status, head, said = h.ask(kind, "archive", "POST", headers=(f"Content-Type: application/fhir+{form}",), body=body)
    where = re.search(r"Location: \S*/fhir/([^/\s]+/[^/\s]+)", head)
    return status, where.group(1) if where else said[:200]


def bare(record):
    return {key: value for key, value in unlabelled(record).items() if key not in ("id", "meta")}


def write_one(h, came, wrong):
    """JSON in, XML out, that XML in, JSON out. Gives the status of the first."""
    kind = came["resourceType"]
    status, where = post(h, kind, json.dumps({k: v for k, v in json.loads(came["text of"]).items() if k != "id"}).encode(), "json")
    if status != 201:
        return status, where
    read, _, body = h.ask(where, "archive")
    if read != 200:  # it goes by the way of another record alone
        return "201 without a way to it", where
    first = parse(body)
    xml = h.ask(where, "archive", headers=("Accept: application/fhir+xml",))[2]
    status, again = post(h, kind, xml, "xml")
    second = parse(h.ask(again, "archive")[2]) if status == 201 else None
    if not second or bare(first) != bare(second):
        wrong.append(f"{kind}/{came['id']}: {status} {again!r:.100} " + "; ".join(differences(bare(second or {}), bare(first), set(), kind))[:200])
    return 201, where


def write_all(h, files):
    """Through create, read, XML and back: how many went, and what else was said of the others."""
    statuses, wrong, why = collections.Counter(), [], {}
    for name, text in files:
        came = json.loads(text)
        status, said = write_one(h, {"resourceType": came["resourceType"], "id": came["id"], "text of": text}, wrong)
        statuses[status] += 1
        if status in (400, 500, 503):
            why.setdefault((status, bytes(said) if isinstance(said, bytes) else said), name)
    for line in wrong[:10] + [f"{name}: {said}" for said, name in list(why.items())[:10]]:
        print("  " + line)
    print(f"created from JSON, read in XML, created from that: {statuses[201]}, {len(wrong)} of them wrong; "
          f"refused: {', '.join(f'{n} {status}' for status, n in statuses.items() if status != 201)}")
    return statuses[201], len(wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluice", default=os.path.join(house.ROOT, "build", "release", "sluice"))
    parser.add_argument("--examples", default=EXAMPLES)
    args = parser.parse_args()
    if not os.path.exists(args.examples):
        print("skipped: ../shared is not here")
        return 0
    files = list(examples(args.examples))
    with tempfile.TemporaryDirectory(prefix="sluice-examples-") as folder:
        path = os.path.join(folder, "all.ndjson")
        with open(path, "w") as out:
            out.writelines(" ".join(text.splitlines()) + "\n" for _, text in files)
        h = archive_house(args.sluice, records=[path])
        h.start()
        h.tokens["archive"] = h.token("archive", "TREAT", "--scope", "system/*.cruds")
        released, failed, those = read_all(h, files)
        h.expect("most can be compared", released >= len(files) * 0.87, released)
        names = {name for name, _ in those}
        made, wrong = write_all(h, [one for one in files if one[0] in names])
        failed += wrong
        h.expect("some can be created", made > 0, made)
        h.stop()
        h.close()
    return 1 if failed or h.failures else 0


if __name__ == "__main__":
    sys.exit(main())
