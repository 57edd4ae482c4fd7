//! Dependencies whose version changes with a file that names exact ones: crates in `Cargo.lock`,
//! modules in `go.mod`.

use std::collections::{BTreeMap, BTreeSet};

/// A crate or module whose version changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The crate's name as the registry has it, or the module's path.
    pub name: String,
    /// Versions at base that head does not have; empty when it was added.
    pub base: Vec<String>,
    /// Versions at head that base does not have; empty when it was removed.
    pub head: Vec<String>,
    /// Line of its entry in that file at head, else at base, counted from 1.
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

/// By name.
type Packages = BTreeMap<String, Package>;

/// A file that names exact versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Versions {
    /// `Cargo.lock`, which holds nothing else.
    CargoLock,
    /// `go.mod`, which tells other things besides.
    GoMod,
}

impl Versions {
    /// Whether the file at this path is one.
    pub(crate) fn of_file(path: &str) -> Option<Versions> {
        match path.rsplit('/').next() {
            Some("Cargo.lock") => Some(Versions::CargoLock),
            Some("go.mod") => Some(Versions::GoMod),
            _ => None,
        }
    }

    /// What differs between two texts of it. Packages of the workspace have no source, and are none.
    pub(crate) fn changed(self, base: &[u8], head: &[u8]) -> Vec<Dependency> {
        match self {
            Versions::CargoLock => changed_dependencies(&packages(base), &packages(head)),
            Versions::GoMod => changed_dependencies(&modules(base).0, &modules(head).0),
        }
    }

    /// Whether two texts of it differ in nothing but what [`Versions::changed`] tells.
    pub(crate) fn tells_all(self, base: &[u8], head: &[u8]) -> bool {
        self == Versions::CargoLock || modules(base).1 == modules(head).1
    }
}

/// The packages whose releases differ, in the order of names.
fn changed_dependencies(base: &Packages, head: &Packages) -> Vec<Dependency> {
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
fn packages(text: &[u8]) -> Packages {
    let text = String::from_utf8_lossy(text);
    let mut packages = Packages::new();
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

/// The modules that a `go.mod` requires, alone in a line or in a block, and all other lines without
/// their comments ("go.mod file reference" of the Go documentation).
fn modules(text: &[u8]) -> (Packages, Vec<String>) {
    let text = String::from_utf8_lossy(text);
    let (mut modules, mut others) = (Packages::new(), Vec::new());
    let mut in_block = false;
    for (number, row) in (1u32..).zip(text.lines()) {
        let row = row.split("//").next().unwrap_or_default();
        let words: Vec<&str> = row.split_whitespace().collect();
        match (&words[..], in_block) {
            ([], _) => {}
            (["require", "("], _) => in_block = true,
            ([")"], true) => in_block = false,
            (["require", path, version], false) | ([path, version], true) => {
                let path = path.trim_matches('"').to_owned();
                let module = modules.entry(path).or_default();
                module.releases.insert((version.to_string(), String::new()));
                module.line = number;
            }
            _ => others.push(words.join(" ")),
        }
    }
    (modules, others)
}

/// Name, version and the rest of the path of a file of a registry's crate or of a module:
/// `foo-bar`, `1.2.3-rc.1`, `src/lib.rs` of `foo-bar-1.2.3-rc.1/src/lib.rs`, and `x.org/y`, `v1.2.3`,
/// `z.go` of `x.org/y@v1.2.3/z.go`. The version is empty for crates from git.
pub(crate) fn crate_of(path: &str) -> Option<(&str, &str, &str)> {
    if let Some((module, rest)) = path.split_once("@v") {
        let (_, inner) = rest.split_once('/')?;
        let version = &path[module.len() + 1..path.len() - inner.len() - 1];
        return Some((module, version, inner));
    }
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
        let lock = Versions::of_file("a/Cargo.lock").unwrap();
        let words: Vec<String> = lock
            .changed(base.as_bytes(), head.as_bytes())
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
        assert!(lock.changed(base.as_bytes(), base.as_bytes()).is_empty());
    }

    /// Modules stand alone or in blocks, with comments behind them; anything else of the file is told
    /// apart from them.
    #[test]
    fn modules_that_differ_are_told() {
        let base = "module x.org/app\n\ngo 1.19\n\nrequire x.org/one v1.0.0\n\nrequire (\n\tx.org/two v0.1.0 // indirect\n\t\"x.org/three\" v2.0.0+incompatible\n)\n\nreplace x.org/two => ../two\n";
        let module = Versions::of_file("go.mod").unwrap();
        let told = |from: &str, to: &str| {
            let head = base.replace(from, to);
            let changed = module.changed(base.as_bytes(), head.as_bytes());
            let words = changed
                .iter()
                .map(|it| format!("{} {}", it.line, it.in_words()));
            let all = module.tells_all(base.as_bytes(), head.as_bytes());
            (words.collect::<Vec<_>>(), all)
        };
        let cases = [
            (
                "one v1.0.0",
                "one v1.1.0",
                "5 x.org/one v1.0.0 -> v1.1.0",
                true,
            ),
            (
                "two v0.1.0",
                "two v0.1.1",
                "8 x.org/two v0.1.0 -> v0.1.1",
                true,
            ),
            (
                "v2.0.0+inc",
                "v2.1.0+inc",
                "9 x.org/three v2.0.0+incompatible -> v2.1.0+incompatible",
                true,
            ),
            ("// indirect", "", "", true),
            ("go 1.19", "go 1.20", "", false),
            ("../two", "../other", "", false),
        ];
        for (from, to, expected, all) in cases {
            let expected: Vec<String> = [expected]
                .into_iter()
                .filter(|it| !it.is_empty())
                .map(str::to_owned)
                .collect();
            assert_eq!(told(from, to), (expected, all), "{from}");
        }
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
            (
                "x.org/a/v2@v2.0.1-0.2021/b/c.go",
                Some(("x.org/a/v2", "v2.0.1-0.2021", "b/c.go")),
            ),
            ("library/core/src/num.rs", None),
            ("a-1/src/lib.rs", None),
        ];
        for (path, expected) in cases {
            assert_eq!(crate_of(path), expected, "{path}");
        }
    }
}
