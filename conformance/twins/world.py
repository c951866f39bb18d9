# SPDX-License-Identifier: Apache-2.0
"""The records of a world, written from a seed: what happened to some dozen patients in three years, event by event.

A *secret* event (a visit to a Part 2 program, a psychotherapy note, an unsigned draft of a machine, …) is of a kind. In the
world that is written without that kind it does not happen: so there is no visit, no line, no sum, no later version of a list
and no mention of it anywhere. Nothing is taken out afterwards, and nothing here knows how Sluice decides: this file shares
no code or table with it. Ids and times are drawn for each event by its name, so that what happens in both worlds is the
same in both, byte for byte.

Everything is invented. Codes are single facts of the public code systems (LOINC, SNOMED CT without its words, ICD-10-CM,
RxNorm, CVX, HCPCS, UCUM, HL7).
"""
import base64
import datetime
import hashlib
import json
import re

ICD10, SNOMED, LOINC = "http://hl7.org/fhir/sid/icd-10-cm", "http://snomed.info/sct", "http://loinc.org"
RXNORM, CVX, UCUM = "http://www.nlm.nih.gov/research/umls/rxnorm", "http://hl7.org/fhir/sid/cvx", "http://unitsofmeasure.org"
HCPCS, HL7 = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", "http://terminology.hl7.org/CodeSystem/"
FIRST = datetime.datetime(2023, 1, 9)

# What may not have happened, and to whom that is secret: run.py says which kinds are left out for which callers.
KINDS = ("program", "notes", "draft", "diagnosis", "selfpay", "restricted", "others")

HARBOR, PRIMARY, HOSPITAL = "harbor-recovery", "lakeside-primary", "anne-hospital"
HARBOR_NPI = "1234567893"
PLACES = {  # title, the practitioner who works there
    HARBOR: ("Harbor Recovery Center", "doc-okafor", "Ifeoma Okafor"),
    PRIMARY: ("Lakeside Primary Care", "doc-reyes", "Tomas Reyes"),
    HOSPITAL: ("St. Anne Hospital", "doc-haddad", "Noor Haddad"),
}
THERAPIST, PLAN, EXCHANGE = "doc-moreno", "northway-plan", "river-exchange"
GIVEN = ("Ada", "Ben", "Cora", "Dev", "Ella", "Finn", "Gus", "Hana", "Ivo", "Jana", "Kofi", "Lior", "Mina", "Noel", "Olga", "Pia")
FAMILY = ("Abebe", "Brandt", "Castro", "Dahl", "Eriksen", "Fuchs", "Gupta", "Holm", "Ito", "Jansen", "Khan", "Lopez", "Moreau")

ORDINARY = (  # condition, medicine, procedure, what is measured: (code, words) each
    (("E11.9", "Type 2 diabetes"), ("860975", "Metformin 500 mg"), ("396550006", None), ("4548-4", "Hemoglobin A1c", "%", 71)),
    (("I10", "High blood pressure"), ("314076", "Lisinopril 10 mg"), ("29303009", None), ("2823-3", "Potassium", "mmol/L", 42)),
    (("J45.909", "Asthma"), ("745679", "Albuterol inhaler"), ("127783003", None), ("20564-1", "Oxygen saturation", "%", 970)),
    (("M54.50", "Low back pain"), ("197803", "Ibuprofen 400 mg"), ("229559001", None), ("30522-7", "C reactive protein", "mg/L", 23)),
    (("E78.5", "High cholesterol"), ("617312", "Atorvastatin 20 mg"), ("396550006", None), ("2093-3", "Cholesterol", "mg/dL", 1890)),
    (("J02.9", "Sore throat"), ("308192", "Amoxicillin 500 mg"), ("122880004", None), ("6690-2", "Leukocytes", "10*3/uL", 83)),
)
SENSITIVE = (  # condition, of other than a program: the house gives it to who treats, and to no other without consent
    ("B20", "HIV disease"), ("F33.1", "Recurrent depression"), ("Z15.01", "Carrier of a gene"), ("F10.20", "Alcohol dependence"),
    ("A56.00", "Chlamydial infection"),
)


def draw(seed, name, limit):
    return int(hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()[:12], 16) % limit


def coding(system, code, display=None):
    out = {"system": system, "code": code}
    if display:
        out["display"] = display
    return out


def concept(system, code, words=None):
    out = {"coding": [coding(system, code, None if system == SNOMED else words)]}
    if words:
        out["text"] = words
    return out


def hl7(system, code):
    return concept(HL7 + system, code)


def icd(pair):
    return concept(ICD10, *pair)


def narrative(words):
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{words}</p></div>'}


class Number(str):
    """Is written with the digits it has: 7.10 stays 7.10."""


def money(cents):
    return {"value": Number(f"{cents // 100}.{cents % 100:02d}"), "currency": "USD"}


def text_of(resource):
    def marked(value):
        if isinstance(value, Number):
            return "\x00" + value
        if isinstance(value, dict):
            return {key: marked(v) for key, v in value.items()}
        return [marked(v) for v in value] if isinstance(value, (list, tuple)) else value
    text = json.dumps(marked(resource), separators=(",", ":"), ensure_ascii=False)
    return re.sub(r'"\\u0000([-+.0-9eE]+)"', r"\1", text)


