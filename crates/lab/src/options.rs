//! What the user asked for.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hotproof_diff::Rule;

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
    /// Refuse it, because its CPU time says nothing about its speed.
    #[default]
    Refuse,
    /// Measure it: the user says that it does fixed work.
    Accept,
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
    /// The workload: program and arguments, never through a shell. `{root}` in an argument is
    /// the top of the user's checkout.
    pub command: Vec<OsString>,
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
            command,
            build: Build::Auto,
            timeout: Duration::from_secs(600),
            budget: Duration::from_secs(300),
            pairs: None,
            rule: Rule::default(),
            seed: None,
            stop: Arc::default(),
            force: false,
            adaptive: Adaptive::Refuse,
            sampling: Sampling::WherePermitted,
        }
    }

    /// The rule with `pairs` applied.
    pub(crate) fn effective_rule(&self) -> Rule {
        Rule {
            max_pairs: self.pairs.unwrap_or(self.rule.max_pairs),
            ..self.rule
        }
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
