//! What stands behind a profile: anything that takes samples.

use std::fs::File;

use hotproof_profile::{Sink, SinkError};

use crate::error::RecordError;
use crate::recorder::Recorder;
use crate::recording::{Progress, Recording};
use crate::replay::{self, Counted, ReplayError};
use crate::request::{Attach, Request};

/// Something that takes samples: perf events and ptrace stops ([`Recorder::of_command`],
/// [`Recorder::of_running`]), a recording that is read as if it happened now ([`Replay`]), or a
/// backend of your own, such as one over eBPF.
///
/// A sampler sends rows in the order in which they come to be: the weights before the first sample,
/// rows before those that refer to them, and at the end the facts about the whole
/// ([`Sink::meta`]).
///
/// ```
/// use hotproof_profile::{
///     AddressKind, Location, Meta, Process, Profile, Sample, Sink, SinkError, Stack, StackEnd,
///     Thread, Unit, Weight,
/// };
/// use hotproof_profiler::{Progress, Sampler};
///
/// /// Sees one thread at one address.
/// struct Fixed(u64);
///
/// impl Sampler for Fixed {
///     type Outcome = u64;
///     type Error = SinkError;
///
///     fn sample(
///         &mut self,
///         sink: &mut dyn Sink,
///         _progress: &mut dyn FnMut(&Progress),
///     ) -> Result<u64, SinkError> {
///         sink.weights(&[Weight { name: "samples".into(), unit: Unit::Count }])?;
///         let name = sink.string("fixed")?;
///         let process = sink.process(Process { pid: 1, name, start_ns: 0, end_ns: None })?;
///         let thread = sink.thread(Thread { process, tid: 1, name, start_ns: 0, end_ns: None })?;
///         let location = Location::unresolved(None, self.0, AddressKind::Ip);
///         let location = sink.location(location)?;
///         let stack = sink.stack(Stack { parent: None, location })?;
///         sink.sample(&Sample {
///             thread,
///             time_ns: 0,
///             stack: Some(stack),
///             weights: &[1],
///             cpu: None,
///             end: StackEnd::Complete,
///             labels: None,
///         })?;
///         sink.meta(Meta::default())?;
///         Ok(1)
///     }
/// }
///
/// let mut profile = Profile::default();
/// let samples = Fixed(0x1000).sample(&mut profile, &mut |_| ())?;
/// assert_eq!(samples, profile.sample_count());
/// # Ok::<(), SinkError>(())
/// ```
pub trait Sampler {
    /// What there is to tell of it beside the samples.
    type Outcome;
    /// Why there may be none.
    type Error;

    /// Takes samples until there is nothing more to see, and sends them to `sink`. `progress` may
    /// be called from time to time.
    ///
    /// # Errors
    /// When samples cannot be taken, or the sink refuses a row.
    fn sample(
        &mut self,
        sink: &mut dyn Sink,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<Self::Outcome, Self::Error>;
}

/// See [`Recorder::of_command`].
pub struct OfCommand<'r> {
    recorder: &'r mut Recorder,
    request: &'r Request,
}

/// See [`Recorder::of_running`].
pub struct OfRunning<'r> {
    recorder: &'r mut Recorder,
    attach: &'r Attach,
}

impl Recorder {
    /// Samples a command, by perf events or where they are refused by ptrace, as
    /// [`Recorder::record`] does.
    pub fn of_command<'r>(&'r mut self, request: &'r Request) -> OfCommand<'r> {
        OfCommand {
            recorder: self,
            request,
        }
    }

    /// Samples what runs already, as [`Recorder::attach`] does.
    pub fn of_running<'r>(&'r mut self, attach: &'r Attach) -> OfRunning<'r> {
        OfRunning {
            recorder: self,
            attach,
        }
    }
}

impl Sampler for OfCommand<'_> {
    type Outcome = Recording;
    type Error = RecordError;

    fn sample(
        &mut self,
        sink: &mut dyn Sink,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<Recording, RecordError> {
        self.recorder.record(self.request, sink, progress)
    }
}

impl Sampler for OfRunning<'_> {
    type Outcome = Recording;
    type Error = RecordError;

    fn sample(
        &mut self,
        sink: &mut dyn Sink,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<Recording, RecordError> {
        self.recorder.attach(self.attach, sink, progress)
    }
}

/// A recording of perf, whose samples are taken again from its file.
#[derive(Debug)]
pub struct Replay {
    /// The recording.
    pub file: File,
    /// What of it is read.
    pub options: replay::Options,
}

/// Why a recording cannot be taken again.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// It cannot be read.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The sink refuses a row.
    #[error("what was replayed cannot be stored: {0}")]
    Sink(SinkError),
}

impl Sampler for Replay {
    type Outcome = Counted;
    type Error = TakeError;

    fn sample(
        &mut self,
        sink: &mut dyn Sink,
        _progress: &mut dyn FnMut(&Progress),
    ) -> Result<Counted, TakeError> {
        let imported = replay::read_file(&self.file, &self.options)?;
        imported.profile.send_to(sink).map_err(TakeError::Sink)?;
        Ok(imported.counted)
    }
}
