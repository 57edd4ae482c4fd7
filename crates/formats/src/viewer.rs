//! What writers for viewers share: the chosen weight, samples by thread, and what gets lost.

use std::collections::BTreeMap;

use hotproof_profile::{Code, Host, Id, Inline, Profile, StackEnd, StackId, ThreadId, Weight};
use rustc_hash::FxHashMap;

use crate::WriteError;
use crate::folded::Options;
use crate::nameless::is_nameless;

/// The chosen column: its name and unit, and one weight for each sample.
pub(crate) fn weight_column(
    profile: &Profile,
    column: usize,
) -> Result<(&Weight, &[i64]), WriteError> {
    let weight = profile.weights.get(column);
    let values = profile.samples.weights.get(column).map(Vec::as_slice);
    let names = profile.weights.iter().map(|weight| weight.name.as_str());
    weight.zip(values).ok_or_else(|| WriteError::NoWeight {
        column,
        columns: names.collect::<Vec<_>>().join(", "),
    })
}

/// As [`weight_column`], for viewers that refuse weights below zero.
pub(crate) fn positive_column<'a>(
    profile: &'a Profile,
    column: usize,
    format: &'static str,
) -> Result<(&'a Weight, &'a [i64]), WriteError> {
    let (weight, values) = weight_column(profile, column)?;
    let negative = values.iter().position(|&value| value < 0);
    negative.map_or(Ok((weight, values)), |row| {
        Err(WriteError::CannotCarry {
            format,
            what: format!(
                "weights below zero, as `{}` of sample {row} is",
                weight.name
            ),
            remedy: "write pprof, or another weight",
        })
    })
}

/// Sample numbers by thread, in the order of their times, for each thread that has samples.
pub(crate) fn samples_by_thread(profile: &Profile) -> BTreeMap<ThreadId, Vec<usize>> {
    let samples = &profile.samples;
    let mut threads: BTreeMap<ThreadId, Vec<usize>> = BTreeMap::new();
    for (row, &thread) in samples.thread.iter().enumerate() {
        threads.entry(thread).or_default().push(row);
    }
    for rows in threads.values_mut() {
        rows.sort_by_key(|&row| samples.time_ns[row]);
    }
    threads
}

/// Whether the samples tell times apart; imports often have none.
pub(crate) fn has_times(profile: &Profile) -> bool {
    let times = &profile.samples.time_ns;
    times.windows(2).any(|pair| pair[0] != pair[1])
}

/// A thread's name with its numbers, or as much of that as is known; never empty.
pub(crate) fn thread_title(profile: &Profile, id: ThreadId) -> String {
    let thread = &profile.threads[id];
    let process = &profile.processes[thread.process];
    let name = &profile.strings[thread.name];
    if is_nameless(profile, id) {
        return "all threads".to_owned();
    }
    match (process.pid, thread.tid) {
        (0, 0) => name.to_owned(),
        (pid, tid) => format!("{name} (pid {pid}, tid {tid})"),
    }
}

/// What the whole profile is called: its command, or what is known of it.
pub(crate) fn profile_title(profile: &Profile) -> String {
    let command = profile.meta.command.join(" ");
    if command.is_empty() {
        "profile".to_owned()
    } else {
        command
    }
}

/// The code on each stack, root first, interned so that equal code has one number.
pub(crate) struct CodeTable {
    numbers: FxHashMap<Code, u32>,
    /// All code that was seen, in the order of first sight.
    pub(crate) code: Vec<Code>,
    stacks: FxHashMap<Option<StackId>, Box<[u32]>>,
    inline: Inline,
}

impl CodeTable {
    pub(crate) fn new(inline: Inline) -> Self {
        CodeTable {
            numbers: FxHashMap::default(),
            code: Vec::new(),
            stacks: FxHashMap::default(),
            inline,
        }
    }

    /// The numbers of the code on a stack, root first; at least one, since a sample without a
    /// stack is unknown code.
    pub(crate) fn stack(&mut self, profile: &Profile, stack: Option<StackId>) -> &[u32] {
        if !self.stacks.contains_key(&stack) {
            let mut chain: Vec<Code> = profile
                .path(stack)
                .flat_map(|location| profile.code_at(location, self.inline))
                .collect();
            if chain.is_empty() {
                chain.push(Code::Unmapped);
            }
            chain.reverse();
            let numbers = chain.into_iter().map(|code| self.number(code));
            let numbers: Box<[u32]> = numbers.collect();
            self.stacks.insert(stack, numbers);
        }
        &self.stacks[&stack]
    }

    fn number(&mut self, code: Code) -> u32 {
        // Code is a function, an image or nothing: fewer than 2^32 of each, and tables that come
        // near that do not fit in memory.
        let next = self.code.len() as u32;
        let code_list = &mut self.code;
        *self.numbers.entry(code).or_insert_with(|| {
            code_list.push(code);
            next
        })
    }
}

