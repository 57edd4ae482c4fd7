//! Runs the built binary, and makes what it runs on: compiled programs, repositories.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard};

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

/// One measuring test at a time: the machine may have two CPUs.
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
