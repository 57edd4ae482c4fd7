//! Any profile that people have, recognised by its content.
//!
//! | format | recognised by | a reader's own documentation |
//! |---|---|---|
//! | native | its first bytes | [`crate::native`] |
//! | pprof, gzipped or not | its fields | [`crate::pprof`] |
//! | callgrind | its header lines | [`crate::callgrind`] |
//! | perf script text | a head of a sample | [`crate::perf_script`] |
//! | Firefox Profiler, speedscope, Chrome trace, V8 CPU profile, our JSON | the names of their outermost members | [`crate::firefox`], [`crate::speedscope`], [`crate::chrome`], [`crate::json`] |
//! | folded stacks | a line that ends in a number | [`crate::folded`] |
//!
//! Gzip around any of them is undone, once. A file is never asked for its name.
//!
//! ```
//! use hotproof_formats::import;
//! use hotproof_profile::Inline;
//!
//! let imported = import::read(b"main;work 3\nmain 1\n", import::Limits::default())?;
//! assert_eq!(imported.format, import::Format::Folded);
//! assert_eq!(imported.profile.total_weight(0), 4);
//! let totals = imported.profile.code_totals(0, Inline::Expand);
//! assert_eq!((totals[0].total, totals[0].self_weight), (4, 1));
//! # Ok::<(), import::ImportError>(())
//! ```

mod builder;
mod dropped;
mod error;
mod recognise;

use std::borrow::Cow;
use std::fmt;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use hotproof_profile::Profile;

pub(crate) use builder::{Budget, Builder, JIT, LocationKey, Place as FramePlace, image_kind};
pub(crate) use dropped::Dropped;
pub use error::{ImportError, Place};
pub use recognise::recognise;

use crate::{
    callgrind, chrome, cpuprofile, firefox, folded, json, native, perf_script, pprof, sniff,
    speedscope,
};

/// The formats that are recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Our own file.
    Native,
    /// `profile.proto`.
    Pprof,
    /// Folded stacks, plain or differential.
    Folded,
    /// What valgrind's callgrind and `go tool pprof -callgrind` write.
    Callgrind,
    /// The text that `perf script` prints.
    PerfScript,
    /// Firefox Profiler JSON, the processed format.
    Firefox,
    /// speedscope's own JSON.
    Speedscope,
    /// Trace events of Chrome and of tools that write its format.
    ChromeTrace,
    /// V8's `.cpuprofile`, as `node --cpu-prof` writes it.
    CpuProfile,
    /// Our own JSON.
    Json,
    /// A recording of Linux perf; recognised, and read elsewhere.
    PerfData,
}

impl Format {
    /// Every format that [`read`] reads.
    pub const READ: &[Format] = &[
        Format::Native,
        Format::Pprof,
        Format::Callgrind,
        Format::PerfScript,
        Format::Folded,
        Format::Firefox,
        Format::Speedscope,
        Format::ChromeTrace,
        Format::CpuProfile,
        Format::Json,
    ];

    /// Their names in one line, for messages, with perf.data, which hotproof reads too.
    pub fn list() -> String {
        let read = Self::READ.iter().chain([&Format::PerfData]);
        let names: Vec<String> = read.map(ToString::to_string).collect();
        names.join(", ")
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Native => "hotproof profile",
            Format::Pprof => "pprof profile",
            Format::Folded => "folded stacks",
            Format::PerfScript => "perf script text",
            Format::Callgrind => "callgrind profile",
            Format::Firefox => "Firefox Profiler profile",
            Format::Speedscope => "speedscope profile",
            Format::ChromeTrace => "Chrome trace",
            Format::CpuProfile => "V8 CPU profile",
            Format::Json => "hotproof JSON",
            Format::PerfData => "perf.data",
        })
    }
}

/// How much a reader is willing to hold in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The input after decompression, in bytes.
    pub input_bytes: u64,
    /// The rows of the profile in memory, in bytes, about.
    pub memory_bytes: u64,
}

impl Default for Limits {
    /// 2 GiB of input, 4 GiB of rows.
    fn default() -> Self {
        Limits {
            input_bytes: 2 << 30,
            memory_bytes: 4 << 30,
        }
    }
}

