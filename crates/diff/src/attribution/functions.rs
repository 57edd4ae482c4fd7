//! One row for each function: times, shares, hotness, evidence.

use super::series::{Sampled, SampledPair, Series};
use super::{FunctionResult, Hot, ShareChange};
use crate::statistics::{LEVEL, e_benjamini_hochberg, share_interval};
use crate::values::{Change, Comparison, Estimate, Function, FunctionTally, Side};

/// Share of the marked rows that may be chance.
const FALSE_DISCOVERIES: f64 = 0.05;

/// The counts of one function in a pair, base and head.
type Counts = (FunctionTally, FunctionTally);

/// What was found of each function, in the order that [`crate::Conclusion::functions`] promises;
/// empty when nothing was sampled.
pub(crate) fn function_results(
    comparison: &Comparison,
    sampled: &Sampled<'_>,
) -> Vec<FunctionResult> {
    if sampled.len() == 0 {
        return Vec::new();
    }
    let counts = counts_by_row(comparison.functions.len(), &sampled.pairs);
    let placebo = counts_by_row(comparison.functions.len(), &sampled.placebo);
    let mut results: Vec<FunctionResult> = (0..comparison.functions.len())
        .map(|row| {
            let tallies = Tallies {
                sampled,
                pairs: &counts[row],
                placebo: &placebo[row],
            };
            tallies.result(row, &comparison.functions[row], comparison.rule.hot_floor)
        })
        .collect();
    let e_values: Vec<f64> = results.iter().map(|result| result.e_value).collect();
    let marks = e_benjamini_hochberg(&e_values, FALSE_DISCOVERIES);
    for (result, marked) in results.iter_mut().zip(marks) {
        result.marked = marked;
    }
    sort(&mut results, &comparison.functions);
    results
}

fn sort(results: &mut [FunctionResult], functions: &[Function]) {
    let rank = |result: &FunctionResult| {
        let changed = functions[result.row].change.is_some();
        let size = if changed {
            result.own.base_ns.max(result.own.head_ns)
        } else {
            result.own.delta.value.abs()
        };
        (!changed, size)
    };
    results.sort_by(|a, b| {
        let ((a_after, a_size), (b_after, b_size)) = (rank(a), rank(b));
        a_after
            .cmp(&b_after)
            .then(b_size.total_cmp(&a_size))
            .then_with(|| functions[a.row].key.cmp(&functions[b.row].key))
            .then(a.row.cmp(&b.row))
    });
}

/// For each function and pair its counts; rows that the table does not have are left out.
fn counts_by_row(rows: usize, pairs: &[SampledPair<'_>]) -> Vec<Vec<Counts>> {
    let zero = |function| FunctionTally {
        function,
        total: 0,
        own: 0,
        physical_self: 0,
    };
    let mut counts: Vec<Vec<Counts>> = (0..rows)
        .map(|row| vec![(zero(row), zero(row)); pairs.len()])
        .collect();
    for (i, pair) in pairs.iter().enumerate() {
        for tally in &pair.base.tally.functions {
            if let Some(row) = counts.get_mut(tally.function) {
                row[i].0 = *tally;
            }
        }
        for tally in &pair.head.tally.functions {
            if let Some(row) = counts.get_mut(tally.function) {
                row[i].1 = *tally;
            }
        }
    }
    counts
}

struct Tallies<'a> {
    sampled: &'a Sampled<'a>,
    pairs: &'a [Counts],
    placebo: &'a [Counts],
}

impl Tallies<'_> {
    fn result(&self, row: usize, function: &Function, floor: f64) -> FunctionResult {
        let own = self.series(|tally| tally.own);
        let own_change = own.change();
        // Most functions call nothing that is worth a row or hold no library code, and the same
        // series need not be tested twice.
        let change = |series: Series| {
            if series == own {
                own_change
            } else {
                series.change()
            }
        };
        let total_share = self.share(|tally| tally.total);
        let hot_share = match function.change {
            Some(Change::Added) => total_share.head,
            _ => total_share.base,
        };
        FunctionResult {
            row,
            total: change(self.series(|tally| tally.total)),
            physical_self: change(self.series(|tally| tally.physical_self)),
            own: own_change,
            total_share,
            own_share: self.share(|tally| tally.own),
            hot: hotness(&hot_share, floor),
            hot_share,
            base_samples: self.pairs.iter().map(|(base, _)| base.total).sum(),
            head_samples: self.pairs.iter().map(|(_, head)| head.total).sum(),
            e_value: own.test().two_sided_e_value(0.0),
            marked: false,
        }
    }

    fn series(&self, count: impl Fn(&FunctionTally) -> u64) -> Series {
        let times = |counts: &[Counts], pairs: &[SampledPair<'_>]| {
            let both = counts.iter().zip(pairs).map(|((base, head), pair)| {
                let unit_ns = self.sampled.unit_ns;
                (
                    pair.base.time_ns(count(base)) / unit_ns,
                    pair.head.time_ns(count(head)) / unit_ns,
                )
            });
            both.collect()
        };
        Series::new(
            times(self.pairs, &self.sampled.pairs),
            &times(self.placebo, &self.sampled.placebo),
            self.sampled,
        )
    }

    fn share(&self, count: impl Fn(&FunctionTally) -> u64) -> ShareChange {
        let of = |side: Side| {
            let runs = self.pairs.iter().zip(&self.sampled.pairs);
            let shares: Vec<(u64, u64)> = runs
                .map(|((base, head), pair)| match side {
                    Side::Base => (count(base), pair.base.tally.samples),
                    Side::Head => (count(head), pair.head.tally.samples),
                })
                .collect();
            share_interval(&shares, LEVEL)
        };
        ShareChange {
            base: of(Side::Base),
            head: of(Side::Head),
        }
    }
}

/// Whether a total share is above the floor.
pub(super) fn hotness(share: &Estimate, floor: f64) -> Hot {
    if share.low > floor {
        Hot::Yes
    } else if share.high < floor {
        Hot::No
    } else {
        Hot::Undecided
    }
}
