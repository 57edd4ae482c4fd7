//! A profile as our own JSON.

use std::io::Write;

use hotproof_profile::*;
use rustc_hash::FxHashMap;

use super::document::*;
use crate::WriteError;
use crate::folded::Options;
use crate::viewer::{self, Fact};

/// Writes the whole profile, every weight of it; of the options, `inline` alone counts. Returns
/// what the format could not carry, in words, such as `symbols`.
///
/// # Errors
/// [`WriteError::Invalid`] when rows refer to rows that do not exist, and those of `out`.
pub fn write(
    profile: &Profile,
    options: &Options,
    out: impl Write,
) -> Result<Vec<String>, WriteError> {
    profile.validate()?;
    let functions = Functions::of(profile, options.inline);
    let mut frames = Frames::new(profile, options.inline, &functions.numbers);
    let stacks = frames.stacks();
    let ends = frames.ends;
    let samples = 0..profile.samples.len();
    let document = Document {
        schema: Schema {
            name: NAME.into(),
            version: VERSION,
        },
        exporter: concat!("hotproof@", env!("CARGO_PKG_VERSION")).into(),
        meta: meta(&profile.meta),
        weights: weights(profile),
        processes: profile
            .processes
            .rows()
            .iter()
            .map(|row| process(profile, row))
            .collect(),
        threads: profile
            .threads
            .rows()
            .iter()
            .map(|row| thread(profile, row))
            .collect(),
        images: profile
            .images
            .rows()
            .iter()
            .map(|row| image(profile, row))
            .collect(),
        functions: functions.rows,
        frames: frames.rows,
        stacks,
        samples: samples.map(|row| sample(profile, row, &ends)).collect(),
    };
    super::write_document(&document, out)?;
    let lost: [Fact; 2] = [Fact::Symbols, Fact::Mappings];
    let all_but_lost: Vec<Fact> = Fact::all().filter(|fact| !lost.contains(fact)).collect();
    Ok(viewer::losses(profile, options, &all_but_lost))
}

fn counter(counter: &Counter) -> CounterRow {
    CounterRow {
        name: counter.name.clone(),
        unit: counter.unit.into(),
        value: counter.value,
        counted: counter.counted,
    }
}

/// What was recorded, as a JSON text.
pub(crate) fn meta_text(row: &Meta) -> String {
    serde_json::to_string(&meta(row)).expect("texts and numbers are JSON")
}

fn meta(meta: &Meta) -> MetaRow {
    let (exit_code, exit_signal) = match meta.exit {
        Some(Exit::Code(code)) => (Some(code), None),
        Some(Exit::Signal(signal)) => (None, Some(signal)),
        None => (None, None),
    };
    MetaRow {
        command: meta.command.clone(),
        started_unix_ns: meta.started_unix_ns,
        duration_ns: meta.duration_ns,
        clock: meta.clock.clone(),
        event: meta.event.clone(),
        period: meta.period,
        rate_hz: meta.rate_hz,
        rung: meta.rung.clone(),
        unwinder: meta.unwinder.clone(),
        cpu_time_ns: meta.cpu_time_ns,
        counters: meta.counters.iter().map(counter).collect(),
        recorder_cpu_ns: meta.recorder_cpu_ns,
        exit_code,
        exit_signal,
        lost: LostRow {
            samples: meta.lost.samples,
            records: meta.lost.records,
            throttled: meta.lost.throttled,
        },
        host: HostRow {
            arch: meta.host.arch.clone(),
            kernel: meta.host.kernel.clone(),
            cpu_model: meta.host.cpu_model.clone(),
            cpus: meta.host.cpus,
        },
        notes: meta.notes.clone(),
    }
}

fn weights(profile: &Profile) -> Vec<WeightRow> {
    let rows = profile.weights.iter().enumerate();
    rows.map(|(column, weight)| WeightRow {
        name: weight.name.clone(),
        unit: weight.unit.into(),
        total: profile.total_weight(column),
    })
    .collect()
}

fn process<'a>(profile: &'a Profile, row: &Process) -> ProcessRow<'a> {
    ProcessRow {
        pid: row.pid,
        name: profile.strings[row.name].into(),
        start_ns: row.start_ns,
        end_ns: row.end_ns,
    }
}

fn thread<'a>(profile: &'a Profile, row: &Thread) -> ThreadRow<'a> {
    ThreadRow {
        process: row.process.index(),
        tid: row.tid,
        name: profile.strings[row.name].into(),
        start_ns: row.start_ns,
        end_ns: row.end_ns,
    }
}

fn image<'a>(profile: &'a Profile, row: &Image) -> ImageRow<'a> {
    ImageRow {
        path: profile.strings[row.path].into(),
        build_id: row
            .build_id
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        kind: row.kind.into(),
    }
}

/// All code that frames of stacks can be, heaviest first.
struct Functions<'a> {
    rows: Vec<FunctionRow<'a>>,
    numbers: FxHashMap<Code, usize>,
}

