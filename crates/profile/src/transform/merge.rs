//! Several profiles as one.

use std::hash::Hash;

use rustc_hash::FxHashMap;

use super::stacks::NewStacks;
use crate::id::{
    Id, ImageId, LabelSetId, LocationId, ProcessId, StackId, StringId, SymbolId, ThreadId,
};
use crate::labels::{Label, LabelValue};
use crate::profile::{InvalidProfile, Profile};
use crate::rows::{
    AddressKind, Counter, Frame, Function, Image, Location, LocationState, Mapping, Meta, Process,
    Symbol, Thread, Weight,
};
use crate::table::Table;

/// Why profiles do not make one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// There is nothing to merge.
    #[error("no profile was given; name at least one")]
    Nothing,
    /// The samples of two profiles do not mean the same.
    #[error(
        "profile {before} and profile {number} do not add up: the {what} is {first} in one and {other} in the other; merge only recordings made with the same settings on the same machine"
    )]
    Unlike {
        /// Which profile is the earlier of the two, counted from 1.
        before: usize,
        /// Which profile differs from it, counted from 1.
        number: usize,
        /// In what: `event`, `period or rate`, `weights`, or a fact of the machine.
        what: &'static str,
        /// That of the earlier one.
        first: String,
        /// That of the other.
        other: String,
    },
    /// Their sum does not fit.
    #[error("the profiles cannot be added up: {0}")]
    Invalid(#[from] InvalidProfile),
}

/// All samples of all profiles, in the order given. Code that is the same in several is one row;
/// processes and threads stay apart, and times stay on the clock of their own recording. What a
/// foreign format said beyond that ([`Profile::foreign`]) is told of one profile alone, and is left
/// out of several.
///
/// # Errors
/// When there is no profile, when events, periods, rates or weights differ, when machines do, as far
/// as both profiles tell theirs, and when the sum of a weight does not fit in 64 bits.
pub fn merge(profiles: Vec<Profile>) -> Result<Profile, MergeError> {
    let mut rest = profiles.into_iter();
    let first = rest.next().ok_or(MergeError::Nothing)?;
    let rest: Vec<Profile> = rest.collect();
    if rest.is_empty() {
        return Ok(first);
    }
    let all = std::iter::once(&first).chain(&rest);
    let settings: Vec<Settings> = all
        .map(|profile| Settings::of(&profile.meta, &profile.weights))
        .collect();
    for (index, other) in settings.iter().enumerate() {
        for (before, earlier) in settings[..index].iter().enumerate() {
            earlier.check(other, [before + 1, index + 1])?;
        }
    }
    let mut merger = Merger::default();
    merger.out.weights.clone_from(&first.weights);
    merger.out.samples.weights = vec![Vec::new(); first.weights.len()];
    let all: Vec<Profile> = std::iter::once(first).chain(rest).collect();
    for profile in &all {
        merger.add(profile);
    }
    let mut out = merger.out;
    out.stacks = merger.stacks.table;
    out.meta = merged_meta(&all.iter().map(|profile| &profile.meta).collect::<Vec<_>>());
    out.validate()?;
    Ok(out)
}

/// What samples mean and where they were taken, in words: each kind of fact, and what it is, or
/// nothing for a machine that is not known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settings([(&'static str, Option<String>); 7]);

impl Settings {
    pub(super) fn of(meta: &Meta, weights: &[Weight]) -> Settings {
        let pace = match (meta.period, meta.rate_hz) {
            (Some(period), _) => format!("one sample in {period}"),
            (None, Some(rate)) => format!("{rate} Hz"),
            (None, None) => "unknown".to_owned(),
        };
        let weights = weights.iter();
        let weights: Vec<String> = weights
            .map(|row| format!("{} ({:?})", row.name, row.unit))
            .collect();
        let event = match meta.event.as_str() {
            "" => "unknown".to_owned(),
            event => format!("`{event}`"),
        };
        let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let cpus = (meta.host.cpus > 0).then(|| meta.host.cpus.to_string());
        Settings([
            ("event", Some(event)),
            ("period or rate", Some(pace)),
            ("weights", Some(format!("[{}]", weights.join(", ")))),
            ("architecture", known(&meta.host.arch)),
            ("CPU", known(&meta.host.cpu_model)),
            ("number of CPUs", cpus),
            ("kernel", known(&meta.host.kernel)),
        ])
    }

