//! The table on a terminal.

use anstyle::Style;
use hotproof_profile::transform::left_nothing;
use hotproof_profile::{Code, Profile, Unit};

use super::selection::{Others, Selection, select};
use super::{FunctionsError, Options};
use crate::census::{Entry, Measure, share};
use crate::grid::{Cell, Column, Grid};
use crate::names::{clean, cut_middle};
use crate::numbers::{ByteUnit, TimeUnit, count, counted, percent, time};
use crate::places::Places;
use crate::prose::{flow, paragraph, styled_paragraph};
use crate::quality::{Quality, sampled_ns, whole_ns};
use crate::record::shell_words;
use crate::style::{CAUTION, FAINT, PLAIN, STRONG, paint};
use crate::view::View;

/// A function whose own share is above this is where time goes, and is printed in bold.
const HEAVY_SELF: f64 = 0.05;

/// The functions of a profile, as a table with a header line, a legend and notes.
///
/// # Errors
/// When the samples carry no weight.
pub fn table(profile: &Profile, options: &Options) -> Result<String, FunctionsError> {
    let mut out = header(profile, options.width);
    if let Some(waiting) = Quality::of(profile).waiting() {
        out.push_str(&styled_paragraph(
            "  warning",
            CAUTION,
            12,
            &waiting,
            options.width,
        ));
    }
    if profile.samples.is_empty() {
        out.push_str(&empty(profile, options.width));
        return Ok(out);
    }
    let selection = select(profile, options)?;
    if let Some(focus) = &options.focus {
        out.push_str(&focus_line(focus.as_str(), &selection, options.width));
    }
    if selection.seen {
        let grid = rows(profile, &selection);
        out.push('\n');
        out.push_str(&grid.render(options.width));
        let amount = Amount::of(profile, selection.whole);
        let scaled = amount.scaled_from(profile);
        out.push_str(&legend(
            &grid.headings(options.width),
            scaled,
            options.width,
        ));
        out.push_str(&folded(&selection.others, options.width));
    }
    if let Some(line) = crate::sources::line(profile) {
        out.push_str(&paragraph("named by", 10, &line, options.width));
    }
    out.push_str(&notes(profile, options.width));
    Ok(out)
}

/// Command, CPU time, wall time, samples, rate, event.
pub(crate) fn header(profile: &Profile, width: usize) -> String {
    let meta = &profile.meta;
    let mut segments = Vec::new();
    if !meta.command.is_empty() {
        segments.push(cut_middle(&clean(&shell_words(&meta.command)), width));
    }
    // A format that knows no times has no wall time either.
    let wall = match meta.duration_ns {
        0 => None,
        ns => Some(format!("{} wall", time(ns as f64))),
    };
    let view = View::of(profile);
    let cpu = match &view {
        Some(view) => Some(format!("{} {}", time(view.whole_ns), view.what)),
        None => meta
            .cpu_time_ns
            .map(|ns| format!("{} CPU", time(ns as f64))),
    };
    segments.extend(match (cpu, wall) {
        (Some(cpu), Some(wall)) => Some(format!("{cpu} in {wall}")),
        (cpu, wall) => cpu.or(wall),
    });
    segments.push(match view {
        Some(view) => view.rows,
        None => samples(profile),
    });
    let text = flow(&segments, 2, width);
    match meta.command.first() {
        Some(_) => {
            let command = &segments[0];
            paint(STRONG, command) + &text[command.len()..]
        }
        None => text,
    }
}

/// How many samples there are, and of what.
fn samples(profile: &Profile) -> String {
    let meta = &profile.meta;
    let rate = match (meta.rate_hz, meta.period) {
        (Some(rate), _) => format!(" at {} Hz", count(rate)),
        (None, Some(period)) => format!(", one in {}", count(period)),
        (None, None) => String::new(),
    };
    let samples = counted(profile.sample_count(), "sample");
    if meta.event.is_empty() {
        format!("{samples}{rate}")
    } else {
        format!("{samples}{rate} ({})", clean(&meta.event))
    }
}

