# SPDX-License-Identifier: Apache-2.0
"""Writes, on copies of the stores: create, update, patch, delete, conditional ones, transactions, as a client makes them: it reads,
changes something in what it got, and sends it back under the tag that it got.

Each write is sent to both gateways; the answers are compared, and so is what each caller reads afterwards. What a write may collide
with is drawn from the secret things: ids, identifiers, references to them, their codes.
"""
import gzip
import json
import random
import re
import urllib.parse
from collections import Counter
from dataclasses import replace
from xml.sax.saxutils import quoteattr

import battery
import compare
from battery import Request, get

GROUPS = {  # callers, what does not happen in B
    "written by who treats": (("ward", "doctor"), ("program", "notes", "draft")),
    "written by a partner": (("exchange",), ("program", "notes", "draft", "diagnosis", "restricted")),
    "written by a plan": (("plan",), ("program", "notes", "draft", "diagnosis", "selfpay")),
}
FHIR = "Content-Type: application/fhir+json"
XML = "Content-Type: application/fhir+xml"
PATCH = "Content-Type: application/json-patch+json"
WRITTEN = ("Patient", "Observation", "Encounter", "Condition", "CarePlan", "CareTeam", "List", "Goal", "EpisodeOfCare", "Composition",
           "DocumentReference", "Location", "Slot", "Coverage", "Binary", "Claim")
TEXT = {"Condition": {"note": [{"text": "seen"}]}, "Observation": {"note": [{"text": "seen"}]}, "CarePlan": {"note": [{"text": "seen"}]},
        "CareTeam": {"name": "The team"}, "List": {"title": "Problems"}, "Goal": {"statusDate": "2026-02-02"}, "Encounter": {"priority": {"text": "R"}},
        "EpisodeOfCare": {"type": [{"text": "adult"}]}, "Composition": {"title": "Another"}, "DocumentReference": {"description": "seen"},
        "Patient": {"birthDate": "1971-01-01"}, "Location": {"description": "seen"}, "Slot": {"comment": "seen"}, "Coverage": {"order": 1}}


# What a run with room for it must have met, over all groups: a kind of write that is always refused proves nothing.
MUST = {
    "create": (201, 403, 422), "conditional create": (200, 201, 412, 422), "update": (200, 404), "update by another tag": (404, 412),
    "update blindly": (428,), "put where nothing is": (400, 404, 412), "json patch": (200, 404, 422), "fhirpath patch": (200, 404, 422),
    "patch by another tag": (404, 412), "patch blindly": (428,), "conditional update": (200, 201, 412, 422), "conditional patch": (200, 404, 412),
    "conditional delete": (403,), "delete": (403,), "batch": (200,), "in a batch": (200, 201, 404, 412, 422, 428), "transaction": (200, 403, 404, 422, 428),
    "xml": (200, 201, 422), "gzip": (200, 201, 422),
}
ROOM = 1000  # writes, for all of these to be met


def dumps(value):
    return json.dumps(value, separators=(",", ":")).encode()


