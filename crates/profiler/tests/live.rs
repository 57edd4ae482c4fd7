//! The recorder on real programs of known work.
//!
//! Truth comes from the programs themselves: their loops count fixed numbers of equal steps. Where
//! perf events are not permitted, tests of samples say so and are skipped; with
//! `HOTPROOF_REQUIRE_PERF=1` that is a failure.

#![allow(clippy::print_stdout)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use hotproof_image::ImageFile;
use hotproof_profile::{
    Exit, Image, Location, LocationId, Mapping, Meta, Process, ProcessId, Profile, Sample, Sink,
    SinkError, Stack, StackEnd, StackId, StringId, Thread, ThreadId, Weight,
};
use hotproof_profiler::{
    Attach, CpuSource, Ended, Environment, Group, Ladder, RecordError, Recorder, Recording,
    Request, Rung, Sampled, Sampling, StackMode, Stdin, Stdout, probe,
};
use object::{Object, ObjectSymbol};
use tempfile::TempDir;

#[path = "live/depth.rs"]
mod depth;
#[path = "live/off_cpu.rs"]
mod off_cpu;
#[path = "live/whom.rs"]
mod whom;

/// Rounds of `split` that take about a second.
const SPLIT_ROUNDS: &str = "9000";
/// Rounds of `tree` that take about half a second.
const TREE_ROUNDS: &str = "20000";

/// Says why a test is skipped, past the test harness, which keeps what passing tests print.
fn skipped(reason: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
}

/// The same where it is perf events that are missing, which fails where they must be there.
fn skipped_for_want_of_perf(reason: &str) {
    let required = std::env::var_os("HOTPROOF_REQUIRE_PERF").is_some_and(|v| v == "1");
    assert!(!required, "HOTPROOF_REQUIRE_PERF=1, but {reason}");
    skipped(reason);
}

/// Whether perf events are permitted; says so when they are not.
fn sampling_works() -> bool {
    Machine::share();
    sampling_is_permitted()
}

/// The same for a test of how much is sampled, beside which no other test may run: on a CPU that is
/// shared the period's changes take samples away.
fn sampling_works_alone() -> bool {
    Machine::have();
    sampling_is_permitted()
}

/// The machine, which tests share or have alone until their threads end.
enum Machine {
    Shared {
        _guard: RwLockReadGuard<'static, ()>,
    },
    Alone {
        _guard: RwLockWriteGuard<'static, ()>,
    },
}

static MACHINE: RwLock<()> = RwLock::new(());

thread_local! {
    static HELD: Cell<Option<Machine>> = const { Cell::new(None) };
}

impl Machine {
    fn share() {
        // Where one thread runs all tests, it still has what the last one had.
        drop(HELD.take());
        let _guard = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
        HELD.set(Some(Machine::Shared { _guard }));
    }

    fn have() {
        drop(HELD.take());
        let _guard = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
        HELD.set(Some(Machine::Alone { _guard }));
    }
}

fn sampling_is_permitted() -> bool {
    match probe() {
        Ladder::Events { .. } => true,
        Ladder::Refused(refusal) => {
            skipped_for_want_of_perf(&format!("perf events not permitted: {refusal}"));
            false
        }
    }
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/programs")
        .join(name)
}

fn build(folder: &TempDir, compiler: &str, flags: &[&str], name: &str) -> PathBuf {
    let program = folder.path().join("program");
    let status = Command::new(compiler)
        .args(flags)
        .arg("-o")
        .arg(&program)
        .arg(source(name))
        .status()
        .expect("the compiler runs");
    assert!(status.success());
    program
}

fn request<const N: usize>(words: [&str; N]) -> Request {
    let mut request = Request::new(words);
    request.stdin = Stdin::Null;
    request.stdout = Stdout::Null;
    request.timeout = Some(Duration::from_secs(120));
    request
}

fn record(request: &Request) -> (Recording, Profile) {
    let mut profile = Profile::default();
    let recording = Recorder::new()
        .record(request, &mut profile, &mut |_| ())
        .unwrap();
    profile.validate().unwrap();
    assert_eq!(profile.samples.len() as u64, recording.samples);
    (recording, profile)
}

/// Names of a program's functions, by its symbol table.
struct Names {
    path: String,
    base_svma: u64,
    symbols: BTreeMap<u64, (u64, String)>,
}

impl Names {
    fn of(program: &Path) -> Names {
        let image = ImageFile::open(program).unwrap();
        let file = object::File::parse(image.data()).unwrap();
        let symbols = file.symbols().filter(|s| s.size() > 0);
        let rows = symbols.map(|s| (s.address(), (s.size(), s.name().unwrap().to_owned())));
        Names {
            path: program.display().to_string(),
            base_svma: image.base_svma(),
            symbols: rows.collect(),
        }
    }

    /// The functions of a sample's stack, leaf first; `?` outside of the program.
    fn stack(&self, profile: &Profile, sample: usize) -> Vec<&str> {
        let path = profile.path(profile.samples.stack[sample]);
        path.map(|location| self.name(profile, location)).collect()
    }

    fn name(&self, profile: &Profile, location: LocationId) -> &str {
        let row = &profile.locations[location];
        let image = row
            .image
            .map(|id| &profile.strings[profile.images[id].path]);
        if image != Some(&self.path) {
            return "?";
        }
        let svma = row.lookup_address() + self.base_svma;
        match self.symbols.range(..=svma).next_back() {
            Some((start, (size, name))) if svma < start + size => name,
            _ => "?",
        }
    }
}

/// Share of samples whose stack, seen as functions, fulfils a condition.
fn share(names: &Names, profile: &Profile, holds: impl Fn(&[&str]) -> bool) -> f64 {
    let all = profile.samples.len();
    let hits = (0..all)
        .filter(|&i| holds(&names.stack(profile, i)))
        .count();
    hits as f64 / all as f64
}

