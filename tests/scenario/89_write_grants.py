# SPDX-License-Identifier: Apache-2.0
"""Who may write, as an officer sees it: check, test, render, matrix, explain and diff of the section `writes`."""
import json
import os
import subprocess

import house

FILES = {
    "policy.yaml": """title: Writing
version: "1"
terminology: terminology
notice: {version: "1", statement: S., short: s.}
""",
    "house/house.yaml": """layer: organization
parties:
  - {id: physician, title: Who treats, roles: [physician]}
  - {id: office, title: The office, roles: [office]}
classes:
  - {id: chart, title: The chart, kind: needs-yes, earned-by: {types: others}}
rules:
  - {id: r, title: Everything., verdict: release, data: all, to: [physician, office], for: [treatment]}
scenarios:
  - {title: The chart goes., given: {party: physician, purpose: treatment, item: [chart]}, expect: released, by: r}
""",
    "terminology/systems.csv": "name,uri,kind,form,family,aliases\nicd-10-cm,http://hl7.org/fhir/sid/icd-10-cm,code,icd,claims,\n",
    "terminology/categories.csv": "id,sensitivity,confidentiality,part2,also_match\n",
}
GRANTS = """layer: organization
writes:
  - {{id: pen, title: A pen., to: [physician], for: [treatment], may: {may}, types: {types}{more}}}
scenarios:
  - {{title: It writes., given: {{party: physician, purpose: treatment, write: update, type: Condition}}, expect: granted, by: pen}}
  - {{title: It writes no consent., given: {{party: physician, purpose: treatment, write: update, type: Consent}}, expect: refused}}
  - {{title: The office writes nothing., given: {{party: office, purpose: treatment, write: update, type: Condition}}, expect: refused}}
"""
RECORD = {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/p"}}


class Desk:
    def __init__(self, sluice, folder):
        self.sluice, self.folder, self.count = sluice, folder, 0

    def policy(self, may="[update, patch]", types="[Condition]", more="", grants=True):
        self.count += 1
        where = os.path.join(self.folder, f"p{self.count}")
        files = dict(FILES)
        if grants:
            files["house/writes.yaml"] = GRANTS.format(may=may, types=types, more=more)
        for name, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(where, name)), exist_ok=True)
            with open(os.path.join(where, name), "w") as file:
                file.write(text)
        return where

    def run(self, *words, stdin=None):
        done = subprocess.run([self.sluice, "policy", *words], input=stdin, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def tell(self, *words, stdin=None):
        done = subprocess.run([self.sluice, "policy", *words], input=stdin, capture_output=True, text=True)
        return json.loads(done.stdout)

    def diff(self, one, other):
        return self.run("diff", one, other)[1]


def check_and_test(desk):
    pen = desk.policy()
    code, text = desk.run("check", pen)
    assert code == 0 and "delete-never" not in text, text
    code, text = desk.run("test", pen)
    assert code == 0 and "4 scenarios passed, 0 failed" in text, text
    code, text = desk.run("test", desk.policy(may="[patch]"))
    assert code == 1 and "no-grant" in text and "it was refused" in text, text
    code, text = desk.run("check", desk.policy(may="[update, delete]"))
    assert code == 0 and "delete-never" in text, text
    code, text = desk.run("check", desk.policy(may="[update, delete]", types="[Condition, Organization]"))
    assert code == 0 and "delete-never" not in text, text
    _, text = desk.run("render", desk.policy(more=", labels: [R]"))
    for line in ('It lets "Who treats" (physician) write,', "It may update and patch them.", "They are records of the type Condition."):
        assert line in text, text


def matrix(desk):
    nobody, pen = desk.policy(grants=False), desk.policy(types="all")
    rows = {line.split()[0]: line.split()[1:] for line in desk.run("matrix", pen)[1].splitlines()}
    assert rows["update"] == rows["patch"] == ["all", "no"] and rows["create"] == rows["delete"] == ["no", "no"], rows
    assert "update" not in desk.run("matrix", nobody)[1]
    told = desk.tell("matrix", pen, "--form", "json")["writes"]
    assert {(line["party"], line["may"]) for line in told} == {("physician", "update"), ("physician", "patch")}, told
    assert "Condition" in told[0]["types"] and "Consent" not in told[0]["types"]
    assert "writes" not in desk.tell("matrix", nobody, "--form", "json")


def explain(desk):
    pen = desk.policy(more=", labels: [R], tags: yes")
    words = ("explain", "--policy", pen, "--as", "physician", "--for", "treatment")
    _, text = desk.run(*words, stdin=json.dumps(RECORD))
    assert "update: granted by house/writes.yaml:3 pen; may set the labels R; may set tags" in text, text
    assert "create: no-grant" in text and "delete: no-grant" in text, text
    told = desk.tell(*words, "--json", stdin=json.dumps(RECORD))["writes"]
    assert [line["why"] for line in told] == ["no-grant", "granted", "granted", "no-grant"], told
    assert told[1]["by"]["grant"] == "pen", told


def diff(desk):
    nobody, pen, twin = desk.policy(grants=False), desk.policy(), desk.policy()
    assert "Releases nothing new." in desk.diff(pen, twin) and "The two policies do the same." in desk.diff(pen, twin)
    more = desk.diff(nobody, pen)
    assert "+ physician for treatment" in more and "may now update Condition" in more, more
    assert "Releases more: 2 changes that release, 0 that may." in more, more
    less = desk.diff(pen, nobody)
    assert "- physician for treatment" in less and "may no longer patch Condition" in less, less
    assert "Releases nothing new." in less, less
    for wider, says in ((desk.policy(more=", labels: [R]"), "may now update Condition with the label R of"),
                        (desk.policy(more=", tags: yes"), "may now patch Condition with tags"),
                        (desk.policy(may="[update, patch, create]"), "may now create Condition"),
                        (desk.policy(types="[Condition, Consent]"), "may now update Consent")):
        assert says in desk.diff(pen, wider) and "Releases more" in desk.diff(pen, wider), says
        assert "Releases nothing new." in desk.diff(wider, pen), says


def scenario(sluice, folder):
    """who may write is checked, tested, read aloud, laid out, explained and compared"""
    desk = Desk(sluice, folder)
    for part in (check_and_test, matrix, explain, diff):
        part(desk)
    return 0


house.main(scenario)