    /// Whether samples of these settings add up with others; `numbers` are those of the profiles.
    pub(super) fn check(&self, other: &Settings, numbers: [usize; 2]) -> Result<(), MergeError> {
        for ((what, first), (_, other)) in self.0.iter().zip(&other.0) {
            if let (Some(first), Some(other)) = (first, other)
                && first != other
            {
                return Err(MergeError::Unlike {
                    before: numbers[0],
                    number: numbers[1],
                    what,
                    first: first.clone(),
                    other: other.clone(),
                });
            }
        }
        Ok(())
    }
}

/// What is known of a location, by new rows; equal ones are one.
#[derive(PartialEq, Eq, Hash)]
struct LocationKey {
    image: Option<ImageId>,
    address: u64,
    kind: AddressKind,
    symbol: Option<SymbolId>,
    state: LocationState,
    frames: Vec<FrameKey>,
}

#[derive(PartialEq, Eq, Hash)]
struct FrameKey {
    function: crate::FunctionId,
    line: Option<u32>,
    column: Option<u32>,
    file: Option<StringId>,
}

/// The growing result, with the rows that are known already.
#[derive(Default)]
struct Merger {
    out: Profile,
    stacks: NewStacks,
    images: FxHashMap<(StringId, Vec<u8>, crate::ImageKind), ImageId>,
    symbols: FxHashMap<(ImageId, StringId, u64, u64), SymbolId>,
    functions: FxHashMap<Function, crate::FunctionId>,
    locations: FxHashMap<LocationKey, LocationId>,
}

fn intern<K: Eq + Hash, I: Id, T>(
    known: &mut FxHashMap<K, I>,
    table: &mut Table<I, T>,
    key: K,
    row: T,
) -> I {
    *known.entry(key).or_insert_with(|| table.push(row))
}

impl Merger {
    fn add(&mut self, p: &Profile) {
        let texts: Vec<StringId> = p
            .strings
            .iter()
            .map(|t| self.out.strings.intern(t))
            .collect();
        let text = |id: StringId| texts[id.index()];
        let images = self.add_images(p, &text);
        let threads = self.add_world(p, &text, &images);
        let locations = self.add_code(p, &text, &images);
        let mut stacks: Vec<StackId> = Vec::with_capacity(p.stacks.len());
        for (_, row) in p.stacks.iter() {
            let parent = row.parent.map(|id| stacks[id.index()]);
            stacks.push(self.stacks.intern(parent, locations[row.location.index()]));
        }
        let labels = self.add_labels(p, &text);
        self.add_samples(p, &threads, &stacks, &labels);
    }

    fn add_images(&mut self, p: &Profile, text: &dyn Fn(StringId) -> StringId) -> Vec<ImageId> {
        let rows = p.images.rows().iter();
        rows.map(|row| {
            let new = Image {
                path: text(row.path),
                ..row.clone()
            };
            let key = (new.path, new.build_id.clone(), new.kind);
            intern(&mut self.images, &mut self.out.images, key, new)
        })
        .collect()
    }

    fn add_world(
        &mut self,
        p: &Profile,
        text: &dyn Fn(StringId) -> StringId,
        images: &[ImageId],
    ) -> Vec<ThreadId> {
        let process = |row: &Process| Process {
            name: text(row.name),
            ..row.clone()
        };
        let rows = p.processes.rows().iter().map(process);
        let processes: Vec<ProcessId> = rows.map(|row| self.out.processes.push(row)).collect();
        for (_, row) in p.mappings.iter() {
            self.out.mappings.push(Mapping {
                process: row.process.map(|id| processes[id.index()]),
                image: images[row.image.index()],
                ..row.clone()
            });
        }
        let thread = |row: &Thread| Thread {
            name: text(row.name),
            process: processes[row.process.index()],
            ..row.clone()
        };
        let rows = p.threads.rows().iter().map(thread);
        rows.map(|row| self.out.threads.push(row)).collect()
    }

