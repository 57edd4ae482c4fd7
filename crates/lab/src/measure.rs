//! Repeated sampled runs of one command where the user stands.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hotproof_diff::Metrics;
use hotproof_profile::Profile;
use hotproof_profiler::{DEFAULT_RATE_HZ, Sampled, Sampling};
use hotproof_symbolizer::Symbolizer;

use crate::coin::{self, Coin};
use crate::error::LabError;
use crate::event::{Event, Observer};
use crate::naming::{self, Naming};
use crate::options::Measurement;
use crate::run::{Limit, Outcome, Runner, Task, jittered, rate_for};
use crate::scratch::Folder;
use crate::{leftovers, schedule};

/// One run and its profile, symbolized.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredRun {
    /// What was measured.
    pub metrics: Metrics,
    /// What was sampled; its first weight counts samples.
    pub profile: Profile,
}

/// All runs of a [`Measurement`], in the order they ran, the warm-up thrown away.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The runs.
    pub runs: Vec<MeasuredRun>,
    /// What a reader has to know, one sentence each, none twice.
    pub warnings: Vec<String>,
}

/// However small the budget, so many runs are made: one says nothing about the spread.
const FEWEST_RUNS: usize = 2;
/// A warm-up that took this share of the budget is too dear to be thrown away.
const DEAR_WARM_UP: u32 = 4;

/// Runs one command again and again in the user's own directory and samples each run.
///
/// # Errors
/// Says so when the command does not exist, fails or hangs, and when sampling is not permitted.
pub fn measure(
    measurement: &Measurement,
    observer: &mut dyn Observer,
) -> Result<Measured, LabError> {
    if measurement.command.is_empty() {
        return Err(LabError::NoCommand);
    }
    leftovers::remove_folders(&std::env::temp_dir());
    let folder = Folder::new()?;
    let task = task(measurement);
    let limit = Limit::asked(measurement.timeout);
    let mut runner = Runner::new(Sampling::Events, limit, measurement.stop.clone());
    let started = Instant::now();
    let kernel_limit_hz = schedule::kernel_limit_hz();
    let first = runner.run(&task, DEFAULT_RATE_HZ, &folder)?;
    if let Sampled::No(refusal) = &first.recording.sampled {
        return Err(LabError::NoSampling(refusal.to_string()));
    }
    let rate_hz = rate_for(first.metrics.cpu_ns, kernel_limit_hz);
    let wall = Duration::from_nanos(first.metrics.wall_ns);
    runner.limit = runner.limit.after_warm_up(wall);
    let mut collected = Collected::new(measurement);
    if wall * DEAR_WARM_UP > measurement.budget {
        collected.add(first);
    }
    let seed = coin::draw_seed().map_err(|source| LabError::File {
        action: "draw a seed from",
        path: "/dev/urandom".into(),
        source,
    })?;
    let mut coin = Coin::new(seed);
    let at_most = measurement.runs.max(FEWEST_RUNS);
    while collected.measured.runs.len() < at_most {
        let enough = collected.measured.runs.len() >= FEWEST_RUNS;
        if enough && started.elapsed() + wall > measurement.budget {
            break;
        }
        collected.add(runner.run(&task, jittered(rate_hz, coin.number()), &folder)?);
        observer.event(&Event::Run {
            done: collected.measured.runs.len(),
            at_most,
            elapsed: started.elapsed(),
        });
    }
    Ok(collected.finish())
}

fn task(measurement: &Measurement) -> Task {
    Task {
        place: measurement.directory.display().to_string(),
        command: measurement.command.clone(),
        directory: measurement.directory.clone(),
        environment: std::env::vars_os()
            .filter(|(name, _)| !crate::cargo::is_of_outer_build(name))
            .collect(),
        worktree: measurement.directory.clone(),
        stdin: None,
        exit_status: 0,
        harness: None,
        outputs: Vec::new(),
    }
}

/// Runs, symbolized as they come.
struct Collected {
    symbolizer: Symbolizer,
    /// Where programs lie whose debug information is the user's own matter.
    place: PathBuf,
    naming: Naming,
    measured: Measured,
}

impl Collected {
    fn new(measurement: &Measurement) -> Collected {
        let directory = &measurement.directory;
        Collected {
            symbolizer: naming::symbolizer(measurement.cache.as_deref()),
            // Profiles spell paths without symbolic links.
            place: fs::canonicalize(directory).unwrap_or_else(|_| directory.clone()),
            naming: Naming::default(),
            measured: Measured {
                runs: Vec::new(),
                warnings: Vec::new(),
            },
        }
    }

    fn add(&mut self, outcome: Outcome) {
        let Outcome {
            metrics,
            recording,
            mut profile,
            held,
            ..
        } = outcome;
        self.symbolizer.hold(held);
        let summary = self.symbolizer.symbolize(&mut profile);
        self.naming.see(&self.place, &profile, &summary);
        for note in recording.notes {
            if !self.measured.warnings.contains(&note) {
                self.measured.warnings.push(note);
            }
        }
        self.measured.runs.push(MeasuredRun { metrics, profile });
    }

    /// All runs, with what keeps their functions from being named.
    fn finish(mut self) -> Measured {
        let mut measured = self.measured;
        self.naming.keep(&mut self.symbolizer);
        measured.warnings.extend(self.naming.into_warnings());
        measured
    }
}
