# SPDX-License-Identifier: Apache-2.0
import json
import os
import shutil
import time

import house


def until(what, wanted, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what() == wanted:
            return True
        time.sleep(0.05)
    return False


def scenario(sluice, folder):
    """consents and policies change under a running gateway; a broken policy changes nothing"""
    records, consents = house.clinic(folder)
    h = house.House(sluice, records=records, consents=consents)
    h.start()
    amara = lambda: h.ids("MedicationRequest?patient=amara")
    ordinary = ["amara-pc-lisinopril", "amara-pc-metformin"]
    h.expect("with the consent, methadone is there", amara() == ["amara-otp-methadone"] + ordinary, amara())

    consent = next(json.loads(line) for line in open(consents[0]) if '"amara-consent-tpo"' in line)
    consent["status"] = "inactive"
    h.write("revoked.json", json.dumps(consent))
    h.run("consent", "import", "--store", h.at("policy"), h.at("revoked.json"))
    h.expect("revoked: gone from the next answer on", amara() == ordinary, amara())
    consent["status"] = "active"
    h.write("again.json", json.dumps(consent))
    h.run("consent", "import", "--store", h.at("policy"), h.at("again.json"))
    h.expect("signed again: there again", amara() == ["amara-otp-methadone"] + ordinary, amara())

    policies = os.path.join(house.ROOT, "consent", "policies")
    terminology = os.path.join(house.ROOT, "consent", "terminology")
    shutil.copytree(policies, h.at("edit", "policies"))
    shutil.copytree(terminology, h.at("edit", "terminology"))
    shutil.copytree(os.path.join(house.ROOT, "consent", "lexicon"), h.at("edit", "lexicon"))
    os.remove(h.at("edit", "policies", "house", "invariants.yaml"))  # which would refuse what comes now
    rules = h.at("edit", "policies", "house", "rules.yaml")
    text = open(rules).read()
    open(rules, "w").write(text.replace("to: [treating-provider]", "to: [front-desk]", 1))
    h.run("policy", "activate", h.at("edit", "policies"), "--store", h.at("policy"), "--author", "officer")
    h.expect("a new policy is in force within a second", until(amara, [], 2) or amara() in ([], 403), amara())
    open(rules, "w").write(text.replace("verdict: release", "verdict: perhaps", 1))
    h.run("policy", "activate", h.at("edit", "policies"), "--store", h.at("policy"), "--author", "officer", expect=1)
    h.expect("a broken file never replaces a working generation", amara() in ([], 403), amara())
    h.run("policy", "rollback", "1", "--store", h.at("policy"), "--author", "officer")
    h.expect("rolled back", until(amara, ["amara-otp-methadone"] + ordinary, 2), amara())
    h.write("broken.json", '{"resourceType":"Consent","id":')
    h.run("consent", "import", "--store", h.at("policy"), h.at("broken.json"), expect=1)
    h.expect("a broken consent file changes nothing", amara() == ["amara-otp-methadone"] + ordinary, amara())
    generations = {r["generation"] for r in h.ledger()}
    h.expect("the ledger says under which generation", generations == {1, 2, 3}, generations)
    h.close()
    return h.failures


house.main(scenario)
