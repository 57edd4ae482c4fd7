//! Who is recorded, when, and what of its time: `-d`, `--delay`, `--repeat`, `-a`, `--off-cpu`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::run::{self, SPIN, alone, compile, finish, hotproof, perf_opens, skip};

/// A folder with a program that spins.
fn with_spin() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    compile(folder.path(), "spin", SPIN);
    folder
}

fn report(here: &Path, more: &[&str]) -> Value {
    let arguments = [&["report", "profile.hotproof", "--json"], more].concat();
    let ran = hotproof(here, &arguments).ends_with(0);
    serde_json::from_str(&ran.stdout).expect("--json prints JSON")
}

/// The share of a function's own time, in per cent.
fn own_share(report: &Value, name: &str) -> f64 {
    let rows = report["functions"].as_array().unwrap();
    let row = rows.iter().find(|row| row["name"] == name);
    row.map_or(0.0, |row| row["self"]["pct"].as_f64().unwrap())
}

fn is_running(command_line: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .any(|line| line.trim_end() == command_line)
}

/// The command ends with the recording, which is a success and says so.
#[test]
fn a_duration_ends_the_command_too() {
    let _machine = alone();
    let folder = with_spin();
    let here = folder.path();
    let begun = Instant::now();
    hotproof(here, &["record", "-d", "0.5", "--", "./spin", "30002"])
        .ends_with(0)
        .says(&["the command was ended"]);
    assert!(begun.elapsed() < Duration::from_secs(25));
    assert!(!is_running("./spin 30002"), "it was left behind");
    assert!(own_share(&report(here, &[]), "hot") > 80.0);
}

/// Runs of a command are added up, and the first that fails is the last.
#[test]
fn repeated_runs_are_one_profile() {
    if !perf_opens("repeated runs") {
        return;
    }
    let _machine = alone();
    let folder = with_spin();
    let here = folder.path();
    let ran = hotproof(here, &["record", "--repeat", "3", "--", "./spin", "100"]);
    assert_eq!(ran.ends_with(0).stdout, "done\n".repeat(3));
    let json = report(here, &[]);
    let cpu_ns = json["cpu_time_ns"].as_u64().unwrap();
    assert!((300_000_000..600_000_000).contains(&cpu_ns), "{cpu_ns}");
    assert!(own_share(&json, "hot") > 80.0);
    let failing = ["record", "--repeat", "5", "--", "./spin", "20", "3"];
    let ran = hotproof(here, &failing).ends_with(21);
    assert_eq!(ran.says(&["run 1 of 5", "status 3"]).stdout, "done\n");
}

/// Runs that have ended are on disk, whatever becomes of the next: its program cannot be run, or kills
/// the recorder.
#[test]
fn earlier_runs_outlive_a_later_one() {
    if !perf_opens("repeated runs") {
        return;
    }
    let _machine = alone();
    for (next, status, told) in [
        ("touch ran", 137, ""),
        ("rm step", 21, "profile.hotproof.part"),
    ] {
        let folder = with_spin();
        let here = folder.path();
        let kills = "test -e ran && { kill -9 $PPID; exec sleep 30; }";
        let script = format!("#!/bin/sh\n{kills}\n{next}\nexec ./spin 200\n");
        fs::write(here.join("step"), script).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(here.join("step"), executable).unwrap();
        hotproof(here, &["record", "--repeat", "3", "--", "./step"])
            .ends_with(status)
            .says(&[told]);
        let part = ["report", "profile.hotproof.part", "--json"];
        let ran = hotproof(here, &part).ends_with(0);
        let all = ran.stdout.clone() + &ran.stderr;
        assert!(all.contains("not finished"), "{next}: {all}");
        let first: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert!(own_share(&first, "hot") > 80.0, "{next}: {first}");
    }
}

/// The whole system for as long as a command runs, whose status is told.
#[test]
fn everything_is_recorded_while_a_command_runs() {
    if !perf_opens("the whole system") {
        return;
    }
    let _machine = alone();
    let folder = with_spin();
    let here = folder.path();
    let mut other = Command::new(here.join("spin"))
        .arg("60000")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let ran = hotproof(here, &["record", "-a", "--", "sh", "-c", "sleep 1; exit 3"]);
    other.kill().unwrap();
    other.wait().unwrap();
    if ran.status == 20 {
        skip("the whole system", ran.stderr.trim());
        return;
    }
    ran.ends_with(21).says(&["whole system", "status 3"]);
    let json = report(here, &["--process", "spin"]);
    assert!(own_share(&json, "hot") > 0.0, "{json}");
}

/// Waits in `nap` and works in `hot`.
const NAPS: &str = r#"
#define _GNU_SOURCE
#include <time.h>
static volatile unsigned long sink;
__attribute__((noinline)) void hot(void) { for (unsigned long i = 0; i < 3000000; i++) sink = sink * 31 + i; }
__attribute__((noinline)) void nap(void) {
    struct timespec t = {0, 50000000};
    nanosleep(&t, 0);
    sink++;
}
int main(void) {
    for (int i = 0; i < 16; i++) { hot(); nap(); }
    return 0;
}
"#;

