//! Transformations, views and differences, by the built binary over the reference recordings.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hotproof_formats::folded;
use serde_json::Value;

use crate::run::{Ran, hotproof, skip};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("profiles")
}

fn run(arguments: &[&str]) -> Ran {
    hotproof(&folder(), arguments)
}

/// The sum of the weights of folded stacks, and the stacks.
fn folded_of(arguments: &[&str]) -> (i64, String) {
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
    let (whole, _) = folded_of(&["ripgrep.hotproof"]);
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
        let (sum, text) = folded_of(&[&["ripgrep.hotproof"], flags].concat());
        assert_eq!(sum, whole, "{flags:?}");
        let (_, again) = folded_of(&[&["ripgrep.hotproof"], flags].concat());
        assert_eq!(text, again, "{flags:?}");
    }
}

#[test]
fn focus_and_ignore_part_the_whole() {
    let (whole, _) = folded_of(&["ripgrep.hotproof"]);
    let (focus, stacks) = folded_of(&["ripgrep.hotproof", "--focus", "hybrid"]);
    let (rest, other) = folded_of(&["ripgrep.hotproof", "--ignore", "hybrid"]);
    assert!(focus > 0 && rest > 0);
    assert_eq!(focus + rest, whole);
    assert!(stacks.lines().all(|line| line.contains("hybrid")));
    assert!(!other.contains("hybrid"));
}

#[test]
fn a_focus_is_the_same_in_report_and_export_and_sees_hidden_frames() {
    let arguments = ["ripgrep.hotproof", "--focus", "hybrid", "--hide", "hybrid"];
    let (focus, _) = folded_of(&[&arguments[..], &["--weight", "samples"]].concat());
    let document = json(&[&["report", "--json"], &arguments[..]].concat());
    assert_eq!(document["focus"]["samples"], focus);
    assert!(focus > 0 && focus < document["samples"].as_i64().unwrap());
}

#[test]
fn several_inputs_add_up_and_unlike_ones_are_refused() {
    let (one, _) = folded_of(&["ripgrep.hotproof"]);
    let (two, _) = folded_of(&["ripgrep.hotproof", "ripgrep.hotproof"]);
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
    let (whole, _) = folded_of(&["ripgrep.hotproof"]);
    let (first, _) = folded_of(&["ripgrep.hotproof", "--time", "-2s"]);
    let (second, _) = folded_of(&["ripgrep.hotproof", "--time", "2s-"]);
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
        folded_of(&["leaf.hotproof"]).1
    );
    assert!(fs::metadata(&pprof).unwrap().len() > 0);
    let (fresh, nowhere) = (at("b.svg"), at("none/b.folded"));
    run(&["export", "leaf.hotproof", "-o", &fresh, "-o", &nowhere]).ends_with(1);
    assert!(
        !fs::exists(&fresh).unwrap(),
        "half of the outputs were written"
    );
    // A writer that fails late takes back what the ones before it made.
    let difference = at("d.folded");
    fs::write(&difference, "main;work 5\nmain;rest -2\n").unwrap();
    let written = at("d.pb.gz");
    run(&["export", &difference, "-o", &written, "-o", &at("d.svg")])
        .ends_with(1)
        .says(&["weights below zero"]);
    assert!(!fs::exists(&written).unwrap(), "the first output was left");
    // By another way, too.
    fs::create_dir(at("sub")).unwrap();
    let (detour, link) = (at("sub/../a.svg"), at("link.svg"));
    std::os::unix::fs::symlink("a.svg", &link).unwrap();
    for again in [&svg, &detour, &link] {
        run(&["export", "leaf.hotproof", "-o", &svg, "-o", again])
            .ends_with(2)
            .says(&["is named twice"]);
    }
    let (one, two) = (at("c.svg"), at("c.folded"));
    run(&[
        "diff",
        "leaf.hotproof",
        "leaf.hotproof",
        "-o",
        &one,
        "-o",
        &two,
    ])
    .ends_with(0);
    assert!(fs::exists(&one).unwrap() && fs::exists(&two).unwrap());
    let left = fs::read_dir(place.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let scratch: Vec<_> = left
        .filter(|name| name.to_string_lossy().starts_with(".hotproof"))
        .collect();
    assert!(scratch.is_empty(), "{scratch:?}");
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
    // Frames that are called by their file had kept its folders.
    let gathered = shown(&["--strip-paths", "--group", "file"]);
    assert!(gathered.contains("crates/core/main.rs"), "{gathered}");
    for folder in ["/tmp/rg/bin/", "\"/cargo/", "\"/ripgrep/"] {
        assert!(!gathered.contains(folder), "{folder}");
    }
}

