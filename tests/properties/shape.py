# SPDX-License-Identifier: Apache-2.0
"""What FHIR R4 says of shape, read from the generated table (fhir/r4_elements.c), and a checker that stands on it alone.

It shares no code with segmentation: what R4 asks beyond cardinalities is written down here a second time, by the names of the
invariants, so that a mistake has to be made twice to go unseen.
"""
import collections
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MANY, REQUIRED, REFERENCE, PATIENT, RESOURCE, PRIMITIVE, MODIFIER = 1, 2, 8, 0x100, 0x200, 0x400, 0x800
Element = collections.namedtuple("Element", "name parent type flags reference choice")
NUMBERS = ("decimal", "integer", "positiveInt", "unsignedInt")
# One of these must be there; "[x]" stands for any choice. The names are those of the invariants in FHIR 4.0.1.
ONE_OF = {
    "Extension": ("ext-1", ("[x]", "extension")), "Parameters.parameter": ("inv-1", ("[x]", "resource", "part")),
    "Composition.section": ("cmp-1", ("text", "entry", "section")), "Condition.stage": ("con-1", ("summary", "assessment")),
    "Condition.evidence": ("con-2", ("code", "detail")), "RequestGroup.action": ("rqg-1", ("resource", "action")),
    "Patient.contact": ("pat-1", ("name", "telecom", "address", "organization")),
    "AppointmentResponse": ("apr-1", ("participantType", "actor")), "Appointment.participant": ("app-1", ("type", "actor")),
    "Immunization.education": ("imm-1", ("documentType", "reference")),
    "ImmunizationRecommendation.recommendation": ("imr-1", ("vaccineCode", "targetDisease")),
}
NOT_BOTH = {"Extension": ("[x]", "extension"), "RequestGroup.action": ("resource", "action")}


class Shape:
    def __init__(self):
        with open(os.path.join(ROOT, "fhir", "r4_elements.c"), encoding="utf-8") as file:
            text = file.read()
        names = re.findall(r'^    "([^"]*)";?$', text[:text.index("sl_r4_node_offset")], re.M)
        node = {n.replace(".", "_"): n for n in names}
        self.elements = collections.defaultdict(dict)
        for row in re.findall(r"\{SL_NAME_(\w+), SL_R4_(\w+), SL_R4_(\w+), (0x\w+), SL_REF_(\w+), (\d+), \d+\}", text):
            e = Element(row[0], node[row[1]], node[row[2]], int(row[3], 16), row[4].lower(), int(row[5]))
            self.elements[e.parent][e.name] = e
        self.resources = sorted(n for n, e in self.elements.items() if "resourceType" in e and n not in ("Resource", "DomainResource")
                                and not n.count("."))
        self.resources = [r for r in self.resources if r[0].isupper() and "meta" in self.elements[r]]
        self.facts = dict(re.findall(r"\[SL_R4_(\w+)\] = ([^,]+),", text[text.index("sl_r4_node_facts"):]))

    def has_fact(self, resource, fact):
        return fact in self.facts.get(resource, "")


def walk(value, path=()):
    yield path, value
    if isinstance(value, dict):
        for k, v in value.items():
            yield from walk(v, path + (k,))
    elif isinstance(value, list):
        for i, v in enumerate(value):
            yield from walk(v, path + (i,))


