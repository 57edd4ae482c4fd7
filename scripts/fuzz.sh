#!/usr/bin/env bash
# Runs fuzz targets, each for some seconds. A target is CRATE/NAME; without any, all of them run.
# Usage: scripts/fuzz.sh SECONDS [CRATE/NAME...]; SANITIZER=none is faster and sees panics alone.
#
# It needs `cargo install cargo-fuzz`. Its builds want unstable flags of the compiler, which a stable
# one takes with RUSTC_BOOTSTRAP. Where a crate has fuzz/seeds.sh, it fills the corpora (called with
# their folder) with whole inputs to begin from. Inputs that were found interesting stay in
# target/fuzz/corpus, those that broke a target in target/fuzz/broken. The exit code is 1 when one
# broke.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?usage: scripts/fuzz.sh SECONDS [CRATE/NAME...]}
shift
cargo fuzz --version >/dev/null 2>&1 || { echo "cargo-fuzz is not installed: cargo install cargo-fuzz" >&2; exit 2; }
if [ $# = 0 ]; then
    for file in crates/*/fuzz/fuzz_targets/*.rs; do
        crate=${file#crates/}
        set -- "$@" "${crate%%/*}/$(basename "$file" .rs)"
    done
fi
for target in "$@"; do
    [ -f "crates/${target%/*}/fuzz/fuzz_targets/${target#*/}.rs" ] || { echo "no target $target" >&2; exit 2; }
done
folder=$PWD/target/fuzz
export RUSTC_BOOTSTRAP=1
failed=()
for target in "$@"; do
    crate=${target%/*} name=${target#*/}
    corpus=$folder/corpus/$target broken=$folder/broken/$target
    mkdir -p "$corpus" "$broken"
    if [ -x "crates/$crate/fuzz/seeds.sh" ]; then
        "crates/$crate/fuzz/seeds.sh" "$folder/corpus/$crate"
    fi
    echo "== $target, $seconds s"
    cargo fuzz run --fuzz-dir "crates/$crate/fuzz" --target-dir "$folder/target" \
        --sanitizer "${SANITIZER:-address}" "$name" "$corpus" -- \
        -max_total_time="$seconds" -timeout=25 -rss_limit_mb=4096 -print_final_stats=1 \
        -artifact_prefix="$broken/" >"$folder/${crate}_$name.log" 2>&1 || failed+=("$target")
    grep -E "stat::(number_of_executed|peak_rss)|^SUMMARY|panicked at|cov:" "$folder/${crate}_$name.log" | tail -n 4
done
[ ${#failed[@]} = 0 ] || { echo "broken: ${failed[*]}; logs and inputs in $folder" >&2; exit 1; }
