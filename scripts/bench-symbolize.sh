#!/usr/bin/env bash
# Measures how fast addresses of one big file become chains of functions and lines, in alternation:
# ours, the addr2line crate, blazesym (built here in a scratch project), llvm-symbolizer; then ours
# with a cache on disk that is empty and that has seen the addresses, and with one thread and two.
# Prints medians of CPU milliseconds (user + system, whole processes), ratios to ours, and peaks of
# private memory (sampled in a run of its own). A peer that is missing is said and left out.
# Usage: scripts/bench-symbolize.sh FILE [REPEATS]; FILE is a binary with DWARF and a symbol table,
# for example a Debian kernel debug image. BLAZESYM names a peer that was built before.
set -euo pipefail
file=$(realpath "$1") repeats=${2:-5}
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cargo build --release --quiet -p hotproof-symbolizer --example frames
frames=$(realpath "${CARGO_TARGET_DIR:-target}/release/examples/frames")
mkdir -p "$folder/peer/src"
cat >"$folder/peer/Cargo.toml" <<'TOML'
[workspace]
[package]
name = "peer"
version = "0.0.0"
edition = "2024"
[dependencies]
blazesym = "=0.2.7"
TOML
cat >"$folder/peer/src/main.rs" <<'RUST'
use blazesym::symbolize::{Input, Symbolizer, source::{Elf, Source}};
fn main() {
    let file = std::env::args().nth(1).expect("a file");
    let text = std::io::read_to_string(std::io::stdin()).unwrap();
    let hex = |line: &str| u64::from_str_radix(line.strip_prefix("0x").unwrap_or(line), 16).unwrap();
    let addresses: Vec<u64> = text.lines().map(hex).collect();
    let source = Source::Elf(Elf::new(&file));
    let symbolizer = Symbolizer::new();
    let found = symbolizer.symbolize(&source, Input::VirtOffset(&addresses)).unwrap();
    let frames = found.iter().filter_map(|s| s.as_sym()).map(|s| 1 + s.inlined.len());
    eprintln!("blazesym: {} frames", frames.sum::<usize>());
}
RUST
blazesym=${BLAZESYM:-$folder/peer/target/release/peer}
[ -x "$blazesym" ] || (cd "$folder/peer" && cargo build --release --quiet --target-dir "$folder/peer/target") \
    || echo "skipped: blazesym cannot be built here"
python3 - "$file" "$repeats" "$folder" "$frames" "$blazesym" <<'PYTHON'
import os, random, re, resource, shutil, statistics, subprocess, sys, time
sys.path.insert(0, "scripts")
from agreement import addresses
file, repeats, folder, frames, blazesym = sys.argv[1], int(sys.argv[2]), *sys.argv[3:6]
tools = {
    "ours": [frames, "ours", file],
    "addr2line": [frames, "addr2line", file],
    "blazesym": [blazesym, file],
    "llvm-symbolizer": ["llvm-symbolizer", "-e", file, "-i"],
}
for tool in [tool for tool, command in tools.items() if not shutil.which(command[0])]:
    print(f"skipped: no {tool}")
    del tools[tool]
asked_file, store = f"{folder}/asked", f"{folder}/store"

def run(command, **environment):
    """CPU and wall seconds of one process; an error ends the benchmark."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with open(asked_file) as asked:
        subprocess.run(command, stdin=asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       check=True, env={**os.environ, **environment})
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall

def peak(command):
    """The most anonymous memory that was seen, in MiB, looked at each two milliseconds."""
    most = 0
    with open(asked_file) as asked:
        process = subprocess.Popen(command, stdin=asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        with open(f"/proc/{process.pid}/status") as status:
            sizes = [int(line.split()[1]) for line in status if line.startswith("RssAnon")]
        most = max([most, *sizes])
        time.sleep(0.002)
    return most / 1024

def ask(asked):
    with open(asked_file, "w") as text:
        text.writelines(f"{address:#x}\n" for address in asked)

def row(name, seconds, first="ours"):
    medians = {tool: statistics.median(s) for tool, s in seconds.items()}
    print(f"{name}: " + ", ".join(
        f"{tool} {s * 1e3:.1f} ms ({s / medians[first]:.2f}x)" for tool, s in medians.items()), flush=True)

print(f"{time.strftime('%Y-%m-%d %H:%M')}, {os.path.basename(file)}, {os.path.getsize(file) >> 20} MiB, "
      f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {repeats} runs each", flush=True)
for count, kind in ((1, "random"), (1000, "hot"), (1000, "random"), (100_000, "random"), (1_000_000, "random")):
    asked = addresses(file, count, kind == "hot", 1)
    if len(asked) < count and kind == "random":
        print(f"skipped: {count:,} random addresses, the text has {len(asked):,}")
        continue
    for order in ("sorted", "shuffled") if count >= 100_000 else ("shuffled",):
        if order == "shuffled":
            random.Random(3).shuffle(asked)
        ask(asked)
        used = {tool: [] for tool in tools if tool != "llvm-symbolizer" or count <= 1000}
        walls = []
        for _ in range(repeats if count > 1000 else 3 * repeats):
            for tool in used:
                cpu, wall = run(tools[tool])
                used[tool].append(cpu)
                walls += [wall] if tool == "ours" else []
        name = f"{len(asked):,} {kind}, {order}"
        row(name, used)
        print(f"  wall of ours {statistics.median(walls) * 1e3:.1f} ms, at best {min(walls) * 1e3:.1f} ms; peaks of private memory: "
              + ", ".join(f"{tool} {peak(tools[tool]):.0f} MiB" for tool in used), flush=True)
    if kind == "hot":
        used = {"ours without": [], "empty cache": [], "again": []}
        for _ in range(3 * repeats):
            shutil.rmtree(store, ignore_errors=True)
            used["ours without"].append(run(tools["ours"])[0])
            for state in ("empty cache", "again"):
                used[state].append(run([frames, "cached", file], HOTPROOF_CACHE=store)[0])
        row(f"{name}, with a cache on disk", used, "ours without")
def named_ms(threads):
    """Wall milliseconds that naming took, without reading the questions and counting the answers."""
    with open(asked_file) as asked:
        told = subprocess.run(tools["ours"], stdin=asked, stdout=subprocess.DEVNULL, text=True, check=True,
                              stderr=subprocess.PIPE, env={**os.environ, "RAYON_NUM_THREADS": threads}).stderr
    return float(re.search(r"named in ([0-9.]+) ms", told)[1])

walls = {threads: [] for threads in ("1", "2")}
for _ in range(3 * repeats):
    for threads, seen in walls.items():
        seen.append(named_ms(threads))
# Other processes only ever add to the time, so the best of several is the nearest to an idle machine.
for summary, name_of in ((statistics.median, "median"), (min, "best")):
    one, two = (summary(seen) for seen in walls.values())
    print(f"{name}, naming alone, {name_of} wall: {one:.0f} ms with one thread, {two:.0f} ms with two: "
          f"{one / two:.2f} times as fast, load {os.getloadavg()[0]:.1f}")
PYTHON
