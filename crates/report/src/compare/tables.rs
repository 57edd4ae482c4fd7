//! The three tables: end to end, per function, shares.

use hotproof_diff::{
    Comparison, Conclusion, Estimate, EstimateUnit, FunctionResult, Hot, Metric, MetricRow,
    Quantity, ShareChange, SharedTime,
};

use super::page::{Heading, Row, Table, Weight};
use super::{Options, instructions};
use crate::numbers::{ByteUnit, TimeUnit, count, counted, fixed, percent, signed, with_sign};

pub(super) const END_TO_END: &str = "End to End";
pub(super) const BREAKDOWN: &str = "Per-Function Breakdown";
pub(super) const SHARE: &str = "Share of Benchmark Time";
const REPORTED: &str = "Reported";
/// What marks a function that the diff touches.
const MARK: &str = "* ";
const NO_MARK: &str = "  ";

pub(super) fn all(
    comparison: &Comparison,
    conclusion: &Conclusion,
    options: &Options<'_>,
) -> Vec<Table> {
    if let Some(witness) = comparison.witness.as_ref().filter(|witness| witness.alone) {
        return instructions::tables(comparison, witness, options);
    }
    let shown = Shown::of(comparison, conclusion, options);
    let mut tables = vec![end_to_end(comparison, conclusion)];
    if !conclusion.reported.is_empty() {
        tables.push(reported(conclusion));
    }
    tables.push(breakdown(comparison, conclusion, &shown));
    tables.push(shares(comparison, conclusion, &shown));
    tables
}

/// The functions that have rows of their own, and those that do not.
struct Shown<'a> {
    rows: Vec<&'a FunctionResult>,
    /// Changed functions that no sample saw, where there are too many for rows.
    unseen: Vec<&'a FunctionResult>,
    others: Vec<&'a FunctionResult>,
}

/// Up to so many changed functions that no sample saw have rows all the same.
const UNSEEN_ROWS: usize = 3;
/// With fewer samples at either ref no speedup is shown.
const RATIO_SAMPLES: u64 = 30;
/// So many names are listed in a note.
const NAMES: usize = 5;

impl<'a> Shown<'a> {
    fn of(comparison: &Comparison, conclusion: &'a Conclusion, options: &Options<'_>) -> Self {
        let touched = |result: &&FunctionResult| is_changed(comparison, result);
        let (changed, rest): (Vec<_>, Vec<_>) = conclusion.functions.iter().partition(touched);
        let seen = |result: &&FunctionResult| !is_unseen(result);
        let (mut rows, mut unseen): (Vec<_>, Vec<_>) = changed.into_iter().partition(seen);
        if unseen.len() <= UNSEEN_ROWS {
            rows.append(&mut unseen);
        }
        let (movers, others) = rest.split_at(options.movers.min(rest.len()));
        rows.extend_from_slice(movers);
        Shown {
            rows,
            unseen,
            others: others.to_vec(),
        }
    }
}

fn is_changed(comparison: &Comparison, result: &FunctionResult) -> bool {
    comparison.functions[result.row].change.is_some()
}

fn end_to_end(comparison: &Comparison, conclusion: &Conclusion) -> Table {
    let rows = conclusion.metrics.iter().enumerate();
    let rows = rows.filter(|(index, row)| *index == 0 || is_shown(row));
    let notes = if conclusion.metrics.is_empty() {
        vec!["nothing was measured".to_owned()]
    } else {
        Vec::new()
    };
    Table {
        headings: vec![
            Heading::name(END_TO_END, 12),
            Heading::figure("base"),
            Heading::figure("head"),
            Heading::figure("delta"),
            Heading::figure("speedup"),
            Heading::figure("99 % interval").optional(1),
        ],
        rows: rows
            .map(|(index, row)| metric_row(comparison, row, index))
            .collect(),
        notes,
    }
}

/// The times and the memory are always shown, the others when they moved beyond noise.
fn is_shown(row: &MetricRow) -> bool {
    match row.quantity {
        Quantity::CpuTime
        | Quantity::WallTime
        | Quantity::PeakMemory
        | Quantity::Instructions
        | Quantity::Reported => true,
        // It tells of the same time as the CPU time, by ticks, and is there for agents.
        Quantity::UserAndSystemTime => false,
        Quantity::PageFaults | Quantity::ContextSwitches => row
            .ratio
            .is_some_and(|ratio| ratio.is_bounded() && ratio.excludes(1.0)),
    }
}

