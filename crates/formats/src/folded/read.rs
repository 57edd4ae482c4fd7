//! Folded stacks to a profile.

use hotproof_profile::{Profile, Sample, StackEnd, ThreadId, Unit, Weight};

use super::{FAILED, STITCHED, TRUNCATED, UNKNOWN_END, meaning, unescape};
use crate::import::{Builder, Format, ImportError, Limits, Place};

/// Whether the first line that is no comment is a stack and a weight.
pub(crate) fn looks_like(text: &str) -> bool {
    let first = lines(text).next();
    first.is_some_and(|(_, line)| split(line).is_some())
}

/// Reads folded stacks, plain or differential; also says what the profile cannot carry.
///
/// Every frame of a line becomes a frame: whether the first is a thread's or a program's name, the
/// format does not say. When each line ends in two numbers, they are the weights `base` and
/// `head`. A mark of a cut stack below the root becomes the end of the stack. Escapes are undone
/// when every backslash of the file begins one of ours; in files of others it stands for itself.
///
/// # Errors
/// [`ImportError::Damaged`] names the line that is no stack with a whole number.
pub(crate) fn read(bytes: &[u8], limits: Limits) -> Result<(Profile, Vec<String>), ImportError> {
    let text = String::from_utf8_lossy(bytes);
    let mut dropped = Vec::new();
    if let std::borrow::Cow::Owned(_) = text {
        dropped.push("bytes that are not UTF-8 were replaced by U+FFFD".to_owned());
    }
    let shape = Shape::of(&text);
    let names: &[&str] = match shape.columns {
        Columns::One => &["samples"],
        Columns::Two => &["base", "head"],
    };
    let weights = names.iter().map(|name| Weight {
        name: (*name).to_owned(),
        unit: Unit::Count,
    });
    let mut builder = Builder::new(limits, weights.collect());
    let thread = builder.nameless_thread()?;
    for (number, line) in lines(&text) {
        read_line(&mut builder, shape, thread, line).map_err(|fault| match fault {
            Fault::Line(what) => ImportError::Damaged {
                format: Format::Folded,
                place: Place::Line(number),
                what,
            },
            Fault::Other(error) => error,
        })?;
    }
    Ok((builder.finish()?, dropped))
}

/// What is wrong with a line, or something else.
enum Fault {
    Line(String),
    Other(ImportError),
}

impl From<ImportError> for Fault {
    fn from(error: ImportError) -> Self {
        Fault::Other(error)
    }
}

fn read_line(
    builder: &mut Builder,
    shape: Shape,
    thread: ThreadId,
    line: &str,
) -> Result<(), Fault> {
    let no_line = || Fault::Line(format!("expected `stack weight`, found {}", shown(line)));
    let (mut stack_text, last) = split(line).ok_or_else(no_line)?;
    let mut weights = vec![whole(last).map_err(Fault::Line)?];
    if shape.columns == Columns::Two {
        let (rest, first) = split(stack_text).ok_or_else(no_line)?;
        weights.insert(0, whole(first).map_err(Fault::Line)?);
        stack_text = rest;
    }
    let (mut end, mut stack) = (shape.unmarked, None);
    for (index, frame) in stack_text.split(';').enumerate() {
        if let Some(marked) = mark(frame).filter(|_| index == 1) {
            end = marked;
            continue;
        }
        let location = match shape.escapes {
            Escapes::Ours => builder.named(&unescape(frame))?,
            Escapes::None => builder.named(frame)?,
        };
        stack = Some(builder.stack(stack, location)?);
    }
    builder.sample(&Sample {
        thread,
        time_ns: 0,
        stack,
        weights: &weights,
        cpu: None,
        end,
        labels: None,
    })?;
    Ok(())
}

/// The numbered lines that are neither empty nor comments.
fn lines(text: &str) -> impl Iterator<Item = (u64, &str)> {
    let numbered = (1..).zip(text.lines());
    let trimmed = numbered.map(|(number, line)| (number, line.trim_end()));
    trimmed
        .filter(|(_, line)| !line.is_empty() && (!line.starts_with('#') || split(line).is_some()))
}

/// A line as its stack and its last word, which is a number.
pub(crate) fn split(line: &str) -> Option<(&str, &str)> {
    let (stack, weight) = line.rsplit_once(' ')?;
    let digits = weight.strip_prefix('-').unwrap_or(weight);
    let is_number = digits.starts_with(|first: char| first.is_ascii_digit())
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_number.then_some((stack, weight))
}

/// A weight; a fraction of zeros is none.
fn whole(text: &str) -> Result<i64, String> {
    let digits = text.split_once('.').map_or(text, |(whole, fraction)| {
        if fraction.bytes().all(|byte| byte == b'0') {
            whole
        } else {
            text
        }
    });
    digits
        .parse()
        .map_err(|_| format!("the weight {} is no whole number of 64 bits", shown(text)))
}

/// A text for an error, short.
fn shown(text: &str) -> String {
    const CHARACTERS: usize = 60;
    let mut cut: String = text.chars().take(CHARACTERS).collect();
    if cut.len() < text.len() {
        cut.push_str("...");
    }
    format!("{cut:?}")
}

fn mark(frame: &str) -> Option<StackEnd> {
    match frame {
        TRUNCATED => Some(StackEnd::Truncated),
        FAILED => Some(StackEnd::Failed),
        UNKNOWN_END => Some(StackEnd::Unknown),
        STITCHED => Some(StackEnd::Stitched),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Columns {
    One,
    Two,
}

#[derive(Clone, Copy, PartialEq)]
enum Escapes {
    Ours,
    None,
}

/// What holds for all lines of a file.
#[derive(Clone, Copy)]
struct Shape {
    columns: Columns,
    escapes: Escapes,
    /// How stacks end that have no mark: whole, when others have one.
    unmarked: StackEnd,
}

impl Shape {
    fn of(text: &str) -> Self {
        let (mut two, mut ours, mut marked) = (true, true, false);
        for (_, line) in lines(text) {
            let stack = split(line).map_or(line, |(stack, _)| stack);
            let inner = split(stack);
            two &= inner.is_some();
            ours &= line.split(';').all(is_escaped);
            let frames = inner.filter(|_| two).map_or(stack, |(stack, _)| stack);
            marked |= frames
                .split(';')
                .nth(1)
                .is_some_and(|frame| mark(frame).is_some());
        }
        Shape {
            columns: if two { Columns::Two } else { Columns::One },
            escapes: if ours { Escapes::Ours } else { Escapes::None },
            unmarked: if marked {
                StackEnd::Complete
            } else {
                StackEnd::Unknown
            },
        }
    }
}

/// Whether each backslash in a frame begins an escape of ours.
fn is_escaped(frame: &str) -> bool {
    let mut rest = frame;
    while let Some((_, escaped)) = rest.split_once('\\') {
        match meaning(escaped) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}
