# SPDX-License-Identifier: Apache-2.0
import os
import re
import shutil
import subprocess

import house

EVERY = 5  # rules: one in so many is taken out


def policy(sluice, *words):
    done = subprocess.run([sluice, "policy", *words], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def without(text, number):
    """The text without its n-th rule; None if it has no such. A rule begins with its id and ends before the next."""
    begin = text.find("\nrules:")
    rules = [m.start() for m in re.finditer(r"\n  - id: ", text)] if begin >= 0 else []
    end = text.find("\nscenarios:", begin)
    end = end if end >= 0 else len(text)
    rules = [at for at in rules if begin < at < end] + [end]
    return text[:rules[number]] + text[rules[number + 1]:] if number + 1 < len(rules) else None


def rule_ids(text):
    return set(re.findall(r"\n  - id: (\S+)", text))


def forget(copy, shipped, gone):
    """Scenarios need not say any more that the rule decided; what they expect stays."""
    for place, _, names in os.walk(shipped):
        for name in names:
            with open(os.path.join(place, name)) as file:
                text = file.read()
            with open(os.path.join(copy, os.path.relpath(os.path.join(place, name), shipped)), "w") as file:
                file.write(re.sub(rf"\n    by: [^\n]*\b{re.escape(gone)}(?![\w-])[^\n]*", "", text))


def scenario(sluice, folder):
    """policy diff: whenever a scenario turns because a rule is gone, the comparison tells that policies differ, and which way"""
    shipped, compared = os.path.join(house.ROOT, "consent", "policies"), 0
    status, said, _ = policy(sluice, "diff", shipped, shipped)
    assert status == 0 and "The two policies do the same." in said and said.endswith("Releases nothing new.\n"), said
    copy = os.path.join(folder, "policies")
    shutil.copytree(shipped, copy)
    shutil.copytree(os.path.join(house.ROOT, "consent", "terminology"), os.path.join(folder, "terminology"))
    if os.path.isdir(os.path.join(house.ROOT, "consent", "lexicon")):
        shutil.copytree(os.path.join(house.ROOT, "consent", "lexicon"), os.path.join(folder, "lexicon"))
    for name in ("federal/part2.yaml", "federal/hipaa.yaml", "house/rules.yaml"):
        path, number = os.path.join(copy, name), 0
        with open(path) as file:
            text = file.read()
        while (less := without(text, number)) is not None:
            number += 1
            if number % EVERY:
                continue
            gone, = rule_ids(text) - rule_ids(less)
            forget(copy, shipped, gone)
            with open(path) as file:
                less = without(file.read(), number - 1)
            with open(path, "w") as file:
                file.write(less)
            _, tested, wrong = policy(sluice, "test", copy)
            if "error [" in wrong:
                continue  # another rule or a scenario names the one that is gone
            turned = re.search(r": (it was|the request was|a label|the notice|a notice)", tested)
            status, said, wrong = policy(sluice, "diff", shipped, copy)
            assert status == 0, wrong
            compared += 1
            if turned:
                assert "The two policies do the same." not in said, f"{name}: rule {number} is gone, and nothing is told"
            if ": it was released" in tested:
                assert "Releases more:" in said, f"{name}: rule {number} is gone, more goes, and that is not told: {said}"
        forget(copy, shipped, "no-such-rule")
    assert compared >= 3, f"only {compared} rules could be taken out"
    return 0


house.main(scenario)
