//! Which names are like the one that was meant.

use hotproof_diff::edits;

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

/// Names so long are mistyped by nobody.
const LONGEST: usize = 256;

fn distance(a: &str, b: &str) -> Option<usize> {
    let is_short = |name: &str| name.chars().count() <= LONGEST;
    (is_short(a) && is_short(b)).then(|| edits(a, b))
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
}
