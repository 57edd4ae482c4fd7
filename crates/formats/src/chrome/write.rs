//! A profile as trace events.

use std::collections::BTreeSet;
use std::io::Write;

use hotproof_profile::{Code, Profile, ThreadId, Unit};
use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::WriteError;
use crate::folded::Options;
use crate::json;
use crate::viewer::{self, CodeTable, Fact};

use super::weight::{SHOWN_AS_NS, ShownWeight};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File<'a> {
    trace_events: Vec<Event<'a>>,
    display_time_unit: &'static str,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    source: &'static str,
    command: String,
    /// What was weighed, when it was no time.
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<ShownWeight<'a>>,
}

#[derive(Serialize)]
struct Event<'a> {
    name: &'static str,
    ph: &'static str,
    cat: &'static str,
    pid: u32,
    tid: u32,
    ts: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    args: Args<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Args<'a> {
    Name { name: &'a str },
    Start { data: Start },
    Chunk { data: Chunk },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    start_time: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Chunk {
    cpu_profile: Tables,
    time_deltas: Vec<f64>,
    end_time: f64,
}

#[derive(Serialize)]
struct Tables {
    nodes: Vec<Node>,
    samples: Vec<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    id: u32,
    call_frame: CallFrame,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallFrame {
    function_name: String,
    script_id: u32,
    url: String,
    line_number: i64,
    column_number: i64,
}

/// Writes the profile; returns what the format could not carry, in words, such as `the CPUs of
/// samples`.
///
/// # Errors
/// [`WriteError::NoWeight`] when the profile has no such weight, [`WriteError::CannotCarry`] when
/// a weight is below zero, and those of `out`.
pub fn write(
    profile: &Profile,
    options: &Options,
    out: impl Write,
) -> Result<Vec<String>, WriteError> {
    profile.validate()?;
    let (weight, values) = viewer::positive_column(profile, options.weight, "Chrome's trace")?;
    let mut writer = Writer {
        profile,
        values,
        scale_ns: if weight.unit == Unit::Nanoseconds {
            1
        } else {
            SHOWN_AS_NS
        },
        has_times: viewer::has_times(profile),
        code: CodeTable::new(options.inline),
        next_node: 1,
        events: Vec::new(),
    };
    let threads = viewer::samples_by_thread(profile);
    let mut numbers = Numbers::default();
    for (&thread, rows) in &threads {
        let (pid, tid) = numbers.of(profile, thread);
        writer.add_thread(thread, rows, pid, tid);
    }
    let file = File {
        trace_events: std::mem::take(&mut writer.events),
        display_time_unit: "ns",
        metadata: Metadata {
            source: concat!("hotproof@", env!("CARGO_PKG_VERSION")),
            command: viewer::profile_title(profile),
            weight: ShownWeight::of(weight),
        },
    };
    json::write_document(&file, out)?;
    let carried = [
        Fact::Command,
        Fact::Times,
        Fact::Stacks,
        Fact::ThreadNumbers,
        Fact::Files,
    ];
    let mut lost = viewer::losses(profile, options, &carried);
    let names = writer.code.code.iter().map(|&code| profile.code_name(code));
    let idle: BTreeSet<&str> = names.filter_map(|name| Some(no_work(&name)?[0])).collect();
    for name in idle {
        lost.push(format!(
            "the name {name}, which its viewers take for no work and which is in brackets there"
        ));
    }
    if weight.unit != Unit::Nanoseconds {
        lost.push(format!(
            "the unit of {} for its viewers, which know time alone: one is shown as a millisecond",
            weight.name
        ));
    }
    Ok(lost)
}

/// Numbers of threads, each used once.
#[derive(Default)]
struct Numbers {
    used: BTreeSet<(u32, u32)>,
}

impl Numbers {
    fn of(&mut self, profile: &Profile, thread: ThreadId) -> (u32, u32) {
        /// Above what the kernel gives out.
        const FIRST_FREE: u32 = 1 << 30;
        let row = &profile.threads[thread];
        let pid = profile.processes[row.process].pid.max(1);
        let mut tid = row.tid.max(1);
        if self.used.contains(&(pid, tid)) {
            let taken = self.used.range((pid, FIRST_FREE)..=(pid, u32::MAX));
            tid = taken
                .last()
                .map_or(FIRST_FREE, |&(_, last)| last.saturating_add(1));
        }
        self.used.insert((pid, tid));
        (pid, tid)
    }
}

struct Writer<'a> {
    profile: &'a Profile,
    values: &'a [i64],
    scale_ns: i64,
    has_times: bool,
    code: CodeTable,
    /// Ids of nodes are unique in the whole file, since a viewer keeps one table.
    next_node: u32,
    events: Vec<Event<'a>>,
}

impl<'a> Writer<'a> {
    fn add_thread(&mut self, thread: ThreadId, rows: &[usize], pid: u32, tid: u32) {
        let profile = self.profile;
        let row = &profile.threads[thread];
        let process = &profile.processes[row.process];
        for (name, text) in [("process_name", process.name), ("thread_name", row.name)] {
            let text = &profile.strings[text];
            let name_of_thread = if text.is_empty() { "all threads" } else { text };
            self.events.push(Event {
                name,
                ph: "M",
                cat: "__metadata",
                pid,
                tid,
                ts: 0.0,
                id: None,
                args: Args::Name {
                    name: name_of_thread,
                },
            });
        }
        let mut tree = Tree::new(self.next_node);
        let layout = self.lay_out(rows, &mut tree);
        self.next_node = tree.next;
        let event = |name, ts: i128, args| Event {
            name,
            ph: "P",
            cat: "disabled-by-default-v8.cpu_profiler",
            pid,
            tid,
            ts: microseconds(ts),
            id: Some(format!("{:#x}", thread.0 + 1)),
            args,
        };
        let start = Args::Start {
            data: Start {
                start_time: microseconds(layout.start),
            },
        };
        let chunk = Args::Chunk {
            data: Chunk {
                cpu_profile: Tables {
                    nodes: tree.nodes,
                    samples: layout.samples,
                },
                time_deltas: layout.deltas,
                end_time: microseconds(layout.end),
            },
        };
        let events = [
            event("Profile", layout.start, start),
            event("ProfileChunk", layout.start, chunk),
        ];
        self.events.extend(events);
    }

    /// Gives each sample a stretch of time that is as long as its weight.
    fn lay_out(&mut self, rows: &[usize], tree: &mut Tree) -> Layout {
        let profile = self.profile;
        let length = |row: usize| i128::from(self.values[row]) * i128::from(self.scale_ns);
        // A sample ends when it is taken.
        let begin = |row: usize| i128::from(profile.samples.time_ns[row]) - length(row);
        let first = rows.first().filter(|_| self.has_times);
        let start = first.map_or(0, |&row| begin(row).max(0));
        let mut layout = Layout {
            start,
            end: start,
            samples: Vec::new(),
            deltas: Vec::new(),
            last: start,
        };
        for &row in rows {
            // Small gaps are jitter of the timer; they are made up for when they have grown.
            let gap = begin(row) - layout.end;
            if self.has_times && gap > length(row) / 2 {
                layout.push(tree.idle);
                layout.end += gap;
            }
            let code = self
                .code
                .stack(profile, profile.samples.stack[row])
                .to_vec();
            let node = tree.node(profile, &self.code, &code);
            layout.push(node);
            layout.end += length(row);
        }
        layout.push(tree.idle);
        layout
    }
}

/// Samples of one thread in time, in nanoseconds.
struct Layout {
    start: i128,
    /// Where the next sample begins.
    end: i128,
    /// Where the last sample began.
    last: i128,
    samples: Vec<u32>,
    deltas: Vec<f64>,
}

impl Layout {
    fn push(&mut self, node: u32) {
        self.samples.push(node);
        self.deltas.push(microseconds(self.end - self.last));
        self.last = self.end;
    }
}

fn microseconds(ns: i128) -> f64 {
    ns as f64 / 1000.0
}

/// The tree of calls of one thread.
struct Tree {
    nodes: Vec<Node>,
    ids: FxHashMap<(u32, u32), u32>,
    root: u32,
    idle: u32,
    next: u32,
}

impl Tree {
    fn new(first: u32) -> Self {
        let mut tree = Tree {
            nodes: Vec::new(),
            ids: FxHashMap::default(),
            root: first,
            idle: first + 1,
            next: first,
        };
        tree.add(None, artificial("(root)"));
        tree.add(Some(first), artificial("(idle)"));
        tree
    }

    fn add(&mut self, parent: Option<u32>, call_frame: CallFrame) -> u32 {
        let id = self.next;
        self.next += 1;
        self.nodes.push(Node {
            id,
            call_frame,
            parent,
        });
        id
    }

    /// The node of a stack, given as the numbers of its code from the root.
    fn node(&mut self, profile: &Profile, table: &CodeTable, stack: &[u32]) -> u32 {
        let mut node = self.root;
        for &number in stack {
            node = match self.ids.get(&(node, number)) {
                Some(&known) => known,
                None => {
                    let code = table.code[number as usize];
                    let id = self.add(Some(node), call_frame(profile, code));
                    self.ids.insert((node, number), id);
                    id
                }
            };
        }
        node
    }
}

fn artificial(name: &str) -> CallFrame {
    CallFrame {
        function_name: name.to_owned(),
        script_id: 0,
        url: String::new(),
        line_number: -1,
        column_number: -1,
    }
}

/// A name that says to viewers that nothing ran, and what stands for it where it is a function's.
fn no_work(name: &str) -> Option<[&'static str; 2]> {
    let names = [["(root)", "[(root)]"], ["(idle)", "[(idle)]"]];
    names.into_iter().find(|[taken, _]| *taken == name)
}

fn call_frame(profile: &Profile, code: Code) -> CallFrame {
    let name = profile.code_name(code);
    let mut frame = artificial(no_work(&name).map_or(&name, |[_, shown]| shown));
    if let Code::Function(id) = code {
        let function = &profile.functions[id];
        let file = function.file.map(|file| profile.strings[file].to_owned());
        frame.url = file.unwrap_or_default();
        frame.line_number = function.line.map_or(-1, |line| i64::from(line) - 1);
    }
    frame
}
