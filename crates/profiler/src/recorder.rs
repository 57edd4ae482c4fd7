//! One recording from start to end.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hotproof_image::HeldFiles;
use hotproof_profile::{
    BLOCKED, Counter, Exit, Host, Lost, Meta, PREEMPTED, RUN_QUEUE, Sink, SinkError, Unit, Weight,
};
use rustix::event::{PollFd, PollFlags};
use rustix::time::{ClockId, clock_gettime};

use crate::attach::{Attached, Used, everything, find_running, one_thread, used};
use crate::batch::{Batch, SLACK_NS};
use crate::counters::{Counters, Elsewhere};
use crate::error::RecordError;
use crate::events::{EventKind, EventPlan, Tells};
use crate::jitter::Jitter;
use crate::launch::HeldChild;
use crate::machine;
use crate::notes;
use crate::observer::{Knowledge, Observer, UserStacks, Waits};
use crate::pace::Pace;
use crate::recording::{Counts, Ended, Progress, Recording, Sampled};
use crate::refusal::Facts;
use crate::request::{Attach, Request, StackMode, Tail, Unsampled, Whom};
use crate::rings::Rings;
use crate::sampler::{Sampler, Watch, threads_of};
use crate::stops::{Failed, Sight, Stops};
use crate::sys::Usage;
use crate::target::{Subject, Target, exit_of};

/// Progress is told, and the stop flag looked at, at least this often.
const TICK: Duration = Duration::from_millis(100);

/// Rows are made safe this often.
const SECURE: Duration = Duration::from_secs(1);

