//! The user's working tree as a commit that no ref knows.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use hotproof_diff::RefFacts;

use crate::error::LabError;
use crate::scratch::Folder;

/// What people read for the working tree.
const NAME: &str = "working tree";

/// A commit of what lies in the user's working tree now: changed, new and removed files, but not
/// the ignored ones. Its parent is `HEAD`.
///
/// The tree is written through an index of its own in a temporary folder, so that the user's index
/// and files stay as they are; all that is left is objects that no ref names, which git removes in
/// its own time.
///
/// # Errors
/// When git fails, as in the middle of a merge with conflicts.
pub(crate) fn working_tree(top: &Path, stop: &AtomicBool) -> Result<RefFacts, LabError> {
    let folder = Folder::new()?;
    let index = folder.path().join("index");
    let own = super::output(top, &["rev-parse", "--git-path", "index"], stop)?;
    let own = top.join(super::path_of(own));
    if own.is_file() {
        // A copy knows which files are unchanged, so that git need not read them all.
        std::fs::copy(&own, &index).map_err(|source| LabError::File {
            action: "copy the index,",
            path: own.clone(),
            source,
        })?;
    }
    let with = |arguments: &[&str]| {
        let variables: [(&str, &OsStr); 5] = [
            ("GIT_INDEX_FILE", index.as_os_str()),
            ("GIT_AUTHOR_NAME", OsStr::new("hotproof")),
            ("GIT_AUTHOR_EMAIL", OsStr::new("hotproof@localhost")),
            ("GIT_COMMITTER_NAME", OsStr::new("hotproof")),
            ("GIT_COMMITTER_EMAIL", OsStr::new("hotproof@localhost")),
        ];
        // The same tree gives the same commit whenever it is measured.
        let dates: [(&str, &OsStr); 2] = [
            ("GIT_AUTHOR_DATE", OsStr::new("1970-01-01T00:00:00Z")),
            ("GIT_COMMITTER_DATE", OsStr::new("1970-01-01T00:00:00Z")),
        ];
        super::output_with(top, arguments, &[&variables[..], &dates[..]].concat(), stop)
    };
    let line = |bytes: Vec<u8>| String::from_utf8_lossy(bytes.trim_ascii()).into_owned();
    with(&["add", "--all", "--", "."])?;
    let tree = line(with(&["write-tree"])?);
    let unsigned = ["-c", "commit.gpgSign=false", "commit-tree", "-m", NAME];
    let commit = line(with(&[&unsigned[..], &["-p", "HEAD", &tree]].concat())?);
    let head = line(with(&["rev-parse", "HEAD^{tree}"])?);
    let subject = match tree == head {
        true => "nothing changed since HEAD",
        false => "uncommitted work",
    };
    Ok(RefFacts {
        name: NAME.to_owned(),
        commit,
        tree,
        subject: subject.to_owned(),
    })
}
