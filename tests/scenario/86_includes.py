# SPDX-License-Identifier: Apache-2.0
import house
import two_worlds


def includes(b):
    def included(path, wanted, **more):
        b.same(path, b.ids(path, "include", **more), wanted)
    included("Encounter?_id=e1&_include=Encounter:service-provider", ["lakeside-primary"])
    included("Encounter?_id=e1&_include=Encounter:service-provider&_include:iterate=Organization:partof", ["lakes", "lakeside-primary"])
    included("Encounter?_id=e1&_include=Encounter:service-provider&_include=Encounter:subject:Group", ["lakeside-primary"])
    included("Encounter?_id=e1&_include=*", ["lakeside-primary", "ann"])
    included("Encounter?_id=e1&_revinclude=Condition:encounter", ["c1"])  # not what is withheld
    included("Patient?_id=bob&_revinclude=Condition:patient", ["c3"])
    included("Patient?_id=ann&_revinclude=Encounter:patient&_revinclude:iterate=Condition:encounter", ["c1", "e1", "e2"])
    included("Observation?_id=o3&_include=Observation:has-member", ["o0"])
    included("Observation?_id=o3,o0&_include=Observation:has-member", [])  # it is there as a match
    included("Observation?_count=1&_id=o3,o4&_include=Observation:has-member&_sort=-date", [])
    included("Observation?_id=o7&_revinclude=Observation:has-member", [])
    included("Observation?_id=o6&_revinclude=Condition:evidence-detail", [])
    included("Organization?_id=lakes&_revinclude:iterate=Organization:partof", ["lakeside-primary"])
    included("Organization?_id=lakes&_revinclude:iterate=Organization:partof&_revinclude:iterate=Encounter:service-provider",
             ["e1", "e2", "e3", "lakeside-primary"])
    included("Encounter?_sort=-date&_count=1&_include=Encounter:subject", ["ann"])
    b.full("Observation?_id=o6&_revinclude=Condition:evidence-detail", "hv")
    for query in ("_revinclude=*", "_include=Observation:subject", "_include:recurse=Encounter:subject", "_include=Encounter:subject&_summary=text"):
        b.found(f"Encounter?{query}", 400)


def compartments(b):
    b.found("Encounter/e1/Condition", ["c1"])
    b.found("Encounter/e1/Observation?date=ge2024-06-01", ["o5", "o6", "o7"])
    b.found("Encounter/ze/Observation", [])
    b.found("Encounter/nothing/Observation", [])
    b.found("Practitioner/greene/Patient", ["ann"])
    b.found("Practitioner/greene/Patient/_search", [], body=b"birthdate=1900")
    b.found("Device/none/Observation?_summary=count", [])
    b.found("Encounter/e1/Patient", 404)
    b.found("Organization/lakes/Patient", 404)


def system(b):
    b.found("?_type=Condition,Encounter&patient=ann", ["c1", "c2", "e1", "e2"])
    b.found("_search", ["c3", "e3"], body=b"_type=Condition,Encounter&patient=bob&_sort=-_lastUpdated")
    b.same("counted", b.bundle("?_type=Condition,Encounter&_summary=count").get("total"), 6)
    b.same("in the order of type and id", b.ids("?_type=Encounter,Condition&_sort=_lastUpdated&_count=4"), ["c1", "c2", "c3", "e1"])
    b.same("and on", b.ids("next of ?_type=Encounter,Condition&_sort=_lastUpdated&_count=4"), ["e2", "e3"])
    b.same("unsorted pages", len(b.ids("?_type=Encounter,Condition&_count=4")) + len(b.ids("next of ?_type=Encounter,Condition&_count=4")), 6)
    for query in ("?patient=ann", "?_type=Nothing", "?_type=Condition,Patient&code=x", "?_type=Condition&_include=*"):
        b.found(query, 400)
    b.found("Condition?_type=Condition&patient=bob", ["c3"])
    b.found("Condition?_type=Patient", 400)


def scenario(sluice, folder):
    """Includes, compartments and the system: followed from view to view."""
    b = two_worlds.Both(sluice, folder)
    try:
        for part in (includes, compartments, system):
            part(b)
    finally:
        failures = b.close()
    return failures


house.main(scenario)
