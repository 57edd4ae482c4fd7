//! What changed between two refs: functions, and the rest.

use std::collections::BTreeMap;

use super::diff::FileDiff;
use crate::values::{Change, OutsideChange};

/// One file of a diff with its text at both refs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSources {
    /// Its entry in the diff.
    pub diff: FileDiff,
    /// The blob at base; `None` when there is none, or when it was not read (binary files).
    pub base: Option<Vec<u8>>,
    /// The blob at head; `None` when there is none, or when it was not read (binary files).
    pub head: Option<Vec<u8>>,
}

/// Where a function lies at one ref. Lines are counted from 1, and the last is included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Relative to the top of the repository.
    pub file: String,
    /// Name within the file.
    pub name: String,
    /// 1 for the first function of this name in the file.
    pub ordinal: u32,
    /// First line, attributes and documentation included.
    pub first_line: u32,
    /// Line of the name.
    pub signature_line: u32,
    /// Last line.
    pub last_line: u32,
}

impl Place {
    /// What identifies the function at its ref: `src/a.rs::T::f`, `src/a.rs::f#2`.
    pub fn key(&self) -> String {
        match self.ordinal {
            0 | 1 => format!("{}::{}", self.file, self.name),
            n => format!("{}::{}#{n}", self.file, self.name),
        }
    }
}

/// A function that a diff touches, or that the user chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFunction {
    /// What a person reads: `parse::number`.
    pub name: String,
    /// The key of its row, the same for both refs and unique: that of head, else that of base.
    pub key: String,
    /// How it changed. A renamed function is `Modified` and has two places.
    pub change: Change,
    /// At base; `None` when it was added.
    pub base: Option<Place>,
    /// At head; `None` when it was removed.
    pub head: Option<Place>,
}

/// What changed between two refs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changed {
    /// Functions, by file at head (else at base), then by line.
    pub functions: Vec<ChangedFunction>,
    /// Changes that lie in no function, by file, then by line.
    pub outside: Vec<OutsideChange>,
    /// Whether anything but comments, layout and documentation changed.
    pub code_changed: bool,
    /// Key at base to key of the row, where they differ.
    pub(crate) base_keys: BTreeMap<String, String>,
    /// Path at base to path at head, where they differ.
    pub(crate) renames: BTreeMap<String, String>,
}

/// Finds what changed. The order of `files` does not matter.
pub fn changed(files: &[FileSources]) -> Changed {
    let _ = files;
    todo!()
}
