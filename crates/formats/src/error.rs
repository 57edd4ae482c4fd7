//! Why a profile could not be written, whatever the format.

use std::io;

use hotproof_profile::{InvalidProfile, Profile};

/// Why a profile could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The profile refers to rows that it does not have: a bug of whoever filled it.
    #[error("the profile cannot be written, it contradicts itself: {0}")]
    Invalid(#[from] InvalidProfile),
    /// A text is longer than a reader would accept.
    #[error("a text of {bytes} bytes is longer than the file format allows ({limit} bytes)")]
    TextTooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// The weight column asked for does not exist.
    #[error("the profile has no weight column {column}; its columns are: {columns}")]
    NoWeight {
        /// Which was asked for, counted from 0.
        column: usize,
        /// The names of those that exist, separated by commas.
        columns: String,
    },
    /// Two profiles have weights that cannot be compared.
    #[error("base has the weights {base}, head has {head}: record both with the same event")]
    Unlike {
        /// Names and units of base's weights.
        base: String,
        /// Names and units of head's weights.
        head: String,
    },
    /// A format has no negative weights.
    #[error("{format} cannot carry the weight {weight} of {name}: it knows no negative numbers")]
    Negative {
        /// Which format.
        format: &'static str,
        /// The weight.
        weight: i64,
        /// Whose it is.
        name: String,
    },
    /// The format has no way to say something that would change every figure if it were left out.
    #[error("{format} cannot carry {what}: {remedy}")]
    CannotCarry {
        /// The format.
        format: &'static str,
        /// What it cannot carry.
        what: String,
        /// What to do instead.
        remedy: &'static str,
    },
    /// The bytes could not be written.
    #[error("writing the profile failed: {0}")]
    Io(#[from] io::Error),
}

/// Names and units of the weights, for an error.
pub(crate) fn name_weights(profile: &Profile) -> String {
    let weights = profile.weights.iter();
    let names = weights.map(|weight| format!("{} in {:?}", weight.name, weight.unit));
    names.collect::<Vec<_>>().join(", ").to_lowercase()
}
