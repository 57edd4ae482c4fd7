//! A differential flame graph.

use std::io::{self, Write};

use hotproof_formats::folded::escape;
use hotproof_profile::Unit;
use inferno::flamegraph as draw;

use super::join::RowId;
use super::stacks::Stacks;
use super::value::{DiffError, Normalize};
use crate::calls::Calls;
use crate::flamegraph::{
    DEEP_NOTE, DEEPER, DEEPEST_FRAMES, LEAST_WIDTH_PCT, TITLE_COLUMNS, deepest, direction,
    displayed, restored,
};
use crate::names::{clean, cut_middle};

/// The root of what head no longer does.
const GONE: &str = "[only in base]";

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The profiles cannot be compared.
    #[error(transparent)]
    Diff(#[from] DiffError),
    /// A difference of differences has no widths.
    #[error(
        "a profile has weights below zero, as a difference or a callgrind profile has, so there are no widths to draw; give two plain profiles"
    )]
    Negative,
    /// The picture could not be drawn or written.
    #[error("the flame graph could not be written: {0}")]
    Io(#[from] io::Error),
}

/// One function below its callers.
#[derive(Debug, Default)]
struct Weights {
    /// Self weight in base and head.
    own: [i64; 2],
    /// Weight in head, with what it calls.
    head: i64,
}

impl Stacks {
    /// Draws the change from base to head. The frames of head have head's widths; what only base did
    /// stands beside them, below a frame of its own, with base's widths. Red frames hold more self
    /// weight in head, blue ones less, and a frame's tooltip says how much. Equal profiles give equal
    /// bytes.
    ///
    /// # Errors
    /// When weights are below zero, and when `out` refuses the bytes.
    pub fn picture(&self, mut out: impl Write) -> Result<(), PictureError> {
        let mut names: Vec<String> = self
            .names
            .iter()
            .map(|name| displayed(&escape(name)))
            .collect();
        let mut calls = Calls::<Weights>::new();
        let mut cut = false;
        for &(ref path, [base, head]) in &self.paths {
            if base < 0 || head < 0 {
                return Err(PictureError::Negative);
            }
            let drawn = path.iter().copied().take(DEEPEST_FRAMES);
            let deeper = (path.len() > DEEPEST_FRAMES).then_some(names.len());
            cut |= deeper.is_some();
            let leaf = calls.add(drawn.chain(deeper), |weights| weights.head += head);
            let own = &mut calls.value_mut(leaf).own;
            own[0] += base;
            own[1] += head;
        }
        names.push(DEEPER.to_owned());
        let mut lines = kept_lines(&calls, &names);
        lines.extend(gone_lines(&calls, &names));
        let mut settings = draw::Options::default();
        // No factor: the drawing would not apply it to changes.
        settings.count_name = match self.unit {
            Unit::Count => "samples",
            Unit::Nanoseconds => "ns",
            Unit::Bytes => "bytes",
            Unit::Cycles => "cycles",
            Unit::Instructions => "instructions",
        }
        .to_owned();
        settings.title = cut_middle(&clean(&title(&self.commands)), TITLE_COLUMNS);
        settings.subtitle = Some(subtitle(self.normalize, cut));
        settings.direction = direction(deepest(&lines));
        settings.name_type = "function:".to_owned();
        settings.deterministic = true;
        // The lines are in the order of the tree, which is not that of their bytes: the mode for
        // flame charts takes lines from the last to the first and does not sort them.
        lines.reverse();
        settings.flame_chart = true;
        settings.min_width = LEAST_WIDTH_PCT;
        settings.text_truncate_direction = draw::TextTruncateDirection::Right;
        let mut drawn = Vec::new();
        draw::from_lines(&mut settings, lines.iter().map(String::as_str), &mut drawn)?;
        out.write_all(vivid(&restored(&drawn)).as_bytes())?;
        out.flush()?;
        Ok(())
    }
}

