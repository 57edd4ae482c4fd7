//! Watching a target until it has ended.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use hotproof_profile::{Exit, Host, Sink, SinkError};
use rustix::event::{PollFd, PollFlags};
use rustix::time::ClockId;

use super::delay::Delay;
use super::system;
use crate::batch::{Batch, SLACK_NS};
use crate::clock::{clock_ns, duration_ns};
use crate::error::RecordError;
use crate::jitter::Jitter;
use crate::observer::Observer;
use crate::opener::EventOpener;
use crate::pace::Pace;
use crate::recording::{Counts, Ended, Progress};
use crate::rings::Rings;
use crate::stops::{Failed, Sight, Stops};
use crate::target::Subject;
use crate::watch::Watch;

/// Progress is told, and the stop flag looked at, at least this often.
const TICK: Duration = Duration::from_millis(100);

/// Rows are made safe this often.
const SECURE: Duration = Duration::from_secs(1);

/// What is settled before the target runs.
pub(super) struct Run {
    pub(super) command: Vec<String>,
    pub(super) watch: Watch,
    pub(super) host: Host,
    pub(super) cpu_before_ns: u64,
    pub(super) started_unix_ns: Option<u64>,
}

/// What is known when there is nothing more to watch.
pub(super) struct Finished<S> {
    pub(super) wall: Duration,
    pub(super) subject: S,
    pub(super) broken_rings: u64,
}

/// How it ended and what it cost.
pub(super) struct Outcome {
    pub(super) exit: Option<Exit>,
    pub(super) ended: Ended,
    pub(super) counts: Counts,
    pub(super) note: Option<String>,
    pub(super) broken_rings: u64,
}

/// What a recording reads from, and from when on.
pub(super) struct Reading<'r, 'd> {
    pub(super) opener: &'r mut EventOpener,
    pub(super) delay: Option<&'r mut Delay<'d>>,
    pub(super) early: Early,
}

/// What was read before there was anybody to observe it.
#[derive(Default)]
pub(super) struct Early {
    pub(super) batch: Batch,
    pub(super) broken_rings: u64,
}
impl Run {
    /// Watches the subject until it has ended.
    pub(super) fn follow<S: Subject>(
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
        let Early {
            mut batch,
            mut broken_rings,
        } = std::mem::take(&mut reading.early);
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
                self.change_periods(jitter, &reading.opener.rings, observer)?;
            }
            if sampling {
                let now_ns = clock_ns(ClockId::Monotonic);
                broken_rings += reading.opener.rings.read(&mut batch, &format);
                let horizon_ns = if ended {
                    u64::MAX
                } else {
                    now_ns.saturating_sub(SLACK_NS)
                };
                batch
                    .take_before(
                        horizon_ns,
                        &reading.opener.rings.by_number(),
                        |time_ns, raw| observer.observe(time_ns, raw, sink),
                    )
                    .map_err(|error: SinkError| RecordError::Sink(error))?;
                reading.opener.rings.release(&batch);
                if !ended {
                    let needed = &mut observer.needed_bytes;
                    let opener = &mut reading.opener;
                    opener.settle(&mut self.watch, observer.samples, needed);
                }
                if self.watch.has_to_grow(observer.cut, observer.samples) && !ended {
                    let cut = observer.beyond_copy;
                    reading.opener.grow(&mut self.watch, duration_ns(wall), cut);
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
                let rows = reading.opener.rings.all();
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
