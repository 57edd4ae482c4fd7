//! The difference for agents.

use hotproof_profile::Profile;
use serde::Serialize;

use super::value::{Difference, Figures, Normalize, Presence, Row, doubts};
use super::{Options, chosen, notes};
use crate::schema::Schema;

#[derive(Serialize)]
struct Document<'a> {
    schema: Schema,
    base: Side<'a>,
    head: Side<'a>,
    weight: &'a str,
    unit: &'static str,
    normalize: &'static str,
    total: Change,
    functions: Vec<Function<'a>>,
    others: Others,
    interval: Option<()>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Side<'a> {
    command: &'a [String],
    event: &'a str,
    wall_ns: u64,
    samples: u64,
    factor: f64,
}

#[derive(Serialize)]
struct Change {
    base: f64,
    head: f64,
    change: f64,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    key: &'a str,
    place: Option<&'a str>,
    line: Option<u32>,
    presence: &'static str,
    #[serde(rename = "self")]
    self_weight: Change,
    total: Change,
    base_samples: u64,
    head_samples: u64,
}

#[derive(Serialize)]
struct Others {
    count: u64,
    #[serde(rename = "self")]
    self_weight: Change,
}

/// The difference as JSON: schema `hotproof.diff`, version 1; rows in the order of the table,
/// figures in `unit`, after normalizing. `interval` is always null: two single profiles have none.
/// Ends with a newline.
pub fn json(profiles: [&Profile; 2], difference: &Difference, options: &Options) -> String {
    let (shown, rest) = chosen(difference, options);
    let side = |index: usize, factor: f64| Side {
        command: &profiles[index].meta.command,
        event: &profiles[index].meta.event,
        wall_ns: profiles[index].meta.duration_ns,
        samples: difference.samples[index],
        factor,
    };
    let others = rest.iter().fold(Figures::default(), |sum, row| Figures {
        base: sum.base + row.self_weight.base,
        head: sum.head + row.self_weight.head,
    });
    crate::schema::pretty(&Document {
        schema: Schema::new("hotproof.diff"),
        base: side(0, difference.factors.base),
        head: side(1, difference.factors.head),
        weight: &difference.weight,
        unit: difference.unit.name(),
        normalize: match difference.normalize {
            Normalize::Run => "run",
            Normalize::Total => "total",
            Normalize::Second => "second",
        },
        total: difference.whole.into(),
        functions: shown.into_iter().map(Function::from).collect(),
        others: Others {
            count: rest.len() as u64,
            self_weight: others.into(),
        },
        interval: None,
        warnings: doubts(profiles)
            .into_iter()
            .chain(notes(difference))
            .collect(),
    })
}

impl From<Figures> for Change {
    fn from(figures: Figures) -> Change {
        Change {
            base: figures.base,
            head: figures.head,
            change: figures.change(),
        }
    }
}

impl<'a> From<&'a Row> for Function<'a> {
    fn from(row: &'a Row) -> Function<'a> {
        Function {
            name: &row.name,
            key: &row.key,
            place: row.place.as_deref(),
            line: row.line,
            presence: match row.presence {
                Presence::Both => "both",
                Presence::Added => "added",
                Presence::Removed => "removed",
            },
            self_weight: row.self_weight.into(),
            total: row.total.into(),
            base_samples: row.samples[0],
            head_samples: row.samples[1],
        }
    }
}
