# SPDX-License-Identifier: Apache-2.0
"""Writes, on copies of the stores: create, update, patch, delete, conditional ones, transactions, as a client makes them: it reads,
changes something in what it got, and sends it back under the tag that it got.

Each write is sent to both gateways; the answers are compared, and so is what each caller reads afterwards. What a write may collide
with is drawn from the secret things: ids, identifiers, references to them, their codes.
"""
import json
import random
import urllib.parse
from collections import Counter
from dataclasses import replace

import battery
import compare
from battery import Request, get

GROUPS = {  # callers, what does not happen in B
    "written by who treats": (("ward", "doctor"), ("program", "notes", "draft")),
    "written by a partner": (("exchange",), ("program", "notes", "draft", "diagnosis", "restricted")),
    "written by a plan": (("plan",), ("program", "notes", "draft", "diagnosis", "selfpay")),
}
FHIR = "Content-Type: application/fhir+json"
PATCH = "Content-Type: application/json-patch+json"
WRITTEN = ("Patient", "Observation", "Encounter", "Condition", "CarePlan", "CareTeam", "List", "Goal", "EpisodeOfCare", "Composition",
           "DocumentReference", "Location", "Slot", "Coverage", "Binary", "Claim")
TEXT = {"Condition": {"note": [{"text": "seen"}]}, "Observation": {"note": [{"text": "seen"}]}, "CarePlan": {"note": [{"text": "seen"}]},
        "CareTeam": {"name": "The team"}, "List": {"title": "Problems"}, "Goal": {"statusDate": "2026-02-02"}, "Encounter": {"priority": {"text": "R"}},
        "EpisodeOfCare": {"type": [{"text": "adult"}]}, "Composition": {"title": "Another"}, "DocumentReference": {"description": "seen"},
        "Patient": {"birthDate": "1971-01-01"}, "Location": {"description": "seen"}, "Slot": {"comment": "seen"}, "Coverage": {"order": 1}}


def dumps(value):
    return json.dumps(value, separators=(",", ":")).encode()


