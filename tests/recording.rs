//! `record`, `report`, `export` and `confirm` on a program that spends its time in one function.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::run::{self, SPIN, alone, compile, finish, hotproof, perf_opens, skip};

/// A folder with the spinning program and a profile of it.
fn recorded(milliseconds: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    compile(folder.path(), "spin", SPIN);
    hotproof(folder.path(), &["record", "--", "./spin", milliseconds]).ends_with(0);
    folder
}

#[test]
fn record_says_what_it_did_and_keeps_the_targets_output_apart() {
    if !perf_opens("record") {
        return;
    }
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    compile(folder.path(), "spin", SPIN);
    let ran = hotproof(
        folder.path(),
        &["record", "-o", "p.hotproof", "--", "./spin", "400"],
    );
    let ran = ran.ends_with(0).says(&[
        "p.hotproof",
        "samples",
        "coverage",
        "lost",
        "complete",
        "named frames",
        "recorder",
        "next",
    ]);
    assert_eq!(ran.stdout, "done\n", "the target's output is its own");
    assert!(folder.path().join("p.hotproof").exists());

    let quiet = hotproof(
        folder.path(),
        &["record", "-q", "-o", "p.hotproof", "--", "./spin", "50"],
    );
    assert_eq!(quiet.ends_with(0).stderr, "");
}

/// On a terminal a line tells how far a recording is; `-q` and a pipe have none.
#[test]
fn a_moving_line_is_for_terminals() {
    if !perf_opens("recording on a terminal") {
        return;
    }
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    compile(here, "spin", SPIN);
    let shown = |flags: &str| {
        let binary = env!("CARGO_BIN_EXE_hotproof");
        let line = format!("'{binary}' {flags} record -- ./spin 500");
        let mut script = Command::new("script");
        script.args(["-q", "-e", "-c", &line, "/dev/null"]);
        script.current_dir(here).env("HOTPROOF_CACHE", "off");
        script.env("TERM", "xterm").stdin(Stdio::null());
        script.output()
    };
    let Ok(loud) = shown("") else {
        skip("recording on a terminal", "there is no script(1)");
        return;
    };
    let text = |output: std::process::Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let loud = text(loud);
    assert!(
        loud.contains("00:00  ") && loud.contains(" lost  1 process"),
        "{loud:?}"
    );
    let quiet = text(shown("-q").unwrap());
    assert!(!quiet.contains(" a second"), "{quiet:?}");
    let piped = hotproof(here, &["record", "--", "./spin", "500"]).ends_with(0);
    assert!(!piped.stderr.contains(" a second  "), "{}", piped.stderr);
}

#[test]
fn report_and_export_find_the_hot_function() {
    if !perf_opens("report and export") {
        return;
    }
    let _machine = alone();
    let folder = recorded("600");
    let here = folder.path();
    let table = hotproof(here, &["report", "profile.hotproof"])
        .ends_with(0)
        .stdout;
    assert!(table.contains("hot") && table.contains("main"), "{table}");

    let json = hotproof(here, &["report", "profile.hotproof", "--json"])
        .ends_with(0)
        .stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("--json prints JSON");
    assert_eq!(json["schema"]["name"], "hotproof.report");
    let rows = json["functions"].as_array().expect("a list of functions");
    let hot = rows
        .iter()
        .find(|row| row["name"] == "hot")
        .expect("hot is listed");
    assert!(hot["self"]["pct"].as_f64().unwrap() > 90.0, "{hot}");

    for name in ["out.folded", "out.svg", "out.pb.gz"] {
        hotproof(here, &["export", "profile.hotproof", "-o", name]).ends_with(0);
        assert!(
            fs::metadata(here.join(name)).unwrap().len() > 50,
            "{name} is nearly empty"
        );
    }
    let folded = fs::read_to_string(here.join("out.folded")).unwrap();
    assert!(
        folded.lines().any(|line| line.contains("main;hot ")),
        "{folded}"
    );
    let stdout = hotproof(here, &["export", "profile.hotproof", "-f", "folded"])
        .ends_with(0)
        .stdout;
    assert_eq!(
        stdout, folded,
        "a file and standard output get the same bytes"
    );
    hotproof(here, &["export", "profile.hotproof", "-o", "what.xyz"])
        .ends_with(2)
        .says(&["-f"]);
}

#[test]
fn a_profile_opens_where_the_binary_is_gone() {
    if !perf_opens("self-contained profiles") {
        return;
    }
    let _machine = alone();
    let folder = recorded("300");
    let before = hotproof(folder.path(), &["report", "profile.hotproof"])
        .ends_with(0)
        .stdout;
    fs::remove_file(folder.path().join("spin")).unwrap();
    fs::remove_file(folder.path().join("spin.c")).unwrap();
    let after = hotproof(folder.path(), &["report", "profile.hotproof"])
        .ends_with(0)
        .stdout;
    assert_eq!(before, after);
}