/// `--top` was passed over with trees, and the legend of turned stacks was that of a call tree.
#[test]
fn top_holds_for_trees_and_turned_stacks_have_a_legend_of_their_own() {
    let samples = |flags: &[&str]| {
        let all = ["report", "leaf.hotproof", "--min-percent", "0"];
        let text = run(&[&all, flags].concat()).ends_with(0).stdout;
        let rows = text.lines().skip_while(|line| !line.contains("function"));
        let rows = rows.skip(1).take_while(|line| !line.contains(';'));
        // Behind total and self, each a number and its sign.
        let count = |line: &str| {
            line.split_whitespace()
                .nth(4)?
                .replace(',', "")
                .parse()
                .ok()
        };
        let counts: Vec<u64> = rows.filter_map(count).collect();
        (counts, text)
    };
    for view in [
        &["--tree"][..],
        &["--callers", "main"],
        &["--callees", "main"],
    ] {
        let (mut all, _) = samples(view);
        let (mut top, text) = samples(&[view, &["--top", "2"]].concat());
        assert!(all.len() > 2 && text.contains("(--top, "), "{text}");
        all.sort_unstable_by(|a, b| b.cmp(a));
        top.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(top, all[..2], "{view:?}");
    }
    run(&["report", "leaf.hotproof", "--lines", "main", "--top", "2"]).ends_with(2);
    let (_, turned) = samples(&["--tree", "--reverse"]);
    assert!(turned.contains("callers below what they call"), "{turned}");
    assert!(!turned.contains("calls from the root"), "{turned}");
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

/// Functions without a file, of the kernel or of one name in several images, are the same after a
/// detour over a format whose functions have no image.
#[test]
fn a_profile_and_its_pprof_export_have_the_same_functions() {
    let place = tempfile::tempdir().unwrap();
    let pprof = place.path().join("leaf.pb.gz").display().to_string();
    run(&["export", "leaf.hotproof", "-o", &pprof]).ends_with(0);
    let arguments = ["diff", "leaf.hotproof", &pprof, "--min-percent", "0"];
    let table = run(&arguments).ends_with(0).stdout;
    assert!(
        table.contains("_start") && table.contains("[kernel]"),
        "{table}"
    );
    let lines = table.lines();
    let alone: Vec<&str> = lines
        .filter(|line| line.contains("added") || line.contains("removed"))
        .collect();
    assert!(alone.is_empty(), "{alone:#?}");
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
    let wholes = ["ripgrep.hotproof", "sqlite3.hotproof"]
        .map(|file| folded_of(&[file, "--weight", "cpu"]).0);
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
        "a.trace.json",
    ];
    for name in names {
        hotproof(here, &["export", leaf, "-o", name, "-q"]).ends_with(0);
        assert_eq!(folded_weight(here, name), native, "{name}");
    }
    let json = hotproof(here, &["export", leaf, "-f", "json", "-q"])
        .ends_with(0)
        .stdout;
    serde_json::from_str::<Value>(&json).expect("JSON");
    let lines = hotproof(here, &["export", leaf, "-f", "callgrind", "-q"])
        .ends_with(0)
        .stdout;
    assert!(lines.contains("fn="), "{lines}");
}

