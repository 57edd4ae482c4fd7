//! What a quick look promised, held against what was measured end to end.

use crate::{Comparison, Estimate, conclude};

/// A quick look that does not carry over to the whole program, where end to end is trusted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conflict {
    /// Head over base of the quick look.
    pub promised: f64,
    /// Share of the changed functions in a run of base, 0 to 1.
    pub changed_share: f64,
    /// Head over base that this makes of the whole, by Amdahl's law: the changed part as the quick
    /// look has it, the rest as it was.
    pub predicted: f64,
    /// Head over base as it was measured; its interval leaves the prediction out.
    pub measured: Estimate,
}

/// Whether the quick look `local` contradicts the comparison `whole`. `None` when the two agree,
/// when either has nothing to say (no difference in the quick look, no bounded interval or no
/// samples of the whole), and when the quick look is of a commit that `whole` does not compare.
pub fn conflict(local: &Comparison, whole: &Comparison) -> Option<Conflict> {
    let commit = &local.head.commit;
    if commit.is_empty() || ![&whole.base.commit, &whole.head.commit].contains(&commit) {
        return None;
    }
    let (local, whole) = (conclude(local), conclude(whole));
    let promised = local.primary()?.ratio.filter(|ratio| ratio.excludes(1.0))?;
    let measured = whole.primary()?.ratio.filter(Estimate::is_bounded)?;
    let changed_share = whole.attribution.parts?.changed_share.value;
    let predicted = 1.0 - changed_share * (1.0 - promised.value);
    measured.excludes(predicted).then_some(Conflict {
        promised: promised.value,
        changed_share,
        predicted,
        measured,
    })
}

impl Conflict {
    /// The sentence to warn with.
    pub fn sentence(&self) -> String {
        format!(
            "the quick look of `hotproof ab` ({}) does not carry over: with {:.1} % of the run in the changed functions it would make the whole {}, measured is {} to {}; end to end is trusted",
            change(self.promised),
            self.changed_share * 100.0,
            change(self.predicted),
            change(self.measured.low),
            change(self.measured.high)
        )
    }
}

fn change(ratio: f64) -> String {
    let word = if ratio > 1.0 { "slower" } else { "faster" };
    format!("{:.1} % {word}", (ratio - 1.0).abs() * 100.0)
}
