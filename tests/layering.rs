//! The crate table of the code map, held to by the manifests: who may use which crate of ours, and
//! which crates of others a crate must never use.

use std::collections::BTreeSet;
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

/// Where unsafe code may be: system calls and rings, and the memory map.
const UNSAFE: [&str; 4] = [
    "crates/profiler/src/sys.rs",
    "crates/profiler/src/sys/",
    "crates/profiler/src/ring.rs",
    "crates/image/src/mapped.rs",
];

/// What crates of pure values must never name.
const WORLD: [&str; 6] = [
    "std::fs",
    "std::process",
    "std::net",
    "std::env",
    "Instant::now",
    "SystemTime::now",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn manifest(path: &Path) -> toml::Table {
    let text = std::fs::read_to_string(path).expect("a manifest can be read");
    text.parse().expect("a manifest is TOML")
}

fn dependencies(manifest: &toml::Table) -> BTreeSet<String> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let targets = targets.into_iter().flat_map(toml::Table::values);
    let tables = std::iter::once(manifest).chain(targets.filter_map(toml::Value::as_table));
    tables
        .flat_map(|table| ["dependencies", "build-dependencies"].map(|name| table.get(name)))
        .filter_map(|table| table?.as_table())
        .flat_map(|table| table.keys().cloned())
        .collect()
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
    let marks = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"];
    let mut found = BTreeSet::new();
    visit(&root().join("crates"), &mut |path, text| {
        if path.components().all(|part| part.as_os_str() != "tests")
            && marks.iter().any(|mark| text.contains(mark))
        {
            let path = path.strip_prefix(root()).expect("a path below the root");
            found.insert(path.to_string_lossy().into_owned());
        }
    });
    let allowed = |path: &&String| UNSAFE.iter().any(|place| path.starts_with(place));
    let stray: Vec<&String> = found.iter().filter(|path| !allowed(path)).collect();
    assert!(stray.is_empty(), "unsafe code in {stray:?}");
    assert!(!found.is_empty(), "the marks find nothing any more");
}

#[test]
fn crates_of_values_do_not_know_the_world() {
    for name in ["profile", "diff"] {
        let sources = root().join("crates").join(name).join("src");
        visit(&sources, &mut |path, text| {
            for word in WORLD {
                assert!(!text.contains(word), "{} names {word}", path.display());
            }
        });
    }
}

/// The stated `rust-version` is at least what each dependency asks for.
#[test]
fn the_stated_rust_version_is_true() {
    let manifest = manifest(&root().join("Cargo.toml"));
    let stated = manifest["workspace"]["package"]["rust-version"].as_str();
    let stated = version(stated.expect("a version"));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(cargo);
    command.args(["metadata", "--format-version", "1", "--locked", "--offline"]);
    command.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    let ran = crate::run::finish(command.current_dir(root())).ends_with(0);
    let metadata: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let nodes = metadata["resolve"]["nodes"].as_array().expect("nodes");
    let used: BTreeSet<&str> = nodes
        .iter()
        .filter_map(|node| node["id"].as_str())
        .collect();
    let newer = packages.iter().filter(|package| {
        let asked = package["rust_version"].as_str().map(version);
        used.contains(package["id"].as_str().expect("an id")) && asked > Some(stated)
    });
    let newer: Vec<String> = newer.map(|package| package["name"].to_string()).collect();
    assert!(
        newer.is_empty(),
        "{newer:?} need a newer Rust than {stated:?}"
    );
}

fn version(text: &str) -> (u32, u32) {
    let mut parts = text.split('.').map(|part| part.parse().expect("a number"));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next())
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
