//! `hotproof stat`: exact counts of runs.

use serde_json::Value;

use crate::run::{Ran, hotproof};

fn document(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap()
}

fn figure<'a>(document: &'a Value, name: &str) -> &'a Value {
    let counters = document["counters"].as_array().unwrap();
    let found = counters.iter().find(|counter| counter["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {document}"))
}

/// Each run is counted, the children's memory and faults with it, and the command's own output
/// does not mix with the document.
#[test]
fn stat_counts_every_run_of_the_whole_tree() {
    let folder = tempfile::tempdir().unwrap();
    // The child of the shell touches 64 MiB, which are 16,384 pages of 4 KiB.
    let child = "echo noise; (head -c 67108864 /dev/zero | tail -c 67108864 | wc -c)";
    let arguments = ["stat", "--json", "-r", "3", "--", "sh", "-c", child];
    let ran = hotproof(folder.path(), &arguments).ends_with(0);
    let document = document(&ran);
    assert_eq!(document["runs"], 3);
    let memory = figure(&document, "peak-memory");
    assert_eq!(memory["values"].as_array().unwrap().len(), 3);
    assert!(memory["least"].as_u64().unwrap() > 60 << 20, "{memory}");
    let faults = figure(&document, "page-faults");
    assert!(faults["least"].as_u64().unwrap() > 15_000, "{faults}");
    let wall = figure(&document, "wall-time");
    assert!(wall["standard_deviation"].as_f64().is_some(), "{wall}");
}

/// A descendant that left the session is in the counted CPU time, but not in what the system adds up
/// of those that were waited for: that is said.
#[test]
fn stat_tells_of_time_that_nobody_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let counted = |command: &str| {
        hotproof(
            folder.path(),
            &["stat", "--json", "--", "sh", "-c", command],
        )
        .ends_with(0)
        .stdout
    };
    let work = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";
    let note = "descendants of the target that nobody had waited for";
    // It is kept alive until the shell has gone, so that nobody has waited for it.
    let left = format!(
        "setsid sh -c '{work}; : > ready; exec sleep 60' >/dev/null 2>&1 & while [ ! -e ready ]; do sleep 0.01; done; echo $!"
    );
    let left = format!("{left} > number");
    assert!(counted(&left).contains(note), "its time is counted");
    let number = std::fs::read_to_string(folder.path().join("number")).unwrap();
    let ended = std::process::Command::new("kill")
        .arg(number.trim())
        .status();
    assert!(ended.unwrap().success(), "it still ran");
    assert!(!counted(&format!("sh -c '{work}' & wait")).contains(note));
}

/// A failing command is told and ends the series; what was counted is still shown.
#[test]
fn stat_tells_of_a_failing_command() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["stat", "--json", "-r", "5", "--", "sh", "-c", "exit 3"];
    let ran = hotproof(folder.path(), &arguments)
        .ends_with(21)
        .says(&["ended with status 3 in run 1"]);
    assert_eq!(document(&ran)["runs"], 1);
    hotproof(folder.path(), &["stat", "--", "./no-such-program"])
        .ends_with(21)
        .says(&["not found"]);
}

/// With -o the result goes to a file, whole, and the command's output can be let through.
#[test]
fn stat_writes_a_file_and_lets_output_through() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "stat",
        "-o",
        "cost.txt",
        "--show-output",
        "--",
        "echo",
        "hello",
    ];
    let ran = hotproof(folder.path(), &arguments)
        .ends_with(0)
        .says(&["hello"]);
    assert_eq!(ran.stdout, "");
    let text = std::fs::read_to_string(folder.path().join("cost.txt")).unwrap();
    assert!(text.starts_with("echo hello   1 run\n"), "{text}");
    assert!(text.contains("wall-time"), "{text}");
}
