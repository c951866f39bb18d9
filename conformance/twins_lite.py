#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Can a recipient tell? Two gateways over two worlds of the synthetic clinic: in one the patients went to Part 2 programs, in
the other nobody ever did. No consent opens a program's records to these callers, so by N1 and N2 of design.md every answer
must be the same bytes: status, headers, body.

    conformance/twins_lite.py --sluice build/release/sluice [--caller NAME] [--kind TYPE] [--values N]

Deterministic: the requests are made of the records of both worlds. What differs by right is masked: the Date header, the port
in links, the second in which the store took a record, and the bytes (not the length) of sealed cursors. Exit 1 if anything else differs; the smallest request comes first.
"""
import argparse
import http.client
import json
import os
import re
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "scenario"))
import house  # noqa: E402

# Whose consents open nothing of a program: revoked, expired, or about something else.
CLOSED = ("chen-", "dalia-", "farah-")
MODIFIERS = (":missing=true", ":missing=false")
PAGES = 200      # of one search, at most: a loop is a defect


def world(folder, name, sluice, *words):
    records, (consents,) = house.clinic(os.path.join(folder, name), *words)
    kept = os.path.join(folder, f"{name}-consents.ndjson")
    with open(consents) as lines, open(kept, "w") as out:
        out.writelines(line for line in lines if json.loads(line)["id"].startswith(CLOSED))
    h = house.House(sluice, records=records, consents=[kept])
    with open(records[0]) as lines:
        h.records = [json.loads(line) for line in lines]
    return h.start()


class Client:
    """One connection kept, as a real client keeps it."""

    def __init__(self, h, caller):
        self.h, self.caller, self.connection = h, caller, None

    def ask(self, method, path, body=None, headers=()):
        for _ in range(2):
            if not self.connection:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.h.port, timeout=20)
            try:
                sent = {"Authorization": "Bearer " + self.h.tokens[self.caller], **dict(headers)}
                if body is not None:
                    sent["Content-Type"] = "application/x-www-form-urlencoded"
                self.connection.request(method, "/fhir/" + path, body, sent)
                answer = self.connection.getresponse()
                return answer.status, answer.getheaders(), answer.read()
            except (http.client.HTTPException, OSError):
                self.connection.close()
                self.connection = None
        return 0, [], b""


def masked(h, answer):
    status, headers, body = answer
    text = body.decode(errors="replace").replace(f"localhost:{h.port}", "localhost:PORT")
    text = re.sub(r"_cursor=([-\w]+)", lambda m: f"_cursor=<{len(m.group(1))}>", text)
    text = re.sub(r'"lastUpdated":"[-:TZ\d]{20}"', '"lastUpdated":"IMPORT"', text)
    return status, sorted(h for h in headers if h[0].lower() != "date"), text


def next_of(h, text):
    """The path of the next page, as this gateway named it."""
    try:
        links = json.loads(text).get("link", [])
    except ValueError:
        return None
    urls = [link["url"] for link in links if link["relation"] == "next"]
    return urls[0].split("/fhir/", 1)[1] if urls else None


# ---- What to ask ----

def spread(values, most):
    values = sorted(set(values))
    return values if len(values) <= most else [values[i * len(values) // most] for i in range(most)]


def walk(value, path=()):
    if isinstance(value, dict):
        for key, v in value.items():
            yield from walk(v, path + (key,))
    elif isinstance(value, list):
        for v in value:
            yield from walk(v, path)
    else:
        yield path, value


def values_of(resources, kind, most):
    """What could be asked of a parameter of this kind: taken from the records, whether or not the parameter reads them there."""
    found = []
    for resource in resources:
        for path, v in walk(resource):
            if kind == "token" and path[-1] in ("code", "status", "value", "id", "intent", "gender") and isinstance(v, str):
                found.append(v)
            if kind == "reference" and path[-1] == "reference":
                found.append(v)
            if kind == "date" and isinstance(v, str) and re.match(r"\d{4}-\d\d-\d\d", v):
                found.append(v[:10])
            if kind == "string" and path[-1] in ("family", "given", "name", "city", "display", "text") and isinstance(v, str):
                found.append(v[:6])
            if kind in ("quantity", "number") and path[-1] == "value" and not isinstance(v, str):
                found.append(str(v))
            if kind == "uri" and path[-1] in ("questionnaire", "system", "uri") and isinstance(v, str):
                found.append(v)
    return spread(found, most)


def requests(capability, a, b, most, kinds):
    """(method, path, body), the simple ones first."""
    every = a.records + [r for r in b.records if r not in a.records]
    by_type = {}
    for resource in every:
        by_type.setdefault(resource["resourceType"], []).append(resource)
    patients = [r["id"] for r in by_type["Patient"]]
    yield "GET", "metadata", None
    for resource in every:
        yield "GET", f"{resource['resourceType']}/{resource['id']}", None
    for ident in patients:
        yield "GET", f"Patient/{ident}/$everything", None
    known = {r["type"]: r for r in capability["rest"][0]["resource"]}
    for kind in kinds or sorted(set(by_type) | {"Slot", "Media", "Task", "Communication"}):
        yield "GET", kind, None
        yield "HEAD", kind, None
        for count in range(1, 6):
            yield "GET", f"{kind}?_count={count}", None
        for ident in patients:
            yield "GET", f"{kind}?patient={ident}", None
            yield "GET", f"Patient/{ident}/{kind}", None
        yield "POST", f"{kind}/_search", f"patient={patients[1]}"
        for extra in ("_total=accurate", "_total=none", "_summary=count", "_summary=true", "_elements=id", "_sort=_lastUpdated",
                      "_sort=-date", "_lastUpdated=gt2000", "_id=" + ",".join(r["id"] for r in by_type.get(kind, [])[:40]),
                      "_security=42CFRPart2", "_security=R", "_text=methadone", "_content=methadone", "_has:Provenance:target:_id=x",
                      "_filter=code eq F11.20", "_list=bruno-pc-problems", "_contained=both", "nonsense=1"):
            yield "GET", f"{kind}?{extra.replace(' ', '%20')}", None
        for param in known.get(kind, {}).get("searchParam", []):
            name, form = param["name"], param["type"]
            for value in values_of(by_type.get(kind, []), form, most):
                yield "GET", f"{kind}?{name}={value.replace('/', '%2F').replace(' ', '%20')}", None
            for modifier in MODIFIERS:
                yield "GET", f"{kind}?{name}{modifier}", None
            if form == "token":
                yield "GET", f"{kind}?{name}:not=F11.20", None
            if form == "reference":
                yield "GET", f"{kind}?_include={kind}:{name}", None
                yield "GET", f"{kind}?_count=2&_include={kind}:{name}", None
                for target in {r.split("/")[0] for r in values_of(by_type.get(kind, []), "reference", 1000)}:
                    if target in by_type:
                        yield "GET", f"{target}?_revinclude={kind}:{name}", None
            yield "GET", f"{kind}?_sort={name}&_count=3", None
            yield "GET", f"{kind}?_sort=-{name}", None


# ---- Comparing ----

def differences(one, two):
    if one[0] != two[0]:
        yield f"status {one[0]} | {two[0]}"
    for header in one[1]:
        if header not in two[1]:
            yield f"header {header} | {[h for h in two[1] if h[0] == header[0]]}"
    if one[2] != two[2]:
        at = next((i for i, (x, y) in enumerate(zip(one[2], two[2])) if x != y), min(len(one[2]), len(two[2])))
        yield f"body at {at}: …{one[2][max(0, at - 80):at + 120]!r} | …{two[2][max(0, at - 80):at + 120]!r}"


def ask_both(clients, houses, request):
    """Every page of it. Gives how many answers were compared, and the first difference."""
    method, path, body = request
    paths, answers = [path, path], 0
    while paths[0] is not None and answers < PAGES:
        got = [client.ask(method, p, body) for client, p in zip(clients, paths)]
        seen = [masked(h, answer) for h, answer in zip(houses, got)]
        answers += 1
        for difference in differences(*seen):
            return answers, f"page {answers}: {difference}"
        if method != "GET":
            break
        paths = [next_of(h, answer[2]) for h, answer in zip(houses, got)]
        if (paths[0] is None) != (paths[1] is None):
            return answers, "one has a next page, the other has none"
    return answers, f"more than {PAGES} pages" if answers >= PAGES else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluice", required=True)
    parser.add_argument("--caller", action="append", help="of tests/scenario/house.py; default: all")
    parser.add_argument("--kind", action="append", help="searches of this type alone; default: all")
    parser.add_argument("--values", type=int, default=6, help="of each parameter, drawn evenly from what the records hold")
    parser.add_argument("--most", type=int, default=20, help="differences to print for each caller")
    args = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="sluice-twins-") as folder:
        houses = world(folder, "with", args.sluice), world(folder, "without", args.sluice, "--without-program")
        capability = json.loads(Client(houses[0], "ward").ask("GET", "metadata")[2])
        plan = list(dict.fromkeys(requests(capability, *houses, args.values, args.kind)))
        for caller in args.caller or sorted(house.CALLERS):
            clients = [Client(h, caller) for h in houses]
            found, answers, statuses = [], 0, {}
            for request in plan:
                count, difference = ask_both(clients, houses, request)
                answers += count
                if difference:
                    found.append((len(request[1]), request, difference))
            print(f"{caller}: {len(plan)} requests, {answers} answers compared, {len(found)} differ")
            for _, request, difference in sorted(found, key=lambda f: f[:2])[:args.most]:
                print(f"  {request[0]} {request[1]} {request[2] or ''}\n    {difference}")
            failed += len(found)
        for h in houses:
            h.close()
    print(f"{'no' if not failed else failed} differences")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
