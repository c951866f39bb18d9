# SPDX-License-Identifier: Apache-2.0
"""What is asked: requests drawn from a seed, over every interaction, parameter, modifier, include, order, format and mistake.

They are made of the CapabilityStatement and of what the records of *both* worlds hold, so that a secret thing is asked for by
its id, its codes, its dates and by every record that it stands beside. Half of what is drawn is drawn from the secret things.
"""
import random
import re
import urllib.parse
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Request:
    kind: str
    method: str
    path: str
    params: tuple = ()  # (name, value), undecoded
    headers: tuple = ()  # whole lines
    body: bytes = b""
    follow: bool = False  # further pages

    def target(self):
        query = "&".join(f"{n}={urllib.parse.quote(v, safe='')}" if v is not None else n for n, v in self.params)
        return f"/fhir/{self.path}" + (f"?{query}" if query else "")

    def bytes(self, token, extra=()):
        lines = [f"{self.method} {self.target()} HTTP/1.1", "Host: twins.example"]
        if token:
            lines.append(f"Authorization: Bearer {token}")
        if self.body:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join((*lines, *extra, *self.headers)).encode() + b"\r\n\r\n" + self.body

    def __str__(self):
        said = " ".join([self.method, self.target(), *(f"[{h}]" for h in self.headers)])
        return said + (f" {self.body.decode(errors='replace')}" if self.body else "")

    def smaller(self):
        """Requests that ask for less, or more simply: the shrinking takes the first that still shows the difference."""
        for i in range(len(self.params)):
            yield replace(self, params=self.params[:i] + self.params[i + 1:])
        for i in range(len(self.headers)):
            yield replace(self, headers=self.headers[:i] + self.headers[i + 1:])
        if self.method == "HEAD":
            yield replace(self, method="GET")
        if self.path.endswith("/_search") and self.method == "POST":
            pairs = urllib.parse.parse_qsl(self.body.decode(), keep_blank_values=True)
            for i in range(len(pairs)):
                yield replace(self, body=urllib.parse.urlencode(pairs[:i] + pairs[i + 1:]).encode())
            yield replace(self, method="GET", path=self.path.removesuffix("/_search"), body=b"", params=self.params + tuple(pairs),
                          headers=tuple(h for h in self.headers if not h.startswith("Content-Type")))
        yield from smaller_bundle(self)
        for i, (name, value) in enumerate(self.params):
            if value and "," in value:
                for part in value.split(","):
                    yield replace(self, params=self.params[:i] + ((name, part),) + self.params[i + 1:])


def smaller_bundle(request):
    import json
    if request.path or not request.body.startswith(b'{"resourceType":"Bundle"'):
        return
    bundle = json.loads(request.body)
    for i in range(len(bundle["entry"]) if len(bundle["entry"]) > 1 else 0):
        kept = dict(bundle, entry=bundle["entry"][:i] + bundle["entry"][i + 1:])
        yield replace(request, body=json.dumps(kept, separators=(",", ":")).encode())


@dataclass
class Harvest:
    """What the records of a type hold, by the form of a search value; each twice: of all, and of the secret ones."""
    ids: list = field(default_factory=list)
    values: dict = field(default_factory=dict)  # form -> [(value, path)]

    def add(self, form, value):
        self.values.setdefault(form, {})[value] = True


def walk(value, path=()):
    if isinstance(value, dict):
        if "system" in value and isinstance(value.get("code", value.get("value")), str):
            yield path + ("token",), f"{value['system']}|{value.get('code', value.get('value'))}"
        for key, v in value.items():
            yield from walk(v, path + (key,))
    elif isinstance(value, list):
        for v in value:
            yield from walk(v, path)
    elif not isinstance(value, bool):
        yield path, value


def form_of(path, value):
    key, text = path[-1], str(value)
    if key == "token":
        return "token"
    if key == "reference":
        return "reference"
    if re.match(r"\d{4}-\d\d-\d\d", text) and key != "value":
        return "date"
    if key in ("code", "status", "intent", "gender", "priority", "class", "kind", "lifecycleStatus", "linkId"):
        return "token"
    if key in ("family", "given", "text", "city", "display", "name", "title", "description", "line"):
        return "string"
    if key in ("value", "sequence", "quantity") and re.fullmatch(r"-?\d+(\.\d+)?", text):
        return "number"
    if key in ("questionnaire", "url", "uri", "system"):
        return "uri"
    return None


