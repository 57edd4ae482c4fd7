//! The temporary folder of a comparison: worktrees of equal path length, and the files that runs
//! write. All of it is gone when it is dropped.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::LabError;
use crate::git;
use crate::leftovers;

/// What the names of temporary folders begin with.
pub(crate) const PREFIX: &str = "hotproof-";

/// The folder of one comparison.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: Folder,
}

/// A temporary folder that is removed with everything in it, read-only parts too.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes a new one where the system keeps temporary files; it names its owner, so that it can be
    /// removed when that was killed.
    pub(crate) fn new() -> Result<Folder, LabError> {
        let place = std::env::temp_dir();
        let failed = |source| LabError::File {
            action: "make a temporary folder in",
            path: place.clone(),
            source,
        };
        let made = tempfile::Builder::new().prefix(PREFIX).tempdir();
        let folder = Folder(made.map_err(failed)?.keep());
        // Debug information and /proc spell paths without symbolic links, so this one has none.
        let real = fs::canonicalize(&folder.0).map_err(failed)?;
        let folder = if real == folder.0 {
            folder
        } else {
            std::mem::forget(folder);
            Folder(real)
        };
        leftovers::sign(folder.path())?;
        Ok(folder)
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// An empty file in it, to be written and read.
    ///
    /// A file that is cut to nothing and written anew is written out to the disk when it is closed
    /// (`auto_da_alloc` of ext4), so an old one goes first.
    pub(crate) fn file(&self, name: &str) -> Result<File, LabError> {
        let path = self.0.join(name);
        let removed = match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        let mut options = OpenOptions::new();
        let opened =
            removed.and_then(|()| options.read(true).write(true).create_new(true).open(&path));
        opened.map_err(|source| LabError::File {
            action: "create",
            path,
            source,
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        git::remove_tree(&self.0);
    }
}

impl Scratch {
    /// A folder that holds nothing but the name of its owner.
    pub(crate) fn new() -> Result<Scratch, LabError> {
        Folder::new().map(|folder| Scratch { folder })
    }

    /// The folder itself.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }
}
