//! Recordings of perf itself, with `perf script` and `perf report` as the independent readers: files
//! and pipes, compressed and not, one event and two, walked by the kernel and unwound here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::run::{alone, command, finish, hotproof, skip};

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

/// The functions of the program whose figures have to agree.
const OURS: [&str; 5] = ["leaf", "other", "middle", "deep", "main"];

/// Builds the program; `Err` says what is missing here.
fn build(folder: &Path, flags: &[&str]) -> Result<PathBuf, String> {
    let (source, program) = (folder.join("work.c"), folder.join("work"));
    std::fs::write(&source, PROGRAM).unwrap();
    let mut gcc = Command::new("gcc");
    gcc.args(["-g", "-fno-optimize-sibling-calls"]).args(flags);
    run(gcc.arg("-o").arg(&program).arg(&source))?;
    Ok(program)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{command:?}: {words}"))
}

/// Records the program; the error is why that is not possible here.
fn record(folder: &Path, flags: &[&str], arguments: &[&str]) -> Result<PathBuf, String> {
    let program = build(folder, flags)?;
    let data = folder.join("perf.data");
    let mut perf = Command::new("perf");
    perf.args(["record", "-q", "-F", "999"]).args(arguments);
    if arguments.ends_with(&["-o", "-"]) {
        perf.stdout(File::create(&data).unwrap());
        perf.arg("--").arg(&program).stdin(Stdio::null());
        let status = perf.status().map_err(|error| error.to_string())?;
        return match status.success() {
            true => Ok(data),
            false => Err(format!("{perf:?}: {status}")),
        };
    }
    run(perf.arg("-o").arg(&data).arg("--").arg(&program))?;
    Ok(data)
}

/// perf discards a whole chain when one of its addresses looks like a marker that it does not know,
/// and prints no frame; the sample counts all the same.
fn add(totals: &mut Totals, weight: i64, names: &[&str]) {
    let leaf = names.first().copied().unwrap_or("no frame");
    totals.entry(leaf.to_owned()).or_default().0 += weight;
    for name in names.iter().collect::<BTreeSet<_>>() {
        totals.entry((*name).to_owned()).or_default().1 += weight;
    }
}

/// What perf says: the lines of a sample are its event and period, then the chain, leaf first.
fn by_perf(folder: &Path, data: &Path, event: &str) -> Totals {
    let mut perf = Command::new("perf");
    perf.args(["script", "--no-inline", "-F", "event,period,ip,sym"]);
    let text = finish(perf.current_dir(folder).arg("-i").arg(data)).ends_with(0);
    let mut totals = Totals::new();
    for sample in text.stdout.split("\n\n") {
        let mut lines = sample.lines().filter(|line| !line.trim().is_empty());
        let Some((period, of)) = lines.next().and_then(|head| head.trim().split_once(' ')) else {
            continue;
        };
        let name = of.trim().trim_end_matches(':').trim_end_matches(":u");
        if name != event {
            continue;
        }
        let names: Vec<&str> = lines
            .map(|line| line.trim().split_once(' ').map_or("", |(_, name)| name))
            .collect();
        add(&mut totals, period.parse().unwrap(), &names);
    }
    totals
}

/// What `perf report` sums up: a row for each function that was sampled, with its periods, and below
/// it the periods of each chain that led there, root first. Totals come from the chains, since the
/// column of totals has two digits behind the point, is `N/A` where the recording came through a
/// pipe, and a function has several rows where several processes map its file.
fn by_perf_report(folder: &Path, data: &Path) -> Totals {
    let mut perf = Command::new("perf");
    perf.args(["report", "--stdio", "-q", "--no-children", "--no-inline"]);
    perf.args(["--percent-limit", "0", "-s", "sym", "-F", "period,sym"]);
    perf.args(["-t", "|", "-g", "folded,0,caller,function,period"]);
    let text = finish(perf.current_dir(folder).arg("-i").arg(data)).ends_with(0);
    let mut totals = Totals::new();
    for line in text.stdout.lines().filter(|line| !line.trim().is_empty()) {
        // ` 1001001    |[.] leaf`, and `1001001 main|middle|leaf` below it.
        if let Some(row) = line.strip_prefix(' ') {
            let (period, name) = row.split_once('|').unwrap();
            let (_, name) = name.trim().split_once(' ').unwrap();
            totals.entry(name.to_owned()).or_default().0 += period.trim().parse::<i64>().unwrap();
        } else {
            let (period, chain) = line.split_once(' ').unwrap();
            for name in chain.split('|').collect::<BTreeSet<_>>() {
                totals.entry(name.to_owned()).or_default().1 += period.parse::<i64>().unwrap();
            }
        }
    }
    totals
}

