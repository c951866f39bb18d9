#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs every test of build/test: unit tests and fuzz corpora through ctest, then the scenarios, and the properties over
# records grown at random (--cases N for more of them, --seed N for others), and counts them. As many run at a time as
# there are processors; what each says is kept apart and printed whole, in the order of the files.
set -uo pipefail
cd "$(dirname "$0")/.."
[ -d ../shared ] || echo "note: ../shared is not here; tests that use it skip, saying so"
started=$(date +%s)
results=$(mktemp -d)
pool=
trap '[ -z "$pool" ] || kill -- "-$pool" 2>/dev/null; rm -rf "$results"' EXIT
trap 'exit 130' INT TERM

ctest --test-dir build/test --output-on-failure -j "$(nproc)" --no-tests=error | tee "$results/ctest"
total=$(sed -n 's/.*tests failed out of \([0-9]*\).*/\1/p' "$results/ctest")
failed=$(sed -n 's/.*, \([0-9]*\) tests failed out of.*/\1/p' "$results/ctest")
total=${total:-0} failed=${failed:-1}
passed=$((total - failed))

# Arguments: the folder for results, the script, its further arguments. The status comes last, and whole: by a rename.
run_one() {
  local results=$1 script=$2 began=$SECONDS status; shift 2
  local out; out="$results/$(basename "$script")"
  python3 "$script" --sluice build/test/sluice "$@" >"$out.said" 2>&1
  status=$?
  echo "$status $((SECONDS - began))" >"$out.new"
  mv "$out.new" "$out.status"
}
export -f run_one
properties=tests/properties/properties.py
scenarios=(tests/scenario/[0-9]*.py)
list() {
  printf '%s\0' "$(printf '%q ' "$results" "$properties" "$@")" # the longest first
  for scenario in "${scenarios[@]}"; do printf '%s\0' "$(printf '%q ' "$results" "$scenario")"; done
}
set -m # a process group of their own, so that an interrupt ends all of them
( list "$@" | xargs -0 -P "$(nproc)" -I WORDS bash -c 'run_one WORDS' ) &
pool=$!
set +m

for script in "${scenarios[@]}" "$properties"; do
  out="$results/$(basename "$script")"
  while [ ! -e "$out.status" ] && kill -0 "$pool" 2>/dev/null; do sleep 0.1; done
  read -r status seconds <"$out.status" || status=ended
  cat "$out.said"
  if [ "$status" = 0 ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAILED: $script ($status)"
    echo "$script" >>"$results/failed"
  fi
  echo "${seconds:-0} s $(basename "$script")" >>"$results/took"
done
[ ! -e "$results/failed" ] || sed 's/^/FAILED: /' "$results/failed"
echo "longest: $(sort -rn "$results/took" | head -n 5 | paste -sd, | sed 's/,/, /g')"
echo "took $(($(date +%s) - started)) s"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
