//! Git, through its command: where the checkout is, what a ref is, worktrees.
//!
//! Never through a shell. Variables that would point git elsewhere (`GIT_DIR`, as hooks set it)
//! are taken out of its environment, hooks and file system monitors are switched off, and no call
//! writes the user's index, branches or working tree.

mod dirty;
mod nearest;
mod worktree;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use hotproof_diff::RefFacts;

use crate::child::{self, Streams};
use crate::error::LabError;

pub(crate) use dirty::working_tree;
pub(crate) use worktree::{Worktree, registered, remove_tree};

/// Variables of git that say whose configuration is read, and not which repository is meant.
const KEPT_VARIABLES: [&str; 6] = [
    "GIT_EXEC_PATH",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
];

/// A git command that runs in `directory`, on whatever repository that lies in.
pub(crate) fn command(directory: &Path) -> Command {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os() {
        let redirects = name.as_bytes().starts_with(b"GIT_")
            && !KEPT_VARIABLES.iter().any(|kept| name == *kept)
            && !name.as_bytes().starts_with(b"GIT_CONFIG_");
        if redirects {
            command.env_remove(name);
        }
    }
    command
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("LC_ALL", "C")
        .arg("-C")
        .arg(directory)
        .args(["-c", "core.hooksPath=/dev/null"])
        .args(["-c", "core.fsmonitor=false"])
        .args(["-c", "log.showSignature=false"]);
    command
}

/// What git said, and whether it was content.
pub(crate) struct Answer {
    pub(crate) succeeded: bool,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// Asks git, and takes a refusal for an answer.
pub(crate) fn ask<S: AsRef<OsStr>>(
    directory: &Path,
    arguments: &[S],
    stop: &AtomicBool,
) -> Result<Answer, LabError> {
    let mut command = command(directory);
    command.args(arguments);
    answer(&mut command, stop)
}

fn answer(command: &mut Command, stop: &AtomicBool) -> Result<Answer, LabError> {
    let mut finished =
        child::run(command, Streams::Apart, stop).map_err(|source| LabError::NoGit { source })?;
    if finished.status.is_none() {
        return Err(LabError::Interrupted);
    }
    let failed = |source| LabError::File {
        action: "read the output of",
        path: PathBuf::from("git"),
        source,
    };
    Ok(Answer {
        succeeded: finished.succeeded(),
        stdout: child::read_all(&mut finished.stdout).map_err(failed)?,
        stderr: String::from_utf8_lossy(&child::read_all(&mut finished.stderr).map_err(failed)?)
            .trim()
            .to_owned(),
    })
}

/// As [`output`], with variables of git's own.
pub(crate) fn output_with<S: AsRef<OsStr>>(
    directory: &Path,
    arguments: &[S],
    variables: &[(&str, &OsStr)],
    stop: &AtomicBool,
) -> Result<Vec<u8>, LabError> {
    let mut command = command(directory);
    command.args(arguments).envs(variables.iter().copied());
    let answer = answer(&mut command, stop)?;
    if answer.succeeded {
        return Ok(answer.stdout);
    }
    Err(refusal(arguments, &answer.stderr))
}

/// Asks git for something that it must be able to answer.
pub(crate) fn output<S: AsRef<OsStr>>(
    directory: &Path,
    arguments: &[S],
    stop: &AtomicBool,
) -> Result<Vec<u8>, LabError> {
    let answer = ask(directory, arguments, stop)?;
    if answer.succeeded {
        return Ok(answer.stdout);
    }
    Err(refusal(arguments, &answer.stderr))
}

fn refusal<S: AsRef<OsStr>>(arguments: &[S], message: &str) -> LabError {
    let words: Vec<String> = arguments
        .iter()
        .map(|word| word.as_ref().to_string_lossy().into_owned())
        .collect();
    LabError::Git {
        arguments: words.join(" "),
        message: message.to_owned(),
    }
}

fn never() -> AtomicBool {
    AtomicBool::new(false)
}

/// One line of git's output as a path, whatever bytes it has.
fn path_of(mut bytes: Vec<u8>) -> PathBuf {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// The top of the checkout that a directory lies in.
///
/// # Errors
/// Says so when there is no git, no repository, or no working tree.
pub fn top(directory: &Path) -> Result<PathBuf, LabError> {
    let answer = ask(directory, &["rev-parse", "--show-toplevel"], &never())?;
    if answer.succeeded {
        return Ok(path_of(answer.stdout));
    }
    let bare = ask(directory, &["rev-parse", "--is-bare-repository"], &never())?;
    if bare.succeeded && bare.stdout.trim_ascii() == b"true" {
        return Err(LabError::BareRepository {
            directory: directory.to_owned(),
        });
    }
    if answer.stderr.contains("not a git repository") || bare.succeeded {
        return Err(LabError::NotARepository {
            directory: directory.to_owned(),
        });
    }
    Err(refusal(&["rev-parse", "--show-toplevel"], &answer.stderr))
}

/// Resolves a ref to its commit.
///
/// # Errors
/// Names the nearest refs when there is none of that name, and says how to deepen a shallow clone.
pub fn resolve(top: &Path, name: &str) -> Result<RefFacts, LabError> {
    if name.starts_with('-') {
        return Err(LabError::RefIsOption {
            name: name.to_owned(),
        });
    }
    let peeled = format!("{name}^{{commit}}");
    let question = [
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        &peeled,
    ];
    let answer = ask(top, &question, &never())?;
    if !answer.succeeded {
        return Err(unknown_ref(top, name)?);
    }
    // Before git 2.30 the separator came back as a line of its own.
    let text = String::from_utf8_lossy(&answer.stdout);
    let commit = text.lines().next_back().unwrap_or_default().to_owned();
    let format = ["log", "-1", "--no-color", "--format=%T%n%s", &commit, "--"];
    let log = output(top, &format, &never())?;
    let log = String::from_utf8_lossy(&log);
    let mut lines = log.lines();
    Ok(RefFacts {
        name: name.to_owned(),
        commit,
        tree: lines.next().unwrap_or_default().to_owned(),
        subject: lines.next().unwrap_or_default().to_owned(),
    })
}

fn unknown_ref(top: &Path, name: &str) -> Result<LabError, LabError> {
    let refs = output(
        top,
        &["for-each-ref", "--format=%(refname:short)"],
        &never(),
    )?;
    let refs = String::from_utf8_lossy(&refs);
    let nearest = nearest::nearest(name, refs.lines());
    let shallow = output(top, &["rev-parse", "--is-shallow-repository"], &never())?;
    let (name, top) = (name.to_owned(), top.to_owned());
    Ok(if shallow.trim_ascii() == b"true" {
        LabError::ShallowRef { name, top, nearest }
    } else {
        LabError::UnknownRef { name, top, nearest }
    })
}

/// Tracked files of the user's checkout whose content is not committed, relative to the top.
pub(crate) fn uncommitted(top: &Path, stop: &AtomicBool) -> Result<Vec<String>, LabError> {
    let question = [
        "status",
        "--porcelain=v1",
        "-z",
        "--untracked-files=no",
        "--ignore-submodules=all",
        "--no-renames",
    ];
    let status = output(top, &question, stop)?;
    let entries = status.split(|&byte| byte == 0);
    Ok(entries
        .filter_map(|entry| entry.get(3..))
        .map(|path| String::from_utf8_lossy(path).into_owned())
        .collect())
}
