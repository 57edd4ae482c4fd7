//! Opens the sampling events of each run, and keeps what can be kept between runs.

use std::io;

use perf_event::Counter;
use rustix::io::Errno;

use crate::cgroup::TargetGroup;
use crate::decode::Names;
use crate::event_name::EventName;
use crate::events::{self, EventKind, EventPlan, Permitted, Role, Scope, Tells};
use crate::growth::{FAST_HZ, FIRST_LOOK, Growth, Stage, Step, stack_sizes};
use crate::launch::HeldChild;
use crate::machine;
use crate::recording::{Refusal, Rung, Sampled};
use crate::refusal::Facts;
use crate::request::{OffCpu, Request, Sampling, StackMode};
use crate::rings::Rings;
use crate::watch::{ScopeKind, Watch};

mod running;

/// Size of a sample without its stack: header, fields, a deep kernel callchain.
const SAMPLE_BYTES_WITHOUT_STACK: u64 = 300;

/// Events that are counted come as they like; rings are made for as many a second.
const BURST_HZ: u64 = 50_000;

/// Switches of threads come as they like, too; rings have room for as many more samples a second.
const SWITCHES_HZ: u64 = 5_000;

/// So many times as much room is there when everything is watched.
const EVERYBODY: u64 = 10;

/// A ring that holds fewer samples is too small to wait for a recorder that waits for a CPU.
const FEWEST_SAMPLES_IN_RING: usize = 24;
/// Copies of the stack are not made smaller for the sake of a ring.
const SMALLEST_STACK_BYTES: u32 = 8_192;

/// What is kept between runs.
#[derive(Debug, Default)]
pub(crate) struct EventOpener {
    /// The rings that events write into.
    pub(crate) rings: Rings,
    cpus: Vec<usize>,
    /// What was found out for an event, or for none in particular.
    permitted: Option<(Option<EventKind>, Permitted)>,
    group: GroupState,
    /// Whether the kernel refused to scope events to the group.
    unscoped: bool,
    /// What copies of the stack had to grow to in an earlier run.
    grown_to: u32,
}

/// Whether copies of the stack may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copies {
    Growing,
    /// Threads that run already take one event each and CPU: three would be too many.
    Fixed,
    /// As `Fixed`, of everything: reading what every process has mapped takes time, in which the
    /// rings fill.
    FixedOfEverybody,
}

/// The control group for targets.
#[derive(Debug, Default)]
enum GroupState {
    /// Nobody has tried.
    #[default]
    Untried,
    /// There is one.
    Here(TargetGroup),
    /// There cannot be one.
    Impossible,
}

impl EventOpener {
    /// The control group that the next target should be born into; `None` where no group can be
    /// made.
    pub(crate) fn group(&mut self) -> Option<&TargetGroup> {
        // What an earlier target left behind must not be taken for this one's.
        let usable = match &self.group {
            GroupState::Here(group) => group.is_empty(),
            GroupState::Untried => false,
            GroupState::Impossible => return None,
        };
        if !usable {
            self.group = match TargetGroup::create() {
                Some(group) => GroupState::Here(group),
                None => GroupState::Impossible,
            };
        }
        match &self.group {
            GroupState::Here(group) => Some(group),
            GroupState::Untried | GroupState::Impossible => None,
        }
    }

    /// CPU time that everybody in the group of this child has used so far; `None` when it is in
    /// none.
    pub(crate) fn group_cpu_ns(&self, in_cgroup: bool) -> Option<u64> {
        match &self.group {
            GroupState::Here(group) if in_cgroup => group.cpu_ns(),
            _ => None,
        }
    }

    /// Opens the events for a held child.
    pub(crate) fn open(&mut self, child: &HeldChild, request: &Request) -> Watch {
        let plan = EventPlan {
            wanted: request.event.clone(),
            fixed_period: request.period,
            tells: tells(request.off_cpu),
            ..plan_of(request.rate_hz, request.stacks)
        };
        let mut watch = Watch::new(plan, ScopeKind::Tasks);
        let by_stops = |watch: &mut Watch, refusal| {
            let pid = child.pid().as_raw_nonzero().get();
            watch.stop_instead(request.stops_rate_hz, refusal, |stops| {
                stops.seize_child(pid)
            })
        };
        let opened = match request.sampling {
            Sampling::Off => return watch,
            Sampling::EventsOnly => self.try_open(child, &mut watch),
            Sampling::Stops => by_stops(&mut watch, None),
            Sampling::Events => self
                .try_open(child, &mut watch)
                .or_else(|refusal| by_stops(&mut watch, Some(refusal))),
        };
        watch.sampled = match opened {
            Ok(()) => watch.plan.sampled(),
            Err(refusal) => Sampled::No(refusal),
        };
        watch
    }

