# SPDX-License-Identifier: Apache-2.0
"""Does a FHIR server that others made do in the place of the embedded store, by one line of configuration?

Starts the server on loopback, puts the demo clinic's records into it, and asks a Sluice in front of it and a Sluice over the
embedded store the same questions as every recipient of the scenarios. Released records must be the same, cut at the same
places, in pages of the same sizes; nothing of the server may show. With --url the server runs already, empty. Each folder of
a server has a run.py that says how it is started.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "scenario"))
import house  # noqa: E402
import kept  # noqa: E402
from peer import Server  # noqa: E402

SHOWS = (b"hapi", b"X-Powered-By", b"_getpages", b"ca.uhn")  # and the address: see Asked.look
CANARIES = (b"otp-", b"harbor")
WAVES = (("Organization", "Practitioner", "Medication", "Binary"), ("Location", "PractitionerRole", "Patient"),
         ("Coverage", "RelatedPerson", "Encounter"), ("Condition", "Observation", "MedicationRequest", "ServiceRequest"))
BOOK = "labels:\n  book: book\n"  # what is referred to is asked for once a minute
NOTICE = "Basic/None"  # of 42 CFR 2.32: ours, without an id, on each page that needs it, and the order of rows is the server's
PAGED = ("Condition", "Observation", "MedicationRequest", "Encounter")
INCLUDES = ("MedicationRequest?patient={p}&_include=MedicationRequest:requester",
            "Encounter?patient={p}&_include=Encounter:subject",
            "Observation?patient={p}&_include=Observation:patient&_count=3",
            "MedicationRequest?patient={p}&_include=MedicationRequest:medication",
            "Encounter?patient={p}&_include=Encounter:service-provider",
            "Patient?_id={p}&_revinclude=Condition:subject")
FILTERED = ("Condition?patient={p}&category=encounter-diagnosis", "Observation?patient={p}&category=laboratory",
            "Observation?patient={p}&code=http%3A%2F%2Floinc.org%7C4548-4", "Encounter?patient={p}&status=finished",
            "Condition?patient={p}&clinical-status=active", "MedicationRequest?patient={p}&intent=order&status=active",
            "Encounter?patient={p}&date=ge2020-01-01&date=lt2030-01-01", "Patient/{p}/Condition?_count=2",
            "DocumentReference?patient={p}&type=http%3A%2F%2Floinc.org%7C11506-3", "Patient?_id={p}", "Condition?subject=Patient%2F{p}")


class House(house.House):
    """Twelve who ask for everything of a server that has others to serve take more than a scenario's twenty seconds."""

    def raw(self, data, timeout=300):
        return super().raw(data, timeout)


# ---- The server ----

def put(base, line):
    row = json.loads(line)
    request = urllib.request.Request(f"{base}/{row['resourceType']}/{row['id']}", line.encode(), method="PUT",
                                     headers={"Content-Type": "application/fhir+json"})
    try:
        urllib.request.urlopen(request, timeout=60).read()
        return None
    except urllib.error.HTTPError as error:
        return f"{row['resourceType']}/{row['id']}: {error.code} {error.read()[:400].decode()}"


def load(base, path):
    """What is referred to first: HAPI does not find a record by a reference whose target came later."""
    rows = {}
    with open(path) as lines:
        for line in lines:
            rows.setdefault(json.loads(line)["resourceType"], []).append(line)
    waves = [[rows[kind] for kind in kinds if kind in rows] for kinds in WAVES]
    waves.append([lines for kind, lines in rows.items() if not any(kind in kinds for kinds in WAVES)])
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for wave in waves:
            refused = [one for one in pool.map(lambda line: put(base, line), sum(wave, [])) if one]
            if refused:
                raise SystemExit("the server refused records:\n" + "\n".join(refused[:5]))
    return [json.loads(line) for lines in rows.values() for line in lines]


# ---- Questions ----

