//! Transformations, views and differences, by the built binary over the reference recordings.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::run::{Ran, hotproof};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("profiles")
}

fn run(arguments: &[&str]) -> Ran {
    hotproof(&folder(), arguments)
}

/// The sum of the weights of folded stacks, and the stacks.
fn folded(arguments: &[&str]) -> (i64, String) {
    let text = run(&[&["export", "-f", "folded"], arguments].concat())
        .ends_with(0)
        .stdout;
    let weight = |line: &str| -> i64 { line.rsplit(' ').next().unwrap().parse().unwrap() };
    (text.lines().map(weight).sum(), text)
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&run(arguments).ends_with(0).stdout).unwrap()
}

#[test]
fn rewriting_frames_keeps_the_whole_weight() {
    let (whole, _) = folded(&["ripgrep.hotproof"]);
    for flags in [
        &["--hide", "."][..],
        &["--show", "regex"],
        &["--prune-from", "search"],
        &["--no-inline"],
        &["--reverse"],
        &["--group", "thread"],
        &["--group", "process"],
        &["--group", "image"],
        &["--group", "crate"],
        &["--group", "file"],
        &["--strip-paths"],
    ] {
        let (sum, text) = folded(&[&["ripgrep.hotproof"], flags].concat());
        assert_eq!(sum, whole, "{flags:?}");
        let (_, again) = folded(&[&["ripgrep.hotproof"], flags].concat());
        assert_eq!(text, again, "{flags:?}");
    }
}

#[test]
fn focus_and_ignore_part_the_whole() {
    let (whole, _) = folded(&["ripgrep.hotproof"]);
    let (focus, stacks) = folded(&["ripgrep.hotproof", "--focus", "hybrid"]);
    let (rest, other) = folded(&["ripgrep.hotproof", "--ignore", "hybrid"]);
    assert!(focus > 0 && rest > 0);
    assert_eq!(focus + rest, whole);
    assert!(stacks.lines().all(|line| line.contains("hybrid")));
    assert!(!other.contains("hybrid"));
}

#[test]
fn a_focus_is_the_same_in_report_and_export_and_sees_hidden_frames() {
    let arguments = ["ripgrep.hotproof", "--focus", "hybrid", "--hide", "hybrid"];
    let (focus, _) = folded(&[&arguments[..], &["--weight", "samples"]].concat());
    let document = json(&[&["report", "--json"], &arguments[..]].concat());
    assert_eq!(document["focus"]["samples"], focus);
    assert!(focus > 0 && focus < document["samples"].as_i64().unwrap());
}

#[test]
fn several_inputs_add_up_and_unlike_ones_are_refused() {
    let (one, _) = folded(&["ripgrep.hotproof"]);
    let (two, _) = folded(&["ripgrep.hotproof", "ripgrep.hotproof"]);
    assert_eq!(two, 2 * one);
    run(&["report", "ripgrep.hotproof", "leaf.hotproof"])
        .ends_with(2)
        .says(&[
            "ripgrep.hotproof and leaf.hotproof do not add up",
            "period or rate",
        ]);
}

#[test]
fn stretches_of_time_part_the_whole() {
    let (whole, _) = folded(&["ripgrep.hotproof"]);
    let (first, _) = folded(&["ripgrep.hotproof", "--time", "-2s"]);
    let (second, _) = folded(&["ripgrep.hotproof", "--time", "2s-"]);
    assert!(first > 0 && second > 0);
    assert_eq!(first + second, whole);
}

#[test]
fn what_is_not_there_is_refused_with_what_is() {
    for (flags, text) in [
        (["--thread", "nobody"], "no thread `nobody`; it has rg"),
        (["--process", "0"], "no process `0`; it has"),
        (["--weight", "bytes"], "no weight `bytes`; it has"),
        (["--time", "9s-1s"], "it ends before it begins"),
        (["--focus", "("], "regex parse error"),
    ] {
        run(&[&["report", "ripgrep.hotproof"], &flags[..]].concat())
            .ends_with(2)
            .says(&[text]);
    }
}

#[test]
fn one_call_writes_several_files_or_none() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name).display().to_string();
    let (svg, text, pprof) = (at("a.svg"), at("a.folded"), at("a.pb.gz"));
    run(&[
        "export",
        "leaf.hotproof",
        "-o",
        &svg,
        "-o",
        &text,
        "-o",
        &pprof,
    ])
    .ends_with(0);
    assert!(fs::read_to_string(&svg).unwrap().contains("<svg"));
    assert_eq!(
        fs::read_to_string(&text).unwrap(),
        folded(&["leaf.hotproof"]).1
    );
    assert!(fs::metadata(&pprof).unwrap().len() > 0);
    let (fresh, nowhere) = (at("b.svg"), at("none/b.folded"));
    run(&["export", "leaf.hotproof", "-o", &fresh, "-o", &nowhere]).ends_with(1);
    assert!(
        !fs::exists(&fresh).unwrap(),
        "half of the outputs were written"
    );
}

