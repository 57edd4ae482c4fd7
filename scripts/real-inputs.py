#!/usr/bin/env python3
"""Profiles that the tools of others write, read by hotproof.

Each tool that is installed records a small program of the folder `real-inputs` beside this script. Of each file, self
and total of every function have to be what the tool's own reader says, the sum of weights has to survive every format
that is written, and `confirm` has to find the function that is hot. Whatever is not installed is skipped, by name.

    scripts/real-inputs.py HOTPROOF [FOLDER [NAME...]]

HOTPROOF is the binary, FOLDER keeps the files, only cases whose name holds a NAME are run.
"""
import collections
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HOTPROOF = os.path.abspath(sys.argv[1])
SOURCES = pathlib.Path(__file__).parent / "real-inputs"
FOLDER = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp(prefix="real-inputs-")).absolute()
VIEWERS = os.environ.get("HOTPROOF_VIEWERS", os.path.expanduser("~/.cache/hotproof-viewers"))
FORMATS = ("pb.gz", "firefox.json.gz", "speedscope.json", "trace.json", "folded", "json")


def run(*words, **more):
    done = subprocess.run([str(word) for word in words], cwd=FOLDER, capture_output=True, text=True, **more)
    return done.returncode, done.stdout, done.stderr


def must(*words, **more):
    status, out, err = run(*words, **more)
    if status:
        raise RuntimeError(f"{' '.join(map(str, words))}: ended with {status}: {err.strip()[-400:]}")
    return out


class Totals(collections.defaultdict):
    """Self and total by name."""

    def __init__(self):
        super().__init__(lambda: [0, 0])

    def add(self, stack, weight):
        """A stack, root first."""
        if stack:
            self[stack[-1]][0] += weight
        for name in set(stack):
            self[name][1] += weight

    def plain(self):
        return {name: tuple(sums) for name, sums in self.items() if any(sums)}


def unescape(frame):
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "_": " ", ":": ";", "e": "", "t": "\t"}.get(found[1], found[1]), frame)


def by_us(file, *flags):
    totals = Totals()
    for line in must(HOTPROOF, "export", "-q", "-f", "folded", *flags, file).splitlines():
        stack, weight = line.rsplit(" ", 1)
        totals.add([unescape(frame) for frame in stack.split(";")], int(weight))
    return totals.plain()


def sums(file):
    """The sum of each weight."""
    weights = [weight["name"] for weight in json.loads(must(HOTPROOF, "export", "-q", "-f", "json", file))["weights"]]
    lines = {name: must(HOTPROOF, "export", "-q", "-f", "folded", "--weight", name, file) for name in weights}
    return {name: sum(int(line.rsplit(" ", 1)[1]) for line in text.splitlines()) for name, text in lines.items()}


# The readers of others, or the rules of a format in a few lines.

def go_top(file, *flags):
    text = must("go", "tool", "pprof", "-symbolize=none", "-top", "-unit=ns", "-nodecount=99999", "-nodefraction=0",
                *flags, file, env={**os.environ, "PPROF_TMPDIR": str(FOLDER), "HOME": str(FOLDER)})
    totals = {}
    rows = text.split("flat%", 1)[1].splitlines()[1:]
    for row in rows:
        fields = row.split()
        number = lambda text: int(text.removesuffix("ns"))
        name = re.sub(r" \((partial-)?inline\)$", "", " ".join(fields[5:]))
        before = totals.get(name, (0, 0))
        totals[name] = (before[0] + number(fields[0]), before[1] + number(fields[3]))
    return totals


