//! Checkouts of their own, gone when dropped.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::LabError;

/// A detached worktree of the user's repository. Dropping it removes the files and git's record
/// of them; no ref, branch or index of the user is involved.
#[derive(Debug)]
pub(crate) struct Worktree {
    top: PathBuf,
    path: PathBuf,
}

impl Worktree {
    /// Checks out `commit` at `path`, which must not exist yet.
    ///
    /// # Errors
    /// When git refuses; nothing is left behind then.
    pub(crate) fn add(
        top: &Path,
        path: PathBuf,
        commit: &str,
        stop: &AtomicBool,
    ) -> Result<Worktree, LabError> {
        // Made first, so that whatever git leaves behind when it fails is removed by the drop.
        let worktree = Worktree {
            top: top.to_owned(),
            path,
        };
        let mut arguments: Vec<&std::ffi::OsStr> = Vec::new();
        for word in ["worktree", "add", "--quiet", "--detach", "--"] {
            arguments.push(word.as_ref());
        }
        arguments.push(worktree.path.as_os_str());
        arguments.push(commit.as_ref());
        let turn = turn(top, stop);
        let added = super::output(top, &arguments, stop);
        // Whoever removes it waits for a turn, too.
        drop(turn);
        added?;
        Ok(worktree)
    }

    /// A worktree that is registered already, to be removed with the value.
    pub(crate) fn adopt(top: &Path, path: PathBuf) -> Worktree {
        let top = top.to_owned();
        Worktree { top, path }
    }

    /// Makes git forget it; the files stay, but for the one that leads to git.
    pub(crate) fn release(self) {
        self.forget();
        // Without it what runs there finds no repository rather than half of one.
        let _ = fs::remove_file(self.path.join(".git"));
        std::mem::forget(self);
    }

    /// Removes git's own record alone: `git worktree prune` would also forget worktrees of the
    /// user on disks that are not mounted at the moment.
    fn forget(&self) {
        let _turn = turn(&self.top, &super::never());
        if let Some(record) = record_of(&self.top, &self.path) {
            remove_tree(&record);
            if let Some(parent) = record.parent() {
                // It stays when the user has worktrees of their own.
                let _ = fs::remove_dir(parent);
            }
        }
    }
}

impl Drop for Worktree {
    fn drop(&mut self) {
        let never = super::never();
        let mut arguments: Vec<&std::ffi::OsStr> = Vec::new();
        for word in ["worktree", "remove", "--force", "--force", "--"] {
            arguments.push(word.as_ref());
        }
        arguments.push(self.path.as_os_str());
        let turn = turn(&self.top, &never);
        let removed = super::ask(&self.top, &arguments, &never).is_ok_and(|it| it.succeeded);
        drop(turn);
        if removed && !self.path.exists() {
            return;
        }
        remove_tree(&self.path);
        self.forget();
    }
}

/// Nobody waits longer than this for a turn: the other one may be in a checkout that takes so long,
/// or stand still.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// One comparison of a repository at a time adds and removes worktrees: git reads the records of all
/// of them, and fails on one that another git is just writing ("failed to read .../commondir", one in
/// 160 with four at once, git 2.47). The lock is one on git's own folder, so that none is left behind.
///
/// Without a lock, where there is none to be had or it takes too long, it goes on all the same.
fn turn(top: &Path, stop: &AtomicBool) -> Option<File> {
    let folder = File::open(common_folder(top)?).ok()?;
    let begun = Instant::now();
    while begun.elapsed() < LONGEST_WAIT && !stop.load(Ordering::Relaxed) {
        match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Some(folder),
            Err(Errno::WOULDBLOCK | Errno::INTR) => std::thread::sleep(Duration::from_millis(5)),
            Err(_) => return None,
        }
    }
    None
}

/// Git's own folder, which all worktrees share.
fn common_folder(top: &Path) -> Option<PathBuf> {
    let question = ["rev-parse", "--path-format=absolute", "--git-common-dir"];
    let answer = super::output(top, &question, &super::never());
    answer.ok().map(super::path_of)
}

/// Git's folder for the worktree at `path`: the one whose `gitdir` file names it.
fn record_of(top: &Path, path: &Path) -> Option<PathBuf> {
    let mut records = records(top).into_iter();
    records.find_map(|(record, worktree)| (worktree == path).then_some(record))
}

/// The worktrees that the repository knows besides its own checkout, whether they still exist or
/// not, in no order.
pub(crate) fn registered(top: &Path) -> Vec<PathBuf> {
    let records = records(top).into_iter();
    records.map(|(_, worktree)| worktree).collect()
}

/// Git's folder for each worktree, and where the worktree is.
fn records(top: &Path) -> Vec<(PathBuf, PathBuf)> {
    let Some(common) = common_folder(top) else {
        return Vec::new();
    };
    let entries = fs::read_dir(common.join("worktrees"));
    let records = entries.into_iter().flatten().flatten();
    records
        .filter_map(|entry| {
            let record = entry.path();
            let file = super::path_of(fs::read(record.join("gitdir")).ok()?);
            Some((record, file.parent()?.to_owned()))
        })
        .collect()
}

/// Removes a folder, also where a build made parts of it read-only.
pub(crate) fn remove_tree(path: &Path) {
    if fs::remove_dir_all(path).is_ok() || !path.exists() {
        return;
    }
    make_writable(path);
    if let Err(error) = fs::remove_dir_all(path) {
        tracing::warn!("cannot remove {}: {error}", path.display());
    }
}

fn make_writable(folder: &Path) {
    // What cannot be changed shows itself when the removal fails.
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_writable(&entry.path());
        }
    }
}
