//! The message of a chunk to rows of a profile.

use hotproof_profile::{
    AddressKind, Frame, Function, FunctionId, Image, ImageId, ImageKind, Label, LabelSetId,
    LabelValue, Location, LocationId, LocationState, Mapping, Process, ProcessId, Profile, Source,
    Stack, StackEnd, StackId, StringId, Symbol, SymbolId, Thread, ThreadId, Weight,
};

use super::column::{from_deltas, from_runs, to_option};
use super::schema;

/// What is wrong with a chunk.
pub(super) type Fault = &'static str;

const UNEVEN: Fault = "the columns of a table differ in length";
const UNKNOWN_VALUE: Fault = "a value is not one of this version";
const NO_ID: Fault = "a number is no row number";
const TOO_MANY: Fault = "a table has more rows than row numbers";

/// Adds the rows of one chunk. Whether they refer to rows that exist is left to
/// [`Profile::validate`].
pub(super) fn append(profile: &mut Profile, mut rows: schema::Rows) -> Result<(), Fault> {
    append_strings(profile, &rows.strings)?;
    append_weights(profile, std::mem::take(&mut rows.weights))?;
    append_world(profile, &rows)?;
    if let Some(columns) = &rows.symbols {
        append_symbols(profile, columns)?;
    }
    if let Some(columns) = &rows.functions {
        append_functions(profile, columns)?;
    }
    if let Some(columns) = &rows.frames {
        append_frames(profile, columns)?;
    }
    if let Some(columns) = &rows.locations {
        append_locations(profile, columns)?;
    }
    if let Some(columns) = &rows.stacks {
        append_stacks(profile, columns)?;
    }
    append_label_sets(profile, &rows.label_sets)?;
    if let Some(columns) = &rows.samples {
        append_samples(profile, columns)?;
    }
    rows.changes
        .iter()
        .try_for_each(|change| apply(profile, change))
}

fn append_strings(profile: &mut Profile, texts: &[String]) -> Result<(), Fault> {
    check_room(profile.strings.len(), texts.len())?;
    for text in texts {
        let next = profile.strings.len();
        profile.strings.intern(text);
        if profile.strings.len() == next {
            return Err("a text comes twice");
        }
    }
    Ok(())
}

fn append_weights(profile: &mut Profile, weights: Vec<schema::Weight>) -> Result<(), Fault> {
    if weights.is_empty() {
        return Ok(());
    }
    if !profile.samples.is_empty() {
        return Err("a weight is declared after the first sample");
    }
    for weight in weights {
        let unit = known::<schema::Unit>(weight.unit)?.into();
        let name = weight.name;
        profile.weights.push(Weight { name, unit });
        profile.samples.weights.push(Vec::new());
    }
    Ok(())
}

/// Processes, threads, images and mappings.
fn append_world(profile: &mut Profile, rows: &schema::Rows) -> Result<(), Fault> {
    check_room(profile.processes.len(), rows.processes.len())?;
    check_room(profile.threads.len(), rows.threads.len())?;
    check_room(profile.images.len(), rows.images.len())?;
    check_room(profile.mappings.len(), rows.mappings.len())?;
    for row in &rows.processes {
        profile.processes.push(Process {
            pid: row.pid,
            name: StringId(row.name),
            start_ns: row.start_ns,
            end_ns: row.end_ns,
        });
    }
    for row in &rows.threads {
        profile.threads.push(Thread {
            process: ProcessId(row.process),
            tid: row.tid,
            name: StringId(row.name),
            start_ns: row.start_ns,
            end_ns: row.end_ns,
        });
    }
    for row in &rows.images {
        let kind = image_kind(row.kind)?;
        profile.images.push(Image {
            path: StringId(row.path),
            build_id: row.build_id.clone(),
            kind,
        });
    }
    for row in &rows.mappings {
        profile.mappings.push(Mapping {
            process: row.process.map(ProcessId),
            start: row.start,
            end: row.end,
            file_offset: row.file_offset,
            image: ImageId(row.image),
            from_ns: row.from_ns,
            to_ns: row.to_ns,
        });
    }
    Ok(())
}

