#!/usr/bin/env bash
# Measures how fast recordings of perf become folded stacks, and how fast two become a difference,
# in alternation and as ratios: `hotproof export` and `hotproof diff` against `perf script |
# inferno-collapse-perf`, `samply import` (no symbols), `perf diff` and `inferno-diff-folded`.
# Cold: the cache of names is off; warm: it was filled by a run before. Makes a small, a
# 50,000-sample and a 1,000,000-sample recording of the whole machine under load, and one with
# copies of the stack of a big program (RG, a ripgrep with debug information, or else this binary).
# Prints medians of CPU seconds (user + system, all processes of a row) and the peak memory of the
# largest process, as Markdown, with the commands. A row whose command fails, or takes longer than
# five minutes, says so. The million is measured a third as often.
# Needs perf (as root), gcc and python3; inferno, samply and addr2line are built by cargo when they
# are missing. Usage: [RG=/path/to/rg] scripts/bench-convert.sh [FOLDER [REPEATS]]; recordings in
# FOLDER are used again.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-$(mktemp -d)} repeats=${2:-5}
mkdir -p "$folder/gimli/bin"
folder=$(cd "$folder" && pwd)
export PATH="$folder/tools/bin:$PATH"
for tool in inferno samply; do
    binary=$tool
    [ $tool = inferno ] && binary=inferno-collapse-perf
    command -v "$binary" >/dev/null ||
        cargo install --quiet --locked --root "$folder/tools" "$tool" || echo "skipped: no $tool"
done
# In a folder of its own, because perf takes the first addr2line on the path.
[ -x "$folder/gimli/bin/addr2line" ] ||
    cargo install --quiet --locked --root "$folder/gimli" --features bin addr2line ||
    echo "skipped: no addr2line"
cargo build --release --quiet -p hotproof
hotproof=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)/release/hotproof
rg=${RG:-$hotproof}

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
make 50k-again 2500 10
make 1M 18000 29
if [ ! -s "$folder/dwarf.data" ]; then
    sources=${CARGO_HOME:-$HOME/.cargo}/registry/src
    work=("$rg" -n -j1 -i '[a-z]+_[a-z]+ed\b' "$sources" --no-ignore -g '*.rs' -m 40)
    [ "$rg" = "$hotproof" ] && work=("$hotproof" -q export "$folder/50k.data" -o "$folder/out.svg")
    perf record -q -e cpu-clock:u -F 4999 --call-graph dwarf,16384 -o "$folder/dwarf.data" -- \
        "${work[@]}" >/dev/null || true
fi

python3 - "$folder" "$repeats" "$hotproof" <<'PYTHON'
import ctypes, os, re, shutil, statistics, subprocess, sys, time

folder, repeats, hotproof = sys.argv[1], int(sys.argv[2]), sys.argv[3]
inferno = shutil.which("inferno-collapse-perf")
samply = shutil.which("samply")
PR_SET_CHILD_SUBREAPER = 36
OFF = {"HOTPROOF_CACHE": "off"}
WARM = {"HOTPROOF_CACHE": f"{folder}/cache"}
GIMLI = {"PATH": f"{folder}/gimli/bin:{os.environ['PATH']}"}

