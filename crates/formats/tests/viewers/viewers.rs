//! Programs of others show our figures, to the integer, for every function of random profiles.
//!
//! `scripts/viewers.sh` installs them; one that is not there is skipped, visibly.

use std::collections::BTreeMap;
use std::path::Path;

use hotproof_formats::folded::Options;
use hotproof_formats::{callgrind, parquet, pprof};
use hotproof_profile::{Inline, Profile, ThreadId};
use serde_json::Value;

use crate::programs::{folder, installed, run, skip, text};
use crate::random::{self, Names};
use crate::{Totals, bytes_of, example, our_totals};

fn script(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/viewers/scripts");
    folder.join(name).display().to_string()
}

fn options(weight: usize) -> Options {
    Options {
        inline: Inline::Expand,
        weight,
    }
}

fn with_weight(totals: Totals) -> Totals {
    totals
        .into_iter()
        .filter(|(_, sums)| *sums != (0, 0))
        .collect()
}

/// `[[name, self, total], ...]`, numbers as texts.
fn totals_of(line: &str) -> Totals {
    let rows: Vec<(String, String, String)> = serde_json::from_str(line).unwrap();
    let mut totals = Totals::new();
    for (name, own, total) in rows {
        let entry = totals.entry(name).or_default();
        entry.0 += own.parse::<i128>().unwrap();
        entry.1 += total.parse::<i128>().unwrap();
    }
    totals
}

/// Random profiles as files, with what we count in each.
fn written(
    folder: &Path,
    extension: &str,
    profiles: &[Profile],
    bytes: impl Fn(&Profile) -> Vec<u8>,
) -> Vec<String> {
    let mut names = Vec::new();
    for (number, profile) in profiles.iter().enumerate() {
        let name = format!("random-{number}.{extension}");
        std::fs::write(folder.join(&name), bytes(profile)).unwrap();
        names.push(folder.join(name).display().to_string());
    }
    names
}

fn random_profiles(count: u64, names: Names, threads: usize) -> Vec<Profile> {
    (1..=count)
        .map(|seed| random::profile(seed, names, threads))
        .collect()
}

fn pprof_of(profile: &Profile) -> Vec<u8> {
    let mut bytes = Vec::new();
    pprof::write(profile, &mut bytes).unwrap();
    bytes
}

#[test]
fn duckdb_counts_what_we_count() {
    if installed("python/duckdb").is_none() {
        return;
    }
    let folder = folder("duckdb");
    let mut profiles = random_profiles(20, Names::Hard, 3);
    profiles.push(example::profile());
    let files = written(&folder, "parquet", &profiles, |profile| {
        let mut bytes = Vec::new();
        parquet::write(profile, &options(0), &mut bytes).unwrap();
        let mut again = Vec::new();
        parquet::write(profile, &options(0), &mut again).unwrap();
        assert!(again == bytes, "equal profiles give equal bytes");
        bytes
    });
    for (weight, column) in ["samples", "cpu_ns"].into_iter().enumerate() {
        let script = script("duckdb_totals.py");
        let mut args = vec![script.as_str(), column];
        args.extend(files.iter().map(String::as_str));
        let Some(answer) = text("python3", &folder, &args) else {
            return;
        };
        let theirs: Vec<Totals> = answer.lines().map(totals_of).collect();
        assert_eq!(theirs.len(), profiles.len());
        for (theirs, profile) in theirs.iter().zip(&profiles) {
            assert_eq!(theirs, &our_totals(profile, &options(weight)), "{column}");
        }
    }
}

#[test]
fn pprof_format_of_npm_counts_what_we_count() {
    if installed("node_modules/pprof-format").is_none() {
        return;
    }
    let folder = folder("pprof-format");
    let mut profiles = random_profiles(40, Names::Hard, 3);
    profiles.push(example::profile());
    let files = written(&folder, "pb.gz", &profiles, pprof_of);
    let script = script("pprof.js");
    let mut args = vec![script.as_str()];
    args.extend(files.iter().map(String::as_str));
    let Some(answer) = text("node", &folder, &args) else {
        return;
    };
    let theirs: Vec<Totals> = answer.lines().map(totals_of).collect();
    assert_eq!(theirs.len(), profiles.len());
    for (theirs, profile) in theirs.iter().zip(&profiles) {
        assert_eq!(theirs, &our_totals(profile, &options(0)));
    }
}