fn image_kind(number: i32) -> Result<ImageKind, Fault> {
    Ok(match known(number)? {
        schema::ImageKind::Elf => ImageKind::Elf,
        schema::ImageKind::Vdso => ImageKind::Vdso,
        schema::ImageKind::Kernel => ImageKind::Kernel,
        schema::ImageKind::Module => ImageKind::Module,
        schema::ImageKind::Jit => ImageKind::Jit,
        schema::ImageKind::Anonymous => ImageKind::Anonymous,
    })
}

fn append_symbols(profile: &mut Profile, columns: &schema::Symbols) -> Result<(), Fault> {
    let images = ids(&columns.image)?;
    let count = images.len();
    check_room(profile.symbols.len(), count)?;
    let names = level(ids(&columns.linkage_name)?, count)?;
    let addresses = level(wide(&columns.address), count)?;
    let sizes = level(columns.size.clone(), count)?;
    for row in 0..count {
        profile.symbols.push(Symbol {
            image: ImageId(images[row]),
            linkage_name: StringId(names[row]),
            address: addresses[row],
            size: sizes[row],
        });
    }
    Ok(())
}

fn append_functions(profile: &mut Profile, columns: &schema::Functions) -> Result<(), Fault> {
    let names = ids(&columns.name)?;
    let count = names.len();
    check_room(profile.functions.len(), count)?;
    let linkage_names = level(ids(&columns.linkage_name)?, count)?;
    let files = level(optional_ids(&columns.file)?, count)?;
    let lines = level(positions(&columns.line)?, count)?;
    let images = level(optional_ids(&columns.image)?, count)?;
    let sources = level(columns.source.clone(), count)?;
    for row in 0..count {
        profile.functions.push(Function {
            name: StringId(names[row]),
            linkage_name: StringId(linkage_names[row]),
            file: files[row].map(StringId),
            line: lines[row],
            image: images[row].map(ImageId),
            source: source(sources[row])?,
        });
    }
    Ok(())
}

fn source(number: i32) -> Result<Source, Fault> {
    Ok(match known(number)? {
        schema::Source::Dwarf => Source::Dwarf,
        schema::Source::SymbolTable => Source::SymbolTable,
        schema::Source::DynamicSymbols => Source::DynamicSymbols,
        schema::Source::UnwindTable => Source::UnwindTable,
        schema::Source::Kallsyms => Source::Kallsyms,
        schema::Source::PerfMap => Source::PerfMap,
        schema::Source::Import => Source::Import,
        schema::Source::MiniDebugInfo => Source::MiniDebugInfo,
        schema::Source::Plt => Source::Plt,
        schema::Source::GoTable => Source::GoTable,
        schema::Source::Jitdump => Source::Jitdump,
    })
}

fn append_frames(profile: &mut Profile, columns: &schema::Frames) -> Result<(), Fault> {
    let functions = ids(&columns.function)?;
    let count = functions.len();
    check_room(profile.frames.len(), count)?;
    let lines = level(positions(&columns.line)?, count)?;
    let column_numbers = level(positions(&columns.column)?, count)?;
    let files = level(optional_ids(&columns.file)?, count)?;
    let marks = match &columns.contradicted {
        Some(runs) => run_values(Some(runs), count)?,
        None => vec![0; count],
    };
    for row in 0..count {
        profile.frames.push(Frame {
            contradicted: match marks[row] {
                0 => false,
                1 => true,
                _ => return Err(UNKNOWN_VALUE),
            },
            function: FunctionId(functions[row]),
            line: lines[row],
            column: column_numbers[row],
            file: files[row].map(StringId),
        });
    }
    Ok(())
}

