#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Called by `./dev bench`: every measurement, against its peers in the same run, and a table of the figures at the end.
# A goal that is missed is said, and is no failure; what crashes is. Everything it makes is in build/bench.
#
#     bench/run.sh [PART…]      parts: span segment ccda policy gateway http2 ledger; default: all
set -uo pipefail
cd "$(dirname "$0")/.."
build=build/release
work=build/bench
shared=../shared/data/fhir-r4/synthea-2019
failed=()

rm -rf "$work"
mkdir -p "$work/files"
: >"$work/figures"

# Runs a part, shows what it prints, and keeps its figures: lines "= NAME<tab>VALUE<tab>UNIT<tab>RELATION<tab>GOAL".
part() { # name, command…
  local name=$1; shift
  echo
  echo "---- $name ----"
  timeout "${limit:-150}" "$@" 2>&1 | tee "$work/$name.log" | grep -v '^= '
  [ "${PIPESTATUS[0]}" = 0 ] || failed+=("$name")
  sed -n 's/^= //p' "$work/$name.log" >>"$work/figures"
}

figure() { # name, value, unit, relation, goal
  printf '%s\t%s\t%s\t%s\t%s\n' "$@" >>"$work/figures"
}

# The number that stands before or after some words in a part's output; empty if it is not there.
number() { # part, sed expression
  sed -nE "$2" "$work/$1.log" 2>/dev/null | head -n 1
}

sample() {
  [ -n "$(ls -A "$work/files")" ] || python3 bench/sample.py "$work/files" "$shared" || failed+=(sample)
}

span() {
  sample
  part span "$build/bench/span_bench" "$work/files"
  local ratio; ratio=$(number span 's/.*ratio ([0-9.]+).*/\1/p')
  figure "span parse" "$(number span 's/^span: [a-z0-9]+ ([0-9.]+) GB.*/\1/p')" "GB/s" - -
  [ -z "$ratio" ] || figure "the same against simdjson's DOM" "$ratio" x '>=' 0.5
}

ccda() {
  part ccda "$build/bench/ccda_bench" consent/policies
}

segment() {
  sample
  part segment "$build/bench/segment_bench" consent/policies "$work"/files/*
  if ! command -v node >/dev/null; then
    echo "node is not installed: not compared"
    return
  fi
  part node node bench/segment_node.js "$work"/files/*
  local node slowest
  node=$(number node 's/.* ([0-9]+) MB.*/\1/p')
  slowest=$(sed -nE 's/^segment .* ([0-9]+) MB.*/\1/p' "$work/segment.log" | sort -n | head -n 1)
  [ -z "$node" ] || [ -z "$slowest" ] ||
    figure "segment, slowest of them, against Node" "$(awk "BEGIN {printf \"%.1f\", $slowest / $node}")" x '>=' 4
}

# The rules and questions are made by policy_world.py; Cedar's engine answers the same, where bench/cedar/install.sh was run.
policy() {
  local bench=$build/bench/policy_bench cedar=build/conformance/cedar/release/cedar-peer
  python3 bench/policy_world.py "$work/world" || { failed+=(policy); return; }
  part policy "$bench" ask "$work/world"
  if [ -x "$cedar" ]; then
    part cedar "$cedar" "$work/world"
    [ ${#failed[@]} = 0 ] || return
    local theirs alone both
    theirs=$(number cedar 's/^= Cedar, .*\t([0-9.]+)\tus.*/\1/p')
    alone=$(number policy 's/^disclosers .* decide ([0-9.]+) ns.*/\1/p')
    both=$(number policy 's/^disclosers .* with one decision ([0-9.]+) us.*/\1/p')
    figure "Cedar's decision over ours, once compiled" "$(awk "BEGIN {printf \"%.0f\", $theirs * 1000 / $alone}")" x - -
    figure "Cedar's decision over ours, compiling included" "$(awk "BEGIN {printf \"%.1f\", $theirs / $both}")" x '>=' 1
  else
    echo "Cedar is not installed (bench/cedar/install.sh): not compared"
  fi
  mkdir -p "$work/changed"
  cp -r consent/policies consent/terminology consent/lexicon "$work/changed"
  sed -i 's/, unclassified,/,/' "$work/changed/policies/house/rules.yaml"
  part diff "$bench" diff consent/policies "$work/changed/policies"
  curve "$bench"
}

# Stores of more and more patients, each in a process of its own; by processor time.
curve() { # program
  local count
  for count in 10 1000 100000 1000000; do
    timeout 600 "$1" fill "$work/store" "$count" || { failed+=(fill); return; }
    part "lookup-$count" "$1" lookup "$work/store" "$count" consent/policies
    rm -rf "$work/store"
  done
  [ ${#failed[@]} = 0 ] || return
  local few='s/.*patients: p50 +([0-9.]+) us.*/\1/p' anon='s/.*RssAnon ([0-9.]+) MiB.*/\1/p'
  figure "look up, compile, decide ten: 1,000,000 patients" "$(number lookup-1000000 "$few")" us '<=' 50
  figure "the same over that of 10 patients" \
    "$(awk "BEGIN {printf \"%.2f\", $(number lookup-1000000 "$few") / $(number lookup-10 "$few")}")" x '<=' 2
  figure "RssAnon, 1,000,000 patients over 10" \
    "$(awk "BEGIN {printf \"%.1f\", $(number lookup-1000000 "$anon") - $(number lookup-10 "$anon")}")" MiB '<=' 1
}

gateway() {
  limit=600 part gateway python3 bench/gateway.py --sluice "$build/sluice" --bare "$build/bench/bare_proxy" \
    --pace "$build/bench/pace" --folder "$work/gateway"
}

http2() {
  part http2 python3 bench/http2.py --bare "$build/bench/bare_proxy" --folder "$work/http2"
}

ledger() {
  mkdir -p "$work/ledger"
  part ledger "$build/bench/ledger_bench" "$work/ledger" 1.5
  figure "ledger, durable records" "$(number ledger 's/.*under way of.* ([0-9]+) records.*/\1/p')" "records/s" - -
}

table() {
  echo
  echo "---- figures ----"
  awk -F '\t' '
    function told(value, relation, goal) {
      if (goal == "-") return ""
      return (relation == ">=" ? value + 0 >= goal + 0 : value + 0 <= goal + 0) ? "met" : "MISSED"
    }
    BEGIN { printf "%-52s %16s   %-10s %s\n", "figure", "measured", "goal", "" }
    { printf "%-52s %10s %-9s %-10s %s\n", $1, $2, $3, $5 == "-" ? "" : $4 " " $5, told($2, $4, $5) }
    told($2, $4, $5) == "MISSED" { missed++ }
    END { print ""; print missed ? missed " goals missed" : "every goal met" }' "$work/figures"
}

[ $# -gt 0 ] || set -- span segment ccda policy gateway http2 ledger
for name in "$@"; do
  case $name in
  span | segment | ccda | policy | gateway | http2 | ledger) "$name" ;;
  *) echo "bench/run.sh: no such part: $name" >&2; exit 2 ;;
  esac
done
table
if [ ${#failed[@]} -gt 0 ]; then
  echo "failed: ${failed[*]}" >&2
  exit 1
fi
