//! A profile as the Firefox Profiler's JSON.

use std::collections::BTreeMap;
use std::io::Write;

use flate2::GzBuilder;
use hotproof_profile::*;
use serde::Serialize;

use super::VERSION;
use super::tables::{Shared, Tables};
use crate::WriteError;
use crate::folded::Options;
use crate::json;
use crate::viewer::{self, Fact};

/// Whether the file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Plain JSON.
    Plain,
    /// gzip, without a time in its header.
    Gzip,
}

#[derive(Serialize)]
struct File {
    meta: Meta,
    libs: Vec<Lib>,
    pages: [u8; 0],
    shared: Shared,
    threads: Vec<ThreadRow>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    interval: f64,
    start_time: f64,
    process_type: u32,
    categories: [Category; 3],
    product: String,
    stackwalk: u32,
    debug: bool,
    /// Of the unprocessed format, which this one is derived from.
    version: u32,
    preprocessed_profile_version: u64,
    symbolicated: bool,
    symbolication_not_supported: bool,
    uses_only_one_stack_type: bool,
    source_code_is_not_on_searchfox: bool,
    imported_from: &'static str,
    platform: &'static str,
    oscpu: String,
    #[serde(rename = "CPUName")]
    cpu_name: String,
    #[serde(rename = "logicalCPUs")]
    logical_cpus: u32,
    marker_schema: Vec<MarkerSchema>,
    sample_units: SampleUnits,
    extra: Vec<Section>,
}

