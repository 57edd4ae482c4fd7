//! The most that can be won, from runs of base before head has run at all: a function that is made
//! to take no time at all saves its share (Amdahl 1967).

use crate::attribution::{Hot, hidden};
use crate::statistics::{LEVEL, share_interval};
use crate::values::{Change, Comparison, Estimate, FunctionRow, Metric, Tally};

/// A smaller part of base that could hide changed functions is not worth a word.
const LEAST_HIDDEN: f64 = 0.05;

/// What one changed function can win.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FunctionCeiling {
    /// The row of [`Comparison::functions`].
    pub row: FunctionRow,
    /// The share of base in it and in what it calls (unit Ratio, 0 to 1).
    pub share: Estimate,
    /// Whether that is above the floor.
    pub hot: Hot,
}

/// The most that can be won.
#[derive(Debug, Clone, PartialEq)]
pub struct Ceiling {
    /// The share of base in changed functions and what they call (unit Ratio, 0 to 1).
    pub share: Estimate,
    /// The same with all samples that could hide a changed function: those of code without a
    /// declared place, and those with incomplete stacks.
    pub possible: Estimate,
    /// Each changed function that base has, the largest share first; ties by key.
    pub functions: Vec<FunctionCeiling>,
    /// Changed functions that head alone has: base cannot say what they take.
    pub added: usize,
    /// Runs that were looked at.
    pub runs: usize,
    /// Their samples.
    pub samples: u64,
}

impl Ceiling {
    /// What the first runs of base say; `None` without samples, when base has no function that
    /// changed, or when memory is compared, which samples of time say nothing of.
    pub fn of(comparison: &Comparison) -> Option<Ceiling> {
        let runs = comparison.base_runs.iter();
        let tallies: Vec<&Tally> = runs.filter_map(|run| run.tally.as_ref()).collect();
        let samples = tallies
            .iter()
            .fold(0_u64, |sum, tally| sum.saturating_add(tally.samples));
        if samples == 0 || comparison.metric == Metric::PeakMemory {
            return None;
        }
        let changed = |wanted: fn(Change) -> bool| {
            let rows = comparison.functions.iter().enumerate();
            rows.filter(move |(_, function)| function.change.is_some_and(wanted))
                .map(|(row, _)| row)
        };
        let floor = comparison.rule.hot_floor;
        let mut functions: Vec<FunctionCeiling> = changed(|change| change != Change::Added)
            .map(|row| of_function(row, &tallies, floor))
            .collect();
        if functions.is_empty() {
            return None;
        }
        let key = |function: &FunctionCeiling| &comparison.functions[function.row].key;
        functions.sort_by(|a, b| {
            let by_share = b.share.value.total_cmp(&a.share.value);
            by_share.then_with(|| key(a).cmp(key(b)))
        });
        let together = |tally: &Tally| tally.changed_own.saturating_add(tally.changed_below);
        Some(Ceiling {
            share: share(&tallies, together),
            possible: share(&tallies, |tally| {
                together(tally).saturating_add(hidden(tally))
            }),
            functions,
            added: changed(|change| change == Change::Added).count(),
            runs: tallies.len(),
            samples,
        })
    }

    /// The most that can be won, a fraction: the upper end of all that may be in the changed
    /// functions and what they call.
    pub fn most(&self) -> f64 {
        self.possible.high.min(1.0)
    }

    /// Whether the share says little, because samples that could hide a changed function hold more
    /// than was seen.
    pub fn is_hidden(&self) -> bool {
        self.possible.value - self.share.value > self.share.value.max(LEAST_HIDDEN)
    }

    /// How many of the changed functions are on the hot path.
    pub fn hot(&self) -> usize {
        let hot = self.functions.iter().filter(|it| it.hot == Hot::Yes);
        hot.count()
    }
}

fn of_function(row: FunctionRow, tallies: &[&Tally], floor: f64) -> FunctionCeiling {
    let total = |tally: &Tally| {
        let mut functions = tally.functions.iter();
        functions
            .find(|entry| entry.function == row)
            .map_or(0, |entry| entry.total)
    };
    let share_of_it = share(tallies, total);
    let possible = share(tallies, |tally| total(tally).saturating_add(hidden(tally)));
    FunctionCeiling {
        row,
        share: share_of_it,
        hot: Hot::of(&share_of_it, &possible, floor),
    }
}

fn share(tallies: &[&Tally], count: impl Fn(&Tally) -> u64) -> Estimate {
    let counts = tallies.iter().map(|tally| {
        let samples = tally.samples;
        (count(tally).min(samples), samples)
    });
    share_interval(&counts.collect::<Vec<_>>(), LEVEL)
}
