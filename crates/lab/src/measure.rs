//! Repeated sampled runs of one command where the user stands.

use hotproof_diff::Metrics;
use hotproof_profile::Profile;

use crate::error::LabError;
use crate::event::Observer;
use crate::options::Measurement;

/// One run and its profile, symbolized.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredRun {
    /// What was measured.
    pub metrics: Metrics,
    /// What was sampled; its first weight counts samples.
    pub profile: Profile,
}

/// All runs of a [`Measurement`], in the order they ran, the warm-up thrown away.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The runs.
    pub runs: Vec<MeasuredRun>,
    /// What a reader has to know, one sentence each.
    pub warnings: Vec<String>,
}

/// Runs one command again and again in the user's own directory and samples each run.
///
/// # Errors
/// Says so when the command does not exist, fails or hangs, and when sampling is not permitted.
pub fn measure(
    measurement: &Measurement,
    observer: &mut dyn Observer,
) -> Result<Measured, LabError> {
    let _ = (measurement, observer);
    Err(LabError::NoCommand)
}
