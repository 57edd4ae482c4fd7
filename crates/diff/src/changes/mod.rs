//! Which functions a diff touches, and which samples belong to them.
//!
//! The way of the data: the bytes that `git diff` printed ([`parse_diff`]), with the source of
//! each file at both refs ([`FileSources`]), give the touched functions and the changes outside of
//! any ([`changed`]); or the user names functions ([`parse_function_list`], [`choose`]). A
//! [`Joiner`] maps the functions of symbolized profiles of both refs to the rows of one table by
//! declared file and line, and counts samples by row.
//!
//! Nothing here runs git, reads a file or a clock.

mod c;
mod changed;
mod choice;
mod diff;
mod file_kind;
mod identity;
mod joiner;
mod outline;
mod pairing;
mod rust;
mod tally;

pub use changed::{Changed, ChangedFunction, FileSources, Place, changed};
pub use choice::{ChoiceError, FunctionChoice, choose, parse_function_list};
pub use diff::{
    Content, DiffError, FileDiff, GIT_DIFF_ARGUMENTS, Hunk, LineRange, RepoPath, parse_diff,
};
pub use joiner::Joiner;
pub use outline::{FunctionKind, Language, SourceFunction, functions};
