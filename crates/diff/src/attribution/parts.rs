//! The parts of the change, and what they say together.

use super::functions::{hidden, is_clear};
use super::series::{Sampled, Series};
use super::{Attribution, AttributionKind, Decomposition, FunctionResult, Hot, ShareChange};
use crate::conclusion::{Outcome, mostly_wait};
use crate::statistics::{FEWEST_PAIRS, LEVEL, share_interval};
use crate::values::{
    Change, Comparison, Estimate, EstimateUnit, FunctionRow, Metric, SharedTime, Side, Tally,
};

/// With fewer samples on a side nothing is attributed: not even a share of one per cent would be
/// told from none.
const FEWEST_SAMPLES: u64 = 500;

/// So many movers outside the changed functions are named.
const MOVERS: usize = 3;

/// Whether the changed functions explain the change.
pub(crate) fn attribute(
    comparison: &Comparison,
    sampled: &Sampled<'_>,
    functions: &[FunctionResult],
    outcome: Outcome,
) -> Attribution {
    let parts = (sampled.len() > 0).then(|| decompose(sampled));
    Attribution {
        kind: kind(comparison, sampled, functions, parts.as_ref(), outcome),
        hot: match sampled.is_lossy() {
            true => Hot::Undecided,
            false => hot(comparison, functions, parts.as_ref()),
        },
        parts,
        movers: movers(comparison, functions),
    }
}

fn decompose(sampled: &Sampled<'_>) -> Decomposition {
    let changed = share(sampled, changed_samples);
    let whole = sampled.whole().delta();
    let explained = explained(sampled).delta();
    let unexplained = unexplained(sampled).delta();
    Decomposition {
        explained_share: explained_share(&whole, &explained, &unexplained),
        whole,
        changed: sampled.series(|tally| tally.changed_own).delta(),
        below: sampled.series(|tally| tally.changed_below).delta(),
        explained,
        unexplained,
        changed_share: changed.base,
        changed_share_head: changed.head,
        unjoinable_share: share(sampled, |tally| tally.unjoinable),
        possible_share: share(sampled, |tally| {
            changed_samples(tally).saturating_add(hidden(tally))
        }),
    }
}

/// The share of a count in the samples of a run, at base and at head; more than all are all.
fn share(sampled: &Sampled<'_>, count: impl Fn(&Tally) -> u64) -> ShareChange {
    let of = |side: Side| {
        let runs = sampled.pairs.iter().map(|pair| pair.side(side).tally);
        let shares: Vec<(u64, u64)> = runs
            .map(|tally| (count(tally).min(tally.samples), tally.samples))
            .collect();
        share_interval(&shares, LEVEL)
    };
    ShareChange {
        base: of(Side::Base),
        head: of(Side::Head),
    }
}

/// (E + I) / Delta. Its error is that of U, in which the noise of C has cancelled, over Delta.
fn explained_share(
    whole: &Estimate,
    explained: &Estimate,
    unexplained: &Estimate,
) -> Option<Estimate> {
    if !whole.excludes(0.0) {
        return None;
    }
    let ends = [
        1.0 - unexplained.low / whole.value,
        1.0 - unexplained.high / whole.value,
    ];
    let value = explained.value / whole.value;
    Some(Estimate {
        value,
        low: ends[0].min(ends[1]).min(value),
        high: ends[0].max(ends[1]).max(value),
        method: "ratio of Hodges-Lehmann times, interval from the unexplained part",
        unit: EstimateUnit::Ratio,
        ..*whole
    })
}

fn kind(
    comparison: &Comparison,
    sampled: &Sampled<'_>,
    functions: &[FunctionResult],
    parts: Option<&Decomposition>,
    outcome: Outcome,
) -> AttributionKind {
    let any_changed = comparison.functions.iter().any(|f| f.change.is_some());
    let decided = matches!(outcome, Outcome::Faster | Outcome::Slower);
    if !comparison.code_changed {
        return AttributionKind::NoCodeChanged;
    }
    let Some(parts) = parts.filter(|_| comparison.metric != Metric::PeakMemory) else {
        return AttributionKind::Unavailable;
    };
    if comparison.is_of_commands() {
        return AttributionKind::NotAttributable;
    }
    let waiting_moved = comparison.metric == Metric::WallTime
        && comparison.shared_time == SharedTime::Cpu
        && decided
        && !parts.whole.excludes(0.0);
    let fewest = sampled.samples(Side::Base).min(sampled.samples(Side::Head));
    if sampled.is_lossy() {
        AttributionKind::TooManyLost
    } else if waiting_moved && mostly_wait(comparison) {
        // More samples could not say more.
        AttributionKind::Waiting
    } else if fewest < FEWEST_SAMPLES || sampled.len() < FEWEST_PAIRS {
        AttributionKind::TooFewSamples
    } else if !any_changed {
        AttributionKind::NotAttributable
    } else if waiting_moved {
        AttributionKind::Waiting
    } else {
        let mei_ns = sampled.unit_ns * comparison.rule.minimum_effect;
        let kind = kind_of_parts(parts, outcome, mei_ns);
        let unseen = is_unseen(comparison, functions, parts);
        match kind {
            AttributionKind::NothingMoved if unseen => AttributionKind::NotJoinable,
            AttributionKind::NotExplained if unseen => {
                let unjoinable = sampled.series(|tally| tally.unjoinable).delta();
                if is_still(&unjoinable, &parts.whole, mei_ns) {
                    kind
                } else {
                    AttributionKind::NotJoinable
                }
            }
            kind => kind,
        }
    }
}

