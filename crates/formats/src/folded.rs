//! Folded stacks: one line a stack, `root;...;leaf weight`, sorted by its text.
//!
//! The root of each line is the name of the thread (perf and inferno put the command name there,
//! which is the same thing); a profile whose format knew no threads has no such root. A stack that
//! does not reach the start of its thread has [`TRUNCATED`], [`FAILED`] or [`UNKNOWN_END`] as its
//! second frame, so that it is not taken for a whole one. Stacks of equal text are one line. A
//! sample without a stack is `root;[unknown]`.
//!
//! Reading takes every frame for a frame, the root too, since no file says whether its roots are
//! threads. When each line ends in two numbers, they are two weights, `base` and `head`
//! ([`write_differential`] writes such lines). Escapes are undone when every backslash of the file
//! begins one of ours; in files of others a backslash stands for itself.
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
//! | a space at the start or the end, or before a last word of digits, dots and signs | `\_` | viewers trim lines and take a number there for a second weight (`worker 2` becomes `worker\_2`) |
//! | nothing at all | `\e` | viewers drop empty frames |
//!
//! So a line splits at its last space into stack and weight, and a stack splits at each `;`.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};

use hotproof_profile::{Code, Id, Inline, Profile, StackEnd, StackId, StringId};
use rustc_hash::FxHashMap;

mod read;

use crate::WriteError;
use crate::nameless::is_nameless;
pub(crate) use read::{looks_like, read, split};

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
    check_weight(profile, options.weight)?;
    let mut out = BufWriter::new(out);
    for (stack, weight) in lines(profile, options) {
        writeln!(out, "{stack} {weight}")?;
    }
    out.flush()?;
    Ok(())
}

/// Writes one line a stack with two weights, `stack base head`, sorted by the bytes of the stack:
/// what differential flame graphs are drawn from.
///
/// # Errors
/// [`WriteError::NoWeight`] when the profile has not both weights, and those of `out`.
pub fn write_differential(
    profile: &Profile,
    inline: Inline,
    [base, head]: [usize; 2],
    out: impl Write,
) -> Result<(), WriteError> {
    check_weight(profile, base)?;
    check_weight(profile, head)?;
    let lines_of = |weight| lines(profile, &Options { inline, weight });
    let mut out = BufWriter::new(out);
    for ((stack, base), (_, head)) in lines_of(base).into_iter().zip(lines_of(head)) {
        writeln!(out, "{stack} {base} {head}")?;
    }
    out.flush()?;
    Ok(())
}

fn check_weight(profile: &Profile, column: usize) -> Result<(), WriteError> {
    if column < profile.weights.len() {
        return Ok(());
    }
    let names = profile.weights.iter().map(|weight| weight.name.as_str());
    Err(WriteError::NoWeight {
        column,
        columns: names.collect::<Vec<_>>().join(", "),
    })
}

/// The escaped stacks and their weights, sorted by the bytes of the stack, each stack once.
///
/// A profile without the weight has no lines.
pub fn lines(profile: &Profile, options: &Options) -> Vec<(String, i64)> {
    let Some(column) = profile.samples.weights.get(options.weight) else {
        return Vec::new();
    };
    let samples = &profile.samples;
    let mut sums: BTreeMap<(Option<StringId>, StackEnd, Option<StackId>), i64> = BTreeMap::new();
    let threads = profile.threads.iter();
    let roots: Vec<Option<StringId>> = threads
        .map(|(id, row)| (!is_nameless(profile, id)).then_some(row.name))
        .collect();
    for (row, &weight) in column.iter().enumerate() {
        let root = roots[samples.thread[row].index()];
        let sum = sums.entry((root, samples.end[row], samples.stack[row]));
        *sum.or_default() += weight;
    }
    let marks = Marks::of(&samples.end);
    let mut names = FxHashMap::default();
    let mut lines: BTreeMap<String, i64> = BTreeMap::new();
    for ((root, end, stack), weight) in sums {
        let root = root.map(|root| escape(&profile.strings[root]));
        let mut frames: Vec<String> = root.into_iter().collect();
        push_frames(&mut frames, profile, stack, options.inline, &mut names);
        if let Some(mark) = marks.mark(end) {
            frames.insert(1, mark.to_owned());
        }
        *lines.entry(frames.join(";")).or_default() += weight;
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

/// Appends the escaped name of each frame, from the root to the leaf; at least one.
fn push_frames(
    frames: &mut Vec<String>,
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
        frames.push(name.clone());
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
            .all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-')
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
