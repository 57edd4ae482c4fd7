//! One recording from start to end.

use std::time::Instant;

use hotproof_image::HeldFiles;
use hotproof_profile::{Counter, Host, RUN_QUEUE, Sink, Unit, WHOLE_SYSTEM};
use rustix::time::ClockId;

use crate::attach::{Attached, Used, everything, find_running, one_thread, threads_of, used};
use crate::clock::{clock_ns, duration_ns, unix_ns};
use crate::counters::{Counters, Elsewhere};
use crate::error::RecordError;
use crate::events::{EventPlan, Tells};
use crate::launch::HeldChild;
use crate::machine::{self, ThreadTimes};
use crate::notes;
use crate::observer::{Knowledge, Observer, UserStacks, Waits};
use crate::opener::EventOpener;
use crate::recording::{Progress, Recording, Sampled};
use crate::refusal::Facts;
use crate::request::{Attach, Request, StackMode, Tail, Unsampled, Whom};
use crate::sys::Prompt;
use crate::target::{Target, exit_of};
use crate::watch::Watch;

use delay::Delay;
use run::{Early, Outcome, Reading, Run};
use telling::weights;

mod delay;
mod run;
mod telling;

/// Runs commands and records them.
///
/// It keeps rings, opened binaries and unwind rules from run to run, so that a series of short runs
/// pays for them once. Use it from one thread at a time.
#[derive(Default)]
pub struct Recorder {
    knowledge: Knowledge,
    opener: EventOpener,
    host: Option<Host>,
}

impl Recorder {
    /// A recorder that knows nothing yet.
    pub fn new() -> Recorder {
        Recorder::default()
    }

    /// What it has open of the last recording that paths do not lead to any more: binaries that
    /// were deleted, replaced or never had a path, and the files that name run-time code. A
    /// symbolizer takes them; call it before the next recording.
    pub fn take_held_files(&mut self) -> HeldFiles {
        self.knowledge.binaries.take_held()
    }

