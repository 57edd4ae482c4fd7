//! The whole way of a comparison.

use hotproof_diff::Comparison;

use crate::error::LabError;
use crate::event::Observer;
use crate::options::Options;

/// Checks out both refs, builds them, runs them in pairs, and returns everything that was
/// measured.
///
/// # Errors
/// See [`LabError`]; its class says whose fault it is.
pub fn compare(options: &Options, observer: &mut dyn Observer) -> Result<Comparison, LabError> {
    let _ = observer;
    crate::options::check(&options.stop)?;
    let _ = options.effective_rule();
    Err(LabError::NoCommand)
}
