//! Why a comparison could not be made, and whose fault that is.

use std::path::PathBuf;
use std::time::Duration;

/// Whose fault an error is; the command line turns it into an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The user asked for something that cannot be: exit code 2.
    Usage,
    /// hotproof or the system failed: exit code 1.
    Failure,
    /// The environment refuses: exit code 20.
    Environment,
    /// The target, its build or its tests failed: exit code 21.
    Target,
    /// The user ended it.
    Interrupted,
}

/// A comparison could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// Ctrl-C.
    #[error("interrupted: nothing that was made for it is left")]
    Interrupted,
    /// There is no git.
    #[error("cannot start git: {source}; install it (apt-get install git)")]
    NoGit {
        /// What the system said.
        source: std::io::Error,
    },
    /// The directory is in no git checkout.
    #[error(
        "{directory} is not in a git repository, and compare needs two refs of one; go to a checkout, or make one with `git init`"
    )]
    NotARepository {
        /// Where the user stands.
        directory: PathBuf,
    },
    /// The repository has no working tree.
    #[error(
        "{directory} is a bare git repository without a working tree; clone it and compare in the clone"
    )]
    BareRepository {
        /// Where the user stands.
        directory: PathBuf,
    },
    /// A ref begins with `-`.
    #[error(
        "`{name}` cannot be a ref: it begins with `-`; options of hotproof go before the two refs, those of the workload after `--`"
    )]
    RefIsOption {
        /// What the user wrote.
        name: String,
    },
    /// A ref does not exist.
    #[error("there is no ref `{name}` in {top}{}", nearest_text(.nearest))]
    UnknownRef {
        /// What the user wrote.
        name: String,
        /// The top of the checkout.
        top: PathBuf,
        /// Similar names, best first; may be empty.
        nearest: Vec<String>,
    },
    /// A ref does not exist, and history is cut off.
    #[error(
        "there is no ref `{name}` in {top}, which is a shallow clone; fetch more with `git fetch --unshallow`, or a part with `git fetch --deepen=50`{}", nearest_text(.nearest)
    )]
    ShallowRef {
        /// What the user wrote.
        name: String,
        /// The top of the checkout.
        top: PathBuf,
        /// Similar names, best first; may be empty.
        nearest: Vec<String>,
    },
    /// Another call of git failed.
    #[error("`git {arguments}` failed: {message}")]
    Git {
        /// What was asked of git.
        arguments: String,
        /// What it said.
        message: String,
    },
    /// The directory that the user stands in is missing from a ref.
    #[error(
        "the directory {subdirectory} does not exist in {place}; go to a directory that both refs have"
    )]
    NoSubdirectory {
        /// Which checkout.
        place: String,
        /// Relative to the top.
        subdirectory: PathBuf,
    },
    /// A submodule cannot be checked out from what the user's checkout holds.
    #[error(
        "the submodule {path} of {place} {reason} ({commit}); run `git submodule update --init --recursive`"
    )]
    Submodule {
        /// Which checkout.
        place: String,
        /// Relative to the top.
        path: PathBuf,
        /// The commit that it should be at.
        commit: String,
        /// What is wrong.
        reason: String,
    },
    /// No command was given.
    #[error("what shall be run? give the workload after `--`")]
    NoCommand,
    /// `--functions` cannot be understood, or names what does not exist.
    #[error("{0}")]
    Functions(String),
    /// A build failed.
    #[error(
        "the build of {place} failed: `{command}` ended with {status}{}", tail_text(.tail)
    )]
    Build {
        /// Which checkout.
        place: String,
        /// What was run.
        command: String,
        /// How it ended.
        status: String,
        /// The end of its output.
        tail: String,
    },
    /// The program does not exist.
    #[error("cannot run `{program}` in {place}: {reason}")]
    NoProgram {
        /// Which checkout, or which directory.
        place: String,
        /// As the user wrote it.
        program: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A run failed.
    #[error("the command failed in {place}: {how}{}", tail_text(.tail))]
    Run {
        /// Which checkout, or which directory.
        place: String,
        /// How it ended: `exit status 3`, `killed by signal 11`.
        how: String,
        /// The end of its standard error.
        tail: String,
    },
    /// A run did not end.
    #[error(
        "the command did not end in {place} within {} s ({limit}), and was killed with everything that it started{}", seconds(*.after), tail_text(.tail)
    )]
    Timeout {
        /// Which checkout, or which directory.
        place: String,
        /// What was allowed.
        after: Duration,
        /// Where that figure comes from, and how to change it.
        limit: &'static str,
        /// The end of its standard error.
        tail: String,
    },
    /// The command is a build tool's.
    #[error(
        "`{command}` builds before it runs, so the build tool would be measured too; name the program itself, for example `-- target/release/NAME`: each ref is built before it is measured"
    )]
    BuildTool {
        /// As the user wrote it.
        command: String,
    },
    /// Perf events are not permitted, and without samples there is no answer.
    #[error("cannot sample: {0}")]
    NoSampling(String),
    /// Both sides would run one and the same program.
    #[error(
        "the trees of base and head differ, but both sides would run the very same program, {program}: {why}; name a program that each ref builds or contains (for example target/release/NAME or ./script), or a script of the repository as an argument"
    )]
    SameProgram {
        /// Where it lies.
        program: PathBuf,
        /// How that came to be.
        why: String,
    },
    /// A command that repeats others for a fixed time.
    #[error(
        "{harness} runs for a fixed time whatever the speed of the code, and builds before it runs ({evidence}); name the benchmark with `--bench NAME`, and what is given after `--` chooses from it"
    )]
    AdaptiveHarness {
        /// `cargo bench`.
        harness: &'static str,
        /// How it was recognised.
        evidence: String,
    },
    /// A workload that times itself reports nothing that can be read.
    #[error("{place}: {harness} was to report times, but {reason}{}", tail_text(.tail))]
    NothingReported {
        /// Which checkout.
        place: String,
        /// Who was to report.
        harness: &'static str,
        /// What was read, and what was expected.
        reason: String,
        /// The end of its output.
        tail: String,
    },
    /// Figures of unlike machines or of unlike work do not add up.
    #[error(
        "these measurements do not add up: {}; measure anew with `hotproof compare`", .differences.join("; ")
    )]
    UnlikeFingerprints {
        /// What differs, one phrase each.
        differences: Vec<String>,
    },
    /// There is no valgrind.
    #[error(
        "instructions are counted by valgrind, which does not start; install it (apt-get install valgrind, dnf install valgrind), or leave out --engine callgrind and --witness"
    )]
    NoValgrind,
    /// What callgrind wrote is not what was expected.
    #[error("{place}: callgrind was to write its counts, but {reason}")]
    NoCounts {
        /// Which checkout.
        place: String,
        /// What was read, and what was expected.
        reason: String,
    },
    /// The instructions of a harness say nothing of its speed.
    #[error(
        "{harness} repeats its benchmarks until a time is over, so that its instructions say nothing of its speed; count those of a program that does a fixed amount of work (--example, --bin, or a command with --fixed-work)"
    )]
    UncountableHarness {
        /// Whose.
        harness: &'static str,
    },
    /// What was asked to decide cannot be counted.
    #[error("cannot decide by {metric}: {reason}")]
    NoMetric {
        /// What was asked for.
        metric: &'static str,
        /// Why it is not there, and what to do.
        reason: String,
    },
    /// The function whose time was asked for was not seen.
    #[error(
        "there is no function `{scope}` to count under: {seen}; check the name with `hotproof record` and `hotproof report`"
    )]
    NoScope {
        /// As the user wrote it.
        scope: String,
        /// In what it was looked for.
        seen: &'static str,
    },
    /// No cargo target has the name.
    #[error("{place} has no {product}{}", known_text(.known))]
    NoProduct {
        /// Which checkout.
        place: String,
        /// What was asked for: `bench parse`.
        product: String,
        /// What there is of that kind.
        known: Vec<String>,
    },
    /// A product without a `Cargo.toml`.
    #[error(
        "{product} is a product of cargo, but there is no Cargo.toml in {place}; go to the package, or give a command after `--`"
    )]
    NoManifest {
        /// Which checkout.
        place: String,
        /// What was asked for.
        product: String,
    },
    /// The project's tests fail.
    #[error(
        "the tests of {place} failed: `{command}` ended with {status}; nothing was measured{}", tail_text(.tail)
    )]
    Tests {
        /// Which checkout.
        place: String,
        /// What was run.
        command: String,
        /// How it ended.
        status: String,
        /// The end of its output.
        tail: String,
    },
    /// A ref cannot be linked with its functions in other orders.
    #[error("no other layouts of {place}: {reason}")]
    NoLayouts {
        /// Which checkout, or which file of settings.
        place: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The kernel refuses something that even end-to-end figures need.
    #[error("cannot measure: {0}")]
    Recorder(String),
    /// A file or directory could not be used.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried: `create`.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl LabError {
    /// Whose fault it is.
    pub fn class(&self) -> ErrorClass {
        match self {
            LabError::Interrupted => ErrorClass::Interrupted,
            LabError::NotARepository { .. }
            | LabError::BareRepository { .. }
            | LabError::RefIsOption { .. }
            | LabError::UnknownRef { .. }
            | LabError::ShallowRef { .. }
            | LabError::NoSubdirectory { .. }
            | LabError::Submodule { .. }
            | LabError::NoCommand
            | LabError::Functions(_)
            | LabError::SameProgram { .. }
            | LabError::BuildTool { .. }
            | LabError::NoProduct { .. }
            | LabError::NoScope { .. }
            | LabError::NoManifest { .. }
            | LabError::UncountableHarness { .. }
            | LabError::AdaptiveHarness { .. } => ErrorClass::Usage,
            LabError::NoGit { .. }
            | LabError::NoValgrind
            | LabError::NoSampling(_)
            | LabError::NoMetric { .. }
            | LabError::NoLayouts { .. }
            | LabError::UnlikeFingerprints { .. } => ErrorClass::Environment,
            LabError::Build { .. }
            | LabError::NothingReported { .. }
            | LabError::Tests { .. }
            | LabError::NoProgram { .. }
            | LabError::Run { .. }
            | LabError::Timeout { .. } => ErrorClass::Target,
            LabError::Git { .. }
            | LabError::Recorder(_)
            | LabError::NoCounts { .. }
            | LabError::File { .. } => ErrorClass::Failure,
        }
    }
}

/// `0.1`, `2.5`, `60`: a limit of less than ten seconds with what the user wrote behind the point.
pub(crate) fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 10.0 {
        format!("{}", (seconds * 10.0).ceil() / 10.0)
    } else {
        format!("{seconds:.0}")
    }
}

fn nearest_text(nearest: &[String]) -> String {
    if nearest.is_empty() {
        return String::new();
    }
    format!("; nearest: {}", nearest.join(", "))
}

fn known_text(known: &[String]) -> String {
    if known.is_empty() {
        return ", nor any other of the kind".to_owned();
    }
    format!("; there is {}", known.join(", "))
}

fn tail_text(tail: &str) -> String {
    if tail.is_empty() {
        return String::new();
    }
    format!("\n{tail}")
}
