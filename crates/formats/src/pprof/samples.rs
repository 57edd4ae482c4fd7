//! Samples of a message to samples of a profile.

use hotproof_profile::{
    Label, LabelSetId, LabelValue, LocationId, Sample, StackEnd, StackId, StringId, ThreadId,
};
use rustc_hash::FxHashMap;

use super::labels::{self, end_of, usual_end};
use super::read::{Outline, damaged, decode};
use super::schema;
use super::units::meaning;
use crate::import::{Builder, Dropped, ImportError};

/// What is needed to read samples.
pub(super) struct Samples<'a> {
    message: &'a Outline<'a>,
    locations: &'a FxHashMap<u64, LocationId>,
    /// How many of our units each value counts.
    scales: Vec<i64>,
    weights: Vec<i64>,
    /// Whether our writer wrote the file.
    ours: bool,
}

/// Whose a sample is, and how its stack ends.
struct Owner {
    thread: ThreadId,
    end: StackEnd,
}

impl<'a> Samples<'a> {
    pub(super) fn new(
        message: &'a Outline<'a>,
        locations: &'a FxHashMap<u64, LocationId>,
        ours: bool,
    ) -> Result<Self, ImportError> {
        let types = message.types()?;
        Ok(Samples {
            message,
            locations,
            scales: types.iter().map(|(_, unit)| meaning(unit).1).collect(),
            weights: Vec::new(),
            ours,
        })
    }

    pub(super) fn read(
        &mut self,
        builder: &mut Builder,
        at: u64,
        bytes: &[u8],
        dropped: &mut Dropped,
    ) -> Result<(), ImportError> {
        // A label takes two bytes in the file at least.
        let peak = bytes.len() / 2 * size_of::<schema::Label>();
        builder.budget.check(peak)?;
        let sample: schema::Sample = decode(at, bytes)?;
        self.read_weights(at, &sample.value)?;
        let stack = self.stack(builder, at, &sample.location_id)?;
        let (owner, labels) = self.labels(builder, at, sample.label, dropped)?;
        builder.sample(&Sample {
            thread: owner.thread,
            time_ns: 0,
            stack,
            weights: &self.weights,
            cpu: None,
            end: owner.end,
            labels,
        })
    }

    fn read_weights(&mut self, at: u64, values: &[i64]) -> Result<(), ImportError> {
        if values.len() != self.scales.len() {
            let (found, expected) = (values.len(), self.scales.len());
            let what = format!("the sample has {found} values, expected {expected}");
            return Err(damaged(at, what));
        }
        self.weights.clear();
        for (&value, &scale) in values.iter().zip(&self.scales) {
            let weight = value.checked_mul(scale);
            let too_large = || damaged(at, format!("the value {value} does not fit in our unit"));
            self.weights.push(weight.ok_or_else(too_large)?);
        }
        Ok(())
    }

    /// Leaf first becomes root first.
    fn stack(
        &self,
        builder: &mut Builder,
        at: u64,
        ids: &[u64],
    ) -> Result<Option<StackId>, ImportError> {
        let mut stack = None;
        for id in ids.iter().rev() {
            let location = self.locations.get(id);
            let missing = || {
                damaged(
                    at,
                    format!("the sample has location {id}, which is missing"),
                )
            };
            stack = Some(builder.stack(stack, *location.ok_or_else(missing)?)?);
        }
        Ok(stack)
    }

    /// Parts our own labels from the others.
    fn labels(
        &self,
        builder: &mut Builder,
        at: u64,
        mut labels: Vec<schema::Label>,
        dropped: &mut Dropped,
    ) -> Result<(Owner, Option<LabelSetId>), ImportError> {
        let thread = self.take_thread(builder, at, &mut labels)?;
        let usual = usual_end(thread.is_none());
        let mut end = None;
        if thread.is_some() || self.ours {
            end = self.take_end(at, &mut labels)?;
        }
        let thread = match thread {
            Some(thread) => thread,
            None => builder.nameless_thread()?,
        };
        let owner = Owner {
            thread,
            end: end.unwrap_or(usual),
        };
        let mut set = Vec::with_capacity(labels.len());
        for label in labels {
            set.push(self.label(builder, at, label, dropped)?);
        }
        let id = (!set.is_empty())
            .then(|| builder.labels(&set))
            .transpose()?;
        Ok((owner, id))
    }

    fn label(
        &self,
        builder: &mut Builder,
        at: u64,
        label: schema::Label,
        dropped: &mut Dropped,
    ) -> Result<Label, ImportError> {
        let mut text = |number| -> Result<StringId, ImportError> {
            builder.text(self.message.text(at, number)?)
        };
        let key = text(label.key)?;
        if label.str != 0 && (label.num != 0 || label.num_unit != 0) {
            dropped.note("the number of a label that is a text too was left out");
        }
        let value = if label.str != 0 || (label.num == 0 && label.num_unit == 0) {
            LabelValue::Text(text(label.str)?)
        } else {
            let unit = (label.num_unit != 0)
                .then(|| text(label.num_unit))
                .transpose()?;
            let value = label.num;
            LabelValue::Number { value, unit }
        };
        Ok(Label { key, value })
    }

    /// Takes out the four labels that name a process and a thread: the first of each key; only
    /// all of them together, and of their types, name one.
    fn take_thread(
        &self,
        builder: &mut Builder,
        at: u64,
        labels: &mut Vec<schema::Label>,
    ) -> Result<Option<ThreadId>, ImportError> {
        let keys = [labels::PROCESS, labels::PID, labels::THREAD, labels::TID];
        let mut found = [None; 4];
        for (index, label) in labels.iter().enumerate() {
            let key = self.message.text(at, label.key)?;
            if let Some(place) = keys.iter().position(|&other| other == key) {
                found[place].get_or_insert((index, *label));
            }
        }
        let [Some(process), Some(pid), Some(thread), Some(tid)] = found else {
            return Ok(None);
        };
        let is_text = |label: schema::Label| label.num == 0 && label.num_unit == 0;
        let number = |(_, label): (usize, schema::Label)| {
            let plain = label.str == 0 && label.num_unit == 0;
            u32::try_from(label.num).ok().filter(|_| plain)
        };
        let (Some(pid_number), Some(tid_number)) = (number(pid), number(tid)) else {
            return Ok(None);
        };
        if !is_text(process.1) || !is_text(thread.1) {
            return Ok(None);
        }
        let mut taken = [process.0, pid.0, thread.0, tid.0];
        taken.sort_unstable();
        for index in taken.into_iter().rev() {
            labels.remove(index);
        }
        let process = builder.process(pid_number, self.message.text(at, process.1.str)?)?;
        let thread = builder.thread(process, tid_number, self.message.text(at, thread.1.str)?)?;
        Ok(Some(thread))
    }

    fn take_end(
        &self,
        at: u64,
        labels: &mut Vec<schema::Label>,
    ) -> Result<Option<StackEnd>, ImportError> {
        for (index, label) in labels.iter().enumerate() {
            if self.message.text(at, label.key)? != labels::STACK_END {
                continue;
            }
            let end = end_of(self.message.text(at, label.str)?);
            if end.is_some() {
                labels.remove(index);
            }
            return Ok(end);
        }
        Ok(None)
    }
}
