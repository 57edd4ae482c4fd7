//! A profile's rows to a sink, as if they were recorded now.

use crate::id::{Id, ImageId, LabelSetId, LocationId, ProcessId, StackId, StringId, ThreadId};
use crate::labels::{Label, LabelValue};
use crate::profile::Profile;
use crate::rows::{Image, Location, Mapping, Process, Sample, Stack, Thread};
use crate::sink::{Sink, SinkError};

impl Profile {
    /// Sends what a recorder would send: processes, threads, images, mappings, locations, stacks,
    /// samples, and the facts about the whole. Names of locations are not among it, because a sink
    /// takes none; the sink may give other ids.
    ///
    /// # Errors
    /// When the sink refuses a row.
    ///
    /// # Panics
    /// Panics when the profile is not valid ([`Profile::validate`]).
    pub fn send_to(&self, sink: &mut dyn Sink) -> Result<(), SinkError> {
        sink.weights(&self.weights)?;
        sink.begun(&self.meta)?;
        let strings: Vec<StringId> = self
            .strings
            .iter()
            .map(|text| sink.string(text))
            .collect::<Result<_, _>>()?;
        let string = |id: StringId| strings[id.index()];
        let processes = self.send_processes(&string, sink)?;
        let threads = self.send_threads(&string, &processes, sink)?;
        let stacks = self.send_stacks(&string, &processes, sink)?;
        let labels = self.send_labels(&string, sink)?;
        let samples = &self.samples;
        let mut weights = Vec::new();
        for row in 0..samples.len() {
            weights.clear();
            weights.extend(samples.weights.iter().map(|column| column[row]));
            sink.sample(&Sample {
                thread: threads[samples.thread[row].index()],
                time_ns: samples.time_ns[row],
                stack: samples.stack[row].map(|id| stacks[id.index()]),
                weights: &weights,
                cpu: samples.cpu[row],
                end: samples.end[row],
                labels: samples.labels[row].map(|id| labels[id.index()]),
            })?;
        }
        for (row, &id) in self.threads.rows().iter().zip(&threads) {
            if let Some(end_ns) = row.end_ns {
                sink.thread_ended(id, end_ns)?;
            }
        }
        for (row, &id) in self.processes.rows().iter().zip(&processes) {
            if let Some(end_ns) = row.end_ns {
                sink.process_ended(id, end_ns)?;
            }
        }
        sink.meta(self.meta.clone())
    }

    fn send_processes(
        &self,
        string: &dyn Fn(StringId) -> StringId,
        sink: &mut dyn Sink,
    ) -> Result<Vec<ProcessId>, SinkError> {
        let rows = self.processes.rows().iter();
        rows.map(|row| {
            sink.process(Process {
                name: string(row.name),
                end_ns: None,
                ..row.clone()
            })
        })
        .collect()
    }

    fn send_threads(
        &self,
        string: &dyn Fn(StringId) -> StringId,
        processes: &[ProcessId],
        sink: &mut dyn Sink,
    ) -> Result<Vec<ThreadId>, SinkError> {
        let rows = self.threads.rows().iter();
        rows.map(|row| {
            sink.thread(Thread {
                process: processes[row.process.index()],
                name: string(row.name),
                end_ns: None,
                ..row.clone()
            })
        })
        .collect()
    }

    /// Stacks, and what they refer to: locations, images and where those lay.
    fn send_stacks(
        &self,
        string: &dyn Fn(StringId) -> StringId,
        processes: &[ProcessId],
        sink: &mut dyn Sink,
    ) -> Result<Vec<StackId>, SinkError> {
        let mut images: Vec<ImageId> = Vec::with_capacity(self.images.len());
        for row in self.images.rows() {
            images.push(sink.image(Image {
                path: string(row.path),
                ..row.clone()
            })?);
        }
        for row in self.mappings.rows() {
            sink.mapping(Mapping {
                process: row.process.map(|id| processes[id.index()]),
                image: images[row.image.index()],
                ..row.clone()
            })?;
        }
        let mut locations: Vec<LocationId> = Vec::with_capacity(self.locations.len());
        for row in self.locations.rows() {
            let image = row.image.map(|id| images[id.index()]);
            locations.push(sink.location(Location::unresolved(image, row.address, row.kind))?);
        }
        let mut stacks: Vec<StackId> = Vec::with_capacity(self.stacks.len());
        for row in self.stacks.rows() {
            stacks.push(sink.stack(Stack {
                parent: row.parent.map(|id| stacks[id.index()]),
                location: locations[row.location.index()],
            })?);
        }
        Ok(stacks)
    }

    fn send_labels(
        &self,
        string: &dyn Fn(StringId) -> StringId,
        sink: &mut dyn Sink,
    ) -> Result<Vec<LabelSetId>, SinkError> {
        let value = |value: LabelValue| match value {
            LabelValue::Text(text) => LabelValue::Text(string(text)),
            LabelValue::Number { value, unit } => LabelValue::Number {
                value,
                unit: unit.map(string),
            },
        };
        let sets = self.labels.iter();
        sets.map(|set| {
            let set: Vec<Label> = set
                .iter()
                .map(|label| Label {
                    key: string(label.key),
                    value: value(label.value),
                })
                .collect();
            sink.label_set(&set)
        })
        .collect()
    }
}
