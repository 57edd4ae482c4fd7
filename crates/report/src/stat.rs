//! `hotproof stat`: what one or more runs of a command cost, counted and not sampled.

use hotproof_profile::Unit;
use serde::Serialize;

use crate::grid::{Column, Grid};
use crate::names::clean;
use crate::numbers::{bytes, count, counted, fixed, percent, time};
use crate::prose::paragraph;
use crate::record::shell_words;
use crate::schema::{Schema, pretty};
use crate::style::{STRONG, paint};

/// One figure over all runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// As perf names it, or `cpu-time`, `wall-time`, `peak-memory`.
    pub name: String,
    /// Its unit.
    pub unit: Unit,
    /// One value a run, in the order of the runs; never empty.
    pub values: Vec<u64>,
    /// The least share of a run during which it counted, 0 to 1: below 1 the values are estimates.
    pub counted: f64,
}

/// What is shown.
#[derive(Debug, Clone, Copy)]
pub struct StatFacts<'a> {
    /// The command and its arguments.
    pub command: &'a [String],
    /// How many times it ran.
    pub runs: usize,
    /// All figures, in the order in which they are shown.
    pub series: &'a [Series],
    /// What a reader has to know, one sentence each.
    pub notes: &'a [String],
}

impl Series {
    fn mean(&self) -> f64 {
        self.values.iter().map(|&value| value as f64).sum::<f64>() / self.values.len() as f64
    }

    /// Standard deviation of the runs (with n - 1); `None` for a single run.
    fn deviation(&self) -> Option<f64> {
        let mean = self.mean();
        let squares = self
            .values
            .iter()
            .map(|&value| (value as f64 - mean).powi(2));
        let free = self.values.len().checked_sub(1).filter(|&free| free > 0)?;
        Some((squares.sum::<f64>() / free as f64).sqrt())
    }

    fn ends(&self) -> (u64, u64) {
        let values = || self.values.iter().copied();
        (values().min().unwrap_or(0), values().max().unwrap_or(0))
    }

    fn show(&self, value: f64) -> String {
        match self.unit {
            Unit::Nanoseconds => time(value),
            Unit::Bytes => bytes(value),
            _ if value < 100.0 && value.fract() != 0.0 => fixed(value, 1),
            _ => count(value.round() as u64),
        }
    }
}

/// The figures for people.
pub fn table(facts: &StatFacts<'_>, width: usize) -> String {
    let command = clean(&shell_words(facts.command));
    let mut out = format!(
        "{}   {}\n\n",
        paint(STRONG, &command),
        counted(facts.runs as u64, "run")
    );
    let several = facts.runs > 1;
    let mut columns = vec![
        Column::names("", 12),
        Column::figures(if several { "mean" } else { "" }),
    ];
    if several {
        columns.push(Column::figures("spread").optional(2));
        columns.push(Column::figures("least").optional(3));
        columns.push(Column::figures("most").optional(3));
    }
    columns.push(Column::names("", 20).optional(1));
    let mut grid = Grid::new(columns, 2);
    for series in facts.series {
        let mean = series.mean();
        let mut cells = vec![series.name.as_str().into(), series.show(mean).into()];
        if several {
            let share = series.deviation().filter(|_| mean > 0.0);
            let spread = share.map(|deviation| percent(deviation / mean));
            let (least, most) = series.ends();
            cells.push(spread.unwrap_or_default().into());
            cells.push(series.show(least as f64).into());
            cells.push(series.show(most as f64).into());
        }
        cells.push(about(series, facts.series).into());
        grid.row(cells);
    }
    out.push_str(&grid.render(width));
    if several {
        out.push_str("  spread: standard deviation of the runs, in per cent of their mean\n");
    }
    for note in facts.notes {
        out.push_str(&paragraph("  note", 12, note, width));
    }
    out
}

/// What a figure means beside another one.
fn about(series: &Series, all: &[Series]) -> String {
    let mean = |name: &str| {
        let found = all.iter().find(|series| series.name == name);
        found.map(Series::mean).filter(|&mean| mean > 0.0)
    };
    let per = |name: &str| mean(name).map(|whole| series.mean() / whole);
    let ratio = match series.name.as_str() {
        "cpu-time" => per("wall-time").map(|cpus| format!("{} CPUs in use", fixed(cpus, 2))),
        "instructions" => per("cycles").map(|per| format!("{} a cycle", fixed(per, 2))),
        "cache-misses" => per("cache-references").map(|share| format!("{} missed", percent(share))),
        "branch-misses" => per("branches").map(|share| format!("{} missed", percent(share))),
        _ => None,
    };
    let scaled = (series.counted < 1.0).then(|| {
        format!(
            "estimated: counted in {} of the time",
            percent(series.counted)
        )
    });
    let parts: Vec<String> = ratio.into_iter().chain(scaled).collect();
    parts.join(", ")
}

#[derive(Serialize)]
struct Document<'a> {
    schema: Schema,
    command: &'a [String],
    runs: usize,
    counters: Vec<Row<'a>>,
    notes: &'a [String],
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    unit: &'static str,
    mean: f64,
    standard_deviation: Option<f64>,
    least: u64,
    most: u64,
    counted: f64,
    values: &'a [u64],
}

/// The figures for agents.
pub fn json(facts: &StatFacts<'_>) -> String {
    let counters = facts.series.iter().map(|series| {
        let (least, most) = series.ends();
        Row {
            name: &series.name,
            unit: series.unit.name(),
            mean: series.mean(),
            standard_deviation: series.deviation(),
            least,
            most,
            counted: series.counted,
            values: &series.values,
        }
    });
    pretty(&Document {
        schema: Schema::new("hotproof.stat"),
        command: facts.command,
        runs: facts.runs,
        counters: counters.collect(),
        notes: facts.notes,
    })
}