def xml_of(name, value, inner=False):
    """The same in XML, in the order in which it stands; a narrative as it is."""
    if isinstance(value, list):
        return "".join(xml_of(name, v, True) for v in value)
    if name == "div":
        return value
    if not isinstance(value, dict):
        said = str(value).lower() if isinstance(value, bool) else str(value)
        return f"<{name} value={quoteattr(said)}/>"
    within = "".join(xml_of(n, v, True) for n, v in value.items() if n not in ("resourceType", "id"))
    if not inner:
        ident = f"<id value={quoteattr(value['id'])}/>" if "id" in value else ""
        return f'<{name} xmlns="http://hl7.org/fhir">{ident}{within}</{name}>'
    return f"<{name}" + (f" id={quoteattr(value['id'])}" if "id" in value else "") + f">{within}</{name}>"


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

    def draw(self, rng, caller, only=None):
        kind, ident = self.name(rng)
        what = only or rng.choice(KINDS)
        prefer = [f"Prefer: return={rng.choice(('minimal', 'representation', 'OperationOutcome'))}"] if rng.random() < 0.3 else []
        made = getattr(self, what.replace(" ", "_"))(rng, caller, kind, ident)
        return self.form(rng, replace(made, kind=what, headers=(*made.headers, *prefer)))

    @staticmethod
    def form(rng, made):
        """Now and then another form of the body."""
        headers, body = made.headers, made.body
        if FHIR in headers and made.path and rng.random() < 0.15:
            sent = json.loads(body)
            headers, body = tuple(XML if h == FHIR else h for h in headers), xml_of(sent["resourceType"], sent).encode()
        if body and rng.random() < 0.15:
            headers, body = headers + ("Content-Encoding: gzip",), gzip.compress(body, mtime=0)
        if rng.random() < 0.1:
            headers += ("Accept: application/fhir+xml",)
        return replace(made, headers=headers, body=body)

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
        ident = self.drawn.id(rng, "Observation")
        body = dict(self.observation(rng), id=ident if rng.random() < 0.8 else "x")
        return Request("", "PUT", f"Observation/{ident}", (), (FHIR, 'If-Match: W/"1"'), dumps(body))

    def steps(self, rng, kind):
        """Of a JSON Patch."""
        list_of = rng.choice(("participant", "entry", "addresses", "diagnosis", "reasonCode", "category", "identifier", "generalPractitioner"))
        return rng.choice(([{"op": "add", "path": f"/{n}", "value": v} for n, v in TEXT.get(kind, {"x": 1}).items()],
                           [{"op": "remove", "path": f"/{list_of}/{rng.choice((0, 1, 2))}"}], [{"op": "test", "path": f"/{list_of}/0", "value": {}}],
                           [{"op": "test", "path": "/status", "value": "final"}, {"op": "add", "path": "/language", "value": "en"}],
                           [{"op": "add", "path": "/language", "value": "en"}],
                           [{"op": "copy", "from": f"/{list_of}/{rng.choice((0, 1))}", "path": f"/{list_of}/-"}]))

    def operations(self, rng, kind):
        """The same as a FHIRPath Patch."""
        list_of = rng.choice(("participant", "entry", "addresses", "diagnosis", "reasonCode", "category", "identifier", "generalPractitioner"))
        place = f"{kind}.{list_of}[{rng.choice((0, 1, 2))}]"
        one = rng.choice(({"type": "replace", "path": f"{kind}.status", "value": {"valueCode": "cancelled"}},
                          {"type": "add", "path": kind, "name": "language", "value": {"valueCode": "en"}},
                          {"type": "delete", "path": place}, {"type": "replace", "path": f"{kind}.language", "value": {"valueCode": "de"}},
                          {"type": "move", "path": f"{kind}.{list_of}", "source": 1, "destination": 0}))
        form = {"type": "valueCode", "path": "valueString", "name": "valueString", "source": "valueInteger", "destination": "valueInteger"}
        parts = [{"name": n, **(v if n == "value" else {form[n]: v})} for n, v in one.items()]
        return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}

    def json_patch(self, rng, caller, kind, ident):
        _, tag = self.read(caller, kind, ident)
        return Request("", "PATCH", f"{kind}/{ident}", (), (PATCH, f'If-Match: W/"{tag or "x"}"'), dumps(self.steps(rng, kind)))

    def fhirpath_patch(self, rng, caller, kind, ident):
        made = self.json_patch(rng, caller, kind, ident)
        return replace(made, headers=(FHIR, made.headers[1]), body=dumps(self.operations(rng, kind)))

    def patch_by_another_tag(self, rng, caller, kind, ident):
        made = getattr(self, rng.choice(("json_patch", "fhirpath_patch")))(rng, caller, kind, ident)
        return replace(made, headers=(made.headers[0], f'If-Match: W/"{rng.choice(("1", "2", "a" * 26))}"'))

    def patch_blindly(self, rng, caller, kind, ident):
        made = self.json_patch(rng, caller, kind, ident)
        return replace(made, headers=made.headers[:1])

    def delete(self, rng, caller, kind, ident):
        kind = rng.choice(("Location", "Slot", "Slot", kind))
        return Request("", "DELETE", f"{kind}/{self.drawn.id(rng, kind)}")

    def conditional_update(self, rng, caller, kind, ident):
        view, _ = self.read(caller, kind, ident)
        if view and rng.random() < 0.7:
            return Request("", "PUT", f"{kind}?_id={ident}", (), (FHIR,), dumps(self.changed(rng, view, kind)))
        kind = rng.choice((kind, "Observation"))
        body = self.observation(rng) if kind == "Observation" else {"resourceType": kind, **TEXT.get(kind, {})}
        return Request("", "PUT", f"{kind}?{self.condition_of(rng, kind)}", (), (FHIR,), dumps(body))

    def conditional_patch(self, rng, caller, kind, ident):
        json_form = rng.random() < 0.6
        body = self.steps(rng, kind) if json_form else self.operations(rng, kind)
        return Request("", "PATCH", f"{kind}?{self.condition_of(rng, kind)}", (), (PATCH if json_form else FHIR,), dumps(body))

    def conditional_delete(self, rng, caller, kind, ident):
        return Request("", "DELETE", f"{kind}?{self.condition_of(rng, kind)}")

    def entry(self, rng, caller, number):
        """A write as an entry of a Bundle."""
        made = getattr(self, rng.choice(ENTRIES).replace(" ", "_"))(rng, caller, *self.name(rng))
        fields = {"If-Match": "ifMatch", "If-None-Exist": "ifNoneExist"}
        said = dict(h.split(": ", 1) for h in made.headers)
        request = {"method": made.method, "url": made.path, **{fields[n]: v for n, v in said.items() if n in fields}}
        return {**({"fullUrl": f"urn:uuid:00000000-0000-4000-8000-{number:012d}"} if made.method == "POST" else {}),
                **({"resource": json.loads(made.body)} if made.body else {}), "request": request}

    def bundle(self, rng, caller, kind, ident, what):
        entries = [self.entry(rng, caller, number) for number in range(rng.choice((1, 1, 2, 4)))]
        entries.append({"request": {"method": "GET", "url": f"{kind}/{ident}"}})
        if rng.random() < 0.2:  # one entry names another
            body = dict(self.observation(rng), derivedFrom=[{"reference": "urn:uuid:00000000-0000-4000-8000-000000000000"}])
            entries.append({"resource": body, "request": {"method": "POST", "url": "Observation"}})
        return Request("", "POST", "", (), (FHIR,), dumps({"resourceType": "Bundle", "type": what, "entry": entries}))

    def batch(self, rng, caller, kind, ident):
        return self.bundle(rng, caller, kind, ident, "batch")

    def transaction(self, rng, caller, kind, ident):
        return self.bundle(rng, caller, kind, ident, "transaction")


