//! What to run and how to watch it.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::event_name::EventName;

/// What to run and how to watch it.
///
/// [`Request::new`] gives the defaults; fields are set one by one from there.
#[derive(Debug)]
pub struct Request {
    /// The program and its arguments. A program without a slash is searched for in the `PATH` of
    /// the environment that the target gets, as `execvp` does.
    pub command: Vec<OsString>,
    /// Working directory of the target; `None` keeps ours.
    pub directory: Option<PathBuf>,
    /// Environment of the target.
    pub environment: Environment,
    /// Where the target reads from.
    pub stdin: Stdin,
    /// Where the target's standard output goes.
    pub stdout: Stdout,
    /// Where the target's standard error goes.
    pub stderr: Stderr,
    /// Whether to sample.
    pub sampling: Sampling,
    /// What to sample; `None` leaves the choice to the machine: cycles where there is a counter,
    /// cpu-clock otherwise.
    pub event: Option<EventName>,
    /// Events between two samples, instead of a rate.
    pub period: Option<u64>,
    /// Samples to take in each second of CPU time of each thread.
    pub rate_hz: u64,
    /// The same where threads are stopped for it ([`crate::Rung::Stops`]), which costs more.
    pub stops_rate_hz: u64,
    /// What to do when it cannot be sampled.
    pub unsampled: Unsampled,
    /// How stacks are taken.
    pub stacks: StackMode,
    /// Whether time off the CPU is recorded too.
    pub off_cpu: OffCpu,
    /// What is counted exactly.
    pub counters: CounterSet,
    /// Kills the target after this time; with [`Group::Own`] together with everything that it
    /// started in its process group.
    pub timeout: Option<Duration>,
    /// Ends the recording, and with it the target, when it has been watched for this time: politely
    /// at first (SIGTERM), as timeout(1) does. What the target started and does not end with it
    /// goes on, which a note says.
    pub duration: Option<Duration>,
    /// The target runs for this time before sampling begins; what it does before is neither sampled
    /// nor a part of what [`crate::Counts`] has as CPU and wall time.
    pub delay: Option<Duration>,
    /// Whether the target gets a process group of its own.
    pub group: Group,
    /// Set from outside (a signal handler) to end the recording properly and early.
    pub stop: Arc<AtomicBool>,
    /// Set from outside (a second Ctrl-C) to kill the target at once, without the patience that
    /// `stop` has; what was seen until then is kept.
    pub stop_now: Arc<AtomicBool>,
}

/// Which running processes to watch, and how. They go on when the recording ends.
#[derive(Debug)]
pub struct Attach {
    /// The processes that the recording ends with.
    pub pids: Vec<u32>,
    /// Who is watched.
    pub whom: Whom,
    /// How to sample; [`Sampling::Off`] is taken for [`Sampling::Events`].
    pub sampling: Sampling,
    /// As [`Request::event`].
    pub event: Option<EventName>,
    /// As [`Request::period`].
    pub period: Option<u64>,
    /// Samples to take in each second of CPU time of each thread.
    pub rate_hz: u64,
    /// As [`Request::stops_rate_hz`].
    pub stops_rate_hz: u64,
    /// How stacks are taken.
    pub stacks: StackMode,
    /// As [`Request::off_cpu`].
    pub off_cpu: OffCpu,
    /// How long to watch; `None` until all of `pids` have ended, and without any of them until the
    /// stop flag is set.
    pub duration: Option<Duration>,
    /// Set from outside (a signal handler) to end the recording properly and early.
    pub stop: Arc<AtomicBool>,
}

impl Attach {
    /// Watches until the processes end, at [`DEFAULT_RATE_HZ`], stacks unwound by CFI.
    pub fn new(pids: impl IntoIterator<Item = u32>) -> Attach {
        Attach {
            pids: pids.into_iter().collect(),
            whom: Whom::Descendants,
            sampling: Sampling::Events,
            event: None,
            period: None,
            rate_hz: DEFAULT_RATE_HZ,
            stops_rate_hz: DEFAULT_STOPS_RATE_HZ,
            stacks: StackMode::Dwarf {
                bytes: LARGEST_STACK_BYTES,
            },
            off_cpu: OffCpu::Leave,
            duration: None,
            stop: Arc::new(AtomicBool::new(false)),
        }
    }
}

/// Who is watched of what runs already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Whom {
    /// The processes that were named with all their threads, and what they start: also children
    /// that they had before.
    #[default]
    Descendants,
    /// This thread of the one process that was named, and what it starts from now on.
    Thread(u32),
    /// Everything that runs on the machine, the kernel's threads included; a CPU that idles is not
    /// sampled. It needs perf events of whole CPUs.
    Everything,
}

/// The rate that is used when nobody asks for another: close to 1,000 a second, and prime, so
/// that it does not beat against the usual timers.
pub const DEFAULT_RATE_HZ: u64 = 997;

/// The rate at which threads are stopped when nobody asks for another: a stop costs its thread some
/// tens of microseconds.
pub const DEFAULT_STOPS_RATE_HZ: u64 = 397;

/// Bytes of stack that are copied with each sample when nobody asks for another way: the kernel's
/// ceiling. Only the part of a stack that is in use is copied.
///
/// A copy that has to grow first cuts some stacks of each program, which [`StackMode::Adaptive`]
/// takes for what it saves; a comparison, whose runs are many and alike, should not.
pub const LARGEST_STACK_BYTES: u32 = 65_528;

