//! What the counted runs sampled, kept for whoever wants to look at it.

use hotproof_diff::Side;
use hotproof_profile::Profile;
use hotproof_profile::transform::merge;

use crate::event::{Event, Observer};

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

/// Makes several profiles one; none is left when they do not add up.
fn fold(held: &mut Vec<Profile>) -> Result<(), String> {
    if held.len() > 1 {
        let whole = merge(std::mem::take(held)).map_err(|error| error.to_string())?;
        held.push(whole);
    }
    Ok(())
}
