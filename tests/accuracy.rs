//! Shares and stacks against programs of known work: `tests/programs/`, `scripts/truth.py`.
//!
//! Each program is recorded for `HOTPROOF_ACCURACY_SECONDS` of CPU time (3 unless told), and its
//! own and total shares, callers included, are held to the truth, as are the chains of its
//! functions on every stack. `--nocapture` shows the figures.

#![allow(clippy::print_stdout, reason = "a test shows what it measured")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hotproof_profile::transform::keep;
use hotproof_profile::{
    Code, CodeTotal, ImageKind, Inline, LocationId, Profile, StackEnd, StackId,
};

use crate::run::{alone, finish, hotproof, perf_opens};

/// How far a share may be from the truth.
const TOLERANCE_POINTS: f64 = 1.5;

/// What a kind of sampling is held to.
struct Bar {
    tolerance_points: f64,
    /// Which weight of the samples the shares are of.
    weight: usize,
}

const BY_PERF: Bar = Bar {
    tolerance_points: TOLERANCE_POINTS,
    weight: 0,
};

/// Stops weigh the CPU time since the stop before, on a busy machine as unevenly as if they were
/// half as many. 3 s at 997 Hz are 3,000 samples at least: a share of 70 % then has a standard
/// deviation of 1.2 points at worst.
const BY_STOPS: Bar = Bar {
    tolerance_points: 4.0,
    weight: 1,
};

/// The least share of stacks that reach the thread's start and name the right functions.
const CORRECT_PERCENT: f64 = 99.0;

/// What one program does, as `truth.toml` has it.
#[derive(serde::Deserialize)]
struct Truth {
    source: String,
    build: Vec<String>,
    /// Share in percent of each chain of functions, root first, `[inlined]` ones in brackets.
    chains: BTreeMap<String, f64>,
}

/// A kind of share, as the tests name it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    /// In the function or what it calls.
    Total,
    /// In the function and library code inlined into it.
    Own,
    /// In the function's machine code, whatever is inlined into it.
    Physical,
}

/// Percent by kind and function.
type Shares = BTreeMap<(Kind, String), f64>;

/// What a recording says about the stacks of a program.
struct Stacks {
    samples: usize,
    complete: usize,
    correct: usize,
    /// Chains that the program cannot have, with how often each was seen.
    wrong: BTreeMap<String, usize>,
}

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs")
}

/// Where programs are built and recorded: cargo's own folder for the files of tests.
fn workshop() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("accuracy");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// How long a program is to work, in seconds of CPU time.
fn seconds() -> f64 {
    let text = std::env::var("HOTPROOF_ACCURACY_SECONDS").unwrap_or_else(|_| "3".to_owned());
    text.parse().expect("HOTPROOF_ACCURACY_SECONDS is a number")
}

/// The default rate where it gives samples enough for the tolerance, else a higher one.
///
/// The hardest program changes callers many times between two samples, so that samples are
/// independent draws: the error of a share of 70 % has a standard deviation of 0.46 points with
/// 10 s at 997 Hz, of 0.84 points with 3 s at 997 Hz, and of 0.37 points with 3 s at 4,999 Hz.
fn rate_hz() -> u64 {
    if seconds() >= 10.0 {
        hotproof_profiler::DEFAULT_RATE_HZ
    } else {
        4_999
    }
}

fn truth(program: &str) -> Truth {
    let text = fs::read_to_string(programs().join("truth.toml")).unwrap();
    let mut all: BTreeMap<String, Truth> = toml::from_str(&text).unwrap();
    all.remove(program)
        .expect("the truth table has the program")
}

impl Truth {
    fn build(&self, program: &str) -> PathBuf {
        let out = workshop().join(program);
        let source = programs().join(&self.source);
        let mut parts = self.build.iter().map(|part| {
            part.replace("{out}", out.to_str().unwrap())
                .replace("{source}", source.to_str().unwrap())
        });
        let mut compiler = Command::new(parts.next().unwrap());
        finish(compiler.args(parts)).ends_with(0);
        out
    }

