//! Several recordings as one, while they are made.

use rustc_hash::FxHashMap;

use super::merge::{Settings, merged_meta};
use crate::id::{
    ImageId, LabelSetId, LocationId, MappingId, ProcessId, StackId, StringId, ThreadId,
};
use crate::labels::Label;
use crate::rows::{
    AddressKind, Image, ImageKind, Location, Mapping, Meta, Process, Sample, Stack, Thread, Weight,
};
use crate::sink::{Sink, SinkError};

/// Takes recordings one after the other and sends them on as a single one, which is what
/// [`super::merge`] makes of profiles. Of what they hold it keeps code and stacks, and no samples.
///
/// After each of them, what was sent on is safe, and a recording that is not finished; it is when the
/// series ends. A recording that does not add up with the first is refused when it begins.
pub struct Series<'s> {
    into: &'s mut dyn Sink,
    weights: Vec<Weight>,
    settings: Option<Settings>,
    ended: Vec<Meta>,
    images: FxHashMap<(StringId, Vec<u8>, ImageKind), ImageId>,
    locations: FxHashMap<(Option<ImageId>, u64, AddressKind), LocationId>,
    stacks: FxHashMap<Stack, StackId>,
}

impl<'s> Series<'s> {
    /// A series of none so far.
    pub fn new(into: &'s mut dyn Sink) -> Series<'s> {
        Series {
            into,
            weights: Vec::new(),
            settings: None,
            ended: Vec::new(),
            images: FxHashMap::default(),
            locations: FxHashMap::default(),
            stacks: FxHashMap::default(),
        }
    }

    /// There are no more. A series of none tells nothing.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn end(self) -> Result<(), SinkError> {
        match self.all(None) {
            Some(meta) => self.into.meta(meta),
            None => Ok(()),
        }
    }

    /// What is known of all recordings that have ended, and of one more.
    fn all(&self, more: Option<&Meta>) -> Option<Meta> {
        let metas: Vec<&Meta> = self.ended.iter().chain(more).collect();
        match metas[..] {
            [] => None,
            [only] => Some(only.clone()),
            _ => Some(merged_meta(&metas)),
        }
    }
}

impl Sink for Series<'_> {
    fn string(&mut self, text: &str) -> Result<StringId, SinkError> {
        self.into.string(text)
    }

    fn weights(&mut self, weights: &[Weight]) -> Result<(), SinkError> {
        self.weights = weights.to_vec();
        match self.ended.is_empty() {
            true => self.into.weights(weights),
            false => Ok(()),
        }
    }

    fn process(&mut self, row: Process) -> Result<ProcessId, SinkError> {
        self.into.process(row)
    }

    fn thread(&mut self, row: Thread) -> Result<ThreadId, SinkError> {
        self.into.thread(row)
    }

    fn image(&mut self, row: Image) -> Result<ImageId, SinkError> {
        let key = (row.path, row.build_id.clone(), row.kind);
        if let Some(&id) = self.images.get(&key) {
            return Ok(id);
        }
        let id = self.into.image(row)?;
        self.images.insert(key, id);
        Ok(id)
    }

    fn mapping(&mut self, row: Mapping) -> Result<MappingId, SinkError> {
        self.into.mapping(row)
    }

    fn location(&mut self, row: Location) -> Result<LocationId, SinkError> {
        let key = (row.image, row.address, row.kind);
        if let Some(&id) = self.locations.get(&key) {
            return Ok(id);
        }
        let id = self.into.location(row)?;
        self.locations.insert(key, id);
        Ok(id)
    }

    fn stack(&mut self, row: Stack) -> Result<StackId, SinkError> {
        if let Some(&id) = self.stacks.get(&row) {
            return Ok(id);
        }
        let id = self.into.stack(row)?;
        self.stacks.insert(row, id);
        Ok(id)
    }

    fn label_set(&mut self, labels: &[Label]) -> Result<LabelSetId, SinkError> {
        self.into.label_set(labels)
    }

    fn sample(&mut self, sample: &Sample<'_>) -> Result<(), SinkError> {
        self.into.sample(sample)
    }

    fn process_ended(&mut self, id: ProcessId, time_ns: u64) -> Result<(), SinkError> {
        self.into.process_ended(id, time_ns)
    }

    fn thread_ended(&mut self, id: ThreadId, time_ns: u64) -> Result<(), SinkError> {
        self.into.thread_ended(id, time_ns)
    }

    fn thread_named(&mut self, id: ThreadId, name: StringId) -> Result<(), SinkError> {
        self.into.thread_named(id, name)
    }

    fn begun(&mut self, meta: &Meta) -> Result<(), SinkError> {
        let settings = Settings::of(meta, &self.weights);
        match &self.settings {
            Some(first) => first.check(&settings, [1, self.ended.len() + 1])?,
            None => self.settings = Some(settings),
        }
        let all = self.all(Some(meta));
        all.map_or(Ok(()), |all| self.into.begun(&all))
    }

    fn secure(&mut self) -> Result<(), SinkError> {
        self.into.secure()
    }

    fn meta(&mut self, meta: Meta) -> Result<(), SinkError> {
        self.ended.push(meta);
        let all = self.all(None);
        all.map_or(Ok(()), |all| self.into.begun(&all))?;
        self.into.secure()
    }
}
