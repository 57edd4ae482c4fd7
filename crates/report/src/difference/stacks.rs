//! Stacks of both profiles, joined function by function, and their folded form.

use std::collections::BTreeMap;
use std::io::{self, Write};

use hotproof_formats::folded::escape;
use hotproof_profile::transform::keep;
use hotproof_profile::{Id, Profile, Weight};

use super::join::{Join, RowId};
use super::value::{DiffError, Figures, Normalize, factors, measures};

/// The paths of both profiles, root first, with their weights after normalizing, rounded.
pub(super) struct Stacks {
    pub(super) names: Vec<String>,
    pub(super) paths: BTreeMap<Vec<RowId>, [i64; 2]>,
}

impl Stacks {
    pub(super) fn of(profiles: [&Profile; 2], normalize: Normalize) -> Result<Self, DiffError> {
        let measures = measures(profiles, normalize)?;
        let Figures { base, head } = factors(profiles, measures, normalize)?;
        let join = Join::of(profiles);
        let mut sums: BTreeMap<Vec<RowId>, [i64; 2]> = BTreeMap::new();
        for side in [0, 1] {
            let profile = profiles[side];
            for entry in profile.stack_weights(measures[side].weight) {
                let mut path: Vec<RowId> = join.path(side, profile, entry.stack).collect();
                path.reverse();
                sums.entry(path).or_default()[side] += entry.weight;
            }
        }
        for weights in sums.values_mut() {
            let [first, second] = *weights;
            // A weight is far below 2^53, or else its last digits do not matter.
            *weights = [
                (first as f64 * base).round() as i64,
                (second as f64 * head).round() as i64,
            ];
        }
        Ok(Stacks {
            names: join.keys.into_iter().map(|key| key.name).collect(),
            paths: sums,
        })
    }
}

/// Writes one line a stack, `root;...;leaf BASE HEAD`, sorted by the bytes of the stack: the three
/// columns that differential flame graphs are drawn from. Names are escaped as in folded stacks.
///
/// # Errors
/// The outer error when the profiles cannot be compared, the inner when `out` refuses the bytes.
pub fn folded(
    base: &Profile,
    head: &Profile,
    normalize: Normalize,
    mut out: impl Write,
) -> Result<io::Result<()>, DiffError> {
    let stacks = Stacks::of([base, head], normalize)?;
    let names: Vec<String> = stacks.names.iter().map(|name| escape(name)).collect();
    let mut lines: BTreeMap<String, [i64; 2]> = BTreeMap::new();
    for (path, weights) in &stacks.paths {
        let frames: Vec<&str> = path.iter().map(|&row| names[row].as_str()).collect();
        let sum = lines.entry(frames.join(";")).or_default();
        sum[0] += weights[0];
        sum[1] += weights[1];
    }
    let mut write = || {
        for (stack, [base, head]) in &lines {
            writeln!(out, "{stack} {base} {head}")?;
        }
        out.flush()
    };
    Ok(write())
}

/// The label of base's samples in a difference that pprof reads.
const PPROF_BASE: &str = "pprof::base";

/// Which samples of a difference that pprof reads are base's, with negated weights; `None` when the
/// profile is no such difference.
fn base_samples(profile: &Profile) -> Option<Vec<bool>> {
    let key = profile.strings.find(PPROF_BASE)?;
    let sets: Vec<bool> = profile
        .labels
        .iter()
        .map(|set| set.iter().any(|label| label.key == key))
        .collect();
    let labels = profile.samples.labels.iter();
    let mask: Vec<bool> = labels
        .map(|set| set.is_some_and(|set| sets[set.index()]))
        .collect();
    mask.contains(&true).then_some(mask)
}

/// Whether one profile holds two, base and head, so that its first weight alone says little.
pub fn holds_both(profile: &Profile) -> bool {
    has_sides(profile) || base_samples(profile).is_some()
}

/// Whether it does so in two columns, as folded stacks do.
pub fn has_sides(profile: &Profile) -> bool {
    let names = profile.weights.iter().map(|weight| weight.name.as_str());
    names.eq(["base", "head"])
}

/// The two profiles that one file holds, base first: folded stacks in three columns, which have the
/// weights `base` and `head`, or a difference that pprof reads.
///
/// # Errors
/// The names of the weights of a profile that is neither.
pub fn sides(both: &Profile) -> Result<(Profile, Profile), String> {
    if let Some(mask) = base_samples(both) {
        let mut base = keep(both.clone(), &mask, "base");
        for weight in base.samples.weights.iter_mut().flatten() {
            // A valid profile has no weight whose size does not fit.
            *weight = -*weight;
        }
        let others: Vec<bool> = mask.iter().map(|is_base| !is_base).collect();
        return Ok((base, keep(both.clone(), &others, "head")));
    }
    if !has_sides(both) {
        let names = both.weights.iter().map(|weight| weight.name.as_str());
        return Err(names.collect::<Vec<_>>().join(", "));
    }
    let side = |column: usize| {
        let mut profile = both.clone();
        let weights = std::mem::take(&mut profile.samples.weights[column]);
        let mask: Vec<bool> = weights.iter().map(|&weight| weight != 0).collect();
        profile.weights = vec![Weight {
            name: "samples".to_owned(),
            unit: both.weights[column].unit,
        }];
        profile.samples.weights = vec![weights];
        keep(profile, &mask, "side")
    };
    Ok((side(0), side(1)))
}
