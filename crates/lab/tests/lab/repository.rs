//! Small git repositories, isolated from whatever configuration the machine has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hotproof_lab::{Build, Event, LabError, Observer, Options, Sampling};

/// A repository in a folder of its own, gone when dropped.
pub(crate) struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    /// An empty repository with the branch `main`, in a folder whose name has a space.
    pub(crate) fn new() -> Repository {
        let folder = tempfile::Builder::new()
            .prefix("lab test ")
            .tempdir()
            .unwrap();
        let repository = Repository { folder };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    pub(crate) fn top(&self) -> PathBuf {
        fs::canonicalize(self.folder.path()).unwrap()
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(self.folder.path(), arguments)
    }

    /// Writes a file; scripts become executable.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        if text.starts_with("#!") {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    /// Commits everything, and puts a branch there.
    pub(crate) fn commit(&self, branch: &str, files: &[(&str, &str)]) {
        for (name, text) in files {
            self.write(name, text);
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", branch]);
        self.git(&["branch", "--force", "--", &format!("at-{branch}")]);
    }

    /// `at-base` and `at-head`, which differ in these files.
    pub(crate) fn of_two(base: &[(&str, &str)], head: &[(&str, &str)]) -> Repository {
        let repository = Repository::new();
        repository.commit("base", base);
        repository.commit("head", head);
        repository
    }

    /// A comparison of the two, small and unsampled.
    pub(crate) fn options(&self, command: &[&str]) -> Options {
        let command = command.iter().map(|word| (*word).into()).collect();
        Options {
            build: Build::None,
            pairs: Some(2),
            seed: Some(1),
            sampling: Sampling::Off,
            ..Options::new(self.top(), "at-base", "at-head", command)
        }
    }

    /// Everything of the user that a comparison must leave alone.
    pub(crate) fn state(&self) -> String {
        let index = fs::read(self.folder.path().join(".git/index")).unwrap_or_default();
        let config = fs::read_to_string(self.folder.path().join(".git/config")).unwrap();
        let git_folder = fs::read_dir(self.folder.path().join(".git")).unwrap();
        let mut entries: Vec<String> = git_folder
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        entries.sort();
        [
            self.git(&["symbolic-ref", "HEAD"]),
            self.git(&["for-each-ref"]),
            self.git(&["reflog", "show", "--all"]),
            self.git(&["stash", "list"]),
            self.git(&["--no-optional-locks", "status", "--porcelain"]),
            self.git(&["worktree", "list"]),
            format!("{index:?}"),
            config,
            entries.join(" "),
        ]
        .join("\n--\n")
    }
}

pub(crate) fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.org"])
        .args([
            "-c",
            "commit.gpgSign=false",
            "-c",
            "core.hooksPath=/dev/null",
        ])
        .args(["-c", "protocol.file.allow=always"])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env_remove("GIT_DIR")
        .env_remove("GIT_INDEX_FILE")
        .env_remove("GIT_WORK_TREE")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Keeps what happened, in words.
#[derive(Debug, Default)]
pub(crate) struct Diary {
    pub(crate) lines: Vec<String>,
}

impl Observer for Diary {
    fn event(&mut self, event: &Event<'_>) {
        self.lines.push(match event {
            Event::Resolved { side, facts } => format!("resolved {side:?} {}", facts.subject),
            Event::BuildStarted { checkout, command } => format!("build {checkout:?} {command}"),
            Event::BuildFinished { checkout, .. } => format!("built {checkout:?}"),
            Event::Changed { code_changed, .. } => format!("changed {code_changed}"),
            Event::Notice(text) => format!("notice {text}"),
            Event::Placebo { done, .. } => format!("placebo {done}"),
            Event::Pair { done, .. } => format!("pair {done}"),
            Event::Run { done, .. } => format!("run {done}"),
            _ => "other".to_owned(),
        });
    }
}

/// The error of a comparison that must fail, in words.
pub(crate) fn failure(options: &Options) -> LabError {
    let mut diary = Diary::default();
    match hotproof_lab::compare(options, &mut diary) {
        Ok(comparison) => panic!("no error, but {comparison:#?}"),
        Err(error) => error,
    }
}
