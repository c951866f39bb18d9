# SPDX-License-Identifier: Apache-2.0
import json
import signal
import threading
import time
import urllib.parse

import house

HEAD_SECONDS = 10  # deadlines of the gateway: handshake and head


def slow_clients(h):
    """Sockets that begin and do not go on: half a handshake, half a head, half a body, a byte now and then."""
    body = (f"POST /fhir/Patient/_search HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {h.tokens['ward']}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n_id=").encode()
    plain = house.socket.create_connection
    out = {"handshake": [plain(("127.0.0.1", h.port), 30) for _ in range(50)]}
    for sock in out["handshake"]:
        sock.sendall(b"\x16\x03\x01")
    for kind, text in (("head", b"GET /fhir/Patient HTTP/1.1\r\nHost: x\r\n"), ("drip", b"GET /fhir/Patient HTTP/1.1\r\n"), ("body", body)):
        out[kind] = [h.connect(30) for _ in range(30)]
        for sock in out[kind]:
            sock.sendall(text)
    return out


def drip(socks, until):
    """A header line each second: each byte comes in time, the whole does not."""
    while time.monotonic() < until:
        for sock in socks:
            try:
                sock.sendall(b"X-A: b\r\n")
            except OSError:
                return
        time.sleep(1)


def last_words(sock):
    try:
        return sock.recv(1000)
    except OSError:
        return b""


def upstream_that_waits(records):
    """Answers by ids and by patient; MedicationRequests not before it is told to go on."""
    rows = [json.loads(line) for line in open(records[0])]
    going, waiting = threading.Event(), threading.Event()

    def answer(path, handler):
        kind, _, query = path.rpartition("/")[2].partition("?")
        asked = dict(urllib.parse.parse_qsl(query))
        ids, patient = asked.get("_id", "").split(","), "Patient/" + asked.get("patient", "").removeprefix("Patient/")
        found = [r for r in rows if r["resourceType"] == kind and
                 (r["id"] in ids or r.get("subject", {}).get("reference") == patient)]
        if kind == "MedicationRequest":
            waiting.set()
            going.wait(10)
        house.send(handler, json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": r} for r in found]}))
    return house.Upstream(answer), waiting, going


def changes_meanwhile(sluice, folder):
    """A consent that is revoked while the upstream thinks: the answer is the one after it."""
    records, consents = house.clinic(folder)
    server, waiting, going = upstream_that_waits(records)
    h = house.House(sluice, upstream=server.url, consents=consents)
    h.start()
    going.set()
    before = h.ids("MedicationRequest?patient=amara")
    h.expect("with the consent, methadone is there", isinstance(before, list) and "amara-otp-methadone" in before, h.logged())
    going.clear()
    waiting.clear()
    got = []
    asking = threading.Thread(target=lambda: got.append(h.ids("MedicationRequest?patient=amara")))
    asking.start()
    waiting.wait(10)
    consent = next(json.loads(line) for line in open(consents[0]) if '"amara-consent-tpo"' in line)
    consent["status"] = "inactive"
    h.write("revoked.json", json.dumps(consent))
    h.run("consent", "import", "--store", h.at("policy"), h.at("revoked.json"))
    going.set()
    asking.join(20)
    h.expect("revoked while the records were on their way: gone", got and got[0] == sorted(set(before) - {"amara-otp-methadone"}), got)
    h.close()
    return h.failures


def scenario(sluice, folder):
    """clients and upstreams that take their time hold nobody up, and not for ever"""
    records, consents = house.clinic(folder, "--patients", "2000")
    h = house.House(sluice, records=records, consents=consents, tls=True)
    h.start()
    began = time.monotonic()
    slow = slow_clients(h)
    dripping = threading.Thread(target=drip, args=(slow["drip"], began + HEAD_SECONDS + 3), daemon=True)
    dripping.start()
    times = []
    for n in range(20):
        at = time.monotonic()
        h.failures += len(h.ids("Condition?_count=5")) != 5
        times.append(time.monotonic() - at)
        if n % 5 == 0:
            h.server.send_signal(signal.SIGHUP)
    h.expect(f"others are answered soon: {max(times):.2f} s at most", max(times) < 2)
    at = time.monotonic()
    status, _, text = h.ask("Condition?_count=1000")
    h.expect(f"the largest page of 2,000 patients: {status}, {len(text) >> 10} KiB in {time.monotonic() - at:.1f} s",
             (status == 200 and text.endswith(b"}")) or (status == 503 and b"too-costly" in text), text[:200])
    for kind in ("handshake", "head", "drip"):
        words = [last_words(sock) for sock in slow[kind]]
        if kind == "handshake":
            h.expect("half a handshake: closed", not any(word.startswith(b"HTTP") for word in words), words[0])
        else:
            h.expect(f"{kind}: 408", all(word.startswith(b"HTTP/1.1 408 ") for word in words), words[0])
    took = time.monotonic() - began
    h.expect(f"after {took:.0f} s", HEAD_SECONDS - 1 < took < HEAD_SECONDS + 5)
    for socks in slow.values():
        for sock in socks:
            sock.close()
    h.expect("SIGHUP has taken the certificates up again", "taken up again" in h.logged())
    h.close()
    return h.failures + changes_meanwhile(sluice, folder)


house.main(scenario)
