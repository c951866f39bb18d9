# SPDX-License-Identifier: Apache-2.0
import base64
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import house

CHANGES, CONNECTIONS = 6, 4
WHOLE = ["amara-otp-methadone", "amara-pc-lisinopril", "amara-pc-metformin"]
LESS = WHOLE[1:]


STOP = """layer: organization
rules:
  - {id: stop, title: No program's record goes to who treats., verdict: withhold, data: [part2], to: [treating-provider], for: any}
"""


def policies(h, name, change=None, more=None):
    """A copy of the shipped policies, changed, or with a file of rules more: the directory."""
    for folder in ("policies", "terminology", "lexicon"):
        shutil.copytree(os.path.join(house.ROOT, "consent", folder), h.at(name, folder))
    if change:
        path = h.at(name, "policies", "house", "rules.yaml")
        with open(path) as file:
            text = file.read()
        assert change[0] in text
        with open(path, "w") as file:
            file.write(text.replace(*change))
    if more:
        with open(h.at(name, "policies", "house", "more.yaml"), "w") as file:
            file.write(more)
    return h.at(name, "policies")


def activate(h, directory, *words, **more):
    return h.run("policy", "activate", directory, "--store", h.at("policy"), "--author", "officer", *words, **more)


def refused(h, *words):
    done = subprocess.run([h.sluice, "policy", *words, "--store", h.at("policy"), "--author", "officer"], capture_output=True,
                          text=True)
    assert done.returncode == 1, (words, done)
    return done.stderr


def generations(h):
    return json.loads(h.run("policy", "list", "--json", "--store", h.at("policy")))["generations"]


class Hammer(threading.Thread):
    """Asks on one connection, one question after the other; keeps what was answered that nobody expects."""

    def __init__(self, h):
        super().__init__(daemon=True)
        self.h, self.asked, self.wrong, self.slowest, self.over = h, 0, [], 0.0, threading.Event()

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.h.port, timeout=60)
        while not self.over.is_set():
            begin = time.monotonic()
            try:
                connection.request("GET", "/fhir/MedicationRequest?patient=amara",
                                   headers={"Authorization": f"Bearer {self.h.tokens['ward']}"})
                answer = connection.getresponse()
                body = answer.read()
                ids = sorted(e["resource"]["id"] for e in json.loads(body).get("entry", []) if e["search"]["mode"] == "match")
                if answer.status != 200 or ids not in (WHOLE, LESS):
                    self.wrong.append((answer.status, ids))
            except (OSError, http.client.HTTPException, ValueError) as problem:
                self.wrong.append(repr(problem))
                connection = http.client.HTTPConnection("127.0.0.1", self.h.port, timeout=60)
            self.asked += 1
            time.sleep(0.005)
            self.slowest = max(self.slowest, time.monotonic() - begin)


def hammered(h, tight):
    """Changes under load: no request fails, each is decided by one generation, and a change is in force at once."""
    hammers = [Hammer(h) for _ in range(CONNECTIONS)]
    for hammer in hammers:
        hammer.start()
    slowest, late = 0.0, []
    for change in range(CHANGES):
        if change % 2 == 0:
            activate(h, tight)
        else:
            h.run("policy", "rollback", "1", "--store", h.at("policy"), "--author", "officer")
        assert h.alive(), f"the gateway is gone: {h.server.returncode}\n{h.logged()[-3000:]}"
        said = time.monotonic()
        wanted = LESS if change % 2 == 0 else WHOLE
        while (got := h.ids("MedicationRequest?patient=amara")) != wanted and time.monotonic() < said + 10:
            late.append((change, got))
        slowest = max(slowest, time.monotonic() - said)
    for hammer in hammers:
        hammer.over.set()
    for hammer in hammers:
        hammer.join()
    asked, wrong = sum(x.asked for x in hammers), [w for x in hammers for w in x.wrong]
    print(f"  {asked} requests on {CONNECTIONS} connections; the slowest took {max(x.slowest for x in hammers):.2f} s; "
          f"a change was seen {slowest:.2f} s after it was made, at the latest")
    h.expect(f"{CHANGES} changes, and no request failed or was decided by anything but a generation", asked > CHANGES and not wrong, wrong[:5])
    h.expect("a request that begins after the change is decided by it", not late, late[:5])
    h.expect("within a second" if "release" in h.sluice else "within some seconds, for a build that checks itself",
             slowest < (1 if "release" in h.sluice else 6), slowest)
    records = [r for r in h.ledger() if "generation" in r]
    h.expect("the ledger knows the generation of each", {r["generation"] for r in records} >= {CHANGES, CHANGES + 1},
             {r["generation"] for r in records})


