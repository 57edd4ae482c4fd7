#!/usr/bin/env python3
"""How many stacks are whole: programs in C, C++ and Rust at every level of optimisation.

Each program is built by gcc and clang at -O0 to -O3 and -Os, without and with frame pointers, or by
rustc at opt-level 0 to 3, s and z, and recorded. Printed are the samples of each and the shares of
stacks that are whole in their copy, completed by reading on (stitched), cut, and failed; with
--causes also where those that are not whole end. Programs of the system can be named as well.

Usage: scripts/completeness.py [--rate HZ] [--folder DIR] [--only c,cpp,rust,sqlite,zstd] [--causes]
           [--sqlite DIR] [--zstd DIR] [--also 'COMMAND'...]
--sqlite names a folder with sqlite3.c and sqlite3.h, --zstd one with zstd's lib/. HOTPROOF names the
binary (a release build, by default target/release/hotproof).
"""

import argparse, collections, os, pathlib, shlex, shutil, subprocess, sys, tempfile

HERE = pathlib.Path(__file__).resolve().parent.parent
LEVELS = ["-O0", "-O1", "-O2", "-O3", "-Os"]

C = r"""
#define _GNU_SOURCE
#include <alloca.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
typedef struct Node { struct Node *left, *right; long key; char name[24]; } Node;
static volatile long ticks, sink;
static void on_alarm(int signal) { (void)signal; for (int i = 0; i < 2000; i++) ticks += i; }
static int by_name(const void *a, const void *b) { return strcmp((*(Node *const *)a)->name, (*(Node *const *)b)->name); }
static Node *insert(Node *at, long key) {
  if (!at) { at = calloc(1, sizeof *at); at->key = key; snprintf(at->name, sizeof at->name, "%ld-%s", key * 7919 % 10007, "name"); return at; }
  if (key < at->key) at->left = insert(at->left, key); else at->right = insert(at->right, key);
  return at;
}
static long walk(Node *at, int depth, Node **all, int *count) {
  if (!at) return depth;
  all[(*count)++] = at;
  return walk(at->left, depth + 1, all, count) ^ walk(at->right, depth + 1, all, count);
}
static void drop(Node *at) { if (at) { drop(at->left); drop(at->right); free(at); } }
static long expression(const char **at);
static long factor(const char **at) { if (**at == '(') { ++*at; long v = expression(at); ++*at; return v; } return strtol(*at, (char **)at, 10); }
static long term(const char **at) { long v = factor(at); while (**at == '*') { ++*at; v *= factor(at); } return v; }
static long expression(const char **at) { long v = term(at); while (**at == '+' || **at == '-') { char c = *(*at)++; long w = term(at); v = c == '+' ? v + w : v - w; } return v; }
static long parse(int rounds) {
  char text[4096]; int n = 0; long sum = 0;
  for (int i = 0; i < 100; i++) n += sprintf(text + n, "%s(%d*%d-(%d+%d))", i ? "+" : "", i, i + 1, i * 3, i ^ 5);
  for (int i = 0; i < rounds; i++) { const char *at = text; sum += expression(&at); }
  return sum;
}
static double scaled(const double *x, int n) { double s = 0; for (int i = 0; i < n; i++) s += x[i] * x[i] / (i + 1.5); return s; }
static double room(int n) { double *x = alloca(n * sizeof *x); for (int i = 0; i < n; i++) x[i] = i * 0.5; return scaled(x, n); }
static double large(int n) { double x[5000]; memset(x, 0, sizeof x); for (int i = 0; i < n; i++) x[i % 5000] += i; return scaled(x, 5000); }
static jmp_buf back;
static void leave(int n) { if (n == 0) longjmp(back, 1); leave(n - 1); sink++; }
static void texts(int rounds) {
  char a[2000], b[2000]; memset(a, 'x', sizeof a); a[1999] = 0;
  for (int i = 0; i < rounds; i++) { memcpy(b, a, sizeof a); sink += strlen(b) + (memchr(b, 'y', 1999) != 0) + strcmp(a, b); }
}
static void *work(void *unused) {
  (void)unused;
  for (int round = 0; round < 6; round++) {
    Node *root = 0; static __thread Node *all[9000]; int count = 0;
    for (long i = 0; i < 8000; i++) root = insert(root, i * 7919 % 8009);
    sink += walk(root, 0, all, &count);
    qsort(all, count, sizeof *all, by_name);
    drop(root);
    sink += parse(300); texts(20000);
    for (int i = 0; i < 200; i++) sink += (long)room(500 + i) + (long)large(3000);
    for (int i = 0; i < 200; i++) { if (!setjmp(back)) leave(20); }
  }
  return 0;
}
int main(void) {
  struct itimerval often = {{0, 3000}, {0, 3000}};
  signal(SIGALRM, on_alarm); setitimer(ITIMER_REAL, &often, 0);
  for (int i = 0; i < 6; i++) { pthread_t t; pthread_create(&t, 0, work, 0); pthread_join(t, 0); work(0); }
  return 0;
}
"""
CPP = r"""
#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>
struct Shape { virtual ~Shape() = default; virtual double area() const = 0; };
struct Square : Shape { double a; explicit Square(double a) : a(a) {} double area() const override { return a * a; } };
struct Circle : virtual Shape { double r; explicit Circle(double r) : r(r) {} double area() const override { return 3.14159 * r * r; } };
static int deep(int n, int at) { if (n == 0) throw std::runtime_error("bottom"); std::string keep(at % 40, 'x'); return deep(n - 1, at + 1) + (int)keep.size(); }
static double shapes(std::mt19937 &rng) {
  std::vector<std::unique_ptr<Shape>> all; std::map<std::string, double> names; double sum = 0;
  for (int i = 0; i < 10000; i++) { double v = rng() % 1000; if (i % 2) all.push_back(std::make_unique<Square>(v)); else all.push_back(std::make_unique<Circle>(v)); }
  std::sort(all.begin(), all.end(), [](auto &a, auto &b) { return a->area() < b->area(); });
  for (auto &shape : all) names[std::to_string((int)shape->area() % 5000)] += shape->area();
  for (auto &[name, area] : names) sum += area / name.size();
  return sum;
}
static double words() {
  std::unordered_map<std::string, int> count; std::ostringstream out;
  for (int i = 0; i < 3000; i++) out << i * 31 % 977 << ' ' << i * 0.5 << '\n';
  std::istringstream in(out.str()); std::string word;
  while (in >> word) count[word]++;
  std::regex number("([0-9]+)(\\.[0-9])?"); int found = 0;
  for (auto &[text, n] : count) if (n > 1 || text.size() < 3) found += std::regex_match(text, number);
  return found;
}
static double caught(int rounds) { int n = 0; for (int i = 0; i < rounds; i++) try { n += deep(30, i); } catch (const std::exception &e) { n += e.what()[0]; } return n; }
static double called(int rounds) { std::function<double(int)> f = [&](int n) { return n < 2 ? 1.0 : f(n - 1) + f(n - 2) * 0.5; }; double s = 0; for (int i = 0; i < rounds; i++) s += f(18); return s; }
int main() {
  double sum = 0;
  for (int i = 0; i < 48; i++) {
    auto work = [&sum, i] { std::mt19937 rng(i); sum += shapes(rng) + words() + caught(60) + called(40); };
    std::thread(work).join(); work();
  }
  std::printf("%f\n", sum);
}
"""
RUST = r"""
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
#[derive(Debug, Clone)]
enum Json { Null, Number(f64), Text(String), List(Vec<Json>), Object(BTreeMap<String, Json>) }
struct Parser<'a> { bytes: &'a [u8], at: usize }
impl Parser<'_> {
    fn blank(&mut self) { while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) { self.at += 1; } }
    fn value(&mut self) -> Result<Json, String> {
        self.blank();
        match self.bytes.get(self.at) {
            Some(b'[') => { self.at += 1; let mut list = Vec::new(); loop { self.blank(); if self.bytes.get(self.at) == Some(&b']') { self.at += 1; return Ok(Json::List(list)); } list.push(self.value()?); self.blank(); if self.bytes.get(self.at) == Some(&b',') { self.at += 1; } } }
            Some(b'{') => { self.at += 1; let mut map = BTreeMap::new(); loop { self.blank(); if self.bytes.get(self.at) == Some(&b'}') { self.at += 1; return Ok(Json::Object(map)); } let Json::Text(key) = self.value()? else { return Err("no key".into()) }; self.blank(); self.at += 1; let v = self.value()?; map.insert(key, v); self.blank(); if self.bytes.get(self.at) == Some(&b',') { self.at += 1; } } }
            Some(b'"') => { let start = self.at + 1; self.at = start; while self.bytes.get(self.at) != Some(&b'"') { self.at += 1; } self.at += 1; Ok(Json::Text(String::from_utf8_lossy(&self.bytes[start..self.at - 1]).into_owned())) }
            Some(b'n') => { self.at += 4; Ok(Json::Null) }
            Some(_) => { let start = self.at; while self.bytes.get(self.at).is_some_and(|b| b"+-.eE0123456789".contains(b)) { self.at += 1; } std::str::from_utf8(&self.bytes[start..self.at]).unwrap().parse().map(Json::Number).map_err(|e| e.to_string()) }
            None => Err("end".into()),
        }
    }
}
fn made(depth: u32, out: &mut String) { if depth == 0 { let _ = write!(out, "{:?}", 0.5 + out.len() as f64); return; } out.push_str("{\"list\": ["); for i in 0..4 { if i > 0 { out.push(','); } made(depth - 1, out); } let _ = write!(out, "], \"name{depth}\": \"text {depth}\", \"none\": null}}"); }
fn sum(json: &Json) -> f64 { match json { Json::Null => 0.0, Json::Number(n) => *n, Json::Text(t) => t.len() as f64, Json::List(l) => l.iter().map(sum).sum(), Json::Object(o) => o.values().map(sum).sum() } }
fn words(text: &str) -> usize { let mut count: HashMap<String, usize> = HashMap::new(); for word in text.split(|c: char| !c.is_alphanumeric()) { *count.entry(word.to_lowercase()).or_default() += 1; } let mut rows: Vec<_> = count.into_iter().collect(); rows.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0))); rows.iter().take(100).map(|r| r.1).sum() }
trait Shape { fn area(&self) -> f64; }
struct Square(f64);
struct Circle(f64);
impl Shape for Square { fn area(&self) -> f64 { self.0 * self.0 } }
impl Shape for Circle { fn area(&self) -> f64 { std::f64::consts::PI * self.0.powi(2) } }
fn shapes() -> f64 { let mut all: Vec<Box<dyn Shape>> = (0..8000u32).map(|i| { let v = f64::from(i.wrapping_mul(2_654_435_761) % 1000); if i % 2 == 0 { Box::new(Square(v)) as Box<dyn Shape> } else { Box::new(Circle(v)) } }).collect(); all.sort_by(|a, b| a.area().total_cmp(&b.area())); all.iter().step_by(7).map(|s| s.area()).sum() }
fn deep(n: u32) -> u32 { if n == 0 { panic!("bottom") } std::hint::black_box(deep(n - 1) + 1) }
fn caught(rounds: u32) -> usize { (0..rounds).filter(|_| std::panic::catch_unwind(|| deep(30)).is_err()).count() }
fn work() -> f64 { let mut text = String::new(); made(5, &mut text); let json = Parser { bytes: text.as_bytes(), at: 0 }.value().unwrap(); let copy = json.clone(); sum(&copy) + words(&text) as f64 + shapes() + caught(20) as f64 + format!("{json:?}").len() as f64 }
fn main() { std::panic::set_hook(Box::new(|_| ())); let mut all = 0.0; for _ in 0..ROUNDS { all += std::thread::spawn(work).join().unwrap() + work(); } println!("{all}"); }
"""
SQLITE = r"""
#include <stdio.h>
#include <sqlite3.h>
int main(void) {
  sqlite3 *db; char *error = 0;
  if (sqlite3_open(":memory:", &db)) return 1;
  const char *all = "create table t(a integer primary key, b text, c real);"
    "with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000) insert into t select i, 'row ' || (i * 7919 % 60013), i * 0.37 from n;"
    "create index by_b on t(b); select count(*), sum(c) from t where b like '%7%';"
    "select substr(b, 1, 6) k, count(*) n, avg(c) from t group by k order by n desc, k limit 50;"
    "select count(*) from t x join t y on y.b = 'row ' || x.a where x.c > 100; update t set b = upper(b) || hex(a); delete from t where a % 3 = 0; vacuum;";
  for (int i = 0; i < 4; i++) if (sqlite3_exec(db, i ? "drop table t;" : "", 0, 0, 0) || sqlite3_exec(db, all, 0, 0, &error)) { fprintf(stderr, "%s\n", error ? error : "drop"); return 1; }
  return 0;
}
"""
ZSTD = r"""
#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>
int main(void) {
  size_t size = 6 << 20, bound = ZSTD_compressBound(size); char *text = malloc(size), *packed = malloc(bound), *back = malloc(size); unsigned x = 1;
  for (size_t i = 0; i < size; i++) { x = x * 1664525u + 1013904223u; text[i] = "etaoin shrdlu"[(x >> 24) % 13 * (i % 5 != 0)]; }
  for (int level = 1; level <= 13; level += 3) { size_t n = ZSTD_compress(packed, bound, text, size, level); if (ZSTD_isError(n) || ZSTD_decompress(back, size, packed, n) != size) return 1; }
  return 0;
}
"""


