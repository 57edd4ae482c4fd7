//! Events for what runs already.

use std::io;

use rustc_hash::FxHashSet;
use rustix::io::Errno;

use super::{Copies, EventOpener, plan_of, tells};
use crate::attach::{MOST_SEARCHES, Running, find_new, threads_of};
use crate::batch::Batch;
use crate::events::{EventPlan, Scope};
use crate::recording::Refusal;
use crate::refusal::{self, Facts};
use crate::request::{Attach, Sampling, Whom};
use crate::watch::{ScopeKind, Watch};

impl EventOpener {
    /// Opens the events for threads that run; those that have ended meanwhile are left out.
    pub(crate) fn attach(
        &mut self,
        attach: &Attach,
        processes: &mut Vec<Running>,
    ) -> Result<Watch, Refusal> {
        let plan = EventPlan {
            wanted: attach.event.clone(),
            fixed_period: attach.period,
            tells: tells(attach.off_cpu),
            ..plan_of(attach.rate_hz, attach.stacks)
        };
        if attach.whom == Whom::Everything {
            return self.watch_everything(attach, plan);
        }
        let mut watch = Watch::new(plan, ScopeKind::Attached);
        let refused = match attach.sampling {
            Sampling::Stops => Some(None),
            Sampling::EventsOnly => {
                self.try_attach(processes, &mut watch)?;
                None
            }
            Sampling::Events | Sampling::Off => {
                self.try_attach(processes, &mut watch).err().map(Some)
            }
        };
        if let Some(refusal) = refused {
            watch.stop_instead(attach.stops_rate_hz, refusal, |stops| {
                stops.seize_running(processes, |known| match attach.whom {
                    Whom::Descendants => find_new(&attach.pids, known),
                    Whom::Thread(_) | Whom::Everything => Vec::new(),
                })
            })?;
        }
        watch.sampled = watch.plan.sampled();
        Ok(watch)
    }

    fn watch_everything(&mut self, attach: &Attach, plan: EventPlan) -> Result<Watch, Refusal> {
        if attach.sampling == Sampling::Stops {
            return Err(refusal::of_everything(refusal::of_stops(
                &io::ErrorKind::Unsupported.into(),
                None,
            )));
        }
        let refused = |errno| refusal::of_everything(Facts::read(errno).refusal());
        let mut watch = Watch::new(plan, ScopeKind::Everything);
        self.prepare(&mut watch.plan, Copies::FixedOfEverybody)
            .map_err(refused)?;
        let events = self.open_all(&watch.plan, Scope::Everything);
        watch.events = events.map_err(refused)?;
        watch.switches = self.open_switches(&watch.plan, Scope::Everything);
        watch.sampled = watch.plan.sampled();
        Ok(watch)
    }

    fn try_attach(&mut self, processes: &[Running], watch: &mut Watch) -> Result<(), Refusal> {
        let refused = |errno| Facts::read(errno).refusal();
        self.prepare(&mut watch.plan, Copies::Fixed)
            .map_err(refused)?;
        self.open_for(processes, watch).map_err(refused)?;
        if watch.events.is_empty() {
            return Err(refused(Errno::SRCH));
        }
        Ok(())
    }

    fn open_for(&self, processes: &[Running], watch: &mut Watch) -> Result<(), Errno> {
        for (tid, _) in threads_of(processes) {
            let scope = Scope::Thread(tid.cast_signed());
            match self.open_all(&watch.plan, scope) {
                Ok(mut events) => {
                    // At once: until then forks are inherited by and not told of.
                    for event in &mut events {
                        event.enable().map_err(|_| Errno::IO)?;
                    }
                    watch.events.extend(events);
                    let switches = self.open_switches(&watch.plan, scope);
                    watch.switches.extend(switches);
                }
                Err(Errno::SRCH) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Opens events for threads that were started while events were opened for the others, and adds
    /// them to `processes`; returns how many rings were broken.
    ///
    /// A thread that is found and not known was either started by one that had its event, inherited
    /// that, and is told of by a record; or it was started before, and nobody watches it. (Started in
    /// the microseconds between opening and enabling its maker's event, it inherits that and is not
    /// told of: it is then watched twice.)
    pub(crate) fn attach_missed(
        &mut self,
        pids: &[u32],
        watch: &mut Watch,
        processes: &mut Vec<Running>,
        batch: &mut Batch,
    ) -> io::Result<u64> {
        let format = watch.plan.format();
        let mut broken = 0;
        for _ in 0..MOST_SEARCHES {
            let mut missed = find_new(pids, processes);
            // After the search: whoever was found and inherited an event is told of by now.
            broken += self.rings.read(batch, &format);
            let told: FxHashSet<u32> = batch.started().collect();
            for process in &mut missed {
                process.threads.retain(|thread| !told.contains(&thread.0));
            }
            missed.retain(|process| !process.threads.is_empty());
            if missed.is_empty() {
                break;
            }
            let switches = watch.switches.len();
            self.open_for(&missed, watch)?;
            for event in &mut watch.switches[switches..] {
                event.enable()?;
            }
            processes.append(&mut missed);
        }
        Ok(broken)
    }
}
