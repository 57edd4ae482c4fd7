//! Referential integrity of a profile that came from outside.

use crate::id::{FrameId, Id};
use crate::labels::Label;
use crate::profile::{InvalidProfile, Profile};
use crate::table::Table;

fn check(
    holds: bool,
    table: &'static str,
    row: usize,
    what: &'static str,
) -> Result<(), InvalidProfile> {
    if holds {
        Ok(())
    } else {
        Err(InvalidProfile { table, row, what })
    }
}

fn has<I: Id, T>(table: &Table<I, T>, id: I) -> bool {
    id.index() < table.len()
}

pub(crate) fn validate(profile: &Profile) -> Result<(), InvalidProfile> {
    validate_world(profile)?;
    validate_code(profile)?;
    validate_samples(profile)
}

/// Processes, threads, images, mappings.
fn validate_world(p: &Profile) -> Result<(), InvalidProfile> {
    let text = |id| p.strings.get(id).is_some();
    for (id, row) in p.processes.iter() {
        check(text(row.name), "process", id.index(), "a text")?;
    }
    for (id, row) in p.threads.iter() {
        check(text(row.name), "thread", id.index(), "a text")?;
        check(
            has(&p.processes, row.process),
            "thread",
            id.index(),
            "a process",
        )?;
    }
    for (id, row) in p.images.iter() {
        check(text(row.path), "image", id.index(), "a text")?;
    }
    for (id, row) in p.mappings.iter() {
        check(has(&p.images, row.image), "mapping", id.index(), "an image")?;
        let known = row.process.is_none_or(|process| has(&p.processes, process));
        check(known, "mapping", id.index(), "a process")?;
    }
    Ok(())
}

/// Symbols, functions, frames, locations, stacks.
fn validate_code(p: &Profile) -> Result<(), InvalidProfile> {
    let text = |id| p.strings.get(id).is_some();
    for (id, row) in p.symbols.iter() {
        check(text(row.linkage_name), "symbol", id.index(), "a text")?;
        check(has(&p.images, row.image), "symbol", id.index(), "an image")?;
    }
    for (id, row) in p.functions.iter() {
        let named = text(row.name) && text(row.linkage_name) && row.file.is_none_or(text);
        check(named, "function", id.index(), "a text")?;
        check(
            row.image.is_none_or(|i| has(&p.images, i)),
            "function",
            id.index(),
            "an image",
        )?;
    }
    for (id, row) in p.frames.iter() {
        check(
            has(&p.functions, row.function),
            "frame",
            id.index(),
            "a function",
        )?;
        check(row.file.is_none_or(text), "frame", id.index(), "a text")?;
    }
    for (id, row) in p.locations.iter() {
        let range = &row.frames;
        let whole = range.start <= range.end
            && (range.is_empty() || has(&p.frames, FrameId(range.end - 1)));
        check(whole, "location", id.index(), "a frame")?;
        check(
            row.image.is_none_or(|i| has(&p.images, i)),
            "location",
            id.index(),
            "an image",
        )?;
        check(
            row.symbol.is_none_or(|s| has(&p.symbols, s)),
            "location",
            id.index(),
            "a symbol",
        )?;
    }
    for (id, row) in p.stacks.iter() {
        check(
            has(&p.locations, row.location),
            "stack",
            id.index(),
            "a location",
        )?;
        check(
            row.parent.is_none_or(|parent| parent < id),
            "stack",
            id.index(),
            "an earlier stack",
        )?;
    }
    Ok(())
}

fn validate_samples(p: &Profile) -> Result<(), InvalidProfile> {
    for (row, set) in p.labels.iter().enumerate() {
        let mut texts = set.iter().flat_map(Label::texts);
        let known = texts.all(|id| p.strings.get(id).is_some());
        check(known, "label set", row, "a text")?;
    }
    let samples = &p.samples;
    let n = samples.len();
    let columns = [
        samples.time_ns.len(),
        samples.stack.len(),
        samples.cpu.len(),
        samples.end.len(),
        samples.labels.len(),
    ];
    let level = columns.iter().all(|&len| len == n)
        && samples.weights.len() == p.weights.len()
        && samples.weights.iter().all(|column| column.len() == n);
    check(level, "sample", n, "columns of equal length")?;
    for row in 0..n {
        check(
            has(&p.threads, samples.thread[row]),
            "sample",
            row,
            "a thread",
        )?;
        let known = samples.stack[row].is_none_or(|stack| has(&p.stacks, stack));
        check(known, "sample", row, "a stack")?;
        let known = samples.labels[row].is_none_or(|set| p.labels.get(set).is_some());
        check(known, "sample", row, "a label set")?;
    }
    samples
        .weights
        .iter()
        .try_for_each(|column| check_sum(column))
}

/// No sum over samples, whichever they are, may overflow: totals are added up without checks. A
/// weight of none counts as one, as [`Profile::row_samples`] may take it.
fn check_sum(column: &[i64]) -> Result<(), InvalidProfile> {
    let mut sum = 0i64;
    for (row, weight) in column.iter().enumerate() {
        let next = weight
            .checked_abs()
            .and_then(|size| sum.checked_add(size.max(1)));
        check(
            next.is_some(),
            "sample",
            row,
            "weights whose sum fits in 64 bits",
        )?;
        sum = next.unwrap_or(sum);
    }
    Ok(())
}
