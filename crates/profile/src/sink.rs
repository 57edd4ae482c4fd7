//! Where a recorder sends what it sees, as it sees it.

use crate::id::{
    ImageId, LabelSetId, LocationId, MappingId, ProcessId, StackId, StringId, ThreadId,
};
use crate::labels::Label;
use crate::rows::{Image, Location, Mapping, Meta, Process, Sample, Stack, Thread, Weight};

/// Why a sink could not take a row: the error of whatever it writes to.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// Takes the rows of a recording in the order in which they come to be.
///
/// Ids count up from zero in each table, so that a sink that writes to a file and one that keeps
/// everything in memory ([`crate::Profile`]) hand out the same ids. Rows are referred to only
/// after they were added.
pub trait Sink {
    /// Interns a text: equal texts get equal ids.
    fn string(&mut self, text: &str) -> Result<StringId, SinkError>;
    /// Declares the weight columns; called once, before the first sample.
    fn weights(&mut self, weights: &[Weight]) -> Result<(), SinkError>;
    /// Adds an exec image.
    fn process(&mut self, row: Process) -> Result<ProcessId, SinkError>;
    /// Adds a thread.
    fn thread(&mut self, row: Thread) -> Result<ThreadId, SinkError>;
    /// Adds an image.
    fn image(&mut self, row: Image) -> Result<ImageId, SinkError>;
    /// Adds a mapping.
    fn mapping(&mut self, row: Mapping) -> Result<MappingId, SinkError>;
    /// Adds a location, unresolved.
    fn location(&mut self, row: Location) -> Result<LocationId, SinkError>;
    /// Adds a stack; its parent was added before.
    fn stack(&mut self, row: Stack) -> Result<StackId, SinkError>;
    /// Interns a set of labels: equal sets get equal ids.
    ///
    /// # Errors
    /// A sink that keeps no labels says so, unless it overrides this.
    fn label_set(&mut self, labels: &[Label]) -> Result<LabelSetId, SinkError> {
        let count = labels.len();
        Err(format!("this sink takes no labels, and was given {count}").into())
    }
    /// Adds a sample.
    fn sample(&mut self, sample: &Sample<'_>) -> Result<(), SinkError>;
    /// An exec image ended.
    fn process_ended(&mut self, id: ProcessId, time_ns: u64) -> Result<(), SinkError>;
    /// A thread ended.
    fn thread_ended(&mut self, id: ThreadId, time_ns: u64) -> Result<(), SinkError>;
    /// A thread took a new name.
    fn thread_named(&mut self, id: ThreadId, name: StringId) -> Result<(), SinkError>;
    /// States what is known of the recording when it begins: no times, counts or losses yet. A sink
    /// that stores rows stores this, for the case that the end is never reached; others need not
    /// care.
    fn begun(&mut self, meta: &Meta) -> Result<(), SinkError> {
        let _ = meta;
        Ok(())
    }
    /// About a second has passed: a sink that stores rows makes those that came so far safe. It does
    /// nothing unless a sink overrides it.
    fn secure(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
    /// States the facts about the whole recording; called at its end.
    fn meta(&mut self, meta: Meta) -> Result<(), SinkError>;
}
