#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The battery of ../twins, with HAPI FHIR's JPA server as the EHR behind both gateways, and patients of ../shared/data among the records.

    conformance/hapi/twins.py [--pairs 3000] [--seed S] [--group treating …] [--kind K …] [--writes N] [--whole N] [--kept N]

What is secret happens in world A and not in world B; each stands in a database of its own of one HAPI. Asked are

- both gateways the same, compared byte for byte as ../twins does (readable kinds, then writes on copies);
- records that a writer sees in part, changed by it, and then HAPI itself: what it did not see is as it was;
- a gateway before A, and HAPI itself over B: what this recipient may see is what stands in B, which nobody decided but the generator
  that left the rest out. So whatever is found must be found by both, record for record: neither more nor less.

Fails on a difference that is not listed (DIFFERENT below, with its reason), and where nothing was compared.
"""
import argparse
import collections
import json
import math
import os
import random
import re
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import replace

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), "twins"), os.path.dirname(HERE), HERE]
import battery  # noqa: E402
import compare  # noqa: E402
import houses  # noqa: E402
import kept  # noqa: E402
import peer  # noqa: E402
import run as runs  # noqa: E402
import synthea  # noqa: E402
import world as worlds  # noqa: E402
import writes  # noqa: E402
from start import command  # noqa: E402

ADOPTED = ("synthea-2022/Randal152_*", "synthea-2022/Melinda114_*", "synthea-2019/Bonnie_*", "synthea-2019/Milan_*", "synthea-2022/Judi176_*",
           "synthea-2020/Suanne_*", "synthea-2019/Deidre_*", "synthea-2019/Janine_*", "synthea-2022/Wynona930_*", "synthea-2020/Erika_*")
# HAPI keeps the labels of the version before unless it is told not to.
JSON = {"Content-Type": "application/fhir+json", "Cache-Control": "no-cache", "X-Meta-Snapshot-Mode": "TAG,PROFILE,SECURITY_LABEL"}
PAGE = 100  # rows of HAPI's
AT_ONCE = 500  # records in one transaction, at least: what they refer to is found by it


def send(base, method="GET", path="", body=None):
    request = urllib.request.Request(f"{base}/{path}" if path else base, body, method=method, headers=JSON)
    with urllib.request.urlopen(request, timeout=600) as answer:
        return json.loads(answer.read() or "null")


def named(row):
    match = re.match(r'\{"resourceType":"(\w+)",.*?"id":"([^"]+)"', row)
    return match.group(1), match.group(2)


class Ehr:
    """HAPI, with a database for each world. Its rows stand in the order in which they were first stored: here that of ids, so that a
    record which was a secret one in its first version stands where it does in the other world (docs/residual.md)."""

    def __init__(self, folder, server):
        self.folder, self.count = folder, 0
        self.server = peer.Server(command(os.path.abspath(server)), folder, PAGE)
        self.server.wait()
        self.told = 0

    def refused(self):
        """What it was asked and refused since the last time: types and parameters, each with its status."""
        with open(os.path.join(self.folder, "tomcat", "asked.log"), errors="replace") as log:
            lines = [line.split() for line in log]
        new, self.told = lines[self.told:], len(lines)
        asked = [(words[-1], words[1].split("/", 2)[-1]) for words in new if words[-1].startswith(("4", "5")) and words[-1] not in ("404", "410", "412")]
        return collections.Counter(f"{status} {path.split('?')[0].split('/')[0]}?" + "&".join(sorted(w.split("=")[0] for w in path.partition("?")[2].split("&")))
                                   for status, path in asked)

    def name(self):
        self.count += 1
        return f"w{self.count}"

    def copy(self, base):
        name = self.name()
        self.server.do(f"world {name} {base.rsplit('/', 1)[1]}")
        return f"{self.server.root}/{name}"

    def load(self, world):
        """Each version of each record, at its instant; then what is deleted."""
        name, stamps = self.name(), []
        self.server.do(f"world {name}")
        base = f"{self.server.root}/{name}"
        for file in world.write(self.folder, name):
            with open(file) as lines:
                rows = sorted((line.rstrip("\n") for line in lines), key=lambda row: named(row)[::-1])
            stamps += self.put(base, rows)
        for path in world.deleted:
            send(base, "DELETE", path)
            stamps.append((*path.split("/"), self.versions(base, path), "2026-03-01T00:00:00Z"))
        with open(os.path.join(self.folder, "stamps"), "w") as out:
            out.writelines(" ".join(stamp) + "\n" for stamp in stamps)
        self.server.do(f"stamp {name} {self.folder}/stamps")
        return base

    @staticmethod
    def versions(base, path):
        return str(len(send(base, path=f"{path}/_history?_count=100")["entry"]))

    @staticmethod
    def put(base, rows):
        """One transaction: what refers to each other is found by it. Gives (type, id, version, instant) of each."""
        names = [named(row) for row in rows]
        entries = ",".join(f'{{"resource":{row},"request":{{"method":"PUT","url":"{kind}/{ident}"}}}}' for (kind, ident), row in zip(names, rows))
        answer = send(base, "POST", "", f'{{"resourceType":"Bundle","type":"transaction","entry":[{entries}]}}'.encode())
        instants = [re.search(r'"lastUpdated":"([^"]+)"', row).group(1) for row in rows]
        return [(*name, re.search(r"\d+", e["response"]["etag"]).group(), instant) for name, e, instant in zip(names, answer["entry"], instants)]


class Maker(houses.Maker):
    """Gateways whose records stand in HAPI."""

    def __init__(self, sluice, folder, ehr):
        super().__init__(sluice, folder)
        self.ehr = ehr

    def records(self, name, world):
        begun = time.time()
        base = self.ehr.load(world)
        runs.log(f"  {name}: {len(world.versions)} records in {sum(map(len, world.versions.values()))} versions, in {time.time() - begun:.0f} s")
        return base

    def gateway(self, facts, records, rows=10000, dice=False):
        """What is written to is a copy."""
        return super().gateway(facts, self.ehr.copy(records) if dice else records, rows, dice)


class Workshop(runs.Workshop):
    def __init__(self, args, folder, ehr):
        self.adopted = synthea.patients(ADOPTED[:args.adopt], worlds.Number) if synthea.is_here() else []
        self.args, self.maker = args, Maker(args.sluice, folder, ehr)
        self.made, self.worlds, self.stores, self.facts, self.kept = {}, {}, {}, {}, {}
        self.whole = self.world("A")
        self.facts_of("plain")

    def world(self, name, **more):
        return super().world(name, adopted=self.adopted, **more)


# ---- Neither more nor less ----

SEARCHES = {"search", "search modified", "search all", "search post", "compartment", "include", "chain", "has", "sort"}
# What is found otherwise, and why: (what the request says, what is found in the one alone, the reason).
DIFFERENT = (
    (r"_security|_tag", r"", "matched with the labels that Sluice puts there"),
    (r"_lastUpdated:missing", r"", "HAPI passes it over"),
    (r"", r"^(Medication|Provenance|Binary)/", "reached by the record that points at them, not searched for"),
    (r"_include:iterate", r"", "of what is reached by route nothing is a match, so nothing is followed"),
    (r"", r"-otp-counsel$", "counselling notes, of who consented to the rest"),
    (r"", r"-otp-slot$", "a program's time slot is about nobody who could consent"),
    (r"", r"^Schedule/harbor-recovery-schedule$", "to which that slot alone leads"),
)
OURS = ("_format", "_pretty", "_summary", "_elements", "_total", "_count")


def found_in(bundles):
    """(name, mode) of all that was found."""
    out = set()
    for bundle in bundles:
        for entry in bundle.get("entry", []):
            if entry["search"]["mode"] != "outcome" and "id" in entry["resource"]:
                out.add((f"{entry['resource']['resourceType']}/{entry['resource']['id']}", entry["search"]["mode"]))
    return out


def through(pair, caller, request):
    """All pages that the gateway before A answers with; None: not 200."""
    bundles, path = [], None
    while request:
        answer = pair.ask_one(caller, 0, request.bytes(pair.tokens[caller]), False)
        if answer.status != 200:
            return None
        bundles.append(json.loads(answer.text))
        path = compare.next_of(answer)
        request = path and battery.Request(request.kind, "GET", path)
    return bundles


def alone(base, request):
    """What HAPI answers to the same. None: it refuses."""
    params = [(n, v) for n, v in request.params if n not in OURS] + [("_count", str(PAGE))]
    if request.body:
        params += [p for p in urllib.parse.parse_qsl(request.body.decode(), keep_blank_values=True) if p[0] not in OURS]
    query = "&".join(f"{n}={urllib.parse.quote((v or '').replace(houses.BASE, base), safe='')}" for n, v in params)
    bundles, url = [], f"{request.path.removesuffix('/_search')}?{query}"
    try:
        while url:
            bundles.append(send(base, path=url))
            url = next((x["url"].removeprefix(base + "/") for x in bundles[-1].get("link", []) if x["relation"] == "next"), None)
            url = url and (url if not url.startswith(base) else url.removeprefix(base))
    except urllib.error.HTTPError:
        return None
    return bundles


def run_whole(workshop, count):
    """What who treats is told through the gateway over A, and what HAPI says over B, where nothing is that is secret to him."""
    without = runs.GROUPS["treating"][1]
    two = workshop.world("B-treating", without=without)
    base, tally, bad = workshop.stores["B-treating"], collections.Counter(), []
    with workshop.pair("whole", workshop.gateway("A")) as pair:
        drawn = runs.battery_for(workshop, "treating", pair, workshop.whole, two)
        for number in range(count):
            request = plainly(drawn.draw(number, "whole", SEARCHES))
            mine = through(pair, "doctor", request)
            theirs = mine is not None and alone(base, request)
            tally["refused by Sluice" if mine is None else "refused by HAPI" if theirs is None else "compared"] += 1
            if not theirs:
                continue
            mine, theirs = found_in(mine), found_in(theirs)
            tally["found something"] += bool(theirs)
            tally["records"] += len(theirs)
            more, less = mine - theirs, theirs - mine
            more, less = ({one for one in alone_in if not is_listed(request, one[0])} for alone_in in (more, less))
            if more or less:
                bad.append((request, sorted(more), sorted(less)))
    return tally, bad


def is_listed(request, name):
    said = request.target() + request.body.decode()
    return any(re.search(asked, said) and re.search(found, name) for asked, found, _ in DIFFERENT)


def plainly(request):
    """In JSON, by GET or POST."""
    headers = tuple(h for h in request.headers if h.startswith("Content-Type"))
    return replace(request, headers=headers, method="POST" if request.body else "GET", params=tuple(p for p in request.params if p[0] not in OURS[:4]))


def tell_whole(tally, bad):
    runs.log(f"neither more nor less than HAPI alone finds: {dict(tally)}, {len(bad)} differ")
    for request, more, less in bad[:60]:
        runs.log(f"  {request}\n      through Sluice alone: {more[:4]} ({len(more)}); in HAPI alone: {less[:4]} ({len(less)})")
    return len(bad)


# ---- Writes ----

STAMP = re.compile(rb'"lastUpdated":"([^"]*)"|<lastUpdated value="([^"]*)"|(?<=Last-Modified: )([^\r]*)|"timestamp":"([^"]*)"|"lastModified":"([^"]*)"|<lastModified value="([^"]*)"')
UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TAG = re.compile(rb'(?<=W/")[^"]+|(?<="versionId":")[^"]+|(?<=<versionId value=")[^"]+|(?<=W/\\")[^"\\]+|(?<=/_history/)[-A-Za-z0-9.]+')
LENGTH = re.compile(rb"(?i)\r\ncontent-length: [^\r]*")


class Written:
    """What HAPI draws for what is written, in each world by itself: ids, by the order in which they appear, and with them the tags of
    the views that hold them; and instants, which are those of this minute."""

    def __init__(self, known):
        self.known, self.order = known, ({}, {})

    def plain(self, side, text):
        names = self.order[side]
        for pattern in (UUID, TAG):
            text = pattern.sub(lambda m: m.group() if m.group() in self.known else b"<%d>" % names.setdefault(m.group(), len(names)), text)
        return STAMP.sub(b"<instant>", text)

    def __call__(self, request, one, two):
        return tuple((LENGTH.sub(b"", self.plain(side, head)), self.plain(side, text)) for side, (head, text) in enumerate((one, two)))


def texts(base, names):
    """What HAPI itself says of records, but for what it makes of a version. None: it has none."""
    out = {}
    for name in names:
        try:
            row = send(base, path=name)
            out[name] = {n: v for n, v in row.items() if n != "meta"}
        except urllib.error.HTTPError:
            out[name] = None
    return out


def run_writes(workshop, name, count, progress):
    """As ../twins/writes.py; and of what stands in world A alone, hidden from who writes, HAPI says afterwards what it said before."""
    known = {ident.encode() for _, ident in workshop.whole.versions}
    made, pair_of = [], workshop.pair

    def pair(group, *gateways, **more):
        return pair_of(group, *gateways, mask=Written(known), **more)
    workshop.pair, begin = pair, workshop.maker.ehr.copy
    workshop.maker.ehr.copy = lambda base: made.append(begin(base)) or made[-1]
    try:
        out = writes.run(workshop, name, count, progress)
    finally:
        del workshop.pair, workshop.maker.ehr.copy
    two = workshop.worlds["W-" + "-".join(writes.GROUPS[name][1])]
    hidden = sorted("/".join(key) for key in workshop.whole.versions.keys() - two.versions.keys())
    before, after = texts(workshop.stores["A"], hidden), texts(made[0], hidden)
    out["changed"] = [one for one in hidden if before[one] != after[one]]
    runs.log(f"  {len(hidden)} hidden records in HAPI: {len(out['changed'])} other than before {out['changed'][:5]}")
    runs.log("  " + "; ".join(f"{kind} {status}: {n}" for (kind, status), n in sorted(out["ended"].items())))
    return out


def run_kept(workshop, most):
    """What is hidden in a record that its writer sees in part: in HAPI before and after, see ../kept.py."""
    made, begin = [], workshop.maker.ehr.copy
    workshop.maker.ehr.copy = lambda base: made.append(begin(base)) or made[-1]
    workshop.facts_of("writes", writes=True)
    try:
        gateway = workshop.gateway("A", "writes", dice=True)
    finally:
        del workshop.maker.ehr.copy
    bad, names = [], sorted("/".join(key) for key in workshop.whole.versions)
    random.Random(workshop.args.seed).shuffle(names)
    with workshop.pair("kept", gateway, tokens=workshop.maker.pens) as pair:
        for writer in ("ward", "doctor", "exchange"):
            def ask(path, method, headers, body):
                answer = pair.ask_one(writer, 0, battery.Request("", method, path, (), headers, body).bytes(workshop.maker.pens[writer]), False)
                return answer.status, answer.head, answer.text
            told = collections.Counter()
            bad += kept.check(ask, made[0], names, told, most)
            runs.log(f"  written by {writer}: {dict(told)}")
    for one in bad[:20]:
        runs.log("  " + one)
    return len(bad)


# ---- All of it ----

def tell(name, out):
    runs.log(f"{name}: {out['answers']} pairs of answers to {out['requests']} requests, {sum(out['differing'].values())} differ; "
             + ", ".join(f"{s}: {n}" for s, n in out["statuses"].most_common(8)))
    for finding in out["found"]:
        runs.log("  " + str(finding))
    return len(out["found"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluice", default=os.path.join(houses.ROOT, "build", "release", "sluice"))
    parser.add_argument("--server", default=os.path.join(houses.ROOT, "build", "conformance", "hapi"))
    parser.add_argument("--pairs", type=int, default=3000)
    parser.add_argument("--writes", type=int, default=600)
    parser.add_argument("--whole", type=int, default=600)
    parser.add_argument("--kept", type=int, default=100, help="records seen in part that each writer changes")
    parser.add_argument("--seed", default="hapi")
    parser.add_argument("--patients", type=int, default=8)
    parser.add_argument("--adopt", type=int, default=4, help=f"patients of ../shared/data, at most {len(ADOPTED)} and --patients")
    parser.add_argument("--years", type=int, default=1)
    parser.add_argument("--group", action="append", choices=sorted(runs.GROUPS))
    parser.add_argument("--kind", action="append")
    parser.add_argument("--most", type=int, default=8)
    args = parser.parse_args()
    args.brief, args.faults, args.caller = False, False, None
    with tempfile.TemporaryDirectory(prefix="sluice-hapi-", dir=runs.memory()) as folder:
        ehr = Ehr(folder, args.server)
        try:
            workshop = Workshop(args, folder, ehr)
            bad = 0
            progress = lambda pages, differs: None
            if args.whole:
                begun = time.time()
                bad += tell_whole(*run_whole(workshop, args.whole))
                runs.log(f"    {time.time() - begun:.0f} s; HAPI refused: {', '.join(ehr.refused()) or 'nothing'}")
            for name in (args.group or runs.GROUPS) if args.pairs else ():
                begun = time.time()
                bad += tell(name, runs.run_group(workshop, name, math.ceil(args.pairs / len(args.group or runs.GROUPS)), progress, args.kind))
                runs.log(f"    {time.time() - begun:.0f} s; HAPI refused: {', '.join(ehr.refused()) or 'nothing'}")
            if args.kept:
                begun = time.time()
                bad += run_kept(workshop, args.kept)
                runs.log(f"    {time.time() - begun:.0f} s")
            for name in writes.GROUPS if args.writes else ():
                begun = time.time()
                out = run_writes(workshop, name, math.ceil(args.writes / len(writes.GROUPS)), progress)
                bad += tell(name, out) + len(out["changed"])
                runs.log(f"    {time.time() - begun:.0f} s")
            sys.exit(1 if bad else 0)
        finally:
            ehr.server.stop()


if __name__ == "__main__":
    main()
