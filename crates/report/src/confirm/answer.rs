//! The decision.

use hotproof_diff::{Estimate, LEAST_CAPTURED};
use std::borrow::Cow;

use hotproof_profile::{Profile, StackEnd, StackWeight, at_least_none};

use super::interval::{FEWEST_SAMPLES, RunShare, estimate};
use super::matching::{Match, Target, find};
use super::shape::Shape;
use super::{Answer, ConfirmError};
use crate::census::{Measure, counted_event};
use crate::names::clean;
use crate::quality::Quality;

/// Whether a function is on the hot path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The lower end of its interval is above the floor.
    Yes,
    /// The upper end of its interval is below the floor, even if it were on every stack that was
    /// cut.
    No,
    /// The samples do not tell.
    Undecided,
}

/// What was found of one function. Shares are fractions of `time` of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Confirmation {
    /// What was asked for.
    pub pattern: String,
    /// The function.
    pub name: String,
    /// Where it is declared; may be empty.
    pub place: String,
    /// Which time the shares are of, for people: CPU time, unless a view of time off the CPU is
    /// asked.
    pub time: &'static str,
    /// The decision.
    pub decision: Decision,
    /// The floor that it was taken against.
    pub floor: f64,
    /// Anywhere on the stack, with its interval.
    pub total: Estimate,
    /// Innermost frame.
    pub self_share: f64,
    /// Innermost frame but for inlined library code.
    pub own_share: f64,
    /// Samples with it on the stack, all runs.
    pub hits: u64,
    /// All samples of all runs.
    pub samples: u64,
    /// How many runs.
    pub runs: usize,
    /// The functions that it is inlined into, with their shares of its own weight, largest first;
    /// what is missing to 1 is not inlined.
    pub inlined_into: Vec<(String, f64)>,
    /// The heaviest path from the root to the function.
    pub heaviest_path: Vec<String>,
    /// The share of its weight that takes this path.
    pub heaviest_path_share: f64,
    /// Samples, in all, from which on the present figures would decide; `None` when decided, or
    /// when the share is too close to the floor to tell.
    pub samples_needed: Option<u64>,
    /// Samples that are there, of those and the lost ones; below 0.995 nothing is decided.
    pub captured: f64,
    /// What could make it wrong, one sentence each.
    pub warnings: Vec<String>,
}

/// Says whether the function that `pattern` means is on the hot path of the runs.
///
/// `floor` is the share above which it is ([`super::FLOOR`]).
///
/// # Errors
/// When there is no profile, or one with samples has no weights or some below zero.
pub fn answer(runs: &[&Profile], pattern: &str, floor: f64) -> Result<Answer, ConfirmError> {
    if runs.is_empty() {
        return Err(ConfirmError::NoProfile);
    }
    let certain: Vec<Cow<'_, Profile>> = runs
        .iter()
        .map(|&profile| profile.without_stitched_callers())
        .collect();
    let runs: &[&Profile] = &certain.iter().map(AsRef::as_ref).collect::<Vec<_>>();
    let mut weighed = Vec::with_capacity(runs.len());
    for &profile in runs.iter().filter(|profile| !profile.samples.is_empty()) {
        let measure = Measure::of(profile).ok_or(ConfirmError::NoWeight {
            samples: profile.samples.len(),
        })?;
        if counted_event(profile).is_some() {
            let event = clean(&profile.meta.event);
            return Err(ConfirmError::NoTime { event });
        }
        let weights = &profile.samples.weights[measure.weight];
        if weights.iter().any(|&weight| weight < 0) {
            return Err(ConfirmError::Negative);
        }
        weighed.push((profile, profile.stack_weights(measure.weight)));
    }
    let pattern = pattern.trim();
    Ok(match find(runs, pattern) {
        Match::None { nearest } => Answer::NotFound {
            pattern: pattern.to_owned(),
            nearest,
            samples: runs.iter().map(|profile| profile.sample_count()).sum(),
            hidden: Quality::of_runs(runs).scripts(),
        },
        Match::Several(candidates) => Answer::Ambiguous {
            pattern: pattern.to_owned(),
            candidates,
        },
        Match::One(target) => {
            Answer::Confirmed(Box::new(confirmation(&weighed, pattern, target, floor)))
        }
    })
}

