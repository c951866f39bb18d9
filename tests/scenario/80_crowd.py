# SPDX-License-Identifier: Apache-2.0
import collections
import random
import socket
import subprocess
import threading
import time

import house

CLIENTS = 500
PATHS = ["Condition?patient=kei", "Patient/amara", "Patient/kei/$everything", "MedicationRequest?patient=bruno&_count=2",
         "Condition/bruno-otp-oud", "Observation?patient=amara&_count=1", "metadata"]


def request(h, path, caller, more="", method="GET", body=""):
    token = f"Authorization: Bearer {h.tokens[caller]}\r\n" if caller else ""
    return f"{method} /fhir/{path} HTTP/1.1\r\nHost: localhost\r\n{token}{more}\r\n{body}".encode()


def answer(stream, head_only=False):
    """Status and body of the next answer, None if the connection ends before it is whole."""
    line = stream.readline()
    length, status = 0, int(line.split(b" ")[1]) if line.endswith(b"\r\n") else 0
    while status and (line := stream.readline()) != b"\r\n":
        if not line:
            return None
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    if status == 100:
        return answer(stream, head_only)
    body = b"" if head_only or not status else stream.read(length)
    return (status, body) if status and (head_only or len(body) == length) else None


def settled(body):
    """Without what is drawn anew each time."""
    at = body.find(b"_cursor=")
    return body if at < 0 else body[:at] + body[body.find(b'"', at):]


