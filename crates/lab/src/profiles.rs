//! What the counted runs sampled, kept for whoever wants to look at it.

use std::path::Path;

use hotproof_diff::Side;
use hotproof_profile::Profile;
use hotproof_profile::transform::merge;

use crate::event::{Event, Observer};
use crate::layouts::program_of;

/// So many profiles are held before they become one: merging each time would read the whole again
/// for every run.
const HELD: usize = 16;
/// What a reader of the whole has to know.
const JITTERED: &str = "the rate differs by up to 2 % from run to run, and the rate and period told are the first run's";

/// The profiles of both sides, as they come.
#[derive(Debug, Default)]
pub(crate) struct Profiles {
    base: Vec<Profile>,
    head: Vec<Profile>,
    /// Why some are missing.
    failed: Option<String>,
}

impl Profiles {
    /// Keeps the symbolized profile of one run.
    pub(crate) fn add(&mut self, side: Side, mut profile: Profile) {
        let held = match side {
            Side::Base => &mut self.base,
            Side::Head => &mut self.head,
        };
        name_by_program(&mut profile);
        // Rate and period are jittered from pair to pair; what a sample stands for is in its
        // weights, so that they add up all the same.
        if let Some(first) = held.first() {
            profile.meta.rate_hz = first.meta.rate_hz;
            profile.meta.period = first.meta.period;
            profile.meta.notes.push(JITTERED.to_owned());
        }
        held.push(profile);
        if held.len() >= HELD
            && let Err(error) = fold(held)
        {
            self.failed = Some(error);
        }
    }

    /// Hands them over, one for each side that was sampled.
    pub(crate) fn hand_over(mut self, observer: &mut dyn Observer) {
        for (side, held) in [(Side::Base, &mut self.base), (Side::Head, &mut self.head)] {
            if let Err(error) = fold(held) {
                self.failed = Some(error);
            }
            if let Some(profile) = held.pop() {
                observer.profile(side, profile);
            }
        }
        if let Some(error) = self.failed {
            observer.event(&Event::Notice(&format!(
                "the profiles of some runs are missing from what was kept: {error}"
            )));
        }
    }
}

/// Gives all layouts of a program its name: what has no source file is told apart by the image.
fn name_by_program(profile: &mut Profile) {
    for id in profile.images.ids() {
        let path = Path::new(&profile.strings[profile.images[id].path]);
        if let Some(program) = program_of(path) {
            let program = program.to_string_lossy().into_owned();
            profile.images[id].path = profile.strings.intern(&program);
        }
    }
}

/// Makes several profiles one; none is left when they do not add up.
fn fold(held: &mut Vec<Profile>) -> Result<(), String> {
    if held.len() > 1 {
        let whole = merge(std::mem::take(held)).map_err(|error| error.to_string())?;
        held.push(whole);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotproof_profile::{Image, ImageKind};

    /// The start of a program has no source file, and stood once for each layout in a picture.
    #[test]
    fn layouts_have_the_name_of_their_program() {
        let mut profile = Profile::default();
        for path in [
            "/w/bench.layout-00",
            "/w/bench.layout-01",
            "/w/lib.so.6",
            "layout-1",
        ] {
            let path = profile.strings.intern(path);
            profile.images.push(Image {
                path,
                build_id: Vec::new(),
                kind: ImageKind::Elf,
            });
        }
        name_by_program(&mut profile);
        let names: Vec<&str> = profile
            .images
            .iter()
            .map(|(_, image)| &profile.strings[image.path])
            .collect();
        assert_eq!(names, ["/w/bench", "/w/bench", "/w/lib.so.6", "layout-1"]);
    }
}
