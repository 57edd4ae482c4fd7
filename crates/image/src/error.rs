//! Why a file cannot be used as an image.

use std::path::PathBuf;

/// A binary cannot be read, or is not what hotproof reads.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The file system refused.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A directory, a device or a pipe.
    #[error("{} is {found}, expected a regular file", path.display())]
    NotAFile {
        /// Which path.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// The first bytes are not those of an ELF file.
    #[error("{} begins with {found}, expected an ELF file (7f 45 4c 46)", path.display())]
    NotElf {
        /// Which file.
        path: PathBuf,
        /// Its first bytes in hexadecimal, or that it is empty.
        found: String,
    },
    /// An ELF file of a kind that hotproof does not read.
    #[error("{} is {found}, expected a little-endian ELF file", path.display())]
    Unsupported {
        /// Which file.
        path: PathBuf,
        /// Its class and byte order.
        found: &'static str,
    },
    /// Headers that contradict each other or reach past the end of the file: cut or damaged.
    #[error("{} ({size} bytes) is cut or damaged: {detail}; expected whole ELF headers", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Length of the file in bytes.
        size: u64,
        /// What could not be read.
        detail: String,
    },
    /// A section whose contents cannot be read.
    #[error("section {section} of {}: {detail}", path.display())]
    Section {
        /// Which file.
        path: PathBuf,
        /// Which section.
        section: String,
        /// What was read and what was expected.
        detail: String,
    },
}