/// What to say of a profile without a sample.
fn empty(profile: &Profile, width: usize) -> String {
    let meta = &profile.meta;
    let filtered = left_nothing(profile);
    let why = match (meta.cpu_time_ns, meta.lost.samples) {
        _ if let Some(filter) = filtered => format!("no samples: {filter}"),
        (_, lost) if lost > 0 => format!("no samples: all {} were lost", count(lost)),
        (Some(cpu), _) => format!(
            "no samples: the command used {} of CPU time",
            time(cpu as f64)
        ),
        (None, _) => "no samples: nothing is known of where the time went".to_owned(),
    };
    let cure = match filtered {
        Some(_) => "choose another part, or leave the filter away",
        None => {
            "record a longer run, or more often: hotproof record -F 9973 -- CMD; a command that mostly waits has no hot path"
        }
    };
    let mut out = String::from("\n");
    out.push_str(&styled_paragraph("", CAUTION, 2, &why, width));
    out.push_str(&paragraph("", 2, cure, width));
    out.push('\n');
    out.push_str(&notes(profile, width));
    out
}

fn focus_line(pattern: &str, selection: &Selection, width: usize) -> String {
    let text = if !selection.seen {
        format!("no sample has a function that matches {pattern}")
    } else {
        format!(
            "only stacks with a function that matches {pattern}: {}, {} of the whole",
            counted(selection.samples, "sample"),
            percent(share(selection.weight, selection.whole))
        )
    };
    paragraph("focus", 7, &text, width)
}

/// Place of the column of amounts.
const AMOUNT: usize = 3;

fn rows(profile: &Profile, selection: &Selection) -> Grid {
    let amount = Amount::of(profile, selection.whole);
    let mut columns = vec![
        Column::figures("total"),
        Column::figures("self"),
        Column::figures("+lib"),
        Column::figures(amount.title()).optional(1),
        Column::figures("samples").optional(3),
        Column::names("function", 24),
        Column::names("", 12).optional(2),
    ];
    let places = Places::of([profile]);
    let entries = selection.rows.iter();
    let mut rows: Vec<Vec<Cell>> = entries
        .map(|entry| row(profile, entry, selection.whole, &amount, &places))
        .collect();
    if selection.others.functions > 0 {
        rows.push(others_row(&selection.others, selection.whole));
    }
    if matches!(amount, Amount::Samples) {
        columns.remove(AMOUNT);
        for row in &mut rows {
            row.remove(AMOUNT);
        }
    }
    let mut grid = Grid::new(columns, 2);
    rows.into_iter().for_each(|row| grid.row(row));
    grid
}

/// What weights stand for.
enum Amount {
    Time {
        unit: TimeUnit,
        /// Nanoseconds that the whole profile stands for.
        whole_ns: f64,
        whole: i64,
    },
    Memory(ByteUnit),
    /// Instructions, cycles, events.
    Number(String),
    /// Samples, which have a column of their own.
    Samples,
}

impl Amount {
    fn of(profile: &Profile, whole: i64) -> Self {
        if let Some(whole_ns) = whole_ns(profile) {
            let unit = TimeUnit::of(whole_ns);
            return Amount::Time {
                unit,
                whole_ns,
                whole,
            };
        }
        let Some(measure) = Measure::of(profile) else {
            return Amount::Samples;
        };
        let name = clean(&profile.weights[measure.weight].name);
        match measure.unit {
            Unit::Bytes => Amount::Memory(ByteUnit::of(whole as f64)),
            Unit::Instructions => Amount::Number("instructions".into()),
            Unit::Cycles => Amount::Number("cycles".into()),
            Unit::Count if whole == i64::try_from(profile.sample_count()).unwrap_or(i64::MAX) => {
                Amount::Samples
            }
            Unit::Count | Unit::Nanoseconds => Amount::Number(cut_middle(&name, 16)),
        }
    }

    /// The title of its column.
    fn title(&self) -> &str {
        match self {
            Amount::Time { .. } | Amount::Samples => "time",
            Amount::Memory(_) => "memory",
            Amount::Number(name) => name,
        }
    }

    /// Whether times are shown that the samples' own weights, which exports and differences carry,
    /// do not add up to.
    fn scaled_from(&self, profile: &Profile) -> bool {
        match (self, sampled_ns(profile)) {
            (Amount::Time { unit, whole_ns, .. }, Some(sampled_ns)) => {
                unit.show(*whole_ns) != unit.show(sampled_ns)
            }
            _ => false,
        }
    }

