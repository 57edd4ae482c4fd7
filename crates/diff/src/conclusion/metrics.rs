//! The measured quantities, end to end.

use super::{MetricRow, Quantity};
use crate::statistics::{
    LEVEL, PAIRS_FOR_PRIOR, PairedTest, Sequence, default_prior_scale, median, robust_sd,
};
use crate::values::{Comparison, Estimate, EstimateUnit, Metric, Pair, Run};

/// All quantities that were measured in every pair, the primary metric first.
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
    Some(placed(quantity, &values, ratio.map(exponential)))
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
        _ => default_prior_scale(Metric::CpuTime),
    }
}

/// The ratio of a logarithm of a ratio.
fn exponential(log: Estimate) -> Estimate {
    Estimate {
        value: log.value.exp(),
        low: log.low.exp(),
        high: log.high.exp(),
        unit: EstimateUnit::Ratio,
        ..log
    }
}
