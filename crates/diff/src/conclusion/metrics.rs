//! The measured quantities, end to end.

use super::{MetricRow, Quantity, ReportedRow};
use crate::statistics::{
    self, LEVEL, PAIRS_FOR_PRIOR, PairedTest, Sequence, default_prior_scale, e_benjamini_hochberg,
    median, robust_sd,
};
use crate::values::{Comparison, Estimate, EstimateUnit, Metric, Pair, Run};

/// All quantities that were measured in every pair, the primary metric first. Where the workload
/// reports its own time, that of its process says nothing: a harness runs until a time is over.
pub(super) fn metric_rows(comparison: &Comparison, sequence: &Sequence) -> Vec<MetricRow> {
    let primary = Quantity::from(comparison.metric);
    let order = [
        Quantity::CpuTime,
        Quantity::WallTime,
        Quantity::PeakMemory,
        Quantity::UserAndSystemTime,
        Quantity::PageFaults,
        Quantity::ContextSwitches,
        Quantity::Instructions,
    ];
    std::iter::once(primary)
        .chain(order.into_iter().filter(|quantity| *quantity != primary))
        .filter(|quantity| {
            comparison.metric != Metric::Reported
                || matches!(quantity, Quantity::Reported | Quantity::PeakMemory)
        })
        .filter_map(|quantity| {
            let ratio = (quantity == primary).then(|| sequence.interval());
            row(comparison, quantity, ratio)
        })
        .collect()
}

fn row(comparison: &Comparison, quantity: Quantity, tested: Option<Estimate>) -> Option<MetricRow> {
    let values = values(&comparison.pairs, quantity)?;
    if values.is_empty() {
        return None;
    }
    let logs = logs(&values);
    // Of the primary metric the test leaves out pairs that measured nothing, and so does its row.
    let whole = logs.len() == values.len();
    let ratio = match tested {
        Some(interval) => (!logs.is_empty()).then_some(interval),
        None => whole.then(|| {
            PairedTest::of(prior(comparison, quantity), logs.iter().copied())
                .interval(LEVEL, EstimateUnit::LogRatio)
        }),
    };
    Some(placed(quantity, &values, ratio.map(Estimate::exponential)))
}

/// Base and head around the median of the pairs' geometric means, or plain medians where there is
/// no ratio.
fn placed(quantity: Quantity, values: &[(f64, f64)], ratio: Option<Estimate>) -> MetricRow {
    let of = |value: fn(&(f64, f64)) -> f64| median(&values.iter().map(value).collect::<Vec<_>>());
    let (base, head) = match ratio {
        Some(ratio) => {
            let middle = of(|(base, head)| (base * head).sqrt());
            let step = ratio.value.sqrt();
            (middle / step, middle * step)
        }
        None => (of(|pair| pair.0), of(|pair| pair.1)),
    };
    MetricRow {
        quantity,
        base,
        head,
        ratio,
    }
}

/// (base, head) of each pair; `None` when some run could not count the quantity.
fn values(pairs: &[Pair], quantity: Quantity) -> Option<Vec<(f64, f64)>> {
    if quantity == Quantity::Reported {
        let reported = |pair: &Pair| statistics::values(pair, Metric::Reported);
        return Some(pairs.iter().filter_map(reported).collect());
    }
    let both = |pair: &Pair| Some((value(&pair.base, quantity)?, value(&pair.head, quantity)?));
    pairs.iter().map(both).collect()
}

fn value(run: &Run, quantity: Quantity) -> Option<f64> {
    let metrics = &run.metrics;
    let count = match quantity {
        Quantity::CpuTime => metrics.cpu_ns,
        Quantity::WallTime => metrics.wall_ns,
        Quantity::PeakMemory => metrics.peak_rss_bytes,
        Quantity::UserAndSystemTime => metrics.user_ns.saturating_add(metrics.system_ns),
        Quantity::PageFaults => metrics.page_faults,
        Quantity::ContextSwitches => metrics.context_switches,
        Quantity::Instructions => metrics.instructions?,
        Quantity::Reported => return None,
    };
    Some(count as f64)
}

fn logs(values: &[(f64, f64)]) -> Vec<f64> {
    values
        .iter()
        .filter(|(base, head)| *base > 0.0 && *head > 0.0)
        .map(|(base, head)| (head / base).ln())
        .collect()
}

fn prior(comparison: &Comparison, quantity: Quantity) -> f64 {
    let placebo = values(&comparison.placebo, quantity).map(|values| logs(&values));
    match placebo {
        Some(logs) if logs.len() >= PAIRS_FOR_PRIOR => robust_sd(&logs),
        _ if quantity == Quantity::WallTime => default_prior_scale(Metric::WallTime),
        _ if quantity == Quantity::Reported => default_prior_scale(Metric::Reported),
        _ => default_prior_scale(Metric::CpuTime),
    }
}

/// Share of the marked rows that may be chance.
const FALSE_DISCOVERIES: f64 = 0.05;

/// Each of several times that the workload reports, by the names that all runs report.
pub(super) fn reported_rows(comparison: &Comparison) -> Vec<ReportedRow> {
    let Some(first) = comparison.pairs.first() else {
        return Vec::new();
    };
    let names = first.base.metrics.reported.iter().map(|time| &time.name);
    let mut rows: Vec<ReportedRow> = names
        .filter_map(|name| reported_row(comparison, name))
        .collect();
    if rows.len() < 2 {
        return Vec::new();
    }
    let e_values: Vec<f64> = rows.iter().map(|row| row.e_value).collect();
    let marks = e_benjamini_hochberg(&e_values, FALSE_DISCOVERIES);
    for (row, marked) in rows.iter_mut().zip(marks) {
        row.marked = marked;
    }
    rows
}

fn reported_row(comparison: &Comparison, name: &str) -> Option<ReportedRow> {
    let time = |run: &Run| {
        let mut times = run.metrics.reported.iter();
        times.find(|time| time.name == name).map(|it| it.time_ns)
    };
    let of = |pairs: &[Pair]| -> Option<Vec<(f64, f64)>> {
        let both = |pair: &Pair| Some((time(&pair.base)?, time(&pair.head)?));
        pairs.iter().map(both).collect()
    };
    let values = of(&comparison.pairs)?;
    let placebo = of(&comparison.placebo).map(|values| logs(&values));
    let prior = match placebo {
        Some(logs) if logs.len() >= PAIRS_FOR_PRIOR => robust_sd(&logs),
        _ => default_prior_scale(Metric::Reported),
    };
    let test = PairedTest::of(prior, logs(&values));
    let ratio = test.interval(LEVEL, EstimateUnit::LogRatio).exponential();
    let placed = placed(Quantity::Reported, &values, Some(ratio));
    Some(ReportedRow {
        name: name.to_owned(),
        base_ns: placed.base,
        head_ns: placed.head,
        ratio,
        e_value: test.two_sided_e_value(0.0),
        marked: false,
    })
}
