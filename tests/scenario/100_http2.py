# SPDX-License-Identifier: Apache-2.0
import gzip
import importlib
import json
import os
import random
import re
import shutil
import threading
import time

import house
import http2_server as two
from http2_server import ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PUSH, RST, SETTINGS, WINDOW, block, frame

writing = importlib.import_module("90_writes")

KEI = json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": [
    {"fullUrl": "Patient/kei", "resource": {"resourceType": "Patient", "id": "kei"}, "search": {"mode": "match"}}]}).encode()
EMPTY = b'{"resourceType":"Bundle","type":"searchset"}'
ASK = "Patient?_id=kei"
LIMIT = 262144
JSON = ("content-type", "application/fhir+json")
OK = (":status", "200")


def about(request):
    return "/fhir/Patient?" in request.path and "_id=kei" in request.path


def say(path, request):
    house.send(request, KEI if "_id=kei" in path and "/Patient?" in path else EMPTY)


def whole(*fields, body=KEI, end=END_STREAM):
    """A head of these fields, and a body."""
    def act(stream):
        data = [frame(DATA, 0, stream, body[at:at + 16000]) for at in range(0, len(body), 16000)]
        return [frame(HEADERS, END_HEADERS, stream, block(*fields)), *data, frame(DATA, end, stream)]
    return act


def head(*fields, flags=END_HEADERS, after=b""):
    return lambda stream: [frame(HEADERS, flags, stream, block(*fields)), after]


def frames(*more):
    """A head that would be good, and then these; STREAM stands for its number."""
    return lambda stream: [frame(HEADERS, END_HEADERS, stream, block(OK, JSON)), *(one(stream) if callable(one) else one for one in more)]


def body(stream):
    return frame(DATA, END_STREAM, stream, KEI)


def trailers(*fields, flags=END_HEADERS | END_STREAM):
    return lambda stream: frame(DATA, 0, stream, KEI) + frame(HEADERS, flags, stream, block(*fields))


def floods(one, count):
    """Before an answer that would be good."""
    return lambda stream: [one(stream) * count, *whole(OK, JSON)(stream)]


def long_head(pieces, piece):
    """A head in so many frames."""
    return lambda stream: [frame(HEADERS, 0, stream, block(OK, JSON)), *[frame(CONTINUATION, 0, stream, piece)] * pieces,
                           frame(CONTINUATION, END_HEADERS, stream), body(stream)]