#[derive(Serialize)]
struct Category {
    name: &'static str,
    color: &'static str,
    subcategories: [&'static str; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SampleUnits {
    time: &'static str,
    event_delay: &'static str,
    #[serde(rename = "threadCPUDelta")]
    thread_cpu_delta: &'static str,
}

#[derive(Serialize)]
struct Section {
    label: &'static str,
    entries: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    label: &'static str,
    format: &'static str,
    value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MarkerSchema {
    name: &'static str,
    tooltip_label: &'static str,
    table_label: &'static str,
    chart_label: &'static str,
    display: [&'static str; 3],
    fields: [MarkerField; 3],
}

#[derive(Serialize)]
struct MarkerField {
    key: &'static str,
    label: &'static str,
    format: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Lib {
    arch: String,
    name: String,
    path: String,
    debug_name: String,
    debug_path: String,
    breakpad_id: String,
    code_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ThreadRow {
    process_type: &'static str,
    process_startup_time: f64,
    process_shutdown_time: Option<f64>,
    register_time: f64,
    unregister_time: Option<f64>,
    paused_ranges: [u8; 0],
    name: String,
    process_name: String,
    is_main_thread: bool,
    pid: String,
    tid: String,
    samples: Samples,
    markers: Markers,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct Samples {
    stack: Vec<u32>,
    time: Vec<f64>,
    weight: Option<Vec<serde_json::Number>>,
    weight_type: &'static str,
    #[serde(rename = "threadCPUDelta", skip_serializing_if = "Option::is_none")]
    thread_cpu_delta: Option<Vec<i64>>,
    length: usize,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct Markers {
    data: Vec<LostMarker>,
    name: Vec<u32>,
    start_time: Vec<f64>,
    end_time: Vec<f64>,
    phase: Vec<u32>,
    category: Vec<u32>,
    length: usize,
}

#[derive(Serialize)]
struct LostMarker {
    #[serde(rename = "type")]
    kind: &'static str,
    samples: u64,
    records: u64,
    throttled: u64,
}

/// Writes the profile; returns what the format could not carry, in words, such as `the CPUs of
/// samples`.
///
/// # Errors
/// [`WriteError::NoWeight`] when the profile has no such weight, and those of `out`.
pub fn write(
    profile: &Profile,
    options: &Options,
    compression: Compression,
    out: impl Write,
) -> Result<Vec<String>, WriteError> {
    profile.validate()?;
    let (weight, _) = viewer::weight_column(profile, options.weight)?;
    let file = Writer::new(profile, options).file();
    match compression {
        Compression::Plain => json::write_document(&file, out)?,
        Compression::Gzip => {
            let level = flate2::Compression::default();
            let mut gzip = GzBuilder::new().mtime(0).write(out, level);
            json::write_document(&file, &mut gzip)?;
            gzip.finish()?.flush()?;
        }
    }
    let carried = [
        Fact::Command,
        Fact::Event,
        Fact::Machine,
        Fact::Weights,
        Fact::Times,
        Fact::Addresses,
        Fact::Stacks,
        Fact::ThreadNumbers,
        Fact::Images,
        Fact::BuildIds,
        Fact::Files,
        Fact::LineNumbers,
        Fact::Symbols,
    ];
    let mut lost = viewer::losses(profile, options, &carried);
    let kept = [Some(options.weight), cpu_column(profile)];
    let kept: Vec<usize> = kept.into_iter().flatten().collect();
    lost.extend(viewer::lost_weights(profile, &kept));
    if matches!(weight.unit, Unit::Cycles | Unit::Instructions) {
        lost.push(format!("the unit of {}", weight.name));
    }
    Ok(lost)
}

/// The weight that is each sample's CPU time, whichever is chosen.
fn cpu_column(profile: &Profile) -> Option<usize> {
    let mut weights = profile.weights.iter();
    weights.position(|weight| weight.unit == Unit::Nanoseconds)
}

struct Writer<'a> {
    profile: &'a Profile,
    tables: Tables<'a>,
    unit: Unit,
    values: &'a [i64],
    /// CPU time of each sample.
    cpu: Option<&'a [i64]>,
    has_times: bool,
    /// What time 0 of the file is on the profile's clock.
    origin_ns: u64,
}

impl<'a> Writer<'a> {
    fn new(profile: &'a Profile, options: &Options) -> Self {
        let columns = &profile.samples.weights;
        let cpu = cpu_column(profile);
        let has_times = viewer::has_times(profile);
        let times = profile.samples.time_ns.iter().copied();
        let starts = profile
            .processes
            .rows()
            .iter()
            .map(|process| process.start_ns);
        let first = times.chain(starts).min();
        Writer {
            profile,
            tables: Tables::new(profile, options.inline),
            unit: profile.weights[options.weight].unit,
            values: &columns[options.weight],
            cpu: cpu.map(|column| columns[column].as_slice()),
            has_times,
            origin_ns: first.filter(|_| has_times).unwrap_or(0),
        }
    }

    fn file(mut self) -> File {
        let mut threads: Vec<ThreadRow> = Vec::new();
        let mut numbers = Numbers::default();
        for (id, rows) in viewer::samples_by_thread(self.profile) {
            let thread = self.thread(id, &rows, &mut numbers);
            threads.push(thread);
        }
        if threads.is_empty() {
            // The viewer refuses a profile without a thread.
            threads.push(ThreadRow::nobody());
        }
        threads[0].markers = self.markers(&threads);
        let profile = self.profile;
        File {
            meta: meta(profile),
            libs: profile
                .images
                .rows()
                .iter()
                .map(|image| lib(profile, image))
                .collect(),
            pages: [],
            shared: self.tables.shared,
            threads,
        }
    }

    fn milliseconds(&self, time_ns: u64) -> f64 {
        time_ns.saturating_sub(self.origin_ns) as f64 / 1e6
    }

    fn thread(&mut self, id: ThreadId, rows: &[usize], numbers: &mut Numbers) -> ThreadRow {
        let profile = self.profile;
        let thread = &profile.threads[id];
        let process = &profile.processes[thread.process];
        let (pid, tid) = numbers.of(thread, process);
        let at = |time_ns: u64| {
            if self.has_times {
                self.milliseconds(time_ns)
            } else {
                0.0
            }
        };
        ThreadRow {
            process_type: "default",
            process_startup_time: at(process.start_ns),
            process_shutdown_time: process.end_ns.map(at),
            register_time: at(thread.start_ns),
            unregister_time: thread.end_ns.map(at),
            paused_ranges: [],
            name: match &profile.strings[thread.name] {
                "" => "all threads".to_owned(),
                name => name.to_owned(),
            },
            process_name: profile.strings[process.name].to_owned(),
            is_main_thread: thread.tid == process.pid,
            pid,
            tid,
            samples: self.samples(rows),
            markers: Markers::default(),
        }
    }

    fn samples(&mut self, rows: &[usize]) -> Samples {
        let profile = self.profile;
        let time = |(index, &row): (usize, &usize)| {
            if self.has_times {
                self.milliseconds(profile.samples.time_ns[row])
            } else {
                index as f64
            }
        };
        let time = rows.iter().enumerate().map(time).collect();
        let is_plain = self.unit == Unit::Count && rows.iter().all(|&row| self.values[row] == 1);
        let weights = rows.iter().map(|&row| self.weight(self.values[row]));
        let weight = (!is_plain).then(|| weights.collect());
        let thread_cpu_delta = self
            .cpu
            .map(|cpu| rows.iter().map(|&row| cpu[row]).collect());
        let stacks = rows.iter().map(|&row| profile.samples.stack[row]);
        Samples {
            stack: stacks.map(|stack| self.tables.stack(stack)).collect(),
            time,
            weight,
            weight_type: match self.unit {
                Unit::Nanoseconds => "tracing-ms",
                Unit::Bytes => "bytes",
                Unit::Count | Unit::Cycles | Unit::Instructions => "samples",
            },
            thread_cpu_delta,
            length: rows.len(),
        }
    }

    fn weight(&self, value: i64) -> serde_json::Number {
        match self.unit {
            Unit::Nanoseconds if value % 1_000_000 != 0 => {
                let milliseconds = serde_json::Number::from_f64(value as f64 / 1e6);
                milliseconds.expect("an i64 divided by a million is finite")
            }
            Unit::Nanoseconds => (value / 1_000_000).into(),
            _ => value.into(),
        }
    }

    /// What was lost, over the time of all threads.
    fn markers(&mut self, threads: &[ThreadRow]) -> Markers {
        let lost = self.profile.meta.lost;
        if lost == Lost::default() {
            return Markers::default();
        }
        let last = threads
            .iter()
            .filter_map(|thread| thread.samples.time.last());
        let end = last.fold(0.0, |end: f64, &time| end.max(time));
        Markers {
            data: vec![LostMarker {
                kind: "Lost",
                samples: lost.samples,
                records: lost.records,
                throttled: lost.throttled,
            }],
            name: vec![self.tables.text("Lost by the kernel")],
            start_time: vec![0.0],
            end_time: vec![end],
            // An interval.
            phase: vec![1],
            category: vec![0],
            length: 1,
        }
    }
}

impl ThreadRow {
    fn nobody() -> Self {
        ThreadRow {
            process_type: "default",
            process_startup_time: 0.0,
            process_shutdown_time: None,
            register_time: 0.0,
            unregister_time: None,
            paused_ranges: [],
            name: "no samples".to_owned(),
            process_name: String::new(),
            is_main_thread: true,
            pid: "0".to_owned(),
            tid: "0".to_owned(),
            samples: Samples {
                weight_type: "samples",
                ..Samples::default()
            },
            markers: Markers::default(),
        }
    }
}

/// Numbers of processes and threads as texts: an exec image has the pid of the one before it, and
/// the viewer takes equal texts for one process.
#[derive(Default)]
struct Numbers {
    processes: BTreeMap<u32, Vec<ProcessId>>,
    threads: BTreeMap<(String, u32), u32>,
}

impl Numbers {
    fn of(&mut self, thread: &Thread, process: &Process) -> (String, String) {
        let rows = self.processes.entry(process.pid).or_default();
        let known = rows.iter().position(|&row| row == thread.process);
        let ordinal = known.unwrap_or_else(|| {
            rows.push(thread.process);
            rows.len() - 1
        });
        let numbered = |number: u32, ordinal: usize| match ordinal {
            0 => number.to_string(),
            _ => format!("{number}.{ordinal}"),
        };
        let pid = numbered(process.pid, ordinal);
        let count = self.threads.entry((pid.clone(), thread.tid)).or_default();
        let same = *count as usize;
        *count += 1;
        let tid = match ordinal {
            0 => numbered(thread.tid, same),
            _ => format!(
                "{}.{ordinal}{}",
                thread.tid,
                if same == 0 {
                    String::new()
                } else {
                    format!(".{same}")
                }
            ),
        };
        (pid, tid)
    }
}

fn meta(profile: &Profile) -> Meta {
    let meta = &profile.meta;
    let category = |name, color| Category {
        name,
        color,
        subcategories: ["Other"],
    };
    let field = |key, label| MarkerField {
        key,
        label,
        format: "integer",
    };
    Meta {
        interval: meta
            .rate_hz
            .filter(|&rate| rate > 0)
            .map_or(1.0, |rate| 1000.0 / rate as f64),
        start_time: meta.started_unix_ns.unwrap_or(0) as f64 / 1e6,
        process_type: 0,
        // The grey one is what frames without a category are.
        categories: [
            category("Other", "grey"),
            category("User", "yellow"),
            category("Kernel", "orange"),
        ],
        product: viewer::profile_title(profile),
        stackwalk: 1,
        debug: false,
        version: 36,
        preprocessed_profile_version: VERSION,
        symbolicated: true,
        symbolication_not_supported: true,
        uses_only_one_stack_type: true,
        source_code_is_not_on_searchfox: true,
        imported_from: concat!("hotproof@", env!("CARGO_PKG_VERSION")),
        platform: "Linux",
        oscpu: format!("{} {}", meta.host.kernel, meta.host.arch)
            .trim()
            .to_owned(),
        cpu_name: meta.host.cpu_model.clone(),
        logical_cpus: meta.host.cpus,
        marker_schema: vec![MarkerSchema {
            name: "Lost",
            tooltip_label: "{marker.name}",
            table_label: "{marker.data.samples} samples, {marker.data.records} other records, throttled {marker.data.throttled} times",
            chart_label: "{marker.data.samples} samples lost",
            display: ["marker-chart", "marker-table", "timeline-overview"],
            fields: [
                field("samples", "Samples lost"),
                field("records", "Other records lost"),
                field("throttled", "Times the event was throttled"),
            ],
        }],
        sample_units: SampleUnits {
            time: "ms",
            event_delay: "ms",
            thread_cpu_delta: "ns",
        },
        extra: extra(meta),
    }
}

fn extra(meta: &hotproof_profile::Meta) -> Vec<Section> {
    let entry = |label, value: &str| {
        (!value.is_empty()).then(|| Entry {
            label,
            format: "string",
            value: value.to_owned(),
        })
    };
    let facts = [
        entry("Event", &meta.event),
        entry("Permissions", &meta.rung),
        entry("Stacks", &meta.unwinder),
    ];
    let notes = meta.notes.iter().filter_map(|note| entry("Note", note));
    let entries: Vec<Entry> = facts.into_iter().flatten().chain(notes).collect();
    let section = |entries| Section {
        label: "Recording",
        entries,
    };
    (!entries.is_empty())
        .then(|| section(entries))
        .into_iter()
        .collect()
}

fn lib(profile: &Profile, image: &Image) -> Lib {
    let path = &profile.strings[image.path];
    let name = file_name(path);
    let hexadecimal = image.build_id.iter().map(|byte| format!("{byte:02x}"));
    let hexadecimal: String = hexadecimal.collect();
    Lib {
        arch: profile.meta.host.arch.clone(),
        name: name.to_owned(),
        path: path.to_owned(),
        debug_name: name.to_owned(),
        debug_path: path.to_owned(),
        breakpad_id: breakpad_id(&image.build_id),
        code_id: (!hexadecimal.is_empty()).then_some(hexadecimal),
    }
}

/// A build-id as Breakpad spells it: its first sixteen bytes as a GUID, whose first three fields
/// are little-endian, in upper case, followed by an age of 0.
fn breakpad_id(build_id: &[u8]) -> String {
    if build_id.is_empty() {
        return String::new();
    }
    let mut guid = [0u8; 16];
    let length = build_id.len().min(16);
    guid[..length].copy_from_slice(&build_id[..length]);
    guid[0..4].reverse();
    guid[4..6].reverse();
    guid[6..8].reverse();
    let mut text: String = guid.iter().map(|byte| format!("{byte:02X}")).collect();
    text.push('0');
    text
}

#[cfg(test)]
mod tests {
    use super::breakpad_id;

    #[test]
    fn a_build_id_becomes_a_guid() {
        let build_id: Vec<u8> = (0x10..0x24).collect();
        assert_eq!(
            breakpad_id(&build_id),
            "13121110151417161819".to_owned() + "1A1B1C1D1E1F0"
        );
        assert_eq!(
            breakpad_id(&[0xab, 0x01]),
            "000001AB0000000000000000000000000"
        );
        assert_eq!(breakpad_id(&[]), "");
    }
}
