# SPDX-License-Identifier: Apache-2.0
import json
import os
import re
import subprocess
import time
import urllib.parse

import house

TYPES = ("Encounter", "Condition", "MedicationRequest", "Observation", "Claim", "ExplanationOfBenefit", "DocumentReference", "List")
PAID = [("Encounter", "paid-visit"), ("Condition", "paid-skin"), ("MedicationRequest", "paid-cream"), ("Observation", "paid-weight"),
        ("Claim", "paid-claim"), ("ExplanationOfBenefit", "paid-eob"), ("DocumentReference", "paid-note")]
REQUESTS = ([f"{t}?patient=nora" for t in TYPES] + [f"{t}?patient=nora&_count=1" for t in TYPES] +
            [f"{t}/nora-{event}" for t, event in PAID] +
            ["Patient/nora/$everything", "Condition?patient=nora&code=L30.9", "Condition?patient=nora&code:not=L30.9",
             "Claim?patient=nora&_include=Claim:item-udi", "List/nora-problems", "Observation?code=29463-7"])


def view(h, caller):
    """Every answer, without what differs between two houses by right: date, port, the second of import, bytes of cursors."""
    out = []
    for request in REQUESTS:
        status, head, body = h.ask(request, caller)
        head = [line for line in head.lower().splitlines()[1:] if not line.startswith("date:")]
        text = re.sub(r"localhost:\d+", "localhost", body.decode())
        text = re.sub(r'"lastUpdated":"[^"]*"', '"lastUpdated":""', text)
        text = re.sub(r"(_cursor|page|cursor)=[-\w.~%]+", lambda m: f"{m[1]}={'x' * len(m[0])}", text)
        head = [re.sub(r"localhost:\d+", "localhost", re.sub(r'^(last-modified): .*', r"\1", line)) for line in head]
        out.append((request, status, head, text))
    return out


def differences(a, b):
    return [x[0] for x, y in zip(a, b) if x != y]


def until(what, wanted, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what() == wanted:
            return True
        time.sleep(0.05)
    return False


def a_visit_is_kept_from_the_plan(sluice, folder, expect_all):
    """The register changes under a running gateway; for the plan the world is then one in which the visit was not."""
    records, consents = house.clinic(os.path.join(folder, "with"))
    fewer, _ = house.clinic(os.path.join(folder, "without"), "--without-paid-visit")
    a = house.House(sluice, records=records, consents=consents).start()
    b = house.House(sluice, records=fewer, consents=consents).start()
    store, entries = a.at("policy"), os.path.join(folder, "with", "register.yaml")
    before, without = {c: view(a, c) for c in ("plan", "ward", "exchange")}, view(b, "plan")
    claims = lambda: a.ids("Claim?patient=nora", "plan")
    a.expect("before, the plan sees the visit's claim", claims() == ["nora-paid-claim", "nora-pc-claim"], claims())
    a.expect("and more than there is without the visit", len(differences(before["plan"], without)) > 10)

    a.run("register", "import", entries, "--store", store)
    entered = time.monotonic()
    a.expect("entered: the plan's search loses the claim within a second", until(claims, ["nora-pc-claim"], 1), claims())
    a.expect("that was fast", time.monotonic() - entered < 1)
    after = view(a, "plan")
    a.expect("to the plan it is the world without the visit, byte for byte", not differences(after, without),
             differences(after, without))
    a.expect("what was asked for by name is not there", all(x[1] == 404 for x in after if x[0].startswith(
        tuple(f"{t}/nora-paid" for t, _ in PAID))), [x[:2] for x in after])
    for caller in ("ward", "exchange"):
        seen = view(a, caller)
        a.expect(f"the {caller} sees as many records as before",
                 [len(re.findall('"fullUrl"', x[3])) for x in seen] == [len(re.findall('"fullUrl"', x[3])) for x in before[caller]])
        a.expect(f"and is told ({caller})", "HIPAASelfPay" in "".join(x[3] for x in seen))
    a.expect("the plan is told nothing", "HIPAASelfPay" not in "".join(x[3] for x in after))

    shown = a.run("register", "show", "1", "--store", store)
    a.expect("the entry says who, why and by what law", all(word in shown for word in (
        "by: privacy officer", "why: paid in full", "law: 45 CFR 164.522(a)(1)(vi)", "Encounter/nora-paid-visit")), shown)
    a.run("register", "end", "1", "--why", "the plan paid after all", "--by", "chief", "--store", store)
    a.expect("ended: there again", until(claims, ["nora-paid-claim", "nora-pc-claim"], 1), claims())
    shown = a.run("register", "show", "1", "--store", store)
    a.expect("and the entry is still there, with its end", "ended-by: chief" in shown and "by: privacy officer" in shown, shown)
    a.run("register", "end", "1", "--why", "again", "--by", "chief", "--store", store, expect=1)

    start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 5))
    a.run("register", "add", "self-pay", "--items", "Encounter/nora-paid-visit", "--patient", "Patient/nora", "--why", "for a while",
          "--by", "officer", "--from", start, "--until", end, "--store", store)
    a.expect("what begins later is not yet in force", claims() == ["nora-paid-claim", "nora-pc-claim"])
    a.expect("it begins by itself", until(claims, ["nora-pc-claim"], 6))
    a.expect("and ends by itself", until(claims, ["nora-paid-claim", "nora-pc-claim"], 6))

    a.write("wrong.yaml", "entries:\n  - {kind: self-pay, items: [Encounter/x], patient: Patient/x, why: a, by: b}\n  - {kind: sold}\n")
    a.run("register", "import", a.at("wrong.yaml"), "--store", store, expect=1)
    a.expect("of a file with a mistake nothing is entered", len(a.run("register", "list", "--store", store).splitlines()) == 2)
    expect_all(a)
    b.close()


