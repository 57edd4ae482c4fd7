#!/usr/bin/env python3
"""Whether `hotproof compare` puts time down to the functions that took it.

Three small C programs whose truth is known, because every turn of every loop takes as long: a chain
of dependent operations. 30 pairs of about 2,000 samples a run each. Ends with 1 when a bound does
not hold.

  1  two of five functions change: each function's change of time is within 0.5 % of the run
  2  a function that is inlined into three others: at least 95 % of the share that it has in a build
     that does not inline it
  3  a function that holds 3 % of the run gets 20 % and 35 % faster: its gain is seen, while the
     whole stays within the minimum effect of interest

Usage: scripts/attribution.py. HOTPROOF names the binary; without it a release build is made.
"""
import json, os, subprocess, sys, tempfile
from pathlib import Path

HEAD = "#include <stdio.h>\nstatic volatile unsigned sink;\n"
# The factors differ, or the compiler would fold functions with the same turns into one.
LOOP = "for (unsigned i = 0; i < {turns}u; i++) sink = sink * {factor} + i;"
# Turns that take about 0.2 s on the reference machine.
RUN = 50_000_000


def functions(shares):
    """A program of functions with these shares of a run, by name."""
    text = HEAD
    for index, (name, share) in enumerate(shares.items()):
        loop = LOOP.format(turns=round(RUN * share), factor=31 + 6 * index)
        text += f"__attribute__((noinline)) static void {name}(void) {{\n    {loop}\n}}\n"
    calls = " ".join(f"{name}();" for name in shares)
    return text + f'int main(void) {{ {calls} puts("done"); }}\n'


def inlined(operations):
    """`step` is a chain of operations, inlined into three functions or into none."""
    chain = " ".join("x = x * 2654435761u + 12345u; x ^= x >> 13;" for _ in range(operations))
    text = HEAD + f"""
#ifdef APART
__attribute__((noinline))
#else
__attribute__((always_inline)) inline
#endif
static unsigned step(unsigned x) {{
    {chain}
    return x;
}}
"""
    for name, turns in (("first", 1_000_000), ("second", 2_000_000), ("third", 500_000)):
        text += (f"__attribute__((noinline)) static void {name}(void) {{\n"
                 f"    unsigned x = sink;\n    for (unsigned i = 0; i < {turns}u; i++) x = step(x);\n"
                 "    sink = x;\n}\n")
    loop = LOOP.format(turns=RUN // 4, factor=31)
    text += f"__attribute__((noinline)) static void apart(void) {{\n    {loop}\n}}\n"
    return text + 'int main(void) { first(); second(); third(); apart(); puts("done"); }\n'


def git(folder, *words):
    identity = ["-c", "user.name=truth", "-c", "user.email=truth@hotproof.invalid"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


def compare(hotproof, base, head, flags=""):
    with tempfile.TemporaryDirectory() as folder:
        git(folder, "init", "--quiet", "-b", "main")
        for text in (base, head):
            (Path(folder) / "bench.c").write_text(text)
            (Path(folder) / ".gitignore").write_text("/bench\n")
            git(folder, "add", "--all")
            git(folder, "commit", "--quiet", "-m", "commit")
        ran = subprocess.run(
            [hotproof, "compare", "main~1", "main", "--json", "--quiet", "--no-cache", "--seed", "1",
             "--pairs", "30", "--precision", "0", "--budget", "600",
             "--build", f"cc -O2 -g {flags} -o bench bench.c", "--", "./bench"],
            cwd=folder, capture_output=True, text=True)
    if not ran.stdout:
        sys.exit(ran.stderr)
    value = json.loads(ran.stdout)
    return value, {row["name"]: row for row in value["functions"]}


def samples(value):
    runs = value["runs"]
    return (runs["base_samples"] + runs["head_samples"]) / 2 / runs["pairs"]


def verdict(found, bound, held):
    print(f"   {found}; bound {bound}: {'holds' if held else 'DOES NOT HOLD'}")
    return held


def changes(hotproof):
    base = {"one": 0.30, "two": 0.25, "three": 0.20, "four": 0.15, "five": 0.10}
    head = {**base, "two": 0.25 * 0.8, "four": 0.15 * 1.1}
    value, rows = compare(hotproof, functions(base), functions(head))
    whole = value["end_to_end"]["metrics"][0]["base"]
    print(f"1  changes of five functions, {value['runs']['pairs']} pairs of {samples(value):,.0f} samples a run")
    worst = 0
    for name in base:
        truth = (head[name] - base[name]) * 100
        found = rows[name]["own"]["delta_ns"] / whole * 100
        low, high = (rows[name]["own"][end] / whole * 100 for end in ("ci_low_ns", "ci_high_ns"))
        worst = max(worst, abs(found - truth))
        print(f"   {name:6} {found:+6.2f} % of the run [{low:+.2f}, {high:+.2f}], truth {truth:+.2f} %")
    return verdict(f"at most {worst:.2f} % off", "0.5 %", worst <= 0.5)


def inlining(hotproof):
    shares = []
    for flags in ("", "-DAPART"):
        _, rows = compare(hotproof, inlined(8), inlined(7), flags)
        shares.append(rows["step"]["own_share"]["base"]["pct"])
    part = shares[0] / shares[1] * 100
    print("2  a changed function that is inlined into three others")
    found = f"inlined {shares[0]:.1f} % of the run, in a function of its own {shares[1]:.1f} %: {part:.1f} %"
    return verdict(found, "95 %", part >= 95)


def masked(hotproof, gain):
    base = {"large": 0.97, "small": 0.03}
    value, rows = compare(hotproof, functions(base), functions({**base, "small": 0.03 * (1 - gain)}))
    own = rows["small"]["own"]
    first = value["end_to_end"]["metrics"][0]
    print(f"3  a function of 3 % gets {gain:.0%} faster: {value['verdict']}, {value['explained']['kind']}")
    print(f"   {value['reason']}")
    fell = -own["delta_ns"] / own["base_ns"] * 100
    found = (f"{fell:.1f} % faster [{-own['ci_high_ns'] / own['base_ns'] * 100:.1f}, "
             f"{-own['ci_low_ns'] / own['base_ns'] * 100:.1f}], the whole {first['change_pct']:+.2f} % "
             f"[{first['ci_low_pct']:+.2f}, {first['ci_high_pct']:+.2f}]")
    return verdict(found, "the function's interval excludes 0", own["ci_high_ns"] < 0)


def main():
    top = Path(__file__).resolve().parent.parent
    hotproof = os.environ.get("HOTPROOF")
    if hotproof is None:
        subprocess.run(["cargo", "build", "--locked", "--release", "--quiet"], cwd=top, check=True)
        hotproof = str(top / "target/release/hotproof")
    held = [changes(hotproof), inlining(hotproof), masked(hotproof, 0.2), masked(hotproof, 0.35)]
    sys.exit(not all(held))


main()
