#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What does the gateway cost, request by request?

    gateway.py --sluice FILE --bare FILE --pace FILE [--folder DIR] [--rounds N] [--seconds S]

A searchset of ten Observations (8 KB), and one of a thousand (1 MB), are asked for over loopback (wrk), of three that stand in
front of the same upstream, an nginx with files: nginx proxy_pass, the bare proxy (bare_proxy.c), and the gateway with everything
on but TLS. One worker each, connections to the upstream kept, in turn, some rounds. Then the small ones at half of what the
gateway can, at an even pace (pace.c), by themselves and while searches of 10 MB run, of the gateway and of a second one whose
ledger is in memory, so that the disk's part can be told from the program's; what a search of a thousand asks of an
upstream while nothing is known yet; and the gateway with TLS and a thousand idle connections (idle_tls.py). Lines that begin with
'=' are figures for run.sh. Everything started here is stopped, come what may.
"""
import argparse
import http.server
import itertools
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BENCH = os.path.join(ROOT, "bench")
CONNECTIONS = 64
IDLE = 1000
ISSUER = "https://issuer.example"
SEARCH = "/fhir/Observation?patient=bench-patient&_count=10"
LARGE = "/fhir/Observation?patient=bench-large&_count=1000"  # 1 MB
HUGE = "/fhir/Observation?patient=bench-huge&_count=1000"  # 10 MB
COLD_VISITS = 100
# Searches of a thousand each of which is for other rows, and all of which together are four times what a worker keeps.
UNSEEN = [f"bench-unseen-{n}" for n in range(20)]
UNSEEN_LUA = """local n = 0
function request()
  n = n + 1
  return wrk.format("GET", "/fhir/Observation?patient=bench-unseen-" .. (n %% %d) .. "&_count=1000")
end
"""

# ---- The records ----

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
VITALS = (("8302-2", "Body height", 171.3, "cm"), ("29463-7", "Body weight", 74.1, "kg"),
          ("39156-5", "Body mass index (BMI) [Ratio]", 25.25, "kg/m2"), ("8310-5", "Body temperature", 36.8, "Cel"),
          ("8867-4", "Heart rate", 71, "/min"))
VISITS = (("bench-visit-1", "2026-03-02T09:15:00-05:00"), ("bench-visit-2", "2026-09-07T10:40:00-04:00"))
CLINIC, CLINICIAN, PATIENT = "bench-clinic", "bench-clinician", "bench-patient"


def ref(kind, ident, display=None):
    return {"reference": f"{kind}/{ident}", **({"display": display} if display else {})}


def observation(visit, when, code, display, value, unit, patient=PATIENT, number=0):
    return {"resourceType": "Observation", "id": f"{visit}-{code}" + (f"-{number}" if number else ""),
            "meta": {"versionId": "1", "lastUpdated": "2026-09-08T02:11:09.000+00:00"},
            "status": "final",
            "category": [{"coding": [{"system": CATEGORY, "code": "vital-signs"}]}],
            "code": {"coding": [{"system": LOINC, "code": code, "display": display}], "text": display},
            "subject": ref("Patient", patient), "encounter": ref("Encounter", visit),
            "effectiveDateTime": when, "issued": when,
            "performer": [ref("Practitioner", CLINICIAN, "Dr. Ada Byrne"), ref("Organization", CLINIC)],
            "valueQuantity": {"value": value, "unit": unit, "system": UCUM, "code": unit}}


def many(patient, count, visits, extra=None):
    """So many Observations, with the bytes of `extra` added to each."""
    out = []
    for n in range(count):
        visit, when = visits[n * len(visits) // count]
        out.append(observation(visit, when, *VITALS[n % len(VITALS)], patient=patient, number=n + 1))
        if extra:
            out[-1]["device"] = {"display": extra}
    return out


def visits_of(patient):
    return [(f"{patient}-{visit}", when) for visit, when in VISITS]


def encounter(visit, when, patient=PATIENT):
    return {"resourceType": "Encounter", "id": visit, "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "type": [{"coding": [{"system": "http://snomed.info/sct", "code": "185349003", "display": "Check up"}]}],
            "subject": ref("Patient", patient), "participant": [{"individual": ref("Practitioner", CLINICIAN)}],
            "period": {"start": when, "end": when}, "serviceProvider": ref("Organization", CLINIC)}


def searchset(base, kind, resources, query):
    return {"resourceType": "Bundle", "type": "searchset", "total": len(resources),
            "link": [{"relation": "self", "url": f"{base}/{kind}?{query}"}],
            "entry": [{"fullUrl": f"{base}/{kind}/{r['id']}", "resource": r, "search": {"mode": "match"}} for r in resources]}


# A consent in force, so that directives are looked up, judged and found not to matter, as they are for most records.
CONSENT = {"resourceType": "Consent", "id": "bench-consent", "status": "active",
           "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
           "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "42CFRPart2CD"}]}],
           "patient": ref("Patient", PATIENT), "dateTime": "2026-01-05T10:00:00Z",
           "performer": [ref("Patient", PATIENT)], "sourceAttachment": {"title": "form"},
           "policy": [{"uri": "urn:sluice:form:part2-tpo-2024"}],
           "provision": {"type": "permit", "period": {"start": "2026-01-05", "end": "2036-01-05"},
                         "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": code}
                                     for code in ("TREAT", "HPAYMT", "HOPERAT")]}}

REGISTRY = """clients:
  - id: bench
    organization: Organization/bench-clinic
    kinds: [covered-entity]
    roles: [physician]
    treats: ["*"]
    purposes: [TREAT]
