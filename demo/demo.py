#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The main job, shown: the gateway over TLS in front of the embedded EHR with the synthetic clinic of clinic.py.

    ./dev demo           starts it, prints requests to paste, stays up until Ctrl-C
    ./dev demo --check   starts it, asks everything, exits 0 only if every answer is what the policy says

Everything it makes is in var/demo: keys, tokens, stores, ledger. Each answer is explained from the ledger, which has it
before the answer leaves.
"""
import argparse
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ISSUER = "https://issuer.clinic.example"

REGISTRY = """# Who the clients are. What neither this file nor the token proves does not count.
clients:
  - id: lakeside-ehr
    title: Lakeside Primary Care's EHR
    organization: Organization/lakeside-primary
    organization-name: Lakeside Primary Care
    kinds: [covered-entity]
    token-roles: [physician]
    purposes: [TREAT]
    users:
      - subject: dr-reyes
        reference: Practitioner/practitioner-reyes
        name: Dr. Tomas Reyes
        roles: [physician]
        treats: [Patient/amara, Patient/bruno, Patient/chen, Patient/dalia, Patient/farah, Patient/gita, Patient/lena, Patient/kei, Patient/nora]
  - id: brigid-emergency
    title: St. Brigid Hospital, emergency department
    organization: Organization/brigid-hospital
    organization-name: St. Brigid Hospital
    kinds: [covered-entity]
    token-roles: [physician]
    purposes: [TREAT, ETREAT, BTG]
    users:
      - subject: dr-haddad
        reference: Practitioner/practitioner-haddad
        name: Dr. Noor Haddad
        roles: [physician]
        treats: [Patient/elias]
  - id: river-valley-hie
    title: River Valley Health Exchange
    organization: Organization/river-valley-hie
    organization-name: River Valley Health Exchange
    kinds: [hie-partner, business-associate]
    purposes: [TREAT]
  - id: lakeside-front-desk
    title: Lakeside Primary Care, registration
    organization: Organization/lakeside-primary
    roles: [front-desk]
    purposes: [PATADMIN]
  - id: northway-health-plan
    title: Northway Health Plan
    organization: Organization/northway-health-plan
    kinds: [health-plan]
    purposes: [HPAYMT]
  - id: my-record-app
    title: An app of the patient's choice
    token-roles: [patient]
    purposes: [PATRQT]
    users:
      - subject: bruno
        reference: Patient/bruno
        roles: [patient]
  - id: visit-scribe
    title: An AI agent that helps to treat
    kinds: [ai-agent]
    agreements: [baa]
    purposes: [TREAT]
"""

CONFIG = """server:
  listen: 127.0.0.1:{port}
  url: {base}
  certificate: server.pem
  key: server-key.pem
  workers: 2
  log: no
upstream:
  records: records
identity:
  audience: {base}
  registry: registry.yaml
  issuers:
    - issuer: {issuer}
      keys: issuer.jwks
      algorithms: [ES256]
policy:
  store: policy
  programs: clinic/programs.yaml
ledger:
  directory: ledger
