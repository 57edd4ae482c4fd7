//! What `compare` can be given to run, what it keeps, and what it writes besides the verdict.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::run::{
    Ran, alone, command, commit, decided, finish, git, is_refused, nothing_is_left,
    on_a_quiet_machine, perf_opens, skip,
};

/// hotproof with a cache of its own below `cache`, so that builds are kept and can be counted.
fn hotproof(folder: &Path, cache: &Path, arguments: &[&str]) -> Ran {
    let mut command: Command = command(folder, arguments);
    finish(command.env("HOTPROOF_CACHE", cache))
}

/// One pair decides nothing, and a busy machine is refused: which of the two is not the question
/// where builds and files are looked at.
#[track_caller]
fn measured(ran: Ran) -> Ran {
    if is_refused(&ran) {
        ran
    } else {
        ran.ends_with(12)
    }
}

/// A script that counts to `rounds`, and a C file that differs, so that code changed.
fn script(rounds: u32) -> String {
    format!("#!/bin/sh\ni=0\nwhile [ $i -lt {rounds} ]; do i=$((i + 1)); done\necho done\n")
}

fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    commit(
        folder.path(),
        "base",
        &[("bench.sh", &script(9_000)), ("a.c", "int a;\n")],
    );
    commit(folder.path(), "head", &[("a.c", "int b;\n")]);
    folder
}

#[test]
fn the_same_refs_are_built_once_and_two_at_once_do_not_meet() {
    let _machine = alone();
    let folder = repository();
    let cache = tempfile::tempdir().unwrap();
    let counter = cache.path().join("built");
    let build = format!("echo built >> '{}'; cp bench.sh program", counter.display());
    let compare = || {
        let words = [
            "compare", "main~1", "main", "--pairs", "1", "--build", &build, "--", "sh", "program",
        ];
        measured(hotproof(folder.path(), cache.path(), &words))
    };
    fs::write(folder.path().join(".git/info/exclude"), "program\n").unwrap();
    compare();
    let builds = || fs::read_to_string(&counter).unwrap().lines().count();
    assert_eq!(builds(), 3, "base, head and the second copy of base");
    compare().says(&[
        "base     built before",
        "head     built before",
        "copy     built before",
    ]);
    assert_eq!(builds(), 3);
    // What is run, and with what, changes nothing of what is built.
    let other = [
        "compare",
        "main~1",
        "main",
        "--pairs",
        "1",
        "--build",
        &build,
        "--",
        "sh",
        "./program",
        "x",
    ];
    measured(hotproof(folder.path(), cache.path(), &other)).says(&["copy     built before"]);
    assert_eq!(builds(), 3);
    nothing_is_left(folder.path());
    // Two at once have builds of their own, and neither waits for the other.
    std::thread::scope(|scope| {
        let both = [scope.spawn(compare), scope.spawn(compare)];
        for one in both {
            one.join().unwrap();
        }
    });
    assert!((3..=6).contains(&builds()), "{}", builds());
    nothing_is_left(folder.path());
    // Without the cache everything is built anew, and nothing is kept.
    let before = builds();
    let words = [
        "compare",
        "main~1",
        "main",
        "--no-cache",
        "--pairs",
        "1",
        "--build",
        &build,
        "--",
        "sh",
        "program",
    ];
    measured(hotproof(folder.path(), cache.path(), &words));
    assert_eq!(builds(), before + 3);
    // What they take is shown, and can be had back.
    let json = |words: &[&str]| -> serde_json::Value {
        let ran = hotproof(folder.path(), cache.path(), words).ends_with(0);
        serde_json::from_str(&ran.stdout).unwrap()
    };
    let kept = json(&["cache", "--json"])["cache"]["builds"].clone();
    let count = kept["entries"].as_array().unwrap().len();
    assert!((3..=6).contains(&count), "{kept}");
    assert!(kept["size_bytes"].as_u64().unwrap() > 0, "{kept}");
    let table = hotproof(folder.path(), cache.path(), &["cache"]).ends_with(0);
    assert!(table.stdout.contains("/builds  "), "{}", table.stdout);
    let cleared = json(&["cache", "--clear", "--json"]);
    assert_eq!(cleared["cleared"]["builds"], count);
    assert_eq!(cleared["cleared"]["builds_in_use"], 0);
    assert_eq!(cleared["cache"]["builds"]["entries"], serde_json::json!([]));
    let left = fs::read_dir(cache.path().join("builds")).unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn uncommitted_work_is_measured_and_left_as_it_is() {
    let _machine = alone();
    let folder = repository();
    let here = folder.path();
    let cache = tempfile::tempdir().unwrap();
    let words = [
        "compare", "main", "--dirty", "--json", "--pairs", "1", "--", "sh", "bench.sh",
    ];
    let unchanged = hotproof(here, cache.path(), &words);
    let json: serde_json::Value = serde_json::from_str(&unchanged.stdout).unwrap();
    assert_eq!(json["head"]["subject"], "nothing changed since HEAD");
    fs::write(here.join("bench.sh"), script(100)).unwrap();
    fs::write(here.join("new.c"), "int c;\n").unwrap();
    git(here, ["add", "bench.sh"]);
    fs::write(here.join("bench.sh"), script(200)).unwrap();
    let state = || {
        (
            git(here, ["status", "--porcelain"]),
            git(here, ["diff", "--cached"]),
            git(here, ["stash", "list"]),
            fs::read(here.join(".git/index")).unwrap(),
        )
    };
    let before = state();
    let ran = measured(hotproof(here, cache.path(), &words));
    let ran = ran.says(&["--pairs 1 is too few: no verdict comes of fewer than 11 pairs"]);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["head"]["name"], "working tree");
    assert_eq!(json["head"]["subject"], "uncommitted work");
    assert_eq!(state(), before);
    let head = json["head"]["commit"].as_str().unwrap();
    let shown = git(here, ["show", &format!("{head}:bench.sh")]);
    assert_eq!(shown, script(200), "the working tree and not the index");
    assert_eq!(git(here, ["show", &format!("{head}:new.c")]), "int c;\n");
}

