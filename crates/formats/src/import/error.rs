//! Why a file is no profile, or none that fits.

use std::fmt;

use hotproof_profile::InvalidProfile;

use super::Format;
use crate::native::ReadError;
use crate::sniff::Kind;

/// Where in a file something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Offset in bytes from the start, after decompression.
    Byte(u64),
    /// Line of a text, counted from 1.
    Line(u64),
    /// Path of a value in a JSON document, such as `profiles[0].weights[3]`.
    Path(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Byte(at) => write!(f, "byte {at}"),
            Place::Line(number) => write!(f, "line {number}"),
            Place::Path(path) => f.write_str(path),
        }
    }
}

/// Why bytes could not be imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// No reader knows the bytes.
    #[error(
        "not a profile that hotproof reads: it looks like {found}; it reads {}",
        Format::list()
    )]
    NotRecognised {
        /// What they look like.
        found: Kind,
    },
    /// The format is known, but not read here.
    #[error("{format} is not read here: {remedy}")]
    Unsupported {
        /// Which.
        format: Format,
        /// What to do instead.
        remedy: &'static str,
    },
    /// The bytes contradict their format.
    #[error("the file is no readable {format}: {place}: {what}")]
    Damaged {
        /// The format that they were taken for.
        format: Format,
        /// Where.
        place: Place,
        /// What was read and what was expected.
        what: String,
    },
    /// The gzip wrapping cannot be undone.
    #[error("the gzip data is damaged after {bytes} unpacked bytes: {what}; copy the file again")]
    Gzip {
        /// How much could be unpacked.
        bytes: u64,
        /// What the decoder says.
        what: String,
    },
    /// More than a reader is allowed to hold.
    #[error(
        "the profile takes more than {limit_bytes} bytes of {of}, which is more than a reader accepts"
    )]
    TooLarge {
        /// One of [`super::Limits`].
        limit_bytes: u64,
        /// What is limited.
        of: &'static str,
    },
    /// The native reader refuses it.
    #[error(transparent)]
    Native(#[from] ReadError),
    /// The rows contradict each other, or their weights cannot be added up.
    #[error("the profile contradicts itself: {0}")]
    Invalid(#[from] InvalidProfile),
}
