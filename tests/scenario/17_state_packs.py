# SPDX-License-Identifier: Apache-2.0
import glob
import json
import os
import re
import shutil
import subprocess

import house

SHIPPED = os.path.join(house.ROOT, "consent", "policies")


def policy(sluice, *words):
    done = subprocess.run([sluice, "policy", *words], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def lay(folder, name, states):
    """A copy of the shipped policy in which these states are named."""
    root = os.path.join(folder, name)
    for part in ("policies", "terminology", "lexicon"):
        shutil.copytree(os.path.join(house.ROOT, "consent", part), os.path.join(root, part))
    copy = os.path.join(root, "policies")
    with open(os.path.join(copy, "policy.yaml"), "a") as file:
        file.write(f"\nstates: [{', '.join(states)}]\n")
    return copy


def grades(sluice, copy):
    _, said, wrong = policy(sluice, "check", copy, "--json")
    assert said, wrong
    return [(i["grade"], i["code"], i["file"], i["text"]) for i in json.loads(said)["issues"]]


def rules(text):
    """Each entry of `rules:` of a pack as its lines."""
    section = text.split("\nrules:\n", 1)[1].split("\nscenarios:", 1)[0]
    return [entry for entry in re.split(r"^  - id: ", section, flags=re.M) if entry.strip()]


def is_an_example(text, state):
    """It says what it is, and each rule cites its section and that nobody has compared it."""
    assert "EXAMPLE" in text and f"states: [{state}]" in text, state
    assert re.search(r"^layer: state$", text, re.M) and re.search(r"^example: yes$", text, re.M), state
    assert re.search(r"^version: ", text, re.M), state
    assert rules(text), state
    for rule in rules(text):
        assert "verdict: withhold" in rule and "lift: never" in rule, (state, rule)
        assert "unverified: yes" in rule and re.search(r"^    law: .*\d", rule, re.M), (state, rule)


def enabled(sluice, folder, state, before):
    copy = lay(folder, state, [state])
    new = [i for i in grades(sluice, copy) if i not in before and i[0] != "note"]
    assert [i[1] for i in new if i[2].startswith("states/")] == ["example-in-force"], (state, new)
    _, said, wrong = policy(sluice, "test", copy, "--mutate")
    for mark in ("FAIL states/", "FAIL house/states/", "UNTRIED states/", "SURVIVES states/"):
        assert mark not in said, (state, mark, said, wrong)
    status, said, wrong = policy(sluice, "diff", SHIPPED, copy)
    assert status == 0 and said.endswith("Releases nothing new.\n"), (state, said[-2000:], wrong)
    assert "The two policies do the same." not in said, state
    status, said, wrong = policy(sluice, "render", copy)
    assert status == 0 and f"The packs of these states are in force: {state}." in said, wrong
    assert "It is an example, on which nobody may rely until counsel has reviewed it." in said, state
    return copy


def needs(copy, state):
    """The classes that the pack says a house must have."""
    with open(os.path.join(copy, "states", f"{state}.yaml")) as file:
        said = re.search(r"^# A house in this state has these classes, by these names: ((?:.|\n# )*?)\.$", file.read(), re.M)
    return set(said.group(1).replace("\n#", "").split(", "))


def asks_for_its_classes(sluice, copy, state):
    """A house that has other classes is told what the pack needs, and needs no more than its head says; or leaves the state out."""
    path = os.path.join(copy, "policy.yaml")
    shutil.rmtree(os.path.join(copy, "house"))
    os.makedirs(os.path.join(copy, "house"))
    with open(os.path.join(copy, "house", "ours.yaml"), "w") as file:
        file.write("layer: organization\nclasses:\n  - {id: ours, title: O, kind: needs-yes, earned-by: {types: others}}\n")
    errors = [i for i in grades(sluice, copy) if i[0] == "error"]
    assert {i[1] for i in errors} == {"pack-needs-class"}, (state, errors)
    assert {re.search(r'the class "([^"]+)"', i[3]).group(1) for i in errors} == needs(copy, state), (state, errors)
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text.replace(f"\nstates: [{state}]\n", ""))
    assert not [i for i in grades(sluice, copy) if i[0] == "error"], state


def releases_nothing(sluice, copy, state):
    """A pack in which somebody writes a release is refused."""
    path = os.path.join(copy, "states", f"{state}.yaml")
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text.replace("verdict: withhold", "verdict: release", 1))
    assert "release-in-ceiling" in [i[1] for i in grades(sluice, copy)], state


def scenario(sluice, folder):
    """state packs: none is in force unless named, each is in order and only withholds when it is, and they do not disturb each other"""
    packs = {os.path.basename(path)[:-5]: path for path in glob.glob(os.path.join(SHIPPED, "states", "*.yaml"))}
    assert {"IL", "CA", "NY", "TX", "FL"} <= set(packs), packs
    before = grades(sluice, SHIPPED)
    off = [text for _, code, _, text in before if code == "state-not-in-force"]
    assert off == [f"Packs of states are there, and not in force: {', '.join(sorted(packs))}."], off
    _, said, _ = policy(sluice, "render", SHIPPED)
    assert "states/" not in said
    assert set(packs) == {os.path.basename(path)[:-5] for path in glob.glob(os.path.join(SHIPPED, "house", "states", "*.yaml"))}
    for state in sorted(packs):
        with open(packs[state]) as file:
            is_an_example(file.read(), state)
        copy = enabled(sluice, folder, state, before)
        asks_for_its_classes(sluice, lay(folder, f"{state}-alone", [state]), state)
        releases_nothing(sluice, copy, state)
    every = lay(folder, "all", sorted(packs))
    assert not [i for i in grades(sluice, every) if i[0] == "error"]
    none = lay(folder, "none", ["ZZ"])
    assert "missing-state" in [i[1] for i in grades(sluice, none)]


if __name__ == "__main__":
    house.main(scenario)
