//! Submodules of a checkout, from the objects that the user's own checkout holds: nothing is
//! fetched, and git's filters do what they do.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use crate::build::Place;
use crate::error::LabError;
use crate::git;
use crate::scratch::Scratch;

/// Fills in the submodules of a checkout of `commit`, theirs too.
///
/// # Errors
/// When the user's checkout lacks a submodule, or its commit.
pub(crate) fn check_out(
    top: &Path,
    place: &Place,
    commit: &str,
    scratch: &Scratch,
    stop: &AtomicBool,
) -> Result<(), LabError> {
    fill(top, &place.top, commit, place, scratch, stop)
}

fn fill(
    repository: &Path,
    target: &Path,
    commit: &str,
    place: &Place,
    scratch: &Scratch,
    stop: &AtomicBool,
) -> Result<(), LabError> {
    if !target.join(".gitmodules").is_file() {
        return Ok(());
    }
    let list = git::output(repository, &["ls-tree", "-r", "-z", commit], stop)?;
    // `160000 commit HASH<tab>PATH`: a link to a commit of another repository.
    let links = list.split(|&byte| byte == 0).filter_map(|entry| {
        let rest = entry.strip_prefix(b"160000 commit ")?;
        let tab = rest.iter().position(|&byte| byte == b'\t')?;
        let hash = String::from_utf8_lossy(&rest[..tab]).into_owned();
        Some((hash, OsString::from_vec(rest[tab + 1..].to_vec())))
    });
    for (hash, path) in links {
        let source = repository.join(&path);
        let missing = |reason: &str| LabError::Submodule {
            place: place.describe(),
            path: path.clone().into(),
            commit: hash.clone(),
            reason: reason.to_owned(),
        };
        if !source.join(".git").exists() {
            return Err(missing("is not in your checkout"));
        }
        let known = ["cat-file", "-e", &format!("{hash}^{{commit}}")];
        if !git::ask(&source, &known, stop)?.succeeded {
            return Err(missing("has not fetched that commit"));
        }
        let into = target.join(&path);
        read_tree(&source, &into, &hash, scratch, stop)?;
        fill(&source, &into, &hash, place, scratch, stop)?;
    }
    Ok(())
}

/// The files of a commit in a folder, by an index of its own: the repository keeps no record.
fn read_tree(
    repository: &Path,
    into: &Path,
    commit: &str,
    scratch: &Scratch,
    stop: &AtomicBool,
) -> Result<(), LabError> {
    std::fs::create_dir_all(into).map_err(|source| LabError::File {
        action: "make",
        path: into.to_owned(),
        source,
    })?;
    let mut tree = OsString::from("--work-tree=");
    tree.push(into);
    let index = scratch.folder().path().join("submodule-index");
    let words: [&OsStr; 5] = [
        tree.as_os_str(),
        OsStr::new("read-tree"),
        OsStr::new("--reset"),
        OsStr::new("-u"),
        OsStr::from_bytes(commit.as_bytes()),
    ];
    let answer = git::output_with(
        repository,
        &words,
        &[("GIT_INDEX_FILE", index.as_os_str())],
        stop,
    );
    // The next one begins with an index of its own.
    let _ = std::fs::remove_file(&index);
    answer.map(drop)
}