/// What we write: `thread;root;...;leaf period`; the same whether names are looked up, kept, or
/// recalled.
fn by_us(folder: &Path, arguments: &[&str], input: Option<&Path>) -> Totals {
    let export = |cache: &str, more: &[&str]| {
        let mut call = command(folder, &["export", "-f", "folded"]);
        if let Some(input) = input {
            call.stdin(File::open(input).unwrap());
        }
        call.env("HOTPROOF_CACHE", cache);
        finish(call.args(more).args(arguments)).ends_with(0).stdout
    };
    let cache = folder.join("cache").to_string_lossy().into_owned();
    let [text, inlined] = [&["--no-inline"][..], &[]].map(|more| {
        let text = export("off", more);
        for what in ["filled", "used"] {
            assert_eq!(
                export(&cache, more),
                text,
                "{more:?} with a cache that is {what}"
            );
        }
        text
    });
    assert_eq!(inlined.is_empty(), text.is_empty());
    let mut totals = Totals::new();
    for line in text.lines() {
        let (stack, weight) = line.rsplit_once(' ').unwrap();
        let mut names: Vec<&str> = stack.split(';').skip(1).collect();
        names.retain(|name| !name.starts_with("[end ") && !name.starts_with("[unwinding"));
        names.reverse();
        add(&mut totals, weight.parse().unwrap(), &names);
    }
    totals
}

fn agree(test: &str, flags: &[&str], arguments: &[&str]) {
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let data = match record(folder, flags, arguments) {
        Ok(data) => data,
        Err(reason) => return skip_or_fail(test, &reason),
    };
    let perfs = by_perf(folder, &data, "cpu-clock");
    let reported = by_perf_report(folder, &data);
    let piped = arguments.ends_with(&["-o", "-"]);
    let ours = match piped {
        true => by_us(folder, &["-", "--weight", "cpu"], Some(&data)),
        false => by_us(folder, &["perf.data", "--weight", "cpu"], None),
    };
    let sum = |totals: &Totals| totals.values().map(|(own, _)| own).sum::<i64>();
    assert!(perfs["leaf"].0 > 50_000_000, "too little to prove anything");
    assert_eq!(sum(&ours), sum(&perfs));
    assert_eq!(sum(&ours), sum(&reported));
    for name in OURS {
        assert_eq!(ours.get(name), perfs.get(name), "{name}");
        assert_eq!(ours.get(name), reported.get(name), "perf report: {name}");
    }
    assert!(ours["leaf"].0 > 0 && ours["main"].1 > ours["leaf"].1);
}

fn skip_or_fail(test: &str, reason: &str) {
    let required = std::env::var_os("HOTPROOF_REQUIRE_PERF").is_some_and(|value| value == "1");
    assert!(!required, "perf is required, but: {reason}");
    skip(test, reason);
}

const FRAME_POINTERS: [&str; 2] = ["-O1", "-fno-omit-frame-pointer"];
const NO_FRAME_POINTERS: [&str; 2] = ["-O2", "-fomit-frame-pointer"];

/// Walked by the kernel along frame pointers: every function of ours has exactly perf's figures.
#[test]
fn frame_pointer_recordings_agree_with_perf() {
    let arguments = ["-e", "cpu-clock", "--call-graph", "fp"];
    agree("frame_pointers", &FRAME_POINTERS, &arguments);
}

/// Unwound here and there, each by its own code: the same figures.
#[test]
fn dwarf_recordings_agree_with_perf() {
    let arguments = ["-e", "cpu-clock", "--call-graph", "dwarf,4096"];
    agree("dwarf", &NO_FRAME_POINTERS, &arguments);
}

