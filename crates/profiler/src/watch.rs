//! The events of one run.

use std::io;

use perf_event::Counter;

use crate::events::{self, EventKind, EventPlan, Permitted, Tells};
use crate::growth::{Cut, Growth};
use crate::recording::{Refusal, Rung, Sampled};
use crate::refusal;
use crate::stops::Stops;

/// Whom the events of a run watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScopeKind {
    /// The target, and what it starts by inheritance; the target's exec enables them.
    Tasks,
    /// Running threads, and what they start by inheritance; enabled by [`Watch::enable`].
    Attached,
    /// Whoever is in the control group; enabled by [`Watch::enable`].
    Group,
    /// Everything that runs; enabled by [`Watch::enable`].
    Everything,
    /// Threads that are stopped again and again; there are no events.
    Stopped,
}

impl ScopeKind {
    /// In words, for the profile's meta.
    pub(crate) fn description(self) -> &'static str {
        match self {
            ScopeKind::Tasks => "inherited from task to task",
            ScopeKind::Attached => "attached to running threads, inherited from task to task",
            ScopeKind::Group => "per CPU within a control group",
            ScopeKind::Everything => "per CPU, the whole system",
            ScopeKind::Stopped => "followed from task to task",
        }
    }
}

/// The events of one run. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    /// How is sampled.
    pub(crate) plan: EventPlan,
    /// One event for each CPU; empty when nothing is sampled.
    pub(crate) events: Vec<Counter>,
    /// Beside them, one that samples where threads are switched out; empty where time off the CPU
    /// is not wanted, or stacks of it are not permitted.
    pub(crate) switches: Vec<Counter>,
    /// The events that sample, when those in `events` do not.
    pub(crate) growth: Option<Growth>,
    /// What to tell the caller.
    pub(crate) sampled: Sampled,
    /// Whom the events watch.
    pub(crate) scope: ScopeKind,
    /// What is stopped instead, where there are no events.
    pub(crate) stops: Option<Stops>,
    /// Why there are none, although they were asked for.
    pub(crate) refusal: Option<Refusal>,
    /// Whether attached processes are watched, which nobody waits for.
    pub(crate) attached: bool,
}

impl Watch {
    /// Nothing is open yet.
    pub(crate) fn new(plan: EventPlan, scope: ScopeKind) -> Watch {
        Watch {
            plan,
            events: Vec::new(),
            switches: Vec::new(),
            growth: None,
            sampled: Sampled::Off,
            attached: matches!(scope, ScopeKind::Attached | ScopeKind::Everything),
            scope,
            stops: None,
            refusal: None,
        }
    }

    /// Samples by stopping threads that `seize` begins to watch, because perf events are refused or
    /// not wanted.
    pub(crate) fn stop_instead(
        &mut self,
        rate_hz: u64,
        refusal: Option<Refusal>,
        seize: impl FnOnce(&mut Stops) -> io::Result<()>,
    ) -> Result<(), Refusal> {
        if !self.plan.is_cpu_time() {
            // Stops know of CPU time alone.
            return Err(refusal::of_event(&self.plan.name(), refusal));
        }
        if self.plan.tells == Tells::TasksAndSwitches {
            return Err(refusal::of_off_cpu(refusal));
        }
        let begin = || {
            let mut stops = Stops::new(rate_hz)?;
            seize(&mut stops)?;
            Ok(stops)
        };
        match begin() {
            Ok(stops) => {
                self.plan.permitted = Permitted {
                    kind: EventKind::CpuClock,
                    rung: Rung::Stops,
                };
                self.plan.rate_hz = rate_hz.max(1);
                self.scope = ScopeKind::Stopped;
                self.events.clear();
                self.growth = None;
                self.stops = Some(stops);
                self.refusal = refusal;
                Ok(())
            }
            Err(error) => Err(refusal::of_stops(&error, refusal)),
        }
    }

    /// How many records the kernel dropped; `None` when it does not say, or nothing is sampled.
    pub(crate) fn lost_records(&self) -> Option<u64> {
        if self.events.is_empty() {
            return None;
        }
        let growing = self.growth.iter().flat_map(Growth::events);
        let events = self.events.iter().chain(growing);
        events.map(events::lost_records).sum()
    }

    /// The period that may change within the run; `None` where one was asked for, the kernel adapts
    /// it, or tasks inherit their events.
    pub(crate) fn jittered_period(&self) -> Option<u64> {
        let of_cpus = matches!(self.scope, ScopeKind::Group | ScopeKind::Everything);
        let by_clock = self.plan.permitted.kind.is_clock() && self.plan.fixed_period.is_none();
        (of_cpus && by_clock).then(|| self.plan.period())?
    }

    /// Gives the events of one CPU another period from now on, by its place among the CPUs.
    pub(crate) fn set_period(&self, cpu: usize, period: u64) -> io::Result<()> {
        let Some(growth) = &self.growth else {
            return crate::sys::set_period(&self.events[cpu], period);
        };
        // All but one are off, and take over at this period.
        growth
            .of_cpu(cpu)
            .try_for_each(|event| crate::sys::set_period(event, period))
    }

    /// Enables events that no exec enables; called just before the target is released.
    pub(crate) fn enable(&mut self) -> io::Result<()> {
        if self.scope != ScopeKind::Tasks {
            for event in self.events.iter_mut().chain(&mut self.switches) {
                event.enable()?;
            }
            if let Some(growth) = &mut self.growth {
                growth.enable()?;
            }
        }
        Ok(())
    }

    /// Whether copies of the stack can grow.
    pub(crate) fn can_grow(&self) -> bool {
        self.growth.as_ref().is_some_and(Growth::can_go_on)
    }

    /// Whether they can, and have to.
    pub(crate) fn has_to_grow(&self, cut: Cut, samples: u64) -> bool {
        let growing = self.growth.as_ref().filter(|growth| growth.can_go_on());
        growing.is_some_and(|growth| growth.has_to_go_on(cut, samples))
    }
}
