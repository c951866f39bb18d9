# SPDX-License-Identifier: Apache-2.0
import importlib
import json
import os
import random
import resource
import shutil
import signal
import threading
import time

import house

writes = importlib.import_module("90_writes")
WRITERS = 8  # so many writes are under way when it is killed


def about(value):
    return writes.made("Observation", None, status="final", code={"text": value}, subject=writes.P, encounter=writes.ref("Encounter/ours"))


def entry(method, url, resource, full=None):
    return {**({"fullUrl": full} if full else {}), "resource": resource, "request": {"method": method, "url": url}}


def bundle(value):
    visit = "urn:uuid:" + "%08x-0000-4000-8000-000000000000" % random.getrandbits(32)
    enc = writes.made("Encounter", None, status="finished", subject=writes.P, serviceProvider=writes.HERE,
                      **{"class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}}, reasonCode=[{"text": value}])
    return {"resourceType": "Bundle", "type": "transaction", "entry": [
        entry("POST", "Encounter", enc, visit), entry("POST", "Observation", dict(about(value), encounter=writes.ref(visit)))]}


def write_on(h, token, stop, number):
    """Creates, updates and transactions, each with a word of its own, until the gateway is gone."""
    count = 0
    while not stop.is_set():
        count += 1
        word = f"w{number}-{count}-{random.getrandbits(40):x}"
        sort = random.choice(("create", "update", "transaction"))
        body, method, path, more = about(word), "POST", "Observation", []
        if sort == "update":
            body, method, path, more = dict(body, id="mine"), "PUT", "Observation/mine", ["If-Match: *"]
        elif sort == "transaction":
            body, path = bundle(word), ""
        try:
            h.ask(path, token, method, ["Content-Type: application/fhir+json", *more], json.dumps(body).encode())
        except OSError:
            return


def killed(h, token):
    stop = threading.Event()
    threads = [threading.Thread(target=write_on, args=(h, token, stop, n)) for n in range(WRITERS)]
    h.start()
    for t in threads:
        t.start()
    while sum("exchange" in r for r in h.ledger(every=True)) < 3 * WRITERS and h.alive():
        time.sleep(0.02)
    time.sleep(random.random() / 20)
    h.server.kill()
    h.server.wait()
    stop.set()
    for t in threads:
        t.join()


def ledger_of(h):
    intents, told = {}, {}
    for r in h.ledger(every=True):
        for w in r.get("writes", []):
            intents[w["exchange"]] = dict(w, whole=r["intent"])
        for w in r.get("written", []):
            if "settled" in r:
                told.setdefault(w["exchange"], []).append(w)
            else:
                told.setdefault(r["exchange"], []).append(w)
    return intents, told


def embedded(sluice, folder, policies):
    print("  -- over the embedded store, killed while it writes")
    seed = os.path.join(folder, "seed.ndjson")
    rows = writes.records() + [writes.made("Observation", "mine", status="final", code={"text": "first"}, subject=writes.P)]
    with open(seed, "w") as out:
        out.writelines(json.dumps(r) + "\n" for r in rows)
    h = house.House(sluice, records=[seed], policies=policies)
    try:
        token = h.token("ward", "TREAT", "--scope", "system/*.cruds")
        killed(h, token)
        open_before = h.run("ledger", "verify", h.at("ledger"))
        h.start()
        intents, told = ledger_of(h)
        d = writes.Desk(h)
        d.h.tokens["ward"] = token
        seen, page = [], "Observation/_history?_count=100"
        while page:
            status, _, text = h.ask(page, token)
            assert status == 200, text
            got = json.loads(text)
            seen += [(f"Observation/{e['resource']['id']}", e["resource"]["code"]["text"]) for e in got["entry"]
                     if e["resource"]["code"].get("text", "").startswith("w")]
            page = next((x["url"].split("/fhir/")[1] for x in got["link"] if x["relation"] == "next"), None)
        named = {w["item"] for w in intents.values()}
        missed = [s for s in seen if s[0] not in named]
        h.expect(f"each of {len(seen)} versions that are stored was named by an intent", len(seen) > 20 and not missed, missed)
        h.expect("after the start no intent is without an outcome", "outcome unknown" not in h.run("ledger", "verify", h.at("ledger")), open_before)
        settled = [w for r in h.ledger(every=True) if "settled" in r for w in r["written"]]
        items = {s[0] for s in seen}
        sums = [sum(w["stored"] is what for w in settled) for what in (True, False)]
        print(f"     {len(intents)} intents; {sums[0]} were found stored and {sums[1]} not")
        h.expect("of an embedded store it is always known", all(w["stored"] is not None for w in settled), settled)
        wrong = [w for w in settled if w["item"].startswith("Observation/") and w["item"] != "Observation/mine" and
                 (w["item"] in {s[0] for s in seen}) != w["stored"]]
        h.expect("what is said to be stored is there; what is said not to be is not", not wrong, wrong)
        words = json.dumps([r for r in h.ledger(every=True) if "intent" in r])
        h.expect("an intent says nothing of what is written", not any(word in words for _, word in seen))
        h.stop()
        h.run("ledger", "accounting", "--patient", "Patient/p", "--ledger", h.at("ledger"))
        number = next(i for i, r in enumerate(h.ledger(every=True)) if "intent" in r)
        h.run("policy", "explain", "--entry", str(number), "--ledger", h.at("ledger"), "--store", h.at("policy"), expect=2)
        h.expect("a clean end leaves nothing to look through", open(h.at("ledger", "settled")).read().strip() == str(len(h.ledger(every=True))))
    finally:
        h.close()
    return h.failures


class Ehr(writes.Ehr):
    """It keeps what was before."""

    past = []

    def store(self, handler, name, row, status):
        self.past.insert(0, self.rows.get(name))
        super().store(handler, name, row, status)
        self.rows[name]["meta"]["lastUpdated"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.past.insert(0, row)

    def answer(self, path, handler):
        name = path.removeprefix("/fhir/").partition("/_history")[0]
        if "/_history" not in path:
            return super().answer(path, handler)
        rows = [r for r in self.past if r and f"{r['resourceType']}/{r['id']}" == name]
        self.send(handler, {"resourceType": "Bundle", "type": "history", "entry": [
            {"resource": r, "request": {"method": "PUT", "url": name}, "response": {"status": "200"}} for r in rows]})


def server(sluice, policies):
    print("  -- over a server, killed before it answers")
    ehr, asked, go_on = Ehr(writes.records()), [], threading.Event()
    write, say = ehr.write, ehr.send

    def hold(handler, path):
        """What is marked is stored, or not, and never answered."""
        body = json.loads(handler.rfile.read(int(handler.headers.get("Content-Length") or 0)))
        if "STORED" in json.dumps(body):
            name = path if handler.command == "PUT" else f"{path}/made-{len(asked)}"
            ehr.send = lambda *_, **__: None
            ehr.store(handler, name, body, 200)
            ehr.send = say
        asked.append(path)
        go_on.wait(20)

    h = house.House(sluice, upstream=ehr.server.url, policies=policies)
    try:
        token = h.token("ward", "TREAT", "--scope", "system/*.cruds")
        h.tokens["ward"] = token
        h.start()
        d = writes.Desk(h)
        weight, tag = d.read("Observation/weight")
        panel, panel_tag = d.read("Observation/panel")
        h.expect("changed before", d.send("PUT", "Observation/panel", dict(panel, note=[{"text": "for now"}]), panel_tag)[0] == 200)
        panel_tag = d.read("Observation/panel")[1]
        earlier = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 120))
        ehr.rows["Observation/before"] = dict(about("lost too"), id="before", meta={"versionId": "1", "lastUpdated": earlier})
        for n in "ab":
            ehr.rows[f"Observation/{n}"] = dict(about("twice"), id=n, meta={"versionId": "1", "lastUpdated": "2100-01-01T00:00:00Z"})
        ehr.write = hold
        deny = writes.deny(policy=[{"uri": "urn:STORED"}])
        calls = [("PUT", "Observation/weight", dict(weight, note=[{"text": "STORED"}]), tag), ("POST", "Observation", about("STORED too"), None),
                 ("PUT", "Observation/panel", panel, panel_tag), ("POST", "Observation", about("lost too"), None), ("POST", "Observation", about("twice"), None),
                 ("POST", "Consent", deny, None)]
        threads = [threading.Thread(target=lambda c=c: d.send(*c)) for c in calls]
        for t in threads:
            t.start()
        for _ in range(200):
            if len(asked) == len(calls):
                break
            time.sleep(0.05)
        h.expect("all are under way", len(asked) == len(calls), asked)
        h.server.kill()
        h.server.wait()
        go_on.set()
        for t in threads:
            t.join()
        ehr.write = write
        told = h.run("ledger", "verify", h.at("ledger"))
        h.expect("what is open is named", told.count("outcome unknown: look at Observation/") == 5 and "Observation/weight" in told, told)
        h.start(preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
        settled = sorted((w["item"], str(w["stored"])) for r in h.ledger(every=True) if "settled" in r for w in r["written"])
        h.expect("what was equal before, or is there twice, is not taken for it", settled.count(("Observation/?", "None")) == 2, settled)
        h.expect("what is found is told; of what is not, nothing is claimed, whatever an earlier version was", [x[1] for x in settled if "made" in x[0]] == ["True"] * 2 and
                 ("Observation/weight", "True") in settled and ("Observation/panel", "None") in settled and ("Observation/?", "None") in settled, settled)
        h.expect("a Consent that came through holds", h.ask("Condition/plain")[0] == 404)
        queue = h.run("queue", "list", "--ledger", h.at("ledger"), "--store", h.at("policy"))
        h.expect("what is not known is the officer's to look at", queue.count("outcome-unknown") == 2 and "Observation/panel" in queue, queue)
        verified = h.run("ledger", "verify", h.at("ledger"))
        h.expect("and is named no more as if it were new", "outcome unknown" not in verified, verified)
        full_disk(h, d, ehr)
    finally:
        h.close()
    return h.failures


def full_disk(h, d, ehr):
    """What cannot be meant is not done."""
    resource.prlimit(h.server.pid, resource.RLIMIT_FSIZE, (16, resource.RLIM_INFINITY))
    before = len(ehr.writes)
    answers = [d.send("POST", "Observation", about("never"))[0] for _ in range(3)]
    h.expect("where the ledger cannot be told first, nothing goes upstream", answers == [503] * 3 and len(ehr.writes) == before, answers)
    h.server.kill()
    h.server.wait()
    h.server = None


def scenario(sluice, folder):
    """A gateway that is killed while it writes leaves no version of which the ledger says nothing."""
    for part in ("policies", "terminology", "lexicon"):
        shutil.copytree(os.path.join(house.ROOT, "consent", part), os.path.join(folder, part))
    policies = os.path.join(folder, "policies")
    with open(os.path.join(policies, "house", "writes.yaml"), "w") as out:
        out.write(writes.GRANTS)
    return embedded(sluice, folder, policies) + server(sluice, policies)


if __name__ == "__main__":
    house.main(scenario)