class Crowd:
    """Clients, each in a thread of its own. What each saw that it should not have seen is in `wrong`."""

    def __init__(self, h):
        self.h = h
        self.wrong = collections.Counter()
        self.seen = collections.Counter()
        self.received = set()
        self.stopped = False
        self.wanted = {}
        for caller in ("ward", "desk", "plan", ""):
            for path in PATHS:
                with h.connect() as sock:
                    sock.sendall(request(h, path, caller))
                    got = answer(sock.makefile("rb"))
                    self.wanted[caller, path] = got[0], settled(got[1])

    def check(self, caller, path, got):
        self.seen[got[0] if got else None] += 1
        if not got or (got[0], settled(got[1])) != self.wanted[caller, path]:
            self.wrong[caller, path, got[0] if got else None] += 1

    def polite(self, rng):
        """One connection, another caller for each request: nothing of one may reach the next."""
        with self.h.connect(60) as sock, sock.makefile("rb") as stream:
            for _ in range(6):
                caller, path = rng.choice(list(self.wanted))
                sock.sendall(request(self.h, path, caller))
                self.check(caller, path, answer(stream))

    def hasty(self, rng):
        """Pipelined, and answered in the order of asking."""
        asked = [rng.choice(list(self.wanted)) for _ in range(5)]
        with self.h.connect(60) as sock, sock.makefile("rb") as stream:
            sock.sendall(b"".join(request(self.h, path, caller) for caller, path in asked))
            for caller, path in asked:
                self.check(caller, path, answer(stream))

    def formal(self, rng):
        """HEAD, and a body announced with Expect."""
        with self.h.connect(60) as sock, sock.makefile("rb") as stream:
            sock.sendall(request(self.h, "Condition?patient=kei", "ward", method="HEAD"))
            if answer(stream, True)[0] != 200:
                self.wrong["HEAD"] += 1
            body = "patient=kei&_id=none"
            sock.sendall(request(self.h, "Condition/_search", "ward", "Content-Type: application/x-www-form-urlencoded\r\n"
                                 f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n", "POST"))
            if not stream.readline().startswith(b"HTTP/1.1 100 "):
                self.wrong["100"] += 1
            stream.readline()
            sock.sendall(body.encode())
            if answer(stream)[0] != 200:
                self.wrong["POST"] += 1

    def rude(self, rng):
        """Leaves at any point: in the handshake, the head, the body, before the answer and in the middle of it."""
        whole = request(self.h, "Patient/_search", "ward", "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 50\r\n",
                        "POST", "_id=kei") if rng.random() < 0.3 else request(self.h, rng.choice(PATHS), "ward")
        if rng.random() < 0.3:
            with socket.create_connection(("127.0.0.1", self.h.port), 20) as raw:
                raw.sendall(b"\x16\x03\x01\x02\x00\x01\x00"[:rng.randrange(8)])
            return
        with self.h.connect(20) as sock:
            sock.sendall(whole[:rng.randrange(1, len(whole) + 1)] if rng.random() < 0.5 else whole)
            if rng.random() < 0.5:
                sock.recv(rng.randrange(1, 400))
            if rng.random() < 0.5:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    def numbered(self, rng):
        """Asks with a number in each request, until it is stopped or cut off."""
        try:
            with self.h.connect(20) as sock, sock.makefile("rb") as stream:
                while not self.stopped:
                    number = f"n-{rng.getrandbits(60)}"
                    sock.sendall(request(self.h, f"Condition?patient=kei&_id={number}", "ward"))
                    got = answer(stream)
                    if not got:
                        return
                    if got[0] == 200:
                        self.received.add(number)
        except OSError:
            return

    def run(self, kinds, count, seed=1):
        def one(number):
            rng = random.Random(seed * 100000 + number)
            try:
                kinds[number % len(kinds)](self, rng)
            except (OSError, TypeError) as error:
                if kinds[number % len(kinds)] not in (Crowd.rude, Crowd.numbered):
                    self.wrong[repr(error)] += 1
        threads = [threading.Thread(target=one, args=(n,), daemon=True) for n in range(count)]
        for thread in threads:
            thread.start()
        return threads


def numbers(h):
    """Those that the ledger says were asked and answered."""
    return {value for record in h.ledger() if record["status"] == 200
            for parameter in record["interaction"].get("parameters", []) for value in parameter.get("values", [])}


def wait(threads, seconds=60):
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.1, end - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)


def scenario(sluice, folder):
    """a crowd of clients of every kind; what was answered is in the ledger, however the gateway ends"""
    records, consents = house.clinic(folder)
    h = house.House(sluice, records=records, consents=consents, tls=True, extra="limits:\n  connections-peer: 600\n")
    h.start()
    crowd = Crowd(h)
    threads = crowd.run([Crowd.polite, Crowd.rude, Crowd.hasty, Crowd.rude, Crowd.formal], CLIENTS)
    h.expect(f"{CLIENTS} clients at once are done", wait(threads))
    h.expect("each answer is the one that its caller gets alone", not crowd.wrong, crowd.wrong)
    h.expect("there were answers of every kind", {200, 401, 404} <= set(crowd.seen), crowd.seen)

    second = open(h.at("sluice.yaml")).read().replace(f"127.0.0.1:{h.port}", f"127.0.0.1:{house.free_port()}")
    h.write("second.yaml", second)
    done = subprocess.run([h.sluice, "serve", "--config", h.at("second.yaml")], capture_output=True, text=True, timeout=20)
    h.expect("a second gateway on the same ledger does not start", done.returncode == 1 and "ledger" in done.stderr, done.stderr)

    crowd = Crowd(h)
    threads = crowd.run([Crowd.numbered], 40, 2)
    while len(crowd.received) < 300:
        time.sleep(0.01)
    h.server.kill()
    h.server.wait()
    h.expect("until then no sanitizer had a word to say", "Sanitizer" not in h.logged(), h.logged()[-3000:])
    h.expect("clients of a gateway that is killed are cut off", wait(threads, 20))
    kept = numbers(h)
    h.expect(f"all of {len(crowd.received)} answers that came before it was killed are in the ledger", crowd.received <= kept,
             len(crowd.received - kept))
    h.start()
    crowd = Crowd(h)
    threads = crowd.run([Crowd.numbered], 40, 3)
    while len(crowd.received) < 100:
        time.sleep(0.01)
    h.stop()
    h.expect("clients of a gateway that stops are done", wait(threads, 20))
    kept = numbers(h)
    h.expect(f"all of {len(crowd.received)} answers before the end are in the ledger", crowd.received <= kept, len(crowd.received - kept))
    h.close()
    return h.failures


house.main(scenario)
