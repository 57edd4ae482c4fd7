//! V8's `.cpuprofile`, as `node --cpu-prof` and the DevTools write it: a tree of calls, the node
//! that each sample hit, and the time between samples.
//!
//! A sample stands for the time until the next one, as in the DevTools and in speedscope, and the
//! last one for the time until the end of the profile; the weights are `time` in nanoseconds and
//! `samples`. Times run from the profile's start. `(root)` is no frame, and samples of `(root)`
//! and `(idle)` are left out, since nothing ran. V8 counts lines and columns from 0, hotproof
//! from 1. A function is named `(anonymous)` when the file gives it no name.
//!
//! The same tables are inside Chrome traces, where [`crate::chrome`] finds them.

use hotproof_profile::{
    AddressKind, LocationId, Profile, Sample, StackEnd, StackId, ThreadId, Unit, Weight,
};
use rustc_hash::FxHashMap;
use serde::Deserialize;

use crate::import::{Builder, Format, FramePlace, ImportError, Limits, LocationKey};
use crate::json::{self, Few, Number};

/// The tables of a CPU profile, whole or one piece of one.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tables {
    #[serde(default)]
    pub(crate) nodes: Few<Node>,
    #[serde(default)]
    pub(crate) samples: Few<Number>,
    /// Microseconds; the first counts from the start.
    #[serde(default)]
    pub(crate) time_deltas: Few<Number>,
    /// Microseconds.
    #[serde(default)]
    pub(crate) start_time: Option<Number>,
    /// Microseconds.
    #[serde(default)]
    pub(crate) end_time: Option<Number>,
}

impl Tables {
    /// What the rows take in memory, about.
    pub(crate) fn held_bytes(&self) -> usize {
        let node = |node: &Node| {
            let frame = &node.call_frame;
            let texts = frame.function_name.len() + frame.url.as_ref().map_or(0, String::len);
            let children = node.children.as_ref().map_or(0, |few| few.len());
            let ticks = node.position_ticks.as_ref().map_or(0, |few| few.len());
            let held = children * size_of::<Number>() + ticks * size_of::<PositionTicks>();
            size_of::<Node>() + texts + held
        };
        let numbers = self.samples.len() + self.time_deltas.len();
        let nodes: usize = self.nodes.iter().map(node).sum();
        // Lists grow by doubling.
        2 * (nodes + numbers * size_of::<Number>())
    }
}

/// One call in the tree.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Node {
    id: Number,
    call_frame: CallFrame,
    #[serde(default)]
    children: Option<Few<Number>>,
    #[serde(default)]
    parent: Option<Number>,
    #[serde(default)]
    position_ticks: Option<Few<PositionTicks>>,
}

/// How many samples of a call were taken in a line, which is not told of each sample.
#[derive(Deserialize)]
struct PositionTicks {
    #[serde(default)]
    ticks: Option<Number>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallFrame {
    function_name: String,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    line_number: Option<Number>,
    #[serde(default)]
    column_number: Option<Number>,
}

/// What is read of a profile that stands alone.
pub(crate) fn weights() -> Vec<Weight> {
    let weight = |name: &str, unit| Weight {
        name: name.to_owned(),
        unit,
    };
    vec![
        weight("time", Unit::Nanoseconds),
        weight("samples", Unit::Count),
    ]
}

/// Reads a file; also says what the profile cannot carry.
///
/// # Errors
/// [`ImportError::Damaged`] with the place of what is no JSON, is missing, refers to a node that
/// does not exist, or makes a circle of the tree.
pub(crate) fn read(bytes: &[u8], limits: Limits) -> Result<(Profile, Vec<String>), ImportError> {
    // A node has braces of its own and those of its call frame.
    let row_bytes = size_of::<Node>() / 2;
    let tables: Tables = json::parse_rows(Format::CpuProfile, bytes, row_bytes, limits)?;
    let mut builder = Builder::new(limits, weights());
    let thread = builder.nameless_thread()?;
    let mut reader = Reader::new(Format::CpuProfile, String::new());
    reader.add_nodes(&mut builder, &tables.nodes)?;
    reader.add_samples(&mut builder, thread, &tables)?;
    let dropped = reader.dropped();
    let mut profile = builder.finish()?;
    if let (Some(start), Some(end)) = (tables.start_time, tables.end_time) {
        let length = end.scaled(1000).zip(start.scaled(1000));
        let length = length.and_then(|(end, start)| end.value.checked_sub(start.value));
        profile.meta.duration_ns = length.and_then(|ns| u64::try_from(ns).ok()).unwrap_or(0);
    }
    Ok((profile, dropped))
}

/// A node of the tree: the stack that it stands for.
#[derive(Clone, Copy)]
enum Call {
    /// The artificial root, or time in which nothing ran.
    Nothing,
    Stack(StackId),
}

/// Reads the tables of one thread.
pub(crate) struct Reader {
    format: Format,
    /// Where the tables are in the document.
    path: String,
    calls: FxHashMap<u64, Call>,
    /// Microseconds times a thousand in which nothing ran.
    idle_ns: i64,
    /// Samples whose lines are told by call alone.
    ticks: i64,
}

impl Reader {
    pub(crate) fn new(format: Format, path: String) -> Self {
        Reader {
            format,
            path,
            calls: FxHashMap::default(),
            idle_ns: 0,
            ticks: 0,
        }
    }