/// A fact of a profile that some formats cannot carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fact {
    Command,
    Event,
    Machine,
    Weights,
    Times,
    Cpus,
    Labels,
    Ends,
    Stacks,
    ThreadNumbers,
    Addresses,
    Images,
    BuildIds,
    Files,
    LineNumbers,
    LinkageNames,
    Symbols,
    Mappings,
}

impl Fact {
    const ALL: [Fact; 18] = [
        Fact::Command,
        Fact::Event,
        Fact::Machine,
        Fact::Weights,
        Fact::Times,
        Fact::Cpus,
        Fact::Labels,
        Fact::Ends,
        Fact::Stacks,
        Fact::ThreadNumbers,
        Fact::Addresses,
        Fact::Images,
        Fact::BuildIds,
        Fact::Files,
        Fact::LineNumbers,
        Fact::LinkageNames,
        Fact::Symbols,
        Fact::Mappings,
    ];

    pub(crate) fn all() -> impl Iterator<Item = Fact> {
        Self::ALL.into_iter()
    }

    /// What of this fact the profile holds, in words; `None` when it holds none of it.
    fn held(self, profile: &Profile, options: &Options) -> Option<String> {
        let samples = &profile.samples;
        let words = |holds: bool, words: &str| holds.then(|| words.to_owned());
        match self {
            Fact::Command => words(!profile.meta.command.is_empty(), "the command"),
            Fact::Event => words(!profile.meta.event.is_empty(), "the event that was sampled"),
            Fact::Machine => words(profile.meta.host != Host::default(), "the machine"),
            Fact::Weights => lost_weights(profile, &[options.weight]),
            Fact::Times => words(has_times(profile), "the times of samples"),
            Fact::Cpus => words(
                samples.cpu.iter().any(Option::is_some),
                "the CPUs of samples",
            ),
            Fact::Labels => words(
                samples.labels.iter().any(Option::is_some),
                "labels of samples",
            ),
            Fact::Ends => {
                let cut = |end: &StackEnd| {
                    matches!(
                        end,
                        StackEnd::Truncated | StackEnd::Failed | StackEnd::Stitched
                    )
                };
                words(
                    samples.end.iter().any(cut),
                    "which stacks are cut or stitched",
                )
            }
            Fact::Addresses => {
                let known = profile.locations.rows().iter().any(|row| row.address != 0);
                words(known, "addresses")
            }
            Fact::Stacks => {
                let deep = |stack: &StackId| {
                    let parent = profile.stacks[*stack].parent;
                    parent.is_some_and(|parent| profile.stacks[parent].parent.is_some())
                };
                let mut stacks = samples.stack.iter().flatten();
                words(stacks.any(deep), "stacks, but for who calls whom")
            }
            Fact::ThreadNumbers => {
                let numbered = profile.threads.rows().iter().any(|row| row.tid != 0);
                words(numbered, "the numbers of threads and processes")
            }
            Fact::Images => words(!profile.images.is_empty(), "images"),
            Fact::BuildIds => {
                let mut images = profile.images.rows().iter();
                words(images.any(|row| !row.build_id.is_empty()), "build-ids")
            }
            Fact::Files => {
                let known = profile
                    .functions
                    .rows()
                    .iter()
                    .any(|row| row.file.is_some());
                words(known, "source files")
            }
            Fact::LineNumbers => {
                let known = profile.frames.rows().iter().any(|row| row.line.is_some());
                words(known, "the lines that were executed")
            }
            Fact::LinkageNames => {
                let mut functions = profile.functions.rows().iter();
                let known = functions.any(|row| !profile.strings[row.linkage_name].is_empty());
                words(known, "linkage names")
            }
            Fact::Symbols => words(!profile.symbols.is_empty(), "symbols"),
            Fact::Mappings => words(!profile.mappings.is_empty(), "mappings"),
        }
    }
}

/// The weights of other columns than those that are kept, in words; `None` when all are.
pub(crate) fn lost_weights(profile: &Profile, kept: &[usize]) -> Option<String> {
    let others = profile.weights.iter().enumerate();
    let others = others.filter(|(column, _)| !kept.contains(column));
    let names: Vec<&str> = others.map(|(_, weight)| weight.name.as_str()).collect();
    let plural = if names.len() == 1 {
        "weight"
    } else {
        "weights"
    };
    (!names.is_empty()).then(|| format!("the {plural} {}", names.join(", ")))
}

/// What a format that carries only some facts loses of a profile, in words, such as `the times of
/// samples`.
pub(crate) fn losses(profile: &Profile, options: &Options, carried: &[Fact]) -> Vec<String> {
    let lost = Fact::ALL.iter().filter(|fact| !carried.contains(fact));
    lost.filter_map(|fact| fact.held(profile, options))
        .collect()
}

/// The image of unnamed code or of a function, as an index.
pub(crate) fn image_of(profile: &Profile, code: Code) -> Option<usize> {
    match code {
        Code::Function(id) => profile.functions[id].image.map(Id::index),
        Code::Unnamed(id) => Some(id.index()),
        Code::Unmapped => None,
    }
}
