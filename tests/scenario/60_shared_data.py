# SPDX-License-Identifier: Apache-2.0
import glob
import json
import os

import house


def scenario(sluice, folder):
    """real-world bundles, where ../shared is present, are read through the gateway for each recipient without an error"""
    files = sorted(glob.glob(os.path.join(house.SHARED, "data", "fhir-r4", "synthea-2022", "*.json")))[:2]
    files += sorted(glob.glob(os.path.join(house.SHARED, "data", "fhir-r4", "synthea-2020", "*.json")))[:1]
    files += sorted(glob.glob(os.path.join(house.SHARED, "data", "fhir-r4", "shift-labelled", "*.json")))
    if not files:
        print("  skipped: ../shared is not here")
        return 0
    h = house.House(sluice, records=files)
    h.start()
    patients = h.ids("Patient?_count=100")
    h.expect("there are patients", isinstance(patients, list) and len(patients) > 3, patients)
    for caller in house.CALLERS:
        for patient in patients:
            status, _, body = h.ask(f"Patient/{patient}/$everything?_count=500", caller)
            fine = status in (200, 404) and json.loads(body)["resourceType"] in ("Bundle", "OperationOutcome")
            h.expect(f"{caller} reads {patient}", fine, (status, body[:200]))
    h.close()
    return h.failures


house.main(scenario)