#[test]
fn a_target_that_fails_still_leaves_a_profile() {
    if !perf_opens("failing targets") {
        return;
    }
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    compile(here, "spin", SPIN);
    let failed = ["record", "-o", "a.hotproof", "--", "./spin", "200", "3"];
    hotproof(here, &failed).ends_with(21).says(&["status 3"]);
    let forwarded = [
        "record",
        "--forward-exit",
        "-o",
        "b.hotproof",
        "--",
        "./spin",
        "200",
        "3",
    ];
    hotproof(here, &forwarded).ends_with(3);
    let kill = "./spin 200 & kill -9 $$";
    let killed = [
        "record",
        "--forward-exit",
        "-o",
        "c.hotproof",
        "--",
        "sh",
        "-c",
        kill,
    ];
    hotproof(here, &killed).ends_with(137).says(&["signal 9"]);
    for name in ["a.hotproof", "b.hotproof"] {
        let table = hotproof(here, &["report", name]).ends_with(0).stdout;
        assert!(table.contains("hot"), "{name}: {table}");
    }
    hotproof(here, &["report", "c.hotproof"]).ends_with(0);
}

#[test]
fn an_interrupt_ends_the_recording_and_keeps_it() {
    if !perf_opens("interrupts") {
        return;
    }
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    compile(folder.path(), "spin", SPIN);
    let mut recorder = run::command(folder.path(), &["record", "--", "./spin", "30000"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(900));
    let begun = Instant::now();
    let pid = recorder.id().to_string();
    finish(Command::new("kill").args(["-INT", &pid])).ends_with(0);
    let status = recorder.wait().unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "the recording did not end"
    );
    assert_eq!(status.code(), Some(0));
    let table = hotproof(folder.path(), &["report", "profile.hotproof"])
        .ends_with(0)
        .stdout;
    assert!(table.contains("hot"), "{table}");
    assert!(!is_running("./spin 30000"), "the target was left behind");
}

/// Touches 3,000 pages in one function and 1,000 in another.
const PAGES: &str = r#"
#include <stdlib.h>
#include <sys/mman.h>
static char *fresh(int pages) {
    return mmap(0, (size_t)pages << 12, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
__attribute__((noipa)) void many(char *p) { for (int i = 0; i < 3000; i++) p[(long)i << 12] = 1; }
__attribute__((noipa)) void few(char *p) { for (int i = 0; i < 1000; i++) p[(long)i << 12] = 1; }
int main(void) {
    char *a = fresh(3000), *b = fresh(1000);
    madvise(a, 3000 << 12, MADV_NOHUGEPAGE);
    madvise(b, 1000 << 12, MADV_NOHUGEPAGE);
    many(a);
    few(b);
    return 0;
}
"#;

/// Events by name: page faults one by one are exact, clocks find the hot function, and what is no
/// event or none of this machine's is told.
#[test]
fn events_are_sampled_by_name() {
    if !perf_opens("events by name") {
        return;
    }
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    compile(here, "pages", PAGES);
    compile(here, "spin", SPIN);
    // Small copies of the stack, so that the rings hold the whole burst.
    let faults = ["record", "-e", "page-faults", "-c", "1", "-g", "dwarf,512"];
    hotproof(here, &[&faults[..], &["--", "./pages"]].concat()).ends_with(0);
    let report = hotproof(here, &["report", "profile.hotproof", "--json"]).ends_with(0);
    let json: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    let rows = json["functions"].as_array().unwrap();
    for (name, pages) in [("many", 3_000), ("few", 1_000)] {
        let row = rows.iter().find(|row| row["name"] == name).unwrap();
        assert_eq!(row["samples"].as_u64(), Some(pages), "{row}");
    }
    for arguments in [
        &["-e", "task-clock"][..],
        &["-e", "cpu-clock", "-c", "1000000"],
        &["-F", "max"],
    ] {
        let record = [&["record"], arguments, &["--", "./spin", "200"]].concat();
        hotproof(here, &record).ends_with(0);
        let table = hotproof(here, &["report", "profile.hotproof"]).ends_with(0);
        assert!(table.stdout.contains("hot"), "{}", table.stdout);
    }
    hotproof(here, &["record", "-e", "page-fault", "--", "true"])
        .ends_with(2)
        .says(&["page-fault", "task-clock"]);
    hotproof(
        here,
        &[
            "record",
            "-e",
            "cpu-clock",
            "--sampler",
            "ptrace",
            "-c",
            "7",
            "--",
            "true",
        ],
    )
    .ends_with(20)
    .says(&["ptrace"]);
}

/// What comes of hotproof where tracefs is mounted, which nobody else sees; `None` where that is not
/// permitted.
fn with_tracefs(here: &Path, arguments: &str) -> Option<run::Ran> {
    let mount =
        "{ [ -d /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing; }";
    let within = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script]);
        command.arg(env!("CARGO_BIN_EXE_hotproof"));
        command.current_dir(here).env("HOTPROOF_CACHE", "off");
        finish(&mut command)
    };
    (within(mount).status == 0).then(|| within(&format!("{mount} && $0 {arguments}")))
}

