//! Names that are most like a name that was not found.

use hotproof_diff::edits;

use super::matching::bare;
use super::spelling::spelled;

/// At most so many are offered.
const OFFERED: usize = 5;
/// Names that are further off than the best by more than this are not offered.
const FURTHER: usize = 2;

/// The names most like `pattern`, best first, each once; those with nothing in common are left
/// out.
pub(super) fn nearest<'a>(pattern: &str, names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let wanted = bare(pattern).to_lowercase();
    let mut scored: Vec<(usize, String)> = names
        .map(|name| bare(spelled(name).name))
        .filter_map(|name| Some((distance(&wanted, &name.to_lowercase())?, name)))
        .collect();
    scored.sort();
    scored.dedup();
    let best = scored.first().map_or(0, |(distance, _)| *distance);
    scored.retain(|(distance, _)| *distance <= best + FURTHER);
    scored
        .into_iter()
        .take(OFFERED)
        .map(|(_, name)| name)
        .collect()
}

/// How far a name is from what was asked for: edits between the wanted path and as many last
/// components of the name; `None` when more than half would have to change.
fn distance(wanted: &str, name: &str) -> Option<usize> {
    let depth = wanted.split("::").count();
    let components: Vec<&str> = name.split("::").collect();
    let tail = components[components.len().saturating_sub(depth)..].join("::");
    let last = wanted.rsplit("::").next().unwrap_or(wanted);
    let same_last = components.last() == Some(&last);
    let contains = last.len() >= 3 && name.contains(last);
    let changes = edits(wanted, &tail);
    let limit = wanted.chars().count().max(tail.chars().count()) / 2;
    if same_last {
        Some(0)
    } else if contains {
        Some(changes.min(limit).min(2))
    } else {
        (changes <= limit).then_some(changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_wrong_modules_are_forgiven() {
        let names = [
            "json::parse::number",
            "json::parse::array",
            "json::write::text",
            "main",
        ]
        .map(str::to_owned);
        let near = |pattern| nearest(pattern, names.iter());
        assert_eq!(near("parse::nubmer")[0], "json::parse::number");
        assert_eq!(near("lexer::number"), ["json::parse::number"]);
        assert_eq!(near("num"), ["json::parse::number"]);
        assert!(near("entirely_different_name").is_empty());
    }
}
