//! Dependencies whose version changes with the lock file.

use std::collections::{BTreeMap, BTreeSet};

/// A crate whose version changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The crate's name as the registry has it.
    pub name: String,
    /// Versions at base that head does not have; empty when it was added.
    pub base: Vec<String>,
    /// Versions at head that base does not have; empty when it was removed.
    pub head: Vec<String>,
    /// Line of its entry in the lock file at head, else at base, counted from 1.
    pub line: u32,
}

impl Dependency {
    /// `foo 1.2.3 -> 1.2.4`, `foo 1.2.3 added`.
    pub fn in_words(&self) -> String {
        let (base, head) = (self.base.join(", "), self.head.join(", "));
        match (base.is_empty(), head.is_empty()) {
            (true, _) => format!("{} {head} added", self.name),
            (_, true) => format!("{} {base} removed", self.name),
            _ => format!("{} {base} -> {head}", self.name),
        }
    }
}

/// What identifies a release: version, and where it came from.
type Release = (String, String);

#[derive(Default)]
struct Package {
    releases: BTreeSet<Release>,
    line: u32,
}

/// The crates of a registry or of git whose releases differ between two texts of `Cargo.lock`;
/// packages of the workspace have no source, and are none. In the order of names.
pub(crate) fn changed_dependencies(base: &[u8], head: &[u8]) -> Vec<Dependency> {
    let (base, head) = (packages(base), packages(head));
    let names: BTreeSet<&String> = base.keys().chain(head.keys()).collect();
    let none = Package::default();
    names
        .into_iter()
        .filter_map(|name| {
            let old = base.get(name).unwrap_or(&none);
            let new = head.get(name).unwrap_or(&none);
            let versions = |a: &Package, b: &Package| -> Vec<String> {
                let only = a.releases.difference(&b.releases);
                only.map(|(version, _)| version.clone()).collect()
            };
            let (gone, came) = (versions(old, new), versions(new, old));
            (!gone.is_empty() || !came.is_empty()).then(|| Dependency {
                name: name.clone(),
                base: gone,
                head: came,
                line: if new.line > 0 { new.line } else { old.line },
            })
        })
        .collect()
}

/// The packages of a lock file that have a source. The file is written by cargo, one key a line;
/// what is not understood is passed over.
fn packages(text: &[u8]) -> BTreeMap<String, Package> {
    let text = String::from_utf8_lossy(text);
    let mut packages: BTreeMap<String, Package> = BTreeMap::new();
    let (mut name, mut version, mut line) = (String::new(), String::new(), 0);
    for (number, row) in (1u32..).zip(text.lines()) {
        if row.trim() == "[[package]]" {
            (name, version, line) = (String::new(), String::new(), number);
            continue;
        }
        let Some((key, value)) = row.split_once(" = ") else {
            continue;
        };
        let value = value.trim().trim_matches('"');
        match key.trim() {
            "name" => name = value.to_owned(),
            "version" if !name.is_empty() => version = value.to_owned(),
            "source" if !name.is_empty() && !version.is_empty() => {
                let package = packages.entry(name.clone()).or_default();
                package.releases.insert((version.clone(), value.to_owned()));
                package.line = line;
            }
            _ => {}
        }
    }
    packages
}

/// Name, version and the rest of the path of a file of a registry's crate:
/// `foo-bar`, `1.2.3-rc.1`, `src/lib.rs` of `foo-bar-1.2.3-rc.1/src/lib.rs`. The version is empty
/// for crates from git.
pub(crate) fn crate_of(path: &str) -> Option<(&str, &str, &str)> {
    let (folder, rest) = path.split_once('/')?;
    if let Some(name) = folder.strip_suffix("-git") {
        return Some((name, "", rest));
    }
    let starts = folder.match_indices('-').map(|(at, _)| at);
    let found = starts.into_iter().find(|&at| {
        let mut numbers = folder[at + 1..].splitn(3, '.');
        let is_number = |part: Option<&str>| {
            part.is_some_and(|part| {
                !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
            })
        };
        is_number(numbers.next())
            && is_number(numbers.next())
            && numbers
                .next()
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    })?;
    Some((&folder[..found], &folder[found + 1..], rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_differ_are_told() {
        let package = |name: &str, version: &str, source: &str| {
            format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n{source}\n")
        };
        let registry = "source = \"registry+x\"\nchecksum = \"00\"\ndependencies = [\n \"b\",\n]";
        let text = |rows: &[(&str, &str, &str)]| -> String {
            let rows = rows.iter().map(|(n, v, s)| package(n, v, s));
            format!("version = 4\n\n{}", rows.collect::<String>())
        };
        let base = text(&[
            ("a", "1.0.0", registry),
            ("b", "0.1.0", registry),
            ("b", "0.2.0", registry),
            ("gone", "1.0.0", registry),
            ("own", "0.1.0", ""),
            ("g", "0.1.0", "source = \"git+y#1\""),
        ]);
        let head = text(&[
            ("a", "1.0.1", registry),
            ("b", "0.1.0", registry),
            ("b", "0.3.0", registry),
            ("new", "1.0.0", registry),
            ("own", "0.2.0", ""),
            ("g", "0.1.0", "source = \"git+y#2\""),
        ]);
        let words: Vec<String> = changed_dependencies(base.as_bytes(), head.as_bytes())
            .iter()
            .map(Dependency::in_words)
            .collect();
        let expected = [
            "a 1.0.0 -> 1.0.1",
            "b 0.2.0 -> 0.3.0",
            "g 0.1.0 -> 0.1.0",
            "gone 1.0.0 removed",
            "new 1.0.0 added",
        ];
        assert_eq!(words, expected);
        assert!(changed_dependencies(base.as_bytes(), base.as_bytes()).is_empty());
    }

    #[test]
    fn a_crate_is_known_by_its_folder() {
        let cases = [
            (
                "serde-1.0.1/src/de.rs",
                Some(("serde", "1.0.1", "src/de.rs")),
            ),
            (
                "a-b2-0.1.0-rc.1+x/lib.rs",
                Some(("a-b2", "0.1.0-rc.1+x", "lib.rs")),
            ),
            ("sha-1-0.10.0/a.rs", Some(("sha-1", "0.10.0", "a.rs"))),
            ("foo-git/src/a.rs", Some(("foo", "", "src/a.rs"))),
            ("library/core/src/num.rs", None),
            ("a-1/src/lib.rs", None),
        ];
        for (path, expected) in cases {
            assert_eq!(crate_of(path), expected, "{path}");
        }
    }
}
