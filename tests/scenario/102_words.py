# SPDX-License-Identifier: Apache-2.0
import json
import urllib.parse

import house
import two_worlds


def ask(kind, **params):
    return f"{kind}?" + "&".join(f"_{n}={urllib.parse.quote(v)}" if n in ("filter", "text", "content") else f"{n}={v}" for n, v in params.items())


def filters(b):
    def found(kind, text, wanted, **more):
        b.found(ask(kind, filter=text, **more), wanted)
    found("Patient", 'name co "har"', ["ann"])
    found("Patient", 'family eq "oak" or (birthdate lt 1965 and gender eq female)', ["bob", "cas"])
    found("Patient", 'family eq "oa"', [])
    found("Patient", 'family ew "ine"', ["cas"])
    found("Patient", 'not (family sw "s") and gender ne male', ["bob", "cas"])
    found("Patient", "identifier eq urn:mrn|ann", ["ann"])
    found("Patient", "general-practitioner pr true", ["ann"])
    found("Patient", "general-practitioner pr false", ["bob", "cas"])
    found("Observation", "date ge 2024-06 and value-quantity gt 60", ["o5", "o6", "o7"])
    found("Observation", "date po 2024-03", ["o2"])
    found("Observation", "subject re Patient/bob", ["o5", "o6", "o7"])
    found("Observation", 'subject.name sw "sha" and date lt 2024-03', ["o0", "o1"])
    found("Observation", 'not (patient.family eq "sharp")', ["o5", "o6", "o7"])
    found("Observation", 'patient[gender eq female and birthdate gt 1975].name pr true', ["o5", "o6", "o7"])
    # What was cut, and what is withheld, is not there: neither by itself, nor under a not.
    found("Encounter", "reason-code eq F11.20", [])
    found("Encounter", "not (reason-code eq F11.20) and patient eq ann", ["e1", "e2"])
    found("Encounter", "reason-code pr false", ["e2"])
    found("Encounter", "reason-code ne I10", ["e3"])
    found("Condition", "code eq B20 or code eq E11.9", ["c2"])
    found("Condition", "encounter.reason-code eq F11.20 or encounter.service-provider.name pr false", ["c2", "c3"])
    b.full(ask("Encounter", filter="reason-code eq F11.20"), "e2")
    b.full(ask("Condition", filter="code eq B20"), "hv")
    b.same("counted", b.bundle(ask("Observation", filter="date ge 2024-03", _summary="count"))["total"], 6)
    b.same("in order", b.ids(ask("Observation", filter="date ge 2024-05", _sort="-date")), ["o7", "o6", "o5", "o4"])
    first = b.bundle(ask("Observation", filter="not (date lt 2024-03)", _count="4"))
    b.same("a page", len(first["entry"]) - sum(e["search"]["mode"] != "match" for e in first["entry"]), 4)


def wrong(b):
    """A mistake is told by the request alone, with its place."""
    for text, place in (("code eq", 8), ("code xx B20", 6), ("code eq B20 or", 15), ("(code eq B20", 13), ("code eq B20)", 12), ("nothing eq x", 1),
                        ("code gt B20", 1), ("not code eq B20", 5), ('subject.name eq "x', 17), ("code in B20", 6), ("recorded-date eq gt2020", 1),
                        ("code pr maybe", 9), ("(" * 17 + "code eq x" + ")" * 17, 17), (" or ".join(["code eq x"] * 65), 833)):
        status, _, body = b.ask(ask("Condition", filter=text))
        said = json.loads(body)["issue"][0].get("diagnostics", "")
        b.same(f"refused, and where: {text[:40]}", (status, f"character {place} " in said), (400, True))
    b.found("Condition?_filter:not=x", 400)
    b.found("?_type=Condition&_text=(x", 400)


def words(b):
    for kind, text, wanted in (("Observation", "heart rate", [f"o{n}" for n in range(8)]), ("Observation", '"heart rate" AND not female', [f"o{n}" for n in range(8)]),
                               ("Patient", "SHARP or pine", ["ann", "cas"]), ("Patient", "shar", []), ("Patient", "shar*", ["ann"]),
                               ("Patient", '"ann sharp"', []), ("Encounter", "f11", []), ("Encounter", "not i10", ["e2", "e3"]),
                               ("Condition", "b20", []), ("Organization", "(lake* and not lakes) or nobody", ["lakeside-primary"])):
        b.found(ask(kind, content=text), wanted)
    b.full(ask("Condition", content="b20"), "hv")
    b.full(ask("Encounter", content='"f11 20"'), "e2")
    b.found(ask("Patient", text="sharp"), [])  # nobody's narrative goes out
    b.found(ask("Patient", content="-"), 400)


