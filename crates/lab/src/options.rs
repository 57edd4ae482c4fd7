//! What the user asked for.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hotproof_diff::{Comparison, Metric, Policy, Rule};
use hotproof_profile::Profile;

use crate::error::LabError;

/// How a checked out ref becomes something that can run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Build {
    /// `cargo build --release` where there is a `Cargo.toml`, nothing otherwise.
    #[default]
    Auto,
    /// This shell command, in the directory of the worktree that the user stands in.
    Command(String),
    /// Nothing.
    None,
}

/// Whether the runs are sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sampling {
    /// Sampled where the kernel permits it; otherwise the comparison says why there is no
    /// attribution.
    #[default]
    WherePermitted,
    /// Not sampled: end-to-end figures alone.
    Off,
}

/// What to do about a command that looks like a harness which runs for a fixed time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Adaptive {
    /// Read what it reports of one iteration, because its CPU time says nothing about its speed.
    #[default]
    Read,
    /// Measure its process: the user says that it does fixed work.
    Accept,
}

/// That instructions are counted by callgrind.
#[derive(Debug, Clone, Copy)]
pub struct Counting {
    /// Whether nothing else is measured; otherwise it is a second witness beside the pairs.
    pub alone: bool,
    /// Reads what callgrind wrote; the error says what was found and what was expected.
    pub read: fn(&[u8]) -> Result<Profile, String>,
}

/// What cargo makes a workload of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProductKind {
    /// A benchmark, as `cargo bench` builds it.
    Bench,
    /// An example.
    Example,
    /// A binary.
    Bin,
}

impl ProductKind {
    /// The name of the kind to cargo: `bench`, `example`, `bin`.
    pub fn name(self) -> &'static str {
        match self {
            ProductKind::Bench => "bench",
            ProductKind::Example => "example",
            ProductKind::Bin => "bin",
        }
    }
}

/// A program that cargo builds, by its name in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Product {
    /// What it is.
    pub kind: ProductKind,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.name)
    }
}

/// What runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// What the project calls it.
    pub name: Option<String>,
    /// Program and arguments, never through a shell; only the arguments with a product. `{root}`
    /// in an argument is the top of the user's checkout.
    pub command: Vec<OsString>,
    /// The program of cargo that runs instead of the command's first word.
    pub product: Option<Product>,
    /// Variables to set, with their values.
    pub environment: Vec<(String, String)>,
    /// Standard input, relative to the directory; empty without.
    pub stdin: Option<PathBuf>,
    /// The exit status of a good run.
    pub exit_status: i32,
    /// How often the command is repeated in one run, one after the other.
    pub repetitions: u32,
    /// How many copies run at once.
    pub concurrency: u32,
    /// Only time under this function counts.
    pub scope: Option<String>,
    /// Whether it prints a JSON object of names and seconds.
    pub script: bool,
    /// Files that it writes and that have to be the same, relative to the directory.
    pub outputs: Vec<PathBuf>,
}

impl Workload {
    /// A plain command.
    pub fn command(command: Vec<OsString>) -> Workload {
        Workload {
            name: None,
            command,
            product: None,
            environment: Vec::new(),
            stdin: None,
            exit_status: 0,
            repetitions: 1,
            concurrency: 1,
            scope: None,
            script: false,
            outputs: Vec::new(),
        }
    }
}

