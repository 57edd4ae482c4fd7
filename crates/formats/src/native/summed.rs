//! A long recording in little memory: everything but its samples, which are added up; and the same
//! recording written anew with its tables filled, its samples going from file to file.

use std::io::{BufReader, Read, Write};

use hotproof_profile::{Id, Profile, Sample, Samples, Sink, StackEnd, StackId};
use prost::Message;
use rustc_hash::FxHashMap;

use super::chunk::{ChunkKind, ChunkReader};
use super::read::{read_rows, whole};
use super::rows::{self, Fault};
use super::schema;
use super::write::RowWriter;
use super::{Limits, ReadError};
use crate::WriteError;

/// Why a recording could not be written anew.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Its samples cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The new file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Reads a whole profile, but adds its samples up: one row for all that have the same stack, end in
/// the same way and have the same weights other than zero. Thread, time and CPU of such a row are
/// those of the first of them, labels are left out.
///
/// What does not look at single samples says the same of it as of the profile itself; it takes no
/// more memory when more samples repeat the same stacks.
///
/// # Errors
/// As [`super::read`]; also when the sum of a weight does not fit in 64 bits.
pub fn read_summed(input: impl Read) -> Result<Profile, ReadError> {
    let mut sums = Sums::default();
    let recovered = read_rows(input, Limits::default(), |profile| sums.take(profile))?;
    let mut profile = whole(recovered)?;
    profile.samples = sums.summed.samples;
    Ok(profile)
}

/// Writes a profile with the samples of `recording`, which is the native file of a profile with the
/// same threads, stacks and labels, in the place of its own.
///
/// # Errors
/// [`CopyError::Read`] when `recording` is not whole, and as [`super::write`].
pub fn write_with_samples(
    profile: &Profile,
    recording: impl Read,
    out: impl Write,
) -> Result<(), CopyError> {
    profile.validate().map_err(WriteError::from)?;
    let mut rows = RowWriter::new(out)?;
    rows.tables(profile)?;
    copy_samples(profile, recording, &mut rows)?;
    rows.finish()?;
    Ok(())
}

fn copy_samples<W: Write>(
    profile: &Profile,
    recording: impl Read,
    out: &mut RowWriter<W>,
) -> Result<(), CopyError> {
    let mut chunks = ChunkReader::new(BufReader::new(recording), Limits::default())?;
    let mut scratch = Profile::default();
    scratch.samples.weights = vec![Vec::new(); profile.weights.len()];
    let mut weights = Vec::new();
    loop {
        let chunk = chunks.chunks;
        let corrupt = |what| ReadError::Corrupt { chunk, what };
        let (kind, bytes) = chunks.next()?;
        match kind {
            ChunkKind::Meta => continue,
            ChunkKind::End => return Ok(chunks.expect_end()?),
            ChunkKind::Rows => {}
        }
        let message = schema::Rows::decode(&bytes[..])
            .map_err(|_| corrupt("it is no message of this version"))?;
        let Some(columns) = &message.samples else {
            continue;
        };
        rows::append_samples(&mut scratch, columns).map_err(corrupt)?;
        for row in 0..scratch.samples.len() {
            check(profile, &scratch.samples, row).map_err(corrupt)?;
            let sample = sample_at(&scratch.samples, row, &mut weights);
            out.sample(&sample)?;
        }
        clear(&mut scratch.samples);
    }
}

/// One row of the samples.
pub(super) fn sample_at<'w>(
    samples: &Samples,
    row: usize,
    weights: &'w mut Vec<i64>,
) -> Sample<'w> {
    weights.clear();
    weights.extend(samples.weights.iter().map(|column| column[row]));
    Sample {
        thread: samples.thread[row],
        time_ns: samples.time_ns[row],
        stack: samples.stack[row],
        weights,
        cpu: samples.cpu[row],
        end: samples.end[row],
        labels: samples.labels[row],
    }
}

/// Whether the rows are there that a sample refers to.
fn check(profile: &Profile, samples: &Samples, row: usize) -> Result<(), Fault> {
    let stack = samples.stack[row].map_or(0, |stack| stack.index() + 1);
    let labels = samples.labels[row].map_or(0, |set| set.index() + 1);
    let there = samples.thread[row].index() < profile.threads.len()
        && stack <= profile.stacks.len()
        && labels <= profile.labels.len();
    there
        .then_some(())
        .ok_or("a sample refers to a row that does not exist")
}

fn clear(samples: &mut Samples) {
    let mut weights = std::mem::take(&mut samples.weights);
    weights.iter_mut().for_each(Vec::clear);
    *samples = Samples {
        weights,
        ..Samples::default()
    };
}

const NO_ROOM: Fault = "there is no room for its samples";

/// Samples that are added up.
#[derive(Default)]
struct Sums {
    /// By stack, end and which weights there are.
    rows: FxHashMap<(Option<StackId>, StackEnd, u64), usize>,
    /// Has nothing but samples.
    summed: Profile,
}

impl Sums {
    /// Takes the samples out of a profile.
    fn take(&mut self, profile: &mut Profile) -> Result<(), Fault> {
        let columns = profile.samples.weights.len();
        self.summed.samples.weights.resize(columns, Vec::new());
        let mut weights = Vec::new();
        for row in 0..profile.samples.len() {
            check(profile, &profile.samples, row)?;
            self.add(&sample_at(&profile.samples, row, &mut weights))?;
        }
        clear(&mut profile.samples);
        Ok(())
    }

    fn add(&mut self, sample: &Sample<'_>) -> Result<(), Fault> {
        // Columns beyond the 64th share a bit, which only makes rows that are fewer.
        let present = sample.weights.iter().enumerate();
        let present = present
            .filter(|(_, weight)| **weight != 0)
            .fold(0, |mask, (column, _)| mask | 1 << (column % 64));
        let key = (sample.stack, sample.end, present);
        let Some(&row) = self.rows.get(&key) else {
            self.rows.insert(key, self.summed.samples.len());
            let first = Sample {
                labels: None,
                ..*sample
            };
            return self.summed.sample(&first).map_err(|_| NO_ROOM);
        };
        for (column, weight) in self.summed.samples.weights.iter_mut().zip(sample.weights) {
            column[row] = column[row]
                .checked_add(*weight)
                .ok_or("the sum of a weight does not fit in 64 bits")?;
        }
        Ok(())
    }
}
