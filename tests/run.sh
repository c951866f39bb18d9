#!/usr/bin/env bash
# Runs every test of build/test: unit tests and fuzz corpora through ctest, then the scenarios, then the properties over
# records grown at random (--cases N for more of them, --seed N for others), and counts them.
set -uo pipefail
cd "$(dirname "$0")/.."
[ -d ../shared ] || echo "note: ../shared is not here; tests that use it skip, saying so"
started=$(date +%s)
report=$(mktemp)
trap 'rm -f "$report"' EXIT
ctest --test-dir build/test --output-on-failure -j "$(nproc)" --no-tests=error | tee "$report"
total=$(sed -n 's/.*tests failed out of \([0-9]*\).*/\1/p' "$report")
failed=$(sed -n 's/.*, \([0-9]*\) tests failed out of.*/\1/p' "$report")
total=${total:-0} failed=${failed:-1}
passed=$((total - failed))
for scenario in tests/scenario/*.py; do
  [ -e "$scenario" ] || continue
  if python3 "$scenario" --sluice build/test/sluice; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAILED: $scenario"
  fi
done
if python3 tests/properties/properties.py --sluice build/test/sluice "$@"; then
  passed=$((passed + 1))
else
  failed=$((failed + 1))
  echo "FAILED: tests/properties/properties.py"
fi
echo "took $(($(date +%s) - started)) s"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
