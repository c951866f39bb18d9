#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What does the gateway cost, request by request?

    gateway.py --sluice FILE --bare FILE [--folder DIR] [--rounds N] [--seconds S]

A searchset of ten Observations (8 KB) is asked for over loopback by 64 connections (wrk), of three that stand in front of the
same upstream, an nginx with files: nginx proxy_pass, the bare proxy (bare_proxy.c), and the gateway with everything on but TLS.
One worker each, connections to the upstream kept, in turn, some rounds. Then the gateway with TLS and a thousand idle
connections (idle_tls.py). Lines that begin with '=' are figures for run.sh. Everything started here is stopped, come what may.
"""
import argparse
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
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BENCH = os.path.join(ROOT, "bench")
CONNECTIONS = 64
IDLE = 1000
ISSUER = "https://issuer.example"
SEARCH = "/fhir/Observation?patient=bench-patient&_count=10"

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


def observation(visit, when, code, display, value, unit):
    return {"resourceType": "Observation", "id": f"{visit}-{code}",
            "meta": {"versionId": "1", "lastUpdated": "2026-09-08T02:11:09.000+00:00"},
            "status": "final",
            "category": [{"coding": [{"system": CATEGORY, "code": "vital-signs"}]}],
            "code": {"coding": [{"system": LOINC, "code": code, "display": display}], "text": display},
            "subject": ref("Patient", PATIENT), "encounter": ref("Encounter", visit),
            "effectiveDateTime": when, "issued": when,
            "performer": [ref("Practitioner", CLINICIAN, "Dr. Ada Byrne"), ref("Organization", CLINIC)],
            "valueQuantity": {"value": value, "unit": unit, "system": UCUM, "code": unit}}


def encounter(visit, when):
    return {"resourceType": "Encounter", "id": visit, "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "type": [{"coding": [{"system": "http://snomed.info/sct", "code": "185349003", "display": "Check up"}]}],
            "subject": ref("Patient", PATIENT), "participant": [{"individual": ref("Practitioner", CLINICIAN)}],
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
ledger:
  directory: {name}-ledger
"""

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
    location = /fhir/Observation {{ try_files /Observation.json =404; }}
    location = /fhir/Bundle/ten {{ try_files /Observation.json =404; }}
    location ~ ^/fhir/([A-Za-z]+)$ {{ try_files /$1-$arg__id.json =404; }}
  }}"""
PROXY = """upstream files {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://files; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Bench:
    def __init__(self, args):
        self.sluice, self.bare = os.path.abspath(args.sluice), os.path.abspath(args.bare)
        self.folder = os.path.abspath(args.folder)
        self.rounds, self.seconds = args.rounds, args.seconds
        self.running = []
        self.ports = {name: free_port() for name in ("files", "nginx", "bare", "gateway", "tls")}
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
        observations = [observation(visit, when, *vital) for visit, when in VISITS for vital in VITALS]
        organization = {"resourceType": "Organization", "id": CLINIC, "active": True, "name": "Bench Clinic"}
        os.makedirs(self.at("files"))
        self.write("files/Observation.json", json.dumps(searchset(self.upstream, "Observation", observations, "patient=" + PATIENT),
                                                        separators=(",", ":")))
        patient = {"resourceType": "Patient", "id": PATIENT, "active": True, "name": [{"family": "Bench"}], "birthDate": "1971-05-02"}
        for kind, records in (("Encounter", [encounter(*visit) for visit in VISITS]), ("Organization", [organization]),
                              ("Patient", [patient]), ("Provenance", [])):
            # What is asked without `_id` (who links to the patient, who vouches for a record): nothing.
            self.write(f"files/{kind}-.json", json.dumps(searchset(self.upstream, kind, [], "")))
            for count in range(1, len(records) + 1):
                for some in itertools.permutations(records, count):
                    ids = ",".join(r["id"] for r in some)
                    self.write(f"files/{kind}-{ids}.json", json.dumps(searchset(self.upstream, kind, some, "_id=" + ids),
                                                                      separators=(",", ":")))

    def config(self, name, scheme, security, workers):
        self.write(f"{name}.yaml", CONFIG.format(port=self.ports[name], scheme=scheme, security=security, workers=workers,
                                                 upstream=self.upstream, issuer=ISSUER, name=name))
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

    # ---- Measuring ----

    def token(self, name):
        with open(self.at(f"{name}.token")) as token:
            return token.read().strip()

    def check(self):
        """Before anything is timed: it is the right answer, and all ten are in it."""
        for name in ("nginx", "bare", "gateway"):
            request = urllib.request.Request(f"http://127.0.0.1:{self.ports[name]}{SEARCH}",
                                             headers={"Host": f"localhost:{self.ports[name]}",
                                                      "Authorization": "Bearer " + self.token("gateway")})
            with urllib.request.urlopen(request, timeout=20) as answer:
                text = answer.read()
            matches = [e for e in json.loads(text)["entry"] if e["resource"]["resourceType"] == "Observation"]
            if len(matches) != 10:
                raise SystemExit(f"gateway.py: {name} answers with {len(matches)} Observations, not ten")
            print(f"{name:8} answers {len(text)} bytes")

    def load(self, name, seconds):
        """Requests a second."""
        text = self.run("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "--timeout", "10s",
                        "-H", "Authorization: Bearer " + self.token("gateway"), f"http://127.0.0.1:{self.ports[name]}{SEARCH}")
        if "Non-2xx" in text or "Socket errors" in text:
            raise SystemExit(f"gateway.py: {name} failed requests\n{text}")
        return float(re.search(r"Requests/sec:\s+([0-9.]+)", text)[1]), re.search(r"99%\s+(\S+)", text)[1]

    def throughput(self):
        names = ("nginx", "bare", "gateway")
        self.start_nginx("nginx")
        self.start("bare", self.bare, str(self.ports["bare"]), self.upstream, "Bundle/ten")
        self.start("gateway", self.sluice, "serve", "--config", self.at("gateway.yaml"))
        self.check()
        for name in names:
            self.load(name, 1)
        rates = {name: [] for name in names}
        for number in range(self.rounds):
            for name in names:
                rate, slowest = self.load(name, self.seconds)
                rates[name].append(rate)
                print(f"round {number + 1}  {name:8} {rate:8.0f} requests/s   99 % within {slowest}")
        for name in names:
            print(f"= {name}, ten resources, {CONNECTIONS} connections\t{statistics.median(rates[name]):.0f}\trequests/s\t-\t-")
        for name, goal in (("bare", "-\t-"), ("gateway", ">=\t0.4")):
            ratio = statistics.median(mine / nginx for mine, nginx in zip(rates[name], rates["nginx"]))
            print(f"= {name} against nginx proxy_pass\t{ratio:.2f}\tx\t{goal}")

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
    parser.add_argument("--folder", default="build/bench/gateway")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    bench = Bench(parser.parse_args())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("gateway.py: stopped"))
    try:
        bench.make()
        bench.start_nginx("files")
        bench.throughput()
        bench.memory()
    finally:
        bench.stop()


if __name__ == "__main__":
    main()
