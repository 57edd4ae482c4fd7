//! Opens the sampling events of each run, and keeps what can be kept between runs.

use perf_event::Counter;
use rustix::io::Errno;

use crate::cgroup::TargetGroup;
use crate::events::{self, EventKind, EventPlan, Permitted, Scope};
use crate::launch::HeldChild;
use crate::machine;
use crate::recording::{Refusal, Rung, Sampled};
use crate::refusal::Facts;
use crate::request::{Request, Sampling};
use crate::rings::Rings;

/// Size of a sample without its stack: header, fields, a deep kernel callchain.
const SAMPLE_BYTES_WITHOUT_STACK: u64 = 300;

/// What is kept between runs.
#[derive(Debug, Default)]
pub(crate) struct Sampler {
    /// The rings that events write into.
    pub(crate) rings: Rings,
    cpus: Vec<usize>,
    permitted: Option<Permitted>,
    group: GroupState,
}

/// The control group for targets.
#[derive(Debug, Default)]
enum GroupState {
    /// Nobody has tried.
    #[default]
    Untried,
    /// There is one.
    Here(TargetGroup),
    /// There cannot be one, or events cannot be scoped to it.
    Impossible,
}

/// The events of one run. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    /// How is sampled.
    pub(crate) plan: EventPlan,
    /// One event for each CPU; empty when nothing is sampled.
    pub(crate) events: Vec<Counter>,
    /// What to tell the caller.
    pub(crate) sampled: Sampled,
    /// Whom the events watch, in words.
    pub(crate) scope: &'static str,
    /// Whether they wait for [`Watch::enable`], and not for the target's exec.
    enable_by_hand: bool,
}

impl Sampler {
    /// The control group that the next target should be born into; `None` where events of whole
    /// CPUs are not permitted, or no group can be made.
    pub(crate) fn group(&mut self, request: &Request) -> Option<&TargetGroup> {
        if request.sampling == Sampling::Off {
            return None;
        }
        let permitted = self.climb().ok()?;
        if permitted.rung != Rung::KernelAndUser {
            return None;
        }
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

    /// Opens the events for a held child.
    pub(crate) fn open(&mut self, child: &HeldChild, request: &Request) -> Watch {
        let mut watch = Watch {
            plan: EventPlan {
                permitted: Permitted {
                    kind: EventKind::CpuClock,
                    rung: Rung::UserOnly,
                },
                rate_hz: request.rate_hz.max(1),
                stacks: request.stacks,
            },
            events: Vec::new(),
            sampled: Sampled::Off,
            scope: "",
            enable_by_hand: false,
        };
        if request.sampling == Sampling::Events {
            watch.sampled = match self.try_open(child, &mut watch) {
                Ok(()) => Sampled::Yes {
                    event: watch.plan.permitted.kind.name().to_owned(),
                    rung: watch.plan.permitted.rung,
                    rate_hz: watch.plan.rate_hz,
                },
                Err(refusal) => Sampled::No(refusal),
            };
        }
        watch
    }

    fn try_open(&mut self, child: &HeldChild, watch: &mut Watch) -> Result<(), Refusal> {
        let refused = |errno| Facts::read(errno).refusal();
        watch.plan.permitted = self.climb().map_err(refused)?;
        if self.cpus.is_empty() {
            self.cpus = machine::online_cpus();
        }
        let record_bytes = SAMPLE_BYTES_WITHOUT_STACK + u64::from(watch.plan.stack_bytes());
        self.rings
            .prepare(&self.cpus, watch.plan.rate_hz, record_bytes)
            .map_err(refused)?;
        if let GroupState::Here(group) = &self.group
            && child.is_in_cgroup()
        {
            let scope = Scope::Group(group.directory());
            if let Ok(events) = self.open_all(&watch.plan, scope) {
                watch.events = events;
                watch.scope = scope.description();
                watch.enable_by_hand = true;
                return Ok(());
            }
            // Kernels without CONFIG_CGROUP_PERF, and users without CAP_PERFMON.
            self.group = GroupState::Impossible;
        }
        let scope = Scope::Tasks(child.pid().as_raw_nonzero().get());
        watch.events = self.open_all(&watch.plan, scope).map_err(refused)?;
        watch.scope = scope.description();
        Ok(())
    }

    fn open_all(&self, plan: &EventPlan, scope: Scope<'_>) -> Result<Vec<Counter>, Errno> {
        let mut events = Vec::new();
        for row in self.rings.rows() {
            match plan.open(scope, row.cpu) {
                Ok(event) => {
                    row.attach(&event)?;
                    events.push(event);
                }
                // The CPU went offline meanwhile.
                Err(Errno::NODEV) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(events)
    }

    fn climb(&mut self) -> Result<Permitted, Errno> {
        let permitted = match self.permitted {
            Some(permitted) => permitted,
            None => events::climb()?,
        };
        self.permitted = Some(permitted);
        Ok(permitted)
    }
}

impl Watch {
    /// Enables events that no exec enables; called just before the target is released.
    pub(crate) fn enable(&mut self) -> std::io::Result<()> {
        if self.enable_by_hand {
            for event in &mut self.events {
                event.enable()?;
            }
        }
        Ok(())
    }
}
