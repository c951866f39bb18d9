# SPDX-License-Identifier: Apache-2.0
"""A row that came before is answered as it was the first time, and one that has changed in any byte as what it is now."""
import json
import urllib.parse

import house

PLACES = {"visit": "lakeside-primary", "intake": "harbor-recovery"}
FRONT = ('{"resourceType":"Observation","id":"%s","meta":{"versionId":"1","tag":[{"system":"http://example.org/a-tag","code":"long"}]},'
         '"status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"subject":{"reference":"Patient/kei"},'
         '"effectiveDateTime":"2026-03-02","valueString":"%s}')
AT_INTAKE = '","encounter":{"reference":"Encounter/intake"}'
AT_VISIT = '","encounter":{"reference":"Encounter/visit" }'
NOTHING = "-" * (len(AT_INTAKE) - 1) + '"'


class Ehr:
    """An upstream one of whose records can be changed, every byte but its last ones being the same."""

    def __init__(self):
        self.tails = dict.fromkeys(("one", "two", "three"), NOTHING)

    def answer(self, path, handler):
        url = urllib.parse.urlparse(path)
        ids = urllib.parse.parse_qs(url.query).get("_id", [""])[0].split(",")
        if url.path.endswith("/Encounter"):
            house.send(handler, bundle([json.dumps(visit(i)) for i in ids if i in PLACES]))
        elif url.path.endswith("/Observation"):
            house.send(handler, bundle([FRONT % item for item in self.tails.items()]))
        else:
            house.send(handler, bundle([]))


def visit(ident):
    return {"resourceType": "Encounter", "id": ident, "meta": {"versionId": "1"}, "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}, "subject": {"reference": "Patient/kei"},
            "period": {"start": "2026-03-02", "end": "2026-03-02"}, "serviceProvider": {"reference": f"Organization/{PLACES[ident]}"}}


def bundle(rows):
    entries = ",".join('{"fullUrl":"urn:x","resource":%s,"search":{"mode":"match"}}' % row for row in rows)
    return '{"resourceType":"Bundle","type":"searchset","entry":[%s]}' % entries


def scenario(sluice, folder):
    """the same row is the same answer; another byte is another row, whatever the rest is"""
    ehr = Ehr()
    upstream = house.Upstream(ehr.answer)
    h = house.House(sluice, upstream=upstream.url)
    h.start()

    def answers():
        """What comes, asked often enough that each worker has had each row more than twice."""
        out = set()
        for _ in range(10):
            status, _, body = h.ask("Observation?patient=kei")
            out.add(body if status == 200 else status)
        return out

    def ids(bodies):
        return [sorted(e["resource"]["id"] for e in json.loads(body)["entry"] if e["search"]["mode"] == "match") for body in bodies]

    before = answers()
    h.expect("rows that came before are answered as the first time", len(before) == 1 and ids(before) == [["one", "three", "two"]], before)
    ehr.tails["two"] = AT_INTAKE
    after = answers()
    h.expect("a row that has become a program's is withheld at once", ids(after) == [["one", "three"]] and b"intake" not in after.pop(), after)
    ehr.tails["two"] = AT_VISIT
    h.expect("and given again once it is another visit's", ids(answers()) == [["one", "three", "two"]])
    ehr.tails["two"] = NOTHING
    h.expect("as what it was is given as it was", answers() == before)
    h.close()
    return h.failures


if __name__ == "__main__":
    house.main(scenario)
