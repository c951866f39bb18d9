#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Beside HAPI with its own ConsentInterceptor, which withholds by label: what leaks, and how many requests a second, on the same
records in the same run.

    conformance/hapi/consent.py [--sluice build/release/sluice] [--server build/conformance/hapi] [--seconds 10]

The records of the demo clinic's Part 2 programs carry the label ETH. HAPI serves all records at one address, and at another with an
interceptor that sees none with the label (Hapi.java); Sluice stands before the first, and is asked as an AI agent, of patients of
whom no consent is known. Each probe asks about what is withheld in one way; an answer that tells it from what never was is a leak.
Fails if one comes through Sluice.
"""
import argparse
import collections
import http.client
import json
import os
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import battery  # noqa: E402
from battery import house  # noqa: E402
from start import command  # noqa: E402

LABEL = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "ETH"}
THREADS = 4


class Door:
    """One of the servers: where, and with which token."""

    def __init__(self, name, base, token=""):
        self.name, self.at = name, urllib.parse.urlsplit(base)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.at.port, timeout=60)

    def ask(self, path, connection=None):
        connection = connection or self.connect()
        connection.request("GET", f"{self.at.path}/{path}", headers={**self.headers, "Cache-Control": "no-cache"})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def bundle(self, path):
        status, body = self.ask(path)
        return json.loads(body) if status == 200 else {"entry": [], "refused": status}


def rows_of(bundle):
    return [e["resource"] for e in bundle.get("entry", []) if e.get("search", {}).get("mode") != "outcome" and "id" in e.get("resource", {})]


def name_of(row):
    return f"{row['resourceType']}/{row['id']}"


def is_hidden(row):
    return any(mark in row["id"] for mark in ("-otp-", "harbor"))


def probes(hidden, patients):
    """By name: does the door tell of what is withheld? Each says what it saw, or nothing."""
    conditions = [row for row in hidden if row["resourceType"] == "Condition"]
    texts = {name_of(row) for row in hidden}

    def count(door):
        for patient in patients:
            seen = door.bundle(f"Condition?patient={patient}&_summary=count").get("total")
            rows = len(rows_of(door.bundle(f"Condition?patient={patient}&_count=100")))
            if seen not in (None, rows):
                yield f"{patient}: {seen} counted, {rows} shown"

    def short(door):
        for patient in patients:
            page = door.bundle(f"Observation?patient={patient}&_count=2")
            if len([r for r in rows_of(page) if r["resourceType"] == "Observation"]) < 2 and any(x["relation"] == "next" for x in page.get("link", [])):
                yield f"{patient}: a short page with a next one"

    def has(door):
        for row in conditions:
            code = row["code"]["coding"][0]
            found = rows_of(door.bundle(f"Patient?_has:Condition:subject:code={code['system']}%7C{code['code']}"))
            if row["subject"]["reference"] in map(name_of, found):
                yield f"{name_of(row)} by its code"

    def chain(door):
        for row in conditions:
            code = row["code"]["coding"][0]
            if "encounter" in row and rows_of(door.bundle(f"Condition?encounter:Encounter._id={row['encounter']['reference'].split('/')[1]}&code={code['code']}")):
                yield name_of(row)

    def revinclude(door):
        for patient in patients:
            yield from texts.intersection(map(name_of, rows_of(door.bundle(f"Patient?_id={patient}&_revinclude=Condition:subject&_revinclude=Encounter:subject"))))

    def everything(door):
        for patient in patients:
            yield from texts.intersection(map(name_of, rows_of(door.bundle(f"Patient/{patient}/$everything"))))

    def read(door):
        for row in hidden[:40]:
            there, never = door.ask(name_of(row)), door.ask(f"{row['resourceType']}/{'x' * len(row['id'])}")
            if (there[0], there[1].replace(row["id"].encode(), b"")) != (never[0], never[1].replace(b"x" * len(row["id"]), b"")):
                yield f"{name_of(row)}: {there[0]}, what never was {never[0]}"

    def mention(door):
        for patient in patients:
            for row in rows_of(door.bundle(f"Patient/{patient}/$everything")):
                if not is_hidden(row) and any(f'"{text}"' in json.dumps(row) for text in texts):
                    yield f"{name_of(row)} names one"

    def history(door):
        for row in hidden[:40]:
            if rows_of(door.bundle(f"{name_of(row)}/_history")):
                yield name_of(row)
    return {"a count": count, "a short page": short, "_has": has, "a chain": chain, "_revinclude": revinclude, "$everything": everything,
            "a read": read, "a reference in what is shown": mention, "history": history}


def leaks(doors, hidden, patients):
    """By door, how many probes tell; printed as a table."""
    told = dict.fromkeys((door.name for door in doors), 0)
    for name, probe in probes(hidden, patients).items():
        found = {door.name: list(probe(door)) for door in doors}
        print(f"  {name}: " + "; ".join(f"{door} {len(seen)}{' (' + seen[0] + ')' if seen else ''}" for door, seen in found.items()), flush=True)
        for door, seen in found.items():
            told[door] += bool(seen)
    return told


def rate(door, paths, seconds):
    """Requests a second on THREADS connections, and the share that was answered 200."""
    counted, good, over = [0] * THREADS, [0] * THREADS, time.monotonic() + seconds

    def work(number):
        connection = door.connect()
        while time.monotonic() < over:
            status, _ = door.ask(paths[counted[number] % len(paths)], connection)
            counted[number] += 1
            good[number] += status == 200
    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counted) / (time.monotonic() - began), sum(good) / max(1, sum(counted)), sum(counted)


def asked_of(folder):
    """Requests that HAPI has answered so far, each as its type and the names of its parameters."""
    with open(os.path.join(folder, "tomcat", "asked.log"), errors="replace") as log:
        lines = [line.split(" ")[1].split("/", 2)[-1] for line in log.read().splitlines()]
    return collections.Counter(path.split("?")[0].split("/")[0] + "?" + "&".join(w.split("=")[0] for w in path.split("?")[-1].split("&")) for path in lines)


def run(args, folder):
    records, _ = house.clinic(folder)
    with open(records[0]) as lines:
        rows = [json.loads(line) for line in lines]
    hidden = [row for row in rows if is_hidden(row) and any(key in row for key in ("subject", "patient", "beneficiary"))]
    for row in hidden:
        row.setdefault("meta", {}).setdefault("security", []).append(LABEL)
    labelled = os.path.join(folder, "labelled.ndjson")
    with open(labelled, "w") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)
    start = command(os.path.abspath(args.server))
    server = battery.Server(lambda *words: start(*words) + [LABEL["code"]], folder, 100)
    h = None
    try:
        server.wait()
        battery.load(server.base, labelled)
        patients = sorted({(row.get("subject") or row.get("patient") or row["beneficiary"])["reference"].split("/")[1] for row in hidden})
        print(f"{len(rows)} records, {len(hidden)} of {len(patients)} patients carry the label")
        h = house.House(args.sluice, upstream=server.base, extra=battery.BOOK)
        with open(h.at("sluice.yaml")) as config:
            one_worker = config.read().replace("workers: 2", "workers: 1")
        h.write("sluice.yaml", one_worker)
        h.start()
        doors = [Door("HAPI", server.base.replace("/fhir", "/consent")), Door("Sluice", h.base, h.tokens["agent"])]
        told = leaks(doors, hidden, patients) if args.probes else {}
        paths = [f"{kind}?patient={patient}&_count=10" for kind in ("Condition", "Observation", "MedicationRequest") for patient in patients]
        for door in [Door("HAPI, nothing withheld", server.base)] + doors:
            for path in paths:  # each once: then the label book knows what they rest on
                door.ask(path)
            before = asked_of(folder)
            persecond, good, count = rate(door, paths, args.seconds)
            print(f"{door.name}: {persecond:.0f} requests a second, {100 * good:.0f} % answered 200, "
                  f"{(asked_of(folder) - before).total() / max(1, count):.1f} requests of HAPI for each: "
                  + ", ".join(f"{words} {times / count:.1f}" for words, times in (asked_of(folder) - before).most_common(6)), flush=True)
        print(f"kinds of leak: {', '.join(f'{door} {count}' for door, count in told.items())}")
        h.stop()
        return 1 if told.get("Sluice") or h.failures else 0
    finally:
        if h:
            h.close()
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluice", default=os.path.join(battery.ROOT, "build", "release", "sluice"))
    parser.add_argument("--server", default=os.path.join(battery.ROOT, "build", "conformance", "hapi"))
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--no-probes", dest="probes", action="store_false", help="requests a second alone")
    with tempfile.TemporaryDirectory(prefix="sluice-consent-") as folder:
        sys.exit(run(parser.parse_args(), folder))


if __name__ == "__main__":
    main()
