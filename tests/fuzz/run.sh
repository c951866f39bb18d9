#!/usr/bin/env bash
# Runs each fuzz target of build/fuzz for --seconds N (default 60), starting from its corpus; findings stay in build/fuzz.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=60
[ "${1:-}" = --seconds ] && seconds=$2
for target in build/fuzz/tests/*_fuzz; do
  name=$(basename "$target" _fuzz)
  mkdir -p "build/fuzz/corpus/$name"
  echo "== $name for $seconds s"
  (cd build/fuzz && "../../$target" -max_total_time="$seconds" -print_final_stats=1 -rss_limit_mb=4096 \
    "corpus/$name" "../../tests/corpus/$name" 2>&1 | grep -E 'ERROR|SUMMARY|stat::number_of|stat::new_units|Test unit' || true)
done
if ls build/fuzz/crash-* build/fuzz/oom-* build/fuzz/timeout-* 2>/dev/null; then
  echo "fuzz: findings above"
  exit 1
fi
echo "fuzz: no findings"
