//! What a line of a callgrind profile says.

/// A line, without its end and with names as they are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Nothing,
    /// `key: value`
    Header(&'a str, &'a str),
    /// `fn=(1) name` and its kin: key, number, name.
    Name(&'a str, Option<u64>, &'a str),
    /// `calls=count position`
    Calls(&'a str, &'a str),
    /// `jump=`, `jcnd=`: of a jump, not of a call.
    Jump,
    /// Positions and costs.
    Cost(&'a str),
}

/// `None` for a line that is none of them.
pub(super) fn parse(line: &str) -> Option<Line<'_>> {
    let line = trimmed(line);
    if line.is_empty() || line.starts_with('#') {
        return Some(Line::Nothing);
    }
    if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
        return Some(Line::Cost(line));
    }
    let end = line.find(|c: char| !c.is_ascii_alphabetic())?;
    let (key, rest) = line.split_at(end);
    if let Some(value) = rest.strip_prefix(':') {
        return Some(Line::Header(key, trimmed(value)));
    }
    let value = rest.strip_prefix('=')?;
    match key {
        "calls" => {
            let (count, target) = value.split_once([' ', '\t']).unwrap_or((value, ""));
            Some(Line::Calls(count, target))
        }
        "jump" | "jcnd" => Some(Line::Jump),
        "ob" | "fl" | "fi" | "fe" | "fn" | "cob" | "cfi" | "cfl" | "cfn" | "jfi" | "jfn" => {
            let (number, name) = compressed(value);
            Some(Line::Name(key, number, name))
        }
        _ => None,
    }
}

/// `(12) name` or `(12)`; anything else is a name.
fn compressed(value: &str) -> (Option<u64>, &str) {
    let inner = value
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(')'));
    let number = inner.and_then(|(number, name)| {
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse().ok().filter(|_| is_number)?;
        Some((Some(number), trimmed(name)))
    });
    number.unwrap_or((None, trimmed(value)))
}

/// Without the blanks that the format knows: others begin and end names.
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r'])
}

/// A number, decimal or hexadecimal, signed or not.
pub(super) fn number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        // Addresses of kernels have the highest bit set; the cast keeps all of them.
        Some(hex) => u64::from_str_radix(hex, 16)
            .ok()
            .map(|number| number as i64),
        None => text.parse().ok(),
    }
}

/// A position: `*` is the one before, `+1` and `-1` are relative to it. Wraps around, as an
/// address of a kernel is written as a negative number by some.
pub(super) fn position(text: &str, before: u64) -> Option<u64> {
    if text == "*" {
        return Some(before);
    }
    if let Some(ahead) = text.strip_prefix('+') {
        return Some(before.wrapping_add(number(ahead)? as u64));
    }
    if let Some(back) = text.strip_prefix('-') {
        return Some(before.wrapping_sub(number(back)? as u64));
    }
    number(text).map(|number| number as u64)
}
