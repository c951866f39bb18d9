# SPDX-License-Identifier: Apache-2.0
"""Gateways over worlds: the facts about release made once, each gateway a folder of its own, and one connection per caller.

Two gateways have the same name, port, keys, tokens and second of the day (clock.c), and addresses of their own on the
loopback: so nothing in their answers has to be made alike afterwards.
"""
import gzip
import os
import re
import shutil
import socket
import subprocess
import time

import world as worlds

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NOW = 1790000000  # 2026-09-21: the one second in which everything here happens
ISSUER, BASE = "https://issuer.example", "https://twins.example/fhir"
EMERGENCY = ('Sluice-Emergency: clinician="Dr. Noor Haddad", affiliation="St. Anne Hospital", discloser="Sluice", '
             'nature="unconscious", consent-unobtainable')
APP, PANEL = 3, (0, 3, 4, 5)  # numbers of patients: who has an app; whom the panel's physician treats

# Who asks: what the token says, and a header that goes with each request.
CALLERS = {
    "ward": ("--client", "ward", "--purpose", "TREAT"),
    "doctor": ("--client", "ehr", "--user", "dr-reyes", "--fhir-user", "Practitioner/doc-reyes", "--role", "physician", "--purpose", "TREAT"),
    "scoped": ("--client", "ward", "--purpose", "TREAT", "--scope", "system/Observation.rs system/Patient.r system/Condition.s system/Encounter.rs"),
    "panel": ("--client", "ehr", "--user", "dr-panel", "--fhir-user", "Practitioner/doc-panel", "--role", "physician", "--purpose", "TREAT"),
    "er": ("--client", "er", "--role", "physician", "--purpose", "ETREAT"),
    "exchange": ("--client", "exchange", "--purpose", "TREAT"),
    "plan": ("--client", "plan", "--purpose", "HPAYMT"),
    "desk": ("--client", "desk", "--purpose", "PATADMIN"),
    "agent": ("--client", "agent", "--purpose", "TREAT"),
    "study": ("--client", "study", "--purpose", "HRESCH"),
    "app": ("--client", "app", "--user", "him", "--role", "patient", "--purpose", "PATRQT", "--scope", "patient/*.rs"),
    "stranger": None,
}


WRITERS = ("ward", "doctor", "exchange", "plan", "agent")


def registry(world):
    def patient(number):
        return f"Patient/{world.patient_id(number)}"
    panel = ", ".join(patient(n) for n in PANEL)
    return f"""clients:
  - {{id: ward, organization: Organization/lakeside-primary, kinds: [covered-entity], roles: [physician], treats: ["*"], purposes: [TREAT]}}
  - id: ehr
    organization: Organization/lakeside-primary
    kinds: [covered-entity]
    token-roles: [physician]
    purposes: [TREAT]
    users:
      - {{subject: dr-reyes, reference: Practitioner/doc-reyes, name: Tomas Reyes, roles: [physician], treats: ["*"]}}
      - {{subject: dr-panel, reference: Practitioner/doc-panel, name: Pat Panel, roles: [physician], treats: [{panel}]}}
  - {{id: er, organization: Organization/anne-hospital, kinds: [covered-entity], roles: [physician], purposes: [TREAT, ETREAT]}}
  - {{id: exchange, organization: Organization/river-exchange, kinds: [hie-partner, business-associate], purposes: [TREAT]}}
  - {{id: plan, organization: Organization/northway-plan, kinds: [health-plan], purposes: [HPAYMT]}}
  - {{id: desk, organization: Organization/lakeside-primary, roles: [front-desk], purposes: [PATADMIN]}}
  - {{id: agent, kinds: [ai-agent], agreements: [baa], purposes: [TREAT]}}
  - {{id: study, kinds: [research], agreements: [dua], purposes: [HRESCH]}}
  - id: app
    token-roles: [patient]
    purposes: [PATRQT]
    users:
      - {{subject: him, reference: {patient(APP)}, name: Him, roles: [patient]}}
"""


CONFIG = """server:
  listen: {address}:{port}
  url: {base}
  workers: 1
  plain: yes
  log: {log}
upstream:
  {upstream}
identity:
  audience: {base}
  registry: registry.yaml
  issuers:
    - issuer: {issuer}
      keys: issuer.jwks
      algorithms: [ES256]
policy:
  store: policy
  programs: programs.yaml
ledger:
  directory: ledger
  segment: 16777216
limits:
  rows: {rows}
  connections-peer: 4096
{book}"""


