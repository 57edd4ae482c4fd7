//! A profile as pprof's message.

use std::collections::BTreeMap;

use hotproof_profile::{Id, LocationId, Profile, StackEnd, StackId, ThreadId, Unit};
use rustc_hash::FxHashMap;

use super::schema;
use super::world::{Mappings, is_named, main_image};

/// The string table: the empty text is number 0, as pprof demands.
pub(super) struct Texts {
    list: Vec<String>,
    ids: FxHashMap<String, i64>,
}

impl Texts {
    fn new() -> Self {
        let mut texts = Texts {
            list: Vec::new(),
            ids: FxHashMap::default(),
        };
        texts.id("");
        texts
    }

    pub(super) fn id(&mut self, text: &str) -> i64 {
        if let Some(&id) = self.ids.get(text) {
            return id;
        }
        // A table in memory is far shorter than 2^63 rows.
        let id = self.list.len() as i64;
        self.list.push(text.to_owned());
        self.ids.insert(text.to_owned(), id);
        id
    }
}

pub(super) fn build(profile: &Profile) -> schema::Profile {
    let mut texts = Texts::new();
    let sample_type = sample_types(profile, &mut texts);
    let mappings = Mappings::of(profile, &mut texts);
    let mut location = locations(profile, &mappings);
    let sample = samples(profile, &mut location, &mut texts);
    let (period_type, period) = period(profile, &mut texts);
    let comments = comments(profile);
    schema::Profile {
        sample_type,
        sample,
        location,
        mapping: mappings.into_rows(main_image(profile)),
        function: functions(profile, &mut texts),
        time_nanos: signed(profile.meta.started_unix_ns.unwrap_or(0)),
        duration_nanos: signed(profile.meta.duration_ns),
        period_type,
        period,
        comment: comments.iter().map(|text| texts.id(text)).collect(),
        default_sample_type: 0,
        string_table: texts.list,
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn sample_types(profile: &Profile, texts: &mut Texts) -> Vec<schema::ValueType> {
    let mut types = Vec::new();
    for weight in &profile.weights {
        let unit = match weight.unit {
            Unit::Count => "count",
            Unit::Nanoseconds => "nanoseconds",
            Unit::Bytes => "bytes",
            Unit::Cycles => "cycles",
            Unit::Instructions => "instructions",
        };
        types.push(schema::ValueType {
            r#type: texts.id(&weight.name),
            unit: texts.id(unit),
        });
    }
    if types.is_empty() {
        // A profile.proto needs a value; without weights a sample stands for itself.
        types.push(schema::ValueType {
            r#type: texts.id("samples"),
            unit: texts.id("count"),
        });
    }
    types
}

fn locations(profile: &Profile, mappings: &Mappings) -> Vec<schema::Location> {
    let rows = profile.locations.iter();
    rows.map(|(id, row)| schema::Location {
        id: location_number(id),
        mapping_id: row.image.map_or(0, |image| mappings.id(image)),
        address: mappings.address(row),
        line: if is_named(row) {
            lines(profile, id)
        } else {
            Vec::new()
        },
        is_folded: false,
    })
    .collect()
}

fn location_number(id: LocationId) -> u64 {
    id.index() as u64 + 1
}

fn lines(profile: &Profile, location: LocationId) -> Vec<schema::Line> {
    let frames = profile.locations[location].frame_ids();
    let rows = frames.map(|id| &profile.frames[id]);
    rows.map(|frame| schema::Line {
        function_id: frame.function.index() as u64 + 1,
        line: frame.line.map_or(0, i64::from),
        column: frame.column.map_or(0, i64::from),
    })
    .collect()
}

fn functions(profile: &Profile, texts: &mut Texts) -> Vec<schema::Function> {
    let rows = profile.functions.iter();
    rows.map(|(id, row)| schema::Function {
        id: id.index() as u64 + 1,
        name: texts.id(&profile.strings[row.name]),
        system_name: texts.id(&profile.strings[row.linkage_name]),
        filename: row.file.map_or(0, |file| texts.id(&profile.strings[file])),
        start_line: row.line.map_or(0, i64::from),
    })
    .collect()
}

/// Samples with the same stack, thread and end become one, ordered by thread, stack and end.
fn samples(
    profile: &Profile,
    locations: &mut Vec<schema::Location>,
    texts: &mut Texts,
) -> Vec<schema::Sample> {
    let samples = &profile.samples;
    let width = profile.weights.len().max(1);
    let mut sums: BTreeMap<(ThreadId, Option<StackId>, StackEnd), Vec<i64>> = BTreeMap::new();
    for row in 0..samples.len() {
        let key = (samples.thread[row], samples.stack[row], samples.end[row]);
        let values = sums.entry(key).or_insert_with(|| vec![0; width]);
        for (column, value) in values.iter_mut().enumerate() {
            let weight = samples
                .weights
                .get(column)
                .map_or(1, |weights| weights[row]);
            // `Profile::validate` has made sure that weights can be added up.
            *value += weight;
        }
    }
    let nowhere = locations.len() as u64 + 1;
    if sums.keys().any(|&(_, stack, _)| stack.is_none()) {
        locations.push(schema::Location {
            id: nowhere,
            ..schema::Location::default()
        });
    }
    let labels = LabelKeys::of(texts);
    sums.into_iter()
        .map(|((thread, stack, end), value)| {
            let mut location_id: Vec<u64> = profile.path(stack).map(location_number).collect();
            if location_id.is_empty() {
                location_id.push(nowhere);
            }
            schema::Sample {
                location_id,
                value,
                label: labels.labels(profile, thread, end, texts),
            }
        })
        .collect()
}

/// The string numbers of the labels' keys.
struct LabelKeys {
    process: i64,
    pid: i64,
    thread: i64,
    tid: i64,
    stack_end: i64,
}

impl LabelKeys {
    fn of(texts: &mut Texts) -> Self {
        LabelKeys {
            process: texts.id("process"),
            pid: texts.id("pid"),
            thread: texts.id("thread"),
            tid: texts.id("tid"),
            stack_end: texts.id("stack_end"),
        }
    }

    fn labels(
        &self,
        profile: &Profile,
        thread: ThreadId,
        end: StackEnd,
        texts: &mut Texts,
    ) -> Vec<schema::Label> {
        let thread = &profile.threads[thread];
        let process = &profile.processes[thread.process];
        let text = |key, str| schema::Label {
            key,
            str,
            num: 0,
            num_unit: 0,
        };
        let number = |key, num: u32| schema::Label {
            key,
            str: 0,
            num: num.into(),
            num_unit: 0,
        };
        let mut labels = vec![
            text(self.process, texts.id(&profile.strings[process.name])),
            number(self.pid, process.pid),
            text(self.thread, texts.id(&profile.strings[thread.name])),
            number(self.tid, thread.tid),
        ];
        let end = match end {
            StackEnd::Complete => None,
            StackEnd::Truncated => Some("truncated"),
            StackEnd::Failed => Some("failed"),
            StackEnd::Unknown => Some("unknown"),
        };
        labels.extend(end.map(|end| text(self.stack_end, texts.id(end))));
        labels
    }
}

/// What is counted between two samples, and how much of it; 0 when the kernel adapted it.
fn period(profile: &Profile, texts: &mut Texts) -> (Option<schema::ValueType>, i64) {
    let meta = &profile.meta;
    if meta.event.is_empty() {
        return (None, 0);
    }
    let is_clock = matches!(meta.event.as_str(), "cpu-clock" | "task-clock" | "ptrace");
    let unit = if is_clock { "nanoseconds" } else { "count" };
    let by_rate = meta.rate_hz.filter(|&rate| is_clock && rate > 0);
    let by_rate = by_rate.map(|rate| 1_000_000_000 / rate);
    let period_type = schema::ValueType {
        r#type: texts.id(&meta.event),
        unit: texts.id(unit),
    };
    let period = meta.period.or(by_rate).map_or(0, signed);
    (Some(period_type), period)
}

/// What a reader has to know and the format has no field for.
fn comments(profile: &Profile) -> Vec<String> {
    let meta = &profile.meta;
    let ends = &profile.samples.end;
    let count = |end| ends.iter().filter(|&&other| other == end).count();
    let mut comments = vec![
        format!("command: {}", meta.command.join(" ")),
        format!("event: {}", meta.event),
        format!("rung: {}", meta.rung),
        format!("unwinder: {}", meta.unwinder),
        format!(
            "lost: {} samples, {} other records; throttled {} times",
            meta.lost.samples, meta.lost.records, meta.lost.throttled
        ),
        format!(
            "stacks: {} samples, {} truncated, {} failed, {} of unknown end",
            ends.len(),
            count(StackEnd::Truncated),
            count(StackEnd::Failed),
            count(StackEnd::Unknown)
        ),
    ];
    comments.extend(meta.notes.iter().map(|note| format!("note: {note}")));
    comments
}
