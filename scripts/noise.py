#!/usr/bin/env python3
"""How often `hotproof compare` is right under a load that goes on and off.

Compares commits of a small C program whose truth is known, again and again, while busy loops
start and end at random: identical code (a local variable of the hot function is renamed, so that
the machine code is the same, built twice), padding alone (a dead function more), known changes of
2 % and 5 % (nominal: start and end of the process do not change), and 2 % of runs ten times as long
(0.2 s), which have 85 s. Each comparison appends a line to the results, and what stands there is not
measured again, so that the script may be stopped at any time. On a machine that is busy with other work,
--no-load starts no busy loops; the load average beside each comparison says what it stood under.

Usage: scripts/noise.py RESULTS.tsv [--minutes M] [--no-load] [KIND=NUMBER...]
Example: scripts/noise.py noise.tsv identical=300 padding=100 minus2=30 minus5=30 plus2=30 long2=10
         scripts/noise.py noise.tsv          what the results so far say
HOTPROOF names the binary; without it a release build is made.
"""
import json, os, random, signal, subprocess, sys, tempfile, threading, time
from pathlib import Path

COLUMNS = ["kind", "seed", "verdict", "outcome", "pairs", "decided", "change_pct", "low_pct",
           "high_pct", "identical_sd_pct", "pairs_sd_pct", "seconds", "load"]
# Turns of both loops, which take as long as each other: about 20 ms a run on the reference machine.
TURNS = 2_500_000
# By which fraction of the whole run each kind is slower.
KINDS = {"identical": 0.0, "padding": 0.0, "minus2": -0.02, "minus5": -0.05, "plus2": 0.02, "long2": -0.02}
# How many times as long a run of a kind is, and how many seconds it has for all its runs.
LONGER = {"long2": 10}
BUDGET_S = {"long2": 85}


def program(turns, others, name, padding):
    dead = ""
    if padding:
        dead = ('__attribute__((used, noinline)) static void dead(void) '
                f'{{ __asm__ volatile(".skip {padding}, 0x90"); }}\n')
    return f"""#include <stdio.h>
static volatile unsigned sink;
{dead}__attribute__((noinline)) static void hot(void) {{
    for (unsigned {name} = 0; {name} < {turns}; {name}++) sink = sink * 31 + {name};
}}
__attribute__((noinline)) static void cold(void) {{
    for (unsigned i = 0; i < {others}; i++) sink = sink * 37 + i;
}}
int main(void) {{
    hot();
    cold();
    puts("done");
}}
"""


def git(folder, *words):
    identity = ["-c", "user.name=noise", "-c", "user.email=noise@hotproof.invalid"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


def repository(folder, kind, seed):
    git(folder, "init", "--quiet", "-b", "main")
    # The changed loop holds half the run.
    others = TURNS * LONGER.get(kind, 1)
    turns = round(others * (1 + 2 * KINDS[kind]))
    padding = random.Random(seed).randrange(16, 4096) if kind == "padding" else 0
    for text in (program(others, others, "i", 0), program(turns, others, "turn", padding)):
        (Path(folder) / "bench.c").write_text(text)
        (Path(folder) / ".gitignore").write_text("/bench\n")
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "-m", kind)