/// A comparison, as asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the user stands: a directory of a git checkout.
    pub directory: PathBuf,
    /// The ref that the change starts from, as the user wrote it.
    pub base: String,
    /// The ref with the change.
    pub head: String,
    /// `src/a.rs::f1,f2;src/b.rs::T::g`: the functions of interest, whatever the diff says.
    pub functions: Option<String>,
    /// What runs.
    pub workload: Workload,
    /// Where to stand in each checkout, relative to the place where the user stands; empty for
    /// that place itself.
    pub below: PathBuf,
    /// How to build each ref.
    pub build: Build,
    /// The longest that one run may take.
    pub timeout: Duration,
    /// Wall time for all runs together, builds not counted.
    pub budget: Duration,
    /// At most so many counted pairs; `None` takes the rule's figure.
    pub pairs: Option<usize>,
    /// What decides.
    pub rule: Rule,
    /// What a keep needs beyond the rule's margin.
    pub policy: Policy,
    /// The primary metric; `None` leaves it to the policy, and then to the warm-up pair.
    pub metric: Option<Metric>,
    /// Runs the project's tests at head, by the shell, before anything is measured.
    pub test: Option<String>,
    /// Measure the user's working tree as head.
    pub dirty: bool,
    /// What was measured of the same question before: more pairs are added to it.
    pub earlier: Option<Comparison>,
    /// Where builds are kept for the next comparison; `None` builds anew in a temporary folder.
    pub cache: Option<PathBuf>,
    /// Seed of the coin; `None` draws one.
    pub seed: Option<u64>,
    /// Set by whoever catches Ctrl-C: everything ends and is removed soon afterwards.
    pub stop: Arc<AtomicBool>,
    /// Measure even when no code changed.
    pub force: bool,
    /// What to do about criterion, divan and libtest benchmarks.
    pub adaptive: Adaptive,
    /// Whether to sample.
    pub sampling: Sampling,
    /// Whether to count instructions.
    pub counting: Option<Counting>,
    /// So many links of each ref, with its functions in other orders; below 2, one as it is.
    pub layouts: u32,
    /// What becomes of the profiles of the counted runs.
    pub profiles: RunProfiles,
    /// What the reader has to be told of the question, one sentence each.
    pub notices: Vec<String>,
}

/// What becomes of the profile of a run once its functions are counted up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RunProfiles {
    /// It is dropped.
    #[default]
    Dropped,
    /// All of one side become one, which [`crate::Observer::profile`] takes.
    Kept,
}

impl Options {
    /// A comparison of two refs by one command, everything else at its default: ten minutes a
    /// run at most, five minutes of runs.
    pub fn new(
        directory: impl Into<PathBuf>,
        base: impl Into<String>,
        head: impl Into<String>,
        command: Vec<OsString>,
    ) -> Options {
        Options {
            directory: directory.into(),
            base: base.into(),
            head: head.into(),
            functions: None,
            workload: Workload::command(command),
            below: PathBuf::new(),
            build: Build::Auto,
            timeout: Duration::from_secs(600),
            budget: Duration::from_secs(300),
            pairs: None,
            rule: Rule::default(),
            policy: Policy::statistical(),
            metric: None,
            test: None,
            dirty: false,
            earlier: None,
            cache: None,
            seed: None,
            stop: Arc::default(),
            force: false,
            adaptive: Adaptive::Read,
            sampling: Sampling::WherePermitted,
            counting: None,
            layouts: 1,
            profiles: RunProfiles::Dropped,
            notices: Vec::new(),
        }
    }

    /// The rule with `pairs` and the policy applied.
    pub(crate) fn effective_rule(&self) -> Rule {
        Rule {
            max_pairs: self.pairs.unwrap_or(self.rule.max_pairs),
            precision_pairs: self.pairs.unwrap_or(self.rule.precision_pairs),
            gain: self.policy.gain,
            micro_threshold: self.policy.micro_threshold,
            needs_hot: self.policy.needs_hot,
            shortest_run_ns: self.policy.shortest_run_ns,
            ..self.rule
        }
    }

    /// The primary metric that is asked for: by the user, or by the policy, whose times are those
    /// that the workload reports where it does.
    pub(crate) fn wanted_metric(&self, times_itself: bool) -> Option<Metric> {
        let of_policy = self.policy.metric.filter(|metric| {
            !(times_itself && matches!(metric, Metric::CpuTime | Metric::WallTime))
        });
        self.metric.or(of_policy)
    }
}

/// Repeated runs of one command, as asked for.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// Where the command runs.
    pub directory: PathBuf,
    /// Program and arguments, never through a shell.
    pub command: Vec<OsString>,
    /// At most so many runs, the warm-up not counted.
    pub runs: usize,
    /// Wall time for all runs together; at least two runs are made whatever it says.
    pub budget: Duration,
    /// The longest that one run may take.
    pub timeout: Duration,
    /// The folder in which names of symbols are kept; `None` keeps none.
    pub cache: Option<PathBuf>,
    /// Set by whoever catches Ctrl-C.
    pub stop: Arc<AtomicBool>,
}

/// Ends with [`LabError::Interrupted`] once the flag is set.
pub(crate) fn check(stop: &AtomicBool) -> Result<(), LabError> {
    if stop.load(Ordering::Relaxed) {
        return Err(LabError::Interrupted);
    }
    Ok(())
}
