//! The bytes of a file, mapped or owned: the only unsafe code of this crate.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::ImageError;

/// Bytes of a file, or others.
#[derive(Debug)]
pub enum Bytes {
    /// A private, read-only mapping of a file, and the file.
    Mapped(memmap2::Mmap, File),
    /// Bytes that did not come from a file.
    Owned(Vec<u8>),
}

impl Bytes {
    /// Maps a regular file.
    pub(crate) fn map(path: &Path) -> Result<Bytes, ImageError> {
        let io = |source| ImageError::Io {
            path: path.to_owned(),
            source,
        };
        // Opening a pipe or a device can block or act, so the kind is looked at first.
        let kind = std::fs::metadata(path).map_err(io)?.file_type();
        if !kind.is_file() {
            return Err(ImageError::NotAFile {
                path: path.to_owned(),
                found: if kind.is_dir() {
                    "a directory"
                } else {
                    "a device, a pipe or a socket"
                },
            });
        }
        let file = File::open(path).map_err(io)?;
        // SAFETY: the mapping is private and read-only, and nothing here writes to the file. Another
        // process could still truncate the file in place, which ends in SIGBUS, or change its
        // bytes; compilers, linkers and package managers replace binaries by unlink or rename, and
        // the kernel refuses writes to one that is being executed. All readers of these bytes check
        // every offset and length they find there, so changed contents give errors, not faults.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(io)?;
        Ok(Bytes::Mapped(map, file))
    }

    /// Maps an open file, which must not be empty, and which nobody may change but by rename.
    ///
    /// # Errors
    /// When the system cannot map it.
    pub fn of_file(file: File) -> std::io::Result<Bytes> {
        // SAFETY: as in `Bytes::map`; the caller sees to it that the file is only ever replaced.
        let map = unsafe { memmap2::Mmap::map(&file) }?;
        Ok(Bytes::Mapped(map, file))
    }

    /// What the system says of the file.
    pub(crate) fn metadata(&self) -> Option<std::fs::Metadata> {
        match self {
            Bytes::Mapped(_, file) => file.metadata().ok(),
            Bytes::Owned(_) => None,
        }
    }

    /// All of them.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map, _) => map,
            Bytes::Owned(bytes) => bytes,
        }
    }

    /// Copies bytes from a place without touching the mapping; false when they are not all there.
    pub(crate) fn peek(&self, at: usize, buffer: &mut [u8]) -> bool {
        match self {
            Bytes::Mapped(_, file) => file.read_exact_at(buffer, at as u64).is_ok(),
            Bytes::Owned(bytes) => {
                let found = at
                    .checked_add(buffer.len())
                    .and_then(|end| bytes.get(at..end));
                found.is_some_and(|found| {
                    buffer.copy_from_slice(found);
                    true
                })
            }
        }
    }
}
