//! A differential flame graph.

use std::collections::BTreeMap;
use std::io::{self, Write};

use hotproof_formats::folded::escape;
use hotproof_profile::{Profile, Unit};
use inferno::flamegraph as draw;

use super::join::RowId;
use super::stacks::Stacks;
use super::value::{DiffError, Normalize, measures};
use crate::flamegraph::{LEAST_WIDTH_PCT, TITLE_COLUMNS, displayed, restored};
use crate::names::{clean, cut_middle};

/// The root of what head no longer does.
const GONE: &str = "[only in base]";

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The profiles cannot be compared.
    #[error(transparent)]
    Diff(#[from] DiffError),
    /// The picture could not be drawn or written.
    #[error("the flame graph could not be written: {0}")]
    Io(#[from] io::Error),
}

/// One function below its callers.
#[derive(Default)]
struct Node {
    /// Self weight in base and head.
    own: [i64; 2],
    /// Weight in head, with what it calls.
    head: i64,
    below: BTreeMap<RowId, Node>,
}

impl Node {
    fn add(&mut self, path: &[RowId], weights: [i64; 2]) {
        self.head += weights[1];
        match path {
            [] => {
                self.own[0] += weights[0];
                self.own[1] += weights[1];
            }
            [first, rest @ ..] => self.below.entry(*first).or_default().add(rest, weights),
        }
    }
}

/// Draws the change from base to head. The frames of head have head's widths; what only base did
/// stands beside them, below a frame of its own, with base's widths. Red frames hold more self
/// weight in head, blue ones less, and a frame's tooltip says how much. Equal profiles give equal
/// bytes.
///
/// # Errors
/// When the profiles cannot be compared, and when `out` refuses the bytes.
pub fn picture(
    base: &Profile,
    head: &Profile,
    normalize: Normalize,
    mut out: impl Write,
) -> Result<(), PictureError> {
    let profiles = [base, head];
    let measures = measures(profiles, normalize)?;
    let stacks = Stacks::of(profiles, normalize)?;
    let names: Vec<String> = stacks
        .names
        .iter()
        .map(|name| displayed(&escape(name)))
        .collect();
    let mut root = Node::default();
    for (path, weights) in &stacks.paths {
        root.add(path, weights.map(|weight| weight.max(0)));
    }
    let mut lines = Vec::new();
    kept_lines(&root, &names, &mut Vec::new(), &mut lines);
    gone_lines(&root, &names, &mut Vec::new(), &mut lines);
    let mut settings = draw::Options::default();
    // No factor: the drawing would not apply it to changes.
    settings.count_name = match measures[1].unit {
        Unit::Count => "samples",
        Unit::Nanoseconds => "ns",
        Unit::Bytes => "bytes",
        Unit::Cycles => "cycles",
        Unit::Instructions => "instructions",
    }
    .to_owned();
    settings.title = cut_middle(&clean(&title(profiles)), TITLE_COLUMNS);
    settings.subtitle = Some(subtitle(normalize));
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
    out.write_all(restored(&drawn).as_bytes())?;
    out.flush()?;
    Ok(())
}

/// One line for each function that head has on the path, parents first, so that each is coloured
/// by its own self weights.
fn kept_lines<'a>(
    node: &Node,
    names: &'a [String],
    path: &mut Vec<&'a str>,
    lines: &mut Vec<String>,
) {
    if !path.is_empty() {
        let [base, head] = node.own;
        lines.push(format!("{} {base} {head}", path.join(";")));
    }
    for (&row, below) in node.below.iter().filter(|(_, below)| below.head > 0) {
        path.push(&names[row]);
        kept_lines(below, names, path, lines);
        path.pop();
    }
}

/// One line for each stack of base that ends in a function which head has not on that path. The
/// first figure is twice the second, so that the change is minus the width.
fn gone_lines<'a>(
    node: &Node,
    names: &'a [String],
    path: &mut Vec<&'a str>,
    lines: &mut Vec<String>,
) {
    let base = node.own[0];
    if node.head == 0 && base > 0 && !path.is_empty() {
        let twice = base.saturating_mul(2);
        lines.push(format!("{GONE};{} {twice} {base}", path.join(";")));
    }
    for (&row, below) in &node.below {
        path.push(&names[row]);
        gone_lines(below, names, path, lines);
        path.pop();
    }
}

fn title([base, head]: [&Profile; 2]) -> String {
    let [base, head] = [base, head].map(|profile| profile.meta.command.join(" "));
    match (base.is_empty(), head.is_empty()) {
        (true, true) => "what changed".to_owned(),
        _ if base == head => format!("what changed: {head}"),
        _ => format!("from {base} to {head}"),
    }
}

fn subtitle(normalize: Normalize) -> String {
    let scale = match normalize {
        Normalize::None => "as recorded",
        Normalize::Total => "head scaled to the total of base",
        Normalize::Second => "per second of wall time",
    };
    format!("widths: head; red: more self time in head, blue: less; {GONE}: base's widths; {scale}")
}
