# SPDX-License-Identifier: Apache-2.0
import gzip
import json
import os
import socket
import ssl
import subprocess
import threading
import time

import house

KEI = json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": [
    {"fullUrl": "Patient/kei", "resource": {"resourceType": "Patient", "id": "kei"}, "search": {"mode": "match"}}]}).encode()
EMPTY = b'{"resourceType":"Bundle","type":"searchset"}'
ASK = "Patient?_id=kei"
LIMIT = 262144


def answer(body, *more):
    head = ["HTTP/1.1 200 OK", "Content-Type: application/fhir+json", *(more or (f"Content-Length: {len(body)}",))]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


class Raw:
    """An upstream of bytes: `act(connection, number on it)` is asked for each question about Patients, and may answer None:
    as a server should."""

    def __init__(self, secure=None):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.secure = secure
        self.connections = self.asked = 0
        self.act = None
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            conn, _ = self.listener.accept()
            self.connections += 1
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def serve(self, conn):
        try:
            if self.secure:
                conn = self.secure.wrap_socket(conn, server_side=True)
            number = 0
            buffered = b""
            while True:
                while b"\r\n\r\n" not in buffered:
                    more = conn.recv(65536)
                    if not more:
                        return
                    buffered += more
                head, _, buffered = buffered.partition(b"\r\n\r\n")
                number += 1
                about = b"/fhir/Patient?" in head and b"_id=kei" in head
                self.asked += about
                said = self.act(conn, number) if about and self.act else None
                if said == "close":
                    return
                if not said:
                    conn.sendall(answer(KEI if about else EMPTY))
        except OSError:
            pass
        finally:
            conn.close()


def says(*pieces, then="close", pause=0.0):
    def act(conn, _):
        for piece in pieces:
            conn.sendall(piece)
            time.sleep(pause)
        return then
    return act


def silent(conn, _):
    time.sleep(4)
    return "close"


def drips(conn, _):
    conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: 100\r\n\r\n")
    for _ in range(40):
        conn.sendall(b" ")
        time.sleep(0.1)
    return "close"


# What no reader may take for an answer. Each would be good but for its one mistake.
SHAPES = {
    "two lengths": answer(KEI, f"Content-Length: {len(KEI)}", f"Content-Length: {len(KEI)}"),
    "a list of lengths": answer(KEI, f"Content-Length: {len(KEI)}, {len(KEI)}"),
    "both framings": answer(b"%x\r\n%s\r\n0\r\n\r\n" % (len(KEI), KEI), "Transfer-Encoding: chunked", f"Content-Length: {len(KEI)}"),
    "another coding": answer(KEI, "Transfer-Encoding: gzip, chunked"),
    "obs-fold": answer(KEI, "X-A: a", " b", f"Content-Length: {len(KEI)}"),
    "space before the colon": answer(KEI, f"Content-Length : {len(KEI)}"),
    "bare LF": answer(KEI).replace(b"\r\n", b"\n"),
    "a signed chunk": answer(b"+%x\r\n%s\r\n0\r\n\r\n" % (len(KEI), KEI), "Transfer-Encoding: chunked"),
    "less than announced": answer(KEI, f"Content-Length: {len(KEI) + 1}"),
    "chunks without an end": answer(b"%x\r\n%s\r\n" % (len(KEI), KEI), "Transfer-Encoding: chunked"),
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n" + answer(KEI),
    "too long, as announced": answer(KEI, f"Content-Length: {LIMIT + 1}"),
    "too long, in one chunk": answer(b"%x\r\n" % (LIMIT + 1), "Transfer-Encoding: chunked"),
    "too long, until the close": answer(KEI + b" " * LIMIT, "X-A: b"),
    "too long, unpacked": (lambda b: answer(b, f"Content-Length: {len(b)}", "Content-Encoding: gzip"))(gzip.compress(KEI + b" " * LIMIT)),
    "no gzip": answer(KEI, f"Content-Length: {len(KEI)}", "Content-Encoding: gzip"),
    "an unknown packing": answer(KEI, f"Content-Length: {len(KEI)}", "Content-Encoding: br"),
}
PACKED = gzip.compress(KEI)
GOOD = {
    "until the close": answer(KEI, "X-A: b"),
    "chunks": answer(b"%x\r\n%s\r\n%x;a=b\r\n%s\r\n0\r\nX-T: u\r\n\r\n" % (10, KEI[:10], len(KEI) - 10, KEI[10:]), "Transfer-Encoding: chunked"),
    "an interim answer before": b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + answer(KEI),
    "gzip that nobody asked for": answer(PACKED, f"Content-Length: {len(PACKED)}", "Content-Encoding: gzip"),
    "HTTP/1.0": answer(KEI).replace(b"HTTP/1.1", b"HTTP/1.0"),
}