def cpuprofile(file):
    """Each node has the time until the next sample; idle and root are no work."""
    document = json.loads((FOLDER / file).read_text())
    nodes = {node["id"]: node for node in document["nodes"]}
    parent = {child: node["id"] for node in document["nodes"] for child in node.get("children", [])}
    totals, at = Totals(), document["startTime"]
    times = []
    for delta in document["timeDeltas"]:
        at += delta
        times.append(at)
    times.append(max(document["endTime"], times[-1]))
    for sample, start, end in zip(document["samples"], times, times[1:]):
        stack, node = [], sample
        while node is not None:
            stack.append(nodes[node]["callFrame"]["functionName"] or "(anonymous)")
            node = parent.get(node)
        if stack[0] not in ("(idle)", "(root)"):
            totals.add([name for name in reversed(stack) if name != "(root)"], (end - start) * 1000)
    return totals.plain()


def speedscope(file):
    document = json.loads((FOLDER / file).read_text())
    names = [frame["name"] for frame in document["shared"]["frames"]]
    totals = Totals()
    factor = {"seconds": 1e9, "milliseconds": 1e6, "microseconds": 1e3, "nanoseconds": 1}
    for profile in document["profiles"]:
        for stack, weight in zip(profile["samples"], profile["weights"]):
            totals.add([names[frame] for frame in stack], round(weight * factor[profile["unit"]]))
    return totals.plain()


def folded(file):
    totals = Totals()
    for line in (FOLDER / file).read_text().splitlines():
        stack, weight = line.rsplit(" ", 1)
        totals.add(stack.split(";"), int(weight))
    return totals.plain()


def callgrind_annotate(file):
    totals = Totals()
    for column, inclusive in enumerate(("no", "yes")):
        text = must("callgrind_annotate", f"--inclusive={inclusive}", "--threshold=100", "--show=Ir", "--show-percs=no",
                    "--auto=no", file)
        rows = text.split("file:function", 1)[1].splitlines()[2:]
        for row in rows:
            if not row.strip():
                break
            cost, name = row.strip().split(" ", 1)
            name, of = re.fullmatch(r"(.*?)( \[[^]]*\])?", name).groups()
            # Lines from other files have rows of their own without an object, which the total of the function holds.
            if of or not column:
                totals[name.split(":", 1)[1]][column] += int(cost.replace(",", ""))
    # It names the depths of a recursion one by one and adds up their totals, and where the process ended it has a call
    # that cost more than the function that was called.
    odd = lambda name: re.search(r"'\d+$", name) or f"{name}'2" in totals or name == "_Exit"
    return {name: sums for name, sums in totals.plain().items() if not odd(name)}


def perf_script(file):
    totals = Totals()
    text = must("perf", "script", "--no-inline", "-F", "comm,event,period,ip,sym", "-i", file)
    for sample in text.split("\n\n"):
        lines = [line for line in sample.splitlines() if line.strip()]
        if lines:
            period = int(re.search(r"(\d+) +\S+: *$", lines[0])[1])
            stack = [line.strip().split(" ", 1)[1] for line in lines[1:]]
            totals.add(list(reversed(stack)), period)
    # It names callers by the address after the call, which may be the next function, and of the names of one address
    # (`malloc`, `__libc_malloc`) it may take another.
    return {name: (own, None) for name, (own, _) in totals.items() if own and name != "[unknown]"}


UNNAMED = re.compile(r"0x[0-9a-f]+|\[.*\]")


def profiler_cli(file):
    program = f"{VIEWERS}/node_modules/.bin/profiler-cli"
    for _ in range(20):
        status, _, errors = run(program, "load", file)
        if status == 0:
            break
        run(program, "stop")
    else:
        raise RuntimeError(f"profiler-cli load: {errors}")
    rows = []
    for thread in itertools.count():
        status, out, errors = run(program, "thread", "functions", "--json", "--include-idle", "--thread", f"t-{thread}")
        if status:
            break
        rows += json.loads(out)["functions"]
    if "Unknown thread" not in errors:
        raise RuntimeError(f"profiler-cli thread functions: {errors}")
    run(program, "stop")
    if not rows:
        raise RuntimeError(f"profiler-cli knows no thread: {errors}")
    # Without a name, a function is its address to them and its image to us: only the sums of self are alike.
    named, unnamed = Totals(), 0
    for row in rows:
        if UNNAMED.fullmatch(row["name"]):
            unnamed += row["selfSamples"]
        else:
            named[row["name"]][0] += row["selfSamples"]
            named[row["name"]][1] += row["totalSamples"]
    return {**named.plain(), "(unnamed)": (unnamed, None)}