class Writer:
    """Draws writes. `current`: what the caller last read of a record, and its tag."""

    def __init__(self, drawn, pair):
        self.drawn, self.pair, self.current = drawn, pair, {}

    def name(self, rng):
        kind = rng.choice(WRITTEN)
        return kind, self.drawn.id(rng, kind)

    def read(self, caller, kind, ident):
        """Both gateways are asked; the view that A gave, and its tag. A difference here is found by who compares."""
        answers = self.pair.ask(caller, [get(f"{kind}/{ident}")] * 2)
        try:
            view = json.loads(answers[0].text)
        except ValueError:
            return None, None
        return (view, view["meta"].get("versionId")) if answers[0].status == 200 and "meta" in view else (None, None)

    def reference(self, rng):
        kind = rng.choice(("Encounter", "Condition", "Observation", "DocumentReference", "Practitioner", "MedicationRequest"))
        return {"reference": f"{kind}/{self.drawn.id(rng, kind)}"}

    def observation(self, rng):
        out = {"resourceType": "Observation", "status": "final", "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
               "subject": {"reference": f"Patient/{self.drawn.patient(rng)}"}, "effectiveDateTime": "2026-02-02"}
        if rng.random() < 0.6:
            out[rng.choice(("encounter", "focus", "derivedFrom", "performer"))] = self.reference(rng)
        for name in ("focus", "derivedFrom", "performer"):
            if name in out:
                out[name] = [out[name]]
        return out

    def condition_of(self, rng, kind):
        """What a conditional write asks for."""
        name, value = self.drawn.aimed(rng)[1] if rng.random() < 0.3 else self.drawn.criterion(rng, kind)
        return rng.choice((f"_id={self.drawn.id(rng, kind)}", urllib.parse.urlencode({name: value})))

    def draw(self, rng, caller):
        kind, ident = self.name(rng)
        what = rng.choice(("create", "create", "conditional create", "update", "update", "update", "update by another tag", "update blindly", "patch",
                           "delete", "conditional", "transaction", "put where nothing is"))
        prefer = [f"Prefer: return={rng.choice(('minimal', 'representation', 'OperationOutcome'))}"] if rng.random() < 0.3 else []
        made = getattr(self, what.replace(" ", "_"))(rng, caller, kind, ident)
        return replace(made, kind=what, headers=(*made.headers, *prefer))

    def create(self, rng, caller, kind, ident):
        return Request("", "POST", "Observation", (), (FHIR,), dumps(self.observation(rng)))

    def conditional_create(self, rng, caller, kind, ident):
        return Request("", "POST", "Observation", (), (FHIR, f"If-None-Exist: {self.condition_of(rng, 'Observation')}"), dumps(self.observation(rng)))

    def changed(self, rng, view, kind):
        """What a client would send back: the view, with something of its own in it; now and then less, or a reference more."""
        view = dict(view, **TEXT.get(kind, {}))
        lists = [n for n, v in view.items() if isinstance(v, list) and v]
        if lists and rng.random() < 0.3:
            name = rng.choice(lists)
            view[name] = view[name][1:] or None
        if view.get("section") and rng.random() < 0.3:
            view["section"] = [dict(section, entry=section.get("entry", [])[1:]) for section in view["section"]]
            view["section"] = [{n: v for n, v in section.items() if v} for section in view["section"]]
        if rng.random() < 0.3:
            member, value = {"CareTeam": ("participant", lambda: {"member": self.reference(rng)}), "List": ("entry", lambda: {"item": self.reference(rng)}),
                             "CarePlan": ("addresses", lambda: self.reference(rng)), "Goal": ("addresses", lambda: self.reference(rng))
                             }.get(kind, (None, None))
            if member:
                view[member] = (view.get(member) or []) + [value()]
        return {n: v for n, v in view.items() if v is not None}

    def update(self, rng, caller, kind, ident):
        view, tag = self.read(caller, kind, ident)
        body = self.changed(rng, view, kind) if view else {"resourceType": kind, "id": ident, **TEXT.get(kind, {})}
        return Request("", "PUT", f"{kind}/{ident}", (), (FHIR, f'If-Match: W/"{tag or "x"}"'), dumps(body))

    def update_by_another_tag(self, rng, caller, kind, ident):
        made = self.update(rng, caller, kind, ident)
        tag = rng.choice(("1", "2", "9", "*", "a" * 26))
        return replace(made, headers=(FHIR, "If-Match: *" if tag == "*" else f'If-Match: W/"{tag}"'))

    def update_blindly(self, rng, caller, kind, ident):
        return replace(self.update(rng, caller, kind, ident), headers=(FHIR,))

    def put_where_nothing_is(self, rng, caller, kind, ident):
        return Request("", "PUT", f"Observation/{self.drawn.id(rng, 'Observation')}", (), (FHIR, 'If-Match: W/"1"'), dumps(dict(self.observation(rng), id="x")))

    def patch(self, rng, caller, kind, ident):
        _, tag = self.read(caller, kind, ident)
        list_of = rng.choice(("participant", "entry", "addresses", "diagnosis", "reasonCode", "category", "identifier"))
        steps = rng.choice(([{"op": "add", "path": f"/{n}", "value": v} for n, v in TEXT.get(kind, {"x": 1}).items()],
                            [{"op": "remove", "path": f"/{list_of}/{rng.choice((0, 1, 2))}"}], [{"op": "test", "path": f"/{list_of}/0", "value": {}}],
                            [{"op": "test", "path": "/status", "value": "final"}, {"op": "add", "path": "/language", "value": "en"}]))
        return Request("", "PATCH", f"{kind}/{ident}", (), (PATCH, f'If-Match: W/"{tag or "x"}"'), dumps(steps))

    def delete(self, rng, caller, kind, ident):
        kind = rng.choice(("Location", "Slot", "Slot", kind))
        return Request("", "DELETE", f"{kind}/{self.drawn.id(rng, kind)}")

    def conditional(self, rng, caller, kind, ident):
        path = f"{kind}?{self.condition_of(rng, kind)}"
        body = self.observation(rng) if kind == "Observation" else {"resourceType": kind, **TEXT.get(kind, {})}
        made = rng.choice((Request("", "PUT", path, (), (FHIR,), dumps(body)), Request("", "DELETE", path),
                           Request("", "PATCH", path, (), (PATCH,), dumps([{"op": "add", "path": "/language", "value": "en"}]))))
        return made

    def transaction(self, rng, caller, kind, ident):
        entries = []
        for number in range(rng.choice((1, 2, 3))):
            body = self.observation(rng)
            if number:
                body["derivedFrom"] = [{"reference": "urn:uuid:00000000-0000-4000-8000-000000000000"}]
            entries.append({"fullUrl": f"urn:uuid:00000000-0000-4000-8000-{number:012d}", "resource": body, "request": {"method": "POST", "url": "Observation"}})
        if rng.random() < 0.5:
            entries.append({"request": {"method": "GET", "url": f"{kind}/{ident}"}})
        if rng.random() < 0.5:
            made = self.update(rng, caller, kind, ident)
            entries.append({"resource": json.loads(made.body), "request": {"method": "PUT", "url": f"{kind}/{ident}", "ifMatch": made.headers[1].split(": ")[1]}})
        return Request("", "POST", "", (), (FHIR,), dumps({"resourceType": "Bundle", "type": rng.choice(("transaction", "batch")), "entry": entries}))


