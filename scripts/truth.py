#!/usr/bin/env python3
"""Derives the truth about the test programs and writes tests/programs/truth.toml.

    scripts/truth.py            derive, print, write
    scripts/truth.py --check    derive, print, fail when the committed table differs

Each program in tests/programs/ deals whole decks of work cards and prints how many units of work
it did under which chain of functions: that count is the truth, and it is exact. A unit is a chain
of dependent operations of one length, so that equal counts take equal time. Callgrind, which
counts instructions and the calls between functions, must agree with the counts within 0.3 points
on the own and the total share of every function (of functions that are inlined it knows nothing).

Needs rustc, gcc and valgrind.
"""

import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "tests" / "programs"
TABLE = PROGRAMS / "truth.toml"
TOLERANCE_POINTS = 0.3

RUST = ["rustc", "-O", "-C", "debuginfo=1", "--edition", "2024", "-o", "{out}", "{source}"]
C = ["gcc", "-O2", "-g", "-fomit-frame-pointer", "-pthread", "-o", "{out}", "{source}"]

# Source, and decks that make some hundred million instructions.
SOURCES = [
    ("five.rs", 3),
    ("recursion.c", 20),
    ("inlined.rs", 3),
    ("generic.rs", 3),
    ("closure.rs", 3),
    ("library.rs", 3),
    ("threads.c", 5),
    ("child.c", 3),
    ("leaf.c", 50),
]


def plain(name):
    """One spelling of a function's name for both sides: no generics, no hash, no numbers."""
    name = re.sub(r"'\d+$", "", name)
    name = re.sub(r"::h[0-9a-f]{16}$", "", name)
    name = re.sub(r"\{\{closure\}\}|\{closure#\d+\}", "{closure}", name)
    return re.sub(r"<.*>", "", name)


def build(source, out):
    command = RUST if source.endswith(".rs") else C
    filled = [part.format(out=out, source=PROGRAMS / source) for part in command]
    subprocess.run(filled, check=True)
    return command


def counted_chains(program, decks):
    """Share in percent of each chain of functions, from the program's own count."""
    run = subprocess.run([program, "decks", str(decks)], check=True, capture_output=True, text=True)
    counts = {}
    for line in run.stdout.splitlines():
        chain, count = line.rsplit(" ", 1)
        counts[chain] = int(count)
    whole = sum(counts.values())
    return {chain: 100 * count / whole for chain, count in counts.items()}


def counted_shares(chains):
    """Own and total share of each function that has machine code of its own."""
    own, total = defaultdict(float), defaultdict(float)
    for chain, share in chains.items():
        physical = [plain(name) for name in chain.split(";") if not name.startswith("[")]
        own[physical[-1]] += share
        for name in dict.fromkeys(physical):
            total[name] += share
    return own, total


def callgrind_shares(program, decks, folder):
    """Own and total share of each function by instructions executed."""
    subprocess.run(
        ["valgrind", "-q", "--tool=callgrind", "--trace-children=yes",
         f"--callgrind-out-file={folder}/callgrind.%p", program, "decks", str(decks)],
        check=True, capture_output=True)
    own, total, whole = defaultdict(int), defaultdict(int), 0
    for file in sorted(Path(folder).glob("callgrind.*")):
        for shares, inclusive in ((own, "no"), (total, "yes")):
            text = subprocess.run(
                ["callgrind_annotate", "--auto=no", "--threshold=100", f"--inclusive={inclusive}",
                 str(file)], check=True, capture_output=True, text=True).stdout
            seen = defaultdict(int)
            for line in text.splitlines():
                if "PROGRAM TOTALS" in line and inclusive == "no":
                    whole += int(line.split()[0].replace(",", ""))
                row = re.match(r"\s*([\d,]+) \([ \d.]+%\)\s+[^:]*:(\S+)(?: \[.*\])?$", line)
                if row:
                    count = int(row[1].replace(",", ""))
                    name = plain(row[2])
                    if inclusive == "no":
                        seen[name] += count
                    # Rows of inlined files hold parts of the function's own row, and those of
                    # deeper levels of a recursion (`walk'2`) are inside the outermost one.
                    elif not re.search(r"'\d+$", row[2]):
                        seen[name] = max(seen[name], count)
            for name, count in seen.items():
                shares[name] += count
        file.unlink()
    percent = lambda counts: {name: 100 * count / whole for name, count in counts.items()}
    return percent(own), percent(total)


def compare(name, counted, measured):
    """Prints one line for each function; returns how many are beyond the tolerance."""
    wrong = 0
    for function in counted[1]:
        row = [side[kind].get(function, 0.0) for kind in (0, 1) for side in (counted, measured)]
        apart = max(abs(row[0] - row[1]), abs(row[2] - row[3]))
        wrong += apart > TOLERANCE_POINTS
        mark = "" if apart <= TOLERANCE_POINTS else "  DIFFERS"
        print(f"{name:10} {function:28}" + "".join(f"{value:12.3f}" for value in row) + mark)
    return wrong


def table(entries):
    lines = [
        "# Written by scripts/truth.py, which says how: do not edit.",
        "# Chains run from the root; [brackets] mark a function inlined into the one before it.",
        "# Shares are percent of all work.",
    ]
    for name, source, command, chains in entries:
        quoted = ", ".join(f'"{part}"' for part in command)
        lines += ["", f"[{name}]", f'source = "{source}"', f"build = [{quoted}]",
                  "", f"[{name}.chains]"]
        lines += [f'"{chain}" = {share:.6f}' for chain, share in chains.items()]
    return "\n".join(lines) + "\n"


def main():
    entries, wrong = [], 0
    print(f"{'program':10} {'function':28}{'own':>12}{'callgrind':>12}{'total':>12}{'callgrind':>12}")
    with tempfile.TemporaryDirectory() as folder:
        for source, decks in SOURCES:
            name = source.split(".")[0]
            program = f"{folder}/{name}"
            command = build(source, program)
            chains = counted_chains(program, decks)
            wrong += compare(name, counted_shares(chains), callgrind_shares(program, decks, folder))
            entries.append((name, source, command, chains))
    if wrong:
        sys.exit(f"error: {wrong} functions differ by more than {TOLERANCE_POINTS} points")
    text = table(entries)
    if "--check" not in sys.argv:
        TABLE.write_text(text)
    elif TABLE.read_text() != text:
        sys.exit(f"error: {TABLE.relative_to(ROOT)} is not what the programs do: run {sys.argv[0]}")


if __name__ == "__main__":
    main()
