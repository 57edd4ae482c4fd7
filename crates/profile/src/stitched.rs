//! Stacks whose outer callers are likely and not certain.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::{LocationId, Profile, Stack, StackEnd, StackId};

impl Profile {
    /// The same profile without callers of samples that end [`StackEnd::Stitched`]: of them only the
    /// leaf is left, and they count as [`StackEnd::Truncated`]. Whoever attributes time to callers
    /// and has to be right looks at this.
    pub fn without_stitched_callers(&self) -> Cow<'_, Profile> {
        if !self.samples.end.contains(&StackEnd::Stitched) {
            return Cow::Borrowed(self);
        }
        let mut profile = self.clone();
        let roots = self.stacks.iter().filter(|(_, row)| row.parent.is_none());
        // Of equal stacks the first one counts.
        let roots = roots.rev().map(|(id, row)| (row.location, id));
        let mut leaves: HashMap<LocationId, StackId> = roots.collect();
        for row in 0..self.samples.len() {
            if self.samples.end[row] != StackEnd::Stitched {
                continue;
            }
            profile.samples.end[row] = StackEnd::Truncated;
            profile.samples.stack[row] = self.samples.stack[row].map(|stack| {
                let location = self.stacks[stack].location;
                *leaves.entry(location).or_insert_with(|| {
                    profile.stacks.push(Stack {
                        parent: None,
                        location,
                    })
                })
            });
        }
        Cow::Owned(profile)
    }

    /// How many samples end [`StackEnd::Stitched`], each row as often as it stands for samples.
    pub fn stitched_count(&self) -> u64 {
        let rows = 0..self.samples.len();
        let stitched = rows.filter(|&row| self.samples.end[row] == StackEnd::Stitched);
        let row_samples = self.row_samples();
        crate::at_least_none(stitched.map(row_samples).sum())
    }
}
