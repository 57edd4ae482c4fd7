//! One run: the command in its directory, counted and sampled.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hotproof_diff::{CpuSource, Metrics, ReportedTime};
use hotproof_profile::{Exit, Profile};
use hotproof_profiler::{
    Counts, Ended, Environment, HeldFiles, OffCpu, RecordError, Recorder, Recording, Request,
    Sampling, Stderr, Stdin, Stdout,
};

use crate::child;
use crate::error::LabError;
use crate::harness::{self, Harness};
use crate::output::{self, Awaited, Digest};
use crate::scratch::Folder;

/// Lines of a failed run's standard error that are shown.
const TAIL_LINES: usize = 20;

/// What to run, and where.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    /// For errors: `base (main)`.
    pub(crate) place: String,
    /// Program and arguments.
    pub(crate) command: Vec<OsString>,
    /// Working directory.
    pub(crate) directory: PathBuf,
    /// All variables.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// What is taken out of its output before it is compared.
    pub(crate) worktree: PathBuf,
    /// Its standard input; empty without.
    pub(crate) stdin: Option<PathBuf>,
    /// The exit status of a good run.
    pub(crate) exit_status: i32,
    /// Who reports times of its own.
    pub(crate) harness: Option<Harness>,
    /// Files that it writes and that are compared.
    pub(crate) outputs: Vec<PathBuf>,
}

/// How long a run may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    /// The longest.
    pub(crate) after: Duration,
    /// Where the figure comes from.
    pub(crate) origin: &'static str,
}

impl Limit {
    /// As the user asked.
    pub(crate) fn asked(after: Duration) -> Limit {
        Limit {
            after,
            origin: "give it longer with --timeout",
        }
    }

    /// What is left of the time of all runs, when that is shorter.
    pub(crate) fn within(self, left: Duration) -> Limit {
        if left >= self.after {
            return self;
        }
        Limit {
            after: left,
            origin: "what was left of the time of all runs; give them more with --budget",
        }
    }

    /// Ten times as long as the longest warm-up run and half a minute at least, when that is
    /// shorter: a run that hangs need not use up the user's whole patience.
    pub(crate) fn after_warm_up(self, longest: Duration) -> Limit {
        let after = (longest * 10).max(Duration::from_secs(30));
        if after >= self.after {
            return self;
        }
        Limit {
            after,
            origin: "ten times its warm-up run, at least 30 s",
        }
    }
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) metrics: Metrics,
    pub(crate) recording: Recording,
    /// Not symbolized yet.
    pub(crate) profile: Profile,
    /// What the symbolizer needs to name it.
    pub(crate) held: HeldFiles,
    pub(crate) output: Digest,
    /// The files to be compared, in their order; `None` for one that it did not write.
    pub(crate) written: Vec<Option<PathBuf>>,
}

/// Runs tasks one after another.
pub(crate) struct Runner {
    recorder: Recorder,
    pub(crate) sampling: Sampling,
    /// Whether what runs wait for is told.
    pub(crate) off_cpu: OffCpu,
    pub(crate) limit: Limit,
    files: output::Files,
    stop: Arc<AtomicBool>,
}

impl Runner {
    pub(crate) fn new(sampling: Sampling, limit: Limit, stop: Arc<AtomicBool>) -> Runner {
        Runner {
            recorder: Recorder::new(),
            sampling,
            off_cpu: OffCpu::Leave,
            limit,
            files: output::Files::default(),
            stop,
        }
    }

