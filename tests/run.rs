//! Runs the built binary, and makes what it runs on: compiled programs, repositories.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// What one call of hotproof came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Fails with everything that was said unless the status is the one expected.
    #[track_caller]
    pub(crate) fn ends_with(self, status: i32) -> Ran {
        assert_eq!(
            self.status, status,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// Fails unless standard error holds each of the texts.
    #[track_caller]
    pub(crate) fn says(self, texts: &[&str]) -> Ran {
        for text in texts {
            assert!(
                self.stderr.contains(text),
                "`{text}` is missing from:\n{}",
                self.stderr
            );
        }
        self
    }
}

/// hotproof in a folder, ready for more settings.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hotproof"));
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .env_remove("HOTPROOF_LOG")
        // Nothing of one test, nor of the user, may answer another.
        .env("HOTPROOF_CACHE", "off");
    command.env("NO_COLOR", "1").env_remove("COLUMNS");
    command
}

/// Runs hotproof in a folder.
pub(crate) fn hotproof(folder: &Path, arguments: &[&str]) -> Ran {
    finish(&mut command(folder, arguments))
}

/// Runs a command to its end.
pub(crate) fn finish(command: &mut Command) -> Ran {
    ran(&command.output().expect("the command starts"))
}

/// What came of a command. A signal counts as 128 + its number, as in a shell.
pub(crate) fn ran(output: &Output) -> Ran {
    use std::os::unix::process::ExitStatusExt;
    let status = output
        .status
        .code()
        .or(output.status.signal().map(|signal| 128 + signal));
    Ran {
        status: status.expect("a process ends by status or signal"),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Whether perf events open. Where they do not, the test says that it was skipped, or fails when
/// the environment demands them (`HOTPROOF_REQUIRE_PERF=1`).
pub(crate) fn perf_opens(test: &str) -> bool {
    let hotproof_profiler::Ladder::Refused(refusal) = hotproof_profiler::probe() else {
        return true;
    };
    let required = std::env::var_os("HOTPROOF_REQUIRE_PERF").is_some_and(|value| value == "1");
    assert!(!required, "{test} may not be skipped here: {refusal}");
    skip(test, &refusal.to_string());
    false
}

/// Says that a test was skipped, past the test runner's capture.
pub(crate) fn skip(test: &str, reason: &str) {
    // A runner without standard error cannot be told anything.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {reason}");
}

/// Whether a comparison was refused because of the machine. That is right there, and nothing to fail
/// for.
pub(crate) fn is_refused(ran: &Ran) -> bool {
    ran.status == 20 && ran.stdout.contains("the machine is too noisy")
}

/// The comparison again while the machine is too busy for it. `None`, said aloud, where it stays so:
/// then there is nothing to look at.
pub(crate) fn on_a_quiet_machine(test: &str, compare: impl Fn() -> Ran) -> Option<Ran> {
    tried(test, compare, is_refused)
}

/// The same for a comparison of which another verdict than inconclusive is expected, as JSON: what
/// was left undecided while runs differed much from pair to pair is tried again, too. A wrong verdict
/// never is.
pub(crate) fn decided(test: &str, compare: impl Fn() -> Ran) -> Option<Ran> {
    tried(test, compare, |ran| is_refused(ran) || is_undecided(ran))
}

fn tried(test: &str, compare: impl Fn() -> Ran, busy: impl Fn(&Ran) -> bool) -> Option<Ran> {
    for pause in [0, 2, 5, 10] {
        std::thread::sleep(Duration::from_secs(pause));
        let ran = compare();
        if !busy(&ran) {
            return Some(ran);
        }
    }
    skip(test, "the machine is too busy to compare anything on it");
    None
}

/// Pairs on a machine that does little else differ by less, in percent.
const BUSY_SPREAD_PCT: f64 = 5.0;

fn is_undecided(ran: &Ran) -> bool {
    let Ok(json) = serde_json::from_str::<serde_json::Value>(&ran.stdout) else {
        return false;
    };
    let of_run = match json["end_to_end"]["primary"].as_str() {
        Some("cpu_time") => "cpu_ns",
        Some("wall_time") => "wall_ns",
        _ => return false,
    };
    let pairs = json["runs"]["list"].as_array().expect("pairs").iter();
    let steps: Vec<f64> = pairs
        .map(|pair| {
            let [base, head] = ["base", "head"].map(|side| pair[side][of_run].as_f64().unwrap());
            (head / base).ln()
        })
        .collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let middle = mean(&steps);
    let squares: Vec<f64> = steps.iter().map(|step| (step - middle).powi(2)).collect();
    ran.status == 12 && 100.0 * mean(&squares).sqrt() > BUSY_SPREAD_PCT
}

/// One test at a time that measures, or that would be in the way of one that does: the machine may
/// have two CPUs.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    // A test that failed while it held the machine leaves nothing behind that could hurt others.
    MACHINE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Compiles C text into `folder/name`.
pub(crate) fn compile(folder: &Path, name: &str, text: &str) -> PathBuf {
    let source = folder.join(format!("{name}.c"));
    let program = folder.join(name);
    fs::write(&source, text).expect("a source file can be written");
    let mut compiler = Command::new("cc");
    compiler
        .args(["-O2", "-g", "-o"])
        .arg(&program)
        .arg(&source);
    finish(&mut compiler).ends_with(0);
    program
}

/// A program that spins in `hot` for as many milliseconds of CPU time as its argument says, prints
/// `done` and ends with the status of its second argument.
pub(crate) const SPIN: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
static volatile unsigned long sink;
__attribute__((noinline)) void hot(void) {
    for (unsigned long i = 0; i < 100000; i++) sink = sink * 31 + i;
}
int main(int argc, char **argv) {
    long long limit = (argc > 1 ? atoll(argv[1]) : 300) * 1000000LL;
    struct timespec t;
    do {
        hot();
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    } while (t.tv_sec * 1000000000LL + t.tv_nsec < limit);
    puts("done");
    return argc > 2 ? atoi(argv[2]) : 0;
}
"#;

/// Runs git in a folder, apart from the user's own settings.
pub(crate) fn git<S: AsRef<OsStr>>(
    folder: &Path,
    arguments: impl IntoIterator<Item = S>,
) -> String {
    let mut git = Command::new("git");
    git.current_dir(folder)
        .args(["-c", "user.name=t", "-c", "user.email=t@example.invalid"]);
    git.args([
        "-c",
        "init.defaultBranch=main",
        "-c",
        "commit.gpgSign=false",
    ]);
    git.args(["-c", "protocol.file.allow=always"])
        .args(arguments);
    git.env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null");
    finish(&mut git).ends_with(0).stdout
}

/// Commits everything in a folder, which becomes a repository with the first commit.
pub(crate) fn commit(folder: &Path, message: &str, files: &[(&str, &str)]) {
    if !folder.join(".git").exists() {
        git(folder, ["init", "--quiet"]);
    }
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder is made");
        fs::write(path, text).expect("a file is written");
    }
    git(folder, ["add", "--all"]);
    git(folder, ["commit", "--quiet", "-m", message]);
}

/// Nothing of a comparison is left in a repository with one branch but its log, which ignores itself.
#[track_caller]
pub(crate) fn nothing_is_left(folder: &Path) {
    let worktrees = git(folder, ["worktree", "list", "--porcelain"]);
    assert_eq!(worktrees.matches("worktree ").count(), 1, "{worktrees}");
    assert_eq!(git(folder, ["branch", "--list"]).lines().count(), 1);
    let status = git(folder, ["status", "--porcelain"]);
    assert_eq!(status, "", "the working tree was touched");
}