fn append_locations(profile: &mut Profile, columns: &schema::Locations) -> Result<(), Fault> {
    let images = optional_ids(&columns.image)?;
    let count = images.len();
    check_room(profile.locations.len(), count)?;
    let addresses = level(wide(&columns.address), count)?;
    let kinds = level(columns.kind.clone(), count)?;
    let symbols = level(optional_ids(&columns.symbol)?, count)?;
    let first_frames = level(ids(&columns.first_frame)?, count)?;
    let frame_counts = level(columns.frame_count.clone(), count)?;
    let states = level(columns.state.clone(), count)?;
    for row in 0..count {
        let first = first_frames[row];
        let end = first.checked_add(frame_counts[row]).ok_or(NO_ID)?;
        profile.locations.push(Location {
            image: images[row].map(ImageId),
            address: addresses[row],
            kind: address_kind(kinds[row])?,
            symbol: symbols[row].map(SymbolId),
            frames: first..end,
            state: location_state(states[row])?,
        });
    }
    Ok(())
}

fn address_kind(number: i32) -> Result<AddressKind, Fault> {
    Ok(match known(number)? {
        schema::AddressKind::Ip => AddressKind::Ip,
        schema::AddressKind::ReturnAddress => AddressKind::ReturnAddress,
        schema::AddressKind::Adjusted => AddressKind::Adjusted,
    })
}

fn location_state(number: i32) -> Result<LocationState, Fault> {
    Ok(match known(number)? {
        schema::LocationState::Unresolved => LocationState::Unresolved,
        schema::LocationState::Resolved => LocationState::Resolved,
        schema::LocationState::UnknownName => LocationState::Unknown,
    })
}

fn append_stacks(profile: &mut Profile, columns: &schema::Stacks) -> Result<(), Fault> {
    let locations = ids(&columns.location)?;
    check_room(profile.stacks.len(), locations.len())?;
    if columns.parent_distance.len() != locations.len() {
        return Err(UNEVEN);
    }
    for (&distance, location) in columns.parent_distance.iter().zip(locations) {
        // `check_room` has made sure that ids are 32 bits wide.
        let id = profile.stacks.len() as u32;
        let parent = match distance {
            0 => None,
            _ => Some(StackId(id.checked_sub(distance).ok_or(NO_ID)?)),
        };
        profile.stacks.push(Stack {
            parent,
            location: LocationId(location),
        });
    }
    Ok(())
}

fn append_label_sets(profile: &mut Profile, sets: &[schema::LabelSet]) -> Result<(), Fault> {
    check_room(profile.labels.len(), sets.len())?;
    for set in sets {
        let labels = set
            .labels
            .iter()
            .map(label)
            .collect::<Result<Vec<_>, _>>()?;
        let next = profile.labels.len();
        profile.labels.intern(&labels);
        if profile.labels.len() == next {
            return Err("a label set comes twice");
        }
    }
    Ok(())
}

fn label(message: &schema::Label) -> Result<Label, Fault> {
    let unit = message.unit.map(StringId);
    let value = match (message.text, message.number, unit) {
        (Some(text), None, None) => LabelValue::Text(StringId(text)),
        (None, Some(value), unit) => LabelValue::Number { value, unit },
        _ => return Err("a label is neither a text nor a number"),
    };
    let key = StringId(message.key);
    Ok(Label { key, value })
}

/// Decodes all columns before it adds any, so that a fault leaves the samples even.
pub(super) fn append_samples(
    profile: &mut Profile,
    columns: &schema::Samples,
) -> Result<(), Fault> {
    let times = wide(&columns.time_ns);
    let count = times.len();
    let stacks = level(optional_ids(&columns.stack)?, count)?;
    let threads = run_values(columns.thread.as_ref(), count)?;
    let threads = threads
        .into_iter()
        .map(|number| u32::try_from(number).map(ThreadId).map_err(|_| NO_ID))
        .collect::<Result<Vec<_>, _>>()?;
    let cpus = run_values(columns.cpu.as_ref(), count)?;
    let cpus = cpus
        .into_iter()
        .map(|number| to_option(number).ok_or(NO_ID))
        .collect::<Result<Vec<_>, _>>()?;
    let ends = run_values(columns.end.as_ref(), count)?;
    let ends = ends
        .into_iter()
        .map(stack_end)
        .collect::<Result<Vec<_>, _>>()?;
    let labels = match &columns.labels {
        None => vec![None; count],
        Some(runs) => run_values(Some(runs), count)?
            .into_iter()
            .map(|number| to_option(number).ok_or(NO_ID))
            .collect::<Result<Vec<_>, _>>()?,
    };
    let weights = columns
        .weights
        .iter()
        .map(|column| from_runs(column, count).ok_or(UNEVEN))
        .collect::<Result<Vec<_>, _>>()?;
    let samples = &mut profile.samples;
    if weights.len() != samples.weights.len() {
        return Err("samples have more or fewer weights than were declared");
    }
    samples.time_ns.extend(times);
    samples
        .stack
        .extend(stacks.into_iter().map(|stack| stack.map(StackId)));
    samples.thread.extend(threads);
    samples.cpu.extend(cpus);
    samples.end.extend(ends);
    let labels = labels.into_iter().map(|set| set.map(LabelSetId));
    samples.labels.extend(labels);
    for (column, more) in samples.weights.iter_mut().zip(weights) {
        column.extend(more);
    }
    Ok(())
}