fn has(stack: &[&str], part: &str) -> bool {
    stack.iter().any(|name| name.contains(part))
}

fn assert_near(what: &str, value: f64, expected: f64, tolerance: f64) {
    assert!(
        (value - expected).abs() <= tolerance,
        "{what}: {value:.4}, expected {expected} +- {tolerance}"
    );
}

fn complete_share(recording: &Recording) -> f64 {
    recording.complete_samples as f64 / recording.samples as f64
}

/// Both callers of one frameless leaf get their share of its samples, almost every stack is whole,
/// and the samples stand for the CPU time that was counted.
fn check_split(recording: &Recording, profile: &Profile, names: &Names) {
    assert_eq!(recording.exit, Some(Exit::Code(0)));
    assert_eq!(recording.ended, Ended::Exited);
    assert!(recording.samples > 300, "{recording:?}");
    assert_eq!(recording.lost.records, 0);
    assert!(complete_share(recording) > 0.99, "{recording:?}");
    let step = share(names, profile, |s| has(s, "step"));
    let heavy = share(names, profile, |s| has(s, "step") && has(s, "heavy"));
    let light = share(names, profile, |s| has(s, "step") && has(s, "light"));
    assert!(step > 0.9, "{step}");
    // Five standard errors at 500 samples are ten points; the truth is 75 to 25.
    assert_near("heavy", heavy / step, 0.75, 0.08);
    assert_near("light", light / step, 0.25, 0.08);
    if matches!(&recording.sampled, Sampled::Yes { event, .. } if event == "cpu-clock") {
        let coverage = profile.total_weight(1) as f64 / recording.counts.cpu_ns as f64;
        assert_near("coverage", coverage, 1.0, 0.05);
    }
}

#[test]
fn callers_of_a_frameless_leaf_share_its_time() {
    if !sampling_works() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let program = build(&folder, "gcc", &["-O2", "-fomit-frame-pointer"], "split.c");
    let (recording, profile) = record(&request([program.to_str().unwrap(), SPLIT_ROUNDS]));
    check_split(&recording, &profile, &Names::of(&program));
    assert_eq!(recording.counts.cpu_source, CpuSource::TaskClock);
    assert_eq!(profile.meta.command[1], SPLIT_ROUNDS);
    assert_eq!(profile.meta.cpu_time_ns, Some(recording.counts.cpu_ns));
    assert_eq!(profile.meta.exit, recording.exit);
    assert!(!profile.meta.event.is_empty() && profile.meta.host.cpus > 0);
}

/// The default Rust binary has two segments that share a page of the file; taking the wrong one
/// leaves no complete stack.
#[test]
fn a_rust_binary_unwinds_completely() {
    if !sampling_works() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let program = build(&folder, "rustc", &["-O", "--edition=2021"], "split.rs");
    let (recording, profile) = record(&request([program.to_str().unwrap(), SPLIT_ROUNDS]));
    check_split(&recording, &profile, &Names::of(&program));
}

/// With frame pointers the leaf has none, and its caller must still be seen.
#[test]
fn frame_pointers_do_not_lose_the_callers_of_leaves() {
    if !sampling_works() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let flags = [
        "-O2",
        "-fno-omit-frame-pointer",
        "-momit-leaf-frame-pointer",
    ];
    let program = build(&folder, "gcc", &flags, "split.c");
    let mut request = request([program.to_str().unwrap(), SPLIT_ROUNDS]);
    request.stacks = StackMode::FramePointer;
    let (_, profile) = record(&request);
    let names = Names::of(&program);
    let step = share(&names, &profile, |s| has(s, "step"));
    let heavy = share(&names, &profile, |s| has(s, "step") && has(s, "heavy"));
    let main = share(&names, &profile, |s| has(s, "step") && has(s, "main"));
    assert!(step > 0.9, "{step}");
    assert_near("heavy", heavy / step, 0.75, 0.08);
    assert!(main / step > 0.97, "{main} of {step}");
}

/// The C library's leaves have no frames whatever a program is built with: their callers are seen, and
/// so are all beyond them, below the kernel's largest depth of 127.
#[test]
fn frame_pointers_do_not_lose_the_callers_of_libc() {
    if !sampling_works() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let flags = ["-O2", "-fno-omit-frame-pointer", "-DLIBC"];
    let program = build(&folder, "gcc", &flags, "split.c");
    let mut request = request([program.to_str().unwrap(), "30000"]);
    request.stacks = StackMode::FramePointer;
    let (recording, profile) = record(&request);
    assert!(recording.samples > 100, "{recording:?}");
    let names = Names::of(&program);
    let [heavy, light, main] =
        ["heavy", "light", "main"].map(|name| share(&names, &profile, |s| has(s, name)));
    assert!(heavy + light > 0.95, "{heavy} and {light}");
    assert_near("heavy", heavy / (heavy + light), 0.75, 0.1);
    assert!(main > 0.95, "{main}");
    let flags = [
        "-O1",
        "-fno-omit-frame-pointer",
        "-fno-optimize-sibling-calls",
        "-fno-inline",
        "-pthread",
    ];
    let program = build(&folder, "gcc", &flags, "tree.c");
    let mut request = self::request([program.to_str().unwrap(), "deeper", TREE_ROUNDS, "90"]);
    request.stacks = StackMode::FramePointer;
    let (recording, profile) = record(&request);
    let names = Names::of(&program);
    let exact = share(&names, &profile, |stack| {
        let count = |function| stack.iter().filter(|name| **name == function).count();
        (count("descend"), count("main")) == (91, 1)
    });
    assert!(exact > 0.95, "{exact} of {}", recording.samples);
}

