//! What people give to read: files of every format, standard input, profiles that do not belong
//! together, and names of files that a profile holds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::run::{Ran, hotproof};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("profiles")
}

fn run(arguments: &[&str]) -> Ran {
    hotproof(&folder(), arguments)
}

/// What people have: one of each format, by the CLI, from a file and from standard input.
#[test]
fn standard_input_is_read_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let leaf = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/leaf.hotproof");
    let leaf = leaf.to_str().unwrap();
    let names = [
        "a.folded",
        "a.pb.gz",
        "a.firefox.json.gz",
        "a.speedscope.json",
        "a.callgrind",
        "a.trace.json",
        "a.json",
        "leaf.hotproof",
        "b.cpuprofile",
        "b.perf-script",
        "a.folded.gz",
    ];
    fs::copy(leaf, here.join("leaf.hotproof")).unwrap();
    let inputs = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/formats/tests/viewers/inputs");
    fs::copy(
        inputs.join("real/node.cpuprofile"),
        here.join("b.cpuprofile"),
    )
    .unwrap();
    let text =
        "perf 1 [000] 1.5: 1 cycles:\n\t401000 frameless+0x1 (/a)\n\t402000 main+0x1 (/a)\n\n";
    fs::write(here.join("b.perf-script"), text.repeat(2000)).unwrap();
    for name in names {
        let is_ours = name.starts_with("a.");
        if name == "a.folded.gz" {
            let mut gzip = Command::new("gzip");
            gzip.args(["-k", "a.folded"]).current_dir(here);
            assert!(gzip.status().unwrap().success());
        } else if is_ours {
            hotproof(here, &["export", leaf, "-o", name, "-q"]).ends_with(0);
        }
        let from_file = hotproof(here, &["report", name, "-q"]).ends_with(0).stdout;
        let mut command = crate::run::command(here, &["report", "-", "-q"]);
        command.stdin(fs::File::open(here.join(name)).unwrap());
        let from_pipe = crate::run::finish(&mut command).ends_with(0).stdout;
        assert_eq!(from_file, from_pipe, "{name}");
        let confirm = hotproof(here, &["confirm", "frameless", "--profile", name, "-q"]);
        match name {
            // Calls are no samples.
            "a.callgrind" => confirm.ends_with(2).says(&["weights below zero"]),
            // A trace has a row for each stretch of time, and knows no samples.
            "a.trace.json" => confirm,
            // It has no such function.
            "b.cpuprofile" => confirm.ends_with(12),
            _ => confirm.ends_with(0),
        };
    }
}

/// The second of two found nothing there, and said that the file was empty.
#[test]
fn standard_input_is_one_profile() {
    let leaf = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/leaf.hotproof");
    for arguments in [&["diff", "-", "-"][..], &["report", "-", "-"]] {
        let mut command = crate::run::command(&folder(), arguments);
        command.stdin(fs::File::open(&leaf).unwrap());
        let ran = crate::run::finish(&mut command).ends_with(2);
        ran.says(&["standard input is named twice"]);
    }
}

/// A profile of another's making named a pipe, which was waited for, or a device without end.
#[test]
fn only_files_are_read_as_sources() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let source = here.join("a b.js");
    fs::write(&source, "one\ntwo\nthree\n").unwrap();
    let status = Command::new("mkfifo").arg(here.join("pipe")).status();
    assert!(status.unwrap().success());
    let address = format!(
        "file://{}",
        source.display().to_string().replace(' ', "%20")
    );
    let pipe = here.join("pipe").display().to_string();
    for (file, shown) in [
        (address.as_str(), "three"),
        (pipe.as_str(), "the source could not be read"),
        ("/dev/zero", "the source could not be read"),
    ] {
        let frame = serde_json::json!({ "name": "main", "file": file, "line": 3 });
        let document = serde_json::json!({
            "$schema": "https://www.speedscope.app/file-format-schema.json",
            "shared": { "frames": [frame] },
            "profiles": [{
                "type": "sampled", "name": "t", "unit": "none", "startValue": 0, "endValue": 1,
                "samples": [[0]], "weights": [1],
            }],
        });
        fs::write(here.join("a.speedscope.json"), document.to_string()).unwrap();
        let ran = hotproof(here, &["report", "a.speedscope.json", "--lines", "main"]).ends_with(0);
        assert!(ran.stdout.contains(shown), "{file}: {}", ran.stdout);
    }
}

/// Samples of unlike machines do not add up, and were added up with a note.
#[test]
fn recordings_of_unlike_machines_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    let leaf = folder().join("leaf.hotproof").display().to_string();
    hotproof(here, &["export", &leaf, "-o", "a.json", "-q"]).ends_with(0);
    let text = fs::read_to_string(here.join("a.json")).unwrap();
    let mut document: Value = serde_json::from_str(&text).unwrap();
    document["meta"]["host"]["cpu_model"] = "another CPU".into();
    fs::write(here.join("b.json"), document.to_string()).unwrap();
    hotproof(here, &["report", &leaf, "a.json", "-q"]).ends_with(0);
    hotproof(here, &["report", "a.json", &leaf, "b.json"])
        .ends_with(2)
        .says(&[
            "a.json and b.json do not add up: the CPU is ",
            " in one and another CPU in the other",
        ]);
    // What does not tell its machine contradicts none.
    document["meta"]["host"]["cpu_model"] = "".into();
    fs::write(here.join("c.json"), document.to_string()).unwrap();
    hotproof(here, &["report", "a.json", "c.json", "-q"]).ends_with(0);
    hotproof(here, &["report", "c.json", "a.json", "b.json"])
        .ends_with(2)
        .says(&["a.json and b.json do not add up"]);
}

#[test]
fn files_that_are_no_profiles_are_named_with_what_to_do() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name).display().to_string();
    run(&[
        "export",
        "leaf.hotproof",
        "-o",
        &at("a.parquet"),
        "-o",
        &at("a.svg"),
    ])
    .ends_with(0);
    fs::write(at("empty"), "").unwrap();
    for (name, found, remedy) in [
        (
            "a.parquet",
            "a Parquet table, which is written but not read",
            "DuckDB",
        ),
        (
            "a.svg",
            "XML, perhaps a flame graph",
            "what it was drawn from",
        ),
        ("empty", "an empty file", "OUTPUT.part"),
    ] {
        run(&["report", &at(name)])
            .ends_with(2)
            .says(&[found, "\n  do ", remedy]);
    }
}
