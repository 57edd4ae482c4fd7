//! Profile to bytes.

use std::io::Write;

use hotproof_profile::{
    Foreign, Id, Image, ImageId, Label, LabelSetId, Labels, Location, LocationId, Mapping,
    MappingId, Meta, Process, ProcessId, Profile, Sample, Sink, SinkError, Stack, StackId,
    StringId, Strings, Thread, ThreadId, Weight,
};

use super::batch::Batch;
use super::chunk::{ChunkKind, ChunkWriter};
use super::schema;
use super::summed::sample_at;
use crate::WriteError;

/// The last note of a recording whose end was not written.
pub const UNFINISHED: &str = "The recording was not finished: its recorder was killed, or its disk \
                              was full; what came until then is here.";
/// How many bytes of rows, as they lie in memory, make a chunk.
const BATCH_BYTES: usize = 1 << 20;
/// A text has to fit into a chunk of [`super::Limits::default`] with room to spare.
const TEXT_LIMIT: usize = 8 << 20;

/// Writes a whole profile.
///
/// Equal profiles give equal bytes. Tables come in the order in which they refer to each other,
/// so that each prefix of chunks is a valid profile too.
///
/// # Errors
/// [`WriteError::Invalid`] before anything is written, when rows refer to rows that do not exist.
pub fn write(profile: &Profile, out: impl Write) -> Result<(), WriteError> {
    profile.validate()?;
    let mut rows = RowWriter::new(out)?;
    rows.tables(profile)?;
    let mut weights = Vec::new();
    for row in 0..profile.samples.len() {
        rows.sample(&sample_at(&profile.samples, row, &mut weights))?;
    }
    rows.finish()?;
    Ok(())
}

/// Writes a profile while it is being recorded.
///
/// Rows go out in chunks of about a megabyte; what was written before a crash can be read back
/// with [`super::read_recovering`]. [`Writer::finish`] makes the file whole. Should it never come to
/// that, a file that was told of its beginning ([`Sink::begun`]) is [`super::Recovered::unfinished`],
/// and not a whole one of which a part was lost.
///
/// ```
/// use hotproof_formats::native;
/// use hotproof_profile::{Process, Sink};
///
/// let mut writer = native::Writer::new(Vec::new())?;
/// let name = writer.string("work")?;
/// writer.process(Process { pid: 1, name, start_ns: 0, end_ns: None })?;
/// let bytes = writer.finish()?;
/// assert_eq!(native::read(&bytes[..])?.processes.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Debug)]
pub struct Writer<W: Write> {
    rows: RowWriter<W>,
    strings: Strings,
    labels: Labels,
    counts: Counts,
}

/// How many rows of each table a [`Writer`] has handed out ids for.
#[derive(Debug, Default)]
struct Counts {
    processes: usize,
    threads: usize,
    images: usize,
    mappings: usize,
    locations: usize,
    stacks: usize,
}

impl<W: Write> Writer<W> {
    /// Starts a file: writes its header.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(out: W) -> Result<Self, WriteError> {
        Ok(Writer {
            rows: RowWriter::new(out)?,
            strings: Strings::default(),
            labels: Labels::default(),
            counts: Counts::default(),
        })
    }

    /// Writes what is still in memory, without ending the file, and flushes the output.
    ///
    /// # Errors
    /// Those of the output.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.rows.flush()?;
        Ok(self.rows.chunks.flush()?)
    }

    /// Ends the file and gives the output back, flushed.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(self) -> Result<W, WriteError> {
        self.rows.finish()
    }
}

fn next_id<I: Id>(count: &mut usize) -> I {
    let id = I::from_index(*count);
    *count += 1;
    id
}

impl<W: Write> Sink for Writer<W> {
    fn string(&mut self, text: &str) -> Result<StringId, SinkError> {
        if let Some(id) = self.strings.find(text) {
            return Ok(id);
        }
        self.rows.string(text)?;
        Ok(self.strings.intern(text))
    }

    fn weights(&mut self, weights: &[Weight]) -> Result<(), SinkError> {
        Ok(self.rows.weights(weights)?)
    }

    fn process(&mut self, row: Process) -> Result<ProcessId, SinkError> {
        self.rows
            .add(size_of_val(&row), |batch| batch.processes.push(row))?;
        Ok(next_id(&mut self.counts.processes))
    }

    fn thread(&mut self, row: Thread) -> Result<ThreadId, SinkError> {
        self.rows
            .add(size_of_val(&row), |batch| batch.threads.push(row))?;
        Ok(next_id(&mut self.counts.threads))
    }

    fn image(&mut self, row: Image) -> Result<ImageId, SinkError> {
        self.rows
            .add(size_of_val(&row), |batch| batch.images.push(row))?;
        Ok(next_id(&mut self.counts.images))
    }

    fn mapping(&mut self, row: Mapping) -> Result<MappingId, SinkError> {
        self.rows
            .add(size_of_val(&row), |batch| batch.mappings.push(row))?;
        Ok(next_id(&mut self.counts.mappings))
    }

    fn location(&mut self, row: Location) -> Result<LocationId, SinkError> {
        self.rows
            .add(size_of_val(&row), |batch| batch.locations.push(row))?;
        Ok(next_id(&mut self.counts.locations))
    }

    fn stack(&mut self, row: Stack) -> Result<StackId, SinkError> {
        self.rows
            .add(size_of_val(&row), |batch| batch.stacks.push(row))?;
        Ok(next_id(&mut self.counts.stacks))
    }

    fn label_set(&mut self, labels: &[Label]) -> Result<LabelSetId, SinkError> {
        let next = self.labels.len();
        let id = self.labels.intern(labels);
        if self.labels.len() > next {
            self.rows.label_set(labels)?;
        }
        Ok(id)
    }

