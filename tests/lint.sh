#!/usr/bin/env bash
# Style by tools, not by people: formatting, banned functions, the arrows between the rooms, headers that compile alone;
# and each fault switches something off.
set -uo pipefail
cd "$(dirname "$0")/.."
bad=0
fail() { echo "lint: $1"; bad=1; }

sources=$(git ls-files '*.c' '*.h' | grep -v -E '^fhir/r4_.*\.c$|r4_names\.h$')
banned='\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atof|system|popen|alloca|rand|strncpy|strncat)\('
product=$(echo "$sources" | grep -E '^(fhir|consent|gateway|include)/')
grep -nE "$banned" $product && fail "a banned function"
grep -nE '#include "(\.\./)?(gateway|consent)/' $(git ls-files 'fhir/*') && fail "fhir/ uses nothing of ours"
grep -nE '#include "(\.\./)?gateway/' $(git ls-files 'consent/*') && fail "consent/ does not use gateway/"
one_file() { # header pattern, allowed files
  local found
  found=$(grep -lE "#include <($1)" $sources | grep -vE "$2")
  [ -z "$found" ] || fail "only $2 may include <$1>: $found"
}
one_file 'lmdb\.h' '^consent/store\.c$'
one_file 'yaml\.h' '^consent/yaml\.c$'
one_file 'nghttp2/' '^gateway/http2\.c$'
for fault in $(sed -n 's/^SL_FAULT(\([A-Z_]*\),.*/\1/p' include/sluice/faults.def); do
  grep -qE "sl_fault\(SL_FAULT_$fault\)" $product || fail "no rule is switched off by the fault $fault"
done
for header in $(git ls-files 'include/sluice/*.h' 'fhir/*.h' 'consent/*.h' 'gateway/*.h'); do
  echo "#include \"$PWD/$header\"" | gcc -std=gnu17 -D_GNU_SOURCE -Iinclude -fsyntax-only -x c - ||
    fail "$header does not compile alone"
done
grep -LE 'SPDX-License-Identifier: Apache-2.0' $sources | grep . && fail "no SPDX line"
# Tests lay out their JSON by hand; the product is laid out by the tool.
clang-format --dry-run -Werror $product || fail "formatting: clang-format -i"
LC_ALL=C.UTF-8 grep -nE '^.{121,}' $sources && fail "lines over 120 columns"
[ "$bad" = 0 ] && echo "lint: clean"
exit "$bad"