class World:
    """without: kinds of events that do not happen. moved: a version that only a secret event made has an instant of its own
    (else that of the version before it: see docs/residual.md). extra: "visit" or "item" more that everybody who treats may
    see. crowd: so many secret rows of one patient and type. only: of the patients, those with these numbers. adopted: records of
    others' making, a list for each patient, whose story goes on here: in every world the same."""

    def __init__(self, seed, patients, years=3, without=(), moved=False, extra="", crowd=0, only=None, adopted=()):
        self.seed, self.years, self.without, self.moved = seed, years, frozenset(without), moved
        self.extra, self.crowd = extra, crowd
        self.versions = {}  # (type, id) -> [(instant, resource)]
        self.secret_ids = set()
        self.deleted = []  # Type/id of what the EHR deletes in the end
        self.secret = None  # of the event that happens just now
        self.adopted = [next(r for r in rows if r["resourceType"] == "Patient") for rows in adopted]
        self.places = sorted({r["id"] for rows in adopted for r in rows if r["resourceType"] == "Organization"})
        directory(self)
        for row in (row for rows in adopted for row in rows):
            self.put(row, FIRST)
        self.patients = []
        for number in range(patients):
            if "others" in self.without and only is not None and number not in only:
                continue
            self.secret = "others" if only is not None and number not in only else None
            Story(self, number).live()
        if self.happens("program"):
            self.secret = "program"
            strangers(self)
        self.secret = None
        shared(self, patients)

    def happens(self, kind):
        return kind not in self.without

    def ident(self, name):
        """By the event's name alone; its first letters are drawn, so that rows stand in an order that tells nothing."""
        return f"{hashlib.sha256(f'{self.seed}:{name}'.encode()).hexdigest()[:4]}-{name}"

    def patient_id(self, number):
        return self.adopted[number]["id"] if number < len(self.adopted) else self.ident(f"p{number:02d}")

    def when(self, day, name, hour=9):
        return FIRST + datetime.timedelta(days=day, hours=hour, minutes=draw(self.seed, "minute " + name, 240))

    def put(self, resource, instant):
        """A version of a record. One that only a secret event makes of a common record has the instant of the one before."""
        key = resource["resourceType"], resource["id"]
        before = self.versions.setdefault(key, [])
        if before and self.secret in KINDS and not self.moved:
            instant = before[-1][0]
        if self.secret and not before:
            self.secret_ids.add("/".join(key))
        stamp = instant.strftime("%Y-%m-%dT%H:%M:%SZ")
        meta = dict(resource.get("meta", {}), lastUpdated=stamp)
        before.append((instant, dict(resource, meta=meta)))

    def latest(self, kind, ident):
        return self.versions[kind, ident][-1][1]

    def resources(self):
        return [versions[-1][1] for versions in self.versions.values()]

    def write(self, folder, name):
        """One file for the first version of each record, one for the second, …"""
        files, number = [], 0
        while True:
            rows = [versions[number][1] for versions in self.versions.values() if number < len(versions)]
            if not rows:
                return files
            files.append(f"{folder}/{name}-{number + 1}.ndjson")
            with open(files[-1], "w") as out:
                out.writelines(text_of(row) + "\n" for row in rows)
            number += 1


def ref(kind, ident, display=None):
    out = {"reference": f"{kind}/{ident}"}
    if display:
        out["display"] = display
    return out


def iso(instant):
    return instant.strftime("%Y-%m-%dT%H:%M:%S-06:00")


def day_of(instant):
    return instant.strftime("%Y-%m-%d")


def directory(w):
    """Who and what is about no patient."""
    for ident, (title, doctor, name) in PLACES.items():
        w.put({"resourceType": "Organization", "id": ident, "active": True, "name": title,
               "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": HARBOR_NPI}] if ident == HARBOR else [],
               "address": [{"city": "Lakeside", "state": "IL", "postalCode": "60601"}]}, FIRST)
        w.put({"resourceType": "Location", "id": f"{ident}-site", "status": "active", "name": f"{title}, main site",
               "managingOrganization": ref("Organization", ident)}, FIRST)
        w.put({"resourceType": "Practitioner", "id": doctor, "active": True,
               "name": [{"family": name.split()[1], "given": [name.split()[0]]}]}, FIRST)
        w.put({"resourceType": "PractitionerRole", "id": f"{doctor}-role", "active": True,
               "practitioner": ref("Practitioner", doctor), "organization": ref("Organization", ident),
               "location": [ref("Location", f"{ident}-site")]}, FIRST)
        w.put({"resourceType": "HealthcareService", "id": f"{ident}-care", "active": True, "name": f"{title}, care",
               "providedBy": ref("Organization", ident)}, FIRST)
        w.put({"resourceType": "Schedule", "id": f"{ident}-schedule", "active": True,
               "actor": [ref("Location", f"{ident}-site")]}, FIRST)
    w.put({"resourceType": "Practitioner", "id": THERAPIST, "active": True,
           "name": [{"family": "Moreno", "given": ["Ana"]}]}, FIRST)
    for ident, title in ((PLAN, "Northway Health Plan"), (EXCHANGE, "River Valley Exchange")):
        w.put({"resourceType": "Organization", "id": ident, "active": True, "name": title}, FIRST)
    w.put({"resourceType": "Device", "id": "scribe", "status": "active", "deviceName": [{"name": "Scribe", "type": "model-name"}]}, FIRST)
    w.put({"resourceType": "Questionnaire", "id": "falls", "url": "http://example.org/fhir/Questionnaire/falls", "status": "active",
           "title": "Falls", "item": [{"linkId": str(n), "text": f"Question {n}", "type": "integer"} for n in range(1, 7)]}, FIRST)
    w.put({"resourceType": "Medication", "id": "med-plain", "status": "active", "code": concept(RXNORM, "308192", "Amoxicillin 500 mg")}, FIRST)


