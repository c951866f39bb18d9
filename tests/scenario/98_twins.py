# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys

import house

PAIRS = 1000


def scenario(sluice, folder):
    """nobody can tell whether what is secret to him ever happened: a thousand pairs of answers (all: ./dev twins)"""
    twins = os.path.join(house.ROOT, "conformance", "twins", "run.py")
    return subprocess.run([sys.executable, twins, "--sluice", sluice, "--pairs", str(PAIRS), "--patients", "6", "--years", "1",
                           "--crowd", "60", "--brief"]).returncode


house.main(scenario)
