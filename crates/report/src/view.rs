//! Views of a recording with time off the CPU: one weight, which is not time on the CPU alone.

use hotproof_profile::transform::{OFF_CPU, WALL};
use hotproof_profile::{BLOCKED, ELAPSED, PREEMPTED, Profile, Unit};

use crate::numbers::{count, counted};

/// What the weight of a view is called; `None` for time on the CPU and for what is no time.
pub(crate) fn time_of(weight: &str) -> Option<&'static str> {
    Some(match weight {
        WALL => "wall time of all threads",
        OFF_CPU => "time off the CPU",
        BLOCKED => "time blocked",
        PREEMPTED => "time waiting for a CPU",
        ELAPSED => "elapsed time",
        _ => return None,
    })
}

/// A profile that is such a view.
pub(crate) struct View {
    /// What its weight is called.
    pub(crate) what: &'static str,
    /// How many rows it has, and of what.
    pub(crate) rows: String,
    /// All of the weight, in nanoseconds.
    pub(crate) whole_ns: f64,
}

impl View {
    /// `None` for samples of time on the CPU, and for anything else.
    pub(crate) fn of(profile: &Profile) -> Option<View> {
        let [weight] = &profile.weights[..] else {
            return None;
        };
        let what = time_of(&weight.name).filter(|_| weight.unit == Unit::Nanoseconds)?;
        let all = profile.sample_count();
        let rows = match &*weight.name {
            WALL | ELAPSED => format!("{} samples and waits", count(all)),
            _ => counted(all, "wait"),
        };
        Some(View {
            what,
            rows,
            whole_ns: profile.total_weight(0) as f64,
        })
    }
}
