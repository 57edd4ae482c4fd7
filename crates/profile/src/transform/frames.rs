//! Removing frames: hidden ones, those below a function, inlined ones.

use super::Predicate;
use super::matching::Hits;
use super::stacks::{NewStacks, replace};
use crate::code::{Code, Inline};
use crate::id::{Id, LocationId, StackId};
use crate::profile::Profile;
use crate::rows::{Frame, Location, LocationState};

/// Removes the frames that `hide` matches and those that `show` does not.
pub(super) fn retain(
    mut profile: Profile,
    hide: Option<Predicate<'_>>,
    show: Option<Predicate<'_>>,
) -> Profile {
    let hide = hide.map(|predicate| Hits::of(&profile, predicate));
    let show = show.map(|predicate| Hits::of(&profile, predicate));
    let mut gone = vec![false; profile.locations.len()];
    for location in profile.locations.ids() {
        let matches = |hits: &Hits, code| hits.image_at(&profile, location) || hits.code(code);
        let stays = |code: Code| {
            !hide.as_ref().is_some_and(|hits| matches(hits, code))
                && show.as_ref().is_none_or(|hits| matches(hits, code))
        };
        let kept: Vec<bool> = profile
            .code_at(location, Inline::Expand)
            .map(stays)
            .collect();
        if kept.iter().all(|&kept| !kept) {
            gone[location.index()] = true;
        } else if kept.contains(&false) {
            keep_frames(&mut profile, location, &kept);
        }
    }
    let mut stacks = NewStacks::default();
    let mut new: Vec<Option<StackId>> = Vec::with_capacity(profile.stacks.len());
    for (_, row) in profile.stacks.iter() {
        let parent = row.parent.and_then(|id| new[id.index()]);
        new.push(if gone[row.location.index()] {
            parent
        } else {
            Some(stacks.intern(parent, row.location))
        });
    }
    replace(&mut profile, stacks, &new);
    profile
}

/// Leaves a location with some of its frames.
fn keep_frames(profile: &mut Profile, location: LocationId, kept: &[bool]) {
    let ids = profile.locations[location].frame_ids().zip(kept);
    let frames: Vec<Frame> = ids
        .filter(|&(_, &kept)| kept)
        .map(|(id, _)| profile.frames[id].clone())
        .collect();
    profile.set_frames(location, &frames);
}

/// Removes the frames below the matching frame that is nearest to the leaf.
pub(super) fn prune_from(mut profile: Profile, from: Predicate<'_>) -> Profile {
    let hits = Hits::of_names(&profile, from);
    let old_locations = profile.locations.len();
    let mut cut: Vec<Option<LocationId>> = Vec::with_capacity(old_locations);
    for index in 0..old_locations {
        let location = LocationId::from_index(index);
        let first = profile
            .code_at(location, Inline::Expand)
            .position(|code| hits.code(code));
        cut.push(first.map(|first| without_inner(&mut profile, location, first)));
    }
    let mut stacks = NewStacks::default();
    // Of each old stack: the whole of it, and what is left after pruning if it matches.
    let mut new: Vec<(StackId, Option<StackId>)> = Vec::with_capacity(profile.stacks.len());
    for (_, row) in profile.stacks.iter() {
        let parent = row.parent.map(|id| new[id.index()]);
        let above = parent.map(|(whole, _)| whole);
        let whole = stacks.intern(above, row.location);
        let pruned = match cut[row.location.index()] {
            Some(location) => Some(stacks.intern(above, location)),
            None => parent.and_then(|(_, pruned)| pruned),
        };
        new.push((whole, pruned));
    }
    let new: Vec<Option<StackId>> = new
        .into_iter()
        .map(|(whole, pruned)| Some(pruned.unwrap_or(whole)))
        .collect();
    replace(&mut profile, stacks, &new);
    profile
}

/// The location without its `count` innermost frames.
fn without_inner(profile: &mut Profile, location: LocationId, count: usize) -> LocationId {
    if count == 0 {
        return location;
    }
    let row = profile.locations[location].clone();
    // A position among the frames of one location, which are counted in 32 bits.
    let start = row.frames.start + count as u32;
    profile.locations.push(Location {
        frames: start..row.frames.end,
        ..row
    })
}

/// Leaves each location with the function that its machine code belongs to.
pub(super) fn physical(mut profile: Profile) -> Profile {
    for index in 0..profile.locations.len() {
        let row = &mut profile.locations[LocationId::from_index(index)];
        if row.state == LocationState::Resolved && !row.frames.is_empty() {
            row.frames.start = row.frames.end - 1;
        }
    }
    profile
}
