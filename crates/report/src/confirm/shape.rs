//! How a function is reached: where it is inlined, and its heaviest path.

use std::collections::BTreeMap;

use hotproof_profile::{Code, Inline, Profile, StackWeight};

use super::matching::{Target, bare};
use crate::census::is_runtime;

/// What is added up over all stacks of all runs, in the weights of the runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Shape {
    /// Weight of samples with the function on the stack.
    pub(super) weight: f64,
    /// Weight by the function that it is inlined into.
    pub(super) inlined: BTreeMap<String, f64>,
    /// Weight by path to the function, from the root or from the first code outside the runtimes.
    pub(super) paths: BTreeMap<Vec<String>, f64>,
    /// Weight of the samples that are its own without what was inlined into it.
    pub(super) innermost: f64,
    /// Weight of the samples that are its own with inlined library code.
    pub(super) own: f64,
    /// Samples with the function on the stack.
    pub(super) samples: i64,
}

impl Shape {
    /// Adds the stacks of one run, each weight multiplied by `scale`.
    pub(super) fn add(
        &mut self,
        profile: &Profile,
        stacks: &[StackWeight],
        target: &Target,
        scale: f64,
    ) {
        let hits = hits(profile, target);
        let hit = |code: &Code| match code {
            Code::Function(id) => hits[hotproof_profile::Id::index(*id)],
            Code::Unnamed(_) | Code::Unmapped => false,
        };
        for stack in stacks {
            self.add_stack(profile, stack, scale, &hit);
        }
    }

    fn add_stack(
        &mut self,
        profile: &Profile,
        stack: &StackWeight,
        scale: f64,
        hit: &dyn Fn(&Code) -> bool,
    ) {
        let weight = stack.weight as f64 * scale;
        if let Some(leaf) = profile.path(stack.stack).next() {
            let innermost = profile.code_at(leaf, Inline::Expand).next();
            self.innermost += if innermost.as_ref().is_some_and(hit) {
                weight
            } else {
                0.0
            };
            let own = profile.own_code_at(leaf);
            self.own += if hit(&own) { weight } else { 0.0 };
        }
        // Leaf first; within a location innermost first.
        let locations = profile.path(stack.stack).map(|location| {
            profile
                .code_at(location, Inline::Expand)
                .collect::<Vec<Code>>()
        });
        let locations: Vec<Vec<Code>> = locations.collect();
        let found = locations
            .iter()
            .enumerate()
            .find_map(|(at, chain)| Some((at, chain.iter().position(hit)?)));
        let Some((at, position)) = found else {
            return;
        };
        self.weight += weight;
        self.samples += stack.samples;
        if let Some(&caller) = locations[at].get(position + 1) {
            let name = bare(&profile.code_name(caller));
            *self.inlined.entry(name).or_default() += weight;
        }
        let below = locations[at][position..].iter();
        let above = locations[at + 1..].iter().flatten();
        let mut path: Vec<Code> = below.chain(above).copied().collect();
        // What only starts the program or the thread says nothing.
        let user = |&code: &Code| hit(&code) || !is_runtime(profile, code);
        let start = path.iter().rposition(user).unwrap_or_default();
        path.truncate(start + 1);
        let path: Vec<String> = path
            .iter()
            .rev()
            .map(|&code| bare(&profile.code_name(code)))
            .collect();
        *self.paths.entry(path).or_default() += weight;
    }

    /// The functions that it is inlined into with their shares of its weight, largest first.
    pub(super) fn inlined_into(&self) -> Vec<(String, f64)> {
        let mut list: Vec<(String, f64)> = self
            .inlined
            .iter()
            .map(|(name, weight)| (name.clone(), weight / self.weight))
            .collect();
        list.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        list
    }

    /// The path from the root to the function that carries most, with its share of the weight.
    pub(super) fn heaviest_path(&self) -> Option<(Vec<String>, f64)> {
        let mut best: Option<(&Vec<String>, f64)> = None;
        for (path, &weight) in &self.paths {
            if best.is_none_or(|(_, heaviest)| weight > heaviest) {
                best = Some((path, weight));
            }
        }
        best.map(|(path, weight)| (path.clone(), weight / self.weight))
    }
}

/// For each row of the function table whether it is the target.
fn hits(profile: &Profile, target: &Target) -> Vec<bool> {
    let ids = profile.functions.ids();
    ids.map(|id| target.is(profile, Code::Function(id)))
        .collect()
}
