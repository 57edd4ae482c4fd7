//! What comparisons that were killed left behind: worktrees, and the temporary folders around them.
//!
//! Each folder names its owner, the process that made it. Only worktrees of the repository at hand
//! are removed, only such as lie in a temporary folder of ours, and only when the owner has ended;
//! folders without any worktree go as soon as their owner has ended. What cannot be told for certain
//! stays.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use hotproof_profiler::TaskStat;

use crate::error::LabError;
use crate::git::{self, Worktree};
use crate::scratch::PREFIX;

/// The file in a temporary folder that names its owner: process id, start time in clock ticks since
/// boot, and namespace of process ids, one per line.
const OWNER_FILE: &str = "owner";

/// The process that a folder belongs to. A process id may be used again, but not with the same
/// start time, and it means something only in its namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owner {
    pid: u32,
    start_ticks: u64,
    namespace: String,
}

/// Writes into a folder that it is ours.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn sign(folder: &Path) -> Result<(), LabError> {
    let Some(owner) = Owner::ours() else {
        // Without `/proc` nobody could tell whether the owner lives.
        return Ok(());
    };
    let path = folder.join(OWNER_FILE);
    fs::write(&path, owner.text()).map_err(|source| LabError::File {
        action: "write",
        path,
        source,
    })
}

/// Removes what comparisons of this repository left behind that were killed.
///
/// A failure is no error: the comparison at hand needs nothing of it.
pub(crate) fn remove(top: &Path) {
    let Some(ours) = Owner::ours() else { return };
    let Ok(temporary) = fs::canonicalize(std::env::temp_dir()) else {
        return;
    };
    let mut folders = BTreeSet::new();
    for worktree in git::registered(top) {
        let Some(folder) = worktree.parent() else {
            continue;
        };
        if is_of_ours(folder, &temporary) && is_abandoned(folder, &ours) {
            folders.insert(folder.to_owned());
            drop(Worktree::adopt(top, worktree));
        }
    }
    for folder in folders {
        tracing::info!("removing {}, whose comparison was killed", folder.display());
        git::remove_tree(&folder);
    }
    remove_folders(&temporary);
}

/// Removes temporary folders of ours whose owners were killed and that hold no worktree: those of
/// other repositories go when these are compared, whose git knows of them.
pub(crate) fn remove_folders(temporary: &Path) {
    let Some(ours) = Owner::ours() else { return };
    let user = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(temporary).into_iter().flatten().flatten() {
        let folder = entry.path();
        // Not through a symbolic link, and nothing of another user's.
        let is_own = entry
            .metadata()
            .is_ok_and(|facts| facts.is_dir() && facts.uid() == user);
        if is_own
            && is_of_ours(&folder, temporary)
            && is_abandoned(&folder, &ours)
            && !holds_worktree(&folder)
        {
            tracing::info!("removing {}, whose owner was killed", folder.display());
            git::remove_tree(&folder);
        }
    }
}

fn holds_worktree(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .into_iter()
        .any(|entry| entry.path().join(".git").exists())
}

fn is_of_ours(folder: &Path, temporary: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default();
    folder.parent() == Some(temporary) && name.to_string_lossy().starts_with(PREFIX)
}

fn is_abandoned(folder: &Path, ours: &Owner) -> bool {
    let text = fs::read_to_string(folder.join(OWNER_FILE)).unwrap_or_default();
    Owner::parse(&text).is_some_and(|owner| {
        owner.namespace == ours.namespace && start_ticks(owner.pid) != Some(owner.start_ticks)
    })
}

impl Owner {
    fn ours() -> Option<Owner> {
        let pid = std::process::id();
        let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
        Some(Owner {
            pid,
            start_ticks: start_ticks(pid)?,
            namespace: namespace.to_string_lossy().into_owned(),
        })
    }

    fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.pid, self.start_ticks, self.namespace)
    }

    /// `None` for a text that is not whole, as when its writer was killed.
    fn parse(text: &str) -> Option<Owner> {
        let [pid, start_ticks, namespace] = text
            .strip_suffix('\n')?
            .split('\n')
            .collect::<Vec<_>>()
            .try_into()
            .ok()?;
        Some(Owner {
            pid: pid.parse().ok()?,
            start_ticks: start_ticks.parse().ok()?,
            namespace: namespace.to_owned(),
        })
    }
}

/// When a process started; `None` when there is none of that number, or a zombie.
fn start_ticks(pid: u32) -> Option<u64> {
    let stat = TaskStat::of_process(pid).filter(|stat| !stat.has_ended())?;
    // The 22nd field (proc(5)).
    stat.number(22)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_reads_as_it_was_written() {
        let ours = Owner::ours().unwrap();
        let text = ours.text();
        assert_eq!(Owner::parse(&text), Some(ours));
        for end in 0..text.len() {
            assert_eq!(Owner::parse(&text[..end]), None, "{end}");
        }
    }

    /// A folder is abandoned when its owner has ended, or when another process has its number now;
    /// it is not when the owner lives, is not known, or is of another namespace.
    #[test]
    fn only_the_folder_of_a_process_that_ended_is_abandoned() {
        let folder = tempfile::tempdir().unwrap();
        let ours = Owner::ours().unwrap();
        assert!(!is_abandoned(folder.path(), &ours), "unsigned");
        sign(folder.path()).unwrap();
        assert!(!is_abandoned(folder.path(), &ours), "ours");
        let other = |owner: Owner| {
            fs::write(folder.path().join(OWNER_FILE), owner.text()).unwrap();
            is_abandoned(folder.path(), &ours)
        };
        let reused = Owner {
            start_ticks: ours.start_ticks + 1,
            ..ours.clone()
        };
        assert!(other(reused.clone()));
        assert!(!other(Owner {
            namespace: "pid:[1]".to_owned(),
            ..reused
        }));
    }

    /// What a quick look or a counting run left behind when it was killed stayed for ever.
    #[test]
    fn folders_of_processes_that_ended_go_but_for_those_with_a_worktree() {
        let temporary = tempfile::tempdir().unwrap();
        let ended = Owner {
            start_ticks: 1,
            ..Owner::ours().unwrap()
        };
        let make = |name: &str, owner: &str| {
            let folder = temporary.path().join(name);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join(OWNER_FILE), owner).unwrap();
            folder
        };
        let lives = Owner::ours().unwrap().text();
        let gone = make("hotproof-a", &ended.text());
        let stay = [
            make("hotproof-b", &lives),
            make("hotproof-c", ""),
            make("other-d", &ended.text()),
            make("hotproof-e", &ended.text()),
        ];
        fs::create_dir(stay[3].join("base")).unwrap();
        fs::write(stay[3].join("base/.git"), "gitdir: /elsewhere\n").unwrap();
        remove_folders(temporary.path());
        assert!(!gone.exists());
        for folder in stay {
            assert!(folder.exists(), "{}", folder.display());
        }
    }

    #[test]
    fn every_temporary_folder_is_signed() {
        let folder = crate::scratch::Folder::new().unwrap();
        let text = fs::read_to_string(folder.path().join(OWNER_FILE)).unwrap();
        assert_eq!(Owner::parse(&text), Owner::ours());
    }
}