    /// Names the place of the tables that come next.
    pub(crate) fn at(&mut self, path: String) {
        self.path = path;
    }

    pub(crate) fn dropped(&self) -> Vec<String> {
        let idle_ms = self.idle_ns as f64 / 1e6;
        let idle = format!("{idle_ms:.3} ms of `(idle)` and `(root)`, in which nothing ran");
        let lines = format!(
            "the lines that ran in {} samples: the file has them by call and not by sample, so lines are where functions are declared",
            self.ticks
        );
        let dropped = [(self.idle_ns != 0, idle), (self.ticks != 0, lines)];
        let told = dropped.into_iter().filter(|(is_told, _)| *is_told);
        told.map(|(_, sentence)| sentence).collect()
    }

    fn damaged(&self, place: &str, what: impl Into<String>) -> ImportError {
        let dot = if self.path.is_empty() { "" } else { "." };
        json::damaged(self.format, format!("{}{dot}{place}", self.path), what)
    }

    /// Adds nodes, whose parents may come after them but not in another piece.
    pub(crate) fn add_nodes(
        &mut self,
        builder: &mut Builder,
        nodes: &[Node],
    ) -> Result<(), ImportError> {
        let mut rows: FxHashMap<u64, usize> = FxHashMap::default();
        let mut parents: Vec<Option<u64>> = vec![None; nodes.len()];
        builder.budget.take(nodes.len() * 64)?;
        for (row, node) in nodes.iter().enumerate() {
            let ticks = node.position_ticks.iter().flat_map(|few| few.iter());
            let ticks = ticks.filter_map(|of| of.ticks?.scaled(1));
            self.ticks = ticks.fold(self.ticks, |sum, of| sum.saturating_add(of.value));
            let id = self.id(node.id, || format!("nodes[{row}].id"))?;
            if rows.insert(id, row).is_some() || self.calls.contains_key(&id) {
                let what = format!("node {id} is there twice");
                return Err(self.damaged(&format!("nodes[{row}].id"), what));
            }
        }
        for (row, node) in nodes.iter().enumerate() {
            if let Some(parent) = node.parent {
                parents[row] = Some(self.id(parent, || format!("nodes[{row}].parent"))?);
            }
            for (index, &child) in node.children.iter().flat_map(|few| few.iter()).enumerate() {
                let place = || format!("nodes[{row}].children[{index}]");
                let child_id = self.id(child, place)?;
                let Some(&child_row) = rows.get(&child_id) else {
                    return Err(self.damaged(&place(), format!("there is no node {child_id}")));
                };
                let parent = self.id(node.id, place)?;
                if parents[child_row].is_some_and(|other| other != parent) {
                    let what = format!("node {child_id} has two parents");
                    return Err(self.damaged(&place(), what));
                }
                parents[child_row] = Some(parent);
            }
        }
        for row in 0..nodes.len() {
            self.resolve(builder, nodes, &rows, &parents, row)?;
        }
        Ok(())
    }

    fn id(&self, number: Number, place: impl Fn() -> String) -> Result<u64, ImportError> {
        let id = number.index();
        id.ok_or_else(|| self.damaged(&place(), format!("{number} is no id of a node")))
    }

