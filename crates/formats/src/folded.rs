//! Folded stacks: one line a stack, `root;...;leaf weight`, sorted by its text.
//!
//! The root of each line is the name of the thread (perf and inferno put the command name there,
//! which is the same thing); a profile whose format knew no threads has no such root. A stack that
//! does not reach the start of its thread has [`TRUNCATED`], [`FAILED`] or [`UNKNOWN_END`] as its
//! second frame, so that it is not taken for a whole one, and one that does so by guess has
//! [`STITCHED`]. Stacks of equal text are one line. A
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
//! | another control character | `\u{1b}` | a terminal would obey it |
//! | `\` | `\\` | it begins the others |
//! | a space at the start or the end, or before a last word of digits, dots and signs | `\_` | viewers trim lines and take a number there for a second weight (`worker 2` becomes `worker\_2`) |
//! | nothing at all | `\e` | viewers drop empty frames |
//!
//! So a line splits at its last space into stack and weight, and a stack splits at each `;`.

use std::io::{BufWriter, Write};

use hotproof_profile::{Inline, Profile};

mod read;
mod texts;
mod tree;

use crate::WriteError;
use crate::viewer::{self, Fact};
pub(crate) use read::{looks_like, read, split};
use tree::Tree;

/// How much is written at once.
const OUTPUT_BYTES: usize = 1 << 16;

/// The frame below the root of a stack that was cut.
pub const TRUNCATED: &str = "[truncated]";
/// The frame below the root of a stack that the unwinder had to give up.
pub const FAILED: &str = "[unwinding failed]";
/// The frame below the root of a stack whose outer callers are likely and not certain.
pub const STITCHED: &str = "[stitched]";
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
    write_columns(profile, options.inline, &[options.weight], out)
}

/// What folded stacks could not carry of a profile, in words, such as `addresses`.
pub fn losses(profile: &Profile, options: &Options) -> Vec<String> {
    viewer::losses(profile, options, &[Fact::Ends, Fact::Stacks])
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
    write_columns(profile, inline, &[base, head], out)
}

fn write_columns(
    profile: &Profile,
    inline: Inline,
    columns: &[usize],
    out: impl Write,
) -> Result<(), WriteError> {
    let mut out = BufWriter::with_capacity(OUTPUT_BYTES, out);
    let tree = Tree::of(profile, inline, columns);
    tree.each_line(|stack, weights| {
        out.write_all(stack.as_bytes())?;
        for weight in weights {
            write!(out, " {weight}")?;
        }
        out.write_all(b"\n")
    })?;
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
    if options.weight >= profile.samples.weights.len() {
        return Vec::new();
    }
    let mut lines = Vec::new();
    let tree = Tree::of(profile, options.inline, &[options.weight]);
    let Ok(()) = tree.each_line(|stack, weights| {
        lines.push((stack.to_owned(), weights[0]));
        Ok::<(), std::convert::Infallible>(())
    });
    lines
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
    let mut text = String::with_capacity(name.len());
    escape_into(name, &mut text);
    text
}

fn escape_into(name: &str, text: &mut String) {
    if name.is_empty() {
        text.push_str(r"\e");
        return;
    }
    let last_space = name.rfind(' ').filter(|&at| {
        let word = &name[at + 1..];
        word.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-')
    });
    // 0xc2 begins the control characters beyond ASCII, among others. All bytes are looked at,
    // because that is faster than to stop at one.
    let is_plain = |byte: u8| byte >= b' ' && !matches!(byte, b';' | b'\\' | 0x7f | 0xc2);
    let are_plain = name.bytes().fold(true, |all, byte| all & is_plain(byte));
    if are_plain && last_space.is_none() && !name.starts_with(' ') {
        text.push_str(name);
        return;
    }
    for (at, character) in name.char_indices() {
        match character {
            ';' => text.push_str(r"\:"),
            '\n' => text.push_str(r"\n"),
            '\r' => text.push_str(r"\r"),
            '\\' => text.push_str(r"\\"),
            ' ' if at == 0 || Some(at) == last_space => text.push_str(r"\_"),
            control if control.is_control() => text.extend(control.escape_unicode()),
            other => text.push(other),
        }
    }
}

/// The name that [`escape`] was given. A backslash that begins no escape stands for itself, so
/// that lines of other tools read well.
pub fn unescape(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        name.push_str(plain);
        rest = match meaning(escaped) {
            Some((character, after)) => {
                name.extend(character);
                after
            }
            None => {
                name.push('\\');
                escaped
            }
        };
    }
    name.push_str(rest);
    name
}

/// The character that stands behind a backslash, which is none for `e`, and what comes after it;
/// `None` when it is no escape of ours.
fn meaning(escaped: &str) -> Option<(Option<char>, &str)> {
    let mut rest = escaped.chars();
    let character = match rest.next()? {
        ':' => Some(';'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        '\\' => Some('\\'),
        '_' => Some(' '),
        'e' => None,
        'u' => {
            let (digits, after) = rest.as_str().strip_prefix('{')?.split_once('}')?;
            let number = u32::from_str_radix(digits, 16).ok()?;
            let character = char::from_u32(number).filter(|character| character.is_control())?;
            return Some((Some(character), after));
        }
        _ => return None,
    };
    Some((character, rest.as_str()))
}