# Who may write what, in the worlds in which something is written.
GRANTS = """layer: organization
writes:
  - id: twins-clinicians
    title: Who treats writes.
    to: [treating-provider]
    for: [treatment]
    may: [create, update, patch]
    types: [Patient, Observation, Encounter, Condition, CarePlan, CareTeam, List, Goal, EpisodeOfCare, Composition, DocumentReference, Communication]
  - id: twins-partners
    title: Partners write observations.
    to: [hie-partner]
    for: [treatment]
    may: [create, update, patch]
    types: [Observation, Condition, CareTeam]
  - {id: twins-places, title: Who treats keeps places., to: [treating-provider], for: [treatment], may: [create, update, patch, delete], types: [Location, Slot]}
  - {id: twins-plans, title: Plans write nothing but coverage., to: [health-plan], for: [payment], may: [create, update], types: [Coverage]}
"""


class Failed(Exception):
    pass


class NotStarted(Failed):
    pass


class Maker:
    """Makes stores and gateways with one executable, all at the second NOW."""

    def __init__(self, sluice, folder):
        self.sluice, self.folder, self.count = os.path.abspath(sluice), folder, 0
        clock = os.path.join(folder, "clock.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", clock, os.path.join(os.path.dirname(__file__), "clock.c")], check=True)
        sanitizer = os.environ.get("ASAN_OPTIONS", "")
        self.env = {**os.environ, "LD_PRELOAD": clock, "TWINS_CLOCK": str(NOW),
                    "ASAN_OPTIONS": ":".join(filter(None, [sanitizer, "verify_asan_link_order=0"]))}
        self.port = free_port()

    def run(self, *words):
        env = {name: value for name, value in self.env.items() if name != "SLUICE_FAULT"}  # a fault is the gateway's
        done = subprocess.run([self.sluice, *words], capture_output=True, text=True, env=env)
        if done.returncode:
            raise Failed(f"sluice {' '.join(words)} gave {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def policies(self):
        """The shipped ones; and, for worlds in which something is written, grants."""
        folder = os.path.join(self.folder, "consent")
        if not os.path.exists(folder):
            os.makedirs(folder)
            for part in ("terminology", "lexicon"):
                os.symlink(os.path.join(ROOT, "consent", part), os.path.join(folder, part))
            shutil.copytree(os.path.join(ROOT, "consent", "policies"), os.path.join(folder, "policies"))
            write(os.path.join(folder, "policies", "house", "twins.yaml"), GRANTS)
        return os.path.join(folder, "policies")

    def facts(self, name, world, idle="none", writes=False):
        """Policy, programs, consents, register, registry, keys: what a gateway has besides records."""
        folder = os.path.join(self.folder, name)
        os.makedirs(folder)
        at = lambda n: os.path.join(folder, n)
        write(at("registry.yaml"), registry(world))
        write(at("programs.yaml"), worlds.programs(world))
        write(at("register.yaml"), worlds.register(world))
        write(at("consents.ndjson"), "".join(worlds.text_of(c) + "\n" for c in worlds.consents(world, idle)))
        shared = os.path.join(self.folder, "issuer")
        if not os.path.exists(shared + ".pem"):
            write(shared + ".jwks", self.run("token", "keygen", "--key", shared + ".pem", "--algorithm", "ES256"))
            self.tokens = {name: words and self.run("token", "issue", "--key", shared + ".pem", "--issuer", ISSUER, "--audience", BASE,
                                                    *self.words_of(world, name, words)).strip() for name, words in CALLERS.items()}
            self.pens = {name: self.run("token", "issue", "--key", shared + ".pem", "--issuer", ISSUER, "--audience", BASE, *CALLERS[name],
                                        "--scope", "system/*.cruds").strip() for name in WRITERS}
        shutil.copy(shared + ".jwks", at("issuer.jwks"))
        base = os.path.join(self.folder, "policy-writes" if writes else "policy")
        if not os.path.exists(base):
            policies = self.policies() if writes else os.path.join(ROOT, "consent", "policies")
            self.run("policy", "activate", policies, "--store", base, "--author", "twins")
        shutil.copytree(base, at("policy"))
        self.run("consent", "import", "--store", at("policy"), at("consents.ndjson"))
        self.run("register", "import", at("register.yaml"), "--store", at("policy"))
        return folder

    @staticmethod
    def words_of(world, name, words):
        if name != "app":
            return words
        ident = world.patient_id(APP)
        return (*words, "--fhir-user", f"Patient/{ident}", "--patient", ident)

    def records(self, name, world):
        """A records store of this world."""
        folder = os.path.join(self.folder, f"{name}-{os.getpid()}")
        os.makedirs(folder)
        for file in world.write(folder, "records"):
            self.run("records", "import", "--at", "given", "--store", os.path.join(folder, "records"), file)
        if world.deleted:
            self.run("records", "delete", "--at", "2026-03-01T00:00:00Z", "--store", os.path.join(folder, "records"), *world.deleted)
        return os.path.join(folder, "records")

    def gateway(self, facts, records, rows=10000, dice=False):
        self.count += 1
        return Gateway(self, os.path.join(self.folder, f"gateway-{os.getpid()}-{self.count}"), f"127.0.{os.getpid() % 250}.{self.count}",
                       facts, records, rows, dict(self.env, TWINS_DICE="1") if dice else self.env)


def write(path, text):
    with open(path, "w") as out:
        out.write(text)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Gateway:
    def __init__(self, maker, folder, address, facts, records, rows, env):
        self.maker, self.folder, self.address, self.port, self.began = maker, folder, address, maker.port, False
        shutil.copytree(facts, folder)
        server = records.startswith("http:")  # a FHIR server in the place of a store
        if not server:
            shutil.copytree(records, os.path.join(folder, "records"))
        write(os.path.join(folder, "sluice.yaml"),
              CONFIG.format(address=address, port=maker.port, base=BASE, issuer=ISSUER, rows=rows,
                            log="yes" if server else "no", book="labels:\n  book: book\n" if server else "",
                            upstream=f"url: {records}" if server else "records: records"))
        self.log = open(os.path.join(folder, "log"), "wb")
        self.process = subprocess.Popen([maker.sluice, "serve", "--config", os.path.join(folder, "sluice.yaml")],
                                        stdout=self.log, stderr=self.log, env=env)

    def ready(self):
        """Waits until it listens. Two of them start side by side: each tests itself before it opens its port."""
        for _ in range(3000):
            if self.process.poll() is not None:
                raise NotStarted("a gateway did not start:\n" + self.logged())
            try:
                socket.create_connection((self.address, self.port), 1).close()
                self.began = True
                return
            except OSError:
                time.sleep(0.02)
        raise Failed("a gateway does not listen:\n" + self.logged())

    def logged(self):
        with open(os.path.join(self.folder, "log"), errors="replace") as log:
            return log.read()[-3000:]

    def failed(self):
        """What its log has of answers with 500 and more: `why=` each."""
        with open(os.path.join(self.folder, "log"), errors="replace") as log:
            return [line.rstrip() for line in log if " status=5" in line]

    def close(self):
        """False: it ended otherwise than asked to."""
        ended = self.process.poll() is not None
        if not ended:
            self.process.terminate()
            try:
                ended = self.process.wait(30) != 0
            except subprocess.TimeoutExpired:
                self.process.kill()
                ended = True
        log = self.logged() if ended else ""
        for line in self.failed():
            print(f"    {line}")
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        if ended and self.began:
            print("a gateway did not end as it should:\n" + log)
        return not (ended and self.began)


class Line:
    """One kept connection, as a real client keeps it."""

    def __init__(self, gateway):
        self.gateway, self.socket, self.rest = gateway, None, b""

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket, self.rest = None, b""

    def ask(self, data, head_only):
        """Head and body as they came, whether the connection was closed after it, and the seconds it took."""
        fresh = self.socket is None
        for _ in range(2):
            if self.socket is None:
                self.socket = socket.create_connection((self.gateway.address, self.gateway.port), 30)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            begun = time.perf_counter()
            try:
                self.socket.sendall(data)
                head, body, closed = self.read(head_only)
            except OSError:
                head, body, closed = b"", b"", True
            took = time.perf_counter() - begun
            if closed:
                self.close()
            if head or fresh:
                return head, body, closed, took
            fresh = True  # a connection that had been closed while it was idle
        return head, body, closed, took

    def more(self):
        data = self.socket.recv(1 << 20)
        self.rest += data
        return bool(data)

    def read(self, head_only):
        while b"\r\n\r\n" not in self.rest:
            if not self.more():
                return self.rest, b"", True
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        status = head.split(b" ", 2)[1]
        wanted = 0 if head_only or status in (b"204", b"304") or not length else int(length.group(1))
        while len(self.rest) < wanted:
            if not self.more():
                return head, self.rest, True
        body, self.rest = self.rest[:wanted], self.rest[wanted:]
        return head, body, bool(re.search(rb"(?i)\r\nconnection: close", head))


def plain(head, body):
    """The body without gzip."""
    if body and re.search(rb"(?i)\r\ncontent-encoding: gzip", head):
        return gzip.decompress(body)
    return body