fn confirmation(
    runs: &[(&Profile, Vec<StackWeight>)],
    pattern: &str,
    target: Target,
    floor: f64,
) -> Confirmation {
    let count = |stacks: &[StackWeight]| {
        at_least_none(stacks.iter().map(|stack| stack.samples).sum::<i64>())
    };
    let samples: u64 = runs.iter().map(|(_, stacks)| count(stacks)).sum();
    let profiles: Vec<&Profile> = runs.iter().map(|(profile, _)| *profile).collect();
    let mut shape = Shape::default();
    let mut shares = Vec::with_capacity(runs.len());
    for (profile, stacks) in runs {
        let run_samples = count(stacks);
        let whole: i64 = stacks.iter().map(|stack| stack.weight).sum();
        // Each run counts by its samples, so that weights of different sizes can be added.
        let scale = if whole == 0 {
            0.0
        } else {
            run_samples as f64 / samples as f64 / whole as f64
        };
        let before = shape.weight;
        shape.add(profile, stacks, &target, scale);
        let part = run_samples as f64 / samples as f64;
        shares.push(RunShare {
            share: (shape.weight - before) / part,
            samples: run_samples,
        });
    }
    let total = estimate(&shares);
    let (heaviest_path, heaviest_path_share) = shape.heaviest_path().unwrap_or_default();
    let cut = cut_share(&profiles, samples);
    let quality = Quality::of_runs(&profiles);
    let captured = 1.0 - quality.lost_share();
    let lossy = captured < LEAST_CAPTURED;
    let decision = match lossy {
        true => Decision::Undecided,
        false => decide(&total, cut, samples, floor),
    };
    Confirmation {
        pattern: pattern.to_owned(),
        time: profiles.first().map_or(CPU_TIME, |run| time(run)),
        decision,
        floor,
        self_share: shape.innermost,
        own_share: shape.own,
        hits: at_least_none(shape.samples),
        samples,
        runs: runs.len(),
        inlined_into: shape.inlined_into(),
        heaviest_path,
        heaviest_path_share,
        samples_needed: (!lossy)
            .then(|| samples_needed(decision, &total, cut, samples, floor))
            .flatten(),
        total,
        captured,
        warnings: quality.warnings(),
        name: target.name,
        place: target.place,
    }
}

/// What most profiles hold.
pub(super) const CPU_TIME: &str = "CPU time";

/// Which time a view of a profile holds.
fn time(profile: &Profile) -> &'static str {
    let name = Measure::of(profile).map_or("", |it| &profile.weights[it.weight].name);
    crate::view::time_of(name).unwrap_or(CPU_TIME)
}

/// The share of the samples whose stacks were cut or could not be unwound: their missing frames
/// are callers. Formats that do not tell are taken at their word, as everywhere.
fn cut_share(runs: &[&Profile], samples: u64) -> f64 {
    let is_cut = |end: &&StackEnd| matches!(end, StackEnd::Truncated | StackEnd::Failed);
    let cut = |run: &&Profile| {
        let ends = run.samples.end.iter().enumerate();
        let cut = ends.filter(|(_, end)| is_cut(end)).map(|(row, _)| row);
        at_least_none(cut.map(run.row_samples()).fold(0, i64::saturating_add))
    };
    runs.iter().map(cut).fold(0, u64::saturating_add) as f64 / samples.max(1) as f64
}

fn decide(total: &Estimate, cut: f64, samples: u64, floor: f64) -> Decision {
    if samples < FEWEST_SAMPLES {
        Decision::Undecided
    } else if total.low > floor {
        Decision::Yes
    } else if total.high + cut < floor {
        Decision::No
    } else {
        Decision::Undecided
    }
}

/// The width of an interval falls with the root of the samples.
fn samples_needed(
    decision: Decision,
    total: &Estimate,
    cut: f64,
    samples: u64,
    floor: f64,
) -> Option<u64> {
    /// More than this is no advice.
    const SENSIBLE: f64 = 1e8;
    if decision != Decision::Undecided || samples == 0 {
        return None;
    }
    if total.value <= floor && total.value + cut >= floor {
        // More samples with cut stacks tell no more.
        return None;
    }
    let distance = (total.value - floor).abs();
    let reach = if total.value > floor {
        total.value - total.low
    } else {
        total.high - total.value
    };
    let needed = samples as f64 * (reach / distance).powi(2) * 1.2;
    let needed = needed.max(FEWEST_SAMPLES as f64);
    (needed.is_finite() && needed < SENSIBLE).then(|| needed.ceil() as u64)
}
