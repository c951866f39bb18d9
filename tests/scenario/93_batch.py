# SPDX-License-Identifier: Apache-2.0
import gzip
import json
import xml.etree.ElementTree as tree

import house

FHIR = "{http://hl7.org/fhir}"
JSON = "Content-Type: application/fhir+json"
READS = ["Patient/amara", "Condition/amara-otp-oud", "Condition/bruno-pc-diabetes", "Condition/bruno-otp-oud", "Condition/no-such",
         "Condition?patient=amara", "Condition?patient=bruno&_count=1", "Patient/farah/$everything?_type=Condition", "Condition?colour=blue",
         "Nothing/x", "metadata", "Condition/hugo-id-hiv", "/Condition/hugo-pc-diabetes", "Encounter?patient=chen&_include=Encounter:patient",
         "Observation?subject=Patient/lena"]
# What leads nowhere, or is no request that an entry can be; and the status of each.
REFUSED = [("GET", "http://localhost/fhir/Patient/amara", "404"), ("GET", "//localhost/fhir/Patient/amara", "404"),
           ("GET", "../fhir/Patient/amara", "404"), ("GET", "Patient/%2e%2e/Patient/amara", "404"), ("GET", "/fhir/Patient/amara", "404"),
           ("GET", "Patient/amara#x", "404"), ("GET", "Patient/a b", "404"), ("GET", "", "400"), ("HEAD", "Patient/amara", "405"),
           ("OPTIONS", "metadata", "405"), ("TRACE", "Patient/amara", "405"), ("POST", "", "404"), ("POST", "/", "404"),
           ("GET", "Patient/amara?_format=xml", "406"), ("GET", "$graphql?query=x", "404")]


def bundle(*entries, kind="batch"):
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(url, method="GET", resource=None, **more):
    out = {"request": {"method": method, "url": url, **more}}
    if resource is not None:
        out["resource"] = resource
    return out


def post(h, body, caller="exchange", headers=(JSON,), path=""):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return h.ask(path, caller, method="POST", headers=headers, body=data)


def without_cursors(value):
    text = json.dumps(value)
    while "_cursor=" in text:
        before, _, after = text.partition("_cursor=")
        text = before + "cursor" + after[after.index('"'):]
    return json.loads(text)


def each_as_by_itself(h, caller):
    status, _, body = post(h, bundle(*[entry(url) for url in READS]), caller)
    answer = json.loads(body)
    h.expect(f"{caller}: a batch is answered", status == 200 and answer["type"] == "batch-response" and len(answer["entry"]) == len(READS))
    different = []
    for url, one in zip(READS, answer["entry"]):
        alone, _, text = h.ask(url.lstrip("/"), caller)
        said = one.get("resource") if alone == 200 else one["response"].get("outcome")
        if one["response"]["status"] != str(alone) or without_cursors(said) != without_cursors(json.loads(text)):
            different.append((url, one["response"], alone))
    h.expect(f"{caller}: each entry says what it says by itself", not different, different[:2])
    return answer


def nothing_of_one_reaches_another(h):
    """The same entries around one that is withheld, absent, or refused: the others answer the same bytes."""
    def around(middle):
        _, _, body = post(h, bundle(entry("Condition?patient=amara"), entry(middle), entry("Condition/bruno-pc-diabetes")))
        return json.loads(body)["entry"]
    withheld, absent = around("Condition/bruno-otp-oud"), around("Condition/no-such-oud")
    h.expect("withheld and absent are the same answer", withheld == absent and withheld[1]["response"]["status"] == "404", withheld[1])
    h.expect("whatever stands between them", around("Condition?colour=blue")[::2] == withheld[::2] == around("Condition/amara-otp-oud")[::2])


def refused(h):
    _, _, body = post(h, bundle(*[entry(url, method) for method, url, _ in REFUSED]))
    got = [e["response"]["status"] for e in json.loads(body)["entry"]]
    wrong = [(r, g) for r, g in zip(REFUSED, got) if r[2] != g]
    h.expect("what leads elsewhere is refused, each by itself", not wrong and b"Nwosu" not in body, wrong)
    inner = json.loads(post(h, bundle(entry("", "POST", bundle(entry("Patient/amara")))))[2])["entry"][0]
    h.expect("a batch within a batch is refused", inner["response"]["status"] == "404" and "resource" not in inner, inner)
    for what, sent, status, headers in [
            ("no Bundle", {"resourceType": "Patient"}, 400, (JSON,)),
            ("a document", bundle(kind="document"), 400, (JSON,)),
            ("no JSON", b"{", 400, (JSON,)),
            ("an entry without request", {"resourceType": "Bundle", "type": "batch", "entry": [{}]}, 400, (JSON,)),
            ("too many entries", bundle(*[entry("metadata")] * 21), 413, (JSON,)),
            ("another media type", bundle(), 415, ("Content-Type: text/plain",)),
            ("no media type", bundle(), 415, ()),
            ("a parameter", bundle(), 400, (JSON,))]:
        got, _, answer = post(h, sent, headers=headers, path="?x=y" if what == "a parameter" else "")
        h.expect(f"refused: {what}", got == status and b"OperationOutcome" in answer, (got, answer[:200]))
    status, head, _ = h.ask("Patient/amara/_history/1", "ward", method="DELETE")
    h.expect("405 says what the path has", status == 405 and "Allow: GET, HEAD\r\n" in head + "\r\n", head)
    h.expect("nobody has no batch", post(h, bundle(), "")[0] == 401)