    /// Runs a task once. Its output goes to files in `folder`, its input is empty.
    ///
    /// # Errors
    /// When it fails, hangs, cannot be started, or the stop flag was set.
    pub(crate) fn run(
        &mut self,
        task: &Task,
        rate_hz: u64,
        folder: &Folder,
    ) -> Result<Outcome, LabError> {
        crate::options::check(&self.stop)?;
        if task.harness == Some(Harness::Criterion) {
            // What an earlier run measured would be compared with, and might be read in its place.
            crate::git::remove_tree(&harness::home(folder.path()));
        }
        let mut stdout = folder.file("stdout")?;
        let mut stderr = folder.file("stderr")?;
        let failed = |source| file_error(folder.path(), source);
        let request = Request {
            directory: Some(task.directory.clone()),
            environment: Environment::Exactly(task.environment.clone()),
            stdin: task.stdin.clone().map_or(Stdin::Null, Stdin::File),
            stdout: Stdout::File(stdout.try_clone().map_err(failed)?),
            stderr: Stderr::File(stderr.try_clone().map_err(failed)?),
            sampling: self.sampling,
            off_cpu: self.off_cpu,
            rate_hz,
            stops_rate_hz: rate_hz.min(MOST_STOPS_HZ),
            timeout: Some(self.limit.after),
            stop: Arc::clone(&self.stop),
            ..Request::new(task.command.iter().cloned())
        };
        let of_outputs = |source| LabError::File {
            action: "look at the files to be compared in",
            path: task.directory.clone(),
            source,
        };
        let awaited = self.files.await_run(&task.outputs).map_err(of_outputs)?;
        let mut profile = Profile::default();
        let recorded = self.recorder.record(&request, &mut profile, &mut |_| {});
        let written: io::Result<Vec<_>> = awaited.into_iter().map(Awaited::written).collect();
        let recording = recorded.map_err(|error| record_error(error, task))?;
        let written = written.map_err(of_outputs)?;
        self.judge(task, &recording, &mut stderr)?;
        let reported = reported(task, &mut stdout, folder)?;
        let output = match task.harness {
            // A report of times is never the same twice.
            Some(_) => output::nothing(),
            None => output::digest(&mut stdout, &task.worktree).map_err(failed)?,
        };
        let output = output::with_files(output, &written, &task.worktree).map_err(of_outputs)?;
        Ok(Outcome {
            metrics: Metrics {
                reported,
                ..metrics(&recording.counts)
            },
            output,
            written,
            recording,
            profile,
            held: self.recorder.take_held_files(),
        })
    }

    fn judge(
        &self,
        task: &Task,
        recording: &Recording,
        stderr: &mut std::fs::File,
    ) -> Result<(), LabError> {
        let mut tail = || child::tail(stderr, TAIL_LINES);
        let how = match (recording.ended, recording.exit) {
            (Ended::Interrupted, _) => return Err(LabError::Interrupted),
            (Ended::TimedOut | Ended::Watched, _) => {
                return Err(LabError::Timeout {
                    place: task.place.clone(),
                    after: self.limit.after,
                    limit: self.limit.origin,
                    tail: tail(),
                });
            }
            (Ended::Exited, Some(Exit::Code(code))) if code == task.exit_status => return Ok(()),
            (Ended::Exited, Some(Exit::Code(code))) => format!("exit status {code}"),
            (Ended::Exited, Some(Exit::Signal(signal))) => format!("killed by signal {signal}"),
            (Ended::Exited, None) => "its end was not seen".to_owned(),
        };
        Err(LabError::Run {
            place: task.place.clone(),
            how,
            tail: tail(),
        })
    }
}

/// What the run reports of itself.
fn reported(
    task: &Task,
    stdout: &mut std::fs::File,
    folder: &Folder,
) -> Result<Vec<ReportedTime>, LabError> {
    let Some(harness) = task.harness else {
        return Ok(Vec::new());
    };
    let text = child::read_all(stdout).map_err(|source| file_error(folder.path(), source))?;
    let text = String::from_utf8_lossy(&text);
    let home = harness::home(folder.path());
    harness
        .read(&text, &home)
        .map_err(|reason| LabError::NothingReported {
            place: task.place.clone(),
            harness: harness.name(),
            reason,
            tail: child::tail(stdout, TAIL_LINES),
        })
}

fn file_error(folder: &Path, source: io::Error) -> LabError {
    LabError::File {
        action: "use the output files in",
        path: folder.to_owned(),
        source,
    }
}

