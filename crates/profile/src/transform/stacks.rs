//! A new stack table for an old profile.

use rustc_hash::FxHashMap;

use crate::id::{Id, LocationId, StackId};
use crate::profile::Profile;
use crate::rows::{AddressKind, Frame, Function, Location, LocationState, Source, Stack};
use crate::table::Table;

/// Interns paths.
#[derive(Default)]
pub(super) struct NewStacks {
    pub(super) table: Table<StackId, Stack>,
    ids: FxHashMap<Stack, StackId>,
}

impl NewStacks {
    pub(super) fn intern(&mut self, parent: Option<StackId>, location: LocationId) -> StackId {
        let row = Stack { parent, location };
        let table = &mut self.table;
        *self.ids.entry(row).or_insert_with(|| table.push(row))
    }

    /// The path below `parent` through `locations`, those nearest to the root first.
    pub(super) fn extend(
        &mut self,
        parent: Option<StackId>,
        locations: impl IntoIterator<Item = LocationId>,
    ) -> Option<StackId> {
        let step = |parent, location| Some(self.intern(parent, location));
        locations.into_iter().fold(parent, step)
    }
}

/// Gives the profile its new stacks: `new[i]` is what became of stack `i`. A sample whose stack
/// has no frame left gets the frame `[hidden]`.
pub(super) fn replace(profile: &mut Profile, mut stacks: NewStacks, new: &[Option<StackId>]) {
    let mut hidden = None;
    for slot in 0..profile.samples.stack.len() {
        let Some(old) = profile.samples.stack[slot] else {
            continue;
        };
        let kept = new[old.index()];
        let stack = kept.or(hidden).unwrap_or_else(|| {
            let location = named_location(profile, "[hidden]", None);
            stacks.intern(None, location)
        });
        if kept.is_none() {
            hidden = Some(stack);
        }
        profile.samples.stack[slot] = Some(stack);
    }
    profile.stacks = stacks.table;
}

/// A new location with one frame that stands for no single function.
pub(super) fn named_location(
    profile: &mut Profile,
    name: &str,
    file: Option<crate::StringId>,
) -> LocationId {
    let function = profile.functions.push(Function {
        name: profile.strings.intern(name),
        linkage_name: profile.strings.intern(""),
        file,
        line: None,
        image: None,
        source: Source::Import,
    });
    let frame = profile.frames.push(Frame::of(function));
    profile.locations.push(Location {
        frames: frame.0..frame.0 + 1,
        state: LocationState::Resolved,
        ..Location::unresolved(None, 0, AddressKind::Ip)
    })
}