def questions(records, patients):
    """Paths, each with the patient it is about."""
    types = sorted({row["resourceType"] for row in records if any(key in row for key in ("subject", "patient", "beneficiary"))})
    for patient in patients:
        yield patient, f"Patient/{patient}"
        yield patient, f"Patient/{patient}/$everything"
        for kind in types:
            yield patient, f"{kind}?patient={patient}"
        for kind in PAGED:
            yield patient, f"{kind}?patient={patient}&_count=2"
        for form in INCLUDES + FILTERED:
            yield patient, form.format(p=patient)
    for row in records:
        yield None, f"{row['resourceType']}/{row['id']}"
    for path in ("Condition/nothing", "Patient?identifier=nothing", "Practitioner?_count=2", "Organization", "Location?_count=3"):
        yield None, path


class Asked:
    """Everything one Sluice says to one question, its pages followed."""

    def __init__(self, h, path, caller, hidden=()):
        self.status, self.names, self.modes, self.shape, self.bodies, self.shows = 0, [], [], [], {}, []
        start = time.monotonic()
        while path:
            self.status, head, body = h.ask(path, caller)
            self.look(head.encode() + body, hidden)
            path = self.take(path, head, body.replace(h.base.encode(), b"/fhir")) if self.status == 200 else None
        self.took = time.monotonic() - start

    def look(self, bytes_, hidden):
        self.shows += [one.decode() for one in hidden if one.lower() in bytes_.lower()]

    def add(self, resource):
        name = f"{resource['resourceType']}/{resource.get('id')}"
        meta = {key: value for key, value in resource.get("meta", {}).items() if key in ("security", "profile", "tag")}
        self.bodies[name] = {**resource, "meta": meta}
        return name

    def take(self, path, head, body):
        if "application/fhir+json" not in head:  # what a Binary holds
            self.names.append(path.split("?")[0])
            self.bodies[self.names[0]] = {"content": body.decode("latin-1")}
            return None
        answer = json.loads(body)
        if answer["resourceType"] != "Bundle" or answer["type"] != "searchset":
            self.names.append(self.add(answer))
            return None
        entries = [(self.add(e["resource"]), e["search"]["mode"]) for e in answer.get("entry", [])]
        entries = [one for one in entries if one not in self.modes or one[0] != NOTICE]
        self.shape.append(sum(mode == "match" for _, mode in entries))
        self.names += [name for name, mode in entries if mode != "outcome"]
        self.modes += [(name, mode) for name, mode in entries if mode != "outcome"]
        following = [link["url"] for link in answer.get("link", []) if link["relation"] == "next"]
        return following[0].split("/fhir/", 1)[1] if following else None


def where(one, two, path=""):
    """The first place where two values differ."""
    if isinstance(one, dict) and isinstance(two, dict):
        for key in sorted(set(one) | set(two)):
            if one.get(key) != two.get(key):
                return where(one.get(key), two.get(key), f"{path}.{key}")
    if isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for i, (a, b) in enumerate(zip(one, two)):
            if a != b:
                return where(a, b, f"{path}[{i}]")
    return f"{path}: {json.dumps(one)[:120]} / {json.dumps(two)[:120]}"


def differences(one, two):
    """What a recipient of the second would see that is not in the first, in words."""
    if one.status != two.status:
        yield f"status {one.status} / {two.status}"
    elif sorted(one.names) != sorted(two.names):
        yield f"only store: {sorted(set(one.names) - set(two.names))} only server: {sorted(set(two.names) - set(one.names))}"
    elif sorted(one.modes) != sorted(two.modes):
        yield f"modes: {sorted(set(one.modes) ^ set(two.modes))}"
    elif one.shape != two.shape:
        yield f"pages of {one.shape} / {two.shape}"
    else:
        for name in one.bodies:
            if name in two.bodies and one.bodies[name] != two.bodies[name] and not name.startswith("OperationOutcome/"):
                yield f"{name}{where(one.bodies[name], two.bodies[name])}"
    if two.shows:
        yield f"shows {sorted(set(two.shows))}"


