//! The recordings in `profiles/`, which carry all that is needed to read them, against what was
//! reported when they were made.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::run::hotproof;

/// Compares the report of `profiles/NAME.hotproof` with `profiles/NAME.json`.
///
/// Functions, order, shares and quality must be the same; how the rest of the document is laid out
/// is the schema's affair. `profiles/README.md` says how both files are made.
fn check(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    let recording = format!("{name}.hotproof");
    let arguments = [
        "report", &recording, "--sort", "self", "--top", "8", "--json",
    ];
    let ran = hotproof(&folder, &arguments).ends_with(0);
    let again = hotproof(&folder, &arguments).ends_with(0);
    assert_eq!(
        ran.stdout, again.stdout,
        "the same recording gave two reports"
    );

    let golden = fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
    let golden: Value = serde_json::from_str(&golden).unwrap();
    let now: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(now["functions"].as_array().map(Vec::len), Some(8), "{name}");
    for part in [
        "command",
        "event",
        "rate_hz",
        "samples",
        "functions",
        "quality",
    ] {
        assert_eq!(now[part], golden[part], "{name}: `{part}`");
    }
}

#[test]
fn ripgrep_with_debug_information_reads_as_when_it_was_made() {
    check("ripgrep");
}

#[test]
fn stripped_sqlite_reads_as_when_it_was_made() {
    check("sqlite3");
}

#[test]
fn the_shared_leaf_reads_as_when_it_was_made() {
    check("leaf");
}