    fn add_code(
        &mut self,
        p: &Profile,
        text: &dyn Fn(StringId) -> StringId,
        images: &[ImageId],
    ) -> Vec<LocationId> {
        let mut symbols = Vec::with_capacity(p.symbols.len());
        for (_, row) in p.symbols.iter() {
            let new = Symbol {
                image: images[row.image.index()],
                linkage_name: text(row.linkage_name),
                ..row.clone()
            };
            let key = (new.image, new.linkage_name, new.address, new.size);
            symbols.push(intern(&mut self.symbols, &mut self.out.symbols, key, new));
        }
        let mut functions = Vec::with_capacity(p.functions.len());
        for (_, row) in p.functions.iter() {
            let new = Function {
                name: text(row.name),
                linkage_name: text(row.linkage_name),
                file: row.file.map(text),
                image: row.image.map(|id| images[id.index()]),
                ..row.clone()
            };
            let table = &mut self.out.functions;
            functions.push(intern(&mut self.functions, table, new.clone(), new));
        }
        let frame = |id| {
            let row: &Frame = &p.frames[id];
            Frame {
                function: functions[row.function.index()],
                file: row.file.map(text),
                ..row.clone()
            }
        };
        let rows = p.locations.rows().iter();
        rows.map(|row| {
            let frames: Vec<Frame> = row.frame_ids().map(frame).collect();
            let new = Location {
                image: row.image.map(|id| images[id.index()]),
                symbol: row.symbol.map(|id| symbols[id.index()]),
                ..row.clone()
            };
            self.add_location(new, &frames)
        })
        .collect()
    }

    fn add_location(&mut self, mut row: Location, frames: &[Frame]) -> LocationId {
        let key = LocationKey {
            image: row.image,
            address: row.address,
            kind: row.kind,
            symbol: row.symbol,
            state: row.state,
            frames: frames
                .iter()
                .map(|frame| FrameKey {
                    function: frame.function,
                    line: frame.line,
                    column: frame.column,
                    file: frame.file,
                })
                .collect(),
        };
        let out = &mut self.out;
        *self.locations.entry(key).or_insert_with(|| {
            // Table ids are 32 bits wide, which `push` checks for each row.
            let start = out.frames.len() as u32;
            for frame in frames {
                out.frames.push(frame.clone());
            }
            row.frames = start..out.frames.len() as u32;
            out.locations.push(row)
        })
    }

    fn add_labels(&mut self, p: &Profile, text: &dyn Fn(StringId) -> StringId) -> Vec<LabelSetId> {
        let label = |label: &Label| Label {
            key: text(label.key),
            value: match label.value {
                LabelValue::Text(id) => LabelValue::Text(text(id)),
                LabelValue::Number { value, unit } => LabelValue::Number {
                    value,
                    unit: unit.map(text),
                },
            },
        };
        let sets = p.labels.iter();
        sets.map(|set| {
            let set: Vec<Label> = set.iter().map(label).collect();
            self.out.labels.intern(&set)
        })
        .collect()
    }

    fn add_samples(
        &mut self,
        p: &Profile,
        threads: &[ThreadId],
        stacks: &[StackId],
        labels: &[LabelSetId],
    ) {
        let (from, to) = (&p.samples, &mut self.out.samples);
        to.thread
            .extend(from.thread.iter().map(|id| threads[id.index()]));
        let stack = |id: &Option<StackId>| id.map(|id| stacks[id.index()]);
        to.stack.extend(from.stack.iter().map(stack));
        let set = |id: &Option<LabelSetId>| id.map(|id| labels[id.index()]);
        to.labels.extend(from.labels.iter().map(set));
        to.time_ns.extend(&from.time_ns);
        to.cpu.extend(&from.cpu);
        to.end.extend(&from.end);
        for (to, from) in to.weights.iter_mut().zip(&from.weights) {
            to.extend(from);
        }
    }
}