def timed(h):
    began = time.monotonic()
    status, head, body = h.ask(ASK)
    return status, time.monotonic() - began, head


def house_over(sluice, upstream, more="", scheme="http"):
    h = house.House(sluice, upstream=f"{scheme}://localhost:{upstream.port}/fhir")
    keys = ("connect-ms: 500", "first-byte-ms: 400", "stall-s: 1", "total-ms: 3000", f"body: {LIMIT}", *more.split(","))
    text = open(h.at("sluice.yaml")).read().replace("workers: 2", "workers: 1")
    h.write("sluice.yaml", text.replace("upstream:\n", "upstream:\n" + "".join(f"  {key.strip()}\n" for key in keys if key.strip()), 1))
    return h


def shapes(h, upstream):
    first = None
    for name, text in SHAPES.items():
        upstream.act = says(text)
        status, _, body = h.ask(ASK)
        first = first or body
        h.expect(f"{name}: 503, in the words of every failure", (status, body) == (503, first), (status, body[:200]))
    for name, text in GOOD.items():
        upstream.act = says(text)
        h.expect(f"{name}: taken", h.ids(ASK) == ["kei"], h.logged()[-300:])
        upstream.act = says(b"".join(text[i:i + 1] for i in range(0)), *[text[i:i + 7] for i in range(0, len(text), 7)])
        h.expect(f"{name}, in pieces: taken", h.ids(ASK) == ["kei"])
    upstream.act = says(answer(KEI) + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", then="more")
    h.expect("more than was asked for: the answer counts, what stands behind it does not", h.ids(ASK) == ["kei"] and h.ids(ASK) == ["kei"])


def kept(h, upstream):
    upstream.act = None
    h.ids(ASK)
    before = upstream.connections
    h.expect("ten questions more", all(h.ids(ASK) == ["kei"] for _ in range(10)))
    h.expect("on connections that were kept", upstream.connections == before, upstream.connections - before)
    upstream.act = lambda conn, number: "close" if number > 1 else None
    h.expect("a kept connection that closes without a byte: asked once more, on a new one", h.ids(ASK) == ["kei"])
    h.expect("and again", h.ids(ASK) == ["kei"])
    before = upstream.asked
    upstream.act = lambda conn, number: "close"
    h.expect("a new one that closes so: 503", h.ask(ASK)[0] == 503)
    h.expect("and not asked a third time", upstream.asked - before <= 2, upstream.asked - before)
    upstream.act = None
    h.ids(ASK)
    before = upstream.asked
    upstream.act = says(b"HTTP/1.1 2")
    h.expect("one that closes after a byte: 503, asked once", h.ask(ASK)[0] == 503 and upstream.asked == before + 1, upstream.asked - before)


def deadlines(h, upstream):
    upstream.act = silent
    status, took, _ = timed(h)
    h.expect(f"no byte in time: 503 after {took:.2f} s", status == 503 and 0.3 < took < 1.5)
    upstream.act = drips
    status, took, _ = timed(h)
    h.expect(f"an answer in drops: 503 after {took:.2f} s", status == 503 and 0.9 < took < 2.5)


def breaker(sluice, upstream):
    h = house_over(sluice, upstream, "failures: 3, window-s: 60, pause-s: 1").start()
    upstream.act = says(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", then="more")
    h.expect("three failures", [h.ask(ASK)[0] for _ in range(3)] == [503] * 3)
    asked = upstream.asked
    status, took, head = timed(h)
    h.expect("then it is left alone: 503 at once, Retry-After, nothing asked",
             status == 503 and took < 0.3 and "retry-after" in head.lower() and upstream.asked == asked, (status, took, head))
    time.sleep(1.1)
    h.expect("after a pause one question tries, and fails", h.ask(ASK)[0] == 503 and upstream.asked == asked + 1, upstream.asked - asked)
    h.expect("and it is left alone again", h.ask(ASK)[0] == 503 and upstream.asked == asked + 1, upstream.asked - asked)
    upstream.act = None
    time.sleep(1.1)
    h.expect("one that succeeds ends it", all(h.ids(ASK) == ["kei"] for _ in range(3)), h.logged()[-500:])
    h.close()
    return h.failures


def queue(sluice, upstream):
    """Two connections, two that wait: of twelve at once, most are refused at once, and those that waited are answered."""
    h = house_over(sluice, upstream, "connections: 2, queue: 2, failures: 1000").start()
    going = threading.Event()
    upstream.act = lambda conn, number: None if going.wait(0.3) else None
    got = []
    asking = [threading.Thread(target=lambda: got.append(timed(h)[:2])) for _ in range(12)]
    for one in asking:
        one.start()
    for one in asking:
        one.join(10)
    good, refused = [g for g in got if g[0] == 200], [g for g in got if g[0] == 503]
    h.expect(f"{len(good)} answered, {len(refused)} refused", len(got) == 12 and 2 <= len(good) <= 6 and len(refused) >= 6, got)
    h.expect("those refused at once", min(took for _, took in refused) < 0.25, refused)
    h.expect("the operator is told", "upstream-busy" in h.logged())
    upstream.act = None
    h.expect("and it goes on", h.ids(ASK) == ["kei"])
    h.close()
    return h.failures


def secured(sluice, folder):
    """TLS: a certificate of the authority, for that host; or nothing is asked."""
    for name, host in (("right", "localhost"), ("wrong", "elsewhere.example")):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                        f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}", "-keyout", os.path.join(folder, name + ".key"), "-out",
                        os.path.join(folder, name + ".pem")], check=True, capture_output=True)
    failures = 0
    for shown, trusted, status in (("right", "right", 200), ("right", "wrong", 503), ("wrong", "wrong", 503)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(folder, shown + ".pem"), os.path.join(folder, shown + ".key"))
        upstream = Raw(context)
        h = house_over(sluice, upstream, f"ca: {os.path.join(folder, trusted + '.pem')}", "https").start()
        got = [h.ask(ASK)[0] for _ in range(2)]
        h.expect(f"certificate {shown}, authority {trusted}: {status}", got == [status] * 2 and bool(upstream.asked) == (status == 200), got)
        if status == 200:
            h.expect("kept", upstream.connections <= 3, upstream.connections)
            upstream.act = says(answer(KEI, "X-A: b"))
            h.expect("an end that is no goodbye may have cut it short: 503", h.ask(ASK)[0] == 503)
        h.close()
        failures += h.failures
    return failures


def scenario(sluice, folder):
    """an upstream that is slow, ill, broken or wicked costs its own answers, within bounds, and nothing else"""
    upstream = Raw()
    h = house_over(sluice, upstream, "failures: 1000").start()
    h.expect("localhost is found by name", h.ids(ASK) == ["kei"], h.logged())
    shapes(h, upstream)
    kept(h, upstream)
    deadlines(h, upstream)
    h.close()
    return h.failures + breaker(sluice, upstream) + queue(sluice, upstream) + secured(sluice, folder)


house.main(scenario)
