//! The difference as a table.

use anstyle::Style;
use hotproof_profile::{Profile, Unit};

use super::value::{Difference, Figures, Normalize, Presence, Row, doubts};
use super::{Options, chosen, notes};
use crate::grid::{Cell, Column, Grid};
use crate::names::{clean, cut_middle};
use crate::numbers::{TimeUnit, count, counted, fixed, signed};
use crate::places::Places;
use crate::prose::{paragraph, styled_paragraph, wrap};
use crate::record::shell_words;
use crate::style::{BAD, CAUTION, FAINT, GOOD, PLAIN, paint};

/// Functions by the change of their weights, with a header and what has to be known.
pub fn table(profiles: [&Profile; 2], difference: &Difference, options: &Options) -> String {
    let width = options.width;
    let show = Scale::of(difference);
    let mut out = String::new();
    for (side, label) in ["base", "head"].into_iter().enumerate() {
        let whole = [difference.whole.base, difference.whole.head][side];
        let command = clean(&shell_words(&profiles[side].meta.command));
        let mut text = format!(
            "{} in {}",
            show.plain(whole),
            counted(difference.samples[side], "sample")
        );
        if !command.is_empty() {
            text = format!(
                "{}   {text}",
                cut_middle(&command, width.saturating_sub(40))
            );
        }
        out.push_str(&paragraph(label, 6, &text, width));
    }
    out.push_str(&paragraph(
        "all",
        6,
        &whole_change(difference, &show),
        width,
    ));
    let (shown, rest) = chosen(difference, options);
    if !shown.is_empty() {
        out.push('\n');
        out.push_str(&rows(profiles, &shown, &rest, &show, width));
    }
    out.push('\n');
    if shown.is_empty() {
        let text = format!(
            "no function changed by {} % of base or more",
            fixed(options.min_percent, 1)
        );
        out.push_str(&paragraph("", 2, &text, width));
    } else {
        let legend = "self: in the function alone; total: with what it calls; change: head - base";
        for line in wrap(legend, width.saturating_sub(2)) {
            out.push_str(&format!("  {}\n", paint(FAINT, &line)));
        }
    }
    let scale = match difference.normalize {
        Normalize::Run => None,
        Normalize::Total => Some("head's figures are scaled so that both totals are equal"),
        Normalize::Second => Some("figures are per second of wall time"),
    };
    if let Some(text) = scale {
        out.push_str(&paragraph("  scale", 12, text, width));
    }
    for text in doubts(profiles) {
        out.push_str(&styled_paragraph(
            "  warning",
            CAUTION,
            12,
            &clean(&text),
            width,
        ));
    }
    for note in notes(difference) {
        out.push_str(&styled_paragraph("  note", CAUTION, 12, &note, width));
    }
    out
}

fn whole_change(difference: &Difference, show: &Scale) -> String {
    let Figures { base, head } = difference.whole;
    format!(
        "{} ({} %)",
        show.signed(head - base),
        signed((head - base) / base * 100.0, 1)
    )
}

fn rows(
    profiles: [&Profile; 2],
    shown: &[&Row],
    rest: &[&Row],
    show: &Scale,
    width: usize,
) -> String {
    let mut grid = Grid::new(
        vec![
            Column::figures("self").optional(3),
            Column::figures("in head").optional(3),
            Column::figures("change"),
            Column::figures("total").optional(4),
            Column::figures("in head").optional(4),
            Column::figures("change"),
            Column::names("", 3).optional(1),
            Column::names("function", 24),
            Column::names("", 12).optional(2),
        ],
        2,
    );
    let places = Places::of(profiles);
    for row in shown {
        let place = match (&row.place, row.line) {
            (Some(place), Some(line)) => format!("{place}:{line}"),
            (Some(place), None) if !row.name.starts_with('[') => place.clone(),
            _ => String::new(),
        };
        let presence = match row.presence {
            Presence::Both => "",
            Presence::Added => "added",
            Presence::Removed => "removed",
        };
        grid.row(vec![
            Cell::from(show.plain(row.self_weight.base)),
            Cell::from(show.plain(row.self_weight.head)),
            Cell::styled(&show.signed(row.self_change()), colour(row.self_change())),
            Cell::from(show.plain(row.total.base)),
            Cell::from(show.plain(row.total.head)),
            Cell::from(show.signed(row.total_change())),
            Cell::from(presence),
            Cell::from(&row.name),
            Cell::styled(places.shorten(&place), FAINT),
        ]);
    }
    if !rest.is_empty() {
        let sum = |of: &dyn Fn(&Row) -> f64| rest.iter().map(|row| of(row)).sum::<f64>();
        let blank = || Cell::from("");
        grid.row(vec![
            Cell::from(show.plain(sum(&|row| row.self_weight.base))),
            Cell::from(show.plain(sum(&|row| row.self_weight.head))),
            Cell::from(show.signed(sum(&Row::self_change))),
            blank(),
            blank(),
            blank(),
            blank(),
            Cell::styled(&counted(rest.len() as u64, "other"), FAINT),
            blank(),
        ]);
    }
    grid.render(width)
}

fn colour(change: f64) -> Style {
    if change < 0.0 {
        GOOD
    } else if change > 0.0 {
        BAD
    } else {
        PLAIN
    }
}

/// How figures of one difference are written.
struct Scale {
    time: Option<TimeUnit>,
    /// `/s` when figures are per second.
    suffix: &'static str,
}

impl Scale {
    fn of(difference: &Difference) -> Self {
        let whole = difference.whole.base.max(difference.whole.head);
        Scale {
            time: (difference.unit == Unit::Nanoseconds).then(|| TimeUnit::of(whole)),
            suffix: match difference.normalize {
                Normalize::Second => "/s",
                Normalize::Run | Normalize::Total => "",
            },
        }
    }

    fn plain(&self, value: f64) -> String {
        match self.time {
            Some(unit) => unit.show(value) + self.suffix,
            // Counts below zero come only from differential profiles.
            None if value < 0.0 => fixed(value, 0) + self.suffix,
            None => count(value.round() as u64) + self.suffix,
        }
    }

    fn signed(&self, value: f64) -> String {
        match self.time {
            Some(unit) => unit.show_signed(value) + self.suffix,
            None => signed(value, 0) + self.suffix,
        }
    }
}