/// The sums of those counters that every profile has, in the first one's order.
fn merged_counters(all: &[&Meta]) -> Vec<Counter> {
    let sum = |first: &Counter| {
        let same = |meta: &Meta| {
            let mut all = meta.counters.iter();
            all.find(|one| (&one.name, one.unit) == (&first.name, first.unit))
                .cloned()
        };
        let add = |sum: Counter, one: Counter| {
            Some(Counter {
                value: sum.value.checked_add(one.value)?,
                counted: sum.counted.min(one.counted),
                ..sum
            })
        };
        let mut rest = all[1..].iter();
        rest.try_fold(first.clone(), |total, meta| add(total, same(meta)?))
    };
    all[0].counters.iter().filter_map(sum).collect()
}

/// Counts are added, what differs is said, what only one knows is not claimed of all.
pub(super) fn merged_meta(all: &[&Meta]) -> Meta {
    let metas = || all.iter().copied();
    let sum = |fact: &dyn Fn(&Meta) -> Option<u64>| {
        metas().try_fold(0u64, |sum, meta| sum.checked_add(fact(meta)?))
    };
    let mut meta = all[0].clone();
    meta.started_unix_ns = metas().filter_map(|meta| meta.started_unix_ns).min();
    meta.duration_ns = sum(&|meta| Some(meta.duration_ns)).unwrap_or(u64::MAX);
    meta.cpu_time_ns = sum(&|meta| meta.cpu_time_ns);
    meta.counters = merged_counters(all);
    meta.recorder_cpu_ns = sum(&|meta| meta.recorder_cpu_ns);
    let total = |fact: &dyn Fn(&Meta) -> u64| {
        metas().fold(0u64, |sum, meta| sum.saturating_add(fact(meta)))
    };
    meta.lost.samples = total(&|meta| meta.lost.samples);
    meta.lost.records = total(&|meta| meta.lost.records);
    meta.lost.throttled = total(&|meta| meta.lost.throttled);
    let different = |fact: &dyn Fn(&Meta, &Meta) -> bool| metas().any(|meta| !fact(all[0], meta));
    if different(&|a, b| a.exit == b.exit) {
        meta.exit = None;
    }
    let one_command = !all[0].command.is_empty() && !different(&|a, b| a.command == b.command);
    let what = if one_command { "runs" } else { "profiles" };
    meta.notes = vec![format!("{} {what} were merged", all.len())];
    let apart = [
        ("commands", different(&|a, b| a.command == b.command)),
        ("machines", different(&|a, b| a.host == b.host)),
        (
            "ways of unwinding",
            different(&|a, b| a.unwinder == b.unwinder),
        ),
        ("clocks", different(&|a, b| a.clock == b.clock)),
    ];
    for (what, _) in apart.iter().filter(|(_, differs)| *differs) {
        let note =
            format!("the merged profiles have different {what}; those of the first are told");
        meta.notes.push(note);
    }
    meta.notes.extend(merged_notes(all));
    meta
}

/// The notes of all, each once. Of three and more that differ in their numbers alone, as the same
/// note of each of many runs does, the first stands for the others and says how many they are.
fn merged_notes(all: &[&Meta]) -> Vec<String> {
    let mut kinds: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
    for note in all.iter().flat_map(|meta| &meta.notes) {
        let is_number = |word: &str| {
            word.trim_matches([',', ';', '(', ')'])
                .parse::<f64>()
                .is_ok()
        };
        let words = note
            .split(' ')
            .map(|word| if is_number(word) { "0" } else { word });
        let words: Vec<&str> = words.collect();
        match kinds.iter_mut().find(|(kind, _)| *kind == words) {
            Some((_, notes)) if notes.contains(&note.as_str()) => {}
            Some((_, notes)) => notes.push(note),
            None => kinds.push((words, vec![note])),
        }
    }
    let told = kinds.iter().flat_map(|(_, notes)| match notes[..] {
        [first, _, _, ..] => vec![format!(
            "{first} ({} more notes like it, with other numbers)",
            notes.len() - 1
        )],
        _ => notes.iter().map(|note| (*note).to_owned()).collect(),
    });
    told.collect()
}
