//! Two profiles in one, as `go tool pprof -diff_base` puts them together.

use std::collections::HashMap;
use std::hash::Hash;
use std::io::Write;

use hotproof_profile::Profile;
use rustc_hash::FxHashMap;

use super::build::{Texts, build_with};
use super::{labels, schema, write_message};
use crate::WriteError;

/// The label of samples that are the base's.
const BASE: &str = "pprof::base";

/// Writes the difference of two profiles: head's samples as they are, base's with negated weights
/// and the label `pprof::base`, so that pprof shows head minus base, in shares of base.
///
/// Rows that the two have in common are written once. Everything about the recording is head's;
/// base's comments follow as notes.
///
/// # Errors
/// [`WriteError::Unlike`] when the weights of the two differ in name, unit or number,
/// [`WriteError::Invalid`], and those of `out`.
pub fn write_differential(
    base: &Profile,
    head: &Profile,
    out: impl Write,
) -> Result<(), WriteError> {
    base.validate()?;
    head.validate()?;
    if base.weights != head.weights {
        return Err(WriteError::Unlike {
            base: crate::error::name_weights(base),
            head: crate::error::name_weights(head),
        });
    }
    let mut texts = Texts::new();
    let mut message = build_with(head, &mut texts);
    let added = build_with(base, &mut texts);
    let mappings = append(&mut message.mapping, added.mapping, |row, id| row.id = id);
    let functions = append(&mut message.function, added.function, |row, id| row.id = id);
    let locations = added.location.into_iter().map(|mut row| {
        row.mapping_id = mappings.get(&row.mapping_id).copied().unwrap_or(0);
        for line in &mut row.line {
            line.function_id = functions[&line.function_id];
        }
        row
    });
    let locations = append(&mut message.location, locations, |row, id| row.id = id);
    message
        .sample
        .extend(added.sample.into_iter().map(|mut row| {
            for id in &mut row.location_id {
                *id = locations[id];
            }
            for value in &mut row.value {
                // A valid profile has no weight whose size does not fit.
                *value = -*value;
            }
            row.label.push(labels::text(BASE, "true", &mut texts));
            row
        }));
    for comment in added.comment {
        let note = format!("note: base: {}", texts.text(comment));
        message.comment.push(texts.id(&note));
    }
    message.string_table = texts.into_list();
    write_message(&message, out)
}

/// A row of a table whose rows have numbers.
trait Row: Clone + PartialEq {
    type Content: Eq + Hash;
    fn number(&self) -> u64;
    fn content(&self) -> Self::Content;
}

impl Row for schema::Mapping {
    type Content = (u64, u64, u64, i64, i64);

    fn number(&self) -> u64 {
        self.id
    }

    fn content(&self) -> Self::Content {
        let range = (self.memory_start, self.memory_limit, self.file_offset);
        (range.0, range.1, range.2, self.filename, self.build_id)
    }
}

impl Row for schema::Function {
    type Content = (i64, i64, i64, i64);

    fn number(&self) -> u64 {
        self.id
    }

    fn content(&self) -> Self::Content {
        (self.name, self.system_name, self.filename, self.start_line)
    }
}

impl Row for schema::Location {
    type Content = (u64, u64, Vec<(u64, i64, i64)>);

    fn number(&self) -> u64 {
        self.id
    }

    fn content(&self) -> Self::Content {
        let lines = self.line.iter();
        let lines = lines.map(|line| (line.function_id, line.line, line.column));
        (self.mapping_id, self.address, lines.collect())
    }
}

/// Adds the rows that are not there yet; returns the number that each row has now.
fn append<R: Row>(
    rows: &mut Vec<R>,
    added: impl IntoIterator<Item = R>,
    set_number: impl Fn(&mut R, u64),
) -> FxHashMap<u64, u64> {
    let known = rows.iter().map(|row| (row.content(), row.number()));
    let mut known: HashMap<R::Content, u64> = known.collect();
    let mut last = rows.iter().map(Row::number).max().unwrap_or(0);
    let mut numbers = FxHashMap::default();
    for mut row in added {
        let before = row.number();
        let now = *known.entry(row.content()).or_insert_with(|| {
            last += 1;
            set_number(&mut row, last);
            rows.push(row.clone());
            last
        });
        numbers.insert(before, now);
    }
    numbers
}