fn record_error(error: RecordError, task: &Task) -> LabError {
    match error {
        RecordError::EmptyCommand => LabError::NoCommand,
        RecordError::NotFound { .. }
        | RecordError::NotExecutable { .. }
        | RecordError::Spawn { .. } => LabError::NoProgram {
            place: task.place.clone(),
            program: task.command[0].to_string_lossy().into_owned(),
            reason: error.to_string(),
        },
        other => LabError::Recorder(other.to_string()),
    }
}

fn metrics(counts: &Counts) -> Metrics {
    Metrics {
        cpu_ns: counts.cpu_ns,
        cpu_source: match counts.cpu_source {
            hotproof_profiler::CpuSource::TaskClock => CpuSource::TaskClock,
            hotproof_profiler::CpuSource::Wait4 | hotproof_profiler::CpuSource::Machine => {
                CpuSource::Wait4
            }
        },
        wall_ns: counts.wall_ns,
        user_ns: counts.user_ns,
        system_ns: counts.system_ns,
        run_queue_ns: counts.run_queue_ns,
        peak_rss_bytes: counts.peak_rss_bytes,
        page_faults: counts.page_faults,
        context_switches: counts.context_switches,
        instructions: counts.instructions,
        reported: Vec::new(),
    }
}

/// Samples that a run should have: enough for shares within a point, few enough to cost little.
const SAMPLES_A_RUN: f64 = 2_000.0;
/// Where threads are stopped for a sample, faster would disturb what is measured: a stop costs its
/// thread some tens of microseconds.
const MOST_STOPS_HZ: u64 = 997;
/// Slower would leave short phases unseen, faster would disturb what is measured.
const RATES_HZ: (u64, u64) = (999, 9_999);

/// The rate that gives a run of so much CPU time about 2,000 samples, where the ceiling allows.
pub(crate) fn rate_for(cpu_ns: u64, kernel_limit_hz: Option<u64>) -> u64 {
    let (slowest, fastest) = RATES_HZ;
    let ceiling = kernel_limit_hz
        .map_or(fastest, |limit| limit.min(fastest))
        .max(1);
    let wanted = SAMPLES_A_RUN / (cpu_ns.max(1) as f64 / 1e9);
    (wanted.min(ceiling as f64) as u64).max(slowest.min(ceiling))
}

/// The same rate, up to two per cent slower: runs that beat against the timer do not all beat
/// alike. `random` is any number.
pub(crate) fn jittered(rate_hz: u64, random: u64) -> u64 {
    rate_hz - random % (rate_hz / 50 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_follows_the_length_of_a_run() {
        let cases = [
            (20_000_000, None, 9_999),
            (400_000_000, None, 5_000),
            (10_000_000_000, None, 999),
            (20_000_000, Some(4_000), 4_000),
            (10_000_000_000, Some(500), 500),
            (0, None, 9_999),
        ];
        for (cpu_ns, limit, expected) in cases {
            assert_eq!(rate_for(cpu_ns, limit), expected, "{cpu_ns} ns, {limit:?}");
        }
    }

    #[test]
    fn jitter_is_at_most_two_per_cent_and_never_faster() {
        for random in [0, 1, 99, 12_345_678_901, u64::MAX] {
            let rate = jittered(5_000, random);
            assert!((4_900..=5_000).contains(&rate), "{rate}");
        }
        assert_eq!(jittered(1, 7), 1);
    }

    #[test]
    fn a_warm_up_shortens_the_timeout_but_never_below_half_a_minute() {
        let asked = Limit::asked(Duration::from_secs(600));
        let seconds = |longest| {
            asked
                .after_warm_up(Duration::from_secs_f64(longest))
                .after
                .as_secs()
        };
        assert_eq!(
            [seconds(0.1), seconds(10.0), seconds(100.0)],
            [30, 100, 600]
        );
        let short = Limit::asked(Duration::from_secs(2));
        assert_eq!(short.after_warm_up(Duration::from_secs(1)), short);
    }
}
