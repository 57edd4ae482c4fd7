//! Numbers from paired values: the sequential test, intervals, robust estimates, shares.
//!
//! Everything here looks at plain numbers; what they mean is decided one level up.

mod bounded;
mod multiple;
mod process;
mod robust;
mod root;
mod sequence;

pub use bounded::{bounded_mean_interval, share_interval};
pub use multiple::e_benjamini_hochberg;
pub use process::{Direction, PairedTest, RatioTest};
pub use robust::{hodges_lehmann, median, robust_sd};
pub use sequence::{Sequence, default_prior_scale, log_ratio};

pub(crate) use process::SCALE_FLOOR;
pub(crate) use robust::standard_deviation;
pub(crate) use sequence::{PAIRS_FOR_PRIOR, prior_scale, values};

/// An E-value of this size decides at one per cent over both directions.
pub const DECIDES: f64 = 200.0;

/// An E-value of this size decides that there is no effect of interest, five per cent a side.
pub const DECIDES_NO_EFFECT: f64 = 20.0;

/// Fewer pairs cannot bound a 99 % interval, even when every bet is won, and decide nothing.
pub const FEWEST_PAIRS: usize = 11;

/// Coverage of every interval that is shown.
pub const LEVEL: f64 = 0.99;