ENTRIES = ("create", "create", "conditional create", "update", "update", "update by another tag", "update blindly", "fhirpath patch",
           "put where nothing is", "conditional update", "delete")
KINDS = ("create", "create", "conditional create", "conditional create", "update", "update", "update", "update by another tag", "update blindly",
         "json patch", "json patch", "fhirpath patch", "fhirpath patch", "patch by another tag", "patch blindly", "conditional update",
         "conditional update", "conditional patch", "conditional patch", "conditional delete", "delete", "batch", "batch", "transaction", "transaction",
         "put where nothing is")


def statuses_of(request, answer):
    """What a write was answered, by kind, and by the form of its body; of a batch each entry."""
    names = [request.kind, *(["xml"] if XML in request.headers else []), *(["gzip"] if "Content-Encoding: gzip" in request.headers else [])]
    out = [(name, answer.status) for name in names]
    if request.kind == "batch" and answer.status == 200:
        text = answer.text.decode(errors="replace")
        out += [("in a batch", int(s)) for s in STATUS.findall(text)]
    return out


STATUS = re.compile(r'"?status(?:":| value=)"(\d{3})"')


def missing(met):
    """Of what must be met, what was not."""
    return [f"{kind} {status}" for kind, all in MUST.items() for status in all if not met[kind, status]]


