# SPDX-License-Identifier: Apache-2.0
import json
import os
import subprocess

import house

PROGRAMS = "harbor-recovery,brigid-detox"
STATEMENT = "clinician: Dr. N\naffiliation: St. B\ndiscloser: S\nnature: unconscious\n"
ASKED = ("MedicationRequest/bruno-otp-methadone", "CarePlan/bruno-pc-plan")


def name_of(resource):
    return f"{resource['resourceType']}/{resource['id']}"


def segment(sluice, text, party, purpose, *words):
    words = [sluice, "segment", "--as", party, "--for", purpose, "--programs", PROGRAMS, *words]
    done = subprocess.run(words, input=text, capture_output=True, text=True)
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr[-400:]}"
    return {name_of(r): r for r in map(json.loads, done.stdout.splitlines())}, done.stderr


def check_import(sluice, folder, consents):
    """A file of Consents is stored whole or not at all: behind the broken line might stand a revocation."""
    broken, store = os.path.join(folder, "broken.ndjson"), os.path.join(folder, "policy")
    with open(consents) as good, open(broken, "w") as file:
        file.write("".join(good.readlines()[:2]) + '{"resourceType":"Consent",\n')

    def consent(*words):
        done = subprocess.run([sluice, "consent", *words], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr
    status, said = consent("import", "--store", store, broken)
    assert status == 1 and "broken.ndjson:3:" in said, said
    assert "0 consents" in consent("show", "--store", store, "Patient/amara")[1], "half a file was imported"
    assert consent("import", "--store", store, consents)[0] == 0
    assert "1 consent" in consent("show", "--store", store, "Patient/amara")[1]


def scenario(sluice, folder):
    """segment and label on files: records of the context classify, and are never part of the answer"""
    (path,), (consents,) = house.clinic(os.path.join(folder, "clinic"))
    with open(path) as file:
        records = [json.loads(line) for line in file]
    text = "".join(json.dumps(r) + "\n" for r in records if name_of(r) in ASKED)
    rest = [r for r in records if name_of(r) not in ASKED]
    for name in "ndjson", "json":
        with open(os.path.join(folder, "context." + name), "w") as file:
            if name == "ndjson":
                file.writelines(json.dumps(r) + "\n" for r in rest)
            else:
                json.dump({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in rest]}, file)
        context = ("--consents", consents, "--context", file.name)
        out, said = segment(sluice, text, "treating-provider", "TREAT", *context)
        assert list(out) == ["CarePlan/bruno-pc-plan"], f"released: {list(out)}"
        assert "bruno-otp" not in json.dumps(out), "the care plan refers to what was withheld"
        assert "withheld MedicationRequest/bruno-otp-methadone class=part2 rule=part2-needs-consent" in said, said
        done = subprocess.run([sluice, "label", "--programs", PROGRAMS, *context[2:]], input=text, capture_output=True, text=True)
        labels = {r["resource"]: r for r in map(json.loads, done.stdout.splitlines())}
        assert set(labels) == set(ASKED), f"labelled: {list(labels)}"
        assert labels[ASKED[0]]["source"] == "program", labels[ASKED[0]]
    for statement, count in ((STATEMENT, 0), (STATEMENT + "consent-unobtainable: yes\n", 2)):
        with open(os.path.join(folder, "statement.yaml"), "w") as file:
            file.write(statement)
        out, said = segment(sluice, text, "emergency-clinician", "BTG", *context, "--declare", file.name)
        assert len(out) == count, said
    check_import(sluice, folder, consents)
    return 0


house.main(scenario)