/// Functions have their shares without stacks, too, each in its own thread.
#[test]
fn without_stacks_the_shares_are_the_same() {
    if !sampling_works() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let program = build(&folder, "gcc", &["-O2", "-pthread"], "tree.c");
    let mut request = request([program.to_str().unwrap(), "threads", "5000"]);
    request.stacks = StackMode::None;
    let (_, profile) = record(&request);
    let names = Names::of(&program);
    assert!(share(&names, &profile, |stack| stack == ["step"]) > 0.85);
    for letter in ["a", "b", "c", "d"] {
        let name = format!("worker-{letter}");
        let threads = profile.samples.thread.iter();
        let own = threads.filter(|&&id| profile.strings[profile.threads[id].name] == name);
        let seen = own.count() as f64 / profile.samples.len() as f64;
        assert_near(&name, seen, 0.25, 0.1);
    }
    assert!(
        profile
            .samples
            .end
            .iter()
            .all(|&end| end == StackEnd::Unknown)
    );
}

#[test]
fn without_stacks_only_the_leaf_is_there() {
    if !sampling_works() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let program = build(&folder, "gcc", &["-O2"], "split.c");
    let mut request = request([program.to_str().unwrap(), "3000"]);
    request.stacks = StackMode::None;
    let (recording, profile) = record(&request);
    let names = Names::of(&program);
    let lone = share(&names, &profile, |s| s == ["step"]);
    assert!(lone > 0.85, "{lone}");
    assert_eq!(recording.complete_samples, 0);
}

/// Four threads with names, each in its own function, each with a quarter of the samples.
#[test]
fn threads_are_told_apart() {
    if !sampling_works() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let program = build(&folder, "gcc", &["-O2", "-pthread"], "tree.c");
    let program_text = program.to_str().unwrap();
    let (recording, profile) = record(&request([program_text, "threads", "5000"]));
    let names = Names::of(&program);
    assert!(complete_share(&recording) > 0.99, "{recording:?}");
    let all = profile.samples.len();
    for letter in ["a", "b", "c", "d"] {
        let (thread, work) = (format!("worker-{letter}"), format!("work_{letter}"));
        let mut own = 0;
        for i in 0..all {
            let stack = names.stack(&profile, i);
            let row = &profile.threads[profile.samples.thread[i]];
            if has(&stack, &work) {
                assert_eq!(&profile.strings[row.name], &thread);
                own += 1;
            }
        }
        assert_near(&thread, f64::from(own) / all as f64, 0.25, 0.1);
    }
    assert_eq!(profile.processes.len(), 1);
    assert_eq!(profile.threads.len(), 5);
    assert!(profile.threads.rows().iter().all(|t| t.end_ns.is_some()));
}

/// A child is a process of its own, with its parent's mappings, and counts in the CPU time.
#[test]
fn a_forked_child_is_followed() {
    if !sampling_works() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let program = build(&folder, "gcc", &["-O2", "-pthread"], "tree.c");
    let (recording, profile) = record(&request([program.to_str().unwrap(), "fork", "5000"]));
    let names = Names::of(&program);
    assert_eq!(profile.processes.len(), 2);
    let child = share(&names, &profile, |s| has(s, "work_b"));
    let parent = share(&names, &profile, |s| has(s, "work_a"));
    assert_near("child", child, 0.75, 0.1);
    assert_near("parent", parent, 0.25, 0.1);
    let coverage = profile.total_weight(1) as f64 / recording.counts.cpu_ns as f64;
    if profile.meta.event == "cpu-clock" {
        assert_near("coverage", coverage, 1.0, 0.05);
    }
}

/// A program whose rounds are exactly as long as the period is not seen at one moment of each round:
/// where the events are those of whole CPUs, the period changes within the run. The rate stays.
#[test]
fn the_period_does_not_beat_against_the_program() {
    if !sampling_works_alone() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let program = build(&folder, "gcc", &["-O2"], "periodic.c");
    // One CPU, so that nothing but the recorder moves the phase.
    let words = ["taskset", "-c", "0", program.to_str().unwrap(), "2000"];
    let mut request = request(words);
    request.event = Some("cpu-clock".parse().unwrap());
    let names = Names::of(&program);
    // A host that takes the CPU away can lower the rate of one recording, never the share's truth.
    let mut rates = (0..3).map_while(|_| {
        let (recording, profile) = record(&request);
        let [first, second] =
            ["first", "second"].map(|part| share(&names, &profile, |stack| has(stack, part)));
        let seen = first / (first + second);
        let rate = recording.samples as f64 * 1e9 / recording.counts.cpu_ns as f64;
        println!("{seen:.3} of 0.300, {rate:.1} samples a second of CPU time");
        if !profile.meta.rung.contains("control group") {
            return None;
        }
        // Five standard errors at 2,000 samples; without the change it may be anything up to 1.
        assert_near("the share of its first part", seen, 0.3, 0.051);
        Some(rate)
    });
    // The changes take away 2, and the last period may have no other that makes up for it.
    let is_kept = |rate: f64| (rate - 997.0).abs() <= 7.0;
    if let Some(first) = rates.next() {
        assert!(is_kept(first) || rates.any(is_kept), "first {first}");
    }
}

/// A thousand children, each shorter than a sampling period: where events of whole CPUs are
/// permitted, the samples stand for their time too; elsewhere a note says that they do not.
#[test]
fn short_tasks_are_sampled_or_told() {
    if !sampling_works() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let program = build(&folder, "gcc", &["-O2", "-pthread"], "tree.c");
    let mut request = request([program.to_str().unwrap(), "forks", "1000"]);
    request.rate_hz = 499;
    let (recording, profile) = record(&request);
    assert_eq!(recording.exit, Some(Exit::Code(0)));
    // All children were waited for, so that the kernel's sum over them is the truth; it is cut to
    // whole microseconds for each child.
    let tree_ns = (recording.counts.user_ns + recording.counts.system_ns) as f64;
    assert_near(
        "CPU time",
        recording.counts.cpu_ns as f64 / tree_ns,
        1.0,
        0.01,
    );
    if profile.meta.rung.contains("control group") && profile.meta.event == "cpu-clock" {
        let coverage = profile.total_weight(1) as f64 / tree_ns;
        // Five standard errors at 150 samples are 40 %; without the control group it is nothing.
        assert_near("coverage", coverage, 1.0, 0.4);
    } else {
        let told = recording.notes.iter().any(|note| note.contains("cover"));
        assert!(told, "{:?}", recording.notes);
    }
}

