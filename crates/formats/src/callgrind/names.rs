//! Names as they are written in lines, and events with their units.

use hotproof_profile::{Unit, Weight};

use crate::folded;

/// A name in one line that readers do not trim.
pub(super) fn escape(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let last = name.len();
    for (at, character) in name.char_indices() {
        match character {
            '\n' => text.push_str(r"\n"),
            '\r' => text.push_str(r"\r"),
            '\\' => text.push_str(r"\\"),
            ' ' if at == 0 || at + 1 == last => text.push_str(r"\_"),
            control if control.is_control() => text.extend(control.escape_unicode()),
            other => text.push(other),
        }
    }
    if text.is_empty() {
        text.push_str(r"\e");
    }
    text
}

/// The inverse of [`escape`].
pub(super) fn unescape(text: &str) -> String {
    folded::unescape(text)
}

/// The name of an event, in which no space may be; a unit is part of it.
pub(super) fn event_of(weight: &Weight) -> String {
    let unit = match (weight.unit, weight.name.as_str()) {
        (Unit::Count, _) | (Unit::Instructions, "Ir") => "",
        (Unit::Nanoseconds, _) => "(nanoseconds)",
        (Unit::Bytes, _) => "(bytes)",
        (Unit::Cycles, _) => "(cycles)",
        (Unit::Instructions, _) => "(instructions)",
    };
    let is_plain = |character: char| !character.is_whitespace() && !character.is_control();
    let plain = |character| if is_plain(character) { character } else { '_' };
    let name: String = weight.name.chars().map(plain).collect();
    let name = if name.is_empty() { "weight" } else { &name };
    format!("{name}{unit}")
}

/// The weight of an event, and how many of our units one of it is. `go tool pprof` writes units
/// too, in its own spelling.
pub(super) fn weight_of(event: &str) -> (Weight, i64) {
    let spelled = event
        .strip_suffix(')')
        .and_then(|event| event.rsplit_once('('));
    let (name, (unit, scale)) =
        match spelled.map(|(name, unit)| (name, crate::pprof::meaning(unit))) {
            Some((name, (unit, scale))) if unit != Unit::Count => (name, (unit, scale)),
            _ if event == "Ir" => (event, (Unit::Instructions, 1)),
            _ => (event, (Unit::Count, 1)),
        };
    let name = name.to_owned();
    (Weight { name, unit }, scale)
}
