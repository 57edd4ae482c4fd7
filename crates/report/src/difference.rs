//! `hotproof diff`: what differs between two profiles, function by function, and as a picture.
//!
//! Functions are joined on the ladder of [`hotproof_diff::changes::match_groups`]: by linkage name,
//! by path, by file and order of lines, by the bare name alone only where one profile has no file.
//! What the compiler made of one function (closures, generic instances, inlined copies, cold parts) is
//! one row. Where the sources lay in different folders, the files with the longest common end belong
//! together.
//!
//! Two single profiles carry no interval: nothing here says whether a difference is more than
//! noise. That takes paired runs, which `hotproof compare` makes.

mod join;
mod json;
mod picture;
mod screen;
mod stacks;
mod value;

use crate::numbers::count;

pub use json::json;
pub use picture::PictureError;
pub use screen::table;
pub use stacks::{Stacks, has_sides, holds_both, sides};
pub use value::{
    DiffError, Difference, Figures, Normalize, Presence, Row, check, difference, doubts,
};

/// Which figure orders the rows, by the size of its change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// In the function alone.
    #[default]
    SelfWeight,
    /// In the function and in what it calls.
    Total,
}

/// What to show.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// What orders the rows.
    pub sort: Sort,
    /// At most so many rows; `None` shows all.
    pub top: Option<usize>,
    /// Rows whose self and total change by less than this share of base's whole, in per cent, are
    /// left out and counted.
    pub min_percent: f64,
    /// Columns of the terminal.
    pub width: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            sort: Sort::SelfWeight,
            top: None,
            min_percent: 0.5,
            width: 100,
        }
    }
}

/// What a reader of the table has to know.
fn notes(difference: &Difference) -> Vec<String> {
    let mut notes = vec![NO_INTERVAL.to_owned()];
    notes.extend(by_name(difference.joined_by_name));
    notes
}

/// What is unsure where so many functions are joined by their names.
fn by_name(functions: usize) -> Option<String> {
    let are = match functions {
        0 => return None,
        1 => "1 function is".to_owned(),
        some => format!("{} functions are", count(some as u64)),
    };
    Some(format!(
        "{are} joined by name alone, because one of the profiles does not say their files (its format has none, or the program was built without -g); there, what is inlined counts for the function around it"
    ))
}

const NO_INTERVAL: &str = "two single profiles carry no interval, so a difference may be noise; `hotproof compare BASE HEAD -- CMD` measures one with its uncertainty";

/// The rows to show, ordered, and the rest.
pub(crate) fn chosen<'a>(
    difference: &'a Difference,
    options: &Options,
) -> (Vec<&'a Row>, Vec<&'a Row>) {
    let limit = options.min_percent / 100.0 * difference.whole.base;
    let change = |row: &Row| match options.sort {
        Sort::SelfWeight => (row.self_change().abs(), row.total_change().abs()),
        Sort::Total => (row.total_change().abs(), row.self_change().abs()),
    };
    let mut rows: Vec<&Row> = difference.rows.iter().collect();
    rows.sort_by(|a, b| {
        let ((a1, a2), (b1, b2)) = (change(a), change(b));
        let by_name = || (&a.name, &a.key).cmp(&(&b.name, &b.key));
        b1.total_cmp(&a1).then(b2.total_cmp(&a2)).then_with(by_name)
    });
    let top = options.top.unwrap_or(usize::MAX);
    let mut shown = Vec::new();
    let mut rest = Vec::new();
    for row in rows {
        let large = row.self_change().abs().max(row.total_change().abs()) >= limit;
        if large && shown.len() < top {
            shown.push(row);
        } else {
            rest.push(row);
        }
    }
    (shown, rest)
}