#[test]
fn go_tool_pprof_counts_what_we_count() {
    let folder = folder("go");
    for profile in random_profiles(6, Names::Plain, 2) {
        std::fs::write(folder.join("random.pb.gz"), pprof_of(&profile)).unwrap();
        for (weight, (index, unit)) in [("samples", "count"), ("cpu", "ns")].iter().enumerate() {
            let index = format!("-sample_index={index}");
            let unit_option = format!("-unit={unit}");
            let args = [
                "tool",
                "pprof",
                "-symbolize=none",
                "-top",
                &index,
                &unit_option,
                "-nodecount=9999",
                "-nodefraction=0",
                "random.pb.gz",
            ];
            let Some(text) = text("go", &folder, &args) else {
                return;
            };
            let unit = unit.strip_prefix("count").unwrap_or(unit);
            let rows = text.lines().skip_while(|line| !line.contains("flat%"));
            let mut theirs = Totals::new();
            for line in rows.skip(1) {
                let fields: Vec<&str> = line.split_whitespace().collect();
                let number = |field: &str| field.trim_end_matches(unit).parse::<i128>().unwrap();
                let name = fields[5..].join(" ").replace(" (inline)", "");
                let name = name.replace(" (partial-inline)", "");
                let entry = theirs.entry(name).or_default();
                entry.0 += number(fields[0]);
                entry.1 += number(fields[3]);
            }
            assert_eq!(theirs, our_totals(&profile, &options(weight)), "{text}");
        }
    }
}

#[test]
fn callgrind_annotate_counts_what_we_count() {
    let folder = folder("callgrind");
    for profile in random_profiles(6, Names::Plain, 2) {
        let mut bytes = Vec::new();
        callgrind::write(&profile, &mut bytes).unwrap();
        std::fs::write(folder.join("random.callgrind"), bytes).unwrap();
        for inclusive in ["no", "yes"] {
            let option = format!("--inclusive={inclusive}");
            let args = [
                "--show=samples",
                "--sort=samples",
                &option,
                "--threshold=100",
                "--show-percs=no",
                "--auto=no",
                "random.callgrind",
            ];
            let Some(text) = text("callgrind_annotate", &folder, &args) else {
                return;
            };
            let rows = text
                .lines()
                .skip_while(|line| !line.ends_with("file:function"));
            let mut theirs: BTreeMap<String, i128> = BTreeMap::new();
            for row in rows.skip(2).take_while(|row| !row.is_empty()) {
                let (cost, name) = row.trim().split_once(' ').unwrap();
                let cost: i128 = cost.replace(',', "").replace('.', "0").parse().unwrap();
                let name = name.rsplit_once(" [").map_or(name, |(name, _)| name);
                let (_, name) = name.split_once(':').unwrap();
                if !name.starts_with("[thread ") && cost != 0 {
                    *theirs.entry(name.to_owned()).or_default() += cost;
                }
            }
            let ours = our_totals(&profile, &options(0)).into_iter();
            let ours = ours.map(|(name, (own, total))| match inclusive {
                "yes" => (name, total),
                _ => (name, own),
            });
            let ours: BTreeMap<String, i128> = ours.filter(|(_, cost)| *cost != 0).collect();
            assert_eq!(theirs, ours, "inclusive: {inclusive}\n{text}");
        }
    }
}