def c_programs(folder, asked):
    """Yields (name, how it is built, command to build, command to run)."""
    sources = {"c": ("c", C, [], ["-pthread"]), "cpp": ("cpp", CPP, [], ["-pthread"])}
    if asked.sqlite:
        sources["sqlite"] = ("c", SQLITE, [str(asked.sqlite / "sqlite3.c"), f"-I{asked.sqlite}", "-DSQLITE_THREADSAFE=0", "-DSQLITE_OMIT_LOAD_EXTENSION"], ["-lm"])
    if asked.zstd:
        files = [str(f) for part in ("common", "compress", "decompress") for f in sorted((asked.zstd / "lib" / part).glob("*.[cS]"))]
        sources["zstd"] = ("c", ZSTD, [*files, f"-I{asked.zstd / 'lib'}"], [])
    for name, (ending, text, more, last) in sources.items():
        if name not in asked.only:
            continue
        source = folder / f"{name}.{ending}"
        source.write_text(text)
        for compiler in ("gcc", "clang") if ending == "c" else ("g++", "clang++"):
            if not shutil.which(compiler):
                print(f"skipped: no {compiler} on this machine", file=sys.stderr)
                continue
            for level in LEVELS:
                for frames in ("-fomit-frame-pointer", "-fno-omit-frame-pointer"):
                    # The big ones without frame pointers alone: two builds of each take minutes.
                    if name in ("sqlite", "zstd") and frames != "-fomit-frame-pointer":
                        continue
                    out = folder / f"{name}-{compiler}{level}{frames}"
                    yield name, f"{compiler} {level} {frames}", [compiler, level, frames, "-w", "-o", out, source, *more, *last], [str(out)]


