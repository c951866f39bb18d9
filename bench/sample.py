#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sample.py OUT [FOLDER]: the Bundles that parse and segment are measured on.

From FOLDER (Synthea's Bundles, *.json or *.json.gz) about forty, spread over it evenly. Without it, or where it is absent,
the clinic of demo/clinic.py at 400 patients, ten patients a Bundle, indented as Synthea indents.
"""
import glob
import gzip
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FILES = 40


def unpack(folder, out):
    paths = sorted(glob.glob(os.path.join(folder, "*.json")) + glob.glob(os.path.join(folder, "*.json.gz")))
    step = max(1, len(paths) // FILES)
    for path in paths[::step][:FILES]:
        with (gzip.open if path.endswith(".gz") else open)(path, "rb") as packed:
            with open(os.path.join(out, os.path.basename(path).removesuffix(".gz")), "wb") as plain:
                plain.write(packed.read())
    return bool(paths)


def generate(out):
    with tempfile.TemporaryDirectory() as made:
        clinic = os.path.join(ROOT, "demo", "clinic.py")
        subprocess.run([sys.executable, clinic, "--out", made, "--patients", str(FILES * 10)], check=True)
        with open(os.path.join(made, "records.ndjson")) as records:
            lines = [line for line in records if line.strip()]
    size = len(lines) // FILES + 1
    for number in range(FILES):
        entries = [{"resource": json.loads(line)} for line in lines[number * size:(number + 1) * size]]
        with open(os.path.join(out, f"clinic-{number:02}.json"), "w") as bundle:
            json.dump({"resourceType": "Bundle", "type": "collection", "entry": entries}, bundle, indent=4, ensure_ascii=False)


def main():
    out, folder = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    os.makedirs(out, exist_ok=True)
    if not (folder and os.path.isdir(folder) and unpack(folder, out)):
        generate(out)


if __name__ == "__main__":
    main()