/// callgrind's calls and what balances them are no samples of their own: our export, read again,
/// has as many as the recording, in all and in each function.
#[test]
fn a_callgrind_export_has_the_samples_of_its_recording() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let leaf = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/leaf.hotproof");
    let leaf = leaf.to_str().unwrap();
    hotproof(here, &["export", leaf, "-o", "a.callgrind", "-q"]).ends_with(0);
    let samples = |file: &str| -> (u64, BTreeMap<String, u64>) {
        let all = [
            "report",
            file,
            "--json",
            "--top",
            "1000",
            "--min-percent",
            "0",
            "-q",
        ];
        let json = hotproof(here, &all).ends_with(0).stdout;
        let json: Value = serde_json::from_str(&json).unwrap();
        let rows = json["functions"].as_array().unwrap().iter();
        let rows = rows.map(|row| {
            let name = row["name"].as_str().unwrap().to_owned();
            (name, row["samples"].as_u64().unwrap())
        });
        let rows = rows
            .filter(|(name, _)| !name.starts_with("[thread "))
            .collect();
        (json["samples"].as_u64().unwrap(), rows)
    };
    let (native, of_native) = samples(leaf);
    let (read, of_read) = samples("a.callgrind");
    assert_eq!((native, read), (14_967, 14_967));
    for name in ["main", "often", "frameless", "spacious", "rarely"] {
        assert_eq!(of_read[name], of_native[name], "{name}");
    }
    let most = of_read.values().max();
    assert!(most <= Some(&14_967), "{of_read:?}");
    let screen = hotproof(here, &["report", "a.callgrind"])
        .ends_with(0)
        .stdout;
    assert!(screen.contains("14,967 samples"), "{screen}");
}

/// Self and total of each function of folded stacks whose root is a thread, without the frames
/// that stand for something else.
fn sums(text: &str) -> BTreeMap<String, (i64, i64)> {
    let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for line in text.lines() {
        let (stack, weight) = line.rsplit_once(' ').unwrap();
        let weight: i64 = weight.parse().unwrap();
        let marks = ["[truncated]", "[hidden]", "[unknown]"];
        let frames = stack
            .split(';')
            .skip(1)
            .filter(|frame| !marks.contains(frame));
        let mut frames: Vec<String> = frames.map(folded::unescape).collect();
        if let Some(leaf) = frames.last() {
            sums.entry(leaf.clone()).or_default().0 += weight;
        }
        frames.sort();
        frames.dedup();
        for frame in frames {
            sums.entry(frame).or_default().1 += weight;
        }
    }
    sums
}

/// What `go tool pprof -top` says of a file; `None`, visibly, where there is no go.
fn go_top(here: &Path, flags: &[&str]) -> Option<BTreeMap<String, (i64, i64)>> {
    let mut go = Command::new("go");
    go.args([
        "tool",
        "pprof",
        "-symbolize=none",
        "-top",
        "-sample_index=samples",
    ]);
    go.args(["-unit=count", "-nodecount=99999", "-nodefraction=0"]);
    go.args(flags).arg("a.pb.gz").current_dir(here);
    go.env("HOME", here)
        .env("PPROF_TMPDIR", here)
        .env_remove("GOFLAGS");
    let Ok(output) = go.output() else {
        skip("transformations against pprof", "go is not installed");
        return None;
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let rows = text.lines().skip_while(|line| !line.contains("flat%"));
    let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for row in rows.skip(1) {
        let fields: Vec<&str> = row.split_whitespace().collect();
        let name = fields[5..].join(" ").replace(" (inline)", "");
        let entry = sums
            .entry(name.replace(" (partial-inline)", ""))
            .or_default();
        entry.0 += fields[0].parse::<i64>().unwrap();
        entry.1 += fields[3].parse::<i64>().unwrap();
    }
    Some(sums)
}

/// pprof's names of flags mean what they mean to pprof, function by function, on the same file.
///
/// Two differences are meant: a sample without any frame left stays, as `[hidden]`; and where
/// inlined functions match, pprof cuts the address in every stack, also above the match that
/// counts, so that what is pruned is compared by physical functions.
#[test]
fn flags_of_pprof_mean_what_pprof_means() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let native = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/ripgrep.hotproof");
    let native = native.to_str().unwrap();
    hotproof(here, &["export", native, "-o", "a.pb.gz", "-q"]).ends_with(0);
    let cases: [(&[&str], &[&str]); 15] = [
        (&[], &[]),
        (&["--focus", "hybrid"], &["-focus=hybrid"]),
        (&["--focus", "walk.rs"], &["-focus=walk.rs"]),
        (&["--focus", "rg$"], &["-focus=rg$"]),
        (
            &["--ignore", "^regex_automata"],
            &["-ignore=^regex_automata"],
        ),
        (&["--hide", "search|libc"], &["-hide=search|libc"]),
        (&["--hide", "rg$"], &["-hide=rg$"]),
        (&["--show", "^regex_automata"], &["-show=^regex_automata"]),
        (&["--show", "walk.rs"], &["-show=walk.rs"]),
        (&["--prune-from", "hybrid"], &["-prune_from=hybrid"]),
        (&["--no-inline"], &["-noinlines"]),
        (
            &["--no-inline", "--prune-from", "search|libc"],
            &["-noinlines", "-prune_from=search|libc"],
        ),
        (
            &["--focus", "hybrid", "--hide", "regex"],
            &["-focus=hybrid", "-hide=regex"],
        ),
        (
            &[
                "--focus",
                "hybrid",
                "--ignore",
                "find_rev",
                "--prune-from",
                "search_imp",
            ],
            &[
                "-focus=hybrid",
                "-ignore=find_rev",
                "-prune_from=search_imp",
            ],
        ),
        (
            &["--show", "regex", "--hide", "meta"],
            &["-show=regex", "-hide=meta"],
        ),
    ];
    for (ours, theirs) in cases {
        let Some(theirs) = go_top(here, theirs) else {
            return;
        };
        let arguments = [&["export", "a.pb.gz", "-f", "folded", "-q"], ours].concat();
        let text = hotproof(here, &arguments).ends_with(0).stdout;
        assert_eq!(sums(&text), theirs, "{ours:?}");
    }
}