# The files.

def go():
    must("go", "build", "-o", "gowork", SOURCES / "work.go")
    must("./gowork", "go-cpu.pb.gz", "go-heap.pb.gz")


def node():
    must("node", "--cpu-prof", "--cpu-prof-name", "node.cpuprofile", SOURCES / "parse.js")


def py_spy(kind, *flags):
    return lambda: must("py-spy", "record", "-d", "2", "-r", "100", *flags, "-f", kind, "-o", f"py{''.join(flags)}.{kind}",
                        "--", sys.executable, SOURCES / "lex.py", "2.5")


def callgrind(name, *flags):
    def make():
        must("cc", "-g", "-O1", "-o", "twice", SOURCES / "twice.c")
        must("valgrind", "--tool=callgrind", f"--callgrind-out-file={name}", *flags, "./twice")
    return make


def perf(name, flags, *command):
    return lambda: must("perf", "record", "-q", "-e", "cpu-clock", *flags, "-o", name, "--", *command)


def samply():
    must("perf", "record", "-q", "-e", "cpu-clock", "-F", "499", "-g", "-o", "samply.perf.data", "--",
         sys.executable, SOURCES / "lex.py", "0.5")
    must("samply", "import", "--save-only", "-o", "samply.json.gz", "samply.perf.data")


def inferno():
    """Folded by inferno, as cargo-flamegraph does it."""
    text = must("perf", "script", "-i", "sqlite3.perf.data")
    (FOLDER / "inferno.folded").write_text(must("inferno-collapse-perf", "--all", input=text))


def pprof_rs():
    must("cargo", "run", "--quiet", "--manifest-path", SOURCES / "pprof-rs/Cargo.toml", "--target-dir", FOLDER / "target",
         "--", FOLDER / "pprof-rs.pb")


def chrome():
    must("node", SOURCES / "chrome.js", SOURCES / "parse.js", "chrome.trace.json",
         env={**os.environ, "NODE_PATH": f"{VIEWERS}/node_modules"})


SQL = ("with recursive c(x) as (select 1 union all select x+1 from c where x<400000) "
       "select sum(x*x%7), count(distinct x%1000) from c;")
# Name, what it needs, how it is made, the file, a hot function, who counts, with which flags we do the same.
CASES = [
    ("Go runtime/pprof", "go", go, "go-cpu.pb.gz", "main.parse", go_top, ["--weight", "cpu"]),
    ("pprof-rs", "cargo go", pprof_rs, "pprof-rs.pb", "digits", go_top, ["--weight", "cpu"]),
    ("node --cpu-prof", "node", node, "node.cpuprofile", "parseIt", cpuprofile, []),
    ("py-spy speedscope", "py-spy", py_spy("speedscope", "-t"), "py-t.speedscope", "findall", speedscope, []),
    ("py-spy speedscope, native", "py-spy", py_spy("speedscope", "-n"), "py-n.speedscope", "findall", speedscope, []),
    ("py-spy raw", "py-spy", py_spy("raw", "-t"), "py-t.raw", "findall", folded, []),
    ("py-spy chrometrace", "py-spy", py_spy("chrometrace"), "py.chrometrace", None, None, []),
    ("callgrind", "valgrind cc", callgrind("cg.out"), "cg.out", None, callgrind_annotate, []),
    ("callgrind with jumps and caches", "valgrind cc",
     callgrind("cg-full.out", "--dump-instr=yes", "--collect-jumps=yes", "--cache-sim=yes", "--branch-sim=yes"),
     "cg-full.out", None, callgrind_annotate, ["--weight", "Ir"]),
    ("perf of sqlite3", "perf sqlite3", perf("sqlite3.perf.data", ["-F", "499", "--call-graph", "dwarf,8192"],
     "sqlite3", ":memory:", SQL), "sqlite3.perf.data", None, None, []),
    ("perf of python3", "perf", perf("python3.perf.data", ["-F", "499", "-g"], sys.executable, SOURCES / "lex.py", "1"),
     "python3.perf.data", None, perf_script, ["--no-inline", "--weight", "cpu"]),
    ("perf of node with a perf map", "perf node", perf("node.perf.data", ["-F", "499", "-g"], "node", "--perf-basic-prof",
     "--interpreted-frames-native-stack", SOURCES / "parse.js"), "node.perf.data", "parseIt", None, []),
    ("perf of a pipeline of ripgrep", "perf rg", perf("rg.perf.data", ["-F", "999", "-g"], "rg", "-c", "fn [a-z]+", "/usr/share"),
     "rg.perf.data", None, None, []),
    ("inferno of perf", "perf sqlite3 inferno-collapse-perf", inferno, "inferno.folded", None, folded, []),
    ("samply", "samply perf", samply, "samply.json.gz", None, profiler_cli, ["--weight", "samples"]),
    ("Chrome", "node chromium", chrome, "chrome.trace.json", "parseIt", None, []),
]


