//! Trace events as a profile.

use std::collections::BTreeMap;

use hotproof_profile::{
    AddressKind, LocationId, Profile, Sample, StackEnd, StackId, ThreadId, Unit, Weight,
};
use rustc_hash::FxHashMap;

use super::events::{self, Arguments, Event, Trace};
use super::slices::{self, Faults, Mark, Slice};
use crate::cpuprofile::{self, Tables};
use crate::import::{Builder, Format, FramePlace, ImportError, Limits, LocationKey};
use crate::json::{self, Number, Word};

/// Which thread: its process's number and its own, as the file spells them.
type ThreadKey = (String, String);

fn damaged(path: String, what: impl Into<String>) -> ImportError {
    json::damaged(Format::ChromeTrace, path, what)
}

/// Reads a file; also says what the profile cannot carry.
///
/// # Errors
/// [`ImportError::Damaged`] with the place of what is no JSON, is missing, or refers to something
/// that does not exist.
pub(crate) fn read(bytes: &[u8], limits: Limits) -> Result<(Profile, Vec<String>), ImportError> {
    let time = Weight {
        name: "time".to_owned(),
        unit: Unit::Nanoseconds,
    };
    let mut found = Found::new(Builder::new(limits, vec![time]));
    let trace = events::parse(bytes, limits, &mut |index, event| found.add(index, event))?;
    let mut dropped = Vec::new();
    if !trace.is_closed {
        dropped.push("the end of the list of events, which is cut".to_owned());
    }
    let mut note = |count: u64, what: &str| {
        if count > 0 {
            dropped.push(format!("{count} {what}"));
        }
    };
    note(found.others, "events that are neither slices nor samples");
    let mut shown = None;
    let slices: u64 = found.marks.values().map(|marks| marks.len() as u64).sum();
    let builder = if !found.pieces.is_empty() {
        note(slices, "events of slices, since the file has samples");
        let mut builder = Builder::new(limits, cpuprofile::weights());
        dropped.extend(add_pieces(&mut builder, &found)?);
        shown = Some(trace.shown_weight);
        builder
    } else if !trace.samples.is_empty() {
        note(slices, "events of slices, since the file has samples");
        let count = Weight {
            name: "samples".to_owned(),
            unit: Unit::Count,
        };
        let mut builder = Builder::new(limits, vec![count]);
        add_trace_samples(&mut builder, &found, &trace)?;
        builder
    } else {
        let faults = found.add_slices()?;
        note(faults.not_begun, "ends of slices that never began");
        note(
            faults.not_ended,
            "slices without an end, which last until their thread's last event",
        );
        note(
            faults.overlapping,
            "slices that reach past the one around them, which were cut",
        );
        found.builder
    };
    let mut profile = builder.finish()?;
    if let Some(shown) = shown {
        shown.restore(&mut profile);
    }
    Ok((profile, dropped))
}

/// A piece of V8's tables.
struct Piece {
    /// Where it is in the file.
    path: String,
    /// Which profile it belongs to: the process and the profile's id.
    key: (String, String),
    tables: Tables,
}

/// What the list of events holds.
struct Found {
    builder: Builder,
    /// The names of processes and threads.
    process_names: BTreeMap<String, String>,
    thread_names: BTreeMap<ThreadKey, String>,
    marks: BTreeMap<ThreadKey, Vec<(i64, Mark<LocationId>)>>,
    /// The thread of each of V8's profiles.
    owners: BTreeMap<(String, String), ThreadKey>,
    starts: FxHashMap<(String, String), Number>,
    pieces: Vec<Piece>,
    others: u64,
}

impl Found {
    fn new(builder: Builder) -> Self {
        Found {
            builder,
            process_names: BTreeMap::new(),
            thread_names: BTreeMap::new(),
            marks: BTreeMap::new(),
            owners: BTreeMap::new(),
            starts: FxHashMap::default(),
            pieces: Vec::new(),
            others: 0,
        }
    }

    fn add(&mut self, index: usize, event: Event) -> Result<(), ImportError> {
        let key = (event.pid.0.clone(), event.tid.0.clone());
        match (&*event.name, &*event.ph) {
            ("thread_name", "M" | "m") => {
                let name = event.args.0.name.0;
                self.hold(&[&key.0, &key.1, &name])?;
                self.thread_names.insert(key, name);
            }
            ("process_name", "M" | "m") => {
                let name = event.args.0.name.0;
                self.hold(&[&key.0, &name])?;
                self.process_names.insert(key.0, name);
            }
            ("Profile" | "ProfileChunk" | "CpuProfile", _) => self.add_piece(index, event, key)?,
            (_, "X" | "B" | "E") => self.add_mark(index, &event, key)?,
            (_, "M" | "m") => {}
            _ => self.others += 1,
        }
        Ok(())
    }

    /// Takes the memory of an entry with these texts.
    fn hold(&mut self, texts: &[&String]) -> Result<(), ImportError> {
        let bytes = texts
            .iter()
            .map(|text| text.len() + 2 * size_of::<String>());
        self.builder.budget.take(bytes.sum())
    }

