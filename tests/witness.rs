//! Instruction counts: exact, the same in every run, joined to the diff, and never called time.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::run::{Ran, alone, command, commit, decided, finish, hotproof, perf_opens, skip};

/// `step` is inlined into `hot`, which the change leaves as it is; `hot` is called 50 times.
fn program(rounds: u32, step: &str) -> String {
    format!(
        "#include <stdio.h>
static volatile unsigned sink;
static inline __attribute__((always_inline)) unsigned step(unsigned value) {{
    return {step};
}}
__attribute__((noinline)) static void hot(void) {{
    for (unsigned i = 0; i < {rounds}; i++) sink = step(sink);
}}
__attribute__((noinline)) static void cold(void) {{
    for (unsigned i = 0; i < 200000; i++) sink = sink * 37 + i;
}}
int main(void) {{
    for (int i = 0; i < 50; i++) hot();
    cold();
    puts(\"done\");
}}
"
    )
}

const DEAR: &str = "(value ^ value >> 3) * 2654435761u + (value << 5 ^ value >> 7)";
const CHEAP: &str = "(value ^ value >> 3) * 2654435761u";

fn repository(base: &str, head: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let twice = "./bench && ./bench\n";
    let files = [
        ("bench.c", base),
        ("twice.sh", twice),
        (".gitignore", "/bench\n"),
    ];
    commit(folder.path(), "base", &files);
    commit(folder.path(), "head", &[("bench.c", head)]);
    folder
}

pub(crate) fn has_valgrind(test: &str) -> bool {
    let runs = Command::new("valgrind").arg("--version").output().is_ok();
    if !runs {
        skip(test, "valgrind is not installed");
    }
    runs
}

const BUILD: &str = "cc -O2 -g -o bench bench.c";

/// The status and the document of a comparison, which holds to its schema.
fn compare(folder: &Path, more: &[&str], workload: &[&str]) -> (i32, serde_json::Value) {
    compare_built(folder, BUILD, more, workload)
}

fn compare_built(
    folder: &Path,
    build: &str,
    more: &[&str],
    workload: &[&str],
) -> (i32, serde_json::Value) {
    read(&run(folder, build, more, workload))
}

fn run(folder: &Path, build: &str, more: &[&str], workload: &[&str]) -> Ran {
    let start = [
        "compare", "main~1", "main", "--json", "--build", build, "--seed", "7",
    ];
    hotproof(folder, &[&start, more, &["--"], workload].concat())
}

fn read(ran: &Ran) -> (i32, serde_json::Value) {
    let json = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.stderr));
    let schema = serde_json::from_str(hotproof_report::schema::COMPARE).unwrap();
    if let Err(error) = jsonschema::validate(&schema, &json) {
        panic!("{error} at {}", error.instance_path());
    }
    (ran.status, json)
}

fn function<'a>(counts: &'a serde_json::Value, key: &str) -> &'a serde_json::Value {
    let rows = counts["functions"].as_array().unwrap();
    let found = rows.iter().find(|row| row["key"] == key);
    found.unwrap_or_else(|| panic!("no {key} in {counts}"))
}

