#!/usr/bin/env python3
"""Compares our chains with those of three other readers.

    agreement.py FRAMES FILE [--random N] [--hot N] [--seed S]

FRAMES is the example `frames` of crates/symbolizer. Function chain, file and line of every address
must equal those of the addr2line crate; differences from llvm-symbolizer and binutils are counted by
kind. The exit code is 1 when the crate disagrees.
"""

import argparse
import collections
import random
import subprocess
import sys


NOTHING = "equal: no function in the DWARF of either"


def text_section(file):
    listing = subprocess.run(["readelf", "-SW", file], capture_output=True, text=True, check=True)
    for line in listing.stdout.splitlines():
        words = line.replace("[ ", "[").split()
        if len(words) > 5 and words[1] == ".text":
            return int(words[3], 16), int(words[5], 16)
    sys.exit(f"{file} has no .text")


def addresses(file, count, hot, seed):
    """Random addresses of the text, or of sixty functions of it."""
    chance = random.Random(seed)
    start, size = text_section(file)
    if not hot:
        return sorted(chance.sample(range(start, start + size), min(count, size)))
    listing = subprocess.run(["nm", file], capture_output=True, text=True, check=True).stdout
    starts = sorted({int(w[0], 16) for w in map(str.split, listing.splitlines())
                     if len(w) == 3 and w[1] in "tTwW" and start <= int(w[0], 16) < start + size})
    if len(starts) < 100:
        ours = sorted(chance.sample(range(start, start + size - 4096), 60))
        spans = [range(a, a + 512) for a in ours]
    else:
        picks = chance.sample(range(len(starts) - 1), 60)
        spans = [range(starts[i], starts[i + 1]) for i in picks]
    all_of = sorted({a for span in spans for a in span})
    return sorted(chance.sample(all_of, min(count, len(all_of))))


def frames(command, file, reader, asked):
    text = "".join(f"{a:#x}\n" for a in asked)
    done = subprocess.run([command, reader, file, "--print"], input=text, capture_output=True,
                          text=True, errors="replace", check=True)
    print("  " + done.stderr.strip().replace("\n", "\n  "))
    chains = {}
    for line in done.stdout.splitlines():
        address, *rest = line.split("\t")
        chains[int(address, 16)] = [(n, place(p)) for n, p in zip(rest[::2], rest[1::2])]
    return chains


def place(text):
    """Last part of the file, and line."""
    file, _, line = text.partition(" (")[0].rpartition(":")
    return file.split("/")[-1], int(line) if line.isdigit() else 0


def same_lines(ours, theirs):
    return len(ours) == len(theirs) and all(a[1][1] == b[1][1] for a, b in zip(ours, theirs))


def compare_exact(ours, theirs):
    """Against the crate: names and lines, and files where there is a line."""
    kinds = collections.Counter()
    examples = {}
    for address, chain in ours.items():
        other = theirs[address]
        # Where DWARF has a plain name alone, we say its scope, or the symbol that spells it whole.
        names = len(chain) == len(other) and all(t in o for (o, _), (t, _) in zip(chain, other))
        if not names:
            kind = "chain differs"
        elif not same_lines(chain, other):
            kind = "line differs"
        elif any(a[1][1] and a[1] != b[1] for a, b in zip(chain, other)):
            kind = "file differs"
        else:
            kind = "equal" if chain else NOTHING
            if any(o != t for (o, _), (t, _) in zip(chain, other)):
                kind = "equal, and our name says more"
        kinds[kind] += 1
        examples.setdefault(kind, (hex(address), chain, other))
    return kinds, {k: e for k, e in examples.items() if "differs" in k or "more" in k}


def tool_chains(command, asked, starts_address):
    """Chains of a tool that prints an address, then pairs of name and place."""
    text = "".join(f"{a:#x}\n" for a in asked)
    done = subprocess.run(command, input=text, capture_output=True, text=True, errors="replace")
    chains, chain, name = {}, None, None
    for line in done.stdout.splitlines():
        if starts_address(line):
            chain, name = chains.setdefault(int(line, 16), []), None
        elif not line:
            continue
        elif name is None:
            name = line
        else:
            chain.append((name, place(strip_column(line) if "llvm" in command[0] else line)))
            name = None
    return chains


def strip_column(line):
    return line.rpartition(":")[0]


def compare_tool(ours, theirs):
    kinds = collections.Counter()
    examples = {}
    for address, chain in ours.items():
        other = [f for f in theirs.get(address, []) if f[0] != "??"]
        short = lambda f: f[0].rsplit("::", 1)[-1]
        if not chain:
            kind = "no DWARF function: they name a symbol" if other else "both know nothing"
        elif not other:
            kind = "they know nothing"
        elif len(chain) != len(other):
            kind = "they have more frames" if len(other) > len(chain) else "they lose frames"
        elif not same_lines(chain, other):
            kind = "line differs"
        elif [short(f) for f in chain] == [short(f) for f in other]:
            kind = "equal"
        elif [short(f) for f in chain[:-1]] == [short(f) for f in other[:-1]]:
            kind = "equal but for the outermost name, which they take from the symbol table"
        else:
            kind = "names differ"
        kinds[kind] += 1
        examples.setdefault(kind, (hex(address), chain, other))
    return kinds, {k: e for k, e in examples.items() if "differ" in k or "frames" in k}


def show(title, kinds, examples):
    print(f"  {title}: " + ", ".join(f"{n} {k}" for k, n in kinds.most_common()))
    for kind, example in examples.items():
        print(f"    {kind}: {example}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("frames")
    parser.add_argument("file")
    parser.add_argument("--random", type=int, default=100_000)
    parser.add_argument("--hot", type=int, default=1_000)
    parser.add_argument("--tools", type=int, default=1_000, help="addresses for the slow tools")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    failed = False
    for hot, count in ((False, args.random), (True, args.hot)):
        asked = addresses(args.file, count, hot, args.seed)
        print(f"{args.file.split('/')[-1]}: {len(asked)} {'hot' if hot else 'random'} addresses")
        ours = frames(args.frames, args.file, "ours", asked)
        crate = frames(args.frames, args.file, "addr2line", asked)
        kinds, examples = compare_exact(ours, crate)
        show("addr2line crate", kinds, examples)
        failed |= any("differs" in kind for kind in kinds)
        some = sorted(random.Random(2).sample(asked, min(args.tools, len(asked))))
        part = {a: ours[a] for a in some}
        starts = lambda line: line.startswith("0x")
        llvm = ["llvm-symbolizer", "-e", args.file, "-a", "-i", "-f=linkage", "--no-demangle", "--output-style=LLVM"]
        show("llvm-symbolizer", *compare_tool(part, tool_chains(llvm, some, starts)))
        binutils = ["addr2line", "-a", "-f", "-i", "-e", args.file]
        show("binutils addr2line", *compare_tool(part, tool_chains(binutils, some, starts)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
