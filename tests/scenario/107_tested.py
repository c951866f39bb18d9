# SPDX-License-Identifier: Apache-2.0
import json
import os
import shutil
import subprocess

import house


SILENT = """layer: organization
title: A house that releases nothing
parties:
  - id: ward
    title: Whoever is a physician
    roles: [physician]
classes:
  - id: chart
    title: Every record
    kind: needs-yes
    earned-by:
      types: others
"""


STOP = """layer: organization
rules:
  - {id: stop, title: Nothing goes to who treats., verdict: withhold, data: all, to: [treating-provider], for: any}
"""


def silent(folder):
    """A policy under which nobody may have anything."""
    shutil.copytree(os.path.join(house.ROOT, "consent", "terminology"), os.path.join(folder, "my", "terminology"))
    to = os.path.join(folder, "my", "policies")
    shutil.copytree(os.path.join(house.ROOT, "consent", "policies", "federal"), os.path.join(to, "federal"))
    with open(os.path.join(house.ROOT, "consent", "policies", "policy.yaml")) as file:
        head = "".join(line for line in file if not line.startswith(("lexicon", "states")))
    for name, text in (("policy.yaml", head), ("house.yaml", SILENT)):
        with open(os.path.join(to, name), "w") as file:
            file.write(text)
    return to


def scenario(sluice, folder):
    """no policy is put in force, and none is taken up, that the self-test has not passed"""
    h = house.House(sluice)
    h.start()
    shipped = os.path.join(house.ROOT, "consent", "policies")

    def activate(directory):
        return subprocess.run([h.sluice, "policy", "activate", directory, "--store", h.at("policy"), "--author", "officer"],
                              capture_output=True, text=True)

    def generations():
        return json.loads(h.run("policy", "list", "--json", "--store", h.at("policy")))["generations"]

    done = activate(silent(folder))
    h.expect("a policy of which nothing can be examined is not put in force, and what was not is told",
             done.returncode == 1 and "Nothing came through at all: nothing was examined." in done.stderr and "What is in force stays." in done.stderr,
             (done.returncode, done.stderr[-800:]))
    h.expect("the one in force stays", len(generations()) == 1 and h.ask("Organization/lakeside-primary")[0] == 200, generations())
    done = activate(shipped)
    h.expect("one that passes is, and says what was tried", done.returncode == 0 and "The self-test passed: " in done.stdout, done)
    h.expect("the gateway takes it up", h.ask("Organization/lakeside-primary")[0] == 200)
    told = [line for line in h.logged().splitlines() if "self-test passed" in line]
    h.expect("after it has tried it, once", len(told) == 2 and told[1].startswith("sluice: generation 2: self-test passed: "), told)
    records = [r for r in h.ledger(every=True) if "self-test" in r]
    h.expect("start and change are in the ledger, with what was tried",
             [(r["self-test"], r["generation"]) for r in records] == [("passed", 1), ("passed", 2)] and all(
                 " canaries of " in r["shown"] and len(r["report"]) == 64 for r in records), records)
    h.expect("and in the log of generations, by the same report", all(g["self-test"].endswith("; report " + r["report"]) for g, r in zip(generations(), records)),
             (generations(), records))
    h.expect("which people can read", "self-test passed: 1" in h.run("policy", "list", "--store", h.at("policy")))
    h.run("policy", "rollback", "1", "--store", h.at("policy"), "--author", "officer")
    h.expect("a rollback is tried as well", h.ask("Organization/lakeside-primary")[0] == 200 and "generation 3: self-test passed" in h.logged() and
             generations()[2]["self-test"])

    # What stops somebody is wanted at once.
    for part in ("policies", "terminology", "lexicon"):
        shutil.copytree(os.path.join(house.ROOT, "consent", part), os.path.join(folder, "stop", part))
    with open(os.path.join(folder, "stop", "policies", "house", "stop.yaml"), "w") as file:
        file.write(STOP)
    done = activate(os.path.join(folder, "stop", "policies"))
    h.expect("a party that is let have nothing, and refused for that, keeps no policy out", done.returncode == 0, (done.returncode, done.stderr[-800:]))
    h.expect("and it is in force at once", h.ask("Organization/lakeside-primary")[0] == 403 and
             h.ask("Organization/lakeside-primary", "plan")[0] == 200, h.logged()[-800:])
    h.close()
    return h.failures


house.main(scenario)
