# SPDX-License-Identifier: Apache-2.0
"""Random records of every R4 type, valid by shape.Checker, of two patients, a clinic and a Part 2 program.

Every text that is content carries a token of its own ("zq17qz"), so that one can say of each whether it went out. What names a
record in words (the display of a reference) carries the token of that record.
"""
import base64

from shape import MANY, ONE_OF, PRIMITIVE, REQUIRED, RESOURCE

LOINC, SNOMED, ICD, RX = "http://loinc.org", "http://snomed.info/sct", "http://hl7.org/fhir/sid/icd-10-cm", \
    "http://www.nlm.nih.gov/research/umls/rxnorm"
ORDINARY = ((LOINC, "8480-6"), (SNOMED, "71388002"), (ICD, "E11.9"), (RX, "314076"), (LOINC, "85354-9"))
SENSITIVE = ((ICD, "F11.20"), (ICD, "F32.9"), (ICD, "B20"), (ICD, "T74.11XA"), (RX, "6813"), (LOINC, "44260-8"), (LOINC, "44261-6"),
             (ICD, "D57.1"), (SNOMED, "66590003"), (LOINC, "44249-1"))
UNKNOWN = (("http://example.org/codes", "7"),)
SECURITY = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
EXTENSION_VALUES = ("valueString", "valueCodeableConcept", "valueReference", "valueUri", "valueCoding", "valueBoolean", "valueSignature",
                    "valueAttachment", "valueCanonical", "valueQuantity")
CONTAINED = ("Observation", "Medication", "Organization", "Practitioner", "Questionnaire", "Condition", "Provenance", "Specimen")
DEPTH = 7