/// A run that mostly waits is called so at the top of everything that is shown of it, and its waits
/// can be looked at by themselves, with its work, and in other formats.
#[test]
fn a_run_that_mostly_waits_says_so_and_shows_where() {
    if !perf_opens("time off the CPU") {
        return;
    }
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    compile(here, "naps", NAPS);
    let ran = hotproof(here, &["record", "--", "./naps"]).ends_with(0);
    ran.says(&["the run mostly waits", "--off-cpu"]);
    let table = hotproof(here, &["report", "profile.hotproof"])
        .ends_with(0)
        .stdout;
    let [waits, hot] = ["mostly waits", " hot"].map(|text| table.find(text).expect(text));
    assert!(waits < hot, "{table}");
    hotproof(here, &["report", "profile.hotproof", "--weight", "wall"])
        .ends_with(2)
        .says(&["no weight `wall`"]);

    hotproof(here, &["record", "--off-cpu", "--", "./naps"])
        .ends_with(0)
        .says(&["time off the CPU was", "blocked"]);
    let on = report(here, &[]);
    assert!(own_share(&on, "hot") > 80.0, "{on}");
    assert!(on["quality"]["coverage_pct"].as_f64().unwrap() < 115.0);
    let total = |json: &Value, name: &str| {
        let rows = json["functions"].as_array().unwrap();
        let row = rows.iter().find(|row| row["name"] == name);
        row.map_or(0.0, |row| row["total"]["time_ns"].as_f64().unwrap() / 1e6)
    };
    let off = report(here, &["--weight", "blocked"]);
    // Sixteen naps of 50 ms, and what the machine adds to each.
    let slept_ms = total(&off, "nap");
    assert!((800.0..1_600.0).contains(&slept_ms), "{slept_ms}: {off}");
    assert_eq!(total(&off, "hot"), 0.0);
    let wall = report(here, &["--weight", "wall"]);
    assert!(
        total(&wall, "nap") >= slept_ms && total(&wall, "hot") > 0.0,
        "{wall}"
    );
    let shown = |weight: &str| {
        let words = ["report", "profile.hotproof", "--weight", weight];
        hotproof(here, &words).ends_with(0).stdout
    };
    // The head says of what shares are shares, and counts waits as waits.
    let (all, waits) = (shown("wall"), shown("blocked"));
    let first = all.split("function").next().unwrap();
    assert!(first.contains(" wall time of all threads in "), "{all}");
    assert!(first.contains(" samples and waits"), "{all}");
    let first = waits.split("function").next().unwrap();
    assert!(first.contains(" time blocked in "), "{waits}");
    assert!(
        first.contains(" waits") && !first.contains(" Hz"),
        "{waits}"
    );
    let folded = |more: &[&str]| {
        let export = ["export", "profile.hotproof", "-f", "folded"];
        hotproof(here, &[&export, more].concat())
            .ends_with(0)
            .stdout
    };
    // Going to sleep and waking up take a little time on the CPU, too.
    let part_of_nap = |text: &str| {
        let lines = text.lines().map(|line| line.rsplit_once(' ').unwrap());
        let weighed = lines.map(|(stack, weight)| (stack, weight.parse::<f64>().unwrap()));
        let of = |all: &[(&str, f64)]| all.iter().map(|row| row.1).sum::<f64>();
        let (naps, others): (Vec<_>, Vec<_>) =
            weighed.partition(|(stack, _)| stack.contains("nap;"));
        of(&naps) / (of(&naps) + of(&others))
    };
    assert!(part_of_nap(&folded(&[])) < 0.2, "{}", folded(&[]));
    let waits = folded(&["--weight", "blocked"]);
    assert!(part_of_nap(&waits) > 0.9, "{waits}");
    hotproof(here, &["export", "profile.hotproof", "-o", "all.json"]).ends_with(0);
    let all: Value = serde_json::from_slice(&fs::read(here.join("all.json")).unwrap()).unwrap();
    let weights = all["weights"].as_array().unwrap().iter();
    let names: Vec<_> = weights.map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["samples", "cpu", "blocked", "preempted", "elapsed"]);
    hotproof(
        here,
        &["record", "--off-cpu", "--sampler", "ptrace", "--", "true"],
    )
    .ends_with(20)
    .says(&["time off the CPU", "--off-cpu"]);
    let faults = ["record", "--off-cpu", "-e", "page-faults", "--", "true"];
    hotproof(here, &faults)
        .ends_with(2)
        .says(&["page-faults counts something else", "leave -e away"]);
}

