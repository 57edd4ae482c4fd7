//! `compare`, `verdict` and `demo` on repositories whose truth is known.

use std::fs;
use std::path::Path;

use crate::run::{Ran, alone, commit, decided, git, hotproof, on_a_quiet_machine, perf_opens};

/// A C program with two functions of work: `hot` turns `hot_rounds`, `cold` turns `cold_rounds`.
fn program(hot_rounds: u32, cold_rounds: u32, comment: &str) -> String {
    format!(
        "#include <stdio.h>
static volatile unsigned sink;
/* {comment} */
__attribute__((noinline)) static void hot(void) {{
    for (unsigned i = 0; i < {hot_rounds}; i++) sink = sink * 31 + i;
}}
__attribute__((noinline)) static void cold(void) {{
    for (unsigned i = 0; i < {cold_rounds}; i++) sink = sink * 37 + i;
}}
int main(void) {{
    for (int i = 0; i < 100; i++) hot();
    cold();
    puts(\"the same on both sides\");
}}
"
    )
}

fn repository(base: &str, head: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    commit(
        folder.path(),
        "base",
        &[("bench.c", base), (".gitignore", "/bench\n")],
    );
    commit(folder.path(), "head", &[("bench.c", head)]);
    folder
}

/// Which kind of verdict is the right one.
#[derive(Clone, Copy)]
enum Expected {
    Decided,
    Inconclusive,
}

/// The status and the document of a comparison that comes to a verdict wherever the machine lets it.
fn compare(folder: &Path, more: &[&str], verdict: Expected) -> Option<(i32, serde_json::Value)> {
    let build = "cc -O2 -g -o bench bench.c";
    let start = [
        "compare", "main~1", "main", "--json", "--build", build, "--seed", "7",
    ];
    let arguments = [&start, more, &["--", "./bench"]].concat();
    let compare = || {
        // What an earlier try logged.
        let _ = fs::remove_dir_all(folder.join(".hotproof"));
        hotproof(folder, &arguments)
    };
    let ran = match verdict {
        Expected::Decided => decided("compare", compare),
        Expected::Inconclusive => on_a_quiet_machine("compare", compare),
    };
    ran.map(|ran| read(&ran))
}

fn read(ran: &Ran) -> (i32, serde_json::Value) {
    let json = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.stderr));
    // What agents read is held to what is published.
    let schema =
        serde_json::from_str(hotproof_report::schema::COMPARE).expect("the schema is JSON");
    if let Err(error) = jsonschema::validate(&schema, &json) {
        panic!("{error} at {}", error.instance_path());
    }
    (ran.status, json)
}

fn function<'a>(json: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    let rows = json["functions"].as_array().expect("a list of functions");
    rows.iter()
        .find(|row| row["name"] == name)
        .unwrap_or_else(|| panic!("no {name} in {json}"))
}

#[test]
fn a_faster_hot_function_is_kept_and_explained() {
    if !perf_opens("compare, keep") {
        return;
    }
    let _machine = alone();
    let folder = repository(
        &program(300_000, 3_000_000, "a"),
        &program(200_000, 3_000_000, "a"),
    );
    let here = folder.path();
    let Some((status, json)) = compare(here, &[], Expected::Decided) else {
        return;
    };
    assert_eq!(
        (status, json["verdict"].as_str()),
        (0, Some("keep")),
        "{json}"
    );
    let hot = function(&json, "hot");
    assert_eq!(
        (hot["hot"].as_str(), hot["changed"].as_bool()),
        (Some("yes"), Some(true)),
        "{hot}"
    );
    assert_eq!(function(&json, "cold")["changed"], false);

    // The log, from which the same verdict comes again.
    let log = fs::read_to_string(here.join(".hotproof/log.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 1);
    let again = hotproof(here, &["verdict", "--json"]).ends_with(0).stdout;
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&again).unwrap(),
        json
    );
    assert_eq!(
        git(here, ["status", "--porcelain"]),
        "",
        "the log shows up in git"
    );

    let text = hotproof(here, &["verdict", ".hotproof/log.jsonl:1"])
        .ends_with(0)
        .stdout;
    assert!(text.starts_with("KEEP"), "{text}");
    for heading in [
        "End to End",
        "Per-Function Breakdown",
        "Share of Benchmark Time",
    ] {
        assert!(text.contains(heading), "{heading} is missing:\n{text}");
    }
    assert_eq!(git(here, ["worktree", "list"]).lines().count(), 1);
}