fn metric_row(comparison: &Comparison, row: &MetricRow, index: usize) -> Row {
    let largest = row.base.abs().max(row.head.abs());
    let (base, head, delta) = match row.quantity.unit() {
        EstimateUnit::Nanoseconds => {
            let unit = unit_for(row.quantity, largest);
            (
                unit.show(row.base),
                unit.show(row.head),
                unit.show_signed(row.delta()),
            )
        }
        EstimateUnit::Bytes => {
            let unit = ByteUnit::of_differences(largest);
            (
                unit.show(row.base),
                unit.show(row.head),
                unit.show_signed(row.delta()),
            )
        }
        EstimateUnit::Count | EstimateUnit::Ratio | EstimateUnit::LogRatio => {
            let whole = |value: f64| count(value.round().max(0.0) as u64);
            let delta = row.delta().round();
            let sign = if delta < 0.0 { "-" } else { "" };
            let delta = format!("{sign}{}", whole(delta.abs()));
            (whole(row.base), whole(row.head), with_sign(delta))
        }
    };
    let speedup = row.speedup();
    let interval = match speedup {
        // What is the same in every run needs no interval.
        Some(_) if row.base == row.head => String::new(),
        Some(estimate) => times_interval(&estimate),
        None => String::new(),
    };
    Row {
        cells: vec![
            comparison.name_of(row.quantity).into_owned(),
            base,
            head,
            delta,
            speedup.map_or_else(dash, |estimate| times(estimate.value)),
            interval,
        ],
        weight: if index == 0 {
            Weight::Strong
        } else {
            Weight::Plain
        },
    }
}

/// What is reported of one iteration is known to fractions of a nanosecond.
fn unit_for(quantity: Quantity, largest_ns: f64) -> TimeUnit {
    match quantity {
        Quantity::Reported => TimeUnit::fine(largest_ns),
        _ => TimeUnit::of(largest_ns),
    }
}

/// Each of several times that the workload reports.
fn reported(conclusion: &Conclusion) -> Table {
    let rows = conclusion.reported.iter().map(|row| {
        let unit = TimeUnit::fine(row.base_ns.max(row.head_ns));
        let speedup = row.ratio.inverse();
        Row {
            cells: vec![
                row.name.clone(),
                unit.show(row.base_ns),
                unit.show(row.head_ns),
                unit.show_signed(row.head_ns - row.base_ns),
                times(speedup.value),
                times_interval(&speedup),
            ],
            weight: if row.marked {
                Weight::Plain
            } else {
                Weight::Faint
            },
        }
    });
    Table {
        headings: vec![
            Heading::name(REPORTED, 22),
            Heading::figure("base"),
            Heading::figure("head"),
            Heading::figure("delta"),
            Heading::figure("speedup"),
            Heading::figure("99 % interval").optional(1),
        ],
        rows: rows.collect(),
        notes: vec![
            "as the workload reports them; the verdict is on their geometric mean".to_owned(),
        ],
    }
}

fn dash() -> String {
    "-".to_owned()
}

/// A speedup: `1.051x`; from 10 on with less decimals.
fn times(value: f64) -> String {
    if !value.is_finite() {
        return dash();
    }
    let digits = if value < 10.0 { 3 } else { 1 };
    format!("{}x", fixed(value, digits))
}

fn times_interval(estimate: &Estimate) -> String {
    match (
        estimate.low.is_finite() && estimate.low > 0.0,
        estimate.high.is_finite(),
    ) {
        (true, true) => format!("{} .. {}", times(estimate.low), times(estimate.high)),
        (true, false) => format!("at least {}", times(estimate.low)),
        (false, true) => format!("at most {}", times(estimate.high)),
        (false, false) => "none yet".to_owned(),
    }
}

fn breakdown(comparison: &Comparison, conclusion: &Conclusion, shown: &Shown<'_>) -> Table {
    let largest = shown
        .rows
        .iter()
        .flat_map(|result| [result.own.base_ns, result.own.head_ns])
        .fold(0.0, f64::max);
    let unit = unit_for(comparison.metric.into(), largest);
    let mut rows: Vec<Row> = shown
        .rows
        .iter()
        .map(|result| function_row(comparison, result, unit))
        .collect();
    if !shown.others.is_empty() {
        rows.push(others_row(comparison.shared_time, conclusion, shown, unit));
    }
    Table {
        headings: vec![
            Heading::function(BREAKDOWN, 22),
            Heading::name("where", 12).optional(4),
            Heading::figure("base"),
            Heading::figure("head"),
            Heading::figure("delta"),
            Heading::figure("99 % interval").optional(3),
            Heading::figure("speedup").optional(1),
            Heading::figure("99 % interval").optional(2),
        ],
        rows,
        notes: breakdown_notes(comparison, conclusion, shown),
    }
}