def compare(mine, theirs, records, patients, signed, base):
    address = base.split("//")[1].split("/")[0].encode()
    asked, released, found, took = 0, 0, [], [0.0, 0.0]
    for caller in house.CALLERS:
        for patient, path in questions(records, patients):
            hidden = (*SHOWS, address) + (CANARIES if patient and patient not in signed else ())
            one, two = Asked(mine, path, caller, hidden), Asked(theirs, path, caller, hidden)
            took = [took[0] + one.took, took[1] + two.took]
            asked += 1
            found += [(caller, path, words) for words in differences(one, two)]
            released += len(two.names)
            if not theirs.alive():
                raise SystemExit(f"the gateway died at {caller}: {path}\n{theirs.logged()[-3000:]}")
        print(f"  {caller}: so far {asked} questions, {released} records released, {len(found)} differences; "
              f"{took[0]:.0f} s over the store, {took[1]:.0f} s over the server", flush=True)
    return asked, found


# ---- What changes, and a server that goes by another name ----

def send(base, method, name, body=None):
    request = urllib.request.Request(f"{base}/{name}", body and json.dumps(body).encode(), method=method,
                                     headers={"Content-Type": "application/fhir+json"})
    urllib.request.urlopen(request, timeout=60).read()


def check_changes(h, base, rows):
    """A record is there as soon as the server has it, and gone as soon as it is deleted."""
    row = next(r for r in rows if r["resourceType"] == "Condition" and r["id"] == "bruno-pc-diabetes")
    query, name = "Condition?patient=bruno", "Condition/bruno-pc-new"
    before = Asked(h, query, "ward").names
    send(base, "PUT", name, {**row, "id": "bruno-pc-new"})
    h.expect("a new record is found at once", Asked(h, query, "ward").names.count(name) == 1 and name not in before)
    h.expect("and read", Asked(h, name, "ward").status == 200 and name in Asked(h, query, "agent").names)
    send(base, "PUT", name, {**row, "id": "bruno-pc-new", "meta": {"security": [
        {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "ETH"}]}})
    h.expect("labelled as substance use, it is withheld at once", name not in Asked(h, query, "agent").names)
    send(base, "DELETE", name)
    h.expect("deleted, it is not found", sorted(Asked(h, query, "ward").names) == sorted(before))
    h.expect("nor read: gone for whoever could have had it (if the server remembers), and for others what never was",
             Asked(h, name, "ward").status in (410, 404) and h.ask(name, "agent")[::2] == h.ask("Condition/bruno-pc-never", "agent")[::2])


def check_crowd(mine, theirs, patients):
    """Many at once share the connections that are kept, and each gets its own answer."""
    paths = [f"Patient/{patient}/$everything" for patient in patients] * 2
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda path: Asked(theirs, path, "exchange"), paths))
    wrong = {path: found for path, two in zip(paths, answers) if (found := list(differences(Asked(mine, path, "exchange"), two)))}
    theirs.expect(f"{len(paths)} at once: the same answers", not wrong, wrong)


def granted(folder, rows):
    """The shipped policy, with grants to write."""
    for part in ("policies", "terminology", "lexicon"):
        shutil.copytree(os.path.join(ROOT, "consent", part), os.path.join(folder, "granted", part))
    with open(os.path.join(folder, "granted", "policies", "house", "writes.yaml"), "w") as out:
        out.write(kept.grants(row["resourceType"] for row in rows))
    return os.path.join(folder, "granted", "policies")