    /// The functions of each chain, root first, with whether each is inlined.
    fn functions(&self) -> impl Iterator<Item = (Vec<(String, bool)>, f64)> + '_ {
        self.chains.iter().map(|(chain, &share)| {
            let names = chain.split(';').map(|part| {
                let inlined = part.starts_with('[');
                (part.trim_matches(['[', ']']).to_owned(), inlined)
            });
            (names.collect(), share)
        })
    }

    fn shares(&self) -> Shares {
        let mut shares = Shares::new();
        for (names, share) in self.functions() {
            let distinct: BTreeSet<&String> = names.iter().map(|(name, _)| name).collect();
            for name in distinct {
                *shares.entry((Kind::Total, name.clone())).or_default() += share;
                shares.entry((Kind::Own, name.clone())).or_default();
            }
            let physical = names.iter().filter(|(_, inlined)| !inlined);
            for (name, _) in physical.clone() {
                shares.entry((Kind::Physical, name.clone())).or_default();
            }
            for (kind, last) in [
                (Kind::Own, names.last()),
                (Kind::Physical, physical.clone().next_back()),
            ] {
                let (name, _) = last.expect("a chain has a function");
                *shares.entry((kind, name.clone())).or_default() += share;
            }
        }
        shares
    }

    /// Every chain that a stack may have: a sample between two calls sees the callers alone, one
    /// before `main` or in a starting thread none.
    fn possible_chains(&self) -> BTreeSet<String> {
        let chains = self.functions().flat_map(|(names, _)| {
            let names: Vec<String> = names.into_iter().map(|(name, _)| name).collect();
            (0..=names.len()).map(move |length| names[..length].join(";"))
        });
        chains.collect()
    }
}

/// The name of a function of the program itself, in one spelling, or `None` for other code.
///
/// Rust functions are known by their path, so that the deck they share is left out; C functions
/// by the file that declares them.
fn own_name(profile: &Profile, code: Code, program: &str, source: &str) -> Option<String> {
    let Code::Function(id) = code else {
        return None;
    };
    let name = profile.code_name(code);
    if source.ends_with(".rs") {
        let name = name
            .replace("{{closure}}", "{closure#0}")
            .replace("::<", "<");
        let path = name.strip_prefix(program)?.strip_prefix("::")?;
        return (!path.starts_with("work::")).then_some(name);
    }
    let file = profile.functions[id].file?;
    profile.strings[file]
        .ends_with(&format!("/{source}"))
        .then_some(name)
}

/// The program's functions on a stack, root first, joined by `;`.
fn chain(profile: &Profile, stack: Option<StackId>, program: &str, source: &str) -> String {
    let codes = profile
        .path(stack)
        .flat_map(|at| profile.code_at(at, Inline::Expand));
    let mut names: Vec<String> = codes
        .filter_map(|code| own_name(profile, code, program, source))
        .collect();
    names.reverse();
    names.join(";")
}

fn is_kernel(profile: &Profile, location: LocationId) -> bool {
    let image = profile.locations[location].image;
    image.is_some_and(|id| {
        matches!(
            profile.images[id].kind,
            ImageKind::Kernel | ImageKind::Module
        )
    })
}

/// Which samples have a leaf that is not the kernel's: interrupts and task switches are no work of the
/// table, and the busier the machine, the more there are. Their stacks are judged like all others.
fn of_programs(profile: &Profile) -> Vec<bool> {
    let is_program = |stack: StackId| !is_kernel(profile, profile.stacks[stack].location);
    let stacks = profile.samples.stack.iter();
    stacks.map(|stack| stack.is_none_or(is_program)).collect()
}

/// Shares of what the programs themselves did.
fn measured_shares(profile: &Profile, weight: usize, program: &str, source: &str) -> Shares {
    let profile = &keep(profile.clone(), &of_programs(profile), "known work");
    let whole = profile.total_weight(weight) as f64;
    let mut shares = Shares::new();
    let mut add = |kind, row: &CodeTotal, weight: i64| {
        if let Some(name) = own_name(profile, row.code, program, source) {
            *shares.entry((kind, name)).or_default() += 100.0 * weight as f64 / whole;
        }
    };
    for row in profile.code_totals(weight, Inline::Expand) {
        add(Kind::Total, &row, row.total);
        add(Kind::Own, &row, row.self_with_library);
    }
    for row in profile.code_totals(weight, Inline::Physical) {
        add(Kind::Physical, &row, row.self_weight);
    }
    shares
}

fn judged_stacks(profile: &Profile, truth: &Truth, program: &str) -> Stacks {
    let possible = truth.possible_chains();
    let ends = profile.samples.end.iter();
    let mut chains: BTreeMap<Option<StackId>, String> = BTreeMap::new();
    let mut stacks = Stacks {
        samples: 0,
        complete: 0,
        correct: 0,
        wrong: BTreeMap::new(),
    };
    for (&stack, &end) in profile.samples.stack.iter().zip(ends) {
        let seen = chains
            .entry(stack)
            .or_insert_with(|| chain(profile, stack, program, &truth.source));
        stacks.samples += 1;
        stacks.complete += usize::from(end == StackEnd::Complete);
        if !possible.contains(seen) {
            *stacks.wrong.entry(seen.clone()).or_default() += 1;
        } else if end == StackEnd::Complete {
            stacks.correct += 1;
        }
    }
    stacks
}

