//! Rows that wait to be written, and their way into columns.

use hotproof_profile::{
    AddressKind, Frame, Function, Image, ImageKind, Label, LabelValue, Location, LocationState,
    Mapping, Process, Sample, Source, Stack, StackEnd, Symbol, Thread, Weight,
};

use super::column::{from_option, to_deltas, to_runs};
use super::schema;

/// Rows of all tables, in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) strings: Vec<String>,
    pub(super) weights: Vec<Weight>,
    pub(super) processes: Vec<Process>,
    pub(super) threads: Vec<Thread>,
    pub(super) images: Vec<Image>,
    pub(super) mappings: Vec<Mapping>,
    pub(super) symbols: Vec<Symbol>,
    pub(super) functions: Vec<Function>,
    pub(super) frames: Vec<Frame>,
    pub(super) locations: Vec<Location>,
    pub(super) stacks: Vec<Stack>,
    pub(super) label_sets: Vec<Vec<Label>>,
    pub(super) samples: Vec<SampleRow>,
    /// `sample_weights[k][i]`: weight `k` of sample `i`.
    pub(super) sample_weights: Vec<Vec<i64>>,
    pub(super) changes: Vec<schema::Change>,
}

/// A sample without its weights.
#[derive(Debug)]
pub(super) struct SampleRow {
    thread: u32,
    time_ns: u64,
    stack: Option<u32>,
    cpu: Option<u32>,
    end: StackEnd,
    labels: Option<u32>,
}

impl Batch {
    pub(super) fn push_sample(&mut self, sample: &Sample<'_>) {
        self.samples.push(SampleRow {
            thread: sample.thread.0,
            time_ns: sample.time_ns,
            stack: sample.stack.map(|stack| stack.0),
            cpu: sample.cpu,
            end: sample.end,
            labels: sample.labels.map(|labels| labels.0),
        });
        if self.sample_weights.len() < sample.weights.len() {
            self.sample_weights.resize(sample.weights.len(), Vec::new());
        }
        for (column, &weight) in self.sample_weights.iter_mut().zip(sample.weights) {
            column.push(weight);
        }
    }

    /// The message for these rows; `first_stack` is the id of the first stack among them.
    pub(super) fn into_rows(self, first_stack: u32) -> schema::Rows {
        schema::Rows {
            weights: self.weights.iter().map(weight).collect(),
            processes: self.processes.iter().map(process).collect(),
            threads: self.threads.iter().map(thread).collect(),
            images: self.images.into_iter().map(image).collect(),
            mappings: self.mappings.iter().map(mapping).collect(),
            symbols: some_rows(&self.symbols).map(symbols),
            functions: some_rows(&self.functions).map(functions),
            frames: some_rows(&self.frames).map(frames),
            locations: some_rows(&self.locations).map(locations),
            stacks: some_rows(&self.stacks).map(|rows| stacks(rows, first_stack)),
            samples: some_rows(&self.samples).map(|rows| samples(rows, &self.sample_weights)),
            changes: self.changes,
            label_sets: self.label_sets.iter().map(|set| label_set(set)).collect(),
            strings: self.strings,
        }
    }
}

fn some_rows<T>(rows: &[T]) -> Option<&[T]> {
    (!rows.is_empty()).then_some(rows)
}

fn weight(row: &Weight) -> schema::Weight {
    schema::Weight {
        name: row.name.clone(),
        unit: schema::Unit::from(row.unit).into(),
    }
}

fn process(row: &Process) -> schema::Process {
    schema::Process {
        pid: row.pid,
        name: row.name.0,
        start_ns: row.start_ns,
        end_ns: row.end_ns,
    }
}

fn thread(row: &Thread) -> schema::Thread {
    schema::Thread {
        process: row.process.0,
        tid: row.tid,
        name: row.name.0,
        start_ns: row.start_ns,
        end_ns: row.end_ns,
    }
}

fn image(row: Image) -> schema::Image {
    let kind = match row.kind {
        ImageKind::Elf => schema::ImageKind::Elf,
        ImageKind::Vdso => schema::ImageKind::Vdso,
        ImageKind::Kernel => schema::ImageKind::Kernel,
        ImageKind::Module => schema::ImageKind::Module,
        ImageKind::Jit => schema::ImageKind::Jit,
        ImageKind::Anonymous => schema::ImageKind::Anonymous,
    };
    schema::Image {
        path: row.path.0,
        build_id: row.build_id,
        kind: kind.into(),
    }
}

fn mapping(row: &Mapping) -> schema::Mapping {
    schema::Mapping {
        process: row.process.map(|process| process.0),
        start: row.start,
        end: row.end,
        file_offset: row.file_offset,
        image: row.image.0,
        from_ns: row.from_ns,
        to_ns: row.to_ns,
    }
}

/// A column of ids, delta coded.
fn ids<T>(rows: &[T], id: impl Fn(&T) -> u32) -> Vec<i64> {
    to_deltas(rows.iter().map(|row| i64::from(id(row))))
}

/// A column of optional ids, delta coded.
fn optional_ids<T>(rows: &[T], id: impl Fn(&T) -> Option<u32>) -> Vec<i64> {
    to_deltas(rows.iter().map(|row| from_option(id(row))))
}

/// A column of addresses or times, delta coded. The casts keep all 64 bits.
fn wide<T>(rows: &[T], value: impl Fn(&T) -> u64) -> Vec<i64> {
    to_deltas(rows.iter().map(|row| value(row) as i64))
}

