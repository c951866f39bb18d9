# SPDX-License-Identifier: Apache-2.0
"""What the scenarios share: a house with a gateway of its own, over loopback, in a folder of its own.

A scenario is a script that takes --sluice and exits 0 if everything it expected was so. No sleeps but for polling.
"""
import argparse
import glob
import hashlib
import http.server
import io
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.path.join(os.path.dirname(ROOT), "shared")
ISSUER = "https://issuer.example"

REGISTRY = """clients:
  - id: ward
    organization: Organization/lakeside-primary
    kinds: [covered-entity]
    roles: [physician]
    treats: ["*"]
    purposes: [TREAT, ETREAT]
  - id: desk
    roles: [front-desk]
    purposes: [PATADMIN]
  - id: plan
    kinds: [health-plan]
    purposes: [HPAYMT]
  - id: exchange
    kinds: [hie-partner]
    purposes: [TREAT]
  - id: agent
    kinds: [ai-agent]
    agreements: [baa]
    purposes: [TREAT]
  - id: study
    kinds: [research]
    agreements: [dua]
    purposes: [HRESCH]
"""
CALLERS = {"ward": "TREAT", "desk": "PATADMIN", "plan": "HPAYMT", "exchange": "TREAT", "agent": "TREAT", "study": "HRESCH"}


PORTS = range(20000, 32000)  # below those that the kernel gives to outgoing connections
taken = []  # this process's ports, kept from scenarios that run beside it by a name each until the process ends


def free_port():
    """A port that nobody listens on, and that no other scenario has been given."""
    while True:
        port, name = random.choice(PORTS), socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0sluice-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
            taken.append(name)
            return port
        except OSError:
            name.close()


class House:
    """Keys, stores, a policy in force, and a gateway once start() is called."""

    def __init__(self, sluice, records=None, consents=None, upstream=None, tls=False, extra="", policies=None):
        self.sluice = os.path.abspath(sluice)
        self.folder = tempfile.mkdtemp(prefix="sluice-house-")
        self.port = free_port()
        self.tls = tls
        self.base = f"{'https' if tls else 'http'}://localhost:{self.port}/fhir"
        self.server = None
        self.log = None
        self.failures = 0
        source = f"  url: {upstream}" if upstream else "  records: records"
        secure = "  certificate: server.pem\n  key: server-key.pem\n" if tls else "  plain: yes\n"
        self.write("registry.yaml", REGISTRY)
        self.write("programs.yaml", open(os.path.join(ROOT, "demo", "clinic.py")).read().split('PROGRAMS_YAML = """')[1].split('"""')[0])
        self.write("sluice.yaml", f"""server:
  listen: 127.0.0.1:{self.port}
  url: {self.base}
  workers: 2
{secure}upstream:
{source}
identity:
  audience: {self.base}
  registry: registry.yaml
  issuers:
    - issuer: {ISSUER}
      keys: issuer.jwks
      algorithms: [ES256]
policy:
  store: policy
  programs: programs.yaml
ledger:
  directory: ledger
{extra}""")
        if tls:
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                            "3", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout",
                            self.at("server-key.pem"), "-out", self.at("server.pem")], check=True, capture_output=True)
        self.write("issuer.jwks", self.run("token", "keygen", "--key", self.at("issuer.pem"), "--algorithm", "ES256"))
        self.put_in_force(policies)
        if records:
            self.run("records", "import", "--store", self.at("records"), *records)
        elif not upstream:
            self.write("empty.ndjson", '{"resourceType":"Organization","id":"lakeside-primary"}\n')
            self.run("records", "import", "--store", self.at("records"), self.at("empty.ndjson"))
        if consents:
            self.run("consent", "import", "--store", self.at("policy"), *consents)
        self.tokens = {name: self.token(name, purpose) for name, purpose in CALLERS.items()}

    def put_in_force(self, policies):
        """The shipped policy is tested and put in force once for each build, and its store copied."""
        shipped, kept = os.path.join(ROOT, "consent"), None
        if not policies and "SLUICE_FAULT" not in os.environ and os.access(os.path.dirname(self.sluice), os.W_OK):
            files = sorted(os.path.join(at, name) for at, _, names in os.walk(shipped) for name in names)
            print_of = hashlib.sha256(repr([(f, os.stat(f).st_mtime_ns, os.stat(f).st_size) for f in files + [self.sluice]]).encode())
            kept = self.sluice + "-policy-" + print_of.hexdigest()[:16]
        if kept and os.path.exists(kept):
            return shutil.copytree(kept, self.at("policy"))
        self.run("policy", "activate", policies or os.path.join(shipped, "policies"), "--store", self.at("policy"), "--author", "scenario")
        if not kept:
            return
        for old in glob.glob(self.sluice + "-policy-*"):
            shutil.rmtree(old, ignore_errors=True)
        made = tempfile.mkdtemp(prefix="sluice-policy-", dir=os.path.dirname(self.sluice))
        shutil.copy(self.at("policy", "data.mdb"), made)
        try:
            os.rename(made, kept)
        except OSError:
            shutil.rmtree(made)  # another scenario was quicker

    def at(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text):
        with open(self.at(name), "w") as out:
            out.write(text)

    def run(self, *words, expect=0, **more):
        done = subprocess.run([self.sluice, *words], capture_output=True, text=True, **more)
        if expect is not None and done.returncode != expect:
            raise AssertionError(f"sluice {' '.join(words)} gave {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def token(self, client, purpose, *more):
        return self.run("token", "issue", "--key", self.at("issuer.pem"), "--issuer", ISSUER, "--audience", self.base,
                        "--client", client, "--purpose", purpose, *more).strip()

    def start(self, **more):
        self.log = open(self.at("log"), "wb")
        self.server = subprocess.Popen([self.sluice, "serve", "--config", self.at("sluice.yaml")], stderr=self.log, stdout=self.log, **more)
        for _ in range(1200):
            if self.server.poll() is not None:
                raise AssertionError("the gateway did not start:\n" + self.logged())
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.05)
        raise AssertionError("the gateway does not listen")

    def logged(self):
        with open(self.at("log"), errors="replace") as log:
            return log.read()

    def alive(self):
        return self.server.poll() is None

    def stop(self):
        """SIGTERM; gives the exit status. A sanitizer's report is a failure."""
        self.server.send_signal(signal.SIGTERM)
        try:
            status = self.server.wait(30)
        except subprocess.TimeoutExpired:
            self.server.kill()
            status = "it did not stop"
        self.expect("the gateway stops cleanly", status == 0 and "Sanitizer" not in self.logged(), f"{status}\n{self.logged()[-3000:]}")

    def close(self):
        if self.server and self.server.poll() is None:
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- Asking ----

    def connect(self, timeout=20):
        sock = socket.create_connection(("127.0.0.1", self.port), timeout)
        if self.tls:
            context = ssl.create_default_context(cafile=self.at("server.pem"))
            sock = context.wrap_socket(sock, server_hostname="localhost")
        return sock

    def raw(self, data, timeout=20):
        """Sends bytes, gives everything that comes until the other side closes or `timeout`."""
        with self.connect(timeout) as sock:
            sock.sendall(data)
            out = b""
            try:
                while True:
                    more = sock.recv(65536)
                    if not more:
                        return out
                    out += more
            except (socket.timeout, ConnectionResetError):
                return out

    def ask(self, path, caller="ward", method="GET", headers=(), body=b""):
        """One request on a connection of its own: status, headers as one text, body."""
        token = self.tokens.get(caller, caller)
        lines = [f"{method} /fhir/{path} HTTP/1.1", "Host: localhost", "Connection: close"]
        if token:
            lines.append(f"Authorization: Bearer {token}")
        if body:
            lines += [f"Content-Length: {len(body)}"]
        lines += list(headers)
        answer = self.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        head, _, text = answer.partition(b"\r\n\r\n")
        if not head:
            return 0, "", b""
        return int(head.split(b" ", 2)[1]), head.decode(), text

    def ids(self, path, caller="ward", **more):
        status, _, body = self.ask(path, caller, **more)
        if status != 200:
            return status
        return sorted(e["resource"]["id"] for e in json.loads(body).get("entry", []) if e["search"]["mode"] == "match")

    # ---- Expecting ----

    def expect(self, what, true, detail=""):
        if true:
            print(f"  ok: {what}")
        else:
            self.failures += 1
            print(f"  FAILED: {what} {detail}")

    def ledger(self, every=False):
        """The records of exchanges, or every one; verified first."""
        self.run("ledger", "verify", self.at("ledger"))
        records = [json.loads(line)["record"] for line in self.run("ledger", "show", self.at("ledger")).splitlines()]
        return [r for r in records if every or "exchange" in r]


