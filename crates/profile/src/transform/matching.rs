//! What a predicate over names matches in a profile.

use super::Predicate;
use crate::code::{Code, Inline};
use crate::id::{Id, LocationId};
use crate::profile::Profile;

/// The functions and images that a predicate matches.
pub(super) struct Hits {
    functions: Vec<bool>,
    /// By name of the code in it, or by path.
    images: Vec<bool>,
    unmapped: bool,
}

impl Hits {
    /// By name, source file and image.
    pub(super) fn of(profile: &Profile, predicate: Predicate<'_>) -> Self {
        let text = |id| predicate(&profile.strings[id]);
        let function = |row: &crate::Function| text(row.name) || row.file.is_some_and(text);
        let image =
            |id| text(profile.images[id].path) || predicate(&profile.code_name(Code::Unnamed(id)));
        Hits {
            functions: profile.functions.rows().iter().map(function).collect(),
            images: profile.images.ids().map(image).collect(),
            unmapped: predicate(&profile.code_name(Code::Unmapped)),
        }
    }

    /// By name alone.
    pub(super) fn of_names(profile: &Profile, predicate: Predicate<'_>) -> Self {
        let function = |id| predicate(&profile.code_name(Code::Function(id)));
        let image = |id| predicate(&profile.code_name(Code::Unnamed(id)));
        Hits {
            functions: profile.functions.ids().map(function).collect(),
            images: profile.images.ids().map(image).collect(),
            unmapped: predicate(&profile.code_name(Code::Unmapped)),
        }
    }

    /// Whether the code itself matches, without the image that it lies in.
    pub(super) fn code(&self, code: Code) -> bool {
        match code {
            Code::Function(id) => self.functions[id.index()],
            Code::Unnamed(id) => self.images[id.index()],
            Code::Unmapped => self.unmapped,
        }
    }

    /// Whether the image of a location matches, and with it all code there.
    pub(super) fn image_at(&self, profile: &Profile, location: LocationId) -> bool {
        let image = profile.locations[location].image;
        image.is_some_and(|id| self.images[id.index()])
    }

    /// Whether any code at a location matches, or its image.
    fn location(&self, profile: &Profile, location: LocationId) -> bool {
        let mut codes = profile.code_at(location, Inline::Expand);
        self.image_at(profile, location) || codes.any(|code| self.code(code))
    }
}

/// Which samples have a matching frame; one without a stack counts as code in no mapping.
pub(super) fn samples_with(profile: &Profile, predicate: Predicate<'_>) -> Vec<bool> {
    let hits = Hits::of(profile, predicate);
    let mut stacks: Vec<bool> = Vec::with_capacity(profile.stacks.len());
    for (_, row) in profile.stacks.iter() {
        let above = row.parent.is_some_and(|parent| stacks[parent.index()]);
        stacks.push(above || hits.location(profile, row.location));
    }
    let of_sample = |stack: &Option<crate::StackId>| match stack {
        Some(id) => stacks[id.index()],
        None => hits.unmapped,
    };
    profile.samples.stack.iter().map(of_sample).collect()
}