def broken(h, tight):
    """What does not compile, and what was edited in a pack, never comes in force."""
    before = generations(h)
    bad = policies(h, "bad", ("verdict: release", "verdict: perhaps"))
    activate(h, bad, expect=1)
    edited = policies(h, "edited")
    with open(os.path.join(edited, "federal", "part2.yaml"), "a") as file:
        file.write("# one letter more\n")
    h.expect("an edited pack is refused, by name", "federal/part2.yaml" in refused(h, "activate", edited))
    os.remove(os.path.join(edited, "federal", "part2.yaml"))
    refused(h, "activate", edited)
    h.expect("and nothing has changed", generations(h) == before and h.ids("MedicationRequest?patient=amara") == WHOLE)


def killed(h, tight, open_one):
    """kill -9 at any moment of an activation leaves the old generation or the new one, whole."""
    begin = time.monotonic()
    activate(h, open_one)
    whole = time.monotonic() - begin
    for step in range(6):
        before = generations(h)
        process = subprocess.Popen([h.sluice, "policy", "activate", tight if step % 2 else open_one, "--store", h.at("policy"),
                                    "--author", "officer"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(whole * step / 5)
        process.send_signal(signal.SIGKILL)
        process.wait()
        after = generations(h)
        if after[:len(before) - 1] != before[:-1] or any(g["damaged"] for g in after) or len(after) - len(before) not in (0, 1):
            h.expect("a killed activation leaves no half of one", False, after[-2:])
        h.run("policy", "render", "--generation", str(after[-1]["generation"]), "--store", h.at("policy"))
    h.expect("killed activations left the old or the new, whole", True)
    activate(h, open_one)


def keys(h, names):
    paths = {}
    for name in names:
        paths[name] = h.at(name)
        h.run("policy", "keys", "new", paths[name])
    return paths


def by_hand(h, approval, public):
    """openssl agrees: the signature is of the lines above it."""
    with open(approval) as file:
        text, _, signature = file.read().rpartition("signature: ")
    h.write("text", text)
    with open(h.at("signature"), "wb") as file:
        file.write(base64.b64decode(signature))
    done = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", h.at("text"), "-sigfile",
                           h.at("signature")], capture_output=True, text=True)
    rendered = h.run("policy", "render", h.at("tight", "policies"))
    digest = subprocess.run(["sha256sum"], input=rendered, capture_output=True, text=True).stdout.split()[0]
    h.expect("an approval can be checked by hand", done.returncode == 0 and f"in-plain-english: {digest}\n" in text, (done, text))


