//! Real recordings, with `perf script` as the independent reader.

#![allow(clippy::print_stderr)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use hotproof_profile::{Inline, Profile};
use hotproof_profiler::replay::{self, Options};
use hotproof_symbolizer::Symbolizer;

/// Self and total periods of each function.
type Totals = BTreeMap<String, (i64, i64)>;

const PROGRAM: &str = r"
volatile unsigned long sink;
__attribute__((noinline)) void leaf(long n) { for (long i = 0; i < n; i++) sink += i * i; }
__attribute__((noinline)) void other(long n) { for (long i = 0; i < n; i++) sink ^= i; }
__attribute__((noinline)) void middle(long n) { leaf(n); other(n / 4); sink++; }
__attribute__((noinline)) void deep(int d, long n) {
    if (d == 0) middle(n); else deep(d - 1, n);
    sink++;
}
int main(void) {
    for (long i = 0; i < 600; i++) { middle(200000); deep(i % 7, 100000); }
    return 0;
}
";

fn run(command: &mut Command) -> Result<Vec<u8>, String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{command:?}: {words}"))
}

/// Builds and records the program; the error is why that is not possible here.
fn record(folder: &Path, compiler: &[&str], graph: &str) -> Result<std::path::PathBuf, String> {
    let (source, program) = (folder.join("work.c"), folder.join("work"));
    let data = folder.join("recording");
    std::fs::write(&source, PROGRAM).unwrap();
    let mut gcc = Command::new("gcc");
    gcc.args(["-g", "-fno-optimize-sibling-calls"])
        .args(compiler);
    run(gcc.arg("-o").arg(&program).arg(&source))?;
    let mut perf = Command::new("perf");
    perf.args([
        "record",
        "-q",
        "-e",
        "cpu-clock",
        "-F",
        "999",
        "--call-graph",
        graph,
    ]);
    run(perf.arg("-o").arg(&data).arg("--").arg(&program))?;
    Ok(data)
}

fn skip_or_fail(reason: &str) {
    assert!(
        std::env::var_os("HOTPROOF_REQUIRE_PERF").is_none_or(|v| v != "1"),
        "perf is required, but: {reason}"
    );
    eprintln!("skipped: {reason}");
}

/// What perf says: the lines of a sample are its period, then the chain, leaf first.
fn by_perf(data: &Path) -> Totals {
    let mut perf = Command::new("perf");
    perf.args(["script", "--no-inline", "-F", "period,ip,sym"]);
    let text = run(perf.arg("-i").arg(data)).unwrap();
    let mut totals = Totals::new();
    for sample in String::from_utf8(text).unwrap().split("\n\n") {
        let mut lines = sample.lines().filter(|line| !line.trim().is_empty());
        let Some(period) = lines.next() else { continue };
        let period: i64 = period.trim().parse().unwrap();
        let names = lines.map(|line| line.trim().split_once(' ').map_or("", |(_, name)| name));
        add(&mut totals, period, names.map(str::to_owned).collect());
    }
    totals
}

fn add(totals: &mut Totals, weight: i64, names: Vec<String>) {
    if let Some(leaf) = names.first() {
        totals.entry(leaf.clone()).or_default().0 += weight;
    }
    for name in names.into_iter().collect::<BTreeSet<_>>() {
        totals.entry(name).or_default().1 += weight;
    }
}

fn by_us(data: &Path) -> (Totals, Profile) {
    let file = std::fs::File::open(data).unwrap();
    let mut profile = replay::read_file(&file, &Options::default())
        .unwrap()
        .profile;
    Symbolizer::new().symbolize(&mut profile);
    profile.validate().unwrap();
    let mut totals = Totals::new();
    for i in 0..profile.samples.len() {
        let names = profile.path(profile.samples.stack[i]).map(|id| {
            let mut code = profile.code_at(id, Inline::Physical);
            let name = code.next().map(|code| profile.code_name(code));
            name.unwrap_or_default().to_owned()
        });
        add(&mut totals, profile.samples.weights[1][i], names.collect());
    }
    (totals, profile)
}

const OURS: [&str; 5] = ["leaf", "other", "middle", "deep", "main"];

fn agree(compiler: &[&str], graph: &str) {
    let folder = tempfile::tempdir().unwrap();
    let data = match record(folder.path(), compiler, graph) {
        Ok(data) => data,
        Err(reason) => return skip_or_fail(&reason),
    };
    let (ours, profile) = by_us(&data);
    let perfs = by_perf(&data);
    let sum = |totals: &Totals| totals.values().map(|(own, _)| own).sum::<i64>();
    assert!(
        profile.samples.len() > 50,
        "too few samples to prove anything"
    );
    assert_eq!(sum(&ours), sum(&perfs));
    for name in OURS {
        assert_eq!(ours.get(name), perfs.get(name), "{name}");
    }
    assert!(ours["leaf"].0 > 0 && ours["main"].1 > ours["leaf"].1);
}

/// Walked by the kernel along frame pointers: every function of ours has exactly perf's figures.
#[test]
fn frame_pointer_recordings_agree_with_perf_script() {
    agree(&["-O1", "-fno-omit-frame-pointer"], "fp");
}

/// Unwound here and there, each by its own code: the same figures.
#[test]
fn dwarf_recordings_agree_with_perf_script() {
    agree(&["-O2", "-fomit-frame-pointer"], "dwarf,4096");
}
