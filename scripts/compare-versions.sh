#!/usr/bin/env bash
# Compares two published versions of a crate: both are unpacked into one repository as two commits,
# together with a driver that does a fixed amount of work, and `hotproof compare` runs on them.
# Usage: scripts/compare-versions.sh [--check] CRATE OLD NEW DRIVER.rs [OPTIONS OF hotproof compare...]
# Example: scripts/compare-versions.sh strsim 0.10.0 0.11.1 tests/programs/drive-strsim.rs
# With --check it prints one row of a Markdown table: the verdict with its instruction counts, and
# beside it what 120 pairs of runs say that this script makes and times itself, in random order and
# unsampled: the median of head / base and its 99 % interval. HOTPROOF names the binary; without it a
# release build is made.
set -euo pipefail
check=
[ "${1-}" != --check ] || { check=1 && shift; }
[ $# -ge 4 ] || { sed -n '2,9s/^# //p' "$0"; exit 2; }
crate=$1 old=$2 new=$3 driver=$(realpath "$4")
shift 4
cd "$(dirname "$0")/.."
if [ -z "${HOTPROOF-}" ]; then
    cargo build --locked --release --quiet
fi
hotproof=${HOTPROOF:-$PWD/target/release/hotproof}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

unpack() { # VERSION FOLDER: the published source, fetched by cargo itself
    mkdir -p "$work/fetch/src"
    printf '[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n[lib]\n[dependencies]\n%s = "=%s"\n' \
        "$crate" "$1" >"$work/fetch/Cargo.toml"
    : >"$work/fetch/src/lib.rs"
    rm -rf "$work/vendor" "$work/fetch/Cargo.lock" "$2"
    cargo vendor --quiet --manifest-path "$work/fetch/Cargo.toml" "$work/vendor" >/dev/null
    mv "$work/vendor/$crate" "$2"
}

repository=$work/repository
mkdir -p "$repository/src"
cd "$repository"
git init --quiet -b main
cp "$driver" src/main.rs
printf '/target\n' >.gitignore
printf '[package]\nname = "drive"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n[dependencies]\n%s = { path = "%s" }\n' \
    "$crate" "$crate" >Cargo.toml
for version in "$old" "$new"; do
    unpack "$version" "$repository/$crate"
    git add --all --force "$crate" && git add --all
    git -c user.name=compare -c user.email=compare@hotproof.invalid commit --quiet -m "$crate $version"
done
if [ -z "$check" ]; then
    "$hotproof" compare main~1 main "$@" -- target/release/drive
    exit
fi
# The verdict's own exit code is no failure of this script.
"$hotproof" compare main~1 main --json --quiet --witness "$@" -- target/release/drive \
    >"$work/result.json" || true
for side in base head; do
    if [ $side = base ]; then ref=main~1; else ref=main; fi
    git worktree add --quiet --detach "$work/$side" "$ref"
    (cd "$work/$side" && CARGO_PROFILE_RELEASE_DEBUG=1 cargo build --release --quiet)
done
python3 - "$crate $old to $new" "$work" <<'PYTHON'
import json, math, os, random, subprocess, sys
name, work = sys.argv[1:]
value = json.load(open(work + "/result.json"))

def seconds(side):
    process = subprocess.Popen([f"{work}/{side}/target/release/drive"], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, side
    return usage.ru_utime + usage.ru_stime

PAIRS, dice, logs = 120, random.Random(20260), []
for turn in range(PAIRS + 1):
    sides = ["base", "head"]
    dice.shuffle(sides)
    times = {side: seconds(side) for side in sides}
    if turn:  # the first pair warms up
        logs.append(math.log(times["head"] / times["base"]))
logs.sort()
reach = round(2.576 * math.sqrt(PAIRS) / 2)
per_cent = lambda x: "%+.2f" % (math.expm1(x) * 100)
middle = (logs[PAIRS // 2 - 1] + logs[PAIRS // 2]) / 2
long = "%s [%s, %s]" % tuple(map(per_cent, (middle, logs[PAIRS // 2 - reach - 1], logs[PAIRS // 2 + reach])))

row = value["end_to_end"]["metrics"][0]
part = lambda key: "none yet" if row[key] is None else "%+.2f" % row[key]
change = "%s [%s, %s]" % (part("change_pct"), part("ci_low_pct"), part("ci_high_pct"))
counts, share = value["instructions"], value["explained"]["share"]
explained = "-" if not share or share["pct"] is None else "%.0f %%" % share["pct"]
said = "-" if not counts else "%+.2f, %s" % (counts["change_pct"], counts["agreement"])
cells = [name, value["verdict"], change, str(value["runs"]["pairs"]), explained, said, long]
print("| " + " | ".join(cells) + " |")
PYTHON