/// Runs commands and records them.
///
/// It keeps rings, opened binaries and unwind rules from run to run, so that a series of short runs
/// pays for them once. Use it from one thread at a time.
#[derive(Default)]
pub struct Recorder {
    knowledge: Knowledge,
    sampler: Sampler,
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
        let child = HeldChild::fork(request, self.sampler.group())?;
        let counters = Counters::open(child.pid().as_raw_nonzero().get(), request.counters);
        let mut watch = self.sampler.open(&child, request);
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
        let group_before_ns = self.sampler.group_cpu_ns(in_cgroup);
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
                sampler: &mut self.sampler,
                delay: delay.as_mut(),
            },
            &mut observer,
            sink,
            progress,
        )?;
        let group_after_ns = self.sampler.group_cpu_ns(in_cgroup);
        let target = finished.subject;
        let ended = target.ended();
        let run_queue_ns = machine::run_queue_ns(target.pid());
        let reaped = target.reap().map_err(system("wait4"))?;
        let mut counts = counters.read(&Elsewhere {
            usage: reaped.usage,
            group_cpu_ns: group_after_ns
                .zip(group_before_ns)
                .and_then(|(after, before)| after.checked_sub(before)),
            wall_ns: duration_ns(finished.wall),
            run_queue_ns,
        });
        if let Some(delay) = &delay {
            delay.leave_out(&mut counts);
        }
        counts.counters.extend(run_queue_ns.map(|value| Counter {
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
    /// Threads that are started while it attaches, within some milliseconds, may be missed.
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
        let processes = match attach.whom {
            Whom::Descendants => find_running(&attach.pids)?,
            Whom::Thread(tid) => one_thread(&attach.pids, tid)?,
            Whom::Everything => everything(),
        };
        let mut attached = Attached::new(attach)?;
        let mut watch = self
            .sampler
            .attach(attach, &processes)
            .map_err(RecordError::CannotAttach)?;
        let counters = match (&watch.stops, attach.whom) {
            (Some(_), _) | (_, Whom::Everything) => Vec::new(),
            (None, _) => Counters::attach(&threads_of(&processes))
                .map_err(|errno| RecordError::CannotAttach(Facts::read(errno).refusal()))?,
        };
        sink.weights(&weights(&watch.plan))
            .map_err(RecordError::Sink)?;
        let host = self.host.get_or_insert_with(machine::host).clone();
        let before = used(&processes);
        let busy_before_ns = machine::busy_ns();
        let adopted_ns = clock_ns(ClockId::Monotonic);
        watch
            .enable()
            .map_err(system("enabling the sampling event"))?;
        attached.begin();
        let mut run = Run {
            command: match attach.whom {
                Whom::Descendants | Whom::Thread(_) => {
                    attach.pids.iter().map(|pid| format!("pid {pid}")).collect()
                }
                Whom::Everything => vec!["whole system".to_owned()],
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
        // Mappings are read after the events have begun to tell of new ones, so that none is missed.
        for process in &processes {
            observer
                .adopt(adopted_ns, process, sink)
                .map_err(RecordError::Sink)?;
        }
        let finished = run.follow(
            attached,
            &attach.stop,
            &mut Reading {
                sampler: &mut self.sampler,
                delay: None,
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
                Whom::Everything => Counters::of_machine(busy_ns.unwrap_or(0), wall_ns),
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

/// What is settled before the target runs.
struct Run {
    command: Vec<String>,
    watch: Watch,
    host: Host,
    cpu_before_ns: u64,
    started_unix_ns: Option<u64>,
}

/// What is known when there is nothing more to watch.
struct Finished<S> {
    wall: Duration,
    subject: S,
    broken_rings: u64,
}

/// How it ended and what it cost.
struct Outcome {
    exit: Option<Exit>,
    ended: Ended,
    counts: Counts,
    note: Option<String>,
    broken_rings: u64,
}

/// What a recording reads from, and from when on.
struct Reading<'r, 'd> {
    sampler: &'r mut Sampler,
    delay: Option<&'r mut Delay<'d>>,
}

/// The time before sampling begins.
struct Delay<'c> {
    at: Duration,
    counters: &'c Counters,
    /// What was used before, when that time is over.
    before: Option<(Duration, Option<u64>)>,
}

impl Delay<'_> {
    fn new(at: Duration, counters: &Counters) -> Delay<'_> {
        Delay {
            at,
            counters,
            before: None,
        }
    }

    /// Reads what was used when the time has come.
    fn look(&mut self, wall: Duration) {
        if self.before.is_none() && wall >= self.at {
            self.before = Some((wall, self.counters.cpu_ns()));
        }
    }

    /// How long it still takes; `None` when it is over.
    fn rest(&self, wall: Duration) -> Option<Duration> {
        (self.before.is_none()).then(|| self.at.saturating_sub(wall))
    }

    /// Takes what was used before out of the counts; all of it when the target ended before.
    fn leave_out(&self, counts: &mut Counts) {
        let (wall, cpu_ns) = match self.before {
            Some((wall, cpu_ns)) => (duration_ns(wall), cpu_ns.unwrap_or(0)),
            None => (counts.wall_ns, counts.cpu_ns),
        };
        counts.wall_ns = counts.wall_ns.saturating_sub(wall);
        counts.cpu_ns = counts.cpu_ns.saturating_sub(cpu_ns);
    }
}

impl Run {
    /// Watches the subject until it has ended.
    fn follow<S: Subject>(
        &mut self,
        mut target: S,
        stop: &AtomicBool,
        reading: &mut Reading<'_, '_>,
        observer: &mut Observer<'_>,
        sink: &mut dyn Sink,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<Finished<S>, RecordError> {
        let Some(stops) = &mut self.watch.stops else {
            return self.drain(target, stop, reading, observer, sink, progress);
        };
        let mut sight = Sight {
            observer,
            sink,
            now_ns: || clock_ns(ClockId::Monotonic),
        };
        let delay = &mut reading.delay;
        let watched = follow_stops(stops, &mut target, stop, delay, &mut sight, progress);
        // Before the target is reaped or killed: a thread that is watched has to be reaped first.
        stops.let_go();
        Ok(Finished {
            wall: watched?,
            subject: target,
            broken_rings: 0,
        })
    }

    /// Drains the rings until the subject has ended.
    fn drain<S: Subject>(
        &mut self,
        mut target: S,
        stop: &AtomicBool,
        reading: &mut Reading<'_, '_>,
        observer: &mut Observer<'_>,
        sink: &mut dyn Sink,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<Finished<S>, RecordError> {
        let format = self.watch.plan.format();
        let sampling = !self.watch.events.is_empty();
        let mut batch = Batch::default();
        let mut broken_rings = 0;
        let mut next_tick = Duration::ZERO;
        let mut next_secure = SECURE;
        let seed = clock_ns(ClockId::Monotonic) ^ u64::from(std::process::id()) << 32;
        let mut jitter = self.watch.jittered_period().map(|nominal| {
            let events = self.watch.events.len();
            Jitter::new(nominal, self.watch.plan.rate_hz, events, seed)
        });
        let mut pace = Pace::new(observer);
        loop {
            // Asked before the rings are read, so that the last reading finds everything.
            let ended = target.has_ended().map_err(system("waitid"))?;
            let wall = target.elapsed();
            if let Some(delay) = &mut reading.delay {
                delay.look(wall);
            }
            if let Some(jitter) = &mut jitter {
                self.change_periods(jitter, &reading.sampler.rings, observer)?;
            }
            if sampling {
                let now_ns = clock_ns(ClockId::Monotonic);
                broken_rings += reading.sampler.rings.read(&mut batch, &format);
                let horizon_ns = if ended {
                    u64::MAX
                } else {
                    now_ns.saturating_sub(SLACK_NS)
                };
                batch
                    .take_before(
                        horizon_ns,
                        &reading.sampler.rings.by_number(),
                        |time_ns, raw| observer.observe(time_ns, raw, sink),
                    )
                    .map_err(|error: SinkError| RecordError::Sink(error))?;
                reading.sampler.rings.release(&batch);
                if observer.beyond_copy > 0 && self.watch.can_grow() && !ended {
                    let cut = observer.beyond_copy;
                    reading
                        .sampler
                        .grow(&mut self.watch, duration_ns(wall), cut);
                }
            }
            if ended {
                observer
                    .end_all_waits(clock_ns(ClockId::Monotonic), sink)
                    .map_err(RecordError::Sink)?;
                return Ok(Finished {
                    wall,
                    subject: target,
                    broken_rings,
                });
            }
            if wall >= next_tick {
                progress(&observer_progress(wall, observer));
                next_tick = wall + TICK;
            }
            if wall >= next_secure {
                sink.secure().map_err(RecordError::Sink)?;
                next_secure = wall + SECURE;
            }
            target.press(stop);
            let mut readable = Vec::new();
            if sampling {
                let rows = reading.sampler.rings.all();
                readable.extend(
                    rows.map(|row| PollFd::from_borrowed_fd(row.descriptor(), PollFlags::IN)),
                );
            }
            let mut timeout = next_tick
                .saturating_sub(wall)
                .min(pace.next(observer, &self.watch));
            if let Some(delay) = &reading.delay {
                timeout = timeout.min(delay.rest(wall).unwrap_or(timeout));
            }
            target.wait(readable, timeout).map_err(system("poll"))?;
        }
    }
}

impl Run {
    /// Gives events another period whose time for that has come.
    fn change_periods(
        &self,
        jitter: &mut Jitter,
        rings: &Rings,
        observer: &mut Observer<'_>,
    ) -> Result<(), RecordError> {
        let cpus = rings.rows().iter().map(|row| row.cpu);
        if self.watch.events.len() != cpus.len() {
            // A CPU has no event, so that it is not known which one has which.
            return Ok(());
        }
        for (event, cpu) in cpus.enumerate() {
            let Ok(cpu) = u32::try_from(cpu) else {
                continue;
            };
            let periods = observer.periods.entry(cpu).or_default();
            let Some(period) = jitter.change(event, periods.samples) else {
                continue;
            };
            let now_ns = clock_ns(ClockId::Monotonic);
            self.watch
                .set_period(event, period)
                .map_err(system("changing the sampling period"))?;
            periods.changed(now_ns, period);
        }
        Ok(())
    }
}

/// Stops threads until the subject has ended; returns how long that took.
fn follow_stops(
    stops: &mut Stops,
    target: &mut impl Subject,
    stop: &AtomicBool,
    delay: &mut Option<&mut Delay<'_>>,
    sight: &mut Sight<'_, '_>,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Duration, RecordError> {
    let mut next_tick = TICK;
    let mut next_secure = SECURE;
    loop {
        let ended = target.has_ended().map_err(system("waitid"))?;
        let wall = target.elapsed();
        if let Some(delay) = delay {
            delay.look(wall);
        }
        if ended {
            return Ok(wall);
        }
        if wall >= next_tick {
            progress(&observer_progress(wall, sight.observer));
            next_tick = wall + TICK;
        }
        if wall >= next_secure {
            sight.sink.secure().map_err(RecordError::Sink)?;
            next_secure = wall + SECURE;
        }
        target.press(stop);
        let until = Instant::now() + next_tick.saturating_sub(wall);
        stops.step(until, sight).map_err(|failed| match failed {
            Failed::System(source) => RecordError::System {
                what: "watching by ptrace",
                source,
            },
            Failed::Sink(error) => RecordError::Sink(error),
        })?;
    }
}

fn observer_progress(elapsed: Duration, observer: &Observer<'_>) -> Progress {
    Progress {
        elapsed,
        samples: observer.samples,
        lost: observer.lost.samples,
        threads: observer.threads(),
        processes: u32::try_from(observer.live_processes().count()).unwrap_or(u32::MAX),
    }
}

impl Run {
    /// Tells the sink what is known before anything has happened.
    fn begin(&self, sink: &mut dyn Sink) -> Result<(), RecordError> {
        let counters = &mut Counters::default();
        let nothing = Elsewhere {
            usage: Usage::default(),
            group_cpu_ns: None,
            wall_ns: 0,
            run_queue_ns: None,
        };
        let recording = Recording {
            exit: None,
            ended: Ended::Interrupted,
            counts: counters.read(&nothing),
            sampled: self.watch.sampled.clone(),
            fallback: self.watch.refusal.clone(),
            samples: 0,
            lost: Lost::default(),
            complete_samples: 0,
            recorder_cpu_ns: 0,
            notes: notes::circumstances(&self.watch),
        };
        let meta = Meta {
            cpu_time_ns: None,
            recorder_cpu_ns: None,
            ..self.meta(&recording)
        };
        sink.begun(&meta).map_err(RecordError::Sink)
    }

    /// Tells the sink the facts about the whole.
    fn finish(
        self,
        outcome: Outcome,
        observer: &Observer<'_>,
        sink: &mut dyn Sink,
    ) -> Result<Recording, RecordError> {
        let lost = Lost {
            samples: self.watch.lost_records().unwrap_or(observer.lost.samples),
            records: observer.lost.records + outcome.broken_rings,
            ..observer.lost
        };
        let mut recording = Recording {
            exit: outcome.exit,
            ended: outcome.ended,
            counts: outcome.counts,
            sampled: self.watch.sampled.clone(),
            fallback: self.watch.refusal.clone(),
            samples: observer.samples,
            lost,
            complete_samples: observer.complete_samples,
            recorder_cpu_ns: 0,
            notes: Vec::new(),
        };
        recording.notes = notes::notes(&recording, &self.watch, observer);
        recording.notes.extend(outcome.note);
        recording.recorder_cpu_ns =
            clock_ns(ClockId::ThreadCPUTime).saturating_sub(self.cpu_before_ns);
        sink.meta(self.meta(&recording))
            .map_err(RecordError::Sink)?;
        Ok(recording)
    }

    fn meta(&self, recording: &Recording) -> Meta {
        let (event, rung, unwinder) = match &recording.sampled {
            Sampled::Yes { event, rung, .. } => (
                event.clone(),
                format!("{}, {}", rung.description(), self.watch.scope.description()),
                notes::unwinder(&self.watch),
            ),
            Sampled::Off => ("none".to_owned(), "not sampled".to_owned(), String::new()),
            Sampled::No(refusal) => ("none".to_owned(), refusal.to_string(), String::new()),
        };
        let sampled = matches!(recording.sampled, Sampled::Yes { .. });
        let plan = sampled.then_some(&self.watch.plan);
        Meta {
            command: self.command.clone(),
            started_unix_ns: self.started_unix_ns,
            duration_ns: recording.counts.wall_ns,
            clock: "monotonic".to_owned(),
            event,
            period: plan.and_then(EventPlan::period),
            rate_hz: plan.and_then(EventPlan::asked_rate_hz),
            rung,
            unwinder,
            cpu_time_ns: Some(recording.counts.cpu_ns),
            counters: recording.counts.counters.clone(),
            recorder_cpu_ns: Some(recording.recorder_cpu_ns),
            exit: recording.exit,
            lost: recording.lost,
            host: self.host.clone(),
            notes: recording.notes.clone(),
        }
    }
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

fn weights(plan: &EventPlan) -> Vec<Weight> {
    let named = plan.name();
    let (name, unit) = match plan.permitted.kind {
        kind if kind.is_clock() => ("cpu", Unit::Nanoseconds),
        EventKind::Cycles => ("cycles", Unit::Cycles),
        EventKind::Instructions => ("instructions", Unit::Instructions),
        _ => (named.as_str(), Unit::Count),
    };
    let weight = |name: &str, unit| Weight {
        name: name.to_owned(),
        unit,
    };
    let mut weights = vec![weight("samples", Unit::Count), weight(name, unit)];
    if plan.tells == Tells::TasksAndSwitches {
        weights.push(weight(BLOCKED, Unit::Nanoseconds));
        weights.push(weight(PREEMPTED, Unit::Nanoseconds));
    }
    weights
}

fn clock_ns(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_nsec).unwrap_or(0)
}

fn unix_ns() -> Option<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}

fn duration_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