    /// Runs the command to its end and sends what it sees to `sink`.
    ///
    /// It returns when the command itself has ended; descendants that still run then are not
    /// waited for, which a note says. `progress` is called about ten times a second.
    ///
    /// # Errors
    /// When the command cannot be run, when a system call fails that nothing can replace, or when
    /// the sink refuses a row (the target is then killed). Where perf events are refused, running
    /// threads are stopped for a moment instead ([`crate::Rung::Stops`]); where that is refused
    /// too, the command runs, and [`Recording::sampled`] says why it was not sampled.
    pub fn record(
        &mut self,
        request: &Request,
        sink: &mut dyn Sink,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<Recording, RecordError> {
        let cpu_before_ns = clock_ns(ClockId::ThreadCPUTime);
        let child = HeldChild::fork(request, self.opener.group())?;
        let _prompt = Prompt::ask();
        let counters = Counters::open(child.pid().as_raw_nonzero().get(), request.counters);
        let mut watch = self.opener.open(&child, request);
        if let (Sampled::No(refusal), Unsampled::Refuse) = (&watch.sampled, request.unsampled) {
            return Err(RecordError::NotSampled(refusal.clone()));
        }
        sink.weights(&weights(&watch.plan))
            .map_err(RecordError::Sink)?;
        let host = self.host.get_or_insert_with(machine::host).clone();
        watch
            .enable()
            .map_err(system("enabling the sampling event"))?;
        let words = request.command.iter();
        let mut run = Run {
            command: words
                .map(|word| word.to_string_lossy().into_owned())
                .collect(),
            watch,
            host,
            cpu_before_ns,
            started_unix_ns: unix_ns(),
        };
        run.begin(sink)?;
        let held_rss_bytes = child.peak_rss_bytes();
        let in_cgroup = child.is_in_cgroup();
        let group_before_ns = self.opener.group_cpu_ns(in_cgroup);
        let started = Instant::now();
        let held = child.pid().as_raw_nonzero().get();
        let pid = child.release(&mut || {
            if let Some(stops) = &mut run.watch.stops {
                stops.serve_held(held);
            }
        })?;
        let target = Target::new(pid, started, request);
        let plan = &run.watch.plan;
        let format = plan.format();
        let mut observer = Observer::new(&mut self.knowledge, format, user_stacks(plan));
        observer.waits = waits(&run.watch);
        let mut delay = request.delay.map(|at| Delay::new(at, &counters));
        if let Some(delay) = &delay {
            observer.sampled_from_ns = clock_ns(ClockId::Monotonic) + duration_ns(delay.at);
        }
        let finished = run.follow(
            target,
            &request.stop,
            &mut Reading {
                opener: &mut self.opener,
                delay: delay.as_mut(),
                early: Early::default(),
            },
            &mut observer,
            sink,
            progress,
        )?;
        let group_after_ns = self.opener.group_cpu_ns(in_cgroup);
        let target = finished.subject;
        let ended = target.ended();
        let main = ThreadTimes::of_main(target.pid());
        let reaped = target.reap().map_err(system("wait4"))?;
        let mut counts = counters.read(&Elsewhere {
            usage: reaped.usage,
            group_cpu_ns: group_after_ns
                .zip(group_before_ns)
                .and_then(|(after, before)| after.checked_sub(before)),
            wall_ns: duration_ns(finished.wall),
            main,
        });
        if let Some(delay) = &delay {
            delay.leave_out(&mut counts);
        }
        counts
            .counters
            .extend(counts.run_queue_ns.map(|value| Counter {
                name: RUN_QUEUE.to_owned(),
                unit: Unit::Nanoseconds,
                value,
                counted: 1.0,
            }));
        let outcome = Outcome {
            exit: exit_of(reaped.status),
            ended,
            note: notes::memory_note(&counts, held_rss_bytes),
            counts,
            broken_rings: finished.broken_rings,
        };
        run.finish(outcome, &observer, sink)
    }

    /// Watches processes that run already, until they end, time is up or the stop flag is set, and
    /// sends what it sees to `sink`. They go on undisturbed.
    ///
    /// Threads that are started while it attaches are watched, too; one that is started in the very
    /// microseconds in which its maker is attached to may be watched twice.
    ///
    /// # Errors
    /// [`RecordError::NoProcess`] when one of them is not there, [`RecordError::CannotAttach`] when
    /// perf events and ptrace are refused, and as for [`Recorder::record`].
    pub fn attach(
        &mut self,
        attach: &Attach,
        sink: &mut dyn Sink,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<Recording, RecordError> {
        let cpu_before_ns = clock_ns(ClockId::ThreadCPUTime);
        let _prompt = Prompt::ask();
        let mut processes = match attach.whom {
            Whom::Descendants => find_running(&attach.pids)?,
            Whom::Thread(tid) => one_thread(&attach.pids, tid)?,
            Whom::Everything => everything(),
        };
        let before = used(&processes);
        let busy_before_ns = machine::busy_ns();
        let adopted_ns = clock_ns(ClockId::Monotonic);
        let mut attached = Attached::new(attach)?;
        let mut watch = self
            .opener
            .attach(attach, &mut processes)
            .map_err(RecordError::CannotAttach)?;
        sink.weights(&weights(&watch.plan))
            .map_err(RecordError::Sink)?;
        let host = self.host.get_or_insert_with(machine::host).clone();
        watch
            .enable()
            .map_err(system("enabling the sampling event"))?;
        if attach.whom == Whom::Everything {
            // Of what started while events were opened, no record tells.
            processes = everything();
        }
        let mut early = Early::default();
        if watch.stops.is_none() && attach.whom == Whom::Descendants {
            early.broken_rings = self
                .opener
                .attach_missed(&attach.pids, &mut watch, &mut processes, &mut early.batch)
                .map_err(system("attaching to a new thread"))?;
        }
        let counters = match (&watch.stops, attach.whom) {
            (Some(_), _) | (_, Whom::Everything) => Vec::new(),
            (None, _) => {
                let known = threads_of(&processes).map(|thread| thread.0);
                let threads = known.chain(early.batch.started());
                Counters::attach(threads)
                    .map_err(|errno| RecordError::CannotAttach(Facts::read(errno).refusal()))?
            }
        };
        attached.begin();
        let mut run = Run {
            command: match attach.whom {
                Whom::Descendants | Whom::Thread(_) => {
                    attach.pids.iter().map(|pid| format!("pid {pid}")).collect()
                }
                Whom::Everything => vec![WHOLE_SYSTEM.to_owned()],
            },
            watch,
            host,
            cpu_before_ns,
            started_unix_ns: unix_ns(),
        };
        run.begin(sink)?;
        let plan = &run.watch.plan;
        let format = plan.format();
        let mut observer = Observer::new(&mut self.knowledge, format, user_stacks(plan));
        observer.waits = waits(&run.watch);
        for process in &processes {
            observer
                .adopt(adopted_ns, process, sink)
                .map_err(RecordError::Sink)?;
        }
        let finished = run.follow(
            attached,
            &attach.stop,
            &mut Reading {
                opener: &mut self.opener,
                delay: None,
                early,
            },
            &mut observer,
            sink,
            progress,
        )?;
        let after = used(&processes);
        let used = Used {
            user_ns: after.user_ns.saturating_sub(before.user_ns),
            system_ns: after.system_ns.saturating_sub(before.system_ns),
            peak_rss_bytes: after.peak_rss_bytes.max(before.peak_rss_bytes),
        };
        let wall_ns = duration_ns(finished.wall);
        let busy_ns = machine::busy_ns()
            .zip(busy_before_ns)
            .map(|(after, before)| after.saturating_sub(before));
        let outcome = Outcome {
            exit: None,
            ended: finished.subject.ended(),
            counts: match attach.whom {
                Whom::Descendants | Whom::Thread(_) => Counters::sum(&counters, used, wall_ns),
                Whom::Everything => Counters::of_machine(busy_ns, wall_ns),
            },
            note: None,
            broken_rings: finished.broken_rings,
        };
        run.finish(outcome, &observer, sink)
    }
}

fn system(what: &'static str) -> impl Fn(std::io::Error) -> RecordError {
    move |source| RecordError::System { what, source }
}
fn user_stacks(plan: &EventPlan) -> UserStacks {
    match plan.stacks {
        StackMode::Adaptive { tail } => UserStacks::Unwound(tail),
        StackMode::Dwarf { .. } => UserStacks::Unwound(Tail::Cut),
        StackMode::FramePointer => UserStacks::FramePointers,
        StackMode::None => UserStacks::Leaf,
    }
}

/// What is to be seen of time off the CPU.
fn waits(watch: &Watch) -> Option<Waits> {
    let plan = &watch.plan;
    (plan.tells == Tells::TasksAndSwitches).then(|| {
        let events = watch.switches.iter().map(perf_event::Counter::id).collect();
        Waits::new(1_000_000_000 / plan.rate_hz.max(1), events)
    })
}