/// Each stack below a recursion of known depth has exactly that many frames of it.
#[test]
fn a_deep_recursion_has_its_exact_depth() {
    if !sampling_works() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let flags = [
        "-O1",
        "-pthread",
        "-fno-optimize-sibling-calls",
        "-fno-inline",
    ];
    let program = build(&folder, "gcc", &flags, "tree.c");
    let mut request = request([program.to_str().unwrap(), "deep", TREE_ROUNDS]);
    request.stacks = StackMode::Dwarf { bytes: 65_528 };
    let (recording, profile) = record(&request);
    let names = Names::of(&program);
    let whole: Vec<Vec<&str>> = (0..profile.samples.len())
        .filter(|&i| profile.samples.end[i] == StackEnd::Complete)
        .map(|i| names.stack(&profile, i))
        .filter(|stack| has(stack, "work_a"))
        .collect();
    assert!(whole.len() as f64 > 0.95 * recording.samples as f64);
    for stack in whole {
        let count = |function| stack.iter().filter(|name| **name == function).count();
        // `descend(300)` to `descend(0)`; the compiler is told not to unroll them into one frame.
        assert_eq!((count("descend"), count("main")), (301, 1));
    }
}

/// A small copy of the stack cuts the same stacks, and the cut is told.
#[test]
fn a_stack_beyond_the_copy_is_truncated() {
    if !sampling_works() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let flags = ["-O2", "-pthread", "-fno-optimize-sibling-calls"];
    let program = build(&folder, "gcc", &flags, "tree.c");
    let mut request = request([program.to_str().unwrap(), "deep", TREE_ROUNDS]);
    request.stacks = StackMode::Dwarf { bytes: 1_024 };
    let (_, profile) = record(&request);
    let ends = &profile.samples.end;
    let cut = ends.iter().filter(|&&e| e == StackEnd::Truncated).count();
    assert!(
        cut as f64 > 0.95 * ends.len() as f64,
        "{cut} of {}",
        ends.len()
    );
}

/// Below a signal handler the interrupted function and its callers are seen.
#[cfg(target_arch = "x86_64")]
#[test]
fn stacks_go_on_below_a_signal_handler() {
    if !sampling_works() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let flags = ["-O2", "-pthread", "-fomit-frame-pointer"];
    let program = build(&folder, "gcc", &flags, "tree.c");
    let (recording, profile) = record(&request([program.to_str().unwrap(), "signal", TREE_ROUNDS]));
    let names = Names::of(&program);
    assert!(complete_share(&recording) > 0.98, "{recording:?}");
    let below = share(&names, &profile, |s| {
        has(s, "handler") && has(s, "waiting") && has(s, "main")
    });
    assert!(below > 0.95, "{below}");
}

/// A shell that becomes another program leaves two exec images of one process.
#[test]
fn an_exec_makes_a_new_image() {
    if !sampling_works() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let program = build(&folder, "gcc", &["-O2"], "split.c");
    let script = format!("exec {} 2000", program.display());
    let (recording, profile) = record(&request(["sh", "-c", &script]));
    assert_eq!(recording.exit, Some(Exit::Code(0)));
    let rows = profile.processes.rows();
    let names: Vec<_> = rows.iter().map(|p| &profile.strings[p.name]).collect();
    assert_eq!(names, ["sh", "program"]);
    assert_eq!(rows[0].pid, rows[1].pid);
    assert_eq!(rows[0].end_ns, Some(rows[1].start_ns));
}

#[test]
fn the_exit_of_the_target_is_told() {
    let cases = [
        ("exit 3", Exit::Code(3)),
        ("kill -9 $$", Exit::Signal(9)),
        ("true", Exit::Code(0)),
    ];
    for (script, exit) in cases {
        for sampling in [Sampling::Events, Sampling::Off] {
            let mut request = request(["sh", "-c", script]);
            request.sampling = sampling;
            let (recording, profile) = record(&request);
            assert_eq!(recording.exit, Some(exit), "{script}");
            assert_eq!(recording.ended, Ended::Exited);
            assert_eq!(profile.meta.exit, Some(exit));
            assert!(recording.counts.wall_ns > 0 && recording.counts.cpu_ns > 0);
            assert!(recording.counts.peak_rss_bytes > 100_000);
        }
    }
}

fn is_alive(pid: u32) -> bool {
    !matches!(state(pid), None | Some('Z' | 'X'))
}

/// The state of a process, as `/proc/PID/stat` has it.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().unwrap_or("").trim().chars().next()
}

fn ends_soon(pid: u32) -> bool {
    let limit = Instant::now() + Duration::from_secs(5);
    while Instant::now() < limit {
        if !is_alive(pid) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

/// The whole process group goes, not only the process that was started.
#[test]
fn a_timeout_kills_the_whole_group() {
    for sampling in [Sampling::Events, Sampling::Off] {
        let folder = TempDir::new().unwrap();
        let note = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; wait", note.display());
        let mut request = request(["sh", "-c", &script]);
        request.timeout = Some(Duration::from_millis(400));
        request.sampling = sampling;
        let (recording, _) = record(&request);
        assert_eq!(recording.ended, Ended::TimedOut);
        assert_eq!(recording.exit, Some(Exit::Signal(9)));
        let pid: u32 = std::fs::read_to_string(&note)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        assert!(ends_soon(pid), "{pid} is still alive");
        assert!(recording.notes[0].contains("time limit"));
    }
}

/// The stop flag ends a target that would go on for ever, and what was seen is kept.
#[test]
fn the_stop_flag_ends_a_recording() {
    for group in [Group::Own, Group::Inherit] {
        let mut request = request(["sh", "-c", "while :; do :; done"]);
        request.group = group;
        let stop = std::sync::Arc::clone(&request.stop);
        let timer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            stop.store(true, Ordering::Relaxed);
        });
        let (recording, profile) = record(&request);
        timer.join().unwrap();
        assert_eq!(recording.ended, Ended::Interrupted);
        assert_eq!(recording.exit, Some(Exit::Signal(15)));
        if sampling_works() {
            assert!(profile.samples.len() > 10);
        }
    }
}

