#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Medplum's FHIR router in the place of the embedded store: see ../battery.py for what is asked.

    conformance/medplum/run.py [--sluice build/release/sluice] [--server build/conformance/medplum] [--url URL] [--patients ID,…]
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import battery  # noqa: E402


def command(folder):
    return lambda port, scratch, page: [
        "node", f"{folder}/server.mjs", str(port), str(page)]


if __name__ == "__main__":
    battery.main(__doc__.split("\n", maxsplit=1)[0], "medplum", command)
