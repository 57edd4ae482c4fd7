//! One row for each function: times, shares, hotness, evidence.

use super::series::{Sampled, SampledPair, Series};
use super::{FunctionResult, Hot, ShareChange};
use crate::statistics::{LEVEL, e_benjamini_hochberg, share_interval};
use crate::values::{
    Change, Comparison, Estimate, Function, FunctionRow, FunctionTally, Side, Tally,
};

/// Share of the marked rows that may be chance.
const FALSE_DISCOVERIES: f64 = 0.05;

/// With fewer samples of a function in a pair, on average, its row is not tested.
const SAMPLES_A_PAIR: u64 = 10;

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
    let pairs = Index::of(&sampled.pairs);
    let placebo = Index::of(&sampled.placebo);
    let mut results: Vec<FunctionResult> = (0..comparison.functions.len())
        .map(|row| {
            let tallies = Tallies {
                sampled,
                pairs: pairs.row(row),
                placebo: placebo.row(row),
            };
            tallies.result(row, &comparison.functions[row], comparison.rule.hot_floor)
        })
        .collect();
    mark(&mut results, sampled.len());
    sort(&mut results, &comparison.functions);
    results
}

/// Marks rows by e-BH. Functions that were hardly sampled cannot show anything, but each would
/// raise the bar for all: they are left out by their number of samples on both sides together,
/// which says nothing of which side was faster, so that the bound on chance stands.
fn mark(results: &mut [FunctionResult], pairs: usize) {
    let mut rows: Vec<&mut FunctionResult> = results
        .iter_mut()
        .filter(|result| {
            let samples = result.base_samples.saturating_add(result.head_samples);
            samples >= SAMPLES_A_PAIR.saturating_mul(pairs as u64)
        })
        .collect();
    let e_values: Vec<f64> = rows.iter().map(|result| result.e_value).collect();
    let marks = e_benjamini_hochberg(&e_values, FALSE_DISCOVERIES);
    for (result, marked) in rows.iter_mut().zip(marks) {
        result.marked = marked;
    }
}

/// Whether a difference is known to be one.
pub(super) fn is_clear(delta: &Estimate) -> bool {
    delta.is_bounded() && delta.excludes(0.0)
}

fn sort(results: &mut [FunctionResult], functions: &[Function]) {
    let rank = |result: &FunctionResult| {
        let changed = functions[result.row].change.is_some();
        let own = result.own.base_ns.max(result.own.head_ns);
        // A difference that may be noise does not push the large functions down.
        match (changed, is_clear(&result.own.delta)) {
            (true, _) => (0, own),
            (false, true) => (1, result.own.delta.value.abs()),
            (false, false) => (2, own),
        }
    };
    results.sort_by(|a, b| {
        let ((a_class, a_size), (b_class, b_size)) = (rank(a), rank(b));
        a_class
            .cmp(&b_class)
            .then(b_size.total_cmp(&a_size))
            .then_with(|| functions[a.row].key.cmp(&functions[b.row].key))
            .then(a.row.cmp(&b.row))
    });
}

/// The tallies of all pairs, each ordered by row, so that a row is found without a table of all
/// rows and pairs.
struct Index(Vec<(Vec<FunctionTally>, Vec<FunctionTally>)>);

impl Index {
    fn of(pairs: &[SampledPair<'_>]) -> Self {
        let ordered = |tally: &Tally| {
            let mut functions = tally.functions.clone();
            functions.sort_by_key(|tally| tally.function);
            functions
        };
        let both = |pair: &SampledPair<'_>| (ordered(pair.base.tally), ordered(pair.head.tally));
        Index(pairs.iter().map(both).collect())
    }

    /// The counts of one function in each pair; zero where it was not seen.
    fn row(&self, row: FunctionRow) -> Vec<Counts> {
        let find = |functions: &[FunctionTally]| {
            let at = functions.partition_point(|tally| tally.function < row);
            functions
                .get(at)
                .filter(|tally| tally.function == row)
                .copied()
                .unwrap_or(FunctionTally {
                    function: row,
                    total: 0,
                    own: 0,
                    physical_self: 0,
                    rest: 0,
                })
        };
        let both =
            |(base, head): &(Vec<FunctionTally>, Vec<FunctionTally>)| (find(base), find(head));
        self.0.iter().map(both).collect()
    }
}

struct Tallies<'a> {
    sampled: &'a Sampled<'a>,
    pairs: Vec<Counts>,
    placebo: Vec<Counts>,
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
        let total_share = self.share(|function| function.total);
        let (side, hot_share) = match function.change {
            Some(Change::Added) => (Side::Head, total_share.head),
            _ => (Side::Base, total_share.base),
        };
        let possible = self.share_at(side, |function, run| {
            function.total.saturating_add(hidden(run))
        });
        let rest = self.series(|tally| tally.rest);
        FunctionResult {
            row,
            total: change(self.series(|tally| tally.total)),
            physical_self: change(self.series(|tally| tally.physical_self)),
            rest: change(rest).delta,
            own: own_change,
            total_share,
            own_share: self.share(|function| function.own),
            hot: match self.sampled.is_lossy() {
                true => Hot::Undecided,
                false => Hot::of(&hot_share, &possible, floor),
            },
            hot_share,
            base_samples: added(self.pairs.iter().map(|(base, _)| base.total)),
            head_samples: added(self.pairs.iter().map(|(_, head)| head.total)),
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
            times(&self.pairs, &self.sampled.pairs),
            &times(&self.placebo, &self.sampled.placebo),
            self.sampled,
        )
    }

    fn share(&self, count: impl Fn(&FunctionTally) -> u64) -> ShareChange {
        ShareChange {
            base: self.share_at(Side::Base, |function, _| count(function)),
            head: self.share_at(Side::Head, |function, _| count(function)),
        }
    }

    /// The share of a count in the samples of a run; more than all samples are all.
    fn share_at(&self, side: Side, count: impl Fn(&FunctionTally, &Tally) -> u64) -> Estimate {
        let runs = self.pairs.iter().zip(&self.sampled.pairs);
        let shares: Vec<(u64, u64)> = runs
            .map(|((base, head), pair)| {
                let (function, run) = match side {
                    Side::Base => (base, pair.base.tally),
                    Side::Head => (head, pair.head.tally),
                };
                (count(function, run).min(run.samples), run.samples)
            })
            .collect();
        share_interval(&shares, LEVEL)
    }
}

/// Samples of a run that could hide any function: of code without a declared place, and with
/// incomplete stacks, whose missing frames are callers.
pub(crate) fn hidden(tally: &Tally) -> u64 {
    let incomplete = tally.samples.saturating_sub(tally.complete);
    tally.unjoinable.saturating_add(incomplete)
}

/// A sum that a damaged log cannot overflow.
fn added(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::saturating_add)
}