    fn show(&self, weight: i64) -> String {
        match self {
            Amount::Time {
                unit,
                whole_ns,
                whole,
            } => unit.show(share(weight, *whole) * whole_ns),
            Amount::Memory(unit) => unit.show(weight as f64),
            Amount::Number(_) => {
                let sign = if weight < 0 { "-" } else { "" };
                format!("{sign}{}", count(weight.unsigned_abs()))
            }
            Amount::Samples => String::new(),
        }
    }
}

fn row(
    profile: &Profile,
    entry: &Entry,
    whole: i64,
    amount: &Amount,
    places: &Places,
) -> Vec<Cell> {
    let figure = |weight| Cell::from(percent(share(weight, whole)));
    let style = name_style(entry, whole);
    vec![
        figure(entry.total),
        figure(entry.self_weight),
        figure(entry.own),
        Cell::from(amount.show(entry.total)),
        Cell::from(count(entry.samples)),
        Cell::styled(&entry.name, style),
        Cell::styled(&place(profile, entry.code, places), FAINT),
    ]
}

/// Where the code is declared; nothing when its name says the image already.
fn place(profile: &Profile, code: Code, places: &Places) -> String {
    match code {
        Code::Function(_) => places.place(profile, code),
        Code::Unnamed(_) | Code::Unmapped => String::new(),
    }
}

fn name_style(entry: &Entry, whole: i64) -> Style {
    if share(entry.own.max(entry.self_weight), whole) >= HEAVY_SELF {
        STRONG
    } else if entry.library {
        FAINT
    } else {
        PLAIN
    }
}

fn others_row(others: &Others, whole: i64) -> Vec<Cell> {
    let blank = || Cell::from("");
    vec![
        blank(),
        Cell::from(percent(share(others.self_weight, whole))),
        Cell::from(percent(share(others.own, whole))),
        blank(),
        blank(),
        Cell::styled(&counted(others.functions, "other"), FAINT),
        blank(),
    ]
}

/// What the columns mean, of those that are shown; `scaled` times are not those of the samples.
fn legend(headings: &[&str], scaled: bool, width: usize) -> String {
    let before_names = headings.iter().position(|heading| *heading == "function");
    let of_total = headings.get(AMOUNT..before_names.unwrap_or(AMOUNT));
    let of_total = match of_total.unwrap_or_default() {
        [] => String::new(),
        shown => format!("; {}: of the total", shown.join(", ")),
    };
    let scaled = match scaled && headings.contains(&"time") {
        true => {
            "; times are shares of the CPU time that was counted, exports carry what was sampled"
        }
        false => "",
    };
    let text = format!(
        "total: in the function and what it calls; self: in it alone; +lib: self with inlined library code{of_total}{scaled}"
    );
    let mut out = String::from("\n");
    for line in crate::prose::wrap(&text, width.saturating_sub(2)) {
        out.push_str("  ");
        out.push_str(&paint(FAINT, &line));
        out.push('\n');
    }
    out
}

/// What is not in the table although it is heavy.
fn folded(others: &Others, width: usize) -> String {
    match others.start_up {
        0 => String::new(),
        count => {
            let (verb, them) = if count == 1 {
                ("starts", "it")
            } else {
                ("start", "them")
            };
            let text = format!(
                "{}, which only {verb} the code above (--min-percent 0 shows {them})",
                counted(count, "function")
            );
            paragraph("  left out", 12, &text, width)
        }
    }
}

/// Warnings, how it was recorded, and what the recorder noted.
fn notes(profile: &Profile, width: usize) -> String {
    let mut out = String::new();
    let quality = Quality::of(profile);
    // That it mostly waits stands at the top already.
    let told = usize::from(quality.waiting().is_some());
    for warning in quality.warnings().into_iter().skip(told) {
        out.push_str(&styled_paragraph("  warning", CAUTION, 12, &warning, width));
    }
    for note in &profile.meta.notes {
        out.push_str(&paragraph("  note", 12, note, width));
    }
    let how: Vec<&str> = [&profile.meta.rung, &profile.meta.unwinder]
        .into_iter()
        .filter(|text| !text.is_empty())
        .map(String::as_str)
        .collect();
    if !how.is_empty() {
        out.push_str(&paragraph("  recorded", 12, &how.join("; "), width));
    }
    out
}