/// The page shows a thread at a time, and takes names of several lines for what they are.
#[test]
fn the_page_of_speedscope_counts_what_we_count() {
    let Some(schema) = installed("node_modules/speedscope/dist/release/file-format-schema.json")
    else {
        return;
    };
    if installed("node_modules/puppeteer-core").is_none() {
        return;
    }
    let folder = folder("speedscope");
    let profiles = random_profiles(6, Names::Hard, 1);
    let files = written(&folder, "speedscope.json", &profiles, |profile| {
        bytes_of("speedscope", profile, 0)
    });
    let schema: Value = serde_json::from_slice(&std::fs::read(schema).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for file in &files {
        let document: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let errors = validator.iter_errors(&document);
        let errors: Vec<String> = errors.map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
    let (script, scratch) = (script("speedscope.js"), folder.display().to_string());
    let mut args = vec![script.as_str(), scratch.as_str()];
    args.extend(files.iter().map(String::as_str));
    let Some(output) = run("node", &folder, &args) else {
        return;
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("Browser was not found") {
        skip("there is no Chromium for speedscope's page");
        return;
    }
    assert!(output.status.success(), "{errors}");
    let answer = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answer.lines().count(), profiles.len(), "{answer}");
    for (line, profile) in answer.lines().zip(&profiles) {
        let rows: Vec<(i128, i128, String)> = serde_json::from_str(line).unwrap();
        let mut theirs = Totals::new();
        for (total, own, name) in rows {
            let entry = theirs.entry(name).or_default();
            *entry = (entry.0 + own, entry.1 + total);
        }
        let ours = with_weight(our_totals(profile, &options(0)));
        assert_eq!(with_weight(theirs), ours);
    }
}

/// Has the Firefox Profiler's command line load a file. Its daemon has half a second to come up,
/// which a busy machine may not give it: that is a skip, anything else a failure.
fn loaded(program: &str, home: &Path, file: &Path) -> bool {
    let mut errors = String::new();
    for _ in 0..10 {
        let Some(output) = run(program, home, &["load", file.to_str().unwrap()]) else {
            return false;
        };
        if output.status.success() {
            return true;
        }
        errors = String::from_utf8_lossy(&output.stderr).into_owned();
        run(program, home, &["stop"]);
    }
    let is_late = errors.to_lowercase().contains("daemon");
    assert!(
        is_late,
        "profiler-cli does not load {}: {errors}",
        file.display()
    );
    skip("the daemon of profiler-cli does not come up in time");
    false
}

#[test]
fn profiler_cli_counts_what_we_count() {
    let Some(program) = installed("node_modules/.bin/profiler-cli") else {
        return;
    };
    let home = folder("profiler-cli");
    let mut profiles = random_profiles(2, Names::Hard, 1);
    let mut example = example::profile();
    example.samples.thread.fill(ThreadId(0));
    profiles.push(example);
    let program = program.display().to_string();
    for (number, profile) in profiles.iter().enumerate() {
        for (writer, extension) in [("firefox gzip", "json.gz"), ("chrome", "trace.json")] {
            let file = home.join(format!("{number}.{extension}"));
            std::fs::write(&file, bytes_of(writer, profile, 0)).unwrap();
            if !loaded(&program, &home, &file) {
                return;
            }
            let answer = run(&program, &home, &["thread", "functions", "--json"]).unwrap();
            run(&program, &home, &["stop"]);
            let answer: Value = serde_json::from_slice(&answer.stdout).unwrap();
            let rows = answer["functions"].as_array().unwrap().iter();
            let mut theirs = Totals::new();
            for row in rows {
                let count = |name: &str| i128::from(row[name].as_i64().unwrap());
                let name = row["name"].as_str().unwrap().to_owned();
                let entry = theirs.entry(name).or_default();
                entry.0 += count("selfSamples");
                entry.1 += count("totalSamples");
            }
            let ours = with_weight(our_totals(profile, &options(0)));
            if writer == "firefox gzip" {
                assert_eq!(with_weight(theirs), ours);
            } else {
                // It counts a trace's samples, which have weights there as lengths of time.
                let artificial =
                    |name: &&String| !["(root)", "(program)", "(idle)"].contains(&name.as_str());
                let names: Vec<&String> = theirs.keys().filter(artificial).collect();
                assert_eq!(names, ours.keys().collect::<Vec<_>>(), "{writer}");
            }
        }
    }
}