/// A recorder that is killed leaves its part and nothing else, and whoever looks for the profile is
/// led to it.
#[test]
fn a_killed_recorder_leaves_its_part_alone() {
    let _machine = alone();
    let folder = with_spin();
    let here = folder.path();
    let mut recorder = run::command(here, &["record", "--", "./spin", "30003"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let part = here.join("profile.hotproof.part");
    let begun = Instant::now();
    while fs::metadata(&part).map_or(0, |facts| facts.len()) < 1_000 {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing written");
        std::thread::sleep(Duration::from_millis(50));
    }
    recorder.kill().unwrap();
    recorder.wait().unwrap();
    let mut left: Vec<_> = fs::read_dir(here)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort_unstable();
    assert_eq!(left, ["profile.hotproof.part", "spin", "spin.c"]);
    hotproof(here, &["report", "profile.hotproof"])
        .ends_with(2)
        .says(&["profile.hotproof.part"]);
    hotproof(here, &["report", "profile.hotproof.part"]).ends_with(0);
}

/// Does to itself what its first argument says, and then works for 300 ms.
const ODD: &str = r#"
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
static volatile unsigned long sink;
__attribute__((noinline)) void hot(void) { for (unsigned long i = 0; i < 100000; i++) sink = sink * 31 + i; }
static void work(void) {
    struct timespec t;
    do { hot(); clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); } while (t.tv_sec * 1000 + t.tv_nsec / 1000000 < 300);
}
int main(int argc, char **argv) {
    if (!strcmp(argv[1], "close")) for (int fd = 0; fd < 1024; fd++) close(fd);
    if (!strcmp(argv[1], "drop") && (setgid(65534) || setuid(65534))) return 3;
    work();
    if (!strcmp(argv[1], "kill")) kill(getpid(), SIGKILL);
    if (!strcmp(argv[1], "exec")) return execl(argv[2], argv[2], "none", (char *)0);
    return 0;
}
"#;

/// Targets that close all their descriptors, drop their privileges, kill themselves or become a
/// set-user-id program are recorded all the same, and their end is told.
#[test]
fn odd_targets_are_recorded() {
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    compile(here, "odd", ODD);
    fs::copy(here.join("odd"), here.join("set")).unwrap();
    let set_id = std::os::unix::fs::PermissionsExt::from_mode(0o4755);
    fs::set_permissions(here.join("set"), set_id).unwrap();
    let root = rustix::process::geteuid().is_root();
    for sampler in ["perf", "ptrace"] {
        if sampler == "perf" && !perf_opens("odd targets") {
            continue;
        }
        for (what, status, told) in [
            ("close", 0, "next"),
            ("drop", 0, "next"),
            ("kill", 21, "killed by signal 9"),
            ("exec", 0, "next"),
        ] {
            if what == "drop" && !root {
                skip("dropping privileges", "this user has none");
                continue;
            }
            let record = ["record", "--sampler", sampler, "--", "./odd", what, "./set"];
            hotproof(here, &record).ends_with(status).says(&[told]);
            let share = own_share(&report(here, &[]), "hot");
            assert!(share > 80.0, "{sampler} {what}: {share}");
            let left = fs::read_dir(here).unwrap().count();
            assert_eq!(left, 4, "{sampler} {what}: something was left");
            fs::remove_file(here.join("profile.hotproof")).unwrap();
        }
    }
}

/// With few descriptors a program of many threads cannot be attached to, which is told with the
/// limit and what to do; it goes on.
#[test]
fn too_few_descriptors_are_told() {
    if !perf_opens("limits of descriptors") {
        return;
    }
    let _machine = alone();
    let folder = with_spin();
    let here = folder.path();
    let mut target = Command::new(here.join("spin"))
        .arg("60000")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid = target.id().to_string();
    let script = "ulimit -n 14; exec \"$0\" record --sampler perf -d 0.3 -p \"$1\"";
    let mut limited = Command::new("sh");
    limited.args(["-c", script, env!("CARGO_BIN_EXE_hotproof"), &pid]);
    let ran = finish(limited.current_dir(here).env("HOTPROOF_CACHE", "off"));
    let alive = target.try_wait().unwrap().is_none();
    target.kill().unwrap();
    target.wait().unwrap();
    assert!(alive, "the target did not survive");
    ran.ends_with(20).says(&["EMFILE", "ulimit -n"]);
    assert!(!here.join("profile.hotproof").exists());
}

/// An ordinary user who may lock no memory still gets rings, smaller ones, and a profile.
#[test]
fn without_memory_to_lock_rings_are_small() {
    let level = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    if !perf_opens("limits of memory") {
        return;
    }
    if !rustix::process::geteuid().is_root() || level.trim().parse::<i64>().is_ok_and(|l| l > 2) {
        skip("limits of memory", "another user cannot be tried here");
        return;
    }
    let _machine = alone();
    let folder = with_spin();
    let here = folder.path();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(here, open).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_hotproof"), here.join("hotproof")).unwrap();
    let script = "ulimit -l 0; exec ./hotproof record --sampler perf -- ./spin 300";
    let mut limited = Command::new("setpriv");
    limited.args([
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "sh",
        "-c",
        script,
    ]);
    let ran = finish(limited.current_dir(here).env("HOTPROOF_CACHE", "off"));
    if ran.stderr.starts_with("setpriv:") {
        skip("limits of memory", ran.stderr.trim());
        return;
    }
    ran.ends_with(0);
    assert!(own_share(&report(here, &[]), "hot") > 80.0);
}
