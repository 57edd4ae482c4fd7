//! Exact counters over the target and everything that it starts.

use perf_event::events::{Event, Hardware, Software};
use perf_event::{Builder, Counter};
use rustix::io::Errno;

use crate::attach::Used;
use crate::events::open;
use crate::recording::{Counts, CpuSource};
use crate::sys::{self, Usage};

/// Counters that are opened on a held child and read at the end. Each is `None` where it does not
/// open.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    task_clock: Option<Counter>,
    page_faults: Option<Counter>,
    context_switches: Option<Counter>,
    instructions: Option<Counter>,
}

/// What is known of a run from elsewhere than its counters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Elsewhere {
    /// From `wait4`.
    pub(crate) usage: Usage,
    /// From the control group; `None` when the target had none of its own.
    pub(crate) group_cpu_ns: Option<u64>,
    /// From exec to exit.
    pub(crate) wall_ns: u64,
    /// Of the main thread; `None` where the kernel keeps no such account.
    pub(crate) run_queue_ns: Option<u64>,
}

/// Whether a counter needs to see the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    Kernel,
    UserOnly,
}

impl Counters {
    /// Opens what can be opened on a process that is held before its exec.
    pub(crate) fn open(pid: i32) -> Counters {
        let counter = |kind: Event, sight| open_one(pid, kind, sight).ok();
        Counters {
            // The task clock counts all of a task's time, whatever is excluded.
            task_clock: counter(Software::TASK_CLOCK.into(), Sight::UserOnly),
            page_faults: counter(Software::PAGE_FAULTS.into(), Sight::Kernel),
            context_switches: counter(Software::CONTEXT_SWITCHES.into(), Sight::Kernel),
            instructions: counter(Hardware::INSTRUCTIONS.into(), Sight::UserOnly),
        }
    }

    /// Opens them on threads that run, counting at once; those that have ended meanwhile are left
    /// out.
    pub(crate) fn attach(threads: &[i32]) -> Result<Vec<Counters>, Errno> {
        let mut all = Vec::new();
        for &tid in threads {
            let one = |kind: Event, sight| match open_running(tid, kind, sight) {
                Ok(counter) => Ok(Some(counter)),
                // The thread is gone, or the machine has no such counter.
                Err(Errno::SRCH | Errno::NOENT | Errno::OPNOTSUPP) => Ok(None),
                Err(errno) => Err(errno),
            };
            all.push(Counters {
                task_clock: one(Software::TASK_CLOCK.into(), Sight::UserOnly)?,
                page_faults: one(Software::PAGE_FAULTS.into(), Sight::UserOnly)?,
                context_switches: one(Software::CONTEXT_SWITCHES.into(), Sight::Kernel).or_else(
                    |errno| match errno {
                        // Ordinary users may not count in the kernel.
                        Errno::ACCESS | Errno::PERM => Ok(None),
                        errno => Err(errno),
                    },
                )?,
                instructions: one(Hardware::INSTRUCTIONS.into(), Sight::UserOnly)?,
            });
        }
        Ok(all)
    }

    /// The sum over threads that were attached to.
    pub(crate) fn sum(all: &mut [Counters], used: Used, wall_ns: u64) -> Counts {
        let nothing = Elsewhere {
            usage: Usage::default(),
            group_cpu_ns: None,
            wall_ns,
            run_queue_ns: None,
        };
        let mut sum = Counters::default().read(&nothing);
        sum.cpu_source = CpuSource::TaskClock;
        let mut partial = false;
        for counters in &mut *all {
            let one = counters.read(&nothing);
            partial |= counters.instructions.is_some() && one.instructions.is_none();
            sum.cpu_ns += one.cpu_ns;
            sum.page_faults += one.page_faults;
            sum.context_switches += one.context_switches;
            let instructions = sum.instructions.unwrap_or(0);
            sum.instructions = one
                .instructions
                .map(|count| instructions + count)
                .or(sum.instructions);
        }
        if partial {
            sum.instructions = None;
        }
        if all.is_empty() {
            // Nothing could be counted but what the kernel counts for everybody.
            sum.cpu_ns = used.user_ns + used.system_ns;
            sum.cpu_source = CpuSource::Wait4;
        }
        sum.user_ns = used.user_ns;
        sum.system_ns = used.system_ns;
        sum.peak_rss_bytes = used.peak_rss_bytes;
        sum
    }