#[test]
fn instructions_are_the_same_in_every_run_and_belong_to_the_inlined_function() {
    if !has_valgrind("compare --engine callgrind") {
        return;
    }
    let _machine = alone();
    let folder = repository(&program(2_000, DEAR), &program(2_000, CHEAP));
    let here = folder.path();
    // Counts need no second copy of base, so none is built.
    let built = tempfile::NamedTempFile::new().unwrap();
    let line = format!("echo >> '{}'; {BUILD}", built.path().display());
    let counted = ["--engine", "callgrind", "--no-cache"];
    let (status, json) = compare_built(here, &line, &counted, &["./bench"]);
    assert_eq!(fs::read(built.path()).unwrap().len(), 2);
    assert_eq!(
        (status, json["verdict"].as_str()),
        (0, Some("fewer_instructions")),
        "{json}"
    );
    let reason = json["reason"].as_str().unwrap();
    assert!(reason.contains("fewer instructions"), "{reason}");
    assert!(reason.contains("explains all of it"), "{reason}");
    assert!(
        reason.ends_with("instruction counts are not time."),
        "{reason}"
    );

    let counts = &json["instructions"];
    let step = function(counts, "bench.c::step");
    assert_eq!(step["changed"], true);
    // 100,000 turns of a handful of instructions each, and nothing else changed.
    let own = |side: &str| step["own"][side].as_i64().unwrap();
    let all = |side: &str| counts[side].as_i64().unwrap();
    assert!((300_000..1_500_000).contains(&own("head")), "{step}");
    let (moved, whole) = (own("base") - own("head"), all("base") - all("head"));
    assert!(moved >= 100_000, "{step}");
    assert!((whole - moved).abs() * 100 <= whole, "{moved} of {whole}");
    let hot = function(counts, "bench.c::hot");
    assert_eq!(hot["calls"]["base"], 50, "{hot}");
    assert_eq!(hot["changed"], false);
    let total = hot["total_head"].as_i64().unwrap();
    assert_eq!(total, own("head") + hot["own"]["head"].as_i64().unwrap());
    let lines = counts["lines"]["base"].as_array().unwrap();
    assert!(lines.iter().any(|line| line["line"] == 4), "{lines:?}");

    let (_, again) = compare(here, &["--engine", "callgrind"], &["./bench"]);
    assert_eq!(again["instructions"], *counts);

    // Under one function, exactly what it and what is inlined into it executed.
    let scoped = ["--engine", "callgrind", "--scope", "hot"];
    let (_, scoped) = compare(here, &scoped, &["./bench"]);
    let of = |key: &str, side: &str| {
        let own = function(&scoped["instructions"], key)["own"][side].as_i64();
        own.unwrap()
    };
    for side in ["base", "head"] {
        let parts = of("bench.c::step", side) + of("bench.c::hot", side);
        assert_eq!(scoped["instructions"][side], parts, "{scoped}");
        assert_eq!(step["own"][side], of("bench.c::step", side));
    }
    let rows = scoped["instructions"]["functions"].as_array().unwrap();
    assert_eq!(rows.len(), 2, "{rows:?}");
    let nowhere = ["compare", "main~1", "main", "--engine", "callgrind"];
    let more = ["--build", BUILD, "--scope", "hto", "--", "./bench"];
    hotproof(here, &[&nowhere[..], &more].concat())
        .ends_with(2)
        .says(&["no function `hto` to count under", "not executed"]);

    // What is logged gives the same again, and text says what it is.
    let logged = hotproof(here, &["verdict", "--json"]).ends_with(0).stdout;
    let logged: serde_json::Value = serde_json::from_str(&logged).unwrap();
    assert_eq!(logged, scoped);
    let text = hotproof(here, &["verdict"]).ends_with(0).stdout;
    assert!(text.starts_with("FEWER INSTRUCTIONS"), "{text}");
    for part in [
        "Instructions by Function",
        "Instructions by Line",
        "step",
        "Not checked",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    let resumed = hotproof(here, &["verdict", "--resume"]).ends_with(2);
    resumed.says(&["no pairs to add to"]);

    // Children count: the same program, twice.
    let (_, twice) = compare(here, &["--engine", "callgrind"], &["sh", "twice.sh"]);
    let hot = function(&twice["instructions"], "bench.c::hot");
    assert_eq!(hot["calls"]["base"], 100, "{hot}");
}

#[test]
fn more_instructions_and_as_many_are_told_apart() {
    if !has_valgrind("compare --engine callgrind, the other verdicts") {
        return;
    }
    let _machine = alone();
    let more = repository(&program(2_000, CHEAP), &program(2_000, DEAR));
    let (status, json) = compare(more.path(), &["--engine", "callgrind"], &["./bench"]);
    assert_eq!(
        (status, json["verdict"].as_str()),
        (11, Some("more_instructions")),
        "{json}"
    );
    let renamed = DEAR.replace("<< 5", "<< 6");
    let same = repository(&program(2_000, DEAR), &program(2_000, &renamed));
    let (status, json) = compare(same.path(), &["--engine", "callgrind"], &["./bench"]);
    assert_eq!(
        (status, json["verdict"].as_str()),
        (10, Some("same_instructions")),
        "{json}"
    );
    let counts = &json["instructions"];
    assert_eq!(counts["base"], counts["head"]);
}

#[test]
fn a_witness_speaks_beside_the_time() {
    if !has_valgrind("compare --witness") || !perf_opens("compare --witness") {
        return;
    }
    let _machine = alone();
    let folder = repository(&program(300_000, DEAR), &program(200_000, DEAR));
    let markdown = folder.path().join("note.md");
    let name = markdown.to_str().unwrap();
    let more = ["--witness", "--handoff", name];
    let compare = || run(folder.path(), BUILD, &more, &["./bench"]);
    let Some(ran) = decided("compare --witness", compare) else {
        return;
    };
    let (status, json) = read(&ran);
    assert_eq!(
        (status, json["verdict"].as_str()),
        (0, Some("keep")),
        "{json}"
    );
    let counts = &json["instructions"];
    assert_eq!(counts["agreement"], "agrees");
    assert_eq!(counts["alone"], false);
    let change = counts["change_pct"].as_f64().unwrap();
    assert!((-35.0..-30.0).contains(&change), "{change}");
    let note = fs::read_to_string(markdown).unwrap();
    assert!(note.contains("instructions agree: -3"), "{note}");
}

#[test]
fn a_missing_valgrind_is_named_before_anything_is_built() {
    let folder = repository(&program(1, DEAR), &program(1, CHEAP));
    let empty = tempfile::tempdir().unwrap();
    let git = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| folder.join("git"))
        .find(|path| path.is_file())
        .expect("git is installed");
    std::os::unix::fs::symlink(git, empty.path().join("git")).unwrap();
    let arguments = [
        "compare",
        "main~1",
        "main",
        "--engine",
        "callgrind",
        "--",
        "./bench",
    ];
    let mut compare = command(folder.path(), &arguments);
    finish(compare.env("PATH", empty.path()))
        .ends_with(20)
        .says(&["valgrind", "apt-get install valgrind"]);
}
