//! The chart of pairs: what each one measured, and what was known after it.

use std::fmt::Write;

use hotproof_diff::{Comparison, Conclusion, Metric, Pair, Sequence, log_ratio};

use super::axis::Axis;
use super::escape;
use crate::numbers::signed;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 260.0;
/// Left of it stand the figures of the axis.
const LEFT: f64 = 62.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 226.0;
/// Places between two pairs where there are few.
const WIDEST_STEP: f64 = 26.0;

/// One dot a pair: the change of the primary metric in per cent, the A/A block before the counted
/// pairs; the band is the interval after each pair. Empty without pairs.
pub(super) fn chart(comparison: &Comparison, conclusion: &Conclusion) -> String {
    let placebo = changes(&comparison.placebo, comparison.metric);
    let pairs = changes(&comparison.pairs, comparison.metric);
    if pairs.is_empty() {
        return String::new();
    }
    let known = intervals(comparison, &pairs);
    let change = Axis {
        values: range(&placebo, &pairs, &known),
        places: (BOTTOM, TOP),
    };
    // One place is left free between the A/A block and the pairs.
    let gap = usize::from(!placebo.is_empty());
    let places = placebo.len() + gap + pairs.len();
    let step = ((WIDTH - LEFT - 8.0) / places as f64).min(WIDEST_STEP);
    let place = |index: usize| LEFT + (index as f64 + 0.5) * step;
    let first = placebo.len() + gap;

    let mut out = format!(
        "<div class=\"wide\"><svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"change of each pair\">\n"
    );
    push_grid(
        &mut out,
        &change,
        place(places.saturating_sub(1)) + step / 2.0,
    );
    push_band(&mut out, &known, &change, |pair| place(first + pair));
    if let Some(decided) = conclusion
        .decided_at
        .filter(|&at| (1..=pairs.len()).contains(&at))
    {
        let x = place(first + decided - 1);
        let _ = writeln!(
            out,
            "<line class=\"decided\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{BOTTOM}\"><title>decided after {decided} pairs</title></line>"
        );
    }
    for (index, &value) in placebo.iter().enumerate() {
        let what = format!("base against its second build: {} %", signed(value, 2));
        push_dot(&mut out, "placebo", place(index), value, &change, &what);
    }
    for (index, &value) in pairs.iter().enumerate() {
        let what = format!("pair {}: {} %", index + 1, signed(value, 2));
        push_dot(
            &mut out,
            "pair",
            place(first + index),
            value,
            &change,
            &what,
        );
    }
    if !placebo.is_empty() {
        push_label(&mut out, place(0) - step / 2.0, "identical builds");
    }
    // Beside a short A/A block the second label would stand in the first.
    let beside = (place(first) - step / 2.0).max(LEFT + if gap == 1 { 110.0 } else { 0.0 });
    push_label(&mut out, beside, &pairs_label(conclusion, pairs.len()));
    out.push_str("</svg></div>\n");
    out
}

fn pairs_label(conclusion: &Conclusion, pairs: usize) -> String {
    match conclusion.decided_at {
        Some(decided) if decided < pairs => {
            format!("{pairs} pairs of base and head, decided after {decided}")
        }
        _ => format!("{pairs} pairs of base and head"),
    }
}

/// The change of each pair in per cent, in the order they ran.
fn changes(pairs: &[Pair], metric: Metric) -> Vec<f64> {
    let ratios = pairs.iter().filter_map(|pair| log_ratio(pair, metric));
    ratios.map(in_per_cent).collect()
}

fn in_per_cent(log_ratio: f64) -> f64 {
    log_ratio.exp_m1() * 100.0
}

/// After one pair: which one, counted from 0, and low, value and high in per cent.
type Known = (usize, [f64; 3]);

/// The interval after each pair from the first one that has both ends.
fn intervals(comparison: &Comparison, pairs: &[f64]) -> Vec<Known> {
    let mut sequence =
        Sequence::with_placebo(comparison.rule, comparison.metric, &comparison.placebo);
    let mut known = Vec::new();
    for (index, change) in pairs.iter().enumerate() {
        sequence.push((change / 100.0).ln_1p());
        let estimate = sequence.interval();
        if estimate.is_bounded() {
            let ends = [estimate.low, estimate.value, estimate.high].map(in_per_cent);
            known.push((index, ends));
        }
    }
    known
}

/// What the axis has to hold: no change, the last interval, and all but the outermost dots.
fn range(placebo: &[f64], pairs: &[f64], known: &[Known]) -> (f64, f64) {
    let mut dots: Vec<f64> = placebo.iter().chain(pairs).copied().collect();
    dots.sort_by(f64::total_cmp);
    let outermost = dots.len() / 20;
    let (mut low, mut high) = (dots[outermost], dots[dots.len() - 1 - outermost]);
    if let Some((_, [from, _, to])) = known.last() {
        low = low.min(*from);
        high = high.max(*to);
    }
    (low, high) = (low.min(0.0), high.max(0.0));
    let margin = ((high - low) * 0.08).max(0.1);
    (low - margin, high + margin)
}

fn push_grid(out: &mut String, change: &Axis, right: f64) {
    let (ticks, digits) = change.ticks(6);
    for tick in ticks {
        let y = change.place(tick);
        let class = if tick == 0.0 { "zero" } else { "grid" };
        let text = if tick == 0.0 {
            "0 %".to_owned()
        } else {
            format!("{} %", signed(tick, digits))
        };
        let _ = writeln!(
            out,
            "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{right:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            escape(&text)
        );
    }
}

fn push_band(out: &mut String, known: &[Known], change: &Axis, place: impl Fn(usize) -> f64) {
    if known.is_empty() {
        return;
    }
    let point = |pair: usize, value: f64| format!("{:.1},{:.1}", place(pair), change.place(value));
    let above = known.iter().map(|(pair, ends)| point(*pair, ends[2]));
    let below = known.iter().rev().map(|(pair, ends)| point(*pair, ends[0]));
    let outline: Vec<String> = above.chain(below).collect();
    let middle: Vec<String> = known
        .iter()
        .map(|(pair, ends)| point(*pair, ends[1]))
        .collect();
    let _ = writeln!(
        out,
        "<polygon class=\"band\" points=\"{}\"><title>99 % interval after each pair</title></polygon>\n<polyline class=\"estimate\" points=\"{}\"/>",
        outline.join(" "),
        middle.join(" ")
    );
}

/// A dot; a triangle at the edge where the value lies beyond it.
fn push_dot(out: &mut String, class: &str, x: f64, value: f64, change: &Axis, what: &str) {
    let y = change.place(value);
    let what = escape(what);
    let _ = if change.holds(value) {
        writeln!(
            out,
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.2\"><title>{what}</title></circle>"
        )
    } else {
        let away = if value > change.values.1 { -5.0 } else { 5.0 };
        writeln!(
            out,
            "<path class=\"{class}\" d=\"M{:.1} {y:.1} h8 l-4 {away} z\"><title>{what}</title></path>",
            x - 4.0
        )
    };
}

fn push_label(out: &mut String, x: f64, text: &str) {
    let _ = writeln!(
        out,
        "<text class=\"label\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
        BOTTOM + 24.0,
        escape(text)
    );
}