#[test]
fn stripped_paths_name_no_folder_of_the_machine() {
    let shown = |flags: &[&str]| {
        run(&[
            &["report", "ripgrep.hotproof", "--json", "--min-percent", "0"],
            flags,
        ]
        .concat())
        .ends_with(0)
        .stdout
    };
    let whole = shown(&[]);
    let stripped = shown(&["--strip-paths"]);
    for folder in ["/tmp/rg/bin/", "\"/cargo/", "\"/ripgrep/"] {
        assert!(whole.contains(folder), "{folder}");
        assert!(!stripped.contains(folder), "{folder}");
    }
}

#[test]
fn trees_callers_callees_and_lines() {
    let tree = run(&["report", "leaf.hotproof", "--tree", "--min-percent", "5"]).ends_with(0);
    assert!(tree.stdout.contains("main") && tree.stdout.contains("calls from the root"));
    let callers = run(&["report", "leaf.hotproof", "--callers", "main"]).ends_with(0);
    assert!(
        callers.stdout.contains("__libc_start_call_main"),
        "{}",
        callers.stdout
    );
    let callees = run(&["report", "leaf.hotproof", "--callees", "main"]).ends_with(0);
    assert!(!callees.stdout.contains("__libc_start_call_main"));
    let lines = run(&["report", "leaf.hotproof", "--lines", "main"]).ends_with(0);
    assert!(
        lines.stdout.contains("total: samples with the line"),
        "{}",
        lines.stdout
    );
    run(&["report", "leaf.hotproof", "--callers", "nonesuch"])
        .ends_with(2)
        .says(&["no function `nonesuch` was seen"]);
    run(&["report", "leaf.hotproof", "--tree", "--json"]).ends_with(2);
}

#[test]
fn a_diff_joins_functions_and_says_what_it_lacks() {
    let same = json(&[
        "diff",
        "leaf.hotproof",
        "leaf.hotproof",
        "--min-percent",
        "0",
        "--json",
    ]);
    assert_eq!(same["schema"]["name"], "hotproof.diff");
    let functions = same["functions"].as_array().unwrap();
    assert!(!functions.is_empty());
    for function in functions {
        assert_eq!(function["presence"], "both", "{function}");
        assert_eq!(function["self"]["change"], 0.0, "{function}");
    }
    let other = run(&["diff", "ripgrep.hotproof", "sqlite3.hotproof"]).ends_with(0);
    for text in ["added", "removed", "no interval", "hotproof compare"] {
        assert!(other.stdout.contains(text), "{text}: {}", other.stdout);
    }
}

#[test]
fn a_diff_is_written_as_stacks_and_as_a_picture() {
    let place = tempfile::tempdir().unwrap();
    let svg = place.path().join("change.svg").display().to_string();
    run(&["diff", "ripgrep.hotproof", "sqlite3.hotproof", "-o", &svg]).ends_with(0);
    let first = fs::read_to_string(&svg).unwrap();
    assert!(first.contains("[only in base]"));
    run(&["diff", "ripgrep.hotproof", "sqlite3.hotproof", "-o", &svg]).ends_with(0);
    assert_eq!(first, fs::read_to_string(&svg).unwrap());
    let arguments = [
        "diff",
        "ripgrep.hotproof",
        "sqlite3.hotproof",
        "-f",
        "folded",
    ];
    let text = run(&arguments).ends_with(0).stdout;
    let sums = text.lines().fold([0i64, 0], |sums, line| {
        let mut columns = line.rsplit(' ').map(|word| word.parse::<i64>().unwrap());
        let head = columns.next().unwrap();
        [sums[0] + columns.next().unwrap(), sums[1] + head]
    });
    let wholes =
        ["ripgrep.hotproof", "sqlite3.hotproof"].map(|file| folded(&[file, "--weight", "cpu"]).0);
    assert_eq!(sums, wholes);
}

/// Every format that is written and read again holds the same samples.
#[test]
fn what_is_exported_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let leaf = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/leaf.hotproof");
    let leaf = leaf.to_str().unwrap();
    let native = folded_weight(here, leaf);
    assert!(native > 0);
    let names = [
        "a.folded",
        "a.pb.gz",
        "a.firefox.json.gz",
        "a.speedscope.json",
    ];
    for name in names {
        hotproof(here, &["export", leaf, "-o", name, "-q"]).ends_with(0);
        assert_eq!(folded_weight(here, name), native, "{name}");
    }
    // A Chrome trace knows time alone: a sample is a millisecond there, and comes back as such.
    hotproof(here, &["export", leaf, "-o", "a.trace.json", "-q"]).ends_with(0);
    assert_eq!(folded_weight(here, "a.trace.json"), native * 1_000_000);
    let json = hotproof(here, &["export", leaf, "-f", "json", "-q"])
        .ends_with(0)
        .stdout;
    serde_json::from_str::<Value>(&json).expect("JSON");
    let lines = hotproof(here, &["export", leaf, "-f", "callgrind", "-q"])
        .ends_with(0)
        .stdout;
    assert!(lines.contains("fn="), "{lines}");
}

/// The weight of all folded stacks of a profile.
fn folded_weight(here: &Path, name: &str) -> u64 {
    let text = hotproof(here, &["export", name, "-f", "folded", "-q"])
        .ends_with(0)
        .stdout;
    let weights = text
        .lines()
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    weights.sum()
}
