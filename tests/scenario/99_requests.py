# SPDX-License-Identifier: Apache-2.0
import json
import re
import time

import house

PEERS, BODY = 24, 4096  # connections of one peer, and bytes of a body, that this gateway takes
ELSEWHERE = b"elsewhere.example"


def head(h, target="/fhir/Patient?_id=kei", host="localhost", version="HTTP/1.1", method="GET", more=()):
    lines = [f"{method} {target} {version}", f"Authorization: Bearer {h.tokens['ward']}", *([f"Host: {host}"] if host is not None else []), *more]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def statuses(answer):
    return [int(number) for number in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def targets():
    """Request targets that mean two things to two readers, and those that mean one: with what is answered."""
    yield from ((target, 400) for target in (
        "http://elsewhere.example/fhir/Patient", "http://localhost/fhir/Patient", "https://localhost@elsewhere.example/fhir", "//elsewhere.example/fhir/..",
        "/fhir/../fhir/Patient", "/fhir/./Patient", "/fhir/%2e%2e/Patient", "/fhir/.%2E/Patient", "/fhir/Patient/kei/..", "/fhir/Patient%2Fkei",
        "/fhir/Patient%5ckei", "/fhir/Patient/%00", "/fhir/Patient/kei%00.json", "/fhir/Patient/%0d%0aX:y", "/fhir/Patient/%", "/fhir/Patient/%zz",
        "/fhir/Patient/kei#x", "/fhir/Patient?name=%00", "/fhir/Pati\\ent", "fhir/Patient", "*", "localhost:80"))
    yield from ((target, 404) for target in ("/", "/fhir/Patient/none", "/FHIR/Patient/kei", "/fhir//Patient/kei", "/fhirx/Patient/kei", "//fhir/Patient/kei"))
    yield "/fhir/Patient?%5fid=kei", 200  # what an escape stands for is what it is


def hosts():
    yield from ((host, 400) for host in ("", "user@localhost", "localhost/fhir", "localhost:99999999", "localhost:8a", "a b", "[::1", "local\x7fhost",
                                         "localhost, elsewhere.example", "%00", "local?host", "localhost#"))
    yield from ((host, 200) for host in ("elsewhere.example", "[::1]:80", "LOCALHOST:1"))


def fields():
    """What is said of the message besides: fields, what is answered."""
    long = "x" * 9000
    yield ("Expect: 100-continue",), 200
    yield ("Expect: 200-ok",), 417
    yield ("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"), 200  # nothing is upgraded
    yield ("Upgrade: websocket", "Connection: Upgrade"), 200
    yield tuple(f"X-{n}: y" for n in range(90)), 200
    yield tuple(f"X-{n}: y" for n in range(101)), 431
    yield tuple(f"X-{n}: {long}" for n in range(4)), 431
    yield ("X-Forwarded-Host: elsewhere.example", "Forwarded: host=elsewhere.example", "X-Forwarded-Proto: https"), 200
    yield ("X Y: z",), 400
    yield ("X\x01: z",), 400
    yield (": z",), 400
    yield ("Transfer-Encoding: gzip, chunked",), 400
    yield ("Transfer-Encoding: identity",), 400
    yield ("Transfer-Encoding: chunked, chunked",), 400
    yield ("Content-Length: 0x10",), 400
    yield ("Content-Length: +1",), 400
    yield ("Content-Length: 1, 1",), 400
    yield ("Content-Length: 99999999999999999999999",), 413


def versions(h):
    """Whole messages: what they are, the bytes, the statuses of the answers (None: refused, or one answer, and nothing more)."""
    get = head(h)
    form = head(h, "/fhir/Patient/_search", method="POST", more=("Content-Type: application/x-www-form-urlencoded", "Transfer-Encoding: chunked"))
    yield "HTTP/0.9", b"GET /fhir/metadata\r\n\r\n", [400]
    yield "HTTP/1.0 without Host", head(h, host=None, version="HTTP/1.0"), [200]
    yield "HTTP/1.2", head(h, version="HTTP/1.2"), [505]
    yield "http/1.1", head(h, version="http/1.1"), [400]
    yield "the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", None
    yield "a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", [400]
    yield "empty lines first", b"\r\n\r\n" + head(h, more=("Connection: close",)), [200]
    yield "many empty lines", b"\r\n" * 9 + get, [400]
    yield "two in one packet", get + head(h, target="/fhir/Patient?_id=amara", more=("Connection: close",)), [200, 200]
    yield "nothing behind what is refused", head(h, target="/fhir/%00") + get, [400]
    yield "nothing behind a close", head(h, more=("Connection: close",)) + get, [200]
    yield "a body that a GET should not have", head(h, more=("Content-Length: 5",)) + b"abcde" + head(h, more=("Connection: close",)), None
    yield "a body over the limit, in chunks", form + b"1000\r\n" + b"a" * 4096 + b"\r\n1\r\na\r\n0\r\n\r\n", [413]
    for lie in (b"5;a=\x01\r\n", b"5 \r\n", b"-5\r\n", b"0x5\r\n", b"5\n", b"5;" + b"e" * 300 + b"\r\n", b"10000000000000005\r\n", b"\r\n"):
        yield f"a chunk that says {lie[:12]!r}", form + lie + b"_id=k\r\n0\r\n\r\n", [400]
    yield "a length in a trailer", form + b"5\r\n_id=k\r\n0\r\nContent-Length: 9\r\n\r\n", [400]


def check_table(h, kind, table, make):
    """One expectation a table: what was answered otherwise is shown."""
    wrong, shown = [], []
    for one, wanted in table:
        answer = h.raw(make(one), timeout=5)
        got = statuses(answer)
        wrong += [] if got[-1:] == [wanted] else [(one, wanted, got)]
        shown += [one] if ELSEWHERE in answer or (wanted != 200 and b"OperationOutcome" not in answer) else []
    h.expect(f"{kind}: each refused or answered as it should be", not wrong, wrong[:5])
    h.expect(f"{kind}: no answer repeats a name that was sent, and each refusal is an OperationOutcome", not shown, shown[:5])


def check_messages(h):
    for name, data, wanted in versions(h):
        got = statuses(h.raw(data, timeout=5))
        h.expect(name, got == wanted if wanted else got and 200 not in got[1:] and got[0] in (200, 400, 405, 505), got)
    host = h.raw(head(h, "/fhir/Patient?_count=2", host="elsewhere.example", more=("Connection: close",)))
    links = [link["url"] for link in json.loads(host.split(b"\r\n\r\n", 1)[1])["link"]]
    h.expect("links are of the configured address, whatever Host says", links and all(url.startswith(h.base) for url in links), links)
    with h.connect() as sock:  # 100 goes out once the head is accepted, before the body
        sock.sendall(head(h, "/fhir/Patient/_search", method="POST", more=(
            "Content-Type: application/x-www-form-urlencoded", "Content-Length: 7", "Expect: 100-continue", "Connection: close")))
        first = sock.recv(100)
        sock.sendall(b"_id=kei")
        rest = b"".join(iter(lambda: sock.recv(65536), b""))
    h.expect("a client that waits is told to go on", first == b"HTTP/1.1 100 Continue\r\n\r\n" and statuses(rest) == [200], (first, rest[:100]))


def check_peers(h):
    """A peer has so many connections; the next one is closed unheard, and one that is given back can be had again."""
    for _ in range(5):  # connections of the checks before may not be given back yet
        held = [h.connect() for _ in range(PEERS)]
        time.sleep(0.2)
        with h.connect(5) as over:
            try:
                over.sendall(head(h))
                refused = over.recv(100) == b""
            except ConnectionError:
                refused = True
        if refused:
            break
        for sock in held:
            sock.close()
        time.sleep(1)
    h.expect(f"connection {PEERS + 1} of one peer is closed", refused)
    held[0].sendall(head(h, more=("Connection: close",)))
    h.expect("those it has go on", statuses(held[0].recv(65536))[:1] == [200])
    for sock in held:
        sock.close()
    for _ in range(100):
        answer = h.raw(head(h, more=("Connection: close",)), timeout=5)
        if answer:
            break
        time.sleep(0.02)
    h.expect("what is given back can be had again", statuses(answer) == [200])


def scenario(sluice, folder):
    """requests made to be read in two ways: targets, hosts, fields, versions, framing, and how many at a time"""
    records, consents = house.clinic(folder)
    h = house.House(sluice, records=records, consents=consents, extra=f"limits:\n  connections-peer: {PEERS}\n  request-body: {BODY}\n")
    h.start()
    close = ("Connection: close",)
    check_table(h, "targets", targets(), lambda target: head(h, target, more=close))
    check_table(h, "hosts", hosts(), lambda host: head(h, host=host, more=close))
    check_table(h, "fields", fields(), lambda more: head(h, more=(*more, "Connection: close") if "Upgrade" not in more[-1] else more + ("Connection: close",)))
    check_messages(h)
    check_peers(h)
    h.expect("and it answers still", h.ids("Patient?_id=kei") == ["kei"])
    h.close()
    return h.failures


house.main(scenario)
