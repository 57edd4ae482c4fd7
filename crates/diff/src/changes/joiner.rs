//! Maps the functions of profiles of both refs to the rows of one table, and counts samples.

use hotproof_profile::Profile;

use super::changed::Changed;
use crate::values::{Function, Side, Tally};

/// Joins the functions of symbolized profiles to one table of functions for both refs.
///
/// The changed functions are the first rows, in their order; the others follow as they are seen.
pub struct Joiner<'a> {
    sources: Box<dyn FnMut(&str) -> Option<Vec<u8>> + 'a>,
}

impl<'a> Joiner<'a> {
    /// A table that holds the changed functions.
    pub fn new(changed: &Changed) -> Self {
        let _ = changed;
        todo!()
    }

    /// States where a ref's files lie. `roots` are absolute paths of its worktree, all spellings
    /// that debug information may use (both copies of base, resolved symbolic links); `sources`
    /// gives the text of a file at the ref, by path relative to the root, and is asked at most
    /// once for each file. `None` means that there is no such file.
    pub fn side(
        &mut self,
        side: Side,
        roots: &[&str],
        sources: impl FnMut(&str) -> Option<Vec<u8>> + 'a,
    ) {
        let _ = (side, roots, sources);
        todo!()
    }

    /// Counts the samples of one run of `side` by row. A run of the second copy of base is a run
    /// of base.
    pub fn tally(&mut self, side: Side, profile: &Profile) -> Tally {
        let _ = (side, profile, &mut self.sources);
        todo!()
    }

    /// The table so far; rows are only ever added.
    pub fn functions(&self) -> Vec<Function> {
        todo!()
    }
}
