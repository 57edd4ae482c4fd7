//! Profiles that go wrote, through us and back to go; ours through go and back to us; and the
//! same numbers in every format.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use hotproof_formats::import::{self, Format, Imported, Limits};
use hotproof_formats::{WriteError, callgrind, folded, native, pprof};
use hotproof_profile::*;
use proptest::prelude::*;

use crate::canonical::{self, Totals};
use crate::{arbitrary, example, skip};

fn read(bytes: &[u8]) -> Imported {
    import::read(bytes, Limits::default()).unwrap()
}

fn pprof_of(profile: &Profile) -> Vec<u8> {
    let mut bytes = Vec::new();
    pprof::write(profile, &mut bytes).unwrap();
    bytes
}

/// A folder of its own for each test, for what go leaves behind.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs `go tool pprof`; `None`, visibly, where there is no go.
fn go_tool_pprof(folder: &Path, options: &[&str]) -> Option<Vec<u8>> {
    if Command::new("go").arg("version").output().is_err() {
        skip("go is not installed, so its pprof cannot take part");
        return None;
    }
    let output = Command::new("go")
        .args(["tool", "pprof", "-symbolize=none"])
        .args(options)
        .env("PPROF_TMPDIR", folder)
        .env("HOME", folder)
        .env_remove("GOFLAGS")
        .current_dir(folder)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    Some(output.stdout)
}

/// The raw text of a profile, with samples, each with its labels, in the order of their text.
fn raw(folder: &Path, name: &str, bytes: &[u8]) -> Option<Vec<String>> {
    std::fs::write(folder.join(name), bytes).unwrap();
    let text = String::from_utf8(go_tool_pprof(folder, &["-raw", name])?).unwrap();
    let mut rows: Vec<String> = Vec::new();
    for line in text.lines() {
        let is_label = line.starts_with("                ") && line.contains(":[");
        match rows.last_mut() {
            Some(last) if is_label => last.push_str(line.trim()),
            _ => rows.push(line.to_owned()),
        }
    }
    let from = rows.iter().position(|row| row == "Samples:").unwrap();
    let to = rows.iter().position(|row| row == "Locations").unwrap();
    rows[from + 2..to].sort();
    Some(rows)
}

#[test]
fn what_go_wrote_goes_through_us_unchanged() {
    let folder = folder("peers-go");
    for name in ["go-cpu.pb.gz", "go-heap.pb.gz", "go-goroutine.pb.gz"] {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/golden")
            .join(name);
        let bytes = std::fs::read(golden).unwrap();
        let Imported {
            profile,
            format,
            dropped,
        } = read(&bytes);
        assert_eq!((format, dropped), (Format::Pprof, Vec::new()), "{name}");
        assert!(
            profile.total_weight(0) > 0 && profile.functions.len() > 2,
            "{name}"
        );
        let ours = pprof_of(&profile);
        assert_eq!(pprof_of(&read(&ours).profile), ours);
        let Some(before) = raw(&folder, "before.pb.gz", &bytes) else {
            return;
        };
        assert_eq!(
            raw(&folder, "after.pb.gz", &ours).unwrap(),
            before,
            "{name}"
        );
    }
}

#[test]
fn what_go_wrote_has_the_totals_that_go_computes() {
    let bytes = include_bytes!("../golden/go-cpu.pb.gz");
    let profile = read(bytes).profile;
    let folder = folder("peers-totals");
    std::fs::write(folder.join("cpu.pb.gz"), bytes).unwrap();
    let options = [
        "-top",
        "-sample_index=samples",
        "-unit=count",
        "-nodecount=9999",
    ];
    let options = [&options[..], &["-nodefraction=0", "cpu.pb.gz"]].concat();
    let Some(text) = go_tool_pprof(&folder, &options) else {
        return;
    };
    let text = String::from_utf8(text).unwrap();
    let mut theirs = Totals::new();
    for line in text
        .lines()
        .skip_while(|line| !line.contains("flat%"))
        .skip(1)
    {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let name = fields[5..].join(" ").replace(" (inline)", "");
        let entry = theirs.entry(name).or_default();
        entry.0 += fields[0].parse::<i64>().unwrap();
        entry.1 += fields[3].parse::<i64>().unwrap();
    }
    assert_eq!(canonical::totals_by_name(&profile, 0), theirs, "{text}");
}

