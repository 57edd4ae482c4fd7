//! Which functions a diff touches, and which samples belong to them.
//!
//! The way of the data: the bytes that `git diff` printed ([`parse_diff`]), with the source of
//! each file at both refs ([`FileSources`]), give the touched functions and the changes outside of
//! any ([`changed`]); or the user names functions ([`parse_function_list`], [`choose`]). A
//! [`Joiner`] maps the functions of symbolized profiles of both refs to the rows of one table by
//! declared file and line, and counts samples by row.
//!
//! Nothing here runs git, reads a file or a clock.
//!
//! ```
//! use hotproof_diff::changes::{FileSources, changed, parse_diff};
//!
//! let printed = b"diff --git a/src/a.rs b/src/a.rs\n@@ -2 +2 @@\n-    1\n+    2\n";
//! let files: Vec<FileSources> = parse_diff(printed)
//!     .unwrap()
//!     .into_iter()
//!     .map(|diff| FileSources {
//!         diff,
//!         base: Some(b"fn one() -> u8 {\n    1\n}\n".to_vec()),
//!         head: Some(b"fn one() -> u8 {\n    2\n}\n".to_vec()),
//!     })
//!     .collect();
//! let changed = changed(&files);
//! assert_eq!(changed.functions[0].key, "src/a.rs::one");
//! assert_eq!(changed.functions[0].name, "a::one");
//! ```

mod c;
mod changed;
mod choice;
mod counting;
mod cpp;
mod dependencies;
mod diff;
mod fields;
mod file_kind;
mod flags;
mod frames;
mod go;
mod grammar;
mod identity;
mod imports;
mod joiner;
mod ladder;
mod outline;
mod pairing;
mod python;
mod rust;
mod script;
mod tally;
mod uses;
mod walk;

pub use changed::{Changed, ChangedFunction, FileSources, Place, changed};
pub use choice::{ChoiceError, FunctionChoice, choose, parse_function_list};
pub use counting::{CallCost, Counts, under};
pub use dependencies::Dependency;
pub use diff::{
    Content, DiffError, FileDiff, GIT_DIFF_ARGUMENTS, Hunk, LineRange, RepoPath, parse_diff,
};
pub(crate) use frames::is_script;
pub use identity::{stable_file, stable_image, stable_name, without_clone_suffix};
pub use joiner::Joiner;
pub use ladder::{
    Closures, FunctionFacts, FunctionGroup, FunctionGroups, FunctionMatch, Moves, Rung,
    match_groups,
};
pub use outline::{FunctionKind, Language, SourceFunction, functions};
pub use tally::Elapsed;
pub use uses::{SourceSearch, UsesLeftOut};
