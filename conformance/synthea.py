# SPDX-License-Identifier: Apache-2.0
"""Patients of ../shared/data/fhir-r4, as others made them, each with ids of its own: what a server is loaded with."""
import glob
import gzip
import json
import os

from peer import SHARED

WITH_MUCH = ("synthea-2022/Yang129_*", "synthea-2022/Judi176_*", "synthea-2022/Wynona930_*", "synthea-2022/Randal152_*",
             "synthea-2022/Melinda114_*", "synthea-2020/Lore_Parker*", "synthea-2020/Suanne_*", "synthea-2019/Bonnie_*",
             "synthea-2019/Milan_*", "synthea-2020/Erika_*", "synthea-2019/Deidre_*", "synthea-2019/Janine_*")


def is_here():
    return os.path.isdir(os.path.join(SHARED, "data", "fhir-r4"))


def read(pattern, number=str):
    """The records of one patient: `urn:uuid:` becomes what it names. number: what a decimal is kept as."""
    path = glob.glob(os.path.join(SHARED, "data", "fhir-r4", glob.escape(os.path.dirname(pattern)), os.path.basename(pattern)))[0]
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
        text = file.read().decode()
    for entry in json.loads(text)["entry"]:
        if entry.get("fullUrl", "").startswith("urn:uuid:"):
            row = entry["resource"]
            text = text.replace(f'"{entry["fullUrl"]}"', f'"{row["resourceType"]}/{row.get("id") or entry["fullUrl"][9:]}"')
    rows = [e["resource"] for e in json.loads(text, parse_float=number)["entry"]]
    return [row for row in rows if row.get("id")]


def patients(patterns, number=str):
    """A list of records for each; what several share stands in the first alone."""
    seen, out = set(), []
    for pattern in patterns:
        rows = [r for r in read(pattern, number) if (r["resourceType"], r["id"]) not in seen]
        seen.update((r["resourceType"], r["id"]) for r in rows)
        out.append(rows)
    return out
