//! Git, through its command: where the checkout is, what a ref is.

use std::path::{Path, PathBuf};

use hotproof_diff::RefFacts;

use crate::error::LabError;

/// The top of the checkout that a directory lies in.
///
/// # Errors
/// Says so when there is no git, no repository, or no working tree.
pub fn top(directory: &Path) -> Result<PathBuf, LabError> {
    Err(LabError::NotARepository {
        directory: directory.to_owned(),
    })
}

/// Resolves a ref to its commit.
///
/// # Errors
/// Names the nearest refs when there is none of that name, and says how to deepen a shallow clone.
pub fn resolve(top: &Path, name: &str) -> Result<RefFacts, LabError> {
    Err(LabError::UnknownRef {
        name: name.to_owned(),
        top: top.to_owned(),
        nearest: Vec::new(),
    })
}
