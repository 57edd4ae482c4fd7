//! What a quick look promised, held against what was measured end to end.

use crate::{Comparison, Estimate, conclude};

/// A quick look that does not carry over to the whole program, where end to end is trusted.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflict {
    /// What the quick look ran, before and after.
    pub commands: [String; 2],
    /// Head over base of the quick look.
    pub promised: Estimate,
    /// Share of the changed functions in a run of base, 0 to 1.
    pub changed_share: f64,
    /// Head over base that this makes of the whole, by Amdahl's law: the changed part as the quick
    /// look has it, the rest as it was.
    pub predicted: Estimate,
    /// Head over base as it was measured; its interval has nothing in common with the predicted one.
    pub measured: Estimate,
}

/// Whether the quick look `local` contradicts the comparison `whole`. `None` when the two agree,
/// when either has nothing to say (no difference in the quick look, no bounded interval or no
/// samples of the whole), and when the quick look is of something else: of a commit that `whole` does
/// not compare, or, where it was sampled, of code without any function that changed.
pub fn conflict(local: &Comparison, whole: &Comparison) -> Option<Conflict> {
    let commit = &local.head.commit;
    if commit.is_empty() || ![&whole.base.commit, &whole.head.commit].contains(&commit) {
        return None;
    }
    if !local.functions.is_empty() && !ran_what_changed(local, whole) {
        return None;
    }
    let commands = [local.base.name.clone(), local.head.name.clone()];
    let (local, whole) = (conclude(local), conclude(whole));
    let promised = local.primary()?.ratio.filter(|ratio| ratio.excludes(1.0))?;
    let measured = whole.primary()?.ratio.filter(Estimate::is_bounded)?;
    let share = whole.attribution.parts?.changed_share;
    let predicted = predicted(&promised, &share);
    let apart = measured.high < predicted.low || measured.low > predicted.high;
    apart.then_some(Conflict {
        commands,
        promised,
        changed_share: share.value,
        predicted,
        measured,
    })
}

/// Whether a function that changed is among those that the quick look sampled; by name, since its
/// files need not be those of the commits.
fn ran_what_changed(local: &Comparison, whole: &Comparison) -> bool {
    let mut changed = whole.functions.iter().filter(|it| it.change.is_some());
    changed.any(|it| local.functions.iter().any(|other| other.name == it.name))
}

/// The whole when a part of it changes by `promised`: as far apart as both intervals allow.
fn predicted(promised: &Estimate, share: &Estimate) -> Estimate {
    let whole = |share: f64, ratio: f64| 1.0 - share.clamp(0.0, 1.0) * (1.0 - ratio);
    let ends = [promised.low.max(0.0), promised.high]
        .map(|ratio| [share.low, share.high].map(|share| whole(share, ratio)));
    let ends = ends.as_flattened().iter().copied();
    Estimate {
        value: whole(share.value, promised.value),
        low: ends.clone().fold(f64::INFINITY, f64::min),
        high: ends.fold(f64::NEG_INFINITY, f64::max),
        ..*promised
    }
}

impl Conflict {
    /// The sentence to warn with.
    pub fn sentence(&self) -> String {
        let [before, after] = &self.commands;
        format!(
            "the quick look of `hotproof ab` from `{before}` to `{after}` ({}) does not carry over: with {:.1} % of the run in the changed functions it would make the whole {}, measured is {}; end to end is trusted, if both ran the same code",
            change(self.promised.value),
            self.changed_share * 100.0,
            changes(&self.predicted),
            changes(&self.measured)
        )
    }
}

/// `4.3 to 5.5 % faster`, `0.2 % faster to 0.1 % slower`.
fn changes(ratio: &Estimate) -> String {
    let size = |ratio: f64| format!("{:.1}", (ratio - 1.0).abs() * 100.0);
    let (low, high) = (ratio.low, ratio.high);
    if !ratio.is_bounded() {
        change(ratio.value)
    } else if size(low) == size(high) && (low > 1.0) == (high > 1.0) {
        change(low)
    } else if high <= 1.0 {
        format!("{} to {}", size(high), change(low))
    } else if low >= 1.0 {
        format!("{} to {}", size(low), change(high))
    } else {
        format!("{} to {}", change(low), change(high))
    }
}

fn change(ratio: f64) -> String {
    let word = if ratio > 1.0 { "slower" } else { "faster" };
    format!("{:.1} % {word}", (ratio - 1.0).abs() * 100.0)
}