class Grower:
    def __init__(self, shape, random):
        self.shape, self.random, self.count = shape, random, 0
        self.names, self.tokens, self.held = [], {}, []

    # ---- A world ----

    def world(self, count, types=None):
        """Resources in the order of a file; those that all may refer to come first."""
        skeleton = [{"resourceType": "Organization", "id": "prog", "name": self.token()},
                    {"resourceType": "Organization", "id": "pcp", "name": self.token()},
                    {"resourceType": "Patient", "id": "p"}, {"resourceType": "Patient", "id": "q"},
                    self.visit("e", "p", "pcp"), self.visit("ep", "p", "prog"), self.visit("eq", "q", "pcp")]
        kinds = [self.random.choice(types or self.shape.resources) for _ in range(count)]
        kinds = ["Basic" if k == "Bundle" else k for k in kinds]
        self.names = [f"{r['resourceType']}/{r['id']}" for r in skeleton] + [f"{k}/r{i}" for i, k in enumerate(kinds)]
        self.tokens = {name: self.token() for name in self.names}
        return skeleton + [self.resource(kind, f"r{i}") for i, kind in enumerate(kinds)]

    @staticmethod
    def visit(id, patient, organization):
        return {"resourceType": "Encounter", "id": id, "status": "finished", "class": {"code": "AMB"},
                "subject": {"reference": f"Patient/{patient}"}, "serviceProvider": {"reference": f"Organization/{organization}"}}

    def token(self):
        self.count += 1
        return f"zq{self.count}qz"

    def chance(self, share):
        return self.random.random() < share

    # ---- A resource ----

    def resource(self, kind, id, depth=0):
        outer, self.held = self.held, []
        patient = "q" if self.chance(0.15) else "p"
        if depth == 0 and "contained" in self.shape.elements[kind] and self.chance(0.4):
            self.held = [f"c{i}" for i in range(self.random.randint(1, 3))]
        state, self.patient = getattr(self, "patient", "p"), patient
        value = {"resourceType": kind, "id": id}
        if self.held:
            value["contained"] = [self.resource(self.random.choice(CONTAINED), c, 1) for c in self.held]
            self.held = [c["id"] for c in value["contained"]]
        value.update(self.object(kind, depth))
        if depth == 0 and self.held:
            self.keep_contained(value)
        self.held, self.patient = outer, state
        return value

    def keep_contained(self, value):
        """Each contained resource is referred to, by an extension if by nothing else."""
        text = str({k: v for k, v in value.items() if k != "contained"})
        for c in self.held:
            if f"'#{c}'" not in text:
                value.setdefault("extension", []).append({"url": "urn:x:keeps", "valueReference": {"reference": "#" + c}})

    def object(self, node, depth):
        elements, value, chosen = self.shape.elements[node], {}, set()
        for e in self.pick(node, list(elements.values()), depth):
            if e.name == "contained" or (node in self.shape.resources and e.name in ("resourceType", "id")) or \
                    (e.choice and e.choice in chosen):
                continue
            made = self.member(e, depth)
            if made is None:
                continue
            value[e.name] = made
            if e.choice:
                chosen.add(e.choice)
            if e.flags & PRIMITIVE and self.chance(0.03) and depth < DEPTH and e.name != "url":
                self.add_half(value, e, depth)
        if node in ONE_OF and not any(self.is_one(elements.get(k.lstrip("_")), ONE_OF[node][1]) for k in value):
            self.complete(value, node, elements)
        return value

    @staticmethod
    def is_one(element, names):
        return element is not None and (element.name in names or (element.choice and "[x]" in names))

    def complete(self, value, node, elements):
        """What was to be there grew too deep: something simple in its place."""
        simple = {"Composition.section": "text", "RequestGroup.action": "resource"}.get(node)
        for name in [simple] if simple else ["valueString"] if "[x]" in ONE_OF[node][1] else ONE_OF[node][1]:
            made = {"status": "active", "div": "<div>words</div>"} if simple == "text" else self.member(elements[name], DEPTH)
            if made is not None:
                value[name] = made
                return

    def pick(self, node, elements, depth):
        """The elements that will be there: what is required, what invariants ask for, and some others."""
        self.random.shuffle(elements)
        share = 0.3 if depth == 0 else 0.12 if depth < 3 else 0.04
        names = {e.name for e in elements if e.flags & REQUIRED or self.chance(share * self.wish(e))}
        if node in ONE_OF:
            choice = self.random.choice(ONE_OF[node][1])
            if depth >= DEPTH - 2 and choice in ("extension", "part", "section", "action", "resource"):
                choice = "[x]" if "[x]" in ONE_OF[node][1] else ONE_OF[node][1][0]
            if node == "Extension":
                names -= {e.name for e in elements if e.choice} | {"extension"}
                nested = depth < 4 and self.chance(0.25)
                choice = "extension" if nested else self.random.choice(EXTENSION_VALUES)
            elif node == "RequestGroup.action":
                names -= {"resource", "action"}
            elif choice == "[x]":
                choice = self.random.choice([e.name for e in elements if e.choice])
            names.add(choice)
        if node == "Parameters.parameter" and "part" in names and depth > 3:
            names -= {"part"}
        return [e for e in elements if e.name in names]

    @staticmethod
    def wish(e):
        """How much an element is wanted, against others."""
        if e.name in ("modifierExtension", "implicitRules"):
            return 0.01
        if e.name == "text" and e.type == "Narrative" or e.reference != "none" or "CODED" in e.name:
            return 1.6
        return 0.3 if e.name in ("language", "meta") else 1

    def member(self, e, depth):
        if depth > DEPTH and not e.flags & REQUIRED:
            return None
        if not e.flags & MANY:
            return self.single(e, depth)
        least = 2 if e.parent == "Linkage" and e.name == "item" else 1
        made = [self.single(e, depth) for _ in range(max(least, self.random.choice((1, 1, 2, 3))))]
        return [m for m in made if m is not None] or None

    def add_half(self, value, e, depth):
        half = {"extension": [self.object("Extension", depth + 1)]}
        value["_" + e.name] = [half] + [None] * (len(value[e.name]) - 1) if e.flags & MANY else half

    def single(self, e, depth):
        if e.flags & PRIMITIVE:
            return self.primitive(e)
        if e.flags & RESOURCE:
            return self.resource(self.random.choice(("Observation", "Patient", "Condition")), f"n{self.count}", 2) if depth < 2 else None
        if e.type == "Reference":
            return self.reference(e)
        if e.type == "CodeableConcept":
            return self.concept()
        if e.type == "Coding":
            return self.label() if e.parent == "Meta" and e.name == "security" else self.coding()
        if depth > DEPTH + 3:
            return None
        made = self.object(e.type, depth + 1)
        return made or ({"id": f"i{self.count}"} if e.flags & REQUIRED else None)

    # ---- Values ----

    def coding(self):
        system, code = self.random.choice(self.random.choices((ORDINARY, SENSITIVE, UNKNOWN), (80, 14, 6))[0])
        return {"system": system, "code": code, "display": self.token()}

    def concept(self):
        made = {"coding": [self.coding() for _ in range(self.random.choice((1, 1, 1, 2)))]}
        if self.chance(0.3):
            made["text"] = self.token()
        return made

    def label(self):
        return {"system": SECURITY, "code": self.random.choice(("HIV", "PSY", "SUD", "SEX"))}

    def reference(self, e):
        if e.flags & 0x100 or e.reference == "subject":
            name = f"Patient/{self.patient}" if not self.chance(0.08) else "Patient/q"
            if e.name == "actor" and self.chance(0.4):
                name = "Organization/pcp"
        elif e.reference == "origin":
            name = self.random.choice(("Organization/pcp", "Organization/pcp", "Organization/prog", "Encounter/e", "Encounter/ep",
                                       f"Patient/{self.patient}"))
            if e.name in ("encounter", "context") or self.chance(0.1):
                name = f"Encounter/e{self.random.choice(('', '', 'p')) if self.patient == 'p' else 'q'}"
        elif self.held and self.chance(0.4):
            return {"reference": "#" + self.random.choice(self.held)}
        elif self.chance(0.1):
            return {"display": self.token(), "identifier": {"system": "urn:x", "value": self.token()}}
        else:
            name = self.random.choice(self.names)
        made = {"reference": name}
        if self.chance(0.5) and name not in ("Patient/p", "Patient/q"):
            made["display"] = self.tokens.get(name, name)
        return made

    def uri(self, e):
        if e.reference != "none" and self.chance(0.3):
            if self.held and self.chance(0.5):
                return "#" + self.random.choice(self.held)
            return self.random.choice(self.names)
        return "urn:x:" + self.token()

    def primitive(self, e):
        kind, r = e.type, self.random
        if kind in ("uri", "url", "canonical"):
            return self.uri(e)
        if kind == "boolean":
            return self.chance(0.5)
        if kind in ("integer", "positiveInt", "unsignedInt"):
            return r.randint(1, 9)
        if kind == "decimal":
            return r.choice((1.5, 20, 3.25))
        if kind in ("string", "markdown"):
            return ("words and " if kind == "markdown" else "") + self.token()
        if kind == "xhtml":
            return f"<div xmlns=\"http://www.w3.org/1999/xhtml\">{self.token()}</div>"
        if kind == "base64Binary":
            return base64.b64encode((" " * r.randint(0, 2) + "text " + self.token()).encode()).decode()
        return {"code": "active", "id": f"i{self.count}", "date": "2026-01-02", "dateTime": "2026-01-02T03:04:05Z", "time": "03:04:05",
                "instant": "2026-01-02T03:04:05Z", "oid": "urn:oid:1.2.3", "uuid": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}[kind]
