//! Names that are most like a name that was not found.

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
    let edits = edits(wanted, &tail);
    let limit = wanted.chars().count().max(tail.chars().count()) / 2;
    if same_last {
        Some(0)
    } else if contains {
        Some(edits.min(limit).min(2))
    } else {
        (edits <= limit).then_some(edits)
    }
}

/// The fewest insertions, deletions and replacements of characters that turn `a` into `b`
/// (Wagner and Fischer 1974).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (a, b, expected) in [
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("same", "same", 0),
        ] {
            assert_eq!(edits(a, b), expected);
        }
    }

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
