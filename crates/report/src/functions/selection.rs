//! Which samples are looked at, which rows are shown and in which order.

use std::collections::BTreeMap;

use hotproof_profile::{Profile, StackId, StackWeight};
use regex::Regex;

use super::{FunctionsError, Options, StartUp};
use crate::census::{Census, Entry, Measure};

/// The figure that orders the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// In the function and in what it calls.
    #[default]
    Total,
    /// In the function alone.
    SelfWeight,
    /// In the function alone, with library code that was inlined into it.
    Library,
}

/// What was left out of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Others {
    pub(super) functions: u64,
    /// Functions that only start what is shown.
    pub(super) start_up: u64,
    pub(super) self_weight: i64,
    pub(super) own: i64,
}

/// The rows to show.
pub(super) struct Selection {
    /// Ordered as asked for.
    pub(super) rows: Vec<Entry>,
    pub(super) others: Others,
    /// Samples that were looked at.
    pub(super) samples: u64,
    /// Whether there is a function to show, though its samples may come to nothing.
    pub(super) seen: bool,
    /// Their weight.
    pub(super) weight: i64,
    /// Weight of the whole profile, which shares refer to.
    pub(super) whole: i64,
}

pub(super) fn select(profile: &Profile, options: &Options) -> Result<Selection, FunctionsError> {
    let measure = Measure::of(profile).ok_or(FunctionsError::NoWeight {
        samples: profile.samples.len(),
    })?;
    let stacks = profile.stack_weights(measure.weight);
    let whole = stacks.iter().map(|stack| stack.weight).sum();
    let stacks = match (&options.in_focus, &options.focus) {
        (Some(mask), _) => stack_weights_of(profile, measure.weight, mask),
        (None, Some(pattern)) => focused(profile, &stacks, options, pattern),
        (None, None) => stacks,
    };
    let census = Census::of(profile, &stacks, options.inline);
    let (weight, samples) = (census.weight, census.samples);
    let seen = census.entries.iter().any(|entry| entry.seen);
    let (rows, others) = chosen_rows(profile, census.entries, options, whole);
    Ok(Selection {
        rows,
        others,
        samples,
        seen,
        weight,
        whole,
    })
}

/// Adds up the marked samples by stack, in the order of the stacks' ids.
fn stack_weights_of(profile: &Profile, weight: usize, mask: &[bool]) -> Vec<StackWeight> {
    let mut sums: BTreeMap<Option<StackId>, (i64, i64)> = BTreeMap::new();
    let row_samples = profile.row_samples();
    let rows = mask.iter().enumerate().filter(|&(_, &marked)| marked);
    for (row, _) in rows {
        let sum = sums.entry(profile.samples.stack[row]).or_default();
        sum.0 += profile.samples.weights[weight][row];
        sum.1 = sum.1.saturating_add(row_samples(row));
    }
    let rows = sums.into_iter();
    rows.map(|(stack, (weight, samples))| StackWeight {
        stack,
        weight,
        samples,
    })
    .collect()
}

/// The stacks that hold a function whose name matches.
fn focused(
    profile: &Profile,
    stacks: &[StackWeight],
    options: &Options,
    pattern: &Regex,
) -> Vec<StackWeight> {
    let census = Census::of(profile, &[], options.inline);
    let hits: Vec<bool> = census
        .entries
        .iter()
        .map(|entry| pattern.is_match(&entry.name))
        .collect();
    let on_stack = |stack: &StackWeight| census.path(profile, stack.stack).any(|id| hits[id]);
    stacks.iter().copied().filter(on_stack).collect()
}

fn chosen_rows(
    profile: &Profile,
    entries: Vec<Entry>,
    options: &Options,
    whole: i64,
) -> (Vec<Entry>, Others) {
    let seen = entries.into_iter().filter(|entry| entry.seen);
    let mut rows: Vec<(String, Entry)> = seen
        .map(|entry| (profile.code_place(entry.code), entry))
        .collect();
    let key = |entry: &Entry| match options.sort {
        Sort::Total => (entry.total, entry.self_weight, entry.own),
        Sort::SelfWeight => (entry.self_weight, entry.own, entry.total),
        Sort::Library => (entry.own, entry.self_weight, entry.total),
    };
    rows.sort_by(|(place_a, a), (place_b, b)| {
        let by_weight = key(b).cmp(&key(a));
        by_weight.then_with(|| (&a.name, place_a).cmp(&(&b.name, place_b)))
    });
    let limit = options.min_percent / 100.0 * whole as f64;
    let top = options.top.unwrap_or(usize::MAX);
    let mut others = Others::default();
    let mut shown = Vec::new();
    for (_, entry) in rows {
        if is_folded(&entry, options) {
            others.start_up += 1;
            others.self_weight += entry.self_weight;
            others.own += entry.own;
        } else if shown.len() < top && entry.total as f64 >= limit {
            shown.push(entry);
        } else {
            others.functions += 1;
            others.self_weight += entry.self_weight;
            others.own += entry.own;
        }
    }
    (shown, others)
}

/// Whether a function is left out because it only starts what the user wrote: never when
/// everything is asked for, or the function itself.
fn is_folded(entry: &Entry, options: &Options) -> bool {
    let asked_for = |pattern: &Regex| pattern.is_match(&entry.name);
    let fold = options.start_up == StartUp::Fold && options.min_percent > 0.0;
    fold && entry.starts_up() && !options.focus.as_ref().is_some_and(asked_for)
}
