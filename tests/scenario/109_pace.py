# SPDX-License-Identifier: Apache-2.0
import json
import os
import shutil
import statistics
import time
import urllib.parse

import house
import two_worlds

GRANTS = """layer: organization
writes:
  - {id: partners, title: Partners add observations., to: [hie-partner], for: [treatment], may: [create], types: [Observation]}
"""
PACE = 150  # milliseconds: on a machine at work, too, everything here takes less


class Slow:
    """A FHIR server that takes its time to look for what hides: ten times as long as for what is not there."""

    def __init__(self, rows):
        self.rows = {(r["resourceType"], r["id"]): r for r in rows}
        self.server = house.Upstream(self.answer)

    def answer(self, path, handler):
        path, _, query = path.removeprefix("/fhir").lstrip("/").partition("?")
        names, params = path.split("/"), dict(urllib.parse.parse_qsl(query))
        if len(names) > 1:
            found = [self.rows[key] for key in [tuple(names[:2])] if key in self.rows]
        else:
            ids = params.get("_id", params.get("patient", "")).removeprefix("Patient/").split(",")
            found = [r for (kind, ident), r in self.rows.items() if kind == names[0] and (ident in ids or "patient" in params)]
        time.sleep(0.03 if any("harbor" in json.dumps(r) for r in found) else 0.003)
        if len(names) == 2 or not found and len(names) > 2:
            return house.send(handler, json.dumps(found[0] if found else {"resourceType": "OperationOutcome"}), 200 if found else 404)
        if len(names) > 2:
            return house.send(handler, json.dumps({"resourceType": "Bundle", "type": "history", "entry": [
                {"resource": r, "request": {"method": "PUT", "url": "/".join(names[:2])}} for r in found]}))
        return house.send(handler, json.dumps({"resourceType": "Bundle", "type": "searchset",
                                               "entry": [{"resource": r, "search": {"mode": "match"}} for r in found]}))


def world():
    yield from (r for r in two_worlds.common(False) if r["resourceType"] in ("Patient", "Organization"))
    yield {"resourceType": "Organization", "id": "harbor-recovery", "name": "Harbor"}
    meta = {"meta": {"versionId": "1", "lastUpdated": "2025-01-01T00:00:00Z"}}
    yield two_worlds.observation("seen", "ann", "2024-01-01", 70, **meta)
    yield two_worlds.observation("hidden", "bob", "2024-01-01", 70, place="harbor-recovery", **meta)


BATCH = '{{"resourceType":"Bundle","type":"batch","entry":[{{"request":{{"method":"GET","url":"Observation/{0}"}}}}]}}'
NAMING = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [
    {"request": {"method": "POST", "url": "Observation"}, "resource": {
        "resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": "Patient/ann"},
        "derivedFrom": [{"reference": "Observation?_id=@"}]}}]})
ASKED = (  # what is asked with the id of something
    ("a read", lambda h, i: h.ask(f"Observation/{i}", "exchange")),
    ("a HEAD", lambda h, i: h.ask(f"Observation/{i}", "exchange", method="HEAD")),
    ("a version", lambda h, i: h.ask(f"Observation/{i}/_history/1", "exchange")),
    ("a search by id", lambda h, i: h.ask(f"Observation?_id={i}", "exchange")),
    ("what a transaction names by a search", lambda h, i: h.ask("", "exchange", "POST", ["Content-Type: application/fhir+json"], NAMING.replace("@", i).encode())),
    ("an entry of a batch", lambda h, i: h.ask("", "exchange", "POST", ["Content-Type: application/fhir+json"], BATCH.format(i).encode())),
)


def held_back(h, ident, body):
    """Sends all but the last byte, waits until a little less than the pace is left, and counts from the last."""
    form = f"_id={ident}" if body else ""
    line = "POST /fhir/Observation/_search" if body else f"GET /fhir/Observation/{ident}"
    more = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n" if body else ""
    data = f"{line} HTTP/1.1\r\nHost: localhost\r\n{more}Authorization: Bearer {h.tokens['exchange']}\r\n\r\n{form}".encode()
    with h.connect() as sock:
        sock.sendall(data[:-1])
        time.sleep((PACE - 18) / 1000)
        begun = time.monotonic()
        sock.sendall(data[-1:])
        sock.recv(4096)
        return (time.monotonic() - begun) * 1000


def took(ask, *args):
    begun = time.monotonic()
    answer = ask(*args)
    return (time.monotonic() - begun) * 1000, answer


def scenario(sluice, folder):
    """An answer that releases nothing comes at a multiple of limits.pace: what is hidden takes as long as what is not there."""
    slow = Slow(list(world()))
    for part in ("policies", "terminology", "lexicon"):
        shutil.copytree(os.path.join(house.ROOT, "consent", part), os.path.join(folder, part))
    with open(os.path.join(folder, "policies", "writers.yaml"), "w") as out:
        out.write(GRANTS)
    houses = [house.House(sluice, upstream=slow.server.url, policies=os.path.join(folder, "policies"), extra=f"limits:\n  pace: {pace}\n") for pace in (PACE, 0)]
    for h in houses:
        h.tokens["exchange"] = h.token("exchange", "TREAT", "--scope", "system/*.cruds")
        h.start()
    paced, at_once = houses
    h = paced
    try:
        for name, ask in ASKED:
            ask(h, "seen"), ask(h, "hidden"), ask(at_once, "hidden")  # connections and labels are there from here on
            hidden, absent = ([took(ask, h, i) for _ in range(6)] for i in ("hidden", "absent"))
            middle = [statistics.median(ms for ms, _ in several) for several in (hidden, absent)]
            h.expect(f"{name}: hidden and absent take as long", all(PACE <= ms < PACE + 30 for ms in middle), middle)
            h.expect(f"{name}: and say as much", hidden[0][1][2].replace(b"hidden", b"") == absent[0][1][2].replace(b"absent", b""))
            quick = [min(took(ask, at_once, i)[0] for _ in range(3)) for i in ("hidden", "absent")]
            h.expect(f"{name}: where nothing is put off, the hidden takes longer", quick[0] > quick[1] + 15 and quick[1] < PACE, quick)
        for body in (False, True):
            all_of = {i: min(held_back(h, i, body) for _ in range(3)) for i in ("hidden", "absent")}
            h.expect("nobody chooses how much of the pace is left by holding a byte back", all(ms >= PACE for ms in all_of.values()), all_of)
        ms, (status, _, _) = min(took(h.ask, "Observation/seen", "exchange") for _ in range(3))
        h.expect("what is released is not put off", status == 200 and ms < PACE, ms)
        ms, (status, _, _) = min(took(h.ask, "Observation/seen?what=1", "exchange") for _ in range(3))
        h.expect("nor what was refused before anything was asked", status == 400 and ms < PACE, ms)
        with h.connect() as sock:
            sock.sendall(f"GET /fhir/Observation/hidden HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {h.tokens['exchange']}\r\n\r\n".encode())
            time.sleep(0.05)
            h.stop()
            h.expect("what waits is answered before the gateway ends", sock.recv(4096).startswith(b"HTTP/1.1 404"))
    finally:
        at_once.close()
        paced.close()
    return paced.failures + at_once.failures


house.main(scenario)
