//! The outside world of a comparison: worktrees, builds, the schedule of runs, machine checks.
//!
//! [`compare`] resolves two git refs, checks each out into a worktree of its own, builds them, runs
//! a command in them in pairs and returns what it measured as a value of `hotproof-diff`. It does
//! not decide (the verdict is a pure function of that value), print, or touch the user's working
//! tree, index or branches; what it makes is removed however it ends.
//!
//! Data goes: refs to commits, commits to worktrees, worktrees to builds, the diff to changed
//! functions, a warm-up pair to rate and metric, A/A pairs and counted pairs to profiles, profiles
//! to tallies, all of it to a `Comparison`.
//!
//! ```no_run
//! use hotproof_lab::{Options, Silent, compare};
//!
//! let options = Options::new(".", "main", "HEAD", vec!["./bench".into()]);
//! let comparison = compare(&options, &mut Silent)?;
//! println!("{} pairs", comparison.pairs.len());
//! # Ok::<(), hotproof_lab::LabError>(())
//! ```

mod ab;
mod borrowed;
mod build;
mod cache;
mod callgrind;
mod cargo;
mod changes;
mod child;
mod coin;
mod command;
mod compare;
mod error;
mod event;
mod facts;
mod filters;
pub mod git;
mod harness;
mod identity;
mod kept;
mod layouts;
mod leftovers;
mod measure;
mod naming;
mod options;
mod output;
mod pairs;
mod profiles;
mod program;
mod resume;
mod rounds;
mod run;
mod schedule;
mod scratch;
mod seed;
mod sites;
mod submodules;
pub mod workload;

pub use ab::ab;
pub use compare::{compare, compare_into};
pub use error::{ErrorClass, LabError};
pub use event::{Checkout, Event, Observer, Silent};
pub use kept::{ClearedBuilds, KeptBuild, builds_limit_bytes, clear_builds, kept_builds};
pub use measure::{Measured, MeasuredRun, measure};
pub use options::{
    Adaptive, Build, Counting, Measurement, Options, Product, ProductKind, RunProfiles, Sampling,
    Workload,
};
