//! Weights that are no time, in a format whose viewers know time alone.

use hotproof_profile::{Profile, Unit, Weight};
use serde::{Deserialize, Serialize};

use crate::json::Word;

/// How long one of a weight that is no time is shown.
pub(super) const SHOWN_AS_NS: i64 = 1_000_000;

/// What the time in a trace stands for; in the trace's metadata, for us.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownWeight<'a> {
    name: &'a str,
    unit: &'a str,
    /// So many nanoseconds are one.
    shown_as_ns: i64,
}

impl<'a> ShownWeight<'a> {
    /// `None` for time, which a trace shows as it is.
    pub(super) fn of(weight: &'a Weight) -> Option<Self> {
        Some(ShownWeight {
            name: weight.name.as_str(),
            unit: spelling(weight.unit)?,
            shown_as_ns: SHOWN_AS_NS,
        })
    }
}

/// The same as it is read; whatever another program has in its place.
#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct WeightWords {
    #[serde(default)]
    name: Word,
    #[serde(default)]
    unit: Word,
    #[serde(default)]
    shown_as_ns: Word,
}

impl WeightWords {
    /// Makes of the time of a profile, its first weight, what it stands for. Whatever another
    /// program has done to the times stays time: then one of them is no whole number of these.
    pub(super) fn restore(self, profile: &mut Profile) {
        let units = [Unit::Count, Unit::Bytes, Unit::Cycles, Unit::Instructions];
        let named = |unit: &Unit| spelling(*unit) == Some(&*self.unit);
        let shown_as_ns = self.shown_as_ns.parse().unwrap_or(0);
        let (Some(unit), Some(column)) = (
            units.into_iter().find(named),
            profile.samples.weights.first_mut(),
        ) else {
            return;
        };
        let is_whole = |&time: &i64| time.checked_rem(shown_as_ns) == Some(0);
        if shown_as_ns <= 0 || !column.iter().all(is_whole) {
            return;
        }
        for time in column {
            *time /= shown_as_ns;
        }
        let mut others = 1..profile.weights.len();
        if let Some(taken) = others.find(|&other| profile.weights[other].name == *self.name) {
            // The number of samples that the trace has, where that was what was weighed.
            profile.weights.remove(taken);
            profile.samples.weights.remove(taken);
        }
        profile.weights[0] = Weight {
            name: self.name.0,
            unit,
        };
    }
}

fn spelling(unit: Unit) -> Option<&'static str> {
    match unit {
        Unit::Nanoseconds => None,
        Unit::Count => Some("count"),
        Unit::Bytes => Some("bytes"),
        Unit::Cycles => Some("cycles"),
        Unit::Instructions => Some("instructions"),
    }
}
