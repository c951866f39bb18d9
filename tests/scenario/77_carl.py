# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys

import house


def scenario(sluice, folder):
    """Carl's story: his records go to 13 recipients as the SHIFT task force's matrix says, cell by cell; without ../shared the policy"""
    story = os.path.join(house.ROOT, "conformance", "carl.py")
    return subprocess.run([sys.executable, story, "--sluice", sluice]).returncode


house.main(scenario)
