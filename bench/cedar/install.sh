#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the peer of bench/cedar, and Cedar's engine with it from crates.io, into build/conformance/cedar. Needs cargo (rustup, or
# Debian's rustc 1.82 or later); about 130 crates and two minutes on two cores.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
into=${1:-$here/../../build/conformance/cedar}
command -v cargo >/dev/null || { echo "install.sh: cargo is missing: https://rustup.rs" >&2; exit 1; }
cargo build --quiet --release --locked --manifest-path "$here/Cargo.toml" --target-dir "$into"
echo "cedar-policy $(sed -n '/^name = "cedar-policy"$/{n;s/version = "\(.*\)"/\1/p}' "$here/Cargo.lock") stands in $into"