/// Whether a changed function that was not seen to be hot may lie in code without a declared
/// place that holds more than the floor.
fn is_unseen(comparison: &Comparison, functions: &[FunctionResult], parts: &Decomposition) -> bool {
    let share = &parts.unjoinable_share;
    let floor = comparison.rule.hot_floor;
    let is_changed = |row: FunctionRow| comparison.functions[row].change.is_some();
    share.base.high.max(share.head.high) >= floor
        && share.base.value.max(share.head.value) > 0.0
        && functions
            .iter()
            .any(|result| is_changed(result.row) && result.hot != Hot::Yes)
}

fn kind_of_parts(parts: &Decomposition, outcome: Outcome, mei_ns: f64) -> AttributionKind {
    // The test that decided may have seen the whole move although its interval, which later pairs
    // have changed, holds 0 again.
    let decided = matches!(outcome, Outcome::Faster | Outcome::Slower);
    let moved = decided || parts.whole.excludes(0.0);
    let against = parts.explained.value * parts.whole.value < 0.0;
    match (moved, parts.explained.excludes(0.0)) {
        (false, false) => AttributionKind::NothingMoved,
        (false, true) => AttributionKind::Masked,
        (true, false) if fits_both(&parts.whole, &parts.explained) => {
            AttributionKind::TooFewSamples
        }
        (true, false) => AttributionKind::NotExplained,
        // The changed functions went one way and the whole the other.
        (true, true) if against => AttributionKind::NotExplained,
        (true, true) => {
            if is_still(&parts.unexplained, &parts.whole, mei_ns) {
                AttributionKind::Explained
            } else {
                AttributionKind::PartlyExplained
            }
        }
    }
}

/// Whether the changed functions may have stood still and may as well carry the whole change.
fn fits_both(whole: &Estimate, explained: &Estimate) -> bool {
    !explained.excludes(0.0) && !explained.excludes(whole.value)
}

/// Whether all that the rest may have moved by is small beside the change.
fn is_still(unexplained: &Estimate, whole: &Estimate, mei_ns: f64) -> bool {
    let rest = unexplained.low.abs().max(unexplained.high.abs());
    rest <= (0.25 * whole.value.abs()).max(mei_ns / 2.0)
}

/// Whether the changed functions carry the change and the rest may well have stood still, but is
/// not known well enough to say so.
pub(crate) fn is_loose(sampled: &Sampled<'_>, minimum_effect: f64) -> bool {
    let (whole, rest) = (sampled.whole().delta(), unexplained(sampled).delta());
    sampled.len() > 0
        && explained(sampled).delta().excludes(0.0)
        && !rest.excludes(0.0)
        && !is_still(&rest, &whole, sampled.unit_ns * minimum_effect)
}

/// Whether more pairs are needed to tell a gain that the changed functions carry from one that
/// they do not; false when nothing was sampled.
pub(crate) fn is_open(sampled: &Sampled<'_>) -> bool {
    sampled.len() > 0 && fits_both(&sampled.whole().delta(), &explained(sampled).delta())
}

/// Time of the changed functions and what they call: C and D.
fn explained(sampled: &Sampled<'_>) -> Series {
    sampled.series(changed_samples)
}

/// Time of everything else: R.
fn unexplained(sampled: &Sampled<'_>) -> Series {
    sampled.series(|tally| tally.samples - changed_samples(tally))
}

fn changed_samples(tally: &Tally) -> u64 {
    let both = tally.changed_own.saturating_add(tally.changed_below);
    both.min(tally.samples)
}

/// Hot when any changed function is or all together are, not hot when each is known not to be and
/// all together are known not to be.
fn hot(
    comparison: &Comparison,
    functions: &[FunctionResult],
    parts: Option<&Decomposition>,
) -> Hot {
    let each = each_hot(comparison, functions);
    let Some(parts) = parts.filter(|_| each != Hot::Yes) else {
        return each;
    };
    let floor = comparison.rule.hot_floor;
    let possible = &parts.possible_share;
    let base = Hot::of(&parts.changed_share, &possible.base, floor);
    let changes = comparison.functions.iter().filter_map(|f| f.change);
    let mut all = match changes.clone().any(|change| change != Change::Added) {
        true => vec![base],
        false => Vec::new(),
    };
    if changes.clone().any(|change| change == Change::Added) {
        all.push(Hot::of(&parts.changed_share_head, &possible.head, floor));
    }
    all.into_iter().fold(each, either)
}

/// Hot when any changed function is, not hot when each is known not to be.
fn each_hot(comparison: &Comparison, functions: &[FunctionResult]) -> Hot {
    let mut changed = functions
        .iter()
        .filter(|result| comparison.functions[result.row].change.is_some())
        .map(|result| result.hot)
        .peekable();
    if changed.peek().is_none() {
        return Hot::Undecided;
    }
    changed.fold(Hot::No, either)
}

/// Whether one of two is hot.
fn either(one: Hot, other: Hot) -> Hot {
    match (one, other) {
        (Hot::Yes, _) | (_, Hot::Yes) => Hot::Yes,
        (Hot::No, Hot::No) => Hot::No,
        _ => Hot::Undecided,
    }
}

/// Those that are known to have moved while no changed function was on the stack: what a changed
/// function calls moves with it and is explained.
fn movers(comparison: &Comparison, functions: &[FunctionResult]) -> Vec<FunctionRow> {
    let mut moved: Vec<&FunctionResult> = functions
        .iter()
        .filter(|result| comparison.functions[result.row].change.is_none())
        .filter(|result| is_clear(&result.rest))
        .collect();
    // Equals keep the order of the rows.
    moved.sort_by(|a, b| b.rest.value.abs().total_cmp(&a.rest.value.abs()));
    moved.iter().take(MOVERS).map(|result| result.row).collect()
}