def rust_programs(folder, asked):
    if "rust" not in asked.only:
        return
    if not shutil.which("rustc"):
        print("skipped: no rustc on this machine", file=sys.stderr)
        return
    for level in ("0", "1", "2", "3", "s", "z"):
        source = folder / f"rust{level}.rs"
        source.write_text(RUST.replace("ROUNDS", "40" if level == "0" else "200"))
        for frames in ("no", "yes"):
            out = folder / f"rust-{level}-{frames}"
            flags = [f"-Copt-level={level}", f"-Cforce-frame-pointers={frames}"]
            yield "rust", f"rustc {' '.join(flags)}", ["rustc", "--edition=2021", *flags, "-o", out, source], [str(out)]


def judged(hotproof, path):
    """Samples by the way that their stacks end, and where those end that are not whole."""
    out = subprocess.check_output([hotproof, "-q", "export", "--no-inline", "-f", "folded", "--weight", "samples", "-o", "-", path], stderr=subprocess.DEVNULL)
    ends, causes = collections.Counter(), collections.Counter()
    marks = {"[truncated]": "cut", "[unwinding failed]": "failed", "[stitched]": "stitched"}
    for line in out.decode(errors="replace").splitlines():
        stack, weight = line.rsplit(" ", 1)
        frames = stack.split(";")
        mark = next((i for i, frame in enumerate(frames[:3]) if frame in marks), None)
        end = "whole" if mark is None else marks[frames[mark]]
        ends[end] += int(weight)
        if end in ("cut", "failed"):
            causes[(end, ";".join(frames[mark + 1 : mark + 3]), frames[-1])] += int(weight)
    return ends, causes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", default="4999")
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--only", default="c,cpp,rust,sqlite,zstd")
    parser.add_argument("--causes", action="store_true")
    parser.add_argument("--sqlite", type=pathlib.Path)
    parser.add_argument("--zstd", type=pathlib.Path)
    parser.add_argument("--also", action="append", default=[])
    asked = parser.parse_args()
    asked.only = asked.only.split(",")
    folder = asked.folder or pathlib.Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    hotproof = os.environ.get("HOTPROOF", str(HERE / "target/release/hotproof"))
    for name in ("sqlite", "zstd"):
        if name in asked.only and not getattr(asked, name):
            print(f"skipped: no sources of {name} (--{name} DIR)", file=sys.stderr)
    also = ((shlex.split(line)[0], "as installed", None, shlex.split(line)) for line in asked.also)
    print("| program | built by | samples | whole | stitched | cut | failed |")
    print("|---|---|---|---|---|---|---|")
    least = None
    for name, how, build, run in (*c_programs(folder, asked), *rust_programs(folder, asked), *also):
        if build:
            subprocess.run(build, check=True)
        path = str(folder / "out.hotproof")
        told = subprocess.run([hotproof, "-q", "record", "-F", asked.rate, "-o", path, "--", *run], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=folder)
        if told.returncode:
            sys.exit(f"{how}: {told.stderr}")
        ends, causes = judged(hotproof, path)
        samples = sum(ends.values())
        share = lambda end: f"{100 * ends[end] / samples:.2f} %" if ends[end] else "0"
        print(f"| {pathlib.Path(name).name} | {how} | {samples} | {share('whole')} | {share('stitched')} | {share('cut')} | {share('failed')} |", flush=True)
        if asked.causes:
            for (end, outermost, leaf), count in causes.most_common(8):
                print(f"    {count} {end}: {outermost} ... {leaf}", file=sys.stderr)
        if build:
            least = min(least or 1, (ends["whole"] + ends["stitched"]) / samples)
    if least is not None:
        print(f"\nThe least of the programs that were built: {100 * least:.3f} % whole or stitched.")


if __name__ == "__main__":
    main()