MALFORMED, LARGE, RESET, FLOOD = "upstream-malformed", "upstream-too-large", "upstream-reset", "upstream-flood"
length = ("content-length", str(len(KEI)))
# What no reader may take for an answer. Each would be good but for its one mistake; what the operator is told stands beside it.
SHAPES = {
    "an upper-case name": (whole(OK, ("Content-Type", "application/fhir+json")), MALFORMED),
    "no code": (whole(JSON), MALFORMED),
    "two codes": (whole(OK, OK, JSON), MALFORMED),
    "a code after a field": (whole(JSON, OK), MALFORMED),
    "a code of two digits": (whole((":status", "20"), JSON), MALFORMED),
    "a code of four": (whole((":status", "2000"), JSON), MALFORMED),
    "a code with a sign": (whole((":status", "+20"), JSON), MALFORMED),
    "code 600": (whole((":status", "600"), JSON), MALFORMED),
    "a field of requests": (whole(OK, (":path", "/"), JSON), MALFORMED),
    "a pseudo-header field of nobody's": (whole(OK, (":secret", "x"), JSON), MALFORMED),
    "Connection": (whole(OK, JSON, ("connection", "keep-alive")), MALFORMED),
    "Transfer-Encoding": (whole(OK, JSON, ("transfer-encoding", "chunked")), MALFORMED),
    "Upgrade": (whole(OK, JSON, ("upgrade", "h2c")), MALFORMED),
    "a name that is no token": (whole(OK, JSON, ("x a", "b")), MALFORMED),
    "an empty name": (whole(OK, JSON, ("", "b")), MALFORMED),
    "a line break in a value": (whole(OK, JSON, ("x-a", "b\r\nx-c: d")), MALFORMED),
    "NUL in a value": (whole(OK, JSON, ("x-a", "b\0c")), MALFORMED),
    "two lengths": (whole(OK, JSON, length, length), MALFORMED),
    "a list of lengths": (whole(OK, JSON, ("content-length", f"{len(KEI)}, {len(KEI)}")), MALFORMED),
    "a signed length": (whole(OK, JSON, ("content-length", f"+{len(KEI)}")), MALFORMED),
    "less than announced": (whole(OK, JSON, ("content-length", str(len(KEI) + 1))), MALFORMED),
    "more than announced": (whole(OK, JSON, ("content-length", str(len(KEI) - 1))), MALFORMED),
    "204 with a body": (whole((":status", "204"), JSON), MALFORMED),
    "another protocol": (lambda s: [frame(HEADERS, END_HEADERS, s, block((":status", "101"))), *whole(OK, JSON)(s)], MALFORMED),
    "an interim answer that ends": (head((":status", "103"), flags=END_HEADERS | END_STREAM), MALFORMED),
    "interim answers without end": (lambda s: [frame(HEADERS, END_HEADERS, s, block((":status", "103")))] * 9 + whole(OK, JSON)(s), MALFORMED),
    "a body without a head": (lambda s: [body(s)], MALFORMED),
    "a code in trailers": (frames(trailers(OK)), MALFORMED),
    "trailers that are not the end": (frames(trailers(("x-a", "b"), flags=END_HEADERS)), MALFORMED),
    "a length in a trailer": (frames(trailers(length)), MALFORMED),
    "no end": (frames(lambda s: frame(DATA, 0, s, KEI[:-2]) + frame(RST, 0, s, b"\0\0\0\0")), RESET),
    "reset": (lambda s: [frame(RST, 0, s, b"\0\0\0\2")], RESET),
    "reset in the middle": (frames(lambda s: frame(DATA, 0, s, KEI[:9]) + frame(RST, 0, s, b"\0\0\0\x0b")), RESET),
    "refused after a head": (frames(lambda s: frame(RST, 0, s, b"\0\0\0\7")), RESET),
    "refused, and again": (lambda s: [frame(RST, 0, s, b"\0\0\0\7")], "upstream-unprocessed"),
    "too long, as announced": (whole(OK, JSON, ("content-length", str(LIMIT + 1))), LARGE),
    "too long": (whole(OK, JSON, body=KEI + b" " * LIMIT), LARGE),
    "too long, unpacked": (whole(OK, JSON, ("content-encoding", "gzip"), body=gzip.compress(KEI + b" " * LIMIT)), LARGE),
    "no gzip": (whole(OK, JSON, ("content-encoding", "gzip")), "upstream-coding"),
    "an unknown packing": (whole(OK, JSON, ("content-encoding", "br")), "upstream-coding"),
    "too many fields": (whole(OK, JSON, *[("x-a", "b")] * 200), MALFORMED),
    "a head that is too large": (lambda s: [frame(HEADERS, 0, s, block(OK, JSON))] + [
        frame(CONTINUATION, END_HEADERS if n == 4 else 0, s, block(("x-a", "b" * 15000))) for n in range(5)] + [body(s)], MALFORMED),
    # What no connection survives.
    "a head that says nothing": (lambda s: [frame(HEADERS, END_HEADERS, s, b"\xff\xff\xff\xff\xff\xff")], MALFORMED),
    "a field of no table": (lambda s: [frame(HEADERS, END_HEADERS, s, b"\xfe")], MALFORMED),
    "a frame that is too large": (frames(lambda s: frame(DATA, END_STREAM, s, KEI + b" " * 16384)), MALFORMED),
    "padding longer than the frame": (frames(lambda s: frame(DATA, END_STREAM | PADDED, s, b"\xff" + KEI[:20])), MALFORMED),
    "a push": (lambda s: [frame(PUSH, END_HEADERS, s, b"\0\0\0\2" + block((":method", "GET"), (":path", "/"))), *whole(OK, JSON)(s)], MALFORMED),
    "a body of no stream": (lambda s: [frame(DATA, END_STREAM, 0, KEI)], MALFORMED),
    "a stream that nobody opened": (lambda s: [frame(HEADERS, END_HEADERS, s + 40, block(OK, JSON))], MALFORMED),
    "a head within a head": (lambda s: [frame(HEADERS, 0, s, block(OK)), frame(HEADERS, END_HEADERS, s, block(JSON)), body(s)], MALFORMED),
    "another frame within a head": (lambda s: [frame(HEADERS, 0, s, block(OK)), frame(PING, 0, 0, b"12345678")], MALFORMED),
    "settings of a broken length": (lambda s: [frame(SETTINGS, 0, 0, b"12345")], MALFORMED),
    "settings of a stream": (lambda s: [frame(SETTINGS, 0, s)], MALFORMED),
    "a window of nothing": (lambda s: [frame(WINDOW, 0, 0, b"\0\0\0\0")], MALFORMED),
    "a window without end": (lambda s: [frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff")] * 2, MALFORMED),
    "a short ping": (lambda s: [frame(PING, 0, 0, b"1")], MALFORMED),
    "HTTP/1.1": (lambda s: [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], MALFORMED),
    "a flood of pings": (floods(lambda s: frame(PING, 0, 0, b"12345678"), 1100), FLOOD),
    "a flood of settings": (floods(lambda s: frame(SETTINGS, 0, 0), 1100), FLOOD),
    "a flood of nothing": (frames(lambda s: frame(DATA, 0, s) * 1100, body), FLOOD),
    "a flood of unknown frames": (floods(lambda s: frame(99, 0, 0), 16000), FLOOD),
    "a head in small pieces without end": (long_head(2000, b""), MALFORMED),
    "a head in large pieces without end": (long_head(40, block(("x-a", "b" * 16000))), (MALFORMED, FLOOD)),
}
PACKED = gzip.compress(KEI)
SPLIT = block(OK, JSON)
GOOD = {
    "with its length": whole(OK, JSON, length),
    "without": whole(OK, JSON),
    "an interim answer before": lambda s: [frame(HEADERS, END_HEADERS, s, block((":status", "103"), ("link", "<x>"))), *whole(OK, JSON)(s)],
    "trailers": frames(trailers(("x-t", "u"))),
    "gzip that nobody asked for": whole(OK, JSON, ("content-encoding", "gzip"), ("content-length", str(len(PACKED))), body=PACKED),
    "padding": frames(lambda s: frame(DATA, END_STREAM | PADDED, s, b"\5" + KEI + b"\0" * 5)),
    "a head in pieces": lambda s: [frame(HEADERS, 0, s, SPLIT[:5]), frame(CONTINUATION, 0, s, SPLIT[5:20]),
                                   frame(CONTINUATION, END_HEADERS, s, SPLIT[20:]), body(s)],
    "other frames between": frames(frame(PING, 0, 0, b"12345678"), frame(99, 7, 0, b"?"), frame(SETTINGS, 0, 0), body),
    "more than a stream's window": whole(OK, JSON, body=KEI + b" " * (LIMIT - len(KEI))),
    "data after its end": frames(body, lambda s: frame(DATA, END_STREAM, s, KEI.replace(b"kei", b"eve"))),
    "a head after its end": frames(body, lambda s: b"".join(whole((":status", "404"), JSON)(s))),
    "a header table of 4 GiB": frames(frame(SETTINGS, 0, 0, b"\0\1\xff\xff\xff\xff"), body),
    "no header table": frames(frame(SETTINGS, 0, 0, b"\0\1\0\0\0\0"), body),
    "no window, and then one": frames(frame(SETTINGS, 0, 0, b"\0\4\0\0\0\0"), body, frame(SETTINGS, 0, 0, b"\0\4\0\0\xff\xff")),
    "an end, and a reset that means no harm": frames(lambda s: body(s) + frame(RST, 0, s, b"\0\0\0\0")),
}


def says(make, pieces=0):
    def act(conn, request):
        text = b"".join(make(request.stream))
        for at in range(0, len(text), pieces or len(text)):
            conn.raw(text[at:at + (pieces or len(text))])
        conn.open.discard(request.stream)
        return True
    return act


class Clinic:
    """One house, whose gateway is started anew over one server after another."""

    def __init__(self, sluice, folder):
        for part in ("policies", "terminology", "lexicon"):
            shutil.copytree(os.path.join(house.ROOT, "consent", part), os.path.join(folder, part))
        policies = os.path.join(folder, "policies")
        with open(os.path.join(policies, "house", "writes.yaml"), "w") as out:
            out.write(writing.GRANTS)
        self.h = house.House(sluice, upstream="URL", policies=policies)
        self.h.tokens["ward"] = self.h.token("ward", "TREAT", "--scope", "system/*.cruds")
        self.h.write("key", "k" * 32)
        self.h.write("bearer", "s3cret\n")
        self.text = open(self.h.at("sluice.yaml")).read().replace("workers: 2", "workers: 1") + "paging:\n  key-file: key\n"

    def over(self, upstream, **keys):
        if self.h.alive() if self.h.server else False:
            self.h.stop()
        known = {"url": upstream.url, "connect-ms": 500, "first-byte-ms": 400, "stall-s": 1, "total-ms": 3000, "body": LIMIT,
                 "failures": 1000, "token-file": "bearer", "ca": upstream.authority}
        known.update({key.replace("_", "-"): value for key, value in keys.items()})
        self.h.write("sluice.yaml", self.text.replace("  url: URL\n", "".join(f"  {k}: {v}\n" for k, v in known.items())))
        return self.h.start()


def told(h, before):
    return h.logged()[before:]


def shapes(h, upstream):
    upstream.act = lambda conn, request: conn.close() or True
    first = h.ask(ASK)
    h.expect("one that closes: 503", first[0] == 503, first)
    for name, (make, words) in SHAPES.items():
        upstream.act = says(make)
        before = len(h.logged())
        status, _, text = h.ask(ASK)
        words = words if isinstance(words, tuple) else (words,)
        h.expect(f"{name}: 503, in the words of every failure", (status, text) == (503, first[2]), (status, text[:200]))
        h.expect(f"and the operator reads {words[0]}", any(word in told(h, before) for word in words), told(h, before)[-300:])
    upstream.act = None
    h.expect("after all of which it is asked as before", h.ids(ASK) == ["kei"])
    for name, make in GOOD.items():
        upstream.act = says(make)
        h.expect(f"{name}: taken", h.ids(ASK) == ["kei"], h.logged()[-300:])
        if name != "more than a stream's window":
            upstream.act = says(make, 7)
            h.expect(f"{name}, in pieces: taken", h.ids(ASK) == ["kei"], h.logged()[-300:])
    upstream.act = None


def many(h, count):
    """So many at once; what each got, and how long it took."""
    got = []

    def one():
        began = time.monotonic()
        status, head, _ = h.ask(ASK)
        got.append((status, time.monotonic() - began, head))
    asking = [threading.Thread(target=one) for _ in range(count)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(10)
    return got


def late(seconds):
    def act(conn, request):
        conn.after(seconds, lambda: conn.good(request))
        return True
    return act


def streams(h, upstream):
    upstream.act = None
    h.ids(ASK)
    before, upstream.at_once = upstream.connections, 0
    upstream.act = late(0.2)
    got = many(h, 12)
    h.expect(f"twelve at once, {upstream.at_once} of them at a time on one connection",
             [g[0] for g in got] == [200] * 12 and upstream.connections == before and upstream.at_once >= 6, (got, upstream.connections - before))
    upstream.act = None
    h.expect("it is HTTP/2 that was spoken", set(upstream.spoken) == {"h2"}, upstream.spoken)


def deadlines(h, upstream):
    upstream.act = late(5)
    began, resets = time.monotonic(), upstream.resets
    before = len(h.logged())
    status, took = h.ask(ASK)[0], time.monotonic() - began
    h.expect(f"no byte in time: 503 after {took:.2f} s", status == 503 and 0.3 < took < 1.5 and "upstream-timeout" in told(h, before))
    wait_for(lambda: upstream.resets > resets)
    h.expect("and the server is told to leave off", upstream.resets > resets)

    def drips(conn, request):
        conn.raw(frame(HEADERS, END_HEADERS, request.stream, block(OK, JSON)))
        for n in range(40):
            conn.after(n * 0.1, lambda: conn.raw(frame(DATA, 0, request.stream, b" ")))
        return True
    upstream.act = drips
    began, before = time.monotonic(), len(h.logged())
    status, took = h.ask(ASK)[0], time.monotonic() - began
    h.expect(f"an answer in drops: 503 after {took:.2f} s", status == 503 and 0.9 < took < 2.5 and "upstream-stall" in told(h, before))
    upstream.act = None
    connections = upstream.connections
    h.expect("neither costs the connection, or another's answer", h.ids(ASK) == ["kei"] and upstream.connections == connections)


def dead(h, upstream):
    """A connection on which nothing comes any more."""
    h.ids(ASK)
    mute = []

    def act(conn, request):
        mute.append(conn)
        return conn is mute[0] and (conn.put_off.clear() or True)
    before, upstream.act = upstream.connections, act
    h.expect("a connection that went silent: asked once more, on another", h.ids(ASK) == ["kei"] and upstream.connections == before + 1,
             (upstream.connections - before, h.logged()[-300:]))
    upstream.act = None


def wait_for(true):
    for _ in range(100):
        if true():
            return
        time.sleep(0.02)


def leaves(h, upstream):
    upstream.act = None
    h.ids(ASK)

    def too_late(conn, request):
        """What was on its way: more than any head may have."""
        said = whole(OK, JSON, body=KEI + b" " * (LIMIT - len(KEI)))(request.stream)
        conn.after(0.3, lambda: conn.raw(*said))
        return True
    upstream.act, resets, connections = too_late, upstream.resets, upstream.connections
    with h.connect() as sock:
        sock.sendall(f"GET /fhir/{ASK} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {h.tokens['ward']}\r\n\r\n".encode())
        asked = upstream.asked
        wait_for(lambda: upstream.asked > asked)
    wait_for(lambda: upstream.resets > resets)
    h.expect("a client that leaves: its stream is reset", upstream.resets > resets)
    time.sleep(0.4)
    upstream.act = None
    h.expect("and what comes of it yet costs nobody the connection", h.ids(ASK) == ["kei"] and upstream.connections == connections)

    def pinged(conn, request):
        conn.h2.ping(b"12345678")
        conn.flush()
    upstream.act, pongs = pinged, upstream.pongs
    h.expect("a ping is answered", h.ids(ASK) == ["kei"] and (wait_for(lambda: upstream.pongs > pongs) or upstream.pongs > pongs))
    upstream.act = None


def goaway(last, code=0):
    return frame(GOAWAY, 0, 0, last.to_bytes(4, "big") + code.to_bytes(4, "big"))


def departures(h, upstream):
    """GOAWAY: what stands above its last id is asked again, what stands below is answered."""
    upstream.act = None
    h.ids(ASK)
    before = upstream.connections

    def above(conn, request):
        if upstream.connections > before:
            return False
        conn.raw(goaway(request.stream - 2))
        conn.after(0.2, conn.close)
        return True
    upstream.act = above
    h.expect("GOAWAY that has not seen it: asked again, on another connection", h.ids(ASK) == ["kei"] and upstream.connections == before + 1,
             (upstream.connections - before, h.logged()[-300:]))
    before = upstream.connections

    def below(conn, request):
        if upstream.connections > before:
            return False
        conn.raw(goaway(2**31 - 1), goaway(request.stream))
        conn.after(0.1, lambda: conn.good(request))
        return True
    upstream.act = below
    h.expect("GOAWAY that has: its answer is waited for", h.ids(ASK) == ["kei"])
    upstream.act = None
    h.expect("and the next question goes elsewhere", h.ids(ASK) == ["kei"] and upstream.connections == before + 1, upstream.connections - before)
    before = upstream.connections
    upstream.act = lambda conn, request: upstream.connections == before and (conn.close() or True)
    h.expect("a connection that is lost: a question is asked once more", h.ids(ASK) == ["kei"] and upstream.connections == before + 1)
    before, asked = upstream.connections, upstream.asked
    upstream.act = lambda conn, request: conn.close() or True
    h.expect("and not a third time", h.ask(ASK)[0] == 503 and upstream.asked - asked == 2, upstream.asked - asked)
    upstream.act = says(lambda s: [frame(RST, 0, s, b"\0\0\0\7")])
    asked = upstream.asked
    h.expect("nor what is refused", h.ask(ASK)[0] == 503 and upstream.asked - asked == 2, upstream.asked - asked)
    upstream.act = lambda conn, request: conn.raw(goaway(0)) or conn.after(0.1, conn.close) or True
    asked = upstream.asked
    h.expect("nor what no connection will have", h.ask(ASK)[0] == 503 and upstream.asked - asked == 2, upstream.asked - asked)
    upstream.act = None
    h.expect("and it goes on", h.ids(ASK) == ["kei"])


def one_stream(h, upstream):
    upstream.anew(streams=1, window=100)
    before, upstream.act = len(h.logged()), late(0.03)
    got = many(h, 8)
    h.expect("a server that takes one stream gets one at a time, on one connection", [g[0] for g in got] == [200] * 8 and
             upstream.at_once == 1 and upstream.connections == 1, (got, upstream.at_once, upstream.connections))
    h.expect("and refuses none", upstream.resets == 0 and "upstream" not in told(h, before), told(h, before)[-300:])


def chosen(h, upstream):
    """Who offers only HTTP/1.1 is asked in it, side by side."""
    upstream.anew(["http/1.1"])
    upstream.act = late(0.1)
    got = many(h, 4)
    h.expect("a server of HTTP/1.1 is asked in it", [g[0] for g in got] == [200] * 4 and set(upstream.spoken) == {"http/1.1"},
             (got, upstream.spoken))
    h.expect("on several connections at once", max(g[1] for g in got) < 1.0 and upstream.connections > 1, (got, upstream.connections))


def bounds(h, upstream):
    """Two at a time, two that wait; and the breaker."""
    upstream.anew()
    upstream.act = None
    h.ids(ASK)
    upstream.act, upstream.at_once = late(0.3), 0
    got = many(h, 12)
    good, refused = [g for g in got if g[0] == 200], [g for g in got if g[0] == 503]
    h.expect(f"{len(good)} answered, {len(refused)} refused", len(got) == 12 and 2 <= len(good) <= 6 and len(refused) >= 6, got)
    h.expect("no more than two at a time", upstream.at_once == 2, upstream.at_once)
    h.expect("those refused at once, with Retry-After", min(g[1] for g in refused) < 0.25 and all("retry-after" in g[2].lower() for g in refused))
    h.expect("the operator is told", "upstream-busy" in h.logged())
    upstream.act = says(lambda s: [frame(RST, 0, s, b"\0\0\0\2")])
    failed = 0
    while "upstream-paused" not in h.logged() and failed < 20:
        failed += h.ask(ASK)[0] == 503
    asked = upstream.asked
    h.expect(f"after {failed - 1} failures it is left alone", failed < 20 and h.ask(ASK)[0] == 503 and upstream.asked == asked)
    upstream.act = None
    time.sleep(1.1)
    h.expect("and after a pause asked again", all(h.ids(ASK) == ["kei"] for _ in range(2)), h.logged()[-300:])


# ---- Many at once ----

def person(name):
    """The answer of one patient, which says his name all the way."""
    row = {"resourceType": "Patient", "id": name, "name": [{"family": name, "given": [f"{name}-{n}"]} for n in range(20 + len(name) * 7)]}
    return json.dumps({"resourceType": "Bundle", "type": "searchset",
                       "entry": [{"fullUrl": f"Patient/{name}", "resource": row, "search": {"mode": "match"}}]}).encode()


class Shuffle:
    """Answers all that have been asked within a while together, in pieces of any length, in any order."""

    def __init__(self):
        self.rng, self.waiting, self.most = random.Random(7), {}, 0

    def act(self, conn, request):
        name = re.search(r"_id=(who[0-9]+)", request.path).group(1)
        if not self.waiting.get(conn):
            conn.after(0.1, lambda: self.deal(conn))
        self.waiting.setdefault(conn, []).append((request.stream, name))
        return True

    def deal(self, conn):
        asked = self.waiting.pop(conn)
        self.most = max(self.most, len(asked))
        left = {stream: self.pieces(stream, name) for stream, name in asked}
        said = []
        while left:
            stream = self.rng.choice(list(left))
            said.append(left[stream].pop(0))
            if not left[stream]:
                del left[stream]
        text = b"".join(said)
        cut = self.rng.randrange(len(text))
        conn.raw(text[:cut])
        conn.after(0.03, lambda: conn.raw(text[cut:]))
        conn.open.difference_update(stream for stream, _ in asked)

    def pieces(self, stream, name):
        text, out = person(name), [frame(HEADERS, END_HEADERS, stream, block(OK, JSON, ("etag", f'W/"{name}"')))]
        while text:
            size = self.rng.randrange(1, 900)
            out.append(frame(DATA, 0, stream, text[:size]))
            text = text[size:]
        return out + [frame(DATA, END_STREAM, stream)]


def fifty(h, upstream):
    """Fifty at once, each for another patient, whose answers come in pieces among each other's, while others leave."""
    upstream.anew(streams=1000)
    dealt = Shuffle()
    upstream.about, upstream.act = lambda request: "_id=who" in request.path, dealt.act
    wrong, right = [], []

    def stays(number):
        for n in range(3):
            name = f"who{number}{n}"
            status, _, text = h.ask(f"Patient?_id={name}")
            others = set(re.findall(rb"who[0-9]+", text)) - {name.encode()}
            (right if status == 200 and not others and text.count(name.encode()) > 20 else wrong).append((name, status, others, text[:200]))

    def leaves_early(number):
        for n in range(6):
            with h.connect() as sock:
                sock.sendall(f"GET /fhir/Patient?_id=who{number}{n} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {h.tokens['ward']}\r\n\r\n".encode())
                time.sleep(0.05 * (number % 6))
    asking = [threading.Thread(target=stays, args=(n,)) for n in range(100, 150)]
    asking += [threading.Thread(target=leaves_early, args=(n,)) for n in range(200, 210)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(20)
    h.expect(f"{len(right)} answers, up to {dealt.most} of them among each other: to each his own", len(right) == 150 and not wrong and dealt.most > 20,
             (len(right), dealt.most, wrong[:3]))
    h.expect("on one connection", upstream.connections == 1, upstream.connections)
    upstream.about, upstream.act = about, None


def wants_http1(request, goes):
    """HTTP_1_1_REQUIRED, of a stream or of the whole connection."""
    return (lambda s: [goaway(s - 2, 13)]) if goes else (lambda s: [frame(RST, 0, s, b"\0\0\0\x0d")])


def http1_wanted(h, upstream):
    for goes in (False, True):
        upstream.act = lambda conn, request: bool(request.stream) and says(wants_http1(request, goes))(conn, request)
        upstream.spoken.clear()
        h.expect("what the server wants asked by HTTP/1.1 is", h.ids(ASK) == ["kei"] and upstream.spoken[-1:] == ["http/1.1"],
                 (upstream.spoken, h.logged()[-300:]))
    upstream.act = None
    upstream.spoken.clear()
    h.expect("and only that", h.ids(ASK) == ["kei"] and "http/1.1" not in upstream.spoken, upstream.spoken)


class Ehr(writing.Ehr):
    def __init__(self, upstream):
        super().__init__(writing.records())
        self.server.server.shutdown()
        self.server = upstream
        upstream.say = self.answer


READS = ("Patient/p", "Patient/none", "Observation/weight", "Encounter/ours", "Condition/plain", "Condition/secret", "Location/room",
         "Condition?patient=p&_count=1", "Observation?patient=Patient/p", "Encounter?patient=p&_include=Encounter:diagnosis", "metadata")


def same_either_way(h, upstream):
    """The same records and the same changes through either protocol."""
    said = []
    for spoken in ("h2", "http/1.1"):
        upstream.anew([spoken])
        ehr = Ehr(upstream)
        said.append([normal(h.ask(path)) for path in READS] + changes(h, ehr))
        h.expect(f"{spoken} was spoken", set(upstream.spoken) == {spoken}, upstream.spoken)
        if spoken == "h2":
            lost_changes(h, ehr)
    upstream.say = say
    h.expect(f"{len(said[0])} answers are the same bytes either way", said[0] == said[1],
             [(path, a, b) for path, a, b in zip(READS + ("changes",) * 9, *said) if a != b])


def normal(answer):
    """All but the date."""
    return [answer[0], [line for line in answer[1].split("\r\n") if not line.startswith("Date:")], answer[2]]


def weight(value):
    return writing.made("Observation", None, status="final", code=writing.concept("http://loinc.org", "8302-2"), subject=writing.P,
                        encounter=writing.ref("Encounter/ours"), valueQuantity={"value": value, "unit": "cm"}, note=[{"text": "x" * 60000}])


def changes(h, ehr):
    d = writing.Desk(h)
    out = []
    status, fields, text = d.send("POST", "Observation", weight(180))
    place = fields.get("Location", "").partition("/fhir/")[2].partition("/_history")[0]
    out.append((status, place, text))
    row, tag = d.read(place)
    row["valueQuantity"]["value"] = 181
    status, _, text = d.send("PUT", place, row, tag)
    out.append((status, text))
    h.expect("a change arrived whole", status == 200 and ehr.rows[place]["valueQuantity"]["value"] == 181 and
             len(ehr.rows[place]["note"][0]["text"]) == 60000, (status, text[:300]))
    return out


def lost_changes(h, ehr):
    """What was not processed goes again; what may have been does not."""
    d = writing.Desk(h)
    ehr.server.about = lambda request: request.command == "POST"
    refusals = []

    def refuses(conn, request):
        refusals.append(request.stream)
        return len(refusals) == 1 and says(lambda s: [frame(RST, 0, s, b"\0\0\0\7")])(conn, request)
    ehr.server.act = refuses
    before = ehr.next
    status = d.send("POST", "Observation", weight(1))[0]
    h.expect("a change that was refused unprocessed goes once more", (status, len(refusals), ehr.next) == (201, 2, before + 1), (status, refusals))

    def departs(conn, request):
        refusals.append(request.stream)
        return len(refusals) == 1 and (conn.raw(goaway(request.stream - 2)) or conn.after(0.1, conn.close) or True)
    refusals.clear()
    ehr.server.act = departs
    status = d.send("POST", "Observation", weight(2))[0]
    h.expect("so does one above GOAWAY's last id", (status, len(refusals), ehr.next) == (201, 2, before + 2), (status, refusals))
    refusals.clear()
    before = ehr.next

    def not_by_this(conn, request):
        refusals.append(request.stream)
        return bool(request.stream) and says(wants_http1(request, True))(conn, request)
    ehr.server.act = not_by_this
    status = d.send("POST", "Observation", weight(2))[0]
    h.expect("and one that HTTP/1.1 is wanted for", (status, len(refusals), ehr.next) == (201, 2, before + 1), (status, refusals, h.logged()[-300:]))
    for what, act in (("HTTP/1.1 is wanted for it, and it may have been seen", says(wants_http1(None, False))),
                      ("a lost connection", lambda conn, request: conn.close() or True),
                      ("GOAWAY that may have seen it", lambda conn, request: conn.raw(goaway(request.stream)) or conn.close() or True),
                      ("a reset", says(lambda s: [frame(RST, 0, s, b"\0\0\0\2")]))):
        asked = ehr.server.asked
        ehr.server.act = act
        status = d.send("POST", "Observation", weight(3))[0]
        h.expect(f"after {what} a change does not", (status, ehr.server.asked - asked) == (503, 1), (status, ehr.server.asked - asked))
    ehr.server.act, before, connections = None, ehr.next, ehr.server.connections
    h.ask("Patient/p")
    time.sleep(0.3)
    mute = [conn for conn in ehr.server.live]
    for conn in mute:
        conn.mute = True
    status = d.send("POST", "Patient", writing.made("Patient", None, name=[{"family": "New"}]))[0]
    h.expect("a connection that went silent is not trusted with a change: it goes on another", (status, ehr.next) == (201, before + 1), (status, h.logged()[-300:]))
    for conn in mute:
        conn.mute = False
    h.ask("Patient/p")
    h.expect("and the server never sees it twice", ehr.next == before + 1, ehr.next - before)
    ehr.server.about = about


def secrets(h, upstream):
    seen = []
    upstream.act = lambda conn, request: seen.extend(request.fields) and False
    h.ids(ASK)
    upstream.act = None
    kept = {name for name, value in seen if not isinstance(seen[[n for n, _ in seen].index(name)], two.hpack.NeverIndexedHeaderTuple)}
    h.expect("token, path and what a question says of its own stand in no table", "authorization" in dict(seen) and
             not kept & {"authorization", ":path"} and ":authority" in kept, kept)


def scenario(sluice, folder):
    """HTTP/2 to an upstream that offers it: the same answers, the same failures, the same bounds"""
    upstream = two.Server(folder, say)
    upstream.about = about
    clinic = Clinic(sluice, folder)
    h = clinic.over(upstream, connections=64)
    h.expect("answered", h.ids(ASK) == ["kei"], h.logged())
    for part in (secrets, streams, shapes, http1_wanted, deadlines, dead, leaves, departures, fifty, one_stream, chosen, same_either_way):
        part(h, upstream)
    upstream.anew()
    upstream.act, asked, got = late(0.3), upstream.asked, []
    asking = threading.Thread(target=lambda: got.append(h.ask(ASK)[0]))
    asking.start()
    wait_for(lambda: upstream.asked > asked)
    h.stop()
    asking.join()
    upstream.act = None
    h.expect("who asks a gateway that stops is answered before it does", got == [200], got)
    wait_for(lambda: upstream.goodbyes)
    h.expect("it is told goodbye", upstream.goodbyes[-1:] == [0], upstream.goodbyes)
    bounds(clinic.over(upstream, connections=2, queue=2, failures=3, pause_s=1, window_s=60), upstream)
    h.close()
    return h.failures


house.main(scenario)
