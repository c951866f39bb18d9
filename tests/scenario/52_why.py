# SPDX-License-Identifier: Apache-2.0
import json
import os
import shutil

import house


def edited(h, name, change):
    """A copy of the shipped policy with its rules changed."""
    for folder in ("policies", "terminology", "lexicon"):
        shutil.copytree(os.path.join(house.ROOT, "consent", folder), h.at(name, folder))
    rules = h.at(name, "policies", "house", "rules.yaml")
    text = open(rules).read()
    assert change(text) != text
    open(rules, "w").write(change(text))
    return h.at(name, "policies")


def scenario(sluice, folder):
    """what is on record is explained and decided again: the same under its policy, and what another would have done"""
    records, consents = house.clinic(folder)
    h = house.House(sluice, records=records, consents=consents)
    h.start()
    for caller in ("ward", "plan", "exchange"):
        for kind in ("MedicationRequest", "Condition", "Observation"):
            h.ask(f"{kind}?patient=amara", caller)
    record = h.ledger()
    h.stop()
    tools = ("--ledger", h.at("ledger"), "--store", h.at("policy"))

    def replay(*words, expect=0):
        return json.loads(h.run("policy", "replay", *words, *tools, "--json", expect=expect))

    gone = [(r["recipient"]["client"], item["item"]) for r in record for item in r["released"]]
    same = replay()
    h.expect("under the policy that decided all comes out as recorded", same["disagreements"] == 0 and
             same["decisions"] >= len(gone) > 10 and same["untold"] == 0, same)

    tight = edited(h, "tight", lambda text: text.replace(
        "    data: [demographic, chart, document, scheduling, unclassified, received-under-tpo]\n    to: [hie-partner]",
        "    data: [demographic, document, scheduling, unclassified, received-under-tpo]\n    to: [hie-partner]", 1))
    after = replay(tight)
    partner = [item for client, item in gone if client == "exchange"]
    h.expect("tightened: exactly the partner's releases", after["less"] == len(partner) > 0 and after["more"] == 0 and
             all("exchange (hie-partner)" in c["what"] and c["patients"] == ["Patient/amara"]
                 for c in after["changes"]), after)
    listed = h.run("policy", "replay", tight, *tools, "--list")
    h.expect("and each is listed, with patient, date and entry", all(item in listed for item in partner) and
             listed.count("of Patient/amara") >= len(partner), listed)

    loose = edited(h, "loose", lambda text: text.replace(
        "    data: [free-text]\n    to: [front-desk, health-plan,", "    data: [free-text]\n    to: [front-desk,", 1))
    before = replay(loose)
    h.expect("loosened: elements would have gone that were cut", before["more"] > 0 and before["less"] == 0 and
             all(c["of"] == "elements" for c in before["changes"] if c["change"] == "more"), before)

    record = h.ledger(every=True)
    number = next(i for i, r in enumerate(record) if "exchange" in r and r["recipient"]["client"] == "plan" and r["released"])
    lines = [json.loads(l) for l in h.run(
        "policy", "explain", "--entry", str(number), *tools, "--json").splitlines()]
    told = [l for l in lines if "alters" in l]
    h.expect("an entry is explained: each decision, as recorded, and what would alter it",
             len(told) == len([i for i in record[number]["released"] + record[number]["withheld"]
                               if "path" not in i]) and
             all(l["agrees"] for l in lines if "agrees" in l) and all(l["alters"]["facts"] for l in told), lines)
    methadone = next(l for l in told if l["item"].endswith("amara-otp-methadone"))
    h.expect("with its rules, where they stand, and what a line wants",
             any(r["rule"] == "part2-needs-consent" and r["line"] and any(
                 not u["holds"] and u["for-want-of"] for u in r["unless"]) for r in methadone["rules"]), methadone)
    h.run("policy", "explain", "--entry", str(number), "--ledger", h.at("ledger"), "--policy", tight, expect=1)
    diff = h.run("policy", "diff", os.path.join(house.ROOT, "consent", "policies"), tight,
                 "--replay", "30", *tools)
    h.expect("diff --replay ends in the same counts", f"{len(partner)} would not" in diff, diff[-600:])
    h.close()
    return h.failures


house.main(scenario)
