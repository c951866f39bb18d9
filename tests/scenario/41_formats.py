# SPDX-License-Identifier: Apache-2.0
import gzip
import json
import xml.etree.ElementTree as tree

import house

FHIR = "{http://hl7.org/fhir}"
XML = ("Accept: application/fhir+xml",)


def records():
    pcp = {"reference": "Organization/lakeside-primary"}
    yield {"resourceType": "Organization", "id": "lakeside-primary", "name": "Lakeside"}
    yield {"resourceType": "Patient", "id": "ann", "active": True, "managingOrganization": pcp, "name": [
        {"family": "O'Neil & <Sons>", "given": ["Ann", None], "_given": [None, {"extension": [{"url": "urn:x:y", "valueString": "a\nb"}]}]}]}
    for number in range(5):
        yield {"resourceType": "Observation", "id": f"o{number}", "status": "final", "subject": {"reference": "Patient/ann"}, "performer": [pcp],
               "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
               "valueQuantity": {"value": number + 0.10, "unit": "/min"}}
    yield {"resourceType": "Condition", "id": "odd", "subject": {"reference": "Patient/ann"}, "recorder": pcp, "code": {
        "text": "a\x01b", "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "I10"}]}}


def of_json(value, path=""):
    """Every value with the names that lead to it, in any order."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key != "resourceType":
                yield from of_json(inner, f"{path}.{key.lstrip('_')}")
    elif isinstance(value, list):
        for inner in value:
            yield from of_json(inner, path)
    elif value is not None:
        yield path, json.dumps(value) if isinstance(value, (bool, float, int)) else value


def of_xml(element, path=""):
    for name, value in element.attrib.items():
        yield path if name == "value" else f"{path}.{name}", value
    for child in element:
        if not child.tag.startswith(FHIR):
            continue
        name = child.tag[len(FHIR):]
        yield from of_xml(child, path if name[0].isupper() else f"{path}.{name}")


def in_order(values):
    return sorted(values)


def same(h, what, path, **more):
    status, head, body = h.ask(path, **more)
    as_xml, xml_head, xml = h.ask(path, headers=XML, **more)
    said = json.loads(body)
    if said["resourceType"] == "Bundle":  # cursors are sealed with a new number each time
        for bundle in (said,):
            bundle["link"] = [link for link in bundle["link"] if link["relation"] != "next"]
    root = tree.fromstring(xml)
    for link in root.findall(FHIR + "link"):
        if link.find(FHIR + "relation").get("value") == "next":
            root.remove(link)
    left, right = in_order(of_json(said)), in_order(of_xml(root))
    h.expect(f"{what}: the same in both", (status, left) == (as_xml, right) and root.tag == FHIR + said["resourceType"],
             (status, as_xml, [p for p in left if p not in right][:3], [p for p in right if p not in left][:3]))
    h.expect(f"{what}: says what it is", "application/fhir+xml; charset=utf-8" in xml_head and "application/fhir+json" in head, xml_head)


def scenario(sluice, folder):
    """answers in XML say what answers in JSON say, and nothing else"""
    with open(folder + "/records.ndjson", "w") as out:
        out.writelines(json.dumps(record) + "\n" for record in records())
    h = house.House(sluice, records=[folder + "/records.ndjson"])
    h.start()
    same(h, "a read", "Patient/ann")
    same(h, "a search", "Observation?patient=ann&_count=3")
    same(h, "metadata", "metadata", caller="")
    same(h, "what is not there", "Patient/nobody")
    same(h, "what is asked wrongly", "Observation?colour=blue")
    same(h, "to whom nothing goes", "Observation/o1", caller="study")

    status, _, body = h.ask("Observation?patient=ann&_count=3&_format=xml")
    links = {link.find(FHIR + "relation").get("value"): link.find(FHIR + "url").get("value") for link in tree.fromstring(body).findall(FHIR + "link")}
    h.expect("links carry the format on", all(url.endswith("_format=xml") for url in links.values()) and "next" in links, links)
    status, head, body = h.ask(links["next"].split("/fhir/", 1)[1])
    h.expect("the next page is in it", status == 200 and "fhir+xml" in head and len(tree.fromstring(body).findall(FHIR + "entry")) == 3, body[:300])

    status, head, body = h.ask("Observation/_search", method="POST", headers=("Content-Type: application/x-www-form-urlencoded",),
                               body=b"patient=ann&_format=xml")
    h.expect("a form can say it", status == 200 and "fhir+xml" in head and body.startswith(b"<?xml"), head)
    status, head, body = h.ask("Patient/ann", method="HEAD", headers=XML)
    h.expect("HEAD has the head of GET", status == 200 and "fhir+xml" in head and not body, head)
    for accept in ("gzip", "br;q=1.0, gzip;q=0.5", "deflate, x-gzip"):
        packed = h.ask("Observation?patient=ann&_count=5", headers=(f"Accept-Encoding: {accept}",))
        plain = h.ask("Observation?patient=ann&_count=5")
        h.expect(f"{accept}: packed, and the same inside", "Content-Encoding: gzip" in packed[1] and "Content-Encoding" not in plain[1]
                 and gzip.decompress(packed[2]) == plain[2] and len(packed[2]) < len(plain[2]), packed[1])
    for accept in ("gzip;q=0", "identity", "br"):
        h.expect(f"{accept}: not packed", "Content-Encoding" not in h.ask("Observation?patient=ann", headers=(f"Accept-Encoding: {accept}",))[1])
    head = h.ask("Observation?patient=ann&_count=5", method="HEAD", headers=("Accept-Encoding: gzip",))[1]
    h.expect("HEAD says how long GET is", f"Content-Length: {len(packed[2])}" in head, head)
    packed = h.ask("Observation?patient=ann&_count=5", headers=XML + ("Accept-Encoding: gzip",))
    h.expect("XML is packed as well", gzip.decompress(packed[2]).startswith(b"<?xml"))
    h.expect("what is small is not", "Content-Encoding" not in h.ask("Observation/o1", headers=("Accept-Encoding: gzip",))[1])
    h.expect("what is no XML cannot be had in XML", (h.ask("Condition/odd", headers=XML)[0], h.ask("Condition/odd")[0]) == (406, 200), h.ask("Condition/odd", headers=XML))
    h.close()
    return h.failures


if __name__ == "__main__":
    house.main(scenario)
