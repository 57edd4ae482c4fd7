//! Sampling by stopping threads, where perf events are refused as containers and distributions
//! refuse them: it starts, it is right, it says what it is, and the target does not notice.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::run::{self, Ran, SPIN, alone, compile, finish, hotproof};

/// What filters answer, by asm-generic/errno.h.
const EPERM: i32 = 1;
const ENOSYS: i32 = 38;

/// A folder that everybody may use, with hotproof, programs of this repository and one that spins.
fn workshop() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(folder.path(), open).unwrap();
    fs::copy(
        env!("CARGO_BIN_EXE_hotproof"),
        folder.path().join("hotproof"),
    )
    .unwrap();
    compile(folder.path(), "spin", SPIN);
    for name in ["deny", "signals"] {
        build(folder.path(), name);
    }
    folder
}

fn build(folder: &Path, name: &str) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
    let mut compiler = Command::new("gcc");
    compiler.args(["-O2", "-g", "-pthread", "-o"]);
    compiler.arg(folder.join(name));
    compiler.arg(source.join(format!("{name}.c")));
    finish(&mut compiler).ends_with(0);
}

/// hotproof behind a filter that answers `errno` for perf events.
fn denied(folder: &Path, errno: i32, uid: u32, more: &[&str], arguments: &[&str]) -> Ran {
    let mut command = Command::new(folder.join("deny"));
    command
        .args([errno.to_string(), uid.to_string()])
        .args(more)
        .arg("--")
        .arg(folder.join("hotproof"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .env("NO_COLOR", "1")
        .env("HOME", folder);
    finish(&mut command)
}

fn users() -> Vec<u32> {
    if rustix::process::geteuid().is_root() {
        vec![0, 65_534]
    } else {
        vec![0]
    }
}

/// For root and for an ordinary user, refused by EPERM (Docker) and ENOSYS (older runtimes): the
/// recording is made, finds the function, and everything that is shown names how.
#[test]
fn a_denied_user_gets_a_profile_all_the_same() {
    let _machine = alone();
    let folder = workshop();
    let here = folder.path();
    for uid in users() {
        for (errno, name) in [(EPERM, "EPERM"), (ENOSYS, "ENOSYS")] {
            let file = format!("{uid}-{name}.hotproof");
            let record = ["record", "-o", &file, "--", "./spin", "500"];
            let ran = denied(here, errno, uid, &[], &record).ends_with(0);
            assert_eq!(ran.stdout, "done\n");
            let ran = ran.says(&["ptrace", name, "perf_event_paranoid", "seccomp"]);
            assert!(ran.stderr.contains("coverage"), "{}", ran.stderr);
            let report = hotproof(here, &["report", &file, "--json"]).ends_with(0);
            let json: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
            let rows = json["functions"].as_array().unwrap();
            let hot = rows.iter().find(|row| row["name"] == "hot").unwrap();
            assert!(hot["self"]["pct"].as_f64().unwrap() > 80.0, "{hot}");
            let table = hotproof(here, &["report", &file]).ends_with(0).stdout;
            assert!(table.contains("ptrace") && table.contains(name), "{table}");
        }
    }
}

/// Where ptrace is refused too, nothing is run and no file is left; the values read are all told.
#[test]
fn a_user_without_any_way_is_told_so() {
    let folder = workshop();
    let here = folder.path();
    let record = ["record", "-o", "p.hotproof", "--", "touch", "ran"];
    denied(here, EPERM, 0, &["ptrace"], &record)
        .ends_with(20)
        .says(&["perf_event_paranoid", "ptrace: EPERM", "yama", "seccomp"]);
    assert!(!here.join("ran").exists() && !here.join("p.hotproof").exists());
    let only = [
        "record",
        "--sampler",
        "perf",
        "-o",
        "p.hotproof",
        "--",
        "touch",
        "ran",
    ];
    denied(here, EPERM, 0, &[], &only).ends_with(20);
    assert!(!here.join("ran").exists());
}

/// What a program prints of its signals, its stop, its children, its threads and its sleep is what
/// it prints by itself, and an exec from a thread that is not the first is followed.
#[test]
fn the_target_does_not_notice() {
    let _machine = alone();
    let folder = workshop();
    let here = folder.path();
    let alone = finish(Command::new(here.join("signals")).current_dir(here)).ends_with(7);
    for rate in ["397", "2000"] {
        let record = [
            "record",
            "--sampler",
            "ptrace",
            "-F",
            rate,
            "--forward-exit",
            "--",
            "./signals",
        ];
        let ran = hotproof(here, &record).ends_with(7);
        assert_eq!(ran.stdout, alone.stdout);
    }
    let report = hotproof(here, &["report", "profile.hotproof"]).ends_with(0);
    assert!(report.stdout.contains("work"), "{}", report.stdout);
}

/// Six programs take turns on one CPU: each gets about as many samples a second of its own CPU time
/// as one alone, and never as many as a second of time has, which would be six times as many. A
/// recorder that waits for a CPU itself takes fewer, so that the best of a few recordings counts.
#[test]
fn samples_follow_cpu_time_where_programs_take_turns() {
    let _machine = alone();
    let folder = workshop();
    let here = folder.path();
    let script = "for i in 1 2 3 4 5 6; do ./spin 250 & done; wait";
    let record = ["record", "--sampler", "ptrace", "-F", "397", "--"];
    let pinned = ["taskset", "-c", "0", "sh", "-c", script];
    let mut seen = Vec::new();
    while seen.len() < 6 {
        hotproof(here, &[&record[..], &pinned].concat()).ends_with(0);
        let report = hotproof(here, &["report", "profile.hotproof", "--json"]).ends_with(0);
        let json: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
        let number = |name: &str| json[name].as_f64().unwrap();
        let a_second = number("samples") / (number("cpu_time_ns") / 1e9);
        seen.push(a_second);
        // Turns are shorter than the time between samples here, the more so the busier the machine
        // is, so that some samples come early: but not half of the six times 397.
        assert!(a_second < 1_191.0, "{seen:?}");
        if a_second > 250.0 {
            return;
        }
    }
    panic!("too few samples a second of CPU time in each recording: {seen:?}");
}

/// A process that runs already is attached to and goes on, whether the recording ends by itself or
/// is killed.
#[test]
fn an_attached_process_goes_on() {
    let _machine = alone();
    let folder = workshop();
    let here = folder.path();
    let mut target = Command::new(here.join("spin"))
        .arg("60000")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid = target.id().to_string();
    let attach = ["record", "--sampler", "ptrace", "-p", &pid, "-d", "0.7"];
    hotproof(here, &attach).ends_with(0).says(&["ptrace"]);
    assert_eq!(state(target.id()), Some(('R', 0)));
    let report = hotproof(here, &["report", "profile.hotproof"]).ends_with(0);
    assert!(report.stdout.contains("hot"), "{}", report.stdout);

    let mut recorder = run::command(here, &["record", "--sampler", "ptrace", "-p", &pid])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("attached", || {
        state(target.id()).is_some_and(|state| state.1 != 0)
    });
    recorder.kill().unwrap();
    recorder.wait().unwrap();
    wait_until("released", || state(target.id()) == Some(('R', 0)));
    target.kill().unwrap();
    target.wait().unwrap();
}

/// An interrupt ends the command and keeps what was recorded; nothing stays behind.
#[test]
fn an_interrupt_ends_stops_too() {
    let _machine = alone();
    let folder = workshop();
    let here = folder.path();
    let arguments = [
        "record",
        "--sampler",
        "ptrace",
        "--",
        "sh",
        "-c",
        "./spin 30000 & ./spin 30000",
    ];
    let mut recorder = run::command(here, &arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("started", || spinning(here).len() == 2);
    std::thread::sleep(Duration::from_millis(400));
    let pid = recorder.id().to_string();
    finish(Command::new("kill").args(["-INT", &pid])).ends_with(0);
    // The shell waits for its children, which ignore nothing: they are ended with it or go on by
    // themselves, never stopped.
    assert_eq!(recorder.wait().unwrap().code(), Some(0));
    let table = hotproof(here, &["report", "profile.hotproof"]).ends_with(0);
    assert!(table.stdout.contains("hot"), "{}", table.stdout);
    for left in spinning(here) {
        assert_eq!(state(left).map_or(0, |state| state.1), 0, "still traced");
        finish(Command::new("kill").args(["-KILL", &left.to_string()]));
    }
}

fn spinning(here: &Path) -> Vec<u32> {
    let spin: PathBuf = here.join("spin");
    let pids = fs::read_dir("/proc").unwrap().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == spin))
        .collect()
}

/// A process's state, and who traces it.
fn state(pid: u32) -> Option<(char, u32)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    let letter = field("State:")?.trim().chars().next()?;
    Some((letter, field("TracerPid:")?.trim().parse().ok()?))
}

#[track_caller]
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "never {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
