# SPDX-License-Identifier: Apache-2.0
import signal
import socket
import ssl
import subprocess
import threading
import time

import house

PATH = "Condition?patient=bruno"


class Client:
    """Asks without a pause, on a kept connection or on a new one each time, until nobody listens any more. Lost is a request that
    was sent on a connection which nobody had said would end, and not answered whole."""

    def __init__(self, h, kept):
        self.h, self.kept = h, kept
        self.answered = self.lost = 0
        self.said = set()
        self.request = (f"GET /fhir/{PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {h.tokens['ward']}\r\n"
                        f"{'' if kept else 'Connection: close'}{'' if kept else chr(13) + chr(10)}\r\n").encode()
        self.stop = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def connect(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sock = socket.create_connection(("127.0.0.1", self.h.port), 10)
        try:
            return context.wrap_socket(sock, server_hostname="localhost")
        except OSError:
            sock.close()
            raise

    def read(self, sock):
        """True: an answer came, whole. None: and the connection ends with it."""
        text = b""
        while b"\r\n\r\n" not in text:
            more = sock.recv(65536)
            if not more:
                return False
            text += more
        head, _, body = text.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        while len(body) < int(fields[b"content-length"]):
            more = sock.recv(65536)
            if not more:
                return False
            body += more
        self.said.add(int(head.split(b" ")[1]))
        return None if fields.get(b"connection") == b"close" else True

    def talk(self, sock):
        while not self.stop:
            try:
                sock.sendall(self.request)
                went = self.read(sock)
            except OSError:
                went = False
            self.answered += went is not False
            self.lost += went is False
            if went is not True:
                return

    def run(self):
        while not self.stop:
            try:
                sock = self.connect()
            except OSError:
                return
            with sock:
                self.talk(sock)


def shown(h):
    return ssl.get_server_certificate(("127.0.0.1", h.port))


def hup(h, word):
    """SIGHUP, and waits until the gateway has said the word once more."""
    before = h.logged().count(word)
    h.server.send_signal(signal.SIGHUP)
    end = time.monotonic() + 10
    while h.logged().count(word) == before and time.monotonic() < end:
        time.sleep(0.02)
    h.expect(f"SIGHUP: {word}", h.logged().count(word) == before + 1)


def new_certificate(h):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3", "-subj",
                    "/CN=renewed", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", h.at("server-key.pem"), "-out",
                    h.at("server.pem")], check=True, capture_output=True)


def reloads(h):
    last = "registry and issuers' keys"
    old = shown(h)
    new_certificate(h)
    hup(h, last + " taken up again")
    h.expect("new connections see the new certificate", shown(h) != old)
    h.write("server.pem", "no certificate")
    renewed = shown(h)
    hup(h, "certificates could not be read; the old ones stay")
    h.expect("a file that is none changes nothing", shown(h) == renewed)
    registry = open(h.at("registry.yaml")).read()
    h.expect("the plan is known", h.ask(PATH, "plan")[0] == 200)
    h.write("registry.yaml", registry.replace("id: plan", "id: nobody"))
    hup(h, last + " taken up again")
    h.expect("who is struck from the registry is nobody, from the next request on", h.ask(PATH, "plan")[0] in (401, 403))
    h.write("registry.yaml", "clients: [")
    hup(h, "registry or issuers' keys could not be read; the old ones stay")
    h.expect("a registry with a mistake changes nothing", h.ask(PATH, "ward")[0] == 200 and h.ask(PATH, "plan")[0] in (401, 403))
    h.write("registry.yaml", registry)
    text = open(h.at("sluice.yaml")).read()
    h.write("sluice.yaml", text.replace("workers: 2", "workers: 3\n  log: no"))
    hup(h, last + " taken up again")
    h.expect("what takes a restart is told", all(f"server.{key} says another thing than before: that takes a restart" in h.logged()
                                                 for key in ("workers", "log")))
    h.expect("what says the same is not", "server.listen says" not in h.logged())
    h.write("sluice.yaml", text + "nonsense: 1\n")
    hup(h, "the configuration has mistakes; the old one stays")
    h.write("sluice.yaml", text)
    h.expect("the plan is known again", h.ask(PATH, "plan")[0] == 200)


def scenario(sluice, folder):
    """certificates, registry and keys are taken up, and the gateway ends, without a request lost"""
    records, consents = house.clinic(folder)
    h = house.House(sluice, records=records, consents=consents, tls=True).start()
    h.connect = lambda timeout=20: Client.connect(clients[0])
    clients = [Client(h, kept) for kept in (True, True, True, False, False)]
    idle = clients[0].connect()
    reloads(h)
    answered = sum(c.answered for c in clients)
    h.expect(f"{answered} requests meanwhile, none lost", answered > 50 and not sum(c.lost for c in clients))
    began = time.monotonic()
    h.server.send_signal(signal.SIGTERM)
    status = h.server.wait(20)
    took = time.monotonic() - began
    for c in clients:
        c.thread.join(10)
    h.expect(f"SIGTERM: it ends, {took:.1f} s later", status == 0 and took < 15, f"{status} {h.logged()[-2000:]}")
    h.expect("each client was told that its connection ends, and none lost a request", not sum(c.lost for c in clients),
             [c.lost for c in clients])
    h.expect("all were answered 200", all(c.said == {200} for c in clients), [c.said for c in clients])
    h.expect("no sanitizer complains", "Sanitizer" not in h.logged(), h.logged()[-3000:])
    h.expect("an idle connection is closed", idle.recv(1) == b"")
    released = [r for r in h.ledger() if r["status"] == 200 and r["interaction"]["kind"] == "search"]
    h.expect("the ledger has each answer that was given", len(released) >= sum(c.answered for c in clients), len(released))
    h.close()
    return h.failures


house.main(scenario)