/// A copy of a recording in which every name would write the terminal's title, ring its bell and
/// colour what follows.
fn hostile(here: &Path, name: &str) -> String {
    const TAIL: &str = "\u{1b}]0;owned\u{7}\u{1b}[35;44m";
    let leaf = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/leaf.hotproof");
    let leaf = leaf.to_str().unwrap();
    hotproof(here, &["export", leaf, "-o", name, "-q"]).ends_with(0);
    let text = fs::read_to_string(here.join(name)).unwrap();
    let mut document: Value = serde_json::from_str(&text).unwrap();
    let spoil = |value: &mut Value| {
        if let Value::String(text) = value {
            text.push_str(TAIL);
        }
    };
    for (table, members) in [
        ("functions", &["name", "linkage_name", "file"][..]),
        ("images", &["path"]),
        ("threads", &["name"]),
        ("processes", &["name"]),
        ("weights", &["name"]),
    ] {
        for row in document[table].as_array_mut().unwrap() {
            members.iter().for_each(|member| spoil(&mut row[*member]));
        }
    }
    for member in ["clock", "event", "rung", "unwinder"] {
        spoil(&mut document["meta"][member]);
    }
    document["meta"]["notes"] = Value::from(vec![TAIL]);
    document["meta"]["command"] = Value::from(vec![TAIL]);
    fs::write(here.join(name), document.to_string()).unwrap();
    name.to_owned()
}

/// Terminals never get an escape sequence from a name, whichever command prints it.
#[test]
fn no_name_steers_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let file = hostile(here, "h.json");
    let leaf = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/leaf.hotproof");
    let leaf = leaf.to_str().unwrap();
    let file = file.as_str();
    let calls: [&[&str]; 28] = [
        &["report", file],
        &["report", file, "--tree"],
        &["report", file, "--callers", "often"],
        &["report", file, "--callees", "often"],
        &["report", file, "--lines", "often"],
        &["report", file, "--callers", "nonesuch\u{1b}]0;owned\u{7}"],
        &["report", file, "--group", "thread"],
        &["report", file, "--json"],
        &["report", file, "--thread", "nobody"],
        &["report", file, "--process", "nobody"],
        &["report", file, "--weight", "nothing"],
        &["report", file, leaf],
        &["diff", file, leaf],
        &["diff", file, file],
        &["diff", file, leaf, "-f", "folded"],
        &["confirm", "often", "--profile", file],
        &["confirm", "n", "--profile", file],
        &["export", file, "-f", "folded"],
        &["export", file, "-f", "callgrind"],
        &["export", file, "-f", "svg"],
        &["export", file, "-f", "speedscope"],
        &["export", file, "-f", "chrome"],
        &["export", file, "-f", "json"],
        &["diff", file, leaf, "-f", "svg"],
        &["diff", file, leaf, "--json"],
        &["confirm", "often", "--profile", file, "--json"],
        &["doctor", file],
        &["report", file, "--event", "nothing\u{1b}]0;owned\u{7}"],
    ];
    for arguments in calls {
        let mut command = crate::run::command(here, arguments);
        // As on a terminal: without this, escape sequences would be taken out.
        command.env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1");
        let ran = crate::run::finish(&mut command);
        for text in [&ran.stdout, &ran.stderr] {
            for sequence in ["\u{1b}]", "\u{7}", "\u{1b}[35"] {
                assert!(!text.contains(sequence), "{arguments:?}: {text}");
            }
        }
        assert!(!ran.stdout.is_empty() || !ran.stderr.is_empty());
    }
}

