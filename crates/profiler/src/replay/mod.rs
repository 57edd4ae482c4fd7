//! Recordings of perf (`perf.data`), read as if they happened now.
//!
//! [`read`] takes bytes, [`read_file`] a file of any size, of which it holds a piece at a time. Both
//! take what `perf record` writes: to a file or to a pipe, compressed or not, with callchains of the
//! kernel or with registers and stack bytes, which are unwound here. It names nothing: addresses
//! stay addresses, and the symbolizer names each unique one once.
//!
//! Data goes: bytes in windows (`source`), file header, events and features (`header`, `attr`),
//! records (`reader`), decompressed (`inflate`), in time order over all CPUs (`order`), samples and
//! other records to values (`sample`, `record`), those to processes, threads and mappings as in a
//! live recording, whole chains to stacks (`observe`, `chains`), rows of the profile.
//!
//! A recording that is cut or broken gives what is whole of it, and [`Counted`] and the profile's
//! notes say what is missing. One event is read; samples of others are counted.

mod alike;
mod attr;
mod chains;
mod error;
mod header;
mod inflate;
mod meta;
mod observe;
mod order;
mod placed;
mod reader;
mod record;
mod sample;
mod source;

use std::collections::BTreeMap;
use std::fs::File;

use hotproof_profile::Profile;

pub use alike::Alike;
pub use error::ReplayError;
use reader::Reader;
use source::Source;

/// What to read, and how much at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The event whose samples are read, as the recording names it (`cycles`, `cpu-clock:u`).
    /// `None` takes the first event that has samples.
    pub event: Option<String>,
    /// Compressed records may grow to this many bytes in all.
    pub most_inflated_bytes: u64,
    /// Records that wait for older ones may take this many bytes: the older half of more is taken
    /// as it is, and what comes later than it should have is counted. The rings of a large machine
    /// hold less; what waits longer is a file without rounds.
    pub most_waiting_bytes: u64,
    /// The rows of the profile may take this many bytes, about.
    pub most_row_bytes: u64,
    /// What becomes a row of the profile's samples.
    pub rows: SampleRows,
}

/// What becomes a row of the profile's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SampleRows {
    /// Each sample.
    #[default]
    Each,
    /// All samples of a thread that have the same addresses and the same end: the row has the sums
    /// of their weights, the time of the first and no CPU. Memory is then bounded by the number of
    /// different stacks. For readers that look at stacks and weights alone.
    Summed,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            event: None,
            most_inflated_bytes: 16 << 30,
            most_waiting_bytes: 1 << 30,
            most_row_bytes: 4 << 30,
            rows: SampleRows::Each,
        }
    }
}

/// A recording as a profile, and what did not go into it.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// Samples with two weights: `samples`, and the periods in the event's unit.
    pub profile: Profile,
    /// What is missing.
    pub counted: Counted,
}

/// What was seen and is not in the profile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counted {
    /// Records of kinds that we have never heard of, by kind.
    pub unknown: BTreeMap<u32, u64>,
    /// Records whose bytes make no sense.
    pub undecodable: u64,
    /// Records that the kernel dropped because perf did not read them in time.
    pub lost_records: u64,
    /// Samples that were dropped, as later versions of perf count them; the same drops may be among
    /// `lost_records`.
    pub lost_samples: u64,
    /// Times that the kernel throttled an event.
    pub throttled: u64,
    /// Samples of events that were not read, by event.
    pub other_events: BTreeMap<String, u64>,
    /// Records that came too late to be put in order.
    pub late: u64,
    /// Callchains that are as long as the kernel walks: their outermost frames are missing.
    pub cut_chains: u64,
    /// Bytes of records that the header promises and the file does not have.
    pub missing_bytes: u64,
    /// Where reading had to stop because a record's header or compressed data is broken; `None`
    /// when it came to the end.
    pub broken_at: Option<u64>,
}

/// Whether bytes begin as a recording of perf does; the first eight decide.
pub fn looks_like(bytes: &[u8]) -> bool {
    bytes.starts_with(header::MAGIC) || bytes.starts_with(b"2ELIFREP")
}

/// Reads a recording from memory; for one that came through a pipe.
///
/// # Errors
/// When it is no recording of perf, was made on a machine of the other byte order, has no event
/// that samples, or asks for more memory than [`Options`] allow. One that is cut is no error.
pub fn read(bytes: &[u8], options: &Options) -> Result<Imported, ReplayError> {
    read_source(|| Ok(Source::Bytes(bytes)), options, None)
}

/// Reads a recording from a file, from its beginning, without holding all of it.
///
/// # Errors
/// As [`read`]; and when the file cannot be read.
pub fn read_file(file: &File, options: &Options) -> Result<Imported, ReplayError> {
    read_source(|| Source::file(file), options, None)
}

/// As [`read`] or [`read_file`] with [`SampleRows::Summed`], whatever the options say of rows, but
/// locations of one name are one: for readers that look at names and weights alone. `alike` is
/// asked at most once for an address of an image as an instruction, and once as a return address.
///
/// # Errors
/// As [`read_file`].
pub fn read_names(
    recording: Recording<'_>,
    options: &Options,
    alike: &mut Alike<'_>,
) -> Result<Imported, ReplayError> {
    match recording {
        Recording::Bytes(bytes) => read_source(|| Ok(Source::Bytes(bytes)), options, Some(alike)),
        Recording::File(file) => read_source(|| Source::file(file), options, Some(alike)),
    }
}

/// Where a recording is.
#[derive(Debug, Clone, Copy)]
pub enum Recording<'a> {
    /// In memory.
    Bytes(&'a [u8]),
    /// In a file.
    File(&'a File),
}

fn read_source<'a>(
    open: impl Fn() -> Result<Source<'a>, ReplayError>,
    options: &Options,
    mut alike: Option<&mut Alike<'_>>,
) -> Result<Imported, ReplayError> {
    let mut read = |options: &Options| {
        // Lent anew to each reader.
        match &mut alike {
            Some(alike) => {
                let mut again = |profile: &Profile, image, address| alike(profile, image, address);
                Reader::read(open()?, options, Some(&mut again))
            }
            None => Reader::read(open()?, options, None),
        }
    };
    let imported = read(options)?;
    // The first event may not have fired at all.
    let fired = imported.counted.other_events.keys().next();
    match fired {
        Some(fired) if options.event.is_none() && imported.profile.samples.is_empty() => {
            let event = Some(fired.clone());
            read(&Options {
                event,
                ..options.clone()
            })
        }
        _ => Ok(imported),
    }
}