def a_visit_is_no_programs(sluice, folder, expect_all):
    """An officer's reclassification opens what a program's visit had closed, for the patient whom it names."""
    records, consents = house.clinic(os.path.join(folder, "with"))
    h = house.House(sluice, records=records, consents=consents).start()
    seen = lambda: h.ids("Condition?patient=jonas", "ward")
    before = seen()
    h.expect("the unit's diagnosis is not there", "jonas-detox-alcohol" not in before and before, before)
    add = ["register", "add", "reclassification", "--items", "Encounter/jonas-detox-stay", "--has-not", "part2", "--law", "42 CFR 2.11",
           "--why", "was on the medical ward", "--by", "officer", "--store", h.at("policy")]
    h.run(*add, "--patient", "Patient/kei")
    h.expect("an entry about another patient does nothing", seen() == before, seen())
    h.run(*add, "--patient", "Patient/jonas")
    h.expect("an entry about this one opens it", until(seen, sorted(before + ["jonas-detox-alcohol"]), 1), seen())
    h.run("register", "end", "2", "--why", "it was the unit", "--by", "officer", "--store", h.at("policy"))
    h.expect("until it is ended", until(seen, before, 1), seen())
    expect_all(h)


def the_book_forgets(sluice, folder, expect_all):
    """A visit that the label book knows unmarked is asked for again once an entry speaks of it."""
    def send(handler, kind, resources):
        house.send(handler, json.dumps({"resourceType": "Bundle", "type": "searchset",
                                        "entry": [{"resource": r, "search": {"mode": "match"}} for r in resources]}))

    subject = {"reference": "Patient/kei"}
    visit = {"resourceType": "Encounter", "id": "visit", "status": "finished", "subject": subject,
             "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
             "serviceProvider": {"reference": "Organization/lakeside-primary"}}
    pulse = {"resourceType": "Observation", "id": "pulse", "status": "final", "subject": subject,
             "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}, "encounter": {"reference": "Encounter/visit"}}

    def answer(path, handler):
        url = urllib.parse.urlparse(path)
        send(handler, url.path, [visit] if url.path.endswith("/Encounter") else
             [pulse] if url.path.endswith("/Observation") else [])

    upstream = house.Upstream(answer)
    h = house.House(sluice, upstream=upstream.url, extra="labels:\n  book: book\n  max-age: 3600\n").start()

    def ask():
        upstream.asked.clear()
        found = h.ids("Observation?patient=kei", "plan")
        return found, any("/Encounter" in path for path in upstream.asked)

    h.expect("the plan sees a pulse", ask()[0] == ["pulse"])
    h.expect("and the book knows the visit", until(ask, (["pulse"], False)))
    h.run("register", "add", "self-pay", "--items", "Encounter/visit", "--patient", "Patient/kei", "--why", "asked", "--by", "officer",
          "--store", h.at("policy"))
    h.expect("entered: gone, though the book knew the visit otherwise", until(lambda: ask()[0], [], 1))
    h.expect("and the book knows it anew", until(ask, ([], False)))
    expect_all(h)


def offline(sluice, folder, expect_all):
    """The commands on files read a register from a file or from a store; the example of docs/register.md is one."""
    h = house.House(sluice)
    (records,), _ = house.clinic(os.path.join(folder, "with"))
    nora = "".join(line for line in open(records) if "nora" in line)
    base = ["--programs", os.path.join(folder, "with", "programs.yaml"), "--context", records]
    entries = os.path.join(folder, "with", "register.yaml")
    h.run("register", "import", entries, "--store", h.at("policy"))

    def segment(*words):
        done = subprocess.run([sluice, "segment", "--as", "health-plan", "--for", "payment", *base, *words], input=nora,
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout
    h.expect("without, the visit goes", "nora-paid-visit" in segment())
    for words in (["--register", entries], ["--store", h.at("policy")]):
        h.expect(f"with {words[0]} it stays", "paid" not in segment(*words), segment(*words)[:300])
        again = subprocess.run([sluice, "segment", "--as", "health-plan", "--for", "payment", *base, *words], input=segment(*words),
                               capture_output=True, text=True)
        h.expect("and what is left stays as it is", again.stdout == segment(*words))
    line = next(t for t in nora.splitlines() if "nora-paid-weight" in t)
    label = subprocess.run([sluice, "label", *base, "--register", entries], input=line, capture_output=True, text=True).stdout
    h.expect("label says by which visit", '"why":"visit"' in label and '"detail":"Encounter/nora-paid-visit"' in label, label)
    visit = next(t for t in nora.splitlines() if '"id":"nora-paid-visit"' in t)
    label = subprocess.run([sluice, "label", *base, "--store", h.at("policy")], input=visit, capture_output=True, text=True).stdout
    h.expect("and by which entry", '"why":"register"' in label and '"detail":"register/1"' in label, label)
    page = open(os.path.join(house.ROOT, "docs", "register.md")).read()
    h.write("page.yaml", page.split("```yaml\n")[1].split("```")[0])
    h.run("register", "import", h.at("page.yaml"), "--store", h.at("policy"))
    h.expect("the page's example is an entry", "reclassification" in h.run("register", "list", "Patient/7", "--store", h.at("policy")))
    expect_all(h)


def scenario(sluice, folder):
    """what the officer enters counts at once, for all that hangs on it, and nobody can tell that it was entered"""
    failures = []

    def done(h):
        h.close()
        failures.append(h.failures)
    for part in (a_visit_is_kept_from_the_plan, a_visit_is_no_programs, the_book_forgets, offline):
        part(sluice, folder, done)
    return sum(failures)


house.main(scenario)