def approved(h, tight, open_one):
    """Two people for what releases more, one for what does not; signatures that travel as files."""
    store = ["--store", h.at("policy")]
    key = keys(h, ("ada", "ben"))
    h.run("policy", "keys", "add", "Ada Officer", key["ada"] + ".pub", *store, "--author", "ada")
    h.expect("the second key needs the first", "must sign" in refused(h, "keys", "add", "Ben Counsel", key["ben"] + ".pub"))
    h.run("policy", "keys", "add", "Ben Counsel", key["ben"] + ".pub", *store, "--author", "ada", "--key", key["ada"])

    refused(h, "activate", tight)
    h.run("policy", "sign", tight, *store, "--key", key["ben"], "--out", h.at("ben-tight"))
    by_hand(h, h.at("ben-tight"), key["ben"] + ".pub")
    activate(h, tight, "--approval", h.at("ben-tight"))
    h.expect("one signature tightens", h.ids("MedicationRequest?patient=amara") == LESS)

    said = refused(h, "activate", open_one, "--key", key["ada"])
    h.expect("one does not loosen, and is told what it would release",
             "2 different people" in said and "treating-provider" in said and "Releases more" in said, said[-600:])
    # Ben signs where the store is not: he has the folder, and the text that Ada sends him.
    h.run("policy", "sign", open_one, *store, "--out", h.at("to-sign"))
    h.run("policy", "sign", open_one, "--text", h.at("to-sign"), "--key", key["ben"], "--out", h.at("ben-open"))
    h.run("policy", "sign", tight, "--text", h.at("to-sign"), "--key", key["ben"], expect=1)  # not what the text is about
    activate(h, open_one, "--approval", h.at("ben-open"), "--key", key["ada"], "--note", "as before")
    h.expect("two do", h.ids("MedicationRequest?patient=amara") == WHOLE)

    last = generations(h)[-1]
    number = str(last["generation"])
    h.run("policy", "rollback", str(last["generation"] - 1), *store, "--author", "ada", "--key", key["ada"])
    h.expect("an emergency stop takes one", h.ids("MedicationRequest?patient=amara") == LESS)
    h.expect("an approval is for one moment", "for something else" in
             refused(h, "rollback", number, "--approval", h.at("ben-open"), "--key", key["ada"]))
    refused(h, "rollback", number, "--key", key["ada"])
    h.run("policy", "rollback", number, *store, "--author", "ada", "--key", key["ada"], key["ben"])
    h.expect("and going back to what releases more takes two", h.ids("MedicationRequest?patient=amara") == WHOLE)

    said = h.run("policy", "list", *store)
    for wanted in ("in force since", "approved by Ada Officer, Ben Counsel (2 of 2 needed)", "as before", "looser than", "tighter than",
                   "rollback to generation"):
        h.expect(f"the list says: {wanted}", wanted in said, said)
    h.expect("and a past one can be read, and compared",
             "THE POLICY" in h.run("policy", "render", "--generation", "1", *store) and
             "Releases more" in h.run("policy", "diff", "--generation", "2", "1", *store))
    h.expect("the last is marked", last["approvals"][0]["name"] and last["change"] == "looser" and last["packs-as-shipped"])


def damaged(h):
    """What the disk changes is known: a gateway that runs goes on, one that starts does not open its port."""
    with open(h.at("policy", "data.mdb"), "r+b") as file:
        bytes_ = file.read()
        at = bytes_.find(b"title: Sluice, as shipped")
        while at >= 0:
            file.seek(at)
            file.write(b"title: Sluice, AS shipped")
            at = bytes_.find(b"title: Sluice, as shipped", at + 1)
    h.expect("a gateway that runs goes on", h.ids("MedicationRequest?patient=amara") == WHOLE)
    h.stop()
    done = subprocess.run([h.sluice, "serve", "--config", h.at("sluice.yaml")], capture_output=True, text=True, timeout=60)
    h.expect("one that starts says what is damaged", done.returncode == 1 and "policy.yaml" in done.stderr, done)
    try:
        socket.create_connection(("127.0.0.1", h.port), 1).close()
        h.expect("and does not open its port", False)
    except OSError:
        h.expect("and does not open its port", True)


def scenario(sluice, folder):
    """generations: taken up under load, approved by those who must, never broken, never half"""
    records, consents = house.clinic(folder)
    h = house.House(sluice, records=records, consents=consents)
    open_one = os.path.join(house.ROOT, "consent", "policies")
    tight = policies(h, "tight", more=STOP)
    h.start()
    hammered(h, tight)
    broken(h, tight)
    killed(h, tight, open_one)
    approved(h, tight, open_one)
    damaged(h)
    h.close()
    return h.failures


house.main(scenario)
