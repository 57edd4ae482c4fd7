//! The crate table of the code map, held to by the manifests: who may use which crate of ours, and
//! which crates of others a crate must never use.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Crate, what it may use of ours, what of others it must never use.
const TABLE: [(&str, &[&str], &[&str]); 8] = [
    (
        "profile",
        &[],
        &[
            "serde", "clap", "object", "gimli", "rustix", "libc", "memmap2",
        ],
    ),
    ("image", &["profile"], &["perf-event", "serde", "clap"]),
    (
        "profiler",
        &["profile", "image"],
        &["addr2line", "clap", "inferno", "prost"],
    ),
    (
        "symbolizer",
        &["profile", "image"],
        &["perf-event", "clap", "prost"],
    ),
    (
        "formats",
        &["profile"],
        &["object", "gimli", "perf-event", "clap"],
    ),
    (
        "diff",
        &["profile"],
        &["rustix", "libc", "tempfile", "memmap2", "serde", "clap"],
    ),
    (
        "lab",
        &["profile", "profiler", "symbolizer", "diff"],
        &["clap", "inferno", "prost"],
    ),
    (
        "report",
        &["profile", "diff", "formats"],
        &["object", "gimli", "perf-event", "rustix"],
    ),
];

/// The crates that may hold unsafe code, and in how many files at most.
const UNSAFE: [(&str, usize); 2] = [("profiler", 2), ("image", 1)];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn manifest(path: &Path) -> toml::Table {
    let text = std::fs::read_to_string(path).expect("a manifest can be read");
    text.parse().expect("a manifest is TOML")
}

fn dependencies(manifest: &toml::Table) -> BTreeSet<String> {
    let table = manifest.get("dependencies").and_then(toml::Value::as_table);
    table
        .map(|t| t.keys().cloned().collect())
        .unwrap_or_default()
}

#[test]
fn each_crate_uses_only_what_the_table_allows() {
    let mut faults = Vec::new();
    for (name, ours, never) in TABLE {
        let used = dependencies(&manifest(
            &root().join("crates").join(name).join("Cargo.toml"),
        ));
        for dependency in &used {
            if let Some(own) = dependency.strip_prefix("hotproof-") {
                if !ours.contains(&own) {
                    faults.push(format!("{name} may not use {own}"));
                }
            } else if never.contains(&dependency.as_str()) {
                faults.push(format!("{name} must never use {dependency}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn the_table_names_every_crate() {
    let folders: BTreeSet<String> = std::fs::read_dir(root().join("crates"))
        .expect("the crates folder can be read")
        .map(|entry| entry.expect("an entry can be read").path())
        .filter(|path| path.join("Cargo.toml").exists())
        .map(|path| {
            path.file_name()
                .expect("a folder has a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let named: BTreeSet<String> = TABLE.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(folders, named);
}

#[test]
fn every_dependency_has_a_version_in_one_place_and_a_reason() {
    let path = root().join("Cargo.toml");
    let text = std::fs::read_to_string(&path).expect("the root manifest can be read");
    let section = text
        .split("[workspace.dependencies]")
        .nth(1)
        .expect("the section is there");
    let section = section
        .split("\n[")
        .next()
        .expect("a split has a first part");
    for line in section
        .lines()
        .filter(|line| line.contains(" = ") && !line.starts_with('#'))
    {
        assert!(
            line.contains("path = ") || line.contains(" # "),
            "no reason given: {line}"
        );
        assert!(
            line.contains("path = ") || line.contains("default-features = false"),
            "default features are on: {line}"
        );
    }
    for (name, ..) in TABLE {
        let manifest = manifest(&root().join("crates").join(name).join("Cargo.toml"));
        for section in ["dependencies", "dev-dependencies"] {
            let Some(table) = manifest.get(section).and_then(toml::Value::as_table) else {
                continue;
            };
            for (dependency, value) in table {
                let inherited = value.get("workspace").and_then(toml::Value::as_bool);
                assert_eq!(
                    inherited,
                    Some(true),
                    "{name}: {dependency} has a version of its own"
                );
            }
        }
    }
}

#[test]
fn unsafe_code_stays_in_its_files() {
    let mut found: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
    for (name, ..) in TABLE {
        visit(
            &root().join("crates").join(name).join("src"),
            &mut |path, text| {
                if text.contains("allow(unsafe_code)") {
                    found
                        .entry(name.to_owned())
                        .or_default()
                        .insert(path.to_owned());
                }
            },
        );
    }
    visit(&root().join("crates/cli"), &mut |path, text| {
        assert!(
            !text.contains("allow(unsafe_code)"),
            "unsafe in {}",
            path.display()
        );
    });
    for (name, files) in &found {
        let allowed = UNSAFE
            .iter()
            .find(|(crate_name, _)| crate_name == name)
            .map_or(0, |c| c.1);
        assert!(
            files.len() <= allowed,
            "{name} has unsafe code in {files:?}"
        );
    }
}

fn visit(folder: &Path, each: &mut dyn FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(folder).expect("a source folder can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            visit(&path, each);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            each(
                &path,
                &std::fs::read_to_string(&path).expect("a source file can be read"),
            );
        }
    }
}
