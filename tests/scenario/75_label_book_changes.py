# SPDX-License-Identifier: Apache-2.0
"""What labels rest on changes, and the next question is answered by it; `sluice label book` says what the book holds."""
import json
import os
import shutil
import signal
import time
import urllib.parse

import house

ROOT = house.ROOT


def code(system, value):
    return {"coding": [{"system": system, "code": value}]}


def pulse(ident, visit, reason=None):
    return {"resourceType": "Observation", "id": ident, "meta": {"versionId": "1"}, "status": "final",
            "code": code("http://loinc.org", "8867-4"), "subject": {"reference": "Patient/kei"},
            "encounter": {"reference": f"Encounter/{visit}"}, "effectiveDateTime": "2026-03-02",
            **({"derivedFrom": [{"reference": f"Observation/{reason}"}]} if reason else {})}


class Ehr:
    """An upstream whose records can be changed."""

    def __init__(self):
        self.places = {"visit": "lakeside-primary", "intake": "harbor-recovery"}
        self.versions = {"visit": 1, "intake": 1}
        self.down = False

    def visit(self, ident):
        return {"resourceType": "Encounter", "id": ident, "meta": {"versionId": str(self.versions[ident])}, "status": "finished",
                "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
                "subject": {"reference": "Patient/kei"}, "period": {"start": "2026-03-02", "end": "2026-03-02"},
                "serviceProvider": {"reference": f"Organization/{self.places[ident]}"}}

    def local(self, ident):
        return {"resourceType": "Observation", "id": ident, "meta": {"versionId": "7"}, "status": "final",
                "code": code("http://loinc.org", "2345-7"), "subject": {"reference": "Patient/kei"},
                "encounter": {"reference": "Encounter/visit"}}

    def move(self, ident, place):
        self.places[ident] = place
        self.versions[ident] += 1

    def answer(self, path, handler):
        url = urllib.parse.urlparse(path)
        ids = urllib.parse.parse_qs(url.query).get("_id", [""])[0].split(",")
        if self.down:
            handler.send_error(500)
        elif url.path.endswith("/Encounter"):
            house.send(handler, bundle([self.visit(i) for i in ids if i in self.places]))
        elif url.path.endswith("/Observation") and ids != [""]:
            house.send(handler, bundle([self.local(i) for i in ids if i == "source"]))
        elif url.path.endswith("/Observation"):
            house.send(handler, bundle([pulse("a", "visit"), pulse("b", "intake"), pulse("c", "visit", "source")]))
        else:
            house.send(handler, bundle([]))


def bundle(resources):
    return json.dumps({"resourceType": "Bundle", "type": "searchset",
                       "entry": [{"resource": r, "search": {"mode": "match"}} for r in resources]})


def policy_copy(h, name):
    """The shipped policy in a folder of its own, to be changed."""
    os.makedirs(h.at(name))
    for part in ("policies", "terminology", "lexicon"):
        if os.path.isdir(os.path.join(ROOT, "consent", part)):
            shutil.copytree(os.path.join(ROOT, "consent", part), h.at(name, part))
    return h.at(name, "policies")