def allowed(b):
    """By party and purpose alone: the same of what there is, and of what there is not."""
    for caller, what, status in (("desk", {"filter": 'family eq "sharp"'}, 200), ("desk", {"content": "sharp"}, 403), ("desk", {"text": "zzz"}, 403),
                                 ("plan", {"content": "sharp"}, 403), ("agent", {"text": "sharp"}, 403), ("agent", {"filter": "gender eq male"}, 200)):
        got = b.ask(ask("Patient", **what), caller)[0]
        b.same(f"{caller} by {what}", got, status)
    b.same("a step of a chain too", b.ask("Observation?patient:Patient._content=sharp", "desk")[0], 403)
    b.same("a step by the route too", [b.ask(f"{p}medication{w}", "plan")[0] for p in ("MedicationRequest?", "Patient?_has:MedicationRequest:patient:")
                                       for w in ("._content=x", ":Medication._text=x", ".code=x")], [403, 403, 200] * 2)
    b.same("several types at once", b.ask("?_type=Patient,Condition&_content=sharp", "desk")[0], 403)


def by_route(b):
    """A Medication is found by the prescriptions that are released, and by no others."""
    b.found("MedicationRequest?medication.code=197361", ["m1", "m3"])
    b.found("MedicationRequest?medication:Medication.code=197361&patient=bob", ["m3"])
    b.found("Patient/ann/MedicationRequest?medication.code=197361", ["m1"])
    b.found("MedicationRequest?medication.code=1147334", [])
    b.found("MedicationRequest?medication.code:not=197361", ["m2"])
    b.found(ask("MedicationRequest", filter='not (medication.code eq 197361) and patient.family eq "sharp"'), ["m2"])
    b.found("Patient?_has:MedicationRequest:patient:medication.code=197361", ["ann", "bob"])
    b.found("Patient?_has:MedicationRequest:patient:medication.code=1147334", [])
    b.found("MedicationRequest?medication.ingredient.status=x", 400)
    b.full("MedicationRequest?medication.code=1147334", "m4")


def branches(b):
    """Codes that begin with what they belong to."""
    icd = two_worlds.ICD
    b.found(f"Condition?code:below={icd}|I10", ["c1", "c3"])
    b.found(f"Condition?code:below={icd}|E11", ["c2"])
    b.found(f"Condition?code:above={icd}|E11.93", ["c2"])
    b.found(f"Encounter?reason-code:below={icd}|F11", [])
    b.found(ask("Encounter", filter=f"not (reason-code ss {icd}|F11) and patient eq ann"), ["e1", "e2"])
    b.full(f"Encounter?reason-code:below={icd}|F11", "e2")
    b.found("Condition?code:below=http://snomed.info/sct|73211009", 400)


RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


def medicine(ident, code):
    return {"resourceType": "Medication", "id": ident, "code": two_worlds.code(RXNORM, code)}


def prescription(ident, who, medication, **more):
    return {"resourceType": "MedicationRequest", "id": ident, "status": "active", "intent": "order", "subject": two_worlds.ref(f"Patient/{who}"),
            "medicationReference": two_worlds.ref(f"Medication/{medication}"), **more}


def medicines(common, hidden):
    """The same worlds, with medicines: what one is for, only who prescribed it may say."""
    def seen(secret):
        yield from common(secret)
        yield from (medicine("amlodipine", "197361"), medicine("metformin", "860975"))
        yield from (prescription("m1", "ann", "amlodipine"), prescription("m2", "ann", "metformin"), prescription("m3", "bob", "amlodipine"))

    def unseen():
        yield from hidden()
        yield medicine("abacavir", "1147334")
        yield prescription("m4", "bob", "abacavir")
    return seen, unseen


def scenario(sluice, folder):
    """_filter, _text and _content: over what goes out, as where nothing else ever was."""
    two_worlds.common, two_worlds.hidden = medicines(two_worlds.common, two_worlds.hidden)
    b = two_worlds.Both(sluice, folder)
    try:
        for part in (filters, wrong, words, by_route, branches, allowed):
            part(b)
    finally:
        failures = b.close()
    return failures


house.main(scenario)