/// A tracepoint is sampled each time it is passed, with the stack that led there; without tracefs,
/// and for a number that the CPU's counters do not know, it is told what is missing.
#[test]
fn tracepoints_are_sampled_and_raw_events_are_told() {
    if !perf_opens("tracepoints") {
        return;
    }
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    compile(here, "naps", NAPS);
    let tracepoint = "sched:sched_switch";
    hotproof(here, &["record", "-e", "no-such:point", "--", "true"])
        .ends_with(2)
        .says(&["no-such:point", "tracefs"]);
    let raw = hotproof(here, &["record", "-e", "r003c", "--", "./naps"]);
    match raw.status {
        0 => assert!(raw.stderr.contains("r003c"), "{}", raw.stderr),
        _ => drop(raw.ends_with(20).says(&["r003c"])),
    }
    let record = format!("record -e {tracepoint} -o naps.hotproof -- ./naps");
    let Some(ran) = with_tracefs(here, &record) else {
        skip("tracepoints", "tracefs cannot be mounted here");
        return;
    };
    ran.ends_with(0).says(&[tracepoint]);
    let report = hotproof(here, &["report", "naps.hotproof", "--json"]).ends_with(0);
    let json: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    let rows = json["functions"].as_array().unwrap();
    for (name, naps) in [("long_way", 300), ("short_way", 100)] {
        let row = rows.iter().find(|row| row["name"] == name).unwrap();
        let samples = row["samples"].as_u64().unwrap();
        // It may be preempted there, too.
        assert!((naps..naps + 60).contains(&samples), "{row}");
    }
}

/// Sleeps a hundred and three hundred times, in two functions.
const NAPS: &str = r#"
#include <time.h>
static volatile int rounds;
static void nap(void) { struct timespec t = {0, 100000}; nanosleep(&t, 0); }
__attribute__((noinline)) void short_way(void) { for (int i = 0; i < 100; i++) { nap(); rounds++; } }
__attribute__((noinline)) void long_way(void) { for (int i = 0; i < 300; i++) { nap(); rounds++; } }
int main(void) { short_way(); long_way(); return 0; }
"#;

/// Of a recorder that is killed, what it had a second before is there, in a file of its own; its
/// target does not outlive it.
#[test]
fn a_killed_recorder_leaves_what_it_had() {
    let _machine = alone();
    for sampler in ["perf", "ptrace"] {
        if sampler == "perf" && !perf_opens("killed recorders") {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        compile(here, "spin", SPIN);
        let arguments = ["record", "--sampler", sampler, "--", "./spin", "30001"];
        let mut recorder = run::command(here, &arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let part = here.join("profile.hotproof.part");
        let begun = Instant::now();
        // The first second's rows are some kilobytes.
        while fs::metadata(&part).map_or(0, |facts| facts.len()) < 2_000 {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing written");
            std::thread::sleep(Duration::from_millis(50));
        }
        recorder.kill().unwrap();
        recorder.wait().unwrap();
        let report = hotproof(here, &["report", "profile.hotproof.part"]).ends_with(0);
        assert!(report.stdout.contains("hot"), "{}", report.stdout);
        report.says(&["not finished"]);
        assert!(!here.join("profile.hotproof").exists());
        let gone = Instant::now();
        while is_running("./spin 30001") {
            assert!(gone.elapsed() < Duration::from_secs(10), "an orphan");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn is_running(command_line: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .any(|line| line.trim_end() == command_line)
}

#[test]
fn confirm_says_yes_no_and_who_is_meant() {
    if !perf_opens("confirm") {
        return;
    }
    let _machine = alone();
    let folder = recorded("800");
    let here = folder.path();
    let in_profile =
        |name: &str| hotproof(here, &["confirm", name, "--profile", "profile.hotproof"]);
    let yes = in_profile("hot").ends_with(0);
    assert!(yes.stdout.starts_with("YES"), "{}", yes.stdout);
    let nearest = in_profile("hott").ends_with(12);
    assert!(nearest.stdout.contains("hot"), "{}", nearest.stdout);

    let run = [
        "confirm", "hot", "--json", "--runs", "12", "--", "./spin", "100",
    ];
    let json = hotproof(here, &run).ends_with(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("--json prints JSON");
    assert_eq!(json["schema"]["name"], "hotproof.confirm");
}

#[test]
fn too_few_samples_are_undecided_never_no() {
    if !perf_opens("few samples") {
        return;
    }
    let _machine = alone();
    let folder = recorded("8");
    let ran = hotproof(
        folder.path(),
        &["confirm", "main", "--profile", "profile.hotproof"],
    );
    assert_ne!(ran.status, 13, "{}", ran.stdout);
}

#[test]
fn every_command_has_help_with_an_example() {
    let here = Path::new(".");
    for name in [
        "record", "report", "export", "diff", "confirm", "compare", "verdict", "demo",
    ] {
        let help = hotproof(here, &[name, "--help"]).ends_with(0).stdout;
        assert!(
            help.contains("Examples:") && help.contains(&format!("hotproof {name}")),
            "{help}"
        );
    }
    let help = hotproof(here, &["--help"]).ends_with(0).stdout;
    for code in ["0 ", "1 ", "2 ", "10 ", "11 ", "12 ", "13 ", "20 ", "21 "] {
        assert!(
            help.contains(&format!(" {code}")),
            "exit code {code}is missing:\n{help}"
        );
    }
}