def compare(ours, theirs):
    """What differs, at most three names; the root frames of threads are ours alone."""
    wrong = []
    ours["(unnamed)"] = (sum(own for name, (own, _) in ours.items() if UNNAMED.fullmatch(name)), 0)
    for name, sums in theirs.items():
        found = ours.get(name, (0, 0) if sums[1] is not None else sums)
        if found[0] != sums[0] or sums[1] not in (None, found[1]):
            wrong.append(f"{name}: we say {ours.get(name)}, they say {sums}")
    return wrong


def check(case):
    name, needs, make, file, hot, theirs, flags = case
    make()
    problems = []
    if theirs:
        wrong = compare(by_us(file, *flags), theirs(file))
        problems += wrong[:3] + ([f"and {len(wrong) - 3} more"] if len(wrong) > 3 else [])
    must(HOTPROOF, "report", "-q", file)
    must(HOTPROOF, "diff", "-q", file, file)
    if theirs is not callgrind_annotate:  # It knows no stacks.
        must(HOTPROOF, "report", "-q", "--tree", file)
        must(HOTPROOF, "export", "-q", file, "-o", "picture.svg")
        before = sums(file)
        for extension in FORMATS:
            must(HOTPROOF, "export", "-q", file, "-o", f"again.{extension}")
            after = sums(f"again.{extension}")
            # A format of one weight calls it what it likes.
            if not set(before.values()) & set(after.values()):
                problems.append(f"as {extension}: {after} of {before}")
    if hot:
        status, out, err = run(HOTPROOF, "confirm", hot, "--profile", file)
        # A busy machine leaves too few samples for a yes, but never a no.
        if status not in (0, 12) or "seen in" not in out:
            problems.append(f"confirm {hot} ended with {status}: {(out + err).strip()[:300]}")
    return problems


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    failed = 0
    wanted = sys.argv[3:]
    for case in CASES:
        if wanted and not any(name in case[0] for name in wanted):
            continue
        missing = [word for word in case[1].split() if not shutil.which(word)]
        if missing:
            print(f"skipped  {case[0]}: {', '.join(missing)} is not installed")
            continue
        try:
            problems = check(case)
        except (RuntimeError, OSError, ValueError, KeyError, TypeError) as error:
            problems = [f"{type(error).__name__}: {error}"]
        print(f"{'FAILED ' if problems else 'ok     '}  {case[0]}", flush=True)
        for problem in problems:
            print(f"           {problem}")
        failed += bool(problems)
    print(f"files are in {FOLDER}")
    sys.exit(1 if failed else 0)


main()
