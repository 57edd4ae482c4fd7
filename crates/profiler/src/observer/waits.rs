//! What is seen of time off the CPU.

use hotproof_profile::{Label, LabelSetId, LabelValue, Sample as Row, Sink, SinkError, ThreadId};

use super::Observer;
use crate::decode::{Sample, Switch};
use crate::off_cpu::{OffCpu, Spell, Why};
use crate::task_stat::TaskStat;
use crate::world::{Owner, Task};

/// The time off the CPU of all threads of a recording.
#[derive(Debug)]
pub(crate) struct Waits {
    off: OffCpu,
    /// The kernel's numbers of the events that sample where threads are switched out, in order;
    /// none where that is not permitted.
    events: Vec<u64>,
    /// The labels of a borrowed stack, when the sink knows them.
    borrowed: Option<LabelSetId>,
}

impl Waits {
    /// Nobody has waited yet. Waits shorter than `grain_ns` are added up.
    pub(crate) fn new(grain_ns: u64, mut events: Vec<u64>) -> Waits {
        events.sort_unstable();
        Waits {
            off: OffCpu::new(grain_ns),
            events,
            borrowed: None,
        }
    }

    /// All time off the CPU that was told so far.
    pub(crate) fn totals(&self) -> &OffCpu {
        &self.off
    }

    /// Whether stacks are taken where threads are switched out.
    pub(crate) fn have_stacks(&self) -> bool {
        !self.events.is_empty()
    }

    /// A sample was taken of a thread that runs; how many threads run, with which it shares the
    /// moment.
    pub(super) fn sampled(
        &mut self,
        thread: ThreadId,
        stack: Option<hotproof_profile::StackId>,
        end: hotproof_profile::StackEnd,
    ) -> i64 {
        self.off.sampled(thread, stack, end);
        i64::try_from(self.off.running()).unwrap_or(i64::MAX)
    }

    /// Sends a row.
    fn tell(
        borrowed: &mut Option<LabelSetId>,
        time_ns: u64,
        spell: Spell,
        sink: &mut dyn Sink,
    ) -> Result<(), SinkError> {
        let labels = match (spell.place.borrowed, *borrowed) {
            (false, _) => None,
            (true, Some(known)) => Some(known),
            (true, None) => {
                let key = sink.string("stack")?;
                let value = LabelValue::Text(sink.string("borrowed")?);
                *borrowed = Some(sink.label_set(&[Label { key, value }])?);
                *borrowed
            }
        };
        let ns = |time_ns| i64::try_from(time_ns).unwrap_or(i64::MAX);
        let (spent_ns, elapsed_ns) = (ns(spell.spent.time_ns), ns(spell.spent.elapsed_ns));
        let weights = match spell.why {
            Why::Blocked => [0, 0, spent_ns, 0, elapsed_ns],
            Why::Preempted => [0, 0, 0, spent_ns, elapsed_ns],
        };
        sink.sample(&Row {
            thread: spell.thread,
            time_ns,
            stack: spell.place.stack,
            weights: &weights,
            cpu: None,
            end: spell.place.end,
            labels,
        })
    }
}

impl Observer<'_> {
    /// Whether a sample is one of a switch.
    pub(super) fn is_of_switches(&self, sample: &Sample<'_>) -> bool {
        match (&self.waits, sample.event_id) {
            (Some(waits), Some(id)) => waits.events.binary_search(&id).is_ok(),
            _ => false,
        }
    }

    /// A thread is about to be switched out.
    pub(super) fn leaves(
        &mut self,
        sample: &Sample<'_>,
        owner: &Owner,
        sink: &mut dyn Sink,
    ) -> Result<(), SinkError> {
        let end = self.fill_chain(sample, owner);
        let stack = self.stack(owner, sink)?;
        if let Some(waits) = &mut self.waits {
            waits.off.leaves(owner.thread, stack, end);
        }
        Ok(())
    }

    /// A thread was switched in or out; those of which no record told are left alone.
    pub(super) fn switched(
        &mut self,
        time_ns: u64,
        tid: u32,
        to: Switch,
        sink: &mut dyn Sink,
    ) -> Result<(), SinkError> {
        let (Some(waits), Some(thread)) = (&mut self.waits, self.world.find_thread(tid)) else {
            return Ok(());
        };
        if is_gone(tid) {
            return Ok(());
        }
        // What was spent before is left out.
        let time_ns = time_ns.max(self.sampled_from_ns);
        let why = match to {
            Switch::In => {
                let Waits { off, borrowed, .. } = waits;
                let mut tell = |spell| Waits::tell(borrowed, time_ns, spell, sink);
                return off.switched_in(thread, time_ns, &mut tell);
            }
            Switch::Preempted => Why::Preempted,
            Switch::Blocked => Why::Blocked,
        };
        waits.off.switched_out(thread, time_ns, why);
        Ok(())
    }

    /// A thread was started: it waits for a CPU from now on.
    pub(super) fn waits_of_new(&mut self, task: Task) {
        if let (Some(waits), Some(thread)) = (&mut self.waits, self.world.find_thread(task.tid)) {
            waits
                .off
                .started(thread, task.time_ns.max(self.sampled_from_ns));
        }
    }

    /// A thread became another program: it runs.
    pub(super) fn runs(&mut self, task: Task) {
        if let (Some(waits), Some(thread)) = (&mut self.waits, self.world.find_thread(task.tid)) {
            waits.off.runs(thread);
        }
    }

    /// A thread was there before its recording began.
    pub(super) fn waits_of_found(&mut self, task: Task) {
        if let (Some(waits), Some(thread)) = (&mut self.waits, self.world.find_thread(task.tid)) {
            let why = match is_ready(task) {
                true => Why::Preempted,
                false => Why::Blocked,
            };
            waits.off.found(thread, task.time_ns, why);
        }
    }

    /// A thread ends, or becomes another program.
    pub(super) fn end_waits(&mut self, task: Task, sink: &mut dyn Sink) -> Result<(), SinkError> {
        match self.world.find_thread(task.tid) {
            Some(thread) => self.end_waits_of(thread, task.time_ns, sink),
            None => Ok(()),
        }
    }

    fn end_waits_of(
        &mut self,
        thread: ThreadId,
        time_ns: u64,
        sink: &mut dyn Sink,
    ) -> Result<(), SinkError> {
        let Some(Waits { off, borrowed, .. }) = &mut self.waits else {
            return Ok(());
        };
        let mut tell = |spell| Waits::tell(borrowed, time_ns, spell, sink);
        off.ended(thread, time_ns.max(self.sampled_from_ns), &mut tell)
    }

    /// The recording ends: threads that wait have waited until now.
    pub(crate) fn end_all_waits(
        &mut self,
        time_ns: u64,
        sink: &mut dyn Sink,
    ) -> Result<(), SinkError> {
        let mut threads: Vec<ThreadId> = self.world.live_threads().collect();
        threads.sort_unstable();
        for thread in threads {
            self.end_waits_of(thread, time_ns, sink)?;
        }
        Ok(())
    }
}

/// Whether the number is that of a thread which has none any more (`perf_event_pid_type` of the
/// kernel): it is switched out for the last time, and waits for nothing.
pub(super) fn is_gone(tid: u32) -> bool {
    tid == u32::MAX
}

/// Whether a thread could run; one that cannot be looked at is taken to wait.
fn is_ready(task: Task) -> bool {
    TaskStat::of_thread(task.pid, task.tid).is_some_and(|stat| stat.is_ready())
}
