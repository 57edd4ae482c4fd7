#!/usr/bin/env python3
"""What recording costs and what it catches: hotproof beside perf record (frame pointers, dwarf) and samply.

Every tool runs on the same targets in alternation; a round begins with the target alone. Printed are,
as medians over rounds: CPU time of target and recorder together as a ratio to the target alone, samples
taken as a ratio to rate times the target's own CPU time; and of the last round the share of samples
whose stack reaches the program's start, and how many the tool itself says are lost. Needs gcc, g++ and rustc, and for the peers perf (as root) and samply; samply 0.13
starts only at kernel.perf_event_paranoid 1, which this script sets for its runs (as root) and restores.

Usage: scripts/bench-record.py [--folder DIR] [--rounds N] [--rates 999,9999] [--targets tight,deep250,...]
HOTPROOF names the binary; without it a release build is made.
"""

import argparse, contextlib, gzip, json, os, pathlib, re, shutil, signal, statistics, subprocess, sys, tempfile

HERE = pathlib.Path(__file__).resolve().parent.parent
PARANOID = pathlib.Path("/proc/sys/kernel/perf_event_paranoid")

TIGHT = """
#include <stdint.h>
#include <stdio.h>
__attribute__((noinline)) uint32_t mix(uint32_t x) { for (int i = 0; i < 64; i++) x = x * 1664525u + 1013904223u ^ x >> 7; return x; }
__attribute__((noinline)) uint32_t spread(uint32_t x, uint32_t n) { for (uint32_t i = 0; i < n; i++) x ^= mix(x + i); return x; }
int main(void) { uint32_t x = 1; for (int i = 0; i < 13; i++) x = spread(x, 1000000); printf("%u\\n", x); }
"""
DEEP = """
#include <stdint.h>
#include <stdio.h>
__attribute__((noinline)) uint32_t mix(uint32_t x) { for (int i = 0; i < 64000; i++) x = x * 1664525u + 1013904223u ^ x >> 7; return x; }
__attribute__((noinline)) uint32_t down(uint32_t depth, uint32_t x) { volatile uint32_t keep = x; return (depth ? down(depth - 1, x + 1) : mix(x)) + keep; }
int main(void) { uint32_t x = 1; for (int i = 0; i < 13000; i++) x ^= down(DEPTH, x); printf("%u\\n", x); }
"""
THREADS = """
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
static uint32_t out[32];
__attribute__((noinline)) uint32_t mix(uint32_t x) { for (int i = 0; i < 64; i++) x = x * 1664525u + 1013904223u ^ x >> 7; return x; }
static void *work(void *slot) { uint32_t x = 1; for (int i = 0; i < 500000; i++) x ^= mix(x + i); *(uint32_t *)slot = x; return 0; }
int main(void) { pthread_t t[32]; for (int i = 0; i < 32; i++) pthread_create(&t[i], 0, work, &out[i]);
  for (int i = 0; i < 32; i++) pthread_join(t[i], 0); printf("%u\\n", out[0]); }
"""
CORES = DEEP.split("int main")[0] + """
#include <pthread.h>
static void *work(void *slot) { uint32_t x = 1; for (int i = 0; i < 8000; i++) x ^= down(DEPTH, x); *(uint32_t *)slot = x; return 0; }
int main(void) { pthread_t t[2]; uint32_t out[2]; for (int i = 0; i < 2; i++) pthread_create(&t[i], 0, work, &out[i]);
  for (int i = 0; i < 2; i++) pthread_join(t[i], 0); printf("%u\\n", out[0] ^ out[1]); }
"""
CPP = """
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>
struct Shape { virtual ~Shape() = default; virtual double area() const = 0; };
struct Square : Shape { double a; explicit Square(double a) : a(a) {} double area() const override { return a * a; } };
struct Circle : Shape { double r; explicit Circle(double r) : r(r) {} double area() const override { return 3.14159 * r * r; } };
int main() { std::mt19937 rng(7); double sum = 0;
  for (int round = 0; round < 24; round++) { std::vector<std::unique_ptr<Shape>> all; std::map<std::string, double> names;
    for (int i = 0; i < 40000; i++) { double v = rng() % 1000; if (i % 2) all.push_back(std::make_unique<Square>(v)); else all.push_back(std::make_unique<Circle>(v)); }
    std::sort(all.begin(), all.end(), [](auto &a, auto &b) { return a->area() < b->area(); });
    for (auto &shape : all) names[std::to_string((int)shape->area() % 5000)] += shape->area();
    sum += names.size(); }
  std::printf("%f\\n", sum); }
"""
CRATE = "use std::collections::BTreeMap;\npub fn main() { let mut m = BTreeMap::new(); for w in std::env::args() { *m.entry(w).or_insert(0u64) += 1; } println!(\"{m:?}\"); }\n"


