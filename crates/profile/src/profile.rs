//! The profile itself.

use crate::foreign::Foreign;
use crate::id::{
    FrameId, FunctionId, Id, ImageId, LabelSetId, LocationId, MappingId, ProcessId, StackId,
    StringId, SymbolId, ThreadId,
};
use crate::labels::{Label, Labels};
use crate::rows::{
    Frame, Function, Image, Location, Mapping, Meta, Process, Sample, Samples, Stack, StackEnd,
    Symbol, Thread, Weight,
};
use crate::sink::{Sink, SinkError};
use crate::table::{Strings, Table};

/// A profile as a value: tables of rows that refer to each other by id.
///
/// Stacks are interned over addresses, and a location owns its inlined frames, so that naming a
/// profile fills tables and never rewrites stacks or samples.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profile {
    /// What was recorded, how, and what is missing.
    pub meta: Meta,
    /// The columns of [`Samples::weights`].
    pub weights: Vec<Weight>,
    /// All texts.
    pub strings: Strings,
    /// Exec images.
    pub processes: Table<ProcessId, Process>,
    /// Threads.
    pub threads: Table<ThreadId, Thread>,
    /// Binaries and other sources of code.
    pub images: Table<ImageId, Image>,
    /// Where images lay.
    pub mappings: Table<MappingId, Mapping>,
    /// The linker's functions.
    pub symbols: Table<SymbolId, Symbol>,
    /// Source functions.
    pub functions: Table<FunctionId, Function>,
    /// Functions at lines, in runs that belong to locations.
    pub frames: Table<FrameId, Frame>,
    /// Addresses.
    pub locations: Table<LocationId, Location>,
    /// Paths; parents come first.
    pub stacks: Table<StackId, Stack>,
    /// What else is known of samples.
    pub labels: Labels,
    /// Facts of another format, when the profile came from one that states them.
    pub foreign: Option<Foreign>,
    /// Observations.
    pub samples: Samples,
}

/// A profile refers to a row that does not exist, or breaks an order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{table} row {row} refers to {what}, which the profile does not have")]
pub struct InvalidProfile {
    /// Whose row.
    pub table: &'static str,
    /// Which row.
    pub row: usize,
    /// What it refers to.
    pub what: &'static str,
}

/// One value of each column of the samples but for the weights.
type SampleRow = (
    ThreadId,
    u64,
    Option<StackId>,
    Option<u32>,
    StackEnd,
    Option<LabelSetId>,
);

impl Profile {
    /// The locations of a stack, leaf first.
    pub fn path(&self, stack: Option<StackId>) -> impl Iterator<Item = LocationId> + '_ {
        let mut next = stack;
        std::iter::from_fn(move || {
            let row = self.stacks[next?];
            next = row.parent;
            Some(row.location)
        })
    }

    /// Gives a location its frames, innermost first.
    ///
    /// The location becomes resolved, or unknown when there are no frames.
    pub fn set_frames(&mut self, location: LocationId, frames: &[Frame]) {
        let start = self.frames.len();
        for frame in frames {
            self.frames.push(frame.clone());
        }
        // Table ids are 32 bits wide, which `push` has checked for each row.
        let range = start as u32..self.frames.len() as u32;
        let row = &mut self.locations[location];
        row.state = if frames.is_empty() {
            crate::LocationState::Unknown
        } else {
            crate::LocationState::Resolved
        };
        row.frames = range;
    }

    /// Bytes of the rows of all tables, without texts and whatever else rows point to.
    pub fn rows_bytes(&self) -> usize {
        fn table<I: Id, T>(table: &Table<I, T>) -> usize {
            table.len() * size_of::<T>()
        }
        let sample = size_of::<SampleRow>() + self.weights.len() * size_of::<i64>();
        table(&self.processes)
            + table(&self.threads)
            + table(&self.images)
            + table(&self.mappings)
            + table(&self.symbols)
            + table(&self.functions)
            + table(&self.frames)
            + table(&self.locations)
            + table(&self.stacks)
            + self.samples.len() * sample
    }

    /// Checks every reference from row to row, and that weights can be added up, for profiles that
    /// came from outside.
    ///
    /// # Errors
    /// Names the first row that refers to one that does not exist, stacks whose parent does not
    /// come before them, and the first sample whose weight makes the sum of a column overflow.
    pub fn validate(&self) -> Result<(), InvalidProfile> {
        crate::validate::validate(self)
    }
}

impl Sink for Profile {
    fn string(&mut self, text: &str) -> Result<StringId, SinkError> {
        Ok(self.strings.intern(text))
    }

    fn weights(&mut self, weights: &[Weight]) -> Result<(), SinkError> {
        self.weights = weights.to_vec();
        self.samples.weights.resize(weights.len(), Vec::new());
        Ok(())
    }

    fn process(&mut self, row: Process) -> Result<ProcessId, SinkError> {
        Ok(self.processes.push(row))
    }

    fn thread(&mut self, row: Thread) -> Result<ThreadId, SinkError> {
        Ok(self.threads.push(row))
    }

    fn image(&mut self, row: Image) -> Result<ImageId, SinkError> {
        Ok(self.images.push(row))
    }

    fn mapping(&mut self, row: Mapping) -> Result<MappingId, SinkError> {
        Ok(self.mappings.push(row))
    }

    fn location(&mut self, row: Location) -> Result<LocationId, SinkError> {
        Ok(self.locations.push(row))
    }

    fn stack(&mut self, row: Stack) -> Result<StackId, SinkError> {
        Ok(self.stacks.push(row))
    }

    fn label_set(&mut self, labels: &[Label]) -> Result<LabelSetId, SinkError> {
        Ok(self.labels.intern(labels))
    }

    fn sample(&mut self, sample: &Sample<'_>) -> Result<(), SinkError> {
        self.samples.push(sample);
        Ok(())
    }

    fn process_ended(&mut self, id: ProcessId, time_ns: u64) -> Result<(), SinkError> {
        self.processes[id].end_ns = Some(time_ns);
        Ok(())
    }

    fn thread_ended(&mut self, id: ThreadId, time_ns: u64) -> Result<(), SinkError> {
        self.threads[id].end_ns = Some(time_ns);
        Ok(())
    }

    fn thread_named(&mut self, id: ThreadId, name: StringId) -> Result<(), SinkError> {
        self.threads[id].name = name;
        Ok(())
    }

    fn meta(&mut self, meta: Meta) -> Result<(), SinkError> {
        self.meta = meta;
        Ok(())
    }
}
