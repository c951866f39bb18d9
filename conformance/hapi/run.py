#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""HAPI FHIR's JPA server in the place of the embedded store: see ../battery.py for what is asked.

    conformance/hapi/run.py [--sluice build/release/sluice] [--server build/conformance/hapi] [--url URL] [--patients ID,…]
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import battery  # noqa: E402
from start import command  # noqa: E402


if __name__ == "__main__":
    battery.main(__doc__.split("\n", maxsplit=1)[0], "hapi", command)
