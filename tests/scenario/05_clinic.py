# SPDX-License-Identifier: Apache-2.0
import json
import os
import re
import subprocess

import house

NOWHERE = {"Organization/nobody-configured", "Practitioner/nobody-known"}  # loose ends, on purpose
DIRECTORY = {"Organization", "Location", "Practitioner", "PractitionerRole"}
TRACES = ("harbor", "otp-", "detox", "ethadone", "uprenorphine", "mateo-bup", "42CFRPart2")


def make(folder, *words):
    (records,), (consents,) = house.clinic(folder, *words)
    with open(records) as records, open(consents) as consents:
        return records.readlines(), consents.read()


def by_name(lines):
    out = {}
    for text in lines:
        resource = json.loads(text)
        name = f"{resource['resourceType']}/{resource['id']}"
        assert name not in out, f"{name} stands twice"
        out[name] = text
    return out


def is_less(small, large):
    """Is `small` the same as `large` with members of arrays and objects left out, and words of a narrative?"""
    if isinstance(large, dict):
        return all(k in large and (k == "text" or is_less(v, large[k])) for k, v in small.items())
    if isinstance(large, list):
        rest = iter(large)
        return all(any(is_less(v, candidate) for candidate in rest) for v in small)
    return small == large


def check_worlds(with_programs, without):
    for name, text in without.items():
        assert name in with_programs, f"{name} is only where there are no programs"
        if text != with_programs[name]:
            assert is_less(json.loads(text), json.loads(with_programs[name])), f"{name} differs in more than mentions"
        if name.split("/")[0] not in DIRECTORY:
            for trace in TRACES:
                if "-received" in name and trace == "42CFRPart2":
                    continue  # of another's program, which sent it here
                assert trace not in text, f"{name} knows of a program: {trace}"
    assert len(with_programs) > len(without) + 50


def check_references(records):
    for name, text in records.items():
        for reference in re.findall(r'"reference":"([A-Z][^"]*)"', text):
            assert reference in records or reference in NOWHERE, f"{name} refers to {reference}, which is not there"


def imported(sluice, store, path):
    done = subprocess.run([sluice, "records", "import", "--store", store, path], check=True, capture_output=True, text=True)
    return [int(n) for n in re.findall(r"\d+", done.stdout)]


def scenario(sluice, folder):
    """the clinic is whole, the same for the same seed, and knows nothing of programs where there are none"""
    def world(name, *words):
        return make(os.path.join(folder, name), *words)
    for size in ((), ("--patients", "40", "--seed", "seven")):
        lines, consents = world("a", *size)
        assert (lines, consents) == world("again", *size), "the same arguments gave other bytes"
        fewer, same_consents = world("b", "--without-program", *size)
        assert consents == same_consents, "what patients signed depends on whether they went"
        records = by_name(lines)
        check_references(records)
        check_worlds(records, by_name(fewer))
        store = os.path.join(folder, f"store{len(size)}")
        path = os.path.join(folder, "a", "records.ndjson")
        assert imported(sluice, store, path) == [len(lines), len(lines), 0, 0], "not every record was created"
        assert imported(sluice, store, path) == [len(lines), 0, 0, len(lines)], "the second import changed something"
    assert '"value":7.10,' in "".join(world("a")[0]), "1.10 must stay 1.10"
    return 0


house.main(scenario)