    fn add_mark(&mut self, index: usize, event: &Event, key: ThreadKey) -> Result<(), ImportError> {
        let ns = |number: Option<Number>, field: &str| {
            let path = || format!("traceEvents[{index}].{field}");
            let number = number.ok_or_else(|| damaged(path(), "there is no time"))?;
            let scaled = number.scaled(1000).map(|scaled| scaled.value);
            scaled.ok_or_else(|| damaged(path(), format!("{number} is too large for 64 bits")))
        };
        let time = ns(event.ts, "ts")?;
        let mut frame = || location(&mut self.builder, &event.name, &event.args.0);
        let mark = match &*event.ph {
            "E" => Mark::End,
            "B" => Mark::Begin(frame()?),
            _ => Mark::Whole {
                length: event.dur.map_or(Ok(0), |dur| ns(Some(dur), "dur"))?,
                frame: frame()?,
            },
        };
        if !self.marks.contains_key(&key) {
            self.hold(&[&key.0, &key.1])?;
        }
        // Once as a mark and once as a slice, each with room for more.
        let mark_bytes = size_of::<(i64, Mark<LocationId>)>() + size_of::<Slice<LocationId>>();
        self.builder.budget.take(2 * mark_bytes)?;
        self.marks.entry(key).or_default().push((time, mark));
        Ok(())
    }

    fn add_piece(
        &mut self,
        index: usize,
        event: Event,
        thread: ThreadKey,
    ) -> Result<(), ImportError> {
        let path = format!("traceEvents[{index}].args.data");
        let id = match &*event.id {
            "" => thread.1.clone(),
            id => id.to_owned(),
        };
        let key = (thread.0.clone(), id);
        let is_chunk = &*event.name == "ProfileChunk";
        // Owner, start, and the piece's own.
        self.hold(&[&key.0, &key.1, &thread.0, &thread.1])?;
        self.hold(&[&key.0, &key.1, &key.0, &key.1, &path])?;
        if !is_chunk {
            self.owners.insert(key.clone(), thread.clone());
        } else {
            self.owners.entry(key.clone()).or_insert(thread);
        }
        let data = event.args.0.data.0;
        if let Some(start) = number_of(&data.start_time) {
            self.starts.insert(key.clone(), start);
        }
        let Some(mut tables) = data.cpu_profile else {
            return Ok(());
        };
        if let Some(deltas) = data.time_deltas {
            tables.time_deltas = deltas;
        }
        if let Some(end) = number_of(&data.end_time) {
            tables.end_time = Some(end);
        }
        self.builder.budget.take(tables.held_bytes())?;
        self.pieces.push(Piece { path, key, tables });
        Ok(())
    }

    /// The thread of a key, in any builder.
    fn thread(&self, builder: &mut Builder, key: &ThreadKey) -> Result<ThreadId, ImportError> {
        // What our own writer calls samples of no known thread.
        if self
            .thread_names
            .get(key)
            .is_some_and(|name| name == "all threads")
        {
            return builder.nameless_thread();
        }
        let number = |text: &str| text.parse::<u32>().unwrap_or(0);
        let (pid, tid) = (number(&key.0), number(&key.1));
        let process_name = self.process_names.get(&key.0);
        let process = builder.process(pid, process_name.map_or("", String::as_str))?;
        let name = match self.thread_names.get(key) {
            Some(name) => name.clone(),
            // Numbers that are no thread's number for the kernel still tell threads apart.
            None if tid == 0 && key.1 != "0" && !key.1.is_empty() => format!("thread {}", key.1),
            None => String::new(),
        };
        builder.thread(process, tid, &name)
    }

    fn add_slices(&mut self) -> Result<Faults, ImportError> {
        let mut faults = Faults::default();
        for (key, marks) in std::mem::take(&mut self.marks) {
            let mut builder = std::mem::replace(
                &mut self.builder,
                Builder::new(Limits::default(), Vec::new()),
            );
            let thread = self.thread(&mut builder, &key)?;
            let slices = slices::pair(marks, &mut faults);
            let first = slices.iter().map(|slice| slice.start).min().unwrap_or(0);
            let origin = first.min(0);
            let shared = std::cell::RefCell::new(&mut builder);
            slices::walk(
                slices,
                &mut faults,
                &mut |parent, frame| shared.borrow_mut().stack(parent, frame),
                &mut |start, length, stack| {
                    if length <= 0 {
                        return Ok(());
                    }
                    let since = start.saturating_sub(origin);
                    let time_ns = u64::try_from(since).unwrap_or(0);
                    let mut builder = shared.borrow_mut();
                    builder.sample(&sample(thread, time_ns, stack, &[length]))
                },
            )?;
            self.builder = builder;
        }
        Ok(faults)
    }
}

fn sample(thread: ThreadId, time_ns: u64, stack: StackId, weights: &[i64]) -> Sample<'_> {
    Sample {
        thread,
        time_ns,
        stack: Some(stack),
        weights,
        cpu: None,
        end: StackEnd::Unknown,
        labels: None,
    }
}

