//! The chart of where the change sits: the whole, its parts, and the functions that moved.

use std::fmt::Write;

use hotproof_diff::{Comparison, Conclusion, Estimate};

use super::axis::Axis;
use super::escape;
use crate::names::{clean, cut_middle};
use crate::numbers::TimeUnit;

const WIDTH: f64 = 760.0;
const ROW: f64 = 24.0;
const TOP: f64 = 10.0;
/// Names stand left of it.
const LEFT: f64 = 250.0;
/// Figures stand right of it.
const RIGHT: f64 = 650.0;
const NAME_COLUMNS: usize = 34;
/// Functions with bars.
const MOST: usize = 10;

struct Bar {
    name: String,
    class: &'static str,
    delta: Estimate,
}

/// One bar each, from no change to the change of a run, with the 99 % interval; empty when nothing
/// was sampled.
pub(super) fn chart(comparison: &Comparison, conclusion: &Conclusion) -> String {
    let bars = bars(comparison, conclusion);
    let ends = bars
        .iter()
        .flat_map(|bar| [bar.delta.low, bar.delta.high, bar.delta.value]);
    let finite = || ends.clone().filter(|end| end.is_finite());
    let (low, high) = (finite().fold(0.0, f64::min), finite().fold(0.0, f64::max));
    if bars.is_empty() || low == high {
        return String::new();
    }
    let time = Axis {
        values: (low, high),
        places: (LEFT, RIGHT),
    };
    let unit = TimeUnit::of(low.abs().max(high));
    let height = TOP + ROW * bars.len() as f64 + 8.0;
    let mut out = format!(
        "<div class=\"wide\"><svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"where the change sits\">\n"
    );
    let zero = time.place(0.0);
    for (index, bar) in bars.iter().enumerate() {
        push_bar(&mut out, bar, TOP + ROW * index as f64, &time, unit);
    }
    let _ = writeln!(
        out,
        "<line class=\"zero\" x1=\"{zero:.1}\" x2=\"{zero:.1}\" y1=\"{TOP}\" y2=\"{:.1}\"/>\n</svg></div>",
        height - 8.0
    );
    out
}

/// The whole and its parts, then the functions in the order of the table.
fn bars(comparison: &Comparison, conclusion: &Conclusion) -> Vec<Bar> {
    let Some(parts) = &conclusion.attribution.parts else {
        return Vec::new();
    };
    let part = |name: &str, class, delta| Bar {
        name: name.to_owned(),
        class,
        delta,
    };
    let mut bars = vec![
        part("the whole run", "whole", parts.whole),
        part("changed functions", "changed", parts.changed),
        part("what they call", "changed", parts.below),
        part("everything else", "other", parts.unexplained),
    ];
    let seen = conclusion
        .functions
        .iter()
        .filter(|result| result.base_samples + result.head_samples > 0);
    bars.extend(seen.take(MOST).map(|result| {
        let function = &comparison.functions[result.row];
        let (mark, class) = match function.change {
            Some(_) => ("* ", "changed"),
            None => ("", "other"),
        };
        Bar {
            name: format!("{mark}{}", function.name),
            class,
            delta: result.own.delta,
        }
    }));
    bars
}

fn push_bar(out: &mut String, bar: &Bar, y: f64, time: &Axis, unit: TimeUnit) {
    let full = escape(&clean(&bar.name));
    let name = escape(&clean(&cut_middle(&bar.name, NAME_COLUMNS)));
    let (zero, end) = (time.place(0.0), time.place(bar.delta.value));
    let (low, high) = (time.place(bar.delta.low), time.place(bar.delta.high));
    let middle = y + ROW / 2.0;
    let figure = escape(&unit.show_signed(bar.delta.value));
    let _ = writeln!(
        out,
        "<g><title>{full}: {figure}</title><text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{name}</text>\
         <rect class=\"{}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>\
         <line class=\"whisker\" x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>\
         <text class=\"figure\" x=\"{WIDTH}\" y=\"{:.1}\">{figure}</text></g>",
        LEFT - 12.0,
        middle + 4.0,
        bar.class,
        zero.min(end),
        y + 5.0,
        (end - zero).abs().max(0.5),
        ROW - 10.0,
        middle + 4.0
    );
}