def build(folder):
    """Name to command; programs are compiled with -O2, debug information and no frame pointers."""
    flags = ["-O2", "-g", "-fomit-frame-pointer"]

    def compiled(name, text, compiler="gcc", *more):
        source = folder / f"{name}.{'cpp' if compiler == 'g++' else 'c'}"
        source.write_text(text)
        subprocess.run([compiler, *flags, *more, "-o", folder / name, source, "-pthread"], check=True)
        return [str(folder / name)]

    crate = folder / "small.rs"
    crate.write_text(CRATE)
    return {
        "tight": compiled("tight", TIGHT),
        "deep250": compiled("deep250", DEEP, "gcc", "-DDEPTH=250"),
        "deep2000": compiled("deep2000", DEEP, "gcc", "-DDEPTH=2000"),
        "threads32": compiled("threads32", THREADS),
        "cores2": compiled("cores2", CORES, "gcc", "-DDEPTH=250"),
        "cpp": compiled("cpp", CPP, "g++"),
        "rustc": ["rustc", "-O", "-o", str(folder / "small"), str(crate)],
        "true": ["true"],
    }


def recorders(folder, hotproof):
    """Name to (output file, command prefix for a rate); only those that are installed."""
    found = {"hotproof": ("out.hotproof", lambda hz, out: [hotproof, "-q", "record", "-F", str(hz), "-o", out, "--"])}
    if shutil.which("perf"):
        perf = lambda how: lambda hz, out: ["perf", "record", "-q", "-F", str(hz), "--call-graph", how, "-o", out, "--"]
        found["perf fp"] = ("fp.data", perf("fp"))
        found["perf dwarf"] = ("dwarf.data", perf("dwarf"))
    if shutil.which("samply"):
        found["samply"] = ("samply.json.gz", lambda hz, out: ["samply", "record", "--save-only", "-r", str(hz), "-o", out, "--"])
    return found


