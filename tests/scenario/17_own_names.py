# SPDX-License-Identifier: Apache-2.0
import json
import os
import shutil
import subprocess

import house

OURS = """layer: organization
title: A small practice, which calls everything otherwise

parties:
  - {id: doctor, title: Who treats here, roles: [physician], relationship: [treating], vouched-by: [registry, register]}
  - {id: insurer, title: Who pays, kinds: [payer]}

classes:
  - {id: mood, title: "Mood disorders, by code", kind: needs-yes, in-text: yes, labels: [MH], earned-by: {categories: [MH_MOOD]}}
  - {id: bill, title: Claims, kind: needs-yes, earned-by: {types: [Claim]}}
  - {id: anything, title: Everything else, kind: needs-yes, earned-by: {types: others}}

rules:
  - id: doctor-sees-the-record
    title: The doctor sees the record.
    verdict: release
    data: [mood, bill, anything, part2, presence, received-under-tpo]
    to: [doctor]
    for: [treatment]
  - id: doctor-sees-what-he-wrote
    title: The doctor sees the notes that he keeps apart.
    verdict: release
    data: [psychotherapy-note, sud-counseling-note]
    to: [doctor]
    for: [treatment]
    only-if: {author: yes}
  - id: insurer-sees-bills
    title: The insurer sees claims.
    verdict: release
    data: [bill]
    to: [insurer]
    for: [payment]
  - id: all-see-the-directory
    title: What is about no patient is for all.
    verdict: release
    data: [directory, definitions]
    to: everyone
    for: [treatment, payment]

scenarios:
  - title: The doctor reads of a depression.
    given: {party: doctor, purpose: treatment, item: [mood, anything]}
    expect: released
    by: doctor-sees-the-record
    labels: [MH]
  - title: A program's record needs a consent.
    given: {party: doctor, purpose: treatment, program: yes, item: [part2, anything]}
    expect: withheld
    by: part2-needs-consent
  - title: He reads a note that he wrote.
    given: {party: doctor, purpose: treatment, author: yes, item: [psychotherapy-note]}
    expect: released
    by: doctor-sees-what-he-wrote
  - title: And no other's.
    given: {party: doctor, purpose: treatment, item: [psychotherapy-note]}
    expect: withheld
    by: [psychotherapy-notes-need-authorization, no-release-rule]
  - title: The insurer reads a claim.
    given: {party: insurer, purpose: payment, item: [bill]}
    expect: released
    by: insurer-sees-bills
  - title: Not of what the patient paid himself.
    given: {party: insurer, purpose: payment, item: [self-pay, bill]}
    expect: withheld
    by: self-pay-stays-from-the-plan
  - title: Nor what was agreed to stay.
    given: {party: insurer, purpose: payment, register: [agreed-restriction], item: [bill]}
    expect: withheld
    by: agreed-restrictions-bind
  - title: A paid visit stands on the doctor's list.
    given: {party: doctor, purpose: treatment, item: [self-pay, bill]}
    expect: released
  - title: The directory is for all.
    given: {party: insurer, purpose: payment, about-nobody: yes, item: [directory]}
    expect: released
    by: all-see-the-directory
"""


def lay(folder):
    """The shipped files of federal law, untouched, beside a house that has no name in common with the shipped one."""
    shipped, ours = os.path.join(house.ROOT, "consent"), os.path.join(folder, "policies")
    for part in ("terminology", "lexicon"):
        shutil.copytree(os.path.join(shipped, part), os.path.join(folder, part))
    shutil.copytree(os.path.join(shipped, "policies", "federal"), os.path.join(ours, "federal"))
    shutil.copy(os.path.join(shipped, "policies", "policy.yaml"), ours)
    os.makedirs(os.path.join(ours, "house"))
    with open(os.path.join(ours, "house", "ours.yaml"), "w") as file:
        file.write(OURS)
    return ours


MAYBE = "".join(json.dumps({"resourceType": "Observation", "id": code.lower(), "status": "final", "subject": {"reference": "Patient/p"}, "code": {"coding": [
    {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}]}}) + "\n" for code in ("F11.20", "I10"))


def scenario(sluice, folder):
    """the files of federal law stand alone: a house of its own names checks, tests and puts its policy in force with them"""
    ours = lay(folder)

    def run(*words):
        done = subprocess.run([sluice, "policy", *words], capture_output=True, text=True)
        assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout
    issues = json.loads(run("check", ours, "--json"))["issues"]
    assert not [i for i in issues if i["grade"] == "error"], issues
    said = run("test", ours)
    assert " 0 failed" in said, said
    store = os.path.join(folder, "store")
    run("activate", ours, "--store", store, "--author", "officer")
    assert len(json.loads(run("list", "--json", "--store", store))["generations"]) == 1
    # A code that may be a program's is one where nobody knows the source, also where no class of the house is earned by it.
    done = subprocess.run([sluice, "label", "--policy", ours], input=MAYBE, capture_output=True, text=True)
    assert [json.loads(line)["classes"] for line in done.stdout.splitlines()] == [["part2", "anything"], ["anything"]], done


if __name__ == "__main__":
    house.main(scenario)