fn breakdown_notes(
    comparison: &Comparison,
    conclusion: &Conclusion,
    shown: &Shown<'_>,
) -> Vec<String> {
    if shown.rows.is_empty() && shown.others.is_empty() && shown.unseen.is_empty() {
        return vec![unavailable(comparison, conclusion)];
    }
    let mut notes = Vec::new();
    let changed = shown
        .rows
        .iter()
        .any(|result| is_changed(comparison, result));
    let touched = if changed {
        "; *: changed in this diff"
    } else {
        ""
    };
    let what = match comparison.metric {
        Metric::Reported if comparison.time_under().is_none() => "iteration",
        _ => "run",
    };
    notes.push(match comparison.shared_time {
        SharedTime::Cpu => {
            format!("own time of one {what}, with library code inlined into the function{touched}")
        }
        SharedTime::Wall => format!(
            "own wall time of one {what}, on the CPU and waiting, with library code inlined into the function; a wait belongs to the function that waits, and each moment counts once{touched}"
        ),
    });
    let names = |results: &mut dyn Iterator<Item = &&FunctionResult>| -> Vec<String> {
        results
            .map(|result| comparison.functions[result.row].name.clone())
            .collect()
    };
    let is_cold =
        |result: &&&FunctionResult| is_changed(comparison, result) && result.hot == Hot::No;
    let cold = names(&mut shown.rows.iter().filter(is_cold));
    if !cold.is_empty() {
        notes.push(format!("not on the hot path: {}", first_names(&cold)));
    }
    if !shown.unseen.is_empty() {
        notes.push(format!(
            "changed, but in no sample: {}",
            first_names(&names(&mut shown.unseen.iter()))
        ));
    }
    notes
}

/// The first names of a list, and how many more there are.
fn first_names(names: &[String]) -> String {
    let shown = names[..names.len().min(NAMES)].join(", ");
    match names.len().checked_sub(NAMES) {
        Some(more) if more > 0 => format!("{shown} and {} more", count(more as u64)),
        _ => shown,
    }
}

/// Why there is no function to show.
fn unavailable(comparison: &Comparison, conclusion: &Conclusion) -> String {
    match &comparison.machine.refusal {
        Some(refusal) => format!("unavailable: {refusal}"),
        None if conclusion.samples == Default::default() => {
            "unavailable: nothing was sampled".to_owned()
        }
        None => "no function was seen".to_owned(),
    }
}

fn function_row(comparison: &Comparison, result: &FunctionResult, unit: TimeUnit) -> Row {
    let function = &comparison.functions[result.row];
    let own = &result.own;
    // A ratio of a handful of samples is no figure to show.
    let fewest = result.base_samples.min(result.head_samples);
    let speedup = own
        .speedup
        .filter(|estimate| estimate.is_bounded() && fewest >= RATIO_SAMPLES);
    let place = match (&function.file, function.line) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        (Some(file), None) => file.clone(),
        (None, _) => String::new(),
    };
    if is_unseen(result) {
        return Row {
            cells: vec![
                marked_name(comparison, result),
                place,
                unseen(),
                unseen(),
                dash(),
                String::new(),
                dash(),
                String::new(),
            ],
            weight: weight(comparison, result),
        };
    }
    Row {
        cells: vec![
            marked_name(comparison, result),
            place,
            unit.show(own.base_ns),
            unit.show(own.head_ns),
            unit.show_signed(own.delta.value),
            time_interval(&own.delta, unit),
            speedup.map_or_else(dash, |estimate| times(estimate.value)),
            speedup.map_or_else(String::new, |estimate| times_interval(&estimate)),
        ],
        weight: weight(comparison, result),
    }
}

/// Whether no sample has it: its time may be too little to be seen, or stand under another name where
/// its code could not be joined to the source.
fn is_unseen(result: &FunctionResult) -> bool {
    result.base_samples + result.head_samples == 0
}