"""

# Who asks: name of the token file, the words a reader sees, and what the token says.
CALLERS = {
    "physician": ("a treating physician (Dr. Reyes, primary care)", ["--client", "lakeside-ehr", "--user", "dr-reyes",
                  "--fhir-user", "Practitioner/practitioner-reyes", "--role", "physician", "--purpose", "TREAT"]),
    "hospital": ("a physician of the hospital (Dr. Haddad)", ["--client", "brigid-emergency", "--user", "dr-haddad",
                 "--fhir-user", "Practitioner/practitioner-haddad", "--role", "physician", "--purpose", "TREAT"]),
    "emergency": ("an emergency physician who breaks the glass (Dr. Haddad)", ["--client", "brigid-emergency", "--user",
                  "dr-haddad", "--fhir-user", "Practitioner/practitioner-haddad", "--role", "physician", "--purpose", "ETREAT"]),
    "exchange": ("an HIE partner (River Valley Health Exchange)", ["--client", "river-valley-hie", "--purpose", "TREAT"]),
    "front-desk": ("the front desk (Lakeside registration)", ["--client", "lakeside-front-desk", "--purpose", "PATADMIN"]),
    "payer": ("a payer (Northway Health Plan)", ["--client", "northway-health-plan", "--purpose", "HPAYMT"]),
    "patient": ("the patient himself (Bruno, through an app)", ["--client", "my-record-app", "--user", "bruno", "--fhir-user",
                "Patient/bruno", "--patient", "bruno", "--scope", "patient/*.rs", "--purpose", "PATRQT"]),
    "agent": ("an AI agent that helps to treat", ["--client", "visit-scribe", "--purpose", "TREAT"]),
}
STATEMENT = ('clinician="Dr. Noor Haddad", affiliation="St. Brigid Hospital", discloser="Sluice for the clinic", '
             'nature="unconscious, suspected overdose", consent-unobtainable')

# Events of the clinic, by who made them (clinic.py). What the policy says is written here by hand, not asked of Sluice.
ORDINARY_CONDITIONS = ["pc-diabetes", "pc-hypertension"]
ORDINARY_MEDICINES = ["pc-metformin", "pc-lisinopril"]


def ids(patient, kind, events):
    return {f"{kind}/{patient}-{event}" for event in events}


class Ask:
    """One request, and what must come of it."""

    def __init__(self, title, caller, path, sees=(), status=200, emergency=None, form=None, never=(), notice=None, cuts=()):
        self.title, self.caller, self.path, self.status = title, caller, path, status
        self.sees, self.emergency, self.form = set(sees), emergency, form
        self.never, self.notice, self.cuts = never, notice, cuts


def asks():
    yield Ask("Amara signed the TPO consent: her physician sees the methadone clinic's diagnosis beside his own.", "physician",
              "Condition?patient=amara", ids("amara", "Condition", ORDINARY_CONDITIONS + ["otp-oud"]), notice=True)
    yield Ask("Bruno did not: the same physician sees his own diagnoses, and nothing tells him that there is more.", "physician",
              "Condition?patient=bruno", ids("bruno", "Condition", ORDINARY_CONDITIONS),
              never=["F11", "harbor", "otp-", "42CFRPart2"], notice=False)
    yield Ask("Bruno's care plan, written in primary care: what it says of the program is cut, the rest stays.", "physician",
              "CarePlan/bruno-pc-plan", {"CarePlan/bruno-pc-plan"}, never=["ethadone", "pioid", "otp-"],
              cuts=["CarePlan.addresses[1]", "CarePlan.activity[1]"])
    yield Ask("Bruno's methadone prescription, read by its id: the answer for what does not exist.", "physician",
              "MedicationRequest/bruno-otp-methadone", status=404)
    yield Ask("Chen revoked, so nothing of the program goes any more.", "physician", "MedicationRequest?patient=chen",
              ids("chen", "MedicationRequest", ORDINARY_MEDICINES), never=["ethadone"], notice=False)
    yield Ask("Dalia's consent has expired.", "physician", "MedicationRequest?patient=dalia",
              ids("dalia", "MedicationRequest", ORDINARY_MEDICINES), never=["ethadone"], notice=False)
    yield Ask("Elias named the hospital, and only for treatment: its physician sees the program's record.", "hospital",
              "MedicationRequest?patient=elias", ids("elias", "MedicationRequest", ORDINARY_MEDICINES + ["otp-methadone"]),
              notice=True)
    yield Ask("Lena's alcohol use disorder was diagnosed in primary care: sensitive, but no program's; her physician sees it.",
              "physician", "Condition?patient=lena", ids("lena", "Condition", ORDINARY_CONDITIONS + ["pc-alcohol"]),
              never=["odd-oud"], notice=False)
    yield Ask("The exchange sees Bruno's ordinary record.", "exchange", "Condition?patient=bruno",
              ids("bruno", "Condition", ORDINARY_CONDITIONS), never=["F11", "harbor", "otp-"])
    yield Ask("Farah opted out of sending mental health to the exchange; depression stays, diabetes goes.", "exchange",
              "Condition?patient=farah", ids("farah", "Condition", ORDINARY_CONDITIONS), never=["F33"])
    yield Ask("Her summary is a C-CDA in which a program wrote one diagnosis; her physician has the rest of it.", "physician",
              "DocumentReference?patient=farah", ids("farah", "DocumentReference", ["pc-note", "pc-summary"]), never=["harbor"])
    yield Ask("The front desk sees appointments, but not those of the program.", "front-desk", "Appointment?patient=bruno",
              ids("bruno", "Appointment", ["pc-appointment"]), never=["harbor", "otp-"])
    yield Ask("The front desk has no business with diagnoses.", "front-desk", "Condition?patient=bruno")
    yield Ask("An emergency: Dr. Haddad declares what 42 CFR 2.51 wants, and sees Bruno's methadone.", "emergency",
              "MedicationRequest?patient=bruno",
              ids("bruno", "MedicationRequest", ORDINARY_MEDICINES + ["otp-methadone"]), emergency=STATEMENT)
    yield Ask("Without the nature of the emergency the glass does not break, whatever there is behind it.", "emergency",
              "MedicationRequest?patient=bruno", status=400, emergency=STATEMENT.replace("unconscious, suspected overdose", " "))
    yield Ask("The payer sees the primary-care claim; the program's claim needs a consent, which Bruno did not give.", "payer",
              "Claim?patient=bruno", ids("bruno", "Claim", ["pc-claim"]), never=["F11", "harbor", "otp-"])
    yield Ask("Amara gave it, for payment too.", "payer", "Claim?patient=amara",
              ids("amara", "Claim", ["pc-claim", "otp-claim"]), notice=True)
    yield Ask("Bruno himself sees everything but the counseling notes that are kept apart.", "patient",
              "DocumentReference?patient=bruno", ids("bruno", "DocumentReference", ["pc-note", "otp-note", "otp-letter", "er-note", "er-scan"]))
    yield Ask("The program's letter is a file behind a link. It goes where the letter goes: to Amara's physician, on her consent,",
              "physician", "Binary/amara-otp-letter-text?_format=json", {"Binary/amara-otp-letter-text"}, notice=True)
    yield Ask("and not to Bruno's, who cannot tell it from a file that never was.", "physician",
              "Binary/bruno-otp-letter-text?_format=json", status=404)
    yield Ask("The AI agent gets the ordinary coded record: nothing of the program, no words, no drafts.", "agent",
              "Condition", ids("bruno", "Condition", ORDINARY_CONDITIONS), form="patient=bruno", never=["F11", "harbor", "otp-"])
    yield Ask("Gita's AI drafts and her psychotherapy note are not for her physician's list of documents; what he has checked is.",
              "physician", "DocumentReference?patient=gita", ids("gita", "DocumentReference", ["pc-note", "checked"]))
    yield Ask("Nora paid for a visit herself and asked to keep it from her plan: the officer entered the visit, and its claim is gone "
              "with it.", "payer", "Claim?patient=nora", ids("nora", "Claim", ["pc-claim"]), never=["paid", "L30", "HIPAASelfPay"])
    yield Ask("So is its diagnosis.", "payer", "Condition?patient=nora", ids("nora", "Condition", ORDINARY_CONDITIONS), never=["paid"])
    yield Ask("Her physician sees it, whoever paid.", "physician", "Condition?patient=nora",
              ids("nora", "Condition", ORDINARY_CONDITIONS + ["paid-skin"]))
    yield Ask("Her psychotherapy note stays in its folder; the plan of treatment in the same folder and the progress note do not.",
              "physician", "DocumentReference?patient=nora",
              ids("nora", "DocumentReference", ["pc-note", "paid-note", "talk-plan", "talk-progress"]), never=["divorce"])
    yield Ask("The transcript of her session is kept apart as well.", "physician", "Communication?patient=nora")
    yield Ask("Petra is registered by the program, and nobody else's patient: that she is known here is told to nobody outside.",
              "exchange", "Patient/petra", status=404)
    yield Ask("Bruno is seen elsewhere too, so the exchange knows him already.", "exchange", "Patient/bruno", {"Patient/bruno"})
    yield Ask("Lena's blood pressure came from another's program on a TPO consent: it goes on as HIPAA permits, with the statement.",
              "physician", "Observation/lena-received-bp", {"Observation/lena-received-bp"}, notice=True)


# ---- The world of the demonstration ----

class Demo:
    def __init__(self, sluice, folder, port):
        self.sluice, self.folder, self.port = os.path.abspath(sluice), folder, port
        self.base = f"https://localhost:{port}/fhir"
        self.server = None
        self.read = 0

    def at(self, *names):
        return os.path.join(self.folder, *names)

    def run(self, *words, **more):
        done = subprocess.run([self.sluice, *words], capture_output=True, text=True, **more)
        if done.returncode:
            sys.exit(f"demo: sluice {' '.join(words)}\n{done.stderr}")
        return done.stdout

    def write(self, name, text):
        with open(self.at(name), "w") as out:
            out.write(text)

    def prepare(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder, mode=0o700)
        subprocess.run([sys.executable, os.path.join(ROOT, "demo", "clinic.py"), "--out", self.at("clinic")], check=True)
        self.make_certificate()
        self.write("issuer.jwks", self.run("token", "keygen", "--key", self.at("issuer.pem"), "--algorithm", "ES256"))
        self.write("registry.yaml", REGISTRY)
        self.write("sluice.yaml", CONFIG.format(port=self.port, base=self.base, issuer=ISSUER))
        for name, (_, words) in CALLERS.items():
            self.write(f"{name}.token", self.run("token", "issue", "--key", self.at("issuer.pem"), "--issuer", ISSUER,
                                                 "--audience", self.base, "--seconds", "86400", *words))
        policies = os.path.join(ROOT, "consent", "policies")
        for words in (["policy", "check", policies],
                      ["policy", "activate", policies, "--store", self.at("policy"), "--author", "demo"],
                      ["consent", "import", "--store", self.at("policy"), self.at("clinic", "consents.ndjson")],
                      ["register", "import", self.at("clinic", "register.yaml"), "--store", self.at("policy")],
                      ["records", "import", "--store", self.at("records"), self.at("clinic", "records.ndjson")]):
            print(f"$ sluice {' '.join(os.path.relpath(w, ROOT) if w.startswith('/') else w for w in words)}")
            print("  " + self.run(*words).strip().replace("\n", "\n  "))

    def make_certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                        "-keyout", self.at("server-key.pem"), "-out", self.at("server.pem")], check=True, capture_output=True)

    def start(self):
        self.server = subprocess.Popen([self.sluice, "serve", "--config", self.at("sluice.yaml")])
        for _ in range(600):
            if self.server.poll() is not None:
                sys.exit("demo: the gateway did not start; it says why above")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        sys.exit("demo: the gateway does not listen")

    def stop(self):
        if self.server and self.server.poll() is None:
            self.server.send_signal(signal.SIGTERM)
            try:
                self.server.wait(10)
            except subprocess.TimeoutExpired:
                self.server.kill()

    # ---- Asking ----

    def curl(self, ask):
        shown = os.path.relpath(self.folder, os.getcwd())
        words = [f"curl -sS --cacert {shown}/server.pem -H \"Authorization: Bearer $(cat {shown}/{ask.caller}.token)\""]
        if ask.emergency:
            words.append(f"-H 'Sluice-Emergency: {ask.emergency}'")
        if ask.form:
            words.append(f"-d '{ask.form}' '{self.base}/{ask.path}/_search'")
        else:
            words.append(f"'{self.base}/{ask.path}'")
        return " \\\n    ".join(words)

    def send(self, ask):
        with open(self.at(f"{ask.caller}.token")) as token:
            headers = {"Authorization": "Bearer " + token.read().strip()}
        if ask.emergency:
            headers["Sluice-Emergency"] = ask.emergency
        url, body = f"{self.base}/{ask.path}", None
        if ask.form:
            url, body = url + "/_search", ask.form.encode()
        context = ssl.create_default_context(cafile=self.at("server.pem"))
        request = urllib.request.Request(url, data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, context=context, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def record(self):
        """The newest record of the ledger: what the last answer rested on."""
        lines = self.run("ledger", "show", self.at("ledger"), "--from", str(self.read)).splitlines()
        self.read += len(lines)
        return json.loads(lines[-1])["record"]


# ---- Saying and checking ----

def released_ids(text):
    answer = json.loads(text)
    if answer["resourceType"] != "Bundle":
        return set() if answer["resourceType"] == "OperationOutcome" else {f"{answer['resourceType']}/{answer['id']}"}
    return {f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in answer.get("entry", [])
            if e.get("search", {}).get("mode") == "match"}


def say(ask, status, text, record):
    released, withheld = record["released"], record["withheld"]
    whole = [w for w in withheld if "path" not in w]
    print(f"  {status}; released {len(released)}: {' '.join(r['item'] for r in released) or 'nothing'}")
    for w in whole:
        print(f"  withheld {w['item']}: {reason(w)}")
    for w in withheld:
        if "path" in w:
            print(f"  cut      {w['path']} of {w['item']}: {reason(w)}")
    if status >= 400:
        print(f"  refused: {record['outcome']} {record.get('why', '')}")
    total = len(released) + len(whole)
    print(f"  share withheld: {len(whole)} of {total}" + (f" ({100 * len(whole) // total} %)" if total else ""))


def reason(w):
    parts = [f"class {w['class']}" if "class" in w else "", f"rule {w['rule']}" if "rule" in w else w.get("why", ""),
             f"by {w['directive']}" if "directive" in w else "", w.get("unlabelled", "")]
    return ", ".join(p for p in parts if p)


def faults(ask, status, text, record):
    """What differs from what the policy says."""
    seen = released_ids(text)
    if status != ask.status:
        yield f"status {status}, expected {ask.status}"
    for item in sorted(ask.sees - seen):
        yield f"{item} should have been released"
    for item in sorted(seen - ask.sees):
        yield f"{item} should have been withheld"
    for word in ask.never:
        if word.lower() in text.lower():
            yield f"'{word}' is in the answer"
    statement = "42 CFR part 2 prohibits unauthorized use or disclosure of these records." in text
    if ask.notice is not None and statement != ask.notice:
        yield "the statement of 42 CFR 2.32 is " + ("missing" if ask.notice else "there without a consented disclosure")
    if "total" in text and json.loads(text).get("total", len(seen)) != len(seen):
        yield "the total counts what is withheld"
    if {r["item"] for r in record["released"]} != seen | included_ids(text):
        yield "the ledger says something else was released"
    for path in ask.cuts:
        if not any(w.get("path") == path for w in record["withheld"]):
            yield f"{path} should have been cut"


def included_ids(text):
    answer = json.loads(text)
    return {f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in answer.get("entry", [])
            if e.get("search", {}).get("mode") == "include" and e["resource"].get("id")}


def tour(demo):
    failed = 0
    for number, ask in enumerate(asks(), 1):
        print(f"\n{number}. {ask.title}\n   asked by {CALLERS[ask.caller][0]}")
        print("   " + demo.curl(ask))
        status, text = demo.send(ask)
        record = demo.record()
        say(ask, status, text, record)
        for fault in faults(ask, status, text, record):
            print(f"  WRONG: {fault}")
            failed += 1
    print(f"\n{number} requests, {failed} answers not as the policy says")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluice", default=os.path.join(ROOT, "build", "release", "sluice"))
    parser.add_argument("--folder", default=os.path.join(ROOT, "var", "demo"))
    parser.add_argument("--port", type=int, default=8443)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    demo = Demo(args.sluice, args.folder, args.port)
    demo.prepare()
    demo.start()
    try:
        failed = tour(demo)
        print(demo.run("ledger", "verify", demo.at("ledger")).strip())
        if args.check:
            return 1 if failed else 0
        print(f"\nThe gateway answers at {demo.base} until Ctrl-C. The requests above can be pasted from {os.getcwd()}.")
        demo.server.wait()
    except KeyboardInterrupt:
        print("\nstopping")
    finally:
        demo.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