    /// Reads all counters; what did not open is taken from `wait4`.
    ///
    /// CPU time is the largest one of the control group's, the task clock's and that of `wait4`,
    /// because each can only miss something: the group what left it, `wait4` orphans, and an
    /// inherited task clock a part of each task's start and end and of each switch between threads
    /// (9 % of a search by two threads that switch 25,000 times a second).
    pub(crate) fn read(&mut self, elsewhere: &Elsewhere) -> Counts {
        let Elsewhere {
            usage,
            group_cpu_ns,
            wall_ns,
            run_queue_ns,
        } = *elsewhere;
        let read = |counter: &mut Option<Counter>| counter.as_mut()?.read().ok();
        let task_clock = read(&mut self.task_clock);
        let waited_ns = usage.user_ns + usage.system_ns;
        let (cpu_ns, cpu_source) = match task_clock.max(group_cpu_ns) {
            Some(ns) => (ns.max(waited_ns), CpuSource::TaskClock),
            None => (waited_ns, CpuSource::Wait4),
        };
        Counts {
            cpu_ns,
            cpu_source,
            wall_ns,
            user_ns: usage.user_ns,
            system_ns: usage.system_ns,
            run_queue_ns,
            peak_rss_bytes: usage.peak_rss_bytes,
            page_faults: read(&mut self.page_faults).unwrap_or(usage.page_faults),
            context_switches: read(&mut self.context_switches).unwrap_or(usage.context_switches),
            instructions: self.instructions.as_ref().and_then(read_whole),
        }
    }
}

/// The count of a hardware event; `None` when it cannot be read, or when the event had to share
/// its hardware with others and so missed a part of the run.
fn read_whole(counter: &Counter) -> Option<u64> {
    // The builder asks for `PERF_FORMAT_TOTAL_TIME_ENABLED` and `PERF_FORMAT_TOTAL_TIME_RUNNING`,
    // which follow the count (perf_event_open(2), "Reading results").
    let mut bytes = [0; 24];
    let got = rustix::io::read(sys::borrow(counter), &mut bytes).ok()?;
    (got == bytes.len()).then(|| whole_count(bytes))?
}

/// The count out of count, time enabled and time running; `None` when it ran for less than it was
/// enabled for, since what it would have counted in the rest can only be guessed.
fn whole_count(bytes: [u8; 24]) -> Option<u64> {
    let word = |at: usize| {
        let word: [u8; 8] = bytes[at..at + 8].try_into().ok()?;
        Some(u64::from_ne_bytes(word))
    };
    let (count, enabled_ns, running_ns) = (word(0)?, word(8)?, word(16)?);
    (running_ns == enabled_ns).then_some(count)
}

fn open_running(tid: i32, kind: Event, sight: Sight) -> Result<Counter, Errno> {
    let mut builder = Builder::new().kind(kind).observe_pid(tid);
    builder
        .exclude_kernel(sight == Sight::UserOnly)
        .inherit(true)
        .enabled(true);
    open(builder)
}

fn open_one(pid: i32, kind: Event, sight: Sight) -> Result<Counter, Errno> {
    let mut builder = Builder::new().kind(kind).observe_pid(pid);
    builder
        .exclude_kernel(sight == Sight::UserOnly)
        .inherit(true)
        .enable_on_exec(true);
    open(builder)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A count of a part of the run is no count of the run.
    #[test]
    fn a_partial_count_is_none() {
        let cases = [
            ([700, 50, 50], Some(700)),
            ([700, 50, 49], None),
            ([0, 50, 0], None),
            ([0, 0, 0], Some(0)),
        ];
        for (words, expected) in cases {
            let mut bytes = [0; 24];
            for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
                place.copy_from_slice(&u64::to_ne_bytes(word));
            }
            assert_eq!(whole_count(bytes), expected, "{words:?}");
        }
    }
}
