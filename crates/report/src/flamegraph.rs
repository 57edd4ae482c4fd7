//! Flame graphs as SVG pictures, drawn by `inferno` from folded stacks.

use std::io::{self, Write};

use hotproof_formats::folded;
use hotproof_profile::{Inline, Profile, Unit};
use inferno::flamegraph as draw;

use crate::census::Measure;
use crate::names::{clean, cut_middle};
use crate::numbers::{count, counted, time};
use crate::quality::Quality;
use crate::record::shell_words;

/// Stands for a `;` within a name while the picture is drawn, because a `;` parts frames there.
/// Names are free of control characters by then, so it cannot be mistaken.
const SEMICOLON: char = '\u{91}';
/// Stands for a space that would be taken for the one before the weight.
const SPACE: char = '\u{92}';
/// Columns of the title, so that it fits the picture.
pub(crate) const TITLE_COLUMNS: usize = 90;
/// Frames narrower than this, in per cent of the whole, are not drawn: a tenth of a pixel.
pub(crate) const LEAST_WIDTH_PCT: f64 = 0.01;

/// Frames of a stack that are drawn, counted from the end that comes first. Browsers draw no more
/// rows than that in bearable time.
pub(crate) const DEEPEST_FRAMES: usize = 1000;
/// Stands for the frames beyond them.
pub(crate) const DEEPER: &str = "[deeper]";
/// What the subtitle says of them.
pub(crate) const DEEP_NOTE: &str = ", frames beyond the first 1,000 of a stack are [deeper]";
/// Rows that fit on a screen, about: a deeper picture grows downwards, so that it does not open on
/// the empty space above most of its stacks.
const SCREEN_ROWS: usize = 60;

/// Where the first frames of the stacks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// Below, or above when the picture is higher than a screen.
    #[default]
    Fitting,
    /// Above: an icicle graph.
    Icicle,
}

/// Which end of the stacks the picture grows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Growth {
    /// From the root to the leaves, upwards: who spends, and through whom.
    #[default]
    FromRoot,
    /// From the leaves to their callers: who calls what is expensive.
    FromLeaf,
}

/// How to draw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The title; `None` takes the recorded command.
    pub title: Option<String>,
    /// Whether inlined functions are frames of their own.
    pub inline: Inline,
    /// Which end comes first.
    pub growth: Growth,
    /// Where it is.
    pub layout: Layout,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            title: None,
            inline: Inline::Expand,
            growth: Growth::FromRoot,
            layout: Layout::Fitting,
        }
    }
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum FlamegraphError {
    /// There is nothing to draw.
    #[error(
        "the profile has no weighted sample, so there is nothing to draw; record a longer run, or more often (-F 9973)"
    )]
    Empty,
    /// There are no widths below zero.
    #[error(
        "the profile has weights below zero: it is a difference, or knows calls but no stacks (callgrind), and has no flame graph; `hotproof diff BASE HEAD -o change.svg` draws a difference"
    )]
    Negative,
    /// The picture could not be drawn or written.
    #[error("the flame graph could not be written: {0}")]
    Io(#[from] io::Error),
}

/// Draws the profile. Equal profiles give equal bytes.
///
/// # Errors
/// When the profile holds no weight, and when `out` refuses the bytes. Nothing is written before
/// the whole picture is drawn.
pub fn write(
    profile: &Profile,
    options: &Options,
    mut out: impl Write,
) -> Result<(), FlamegraphError> {
    let measure = Measure::of(profile).ok_or(FlamegraphError::Empty)?;
    let weights = &profile.samples.weights[measure.weight];
    if weights.iter().any(|&weight| weight < 0) {
        return Err(FlamegraphError::Negative);
    }
    let lines = lines(profile, options, measure);
    if lines.is_empty() {
        return Err(FlamegraphError::Empty);
    }
    let mut picture = Vec::new();
    let mut settings = settings(profile, options, measure);
    let depth = deepest(&lines);
    settings.direction = match options.layout {
        Layout::Fitting => direction(depth),
        Layout::Icicle => draw::Direction::Inverted,
    };
    if depth > DEEPEST_FRAMES {
        settings.subtitle = settings.subtitle.map(|text| text + DEEP_NOTE);
    }
    draw::from_lines(
        &mut settings,
        lines.iter().map(String::as_str),
        &mut picture,
    )?;
    out.write_all(restored(&picture).as_bytes())?;
    out.flush()?;
    Ok(())
}

/// The drawn picture with the characters back that the drawing must not see.
pub(crate) fn restored(picture: &[u8]) -> String {
    String::from_utf8_lossy(picture)
        .replace(SEMICOLON, ";")
        .replace(SPACE, " ")
}