    /// Makes the stack of a node, and before it those of its callers.
    fn resolve(
        &mut self,
        builder: &mut Builder,
        nodes: &[Node],
        rows: &FxHashMap<u64, usize>,
        parents: &[Option<u64>],
        row: usize,
    ) -> Result<(), ImportError> {
        let mut chain = Vec::new();
        let mut next = Some(row);
        let mut above = Call::Nothing;
        while let Some(row) = next {
            let id = self.id(nodes[row].id, || format!("nodes[{row}].id"))?;
            if let Some(&known) = self.calls.get(&id) {
                above = known;
                break;
            }
            if chain.len() > nodes.len() {
                let what = "the node is its own caller";
                return Err(self.damaged(&format!("nodes[{row}]"), what));
            }
            chain.push((id, row));
            let Some(parent) = parents[row] else { break };
            next = rows.get(&parent).copied();
            if next.is_none() {
                let Some(&known) = self.calls.get(&parent) else {
                    let what = format!("there is no node {parent}");
                    return Err(self.damaged(&format!("nodes[{row}].parent"), what));
                };
                above = known;
            }
        }
        for (id, row) in chain.into_iter().rev() {
            let frame = &nodes[row].call_frame;
            let artificial = matches!(frame.function_name.as_str(), "(root)" | "(idle)");
            if !artificial {
                let parent = match above {
                    Call::Nothing => None,
                    Call::Stack(stack) => Some(stack),
                };
                let location = location(builder, frame)?;
                above = Call::Stack(builder.stack(parent, location)?);
            }
            let call = if artificial { Call::Nothing } else { above };
            self.calls.insert(id, call);
        }
        Ok(())
    }

    /// Adds the samples of tables whose nodes were added before.
    pub(crate) fn add_samples(
        &mut self,
        builder: &mut Builder,
        thread: ThreadId,
        tables: &Tables,
    ) -> Result<(), ImportError> {
        let (samples, deltas) = (&tables.samples, &tables.time_deltas);
        if samples.len() != deltas.len() {
            let what = format!("{} time deltas for {} samples", deltas.len(), samples.len());
            return Err(self.damaged("timeDeltas", what));
        }
        let start = match tables.start_time {
            Some(start) => self.ns(start, || "startTime".to_owned())?,
            None => 0,
        };
        let end = match tables.end_time {
            Some(end) => Some(self.ns(end, || "endTime".to_owned())?),
            None => None,
        };
        let mut time = start;
        let mut times = Vec::new();
        for (index, &delta) in deltas.iter().enumerate() {
            let place = || format!("timeDeltas[{index}]");
            let delta = self.ns(delta, place)?;
            let next = time.checked_add(delta);
            time = next.ok_or_else(|| self.damaged(&place(), "times are too large for 64 bits"))?;
            // V8 may write a delta below zero when its samples are out of order.
            times.push(times.last().map_or(time, |&last: &i64| last.max(time)));
        }
        for (index, &node) in samples.iter().enumerate() {
            let place = || format!("samples[{index}]");
            let id = self.id(node, place)?;
            let call = self.calls.get(&id).copied();
            let call =
                call.ok_or_else(|| self.damaged(&place(), format!("there is no node {id}")))?;
            let until = times.get(index + 1).copied().or(end);
            let length = until.map_or(Some(0), |until| until.checked_sub(times[index]));
            let length = length.unwrap_or(0).max(0);
            let Call::Stack(stack) = call else {
                self.idle_ns = self.idle_ns.saturating_add(length);
                continue;
            };
            let since_start = times[index].checked_sub(start).unwrap_or(0);
            builder.sample(&Sample {
                thread,
                time_ns: u64::try_from(since_start).unwrap_or(0),
                stack: Some(stack),
                weights: &[length, 1],
                cpu: None,
                end: StackEnd::Unknown,
                labels: None,
            })?;
        }
        Ok(())
    }

    /// Microseconds in nanoseconds.
    fn ns(&self, number: Number, place: impl Fn() -> String) -> Result<i64, ImportError> {
        let scaled = number.scaled(1000).map(|scaled| scaled.value);
        scaled.ok_or_else(|| {
            self.damaged(
                &place(),
                format!("{number} microseconds are too large for 64 bits"),
            )
        })
    }
}

/// The location of a call: a function is what has the same name, file and place of declaration.
fn location(builder: &mut Builder, frame: &CallFrame) -> Result<LocationId, ImportError> {
    let from_one = |number: Option<Number>| {
        let number = number.and_then(Number::index)?;
        u32::try_from(number).ok()?.checked_add(1)
    };
    let line = from_one(frame.line_number);
    let column = from_one(frame.column_number);
    let file = frame.url.as_deref().filter(|url| !url.is_empty());
    let name = match frame.function_name.as_str() {
        "" => "(anonymous)",
        name => name,
    };
    if file.is_none() && line.is_none() {
        return builder.named(name);
    }
    let function = builder.function(name, "", file, line)?;
    let place = FramePlace {
        line,
        column,
        file: None,
    };
    builder.location(LocationKey {
        image: None,
        address: 0,
        kind: AddressKind::Adjusted,
        frames: vec![(function, place)],
    })
}