def check_kept(args, folder, consents, base, rows):
    """What a writer was not shown of a record stands in the server as it was, after each kind of write."""
    h = House(args.sluice, consents=consents, upstream=base, extra=BOOK, policies=granted(folder, rows))
    try:
        h.start()
        names = sorted(f"{row['resourceType']}/{row['id']}" for row in rows)
        for writer in ("ward", "exchange"):
            pen, told = h.token(writer, "TREAT", "--scope", "system/*.cruds"), collections.Counter()
            wrong = kept.check(lambda path, method, headers, body: h.ask(path, pen, method, headers, body), base, names, told)
            h.expect(f"written by {writer}, what is hidden stays: {dict(told)}", told["PUT 200"] and not wrong, "\n      ".join(["", *wrong[:8]]))
    finally:
        h.close()
    return h.failures


def check_other_name(args, consents, base, mine):
    """The server's links name another address than the one that Sluice was given: refused, unless upstream.known-as says so."""
    other = base.replace("127.0.0.1", "localhost")
    address = base.split("//")[1].split("/")[0].encode()
    path = "Observation?patient=amara&_count=2"
    stranger = House(args.sluice, consents=consents, upstream=other)
    known = House(args.sluice, consents=consents, upstream=f"{other}\n  known-as: {base}")
    try:
        known.expect("links to somewhere else: 503, never a thinner answer", Asked(stranger.start(), path, "ward").status == 503)
        one, two = Asked(mine, path, "ward"), Asked(known.start(), path, "ward", (*SHOWS, address))
        known.expect("upstream.known-as: the same pages", not list(differences(one, two)), list(differences(one, two)))
    finally:
        stranger.close()
        known.close()
    return stranger.failures + known.failures


def report(asked, found):
    """The smallest request of each difference first."""
    kinds = {}
    for caller, path, words in sorted(found, key=lambda one: len(one[1])):
        kinds.setdefault(words, []).append(f"{caller}: {path}")
    for words, requests in list(kinds.items())[:40]:
        print(f"  {requests[0]}  ({len(requests)} requests)\n      {words}")
    print(f"{asked} questions asked of both, {len(found)} differences of {len(kinds)} kinds")


def run(args, folder, command):
    server = None if args.url else Server(command, folder, args.page)
    houses = []
    try:
        records, consents = house.clinic(folder)
        base = args.url or server.base
        if server:
            server.wait()
        rows = load(base, records[0])
        print(f"  {len(rows)} records stand in the server at {base}")
        with open(consents[0]) as lines:
            signed = {json.loads(line)["patient"]["reference"].removeprefix("Patient/") for line in lines}
        patients = args.patients.split(",") if args.patients else sorted(r["id"] for r in rows if r["resourceType"] == "Patient")
        houses = [House(args.sluice, records=records, consents=consents),
                  House(args.sluice, consents=consents, upstream=base, extra=BOOK)]
        for one in houses:
            one.start()
        asked, found = (0, []) if args.writes else compare(*houses, rows, patients, signed, base)
        report(asked, found)
        check_changes(houses[1], base, rows)
        check_crowd(*houses, patients)
        failures = check_other_name(args, consents, base, houses[0])
        failures += check_kept(args, folder, consents, base, rows)
        if args.log:
            with open(args.log, "w") as log:
                log.write(houses[1].logged())
        for one in houses:
            one.stop()
            failures += one.failures
        return 1 if found or failures else 0
    finally:
        for one in houses:
            one.close()
        if server:
            server.stop()


def main(words, name, command):
    """words: what the run is for; name: of its folder; command(folder installed into): what starts the server, see Server."""
    parser = argparse.ArgumentParser(description=words)
    parser.add_argument("--sluice", default=os.path.join(ROOT, "build", "release", "sluice"))
    parser.add_argument("--server", default=os.path.join(ROOT, "build", "conformance", name))
    parser.add_argument("--url")
    parser.add_argument("--patients")
    parser.add_argument("--page", type=int, default=4, help="most rows the server puts on a page")
    parser.add_argument("--writes", action="store_true", help="only what follows the comparison of answers: changes and writes")
    parser.add_argument("--log", help="keep the gateway's log here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix=f"sluice-{name}-") as folder:
        sys.exit(run(args, folder, command(os.path.abspath(args.server))))
