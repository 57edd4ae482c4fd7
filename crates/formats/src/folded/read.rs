//! Folded stacks to a profile.

use hotproof_profile::{LocationId, Profile, Sample, StackEnd, StackId, ThreadId, Unit, Weight};
use rustc_hash::FxHashMap;

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
    let mut stacks = Stacks::of(builder, shape);
    for (number, line) in lines(&text) {
        read_line(&mut stacks, thread, line).map_err(|fault| match fault {
            Fault::Line(what) => ImportError::Damaged {
                format: Format::Folded,
                place: Place::Line(number),
                what,
            },
            Fault::Other(error) => error,
        })?;
    }
    Ok((stacks.builder.finish()?, dropped))
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

fn read_line<'t>(stacks: &mut Stacks<'t>, thread: ThreadId, line: &'t str) -> Result<(), Fault> {
    let no_line = || Fault::Line(format!("expected `stack weight`, found {}", shown(line)));
    let (mut stack_text, last) = split(line).ok_or_else(no_line)?;
    let mut weights = [0, whole(last).map_err(Fault::Line)?];
    let mut columns = 1;
    if stacks.shape.columns == Columns::Two {
        let (rest, first) = split(stack_text).ok_or_else(no_line)?;
        weights[0] = whole(first).map_err(Fault::Line)?;
        columns = 2;
        stack_text = rest;
    }
    let (stack, end) = stacks.of_text(stack_text)?;
    stacks.builder.sample(&Sample {
        thread,
        time_ns: 0,
        stack,
        weights: &weights[2 - columns..],
        cpu: None,
        end,
        labels: None,
    })?;
    Ok(())
}

/// Turns the texts of stacks into stacks, each name once, and each frame that the line before has
/// too not at all: most files are sorted.
struct Stacks<'t> {
    builder: Builder,
    shape: Shape,
    names: FxHashMap<&'t str, LocationId>,
    /// The stack of the line before.
    last: &'t str,
    /// Its frames: where each ends in its text, and the stack up to there.
    frames: Vec<(usize, Option<StackId>)>,
    end: StackEnd,
}

impl<'t> Stacks<'t> {
    fn of(builder: Builder, shape: Shape) -> Self {
        Stacks {
            builder,
            shape,
            names: FxHashMap::default(),
            last: "",
            frames: Vec::new(),
            end: shape.unmarked,
        }
    }

    /// The stack of a text, and how it ends.
    fn of_text(&mut self, text: &'t str) -> Result<(Option<StackId>, StackEnd), ImportError> {
        let equal = equal_bytes(self.last.as_bytes(), text.as_bytes());
        let ends_at = |at: usize| text.as_bytes().get(at).is_none_or(|&byte| byte == b';');
        let is_shared = |&(end, _): &(usize, _)| end <= equal && ends_at(end);
        let shared = self
            .frames
            .iter()
            .take_while(|frame| is_shared(frame))
            .count();
        self.frames.truncate(shared);
        if shared < 2 {
            self.end = self.shape.unmarked;
        }
        self.last = text;
        let (mut at, mut stack) = match self.frames.last() {
            Some(&(end, stack)) => (end + 1, stack),
            None => (0, None),
        };
        while let Some(rest) = text.get(at..) {
            let frame = rest.split_once(';').map_or(rest, |(frame, _)| frame);
            let is_second = self.frames.len() == 1;
            match is_second.then(|| mark(frame)).flatten() {
                Some(marked) => self.end = marked,
                None => {
                    let location = self.location(frame)?;
                    stack = Some(self.builder.stack(stack, location)?);
                }
            }
            at += frame.len();
            self.frames.push((at, stack));
            at += 1;
        }
        Ok((stack, self.end))
    }

    fn location(&mut self, frame: &'t str) -> Result<LocationId, ImportError> {
        if let Some(&known) = self.names.get(frame) {
            return Ok(known);
        }
        let location = match self.shape.escapes {
            Escapes::Ours => self.builder.named(&unescape(frame))?,
            Escapes::None => self.builder.named(frame)?,
        };
        self.builder.budget.take(size_of::<(&str, LocationId)>())?;
        self.names.insert(frame, location);
        Ok(location)
    }
}

/// How many bytes are the same at the beginning.
fn equal_bytes(a: &[u8], b: &[u8]) -> usize {
    const AT_ONCE: usize = 16;
    let pieces = a.chunks_exact(AT_ONCE).zip(b.chunks_exact(AT_ONCE));
    let whole = AT_ONCE * pieces.take_while(|(a, b)| a == b).count();
    let rest = a[whole..].iter().zip(&b[whole..]);
    whole + rest.take_while(|(a, b)| a == b).count()
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
    // Some tools write a tab there, which ours escapes within names.
    let (stack, weight) = line.rsplit_once([' ', '\t'])?;
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
            ours &= is_escaped(line);
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

/// Whether each backslash in a line begins an escape of ours; none holds a semicolon.
fn is_escaped(line: &str) -> bool {
    let mut rest = line;
    while let Some((_, escaped)) = rest.split_once('\\') {
        match meaning(escaped) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}
