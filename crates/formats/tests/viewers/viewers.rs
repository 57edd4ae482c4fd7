//! The Firefox Profiler's own command line shows our figures, where it is installed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use hotproof_formats::folded::Options;
use hotproof_profile::ThreadId;
use serde_json::Value;

use crate::{bytes_of, example, our_totals};

/// Says that a test was skipped, past the capture of the test harness, so that it is seen.
fn skip(reason: &str) {
    use std::io::Write;
    let line = format!("skipped: {reason}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

fn run(program: &Path, home: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(args)
        .env("HOME", home)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

#[test]
fn profiler_cli_counts_what_we_count() {
    let folder = std::env::var_os("HOTPROOF_VIEWERS").map(PathBuf::from);
    let program = folder.map(|folder| folder.join("node_modules/.bin/profiler-cli"));
    let Some(program) = program.filter(|program| program.exists()) else {
        skip("no profiler-cli; eval \"$(scripts/viewers.sh)\" installs it");
        return;
    };
    let mut profile = example::profile();
    profile.samples.thread.fill(ThreadId(0));
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("profiler-cli");
    std::fs::create_dir_all(&home).unwrap();
    let file = home.join("example.json.gz");
    std::fs::write(&file, bytes_of("firefox gzip", &profile, 0)).unwrap();
    // Its daemon has half a second to come up, which a busy machine may not give it.
    let load = || run(&program, &home, &["load", file.to_str().unwrap()]);
    let loaded = (0..10).any(|_| load().is_some());
    assert!(loaded, "profiler-cli does not load the file");
    let answer = run(&program, &home, &["thread", "functions", "--json"]).unwrap();
    run(&program, &home, &["stop"]);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let rows = answer["functions"].as_array().unwrap().iter();
    let shown: BTreeMap<String, (i128, i128)> = rows
        .map(|row| {
            let count = |name: &str| i128::from(row[name].as_i64().unwrap());
            let name = row["name"].as_str().unwrap().to_owned();
            (name, (count("selfSamples"), count("totalSamples")))
        })
        .collect();
    assert_eq!(shown, our_totals(&profile, &Options::default()));
}