impl<'a> Functions<'a> {
    fn of(profile: &'a Profile, inline: Inline) -> Self {
        let columns = 0..profile.weights.len();
        let stacks: Vec<Vec<StackWeight>> = columns.map(|k| profile.stack_weights(k)).collect();
        let mut functions = Functions {
            rows: Vec::new(),
            numbers: FxHashMap::default(),
        };
        let width = profile.weights.len();
        for (column, stacks) in stacks.iter().enumerate() {
            for total in totals_of_stacks(profile, stacks, inline) {
                let next = functions.rows.len();
                let number = *functions.numbers.entry(total.code).or_insert(next);
                if number == next {
                    functions.rows.push(function(profile, &total, width));
                }
                functions.rows[number].self_weights[column] = total.self_weight;
                functions.rows[number].total[column] = total.total;
            }
        }
        for location in profile.locations.ids() {
            for code in profile.code_at(location, inline) {
                let next = functions.rows.len();
                if *functions.numbers.entry(code).or_insert(next) == next {
                    let nothing = CodeTotal {
                        code,
                        total: 0,
                        self_weight: 0,
                        self_with_library: 0,
                        samples: 0,
                    };
                    functions.rows.push(function(profile, &nothing, width));
                }
            }
        }
        functions
    }
}

fn function<'a>(profile: &'a Profile, total: &CodeTotal, width: usize) -> FunctionRow<'a> {
    let mut row = FunctionRow {
        name: profile.code_name(total.code).into(),
        named: false,
        linkage_name: None,
        file: None,
        line: None,
        image: viewer::image_of(profile, total.code),
        library: false,
        source: None,
        samples: total.samples,
        self_weights: vec![0; width],
        total: vec![0; width],
    };
    if let Code::Function(id) = total.code {
        let function = &profile.functions[id];
        let linkage_name = &profile.strings[function.linkage_name];
        row.named = true;
        row.linkage_name = (!linkage_name.is_empty()).then(|| linkage_name.into());
        row.file = function.file.map(|file| profile.strings[file].into());
        row.line = function.line;
        row.library = profile.is_library(id);
        row.source = Some(function.source.word().into());
    }
    row
}

/// Frames and stacks: a location with inlined functions becomes several of both.
struct Frames<'a> {
    profile: &'a Profile,
    inline: Inline,
    functions: &'a FxHashMap<Code, usize>,
    rows: Vec<FrameRow<'a>>,
    /// The frames of each location, outermost first, as a range of `rows`.
    locations: Vec<std::ops::Range<u32>>,
    /// The row of the leaf of each stack of the profile.
    ends: Vec<u32>,
}

impl<'a> Frames<'a> {
    fn new(profile: &'a Profile, inline: Inline, functions: &'a FxHashMap<Code, usize>) -> Self {
        let mut frames = Frames {
            profile,
            inline,
            functions,
            rows: Vec::new(),
            locations: Vec::new(),
            ends: Vec::new(),
        };
        for location in profile.locations.ids() {
            frames.add_location(location);
        }
        frames
    }

    fn add_location(&mut self, location: LocationId) {
        let start = self.rows.len() as u32;
        let row = &self.profile.locations[location];
        let code: Vec<Code> = self.profile.code_at(location, self.inline).collect();
        let outermost = code.len() - 1;
        for (depth, &code) in code.iter().enumerate().rev() {
            // Physical frames are the last of a location's.
            let from_end = outermost - depth;
            let frame = matches!(code, Code::Function(_))
                .then(|| row.frame_ids().nth_back(from_end))
                .flatten()
                .map(|id| &self.profile.frames[id]);
            self.rows.push(FrameRow {
                function: self.functions[&code],
                file: frame
                    .and_then(|frame| frame.file)
                    .map(|file| self.profile.strings[file].into()),
                line: frame.and_then(|frame| frame.line),
                column: frame.and_then(|frame| frame.column),
                image: row.image.map(Id::index),
                address: is_address(row).then(|| format!("{:#x}", row.address)),
                inlined: depth != outermost,
                contradicted: frame.is_some_and(|frame| frame.contradicted),
            });
        }
        self.locations.push(start..self.rows.len() as u32);
    }

    fn stacks(&mut self) -> Vec<StackRow> {
        let mut stacks: Vec<StackRow> = Vec::new();
        for stack in self.profile.stacks.rows() {
            let mut parent = stack.parent.map(|parent| self.ends[parent.index()]);
            for frame in self.locations[stack.location.index()].clone() {
                let next = stacks.len() as u32;
                stacks.push(StackRow { parent, frame });
                parent = Some(next);
            }
            self.ends.push(stacks.len() as u32 - 1);
        }
        stacks
    }
}

/// Whether a location has an address: formats without addresses leave both it and the image out.
fn is_address(row: &Location) -> bool {
    row.image.is_some() || row.address != 0
}

fn sample<'a>(profile: &'a Profile, row: usize, ends: &[u32]) -> SampleRow<'a> {
    let samples = &profile.samples;
    let labels = samples.labels[row].map_or(&[][..], |set| &profile.labels[set]);
    SampleRow {
        thread: samples.thread[row].index(),
        time_ns: samples.time_ns[row],
        stack: samples.stack[row].map(|stack| ends[stack.index()]),
        weights: samples.weights.iter().map(|column| column[row]).collect(),
        cpu: samples.cpu[row],
        end: samples.end[row].into(),
        labels: labels
            .iter()
            .map(|&label| label_row(profile, label))
            .collect(),
    }
}

fn label_row(profile: &Profile, label: Label) -> LabelRow<'_> {
    let (text, number, unit) = match label.value {
        LabelValue::Text(text) => (Some(profile.strings[text].into()), None, None),
        LabelValue::Number { value, unit } => {
            let unit = unit.map(|unit| profile.strings[unit].into());
            (None, Some(value), unit)
        }
    };
    LabelRow {
        key: profile.strings[label.key].into(),
        text,
        number,
        unit,
    }
}