/// A second wish to stop kills a target that ignores the first one, long before patience ends.
#[test]
fn the_second_stop_ends_a_recording_at_once() {
    let mut request = request(["sh", "-c", "trap '' TERM INT; while :; do :; done"]);
    request.group = Group::Inherit;
    let stop = std::sync::Arc::clone(&request.stop);
    let now = std::sync::Arc::clone(&request.stop_now);
    let timer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        stop.store(true, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(200));
        now.store(true, Ordering::Relaxed);
    });
    let (recording, profile) = record(&request);
    timer.join().unwrap();
    assert_eq!(recording.ended, Ended::Interrupted);
    assert_eq!(recording.exit, Some(Exit::Signal(9)));
    // Without it: 0.2 s, 2 s for Ctrl-C and 0.5 s for SIGTERM.
    assert!(recording.counts.wall_ns < 2_300_000_000);
    if sampling_works() {
        assert!(profile.samples.len() > 10);
    }
}

/// A target that outlives nothing but leaves a child behind: the recording ends with the target.
#[test]
fn a_child_left_behind_is_told() {
    if !sampling_works() {
        return;
    }
    let (recording, _) = record(&request(["sh", "-c", "sleep 3 & exit 0"]));
    assert_eq!(recording.exit, Some(Exit::Code(0)));
    assert!(recording.counts.wall_ns < 2_000_000_000);
    let told = recording.notes.iter().any(|n| n.contains("still ran"));
    assert!(told, "{:?}", recording.notes);
}

#[test]
fn what_cannot_run_is_refused_before_anything_runs() {
    let folder = TempDir::new().unwrap();
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "no program").unwrap();
    let attempt = |request: &Request| {
        let mut profile = Profile::default();
        let result = Recorder::new().record(request, &mut profile, &mut |_| ());
        assert_eq!(profile, Profile::default());
        result.unwrap_err()
    };
    let missing = attempt(&request(["hotproof-no-such-program"]));
    assert!(
        matches!(&missing, RecordError::NotFound { .. }),
        "{missing}"
    );
    assert!(missing.to_string().contains("PATH="), "{missing}");
    let missing = attempt(&request(["./no/such/program"]));
    assert!(matches!(missing, RecordError::NotFound { .. }), "{missing}");
    let refused = attempt(&request([plain.to_str().unwrap()]));
    assert!(
        matches!(refused, RecordError::NotExecutable { .. }),
        "{refused}"
    );
    let refused = attempt(&request(["/"]));
    assert!(
        matches!(refused, RecordError::NotExecutable { .. }),
        "{refused}"
    );
    let empty = attempt(&Request::new([] as [&str; 0]));
    assert!(matches!(empty, RecordError::EmptyCommand), "{empty}");
    let nul = attempt(&request(["true", "a\0b"]));
    assert!(matches!(nul, RecordError::NulByte { .. }), "{nul}");
    let mut elsewhere = request(["true"]);
    elsewhere.directory = Some(folder.path().join("nowhere"));
    let nowhere = attempt(&elsewhere);
    assert!(
        matches!(nowhere, RecordError::Directory { .. }),
        "{nowhere}"
    );
}

/// A program whose interpreter is missing is told as such, not as a missing program.
#[test]
fn a_missing_interpreter_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let script = folder.path().join("script");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut profile = Profile::default();
    let error = Recorder::new()
        .record(
            &request([script.to_str().unwrap()]),
            &mut profile,
            &mut |_| (),
        )
        .unwrap_err();
    assert!(error.to_string().contains("interpreter"), "{error}");
}

/// Directory, environment, input and output are those asked for; a script without an interpreter
/// line runs, as `execvp` would have it; a relative program is looked for in the directory.
#[test]
fn the_target_gets_the_world_that_was_asked_for() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let script = folder.path().join("script");
    std::fs::write(
        &script,
        "pwd; cat; echo \"$HOTPROOF_A|$HOME|$1\"; echo e >&2\n",
    )
    .unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let input = folder.path().join("input");
    std::fs::write(&input, "from the file\n").unwrap();
    let (mut out, mut err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    let mut request = request(["./script", "first"]);
    request.directory = Some(folder.path().to_owned());
    let path = std::env::var_os("PATH").unwrap();
    request.environment = Environment::Exactly(vec![
        ("HOTPROOF_A".into(), "b".into()),
        ("PATH".into(), path),
    ]);
    request.stdin = Stdin::File(input);
    request.stdout = Stdout::File(out.try_clone().unwrap());
    request.stderr = hotproof_profiler::Stderr::File(err.try_clone().unwrap());
    let (recording, _) = record(&request);
    assert_eq!(recording.exit, Some(Exit::Code(0)));
    let text = |file: &mut File| {
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    };
    let here = folder.path().canonicalize().unwrap();
    assert_eq!(
        text(&mut out),
        format!("{}\nfrom the file\nb||first\n", here.display())
    );
    assert_eq!(text(&mut err), "e\n");
}

/// The target does not inherit that Rust programs ignore a closed pipe.
#[test]
fn the_target_dies_of_a_closed_pipe() {
    let mut request = request(["sh", "-c", "kill -PIPE $$; exit 0"]);
    request.sampling = Sampling::Off;
    let (recording, _) = record(&request);
    assert_eq!(recording.exit, Some(Exit::Signal(13)));
}