fn unseen() -> String {
    "unseen".to_owned()
}

fn marked_name(comparison: &Comparison, result: &FunctionResult) -> String {
    let mark = if is_changed(comparison, result) {
        MARK
    } else {
        NO_MARK
    };
    format!("{mark}{}", comparison.functions[result.row].name)
}

/// What the diff touches stands out; what did not move beyond noise steps back.
fn weight(comparison: &Comparison, result: &FunctionResult) -> Weight {
    if is_changed(comparison, result) {
        Weight::Strong
    } else if result.marked {
        Weight::Plain
    } else {
        Weight::Faint
    }
}

/// An interval of a difference, in a unit that stands in the same row.
pub(super) fn time_interval(estimate: &Estimate, unit: TimeUnit) -> String {
    if !estimate.is_bounded() {
        return "none yet".to_owned();
    }
    format!(
        "{} .. {}",
        unit.bare(estimate.low),
        unit.bare(estimate.high)
    )
}

/// All other functions together, by their shares of all samples: typical times of many small
/// functions do not add up, since each is 0 when the function is not in most runs.
fn others_row(
    shared_time: SharedTime,
    conclusion: &Conclusion,
    shown: &Shown<'_>,
    unit: TimeUnit,
) -> Row {
    let others = shown.others.len() + shown.unseen.len();
    let shared = |row: &&MetricRow| match shared_time {
        SharedTime::Cpu => matches!(row.quantity, Quantity::CpuTime | Quantity::Reported),
        SharedTime::Wall => row.quantity == Quantity::WallTime,
    };
    let all = conclusion.metrics.iter().find(shared);
    let sum = |whole: fn(&MetricRow) -> f64, share: fn(&ShareChange) -> f64| {
        let shares = shown.others.iter().map(|result| share(&result.own_share));
        all.map_or(0.0, whole) * shares.sum::<f64>()
    };
    let base = sum(|row| row.base, |share| share.base.value);
    let head = sum(|row| row.head, |share| share.head.value);
    Row {
        cells: vec![
            format!("{NO_MARK}{}", counted(others as u64, "other")),
            String::new(),
            unit.show(base),
            unit.show(head),
            unit.show_signed(head - base),
            String::new(),
            String::new(),
            String::new(),
        ],
        weight: Weight::Others,
    }
}

fn shares(comparison: &Comparison, conclusion: &Conclusion, shown: &Shown<'_>) -> Table {
    let rows = shown
        .rows
        .iter()
        .map(|result| share_row(comparison, result));
    let notes = if shown.rows.is_empty() {
        vec![unavailable(comparison, conclusion)]
    } else {
        vec!["own time, as above; with calls: the function and what it calls, at base".to_owned()]
    };
    Table {
        headings: vec![
            Heading::function(SHARE, 22),
            Heading::figure("base"),
            Heading::figure("99 % interval").optional(2),
            Heading::figure("head"),
            Heading::figure("99 % interval").optional(3),
            Heading::figure("points"),
            Heading::figure("with calls").optional(1),
        ],
        rows: rows.collect(),
        notes,
    }
}

fn share_row(comparison: &Comparison, result: &FunctionResult) -> Row {
    let own = &result.own_share;
    if is_unseen(result) {
        return Row {
            cells: vec![
                marked_name(comparison, result),
                unseen(),
                String::new(),
                unseen(),
                String::new(),
                dash(),
                unseen(),
            ],
            weight: weight(comparison, result),
        };
    }
    Row {
        cells: vec![
            marked_name(comparison, result),
            share(&own.base),
            share_interval(&own.base),
            share(&own.head),
            share_interval(&own.head),
            points(own.points()),
            share(&result.total_share.base),
        ],
        weight: weight(comparison, result),
    }
}

/// A share, or a dash where there was no sample to take it of.
fn share(estimate: &Estimate) -> String {
    if estimate.value.is_finite() {
        percent(estimate.value)
    } else {
        dash()
    }
}

fn points(value: f64) -> String {
    if value.is_finite() {
        signed(value, 1)
    } else {
        dash()
    }
}

fn share_interval(estimate: &Estimate) -> String {
    if !estimate.is_bounded() || !estimate.value.is_finite() {
        return String::new();
    }
    let end = |value: f64| fixed(value * 100.0, 1);
    format!("{} .. {}", end(estimate.low), end(estimate.high))
}