def cost(command, environment):
    """CPU seconds and peak MiB of a command and all that it starts, in a child of its own, or why
    there are none."""
    into, out = os.pipe()
    if (child := os.fork()) == 0:
        import resource
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        shell = ["timeout", "300", "bash", "-o", "pipefail", "-c", command]
        # perf ends without waiting for its addr2line, which would then not be counted.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        failed = subprocess.run(shell, env={**os.environ, **environment}, **quiet).returncode
        try:
            while True:
                os.wait()
        except ChildProcessError:
            pass
        use = resource.getrusage(resource.RUSAGE_CHILDREN)
        os.write(out, f"{failed} {use.ru_utime + use.ru_stime} {use.ru_maxrss / 1024}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    failed, cpu, memory = os.read(into, 100).split()
    os.close(into), os.close(out)
    if int(failed):
        return "longer than 300 s" if int(failed) == 124 else f"failed with {int(failed)}"
    return float(cpu), float(memory)

def short(command, environment):
    """A command as it is shown: without the folders of this machine."""
    shown = command.removeprefix("exec ").replace(hotproof, "hotproof").replace(f"{folder}/", "")
    names = {**environment}
    if "HOTPROOF_CACHE" in names:
        names["HOTPROOF_CACHE"] = os.path.basename(names["HOTPROOF_CACHE"])
    if "PATH" in names:
        names["PATH"] = "gimli/bin:$PATH"
    return " ".join([*(f"{name}={value}" for name, value in names.items()), *shown.split()])

def table(title, ours, peers, repeats=repeats):
    """Rows of ours, each with its ratios to all peers."""
    rows = {**ours, **peers}
    costs, failures = {row: [] for row in rows}, {}
    load = os.getloadavg()[0]
    for _ in range(repeats):
        for row, (command, environment) in rows.items():
            if row in failures:
                continue
            match cost(command, environment):
                case str(reason):
                    failures[row] = reason
                case measured:
                    costs[row].append(measured)
    if failed := failures.keys() & ours:
        sys.exit(f"{title}: failed: {sorted(failed)}")
    peers = {row: peer for row, peer in peers.items() if row not in failures}
    medians = {r: [statistics.median(c) for c in zip(*costs[r])] for r in [*ours, *peers]}
    print(f"\n## {title}\n")
    print(f"{time.strftime('%Y-%m-%d %H:%M')}, median of {repeats}, load {load:.1f} before.\n")
    heads = "".join(f" to {peer}, CPU | memory |" for peer in peers)
    print(f"| | CPU s | peak MiB |{heads}\n|---|---|---|{'---|---|' * len(peers)}")
    for row, (cpu, memory) in medians.items():
        ratios = "".join(
            f" {cpu / medians[peer][0]:.3f} | {memory / medians[peer][1]:.2f} |" for peer in peers
        ) if row in ours else " | |" * len(peers)
        print(f"| {row} | {cpu:.3f} | {memory:.0f} |{ratios}")
    for row, reason in failures.items():
        print(f"| {row} | {reason} | |{' | |' * len(peers)}")
    print()
    for row, what in rows.items():
        print(f"- {row}: `{short(*what)}`", flush=True)

def samples(data):
    stats = subprocess.run(["perf", "report", "--stats", "-i", data], capture_output=True, text=True)
    return re.search(r"^\s*SAMPLE events:\s*(\d+)", stats.stdout, re.MULTILINE)[1]

def version(*command):
    """The first line of what a tool says of itself."""
    said = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    return said[0] if said else "unknown"

def export(data, more=""):
    return f"exec {hotproof} -q export {data} {more} -o {folder}/ours.folded"

about = [f"Linux {os.uname().release}", f"{os.cpu_count()} CPUs", version("perf", "--version")]
installed = version("cargo", "install", "--list", "--root", f"{folder}/tools")
about += [installed.rstrip(":")] + ([version(samply, "--version")] if samply else [])
print(", ".join(about) + ".")

for name in ("small", "50k", "1M"):
    data = f"{folder}/{name}.data"
    cost(export(data), WARM)
    cost(export(data, "--no-inline"), WARM)
    ours = {
        "names, cold": (export(data, "--no-inline"), OFF),
        "names, warm": (export(data, "--no-inline"), WARM),
        "inlined functions too, cold": (export(data), OFF),
        "inlined functions too, warm": (export(data), WARM),
    }
    peers = {}
    if inferno:
        script = f"perf script --no-inline -i {data}"
        peers["perf into inferno"] = (f"{script} | inferno-collapse-perf >{folder}/perf.folded", {})
    if samply:
        save = f"--save-only -o {folder}/out.json.gz"
        peers["samply import"] = (f"exec samply import {data} {save}", {})
    size = os.path.getsize(data) / 1e6
    often = max(1, repeats // 3) if name == "1M" else repeats
    table(f"{name}: {samples(data)} samples, {size:.1f} MB", ours, peers, often)

data = f"{folder}/dwarf.data"
if samples(data) and os.path.exists(f"{folder}/gimli/bin/addr2line"):
    cost(export(data), WARM)
    ours = {"cold": (export(data), OFF), "warm": (export(data), WARM)}
    peers = {"perf script with gimli's addr2line": (f"perf script -i {data}", GIMLI)}
    size = os.path.getsize(data) / 1e6
    table(f"copies of the stack: {samples(data)} samples, {size:.1f} MB", ours, peers)

pair = [f"{folder}/50k.data", f"{folder}/50k-again.data"]
diff = f"exec {hotproof} -q diff {' '.join(pair)}"
cost(diff, WARM)
table("difference of two of 50,000", {"cold": (diff, OFF), "warm": (diff, WARM)},
      {"perf diff": (f"perf diff {' '.join(pair)}", {})})
if shutil.which("inferno-diff-folded"):
    texts = [f"{folder}/{n}.folded" for n in ("a", "b")]
    for data, text in zip(pair, texts):
        cost(f"exec {hotproof} -q export {data} -o {text}", OFF)
    command = f"exec {hotproof} -q diff {' '.join(texts)} -o {folder}/ours-diff.folded"
    peer = f"exec inferno-diff-folded {' '.join(texts)}"
    table("difference of two folded files", {"ours": (command, OFF)},
          {"inferno-diff-folded": (peer, {})})
PYTHON
