//! Functions that the user names: `src/a.rs::f1,f2;src/b.rs::T::g`.

use super::changed::Changed;
use crate::values::Side;

/// One function that the user named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionChoice {
    /// Relative to the top of the repository.
    pub file: String,
    /// Name within the file, whole or its last parts: `T::g` also means `a::T::g`.
    pub name: String,
}

/// A list of functions that cannot be read, or names that fit no function or several.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// Not of the form `FILE::NAME`.
    #[error(
        "cannot read {read:?} in the list of functions: {problem}; write it as \
         \"src/a.rs::f1,f2;src/b.rs::Type::method\""
    )]
    Syntax {
        /// The part that was read.
        read: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The file is at neither ref.
    #[error(
        "there is no file {file:?} at base or head; paths are relative to the top of the repository"
    )]
    NoFile {
        /// As the user wrote it.
        file: String,
    },
    /// The functions of this file are not parsed.
    #[error("functions can be chosen in Rust and C files only, not in {file:?}")]
    NotParsed {
        /// As the user wrote it.
        file: String,
    },
    /// No function of that name in the file.
    #[error("there is no function {name:?} in {file}; the nearest names are: {}", nearest.join(", "))]
    NoFunction {
        /// The file.
        file: String,
        /// As the user wrote it.
        name: String,
        /// Up to five functions of the file, nearest first.
        nearest: Vec<String>,
    },
    /// Several functions of that name in the file.
    #[error("{name:?} fits several functions in {file}: {}; name one of them", fits.join(", "))]
    Ambiguous {
        /// The file.
        file: String,
        /// As the user wrote it.
        name: String,
        /// What it fits, in the order of the file.
        fits: Vec<String>,
    },
}

/// Reads the argument of `--functions`; duplicates are dropped, the order is kept.
///
/// # Errors
/// [`ChoiceError::Syntax`] alone.
pub fn parse_function_list(text: &str) -> Result<Vec<FunctionChoice>, ChoiceError> {
    let _ = text;
    todo!()
}

/// Puts the chosen functions in the place of those that the diff touches; everything else of
/// `changed` stays.
///
/// `sources` gives the text of a file at a ref, `None` when there is no such file. A path is that
/// of head, or of base when only base has it.
///
/// # Errors
/// When a choice fits no function of its file, or several.
pub fn choose(
    choices: &[FunctionChoice],
    changed: &Changed,
    sources: &mut dyn FnMut(Side, &str) -> Option<Vec<u8>>,
) -> Result<Changed, ChoiceError> {
    let _ = (choices, changed, sources);
    todo!()
}