def scenario(sluice, folder):
    """a visit moved, a program added, a value set: labelled anew when asked; the book tells what it holds"""
    ehr = Ehr()
    upstream = house.Upstream(ehr.answer)
    h = house.House(sluice, upstream=upstream.url, extra="labels:\n  book: book\n  max-age: 3600\n")
    h.start()

    def ids(caller="ward"):
        status, _, body = h.ask("Observation?patient=kei", caller)
        h.expect("the question is answered", status == 200, body[:200])
        return {e["resource"]["id"] for e in json.loads(body)["entry"] if e["resource"]["resourceType"] == "Observation"}

    def asked():
        """Whether the answer made the gateway ask for what labels rest on."""
        upstream.asked.clear()
        ids()
        return any("_id=" in path for path in upstream.asked)

    def settle():
        end = time.monotonic() + 10
        while asked() and time.monotonic() < end:
            pass

    def book(*words, expect=0):
        return h.run("label", "book", *words, "--config", h.at("sluice.yaml"), expect=expect)

    def shown():
        return {e["reference"]: e for e in map(json.loads, book("show").splitlines())}

    def restart_programs():
        before = h.logged().count("programs taken up again")
        h.server.send_signal(signal.SIGHUP)
        end = time.monotonic() + 10
        while h.logged().count("programs taken up again") == before and time.monotonic() < end:
            time.sleep(0.02)
        h.expect("the gateway says that the programs are in force", h.logged().count("programs taken up again") == before + 1)

    h.expect("a program's record stays behind", ids() == {"a", "c"})
    settle()
    entries = shown()
    h.expect("the book has what records refer to", {"Encounter/visit", "Encounter/intake", "Observation/source"} <= set(entries), entries)
    intake = entries["Encounter/intake"]
    h.expect("classes by name, source, version, what it came from, and that it counts",
             "part2" in intake["classes"] and intake["source"] == "program" and intake["version"] == "1" and intake["counts"] is True
             and intake["age"] >= 0 and isinstance(intake["derivedFrom"], list), intake)
    h.expect("one of them alone", json.loads(book("show", "Encounter/intake"))["reference"] == "Encounter/intake")
    h.expect("of what it has not it says so", book("show", "Encounter/nobody", expect=1) == "")
    told = book("explain", "Observation/source")
    h.expect("what a label was derived from, one under the other",
             told.startswith("Observation/source version 7: ") and "\n  Encounter/visit version 1: " in told and
             "so it is upstream" in told and "; counts" in told, told)
    h.expect("and how many count", f"{len(entries)} entries, {len(entries)} of them count now" in book("stats"), book("stats"))

    # A visit is moved into the unit of the program, in the EHR: the book is told, or learns it when its entries are too old.
    ehr.move("visit", "harbor-recovery")
    told = book("explain", "Observation/source")
    h.expect("explain sees that the visit is another now", "upstream it is version 2 now" in told, told)
    done = book("rebuild")
    h.expect("rebuild says what changed", "of them otherwise than before" in done and " 0 of them" not in done, done)
    h.expect("and the next question is answered by it", ids() == set(), ids())
    ehr.move("visit", "lakeside-primary")
    book("rebuild")
    h.expect("the other way too", ids() == {"a", "c"})

    # A program is added to the table.
    programs = open(h.at("programs.yaml")).read()
    h.write("programs.yaml", programs.replace("Organization/lakeside-primary\n    is: not", "Organization/lakeside-primary\n    is: program"))
    restart_programs()
    h.expect("its records stay behind at once", ids("exchange") == set(), ids("exchange"))
    h.write("programs.yaml", "programs: 7\n")
    h.server.send_signal(signal.SIGHUP)
    end = time.monotonic() + 10
    while "programs could not be read" not in h.logged() and time.monotonic() < end:
        time.sleep(0.02)
    h.expect("a table with a mistake changes nothing, and is told", "programs could not be read" in h.logged() and ids("exchange") == set(),
             h.logged()[-400:])
    h.write("programs.yaml", programs)
    restart_programs()
    settle()
    h.expect("and back", ids("exchange") == {"a", "c"})

    # A value set: a code is found to be sensitive.
    h.expect("an exchange partner has a derived record", "c" in ids("exchange"))
    changed = policy_copy(h, "mine")
    with open(os.path.join(changed, "house", "mine.yaml"), "w") as out:
        out.write("layer: organization\ntitle: Ours\nclasses:\n  - id: ours\n    title: Ours\n    kind: needs-yes\n"
                  "    earned-by:\n      security-labels: [CUIMark]\n")
    lists = h.at("mine", "terminology")
    name = next(n for n in sorted(os.listdir(lists)) if n.endswith(".csv") and "loinc" in n)
    with open(os.path.join(lists, name)) as file:
        head = next(line for line in file if not line.startswith("#")).strip().split(",")
    row = {"system": "loinc", "code": "2345-7", "category": "HIV_TEST", "evidence": "strong", "source": "a scenario"}
    with open(os.path.join(lists, name)) as file:
        kept = [line for line in file if "2345-7" not in line]
    with open(os.path.join(lists, name), "w") as file:
        file.writelines(kept + [",".join(row.get(column, "") for column in head) + "\n"])
    h.run("policy", "activate", changed, "--store", h.at("policy"), "--author", "scenario")
    h.expect("what was derived from the code is labelled anew at once", "c" not in ids("exchange"), ids("exchange"))
    h.expect("the book says which entries count no more, or has made them anew",
             all(e["counts"] or e["why"].startswith("made under another policy") for e in shown().values()), shown())
    h.run("policy", "rollback", "1", "--store", h.at("policy"), "--author", "scenario")
    h.expect("and as before after the rollback", "c" in ids("exchange"))

    # An upstream that does not answer takes nothing out of the book.
    settle()
    held = len(shown())
    ehr.down = True
    book("rebuild", expect=1)
    h.expect("a rebuild that cannot ask fails loudly and forgets nothing", len(shown()) == held)
    h.close()
    return h.failures


if __name__ == "__main__":
    house.main(scenario)