def forms(h):
    asked = bundle(entry("Condition/amara-pc-diabetes"), entry("Condition/bruno-otp-oud"))
    _, _, plain = post(h, asked)
    xml = ('<Bundle xmlns="http://hl7.org/fhir"><type value="batch"/>' + "".join(
        f'<entry><request><method value="GET"/><url value="{e["request"]["url"]}"/></request></entry>' for e in asked["entry"]) + "</Bundle>")
    status, head, answer = post(h, xml.encode(), headers=("Content-Type: application/fhir+xml", "Accept: application/fhir+xml"))
    root = tree.fromstring(answer)
    got = [r.get("value") for r in root.iter(FHIR + "status")]
    h.expect("XML in, XML out", status == 200 and "fhir+xml" in head and "200" in got and "404" in got, got)
    h.expect("JSON of XML is the same", post(h, xml.encode(), headers=("Content-Type: application/fhir+xml",))[2] == plain)
    status, head, packed = post(h, bundle(*[entry("Condition?patient=amara")] * 3), headers=(JSON, "Accept-Encoding: gzip"))
    h.expect("packed as a whole", "gzip" in head and json.loads(gzip.decompress(packed))["type"] == "batch-response", head)
    status, _, empty = post(h, {"resourceType": "Bundle", "type": "batch"})
    h.expect("an empty one is answered", status == 200 and b'"entry"' not in empty, empty)


def transactions(h):
    good = [entry("Condition/amara-pc-diabetes"), entry("Condition?patient=bruno")]
    status, _, body = post(h, bundle(*good, kind="transaction"))
    answer = json.loads(body)
    h.expect("a transaction may read", status == 200 and answer["type"] == "transaction-response" and
             [e["response"]["status"] for e in answer["entry"]] == ["200", "200"], (status, body[:200]))
    withheld = post(h, bundle(*good, entry("Condition/bruno-otp-oud"), kind="transaction"))
    absent = post(h, bundle(*good, entry("Condition/no-such-oud"), kind="transaction"))
    h.expect("all or nothing, and withheld is absent", withheld[0] == 404 and b"amara" not in withheld[2] and withheld[2] == absent[2], withheld)
    status, _, body = post(h, bundle(*good, entry("Patient", "POST", {"resourceType": "Patient"}), kind="transaction"))
    h.expect("where nothing may be written the whole is refused", status == 403 and b"amara" not in body, (status, body))


def accounted(h, before):
    """A batch of two is three records: its own, and one for each entry."""
    records = h.ledger()[before:]
    kinds = [(r["interaction"]["kind"], r["status"], [i["item"] for i in r["released"]]) for r in records]
    h.expect("each entry is in the ledger by itself", kinds == [("read", 200, ["Condition/bruno-pc-diabetes"]), ("read", 404, []), ("batch", 200, [])]
             or kinds == [("read", 404, []), ("read", 200, ["Condition/bruno-pc-diabetes"]), ("batch", 200, [])], kinds)


def bounded(h):
    """Rows are counted over the whole batch: beyond them, each further entry answers the fixed 503. Of the four that are asked side by
    side any may be the one that finds them spent."""
    _, _, body = post(h, bundle(*[entry("Observation?_count=20") for _ in range(16)]), "ward")
    got = [e["response"]["status"] for e in json.loads(body)["entry"]]
    h.expect("work is bounded over all entries", "200" in got[:4] and got[-1] == "503" and set(got) == {"200", "503"}, got)


def scenario(sluice, folder):
    """each entry of a batch is an interaction of its own, and no more than that"""
    records, consents = house.clinic(folder)
    h = house.House(sluice, records=records, consents=consents, extra="limits:\n  rows: 300\n  batch-entries: 20\n")
    h.start()
    for caller in ("exchange", "ward", "plan"):
        each_as_by_itself(h, caller)
    nothing_of_one_reaches_another(h)
    refused(h)
    forms(h)
    transactions(h)
    bounded(h)
    before = len(h.ledger())
    post(h, bundle(entry("Condition/bruno-pc-diabetes"), entry("Condition/bruno-otp-oud")))
    accounted(h, before)
    h.close()
    return h.failures


house.main(scenario)
