//! Threads and their samples.

use crate::json::Word;
use hotproof_profile::*;

use super::damaged;
use super::document::{Column, File, ThreadRow};
use crate::import::{Builder, ImportError};
use crate::json::Number;

/// Which weights the file has, and in which columns they go.
pub(super) struct Columns {
    pub(super) weights: Vec<Weight>,
    /// Column and factor of each thread's weights.
    pub(super) threads: Vec<(usize, u32)>,
    /// Column and factor of CPU times.
    pub(super) cpu: Option<(usize, u32)>,
}

impl Columns {
    pub(super) fn of(file: &File) -> Result<Self, ImportError> {
        let mut weights: Vec<Weight> = Vec::new();
        let mut threads = Vec::new();
        for (index, thread) in file.threads.iter().enumerate() {
            let kind = thread.samples.weight_type.as_deref().unwrap_or("samples");
            let (name, unit, factor) = match kind {
                "samples" => ("samples", Unit::Count, 1),
                "tracing-ms" => ("time", Unit::Nanoseconds, 1_000_000),
                "bytes" => ("bytes", Unit::Bytes, 1),
                other => {
                    let what = format!("`{other}` is no type of weights");
                    return Err(damaged(
                        format!("threads[{index}].samples.weightType"),
                        what,
                    ));
                }
            };
            let known = weights.iter().position(|weight| weight.unit == unit);
            let column = known.unwrap_or_else(|| {
                let name = name.to_owned();
                weights.push(Weight { name, unit });
                weights.len() - 1
            });
            threads.push((column, factor));
        }
        let units = file.meta.sample_units.as_ref();
        let factor = match units.and_then(|units| units.thread_cpu_delta.as_deref()) {
            Some("ns") => Some(1),
            Some("µs" | "us") => Some(1_000),
            Some("ms") => Some(1_000_000),
            // Cycles of unknown speed are no time.
            _ => None,
        };
        let mut rows = file.threads.iter();
        let has_cpu = rows.any(|thread| thread.samples.thread_cpu_delta.is_some());
        let is_time = weights
            .iter()
            .any(|weight| weight.unit == Unit::Nanoseconds);
        let factor = factor.filter(|_| has_cpu && !is_time);
        if factor.is_some() {
            weights.push(Weight {
                name: "cpu".to_owned(),
                unit: Unit::Nanoseconds,
            });
        }
        Ok(Columns {
            cpu: factor.map(|factor| (weights.len() - 1, factor)),
            weights,
            threads,
        })
    }
}

/// Adds the samples of a thread; returns how many weights had to be rounded.
pub(super) fn add_thread(
    builder: &mut Builder,
    columns: &Columns,
    thread: &ThreadRow,
    index: usize,
    stacks: &[StackId],
) -> Result<u64, ImportError> {
    let place = |column: &str, row: usize| format!("threads[{index}].samples.{column}[{row}]");
    let table = &thread.samples;
    let rows = table.stack.as_deref().unwrap_or_default();
    let lengths = [
        ("time", &table.time),
        ("timeDeltas", &table.time_deltas),
        ("weight", &table.weight),
        ("threadCPUDelta", &table.thread_cpu_delta),
    ];
    for (name, column) in lengths {
        if column
            .as_ref()
            .is_some_and(|column| column.len() != rows.len())
        {
            let length = column.as_ref().map_or(0, Vec::len);
            let what = format!("{length} values for {} samples", rows.len());
            return Err(damaged(format!("threads[{index}].samples.{name}"), what));
        }
    }
    let id = add_thread_row(builder, thread)?;
    let (column, factor) = columns.threads[index];
    let mut clock = 0.0;
    let mut rounded = 0;
    for (row, &stack) in rows.iter().enumerate() {
        let stack = match stack {
            None => None,
            Some(number) => {
                let position = number.index().and_then(|index| usize::try_from(index).ok());
                let stack = position.and_then(|index| stacks.get(index)).copied();
                let what = || format!("stack {number} of {} stacks", stacks.len());
                Some(stack.ok_or_else(|| damaged(place("stack", row), what()))?)
            }
        };
        let cell = |column: &Column| column.as_ref().and_then(|column| column[row]);
        let scaled = |number: Option<Number>, name: &str, factor: u32| match number {
            None => Ok(None),
            Some(number) => number.scaled(factor).map(Some).ok_or_else(|| {
                damaged(
                    place(name, row),
                    format!("{number} is too large for 64 bits"),
                )
            }),
        };
        let mut weights = vec![0; columns.weights.len()];
        let weight = scaled(cell(&table.weight), "weight", factor)?;
        weights[column] = weight.map_or(i64::from(factor), |weight| weight.value);
        if table.weight.is_some() && weight.is_none() {
            weights[column] = 0;
        }
        rounded += u64::from(weight.is_some_and(|weight| weight.rounded));
        if let Some((column, factor)) = columns.cpu {
            let delta = scaled(cell(&table.thread_cpu_delta), "threadCPUDelta", factor)?;
            weights[column] = delta.map_or(0, |delta| delta.value);
        }
        let time = match cell(&table.time) {
            Some(time) => scaled(Some(time), "time", 1_000_000)?.map_or(0, |time| time.value),
            None => {
                clock += match cell(&table.time_deltas) {
                    Some(Number::Whole(delta)) => delta as f64,
                    Some(Number::Real(delta)) => delta,
                    None => 0.0,
                };
                // A float that is out of range becomes the end of the range.
                (clock * 1e6).round() as i64
            }
        };
        builder.sample(&Sample {
            thread: id,
            time_ns: u64::try_from(time).unwrap_or(0),
            stack,
            weights: &weights,
            cpu: None,
            end: StackEnd::Unknown,
            labels: None,
        })?;
    }
    Ok(rounded)
}

fn add_thread_row(builder: &mut Builder, thread: &ThreadRow) -> Result<ThreadId, ImportError> {
    // `12.1` is the second exec image of process 12, as our own writer spells it.
    let number = |word: &Word| {
        let whole = word.split('.').next();
        whole.and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    let name = match thread.name.as_deref() {
        Some("all threads") | None => "",
        Some(name) => name,
    };
    let process_name = thread.process_name.as_deref().unwrap_or_default();
    let process = builder.process(number(&thread.pid), process_name)?;
    builder.thread(process, number(&thread.tid), name)
}
