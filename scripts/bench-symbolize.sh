#!/usr/bin/env bash
# Measures how fast addresses of one big file become chains of functions and lines, in alternation:
# ours, the addr2line crate, blazesym (built here in a scratch project), llvm-symbolizer.
# Prints medians of CPU seconds (user + system), our peak of private memory, and ratios to ours.
# Usage: scripts/bench-symbolize.sh FILE [REPEATS]; FILE is a binary with DWARF and a symbol table,
# for example a Debian kernel debug image.
set -euo pipefail
file=$(realpath "$1") repeats=${2:-5}
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cargo build --release --quiet -p hotproof-symbolizer --example frames
frames=${CARGO_TARGET_DIR:-target}/release/examples/frames
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
use std::io::BufRead;
fn main() {
    let file = std::env::args().nth(1).expect("a file");
    let lines = std::io::stdin().lock().lines();
    let hex = |line: std::io::Result<String>| {
        u64::from_str_radix(line.unwrap().trim().trim_start_matches("0x"), 16).unwrap()
    };
    let addresses: Vec<u64> = lines.map(hex).collect();
    let source = Source::Elf(Elf::new(&file));
    let symbolizer = Symbolizer::new();
    let found = symbolizer.symbolize(&source, Input::VirtOffset(&addresses)).unwrap();
    let frames = found.iter().filter_map(|s| s.as_sym()).map(|s| 1 + s.inlined.len());
    eprintln!("blazesym: {} frames", frames.sum::<usize>());
}
RUST
(cd "$folder/peer" && cargo build --release --quiet --target-dir "$folder/peer/target") || echo "skipped: no blazesym"
python3 - "$file" "$repeats" "$folder" "$frames" <<'PYTHON'
import os, random, re, resource, statistics, subprocess, sys
sys.path.insert(0, "scripts")
from agreement import addresses
file, repeats, folder, frames = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
tools = {
    "ours": [frames, "ours", file],
    "addr2line": [frames, "addr2line", file],
    "blazesym": [f"{folder}/peer/target/release/peer", file],
    "llvm-symbolizer": ["llvm-symbolizer", "-e", file, "-i"],
}
def cpu(command, asked):
    before = os.times()
    done = subprocess.run(command, input=asked, text=True, capture_output=True)
    after = os.times()
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    private = re.search(r"private (\d+) KiB", done.stderr)
    return seconds, int(private[1]) // 1024 if private else None
for name, count, hot in (("1 address", 1, False), ("1,000 hot", 1000, True), ("1,000 random", 1000, False),
                         ("100,000 random", 100_000, False), ("1,000,000 random, unsorted", 1_000_000, False)):
    asked = addresses(file, count, hot, 1)
    random.Random(3).shuffle(asked)
    text = "".join(f"{a:#x}\n" for a in asked)
    used = {tool: [] for tool in tools}
    memory = {}
    for _ in range(repeats):
        for tool, command in tools.items():
            if not os.path.exists(command[0]) and command[0].startswith("/tmp"):
                continue
            if tool == "llvm-symbolizer" and count > 100_000:
                continue
            seconds, private = cpu(command, text)
            used[tool].append(seconds)
            memory[tool] = private
    medians = {tool: statistics.median(s) for tool, s in used.items() if s}
    row = ", ".join(f"{tool} {s:.3f} s ({s / medians['ours']:.2f}x)" for tool, s in medians.items())
    print(f"{name}: {row}; private memory: ours {memory['ours']} MiB, addr2line {memory['addr2line']} MiB")
PYTHON