#[test]
fn ours_comes_back_from_go() {
    let folder = folder("peers-proto");
    let mut profile = example::profile();
    // Columns are younger than the pprof of some versions of go, which leave them out.
    for frame in profile.frames.ids().collect::<Vec<_>>() {
        profile.frames[frame].column = None;
    }
    std::fs::write(folder.join("ours.pb.gz"), pprof_of(&profile)).unwrap();
    let options = ["-proto", "-output=theirs.pb.gz", "ours.pb.gz"];
    if go_tool_pprof(&folder, &options).is_none() {
        return;
    }
    let theirs = read(&std::fs::read(folder.join("theirs.pb.gz")).unwrap());
    assert_eq!(
        canonical::samples(&theirs.profile),
        canonical::samples(&profile)
    );
    assert_eq!(theirs.profile.meta.notes, profile.meta.notes);
}

#[test]
fn callgrind_text_of_go_is_understood() {
    let folder = folder("peers-callgrind");
    let profile = example::profile();
    std::fs::write(folder.join("ours.pb.gz"), pprof_of(&profile)).unwrap();
    let options = [
        "-callgrind",
        "-sample_index=samples",
        "-nodefraction=0",
        "-edgefraction=0",
        "-output=theirs.out",
        "ours.pb.gz",
    ];
    if go_tool_pprof(&folder, &options).is_none() {
        return;
    }
    let theirs = read(&std::fs::read(folder.join("theirs.out")).unwrap());
    assert_eq!(theirs.format, Format::Callgrind);
    let weights = &theirs.profile.weights;
    assert_eq!(
        (weights[0].name.as_str(), weights[0].unit),
        ("samples(count)", Unit::Count)
    );
    let (ours, theirs) = (
        canonical::totals_by_name(&profile, 0),
        canonical::totals_by_name(&theirs.profile, 0),
    );
    for (name, (own, _)) in ours.iter().filter(|(name, _)| !name.starts_with('[')) {
        assert_eq!(theirs.get(name).map(|sums| sums.0), Some(*own), "{name}");
    }
}

#[test]
fn a_difference_is_head_minus_base_for_go() {
    let base = example::profile();
    let mut head = example::profile();
    for column in &mut head.samples.weights {
        column[0] *= 5;
    }
    let mut bytes = Vec::new();
    pprof::write_differential(&base, &head, &mut bytes).unwrap();
    let mut again = Vec::new();
    pprof::write_differential(&base, &head, &mut again).unwrap();
    assert_eq!(again, bytes, "equal profiles give equal bytes");
    let imported = read(&bytes).profile;
    let difference = |weight| {
        let mut sums = Totals::new();
        for (profile, sign) in [(&head, 1), (&base, -1)] {
            for (name, (own, total)) in canonical::totals_by_name(profile, weight) {
                let entry = sums.entry(name).or_default();
                *entry = (entry.0 + sign * own, entry.1 + sign * total);
            }
        }
        sums
    };
    for weight in [0, 1] {
        assert_eq!(
            canonical::totals_by_name(&imported, weight),
            difference(weight)
        );
    }
    assert_eq!(
        imported.functions.len(),
        base.functions.len(),
        "common rows come once"
    );
    let folder = folder("peers-difference");
    std::fs::write(folder.join("difference.pb.gz"), &bytes).unwrap();
    let options = [
        "-top",
        "-sample_index=samples",
        "-unit=count",
        "-nodefraction=0",
    ];
    let options = [&options[..], &["difference.pb.gz"]].concat();
    let Some(text) = go_tool_pprof(&folder, &options) else {
        return;
    };
    let text = String::from_utf8(text).unwrap();
    // Shares are of base: 4 of its 8 samples.
    assert!(text.contains("of 8 total"), "{text}");
    let row = text
        .lines()
        .find(|line| line.ends_with("core::num::wrapping_add (inline)"));
    let row: Vec<&str> = row.expect(&text).split_whitespace().collect();
    assert_eq!((row[0], row[1]), ("4", "50.00%"), "{text}");
}

#[test]
fn unlike_weights_are_not_subtracted() {
    let base = example::profile();
    let mut head = example::profile();
    head.weights[1].unit = Unit::Cycles;
    let error = pprof::write_differential(&base, &head, Vec::new()).unwrap_err();
    assert!(matches!(error, WriteError::Unlike { .. }));
    let text = error.to_string();
    assert!(
        text.contains("cpu in nanoseconds") && text.contains("cpu in cycles"),
        "{text}"
    );
}