/// A profile that came from outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The profile; it is valid.
    pub profile: Profile,
    /// What the bytes were.
    pub format: Format,
    /// What the file said and the profile cannot carry, one sentence each; empty when nothing is
    /// lost.
    pub dropped: Vec<String>,
}

/// Reads a profile of any known format.
///
/// # Errors
/// [`ImportError::NotRecognised`] when no format fits, [`ImportError::Unsupported`] for perf.data,
/// and whatever is wrong with the bytes, with its place.
pub fn read(bytes: &[u8], limits: Limits) -> Result<Imported, ImportError> {
    read_plain(&unpack(bytes, limits)?, limits)
}

/// As [`read`], of bytes that are not compressed, as [`unpack`] returns them.
///
/// # Errors
/// As [`read`].
pub fn read_plain(bytes: &[u8], limits: Limits) -> Result<Imported, ImportError> {
    let found = || sniff(&bytes[..bytes.len().min(crate::SNIFF_BYTES)]);
    let format = recognise(bytes).ok_or_else(|| ImportError::NotRecognised { found: found() })?;
    read_as(format, bytes, limits)
}

/// Reads bytes, which are not compressed, as a profile of a given format.
///
/// # Errors
/// As [`read`].
pub fn read_as(format: Format, bytes: &[u8], limits: Limits) -> Result<Imported, ImportError> {
    let (profile, dropped) = match format {
        Format::Native => read_native(bytes, limits)?,
        Format::Pprof => pprof::read(bytes, limits)?,
        Format::Folded => folded::read(bytes, limits)?,
        Format::Callgrind => callgrind::read(bytes, limits)?,
        Format::PerfScript => perf_script::read(bytes, limits)?,
        Format::Firefox => firefox::read(bytes, limits)?,
        Format::Speedscope => speedscope::read(bytes, limits)?,
        Format::ChromeTrace => chrome::read(bytes, limits)?,
        Format::CpuProfile => cpuprofile::read(bytes, limits)?,
        Format::Json => json::read(bytes, limits)?,
        Format::PerfData => {
            return Err(ImportError::Unsupported {
                format,
                remedy: "`hotproof` reads it, and this reader the text of `perf script`",
            });
        }
    };
    Ok(Imported {
        profile,
        format,
        dropped,
    })
}

fn read_native(bytes: &[u8], limits: Limits) -> Result<(Profile, Vec<String>), ImportError> {
    let limits = native::Limits {
        total_bytes: limits.memory_bytes,
        ..native::Limits::default()
    };
    let recovered = native::read_within(bytes, limits)?;
    if recovered.unfinished() {
        return Ok((recovered.profile, vec![native::UNFINISHED.to_owned()]));
    }
    match recovered.missing {
        None => Ok((recovered.profile, Vec::new())),
        Some(missing) => Err(missing.into()),
    }
}

/// Undoes one layer of gzip, if there is one.
///
/// # Errors
/// [`ImportError::Gzip`] when it is damaged, and [`ImportError::TooLarge`].
pub fn unpack(bytes: &[u8], limits: Limits) -> Result<Cow<'_, [u8]>, ImportError> {
    let too_large = ImportError::TooLarge {
        limit_bytes: limits.input_bytes,
        of: "input",
    };
    if !bytes.starts_with(b"\x1f\x8b") {
        let fits = bytes.len() as u64 <= limits.input_bytes;
        return if fits {
            Ok(Cow::Borrowed(bytes))
        } else {
            Err(too_large)
        };
    }
    let mut plain = Vec::new();
    let bound = limits.input_bytes.saturating_add(1);
    let outcome = MultiGzDecoder::new(bytes)
        .take(bound)
        .read_to_end(&mut plain);
    if let Err(error) = outcome {
        return Err(ImportError::Gzip {
            bytes: plain.len() as u64,
            what: error.to_string(),
        });
    }
    if plain.len() as u64 > limits.input_bytes {
        return Err(too_large);
    }
    Ok(Cow::Owned(plain))
}