def after(rng, request, patient):
    """What the caller looks at once it has written."""
    path = request.path.split("?")[0] or "Observation"
    kind = path.split("/")[0]
    looks = [get(path)] if "/" in path else []
    return looks + [rng.choice((get(f"{path}/_history") if "/" in path else get(kind, ("_count", "5")), get(kind, ("patient", f"Patient/{patient}")),
                                get("Observation", ("_lastUpdated", "gt2026-06-01")), get(f"Patient/{patient}/$everything")))]


def look(writer, pair, caller, rng, request, progress, out):
    """A write, and what is read afterwards; the first difference."""
    def visit(asked, both, page):
        if asked is request:
            out["statuses"][f"{asked.method} {both[0].status}"] += 1
            out["ended"].update(statuses_of(asked, both[0]))
    for asked in (request, *after(rng, request, writer.drawn.patient(rng))):
        pages, difference = pair.compare(caller, asked, visit)
        out["answers"] += pages
        progress(pages, bool(difference))
        if difference:
            return replace(difference, request=Steps(request, asked))
    return None


def run(workshop, name, count, progress, stop=None):
    callers, without = GROUPS[name]
    callers = [c for c in callers if not workshop.args.caller or c in workshop.args.caller]
    two = workshop.world("W-" + "-".join(without), without=without)
    out = empty()
    with worlds_to_write(workshop, name, "A", "W-" + "-".join(without)) as pair:
        writer = Writer(runner().battery_for(workshop, name, pair, workshop.whole, two), pair)
        while callers and out["answers"] < count and not out["found"]:  # then the worlds are no longer the same
            caller = callers[out["requests"] % len(callers)]
            rng = random.Random(f"{workshop.args.seed}/write/{caller}/{out['requests']}")
            out["requests"] += 1
            request = writer.draw(rng, caller)
            difference = look(writer, pair, caller, rng, request, progress, out)
            out["met"]["write: " + request.kind] += 1
            if difference:
                out["differing"][request.kind] += 1
                out["found"].append(difference)
    return out


def run_visible(workshop, extra, count, progress):
    """Worlds with one more visit that may be seen: each kind of write is tried until it shows it by its own answer."""
    workshop.world("V-" + extra, extra=extra)
    out = empty()
    with worlds_to_write(workshop, "written, visible " + extra, "V-" + extra, "A") as pair:
        drawn = runner().battery_for(workshop, "visible", pair, workshop.worlds["V-" + extra], workshop.whole)
        drawn.patients = [p.id for p in workshop.whole.patients if p.number == 2]
        writer = Writer(drawn, pair)
        for kind in dict.fromkeys(KINDS):
            for number in range(count if kind not in CANNOT else 0):
                rng = random.Random(f"{workshop.args.seed}/visible/{kind}/{number}")
                request = writer.draw(rng, "ward", kind)
                pages, difference = pair.compare("ward", request)
                out["answers"] += pages
                progress(pages, bool(difference))
                if difference:
                    out["differing"][f"write: {kind}"] += 1
                    break
    return out


CANNOT = {  # why nothing that may be seen shows in its answer
    "delete": "refused by type and party",
    "conditional delete": "as a delete",
    "update blindly": "428, before anything is looked at",
    "patch blindly": "428, before anything is looked at",
}


def empty():
    return {"answers": 0, "requests": 0, "met": Counter(), "statuses": Counter(), "ended": Counter(), "found": [], "differing": Counter(), "timing": {}}


def runner():
    import run as runs
    return runs


def worlds_to_write(workshop, group, one, two):
    workshop.facts_of("writes", writes=True)
    return workshop.pair(group, *(workshop.gateway(w, "writes", dice=True) for w in (one, two)), tokens=workshop.maker.pens)


class Steps:
    """A write, and what was looked at afterwards: what a finding of this kind is told as."""

    def __init__(self, written, asked):
        self.written, self.asked = written, asked

    def __str__(self):
        return f"{self.written}" + ("" if self.asked is self.written else f"; then {self.asked}")
