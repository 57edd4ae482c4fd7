//! Stacks of both profiles, joined function by function, and their folded form.

use std::collections::BTreeMap;
use std::io::{self, Write};

use hotproof_formats::folded::escape;
use hotproof_profile::Profile;

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