    fn try_open(&mut self, child: &HeldChild, watch: &mut Watch) -> Result<(), Refusal> {
        let refused = |errno| Facts::read(errno).refusal();
        self.prepare(&mut watch.plan, Copies::Growing)
            .map_err(refused)?;
        if let GroupState::Here(group) = &self.group
            && child.is_in_cgroup()
            && !self.unscoped
            // A task clock runs with its task.
            && watch.plan.permitted.kind != EventKind::TaskClock
            && watch.plan.permitted.rung == Rung::KernelAndUser
        {
            let scope = Scope::Group(group.directory());
            if self.open_on(watch, scope).is_ok() {
                watch.scope = ScopeKind::Group;
                return Ok(());
            }
            // Kernels without CONFIG_CGROUP_PERF, and users without CAP_PERFMON.
            self.unscoped = true;
        }
        let scope = Scope::Tasks(child.pid().as_raw_nonzero().get());
        self.open_on(watch, scope).map_err(refused)
    }

    /// Opens the events of a watch: one for each CPU, or several where copies may grow.
    fn open_on(&self, watch: &mut Watch, scope: Scope<'_>) -> Result<(), Errno> {
        let plan = &watch.plan;
        if plan.stack_steps.is_empty() {
            watch.events = self.open_all(plan, scope)?;
            watch.switches = self.open_switches(plan, scope);
            return Ok(());
        }
        let tracking = self.open_each(plan, scope, Role::Tracking, true)?;
        let (mut steps, mut at) = (Vec::new(), 0);
        for &stack_bytes in &plan.stack_steps {
            let role = match stack_bytes == plan.stack_bytes {
                true => Role::First,
                false => Role::Later(stack_bytes),
            };
            if role == Role::First {
                at = steps.len();
            }
            // Smaller copies fit into the rings that there are.
            let writes = stack_bytes <= plan.stack_bytes;
            steps.push(Step {
                stack_bytes,
                events: self.open_each(plan, scope, role, writes)?,
            });
        }
        watch.growth = Some(Growth {
            steps,
            at,
            stage: Stage::First,
            history: vec![plan.stack_bytes],
            next_look: FIRST_LOOK,
        });
        watch.events = tracking.into_iter().map(|(_, event)| event).collect();
        Ok(())
    }

    /// Goes over to smaller copies of the stack where they are enough.
    pub(crate) fn settle(&mut self, watch: &mut Watch, samples: u64, needed_bytes: &mut u64) {
        let Some(growth) = &mut watch.growth else {
            return;
        };
        let Some(at) = growth.settles_at(samples, needed_bytes) else {
            return;
        };
        growth.stage = match growth.switch(at) {
            Ok(()) => Stage::Settled,
            Err(error) => Stage::Refused(error.to_string()),
        };
    }

    /// Goes over to larger copies of the stack, with rings of their own where there is room.
    pub(crate) fn grow(&mut self, watch: &mut Watch, after_ns: u64, cut_before: u64) {
        let Some(growth) = &mut watch.growth else {
            return;
        };
        growth.stage = match self.enlarge_copies(growth, &watch.plan) {
            Ok(()) => Stage::Grown {
                after_ns,
                cut_before,
            },
            Err(error) => Stage::Refused(error.to_string()),
        };
        self.grown_to = growth.stack_bytes();
    }

    fn enlarge_copies(&mut self, growth: &mut Growth, plan: &EventPlan) -> io::Result<()> {
        let next = &growth.steps[growth.at + 1];
        self.rings.enlarge(
            rate_of(plan),
            SAMPLE_BYTES_WITHOUT_STACK + u64::from(next.stack_bytes),
        );
        for (cpu, event) in &next.events {
            let row = self.rings.largest_of(*cpu);
            row.map_or(Err(Errno::NODEV), |row| row.attach(event))?;
        }
        growth.switch(growth.at + 1)
    }

    /// Settles what is permitted, and has rings of the size that it needs.
    fn prepare(&mut self, plan: &mut EventPlan, copies: Copies) -> Result<(), Errno> {
        let wanted = plan.wanted.as_ref().map(EventName::kind);
        // Time off the CPU is to be added to time on it, not to cycles.
        let by_default = (plan.tells == Tells::TasksAndSwitches).then_some(EventKind::CpuClock);
        plan.permitted = self.climb(wanted.or(by_default))?;
        if self.cpus.is_empty() {
            self.cpus = machine::online_cpus();
        }
        let most = plan.fixed_stack_bytes();
        let grows = matches!(plan.stacks, StackMode::Adaptive { .. })
            && copies == Copies::Growing
            // Two kinds of samples are enough.
            && plan.tells == Tells::Tasks;
        let rate_hz = match copies {
            Copies::Growing | Copies::Fixed => rate_of(plan),
            Copies::FixedOfEverybody => rate_of(plan).saturating_mul(EVERYBODY),
        };
        let (mut sizes, first) = match grows {
            true => stack_sizes(rate_hz, most),
            false => (vec![most], 0),
        };
        plan.stack_bytes = sizes[first].max(self.grown_to.min(most));
        sizes.retain(|&size| size >= self.grown_to.min(most));
        let record_bytes = SAMPLE_BYTES_WITHOUT_STACK + u64::from(plan.stack_bytes);
        // First copies are large for a moment only at high rates.
        let for_first = match sizes.first() {
            Some(&least) if rate_hz >= FAST_HZ && grows => {
                let least = SAMPLE_BYTES_WITHOUT_STACK + u64::from(least);
                least.max(record_bytes / 3)
            }
            _ => record_bytes,
        };
        self.rings.prepare(&self.cpus, rate_hz, for_first)?;
        if sizes.len() > 1 {
            let record_bytes = SAMPLE_BYTES_WITHOUT_STACK + u64::from(most);
            let ring_bytes = self.rings.enlarged_bytes(rate_hz, record_bytes);
            let fitting_now = fitting(plan.stack_bytes, self.rings.smallest_bytes());
            plan.stack_bytes = fitting_now;
            for size in &mut sizes {
                *size = fitting(*size, ring_bytes);
            }
            sizes.push(fitting_now);
            sizes.sort_unstable();
            sizes.dedup();
            plan.stack_steps = sizes;
        } else if matches!(
            plan.stacks,
            StackMode::Adaptive { .. } | StackMode::Dwarf { .. }
        ) {
            plan.stack_bytes = fitting(most, self.rings.smallest_bytes());
        }
        if plan.of_switches().is_some() {
            plan.names = Names::Event;
        }
        Ok(())
    }