impl Request {
    /// A request with the defaults: everything inherited, sampled at [`DEFAULT_RATE_HZ`], stacks
    /// unwound by CFI, no timeout, a process group of its own.
    pub fn new<S: Into<OsString>>(command: impl IntoIterator<Item = S>) -> Request {
        Request {
            command: command.into_iter().map(Into::into).collect(),
            directory: None,
            environment: Environment::Inherit,
            stdin: Stdin::Inherit,
            stdout: Stdout::Inherit,
            stderr: Stderr::Inherit,
            sampling: Sampling::Events,
            event: None,
            period: None,
            rate_hz: DEFAULT_RATE_HZ,
            stops_rate_hz: DEFAULT_STOPS_RATE_HZ,
            unsampled: Unsampled::Run,
            stacks: StackMode::Dwarf {
                bytes: LARGEST_STACK_BYTES,
            },
            off_cpu: OffCpu::Leave,
            counters: CounterSet::Basic,
            timeout: None,
            duration: None,
            delay: None,
            group: Group::Own,
            stop: Arc::new(AtomicBool::new(false)),
            stop_now: Arc::new(AtomicBool::new(false)),
        }
    }
}

/// Whether the time that threads spend off the CPU is recorded too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OffCpu {
    /// Samples stand for time on the CPU alone.
    #[default]
    Leave,
    /// Every switch of a thread is recorded, and the time between two is told to the nanosecond:
    /// rows of the weights `blocked` (the thread waited for something) and `preempted` (it could
    /// run and waited for a CPU). The stacks of these rows are those at the switch where the kernel's
    /// events may be sampled, and those of the thread's nearest sample, labelled `stack: borrowed`,
    /// elsewhere. A third weight, `elapsed`, tells each moment of the run once: what threads run in at
    /// once is shared among them, and what none runs in belongs to the one that runs next. It needs
    /// perf events.
    Record,
}

/// What is counted exactly over a run, beside its CPU time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum CounterSet {
    /// Page faults, context switches, migrations, and instructions where the machine counts them.
    #[default]
    Basic,
    /// And cycles, cache references and misses, branches and branch misses where the machine
    /// counts them. A CPU has few such counters: with a sampling event beside them they take turns.
    All,
}

/// The environment of the target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Environment {
    /// Ours.
    #[default]
    Inherit,
    /// These variables and no others.
    Exactly(Vec<(OsString, OsString)>),
}

/// Where the target reads from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Stdin {
    /// Our standard input.
    #[default]
    Inherit,
    /// Nothing.
    Null,
    /// A file, opened anew for this run.
    File(PathBuf),
}

/// Where the target's standard output goes.
#[derive(Debug, Default)]
pub enum Stdout {
    /// To ours.
    #[default]
    Inherit,
    /// Nowhere.
    Null,
    /// To our standard error.
    Stderr,
    /// Into an open file.
    File(File),
}

/// Where the target's standard error goes.
#[derive(Debug, Default)]
pub enum Stderr {
    /// To ours.
    #[default]
    Inherit,
    /// Nowhere.
    Null,
    /// Into an open file.
    File(File),
}

/// Whether a run is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sampling {
    /// With perf events, or where those are refused by stopping running threads for a moment
    /// ([`crate::Rung::Stops`]).
    #[default]
    Events,
    /// With perf events or not at all.
    EventsOnly,
    /// By stopping running threads, whatever the machine permits.
    Stops,
    /// Not at all: the target is only run and counted.
    Off,
}

/// What to do with a command that cannot be sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unsampled {
    /// Run and count it all the same.
    #[default]
    Run,
    /// Do not run it: [`crate::RecordError::NotSampled`].
    Refuse,
}

/// How stacks are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StackMode {
    /// Registers and a copy of the stack, unwound through call frame information. The copy is large
    /// at first (16 KiB from 4,000 samples a second on), becomes small when the first hundred
    /// samples have shown that less is enough, and grows again, up to the kernel's ceiling (just
    /// under 64 KiB), when stacks come back cut; this recorder keeps the size for later runs. The
    /// profile's meta tells the sizes.
    Adaptive {
        /// What becomes of stacks that reach beyond the copy.
        tail: Tail,
    },
    /// Registers and a copy of the stack, unwound through call frame information.
    Dwarf {
        /// Bytes of stack to copy with each sample: a multiple of 8, at most 65,528 (the
        /// kernel's ceiling). Other values are rounded down. Fewer are copied when the rings that
        /// the machine permits would hold too few samples; the profile's meta has the true size.
        bytes: u32,
    },
    /// The kernel's walk along frame pointers; the first frames, where a function without a frame
    /// would hide its caller, come from registers and a small copy of the stack.
    FramePointer,
    /// Only the address that was executed.
    None,
}

/// What becomes of a stack that reaches beyond its copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Tail {
    /// It ends where the copy ends: [`hotproof_profile::StackEnd::Truncated`].
    #[default]
    Cut,
    /// The rest is read from the running target a moment later, and taken when the chain ends at
    /// the thread's known root: [`hotproof_profile::StackEnd::Stitched`]. The thread may have
    /// called something else by then, so that outer callers are likely and not certain.
    Stitch,
}

/// Whether the target gets a process group of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Group {
    /// Its own, so that it can be killed whole.
    #[default]
    Own,
    /// Ours, so that Ctrl-C at the terminal reaches it too.
    Inherit,
}
