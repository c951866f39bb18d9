#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetches fhirclient and fhir-kit-client from npm and fhirpy from PyPI into build/conformance/clients. Needs Node 20, npm and Python 3;
# about 60 MB. Does nothing where all is in place.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
into=${1:-$here/../../build/conformance/clients}
for tool in node npm python3; do
  command -v "$tool" >/dev/null || { echo "install.sh: $tool is missing" >&2; exit 1; }
done
mkdir -p "$into"
into=$(cd "$into" && pwd)
cmp -s "$here/package.json" "$into/installed.json" || {
  cp "$here/package.json" "$into/package.json"
  (cd "$into" && npm install --silent --no-audit --no-fund --ignore-scripts)
  python3 -m venv "$into/python"
  "$into/python/bin/pip" install --quiet --disable-pip-version-check fhirpy==2.3.1
  cp "$here/package.json" "$into/installed.json"
}
cp "$here"/ask_* "$into/"
echo "fhirclient, fhir-kit-client and fhirpy stand in $into"
