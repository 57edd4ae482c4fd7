//! Exact counters over the target and everything that it starts.

use hotproof_profile::{Counter as Count, Unit};
use perf_event::events::{Event, Hardware, Software};
use perf_event::{Builder, Counter};
use rustix::io::Errno;

use crate::attach::Used;
use crate::events::open;
use crate::machine::ThreadTimes;
use crate::recording::{Counts, CpuSource};
use crate::request::CounterSet;
use crate::sys::{self, Usage};

/// The least busy time of a machine, in nanoseconds, that ticks of 10 ms tell: a hundred of them.
const FEWEST_BUSY_NS: u64 = 1_000_000_000;

/// `wait4` and the scheduler's own account are one sum, told in microseconds and in nanoseconds. Of
/// 800 runs of one thread none was above its account, and 400 with a thread or a child that ends at
/// once were 9 microseconds above it or more (2026-11-29, Linux 6.18).
const ROUNDING_NS: u64 = 2_000;
/// The task clock counts interrupts, which the scheduler leaves out: it may be above the account by
/// one part in so many, ...
const TASK_CLOCK_PART: u64 = 50;
/// ... and what nobody waited for, which it and the control group alone count, takes more than this:
/// a fork, an exec and an exit.
const LEAST_CHILD_NS: u64 = 50_000;

/// Something to count.
#[derive(Debug, Clone, Copy)]
struct Kind {
    /// As perf names it.
    name: &'static str,
    unit: Unit,
    event: EventId,
    sight: Sight,
    /// The smallest set that it belongs to.
    set: CounterSet,
}

#[derive(Debug, Clone, Copy)]
enum EventId {
    Hardware(Hardware),
    Software(Software),
}

const TASK_CLOCK: &str = "task-clock";
const PAGE_FAULTS: &str = "page-faults";
const CONTEXT_SWITCHES: &str = "context-switches";
const INSTRUCTIONS: &str = "instructions";

/// All that is counted, in the order in which it is told.
const KINDS: [Kind; 10] = [
    // The task clock counts all of a task's time, whatever is excluded.
    Kind {
        unit: Unit::Nanoseconds,
        sight: Sight::UserOnly,
        ..software(TASK_CLOCK, Software::TASK_CLOCK)
    },
    software(PAGE_FAULTS, Software::PAGE_FAULTS),
    software(CONTEXT_SWITCHES, Software::CONTEXT_SWITCHES),
    software("cpu-migrations", Software::CPU_MIGRATIONS),
    Kind {
        unit: Unit::Instructions,
        set: CounterSet::Basic,
        ..hardware(INSTRUCTIONS, Hardware::INSTRUCTIONS)
    },
    Kind {
        unit: Unit::Cycles,
        ..hardware("cycles", Hardware::CPU_CYCLES)
    },
    hardware("cache-references", Hardware::CACHE_REFERENCES),
    hardware("cache-misses", Hardware::CACHE_MISSES),
    hardware("branches", Hardware::BRANCH_INSTRUCTIONS),
    hardware("branch-misses", Hardware::BRANCH_MISSES),
];

const fn software(name: &'static str, event: Software) -> Kind {
    Kind {
        name,
        unit: Unit::Count,
        event: EventId::Software(event),
        sight: Sight::Kernel,
        set: CounterSet::Basic,
    }
}

/// In user mode alone: that is what a change to a program changes, and all may count it.
const fn hardware(name: &'static str, event: Hardware) -> Kind {
    Kind {
        name,
        unit: Unit::Count,
        event: EventId::Hardware(event),
        sight: Sight::UserOnly,
        set: CounterSet::All,
    }
}

/// Counters that are opened on a held child, or on a thread, and read at the end. What does not
/// open is not among them.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    open: Vec<(Kind, Counter)>,
}

/// What is known of a run from elsewhere than its counters.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Elsewhere {
    /// From `wait4`.
    pub(crate) usage: Usage,
    /// From the control group; `None` when the target had none of its own.
    pub(crate) group_cpu_ns: Option<u64>,
    /// From exec to exit.
    pub(crate) wall_ns: u64,
    /// Of the main thread; `None` where the kernel keeps no such account.
    pub(crate) main: Option<ThreadTimes>,
}