class Story:
    """One patient: events are noted with their day and kind, then happen in the order of their times."""

    def __init__(self, world, number):
        self.w, self.number = world, number
        self.key = f"p{number:02d}"
        self.id = world.patient_id(number)
        self.consents = number % 6 == 1  # to the release of what a program holds
        self.todo = []
        world.patients.append(self)

    # ---- Small words ----

    def me(self):
        return ref("Patient", self.id)

    def ident(self, event):
        return self.w.ident(f"{self.key}-{event}")

    def ref(self, kind, event, display=None):
        return ref(kind, self.ident(event), display)

    def draw(self, what, limit):
        return draw(self.w.seed, f"{self.key}/{what}", limit)

    def put(self, kind, event, instant, **members):
        self.w.put({"resourceType": kind, "id": self.ident(event), **members}, instant)
        return self.ident(event)

    def on(self, day, name, happen, secret=None, hour=9):
        self.todo.append((self.w.when(day, f"{self.key}-{name}", hour), name, secret, happen))

    def change(self, kind, event, instant, change):
        """A further version of one of this patient's records."""
        resource = json.loads(json.dumps(self.w.latest(kind, self.ident(event))))
        change(resource)
        self.w.put(resource, instant)

    def add(self, kind, event, instant, member, value):
        self.change(kind, event, instant, lambda r: r.setdefault(member, []).append(value))

    def live(self):
        outer = self.w.secret
        self.plan()
        for instant, _, secret, happen in sorted(self.todo, key=lambda t: t[:2]):
            if secret is None or self.w.happens(secret):
                self.w.secret = outer or secret
                happen(instant)
        self.w.secret = outer

    def plan(self):
        """What will happen, unless it is of a kind that does not."""
        n = self.number
        self.on(0, "registration", self.registration, hour=1)
        for visit in range(self.w.years * 2):
            self.on(20 + visit * 180 + self.draw(f"visit {visit}", 60), f"visit{visit}", lambda t, v=visit: self.visit(f"visit{v}", t))
        program = "consented" if self.consents else "program"
        if n % 3 != 2:
            self.on(60 + self.draw("intake", 90), "otp", self.program_intake, program)
            self.on(300 + self.draw("dose", 90), "otp2", self.program_course, program)
        if n % 3 == 0:
            self.on(150 + self.draw("late", 60), "late", self.corrected_visit, program)
        if n % 4 == 1:
            self.on(280, "sign0", self.dictated, "draft")
            self.on(290, "sign1", self.signed)
        if n % 4 == 0:
            self.on(410 + self.draw("unit", 30), "unit", self.program_stay, program)
        if n % 3 == 0:
            self.on(210, "therapy", self.therapy)
            self.on(211, "therapynote", self.therapy_note, "notes")
        if n % 2 == 0:
            self.on(500, "draft", self.draft, "draft")
        if n % 2 == 1 or n % 5 == 0:
            self.on(250 + self.draw("dx", 100), "dx", self.sensitive_visit)
            self.on(250 + self.draw("dx", 100), "dx", self.sensitive, "diagnosis", hour=10)
        if n % 5 in (0, 2):
            self.on(620 + self.draw("paid", 50), "paid", lambda t: self.visit("paid", t), "selfpay")
        if n % 5 in (1, 3):
            self.on(700 + self.draw("kept", 50), "kept", lambda t: self.visit("kept", t), "restricted")
        for day, name in ((330, "summary1"), (760, "summary2")):
            self.on(day, name, lambda t, e=name: self.summary(e, t))
        for day, name, secret in ((120, "statement1", None), (480, "statement2", program if n % 3 != 2 else None)):
            self.on(day, name, lambda t, e=name, s=secret: self.statement(e, t, s), secret)
        if n == 2 and self.w.extra == "visit":
            self.on(555, "extra", self.extra_visit)
        if n == 2 and self.w.extra == "item":
            self.on(556, "item", lambda t: self.measure("item", None, PRIMARY, t, ("8867-4", "Heart rate", "/min", 710)))
        if n == 0 and self.w.crowd:
            self.on(350, "crowd", self.crowd, "program")

    # ---- Ordinary events ----

    def registration(self, t):
        name = GIVEN[self.draw("given", len(GIVEN))], FAMILY[self.draw("family", len(FAMILY))]
        birth = (datetime.date(1945, 1, 1) + datetime.timedelta(days=self.draw("birth", 22000))).isoformat()
        doctors = [ref("PractitionerRole", f"{PLACES[PRIMARY][1]}-role", PLACES[PRIMARY][2])]
        known = self.w.adopted[self.number] if self.number < len(self.w.adopted) else {}
        self.w.put({"resourceType": "Patient", "id": self.id, "active": True, "text": narrative(f"{name[0]} {name[1]}, born {birth}"),
                    "identifier": [{"use": "usual", "system": "urn:example:mrn", "value": f"MRN{self.draw('mrn', 900000) + 100000}"}],
                    "name": [{"use": "official", "family": name[1], "given": [name[0]]}],
                    "gender": ("female", "male", "other")[self.draw("gender", 3)], "birthDate": birth,
                    "telecom": [{"system": "phone", "value": f"555-01{self.draw('phone', 90) + 10}"}],
                    "address": [{"line": [f"{self.draw('street', 99) + 1} Sample Street"], "city": "Lakeside", "state": "IL",
                                 "postalCode": f"606{self.draw('zip', 90) + 10}"}],
                    "generalPractitioner": doctors, "managingOrganization": ref("Organization", HOSPITAL),
                    **({"link": [{"other": self.ref("RelatedPerson", "kin"), "type": "seealso"}]} if self.number % 3 == 1 else {}),
                    **{n: v for n, v in known.items() if n != "meta"}}, t)
        self.put("Coverage", "coverage", t, status="active", beneficiary=self.me(), subscriberId=f"NW{self.draw('sub', 9000) + 1000}",
                 payor=[ref("Organization", PLAN)], period={"start": day_of(t)})
        self.put("RelatedPerson", "kin", t, active=True, patient=self.me(), relationship=[hl7("v3-RoleCode", "SIB")],
                 name=[{"family": name[1], "given": ["Kim"]}])
        self.put("Account", "account", t, status="active", subject=[self.me()], name="Account", owner=ref("Organization", PRIMARY),
                 coverage=[{"coverage": self.ref("Coverage", "coverage"), "priority": 1}])
        self.put("CareTeam", "team", t, status="active", name="Care team", subject=self.me(),
                 participant=[{"member": ref("Practitioner", PLACES[PRIMARY][1], PLACES[PRIMARY][2])}],
                 managingOrganization=[ref("Organization", PRIMARY)])
        self.put("CarePlan", "plan", t, status="active", intent="plan", subject=self.me(), text=narrative("Plan of care."),
                 author=ref("Practitioner", PLACES[PRIMARY][1]), category=[concept(SNOMED, "734163000")], title="Plan of care")
        self.put("List", "problems", t, status="current", mode="working", code=concept(LOINC, "11450-4", "Problem list"),
                 subject=self.me(), source=ref("Practitioner", PLACES[PRIMARY][1]))
        self.put("Goal", "goal", t, lifecycleStatus="active", description={"text": "Feel better"}, subject=self.me(),
                 startDate=day_of(t))
        self.put("EpisodeOfCare", "episode", t, status="active", patient=self.me(), managingOrganization=ref("Organization", PRIMARY),
                 period={"start": day_of(t)}, team=[self.ref("CareTeam", "team")])
        self.put("AllergyIntolerance", "allergy", t, clinicalStatus=hl7("allergyintolerance-clinical", "active"), criticality="low",
                 code=concept(RXNORM, "7980", "Penicillin"), patient=self.me(), recordedDate=day_of(t),
                 recorder=ref("Practitioner", PLACES[PRIMARY][1]))
        self.put("FamilyMemberHistory", "family", t, status="completed", patient=self.me(), date=day_of(t),
                 relationship=hl7("v3-RoleCode", "MTH"), condition=[{"code": icd(("E11.9", "Type 2 diabetes"))}])
        self.put("Flag", "flag", t, status="active", code={"text": "Needs an interpreter"}, subject=self.me(),
                 author=ref("Organization", PRIMARY))
        self.put("Person", "person", t, name=[{"family": name[1], "given": [name[0]]}], birthDate=birth,
                 link=[{"target": self.me()}], managingOrganization=ref("Organization", HOSPITAL))

    def encounter(self, event, place, t, kind="AMB", **more):
        end = t + datetime.timedelta(minutes=20 + self.draw(f"{event} long", 40))
        self.put("Encounter", event, t, **{
            "status": "finished", "class": coding(HL7 + "v3-ActCode", kind), "type": [concept(SNOMED, "308335008")],
            "subject": self.me(), "period": {"start": iso(t), "end": iso(end)},
            "participant": [{"individual": ref("Practitioner", PLACES[place][1], PLACES[place][2])}],
            "location": [{"location": ref("Location", f"{place}-site")}], "serviceProvider": ref("Organization", place), **more})

    def diagnose(self, event, visit, place, t, what, listed=True):
        self.put("Condition", event, t, clinicalStatus=hl7("condition-clinical", "active"),
                 verificationStatus=hl7("condition-ver-status", "confirmed"), category=[hl7("condition-category", "problem-list-item")],
                 code=icd(what), subject=self.me(), encounter=self.ref("Encounter", visit), onsetDateTime=day_of(t),
                 recordedDate=day_of(t), recorder=ref("Practitioner", PLACES[place][1]), text=narrative(what[1]))
        if listed:
            self.add("List", "problems", t, "entry", {"item": self.ref("Condition", event, what[1])})
            self.add("CarePlan", "plan", t, "addresses", self.ref("Condition", event))

    def measure(self, event, visit, place, t, what, category="laboratory", **more):
        code, words, unit, around = what
        tenths = around + self.draw(f"{event} value", max(around // 4, 3))
        self.put("Observation", event, t, **{
            "status": "final", "category": [hl7("observation-category", category)], "code": concept(LOINC, code, words),
            "subject": self.me(), **({"encounter": self.ref("Encounter", visit)} if visit else {}), "effectiveDateTime": iso(t),
            "performer": [ref("Organization", place)],
            "valueQuantity": {"value": Number(f"{tenths // 10}.{tenths % 10}0"), "unit": unit, "system": UCUM, "code": unit}, **more})

    def pressure(self, event, visit, place, t):
        parts = [{"code": concept(LOINC, c, w), "valueQuantity": {"value": low + self.draw(event + c, 40), "unit": "mm[Hg]",
                                                                  "system": UCUM, "code": "mm[Hg]"}}
                 for c, w, low in (("8480-6", "Systolic", 110), ("8462-4", "Diastolic", 65))]
        self.put("Observation", event, t, status="final", category=[hl7("observation-category", "vital-signs")],
                 code=concept(LOINC, "85354-9", "Blood pressure"), subject=self.me(), encounter=self.ref("Encounter", visit),
                 effectiveDateTime=iso(t), performer=[ref("Organization", place)], component=parts)

    def prescribe(self, event, visit, place, t, drug, reason=None, medication=None):
        what = {"medicationReference": ref("Medication", medication)} if medication else {"medicationCodeableConcept": concept(RXNORM, *drug)}
        self.put("MedicationRequest", event, t, status="active", intent="order", **what, subject=self.me(),
                 encounter=self.ref("Encounter", visit), authoredOn=day_of(t), requester=ref("PractitionerRole", f"{PLACES[place][1]}-role"),
                 dosageInstruction=[{"text": "Take as directed", "timing": {"repeat": {"frequency": 1, "period": Number("1.0"), "periodUnit": "d"}}}],
                 **({"reasonReference": [self.ref("Condition", reason)]} if reason else {}))
        self.add("CarePlan", "plan", t, "activity", {"reference": self.ref("MedicationRequest", event)})

    def note(self, event, visit, place, t, words, kind=None, **more):
        self.put("DocumentReference", event, t, **{
            "status": "current", "docStatus": "final", "type": kind or concept(LOINC, "11506-3", "Progress note"),
            "category": [concept("http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category", "clinical-note")],
            "subject": self.me(), "date": iso(t), "author": [ref("Practitioner", PLACES[place][1])],
            "custodian": ref("Organization", place), "content": [{"attachment": {
                "contentType": "text/plain", "data": base64.b64encode(words.encode()).decode()}}],
            "context": {"encounter": [self.ref("Encounter", visit)]}, **more})

    def letter(self, event, visit, place, t, words):
        """A document whose text lies beside it."""
        text = self.put("Binary", f"{event}-text", t, contentType="text/plain", data=base64.b64encode(words.encode()).decode())
        self.note(event, visit, place, t, "", content=[{"attachment": {"contentType": "text/plain", "url": f"Binary/{text}"}}])

    def bill(self, event, visit, place, t, diagnoses, services):
        """A claim and what the plan answered: parts that are numbered, and a sum."""
        coverage = {"focal": True, "coverage": self.ref("Coverage", "coverage")}
        cents = [8000 + self.draw(f"{event} {s}", 9000) for s in services]
        lines = [{"sequence": i, "diagnosisSequence": [1], "productOrService": concept(HCPCS, s), "net": money(c),
                  "encounter": [self.ref("Encounter", visit)]} for i, (s, c) in enumerate(zip(services, cents), 1)]
        both = {"status": "active", "type": hl7("claim-type", "professional"), "use": "claim", "patient": self.me(), "created": day_of(t),
                "provider": ref("Organization", place),
                "diagnosis": [{"sequence": i, "diagnosisCodeableConcept": icd(d)} for i, d in enumerate(diagnoses, 1)]}
        self.put("Claim", f"{event}-claim", t, **both, priority=hl7("processpriority", "normal"), insurance=[dict(sequence=1, **coverage)],
                 item=lines, total=money(sum(cents)))
        self.put("ExplanationOfBenefit", f"{event}-eob", t, **both, insurer=ref("Organization", PLAN), outcome="complete",
                 claim=self.ref("Claim", f"{event}-claim"), insurance=[coverage],
                 item=[dict(line, adjudication=[{"category": hl7("adjudication", "benefit"), "amount": money(c * 4 // 5)}])
                       for line, c in zip(lines, cents)],
                 total=[{"category": hl7("adjudication", "submitted"), "amount": money(sum(cents))}])

    def visit(self, event, t):
        """A visit to primary care with all that comes of it."""
        condition, drug, procedure, lab = ORDINARY[self.draw(f"{event} why", len(ORDINARY))]
        e = lambda part: f"{event}-{part}"
        reason = {"reasonCode": [icd(condition)], "diagnosis": [{"condition": self.ref("Condition", e("dx")), "rank": 1}],
                  "episodeOfCare": [self.ref("EpisodeOfCare", "episode")], "account": [self.ref("Account", "account")]}
        self.encounter(event, PRIMARY, t, **reason)
        self.diagnose(e("dx"), event, PRIMARY, t, condition)
        self.pressure(e("bp"), event, PRIMARY, t)
        # A Specimen or an Appointment says of no visit that it is its own, so a visit that is kept from somebody has none.
        kept = event in ("paid", "kept")
        self.measure(e("lab"), event, PRIMARY, t, lab, **({} if kept else {"specimen": self.ref("Specimen", e("blood"))}))
        self.measure(e("weight"), event, PRIMARY, t, ("29463-7", "Body weight", "kg", 700), "vital-signs")
        if not kept:
            self.put("Specimen", e("blood"), t, status="available", type=concept(SNOMED, "119297000"), subject=self.me(), receivedTime=iso(t))
        self.put("DiagnosticReport", e("report"), t, status="final", category=[hl7("v2-0074", "LAB")], code=concept(LOINC, lab[0], lab[1]),
                 subject=self.me(), encounter=self.ref("Encounter", event), effectiveDateTime=iso(t), issued=iso(t),
                 performer=[ref("Organization", PRIMARY)], result=[self.ref("Observation", e("lab"))])
        self.prescribe(e("rx"), event, PRIMARY, t, drug, e("dx"), "med-plain" if drug[0] == "308192" else None)
        self.put("MedicationDispense", e("dispense"), t, status="completed", medicationCodeableConcept=concept(RXNORM, *drug),
                 subject=self.me(), context=self.ref("Encounter", event), authorizingPrescription=[self.ref("MedicationRequest", e("rx"))],
                 whenHandedOver=iso(t), quantity={"value": 30})
        self.put("Procedure", e("procedure"), t, status="completed", code=concept(SNOMED, procedure[0]), subject=self.me(),
                 encounter=self.ref("Encounter", event), performedDateTime=iso(t), performer=[{"actor": ref("Practitioner", PLACES[PRIMARY][1])}],
                 reasonReference=[self.ref("Condition", e("dx"))])
        self.note(e("note"), event, PRIMARY, t, f"Seen for {condition[1].lower()}. No complaints.")
        self.bill(event, event, PRIMARY, t + datetime.timedelta(days=3), [condition], ["G0463", "G0008"])
        which = self.draw(f"{event} besides", 4)
        if which == 0:
            self.put("Immunization", e("flu"), t, status="completed", vaccineCode=concept(CVX, "140", "Influenza"), patient=self.me(),
                     encounter=self.ref("Encounter", event), occurrenceDateTime=day_of(t), performer=[{"actor": ref("Organization", PRIMARY)}])
            self.letter(e("letter"), event, PRIMARY, t, "To whom it may concern: off work for three days.")
        elif which == 1:
            self.put("ServiceRequest", e("order"), t, status="active", intent="order", code=concept(SNOMED, "3457005"), subject=self.me(),
                     encounter=self.ref("Encounter", event), authoredOn=day_of(t), requester=ref("PractitionerRole", f"{PLACES[PRIMARY][1]}-role"),
                     reasonReference=[self.ref("Condition", e("dx"))])
            self.put("Task", e("task"), t, status="requested", intent="order", focus=self.ref("ServiceRequest", e("order")),
                     **{"for": self.me()}, encounter=self.ref("Encounter", event), authoredOn=iso(t), owner=ref("Organization", HOSPITAL))
        elif which == 2:
            self.put("Communication", e("message"), t, status="completed", subject=self.me(), sent=iso(t), recipient=[self.me()],
                     encounter=self.ref("Encounter", event), sender=ref("Practitioner", PLACES[PRIMARY][1]), about=[self.ref("Condition", e("dx"))],
                     payload=[{"contentString": "Your results are in."}])
            self.put("ImagingStudy", e("image"), t, status="available", subject=self.me(), encounter=self.ref("Encounter", event),
                     started=iso(t), numberOfSeries=1, numberOfInstances=1, description="Chest")
        else:
            answers = [(str(n), self.draw(f"{event} answer {n}", 4)) for n in range(1, 6)]
            self.put("QuestionnaireResponse", e("form"), t, status="completed", questionnaire="http://example.org/fhir/Questionnaire/falls",
                     subject=self.me(), encounter=self.ref("Encounter", event), authored=iso(t), author=ref("Practitioner", PLACES[PRIMARY][1]),
                     item=[{"linkId": n, "answer": [{"valueInteger": v}]} for n, v in answers]
                     + [{"linkId": "6", "answer": [{"valueInteger": sum(v for _, v in answers)}]}])
            self.put("Provenance", e("prov"), t, target=[self.ref("QuestionnaireResponse", e("form"))], recorded=iso(t),
                     agent=[{"who": ref("Practitioner", PLACES[PRIMARY][1])}])
        if not kept:
            self.put("Appointment", e("next"), t, status="booked", start=iso(t + datetime.timedelta(days=170)),
                     end=iso(t + datetime.timedelta(days=170, minutes=30)), participant=[
                         {"actor": self.me(), "status": "accepted"}, {"actor": ref("Practitioner", PLACES[PRIMARY][1]), "status": "accepted"}])
        self.add("Goal", "goal", t, "addresses", self.ref("Condition", e("dx")))
        if event == "visit1" and self.number % 2 == 0:
            self.w.deleted.append("Observation/" + self.ident(e("weight")))

    def therapy(self, t):
        """A visit to the therapist, in the ordinary record of mental health; what she keeps apart is another event."""
        self.encounter("therapy", PRIMARY, t)
        self.note("therapy-progress", "therapy", PRIMARY, t, "Doing better. Next visit in two weeks.")

    def summary(self, event, t):
        """A Composition over the record as it is now: sections with entries."""
        problems = [entry["item"] for entry in self.w.latest("List", self.ident("problems")).get("entry", [])]
        self.put("Composition", event, t, status="final", type=concept(LOINC, "60591-5", "Summary"), subject=self.me(), date=iso(t),
                 author=[ref("Practitioner", PLACES[PRIMARY][1])], title="Summary", custodian=ref("Organization", PRIMARY),
                 section=[{"title": "Problems", "code": concept(LOINC, "11450-4"), "text": narrative("Problems."),
                           "entry": [{"reference": p["reference"]} for p in problems]},
                          {"title": "Allergies", "code": concept(LOINC, "48765-2"), "text": narrative("Allergies."),
                           "entry": [self.ref("AllergyIntolerance", "allergy")]}])

    def statement(self, event, t, secret):
        """One bill over several visits. If one of them is secret the bill is (it is withheld whole), and did not happen either."""
        visits = ["visit0"] + (["otp"] if secret else [])
        cents = [5000 + self.draw(f"{event} {v}", 5000) for v in visits]
        self.put("Claim", event, t, status="active", type=hl7("claim-type", "institutional"), use="claim", patient=self.me(),
                 created=day_of(t), provider=ref("Organization", HARBOR if secret else PRIMARY), priority=hl7("processpriority", "normal"),
                 insurance=[{"sequence": 1, "focal": True, "coverage": self.ref("Coverage", "coverage")}], total=money(sum(cents)),
                 item=[{"sequence": i, "productOrService": concept(HCPCS, "G0463"), "net": money(c), "encounter": [self.ref("Encounter", v)]}
                       for i, (v, c) in enumerate(zip(visits, cents), 1)])

    def extra_visit(self, t):
        """One more that may be seen, with a file beside a document: so that every kind of request can show it."""
        self.visit("extra", t)
        self.letter("extra-file", "extra", PRIMARY, t, "Off work.")

    # ---- Secret events ----

    def program_intake(self, t):
        oud = ("F11.20", "Opioid use disorder")
        self.encounter("otp", HARBOR, t, reasonCode=[icd(oud)], diagnosis=[{"condition": self.ref("Condition", "otp-oud"), "rank": 1}])
        self.diagnose("otp-oud", "otp", HARBOR, t, oud)
        self.pressure("otp-bp", "otp", HARBOR, t)
        self.measure("otp-weight", "otp", HARBOR, t, ("29463-7", "Body weight", "kg", 700), "vital-signs")
        drug = self.put("Medication", "otp-med", t, status="active", code=concept(RXNORM, "864706", "Methadone 10 mg"))
        self.prescribe("otp-rx", "otp", HARBOR, t, None, "otp-oud", drug)
        self.note("otp-note", "otp", HARBOR, t, "Stable. Attends group weekly.")
        self.letter("otp-letter", "otp", HARBOR, t, "Attends daily.")
        self.note("otp-counsel", "otp", HARBOR, t, "Talked about the relapse.", concept("urn:sluice:note-folder", "sud-counseling", "Counseling notes"))
        self.bill("otp", "otp", HARBOR, t, [oud], ["H0020", "H0001"])
        answers = [(str(n), self.draw(f"otp answer {n}", 2)) for n in range(1, 11)]
        self.put("QuestionnaireResponse", "otp-form", t, status="completed", questionnaire="http://example.org/fhir/Questionnaire/dast-10",
                 subject=self.me(), encounter=self.ref("Encounter", "otp"), authored=iso(t), author=ref("Practitioner", PLACES[HARBOR][1]),
                 item=[{"linkId": n, "answer": [{"valueInteger": v}]} for n, v in answers]
                 + [{"linkId": "total", "answer": [{"valueInteger": sum(v for _, v in answers)}]}])
        self.put("Provenance", "otp-prov", t, target=[self.ref("Condition", "otp-oud")], recorded=iso(t),
                 agent=[{"who": ref("Practitioner", PLACES[HARBOR][1]), "onBehalfOf": ref("Organization", HARBOR)}])
        self.put("Slot", "otp-slot", t, schedule=ref("Schedule", f"{HARBOR}-schedule"), status="busy",
                 start=iso(t), end=iso(t + datetime.timedelta(minutes=30)))
        self.put("Appointment", "otp-next", t, status="booked", start=iso(t + datetime.timedelta(days=1)), slot=[self.ref("Slot", "otp-slot")],
                 end=iso(t + datetime.timedelta(days=1, minutes=15)), participant=[
                     {"actor": self.me(), "status": "accepted"}, {"actor": ref("Location", f"{HARBOR}-site"), "status": "accepted"}])
        # What others then write about him.
        self.add("CareTeam", "team", t, "participant", {"member": ref("PractitionerRole", f"{PLACES[HARBOR][1]}-role", PLACES[HARBOR][2])})
        self.add("EpisodeOfCare", "episode", t, "diagnosis", {"condition": self.ref("Condition", "otp-oud")})
        self.w.put(dict(self.w.latest("Patient", self.id), generalPractitioner=[
            *self.w.latest("Patient", self.id)["generalPractitioner"], ref("PractitionerRole", f"{PLACES[HARBOR][1]}-role", PLACES[HARBOR][2])]), t)

    def program_course(self, t):
        self.encounter("otp2", HARBOR, t)
        self.put("MedicationAdministration", "otp2-dose", t, status="completed", medicationReference=self.ref("Medication", "otp-med"),
                 subject=self.me(), context=self.ref("Encounter", "otp2"), effectiveDateTime=iso(t),
                 performer=[{"actor": ref("PractitionerRole", f"{PLACES[HARBOR][1]}-role")}],
                 dosage={"dose": {"value": Number("60.0"), "unit": "mg", "system": UCUM, "code": "mg"}})
        self.measure("otp2-screen", "otp2", HARBOR, t, ("3397-7", "Cocaine in urine", "ng/mL", 20))
        self.put("Observation", "otp2-panel", t, status="final", category=[hl7("observation-category", "laboratory")],
                 code=concept(LOINC, "19343-3", "Drug panel"), subject=self.me(), encounter=self.ref("Encounter", "otp2"),
                 effectiveDateTime=iso(t), performer=[ref("Organization", HARBOR)], hasMember=[self.ref("Observation", "otp2-screen")])
        self.put("CarePlan", "otp2-plan", t, status="active", intent="plan", subject=self.me(), author=ref("Organization", HARBOR),
                 encounter=self.ref("Encounter", "otp2"), addresses=[self.ref("Condition", "otp-oud")], partOf=[self.ref("CarePlan", "plan")])
        self.put("ServiceRequest", "otp2-order", t, status="active", intent="order", code=concept(SNOMED, "3457005"), subject=self.me(),
                 encounter=self.ref("Encounter", "otp2"), authoredOn=day_of(t), requester=ref("PractitionerRole", f"{PLACES[HARBOR][1]}-role"))
        self.put("Communication", "otp2-message", t, status="completed", subject=self.me(), sent=iso(t),
                 sender=ref("PractitionerRole", f"{PLACES[HARBOR][1]}-role"), encounter=self.ref("Encounter", "otp2"),
                 payload=[{"contentString": "Dose raised."}])
        self.put("Goal", "otp2-goal", t, lifecycleStatus="active", description={"text": "Attend daily"}, subject=self.me(),
                 addresses=[self.ref("Condition", "otp-oud")], expressedBy=ref("PractitionerRole", f"{PLACES[HARBOR][1]}-role"))
        self.put("Consent", "otp2-consent", t, status="inactive", scope=hl7("consentscope", "patient-privacy"), patient=self.me(),
                 category=[concept(LOINC, "59284-0"), hl7("v3-ActCode", "42CFRPart2CD")], dateTime=iso(t), performer=[self.me()],
                 organization=[ref("Organization", HARBOR)], policy=[{"uri": "urn:sluice:form:part2-tpo-2024"}])
        # A letter is deleted again, and a list names it still. Who had joined the care team leaves it.
        self.w.deleted.append("DocumentReference/" + self.ident("otp-letter"))
        self.add("List", "problems", t, "entry", {"item": self.ref("DocumentReference", "otp-letter", "Letter")})
        self.change("CareTeam", "team", t, lambda r: r["participant"].pop())
        # A record of his is corrected; and that one is counted in a list.
        self.change("Condition", "otp-oud", t, lambda r: r.update(abatementDateTime=day_of(t)))
        self.add("List", "problems", t, "entry", {"item": self.ref("Observation", "otp2-panel", "Drug panel")})
        self.add("CarePlan", "plan", t, "activity", {"reference": self.ref("ServiceRequest", "otp2-order", "Methadone clinic")})

    def corrected_visit(self, t):
        """A visit that was filed under primary care, and was the program's: what had been an ordinary record is none."""
        self.encounter("late", PRIMARY, t)
        self.measure("late-pulse", "late", PRIMARY, t, ("8867-4", "Heart rate", "/min", 700), "vital-signs")
        later = t + datetime.timedelta(days=4)
        self.change("Encounter", "late", later, lambda r: r.update(
            serviceProvider=ref("Organization", HARBOR), location=[{"location": ref("Location", f"{HARBOR}-site")}]))
        self.change("Observation", "late-pulse", later, lambda r: r.update(performer=[ref("Organization", HARBOR)]))

    def dictated(self, t):
        """A draft of a machine, which a physician will make his own: until then nobody is to know of it."""
        self.put("Condition", "signed-dx", t, meta={"security": [coding(HL7 + "v3-ObservationValue", "AIAST")]},
                 clinicalStatus=hl7("condition-clinical", "active"), code=icd(("R53.83", "Fatigue")), subject=self.me(),
                 verificationStatus=hl7("condition-ver-status", "provisional"), recordedDate=day_of(t))

    def signed(self, t):
        self.put("Condition", "signed-dx", t, clinicalStatus=hl7("condition-clinical", "active"), code=icd(("R53.83", "Fatigue")),
                 verificationStatus=hl7("condition-ver-status", "confirmed"), subject=self.me(), recordedDate=day_of(t),
                 recorder=ref("Practitioner", PLACES[PRIMARY][1]))

    def program_stay(self, t):
        self.encounter("unit", HARBOR, t, "IMP")
        for n in range(6):
            self.measure(f"unit-pulse{n}", "unit", HARBOR, t + datetime.timedelta(hours=n), ("8867-4", "Heart rate", "/min", 700), "vital-signs")
            self.put("MedicationAdministration", f"unit-dose{n}", t, status="completed", medicationCodeableConcept=concept(RXNORM, "198011", "Naltrexone"),
                     subject=self.me(), context=self.ref("Encounter", "unit"), effectiveDateTime=iso(t + datetime.timedelta(hours=n)))

    def therapy_note(self, t):
        self.note("therapy-note", "therapy", PRIMARY, t, "Spoke about his father.",
                  concept("urn:sluice:note-folder", "psychotherapy", "Psychotherapy notes"), author=[ref("Practitioner", THERAPIST)])
        self.letter("therapy-long", "therapy", PRIMARY, t, "And about his mother.")
        self.change("DocumentReference", "therapy-long", t, lambda r: r.update(
            type=concept("urn:sluice:note-folder", "psychotherapy", "Psychotherapy notes"), author=[ref("Practitioner", THERAPIST)]))
        self.add("CarePlan", "plan", t, "supportingInfo", self.ref("DocumentReference", "therapy-note"))

    def draft(self, t):
        """What a machine wrote and nobody signed."""
        machine = {"security": [coding(HL7 + "v3-ObservationValue", "AIAST")]}
        self.put("Condition", "draft-dx", t, meta=machine, clinicalStatus=hl7("condition-clinical", "active"), code=icd(("R53.83", "Fatigue")),
                 verificationStatus=hl7("condition-ver-status", "provisional"), subject=self.me(), recordedDate=day_of(t))
        self.put("Observation", "draft-obs", t, status="preliminary", code=concept(LOINC, "29463-7", "Body weight"), subject=self.me(),
                 effectiveDateTime=iso(t), performer=[ref("Organization", PRIMARY)],
                 valueQuantity={"value": Number("81.50"), "unit": "kg", "system": UCUM, "code": "kg"})
        self.put("Provenance", "draft-prov", t, target=[self.ref("Observation", "draft-obs")], recorded=iso(t),
                 reason=[concept(HL7 + "v3-ObservationValue", "AIAST")],
                 agent=[{"type": hl7("provenance-participant-type", "author"), "who": ref("Device", "scribe")}])
        self.add("List", "problems", t, "entry", {"item": self.ref("Condition", "draft-dx")})

    def sensitive_visit(self, t):
        """A visit that nobody is to know the reason of, but who treats."""
        what, known = SENSITIVE[self.draw("dx what", len(SENSITIVE))], self.w.happens("diagnosis")
        self.encounter("dx", PRIMARY, t, **({"reasonCode": [icd(what)], "diagnosis": [{"condition": self.ref("Condition", "dx-dx")}]} if known else {}))

    def sensitive(self, t):
        """And what came of it."""
        what = SENSITIVE[self.draw("dx what", len(SENSITIVE))]
        self.diagnose("dx-dx", "dx", PRIMARY, t, what)
        self.bill("dx", "dx", PRIMARY, t, [what], ["G0463"])
        self.put("ServiceRequest", "dx-order", t, status="active", intent="order", code=icd(what), subject=self.me(),
                 authoredOn=day_of(t), requester=ref("PractitionerRole", f"{PLACES[PRIMARY][1]}-role"))
        self.add("EpisodeOfCare", "episode", t, "diagnosis", {"condition": self.ref("Condition", "dx-dx")})

    def crowd(self, t):
        """More rows than a request may look through."""
        self.encounter("crowd", HARBOR, t)
        for n in range(self.w.crowd):
            self.measure(f"crowd-{n}", "crowd", HARBOR, t, ("8867-4", "Heart rate", "/min", 700), "vital-signs")


def strangers(w):
    """Who is a patient of the program's and of nobody else's: that they are known here is all there would be to tell."""
    for name in ("q0", "q1"):
        t, me = w.when(200, name), ref("Patient", w.ident(name))
        w.put({"resourceType": "Patient", "id": me["reference"][8:], "active": True, "name": [{"family": "Quill", "given": ["Quentin"]}],
               "gender": "male", "birthDate": "1970-07-07", "managingOrganization": ref("Organization", HARBOR),
               "identifier": [{"system": "urn:example:mrn", "value": f"MRN-{name}"}]}, t)
        w.put({"resourceType": "Coverage", "id": w.ident(f"{name}-coverage"), "status": "active", "beneficiary": me,
               "payor": [ref("Organization", PLAN)]}, t)
        w.put({"resourceType": "Encounter", "id": w.ident(f"{name}-otp"), "status": "finished", "class": coding(HL7 + "v3-ActCode", "AMB"),
               "subject": me, "period": {"start": iso(t)}, "serviceProvider": ref("Organization", HARBOR)}, t)
        w.put({"resourceType": "Observation", "id": w.ident(f"{name}-pulse"), "status": "final", "code": concept(LOINC, "8867-4"), "subject": me,
               "encounter": ref("Encounter", w.ident(f"{name}-otp")), "effectiveDateTime": iso(t), "performer": [ref("Organization", HARBOR)],
               "valueQuantity": {"value": 71, "unit": "/min", "system": UCUM, "code": "/min"}}, t)
        w.put({"resourceType": "RelatedPerson", "id": w.ident(f"{name}-kin"), "active": True, "patient": me, "name": [{"family": "Quill"}]}, t)
        # And who is linked to them, as what may be the same person, or family.
        for story in w.patients[("q0", "q1").index(name)::4]:
            links = [{"other": other, "type": "seealso"} for other in (me, ref("RelatedPerson", w.ident(f"{name}-kin")))]
            patient = w.latest("Patient", story.id)
            w.put(dict(patient, link=[*patient.get("link", []), *links]), w.when(900, f"{story.key}-{name}"))


def shared(w, count):
    """What is about several patients: a class with its members, counted."""
    members = [{"entity": p.me()} for p in w.patients if p.number % 4 == 3]
    t = w.when(800, "class")
    if members:
        w.put({"resourceType": "Group", "id": w.ident("class"), "active": True, "type": "person", "actual": True, "name": "Tuesday class",
               "quantity": len(members), "managingEntity": ref("Organization", PRIMARY), "member": members}, t)
    # Of the program's own, who consented is told of; the others sat there only where they went.
    sat = [{"entity": p.me()} for p in w.patients if p.number % 3 != 2 and (p.consents or w.happens("program"))]
    if sat:
        w.put({"resourceType": "Group", "id": w.ident("harbor-class"), "active": True, "type": "person", "actual": True, "name": "Harbor group",
               "quantity": len(sat), "managingEntity": ref("Organization", HARBOR), "member": sat}, t)


# ---- Facts about release: the same in both worlds ----

PROGRAMS = f"""others: unknown
programs:
  - source: Organization/{HARBOR}
    is: program
    title: Harbor Recovery Center
    identifiers:
      - npi: "{HARBOR_NPI}"
    known-as: [Harbor Recovery Center]
  - source: Organization/{HOSPITAL}
    is: not
  - source: Organization/{PRIMARY}
    is: not
"""


def programs(world):
    """Who is a program. Where records were adopted from makes none."""
    return PROGRAMS + "".join(f"  - source: Organization/{ident}\n    is: not\n" for ident in world.places)


def consent(seed, story, event, purposes, permit=True, until=None, status="active", kind="42CFRPart2CD", form="part2-tpo-2024", actor=None):
    provision = {"type": "permit" if permit else "deny", "period": {"start": "2023-01-01", **({"end": until} if until else {})},
                 "purpose": [coding(HL7 + "v3-ActReason", p) for p in purposes]}
    if actor:
        provision["actor"] = [{"role": hl7("v3-ParticipationType", "IRCP"), "reference": actor}]
    return {"resourceType": "Consent", "id": story.ident(event), "status": status, "scope": hl7("consentscope", "patient-privacy"),
            "category": [concept(LOINC, "59284-0")] + ([hl7("v3-ActCode", kind)] if kind else []), "patient": story.me(),
            "dateTime": "2023-01-02", "performer": [story.me()], "organization": [ref("Organization", HARBOR if kind else PRIMARY)],
            "sourceReference": {"display": "Signed form"}, "policy": [{"uri": f"urn:sluice:form:{form}"}], "provision": provision}


TPO = ("TREAT", "HPAYMT", "HOPERAT")


def consents(world, idle="none"):
    """Those that release something; and, by `idle`, others that release nothing to anybody: none, over, elsewhere."""
    out = []
    for story in world.patients:
        if story.consents:
            out.append(consent(world.seed, story, "consent", TPO))
        elif idle == "over" and story.number % 2 == 0:
            out.append(consent(world.seed, story, "idle", TPO, status="inactive"))
        elif idle == "over":
            out.append(consent(world.seed, story, "idle", TPO, until="2023-06-30"))
        elif idle == "elsewhere":
            out.append(consent(world.seed, story, "idle", ("TREAT",), until="2030-12-31", form="part2-specific-2024",
                               actor=ref("Organization", "nobody-here")))
    return out


def register(world):
    """What the officer has agreed with patients, of visits that may not have happened."""
    rows = ["entries:"]
    for story in world.patients:
        if story.number % 5 in (0, 2):
            rows += ["  - kind: self-pay", f"    items: [Encounter/{story.ident('paid')}]", f"    patient: Patient/{story.id}",
                     "    why: asked at the desk", "    by: Officer"]
        if story.number % 5 in (1, 3):
            rows += ["  - kind: agreed-restriction", f"    items: [Encounter/{story.ident('kept')}]", f"    patient: Patient/{story.id}",
                     "    recipients: [\"client:exchange\"]", "    why: agreed", "    by: Officer"]
    return "\n".join(rows) + "\n"