/// Records a program; what it prints is the work that it counted.
fn record(program: &Path, rate_hz: u64, sampler: &str) -> (Profile, String) {
    let folder = workshop();
    let file = program.with_extension("hotproof");
    let rate = rate_hz.to_string();
    let ran = hotproof(
        &folder,
        &[
            "record",
            "-F",
            &rate,
            "--sampler",
            sampler,
            "-o",
            file.to_str().unwrap(),
            "--",
            program.to_str().unwrap(),
            "seconds",
            &seconds().to_string(),
        ],
    )
    .ends_with(0);
    let profile = hotproof_formats::native::read(fs::File::open(&file).unwrap()).unwrap();
    (profile, ran.stdout)
}

/// The run's own count must have the shares of the table, or the table is stale.
fn check_count(truth: &Truth, stdout: &str) {
    let counted: BTreeMap<&str, f64> = stdout
        .lines()
        .map(|line| line.rsplit_once(' ').expect("a chain and a count"))
        .map(|(chain, count)| (chain, count.parse().unwrap()))
        .collect();
    let whole: f64 = counted.values().sum();
    assert_eq!(counted.len(), truth.chains.len());
    for (chain, &share) in &truth.chains {
        let now = 100.0 * counted[chain.as_str()] / whole;
        assert!(
            (now - share).abs() < 1e-3,
            "{chain}: {now} counted, {share} in truth.toml"
        );
    }
}

/// Records a program of known work and holds every share and every stack to the truth.
///
/// Returns the recording; `None` where it could not be made.
fn check(program: &str) -> Option<Profile> {
    if !perf_opens(program) {
        return None;
    }
    let truth = truth(program);
    let machine = alone();
    let built = truth.build(program);
    let (profile, stdout) = record(&built, rate_hz(), "perf");
    drop(machine);
    check_count(&truth, &stdout);
    judge(program, &truth, &profile, &BY_PERF);
    Some(profile)
}

/// Holds every share and every stack of a profile to the truth.
fn judge(program: &str, truth: &Truth, profile: &Profile, bar: &Bar) {
    let measured = measured_shares(profile, bar.weight, program, &truth.source);
    let stacks = judged_stacks(profile, truth, program);
    let kernel = of_programs(profile).iter().filter(|kept| !**kept).count();
    let expected = truth.shares();
    let mut worst = 0.0f64;
    for (key, &share) in &expected {
        let now = measured.get(key).copied().unwrap_or(0.0);
        worst = worst.max((now - share).abs());
        let (kind, name) = key;
        println!(
            "{program:9} {:8} {name:32} truth {share:7.3} %  measured {now:7.3} %  {:+.3}",
            format!("{kind:?}"),
            now - share
        );
    }
    let percent = |count: usize| 100.0 * count as f64 / stacks.samples.max(1) as f64;
    println!(
        "{program:9} {} samples at {} Hz, {} lost, {:.2} % in the kernel, worst error {worst:.3} \
         points, stacks {:.2} % complete, {:.2} % complete and correct, wrong: {:?}",
        stacks.samples,
        profile.meta.rate_hz.unwrap_or(0),
        profile.meta.lost.samples,
        percent(kernel),
        percent(stacks.complete),
        percent(stacks.correct),
        stacks.wrong
    );
    assert!(
        worst <= bar.tolerance_points,
        "{program}: off by {worst:.3} points"
    );
    assert!(
        percent(stacks.correct) >= CORRECT_PERCENT,
        "{program}: {:.2} % of stacks are complete and correct; wrong ones: {:?}",
        percent(stacks.correct),
        stacks.wrong
    );
}

#[test]
fn five_functions_hold_their_shares() {
    check("five");
}

#[test]
fn recursion_counts_once() {
    check("recursion");
}

#[test]
fn a_function_inlined_into_two_callers_holds_its_share_in_each() {
    check("inlined");
}

#[test]
fn two_instances_of_a_generic_hold_their_shares() {
    let Some(profile) = check("generic") else {
        return;
    };
    // One function of the source, two of the linker's: each instance keeps its own symbol.
    let mut instances = BTreeMap::new();
    for entry in profile.stack_weights(0) {
        let leaf = entry
            .stack
            .map(|id| &profile.locations[profile.stacks[id].location]);
        if let Some(symbol) = leaf.and_then(|location| location.symbol) {
            let name = &profile.strings[profile.symbols[symbol].linkage_name];
            if name.contains("3mix") {
                *instances.entry(name.to_owned()).or_insert(0) += entry.weight;
            }
        }
    }
    let whole: i64 = instances.values().sum();
    let mut shares: Vec<f64> = instances
        .values()
        .map(|&weight| 100.0 * weight as f64 / whole as f64)
        .collect();
    shares.sort_by(f64::total_cmp);
    println!("generic   instances by symbol: {shares:.3?} % of 35, 65");
    assert_eq!(shares.len(), 2, "{instances:?}");
    assert!(
        (shares[0] - 35.0).abs() <= TOLERANCE_POINTS,
        "{instances:?}"
    );
}