/// When a counter begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// When the process calls `execve`.
    AtExec,
    /// When it is opened.
    AtOnce,
}

/// Whether a counter needs to see the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    Kernel,
    UserOnly,
}

impl Counters {
    /// Opens what can be opened on a process that is held before its exec.
    pub(crate) fn open(pid: i32, set: CounterSet) -> Counters {
        let kinds = KINDS.iter().filter(|kind| kind.set <= set);
        let open = kinds.filter_map(|kind| {
            let counter = open_one(pid, *kind, Start::AtExec).ok()?;
            Some((*kind, counter))
        });
        Counters {
            open: open.collect(),
        }
    }

    /// Opens them on threads that run, counting at once; those that have ended meanwhile are left
    /// out.
    pub(crate) fn attach(threads: impl Iterator<Item = u32>) -> Result<Vec<Counters>, Errno> {
        threads
            .map(|tid| Counters::of_thread(tid.cast_signed()))
            .collect()
    }

    fn of_thread(tid: i32) -> Result<Counters, Errno> {
        let mut open = Vec::new();
        for kind in KINDS.iter().filter(|kind| kind.set == CounterSet::Basic) {
            match open_one(tid, *kind, Start::AtOnce) {
                Ok(counter) => open.push((*kind, counter)),
                // The thread is gone, or the machine has no such counter.
                Err(Errno::SRCH | Errno::NOENT | Errno::OPNOTSUPP) => {}
                // Ordinary users may not count in the kernel.
                Err(Errno::ACCESS | Errno::PERM) if kind.sight == Sight::Kernel => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(Counters { open })
    }

    /// The sum over threads that were attached to.
    pub(crate) fn sum(all: &[Counters], used: Used, wall_ns: u64) -> Counts {
        let mut sum: Vec<Count> = Vec::new();
        for count in all.iter().flat_map(Counters::counts) {
            match sum.iter_mut().find(|one| one.name == count.name) {
                Some(one) => {
                    one.value = one.value.saturating_add(count.value);
                    one.counted = one.counted.min(count.counted);
                }
                None => sum.push(count),
            }
        }
        let elsewhere = Elsewhere {
            wall_ns,
            ..Elsewhere::default()
        };
        let mut sum = Counts {
            cpu_source: CpuSource::TaskClock,
            user_ns: used.user_ns,
            system_ns: used.system_ns,
            peak_rss_bytes: used.peak_rss_bytes,
            ..totals(sum, &elsewhere)
        };
        if all.is_empty() {
            // Nothing could be counted but what the kernel counts for everybody.
            sum.cpu_ns = used.user_ns + used.system_ns;
            sum.cpu_source = CpuSource::Wait4;
        }
        sum
    }

    /// What the whole machine used, as the kernel's ticks tell; nothing where they are too few.
    ///
    /// A tick counts whole for what runs at that moment. The recorder itself wakes by ticks, some
    /// twenty times a second, so that its own share of an idle machine is counted many times over:
    /// ten milliseconds for each fraction of one.
    pub(crate) fn of_machine(busy_ns: Option<u64>, wall_ns: u64) -> Counts {
        let least_ns = FEWEST_BUSY_NS.max(wall_ns / 2);
        Counts {
            cpu_ns: busy_ns.filter(|&ns| ns >= least_ns).unwrap_or(0),
            cpu_source: CpuSource::Machine,
            ..Counters::sum(&[], Used::default(), wall_ns)
        }
    }

    /// Reads all counters; what did not open is taken from `wait4`.
    pub(crate) fn read(&self, elsewhere: &Elsewhere) -> Counts {
        totals(self.counts().collect(), elsewhere)
    }

    /// CPU time so far; `None` where nobody counts it.
    pub(crate) fn cpu_ns(&self) -> Option<u64> {
        let mut counts = self.counts();
        Some(counts.find(|count| count.name == TASK_CLOCK)?.value)
    }

    fn counts(&self) -> impl Iterator<Item = Count> {
        let read = |(kind, counter): &(Kind, Counter)| {
            let (value, counted) = reading(read_words(counter)?)?;
            Some(Count {
                name: kind.name.to_owned(),
                unit: kind.unit,
                value,
                counted,
            })
        };
        self.open.iter().filter_map(read)
    }
}

/// What a run cost.
///
/// CPU time is the largest one of the control group's, the task clock's and that of `wait4`,
/// because each can only miss something: the group what left it, `wait4` orphans, and an
/// inherited task clock a part of each task's start and end and of each switch between threads
/// (9 % of a search by two threads that switch 25,000 times a second).
fn totals(counters: Vec<Count>, elsewhere: &Elsewhere) -> Counts {
    let Elsewhere {
        usage,
        group_cpu_ns,
        wall_ns,
        main,
    } = *elsewhere;
    let whole = |name: &str| {
        let count = counters.iter().find(|count| count.name == name)?;
        // What took turns was not counted but estimated.
        (count.counted == 1.0).then_some(count.value)
    };
    let waited_ns = usage.user_ns + usage.system_ns;
    let (cpu_ns, cpu_source) = match whole(TASK_CLOCK).max(group_cpu_ns) {
        Some(ns) => (ns.max(waited_ns), CpuSource::TaskClock),
        None => (waited_ns, CpuSource::Wait4),
    };
    Counts {
        cpu_ns,
        cpu_source,
        wall_ns,
        user_ns: usage.user_ns,
        system_ns: usage.system_ns,
        run_queue_ns: main.map(|main| main.queued_ns),
        // The group's account and that of wait4 are one clock, without interrupts and stolen time.
        unwaited_ns: group_cpu_ns
            .or(whole(TASK_CLOCK))
            .map_or(0, |all_ns| all_ns.saturating_sub(waited_ns)),
        one_thread: main.is_some_and(|main| {
            main.cpu_ns > 0
                && waited_ns <= main.cpu_ns + ROUNDING_NS
                && cpu_ns <= main.cpu_ns + main.cpu_ns / TASK_CLOCK_PART + LEAST_CHILD_NS
        }),
        peak_rss_bytes: usage.peak_rss_bytes,
        page_faults: whole(PAGE_FAULTS).unwrap_or(usage.page_faults),
        context_switches: whole(CONTEXT_SWITCHES).unwrap_or(usage.context_switches),
        instructions: whole(INSTRUCTIONS),
        counters,
    }
}

/// Count, time enabled and time running in nanoseconds; `None` when it cannot be read.
fn read_words(counter: &Counter) -> Option<[u64; 3]> {
    // The builder asks for `PERF_FORMAT_TOTAL_TIME_ENABLED` and `PERF_FORMAT_TOTAL_TIME_RUNNING`,
    // which follow the count (perf_event_open(2), "Reading results").
    let mut bytes = [0; 24];
    let got = rustix::io::read(sys::borrow(counter), &mut bytes).ok()?;
    let word = |at: usize| {
        let word: [u8; 8] = bytes[at..at + 8].try_into().ok()?;
        Some(u64::from_ne_bytes(word))
    };
    (got == bytes.len()).then_some([word(0)?, word(8)?, word(16)?])
}

/// The count and the share of the run during which it counted, which the count is scaled by when it
/// is below 1; `None` when the event never had its turn.
fn reading([count, enabled_ns, running_ns]: [u64; 3]) -> Option<(u64, f64)> {
    if running_ns >= enabled_ns {
        return Some((count, 1.0));
    }
    if running_ns == 0 {
        return None;
    }
    let scaled = u128::from(count) * u128::from(enabled_ns) / u128::from(running_ns);
    let value = u64::try_from(scaled).unwrap_or(u64::MAX);
    Some((value, running_ns as f64 / enabled_ns as f64))
}

fn open_one(pid: i32, kind: Kind, start: Start) -> Result<Counter, Errno> {
    let event: Event = match kind.event {
        EventId::Hardware(event) => event.into(),
        EventId::Software(event) => event.into(),
    };
    let mut builder = Builder::new().kind(event).observe_pid(pid);
    builder
        .exclude_kernel(kind.sight == Sight::UserOnly)
        .inherit(true);
    match start {
        Start::AtExec => builder.enable_on_exec(true),
        Start::AtOnce => builder.enabled(true),
    };
    open(builder)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that idled has no account of its CPU time: ticks count the recorder many times.
    #[test]
    fn ticks_of_an_idle_machine_are_no_account() {
        const SECOND: u64 = 1_000_000_000;
        let cases = [
            (Some(80_000_000), 4 * SECOND, 0),
            (Some(1_990_000_000), 4 * SECOND, 0),
            (Some(2 * SECOND), 4 * SECOND, 2 * SECOND),
            (Some(SECOND), SECOND / 2, SECOND),
            (Some(SECOND / 2), SECOND / 2, 0),
            (None, SECOND, 0),
        ];
        for (busy_ns, wall_ns, expected) in cases {
            let counts = Counters::of_machine(busy_ns, wall_ns);
            assert_eq!(counts.cpu_ns, expected, "{busy_ns:?} of {wall_ns}");
            assert_eq!(counts.cpu_source, CpuSource::Machine);
        }
    }

    /// A count of a part of the run is scaled and says so; one of no part is none.
    #[test]
    fn a_partial_count_says_so() {
        let cases = [
            ([700, 50, 50], Some((700, 1.0))),
            ([700, 50, 25], Some((1_400, 0.5))),
            ([0, 50, 0], None),
            ([0, 0, 0], Some((0, 1.0))),
            ([u64::MAX, 4, 1], Some((u64::MAX, 0.25))),
        ];
        for (words, expected) in cases {
            assert_eq!(reading(words), expected, "{words:?}");
        }
    }

    /// A second thread or a child shows in the CPU time that is not the main thread's.
    #[test]
    fn one_thread_has_used_all_the_cpu_time() {
        let main = |cpu_ns| {
            Some(ThreadTimes {
                cpu_ns,
                queued_ns: 7,
            })
        };
        let cases = [
            (main(500_900), 500_000, None, true),
            (main(500_900), 502_000, None, true),
            (main(500_900), 509_000, None, false),
            // A child that nobody waited for.
            (main(500_900), 500_000, Some(900_000), false),
            (main(500_900), 500_000, Some(480_000), true),
            (None, 500_000, None, false),
            (main(0), 0, None, false),
        ];
        for (main, user_ns, group_cpu_ns, expected) in cases {
            let elsewhere = Elsewhere {
                usage: Usage {
                    user_ns,
                    ..Usage::default()
                },
                group_cpu_ns,
                main,
                ..Elsewhere::default()
            };
            let counts = totals(Vec::new(), &elsewhere);
            assert_eq!(counts.one_thread, expected, "{elsewhere:?}");
            assert_eq!(counts.run_queue_ns, main.map(|_| 7));
        }
    }

    /// Interrupts and stolen time, which the task clock alone has, are nobody's child.
    #[test]
    fn what_nobody_waited_for_is_told_by_the_control_group() {
        let unwaited = |task_clock: Option<u64>, group_cpu_ns| {
            let count = |value| Count {
                name: TASK_CLOCK.to_owned(),
                unit: Unit::Nanoseconds,
                value,
                counted: 1.0,
            };
            let usage = Usage {
                user_ns: 60_000_000,
                system_ns: 4_000_000,
                ..Usage::default()
            };
            let elsewhere = Elsewhere {
                usage,
                group_cpu_ns,
                ..Elsewhere::default()
            };
            totals(task_clock.map(count).into_iter().collect(), &elsewhere).unwaited_ns
        };
        assert_eq!(unwaited(Some(75_000_000), Some(64_200_000)), 200_000);
        assert_eq!(unwaited(Some(75_000_000), Some(104_000_000)), 40_000_000);
        assert_eq!(unwaited(Some(75_000_000), None), 11_000_000);
        assert_eq!(unwaited(None, None), 0);
    }

    /// An estimate is told as a counter, and never as the exact figure of a run.
    #[test]
    fn an_estimate_is_no_total() {
        let of = |counted| Count {
            name: INSTRUCTIONS.to_owned(),
            unit: Unit::Instructions,
            value: 1_000,
            counted,
        };
        let elsewhere = Elsewhere::default();
        assert_eq!(totals(vec![of(1.0)], &elsewhere).instructions, Some(1_000));
        let estimated = totals(vec![of(0.5)], &elsewhere);
        assert_eq!(estimated.instructions, None);
        assert_eq!(estimated.counters, [of(0.5)]);
    }
}
