# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys

import house

KINDS = ("CarePlan", "CareTeam", "Encounter", "List", "MedicationRequest", "Observation", "ServiceRequest")


def scenario(sluice, folder):
    """a physician without consent cannot tell whether his patients went to a Part 2 program (conformance/twins_lite.py, in part)"""
    words = [w for kind in KINDS for w in ("--kind", kind)]
    twins = os.path.join(house.ROOT, "conformance", "twins_lite.py")
    done = subprocess.run([sys.executable, twins, "--sluice", sluice, "--caller", "ward", "--values", "2", *words],
                          capture_output=True, text=True)
    print(done.stdout[-3000:], done.stderr[-3000:], sep="")
    return done.returncode


house.main(scenario)