#[test]
fn compressed_recordings_agree_with_perf() {
    let arguments = ["-e", "cpu-clock", "--call-graph", "fp", "-z"];
    agree("compressed", &FRAME_POINTERS, &arguments);
}

/// So large that stacks are interned by name while the records are read: the same whether the cache
/// knows the names or not.
#[test]
fn large_recordings_read_the_same_with_and_without_names() {
    let test = "large_recordings";
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let copies = [
        "-F",
        "1999",
        "-e",
        "cpu-clock",
        "--call-graph",
        "dwarf,65528",
    ];
    let data = match record(folder, &NO_FRAME_POINTERS, &copies) {
        Ok(data) => data,
        Err(reason) => return skip_or_fail(test, &reason),
    };
    let bytes = data.metadata().unwrap().len();
    assert!(bytes >= 32 << 20, "{bytes} bytes are not read by name");
    let ours = by_us(folder, &["perf.data", "--weight", "cpu"], None);
    assert!(ours["leaf"].0 > 50_000_000 && ours["main"].1 > ours["leaf"].1);
}

/// Everything is a record, the events and the machine's name too.
#[test]
fn recordings_from_a_pipe_agree_with_perf() {
    let arguments = ["-e", "cpu-clock", "--call-graph", "fp", "-o", "-"];
    agree("pipe", &FRAME_POINTERS, &arguments);
}

/// They were recognised and refused with advice for those that could not be read.
#[test]
fn recordings_in_gzip_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let data = match record(here, &FRAME_POINTERS, &["-e", "cpu-clock", "-g"]) {
        Ok(data) => data,
        Err(reason) => return skip_or_fail("recordings in gzip", &reason),
    };
    run(Command::new("gzip").arg("-k").arg(&data)).unwrap();
    let packed = format!("{}.gz", data.display());
    let [plain, packed] = [data.to_str().unwrap(), &packed].map(|name| {
        let arguments = ["export", "-q", "-f", "folded", name];
        hotproof(here, &arguments).ends_with(0).stdout
    });
    assert!(!plain.is_empty());
    assert_eq!(plain, packed);
}

/// Of the whole machine, with records of each switch: several processes, the idle task among them.
#[test]
fn recordings_of_the_whole_machine_agree_with_perf() {
    let arguments = [
        "-e",
        "cpu-clock",
        "--call-graph",
        "fp",
        "-a",
        "--switch-events",
    ];
    agree("machine", &FRAME_POINTERS, &arguments);
}

/// Two events are kept apart: the first is taken and the other one named, until it is asked for.
#[test]
fn one_event_of_several_is_read_and_the_others_are_named() {
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let events = ["-e", "cpu-clock,page-faults", "--call-graph", "fp"];
    if let Err(reason) = record(folder, &FRAME_POINTERS, &events) {
        return skip_or_fail("events", &reason);
    }
    let data = folder.join("perf.data");
    for event in ["cpu-clock", "page-faults"] {
        let weight = if event == "cpu-clock" { "cpu" } else { event };
        let call = ["perf.data", "--event", event, "--weight", weight];
        let (ours, perfs) = (by_us(folder, &call, None), by_perf(folder, &data, event));
        let sum = |totals: &Totals| totals.values().map(|(own, _)| own).sum::<i64>();
        assert_eq!(sum(&ours), sum(&perfs), "{event}");
        for name in OURS {
            assert_eq!(ours.get(name), perfs.get(name), "{event}: {name}");
        }
    }
    let first = hotproof(folder, &["export", "perf.data", "-f", "folded"]);
    first
        .ends_with(0)
        .says(&["this is cpu-clock", "--event page-faults ("]);
    let unknown = ["export", "perf.data", "-f", "folded", "--event", "cycles"];
    hotproof(folder, &unknown)
        .ends_with(2)
        .says(&["no event is called cycles", "cpu-clock, page-faults"]);
    let quiet = hotproof(folder, &["-q", "export", "perf.data", "-f", "folded"]).ends_with(0);
    assert_eq!(quiet.stderr, "");
}
