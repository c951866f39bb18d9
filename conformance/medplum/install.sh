#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetches Medplum's FHIR router and what it stands on from npm into build/conformance/medplum. Needs Node 20 and npm; about 400 MB.
# Does nothing where all is in place.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
into=${1:-$here/../../build/conformance/medplum}
for tool in node npm; do
  command -v "$tool" >/dev/null || { echo "install.sh: $tool is missing" >&2; exit 1; }
done
mkdir -p "$into"
into=$(cd "$into" && pwd)
cmp -s "$here/package.json" "$into/installed.json" || {
  cp "$here/package.json" "$into/package.json"
  (cd "$into" && npm install --silent --no-audit --no-fund --ignore-scripts)
  cp "$here/package.json" "$into/installed.json"
}
cp "$here/server.mjs" "$into/server.mjs"
echo "Medplum's router $(node -p "require('$into/node_modules/@medplum/fhir-router/package.json').version") stands in $into"
