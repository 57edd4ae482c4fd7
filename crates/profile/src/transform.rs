//! Transformations of a profile, the same for every command: which samples are looked at, which
//! frames they show, and several profiles as one.
//!
//! A [`Transform`] works in a fixed order. First samples are chosen, by weight, time, process,
//! thread, and what lies on their stacks before anything is hidden ([`Transform::select`], then
//! [`Transform::in_focus`]). Then frames are rewritten: hidden, pruned, reduced to physical
//! functions, grouped, reversed, stripped of folders ([`Transform::rewrite`]). Choosing drops
//! samples and says so in the profile's notes; rewriting keeps every sample, its place and its
//! weights.
//!
//! The predicates see what pprof's options of the same names see: the name of a function, its
//! source file, and the path of its image. Regular expressions are the caller's affair.

mod frames;
mod group;
mod matching;
mod merge;
mod off_cpu;
mod paths;
mod reverse;
mod select;
mod series;
mod stacks;

use std::fmt;

use crate::code::Inline;
use crate::profile::Profile;

pub use merge::{MergeError, merge};
pub use off_cpu::{OFF_CPU, WALL, holds_off_cpu, on_cpu};
pub use select::{keep, left_nothing, within};
pub use series::Series;

/// Whether a name is meant.
pub type Predicate<'a> = &'a dyn Fn(&str) -> bool;

/// A stretch of time, counted from the first sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First nanosecond.
    pub from_ns: u64,
    /// End, exclusive.
    pub to_ns: u64,
}

/// Which end of the stacks is called the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Where the thread began.
    #[default]
    FromRoot,
    /// Where the sample was taken: callers appear as callees, and the self weight of a function
    /// is that of the threads it began.
    Reversed,
}

/// What frames are gathered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// A root frame `thread NAME` above each stack.
    Thread,
    /// A root frame `process NAME` above each stack.
    Process,
    /// Frames become the file names of their images.
    Image,
    /// Frames become the crates of their functions, where there is none their images.
    Crate,
    /// Frames become the source files of their functions, where there is none their images.
    File,
}

/// What becomes of paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Paths {
    /// They stay.
    #[default]
    Keep,
    /// They lose the folders that say where they lay on one machine.
    Strip,
}

/// What is done to a profile; the default changes nothing.
#[derive(Clone, Copy)]
pub struct Transform<'a> {
    /// Keeps the one weight of this name, and the samples that have some of it; of a recording of
    /// time off the CPU also [`OFF_CPU`] and [`WALL`], which are sums of its weights.
    pub weight: Option<&'a str>,
    /// Keeps the samples taken in it.
    pub window: Option<Window>,
    /// Keeps the samples of processes that have this name or this pid.
    pub process: Option<&'a str>,
    /// Keeps the samples of threads that have this name or this tid.
    pub thread: Option<&'a str>,
    /// Drops the samples with a matching frame.
    pub ignore: Option<Predicate<'a>>,
    /// Keeps the samples with a matching frame.
    pub focus: Option<Predicate<'a>>,
    /// Removes the matching frames.
    pub hide: Option<Predicate<'a>>,
    /// Removes all frames but the matching ones.
    pub show: Option<Predicate<'a>>,
    /// Removes the frames below the matching frame that is nearest to the leaf; names alone count.
    pub prune_from: Option<Predicate<'a>>,
    /// Whether inlined functions stay frames of their own.
    pub inline: Inline,
    /// What frames are gathered by.
    pub group: Option<Group>,
    /// Which end becomes the root.
    pub direction: Direction,
    /// What becomes of paths.
    pub paths: Paths,
}

impl Default for Transform<'_> {
    fn default() -> Self {
        Transform {
            weight: None,
            window: None,
            process: None,
            thread: None,
            ignore: None,
            focus: None,
            hide: None,
            show: None,
            prune_from: None,
            inline: Inline::Expand,
            group: None,
            direction: Direction::FromRoot,
            paths: Paths::Keep,
        }
    }
}

impl fmt::Debug for Transform<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transform")
            .field("weight", &self.weight)
            .field("window", &self.window)
            .field("process", &self.process)
            .field("thread", &self.thread)
            .field("inline", &self.inline)
            .field("group", &self.group)
            .field("direction", &self.direction)
            .field("paths", &self.paths)
            .finish_non_exhaustive()
    }
}

/// Why a profile cannot be transformed as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransformError {
    /// No weight has the name.
    #[error("the profile has no weight `{asked}`; it has {known}")]
    NoWeight {
        /// What was asked for.
        asked: String,
        /// The names that there are.
        known: String,
    },
    /// No thread has the name or number.
    #[error("the profile has no {what} `{asked}`; it has {known}")]
    NobodyOf {
        /// `thread` or `process`.
        what: &'static str,
        /// What was asked for.
        asked: String,
        /// The names that there are.
        known: String,
    },
    /// The samples say no time.
    #[error(
        "the {samples} samples carry no times, so no stretch of time can be cut out; formats like pprof and folded stacks do not keep them"
    )]
    NoTimes {
        /// How many samples there are.
        samples: usize,
    },
}

impl Transform<'_> {
    /// Does everything: chooses samples, by focus too, and rewrites their frames.
    ///
    /// # Errors
    /// When a weight, thread or process is asked for that the profile does not have, or a time of
    /// samples that carry none.
    pub fn apply(&self, profile: Profile) -> Result<Profile, TransformError> {
        let selected = self.select(profile)?;
        let focused = match self.in_focus(&selected) {
            Some(mask) => keep(selected, &mask, "focus"),
            None => selected,
        };
        Ok(self.rewrite(focused))
    }

    /// Chooses samples by weight, time, process, thread and `ignore`, not yet by `focus`.
    ///
    /// # Errors
    /// As [`Transform::apply`].
    pub fn select(&self, profile: Profile) -> Result<Profile, TransformError> {
        select::select(self, profile)
    }

    /// Which samples are in focus, one flag a sample; `None` when all are, because none was asked
    /// for. To be asked of a profile that is not yet rewritten, for a focus sees hidden frames.
    pub fn in_focus(&self, profile: &Profile) -> Option<Vec<bool>> {
        self.focus
            .map(|focus| matching::samples_with(profile, focus))
    }

    /// Rewrites frames. The samples stay, row by row; a sample that has no frame left gets one
    /// that is called `[hidden]`.
    #[must_use]
    pub fn rewrite(&self, mut profile: Profile) -> Profile {
        if self.hide.is_some() || self.show.is_some() {
            profile = frames::retain(profile, self.hide, self.show);
        }
        if let Some(from) = self.prune_from {
            profile = frames::prune_from(profile, from);
        }
        if self.inline == Inline::Physical {
            profile = frames::physical(profile);
        }
        // Before frames are gathered, for some are called by the path of their file from then on.
        if self.paths == Paths::Strip {
            profile = paths::strip(&profile);
        }
        if let Some(group) = self.group {
            profile = group::group(profile, group);
        }
        if self.direction == Direction::Reversed {
            profile = reverse::reverse(profile);
        }
        profile
    }
}
