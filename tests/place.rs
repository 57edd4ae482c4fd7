//! A repository with folders of its own for everything that a comparison makes, so that what is left
//! of it can be seen.

use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::run::{Ran, command, finish, git, ran};

/// A repository, a cache and a folder for temporary files.
pub(crate) struct Place {
    repository: TempDir,
    cache: TempDir,
    temporary: TempDir,
}

impl Place {
    pub(crate) fn new(repository: TempDir) -> Place {
        Place {
            repository,
            cache: tempfile::tempdir().unwrap(),
            temporary: tempfile::tempdir().unwrap(),
        }
    }

    /// The top of the checkout.
    pub(crate) fn top(&self) -> &Path {
        self.repository.path()
    }

    /// A file that is no part of the repository.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.cache.path().join(name)
    }

    /// hotproof in a folder of the checkout.
    pub(crate) fn command(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = command(folder, arguments);
        command
            .env("HOTPROOF_CACHE", self.cache.path())
            .env("TMPDIR", self.temporary.path());
        command
    }

    /// `hotproof compare` at the top of the checkout.
    pub(crate) fn compare(&self, arguments: &[&str]) -> Ran {
        let arguments = [&["compare"], arguments].concat();
        finish(&mut self.command(self.top(), &arguments))
    }

    /// Everything of the user that a comparison must leave alone: refs, what is checked out, index,
    /// working tree, worktrees, and locks that would be in the way of the next git.
    pub(crate) fn state(&self) -> String {
        let top = self.top();
        let ask = |words: &[&str]| format!("{words:?}\n{}", git(top, words));
        let locks = Command::new("find")
            .args([".git", "-name", "*.lock", "-o", "-path", "*/worktrees/*"])
            .current_dir(top)
            .output();
        let locks = String::from_utf8_lossy(&locks.unwrap().stdout).into_owned();
        [
            ask(&["for-each-ref"]),
            ask(&["rev-parse", "HEAD"]),
            ask(&["rev-parse", "--abbrev-ref", "HEAD"]),
            ask(&["status", "--porcelain"]),
            ask(&["stash", "list"]),
            ask(&["worktree", "list"]),
            ask(&["ls-files", "--stage"]),
            locks,
        ]
        .join("\n")
    }

    /// Nothing of the comparison is left: the repository is as it was, and no temporary file is there.
    #[track_caller]
    pub(crate) fn is_left_as(&self, before: &str) {
        assert_eq!(self.state(), before);
        let left: Vec<PathBuf> = fs::read_dir(self.temporary.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(left, [] as [PathBuf; 0], "temporary files");
    }
}

/// A command that runs meanwhile, in a process group of its own as a shell would start it.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Running {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(command.process_group(0).spawn().expect("it starts"))
    }

    /// What it has written into a file that it makes when it has come so far.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, file: &Path) -> String {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let text = fs::read_to_string(file).unwrap_or_default();
            if text.ends_with('\n') {
                return text;
            }
            let has_ended = self.0.try_wait().unwrap().is_some();
            if has_ended || Instant::now() > deadline {
                let mut said = String::new();
                self.signal("KILL");
                self.0
                    .stderr
                    .take()
                    .unwrap()
                    .read_to_string(&mut said)
                    .unwrap();
                panic!("{} is not written: {said}", file.display());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal to its whole group, as a terminal does.
    pub(crate) fn signal(&self, name: &str) {
        let (signal, group) = (format!("-{name}"), format!("-{}", self.0.id()));
        // One that has ended by itself is nobody to tell.
        finish(Command::new("kill").args([&signal, "--", &group]));
    }

    pub(crate) fn end(self) -> Ran {
        ran(&self.0.wait_with_output().expect("it ends"))
    }
}

/// Whether a process has ended. The kernel may take a moment to take a killed one apart.
#[track_caller]
pub(crate) fn has_ended(pid: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let gone = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        stat.map_or(true, |text| text.contains(") Z "))
    };
    while !gone() {
        assert!(Instant::now() < deadline, "process {pid} still runs");
        std::thread::sleep(Duration::from_millis(5));
    }
}