def compare(hotproof, kind, seed):
    with tempfile.TemporaryDirectory() as folder:
        repository(folder, kind, seed)
        started, load_average = time.monotonic(), os.getloadavg()[0]
        ran = subprocess.run(
            [hotproof, "compare", "main~1", "main", "--json", "--no-cache", "--quiet", "--seed",
             str(seed), "--build", "cc -O2 -g -o bench bench.c", "--budget", str(BUDGET_S.get(kind, 60)), "--precision", "5", "--", "./bench"],
            cwd=folder, capture_output=True, text=True)
        seconds = time.monotonic() - started
    if not ran.stdout:
        sys.exit(f"{kind} {seed}: {ran.stderr}")
    value = json.loads(ran.stdout)
    end, runs = value["end_to_end"], value["runs"]
    first = end["metrics"][0]
    identical = value["machine"]["identical_builds"] or {}
    ratios = sorted(r["head"]["cpu_ns"] / r["base"]["cpu_ns"] for r in runs["list"])
    middle = ratios[len(ratios) // 2]
    spread = sorted(abs(ratio / middle - 1) for ratio in ratios)[len(ratios) // 2] * 1.4826
    row = [kind, seed, value["verdict"], end["outcome"], runs["pairs"],
           end["decided_after_pairs"], first["change_pct"], first["ci_low_pct"],
           first["ci_high_pct"], identical.get("sd_pct"), spread * 100, seconds, load_average]
    return "\t".join("" if x is None else f"{x:.3f}" if isinstance(x, float) else str(x) for x in row)


def load(stop):
    """Busy loops, one for each CPU, on for 2 to 8 s and off for as long."""
    dice = random.Random(1)
    while not stop.is_set():
        busy = [subprocess.Popen(["sh", "-c", "while :; do :; done"])
                for _ in range(os.cpu_count() or 1)]
        try:
            stop.wait(dice.uniform(2, 8))
        finally:
            for process in busy:
                process.kill()
                process.wait()
        stop.wait(dice.uniform(2, 8))


def rows(path):
    if not path.exists():
        return []
    lines = path.read_text().splitlines()[1:]
    return [dict(zip(COLUMNS, line.split("\t"))) for line in lines]


def median(values):
    values = sorted(float(value) for value in values if value != "")
    return values[len(values) // 2] if values else float("nan")


def summary(path):
    print("| kind | comparisons | kept | faster, slower, no effect, undecided | pairs to the outcome: median, 95 % | change: median | 99 % intervals that miss the truth | spread of pairs: median | seconds: median | load average: median, 95 % |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for kind, truth in KINDS.items():
        own = [row for row in rows(path) if row["kind"] == kind]
        if not own:
            continue
        kept = sum(row["verdict"].startswith("keep") for row in own)
        outcomes = [sum(row["outcome"] == name for row in own)
                    for name in ("faster", "slower", "no_effect", "undecided")]
        decided = sorted(int(row["decided"]) for row in own if row["decided"])
        late = decided[int(len(decided) * 0.95)] if decided else "-"
        ends = [(row["low_pct"], row["high_pct"]) for row in own if row["low_pct"] and row["high_pct"]]
        loads = sorted(float(row["load"]) for row in own)
        missed = sum(not float(low) <= truth * 100 <= float(high) for low, high in ends)
        print(f"| {kind} | {len(own)} | {kept} | {', '.join(map(str, outcomes))} "
              f"| {decided[len(decided) // 2] if decided else '-'}, {late} "
              f"| {median(row['change_pct'] for row in own):+.2f} % | {missed} of {len(ends)} "
              f"| {median(row['pairs_sd_pct'] for row in own):.2f} % "
              f"| {median(row['seconds'] for row in own):.0f} "
              f"| {loads[len(loads) // 2]:.1f}, {loads[int(len(loads) * 0.95)]:.1f} |")


def main():
    words = sys.argv[1:]
    if not words or words[0].startswith("-"):
        sys.exit(__doc__)
    path, minutes, own_load, wanted = Path(words[0]), None, True, {}
    words = iter(words[1:])
    for word in words:
        if word == "--minutes":
            minutes = float(next(words))
        elif word == "--no-load":
            own_load = False
        else:
            kind, number = word.split("=")
            wanted[kind] = int(number)
            KINDS[kind]
    if wanted:
        top = Path(__file__).resolve().parent.parent
        hotproof = os.environ.get("HOTPROOF")
        if hotproof is None:
            subprocess.run(["cargo", "build", "--locked", "--release", "--quiet"], cwd=top, check=True)
            hotproof = str(top / "target/release/hotproof")
        measure(path, hotproof, wanted, minutes, own_load)
    summary(path)


def measure(path, hotproof, wanted, minutes, own_load):
    if not path.exists():
        path.write_text("\t".join(COLUMNS) + "\n")
    done = {(row["kind"], int(row["seed"])) for row in rows(path)}
    # One of each kind in turn, as far as each goes.
    order = [(kind, seed) for seed in range(1, max(wanted.values()) + 1) for kind in wanted
             if seed <= wanted[kind] and (kind, seed) not in done]
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    loader = threading.Thread(target=load, args=(stop,))
    if own_load:
        loader.start()
    until = time.monotonic() + minutes * 60 if minutes else float("inf")
    try:
        for kind, seed in order:
            if time.monotonic() > until:
                break
            line = compare(hotproof, kind, seed)
            with path.open("a") as results:
                results.write(line + "\n")
    finally:
        stop.set()
        if own_load:
            loader.join()


main()
