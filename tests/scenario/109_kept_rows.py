# SPDX-License-Identifier: Apache-2.0
"""A row that came before is answered as it was the first time, and one that has changed in any byte as what it is now."""
import json
import os
import shutil
import urllib.parse

import house

PLACES = {"visit": "lakeside-primary", "intake": "harbor-recovery"}
FRONT = ('{"resourceType":"Observation","id":"%s","meta":{"versionId":"1","tag":[{"system":"http://example.org/a-tag","code":"long"}],'
         '"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"CUIMark"}]},'
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
        for _ in range(6):
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

    # What a label means is changed: what was learned of rows under the policy before counts no more.
    def released():
        return [h.ids("Observation?patient=kei", "exchange") for _ in range(6)]
    h.expect("an exchange partner has them", released() == [["one", "three", "two"]] * 6)
    changed = h.at("mine", "policies")
    for part in ("policies", "terminology", "lexicon"):
        if os.path.isdir(os.path.join(house.ROOT, "consent", part)):
            shutil.copytree(os.path.join(house.ROOT, "consent", part), h.at("mine", part))
    with open(os.path.join(changed, "house", "mine.yaml"), "w") as out:
        out.write("layer: organization\ntitle: Ours\nclasses:\n  - id: ours\n    title: Ours\n    kind: needs-yes\n"
                  "    earned-by:\n      security-labels: [CUIMark]\n")
    h.run("policy", "activate", changed, "--store", h.at("policy"), "--author", "scenario")
    h.expect("under another policy they mean what they mean there", released() == [[]] * 6)
    h.run("policy", "rollback", "1", "--store", h.at("policy"), "--author", "scenario")
    h.expect("and as before after the rollback", released() == [["one", "three", "two"]] * 6)
    h.close()
    return h.failures


if __name__ == "__main__":
    house.main(scenario)
