#!/usr/bin/env bash
# Compares our chains of 100,000 random and 1,000 hot addresses of each file with those of the
# addr2line crate (must be equal), llvm-symbolizer and binutils (differences are counted by kind).
# Usage: scripts/agreement.sh FILE...; each FILE is a binary with DWARF, for example ripgrep built
# with debug=2, the library of Debian's libstdc++6-12-dbg, a kernel debug image.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --quiet -p hotproof-symbolizer --example frames
failed=0
for file in "$@"; do
    scripts/agreement.py "${CARGO_TARGET_DIR:-target}/release/examples/frames" "$file" || failed=1
done
exit $failed
