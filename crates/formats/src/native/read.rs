//! Bytes to profile.

use std::io::{self, BufReader, Read};

use hotproof_profile::{InvalidProfile, Profile, StringId};
use prost::Message;

use super::chunk::{ChunkKind, ChunkReader, VERSION};
use super::rows::{self, Fault};
use super::write::UNFINISHED;
use super::{meta, schema};
use crate::sniff::Kind;

/// How much a reader is willing to hold in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest chunk, compressed or not, in bytes.
    pub chunk_bytes: u32,
    /// The rows of the profile in memory, in bytes. What is needed besides while reading is a
    /// small multiple of `chunk_bytes`.
    pub total_bytes: u64,
}

impl Default for Limits {
    /// 16 MiB a chunk, 4 GiB in all: ninety million samples.
    fn default() -> Self {
        Limits {
            chunk_bytes: 16 << 20,
            total_bytes: 4 << 30,
        }
    }
}

/// Why bytes are no readable profile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The bytes are something else.
    #[error("not a hotproof profile: it looks like {found}; record one with `hotproof record`")]
    NotAProfile {
        /// What they look like.
        found: Kind,
    },
    /// Another version of the format.
    #[error(
        "this file is hotproof profile version {found}; this hotproof reads version {VERSION}: use the hotproof that wrote it, or record again"
    )]
    WrongVersion {
        /// The file's version.
        found: u32,
    },
    /// The file ends too early.
    #[error(
        "the profile is cut after {bytes} bytes, chunk {chunk}: {what} is missing; the recording or the copy was interrupted: copy it again, or record again"
    )]
    Cut {
        /// Its length.
        bytes: u64,
        /// The first chunk that is not whole, counted from 0.
        chunk: u64,
        /// What of that chunk is missing.
        what: &'static str,
    },
    /// The bytes contradict themselves.
    #[error("the profile is damaged: chunk {chunk}: {what}; copy it again, or record again")]
    Corrupt {
        /// The chunk, counted from 0.
        chunk: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The profile is larger than the reader is allowed to hold.
    #[error(
        "the profile takes more than {limit_bytes} bytes of memory, which is more than a reader accepts"
    )]
    TooLarge {
        /// [`Limits::total_bytes`].
        limit_bytes: u64,
    },
    /// Every chunk is whole, but rows refer to rows that do not exist.
    #[error("the profile contradicts itself: {0}; record again")]
    Invalid(#[from] InvalidProfile),
    /// The bytes could not be read.
    #[error("reading the profile failed: {0}")]
    Io(#[from] io::Error),
}

/// What could be read of a profile.
#[derive(Debug)]
pub struct Recovered {
    /// All rows of the whole chunks.
    pub profile: Profile,
    /// [`ReadError::Cut`] or [`ReadError::Corrupt`]: why the rest is missing; `None` when nothing
    /// is.
    pub missing: Option<ReadError>,
}

impl Recovered {
    /// Whether this is what a recorder had written when it was killed ([`super::Writer`]),
    /// rather than a part of a finished file.
    pub fn unfinished(&self) -> bool {
        let last = self.profile.meta.notes.last();
        self.missing.is_some() && last.is_some_and(|note| note == UNFINISHED)
    }
}

/// Reads a whole profile.
///
/// # Errors
/// Any [`ReadError`]; also when the file is cut. [`read_recovering`] accepts that.
pub fn read(input: impl Read) -> Result<Profile, ReadError> {
    whole(read_recovering(input)?)
}

/// The profile, if nothing of it is missing.
pub(super) fn whole(recovered: Recovered) -> Result<Profile, ReadError> {
    recovered.missing.map_or(Ok(recovered.profile), Err)
}

/// Reads every whole chunk up to the first that is cut or damaged.
///
/// # Errors
/// When not even the header is whole, when the profile is too large or contradicts itself, and
/// when the input fails.
pub fn read_recovering(input: impl Read) -> Result<Recovered, ReadError> {
    read_within(input, Limits::default())
}

/// As [`read_recovering`], with other limits than the usual ones.
///
/// # Errors
/// As [`read_recovering`].
pub fn read_within(input: impl Read, limits: Limits) -> Result<Recovered, ReadError> {
    read_rows(input, limits, |_| Ok(()))
}

/// As [`read_within`]; `after` sees the profile after the rows of each chunk, and may take samples
/// out.
pub(super) fn read_rows(
    input: impl Read,
    limits: Limits,
    mut after: impl FnMut(&mut Profile) -> Result<(), Fault>,
) -> Result<Recovered, ReadError> {
    let mut chunks = ChunkReader::new(BufReader::new(input), limits)?;
    let mut profile = Profile::default();
    let missing = match read_chunks(&mut chunks, &mut profile, limits, &mut after) {
        Ok(()) => None,
        Err(error @ (ReadError::Cut { .. } | ReadError::Corrupt { .. })) => Some(error),
        Err(error) => return Err(error),
    };
    profile.validate()?;
    Ok(Recovered { profile, missing })
}

fn read_chunks<R: Read>(
    chunks: &mut ChunkReader<R>,
    profile: &mut Profile,
    limits: Limits,
    after: &mut impl FnMut(&mut Profile) -> Result<(), Fault>,
) -> Result<(), ReadError> {
    let mut heap_bytes = 0;
    let mut samples = 0;
    loop {
        let chunk = chunks.chunks;
        let corrupt = |what| ReadError::Corrupt { chunk, what };
        let unreadable = |_| corrupt("it is no message of this version");
        let (kind, bytes) = chunks.next()?;
        match kind {
            ChunkKind::Rows => {
                let message = schema::Rows::decode(&bytes[..]).map_err(unreadable)?;
                heap_bytes += heap_of(&message);
                let before = profile.samples.len();
                rows::append(profile, message).map_err(corrupt)?;
                samples += (profile.samples.len() - before) as u64;
                after(profile).map_err(corrupt)?;
                check_memory(heap_bytes + profile.rows_bytes(), limits.total_bytes)?;
            }
            ChunkKind::Meta => {
                let mut message = schema::Meta::decode(&bytes[..]).map_err(unreadable)?;
                let foreign = message.foreign.take();
                profile.foreign = foreign.map(meta::foreign_from_message);
                profile.meta = meta::from_message(message)
                    .ok_or_else(|| corrupt("the target both exited and was killed"))?;
            }
            ChunkKind::End => {
                let message = schema::End::decode(&bytes[..]).map_err(unreadable)?;
                if message != counts(profile, samples, chunk) {
                    return Err(corrupt("the counts at the end differ from what was read"));
                }
                return chunks.expect_end();
            }
        }
    }
}

/// What the end chunk has to say about what was read.
fn counts(profile: &Profile, samples: u64, chunks: u64) -> schema::End {
    schema::End {
        chunks,
        strings: profile.strings.len() as u64,
        locations: profile.locations.len() as u64,
        stacks: profile.stacks.len() as u64,
        samples,
    }
}

/// Columns of equal values compress to next to nothing, so the length of a file bounds nothing.
fn check_memory(bytes: usize, limit_bytes: u64) -> Result<(), ReadError> {
    if bytes as u64 <= limit_bytes {
        return Ok(());
    }
    Err(ReadError::TooLarge { limit_bytes })
}

/// Bytes that the rows of a chunk will hold outside their tables.
fn heap_of(rows: &schema::Rows) -> usize {
    // A text lies in the list and in the index, with an id there.
    let text = |text: &String| 2 * (text.len() + size_of::<Box<str>>()) + size_of::<StringId>();
    let build_ids = rows.images.iter().map(|image| image.build_id.len());
    // A label set lies in the list and in the index, too.
    let set = |set: &schema::LabelSet| 2 * size_of_val(&set.labels[..]) + 2 * size_of::<usize>();
    rows.strings.iter().map(text).sum::<usize>()
        + rows.label_sets.iter().map(set).sum::<usize>()
        + build_ids.sum::<usize>()
}
