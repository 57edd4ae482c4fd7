#!/usr/bin/env bash
# Measures how fast recordings of perf become folded stacks, in alternation: ours (symbols and all),
# `perf script --no-inline | inferno-collapse-perf`, `samply import` (no symbols). Makes a small, a
# 50,000-sample and a 1,000,000-sample recording of the whole machine under load. Prints medians of
# CPU seconds (user + system, all processes of a row) and peak memory of the largest process.
# Needs perf (as root), gcc and python3; inferno and samply are built by cargo when they are missing.
# Usage: scripts/bench-convert.sh [FOLDER [REPEATS]]; recordings in FOLDER are used again.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-$(mktemp -d)} repeats=${2:-5}
mkdir -p "$folder"
export PATH="$folder/tools/bin:$PATH"
for tool in inferno samply; do
    binary=$tool
    [ $tool = inferno ] && binary=inferno-collapse-perf
    command -v "$binary" >/dev/null ||
        cargo install --quiet --locked --root "$folder/tools" "$tool" || echo "skipped: no $tool"
done
cargo build --release --quiet -p hotproof-profiler --example fold
fold=${CARGO_TARGET_DIR:-target}/release/examples/fold

load() { # Compiles, computes and sorts until it is killed.
    local work=$folder/load
    mkdir -p "$work"
    while :; do
        echo 'int main(void){long s=0;for(long i=0;i<30000000;i++)s^=i*s+i;return s==1;}' >"$work/$1.c"
        gcc -O1 -g -fno-omit-frame-pointer -o "$work/$1" "$work/$1.c" && "$work/$1" || true
        python3 -c 'import json; print(len({json.dumps([i] * 50) for i in range(20000)}))'
        find /usr/lib -name '*.so*' | sort | md5sum
    done
}

make() { # NAME RATE SECONDS
    [ -s "$folder/$1.data" ] && return
    load "$1-a" >/dev/null 2>&1 & local first=$!
    load "$1-b" >/dev/null 2>&1 & local second=$!
    perf record -q -a -e cpu-clock -F "$2" -m 2048 --call-graph fp -o "$folder/$1.data" -- sleep "$3"
    kill $first $second
    wait $first $second 2>/dev/null || true
}

make small 500 10
make 50k 2500 10
make 1M 18000 29

python3 - "$folder" "$repeats" "$fold" <<'PYTHON'
import os, resource, shutil, statistics, subprocess, sys

folder, repeats, fold = sys.argv[1], int(sys.argv[2]), sys.argv[3]

def cost(command):
    """CPU seconds and peak MiB of a command and all that it starts, in a child of its own."""
    into, out = os.pipe()
    if (child := os.fork()) == 0:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        failed = subprocess.run(["bash", "-o", "pipefail", "-c", command], **quiet).returncode
        use = resource.getrusage(resource.RUSAGE_CHILDREN)
        os.write(out, f"{failed} {use.ru_utime + use.ru_stime} {use.ru_maxrss / 1024}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    failed, cpu, memory = os.read(into, 100).split()
    os.close(into), os.close(out)
    if int(failed):
        sys.exit(f"failed: {command}")
    return float(cpu), float(memory)

for name in ("small", "50k", "1M"):
    data = f"{folder}/{name}.data"
    rows = {"ours": f"exec {fold} {data} --plain"}
    if shutil.which("inferno-collapse-perf"):
        rows["perf script into inferno"] = f"perf script --no-inline -i {data} | inferno-collapse-perf"
    if shutil.which("samply"):
        rows["samply import"] = f"exec samply import {data} --save-only -o {folder}/out.json.gz"
    costs = {row: [] for row in rows}
    for _ in range(repeats):
        for row, command in rows.items():
            costs[row].append(cost(command))
    # Folding and the rest of perf's text are sums of periods; samples are counted by perf itself.
    stats = subprocess.run(["perf", "report", "--stats", "-i", data], capture_output=True, text=True)
    samples = next(l.split(":")[1].split()[0] for l in stats.stdout.splitlines() if "SAMPLE" in l)
    print(f"\n{name}: {samples} samples, {os.path.getsize(data) / 1e6:.1f} MB, median of {repeats}\n")
    print("| | CPU s | peak MiB | CPU of ours to it | memory of ours to it |\n|---|---|---|---|---|")
    medians = {r: [statistics.median(c) for c in zip(*costs[r])] for r in rows}
    for row, (cpu, memory) in medians.items():
        ours = medians["ours"]
        print(f"| {row} | {cpu:.3f} | {memory:.0f} | {ours[0] / cpu:.3f} | {ours[1] / memory:.2f} |")
PYTHON
