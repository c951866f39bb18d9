# SPDX-License-Identifier: Apache-2.0
import json
import time
import urllib.parse

import house

LOINC = "http://loinc.org"


def observation(ident, encounter):
    return {"resourceType": "Observation", "id": ident, "meta": {"versionId": "1"}, "status": "final",
            "code": {"coding": [{"system": LOINC, "code": "8867-4"}]}, "subject": {"reference": "Patient/kei"},
            "encounter": {"reference": f"Encounter/{encounter}"}, "effectiveDateTime": "2026-03-02"}


def encounter(ident, place):
    return {"resourceType": "Encounter", "id": ident, "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": {"reference": "Patient/kei"}, "period": {"start": "2026-03-02", "end": "2026-03-02"},
            "serviceProvider": {"reference": f"Organization/{place}"}}


def consent(provision):
    code = lambda system, value: {"coding": [{"system": f"http://terminology.hl7.org/CodeSystem/{system}", "code": value}]}
    return {"resourceType": "Consent", "id": "kei-deny", "status": "active", "scope": code("consentscope", "patient-privacy"),
            "category": [code("v3-ActCode", "INFA")], "patient": {"reference": "Patient/kei"}, "dateTime": "2026-01-01T00:00:00Z",
            "policyRule": code("v3-ActCode", "OPTIN"),
            "provision": {"type": "permit", "provision": [{"type": "deny", **provision}]}}


BY_DATE = {"dataPeriod": {"start": "2020-01-01", "end": "2020-02-01"}}
BY_DISCLOSER = {"actor": [{"role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "CST"}]},
                           "reference": {"reference": "Organization/harbor-recovery"}}]}
BY_LABEL = {"securityLabel": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "ETH"}]}


def bundle(resources):
    return json.dumps({"resourceType": "Bundle", "type": "searchset",
                       "entry": [{"resource": r, "search": {"mode": "match"}} for r in resources]})


def scenario(sluice, folder):
    """labels from the book are the labels of the records, for as long as it counts, and no longer"""
    places = {"visit": "lakeside-primary", "intake": "harbor-recovery"}

    def answer(path, handler):
        url = urllib.parse.urlparse(path)
        ids = urllib.parse.parse_qs(url.query).get("_id", [""])[0].split(",")
        if url.path.endswith("/Encounter"):
            house.send(handler, bundle([encounter(i, places[i]) for i in ids if i in places]))
        elif url.path.endswith("/Observation"):
            house.send(handler, bundle([observation("pulse", "visit"), observation("pulse-at-program", "intake")]))
        else:
            house.send(handler, bundle([]))

    upstream = house.Upstream(answer)
    h = house.House(sluice, upstream=upstream.url, extra="labels:\n  book: book\n  max-age: 2\n")
    h.start()

    def ask(caller="ward"):
        """The answer, and whether an Encounter was asked for on the way."""
        upstream.asked.clear()
        answer = h.ask("Observation?patient=kei", caller)[2]
        return answer, any("/Encounter" in path for path in upstream.asked)

    def until(asked, seconds=10, caller="ward"):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answer, did = ask(caller)
            if did == asked:
                return answer
        return b""

    first, asked = ask()
    h.expect("the first answer asks where the records came from", asked)
    h.expect("the program's is not in it", b'"pulse"' in first and b"pulse-at-program" not in first, first[:400])
    h.expect("then the book knows, and the answer is the same", until(asked=False) == first)
    places["intake"] = "lakeside-primary"
    later = until(asked=True)
    h.expect("what the book says grows old", later != b"")
    h.expect("and what has changed at the source is seen", b"pulse-at-program" in later, later[:400])
    places["intake"] = "harbor-recovery"
    until(asked=True)
    h.expect("the other way too", b"pulse-at-program" not in until(asked=True))

    # Who is judged by whose program it is, and consents that look at that, at labels or at who discloses: the book says that.
    until(asked=True)
    warm = until(asked=False, caller="agent")
    h.expect("the book is enough for who serves a program", b'"pulse"' in warm and b"pulse-at-program" not in warm, warm[:300])
    for name, provision in {"who discloses": BY_DISCLOSER, "labels": BY_LABEL}.items():
        h.write("deny.json", json.dumps(consent(provision)))
        h.run("consent", "import", "--store", h.at("policy"), h.at("deny.json"))
        cold, warm = until(asked=True), until(asked=False)
        h.expect(f"and for a consent that looks at {name}", b'"pulse"' in cold and cold == warm, (cold[:300], warm[:300]))
    h.write("deny.json", json.dumps(consent(BY_DATE)))
    h.run("consent", "import", "--store", h.at("policy"), h.at("deny.json"))
    for _ in range(3):
        answer, asked = ask()
        h.expect("a consent that looks at dates is judged on the records", asked and b'"pulse"' in answer, (asked, answer[:300]))
    h.close()
    return h.failures


if __name__ == "__main__":
    house.main(scenario)