/// The picture in colours that show the sign of every change. The drawing colours a frame by its
/// share of the largest change, so that beside a large one all others look white.
fn vivid(picture: &str) -> String {
    const MARK: &str = "fill=\"rgb(";
    let mut out = String::with_capacity(picture.len());
    let mut rest = picture;
    // Names hold no such mark: their quotes are escaped.
    while let Some(at) = rest.find(MARK) {
        let (before, colour) = rest.split_at(at + MARK.len());
        out.push_str(before);
        let end = colour.find(')').unwrap_or(0);
        out.push_str(&deeper(&colour[..end]));
        rest = &colour[end..];
    }
    out + rest
}

/// A colour of the drawing, `red,green,blue`, as we show it: grey without a change.
fn deeper(colour: &str) -> String {
    let parts = colour.split(',').map(|part| part.trim().parse());
    let parts: Vec<u8> = parts.filter_map(Result::ok).collect();
    match parts[..] {
        [250, 250, 250] => "226,226,226".to_owned(),
        [255, pale, same] if pale == same => {
            let pale = deep(pale);
            format!("255,{pale},{pale}")
        }
        [pale, same, 255] if pale == same => {
            let pale = deep(pale);
            format!("{pale},{pale},255")
        }
        _ => colour.to_owned(),
    }
}

/// How pale a change is: the drawing has 250 for next to none and 100 for the largest.
fn deep(pale: u8) -> u8 {
    let share = f64::from(250 - pale.clamp(100, 250)) / 150.0;
    (215.0 - 135.0 * share.sqrt()).round() as u8
}

/// One line for each path of head that ends in a function with self weight, callers first, so that
/// each is coloured by its own self weights.
fn kept_lines(calls: &Calls<Weights>, names: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    calls.visit(
        |weights| weights.head > 0,
        |path, weights| {
            let [base, head] = weights.own;
            if base != 0 || head != 0 {
                lines.push(format!("{} {base} {head}", joined(path, names)));
            }
        },
    );
    lines
}

/// One line for each stack of base that ends in a function which head has not on that path. The
/// first figure is twice the second, so that the change is minus the width.
fn gone_lines(calls: &Calls<Weights>, names: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    calls.visit(
        |_| true,
        |path, weights| {
            let base = weights.own[0];
            if weights.head == 0 && base > 0 {
                let twice = base.saturating_mul(2);
                lines.push(format!("{GONE};{} {twice} {base}", joined(path, names)));
            }
        },
    );
    lines
}

fn joined(path: &[RowId], names: &[String]) -> String {
    let names: Vec<&str> = path.iter().map(|&row| names[row].as_str()).collect();
    names.join(";")
}

fn title([base, head]: &[String; 2]) -> String {
    match (base.is_empty(), head.is_empty()) {
        (true, true) => "what changed".to_owned(),
        _ if base == head => format!("what changed: {head}"),
        _ => format!("from {base} to {head}"),
    }
}

fn subtitle(normalize: Normalize, cut: bool) -> String {
    let scale = match normalize {
        Normalize::Run => "as recorded",
        Normalize::Total => "head scaled to the total of base",
        Normalize::Second => "per second of wall time",
    };
    let deep = if cut { DEEP_NOTE } else { "" };
    format!(
        "widths: head; red: more self time in head, blue: less; {GONE}: base's widths; {scale}{deep}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_has_a_colour_that_is_seen() {
        let cases = [
            ("250,250,250", "226,226,226"),
            ("255,250,250", "255,215,215"),
            ("255,235,235", "255,172,172"),
            ("255,100,100", "255,80,80"),
            ("250,250,255", "215,215,255"),
            ("100,100,255", "80,80,255"),
            ("1,2,3", "1,2,3"),
        ];
        for (drawn, shown) in cases {
            assert_eq!(deeper(drawn), shown, "{drawn}");
        }
        let picture = r#"<rect fill="rgb(255,250,250)"/><text fill="rgb(0,0,0)">rgb(255,250,250)"#;
        let expected = r#"<rect fill="rgb(255,215,215)"/><text fill="rgb(0,0,0)">rgb(255,250,250)"#;
        assert_eq!(vivid(picture), expected);
    }
}
