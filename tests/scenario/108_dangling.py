# SPDX-License-Identifier: Apache-2.0
import importlib
import json
import os
import re
import shutil
import time

import house

writes = importlib.import_module("90_writes")
MANY = 70  # of each kind


def condition(ident, code):
    return writes.made("Condition", ident, code=writes.concept(writes.ICD10, code), subject=writes.P, encounter=writes.ref("Encounter/ours"))


def procedure(ident, names):
    return writes.made("Procedure", ident, status="completed", code=writes.concept("http://snomed.info/sct", "33879002"), subject=writes.P,
                       encounter=writes.ref("Encounter/ours"), reasonReference=[writes.ref(f"Condition/{name}") for name in names])


class Ehr(writes.Ehr):
    """It keeps what it had: of what is called gone-… or secret-… one version, before it was deleted."""

    def __init__(self, rows, batches):
        super().__init__(rows)
        self.server = house.Upstream(self.answer, batches)

    def answer(self, path, handler):
        name, past, _ = path.removeprefix("/fhir/").partition("/_history")
        if not past:
            return super().answer(path, handler)
        code = {"gone": "I10", "secret": "F11.20"}.get(name.removeprefix("Condition/").split("-")[0])
        if not code:
            return self.outcome(handler, 404)
        entry = [{"request": {"method": "DELETE", "url": f"{name}/_history/2"}, "response": {"status": "204"}},
                 {"request": {"method": "PUT", "url": name}, "response": {"status": "200"},
                  "resource": dict(condition(name.split("/")[1], code), meta={"versionId": "1"})}]
        self.send(handler, {"resourceType": "Bundle", "type": "history", "entry": entry})

    def put(self, row):
        self.rows[f"{row['resourceType']}/{row['id']}"] = dict(row, meta={"versionId": "1", "lastUpdated": "2026-01-01T00:00:00Z"})


def named(h, path, caller):
    status, _, body = h.ask(path, caller)
    return set(re.findall(r'"Condition/([^"/]+)"', body.decode())) if status == 200 else status


def until(ask, wanted):
    """For what another thread does, or age."""
    for _ in range(200):
        got = ask()
        if got == wanted:
            break
        time.sleep(0.05)
    return got


