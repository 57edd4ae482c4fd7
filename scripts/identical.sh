#!/usr/bin/env bash
# Compares the demo's base with itself, built twice, again and again, and prints the verdicts.
# Any keep is a false one. Usage: scripts/identical.sh [COMPARISONS [SECONDS EACH]] (default 30, 30)
set -euo pipefail
cd "$(dirname "$0")/.."
number=${1:-30} budget=${2:-30}
cargo build --locked --release --quiet
hotproof=$PWD/target/release/hotproof
results=$(mktemp)
trap 'rm -f "$results"' EXIT
for ((i = 1; i <= number; i++)); do
    # Ends with the verdict's own exit code, which is not a failure of this script.
    { "$hotproof" demo --identical --quiet --json --budget "$budget" --seed "$i" || true; } | python3 -c '
import json, sys
value = json.load(sys.stdin)
first = value["end_to_end"]["metrics"][0]
percent = lambda name: "%+.2f" % first[name] if first[name] is not None else "none yet"
print("%-20s %3d pairs  %s %% [%s, %s]" % (value["verdict"], value["runs"]["pairs"],
      percent("change_pct"), percent("ci_low_pct"), percent("ci_high_pct")))' | tee -a "$results"
done
echo
awk '{ count[$1]++ } END { for (verdict in count) print count[verdict], verdict }' "$results" | sort -rn
if grep -q '^keep' "$results"; then
    echo "identical code was kept" >&2
    exit 1
fi
