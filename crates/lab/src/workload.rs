//! What could be measured here, for a user who did not say.

use std::path::Path;

/// A command that might be the workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// As it would be typed after `--`.
    pub command: String,
    /// Where it comes from: `binary of Cargo.toml`.
    pub origin: String,
}

/// Commands that might be a workload of the project in `directory`, likeliest first.
pub fn candidates(directory: &Path) -> Vec<Candidate> {
    let _ = directory;
    Vec::new()
}