def told(resources):
    """What records of both worlds say in one of them alone: (type, form, value, path)."""
    versions, out = {}, []
    for resource in resources:
        versions.setdefault((resource["resourceType"], resource["id"]), []).append(resource)
    for (kind, _), both in sorted(versions.items()):
        if len(both) == 2:
            one, two = ({(form_of(p, v), str(v), p) for p, v in walk(r) if p[0] != "meta" and form_of(p, v)} for r in both)
            out += [(kind, *said) for said in sorted(one ^ two)]
    return out


def harvest(resources):
    out = {}
    for resource in resources:
        one = out.setdefault(resource["resourceType"], Harvest())
        one.ids.append(resource["id"])
        for path, value in walk(resource):
            form = form_of(path, value)
            if form and path[0] != "meta" or path[-1] == "token":
                one.add(form or "token", str(value))
            if path == ("meta", "lastUpdated"):
                one.add("updated", value)
    for one in out.values():
        one.ids.sort()
        one.values = {form: sorted(values) for form, values in one.values.items()}
    return out


PREFIXES = ("", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
MODIFIERS = {
    "token": ("not", "missing", "text", "in", "not-in", "above", "below", "of-type"),
    "reference": ("missing", "identifier", "above", "below", "TYPE"),
    "string": ("exact", "contains", "missing", "text"),
    "uri": ("below", "above", "missing"),
    "date": ("missing",), "number": ("missing",), "quantity": ("missing",), "composite": ("missing",), "special": ("missing",),
}
RESULTS = ("_sort", "_total", "_summary", "_elements", "_count", "_format", "_pretty", "_contained", "_include", "_revinclude")
OPERATIONS = ("$everything", "$lastn", "$docref", "$match", "$validate", "$graphql", "$meta", "$expunge", "$reindex", "$diff", "$stats",
              "$export", "$purge", "$document", "$summary", "$convert", "$lookup", "$expand")


class Battery:
    """Draws requests. `seen`: what answers have told of a record (its ETag, its versions), by caller and name."""

    def __init__(self, seed, capability, resources, secret_ids, patients):
        self.seed, self.patients = seed, patients
        self.all = harvest(resources)
        self.secret = harvest(r for r in resources if f"{r['resourceType']}/{r['id']}" in secret_ids) or self.all
        rows = capability["rest"][0]["resource"]
        self.known = {r["type"]: {p["name"]: p["type"] for p in r.get("searchParam", [])} for r in rows}
        self.told = told(resources)
        self.records = {f"{r['resourceType']}/{r['id']}": r for r in resources}
        self.edges = self.secret_edges(secret_ids)
        self.types = sorted(self.all)
        self.secret_types = sorted(self.secret)
        self.idle = sorted(set(self.known) - set(self.all))
        self.references = {t: sorted({v.split("/")[0] for v in h.values.get("reference", ())}) for t, h in self.all.items()}
        self.pointing = {}
        for source, targets in self.references.items():
            for target in targets:
                self.pointing.setdefault(target, []).append(source)
        self.seen = {}

    def draw(self, number, caller, only=None):
        """The request of this number: the same for the same seed, whatever came before (but for `seen`)."""
        rng = random.Random(f"{self.seed}/{caller}/{number}")
        kinds = [k for k in KINDS if not only or k[0] in only]
        name, _, make = rng.choices(kinds, [k[1] for k in kinds])[0]
        request = make(self, rng, caller)
        request = replace(request, kind=name)
        return self.form(rng, request) if name not in ("malformed", "metadata", "batch") else self.packed(rng, request)

    # ---- Drawing ----

    def type(self, rng):
        if rng.random() < 0.04 and self.idle:
            return rng.choice(self.idle)
        return rng.choice(self.secret_types if rng.random() < 0.5 else self.types)

    def of(self, rng, kind):
        """The harvest of a type, of secret records for every other draw."""
        return (self.secret.get(kind) if rng.random() < 0.5 else None) or self.all.get(kind) or Harvest()

    def id(self, rng, kind):
        ids = self.of(rng, kind).ids
        return rng.choice(ids) if ids and rng.random() < 0.95 else rng.choice(("nobody-there", "0", "x" * 64, "a.b-c"))

    def patient(self, rng):
        return rng.choice(self.patients)

    def param(self, rng, kind, form=None):
        names = [n for n, f in self.known.get(kind, {}).items() if (not form or f == form)]
        return rng.choice(sorted(names)) if names else None

    def value(self, rng, kind, form, name=""):
        harvested = self.of(rng, kind).values
        pick = lambda f: rng.choice(harvested[f]) if harvested.get(f) else None
        if name == "_id":
            return self.id(rng, kind)
        if name == "_lastUpdated":
            return rng.choice(PREFIXES) + (pick("updated") or "2024-01-01")[:rng.choice((4, 7, 10, 20))]
        if name in ("_security", "_tag"):
            return rng.choice(("42CFRPart2", "R", "N", "PSYTHPN", "AIAST", "SUD", "HIV", "http://terminology.hl7.org/CodeSystem/v3-Confidentiality|R"))
        if form == "token":
            value = pick("token") or "final"
            return rng.choice((value, value, value.split("|")[-1], value.split("|")[0] + "|", "|" + value.split("|")[-1]))
        if form == "reference":
            value = pick("reference") or f"Patient/{self.patient(rng)}"
            return rng.choice((value, value, value.split("/")[-1], f"https://twins.example/fhir/{value}"))
        if form == "date":
            value = pick("date") or "2024-03-01"
            return rng.choice(PREFIXES) + value[:rng.choice((4, 7, 10, 10, len(value)))]
        if form == "string":
            value = pick("string") or "Ada"
            return value[:rng.choice((1, 3, 6, len(value)))]
        if form in ("number", "quantity"):
            value = rng.choice(PREFIXES) + (pick("number") or "7")
            return value + (rng.choice(("", "|http://unitsofmeasure.org|kg", "||kg")) if form == "quantity" else "")
        if form == "uri":
            return pick("uri") or "http://example.org/fhir/Questionnaire/falls"
        return pick("token") or "x"

    def criterion(self, rng, kind, modifiers=False):
        """A parameter with a value, and now and then a modifier or alternatives."""
        name = self.param(rng, kind) or "_id"
        form = self.known.get(kind, {}).get(name, "token")
        if not modifiers:
            values = {self.value(rng, kind, form, name) for _ in range(rng.choice((1, 1, 1, 2, 4)))}
            return name, ",".join(sorted(values))
        modifier = rng.choice(MODIFIERS.get(form, ("missing",)))
        if modifier == "missing":
            return f"{name}:missing", rng.choice(("true", "false"))
        if modifier == "TYPE":
            value = self.value(rng, kind, "reference")
            return f"{name}:{value.split('/')[0] if '/' in value else 'Patient'}", value.split("/")[-1]
        return f"{name}:{modifier}", self.value(rng, kind, form, name)

    def secret_edges(self, secret_ids):
        """(record, parameter, record) where the first leads to the second by that parameter, and one of the two is secret."""
        out = []
        for name, record in sorted(self.records.items()):
            params = {n for n, f in self.known.get(record["resourceType"], {}).items() if f == "reference"}
            for path, value in walk(record):
                if path[-1] != "reference" or value not in self.records or not {name, value} & secret_ids:
                    continue
                target = value.split("/")[0].lower()
                out += [(name, p, value) for p in sorted(params & {*(e.lower() for e in path), target})]
        return out

    def telling(self, rng, name):
        """A criterion that this record meets."""
        record = self.records[name]
        params = self.known.get(record["resourceType"], {})
        values = [(p, form_of(p, v), v) for p, v in walk(record) if p[0] != "meta"]
        fitting = [(n, str(v)) for p, form, v in values for n, f in params.items() if f == form != "reference" and n in (e.lower() for e in p)]
        return rng.choice(sorted(fitting)) if fitting and rng.random() < 0.6 else ("_id", record["id"])

    def aimed(self, rng):
        """A type, and a criterion that asks for what a common record holds in one world alone."""
        kind, form, value, path = rng.choice(self.told)
        params = self.known.get(kind, {})
        fitting = [n for n, f in params.items() if f == form or (f == "quantity" and form == "number")]
        named = [n for n in fitting if any(w in "".join(path).lower() for w in n.split("-"))]
        name = rng.choice(sorted(named if named and rng.random() < 0.6 else fitting) or ["_id"])
        return kind, (name, value if form != "token" or rng.random() < 0.6 else value.split("|")[-1])

    def form(self, rng, request):
        """Now and then another format, a HEAD, a packed answer, a preference."""
        headers, params = list(request.headers), list(request.params)
        roll = rng.random()
        if roll < 0.08:
            headers.append("Accept: application/fhir+xml")
        elif roll < 0.13:
            params.append(("_format", rng.choice(("xml", "json", "application/fhir+xml", "text/html", "ttl"))))
        elif roll < 0.21:
            headers.append("Accept-Encoding: gzip")
        elif roll < 0.23:
            params.append(("_pretty", "true"))
        elif roll < 0.25:
            headers.append("Prefer: handling=" + rng.choice(("strict", "lenient")))
        elif roll < 0.26:
            headers.append("Accept: text/turtle")
        if request.method == "GET" and rng.random() < 0.05:
            # Not packed: how long a packed answer is depends on the bytes of its cursor, which a HEAD does not show.
            headers = [h for h in headers if not h.startswith("Accept-Encoding")]
            return replace(request, headers=tuple(headers), params=tuple(params), method="HEAD", follow=False)
        return replace(request, headers=tuple(headers), params=tuple(params))

    @staticmethod
    def packed(rng, request):
        return replace(request, headers=request.headers + ("Accept-Encoding: gzip",)) if rng.random() < 0.1 else request

    # ---- What a client has seen ----

    def note(self, caller, name, etag):
        known = self.seen.setdefault((caller, name), [])
        if etag not in known:
            known.append(etag)

    def version(self, rng, caller, name):
        known = self.seen.get((caller, name)) or self.seen.get((caller, "any"))
        return rng.choice(known) if known and rng.random() < 0.9 else rng.choice(("1", "2", "3", "0", "abc", "f" * 32))


# ---- Kinds of requests ----

def get(path, *params, headers=(), follow=False):
    return Request("", "GET", path, tuple(params), tuple(headers), follow=follow)


def read(b, rng, caller):
    kind = b.type(rng)
    return get(f"{kind}/{b.id(rng, kind)}")


def read_conditional(b, rng, caller):
    kind = b.type(rng)
    ident = b.id(rng, kind)
    etag = b.version(rng, caller, f"{kind}/{ident}")
    updated = rng.choice(("Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 01 Oct 2024 10:00:00 GMT", "Wed, 01 Jan 2025 00:00:00 GMT", "Sun, 21 Sep 2026 00:00:00 GMT"))
    return get(f"{kind}/{ident}", headers=[rng.choice((f'If-None-Match: W/"{etag}"', f"If-None-Match: *", f"If-Modified-Since: {updated}",
                                                       f'If-Match: W/"{etag}"'))])


def vread(b, rng, caller):
    kind = b.type(rng)
    ident = b.id(rng, kind)
    return get(f"{kind}/{ident}/_history/{b.version(rng, caller, f'{kind}/{ident}')}")


def history_params(b, rng):
    since = rng.choice(("2023-06-01T00:00:00Z", "2024-06-01T00:00:00Z", "2025-06-01T00:00:00Z"))
    return rng.choice(((), (), (("_count", str(rng.choice((1, 2, 5, 50)))),), (("_since", since),), (("_at", since[:4]),), (("_sort", "_lastUpdated"),)))


def history_instance(b, rng, caller):
    kind = rng.choice(("Patient", "CareTeam", "List", "CarePlan", "EpisodeOfCare", "Goal", "DocumentReference", "Condition")) \
        if rng.random() < 0.6 else b.type(rng)
    return get(f"{kind}/{b.id(rng, kind)}/_history", *history_params(b, rng), follow=True)


def history_type(b, rng, caller):
    return get(f"{b.type(rng)}/_history", *history_params(b, rng), follow=True)


def history_system(b, rng, caller):
    return get("_history", *history_params(b, rng), follow=True)


def paged(b, rng, params):
    if rng.random() < 0.5:
        params.append(("_count", str(rng.choice((1, 2, 3, 5, 10, 20, 100, 500)))))
    return params


def near(b, rng, kind):
    """About one patient, mostly: so that answers are small and hold what is secret."""
    name = next((n for n in ("patient", "subject", "beneficiary") if n in b.known.get(kind, {})), None)
    return [(name, f"Patient/{b.patient(rng)}")] if name and rng.random() < 0.6 else []


def search(b, rng, caller, modifiers=False):
    if b.told and not modifiers and rng.random() < 0.3:
        kind, criterion = b.aimed(rng)
        return get(kind, *paged(b, rng, [criterion]), follow=True)
    kind = b.type(rng)
    params = near(b, rng, kind)
    for _ in range(rng.choice((0, 1, 1, 2)) if not modifiers else 1):
        params.append(b.criterion(rng, kind, modifiers))
    return get(kind, *paged(b, rng, params), follow=True)


def search_modified(b, rng, caller):
    return search(b, rng, caller, True)


def search_all(b, rng, caller):
    return get(b.type(rng), ("_count", str(rng.choice((7, 20, 50, 500)))), follow=True)


def search_post(b, rng, caller):
    made = search(b, rng, caller)
    body = urllib.parse.urlencode(made.params).encode()
    return Request("", "POST", made.path + "/_search", (), ("Content-Type: application/x-www-form-urlencoded",), body)


def compartment(b, rng, caller):
    kind = b.type(rng)
    params = [b.criterion(rng, kind, rng.random() < 0.3)] if rng.random() < 0.4 else []
    what = rng.choice(("Patient", "Patient", "Patient", "Encounter", "Practitioner", "RelatedPerson", "Device"))
    ident = b.patient(rng) if what == "Patient" else b.id(rng, what)
    return get(f"{what}/{ident}/{rng.choice((kind, kind, kind, kind, '*'))}", *paged(b, rng, params), follow=True)


def search_system(b, rng, caller):
    kinds = ",".join(sorted({b.type(rng) for _ in range(rng.choice((1, 2, 3)))}))
    params = [("_type", kinds)] if rng.random() < 0.8 else []
    params.append(rng.choice((("_id", b.id(rng, b.type(rng))), ("_lastUpdated", "gt2024-06-01"), ("_security", "R"), ("_count", "20"))))
    return get("", *params, follow=True)


def include(b, rng, caller):
    if b.edges and rng.random() < 0.4:
        source, name, target = rng.choice(b.edges)
        way = rng.choice((("_include", source), ("_revinclude", target), ("_include", source)))
        kind, ident = way[1].split("/")
        return get(kind, *rng.choice(((("_id", ident),), (("_count", "5"),), ())), (way[0], f"{source.split('/')[0]}:{name}"), follow=True)
    kind = b.type(rng)
    params = near(b, rng, kind)
    for _ in range(rng.choice((1, 1, 2))):
        if rng.random() < 0.5 and b.pointing.get(kind):
            source = rng.choice(b.pointing[kind])
            name = b.param(rng, source, "reference")
            params.append((rng.choice(("_revinclude", "_revinclude", "_revinclude:iterate")), f"{source}:{name}"))
        else:
            name = b.param(rng, kind, "reference")
            target = rng.choice(b.references.get(kind) or ["Patient"])
            value = rng.choice((f"{kind}:{name}", f"{kind}:{name}:{target}", f"{kind}:{name}", "*"))
            params.append((rng.choice(("_include", "_include", "_include:iterate")), value))
    return get(kind, *paged(b, rng, params), follow=True)


def chain(b, rng, caller):
    if b.edges and rng.random() < 0.5:
        source, name, target = rng.choice(b.edges)
        last, value = b.telling(rng, target)
        return get(source.split("/")[0], (f"{name}:{target.split('/')[0]}.{last}", value), *paged(b, rng, []), follow=True)
    kind = b.type(rng)
    params, steps, at = near(b, rng, kind) if rng.random() < 0.5 else [], [], kind
    for _ in range(rng.choice((1, 1, 1, 2))):
        name, targets = b.param(rng, at, "reference"), b.references.get(at)
        if not name or not targets:
            break
        target = rng.choice(targets)
        steps.append(rng.choice((f"{name}:{target}", f"{name}:{target}", name)))
        at = target
    name, value = b.criterion(rng, at, rng.random() < 0.2)
    return get(kind, *paged(b, rng, params + [(".".join((*steps, name)), value)]), follow=True)


def has(b, rng, caller):
    if b.edges and rng.random() < 0.5:
        source, name, target = rng.choice(b.edges)
        last, value = b.telling(rng, source)
        return get(target.split("/")[0], (f"_has:{source.split('/')[0]}:{name}:{last}", value), *paged(b, rng, []), follow=True)
    kind = b.type(rng)
    for _ in range(8):
        if b.pointing.get(kind):
            break
        kind = rng.choice(sorted(b.pointing))
    source = rng.choice(b.pointing[kind])
    name, value = b.criterion(rng, source, rng.random() < 0.2)
    words = f"_has:{source}:{b.param(rng, source, 'reference')}:{name}"
    if rng.random() < 0.15 and b.pointing.get(source):
        inner = rng.choice(b.pointing[source])
        name, value = b.criterion(rng, inner)
        words = f"_has:{source}:{b.param(rng, source, 'reference')}:_has:{inner}:{b.param(rng, inner, 'reference')}:{name}"
    return get(kind, *paged(b, rng, [(words, value)]), follow=True)


def sort(b, rng, caller):
    if b.told and rng.random() < 0.3:  # by what a record holds in one world alone
        kind, (name, _) = b.aimed(rng)
        return get(kind, *paged(b, rng, near(b, rng, kind)), ("_sort", rng.choice(("", "-")) + name), follow=True)
    made = search(b, rng, caller)
    names = [rng.choice(("", "-")) + (b.param(rng, made.path) or "_id") for _ in range(rng.choice((1, 1, 2)))]
    return replace(made, params=made.params + (("_sort", ",".join(names)),))


def results(b, rng, caller):
    made = search(b, rng, caller)
    what = rng.choice((("_total", rng.choice(("accurate", "estimate", "none"))), ("_summary", rng.choice(("true", "count", "text", "data", "false"))),
                       ("_elements", rng.choice(("id", "code", "status,subject", "identifier", "meta")))))
    return replace(made, params=made.params + (what,))


def words(b, rng, caller):
    made = search(b, rng, caller)
    what = rng.choice((("_list", b.id(rng, "List")), ("_security", rng.choice(("42CFRPart2", "N", "R"))), ("_profile", "http://example.org/p"), ("_tag", "x|y"),
                       ("_source", "urn:x"), ("_contained", "both"), ("_query", "q"), ("_type", "Patient"), ("_since", "2024-01-01T00:00:00Z")))
    return replace(made, params=made.params + (what,))


OPERATORS = {"token": ("eq", "eq", "ne"), "string": ("eq", "sw", "co", "ew", "ne"), "date": ("eq", "ne", "gt", "le", "po", "sa", "ap"),
             "reference": ("re", "eq", "ne"), "number": ("eq", "lt", "ge"), "quantity": ("eq", "lt", "ge"), "uri": ("eq", "ne")}


def filter_term(b, rng, kind, aimed=None):
    """One term of a _filter; aimed: (parameter, value) that a record of one world alone has."""
    name, value = aimed or (b.param(rng, kind) or "_id", "")
    form = b.known.get(kind, {}).get(name, "token")
    if rng.random() < 0.15:
        return f"{name} pr {rng.choice(('true', 'false'))}"
    value = re.sub(r"^(eq|ne|[gl][te]|sa|eb|ap)(?=[-0-9])", "", value or b.value(rng, kind, form, name))
    if rng.random() < 0.3 or re.search(r'[\s)"\]]', value):
        value = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{name} {rng.choice(OPERATORS.get(form, ('eq',)))} {value}"


def filters(b, rng, caller):
    """Every way of joining, about what is secret, over references too."""
    if b.told and rng.random() < 0.5:
        kind, aimed = b.aimed(rng)
        terms = [filter_term(b, rng, kind, aimed)]
    elif b.edges and rng.random() < 0.4:
        source, name, target = rng.choice(b.edges)
        kind, (last, value) = source.split("/")[0], b.telling(rng, target)
        place = f"{name}:{target.split('/')[0]}" + (f"[_id eq {target.split('/')[1]}]" if rng.random() < 0.3 else "")
        terms = [f'{place}.{last} {rng.choice(("eq", "ne"))} "{value}"' if rng.random() < 0.8 else f"{place}.{last} pr false"]
    else:
        kind = b.type(rng)
        terms = [filter_term(b, rng, kind)]
    terms += [filter_term(b, rng, kind) for _ in range(rng.choice((0, 0, 1, 2)))]
    terms = [f"not ({t})" if rng.random() < 0.4 else t for t in terms]
    text = terms[0]
    for term in terms[1:]:
        text = rng.choice((f"{text} and {term}", f"{text} or {term}", f"({text}) or {term}"))
    more = rng.choice(((), (), (("_sort", "_id"),), (("_summary", "count"),)))
    return get(kind, *near(b, rng, kind), ("_filter", text), *paged(b, rng, []), *more, follow=True)


def texts(b, rng, caller):
    """Words of what is secret: a word of it, a few that stand together, and what has them not."""
    if b.told and rng.random() < 0.5:
        kind, _, value, _ = rng.choice([t for t in b.told if t[1] in ("string", "token")] or b.told)
    else:
        kind = b.type(rng)
        value = b.value(rng, kind, rng.choice(("string", "token")))
    pieces = re.findall(r"[A-Za-z0-9]+", value.split("|")[-1]) or ["methadone"]
    word = rng.choice((rng.choice(pieces), '"' + " ".join(pieces[:3]) + '"', pieces[0][:4] + "*", rng.choice(("methadone", "relapse", "daily", "results"))))
    text = rng.choice((word, word, f"not {word}", f"{word} or final", f"(final, {word}) and not nothing"))
    return get(kind, *near(b, rng, kind), (rng.choice(("_content", "_content", "_content", "_text")), text), *paged(b, rng, []), follow=True)


def everything(b, rng, caller):
    kinds = ",".join(sorted({b.type(rng) for _ in range(rng.choice((1, 3)))}))
    params = rng.choice(((), (), (("_type", kinds),), (("_since", "2024-06-01T00:00:00Z"),), (("_count", "10"),), (("start", "2024-01-01"), ("end", "2024-12-31"))))
    if rng.random() < 0.4:
        return get(f"Encounter/{b.id(rng, 'Encounter')}/$everything", *params, follow=True)
    return get(f"Patient/{b.patient(rng)}/$everything", *params, follow=True)


def operation(b, rng, caller):
    what = rng.choice(OPERATIONS[1:4] if rng.random() < 0.7 else OPERATIONS)
    patient = f"Patient/{b.patient(rng)}"
    if what == "$lastn":
        code = rng.choice((("category", "vital-signs"), ("category", "laboratory"), ("code", b.value(rng, "Observation", "token"))))
        return get("Observation/$lastn", ("patient", patient), code, *rng.choice(((), (("max", "2"),), (("max", "3"),), (("max", "5"),), (("max", "8"),))), follow=True)
    if what == "$docref":
        more = rng.choice(((), (("type", b.value(rng, "DocumentReference", "token")),), (("start", "2024-01-01"), ("end", "2024-12-31")), (("on-demand", "true"),)))
        return get("DocumentReference/$docref", ("patient", patient.split("/")[1]), *more, follow=True)
    if what == "$match":
        strings = b.of(rng, "Patient").values.get("string") or ["Ada"]
        body = ('{"resourceType":"Parameters","parameter":[{"name":"resource","resource":{"resourceType":"Patient","name":[{"family":"%s","given":["%s"]}]%s}},'
                '{"name":"onlyCertainMatches","valueBoolean":%s}]}' % (rng.choice(strings), rng.choice(strings),
                                                                     rng.choice(("", ',"birthDate":"1960-01-01"', ',"gender":"male"')), rng.choice(("true", "false"))))
        return Request("", "POST", "Patient/$match", (), ("Content-Type: application/fhir+json",), body.encode())
    if what == "$validate":
        kind = b.type(rng)
        body = '{"resourceType":"%s","status":"final","subject":{"reference":"%s"}}' % (kind, patient)
        if rng.random() < 0.5:
            return Request("", "POST", f"{kind}/$validate", (), ("Content-Type: application/fhir+json",), body.encode())
        return get(f"{kind}/{b.id(rng, kind)}/$validate")
    kind = b.type(rng)
    return get(rng.choice((what, f"{kind}/{what}", f"{kind}/{b.id(rng, kind)}/{what}")))


def by_route(b, rng, caller):
    """Files and medicines: by their id alone, and by the record that leads to them."""
    kind = rng.choice(("Binary", "Binary", "Medication"))
    source = "DocumentReference" if kind == "Binary" else "MedicationRequest"
    params = [("_route", f"{source}/{b.id(rng, source)}")] if rng.random() < 0.5 else []
    headers = ["Accept: " + rng.choice(("application/fhir+json", "text/plain", "*/*"))] if rng.random() < 0.5 else []
    ident = b.id(rng, kind)
    if params and kind == "Binary" and ident.endswith("-text") and rng.random() < 0.7:
        name = ident[5:].removesuffix("-text")
        match = [i for i in b.all["DocumentReference"].ids if i[5:] == name]
        params = [("_route", f"DocumentReference/{match[0]}")] if match else params
    return get(f"{kind}/{ident}", *params, headers=headers)


def batch(b, rng, caller):
    import json
    entries = []
    for _ in range(rng.choice((1, 2, 3, 5))):
        made = rng.choice((read, read, search, vread, has, chain, operation, compartment))(b, rng, caller)
        if made.method == "GET":
            entries.append({"request": {"method": "GET", "url": made.target().removeprefix("/fhir/")}})
    entries = entries or [{"request": {"method": "GET", "url": "Patient"}}]
    body = {"resourceType": "Bundle", "type": rng.choice(("batch", "batch", "batch", "transaction")), "entry": entries}
    return Request("", "POST", "", (), ("Content-Type: application/fhir+json",), json.dumps(body, separators=(",", ":")).encode())


def metadata(b, rng, caller):
    return get("metadata", *rng.choice(((), (("mode", "full"),), (("mode", "terminology"),))))


def malformed(b, rng, caller):
    kind = b.type(rng)
    ident = b.id(rng, kind)
    return rng.choice((
        get(f"{kind}/{ident}/"), get(f"{kind}/{ident}/_history/"), get(f"{kind}/{ident}/x/y"), get(f"{kind}//{ident}"), get(f"{kind}/%2e%2e/Patient"),
        get(kind, ("nonsense", "1")), get(kind, ("_count", "-1")), get(kind, ("_count", "0")), get(kind, ("_count", "x")), get(kind, ("_cursor", "AAAA")),
        get(kind, ("_cursor", "A" * 120)), get(kind, ("_include", "Nope:x")), get(kind, ("_sort", "nope")), get(kind.lower()), get(f"{kind}s"),
        get(kind, ("date", "2024-13-45")), get(kind, ("", "")), get(kind, ("patient", "")), get(f"{kind}/{'y' * 65}"), get(f"{kind}/{ident}", ("x", "1")),
        Request("", "DELETE", f"{kind}/{ident}"), Request("", "PUT", f"{kind}/{ident}"), Request("", "PATCH", f"{kind}/{ident}"),
        Request("", "OPTIONS", f"{kind}/{ident}"), Request("", "POST", f"{kind}/{ident}"), Request("", "TRACE", kind),
        Request("", "POST", f"{kind}/_search", (), ("Content-Type: text/plain",), b"a=b"),
        Request("", "POST", kind, (), ("Content-Type: application/fhir+json",), b"{"),
        Request("", "POST", "", (), ("Content-Type: application/fhir+json",), b'{"resourceType":"Bundle","type":"batch","entry":[{}]}'),
        get(f"{kind}/{ident}", headers=["X-HTTP-Method-Override: DELETE"]), get(kind, headers=["Range: bytes=0-10"]),
    ))


# What belongs to whoever points at it has the labels of that too.
BY_ROUTE = {"Binary", "Medication"}
# What gives current records whole, each as its one view.
WHOLE = {"read", "read conditional", "by-route", "search", "search modified", "search all", "search post", "compartment", "search system", "include",
         "chain", "has", "sort", "filter", "text", "everything"}
KINDS = (
    ("read", 10, read), ("read conditional", 4, read_conditional), ("vread", 4, vread), ("by-route", 3, by_route),
    ("history instance", 5, history_instance), ("history type", 2, history_type), ("history system", 0.3, history_system),
    ("search", 12, search), ("search modified", 8, search_modified), ("search all", 3, search_all), ("search post", 3, search_post),
    ("compartment", 6, compartment), ("search system", 2, search_system), ("include", 8, include), ("chain", 7, chain), ("has", 6, has),
    ("sort", 5, sort), ("results", 5, results), ("words", 3, words), ("filter", 5, filters), ("text", 4, texts), ("everything", 1.2, everything), ("operation", 4, operation),
    ("batch", 4, batch), ("metadata", 0.3, metadata), ("malformed", 3, malformed),
)

# What never shows what a recipient may see, and why.
CANNOT = {"metadata": "the same for everybody", "malformed": "refused before anything is looked at"}


def named(words):
    """The kinds that are meant: "history" is three of them. None: all."""
    return {k for k, _, _ in KINDS if k in words or k.split(" ")[0] in words} if words else None