#[test]
fn closures_hold_their_shares() {
    check("closure");
}

#[test]
fn inlined_library_code_counts_as_its_callers_own() {
    check("library");
}

#[test]
fn four_threads_hold_their_shares() {
    check("threads");
}

#[test]
fn a_child_process_holds_its_share() {
    check("child");
}

#[test]
fn callers_that_take_turns_on_a_leaf_hold_their_shares() {
    check("leaf");
}

/// The programs of known work again, by stopping their threads instead of perf events.
#[test]
fn stopped_threads_hold_the_same_shares() {
    for program in ["five", "recursion", "generic", "threads", "child", "leaf"] {
        let truth = truth(program);
        let machine = alone();
        let built = truth.build(&format!("{program}-stops"));
        let (profile, stdout) = record(&built, 997, "ptrace");
        drop(machine);
        check_count(&truth, &stdout);
        judge(program, &truth, &profile, &BY_STOPS);
        let quality = profile.total_weight(1) as f64 / profile.meta.cpu_time_ns.unwrap() as f64;
        println!("{program:9} coverage {quality:.4}");
        assert!((0.95..1.01).contains(&quality), "{program}: {quality}");
    }
}

/// The reference recording was made elsewhere, of a binary that is not here.
#[test]
fn the_reference_recording_of_a_shared_leaf_tells_the_truth() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/leaf.hotproof");
    let profile = hotproof_formats::native::read(fs::File::open(file).unwrap()).unwrap();
    judge("leaf", &truth("leaf"), &profile, &BY_PERF);
}

/// Builds the example that samples itself, into the folder that this test was built into.
fn build_sampled() -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    let profile = deps
        .parent()
        .and_then(Path::parent)
        .expect("tests lie in PROFILE/deps");
    let name = profile
        .file_name()
        .and_then(|name| name.to_str())
        .expect("a profile has a name");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--offline", "--example", "sampled", "--target-dir"])
        .arg(profile.parent().expect("profiles lie in the target folder"))
        .args(["--profile", if name == "debug" { "dev" } else { name }])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    finish(&mut cargo).ends_with(0);
    profile.join("examples/sampled")
}

/// The percentage that each function has of the work of all of them.
fn portions(counts: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let whole: f64 = counts.values().sum();
    counts
        .iter()
        .map(|(name, count)| (name.clone(), 100.0 * count / whole))
        .collect()
}

/// The last component of a function's path: `half` of `sampled::half`.
fn last(name: &str) -> String {
    name.rsplit("::").next().unwrap_or(name).to_owned()
}

/// pprof-rs inside the program and hotproof outside of it see the same functions.
///
/// pprof takes about 190 samples a second, each function runs for at least 20 ms at a time, and so
/// its error comes from the ends of such stretches alone: 3 s hold about 150 stretches, a third of
/// a sample of error each, 4 of 560 samples in all, or 0.7 points. 3 points are four times that.
#[test]
fn an_independent_sampler_inside_the_program_agrees() {
    const APART_POINTS: f64 = 3.0;
    if !perf_opens("sampled") {
        return;
    }
    let machine = alone();
    let program = build_sampled();
    let (profile, stdout) = record(&program, 997, "perf");
    drop(machine);
    let (mut counted, mut inside, mut outside) =
        <(BTreeMap<_, _>, BTreeMap<_, _>, BTreeMap<_, _>)>::default();
    for line in stdout.lines() {
        let (chain, count) = line.rsplit_once(' ').unwrap();
        let count: f64 = count.parse().unwrap();
        match chain.strip_prefix("pprof ") {
            Some(name) => inside.insert(last(name), count),
            None => counted.insert(last(chain), count),
        };
    }
    // Totals, because pprof's own work in its signal handler happens above these functions.
    for row in profile.code_totals(0, Inline::Physical) {
        let name = last(&profile.code_name(row.code));
        if counted.contains_key(&name) {
            *outside.entry(name).or_default() += row.total as f64;
        }
    }
    let samples: f64 = inside.values().sum();
    let (counted, inside, outside) = (portions(&counted), portions(&inside), portions(&outside));
    for (name, truth) in &counted {
        let (theirs, ours) = (inside[name], outside[name]);
        println!(
            "sampled   {name:6} truth {truth:6.2} %  pprof {theirs:6.2} %  hotproof {ours:6.2} %"
        );
        assert!(
            (theirs - ours).abs() <= APART_POINTS,
            "{name}: pprof {theirs}, hotproof {ours}"
        );
        assert!(
            (ours - truth).abs() <= TOLERANCE_POINTS,
            "{name}: hotproof {ours}, truth {truth}"
        );
    }
    assert!(
        samples > 100.0,
        "pprof took {samples} samples, too few to agree with"
    );
}
