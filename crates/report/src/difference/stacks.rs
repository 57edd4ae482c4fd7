//! Stacks of both profiles, joined function by function, and their folded form.

use std::borrow::Cow;
use std::io::{self, Write};

use hotproof_formats::folded::escape;
use hotproof_profile::transform::keep;
use hotproof_profile::{Id, Profile, RowIndex, Unit, Weight, mix};

use super::by_name;
use super::join::{Join, RowId};
use super::value::{DiffError, Figures, Normalize, factors, measures};
use crate::record::shell_words;

/// The stacks of two profiles, joined function by function: what becomes a picture or folded.
pub struct Stacks {
    /// By row.
    pub(super) names: Vec<String>,
    /// Root first and sorted, with their weights after normalizing, rounded.
    pub(super) paths: Vec<(Vec<RowId>, [i64; 2])>,
    pub(super) unit: Unit,
    pub(super) normalize: Normalize,
    /// What was run.
    pub(super) commands: [String; 2],
    joined_by_name: usize,
}

impl Stacks {
    /// Joins two profiles, base first.
    ///
    /// # Errors
    /// As [`difference`](super::difference).
    pub fn of(profiles: [&Profile; 2], normalize: Normalize) -> Result<Self, DiffError> {
        let measures = measures(profiles, normalize)?;
        let Figures { base, head } = factors(profiles, measures, normalize)?;
        let join = Join::of(profiles);
        let mut tree = Tree::default();
        for side in [0, 1] {
            let profile = profiles[side];
            let nodes = tree.plant(&join, side, profile);
            for entry in profile.stack_weights(measures[side].weight) {
                let node = match entry.stack {
                    Some(stack) => nodes[stack.index()],
                    None => tree.child(ORIGIN, join.nowhere),
                };
                tree.sums[node].get_or_insert_default()[side] += entry.weight;
            }
        }
        // A weight is far below 2^53, or else its last digits do not matter.
        let scaled = |weight: i64, factor: f64| (weight as f64 * factor).round() as i64;
        let weighted = tree.sums.iter().enumerate();
        let mut paths: Vec<_> = weighted
            .filter_map(|(node, sum)| {
                let [first, second] = (*sum)?;
                let weights = [scaled(first, base), scaled(second, head)];
                Some((tree.path(node), weights))
            })
            .collect();
        paths.sort_unstable();
        let joined_by_name = join.by_name;
        let names = join.keys.into_iter().map(|key| key.name);
        Ok(Stacks {
            names: names.map(Cow::into_owned).collect(),
            paths,
            unit: measures[1].unit,
            normalize,
            commands: profiles.map(|profile| shell_words(&profile.meta.command)),
            joined_by_name,
        })
    }

    /// What is unsure of the join, a sentence each.
    pub fn doubts(&self) -> Vec<String> {
        by_name(self.joined_by_name).into_iter().collect()
    }

    /// Writes one line a stack, `root;...;leaf BASE HEAD`, sorted by the bytes of the stack: the three
    /// columns that differential flame graphs are drawn from. Names are escaped as in folded stacks.
    ///
    /// # Errors
    /// When `out` refuses the bytes.
    pub fn folded(&self, mut out: impl Write) -> io::Result<()> {
        let names: Vec<String> = self.names.iter().map(|name| escape(name)).collect();
        let lines = self.paths.iter().map(|(path, weights)| {
            let frames: Vec<&str> = path.iter().map(|&row| names[row].as_str()).collect();
            (frames.join(";"), *weights)
        });
        let mut lines: Vec<(String, [i64; 2])> = lines.collect();
        lines.sort_unstable();
        // Paths of equal text are one line.
        lines.dedup_by(|next, line| {
            let is_same = next.0 == line.0;
            if is_same {
                line.1[0] += next.1[0];
                line.1[1] += next.1[1];
            }
            is_same
        });
        for (stack, [base, head]) in &lines {
            writeln!(out, "{stack} {base} {head}")?;
        }
        out.flush()
    }
}

/// The node above all roots.
const ORIGIN: usize = 0;

/// All paths of rows, each once.
struct Tree {
    /// The parent and the row of each node; those of the origin are never looked at.
    nodes: Vec<(usize, RowId)>,
    index: RowIndex,
    /// Weights of the paths that end at a node; `None` when none does.
    sums: Vec<Option<[i64; 2]>>,
}

impl Default for Tree {
    fn default() -> Self {
        let mut tree = Tree {
            nodes: Vec::new(),
            index: RowIndex::default(),
            sums: Vec::new(),
        };
        tree.child(usize::MAX, 0);
        tree
    }
}

impl Tree {
    fn child(&mut self, parent: usize, row: RowId) -> usize {
        let nodes = &self.nodes;
        let hash = |(parent, row): (usize, RowId)| {
            let key = (parent as u64).rotate_left(32) ^ row as u64;
            mix(key, 0x9e37_79b9_7f4a_7c15)
        };
        let is_it = |node: usize| nodes[node] == (parent, row);
        let found = self.index.find_or_claim(hash((parent, row)), is_it);
        found.unwrap_or_else(|| {
            self.nodes.push((parent, row));
            self.sums.push(None);
            self.nodes.len() - 1
        })
    }

    /// The node of each stack of base (0) or head (1).
    fn plant(&mut self, join: &Join<'_>, side: usize, profile: &Profile) -> Vec<usize> {
        let mut nodes: Vec<usize> = Vec::with_capacity(profile.stacks.len());
        // Parents come first.
        for (_, stack) in profile.stacks.iter() {
            let parent = stack.parent.map_or(ORIGIN, |id| nodes[id.index()]);
            let rows = join.rows(side, stack.location).iter().rev();
            nodes.push(rows.fold(parent, |node, &row| self.child(node, row)));
        }
        nodes
    }

    /// The rows of a node and of all above it, root first.
    fn path(&self, node: usize) -> Vec<RowId> {
        let above = |node: usize| (node != ORIGIN).then(|| self.nodes[node]);
        let rows = std::iter::successors(above(node), |&(parent, _)| above(parent));
        let mut path: Vec<RowId> = rows.map(|(_, row)| row).collect();
        path.reverse();
        path
    }
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
