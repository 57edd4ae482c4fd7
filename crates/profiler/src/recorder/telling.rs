//! What a sink is told of the whole of a recording.

use hotproof_profile::{BLOCKED, ELAPSED, Lost, Meta, PREEMPTED, Sink, Unit, Weight};
use rustix::time::ClockId;

use super::run::{Outcome, Run};
use crate::clock::clock_ns;
use crate::counters::{Counters, Elsewhere};
use crate::error::RecordError;
use crate::events::{EventKind, EventPlan, Tells};
use crate::notes;
use crate::observer::Observer;
use crate::recording::{CpuSource, Ended, Recording, Sampled};

impl Run {
    /// Tells the sink what is known before anything has happened.
    pub(super) fn begin(&self, sink: &mut dyn Sink) -> Result<(), RecordError> {
        let counters = &mut Counters::default();
        let recording = Recording {
            exit: None,
            ended: Ended::Interrupted,
            counts: counters.read(&Elsewhere::default()),
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
    pub(super) fn finish(
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
            cpu_time_ns: Some(recording.counts.cpu_ns)
                .filter(|&ns| ns > 0 || recording.counts.cpu_source != CpuSource::Machine),
            counters: recording.counts.counters.clone(),
            recorder_cpu_ns: Some(recording.recorder_cpu_ns),
            exit: recording.exit,
            lost: recording.lost,
            host: self.host.clone(),
            notes: recording.notes.clone(),
        }
    }
}

pub(super) fn weights(plan: &EventPlan) -> Vec<Weight> {
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
        weights.push(weight(ELAPSED, Unit::Nanoseconds));
    }
    weights
}
