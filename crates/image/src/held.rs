//! Files that a recorder has open and that no path need lead to any more.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use crate::file::ImageFile;

/// What a recorder saw while its targets lived: binaries that were deleted or replaced since, that
/// never had a path (memfd), or that lie in another mount namespace; and the files in which
/// run-time compilers write down their code.
///
/// All are found by the image's path as the profile has it. Memory mappings and open files keep
/// their contents as long as this value lives.
#[derive(Debug, Clone, Default)]
pub struct HeldFiles {
    images: BTreeMap<(String, Vec<u8>), ImageFile>,
    code: BTreeMap<String, Vec<Arc<File>>>,
}

impl HeldFiles {
    /// Keeps a binary that the target mapped as `path`.
    pub fn hold_image(&mut self, path: &str, image: &ImageFile) {
        let build_id = image.build_id().unwrap_or_default().to_vec();
        self.images
            .insert((path.to_owned(), build_id), image.clone());
    }

    /// The binary that a target mapped as `path`, of the build that was recorded (empty for none).
    pub fn image(&self, path: &str, build_id: &[u8]) -> Option<&ImageFile> {
        self.images.get(&(path.to_owned(), build_id.to_vec()))
    }

    /// Keeps the files that name the run-time code of the image `path`, those to be asked first in
    /// front; an empty list says that there are none, so that nobody looks again.
    pub fn hold_code(&mut self, path: &str, files: Vec<Arc<File>>) {
        self.code.insert(path.to_owned(), files);
    }

    /// The files that name the run-time code of the image `path`; `None` when nobody has looked.
    pub fn code(&self, path: &str) -> Option<&[Arc<File>]> {
        self.code.get(path).map(Vec::as_slice)
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty() && self.code.is_empty()
    }
}

/// Opens a file in which a run-time compiler writes down its code; `None` when there is none.
///
/// # Errors
/// When it is there but cannot be opened, or is no regular file: such files lie in folders that
/// anybody may write to, where a pipe would block its reader for ever.
pub fn open_code_file(path: &Path) -> io::Result<Option<File>> {
    /// `O_NONBLOCK` on Linux: opening a pipe does not wait for its writer.
    const NONBLOCK: i32 = 0o4000;
    let opened = File::options().read(true).custom_flags(NONBLOCK).open(path);
    let told =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(told(error)),
    };
    let is_file = file.metadata().map_err(told)?.is_file();
    if !is_file {
        let what = "is no regular file, expected a perf map or a jitdump";
        return Err(io::Error::other(format!("{} {what}", path.display())));
    }
    Ok(Some(file))
}