"""
PROGRAMS = """programs:
  - source: Organization/some-program
    is: program
    title: A program that made none of these
others: not
"""
CONFIG = """server:
  listen: 127.0.0.1:{port}
  url: {scheme}://localhost:{port}/fhir
  {security}
  workers: {workers}
  log: no
upstream:
  url: {upstream}
identity:
  audience: {scheme}://localhost:{port}/fhir
  registry: registry.yaml
  issuers:
    - issuer: {issuer}
      keys: issuer.jwks
      algorithms: [ES256]
policy:
  store: policy
  programs: programs.yaml
labels:
  book: {name}-book
paging:
  count-limit: 1000
ledger:
  directory: {ledger}
"""
MEMORY = "/dev/shm"  # where a file system in memory is

# ---- nginx ----

NGINX = """worker_processes 1;
daemon off;
pid {folder}/{name}.pid;
error_log {folder}/{name}.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  open_file_cache max=1000;
  types {{ }}
  default_type application/fhir+json;
  client_body_temp_path {folder}/{name}-body;
  proxy_temp_path {folder}/{name}-proxy;
  fastcgi_temp_path {folder}/{name}-fastcgi;
  uwsgi_temp_path {folder}/{name}-uwsgi;
  scgi_temp_path {folder}/{name}-scgi;
  {body}
}}
"""
FILES = """server {{
    listen 127.0.0.1:{port};
    root {folder}/files;
    location = /fhir/Observation {{ try_files /Observation-$arg_patient.json =404; }}
    location ~ ^/fhir/Bundle/(.*)$ {{ try_files /Observation-$1.json =404; }}
    location ~ ^/fhir/([A-Za-z]+)$ {{ try_files /$1-$arg__id.json =404; }}
  }}"""
# The answers stay in memory, as everywhere here: an nginx that wrote them to files first would be no peer.
PROXY = """upstream files {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://files; proxy_http_version 1.1; proxy_set_header Connection "";
                 proxy_buffer_size 16k; proxy_buffers 1024 16k; proxy_busy_buffers_size 256k; proxy_max_temp_file_size 0; }}
  }}"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Bench:
    def __init__(self, args):
        self.sluice, self.bare, self.pace = (os.path.abspath(name) for name in (args.sluice, args.bare, args.pace))
        self.folder = os.path.abspath(args.folder)
        self.rounds, self.seconds = args.rounds, args.seconds
        self.running = []
        self.ports = {name: free_port() for name in
                      ("files", "nginx", "bare", "bare-large", "gateway", "memory", "tls", "cold")}
        self.memory_folder = None
        self.upstream = f"http://127.0.0.1:{self.ports['files']}/fhir"

    def at(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text):
        with open(self.at(name), "w") as out:
            out.write(text)

    def run(self, *words):
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"gateway.py: {' '.join(words)}\n{done.stdout}{done.stderr}")
        return done.stdout

    # ---- Making ----

    def write_answers(self):
        """Each question the gateway may ask has a file of its own: every order of every choice of ids."""
        sets = {PATIENT: [observation(visit, when, *vital) for visit, when in VISITS for vital in VITALS],
                "bench-large": many("bench-large", 1000, visits_of("bench-large")),
                "bench-huge": many("bench-huge", 1000, visits_of("bench-huge"), "x" * 9200)}
        alone = {name: many(name, 1000, visits_of(name)) for name in UNSEEN}
        organization = {"resourceType": "Organization", "id": CLINIC, "active": True, "name": "Bench Clinic"}
        os.makedirs(self.at("files"))
        self.write("unseen.lua", UNSEEN_LUA % len(UNSEEN))
        for name, observations in {**sets, **alone}.items():
            self.write(f"files/Observation-{name}.json", json.dumps(searchset(self.upstream, "Observation", observations,
                                                                              "patient=" + name), separators=(",", ":")))
        def patients(names):
            return [{"resourceType": "Patient", "id": name, "active": True, "name": [{"family": "Bench"}], "birthDate": "1971-05-02"}
                    for name in names]
        for kind, records in (("Encounter", [encounter(*visit) for visit in VISITS]), ("Organization", [organization]),
                              ("Encounter", [encounter(*visit, patient="bench-large") for visit in visits_of("bench-large")]),
                              ("Encounter", [encounter(*visit, patient="bench-huge") for visit in visits_of("bench-huge")]),
                              *(("Encounter", [encounter(*visit, patient=name) for visit in visits_of(name)]) for name in UNSEEN),
                              *(("Patient", patients([name])) for name in UNSEEN),
                              ("Patient", patients(sets)), ("Provenance", [])):
            # What is asked without `_id` (who links to the patient, who vouches for a record): nothing.
            self.write(f"files/{kind}-.json", json.dumps(searchset(self.upstream, kind, [], "")))
            for count in range(1, len(records) + 1):
                for some in itertools.permutations(records, count):
                    ids = ",".join(r["id"] for r in some)
                    self.write(f"files/{kind}-{ids}.json", json.dumps(searchset(self.upstream, kind, some, "_id=" + ids),
                                                                      separators=(",", ":")))

    def config(self, name, scheme, security, workers, ledger=None):
        self.write(f"{name}.yaml", CONFIG.format(port=self.ports[name], scheme=scheme, security=security, workers=workers,
                                                 upstream=self.upstream, issuer=ISSUER, name=name,
                                                 ledger=ledger or f"{name}-ledger"))
        self.write(f"{name}.token", self.run(self.sluice, "token", "issue", "--key", self.at("issuer.pem"), "--issuer", ISSUER,
                                             "--audience", f"{scheme}://localhost:{self.ports[name]}/fhir", "--client", "bench",
                                             "--purpose", "TREAT", "--seconds", "3600").strip())

    def make(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder, mode=0o755)
        self.write_answers()
        self.write("registry.yaml", REGISTRY)
        self.write("programs.yaml", PROGRAMS)
        self.write("consent.json", json.dumps(CONSENT))
        self.write("issuer.jwks", self.run(self.sluice, "token", "keygen", "--key", self.at("issuer.pem"), "--algorithm", "ES256"))
        self.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                 "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                 "-keyout", self.at("key.pem"), "-out", self.at("certificate.pem"))
        self.run(self.sluice, "policy", "activate", os.path.join(ROOT, "consent", "policies"), "--store", self.at("policy"),
                 "--author", "bench")
        self.run(self.sluice, "consent", "import", "--store", self.at("policy"), self.at("consent.json"))
        self.config("gateway", "http", "plain: yes", 1)
        if os.access(MEMORY, os.W_OK):
            self.memory_folder = tempfile.mkdtemp(dir=MEMORY, prefix="sluice-bench-")
            self.config("memory", "http", "plain: yes", 1, os.path.join(self.memory_folder, "ledger"))
        self.config("tls", "https", "certificate: certificate.pem\n  key: key.pem", 1)
        self.nginx_config("files", FILES.format(port=self.ports["files"], folder=self.folder))
        self.nginx_config("nginx", PROXY.format(port=self.ports["nginx"], upstream=self.ports["files"]))

    def nginx_config(self, name, body):
        user = "user root;\n" if os.geteuid() == 0 else ""
        self.write(f"{name}.conf", user + NGINX.format(folder=self.folder, name=name, body=body))

    # ---- Starting and stopping ----

    def start(self, name, *words):
        with open(self.at(f"{name}.out"), "w") as out:
            process = subprocess.Popen(words, stdout=out, stderr=out, start_new_session=True)
        self.running.append(process)
        for _ in range(200):
            if process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.ports[name]), 1).close()
                return process
            except OSError:
                time.sleep(0.05)
        with open(self.at(f"{name}.out")) as out:
            raise SystemExit(f"gateway.py: {name} does not listen\n{out.read()}")

    def start_nginx(self, name):
        return self.start(name, "nginx", "-p", self.folder, "-e", self.at(f"{name}.log"), "-c", self.at(f"{name}.conf"))

    def stop(self):
        """Those started here, and what they started: each leads a session of its own."""
        for process in self.running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)
        self.running = []
        if self.memory_folder:
            shutil.rmtree(self.memory_folder, ignore_errors=True)

    # ---- Measuring ----

    def token_file(self, name):
        """Its own; whoever asks for none gets the gateway's."""
        own = self.at(f"{name}.token")
        return own if os.path.exists(own) else self.at("gateway.token")

    def token(self, name):
        with open(self.token_file(name)) as token:
            return token.read().strip()

    def check(self):
        """Before anything is timed: it is the right answer, and all ten are in it."""
        for name, path, count in (("nginx", SEARCH, 10), ("bare", SEARCH, 10), ("nginx", LARGE, 1000),
                                  ("bare-large", LARGE, 1000), ("gateway", LARGE, 1000),
                                  *((name, path, count) for name in self.gateways()
                                    for path, count in ((SEARCH, 10), (HUGE, 1000)))):
            request = urllib.request.Request(f"http://127.0.0.1:{self.ports[name]}{path}",
                                             headers={"Host": f"localhost:{self.ports[name]}",
                                                      "Authorization": "Bearer " + self.token(name)})
            with urllib.request.urlopen(request, timeout=20) as answer:
                text = answer.read()
            matches = [e for e in json.loads(text)["entry"] if e["resource"]["resourceType"] == "Observation"]
            if len(matches) != count:
                raise SystemExit(f"gateway.py: {name} answers with {len(matches)} Observations, not {count}")
            print(f"{name:10} answers {len(text)} bytes")

    def wrk(self, name, path, connections, seconds):
        """path None: each request is for other rows."""
        script = [] if path else ["-s", self.at("unseen.lua")]
        return ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s", *script,
                "-H", "Authorization: Bearer " + self.token(name), f"http://127.0.0.1:{self.ports[name]}{path or ''}"]

    def load(self, name, seconds, path=SEARCH, connections=CONNECTIONS):
        """Requests a second."""
        text = self.run(*self.wrk(name, path, connections, seconds))
        if "Non-2xx" in text or "Socket errors" in text:
            raise SystemExit(f"gateway.py: {name} failed requests\n{text}")
        return float(re.search(r"Requests/sec:\s+([0-9.]+)", text)[1]), re.search(r"99%\s+(\S+)", text)[1]

    def serve(self):
        self.start_nginx("nginx")
        self.start("bare", self.bare, str(self.ports["bare"]), self.upstream, "Bundle/" + PATIENT)
        self.start("bare-large", self.bare, str(self.ports["bare-large"]), self.upstream, "Bundle/bench-large")
        for name in self.gateways():
            self.start(name, self.sluice, "serve", "--config", self.at(f"{name}.yaml"))
        self.check()

    def gateways(self):
        return ["gateway", "memory"] if self.memory_folder else ["gateway"]

    def throughput(self, what, path, names, connections, goal):
        """In turn, some rounds; gives the gateway's median rate."""
        for name in names:
            self.load(name, 1, path, connections)
        rates = {name: [] for name in names}
        for number in range(self.rounds):
            for name in names:
                rate, slowest = self.load(name, self.seconds, path, connections)
                rates[name].append(rate)
                print(f"{what}, round {number + 1}  {name:10} {rate:8.0f} requests/s   99 % within {slowest}")
        for name in names:
            print(f"= {name}, {what}, {connections} connections\t{statistics.median(rates[name]):.0f}\trequests/s\t-\t-")
        for name, wanted in zip(names[1:], ("-\t-", f">=\t{goal}")[-len(names[1:]):]):
            ratio = statistics.median(mine / nginx for mine, nginx in zip(rates[name], rates[names[0]]))
            print(f"= {name} against nginx proxy_pass, {what}\t{ratio:.2f}\tx\t{wanted}")
        return statistics.median(rates[names[-1]])

    def paced(self, name, rate):
        """p99 in milliseconds, at an even pace."""
        text = self.run(self.pace, str(self.ports[name]), SEARCH, str(rate), str(self.seconds), "32", self.token_file(name))
        middle, p99, slowest, answered = text.split()
        print(f"{name:10} {rate:.0f} requests/s, evenly: p50 {middle} ms, p99 {p99} ms, slowest {slowest} ms, {answered} answered")
        return float(p99)

    def beside(self, name, rate):
        """p99 beside a connection that asks for 10 MB without a pause."""
        large = subprocess.Popen(self.wrk(name, HUGE, 1, self.seconds + 1), stdout=subprocess.DEVNULL)
        self.running.append(large)
        p99 = self.paced(name, rate)
        large.wait()
        return p99

    def latency(self, most):
        rate = max(20, most / 2)
        for what, how, pace in ((f"p99 added at half load, {rate:.0f} requests/s", self.paced, rate),
                                ("the same at a quarter, while searches of 10 MB run", self.beside, rate / 2)):
            added = {name: [] for name in self.gateways()}
            for _ in range(self.rounds):
                nginx = how("nginx", pace)
                for name in added:
                    added[name].append(how(name, pace) - nginx)
            for name, where, goal in (("gateway", "", "<=\t2"), ("memory", ", the ledger in memory", "-\t-")):
                if name in added:
                    print(f"= {what}{where}\t{statistics.median(added[name]):.2f}\tms\t{goal}")

    def cold(self):
        """What the first search of a thousand asks of an upstream, beyond the search itself."""
        visits = [(f"cold-visit-{n}", VISITS[n % 2][1]) for n in range(COLD_VISITS)]
        records = {"Observation": many(PATIENT, 1000, visits), "Encounter": [encounter(*visit) for visit in visits],
                   "Organization": [{"resourceType": "Organization", "id": CLINIC, "name": "Bench Clinic"}],
                   "Patient": [{"resourceType": "Patient", "id": PATIENT}]}
        asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(handler):
                path, _, query = handler.path.partition("?")
                kind, wanted = path.rpartition("/")[2], dict(urllib.parse.parse_qsl(query))
                asked.append(handler.path)
                rows = records.get(kind, [])
                if "_id" in wanted:
                    rows = [r for r in rows if r["id"] in wanted["_id"].split(",")]
                elif kind != "Observation":
                    rows = []
                text = json.dumps(searchset("http://upstream", kind, rows, "x")).encode()
                handler.send_response(200)
                handler.send_header("Content-Type", "application/fhir+json")
                handler.send_header("Content-Length", str(len(text)))
                handler.end_headers()
                handler.wfile.write(text)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        upstream, self.upstream = self.upstream, f"http://127.0.0.1:{server.server_port}/fhir"
        self.config("cold", "http", "plain: yes", 1)
        self.upstream = upstream
        self.start("cold", self.sluice, "serve", "--config", self.at("cold.yaml"))
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports['cold']}/fhir/Observation?patient={PATIENT}&_count=1000",
                                         headers={"Authorization": "Bearer " + self.token("cold")})
        with urllib.request.urlopen(request, timeout=60) as answer:
            matches = [e for e in json.loads(answer.read())["entry"] if e["resource"]["resourceType"] == "Observation"]
        if len(matches) != 1000:
            raise SystemExit(f"gateway.py: the cold search gives {len(matches)} Observations, not 1000")
        for path in asked:
            print(f"cold: {path[:100]}")
        print(f"= upstream requests of a cold search of 1,000 ({COLD_VISITS} visits), beyond the search\t{len(asked) - 1}\t\t<=\t8")
        server.shutdown()

    def memory(self):
        gateway = self.start("tls", self.sluice, "serve", "--config", self.at("tls.yaml"))
        text = self.run(sys.executable, os.path.join(BENCH, "idle_tls.py"), str(self.ports["tls"]), str(gateway.pid),
                        self.at("certificate.pem"), str(IDLE), "--path", SEARCH, "--token", self.at("tls.token"))
        before, idle, asked = (float(word) for word in text.split())
        print(f"RssAnon: {before} MiB at start, {idle} MiB with {IDLE} TLS connections open, {asked} MiB after a search on each")
        print(f"= RssAnon with {IDLE} open TLS connections\t{idle:.1f}\tMiB\t<=\t64")
        print(f"= the same after a search on each\t{asked:.1f}\tMiB\t<=\t64")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sluice", required=True)
    parser.add_argument("--bare", required=True)
    parser.add_argument("--pace", required=True)
    parser.add_argument("--folder", default="build/bench/gateway")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    bench = Bench(parser.parse_args())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("gateway.py: stopped"))
    try:
        bench.make()
        bench.start_nginx("files")
        bench.serve()
        most = bench.throughput("ten resources", SEARCH, ("nginx", "bare", "gateway"), CONNECTIONS, 0.5)
        bench.throughput("a thousand", LARGE, ("nginx", "bare-large", "gateway"), 8, 0.35)
        bench.throughput("a thousand that were not seen before", None, ("nginx", "gateway"), 8, 0.35)
        bench.latency(most)
        bench.cold()
        bench.memory()
    finally:
        bench.stop()


if __name__ == "__main__":
    main()