#[test]
fn a_difference_in_three_columns_is_read_as_both_profiles() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::write(
        here.join("d.folded"),
        "main;a 5 3\nmain;b 0 4\nmain;c 2 0\n",
    )
    .unwrap();
    let text = hotproof(here, &["diff", "d.folded", "--json", "--min-percent", "0"])
        .ends_with(0)
        .stdout;
    let document: Value = serde_json::from_str(&text).unwrap();
    let rows = document["functions"].as_array().unwrap().iter();
    let row = |name: &str| {
        let mut rows = rows.clone();
        let row = rows.find(|row| row["name"] == name).unwrap();
        (
            row["presence"].clone(),
            row["self"]["change"].as_f64().unwrap(),
        )
    };
    assert_eq!(document["normalize"], "run");
    assert_eq!(row("a"), ("both".into(), -2.0));
    assert_eq!(row("b"), ("added".into(), 4.0));
    assert_eq!(row("c"), ("removed".into(), -2.0));
    let again = hotproof(here, &["diff", "d.folded", "-f", "folded"])
        .ends_with(0)
        .stdout;
    assert_eq!(again, "main;a 5 3\nmain;b 0 4\nmain;c 2 0\n");
    hotproof(here, &["diff", "d.folded", "-o", "d.pb.gz"]).ends_with(0);
    hotproof(
        here,
        &["diff", "d.folded", "-f", "pprof", "--normalize", "total"],
    )
    .ends_with(2)
    .says(&["-normalize"]);
    fs::write(here.join("one.folded"), "main;a 5\n").unwrap();
    hotproof(here, &["diff", "one.folded"])
        .ends_with(2)
        .says(&["is one profile (its weights: samples)"]);
    // A difference has no flame graph of its own.
    hotproof(here, &["export", "d.pb.gz", "-o", "d.svg"])
        .ends_with(1)
        .says(&["hotproof diff FILE -o change.svg"]);
    assert!(!fs::exists(here.join("d.svg")).unwrap());
    hotproof(here, &["report", "d.pb.gz"])
        .ends_with(2)
        .says(&["is a difference", "hotproof diff FILE"]);
    hotproof(here, &["confirm", "a", "--profile", "d.pb.gz"])
        .ends_with(2)
        .says(&["weights below zero"]);
    let from_pprof = hotproof(here, &["diff", "d.pb.gz", "-f", "folded"])
        .ends_with(0)
        .stdout;
    assert_eq!(from_pprof, again);
    // Three columns stay three, and one of them can be chosen.
    let same = hotproof(here, &["export", "d.folded", "-f", "folded"]).ends_with(0);
    assert_eq!(same.stdout, again);
    let head = [
        "export", "d.folded", "-f", "folded", "--weight", "head", "-q",
    ];
    let head = hotproof(here, &head).ends_with(0).stdout;
    assert_eq!(head, "main;a 3\nmain;b 4\nmain;c 0\n");
    hotproof(here, &["report", "d.folded", "--tree"]).ends_with(2);
}

#[test]
fn a_function_is_confirmed_in_profiles_of_any_format_as_they_are_transformed() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let hot = "main;parse;number 200\nmain;write 800\nidle;poll 19000\n";
    fs::write(here.join("a.folded"), hot.repeat(3)).unwrap();
    let confirm = |flags: &[&str]| {
        let arguments = ["confirm", "write", "--profile", "a.folded", "--floor", "30"];
        hotproof(here, &[&arguments, flags].concat()).status
    };
    assert_eq!(confirm(&[]), 13);
    assert_eq!(confirm(&["--ignore", "^poll$", "--profile", "a.folded"]), 0);
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
