//! Stacks from the leaf to the root.

use super::stacks::{NewStacks, replace};
use crate::id::{Id, LocationId, StackId};
use crate::profile::Profile;
use crate::rows::{Frame, LocationState};

/// Turns every stack around, the frames within each location too.
pub(super) fn reverse(mut profile: Profile) -> Profile {
    for index in 0..profile.locations.len() {
        let location = LocationId::from_index(index);
        let row = &profile.locations[location];
        if row.state == LocationState::Resolved && row.frames.len() > 1 {
            let ids = row.frame_ids().rev();
            let frames: Vec<Frame> = ids.map(|id| profile.frames[id].clone()).collect();
            profile.set_frames(location, &frames);
        }
    }
    let mut used = vec![false; profile.stacks.len()];
    for stack in profile.samples.stack.iter().flatten() {
        used[stack.index()] = true;
    }
    let mut stacks = NewStacks::default();
    let mut new: Vec<Option<StackId>> = vec![None; profile.stacks.len()];
    for stack in profile.stacks.ids().filter(|stack| used[stack.index()]) {
        new[stack.index()] = stacks.extend(None, profile.path(Some(stack)));
    }
    replace(&mut profile, stacks, &new);
    profile
}
