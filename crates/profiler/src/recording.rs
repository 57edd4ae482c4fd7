//! What came of a run.

use std::time::Duration;

use hotproof_profile::{Counter, Exit, Lost};

/// How far a recording has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Since the target's start.
    pub elapsed: Duration,
    /// Samples so far.
    pub samples: u64,
    /// Samples that the kernel dropped so far.
    pub lost: u64,
    /// Threads seen so far.
    pub threads: u32,
    /// Processes that are there.
    pub processes: u32,
}

/// What came of a run. The samples themselves went to the sink.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// How the target ended; `None` when the recording was interrupted before that.
    pub exit: Option<Exit>,
    /// Why the recording ended.
    pub ended: Ended,
    /// What the run cost.
    pub counts: Counts,
    /// Whether and how it was sampled.
    pub sampled: Sampled,
    /// Why threads were stopped although perf events were asked for; `None` otherwise.
    pub fallback: Option<Refusal>,
    /// Samples that went to the sink.
    pub samples: u64,
    /// What the kernel or the recorder dropped.
    pub lost: Lost,
    /// Samples whose stack reaches the thread's start.
    pub complete_samples: u64,
    /// CPU time that the recording thread used for this run.
    pub recorder_cpu_ns: u64,
    /// What a reader has to know, one sentence each; the same as in the profile's meta.
    pub notes: Vec<String>,
}

/// Why a recording ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The target ended of its own accord, or something else killed it.
    Exited,
    /// Its time was up: a target of ours was killed, processes attached to go on.
    TimedOut,
    /// It was watched for as long as it should be, and then made to end.
    Watched,
    /// The stop flag was set.
    Interrupted,
}

/// What a run cost, over the target and its descendants unless said otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Counts {
    /// CPU time; 0 where a machine was busy for too few ticks of a recording of everything to tell.
    pub cpu_ns: u64,
    /// Who counted `cpu_ns`.
    pub cpu_source: CpuSource,
    /// Wall time from exec to exit.
    pub wall_ns: u64,
    /// CPU time in user mode by the kernel's ticks; without descendants nobody waited for, and of
    /// processes attached to, of those that still are there.
    pub user_ns: u64,
    /// CPU time in the kernel; as for user mode.
    pub system_ns: u64,
    /// Time that the target's main thread was ready but waited for a CPU; `None` where the kernel
    /// keeps no such account.
    pub run_queue_ns: Option<u64>,
    /// CPU time of descendants that nobody had waited for when the target ended, which user and
    /// system time lack, in nanoseconds. Where there is no control group it is the task clock that
    /// tells, which also has interrupts and what a hypervisor took.
    pub unwaited_ns: u64,
    /// Whether the main thread used all the CPU time, so that `run_queue_ns` is the waiting of
    /// everybody: there was no other thread and no child. What no account of the kernel shows can
    /// be missed: without a control group, a short child that nobody waited for. `false` where it
    /// cannot be told.
    pub one_thread: bool,
    /// Largest resident set of one process among the target and those it waited for. A target
    /// that stays below what the child had before its exec (well below 1 MiB) has that figure
    /// instead, and a note of the recording says so.
    pub peak_rss_bytes: u64,
    /// Page faults, minor and major.
    pub page_faults: u64,
    /// Context switches, voluntary and not.
    pub context_switches: u64,
    /// Instructions retired in user mode; `None` where there is no such counter.
    pub instructions: Option<u64>,
    /// All that perf events counted, as they go into a profile's [`Meta`](hotproof_profile::Meta);
    /// hardware events in user mode alone.
    pub counters: Vec<Counter>,
}

/// Who counted CPU time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CpuSource {
    /// The recording's control group where it has one (exact, with orphans), or an inherited task
    /// clock, or `wait4` when it has more: the task clock has orphans but misses a part of each
    /// task's start and end and of each switch between threads. The last moments of the child
    /// before its exec, some tenths of a millisecond, are counted too.
    TaskClock,
    /// `wait4`: without descendants that nobody waited for.
    Wait4,
    /// The machine's own sum over all CPUs, by ticks (`/proc/stat`), of a recording of everything.
    Machine,
}

/// Whether and how a run was sampled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sampled {
    /// It was.
    Yes {
        /// `cycles` or `cpu-clock`; `ptrace` for [`Rung::Stops`].
        event: String,
        /// What was permitted.
        rung: Rung,
        /// Samples a second asked for.
        rate_hz: u64,
    },
    /// Not asked for.
    Off,
    /// The machine refuses; the run was still counted as far as that goes.
    No(Refusal),
}

/// How samples are taken, and what of the machine they may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rung {
    /// User code and the kernel.
    KernelAndUser,
    /// User code only.
    UserOnly,
    /// No perf events at all: running threads are stopped by ptrace and looked at. Time in the
    /// kernel counts where the program called it.
    Stops,
}

impl Rung {
    /// In words, for the profile's meta.
    pub fn description(self) -> &'static str {
        match self {
            Rung::KernelAndUser => "perf events, kernel and user",
            Rung::UserOnly => "perf events, user only",
            Rung::Stops => "running threads stopped by ptrace, user only",
        }
    }
}

/// What perf events permit here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ladder {
    /// They work.
    Events {
        /// `cycles` or `cpu-clock`.
        event: String,
        /// What they may see.
        rung: Rung,
    },
    /// They do not.
    Refused(Refusal),
}

/// Why perf events cannot be had, and what would help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} ({read}); {remedy}")]
pub struct Refusal {
    /// What was refused.
    pub what: String,
    /// The values read: the error, `perf_event_paranoid`, the user id.
    pub read: String,
    /// What to do.
    pub remedy: String,
}
