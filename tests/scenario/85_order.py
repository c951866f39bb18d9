# SPDX-License-Identifier: Apache-2.0
import json

import house
import two_worlds

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}


def pages(b, path):
    """All pages, each of both worlds: the ids, and whether each was full."""
    ids, sizes = [], []
    while path:
        bundle = b.bundle(path)
        got = [e["resource"]["id"] for e in bundle["entry"] if e["search"]["mode"] == "match"]
        ids, sizes = ids + got, sizes + [len(got)]
        path = "next of " + path if any(link["relation"] == "next" for link in bundle.get("link", [])) else None
    return ids, sizes


def order(b):
    b.same("the newest first", b.ids("Observation?patient=ann&_sort=-date"), ["o4", "o3", "o2", "o1", "o0"])
    b.same("by value, then by date", b.ids("Observation?_sort=value-quantity,-date"), ["o0", "o7", "o6", "o5", "o4", "o3", "o2", "o1"])
    b.same("ties by id", b.ids("Observation?_sort=status"), [f"o{n}" for n in range(8)])
    b.same("by a name", b.ids("Patient?_sort=family"), ["bob", "cas", "ann"])
    b.same("by what was cut: as what has none, last", b.ids("Encounter?_sort=reason-code"), ["e1", "e3", "e2"])
    b.same("and last the other way too", b.ids("Encounter?_sort=-reason-code"), ["e3", "e1", "e2"])
    b.same("a page in order, and all of them", pages(b, "Observation?_sort=-date&_count=3"), ([f"o{7 - n}" for n in range(8)], [3, 3, 2]))
    b.same("a page of exactly what there is", pages(b, "Observation?patient=ann&_sort=date&_count=5"), ([f"o{n}" for n in range(5)], [5]))
    b.same("an order nobody knows", b.ids("Observation?_sort=nothing"), 400)
    b.one.expect("the ward has what is hidden in its place", [e["resource"]["id"] for e in json.loads(b.one.ask("Condition?patient=bob&_sort=recorded-date",
                 "ward")[2])["entry"] if e["search"]["mode"] == "match"] == ["hv", "c3"])


def totals(b):
    def total(path):
        bundle = b.bundle(path)
        return bundle.get("total"), len([e for e in bundle["entry"] if e["search"]["mode"] == "match"])
    b.same("counted where asked for", total("Observation?_count=3&_total=accurate"), (8, 3))
    b.same("or estimated", total("Observation?_count=3&_total=estimate"), (8, 3))
    b.same("not counted beyond the page else", total("Observation?_count=3"), (None, 3))
    b.same("nor where nobody wants it", total("Condition?_total=none"), (None, 3))
    b.same("in order too", total("Observation?_count=3&_total=accurate&_sort=-date"), (8, 3))
    b.same("a count alone", total("Observation?_summary=count"), (8, 0))
    b.same("a count of none", total("Observation?_count=0&patient.birthdate=1900"), (0, 0))
    b.same("a count of what is hidden", total("Condition?code=B20,F11.20&_summary=count"), (0, 0))
    b.same("a count of what lacks something", total("Encounter?reason-code:missing=true&_summary=count"), (1, 0))
    b.same("more than is counted has no total", total("Observation?_count=3&_total=accurate&status=final,amended"), (8, 3))
    b.same("and the pages after it", pages(b, "Observation?_count=3&_total=accurate"), ([f"o{n}" for n in range(8)], [3, 3, 2]))


def parts(b):
    def one(path):
        return json.loads(b.ask(path)[2])
    whole = one("Encounter/e2")
    for query, keys in (("_elements=period", {"resourceType", "id", "meta", "status", "class", "period"}),
                        ("_elements=subject,reasonCode", {"resourceType", "id", "meta", "status", "class", "subject"}),
                        ("_summary=text", {"resourceType", "id", "meta", "status", "class"}),
                        ("_summary=true", {"resourceType", "id", "meta", "status", "class", "subject"}),
                        ("_summary=data", set(whole) - {"text"})):
        for path in (f"Encounter/e2?{query}", f"Encounter?_id=e2&{query}"):
            got = one(path)
            got = got["entry"][0]["resource"] if got["resourceType"] == "Bundle" else got
            b.one.expect(f"{path}: what was asked for, and what must be", keys <= set(got) | {"subject"} and "serviceProvider" not in set(got) - keys,
                         sorted(got))
            b.one.expect(f"{path}: it says that it is a part", SUBSETTED in got["meta"]["tag"], got["meta"])
            b.one.expect(f"{path}: of the same view", got["meta"]["versionId"] == whole["meta"]["versionId"])
            b.one.expect(f"{path}: labelled as the whole is", got["meta"]["security"] == whole["meta"]["security"])
    b.same("exactly these", sorted(one("Encounter/e2?_elements=period")), ["class", "id", "meta", "period", "resourceType", "status"])
    b.same("a choice by its name", sorted(one("Observation/o1?_elements=value")), ["code", "id", "meta", "resourceType", "status", "valueQuantity"])
    for query in ("_elements=name", "_summary=text"):
        b.same(f"what changes the meaning of the rest stays: {query}", "active" in one(f"Patient/ann?{query}"), True)
    b.one.expect("whole where false", "tag" not in one("Encounter/e2?_summary=false")["meta"])
    b.one.expect("includes are whole beside _elements", "managingOrganization" in next(e["resource"] for e in one(
        "Encounter?_id=e2&_elements=subject&_include=Encounter:subject")["entry"] if e["search"]["mode"] == "include"))
    for path in ("Encounter/e2?_summary=count", "Encounter/e2?_elements=x", "Encounter?_elements=status&_summary=true", "Encounter/e2?status=x"):
        b.same(path, b.ask(path)[0], 400)
    b.same("XML as well", b"SUBSETTED" in b.ask("Encounter/e2?_elements=period", headers=["Accept: application/fhir+xml"])[2], True)


def scenario(sluice, folder):
    """Order, pages, totals and parts: of what is released, as if nothing else were there."""
    b = two_worlds.Both(sluice, folder, "limits:\n  rows: 400\n")
    try:
        for part in (order, totals, parts):
            part(b)
    finally:
        failures = b.close()
    return failures


house.main(scenario)
