//! A profile as speedscope's JSON.

use std::io::Write;

use hotproof_profile::{Code, FunctionId, Profile, Source, ThreadId, Unit};
use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::WriteError;
use crate::folded::Options;
use crate::json;
use crate::viewer::{self, CodeTable, Fact};

/// Names the schema that the file follows; speedscope's schema demands exactly this text.
const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(rename = "$schema")]
    schema: &'static str,
    exporter: &'static str,
    name: String,
    active_profile_index: usize,
    shared: Shared,
    profiles: Vec<Sampled>,
}

#[derive(Serialize)]
struct Shared {
    frames: Vec<Frame>,
}

#[derive(Serialize)]
struct Frame {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    col: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sampled {
    #[serde(rename = "type")]
    kind: &'static str,
    name: String,
    unit: &'static str,
    start_value: i64,
    end_value: i64,
    samples: Vec<Box<[u32]>>,
    weights: Vec<i64>,
}

/// Writes the profile; returns what the format could not carry, in words, such as `the times of
/// samples`.
///
/// # Errors
/// [`WriteError::NoWeight`] when the profile has no such weight, [`WriteError::CannotCarry`] when
/// a weight is below zero, which speedscope refuses, and those of `out`.
pub fn write(
    profile: &Profile,
    options: &Options,
    out: impl Write,
) -> Result<Vec<String>, WriteError> {
    profile.validate()?;
    let (weight, values) = viewer::positive_column(profile, options.weight, "speedscope")?;
    let mut code = CodeTable::new(options.inline);
    let unit = unit_name(weight.unit);
    let mut profiles: Vec<Sampled> = viewer::samples_by_thread(profile)
        .into_iter()
        .map(|(thread, rows)| sampled(profile, thread, &rows, values, unit, &mut code))
        .collect();
    if profiles.is_empty() {
        profiles.push(Sampled::empty("no samples".to_owned(), unit));
    }
    let columns = imported_columns(profile);
    let file = File {
        schema: SCHEMA,
        exporter: concat!("hotproof@", env!("CARGO_PKG_VERSION")),
        name: viewer::profile_title(profile),
        active_profile_index: heaviest(&profiles),
        shared: Shared {
            frames: code
                .code
                .iter()
                .map(|&code| frame(profile, &columns, code))
                .collect(),
        },
        profiles,
    };
    json::write_document(&file, out)?;
    let carried = [
        Fact::Command,
        Fact::Stacks,
        Fact::ThreadNumbers,
        Fact::Files,
    ];
    Ok(viewer::losses(profile, options, &carried))
}

impl Sampled {
    fn empty(name: String, unit: &'static str) -> Self {
        Sampled {
            kind: "sampled",
            name,
            unit,
            start_value: 0,
            end_value: 0,
            samples: Vec::new(),
            weights: Vec::new(),
        }
    }
}

fn sampled(
    profile: &Profile,
    thread: ThreadId,
    rows: &[usize],
    values: &[i64],
    unit: &'static str,
    code: &mut CodeTable,
) -> Sampled {
    let mut result = Sampled::empty(viewer::thread_title(profile, thread), unit);
    for &row in rows {
        let stack = code.stack(profile, profile.samples.stack[row]);
        let same = result.samples.last().is_some_and(|last| **last == *stack);
        match result.weights.last_mut() {
            Some(last) if same => *last += values[row],
            _ => {
                result.samples.push(stack.into());
                result.weights.push(values[row]);
            }
        }
        result.end_value += values[row];
    }
    result
}

fn heaviest(profiles: &[Sampled]) -> usize {
    let weights = profiles.iter().map(|profile| profile.end_value).enumerate();
    // The first of equals.
    let best = weights.rev().max_by_key(|&(_, weight)| weight);
    best.map_or(0, |(index, _)| index)
}

fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Nanoseconds => "nanoseconds",
        Unit::Bytes => "bytes",
        Unit::Count | Unit::Cycles | Unit::Instructions => "none",
    }
}

fn frame(profile: &Profile, columns: &FxHashMap<FunctionId, Option<u32>>, code: Code) -> Frame {
    let Code::Function(id) = code else {
        return Frame {
            name: profile.code_name(code),
            file: None,
            line: None,
            col: None,
        };
    };
    let function = &profile.functions[id];
    Frame {
        name: profile.strings[function.name].to_owned(),
        file: function.file.map(|file| profile.strings[file].to_owned()),
        line: function.line,
        col: columns.get(&id).copied().flatten(),
    }
}

/// The columns that another format gave its functions, which frames of ours have: those of
/// functions all of whose frames are at one place.
fn imported_columns(profile: &Profile) -> FxHashMap<FunctionId, Option<u32>> {
    let mut columns = FxHashMap::default();
    for frame in profile.frames.rows() {
        let function = &profile.functions[frame.function];
        if function.source == Source::Import {
            let own = frame.column.filter(|_| frame.line == function.line);
            let column = columns.entry(frame.function).or_insert(own);
            *column = column.filter(|&column| own == Some(column));
        }
    }
    columns
}
