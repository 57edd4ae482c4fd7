//! Folded stacks: one line a stack, `root;...;leaf weight`, sorted by its text.
//!
//! The root of each line is the name of the thread (perf and inferno put the command name there,
//! which is the same thing). A stack that does not reach the start of its thread has the frame
//! [`TRUNCATED`], [`FAILED`] or [`UNKNOWN_END`] below the root, so that it is not taken for a
//! whole one. Stacks of equal text are one line. A sample without a stack is `root;[unknown]`.
//!
//! # Escaping
//!
//! A name is written as it is, but for these, each of which [`unescape`] undoes:
//!
//! | in a name | written | because |
//! |---|---|---|
//! | `;` | `\:` | it parts frames (`[u8; 4]` becomes `[u8\: 4]`) |
//! | line feed, carriage return | `\n`, `\r` | they part lines |
//! | `\` | `\\` | it begins the others |
//! | a space at the start or the end, or before a last word of digits and dots | `\_` | viewers trim lines and take a number there for a second weight (`worker 2` becomes `worker\_2`) |
//! | nothing at all | `\e` | viewers drop empty frames |
//!
//! So a line splits at its last space into stack and weight, and a stack splits at each `;`.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};

use hotproof_profile::{Code, Inline, Profile, StackEnd, StackId, StringId};
use rustc_hash::FxHashMap;

use crate::WriteError;

/// The frame below the root of a stack that was cut.
pub const TRUNCATED: &str = "[truncated]";
/// The frame below the root of a stack that the unwinder had to give up.
pub const FAILED: &str = "[unwinding failed]";
/// The frame below the root of a stack of which nobody said whether it is whole; it is written
/// only for profiles that say so of other stacks, because otherwise every line would carry it.
pub const UNKNOWN_END: &str = "[end unknown]";

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether inlined functions are frames.
    pub inline: Inline,
    /// The weight column, counted from 0.
    pub weight: usize,
}

impl Default for Options {
    /// Inlined functions are frames; the first weight.
    fn default() -> Self {
        Options {
            inline: Inline::Expand,
            weight: 0,
        }
    }
}

/// Writes one line a stack, sorted by the bytes of the stack.
///
/// # Errors
/// [`WriteError::NoWeight`] when the profile has no such weight, and those of `out`.
pub fn write(profile: &Profile, options: &Options, out: impl Write) -> Result<(), WriteError> {
    if options.weight >= profile.weights.len() {
        let names = profile.weights.iter().map(|weight| weight.name.as_str());
        return Err(WriteError::NoWeight {
            column: options.weight,
            columns: names.collect::<Vec<_>>().join(", "),
        });
    }
    let mut out = BufWriter::new(out);
    for (stack, weight) in lines(profile, options) {
        writeln!(out, "{stack} {weight}")?;
    }
    out.flush()?;
    Ok(())
}

/// The escaped stacks and their weights, sorted by the bytes of the stack, each stack once.
///
/// A profile without the weight has no lines.
pub fn lines(profile: &Profile, options: &Options) -> Vec<(String, i64)> {
    let Some(column) = profile.samples.weights.get(options.weight) else {
        return Vec::new();
    };
    let samples = &profile.samples;
    let mut sums: BTreeMap<(StringId, StackEnd, Option<StackId>), i64> = BTreeMap::new();
    for (row, &weight) in column.iter().enumerate() {
        let root = profile.threads[samples.thread[row]].name;
        let sum = sums.entry((root, samples.end[row], samples.stack[row]));
        *sum.or_default() += weight;
    }
    let marks = Marks::of(&samples.end);
    let mut names = FxHashMap::default();
    let mut lines: BTreeMap<String, i64> = BTreeMap::new();
    for ((root, end, stack), weight) in sums {
        let mut line = escape(&profile.strings[root]);
        if let Some(mark) = marks.mark(end) {
            line.push(';');
            line.push_str(mark);
        }
        push_frames(&mut line, profile, stack, options.inline, &mut names);
        *lines.entry(line).or_default() += weight;
    }
    lines.into_iter().collect()
}

/// Whether stacks of unknown end have to be told apart from whole ones.
#[derive(Clone, Copy, PartialEq)]
enum Marks {
    /// The profile says of some stacks that they are whole.
    Unknown,
    /// It says so of none.
    Plain,
}

impl Marks {
    fn of(ends: &[StackEnd]) -> Self {
        if ends.iter().all(|&end| end == StackEnd::Unknown) {
            Marks::Plain
        } else {
            Marks::Unknown
        }
    }

    fn mark(self, end: StackEnd) -> Option<&'static str> {
        match end {
            StackEnd::Complete => None,
            StackEnd::Truncated => Some(TRUNCATED),
            StackEnd::Failed => Some(FAILED),
            StackEnd::Unknown => (self == Marks::Unknown).then_some(UNKNOWN_END),
        }
    }
}

/// Appends `;frame` for each frame, from the root to the leaf.
fn push_frames(
    line: &mut String,
    profile: &Profile,
    stack: Option<StackId>,
    inline: Inline,
    names: &mut FxHashMap<Code, String>,
) {
    let mut chain: Vec<Code> = profile
        .path(stack)
        .flat_map(|location| profile.code_at(location, inline))
        .collect();
    if chain.is_empty() {
        chain.push(Code::Unmapped);
    }
    for &code in chain.iter().rev() {
        let name = names
            .entry(code)
            .or_insert_with(|| escape(&profile.code_name(code)));
        line.push(';');
        line.push_str(name);
    }
}

/// A name as it is written in a line; see the module's documentation for the rule.
///
/// ```
/// use hotproof_formats::folded::{escape, unescape};
///
/// assert_eq!(escape("<[u8; 4] as Hash>::hash"), r"<[u8\: 4] as Hash>::hash");
/// assert_eq!(escape("worker 2"), r"worker\_2");
/// assert_eq!(unescape(r"worker\_2"), "worker 2");
/// ```
pub fn escape(name: &str) -> String {
    if name.is_empty() {
        return r"\e".to_owned();
    }
    let last_space = name.rfind(' ').filter(|&at| {
        let word = &name[at + 1..];
        word.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    });
    let mut text = String::with_capacity(name.len());
    for (at, character) in name.char_indices() {
        match character {
            ';' => text.push_str(r"\:"),
            '\n' => text.push_str(r"\n"),
            '\r' => text.push_str(r"\r"),
            '\\' => text.push_str(r"\\"),
            ' ' if at == 0 || Some(at) == last_space => text.push_str(r"\_"),
            other => text.push(other),
        }
    }
    text
}

/// The name that [`escape`] was given. A backslash that begins no escape stands for itself, so
/// that lines of other tools read well.
pub fn unescape(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            name.push(character);
            continue;
        }
        let mut after = rest.clone();
        let plain = match after.next() {
            Some(':') => ";",
            Some('n') => "\n",
            Some('r') => "\r",
            Some('\\') => "\\",
            Some('_') => " ",
            Some('e') => "",
            _ => {
                name.push('\\');
                continue;
            }
        };
        name.push_str(plain);
        rest = after;
    }
    name
}