/// The folded stacks with names as people read them, sorted as the drawing needs them.
fn lines(profile: &Profile, options: &Options, measure: Measure) -> Vec<String> {
    let folding = folded::Options {
        inline: options.inline,
        weight: measure.weight,
    };
    let mut lines: Vec<String> = folded::lines(profile, &folding)
        .into_iter()
        .filter(|&(_, weight)| weight > 0)
        .map(|(stack, weight)| {
            let mut frames: Vec<&str> = stack.split(';').collect();
            if options.growth == Growth::FromLeaf {
                frames.reverse();
            }
            let is_cut = frames.len() > DEEPEST_FRAMES;
            frames.truncate(DEEPEST_FRAMES);
            let mut frames: Vec<String> = frames.into_iter().map(displayed).collect();
            frames.extend(is_cut.then(|| DEEPER.to_owned()));
            format!("{} {weight}", frames.join(";"))
        })
        .collect();
    lines.sort_unstable();
    lines
}

/// Frames of the deepest line.
pub(crate) fn deepest(lines: &[String]) -> usize {
    let depth = |line: &String| line.bytes().filter(|&byte| byte == b';').count() + 1;
    lines.iter().map(depth).max().unwrap_or(0)
}

/// Which way a picture of so many rows grows.
pub(crate) fn direction(rows: usize) -> draw::Direction {
    if rows > SCREEN_ROWS {
        draw::Direction::Inverted
    } else {
        draw::Direction::Straight
    }
}

/// A frame of a folded stack as it is drawn.
pub(crate) fn displayed(frame: &str) -> String {
    let name = clean(&folded::unescape(frame)).replace(';', &SEMICOLON.to_string());
    let name = if name.is_empty() {
        "[unknown]".to_owned()
    } else {
        name
    };
    let digits = |word: &str| word.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    // The drawing takes numbers at the end of a line for weights, trims lines, and skips those
    // that look like comments.
    let at = |position: usize| name[position + 1..].len();
    let last = name
        .rfind(' ')
        .filter(|&position| digits(&name[position + 1..]) || at(position) == 0);
    let first = name
        .find(' ')
        .filter(|&position| position == 0 || &name[..position] == "#");
    let hidden = [last, first];
    name.char_indices()
        .map(|(position, c)| {
            if c == ' ' && hidden.contains(&Some(position)) {
                SPACE
            } else {
                c
            }
        })
        .collect()
}

fn settings(profile: &Profile, options: &Options, measure: Measure) -> draw::Options<'static> {
    let mut settings = draw::Options::default();
    let command = shell_words(&profile.meta.command);
    let title = options.title.clone().unwrap_or(command);
    settings.title = match title.as_str() {
        "" => "flame graph".to_owned(),
        title => cut_middle(&clean(title), TITLE_COLUMNS),
    };
    settings.subtitle = Some(subtitle(profile));
    let (name, factor) = unit_of(profile, measure);
    settings.count_name = name.to_owned();
    settings.factor = factor;
    settings.name_type = "function:".to_owned();
    settings.deterministic = true;
    settings.no_sort = true;
    settings.min_width = LEAST_WIDTH_PCT;
    settings.text_truncate_direction = draw::TextTruncateDirection::Right;
    settings
}

/// What the weights are called and what they are multiplied by for it, so that the whole is at
/// least ten thousand units and shares do not suffer from rounding.
fn unit_of(profile: &Profile, measure: Measure) -> (&'static str, f64) {
    let whole = profile.total_weight(measure.weight);
    match measure.unit {
        Unit::Count => ("samples", 1.0),
        Unit::Bytes => ("bytes", 1.0),
        Unit::Cycles => ("cycles", 1.0),
        Unit::Instructions => ("instructions", 1.0),
        Unit::Nanoseconds if whole >= 10_000_000_000 => ("ms", 1e-6),
        Unit::Nanoseconds if whole >= 10_000_000 => ("us", 1e-3),
        Unit::Nanoseconds => ("ns", 1.0),
    }
}

/// Event, samples, CPU time, what is missing.
fn subtitle(profile: &Profile) -> String {
    let meta = &profile.meta;
    let quality = Quality::of(profile);
    let mut parts = vec![counted(quality.samples, "sample")];
    if !meta.event.is_empty() {
        parts[0] += &format!(" of {}", clean(&meta.event));
    }
    if let Some(rate) = meta.rate_hz {
        parts[0] += &format!(" at {} Hz", count(rate));
    }
    if let Some(cpu) = meta.cpu_time_ns {
        parts.push(format!("{} CPU", time(cpu as f64)));
    }
    parts.push(format!("{} lost", count(quality.lost_samples)));
    parts.push(format!("frames below {LEAST_WIDTH_PCT} % not drawn"));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_as_they_are() {
        let cases = [
            (r"<[u8\: 4] as Hash>::hash", "<[u8\u{91} 4] as Hash>::hash"),
            (r"worker\_2", "worker\u{92}2"),
            (r"\_lead", "\u{92}lead"),
            (r"# name", "#\u{92}name"),
            (r"\e", "[unknown]"),
            (r"two\nlines", r"two\nlines"),
            ("bell\u{7}", r"bell\u{7}"),
        ];
        for (folded, shown) in cases {
            assert_eq!(displayed(folded), shown);
        }
    }
}