/// Peak memory is the target's own, also when the recorder holds much more; a child that was waited
/// for counts, and a program below what can be measured is told as such.
#[test]
fn peak_memory_is_that_of_the_target() {
    let folder = TempDir::new().unwrap();
    let program = build(&folder, "gcc", &["-O1"], "memory.c");
    let program = program.to_str().unwrap();
    let ballast = vec![1u8; 300 << 20];
    let direct = |bytes: usize| vec![program.to_owned(), bytes.to_string()];
    let waited = |bytes: usize| {
        let script = format!("{program} {bytes}; true");
        vec!["sh".to_owned(), "-c".to_owned(), script]
    };
    let cases = [
        direct(0),
        direct(2 << 20),
        direct(200 << 20),
        waited(200 << 20),
    ];
    let mut recorder = Recorder::new();
    for (command, sampling) in cases
        .iter()
        .flat_map(|c| [(c, Sampling::Events), (c, Sampling::Off)])
    {
        let mut out = tempfile::tempfile().unwrap();
        let mut request = Request::new(command);
        request.stdin = Stdin::Null;
        request.stdout = Stdout::File(out.try_clone().unwrap());
        request.sampling = sampling;
        let recording = recorder
            .record(&request, &mut Profile::default(), &mut |_| ())
            .unwrap();
        let mut told = String::new();
        out.rewind().unwrap();
        out.read_to_string(&mut told).unwrap();
        let told: f64 = told.trim().parse().unwrap();
        let peak = recording.counts.peak_rss_bytes as f64 / 1_024.0;
        println!(
            "{command:?}: {peak} KiB, by itself {told} KiB, {:?}",
            recording.notes
        );
        // The kernel's sums may be behind by some batches of pages.
        assert_near("peak in KiB", peak, told, 300.0);
        let hedged = recording.notes.iter().any(|n| n.contains("Peak memory"));
        assert!(!hedged, "{:?}", recording.notes);
    }
    assert!(ballast.iter().all(|&byte| byte == 1));
}

/// Variable under which a test runs alone in a process of its own.
const ALONE: &str = "HOTPROOF_TEST_ALONE";

/// Nothing of the recorder's is open in the target but what is to be inherited. Other tests open
/// descriptors that they mark only afterwards, so that this one runs in a process of its own.
#[test]
fn no_descriptor_leaks_into_the_target() {
    if std::env::var_os(ALONE).is_none() {
        let alone = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "no_descriptor_leaks_into_the_target"])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&alone.stdout);
        assert!(
            alone.status.success() && text.contains("1 passed"),
            "{text}"
        );
        return;
    }
    let mut out = tempfile::tempfile().unwrap();
    let plain = Command::new("sh").args(["-c", "ls /proc/$$/fd"]).output();
    let mut request = request(["sh", "-c", "ls /proc/$$/fd"]);
    request.stdout = Stdout::File(out.try_clone().unwrap());
    record(&request);
    let mut told = String::new();
    out.rewind().unwrap();
    out.read_to_string(&mut told).unwrap();
    let expected = String::from_utf8(plain.unwrap().stdout).unwrap();
    assert_eq!(told, expected);
}

