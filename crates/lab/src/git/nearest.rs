//! Which names are like the one that was meant.

/// How many names are offered.
const OFFERED: usize = 3;

/// Names that the user may have meant, likeliest first; `HEAD` is always a name.
pub(super) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let limit = (wanted.chars().count() / 3).max(2);
    let mut rated: Vec<(usize, &str)> = std::iter::once("HEAD")
        .chain(names)
        .filter_map(|name| Some((distance_or_containment(wanted, name)?, name)))
        .filter(|&(distance, _)| distance <= limit)
        .collect();
    rated.sort_unstable();
    rated.dedup();
    let offered = rated.into_iter().take(OFFERED);
    offered.map(|(_, name)| name.to_owned()).collect()
}

/// Edits between two names, case ignored; 1 when one is a part of the other that is worth a word.
fn distance_or_containment(wanted: &str, name: &str) -> Option<usize> {
    let (wanted, name) = (wanted.to_lowercase(), name.to_lowercase());
    let part = |short: &str, long: &str| short.len() >= 3 && long.contains(short);
    if part(&wanted, &name) || part(&name, &wanted) {
        return Some(1);
    }
    let last = name.rsplit('/').next().unwrap_or(&name);
    distance(&wanted, &name).min(distance(&wanted, last))
}

/// Levenshtein's distance; `None` for names so long that nobody mistypes them.
fn distance(a: &str, b: &str) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().max(b.len()) > 256 {
        return None;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, &left) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &right) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likely_names_come_first() {
        let cases: [(&str, &[&str], &[&str]); 5] = [
            ("mian", &["main", "topic"], &["main"]),
            ("feature", &["x", "fast-feature-2"], &["fast-feature-2"]),
            ("Main", &["main"], &["main"]),
            ("head", &["main"], &["HEAD"]),
            ("nothing-like-it", &["main", "dev"], &[]),
        ];
        for (wanted, names, expected) in cases {
            assert_eq!(nearest(wanted, names.iter().copied()), expected, "{wanted}");
        }
    }

    #[test]
    fn edits_are_counted() {
        for (a, b, expected) in [("", "abc", 3), ("kitten", "sitting", 3), ("ä", "a", 1)] {
            assert_eq!(distance(a, b), Some(expected), "{a} {b}");
        }
    }
}