    /// Opens what samples switches, where that is wanted and permitted; without it, stacks of time
    /// off the CPU are borrowed.
    fn open_switches(&self, plan: &EventPlan, scope: Scope<'_>) -> Vec<Counter> {
        let Some(plan) = plan.of_switches() else {
            return Vec::new();
        };
        match self.open_each(&plan, scope, Role::First, true) {
            Ok(events) => events.into_iter().map(|(_, event)| event).collect(),
            Err(errno) => {
                tracing::debug!("switches cannot be sampled: {errno}");
                Vec::new()
            }
        }
    }

    fn open_all(&self, plan: &EventPlan, scope: Scope<'_>) -> Result<Vec<Counter>, Errno> {
        let events = self.open_each(plan, scope, Role::Whole, true)?;
        Ok(events.into_iter().map(|(_, event)| event).collect())
    }

    /// Opens an event on each CPU, which writes into the CPU's ring at once or not.
    fn open_each(
        &self,
        plan: &EventPlan,
        scope: Scope<'_>,
        role: Role,
        writes: bool,
    ) -> Result<Vec<(usize, Counter)>, Errno> {
        let mut events = Vec::new();
        for row in self.rings.rows() {
            match plan.open(scope, row.cpu, role) {
                Ok(event) => {
                    if writes {
                        row.attach(&event)?;
                    }
                    events.push((row.cpu, event));
                }
                // The CPU went offline meanwhile.
                Err(Errno::NODEV) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(events)
    }

    fn climb(&mut self, wanted: Option<EventKind>) -> Result<Permitted, Errno> {
        let permitted = match self.permitted {
            Some((known, permitted)) if known == wanted => permitted,
            _ => events::climb(wanted)?,
        };
        self.permitted = Some((wanted, permitted));
        Ok(permitted)
    }
}

/// A plan of which it is not settled yet what is permitted.
fn plan_of(rate_hz: u64, stacks: StackMode) -> EventPlan {
    EventPlan {
        permitted: Permitted {
            kind: EventKind::CpuClock,
            rung: Rung::UserOnly,
        },
        wanted: None,
        fixed_period: None,
        rate_hz: rate_hz.max(1),
        stacks,
        stack_bytes: 0,
        stack_steps: Vec::new(),
        tells: Tells::Tasks,
        names: Names::None,
    }
}

fn tells(off_cpu: OffCpu) -> Tells {
    match off_cpu {
        OffCpu::Leave => Tells::Tasks,
        OffCpu::Record => Tells::TasksAndSwitches,
    }
}

/// How many samples a second a ring has to hold.
fn rate_of(plan: &EventPlan) -> u64 {
    let samples_hz = plan.asked_rate_hz().unwrap_or(BURST_HZ);
    match plan.tells {
        Tells::Tasks => samples_hz,
        Tells::TasksAndSwitches => samples_hz + SWITCHES_HZ,
    }
}

/// No larger copies of the stack than leave room for enough samples in a ring.
fn fitting(stack_bytes: u32, ring_bytes: usize) -> u32 {
    let most = u32::try_from(ring_bytes / FEWEST_SAMPLES_IN_RING).unwrap_or(u32::MAX);
    let fitting = stack_bytes.min(most.max(SMALLEST_STACK_BYTES));
    fitting - fitting % 8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Copies shrink with the ring, but neither below what a stack needs nor beyond what was asked.
    #[test]
    fn copies_fit_the_ring() {
        let cases = [
            (65_528, 4 << 20, 65_528),
            (65_528, 1 << 19, 21_840),
            (65_528, 1 << 16, 8_192),
            (16_384, 1 << 19, 16_384),
        ];
        for (asked, ring_bytes, expected) in cases {
            assert_eq!(fitting(asked, ring_bytes), expected);
        }
    }
}