/// A program of node that finds what `scripts/viewers.sh` installs, or what NODE_PATH names.
fn node(folder: &Path, script: &str) -> Command {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = || std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let default = || {
        cache()
            .or_else(home)
            .unwrap_or_default()
            .join("hotproof-viewers")
    };
    let viewers = std::env::var_os("HOTPROOF_VIEWERS").map_or_else(default, PathBuf::from);
    let mut node = Command::new("node");
    node.args(["-e", script]).current_dir(folder);
    if std::env::var_os("NODE_PATH").is_none() {
        node.env("NODE_PATH", viewers.join("node_modules"));
    }
    node
}

/// Reads a file by a package of npm.
#[test]
fn the_decoder_of_npm_counts_what_we_count() {
    const SCRIPT: &str = "
        const {Profile} = require('pprof-format');
        const {gunzipSync} = require('zlib');
        const p = Profile.decode(gunzipSync(require('fs').readFileSync('ours.pb.gz')));
        const sum = i => p.sample.map(s => s.value[i]).reduce((a, b) => BigInt(a) + BigInt(b), 0n);
        console.log(p.sample.length, p.location.length, p.function.length, p.mapping.length, `${sum(0)} ${sum(1)}`);
    ";
    let folder = folder("peers-npm");
    let profile = example::profile();
    std::fs::write(folder.join("ours.pb.gz"), pprof_of(&profile)).unwrap();
    let probe = node(&folder, "require('pprof-format')").output();
    if !probe.is_ok_and(|output| output.status.success()) {
        skip("pprof-format of npm is not installed, so it cannot read our file");
        return;
    }
    let output = node(&folder, SCRIPT).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    // Two of the eight samples differ in nothing, and a sample without a stack adds a location.
    let expected = format!(
        "7 {} {} {} 8 8008008\n",
        profile.locations.len() + 1,
        profile.functions.len(),
        profile.images.len()
    );
    assert_eq!(text, expected);
}

/// Totals as folded stacks have them: the name of a thread is a frame, too.
fn folded_totals(profile: &Profile, weight: usize) -> Totals {
    let samples = &profile.samples;
    let mut totals = Totals::new();
    for row in 0..samples.len() {
        let codes = profile
            .path(samples.stack[row])
            .flat_map(|location| profile.code_at(location, Inline::Expand));
        let mut names: Vec<String> = codes.map(|code| profile.code_name(code)).collect();
        if names.is_empty() {
            names.push("[unknown]".to_owned());
        }
        let thread = &profile.threads[samples.thread[row]];
        let process = &profile.processes[thread.process];
        let empty = |text| profile.strings[text].is_empty();
        let nameless = thread.tid == 0 && process.pid == 0;
        if !(nameless && empty(thread.name) && empty(process.name)) {
            names.push(profile.strings[thread.name].to_owned());
        }
        let value = samples.weights[weight][row];
        totals.entry(names[0].clone()).or_default().0 += value;
        names.sort();
        names.dedup();
        for name in names {
            totals.entry(name).or_default().1 += value;
        }
    }
    totals
}