fn stack_end(number: i64) -> Result<StackEnd, Fault> {
    let number = i32::try_from(number).map_err(|_| UNKNOWN_VALUE)?;
    Ok(match known(number)? {
        schema::StackEnd::Complete => StackEnd::Complete,
        schema::StackEnd::Truncated => StackEnd::Truncated,
        schema::StackEnd::Failed => StackEnd::Failed,
        schema::StackEnd::UnknownEnd => StackEnd::Unknown,
        schema::StackEnd::Stitched => StackEnd::Stitched,
    })
}

fn apply(profile: &mut Profile, change: &schema::Change) -> Result<(), Fault> {
    const NO_ROW: Fault = "a change refers to a row that does not exist";
    let (process, thread) = (ProcessId(change.row), ThreadId(change.row));
    let has_process = profile.processes.get(process).is_some();
    let has_thread = profile.threads.get(thread).is_some();
    match known(change.kind)? {
        schema::ChangeKind::ProcessEnded if has_process => {
            profile.processes[process].end_ns = Some(change.value);
        }
        schema::ChangeKind::ThreadEnded if has_thread => {
            profile.threads[thread].end_ns = Some(change.value);
        }
        schema::ChangeKind::ThreadNamed if has_thread => {
            let name = u32::try_from(change.value).map_err(|_| NO_ID)?;
            profile.threads[thread].name = StringId(name);
        }
        _ => return Err(NO_ROW),
    }
    Ok(())
}

/// Ids are 32 bits wide, and a table panics rather than hand out an id twice.
fn check_room(len: usize, more: usize) -> Result<(), Fault> {
    let rows = len.checked_add(more).ok_or(TOO_MANY)?;
    u32::try_from(rows).map(|_| ()).map_err(|_| TOO_MANY)
}

fn known<E: TryFrom<i32>>(number: i32) -> Result<E, Fault> {
    E::try_from(number).map_err(|_| UNKNOWN_VALUE)
}

fn level<T>(column: Vec<T>, count: usize) -> Result<Vec<T>, Fault> {
    if column.len() == count {
        Ok(column)
    } else {
        Err(UNEVEN)
    }
}

fn ids(deltas: &[i64]) -> Result<Vec<u32>, Fault> {
    from_deltas(deltas)
        .map(|number| u32::try_from(number).map_err(|_| NO_ID))
        .collect()
}

fn optional_ids(deltas: &[i64]) -> Result<Vec<Option<u32>>, Fault> {
    from_deltas(deltas)
        .map(|number| to_option(number).ok_or(NO_ID))
        .collect()
}

/// Addresses and times; the casts keep all 64 bits.
fn wide(deltas: &[i64]) -> Vec<u64> {
    from_deltas(deltas).map(|number| number as u64).collect()
}

fn positions(numbers: &[u64]) -> Result<Vec<Option<u32>>, Fault> {
    let position = |&number: &u64| match number {
        0 => Ok(None),
        _ => u32::try_from(number - 1).map(Some).map_err(|_| NO_ID),
    };
    numbers.iter().map(position).collect()
}

fn run_values(runs: Option<&schema::Runs>, count: usize) -> Result<Vec<i64>, Fault> {
    runs.map_or(Err(UNEVEN), |runs| from_runs(runs, count).ok_or(UNEVEN))
}