    fn sample(&mut self, sample: &Sample<'_>) -> Result<(), SinkError> {
        Ok(self.rows.sample(sample)?)
    }

    fn process_ended(&mut self, id: ProcessId, time_ns: u64) -> Result<(), SinkError> {
        Ok(self
            .rows
            .change(schema::ChangeKind::ProcessEnded, id.0, time_ns)?)
    }

    fn thread_ended(&mut self, id: ThreadId, time_ns: u64) -> Result<(), SinkError> {
        Ok(self
            .rows
            .change(schema::ChangeKind::ThreadEnded, id.0, time_ns)?)
    }

    fn thread_named(&mut self, id: ThreadId, name: StringId) -> Result<(), SinkError> {
        Ok(self
            .rows
            .change(schema::ChangeKind::ThreadNamed, id.0, name.0.into())?)
    }

    fn begun(&mut self, meta: &Meta) -> Result<(), SinkError> {
        let mut meta = meta.clone();
        meta.notes.push(UNFINISHED.to_owned());
        Ok(self.rows.meta(&meta, None)?)
    }

    fn secure(&mut self) -> Result<(), SinkError> {
        Ok(self.flush()?)
    }

    fn meta(&mut self, meta: Meta) -> Result<(), SinkError> {
        Ok(self.rows.meta(&meta, None)?)
    }
}

/// Gathers rows into chunks.
#[derive(Debug)]
pub(super) struct RowWriter<W: Write> {
    chunks: ChunkWriter<W>,
    batch: Batch,
    batch_bytes: usize,
    /// Rows in chunks that are written.
    written: schema::End,
}

impl<W: Write> RowWriter<W> {
    pub(super) fn new(out: W) -> Result<Self, WriteError> {
        Ok(RowWriter {
            chunks: ChunkWriter::new(out)?,
            batch: Batch::default(),
            batch_bytes: 0,
            written: schema::End::default(),
        })
    }

    /// Adds everything but the samples, in the order in which tables refer to each other.
    pub(super) fn tables(&mut self, profile: &Profile) -> Result<(), WriteError> {
        self.meta(&profile.meta, profile.foreign.as_ref())?;
        self.weights(&profile.weights)?;
        for text in profile.strings.iter() {
            self.string(text)?;
        }
        macro_rules! copy {
            ($($table:ident),*) => {$(
                for row in profile.$table.rows() {
                    self.add(size_of_val(row), |batch| batch.$table.push(row.clone()))?;
                }
            )*};
        }
        copy!(
            processes, threads, images, mappings, symbols, functions, frames, locations, stacks
        );
        for set in profile.labels.iter() {
            self.label_set(set)?;
        }
        Ok(())
    }

    /// Adds a row that takes about `bytes` bytes.
    fn add(&mut self, bytes: usize, push: impl FnOnce(&mut Batch)) -> Result<(), WriteError> {
        if self.batch_bytes + bytes > BATCH_BYTES {
            self.flush()?;
        }
        push(&mut self.batch);
        self.batch_bytes += bytes;
        Ok(())
    }

    fn string(&mut self, text: &str) -> Result<(), WriteError> {
        check_text(text)?;
        self.add(size_of::<String>() + text.len(), |batch| {
            batch.strings.push(text.to_owned());
        })
    }

    fn weights(&mut self, weights: &[Weight]) -> Result<(), WriteError> {
        for weight in weights {
            check_text(&weight.name)?;
            let bytes = size_of_val(weight) + weight.name.len();
            self.add(bytes, |batch| batch.weights.push(weight.clone()))?;
        }
        Ok(())
    }

    pub(super) fn sample(&mut self, sample: &Sample<'_>) -> Result<(), WriteError> {
        let bytes = size_of_val(sample) + size_of_val(sample.weights);
        self.add(bytes, |batch| batch.push_sample(sample))
    }

    fn label_set(&mut self, set: &[Label]) -> Result<(), WriteError> {
        let bytes = size_of::<Vec<Label>>() + size_of_val(set);
        check_length(bytes)?;
        self.add(bytes, |batch| batch.label_sets.push(set.to_vec()))
    }

    fn change(&mut self, kind: schema::ChangeKind, row: u32, value: u64) -> Result<(), WriteError> {
        let kind = kind.into();
        self.add(size_of::<schema::Change>(), |batch| {
            batch.changes.push(schema::Change { kind, row, value });
        })
    }

    fn meta(&mut self, meta: &Meta, foreign: Option<&Foreign>) -> Result<(), WriteError> {
        let message = super::meta::to_message(meta, foreign);
        check_length(prost::Message::encoded_len(&message))?;
        self.chunks.write(ChunkKind::Meta, &message)?;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        if self.batch_bytes == 0 {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        // Ids are 32 bits wide, so the number of stacks is too.
        let first_stack = self.written.stacks as u32;
        self.written.strings += batch.strings.len() as u64;
        self.written.locations += batch.locations.len() as u64;
        self.written.stacks += batch.stacks.len() as u64;
        self.written.samples += batch.samples.len() as u64;
        self.chunks
            .write(ChunkKind::Rows, &batch.into_rows(first_stack))?;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<W, WriteError> {
        self.flush()?;
        let end = schema::End {
            chunks: self.chunks.chunks,
            ..self.written
        };
        self.chunks.write(ChunkKind::End, &end)?;
        Ok(self.chunks.finish()?)
    }
}

fn check_text(text: &str) -> Result<(), WriteError> {
    check_length(text.len())
}

fn check_length(bytes: usize) -> Result<(), WriteError> {
    if bytes <= TEXT_LIMIT {
        return Ok(());
    }
    Err(WriteError::TextTooLong {
        bytes,
        limit: TEXT_LIMIT,
    })
}