class Checker:
    """Everything that is wrong with a resource, as texts."""

    def __init__(self, shape):
        self.shape = shape

    def resource(self, value, at="", contained=False):
        kind = value.get("resourceType")
        if kind not in self.shape.resources:
            return [f"{at}: no resource: {kind}"]
        wrong = list(self.object(value, kind, at or kind))
        if not contained:
            wrong += self.contained(value, kind)
        return wrong

    def object(self, value, node, at):
        if not value:
            yield f"{at} is empty"
        elements, choices = self.shape.elements[node], collections.Counter()
        for key in value:
            e = elements.get(key.lstrip("_"))
            if e is None or (key[0] == "_" and not e.flags & PRIMITIVE):
                yield f"{at}.{key} is not of R4"
            else:
                yield from self.member(value, key, e, f"{at}.{key}")
        for choice in {(elements[k.lstrip("_")].choice, k.lstrip("_")) for k in value if k.lstrip("_") in elements}:
            choices[choice[0]] += 1
        for number, count in choices.items():
            if number and count > 1:
                yield f"{at} has {count} of one choice"
        for e in elements.values():
            there = e.name in value or "_" + e.name in value or (e.choice and choices[e.choice])
            if e.flags & REQUIRED and not there:
                yield f"{at}.{e.name} is required"
        yield from self.invariants(value, node, at, choices)

    def invariants(self, value, node, at, choices):
        def there(name):
            return any(n and c for n, c in choices.items()) if name == "[x]" else name in value or "_" + name in value
        if node in ONE_OF and not any(map(there, ONE_OF[node][1])):
            yield f"{at}: {ONE_OF[node][0]}"
        if node in NOT_BOTH and all(map(there, NOT_BOTH[node])):
            yield f"{at}: both of {NOT_BOTH[node]}"
        if node == "Linkage" and len(value.get("item", ())) < 2:
            yield f"{at}: lnk-1"

    def member(self, value, key, e, at):
        v, half = value[key], key[0] == "_"
        if not e.flags & MANY:
            yield from self.single(v, e, at, half)
        elif not isinstance(v, list):
            yield f"{at} is no array"
        elif not v:
            yield f"{at} is empty"
        else:
            other = value.get(e.name if half else "_" + e.name)
            for i, one in enumerate(v):
                if one is not None:
                    yield from self.single(one, e, f"{at}[{i}]", half)
                elif not (isinstance(other, list) and i < len(other) and other[i] is not None):
                    yield f"{at}[{i}] is nothing"
            if half and not any(one is not None for one in v):
                yield f"{at} holds nothing"

    def single(self, v, e, at, half):
        if half:
            yield from self.object(v, "Element", at) if isinstance(v, dict) else (f"{at} is no object",)
        elif e.flags & PRIMITIVE:
            wanted = bool if e.type == "boolean" else (int, float) if e.type in NUMBERS else str
            if not isinstance(v, wanted) or (wanted is not bool and isinstance(v, bool)) or v == "":
                yield f"{at} is no {e.type}"
        elif not isinstance(v, dict):
            yield f"{at} is no object"
        elif e.flags & RESOURCE:
            yield from self.resource(v, at, True)
        else:
            yield from self.object(v, e.type, at)

    def contained(self, value, kind):
        """dom-3, and no reference to what is not contained."""
        held = {c.get("id"): c for c in value.get("contained", ())}
        for path, v in walk(value):
            if isinstance(v, str) and v.startswith("#") and len(v) > 1 and self.may_refer(path) and v[1:].split("|")[0] not in held:
                yield f"{kind}.{'.'.join(map(str, path))} leads to {v}, which is not there"
        reached, ahead = set(), [{k: v for k, v in value.items() if k != "contained"}]
        ahead += [c for c in held.values() if any(v == "#" for p, v in walk(c) if p and p[-1] == "reference")]
        reached |= {c["id"] for c in ahead[1:]}
        while ahead:
            for path, v in walk(ahead.pop()):
                name = v[1:].split("|")[0] if isinstance(v, str) and v.startswith("#") else None
                if name in held and self.may_refer(path) and name not in reached:
                    reached.add(name)
                    ahead.append(held[name])
        for name in held.keys() - reached:
            yield f"{kind}.contained: nothing refers to #{name}"

    @staticmethod
    def may_refer(path):
        """Where a reference, a canonical or another URI stands. The generator writes '#' in no other place."""
        return bool(path) and path[-1] != "id"
