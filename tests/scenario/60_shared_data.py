# SPDX-License-Identifier: Apache-2.0
import glob
import gzip
import json
import os
import shutil

import house


def scenario(sluice, folder):
    """real-world bundles, where ../shared is present, are read through the gateway for each recipient without an error"""
    files = []
    for kind, most in (("synthea-2022", 2), ("synthea-2020", 2), ("synthea-2019", 2), ("shift-labelled", 9)):
        for path in sorted(glob.glob(os.path.join(house.SHARED, "data", "fhir-r4", kind, "*.json*")))[:most]:
            files.append(os.path.join(folder, f"{len(files)}.json"))
            with (gzip.open if path.endswith(".gz") else open)(path, "rb") as source, open(files[-1], "wb") as out:
                shutil.copyfileobj(source, out)
    if not files:
        print("  skipped: ../shared is not here")
        return 0
    h = house.House(sluice, records=files)
    h.start()
    patients = h.ids("Patient?_count=100")
    h.expect("there are patients", isinstance(patients, list) and len(patients) > 3, patients)
    for caller in house.CALLERS:
        for patient in patients:
            status, _, body = h.ask(f"Patient/{patient}/$everything", caller)
            fine = status in (200, 404) and json.loads(body)["resourceType"] in ("Bundle", "OperationOutcome")
            h.expect(f"{caller} reads {patient}", fine, (status, body[:200]))
    h.close()
    return h.failures


house.main(scenario)