def cost(command):
    """CPU seconds of a command and all that it waited for; None when it failed."""
    into, out = os.pipe()
    if (child := os.fork()) == 0:
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        failed = subprocess.run(command, **quiet).returncode
        import resource

        use = resource.getrusage(resource.RUSAGE_CHILDREN)
        os.write(out, f"{failed} {use.ru_utime + use.ru_stime}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    failed, cpu = os.read(into, 100).split()
    os.close(into), os.close(out)
    return None if int(failed) else float(cpu)


def caught(tool, path, hotproof):
    """Samples, and the share of those whose stack reaches the start of the program or thread (None: not told)."""
    start = re.compile(r"(^|;)(_start|__?clone3?|start_thread|_?_?libc_start[^;]*|main)(;|$| )")
    folded = None
    if tool == "hotproof":
        told = json.loads(subprocess.check_output([hotproof, "report", "--json", path], stderr=subprocess.DEVNULL))
        samples = told["profile"]["samples"] if "profile" in told else told["samples"]
        folded = subprocess.check_output([hotproof, "-q", "export", "--no-inline", "-f", "folded", "--weight", "samples", "-o", "-", path], stderr=subprocess.DEVNULL)
    elif tool.startswith("perf"):
        stats = subprocess.run(["perf", "report", "--stats", "-i", path], capture_output=True, text=True).stdout
        samples = next(int(line.split(":")[1].split()[0]) for line in stats.splitlines() if "SAMPLE" in line)
        if shutil.which("inferno-collapse-perf"):
            script = subprocess.run(["perf", "script", "--no-inline", "-i", path], capture_output=True).stdout
            folded = subprocess.run(["inferno-collapse-perf"], input=script, capture_output=True).stdout
    else:
        profile = json.loads(gzip.open(path).read())
        samples = sum(thread["samples"]["length"] for thread in profile["threads"])
    if not folded:
        return samples, None
    whole = reached = 0
    for line in folded.decode(errors="replace").splitlines():
        stack, weight = line.rsplit(" ", 1)
        whole += int(weight)
        reached += int(weight) * bool(start.search(stack))
    return samples, reached / whole if whole else None


def lost(tool, path, hotproof):
    """Samples that the tool itself says it lost; None where it does not say."""
    if tool == "hotproof":
        told = json.loads(subprocess.check_output([hotproof, "report", "--json", path], stderr=subprocess.DEVNULL))
        return told["quality"]["lost_samples"]
    if tool.startswith("perf"):
        script = subprocess.run(["perf", "script", "--show-lost-events", "-F", "comm", "-i", path], capture_output=True, text=True)
        return sum(map(int, re.findall(r"PERF_RECORD_LOST\S*.*?lost (\d+)", script.stdout)))
    return None


@contextlib.contextmanager
def lowered():
    """perf_event_paranoid at 1 where we may set it, as it was afterwards."""
    before = PARANOID.read_text()
    try:
        with contextlib.suppress(PermissionError):
            if int(before) > 1:
                PARANOID.write_text("1")
        yield
    finally:
        with contextlib.suppress(PermissionError):
            PARANOID.write_text(before)


def main():
    # What was set is set back when a time limit ends this, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rates", default="999,9999")
    parser.add_argument("--targets", default="tight,deep250,deep2000,threads32,cores2,cpp,rustc")
    asked = parser.parse_args()
    folder = asked.folder or pathlib.Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    hotproof = os.environ.get("HOTPROOF")
    if hotproof is None:
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=HERE, check=True)
        hotproof = str(pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target")) / "release/hotproof")
    targets, tools = build(folder), recorders(folder, hotproof)
    for peer in ("perf", "samply"):
        if not shutil.which(peer):
            print(f"skipped: no {peer} on this machine", file=sys.stderr)

    with lowered():
        print("| target | rate | tool | CPU of all, to the target alone | samples, to rate x CPU | stacks that reach the start | lost |")
        print("|---|---|---|---|---|---|---|")
        for name in asked.targets.split(","):
            for hz in map(int, asked.rates.split(",")):
                alone, ratios = [], {tool: [] for tool in tools}
                last = {}
                for _ in range(asked.rounds):
                    base = cost(targets[name])
                    alone.append(base)
                    for tool, (out, prefix) in tools.items():
                        path = str(folder / out)
                        pathlib.Path(path).unlink(missing_ok=True)
                        spent = cost(prefix(hz, path) + targets[name])
                        if spent is not None:
                            ratios[tool].append(spent / base)
                            last[tool] = path
                for tool in tools:
                    if tool not in last:
                        print(f"| {name} | {hz} | {tool} | it did not run | | | |")
                        continue
                    samples, reached = caught(tool, last[tool], hotproof)
                    got = samples / (hz * statistics.median(alone))
                    shown = "not told" if reached is None else f"{100 * reached:.2f} %"
                    gone = lost(tool, last[tool], hotproof)
                    gone = "not told" if gone is None else f"{gone}"
                    print(f"| {name} ({statistics.median(alone):.2f} s) | {hz} | {tool} | {statistics.median(ratios[tool]):.3f} | {got:.3f} | {shown} | {gone} |", flush=True)
        nothing = [cost(targets["true"]) for _ in range(20)]
        for tool, (out, prefix) in tools.items():
            path = str(folder / out)
            spent = [cost(prefix(999, path) + targets["true"]) for _ in range(20)]
            if None not in spent:
                print(f"start and finish, {tool}: {1000 * (statistics.median(spent) - statistics.median(nothing)):.0f} ms of CPU")


if __name__ == "__main__":
    main()