/// Several threads with a recorder each, at the same time, while others allocate and free.
#[test]
fn recorders_of_several_threads_do_not_disturb_each_other() {
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let blocks: Vec<_> = (1..50).map(|i| vec![1u8; i * 10_000]).collect();
                assert!(blocks.iter().all(|block| block[0] == 1));
            }
        });
        let workers: Vec<_> = (0..3)
            .map(|code| {
                scope.spawn(move || {
                    let mut recorder = Recorder::new();
                    for _ in 0..10 {
                        let mut request = request(["sh", "-c", &format!("exit {code}")]);
                        request.sampling = Sampling::Off;
                        let recording = recorder
                            .record(&request, &mut Profile::default(), &mut |_| ())
                            .unwrap();
                        assert_eq!(recording.exit, Some(Exit::Code(code)));
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// Starts a program that is killed and reaped when this is dropped.
struct Started(std::process::Child);

impl Started {
    fn new(command: &mut Command) -> Started {
        let null = std::process::Stdio::null;
        let child = command.stdin(null()).stdout(null()).spawn();
        Started(child.expect("the program starts"))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn attach(attach: &Attach) -> (Recording, Profile) {
    let mut profile = Profile::default();
    let recording = Recorder::new()
        .attach(attach, &mut profile, &mut |_| ())
        .unwrap();
    profile.validate().unwrap();
    (recording, profile)
}

/// The CPU time of each thread of a process, by its name, as the scheduler counts it.
fn cpu_ns_of_threads(pid: u32) -> BTreeMap<String, u64> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of_task = |task: PathBuf| {
        let read = |file: &str| std::fs::read_to_string(task.join(file)).unwrap();
        let used = read("schedstat").split(' ').next().unwrap().parse();
        (read("comm").trim().to_owned(), used.unwrap())
    };
    tasks.map(|task| of_task(task.unwrap().path())).collect()
}

/// Threads that ran before are found with their names and their code, their time is counted, and
/// the process goes on when the time is up.
#[test]
fn running_threads_are_attached_to_and_left_running() {
    if !sampling_works() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let program = build(&folder, "gcc", &["-O2", "-pthread"], "tree.c");
    let started = Started::new(Command::new(&program).args(["threads", "1000000000"]));
    std::thread::sleep(Duration::from_millis(300));
    let mut wanted = Attach::new([started.0.id()]);
    wanted.duration = Some(Duration::from_millis(1_000));
    let before = cpu_ns_of_threads(started.0.id());
    let (recording, profile) = attach(&wanted);
    let after = cpu_ns_of_threads(started.0.id());
    assert!(is_alive(started.0.id()));
    // Beside other programs the system may give one of four threads much more than another.
    let used = |name: &str| (after[name] - before[name]) as f64;
    let all: f64 = after.keys().map(|name| used(name)).sum();
    assert_eq!((recording.ended, recording.exit), (Ended::TimedOut, None));
    assert!((950_000_000..5_000_000_000).contains(&recording.counts.wall_ns));
    assert!(recording.samples > 100, "{recording:?}");
    assert!(complete_share(&recording) > 0.98, "{recording:?}");
    let names = Names::of(&program);
    for letter in ["a", "b", "c", "d"] {
        let (thread, work) = (format!("worker-{letter}"), format!("work_{letter}"));
        let mut own = 0;
        for i in 0..profile.samples.len() {
            let row = &profile.threads[profile.samples.thread[i]];
            if has(&names.stack(&profile, i), &work) {
                assert_eq!(&profile.strings[row.name], &thread);
                own += 1;
            }
        }
        assert_near(
            &thread,
            f64::from(own) / recording.samples as f64,
            used(&thread) / all,
            0.1,
        );
    }
    assert_eq!((profile.processes.len(), profile.threads.len()), (1, 5));
    if profile.meta.event == "cpu-clock" {
        let coverage = profile.total_weight(1) as f64 / recording.counts.cpu_ns as f64;
        assert_near("coverage", coverage, 1.0, 0.05);
    }
}

/// Children that were there and children that come later are seen, and the recording ends with
/// the process that was named.
#[test]
fn descendants_of_an_attached_process_are_seen() {
    if !sampling_works() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let program = build(&folder, "gcc", &["-O2", "-pthread"], "tree.c");
    let script = "$0 threads 1000000000 & old=$!; sleep 1.5; $0 signal 20000; kill $old";
    let started = Started::new(Command::new("sh").args(["-c", script]).arg(&program));
    std::thread::sleep(Duration::from_millis(250));
    let (recording, profile) = attach(&Attach::new([started.0.id()]));
    assert_eq!((recording.ended, recording.exit), (Ended::Exited, None));
    let names = Names::of(&program);
    let old = share(&names, &profile, |s| has(s, "work_b"));
    let new = share(&names, &profile, |s| has(s, "handler"));
    assert!(old > 0.1 && new > 0.1, "{old} {new} {recording:?}");
}

/// The stop flag ends an attached recording at once; nobody to attach to is told.
#[test]
fn attaching_ends_by_the_flag_and_tells_who_is_missing() {
    let error = Recorder::new()
        .attach(
            &Attach::new([u32::MAX]),
            &mut Profile::default(),
            &mut |_| (),
        )
        .unwrap_err();
    assert!(matches!(error, RecordError::NoProcess { .. }), "{error}");
    if !sampling_works() {
        return;
    }
    let started = Started::new(Command::new("sleep").arg("1000"));
    let wanted = Attach::new([started.0.id()]);
    wanted.stop.store(true, Ordering::Relaxed);
    let (recording, _) = attach(&wanted);
    assert_eq!(recording.ended, Ended::Interrupted);
    assert!(is_alive(started.0.id()));
}

/// A recorder that is used again knows what it knew, and its runs do not mix.
#[test]
fn a_recorder_can_be_used_again() {
    if !sampling_works() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let program = build(&folder, "gcc", &["-O2", "-fomit-frame-pointer"], "split.c");
    let names = Names::of(&program);
    let mut recorder = Recorder::new();
    for rounds in ["1000", "2000", "1000"] {
        let mut profile = Profile::default();
        let request = request([program.to_str().unwrap(), rounds]);
        let recording = recorder
            .record(&request, &mut profile, &mut |_| ())
            .unwrap();
        profile.validate().unwrap();
        assert!(complete_share(&recording) > 0.95, "{recording:?}");
        assert!(share(&names, &profile, |s| has(s, "step")) > 0.8);
        assert_eq!(profile.processes.len(), 1);
    }
}

/// A recorder that moves to another thread, whose first one has ended, goes on as before and does
/// not spin.
#[test]
fn a_recorder_can_move_to_another_thread() {
    if !sampling_works() {
        return;
    }
    let mut recorder = Recorder::new();
    for _ in 0..2 {
        let worker = std::thread::spawn(move || {
            let request = request([
                "sh",
                "-c",
                "sleep 0.5; i=0; while [ $i -lt 9999 ]; do i=$((i+1)); done",
            ]);
            let mut profile = Profile::default();
            let recording = recorder
                .record(&request, &mut profile, &mut |_| ())
                .unwrap();
            (recorder, recording)
        });
        let recording;
        (recorder, recording) = worker.join().unwrap();
        assert!(recording.samples > 0, "{recording:?}");
        assert!(recording.recorder_cpu_ns < 200_000_000, "{recording:?}");
    }
}

/// A sink that is full ends the run with its own error, and the target does not stay behind.
#[test]
fn a_sink_that_refuses_ends_the_run() {
    if !sampling_works() {
        return;
    }
    let request = request(["sh", "-c", "while :; do :; done"]);
    let mut sink = Full::default();
    let started = Instant::now();
    let error = Recorder::new()
        .record(&request, &mut sink, &mut |_| ())
        .unwrap_err();
    assert!(matches!(&error, RecordError::Sink(_)), "{error}");
    assert!(error.to_string().contains("no space"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20));
    assert!(ends_soon(sink.pid));
}

/// A profile that takes ten samples.
#[derive(Default)]
struct Full {
    profile: Profile,
    pid: u32,
}

impl Sink for Full {
    fn string(&mut self, text: &str) -> Result<StringId, SinkError> {
        self.profile.string(text)
    }
    fn weights(&mut self, weights: &[Weight]) -> Result<(), SinkError> {
        Sink::weights(&mut self.profile, weights)
    }
    fn process(&mut self, row: Process) -> Result<ProcessId, SinkError> {
        self.pid = row.pid;
        self.profile.process(row)
    }
    fn thread(&mut self, row: Thread) -> Result<ThreadId, SinkError> {
        self.profile.thread(row)
    }
    fn image(&mut self, row: Image) -> Result<hotproof_profile::ImageId, SinkError> {
        self.profile.image(row)
    }
    fn mapping(&mut self, row: Mapping) -> Result<hotproof_profile::MappingId, SinkError> {
        self.profile.mapping(row)
    }
    fn location(&mut self, row: Location) -> Result<LocationId, SinkError> {
        self.profile.location(row)
    }
    fn stack(&mut self, row: Stack) -> Result<StackId, SinkError> {
        self.profile.stack(row)
    }
    fn sample(&mut self, sample: &Sample<'_>) -> Result<(), SinkError> {
        if self.profile.samples.len() >= 10 {
            return Err("no space left".into());
        }
        self.profile.sample(sample)
    }
    fn process_ended(&mut self, id: ProcessId, time_ns: u64) -> Result<(), SinkError> {
        self.profile.process_ended(id, time_ns)
    }
    fn thread_ended(&mut self, id: ThreadId, time_ns: u64) -> Result<(), SinkError> {
        self.profile.thread_ended(id, time_ns)
    }
    fn thread_named(&mut self, id: ThreadId, name: StringId) -> Result<(), SinkError> {
        self.profile.thread_named(id, name)
    }
    fn meta(&mut self, meta: Meta) -> Result<(), SinkError> {
        Sink::meta(&mut self.profile, meta)
    }
}

/// Variable under which this program records as an ordinary user.
const AS_USER: &str = "HOTPROOF_TEST_AS_USER";

/// At `perf_event_paranoid` 2 and below an ordinary user simply succeeds, at 2 with user code alone.
#[test]
fn an_ordinary_user_samples_user_code() {
    let level = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    let level: i64 = level.trim().parse().unwrap_or(i64::MAX);
    if !sampling_works() {
        return;
    }
    if level > 2 {
        skipped_for_want_of_perf(&format!("perf_event_paranoid is {level}, above 2"));
        return;
    }
    let folder = TempDir::new().unwrap();
    let program = build(&folder, "gcc", &["-O2", "-fomit-frame-pointer"], "split.c");
    let ourselves = folder.path().join("ourselves");
    std::fs::copy(std::env::current_exe().unwrap(), &ourselves).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&ourselves)
        .args(["--exact", "as_user", "--nocapture", "--test-threads=1"])
        .env(AS_USER, &program)
        .current_dir("/")
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            skipped(&format!("setpriv does not run: {error}"));
            return;
        }
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.starts_with("setpriv:") {
        skipped(&format!(
            "this user cannot become another: {}",
            errors.trim_end()
        ));
        return;
    }
    assert!(output.status.success(), "{text}{errors}");
    assert!(text.contains("recorded as an ordinary user"), "{text}");
}

/// What [`an_ordinary_user_samples_user_code`] runs under another user id.
#[test]
fn as_user() {
    let Some(program) = std::env::var_os(AS_USER) else {
        return;
    };
    let program = PathBuf::from(program);
    let (recording, profile) = record(&request([program.to_str().unwrap(), SPLIT_ROUNDS]));
    check_split(&recording, &profile, &Names::of(&program));
    let level = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap();
    // At 1 and below the kernel may be sampled by everybody.
    let is_open = level.trim().parse::<i32>().unwrap() < 2;
    let expected = if rustix::process::geteuid().is_root() || is_open {
        Rung::KernelAndUser
    } else {
        Rung::UserOnly
    };
    assert!(
        matches!(&recording.sampled, Sampled::Yes { rung, .. } if *rung == expected),
        "{:?}",
        recording.sampled
    );
    off_cpu::as_user(program.to_str().unwrap());
    println!("recorded as an ordinary user");
}

/// Variable under which this program was started with SIGCHLD ignored.
const CHILDREN_IGNORED: &str = "HOTPROOF_TEST_CHILDREN_IGNORED";

/// Daemons and CI runners ignore SIGCHLD, and what they start inherits that: children then vanish
/// as they end, before anybody can wait for them.
#[test]
fn a_run_is_recorded_where_sigchld_is_ignored() {
    // Not by a shell: some of them take care of SIGCHLD themselves.
    let output = Command::new("env")
        .arg("--ignore-signal=CHLD")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "with_sigchld_ignored", "--nocapture"])
        .env(CHILDREN_IGNORED, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    assert!(text.contains("recorded without SIGCHLD"), "{text}{errors}");
}

/// What [`a_run_is_recorded_where_sigchld_is_ignored`] runs.
#[test]
fn with_sigchld_ignored() {
    if std::env::var_os(CHILDREN_IGNORED).is_none() {
        return;
    }
    let sigchld = 1u64 << (rustix::process::Signal::CHILD.as_raw() - 1);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = u64::from_str_radix(ignored.unwrap().trim(), 16).unwrap();
    assert!(
        ignored & sigchld != 0,
        "this test proves nothing: {ignored:x}"
    );
    let mut asked = request(["sh", "-c", "(exit 3); exit $(($? + 1))"]);
    for sampling in [Sampling::Off, Sampling::Events] {
        asked.sampling = sampling;
        let (recording, _) = record(&asked);
        assert_eq!(recording.exit, Some(Exit::Code(4)));
        assert!(recording.counts.cpu_ns > 0);
    }
    println!("recorded without SIGCHLD");
}

/// A program that joins its threads and starts no process leaves nobody behind.
#[test]
fn joined_threads_are_no_descendants() {
    if !sampling_works() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let program = build(&folder, "gcc", &["-O2", "-pthread"], "tree.c");
    for run in 0..40 {
        let (recording, _) = record(&request([program.to_str().unwrap(), "threads", "20"]));
        let told = recording
            .notes
            .iter()
            .find(|note| note.contains("still ran"));
        assert_eq!(told, None, "run {run}");
    }
}