def scenario(sluice, folder):
    """what dangling references name is asked for in bulk, once, and what is remembered of it changes no answer"""
    for part in ("policies", "terminology", "lexicon"):
        shutil.copytree(os.path.join(house.ROOT, "consent", part), os.path.join(folder, part))
    policies = os.path.join(folder, "policies")
    with open(os.path.join(policies, "house", "writes.yaml"), "w") as out:
        out.write(writes.GRANTS)
    every = {f"{kind}-{i}" for kind in ("never", "gone", "secret") for i in range(MANY)}
    visible = {name for name in every if not name.startswith("secret")}
    rows = writes.records() + [procedure("wide", sorted(every)), procedure("soon", ["made-1"]), procedure("pair", ["never-a", "never-b"])]

    ehr = Ehr(rows, True)
    asked = ehr.server.asked
    h = house.House(sluice, upstream=ehr.server.url, policies=policies, extra="labels:\n  book: book\nlimits:\n  rows: 30\n")
    h.start()
    d, token = writes.Desk(h), h.token("ward", "TREAT", "--scope", "system/*.cruds")
    cold = named(h, "Procedure/wide", "plan")
    h.expect("who could have had it has the name", cold == visible, sorted(visible ^ cold if isinstance(cold, set) else {cold}))
    bulk = [path for path in asked if path == "/fhir"]
    h.expect("in a few questions", len(bulk) == 7 and len(ehr.server.parts) == 3 * MANY and len(asked) < 25, (len(bulk), len(ehr.server.parts), asked))

    def lookups():
        return [path for path in asked if path == "/fhir" or "_history" in path or path.startswith("/fhir/Condition")]
    for caller, wanted in (("plan", visible), ("ward", every)):
        before = len(lookups())
        until(lambda: int(h.run("label", "book", "stats", "--config", h.at("sluice.yaml")).split()[0]) > 3 * MANY, True)
        warm = named(h, "Procedure/wide", caller)
        h.expect(f"the book gives the {caller} the same, and nothing more is asked", warm == wanted and len(lookups()) == before,
                 (sorted(wanted ^ warm if isinstance(warm, set) else {warm})[:9], lookups()[before:]))
    shown = h.run("label", "book", "show", "Condition/never-1", "--config", h.at("sluice.yaml"))
    h.expect("the book says so", '"state":"absent"' in shown and '"counts":true' in shown and "classes\":[]" in shown, shown)

    # Whoever may write learns no more by naming what is not there, and cannot have it remembered before it is.
    body = writes.made("Observation", None, status="final", code={"text": "x"}, subject=writes.P, focus=[writes.ref("Condition/later")])
    answers = [d.send("POST", "Observation", what, caller=token) for what in (body, dict(body, focus=[writes.ref("Condition/secret-1")]))]
    h.expect("a body that names what is not there, or was", answers[0][0] == 422 and writes.same(*answers), answers)
    note = writes.made("Observation", None, status="final", code={"text": "x"}, subject=writes.P, extension=[{"url": "urn:x", "valueReference": writes.ref("Condition/later")}])
    d.send("POST", "Observation", note, caller=token)
    ehr.put(condition("later", "F11.20"))
    ehr.put(procedure("later", ["later", "never-1"]))
    got = named(h, "Procedure/later", "plan")
    h.expect("what a client named before it was there is found when it is", got == {"never-1"}, got)

    # What is created here is there at once.
    h.expect("an id that is still to be given", until(lambda: named(h, "Procedure/soon", "plan"), {"made-1"}) == {"made-1"})
    until(lambda: '"absent"' in h.run("label", "book", "show", "Condition/made-1", "--config", h.at("sluice.yaml"), expect=None), True)
    status, head, text = d.send("POST", "Condition", condition(None, "F11.20"), caller=token)
    h.expect("is given", status == 201 and b'"made-1"' in text, (status, text))
    got = until(lambda: named(h, "Procedure/soon", "plan"), set())
    h.expect("and is named to no more than may have it", got == set() and named(h, "Procedure/soon", token) == {"made-1"}, got)
    h.stop()

    alone = Ehr(rows, False)
    b = house.House(sluice, upstream=alone.server.url, policies=policies, extra="labels:\n  book: book\n  max-age: 2\n").start()
    for caller, wanted in (("plan", visible), ("ward", every)):
        got = named(b, "Procedure/wide", caller)
        b.expect(f"a server that takes no batch is asked one by one, for the {caller}", got == wanted, sorted(wanted ^ got if isinstance(got, set) else {got})[:9])
    refused = alone.server.asked.count("/fhir")
    b.expect("and for no further batch", 0 < refused <= 2 * 7, refused)  # each worker finds out for itself
    b.expect("what is not there is named", named(b, "Procedure/pair", "plan") == {"never-a", "never-b"})
    alone.put(condition("never-a", "F11.20"))
    got = until(lambda: named(b, "Procedure/pair", "plan"), {"never-b"})
    b.expect("until the book is too old to say so", got == {"never-b"}, got)
    b.stop()

    # What answers not in the order of the questions has a 404 stand for what was deleted.
    class Mixed(house.Upstream):
        def batch(self, bundle):
            (text,) = super().batch(bundle)
            return (json.dumps(dict(json.loads(text), entry=json.loads(text)["entry"][::-1])),)
    mixed = Ehr(rows + [procedure("two", ["never-1", "secret-1"])], True)
    mixed.server = Mixed(mixed.answer)
    m = house.House(sluice, upstream=mixed.server.url, policies=policies, extra="labels:\n  book: book\n").start()
    got = named(m, "Procedure/two", "plan"), named(m, "Procedure/two", "ward")
    m.expect("a server that mixes up its answers is asked one by one", got == ({"never-1"}, {"never-1", "secret-1"}) and "/fhir" in mixed.server.asked,
             (got, mixed.server.asked))
    m.stop()
    return h.failures + b.failures + m.failures


house.main(scenario)