proptest! {
    #[test]
    fn every_format_has_the_same_totals(profile in arbitrary::profile()) {
        for weight in 0..profile.weights.len() {
            let total = profile.total_weight(weight);
            let expected = canonical::totals_by_name(&profile, weight);

            let mut bytes = Vec::new();
            native::write(&profile, &mut bytes).unwrap();
            let back = read(&bytes);
            prop_assert_eq!(back.format, Format::Native);
            prop_assert_eq!(&canonical::totals_by_name(&back.profile, weight), &expected);

            let back = read(&pprof_of(&profile)).profile;
            prop_assert_eq!(back.total_weight(weight), total);
            prop_assert_eq!(&canonical::totals_by_name(&back, weight), &expected);

            let mut lines = Vec::new();
            let options = folded::Options { weight, ..folded::Options::default() };
            folded::write(&profile, &options, &mut lines).unwrap();
            if !lines.is_empty() {
                let back = import::read_as(Format::Folded, &lines, Limits::default()).unwrap().profile;
                prop_assert_eq!(back.total_weight(0), total);
                prop_assert_eq!(canonical::totals_by_name(&back, 0), folded_totals(&profile, weight));
                let mut again = Vec::new();
                folded::write(&back, &folded::Options::default(), &mut again).unwrap();
                prop_assert_eq!(String::from_utf8(again).unwrap(), String::from_utf8(lines).unwrap());
            }
        }
    }

    #[test]
    fn from_any_format_to_any_other_no_weight_is_lost(profile in arbitrary::profile()) {
        let mut profile = profile;
        for column in &mut profile.samples.weights {
            column.iter_mut().for_each(|weight| *weight = weight.unsigned_abs().min(1 << 50) as i64);
        }
        if profile.weights.is_empty() {
            return Ok(());
        }
        let write: [fn(&Profile) -> Vec<u8>; 4] = [
            |profile| {
                let mut bytes = Vec::new();
                native::write(profile, &mut bytes).unwrap();
                bytes
            },
            pprof_of,
            |profile| {
                let mut bytes = Vec::new();
                callgrind::write(profile, &mut bytes).unwrap();
                bytes
            },
            |profile| {
                let mut bytes = Vec::new();
                folded::write(profile, &folded::Options::default(), &mut bytes).unwrap();
                bytes
            },
        ];
        if profile.samples.is_empty() {
            return Ok(());
        }
        let own = |profile: &Profile| -> BTreeMap<String, i64> {
            let totals = canonical::totals_by_name(profile, 0).into_iter();
            totals.map(|(name, (own, _))| (name, own)).filter(|(_, own)| *own != 0).collect()
        };
        for first in write {
            let middle = read(&first(&profile)).profile;
            for second in write {
                let last = read(&second(&middle)).profile;
                prop_assert_eq!(last.total_weight(0), profile.total_weight(0));
                prop_assert_eq!(own(&last), own(&profile));
            }
        }
    }
}

#[test]
fn two_columns_of_folded_stacks_are_two_weights() {
    let text = "main;old 5 0\nmain;work 7 9\n";
    let imported = read(text.as_bytes());
    let names: Vec<&str> = imported
        .profile
        .weights
        .iter()
        .map(|w| w.name.as_str())
        .collect();
    assert_eq!(names, ["base", "head"]);
    let mut again = Vec::new();
    folded::write_differential(&imported.profile, Inline::Expand, [0, 1], &mut again).unwrap();
    assert_eq!(String::from_utf8(again).unwrap(), text);
    let error = folded::write_differential(&imported.profile, Inline::Expand, [0, 2], Vec::new());
    assert!(matches!(error, Err(WriteError::NoWeight { column: 2, .. })));
}

#[test]
fn folded_stacks_of_others() {
    let lines = |text: &str| {
        let profile = read(text.as_bytes()).profile;
        folded::lines(&profile, &folded::Options::default())
    };
    let cases: [(&str, &[(&str, i64)]); 6] = [
        ("a;b 1\r\na;b 2\r\n", &[("a;b", 3)]),
        ("# a comment\n\na b;c d 4\n", &[("a b;c d", 4)]),
        ("only 3.0\n", &[("only", 3)]),
        // PHP's names: a backslash that begins no escape of ours is a backslash.
        (r"App\new;App\Foo 1", &[(r"App\\new;App\\Foo", 1)]),
        (r"sh\_1;[u8\: 4] 1", &[(r"sh\_1;[u8\: 4]", 1)]),
        (
            "a;[truncated];b 1\na;c 1\n",
            &[("a;[truncated];b", 1), ("a;c", 1)],
        ),
    ];
    for (text, expected) in cases {
        let expected: Vec<(String, i64)> =
            expected.iter().map(|&(l, w)| (l.to_owned(), w)).collect();
        assert_eq!(lines(text), expected, "{text:?}");
    }
    for (text, message) in [
        ("a 1\nb\n", "line 2: expected `stack weight`, found \"b\""),
        (
            "a 1\nb 1.5\n",
            "line 2: the weight \"1.5\" is no whole number of 64 bits",
        ),
        (
            "a 1\nb 99999999999999999999\n",
            "line 2: the weight \"99999999999999999999\" is no whole number of 64 bits",
        ),
    ] {
        let error = import::read(text.as_bytes(), Limits::default())
            .unwrap_err()
            .to_string();
        assert!(error.ends_with(message), "{error}");
    }
}