/// The location of a slice, with the place that py-spy and others give in its arguments.
fn location(
    builder: &mut Builder,
    name: &str,
    args: &Arguments,
) -> Result<LocationId, ImportError> {
    let line = args.line.parse().ok();
    if args.filename.is_empty() {
        return builder.named(name);
    }
    let function = builder.function(name, "", Some(&args.filename), line)?;
    let place = FramePlace {
        line,
        column: None,
        file: None,
    };
    builder.location(LocationKey {
        image: None,
        address: 0,
        kind: AddressKind::Adjusted,
        frames: vec![(function, place)],
    })
}

/// Adds V8's profiles: the pieces of each, put together.
fn add_pieces(builder: &mut Builder, found: &Found) -> Result<Vec<String>, ImportError> {
    let mut profiles: BTreeMap<&(String, String), Vec<&Piece>> = BTreeMap::new();
    for piece in &found.pieces {
        profiles.entry(&piece.key).or_default().push(piece);
    }
    let mut dropped = Vec::new();
    for (key, pieces) in profiles {
        let owner = &found.owners[key];
        let thread = found.thread(builder, owner)?;
        let mut reader = cpuprofile::Reader::new(Format::ChromeTrace, String::new());
        let mut whole = Tables {
            start_time: found.starts.get(key).copied(),
            ..Tables::default()
        };
        for piece in pieces {
            let tables = &piece.tables;
            reader.at(piece.path.clone());
            if tables.samples.len() != tables.time_deltas.len() {
                let (samples, deltas) = (tables.samples.len(), tables.time_deltas.len());
                let what = format!("{deltas} time deltas for {samples} samples");
                return Err(damaged(format!("{}.timeDeltas", piece.path), what));
            }
            reader.add_nodes(builder, &tables.nodes)?;
            whole.samples.0.extend_from_slice(&tables.samples);
            whole.time_deltas.0.extend_from_slice(&tables.time_deltas);
            whole.start_time = whole.start_time.or(tables.start_time);
            whole.end_time = tables.end_time.or(whole.end_time);
        }
        reader.add_samples(builder, thread, &whole)?;
        dropped.extend(reader.dropped());
    }
    Ok(dropped)
}

/// Adds the outer list of samples, whose stacks are rows of `stackFrames`.
fn add_trace_samples(
    builder: &mut Builder,
    found: &Found,
    trace: &Trace,
) -> Result<(), ImportError> {
    let mut stacks: FxHashMap<String, StackId> = FxHashMap::default();
    for (index, row) in trace.samples.iter().enumerate() {
        let path = |field: &str| format!("samples[{index}].{field}");
        let stack = frame_stack(builder, trace, &mut stacks, &row.sf)
            .map_err(|what| what.unwrap_or_else(|what| damaged(path("sf"), what)))?;
        let thread = found.thread(builder, &(row.pid.0.clone(), row.tid.0.clone()))?;
        let weight = match &row.weight {
            None => Some(1),
            Some(weight) => number_of(weight)
                .and_then(|number| number.scaled(1))
                .map(|w| w.value),
        };
        let weight =
            weight.ok_or_else(|| damaged(path("weight"), "the weight is no whole number"))?;
        let time = number_of(&row.ts).and_then(|number| number.scaled(1000));
        let time_ns = time
            .and_then(|time| u64::try_from(time.value).ok())
            .unwrap_or(0);
        builder.sample(&sample(thread, time_ns, stack, &[weight]))?;
    }
    Ok(())
}

/// A number, also when it is written as a text.
fn number_of(word: &Word) -> Option<Number> {
    serde_json::from_str(word).ok()
}

/// The stack of a frame of the table and of its callers.
fn frame_stack(
    builder: &mut Builder,
    trace: &Trace,
    stacks: &mut FxHashMap<String, StackId>,
    frame: &str,
) -> Result<StackId, Result<ImportError, String>> {
    let mut chain: Vec<String> = Vec::new();
    let mut next = frame.to_owned();
    let mut stack = loop {
        if let Some(&known) = stacks.get(&next) {
            break Some(known);
        }
        let Some(row) = trace.stack_frames.get(&next) else {
            return Err(Err(format!("there is no stack frame `{next}`")));
        };
        if chain.len() > trace.stack_frames.len() {
            return Err(Err(format!("stack frame `{next}` is its own caller")));
        }
        let parent = row.parent.0.clone();
        chain.push(next);
        if parent.is_empty() {
            break None;
        }
        next = parent;
    };
    for id in chain.into_iter().rev() {
        let location = builder.named(&trace.stack_frames[&id].name).map_err(Ok)?;
        let pushed = builder.stack(stack, location).map_err(Ok)?;
        stacks.insert(id, pushed);
        stack = Some(pushed);
    }
    stack.ok_or_else(|| Err(format!("stack frame `{frame}` is empty")))
}