/// A column of optional positions: 0 for none, else one more.
fn positions<T>(rows: &[T], position: impl Fn(&T) -> Option<u32>) -> Vec<u64> {
    let number = |row| position(row).map_or(0, |position| u64::from(position) + 1);
    rows.iter().map(number).collect()
}

fn symbols(rows: &[Symbol]) -> schema::Symbols {
    schema::Symbols {
        image: ids(rows, |row| row.image.0),
        linkage_name: ids(rows, |row| row.linkage_name.0),
        address: wide(rows, |row| row.address),
        size: rows.iter().map(|row| row.size).collect(),
    }
}

fn functions(rows: &[Function]) -> schema::Functions {
    schema::Functions {
        name: ids(rows, |row| row.name.0),
        linkage_name: ids(rows, |row| row.linkage_name.0),
        file: optional_ids(rows, |row| row.file.map(|file| file.0)),
        line: positions(rows, |row| row.line),
        image: optional_ids(rows, |row| row.image.map(|image| image.0)),
        source: rows.iter().map(|row| source(row.source).into()).collect(),
    }
}

fn source(source: Source) -> schema::Source {
    match source {
        Source::Dwarf => schema::Source::Dwarf,
        Source::SymbolTable => schema::Source::SymbolTable,
        Source::DynamicSymbols => schema::Source::DynamicSymbols,
        Source::UnwindTable => schema::Source::UnwindTable,
        Source::Kallsyms => schema::Source::Kallsyms,
        Source::PerfMap => schema::Source::PerfMap,
        Source::Import => schema::Source::Import,
        Source::MiniDebugInfo => schema::Source::MiniDebugInfo,
        Source::Plt => schema::Source::Plt,
        Source::GoTable => schema::Source::GoTable,
        Source::Jitdump => schema::Source::Jitdump,
    }
}

fn frames(rows: &[Frame]) -> schema::Frames {
    let marked = rows.iter().any(|row| row.contradicted);
    let marks = || to_runs(rows.iter().map(|row| i64::from(row.contradicted)));
    schema::Frames {
        contradicted: marked.then(marks),
        function: ids(rows, |row| row.function.0),
        line: positions(rows, |row| row.line),
        column: positions(rows, |row| row.column),
        file: optional_ids(rows, |row| row.file.map(|file| file.0)),
    }
}

fn locations(rows: &[Location]) -> schema::Locations {
    let kind = |row: &Location| match row.kind {
        AddressKind::Ip => schema::AddressKind::Ip.into(),
        AddressKind::ReturnAddress => schema::AddressKind::ReturnAddress.into(),
        AddressKind::Adjusted => schema::AddressKind::Adjusted.into(),
    };
    let state = |row: &Location| match row.state {
        LocationState::Unresolved => schema::LocationState::Unresolved.into(),
        LocationState::Resolved => schema::LocationState::Resolved.into(),
        LocationState::Unknown => schema::LocationState::UnknownName.into(),
    };
    // A range whose end comes before its start is refused by `Profile::validate`.
    let frame_count = |row: &Location| row.frames.end.saturating_sub(row.frames.start);
    schema::Locations {
        image: optional_ids(rows, |row| row.image.map(|image| image.0)),
        address: wide(rows, |row| row.address),
        kind: rows.iter().map(kind).collect(),
        symbol: optional_ids(rows, |row| row.symbol.map(|symbol| symbol.0)),
        first_frame: ids(rows, |row| row.frames.start),
        frame_count: rows.iter().map(frame_count).collect(),
        state: rows.iter().map(state).collect(),
    }
}

fn stacks(rows: &[Stack], first_stack: u32) -> schema::Stacks {
    let distances = (first_stack..).zip(rows).map(|(id, row)| {
        // The order of parents before children is what `Profile::validate` promises.
        row.parent.map_or(0, |parent| id.saturating_sub(parent.0))
    });
    schema::Stacks {
        parent_distance: distances.collect(),
        location: ids(rows, |row| row.location.0),
    }
}

fn label_set(set: &[Label]) -> schema::LabelSet {
    let label = |label: &Label| {
        let mut message = schema::Label {
            key: label.key.0,
            ..schema::Label::default()
        };
        match label.value {
            LabelValue::Text(text) => message.text = Some(text.0),
            LabelValue::Number { value, unit } => {
                message.number = Some(value);
                message.unit = unit.map(|unit| unit.0);
            }
        }
        message
    };
    schema::LabelSet {
        labels: set.iter().map(label).collect(),
    }
}

fn samples(rows: &[SampleRow], weights: &[Vec<i64>]) -> schema::Samples {
    let end = |row: &SampleRow| {
        let end = match row.end {
            StackEnd::Complete => schema::StackEnd::Complete,
            StackEnd::Truncated => schema::StackEnd::Truncated,
            StackEnd::Failed => schema::StackEnd::Failed,
            StackEnd::Unknown => schema::StackEnd::UnknownEnd,
            StackEnd::Stitched => schema::StackEnd::Stitched,
        };
        i64::from(i32::from(end))
    };
    let labelled = rows.iter().any(|row| row.labels.is_some());
    let labels = || to_runs(rows.iter().map(|row| from_option(row.labels)));
    schema::Samples {
        labels: labelled.then(labels),
        time_ns: wide(rows, |row| row.time_ns),
        stack: optional_ids(rows, |row| row.stack),
        thread: Some(to_runs(rows.iter().map(|row| i64::from(row.thread)))),
        cpu: Some(to_runs(rows.iter().map(|row| from_option(row.cpu)))),
        end: Some(to_runs(rows.iter().map(end))),
        weights: weights
            .iter()
            .map(|column| to_runs(column.iter().copied()))
            .collect(),
    }
}