def after(rng, request, patient):
    """What the caller looks at once it has written."""
    path = request.path.split("?")[0] or "Observation"
    kind = path.split("/")[0]
    looks = [get(path)] if "/" in path else []
    return looks + [rng.choice((get(f"{path}/_history") if "/" in path else get(kind, ("_count", "5")), get(kind, ("patient", f"Patient/{patient}")),
                                get("Observation", ("_lastUpdated", "gt2026-06-01")), get(f"Patient/{patient}/$everything")))]


def run(workshop, name, count, progress, stop=None):
    callers, without = GROUPS[name]
    callers = [c for c in callers if not workshop.args.caller or c in workshop.args.caller]
    two = workshop.world("W-" + "-".join(without), without=without)
    workshop.facts_of("writes", writes=True)
    gateways = [workshop.gateway("A", "writes", dice=True), workshop.gateway("W-" + "-".join(without), "writes", dice=True)]
    pair = compare.Pair(name, workshop.maker.pens, gateways)
    met, statuses, found, answers, number, differing = Counter(), Counter(), [], 0, 0, Counter()
    try:
        import run as runner
        drawn = runner.battery_for(workshop, name, pair, workshop.whole, two)
        writer = Writer(drawn, pair)
        while callers and answers < count and len(found) < workshop.args.most:
            caller = callers[number % len(callers)]
            rng = random.Random(f"{workshop.args.seed}/write/{caller}/{number}")
            number += 1
            request = writer.draw(rng, caller)

            def visit(asked, both, page):
                if asked is request:
                    statuses[f"{asked.method} {both[0].status}"] += 1
            for asked in (request, *after(rng, request, drawn.patient(rng))):
                pages, difference = pair.compare(caller, asked, visit)
                answers += pages
                progress(pages, bool(difference))
                if difference:
                    differing[request.kind] += 1
                    found.append(replace(difference, request=Steps(request, asked)))
                    break  # the worlds are no longer the same
            met["write: " + request.kind] += 1
            if found and (stop or differing):
                break
        return {"answers": answers, "requests": number, "met": met, "statuses": statuses, "found": found, "differing": differing, "timing": {}}
    finally:
        pair.close()
        for gateway in gateways:
            gateway.close()


class Steps:
    """A write, and what was looked at afterwards: what a finding of this kind is told as."""

    def __init__(self, written, asked):
        self.written, self.asked = written, asked

    def __str__(self):
        return f"{self.written}" + ("" if self.asked is self.written else f"; then {self.asked}")