#[test]
fn a_script_that_times_itself_is_judged_by_its_report_and_more_pairs_can_be_added() {
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let cache = tempfile::tempdir().unwrap();
    let report = |seconds: f64| format!("echo 'starting'\necho '{{\"parse\": {seconds}}}'\n");
    commit(here, "base", &[("times.sh", &report(0.5))]);
    commit(here, "head", &[("times.sh", &report(0.25))]);
    let (table, note) = (cache.path().join("r.tsv"), cache.path().join("note.md"));
    let (table, note) = (table.to_str().unwrap(), note.to_str().unwrap());
    let words = [
        "compare",
        "main~1",
        "main",
        "--script",
        "--json",
        "--pairs",
        "4",
        "--tsv",
        table,
        "--handoff",
        note,
        "--",
        "sh",
        "times.sh",
    ];
    let ran = hotproof(here, cache.path(), &words).ends_with(12);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["end_to_end"]["primary"], "reported");
    let base = json["end_to_end"]["metrics"][0]["base"].as_f64().unwrap();
    assert!((base - 5e8).abs() < 1.0, "{base}");
    // Eleven pairs that are all the same decide; four of them are there.
    let words = [
        "verdict",
        "--resume",
        "--pairs",
        "10",
        "--json",
        "--tsv",
        table,
        "--handoff",
        note,
    ];
    let ran = hotproof(here, cache.path(), &words);
    let json: serde_json::Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stderr));
    assert_eq!(json["end_to_end"]["outcome"], "faster", "{json}");
    let pairs = json["runs"]["pairs"].as_u64().unwrap();
    assert!((11..=14).contains(&pairs), "{pairs}");
    let log = fs::read_to_string(here.join(".hotproof/log.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 2);
    // The files of the user have what it comes to now, in the place of what it came to before.
    let rows = fs::read_to_string(table).unwrap();
    assert_eq!(rows.lines().count(), 2, "{rows}");
    assert!(rows.contains(&format!("\t{pairs}\t")), "{rows}");
    let text = fs::read_to_string(note).unwrap();
    assert_eq!(text.matches("<!-- hotproof: begin").count(), 1, "{text}");
    assert!(!text.contains("only 4 pairs"), "{text}");
    // Measured again, the result takes its old place in the files of the user.
    let words = [
        "compare",
        "main~1",
        "main",
        "--script",
        "--pairs",
        "1",
        "--tsv",
        table,
        "--handoff",
        note,
        "--",
        "sh",
        "times.sh",
    ];
    fs::write(
        note,
        format!("# Mine\n\n{}", fs::read_to_string(note).unwrap()),
    )
    .unwrap();
    hotproof(here, cache.path(), &words).ends_with(12);
    assert_eq!(fs::read_to_string(table).unwrap().lines().count(), 2);
    let text = fs::read_to_string(note).unwrap();
    assert!(text.starts_with("# Mine\n"), "{text}");
    assert_eq!(text.matches("<!-- hotproof: begin").count(), 1, "{text}");
    nothing_is_left(here);
    // What was measured of other work is no part of it.
    let line = log
        .lines()
        .next()
        .unwrap()
        .replace("\"kernel\":\"", "\"kernel\":\"other ");
    let other = cache.path().join("other.jsonl");
    fs::write(&other, line + "\n").unwrap();
    let words = ["verdict", "--resume", other.to_str().unwrap()];
    hotproof(here, cache.path(), &words)
        .ends_with(20)
        .says(&["do not add up", "kernel: other "]);
    nothing_is_left(here);
}

/// What was measured before a run failed is kept, says so, and is a comparison like others.
#[test]
fn pairs_before_a_failure_are_logged() {
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let cache = tempfile::tempdir().unwrap();
    let counter = cache.path().join("runs");
    let times = |seconds: f64| {
        format!(
            "n=$(cat '{0}' 2>/dev/null || echo 0); n=$((n + 1)); echo $n > '{0}'\n\
             [ $n -lt 30 ] || exit 7\necho '{{\"f\": {seconds}}}'\n",
            counter.display()
        )
    };
    commit(here, "base", &[("times.sh", &times(0.5))]);
    commit(here, "head", &[("times.sh", &times(0.4))]);
    let words = [
        "compare", "main~1", "main", "--script", "--", "sh", "times.sh",
    ];
    hotproof(here, cache.path(), &words).ends_with(21).says(&[
        "status 7",
        "kept ",
        ".hotproof/log.jsonl:1",
        "--resume",
    ]);
    nothing_is_left(here);
    let ran = hotproof(here, cache.path(), &["verdict", "--json"]).ends_with(12);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(json["runs"]["pairs"].as_u64().unwrap() >= 1, "{json}");
    let said = json["warnings"].to_string();
    assert!(said.contains("the measurement ended early"), "{said}");
}

/// Most of the run is set-up; what is asked about halves, and that is what is told.
#[test]
fn only_time_under_the_scope_counts() {
    const NAME: &str = "only_time_under_the_scope_counts";
    let _machine = alone();
    if !perf_opens(NAME) {
        return;
    }
    let program = |rounds: u32| {
        let spin = |name: &str, rounds: u32| {
            format!(
                "__attribute__((noinline)) static void {name}(void) {{\n    \
                 for (unsigned i = 0; i < {rounds}; i++) sink = sink * 31 + i;\n}}\n"
            )
        };
        let (before, asked) = (spin("prepare", 150_000_000), spin("work", rounds));
        format!(
            "#include <stdio.h>\nstatic volatile unsigned sink;\n{before}{asked}\
             int main(void) {{\n    prepare(); work();\n    \
             puts(\"{{\\\"f\\\": 0.25}}\");\n}}\n"
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    commit(here, "base", &[("bench.c", &program(60_000_000))]);
    commit(here, "head", &[("bench.c", &program(30_000_000))]);
    let cache = tempfile::tempdir().unwrap();
    let compare = |scope: &str, more: &[&str]| {
        let build = "cc -O2 -g -o bench bench.c";
        let words = [
            "compare", "main~1", "main", "--json", "--pairs", "3", "--budget", "15", "--build",
            build, "--scope", scope,
        ];
        let words = [&words, more, &["--", "./bench"]].concat();
        hotproof(here, cache.path(), &words)
    };
    let Some(ran) = on_a_quiet_machine(NAME, || compare("work", &[])) else {
        return;
    };
    let json: serde_json::Value = serde_json::from_str(&ran.ends_with(12).stdout).unwrap();
    let names = |json: &serde_json::Value| -> Vec<String> {
        let rows = json["functions"].as_array().unwrap().iter();
        rows.map(|row| row["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let [work, prepare] = ["work".to_owned(), "prepare".to_owned()];
    let row = &json["end_to_end"]["metrics"][0];
    assert_eq!(row["name"], "reported", "{json}");
    let (base, head) = (row["base"].as_f64().unwrap(), row["head"].as_f64().unwrap());
    // The whole would be at five sixths.
    assert!((0.35..0.7).contains(&(head / base)), "{head} of {base}");
    assert!(names(&json).contains(&work), "{json}");
    assert!(!names(&json).contains(&prepare), "{json}");
    compare("wrok", &[])
        .ends_with(2)
        .says(&["no function `wrok` to count under"]);
    // What the workload reports itself stays what is compared; the scope chooses the samples.
    let ran = compare("work", &["--script"]).ends_with(12);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let row = &json["end_to_end"]["metrics"][0];
    let (base, head) = (row["base"].as_f64().unwrap(), row["head"].as_f64().unwrap());
    assert_eq!((base.round(), head.round()), (25e7, 25e7), "{json}");
    assert!(!names(&json).contains(&prepare), "{json}");
    nothing_is_left(here);
}

/// A program that sleeps in one function: its wait is the time of that function, of which the
/// shorter sleep of head takes away as much as it says, whatever else the machine does.
#[test]
fn a_shorter_wait_is_seen_in_the_function_that_waits() {
    const NAME: &str = "a_shorter_wait_is_seen_in_the_function_that_waits";
    let _machine = alone();
    if !perf_opens(NAME) {
        return;
    }
    if !matches!(
        hotproof_profiler::probe(),
        hotproof_profiler::Ladder::Events {
            rung: hotproof_profiler::Rung::KernelAndUser,
            ..
        }
    ) {
        return skip(NAME, "switches of threads may not be sampled here");
    }
    let program = |sleep_ms: u32| {
        format!(
            "#include <stdio.h>\n#include <time.h>\nstatic volatile unsigned sink;\n\
             __attribute__((noinline)) static void fetch(void) {{\n\
             struct timespec t = {{0, {sleep_ms}000000}};\nnanosleep(&t, 0); sink++; }}\n\
             __attribute__((noinline)) static void work(void) {{\n\
             for (unsigned i = 0; i < 3000000; i++) sink = sink * 1664525u + 1u; }}\n\
             int main(void) {{ work(); fetch(); work(); puts(\"done\"); return 0; }}\n"
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    commit(here, "base", &[("bench.c", &program(60))]);
    commit(here, "head", &[("bench.c", &program(20))]);
    let cache = tempfile::tempdir().unwrap();
    let ran = decided(NAME, || {
        let build = "cc -O1 -g -o bench bench.c";
        let words = ["compare", "main~1", "main", "--json", "--pairs", "14"];
        let words = [&words[..], &["--build", build, "--", "./bench"]].concat();
        hotproof(here, cache.path(), &words)
    });
    let Some(ran) = ran else { return };
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["verdict"], "keep", "{json}");
    assert_eq!(json["end_to_end"]["primary"], "wall_time", "{json}");
    assert_eq!(json["functions_share"], "wall_time");
    let reason = json["reason"].as_str().unwrap();
    assert!(
        reason.contains("by waiting less") && reason.contains("fetch"),
        "{reason}"
    );
    let rows = json["functions"].as_array().unwrap();
    let own = &rows.iter().find(|row| row["name"] == "fetch").unwrap()["own"];
    let ms = |name: &str| own[name].as_f64().unwrap() / 1e6;
    assert!((-55.0..-35.0).contains(&ms("delta_ns")), "{own}");
    assert!((58.0..80.0).contains(&ms("base_ns")), "{own}");
    assert!(
        ms("ci_low_ns") < -40.0 && -40.0 < ms("ci_high_ns") + 10.0,
        "{own}"
    );
    let share = json["ceiling"]["share"]["pct"].as_f64().unwrap();
    assert!((50.0..100.0).contains(&share), "{share}");
    // Of time on the CPU it would have been next to nothing, which is not told first.
    let told = ran.stderr.matches("most that can be won here").count();
    assert_eq!(told, 1, "{}", ran.stderr);
    nothing_is_left(here);
}

#[test]
fn workloads_of_the_project_run_by_name_and_its_mistakes_are_told() {
    let _machine = alone();
    let folder = repository();
    let here = folder.path();
    let cache = tempfile::tempdir().unwrap();
    let file = "[[workload]]\nname = 'one'\ncommand = 'sh bench.sh'\nrepetitions = 2\n\
        [[workload]]\nname = 'two'\ncommand = ['sh', '-c', 'sh bench.sh; exit 3']\n\
        exit-status = 3\nconcurrency = 2\nenvironment = { A = '1' }\n";
    commit(here, "toml", &[("hotproof.toml", file)]);
    commit(here, "code", &[("a.c", "int c;\n")]);
    let words = [
        "compare", "main~1", "main", "-w", "all", "--pairs", "1", "--json",
    ];
    let compare = || hotproof(here, cache.path(), &words);
    let Some(ran) = on_a_quiet_machine("workloads_of_the_project", compare) else {
        return;
    };
    let json: serde_json::Value = serde_json::from_str(&ran.ends_with(12).stdout).unwrap();
    let names: Vec<&str> = json
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["workload"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["one", "two"]);
    nothing_is_left(here);
    let says = |words: &[&str], status, texts: &[&str]| {
        let words = [&["compare", "main~1", "main"], words].concat();
        hotproof(here, cache.path(), &words)
            .ends_with(status)
            .says(texts);
    };
    says(&[], 2, &["several workloads", "one, two", "-w NAME"]);
    says(&["-w", "three"], 2, &["no workload `three`", "one, two"]);
    says(
        &["--policy", "speed", "--", "sh", "bench.sh"],
        2,
        &["no policy `speed`", "statistical, cpu"],
    );
    says(
        &["--test", "echo red; exit 4", "--", "sh", "bench.sh"],
        21,
        &["tests of head", "exit status 4", "red"],
    );
    let counted = ["--engine", "callgrind", "--metric", "wall"];
    says(
        &[&counted[..], &["--", "sh", "bench.sh"]].concat(),
        2,
        &["counts instructions and measures nothing else", "--witness"],
    );
    says(
        &["--metric", "reported", "--", "sh", "bench.sh"],
        20,
        &["cannot decide by the time that the workload reports"],
    );
    says(&["--bench", "x"], 2, &["bench x", "no Cargo.toml"]);
    nothing_is_left(here);
    commit(
        here,
        "wrong",
        &[("hotproof.toml", "[[workload]]\nname = 'a'\ncomand = 'x'\n")],
    );
    says(&[], 2, &["comand", "--help"]);
}

/// A workload that runs where, on what and as often as hotproof.toml says, each time with its whole
/// input, and one that cannot run.
#[test]
fn a_workload_that_fails_takes_nothing_from_the_others() {
    let _machine = alone();
    let folder = repository();
    let here = folder.path();
    let cache = tempfile::tempdir().unwrap();
    let runs = cache.path().join("runs");
    let file = format!(
        "[[workload]]\nname = 'bad'\ncommand = 'sh bad.sh'\n\
         [[workload]]\nname = 'good'\ncommand = 'sh told.sh'\ndirectory = 'sub'\n\
         stdin = 'data.txt'\nenvironment = {{ RUNS = '{}' }}\nrepetitions = 3\nconcurrency = 2\n",
        runs.display()
    );
    let told = "read word; [ \"$word\" = hello ] || exit 4\n\
        case $PWD in */sub) ;; *) exit 5 ;; esac\necho run >> \"$RUNS\"\n";
    let files = [
        ("hotproof.toml", file.as_str()),
        ("bad.sh", "exit 9\n"),
        ("sub/told.sh", told),
        ("sub/data.txt", "hello\n"),
    ];
    commit(here, "toml", &files);
    commit(here, "code", &[("a.c", "int c;\n")]);
    let compare = |more: &[&str]| {
        let words = ["compare", "main~1", "main", "-w", "all", "--pairs", "1"];
        hotproof(here, cache.path(), &[&words, more].concat())
            .ends_with(21)
            .says(&["error: workload bad: ", "status 9"])
    };
    let page = cache.path().join("r.html");
    let ran = compare(&["--json", "--html", page.to_str().unwrap()]);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 1, "{json}");
    assert_eq!(json[0]["workload"], "good");
    assert!(fs::read_to_string(page).unwrap().contains("good"));
    let runs = fs::read_to_string(&runs).unwrap().lines().count();
    assert!(runs > 0 && runs.is_multiple_of(6), "{runs}");
    let shown = compare(&["-q"]).stdout;
    assert!(shown.starts_with("Workload good\n"), "{shown}");
    let last = shown.lines().last().unwrap();
    for words in ["All 2 workloads: failed, exit code 21", "bad: not measured"] {
        assert!(last.contains(words), "{words}: {last}");
    }
    nothing_is_left(here);
}

/// What a run takes says nothing of the code here: the same base reports anything, by a generator.
#[test]
fn a_hopeless_machine_is_refused() {
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let cache = tempfile::tempdir().unwrap();
    let times = |comment: &str| {
        format!(
            "# {comment}\nn=$(cat '{0}' 2>/dev/null || echo 42)\n\
             n=$(((n * 1103515245 + 12345) % 2147483648)); echo $n > '{0}'\n\
             echo \"{{\\\"f\\\": $((n / 2148 + 10000))e-6}}\"\n",
            cache.path().join("state").display()
        )
    };
    commit(
        here,
        "base",
        &[("times.sh", &times("a")), ("a.c", "int a;\n")],
    );
    commit(here, "head", &[("a.c", "int b;\n")]);
    let words = [
        "compare", "main~1", "main", "--script", "--", "sh", "times.sh",
    ];
    let ran = hotproof(here, cache.path(), &words);
    assert!(ran.stdout.starts_with("REFUSED"), "{}", ran.stdout);
    assert!(is_refused(&ran), "{ran:?}");
    nothing_is_left(here);
}

/// The quick look saw its function twice as fast, and the whole program does not change.
#[test]
fn a_quick_look_that_does_not_carry_over_is_told_with_its_commands() {
    let _machine = alone();
    if !perf_opens("a_quick_look_that_does_not_carry_over_is_told_with_its_commands") {
        return;
    }
    let program = |rounds: u32| {
        format!(
            "#include <stdio.h>\nstatic volatile unsigned sink;\n\
             __attribute__((noinline)) static void work(void) {{\n    \
             for (unsigned i = 0; i < {rounds}; i++) sink = sink * 31 + i;\n}}\n\
             int main(void) {{\n    work();\n    puts(\"{{\\\"f\\\": 0.25}}\");\n}}\n"
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let cache = tempfile::tempdir().unwrap();
    let times = ["0.5", "0.25"].map(|seconds| format!("echo '{{\"f\": {seconds}}}'\n"));
    commit(
        here,
        "base",
        &[
            ("bench.c", &program(20_000_000)),
            ("old.sh", &times[0]),
            ("new.sh", &times[1]),
        ],
    );
    commit(here, "head", &[("bench.c", &program(20_000_001))]);
    let words = ["ab", "--script", "--", "sh", "{old,new}.sh"];
    hotproof(here, cache.path(), &words).ends_with(0);
    // Its record is decided again, and there are no refs to run more pairs of.
    hotproof(here, cache.path(), &["verdict", ".hotproof/ab.jsonl"]).ends_with(0);
    let words = ["verdict", "--resume", ".hotproof/ab.jsonl"];
    hotproof(here, cache.path(), &words)
        .ends_with(2)
        .says(&["a quick look at two commands", "hotproof ab again"]);
    let words = [
        "compare",
        "main~1",
        "main",
        "--json",
        "--script",
        "--build",
        "cc -O2 -g -o bench bench.c",
        "--",
        "./bench",
    ];
    let ran = hotproof(here, cache.path(), &words).ends_with(10);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let said = json["warnings"].to_string();
    for words in [
        "`sh old.sh` to `sh new.sh`",
        "50.0 % faster",
        "does not carry over",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

/// The harness of the standard library runs until it is content; what it reports is compared.
#[test]
fn a_benchmark_of_cargo_is_found_and_judged_by_what_it_reports() {
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let library = |rounds: u32| {
        format!(
            "#[inline(never)]\npub fn work(n: u64) -> u64 {{\n    (0..n * {rounds}).fold(1, |a: u64, b| (a ^ b).wrapping_mul(31))\n}}\n"
        )
    };
    let bench = "#![feature(test)]\nextern crate test;\n#[bench]\nfn work(b: &mut test::Bencher) {\n    b.iter(|| demo::work(test::black_box(100)));\n}\n";
    let manifest = "[package]\nname = 'demo'\nversion = '0.1.0'\nedition = '2021'\n[workspace]\n";
    let ignore = "target\nCargo.lock\n";
    commit(
        here,
        "base",
        &[
            ("Cargo.toml", manifest),
            ("src/lib.rs", &library(8)),
            (".gitignore", ignore),
        ],
    );
    // The benchmark exists at head only, and is measured on both sides.
    commit(
        here,
        "head",
        &[("src/lib.rs", &library(4)), ("benches/speed.rs", bench)],
    );
    let cache = tempfile::tempdir().unwrap();
    let words = [
        "compare", "main~1", "main", "--json", "--pairs", "1", "--budget", "15",
    ];
    let compare = || {
        let mut compare = command(here, &words);
        compare
            .env("HOTPROOF_CACHE", cache.path())
            // The user's target folder is nothing that two refs could share.
            .env("CARGO_TARGET_DIR", cache.path().join("users-target"))
            .env("RUSTC_BOOTSTRAP", "1");
        finish(&mut compare)
    };
    let Some(ran) = on_a_quiet_machine("a_benchmark_of_cargo", compare) else {
        return;
    };
    let ran = ran.ends_with(12).says(&[
        "--bench speed",
        "libtest repeats its benchmarks",
        "bench speed does not exist at main~1",
    ]);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let row = &json["end_to_end"]["metrics"][0];
    assert_eq!(row["name"], "reported");
    let (base, head) = (row["base"].as_f64().unwrap(), row["head"].as_f64().unwrap());
    assert!(
        (100.0..100_000.0).contains(&base) && head > 10.0,
        "{base} {head}"
    );
    assert!(!cache.path().join("users-target").exists());
    nothing_is_left(here);
    let words = ["compare", "main~1", "main", "--bench", "sped"];
    let mut compare = command(here, &words);
    finish(compare.env("HOTPROOF_CACHE", cache.path()))
        .ends_with(2)
        .says(&["has no bench sped"]);
    nothing_is_left(here);
}

/// A program with a function in a section of its own for each of `names`, and work in the first one.
fn sections(rounds: u32) -> String {
    format!(
        "#include <stdio.h>\nunsigned long a(unsigned long n) {{ unsigned long s = 1; for (unsigned long i = 0; i < n; i++) s = s * 31 + (s >> 7); return s; }}\nint b(int x) {{ return x * 3; }}\nint c(int x) {{ return x + b(x); }}\nint main(void) {{ printf(\"%d\\n\", (int)(a({rounds}) & 0) + c(4)); return 0; }}\n"
    )
}

#[test]
fn each_ref_is_linked_several_times_and_all_links_run() {
    const NAME: &str = "each_ref_is_linked_several_times_and_all_links_run";
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let cache = tempfile::tempdir().unwrap();
    commit(here, "base", &[("a.c", &sections(4_000_000))]);
    commit(here, "head", &[("a.c", &sections(3_900_000))]);
    fs::write(here.join(".git/info/exclude"), "bench\n.hotproof/\n").unwrap();
    let built = cache.path().join("built");
    let build = format!(
        "echo built >> '{}'; cc -g -O1 -ffunction-sections a.c -o bench",
        built.display()
    );
    let compare = || {
        let words = [
            "compare",
            "main~1",
            "main",
            "--json",
            "--layouts",
            "3",
            "--pairs",
            "9",
            "--build",
            &build,
            "--",
            "./bench",
        ];
        let ran = on_a_quiet_machine(NAME, || hotproof(here, cache.path(), &words))?;
        let json: serde_json::Value = serde_json::from_str(&ran.ends_with(12).stdout).unwrap();
        assert_eq!(json["layouts"]["count"], 3, "{json}");
        let links = json["layouts"]["links"].as_array().unwrap().clone();
        let pairs: Vec<u64> = links
            .iter()
            .map(|it| it["pairs"].as_u64().unwrap())
            .collect();
        assert_eq!(pairs, [3; 6], "each link runs once in a round");
        assert!(json["layouts"]["largest_difference_pct"].as_f64().unwrap() > 0.0);
        Some(json)
    };
    // Links are made in one build, and kept with it.
    let (Some(first), Some(_)) = (compare(), compare()) else {
        return;
    };
    let builds = fs::read_to_string(&built).unwrap().lines().count();
    assert_eq!(builds, 3, "base, head and the second copy of base");
    nothing_is_left(here);
    // They are different programs, of which the diff's function is found in each.
    let function = first["functions"][0]["name"].as_str().unwrap();
    assert!(["a", "main"].contains(&function), "{function}");
    let slot = |end: &str| -> Vec<Vec<u8>> {
        let builds = fs::read_dir(cache.path().join("builds")).unwrap();
        let folders = builds.map(|entry| entry.unwrap().path());
        let programs = folders.map(|folder| folder.join(format!("bench.layout-{end}")));
        programs.filter_map(|path| fs::read(path).ok()).collect()
    };
    let [one, two, three] = ["00", "01", "02"].map(slot);
    assert_eq!([one.len(), two.len(), three.len()], [3; 3]);
    assert_ne!(one, two);
    assert_ne!(two, three);
    let said = |json: &serde_json::Value| json["warnings"].to_string();
    assert!(!said(&first).contains("--layouts moved"), "{first}");
    // All functions of a file in one section: only files move.
    let words = [
        "compare",
        "main~1",
        "main",
        "--json",
        "--layouts",
        "2",
        "--pairs",
        "2",
        "--build",
        "cc -g -O1 a.c -o bench",
        "--",
        "./bench",
    ];
    let ran = measured(hotproof(here, cache.path(), &words));
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let moved = "--layouts moved the 4 functions of bench in 1 piece only";
    assert!(said(&json).contains(moved), "{json}");
}

#[test]
fn what_cannot_be_linked_in_other_orders_is_refused() {
    let _machine = alone();
    let folder = repository();
    let cache = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 2] = [
        (
            &[],
            "nothing is built there, so nothing is linked; say how to build it with --build CMD",
        ),
        (
            &["--build", "true"],
            "its build linked no program that hotproof could see",
        ),
    ];
    for (more, says) in cases {
        let start = ["compare", "main~1", "main", "--layouts", "2"];
        let words = [&start[..], more, &["--", "sh", "bench.sh"]].concat();
        let ran = hotproof(folder.path(), cache.path(), &words).ends_with(20);
        ran.says(&["no other layouts of base (main~1)", says]);
        nothing_is_left(folder.path());
    }
}

/// The page shows every pair and both flame graphs, and the profiles of a side hold all its runs.
#[test]
fn a_page_and_the_profiles_of_both_sides_are_left_where_asked() {
    let _machine = alone();
    if !perf_opens("a page and profiles") {
        return;
    }
    let folder = repository();
    let cache = tempfile::tempdir().unwrap();
    let (page, left) = (cache.path().join("r.html"), cache.path().join("left"));
    let (page, left) = (page.to_str().unwrap(), left.to_str().unwrap());
    let words = [
        "compare",
        "main~1",
        "main",
        "--pairs",
        "2",
        "--html",
        page,
        "--profiles",
        left,
        "--json",
        "--",
        "sh",
        "bench.sh",
    ];
    let compare = || hotproof(folder.path(), cache.path(), &words);
    let Some(ran) = on_a_quiet_machine("a_page_and_the_profiles", compare) else {
        return;
    };
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let text = fs::read_to_string(page).unwrap();
    assert_eq!(text.matches("class=\"pair\" ").count(), 2);
    assert_eq!(text.matches("<iframe ").count(), 3);
    for side in ["base", "head"] {
        let profile = format!("{left}/{side}.hotproof");
        let ran = hotproof(folder.path(), cache.path(), &["report", "--json", &profile]);
        let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        // The two counted pairs alone: no warm-up, no A/A block.
        let counted = &json["runs"][format!("{side}_samples")];
        assert_eq!(&report["samples"], counted, "{side}: {report}");
    }
    let again = cache.path().join("again.html");
    let words = ["verdict", "--html", again.to_str().unwrap()];
    hotproof(folder.path(), cache.path(), &words);
    let text = fs::read_to_string(&again).unwrap();
    assert_eq!(text.matches("class=\"pair\" ").count(), 2);
    assert!(!text.contains("<iframe "), "a log holds no samples");
    let words = [
        "compare",
        "main~1",
        "main",
        "--html",
        "/nowhere/r.html",
        "--",
        "sh",
        "bench.sh",
    ];
    hotproof(folder.path(), cache.path(), &words)
        .ends_with(1)
        .says(&["/nowhere/r.html"]);
    nothing_is_left(folder.path());
}

/// What the machine tells of itself is read from files, which a mount namespace has of its own: a
/// script that reports its times writes them while it is measured, and is slower every second time.
#[test]
fn what_could_make_a_verdict_wrong_is_told() {
    const NAME: &str = "what_could_make_a_verdict_wrong_is_told";
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let cache = tempfile::tempdir().unwrap();
    let state = tempfile::tempdir().unwrap();
    // Of a hundred ticks a run, eight are stolen; the governor changes at the thirtieth.
    let times = "cd \"$STATE\"; n=$(($(cat runs) + 1)); echo $n > runs\n\
        echo \"cpu  $((n * 92)) 0 0 0 0 0 0 $((n * 8)) 0 0\" > stat\n\
        [ $n -lt 30 ] || echo powersave > governor\n\
        echo \"{\\\"f\\\": $((104 - n % 2 * 4))e-3}\"\n";
    let makefile = |flags: &str| format!("CFLAGS = {flags}\nall:\n\tcp times.sh made.sh\n");
    commit(
        here,
        "base",
        &[
            ("times.sh", times),
            ("Makefile", &makefile("-O2")),
            (".gitignore", "/made.sh\n"),
        ],
    );
    commit(here, "head", &[("Makefile", &makefile("-O3"))]);
    let nothing = "cpu  0 0 0 0 0 0 0 0 0 0\n";
    for (file, text) in [
        ("runs", "0"),
        ("stat", nothing),
        ("governor", "performance\n"),
    ] {
        fs::write(state.path().join(file), text).unwrap();
    }
    let script = "cpus=/sys/devices/system/cpu; online=$(cat $cpus/online)\n\
        mount --bind \"$STATE/stat\" /proc/stat && mount -t tmpfs none $cpus || exit 99\n\
        echo $online > $cpus/online; mkdir -p $cpus/cpu0/cpufreq\n\
        ln -s \"$STATE/governor\" $cpus/cpu0/cpufreq/scaling_governor\n\
        exec \"$@\"";
    let hotproof = env!("CARGO_BIN_EXE_hotproof");
    let unshare = ["--mount", "sh", "-c", script, "sh", hotproof];
    let words = ["compare", "main~1", "main", "--seed", "1", "--pairs", "20"];
    let what = ["--script", "--build", "make", "--", "sh", "made.sh"];
    let ran = Command::new("unshare")
        .args([&unshare[..], &words, &what].concat())
        .current_dir(here)
        .env("STATE", state.path())
        .env("HOTPROOF_CACHE", cache.path())
        .output();
    let ran = match ran {
        Ok(output) => crate::run::ran(&output),
        Err(error) => return skip(NAME, &error.to_string()),
    };
    if ran.status == 99 || ran.stderr.contains("unshare failed") {
        return skip(NAME, &ran.stderr);
    }
    let words: Vec<&str> = ran.stdout.split_whitespace().collect();
    let text = words.join(" ");
    for warning in [
        "other virtual machines took 8.0 % of the CPU time",
        "the frequency governor changed during the measurement",
        "the second run of a pair is 4.0 % slower than the first",
        "base and head are built by unlike flags (Makefile:1)",
    ] {
        let Ran { stdout, stderr, .. } = &ran;
        assert!(
            text.contains(warning),
            "{warning} is not in:\n{stdout}\n{stderr}"
        );
    }
    nothing_is_left(here);
}