class Part:
    """What asks for one entry of a batch."""
    command, headers = "GET", {}

    def __init__(self):
        self.rfile, self.wfile = io.BytesIO(), io.BytesIO()

    def send_response(self, status):
        self.status = status

    def send_header(self, *_):
        pass

    end_headers = send_header


class Upstream:
    """A FHIR server that answers as the scenario says: `answer(path, handler)` sends what it likes. A batch is refused, or each of
    its entries answered like that."""

    def __init__(self, answer, batches=True):
        self.port = free_port()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.asked.append(self.path)
                stream, text = self.rfile, self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.rfile = io.BytesIO(text)
                if self.command == "POST" and b'"type":"batch"' in text[:100]:
                    send(self, *outer.batch(json.loads(text)) if batches else ("{}", 404))
                else:
                    answer(self.path, self)
                self.rfile = stream

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

            def log_message(self, *_):
                pass

        self.asked, self.parts, self.answer = [], [], answer
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.port}/fhir"

    def batch(self, bundle):
        out = []
        for entry in bundle["entry"]:
            part, url = Part(), entry["request"]["url"]
            self.parts.append(url)
            self.answer(f"/fhir/{url}", part)
            text = part.wfile.getvalue()
            out.append({"response": {"status": f"{part.status} as a line says it"}, **({"resource": json.loads(text)} if part.status == 200 else {})})
        return (json.dumps({"resourceType": "Bundle", "type": "batch-response", "entry": out}),)


def send(handler, text, status=200, kind="application/fhir+json", length=None, headers=()):
    data = text if isinstance(text, bytes) else text.encode()
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(data) if length is None else length))
    for name, value in headers:
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(data)


def clinic(folder, *words):
    subprocess.run([sys.executable, os.path.join(ROOT, "demo", "clinic.py"), "--out", folder, *words], check=True)
    return [os.path.join(folder, "records.ndjson")], [os.path.join(folder, "consents.ndjson")]


def main(scenario):
    parser = argparse.ArgumentParser()
    parser.add_argument("--sluice", required=True)
    args = parser.parse_args()
    print(f"== {os.path.basename(sys.argv[0])}: {scenario.__doc__.strip()}")
    with tempfile.TemporaryDirectory(prefix="sluice-scenario-") as folder:
        failures = scenario(args.sluice, folder)
    sys.exit(1 if failures else 0)