#[test]
fn a_slower_program_is_a_regression() {
    if !perf_opens("compare, regression") {
        return;
    }
    let _machine = alone();
    let folder = repository(
        &program(200_000, 3_000_000, "a"),
        &program(300_000, 3_000_000, "a"),
    );
    let Some((status, json)) = compare(folder.path(), &[], Expected::Decided) else {
        return;
    };
    assert_eq!(
        (status, json["verdict"].as_str()),
        (11, Some("regression")),
        "{json}"
    );
}

#[test]
fn a_change_off_the_hot_path_is_named_as_such() {
    if !perf_opens("compare, off the hot path") {
        return;
    }
    let _machine = alone();
    let folder = repository(
        &program(300_000, 30_000, "a"),
        &program(300_000, 10_000, "a"),
    );
    let Some((status, json)) = compare(
        folder.path(),
        &["--min-effect", "3", "--precision", "2"],
        Expected::Decided,
    ) else {
        return;
    };
    assert_eq!(
        (status, json["verdict"].as_str()),
        (13, Some("not_on_hot_path")),
        "{json}"
    );
    assert_eq!(function(&json, "cold")["hot"], "no");
}

#[test]
fn a_comment_is_no_change_of_code() {
    let folder = repository(
        &program(300_000, 30_000, "a"),
        &program(300_000, 30_000, "b"),
    );
    let Some((status, json)) = compare(folder.path(), &[], Expected::Decided) else {
        return;
    };
    assert_eq!(
        (status, json["verdict"].as_str()),
        (10, Some("discard")),
        "{json}"
    );
    assert_eq!(
        json["runs"]["pairs"], 0,
        "nothing had to be measured: {json}"
    );
}

#[test]
fn different_results_are_no_keep() {
    if !perf_opens("compare, different output") {
        return;
    }
    let _machine = alone();
    let head = program(150_000, 3_000_000, "a").replace("the same", "not the same");
    let folder = repository(&program(300_000, 3_000_000, "a"), &head);
    let Some((status, json)) = compare(folder.path(), &[], Expected::Inconclusive) else {
        return;
    };
    assert_eq!(
        (status, json["verdict"].as_str()),
        (12, Some("inconclusive")),
        "{json}"
    );
    assert!(
        json["reason"].as_str().unwrap().contains("output"),
        "{json}"
    );
}

#[test]
fn a_program_without_debug_information_is_told_and_never_called_cold() {
    if !perf_opens("compare without debug information") {
        return;
    }
    let _machine = alone();
    let folder = repository(
        &program(300_000, 3_000_000, "a"),
        &program(200_000, 3_000_000, "a"),
    );
    let build = "cc -O2 -o bench bench.c";
    let arguments = ["compare", "main~1", "main", "--json", "--pairs", "2"];
    let ran = hotproof(
        folder.path(),
        &[&arguments[..], &["--build", build, "--", "./bench"]].concat(),
    );
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).expect(&ran.stderr);
    let warnings = json["warnings"].to_string();
    assert!(
        warnings.contains("bench has no debug information"),
        "{warnings}"
    );
    // The measured difference in `hot` is too small to count, and `hot` is all of the run.
    let folder = repository(&program(300_000, 3_000, "a"), &program(300_003, 3_000, "a"));
    let more = ["--min-effect", "3", "--precision", "2", "--seed", "7"];
    let arguments = ["compare", "main~1", "main", "--json", "--build", build];
    let arguments = [&arguments[..], &more, &["--", "./bench"]].concat();
    let compare = || hotproof(folder.path(), &arguments);
    let Some(ran) = on_a_quiet_machine("no debug information", compare) else {
        return;
    };
    let (status, json) = read(&ran);
    assert_ne!(status, 13, "{json}");
    assert_eq!(function(&json, "hot")["hot"], "undecided");
}

#[test]
fn the_demo_shows_a_verdict_and_leaves_nothing() {
    if !perf_opens("demo") {
        return;
    }
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let demo = || {
        let mut demo = crate::run::command(folder.path(), &["demo"]);
        crate::run::finish(demo.env("TMPDIR", folder.path()))
    };
    let Some(ran) = on_a_quiet_machine("demo", demo) else {
        return;
    };
    let ran = ran.ends_with(0);
    assert!(ran.stdout.starts_with("KEEP"), "{}", ran.stdout);
    assert!(ran.stdout.contains("adler32"), "{}", ran.stdout);
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "the demo left something behind");
}
